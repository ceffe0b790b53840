"""The file of an experiment: a row for each thing measured, so that a run that was stopped goes on where it was."""
import json
import re

from helpers._files import whole


def lines_of(table):
    """JSON with each list of numbers on one line."""
    return re.sub(r"\n\s+(-?[\d.]+(?:e-?\d+)?,?|\])(?=[\n,])", r" \1", json.dumps(table, indent=1)) + "\n"


def rows_into(file, settings, keys, row_of):
    """Measure what `file` lacks. keys: dicts, each tells one row from the others; row_of(**key) gives the rest of it.

    The file is written whole after every row: settings (what holds for all of them), then "rows". Rows that are there are not made again;
    if they were made with other settings, all are. Returns the rows.
    """
    settings = json.loads(json.dumps(settings))     # as they will be read
    there = json.loads(file.read_text()) if file.exists() else {}
    rows = there.get("rows", []) if {key: there.get(key) for key in settings} == settings else []
    for key in keys:
        if any(all(row.get(name) == value for name, value in key.items()) for row in rows):
            continue
        rows.append(key | row_of(**key))
        print(json.dumps(rows[-1])[:500], flush=True)
        with whole(file) as part:
            part.write_text(lines_of(settings | {"rows": rows}))
    return rows
