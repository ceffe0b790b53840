# %% [markdown]
# # 04 · Why adversarial examples exist
# **You need:** unit 03.
#
# **Afterwards you can:** say why small changes add up in many dimensions, and work out the worst change of a linear model exactly; train against it with a formula; test
# whether a blind spot of one network is one of another, too; bound how much a network can stretch a change, and say what such a bound is worth.
#
# Notation: $x$ an image as a vector of $n$ values, $w$ weights, $b$ a bias, $y$ a class ($-1$ or $1$ where there are two), $\epsilon$ the size of a change per pixel.
# $\|w\|_1 = \sum_i |w_i|$, $\|w\|_2$ the Euclidean length. The **margin** is $m = y\,(w \cdot x + b)$: positive where the model is right, and the larger the surer it is.

# %%
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from helpers import attacks, data, models, plots, transfer
from helpers.course import check, hint, predict, progress, reveal
from helpers.training import train

digits, test = data.load("mnist5k", "train"), data.load("mnist5k")
model = models.load("mnist5k/standard")
robust = models.load("mnist5k/robust-l2")


def threes_and_sevens(some):
    """(images as rows, labels: -1 for a 3, 1 for a 7)"""
    pair = some[(some.labels == 3) | (some.labels == 7)]
    return pair.images.flatten(1), (pair.labels == 7).float() * 2 - 1


X, Y = threes_and_sevens(digits)        # 800 digits to train on
Z, T = threes_and_sevens(test)          # 200 to test with


def fit(loss):
    """The w and b that minimise loss(w, b), by Adam."""
    w, b = torch.zeros(784, requires_grad=True), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([w, b], 0.01)
    for _ in range(300):
        optimizer.zero_grad()
        loss(w, b).backward()
        optimizer.step()
    return w.detach(), b.detach()


def trained(network, objective="standard", epochs=6, rows=slice(None), shift=2, **options):
    """`network`, trained on the training digits (or some of them)."""
    return network, train(network, digits.images[rows], digits.labels[rows], epochs=epochs, objective=objective, shift=shift, progress=False, **options)


# %% setup="checks"
import itertools
import numbers
import warnings

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

from helpers import attacks, bounds, data, models, plots, transfer
from helpers.checking import Pixels, Wrong, WrongType, arguments, close, images, linear, tensor, untouched
from helpers.training import train


def number(value, what="the result"):
    """A float, from a float or a tensor of one number; else WrongType."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, numbers.Real) or isinstance(value, bool):      # numpy's numbers count, too
        hint = " Is there a `return`?" if value is None else ""
        shape = f" of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else ""
        raise WrongType(f"{what} should be a number, but `{type(value).__name__}`{shape} came.{hint}")
    if value != value:
        raise Wrong(f"{what} is NaN.")
    return value


def two_classes(n=6, size=7, seed=3):
    """Weights, bias, images as rows, labels of -1 and 1, and every corner of the cube [-1, 1]^size: 2^size rows."""
    g = torch.Generator().manual_seed(seed)
    w, x = torch.randn(size, generator=g), torch.rand(n, size, generator=g)
    y = torch.tensor([1.0, -1.0, -1.0, 1.0, -1.0, 1.0])[:n]
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=size)))
    return w, torch.tensor(0.7), x, y, corners


# %% [markdown] exercise="4.1" minutes=4 difficulty=1 core=true
# ## Many small changes
# A linear model sees $w \cdot x$. Change $x$ by $\epsilon\,\mathrm{sign}(w)$: no entry moves by more than $\epsilon$, and all of them push the same way. Change it by
# $\epsilon s$ with random signs $s$: the same size, but the pushes mostly cancel. By how much does $w \cdot x$ change in each case? For the random signs give the root of
# the mean square over the rows of `signs`: the typical size, whatever its direction.

# %%
def effects(w, eps, signs):
    """w: n weights; signs: K x n, each entry -1 or 1.
    Two numbers: the change of w.x under eps * sign(w), and the root mean square of its changes under eps * signs[0], ..., eps * signs[K-1]."""
    ### BEGIN SOLUTION
    by_noise = eps * signs @ w
    return (eps * w.abs().sum()).item(), by_noise.square().mean().sqrt().item()
    ### END SOLUTION

# %%
check("4.1", effects)

# %% [markdown] hints="4.1"
# - The change of $w \cdot x$ under a change $\delta$ is $w \cdot \delta$. And $w_i\,\mathrm{sign}(w_i) = |w_i|$.
# - All rows of `signs` at once: `eps * signs @ w` is a tensor of K changes.
# - Root mean square: `changes.square().mean().sqrt()`. Return `(first.item(), second.item())`.

# %% check="4.1"
def check(effects):
    arguments(effects, "w", "eps", "signs")
    w = torch.tensor([3.0, -1.0, 0.5, -2.0])
    signs = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [-1, -1, 1, 1]])      # changes of 0.5, 6.5, -3.5 times eps
    out = effects(w, 0.2, signs)
    if isinstance(out, torch.Tensor) and out.shape == (2,):
        out = tuple(out)
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise WrongType(f"two numbers are wanted, `return by_sign, by_noise`, but `{type(out).__name__}` came.")
    if isinstance(out[1], torch.Tensor) and out[1].numel() == 3:
        raise WrongType("one change for each row of `signs` came: boil them down to their root mean square.")
    by_sign, by_noise = number(out[0], "the first"), number(out[1], "the second")
    rms = 0.2 * ((0.25 + 42.25 + 12.25) / 3) ** 0.5
    if close(torch.tensor([by_sign, by_noise]), [rms, 1.3]):
        raise Wrong("the two are there in the wrong order: first the change under the sign, then under the noise.")
    if abs(by_sign - 6.5) < 1e-4:
        raise Wrong("the change is as if every entry moved by 1: multiply by `eps`.")
    if abs(by_sign - 0.1) < 1e-4:
        raise Wrong("this is eps times the sum of w: negative weights take away again. Where a weight is negative, the change is negative, too, and their product is positive.")
    if abs(by_sign - 0.2 * w.norm().item()) < 1e-4:
        raise Wrong("the first is eps times the L2 length of w. Add up w_i times its change, eps sign(w_i): what norm of w is that?")
    if abs(by_sign - 0.6) < 1e-4:
        raise Wrong("the first is the largest single contribution: all of them add up.")
    if abs(by_sign - 1.3) > 1e-4:
        raise Wrong(f"for w = (3, -1, 0.5, -2) and eps = 0.2 the change under eps sign(w) is 1.3, but {by_sign:.3g} came.")
    for wrong, said in ((0.2 * 3.5 / 3, "the second is the mean of the changes: up and down cancel, which says nothing about their size. Square first."),
                        (0.2 * 10.5 / 3, "the second is the mean of the absolute changes; asked for is the *root of the mean square*."),
                        (rms ** 2, "the root is missing: this is the mean square."),
                        (0.2 * (54.75) ** 0.5, "this is the root of the *sum* of the squares: then more rows would make it larger. Take the mean."),
                        (0.2 * torch.tensor([0.5, 6.5, -3.5]).std().item(), "this is a standard deviation: it takes the mean away first. Here the mean square itself is wanted."),
                        (0.2 * (w.square().mean() ** 0.5).item(), "this is the root mean square of the single products w_i s_i: first add them up along each row, `signs @ w`, then take the root mean square over the rows."),
                        (0.2 * w.norm().item(), "this is what comes out on average over *all* signs, eps times the L2 length of w. Measure it with the signs that are given.")):
        if abs(by_noise - wrong) < 1e-4:
            raise Wrong(said)
    if abs(by_noise - rms / 0.2) < 1e-4:
        raise Wrong("the second forgets `eps`.")
    if abs(by_noise - rms) > 1e-4:
        raise Wrong(f"with the changes 0.1, 1.3 and -0.7 the root mean square is {rms:.3f}, but {by_noise:.3f} came.")
    return "eps times the L1 norm, against about eps times the L2 norm."

# %% [markdown] predict="4.2" minutes=2 core=true choices=["1 and 1","1 and 1/2","1/2 and 1/2","1/2 and 0"]
# ## How fast do they grow?
# Draw weights of ordinary size (normal, standard deviation 1) for more and more dimensions $n$, with $\epsilon = 0.1$ always. Drawn on log-log paper, each of the two effects is a straight line;
# its slope is the power of $n$ with which it grows. **What are the slopes, first for the sign, then for the noise?** One of `"1 and 1"`, `"1 and 1/2"`, `"1/2 and 1/2"`, `"1/2 and 0"`.

# %%
predict("4.2", "1 and 1/2")

# %% answer="4.2"
def answer(guess):
    counts = [2 ** k for k in range(1, 15)]
    g = torch.Generator().manual_seed(0)
    series = {"sign": [], "random signs (root mean square)": [], "largest change of an entry": []}

    def effects(n):
        w, signs = torch.randn(n, generator=g), torch.randint(0, 2, (400, n), generator=g) * 2.0 - 1
        return (0.1 * w.abs().sum()).item(), (0.1 * signs @ w).square().mean().sqrt().item(), 0.1
    for n in counts:
        for name, value in zip(series, effects(n)):
            series[name].append(value)
    sign, noise, _ = effects(784)
    x = torch.tensor(counts).double().log()
    slopes = [(((x - x.mean()) * (v - v.mean())).sum() / (x - x.mean()).square().sum()).item() for v in (torch.tensor(s).double().log() for s in series.values())]
    figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    plots.curves(ax, counts, series, "dimension n", "change of w·x")
    ax.set(xscale="log", yscale="log")
    return (f"Measured slopes: {slopes[0]:.2f} for the sign, {slopes[1]:.2f} for random signs. With a hundred times as many dimensions the one grows a hundredfold, the other tenfold, "
            f"and the largest change of an entry not at all. At n = 784, the pixels of a digit, the sign is {sign / noise:.0f} times as strong as noise of its size.")

# %% [markdown] exercise="4.3" minutes=6 difficulty=1 core=true
# ## The worst change, exactly
# Logistic regression tells 3s ($y = -1$) from 7s ($y = 1$) by the sign of $w \cdot x + b$. An attacker may move every pixel by up to $\epsilon$ to make the margin
# $m = y\,(w \cdot x + b)$ as small as possible. For a linear model the answer needs no search: **what is the smallest margin it can reach?** (Here a pixel may leave $[0, 1]$;
# with that box the attacker has less room, and no formula as simple holds.)

# %%
def worst_margins(w, b, images, labels, eps):
    """w: n weights, b: one number, images: N x n, labels: N, each -1.0 or 1.0.
    The margin of each image after the worst change of at most eps in each pixel: N numbers."""
    ### BEGIN SOLUTION
    return labels * (images @ w + b) - eps * w.abs().sum()
    ### END SOLUTION

# %%
check("4.3", worst_margins)

# %% [markdown] hints="4.3"
# - Without an attack: `labels * (images @ w + b)`.
# - A change $\delta$ changes the margin by $y\,w \cdot \delta$. The worst $\delta$ is $-\epsilon\,y\,\mathrm{sign}(w)$: put it in.
# - $y \cdot y = 1$, so whatever the class, the margin falls by $\epsilon \|w\|_1$. 4.1 computed that.

# %% check="4.3"
def check(worst_margins):
    arguments(worst_margins, "w", "b", "images", "labels", "eps")
    w, b, x, y, corners = two_classes()
    clean = y * (x @ w + b)
    before = x.clone()
    out = tensor(worst_margins(w, b, x, y, 0.3), clean)
    untouched((x, before))
    worst = (y[:, None] * ((x @ w)[:, None] + 0.3 * (corners @ w) + b)).amin(1)      # all 128 corners, tried one by one
    if close(out, worst):
        return "no search could do worse: we tried all 128 corners."
    fall = clean - worst
    for wrong, said in ((clean + fall, "these margins are *better* than the clean ones: the attacker wants them small. Mind the sign."),
                        (clean, "the margins of the clean images came: is `eps` used?"),
                        (clean - 0.3 * w.norm(), "the fall is eps times the L2 length of w: that is the worst change of L2 *length* eps. Here each pixel may move by eps."),
                        (clean - y * fall, "for one class the margin falls, for the other it rises: the attacker works against each. The class belongs to the margin, and the fall is the same for both."),
                        (y * worst, "these are the scores w.x + b under attack, not the margins: multiply by the label. Right then means above 0 for both classes."),
                        (y * clean - fall, "these are scores that all fall: a 3 has a negative score, and the attacker wants it to rise. Multiply by the label first."),
                        (clean - 0.3 * w.sum(), "the fall is eps times the sum of w: where a weight is negative, the attacker turns the pixel the other way. Absolute values."),
                        (clean - 0.3 * w.abs().max(), "the fall comes from the heaviest pixel alone: every pixel may move."),
                        (clean - 0.3 * w.abs().mean(), "the fall is a mean over the pixels: their pushes add up."),
                        (clean - fall / 0.3, "the fall is as if eps were 1: multiply by `eps`."),
                        (worst - y * b, "the bias `b` is missing."),
                        (worst - y * b + b, "the bias is added after the label: it belongs into the score, y (w.x + b).")):
        if close(out, wrong):
            raise Wrong(said)
    boxed = (y[:, None] * ((x[:, None] + 0.3 * corners[None]).clamp(0, 1) @ w + b)).amin(1)
    if close(out, boxed):
        raise Wrong("the attacked pixels are clipped to [0, 1]. Here they may leave it: only so is there a closed form.")
    raise Wrong("tried on all 128 corners of the cube around each of six images, the worst margins are others. Is it the label times (w.x + b), minus what eps can take away?")

# %% [markdown]
# Train the model and look: its weights, their sign (the attack), and 3s and 7s before and after. **Guess first:** published, with $\epsilon = 0.25$ on full MNIST, are 1.6 % errors without and
# 99 % with attack (Goodfellow et al. 2015).

# %%
def errors(margins):
    return 100 * (margins <= 0).float().mean().item()


w, b = fit(lambda w, b: F.softplus(-Y * (X @ w + b)).mean())
attacked = (Z - 0.25 * T[:, None] * w.sign())
print(f"200 test digits, errors: {errors(worst_margins(w, b, Z, T, 0.0)):.1f} % clean, {errors(worst_margins(w, b, Z, T, 0.25)):.1f} % attacked by the formula, "
      f"{errors(T * (attacked @ w + b)):.1f} % by FGSM, {errors(T * (attacked.clamp(0, 1) @ w + b)):.1f} % by FGSM in the box")
assert torch.allclose(T * (attacked @ w + b), worst_margins(w, b, Z, T, 0.25), atol=1e-3)      # FGSM is exact here
print(f"the formula's fall is {0.25 * w.abs().sum():.0f}, the median margin {(T * (Z @ w + b)).median():.0f}")
plots.show(torch.stack([w, w.sign()]).view(2, 1, 28, 28), ["weights", "their sign"], signed=True, columns=2, size=1.8)
few = torch.tensor([0, 1, 2, -3, -2, -1])
both = torch.cat([Z[few], attacked[few].clamp(0, 1)]).view(-1, 1, 28, 28)
scores = torch.cat([Z[few], attacked[few]]) @ w + b
plots.show(both, [f"{'7' if s > 0 else '3'} ({100 * s.abs().sigmoid():.0f} %)" for s in scores], columns=6)

# %% [markdown]
# Lower row: attacked, and shown within $[0, 1]$. We see the sign of the weights printed over each digit, and still read it.
#
# **Question.** White and black pixels cannot get whiter or blacker. Why does the box not save the model here?
#
# <details><summary>An answer</summary>
#
# In the box a black pixel can still get brighter and a white one darker, so the attacker keeps roughly half of its power. The margins are so small beside
# $\epsilon\|w\|_1$ that half is plenty: the cell prints both.
# </details>

# %% [markdown] exercise="4.4" minutes=6 difficulty=2 core=true
# ## Train against the worst case
# The logistic loss of a margin $m$ is $\mathrm{softplus}(-m) = \log(1 + e^{-m})$. Adversarial training minimises the loss at the *worst* image of each ball. It falls as the margin grows, so the worst
# image is that of 4.3: no attack has to be run. **Write the mean adversarial loss as one formula**; gradients for $w$ and $b$ must flow through it.

# %%
def adversarial_loss(w, b, images, labels, eps):
    """The mean over the images of the largest logistic loss that a change of at most eps per pixel can reach: a tensor with one number."""
    ### BEGIN SOLUTION
    return F.softplus(eps * w.abs().sum() - labels * (images @ w + b)).mean()
    ### END SOLUTION

# %%
check("4.4", adversarial_loss)

# %% [markdown] hints="4.4"
# - The loss of one image is `F.softplus(-margin)`. Which margin does 4.3 give?
# - Inside the softplus stands `eps * w.abs().sum() - labels * (images @ w + b)`; then `.mean()`.
# - No `.item()` and no `.detach()`: training needs the gradient.

# %% check="4.4"
def check(adversarial_loss):
    arguments(adversarial_loss, "w", "b", "images", "labels", "eps")
    w, b, x, y, corners = two_classes()
    w, b = w.requires_grad_(), b.clone().requires_grad_()
    out = adversarial_loss(w, b, x, y, 0.3)
    if isinstance(out, torch.Tensor) and out.numel() > 1:
        raise WrongType(f"a tensor of shape {tuple(out.shape)} came: one loss for each image? Take the mean.")
    came = number(out, "the loss")
    every = F.softplus(-y[:, None] * ((x @ w)[:, None] + 0.3 * (corners @ w) + b))      # the loss at each of the 128 corners around each image
    wanted = every.amax(1).mean()
    clean, l1, margin = F.softplus(-y * (x @ w + b)), w.abs().sum(), y * (x @ w + b)
    for wrong, said in ((every.amax(1).sum(), "this is the sum over the images: take the mean."),
                        (clean.mean(), "this is the clean loss: is `eps` used?"),
                        (F.softplus(-0.3 * l1 - margin).mean(), "the attack makes the loss smaller: inside the softplus eps ||w||_1 is added."),
                        (F.softplus(l1 - margin).mean(), "the attack is as if eps were 1: multiply the L1 norm by `eps`."),
                        (F.softplus(0.3 * l1 - (margin - y * b)).mean(), "the bias `b` is missing in the margin."),
                        (clean.mean() + 0.3 * l1, "the L1 norm stands outside the softplus: that is weight decay, which comes in a moment. It belongs inside, into the margin."),
                        (F.softplus((0.3 * l1 - margin).mean()), "the mean is taken inside the softplus: take it over the losses."),
                        (F.softplus(0.3 * w.norm() - margin).mean(), "this uses the L2 length of w; changes of eps in each pixel cost the L1 norm."),
                        (F.softplus(margin - 0.3 * l1).mean(), "the sign is turned round: this rewards mistakes. The loss is softplus of *minus* the margin."),
                        ((0.3 * l1 - margin).clamp_min(0).mean(), "this is a hinge, max(0, .): the logistic loss is `F.softplus`."),
                        ((0.3 * l1 - margin).sigmoid().mean(), "this is a sigmoid, a probability: the loss is `F.softplus`.")):
        if abs(came - wrong.item()) < 1e-4:
            raise Wrong(said)
    if abs(came - wanted.item()) > 1e-4:
        raise Wrong(f"the largest losses among all 128 corners have a mean of {wanted.item():.4f}, but {came:.4f} came. Is it softplus(eps ||w||_1 - y (w.x + b))?")
    if not isinstance(out, torch.Tensor) or not out.requires_grad:
        raise Wrong("the value is right, but no gradient can flow through it: return the tensor itself, without `.item()` or `.detach()`.")
    gradients = torch.autograd.grad(out, (w, b), allow_unused=True)
    true = torch.autograd.grad(wanted, (w, b))
    if any(g is None or not close(g, t) for g, t in zip(gradients, true)):
        raise Wrong("the value is right, but not its gradient: something on the way is detached. The norm of w must be part of the graph.")
    far = adversarial_loss(1000 * w.detach(), b.detach(), x, y, 0.3)
    if not torch.isfinite(far):
        raise Wrong("with large weights the loss is infinite: exp overflows. `F.softplus` does not.")
    return "adversarial training without an attack."

# %% [markdown]
# Three ways: your formula; brute force (run FGSM at every step and train on its images); and L1 weight decay, $\lambda\|w\|_1$ *added* to the clean loss. The first two should agree.

# %%
def brute_force(w, b):
    return F.softplus(-Y * ((X - 0.1 * Y[:, None] * w.detach().sign()) @ w + b)).mean()


ways = {"standard": lambda w, b: F.softplus(-Y * (X @ w + b)).mean(),
        "formula, eps 0.1": lambda w, b: adversarial_loss(w, b, X, Y, 0.1),
        "brute force, eps 0.1": brute_force,
        "formula, eps 0.25": lambda w, b: adversarial_loss(w, b, X, Y, 0.25)}
ways |= {f"L1 decay {c}": lambda w, b, c=c: F.softplus(-Y * (X @ w + b)).mean() + c * w.abs().sum() for c in (0.0025, 0.01, 0.1)}
fitted = {name: fit(loss) for name, loss in ways.items()}
print(f"{'errors (%)':<22} train   test   attacked 0.1   0.25   median margin   |w|1")
for name, (w, b) in fitted.items():
    print(f"{name:<22} {errors(Y * (X @ w + b)):5.1f} {errors(T * (Z @ w + b)):6.1f} {errors(worst_margins(w, b, Z, T, 0.1)):10.1f} {errors(worst_margins(w, b, Z, T, 0.25)):11.1f} "
          f"{(T * (Z @ w + b)).median():12.1f} {w.abs().sum():10.1f}")
(one, _), (other, _) = fitted["formula, eps 0.1"], fitted["brute force, eps 0.1"]
print(f"weights of formula and brute force differ by {100 * (one - other).norm() / one.norm():.1f} %")
assert (one - other).norm() < 0.05 * one.norm() and errors(Y * (X @ fitted["L1 decay 0.0025"][0] + fitted["L1 decay 0.0025"][1])) < 5
plots.show(torch.stack([w / w.abs().max() for w, _ in fitted.values()]).view(-1, 1, 28, 28), [name.replace(", ", "\n") for name in fitted], signed=True, limit=1, columns=7, size=1.35)

# %% [markdown]
# The formula and brute force give the same model (what is left is rounding, which Adam makes larger where a gradient changes its sign). Trained so, the model looks at a few places where 3s and 7s differ.
#
# **Question.** Is L1 decay the worse defence? Compare rows of about equal error under attack at 0.25.
#
# <details><summary>What we see</summary>
#
# Hardly. On this linear model both buy robustness with clean accuracy, at about the same rate: at equal error under attack the formula is ahead by a digit or three of 200, which may be chance. Goodfellow et al. report that a coefficient of 0.0025 was already too much: with it, training error stayed
# above 5 %. But that was a deep maxout network (each unit is the largest of a few linear functions) with the penalty on its first layer. Our two-class model stays below that at 0.0025; it takes a larger coefficient. What *does* differ is next.
# </details>

# %% [markdown] predict="4.5" minutes=2 core=true choices=["four times","about the same","nearly nothing"]
# ## Which penalty fades?
# What does the worst case cost on top of the clean loss? $\mathrm{softplus}(\epsilon\|w\|_1 - m) - \mathrm{softplus}(-m)$. Take the model trained at $\epsilon = 0.1$ and multiply $w$ and $b$ by 4: all margins grow
# fourfold, and so does an L1 penalty. **What becomes of the median of this cost over the training digits?** `"four times"`, `"about the same"` or `"nearly nothing"`.

# %%
predict("4.5", "about the same")

# %% answer="4.5"
def answer(guess):
    pair = (some := data.load("mnist5k", "train"))[(some.labels == 3) | (some.labels == 7)]
    x, y = pair.images.flatten(1), (pair.labels == 7).float() * 2 - 1
    w, b = torch.zeros(784, requires_grad=True), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([w, b], 0.01)
    for _ in range(400):
        optimizer.zero_grad()
        F.softplus(0.1 * w.abs().sum() - y * (x @ w + b)).mean().backward()
        optimizer.step()
    w, b = w.detach(), b.detach()
    factors = torch.tensor([1, 1.5, 2, 3, 4, 6, 8])
    margins, norm = y * (x @ w + b), w.abs().sum()
    cost = [F.softplus(k * (0.1 * norm - margins)) - F.softplus(-k * margins) for k in factors]
    safe = margins > 0.1 * norm
    series = {"adversarial: median digit": [c.median().item() for c in cost], "adversarial: mean over digits that withstand": [c[safe].mean().item() for c in cost],
              "adversarial: mean over those that do not": [c[~safe].mean().item() for c in cost], "L1 decay 0.01": (0.01 * factors * norm).tolist()}
    figure, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
    plots.curves(ax, factors.tolist(), series, "w and b multiplied by", "cost beyond the clean loss")
    ax.set_yscale("log")
    ax.set_ylim(1e-6, None)
    median = series["adversarial: median digit"]
    return (f"The median digit's cost goes from {median[0]:.3f} to {median[4]:.1g}: nearly nothing. Once a digit is right by more than the attack can take away, this penalty lets go; L1 decay never "
            f"does. But for the {100 * (~safe).float().mean():.0f} % of training digits that do *not* withstand the attack, the cost grows with the weights, as L1 decay does: there it drives.")

# %% [markdown] exercise="4.6" minutes=4 difficulty=1 core=true
# ## Along a straight line
# Deep networks are not linear. How far from it are they along the way that an attack takes? For an image $x$ and a direction $d$ compute the logits at $x + t\,d$ for many $t$. Do not clip to $[0, 1]$: we
# want the line itself. The logits are only looked at: return them without a graph for gradients.

# %%
def logits_along(model, image, direction, ts):
    """image and direction: 1 x C x H x W; ts: T numbers as a tensor. The logits at image + t * direction for each t: T x classes."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        return model(image + ts.view(-1, 1, 1, 1) * direction)
    ### END SOLUTION

# %%
check("4.6", logits_along)

# %% [markdown] hints="4.6"
# - A batch of T images: `ts` of shape T x 1 x 1 x 1 times the direction broadcasts to T x C x H x W. Or a loop, and `torch.cat`.
# - `ts.view(-1, 1, 1, 1)`. Ask the model under `torch.no_grad()`.

# %% check="4.6"
def check(logits_along):
    arguments(logits_along, "model", "image", "direction", "ts")
    net, x = linear(3, (2, 3, 3), 4), images(1, (2, 3, 3), 0.2, 0.8, 5)
    g = torch.Generator().manual_seed(6)
    d, ts = 2 * torch.randn(1, 2, 3, 3, generator=g), torch.tensor([-0.7, 0.0, 0.3, 1.1, 2.0])
    start, slope = net(x).detach(), net(d).detach()     # linear, without a bias: everything is known
    wanted = start + ts[:, None] * slope
    before = x.clone()
    out = tensor(logits_along(net, x, d, ts), wanted)
    untouched((x, before))
    if close(out, wanted):
        return "now draw them."
    points = x + ts.view(-1, 1, 1, 1) * d
    for wrong, said in ((net(points.clamp(0, 1)), "the images are clipped to [0, 1]: then the way has a kink wherever a pixel reaches its end. Leave them."),
                        (wanted.softmax(1), "these are probabilities: the logits are wanted, without softmax."),
                        (start + ts[:, None] * slope / d.norm(), "the direction is scaled to length 1: use it as it comes."),
                        (start + ts[:, None] * net(d.sign()), "the sign of the direction is taken: use it as it comes."),
                        (start - ts[:, None] * slope, "the line runs the wrong way: plus t times direction."),
                        (start + ts.cumsum(0)[:, None] * slope, "each point starts where the one before it ended: every one starts at the image."),
                        (ts[:, None] * slope, "the image itself is missing: image + t * direction."),
                        (start.expand(5, -1), "the logits are the same everywhere: is the direction added?")):
        if close(out, wrong.detach()):
            raise Wrong(said)
    raise Wrong("on a linear network the logits are known exactly, and yours are others. Row k belongs to image + ts[k] * direction.")

# %% [markdown]
# The direction is the sign of the gradient, $t = \epsilon$ is FGSM. Left of 0 the same way backwards. The grey band is where the true class wins; blue is its logit,
# orange that of the class that wins at the end.

# %%
from helpers.attribution import input_gradient

ts = torch.linspace(-0.5, 0.5, 81)
mlp = models.load("mnist5k/mlp")
figure, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=True, layout="constrained")
for ax, (name, network) in zip(axes, {"fully connected": mlp, "standard CNN": model, "robust CNN": robust}.items()):
    one = test[test.labels == 4][8:9]
    direction = input_gradient(network, one.images, one.labels).sign()
    z = logits_along(network, one.images, direction, ts)
    z = z - z.mean(1, keepdim=True)
    for c in range(10):
        ax.plot(ts, z[:, c], color=plots.CLEAN if c == 4 else plots.ATTACKED if c == z[-1].argmax() else "#bbbbbb", linestyle="-" if c == 4 else "--", linewidth=2 if c == 4 else 1.2)
    wins = ts[z.argmax(1) == 4]
    ax.axvspan(wins.min(), wins.max(), color="0.9")
    ax.set(ylim=(-48, 45), xlim=(-0.5, 0.5), title=f"{name}: a 4 from {wins.min():.2f} to {wins.max():.2f}", xlabel="t", ylabel="logit minus their mean" if ax is axes[0] else "")
    ax.title.set_fontsize(9)
    plots.name_ends(ax, z[-1])
plt.show()

# %% [markdown]
# How straight is that? The share of the logits' variation along the line that a straight line explains ($R^2$), the median of 60 digits. Where on the attack's side is the true class lost, and does it come back before 0.5? If errors
# were tiny pockets, it would.

# %%
def straight(z, ts):
    t, z = ts - ts.mean(), z - z.mean(0)
    rest = z - t[:, None] * (t @ z / t.square().sum())
    return 1 - rest.square().sum() / z.square().sum()


ahead = ts[ts >= 0]
for name, network in {"fully connected": mlp, "standard CNN": model, "robust CNN": robust}.items():
    near, far, lost, back = [], [], [], []
    for image, label in zip(test.images[:60].split(1), test.labels[:60].split(1)):
        z = logits_along(network, image, input_gradient(network, image, label).sign(), ts)
        near.append(straight(z[(ts >= 0) & (ts <= 0.25)], ts[(ts >= 0) & (ts <= 0.25)]))
        far.append(straight(z, ts))
        wrong = z[ts >= 0].argmax(1) != label
        lost.append(ahead[wrong.int().argmax()] if wrong.any() else torch.tensor(1.0))
        back.append((~wrong[wrong.int().argmax():]).any() & wrong.any())
    near, far, lost, back = (torch.stack(values).float() for values in (near, far, lost, back))
    print(f"{name:<16} R² from 0 to 0.25: {near.median():.2f}, from -0.5 to 0.5: {far.median():.2f}; true class lost at t = {lost.median():.2f}, and back before 0.5: {100 * back.mean():.0f} % of digits")
    assert near.median() > 0.9 and back.mean() < 0.1

# %% [markdown]
# The way an attack takes is nearly straight; over the longer way there is a bend. That is why one step of FGSM works at all. And once lost, the true class hardly ever comes back: the wrong classes lie in broad regions, not in tiny
# pockets. (Backwards, at $t < 0$, the way leads on to "more like a 4"; Goodfellow et al. walked much farther, to where that ends as well.)

# %% [markdown] predict="4.7" minutes=3 core=true low=0 high=100 unit="%"
# ## Does noise in training help?
# If random noise of size 0.25 is what a network sees in training (every pixel 0.25 up or down), does that help against FGSM with $\epsilon = 0.25$? Without any defence a 784-100-100-10 network errs on nearly all
# attacked digits. **On how many per cent does it err when trained with noise?**

# %%
predict("4.7", 70)

# %% answer="4.7"
def answer(guess):
    digits, test = data.load("mnist5k", "train"), data.load("mnist5k")
    rows = {}
    for name, options in {"standard": {}, "random signs": dict(objective="noise", norm="linf", eps=0.25), "uniform noise": dict(objective="noise", norm="linf", eps=0.25, start="ball")}.items():
        torch.manual_seed(0)
        net = models.mlp()
        train(net, digits.images, digits.labels, epochs=5, progress=False, **options)
        shown = {"clean": test.images, "random signs": attacks.random_signs(test.images, eps=0.25), "FGSM": attacks.fgsm(net, test.images, test.labels, eps=0.25)}
        rows[name] = [100 * (1 - attacks.accuracy(net, x, test.labels)) for x in shown.values()]
    figure, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
    for i, (kind, hatch) in enumerate(zip(("clean", "random signs 0.25", "FGSM 0.25"), ("", "..", "//"))):
        bars = ax.bar([k + 0.27 * (i - 1) for k in range(3)], [row[i] for row in rows.values()], 0.25, label=kind, hatch=hatch, edgecolor="white")
        ax.bar_label(bars, fmt="%.0f", fontsize=8)
    ax.axhline(guess, color="black", linestyle=":", label="your guess")
    ax.set(xticks=range(3), xticklabels=[f"trained: {name}" for name in rows], ylabel="test digits misread (%)", ylim=(0, 118))
    ax.legend(fontsize=7, ncols=4, loc="upper center")
    return (f"Trained with random signs: {rows['random signs'][2]:.0f} % under FGSM; with uniform noise {rows['uniform noise'][2]:.0f} %; without: {rows['standard'][2]:.0f} %. Published (maxout): 86.2 %, 90.4 % and "
            "89.4 %. Noise hardly ever points the way an attack does (4.2); training with it is training for another question.")

# %% [markdown] part="4.8" minutes=4 core=true
# ## Training on attacked digits
# Goodfellow et al. mix: half the loss at $x$, half at FGSM's $x'$ (their section 6). They chose $\epsilon = 0.25$, and their maxout network's error under FGSM fell from 89.4 % to 17.9 %. The same objective
# on our small network, at 0.25 and at 0.1. The columns are errors on 1,000 test digits.

# %%
import warnings

warnings.simplefilter("ignore")         # train() warns of what we are about to see
kinds = {"standard": {}, "mixed, eps 0.1": dict(objective="mixed", norm="linf", eps=0.1), "mixed, eps 0.25": dict(objective="mixed", norm="linf", eps=0.25)}
networks = {}
for name, options in kinds.items():
    torch.manual_seed(0)
    networks[name], _ = trained(models.mlp(), **options)


def error(network, images):
    return 100 * (1 - attacks.accuracy(network, images, test.labels))


print(f"{'trained':<17} clean   FGSM 0.1   FGSM 0.25   PGD 0.1   PGD 0.25")
table = {}
for name, network in networks.items():
    row = [error(network, test.images)] + [error(network, attacks.fgsm(network, test.images, test.labels, eps=eps)) for eps in (0.1, 0.25)]
    row += [error(network, attacks.pgd(network, test.images, test.labels, eps=eps, norm="linf", steps=10)) for eps in (0.1, 0.25)]
    table[name] = row
    print(f"{name:<17} " + " ".join(f"{value:9.1f}" for value in row))
assert table["mixed, eps 0.25"][2] < table["mixed, eps 0.25"][1] and table["mixed, eps 0.25"][4] > 90 and table["mixed, eps 0.1"][3] < table["standard"][3] / 1.5

# %% [markdown]
# **Question.** One row claims little error at FGSM 0.25. Look at its other columns. What has that network learned?
#
# <details><summary>An answer</summary>
#
# To be hard for *FGSM at exactly 0.25*. At the smaller 0.1 it errs more than at 0.25, which no honest defence does, and PGD, which takes several steps, fools nearly all. It bends its loss so
# that the one gradient at $x$ points astray. The published 17.9 % were measured with FGSM only; whether that network would have withstood PGD, we cannot know. The network trained at 0.1 is truly
# better: PGD at 0.1 fools far fewer. Unit 06 trains on PGD.
# </details>
#
# Now look at the first layer. A hidden unit looks at the picture through 784 weights. How many pixels does it really use? If $p_i$ is the share of $w_i^2$ in their sum, $1 / \sum_i p_i^2$ counts them
# (784 if all are equal, 1 if one has it all).

# %%
def pixels_used(network):
    weights = network[2].weight.detach()
    share = weights.square() / weights.square().sum(1, keepdim=True)
    return 1 / share.square().sum(1)


torch.manual_seed(0)
for name, network in {"untrained": models.mlp(), **networks}.items():
    used = pixels_used(network)
    print(f"{name:<17} median of 100 units: {used.median():.0f} pixels")
    if name in ("standard", "mixed, eps 0.1"):
        ws = network[2].weight.detach()[:10]
        plots.show((ws / ws.abs().amax(1, keepdim=True)).view(-1, 1, 28, 28), [f"{n:.0f}" for n in used[:10]], signed=True, limit=1, size=1, label=f"{name}: first ten units, pixels used")

# %% [markdown] exercise="4.9" minutes=6 difficulty=2 core=false
# ## A network that can say "I do not know"
# A linear unit grows without end in one direction. A Gaussian bump does not: $p_k(x) = \exp\big(-\sum_i \beta_{ki}\,(x_i - c_{ki})^2\big)$ is near 1 only close to its centre $c_k$, and 0 far from all of them.
# One bump for each class is the shallow RBF network of Goodfellow et al. (section 7). Gradients for `centres` and `betas` must flow.

# %%
def bumps(images, centres, betas):
    """images: N x C x H x W; centres and betas: K x n with n = C*H*W, all betas above 0. The K bumps for each image: N x K, each from 0 to 1."""
    ### BEGIN SOLUTION
    difference = images.flatten(1)[:, None] - centres
    return torch.exp(-(betas * difference.square()).sum(2))
    ### END SOLUTION

# %%
check("4.9", bumps)

# %% [markdown] hints="4.9"
# - `images.flatten(1)` is N x n. To subtract each of K centres from each of N images: N x 1 x n minus K x n gives N x K x n.
# - Square, multiply by `betas`, add up over the last dimension, `torch.exp(-...)`.

# %% check="4.9"
def check(bumps):
    arguments(bumps, "images", "centres", "betas")
    g = torch.Generator().manual_seed(2)
    x, c, beta = images(4, (2, 3, 2), 0.0, 1.0, 7), torch.rand(3, 12, generator=g), 0.05 + torch.rand(3, 12, generator=g)
    wanted = torch.ones(4, 3)
    for n, k, i in itertools.product(range(4), range(3), range(12)):        # a product of one-dimensional bumps
        wanted[n, k] *= torch.exp(-beta[k, i] * (x[n].flatten()[i] - c[k, i]) ** 2)
    leaves = c.clone().requires_grad_(), beta.clone().requires_grad_()
    out = bumps(x, *leaves)
    if isinstance(out, torch.Tensor) and out.requires_grad is False and out.shape == wanted.shape and close(out, wanted):
        raise Wrong("the values are right, but no gradient can flow to `centres` and `betas`: leave out `no_grad` and `.detach()`.")
    out = tensor(out.detach() if isinstance(out, torch.Tensor) else out, wanted)
    difference = x.flatten(1)[:, None] - c
    q = (beta * difference.square()).sum(2)
    for wrong, said in ((torch.exp(q), "the minus is missing: these grow with the distance."), (-q, "the exponential is missing."),
                        (wanted / wanted.sum(1, keepdim=True), "the bumps are made to add up to 1: then far from all centres one of them is still near 1. Leave each as it is."),
                        (torch.exp(-(beta * difference.abs()).sum(2)), "the differences are not squared."),
                        (torch.exp(-(difference.square() / beta).sum(2)), "betas divide: they are precisions, not widths. Multiply."),
                        (torch.exp(-(difference.square() / (2 * beta.square())).sum(2)), "betas are taken for widths: here they multiply the squares."),
                        (torch.exp(-difference.square().sum(2)), "`betas` is not used: each pixel of each bump has its own."),
                        (torch.exp(-q / 2), "there is a factor 1/2 that the formula has not."),
                        (torch.exp(-q.sqrt()), "a root is taken of the sum: the bump then has a peak instead of a dome."),
                        (torch.exp(-(beta * difference.square()).mean(2)), "this is the mean over the pixels: the sum is wanted.")):
        if close(out, wrong):
            raise Wrong(said)
    if not close(out, wanted):
        raise Wrong("the result is not exp(-sum of beta (x - c)^2). Row n belongs to image n, column k to bump k.")
    return "zero far from everything: it knows what it does not know."

# %% [markdown]
# Train ten such bumps (each is to say "mine" or "not mine"), and a linear softmax network beside them. **Guess first:** published at $\epsilon = 0.25$ are 99.9 % errors for the shallow softmax network, with a confidence
# of 79.3 % on its mistakes; for the RBF network 55.4 % errors, with 1.2 %.

# %%
class BumpNetwork(torch.nn.Module):
    def __init__(self):
        super().__init__()
        means = torch.stack([digits.images[digits.labels == k].mean(0).flatten() for k in range(10)])
        self.centres, self.log_betas = torch.nn.Parameter(means), torch.nn.Parameter(torch.full((10, 784), -4.6))

    def forward(self, x):
        return bumps(x, self.centres, self.log_betas.exp())


torch.manual_seed(0)
rbf = BumpNetwork()
optimizer = torch.optim.Adam(rbf.parameters(), 0.03)


def ten_answers(p, labels):
    """The loss of ten yes-or-no answers, for each image."""
    return F.binary_cross_entropy(p.clamp(max=1), F.one_hot(labels, 10).float(), reduction="none").sum(1)


def true_answer(p, labels):
    """Minus the bump of the true class: its lead over the others does not matter."""
    return -p.gather(1, labels[:, None])[:, 0]


for _ in range(10):
    for rows in torch.randperm(4000).split(100):
        loss = ten_answers(rbf(digits.images[rows]), digits.labels[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
softmax, _ = trained(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10)))
sure, wrongs = {}, {}


def report(what, network, images):
    p = attacks.scores(network, images)
    p = p.softmax(1) if network is softmax else p
    wrong = p.argmax(1) != test.labels
    wrongs[what], sure[what] = 100 * wrong.float().mean().item(), 100 * p.amax(1)[wrong].mean().item()
    print(f"{what:<50} {wrongs[what]:5.1f} {sure[what]:18.1f} {100 * p.amax(1).mean():15.1f}")


def step(network, **options):
    return attacks.fgsm(network, test.images, test.labels, eps=0.25, **options)


print(f"{'in %':<50} wrong   sure on mistakes   sure on all")
report("softmax, clean", softmax, test.images)
report("softmax, FGSM 0.25, free", softmax, step(softmax, bounds=None))
report("RBF, clean", rbf, test.images)
report("RBF, FGSM 0.25 on its training loss, free", rbf, step(rbf, loss=ten_answers, bounds=None))
report("RBF, FGSM 0.25 on the true class alone, free", rbf, step(rbf, loss=true_answer, bounds=None))
report("RBF, FGSM 0.25 on the margin, in the box", rbf, step(rbf, loss="margin"))
report("RBF, PGD 0.25 on the margin, in the box", rbf, attacks.pgd(rbf, test.images, test.labels, eps=0.25, norm="linf", steps=10, loss="margin"))
assert max(value for what, value in sure.items() if "RBF, FGSM" in what) < sure["softmax, FGSM 0.25, free"] / 2
assert wrongs["RBF, FGSM 0.25 on the true class alone, free"] < 55.4 < wrongs["RBF, FGSM 0.25 on its training loss, free"] and wrongs["RBF, PGD 0.25 on the margin, in the box"] > 75

# %% [markdown]
# *Free* steps may leave $[0, 1]$, as in the paper. Attacked, the RBF network is far less sure of its mistakes than the linear one: away from all centres its bumps go out. How often it errs hangs on the loss that the step follows, and the published
# 55.4 % lies between two of them. But low confidence is no lasting defence: several steps fool it more often. The paper does not say how it trained; ours had 4,000 digits and ten passes. (A softmax over ten classes cannot go below 10 %: a
# figure of 1.2 % needs outputs that need not add up to 1, as these.)

# %% [markdown] exercise="4.10" minutes=7 difficulty=2 core=true
# ## Is my blind spot yours?
# Szegedy et al. (2013) split the training digits in two halves. M1 (100-100-10) and M1' (123-456-10) learn from the first, M2 (100-100-10) from the second. Examples made for each are shown to all. **Write the table**:
# for each network's examples (rows) the error of every network (columns), in per cent.

# %%
def error_table(networks, examples, labels):
    """networks: {name: network}; examples: {name: N x C x H x W}; labels: the true classes, int64 N.
    A tensor len(examples) x len(networks): in row r, column c the per cent of examples r that network c misreads."""
    ### BEGIN SOLUTION
    rows = []
    for images in examples.values():
        with torch.no_grad():
            rows.append([100 * (network(images).argmax(1) != labels).float().mean() for network in networks.values()])
    return torch.tensor(rows)
    ### END SOLUTION

# %%
check("4.10", error_table)

# %% [markdown] hints="4.10"
# - Two loops: over `examples.values()` (rows), inside it over `networks.values()` (columns).
# - One entry: `100 * (network(images).argmax(1) != labels).float().mean()`, under `torch.no_grad()`. A list of lists of them becomes a tensor by `torch.tensor(rows)`.

# %% check="4.10"
def check(error_table):
    arguments(error_table, "networks", "examples", "labels")

    class Says(nn.Module):
        """Says the class in pixel k."""
        def __init__(self, k):
            super().__init__()
            self.k = k

        def forward(self, x):
            return F.one_hot(x.flatten(1)[:, self.k].long(), 4).float()
    labels = torch.tensor([0, 1, 2, 3, 0])
    first, second = labels.repeat(3, 1).T.clone(), labels.repeat(3, 1).T.clone()
    first[:4, 0], first[:1, 1] = (first[:4, 0] + 1) % 4, 3          # of `first`, network a misreads 4 of 5, b 1, c none
    second[:2, 0], second[:, 1], second[:3, 2] = (second[:2, 0] + 1) % 4, (second[:, 1] + 1) % 4, (second[:3, 2] + 2) % 4     # 2, 5, 3
    examples = {"a": first.float().view(5, 1, 3, 1), "b": second.float().view(5, 1, 3, 1)}
    networks = {"a": Says(0), "b": Says(1), "c": Says(2)}
    wanted = torch.tensor([[80.0, 20.0, 0.0], [40.0, 100.0, 60.0]])
    out = error_table(networks, examples, labels)
    if isinstance(out, (list, tuple, dict)):
        raise WrongType(f"a `{type(out).__name__}` came: make it a tensor, `torch.tensor(rows)`.")
    if isinstance(out, torch.Tensor) and out.shape == (3, 2):
        raise Wrong("rows and columns are swapped: a row for each set of examples, a column for each network.")
    out = tensor(out.float() if isinstance(out, torch.Tensor) else out, wanted)
    for wrong, said in ((wanted / 100, "these are shares from 0 to 1: per cent are wanted."), (100 - wanted, "these are the per cent that are read *correctly*."),
                        (1 - wanted / 100, "these are shares that are read correctly: per cent of errors are wanted."), (wanted / 20, "these are counts: per cent are wanted.")):
        if close(out, wrong):
            raise Wrong(said)
    if close(out[:, 0], out[:, 1]) and close(out[:, 0], out[:, 2]):
        raise Wrong("all columns are alike: is it always the same network that reads?")
    if close(out[0], out[1]):
        raise Wrong("all rows are alike: is it always the same set of examples?")
    if not close(out, wanted):
        raise Wrong(f"wanted was {wanted.tolist()}, but {out.tolist()} came. Compare each network's `argmax(1)` with `labels`.")
    return "who sees through whose tricks?"

# %% [markdown]
# The three networks, and 20 test digits that all of them read correctly. For each network: L-BFGS examples (unit 03) towards the class it finds second likeliest. **Guess the table before you run it.** Published: M1's
# examples are misread by M1, M1', M2 in 100 / 26.2 / 5.9 %.

# %%
halves = torch.randperm(4000, generator=torch.Generator().manual_seed(0)).split(2000)
m = {}
for seed, (name, widths, half) in enumerate((("M1", (784, 100, 100), 0), ("M1'", (784, 123, 456), 0), ("M2", (784, 100, 100), 1))):
    torch.manual_seed(seed)
    m[name], _ = trained(models.mlp(widths=widths), epochs=8, rows=halves[half], shift=0, seed=seed)
read = torch.stack([~attacks.fooled(network, test.images, test.labels) for network in m.values()]).all(0)
some = test[read][:20]
examples = {name: transfer.lbfgs_together(network, some.images, transfer.runner_up(network, some.images, some.labels), rounds=5) for name, network in m.items()}


def show_table(table):
    print("examples of   " + "".join(f"{name:>8}" for name in m))
    for name, row in zip(m, table):
        print(f"{name:<13} " + "".join(f"{value:8.0f}" for value in row))


print("networks err on the test digits in " + ", ".join(f"{error(network, test.images):.1f} %" for network in m.values()))
print("average distortion, root mean square: " + ", ".join(f"{(examples[name] - some.images).square().mean((1, 2, 3)).sqrt().mean():.3f}" for name in m))
show_table(error_table(m, examples, some.labels))
plots.show(torch.cat([some.images[:6], examples["M1"][:6]]), plots.verdicts(m["M1"], torch.cat([some.images[:6], examples["M1"][:6]]), test.classes), columns=6)

# %% [markdown] exercise="4.11" minutes=5 difficulty=1 core=true
# ## Louder
# These examples stand *just* beyond the boundary of the network they were made for. Make them louder: keep the direction of each change $r = x' - x$, but give it the root mean square $s$ (per pixel):
#
# $$x + s\,\frac{r}{\sqrt{\tfrac1n \sum_i r_i^2}}$$
#
# Szegedy et al. amplified to a "standard deviation" of 0.1. (The formula printed in their paper, $x + 0.1\,r / \|r\|_2$, gives something else: what? The check knows.) No clipping here.
# Where nothing was changed there is nothing to amplify: that image stays.

# %%
def amplify(images, adversarial, size):
    """Both N x C x H x W. Each change adversarial - images, scaled to a root mean square of `size`, added to its image."""
    ### BEGIN SOLUTION
    change = adversarial - images
    rms = change.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return images + size * change / rms.clamp_min(1e-12)
    ### END SOLUTION

# %%
check("4.11", amplify)

# %% [markdown] hints="4.11"
# - Each image has its own root mean square: `change.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()`, of shape N x 1 x 1 x 1.
# - Against 0 / 0: `.clamp_min(1e-12)` on what you divide by.

# %% check="4.11"
def check(amplify):
    arguments(amplify, "images", "adversarial", "size")
    x = images(4, (2, 3, 5), 0.0, 1.0, 2)
    g = torch.Generator().manual_seed(3)
    r = (torch.randn(4, 2, 3, 5, generator=g) + 0.7) * torch.tensor([0.01, 0.2, 0.05, 1.0]).view(-1, 1, 1, 1)
    rms = torch.tensor([(one ** 2).mean() ** 0.5 for one in r]).view(-1, 1, 1, 1)
    unit, wanted = r / rms, x + 0.1 * r / rms
    before = x.clone(), (x + r).clone()
    out = tensor(amplify(before[0], before[1], 0.1), x)
    untouched((before[0], x), (before[1], x + r))
    length, spread = r.flatten(1).norm(dim=1).view(-1, 1, 1, 1), r.flatten(1).std(1, unbiased=False).view(-1, 1, 1, 1)
    for wrong, said in ((x + 0.1 * r / length, "this is the formula as it is printed: it makes the change 0.1 *long*, a root mean square of 0.1 / sqrt(n), on a digit 28 times too small. Divide by the root mean square instead."),
                        (x + 0.1 * r, "this multiplies the change by `size`: bring it *to* that size, divide by its root mean square first."),
                        (0.1 * unit, "this is the change on its own: add it to the images."),
                        (x + r + 0.1 * unit, "the new change is added to the adversarial image: add it to the clean one."),
                        (x - 0.1 * unit, "the change points the wrong way: adversarial minus images."),
                        (x + 0.1 * r / r.square().mean().sqrt(), "one root mean square for the whole batch: each image has its own, `mean(dim=(1, 2, 3), keepdim=True)`."),
                        (x + 0.1 * r / spread, "a standard deviation takes the mean away first; here the root mean square is wanted, which is the distortion that Szegedy et al. report."),
                        (x + 0.1 * r / r.flatten(1).std(1).view(-1, 1, 1, 1), "a standard deviation takes the mean away first; here the root mean square is wanted, which is the distortion that Szegedy et al. report."),
                        (x + 0.1 * r / r.abs().amax((1, 2, 3), keepdim=True), "this scales by the largest pixel; the root mean square is wanted."),
                        (x + 0.1 * r / r.square().mean((1, 2, 3), keepdim=True), "the root is missing: this divides by the mean square."),
                        (x + 0.1 * r / r.abs().mean((1, 2, 3), keepdim=True), "this divides by the mean absolute change: take squares, and the root of their mean."),
                        (x + unit, "`size` is not used."),
                        (wanted.clamp(0, 1), "the result is clipped to [0, 1]: then the change is smaller than asked for. Leave it.")):
        if close(out, wrong):
            raise Wrong(said)
    if not close(out, wanted):
        raise Wrong(f"the changes came with a root mean square of {[round(v, 3) for v in (out - x).square().mean((1, 2, 3)).sqrt().tolist()]} where 0.1 was asked for, or they point elsewhere.")
    still = (x + r).clone()
    still[1] = x[1]
    out = amplify(x, still, 0.1)
    if torch.isnan(out).any():
        raise Wrong("an image that was not changed becomes NaN (0 / 0): it should stay as it is.")
    if not close(out[1], x[1]) or not close(out[0], wanted[0]):
        raise Wrong("an image that was not changed should stay as it is, and the others should not notice.")
    return "each as loud as the others, and as before in direction."

# %% [markdown]
# The same table for the amplified examples, and the control: Gaussian noise of that size. Published for M1's amplified examples: 100 / 98 / 43 %; for noise 2.6 to 2.8 %.

# %%
louder = {name: amplify(some.images, images, 0.1) for name, images in examples.items()}
show_table(loud := error_table(m, louder, some.labels))
assert loud.min() > 50 and error_table(m, examples, some.labels)[[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]].max() < 50
noisy = test.images + 0.1 * torch.randn(test.images.shape, generator=torch.Generator().manual_seed(0))
print("Gaussian noise of 0.1 on all test digits: " + ", ".join(f"{error(network, noisy):.1f} %" for network in m.values()))
shown = torch.cat([louder["M1"][:6], noisy[read][:6]]).clamp(0, 1)
plots.show(shown, plots.verdicts(m["M2"], shown, test.classes), columns=6, label="M1's examples amplified, and noise; what M2 says")

# %% [markdown]
# **Question.** M2 has never seen a digit that M1 was trained on. What do the tables say against the idea that adversarial examples come from one training set, or from one lucky network?
#
# <details><summary>An answer</summary>
#
# The faintest examples are mostly a network's own; made louder along the *same direction*, most fool all three, while noise of that size fools hardly more than no noise at all. So the directions are shared: networks that
# solve the same task from other examples learn much the same function. (Twenty digits only: an entry can be off by some twenty points. The lecture has more, and the full MNIST beside it.)
# </details>

# %% [markdown] exercise="4.12" minutes=9 difficulty=3 core=true
# ## How much can a layer stretch?
# An affine layer $x \mapsto Wx + b$ stretches a change by at most its **operator norm** $\|W\| = \max \|Wv\| / \|v\|$, its largest singular value. For a convolution $W$ is huge and never written down.
# **Power iteration** needs only $Wv$ and $W^{\mathsf T}u$: start with a random $v$; repeat: make $v$ 1 long, then replace it by $W^{\mathsf T} W v$. Its length then goes to $\|W\|^2$.
#
# $Wv$ is `layer(v) - layer(0)`. And $W^{\mathsf T}u$ is what autograd computes: the gradient of $u \cdot Wv$ for $v$, that is `torch.autograd.grad(out, v, u)`.

# %%
def operator_norm(layer, shape, steps=60):
    """layer: an affine function of batches; shape: that of one input, like (1, 28, 28). Its operator norm, a number."""
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(1, *shape, generator=generator)
    ### BEGIN SOLUTION
    offset = layer(torch.zeros_like(v)).detach()
    for _ in range(steps):
        v = (v / v.norm()).requires_grad_()
        out = layer(v) - offset
        v, = torch.autograd.grad(out, v, out.detach())
    return v.norm().sqrt().item()
    ### END SOLUTION

# %%
check("4.12", operator_norm)

# %% [markdown] hints="4.12"
# - Before the loop: `offset = layer(torch.zeros_like(v)).detach()`, the bias. In the loop first make v 1 long: `v = (v / v.norm()).requires_grad_()`.
# - `out = layer(v) - offset` is $Wv$. `torch.autograd.grad(out, v, out.detach())` returns a tuple with $W^{\mathsf T} W v$: that is the next v.
# - After the loop the length of v is the *square* of the norm: `v.norm().sqrt().item()`.

# %% check="4.12"
def check(operator_norm):
    arguments(operator_norm, "layer", "shape", "steps")
    g = torch.Generator().manual_seed(1)
    left, right = (torch.linalg.qr(torch.randn(n, n, generator=g))[0] for n in (5, 8))
    dense = nn.Linear(8, 5)
    dense.weight.data = left @ torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.5, 0.1])) @ right[:5]     # largest singular value 3
    dense.bias.data = torch.tensor([5.0, -4.0, 3.0, 2.0, -1.0])
    asked = []

    def watched(v):
        asked.append(v.detach().flatten(1).norm(dim=1).max().item())
        return dense(v)
    try:
        out = number(operator_norm(watched, (8,), 40))
    except AttributeError as error:
        if "'function' object" in str(error):
            raise Wrong("here the layer is nothing but a function: ask it, `layer(v)`, instead of looking for its weights.") from None
        raise
    if not asked:
        raise Wrong("the layer is never called: ask it, `layer(v)`, instead of looking for its weights.")
    if abs(out - 9) < 0.05:
        raise Wrong("this is the square of the norm: take the root at the end.")
    frobenius = dense.weight.norm().item()
    if abs(out - frobenius) < 0.01:
        raise Wrong("this is the Frobenius norm, the root of the sum of *all* squared singular values.")
    if out != out or out == float("inf") or max(asked) > 1e6:
        raise Wrong("v grows beyond bounds: make it 1 long again in every step.")
    if abs(out - 3) > 0.01:
        dense.bias.data.zero_()
        if abs(number(operator_norm(dense, (8,), 40)) - 3) < 0.01:
            raise Wrong("with a bias the result is wrong, without it right: `layer(v)` is W v + b. Subtract `layer(0)`.")
        if abs(number(operator_norm(dense, (8,), 40)) - 3 ** 0.5) < 0.01:
            raise Wrong("one root too many.")
        if abs(out - dense.weight.detach().sum(0).norm().item() ** 0.5) < 0.01:
            raise Wrong("the gradient of the sum of the outputs was taken: for W^T W v give `torch.autograd.grad` the u = W v, as its third argument.")
        if abs(out - 1) < 1e-3:
            raise Wrong("1 came: v was made 1 long once more at the end, and its length is the answer. Take it before.")
        if max(asked) > 2:
            raise Wrong(f"a v of length {max(asked):.1f} was put into the layer: make it 1 long first, also the first one.")
        if len(asked) < 20:
            raise Wrong(f"with steps=40 the layer was asked {len(asked)} times: power iteration needs all its steps. Is the `return` inside the loop?")
        raise Wrong(f"the norm of a layer whose largest singular value is 3 came as {out:.3f}. Is each new v = W^T W v, computed from the v before it?")
    once = number(operator_norm(dense, (8,), 1))
    if abs(once - 3) < 0.01:
        raise Wrong("`steps` changes nothing.")
    for conv, shape in ((nn.Conv2d(1, 4, 4, 2, 1), (1, 9, 9)), (nn.Conv2d(3, 2, 3, padding=1), (3, 6, 6))):
        with torch.no_grad():
            conv.weight.normal_(generator=g)
        full = torch.autograd.functional.jacobian(conv, torch.zeros(1, *shape)).reshape(-1, torch.Size(shape).numel())      # the matrix that nobody writes down
        true = torch.linalg.matrix_norm(full, 2).item()
        kernel = torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item()
        out = number(operator_norm(conv, shape, 200))
        if abs(out - kernel) < 0.01 * kernel:
            raise Wrong("this is the norm of the kernel as a matrix: windows overlap, and the whole convolution can stretch more. Iterate through the convolution itself.")
        if abs(out - true) > 0.01 * true:
            raise Wrong(f"the norm of a convolution (stride {conv.stride[0]}) is {true:.3f}, but {out:.3f} came.")
    if any(p.grad is not None for p in dense.parameters()):
        raise Wrong("gradients are left in the layer's parameters: use `torch.autograd.grad` for v alone.")
    return "the largest singular value, without the matrix."

# %% [markdown] predict="4.13" minutes=2 core=true low=1 high=100000 unit="times"
# ## What is the bound worth?
# A ReLU never stretches. So a network stretches a change at most by the *product* of its layers' norms: an upper bound on its instability (Szegedy et al., section 4.3). From below: let an attack look for two
# points whose logits differ the most for their distance. For the standard CNN, **how many times larger is the bound than the largest stretch that is found?**

# %%
predict("4.13", 10)

# %% answer="4.13"
def stretch(net, points, steps=60):
    """The largest |f(x + r) - f(x)| / |r| that ascent on x and r finds, from each of `points`, and along random r at the start."""
    g = torch.Generator().manual_seed(0)
    x, r = points.clone().requires_grad_(), torch.randn(points.shape, generator=g)
    r = (0.1 * r / attacks.l2_norm(r)).requires_grad_()

    def ratio():
        return (net(x + r) - net(x)).norm(dim=1) / r.flatten(1).norm(dim=1)
    with torch.no_grad():
        at_random = ratio().max().item()
    best, optimizer = 0.0, torch.optim.Adam([x, r], 0.02)
    for _ in range(steps):
        values = ratio()
        best = max(best, values.max().item())
        optimizer.zero_grad()
        (-values.log().sum()).backward(inputs=[x, r])
        optimizer.step()
        with torch.no_grad():
            x.clamp_(0, 1)
            r.mul_(0.1 / attacks.l2_norm(r))
    return best, at_random


def answer(guess):
    some = data.load("mnist5k")[:50].images
    lines, figures = [], {}
    for name in ("standard", "robust-l2"):
        net = models.load(f"mnist5k/{name}")
        product, _ = bounds.lipschitz_bound(net, (1, 28, 28))
        figures[name] = product, *stretch(net, some)
    figure, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
    for i, (kind, hatch) in enumerate(zip(("bound", "attack", "random direction"), ("", "//", ".."))):
        bars = ax.bar([k + 0.27 * (i - 1) for k in range(2)], [f[i] for f in figures.values()], 0.25, label=kind, hatch=hatch, edgecolor="white")
        ax.bar_label(bars, fmt="%.1f", fontsize=8)
    ax.set(xticks=range(2), xticklabels=figures, yscale="log", ylabel="stretch", ylim=(None, 40 * max(f[0] for f in figures.values())))
    ax.legend(fontsize=8, ncols=3, loc="upper center")
    product, found, chance = figures["standard"]
    again = figures["robust-l2"]
    return (f"Standard: bound {product:.0f}, found {found:.0f}, ratio {product / found:.0f}; along a random direction {chance:.1f}. Robust: bound {again[0]:.0f}, found {again[1]:.1f}, ratio {again[0] / again[1]:.0f}. "
            "Each layer's worst direction is rarely what the layer before it puts out, and ReLUs close; so the bound is loose. A small bound would prove stability. A large one proves nothing.")

# %% [markdown]
# With your own function, layer by layer:

# %%
product, shape = 1.0, (1, 28, 28)
for layer in model:
    if isinstance(layer, (torch.nn.ReLU, torch.nn.Flatten)):
        print(f"{type(layer).__name__:<10} never stretches")
    else:
        norm = operator_norm(layer, shape)
        product *= norm
        print(f"{type(layer).__name__:<10} {norm:6.2f}   product so far {product:8.1f}")
    shape = layer(torch.zeros(1, *shape)).shape[1:]

# %% [markdown]
# A little below the bound of 4.13: power iteration comes from below, and 60 steps are not quite enough for every layer. The library goes on until nothing changes.

# %% [markdown] part="4.14" minutes=3 core=true
# ## Is a single neuron special?
# One likes to say what a neuron "stands for" by the images that excite it most. Szegedy et al. ask for a control: the images that most excite a *random direction* in the same layer. Below, one row of each, for the last hidden
# layer of the standard CNN, in random order. **Which row is the neuron? Answer at least eight questions**, then look at your score. (Half would be chance.)

# %%
from helpers.widgets import blind_explorer

blind_explorer()

# %% [markdown]
# Measured: the share of the commonest digit among the eight strongest images, over all units and as many random directions; and the control of the control, eight images at random.

# %%
hidden = attacks.scores(model[:-1], test.images)         # of the network without its last layer
directions = torch.randn(hidden.shape[1], hidden.shape[1], generator=torch.Generator().manual_seed(0))


def commonest(strengths):
    top = test.labels[strengths.topk(8, dim=0).indices]
    return 100 * torch.stack([(top == c).sum(0) for c in range(10)]).amax(0).div(8).mean().item()


alive = (hidden > 0).sum(0) >= 8        # a unit that is silent has no strongest images
print(f"neurons {commonest(hidden[:, alive]):.0f} %, random directions {commonest(hidden @ directions):.0f} %, eight digits at random {commonest(torch.rand(1000, 100, generator=torch.Generator().manual_seed(1))):.0f} %")

# %% [markdown]
# <details><summary>What to see</summary>
#
# Both look as if they stood for something. Coherent pictures under a neuron are no evidence that the *neuron* is the meaningful unit: the whole space is organised so that nearly any direction gathers alike images. Whether there is still
# some difference, your score and the figures above say. Unit 07 comes back to it.
# </details>

# %% [markdown] part="4.15" minutes=3 core=true
# ## From many dimensions to one
# An explanation one can read goes like this: a classifier maps 784 numbers to one. Such a map, if it is one-to-one, cannot be continuous (there is no continuous one-to-one map from the plane to the line, either); so somewhere
# it must jump, and near a jump a small change does a lot. Here is a one-to-one map from two numbers to one: shuffle their decimals. Two pairs of neighbours; which of them flies apart?

# %%
def shuffled(a, b):
    """0.1234 and 0.5678 become 0.15263748."""
    pairs = zip(f"{a:.4f}"[2:], f"{b:.4f}"[2:])
    return float("0." + "".join(one + other for one, other in pairs))


for a, b in ((0.4999, 0.5), (0.5, 0.5), (0.3332, 0.5), (0.3333, 0.5)):
    print(f"({a:.4f}, {b:.4f}) -> {shuffled(a, b):.8f}")

# %% [markdown]
# The first pair: 0.0001 apart, a jump of 0.09. The second stays together. So the map jumps, but not everywhere.
#
# Now walk with a real network: from a digit to another, then away from it in a random direction, then in the adversarial one, all as many steps of the same length. Each row shows the class at each step, for
# both networks. (This 4 is an ordinary digit: the lecture walks with a hundred.)

# %%
one, other = test[test.labels == 4][8:9], test[test.labels == 9][:1]
reach, steps, leaves = 5.0, torch.linspace(0, 1, 121), {}
figure, axes = plt.subplots(2, 1, figsize=(9, 3.4), layout="constrained")
for ax, (name, network) in zip(axes, {"standard": model, "robust": robust}.items()):
    noise = torch.randn(one.images.shape, generator=torch.Generator().manual_seed(3))
    gradient = input_gradient(network, one.images, one.labels)
    ways = {"to a 9": other.images - one.images, "random": noise, "adversarial": gradient}
    ways = {way: reach * d / d.norm() for way, d in ways.items()}
    read_as = torch.stack([logits_along(network, one.images, d, steps).argmax(1) for d in ways.values()])
    ax.imshow(read_as, cmap="tab10", vmin=0, vmax=9, aspect="auto", extent=(0, reach, 2.5, -0.5), interpolation="nearest")
    leaves[name] = [reach * (classes != 4).int().argmax().item() / 120 if (classes != 4).any() else float("inf") for classes in read_as]
    for row, classes in enumerate(read_as):
        starts = [0] + [i for i in range(1, len(classes)) if classes[i] != classes[i - 1]]
        for i, following in zip(starts, starts[1:] + [len(classes)]):
            if following - i > 2:
                ax.text(reach * (i + following) / 2 / len(classes), row, str(classes[i].item()), ha="center", va="center", color="white", fontweight="bold", fontsize=9)
    ax.set(yticks=range(3), yticklabels=ways, title=f"{name} network", xlabel="L2 distance from the 4" if network is robust else "")
plt.show()
assert leaves["robust"][2] > 1.5 * leaves["standard"][2] and min(leaves["standard"][1], leaves["robust"][1]) > leaves["standard"][2]

# %% [markdown]
# **Question.** What does the argument prove, and what does it not?
#
# <details><summary>An answer</summary>
#
# It proves that a *one-to-one* map from many dimensions to one must jump. But a classifier is not one-to-one, and is not meant to be: all 4s shall become one class. Its logits are continuous; its *class* must jump somewhere, in
# one dimension as in 784, for there are ten classes and a connected space. Nothing follows about how *near* the jump is. Both networks above map the same 784 dimensions to the same ten classes; for the robust one the
# jump along the adversarial way is farther off (or not there at all within this reach), and along a random direction neither jumps as soon. So the distance is a matter of what was learned (4.2, 4.3, 4.8), not of dimensions being many.
# </details>

# %% [markdown] part="4.16" minutes=4 core=false
# ## At which layer?
# Szegedy et al. also perturbed *hidden* layers, and found examples made there more useful to train on than those made at the input. Goodfellow et al. saw it the other way round. Three networks: half of the loss on the digits, half on
# moved ones. The move $\delta$ is one step along the gradient, at the input or at the first or second hidden layer; with $h$ what that place holds, $\|\delta\|_2 = 0.15\,\|h\|_2$.

# %%
def train_at(layer, share=0.15, epochs=3):
    """A 784-100-100-10 network; each batch once as it is and once moved along the gradient at the output of the first `layer` modules (None: standard)."""
    torch.manual_seed(0)
    network = models.mlp()
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(4000).split(100):
            x, y = digits.images[rows], digits.labels[rows]
            loss = F.cross_entropy(network(x), y)
            if layer is not None:
                below, above = network[:layer], network[layer:]
                h = below(x)
                z = h.detach().requires_grad_()
                g, = torch.autograd.grad(F.cross_entropy(above(z), y, reduction="sum"), z)
                step = share * g * attacks.l2_norm(z.detach()) / attacks.l2_norm(g)
                loss = (loss + F.cross_entropy(above(h + step), y)) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()


under_attack = {}
print(f"{'moved at':<17} clean   PGD, L2 1.0   (errors, %)")
for name, layer in {"nowhere": None, "the input": 0, "first hidden": 4, "second hidden": 6}.items():
    network = train_at(layer)
    attacked = attacks.pgd(network, test.images, test.labels, eps=1.0, norm="l2", steps=10)
    under_attack[name] = error(network, attacked)
    print(f"{name:<17} {error(network, test.images):5.1f} {under_attack[name]:10.1f}")
assert min(under_attack, key=under_attack.get) == "the input"

# %% [markdown]
# One run each on 4,000 digits, so a point more or less in the clean column is chance. Moved at the input, the network withstands most, as Goodfellow et al. say. But the test is an attack at the input, too: the comparison is in
# that network's own coin.

# %% [markdown] predict="4.17" minutes=3 core=false choices=["dropout","pretraining on noise","averaging three networks","none of them"]
# ## What does not help
# If an adversarial example were an accident of one network, then dropout, another way to the start (pretraining on pure noise with random labels), or averaging three networks should push it away. For each a 784-100-100-10
# network; measured is the smallest $L_2$ change that fools it, as the median of 40 digits. **Which of them raises that by half or more?** `"dropout"`, `"pretraining on noise"`, `"averaging three networks"` or `"none of them"`.

# %%
predict("4.17", "averaging three networks")

# %% answer="4.17"
class Average(nn.Module):
    """The log of the mean probabilities."""

    def __init__(self, networks):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x):
        return torch.stack([network(x).softmax(1) for network in self.networks]).mean(0).clamp_min(1e-30).log()


def answer(guess):
    digits, test = data.load("mnist5k", "train"), data.load("mnist5k")[:40]

    def fresh(seed, dropout=0.0):
        torch.manual_seed(seed)
        plain = list(models.mlp())
        return nn.Sequential(*plain[:4], nn.Dropout(dropout), *plain[4:6], nn.Dropout(dropout), plain[6]) if dropout else nn.Sequential(*plain)

    def fitted(network, images=digits.images, labels=digits.labels):
        train(network, images, labels, epochs=4, shift=0, progress=False)
        return network
    g = torch.Generator().manual_seed(0)
    noise, nonsense = torch.rand(2000, 1, 28, 28, generator=g), torch.randint(0, 10, (2000,), generator=g)
    three = [fitted(fresh(seed)) for seed in range(3)]
    networks = {"nothing": three[0], "dropout\n0.3": fitted(fresh(0, 0.3)), "pretraining\non noise": fitted(fitted(fresh(0), noise, nonsense)),
                "averaging\nthree": Average(three), "robust training\n(another network)": models.load("mnist5k/robust-l2")}
    needed = {name: attacks.min_norm(network, test.images, test.labels, norm="l2", eps_max=4.0, halvings=6, steps=8)[1].median().item() for name, network in networks.items()}
    figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
    bars = ax.bar(range(5), needed.values(), 0.6)
    ax.bar_label(bars, fmt="%.2f", fontsize=8)
    ax.axhline(1.5 * needed["nothing"], color="black", linestyle=":", label="half more than nothing")
    ax.set(ylabel="smallest change that fools\n(L2, median)", ylim=(0, 1.2 * max(needed.values())))
    ax.set_xticks(range(5), needed, fontsize=8)
    ax.legend(fontsize=8, loc="upper left")
    gains = {name.replace("\n", " "): value / needed["nothing"] for name, value in needed.items()}
    best = max(list(gains)[1:4], key=gains.get)
    assert gains[best] < 1.5 < gains["robust training (another network)"]
    return (f"None of them. The most comes from {best}: {gains[best]:.2f} times the change. What networks share cannot be averaged away, and does not come from the start. "
            "The robust network is a convolutional one, so only the direction of that comparison counts.")

# %% [markdown]
# ## Done
# Next: robust and non-robust features, unit 05.

# %%
progress("04")
