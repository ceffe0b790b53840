"""The four training sets of unit 05, made from the 4,000 training digits of `mnist5k` (Ilyas et al. 2019, sections 3.1 and 3.2).

    python -m experiments.feature_sets      about 6 minutes on two cores; writes helpers/sets/digits-*.npz

digits-rand        moved by at most 3 in L2 towards another class drawn at random, and labelled with it (D_rand)
digits-det         the same with the next class (D_det)
digits-robust      other digits moved until the robust network's features are those of the digit whose label they carry (D_R)
digits-nonrobust   the same with the standard network's features, moved by at most 3 (D_NR)
"""
from pathlib import Path

import numpy as np
import torch

from helpers import attacks, data, models
from helpers._files import whole
from helpers.visualisation import features, invert, maximize

EPS, STEPS = 3.0, 100
OUT = Path(__file__).parent.parent / "helpers" / "sets"


def keep(name, images, labels):
    with whole(OUT / f"{name}.npz") as part:
        with open(part, "wb") as file:
            np.savez_compressed(file, images=(images * 255).round().byte()[:, 0].numpy(), labels=labels.to(torch.uint8).numpy())
    print(name, f"{(OUT / f'{name}.npz').stat().st_size / 1e6:.1f} MB", flush=True)


def towards(model, images, targets):
    return attacks.pgd(model, images, targets, eps=EPS, norm="l2", steps=40, decay=True, targeted=True)


def near(model, images, start):
    """As `invert`, but within EPS of the start."""
    wanted = features(model, images)
    return maximize(lambda x: -(features(model, x) - wanted).norm(dim=1), start, steps=STEPS, step_size=0.1, eps=EPS)


def in_parts(function, *tensors):
    return torch.cat([function(*part) for part in zip(*(tensor.split(500) for tensor in tensors))])


def main():
    digits, generator = data.load("mnist5k", "train"), torch.Generator().manual_seed(0)
    standard, robust = models.load("mnist5k/standard"), models.load("mnist5k/robust-l2")
    drawn = (digits.labels + torch.randint(1, 10, digits.labels.shape, generator=generator)) % 10
    following = (digits.labels + 1) % 10
    for name, targets in {"digits-rand": drawn, "digits-det": following}.items():
        keep(name, in_parts(lambda x, t: towards(standard, x, t), digits.images, targets), targets)
    start = digits.images[torch.randperm(len(digits), generator=generator)]
    keep("digits-robust", in_parts(lambda x, s: invert(robust, x, s, steps=STEPS, step_size=0.5), digits.images, start), digits.labels)
    keep("digits-nonrobust", in_parts(lambda x, s: near(standard, x, s), digits.images, start), digits.labels)


if __name__ == "__main__":
    main()
