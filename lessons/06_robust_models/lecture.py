# %% [markdown]
# # 06 · Robust models
# *About 15 minutes to read and run. Some of what follows you will be asked to predict (6.3, 6.5, 6.6, 6.8, 6.10, 6.14, 6.15): guess before you read on, or do the exercises first.* Unit 04 left one thing that moves the
# border away from the images: training on the worst case. What kind of network comes out?

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from helpers import attacks, attribution, data, models, planted, plots
from helpers.training import train

digits, test = data.load("mnist5k", "train"), data.load("mnist5k")
standard, robust = models.load("mnist5k/standard"), models.load("mnist5k/robust-l2")        # the same but for their training
eight = test.per_class(1)[:8]


def right(network, images, labels):
    return 100 * attacks.accuracy(network, images, labels)


def results(name):
    """What `python -m experiments.<name>` measured."""
    return json.loads(Path(f"../results/{name}.json").read_text())


def per_cent(share):
    return f"{100 * share['share']:.0f} % ({100 * share['interval'][0]:.0f} to {100 * share['interval'][1]:.0f})"


# %% [markdown]
# ## Train on the worst case
# Madry et al. (2018): minimise the loss of the *worst* image of the neighbourhood, $\min_\theta \mathbb{E} \max_{\|\delta\| \le \epsilon} J(x + \delta, y)$. The inner maximum has no formula for a deep network; an attack stands in for it. Every
# minibatch is attacked as the network is now (in eval mode), and the step is made on what comes out (in train mode). `mnist5k`, $L_2$ 1.5, after each of six epochs:

# %% budget=40
curves = {}
for name, options in {"standard": {}, "adversarial": dict(objective="pgd", norm="l2", eps=1.5, steps=7, step_size=0.5)}.items():
    torch.manual_seed(0)
    network, seen, watched = models.small_cnn(), [], test[:200]

    def look(network, step):
        if (step + 1) % 40 == 0:
            attacked = attacks.pgd(network, watched.images, watched.labels, eps=1.5, norm="l2", steps=10, keep="first")
            seen.append((right(network, watched.images, watched.labels), right(network, attacked, watched.labels)))
    history = train(network, digits.images, digits.labels, epochs=6, progress=False, callback=look, **options)
    curves[f"{name}, clean"], curves[f"{name}, under PGD-10"] = zip(*seen)
    print(f"{name:>12}: {seen[-1][0]:.0f} % clean, {seen[-1][1]:.0f} % under PGD-10, of 200 test digits")
figure, ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
plots.curves(ax, range(1, 7), curves, "epoch", "test digits right (%)")
plt.show()
assert curves["adversarial, under PGD-10"][-1] > curves["standard, under PGD-10"][-1] + 15

# %% [markdown]
# Seven steps of attack for each step of training: that is the price in time. The committed network had 30 epochs of it.
#
# ## What must the inner attack be?
# Nothing, one step (FGSM), one step from a random start, seven steps, seven with $\epsilon$ growing: networks trained for 20 epochs in L-infinity at 0.2 (`python -m experiments.overfitting` prepared this). **Ask first:** is one step enough?
# Solid: clean. Dashed: under the very step that training takes. Dotted: under PGD-10.

# %%
def four(norm, eps):
    rows = [row for row in results("overfitting")["rows"] if (row["norm"], row["eps"]) == (norm, eps)]
    if not rows:
        print(f"{norm} {eps}: not measured yet, run python -m experiments.overfitting")
        return {}
    figure, axes = plt.subplots(1, len(rows), figsize=(2.4 * len(rows), 2.5), sharey=True, squeeze=False, layout="constrained")
    for ax, row in zip(axes[0], rows):
        for key, label, line, colour in (("clean", "clean", "-", "C0"), ("single_step", "its own step", "--", "C1"), ("robust", "PGD-10", ":", "C2")):
            values = [(epoch + 1, 100 * value) for epoch, value in enumerate(row[key]) if value is not None]
            if values:
                ax.plot(*zip(*values), line, color=colour, marker="o" if len(values) == 1 else None, label=label)
        ax.set(xlabel="epoch", ylim=(-3, 103), xticks=(1, 10, 20))
        ax.set_title(row["inner"], fontsize=9)
    axes[0, 1].legend(fontsize=7, loc="center right")
    axes[0, 0].set_ylabel("training digits right (%)")
    plt.show()
    for row in rows:
        print(f"{row['inner']:>22}: {row['seconds']:4.0f} s; 300 test digits: clean {per_cent(row['test_clean'])}, strong attack {per_cent(row['test_robust'])}")
    return {row["inner"]: row for row in rows}


rows = four("linf", 0.2)
one = rows["one step"]
print(f"one step: under its own step {100 * one['single_step'][-1]:.0f} %, under PGD-10 {100 * one['robust'][-1]:.0f} % at the end, {100 * max(one['robust']):.0f} % at best")
assert one["robust"][-1] < max(one["robust"]) / 2 and one["single_step"][-1] > 0.8
assert rows["seven steps"]["test_clean"]["share"] < 0.2 and rows["seven, eps growing"]["test_robust"]["share"] > 2 * rows["one step, random start"]["test_robust"]["share"]

# %% [markdown]
# With plain FGSM inside, robustness comes and goes: the dotted line falls while the dashed one rises. The network learns to bend its loss so that *this* step leads astray. That is **catastrophic overfitting** (Wong, Rice and Kolter 2020), and an evaluation with
# FGSM would praise it. A random start helps. Seven steps are too hard a lesson to begin with: at the full size the network learns nothing at all. Let $\epsilon$ grow from 0 over the first three tenths of the training, and it ends far above the rest. (The seconds were measured on a busy machine: compare them with each other only.) The same in $L_2$, where one step does no such harm:

# %%
rows = four("l2", 1.5)
assert rows["one step"]["robust"][-1] > 0.8 * max(rows["one step"]["robust"])

# %%
from helpers.widgets import dashboard_explorer

dashboard_explorer()

# %% [markdown]
# ## Evaluate honestly
# A figure of robustness is an upper bound: the strongest attack that was *tried*. More steps, restarts, and a loss that does not go flat can only lower it. And with $\epsilon$ large enough it must reach zero; a curve that does not
# betrays the attack (Carlini et al. 2019). One step against many, 200 digits:

# %%
some, sizes = test[:200], (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
lines = {}
for name, network in {"standard": standard, "robust": robust}.items():
    lines[f"{name}, one step"] = [right(network, attacks.normalized_gradient(network, some.images, some.labels, eps=eps, norm="l2"), some.labels) for eps in sizes]
    lines[f"{name}, strong"] = [100 * attacks.robust_accuracy(network, some.images, some.labels, eps, norm="l2", steps=30, restarts=1)[0] for eps in sizes]
figure, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
plots.curves(ax, sizes, lines, "eps (L2)", "test digits right (%)")
plt.show()
assert lines["robust, strong"][-1] < 1 < lines["robust, one step"][-1]
stronger = {"PGD-20": dict(steps=20), "falling steps": dict(steps=20, decay=True), "margin loss": dict(steps=20, decay=True, loss="margin"),
            "margin, 3 random starts": dict(steps=20, decay=True, loss="margin", start="ball", restarts=3), "margin, 100 steps": dict(steps=100, decay=True, loss="margin")}
shares, safe = {}, torch.ones(len(some), dtype=torch.bool)
for name, options in stronger.items():
    attacked = attacks.pgd(robust, some.images, some.labels, eps=2.0, norm="l2", **options)
    shares[name] = right(robust, attacked, some.labels)
    safe &= ~attacks.fooled(robust, attacked, some.labels)
    print(f"robust network at L2 2, {name:<24} {shares[name]:.1f} % right")
print(f"{'safe from all of them:':>49} {100 * safe.float().mean():.1f} %")
assert 100 * safe.float().mean() <= min(shares.values())

# %% [markdown]
# ## A defence that only hides its gradient
# Put a front before the *standard* network that rounds pixels to four levels, or multiply its logits by 1,000 (not one answer changes). **Ask first:** what does PGD make of either?

# %%
class Fronted(nn.Module):
    """The standard network, with something before and after it."""

    def __init__(self, before=lambda x: x, after=lambda z: z):
        super().__init__()
        self.model, self.before, self.after = standard, before, after

    def forward(self, x):
        return self.after(self.model(self.before(x)))


def rounded(x):
    return (3 * x).round() / 3


def flat(logits, labels):
    return F.cross_entropy(logits, labels, reduction="none")        # what training minimises: in float32 exactly 0, without a gradient, where the network is sure enough


rounding, shouting = Fronted(before=rounded), Fronted(after=lambda z: 1000 * z)
through = Fronted(before=lambda x: x + (rounded(x) - x).detach())     # the same values, the gradient of an open door


def after_pgd(made_on, tried_on, **options):
    return right(tried_on, attacks.pgd(made_on, some.images, some.labels, eps=2.0, norm="l2", steps=40, **options), some.labels)


found = {"rounding: PGD": after_pgd(rounding, rounding), "rounding: examples of the bare network": after_pgd(standard, rounding), "rounding: PGD through it": after_pgd(through, rounding),
         "shouting: PGD on cross-entropy": after_pgd(shouting, shouting, loss=flat), "shouting: PGD on the margin": after_pgd(shouting, shouting, loss="margin"), "no defence: PGD": after_pgd(standard, standard)}
figure, ax = plt.subplots(figsize=(7, 2.5), layout="constrained")
ax.bar_label(ax.barh(list(found), list(found.values()), color=plots.CLEAN), fmt="%.0f", fontsize=8)
ax.set(xlabel="test digits right (%) at L2 2", xlim=(0, 110))
ax.invert_yaxis()
plt.show()
assert found["rounding: PGD"] > 90 and found["rounding: PGD through it"] < 30 and found["shouting: PGD on the margin"] < 10 < found["shouting: PGD on cross-entropy"] - 40

# %% [markdown]
# Both look robust to an attack that finds no gradient, and fall to the right one. Seven of nine defences of one conference fell like this (Athalye, Carlini and Wagner 2018). Signs: one step does better than many, or another network's examples do better
# than the attack itself.
#
# ## Can it be fooled?
# The practicum's attack (Santurkar & Tsipras 2020, exercises III and IV): targeted, $L_2$, step 0.5, 20 steps, $\epsilon = 1.25$, towards class 3. First digits, then CIFAR-10 pictures towards a dog, on networks trained as usual, at 0.5 and at 1:

# %%
def hits(network, some, target, eps=1.25, step_size=0.5):
    some = some[some.labels != target]
    goal = torch.full_like(some.labels, target)
    moved = attacks.pgd(network, some.images, goal, eps=eps, norm="l2", steps=20, step_size=step_size, targeted=True)
    return moved, 100 * attacks.fooled(network, moved, goal, targeted=True).float().mean().item()


rates = {}
for name, network in {"standard": standard, "robust": robust}.items():
    rates[name] = hits(network, test[:300], 3)[1]
    moved, _ = hits(network, eight, 3)
    plots.show(moved, plots.verdicts(network, moved, test.classes), columns=7, label=f"{name}: {rates[name]:.0f} % of {(test.labels[:300] != 3).sum()} digits become a 3")
colour = data.load("cifar10-samples")
coloured = {name: models.load(f"cifar10/{name}") for name in ("standard", "robust-l2", "robust-l2-eps1")}
for name, network in coloured.items():
    rates[f"cifar10/{name}"] = hits(network, colour, 5)[1]
    print(f"cifar10/{name}: {rates[f'cifar10/{name}']:.0f} % of {(colour.labels != 5).sum()} pictures become a dog")
assert rates["robust"] < rates["standard"] / 2 and rates["cifar10/robust-l2-eps1"] < rates["cifar10/standard"]

# %%
from helpers.widgets import duel_explorer

duel_explorer()

# %% [markdown]
# ## Large eps
# It can be fooled: with a larger $\epsilon$. What does an image become when a robust network is made to change its mind? The practicum's exercise V; thirty steps of 0.5 and an $\epsilon$ that never binds:

# %%
six, goal = colour[[0, 1, 4, 6, 3, 7]], torch.tensor([5, 0, 7, 3, 4, 1])
plots.show(six.images, [f"{colour.classes[a]} to {colour.classes[b]}" for a, b in zip(six.labels, goal)], columns=6, size=1.5)
for name in ("standard", "robust-l2-eps1"):
    changed = attacks.pgd(coloured[name], six.images, goal, eps=100.0, norm="l2", steps=30, step_size=0.5, targeted=True, keep="last")
    plots.show(changed, plots.verdicts(coloured[name], changed, colour.classes), columns=6, size=1.5, label=f"cifar10/{name}")
goal = (eight.labels + 2) % 10
for name, network in {"standard": standard, "robust": robust}.items():
    changed = attacks.pgd(network, eight.images, goal, eps=100.0, norm="l2", steps=30, step_size=0.5, targeted=True, keep="last")
    plots.show(changed, plots.verdicts(network, changed, test.classes), columns=8, label=f"mnist5k/{name}")

# %% [markdown]
# The standard networks are as sure as the robust ones; the pictures are the old ones under noise. The robust networks need *something of the class* in the picture.
#
# ## Their gradients
# Exercise VI.1. Gradients of the loss for digits and pictures; for the standard network also its SmoothGrad. And the score of unit 02 on `planted`: which share of a map lies on the shape, which covers 18 % of the picture?

# %%
def scaled(maps):
    return maps / maps.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)


def as_picture(t):
    return ((t - t.mean((2, 3), keepdim=True)) / (3 * t.std((2, 3), keepdim=True)) + 0.5).clamp(0, 1)


maps = {"standard: gradient": attribution.input_gradient(standard, eight.images, eight.labels), "standard: SmoothGrad": attribution.smooth_grad(standard, eight.images, eight.labels, n_samples=30, of="loss"),
        "robust: gradient": attribution.input_gradient(robust, eight.images, eight.labels)}
for name, values in maps.items():
    plots.show(scaled(values), columns=8, signed=True, limit=1, label=name)
for name in ("standard", "robust-l2-eps1"):
    plots.show(as_picture(attribution.input_gradient(coloured[name], six.images, six.labels)), columns=6, size=1.4, label=f"cifar10/{name}: gradient")
shaped, share = planted.draw(100, seed=7), {}
for name in ("standard", "robust-l2"):
    network = models.load(f"planted/{name}")
    for what, values in (("gradient", attribution.input_gradient(network, shaped.images, shaped.labels, of="logit")),
                         ("SmoothGrad", attribution.smooth_grad(network, shaped.images, shaped.labels, n_samples=15, sigma=0.05))):
        strength = values.abs().sum(1, keepdim=True)
        share[name, what] = 100 * ((strength * shaped.masks).flatten(1).sum(1) / strength.flatten(1).sum(1)).mean().item()
        print(f"planted/{name}, {what:<10}: {share[name, what]:.0f} % on the shape")
assert share["robust-l2", "gradient"] > 1.5 * max(share["standard", what] for what in ("gradient", "SmoothGrad"))

# %% [markdown]
# ## Class traversal
# Follow the gradient. From a digit, climb the *score* of another class (the logit, before the softmax) in steps of $L_2$ length 0.5. Above the standard network, below the robust one, for the same digits:

# %%
from helpers.widgets import traversal_film

traversal_film()

# %% [markdown]
# On the robust network strokes grow and vanish. On the standard one much of it is noise; but go on long enough, and *its* digits change, too. So: who is to judge? Not the network that was climbed, which says the target of nearly anything. Here
# a **judge** (`mnist/standard`, another network, trained on other digits) and the **nearest of 4,000 real digits** must both say the target; that is called *readable*. All 10 x 10 pairs, 40 digits each, after 20 and 40 steps:

# %%
table = results("traversal")
figure, axes = plt.subplots(2, 2, figsize=(9, 8), layout="constrained", sharex=True, sharey=True)
for line, (when, steps) in zip(axes, (("halfway", 20), ("end", 40))):
    for ax, name in zip(line, ("standard", "robust")):
        shares = torch.full((10, 10), torch.nan)
        for row in table["pairs"]:
            if row["network"] == name:
                for target, count in enumerate(row[when]["hits"]["both"]):
                    if count is not None:
                        shares[row["from"], target] = 100 * count / row["digits"]
        ax.imshow(shares, cmap=plots.POSITIVE, vmin=0, vmax=100)
        for i in range(10):
            for j in range(10):
                if i != j:
                    ax.text(j, i, f"{shares[i, j]:.0f}", ha="center", va="center", fontsize=7, color="white" if shares[i, j] < 60 else "black")
        ax.set(xticks=range(10), yticks=range(10))
        ax.set_title(f"{name}, {steps} steps: readable (%), mean {shares.nanmean():.0f}", fontsize=9)
for ax in axes[1]:
    ax.set_xlabel("target")
for ax in axes[:, 0]:
    ax.set_ylabel("from")
plt.show()
print("all pairs (95 % interval)        halfway                 end")
for kind, label in (("itself", "the network itself says so"), ("judge", "the judge says so"), ("neighbour", "the nearest real digit is one"), ("both", "readable: judge and neighbour"), ("near", "as near as real ones are")):
    for name in ("standard", "robust"):
        cells = []
        for when in ("halfway", "end"):
            counts = [count for row in table["pairs"] if row["network"] == name for count in row[when]["hits"][kind] if count is not None]
            n, p = 40 * len(counts), sum(counts) / (40 * len(counts))
            half = 1.96 * (p * (1 - p) / n) ** 0.5
            cells.append(f"{100 * p:.0f} % ({100 * (p - half):.0f} to {100 * (p + half):.0f})")
        print(f"{label:<30} {name:<9} {cells[0]:<18} {cells[1]}")

# %% [markdown]
# Look at the judge: it believes the standard network's results nearly as often as the robust one's. What fools one network trained as usual fools the next (unit 04). The real digits do not: there the robust network is far ahead halfway, and less so at
# the end. An article on robust networks of digits published observations; ours on each:

# %%
for row in table["verdicts"]:
    print(f"{row['observation']}: {row['verdict'].upper()}\n    needed: {row['needs']}")
    for key, value in row.items():
        if isinstance(value, dict) and "share" in value:
            print(f"    {key}: {per_cent(value)}")
        elif key in ("halfway", "end"):
            print(f"    {key}: robust {per_cent(value[0])}, standard {per_cent(value[1])}")
        elif key == "each":
            print("    robust network, from each digit: " + ", ".join(f"{source} {100 * share['share']:.0f} %" for source, share in value.items()))
        elif isinstance(value, list):
            print(f"    {key}: from {value[0]:g} to {value[1]:g}")
running = {row["network"]: row for row in table["running_on"]}
figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
for ax, key, label in zip(axes, ("distance", "roughness"), ("distance to the nearest real digit (L2)", "difference of neighbouring pixels")):
    plots.curves(ax, running["robust"]["steps"], {name: row[key] for name, row in running.items()}, "step", "")
    ax.set_title(label, fontsize=9)
plt.show()

# %% [markdown]
# So a 5 does become a readable 0, on a robust network and later on a standard one, too; a 4 is no worse a start than others; off-centre digits are worse (our networks and judges know centred ones, so this says as much about them); and running on
# makes the picture rougher and drives it away from real digits. The article's networks were others. Play:

# %%
from helpers.widgets import traversal_explorer

traversal_explorer()

# %% [markdown]
# ## What robustness costs
# Time, accuracy, and data: Schmidt et al. (2018) argue that a robust network needs more examples. The same number of minibatches from 400 and from 4,000 digits, five steps inside; what is lost from training digits to test digits?

# %% budget=45
costs = {}
for n in (400, 4000):
    torch.manual_seed(0)
    network, few = models.small_cnn(), digits[:n]
    train(network, few.images, few.labels, epochs=16_000 // n, progress=False, objective="pgd", norm="l2", eps=1.5, steps=5)
    costs[n] = []
    for part in (few[:400], test[:400]):
        attacked = attacks.pgd(network, part.images, part.labels, eps=1.5, norm="l2", steps=20, keep="first")
        costs[n] += [right(network, part.images, part.labels), right(network, attacked, part.labels)]
    print(f"{n:>5} digits: clean {costs[n][0]:.0f} % of the training digits, {costs[n][2]:.0f} % of test digits; attacked {costs[n][1]:.0f} % and {costs[n][3]:.0f} %")
gap = {n: (values[0] - values[2], values[1] - values[3]) for n, values in costs.items()}
print(f"from training to test digits, with 400: clean {gap[400][0]:.0f} points lost, attacked {gap[400][1]:.0f}; with 4,000: {gap[4000][0]:.0f} and {gap[4000][1]:.0f}")
assert gap[400][1] > gap[4000][1] and gap[400][0] > gap[4000][0]
for data_set, names in (("mnist5k", ("standard", "robust-l2")), ("cifar10", ("standard", "robust-l2", "robust-l2-eps1")), ("planted", ("standard", "robust-l2"))):
    print(f"{data_set}, clean: " + ", ".join(f"{name} {100 * models.info(f'{data_set}/{name}')['measured']['clean']['share']:.1f} %" for name in names))

# %% [markdown]
# And it is robustness *against something*: trained in $L_2$, attacked in both norms (200 digits; the network's own norm and size is the second pair).

# %%
sizes = {"clean": None, "L2 1.5": ("l2", 1.5), "L2 2.5": ("l2", 2.5), "L-inf 0.1": ("linf", 0.1), "L-inf 0.2": ("linf", 0.2), "L-inf 0.3": ("linf", 0.3)}
kept = {name: [100 * attacks.robust_accuracy(network, some.images, some.labels, size[1], norm=size[0], steps=30, restarts=1)[0] if size else right(network, some.images, some.labels) for size in sizes.values()]
        for name, network in {"standard": standard, "robust (L2 1.5)": robust}.items()}
figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
at = torch.arange(len(sizes))
for i, (name, values) in enumerate(kept.items()):
    ax.bar_label(ax.bar(at + 0.4 * i - 0.2, values, 0.4, label=name, hatch=("", "//")[i]), fmt="%.0f", fontsize=8)
ax.set(ylabel="test digits right (%)", ylim=(0, 115))
ax.set_xticks(at, list(sizes))
ax.legend(fontsize=8)
plt.show()
assert kept["robust (L2 1.5)"][3] > kept["standard"][3] and kept["robust (L2 1.5)"][5] < 20

# %% [markdown]
# ## What it no longer sees
# Who ignores every small change is blind to what is small. On `planted` the pattern always names the class, and is smaller than the changes that the robust network was trained to ignore. And for digits: how is the energy of the gradients spread
# over slow (left) and fast (right) changes across the image?

# %%
against = planted.draw(300, seed=9, disagree=True)
for name in ("standard", "robust-l2"):
    said = attacks.scores(models.load(f"planted/{name}"), against.images).argmax(1)
    print(f"planted/{name}: where they disagree follows the shape {100 * (said == against.shapes).float().mean():.0f} %, the pattern {100 * (said == against.patterns).float().mean():.0f} %")


def spectrum(maps, bands=8):
    power = torch.fft.fft2(maps).abs().square().mean((0, 1))
    frequency = torch.fft.fftfreq(28)
    band = ((frequency[:, None] ** 2 + frequency ** 2).sqrt() / 0.5 * bands).long().clamp(max=bands - 1)
    return [100 * (power[band == b].sum() / power.sum()).item() for b in range(bands)]


lines = {name: spectrum(attribution.input_gradient(network, some.images, some.labels, of="logit")) for name, network in {"standard": standard, "robust": robust}.items()}
lines["the digits themselves"] = spectrum(some.images - some.images.mean((2, 3), keepdim=True))
figure, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
plots.curves(ax, [(b + 0.5) / 16 for b in range(8)], lines, "frequency (cycles a pixel)", "share of the energy (%)")
plt.show()
fast = {name: sum(values[-2:]) for name, values in lines.items()}
print("above 0.375 cycles a pixel: " + ", ".join(f"{name} {value:.1f} %" for name, value in fast.items()))
assert fast["standard"] > 3 * fast["robust"]

# %% [markdown]
# On `planted` the robust network is blind to the pattern, although the pattern is always right. For digits the two gradients differ at the fast end: the standard network still listens to changes from
# pixel to pixel, which hardly occur in digits; the robust one does not.
#
# ## What to take away
# - Attack inside, step outside: the inner attack must be good enough that the network cannot learn to dodge it.
# - A robustness figure is worth its strongest attack. It must reach zero; a hidden gradient is no defence.
# - A robust network can be fooled, by changes that one sees. Its gradients, followed far, draw what we recognise; a standard network's do so later and rougher.
# - A judge must not share the blind spots of the judged.
# - It costs time, accuracy, data, and sight for small things; and it holds for the attack that it was trained on.
#
# **Now you:** [your copy of the exercises](../my-work/06_robust_models.ipynb).
