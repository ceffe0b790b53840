"""What the neurons of a network's last hidden layer stand for (unit 07): the images that excite them, names tested on labelled images, inversion.

    python -m experiments.neurons            about ten minutes on one core; writes results/neurons.json, and makes no row again that is there
    python -m experiments.neurons pictures   half a minute: results/neurons.png, neurons_standard.png

activity   of each neuron, the share of test images that it fires for and the largest activation (mnist5k's test set or CIFAR-10's)
classes    of each neuron, the AUC of its activation for each of the ten classes, and the classes of the nine images that excite it most
names      of neurons drawn at random, the class guessed from the pictures that maximise them (drawn without looking at any activation), and the AUC of the activation for it
axes       the AUC of the best class, and how many of the nine images that excite it most share a class: neurons against random directions
inversion  features of one image, looked for from another: how near the features come, how near the images, and what a third network says
between    features on the straight line between those of two images, looked for from noise: how near they come, what a third network says on the way (and
           of the double exposures of the same pairs), and how far the image in the middle is from a double exposure of the two at the ends
"""
import functools
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from helpers import attacks, data, measure, models, plots
from helpers._files import whole
from helpers.visualisation import features, invert, maximize
from .rows import rows_into

RESULTS = Path(__file__).parent.parent / "results" / "neurons.json"
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


@functools.cache
def seen_by(network):
    """The features of its images, N x D: four of the tables are made of them."""
    return features(models.load(network), images_of(network).images)


def interval(area, n, m):
    """95 % of an AUC from n positive and m other images (Hanley & McNeil 1982)."""
    q1, q2 = area / (2 - area), 2 * area ** 2 / (1 + area)
    half = 1.96 * ((area * (1 - area) + (n - 1) * (q1 - area ** 2) + (m - 1) * (q2 - area ** 2)) / (n * m)) ** 0.5
    return [round(max(0, area - half), 3), round(min(1, area + half), 3)]


def by_class(values, labels):
    """AUC of each column for each class, 10 x D."""
    return torch.stack([measure.auc(values[labels == c], values[labels != c]) for c in range(10)])


def rounded(values):
    return [round(x, 3) for x in values.tolist()]


def activity_row(network):
    seen = seen_by(network)
    return {"n": len(seen), "never on": int((seen.amax(0) == 0).sum()), "share of zeros": round((seen == 0).float().mean().item(), 3),
            "fires for": rounded((seen > 0).double().mean(0)), "most": rounded(seen.amax(0))}


def classes_row(network):
    some, seen = images_of(network), seen_by(network)
    return {"n": len(some), "classes": list(some.classes), "auc": [rounded(column) for column in by_class(seen, some.labels).T],
            "classes of the nine": some.labels[seen.topk(TOP, 0).indices].T.tolist()}


def names_row(network):
    some = images_of(network)
    guesses = GUESSES[network]
    areas, neurons = by_class(seen_by(network)[:, list(guesses)], some.labels), []
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
    seen = seen_by(network).double()
    seen = seen[:, (seen > 0).double().mean(0) > 0.01]      # a neuron that hardly ever fires has no images of its own
    drawn = torch.randn(seen.shape[1], RANDOM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spaces = {"neurons": seen, "random": seen @ drawn, "random, equal spread": seen / seen.std(0) @ drawn}
    row, measured = {"n": len(some), "live neurons": seen.shape[1]}, {}
    for kind, values in spaces.items():
        measured[kind] = {"auc": by_class(values, some.labels).amax(0), "purity": purity(values, some.labels).double()}
        row[kind] = {what: _mean(of) for what, of in measured[kind].items()}
        row[kind]["auc of each" if kind == "neurons" else "auc of the first 256"] = rounded(measured[kind]["auc"][:256])
    for kind in ("random", "random, equal spread"):
        row[f"lead over {kind}"] = {what: _mean(measured["neurons"][what], measured[kind][what]) for what in ("auc", "purity")}
        row[f"lead over {kind}"]["above the median"] = round((measured["neurons"]["auc"] > measured[kind]["auc"].median()).double().mean().item(), 3)
    return row


def pairs_of(network, pairs):
    """The first images of the test set, and for each the next one that has another class."""
    some = images_of(network)[:2 * pairs]
    return some[:pairs], some[torch.tensor([next(j for j in range(i + 1, 2 * pairs) if some.labels[j] != some.labels[i]) for i in range(pairs)])]


def judge_of(network):
    return models.load("cifar10/robust-linf" if network.startswith("cifar10") else "mnist/robust-linf")


def inversion_row(network, pairs=PAIRS, steps=200, step_size=0.2):
    """Each wanted image is looked for from the other one of its pair."""
    model, judge, (wanted, start) = models.load(network), judge_of(network), pairs_of(network, pairs)
    found = torch.cat([invert(model, a, b, steps=steps, step_size=step_size) for a, b in zip(wanted.images.split(25), start.images.split(25))])
    goal, ends = features(model, wanted.images), {}
    for name, x in (("start", start.images), ("found", found)):
        ends[name] = {"features": ((features(model, x) - goal).norm(dim=1) / goal.norm(dim=1)).mean().item(), "pixels": (x - wanted.images).flatten(1).norm(dim=1).mean().item()}
    said, own = attacks.scores(judge, found).argmax(1), attacks.scores(model, found).argmax(1)
    return {"pairs": pairs, "steps": steps, "step_size": step_size, "mean distance": {name: {key: round(value, 3) for key, value in end.items()} for name, end in ends.items()},
            "moved by": round((found - start.images).flatten(1).norm(dim=1).mean().item(), 3),
            "itself says wanted": measure.share((own == attacks.scores(model, wanted.images).argmax(1)).sum().item(), pairs),
            "third network says wanted": measure.share((said == wanted.labels).sum().item(), pairs), "third network says start": measure.share((said == start.labels).sum().item(), pairs)}


def off_the_line(ends, middle):
    """Of each pair of ends, N x 2 x C x H x W: how far `middle` lies from their mean (a double exposure), in halves of the way between them. 0: on it; 1: as far as the ends are."""
    a, b = ends[:, 0], ends[:, 1]
    return (middle - (a + b) / 2).flatten(1).norm(dim=1) / ((b - a).flatten(1).norm(dim=1) / 2)


def between_row(network, pairs=PAIRS, steps=100, step_size=0.2):
    """From the same noise for all, as far on the way as `shares`; beside them the double exposures, straight lines in pixels."""
    model, judge, (a, b) = models.load(network), judge_of(network), pairs_of(network, pairs)
    shares = torch.linspace(0, 1, 5)
    noise = (0.5 + torch.randn(1, *a.images.shape[1:], generator=torch.Generator().manual_seed(0)) / 20).clamp(0, 1)
    goals = torch.stack([(1 - share) * features(model, a.images) + share * features(model, b.images) for share in shares], 1)       # pairs x shares x D
    found = torch.cat([maximize(lambda x: -(features(model, x) - goal).norm(dim=1) / goal.norm(dim=1), noise.expand(len(goal), -1, -1, -1), steps=steps, step_size=step_size)
                       for goal in goals.flatten(0, 1).split(25)]).unflatten(0, (pairs, len(shares)))
    ways = {"found": found, "double exposure": torch.stack([(1 - share) * a.images + share * b.images for share in shares], 1)}
    row = {"pairs": pairs, "steps": steps, "step_size": step_size, "shares": shares.tolist()}
    for name, images in ways.items():
        said, own = (attacks.scores(of, images.flatten(0, 1)).argmax(1).view(pairs, -1) for of in (judge, model))
        gaps = (features(model, images.flatten(0, 1)).view_as(goals) - goals).norm(dim=2) / goals.norm(dim=2)
        row[name] = {"features": rounded(gaps.mean(0))} | {f"{who} says {what}": (says == labels[:, None]).sum(0).tolist()
                                                           for who, says in (("third network", said), ("itself", own)) for what, labels in (("the first", a.labels), ("the second", b.labels))}
    return row | {"off the line": _mean(off_the_line(found[:, [0, -1]], found[:, 2]).double())}


ROWS = {"axes": (*COLOUR, *DIGITS), "activity": (*GUESSES, *DIGITS), "classes": tuple(GUESSES), "inversion": (*GUESSES, *DIGITS), "between": (*GUESSES, *DIGITS), "names": tuple(GUESSES)}
OF = {"axes": axes_row, "activity": activity_row, "classes": classes_row, "inversion": inversion_row, "between": between_row, "names": names_row}


def measured(kind, network):
    began = time.process_time()
    return OF[kind](network) | {"seconds": round(time.process_time() - began, 1)}


def save(figure, file, dpi=80):
    """As a PNG of 256 colours."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    with whole(file) as part:
        Image.open(drawn).convert("RGB").quantize(256).save(part, "png", optimize=True)


def pictures(file, network, neurons, some=None, starts=None, steps=40):
    """A row for each neuron: the test pictures that excite it most, with their classes and activations; then what comes of `starts`, moved to excite it."""
    model, some, starts = models.load(network), some or data.load("cifar10"), {} if starts is None else starts
    seen = features(model, some.images)[:, list(neurons)]
    figure = Figure(figsize=(1.3 * (7 + len(starts)), 1.5 * len(neurons)), layout="constrained")
    axes = figure.subplots(len(neurons), 7 + len(starts), squeeze=False)
    for k, (line, neuron) in enumerate(zip(axes, neurons)):
        for ax, i in zip(line, seen[:, k].topk(7).indices.tolist()):
            plots.show_image(ax, some.images[i], f"{some.classes[some.labels[i]]}: {seen[i, k]:.1f}")
        line[0].text(-0.1, 0.5, str(neuron), transform=line[0].transAxes, ha="right", va="center")
        for ax, (name, start) in zip(line[7:], starts.items()):
            made = maximize(lambda x: features(model, x, straight_through=True)[:, neuron], start, steps=steps, step_size=0.3)
            plots.show_image(ax, made[0], f"from {name}: {features(model, made)[0, neuron]:.1f}")
    save(figure, file)


if __name__ == "__main__":
    if sys.argv[1:] == ["pictures"]:
        frog = data.load("cifar10-samples").images[[4]]
        pictures(RESULTS.with_name("neurons.png"), "cifar10/robust-l2", (25, 62, 180, 9, 249, 31, 66), starts={"grey": torch.full_like(frog, 0.5), "frog": frog})
        pictures(RESULTS.with_name("neurons_standard.png"), "cifar10/standard", (43, 18))
    else:
        rows_into(RESULTS, {}, [{"kind": kind, "network": network} for kind, networks in ROWS.items() for network in networks], measured)
