"""Experiments: a stopped run goes on; and what the results of unit 06 are, is what its kernels say."""
import json

import pytest
import torch

from experiments import few_examples, overfitting, traversal
from experiments.rows import lines_of, rows_into
from helpers import data, models
from helpers.visualisation import class_traversal


def test_what_is_there_is_not_measured_again(tmp_path):
    file, made = tmp_path / "results.json", []

    def run(keys, settings):
        return rows_into(file, settings, keys, lambda kind, size: made.append(kind) or {"value": 2 * size})
    first = run([{"kind": "a", "size": 1}], {"eps": (0.5, 1)})
    assert first == [{"kind": "a", "size": 1, "value": 2}] and json.loads(file.read_text()) == {"eps": [0.5, 1], "rows": first}
    both = run([{"kind": "b", "size": 1}, {"kind": "a", "size": 1}], {"eps": (0.5, 1)})
    assert made == ["a", "b"] and both == [*first, {"kind": "b", "size": 1, "value": 2}] and json.loads(file.read_text())["rows"] == both
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"], "nothing half written stays"
    assert len(run([{"kind": "a", "size": 1}], {"eps": 2})) == 1 and made == ["a", "b", "a"], "rows of other settings do not count"


def test_lists_of_numbers_stand_on_one_line():
    table = {"eps": 0.5, "rows": [{"what": "a", "values": [1, -2.5, 1e-7], "of": {"n": [3, 4]}}, {"what": "b", "values": []}]}
    assert json.loads(lines_of(table)) == table and '"values": [ 1, -2.5, 1e-07 ]' in lines_of(table)


def test_a_run_that_fails_keeps_the_rows_before_it(tmp_path):
    def row_of(kind):
        return {"value": 1 / kind}
    with pytest.raises(ZeroDivisionError):
        rows_into(tmp_path / "some.json", {}, [{"kind": 2}, {"kind": 0}], row_of)
    assert json.loads((tmp_path / "some.json").read_text())["rows"] == [{"kind": 2, "value": 0.5}]


# ---- unit 06 ----

def test_the_verdicts_follow_from_the_table():
    table = json.loads(traversal.RESULTS.read_text())
    assert json.loads(json.dumps(traversal.verdicts(table))) == table["verdicts"]
    assert len(table["pairs"]) == 20 and all(row["digits"] == traversal.PER_CLASS for row in table["pairs"])


def test_judges_know_real_digits():
    """Networks know nearly all of them, the nearest neighbour most; one in twenty or so is too far from the others, noise always."""
    judges, test, robust = traversal.Judges(), data.load("mnist5k")[:100], models.load("mnist5k/robust-l2")
    said, distance = judges(robust, test.images, test.labels)
    assert all(said[kind].float().mean() > 0.9 for kind in ("itself", "judge", "second", "near")) and all(said[kind].float().mean() > 0.8 for kind in ("neighbour", "both", "strict"))
    bank = data.load("mnist5k", "train").images
    assert distance[7] == pytest.approx((bank - test.images[7]).flatten(1).norm(dim=1).min().item(), abs=1e-3)
    said, _ = judges(robust, torch.rand(10, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(10))
    assert not said["near"].any() and not said["strict"].any()


def test_a_row_of_the_table_is_what_the_traversal_gives(monkeypatch):
    """The first three 5s again: counts by digit are those of the committed row, but for a pair or two (other processors round otherwise)."""
    monkeypatch.setattr(traversal, "PER_CLASS", 3)
    row = traversal.from_one_class("robust", 5, traversal.Judges())
    there, = (row for row in json.loads(traversal.RESULTS.read_text())["pairs"] if (row["network"], row["from"]) == ("robust", 5))
    for kind in ("judge", "neighbour", "strict"):
        ours, theirs = ([int(count) for count in some["halfway"]["by_digit"][kind][:3]] for some in (row, there))
        assert all(abs(a - b) <= 1 for a, b in zip(ours, theirs)), kind


def test_moved_and_moved_back_is_the_digit_again():
    digits = data.load("mnist5k").per_class(1)
    there = traversal.moved(digits.images, 2)
    assert not torch.equal(there, digits.images) and torch.equal(traversal.moved(there, -2)[..., 4:-4, 4:-4], digits.images[..., 4:-4, 4:-4])


def test_each_digit_stands_beside_nine_targets():
    some = data.load("mnist5k").per_class(1)
    x, targets = traversal.pairs(some)
    assert len(x) == 90 and (targets.view(10, 9) != some.labels[:, None]).all() and torch.equal(x[::9], some.images)
    path = class_traversal(models.load("mnist5k/robust-l2"), x[:9], targets[:9], of="logit", step_size=0.5, steps=2)
    assert path.shape == (3, 9, 1, 28, 28)


def test_rows_of_the_inner_attack_and_of_few_examples(monkeypatch):
    monkeypatch.setattr(overfitting, "EPOCHS", 1)
    row = overfitting.trained("one step", "linf", 0.1)
    assert len(row["clean"]) == len(row["robust"]) == len(row["single_step"]) == 1 and row["test_clean"]["n"] == 300
    assert row["test_robust"]["share"] <= row["test_clean"]["share"]
    monkeypatch.setattr(few_examples.attacks, "robust_accuracy", lambda model, images, labels, eps, **_: (None, torch.zeros(len(images), dtype=torch.bool)))
    row = few_examples.measured("adversarial", 100, minibatches=2)
    assert row["train_clean"]["n"] == 100 and row["test_clean"]["n"] == 1000 and row["test_robust"]["share"] == 0
