# %% [markdown]
# # 02 · SmoothGrad and the limits of locality
# *About 12 minutes to read and run. Some of what follows you will be asked to predict (2.2, 2.10): guess before you read on, or do the exercises first.*
# The gradient of a standard network looks like noise. Is the gradient a bad witness, or is noise what it saw?

# %%
import copy

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from helpers import attacks, attribution, data, models, planted, plots
from helpers.attribution import input_gradient, integrated_gradients, occlusion, smooth_grad

test = data.load("mnist5k")
model, robust = models.load("mnist5k/standard"), models.load("mnist5k/robust-l2")
ten = test.per_class(1)
colour = data.load("cifar10-samples")
networks = {"standard": models.load("cifar10/standard"), "robust": models.load("cifar10/robust-l2")}
six = colour[[0, 1, 4, 6, 3, 7]]


def scaled(maps):
    return maps / maps.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)


def as_picture(maps):
    """Colour maps around grey, the largest hundredth of the values clipped."""
    return (0.5 + 0.5 * maps / maps.abs().flatten(1).quantile(0.99, 1).view(-1, 1, 1, 1)).clamp(0, 1)

# %% [markdown]
# ## Average the noise away
# If the function wiggles, the gradient at one point shows the wiggle. **SmoothGrad** (Smilkov et al. 2017) takes the mean over noisy copies of the image:
#
# $$\hat g(x) = \frac1N \sum_i \nabla_x z_y(x + \epsilon_i), \qquad \epsilon_i \sim \mathcal N(0, \sigma^2)$$
#
# Look whether the second row of each network is calmer than the first.

# %%
rows, titles = [six.images], [colour.classes[label] for label in six.labels]
for name, network in networks.items():
    rows += [as_picture(input_gradient(network, six.images, six.labels, of="logit")),
             as_picture(smooth_grad(network, six.images, six.labels, n_samples=50, sigma=0.1))]
    titles += [f"{name}: gradient", *[""] * 5, f"{name}: SmoothGrad", *[""] * 5]
plots.show(torch.cat(rows), titles, columns=6, size=1.5)

# %% [markdown]
# ## How many samples, and how much noise?
# For the standard network the mean has more large-scale structure (the waterline of the ship, the outline of the car), and is still mostly speckles; for the robust one there is little to
# smooth. How many copies does it take? The error of a mean of $N$ falls as $1/\sqrt N$: four times the work for half the error. That is the easy question. The hard one is $\sigma$: it decides over *which neighbourhood* we
# average, and so what is being explained. Below each map: how many of the noisy copies the network still reads correctly.

# %%
def still_right(network, one, sigma):
    noisy = one.images + sigma * torch.randn(100, *one.images.shape[1:], generator=torch.Generator().manual_seed(0))
    return 100 * attacks.accuracy(network, noisy, one.labels.expand(100))


ship, readable = six[1:2], {}
for name, network in networks.items():
    sigmas = (0.01, 0.03, 0.1, 0.2, 0.4)
    maps = torch.cat([smooth_grad(network, ship.images, ship.labels, n_samples=50, sigma=sigma) for sigma in sigmas]).sum(1, keepdim=True)
    readable[name] = [still_right(network, ship, sigma) for sigma in sigmas]
    titles = [f"sigma {sigma:g}: {share:.0f} %" for sigma, share in zip(sigmas, readable[name])]
    plots.show(scaled(maps), titles, columns=5, signed=True, limit=1, size=1.7, label=name)
assert readable["standard"][2] < 50 and readable["standard"][3] == 0 and readable["robust"][2] > 90

# %% [markdown]
# The paper recommends 10 to 20 % of the range. At that much noise the standard network reads hardly any copy of this ship correctly any more: the map is a mean over pictures that it
# cannot read, and explains little about its reading of *this* one. (The robust network still reads them at 0.1, though it was never shown noise.)
#
# ## Prettier, or more faithful?
# A map claims an order of importance. **Deletion** tests it: replace the pixels by the mean colour, most important first, and watch the probability. Two competitors keep us honest:
# a random order, and the edges of the picture, which never saw the network.

# %%
def deletion(network, some, maps, fractions):
    """Mean probability of the label when the first pixels in the order of the maps have the picture's mean colour."""
    order = maps.sum(1).flatten(1).argsort(1, descending=True).argsort(1).view(len(some), 1, *maps.shape[2:])
    ground = some.images.mean((2, 3), keepdim=True)
    means = []
    for fraction in fractions:
        covered = torch.where(order < round(fraction * order[0].numel()), ground, some.images)
        means.append(attacks.scores(network, covered).softmax(1).gather(1, some.labels[:, None]).mean())
    return torch.stack(means)


fractions = torch.linspace(0, 1, 21).tolist()
figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True, layout="constrained")
areas = {}
for ax, (name, network) in zip(axes, networks.items()):
    right = colour[~attacks.fooled(network, colour.images, colour.labels)]
    grey = right.images.mean(1, keepdim=True)
    edges = F.pad((grey[..., 1:, :] - grey[..., :-1, :]).abs(), (0, 0, 0, 1)) + F.pad((grey[..., 1:] - grey[..., :-1]).abs(), (0, 1))
    maps = {"gradient": input_gradient(network, right.images, right.labels, of="logit").abs(),
            "SmoothGrad": smooth_grad(network, right.images, right.labels, n_samples=50, sigma=0.1).abs(),
            "occlusion": occlusion(network, right.images, right.labels, size=4, stride=2, baseline=right.images.mean((2, 3), keepdim=True)),
            "edges": edges, "random": torch.rand(grey.shape, generator=torch.Generator().manual_seed(0))}
    curves = {kind: deletion(network, right, of, fractions) for kind, of in maps.items()}
    areas[name] = {kind: torch.trapezoid(values, dx=0.05).item() for kind, values in curves.items()}
    plots.curves(ax, [100 * fraction for fraction in fractions], curves, "pixels deleted (%)", "probability of the class" if ax is axes[0] else "", name)
plt.show()
for name, values in areas.items():
    print(f"{name:>9}, area under the curve: " + ", ".join(f"{kind} {area:.2f}" for kind, area in values.items()))
    assert values["occlusion"] < values["SmoothGrad"] < values["edges"] and values["gradient"] > values["random"] - 0.05

# %% [markdown]
# Deleting anything at all makes a picture strange: holes strewn over it are noise, and a random order is good at making noise. By this test, on these twenty pictures, the gradient does no
# better than that, for either network; SmoothGrad does better than the gradient, and no better than the random order; occlusion, which asks nearly the same question as deletion
# does, gains most; and the edges, which look so convincing as a map, come last. 2.4 adds the opposite test, *insertion*, and there the edges come second: a test of maps is a choice, too.
#
# ## Take something real away
# **Occlusion** (Zeiler & Fergus 2014) covers a window and asks how far the logit falls. No infinitesimals; but a window size must be chosen, and a colour that means "nothing". Small windows
# say *where*, large ones take more away and say little about where. Middle grey is no change, dark speaks against the ship.

# %%
maps, titles = [ship.images], ["ship"]
for size in (2, 4, 8, 16):
    falls = occlusion(networks["standard"], ship.images, ship.labels, size=size, stride=2, baseline=ship.images.mean((2, 3), keepdim=True))
    maps.append(as_picture(falls))
    titles.append(f"window {size}: {falls.max():.1f}")
plots.show(torch.cat(maps), titles, columns=5, size=1.8, label="the largest fall of the logit; bright: speaks for the ship")

# %% [markdown]
# ## Add the gradients up along a way
# **Integrated gradients** (Sundararajan et al. 2017) adds the gradient up on a straight line from a baseline $b$ to the image. Its strength is an equation, *completeness*:
# $\sum_i a_i = z_y(x) - z_y(b)$. Its weakness is $b$.

# %%
blurred = F.avg_pool2d(F.pad(ten.images, (4, 4, 4, 4)), 9, 1)
baselines = {"black": torch.zeros_like(ten.images), "white": torch.ones_like(ten.images), "blurred": blurred,
             "random": torch.rand(ten.images.shape, generator=torch.Generator().manual_seed(0))}


def logit(images):
    return attacks.scores(model, images).gather(1, ten.labels[:, None])[:, 0]


for name, baseline in baselines.items():
    maps = integrated_gradients(model, ten.images, ten.labels, baseline=baseline, steps=200)
    missed = (maps.sum((1, 2, 3)) - (logit(ten.images) - logit(baseline))).abs().max()
    plots.show(scaled(maps), signed=True, limit=1, label=f"baseline {name}: completeness missed by at most {missed:.3f}")
    assert missed < 0.3

# %% [markdown]
# Four complete accounts, four different stories. And the network was trained on none of the images on the way, yet has firm opinions on some (noise alone may be an 8 to it): there is
# **no clear path**. Move along one:

# %%
from helpers.widgets import path_explorer

path_explorer()

# %% [markdown]
# ## A score with ground truth
# So draw images of which we *know* what is to be seen. `planted`: a shape that names the class nine times in ten, and a pattern of $\pm 2/255$, too faint to see, that always does.
# One network was trained as usual, one on attacked images with an $\epsilon$ of 0.6 in $L_2$: twice what it takes to bring an image closer to another pattern than to its own, and far less than
# it takes to change a shape. Which does each go by, where the two disagree? (The second picture below is one of the one in ten whose shape is not that of its class.)

# %%
some = planted.draw(100, seed=5)
plots.show(some.images[:5], [f"class: {planted.SHAPES[label]}" for label in some.labels[:5]], columns=5, size=1.5)
plots.show(0.5 + 60 * planted.pattern_of_each_class(), planted.SHAPES, columns=5, size=1.5, label="the patterns of the classes, 60 times as strong")
against = planted.draw(500, seed=9, disagree=True)
seeing = {name: models.load(f"planted/{file}") for name, file in (("standard", "standard"), ("robust", "robust-l2"))}
follows = {}
for name, network in seeing.items():
    said = attacks.scores(network, against.images).argmax(1)
    follows[name] = [100 * (said == kind).float().mean().item() for kind in (against.shapes, against.patterns)]
    print(f"{name}: follows the shape in {follows[name][0]:.0f} %, the pattern in {follows[name][1]:.0f} % of 500 disagreements")
assert follows["standard"][1] > 95 and follows["robust"][0] > 95

# %% [markdown]
# **Ask first:** which share of each network's map will lie on the shape? (It covers 18 % of the image.)

# %%
ground = some.images.mean((2, 3), keepdim=True)
methods = {
    "gradient": lambda net: input_gradient(net, some.images, some.labels, of="logit"),
    "gradient × input": lambda net: attribution.gradient_x_input(net, some.images, some.labels),
    "SmoothGrad, sigma 0.05": lambda net: smooth_grad(net, some.images, some.labels, n_samples=30, sigma=0.05),
    "SmoothGrad, sigma 0.15": lambda net: smooth_grad(net, some.images, some.labels, n_samples=30),
    "integrated gradients, from black": lambda net: integrated_gradients(net, some.images, some.labels, steps=20),
    "integrated gradients, from the mean colour": lambda net: integrated_gradients(net, some.images, some.labels, baseline=ground, steps=20),
    "occlusion, 4 x 4": lambda net: occlusion(net, some.images, some.labels, size=4, stride=2, baseline=ground)}


def on_the_shape(maps):
    strength = maps.abs().sum(1, keepdim=True)
    return 100 * ((strength * some.masks).flatten(1).sum(1) / strength.flatten(1).sum(1)).mean().item()


shares = {method: [on_the_shape(of(net)) for net in seeing.values()] for method, of in methods.items()}
noise = torch.randn(some.images.shape, generator=torch.Generator().manual_seed(0))
print(f"share of the map on the shape (its area: {100 * some.masks.float().mean():.0f} %)       standard   robust")
for method, (standard_share, robust_share) in shares.items():
    print(f"{method:<46} {standard_share:>16.0f} % {robust_share:>6.0f} %")
for sigma in (0.05, 0.15):
    read = [100 * attacks.accuracy(net, some.images + sigma * noise, some.labels) for net in seeing.values()]
    print(f"noisy copies read as before, sigma {sigma:<12} {read[0]:>24.0f} % {read[1]:>6.0f} %")
pattern = planted.pattern_of_each_class()[some.labels].flatten(1)
gradient = input_gradient(seeing["standard"], some.images, some.labels, of="logit").flatten(1)
cosine = F.cosine_similarity(gradient, pattern).mean()
print(f"cosine between the standard network's gradient and the pattern itself: {cosine:.2f}")
assert shares["gradient"][0] < 18 < 30 < shares["gradient"][1] and cosine < 0.2

# %%
rows = [some.images[:5]] + [as_picture(input_gradient(net, some.images[:5], some.labels[:5], of="logit")) for net in seeing.values()]
titles = [f"class: {planted.SHAPES[label]}" for label in some.labels[:5]] + ["standard", *[""] * 4, "robust", *[""] * 4]
plots.show(torch.cat(rows), titles, columns=5, size=1.5)

# %% [markdown]
# The standard network's map does not draw the shape **because this network does not go by the shape**: less of the gradient lies there than chance would put. It is no bad witness; it
# testifies to something that our eyes cannot see. (Nor does it draw the pattern: a gradient shows where and how finely a network looks, not what it has learned by heart.) The robust network's
# map shows the shape because it goes by it. Whether the noisy maps of networks for photographs have the same reason, unit 05 asks. One entry of the table is a warning: from the mean colour,
# integrated gradients put a good part of the standard network's map on a shape that it ignores. The factor $x - b$ is large there, for any network. And SmoothGrad drifts towards the
# area of the shape as sigma grows: the last line says how few of the noisy copies the standard network still reads.
#
# ## Good looks can hide
# The check of unit 01 for the methods of this one: what is left of a map's *absolute values* when the whole network is drawn anew (rank correlation, 50 digits)? Over the whole image, and on the
# ink alone.

# %%
fifty = test[:50]
ruined = copy.deepcopy(model)
with torch.random.fork_rng():
    torch.manual_seed(0)
    for layer in ruined.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
kinds = {
    "gradient": lambda net: input_gradient(net, fifty.images, fifty.labels, of="logit"),
    "SmoothGrad": lambda net: smooth_grad(net, fifty.images, fifty.labels, n_samples=30),
    "gradient × input": lambda net: attribution.gradient_x_input(net, fifty.images, fifty.labels),
    "integrated gradients": lambda net: integrated_gradients(net, fifty.images, fifty.labels, steps=20),
    "occlusion, 4 x 4": lambda net: occlusion(net, fifty.images, fifty.labels, size=4, stride=2)}
left = {}
for kind, of in kinds.items():
    pair = [of(net).abs() for net in (model, ruined)]
    left[kind], on_ink = (attribution.rank_correlation(*pair, where=where).mean().item() for where in (None, fifty.images > 0))
    print(f"|{kind}|".rjust(24) + f": {left[kind]:.2f} over the image, {on_ink:.2f} on the ink")
assert left["gradient × input"] > 0.8 > 0.3 > left["gradient"]

# %% [markdown]
# What is multiplied by the image, or covers it with black, is 0 off the ink for every network: there the maps agree about nothing. On the ink occlusion passes, while maps that carry the
# image as a factor still do not. (With its sign, gradient × input passed in 1.13: its absolute value is what keeps the image.)
#
# ## Try it

# %%
from helpers.widgets import occlusion_explorer, smoothgrad_explorer

smoothgrad_explorer()

# %%
occlusion_explorer()

# %% [markdown]
# ## What goes wrong in published code
# - the noisy images clipped to [0, 1]: black pixels then only get brighter and white ones darker, and a gradient taken through the clipping is lost
# - a Riemann sum with full weight at both ends: completeness is missed by a part in the number of steps
# - a black baseline for dark objects: what is black can never be blamed
# - deletion curves without a random order beside them
# - a map chosen for its looks
#
# **Now you:** [your copy of the exercises](../my-work/02_smoothgrad.ipynb).
