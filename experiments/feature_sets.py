"""The training sets of unit 05 (Ilyas et al. 2019, arXiv:1905.02175, sections 3.1 and 3.2), and what fresh networks learn from them.

    python -m experiments.feature_sets              from the 4,000 digits of `mnist5k`: about 6 minutes on two cores; writes helpers/sets/digits-*.npz
    python -m experiments.feature_sets cifar10      from 5,000 pictures of CIFAR-10, with a small network trained on each set: about an hour on one
                                                    core; writes results/features_cifar10.json, and makes no row again that is there

rand        moved a little towards another class drawn at random, and labelled with it (D_rand)
det         the same with the next class (D_det)
robust      other pictures moved until the robust network's features are those of the picture whose label they carry (D_R)
nonrobust   the same with the standard network's features (D_NR); for digits moved by at most 3
"""
import sys
import time
from pathlib import Path

import numpy as np
import torch

from helpers import attacks, data, measure, models
from helpers._files import whole
from helpers.recipes import RECIPES, settings
from helpers.training import train
from helpers.visualisation import invert

from .rows import rows_into

ROOT = Path(__file__).parent.parent
OUT, RESULTS = ROOT / "helpers" / "sets", ROOT / "results" / "features_cifar10.json"
DIGITS = dict(eps=3.0, attack_steps=40, steps=100, step_size=0.5, near=3.0)
CIFAR10 = dict(eps=0.5, attack_steps=10, steps=30, step_size=0.5)
PICTURES, EPOCHS, ATTACKED, EPS = 5000, 48, 1000, 0.25
PUBLISHED = {"originals": None, "robust": (0.85, 0.48), "nonrobust": (0.88, 0.01), "rand": (0.63, 0.0), "det": (0.44, 0.0)}


def in_parts(function, *tensors):
    return torch.cat([function(*part) for part in zip(*(tensor.split(500) for tensor in tensors))])


def made(kind, plain, robust, images, labels, *, eps, attack_steps, steps, step_size, near=None):
    """(images, labels) of one set; its draws depend on nothing but the number of images. eps, near: the largest L2 change of rand and det, and of
    nonrobust (None: no limit). attack_steps for the former; steps, step_size for the matching of features."""
    generator = torch.Generator().manual_seed(0)
    drawn = (labels + torch.randint(1, 10, labels.shape, generator=generator)) % 10
    start = images[torch.randperm(len(images), generator=generator)]
    if kind == "originals":
        return images, labels
    if kind in ("rand", "det"):
        targets = drawn if kind == "rand" else (labels + 1) % 10
        return in_parts(lambda x, t: attacks.pgd(plain, x, t, eps=eps, norm="l2", steps=attack_steps, decay=True, targeted=True), images, targets), targets
    network, limit = {"robust": (robust, None), "nonrobust": (plain, near)}[kind]
    return in_parts(lambda x, begin: invert(network, x, begin, steps=steps, step_size=step_size, eps=limit), images, start), labels


def keep(name, images, labels):
    with whole(OUT / f"{name}.npz") as part:
        with open(part, "wb") as file:
            np.savez_compressed(file, images=(images * 255).round().byte()[:, 0].numpy(), labels=labels.to(torch.uint8).numpy())
    print(name, f"{(OUT / f'{name}.npz').stat().st_size / 1e6:.1f} MB", flush=True)


def digits():
    some = data.load("mnist5k", "train")
    networks = models.load("mnist5k/standard"), models.load("mnist5k/robust-l2")
    for kind in ("rand", "det", "robust", "nonrobust"):
        keep(f"digits-{kind}", *made(kind, *networks, some.images, some.labels, **DIGITS))


def fit(images, labels, epochs, batch_size):
    torch.manual_seed(1)
    model = models.resnet(10, width=16, blocks=(0, 1, 1, 1))
    train(model, images, labels, progress=False, **settings(RECIPES["cifar10/standard"]) | {"epochs": epochs, "batch_size": batch_size, "seed": 1})
    return model


def measured(kind, some, test, *, epochs, attacked, batch_size=128, **options):
    """One set made from `some`, a fresh small network trained on it, and that network's accuracies on `test`, attacked on its first `attacked`."""
    plain, robust = models.load("cifar10/standard"), models.load("cifar10/robust-l2")
    began = time.process_time()
    images, labels = made(kind, plain, robust, some.images, some.labels, **options)
    model = fit(images, labels, epochs, batch_size)
    few = test[:attacked]
    _, withstood = attacks.robust_accuracy(model, few.images, few.labels, EPS, norm="l2", steps=20, restarts=1)
    published = PUBLISHED[kind]
    return {"moved": round((images - some.images).flatten(1).norm(dim=1).mean().item(), 2),
            "plain network agrees": measure.share((~attacks.fooled(plain, images, labels)).sum().item(), len(labels)),
            "clean": measure.clean(model, test), "attacked": measure.share(withstood.sum().item(), len(few)),
            "published clean": published and published[0], "published attacked": published and published[1],
            "core minutes": round((time.process_time() - began) / 60, 1)}


def cifar10(file=RESULTS, kinds=tuple(PUBLISHED), pictures=PICTURES, epochs=EPOCHS, attacked=ATTACKED, **options):
    some, test, options = data.load("cifar10", "train")[:pictures], data.load("cifar10"), CIFAR10 | options
    settings = {"pictures": pictures, "epochs": epochs, "attack": f"L2 {EPS}", "source": "Ilyas et al. 2019, arXiv:1905.02175, all 50,000 pictures and larger networks"} | options
    return rows_into(file, settings, [{"set": kind} for kind in kinds], lambda set: measured(set, some, test, epochs=epochs, attacked=attacked, **options))


if __name__ == "__main__":
    cifar10() if sys.argv[1:] == ["cifar10"] else digits()
