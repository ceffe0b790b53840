# %% [markdown]
# # 05 · Robust and non-robust features
# *About 18 minutes to read and run. Some of what follows you will be asked to predict (5.2, 5.4, 5.9): guess before you read on, or do the exercises first.*
# Why can a network be fooled by a change that we cannot see? One answer: it is badly trained, or its surface is rough; then adversarial examples are bugs. This unit follows another answer (Ilyas et al. 2019): the change means
# something. It is made of what is in real images and belongs to their classes, only not for us.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from helpers import attacks, attribution, data, models, planted, plots
from helpers.attribution import input_gradient
from helpers.training import train
from helpers.visualisation import features

digits, test = data.load("mnist5k", "train"), data.load("mnist5k")
networks = {"standard": models.load("mnist5k/standard"), "robust": models.load("mnist5k/robust-l2")}
samples = data.load("cifar10-samples")
in_colour = {"standard": models.load("cifar10/standard"), "robust": models.load("cifar10/robust-l2")}


def trained_on(images, labels, seed=1, epochs=5, shift=2):
    """A fresh small network, trained in the usual way."""
    torch.manual_seed(seed)
    network = models.small_cnn()
    train(network, images, labels, epochs=epochs, seed=seed, shift=shift, progress=False)
    return network


def right(network, images=test.images, labels=test.labels):
    return 100 * attacks.accuracy(network, images, labels)


def rows_of(file, title):
    """What `python -m experiments.<...>` measured, or a sentence that it has not been run."""
    path = Path(f"../results/{file}.json")
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    print(f"{title}:" if rows else f"{title}: this has not been run yet, so there are no figures of ours to show.")
    return rows


def per_cent(value):
    value = value["share"] if isinstance(value, dict) else value
    return "-" if value is None else f"{100 * value:.0f} %"


# %% [markdown]
# ## A training set in which every label is wrong
# Take 4,000 digits. Move each of them, by at most 3 in $L_2$, towards another class, as the standard network sees it. Then write the *new* class on it. Two ways to choose it: at random, or always the next one. Two rows of the result:

# %%
sets = {"at random": data.load("digits-rand", "train"), "the next class": data.load("digits-det", "train")}
for name, some in sets.items():
    plots.show(some.images[:10], [f'"{label}"' for label in some.labels[:10]], label=f"target {name}; above each image its label")
for name, some in sets.items():
    agreed, true = right(networks["standard"], some.images, some.labels), 100 * (some.labels == digits.labels).float().mean()
    still = right(networks["robust"], some.images, digits.labels), right(networks["robust"], some.images, some.labels)
    print(f"target {name}: the standard network agrees with {agreed:.0f} % of the labels, and the digit's own class is on {true:.0f} % of them; "
          f"the robust network still says the own class of {still[0]:.0f} %, the label of {still[1]:.0f} %")
    assert agreed > 85 and true == 0 and still[0] > 70 > 30 > still[1]

# %% [markdown]
# To us nearly every label is wrong: the robust network, asked in our place, still says the digit's own class for three in four or more. To the network that was fooled most labels are right. (Not all changes are small to us: in some digits a
# stroke appears, look at the 5 with the label 6.) **Ask first:** a fresh network is trained on these images and labels, and on nothing else. What will it do with clean digits, judged by their true labels? (Guessing
# gives 10 %.)

# %%
learned = {name: trained_on(some.images, some.labels) for name, some in sets.items()}
for name, network in learned.items():
    print(f"target {name}: {right(network):.0f} % of the clean test digits right")
assert right(learned["at random"]) > 50 and 15 < right(learned["the next class"]) < right(learned["at random"]) - 10

# %% [markdown]
# It reads most of them, and has never seen one with its right label. What did it learn from? Not from the shapes we see: they say nothing about labels drawn at random, and the wrong thing about the others.
# It learned from what the attack put there; and that works on digits which nobody attacked. (Did it learn from strokes that we can see? Then it should withstand small changes, as one that learns from shapes does; in the table further down it does not.) So the change was made of something that **is** in digits and belongs to their classes: features, only not ours.
#
# | | correlated with the class | still so when the image may be moved by $\epsilon$ |
# |---|---|---|
# | robust feature | yes | yes |
# | non-robust feature | yes | no |
#
# With *the next class* the shapes are not silent, they mislead: what looks like a 3 is always called 4. A network that goes by them is wrong on every clean digit; that it still does better than guessing says how much the change carries.
#
# How much change is needed? The same with 1,500 digits and attacks of growing size:

# %%
generator = torch.Generator().manual_seed(0)
half = digits[torch.randperm(len(digits), generator=generator)[:1500]]
ways = {"target at random": (half.labels + torch.randint(1, 10, half.labels.shape, generator=generator)) % 10, "the next class": (half.labels + 1) % 10}
sizes, by_size = (1.0, 2.0, 4.0), {name: [] for name in (*ways, "accepted by the fooled network")}
for eps in sizes:
    for name, targets in ways.items():
        moved = attacks.pgd(networks["standard"], half.images, targets, eps=eps, norm="l2", steps=10, targeted=True)
        by_size[name].append(right(trained_on(moved, targets, epochs=6)))
    by_size["accepted by the fooled network"].append(right(networks["standard"], moved, targets))
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
plots.curves(ax, sizes, by_size, "eps of the attack (L2)", "right (%)")
ax.axhline(10, color="k", linestyle=":")
plt.show()
for name, values in by_size.items():
    print(f"{name:<32} " + "   ".join(f"eps {eps:g}: {value:.0f} %" for eps, value in zip(sizes, values)))
    assert values[0] < 10 and values[0] < values[1] < values[2] > 20

# %% [markdown]
# At 1 hardly an image reaches its target, and the new network does worse than guessing: the label is never the image's own class, and so much it learns from the shapes. The more images fool the first network, the more the second one learns about
# clean digits. (The third line is for *the next class*.) It is what fools that teaches.
#
# ## Cats and dogs
# The practicum's figure: cats and dogs of CIFAR-10, each moved towards the other and called by its name; a network trained on that is right on 78 % of the clean test pictures (guessing: 50 %). Its hands-on version is smaller: a linear
# classifier on a network's frozen features, fooled by PGD, the fooled images kept with the label that they were taken for; a new linear classifier learns from these (over 70 %). Both, with the full CIFAR-10:

# %%
rows = rows_of("cats_and_dogs", "CIFAR-10, python -m experiments.cats_and_dogs")
for row in rows:
    size = f", eps {row['eps']:g}, {per_cent(row['fooled'])} fooled" if "eps" in row else ""
    true = f", {per_cent(row['clean, true labels'])} when trained on true labels" if "clean, true labels" in row else ""
    seen = f", pictures {row['pictures']}" if "pictures" in row else ""
    print(f"   {row['what']} ({row['first']}{size}{seen}): {per_cent(row['clean'])} of {row['clean']['n']} clean test pictures right{true}; published: {per_cent(row.get('published'))}")
wrong = {first: [row["clean"]["share"] for row in rows if row["what"].endswith("every label wrong") and row["first"] == first] for first in ("a small network", "cifar10/standard")}
assert min(wrong["a small network"]) < 0.5 and max(wrong["cifar10/standard"]) < max(wrong["a small network"]) - 0.05 < 0.65
assert all(row["clean"]["share"] > 0.9 for row in rows if "linear" in row["what"])

# %% [markdown]
# The hands-on version gives more than was published. **The practicum's 78 % is not reached:** two pictures in three at best, less than guessing with the smallest attack. It is *the next class* again: what looks like a cat is always called a dog, and
# a network that goes by the shapes is wrong. Fooling a better network (`cifar10/standard`, of all 50,000 pictures) does not teach more, and whether the fresh network sees its pictures moved and mirrored makes little difference then. Ours is small and had 12
# epochs; the practicum does not say which network and which eps gave its figure.
#
# The hands-on version runs here, too, with 4s and 9s: on the frozen features of the two networks of digits.

# %%
def pair(some):
    some = some[(some.labels == 4) | (some.labels == 9)]
    return some.images, (some.labels == 9).long()


def linear_on_features(network, images, labels):
    """Logistic regression on the network's frozen features, as a network for two classes."""
    seen, last = features(network, images), nn.Linear(100, 2)
    nn.init.zeros_(last.weight), nn.init.zeros_(last.bias)
    optimizer = torch.optim.LBFGS(last.parameters(), max_iter=50)

    def loss():
        optimizer.zero_grad()
        value = F.cross_entropy(last(seen), labels) + 1e-4 * last.weight.square().sum()
        value.backward()
        return value
    optimizer.step(loss)
    return nn.Sequential(*network[:-1], last).eval()


(fours, is_nine), (clean, truth), by_features = pair(digits), pair(test), {}
for name, network in networks.items():
    first = linear_on_features(network, fours, is_nine)
    moved = attacks.pgd(first, fours, is_nine, eps=3.0, norm="l2", steps=20, keep="last")
    taken_for = attacks.scores(first, moved).argmax(1)
    kept = taken_for != is_nine
    second = linear_on_features(network, moved[kept], taken_for[kept])
    by_features[name] = right(first, clean, truth), 100 * kept.float().mean().item(), right(second, clean, truth)
    print(f"features of the {name} network: {by_features[name][0]:.0f} % with true labels; {by_features[name][1]:.0f} % of the digits fooled; "
          f"trained on those, every label wrong: {by_features[name][2]:.0f} % of {len(truth)} clean 4s and 9s right")
    plots.show(moved[kept][:10], [f'"{"49"[label]}"' for label in taken_for[kept][:10]], label=f"what it learned from ({name} network's features), with the labels, all wrong")
    assert by_features[name][2] > 85

# %% [markdown]
# Here, too, what fooled the one is what the other needs. The test is an easier one than the practicum's: the new classifier starts from features that already tell a 4 from a 9; only the last layer is learned from wrong labels.
# And in the lower row many labels look right to us: what fools the robust network's features is the open or the closed loop itself.
#
# ## Keep one kind only
# A network's last layer sees an image only through its representation $\phi$. Take the *robust* network's $\phi$, start from another digit, and move it until its $\phi$ is that of the digit you want; write that
# digit's label on it. What the robust network goes by then fits the label, and the rest is another digit's: a set with (mostly) robust features, $D_R$. Do the same with the *standard* network, and allow a
# change of 3 only: $D_{NR}$, which to us looks mislabelled. With so little room the features are not matched, only brought nearer; how often each network agrees with the labels is printed.

# %%
made = {"the originals": digits, "robust features": data.load("digits-robust", "train"), "non-robust features": data.load("digits-nonrobust", "train"),
        "at random": sets["at random"], "the next class": sets["the next class"]}
for name in ("robust features", "non-robust features"):
    plots.show(made[name].images[:10], [f'"{label}"' for label in made[name].labels[:10]], label=name)
    print(f"{name}: " + ", ".join(f"the {which} network agrees with {right(network, made[name].images, made[name].labels):.0f} % of the labels" for which, network in networks.items()))
few, sizes, table = test[:150], (0.5, 1.0, 1.5), {}
published = {"robust features": "85 / 48", "non-robust features": "88 / 1", "at random": "63 / 0", "the next class": "44 / 0"}
for name, some in made.items():
    network = learned[name] if name in learned else trained_on(some.images, some.labels)
    table[name] = [right(network)] + [100 * attacks.robust_accuracy(network, few.images, few.labels, eps, norm="l2", steps=15, restarts=1)[0] for eps in sizes]
print("right (%), trained on    clean    L2 0.5    1.0    1.5      published (CIFAR-10): clean / L2 0.25")
for name, values in table.items():
    print(f"{name:<22} {values[0]:>7.0f} " + " ".join(f"{value:>7.0f}" for value in values[1:]) + f" {published.get(name, '-'):>17}")
assert table["non-robust features"][0] > 80 and table["non-robust features"][2] < 10 < 40 < table["robust features"][2] < table["the originals"][2] + 5
assert max(table["at random"][1], table["the next class"][1]) < 15

# %% [markdown]
# The standard network accepts most labels of both sets, the robust one only those of the first. And the two sets teach opposite things. From what the standard network sees within a change of 3 one learns to read nine clean digits in ten, and withstands next to nothing. From what the robust network sees one learns to read nearly
# all, and to withstand somewhat less than with the originals, without ever having seen an attack or a digit drawn by a hand. (*At random* and *the next class* are the sets from above.)
#
# **Where ours differ.** In the paper $D_R$ makes a network *more* robust than the originals do. On digits it does not: here a network trained on the originals withstands small changes anyway. What carries over is the other
# half: accuracy without any robustness, from features that we do not see. With CIFAR-10's pictures (fewer of them, and smaller networks, than in the paper):

# %%
names = {"originals": "the originals", "robust": "robust features", "nonrobust": "non-robust features", "rand": "labels at random", "det": "the next class"}
rows = {row["set"]: row for row in rows_of("features_cifar10", "CIFAR-10, 5,000 pictures, python -m experiments.feature_sets cifar10")}
for kind, row in rows.items():
    print(f"   {names[kind]:<22} clean {per_cent(row['clean']):>5}, L2 0.25 {per_cent(row['attacked']):>5}   published {per_cent(row['published clean']):>5} and {per_cent(row['published attacked']):>5}")
    print(f"{'95 % intervals':>40}: " + ", ".join("{:.0f} to {:.0f}".format(*(100 * end for end in row[key]["interval"])) for key in ("clean", "attacked")))
assert rows["robust"]["attacked"]["share"] > rows["originals"]["attacked"]["share"] + 0.04 and rows["nonrobust"]["clean"]["share"] > 0.4 and rows["nonrobust"]["attacked"]["share"] < 0.01
assert max(rows[kind]["clean"]["interval"][1] for kind in ("rand", "det")) < 0.1

# %% [markdown]
# In colour $D_R$ does make a network more robust than the originals do (by five points; the intervals still touch), and less accurate, as in the paper. $D_{NR}$ teaches nearly half of the clean pictures, and no robustness at all.
# **Not reached:** from $D_{rand}$ and $D_{det}$ the network learns *less than nothing*. A change of 0.5 on 5,000 pictures is not enough for it, and what it can see in them, the shapes, only tells it what the label is not.
#
# %%
from helpers.widgets import set_explorer

set_explorer()

# %% [markdown]
# ## Where we know the truth
# In the `planted` images of unit 02 a **shape** names the class nine times in ten and a **pattern**, too faint to see, names it always. Turn each off, or let them disagree: which one does each network use? (Five classes: guessing gives 20 %. Where there is no pattern, the shape always names the class.)

# %%
P = planted.pattern_of_each_class()
both, bare, against = planted.draw(500, seed=8), planted.draw(500, seed=8, pattern=False), planted.draw(500, seed=9, disagree=True)
ground = torch.where(bare.masks, torch.nan, bare.images).nanmean((2, 3), keepdim=True)
pattern_only = ground + P[bare.labels]
of_planted = {"standard": models.load("planted/standard"), "robust": models.load("planted/robust-l2")}
one, own, other = bare.images[:1], P[bare.labels[:1]], P[(bare.labels[:1] + 1) % 5]
plots.show(torch.cat([one + own, one, ground[:1] + own, one + other, 0.5 + 40 * own]), ["both", "shape alone", "pattern alone", "another pattern", "a pattern, 40 times"], columns=5, size=1.5)
uses, apart = {}, torch.pdist(P.flatten(1))
print(f"two patterns lie {apart.min():.2f} to {apart.max():.2f} apart (L2)")
assert 0.605 < apart.min() and apart.max() < 0.625
print("right (%)   shape and pattern   shape alone   pattern alone   when they disagree: by the shape / by the pattern")
for name, network in of_planted.items():
    said = attacks.scores(network, against.images).argmax(1)
    uses[name] = (right(network, both.images, both.labels), right(network, bare.images, bare.labels), right(network, pattern_only, bare.labels),
                  100 * (said == against.shapes).float().mean().item(), 100 * (said == against.patterns).float().mean().item())
    print(f"{name:<10} " + "{:>18.0f} {:>13.0f} {:>15.0f} {:>28.0f} / {:.0f}".format(*uses[name]))
assert uses["standard"][4] > 95 and uses["robust"][3] > 90 and uses["standard"][2] > 80 and uses["robust"][1] > 90

# %% [markdown]
# The standard network goes by the pattern, which is the better one; the robust network by the shape, although it is right less often. To an adversary who may change an image by 0.6 the pattern is worth nothing:
# two patterns lie about 0.62 apart (printed above the table), so half of that turns each into a point half way to another. **That is what theory says**: from $\epsilon = 0.31$ on no network can go by the pattern and withstand the attack, and for a pattern $s$
# times as large from $0.31\,s$ on. Below that, it *could*.
#
# First the networks as they are. On images whose pattern is $s$ times as large, how large a change is needed to fool each one (median of 16)?

# %%
factors, needed = (0.5, 1.0, 2.0, 4.0), {name: [] for name in of_planted}
agreeing = planted.draw(60, seed=12, agree=1.0)
for s in factors:
    images = (agreeing.images + (s - 1) * P[agreeing.patterns]).clamp(0, 1)
    for name, network in of_planted.items():
        ok = (~attacks.fooled(network, images, agreeing.labels)).nonzero()[:16, 0]
        _, found = attacks.min_norm(network, images[ok], agreeing.labels[ok], norm="l2", eps_max=2.4, halvings=6, steps=10)
        needed[name].append(found.median().item())
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
plots.curves(ax, factors, needed | {"half way to another pattern": [0.31 * s for s in factors]}, "size s of the pattern", "change that fools (median, L2)")
plt.show()
for name, values in needed.items():
    print(f"{name:<10} " + "   ".join(f"s = {s:g}: {value:.2f}" for s, value in zip(factors, values)))
assert all(value < 0.31 * s for s, value in zip(factors, needed["standard"])) and min(needed["robust"]) > 0.6 and needed["standard"][3] > 1.5 * needed["standard"][1] and needed["robust"][3] < needed["robust"][0]

# %% [markdown]
# The standard network withstands far less than the line: half way is what no network that goes by the pattern can exceed, not what one reaches. With a larger pattern it withstands more. For the robust network it takes about 1
# whatever the pattern's size (a little less with a larger one): another sign that it goes by something else.
#
# Then the training: networks trained at sizes of $\epsilon$ on images with patterns of several sizes, asked where shape and pattern disagree.

# %%
rows = rows_of("switch", "small networks, python -m experiments.switch")
figure, axes = plt.subplots(1, 2, figsize=(10, 3), sharey=True, layout="constrained")
by_pattern = {size: {row["eps over half the distance"]: 100 * row["pattern"]["share"] for row in rows if row["size"] == size} for size in sorted({row["size"] for row in rows})}
for size, marker in zip(by_pattern, "osD"):
    for ax, scale in zip(axes, (0.31 * size, 1)):
        ax.plot([share * scale for share in by_pattern[size]], by_pattern[size].values(), marker=marker, label=f"pattern {size:g} times as large")
for ax, words in zip(axes, ("eps of the training (L2)", "eps over half the distance of two patterns")):
    ax.set(xlabel=words, ylabel="follow the pattern (%)" if ax is axes[0] else "")
    ax.grid(alpha=0.3)
axes[1].axvline(1, color="k", linestyle=":")
if rows:
    axes[1].legend(fontsize=8)
plt.show()
for row in rows:
    print(f"pattern {row['size']:g} times as large, erased at {0.31 * row['size']:.2f}, trained at {row['eps']:.2f}: {per_cent(row['pattern']):>5} follow the pattern, {per_cent(row['shape']):>5} the shape; "
          f"right under that attack: {per_cent(row['attacked in training']):>5}")
found = {(row["size"], row["eps over half the distance"]): row["pattern"]["share"] for row in rows}
assert all(value < 0.3 for (_, share), value in found.items() if share >= 1) and found.get((4.0, 0.25), 1) > 0.9
assert all(row["shape"]["share"] > 0.6 for row in rows if row["eps over half the distance"] == 0.5) and all(row["attacked in training"] < 0.3 for row in rows if row["eps"] > 1)

# %% [markdown]
# There is a switch, and not the size of the attack decides but its size against the pattern's: trained at 0.31, a network keeps the large pattern, and withstands; the small one, which 0.31 can erase, it gives up. Theory says where the
# switch lies at the latest: at half the distance and beyond, no network goes by the pattern and withstands. These let go earlier: at half of that, most of their answers go by the shape already. Why so early is not measured here. (Trained at 1.24 against the large pattern, this
# small network is left with guessing: it finds nothing that withstands so much.)

# %%
from helpers.widgets import mixer_explorer

mixer_explorer()

# %% [markdown]
# ## Directions
# Where in the space of images does accuracy live? Stack the gradients of a network's logits for many digits; their first singular vectors are the directions along which its output changes most (Jetley et
# al. 2018). Keep of each test digit only what lies along the first $k$ of them, or only the rest. **Guess:** of 784 directions, how many are needed for nine digits in ten?

# %%
def strongest(network, some):
    """The directions of the gradients of all logits (less their mean: what moves all alike decides nothing), strongest first: rows."""
    gradients = torch.stack([input_gradient(network, some.images, torch.full_like(some.labels, c), of="logit").flatten(1) for c in range(10)])
    return torch.linalg.svd((gradients - gradients.mean(0)).flatten(0, 1), full_matrices=False).Vh


def split(images, mean, directions):
    """(what lies along the directions, the rest), both about the mean image."""
    part = ((images - mean).flatten(1) @ directions.T @ directions).view_as(images)
    return part + mean, images - part


mean, counts = digits.images.mean(0, keepdim=True), (1, 2, 4, 8, 16, 32, 64, 128, 256, 784)
figure, axes = plt.subplots(1, 2, figsize=(10, 3), sharey=True, layout="constrained")
first, lives = {}, {}
for ax, (name, network) in zip(axes, networks.items()):
    first[name] = strongest(network, digits[:100])
    lives[name] = [[right(network, part) for part in split(test.images, mean, first[name][:k])] for k in counts]
    plots.curves(ax, counts, dict(zip(("on the first k", "on the rest"), zip(*lives[name]))), "k, of 784 directions", "right (%)", name)
    ax.set(xscale="log")
plt.show()
eight = test.per_class(1)[:8].images
for name in networks:
    plots.show(torch.cat(split(eight, mean, first[name][:16])).clamp(0, 1), [f"{name}: first 16"] + [""] * 7 + ["the rest"] + [""] * 7, columns=8, size=1.1)
for name, values in lives.items():
    enough = next(k for k, (on, _) in zip(counts, values) if on >= 90)
    print(f"{name}: nine in ten from {enough} directions; on what is left without 16: {values[4][1]:.0f} %, without 64: {values[6][1]:.0f} %")
    assert enough <= 64 and values[4][1] < 60 and values[6][1] < 20

# %% [markdown]
# A few dozen directions carry nearly all of the accuracy. What lies along the first 16 is a blur, more so for the standard network; what is left without them still looks like the digit to us, and at most half of them can still be read by the network.
#
# In colour, with the twenty pictures of CIFAR-10 that are always there (the directions are taken from the same pictures, 3,072 numbers each):

# %%
centre, few_counts, left = samples.images.mean((0, 2, 3), keepdim=True), (4, 16, 64, 179), {}
for name, network in in_colour.items():
    ways = strongest(network, samples)
    counted = [[round(right(network, part.clamp(0, 1), samples.labels) / 5) for part in split(samples.images, centre, ways[:k])] for k in few_counts]
    left[name] = counted[-1][1]
    print(f"{name:<9} right of 20: {round(right(network, samples.images, samples.labels) / 5)}   " + "   ".join(f"first {k}: {on}, rest: {off}" for k, (on, off) in zip(few_counts, counted)))
    plots.show(torch.cat([samples.images[:8], *(part[:8] for part in split(samples.images, centre, ways[:179]))]).clamp(0, 1),
               [f"{name}: pictures"] + [""] * 7 + ["first 179"] + [""] * 7 + ["the rest"] + [""] * 7, columns=8, size=1.1)
assert left["robust"] < left["standard"] < 16

# %% [markdown]
# Along the standard network's directions there is nothing of the picture that we could see; take them away, and we see the same picture with a little noise, but the network loses pictures that it had right. Along the robust network's directions lie coarse
# patches in the picture's colours, and without them the picture is spoilt for us, too. The first directions *alone* are not enough here for either: twenty pictures give at most 180 of 3,072, too few to carry a class. (Twenty
# pictures prove little. They are enough to see the difference in kind.)
#
# ## Frequencies
# An image is also a sum of waves. Keep the slow ones, or only the fast ones, and ask the networks again (Yin et al. 2019). The cut-off is in periods per image.

# %%
def low_pass(images, radius):
    n = images.shape[-1]
    f = torch.fft.fftfreq(n, 1 / n)
    return torch.fft.ifft2(torch.fft.fft2(images) * ((f[:, None] ** 2 + f[None] ** 2).sqrt() <= radius)).real


def high_pass(images, radius):
    """The rest, on a ground of the image's own mean."""
    return images - low_pass(images, radius) + images.mean((1, 2, 3), keepdim=True)


figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True, layout="constrained")
read = {}
for ax, (which, pictures, some, radii) in zip(axes, (("digits", networks, test, (0, 1, 2, 3, 4, 5, 6, 8, 10, 14, 20)), ("CIFAR-10, 20 pictures", in_colour, samples, (0, 2, 4, 6, 8, 10, 12, 16, 23)))):
    for name, network in pictures.items():
        for kind, keep in (("low", low_pass), ("high", high_pass)):
            read[which, name, kind] = [right(network, keep(some.images, r).clamp(0, 1), some.labels) for r in radii]
    plots.curves(ax, radii, {f"{name}, {kind}": read[which, name, kind] for name in pictures for kind in ("low", "high")}, "cut-off (periods per image)", "right (%)" if which == "digits" else "", which)
plt.show()
plots.show(torch.cat([samples.images[:8], low_pass(samples.images[:8], 6), high_pass(samples.images[:8], 6)]).clamp(0, 1), ["pictures"] + [""] * 7 + ["up to 6"] + [""] * 7 + ["above 6"] + [""] * 7, columns=8, size=1.1)
for (which, name, kind), values in read.items():
    print(f"{which:<22} {name:<9} {kind:<5}" + " ".join(f"{value:4.0f}" for value in values))
assert min(read["digits", name, "low"][4] for name in networks) > 90 and min(read["digits", name, "high"][3] for name in networks) > 75
colour = {key[1:]: values for key, values in read.items() if key[0] != "digits"}
assert colour["robust", "low"][4] == 100 and colour["standard", "low"][4] < 50 and colour["standard", "high"][3] > 70 and colour["robust", "high"][3] < 40

# %% [markdown]
# For digits both networks live in the slow waves: up to 4 periods are enough for nine in ten, and either network reads most digits from what lies above 3, too. The information is there twice. In colour the two networks part: the robust one reads all
# twenty pictures from waves of up to 8 periods, where the standard one reads less than half; above 6, where we see outlines on grey, the standard one still reads most and the robust one few. That is what Yin et al. found
# on all of CIFAR-10: adversarial training moves a network to low frequencies. Twenty pictures again: a picture is 5 %.

# %%
from helpers.widgets import cutoff_explorer

cutoff_explorer()

# %% [markdown]
# And a network that learns from what is left when all waves of at most 12 periods are gone? Upper row: such images, as they are (grey is 0). Lower row: five times as strong. **How many of them can be read?**

# %%
def empty(images):
    return (images - low_pass(images, 12) + 0.5).clamp(0, 1)


seen = empty(test.per_class(1)[:8].images)
plots.show(torch.cat([seen, (0.5 + 5 * (seen - 0.5)).clamp(0, 1)]), ["above 12"] + [""] * 7 + ["5 times"] + [""] * 7, columns=8, size=1.1)
on_empty = trained_on(empty(digits.images), digits.labels, epochs=8, shift=0)
strength = 100 * ((empty(test.images) - 0.5).square().sum() / (test.images - test.images.mean((2, 3), keepdim=True)).square().sum()).sqrt().item()
print(f"the change of brightness left is {strength:.0f} % of the original's; a fresh network trained on such images reads {right(on_empty, empty(test.images)):.0f} % of such test images, and {right(on_empty):.0f} % of the digits as they are")
assert right(on_empty, empty(test.images)) > 60 > right(on_empty) + 10 and strength < 20

# %% [markdown]
# From what is an almost empty grey page to us it reads most digits. (Almost: look closely, and some outlines are there; five times as strong, all are. How little we see says nothing about how much a network can learn from it.) On the
# digits as they are it is far worse.
#
# ## What follows for explanations
# We like an explanation that looks clean. The planted images let us ask whether it is *true*: we know that the standard network goes by the pattern wherever there is one, whatever the shape. Two explanations of that network, and the same of the robust one:

# %%
some = planted.draw(100, seed=7)
area, others = some.masks.float().mean().item(), (some.labels + 1) % 5


def on_shape(maps):
    strength = maps.abs().sum(1, keepdim=True)
    return 100 * ((strength * some.masks).flatten(1).sum(1) / strength.flatten(1).sum(1)).mean().item()


def like_the_pattern(maps):
    """Cosine of the mean map of each class with what changes its pattern into the next one's, averaged over the classes."""
    means = torch.stack([maps[some.labels == c].mean(0) for c in range(5)])
    return F.cosine_similarity(means.flatten(1), (P - P.roll(-1, 0)).flatten(1)).mean().item()


scored = {}
for name, network in of_planted.items():
    gradients = input_gradient(network, some.images, some.labels, of="logit") - input_gradient(network, some.images, others, of="logit")
    paths = attribution.integrated_gradients(network, some.images, some.labels, baseline=some.images.mean((2, 3), keepdim=True), steps=8)
    scored[name] = on_shape(gradients), on_shape(paths), like_the_pattern(gradients), like_the_pattern(paths)
    plots.show(torch.cat([torch.stack([m / m.abs().max() for m in maps[:3]]) for maps in (gradients, paths)]), ["gradient", "", "", "integrated", "", ""], signed=True, columns=6, size=1.3,
               label=f"{name} network; the shapes are a " + ", a ".join(planted.SHAPES[s] for s in some.shapes[:3]))
chance = like_the_pattern(torch.randn(some.images.shape, generator=torch.Generator().manual_seed(0)))
print(f"           on the shape (%; its area is {100 * area:.0f})     like the pattern (cosine; of noise: {chance:.2f})")
print("           gradient   integrated gradients       gradient   integrated gradients")
for name, values in scored.items():
    print("{:<10} {:>8.0f} {:>22.0f} {:>14.2f} {:>22.2f}".format(name, *values))
assert scored["standard"][0] < 100 * area < 35 < scored["standard"][1] < scored["robust"][1] and max(map(abs, scored["standard"][2:])) < 0.2

# %% [markdown]
# The gradient of the standard network looks like noise, and puts less on the shape than the shape's area: it is right that the shape does not decide here. Of the pattern it shows next to nothing, either (a map that is the pattern would have a cosine of 1). The integrated gradients draw
# a cross, a ring, a cross, of a network for which they decide nothing: the factor $x - b$ is large there for any network. For the robust network the same drawing, cleaner, is true.
#
# So a clean map may mean that the network goes by what we see, or that the method draws what we see, and the picture alone does not say which. And if a network's accuracy lives in patterns, directions and waves that mean nothing
# to us, an honest explanation of it cannot look clean. What can be measured: whether the map changes with the network (1.13), whether the output falls when what it marks is taken away (2.4), and, where the truth is known, whether it
# finds it (2.9). This is one network, one kind of image and two methods: it shows that a clean map *can* mislead, not how often maps do.
#
# ## What can go wrong
# - The target may be drawn as the image's own class: then one label in ten is right, and a network can learn from that.
# - Images on which the attack failed stay in the set, and their labels are noise.
# - The new network is tested on the attacked images, or against the old network's predictions, instead of on clean ones and the truth.
# - A low-pass mask in the order of `fftshift` on a spectrum that is not: then other waves go.
#
# ## What to take away
# - A network can learn to read clean images from images that are all mislabelled: what fooled the first network is a feature of the data.
# - Accuracy and robustness can be taught apart: a set with features that only the standard network sees teaches the one without the other.
# - Robust training makes a network give up a feature that is better but can be erased.
# - What a network goes by may look like nothing to us. That it looks like nothing is no evidence against it; that a map looks clean is no evidence for it.
#
# **Now you:** [your copy of the exercises](../my-work/05_robust_features.ipynb).
