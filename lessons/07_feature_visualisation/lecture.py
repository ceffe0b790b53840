# %% [markdown]
# # 07 · Feature visualisation
# *About 18 minutes to read and run. Some of what follows you will be asked to predict (7.1, 7.4, 7.11, 7.14): guess before you read on, or do the exercises first.*
# Maps say *where* a network looks in one image. This unit asks what it looks *for*: what does a single neuron of its last hidden layer want to see? Ten neurons; upper row: an image that began as plain grey, and was moved until the neuron fired. Lower row: one that began as a frog.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from helpers import data, measure, models, plots
from helpers.visualisation import features, fourier_images, invert, jitter_scale_rotate, maximize

robust, standard = models.load("cifar10/robust-l2"), models.load("cifar10/standard")
samples, digits, robust_digits = data.load("cifar10-samples"), data.load("mnist5k"), models.load("mnist5k/robust-l2")
grey = torch.full((1, 3, 32, 32), 0.5)
noise = (0.5 + torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) / 20).clamp(0, 1)
rows = json.loads(Path("../results/neurons.json").read_text())["rows"]      # python -m experiments.neurons


def row(kind, network):
    return next(row for row in rows if (row["kind"], row["network"]) == (kind, network))


def ask(network, neurons, starts, steps=40, step_size=0.3, callback=None):
    """One image for each neuron, beginning as `starts` (one, or one for each)."""
    each = torch.arange(len(neurons))
    starts = starts.expand(len(neurons), -1, -1, -1)
    return maximize(lambda x: features(network, x, straight_through=True)[each, list(neurons)], starts, steps=steps, step_size=step_size, callback=callback)


def value(network, images, neurons):
    return features(network, images)[torch.arange(len(neurons)), list(neurons)].tolist()


ten = (249, 9, 180, 250, 181, 31, 188, 118, 25, 94)
made = ask(robust, ten * 2, torch.cat([grey, samples.images[[4]]]).repeat_interleave(10, 0), 40, 0.4)
plots.show(made, [f"{j}: {v:.1f}" for j, v in zip(ten * 2, value(robust, made, ten * 2))], columns=10, size=1.35, label="neuron: its activation")

# %% [markdown]
# The upper row was made from the network alone: no picture went into it. (It is the robust one, trained to withstand changes of 0.5 in $L_2$. With a standard network it goes differently, as we shall see. These ten were chosen because they are good to look at; further down there are fourteen drawn at random.)
#
# ## The representation
# **Ask first:** a picture has 3,072 numbers. How many are left when the last layer computes its ten scores?

# %%
for name in ("cifar10/robust-l2", "cifar10/standard", "mnist5k/robust-l2", "mnist5k/standard"):
    active, one = row("activity", name), (digits if name.startswith("mnist5k") else samples).images[:1]
    print(f"{name:<18} {one.numel():>5} numbers -> {features(models.load(name), one).shape[1]}, of which {100 * active['share of zeros']:.0f} % are 0 on average; never on: {active['never on']} neurons ({active['n']:,} test images)")

# %% [markdown]
# 256 in colour, 100 for digits; the last layer knows nothing else of the image. Each is a **neuron** $\phi_j$, and none is negative, for they come out of a ReLU.
#
# ## Climb
# Write the loss that makes one neuron large (its activation, with the sign turned), take the gradient for the *image*, step; the same loop as in every attack, with another aim:
#
# $$x \leftarrow \mathrm{clip}_{[0,1]}\Big(x + \alpha \, \nabla_x \phi_j(x) \,/\, \|\nabla_x \phi_j(x)\|_2\Big)$$
#
# The practicum looks at neurons 200, 500 and 1444 of a ResNet-50 with 2,048. Ours has 256: here are the three at the same places, starting from a ship and a frog. From left to right 0, 5, 10, 20 and 40 steps of 0.4.

# %%
fixed = (25, 62, 180)
frames = {}
ask(robust, [j for j in fixed for _ in range(2)], samples.images[[1, 4] * 3], 40, 0.4, callback=lambda step, x, values: frames.update({step: (x, values)}))
moments = (0, 5, 10, 20, 40)
order = [(k, step) for k in range(6) for step in moments]
plots.show(torch.stack([frames[step][0][k] for k, step in order]), [f"{fixed[k // 2]}: {frames[step][1][k]:.1f}" if step == 0 else f"{frames[step][1][k]:.1f}" for k, step in order], columns=10, size=1.35,
           label="neuron: its activation, after 0, 5, 10, 20 and 40 steps")
most = row("activity", "cifar10/robust-l2")["most"]
times = [frames[40][1][k] / most[fixed[k // 2]] for k in range(6)]
print("at the end, times what any of the 10,000 test pictures reaches: " + ", ".join(f"{fixed[k // 2]}: {times[k]:.1f}" for k in range(6)))
assert min(times) > 1.5

# %% [markdown]
# On the way the start turns into what the neuron wants and keeps what does not disturb it: its colours, and large shapes. Activations grow to about two or three times what any test picture reaches: these are not images that exist, they are caricatures.
#
# ## The real images beside them
# The other way to ask: which of all real images excite it most? Seven neurons of the robust network: the first seven of all 10,000 test pictures; then what is maximised, from grey and from a frog. **Look at the left, name the neuron; then look at the right: do you keep the name?**
#
# ![Seven neurons of the robust network: for each the seven test pictures of CIFAR-10 that excite it most, with class and activation, and two images maximised for it](../results/neurons.png)
#
# (CIFAR-10 does not come with the course, so this is a picture: `python -m experiments.neurons pictures` draws it where the set is. With it, workbook and explorer ask all of it.) 249 likes faces of dogs both ways, and 9 cars. The real images of 66 suggest
# birds and airplanes; what it is given when it may choose are dark diagonal lines, and these pictures happen to have some. Real images have in common what the neuron looks at *and* whatever comes with it; the maximised one was moved by nothing but the neuron.
#
# Digits are here, all 5,000 of them (those that the network learned from, too). Five that excite a neuron most, then what becomes of a 6 and an 8 (from another digit the way is long: not all reach what real ones do):

# %%
every_digit = torch.cat([digits.images, data.load("mnist5k", "train").images])
seen = features(robust_digits, every_digit)
alive, starts = (3, 22, 57, 65), digits.images[[0, 3]]
made = ask(robust_digits, [j for j in alive for _ in starts], starts.repeat(4, 1, 1, 1), 40, 0.3)
shown, titles = [], []
for k, j in enumerate(alive):
    top, own = seen[:, j].topk(5), made[2 * k:2 * k + 2]
    shown += [every_digit[top.indices], own]
    titles += [f"{j}: {top.values[0]:.1f}", *(f"{v:.1f}" for v in top.values[1:]), *(f"to {v:.1f}" for v in value(robust_digits, own, [j, j]))]
plots.show(torch.cat(shown), titles, columns=7, size=1.25)

# %% [markdown]
# ## From noise, from a colour
# The practicum's bonus: start with noise. **Before you look: will three noises give three different pictures?**

# %%
colours = torch.tensor([[0.8, 0.2, 0.2], [0.2, 0.4, 0.8]]).view(2, 3, 1, 1).expand(2, 3, 32, 32)
starts = torch.cat([noise, grey, colours])
asked = [j for j in (180, 249, 9) for _ in range(6)]
made = ask(robust, asked, starts.repeat(3, 1, 1, 1), 30, 0.5)
reached = value(robust, made, asked)
assert reached[11] < reached[9] / 2       # 249 from blue and from grey
titles = [f"{j}: {v:.1f}" for j, v in zip(asked, reached)]
plots.show(torch.cat([starts, made]), ["noise", "noise", "noise", "grey", "red", "blue", *titles], columns=6, size=1.4)

# %% [markdown]
# Hardly: the same thing at nearly the same place, differing in details. A colour stays, and mostly the neuron gets what it wants all the same: red dogs, blue cars. Not always: from blue 249 finds no dog, and less than half of the activation that it finds from grey.
#
# ## A dead ReLU
# All that leaned on a small lie. Here are the gradients at the start with the ordinary ReLU, and with the lie:

# %%
starts = torch.cat([samples.images[[4, 6]], grey, grey]).requires_grad_()
slopes = torch.autograd.grad(features(robust, starts)[torch.arange(4), [62, 62, 249, 9]].sum(), starts)[0].flatten(1).norm(dim=1)
open_slopes = torch.autograd.grad(features(robust, starts, straight_through=True)[torch.arange(4), [62, 62, 249, 9]].sum(), starts)[0].flatten(1).norm(dim=1)
for name, now, plain, opened in zip(("62 at the frog", "62 at the car", "249 at grey", "9 at grey"), value(robust, starts.detach(), [62, 62, 249, 9]), slopes, open_slopes):
    print(f"neuron {name:<15} activation {now:.2f}   length of the gradient {plain:.3f}   with the last ReLU open {opened:.3f}")
assert slopes[0] == 0 and open_slopes.min() > 0

# %% [markdown]
# Where the neuron is off, everywhere in the picture, its gradient is exactly 0: there is nothing to climb. What to do? Start elsewhere; take a random step and hope (`maximize` does where it must); or let the values pass as they are and the gradient pass as if there
# were no ReLU (Engstrom et al. 2019). That is one line, `x + (relu(x) - x).detach()`, and you write it in 7.5.
#
# **How often are neurons off?** Neurons, sorted by how many test images they fire for:

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 2.6), layout="constrained")
for ax, (title, networks) in zip(axes, (("mnist5k, 1,000 test digits", "mnist5k"), ("CIFAR-10, 10,000 test pictures", "cifar10"))):
    for name, marker in (("robust-l2", "o"), ("standard", "s")):
        share = 100 * torch.tensor(row("activity", f"{networks}/{name}")["fires for"]).sort().values
        ax.plot(range(len(share)), share, marker, markersize=2.5, label=f"{name}: {row('activity', f'{networks}/{name}')['never on']} of {len(share)} never")
    ax.set(xlabel="neurons, sorted", ylabel="fires for (%)", ylim=(-4, 104), title=title)
    ax.title.set_fontsize(9)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
plt.show()
assert row("activity", "mnist5k/robust-l2")["never on"] == 78 and row("activity", "cifar10/robust-l2")["never on"] == 0

# %% [markdown]
# The robust network for digits reads them with 22 neurons; the other 78 never fire for a test digit. In colour every neuron is alive; it is easier there, for the representation is an average over 16 places, and one of them is enough.
#
# ## Move it yourself

# %%
from helpers.widgets import neuron_explorer

neuron_explorer()

# %% [markdown]
# ## A standard network
# The practicum's second bonus: the same steps, the same neurons' numbers and one more (43), on the standard network.

# %%
four = (25, 62, 180, 43)
plain, by_robust = ask(standard, four, grey, 40, 0.3), ask(robust, four, grey, 40, 0.3)
plots.show(torch.cat([plain, by_robust]), [f"{name} {j}: {v:.1f}" for name, network, images in (("standard", standard, plain), ("robust", robust, by_robust)) for j, v in zip(four, value(network, images, four))], columns=4, size=1.5)
print("the largest among 10,000 test pictures: " + "; ".join(f"{name} " + ", ".join(f"{row('activity', f'cifar10/{name}')['most'][j]:.1f}" for j in four) for name in ("standard", "robust-l2")))

# %% [markdown]
# Activations far above those of test pictures, and next to nothing to see. Three things are known to help (Olah et al. 2017): move the *waves* of the image in place of its pixels, the slow ones more readily; move the image a little before each look, so that the result may not depend
# on the exact place; and let the colours vary together as they do in photographs. **Which of the three does most?**

# %%
def painted(objective, n, steps=50, waves=True, moved=False, coloured=False):
    """n images by Adam, over pixels (through a sigmoid) or over waves; what is seen may be moved; colours may vary together as in ImageNet."""
    generator = torch.Generator().manual_seed(0)
    shape = (n, 3, 32, 17, 2) if waves else (n, 3, 32, 32)
    spectrum = (0.01 * torch.randn(shape, generator=generator)).requires_grad_()
    adam = torch.optim.Adam([spectrum], lr=0.07)

    def images():
        if not waves:
            return spectrum.sigmoid()
        if coloured:
            return fourier_images(spectrum, (32, 32))
        return torch.cat([fourier_images(spectrum[:, c:c + 1], (32, 32)) for c in range(3)], 1)     # each channel by itself
    for _ in range(steps):
        x = images()
        adam.zero_grad()
        (-objective(jitter_scale_rotate(x, generator, jitter=4) if moved else x).sum()).backward()
        adam.step()
    return images().detach()


def wants(network, neurons):
    each = torch.arange(len(neurons))
    return lambda x: features(network, x, straight_through=True)[each, list(neurons)]


def fast(images):
    """The share of the power of an image that lies above 8 periods, in %."""
    f = torch.fft.fftfreq(32, 1 / 32)
    power = torch.fft.fft2(images - images.mean((2, 3), keepdim=True)).abs().square()
    return (100 * (power * ((f[:, None] ** 2 + f ** 2).sqrt() > 8)).sum() / power.sum()).item()


ways = {"pixels, Adam": dict(waves=False), "waves": {}, "waves, moved": dict(moved=True), "moved, coloured": dict(moved=True, coloured=True)}
rescued = {name: painted(wants(standard, four), 4, **options) for name, options in ways.items()}
columns = torch.stack(list(rescued.values()), 1).flatten(0, 1)
plots.show(columns, list(ways), columns=4, size=1.5, label=f"standard network, neurons {four}")
power, heights = {}, {}
for name, images in {"pixels, steps of equal length": plain, **rescued, "twenty test pictures": samples.images}.items():
    power[name], heights[name] = fast(images), value(standard, images, four) if len(images) == 4 else []
    print(f"{name:<30} activations {', '.join(f'{v:.1f}' for v in heights[name]) or '-':<24} power above 8 periods {power[name]:.0f} %")
assert power["pixels, Adam"] > 1.5 * power["waves"] > 1.8 * power["waves, moved"] > 1.8 * power["moved, coloured"] and power["waves"] > 4 * power["twenty test pictures"]
assert sum(heights["waves"]) > sum(heights["pixels, Adam"]) and sum(heights["waves, moved"]) < 0.6 * sum(heights["waves"])

# %% [markdown]
# Now there are parts to be seen: spotted fur, wheels, something that stands in water, antlers. Each step takes a share of the fast patterns. Waves take the largest, and reach higher activations than pixels do (in fifty steps of Adam); being moved takes more, and costs half
# of the activation; the third makes the colours quieter. (One order of the three, four neurons: in another order each might seem to do more or less.)
#
# ## Whose picture is that?
# The network did not change, only our way of drawing. **So is what we see in the network, or did we put it there?** Run the same method on a network with random weights, and on a random sum of pixels:

# %%
torch.manual_seed(0)
untrained = models.resnet(10, width=32, blocks=(0, 1, 1, 1)).eval()
anything = torch.randn(3072, 4, generator=torch.Generator().manual_seed(1)) / 50
nobody = {"untrained network": painted(wants(untrained, four), 4, moved=True, coloured=True), "random sum of pixels": painted(lambda x: (x.flatten(1) * anything.T).sum(1), 4, moved=True, coloured=True)}
plots.show(torch.cat([rescued["moved, coloured"], *nobody.values()]), ["standard", "", "", "", "untrained", "", "", "", "random sum", "", "", ""], columns=12, size=1.1)
for name, images in {"standard network, pixels": rescued["pixels, Adam"], "standard network, all three": rescued["moved, coloured"], **nobody, "robust network, pixels": by_robust}.items():
    print(f"{name:<28} power above 8 periods {fast(images):.0f} %")
assert max(fast(images) for images in nobody.values()) < min(fast(rescued["moved, coloured"]), fast(by_robust))

# %% [markdown]
# Softness comes with the method, whatever is maximised (the untrained network's pictures and the random sum's have less fast power than either trained network's); wheels and antlers do not. So the method decides *how* it is drawn, and which part of what the network wants we get to see; the network decides *what*. The highest
# activations of the table above belong to the waves that are *not* moved, with more than four times the fast power of test pictures: what this standard network likes still better is still there, we have only forbidden it. The robust network needs no such help because the same demand (small changes must not matter) was made in training. That is a prior, too, and also ours.
#
# ## A class in place of a neuron
# The ten scores are a vector like any other. Rows: from grey, a frog, a car. Columns: the class that is maximised, on the robust network.

# %%
starts = torch.cat([grey, samples.images[[4, 6]]])
each = torch.arange(30) % 10
grid = maximize(lambda x: robust(x)[torch.arange(30), each], starts.repeat_interleave(10, 0), steps=32, step_size=0.4)
plots.show(grid, list(samples.classes), columns=10, size=1.35)

# %% [markdown]
# From grey a stag stands on a lawn and a ship lies on the water: classes bring along the surroundings that they have in photographs. From an image the class is built out of what is there: the car's body becomes a ship's hull, its red wall stays.
#
# ## Close in features, close to us?
# Now all neurons at once. Take the features of one image, start from another or from noise, and move until the features are the same (unit 05 made its data sets so). **For which network will the result look like the wanted image?**

# %%
wanted, other = samples.images[[1, 4, 6, 9]], samples.images[[4, 6, 9, 1]]
begin, shown, titles = torch.cat([other, torch.cat([noise, noise[:1]])]), [torch.cat([wanted, wanted])], ["wanted", *[""] * 7]
shown.append(begin), titles.extend(["start", *[""] * 7])
for name, network in {"robust": robust, "standard": standard}.items():
    shown.append(invert(network, wanted.repeat(2, 1, 1, 1), begin, steps=60, step_size=0.35))
    goal = features(network, wanted).repeat(2, 1)
    titles += [f"{name}: {gap:.2f}" for gap in ((features(network, shown[-1]) - goal).norm(dim=1) / goal.norm(dim=1))]
plots.show(torch.cat(shown), titles, columns=8, size=1.3, label="network: relative distance of the features at the end")

# %%
print("100 pairs: for each of the first 100 test images its features, looked for from an image of another class; 200 steps of 0.2")
for network in ("cifar10/robust-l2", "cifar10/standard", "mnist5k/robust-l2", "mnist5k/standard"):
    r = row("inversion", network)
    ends = r["mean distance"]
    judged = "; ".join(f"{what} {100 * one['share']:.0f} % ({100 * one['interval'][0]:.0f} to {100 * one['interval'][1]:.0f})" for what in ("wanted", "start") for one in [r[f"third network says {what}"]])
    print(f"{network:<18} features {ends['start']['features']:.2f} -> {ends['found']['features']:.2f}   pixels {ends['start']['pixels']:.1f} -> {ends['found']['pixels']:.1f}   moved by {r['moved by']:4.1f}   "
          f"it says wanted: {100 * r['itself says wanted']['share']:.0f} %   a third network says: {judged}")
colour = {name: row("inversion", f"cifar10/{name}") for name in ("robust-l2", "standard")}
assert colour["robust-l2"]["third network says wanted"]["interval"][0] > 0.5 > 0.1 > colour["standard"]["third network says wanted"]["interval"][1]
assert all(row("inversion", name)["itself says wanted"]["share"] >= 0.98 for name in ("cifar10/robust-l2", "cifar10/standard", "mnist5k/robust-l2", "mnist5k/standard"))
assert colour["robust-l2"]["moved by"] > 3.5 * colour["standard"]["moved by"] and round(models.info("cifar10/robust-linf")["measured"]["clean"]["share"], 2) == 0.70

# %% [markdown]
# Both networks take what was found for the wanted image (nearly always; the features came near). A third network (`robust-linf`, which is itself right on 70 % of the test pictures) sees the wanted class in most of the robust network's results, and in most of the standard network's still the class of the start, which moved a quarter as far. (The third is
# itself a robust network; a standard one was not asked.) So for the robust network close in features means, coarsely, close to us: colours and large shapes; the frog is a texture in green. For the standard one it does not. **Two surprises:** measured in pixels the robust network's results came a tenth nearer, the standard network's not at all: $L_2$ hardly sees what we see.
# And for digits the difference is nearly gone: the standard network's results, too, are read as the wanted digit by a third.

# %%
from helpers.widgets import inversion_explorer

inversion_explorer()

# %% [markdown]
# ## Between two images
# A straight line between two images is a double exposure. A straight line between their features, looked for from noise:

# %%
a, b, shares = samples.images[1:2], samples.images[9:10], torch.linspace(0, 1, 6).view(-1, 1)
between, titles = [(1 - shares.view(-1, 1, 1, 1)) * a + shares.view(-1, 1, 1, 1) * b], ["pixels", *[""] * 5]
for name, network in {"robust": robust, "standard": standard}.items():
    goal = (1 - shares) * features(network, a) + shares * features(network, b)
    between.append(maximize(lambda x: -(features(network, x) - goal).norm(dim=1), noise[:1].expand(6, -1, -1, -1), steps=50, step_size=0.35))
    titles += [f"{name}: {gap:.2f}" for gap in (features(network, between[-1]) - goal).norm(dim=1) / goal.norm(dim=1)]
plots.show(torch.cat(between), titles, columns=6, size=1.4, label="from a ship to a car; network: relative distance of the features from those looked for")

# %% [markdown]
# The robust network goes from hull to car through things that are neither; from the standard one we see noise at every place. That is one pair. Over 100 pairs, **what does a third network say on the way?**

# %%
print("100 pairs, each from noise; of 100 images at 0, 1/4, 1/2, 3/4 and all of the way, how many a third network takes for the first picture's class -> the second's")


def on_the_way(way):
    return "   ".join(f"{first:>2} -> {second:<2}" for first, second in zip(way["third network says the first"], way["third network says the second"]))


for networks in ("cifar10", "mnist5k"):
    ways = {name: row("between", f"{networks}/{name}") for name in ("robust-l2", "standard")}
    print(f"{networks + ', double exposures':<26} {on_the_way(ways['standard']['double exposure'])}")
    for name, r in ways.items():
        line = r["off the line"]
        print(f"{networks + '/' + name:<26} {on_the_way(r['found'])}   features in the middle: {r['found']['features'][2]:.2f} from those looked for (a double exposure's: {r['double exposure']['features'][2]:.2f})   "
              f"off the line {line['mean']:.2f} ({line['interval'][0]:.2f} to {line['interval'][1]:.2f})")
colour = {name: row("between", f"cifar10/{name}") for name in ("robust-l2", "standard")}
found, exposed = (colour["robust-l2"][way] for way in ("found", "double exposure"))
assert all(abs(found[f"third network says the {which}"][end] - exposed[f"third network says the {which}"][end]) < 5 for which, end in (("first", 0), ("second", 4)))
assert all(max(counts) < 15 and len(set(counts)) == 1 for key, counts in colour["standard"]["found"].items() if key.startswith("third"))
assert all(r["found"]["features"][2] < r["double exposure"]["features"][2] / 2 and r["off the line"]["interval"][0] > 1 for r in colour.values())

# %% [markdown]
# At its ends the robust network's way is read as often as the pictures themselves are (77 and 78 of 100, against 76 and 74), and in the middle one class hands over to the other. Of the standard network's images the third says the same at every place: it sees noise, though the features came nearer. And the middle is no double exposure. Its features are not those of one, which lie twice as far (three times, for the standard
# network) from what was asked. Nor is the image the mean of the two ends: 0 would be a double exposure, 1 as far from that mean as the ends are, and 1.7 (the root of 3) an image that shares no more with the two than they share with each other. That much holds for both networks. For digits the third network reads the standard network's way, too; but from grey noise the digits are not quite found (fewer of them are read than of the real ones), and the robust network's double exposures are at least as near as what was found.
# Nothing obliges the way to be a good one: the line between the features of two images need not be made of features of images.
#
# ## Is a neuron more than a direction?
# $\phi$ is a vector; neurons are its axes. A random direction $u$ gives as good a number, $u \cdot \phi(x)$. **One of these rows shows neurons, drawn at random, the other random directions. Which is which?**

# %%
generator = torch.Generator().manual_seed(5)
drawn = torch.randperm(256, generator=generator)[:10].tolist()
directions = torch.randn(256, 10, generator=generator)
directions = directions / directions.norm(dim=0)
lines = maximize(lambda x: (features(robust, x, straight_through=True) * directions.T).sum(1), grey.expand(10, -1, -1, -1), steps=40, step_size=0.3)
plots.show(torch.cat([lines, ask(robust, drawn, grey, 40, 0.3)]), ["A", *[""] * 9, "B", *[""] * 9], columns=10, size=1.3)

# %% [markdown]
# (B are the neurons.) Szegedy et al. (2013) found no difference that they could see. Ours can be measured: for every neuron and for 1,000 random directions the AUC of the class that it knows best (how often a picture of the class has the higher value than another one: 0.5 by guessing, 1 for a
# perfect detector), on all 10,000 test pictures. And the share of one class among the nine pictures that excite it most. Directions are drawn from a normal distribution, in two ways: over the neurons as they are (those that vary most then have most of the say), and after each was given the same spread.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 2.5), sharey=True, layout="constrained")
for ax, network in zip(axes, ("cifar10/robust-l2", "cifar10/standard")):
    r = row("axes", network)
    for name, values, colour_, hatch in (("neurons", r["neurons"]["auc of each"], plots.CLEAN, ""), ("random directions", r["random"]["auc of the first 256"], plots.ATTACKED, "//")):
        ax.hist(values, torch.linspace(0.5, 1, 26).numpy(), alpha=0.6, color=colour_, hatch=hatch, label=name)
    ax.set(xlabel="AUC of the class it knows best", title=network)
    ax.title.set_fontsize(9)
    ax.legend(fontsize=8)
plt.show()
for what, says, scale, digits_ in (("auc", "AUC of the best class", 1, 3), ("purity", "of the top nine, one class (%)", 100, 1)):
    print(f"{says:<32} live neurons: mean   lead over random (95 %)        lead over random, equal spread")
    for r in (r for r in rows if r["kind"] == "axes"):
        leads = [r[f"lead over {kind}"][what] for kind in ("random", "random, equal spread")]
        print(f"{r['network']:<32} {r['live neurons']:>12} {scale * r['neurons'][what]['mean']:>6.{digits_}f}   "
              + "        ".join(f"{scale * one['mean']:+.{digits_}f} ({scale * one['interval'][0]:+.{digits_}f} to {scale * one['interval'][1]:+.{digits_}f})" for one in leads))
colour = [row("axes", f"cifar10/{name}") for name in ("standard", "robust-l2", "robust-l2-eps1", "robust-linf")]
leads = [r["lead over random"]["auc"] for r in colour]
assert leads[0]["interval"][0] > 0.005 and all(0.005 < one["mean"] < 0.015 and abs(one["interval"][0]) < 0.002 for one in leads[1:])
assert all(0.015 < one["mean"] < 0.025 and one["interval"][0] > 0 for r in colour for one in [r["lead over random, equal spread"]["auc"]])
assert all(r["lead over random"]["purity"]["interval"][0] < 0 for r in colour) and sum(r["lead over random, equal spread"]["purity"]["interval"][0] > 0 for r in colour) == 2

# %% [markdown]
# Axes are a little better than random directions. By the first way of drawing it is clear for the standard network only (two hundredths of AUC; for the robust ones it is one, and their intervals begin at 0); by the second it is two hundredths for all four colour networks.
# Of the top nine, the first way shows no lead at all, the second one of three to four points for two of the four. And for digits, with the 21 neurons of the robust network that fire for more than 1 in 100, axes do worse (by the second way no difference can be told); the standard network's 82 look as in colour. So a neuron is hardly more than a direction, and how directions are drawn matters as much.
# (The intervals are bootstraps over neurons and directions: one network of each kind, always the same pictures.) **And an expectation failed:** one might think that robust
# neurons, whose pictures we can read, know the classes better. They know them *less* well (0.78 against 0.88): readable is not the same as informative. The standard network is simply the better classifier.
#
# ## Name that neuron
# Fourteen neurons of the robust network, drawn at random (of the first sixteen two were left out: their pictures had been seen), from grey and, below it, from noise. **What does each stand for?** Write a class on each of them before you go on.

# %%
named = row("names", "cifar10/robust-l2")["neurons"]
fourteen = [entry["neuron"] for entry in named]
made = ask(robust, fourteen * 2, torch.cat([grey, noise[:1]]).repeat_interleave(14, 0), 30, 0.4)
plots.show(torch.cat([made[i:i + 7] for i in (0, 14, 7, 21)]), [text for seven in (fourteen[:7], fourteen[7:]) for text in (*map(str, seven), *[""] * 7)], columns=7, size=1.35)

# %% [markdown]
# Below, guesses that were made from such pictures alone (six starts each, and two as sums of waves), before any activation was looked at, for the robust and the standard network, and the test on all 10,000 labelled test pictures: the AUC of the activation for the guessed class, its 95 % interval, and the class that the neuron in fact knows best.

# %%
right = {}
for network in ("cifar10/robust-l2", "cifar10/standard"):
    entries = row("names", network)["neurons"]
    right[network] = sum(entry["rank of the guess"] == 1 for entry in entries)
    low, high = measure.interval(right[network], len(entries))
    print(f"{network}: the guess is the class it knows best for {right[network]} of {len(entries)} ({100 * low:.0f} to {100 * high:.0f} %; by chance 10 %); mean AUC of the guess {sum(e['auc'] for e in entries) / len(entries):.2f}, "
          f"of the best class {sum(e['its auc'] for e in entries) / len(entries):.2f}; of all 256 neurons {sum(area > 0.9 for area in row('axes', network)['neurons']['auc of each'])} know some class with an AUC above 0.9")
    for e in entries:
        print(f"   neuron {e['neuron']:>3}  guess {e['guess']:<11} AUC {e['auc']:.2f} ({e['interval'][0]:.2f} to {e['interval'][1]:.2f})   best: {e['best class']:<11} {e['its auc']:.2f}   the guess is number {e['rank of the guess']}")
assert right == {"cifar10/robust-l2": 7, "cifar10/standard": 4} and measure.interval(4, 14)[0] > 0.1 and measure.interval(4, 14)[1] > 0.5 > measure.interval(7, 14)[0]
assert all(sum(area > 0.9 for area in row("axes", network)["neurons"]["auc of each"]) < 128 for network in right)

# %% [markdown]
# Half of the names are right for the robust network, and four of fourteen for the standard one: both more than by chance, but fourteen guesses by one pair of eyes cannot tell the two networks apart (see the intervals). The most instructive are the confident mistakes. The standard network's 43 and 18 were both named deer,
# for antlers; and yet 43 knows *airplanes* best and 18 *trucks*. Here is what they draw, and below it the test pictures that excite them most:

# %%
plots.show(painted(wants(standard, (43, 18)), 2, moved=True, coloured=True), ["43 draws", "18 draws"], columns=2, size=1.7)
firsts = {j: row("classes", "cifar10/standard")["classes of the nine"][j][:7] for j in (43, 18)}
assert [[data.CIFAR10[c] for c in firsts[j]] for j in (43, 18)] == [["deer"] * 5 + ["airplane", "bird"], ["deer", "truck", *["deer"] * 5]]

# %% [markdown]
# ![Two neurons of the standard network: for each the seven of all 10,000 test pictures that excite it most, with class and activation](../results/neurons_standard.png)
#
# Stags come first, as drawn: for 43 the first five, then an airplane and a bird; for 18 six of the seven, and in second place a truck. Antlers are the *extreme* of what these neurons respond to; over all pictures they go by something else, of which airplanes and trucks have more than deer. A maximised image shows the far end of what a neuron responds to; the AUC asks about its whole range. A name needs both, and most neurons have no name among ten classes (an AUC above 0.9 is
# rare on the robust network, and not the rule on the standard one): they are shared, and the last layer uses them together.
#
# ## With the full data: an ImageNet network at 224 x 224
# `python -m experiments.neurons224` asks torchvision's MobileNetV2 (a standard network) about three neurons, with 200 photographs; it needs weights and photographs that do not come with the course, so its result stands here as a picture.
#
# ![Three neurons of MobileNetV2: the photographs that excite each most, and images maximised from a photograph, noise, grey, and as sums of waves](../results/neurons224.png)

# %%
large = json.loads(Path("../results/neurons224.json").read_text())
for r in large["rows"]:
    print(f"neuron {r['neuron']}: photographs {', '.join(r['photographs'])} (to {max(r['their values']):.1f}); " + "; ".join(f"{name} {one['value']:.1f} in {one['seconds']:.0f} s" for name, one in r.items() if isinstance(one, dict)))
print("" if data.available("imagenet200") else f"No photographs of ImageNet here: {data.how_to_get('imagenet200')}.")

# %% [markdown]
# The same story at full size: far higher activations than any of the 200 photographs gives, next to nothing to see or grain from pixels, and textures with coarse shapes once waves and movement are demanded. (Activations before the last layer's ReLU6, which ends at 6.)
#
# ## What can go wrong
# - The loss is the mean over all neurons, or a row in place of a column: something is maximised, only not what you think.
# - A dead start: the image stays as it is, and looks like an answer.
# - Only the pictures that came out well are shown. (Ours at the top were chosen; the fourteen were not.)
# - A name is given from the real images alone, or from the maximised one alone, and never tested.
#
# ## What to take away
# - The last layer sees an image as a few hundred numbers; each can be asked what it wants, by the loop that also makes attacks.
# - On a robust network the answer is often a picture; on a standard one it has to be coaxed, and then it is drawn in our style.
# - The same features may mean the same image to us (robust) or not (standard).
# - A neuron is hardly more than a direction (on these networks, by these measures), and readable is not informative. A name is a claim: test it on labels.
#
# **Now you:** [your copy of the exercises](../my-work/07_feature_visualisation.ipynb).
