"""What a network is worth: clean accuracy, PGD and AutoAttack, each with its number of images and its 95 % interval.

    python -m helpers.measure                   measure samples of every committed checkpoint again, and compare with the manifest
    python -m helpers.measure --all [NAME ...]  the same on all the images the manifest speaks of, AutoAttack included: hours
    python -m helpers.measure --table           print the manifest as the README's table
"""
import argparse
import sys

import torch

from . import data, models
from ._core import laid_out
from .attacks import fooled, robust_accuracy

DIGIT_SIZES = {"l2": (0.5, 1.0, 1.5, 2.0), "linf": (0.05, 0.1, 0.2, 0.3)}
SIZES = {"mnist5k": DIGIT_SIZES, "mnist": DIGIT_SIZES, "fashion_mnist": {"l2": (0.5, 1.0), "linf": (0.05,)},
         "planted": {"l2": (0.3, 0.6)}}
COLOUR_SIZES = {"l2": (0.5,), "linf": (8 / 255,)}       # for colour networks that were trained for no size of their own
PGD, AUTOATTACK = 2000, 1000                            # images, at most
SHOWN = {"mnist5k": ("l2", 1.5), "planted": ("l2", 0.6), "mnist": ("l2", 2.0), "fashion_mnist": ("l2", 1.0)}     # in the table, for networks without a size of their own


def share(hits, n):
    """A share with its 95 % interval (Wilson) and its number of images."""
    return {"share": round(hits / n, 4), "interval": interval(hits, n), "n": n}


def interval(hits, n, z=1.96):
    p = hits / n
    middle, half = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return [round(max((middle + s * half) / (1 + z * z / n), 0.0), 4) for s in (-1, 1)]


def auc(high, low):
    """How well a score tells two sets apart: the share of all pairs, one of `high` and one of `low`, in which the first is larger, ties half (the area under the
    ROC curve). 1: always larger; 0.5: the score says nothing; NaN if one set is empty.

    high, low: N and M scores, or N x D and M x D, of which each column is judged by itself. Returns a float64 tensor: one value, or D.
    """
    high, low = high.double().movedim(0, -1).contiguous(), low.double().movedim(0, -1).sort().values.contiguous()
    return (torch.searchsorted(low, high) + torch.searchsorted(low, high, right=True)).double().mean(-1) / (2 * low.shape[-1])


def auc_with_interval(high, low, draws=1000):
    """The AUC with its 95 % bootstrap interval (both sets drawn anew, with replacement) and the numbers of scores."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([auc(*(s[torch.randint(len(s), (len(s),), generator=generator)] for s in (high, low))) for _ in range(draws)])
    return {"auc": round(auc(high, low).item(), 3), "interval": [round(q, 3) for q in drawn.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()],
            "n": [len(high), len(low)]}


def best_threshold(clean, attacked):
    """The score below which an image is called attacked, for the least sum of both error rates (halfway between two scores that occur)."""
    values = torch.cat([clean, attacked]).unique()
    between = torch.cat([values[:1] - 1, (values[1:] + values[:-1]) / 2, values[-1:] + 1])
    stopped = [torch.searchsorted(scores.sort().values, between).double() / len(scores) for scores in (clean, attacked)]
    return between[(stopped[0] - stopped[1]).argmin()].item()


def errors(clean, attacked, threshold):
    """Both error rates of the detector: clean images that it stops (false alarms), attacked ones that it lets pass (misses)."""
    return {"false alarms": share((clean < threshold).sum().item(), len(clean)), "misses": share((attacked >= threshold).sum().item(), len(attacked))}


def sizes(recipe):
    """The norms and eps at which a network of this recipe is attacked."""
    own = {recipe["norm"]: (recipe["eps"],)} if recipe.get("eps") else {}
    usual = SIZES.get(recipe["data"], {} if own else COLOUR_SIZES)
    return {norm: tuple(sorted({*usual.get(norm, ()), *own.get(norm, ())})) for norm in usual | own}


def clean(model, test):
    return share((~fooled(model, test.images, test.labels)).sum().item(), len(test))


def pgd50(model, test, norm, eps):
    """The share still right after `robust_accuracy`: PGD-50 with falling steps, two losses, two random starts each."""
    _, robust = robust_accuracy(model, test.images, test.labels, eps, norm=norm)
    return share(robust.sum().item(), len(test))


class _LaidOut(torch.nn.Module):
    """The network on images laid out as it likes them."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(laid_out(x, self.model))


def autoattack(model, test, norm, eps):
    """The share still right after AutoAttack's APGD-CE and APGD-T (Croce & Hein 2020, arXiv:2003.01690), from torchattacks (an extra)."""
    import torchattacks
    options = dict(norm={"l2": "L2", "linf": "Linf"}[norm], eps=eps, steps=100)
    left, quick = test[~fooled(model, test.images, test.labels)], _LaidOut(model).eval()
    for attack in (torchattacks.APGD(quick, loss="ce", **options), torchattacks.APGDT(quick, n_classes=len(test.classes), **options)):
        attacked = [attack(left.images[at:at + 250], left.labels[at:at + 250]) for at in range(0, len(left), 250)]
        attacked = torch.cat(attacked) if attacked else left.images
        left = left[~fooled(model, attacked.clamp(0, 1), left.labels)]
    return share(len(left), len(test))


def measure(model, test, recipe):
    """Every figure that the manifest gives of a network, by name: "clean", "pgd50 l2 0.5", ..., "autoattack l2 0.5"."""
    return {name: figure() for name, figure in _figures(model, test, recipe).items()}


def _figures(model, test, recipe, most=None):
    """The names of the figures, and what computes each, on `most` images at most."""
    figures = {"clean": lambda: clean(model, test[:most])}
    for norm, many in sizes(recipe).items():
        for eps in many:
            figures[_name("pgd50", norm, eps)] = lambda norm=norm, eps=eps: pgd50(model, test[:min(PGD, most or PGD)], norm, eps)
    if recipe.get("eps"):
        norm, eps = recipe["norm"], recipe["eps"]
        figures[_name("autoattack", norm, eps)] = lambda: autoattack(model, test[:min(AUTOATTACK, most or AUTOATTACK)], norm, eps)
    return figures


def _name(attack, norm, eps):
    return f"{attack} {norm} {round(eps, 4)}"


def verify(names, everything, quick=200):
    """Measure again and print each figure beside the manifest's; True if none contradicts it.

    Quick: clean accuracy, and PGD at the network's own eps, on the first `quick` images; their 99.99 % interval must hold the manifest's
    share. Everything: on all images, and within half a percentage point (processors round differently).
    """
    agree = True
    for name in names:
        entry = models.info(name)
        if not data.available(entry["data"]):
            print(f"{name}: skipped, {entry['data']} is not in the data folder")
            continue
        model, test, recipe = models.load(name), data.load(entry["data"]), entry["recipe"]
        figures = _figures(model, test, recipe, None if everything else quick)
        if not everything:
            own = _name("pgd50", recipe["norm"], recipe["eps"]) if recipe.get("eps") else None
            figures = {key: figure for key, figure in figures.items() if key in ("clean", own)}
        for key, figure in figures.items():
            if key not in entry["measured"]:
                print(f"{name}: {key}: not in the manifest   <-- DISAGREES")
                agree = False
                continue
            now, then = figure(), entry["measured"][key]["share"]
            low, high = (then - 0.005, then + 0.005) if everything else interval(round(now["share"] * now["n"]), now["n"], z=3.9)
            right = low <= (now["share"] if everything else then) <= high
            agree &= right
            print(f"{name}: {key}: {now['share']:.4f} on {now['n']}, the manifest says {then:.4f}{'' if right else '   <-- DISAGREES'}", flush=True)
    return agree


def table():
    """The README's table of networks, in markdown."""
    lines = ["| network | weights | clean | PGD-50 | AutoAttack | training |", "|---|---|---|---|---|---|"]
    for name in models.names(all=True):
        entry = models.info(name)
        recipe, measured = entry["recipe"], entry["measured"]
        norm, eps = (recipe["norm"], recipe["eps"]) if recipe.get("eps") else SHOWN.get(entry["data"], ("l2", 0.5))
        attacked, strongest = measured[_name("pgd50", norm, eps)], measured.get(_name("autoattack", norm, eps))
        size = f"{norm.replace('l2', 'L2').replace('linf', 'Linf')} {'8/255' if eps == 8 / 255 else eps}"
        took = f"{entry['seconds'] / 60:.0f} min" if entry.get("seconds", 0) > 90 else f"{entry['seconds']:.0f} s" if "seconds" in entry else "-"
        weights = sum(parameter.numel() for parameter in models.build(entry["network"], entry["classes"], **recipe.get("options", {})).parameters())
        lines.append(f"| `{name}` | {weights:,} | {_percent(measured['clean'])} | {_percent(attacked)} at {size} | "
                     f"{_percent(strongest) if strongest else '-'} | {took} |")
    return "\n".join(lines)


def _percent(figure):
    return f"{100 * figure['share']:.1f} %"


def main():
    parser = argparse.ArgumentParser(prog="python -m helpers.measure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="checkpoints (default: all)")
    parser.add_argument("--all", action="store_true", help="every figure on every image")
    parser.add_argument("--table", action="store_true", help="print the README's table and leave")
    options = parser.parse_args()
    if options.table:
        sys.exit(print(table()))
    try:
        sys.exit(0 if verify(options.names or models.names(), options.all) else 1)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    except ModuleNotFoundError as error:
        sys.exit(f"{error}: pip install -e '.[test]' brings it.")


if __name__ == "__main__":
    main()
