"""The training sets of unit 05 are what they are said to be; so are the rows of its experiments."""

import pytest
import torch

from experiments import feature_sets, switch
from helpers import attacks, data, models, planted
from helpers.visualisation import features

digits = data.load("mnist5k", "train")


@pytest.mark.parametrize("name", ["digits-rand", "digits-det"])
def test_moved_a_little_and_labelled_wrongly(name):
    made = data.load(name, "train")
    assert made.images.shape == digits.images.shape and made.classes == digits.classes
    assert (made.labels != digits.labels).all() and (name == "digits-rand" or torch.equal(made.labels, (digits.labels + 1) % 10))
    assert (made.images - digits.images).flatten(1).norm(dim=1).max() < 3.1, "eps, and rounding to bytes"
    assert attacks.accuracy(models.load("mnist5k/standard"), made.images, made.labels) > 0.85, "the standard network agrees with the labels"
    assert attacks.accuracy(models.load("mnist5k/standard"), made.images, digits.labels) < 0.1


@pytest.mark.parametrize("name, network, nearer", [("digits-robust", "robust-l2", 0.35), ("digits-nonrobust", "standard", 0.8)])
def test_other_images_with_the_features_of_the_digit(name, network, nearer):
    made, model = data.load(name, "train"), models.load(f"mnist5k/{network}")
    assert torch.equal(made.labels, digits.labels)
    wanted = features(model, digits.images)
    distance = (features(model, made.images) - wanted).norm(dim=1)
    apart = (wanted.roll(1, 0) - wanted).norm(dim=1)
    assert distance.mean() < nearer * apart.mean()
    assert (made.images - digits.images).flatten(1).norm(dim=1).mean() > 5, "and yet other images"


def test_there_is_no_test_part():
    with pytest.raises(ValueError, match="digits-rand has the split 'train'"):
        data.load("digits-rand")


FEW = dict(eps=0.5, attack_steps=3, steps=3, step_size=0.5)


def test_the_sets_of_a_few_colour_pictures():
    some = data.load("cifar10-samples")
    networks = models.load("cifar10/standard"), models.load("cifar10/robust-l2")
    sets = {kind: feature_sets.made(kind, *networks, some.images, some.labels, **FEW) for kind in feature_sets.PUBLISHED}
    assert sets["originals"][0] is some.images
    for kind in ("rand", "det"):
        images, labels = sets[kind]
        assert (labels != some.labels).all() and (images - some.images).flatten(1).norm(dim=1).max() < 0.5001
        assert attacks.accuracy(networks[0], images, labels) > 0.5
    for kind, network in (("robust", networks[1]), ("nonrobust", networks[0])):
        images, labels = sets[kind]
        assert labels is some.labels and images.min() >= 0 and images.max() <= 1
        start = some.images[torch.randperm(20, generator=_after_the_targets())]
        wanted = features(network, some.images)
        assert ((features(network, images) - wanted).norm(dim=1) <= (features(network, start) - wanted).norm(dim=1)).all()


def _after_the_targets():
    generator = torch.Generator().manual_seed(0)
    torch.randint(1, 10, (20,), generator=generator)
    return generator


def test_a_row_of_a_made_set():
    some = data.load("cifar10-samples")
    row = feature_sets.measured("originals", some, some, epochs=1, attacked=4, batch_size=10, **FEW)
    assert row["clean"]["n"] == 20 and row["attacked"]["n"] == 4 and row["moved"] == 0 and row["published clean"] is None


def test_a_row_of_the_switch(tmp_path):
    row, = switch.main(tmp_path / "switch.json", sizes=(4.0,), shares=(0.0,), epochs=1, n=200)
    assert row["size"] == 4 and row["eps"] == 0 and row["shape"]["n"] == row["pattern"]["n"] == 500


def test_a_louder_pattern_is_the_same_image_with_more_of_it():
    some = planted.draw(20, seed=3, disagree=True)
    assert torch.equal(switch.louder(some.images, some.patterns, 1.0), some.images)
    more = switch.louder(some.images, some.patterns, 2.0) - some.images
    assert (more - planted.pattern_of_each_class()[some.patterns]).abs().max() < 0.01, "but for the ends of the box"
