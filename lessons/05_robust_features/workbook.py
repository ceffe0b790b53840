# %% [markdown]
# # 05 · Robust and non-robust features
# **You need:** unit 03 (PGD); from unit 02, the planted images.
#
# **Afterwards you can:** build a training set whose every label looks wrong and from which a network learns what is right; say what a *feature* is, which are robust, and
# how to keep only the one kind; find where a network's accuracy lives, in which directions and which frequencies.
#
# Notation: $x$ an image in $[0, 1]$, $y$ its class, $t$ another class, $f$ a network, $\phi(x)$ its representation: what goes into its last layer. A **feature** is any function of the
# image that is correlated with the class. It is *robust* if it stays so when an adversary may move the image by $\epsilon$, and *non-robust* if it does not (Ilyas et al. 2019).

# %%
import matplotlib.pyplot as plt
import torch

from helpers import attacks, data, models, planted, plots
from helpers.course import check, hint, predict, progress, reveal
from helpers.training import train

digits, test = data.load("mnist5k", "train"), data.load("mnist5k")
model, robust = models.load("mnist5k/standard"), models.load("mnist5k/robust-l2")


def trained_on(images, labels, seed=1):
    """A fresh small network, trained for five epochs on these images and labels."""
    torch.manual_seed(seed)
    network = models.small_cnn()
    train(network, images, labels, epochs=5, seed=seed, progress=False)
    return network

# %% setup="checks"
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from helpers import attacks, data, models, planted, plots
from helpers.checking import Wrong, WrongType, arguments, close, images, linear, tensor, untouched
from helpers.training import train

# %% [markdown] exercise="5.1" minutes=8 difficulty=2 core=true
# ## A training set in which every label is wrong
# Take a standard network and move each image towards a class it does not belong to, by so little that we (nearly always) still see the old class. Then write the *new* class on it.
# To us the labels are now wrong; to the network they are right. Keep only the images for which that worked.
#
# Use the library's attack, which you wrote yourself in unit 03: `attacks.pgd(model, images, targets, eps=eps, norm="l2", steps=20, targeted=True)`.

# %%
def mislabelled(model, images, targets, eps):
    """images: N x C x H x W, targets: int64 N. (moved images, labels): those that `model` takes for their target after an L2 attack of size eps."""
    ### BEGIN SOLUTION
    moved = attacks.pgd(model, images, targets, eps=eps, norm="l2", steps=20, targeted=True)
    kept = model(moved).argmax(1) == targets
    return moved[kept], targets[kept]
    ### END SOLUTION

# %%
check("5.1", mislabelled)

# %% [markdown] hints="5.1"
# - Attack all images at once; compare what the network says of the results with `targets`; use the comparison as a mask.
# - `kept = model(moved).argmax(1) == targets`, then `moved[kept]`. The labels are the targets, of those that are kept.

# %% check="5.1"
def check(mislabelled):
    arguments(mislabelled, "model", "images", "targets", "eps")
    net = linear(2, (1, 4, 4), 3)
    unit = torch.randn(16, generator=torch.Generator().manual_seed(5))
    unit = (unit - unit.mean()) / (unit - unit.mean()).norm()      # grey lies on the border of the two classes
    net.weights.data = torch.stack([4 * unit, -4 * unit])
    # Distances to the border are known: half of the images lie nearer than eps, half farther.
    side = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    distance = torch.tensor([0.05, 0.1, 0.35, 0.4, 0.15, 0.3])
    flat = images(6, (16,), 0.3, 0.7, 4)
    x = (flat + (side * distance - flat @ unit)[:, None] * unit).view(6, 1, 4, 4)
    targets = (side > 0).long()     # class 0 wins where the side is positive: the other class is wanted
    eps, reachable = 0.2, distance < 0.2
    before = x.clone()
    out = mislabelled(net, x, targets, eps)
    untouched((x, before))
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise WrongType(f"wanted two things, the images and their labels, but `{type(out).__name__}` came. "
                        + ("Is there a `return`?" if out is None else "`return moved[kept], targets[kept]`."))
    moved, labels = out
    if not isinstance(moved, torch.Tensor) or not isinstance(labels, torch.Tensor) or moved.ndim != 4 or labels.ndim != 1:
        raise WrongType("wanted images N x C x H x W and labels N, both tensors.")
    if len(moved) != len(labels):
        raise Wrong(f"{len(moved)} images came with {len(labels)} labels: apply the same mask to both.")
    if moved.requires_grad:
        raise Wrong("the images still hang on the graph: choose them with a mask that was computed under `torch.no_grad()`, or `.detach()`.")
    if labels.dtype != torch.int64:
        raise WrongType(f"labels are int64, but came as {labels.dtype}.")
    if len(moved) == 0:
        raise Wrong("no image came back, though three can be moved across the border. Is the attack `targeted=True`, and do you keep those whose class *after the attack* equals the target?")
    nearest = torch.cdist(moved.flatten(1), x.flatten(1)).argmin(1)
    length = (moved - x[nearest]).flatten(1).norm(dim=1)
    if length.max() < 1e-6:
        raise Wrong("these are the images as they were: return the moved ones.")
    if length.max() > eps * 1.01:
        raise Wrong(f"an image was moved by {length.max():.2f} in L2, but eps is {eps}. Is it `norm=\"l2\"`?")
    if len(moved) == 6:
        raise Wrong("all six images came back, also those that the network does not take for their target (three lie farther from the border than eps). Keep the others only.")
    said = net(moved).argmax(1)
    if (said != targets[nearest]).any() and (nearest.sort().values.tolist() == [2, 3, 5]):
        raise Wrong("these are the images for which it did *not* work: the mask is the wrong way round.")
    if (said != targets[nearest]).all():
        raise Wrong("the network takes none of these images for its target: was the attack aimed away from it (`targeted=True`)?")
    if (said != targets[nearest]).any():
        raise Wrong("among these are images that the network does not take for their target.")
    if (labels == 1 - targets[nearest]).all():
        raise Wrong("each label is the class the image had. The point is to write the *target* on it.")
    if not torch.equal(labels, targets[nearest]):
        raise Wrong("labels and images do not belong together: apply the same mask, in the same order, to both.")
    if nearest.sort().values.tolist() != [0, 1, 4]:
        raise Wrong(f"three of the six images can be moved to their target within eps, {len(moved)} came. Use 20 steps, and keep every one that succeeds.")
    return "every label is wrong, and the network agrees with every one."

# %%
some = digits[:1000]
targets = (some.labels + torch.randint(1, 10, some.labels.shape, generator=torch.Generator().manual_seed(0))) % 10      # any class but its own
moved, labels = mislabelled(model, some.images, targets, 3.0)
print(f"{len(moved)} of {len(some)} kept")
plots.show(moved[:10], [f'"{label}"' for label in labels[:10]], label="a training set; the label of each image")

# %% [markdown] predict="5.2" minutes=6 core=true low=0 high=100 unit="%"
# ## Train on it, test on the truth
# 4,000 training digits, each moved by at most 3 in $L_2$ towards a class drawn at random, all of them labelled with it (`data.load("digits-rand", "train")`; made as in 5.1, with 40 steps, and kept so that
# you need not wait; the few that failed stayed in). A fresh network learns from these images alone. **How many of the clean test digits, with their true labels, will it read correctly?** (Guessing gives 10 %.)

# %%
predict("5.2", 10)

# %% answer="5.2"
def answer(guess):
    sets = {"drawn at random": data.load("digits-rand", "train"), "the next class": data.load("digits-det", "train")}
    test, shares = data.load("mnist5k"), {}
    for name, some in sets.items():
        torch.manual_seed(1)
        network = models.small_cnn()
        train(network, some.images, some.labels, epochs=5, seed=1, progress=False)
        shares[name] = 100 * attacks.accuracy(network, test.images, test.labels)
    some = sets["drawn at random"]
    plots.show(some.images[:10], [f'"{label}"' for label in some.labels[:10]], label="what it learned from, with its labels")
    figure, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
    ax.barh(range(2), list(shares.values()), 0.5, color=plots.ATTACKED, hatch="//")
    ax.plot([guess], [0], "kx", markersize=9, label="your guess")
    ax.axvline(10, color="k", linestyle=":", label="guessing")
    ax.set(yticks=range(2), yticklabels=shares, xlim=(0, 100), xlabel="clean test digits read correctly (%)")
    ax.legend(fontsize=8)
    rand, det = shares.values()
    return (f"With labels drawn at random it reads {rand:.0f} % of the clean digits, with the next class always {det:.0f} %. "
            "It has never seen one digit with its right label.")

# %% [markdown]
# And from a set that your own method makes, at most 600 images:

# %%
mine, their_labels = mislabelled(model, some.images[:600], targets[:600], 3.0)
share = 100 * attacks.accuracy(trained_on(mine, their_labels), test.images, test.labels)
print(f"learned from your {len(mine)} images, every label wrong: {share:.0f} % of the clean test digits right")

# %% [markdown]
# <details><summary>How can that be?</summary>
#
# To the network that was fooled, these images *are* of their new class, and it has that from the data: it had learned patterns that are correlated with the classes, on real digits, and which
# a small change can turn round. The attack turned these and left the shape that we go by. The new network finds the only thing that agrees with its labels; and because that is a
# real regularity of real digits, it works on clean ones. Adversarial examples are not bugs, they are features (Ilyas et al. 2019).
#
# With the next class as the label there is a second regularity: what looks like a 3 is always called 4. A network that learns this shape is wrong on every clean digit. That it
# is right more often than by guessing, although the shape votes against it each time, says how strong the other kind of feature is.
# </details>

# %% [markdown] exercise="5.3" minutes=10 difficulty=3 core=true
# ## Two images that are the same to a network
# Which features does a network have? Its last layer sees an image only as $\phi(x)$. So look for an image $x'$ that looks like something else, and yet has the same features:
#
# $$\min_{x'} \; \|\phi(x') - \phi(x)\|_2 \qquad\text{starting from another image}$$
#
# Descend with steps of a fixed length: each image moves by `step_size` (in $L_2$) against its own gradient, then back into $[0, 1]$. `features(images)` gives $\phi$, N x D, and can be differentiated.

# %%
def match(features, images, start, steps, step_size):
    """Images that begin as `start` and are moved until their features are those of `images` (N x C x H x W both)."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        wanted = features(images)
    x = start.clone()
    for _ in range(steps):
        x.requires_grad_()
        distance = (features(x) - wanted).norm(dim=1).sum()
        g = torch.autograd.grad(distance, x)[0]
        length = g.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
        x = (x.detach() - step_size * g / length).clamp(0, 1)
    return x
    ### END SOLUTION

# %%
check("5.3", match)

# %% [markdown] hints="5.3"
# - The features of `images` are computed once, before the loop. In the loop: the distance of `features(x)` to them, summed over the batch; its gradient for `x`; one step.
# - Divide each image's gradient by its own L2 length: `g / g.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)`.
# - `x = start.clone()`; each turn `x.requires_grad_()`, `torch.autograd.grad(distance, x)[0]`, `x = (x.detach() - step_size * ...).clamp(0, 1)`.

# %% check="5.3"
def check(match):
    arguments(match, "features", "images", "start", "steps", "step_size")
    # Three features of sixteen pixels, orthonormal but for a factor of 4 (else a gradient would have length 1 before anyone divides it): what they
    # do not see must stay as in the start, what they see must become that of the image.
    rows = torch.linalg.qr(torch.randn(16, 3, generator=torch.Generator().manual_seed(0))).Q.T
    asked = []

    def features(x):
        asked.append((x.detach() - 0.5).abs().max().item())
        return 4 * x.flatten(1) @ rows.T
    x, start = images(3, (1, 4, 4), 0.4, 0.6, 1), images(3, (1, 4, 4), 0.4, 0.6, 2)
    start = start + torch.tensor([0.0, 0.05, 0.15]).view(-1, 1, 1, 1) * rows[0].view(1, 4, 4)      # at different distances
    before = x.clone(), start.clone()
    out = tensor(match(features, x, start, 60, 0.02), x, "the result")
    untouched((x, before[0]), (start, before[1]))
    if close(out, start, 1e-6):
        raise Wrong("these are the images you started from: is the result of each step kept?")
    if close(out, x, 1e-3):
        raise Wrong("these are `images` themselves: of course they have the same features. Begin with `start`.")
    seen = lambda z: z.flatten(1) @ rows.T
    hidden = lambda z: z.flatten(1) - seen(z) @ rows
    distance = (seen(out) - seen(x)).norm(dim=1)
    begin = (seen(start) - seen(x)).norm(dim=1)
    if (hidden(out) - hidden(x)).norm(dim=1).max() < 0.04:      # within two steps
        raise Wrong("what the features do *not* see is that of `images`; it should have stayed that of `start`. Do you begin at `start`, and is the distance that of the features, not that of the images?")
    one = tensor(match(features, x, start, 1, 0.02), x, "the result of one step")
    if ((seen(one) - seen(x)).norm(dim=1) > begin + 0.001).all():
        raise Wrong("the features move away from those of `images`: descend, against the gradient.")
    moved = (one - start).flatten(1).norm(dim=1)
    if close(moved, torch.full((3,), 0.04), 1e-3):
        raise Wrong("with steps=1 there were two steps: one too many.")
    if close(moved.norm(), 0.02, 1e-4) and not close(moved, torch.full((3,), 0.02), 1e-4):
        raise Wrong("the whole batch shares one length: divide each image's gradient by its own.")
    if not close(moved, torch.full((3,), 0.02), 1e-3):
        raise Wrong(f"one step of 0.02 moved the three images by {', '.join(f'{m:.3f}' for m in moved)} in L2. Divide each image's gradient by its own L2 length.")
    if (distance > 0.03).any():
        raise Wrong(f"after 60 steps of 0.02 the features are still {distance.max():.2f} away (they can come within a step). Is the gradient taken anew in every turn, "
                    "and is it that of the distance to the features of `images`?")
    if not close(hidden(out), hidden(start), 1e-3):
        raise Wrong("the features fit, but something that they do not see has changed too: move along the gradient only.")
    edge = tensor(match(features, torch.ones(1, 1, 4, 4), 0.9 * torch.ones(1, 1, 4, 4), 1, 2.0), torch.ones(1, 1, 4, 4))
    if edge.max() > 1 + 1e-6 or edge.min() < -1e-6:
        raise Wrong("the result leaves [0, 1]: clamp after each step.")
    match(features, torch.ones(1, 1, 4, 4), 0.9 * torch.ones(1, 1, 4, 4), 2, 2.0)
    if max(asked) > 0.5 + 1e-6:
        raise Wrong("the result lies in [0, 1], but on the way an image left it: clamp after *each* step, not only after the last.")
    return "what the network cannot tell apart, you can."

# %%
from helpers.visualisation import features

six = test.per_class(1)[:6]
start = test.per_class(2)[torch.tensor([15, 17, 1, 3, 19, 7])].images
rows, titles = [six.images, start], ["wanted features"] + [""] * 5 + ["started from"] + [""] * 5
for name, network in {"standard": model, "robust": robust}.items():
    rows.append(match(lambda x: features(network, x), six.images, start, 100, 0.2))
    titles += [f"same features, {name}"] + [""] * 5
    begun, left = ((features(network, x) - features(network, six.images)).norm(dim=1).detach() for x in (start, rows[-1]))
    print(f"{name}: of the distance at the start there is left " + ", ".join(f"{100 * share:.0f} %" for share in left / begun))
plots.show(torch.cat(rows), titles, columns=6, size=1.2)

# %% [markdown]
# <details><summary>What to see</summary>
#
# The third row has, to the standard network, nearly the features of the first; the fourth has them to the robust network, some less nearly (the printed shares). Which row would you
# have taken for the first? What a network does
# not tell apart, it does not use; so a set of images that agree with the originals in the robust network's features alone holds what *that* network uses, and nothing else on purpose.
# </details>

# %% [markdown] predict="5.4" minutes=5 core=true choices=["clearly more robust","a little less robust","not robust at all"]
# ## Keep only the robust features
# So do this with all 4,000 training digits: start from another digit, drawn at random, and match the features of the *robust* network; keep the label of the digit whose features they are. That is
# `digits-robust` ($D_R$). A fresh network is now trained on it **in the usual way**, without any attack. Against one trained on the originals, it will be ...

# %%
predict("5.4", "a little less robust")

# %% answer="5.4"
def answer(guess):
    test, sizes = data.load("mnist5k")[:200], (0.0, 0.5, 1.0, 1.5)
    sets = {"the originals": data.load("mnist5k", "train"), "robust features": data.load("digits-robust", "train"),
            "non-robust features": data.load("digits-nonrobust", "train")}
    table = {}
    for name, some in sets.items():
        torch.manual_seed(1)
        network = models.small_cnn()
        train(network, some.images, some.labels, epochs=5, seed=1, progress=False)
        table[name] = [100 * attacks.accuracy(network, test.images, test.labels)] + [
            100 * attacks.robust_accuracy(network, test.images, test.labels, eps, norm="l2", steps=15, restarts=1)[0] for eps in sizes[1:]]
        plots.show(some.images[:10], some.labels[:10].tolist(), label=name)
    figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    plots.curves(ax, sizes, table, "eps (L2)", "right (%)")
    for name, values in table.items():
        print(f"trained on {name:>24}: clean {values[0]:.0f} %, at 0.5 / 1.0 / 1.5 in L2 {' / '.join(f'{value:.0f} %' for value in values[1:])}")
    robust, plain, other = (table[name][2] for name in ("robust features", "the originals", "non-robust features"))
    return (f"At 1.0 it withstands for {robust:.0f} % of the digits, the one trained on the originals for {plain:.0f} %. In the paper, on CIFAR-10, D_R makes a network clearly more robust: 48 % at 0.25, where a "
            f"ResNet-50 trained on the originals keeps 7 % (the authors' library `robustness`). Here the originals give much robustness without any help. The set with features of the standard network (D_NR: the same from the standard network, moved by at most 3) teaches {table['non-robust features'][0]:.0f} % of the clean digits, and at 1.0 {other:.0f} %.")

# %% [markdown] exercise="5.5" minutes=4 difficulty=1 core=true
# ## Who follows what?
# On digits nobody knows which feature is which. On the `planted` images of unit 02 we do: a shape (robust: it takes a large change to turn it into another) and a faint pattern (non-robust).
# `planted.draw(n, disagree=True)` draws the shape of one class under the pattern of another: `some.shapes` and `some.patterns` say which.

# %%
def follows(model, some):
    """The shares of some.images that `model` calls by their shape and by their pattern: two floats, 0 to 1."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        said = model(some.images).argmax(1)
    return (said == some.shapes).float().mean().item(), (said == some.patterns).float().mean().item()
    ### END SOLUTION

# %%
check("5.5", follows)

# %% [markdown] hints="5.5"
# - One prediction for each image, compared once with `some.shapes` and once with `some.patterns`.
# - `(said == some.shapes).float().mean().item()`; the images where it says neither count in neither share.

# %% check="5.5"
def check(follows):
    arguments(follows, "model", "some")
    some = planted.draw(40, seed=3, disagree=True)
    class Says(nn.Module):
        """Calls the first 10 by their shape, the next 25 by their pattern, the rest by neither."""
        def forward(self, x):
            if len(x) != 40:
                raise ValueError(f"the model was shown {len(x)} of the 40 images")
            neither = torch.tensor([next(c for c in range(5) if c not in (s, p)) for s, p in zip(some.shapes.tolist(), some.patterns.tolist())])
            said = torch.cat([some.shapes[:10], some.patterns[10:35], neither[35:]])
            return F.one_hot(said, 5).float()
    out = follows(Says(), some)
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise WrongType(f"wanted two numbers, but `{type(out).__name__}` came." + (" Is there a `return`?" if out is None else ""))
    shape, pattern = (value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value for value in out)
    if isinstance(shape, torch.Tensor) or isinstance(pattern, torch.Tensor):
        raise WrongType("wanted two numbers, a share of all images each: average over the images.")
    if abs(shape - 0.625) < 1e-6 and abs(pattern - 0.25) < 1e-6:
        raise Wrong("the two are exchanged: first the shape, then the pattern.")
    if abs(shape - 0.25) < 1e-6 and abs(pattern - 0.75) < 1e-6:
        raise Wrong("what does not follow the shape need not follow the pattern: a network can say something else. Compare with `some.patterns` too.")
    if abs(shape - 0.375) < 1e-6 and abs(pattern - 0.625) < 1e-6:
        raise Wrong("what does not follow the pattern need not follow the shape: a network can say something else. Compare with `some.shapes` too.")
    if abs(shape - pattern) < 1e-6 and abs(shape - 0.25) < 1e-6:
        raise Wrong("both are the share that follows the shape (here `some.labels` are the shapes): compare once with `some.shapes`, once with `some.patterns`.")
    if abs(shape - 10) < 1e-6 or abs(shape - 25) < 1e-6:
        raise Wrong("these are counts or percentages; wanted are shares, 0 to 1.")
    if abs(shape - 10 / 35) < 1e-3:
        raise Wrong("these are shares of the images that follow one of the two; wanted are shares of all images.")
    if abs(shape - 0.25) > 1e-6 or abs(pattern - 0.625) > 1e-6:
        raise Wrong(f"of 40 images the network called 10 by their shape and 25 by their pattern: 0.25 and 0.625, but {shape:.3f} and {pattern:.3f} came. `argmax` runs over dim 1.")
    return "now ask the two networks."

# %%
against = planted.draw(500, seed=9, disagree=True)
for kind in ("standard", "robust-l2"):
    shape, pattern = follows(models.load(f"planted/{kind}"), against)
    print(f"planted/{kind}: follows the shape in {100 * shape:.0f} %, the pattern in {100 * pattern:.0f} %")

# %% [markdown] part="5.6" minutes=4 core=true
# ## Where is the switch?
# Two patterns lie 0.62 apart, so a change of 0.31 brings an image half way from one to another: an adversary with that much can erase the pattern, and a network that still went by it could not withstand. For a pattern $s$ times as
# large that takes $0.31\,s$. Below that a network *could* keep the pattern.
#
# **Predict:** sketch, for networks trained against attacks of $\epsilon$ from 0 to 0.6, the share that follows the pattern. The second cell answers. The first asks the two networks you know (trained at 0 and at 0.6)
# with your `follows`, on patterns made weaker or stronger.

# %%
bare, faint = planted.draw(300, seed=11, disagree=True), planted.pattern_of_each_class()
factors, lines = (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4), {}
for kind, name in {"standard": "standard", "robust-l2": "robust"}.items():
    network = models.load(f"planted/{kind}")
    values = [follows(network, planted.Planted((bare.images + (factor - 1) * faint[bare.patterns]).clamp(0, 1), bare.labels, bare.shapes, bare.patterns, bare.masks))
              for factor in factors]
    lines[f"{name}: pattern"] = [100 * pattern for _, pattern in values]
    lines[f"{name}: shape"] = [100 * shape for shape, _ in values]
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
plots.curves(ax, factors, lines, "size of the pattern (1: as trained on)", "follow it (%)", "shape and pattern disagree")
plt.show()

# %% [markdown]
# Then small networks that were trained for this, with patterns of several sizes (`python -m experiments.switch`):

# %%
import json
from pathlib import Path

file = Path("../results/switch.json")
measured = json.loads(file.read_text())["rows"] if file.exists() else []
if not measured:
    print("This has not been run yet: there are no figures to show.")
for row in measured:
    print(f"pattern {row['size']:g} times as large, erased at {0.31 * row['size']:.2f}, trained at {row['eps']:.2f}: {100 * row['pattern']['share']:.0f} % follow the pattern, {100 * row['shape']['share']:.0f} % the shape; "
          f"right under that attack: {100 * row['attacked in training']:.0f} %")

# %% [markdown]
# <details><summary>What to see</summary>
#
# The standard network follows the pattern more often than the shape from a quarter of the size it was trained on, the robust one never. In the second table: trained at 0.31, a network keeps a pattern four times as large (and withstands) and gives up the one of the usual
# size, which 0.31 can erase. What counts is the attack's size against the pattern's. At half the distance no network goes by the pattern and withstands, as must be (five classes: 20 % follow it by chance); these let go even earlier, and at 1.24 the network is left with
# guessing.
# </details>

# %% [markdown] exercise="5.7" minutes=8 difficulty=2 core=true
# ## Directions that matter
# Along which directions of the image space does a network's output change most (Jetley et al. 2018)? Take its gradients for many images, one row each, N x D. Their singular vectors answer:
# $G = U S V^\top$, and the rows of $V^\top$ are directions of the image space, the one along which the gradients are strongest first.
#
# Write the projection of images on the first $k$ of them: with $W$ the first $k$ rows of $V^\top$ (k x D), $x \mapsto W^\top W\, x$ for an image $x$ of D numbers. Take gradients and images as they come, without
# taking a mean away.

# %%
def along(images, gradients, k):
    """What of each image (N x C x H x W) lies along the k directions in which `gradients` (M x C x H x W) are strongest: shape of `images`."""
    ### BEGIN SOLUTION
    _, _, directions = torch.linalg.svd(gradients.flatten(1), full_matrices=False)
    first = directions[:k]
    return (images.flatten(1) @ first.T @ first).view_as(images)
    ### END SOLUTION

# %%
check("5.7", along)

# %% [markdown] hints="5.7"
# - `torch.linalg.svd(gradients.flatten(1), full_matrices=False)` returns U, S and $V^\top$; the rows of the last are the directions, strongest first.
# - Coordinates: `images.flatten(1) @ first.T`, N x k. Back to an image: `coordinates @ first`, then `.view_as(images)`.

# %% check="5.7"
def check(along):
    arguments(along, "images", "gradients", "k")
    basis = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(0))).Q.T       # rows: directions
    strengths = torch.tensor([5.0, 3.0, 1.0, 0.5])
    mixed = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
    mixed = torch.linalg.qr(mixed - mixed.mean(0)).Q * strengths
    gradients = (mixed @ basis[:4]).view(20, 1, 3, 4)
    x = images(5, (1, 3, 4), 0.0, 1.0, 2)
    before = x.clone(), gradients.clone()
    out = tensor(along(x, gradients, 2), x)
    untouched((x, before[0]), (gradients, before[1]))
    flat = x.flatten(1)
    onto = lambda rows: (flat @ rows.T @ rows).view_as(x)
    if close(out, onto(basis[:2]), 1e-3) and close(along(x, gradients, 3), onto(basis[:3]), 1e-3) and close(along(x, gradients, 1), onto(basis[:1]), 1e-3):
        shifted = gradients + 50 * basis[5].view(1, 3, 4)        # a direction that all gradients share is the strongest of all
        if not close(along(x, shifted, 1), (flat @ basis[5:6].T @ basis[5:6]).view_as(x), 0.05):
            raise Wrong("the gradients are centred first: a direction that they all share then goes missing. Take them as they are.")
        return "k numbers in place of all the pixels."
    if close(out, x - onto(basis[:2]), 1e-3):
        raise Wrong("this is the rest, what does *not* lie along the directions.")
    if close(out, onto(basis[2:4]), 1e-3) or close(out, onto(torch.linalg.svd(gradients.flatten(1), full_matrices=False).Vh[-2:]), 1e-3):
        raise Wrong("these are the weakest directions: the strongest come first.")
    if close(out, onto(basis[:3]), 1e-3) or close(out, onto(basis[:1]), 1e-3):
        raise Wrong("the number of directions is one off: `directions[:k]`.")
    if close(out, onto(basis[:4]), 1e-3):
        raise Wrong("this keeps all the directions of the gradients: only the first k are wanted.")
    all_directions = torch.linalg.svd(gradients.flatten(1), full_matrices=False).Vh
    if close(out, onto(all_directions[:, :2].T), 1e-3):
        raise Wrong("these are columns of what `torch.linalg.svd` returns last; it is already transposed, and the directions are its *rows*: `directions[:k]`.")
    some = gradients.flatten(1)[:2]
    if close(out, onto(some), 1e-3) or close(out, onto(some / some.norm(dim=1, keepdim=True)), 1e-3):
        raise Wrong("these are the first k gradients themselves: take the directions that are strong in all of them, `torch.linalg.svd`.")
    if close(out, onto(basis[1:2]), 1e-3) or close(out, onto(basis[2:3]), 1e-3):
        raise Wrong("this keeps one direction alone: all of the first k are wanted, `directions[:k]`.")
    centred = (flat - flat.mean(0)) @ basis[:2].T @ basis[:2]
    if close(out, centred.view_as(x), 1e-3) or close(out, (centred + flat.mean(0)).view_as(x), 1e-3):
        raise Wrong("the images are centred first: project them as they are (whoever calls takes the mean away, if it is to go).")
    if close(out, onto(basis[:2]).clamp(0, 1), 1e-3):
        raise Wrong("the result is clipped to [0, 1]: a projection may leave it. Whoever shows it can clip.")
    _, _, own = torch.linalg.svd(flat, full_matrices=False)
    if close(out, onto(own[:2]), 1e-3):
        raise Wrong("these are the strongest directions of the *images*: take those of the gradients.")
    if close(out, (flat @ basis[:2].T * strengths[:2] @ basis[:2]).view_as(x), 1e-2):
        raise Wrong("the coordinates are multiplied by the singular values: a projection keeps lengths.")
    raise Wrong("this is not the projection on the first k right singular vectors. Check with k = D: it must give the images back, if there are enough gradients. "
                "The directions are the *rows* of what `torch.linalg.svd` returns last.")

# %%
from helpers.attribution import input_gradient

some = digits[:100]
mean = digits.images.mean(0, keepdim=True)
for name, network in {"standard": model, "robust": robust}.items():
    gradients = torch.cat([input_gradient(network, some.images, torch.full((100,), c), of="logit") for c in range(10)])
    gradients = gradients - gradients.view(10, 100, 1, 28, 28).mean(0).repeat(10, 1, 1, 1)      # what moves all logits alike decides nothing
    counts, lines = (1, 4, 16, 32, 64, 256), {"on the first k": [], "on the rest": []}
    for k in counts:
        part = along(test.images - mean, gradients, k)
        lines["on the first k"].append(100 * attacks.accuracy(network, part + mean, test.labels))
        lines["on the rest"].append(100 * attacks.accuracy(network, test.images - part, test.labels))
    figure, ax = plt.subplots(figsize=(5, 2.6), layout="constrained")
    plots.curves(ax, counts, lines, "k, of 784 directions", "right (%)", name)
    ax.set(xscale="log")
    plt.show()
    eight = test.per_class(1)[:8].images
    parts = along(eight - mean, gradients, 16)
    plots.show(torch.cat([(parts + mean).clamp(0, 1), (eight - parts).clamp(0, 1)]), ["first 16"] + [""] * 7 + ["the rest"] + [""] * 7, columns=8, size=1.1)

# %% [markdown]
# <details><summary>What to see</summary>
#
# A few dozen directions carry nearly all of the accuracy. What lies along the first 16 is a blur to us, and the network reads most of it; what is left when they are taken away looks like the digit to us, and the networks read at most half
# of these. What is meaningless to us is not meaningless.
# </details>

# %% [markdown] exercise="5.8" minutes=7 difficulty=2 core=true
# ## Low frequencies
# An image is a sum of waves. `torch.fft.fft2` gives their strengths; `torch.fft.fftfreq(n, 1 / n)` says how many times the wave of each row (or column) of the result goes up and down within the image:
# 0, 1, 2, ..., -2, -1. Write the low-pass filter: keep the waves with $\sqrt{f_y^2 + f_x^2} \le r$, drop the others.

# %%
def low_pass(images, radius):
    """images (N x C x H x W) made of their waves of at most `radius` periods per image: real, the shape of `images`."""
    ### BEGIN SOLUTION
    height, width = images.shape[-2:]
    fy = torch.fft.fftfreq(height, 1 / height)[:, None]
    fx = torch.fft.fftfreq(width, 1 / width)[None]
    kept = (fy ** 2 + fx ** 2).sqrt() <= radius
    return torch.fft.ifft2(torch.fft.fft2(images) * kept).real
    ### END SOLUTION

# %%
check("5.8", low_pass)

# %% [markdown] hints="5.8"
# - `torch.fft.fft2(images)` works on the last two dimensions. Multiply it with a mask H x W and go back with `torch.fft.ifft2(...)`, whose `.real` is the image.
# - `fy = torch.fft.fftfreq(height, 1 / height)[:, None]`, `fx` likewise with `[None]`: their sum of squares is H x W, in the order in which `fft2` has its waves.

# %% check="5.8"
def check(low_pass):
    arguments(low_pass, "images", "radius")
    rows, columns = torch.arange(12.0).view(-1, 1), torch.arange(16.0).view(1, -1)
    waves = {(fy, fx): torch.cos(2 * torch.pi * (fy * rows / 12 + fx * columns / 16) + 0.3) for fy, fx in ((0, 0), (1, 0), (0, 2), (2, 2), (3, 4), (0, 5), (6, 0), (-2, 3))}
    def image(wanted):
        return sum(waves[f] for f in wanted).expand(2, 3, 12, 16).contiguous() * torch.tensor([1.0, 0.5]).view(2, 1, 1, 1)
    x = image(waves)
    before = x.clone()
    out = low_pass(x, 4.2)
    if isinstance(out, torch.Tensor) and out.is_complex():
        raise WrongType("the result is complex: take its `.real`.")
    out = tensor(out, x)
    untouched((x, before))
    low = [f for f in waves if (f[0] ** 2 + f[1] ** 2) ** 0.5 <= 4.2]
    if close(out, x, 1e-3):
        raise Wrong("nothing was dropped. With `fftfreq(n)` frequencies are at most 0.5: it is `fftfreq(n, 1 / n)`, periods per image.")
    if close(out, image([f for f in waves if f not in low]), 1e-3):
        raise Wrong("these are the high frequencies: keep the others.")
    if close(out, image([f for f in low if f != (0, 0)]), 1e-3):
        raise Wrong("the mean brightness is gone: frequency 0 is the lowest of all.")
    if close(out, image([f for f in waves if max(map(abs, f)) <= 4.2]), 1e-3) and set(low) != set(f for f in waves if max(map(abs, f)) <= 4.2):
        raise Wrong("the mask is a square: a wave counts by the length of $(f_y, f_x)$.")
    if close(out, image([f for f in waves if abs(f[0]) + abs(f[1]) <= 4.2]), 1e-3) and set(low) != set(f for f in waves if abs(f[0]) + abs(f[1]) <= 4.2):
        raise Wrong("the mask is a diamond: a wave counts by the *length* of $(f_y, f_x)$, not by the sum.")
    if close(out, image([f for f in waves if f[0] ** 2 + f[1] ** 2 <= 4.2]), 1e-3):
        raise Wrong("the square of the length is compared with `radius`: take the root.")
    one_sided = (torch.fft.fftfreq(12, 1 / 12)[:, None] <= 4.2) & (torch.fft.fftfreq(16, 1 / 16)[None] <= 4.2)
    if close(out, torch.fft.ifft2(torch.fft.fft2(x) * one_sided).real, 1e-3) or close(out, image(low).abs(), 1e-3):
        raise Wrong("something is amiss with signs: frequencies run to both sides of 0 (their length counts), and an image of waves may be negative (`.real`, not `.abs()`).")
    if close(out, image(low).clamp(0, 1), 1e-3):
        raise Wrong("the result is clipped to [0, 1]: a sum of waves may leave it. Whoever shows it can clip.")
    if not close(out, image(low), 1e-3):
        raise Wrong("other waves came out than those of at most `radius` periods. Is the mask in the order of `fft2` (no `fftshift`, or one there and one back), and are rows and columns not exchanged?")
    if not close(low_pass(x, 2.0), image([f for f in waves if (f[0] ** 2 + f[1] ** 2) ** 0.5 <= 2.0]), 1e-3):
        raise Wrong("a wave of exactly `radius` periods belongs to those that are kept (`<=`).")
    return "what is left of `images - low_pass(images, r)` are the high frequencies."

# %%
radii, lines = (0, 1, 2, 3, 4, 6, 8, 12, 20), {}
ground = test.images.mean((1, 2, 3), keepdim=True)      # the mean is a low frequency: put back, or the rest lies about 0 and half of it is clipped
for name, network in {"standard": model, "robust": robust}.items():
    lines[f"{name}, low frequencies"] = [100 * attacks.accuracy(network, low_pass(test.images, r).clamp(0, 1), test.labels) for r in radii]
    lines[f"{name}, high frequencies"] = [100 * attacks.accuracy(network, (test.images - low_pass(test.images, r) + ground).clamp(0, 1), test.labels) for r in radii]
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
plots.curves(ax, radii, lines, "cut-off (periods per image)", "right (%)")
plt.show()

# %% [markdown]
# <details><summary>What to see</summary>
#
# Waves of up to 4 periods are enough for nine digits in ten, and from what lies above 3 both networks still read most: the information is there twice. On digits the two networks hardly differ; in colour
# they do (5.12).
# </details>

# %% [markdown] predict="5.9" minutes=4 core=true low=0 high=100 unit="%"
# ## Images that look empty
# Take from every digit all waves of at most 12 periods, training and test images alike. Your `low_pass` shows what is left: almost empty pages (grey is 0).

# %%
eight = test.per_class(1)[:8].images
plots.show((eight - low_pass(eight, 12) + 0.5).clamp(0, 1), columns=8, size=1.1, label="above 12 periods")

# %% [markdown]
# A fresh network is trained on such images. **How many test images of this kind will it read correctly?**

# %%
predict("5.9", 10)

# %% answer="5.9"
def answer(guess):
    digits, test, cut = data.load("mnist5k", "train"), data.load("mnist5k"), 12

    def high(images):
        n = images.shape[-1]
        f = torch.fft.fftfreq(n, 1 / n)
        return (images - torch.fft.ifft2(torch.fft.fft2(images) * ((f[:, None] ** 2 + f[None] ** 2).sqrt() <= cut)).real + 0.5).clamp(0, 1)
    torch.manual_seed(1)
    network = models.small_cnn()
    train(network, high(digits.images), digits.labels, epochs=8, seed=1, shift=0, progress=False)
    share = 100 * attacks.accuracy(network, high(test.images), test.labels)
    eight = high(test.per_class(1)[:8].images)
    plots.show(torch.cat([eight, (0.5 + 5 * (eight - 0.5)).clamp(0, 1)]), columns=8, size=1.1, label=f"your guess: {guess} %; below, five times as strong")
    return f"Measured: {share:.0f} % of the {len(test)} test images of this kind. Five times as strong, the outlines appear: nearly empty to us is not empty."

# %% [markdown] part="5.10" minutes=4 core=true
# ## What follows for explanations
# **Question.** A network calls a picture a cat, and its explanation is a clean heat map on the cat's face. A second network, as accurate, has an explanation that looks like noise. Name one
# reason to trust the first explanation more, and one reason not to. What would you measure? (The lecture measures it on the planted images.)
#
# <details><summary>An answer</summary>
#
# If the first network goes by features that we share, its explanation can say so; on the planted images robust training brings a network there (5.5). But a clean map may as well come from the *method*: anything that is
# multiplied by the image, or smoothed, looks clean for any network (unit 02). And if a network's accuracy lives in directions and frequencies that mean nothing to us (5.7, 5.9), then a faithful
# explanation will look like noise to us, and one that looks clean hides what the network does. Measure: does the map change with the network (1.13); does deleting what it points to change the answer (2.4);
# on images where the truth is known, does it find it (2.9)?
# </details>

# %% [markdown] part="5.11" minutes=4 core=false
# ## The hands-on version
# The practicum fools a *linear* classifier that stands on a network's frozen features, and trains another one on the fooled images with the labels they were taken for. With your `mislabelled`, on 4s and 9s:

# %%
from torch import nn


def linear_on_features(network, images, labels):
    """Logistic regression on the network's frozen features, as a network for two classes."""
    seen = features(network, images)
    last = nn.Linear(seen.shape[1], 2)
    nn.init.zeros_(last.weight), nn.init.zeros_(last.bias)
    optimizer = torch.optim.LBFGS(last.parameters(), max_iter=50)

    def loss():
        optimizer.zero_grad()
        value = nn.functional.cross_entropy(last(seen), labels) + 1e-4 * last.weight.square().sum()
        value.backward()
        return value
    optimizer.step(loss)
    return nn.Sequential(*list(network)[:-1], last).eval()


def hands_on(network, train_set, test_set, classes, eps):
    train_set, test_set = (some[torch.isin(some.labels, torch.tensor(classes))] for some in (train_set, test_set))
    images, labels, clean, truth = train_set.images, (train_set.labels == classes[1]).long(), test_set.images, (test_set.labels == classes[1]).long()
    first = linear_on_features(network, images, labels)
    moved, wrong = mislabelled(first, images, 1 - labels, eps)
    second = linear_on_features(network, moved, wrong)
    print(f"{100 * attacks.accuracy(first, clean, truth):.0f} % with true labels; {len(moved)} of {len(images)} images moved to the other class; "
          f"learned from those, every label wrong: {100 * attacks.accuracy(second, clean, truth):.0f} % of {len(clean)} clean test images right")


for name, network in {"standard": model, "robust": robust}.items():
    print(f"4s and 9s, features of the {name} network:", end=" ")
    hands_on(network, digits, test, (4, 9), 3.0)

# %% [markdown]
# With the full data: cats and dogs of CIFAR-10, of the first 2,000 training pictures (about a minute).

# %%
if data.available("cifar10"):
    for name in ("robust-l2", "standard"):
        print(f"cats and dogs, features of cifar10/{name}:", end=" ")
        hands_on(models.load(f"cifar10/{name}"), data.load("cifar10", "train")[:2000], data.load("cifar10")[:2000], (3, 5), 1.0)
else:
    print(f"No CIFAR-10 here. {data.how_to_get('cifar10')}.")

# %% [markdown] part="5.12" minutes=3 core=false
# ## In colour
# Your `along` and `low_pass` on the twenty pictures of CIFAR-10 that are always there. The directions are taken from the same pictures.

# %%
samples = data.load("cifar10-samples")
centre = samples.images.mean((0, 2, 3), keepdim=True)


def of_20(network, images):
    return round(20 * attacks.accuracy(network, images.clamp(0, 1), samples.labels))


for name in ("standard", "robust-l2"):
    network = models.load(f"cifar10/{name}")
    gradients = torch.cat([input_gradient(network, samples.images, torch.full((20,), c), of="logit") for c in range(10)])
    parts = {k: along(samples.images - centre, gradients, k) for k in (4, 16, 64)}
    print(f"{name}: right of 20: {of_20(network, samples.images)}; " + "; ".join(f"first {k}: {of_20(network, part + centre)}, rest: {of_20(network, samples.images - part)}" for k, part in parts.items()))
    slow = {r: low_pass(samples.images, r) for r in (4, 8, 12)}
    ground = samples.images.mean((1, 2, 3), keepdim=True)
    print("   " + "; ".join(f"up to {r} periods: {of_20(network, x)}, above: {of_20(network, samples.images - x + ground)}" for r, x in slow.items()))

# %% [markdown]
# ## Done
# `progress()` shows what you have. Next: networks that were trained not to be fooled (unit 06).

# %%
progress("05")
