# %% [markdown]
# # 08 · Explaining away attacks
# **You need:** unit 03 (FGSM, projection); gradients and integrated gradients from units 01 and 02.
#
# **Afterwards you can:** turn an image into a class of your choice; share a network's answer out among pieces of the image, exactly, by LIME and by expected gradients, and say where the three must agree;
# build a detector of attacks from explanations, measure it honestly, and defeat it.
#
# Notation: $x$ an image in $[0, 1]$, $t$ the class it is to become, $z_c(x)$ the score (logit) of class $c$, $b$ a baseline or background image, $\phi_i$ the share of piece (or pixel) $i$ in the answer. All shares here are shares
# of a **logit**: it is what evidence adds up in. A probability near 1 is flat, and shares of it vanish just where a network is surest.
#
# An article on SHAP fooled an ImageNet network and found that the explanation of the wrong answer looks weaker than that of the right one: so attacks could be recognised by their
# explanations. It showed a gap between two histograms, and no error rate. We redo it, measure it, and go one step further.

# %%
import json
import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from helpers import attacks, data, lime, measure, models, plots
from helpers.course import check, hint, predict, progress, reveal

digits, test = data.load("mnist5k", "train"), data.load("mnist5k")
model = models.load("mnist5k/standard")
background = digits.images[:100]        # what a digit is compared with
some = test[:300]
some = some[model(some.images).argmax(1) == some.labels]     # those read correctly: of a misread one nobody asks whether it was attacked
targets = (some.labels + torch.randint(1, 10, some.labels.shape, generator=torch.Generator().manual_seed(0))) % 10     # any class but its own

# %% setup="checks"
import itertools
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from helpers import attacks, data, measure, models, plots
from helpers.checking import Linear, Pixels, Wrong, WrongType, arguments, close, images, linear, tensor, untouched


class Squares(nn.Module):
    """Its logits are the squares of the pixels: not linear, so a mean of logits is not the logit of a mean."""
    def forward(self, x):
        return x.flatten(1).square()


def still_evaluating(*networks):
    """Raise Wrong if a network that was handed over in eval mode is not in it any more."""
    if any(network.training for network in networks):
        raise Wrong("your code leaves the network in train mode: there dropout and batch normalisation behave otherwise, and the answers are others. Leave its mode alone.")


def stretched(out, wanted):
    """Whether `out` is `wanted` times one number (not 1)."""
    factor = (out * wanted).sum() / wanted.square().sum()
    return abs(factor) > 1e-6 and close(out, factor * wanted)

# %% [markdown] exercise="8.1" minutes=8 difficulty=2 core=true
# ## An elephant becomes a ping-pong ball
# The article's attack is FGSM in small steps, towards a target $t$: in each step every pixel moves by `step_size` so that the cross-entropy of $t$ **falls**; and after each step two things that the article's code leaves out or must not forget:
#
# - back into the box of size $\epsilon$ around the *original* image. (The article's code never does: its $\epsilon$ limits nothing, only the number of steps does.)
# - back into $[0, 1]$.

# %%
def iterated(model, images, targets, eps, step_size, steps):
    """images: N x C x H x W, targets: int64 N, the classes wanted. The images after `steps` steps of targeted FGSM, none of whose pixels moved by more than eps."""
    ### BEGIN SOLUTION
    x = images.clone()
    for _ in range(steps):
        x.requires_grad_()
        loss = F.cross_entropy(model(x), targets, reduction="sum")
        g = torch.autograd.grad(loss, x)[0]
        x = x.detach() - step_size * g.sign()
        x = (images + (x - images).clamp(-eps, eps)).clamp(0, 1)
    return x
    ### END SOLUTION

# %%
check("8.1", iterated)

# %% [markdown] hints="8.1"
# - One step: `x.requires_grad_()`, the loss of `targets`, `torch.autograd.grad(loss, x)[0]`, then `x.detach() - step_size * g.sign()`. Minus, because the loss of the target is to fall.
# - What moved too far comes back: `(x - images).clamp(-eps, eps)` is the change that is allowed. Add it to `images`, and clamp to [0, 1].

# %% check="8.1"
def check(iterated):
    arguments(iterated, "model", "images", "targets", "eps", "step_size", "steps")
    net = linear(2, (1, 4, 4), 3).eval()       # with two classes the signs of the gradient are the same everywhere
    towards = (net.weights[1] - net.weights[0]).sign().detach().view(1, 4, 4)
    x, goal = images(4, low=0.3, high=0.7), torch.tensor([1, 0, 1, 0])
    way = torch.where(goal.view(-1, 1, 1, 1) == 1, towards, -towards)
    before = x.clone()
    one = tensor(iterated(net, x, goal, 0.1, 0.02, 1), x)
    untouched((x, before))
    still_evaluating(net)
    if close(one, x, 1e-6):
        raise Wrong("with steps=1 the images come back as they were: is the result of each step kept, and are there as many steps as `steps` says?")
    if close(one, x - 0.02 * way):
        raise Wrong("the images move *away* from their target: its loss is to fall, so step against the gradient.")
    if close(one, x + 0.1 * way):
        raise Wrong("one step moves by eps, or by eps / steps: it should move by `step_size`; eps is how far an image may get in all.")
    if close(one, x + 0.04 * way):
        raise Wrong("with steps=1 there were two steps: one too many.")
    if not close(one, iterated(net, x, goal, 0.1, 0.02, 1)):
        raise Wrong("the result is not the same twice: the first step starts from the images themselves, not from a random place.")
    if one.abs().max() <= 0.1 + 1e-6:
        raise Wrong("the images are gone, what came is no larger than eps: `x - images` is what may not be larger. Then add the change to `images`.")
    said, stops = net(x).argmax(1), "the attack stops once the target is reached: take all the steps, and the network gets surer (8.9 asks what that changes)."
    if torch.equal((one == x).flatten(1).all(1), said == goal):
        raise Wrong(stops)
    if not close((one - x).abs(), torch.full_like(x, 0.02)):
        raise Wrong("one step should move every pixel by exactly `step_size`: take the sign of the gradient.")
    if not close(one, x + 0.02 * way):
        raise Wrong("some pixels move the wrong way. Is the loss the cross-entropy of `targets`, and each image's own?")
    three = iterated(net, x, goal, 0.1, 0.02, 3)
    if close(three, x + 0.02 * way):
        raise Wrong("three steps end where one does: each step starts from the result of the one before.")
    if not close(iterated(net, x, said, 0.1, 0.02, 1), x + 0.02 * torch.where(said.view(-1, 1, 1, 1) == 1, towards, -towards)):
        raise Wrong(stops)
    far = iterated(net, x, goal, 0.1, 0.03, 6)
    if (far - x).abs().max() > 0.1 + 1e-5:
        raise Wrong(f"pixels moved by {(far - x).abs().max():.2f}, but eps is 0.1: after each step go back into the box around the *original* images. This is what the article's code leaves out.")
    edge = torch.full((2, 1, 4, 4), 0.99)
    if any(out.max() > 1 + 1e-6 or out.min() < -1e-6 for out in (iterated(net, at, goal[:2], 0.1, 0.03, 2) for at in (edge, 1 - edge))):
        raise Wrong("the result leaves [0, 1]: clamp after each step, at 0 and at 1.")
    if not close(far, x + 0.1 * way):
        raise Wrong("six steps of 0.03 should end at the border of the box, 0.1 away.")
    class Valley(nn.Module):
        """Class 0 is likeliest where every pixel is `low`: a step overshoots, and the next comes back."""
        def __init__(self, low=0.55):
            super().__init__()
            self.low = low
        def forward(self, x):
            return torch.stack([-50 * (x - self.low).square().flatten(1).sum(1), torch.zeros(len(x))], 1)
    start = torch.full((1, 1, 2, 2), 0.5)
    stale = iterated(Valley(), start, torch.tensor([0]), 1.0, 0.08, 2)
    if close(stale, start + 0.16, 1e-3):
        raise Wrong("the gradient is taken once, at the start: take it anew in every step, where the image is now.")
    if not close(iterated(Valley(), start, torch.tensor([0]), 0.03, 0.08, 2), start + 0.03, 1e-3):
        raise Wrong("the image goes back into the box only at the end: project after *each* step, the next one starts from there.")
    if not close(iterated(Valley(0.99), start + 0.48, torch.tensor([0]), 1.0, 0.08, 2), start + 0.42, 1e-3):
        raise Wrong("the image leaves [0, 1] on the way, and comes back only at the end: clamp after *each* step, the next one starts from there.")
    return "nobody moves by more than eps, and the target is reached where eps allows it."

# %%
grid = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
one, goal = test.per_class(1)[7:8], torch.tensor([3])
rows = torch.cat([iterated(model, one.images, goal, eps, eps / 8, 20) for eps in grid])
plots.show(torch.cat([one.images, rows]), ["as it is\n" + plots.verdicts(model, one.images, test.classes)[0]] + [f"eps {eps}\n{said}" for eps, said in zip(grid, plots.verdicts(model, rows, test.classes))],
           columns=7, size=1.35)
samples, network = data.load("cifar10-samples"), models.load("cifar10/standard")
ship, frog = samples[1:2], torch.tensor([6])
small = tuple(n / 255 for n in (0.25, 0.5, 1, 2, 4, 8))
rows = torch.cat([iterated(network, ship.images, frog, eps, eps / 8, 20) for eps in small])
plots.show(torch.cat([ship.images, rows]), ["as it is\n" + plots.verdicts(network, ship.images, samples.classes)[0]] + [f"eps {255 * eps:g}/255\n{said}" for eps, said in zip(small, plots.verdicts(network, rows, samples.classes))],
           columns=7, size=1.35)

# %% [markdown]
# The colour picture is read as a frog while one must look closely to see that anything was done. For digits the two come together: black paper shows every grey.

# %% [markdown] part="8.2" minutes=2 core=true
# ## Move it yourself
# Pick a digit and a target. At which $\epsilon$ does the network change its mind, and at which do *you* see that something was done? Then the robust network: which of the two comes first?

# %%
from helpers.widgets import eps_explorer

eps_explorer()

# %% [markdown] exercise="8.3" minutes=10 difficulty=3 core=true
# ## Fair shares
# Cut the image into $K$ pieces. With some of them switched off (black) the network's score is a different one: a *game*, in which the pieces of a coalition $S$ earn $v(S)$ together. How much of
# $v(\text{all}) - v(\text{none})$ is due to piece $i$? What it adds depends on who is there already. Shapley (1953) takes the mean over all orders in which the pieces could arrive; counted by the coalition that $i$ finds:
#
# $$\phi_i = \sum_{S \not\ni i} \frac{|S|!\,(K - |S| - 1)!}{K!}\; \bigl(v(S \cup \{i\}) - v(S)\bigr)$$
#
# `value(on)` takes a bool tensor M x K, one coalition a row, and gives M values. `lime.coalitions(K)` are all $2^K$ rows; in row number $r$ piece $i$ is on if the binary digit $2^i$ of $r$ is 1, so the row of $S \cup \{i\}$ is that of
# $S$ plus $2^i$.

# %%
def shapley(value, players):
    """The exact shares of `players` pieces in the game `value`: a tensor of so many numbers."""
    ### BEGIN SOLUTION
    on = lime.coalitions(players)
    values = value(on)
    out = torch.zeros(players, dtype=values.dtype)
    for i in range(players):
        without = (~on[:, i]).nonzero()[:, 0]
        s = on[without].sum(1)
        weight = torch.tensor([math.factorial(n) * math.factorial(players - n - 1) / math.factorial(players) for n in s.tolist()], dtype=values.dtype)
        out[i] = (weight * (values[without + 2**i] - values[without])).sum()
    return out
    ### END SOLUTION

# %%
check("8.3", shapley)

# %% [markdown] hints="8.3"
# - All values at once: `values = value(lime.coalitions(players))`. Then for each piece i the rows without it: `without = (~on[:, i]).nonzero()[:, 0]`.
# - What i adds to each of them: `values[without + 2**i] - values[without]`. The weight of each depends only on how many are in it: `on[without].sum(1)`.
# - `math.factorial(n) * math.factorial(players - n - 1) / math.factorial(players)`, a number for each n: collect them with a list comprehension.

# %% check="8.3"
def check(shapley):
    arguments(shapley, "value", "players")

    def game(v, players):
        """A game from a function of a set of players."""
        def value(on):
            if not isinstance(on, torch.Tensor) or on.ndim != 2:
                raise ValueError("`value` takes a bool tensor M x K, one coalition a row")
            if on.shape[1] != players:
                raise ValueError(f"this game has {players} players, but the coalitions have {on.shape[1]} columns: use `players`")
            return torch.tensor([float(v({i for i, there in enumerate(row) if there})) for row in on.tolist()])
        return value

    def orders(v, players):
        """The mean of what each adds, over all orders in which they can arrive."""
        shares, every = [0.0] * players, list(itertools.permutations(range(players)))
        for order in every:
            for k, i in enumerate(order):
                shares[i] += (v(set(order[:k + 1])) - v(set(order[:k]))) / len(every)
        return torch.tensor(shares)
    table = torch.randn(16, generator=torch.Generator().manual_seed(4)).tolist()
    def v(s):
        return table[sum(2**i for i in s)]
    wanted = orders(v, 4)
    out = shapley(game(v, 4), 4)
    out = tensor(out.float() if isinstance(out, torch.Tensor) and out.is_floating_point() else out, wanted, "the shares")
    everyone = {0, 1, 2, 3}
    if close(out, -wanted):
        raise Wrong("the shares have the wrong sign: with the piece minus without it.")
    if close(out, torch.tensor([v(everyone) - v(everyone - {i}) for i in range(4)])):
        raise Wrong("this is what is lost when a piece leaves the whole image (occlusion). A piece that others can stand in for then counts for nothing: take all coalitions.")
    if close(out, torch.tensor([v({i}) - v(set()) for i in range(4)])):
        raise Wrong("this is what each piece earns alone: take all coalitions.")
    each = torch.tensor([[v(set(s) | {i}) - v(set(s)) for n in range(4) for s in itertools.combinations(sorted(everyone - {i}), n)] for i in range(4)])
    if close(out, each.mean(1)):
        raise Wrong("every coalition counts the same here (that is Banzhaf's index). In an order of arrival small and large coalitions are met more often than each of the middling ones: the factorials.")
    if close(out, each.sum(1)):
        raise Wrong("every coalition counts fully: weigh them with the factorials.")
    sizes = torch.tensor([n for n in range(4) for _ in itertools.combinations(range(3), n)])
    whole = torch.tensor([[math.factorial(n) * math.factorial(3 - n) for n in sizes.tolist()]] * 4)
    if close(out, (whole * each).sum(1)):
        raise Wrong("the weights do not sum to 1: divide by K!.")
    shifted = torch.tensor([math.factorial(n + 1) * math.factorial(3 - n) / 24.0 for n in sizes.tolist()])
    if close(out, (shifted * each).sum(1)):
        raise Wrong("the factorials are one off: |S| counts those that are there *before* i comes.")
    longer = torch.tensor([math.factorial(n) * math.factorial(4 - n) / 24.0 for n in sizes.tolist()])
    if close(out, (longer * each).sum(1)):
        raise Wrong("the second factorial is of K - |S|, one too many: (K - |S| - 1)!, those that come *after* i.")
    weight = whole / 24
    if not close(out, wanted):
        missing = [i for i in range(4) if out[i] == 0]
        if close(out, (weight * each.abs()).sum(1)):
            raise Wrong("this is without a sign: a piece may also take away. No absolute values.")
        if close(out, (weight * each)[:, 1:].sum(1)):
            raise Wrong("the empty coalition is left out: there, too, i finds those before it, nobody. It counts.")
        if close(out, wanted.flip(0)):
            raise Wrong("the shares are in order, but the other way round: piece i is column i of `on`, and the binary digit 2**i of the row's number.")
        if len(missing) == 4:
            raise Wrong("all shares are 0. Is it a whole-number division, `//`? The weights are below 1.")
        if missing and close(out[out != 0], wanted[out != 0]):
            raise Wrong(f"piece {missing[0]} is missing, the others are right: every one of the `players` pieces gets a share.")
        if close(8 * out, wanted):
            raise Wrong("a mean of what is weighted already: the weights of one piece sum to 1, so *sum* weight times difference. It needs no mean.")
        if stretched(out, wanted):
            raise Wrong("right but for one factor: no scaling. The shares sum to v(all) - v(none) by themselves.")
        fair = out.sum().item(), v(everyone) - v(set())
        if abs(fair[0] - fair[1]) < 1e-3:
            raise Wrong("the shares sum to what they should, but are not quite those of the formula. Is this an estimate from some orders? Four pieces have 16 coalitions: take them all.")
        raise Wrong(f"not the mean over all orders. The shares sum to {fair[0]:.3f}; v(all) - v(none) is {fair[1]:.3f}.")
    gloves = shapley(game(lambda s: min(len(s & {0, 1}), len(s & {2})), 3), 3)     # two left gloves, one right
    if not close(gloves, torch.tensor([1 / 6, 1 / 6, 2 / 3])):
        raise Wrong("right for four players, but not for three: the shares of two left gloves and a right one are 1/6, 1/6, 2/3.")
    return "they sum to v(all) - v(none), to the last digit. Two left gloves and a right one get 1/6, 1/6 and 2/3."

# %%
def game_of(network, image, label, segments, baseline=0.0):
    """The logit of `label` as a game of the image's pieces: off means `baseline`."""
    def value(on):
        with torch.no_grad():
            return network(lime.switched(image, segments, on, baseline))[:, label]
    return value


def as_map(segments, shares):
    return shares[segments][None]


third = torch.arange(28) * 3 // 28
segments, players = 3 * third[:, None] + third, 9       # squares: superpixels would put the whole stroke into one piece
one = test.per_class(1)[2]
value = game_of(model, one.images[0], one.labels.item(), segments)
exact = shapley(value, players)
ends = value(torch.tensor([[False] * players, [True] * players]))
print(f"{players} pieces, {2**players} coalitions; shares: {', '.join(f'{share:.1f}' for share in exact.tolist())}")
print(f"their sum {exact.sum():.4f}; logit of the whole image minus that of a black one {ends[1] - ends[0]:.4f}")
figure, axes = plt.subplots(1, 3, figsize=(5, 1.9), layout="constrained")
plots.show_image(axes[0], one.images[0], "image")
plots.show_image(axes[1], segments[None] / players, "pieces")
plots.show_image(axes[2], as_map(segments, exact), "exact shares", signed=True)
plt.show()

# %% [markdown] exercise="8.4" minutes=7 difficulty=2 core=true
# ## LIME by hand
# $2^K$ coalitions are too many for fifty pieces. LIME (Ribeiro et al. 2016) asks the network about some of them and fits a linear model to the answers, in which those near the whole image count more:
#
# $$\min_{a, w} \; \sum_m \pi_m \Bigl(v(S_m) - a - \sum_{i \in S_m} w_i\Bigr)^2$$
#
# Write this weighted fit; $w$ is the explanation. ($\sqrt{\pi_m}$ times every row turns it into plain least squares. Leave out LIME's little ridge penalty.)

# %%
def fit(on, values, weights):
    """on: bool M x K, values: M, weights: M. The K coefficients, of values' dtype, of the linear model (with an intercept, which is not returned) that fits best."""
    ### BEGIN SOLUTION
    rows = torch.cat([torch.ones(len(on), 1, dtype=values.dtype), on.to(values.dtype)], 1)
    root = weights.to(values.dtype).sqrt()[:, None]
    return torch.linalg.lstsq(root * rows, root * values[:, None]).solution[1:, 0]
    ### END SOLUTION

# %%
check("8.4", fit)

# %% [markdown] hints="8.4"
# - A column of ones beside `on` is the intercept: `torch.cat([torch.ones(len(on), 1, dtype=values.dtype), on.to(values.dtype)], 1)`.
# - Multiply the rows *and* the values by the root of the weights, then `torch.linalg.lstsq(rows, values[:, None]).solution`, K + 1 numbers in a column; the first is the intercept.

# %% check="8.4"
def check(fit):
    arguments(fit, "on", "values", "weights")
    generator = torch.Generator().manual_seed(0)
    on = torch.randint(0, 2, (40, 4), generator=generator).bool()
    bent = (torch.randn(40, generator=generator) + 3 * on[:, 0] + 2).double()        # no linear model fits it
    weights = torch.rand(40, generator=generator).double() * 3 + 0.05

    def best(columns, values, weights):
        """By the normal equations."""
        return torch.linalg.solve(columns.T @ (weights[:, None] * columns), columns.T @ (weights * values))
    ones = torch.cat([torch.ones(40, 1).double(), on.double()], 1)
    before = bent.clone(), weights.clone(), on.clone()
    out = fit(on, bent, weights)
    if isinstance(out, torch.Tensor) and out.numel() == 5:
        raise WrongType("five numbers came for four pieces: leave out the intercept.")
    if isinstance(out, torch.Tensor) and out.shape == (4, 1):
        raise WrongType("a column came, 4 x 1: wanted are K numbers, `[:, 0]`.")
    out = tensor(out, torch.zeros(4).double(), "the coefficients")
    untouched((bent, before[0]), (weights, before[1]), (on, before[2]), what="tensors")
    wanted = best(ones, bent, weights)[1:]
    if close(out, best(ones, bent, torch.ones(40).double())[1:]):
        raise Wrong("the weights are not used.")
    if close(out, best(ones, bent, weights.square())[1:]):
        raise Wrong("the weights count twice: multiply rows and values by their *root*, they are squared with the error.")
    if close(out, best(ones, bent, weights.sqrt())[1:]):
        raise Wrong("the weights count too little: in plain least squares rows and values get the root of the weight, not its fourth root.")
    if close(out, best(on.double(), bent, weights)):
        raise Wrong("the intercept is missing: without it what remains when all is switched off is forced into the pieces.")
    if close(out, wanted):
        line = 2.0 + on.float() @ torch.tensor([1.0, -2.0, 0.0, 5.0])
        if not close(fit(on, line, torch.rand(40, generator=generator)), torch.tensor([1.0, -2.0, 0.0, 5.0]), 1e-3):
            raise Wrong("right in float64, but not for float32 values.")
        return "a network that is linear in the pieces would be explained exactly, whatever the weights. What is bent is where LIME and Shapley part."
    root = weights.sqrt()[:, None]
    if close(out, torch.linalg.lstsq(ones, root * bent[:, None]).solution[1:, 0]) or close(out, torch.linalg.lstsq(root * ones, bent[:, None]).solution[1:, 0]) \
            or close(out, torch.linalg.lstsq(ones, weights[:, None] * bent[:, None]).solution[1:, 0]):
        raise Wrong("only one side is weighted: rows and values both get the root of the weight.")
    centred = torch.cat([torch.ones(40, 1).double() / root, on.double()], 1)
    if close(out, best(centred, bent, weights)[1:]):
        raise Wrong("the intercept's column of ones must be weighted like the others.")
    if close(out, best(ones, bent, weights)[:-1]) or close(out, best(ones, bent, weights)[[2, 3, 4, 0]]):
        raise Wrong("the wrong one is cut off: if the column of ones comes first, the first of the K + 1 numbers is the intercept, `[1:]`; if it comes last, `[:-1]`.")
    if close(out, torch.linalg.lstsq(root * ones, root[:, 0] * bent[:, None]).solution[1:, 0]):
        raise Wrong("a row and a column: `root * values[:, None]` with a flat `root` is M x M. Both must be columns, `root[:, None]`.")
    if close(out, best(ones, bent, 1 / weights)[1:]):
        raise Wrong("divided by the weights: what counts more must be *multiplied* by more.")
    if close(out, -wanted):
        raise Wrong("the sign is turned: a piece that raises the value gets a positive number.")
    if close(out, wanted / 2):
        raise Wrong("the coefficients are half of what they should be: a piece is 1 when on and 0 when off, not 1 and -1.")
    if stretched(out, wanted):
        raise Wrong("right but for one factor: no scaling of the coefficients.")
    for penalty in (0.01, 0.1, 0.5, 1.0, 2.0, 3.0, 10.0):
        for first in (0.0, penalty):        # the intercept may be left out of it
            ridge = torch.diag(torch.tensor([first] + 4 * [penalty]).double())
            if close(out, torch.linalg.solve(ones.T @ (weights[:, None] * ones) + ridge, ones.T @ (weights * bent))[1:]):
                raise Wrong("the coefficients are drawn towards 0: no ridge penalty here.")
    raise Wrong("this is not the fit with the least weighted square error.")

# %% [markdown]
# Now three fits of the same digit. LIME's own weights, $\exp(-d^2 / 0.25^2)$ with the cosine distance $d$ to the whole image, on 200 coalitions drawn at random; and all coalitions, once with LIME's weights, once with those of **KernelSHAP**,
# $\frac{K - 1}{\binom{K}{s}\, s\, (K - s)}$ for a coalition of $s$ pieces (Lundberg & Lee 2017; infinite for none and for all, where a million will do). Theory says: the last one *is* Shapley's.

# %%
segments, players, one = 3 * (torch.arange(28) * 3 // 28)[:, None] + torch.arange(28) * 3 // 28, 9, test.per_class(1)[2]
value = game_of(model, one.images[0], one.labels.item(), segments)
every = lime.coalitions(players)
drawn = torch.randint(0, 2, (200, players), generator=torch.Generator().manual_seed(0)).bool()
fits = {"LIME, 200 drawn": fit(drawn, value(drawn), lime.lime_weights(drawn)), "LIME, all": fit(every, value(every), lime.lime_weights(every)),
        "KernelSHAP, all": fit(every, value(every).double(), lime.shapley_weights(every)), "exact (library)": lime.shapley_values(value(every))}
for name, shares in fits.items():
    print(f"{name:<16} " + " ".join(f"{share:6.2f}" for share in shares.tolist()) + f"   sum {shares.sum():.2f}")
largest = fits["LIME, all"].abs().topk(3).indices
sparse = torch.zeros(players)
sparse[largest] = fit(every[:, largest], value(every), lime.lime_weights(every))
print(f"{'LIME, 3 pieces':<16} " + " ".join(f"{share:6.2f}" for share in sparse.tolist()) + f"   sum {sparse.sum():.2f}")
plots.show(torch.stack([as_map(segments, shares.float()) for shares in (*fits.values(), sparse)]), [*fits, "LIME, 3 pieces"], signed=True, columns=5, size=1.5)
assert (fits["KernelSHAP, all"] - fits["exact (library)"]).abs().max() < 1e-3

# %% [markdown] part="8.5" minutes=4 core=false
# ## The switchboard
# Click pieces of a digit off and on. Find a piece that matters alone and not at all when another one is there; find one whose LIME weight and Shapley share differ most.

# %%
from helpers.widgets import switchboard_explorer

switchboard_explorer()

# %% [markdown] exercise="8.6" minutes=7 difficulty=2 core=true
# ## Expected gradients
# 784 pixels are $2^{784}$ coalitions. For the gradient there is a short cut: integrated gradients (unit 02), averaged over baselines $b$ that are real images. With draws $s$ of a baseline $b_s$ and of a place $a_s \in [0, 1]$ on the line from it to the image:
#
# $$\phi(x) = \frac{1}{S} \sum_s (x - b_s) \; \nabla z_y\bigl(b_s + a_s (x - b_s)\bigr)$$
#
# On a linear network it gives Shapley's values, $w_i (x_i - \bar b_i)$; shap's `GradientExplainer` estimates it for any. The draws are handed over, the same for all images.

# %%
def expected(model, images, labels, baselines, shares):
    """images: N x C x H x W, labels: int64 N, baselines: S x C x H x W, shares: S numbers in [0, 1]. The mean over the S draws, of images' shape."""
    ### BEGIN SOLUTION
    out = torch.zeros_like(images)
    for base, share in zip(baselines, shares):
        points = (base + share * (images - base)).requires_grad_()
        wanted = model(points).gather(1, labels[:, None]).sum()
        out += torch.autograd.grad(wanted, points)[0] * (images - base)
    return out / len(shares)
    ### END SOLUTION

# %%
check("8.6", expected)

# %% [markdown] hints="8.6"
# - Loop over the draws with `zip(baselines, shares)`; one baseline C x H x W broadcasts over all images.
# - The points `base + share * (images - base)` need gradients; the logits of the labels: `model(points).gather(1, labels[:, None]).sum()`.
# - Each draw's gradient is multiplied by its *own* difference `images - base` before it is added; at the end divide by the number of draws.

# %% check="8.6"
def check(expected):
    arguments(expected, "model", "images", "labels", "baselines", "shares")

    class Bent(nn.Module):
        """Logits q x^2 + w x: the gradient at p is 2 q p + w."""
        def __init__(self):
            super().__init__()
            draw = dict(generator=torch.Generator().manual_seed(2))
            self.q, self.w = nn.Parameter(torch.randn(3, 16, **draw)), nn.Parameter(torch.randn(3, 16, **draw))
        def forward(self, x):
            if x.ndim != 4:
                raise ValueError(f"the model takes a batch N x C x H x W, but got {tuple(x.shape)}")
            return x.flatten(1).square() @ self.q.T + x.flatten(1) @ self.w.T
    net, x, y = Bent().eval(), images(4, low=0.3, high=0.9), torch.tensor([0, 2, 1, 2])
    bases, shares = images(5, low=0.0, high=0.6, seed=7), torch.tensor([0.1, 0.9, 0.4, 0.65, 0.2])
    before = x.clone(), bases.clone(), shares.clone()
    out = tensor(expected(net, x, y, bases, shares), x)
    untouched((x, before[0]), (bases, before[1]), (shares, before[2]))
    still_evaluating(net)
    if any(weights.grad is not None for weights in net.parameters()):
        raise Wrong("gradients are left in the network's weights: `torch.autograd.grad(wanted, points)[0]` takes the one you want, and leaves nothing behind.")
    q, w = (t[y].view(4, 1, 1, 4, 4).detach() for t in (net.q, net.w))
    share, gap = shares.view(1, -1, 1, 1, 1), x[:, None] - bases

    def at(points):
        return 2 * q * points + w
    g = at(bases + share * gap)
    if close(out, (g * gap).mean(1)):
        return "its sum over the pixels is, in the mean, the logit minus the background's: completeness."
    known = {
        "the sum over the draws, not the mean: divide by their number.": (g * gap).sum(1),
        "the mean gradient alone: multiply each by how far the image is from its baseline.": g.mean(1),
        "the gradients are multiplied by the image, not by its difference to the baseline.": g.mean(1) * x,
        "the sign is turned: image minus baseline.": -(g * gap).mean(1),
        "the mean gradient times the mean difference: each draw's gradient belongs to its *own* difference. Multiply before you average.": g.mean(1) * gap.mean(1),
        "the gradients are taken at the image itself, not on the way to it.": (at(x[:, None]) * gap).mean(1),
        "the gradients are taken at the baselines, not on the way from them.": (at(bases) * gap).mean(1),
        "the lines are walked the other way: a share of 0 is the baseline, 1 the image.": (at(x[:, None] - share * gap) * gap).mean(1),
        "only the last draw is left: add them up.": (g * gap)[:, -1] / 5,
        "only the first draw is left: the `return` comes after the loop, not in it.": (g * gap)[:, 0] / 5,
        "the last draw is missing in the sum.": (g * gap)[:, :-1].sum(1) / 5,
        "one line from the mean baseline: each draw has its *own* baseline, and the mean comes last.": (at(bases.mean(0) + share * gap.mean(1, keepdim=True)) * gap.mean(1, keepdim=True)).mean(1),
        "the gradient with respect to `images`, which is `share` times the one at the point; or the difference was taken only as far as the point. Ask for the gradient with respect to the points, and multiply by the whole difference.":
            (share * g * gap).mean(1),
        "the gradients are multiplied by the point on the line: wanted is how far the image is from the baseline.": (g * (bases + share * gap)).mean(1),
        "the points are on the line from black, not from the baselines.": (at(share * x[:, None]) * gap).mean(1),
        "the points are on the line from black, and so is the difference: use the baselines.": (at(share * x[:, None]) * x[:, None]).mean(1),
        "the points are `base + share * images`, which is beside the line: `base + share * (images - base)`.": (at(bases + share * x[:, None]) * gap).mean(1),
        "the mean without their signs: what speaks against the label is negative. No absolute values.": (g * gap).abs().mean(1),
        "the mean logit's gradient: the logits must be summed over the images, then each image has its own gradient.": (g * gap).mean(1) / 4,
        "the sum divided by the wrong number: by the number of draws, not of images.": (g * gap).sum(1) / 4,
    }
    for words, value in known.items():
        if close(out, value):
            raise Wrong(f"this is {words}" if not words.startswith(("only", "multiply", "the gradients", "the points", "the lines", "the last")) else words)
    if close(out, (g * gap)[:, -1]):
        raise Wrong("only the last draw is left: add them up.")
    points = (bases + share * gap).flatten(0, 1).requires_grad_()
    others = {
        "this is of the probability: wanted is the gradient of the logit.": lambda z, c: z.softmax(1).gather(1, c[:, None]),
        "this is of the log-probability: wanted is the gradient of the logit.": lambda z, c: z.log_softmax(1).gather(1, c[:, None]),
        "this is of the loss: wanted is the gradient of the logit.": lambda z, c: -z.log_softmax(1).gather(1, c[:, None]),
        "all classes' logits are added up: take each image's own label.": lambda z, c: z,
        "`[:, labels]` takes all the labels for every image: each image has its own, `gather(1, labels[:, None])`.": lambda z, c: z[:, y],
        "this is of the prediction at each point: wanted is the logit of the label, wherever the point is.": lambda z, c: z.amax(1),
        "images and labels do not belong together.": lambda z, c: z.gather(1, y.roll(1).repeat_interleave(5)[:, None]),
    }
    for words, of in others.items():
        other = torch.autograd.grad(of(net(points), y.repeat_interleave(5)).sum(), points)[0].view(4, 5, 1, 4, 4)
        if close(out, (other * gap).mean(1)):
            raise Wrong(words)
    raise Wrong("not the mean of gradient times difference. For a linear network and one baseline it must be $w_i (x_i - b_i)$, whatever the share.")

# %%
few, generator = test.per_class(1), torch.Generator().manual_seed(0)
ours = expected(model, few.images, few.labels, background[torch.randint(100, (200,), generator=generator)], torch.rand(200, generator=generator))
with torch.no_grad():
    gap = model(few.images).gather(1, few.labels[:, None])[:, 0] - model(background).mean(0)[few.labels]
print("sum of the shares:     " + " ".join(f"{value:5.1f}" for value in ours.flatten(1).sum(1).tolist()))
print("logit - background's:  " + " ".join(f"{value:5.1f}" for value in gap.tolist()))
plots.show(ours / ours.abs().amax((1, 2, 3), keepdim=True), [str(label) for label in few.labels.tolist()], signed=True, limit=1, size=1)

# %% [markdown] part="8.7" minutes=3 core=true
# ## The same from shap
# shap's own `GradientExplainer` on the same digits, with the same number of draws (others than ours), all ten classes; then the library's `expected_gradients`, which does the forward pass once for all classes and spreads its draws evenly. (Times are of this machine, this time.)

# %%
import time

import shap

from helpers.attribution import expected_gradients, rank_correlation

few = test.per_class(1)[:4]
began = time.perf_counter()
theirs = shap.GradientExplainer(model, background).shap_values(few.images, nsamples=200, rseed=0)       # N x 1 x 28 x 28 x classes
middle = time.perf_counter()
ours = expected_gradients(model, few.images, torch.arange(10).repeat(4, 1), background, n_samples=200)      # N x classes x 1 x 28 x 28
took = middle - began, time.perf_counter() - middle
theirs = torch.as_tensor(theirs).permute(0, 4, 1, 2, 3).float()
again = torch.as_tensor(shap.GradientExplainer(model, background).shap_values(few.images, nsamples=200, rseed=1)).permute(0, 4, 1, 2, 3).float()


def alike(a, b):
    return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1].item()


print(f"shap {took[0]:.2f} s, ours {took[1]:.2f} s; correlation of the maps {alike(theirs, ours):.3f}; of shap's with shap's, other draws: {alike(theirs, again):.3f}")
assert alike(theirs, ours) > alike(theirs, again) - 0.02
shap.image_plot([theirs[:2, c].permute(0, 2, 3, 1).numpy() for c in (0, 1, 2, 3)], few.images[:2].permute(0, 2, 3, 1).numpy(), labels=[["0", "1", "2", "3"]] * 2, width=9)

# %% [markdown]
# shap's plot: red pixels speak for the class above, blue ones against it. (`GradientExplainer` also explains inner layers. There its maps need a second look: the lecture takes it.)

# %% [markdown] exercise="8.8" minutes=4 difficulty=1 core=true
# ## The evidence, without the map
# The article's detector takes the mean of the map of the **top prediction**. But all such maps are *complete*: the shares sum to the logit minus its mean over the background. So the mean of the map can be had without drawing it,
# and without its noise. Write that sum, for the class $c$ that the network predicts:
#
# $$E(x) = z_c(x) - \frac{1}{M} \sum_b z_c(b), \qquad c = \arg\max_k z_k(x)$$

# %%
def evidence(model, images, background):
    """images: N x C x H x W, background: M x C x H x W. The sum of the (exact) expected gradients of each image's prediction: N numbers."""
    ### BEGIN SOLUTION
    logits, resting = model(images).detach(), model(background).detach().mean(0)
    said = logits.argmax(1)
    return logits.gather(1, said[:, None])[:, 0] - resting[said]
    ### END SOLUTION

# %%
check("8.8", evidence)

# %% [markdown] hints="8.8"
# - Two calls of the model: the logits of the images, N x classes, and the mean over the background, one number a class.
# - Take both for the predicted class: `logits.gather(1, said[:, None])[:, 0] - resting[said]`.

# %% check="8.8"
def check(evidence):
    arguments(evidence, "model", "images", "background")
    x = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.5, 2.0], [0.0, 0.2, 0.9], [2.0, 1.9, 0.0]]).view(4, 1, 1, 3)
    rest = torch.tensor([[2.0, 3.5, 0.0], [4.0, 1.0, -1.0], [3.0, 0.0, 0.4]]).view(3, 1, 1, 3)
    before, net = (x.clone(), rest.clone()), Pixels().eval()
    wanted, resting, z = torch.tensor([0.0, 1.0, 1.1, -1.0]), torch.tensor([3.0, 1.5, -0.2]), x.flatten(1)
    out = tensor(evidence(net, x, rest), wanted, "the evidence")
    untouched((x, before[0]), (rest, before[1]))
    still_evaluating(net)
    if close(out, z.amax(1)):
        raise Wrong("nothing is subtracted: take away what the class has on the background anyway.")
    if close(out, -wanted):
        raise Wrong("the sign is turned: image minus background.")
    if close(out, (z - resting).amax(1)):
        raise Wrong("this is the class with the most *evidence*; the detector takes that of the top prediction, the largest logit.")
    if close(out, z.amax(1) - rest.flatten(1).amax(1).mean()):
        raise Wrong("of the background the largest logits are taken: take the logit of the class that is predicted for the *image*.")
    if any(close(out, z.amax(1) - one) for one in resting):
        raise Wrong("of the background another class's mean logit is taken, the same for all images: take that of the class predicted for the *image*.")
    if close(out, z.amax(1) - resting.mean()):
        raise Wrong("the background is averaged over all classes: take the mean of the predicted class's logit.")
    if close(out, z.amax(1) - rest.flatten(1).mean(1)[z.argmax(1)]):
        raise Wrong("the mean runs along the classes: take it over the images of the background, `.mean(0)`, one number a class.")
    if close(out, z.amax(1) - 3 * resting[z.argmax(1)]):
        raise Wrong("this takes away the sum over the background, not the mean.")
    if close(out, wanted / 3):
        raise Wrong("this is the mean over the pixels: wanted is the sum.")
    if close(out, z.softmax(1).amax(1) - rest.flatten(1).softmax(1).mean(0)[z.argmax(1)]) or close(out, z.softmax(1).amax(1)) \
            or close(out, z.log_softmax(1).amax(1) - rest.flatten(1).log_softmax(1).mean(0)[z.argmax(1)]):
        raise Wrong("there is a softmax: evidence is counted in logits.")
    if not close(out, wanted):
        raise Wrong("with the logits of the image (1, 2.5, 2) and mean logits (3, 1.5, -0.2) of the background the evidence is 2.5 - 1.5 = 1.")
    z, rested = x.flatten(1).square(), rest.flatten(1).square().mean(0)
    if not close(evidence(Squares(), x, rest), z.amax(1) - rested[z.argmax(1)]):
        raise Wrong("right for a linear network only. Is it the logit of the mean image? Take the mean of the *logits* of the background.")
    return "one forward pass, and the noise of the draws is gone. So the detector looks at a logit."

# %%
few = some[:40]
maps = expected_gradients(model, few.images, model(few.images).argmax(1), background, n_samples=100)
both = torch.stack([maps.flatten(1).sum(1), evidence(model, few.images, background)])
print(f"sum of a drawn map and the exact evidence, 40 digits: correlation {torch.corrcoef(both)[0, 1]:.3f}, mean difference {(both[0] - both[1]).abs().mean():.2f}")
attacked = iterated(model, few.images, targets[:40], 0.2, 0.02, 20)
hit = model(attacked).argmax(1) == targets[:40]
pairs = hit.nonzero()[:4, 0]
both = torch.stack([few.images[pairs], attacked[pairs]], 1).flatten(0, 1)
maps, strength = expected_gradients(model, both, model(both).argmax(1), background), evidence(model, both, background)
limit = maps.abs().amax().item() / 2
plots.show(both, plots.verdicts(model, both, test.classes), columns=8, label="clean and attacked, in turn")
plots.show(maps, [f"evidence {value:.1f}" for value in strength], columns=8, signed=True, limit=limit, label="for what the network says")

# %% [markdown] predict="8.9" minutes=3 core=true low=0 high=100 unit="%"
# ## How good is the detector?
# Digits read correctly, and the same digits attacked (random targets, $\epsilon$ 0.2, all 20 steps taken). Draw one clean image and one that reached its target. **In how many per cent of such pairs does the clean one have more evidence?** (100: a perfect
# detector; 50: the evidence says nothing; below 50: attacked images have more.)

# %%
predict("8.9", 95)

# %% answer="8.9"
def answer(guess):
    digits, test, network = data.load("mnist5k", "train"), data.load("mnist5k")[:300], models.load("mnist5k/standard")
    test = test[~attacks.fooled(network, test.images, test.labels)]
    goal = (test.labels + torch.randint(1, 10, test.labels.shape, generator=torch.Generator().manual_seed(0))) % 10
    resting = attacks.scores(network, digits.images[:100]).mean(0)

    def evidence(images):
        logits = attacks.scores(network, images)
        top = logits.argmax(1)
        return logits.gather(1, top[:, None])[:, 0] - resting[top], top
    clean, _ = evidence(test.images)
    figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained", sharey=True)
    found = {}
    for ax, (name, keep) in zip(axes, (("all 20 steps taken", "last"), ("stopped as soon as it succeeds", "first"))):
        moved = attacks.pgd(network, test.images, goal, eps=0.2, norm="linf", steps=20, step_size=0.02, targeted=True, keep=keep)
        values, said = evidence(moved)
        values = values[said == goal]
        found[name] = 100 * measure.auc(clean, values)
        bins = torch.linspace(0, 30, 31).tolist()
        ax.hist(clean.tolist(), bins, color=plots.CLEAN, alpha=0.6, label="clean")
        ax.hist(values.tolist(), bins, color=plots.ATTACKED, alpha=0.6, hatch="//", label="attacked")
        ax.set(xlabel="evidence for the prediction (logits)", title=f"{name}: {found[name]:.0f} % of pairs")
        ax.title.set_fontsize(9)
    axes[0].set_ylabel("digits")
    axes[0].legend(fontsize=8, title=f"your guess: {guess} %", title_fontsize=8)
    whole, first = found.values()
    return (f"{whole:.0f} %. If the attacker stops at the first success it is {first:.0f} %: then the prediction has only just changed, and its logit is low. "
            "A gap like the one that the article saw is a property of how long an attack runs.")

# %% [markdown] exercise="8.10" minutes=5 difficulty=1 core=true
# ## One number for a detector
# That share of pairs has a name: it is the area under the ROC curve (**AUC**), the mean rate of detection over all thresholds. Write it: the share of all pairs of one clean and one attacked image in which the clean one has the **higher** score;
# ties count half.

# %%
def auc(clean, attacked):
    """clean: N scores, attacked: M scores, tensors. A float, 0 to 1."""
    ### BEGIN SOLUTION
    higher = (clean[:, None] > attacked[None]).double()
    ties = (clean[:, None] == attacked[None]).double()
    return (higher + ties / 2).mean().item()
    ### END SOLUTION

# %%
check("8.10", auc)

# %% [markdown] hints="8.10"
# - `clean[:, None] > attacked[None]` compares all pairs at once, N x M.
# - The mean of that, plus half the mean of `clean[:, None] == attacked[None]`; `.double()` makes numbers of truth values, `.item()` a float of the result.

# %% check="8.10"
def check(auc):
    arguments(auc, "clean", "attacked")
    clean, attacked = torch.tensor([4.5, 4.0, 6.0, 5.0, 1.0, 0.5, 5.5]), torch.tensor([6.0, 5.5, 2.0, 0.0, 3.0, 1.0])
    higher, equal, pairs = 23, 3, 42
    wanted, before = (higher + equal / 2) / pairs, (clean.clone(), attacked.clone())

    def number(out):
        """One number of torch or numpy as Python's own; anything else as it came."""
        return out.item() if hasattr(out, "item") and math.prod(getattr(out, "shape", (0,))) == 1 else out
    out = number(auc(clean, attacked))
    if not isinstance(out, float):
        raise WrongType(f"wanted a float, but `{type(out).__name__}` came." + (" Is there a `return`?" if out is None else " `.mean().item()`"))
    untouched((clean, before[0]), (attacked, before[1]), what="tensors")
    one_side = [(clean > side(attacked)).float().mean().item() for side in (torch.mean, torch.median)] + [(side(clean) > attacked).float().mean().item() for side in (torch.mean, torch.median)]
    middle, first = (clean.mean() + attacked.mean()) / 2, clean[:6]
    known = {
        "the wrong way round: count pairs in which the *clean* image has the higher score.": [1 - wanted],
        "the wrong way round, and pairs with equal scores are lost: count those in which the *clean* image is higher, and each tie half.": [(pairs - higher - equal) / pairs],
        "pairs with equal scores are lost: count each half.": [higher / pairs],
        "pairs with equal scores count fully: count each half.": [(higher + equal) / pairs],
        "a percentage or a count: wanted is a share, 0 to 1.": [100 * wanted, pairs * wanted, len(clean) * wanted, len(attacked) * wanted],
        "this is the share of pairs higher minus lower, from -1 to 1: count only those higher, and ties half.": [2 * wanted - 1],
        "image is compared with image, the first with the first: compare every clean one with every attacked one.":
            [(first > attacked).float().mean().item(), (first >= attacked).float().mean().item()],
        "one side is compared with the other's mean or median: the AUC compares every pair.": one_side,
        "this is what one threshold gets right: the AUC compares every pair, without any threshold.": [((clean > middle).float().mean() + (attacked < middle).float().mean()).item() / 2],
        "this is how far apart the two are in the mean, in logits: count *in how many pairs* the clean one is higher.": [(clean.mean() - attacked.mean()).item()],
    }
    for words, values in known.items():
        if any(abs(out - value) < 1e-5 * max(1, abs(value)) for value in values):
            raise Wrong(words)
    if abs(out - wanted) > 1e-5:
        raise Wrong(f"of these {pairs} pairs the clean one is higher in {higher} and equal in {equal}: {wanted:.3f}, but {out:.3f} came.")
    if abs(number(auc(attacked - 3, clean)) - (attacked[:, None] - 3 > clean).float().mean().item()) > 1e-5:
        raise Wrong("never below 0.5 here: where attacked images have more evidence the AUC *is* below 0.5. Do not turn it round.")
    return "0.5 says nothing, 1 everything; and below 0.5 a detector that calls *more* evidence an attack would do better."

# %%
def reached(model, images, targets, loss="cross_entropy", eps=0.2):
    """The attacked images that reached their target, after all 20 steps."""
    moved = attacks.pgd(model, images, targets, eps=eps, norm="linf", steps=20, step_size=eps / 10, targeted=True, loss=loss, keep="last")
    return moved[attacks.fooled(model, moved, targets, targeted=True)]


clean = evidence(model, some.images, background)
with torch.no_grad():
    second = model(some.images).argsort(1, descending=True)     # column 1: what the network would say next
for name, goal in {"a random class": targets, "the network's second choice": second[:, 1], "its last choice": second[:, 9]}.items():
    values = evidence(model, reached(model, some.images, goal), background)
    said = measure.auc_with_interval(clean, values)
    print(f"towards {name:<28} {len(values):>3} of {len(goal)} reached, AUC {auc(clean, values):.2f} (95 % of bootstrap draws: {said['interval'][0]:.2f} to {said['interval'][1]:.2f})")

# %% [markdown]
# The nearer the target, the less the detector sees: what is like the class has much of its evidence already.

# %% [markdown] part="8.11" minutes=2 core=true
# ## Where to put the threshold
# Whoever uses a detector must choose. Move the threshold and watch both error rates: clean images that are stopped, attacked ones that pass. Then choose another attack *without moving the threshold*.

# %%
from helpers.widgets import detector_explorer

detector_explorer()

# %% [markdown] exercise="8.12" minutes=6 difficulty=2 core=true
# ## An attacker who knows
# An attacker who has read the article adds the detector's score to the loss: reach the target *and* have as much evidence as a clean image has (`wanted`, say their upper quartile: sure, but not suspiciously so). Per image, to be lowered:
#
# $$\text{cross-entropy}(z, t) + \lambda \, \bigl(z_t - \bar z_t - E_{\text{wanted}}\bigr)^2$$
#
# $\bar z$ are the mean logits of the background. That the evidence is a logit makes this easy: no second derivatives, no map.

# %%
def steered(logits, targets, resting, wanted, weight):
    """logits: N x K, targets: int64 N, resting: K mean logits of the background, wanted and weight: numbers. The loss of each image: N."""
    ### BEGIN SOLUTION
    mine = logits.gather(1, targets[:, None])[:, 0] - resting[targets]
    return F.cross_entropy(logits, targets, reduction="none") + weight * (mine - wanted) ** 2
    ### END SOLUTION

# %%
check("8.12", steered)

# %% [markdown] hints="8.12"
# - The evidence *for the target*, whatever is predicted at the moment: `logits.gather(1, targets[:, None])[:, 0] - resting[targets]`.
# - One loss for each image: `F.cross_entropy(logits, targets, reduction="none")`, plus `weight` times the squared distance to `wanted`.

# %% check="8.12"
def check(steered):
    arguments(steered, "logits", "targets", "resting", "wanted", "weight")
    z, t = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, -1.0], [1.0, 0.5, 4.0]]), torch.tensor([1, 1, 0])
    resting, before = torch.tensor([-1.0, 0.5, 2.0]), z.clone()
    ce = torch.tensor([math.log(sum(map(math.exp, row))) - row[c] for row, c in zip(z.tolist(), t.tolist())])
    gap = torch.tensor([-0.5, 2.5, 2.0]) - 1.5      # evidence for the target, minus what is wanted
    out = tensor(steered(z, t, resting, 1.5, 0.3), ce, "the loss")
    untouched((z, before), (t, torch.tensor([1, 1, 0])), (resting, torch.tensor([-1.0, 0.5, 2.0])), what="tensors")
    mine, total = z.gather(1, t[:, None])[:, 0], ce + 0.3 * gap ** 2
    known = {
        "the cross-entropy is averaged or summed over the batch: each image's own cross-entropy, `reduction=\"none\"`.": torch.stack([ce.mean() + 0.3 * gap ** 2, ce.sum() + 0.3 * gap ** 2]),
        "the distance is averaged or summed over the batch: each image's own distance.": torch.stack([ce + 0.3 * (gap ** 2).mean(), ce + 0.3 * (gap ** 2).sum()]),
        "`weight` belongs to the evidence, not to the cross-entropy.": 0.3 * ce + gap ** 2,
        "`weight` belongs to the evidence alone, not to both.": 0.3 * total,
        "the two are multiplied: add them.": 0.3 * ce * gap ** 2,
        "there is a softmax before the cross-entropy: `F.cross_entropy` takes logits.": F.cross_entropy(z.softmax(1), t, reduction="none") + 0.3 * gap ** 2,
        "evidence is counted in logits: no softmax.": ce + 0.3 * (z.softmax(1).gather(1, t[:, None])[:, 0] - resting[t] - 1.5) ** 2,
        "only too much evidence is punished: too little gives an attack away, too. Square the distance, whatever its sign.": ce + 0.3 * gap.clamp(min=0) ** 2,
        "only too little evidence is punished: a defender may stop too much, too. Square the distance, whatever its sign.": ce + 0.3 * gap.clamp(max=0) ** 2,
        "`resting` is added instead of taken away.": ce + 0.3 * (mine + resting[t] - 1.5) ** 2,
        "every image gets the first image's target: each has its own, `gather`.": ce + 0.3 * (z[:, 1] - resting[1] - 1.5) ** 2,
        "there is a half too many: `weight` times the square.": ce + 0.15 * gap ** 2,
        "the distances are summed over all classes: take the target's.": ce + 0.3 * (z - resting - 1.5).square().sum(1),
        "this takes minus the probability: the cross-entropy is minus its *logarithm*.": 0.3 * gap ** 2 - z.softmax(1).gather(1, t[:, None])[:, 0],
        "`wanted` is added instead of taken away.": ce + 0.3 * (gap + 3) ** 2,
        "`resting` is averaged over all classes: take the target's.": ce + 0.3 * (mine - resting.mean() - 1.5) ** 2,
        "the cross-entropy is that of the plain logits, without `resting`: this is what the network will say.": F.cross_entropy(z - resting, t, reduction="none") + 0.3 * gap ** 2,
        "the cross-entropy is missing: the target must still be reached.": 0.3 * gap ** 2,
        "the evidence is missing: this is the plain attack.": ce,
        "the two are subtracted: an attacker *lowers* this loss, so being far from `wanted` must raise it.": ce - 0.3 * gap ** 2,
        "the cross-entropy has the wrong sign: it is lowered, towards the target.": -ce + 0.3 * gap ** 2,
        "`weight` is not used.": ce + gap ** 2,
        "the distance is not squared.": ce + 0.3 * gap.abs(),
        "the distance is signed: too little evidence would be rewarded. Square it.": ce + 0.3 * gap,
        "`resting` is not taken away: evidence is the logit minus its mean over the background.": ce + 0.3 * (z.gather(1, t[:, None])[:, 0] - 1.5) ** 2,
        "`wanted` is not used.": ce + 0.3 * (gap + 1.5) ** 2,
        "the evidence is that of the class predicted at the moment: take the target's, which is to become the prediction.":
            ce + 0.3 * (z.amax(1) - resting[z.argmax(1)] - 1.5) ** 2,
        "the weight is squared, too.": ce + (0.3 * gap) ** 2,
    }
    for words, value in known.items():
        if any(close(out, one) for one in (value if value.ndim == 2 else [value])):
            raise Wrong(words)
    if not close(out, total):
        raise Wrong("for logits (0, 3, -1), target 1, resting logits (-1, 0.5, 2) and wanted 1.5 the evidence is 2.5, one more than wanted: cross-entropy plus `weight`.")
    z = z.clone().requires_grad_()
    loss = steered(z, t, resting, 1.5, 0.3)
    if not loss.requires_grad:
        raise Wrong("the result does not hang on the graph: an attacker needs its gradient. No `.detach()`, no `torch.no_grad()`.")
    wanted_gradient = z.detach().softmax(1) + (0.6 * gap - 1)[:, None] * F.one_hot(t, 3)
    if not close(torch.autograd.grad(loss.sum(), z)[0], wanted_gradient):
        raise Wrong("the values are right, but a part of the gradient is cut off. No `.detach()`, no `.item()`, no `torch.no_grad()`.")
    return "reach the target, and look like a clean image while you do."

# %%
with torch.no_grad():
    resting = model(background).mean(0)
clean = evidence(model, some.images, background)
half, fixed = torch.arange(len(some)) % 2 == 0, None
low, high = clean[half].quantile(torch.tensor([0.05, 0.95]))
for eps in (0.2, 0.3):
    print(f"eps {eps}")
    for name, loss in {"plain": "cross_entropy", "knows the detector": lambda z, t: steered(z, t, resting, clean.quantile(0.75), 1.0)}.items():
        parts = [evidence(model, reached(model, some.images[rows], targets[rows], loss, eps), background) for rows in (half, ~half)]
        fixed = measure.best_threshold(clean[half], parts[0]) if fixed is None else fixed       # chosen once, on one half, against the plain attack of 0.2
        rates = measure.errors(clean[~half], parts[1], fixed)
        print(f"   {name:<20} {sum(map(len, parts))} of {len(some)} reached, AUC {measure.auc(clean, torch.cat(parts)):.2f}; threshold {fixed:.1f}, on the other half: "
              f"{100 * rates['false alarms']['share']:.0f} % of clean stopped, {100 * rates['misses']['share']:.0f} % of attacked pass; {100 * ((low < parts[1]) & (parts[1] < high)).float().mean():.0f} % lie in the middle 90 % of clean ones")

# %% [markdown]
# <details><summary>What to see</summary>
#
# At 0.2 steering costs the attacker some targets, and lets more of the others pass. At 0.3 the plain attack already has as much evidence as a clean image, and the one that knows can *choose*: it sits where clean images are,
# so a detector that also stops too much evidence (everything outside the middle 90 %) is no help. The map was never a second witness: it is the logit, drawn.
# </details>

# %% [markdown] part="8.13" minutes=3 core=true
# ## Confidence is not evidence
# **Question.** Somebody must act on a network's output: a doctor, a customs officer. The network says 99 %, and the explanation looks convincing. What do you tell them about each of the two; and what would count as evidence?
#
# <details><summary>An answer</summary>
#
# 99 % is what the softmax makes of differences of logits; on images like those it was measured on it may be right 99 times of 100, and an attacker can have any number. The explanation shares out *the same logit*: it cannot
# disagree with it, it only says where it came from. Both answer "what does the network say", neither "is it so". What helps is what the attacker does not hold in hand: another source (another sensor, the patient),
# knowing who could have touched the image, a network that withstands small changes (unit 06; on such a one far fewer attacks succeed in the first place), a threshold whose two error rates were measured on other images, against an attacker who knew it.
# And when the detector is silent, say what that means: no *known* attack of the kind it was tried on.
# </details>

# %% [markdown] part="8.14" minutes=4 core=false
# ## With the full data
# ImageNet, where the article was: MobileNetV2 on pictures that it reads correctly, $\epsilon = 4/255$, 10 steps (`python -m experiments.evidence`).

# %%
file = Path("../results/evidence.json")
table = json.loads(file.read_text()) if file.exists() else {"rows": []}
for row in table["rows"]:
    if "AUC of evidence" in row:        # not the rows of clean and of single pictures
        found = row["AUC of evidence"]
        print(f"{row['what']:<11} {100 * row['succeeds']['share']:.0f} % reached, AUC {found['auc']:.2f} ({found['interval'][0]:.2f} to {found['interval'][1]:.2f}); threshold of one half, on the other: "
              f"{100 * row['false alarms']['share']:.0f} % of clean stopped, {100 * row['misses']['share']:.0f} % of attacked pass")

# %% [markdown]
# And live, with your own functions, where the weights and pictures are (about a minute): an elephant on its way to a ping-pong ball.

# %% budget=120
if data.available("imagenet200") and (data.folder() / "weights" / "mobilenet_v2_imagenet.pth").exists():
    big, pictures = models.load("imagenet/mobilenet_v2"), data.load("imagenet200")
    elephant = pictures[pictures.labels == pictures.classes.index("African elephant")][:1]
    ball, others = torch.tensor([pictures.classes.index("ping-pong ball")]), data.load("imagenet-samples").images[:5]
    moved = torch.cat([elephant.images, *(iterated(big, elephant.images, ball, n / 255, n / 255 / 4, 8) for n in (1, 2, 4))])
    plots.show(moved, plots.verdicts(big, moved, pictures.classes), columns=4, size=2.2)
    print("evidence: " + ", ".join(f"{value:.1f}" for value in evidence(big, moved, others)))
else:
    print(f"No ImageNet pictures and weights here. {data.how_to_get('imagenet200')}, and get the weights with `python -m helpers.models mobilenet_v2`.")

# %% [markdown]
# ## Done
# `progress()` shows what you have.

# %%
progress("08")
