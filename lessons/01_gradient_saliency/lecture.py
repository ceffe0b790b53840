# %% [markdown]
# # 01 · Gradient saliency
# *About 10 minutes to read and run. Some of what follows you will be asked to predict (1.1, 1.6, 1.8): guess before you read on, or do the exercises
# first.* A network reads a digit. Which pixels made it say so? The oldest answer costs one backward pass.

# %%
import copy

import matplotlib.pyplot as plt
import torch

from helpers import attacks, data, models, plots
from helpers.attribution import gradient_x_input, input_gradient, rank_correlation

test = data.load("mnist5k")
networks = {name: models.load(f"mnist5k/{file}") for name, file in
            (("untrained", "standard-untrained"), ("standard", "standard"), ("robust", "robust-l2"), ("fully connected", "mlp"))}
model = networks["standard"]
ten = test.per_class(1)


def scaled(maps):
    """Each map divided by its largest absolute value."""
    return maps / maps.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)

# %% [markdown]
# ## One number a pixel
# Training asks how the *weights* must change for the loss to fall. Keep the weights, and ask the same of the *image* (Simonyan et al. 2014):
#
# $$g = \nabla_x J(x, y)$$
#
# One number for each pixel: how much the loss would rise if that pixel became a little brighter. Red: rise, blue: fall.

# %%
g = input_gradient(model, ten.images, ten.labels)
print(f"an image of {tuple(ten.images.shape[1:])}, its gradient of {tuple(g.shape[1:])}")
plots.show(ten.images, plots.verdicts(model, ten.images, test.classes))
plots.show(scaled(g), signed=True, limit=1, label="gradient of the loss, each on its own scale")

# %% [markdown]
# It has to do with the strokes, but it is no drawing of a digit. **Ask first:** what would the gradient of a network look like that has not learned anything?

# %%
for name in ("untrained", "robust"):
    plots.show(scaled(input_gradient(networks[name], ten.images, ten.labels)), signed=True, limit=1, label=name)

# %% [markdown]
# Noise before training; strokes, and where strokes are missing, for the network trained on attacked images. Unit 06 says how that one was trained.
#
# ## Showing a gradient in colour
# A gradient has signs and no natural scale. The MIT practicum (Santurkar & Tsipras 2020) shows it as $\mathrm{clip}\big((t - \mathrm{mean}) / (3\,\mathrm{std}) + \frac12\big)$, for each image and
# colour channel: grey is no influence. Two networks for CIFAR-10 with the same layers, one trained as usual, one on attacked images:

# %%
colour = data.load("cifar10-samples")[[0, 1, 4, 6, 3, 7]]
colour_networks = {"standard": models.load("cifar10/standard"), "robust": models.load("cifar10/robust-l2")}


def as_picture(t):
    return ((t - t.mean((2, 3), keepdim=True)) / (3 * t.std((2, 3), keepdim=True)) + 0.5).clamp(0, 1)


plots.show(colour.images, [colour.classes[label] for label in colour.labels], columns=6, size=1.5)
for name, network in colour_networks.items():
    pictures = as_picture(input_gradient(network, colour.images, colour.labels))
    plots.show(pictures, plots.verdicts(network, colour.images, colour.classes), columns=6, size=1.5, label=name)

# %% [markdown]
# A first guess is that the upper gradients are *noisy*: the truth plus noise, to be averaged away (unit 02). Another is that they are *right*, and the standard network
# does use what looks like noise to us (unit 05). The pictures alone cannot tell.
#
# ## Gradient × input
# The gradient says what a change would do. A *contribution* is the gradient times the pixel: for ReLU networks without biases
# these add up to the logit (ours has biases: roughly). The price: a black pixel gets 0, whatever the network makes of it. Below, the same digits as ink on black and as ink on white.

# %%
plots.show(scaled(gradient_x_input(model, ten.images, ten.labels)), signed=True, limit=1, label="white on black")
plots.show(scaled(gradient_x_input(model, 1 - ten.images, ten.labels)), signed=True, limit=1, label="black on white")

# %% [markdown]
# ## The gradient of what?
# Of the logit $z_y$: one class alone. Of the log-probability: the class against its rivals. Of the loss: the same with the sign turned. The last two carry the factor
# $1 - p_y$, and fade as the network gets surer. **Ask first:** by how much, for digits the network is sure of?

# %%
sure = attacks.scores(model, test.images).softmax(1).gather(1, test.labels[:, None])[:, 0]
lengths = {of: input_gradient(model, test.images, test.labels, of=of).flatten(1).norm(dim=1) for of in ("loss", "logit")}
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for (of, values), marker in zip(lengths.items(), "ox"):
    ax.plot((1 - sure).clamp_min(1e-8), values, marker, markersize=3, alpha=0.4, label=f"of the {of}")
ax.set(xscale="log", yscale="log", xlabel="1 - probability of the label", ylabel="length of the gradient")
ax.legend(fontsize=8)
plt.show()
for of, values in lengths.items():
    print(f"{of}: nine digits in ten lie between {values.quantile(0.05):.2g} and {values.quantile(0.95):.2g}")
assert lengths["logit"].quantile(0.95) < 3 * lengths["logit"].quantile(0.05)
assert lengths["loss"].quantile(0.95) > 1e4 * lengths["loss"].quantile(0.05)

# %% [markdown]
# (In the columns at the far left p is 1 to float32.) The direction survives as long as the numbers do: in float32 a loss that is sure enough has a gradient of exactly 0 (1.6), and pictures of it show rounding.
#
# ## Two networks, one digit
# Do different architectures look at the same things? A number for it: the rank correlation of two maps, 1 if they put the pixels in the same order, 0 if they have nothing to do with
# each other. **Ask first** what it is for two networks that are both right 97 times in a hundred.

# %%
some = test[:300]
gradients = {name: input_gradient(network, some.images, some.labels, of="logit") for name, network in networks.items()}
pairs = [("standard", "fully connected"), ("standard", "robust"), ("standard", "untrained")]
print("rank correlation          gradient   |gradient| x input   the same, on the ink alone")
for a, b in pairs:
    strong = [gradients[name].abs() * some.images for name in (a, b)]
    values = (rank_correlation(gradients[a], gradients[b]).mean(), rank_correlation(*strong).mean(),
              rank_correlation(*strong, where=some.images > 0).mean())
    print(f"{a + ' - ' + b:<26} {values[0]:>7.2f} {values[1]:>20.2f} {values[2]:>29.2f}")
fooled_by_ink = rank_correlation(gradients["standard"].abs() * some.images, gradients["untrained"].abs() * some.images).mean()
assert fooled_by_ink > 0.9 and rank_correlation(gradients["standard"], gradients["untrained"]).mean() < 0.1

# %% [markdown]
# Two lessons. Networks that agree on the answer agree only a little on the reasons the gradient gives. And the middle column is a trap: $|\text{gradient}| \times$ input is 0 off
# the ink for *any* network, even one that has learned nothing; and on the ink the brightness of the image itself is in every map. **Before comparing maps, ask what the method
# puts there by itself.**
#
# ## While it learns
# Gradient × input and the gradient of the loss of six digits, before, during and after three epochs of training, after every eighth minibatch (and each of the first ten).

# %%
from helpers.widgets import training_film

training_film()

# %% [markdown]
# A few seconds of training turn the noise in the lower row into patches that have to do with the digit. (That the middle row looks like strokes from the start is the image in it.) How much of
# the end was decided by the first weights? 1.11 trains twice and measures.
#
# ## Does the map know the network?
# The test of Adebayo et al. (2018): draw the weights of the top layer anew, then of the top two, down to the bottom. A map that explains the *network* must change. The rank
# correlation with the map of the intact network, mean of 100 digits:

# %%
def ruin(network, k):
    network = copy.deepcopy(network)
    layers = [module for module in network.modules() if hasattr(module, "reset_parameters")]
    for layer in layers[len(layers) - k:]:
        layer.reset_parameters()
    return network


some = test[:100]
kinds = {"gradient": lambda network: input_gradient(network, some.images, some.labels, of="logit"),
         "gradient × input": lambda network: gradient_x_input(network, some.images, some.labels),
         "|gradient| × input": lambda network: input_gradient(network, some.images, some.labels, of="logit").abs() * some.images}
with torch.random.fork_rng():
    torch.manual_seed(0)
    ruins = [ruin(model, k) for k in range(5)]
falls = {name: [rank_correlation(method(model), method(network)).mean().item() for network in ruins] for name, method in kinds.items()}
figure, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
plots.curves(ax, ["intact", "top", "2", "3", "all 4"], falls, "layers drawn anew", "rank correlation")
plt.show()
one = test[3:4]
views = torch.cat([scaled(input_gradient(network, one.images, one.labels, of="logit").abs() * one.images) for network in ruins])
plots.show(views, ["intact", "top layer random", "top 2", "top 3", "all random"], columns=5, signed=True, limit=1, size=1.6, label="|gradient| × input of one digit")
assert falls["gradient"][-1] < 0.15 and falls["|gradient| × input"][-1] > 0.9

# %% [markdown]
# The lower row looks like the digit to the very end, for networks of pure noise. It is the *image* that we see. **A map that looks like the image is no evidence that the network
# looks at it.**
#
# ## Photographs
# With ImageNet weights in the data folder (`python -m helpers.models resnet18` fetches some, once), 1.9 does all this with photographs as the practicum did; with flowers there, 1.12
# compares a network that sees colour with one that sees grey.
#
# ## Try it
# Pick an image, a network, a method, a class. (Without a running kernel you see a sheet of a few settings.) Things to try: *|gradient| x input* with the untrained network; the map of
# a class the network does *not* name; the robust network for colours; a digit of your own.

# %%
from helpers.widgets import colour_saliency_explorer, saliency_explorer

saliency_explorer()

# %%
colour_saliency_explorer()

# %% [markdown]
# ## What goes wrong in published code
# - the mean loss of a batch: each gradient is divided by the batch size, and maps change with the batch
# - dividing by the largest entry instead of the largest *absolute* entry: a map that is mostly negative leaves its scale
# - a gradient of the loss where the network is sure: rounding, drawn in bright colours
# - `loss.backward()` and `x.grad` in a loop without clearing: gradients of earlier images add up
# - a map that is multiplied by the image, praised for looking like the image
#
# **Now you:** [your copy of the exercises](../my-work/01_gradient_saliency.ipynb).
