"""`make lab`, as a learner runs it."""
import re
import shutil
import time
import urllib.error
import urllib.request

import pytest

from helpers import lab
from .jupyter import ROOT, make_lab


def test_lab_serves_unit_00_with_its_token_and_only_here():
    with make_lab(ROOT) as (address, log):
        page, token = re.fullmatch(r"(http://(?:localhost|127\.0\.0\.1):\d+/lab/tree/my-work/00_start_here\.ipynb)\?token=(\w+)", address).groups()
        for _ in range(60):     # the address is printed a moment before the door opens
            try:
                with urllib.request.urlopen(address, timeout=30) as answer:
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
