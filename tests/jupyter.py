"""The JupyterLab that `make lab` starts, and a hand on it: for the tests of both."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent


def copy_of_the_tree(target):
    """What git knows or would add, with its times, so that `make` sees nothing new. A test there cannot touch a learner's my-work/."""
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


@contextlib.contextmanager
def make_lab(root, **environment):
    """`make lab` in `root` on a free port; yields (the address printed, the output so far as a list of lines)."""
    if not (Path(sys.prefix) / "installed").exists() or not shutil.which("make"):
        pytest.skip("not in an environment that `make` made")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "WORKBOOK_PROGRESS", "MPLBACKEND"))}
    installed = f"--old-file={sys.prefix}/installed"    # however old: installing from a copy of the tree would leave the environment pointing there
    process = subprocess.Popen(["make", installed, "lab", f"VENV={sys.prefix}", f"LAB_OPTIONS=--no-browser --ServerApp.port={port}"],
                               cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                               env=keep | environment)
    log = []
    try:
        while not (address := re.search(r"http://\S+:\d+/lab/\S+\?token=\w+", "".join(log))):
            line = process.stdout.readline()
            assert line, "".join(log)
            log.append(line)
        threading.Thread(target=lambda: log.extend(process.stdout), daemon=True).start()     # a full pipe would stop the server
        yield address.group(), log
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def server_of(address):
    """The two parts of the address that the lab prints: (http://host:port, token=...)."""
    return re.match(r"(http://[^/]+)/lab.*(token=\w+)", address).groups()


def end_kernels(address):
    """End all kernels of the lab. A page that is closed leaves its kernel, with its networks and pictures: thirty of them fill a machine."""
    server, token = server_of(address)

    def ask(path, method="GET"):
        with urllib.request.urlopen(urllib.request.Request(f"{server}/api/sessions{path}?{token}", method=method), timeout=30) as answer:
            return answer.read()
    for session in json.loads(ask("")):
        ask(f"/{session['id']}", "DELETE")


class Notebook:
    """One notebook in a browser's page: what a learner does there, in the order of its cells."""

    def __init__(self, page, address, path, root):
        self.page, self.cells = page, nbformat.read(root / path, 4).cells
        server, token = server_of(address)
        page.goto(f"{server}/lab/tree/{path}?{token}&reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.get_by_text("| Idle").wait_for(timeout=60_000)     # in the status bar: the kernel has answered

    def idle(self, seconds=120):
        """Until the kernel has nothing left to do."""
        self.page.wait_for_selector('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=1000 * seconds)

    def index(self, words):
        """The number of the first code cell that holds `words`."""
        return next(i for i, cell in enumerate(self.cells) if cell.cell_type == "code" and words in cell.source)

    def cell(self, words):
        """The cell as a locator, brought into view."""
        cell = self.page.locator(f'.jp-Cell[data-windowed-list-index="{self.index(words)}"]')
        cell.scroll_into_view_if_needed()
        return cell

    def run(self, words, source=None, seconds=60):
        """Run a cell (with another source, if given) and return its output's text."""
        cell = self.cell(words)
        prompt = cell.locator(".jp-InputPrompt")
        before = prompt.inner_text()
        cell.locator(".cm-content").click()
        if source is not None:
            self.page.keyboard.press("Control+A")
            self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Shift+Enter")
        ends = time.monotonic() + seconds
        while not re.search(r"\[\d+\]", now := prompt.inner_text()) or now == before:
            assert time.monotonic() < ends, f"this cell did not end within {seconds} s: {words}"
            self.page.wait_for_timeout(50)
        output = cell.locator(".jp-OutputArea")
        return output.inner_text() if output.count() else ""

    def run_all(self, seconds=180):
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.page.wait_for_timeout(500)
        self.idle(seconds)
