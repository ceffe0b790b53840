# %% [markdown]
# # 07 · Feature visualisation
# **You need:** unit 03 (a gradient step); 5.3 (the features of an image) helps.
#
# **Afterwards you can:** say what a neuron of a network stands for, in three ways (the images that excite it, an image that was made to, its name tested on labels); wake a dead ReLU; make a
# standard network show something, and say whose taste you then look at.
#
# Notation: $x$ an image in $[0, 1]$, $f$ a network, $\phi(x)$ its representation: what goes into its last layer, a vector of length $D$. $\phi_j$ is **neuron** $j$, $\phi_j(x)$ its activation. All steps are of
# fixed $L_2$ length.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn

from helpers import data, models, plots
from helpers.course import check, hint, predict, progress, reveal

robust, standard = models.load("cifar10/robust-l2"), models.load("cifar10/standard")
samples = data.load("cifar10-samples")      # 20 pictures of CIFAR-10's test set
digits, robust_digits = data.load("mnist5k"), models.load("mnist5k/robust-l2")
noise = (0.5 + torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) / 20).clamp(0, 1)
grey = torch.full((1, 3, 32, 32), 0.5)
NEURONS = (25, 62, 180)     # the practicum looks at 200, 500 and 1444 of 2,048; these stand at the same places among 256

# %% setup="checks"
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from helpers import attacks, data, models, plots
from helpers.checking import Wrong, WrongType, arguments, close, images, tensor, untouched
from helpers.visualisation import features, invert

# %% [markdown] predict="7.1" minutes=2 core=true low=1 high=3072 unit="numbers"
# ## What is left of a picture
# A picture of CIFAR-10 has 3 x 32 x 32 = 3,072 numbers. The robust network is right on 83.5 % of the test pictures. **How many numbers go into its last layer**, from which the ten scores are computed?

# %%
predict("7.1", 500)

# %% answer="7.1"
def answer(guess):
    network, some = models.load("cifar10/robust-l2"), data.load("cifar10-samples")
    x, sizes = some.images[:1], [("picture", 3072)]
    for layer in network[:-1]:
        x = layer(x)
        if not isinstance(layer, (nn.Identity, nn.ReLU, nn.Flatten, models.Normalize)):
            sizes.append((f"{type(layer).__name__}\n{' x '.join(map(str, x.shape[1:]))}", x[0].numel()))
    figure, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
    bars = ax.bar(range(len(sizes)), [size for _, size in sizes], 0.6, color=plots.CLEAN)
    ax.bar_label(bars, [f"{size:,}" for _, size in sizes], fontsize=8)
    ax.axhline(guess, color="k", linestyle=":", label=f"your guess: {guess}")
    ax.set(yscale="log", ylim=(10, 2e5), ylabel="numbers (log scale)", xticks=range(len(sizes)), xticklabels=[name for name, _ in sizes])
    ax.tick_params(axis="x", labelsize=7)
    ax.legend(fontsize=8)
    seen = features(network, some.images)
    assert round(1000 * models.info("cifar10/robust-l2")["measured"]["clean"]["share"]) in (834, 835)      # 83.5 %, in the question
    return (f"{seen.shape[1]} numbers: one a channel, averaged over the places where it was seen. None is negative (they come after a ReLU); of the twenty sample pictures "
            f"on average {100 * (seen == 0).float().mean():.0f} % of them are 0.")

# %% [markdown] exercise="7.2" minutes=4 difficulty=1 core=true
# ## The representation
# All networks here are `nn.Sequential`, and their last layer is the linear one that makes scores. Return what goes *into* it. Gradients must be able to flow through it, and the network must stay as it is.

# %%
def representation(model, images):
    """images: N x C x H x W. What goes into the last layer of `model`, N x D."""
    ### BEGIN SOLUTION
    return model[:-1](images)
    ### END SOLUTION

# %%
check("7.2", representation)

# %% [markdown] hints="7.2"
# - An `nn.Sequential` can be cut like a list: `model[:2]` is a network of the first two layers, which it shares with `model`.
# - Which slice has all layers but the last? Call it like a network.
# - `model[:-1]` is that network; it takes `images`.

# %% check="7.2"
def check(representation):
    arguments(representation, "model", "images")
    torch.manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 7), nn.ReLU(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 4)).eval()
    before, x = list(net), images(5)
    first = x.flatten(1) @ net[1].weight.T + net[1].bias
    below = first.relu() @ net[3].weight.T + net[3].bias
    wanted, scores = below.relu().detach(), net(x).detach()
    given = x.clone().requires_grad_()
    out = representation(net, given)
    if list(net) != before or any(layer._forward_hooks or layer._forward_pre_hooks for layer in net.modules()):
        raise Wrong("the network is not as it was (a layer was replaced, or a hook stayed): whoever uses it next gets something else. `model[:-1]` is a network of its own.")
    if any(layer.training for layer in net.modules()):
        raise Wrong("the network is left in training mode, where dropout and batch normalisation behave otherwise: it stays as it is.")
    if not all(weight.requires_grad for weight in net.parameters()):
        raise Wrong("the weights no longer ask for gradients: the network stays as it is.")
    if not isinstance(out, torch.Tensor):
        raise WrongType(f"wanted a tensor of shape (5, 6), but `{type(out).__name__}` came." + (" Is there a `return`?" if out is None else ""))
    if out.shape == (5, 4):
        raise Wrong("these are four numbers an image: the scores, what comes *out* of the last layer. Stop before it.")
    if out.shape == (5, 7):
        raise Wrong("this is an earlier layer's output: the last layer alone is left out.")
    if out.shape != (5, 6):
        raise WrongType(f"wanted shape (5, 6), one row an image, but {tuple(out.shape)} came.")
    if close(out, below.detach()) and not close(out, wanted):
        raise Wrong("there are negative numbers: this is what goes into the last ReLU. The last layer gets what comes out of it.")
    if not out.requires_grad:
        raise Wrong("no gradient flows through it, and the next exercise needs one: no `torch.no_grad()`, no `.detach()`.")
    if torch.autograd.grad(out.sum(), given, allow_unused=True, retain_graph=True)[0] is None:
        raise Wrong("no gradient reaches the images (the weights' would flow): `images` go in as they came, without `.detach()`.")
    if not close(out.detach(), wanted):
        raise Wrong("these are not the numbers that the last layer is given. Nothing is normalised, sorted or scaled.")
    if not close(net[-1](out).detach(), scores):
        raise Wrong("put into the last layer, these numbers do not give the scores.")
    return "from here on, an image is D numbers."

# %%
for name, network, some in (("cifar10/robust-l2", robust, samples), ("cifar10/standard", standard, samples), ("mnist5k/robust-l2", robust_digits, digits)):
    with torch.no_grad():
        seen = representation(network, some.images[:20])
    print(f"{name:<18} {tuple(some.images[:20].shape)} -> {tuple(seen.shape)}; {100 * (seen == 0).float().mean():.0f} % are 0, the largest is {seen.max():.1f}")

# %% [markdown] exercise="7.3" minutes=8 difficulty=2 core=true
# ## Ask a neuron what it wants
# Which image excites neuron $j$ most? Take one to start from, and climb:
#
# $$x \leftarrow \mathrm{clip}_{[0,1]}\Big(x + \alpha \frac{g}{\|g\|_2}\Big), \qquad g = \nabla_x\, \phi_j(x)$$
#
# Each image moves by `step_size` along *its own* gradient. `features(images)` gives $\phi$, N x D, and can be differentiated. A gradient may be exactly 0: such an image stays where it is (no NaN).

# %%
def maximise(features, neuron, start, steps, step_size):
    """Images that begin as `start` (N x C x H x W) and are moved until features(x)[:, neuron] is large."""
    ### BEGIN SOLUTION
    x = start.clone()
    for _ in range(steps):
        x.requires_grad_()
        excitement = features(x)[:, neuron].sum()
        slope = torch.autograd.grad(excitement, x)[0]
        length = slope.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
        x = (x.detach() + step_size * slope / length).clamp(0, 1)
    return x
    ### END SOLUTION

# %%
check("7.3", maximise)

# %% [markdown] hints="7.3"
# - The loss is one column of the features, summed over the batch (then each image's gradient is that of its own activation). You want it large, so go *with* the gradient.
# - `g = torch.autograd.grad(features(x)[:, neuron].sum(), x)[0]`, where `x` needs `requires_grad_()` first, in every turn. Divide each image's gradient by its own length.
# - `g / g.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)` is safe where g is 0. Then `x = (x.detach() + step_size * ...).clamp(0, 1)`.

# %% check="7.3"
def check(maximise):
    arguments(maximise, "features", "neuron", "start", "steps", "step_size")
    # Three features of sixteen pixels with known gradients: rows of different lengths; the last image cannot see the second one (a dead ReLU).
    rows = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    rows = rows / rows.norm(dim=1, keepdim=True) * torch.tensor([[2.0], [3.0], [0.5]])
    unit, asked = rows / rows.norm(dim=1, keepdim=True), []

    def features(x):
        asked.append((x.detach() - 0.5).abs().max().item())
        return (x.flatten(1) - 0.5) @ rows.T
    start = images(3, (2, 2, 4), 0.45, 0.55, 1)
    before = start.clone()
    one = tensor(maximise(features, 1, start, 1, 0.05), start, "the result of one step")
    untouched((start, before))
    moved = (one - start).flatten(1)
    if moved.abs().max() == 0:
        if close((maximise(features, 1, start, 2, 0.05) - start).flatten(1), 0.05 * unit[1].expand(3, -1), 1e-4):
            raise Wrong("with steps=1 nothing moved, with steps=2 there was one step: one step too few.")
        raise Wrong("these are the images you started from: is the result of each step kept?")
    along, lengths = moved @ unit.T, moved.norm(dim=1)
    straight = along / lengths.clamp_min(1e-12)[:, None]     # the cosine with each feature's gradient
    if (straight[:, 1] < -0.999).all():
        raise Wrong("the activation falls: go *with* the gradient.")
    if close(moved, 0.1 * unit[1].expand(3, -1), 1e-4):
        raise Wrong("with steps=1 there were two steps: one too many.")
    if (moved.abs().amax(1) == 0).any():
        raise Wrong("some images were moved and some were not. Is it `features(x)[:, neuron]`, one column and not one row?")
    if close(moved.norm(), 0.05, 1e-4):
        raise Wrong("the whole batch shares one length: divide each image's gradient by its own.")
    if close(moved, 0.05 * rows[1].expand(3, -1), 1e-4):
        raise Wrong("the step is as long as the gradient says: divide each image's gradient by its own L2 length, so that each moves by `step_size`.")
    if close(moved, 0.05 * rows[1].sign().expand(3, -1), 1e-4):
        raise Wrong("these are steps of equal size in each pixel, the sign of the gradient: here the gradient is divided by its L2 length.")
    if close(moved, 0.05 * F.normalize(rows[1].view(2, 2, 4), dim=0).flatten().expand(3, -1), 1e-4):
        raise Wrong("each pixel's gradient is divided by its own length (over the channels): each *image's* by its own. `.flatten(1)` first, then `.norm(dim=1)`.")
    if (straight[:, 1] > 0.999).all() and not close(lengths, torch.full((3,), 0.05), 1e-4):
        raise Wrong(f"the direction is right, but an image moves by {lengths[0]:.3f} (L2) where step_size is 0.05: divide its gradient by its L2 length, the root of the sum of squares.")
    for other in (0, 2):
        if (straight[:, other] > 0.999).all():
            raise Wrong(f"neuron 1 was asked for, and this is neuron {other}'s gradient: `[:, neuron]`.")
    if close(moved, 0.05 * rows[1].sign().expand(3, -1) / 3 ** 0.5, 1e-4):
        raise Wrong("each pixel's gradient is divided by its length over the batch: each *image's* by its own. `.flatten(1)` first, then `.norm(dim=1)`.")
    if close(moved, 0.05 * F.normalize(rows[1].view(2, 8), dim=1).flatten().expand(3, -1), 1e-4):
        raise Wrong("each channel's gradient is divided by its own length: each *image's* by its own. `.flatten(1)` first, then `.norm(dim=1)`.")
    total = rows.sum(0) / rows.sum(0).norm()
    if close(moved, 0.05 * total.expand(3, -1), 1e-4):
        raise Wrong("all neurons are made large together: take one column, `[:, neuron]`.")
    if close(along[:, 1], torch.full((3,), 0.05), 1e-4) and not close(moved, 0.05 * unit[1].expand(3, -1), 1e-4):
        raise Wrong("the chosen neuron's direction is in the step, but something else too: move along the gradient only.")
    if not close(moved, 0.05 * unit[1].expand(3, -1), 1e-4):
        raise Wrong("one step from the start did not go along the gradient of the chosen neuron's activation, `features(x)[:, neuron]`.")
    four = maximise(features, 2, start, 4, 0.02)
    if close(four, start + 0.02 * unit[2].view(2, 2, 4), 1e-4):
        raise Wrong("one step is right, four are not: they end where one does. Is the last result gone on from in every turn? Does the `return` stand after the loop, not in it?")
    if not close(four, start + 0.08 * unit[2].view(2, 2, 4), 1e-4):
        raise Wrong("one step is right, four are not: is the gradient taken anew, and the last result gone on from, in every turn?")
    if not close(maximise(lambda x: 1e-3 * features(x), 2, start, 1, 0.05), start + 0.05 * unit[2].view(2, 2, 4), 5e-4):
        raise Wrong("an image whose gradient is short moves less than `step_size`: what keeps you from dividing by 0 must be tiny, `.clamp_min(1e-12)`.")
    # A feature whose gradient turns on the way: the product of two pixels, with the gradient (the other, the one).
    def bent(x):
        return torch.stack([x.flatten(1)[:, 0] * x.flatten(1)[:, 1], x.flatten(1)[:, 2] * x.flatten(1)[:, 3]], 1)
    begin = torch.full((1, 2, 2, 4), 0.5)
    begin[0, 0, 0, 2], begin[0, 0, 0, 3] = 0.1, 0.5
    ends = {}
    for name in ("right", "first", "all"):
        pair, sums = torch.tensor([0.1, 0.5]), torch.zeros(2)
        for _ in range(6):
            sums = sums + pair.flip(0)
            slope = {"right": pair.flip(0), "first": torch.tensor([0.5, 0.1]), "all": sums}[name]
            pair = pair + 0.05 * slope / slope.norm()
        ends[name] = pair
    found = maximise(bent, 1, begin.clone(), 6, 0.05).flatten(1)[0, 2:4]
    if close(found, ends["first"], 1e-4):
        raise Wrong("the gradient is that of the start in every step: take it anew where the image is now.")
    if close(found, ends["all"], 1e-4):
        raise Wrong("the gradients of all steps pile up: `x.grad` is added to, not replaced. `torch.autograd.grad` gives each step's own.")
    if not close(found, ends["right"], 1e-4):
        raise Wrong("where the gradient is the same everywhere the result is right, where it turns on the way it is not: is it that of the image as it is now?")
    asked.clear()
    edge = tensor(maximise(features, 0, start, 3, 5.0), start)
    if edge.max() > 1 + 1e-6 or edge.min() < -1e-6:
        raise Wrong("the result leaves [0, 1]: clamp after each step.")
    if max(asked) > 0.5 + 1e-6:
        raise Wrong("the result lies in [0, 1], but on the way an image left it: clamp after *each* step, not only after the last.")
    dead = maximise(lambda x: ((x.flatten(1) - 0.5) @ rows.T - 100).relu(), 0, start, 3, 0.1)
    if not isinstance(dead, torch.Tensor) or torch.isnan(dead).any():
        raise Wrong("where the gradient is 0 the result is NaN: `.clamp_min(1e-12)` on the length before you divide.")
    if not close(dead, start, 1e-6):
        raise Wrong("where the gradient is 0 an image should stay as it is.")
    return "you can ask any neuron of any network."

# %%
rows, titles = [samples.images[[1, 4, 6, 7]]], ["start"] + [""] * 3
for neuron in NEURONS:
    made = maximise(lambda x: representation(robust, x), neuron, samples.images[[1, 4, 6, 7]], 30, 0.5)
    rows.append(made)
    titles += [f"{neuron}: {value:.1f}" for value in representation(robust, made)[:, neuron]]
plots.show(torch.cat(rows), titles, columns=4, size=1.7, label="neuron: activation reached")

# %% [markdown]
# **Your choice:** put other neurons in (0 to 255). Some pictures above have not moved at all, and stayed at 0.0: why, comes next.

# %%
mine = (9, 155, 249)        # change these
rows = [maximise(lambda x: representation(robust, x), neuron, samples.images[[4, 6]], 30, 0.5) for neuron in mine]
plots.show(torch.cat(rows), [text for neuron in mine for text in (f"neuron {neuron}", "")], columns=6, size=1.4)

# %% [markdown] predict="7.4" minutes=2 core=true low=0 high=100 unit="neurons"
# ## Neurons that say nothing
# A ReLU that is off gives 0, and its gradient is 0, too: nothing to climb. That is what happened to the pictures in 7.3 that stayed as they were. Now the robust network for digits, which is right on 98 of 100. It has 100 neurons.
# **How many of them fire for none of the 1,000 test digits?**

# %%
predict("7.4", 5)

# %% answer="7.4"
def answer(guess):
    test, silent = data.load("mnist5k"), {}
    figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
    for name, network, marker in (("robust", "mnist5k/robust-l2", "o"), ("standard", "mnist5k/standard", "s")):
        share = 100 * (features(models.load(network), test.images) > 0).float().mean(0).sort().values
        silent[name] = int((share == 0).sum())
        ax.plot(range(100), share, marker, markersize=3, label=f"{name}: {silent[name]} of 100 never fire")
    ax.axvline(guess, color="k", linestyle=":", label=f"your guess for the robust one: {guess}")
    ax.set(xlabel="neurons, sorted", ylabel="fires for (% of digits)")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    right = (models.load("mnist5k/robust-l2")(test.images).argmax(1) == test.labels).sum().item()
    return f"{silent['robust']} of the robust network's 100 neurons are silent on all {len(test)} digits (standard: {silent['standard']}). It reads {right:,} of them right, with the other {100 - silent['robust']}."

# %% [markdown] exercise="7.5" minutes=5 difficulty=2 core=true
# ## Wake a dead ReLU
# Let the values pass as they are, and lie about the gradient (Engstrom et al. 2019 do so): write a ReLU whose output is $\max(x, 0)$ and whose gradient is 1 *everywhere*. Then there is something to climb even where the
# neuron is off. Everything you need is `.relu()` and `.detach()`, which cuts a value off its history: gradients do not flow through it.

# %%
def open_relu(x):
    """max(x, 0), with the gradient of the identity."""
    ### BEGIN SOLUTION
    return x + (x.relu() - x).detach()
    ### END SOLUTION

# %%
check("7.5", open_relu)

# %% [markdown] hints="7.5"
# - Write relu(x) as x plus something. What is that something?
# - relu(x) = x + (relu(x) - x). The gradient of the first x is 1; the bracket should contribute none.
# - Detach the bracket.

# %% check="7.5"
def check(open_relu):
    arguments(open_relu, "x")
    x = torch.tensor([[-2.0, -0.1, 0.0, 0.3], [5.0, -7.0, 1.0, -1.0]])
    given = x.clone().requires_grad_()
    out = open_relu(given)
    if not isinstance(out, torch.Tensor) or out.shape != x.shape:
        raise WrongType(f"wanted a tensor of shape {tuple(x.shape)}, but {tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__} came.")
    if not torch.equal(given.detach(), x):
        raise Wrong("your code changes what it was given: no `relu_()`.")
    if close(out.detach(), x, 1e-6):
        raise Wrong("negative values come out as they are: the *output* is still max(x, 0).")
    if close(out.detach(), x.abs(), 1e-6):
        raise Wrong("negative values come out positive: the output is max(x, 0).")
    if not close(out.detach(), x.relu(), 1e-6):
        raise Wrong("the output is not max(x, 0).")
    if not out.requires_grad:
        raise Wrong("no gradient flows at all: one x must stay outside `.detach()`.")
    weights = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    slope = torch.autograd.grad((out * weights).sum(), given, allow_unused=True)[0]
    if slope is None:
        raise Wrong("no gradient flows back to x: this is a new tensor that knows nothing of it. One x must stay outside `.detach()`.")
    if close(slope, weights * (x > 0), 1e-6) or close(slope, weights * (x >= 0), 1e-6):
        raise Wrong("where x is negative the gradient is still 0: this is the ordinary ReLU.")
    if close(slope, 2 * weights, 1e-6) or close(slope, weights * (1 + (x > 0).float()), 1e-6):
        raise Wrong("somewhere the gradient is 2: x and relu(x) both contribute. Detach what should not.")
    if close(slope, torch.zeros_like(slope), 1e-6):
        raise Wrong("the gradient is 0 everywhere: one x must stay outside `.detach()`.")
    if (slope < 0).any():
        raise Wrong("somewhere the gradient points the wrong way: it is x *plus* something.")
    if not close(slope, weights, 1e-6):
        raise Wrong(f"the gradient for x should be 1 everywhere, but is {[round(v, 3) for v in (slope / weights).flatten().tolist()]}: neither more nor less where x is 0 or negative.")
    return "the neuron is off, and you still know which way is up."

# %% [markdown]
# Three silent neurons of the robust network for digits, asked with the ordinary ReLU and with yours, from three digits and from grey.

# %%
starts = torch.cat([digits.images[[0, 1, 3]], torch.full((1, 1, 28, 28), 0.5)])
before_relu = robust_digits[:-2]
for neuron in (0, 9, 24):
    for name, relu in {"relu": torch.relu, "yours": open_relu}.items():
        made = maximise(lambda x: relu(before_relu(x)), neuron, starts, 60, 0.3)
        values = before_relu(made)[:, neuron].tolist()
        print(f"neuron {neuron:>2}, {name:<6} before the ReLU: " + "  ".join(f"{value:6.2f}" for value in before_relu(starts)[:, neuron].tolist()) + "   ->  " + "  ".join(f"{value:6.2f}" for value in values))

# %% [markdown]
# And in colour, where the last ReLU sits deeper, `helpers.visualisation.features(network, x, straight_through=True)` does the same. The pictures of 7.3 that did not move:

# %%
from helpers.visualisation import features

open_features = lambda network: lambda x: features(network, x, straight_through=True)


def one_each(network, neurons):
    """Features with a single column, number 0: of the first image the first neuron's activation, of the second image the second one's, ... Many neurons at once are quicker."""
    return lambda x: features(network, x, straight_through=True)[torch.arange(len(neurons)), list(neurons)][:, None]


stuck = maximise(lambda x: representation(robust, x), 62, samples.images[[4, 6]], 30, 0.5)
free = maximise(open_features(robust), 62, samples.images[[4, 6]], 30, 0.5)
plots.show(torch.cat([stuck, free]), [f"{name}: {value:.1f}" for name, some in (("ReLU", stuck), ("open", free)) for value in representation(robust, some)[:, 62]], columns=4, size=1.7, label="neuron 62")

# %% [markdown] exercise="7.6" minutes=5 difficulty=1 core=true
# ## The real images that excite it most
# The other way to ask: go through all images there are and keep the k with the highest activation. The memory may not hold the features of all at once; ask in pieces of at most 500 images.

# %%
def top_images(features, neuron, images, k):
    """The places (int64, k) of the k images with the largest features(images)[:, neuron], the largest first."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        excitement = torch.cat([features(part)[:, neuron] for part in images.split(500)])
    return excitement.topk(k).indices
    ### END SOLUTION

# %%
check("7.6", top_images)

# %% [markdown] hints="7.6"
# - `images.split(500)` gives the pieces; keep of each piece the one column; `torch.cat` makes one long vector of them.
# - `.topk(k)` of that vector has `.values` and `.indices`. Which is wanted?
# - Under `with torch.no_grad():` the pieces' intermediate results are freed at once.

# %% check="7.6"
def check(top_images):
    arguments(top_images, "features", "neuron", "images", "k")
    x = images(1203, (1, 2, 2), 0.0, 1.0, 3)
    x[700, 0, 0, 1], x[30, 0, 0, 1], x[1202, 0, 0, 1] = 1.3, 1.2, 1.1      # known: the second feature is the second pixel
    x[5, 0, 0, 1] = -9.0
    sizes, before = [], x.clone()

    def features(some):
        sizes.append(len(some))
        return some.flatten(1) * torch.tensor([1.0, 1.0, 1.0, 5.0])
    out = top_images(features, 1, x, 3)
    untouched((x, before))
    if isinstance(out, np.ndarray) or isinstance(out, (list, tuple)) and all(isinstance(i, (int, np.integer)) or isinstance(i, torch.Tensor) and i.dim() == 0 for i in out):
        out = torch.as_tensor(np.array(out))
    if hasattr(out, "indices") and not isinstance(out, torch.Tensor):
        raise WrongType("`topk` and `sort` give the activations and the places: wanted are the places alone, `.indices`.")
    if isinstance(out, torch.Tensor) and out.shape[1:] == x.shape[1:]:
        raise WrongType("these are the images themselves: wanted are their *places* among all images, `.indices`.")
    if isinstance(out, torch.Tensor) and out.is_floating_point():
        raise WrongType("these are the activations: wanted are the *places* of the images, `.indices`.")
    if not isinstance(out, torch.Tensor) or out.shape != (3,):
        came = f"shape {tuple(out.shape)}" if isinstance(out, torch.Tensor) else f"`{type(out).__name__}`"
        raise WrongType(f"wanted a tensor of k = 3 places, but {came} came.")
    column = x.flatten(1)[:, 1]
    if sorted(out.tolist()) == sorted(column.topk(3, largest=False).indices.tolist()):
        raise Wrong("these are the images that excite it least.")
    if out.tolist() == [1202, 30, 700]:
        raise Wrong("the right images, but the largest comes first.")
    if sorted(out.tolist()) == [30, 700, 1202] and out.tolist() != [700, 30, 1202]:
        raise Wrong("the right images in another order: the largest first.")
    if out.tolist() == column.abs().topk(3).indices.tolist():
        raise Wrong("a large negative value counts as large here: no `.abs()`.")
    if out.tolist() == column[1000:].topk(3).indices.tolist():
        raise Wrong("these are places within the last piece: the last piece only was kept. Put the pieces together.")
    if out.tolist() == torch.cat([features(part)[1] for part in x.split(500)]).topk(3).indices.tolist():
        raise Wrong("this is one row and not one column: `features(part)[:, neuron]`.")
    if out.tolist() == column[:500].topk(3).indices.tolist():
        raise Wrong("these are the best of the first piece: those of the other pieces have a say, too. Put the pieces together before you look for the largest.")
    if out.max() < 500:
        raise Wrong("all places lie below 500: a place within a piece is not a place among all images. Put the pieces together before you look for the largest.")
    if out.tolist() == (x.flatten(1) * torch.tensor([1.0, 1.0, 1.0, 5.0])).amax(1).topk(3).indices.tolist():
        raise Wrong("other neurons have a say: take the one column, `[:, neuron]`.")
    if out.tolist() != [700, 30, 1202]:
        raise Wrong(f"wanted the images 700, 30 and 1202, but {out.tolist()} came. Is it `features(part)[:, neuron]`, over all pieces (the last is shorter)?")
    if max(sizes) > 500:
        raise Wrong(f"`features` was asked about {max(sizes)} images at once: at most 500.")
    if len(top_images(features, 1, x, 5)) != 5:
        raise Wrong("asked for 5 images, it still gives another number: k is given.")
    return "what a neuron likes, among what there is."

# %%
def beside(network, images, neurons, starts, steps=30, step_size=0.4, size=1.25):
    """A row a neuron: five of `images` that excite it most, and what comes of `starts`."""
    with torch.no_grad():
        seen = torch.cat([representation(network, part) for part in images.split(500)])    # once for all neurons
    shown, titles = [], []
    everything = maximise(one_each(network, [neuron for neuron in neurons for _ in starts]), 0, starts.repeat(len(neurons), 1, 1, 1), steps, step_size)
    for neuron, made in zip(neurons, everything.split(len(starts))):
        places = top_images(lambda rows: rows, neuron, seen, 5)
        shown += [images[places], made]
        titles += [f"{neuron}: {seen[places[0], neuron]:.1f}", *(f"{value:.1f}" for value in seen[places[1:], neuron]), *(f"to {value:.1f}" for value in representation(network, made)[:, neuron])]
    plots.show(torch.cat(shown), titles, columns=5 + len(starts), size=size, label="neuron: activations; right, what those that were moved reached")


every_digit = torch.cat([digits.images, data.load("mnist5k", "train").images])      # 5,000
beside(robust_digits, every_digit, (3, 22, 57, 65), digits.images[[0, 3]], 40, 0.4)

# %% [markdown]
# Left what there is, right what the neuron would have. And in colour? CIFAR-10 does not come with the course, so here is a picture of what `python -m experiments.neurons pictures` finds among all 10,000 test pictures (where the set is, 7.16 asks it with your functions):
#
# ![Seven neurons of the robust network: for each the seven test pictures of CIFAR-10 that excite it most, with class and activation, and two images maximised for it](../results/neurons.png)
#
# **Name each of the seven from the left; then look at the right: do you keep the name?**
#
# <details><summary>What to see</summary>
#
# Where both agree (249: faces of dogs; 9: cars; 180: ships) you can say what the neuron stands for; where they do not, the real images mislead: they have in common what
# the neuron looks at *and* what always comes with it in photographs. From the maximised picture you see which of it counts: 66 has birds and airplanes, and wants dark diagonal lines.
# </details>

# %% [markdown] part="7.7" minutes=2 core=true
# ## From noise, from another noise, from a colour
# The practicum's bonus. Three different noises, grey, and two colours. **Before you run it:** will three noises give three different pictures?

# %%
colours = torch.tensor([[0.8, 0.2, 0.2], [0.2, 0.4, 0.8]]).view(2, 3, 1, 1).expand(2, 3, 32, 32)
starts = torch.cat([noise, grey, colours])
asked = [neuron for neuron in (180, 249, 9) for _ in starts]
made = maximise(one_each(robust, asked), 0, starts.repeat(3, 1, 1, 1), 30, 0.5)
reached = [f"{neuron}: {value:.1f}" for neuron, value in zip(asked, one_each(robust, asked)(made)[:, 0])]
plots.show(torch.cat([starts, made]), ["noise", "noise", "noise", "grey", "red", "blue", *reached], columns=6, size=1.5)

# %% [markdown]
# <details><summary>What to see</summary>
#
# The same thing from every noise, at nearly the same place, in other details. A colour stays; mostly the neuron gets what it wants all the same (red dogs, blue cars), but from blue 249 finds no dog, and reaches less than half
# of what it reaches from grey: climbing ends where there is nothing higher close by. How much an image depends on its start says how much the neuron leaves open.
# </details>

# %% [markdown] exercise="7.8" minutes=8 difficulty=3 core=true
# ## A standard network, and how to rescue it
# The same steps on the standard network, from grey:

# %%
three = (25, 62, 43)
made = maximise(one_each(standard, three), 0, grey.repeat(3, 1, 1, 1), 40, 0.3)
plots.show(made, [f"{neuron}: {features(standard, made)[i, neuron]:.1f}" for i, neuron in enumerate(three)], columns=3, size=1.7)

# %% [markdown]
# The activation is high, and we see next to nothing (in the last one, with some goodwill, a stag). The usual rescue is to move not the pixels but the *waves* of the image, slow ones more readily than fast ones (Olah et al. 2017). Let the spectrum $s$ be complex; then
#
# $$x = \mathrm{sigmoid}\big(\mathcal{F}^{-1}(s_{f} \,/\, \max(|f|, 1))\big), \qquad |f| = \sqrt{f_y^2 + f_x^2} \text{ in periods per image}$$
#
# `torch.fft.irfft2(s, s=size, norm="ortho")` is $\mathcal{F}^{-1}$ for real images. Its spectrum has H rows with the frequencies `torch.fft.fftfreq(H, 1 / H)` and W // 2 + 1 columns with `torch.fft.rfftfreq(W, 1 / W)`.

# %%
def waves(spectrum, size):
    """spectrum: complex, N x C x H x (W // 2 + 1); size: (H, W). Images N x C x H x W in (0, 1)."""
    ### BEGIN SOLUTION
    height, width = size
    slow = (torch.fft.fftfreq(height, 1 / height)[:, None] ** 2 + torch.fft.rfftfreq(width, 1 / width) ** 2).sqrt().clamp_min(1)
    return torch.fft.irfft2(spectrum / slow, s=size, norm="ortho").sigmoid()
    ### END SOLUTION

# %%
check("7.8", waves)

# %% [markdown] hints="7.8"
# - First the table of $|f|$, H x (W // 2 + 1): a column of rows' frequencies (`[:, None]`) and a row of columns' frequencies, squared, added, root.
# - The table needs `.clamp_min(1)`, or the mean (frequency 0) is divided by 0. Divide the spectrum by the table.
# - Then `torch.fft.irfft2(..., s=size, norm="ortho")`, and `.sigmoid()` brings the sum of waves into (0, 1).

# %% check="7.8"
def check(waves):
    arguments(waves, "spectrum", "size")
    height, width = 6, 9      # odd: the width does not follow from the spectrum
    y, x = torch.arange(height)[:, None], torch.arange(width)

    def spectrum(fy, fx, value):
        s = torch.zeros(2, 3, height, width // 2 + 1, dtype=torch.complex64)
        s[1, 2, fy, fx] = value
        return s

    def image(fy, fx, value, divided):
        """What one coefficient draws: itself and its mirror image."""
        wave = 2 * torch.cos(2 * torch.pi * (fy * y / height + fx * x / width)) if fx else torch.ones(height, width)
        return value * wave / (height * width) ** 0.5 / divided
    given = spectrum(0, 3, 4.0)
    before = given.clone()
    out = waves(given, (height, width))
    if isinstance(out, torch.Tensor) and out.is_complex():
        raise WrongType("the result is complex: `irfft2` gives real images.")
    if isinstance(out, torch.Tensor) and out.shape == (2, 3, height, width - 1):
        raise WrongType("an image of 9 columns came out with 8: tell `irfft2` the size, `s=size`.")
    if isinstance(out, torch.Tensor) and out.is_floating_point() and not torch.isnan(out).any() and (out.min() < 0 or out.max() > 1):
        raise Wrong("the result leaves (0, 1): `.sigmoid()` at the end.")
    out = tensor(out, torch.zeros(2, 3, height, width))
    if not torch.equal(given, before):
        raise Wrong("your code changes the spectrum it was given.")
    if close(out[0], torch.zeros(1), 1e-6):
        raise Wrong("where the spectrum is 0 the image is black: the sigmoid of 0 is 0.5. A sum of waves is negative half of the time, and clamping cuts that off.")
    if close(out[1, 2], image(0, 3, 4.0, 1).sigmoid(), 1e-4) and close(waves(spectrum(2, 2, 4.0), (height, width))[1, 2], image(2, 2, 4.0, 2).sigmoid(), 1e-4):
        raise Wrong("a wave that runs across the columns is not divided: the columns' frequencies (`rfftfreq`) count, too.")
    for divided, says in ((1, "the waves are not divided by their frequency. Is it `fftfreq(n, 1 / n)`, in periods per image? (With `fftfreq(n)` all are below 1, and clamped.)"),
                          (1 / 3, "fast waves came out stronger: *divide* by the frequency."), (9, "the waves are divided by the square of |f|: take the root."),
                          (4, "1 is added to the frequency: divide by the larger of the two, `.clamp_min(1)`."), (3 ** 0.5, "the root is taken twice, or of |f| in place of its square."),
                          (6 * torch.pi, "the frequencies are multiplied by 2 pi: wanted are periods per image."),
                          (3 / 9, "the frequencies are those of `fftfreq(n)`, shares of the sampling rate: wanted are periods per image, `fftfreq(n, 1 / n)`.")):
        if close(out[1, 2], image(0, 3, 4.0, divided).sigmoid(), 1e-4):
            raise Wrong(says)
    right = image(0, 3, 4.0, 3)
    if close(out[1, 2], (right * (height * width) ** 0.5).sigmoid(), 1e-4) or close(out[1, 2], (right / (height * width) ** 0.5).sigmoid(), 1e-4):
        raise Wrong('the waves have another strength: `norm="ortho"`.')
    if close(out[1, 2], (0.5 + right).clamp(0, 1), 1e-4):
        raise Wrong("this is 0.5 plus the wave, which leaves [0, 1] or is clamped: `.sigmoid()` in place of it, whose gradient never vanishes.")
    if not close(out[1, 2], right.sigmoid(), 1e-4):
        raise Wrong("a wave of 3 periods across the image came out otherwise than `sigmoid(wave / 3)`.")
    mean = waves(spectrum(0, 0, 3.0), (height, width))
    if torch.isnan(mean).any() or not close(mean[1, 2], image(0, 0, 3.0, 1).sigmoid(), 1e-4):
        raise Wrong("the mean brightness (frequency 0) is wrong: it is divided by max(|f|, 1) = 1.")
    for fy, fx, size in ((2, 2, 8 ** 0.5), (5, 1, 2 ** 0.5), (1, 4, 17 ** 0.5)):
        if not close(waves(spectrum(fy, fx, 5.0), (height, width))[1, 2], image(fy, fx, 5.0, size).sigmoid(), 1e-4):
            raise Wrong(f"the wave at row {fy}, column {fx} should be divided by {size:.2f}. |f| is the length of (f_y, f_x); the last rows stand for negative frequencies (`fftfreq` in the rows, `rfftfreq` in the columns).")
    if not close(waves(spectrum(1, 3, 4.0j), (height, width))[1, 2], (8 * torch.cos(2 * torch.pi * (y / height + 3 * x / width) + torch.pi / 2) / (height * width) ** 0.5 / 10 ** 0.5).sigmoid(), 1e-4):
        raise Wrong("a wave has a phase (where its crests are), and it is lost: s goes into `irfft2` as the complex numbers that it is, without `.real` or `.abs()`.")
    followed = spectrum(0, 3, 4.0).requires_grad_()
    out = waves(followed, (height, width))
    if not out.requires_grad or torch.autograd.grad(out[1, 2, 0, 0], followed, allow_unused=True)[0] is None:
        raise Wrong("no gradient flows back to the spectrum, and Adam is to move it next: no `torch.no_grad()`, no `.detach()`.")
    return "every image can be reached this way; some only sooner than others."

# %% [markdown]
# Now Adam moves the spectrum. And the image may be moved by a few pixels before each look ("jitter"), so that what comes of it does not depend on the exact place.

# %%
def painted(features, neurons, steps=45, shift=0, seed=0):
    """For each neuron an image that excites it, as a sum of waves; moved by up to `shift` pixels each time it is looked at."""
    generator, each = torch.Generator().manual_seed(seed), torch.arange(len(neurons))
    spectrum = (0.01 * torch.randn(len(neurons), 3, 32, 17, dtype=torch.complex64, generator=generator)).requires_grad_()
    adam = torch.optim.Adam([spectrum], lr=0.5)
    for step in range(steps):
        move = torch.randint(-shift, shift + 1, (2,), generator=generator).tolist()
        adam.zero_grad()
        (-features(waves(spectrum, (32, 32)).roll(move, (2, 3)))[each, list(neurons)].sum()).backward()
        adam.step()
    return waves(spectrum.detach(), (32, 32))


shown = [painted(open_features(standard), three, shift=shift) for shift in (0, 4)]
values = [one_each(standard, three)(images)[:, 0].tolist() for images in shown]
plots.show(torch.cat(shown), [f"{name}: {value:.1f}" for name, some in zip(("waves", "moved"), values) for value in some], columns=6, size=1.5, label=f"standard network, neurons {three}: activation")

# %% [markdown] part="7.9" minutes=3 core=true
# ## Whose picture is that?
# **Question.** The network is the same, and what we see changed from noise to something with parts. Is what we now see in the network, or did *we* put it there? Think of an experiment that could tell, then run this one: the same method on a network
# with random weights, and on nothing at all (an objective that is a random sum of pixels).

# %%
torch.manual_seed(0)
untrained = models.resnet(10, width=32, blocks=(0, 1, 1, 1)).eval()
anything = torch.randn(3072, 256, generator=torch.Generator().manual_seed(1)) / 50
ways = {"untrained": open_features(untrained), "random pixels": lambda x: x.flatten(1) @ anything}
pictures = [painted(way, three, shift=4) for way in ways.values()]
plots.show(torch.cat(pictures), ["untrained", "", "", "random pixels", "", ""], columns=6, size=1.5)

# %% [markdown]
# <details><summary>An answer</summary>
#
# Large soft patches of strong colour come from the waves: the random sum of pixels gives nothing else, and the untrained network adds grain. Wheels and antlers come from neither. So the method decides *how* it is drawn, the
# network *what*; and of what the network would have liked the method shows us only a part: made to bear a move the images are easier to read, and reach only half to two thirds of what the waves reach without it (the titles above). The robust network
# needed no such help: there the prior was put in at training, by the demand that small changes must not matter. Also a choice of ours.
# </details>

# %% [markdown] part="7.10" minutes=2 core=true
# ## A class instead of a neuron
# The ten scores are as good a vector of features as any. Every row has another start, every column another class.

# %%
starts, classes = torch.cat([grey, samples.images[[4, 6]]]), (0, 1, 4, 5, 7, 8)
wanted = torch.tensor(classes).repeat(len(starts))
made = maximise(lambda x: robust(x)[torch.arange(len(wanted)), wanted][:, None], 0, starts.repeat_interleave(len(classes), 0), 30, 0.4)
plots.show(made, [samples.classes[c] for c in classes], columns=len(classes), size=1.5)

# %% [markdown] predict="7.11" minutes=4 core=true choices=["both","robust","standard","neither"]
# ## Close in features, close to us?
# Inversion: start from one image, and move it until its *whole* representation is that of another one (you wrote this in 5.3; here `helpers.visualisation.invert`). Both networks get there: the features come near. **For which network will the
# result also look like the wanted image?** `"both"`, `"robust"`, `"standard"` or `"neither"`.

# %%
predict("7.11", "robust")

# %% answer="7.11"
def answer(guess):
    some = data.load("cifar10-samples")
    wanted = some.images[[1, 4, 6, 9]].repeat(2, 1, 1, 1)
    noise = (0.5 + torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) / 20).clamp(0, 1)
    start = torch.cat([some.images[[4, 6, 9, 1]], noise])
    shown, titles, words = [wanted, start], ["wanted", *[""] * 7, "start", *[""] * 7], []
    for name in ("robust-l2", "standard"):
        model = models.load(f"cifar10/{name}")
        goal = features(model, wanted)
        found = invert(model, wanted, start, steps=50, step_size=0.4)
        gaps = [(features(model, x) - goal).norm(dim=1) / goal.norm(dim=1) for x in (start, found)]
        apart = [(x - wanted).flatten(1).norm(dim=1) for x in (start, found)]
        shown.append(found)
        titles += [f"{name}: {gap:.2f}" for gap in gaps[1]]
        for begin, half in (("another image", slice(0, 4)), ("noise", slice(4, 8))):
            words.append(f"{name} from {begin}: {gaps[0][half].mean():.2f} to {gaps[1][half].mean():.2f} (of the pixels: {apart[0][half].mean():.1f} to {apart[1][half].mean():.1f})")
    plots.show(torch.cat(shown), titles, columns=8, size=1.25, label="network: relative distance of the features at the end")
    return ("Relative distance of the features, before and after: " + "; ".join(words) + ". The robust network's results have the colours and coarse shapes of what was wanted (more so from noise; from another image much of that one stays); "
            "the standard network's are, to us, what they started from. The distance of the pixels hardly knows the difference.")

# %% [markdown] part="7.12" minutes=4 core=false
# ## Between two images
# A straight line between two images goes through double exposures. A straight line between their *features* goes elsewhere: for each share $\lambda$ look, from noise, for an image with the features
# $(1 - \lambda)\,\phi(a) + \lambda\,\phi(b)$. (Above each image: how far its features still are from those, relative to their length.) **Before you run it:** what will a third network, `robust-linf`, say of the images on the way?

# %%
from helpers.visualisation import maximize

a, b, shares = samples.images[1:2], samples.images[9:10], torch.linspace(0, 1, 5).view(-1, 1)      # change these
third = models.load("cifar10/robust-linf")


def said(images):
    return ", ".join(samples.classes[c] for c in third(images).argmax(1).tolist())


for name, network in {"robust": robust, "standard": standard}.items():
    wanted = (1 - shares) * features(network, a) + shares * features(network, b)
    on_the_way = maximize(lambda x: -(features(network, x) - wanted).norm(dim=1), noise[:1].expand(5, -1, -1, -1), steps=40, step_size=0.4)
    away = (features(network, on_the_way) - wanted).norm(dim=1) / wanted.norm(dim=1)
    plots.show(on_the_way, [f"{share:.2f} (away: {gap:.2f})" for share, gap in zip(shares[:, 0], away)], columns=5, size=1.4, label=f"{name} network, in features; a third says: {said(on_the_way)}")
pixels = (1 - shares.view(-1, 1, 1, 1)) * a + shares.view(-1, 1, 1, 1) * b
plots.show(pixels, [f"{share:.2f}" for share in shares[:, 0]], columns=5, size=1.4, label=f"in pixels; a third says: {said(pixels)}")

# %% [markdown]
# <details><summary>What to see</summary>
#
# With the robust network a ship becomes a car, and on the way we see no double exposure (though a third network hands over at the same place as for those). With the standard one the features come nearer, and what we see (and what a third network says) is the same at every place. One pair
# is one pair: the lecture has 100.
# </details>

# %% [markdown] exercise="7.13" minutes=6 difficulty=2 core=true
# ## Does the neuron know the class?
# "Neuron 249 stands for dogs" can be tested: does it fire more for dogs than for other pictures? Draw one picture of the class and one other; how often has the first the higher activation (ties count half)? This share, over all pairs, is the **AUC**:
# 1 for a perfect detector, 0.5 for one that knows nothing, below 0.5 for one that fires less for the class than for the rest.

# %%
def auc(values, positive):
    """values: float N; positive: bool N. The share of pairs (a positive, a negative) in which the positive has the larger value; ties count half."""
    ### BEGIN SOLUTION
    lead = values[positive][:, None] - values[~positive]
    return ((lead > 0).double() + 0.5 * (lead == 0).double()).mean().item()
    ### END SOLUTION

# %%
check("7.13", auc)

# %% [markdown] hints="7.13"
# - Split into `values[positive]` and `values[~positive]`. All pairs: one as a column (`[:, None]`), the other as a row.
# - A table of true and false for "larger", another one for "equal"; the second counts half. The share is a mean.
# - With `lead` the table of differences: `((lead > 0).double() + (lead == 0).double() / 2).mean()`.

# %% check="7.13"
def check(auc):
    arguments(auc, "values", "positive")

    def asked(values, positive):
        values, positive = torch.tensor(values), torch.tensor(positive, dtype=torch.bool)
        before = values.clone(), positive.clone()
        out = auc(values, positive)
        if not torch.equal(values, before[0]) or not torch.equal(positive, before[1]):
            raise Wrong("your code changes the values it was given.")
        if isinstance(out, torch.Tensor) and out.numel() == 1:
            out = out.item()
        if isinstance(out, (np.ndarray, np.generic)) and out.size == 1:
            out = out.item()
        if not isinstance(out, (int, float)):
            raise WrongType(f"wanted one number, but {tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__} came.")
        return out
    # First where the known mistakes all give different numbers.
    values = torch.tensor([4.0, 3.0, 3.0, 1.0, 4.0, 6.0, 2.0, 1.0, 2.0, 6.0, 4.0, 3.0, 4.0])
    positive = torch.tensor([1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0]).bool()
    lead = values[positive][:, None] - values[~positive]
    won, tied, pairs = (lead > 0).sum().item(), (lead == 0).sum().item(), lead.numel()
    out, n = asked(values.tolist(), positive.tolist()), min(lead.shape)
    for wrong, says in ((won / pairs, "a tie counts as lost: it counts half."), ((won + tied) / pairs, "a tie counts as won: it counts half."),
                        (1 - (won + tied / 2) / pairs, "this is the share of pairs in which the *other* picture has the larger value."),
                        (won + tied / 2, "this is a number of pairs: divide by how many there are."), (lead.mean().item(), "this is a difference of means: count pairs."),
                        ((won + tied / 2) / len(values) ** 2, "this divides by all pairs of pictures: only pairs of a positive and a negative count."),
                        ((2 * won + tied) / pairs - 1, "this goes from -1 to 1 (won less lost): the share of pairs won goes from 0 to 1, a tie counting half."),
                        (100 * (won + tied / 2) / pairs, "this is in percent: a share goes from 0 to 1."), (won / (pairs - tied), "the ties are left out: each counts half."),
                        (won, "this is a number of pairs: divide by how many there are (and a tie counts half)."),
                        (((values[positive][:, None] > values).double() + (values[positive][:, None] == values) / 2).mean().item(),
                         "each positive is compared with all pictures, itself too: only with the negatives, `values[~positive]`."),
                        ((values[positive] > 0).double().mean().item(), "this is how often it fires for the class: compare each positive with each negative."),
                        ((values[positive].median() > values[~positive]).double().mean().item(), "only one positive, that in the middle, is compared with the others: count all pairs."),
                        ((values[positive] > values[~positive].mean()).double().mean().item(), "each positive is compared with the mean of the others: count all pairs."),
                        ((values[positive][:n] > values[~positive][:n]).double().mean().item(), "the first positive is compared with the first negative, and so on: count all pairs, `[:, None]`.")):
        if abs(out - wrong) < 1e-5:
            raise Wrong(says)
    right = (won + tied / 2) / pairs
    if won / pairs < out < (won + tied) / pairs and abs(out - right) > 1e-5 and abs(out * pairs - round(out * pairs)) < 1e-3:
        raise Wrong("the ties are broken by the order in which the pictures came (ranks from `argsort` do so): each counts half.")
    # Pairs by hand: positives 3, 1, 2 against negatives 2, 0: 3>2, 3>0, 1<2, 1>0, 2=2, 2>0: 4 and a half of 6.
    by_hand = asked([3.0, 2.0, 1.0, 0.0, 2.0], [1, 0, 1, 0, 1])
    if abs(by_hand - 0.75) > 1e-5:
        raise Wrong(f"positives 3, 1, 2 against negatives 2, 0: of 6 pairs 4 are won and 1 is a tie, so 4.5 / 6 = 0.75; but {by_hand:.3f} came.")
    if abs(out - right) > 1e-5:
        raise Wrong(f"of {pairs} pairs {won} are won and {tied} tied, so the share is {right:.3f}; but {out:.3f} came.")
    if abs(asked([0.0] * 6, [1, 1, 0, 0, 0, 0]) - 0.5) > 1e-6:
        raise Wrong("a neuron that is silent for every picture knows nothing: 0.5, all pairs are ties.")
    if abs(asked([5.0, 6.0, 1.0, 2.0, 3.0, 4.0], [1, 1, 0, 0, 0, 0]) - 1) > 1e-6 or abs(asked([-5.0, -6.0, 1.0, 2.0], [1, 1, 0, 0])) > 1e-6:
        raise Wrong("a perfect detector has 1, one that is always wrong 0.")
    random = torch.randn(2000, generator=torch.Generator().manual_seed(0))
    if abs(asked((1000 + random).tolist(), (torch.arange(2000) % 10 == 0).tolist()) - asked(random.tolist(), (torch.arange(2000) % 10 == 0).tolist())) > 1e-3:
        raise Wrong("adding 1,000 to every value changes the result: only the order counts.")
    return "a name is a claim, and this tests it."

# %%
seen = features(robust_digits, digits.images)
for neuron in (3, 22, 57, 65):
    areas = [auc(seen[:, neuron], digits.labels == digit) for digit in range(10)]
    print(f"neuron {neuron:>2}: " + "  ".join(f"{digit}: {area:.2f}" for digit, area in enumerate(areas)) + f"   knows {areas.index(max(areas))} best ({len(digits):,} test digits)")

# %% [markdown]
# Go back to these four in 7.6: which names would you have given them? (A silent neuron has 0.5 for every digit.)

# %% [markdown] predict="7.14" minutes=4 core=true low=0 high=100 unit="%"
# ## Is a neuron more than a direction?
# $\phi$ is a vector; neurons are its axes, and a random direction $u$ is as good a number: $u \cdot \phi(x)$. Is there anything special about the axes? Take for each neuron the AUC of the class that it knows *best*, and the same for a thousand random
# directions. If axes were nothing special, half of the neurons would beat the median direction. **How many percent of the robust network's neurons do?**

# %%
predict("7.14", 80)

# %% answer="7.14"
def answer(guess):
    rows = json.loads(Path("../results/neurons.json").read_text())["rows"]      # python -m experiments.neurons, on all 10,000 test pictures
    axes_of = {name: next(row for row in rows if (row["kind"], row["network"]) == ("axes", f"cifar10/{name}")) for name in ("robust-l2", "standard")}
    share = {name: 100 * row["lead over random"]["above the median"] for name, row in axes_of.items()}
    figure, axes = plt.subplots(1, 2, figsize=(9, 2.6), sharey=True, layout="constrained")
    for ax, (name, row) in zip(axes, axes_of.items()):
        for kind, values, colour, hatch in (("neurons", row["neurons"]["auc of each"], plots.CLEAN, ""), ("random directions (256 of 1,000)", row["random"]["auc of the first 256"], plots.ATTACKED, "//")):
            ax.hist(values, torch.linspace(0.5, 1, 26).numpy(), alpha=0.6, color=colour, hatch=hatch, label=kind)
        ax.set(xlabel="AUC of the class it knows best", title=f"{name}: {share[name]:.0f} % beat the median direction", yticks=[])
        ax.title.set_fontsize(9)
        ax.legend(fontsize=8)
    chance = 196 * (0.25 / 256 + 0.25 / 1000) ** 0.5        # of 256, about a median that is itself that of 1,000
    return (f"robust: {share['robust-l2']:.0f} % (you said {guess}); standard: {share['standard']:.0f} %. Of 256 more random directions {50 - chance:.0f} to {50 + chance:.0f} % would, nineteen times in twenty: "
            "at most a little is special about the axes. (Measured on CIFAR-10's 10,000 test pictures; another way to draw directions is in the lecture.)")

# %% [markdown] part="7.15" minutes=5 core=true
# ## Name that neuron
# Fourteen neurons of the robust network, drawn at random; each maximised from grey and from noise. **Write down what each stands for** (a class of CIFAR-10: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck), then test it. No peeping at the real images first.

# %%
drawn = (175, 23, 139, 1, 215, 43, 108, 204, 187, 32, 52, 80, 18, 48)
made = maximise(one_each(robust, [neuron for neuron in drawn for _ in range(2)]), 0, torch.cat([grey, noise[:1]]).repeat(14, 1, 1, 1), 24, 0.5)
grey_and_noise = made.view(2, 7, 2, 3, 32, 32).transpose(1, 2).flatten(0, 2)       # seven neurons a row, from noise below from grey
plots.show(grey_and_noise, [text for seven in (drawn[:7], drawn[7:]) for text in (*map(str, seven), *[""] * 7)], columns=7, size=1.35)

# %%
mine = {175: "?", 23: "?", 139: "?", 1: "?", 215: "?", 43: "?", 108: "?", 204: "?", 187: "?", 32: "?", 52: "?", 80: "?", 18: "?", 48: "?"}

# %% [markdown]
# Your names, and beside them guesses that were made for the lecture from such pictures alone (more of them for each neuron):

# %%
ours = dict(zip(drawn, "truck automobile airplane dog airplane ship horse horse frog dog truck cat ship deer".split()))
measured = next(row for row in json.loads(Path("../results/neurons.json").read_text())["rows"] if (row["kind"], row["network"]) == ("classes", "cifar10/robust-l2"))
print(f"neuron   yours        AUC     another guess  AUC     the class it knows best ({measured['n']:,} test pictures; an AUC is good to 0.02)")
for neuron in drawn:
    areas = dict(zip(measured["classes"], measured["auc"][neuron]))
    known = max(areas, key=areas.get)
    own = f"{areas[mine[neuron]]:.2f}" if mine[neuron] in areas else "-" if mine[neuron] == "?" else "no class"
    print(f"{neuron:>6}   {mine[neuron]:<12} {own:<8}{ours[neuron]:<14} {areas[ours[neuron]]:.2f}    {known:<12} {areas[known]:.2f}")

# %% [markdown]
# <details><summary>What to make of it</summary>
#
# The activations were measured on all of CIFAR-10's test pictures (`python -m experiments.neurons`; an AUC below 0.5 means that it fires less for that class). A name may be wrong although the picture is clear: what it shows (a horizon, legs, a patch of fur) is shared by several classes. Few neurons stand for one class; the last layer needs them together. And our ten
# names are only the labels that this set happens to have.
# </details>

# %% [markdown] part="7.16" minutes=3 core=false
# ## With the full data
# Where all of CIFAR-10 is, ask it with your own functions: the seven first, and the class that each neuron knows best. (About half a minute.)

# %% budget=120
if data.available("cifar10"):
    pictures = data.load("cifar10")
    with torch.no_grad():
        seen = torch.cat([representation(robust, part) for part in pictures.images.split(500)])
    shown, titles = [], []
    for neuron in (*NEURONS, 9, 249):       # change these
        places = top_images(lambda rows: rows, neuron, seen, 7)
        areas = [auc(seen[:, neuron], pictures.labels == c) for c in range(10)]
        shown.append(pictures.images[places])
        titles += [f"{neuron}: {seen[places[0], neuron]:.1f}", *(f"{value:.1f}" for value in seen[places[1:], neuron])]
        print(f"neuron {neuron:>3} knows {pictures.classes[areas.index(max(areas))]} best, AUC {max(areas):.2f} on {len(pictures):,} test pictures")
    plots.show(torch.cat(shown), titles, columns=7, size=1.25, label="robust network, neuron: activations")
else:
    print(f"No CIFAR-10 here. {data.how_to_get('cifar10')}.")

# %% [markdown]
# And at 224 x 224: a neuron of an ImageNet network (with standard training), where its weights are. From a photograph, from noise, and as a sum of waves that is moved; half a minute. Which of 7.3, 7.7 and 7.8 do you recognise?

# %% budget=180
from helpers.visualisation import maximize_waves

try:
    normalise, large = models.load("imagenet/mobilenet_v2")
except FileNotFoundError as missing:
    print(missing.args[0].split(" (")[0] + ".", "Get them once with `python -m helpers.models mobilenet_v2`.")
else:
    convolution, norm, _ = large.features[-1]
    photograph, neuron = data.load("imagenet-samples").images[:1], 125      # change this (0 to 1,279)
    speckled = (0.5 + torch.randn(photograph.shape, generator=torch.Generator().manual_seed(0)) / 20).clamp(0, 1)

    def before_relu6(x):
        """What goes into the last ReLU6, averaged over places: behind it a neuron that is off, or full, leaves nothing to climb."""
        return norm(convolution(large.features[:-1](normalise(x)))).mean((2, 3))
    made = {"photograph": photograph, "from it": maximise(before_relu6, neuron, photograph, 60, 2.0), "from noise": maximise(before_relu6, neuron, speckled, 60, 2.0),
            "waves, moved": maximize_waves(lambda x: before_relu6(x)[:, neuron], tuple(photograph.shape), steps=96)}
    with torch.no_grad():
        plots.show(torch.cat(list(made.values())), [f"{name}: {before_relu6(x)[0, neuron]:.1f}" for name, x in made.items()], columns=4, size=2.4, label=f"MobileNetV2, neuron {neuron}")

# %% [markdown]
# ## Done
# `progress()` shows what you have. Next: explanations of attacked images (unit 08).

# %%
progress("07")
