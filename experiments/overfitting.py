"""What does the inner attack of adversarial training have to be? And catastrophic overfitting, epoch by epoch (Wong et al. 2020, arXiv:2001.03994).

    python -m experiments.overfitting      about 5 minutes on one core; writes results/overfitting.json, and goes on where it was stopped

The small network of `mnist5k`, trained without an inner attack, with one step (FGSM's), one step from a random start (1.25 eps long), and seven steps.
After each epoch, on 256 training digits: clean accuracy, under the very step that training takes, under PGD-10. At the end, on 300 test digits:
`robust_accuracy` with its two losses and restarts. L-infinity 0.2 and L2 1.5. Seven steps at the full size from the start may teach nothing at all
in L-infinity; so there once more with eps growing from 0 over the first three tenths of the training.
"""
import time
import warnings
from pathlib import Path

import torch

from helpers import attacks, data, models
from helpers.measure import share
from helpers.training import train

from .rows import rows_into

RESULTS = Path(__file__).parent.parent / "results" / "overfitting.json"
INNER = {"none": None, "one step": dict(objective="mixed", alpha=0.0), "one step, random start": dict(objective="single-step"), "seven steps": dict(objective="pgd"),
         "seven, eps growing": dict(objective="pgd", ramp=0.3)}
SIZES = (("linf", 0.2), ("l2", 1.5))
EPOCHS = 20


def trained(inner, norm, eps):
    digits, test = data.load("mnist5k", "train"), data.load("mnist5k")[:300]
    torch.manual_seed(0)
    network, began = models.small_cnn(), time.process_time()
    options = dict(norm=norm, eps=eps, **INNER[inner]) if INNER[inner] else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # of what is to be seen
        history = train(network, digits.images, digits.labels, epochs=EPOCHS, progress=False, **options)
    seconds = time.process_time() - began
    if not INNER[inner]:
        watched = digits[torch.linspace(0, 3999, 256).long()]
        history[-1]["robust"] = attacks.accuracy(network, attacks.pgd(network, watched.images, watched.labels, eps=eps, norm=norm, steps=10, keep="first"), watched.labels)
    _, robust = attacks.robust_accuracy(network, test.images, test.labels, eps, norm=norm)
    right = ~attacks.fooled(network, test.images, test.labels)
    return {"core_seconds": round(seconds, 1),
            **{key: [round(record[key], 4) if key in record else None for record in history] for key in ("clean", "single_step", "robust")},
            "test_clean": share(int(right.sum()), len(test)), "test_robust": share(int(robust.sum()), len(test))}


def main(file=RESULTS):
    keys = [{"inner": inner, "norm": norm, "eps": eps} for norm, eps in SIZES for inner in INNER if not (norm == "l2" and "growing" in inner)]
    rows_into(file, {"epochs": EPOCHS}, keys, trained)


if __name__ == "__main__":
    main()
