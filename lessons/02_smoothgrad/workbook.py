# %% [markdown]
# # 02 · SmoothGrad and the limits of locality
# **You need:** unit 01.
#
# **Afterwards you can:** write SmoothGrad, occlusion and integrated gradients; choose their settings and say what each setting assumes; measure
# whether an explanation is *faithful* to a network rather than pleasing to the eye, on images where the truth is known.
#
# Notation: $x$ an image in $[0, 1]$, $y$ its class, $z_y$ the logit of that class, $\sigma$ the standard deviation of noise, $b$ a baseline (an image that
# stands for "nothing there").

# %%
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from helpers import attacks, attribution, data, models, planted, plots
from helpers.course import check, hint, predict, progress, reveal

test = data.load("mnist5k")
model = models.load("mnist5k/standard")
robust = models.load("mnist5k/robust-l2")
ten = test.per_class(1)
colour = data.load("cifar10-samples")
six = colour[[0, 1, 4, 6, 3, 7]]
standard_colour, robust_colour = models.load("cifar10/standard"), models.load("cifar10/robust-l2")


def scaled(maps):
    """Each map divided by its largest absolute value, for showing."""
    return maps / maps.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)

# %% setup="checks"
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from helpers import attacks, attribution, data, models, planted, plots
from helpers.checking import Pixels, Wrong, WrongType, arguments, close, images, linear, tensor, untouched


class Watched(nn.Module):
    """z_k = sum_i w_ki x_i^n / n: the gradient at x is w_y x^(n - 1). Keeps every batch it is shown."""

    def __init__(self, classes=3, shape=(1, 6, 6), seed=0, power=2):
        super().__init__()
        self.power = power
        self.weights = nn.Parameter(torch.randn(classes, torch.Size(shape).numel(), generator=torch.Generator().manual_seed(seed)))
        self.seen = []

    def forward(self, x):
        self.seen.append(x.detach().clone())
        return (x.flatten(1) ** self.power / self.power) @ self.weights.T

    def gradient(self, x, y):
        return self.weights.detach()[y].view_as(x) * x ** (self.power - 1)


# %% [markdown] exercise="2.1" minutes=8 difficulty=2 core=true
# ## SmoothGrad
# The gradient of a standard network looks noisy. Perhaps it is: the function may wiggle from pixel value to pixel value, and the gradient shows the wiggle we happen to
# stand on. Then the mean gradient of the neighbourhood should show the slope (Smilkov et al. 2017):
#
# $$\hat g(x) = \frac1N \sum_{i=1}^N \nabla_x z_y(x + \epsilon_i), \qquad \epsilon_i \sim \mathcal N(0, \sigma^2)$$
#
# Fresh noise for each image and each $i$. The noisy images are *not* clipped to $[0, 1]$: clipped, black pixels would only get brighter, and a gradient taken through the clipping is 0.

# %%
def smooth_grad(model, images, labels, n_samples=50, sigma=0.15):
    """The mean gradient of the label's logit over `n_samples` noisy copies of each image: a tensor of the shape of `images`."""
    ### BEGIN SOLUTION
    total = torch.zeros_like(images)
    for _ in range(n_samples):
        noisy = (images + sigma * torch.randn_like(images)).requires_grad_()
        logits = model(noisy).gather(1, labels[:, None]).sum()
        total += torch.autograd.grad(logits, noisy)[0]
    return total / n_samples
    ### END SOLUTION

# %%
check("2.1", smooth_grad)

# %% [markdown] hints="2.1"
# - A loop of `n_samples` turns. In each: make noisy images, take the gradient of the labels' logits as in unit 01, add it to a running total.
# - `noisy = (images + sigma * torch.randn_like(images)).requires_grad_()`, inside the loop: fresh noise each time. Ask for the gradient with respect to `noisy`.
# - `torch.autograd.grad(model(noisy).gather(1, labels[:, None]).sum(), noisy)[0]`. At the end divide the total by `n_samples`.

# %% check="2.1"
def check(smooth_grad):
    arguments(smooth_grad, "model", "images", "labels", "n_samples", "sigma")
    net, x = Watched(), images(4, (1, 6, 6), 0.0, 1.0, 3)
    y = torch.tensor([0, 1, 2, 1])
    before = x.clone()
    out = tensor(smooth_grad(net, x, y, n_samples=40, sigma=0.4), x)
    untouched((x, before))
    points = sum(map(len, net.seen))
    if points == 4 or all(close(seen, net.seen[0]) for seen in net.seen) and len(net.seen) > 1 and len(net.seen[0]) == 4:
        raise Wrong("the network is shown the same images every time: draw fresh noise inside the loop" +
                    (", and look at every noisy copy instead of at their mean." if points == 4 else "."))
    if points != 160:
        raise Wrong(f"the network is shown {points} images; 4 images with n_samples=40 make 160.")
    seen = torch.cat(net.seen).view(-1, 4, 36) if len(net.seen[0]) == 4 else None
    if seen is not None and len(seen) > 1 and (seen[-1] - x.flatten(1)).std() > 3 * (seen[0] - x.flatten(1)).std():
        raise Wrong("the noise grows from turn to turn: each copy starts from the noisy one before it. Add fresh noise to `images` each time.")
    if seen is None:
        order = torch.cat(net.seen).flatten(1)
        nearest = torch.cdist(order, x.flatten(1)).argmin(1)
        noise = order - x.flatten(1)[nearest]
    else:
        noise = (seen - x.flatten(1)).flatten(0, 1)
    if seen is None and torch.pdist(noise).min() < 1e-3:
        raise Wrong("several noisy copies share their noise: draw fresh noise for each image and each sample.")
    if torch.cat(net.seen).min() >= 0 and torch.cat(net.seen).max() <= 1:
        raise Wrong("the noisy images are clipped to [0, 1]: black pixels then only get brighter, white ones darker, and the mean of the noise is not 0 any more. Leave them as they are.")
    if noise.std() < 0.001:
        raise Wrong("there is no noise on the images.")
    if abs(noise.std() - 0.4) > 0.03:
        raise Wrong(f"the noise has standard deviation {noise.std():.2f} where sigma=0.4 was asked for" +
                    (": `sigma` is used squared." if abs(noise.std() - 0.16) < 0.02 else ": multiply `torch.randn_like(images)` by `sigma` (`rand` is another distribution)."))
    if abs(noise.mean()) > 0.03:
        raise Wrong(f"the noise has mean {noise.mean():.2f}: it should be 0. `torch.randn_like` is normal, `torch.rand_like` is uniform in [0, 1].")
    if seen is not None and close(noise.view(-1, 4, 36)[:, 0], noise.view(-1, 4, 36)[:, 1]):
        raise Wrong("all images of the batch get the same noise: draw it in the shape of `images`.")
    grads = torch.stack([net.gradient(part, y) for part in net.seen]) if seen is not None else None
    if grads is None:
        mean = torch.stack([net.weights.detach()[y[i]].view(1, 6, 6) * torch.cat(net.seen)[nearest == i].mean(0) for i in range(4)])
    else:
        mean = grads.mean(0)
    if close(out, mean):
        return "the slope of the neighbourhood instead of the slope of a point."
    if close(out, mean * 40):
        raise Wrong("this is the sum of the gradients: divide by `n_samples`.")
    if grads is not None and close(out, grads.abs().mean(0)):
        raise Wrong("this averages absolute values: noise then adds up instead of cancelling.")
    if grads is not None and close(out, grads[-1]):
        raise Wrong("this is the last gradient alone: add them up.")
    if close(out, mean * x):
        raise Wrong("this is multiplied by the image: the mean gradient alone is wanted.")
    raise Wrong("the result is not the mean of the gradients of the label's logit at the noisy images. Is it the logit (no softmax, no loss)?")

# %% [markdown]
# Upper row: the gradient; lower row: SmoothGrad. Digits, then colours, with the standard networks. On digits little changes; on colours larger structures come out of the speckles.

# %%
torch.manual_seed(0)
plots.show(scaled(attribution.input_gradient(model, ten.images, ten.labels, of="logit")), signed=True, limit=1, label="gradient")
plots.show(scaled(smooth_grad(model, ten.images, ten.labels)), signed=True, limit=1, label="SmoothGrad")
rows = [six.images] + [0.5 + 0.5 * maps / maps.abs().flatten(1).quantile(0.99, 1).view(-1, 1, 1, 1) for maps in
                       (attribution.input_gradient(standard_colour, six.images, six.labels, of="logit"), smooth_grad(standard_colour, six.images, six.labels, 50, 0.1))]
plots.show(torch.cat(rows).clamp(0, 1), columns=6, size=1.5, label="picture, gradient, SmoothGrad")

# %% [markdown] predict="2.2" minutes=2 core=true choices=[2,4,10,100]
# ## How many samples?
# SmoothGrad with $N$ samples is an estimate of the mean over *all* noise. **How many times as many samples does it take to halve its error:** `2`, `4`, `10` or `100`?

# %%
predict("2.2", 2)

# %% answer="2.2"
def answer(guess):
    some, model = data.load("mnist5k")[:20], models.load("mnist5k/standard")

    def estimate(n, seed):
        return attribution.smooth_grad(model, some.images, some.labels, n_samples=n, sigma=0.15, generator=torch.Generator().manual_seed(seed))
    truth, counts = estimate(1500, 99), (1, 2, 4, 8, 16, 32, 64, 128)
    errors = torch.tensor([torch.stack([(estimate(n, seed) - truth).flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1) for seed in range(2)]).mean().item()
                           for n in counts])
    x, y = torch.tensor(counts).double().log(), errors.double().log()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    plots.curves(ax, counts, {"measured": errors.tolist(), "1 / √N": (errors[0] / torch.tensor(counts).sqrt()).tolist()}, "samples N", "relative error")
    ax.set(xscale="log", yscale="log")
    return (f"Measured: the error falls as N to the power {slope:.2f}, close to -1/2: four times the samples for half the error. Ten times the samples make it "
            f"{10 ** -slope.item():.1f} times smaller. It ends at the mean map of a neighbourhood that sigma has chosen, not at the truth about x.")

# %% [markdown] part="2.3" minutes=4 core=true
# ## Which sigma?
# $\sigma$ is measured in units of the image's range, 1. Too little changes nothing; too much asks the network about images it cannot read any more. Columns: $\sigma$; below
# each map, what share of noisy copies the network still reads correctly.

# %%
sigmas = (0.01, 0.05, 0.1, 0.2, 0.4, 0.8)
one = test[test.labels == 3][:1]
for name, network, image in (("digit", model, one), ("colour", standard_colour, six[1:2])):
    maps, titles = [], []
    for sigma in sigmas:
        generator = torch.Generator().manual_seed(0)
        maps.append(attribution.smooth_grad(network, image.images, image.labels, n_samples=100, sigma=sigma, generator=generator))
        noisy = image.images + sigma * torch.randn(100, *image.images.shape[1:], generator=generator)
        titles.append(f"{sigma:g}\n{100 * attacks.accuracy(network, noisy, image.labels.expand(100)):.0f} % still right")
    maps = torch.cat(maps).sum(1, keepdim=True)
    plots.show(scaled(maps), titles, columns=6, signed=True, limit=1, size=1.5, label=name)

# %% [markdown]
# **Question.** The paper recommends a $\sigma$ of 10 to 20 % of the range, because the maps look best there. Look at the numbers under the colour maps: what is
# explained there, the network's decision on *this* picture? Keep in mind that colour networks are trained without noise.

# %% [markdown] exercise="2.4" minutes=10 difficulty=2 core=true
# ## Does it look better, or is it better?
# A map claims an order of importance. Test the claim: delete the pixels in that order, most important first, and watch the probability of the class (Petsiuk et al.
# 2018; Samek et al. 2017). A faithful order makes it fall early. *Deleting* needs a value to put in place; here a number, `baseline`.

# %%
def deletion_curve(model, image, label, order, fractions, baseline=0.0):
    """image: 1 x C x H x W; label: int64 tensor of length 1; order: the positions 0 ... H*W - 1 (row by row), most important first.
    The probability of the label when the first round(fraction * H * W) of them are set to `baseline` in all channels, for each fraction: a 1-D tensor."""
    ### BEGIN SOLUTION
    images = image.repeat(len(fractions), 1, 1, 1)
    pixels = images.flatten(2)
    for row, fraction in enumerate(fractions):
        pixels[row, :, order[: round(fraction * len(order))]] = baseline
    with torch.no_grad():
        return model(images).softmax(1)[:, label.item()]
    ### END SOLUTION

# %%
check("2.4", deletion_curve)

# %% [markdown] hints="2.4"
# - One copy of the image for each fraction: `image.repeat(len(fractions), 1, 1, 1)`. Their pixels as rows: `images.flatten(2)`, N x C x (H*W), which shares memory with `images`.
# - `order[:k]` are the positions to delete, with `k = round(fraction * len(order))`. `pixels[row, :, order[:k]] = baseline` deletes them in all channels.
# - One pass for all: `model(images).softmax(1)[:, label.item()]`, under `torch.no_grad()`.

# %% check="2.4"
def check(deletion_curve):
    arguments(deletion_curve, "model", "image", "label", "order", "fractions", "baseline")
    net, x, y = linear(3, (2, 4, 5), 3), images(1, (2, 4, 5), 0.2, 1.0, 5), torch.tensor([1])
    order = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    fractions = [0.0, 0.13, 0.25, 0.5, 1.0]

    def by_hand(order, channels=slice(None), keep=False, value=0.3, outputs="softmax"):
        result = []
        for fraction in fractions:
            pixels = x.clone().flatten(2)
            k = round(fraction * 20)
            pixels[:, channels, order[k:] if keep else order[:k]] = value
            logits = net(pixels.view_as(x))
            result.append((logits.softmax(1) if outputs == "softmax" else logits)[0, 1].item())
        return torch.tensor(result)
    before = x.clone(), order.clone()
    out = deletion_curve(net, x, y, order, fractions, 0.3)
    if isinstance(out, list):
        raise WrongType("a list came: a 1-D tensor is wanted (`torch.stack(...)` or `torch.tensor(...)`).")
    out = tensor(out, torch.zeros(5))
    if not torch.equal(x, before[0]) or not torch.equal(order, before[1]):
        raise Wrong("your code changes the image or the order it was given: `repeat` makes copies (`expand` does not), `clone()` one.")
    if close(out, by_hand(order)):
        if not close(deletion_curve(net, x, y, order, fractions), by_hand(order, value=0.0)):
            raise Wrong("without `baseline` deleted pixels should be 0.")
        return "an explanation that can fail a test."
    for wrong, said in ((by_hand(order.flip(0)), "the *least* important pixels go first: take them from the front of `order`."),
                        (by_hand(order, keep=True), "the first pixels of the order are kept and the others deleted: that is the insertion curve. Here the first are deleted."),
                        (by_hand(order, slice(0, 1)), "only the first channel is deleted: a pixel has all of its colours, `pixels[row, :, ...]`."),
                        (by_hand(order, value=0.0), "the deleted pixels are 0: put `baseline` there."),
                        (by_hand(order, outputs="logits"), "these are logits: the probability is wanted (`softmax(1)`)."),
                        (by_hand(order.argsort()), "`order` is used as if it held each pixel's rank. It holds positions: the first entry is the position of the most important pixel.")):
        if close(out, wrong):
            raise Wrong(said)
    if close(out[0], out[1:].mean()) or out.std() < 1e-6:
        raise Wrong("every fraction gives the same probability: are the pixels deleted in the images that the network sees?")
    raise Wrong("these are not the probabilities of the label with the first pixels of the order set to `baseline`.")

# %% [markdown]
# Now the contest, on the colour samples that the standard network reads correctly: gradient, SmoothGrad, occlusion (2.5), a random order, and an *edge detector* that has never seen
# the network (the size of the picture's own gradient). Deletion: the smaller the area under the curve, the more faithful. Delete the *least* important first and you have the insertion
# curve, read from the right: there, the larger the area the better.

# %%
right = colour[~attacks.fooled(standard_colour, colour.images, colour.labels)]
generator = torch.Generator().manual_seed(0)
gradient = attribution.input_gradient(standard_colour, right.images, right.labels, of="logit")
smooth = attribution.smooth_grad(standard_colour, right.images, right.labels, n_samples=40, sigma=0.1, generator=generator)
grey = right.images.mean(1, keepdim=True)
edges = F.pad((grey[..., 1:, :] - grey[..., :-1, :]).abs(), (0, 0, 0, 1)) + F.pad((grey[..., 1:] - grey[..., :-1]).abs(), (0, 1))
occluded = attribution.occlusion(standard_colour, right.images, right.labels, size=4, stride=2, baseline=right.images.mean((2, 3), keepdim=True))
maps = {"gradient": gradient.abs(), "SmoothGrad": smooth.abs(), "occlusion": occluded, "edges of the picture": edges,
        "random order": torch.rand(grey.shape, generator=generator)}
fractions = torch.linspace(0, 1, 11).tolist()


def mean_curve(of, first_the_least=False):
    orders = of.sum(1).flatten(1).argsort(1, descending=not first_the_least)
    return torch.stack([deletion_curve(standard_colour, image[None], label[None], order, fractions, image.mean().item())
                        for image, label, order in zip(right.images, right.labels, orders)]).mean(0)


curves = {name: mean_curve(of) for name, of in maps.items()}
figure, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
plots.curves(ax, [100 * fraction for fraction in fractions], curves, "pixels deleted (%)", "mean probability of the class")
plt.show()
print(f"{len(right)} pictures; area under the curve of       deletion   insertion")
for name, values in curves.items():
    print(f"{name:>36} {torch.trapezoid(values, dx=0.1):>13.3f} {torch.trapezoid(mean_curve(maps[name], True), dx=0.1):>11.3f}")

# %% [markdown]
# <details><summary>What to make of it</summary>
#
# Each deletion also makes the picture strange, whatever is deleted: grey holes strewn over it are noise, which this network has never seen, and a random order is very good at making
# noise. By deletion the gradient does not beat it on these few pictures, SmoothGrad does by hardly more than chance might, and the edges, which look so convincing as a map, come last. By
# insertion the ranking is another: there the edges are second, and gradient and SmoothGrad beat the random order. Only occlusion, which asks nearly the same question as these tests do, wins both.
# A test of maps is a choice, too. (And $\sigma = 0.1$: how many noisy copies did the network read correctly in 2.3?)
# </details>

# %% [markdown] exercise="2.5" minutes=8 difficulty=2 core=true
# ## Occlusion
# A gradient asks about an infinitesimal change. Why not take something real away? Cover a window, and see how far the logit falls (Zeiler & Fergus 2014). The windows here lie side by
# side; every pixel of a window gets that window's fall: $z_y(x) - z_y(x \text{ with the window covered})$.

# %%
def occlusion(model, images, labels, size, baseline=0.0):
    """For each window of size x size (H and W are multiples of size) the fall of the label's logit when it is covered with `baseline`,
    written to all its pixels and channels: a tensor of the shape of `images`."""
    ### BEGIN SOLUTION
    maps = torch.zeros_like(images)
    with torch.no_grad():
        whole = model(images).gather(1, labels[:, None])[:, 0]
        for top in range(0, images.shape[2], size):
            for left in range(0, images.shape[3], size):
                covered = images.clone()
                covered[:, :, top:top + size, left:left + size] = baseline
                fall = whole - model(covered).gather(1, labels[:, None])[:, 0]
                maps[:, :, top:top + size, left:left + size] = fall.view(-1, 1, 1, 1)
    return maps
    ### END SOLUTION

# %%
check("2.5", occlusion)

# %% [markdown] hints="2.5"
# - Two loops, over `top` and `left`, in steps of `size`. In each turn cover that window in a *fresh copy* of all images: `covered[:, :, top:top + size, left:left + size] = baseline`.
# - The logit of each label: `model(covered).gather(1, labels[:, None])[:, 0]`. The fall is the logit of the whole image minus that.
# - `maps[:, :, top:top + size, left:left + size] = fall.view(-1, 1, 1, 1)`. No gradients are needed: `with torch.no_grad():`.

# %% check="2.5"
def check(occlusion):
    arguments(occlusion, "model", "images", "labels", "size", "baseline")
    net, x = linear(3, (2, 4, 6), 7), images(4, (2, 4, 6), 0.1, 0.9, 8)
    y = torch.tensor([0, 1, 2, 0])
    before = x.clone()
    out = tensor(occlusion(net, x, y, 2, 0.5), x)
    untouched((x, before))
    w = net.weights.detach()[y].view_as(x)

    def by_hand(values, size=2):
        summed = F.avg_pool2d(values.sum(1, keepdim=True), size) * size * size
        return F.interpolate(summed, scale_factor=size, mode="nearest").expand_as(x)
    wanted = by_hand(w * (x - 0.5))
    if close(out, wanted, 1e-3):
        if not close(occlusion(net, x, y, 2), by_hand(w * x), 1e-3):
            raise Wrong("without `baseline` the window should be covered with 0.")
        if not close(occlusion(net, x, y, 1, 0.5), w.mul(x - 0.5).sum(1, keepdim=True).expand_as(x), 1e-3):
            raise Wrong("with windows of one pixel it goes wrong: does every window get its turn?")
        return "something real was taken away, one window at a time."
    cumulative = torch.zeros_like(x)
    fall = torch.zeros(4)
    for top in range(0, 4, 2):
        for left in range(0, 6, 2):
            fall = fall + (w * (x - 0.5))[:, :, top:top + 2, left:left + 2].sum((1, 2, 3))
            cumulative[:, :, top:top + 2, left:left + 2] = fall.view(-1, 1, 1, 1)
    if close(out, cumulative, 1e-3):
        raise Wrong("the windows stay covered: every window needs a fresh copy of the images.")
    if close(out, -wanted, 1e-3):
        raise Wrong("the sign is turned round: where covering *lowers* the logit, the window speaks for the class and its value is positive.")
    if close(out, by_hand(w * x), 1e-3):
        raise Wrong("the window is covered with 0 although `baseline=0.5`.")
    if close(out, wanted / 8, 1e-3) or close(out, wanted / 4, 1e-3):
        raise Wrong("the fall is divided among the window's pixels: give each pixel the whole fall.")
    if close(out[:, :, :2, :2], wanted[:, :, :2, :2], 1e-3):
        raise Wrong("the first window is right, the others are not: do the loops go over all of them, in steps of `size`?")
    p = net(x).softmax(1).gather(1, y[:, None])[:, 0]
    if out.abs().max() <= 1 and (out[:, 0, 0, 0] - p).abs().max() <= 1:
        raise Wrong("this looks like the fall of a probability: the logit is wanted, which has no ceiling.")
    raise Wrong("on a linear network the fall of a window is known exactly, and this is not it. Is it the logit of the label of each image, with all channels covered?")

# %% [markdown]
# A small window says *where*; a large one takes more away and says little about where. The library's version, with overlapping windows (stride 2), on a colour picture:

# %%
ship = six[1:2]
maps, titles = [ship.images], ["ship"]
for size in (2, 4, 8, 16):
    falls = attribution.occlusion(standard_colour, ship.images, ship.labels, size=size, stride=2, baseline=ship.images.mean((2, 3), keepdim=True))
    maps.append(0.5 + 0.5 * falls / falls.abs().max())
    titles.append(f"window {size}\nlargest fall {falls.max():.1f}")
plots.show(torch.cat(maps), titles, columns=5, size=1.7, label="middle grey: no change; bright: speaks for the class; dark: against it")

# %% [markdown] part="2.6" minutes=3 core=false
# ## Region and detail
# Occlusion knows *where* but is coarse; gradient × input is fine but local. Their product takes the region from the one and the detail from the other. Is that a better explanation,
# or a better-looking one? You have the tool to find out: `deletion_curve`.

# %%
coarse = attribution.occlusion(standard_colour, right.images, right.labels, size=8, stride=2, baseline=right.images.mean((2, 3), keepdim=True))
fine = attribution.gradient_x_input(standard_colour, right.images, right.labels).abs()
for name, of in {"|gradient × input|": fine, "occlusion, window 8": coarse, "their product": coarse * fine}.items():
    print(f"{name:>20}: area under the deletion curve {torch.trapezoid(mean_curve(of), dx=0.1):.3f}")
plots.show(torch.cat([right.images[1:2], *(0.5 + 0.5 * of[1:2] / of[1:2].abs().max() for of in (fine, coarse, coarse * fine))]),
           ["picture", "|gradient × input|", "occlusion", "product"], columns=4, size=1.7)

# %% [markdown]
# <details><summary>What we saw</summary>
#
# By deletion the product is better than gradient × input and no better than occlusion alone: the fine detail is nice to look at, and buys nothing here.
# </details>

# %% [markdown] exercise="2.7" minutes=9 difficulty=2 core=true
# ## Integrated gradients
# A gradient is a rate, at one place. Add the rates up along a way, and you get a difference: from a baseline $b$ in a straight line to $x$ (Sundararajan et al. 2017),
#
# $$a_i = (x_i - b_i) \int_0^1 \frac{\partial z_y}{\partial x_i}\big(b + t (x - b)\big)\,dt, \qquad \sum_i a_i = z_y(x) - z_y(b)$$
#
# The second equation is *completeness*: the map accounts for the whole change of the logit. Take the midpoint rule: gradients at $t = (k + \frac12) / \text{steps}$, $k = 0, \ldots, \text{steps} - 1$.

# %%
def integrated_gradients(model, images, labels, baseline, steps=50):
    """baseline: a number or a tensor that broadcasts over `images`. A map of the shape of `images` for the label's logit."""
    ### BEGIN SOLUTION
    total = torch.zeros_like(images)
    for k in range(steps):
        t = (k + 0.5) / steps
        point = (baseline + t * (images - baseline)).requires_grad_()
        total += torch.autograd.grad(model(point).gather(1, labels[:, None]).sum(), point)[0]
    return (images - baseline) * total / steps
    ### END SOLUTION

# %%
check("2.7", integrated_gradients)

# %% [markdown] hints="2.7"
# - A loop over k, with `t = (k + 0.5) / steps` and the point `baseline + t * (images - baseline)`: nearly the baseline first, nearly the image last.
# - At each point the gradient of the labels' logits with respect to *the point*; add them up.
# - `(images - baseline) * total / steps`. Forgetting `(images - baseline)` gives the mean gradient, which does not sum to the change of the logit.

# %% check="2.7"
def check(integrated_gradients):
    arguments(integrated_gradients, "model", "images", "labels", "baseline", "steps")
    x = images(3, (1, 6, 6), 0.1, 0.9, 4)
    y, base = torch.tensor([0, 2, 1]), images(1, (1, 6, 6), 0.0, 1.0, 6)
    before = x.clone(), base.clone()
    net = Watched(power=3)
    out = tensor(integrated_gradients(net, x, y, base, 10), x)
    untouched((x, before[0]), (base, before[1]))

    def mean_gradient(points):
        return sum(net.gradient(base + t * (x - base), y) for t in points) / 10
    middles = [(k + 0.5) / 10 for k in range(10)]
    wanted = (x - base) * mean_gradient(middles)
    if close(out, wanted):
        for steps in (1, 3):
            net = Watched(power=3)
            integrated_gradients(net, x, y, 0.2, steps)
            if sum(map(len, net.seen)) != 3 * steps:
                raise Wrong(f"with steps={steps} the network is shown {sum(map(len, net.seen))} images; 3 images make {3 * steps}.")
        return "the map adds up to the change of the logit: completeness."
    for came, said in (((x - base) * mean_gradient([1.0] * 10), "all gradients are taken at the image itself: let the point move from the baseline to the image."),
                       (mean_gradient(middles), "this is the mean gradient: multiply it by `images - baseline`."),
                       (x * mean_gradient(middles), "the mean gradient is multiplied by the image instead of by `images - baseline`."),
                       (wanted * 10, "this is the sum over the steps: divide by `steps`."),
                       (-wanted, "the sign is turned round: `images - baseline`, not `baseline - images`."),
                       ((x - base) * mean_gradient([k / 9 for k in range(10)]),
                        "`linspace(0, 1, steps)` puts full weight on both ends: the sum then misses completeness. Take the middles, (k + 1/2) / steps.")):
        if close(out, came):
            raise Wrong(said)
    for shift, points in ((0, "0, 1/10, ..., 9/10"), (1, "1/10, ..., 1")):
        if close(out, (x - base) * mean_gradient([(k + shift) / 10 for k in range(10)])):
            raise Wrong(f"the gradients are taken at t = {points}: each piece of the way is judged by one of its ends. Take the middles, (k + 1/2) / steps: "
                        "the error then falls with the square of the number of steps.")
    raise Wrong("for z = sum w x^3 / 3, whose gradient is w x^2, this is not (x - b) times its mean over the ten middles. Is it the gradient of the label's logit, "
                "at b + t (x - b)?")

# %% [markdown]
# Completeness, tested on the real network: how far the sum of the map is from the change of the logit. And four baselines: what is "nothing there"?

# %%
blurred = F.avg_pool2d(F.pad(ten.images, (4, 4, 4, 4)), 9, 1)
baselines = {"black": torch.zeros_like(ten.images), "white": torch.ones_like(ten.images), "blurred": blurred,
             "random": torch.rand(ten.images.shape, generator=torch.Generator().manual_seed(0))}


def logit(images):
    return attacks.scores(model, images).gather(1, ten.labels[:, None])[:, 0]


for name, baseline in baselines.items():
    change = logit(ten.images) - logit(baseline)
    misses = [(integrated_gradients(model, ten.images, ten.labels, baseline, steps).sum((1, 2, 3)) - change).abs().mean() for steps in (5, 20, 80)]
    print(f"{name:>8}: mean change of the logit {change.mean():6.2f}; missed by " + ", ".join(f"{miss:.3f} ({steps} steps)" for miss, steps in zip(misses, (5, 20, 80))))
    plots.show(scaled(integrated_gradients(model, ten.images, ten.labels, baseline)), signed=True, limit=1, label=f"baseline: {name}")

# %% [markdown]
# **Question.** All four maps are complete, and they differ. With the black baseline, what can a black pixel be blamed for? And what does the network make of the images on the way, none of
# which it was trained on? There is *no clear path*: the explorer below shows what lies on it, and how firm the network's opinions are there.

# %%
from helpers.widgets import path_explorer

path_explorer()

# %% [markdown] part="2.8" minutes=4 core=false
# ## Integrating over training instead
# Instead of a path through images that nobody has ever seen, take the path the *weights* went: the mean gradient of the loss for the image over all states of the network during training.
# No baseline has to be chosen; what it explains is another question: by what this image was told from others while the network learned. Compare the two rows: what of the mean is left at the end?

# %%
from helpers.training import train

digits = data.load("mnist5k", "train")
torch.manual_seed(0)
student, total, states = models.small_cnn(), torch.zeros_like(ten.images), 0


def add(network, step):
    global total, states
    total, states = total + attribution.input_gradient(network, ten.images, ten.labels, of="loss"), states + 1


train(student, digits.images, digits.labels, epochs=3, progress=False, callback=add)
plots.show(scaled(-total / states), signed=True, limit=1, label="minus the gradient of the loss, mean over training")
plots.show(scaled(-attribution.input_gradient(student, ten.images, ten.labels, of="loss")), signed=True, limit=1, label="the same at the end of training alone")

# %% [markdown] exercise="2.9" minutes=4 difficulty=1 core=true
# ## A score with ground truth
# How would we know that a map is right? By images of which we know what the network goes by. In `planted` every image has a **shape**, which names the class nine times in ten, and
# a **pattern** too faint to see ($\pm 2/255$), which names it always. Score: what share of a map's absolute values lies on the shape?

# %%
def share_on(maps, masks):
    """maps: N x C x H x W; masks: bool N x 1 x H x W. For each image the share of the map's absolute values on the mask, a tensor of length N in [0, 1]."""
    ### BEGIN SOLUTION
    strength = maps.abs().sum(1, keepdim=True)
    return (strength * masks).flatten(1).sum(1) / strength.flatten(1).sum(1)
    ### END SOLUTION

# %%
check("2.9", share_on)

# %% [markdown] hints="2.9"
# - `maps.abs()` first; then add up the channels, `sum(1, keepdim=True)`: the mask has one.
# - On the mask: `(strength * masks).flatten(1).sum(1)`; all: `strength.flatten(1).sum(1)`. The share is their quotient, image by image.

# %% check="2.9"
def check(share_on):
    arguments(share_on, "maps", "masks")
    maps = images(3, (2, 4, 4), -1, 1, 2) * torch.tensor([1.0, 10.0, 0.1]).view(3, 1, 1, 1)
    masks = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(1)) < torch.tensor([0.2, 0.5, 0.8]).view(3, 1, 1, 1)
    out = share_on(maps, masks)
    if isinstance(out, torch.Tensor) and out.ndim == 0:
        raise WrongType("one number came for all images: one for each is wanted. Sum over an image, `flatten(1).sum(1)`.")
    out = tensor(out, torch.zeros(3))
    strength = maps.abs().sum(1, keepdim=True)
    wanted = (strength * masks).sum((1, 2, 3)) / strength.sum((1, 2, 3))
    if close(out, wanted):
        return "a score that no pretty picture can argue with."
    if close(out, (maps * masks).sum((1, 2, 3)) / maps.sum((1, 2, 3))):
        raise Wrong("the signs are kept, so positive and negative values cancel: take absolute values first.")
    if close(out, (maps.sum(1, keepdim=True).abs() * masks).sum((1, 2, 3)) / maps.sum(1, keepdim=True).abs().sum((1, 2, 3))):
        raise Wrong("the channels are added before the absolute value is taken, and cancel: `abs()` first.")
    if close(out, 1 - wanted):
        raise Wrong("this is the share *off* the mask.")
    if close(out, masks.float().mean((1, 2, 3))):
        raise Wrong("this is the mask's share of the image; it does not look at the map.")
    if close(out, (strength * masks).sum((1, 2, 3)) / strength.sum()):
        raise Wrong("each image is divided by the total of the whole batch: divide by its own.")
    raise Wrong("this is not the sum of the map's absolute values on the mask, divided by that over the whole image.")

# %% [markdown]
# First the truth. On images where the two disagree (the shape of one class, the pattern of another), which does a network follow?

# %%
against, alone = planted.draw(500, seed=9, disagree=True), planted.draw(500, seed=8, pattern=False)
names = ("standard", "robust-l2")
seeing = {name: models.load(f"planted/{name}") for name in names}
some = planted.draw(100, seed=5)
plots.show(some.images[:5], [f"class: {planted.SHAPES[label]}" for label in some.labels[:5]], columns=5, size=1.5)      # the second is one of the one in ten
plots.show(0.5 + 60 * planted.pattern_of_each_class(), planted.SHAPES, columns=5, size=1.5, label="the patterns of the classes, 60 times as strong")
for name, network in seeing.items():
    said = attacks.scores(network, against.images).argmax(1)
    print(f"{name:>10}: where they disagree follows the shape {100 * (said == against.shapes).float().mean():.0f} %, "
          f"the pattern {100 * (said == against.patterns).float().mean():.0f} %; "
          f"without any pattern right {100 * attacks.accuracy(network, alone.images, alone.labels):.0f} %")

# %% [markdown] predict="2.10" minutes=3 core=true low=0 high=100 unit="%"
# ## Where will SmoothGrad look?
# The shapes cover 18 % of the image on average. **What share of the *standard* network's SmoothGrad (sigma 0.05) lies on the shape?** Remember what that network goes by.

# %%
predict("2.10", 50)

# %% answer="2.10"
def answer(guess):
    some = planted.draw(60, seed=7)
    ground = some.images.mean((2, 3), keepdim=True)
    methods = {
        "gradient": lambda net: attribution.input_gradient(net, some.images, some.labels, of="logit"),
        "gradient × input": lambda net: attribution.gradient_x_input(net, some.images, some.labels),
        "SmoothGrad 0.05": lambda net: attribution.smooth_grad(net, some.images, some.labels, n_samples=20, sigma=0.05),
        "SmoothGrad 0.15": lambda net: attribution.smooth_grad(net, some.images, some.labels, n_samples=20, sigma=0.15),
        "IG from black": lambda net: attribution.integrated_gradients(net, some.images, some.labels, steps=16),
        "IG from the mean colour": lambda net: attribution.integrated_gradients(net, some.images, some.labels, baseline=ground, steps=16),
        "occlusion, 4 x 4": lambda net: attribution.occlusion(net, some.images, some.labels, size=4, baseline=ground),
        "occlusion × gradient": lambda net: attribution.occlusion_x_gradient(net, some.images, some.labels, size=4, baseline=ground)}

    def share(maps):
        strength = maps.abs().sum(1, keepdim=True)
        return 100 * ((strength * some.masks).flatten(1).sum(1) / strength.flatten(1).sum(1)).mean().item()
    table = {name: [share(method(models.load(f"planted/{kind}"))) for method in methods.values()] for kind, name in (("standard", "standard"), ("robust-l2", "robust"))}
    area = 100 * some.masks.float().mean().item()
    figure, ax = plt.subplots(figsize=(8.5, 3.4), layout="constrained")
    at = torch.arange(len(methods))
    for shift, (name, hatch) in enumerate(zip(table, ("", "//"))):
        bars = ax.barh(at + 0.4 * shift - 0.2, table[name], 0.4, label=name, hatch=hatch)
        ax.bar_label(bars, fmt="%.0f", fontsize=7, padding=2)
    ax.axvline(area, color="k", linestyle=":", label=f"area of the shape, {area:.0f} %")
    ax.plot([guess], [2 - 0.2], "kx", markersize=9, label="your guess")
    ax.set_yticks(at, list(methods))
    ax.invert_yaxis()
    ax.set(xlabel="share of the attribution on the shape (%)", xlim=(0, 100))
    ax.legend(fontsize=8)
    return (f"Measured: {table['standard'][2]:.0f} % for the standard network, {table['robust'][2]:.0f} % for the robust one. The standard network's map does not draw the shape because "
            "this network does not go by the shape: the map is no bad witness, it testifies to something we cannot see. And mind the exception: integrated gradients from the mean colour "
            f"put {table['standard'][5]:.0f} % on a shape which this network ignores, because the factor x - b is large there, for any network.")

# %% [markdown] part="2.11" minutes=4 core=true
# ## Good looks can hide
# The check of 1.13, for all methods: how much of a map's *absolute values* is left when the whole network is drawn anew? (Rank correlation, 50 digits; 0 is what a method that explains the
# network should show. Compared over the whole image, and on the ink alone.)

# %%
import copy

some_digits = test[:50]
ruined = copy.deepcopy(model)
torch.manual_seed(0)
for layer in ruined.modules():
    if hasattr(layer, "reset_parameters"):
        layer.reset_parameters()
methods = {
    "gradient": lambda net: attribution.input_gradient(net, some_digits.images, some_digits.labels, of="logit"),
    "SmoothGrad": lambda net: attribution.smooth_grad(net, some_digits.images, some_digits.labels, n_samples=30),
    "gradient × input": lambda net: attribution.gradient_x_input(net, some_digits.images, some_digits.labels),
    "integrated gradients": lambda net: attribution.integrated_gradients(net, some_digits.images, some_digits.labels, steps=20),
    "occlusion, 4 x 4": lambda net: attribution.occlusion(net, some_digits.images, some_digits.labels, size=4, stride=2)}
ink = some_digits.images > 0
for name, method in methods.items():
    pair = [method(net).abs() for net in (model, ruined)]
    print(f"|{name}|".rjust(22) + f": {attribution.rank_correlation(*pair).mean():5.2f} over the image, {attribution.rank_correlation(*pair, where=ink).mean():5.2f} on the ink")

# %% [markdown]
# <details><summary>What this shows</summary>
#
# Whatever is multiplied by the image (gradient × input, integrated gradients from black) or covers parts of it with black (occlusion) keeps the digit in the map when the network is
# gone: off the ink these maps are 0 or nearly so for every network. They please the eye and fail the check. On the ink alone occlusion passes; maps that carry the image as a factor still do not.
# The gradient and SmoothGrad pass both ways. (With its sign, gradient × input passed in 1.13: its absolute value is what keeps the image.)
# </details>

# %% [markdown] part="2.12" minutes=3 core=true
# ## Try it
# Noise and samples, windows, on digits and your own pictures. Things to try: SmoothGrad of the untrained network, at a sigma where the map looks best; the smallest window that
# occlusion still notices; the robust network with no smoothing at all.

# %%
from helpers.widgets import occlusion_explorer, smoothgrad_explorer

smoothgrad_explorer()

# %%
occlusion_explorer()

# %% [markdown]
# ## Done
# `progress()` shows what you have. Next: instead of asking the gradient what matters, follow it (unit 03).

# %%
progress("02")
