"""Every check accepts the solution and at least one other right answer, and rejects the stub and every mutant with its diagnosis."""
import functools
import importlib
import re

import pytest

from helpers import course, lesson

from . import mutants

PARTS = [part for folder in lesson.folders() for part in lesson.workbook(folder.name).parts if part.kind == "exercise"]
for folder in lesson.folders():
    importlib.import_module(f"tests.mutants.unit{folder.name[:2]}")
ids = [part.id for part in PARTS]


@functools.cache
def answers(unit, solved):
    """What a notebook of this unit defines: with the solutions, or as the learner finds it."""
    book = lesson.workbook(unit)
    space = {}
    for cell in book.opening:
        if cell.cell_type == "code":
            exec(cell.source, space)
    for part in book.parts:
        for cell in part.cells:
            if lesson.BEGIN in cell.source:
                exec(cell.source if solved else part.cut(cell.source), space)
    return space


def answer(part, solved):
    return answers(lesson.unit_of(part.id), solved)[part.target]


@pytest.mark.parametrize("part", PARTS, ids=ids)
def test_the_solution_is_accepted(part):
    result = course.run_check(part.id, answer(part, True))
    assert result.status == "correct", result


@pytest.mark.parametrize("part", PARTS, ids=ids)
def test_another_right_answer_is_accepted(part):
    assert mutants.RIGHT.get(part.id), "no other right answer"
    for other in mutants.RIGHT[part.id]:
        result = course.run_check(part.id, other)
        assert result.status == "correct", f"{other.__name__}: {result}"


@pytest.mark.parametrize("part", PARTS, ids=ids)
def test_the_stub_counts_as_not_attempted(part):
    result = course.run_check(part.id, answer(part, False))
    assert result.status == "not attempted" and part.target in result.text


@pytest.mark.parametrize("part", PARTS, ids=ids)
def test_there_are_enough_mutants(part):
    assert len(mutants.WRONG[part.id]) >= (5 if part.core else 3)


MUTANTS = [(id, mutant, says) for id, entries in mutants.WRONG.items() for mutant, says in entries]


@pytest.mark.parametrize("id, mutant, says", MUTANTS, ids=[f"{id}-{mutant.__name__}" for id, mutant, _ in MUTANTS])
def test_a_mutant_is_rejected_with_its_diagnosis(id, mutant, says):
    result = course.run_check(id, mutant)
    assert result.status != "correct"
    assert says in result.text, result


@pytest.mark.parametrize("part", PARTS, ids=ids)
def test_a_result_instead_of_the_function_is_the_wrong_type(part):
    result = course.run_check(part.id, 3.0)
    assert result.status == "wrong type or shape" and f'check("{part.id}", {part.target})' in result.text


def test_every_mutant_belongs_to_an_exercise():
    assert set(mutants.WRONG) | set(mutants.RIGHT) == set(ids)


def test_checks_do_not_import_solutions():
    for part in PARTS:
        assert not re.search(r"solutions|lesson\.", part.check)
