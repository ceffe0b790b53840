"""The experiment on evidence: its reckoning, on digits in place of ImageNet pictures."""
import json

import pytest
import torch

from experiments import evidence
from helpers import attacks, attribution, data


@pytest.fixture
def case(cnn, monkeypatch):
    monkeypatch.setattr(evidence, "EPS", 0.2)
    monkeypatch.setattr(evidence, "STEP", 0.02)
    some, background = data.load("mnist5k")[:30], data.load("mnist5k", "train").images[:20]
    some = some[~attacks.fooled(cnn, some.images, some.labels)]
    logits, resting = attacks.scores(cnn, some.images), attacks.scores(cnn, background).mean(0)
    return cnn, some, logits, resting, background


def test_evidence_is_the_sum_of_the_expected_gradients(case):
    model, some, logits, resting, background = case
    maps = attribution.expected_gradients(model, some.images[:5], logits[:5].argmax(1), background, n_samples=2000)
    assert torch.allclose(maps.flatten(1).sum(1), evidence.evidence(logits[:5], resting), atol=0.35)


def test_rows_hold_what_was_measured(case):
    clean = evidence.row_of("clean", *case, None)
    assert clean["picture"] == list(range(len(case[1]))) and len(clean["drawn"]) == len(clean["evidence"]) and "succeeds" not in clean
    for kind in ("random", "at once", "choice 2", "adaptive"):
        row = evidence.row_of(kind, *case, clean)
        hits = row["succeeds"]
        assert hits["n"] == len(case[1]) and round(hits["share"] * hits["n"]) == len(row["evidence"]) == len(row["picture"]) > 10
        assert 0 <= row["AUC of evidence"]["auc"] <= 1 and row["misses"]["n"] + sum(p % 2 == 0 for p in row["picture"]) == len(row["picture"])
        assert ("AUC of drawn" in row) == (kind in evidence.DRAWN)


def test_targets_are_other_classes_and_choices_are_the_networks(case):
    _, some, logits, *_ = case
    assert (evidence.targets_of("random", logits, some.labels) != some.labels).all()
    assert torch.equal(evidence.targets_of("choice 2", logits, some.labels), logits.topk(2).indices[:, 1])


def test_steering_pulls_the_evidence_to_what_is_wanted(case):
    model, some, logits, resting, _ = case
    targets, wanted = evidence.targets_of("choice 2", logits, some.labels), torch.tensor(14.0)
    far = {}
    for loss in ("cross_entropy", evidence.steering(resting, wanted)):
        moved = attacks.scores(model, evidence.attacked(model, some.images, targets, eps=0.3, steps=20, loss=loss))
        far[loss] = (evidence.evidence(moved, resting) - wanted).abs().mean().item()
    plain, steered = far.values()
    assert steered < plain / 2


@pytest.mark.parametrize("network", ["mobilenet_v2", "squeezenet1_0"])
def test_the_verdicts_follow_from_the_table(network):
    table = json.loads(evidence.results_of(network).read_text())
    rows = {row["what"]: row for row in table["rows"]}
    assert table["network"] == network and set(rows) - {"pairs", "grid"} == {"clean", *evidence.ROWS}
    for kind in evidence.ROWS:
        judged = evidence.judged(rows["clean"], rows[kind])
        assert judged == {key: rows[kind][key] for key in judged}, kind
