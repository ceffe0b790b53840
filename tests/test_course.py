"""check, hint, reveal, predict and progress, as a learner meets them."""
import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import course, lesson

UNIT = '''\
# %% [markdown]
# # 77 · A unit
# **You need:** nothing. **Afterwards you can:** add.

# %%
x = 1

# %% setup="checks"
from helpers.checking import Wrong, WrongType

# %% [markdown] exercise="77.1" minutes=2 difficulty=1 core=true
# ## Add

# %%
def add(a, b):
    ### BEGIN SOLUTION
    return a + b
    ### END SOLUTION

# %%
check("77.1", add)

# %% [markdown] hints="77.1"
# - first `hint`
# - second hint

# %% check="77.1"
def check(add):
    import torch
    torch.rand(3)
    out = add(1, 2)
    if not isinstance(out, int):
        raise WrongType("wanted int")
    if out != 3:
        raise Wrong("*not* the sum")
    return "a sum."

# %% [markdown] predict="77.2" minutes=1 core=true low=0 high=10 unit="apples"
# ## Guess

# %%
predict("77.2", 4)

# %% answer="77.2"
def answer(guess):
    return f"It was 5, off by {5 - guess}."

# %% [markdown] predict="77.3" minutes=1 core=false choices=["up","down"]
# ## Guess again

# %%
predict("77.3", "up")

# %% answer="77.3"
def answer(guess):
    return "Down."
'''


@pytest.fixture(autouse=True)
def unit(monkeypatch, tmp_path):
    """A course with one small unit, nothing done, nothing asked yet."""
    folder = tmp_path / "lessons" / "77_a_unit"
    folder.mkdir(parents=True)
    (folder / "workbook.py").write_text(UNIT)
    monkeypatch.setattr(lesson, "LESSONS", tmp_path / "lessons")
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "my-work" / "progress.json"))
    monkeypatch.setattr(course, "_hints_shown", {})
    monkeypatch.setattr(course, "_asked_to_reveal", set())
    return folder


@pytest.fixture
def shown(monkeypatch):
    """Every result shown, as (text, html)."""
    results = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: results.append((data["text/plain"], data["text/html"])))
    return results


def add(a, b):
    return a + b


def kept():
    return json.loads(course._file().read_text())


@pytest.mark.parametrize("answer, status, says", [
    (add, "correct", "a sum."),
    (lambda a, b: a - b, "wrong", "*not* the sum"),
    (lambda a, b: "3", "wrong type or shape", "wanted int"),
    (3, "wrong type or shape", "hand over the function itself"),
    (lambda a, b: 1 / 0, "wrong", "ZeroDivisionError: division by zero"),
    (lambda a: a, "wrong", "TypeError"),
])
def test_a_check_distinguishes(answer, status, says):
    result = course.run_check("77.1", answer)
    assert (result.status, says in result.text) == (status, True), result


def test_not_attempted_and_not_attempted_elsewhere():
    def stub(a, b):
        raise NotImplementedError("Exercise 77.1: write add")

    def leans_on_another(a, b):
        raise NotImplementedError("Exercise 77.9: write multiply")
    assert 'hint("77.1")' in course.run_check("77.1", stub).text
    result = course.run_check("77.1", leans_on_another)
    assert result.status == "not attempted" and "77.9" in result.text


def test_an_error_is_traced_to_the_learners_line():
    def add(a, b):
        total = a + b
        return total.append(3)
    said = course.run_check("77.1", add).text
    assert "AttributeError" in said and "`add`" in said and "total.append(3)" in said


def test_a_result_is_one_output_with_one_line_of_text_and_a_box(shown):
    course.check("77.1", add)
    (text, box), = shown
    assert text == "✓ 77.1 correct: a sum."
    assert "border-left:4px solid" in box and "<b>77.1 correct</b>" in box
    assert "color:#000" not in box and "color:black" not in box and "background:white" not in box, "readable in light and dark themes"


def test_what_came_is_escaped(shown):
    course.Result("wrong", "`<script>`", "1.1", "<img>").show()
    assert "<script>" not in shown[0][1] and "<img>" not in shown[0][1]


def test_checking_leaves_the_random_state_alone():
    import torch
    before = torch.get_rng_state()
    course.run_check("77.1", add)
    assert torch.equal(torch.get_rng_state(), before)


def test_hints_come_one_by_one(shown):
    for _ in range(3):
        course.hint("77.1")
    assert [text.split(":")[0] for text, _ in shown] == ["→ 77.1 hint 1 of 2", "→ 77.1 hint 2 of 2", "→ 77.1 hint 2 of 2"]
    assert "first" in shown[0][0] and 'reveal("77.1")' in shown[1][0]


def test_reveal_asks_first(shown):
    course.reveal("77.1")
    assert "sure?" in shown[0][0] and "2 hints" in shown[0][0] and "return a + b" not in shown[0][0]
    course.reveal("77.1")
    assert "return a + b" in shown[1][0] and "SOLUTION" not in shown[1][0]
    assert kept()["revealed"] == {"77.1": True}


def test_predict_wants_a_guess_first_and_keeps_the_first(shown):
    course.predict("77.2", ...)
    assert "number from 0 to 10 apples" in shown[-1][0] and "It was" not in shown[-1][0]
    for odd in (11, -1, "four", None, True):
        course.predict("77.2", odd)
        assert "a guess is a number from 0 to 10" in shown[-1][0]
    assert not course._file().exists()
    course.predict("77.2", 4)
    assert "you said 4 apples" in shown[-1][0] and "It was 5, off by 1." in shown[-1][0]
    course.predict("77.2", 5)
    assert "you said 4 apples (this time 5; the first guess counts)" in shown[-1][0] and "off by 1" in shown[-1][0]
    assert kept()["guesses"] == {"77.2": 4}


def test_a_result_in_plain_text_keeps_its_code():
    result = course.Result("note", "*not* `a * b`, **but** `c * d`: 2 * 3", "1.1")
    assert str(result) == "→ 1.1: not a * b, but c * d: 2 * 3"


def test_pytorchs_own_not_implemented_is_an_error_of_the_learner():
    import torch
    result = course.run_check("77.1", lambda a, b: torch.tensor([True]).mean())
    assert result.status == "wrong" and ".float()" in result.text


def test_a_solution_looked_at_afterwards_is_not_held_against_anyone(shown):
    course.check("77.1", add)
    course.reveal("77.1")
    course.reveal("77.1")
    course.progress(77)
    assert "solution seen" not in shown[-1][0] and "✓ 77.1 Add" in shown[-1][0]


def test_predict_among_choices(shown):
    course.predict("77.3", "sideways")
    assert "one of 'up', 'down'" in shown[-1][0]
    course.predict("77.3", "down")
    assert "you said down. Down." in shown[-1][0]


def test_progress_counts_what_is_done(shown):
    course.check("77.1", lambda a, b: 0)
    course.progress()
    assert "0 of 3" in shown[-1][0]
    course.check("77.1", add)
    course.predict("77.3", "up")
    course.progress("77")
    assert "77 · A unit: 2 of 3" in shown[-1][0]
    assert "✓ 77.1 Add" in shown[-1][0] and "○ 77.2 Guess" in shown[-1][0] and "✓ 77.3 Guess again (optional)" in shown[-1][0]


def test_two_notebooks_lose_nothing():
    script = "import sys; from helpers import course; [course._keep(None, 'done', f'{sys.argv[1]}.{i}', True) for i in range(20)]"
    writers = [subprocess.Popen([sys.executable, "-c", script, str(n)]) for n in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 3
    assert len(kept()["done"]) == 60


def test_a_damaged_file_is_set_aside(shown):
    course._file().parent.mkdir(parents=True)
    course._file().write_text('{"done": {"77')
    course.progress()
    course.check("77.1", add)
    assert kept()["done"] == {"77.1": True}
    assert Path(f"{course._file()}.damaged").read_text() == '{"done": {"77'


def test_progress_that_cannot_be_saved_is_said_and_counts_all_the_same(shown, monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "a file" / "progress.json"))
    course.check("77.1", add)
    assert "✓ 77.1 correct" in shown[0][0] and "could not be saved" in shown[0][0]


@pytest.mark.parametrize("call, says", [
    (lambda: course.check("77.9", add), "unit 77 has no '77.9'. It has: 77.1, 77.2, 77.3"),
    (lambda: course.check(77.1, add), 'as a string, like "3.2", but came as 77.1'),
    (lambda: course.hint("5.1"), "no unit '05'. There is: 77"),
    (lambda: course.check("77.2", add), 'use predict("77.2"'),
    (lambda: course.predict("77.1", 3), 'use check("77.1", add)'),
])
def test_a_wrong_number_gets_a_clear_word_in_a_box(shown, call, says):
    call()
    (text, box), = shown
    assert says in text.replace("`", "") and "<div" in box


def test_nothing_waits_for_input():
    for path in [*Path(course.__file__).parent.glob("*.py"), *Path(__file__).parent.parent.glob("lessons/*/*.py")]:
        calls = [node.func.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
        assert "input" not in calls, path


def test_an_edited_workbook_is_read_again(unit):
    assert lesson.part("77.1").minutes == 2
    (unit / "workbook.py").write_text(UNIT.replace("minutes=2", "minutes=3"))
    import os
    os.utime(unit / "workbook.py", ns=(1, 1))
    assert lesson.part("77.1").minutes == 3


REFUSED = {
    "no minutes": ("minutes=2 ", "", "77.1 has no minutes"),
    "no difficulty": ("difficulty=1 ", "", "77.1 has no difficulty"),
    "no core": (" core=true\n# ## Add", "\n# ## Add", "77.1 must say core=true or core=false"),
    "an id of another unit": ('exercise="77.1"', 'exercise="3.1"', "wanted an id like"),
    "no exercise": ('exercise="77.1" ', "", "no exercise=, predict= or part= with an id"),
    "a misspelt key": ('hints="77.1"', 'hint="77.1"', "unknown hint"),
    "a solution too early": ("x = 1", "### BEGIN SOLUTION\nx = 1\n### END SOLUTION", "a solution before the first exercise"),
    "no id": ('exercise="77.1"', 'exercise=""', "wanted an id like"),
    "one hint": ("# - second hint\n", "", "77.1 has 1 hints, and needs at least two"),
    "no check": ("def check(add):", "def other(add):", "77.1 has no check"),
    "no solution": ("    ### BEGIN SOLUTION\n    return a + b\n    ### END SOLUTION", "    pass", "77.1 has no solution"),
    "an unclosed solution": ("    ### END SOLUTION\n", "", "unbalanced solution marks"),
    "an unopened solution": ("    ### BEGIN SOLUTION\n", "", "unbalanced solution marks"),
    "a misspelt mark": ("### END SOLUTION", "## END SOLUTION", "unbalanced solution marks"),
    "marks the wrong way round": ("    ### BEGIN SOLUTION\n    return a + b\n    ### END SOLUTION",
                                  "    ### END SOLUTION\n    return a + b\n    ### BEGIN SOLUTION", "unbalanced solution marks"),
    "never checked": ('check("77.1", add)\n', "pass\n", '77.1 never calls check("77.1", name)'),
    "no answer": ("def answer(guess):\n    return f", "def other(guess):\n    return f", "77.2 has no answer"),
    "never predicted": ('predict("77.2", 4)', "pass", "77.2 never calls predict"),
    "twice the same id": ('predict="77.2" minutes', 'predict="77.1" minutes', "77.1 is there twice"),
    "no heading": ("# ## Add", "# Add", "must start with '## title'"),
    "no promise": ("**Afterwards you can:**", "Then", "must say **Afterwards you can:**"),
    "hints for nothing": ('hints="77.1"', 'hints="77.8"', "belongs to no part before it"),
}


@pytest.mark.parametrize("old, new, says", REFUSED.values(), ids=REFUSED)
def test_an_incomplete_lesson_is_refused(unit, old, new, says):
    assert UNIT.count(old) >= 1
    (unit / "workbook.py").write_text(UNIT.replace(old, new, 1))
    with pytest.raises(lesson.LessonError) as error:
        lesson.parse(unit / "workbook.py")
    assert says in str(error.value) and "77_a_unit/workbook.py" in str(error.value)


def test_the_complete_lesson_is_not_refused(unit):
    book = lesson.parse(unit / "workbook.py")
    assert [part.id for part in book.parts] == ["77.1", "77.2", "77.3"] and book.minutes() == 3
    assert book.parts[0].solution.split() == "def add(a, b): return a + b".split()
