"""The experiments of unit 07 measure what they say."""
import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from experiments import neurons, neurons224
from helpers import data, models
from helpers.visualisation import features

RESULTS = json.loads(neurons.RESULTS.read_text())["rows"]


def row(kind, network):
    return next(row for row in RESULTS if (row["kind"], row["network"]) == (kind, network))


def test_what_fires_for_digits():
    seen = features(models.load("mnist5k/robust-l2"), data.load("mnist5k").images)
    kept = row("activity", "mnist5k/robust-l2")
    assert kept["never on"] == (seen.amax(0) == 0).sum() == 78 and len(kept["most"]) == len(kept["fires for"]) == 100
    assert kept["most"] == pytest.approx(seen.amax(0).tolist(), abs=0.01) and kept["fires for"] == pytest.approx((seen > 0).double().mean(0).tolist(), abs=0.003)


@pytest.mark.data("cifar10")
def test_what_fires_for_some_of_the_pictures_is_what_the_table_of_all_says():
    seen = features(models.load("cifar10/robust-l2"), data.load("cifar10").images[:1000])
    kept = row("activity", "cifar10/robust-l2")
    assert (seen.amax(0) <= torch.tensor(kept["most"]) + 0.01).all() and kept["n"] == 10_000
    assert torch.corrcoef(torch.stack([(seen > 0).double().mean(0), torch.tensor(kept["fires for"], dtype=torch.float64)]))[0, 1] > 0.95


def test_names_and_classes_are_the_same_measurement():
    for network, guesses in neurons.GUESSES.items():
        classes, names = row("classes", network), row("names", network)["neurons"]
        assert [entry["guess"] for entry in names] == list(guesses.values())
        for entry in names:
            areas = classes["auc"][entry["neuron"]]
            assert entry["auc"] == areas[classes["classes"].index(entry["guess"])] and entry["its auc"] == max(areas) == areas[classes["classes"].index(entry["best class"])]
            assert entry["rank of the guess"] == 1 + sum(area > entry["auc"] for area in areas)
            assert entry["interval"][1] - entry["interval"][0] < 0.045      # "good to 0.02", in the workbook
        assert [max(areas) for areas in classes["auc"]] == row("axes", network)["neurons"]["auc of each"]


def test_interval_of_an_auc():
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


def test_a_picture_of_the_images_that_excite_a_neuron(tmp_path):
    some = data.load("cifar10-samples")
    neurons.pictures(tmp_path / "few.png", "cifar10/robust-l2", (9, 62), some, {"frog": some.images[[4]]}, steps=1)
    assert (tmp_path / "few.png").stat().st_size > 10_000 and [path.name for path in tmp_path.iterdir()] == ["few.png"]


def test_a_small_inversion():
    r = neurons.inversion_row("mnist5k/robust-l2", pairs=4, steps=5)
    assert r["mean distance"]["found"]["features"] < r["mean distance"]["start"]["features"] and r["moved by"] > 0
    assert r["third network says wanted"]["n"] == 4


def test_a_double_exposure_lies_on_the_line_and_an_unrelated_image_far_off_it():
    ends = torch.randn(3, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert neurons.off_the_line(ends, ends.mean(1)).tolist() == [0, 0, 0]
    assert neurons.off_the_line(ends, ends[:, 0]).tolist() == pytest.approx([1, 1, 1])
    assert neurons.off_the_line(ends, torch.randn(3, 3, 32, 32)).tolist() == pytest.approx([3 ** 0.5] * 3, abs=0.1)


def test_a_short_way_between_two_images():
    r = neurons.between_row("mnist5k/robust-l2", pairs=4, steps=5)
    assert r["shares"] == [0, 0.25, 0.5, 0.75, 1] and r["off the line"]["mean"] > 0
    exposed = r["double exposure"]
    assert exposed["features"][0] == exposed["features"][4] == 0 < exposed["features"][2]
    assert exposed["third network says the first"][0] == exposed["third network says the second"][4] == 4
    wanted, start = neurons.pairs_of("mnist5k/robust-l2", 4)
    assert (wanted.labels != start.labels).all() and all(len(counts) == 5 for counts in r["found"].values())


def test_the_ends_of_the_ways_between_are_the_pictures_themselves():
    for r in RESULTS:
        if r["kind"] == "between":
            assert r["pairs"] == 100 and all(len(way[key]) == 5 for way in (r["found"], r["double exposure"]) for key in way)
            assert all(r["double exposure"][f"{who} says the {which}"][end] >= 70 for who in ("third network", "itself") for which, end in (("first", 0), ("second", 4)))
            assert row("between", r["network"]) == r


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
