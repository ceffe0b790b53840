"""At which eps of its training does a network give up a faint pattern for a shape, and does that depend on the pattern's size?

    python -m experiments.switch        about 2 minutes on one core; writes results/switch.json, and makes no row again that is there

An adversary with half the distance of two patterns (0.31; s times that for patterns s times as large) can erase the pattern: from there on no network
can go by it and withstand. Below, one could. Small networks on the 4,000 training images of `planted`, adversarial training with three steps of PGD;
asked on 500 images on which shape and pattern disagree.
"""
import time
from pathlib import Path

import torch
from torch import nn

from helpers import attacks, data, measure, models, planted
from helpers.training import train

from .rows import rows_into

SIZES, SHARES = (4.0, 1.0), (1.0, 0.5, 0.25, 0.0)      # of the pattern; eps, in halves of the distance of two patterns
EPOCHS, OF_HALF = 6, "eps over half the distance"
RESULTS = Path(__file__).parent.parent / "results" / "switch.json"


def network():
    torch.manual_seed(0)
    return nn.Sequential(models.Normalize((0.5,) * 3, (0.25,) * 3), nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(),
                         nn.Linear(2048, 100), nn.ReLU(), nn.Linear(100, 5))


def louder(images, patterns, size):
    """The same images with their patterns `size` times as large."""
    return (images + (size - 1) * planted.pattern_of_each_class()[patterns]).clamp(0, 1)


def measured(size, share, half, epochs=EPOCHS, n=4000):
    some, against, eps = data.load("planted", "train")[:n], planted.draw(500, seed=9, disagree=True), round(share * half * size, 3)
    began, model = time.process_time(), network()
    options = dict(objective="pgd", norm="l2", eps=eps, steps=3) if eps else {}
    history = train(model, louder(some.images, some.labels, size), some.labels, epochs=epochs, shift=0, progress=False, **options)
    said = attacks.scores(model, louder(against.images, against.patterns, size)).argmax(1)
    kinds = {kind: measure.share((said == of).sum().item(), len(against)) for kind, of in (("shape", against.shapes), ("pattern", against.patterns))}
    return {"eps": eps, "right in training": round(history[-1]["clean"], 3), "attacked in training": round(history[-1].get("robust", history[-1]["clean"]), 3),
            "seconds": round(time.process_time() - began, 1)} | kinds


def main(file=RESULTS, sizes=SIZES, shares=SHARES, **options):
    half = torch.pdist(planted.pattern_of_each_class().flatten(1)).max().item() / 2
    keys = [{"size": size, OF_HALF: share} for size in sizes for share in shares]
    return rows_into(file, {"half the distance of two patterns": round(half, 3)}, keys, lambda size, **key: measured(size, key[OF_HALF], half, **options))


if __name__ == "__main__":
    main()
