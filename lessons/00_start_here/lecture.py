# %% [markdown]
# # 00 · Start here
# What does a network look at? Why did a nudge we hardly notice fool it? What does a network see that is hard to fool?
# This course answers by doing: on real images, on this computer, with every key method written by you.
#
# Here is what it is about, in one picture. Left: a digit that a good network reads without doubt. Middle: a small change of the pixels, made visible (red
# adds, blue takes away). Right: both together. Above each is what the network says of it, and how sure it is.

# %%
from helpers import attacks, data, models, plots

test = data.load("mnist5k")
model = models.load("mnist5k/standard")
one = test[test.labels == 7][:1]
attacked = attacks.pgd(model, one.images, one.labels, eps=2.0, norm="l2", steps=40)
plots.three_panels(model, one.images, attacked - one.images, test.classes)

# %% [markdown]
# To us it is still a 7, a little smudged. The network is sure that it is not. Nothing is wrong with this network: it reads 98 of 100 digits it has never seen.

# %%
share = attacks.accuracy(model, test.images, test.labels)
print(f"{100 * share:.1f} % of the 1,000 test digits are read correctly")
assert share >= 0.97
assert attacks.fooled(model, attacked, one.labels).all()

# %% [markdown]
# ## How the course works
# Each unit has three notebooks: the **lecture** (like this one, to read and run), the **exercises** (you write, in your own copy in `my-work/`), and
# the **solutions**. In the exercises five words help:
#
# | you run | what happens |
# |---|---|
# | `check("3.1", fgsm)` | your answer is tested; if it is wrong, you are told why |
# | `hint("3.1")` | one more hint with each call |
# | `reveal("3.1")` | shows a solution; asks first |
# | `predict("3.2", 30)` | keeps your guess, then shows the picture |
# | `progress()` | what you have done |
#
# ## Images by name
# `data.load(name)` gives images in $[0, 1]$ with labels. These are always there:

# %%
for name in ("mnist5k", "fashion-samples", "cifar10-samples", "imagenet-samples"):
    print(data.load(name))

# %%
for name in ("fashion-samples", "cifar10-samples", "imagenet-samples"):
    some = data.load(name)[:6]
    plots.show(some.images, [some.classes[label] for label in some.labels], columns=6, size=1.5)

# %% [markdown]
# Full data sets are used where they are: the data folder is the one that `WORKBOOK_DATA` names. A lesson never needs them. Ask for one that is not
# there, and you are told what to do:

# %%
try:
    data.load("mnist", "train")
except FileNotFoundError as error:
    print(error)

# %% [markdown]
# ## Networks by name
# `models.load(name)` gives a network whose weights come with the course. What each can do was measured when it was trained:

# %%
for name in ("mnist5k/standard", "mnist5k/robust-l2"):
    clean, attacked = (models.info(name)["measured"][key]["share"] for key in ("clean", "pgd50 l2 1.5"))
    print(f"{name:28} {100 * clean:5.1f} % right, {100 * attacked:5.1f} % under attack (L2, eps 1.5)")

# %% [markdown]
# The *robust* network was trained on attacked images, with nothing else changed. It loses little on clean digits and keeps most under attack.
# `doctor()` says what works on your machine:

# %%
from helpers.doctor import doctor

doctor()

# %% [markdown]
# ## Notation
# The same in all units.
#
# | symbol | code | what |
# |---|---|---|
# | $x$ | `images`, N x C x H x W | images, values in $[0, 1]$ |
# | $y$ | `labels`, N | the true classes, whole numbers |
# | $z(x)$ | `model(images)`, N x classes | scores before the softmax: *logits* |
# | $p(x)$ | `.softmax(1)` | probabilities; the largest is called the *confidence* |
# | $J(x, y)$ | `F.cross_entropy(..., reduction="sum")` | the loss: $-\log p_y(x)$. Summed, so that one image's gradient does not depend on the others |
# | $g = \nabla_x J$ | `torch.autograd.grad(loss, images)` | the gradient for the **image**, of the image's shape |
# | $\delta$, $r$ | `adversarial - images` | the perturbation |
# | $\lVert\delta\rVert_\infty$ | `delta.abs().amax((1, 2, 3))` | the largest change of a pixel |
# | $\lVert\delta\rVert_2$ | `delta.flatten(1).norm(dim=1)` | the length of the change |
# | $\epsilon$ | `eps` | the size a perturbation may have, in the norm that is named |
# | $\alpha$ | `step_size` | how far one step goes |
#
# Images are shown as they are. Perturbations and signed attributions are shown in red (adds), white (nothing) and blue (takes away), a scale that
# colour-blind people can read too.
#
# **Now you:** [your copy of the exercises](../my-work/00_start_here.ipynb).
