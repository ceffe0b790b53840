"""How well does the evidence for its own answer tell an attacked ImageNet picture from a clean one? And one figure of such evidence.

    WORKBOOK_DATA=... python -m experiments.evidence                   about 12 minutes on one core; writes results/evidence.json and .png, makes no row again that is there
    WORKBOOK_DATA=... python -m experiments.evidence squeezenet1_0     the rows of another network, into results/evidence_squeezenet1_0.json

MobileNetV2 (or that other one) with the weights of the data folder, on pictures of `imagenet200` that it reads correctly; targeted iterated FGSM, L-infinity. The evidence for
an answer is the sum of its expected gradients (SHAP's GradientExplainer estimates the same): its logit minus its mean logit on the background, by
completeness. That exact value is used for every row; for some the map was drawn, too. Rows:

random        a target drawn from all classes         at once     the same, but the attack stops as soon as it succeeds
choice k      the network's own k-th choice for the picture (2: what it would say next)
adaptive      a random target by an attacker who also steers the evidence to the median of clean pictures
pairs, grid   single pictures: named ones on their way to named classes, and one over a grid of eps
"""
import sys
import time
from pathlib import Path

import torch
from matplotlib.figure import Figure

from helpers import attacks, data, measure, models
from helpers._files import whole
from helpers.attribution import expected_gradients
from helpers.plots import show_image, verdict

from .rows import rows_into

ROOT = Path(__file__).parent.parent / "results"
RESULTS, FIGURE = ROOT / "evidence.json", ROOT / "evidence.png"
NETWORK, PICTURES, BACKGROUND = "mobilenet_v2", 80, 20
EPS, STEPS, STEP = 4 / 255, 10, 1 / 255
SAMPLES, DRAWN = 10, ("clean", "random", "choice 2")        # of the map, and the rows for which it is drawn
ROWS = ("random", "at once", "choice 2", "choice 10", "choice 100", "adaptive")
PAIRS = (("African elephant", "ping-pong ball"), ("ambulance", "sleeping bag"), ("zebra", "burrito"), ("forklift", "gas pump"),
         ("African elephant", "Indian elephant"), ("grey fox", "coyote"), ("mixing bowl", "soup bowl"), ("moving van", "minivan"))
GRID = tuple(n / 255 for n in (0.25, 0.5, 1, 2, 4, 8, 16))
CHUNK = 10


def evidence(logits, resting):
    """Of the top prediction: its logit minus that class's mean logit on the background."""
    top = logits.argmax(1, keepdim=True)
    return (logits.gather(1, top) - resting[top])[:, 0]


def steering(resting, wanted):
    """The adaptive attacker's loss: the target's log-odds, and how far its evidence is from that of a clean picture."""
    def loss(logits, targets):
        mine = logits.gather(1, targets[:, None])[:, 0] - resting[targets]
        return attacks.log_odds(logits, targets) + (mine - wanted).square()
    return loss


def targets_of(kind, logits, labels):
    """The class each picture is to become."""
    drawn = torch.randint(1, logits.shape[1], labels.shape, generator=torch.Generator().manual_seed(1))
    if kind.startswith("choice"):
        return logits.argsort(1, descending=True)[:, int(kind.split()[1]) - 1]
    return (labels + drawn) % logits.shape[1]


def attacked(model, images, targets, kind="random", eps=None, steps=STEPS, loss="cross_entropy"):
    eps = EPS if eps is None else eps
    return attacks.pgd(model, images, targets, eps=eps, norm="linf", steps=steps, step_size=max(STEP, eps / 8), targeted=True, chunk=CHUNK,
                       keep="first" if kind == "at once" else "best" if kind == "adaptive" else "last", loss=loss)


def row_of(kind, model, some, logits, resting, background, clean):
    began, row = time.process_time(), {}
    images, hit = some.images, torch.ones(len(some), dtype=torch.bool)
    if kind != "clean":
        targets = targets_of(kind, logits, some.labels)
        wanted = torch.tensor(clean["evidence"]).median() if kind == "adaptive" else 0.0
        images = attacked(model, images, targets, kind, loss=steering(resting, wanted) if kind == "adaptive" else "cross_entropy")
        logits = attacks.scores(model, images, chunk=CHUNK)
        hit = logits.argmax(1) == targets
        row["succeeds"] = measure.share(hit.sum().item(), len(hit))
    said, values = logits[hit].argmax(1), evidence(logits[hit], resting)
    row["confidence"] = [round(v, 4) for v in logits[hit].softmax(1).amax(1).tolist()]
    row["evidence"], row["picture"] = [round(v, 3) for v in values.tolist()], hit.nonzero()[:, 0].tolist()
    if kind in DRAWN:
        maps = expected_gradients(model, images[hit], said, background, n_samples=SAMPLES, chunk=CHUNK)
        row["drawn"] = [round(v, 3) for v in maps.flatten(1).sum(1).tolist()]
    if kind != "clean":
        row |= judged(clean, row)
    return row | {"core minutes": round((time.process_time() - began) / 60, 1)}


def judged(clean, row):
    """The detector's figures: AUC with its interval, and a threshold chosen on every second picture, tested on the others."""
    out = {}
    for of in ("evidence", "confidence", "drawn"):
        if of in row:
            out[f"AUC of {of}"] = measure.auc_with_interval(torch.tensor(clean[of]), torch.tensor(row[of]))
    mine, theirs = torch.tensor(clean["evidence"]), torch.tensor(row["evidence"])
    chosen, tested = (mine[h::2] for h in (0, 1)), [torch.tensor([p % 2 == h for p in row["picture"]], dtype=torch.bool) for h in (0, 1)]
    first, second = chosen
    threshold = measure.best_threshold(first, theirs[tested[0]])
    return out | {"threshold": round(threshold, 3), **measure.errors(second, theirs[tested[1]], threshold)}


def picture_and_goal(some, source, target):
    """The picture of class `source`, 1 x C x H x W, and the number of class `target`."""
    index = {name.lower(): i for i, name in enumerate(some.classes)}
    return some[some.labels == index[source.lower()]].images, torch.tensor([index[target.lower()]])


def pairs(model, some, resting, background):
    """Named pictures on their way to named classes; and the figure of the evidence of the first four."""
    rows, panels, classes = [], [], some.classes
    for source, target in PAIRS:
        image, goal = picture_and_goal(some, source, target)
        after = attacked(model, image, goal)
        both = torch.cat([image, after])
        logits = attacks.scores(model, both)
        strength = evidence(logits, resting).tolist()
        rows.append({"from": source, "to": target, "before": verdict(logits[0], classes), "after": verdict(logits[1], classes),
                     "evidence before": round(strength[0], 2), "evidence after": round(strength[1], 2)})
        if len(panels) < 4:
            panels.append((both, expected_gradients(model, both, logits.argmax(1), background, n_samples=40, chunk=CHUNK), logits, strength))
    draw(panels, classes)
    return rows


def grid(model, some):
    """The first of the pairs over a grid of eps: what is said, and the probability of the target."""
    rows, (image, goal) = [], picture_and_goal(some, *PAIRS[0])
    for eps in GRID:
        logits = attacks.scores(model, attacked(model, image, goal, eps=eps))
        rows.append({"eps": round(eps, 5), "said": verdict(logits[0], some.classes), "of the target": round(logits[0].softmax(0)[goal].item(), 4)})
    return rows


def coarse(one, size=16):
    """A map as squares of size x size pixels: single pixels of expected gradients are noise to the eye."""
    return torch.nn.functional.avg_pool2d(one.sum(0, keepdim=True)[None], size)[0].repeat_interleave(size, 1).repeat_interleave(size, 2)


def draw(panels, classes):
    figure = Figure(figsize=(7.2, 7.6), layout="constrained")
    axes = figure.subplots(len(panels), 4)
    for row, (both, maps, logits, strength) in zip(axes, panels):
        blocks = [coarse(one) for one in maps]
        limit = max(block.abs().max().item() for block in blocks)
        for at in (0, 1):
            show_image(row[2 * at], both[at], verdict(logits[at], classes))
            show_image(row[2 * at + 1], blocks[at], f"evidence {strength[at]:.1f}", signed=True, limit=limit)
    with whole(FIGURE) as part:
        figure.savefig(part, format="png", dpi=72)


def results_of(network):
    return RESULTS if network == NETWORK else RESULTS.with_stem(f"evidence_{network}")


def main(network=NETWORK):
    file, first = results_of(network), ("pairs", "grid", "clean") if network == NETWORK else ("clean",)
    model, every, background = models.load(f"imagenet/{network}"), data.load("imagenet200"), data.load("imagenet-samples").images[:BACKGROUND]
    resting, logits = attacks.scores(model, background, chunk=CHUNK).mean(0), attacks.scores(model, every.images, chunk=CHUNK)
    right = (logits.argmax(1) == every.labels).nonzero()[:, 0]
    chosen = right[torch.randperm(len(right), generator=torch.Generator().manual_seed(0))[:PICTURES]]
    settings = {"network": network, "pictures": len(chosen), "right of 200": len(right), "eps": "4/255", "steps": STEPS, "samples of a map": SAMPLES}

    def measured(what, clean=None):
        if what in ("pairs", "grid"):
            return {what: pairs(model, every, resting, background) if what == "pairs" else grid(model, every)}
        return row_of(what, model, every[chosen], logits[chosen], resting, background, clean)
    done = rows_into(file, settings, [{"what": what} for what in first], measured)
    clean = next(row for row in done if row["what"] == "clean")
    return rows_into(file, settings, [{"what": what} for what in ROWS], lambda what: measured(what, clean))


if __name__ == "__main__":
    main(*sys.argv[1:])
