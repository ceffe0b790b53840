"""Does a robust network turn one digit into another, and does a standard one? All 10 x 10 pairs, over many digits.

    python -m experiments.traversal        about 3 minutes on one core; writes results/traversal.json, and goes on where it was stopped

Class traversal: from a test digit of `mnist5k` 20 and 40 steps of L2 length 0.5 (and on to 120 for the noise) uphill on the target's score before the softmax, for
mnist5k/robust-l2 and mnist5k/standard, which are the same but for their training. The results are judged by who had no part in it:
  judge     mnist/standard: another and larger network, trained as usual on MNIST's 60,000 (ours, as they were, are among them). It says the target.
  second    mnist/robust-linf: trained on them against L-infinity changes, so that it has other blind spots.
  neighbour the nearest (L2) of 4,000 real training digits is one of the target.
  both      judge and neighbour agree that it is the target: what is called "readable" here.
  near      that nearest digit is as near as those of 95 % of real test digits are to theirs.
  strict    all of the last three: readable, and no farther from real digits than real ones are.
The published observations are an article's, on its own networks; what each verdict needs stands in `verdicts`. Shares have 95 % intervals: Wilson's where
each digit counts once; where one digit stands for nine targets, from the spread of the digits' own shares (nine answers about one digit are not nine digits).
"""
import json
from pathlib import Path

import torch

from helpers import attacks, data, models
from helpers._files import whole
from helpers.measure import interval, share
from helpers.visualisation import class_traversal

RESULTS = Path(__file__).parent.parent / "results" / "traversal.json"
NETWORKS = {"robust": "mnist5k/robust-l2", "standard": "mnist5k/standard"}
PER_CLASS, STEP, STEPS, LONG = 40, 0.5, 40, 120
HALFWAY = 20        # where it is judged as well: further on, other networks believe the standard network, too
SHIFTS, SHIFTED = (0, 2, 4, 6), 10      # pixels that digits are moved off their centre; so many of each class
LOOKED_AT = (10, 20, 40, 80, 120)       # steps at which the noise is measured


class Judges:
    def __init__(self):
        self.bank, self.network, self.second = data.load("mnist5k", "train"), models.load("mnist/standard"), models.load("mnist/robust-linf")
        test = data.load("mnist5k")
        self.usual = self.nearest(test.images)[1].quantile(0.95).item()

    def nearest(self, images):
        distance, which = torch.cdist(images.flatten(1), self.bank.images.flatten(1)).min(1)
        return self.bank.labels[which], distance

    def __call__(self, model, images, targets):
        """What each says of every image, bool N, and the distances to the nearest real digits."""
        kind, distance = self.nearest(images)
        judge, near = attacks.fooled(self.network, images, targets, targeted=True), distance <= self.usual
        said = {"itself": attacks.fooled(model, images, targets, targeted=True), "judge": judge, "second": attacks.fooled(self.second, images, targets, targeted=True),
                "neighbour": kind == targets, "both": judge & (kind == targets), "near": near, "strict": judge & (kind == targets) & near}
        return said, distance


def of_digits(values, bounds=(-float("inf"), float("inf"))):
    """The mean of one value for each digit, with its 95 % interval."""
    mean, half = values.mean().item(), 1.96 * values.std().item() / len(values) ** 0.5
    return {"share": round(mean, 4), "interval": [round(min(max(mean + s * half, bounds[0]), bounds[1]), 4) for s in (-1, 1)], "digits": len(values)}


def share_of_digits(values):
    """The same for shares: within [0, 1], and where all digits agree the interval of as many verdicts."""
    if (values == values[0]).all() and values[0] in (0, 1):
        return {"share": values[0].item(), "interval": interval(values.sum().item(), len(values)), "digits": len(values)}
    return of_digits(values, (0.0, 1.0))


def for_each_digit(values):
    """What is said of pairs (nine to a digit), as one share for each digit."""
    return values.double().view(-1, 9).mean(1)


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
        row[when] = {"hits": hits, "by_digit": {kind: "".join(str(int(count)) for count in values.view(-1, 9).sum(1)) for kind, values in said.items()}, "median_distance": round(distance.median().item(), 2), "median_length": round((path[step] - x).flatten(1).norm(dim=1).median().item(), 2)}
    return row


def off_centre(name, pixels, judges):
    test, model = data.load("mnist5k").per_class(SHIFTED), models.load(NETWORKS[name])
    x, targets = pairs(test)
    x = moved(x, pixels)
    there = class_traversal(model, x, targets, of="logit", step_size=STEP, steps=STEPS)[-1]
    said, _ = judges(model, there, targets)
    looked, _ = judges(model, moved(there, -pixels), targets)       # the judges see it where digits are wont to be
    return {"network": name, "pixels": pixels, "itself": share_of_digits(for_each_digit(said["itself"])), **{kind: share_of_digits(for_each_digit(looked[kind])) for kind in ("judge", "both")}}


def running_on(name, judges):
    """What becomes of it when it does not stop: the distance to real digits, and how rough the picture is."""
    test, model = data.load("mnist5k").per_class(3), models.load(NETWORKS[name])
    x, targets = pairs(test)
    path = class_traversal(model, x, targets, of="logit", step_size=STEP, steps=LONG)

    def rough(images):      # for each image the mean difference of neighbouring pixels: total variation
        return (images[..., 1:, :] - images[..., :-1, :]).abs().mean((1, 2, 3)) + (images[..., 1:] - images[..., :-1]).abs().mean((1, 2, 3))
    row, seen = {"network": name, "steps": [0, *LOOKED_AT], "both": [], "strict": []}, {"distance": [], "roughness": []}
    for step in row["steps"]:
        said, distance = judges(model, path[step], targets)
        for kind in ("both", "strict"):
            row[kind].append(share_of_digits(for_each_digit(said[kind])))
        seen["distance"].append(distance)
        seen["roughness"].append(rough(path[step]))
    at = row["steps"].index(STEPS)
    for key, values in seen.items():
        row[key] = [round(value.median().item(), 4) for value in values]
        row[f"{key}_grows"] = of_digits(for_each_digit(values[-1] / values[at] - 1))     # of each image, from step STEPS to step LONG
    return row


def verdicts(table):
    """Each published observation, what ours says of it, and the figures it rests on."""
    def digit_shares(name, sources, kind, when):
        rows = [row for row in table["pairs"] if row["network"] == name and row["from"] in sources]
        return torch.tensor([int(count) / 9 for row in rows for count in row[when]["by_digit"][kind]], dtype=torch.float64)

    def of(name, sources, target=None, kind="both", when="end"):
        """The share of these digits for one target, or of their nine."""
        if target is None:
            return share_of_digits(digit_shares(name, sources, kind, when))
        rows = [row for row in table["pairs"] if row["network"] == name and row["from"] in sources and row["from"] != target]
        return share(sum(row[when]["hits"][kind][target] for row in rows), sum(row["digits"] for row in rows))

    def apart(high, low):
        return high["interval"][0] > low["interval"][1]

    def ahead(sources, target, kind, when):
        """Is the robust network clearly ahead? Over nine targets by the difference on the same digits; else if the intervals do not overlap, which asks for more."""
        if target is not None:
            return apart(*(of(name, sources, target, kind, when) for name in NETWORKS))
        return of_digits(digit_shares("robust", sources, kind, when) - digit_shares("standard", sources, kind, when))["interval"][0] > 0
    every, out = range(10), []
    five = of("robust", (5,), 0)
    out.append({"observation": "a 5 becomes a readable 0 on the robust network", "robust": five, "needs": "readable for over half, by the whole interval",
                "verdict": "confirmed" if five["interval"][0] > 0.5 else "not confirmed"})
    for kind, words in (("both", "readable"), ("strict", "readable and near real ones")):
        for sources, target, what in (((5,), 0, "from 5 to 0"), (every, None, "over all pairs")):
            both = {when: [of(name, sources, target, kind, when) for name in NETWORKS] for when in ("halfway", "end")}
            leads = {when: ahead(sources, target, kind, when) for when in both}
            few = all(pair[1]["interval"][1] < 0.2 for pair in both.values())
            out.append({"observation": f"on the standard network it does not ({what}, {words})", **both,
                        "needs": f"after {HALFWAY} and {STEPS} steps clearly more on the robust network, and fewer than a fifth, by the whole interval, on the standard one",
                        "verdict": "confirmed" if all(leads.values()) and few else
                                   f"in part: clearly fewer after {HALFWAY} and {STEPS} steps, but not few" if all(leads.values()) else
                                   f"in part: clearly fewer after {HALFWAY} steps, not after {STEPS}" if leads["halfway"] else
                                   f"in part: clearly fewer after {STEPS} steps, not after {HALFWAY}" if leads["end"] else "no difference seen"})
    for target, where in ((0, "to 0"), (None, "to any digit")):
        good, bad = of("robust", (2, 5, 6, 8), target), of("robust", (4,), target)
        each = {str(source): of("robust", (source,), target) for source in every if source != target}
        worst = min(each, key=lambda source: each[source]["share"])
        out.append({"observation": f"from 2, 5, 6 and 8 it works, from 4 badly ({where})", "from 2, 5, 6, 8": good, "from 4": bad, "worst source": int(worst),
                    "as bad": [int(source) for source in each if not apart(each[source], each[worst])], "each": each, "needs": "the intervals of the two do not overlap",
                    "verdict": "confirmed" if apart(good, bad) else "the opposite" if apart(bad, good) else "no difference seen"})
    rows = {row["pixels"]: row for row in table["off_centre"] if row["network"] == "robust"}
    out.append({"observation": "it works better for centred digits", **{f"{p} pixels off": rows[p]["both"] for p in rows}, "needs": "the intervals at 0 and at the largest shift do not overlap",
                "verdict": "confirmed" if apart(rows[min(rows)]["both"], rows[max(rows)]["both"]) else "no difference seen"})
    row = next(row for row in table["running_on"] if row["network"] == "robust")
    at, grows = row["steps"].index(STEPS), {"distance grows by": row["distance_grows"], "roughness grows by": row["roughness_grows"]}
    out.append({"observation": "noise grows when it runs on", "needs": f"from step {STEPS} to step {LONG} both the distance to the nearest real digit and the difference of neighbouring pixels grow, by the whole interval",
                **grows, f"readable after {STEPS} steps": row["both"][at], f"readable after {LONG} steps": row["both"][-1],
                "verdict": "confirmed" if all(growth["interval"][0] > 0 for growth in grows.values()) else "not confirmed"})
    return out


def main():
    settings = {"per_class": PER_CLASS, "step": STEP, "steps": STEPS, "halfway": HALFWAY, "judge": "mnist/standard", "second": "mnist/robust-linf"}
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
