"""How long each explorer takes to answer: its function, and the picture as PNG. Writes benchmarks/explorers.md; fails if one is over its budget.

Where the browser tests ran (tests/test_browser.py), their time from a key press to the new picture stands beside it.
"""
import json
import statistics
import sys
import time
from pathlib import Path

from helpers.widgets import EXPLORERS, ImagePicker
from helpers.widgets.explorer import _pictures

HERE = Path(__file__).parent
REPEATS = 15


def seconds(explorer):
    """Medians (of the function, of function and PNG) at the default settings, one image after another; of a picture that grows, its first state."""
    explorer.work.wait()
    settings, drawn, sent = explorer.settings(), [], []
    images = [name for name, control in explorer.controls.items() if isinstance(control, ImagePicker)]
    for image in range(REPEATS):
        began = time.perf_counter()
        picture = next(iter(_pictures(explorer.draw(**settings | dict.fromkeys(images, image)))))
        drawn.append(time.perf_counter() - began)
        picture.png()
        sent.append(time.perf_counter() - began)
    return statistics.median(drawn), statistics.median(sent)


def main():
    file = HERE.parent / "test-results/latency.json"
    in_browser = json.loads(file.read_text()) if file.exists() else {}
    rows, over = [], []
    for name, make in EXPLORERS.items():
        explorer = make()
        drawn, sent = seconds(explorer)
        browser = f"{in_browser[name]} ms" if name in in_browser else "not measured"
        rows.append(f"| {name} | {1000 * drawn:.0f} ms | {1000 * sent:.0f} ms | {browser} | {1000 * explorer.budget:.0f} ms |")
        if sent > explorer.budget:
            over.append(name)
    table = "\n".join(["| explorer | its function | with the PNG | key press to new picture, in Chromium | allowed |", "|---|---|---|---|---|", *rows])
    (HERE / "explorers.md").write_text(f"# How long an explorer takes to answer\nMedians of {REPEATS} at the default settings, on two cores, by `make bench`; of a picture that grows, the first state. In Chromium: one run, beside other tests.\n\n{table}\n")
    print(table)
    sys.exit(f"over their budget: {', '.join(over)}" if over else 0)


if __name__ == "__main__":
    main()
