"""Does a robust network turn one digit into another, and does a standard one? All 10 x 10 pairs, over many digits.

    python -m experiments.traversal        about 3 minutes on one core; writes results/traversal.json, and goes on where it was stopped

Class traversal: from a test digit of `mnist5k` 20 and 40 steps of L2 length 0.5 (and on to 120 for the noise) uphill on the target's score before the softmax, for
mnist5k/robust-l2 and mnist5k/standard, which are the same but for their training. The results are judged by who had no part in it:
  judge     mnist/standard: another and larger network, trained on other digits and as usual. It says the target.
  neighbour the nearest (L2) of 4,000 real training digits is one of the target.
  both      judge and neighbour agree that it is the target: what is called "readable" here.
  near      that nearest digit is as near as those of 95 % of real test digits are to theirs.
The published observations are an article's, on its own networks; what each verdict needs stands in `verdicts`. Shares have 95 % intervals (Wilson).
"""
import json
from pathlib import Path

import torch

from helpers import attacks, data, models
from helpers._files import whole
from helpers.measure import share
from helpers.visualisation import class_traversal

RESULTS = Path(__file__).parent.parent / "results" / "traversal.json"
NETWORKS = {"robust": "mnist5k/robust-l2", "standard": "mnist5k/standard"}
PER_CLASS, STEP, STEPS, LONG = 40, 0.5, 40, 120
HALFWAY = 20        # where it is judged as well: further on, other networks believe the standard network, too
SHIFTS, SHIFTED = (0, 2, 4, 6), 10      # pixels that digits are moved off their centre; so many of each class
LOOKED_AT = (10, 20, 40, 80, 120)       # steps at which the noise is measured


class Judges:
    def __init__(self):
        self.bank, self.network = data.load("mnist5k", "train"), models.load("mnist/standard")
        test = data.load("mnist5k")
        self.usual = self.nearest(test.images)[1].quantile(0.95).item()

    def nearest(self, images):
        distance, which = torch.cdist(images.flatten(1), self.bank.images.flatten(1)).min(1)
        return self.bank.labels[which], distance

    def __call__(self, model, images, targets):
        """What each says of every image, bool N, and the distances to the nearest real digits."""
        kind, distance = self.nearest(images)
        judge = attacks.fooled(self.network, images, targets, targeted=True)
        said = {"itself": attacks.fooled(model, images, targets, targeted=True), "judge": judge, "neighbour": kind == targets,
                "both": judge & (kind == targets), "near": distance <= self.usual}
        return said, distance


def moved(images, pixels):
    """Each image moved by so many pixels in a direction of its own, of eight; what leaves is lost. Minus as many moves it back."""
    ways = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    out = []
    for i, image in enumerate(images):
        dy, dx = (pixels * way for way in ways[i % 8])
        out.append(torch.nn.functional.pad(image, (dx, -dx, dy, -dy)))
    return torch.stack(out)


def pairs(digits):
    """Each digit beside each of the nine other classes."""
    targets = torch.arange(10).repeat(len(digits))
    off = targets != digits.labels.repeat_interleave(10)
    return digits.images.repeat_interleave(10, 0)[off], targets[off]


def from_one_class(name, source, judges):
    """The row of the table: from the digits of one class to each other class."""
    test, model = data.load("mnist5k"), models.load(NETWORKS[name])
    x, targets = pairs(test[test.labels == source][:PER_CLASS])
    path, row = class_traversal(model, x, targets, of="logit", step_size=STEP, steps=STEPS), {"network": name, "from": source, "digits": PER_CLASS}
    for when, step in (("end", STEPS), ("halfway", HALFWAY)):
        said, distance = judges(model, path[step], targets)
        hits = {kind: [int(values[targets == t].sum()) if t != source else None for t in range(10)] for kind, values in said.items()}
        row[when] = {"hits": hits, "median_distance": round(distance.median().item(), 2), "median_length": round((path[step] - x).flatten(1).norm(dim=1).median().item(), 2)}
    return row


def off_centre(name, pixels, judges):
    test, model = data.load("mnist5k").per_class(SHIFTED), models.load(NETWORKS[name])
    x, targets = pairs(test)
    x = moved(x, pixels)
    there = class_traversal(model, x, targets, of="logit", step_size=STEP, steps=STEPS)[-1]
    said, _ = judges(model, there, targets)
    looked, _ = judges(model, moved(there, -pixels), targets)       # the judges see it where digits are wont to be
    return {"network": name, "pixels": pixels, "itself": share(int(said["itself"].sum()), len(x)),
            **{kind: share(int(looked[kind].sum()), len(x)) for kind in ("judge", "both")}}


def running_on(name, judges):
    """What becomes of it when it does not stop: the distance to real digits, and how rough the picture is."""
    test, model = data.load("mnist5k").per_class(3), models.load(NETWORKS[name])
    x, targets = pairs(test)
    path = class_traversal(model, x, targets, of="logit", step_size=STEP, steps=LONG)

    def rough(images):      # the mean difference of neighbouring pixels: total variation
        return ((images[..., 1:, :] - images[..., :-1, :]).abs().mean() + (images[..., 1:] - images[..., :-1]).abs().mean()).item()
    row = {"network": name, "steps": [0, *LOOKED_AT], "distance": [], "roughness": [], "grey": [], "both": []}
    for step in row["steps"]:
        said, distance = judges(model, path[step], targets)
        row["distance"].append(round(distance.median().item(), 3))
        row["roughness"].append(round(rough(path[step]), 4))
        row["grey"].append(round(((path[step] > 0.1) & (path[step] < 0.6)).float().mean().item(), 4))
        row["both"].append(share(int(said["both"].sum()), len(x)))
    return row


def verdicts(table):
    """Each published observation, what ours says of it, and the figures it rests on."""
    def of(name, sources, targets, kind="both", when="end"):
        rows = [row for row in table["pairs"] if row["network"] == name and row["from"] in sources]
        counted = [(row[when]["hits"][kind][t], row["digits"]) for row in rows for t in targets if t != row["from"]]
        return share(sum(h for h, _ in counted), sum(n for _, n in counted))

    def apart(high, low):
        return high["interval"][0] > low["interval"][1]
    every, out = range(10), []
    five = of("robust", (5,), (0,))
    out.append({"observation": "a 5 becomes a readable 0 on the robust network", "robust": five, "needs": "readable for over half, by the whole interval",
                "verdict": "confirmed" if five["interval"][0] > 0.5 else "not confirmed"})
    for sources, targets, what in (((5,), (0,), "from 5 to 0"), (every, every, "over all pairs")):
        both = {when: [of(name, sources, targets, when=when) for name in NETWORKS] for when in ("halfway", "end")}
        ahead = [apart(*pair) for pair in both.values()]
        out.append({"observation": f"on the standard network it does not ({what})", **both, "needs": f"clearly more readable ones on the robust network, and fewer than a fifth on the standard one, after {HALFWAY} and {STEPS} steps",
                    "verdict": "confirmed" if all(ahead) and all(pair[1]["interval"][1] < 0.2 for pair in both.values()) else
                               f"in part: clearly fewer after {HALFWAY} and {STEPS} steps, but not few after {STEPS}" if all(ahead) else
                               f"in part: clearly fewer after {HALFWAY} steps, not after {STEPS}" if ahead[0] else "no difference seen"})
    for to, where in (((0,), "to 0"), (every, "to any digit")):
        good, bad = of("robust", (2, 5, 6, 8), to), of("robust", (4,), to)
        each = {str(s): of("robust", (s,), to) for s in every if to != (s,)}
        worst = min(each, key=lambda s: each[s]["share"])
        out.append({"observation": f"from 2, 5, 6 and 8 it works, from 4 badly ({where})", "from 2, 5, 6, 8": good, "from 4": bad, "worst source": int(worst),
                    "each": each, "needs": "the intervals of the two do not overlap",
                    "verdict": "confirmed" if apart(good, bad) else "the opposite" if apart(bad, good) else "no difference seen"})
    rows = {row["pixels"]: row for row in table["off_centre"] if row["network"] == "robust"}
    out.append({"observation": "it works better for centred digits", **{f"{p} pixels off": rows[p]["both"] for p in rows}, "needs": "the intervals at 0 and at the largest shift do not overlap",
                "verdict": "confirmed" if apart(rows[min(rows)]["both"], rows[max(rows)]["both"]) else "no difference seen"})
    row = next(row for row in table["running_on"] if row["network"] == "robust")
    at, end = row["steps"].index(STEPS), -1
    grows = row["distance"][end] > 1.1 * row["distance"][at] and row["grey"][end] > 1.1 * row["grey"][at]
    out.append({"observation": "noise grows when it runs on", "needs": f"from step {STEPS} to step {LONG} both the distance to the nearest real digit and the share of grey pixels grow by over a tenth",
                "distance": [row["distance"][at], row["distance"][end]], "grey": [row["grey"][at], row["grey"][end]], "verdict": "confirmed" if grows else "not confirmed"})
    return out


def main():
    settings = {"per_class": PER_CLASS, "step": STEP, "steps": STEPS, "halfway": HALFWAY, "judge": "mnist/standard"}
    table = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if table.get("settings") != settings:
        table = {"settings": settings, "networks": NETWORKS, "usual_distance": None, "pairs": [], "off_centre": [], "running_on": []}
    judges = Judges()
    table["usual_distance"] = round(judges.usual, 3)
    work = [("pairs", {"network": name, "from": source}, lambda n=name, s=source: from_one_class(n, s, judges)) for source in range(10) for name in NETWORKS]
    work += [("running_on", {"network": name}, lambda n=name: running_on(n, judges)) for name in NETWORKS]
    work += [("off_centre", {"network": "robust", "pixels": p}, lambda p=p: off_centre("robust", p, judges)) for p in SHIFTS]
    for part, key, measure in work:
        if any(all(row[k] == v for k, v in key.items()) for row in table[part]):
            continue
        table[part].append(measure())
        print(part, key, flush=True)
        with whole(RESULTS) as file:
            file.write_text(json.dumps(table) + "\n")
    table["verdicts"] = verdicts(table)
    with whole(RESULTS) as file:
        file.write_text(json.dumps(table, indent=1) + "\n")
    for row in table["verdicts"]:
        print(f"{row['observation']}: {row['verdict']}")


if __name__ == "__main__":
    main()
