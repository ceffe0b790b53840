"""Five kinds of flowers from 750 pictures: how often is a small network right, how often with two kinds only, and what is colour worth?

    python -m experiments.flowers       about 20 minutes on two cores; what results/flowers.json already has is not trained again

Five kinds: the committed networks `flowers/colour` and `flowers/grey`. Each pair of kinds: the same network and recipe, in colour, on the 300 pictures of the two.
The tutorial's figures, on pictures of its own: 61 % for five kinds, 91 % for some pairs.
"""
import itertools
from pathlib import Path

import torch

from helpers import attacks, data, measure, models
from helpers.recipes import RECIPES, settings
from helpers.training import train

from .rows import rows_into

EPS = 0.01
RESULTS = Path(__file__).parent.parent / "results" / "flowers.json"
PUBLISHED = {"five kinds": 0.61, "some pairs": 0.91}


def of_kinds(images, wanted):
    """The images of the wanted classes, labelled 0, 1, ... in their order."""
    some = images[torch.isin(images.labels, torch.tensor(wanted))]
    return some.images, torch.searchsorted(torch.tensor(wanted), some.labels)


def fit(recipe, wanted):
    torch.manual_seed(recipe["seed"])
    model = models.build(recipe["network"], len(wanted), **recipe["options"])
    train(model, *of_kinds(data.load("flowers", "train"), wanted), **settings(recipe), progress=False)
    return model


def shares(model, images, labels):
    """Shares of the test pictures: right, right after FGSM at eps, and of the same class as before it."""
    attacked = attacks.fgsm(model, images, labels, eps=EPS)
    before, after = (attacks.scores(model, pictures).argmax(1) for pictures in (images, attacked))
    return {name: measure.share(hits.sum().item(), len(labels)) for name, hits in
            {"right": before == labels, "right after FGSM": after == labels, "class unchanged": before == after}.items()}


def main():
    test = data.load("flowers")

    def measured(network, kinds):
        wanted = [test.classes.index(kind) for kind in kinds]
        model = models.load(f"flowers/{network}") if len(wanted) == 5 else fit(RECIPES[f"flowers/{network}"], wanted)
        return shares(model, *of_kinds(test, wanted))
    tasks = [*(("colour", pair) for pair in itertools.combinations(test.classes, 2)), ("colour", test.classes), ("grey", test.classes)]
    rows_into(RESULTS, {"eps": EPS, "published": PUBLISHED}, [{"network": network, "kinds": list(which)} for network, which in tasks], measured)


if __name__ == "__main__":
    main()
