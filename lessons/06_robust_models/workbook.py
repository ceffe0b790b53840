# %% [markdown]
# # 06 · Robust models
# **You need:** units 03 and 05; SmoothGrad and `planted` are from unit 02.
#
# **Afterwards you can:** train a network that withstands an attack; tell a defence that works from one that only hides its gradient; turn a digit into another by following a robust
# network's score, and have somebody else judge the result; say what robustness costs.
#
# Notation: $x$ an image in $[0, 1]$, $y$ its class, $J$ the cross-entropy loss, $z_t$ the score (logit) of class $t$ before the softmax, $\epsilon$ the size of a change. Adversarial training (Madry et al. 2018) minimises the worst
# loss of the neighbourhood instead of the loss at the point:
#
# $$\min_\theta \; \mathbb{E}_{x, y} \; \max_{\|\delta\| \le \epsilon} J(x + \delta, y)$$

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from helpers import attacks, attribution, data, models, planted, plots
from helpers.course import check, hint, predict, progress, reveal

digits, test = data.load("mnist5k", "train"), data.load("mnist5k")      # 4,000 to train on, 1,000 to test with
standard, robust = models.load("mnist5k/standard"), models.load("mnist5k/robust-l2")      # the same but for their training
eight = test.per_class(1)[:8]

# %% setup="checks"
import json
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from helpers import attacks, attribution, data, lesson, models, planted, plots
from helpers.checking import Pixels, Wrong, WrongType, arguments, close, images, linear, tensor, untouched

RESULTS = lesson.LESSONS.parent / "results"


def measured(name):
    """What `python -m experiments.<name>` measured."""
    return json.loads((RESULTS / f"{name}.json").read_text())


# %% [markdown] exercise="6.1" minutes=10 difficulty=2 core=true
# ## One step of adversarial training
# The inner maximum is an attack; the outer minimum is a step of the optimizer on what the attack made. For one minibatch:
#
# 1. attack the images, with the model in **eval** mode (in train mode dropout would blindfold the attacker, and batch norm would take in the attack's passes);
# 2. back to **train** mode: the cross-entropy of the *attacked* images with their true labels, mean over the batch;
# 3. clear the gradients, go backward, make the step. (Somebody's attack may have left gradients in the weights: clear them *after* it.)

# %%
def adversarial_step(model, optimizer, images, labels, attack):
    """One minibatch. attack(model, images, labels) returns attacked images.
    Changes the weights by one step of the optimizer; returns the loss on the attacked images, a float."""
    ### BEGIN SOLUTION
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    loss = F.cross_entropy(model(attacked), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION

# %%
check("6.1", adversarial_step)

# %% [markdown] hints="6.1"
# - `model.eval()` before the attack, `model.train()` after it. The attack is handed over: `attack(model, images, labels)`.
# - The outer step is that of any training: `loss = F.cross_entropy(model(attacked), labels)`, then `optimizer.zero_grad()`, `loss.backward()`, `optimizer.step()`.
# - Return `loss.item()`: a number, which does not hang on the graph.

# %% check="6.1"
def check(adversarial_step):
    arguments(adversarial_step, "model", "optimizer", "images", "labels", "attack")

    class Moody(nn.Module):
        """A linear network that notes in which mode it is asked whenever gradients are on."""

        def __init__(self):
            super().__init__()
            self.weights, self.inside = nn.Parameter(torch.randn(3, 16, generator=torch.Generator().manual_seed(0))), nn.Identity()
            self.asked = []

        def forward(self, x):
            if torch.is_grad_enabled():
                self.asked.append(self.inside.training)
            return x.flatten(1) @ self.weights.T

    def gradient(weights, x, y, reduction="mean"):
        weights = weights.clone().requires_grad_()
        loss = F.cross_entropy(x.flatten(1) @ weights.T, y, reduction=reduction)
        return torch.autograd.grad(loss, weights)[0], loss.item()
    x, y = images(6, low=0.2, high=0.8), torch.tensor([0, 1, 2, 0, 1, 2])
    moved = (x + 0.15 * images(6, low=-1, high=1, seed=5)).clamp(0, 1)
    modes, handed = [], []

    def attack(model, images, labels):
        if not torch.is_grad_enabled():
            raise Wrong("the attack is called under `torch.no_grad()`: it lives on gradients.")
        if not isinstance(model, nn.Module) or images.shape != x.shape:
            raise Wrong("the attack got its arguments in another order: `attack(model, images, labels)`.")
        modes.append(model.inside.training)
        handed.append((images.clone(), labels.clone()))
        F.cross_entropy(model(images), labels, reduction="sum").backward()      # a careless attack: it leaves gradients in the weights
        model.asked.clear()
        return moved

    def one_step(lr=0.1):
        net = Moody()
        before = net.weights.detach().clone()
        return net, before, adversarial_step(net, torch.optim.SGD(net.parameters(), lr=lr), x, y, attack)
    kept = x.clone(), y.clone()
    net, before, out = one_step()
    untouched((x, kept[0]), (y, kept[1]))
    if not modes:
        raise Wrong("the attack was never called: train on what `attack(model, images, labels)` returns.")
    if len(modes) > 1:
        raise Wrong(f"the attack was called {len(modes)} times for one minibatch: once is enough, and it is what costs the time.")
    if not torch.equal(handed[0][0], x) or not torch.equal(handed[0][1], y):
        raise Wrong("the attack got something else than the images and their labels.")
    if modes[0]:
        raise Wrong("the model was in train mode while it was attacked: `model.eval()` before the attack.")
    change = (before - net.weights.detach()) / 0.1
    wanted, loss = gradient(before, moved, y)
    leaked = gradient(before, x, y, "sum")[0]
    clean = gradient(before, x, y)[0]
    said = [(before @ z.flatten(1).T).argmax(0) for z in (moved, x)]
    both = (gradient(before, torch.cat([x, moved]), torch.cat([y, y]))[0], wanted + clean)
    if close(change, torch.zeros_like(change)):
        raise Wrong("the weights are as they were: `loss.backward()`, then `optimizer.step()`.")
    if close(change, wanted + leaked) or close(change, clean + leaked):
        raise Wrong("gradients that the attack left in the weights are in the step: `optimizer.zero_grad()` after the attack, before `loss.backward()`.")
    if close(change, leaked):
        raise Wrong("the step is made of what the attack left in the weights: `optimizer.step()` comes before the backward pass. First `optimizer.zero_grad()`, `loss.backward()`, then the step.")
    if close(change, clean):
        raise Wrong("this step is that of the *clean* images: the attack's result is not used.")
    if any(close(change, other) for other in both):
        raise Wrong("the step is one on clean and attacked images together. Some do so (Goodfellow et al. 2015); here the attacked ones alone are wanted.")
    if close(change, -wanted):
        raise Wrong("the weights move uphill: the attack raises the loss, training lowers it.")
    if close(change, 2 * wanted):
        raise Wrong("these are two steps with the same gradient: one `optimizer.step()` for each minibatch.")
    if close(change, 6 * wanted):
        raise Wrong("the loss is summed over the batch: take the mean, so that the step does not depend on the batch's size.")
    if any(close(change, gradient(before, moved, other)[0]) for other in said):
        raise Wrong("the loss is computed for the classes that the network predicts: use `labels`.")
    weights = before.clone().requires_grad_()
    if close(change, torch.autograd.grad(F.cross_entropy((moved.flatten(1) @ weights.T).softmax(1), y), weights)[0]):
        raise Wrong("there is a softmax before the cross-entropy, which has its own: give it the scores as they are.")
    if not close(change, wanted):
        raise Wrong("the weights did not move by the learning rate times the gradient of the mean cross-entropy on the attacked images. Is it one step, with the scores as they are (no softmax)?")
    if not net.asked[-1]:
        raise Wrong("the step was taken in eval mode: `model.train()` after the attack, or dropout and batch norm never learn.")
    if isinstance(out, torch.Tensor):
        raise WrongType("a tensor came: return `loss.item()`. What hangs on the graph keeps all of it in memory.")
    if not isinstance(out, float):
        hint = " Is there a `return`?" if out is None else ""
        raise WrongType(f"the loss should come as a float, but `{type(out).__name__}` came.{hint}")
    if abs(out - loss) > 1e-4:
        raise Wrong(f"the weights are right, but the loss returned is {out:.3f} instead of {loss:.3f}, that of the attacked images before the step.")
    slow, _, _ = one_step(lr=0.02)
    if not close((before - slow.weights.detach()) / 0.02, wanted, 1e-3):
        raise Wrong("with another optimizer the step is not the optimizer's: leave it to `optimizer.step()`.")
    return "attack in eval mode, step in train mode, nothing left over."

# %% [markdown]
# Now train with it: four epochs over 3,000 digits, with PGD of seven steps in $L_2$ 1.5 inside; and the same with an "attack" that does nothing. It takes some ten to twenty seconds. After each epoch: 200 test digits, clean and
# under PGD-10.

# %% budget=40
def pgd7(model, images, labels):
    return attacks.pgd(model, images, labels, eps=1.5, norm="l2", steps=7, step_size=0.5, start="ball", keep="last")


def learn(attack, epochs=4):
    """A fresh network trained with your step: (network, clean accuracies, robust accuracies), in per cent."""
    torch.manual_seed(0)
    network, order = models.small_cnn(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=30 * epochs)
    clean, attacked, some = [], [], test[:200]
    for _ in range(epochs):
        for rows in torch.randperm(3000, generator=order).split(100):
            adversarial_step(network, optimizer, digits.images[rows], digits.labels[rows], attack)
            schedule.step()
        clean.append(100 * attacks.accuracy(network, some.images, some.labels))
        moved = attacks.pgd(network, some.images, some.labels, eps=1.5, norm="l2", steps=10, keep="first")
        attacked.append(100 * attacks.accuracy(network, moved, some.labels))
    return network.eval(), clean, attacked


ways = {"as usual": learn(lambda model, images, labels: images), "adversarial": learn(pgd7)}
figure, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
plots.curves(ax, range(1, 5), {f"{name}, {what}": values for name, (_, *both) in ways.items() for what, values in zip(("clean", "attacked"), both)}, "epoch", "test digits right (%)")
plt.show()
for name, (_, clean, attacked) in ways.items():
    print(f"{name}: {clean[-1]:.0f} % right, {attacked[-1]:.0f} % under PGD-10 at L2 1.5")
assert ways["adversarial"][2][-1] > ways["as usual"][2][-1] + 15

# %% [markdown]
# That is all there is to it: a few lines, and eight times the work for each minibatch. From here on the committed networks serve (`mnist5k/robust-l2`: the same attack inside, 30 epochs, each digit moved by up to two pixels).

# %% [markdown] part="6.2" minutes=3 core=true
# ## Watch it learn
# The training explorer trains on 1,000 digits while you look. Things to try: no inner attack; one step in L-infinity at 0.2 for 20 epochs (about a minute), and how the line of the *ten* steps parts from that of the one; the same from a random start; what the gradients look like
# when the attacked line rises.

# %%
from helpers.widgets import dashboard_explorer

dashboard_explorer()

# %% [markdown] predict="6.3" minutes=4 core=true low=0 high=100 unit="%"
# ## What must the inner attack be?
# An attack of seven steps costs seven times as much as one of a single step. Is one step (FGSM) not enough? A network was trained for 20 epochs with FGSM of $\epsilon = 0.2$ in L-infinity as its inner attack, and is hardly impressed by FGSM any more.
# **How many per cent of the test digits does it read correctly under a strong attack of the same size?** (Networks trained with seven steps are in the picture, too.)

# %%
predict("6.3", 50)

# %% answer="6.3"
def answer(guess):
    rows = [row for row in measured("overfitting")["rows"] if (row["norm"], row["eps"]) == ("linf", 0.2)]
    figure, axes = plt.subplots(1, len(rows), figsize=(2.1 * len(rows), 2.6), sharey=True, layout="constrained")
    for ax, row in zip(axes, rows):
        for key, label, line, colour in (("clean", "clean", "-", "C0"), ("single_step", "under its own step", "--", "C1"), ("robust", "under PGD-10", ":", "C2")):
            values = [(epoch + 1, 100 * value) for epoch, value in enumerate(row[key]) if value is not None]
            if values:
                ax.plot(*zip(*values), line, color=colour, marker="o" if len(values) == 1 else None, label=label)
        ax.set_title(f"{row['inner']}\ntest, strong attack: {100 * row['test_robust']['share']:.0f} %", fontsize=8)
        ax.set(xlabel="epoch", ylim=(-3, 103))
    one = next(row for row in rows if row["inner"] == "one step")
    axes[rows.index(one)].plot([len(one["clean"])], [guess], "kx", markersize=9, label="your guess")
    empty = min(range(len(rows)), key=lambda i: rows[i]["clean"][-1])        # where the legend hides nothing
    axes[empty].legend(*axes[rows.index(one)].get_legend_handles_labels(), fontsize=7)
    axes[0].set_ylabel("training digits right (%)")
    at_the_end = ", ".join(f"{row['inner']} {100 * row['test_robust']['share']:.0f} %" for row in rows)
    best = max(value for value in one["robust"])
    nothing = "".join(f" '{row['inner']}' learned nothing at all ({100 * row['test_clean']['share']:.0f} % clean): the full size from the first minibatch on was too much; where eps grew from 0, seven steps are the best." for row in rows if row["test_clean"]["share"] < 0.2)
    return (f"Measured on 300 test digits, at the end: {at_the_end}. With one step {100 * one['single_step'][-1]:.0f} % of the watched digits withstand the step of training at the end, "
            f"and {100 * one['robust'][-1]:.0f} % withstand PGD-10; the best epoch had {100 * best:.0f} %. The network learns to bend its loss so that *that* step leads astray. Where robustness that was there is "
            "lost so, it is called catastrophic overfitting (Wong et al. 2020)." + nothing)

# %% [markdown] exercise="6.4" minutes=6 difficulty=1 core=true
# ## Honest evaluation
# A network is as robust as the *strongest* attack leaves it, image by image. An image counts as safe if it is read correctly as it is **and** after every attack that was tried. (So the share of safe images is at most that of the
# strongest single attack, and often lower: attacks fool different images.)

# %%
def safe(model, images, labels, several):
    """several: a list of attacks, each a function (model, images, labels) -> attacked images.
    For each image: is it read correctly, clean and after each attack? A bool tensor of length N."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        good = model(images).argmax(1) == labels
    for attack in several:
        attacked = attack(model, images, labels)
        with torch.no_grad():
            good = good & (model(attacked).argmax(1) == labels)
    return good
    ### END SOLUTION

# %%
check("6.4", safe)

# %% [markdown] hints="6.4"
# - Begin with the clean images: `good = model(images).argmax(1) == labels`.
# - For each attack: attack the *clean* images, and keep what is good before **and** after: `good = good & (model(attacked).argmax(1) == labels)`.

# %% check="6.4"
def check(safe):
    arguments(safe, "model", "images", "labels", "several")
    eye = torch.eye(7).view(7, 1, 7, 1)
    x, y = 0.9 * eye, torch.tensor([0, 1, 2, 3, 4, 0, 1])       # the last two are misread as they are
    strange = []

    def turns(table):
        def attack(model, images, labels):
            if not torch.is_grad_enabled():
                raise Wrong("the attack is called under `torch.no_grad()`: it lives on gradients. Only the network's answers do without.")
            if not isinstance(model, nn.Module) or images.ndim != 4:
                raise Wrong("an attack got its arguments in another order: `attack(model, images, labels)`.")
            said = images.flatten(1).argmax(1)
            strange.extend(row for row in images if not any(torch.equal(row, clean) for clean in x))
            return torch.stack([0.8 * eye[table.get(s, s)] for s in said.tolist()]) if len(said) else images
        return attack
    first, second = turns({0: 1, 1: 2, 5: 0}), turns({1: 3, 2: 0, 5: 0})       # both also repair one that was misread
    before = x.clone()
    out = safe(Pixels(), x, y, [first, second])
    untouched((x, before))
    if isinstance(out, (float, int)) and not isinstance(out, bool) or isinstance(out, torch.Tensor) and out.ndim == 0:
        raise WrongType("one number came: wanted is a verdict for each image, N truth values. The smallest of the attacks' accuracies would flatter: each attack fools other images.")
    if isinstance(out, torch.Tensor) and out.dtype != torch.bool:
        raise WrongType(f"the verdicts came as {out.dtype}, wanted are truth values: `==` and `&` give them.")
    wanted = torch.tensor([False, False, False, True, True, False, False])
    tensor(out, wanted)
    for safe_ones, words in (((0, 1, 2, 5, 6), "these are the images that are *fooled*: wanted are those that are safe."),
                             ((3, 4, 5), "an image that is misread as it is counts as safe, because the attacks happen to repair it: test the clean images, too."),
                             ((3, 4, 6), "an image that is misread, always in the same way, counts as safe: compare with `labels`, not with the clean prediction."),
                             ((0, 1, 2, 3, 4, 5), "an image is safe here if it withstands *one* of the attacks: every attack must fail (`&`)."),
                             ((0, 1, 2, 3, 4), "an image is safe here if it withstands *one* of the attacks, or none: every attack must fail (`&`)."),
                             ((0, 2, 3, 4, 5), "an image is safe here if it withstands *one* of the attacks: every attack must fail (`&`), and clean images must be read correctly, too."),
                             ((0, 3, 4), "only the last attack counts: keep what the earlier ones found (`good = good & ...`)."),
                             ((0, 3, 4, 5), "only the last attack counts, and clean images are not tested: keep what was found before (`good = good & ...`)."),
                             ((2, 3, 4), "only the first attack counts. Is the `return` inside the loop? (Or was one attack, the strongest, taken for all images?)"),
                             ((2, 3, 4, 5), "only the first attack counts, and clean images are not tested. Is the `return` inside the loop?")):
        wrong = torch.zeros(7, dtype=torch.bool)
        wrong[list(safe_ones)] = True
        if torch.equal(out, wrong):
            raise Wrong(words)
    if strange:
        raise Wrong("an attack got images that another attack had made: each begins at the clean images, or the change grows beyond eps.")
    if not torch.equal(out, wanted):
        raise Wrong(f"of seven images these are safe: {wanted.tolist()}; yours: {out.tolist()}.")
    alone = safe(Pixels(), x, y, [])
    if not torch.equal(alone, torch.tensor([True] * 5 + [False] * 2)):
        raise Wrong("without any attack the safe images are those that are read correctly as they are.")
    return "safe means safe from everything that was tried."

# %% [markdown]
# More steps, a random start, another loss: what does each add? (Share of 150 test digits that the robust network still reads correctly at $L_2$ 2, and that of all together.)

# %%
some = test[:150]
tried = {"1 step": dict(steps=1), "5 steps": dict(steps=5), "20 steps": dict(steps=20), "20 steps, falling": dict(steps=20, decay=True),
         "20 falling, random start": dict(steps=20, decay=True, start="ball"), "20 falling, margin loss": dict(steps=20, decay=True, loss="margin")}
several = [lambda model, images, labels, options=options: attacks.pgd(model, images, labels, eps=2.0, norm="l2", **options) for options in tried.values()]
alone = [safe(robust, some.images, some.labels, [one]) for one in several]
for name, left in zip(tried, alone):
    print(f"{name:>26}: {100 * left.float().mean():.1f} %")
every = safe(robust, some.images, some.labels, several)
print(f"{'all together':>26}: {100 * every.float().mean():.1f} %")
assert all((left | ~every).all() for left in alone)

# %% [markdown] predict="6.5" minutes=3 core=true low=0 high=15 unit="(L2)"
# ## It must reach zero
# With $\epsilon$ large enough every image can be turned into any other, so the curve of robust accuracy must fall to zero. A curve that does not betrays the *attack*, not a good defence (Carlini et al. 2019).
# **At which $L_2$ size does the robust network, trained at 1.5, keep less than 1 % of the digits?**

# %%
predict("6.5", 4)

# %% answer="6.5"
def answer(guess):
    test, sizes = data.load("mnist5k")[:100], (0.0, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
    lines = {}
    for name, file in (("standard", "standard"), ("robust", "robust-l2")):
        model = models.load(f"mnist5k/{file}")
        lines[f"{name}, one step"] = [100 * attacks.accuracy(model, attacks.normalized_gradient(model, test.images, test.labels, eps=eps, norm="l2"), test.labels) for eps in sizes]
        lines[f"{name}, strong"] = [100 * attacks.robust_accuracy(model, test.images, test.labels, eps, norm="l2", steps=20, restarts=1)[0] for eps in sizes]
    figure, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
    plots.curves(ax, sizes, lines, "eps (L2)", "test digits right (%)")
    ax.plot([guess], [0], "kx", markersize=10, label="your guess")
    ax.legend(fontsize=8)
    first = {name: next((eps for eps, value in zip(sizes, values) if value < 1), None) for name, values in lines.items()}
    said = ", ".join(f"{name}: {'not by 5' if eps is None else f'at {eps:g}'}" for name, eps in first.items())
    return f"Below 1 % of 100 digits: {said}. Measured with one step alone, both networks would look safer than they are."

# %% [markdown] predict="6.6" minutes=2 core=true low=0 high=100 unit="%"
# ## A defence for nothing?
# Here is a defence that needs no training: round every pixel to one of four levels before the *standard* network sees it. A small change is rounded away! **How many per cent of the test digits are read correctly under PGD
# (40 steps, $L_2$ 2) on the network with this front?** Without it hardly any is.

# %%
predict("6.6", 30)

# %% answer="6.6"
def answer(guess):
    test, model = data.load("mnist5k")[:150], models.load("mnist5k/standard")

    class Rounded(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model((3 * x).round() / 3)
    front = Rounded().eval()

    def right(made_on, tried_on):
        return 100 * attacks.accuracy(tried_on, attacks.pgd(made_on, test.images, test.labels, eps=2.0, norm="l2", steps=40), test.labels)
    bars = {"clean": 100 * attacks.accuracy(front, test.images, test.labels), "PGD on it": right(front, front), "PGD on the bare network, tried on it": right(model, front), "no front: PGD": right(model, model)}
    figure, ax = plt.subplots(figsize=(6.5, 2.2), layout="constrained")
    ax.bar_label(ax.barh(list(bars), list(bars.values()), color=plots.CLEAN), fmt="%.0f", fontsize=8)
    ax.plot([guess], [1], "kx", markersize=10, label="your guess")
    ax.set(xlabel="test digits right (%)", xlim=(0, 112))
    ax.invert_yaxis()
    ax.legend(fontsize=8)
    return (f"Measured: {bars['PGD on it']:.0f} %, as many as without any attack. Too good: the gradient of rounding is 0 everywhere, so PGD never moves. Examples made on the bare network leave "
            f"{bars['PGD on the bare network, tried on it']:.0f} %. When an attack does nothing, look at the gradient before you praise the defence.")

# %% [markdown] exercise="6.7" minutes=6 difficulty=2 core=true
# ## Through the wall
# Of nine published defences of a single conference seven lived on hidden gradients; Athalye, Carlini and Wagner (2018) broke six of them entirely and one in part. For a front that changes little, the way through is simple: in the forward pass use the front
# as it is, in the backward pass pretend it were the identity. What is wanted is a tensor whose **value** is `front(images)` and whose **gradient** for `images` is that of `images` itself.

# %%
def straight_through(front, images):
    """front(images), which passes gradients on to `images` unchanged. Shape of `images`."""
    ### BEGIN SOLUTION
    return images + (front(images) - images).detach()
    ### END SOLUTION

# %%
check("6.7", straight_through)

# %% [markdown] hints="6.7"
# - `.detach()` makes a tensor a constant: its value stays, its gradient is 0.
# - Write the value as `images` plus a difference, and make the difference a constant.
# - `images + (front(images) - images).detach()`.

# %% check="6.7"
def check(straight_through):
    arguments(straight_through, "front", "images")
    weights = images(3, low=-1, high=1, seed=9)
    for front, name in ((lambda x: (4 * x).round() / 4, "rounding"), (lambda x: x * x + 0.1, "a front with a gradient of its own")):
        x = images(3, low=0, high=1).requires_grad_()
        kept = x.detach().clone()
        out = straight_through(front, x)
        if not isinstance(out, torch.Tensor) or out.shape != x.shape:
            came = f"`{type(out).__name__}`" if not isinstance(out, torch.Tensor) else f"a tensor of shape {tuple(out.shape)}"
            raise WrongType(f"wanted a tensor of shape {tuple(x.shape)}, but {came} came." + (" Is there a `return`?" if out is None else ""))
        if not torch.equal(x.detach(), kept):
            raise Wrong("your code changes the images it was given.")
        value = front(kept)
        if close(out.detach(), kept):
            raise Wrong("the value is that of the images themselves: the network must see what the front lets through.")
        if close(out.detach(), 2 * kept - value):
            raise Wrong("the difference has the wrong sign: `front(images) - images` brings the images to the front's value.")
        if close(out.detach(), kept + value):
            raise Wrong("the value is the sum of both: add the *difference* between the front's value and the images.")
        if close(out.detach(), (kept + value) / 2):
            raise Wrong("the value is half the front's, half the images': it must be exactly `front(images)`.")
        if not close(out.detach(), value):
            raise Wrong("the value is not `front(images)`.")
        if not out.requires_grad:
            raise Wrong("no gradient comes through at all: only the *difference* is to be detached; the `images` in the sum must stay as they are.")
        slope, = torch.autograd.grad((out * weights).sum(), x, allow_unused=True)
        if slope is None:
            raise Wrong("the result does not hang on `images`, so that no gradient reaches them: only the *difference* is to be detached; the `images` in the sum must stay as they are.")
        if close(slope, torch.zeros_like(slope)):
            raise Wrong(f"the gradient is 0 ({name}): this is the front as it is. Its own gradient must be cut off (`.detach()`), and that of `images` kept.")
        if close(slope, weights * 2 * kept) or close(slope, weights * (1 + 2 * kept)):
            raise Wrong("the front's own gradient is still in it: detach the whole difference, `(front(images) - images).detach()`.")
        if not close(slope, weights):
            raise Wrong(f"the gradient is not that of the identity ({name}).")
    return "the value of the front, the gradient of an open door."

# %%
class Behind(nn.Module):
    """The standard network behind a front."""

    def __init__(self, front):
        super().__init__()
        self.model, self.front = standard, front

    def forward(self, x):
        return self.front(x)


def rounded(x):
    return (3 * x).round() / 3


def right(made_on, tried_on, **options):
    some = test[:150]
    return f"{100 * attacks.accuracy(tried_on, attacks.pgd(made_on, some.images, some.labels, eps=2.0, norm='l2', steps=40, **options), some.labels):.0f} % right"


defended = Behind(lambda x: standard(rounded(x)))
print("rounding,   PGD as it is:              ", right(defended, defended))
print("            PGD through your door:     ", right(Behind(lambda x: standard(straight_through(rounded, x))), defended))
loud = Behind(lambda x: 1000 * standard(x))            # the same answers, shouted: cross-entropy in float32 is exactly 0, and flat
print("saturating, PGD on cross-entropy:      ", right(loud, loud, loss=lambda logits, labels: F.cross_entropy(logits, labels, reduction="none")))
print("            PGD on the margin:         ", right(loud, loud, loss="margin"))

# %% [markdown]
# Neither front is a defence. The second is nothing but a factor, which changes no answer at all; an attack with the loss of training sees a flat landscape. (So the attacks of this course follow the log-odds, which never go flat.)
# Signs of a hidden gradient: one step does better than many; an attack without any bound does not reach zero; examples from another network do better than your own attack.

# %% [markdown] predict="6.8" minutes=4 core=true low=0 high=100 unit="%"
# ## Can a robust network be fooled?
# The practicum's attack (exercises III and IV): targeted PGD in $L_2$, step 0.5, 20 steps, $\epsilon$ 1.25, towards class 3. How many digits it turns into a 3 on the standard network, the picture will show. **On the robust one: what share of
# the digits that are no 3?**

# %%
predict("6.8", 30)

# %% answer="6.8"
def answer(guess):
    def hits(model, some, target, eps, step_size):
        some = some[some.labels != target]
        goal = torch.full_like(some.labels, target)
        moved = attacks.pgd(model, some.images, goal, eps=eps, norm="l2", steps=20, step_size=step_size, targeted=True)
        return 100 * attacks.fooled(model, moved, goal, targeted=True).float().mean().item()
    test, colour, sizes = data.load("mnist5k")[:100], data.load("cifar10-samples"), (0.5, 1.25, 2.0, 3.0, 5.0)
    lines = {name: [hits(models.load(f"mnist5k/{file}"), test, 3, eps, 0.4 * eps) for eps in sizes] for name, file in (("standard", "standard"), ("robust", "robust-l2"))}
    figure, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
    plots.curves(ax, sizes, lines, "eps (L2)", "turned into a 3 (%)")
    ax.plot([1.25], [guess], "kx", markersize=10, label="your guess")
    ax.legend(fontsize=8)
    in_colour = [hits(models.load(f"cifar10/{name}"), colour, 5, 1.25, 0.5) for name in ("standard", "robust-l2", "robust-l2-eps1")]
    return (f"At 1.25: {lines['standard'][1]:.0f} % on the standard network, {lines['robust'][1]:.0f} % on the robust one. It can be fooled; it takes more ({lines['robust'][3]:.0f} % at 3). "
            f"In colour, towards a dog, {(colour.labels != 5).sum()} pictures: {in_colour[0]:.0f} % on `cifar10/standard`, {in_colour[1]:.0f} % on `robust-l2` (trained at 0.5), {in_colour[2]:.0f} % on `robust-l2-eps1` (at 1); one picture is {100 / (colour.labels != 5).sum():.0f} %.")

# %% [markdown]
# How easy is it? Same budget for both: move steps, step size, $\epsilon$ and target. Find a digit that the robust network gives up before the standard one, if there is any.

# %%
from helpers.widgets import duel_explorer

duel_explorer()

# %% [markdown] part="6.9" minutes=4 core=true
# ## Large eps
# The practicum's exercise V: let $\epsilon$ be so large that it hardly binds, and make the network change its mind all the same. What does the image become? Before you run the cell: what would you draw if you were asked for the
# cheapest change that turns *your* mind?

# %%
colour, goal = data.load("cifar10-samples")[[0, 1, 4, 6, 3, 7]], torch.tensor([5, 0, 7, 3, 4, 1])
plots.show(colour.images, [f"{colour.classes[a]} to {colour.classes[b]}" for a, b in zip(colour.labels, goal)], columns=6, size=1.5, label="pictures")
for name in ("standard", "robust-l2-eps1"):
    network = models.load(f"cifar10/{name}")
    changed = attacks.pgd(network, colour.images, goal, eps=100.0, norm="l2", steps=30, step_size=0.5, targeted=True, keep="last")
    plots.show(changed, plots.verdicts(network, changed, colour.classes), columns=6, size=1.5, label=f"cifar10/{name}: 30 steps of 0.5, eps 100")
goal = (eight.labels + 2) % 10
for name, network in {"standard": standard, "robust": robust}.items():
    changed = attacks.pgd(network, eight.images, goal, eps=100.0, norm="l2", steps=30, step_size=0.5, targeted=True, keep="last")
    plots.show(changed, plots.verdicts(network, changed, test.classes), columns=8, label=f"mnist5k/{name}: each digit to the class two further on")

# %% [markdown]
# <details><summary>What to see</summary>
#
# All of them reach their target, nearly all with a confidence near 100 %. On the standard colour network the old picture is mostly still there, under fine noise. On the robust one things change that belong to the class: legs carry the horse, antlers grow, a car shows its front.
# They are no photographs, but somebody could guess what is meant. On digits, 30 steps are far: strokes move on the standard network, too, in the middle of a noise of dots; on the robust one the ground stays cleaner. A robust network's mind changes when something in the picture does.
# </details>

# %% [markdown] predict="6.10" minutes=4 core=true low=0 high=100 unit="%"
# ## What does its gradient look like?
# Practicum VI.1, and the score of unit 02: on `planted` the shape covers about a sixth of a picture, and a network may go by it or by the faint pattern all over. The standard network, which goes by the pattern, has less than that on it.
# **What share of the robust network's plain gradient lies on the shape?**

# %%
predict("6.10", 50)

# %% answer="6.10"
def answer(guess):
    some = planted.draw(100, seed=7)

    def share(maps):
        strength = maps.abs().sum(1, keepdim=True)
        return 100 * ((strength * some.masks).flatten(1).sum(1) / strength.flatten(1).sum(1)).mean().item()
    found = {}
    for name in ("standard", "robust-l2"):
        model = models.load(f"planted/{name}")
        found[f"{name}: gradient"] = share(attribution.input_gradient(model, some.images, some.labels, of="logit"))
        found[f"{name}: SmoothGrad"] = share(attribution.smooth_grad(model, some.images, some.labels, n_samples=15, sigma=0.05))
    area = 100 * some.masks.float().mean().item()
    figure, ax = plt.subplots(figsize=(6.5, 2.4), layout="constrained")
    ax.bar_label(ax.barh(list(found), list(found.values()), color=[plots.ATTACKED] * 2 + [plots.CLEAN] * 2, hatch=""), fmt="%.0f", fontsize=8)
    ax.axvline(area, color="k", linestyle=":", label=f"area of the shape, {area:.0f} %")
    ax.plot([guess], [2], "kx", markersize=10, label="your guess")
    ax.set(xlabel="share of the map on the shape (%)", xlim=(0, 100))
    ax.invert_yaxis()
    ax.legend(fontsize=8)
    return (f"Measured on 100 pictures: {found['robust-l2: gradient']:.0f} % for the robust network, {found['standard: gradient']:.0f} % for the standard one ({found['standard: SmoothGrad']:.0f} % with SmoothGrad). "
            "No smoothing makes a network look at what it does not use.")

# %% [markdown]
# The same in pictures: gradients of the loss for digits and colour pictures.

# %%
def scaled(maps):
    return maps / maps.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)


def as_picture(t):
    return ((t - t.mean((2, 3), keepdim=True)) / (3 * t.std((2, 3), keepdim=True)) + 0.5).clamp(0, 1)


rows = {"standard: gradient": attribution.input_gradient(standard, eight.images, eight.labels), "standard: SmoothGrad": attribution.smooth_grad(standard, eight.images, eight.labels, n_samples=30, of="loss"),
        "robust: gradient": attribution.input_gradient(robust, eight.images, eight.labels)}
for name, maps in rows.items():
    plots.show(scaled(maps), columns=8, signed=True, limit=1, label=name)
for name in ("standard", "robust-l2-eps1"):
    plots.show(as_picture(attribution.input_gradient(models.load(f"cifar10/{name}"), colour.images, colour.labels)), columns=6, size=1.4, label=f"cifar10/{name}: gradient")

# %% [markdown] exercise="6.11" minutes=8 difficulty=2 core=true
# ## Class traversal
# If a robust network's gradient points to what we see, follow it. Climb the target's **score before the softmax**, $z_t(x)$, in steps of fixed $L_2$ length $\alpha$, and keep the whole way:
#
# $$x_{k+1} = \mathrm{clip}_{[0, 1]}\big(x_k + \alpha\, \nabla z_t(x_k) / \|\nabla z_t(x_k)\|_2\big)$$
#
# (Why not the softmax? There the other classes have a say, and where the network is sure its gradient fades to nothing that a division by the length could bring back.)

# %%
def traverse(model, image, target, step_size, steps):
    """image: 1 x C x H x W; target: a class number.
    The way, (steps + 1) x C x H x W: the image itself first, then what it is after each step."""
    ### BEGIN SOLUTION
    way = [image.clone()]
    for _ in range(steps):
        current = way[-1].clone().requires_grad_()
        gradient, = torch.autograd.grad(model(current)[0, target], current)
        way.append((current.detach() + step_size * gradient / gradient.norm().clamp_min(1e-20)).clamp(0, 1))
    return torch.cat(way)
    ### END SOLUTION

# %%
check("6.11", traverse)

# %% [markdown] hints="6.11"
# - Keep a list that begins with the image; each turn takes its last entry: `current = way[-1].clone().requires_grad_()`.
# - The score: `model(current)[0, target]`. Its gradient: `torch.autograd.grad(score, current)`, divided by its `.norm()`.
# - Clip to [0, 1] after each step. At the end `torch.cat(way)`.

# %% check="6.11"
def check(traverse):
    arguments(traverse, "model", "image", "target", "step_size", "steps")
    net, x = linear(4, seed=3), images(1, low=0.45, high=0.55)
    w = net.weights.detach()
    before, ks = x.clone(), torch.arange(5).view(-1, 1, 1, 1)
    out = traverse(net, x, 2, 0.05, 4)
    untouched((x, before))
    if isinstance(out, (list, tuple)):
        raise WrongType("a list came: `torch.cat` makes one tensor of it, (steps + 1) x C x H x W.")
    like = torch.zeros(5, *x.shape[1:])
    if isinstance(out, torch.Tensor) and out.shape == like[:4].shape:
        raise WrongType("there are 4 images for 4 steps: the way begins with the image itself, so 5 are wanted.")
    if isinstance(out, torch.Tensor) and out.shape == x.shape:
        raise WrongType("only one image came: wanted is the whole way, the image first and what it is after each step.")
    if isinstance(out, torch.Tensor) and out.shape == (5, *x.shape):
        raise WrongType(f"the way came with shape {tuple(out.shape)}: `torch.cat`, not `torch.stack`, since each image is already 1 x C x H x W.")
    tensor(out, like)
    unit = (w[2] / w[2].norm()).view_as(x)
    wanted = x + 0.05 * ks * unit
    if close(out, x.expand_as(out)):
        raise Wrong("all images are alike: is the step added, and `step_size` used?")
    if close(out, out[-1:].expand_as(out)) or (close(out[1:], out[-1:].expand_as(out[1:])) and not close(out[1], out[0])):
        raise Wrong("all images after the start are the same: does an in-place step change what is already in the list, or is the gradient always taken at the start?")
    if not close(out[:1], x):
        raise Wrong("the way must begin with the image itself, unchanged.")
    if close(out, x - 0.05 * ks * unit):
        raise Wrong("this goes *down*: the target's score must rise.")
    if close(out, x + 0.05 * ks * w[2].view_as(x)):
        raise Wrong("the gradient is not brought to length 1: divide it by its norm.")
    if close(out, x + 0.05 * ks * w[2].sign().view_as(x)):
        raise Wrong("this is the sign of the gradient (the L-infinity step); divide it by its L2 length instead.")
    if close(out, (x + ks * unit).clamp(0, 1)):
        raise Wrong("the steps are 1 long: multiply by `step_size`.")
    along = (out[1] - out[0]).mul(unit).sum()
    if close(out, x + ks * along * unit) and not close(out, wanted):
        raise Wrong(f"the direction is right, but each step is {along:.4f} long in L2 instead of 0.05: divide the gradient by its L2 length, `gradient.norm()`, and multiply by `step_size`.")

    def other(direction, k=4):
        z = x.clone()
        for _ in range(k):
            p = (z.flatten(1) @ w.T).softmax(1)
            g = direction(p, z).view_as(x)
            z = z + 0.05 * g / g.norm()
        return z
    if close(out[-1:], other(lambda p, z: w[2] - p @ w)):
        raise Wrong("this follows the probability (or the cross-entropy) of the target, in which the other classes have a say: take the score itself, `model(current)[0, target]`, without softmax.")
    if close(out[-1:], other(lambda p, z: w[(z.flatten(1) @ w.T).argmax()])):
        raise Wrong("this climbs the score of the class that is ahead: pick the target's, `model(current)[0, target]`.")
    others = torch.tensor([0, 1, 3])
    if close(out[-1:], other(lambda p, z: w[2] - w[others[(z.flatten(1) @ w.T)[0, others].argmax()]])):
        raise Wrong("this climbs the lead over the others (the margin), in which another class has a say: take the score itself, `model(current)[0, target]`.")
    if close(out, x + 0.05 * ks * (w.sum(0) / w.sum(0).norm()).view_as(x)):
        raise Wrong("this climbs the sum of all scores: pick the target's, `model(current)[0, target]`.")
    if close(out, x + 0.05 * ks * (w[0] / w[0].norm()).view_as(x)):
        raise Wrong("this climbs the score of class 0: pick the target's, `model(current)[0, target]`.")
    if not close(out, wanted):
        raise Wrong("on a linear network the way is a straight line along the target's weights, a step of `step_size` each. Yours is another.")
    if not close(traverse(net, x, 1, 0.05, 2), x + 0.05 * ks[:3] * (w[1] / w[1].norm()).view_as(x)):
        raise Wrong("for another target and number of steps it goes wrong: use the arguments.")
    long = traverse(net, x, 2, 0.5, 6)
    if long.min() < 0 or long.max() > 1:
        raise Wrong(f"the way leaves [0, 1] (from {long.min():.2f} to {long.max():.2f}): clip after each step.")

    class Bowl(nn.Module):
        """The score of class 1 is highest at a centre, parts of which lie outside [0, 1], and falls faster in some directions than in others."""
        centre, steep = torch.linspace(-0.6, 1.6, 16).view_as(x), torch.tensor([0.2, 3.0] * 8).view_as(x)

        def forward(self, z):
            return torch.stack([z.flatten(1).sum(1), -(self.steep * (z - self.centre).square()).flatten(1).sum(1)], 1)

    def by_hand(each, piled=False):
        way, step = [z], 0
        for _ in range(8):
            step = step * piled + Bowl.steep * (Bowl.centre - way[-1])
            way.append(way[-1] + 0.3 * step / step.norm())
            way[-1] = way[-1].clamp(0, 1) if each else way[-1]
        return torch.cat(way)
    z = images(1, low=0.1, high=0.9, seed=4)
    way = traverse(Bowl(), z, 1, 0.3, 8)
    if close(way, by_hand(False).clamp(0, 1), 1e-3):
        raise Wrong("the way itself is not clipped, only what is handed back: clip to [0, 1] after *each* step, and go on from there.")
    if close(way, by_hand(True, piled=True), 1e-3):
        raise Wrong("the gradients of all steps add up in `.grad`: set it to None before each backward pass, or take `torch.autograd.grad`, which keeps nothing.")
    if not close(way, by_hand(True), 1e-3):
        raise Wrong("where the gradient turns on the way, it goes astray: take the gradient anew at each point.")
    return "a way uphill, step by step."

# %% [markdown]
# Your way from a 5 to a 0, on both networks: every fifth step.

# %%
five = test[test.labels == 5][2:3]
for name, network in {"standard": standard, "robust": robust}.items():
    way = traverse(network, five.images, 0, 0.5, 40)[::5]
    plots.show(way, plots.verdicts(network, way, test.classes), columns=9, label=f"{name}: a 5 on its way to 0")

# %% [markdown] part="6.12" minutes=4 core=true
# ## Play it
# Press play; drag the step; save it as a GIF. Things to try: a 4 as a start; a class that looks nothing like the digit; a long way with large steps; a digit of your own. The curves say how far the picture is from the nearest real digit of the target.

# %%
from helpers.widgets import traversal_explorer

traversal_explorer()

# %% [markdown] exercise="6.13" minutes=6 difficulty=1 core=true
# ## Who is to judge?
# The network that was climbed is no witness: it says "0", very surely, of anything. Two others: an independent network; and real digits. Find for each image its **nearest neighbour** among real ones, in $L_2$: which class is it, and how far away?

# %%
def nearest(images, bank, labels):
    """images: N x C x H x W; bank: M x C x H x W real images with labels, M.
    For each image the class of its nearest real one (int64, N) and the L2 distance to it (float, N)."""
    ### BEGIN SOLUTION
    distances = torch.cdist(images.flatten(1), bank.flatten(1))
    distance, which = distances.min(1)
    return labels[which], distance
    ### END SOLUTION

# %%
check("6.13", nearest)

# %% [markdown] hints="6.13"
# - `torch.cdist(images.flatten(1), bank.flatten(1))` is a table N x M of Euclidean distances.
# - `.min(1)` gives the smallest of each row, and where it stands. `labels[where]` is its class.

# %% check="6.13"
def check(nearest):
    arguments(nearest, "images", "bank", "labels")
    bank, x = images(9, (2, 3, 3), 0, 1, 2) * torch.linspace(0.4, 1.6, 9).view(-1, 1, 1, 1), images(4, (2, 3, 3), 0, 1, 7)
    bank = torch.cat([bank, 0.1 * x[:2]])       # the same pictures, but dark: near in angle, far away
    labels = torch.tensor([5, 3, 3, 8, 5, 0, 8, 1, 2, 4, 6])
    before = x.clone(), bank.clone()
    out = nearest(x, bank, labels)
    untouched((x, before[0]), (bank, before[1]))
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise WrongType(f"two tensors are wanted, `return classes, distances`, but `{type(out).__name__}` came.")
    table = torch.stack([(bank - one).flatten(1).norm(dim=1) for one in x])
    distance, which = table.min(1)
    if all(isinstance(o, torch.Tensor) for o in out) and out[0].is_floating_point() and out[1].dtype == torch.int64:
        raise WrongType("the two are in the wrong order: first the classes, then the distances.")
    kinds, far = tensor(out[0], which, "the classes"), tensor(out[1], distance, "the distances")
    if close(far, distance):
        if torch.equal(kinds, which) and not torch.equal(kinds, labels[which]):
            raise Wrong("these are the places in the bank, not the classes: `labels[which]`.")
        if not torch.equal(kinds, labels[which]):
            raise Wrong("the distances are right, the classes are not those of the nearest images.")
        return "a judge that no gradient has spoken to."
    for wrong, words in ((table.max(1).values, "these are the *farthest* images: take the smallest distance."),
                         (distance ** 2, "the distances are squared: take the root."),
                         (torch.stack([(bank - one).flatten(1).abs().sum(1) for one in x]).amin(1), "these are sums of absolute differences (L1): the Euclidean distance is wanted."),
                         (torch.stack([(bank - one).flatten(1).square().mean(1).sqrt() for one in x]).amin(1), "this is the root of the *mean* square: the distance adds the squares up."),
                         (torch.stack([(bank - one).flatten(1).square().mean(1) for one in x]).amin(1), "this is the *mean* square: the distance is the root of the sum."),
                         (torch.stack([(bank - one).flatten(1).abs().amax(1) for one in x]).amin(1), "this is the largest difference of a single pixel (L-infinity): the Euclidean distance is wanted."),
                         (torch.cdist(x.flatten(1), torch.stack([bank[labels == kind].mean(0) for kind in labels.unique()]).flatten(1)).amin(1),
                          "these are distances to the mean image of each class: compare with every single image of the bank."),
                         (table.mean(1), "these are mean distances to the whole bank: the nearest one counts."),
                         (torch.stack([(bank[:, :1] - one[:1]).flatten(1).norm(dim=1) for one in x]).amin(1), "only the first channel is compared: flatten the whole image.")):
        if close(far, wrong):
            raise Wrong(words)
    if torch.equal(kinds, labels[(x.flatten(1) @ bank.flatten(1).T).argmax(1)]):
        raise Wrong("these are the images with the largest inner product, which bright ones win: the smallest *distance* is wanted.")
    if torch.equal(kinds, labels[nn.functional.cosine_similarity(x.flatten(1)[:, None], bank.flatten(1)[None], dim=2).argmax(1)]):
        raise Wrong("these are the images in the most similar direction (the smallest angle), however dark: the smallest *distance* is wanted.")
    raise Wrong("the distances are not the smallest Euclidean ones. `torch.cdist(images.flatten(1), bank.flatten(1)).min(1)`?")

# %%
judge = models.load("mnist/standard")       # another and larger network; it learned from all of MNIST, our digits as they were included
fives, found = test[test.labels == 5][:20], {}
for name, network in {"standard": standard, "robust": robust}.items():
    ends = torch.cat([traverse(network, fives.images[i:i + 1], 0, 0.5, 40)[[20, 40]] for i in range(20)]).view(20, 2, 1, 28, 28)
    for k, steps in enumerate((20, 40)):
        kinds, far = nearest(ends[:, k], digits.images, digits.labels)
        goal, found[name, steps] = torch.zeros_like(kinds), ((kinds == 0).float().mean(), far.median())
        print(f"{name:>8}, {steps} steps: a 0 for the network itself {100 * attacks.fooled(network, ends[:, k], goal, targeted=True).float().mean():3.0f} %, for the judge "
              f"{100 * attacks.fooled(judge, ends[:, k], goal, targeted=True).float().mean():3.0f} %, for its nearest real digit {100 * (kinds == 0).float().mean():3.0f} % (median distance {far.median():.1f})")
usual = nearest(test.images[:300], digits.images, digits.labels)[1].median()
print(f"for comparison: real test digits are {usual:.1f} away from their nearest (median)")
assert found["standard", 40][0] > 0.5 and found["standard", 40][1] > 1.8 * usual and found["robust", 40][1] > 1.5 * usual

# %% [markdown]
# Twenty digits: ten points more or less mean little. But look at the last column. After 40 steps the nearest real digit of most *is* a 0, on the standard network, too, although it is twice as far away as real ones are from each other (and on the robust one not much nearer). A judge that must name a digit names one, and something
# is always the nearest: which class it is says little without the distance.

# %% [markdown] predict="6.14" minutes=5 core=true choices=[0,1,2,3,4,5,6,7,8,9]
# ## All pairs
# An article on robust networks of digits reports: *a 5 becomes a readable 0; from 2, 5, 6 and 8 it works, from 4 badly; it works better for centred digits; noise grows when it runs on.* `python -m experiments.traversal` tried all 10 x 10 pairs, 40 digits
# each, on both networks. "Readable" means: the judge says it is the target, *and* so does the nearest real digit. **From which digit does it work worst on the robust network, over all targets?**

# %%
predict("6.14", 4)

# %% answer="6.14"
def answer(guess):
    table = measured("traversal")
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), layout="constrained", sharey=True)
    by_source = {}
    for ax, name in zip(axes, ("standard", "robust")):
        rows = {row["from"]: row for row in table["pairs"] if row["network"] == name}
        shares = torch.full((10, 10), torch.nan)
        for source, row in rows.items():
            for target, hits in enumerate(row["end"]["hits"]["both"]):
                if hits is not None:
                    shares[source, target] = 100 * hits / row["digits"]
        ax.imshow(shares, cmap=plots.POSITIVE, vmin=0, vmax=100)
        by_source[name] = shares.nanmean(1)
        for i in range(10):
            for j in range(10):
                if i != j:
                    ax.text(j, i, f"{shares[i, j]:.0f}", ha="center", va="center", fontsize=7, color="white" if shares[i, j] < 60 else "black")
        ax.set(xlabel="target", xticks=range(10), yticks=range(10), title=f"{name}: readable after 40 steps (%), mean {shares.nanmean():.0f}")
    axes[0].set_ylabel("from")
    figure.suptitle(f"your guess for the worst start on the robust network: {guess}", fontsize=9)
    order = by_source["robust"].argsort()
    chances = next(row for row in table["verdicts"] if "to any digit" in row["observation"])
    alike = ", ".join(str(source) for source in chances["as bad"] if source != chances["worst source"])

    def strict(name, when):
        counts = [int(count) for row in table["pairs"] if row["network"] == name for count in row[when]["by_digit"]["strict"]]
        return 100 * sum(counts) / (9 * len(counts))
    return (f"Worst start on the robust network: {order[0]} ({by_source['robust'][order[0]]:.0f} % on average), then {order[1]} ({by_source['robust'][order[1]]:.0f} %); with 40 digits it cannot be told apart from {alike or 'no other'}. "
            f"Best: {order[-1]} ({by_source['robust'][order[-1]]:.0f} %). Ask also that the nearest real digit be as near as real ones are to each other (95 % of them), and after 20 steps {strict('robust', 'halfway'):.0f} % pass on the robust network, "
            f"{strict('standard', 'halfway'):.0f} % on the standard one; after 40, when both have become noisier, {strict('robust', 'end'):.0f} % and {strict('standard', 'end'):.0f} %.")

# %% [markdown]
# Ours on each of the published observations ("readable and near": the stricter witness, with the distance). The intervals behind them are in the lecture.

# %%
for row in json.loads(Path("../results/traversal.json").read_text())["verdicts"]:
    print(f"{row['observation']}: {row['verdict'].upper()}")

# %% [markdown] predict="6.15" minutes=3 core=true low=0 high=100 unit="%"
# ## What it costs, and what it does not buy
# The robust network was trained against $L_2$ changes of 1.5. Another attacker moves *every* pixel by up to 0.15 (L-infinity): together up to 4.2 in $L_2$. **How many per cent of the test digits does it still read correctly?**

# %%
predict("6.15", 30)

# %% answer="6.15"
def answer(guess):
    test = data.load("mnist5k")[:200]
    sizes = {"clean": None, "L2 1.5": ("l2", 1.5), "L-inf 0.1": ("linf", 0.1), "L-inf 0.15": ("linf", 0.15), "L-inf 0.2": ("linf", 0.2), "L-inf 0.3": ("linf", 0.3)}
    found = {}
    for name, file in (("standard", "standard"), ("robust (L2 1.5)", "robust-l2")):
        model = models.load(f"mnist5k/{file}")
        found[name] = [100 * (attacks.robust_accuracy(model, test.images, test.labels, size[1], norm=size[0], steps=20, restarts=1)[0] if size else attacks.accuracy(model, test.images, test.labels))
                       for size in sizes.values()]
    figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
    at = torch.arange(len(sizes))
    for i, (name, values) in enumerate(found.items()):
        ax.bar_label(ax.bar(at + 0.4 * i - 0.2, values, 0.4, label=name, hatch=("", "//")[i]), fmt="%.0f", fontsize=8)
    ax.plot([3.2], [guess], "kx", markersize=10, label="your guess")
    ax.set(ylabel="test digits right (%)", ylim=(0, 118))
    ax.set_xticks(at, list(sizes))
    ax.legend(fontsize=8, ncols=3)
    took = {name: models.info(f"mnist5k/{name}")["seconds"] / models.info(f"mnist5k/{name}")["recipe"]["epochs"] for name in ("standard", "robust-l2")}
    return (f"Measured on 200 digits: {found['robust (L2 1.5)'][3]:.0f} % at 0.15, where the standard network keeps {found['standard'][3]:.0f} %; at 0.3 it keeps {found['robust (L2 1.5)'][5]:.0f} %. Robustness is robustness "
            f"*against something*. An epoch of its training took {took['robust-l2'] / took['standard']:.0f} times as long ({took['robust-l2']:.2f} s against {took['standard']:.2f} s), and it had more of them.")

# %% [markdown] part="6.16" minutes=4 core=true
# ## What it no longer sees
# A network that ignores small changes is blind to whatever is small. First `planted`, where pattern and shape can be made to disagree. Then digits: changes of several kinds, all of the same $L_2$ length 2. How far does each move the *representation* (what goes into the last layer), in per cent of
# the distance between two digits of different classes? Before you run it: which of them will the robust network notice less than the standard one, which as much? Add a change of your own.

# %%
from helpers.visualisation import features

against = planted.draw(300, seed=9, disagree=True)
for name in ("standard", "robust-l2"):
    said = attacks.scores(models.load(f"planted/{name}"), against.images).argmax(1)
    print(f"planted/{name}: where they disagree follows the shape {100 * (said == against.shapes).float().mean():.0f} %, the pattern {100 * (said == against.patterns).float().mean():.0f} %; "
          f"clean accuracy {100 * models.info(f'planted/{name}')['measured']['clean']['share']:.1f} %")

some = test[:200]
x, noise = some.images, torch.randn(some.images.shape, generator=torch.Generator().manual_seed(0))
other = torch.cdist(x.flatten(1), digits.images.flatten(1)).masked_fill(some.labels[:, None] == digits.labels, torch.inf).argmin(1)
changes = {
    "chequerboard": (-1.0) ** (torch.arange(28)[:, None] + torch.arange(28)).expand_as(x),
    "noise": noise,
    "smooth noise": F.avg_pool2d(noise, 7, 1, 3),
    "brighter": torch.ones_like(x),
    "fainter digit": -x,
    "towards a digit\nof another class": digits.images[other] - x,
}
changed = {name: x + 2 * change / change.flatten(1).norm(dim=1).view(-1, 1, 1, 1) for name, change in changes.items()}
figure = plt.figure(figsize=(9, 3.6), layout="constrained")
grid = figure.add_gridspec(2, len(changes), height_ratios=[1, 1.5])
for i, images in enumerate(changed.values()):
    plots.show_image(figure.add_subplot(grid[0, i]), images[1])
ax = figure.add_subplot(grid[1, :])
for i, (name, network) in enumerate({"standard": standard, "robust": robust}.items()):
    seen = features(network, x)
    unit = torch.cdist(seen, seen)[some.labels[:, None] != some.labels].median()
    moves = [100 * (features(network, images) - seen).norm(dim=1) / unit for images in changed.values()]
    at, means, halves = torch.arange(len(moves)) + 0.36 * i - 0.18, [m.mean().item() for m in moves], [1.96 * m.std().item() / len(m) ** 0.5 for m in moves]
    ax.bar_label(ax.bar(at, means, 0.36, yerr=halves, color=(plots.ATTACKED, plots.CLEAN)[i], hatch=("", "//")[i], label=name), fmt="%.1f", fontsize=8)
    print(f"{name:>8}: " + "; ".join(f"{kind} {mean:.1f} +- {half:.1f} %".replace("\n", " ") for kind, mean, half in zip(changes, means, halves)))
ax.set(xlim=(-0.5, len(changes) - 0.5), ylim=(0, 29), ylabel="it moves by (%)")
ax.set_xticks(range(len(changes)), list(changes), fontsize=8)
ax.legend(fontsize=8, loc="upper left")
plt.show()

# %% [markdown]
# It has not gone numb, it has become choosy: what changes from pixel to pixel hardly exists for it, the strength of the strokes and the way to another class count for about as much as before.

# %% [markdown]
# **Question.** A true class may hang on something small: the dot of an i, a hairline crack. What happens to it in a network that was trained to withstand every change of that size?
#
# <details><summary>An answer</summary>
#
# It is trained to give the same answer with and without it. On `planted` that costs the clean accuracy that the cell above prints: the pattern, which always names the class, is smaller than the changes that the network learned to ignore. The size and
# the norm of the attack are a statement about what may matter; training takes it at its word.
# </details>

# %% [markdown]
# ## Done
# `progress()` shows what you have. Next: what do single neurons of these networks respond to (unit 07)?

# %%
progress("06")
