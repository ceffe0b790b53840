"""The pictures of unit 07 are what they are said to be; its experiments measure what they say, and write rows that a stopped run goes on from."""
import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from experiments import neurons, neurons224
from helpers import data, models
from helpers.visualisation import features

RESULTS = json.loads(neurons.RESULTS.read_text())["rows"]
needs_cifar10 = pytest.mark.skipif(not data.available("cifar10"), reason="no full CIFAR-10 in $WORKBOOK_DATA")


def row(kind, network):
    return next(row for row in RESULTS if (row["kind"], row["network"]) == (kind, network))


@needs_cifar10
def test_the_small_sets_are_the_pictures_of_the_test_set_that_they_are_said_to_be():
    test = data.load("cifar10")
    top = torch.tensor(row("top", "cifar10/robust-l2")["images"])[:, :3].unique()
    for name, wanted in (("cifar10-top", test[top]), ("cifar10-300", test.per_class(30))):
        some = data.load(name)
        assert torch.equal(some.images, wanted.images) and torch.equal(some.labels, wanted.labels)


def test_three_hundred_pictures_thirty_a_class():
    assert data.load("cifar10-300").labels.bincount().tolist() == [30] * 10


def test_a_sheet_is_read_as_it_was_written(tmp_path, monkeypatch):
    some = data.load("cifar10-300")[torch.arange(23)]     # the second row of the sheet is not full
    monkeypatch.setattr(neurons, "SETS", tmp_path / "sets")
    neurons.keep("few", some)
    monkeypatch.setattr(data, "__file__", str(tmp_path / "data.py"))
    pixels, labels, classes = data._read_sheet("few")("test")
    assert torch.equal(torch.as_tensor(pixels.copy()).permute(0, 3, 1, 2).float() / 255, some.images)
    assert labels.tolist() == some.labels.tolist() and classes == some.classes


def test_the_digits_that_excite_each_neuron_most():
    seen = features(models.load("mnist5k/robust-l2"), data.load("mnist5k").images)
    kept = row("top", "mnist5k/robust-l2")
    assert kept["never on"] == (seen.amax(0) == 0).sum() == 78 and len(kept["images"]) == 100
    for j, places in enumerate(kept["images"]):
        assert places == (seen[:, j].topk(9).indices.tolist() if seen[:, j].any() else [])


def test_auc_with_ties():
    values = torch.tensor([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    assert neurons.auc(values, torch.tensor([True, False, True, False, True])).tolist() == [0.75, 0.5]
    low, high = neurons.interval(0.8, 1000, 9000)
    assert low < 0.8 < high and high - low < 0.04


def test_purity_is_the_share_of_the_commonest_class_among_the_top_nine():
    labels = torch.tensor([0] * 6 + [1] * 14)
    assert neurons.purity(torch.arange(20.0).neg()[:, None], labels).tolist() == pytest.approx([6 / 9])


def test_the_lead_of_a_row_is_that_of_its_means():
    for r in RESULTS:
        if r["kind"] == "axes":
            for what in ("auc", "purity"):
                lead = r["lead over random"][what]
                assert lead["mean"] == pytest.approx(r["neurons"][what]["mean"] - r["random"][what]["mean"], abs=2e-4)
                assert lead["interval"][0] < lead["mean"] < lead["interval"][1]


def test_guesses_are_of_the_neurons_that_were_drawn():
    drawn = torch.randperm(256, generator=torch.Generator().manual_seed(7))[:16].tolist()
    for guesses in neurons.GUESSES.values():
        assert list(guesses) == [j for j in drawn if j not in (66, 163)] and set(guesses.values()) <= set(data.CIFAR10)


def test_a_row_that_is_there_is_not_made_again(tmp_path):
    file, made = tmp_path / "results" / "few.json", []
    for network in ("b", "a", "b"):
        neurons.rows_into(file, "kind", network, lambda network: made.append(network) or {"x": 1})
    assert made == ["b", "a"] and [r["network"] for r in json.loads(file.read_text())["rows"]] == ["a", "b"]
    assert [path.name for path in file.parent.iterdir()] == ["few.json"]


def test_a_small_inversion():
    r = neurons.inversion_row("mnist5k/robust-l2", pairs=4, steps=5)
    assert r["mean distance"]["found"]["features"] < r["mean distance"]["start"]["features"] and r["moved by"] > 0
    assert r["third network says wanted"]["n"] == 4


def test_the_large_pictures(tmp_path):
    torch.manual_seed(0)
    network = SimpleNamespace(features=nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU6())).eval())

    class Tiny(nn.Sequential):
        def __iter__(self):
            return iter((nn.Identity(), network))
    some = data.load("imagenet-samples")[:2]
    neurons224.main(tmp_path, neurons=(1, 3), some=data.ImageSet("few", "test", some.images[:, :, :32, :32], some.labels, some.classes), model=Tiny(), steps=2, waves=2)
    kept = json.loads((tmp_path / "neurons224.json").read_text())
    assert [r["neuron"] for r in kept["rows"]] == [1, 3] and (tmp_path / "neurons224.png").stat().st_size > 10_000
    assert {"from a photograph", "from noise", "from grey", "waves", "waves, moved"} < kept["rows"][0].keys()
