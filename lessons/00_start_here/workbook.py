# %% [markdown]
# # 00 · Start here
# **You need:** some Python and PyTorch. Nothing else: everything runs on this computer, without a network.
#
# **Afterwards you can:** find your way in the course: run cells, get an answer checked, ask for a hint, make a prediction, move a widget.
#
# Click into a cell and press **Shift + Enter** to run it. Do so from top to bottom.

# %%
import matplotlib.pyplot as plt
import torch

from helpers import attacks, data, models, plots
from helpers.course import check, hint, predict, progress, reveal
from helpers.doctor import doctor

doctor()

# %% setup="checks"
import matplotlib.pyplot as plt
import torch

from helpers import attacks, data, models, plots
from helpers.checking import Pixels, Wrong, WrongType, arguments

# %% [markdown] part="0.1" minutes=3 core=true
# ## Images and networks by name
# `data.load(name)` gives real images: a tensor N x C x H x W with values in $[0, 1]$, the labels, and the names of the classes.
# `models.load(name)` gives a trained network.

# %%
test = data.load("mnist5k")
model = models.load("mnist5k/standard")
print(test)
ten = test.per_class(1)
plots.show(ten.images, plots.verdicts(model, ten.images, test.classes))

# %% [markdown]
# Above each digit is what the network says, and how sure it is. Colour pictures are there as well:

# %%
colour = data.load("cifar10-samples")[:10]
plots.show(colour.images, [colour.classes[label] for label in colour.labels])

# %% [markdown] exercise="0.2" minutes=4 difficulty=1 core=true
# ## Your first answer
# First run the cell with `check` below *before* you write anything, and see what it says. Then write the function: the share of `images` whose largest
# score is at their label. `model(images)` gives the scores, N x classes.
#
# Stuck? Run `hint("0.2")` in a new cell (press **B** outside a cell to make one), once or twice. `reveal("0.2")` shows a solution.

# %%
def accuracy(model, images, labels):
    """The share of images that the model gets right, a float from 0 to 1."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        predicted = model(images).argmax(1)
    return (predicted == labels).float().mean().item()
    ### END SOLUTION

# %%
check("0.2", accuracy)

# %% [markdown] hints="0.2"
# - `model(images).argmax(1)` is the predicted class of each image. Compare it with `labels`.
# - `(predicted == labels).float().mean()` is the share of true entries; `.item()` makes it a number.

# %% check="0.2"
def check(accuracy):
    arguments(accuracy, "model", "images", "labels")

    said, labels = torch.tensor([0, 1, 2, 3, 0, 1, 2]), torch.tensor([0, 1, 2, 3, 1, 2, 1])     # four of seven are right
    images = torch.eye(4)[said].view(7, 1, 2, 2) * torch.tensor([0.3, 0.3, 0.3, 0.3, 0.3, 0.9, 0.3]).view(-1, 1, 1, 1)
    out = accuracy(Pixels(), images, labels)
    if isinstance(out, torch.Tensor) and out.numel() == 1:
        out = out.item()
    if not isinstance(out, (int, float)) or isinstance(out, bool):
        shape = f" of shape {tuple(out.shape)}" if isinstance(out, torch.Tensor) else ""
        hint = " Is there a `return`?" if out is None else " Average over the images: `.float().mean().item()`."
        raise WrongType(f"wanted a number from 0 to 1, but a `{type(out).__name__}`{shape} came.{hint}")
    if abs(out - 3 / 7) < 1e-6:
        raise Wrong("this is the share of *wrong* answers. Compare with `==`.")
    if abs(out - 4) < 1e-6:
        raise Wrong("this counts the right answers: divide by the number of images, or take the mean.")
    if abs(out - 400 / 7) < 1e-4:
        raise Wrong("this is a percentage; wanted is a share from 0 to 1.")
    if not abs(out - 4 / 7) < 1e-6:
        raise Wrong(f"four of seven images are right here, a share of {4 / 7:.3f}, but {out:.3f} came. Does `argmax` run over dim 1, the "
                    "classes? Do you use the arguments `images` and `labels`, and round nothing?")
    return "a check says what is wrong, not only that it is. Try a wrong answer on purpose."

# %%
print(f"{100 * accuracy(model, test.images, test.labels):.1f} % of the 1,000 test digits")

# %% [markdown] predict="0.3" minutes=3 core=true low=0 high=100 unit="%"
# ## Predict, then look
# We remember what surprised us. So now and then you are asked to guess first; the picture comes after it, with your guess in it.
# There are no marks for guesses. Put a number in place of `...`.
#
# There are three networks in the picture: *untrained*, *standard* (trained as usual) and *robust* (trained on attacked images; unit 06).
#
# **An untrained network, with random weights, looks at the 1,000 test digits. How many per cent does it get right?**

# %%
predict("0.3", 10)

# %% answer="0.3"
def answer(guess):
    test = data.load("mnist5k")
    names = {"untrained": "standard-untrained", "standard": "standard", "robust": "robust-l2"}
    shares = {name: 100 * attacks.accuracy(models.load(f"mnist5k/{file}"), test.images, test.labels) for name, file in names.items()}
    figure, ax = plt.subplots(figsize=(5, 2.2), layout="constrained")
    bars = ax.barh(list(shares), shares.values(), color=plots.CLEAN)
    ax.bar_label(bars, fmt="%.1f", padding=12)
    ax.axvline(guess, color="black", linestyle="--", label="your guess")
    ax.legend(loc="lower right", fontsize=8)
    ax.set(xlabel="test digits right (%)", xlim=(0, 119))
    return f"Measured: {shares['untrained']:.0f} %. Ten classes, so chance is about 10 %. The other two bars are the networks you will meet most."

# %% [markdown] part="0.4" minutes=3 core=true
# ## Something to move
# Cells with sliders work too, by mouse and by keyboard. Move the noise size, choose another network or another digit, or bring a picture of your own
# (it stays on this computer). At which size do *you* stop reading the digit, and at which
# does the network?

# %%
from helpers.widgets import noise_explorer

noise_explorer()

# %% [markdown]
# The network survives a good deal of *random* noise. In unit 03 you will find much smaller changes that it does not survive.
#
# What is done so far:

# %%
progress("00")

# %% [markdown]
# **Next:** [unit 03, adversarial examples](03_adversarial_examples.ipynb). Your copies of the exercises are in `my-work/`, and stay as you leave them.
