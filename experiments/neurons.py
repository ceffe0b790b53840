"""What the neurons of a network's last hidden layer stand for (unit 07): the images that excite them, names tested on labelled images, inversion.

    python -m experiments.neurons            about 20 minutes on one core; writes results/neurons.json, and makes no row again that is there
    python -m experiments.neurons sets       writes helpers/sets/cifar10-top.npz and cifar10-300.npz (half a minute)

top        of each neuron, the test images that excite it most, by their place in the test set (mnist5k's or CIFAR-10's)
names      of neurons drawn at random, the class guessed from the pictures that maximise them (drawn without looking at any activation), and the AUC of the activation for it
axes       the AUC of the best class, and how many of the nine images that excite it most share a class: neurons against random directions
inversion  features of one image, looked for from another: how near the features come, how near the images, and what a third network says
"""
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers import attacks, data, measure, models
from helpers._files import whole
from helpers.visualisation import features, invert

ROOT = Path(__file__).parent.parent
SETS, RESULTS = ROOT / "helpers" / "sets", ROOT / "results" / "neurons.json"
TOP, RANDOM, PAIRS = 9, 1000, 100
COLOUR = ("cifar10/robust-l2", "cifar10/robust-l2-eps1", "cifar10/robust-linf", "cifar10/standard")
DIGITS = ("mnist5k/robust-l2", "mnist5k/standard")
GUESSES = {     # neurons: torch.randperm(256) of seed 7, the first sixteen but two whose images had been seen; from what maximises them alone
    "cifar10/robust-l2": {175: "truck", 23: "automobile", 139: "airplane", 1: "dog", 215: "airplane", 43: "ship", 108: "horse", 204: "horse", 187: "frog", 32: "dog",
                          52: "truck", 80: "cat", 18: "ship", 48: "deer"},
    "cifar10/standard": {175: "frog", 23: "deer", 139: "airplane", 1: "cat", 215: "frog", 43: "deer", 108: "bird", 204: "cat", 187: "frog", 32: "dog",
                         52: "truck", 80: "dog", 18: "deer", 48: "airplane"},
}


def images_of(network):
    return data.load("cifar10" if network.startswith("cifar10") else "mnist5k")


def auc(values, positive):
    """Of each column of `values` (N x D): how often a positive image has a larger value than another one, ties counting half."""
    order = torch.stack([torch.as_tensor(_ranks(column)) for column in values.double().T], 1)
    n, m = positive.sum(), (~positive).sum()
    return (order[positive].sum(0) - n * (n + 1) / 2) / (n * m)


def _ranks(column):
    """1, 2, ..., equal values sharing the mean of their ranks."""
    _, inverse, counts = torch.unique(column, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts - 1) / 2)[inverse]


def interval(area, n, m):
    """95 % of an AUC from n positive and m other images (Hanley & McNeil 1982)."""
    q1, q2 = area / (2 - area), 2 * area ** 2 / (1 + area)
    half = 1.96 * ((area * (1 - area) + (n - 1) * (q1 - area ** 2) + (m - 1) * (q2 - area ** 2)) / (n * m)) ** 0.5
    return [round(max(0, area - half), 3), round(min(1, area + half), 3)]


def by_class(values, labels):
    """AUC of each column for each class, 10 x D."""
    return torch.stack([auc(values, labels == c) for c in range(10)])


def top_row(network):
    some = images_of(network)
    seen = features(models.load(network), some.images)
    return {"n": len(some), "never on": int((seen.amax(0) == 0).sum()), "share of zeros": round((seen == 0).float().mean().item(), 3),
            "images": [seen[:, j].topk(TOP).indices.tolist() if seen[:, j].any() else [] for j in range(seen.shape[1])]}


def names_row(network):
    some = images_of(network)
    guesses = GUESSES[network]
    areas, neurons = by_class(features(models.load(network), some.images)[:, list(guesses)], some.labels), []
    for column, (neuron, guess) in enumerate(guesses.items()):
        area, best = areas[some.classes.index(guess), column].item(), areas[:, column].argmax().item()
        n = int((some.labels == some.classes.index(guess)).sum())
        neurons.append({"neuron": neuron, "guess": guess, "auc": round(area, 3), "interval": interval(area, n, len(some) - n), "best class": some.classes[best],
                        "its auc": round(areas[best, column].item(), 3), "rank of the guess": int((areas[:, column] > area).sum()) + 1})
    return {"n": len(some), "neurons": neurons}


def purity(values, labels):
    """Of each column: the share of its nine largest values that have their commonest class."""
    return torch.stack([labels[column.topk(TOP).indices].bincount(minlength=10).max() for column in values.T]) / TOP


def _mean(values, other=None, draws=2000):
    """The mean (or its lead over that of `other`) with its 95 % interval by bootstrap."""
    generator = np.random.default_rng(0)

    def drawn(of):
        return generator.choice(of.numpy(), (draws, len(of))).mean(1)
    means = drawn(values) - (0 if other is None else drawn(other))
    return {"mean": round((values.mean() - (0 if other is None else other.mean())).item(), 4), "interval": [round(x, 4) for x in np.quantile(means, [0.025, 0.975]).tolist()]}


def axes_row(network):
    some = images_of(network)
    seen = features(models.load(network), some.images).double()
    seen = seen[:, (seen > 0).double().mean(0) > 0.01]      # a neuron that hardly ever fires has no images of its own
    drawn = torch.randn(seen.shape[1], RANDOM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spaces = {"neurons": seen, "random": seen @ drawn, "random, equal spread": seen / seen.std(0) @ drawn}
    row, measured = {"n": len(some), "live neurons": seen.shape[1]}, {}
    for kind, values in spaces.items():
        measured[kind] = {"auc": by_class(values, some.labels).amax(0), "purity": purity(values, some.labels).double()}
        row[kind] = {what: _mean(of) for what, of in measured[kind].items()}
        row[kind]["auc of each" if kind == "neurons" else "auc of the first 256"] = [round(x, 3) for x in measured[kind]["auc"][:256].tolist()]
    for kind in ("random", "random, equal spread"):
        row[f"lead over {kind}"] = {what: _mean(measured["neurons"][what], measured[kind][what]) for what in ("auc", "purity")}
    return row


def inversion_row(network, pairs=PAIRS, steps=200, step_size=0.2):
    """The first images of the test set; each is looked for from the next one that has another class."""
    some, model = images_of(network)[:2 * pairs], models.load(network)
    judge = models.load("cifar10/robust-linf" if network.startswith("cifar10") else "mnist/robust-linf")
    wanted, start = some[:pairs], some[torch.tensor([next(j for j in range(i + 1, 2 * pairs) if some.labels[j] != some.labels[i]) for i in range(pairs)])]
    found = torch.cat([invert(model, a, b, steps=steps, step_size=step_size) for a, b in zip(wanted.images.split(25), start.images.split(25))])
    goal, ends = features(model, wanted.images), {}
    for name, x in (("start", start.images), ("found", found)):
        ends[name] = {"features": ((features(model, x) - goal).norm(dim=1) / goal.norm(dim=1)).mean().item(), "pixels": (x - wanted.images).flatten(1).norm(dim=1).mean().item()}
    said, own = attacks.scores(judge, found).argmax(1), attacks.scores(model, found).argmax(1)
    return {"pairs": pairs, "steps": steps, "step_size": step_size, "mean distance": {name: {key: round(value, 3) for key, value in end.items()} for name, end in ends.items()},
            "moved by": round((found - start.images).flatten(1).norm(dim=1).mean().item(), 3),
            "itself says wanted": measure.share((own == attacks.scores(model, wanted.images).argmax(1)).sum().item(), pairs),
            "third network says wanted": measure.share((said == wanted.labels).sum().item(), pairs), "third network says start": measure.share((said == start.labels).sum().item(), pairs)}


def rows_into(file, kind, network, make):
    """Adds the row unless it is there."""
    kept = json.loads(file.read_text())["rows"] if file.exists() else []
    if any((row["kind"], row["network"]) == (kind, network) for row in kept):
        return
    began = time.process_time()
    kept.append({"kind": kind, "network": network} | make(network) | {"seconds": round(time.process_time() - began, 1)})
    kept.sort(key=lambda row: (row["kind"], row["network"]))
    with whole(file) as part:
        part.write_text('{"rows": [\n' + ",\n".join(json.dumps(row) for row in kept) + "\n]}\n")
    print(kind, network, flush=True)


COLUMNS = 20       # of a sheet; WebP has at most 16,383 pixels a side


def keep(name, some):
    """Colour pictures as one lossless sheet, with their labels."""
    pixels = (some.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    rows = -(-len(pixels) // COLUMNS)
    sheet = np.zeros((rows * COLUMNS, *pixels.shape[1:]), np.uint8)
    sheet[:len(pixels)] = pixels
    sheet, file = sheet.reshape(rows, COLUMNS, 32, 32, 3).swapaxes(1, 2).reshape(rows * 32, COLUMNS * 32, 3), io.BytesIO()
    Image.fromarray(sheet).save(file, "webp", lossless=True, quality=100, method=6)
    with whole(SETS / f"{name}.npz") as part:
        with open(part, "wb") as out:
            np.savez(out, webp=np.frombuffer(file.getvalue(), np.uint8), labels=some.labels.to(torch.uint8).numpy())
    print(name, len(some), f"{(SETS / f'{name}.npz').stat().st_size / 1e6:.2f} MB", flush=True)


def pictures(test=None, each=3):
    """cifar10-top: the test pictures that are among the `each` that excite some neuron of the robust network most. cifar10-300: the first 30 of each class."""
    test = test or data.load("cifar10")
    best = features(models.load("cifar10/robust-l2"), test.images).topk(each, 0).indices
    return {"cifar10-top": test[best.unique()], "cifar10-300": test.per_class(30)}


def main(file=RESULTS, colour=COLOUR, digits=DIGITS):
    for network in (*colour, *digits):
        rows_into(file, "axes", network, axes_row)
        if network in (*GUESSES, *digits):
            rows_into(file, "top", network, top_row)
            rows_into(file, "inversion", network, inversion_row)
        if network in GUESSES:
            rows_into(file, "names", network, names_row)


if __name__ == "__main__":
    if sys.argv[1:] == ["sets"]:
        for name, some in pictures().items():
            keep(name, some)
    else:
        main()
