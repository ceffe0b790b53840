"""Build notebooks/, exercises/ and solutions/ from lessons/.

    python lessons/build.py             build what has changed (make build)
    python lessons/build.py 03          build this unit anew, whether changed or not
    python lessons/build.py --check     say what is out of date, change nothing (make check)
"""
import argparse
import hashlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import jupytext  # noqa: E402
import nbformat  # noqa: E402
from nbclient import NotebookClient  # noqa: E402
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook  # noqa: E402

from helpers import lesson  # noqa: E402
from helpers._files import whole  # noqa: E402

SECONDS = {"notebooks": 90, "solutions": 40}   # the whole notebook; a single cell may take a quarter unless it says budget=
MEGABYTES = 3
DOTS = {1: "●○○", 2: "●●○", 3: "●●●"}
WIDGET = "application/vnd.jupyter.widget-view+json"


def lecture(path):
    """The notebook of a lecture.py, and its source's hash."""
    book = lesson.workbook(path.parent.name)
    cells = jupytext.read(path, fmt="py:percent").cells
    marked = next((c for c in cells if lesson.BEGIN in c.source or set(c.metadata) & {*lesson.OPENERS, *lesson.HIDDEN}), None)
    if marked:
        raise lesson.LessonError(f"{path.parent.name}/lecture.py: exercises belong in workbook.py; here is {marked.source.splitlines()[0]!r}")
    links = (f"*The lecture of unit {book.unit}. Write it yourself: [your copy of the exercises](../my-work/{book.folder}.ipynb) (`make lab` made it) "
             f"· to read only: [exercises](../exercises/{book.folder}.ipynb), [solutions](../solutions/{book.folder}.ipynb)*")
    return notebook(f"{book.unit} lecture", [_after_heading(cells[0], links), *cells[1:]], path)


def workbooks(path):
    """The exercise and the solution notebook of a workbook.py."""
    book = lesson.parse(path)
    kinds = {"exercises": [], "solutions": []}
    for kind, cells in kinds.items():
        cells.append(_after_heading(book.opening[0], _opening(book, kind), f": {kind}"))
        cells.extend(book.opening[1:])
        for part in book.parts:
            heading = re.sub(r"^## .+", f"## {part.id} · {part.title}\n\n{_badge(part)}\n", part.cells[0].source)
            cells.append(new_markdown_cell(heading))
            for cell in part.cells[1:]:
                cells.append(cell if kind == "solutions" else type(cell)(cell | {"source": part.cut(cell.source)}))
    return [notebook(f"{book.unit} {kind}", cells, path) for kind, cells in kinds.items()]


def _opening(book, kind):
    other = "solutions" if kind == "exercises" else "exercises"
    optional = sum(part.minutes for part in book.parts if not part.core)
    time_needed = f"**Time:** about {book.minutes()} minutes" + (f", and {optional} more for what is optional." if optional else ".")
    return (f"*[Lecture](../notebooks/{book.folder}.ipynb) · [{other}](../{other}/{book.folder}.ipynb)*\n\n{time_needed}")


def _badge(part):
    words = [f"{part.minutes} min", "core" if part.core else "optional",
             {"exercise": f"difficulty {DOTS.get(part.difficulty)}", "predict": "predict, then look", "part": "run and look"}[part.kind]]
    if part.hints:
        words.append(f'stuck? `hint("{part.id}")`')
    return f"*{' · '.join(words)}*"


def _after_heading(cell, text, more=""):
    first, _, rest = cell.source.partition("\n")
    return new_markdown_cell(f"{first}{more}\n\n{text}\n\n{rest}".rstrip())


def notebook(name, cells, source):
    """A notebook without outputs; ids follow from name and content, so building again changes nothing."""
    built, seen = [], {}
    for cell in cells:
        nth = seen[cell.source] = seen.get(cell.source, 0) + 1
        id = hashlib.sha256(f"{name}\n{cell.cell_type}\n{nth}\n{cell.source}".encode()).hexdigest()[:12]
        if cell.cell_type == "markdown":
            built.append(new_markdown_cell(cell.source, id=id))
        else:
            metadata = {key: cell.metadata[key] for key in ("budget",) if key in cell.metadata}
            if re.search(r"^check\(", cell.source, re.MULTILINE):
                metadata["tags"] = ["nbval-check-output"]
            built.append(new_code_cell(cell.source, id=id, metadata=metadata))
    return new_notebook(cells=built, metadata={
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest()})


def execute(built, folder, progress):
    """Run every cell as a learner would, without data folder, and keep the outputs. Returns what took too long."""
    started, slow = {}, []

    def before(cell, cell_index):
        started[cell_index] = time.perf_counter()

    def after(cell, cell_index, execute_reply):
        seconds = time.perf_counter() - started[cell_index]
        budget = cell.metadata.get("budget", SECONDS[folder] / 4)
        if seconds > budget:
            slow.append(f"{seconds:.0f} s (budget {budget:g} s): {cell.source.splitlines()[0]}")

    # A folder that is not there: what is committed was made from what is always there. Relative, so that no path of ours gets in.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WORKBOOK_PROGRESS": str(progress), "WORKBOOK_DATA": "../data", "WORKBOOK_STILLS": "1"}
    began = time.perf_counter()
    client = NotebookClient(built, timeout=600, kernel_name="python3", store_widget_state=False, on_cell_execute=before, on_cell_executed=after,
                            resources={"metadata": {"path": str(ROOT / folder)}})
    client.execute(env=environment)
    seconds = time.perf_counter() - began
    if seconds > SECONDS[folder]:
        slow.append(f"{seconds:.0f} s for the whole notebook (budget {SECONDS[folder]} s)")
    for cell in built.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)   # no kernel, no widget: its picture stays
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("data", {"stream": 1}) and output.get("name") != "stderr"]
    return seconds, slow


def skeleton(built):
    """What `make check` compares: cells, ids and hash, not outputs."""
    return ([(c.id, c.cell_type, c.source, c.metadata.get("tags"), c.metadata.get("budget")) for c in built.cells], built.metadata.get("source_sha256"))


def out_of_date(built, path, executed):
    """Why the notebook at `path` is not the built one, or None."""
    if not path.exists():
        return "is missing"
    there = nbformat.read(path, as_version=4)
    if skeleton(there) != skeleton(built):
        return "differs from its source"
    code = [cell for cell in there.cells if cell.cell_type == "code"]
    if executed and any(cell.execution_count is None for cell in code):
        return "has cells that were never run"
    if executed and not any(cell.outputs for cell in code):
        return "has no outputs"
    if not executed and any(cell.outputs or cell.execution_count for cell in code):
        return "has outputs"
    return None


def targets():
    """Every notebook to be built: (path, notebook without outputs, is it executed)."""
    for folder in lesson.folders():
        yield ROOT / "notebooks" / f"{folder.name}.ipynb", lecture(folder / "lecture.py"), True
        for kind, built in zip(("exercises", "solutions"), workbooks(folder / "workbook.py")):
            yield ROOT / kind / f"{folder.name}.ipynb", built, kind == "solutions"


def strays():
    """Notebooks in the built folders that have no lesson."""
    units = {folder.name for folder in lesson.folders()}
    return [path for kind in ("notebooks", "exercises", "solutions") for path in (ROOT / kind).glob("*.ipynb") if path.stem not in units]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("units", nargs="*", help="build these units anew, like 03")
    parser.add_argument("--check", action="store_true", help="say what is out of date, change nothing")
    options = parser.parse_args()
    try:
        everything = list(targets())
    except lesson.LessonError as error:
        sys.exit(f"refused: {error}")
    stale = [(path, built, executed, why) for path, built, executed in everything
             if (why := out_of_date(built, path, executed)) or path.stem[:2] in options.units]
    if options.check:
        problems = [f"{path.relative_to(ROOT)} {why}" for path, _, _, why in stale] + [f"{path.relative_to(ROOT)} has no lesson" for path in strays()]
        sys.exit("\n".join(problems + ["Run `make build` and commit what it writes."]) if problems else 0)
    for path in strays():
        path.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        for path, built, executed, why in stale:
            note = ""
            if executed:
                seconds, slow = execute(built, path.parent.name, Path(scratch) / f"{path.parent.name}-{path.stem}.json")
                note = f" in {seconds:.0f} s" + "".join(f"\n    over budget: {line}" for line in slow)
            text = nbformat.writes(built) + "\n"
            if len(text) > MEGABYTES * 1e6:
                note += f"\n    {len(text) / 1e6:.1f} MB, over {MEGABYTES} MB"
            with whole(path) as part:
                part.write_text(text)
            print(f"built {path.relative_to(ROOT)}{note}", flush=True)


if __name__ == "__main__":
    main()
