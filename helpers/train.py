"""Train a committed checkpoint again: python -m helpers.train RECIPE [--out FOLDER]

Writes the weights, the untrained twin's, and the manifest's entries with the figures it measured. Robust networks are measured with
AutoAttack too, which needs torchattacks: pip install -e '.[test]'.
"""
import argparse
import hashlib
import json
import re
from pathlib import Path

import torch
from safetensors.torch import save

from . import data, models
from ._files import whole
from .attacks import fooled, robust_accuracy
from .training import train

RECIPES = {
    "mnist5k/standard": dict(data="mnist5k", network="small_cnn", epochs=20, seed=0),
    "mnist5k/robust-l2": dict(data="mnist5k", network="small_cnn", epochs=30, seed=0,
                              attack=dict(norm="l2", eps=1.5, steps=7, step_size=0.5, start="ball")),
}
EPS = {"l2": (0.5, 1.0, 1.5, 2.0), "linf": (0.05, 0.1, 0.2, 0.3)}


def share(hits, n):
    """A share with its 95 % interval (Wilson) and its number of images."""
    z, p = 1.96, hits / n
    middle, half = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return {"share": round(p, 4), "interval": [round((middle + s * half) / (1 + z * z / n), 4) for s in (-1, 1)], "n": n}


def measure(model, test):
    """Clean accuracy, and the share still right after `robust_accuracy` (PGD-50, two losses, two random starts each) at several eps."""
    figures = {"clean": share((~fooled(model, test.images, test.labels)).sum().item(), len(test))}
    for norm, sizes in EPS.items():
        for eps in sizes:
            _, robust = robust_accuracy(model, test.images, test.labels, eps, norm=norm)
            figures[f"pgd50 {norm} {eps}"] = share(robust.sum().item(), len(test))
    return figures


def autoattack(model, test, norm, eps):
    """The share still right after AutoAttack's APGD-CE and APGD-T (Croce & Hein 2020, arXiv:2003.01690), from torchattacks (an extra)."""
    import torchattacks
    options = dict(norm={"l2": "L2", "linf": "Linf"}[norm], eps=eps, steps=100)
    left = test[~fooled(model, test.images, test.labels)]
    for attack in (torchattacks.APGD(model, loss="ce", **options), torchattacks.APGDT(model, n_classes=len(test.classes), **options)):
        attacked = torch.cat([attack(left.images[at:at + 250], left.labels[at:at + 250]) for at in range(0, len(left), 250)])
        left = left[~fooled(model, attacked.clamp(0, 1), left.labels)]
    return share(len(left), len(test))


def dump(manifest):
    """JSON with a line for each innermost record."""
    text = json.dumps(manifest, indent=1)
    flat = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]")
    text = flat.sub(lambda match: re.sub(r"\s*\n\s*", " ", match.group()), text)
    return text + "\n"


def checkpoint(model, out, name):
    """Write `model` in float16; returns the manifest's file and SHA-256."""
    raw = save({key: value.half() for key, value in model.state_dict().items()})
    file = f"{name.replace('/', '-')}.safetensors"
    with whole(out / file) as part:
        part.write_bytes(raw)
    return {"file": file, "sha256": hashlib.sha256(raw).hexdigest()}


def main():
    parser = argparse.ArgumentParser(prog="python -m helpers.train", description=__doc__)
    parser.add_argument("recipe", nargs="?", choices=RECIPES)
    parser.add_argument("--list", action="store_true", help="print the recipes and leave")
    parser.add_argument("--out", type=Path, default=models.CHECKPOINTS, help="the folder of weights and manifest.json")
    options = parser.parse_args()
    if options.list or not options.recipe:
        for name, recipe in RECIPES.items():
            print(name, json.dumps(recipe))
        return
    name, recipe = options.recipe, RECIPES[options.recipe]
    training, test = data.load(recipe["data"], "train"), data.load(recipe["data"])
    torch.manual_seed(recipe["seed"])
    model = models.NETWORKS[recipe["network"]]()
    entry = {"network": recipe["network"], "data": recipe["data"], "recipe": recipe, "command": f"python -m helpers.train {name}"}
    entries = {f"{name}-untrained": entry | checkpoint(model, options.out, f"{name}-untrained")
               | {"note": "the weights that training started from", "measured": measure(model.eval(), test)}}
    seconds = train(model, training.images, training.labels, epochs=recipe["epochs"], seed=recipe["seed"], attack=recipe.get("attack"))
    written = checkpoint(model, options.out, name)
    model.load_state_dict({key: value.half().float() for key, value in model.state_dict().items()})  # as it will be loaded
    measured = measure(model, test)
    if recipe.get("attack"):
        norm, eps = recipe["attack"]["norm"], recipe["attack"]["eps"]
        measured[f"autoattack {norm} {eps}"] = autoattack(model, test, norm, eps)
    entries[name] = entry | written | {"seconds": round(seconds, 1), "torch": torch.__version__.split("+")[0], "measured": measured}
    path = options.out / "manifest.json"
    manifest = json.loads(path.read_text()) if path.exists() else {}
    with whole(path) as part:
        part.write_text(dump(dict(sorted((manifest | entries).items()))))
    print(json.dumps(entries[name]["measured"], indent=2))


if __name__ == "__main__":
    main()
