"""`make lab`, as a learner runs it."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from helpers import lab

ROOT = Path(__file__).parent.parent


@pytest.fixture
def process():
    """`make lab` on a free port: the process and its log."""
    if not (Path(sys.prefix) / "installed").exists() or not shutil.which("make"):
        pytest.skip("not in an environment that `make` made")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(["make", "lab", f"VENV={sys.prefix}", f"LAB_OPTIONS=--no-browser --ServerApp.port={port}"],
                               cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                               env={key: value for key, value in os.environ.items() if not key.startswith("JUPYTER")})
    yield process
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=30)


def test_lab_serves_unit_00_with_its_token_and_only_here(process):
    log = ""
    while not (address := re.search(r"http://(\S+):\d+/lab/tree/my-work/00_start_here.ipynb\?token=\w+", log)):
        line = process.stdout.readline()
        assert line, log
        log += line
    assert address.group(1) in ("localhost", "127.0.0.1")
    page, token = address.group().split("?token=")
    for _ in range(60):     # the address is printed a moment before the door opens
        try:
            with urllib.request.urlopen(address.group(), timeout=30) as answer:
                assert answer.status == 200
            break
        except urllib.error.URLError:
            time.sleep(0.5)
    contents = page.split("/lab/")[0] + "/api/contents/my-work/00_start_here.ipynb?content=0"
    with urllib.request.urlopen(f"{contents}&token={token}", timeout=30) as answer:
        assert b"00_start_here" in answer.read()
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(contents, timeout=30)
    assert error.value.code == 403, "the token is needed"


def test_new_exercises_are_copied_and_nothing_is_overwritten(tmp_path):
    shutil.copytree(ROOT / "exercises", tmp_path / "exercises")
    lab.copy_exercises(tmp_path)
    work = tmp_path / "my-work"
    names = sorted(path.name for path in (ROOT / "exercises").glob("*.ipynb"))
    assert sorted(path.name for path in work.iterdir()) == names
    (work / names[0]).write_text("mine")
    (work / names[-1]).unlink()
    lab.copy_exercises(tmp_path)
    assert (work / names[0]).read_text() == "mine"
    assert (work / names[-1]).read_text() == (ROOT / "exercises" / names[-1]).read_text()
