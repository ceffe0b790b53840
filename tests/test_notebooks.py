"""What is committed: built from the lessons, executed, without leaks, within its limits; and the exercises as a learner finds them."""
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from helpers import lesson

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("build", ROOT / "lessons" / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)

UNITS = [folder.name for folder in lesson.folders()]
each_unit = pytest.mark.parametrize("unit", UNITS)
BUILT = [(kind, unit) for kind in ("notebooks", "exercises", "solutions") for unit in UNITS]
each_notebook = pytest.mark.parametrize("kind, unit", BUILT)


def read(kind, unit):
    return nbformat.read(ROOT / kind / f"{unit}.ipynb", as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_what_is_committed_is_what_the_lessons_say():
    for path, built, executed in build.targets():
        assert build.out_of_date(built, path, executed) is None, path
    assert build.strays() == []


def test_building_twice_gives_the_same():
    first, second = ([nbformat.writes(built) for _, built, _ in build.targets()] for _ in range(2))
    assert first == second


@each_notebook
def test_notebooks_are_valid_and_small(kind, unit):
    nbformat.validate(read(kind, unit))
    ids = [cell.id for cell in read(kind, unit).cells]
    assert len(set(ids)) == len(ids)
    assert (ROOT / kind / f"{unit}.ipynb").stat().st_size < 3e6


@each_unit
@pytest.mark.parametrize("kind", ["notebooks", "solutions"])
def test_outputs_are_there(kind, unit):
    """nbval passes cells without an execution count unchecked, so none may lack one."""
    cells = code(read(kind, unit))
    assert all(cell.execution_count for cell in cells)
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    checked = [cell for cell in cells if re.search(r"^check\(", cell.source, re.MULTILINE)]
    assert bool(checked) == (kind == "solutions")
    for cell in checked:
        assert "nbval-check-output" in cell.metadata.tags
        assert cell.outputs[0].data["text/plain"].startswith("✓")


@each_unit
def test_exercises_have_no_outputs_and_no_solutions(unit):
    notebook = read("exercises", unit)
    assert not any(cell.outputs or cell.execution_count for cell in code(notebook))
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "SOLUTION" not in text and "### " not in text
    for part in lesson.workbook(unit).parts:
        elsewhere = {line.strip() for cell in part.cells for line in part.cut(cell.source).splitlines()}
        for cell in part.cells:
            for _, solution in lesson.SOLUTION.findall(cell.source):
                lines = [line.strip() for line in solution.splitlines() if line.strip()]
                own = [line for line in lines if line not in elsewhere and len(line) > 8]
                assert own, part.id
                assert not [line for line in own if line in {line.strip() for line in text.splitlines()}], part.id
        if part.kind == "exercise":
            assert f'raise NotImplementedError("Exercise {part.id}: ' in text
            assert all(hint not in text for hint in part.hints), "hints are asked for"
            assert part.check not in text
        if part.kind == "predict":
            assert f'predict("{part.id}", ...)' in text


@each_notebook
def test_every_notebook_opens_with_links_that_lead_somewhere(kind, unit):
    opening = read(kind, unit).cells[0].source
    links = re.findall(r"\]\((\.\./[^)]+)\)", opening)
    assert {link.split("/")[1] for link in links} - {"my-work"} == {"notebooks", "exercises", "solutions"} - {kind}
    for cell in read(kind, unit).cells:
        for link in re.findall(r"\]\(([^)#:]+)\)", cell.source) if cell.cell_type == "markdown" else ():
            assert (ROOT / kind / link.replace("my-work", "exercises")).exists(), link


@each_unit
def test_an_exercise_notebook_opens_with_what_it_needs_and_gives(unit):
    opening = read("exercises", unit).cells[0].source
    for promise in ("**You need:**", "**Time:** about", "**Afterwards you can:**"):
        assert promise in opening


@each_notebook
def test_no_path_of_a_machine_is_in_a_notebook(kind, unit):
    text = (ROOT / kind / f"{unit}.ipynb").read_text()
    for path in (f"{ROOT}/", f"{Path.home()}/", f"{tempfile.gettempdir()}/"):
        assert path not in text, path
    assert "widget-view" not in text and "application/vnd.jupyter.widget-state" not in text


@each_unit
def test_an_unsolved_notebook_fails_only_with_not_implemented(unit, tmp_path):
    notebook = read("exercises", unit)
    environment = os.environ | {"WORKBOOK_PROGRESS": str(tmp_path / "progress.json")}
    NotebookClient(notebook, timeout=300, allow_errors=True, resources={"metadata": {"path": str(ROOT / "exercises")}}).execute(env=environment)
    errors = [(cell.source, output.ename) for cell in code(notebook) for output in cell.outputs if output.output_type == "error"]
    assert not [error for error in errors if error[1] != "NotImplementedError"]
    for cell in code(notebook):
        if re.search(r"^check\(", cell.source, re.MULTILINE):
            assert cell.outputs[0].data["text/plain"].startswith("○"), "not attempted"


def test_the_builder_refuses_exercises_in_a_lecture(monkeypatch, tmp_path):
    folder = tmp_path / "00_start_here"
    shutil.copytree(lesson.LESSONS / "00_start_here", folder)
    monkeypatch.setattr(lesson, "LESSONS", tmp_path)
    (folder / "lecture.py").write_text("# %% [markdown]\n# # Title\n\n# %%\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n")
    with pytest.raises(lesson.LessonError, match="exercises belong in workbook.py"):
        build.lecture(folder / "lecture.py")


def test_check_notices_every_kind_of_drift(tmp_path):
    path, built, _ = next(target for target in build.targets() if target[2])
    copy = tmp_path / "copy.ipynb"
    assert build.out_of_date(built, copy, True) == "is missing"
    for change, says in ((lambda nb: nb.cells[1].update(source="x = 1"), "differs from its source"),
                         (lambda nb: nb.cells[0].update(id="abc"), "differs from its source"),
                         (lambda nb: nb.metadata.update(source_sha256="0"), "differs from its source"),
                         (lambda nb: code(nb)[0].update(execution_count=None), "has cells that were never run"),
                         (lambda nb: [cell.update(outputs=[]) for cell in code(nb)], "has no outputs")):
        notebook = nbformat.read(path, as_version=4)
        change(notebook)
        nbformat.write(notebook, copy)
        assert build.out_of_date(built, copy, True) == says


def test_a_cell_over_its_budget_is_reported(tmp_path):
    cells = [nbformat.v4.new_code_cell("import time; time.sleep(1.2)", metadata={"budget": 1}), nbformat.v4.new_code_cell("x = 1")]
    seconds, slow = build.execute(nbformat.v4.new_notebook(cells=cells), "solutions", tmp_path / "progress.json")
    assert seconds > 1.2 and len(slow) == 1 and "budget 1 s" in slow[0]


def test_the_command_says_what_is_out_of_date():
    done = subprocess.run([sys.executable, ROOT / "lessons" / "build.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
