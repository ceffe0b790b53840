# %% [markdown]
# # 01 · Gradient saliency
# **You need:** unit 00, and to know what a gradient is.
#
# **Afterwards you can:** compute the gradient of a network's output for its *input* and show it as a picture; say what the common variants
# (gradient × input, absolute value, loss, logit, log-probability) have in common and where they part; and test whether a pretty map says
# anything about the network at all.
#
# Notation: $x$ an image in $[0, 1]$, $y$ its class, $z$ the logits (the scores before the softmax), $p = \mathrm{softmax}(z)$,
# $J = -\log p_y$ the loss. A *saliency map* or *attribution* gives each pixel of $x$ a number.

# %%
import copy

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from helpers import attacks, attribution, data, models, plots
from helpers.course import check, hint, predict, progress, reveal
from helpers.training import train

test = data.load("mnist5k")                                 # 1,000 test digits
model = models.load("mnist5k/standard")                     # a small convolutional network, 98.5 % of them right
robust = models.load("mnist5k/robust-l2")                   # the same, trained on attacked images (unit 06)
mlp = models.load("mnist5k/mlp")                            # 100 and 100 fully connected units, 96.7 % right
untrained = models.load("mnist5k/standard-untrained")       # the first network before training
ten = test.per_class(1)                                     # one of each digit
print(test)

# %% setup="checks"
import copy

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from helpers import attacks, attribution, data, models, plots
from helpers.checking import Wrong, WrongType, arguments, close, images, linear, tensor, untouched


def case(n=5, classes=3, seed=0, shape=(1, 4, 4)):
    """A linear network, images, labels; of every output the exact gradients: W_y, and p - onehot times W."""
    net, x = linear(classes, shape, seed), images(n, shape, 0.1, 0.9, seed + 1)
    y = torch.arange(n) % classes
    p = net(x).softmax(1).detach()
    weights = net.weights.detach()
    of = {"logit": weights[y], "loss": (p - F.one_hot(y, classes)) @ weights}
    of["log_probability"] = -of["loss"]
    of["probability"] = p.gather(1, y[:, None]) * of["log_probability"]
    return net, x, y, {name: gradient.view_as(x) for name, gradient in of.items()}


def largest(batch):
    return batch.flatten(1).abs().amax(1).view(-1, *[1] * (batch.ndim - 1))


# %% [markdown] predict="1.1" minutes=2 core=true choices=["1","10","784","166,406"]
# ## How large is a gradient?
# The network has 166,406 weights, takes a digit of 28 × 28 pixels and gives ten scores. **How many numbers are there in the gradient of the loss of one
# digit with respect to that digit?** One of `"1"`, `"10"`, `"784"`, `"166,406"`.

# %%
predict("1.1", "784")

# %% answer="1.1"
def answer(guess):
    digit, network = data.load("mnist5k")[:1], models.load("mnist5k/standard")
    x = digit.images.clone().requires_grad_()
    for_image, *for_weights = torch.autograd.grad(F.cross_entropy(network(x), digit.labels), [x, *network.parameters()])
    return (f"Measured: {for_image.numel()}, one for each pixel: how much the loss would rise if that pixel were a little brighter. The gradient for the "
            f"weights, which training uses, has {sum(g.numel() for g in for_weights):,}. Because it has the shape of the image, it can be looked at.")

# %% [markdown] exercise="1.2" minutes=7 difficulty=1 core=true
# ## The gradient for the image
# Training asks: how must the *weights* change for the loss to fall? Here the weights stay, and we ask it for the pixels:
#
# $$g = \nabla_x J(x, y), \qquad J(x, y) = -\log \mathrm{softmax}(z(x))_y$$
#
# Each image of a batch has a gradient of its own, which must not depend on which other images happen to be in the batch.

# %%
def input_gradient(model, images, labels):
    """The gradient of each image's own cross-entropy loss with respect to that image: a tensor of the shape of `images` (N x C x H x W)."""
    ### BEGIN SOLUTION
    images = images.clone().requires_grad_()
    loss = F.cross_entropy(model(images), labels, reduction="sum")
    gradient, = torch.autograd.grad(loss, images)
    return gradient
    ### END SOLUTION

# %%
check("1.2", input_gradient)

# %% [markdown] hints="1.2"
# - PyTorch records what happens to a tensor once it is told to: `images = images.clone().requires_grad_()`. The copy, so that the caller's tensor stays as it is.
# - `torch.autograd.grad(scalar, images)` returns a tuple with the gradient in it. It wants a single number: the *sum* of the losses of all images. (An image has no influence on the loss of another, so the sum keeps them apart. A mean would divide each gradient by the size of the batch.)
# - `loss = F.cross_entropy(model(images), labels, reduction="sum")`, then `gradient, = torch.autograd.grad(loss, images)`.

# %% check="1.2"
def check(input_gradient):
    arguments(input_gradient, "model", "images", "labels")
    net, x, y, of = case()
    before = x.clone()
    g = input_gradient(net, x, y)
    if isinstance(g, (tuple, list)):
        raise WrongType("a tuple came: `torch.autograd.grad` returns one. Unpack it: `gradient, = torch.autograd.grad(...)`, with the comma.")
    if isinstance(g, torch.Tensor) and g.shape == net.weights.shape:
        raise WrongType("this has the shape of the weights: it is the gradient that training uses. Ask for the gradient with respect to `images`.")
    g = tensor(g, x)
    untouched((x, before))
    wanted = of["loss"]
    if close(g, wanted / len(x)):
        raise Wrong("each gradient is divided by the number of images: the loss is a mean over the batch. Sum it: `reduction=\"sum\"`.")
    if close(g, -wanted):
        raise Wrong("the sign is flipped: this is the gradient of the log-probability, which falls where the loss rises.")
    if close(g, of["logit"]):
        raise Wrong("this is the gradient of the label's logit, not of the loss. That comes in 1.5.")
    predicted = net(x).argmax(1)
    if close(g, ((net(x).softmax(1) - F.one_hot(predicted, 3)) @ net.weights).view_as(x)) and not torch.equal(predicted, y):
        raise Wrong("the loss is computed for the predicted classes: use `labels`.")
    if close(g, wanted.sign()):
        raise Wrong("this is only the sign of the gradient.")
    if close(g, wanted.abs()):
        raise Wrong("the signs are lost (`abs`?): whether a brighter pixel raises the loss or lowers it is half of what there is to know.")
    if not close(g, wanted):
        raise Wrong("on a linear network, where the gradient is known exactly, this is not it. Is the loss `F.cross_entropy(scores, labels)`, with the "
                    "scores as they are (no softmax before it)?")
    return "the same line of calculus that trains networks, turned round."

# %% [markdown]
# What does it look like? Red is positive (a brighter pixel raises the loss), blue negative, white 0; each picture on its own scale.

# %%
for name, network in {"before training": untrained, "trained": model}.items():
    plots.show(input_gradient(network, ten.images, ten.labels), signed=True, label=name)

# %% [markdown] exercise="1.3" minutes=5 difficulty=1 core=true
# ## A signed gradient as a picture
# A gradient has positive and negative values and no natural scale; a picture wants $[0, 1]$. The recipe of the MIT practicum (Santurkar & Tsipras 2020): for each image and each colour
# channel, subtract the mean, divide by three standard deviations, add one half, and clip what still sticks out:
#
# $$\mathrm{clip}_{[0,1]}\Big(\frac{t - \mathrm{mean}(t)}{3\,\mathrm{std}(t)} + \frac12\Big)$$
#
# Where a channel is constant (a dead network, say), its picture should be plain grey.

# %%
def as_picture(t):
    """t: N x C x H x W of any size and sign; what it returns has the same shape and lies in [0, 1]."""
    ### BEGIN SOLUTION
    mean, std = t.mean((2, 3), keepdim=True), t.std((2, 3), keepdim=True)
    return ((t - mean) / (3 * std.clamp_min(1e-12)) + 0.5).clamp(0, 1)
    ### END SOLUTION

# %%
check("1.3", as_picture)

# %% [markdown] hints="1.3"
# - `t.mean((2, 3), keepdim=True)` averages over height and width and keeps a shape, N x C x 1 x 1, that fits when you subtract it. `t.std` works the same way.
# - A constant channel has standard deviation 0, and 0 / 0 is NaN. `std.clamp_min(1e-12)` avoids it.
# - The three steps in one line: `((t - mean) / (3 * std) + 0.5).clamp(0, 1)`.

# %% check="1.3"
def check(as_picture):
    arguments(as_picture, "t")
    scales = torch.tensor([1.0, 100.0, 0.001]).view(3, 1, 1, 1) * torch.tensor([1.0, 5.0]).view(1, 2, 1, 1)
    t = (images(3, (2, 16, 16), -1, 1, 4) ** 3 + 0.2) * scales
    before = t.clone()
    out = tensor(as_picture(t), t)
    if not torch.equal(t, before):
        raise Wrong("your code changes the tensor it was given. Compute a new one instead of using `-=` or `clamp_`.")
    def recipe(axes, factor=3.0, shift=0.5, clip=True):
        value = (t - t.mean(axes, keepdim=True)) / (factor * t.std(axes, keepdim=True)) + shift
        return value.clamp(0, 1) if clip else value
    if close(out, recipe((2, 3)), 0.01):
        flat = as_picture(torch.full((1, 1, 4, 4), 7.0))
        if torch.isnan(flat).any():
            raise Wrong("a constant picture gives NaN: its standard deviation is 0. Keep the divisor above 0, for instance with `clamp_min(1e-12)`.")
        if not close(flat, torch.full((1, 1, 4, 4), 0.5), 0.01):
            raise Wrong("a constant picture should come out plain grey, 0.5.")
        return "any gradient of any network fits on the screen now."
    if out.min() < 0 or out.max() > 1:
        raise Wrong(f"the result leaves [0, 1] (from {out.min():.2f} to {out.max():.2f}): clip it at the end.")
    for axes, said in (((0, 1, 2, 3), "over the whole batch"), ((1, 2, 3), "over all channels of an image together"), ((0, 2, 3), "over the whole batch, per channel")):
        if close(out, recipe(axes), 0.01):
            raise Wrong(f"mean and standard deviation are taken {said}: images with small gradients come out grey. Take them for each image and channel.")
    if close(out, recipe((2, 3), shift=0.0), 0.01):
        raise Wrong("zero must become 0.5, the middle grey: everything below the mean is cut off here. Add one half before clipping.")
    if close(out, recipe((2, 3), factor=1.0), 0.01):
        raise Wrong("this divides by one standard deviation: a third of the pixels is clipped. Three are wanted.")
    if close(out, recipe((2, 3), factor=1 / 3), 0.01):
        raise Wrong("this multiplies by 3 where it should divide by 3 standard deviations: mind the brackets, `/ (3 * std)`.")
    if close(out, ((t - t.mean((2, 3), keepdim=True)) / 3 * t.std((2, 3), keepdim=True) + 0.5).clamp(0, 1), 0.01):
        raise Wrong("this multiplies by the standard deviation: mind the brackets, `/ (3 * std)`.")
    raise Wrong("the picture is not clip((t - mean) / (3 std) + 1/2), with mean and std of each image and channel over its pixels.")

# %% [markdown]
# Colour gradients, the way the practicum shows them. A network for CIFAR-10 that was trained as usual, and one that was trained on attacked images (unit 06):

# %%
colour = data.load("cifar10-samples")[[0, 1, 4, 6, 3, 7]]
standard_colour, robust_colour = models.load("cifar10/standard"), models.load("cifar10/robust-l2")
plots.show(colour.images, [colour.classes[label] for label in colour.labels], columns=6, size=1.5)
for name, network in {"standard": standard_colour, "robust": robust_colour}.items():
    plots.show(as_picture(input_gradient(network, colour.images, colour.labels)), plots.verdicts(network, colour.images, colour.classes),
               columns=6, size=1.5, label=name)

# %% [markdown]
# **Question.** The two networks have the same layers and see the same pictures. Why does one gradient look like noise? Is it a bad picture of what the
# network does, or a good picture of a network that does something strange? Keep both answers in mind; units 02 and 05 decide between them.

# %% [markdown] exercise="1.4" minutes=8 difficulty=2 core=true
# ## Gradient × input
# The gradient says what a *change* would do. What did each pixel *contribute*? For a network without biases made of ReLUs, $\sum_i x_i\,\partial z_y / \partial x_i = z_y$:
# gradient × input shares the logit out among the pixels (ours has biases, so it does so only roughly). Take the gradient of the **logit** $z_y$, multiply by the image, and scale each map
# so that its largest absolute value is 1. With `absolute=True` use $|\partial z_y / \partial x_i|\,x_i$: how much, without saying in which direction.

# %%
def gradient_x_input(model, images, labels, absolute=False):
    """Maps of the shape of `images`, each scaled so that its largest absolute value is 1 (a map that is 0 everywhere stays 0)."""
    ### BEGIN SOLUTION
    images = images.clone().requires_grad_()
    logit = model(images).gather(1, labels[:, None]).sum()
    gradient, = torch.autograd.grad(logit, images)
    maps = (gradient.abs() if absolute else gradient) * images.detach()
    return maps / maps.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    ### END SOLUTION

# %%
check("1.4", gradient_x_input)

# %% [markdown] hints="1.4"
# - The logits of the labels: `model(images).gather(1, labels[:, None])`, or `model(images)[range(len(labels)), labels]`. Their sum is a number you can take the gradient of.
# - Multiply with the image's values, not with the tensor that records gradients: `images.detach()`. For `absolute=True` it is `gradient.abs() * images`.
# - The scale of each map: `maps.abs().amax((1, 2, 3), keepdim=True)`. First the absolute value, then the maximum: the largest *entry* of a map that is mostly negative says nothing about its size. And 0 / 0 is NaN: `.clamp_min(1e-12)`.

# %% check="1.4"
def check(gradient_x_input):
    arguments(gradient_x_input, "model", "images", "labels", "absolute")
    net, x, y, of = case(shape=(2, 4, 4))
    before = x.clone()
    out = tensor(gradient_x_input(net, x, y), x)
    untouched((x, before))
    raw = of["logit"] * x
    wanted = raw / largest(raw)
    if close(out, raw):
        raise Wrong("the maps are not scaled: divide each by its largest absolute value.")
    if close(out, raw / raw.abs().max()):
        raise Wrong("all maps are divided by the largest value of the whole batch. Each image has a scale of its own: `amax((1, 2, 3), keepdim=True)`.")
    if close(out, raw / raw.abs().amax((2, 3), keepdim=True)):
        raise Wrong("each colour channel has a scale of its own here: one for the whole map is wanted, `amax((1, 2, 3), keepdim=True)`.")
    if close(out, raw / raw.amax((1, 2, 3), keepdim=True)):
        raise Wrong("the maps are divided by their largest *signed* entry (`max` before `abs`): where negative values are larger, the map leaves [-1, 1]. "
                    "A published tutorial made this very mistake.")
    if close(out, of["logit"] / largest(of["logit"])):
        raise Wrong("this is the gradient alone: multiply it by the image.")
    for name in ("loss", "log_probability", "probability"):
        if close(out, of[name] * x / largest(of[name] * x)):
            raise Wrong(f"this takes the gradient of the {name.replace('_', '-')}: the logit itself is wanted, the score before any softmax.")
    total = net.weights.detach().sum(0).view(1, *x.shape[1:]).expand_as(x) * x
    if close(out, total / largest(total)):
        raise Wrong("this is the gradient of the sum of *all* logits: pick the logit of each image's label.")
    if close(out, wanted.abs()):
        raise Wrong("the signs are lost although `absolute` is False.")
    if not close(out, wanted):
        raise Wrong("on a linear network the map should be W_y x, divided by its largest absolute value. Something else came.")
    strong = of["logit"].abs() * x
    if close(gradient_x_input(net, x, y, True), wanted):
        raise Wrong("`absolute=True` changes nothing: there, |gradient| times image.")
    if not close(gradient_x_input(net, x, y, absolute=True), strong / largest(strong)):
        raise Wrong("with `absolute=True` the map is not |gradient| x image, divided by its largest value.")
    if torch.isnan(gradient_x_input(net, torch.zeros_like(x), y)).any():
        raise Wrong("a black image gives NaN: its map is 0 everywhere, and 0 / 0 is not a number. `clamp_min(1e-12)` on the divisor.")
    return "each pixel's share, on one scale for all images."

# %% [markdown]
# Red speaks for the class, blue against it. What is black in the image is white in the map, whatever the network does there: $x_i = 0$.

# %%
plots.show(gradient_x_input(model, ten.images, ten.labels), signed=True, limit=1, label="gradient × input")
plots.show(gradient_x_input(model, ten.images, ten.labels, absolute=True), signed=True, limit=1, label="|gradient| × input")
ring = gradient_x_input(model, 1 - ten.images, ten.labels)
plots.show(ring, signed=True, limit=1, label="the same digits in black on white: now the ink is what cannot matter")

# %% [markdown] exercise="1.5" minutes=6 difficulty=1 core=true
# ## The gradient of what?
# Three answers are common: of the label's logit $z_y$; of its log-probability $\log p_y = z_y - \log\sum_k e^{z_k}$; of the loss $J = -\log p_y$.
# The first looks at one class alone, the others at the class *against* its rivals.

# %%
def explain(model, images, labels, of):
    """The gradient of each image's "logit", "log_probability" or "loss" (`of`) with respect to the image, of the shape of `images`."""
    ### BEGIN SOLUTION
    images = images.clone().requires_grad_()
    logits = model(images)
    values = logits if of == "logit" else logits.log_softmax(1)
    chosen = values.gather(1, labels[:, None]).sum()
    gradient, = torch.autograd.grad(-chosen if of == "loss" else chosen, images)
    return gradient
    ### END SOLUTION

# %%
check("1.5", explain)

# %% [markdown] hints="1.5"
# - All three pick one number per image: from `logits`, or from `logits.log_softmax(1)`. The loss is the negative of the log-probability.
# - `values.gather(1, labels[:, None]).sum()` picks the label's value of each image and adds them up, ready for `torch.autograd.grad`.
# - `if of == "logit": values = logits`, else `values = logits.log_softmax(1)`; a minus sign for "loss".

# %% check="1.5"
def check(explain):
    arguments(explain, "model", "images", "labels", "of")
    net, x, y, exact = case()
    before = x.clone()
    for of in ("logit", "log_probability", "loss"):
        out = tensor(explain(net, x, y, of), x, f'the result for of="{of}"')
        untouched((x, before))
        if close(out, exact[of]):
            continue
        if close(out, exact[of] / len(x)):
            raise Wrong(f'of="{of}": each gradient is divided by the number of images. Sum over the batch, do not average.')
        if close(out, -exact[of]):
            raise Wrong(f'of="{of}": the sign is flipped. The loss is *minus* the log-probability.')
        if close(out, exact["probability"]) or close(out, -exact["probability"]):
            raise Wrong(f'of="{of}": this is the gradient of the probability. Where the network is sure it vanishes; take the logarithm: `log_softmax`.')
        for other in set(exact) - {of}:
            if close(out, exact[other]):
                raise Wrong(f'of="{of}": this is the gradient of the {other.replace("_", "-")}.')
        raise Wrong(f'of="{of}": on a linear network, where it is known exactly, this is not the gradient.')
    return "on a linear network: W_y for the logit, W_y minus the mean of all rows (weighted by p) for the log-probability, its negative for the loss."

# %% [markdown]
# Log-probability and loss are the same up to the sign. The logit's gradient is another: it also shows what supports the class and its rivals *alike*.

# %%
for of in ("logit", "log_probability"):
    maps = explain(model, ten.images, ten.labels, of)
    plots.show(maps / maps.abs().amax((1, 2, 3), keepdim=True), signed=True, limit=1, label=of)
logit, log_probability = (explain(model, test.images, test.labels, of) for of in ("logit", "log_probability"))
angle = F.cosine_similarity(logit.flatten(1), log_probability.flatten(1))
print(f"cosine between the two gradients: {angle.median():.2f} (median of 1,000 digits)")

# %% [markdown] predict="1.6" minutes=2 core=true low=0 high=100 unit="%"
# ## When the loss has nothing to say
# $\nabla_x J$ carries the factor $1 - p_y$ (how unsure the network is), so it fades as the network gets surer; the logit's gradient does not. Multiply
# all logits by 10: the same predictions, only surer. **Of how many per cent of the test digits is the gradient of the loss then exactly zero in float32?**

# %%
predict("1.6", 5)

# %% answer="1.6"
def answer(guess):
    test, network = data.load("mnist5k"), models.load("mnist5k/standard")

    def gradients(factor, dtype=torch.float32):
        net = copy.deepcopy(network).to(dtype)
        x = test.images.to(dtype).requires_grad_()
        return torch.autograd.grad(F.cross_entropy(factor * net(x), test.labels, reduction="sum"), x)[0].flatten(1).abs().amax(1)
    factors = (1, 2, 3, 5, 7, 10, 15, 20)
    zero = {kind: [100 * (gradients(factor, dtype) == 0).double().mean().item() for factor in factors]
            for kind, dtype in (("float32", torch.float32), ("float64", torch.float64))}
    sure = attacks.scores(network, test.images).softmax(1).gather(1, test.labels[:, None])[:, 0]
    of = {name: attribution.input_gradient(network, test.images, test.labels, of=name).flatten(1).norm(dim=1) for name in ("loss", "logit")}
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    for (name, values), marker in zip(of.items(), "ox"):
        axes[0].plot(1 - sure.double().clamp_max(1 - 1e-8), values, marker, markersize=3, alpha=0.4, label=f"of the {name}")
    axes[0].set(xscale="log", yscale="log", xlabel="1 - probability of the label", ylabel="length of the gradient")
    axes[0].legend(fontsize=8)
    plots.curves(axes[1], factors, zero, "all logits times", "loss gradient exactly 0 (% of digits)")
    axes[1].plot([10], [guess], "kx", markersize=10, label="your guess")
    axes[1].legend(fontsize=8)
    return (f"Measured: {zero['float32'][5]:.0f} % with the logits times 10 ({zero['float32'][0]:.0f} % as they are). A picture of such a gradient shows rounding, or nothing: not because the "
            "image does not matter, but because the loss cannot get any better. The logit's gradient (left, crosses) keeps its size. (In the columns at the far left p is 1 to float32.)")

# %% [markdown] exercise="1.7" minutes=7 difficulty=2 core=false
# ## How alike are two maps?
# By eye everything looks alike, or nothing does. A number: Spearman's rank correlation. Replace each pixel's value by its rank among the pixels of its map
# (0 the smallest), and take Pearson's correlation of the ranks: 1 for the same order, 0 for unrelated ones, -1 for the reverse. It asks only which
# pixels count more than which, not how much. (Later cells use the library's `attribution.rank_correlation`, where equal values share their mean rank.)

# %%
def rank_correlation(a, b):
    """a, b: maps N x C x H x W. Spearman's rank correlation of each pair, a tensor of length N. (Equal values may be ranked in any order.)"""
    ### BEGIN SOLUTION
    ranks = [maps.flatten(1).argsort(1).argsort(1).double() for maps in (a, b)]
    centred = [r - r.mean(1, keepdim=True) for r in ranks]
    return F.cosine_similarity(*centred)
    ### END SOLUTION

# %%
check("1.7", rank_correlation)

# %% [markdown] hints="1.7"
# - `t.flatten(1)` makes one row a map. `argsort` gives the positions in order; the `argsort` of *that* gives each value's rank.
# - Pearson's correlation of two rows: subtract each row's mean, then take the cosine between them (`F.cosine_similarity(u, v)` works row by row).
# - `ranks = t.flatten(1).argsort(1).argsort(1).double()`.

# %% check="1.7"
def check(rank_correlation):
    arguments(rank_correlation, "a", "b")
    from scipy.stats import kendalltau, pearsonr, spearmanr
    a, b = images(4, (2, 5, 5), -1, 1, 1) ** 3, images(4, (2, 5, 5), -1, 1, 2)
    b[1:3] += torch.tensor([3.0, -3.0]).view(2, 1, 1, 1) * a[1:3]
    rows = list(zip(a.flatten(1).double(), b.flatten(1).double()))
    before = a.clone(), b.clone()
    out = rank_correlation(a, b)
    if isinstance(out, torch.Tensor) and out.ndim == 0:
        raise WrongType("one number came for the whole batch: one for each pair of maps is wanted. `flatten(1)` keeps the images apart.")
    if not isinstance(out, torch.Tensor) or out.shape != (4,):
        raise WrongType(f"wanted a tensor of length 4, one number a pair; {f'shape {tuple(out.shape)}' if isinstance(out, torch.Tensor) else type(out).__name__} came.")
    if not (torch.equal(a, before[0]) and torch.equal(b, before[1])):
        raise Wrong("your code changes the maps it was given: compute new ones.")
    wanted = torch.tensor([spearmanr(u, v).statistic for u, v in rows])
    if close(out, wanted, 1e-3):
        if not close(rank_correlation(a, a.exp()), torch.ones(4), 1e-3):
            raise Wrong("of a map and the same map with other numbers in the same order it should be 1.")
        return "the same as SciPy's, for a whole batch at once."
    if close(out, torch.tensor([pearsonr(u, v).statistic for u, v in rows]), 1e-3):
        raise Wrong("this is Pearson's correlation of the values: rank them first.")
    if close(out, torch.tensor([pearsonr(u.argsort().double(), v.argsort().double()).statistic for u, v in rows]), 1e-3):
        raise Wrong("one `argsort` gives the positions of the values in order, not the ranks. The `argsort` of the `argsort` gives the ranks.")
    if close(out, torch.tensor([kendalltau(u, v).statistic for u, v in rows]), 1e-3):
        raise Wrong("this is Kendall's tau, another fine measure. Spearman's is wanted.")
    uncentred = [F.cosine_similarity(u.argsort().argsort().double(), v.argsort().argsort().double(), dim=0) for u, v in rows]
    if close(out, torch.stack(uncentred), 1e-3):
        raise Wrong("subtract the mean of the ranks before taking the cosine: without it even unrelated maps come out at 0.75.")
    raise Wrong("this is not Spearman's correlation of each pair: the ranks of both maps, centred, then their cosine.")

# %% [markdown] predict="1.8" minutes=3 core=true low=-1 high=1
# ## Does the architecture matter?
# The fully connected network, the convolutional one and its robust twin all read these digits. **What is the mean rank correlation between the logit's
# gradients of the convolutional and the fully connected network** (1: they look at the same things in the same order; 0: nothing in common)?

# %%
predict("1.8", 0.7)

# %% answer="1.8"
def answer(guess):
    some = data.load("mnist5k")[:300]
    networks = {name: models.load(f"mnist5k/{file}") for name, file in (
        ("MLP", "mlp"), ("CNN", "standard"), ("robust CNN", "robust-l2"), ("untrained CNN", "standard-untrained"))}
    gradients = {name: attribution.input_gradient(network, some.images, some.labels, of="logit") for name, network in networks.items()}
    pairs = (("MLP", "CNN"), ("CNN", "robust CNN"), ("MLP", "robust CNN"), ("CNN", "untrained CNN"))
    maps = {"gradient": gradients, "gradient × input": {name: g * some.images for name, g in gradients.items()}}
    maps |= {kind: {name: g.abs() * some.images for name, g in gradients.items()} for kind in ("|gradient| × input", "the same, ink alone")}
    rows = {kind: [attribution.rank_correlation(of[a], of[b], where=some.images > 0 if "ink" in kind else None).mean().item() for a, b in pairs]
            for kind, of in maps.items()}
    figure, ax = plt.subplots(figsize=(9.5, 3), layout="constrained")
    for i, ((name, values), hatch) in enumerate(zip(rows.items(), ("", "//", "xx", ".."))):
        ax.bar(torch.arange(4) + 0.2 * i, values, 0.2, label=name, hatch=hatch)
    ax.plot([0], [guess], "kx", markersize=10, label="your guess")
    ax.set_xticks(torch.arange(4) + 0.3, [f"{a} - {b}" for a, b in pairs])
    ax.set(ylabel="mean rank correlation")
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    first, last = rows["gradient"], {kind: values[3] for kind, values in rows.items()}
    return (f"Measured: {first[0]:.2f} for the gradient; between the CNN and its robust twin {first[1]:.2f}, between the CNN and the same network before training "
            f"{first[3]:.2f}. But look at the cross-hatched bars: |gradient| × input correlates at {last['|gradient| × input']:.2f} with that of a network that has learned "
            f"nothing! Off the ink both are 0; and on the ink alone {last['the same, ink alone']:.2f} is left: the brightness of the image is a factor of both. "
            "Before comparing maps, ask what the method puts there by itself.")

# %% [markdown] part="1.9" minutes=3 core=true
# ## One picture, several networks
# One digit through three networks (the logit's gradient), and one colour picture through two that differ in nothing but their training; with ImageNet weights at
# hand, a photograph through those too.

# %%
five = test[test.labels == 5][:1]
maps = torch.cat([torch.cat([explain(network, five.images, five.labels, "logit"), gradient_x_input(network, five.images, five.labels)])
                  for network in (mlp, model, robust)])
plots.show(maps / maps.abs().amax((1, 2, 3), keepdim=True), [f"{name}:\n{kind}" for name in ("MLP", "CNN", "robust CNN") for kind in ("gradient", "gradient × input")],
           columns=6, signed=True, limit=1, size=1.5)
gradients = [explain(network, colour.images, colour.labels, "logit") for network in (standard_colour, robust_colour)]
print(f"CIFAR-10, standard and robust: rank correlation {attribution.rank_correlation(*gradients).mean():.2f} (mean of {len(colour)} pictures)")

# %%
photos = data.load("imagenet-samples")[[0, 17, 12]]
for name in ("resnet18", "squeezenet1_0", "mobilenet_v2"):
    try:
        network = models.load(f"imagenet/{name}")
    except FileNotFoundError:
        print(f"no weights of {name} here. With a network connection, run once:  python -m helpers.models {name}")
    else:
        both = torch.stack([photos.images, as_picture(input_gradient(network, photos.images, photos.labels))], 1).flatten(0, 1)
        said = plots.verdicts(network, photos.images, photos.classes)
        plots.show(both, [title for one in said for title in (one, "gradient")], columns=6, size=1.6, label=name)

# %% [markdown] exercise="1.10" minutes=6 difficulty=2 core=false
# ## Look on while it learns
# `train(network, images, labels, epochs=1, callback=look)` calls `look(network, step)` after every minibatch. Write `recorder`, which makes such a function. It
# keeps your `gradient_x_input` of the given images, as it is *at that moment*.

# %%
def recorder(images, labels):
    """(maps, look): `look(model, step)` appends gradient x input of `images`, N x C x H x W, to the list `maps`."""
    ### BEGIN SOLUTION
    maps = []

    def look(model, step):
        maps.append(gradient_x_input(model, images, labels))
    return maps, look
    ### END SOLUTION

# %%
check("1.10", recorder)

# %% [markdown] hints="1.10"
# - A function defined inside another one sees the outer one's variables: `maps = []` outside, `maps.append(...)` inside.
# - `look` takes `model` and `step`, and returns nothing. `recorder` returns both: `return maps, look`, without calling `look`.

# %% check="1.10"
def check(recorder):
    arguments(recorder, "images", "labels")
    net, x, y, _ = case()
    result = recorder(x, y)
    if isinstance(result, (tuple, list)) and len(result) == 2 and callable(result[0]) and isinstance(result[1], list):
        raise WrongType("the other way round: wanted `(maps, look)`, the list first.")
    if not isinstance(result, (tuple, list)) or len(result) != 2 or not isinstance(result[0], list) or not callable(result[1]):
        raise WrongType(f"wanted `(maps, look)`, a list and a function, but {type(result).__name__} came. Return `look` itself, do not call it.")
    maps, look = result
    if maps:
        raise Wrong("`maps` should be empty until `look` is called: has training begun already?")
    wanted = []
    for step in range(3):
        with torch.no_grad():
            net.weights += torch.randn(net.weights.shape, generator=torch.Generator().manual_seed(step))
        look(net, step)
        raw = net.weights.detach()[y].view_as(x) * x
        wanted.append(raw / largest(raw))
    if len(maps) != 3:
        raise Wrong(f"after three calls of `look` the list holds {len(maps)} entries: append one a call.")
    for step, (came, right) in enumerate(zip(maps, wanted)):
        tensor(came, x, f"map {step}")
        if not close(came, right):
            if close(came, wanted[-1]) or any(close(came, other) for other in wanted):
                raise Wrong("the maps are those of another moment: compute them when `look` is called, with the model it is given.")
            if close(came / largest(came), right):
                raise Wrong("the maps are not scaled to a largest absolute value of 1: call your `gradient_x_input` of 1.4.")
            raise Wrong("the maps are not gradient x input of the given images and labels at that moment.")
    again, _ = recorder(x, y)
    if again:
        raise Wrong("a second recorder starts with the first one's maps: make the list inside `recorder`.")
    return "it sees every minibatch."

# %% [markdown] part="1.11" minutes=5 core=true
# ## Before, during and after training
# A film of six test digits while a small network is trained for three epochs, a few seconds: above, gradient × input; below, the gradient of the loss. Play it, or drag the
# slider.

# %%
from helpers.widgets import training_film

training_film()

# %% [markdown]
# Random at the start, the same for every network at the end: is it so? Two networks that start from different weights and see the same digits in the same order. If their maps agree,
# they show something about the digits; if not, about the network's first weights. (Compared on the ink alone, after what 1.8 taught us.) And how spread out are the maps?
# The *effective number of pixels* is $\left(\sum_i |a_i|\right)^2 / \sum_i a_i^2$: how many pixels an evenly spread map of that kind would have.

# %%
some, digits = test[:100], data.load("mnist5k", "train")
kept = {}
for seed in (0, 1):
    torch.manual_seed(seed)
    network = models.small_cnn()
    kept[seed] = [gradient_x_input(network, some.images, some.labels)]
    train(network, digits.images, digits.labels, epochs=3, progress=False,
          callback=lambda network, step: kept[seed].append(gradient_x_input(network, some.images, some.labels)))
ink = some.images > 0
steps = [0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120]
agreement = [attribution.rank_correlation(kept[0][step], kept[1][step], where=ink).mean().item() for step in steps]
spread = [(maps.flatten(1).abs().sum(1) ** 2 / maps.flatten(1).square().sum(1)).mean().item() for maps in (kept[0][step] for step in steps)]
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
plots.curves(axes[0], steps, {"two first weights": agreement}, "minibatches of training", "rank correlation on the ink")
plots.curves(axes[1], steps, {"one network": spread}, "minibatches of training", "effective number of pixels")
for ax, top in zip(axes, (1, 160)):
    ax.set(xscale="symlog", ylim=(-0.05 * top, top))
plt.show()
print(f"agreement of two networks: {agreement[0]:.2f} before training, {agreement[-1]:.2f} after it; "
      f"effective pixels: {spread[0]:.0f} and {spread[-1]:.0f} of {ink.flatten(1).sum(1).float().mean():.0f} with ink")

# %% [markdown]
# <details><summary>What we saw</summary>
#
# Before training the maps of two networks have nothing to do with each other; after a few dozen minibatches they agree well, though far from fully: part of every map still
# comes from the first weights. The spread hardly changes: what training changes is *which* pixels count, not how many.
# </details>

# %% [markdown] part="1.12" minutes=3 core=false
# ## With the full data: flowers, in colour and in grey
# Two networks for five kinds of flowers, the same but for their first layer: one sees the colours, the other turns everything to grey first. Where do they look?

# %%
if not data.available("flowers"):
    print(f"No flowers here. {data.how_to_get('flowers')}.")
else:
    flowers = data.load("flowers")
    networks = {kind: models.load(f"flowers/{kind}") for kind in ("colour", "grey")}
    few = flowers.per_class(1)
    plots.show(few.images, [flowers.classes[label] for label in few.labels], columns=5, size=1.8)
    for kind, network in networks.items():
        share = attacks.accuracy(network, flowers.images, flowers.labels)
        maps = input_gradient(network, few.images, few.labels).abs().amax(1, keepdim=True)
        plots.show((maps / maps.flatten(1).quantile(0.99, 1).view(-1, 1, 1, 1)).clamp(0, 1), plots.verdicts(network, few.images, few.classes),
                   columns=5, size=1.8, label=f"{kind}: {100 * share:.0f} % of {len(flowers)} test pictures right; |gradient|, largest of the three colours")

# %% [markdown] exercise="1.13" minutes=8 difficulty=2 core=true
# ## A sanity check
# A map that explains a network must change when the network does. So destroy it on purpose (Adebayo et al. 2018): draw the weights of its top layer anew, then of the top two, and
# so on down. Write the destruction. Layers with weights are those that have `reset_parameters`; the last one in `model.modules()` is the top.

# %%
def randomise_top(model, k):
    """A copy of `model` whose last k layers with weights are drawn anew; `model` itself stays as it is."""
    ### BEGIN SOLUTION
    model = copy.deepcopy(model)
    layers = [module for module in model.modules() if hasattr(module, "reset_parameters")]
    for layer in layers[len(layers) - k:]:
        layer.reset_parameters()
    return model
    ### END SOLUTION

# %%
check("1.13", randomise_top)

# %% [markdown] hints="1.13"
# - `copy.deepcopy(model)` is a network of its own. Change that one and return it.
# - `layers = [module for module in model.modules() if hasattr(module, "reset_parameters")]`, from bottom to top. `layer.reset_parameters()` draws a layer's weights anew.
# - The last k of a list: `layers[len(layers) - k:]`. Beware of `layers[-k:]`: for k = 0 it is the whole list.

# %% check="1.13"
def check(randomise_top):
    arguments(randomise_top, "model", "k")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Sequential(nn.Linear(5, 4), nn.ReLU()), nn.Linear(4, 3)).eval()
    before = copy.deepcopy(net.state_dict())
    layers = ("0", "2.0", "3")
    for k in range(4):
        result = randomise_top(net, k)
        if not isinstance(result, nn.Module):
            raise WrongType(f"wanted a network, but {type(result).__name__} came." + (" Is there a `return`?" if result is None else ""))
        if result is net or any(not torch.equal(value, before[key]) for key, value in net.state_dict().items()):
            raise Wrong("the model you were given has changed: work on `copy.deepcopy(model)`, or the next experiment starts with a ruin.")
        changed = [not torch.equal(result.state_dict()[f"{layer}.weight"], before[f"{layer}.weight"]) for layer in layers]
        wanted = [False] * (3 - k) + [True] * k
        if changed == wanted:
            fresh = result.state_dict()
            for layer, new in zip(layers, wanted):
                if new and fresh[f"{layer}.weight"].std() < 1e-6:
                    raise Wrong("the weights are set to a constant: draw them anew, as before training (`layer.reset_parameters()`).")
                if new and torch.equal(fresh[f"{layer}.bias"], before[f"{layer}.bias"]):
                    raise Wrong("the biases are still the trained ones: they belong to the layer too. `layer.reset_parameters()` does both.")
            continue
        if k == 0 and all(changed):
            raise Wrong("for k = 0 everything is redrawn: `layers[-0:]` is the whole list. Write `layers[len(layers) - k:]`.")
        if changed == wanted[::-1]:
            raise Wrong("this starts at the bottom, next to the image. The *last* k layers are wanted.")
        if not any(changed):
            raise Wrong(f"for k = {k} no layer has changed. Layers may stand inside other modules: look in `model.modules()`, not only in the outermost.")
        raise Wrong(f"for k = {k} the layers that changed are {[name for name, new in zip(layers, changed) if new]} of {list(layers)}; wanted the last {k}.")
    return "what it draws from the ashes is a network that knows nothing, from the top down."

# %% [markdown]
# Now the test. For each k, the rank correlation between the maps of the intact network and those of the ruin, for three kinds of maps.

# %%
some = test[:100]
kinds = {"gradient": lambda network: explain(network, some.images, some.labels, "logit"),
         "gradient × input": lambda network: gradient_x_input(network, some.images, some.labels),
         "|gradient| × input": lambda network: gradient_x_input(network, some.images, some.labels, absolute=True)}
torch.manual_seed(0)
ruins = [randomise_top(model, k) for k in range(5)]
falls = {name: [attribution.rank_correlation(method(model), method(ruin)).mean().item() for ruin in ruins] for name, method in kinds.items()}
figure, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
plots.curves(ax, ["intact", "top", "2", "3", "all 4"], falls, "layers drawn anew", "rank correlation with the intact map")
plt.show()
print("all four layers random: " + ", ".join(f"{name} {values[-1]:.2f}" for name, values in falls.items()))

# %% [markdown]
# <details><summary>What this shows</summary>
#
# The gradient passes: of a ruined network it has next to nothing in common with the original; and so does gradient × input, whose signs are drawn anew with the network. $|\text{gradient}| \times$ input fails
# badly: off the ink it is 0 for every network, and on the ink the brightness of the image is in both (1.8). It looks convincing (it looks like the digit!) whatever the network
# does. A map that looks like the image is no evidence that the network looks at it. Run the test before you believe a method. Unit 02 does it for all of its methods.
# </details>

# %% [markdown] part="1.14" minutes=2 core=true
# ## Try it
# Every image, network, method and class, for digits and for colour pictures. Things to try: the class that a 7 might be mistaken for; the untrained network with |gradient| × input;
# the robust network for colours; your own handwriting.

# %%
from helpers.widgets import colour_saliency_explorer, saliency_explorer

saliency_explorer()

# %%
colour_saliency_explorer()

# %% [markdown]
# ## Done
# `progress()` shows what you have. Next: can the noise be averaged away, and where do local explanations end (unit 02)?

# %%
progress("01")
