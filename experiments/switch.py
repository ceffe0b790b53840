"""At which eps of its training does a network give up a faint pattern for a shape? Theory: half the distance of two patterns, 0.31.

    python -m experiments.switch        about 6 minutes on two cores; writes results/switch.json

Each network is `planted/robust-l2` with another eps (0: `planted/standard`'s objective, for as many epochs). 500 images on which shape and pattern disagree.
"""
import json
from pathlib import Path

import torch

from helpers import attacks, data, measure, models, planted
from helpers._files import whole
from helpers.recipes import RECIPES, settings
from helpers.training import train

SIZES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
RESULTS = Path(__file__).parent.parent / "results" / "switch.json"


def main():
    recipe, training = RECIPES["planted/robust-l2"], data.load("planted", "train")
    against, test = planted.draw(500, seed=9, disagree=True), data.load("planted")
    patterns = planted.pattern_of_each_class().flatten(1)
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    for eps in SIZES[len(rows):]:
        torch.manual_seed(recipe["seed"])
        model = models.build(recipe["network"], len(training.classes), **recipe["options"])
        options = settings(recipe) | {"eps": eps} | ({} if eps else {"objective": "standard"})
        train(model, training.images, training.labels, progress=False, **options)
        said = attacks.scores(model, against.images).argmax(1)
        rows.append({"eps": eps, "clean": measure.clean(model, test)} |
                    {kind: measure.share((said == of).sum().item(), len(against)) for kind, of in (("shape", against.shapes), ("pattern", against.patterns))})
        print(eps, {key: value["share"] for key, value in rows[-1].items() if key != "eps"}, flush=True)
        with whole(RESULTS) as part:
            part.write_text(json.dumps({"half the distance of two patterns": [round(d / 2, 3) for d in (torch.pdist(patterns).min().item(), torch.pdist(patterns).max().item())],
                                        "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
