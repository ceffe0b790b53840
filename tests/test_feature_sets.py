"""The committed training sets of unit 05 are what they are said to be."""
import pytest
import torch

from helpers import attacks, data, models
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
