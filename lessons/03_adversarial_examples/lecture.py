# %% [markdown]
# # 03 · Adversarial examples
# *About 13 minutes to read and run. Some of what follows you will be asked to predict (3.2, 3.5, 3.8, 3.10): guess before you read on, or do the exercises
# first.* A network reads a digit without doubt. We are allowed to change every pixel a little. How little is enough?

# %%
import matplotlib.pyplot as plt
import torch

from helpers import attacks, data, models, plots
from helpers.attribution import input_gradient

test = data.load("mnist5k")
model = models.load("mnist5k/standard")
robust = models.load("mnist5k/robust-l2")
untrained = models.load("mnist5k/standard-untrained")
ten = test.per_class(1)

# %% [markdown]
# ## The gradient says which way is worse
# Training follows the gradient of the loss for the *weights*, downhill. Take the gradient for the *image* instead, and go uphill. To first order
#
# $$J(x + \delta, y) \approx J(x, y) + g \cdot \delta, \qquad g = \nabla_x J(x, y)$$
#
# If each pixel may move by at most $\epsilon$, the best choice is $\delta = \epsilon\,\mathrm{sign}(g)$. That is the **fast gradient sign method**
# (FGSM, Goodfellow et al. 2015):

# %%
adversarial = attacks.fgsm(model, ten.images, ten.labels, eps=0.15)
both = torch.cat([ten.images, adversarial])
plots.show(both, plots.verdicts(model, both, test.classes))
assert attacks.fooled(model, adversarial, ten.labels).sum() == 7

# %% [markdown]
# Upper row: digits. Lower row: the same digits, each pixel up to 0.15 brighter or darker (black cannot get darker). We read them as before; the network
# misreads seven of the ten.
#
# ## Not just any noise
# **Ask first:** would random changes of the same size do? Toss a coin for each pixel.

# %%
sizes = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)


def misread(make):
    return [100 * (1 - attacks.accuracy(model, make(size), test.labels)) for size in sizes]


lines = {"FGSM": misread(lambda eps: attacks.fgsm(model, test.images, test.labels, eps=eps)),
         "random signs": misread(lambda eps: attacks.random_signs(test.images, eps=eps))}
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
plots.curves(ax, sizes, lines, "eps (L-infinity)", "test digits misread (%)")
plt.show()
print(f"at eps 0.15: FGSM {lines['FGSM'][3]:.0f} %, random signs {lines['random signs'][3]:.0f} %")
assert lines["FGSM"][3] > 10 * lines["random signs"][3]

# %% [markdown]
# The network is used to noise. It is not used to *this direction*. In 784 dimensions a random direction is nearly orthogonal to the one that matters.
#
# ## Three panels, and a control
# The famous picture (Goodfellow et al. 2015) has a panda, a perturbation, and their sum, which is taken for a gibbon. Here is ours. The middle panel shows
# the perturbation (red: brighter, blue: darker); its title is what the network says when it is added to plain grey.

# %%
three = ten[[5, 4, 7]]
perturbations = attacks.fgsm(model, three.images, three.labels, eps=0.15) - three.images
plots.three_panels(model, three.images, perturbations, test.classes)
grey = torch.full((1, 1, 28, 28), 0.5)
for name, network in {"trained": model, "untrained": untrained}.items():
    print(f"plain grey, {name} network: {plots.verdict(attacks.scores(network, grey)[0], test.classes)}")
assert attacks.scores(model, grey).softmax(1).max() > 0.9

# %% [markdown]
# It is tempting to say "the perturbation *is* a 0 to the network". But plain grey is one as well, and more surely, and none of the sums is called 0:
# the network must always name a digit. **Confidence is not evidence.** A claim about a perturbation needs a control.
#
# ## A fair comparison names its norm
# FGSM throws away how much each pixel matters. Keep it: use the gradient itself. Which is the better attack? At equal largest change of a pixel
# ($L_\infty$) the sign wins; at equal length of the change ($L_2$) the gradient does. (Equal before the box clips both.) Each is the steepest direction in
# its own norm: the one that raises the loss most, to first order.

# %%
g = input_gradient(model, test.images, test.labels)
largest, length = g.abs().amax((1, 2, 3), keepdim=True), attacks.l2_norm(g)
sign_length = attacks.l2_norm(g.sign())


def share(change):
    return 100 * (1 - attacks.accuracy(model, (test.images + change).clamp(0, 1), test.labels))


figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
linf, l2 = (0.05, 0.1, 0.15, 0.2, 0.3), (0.5, 1.0, 1.5, 2.0, 3.0)
equal_linf = {"sign": [share(e * g.sign()) for e in linf],
              "gradient": [share(e * g / largest) for e in linf]}
equal_l2 = {"sign": [share(e * g.sign() / sign_length) for e in l2],
            "gradient": [share(e * g / length) for e in l2]}
plots.curves(axes[0], linf, equal_linf, "L-infinity size", "misread (%)")
plots.curves(axes[1], l2, equal_l2, "L2 size", "")
plt.show()
assert equal_linf["sign"][2] > equal_linf["gradient"][2]
assert equal_l2["gradient"][3] > equal_l2["sign"][3]

# %% [markdown]
# ## Many small steps
# The gradient changes as we move. **Projected gradient descent** (PGD, Madry et al. 2018) takes small steps and, after each, returns to the ball of
# radius $\epsilon$ around the clean image and to the box $[0, 1]$. Below: the loss along the way (a step is $0.0125$ long, so the eighth reaches the border of
# the ball; from there on it can only move along it), and how many digits one step and many steps fool.

# %%
trace = []
attacks.pgd(model, ten.images, ten.labels, eps=0.1, norm="linf", steps=20,
            callback=lambda step, x, losses: trace.append(losses))
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].plot(torch.stack(trace), color=plots.ATTACKED, alpha=0.7)
axes[0].set(xlabel="step", ylabel="loss of the true class", title="ten digits, PGD, eps 0.1", xticks=range(0, 21, 4))
steps = {"one (FGSM)": lines["FGSM"],
         "twenty (PGD)": misread(lambda eps: attacks.pgd(model, test.images, test.labels, eps=eps, norm="linf"))}
plots.curves(axes[1], sizes, steps, "eps (L-infinity)", "misread (%)", "one step or twenty")
plt.show()
assert steps["twenty (PGD)"][2] > steps["one (FGSM)"][2] + 10

# %% [markdown]
# ## Choose the class
# Go *down* on the loss of a class we want, instead of up on the true one. A 7, pushed towards each of the ten digits (L2, $\epsilon = 3$). Where the title
# does not name the target, this $\epsilon$ was not enough. Red is brighter, blue darker:

# %%
seven = test[test.labels == 7][:1]
copies = seven.images.expand(10, -1, -1, -1)
turned = attacks.pgd(model, copies, torch.arange(10), eps=3.0, norm="l2", steps=40, targeted=True)
said = plots.verdicts(model, turned, test.classes)
plots.show(turned, [f"to {target}: {what}" for target, what in enumerate(said)])
plots.show(turned - copies, signed=True, limit=0.5)

# %% [markdown]
# ## How far do we need to go?
# For each digit, the smallest L2 change that bisection finds. The images themselves are about nine long.

# %%
some = test[:400]
_, needed = attacks.min_norm(model, some.images, some.labels, norm="l2", eps_max=5.0)
_, needed_robust = attacks.min_norm(robust, some.images, some.labels, norm="l2", eps_max=6.0)
figure, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
for name, values, colour in (("standard", needed, plots.ATTACKED), ("robust", needed_robust, plots.CLEAN)):
    ax.hist(values, bins=torch.arange(0, 6, 0.15), alpha=0.6, color=colour,
            label=f"{name}: median {values.median():.2f}")
ax.set(xlabel="smallest L2 change", ylabel="digits")
ax.legend()
plt.show()
print(f"median length of an image: {attacks.l2_norm(some.images).median():.1f}")
medians = torch.stack([needed[some.labels == c].median() for c in range(10)])
print(f"easiest digit to move: {medians.argmin()} ({medians.min():.2f}), "
      f"hardest: {medians.argmax()} ({medians.max():.2f})")
assert needed_robust.median() > 1.4 * needed.median()

# %% [markdown]
# ## The first attack
# Szegedy et al. (2013) found these examples by minimising $c\,\|r\|^2 + J(x + r, \text{target})$ with L-BFGS inside the box, and searching for the largest
# $c$ that still succeeds. It works on one image at a time, and finds slightly smaller changes than PGD. Here each digit is sent to the next:

# %%
few, goal = test[:5], (test.labels[:5] + 1) % 10
by_pgd, _ = attacks.min_norm(model, few.images, goal, norm="l2", eps_max=6.0, steps=50, targeted=True)
found = {"L-BFGS": attacks.lbfgs(model, few.images, goal), "PGD": by_pgd}
distortion = {name: attacks.l2_norm(images - few.images).flatten() for name, images in found.items()}
for name, values in distortion.items():
    print(f"{name:>6}: " + " ".join(f"{value:.2f}" for value in values) + f"   mean {values.mean():.2f}")
both = torch.cat([few.images, found["L-BFGS"]])
plots.show(both, plots.verdicts(model, both, test.classes), columns=5)
assert distortion["L-BFGS"].mean() <= distortion["PGD"].mean() * 1.02

# %% [markdown]
# ## What the gradient looks like
# Once the network is trained, its gradient has to do with the strokes of the digit, a little for the standard network, plainly for the robust one (3.12
# measures it).

# %%
for name, network in {"untrained": untrained, "standard": model, "robust": robust}.items():
    gradient = input_gradient(network, ten.images, ten.labels)
    gradient = gradient / gradient.abs().amax((1, 2, 3), keepdim=True)
    plots.show(gradient, signed=True, limit=1, size=1, label=name)

# %% [markdown]
# ## Try it
# Pick an image, a network, an attack, a norm, a size, a target. (Without a running kernel you see a sheet of five settings; what a row does not name is
# as in a PGD attack on the standard network, L-infinity, eps 0.15, 20 steps.)
# Things to try: the robust network at L2 size 1.5; the same at 4; random signs at 0.3; target 1 against target 8; a digit of your own, drawn or
# photographed (*your own picture*; it stays on this computer).

# %%
from helpers.widgets import attack_explorer

attack_explorer()

# %% [markdown]
# ## In colour
# Colour pictures are easier still to attack. Two networks for CIFAR-10 with the same layers, PGD in $L_2$ with $\epsilon = 0.5$; the changes are shown five times as strong, around grey.

# %%
colour = data.load("cifar10-samples")
six, rows, titles = colour[[0, 1, 4, 6, 3, 7]], [], []
left = {}
for name, network in {"standard": models.load("cifar10/standard"), "robust": models.load("cifar10/robust-l2")}.items():
    attacked = attacks.pgd(network, colour.images, colour.labels, eps=0.5, norm="l2", steps=20)
    left[name] = [100 * attacks.accuracy(network, images, colour.labels) for images in (colour.images, attacked)]
    some = attacked[[0, 1, 4, 6, 3, 7]]
    rows += [(0.5 + 5 * (some - six.images)).clamp(0, 1), some]
    titles += [f"change, {name}", *[""] * 5, *plots.verdicts(network, some, colour.classes)]
plots.show(torch.cat([six.images, *rows]), [colour.classes[label] for label in six.labels] + titles, columns=6, size=1.4)
for name, (clean, attacked) in left.items():
    print(f"{name}: of the 20 pictures {clean:.0f} % right, attacked {attacked:.0f} %")
assert left["standard"][1] < 20 < 40 < left["robust"][1]

# %% [markdown]
# The standard network falls to changes that look like nothing. Where the robust one falls, the change begins to have shapes: unit 06 makes it larger.
#
# ## How large is eps to the eye?
# Real photographs, with each pixel moved by 8/255, 16/255 and 32/255 at random. On photographs 8/255 is the size the field settled on; digits,
# almost black and white, take 0.1 to 0.3.

# %%
photos = data.load("imagenet-samples")[[0, 17, 12]]
noisy = [attacks.random_signs(photos.images, eps=e / 255) for e in (0, 8, 16, 32)]
titles = ["as it is", "8/255", "16/255", "32/255"]
plots.show(torch.stack(noisy, 1).flatten(0, 1), titles * 3, columns=4, size=2)

# %% [markdown]
# Where ImageNet weights are at hand (`python -m helpers.models resnet18` fetches them once), 3.14 attacks such a photograph as the MIT practicum
# (Santurkar & Tsipras 2020) did.
#
# ## What goes wrong in published code
# Each of these was found in a tutorial or a library. You will meet most of them as wrong answers that the checks recognise.
#
# - dividing the gradient by its largest entry instead of its largest *absolute* entry: then $\epsilon$ is not the size of the step
# - iterating FGSM without ever projecting back: after 20 steps of $\epsilon$ you are up to $20\,\epsilon$ away
# - one norm for the whole batch, or a *mean* loss in an unnormalised step: the attack then depends on the batch size
# - predictions used as labels: accuracy looks better than it is
# - never testing the last iterate, or reporting the clean image where the attack failed
# - normalisation outside the model: $\epsilon$ then means something else in each channel
#
# **Now you:** [your copy of the exercises](../my-work/03_adversarial_examples.ipynb).
