"""Cats and dogs of CIFAR-10 with every label wrong: what does a network learn from them that is right?

    python -m experiments.cats_and_dogs     about 15 minutes on two cores; writes results/cats_and_dogs.json

1. The practicum's figure (78 %): all 10,000 training pictures moved towards the other class (L2, several eps), labelled with it; a fresh network trained on
   those that fooled the first, tested on the 2,000 clean test pictures.
2. Its hands-on version (over 70 %): a linear classifier on frozen features of `cifar10/robust-l2` and `cifar10/standard` tells airplanes from cats (classes 0 and 3);
   untargeted PGD (step 0.1, 20 steps, eps 1), the fooled images kept, labelled with what it says of them; a new linear classifier learns from these.
"""
import copy
import json
from pathlib import Path

import torch
from torch import nn

from helpers import attacks, data, measure, models
from helpers._files import whole
from helpers.recipes import RECIPES, settings
from helpers.training import train

RESULTS = Path(__file__).parent.parent / "results" / "cats_and_dogs.json"
EPOCHS, SIZES = 12, (0.5, 1.0, 2.0)
RECIPE = settings(RECIPES["cifar10/standard"]) | {"epochs": EPOCHS}


def two(split, classes):
    whole_set = data.load("cifar10", split)
    some = whole_set[torch.isin(whole_set.labels, torch.tensor(classes))]
    return some.images, torch.searchsorted(torch.tensor(classes), some.labels)


def fit(images, labels, seed):
    torch.manual_seed(seed)
    model = models.resnet(2, width=16, blocks=(0, 1, 1, 1))
    train(model, images, labels, progress=False, **RECIPE | {"seed": seed})
    return model


def share(model, images, labels):
    return measure.share((~attacks.fooled(model, images, labels)).sum().item(), len(labels))


def every_label_wrong():
    images, labels = two("train", (3, 5))
    test = two("test", (3, 5))
    first = fit(images, labels, 0)
    yield {"what": "cats and dogs, true labels", "clean": share(first, *test)}
    for eps in SIZES:
        moved = torch.cat([attacks.pgd(first, x, 1 - y, eps=eps, norm="l2", steps=20, decay=True, targeted=True) for x, y in zip(images.split(1000), labels.split(1000))])
        kept = attacks.fooled(first, moved, 1 - labels, targeted=True)
        second = fit(moved[kept], (1 - labels)[kept], 1)
        yield {"what": "cats and dogs, every label wrong", "eps": eps, "fooled": measure.share(kept.sum().item(), len(kept)), "clean": share(second, *test),
               "published": 0.78}


def head(model, images, labels):
    """`model` with a fresh last layer for two classes; only that one is trained (logistic regression on its features)."""
    from helpers.visualisation import features
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
    name = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    parent = model.get_submodule(name.rpartition(".")[0]) if "." in name else model
    setattr(parent, name.rpartition(".")[2], last)
    return model.eval()


def frozen_features():
    images, labels = (part[:4000] for part in two("train", (0, 3)))
    test = two("test", (0, 3))
    for name in ("robust-l2", "standard"):
        network = models.load(f"cifar10/{name}")
        first = head(network, images, labels)
        moved = torch.cat([attacks.pgd(first, x, y, eps=1.0, norm="l2", steps=20, step_size=0.1) for x, y in zip(images.split(500), labels.split(500))])
        kept = attacks.fooled(first, moved, labels)
        second = head(network, moved[kept], 1 - labels[kept])
        yield {"what": f"airplanes and cats, linear on the features of cifar10/{name}", "eps": 1.0, "clean, true labels": share(first, *test),
               "fooled": measure.share(kept.sum().item(), len(kept)), "clean": share(second, *test), "published": 0.70}


def main():
    rows = []
    for experiment in (frozen_features, every_label_wrong):
        for row in experiment():
            rows.append(row)
            print(row, flush=True)
            with whole(RESULTS) as part:
                part.write_text(json.dumps({"epochs": EPOCHS, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
