"""Does a robust network need more examples than a usual one (Schmidt et al. 2018, arXiv:1804.11285)?

    python -m experiments.few_examples      about 6 minutes on one core; writes results/few_examples.json, and goes on where it was stopped

The small network of `mnist5k`, trained as usual and adversarially (L2 1.5, five steps inside) on the first 250, 1,000 and 4,000 training digits, always 1,000
minibatches of 100. Then, on the first 250 of its training digits and on the 1,000 test digits: clean accuracy, and `robust_accuracy` of 20 steps with both losses.
"""
from pathlib import Path

import torch

from helpers import attacks, data, models
from helpers.measure import share
from helpers.training import train

from .rows import rows_into

RESULTS = Path(__file__).parent.parent / "results" / "few_examples.json"
SIZES, MINIBATCHES, EPS = (250, 1000, 4000), 1000, 1.5
WAYS = {"as usual": {}, "adversarial": dict(objective="pgd", norm="l2", eps=EPS, steps=5)}


def measured(way, n, minibatches=MINIBATCHES):
    digits, test = data.load("mnist5k", "train")[:n], data.load("mnist5k")
    torch.manual_seed(0)
    network, a_time = models.small_cnn(), -(-n // 100)      # minibatches in an epoch
    train(network, digits.images, digits.labels, epochs=-(-minibatches // a_time), progress=False, **WAYS[way])
    row = {}
    for name, part in (("train", digits[:250]), ("test", test)):
        row[f"{name}_clean"] = share(int((~attacks.fooled(network, part.images, part.labels)).sum()), len(part))
        row[f"{name}_robust"] = share(int(attacks.robust_accuracy(network, part.images, part.labels, EPS, norm="l2", steps=20, restarts=1)[1].sum()), len(part))
    return row


def main(file=RESULTS):
    rows_into(file, {"eps": EPS, "minibatches": MINIBATCHES}, [{"way": way, "n": n} for n in SIZES for way in WAYS], measured)


if __name__ == "__main__":
    main()
