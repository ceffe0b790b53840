"""Cats and dogs of CIFAR-10 with every label wrong: what does a network learn from them that is right?

    python -m experiments.cats_and_dogs     about half an hour of one core; writes results/cats_and_dogs.json, and makes no row again that is there

1. The practicum's figure (78 %): all 10,000 training pictures moved towards the other class (L2, several eps), labelled with it; a fresh network trained on
   those that fooled the first, tested on the 2,000 clean test pictures. The first network: a small one trained on the same 10,000, or `cifar10/standard`
   (larger, trained on all 50,000) with the outputs of the two classes alone; the fresh one with and without moving and mirroring its pictures.
2. Its hands-on version (over 70 %): a linear classifier on frozen features of `cifar10/robust-l2` and `cifar10/standard` tells airplanes from cats (classes 0 and 3);
   untargeted PGD (step 0.1, 20 steps, eps 1), the fooled images kept, labelled with what it says of them; a new linear classifier learns from these.
"""
import copy
import functools
from pathlib import Path

import torch
from torch import nn

from helpers import attacks, data, measure, models
from helpers.recipes import RECIPES, settings
from helpers.training import train
from helpers.visualisation import features

from .rows import rows_into

RESULTS = Path(__file__).parent.parent / "results" / "cats_and_dogs.json"
EPOCHS, SIZES = 12, (0.5, 1.0, 2.0)
RECIPE = settings(RECIPES["cifar10/standard"]) | {"epochs": EPOCHS}
SMALL, LARGE, MOVED, AS_THEY_ARE = "a small network", "cifar10/standard", "moved and mirrored", "as they are"
TRUE, WRONG, LINEAR = "cats and dogs, true labels", "cats and dogs, every label wrong", "airplanes and cats, linear on frozen features"


def two(split, classes):
    whole_set = data.load("cifar10", split)
    some = whole_set[torch.isin(whole_set.labels, torch.tensor(classes))]
    return some.images, torch.searchsorted(torch.tensor(classes), some.labels)


def fit(images, labels, seed, **options):
    torch.manual_seed(seed)
    model = models.resnet(2, width=16, blocks=(0, 1, 1, 1))
    train(model, images, labels, progress=False, **RECIPE | {"seed": seed} | options)
    return model


def share(model, images, labels):
    return measure.share((~attacks.fooled(model, images, labels)).sum().item(), len(labels))


@functools.cache
def first_network(which):
    if which == SMALL:
        return fit(*two("train", (3, 5)), 0)
    model = copy.deepcopy(models.load(which))
    name, last = last_layer(model)
    pair = nn.Linear(last.in_features, 2)
    pair.weight.data, pair.bias.data = last.weight.data[[3, 5]].clone(), last.bias.data[[3, 5]].clone()
    model.set_submodule(name, pair)
    return model.eval()


@functools.cache
def fooling(first, eps):
    """The training pictures moved to the other class, the class, and which of them fool the first network."""
    images, labels = two("train", (3, 5))
    model = first_network(first)
    moved = torch.cat([attacks.pgd(model, x, 1 - y, eps=eps, norm="l2", steps=20, decay=True, targeted=True) for x, y in zip(images.split(500), labels.split(500))])
    return moved, 1 - labels, attacks.fooled(model, moved, 1 - labels, targeted=True)


def every_label_wrong(first, eps, **options):
    moved, targets, kept = fooling(first, eps)
    second = fit(moved[kept], targets[kept], 1, **options)
    return {"fooled": measure.share(kept.sum().item(), len(kept)), "clean": share(second, *two("test", (3, 5))), "published": 0.78}


def last_layer(model):
    """(name, module) of the last linear layer."""
    return [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]


def head(model, images, labels):
    """`model` with a fresh last layer for two classes; only that one is trained (logistic regression on its features)."""
    model = copy.deepcopy(model)
    seen = torch.cat([features(model, part) for part in images.split(500)])
    torch.manual_seed(0)
    last = nn.Linear(seen.shape[1], 2)
    optimizer = torch.optim.LBFGS(last.parameters(), max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(last(seen), labels) + 1e-4 * last.weight.square().sum()
        loss.backward()
        return loss
    optimizer.step(closure)
    model.set_submodule(last_layer(model)[0], last)
    return model.eval()


def frozen_features(name):
    images, labels = (part[:4000] for part in two("train", (0, 3)))
    test, network = two("test", (0, 3)), models.load(name)
    first = head(network, images, labels)
    moved = torch.cat([attacks.pgd(first, x, y, eps=1.0, norm="l2", steps=20, step_size=0.1) for x, y in zip(images.split(500), labels.split(500))])
    kept = attacks.fooled(first, moved, labels)
    second = head(network, moved[kept], 1 - labels[kept])
    return {"eps": 1.0, "clean, true labels": share(first, *test), "fooled": measure.share(kept.sum().item(), len(kept)), "clean": share(second, *test), "published": 0.70}


def measured(what, first, eps=None, pictures=MOVED):
    if what == WRONG:
        return every_label_wrong(first, eps, **({} if pictures == MOVED else {"shift": 0, "flip": False}))
    if what == TRUE:
        return {"clean": share(first_network(first), *two("test", (3, 5)))}
    return frozen_features(first)


def main():
    keys = [{"what": LINEAR, "first": f"cifar10/{name}"} for name in ("robust-l2", "standard")]
    keys += [{"what": TRUE, "first": SMALL}] + [{"what": WRONG, "first": SMALL, "eps": eps, "pictures": MOVED} for eps in SIZES]
    keys += [{"what": TRUE, "first": LARGE}] + [{"what": WRONG, "first": LARGE, "eps": 1.0, "pictures": pictures} for pictures in (MOVED, AS_THEY_ARE)]
    rows_into(RESULTS, {"epochs": EPOCHS}, keys, measured)


if __name__ == "__main__":
    main()
