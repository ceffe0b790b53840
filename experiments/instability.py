"""How unstable can the course's networks be, and how unstable are they? (Szegedy et al. 2013, arXiv:1312.6199, section 4.3)

    python -m experiments.instability             about 4 minutes on two cores; writes results/instability.json
    python -m experiments.instability mnist5k     its networks alone; writes results/instability-mnist5k.json

For each network and its untrained twin: the operator norm of each layer; their product, an upper bound of |f(x) - f(x')| / |x - x'|; the largest such
quotient that an attack finds near test images; and what both mean for fooling it. A class changes only where one logit overtakes another, and the
difference of two logits changes by at most sqrt(2) L |d|, so nothing shorter than margin / (sqrt(2) L) can fool: "safe_radius".
What attacks.min_norm needs is "found_radius".
The steps of "stretch_within" stay in [0, 1]; those of "jacobian_norm" are too small to be held to it, and can stretch more.
"""
import json
import sys
from pathlib import Path

import torch

from helpers import attacks, bounds, data, models
from helpers._files import whole
from helpers.measure import share

RESULTS = Path(__file__).parent.parent / "results"
NETWORKS = {"mnist5k": ("mnist5k/mlp", "mnist5k/standard", "mnist5k/robust-l2"), "mnist": ("mnist/standard", "mnist/robust-l2")}
SIZES = (0.5, 1.0, 2.0)
SHAPE = (1, 28, 28)


def untrained(name):
    """The network in the random state that its training began from."""
    recipe = models.info(name)["recipe"]
    torch.manual_seed(recipe["seed"])
    return models.build(recipe["network"], **recipe.get("options", {})).eval()


def middle(values):
    return round(values.median().item(), 4)


def measured(name, model, test):
    bound, factors = bounds.lipschitz_bound(model, SHAPE)
    local = bounds.jacobian_norm(model, test.images)
    near, there = {}, [local]
    for eps in SIZES:
        near[eps], found = bounds.largest_stretch(model, test.images, eps=eps)
        there += [near[eps], bounds.jacobian_norm(model, found)]        # the step that stretches most need not begin at the image itself
    largest = torch.stack(there).amax(0)
    assert (largest <= bound * (1 + 1e-4)).all(), "a bound that is exceeded is none"
    row = {"network": name, "images": len(test), "factors": {key: round(factor, 4) for key, factor in factors.items()},
           "upper_bound": round(bound, 2), "largest_stretch_found": round(largest.max().item(), 3), "median_stretch_found": middle(largest),
           "bound_over_found": round(bound / largest.max().item(), 2),
           "jacobian_norm": {"median": middle(local), "largest": round(local.max().item(), 3)},
           "stretch_within": {f"{eps:g}": {"median": middle(found), "largest": round(found.max().item(), 3)} for eps, found in near.items()}}
    right = ~attacks.fooled(model, test.images, test.labels)
    row["clean"] = share(int(right.sum()), len(right))
    some = test[right]
    if len(some) < len(test) / 2:       # an untrained network has no classes to leave
        return row
    gap = -attacks.margin(attacks.scores(model, some.images), some.labels)
    safe = gap / (2 ** 0.5 * bound)
    found, size = attacks.min_norm(model, some.images, some.labels, norm="l2", eps_max=8.0, halvings=9, steps=40, loss="margin")
    assert (size >= safe).all(), "a radius that is not safe"
    reached = size.isfinite()
    # What the same quotient would be if the largest stretch that was found were the truth: no proof, but what the truth cannot exceed.
    hoped = gap / (2 ** 0.5 * largest.max())
    return row | {"safe_radius": {"median": middle(safe), "smallest": round(safe.min().item(), 4)},
                  "found_radius": {"median": middle(size), "smallest": round(size.min().item(), 4), "share_reached": share(int(reached.sum()), len(reached))},
                  "found_over_safe": {"median": middle(size[reached] / safe[reached]), "smallest": round((size / safe).min().item(), 2)},
                  "safe_radius_at_best": {"median": middle(hoped)}}


def main(only=None):
    file, rows = RESULTS / (f"instability-{only}.json" if only else "instability.json"), []
    for name in (name for which, names in NETWORKS.items() if only in (None, which) for name in names):
        test = data.load(models.info(name)["data"])[:100]
        for label, model in ((name, models.load(name)), (f"{name}, untrained", untrained(name))):
            rows.append(measured(label, model, test))
            print(json.dumps(rows[-1]), flush=True)
            with whole(file) as part:
                part.write_text(json.dumps({"source": "Szegedy et al. 2013, arXiv:1312.6199, section 4.3", "norm": "l2", "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
