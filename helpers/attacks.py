"""Adversarial attacks as plain functions: `attack(model, images, labels, *, eps, norm, ...) -> adversarial images`.

Common to all: images are a float tensor N x C x H x W inside `bounds` ((0, 1); None means no box, and then any shape N x ...);
labels are int64 of length N: the true classes, or with targeted=True the classes to be reached; eps is one number or one per
image. loss: "cross_entropy", "margin", or f(logits, labels) -> one value per sample; an attack raises it, or with targeted=True
lowers it. chunk: samples in one pass (default: what suits their size). The model runs in eval mode and is left as it was found,
and so is the global random state. All raise TypeError or ValueError for input that is not so.
"""
import math

import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from ._core import (broadcast, choose, chunk_size, clip, cross_entropy, evaluating, fresh_generator, l2_norm, laid_out, largest, log_odds,  # noqa: F401
                    loss_and_gradient, margin, project, random_start, unit_step)
from ._inputs import check_classes, check_images, check_norm, per_sample

LOSSES = {"cross_entropy": log_odds, "margin": margin}   # log_odds: the same direction as cross-entropy's, but never flat


def _one_step(model, images, labels, eps, targeted, loss, bounds, chunk, direction):
    check_images(images, labels, bounds)
    images = images.detach()
    eps, loss, chunk = per_sample(eps, images), choose(loss, "loss", LOSSES), chunk_size(images, chunk)
    out = torch.empty_like(images)
    with evaluating(model):
        for at in range(0, len(images), chunk):
            part = slice(at, at + chunk)
            _, _, gradient = loss_and_gradient(model, images[part], labels[part], loss, -1 if targeted else 1, wanted=False)
            out[part] = clip(images[part] + eps[part] * direction(gradient), bounds)
    return out


def fgsm(model, images, labels, *, eps, targeted=False, loss="cross_entropy", bounds=(0, 1), chunk=None):
    """Fast gradient sign method: x + eps sign(grad loss), clipped to bounds (Goodfellow et al. 2015, arXiv:1412.6572, section 4).

    eps: L-infinity size, >= 0. targeted: labels are the classes wanted, and the loss is lowered.
    """
    return _one_step(model, images, labels, eps, targeted, loss, bounds, chunk, torch.sign)


def normalized_gradient(model, images, labels, *, eps, norm="linf", targeted=False, loss="cross_entropy", bounds=(0, 1), chunk=None):
    """One step along the gradient itself, scaled so that its size in `norm` is eps: divided by max |g| ("linf") or |g|_2 ("l2")."""
    check_norm(norm)
    def direction(gradient):
        return unit_step(gradient, "l2") if norm == "l2" else gradient / largest(gradient)
    return _one_step(model, images, labels, eps, targeted, loss, bounds, chunk, direction)


def pgd(model, images, labels, *, eps, norm, steps=20, step_size=None, decay=False, targeted=False, start=None, restarts=1, loss="cross_entropy",
        bounds=(0, 1), keep="best", generator=None, callback=None, chunk=None):
    """Projected gradient descent (Madry et al. 2018, arXiv:1706.06083; without a start in L-infinity it is BIM, Kurakin et al. 2017).

    Each step: along the unit gradient of `norm` ("l2", "linf"), back into the ball of radius eps, then into bounds.
    step_size: default 2.5 eps / steps. decay=True: it falls to 0 along a cosine (default: from 2 eps), which finds more.
    start: None, "ball" or "radius" (see random_start), drawn from `generator` (default: a fresh one with seed 0), or the images to begin
    from, a tensor like `images`. restarts: from so many random starts; of their results the best stays.
    keep: "last" iterate; "best": fooled before not fooled, then the highest loss, the last one is always tested too; or "first" one that
    fools, where only success matters: what is fooled leaves the batch, and what never is ends with its last iterate.
    callback(step, images, losses) sees every iterate of every chunk; the losses are those that the attack raises.
    """
    check_images(images, labels, bounds)
    check_norm(norm)
    if steps < 1 or restarts < 1:
        raise ValueError(f"steps and restarts must be at least 1, but came as {steps} and {restarts}.")
    given = isinstance(start, torch.Tensor)
    if given and start.shape != images.shape:
        raise ValueError(f"the start must have the shape of the images, {tuple(images.shape)}, but has {tuple(start.shape)}.")
    if restarts > 1 and (start is None or given):
        raise ValueError('restarts without a random start would all be the same: say start="ball" or start="radius".')
    if keep not in ("best", "last", "first"):
        raise ValueError(f'keep must be "best", "last" or "first", but came as {keep!r}.')
    eps = per_sample(eps, images)
    step_size = (2 if decay else 2.5 / steps) * eps if step_size is None else per_sample(step_size, images, "step_size")
    shares = [(1 + math.cos(math.pi * step / steps)) / 2 if decay else 1.0 for step in range(steps)]
    ascent = _Ascent(model, norm, shares, choose(loss, "loss", LOSSES), -1 if targeted else 1, bounds, keep, callback, judge=restarts > 1)
    chunk, generator, clean = chunk_size(images, chunk), fresh_generator(generator), images.detach()
    best = _Best(clean)
    with evaluating(model):
        for _ in range(restarts):
            begin = start.detach() if given else clean if start is None else clip(clean + random_start(images, eps, norm, start, generator), bounds)
            left = (~best.fooled).nonzero()[:, 0] if keep == "first" else torch.arange(len(images), device=images.device)
            for rows in left.split(chunk) if len(left) else ():
                best.offer(*ascent(laid_out(begin[rows], model), laid_out(clean[rows], model), labels[rows], eps[rows], step_size[rows]), rows)
    return best.images


class _Ascent:
    """What does not change from one chunk of `pgd` to the next; a call takes one chunk up, to (images, losses, fooled)."""

    def __init__(self, model, norm, shares, loss, sign, bounds, keep, callback, judge):
        self.model, self.norm, self.shares, self.loss, self.sign, self.bounds = model, norm, shares, loss, sign, bounds
        self.keep, self.callback = keep, callback
        self.judge = judge or keep != "last" or callback    # does anyone ask what the last iterate is worth?

    def __call__(self, x, clean, labels, eps, step_size):
        best, rows = _Best(x), torch.arange(len(x), device=x.device)
        # Where x may go: in L-infinity ball and box together are one box; else the ball's centre and radius.
        ball = (clip(clean - eps, self.bounds), clip(clean + eps, self.bounds)) if self.norm == "linf" else (clean, eps)
        for step, share in enumerate(self.shares):
            values, logits, gradient = loss_and_gradient(self.model, x, labels, self.loss, self.sign, self.judge)
            if self.keep == "best":
                best.offer(x, values, self._fooled(logits, labels))
            self._report(step, x, values)
            if self.keep == "first" and (fooled := self._fooled(logits, labels)).any():
                best.offer(x, values, fooled, rows)
                stay = ~fooled
                rows, x, labels, step_size, gradient, *ball = (t[stay] for t in (rows, x, labels, step_size, gradient, *ball))
                if not len(rows):
                    break
            x = self._step(x, gradient, share * step_size, *ball)
        else:
            if not self.judge:
                return x, None, None
            with torch.no_grad():
                logits = self.model(x)
                values = self.sign * self.loss(logits, labels)
            self._report(len(self.shares), x, values)
            if self.keep == "last":
                return x, values, self._fooled(logits, labels)
            if self.keep == "first":
                best.values[rows] = -torch.inf      # of what was not fooled, the last iterate stays
            best.offer(x, values, self._fooled(logits, labels), rows)
        return best.images, best.values, best.fooled

    def _step(self, x, gradient, step_size, *ball):
        if self.norm == "linf":
            return torch.addcmul(x, gradient.sign(), step_size).clamp_(*ball)
        clean, eps = ball
        return clip(clean + project(x + step_size * unit_step(gradient, "l2") - clean, eps, "l2"), self.bounds)

    def _fooled(self, logits, labels):
        return (logits.argmax(1) == labels) == (self.sign < 0)

    def _report(self, step, x, values):
        if self.callback:
            self.callback(step, x, self.sign * F.softplus(self.sign * values) if self.loss is log_odds else values)


class _Best:
    """Per sample the best that was offered: fooled before not fooled, then the highest loss."""

    def __init__(self, images):
        self.images = images.clone()
        self.values = torch.full((len(images),), -torch.inf, dtype=images.dtype, device=images.device)
        self.fooled = torch.zeros(len(images), dtype=torch.bool, device=images.device)

    def offer(self, images, values, fooled, rows=slice(None)):
        """values=None: these are the only ones."""
        if values is None:
            self.images[rows] = images
            return
        had = self.fooled[rows]
        better = (fooled & ~had) | ((fooled == had) & (values > self.values[rows]))
        self.images[rows] = torch.where(broadcast(better, images), images, self.images[rows])
        self.values[rows] = torch.where(better, values.to(self.values.dtype), self.values[rows])
        self.fooled[rows] = fooled | had


def robust_accuracy(model, images, labels, eps, *, norm, steps=50, restarts=2, losses=("margin", "cross_entropy"), start="ball",
                    bounds=(0, 1), generator=None, chunk=None):
    """Which images keep their prediction under everything that is tried: (their share, a float; the verdict per sample, bool N).

    Tries PGD with falling steps, with each of `losses` from `restarts` random starts; what is fooled leaves. The share is an upper bound of
    the true robust accuracy: more steps and restarts can only lower it (Carlini et al. 2019, arXiv:1902.06705). eps: one number or one per
    image. With steps=100, restarts=5 it found as much as AutoAttack's APGD-CE and APGD-T on the course's robust network of digits.
    """
    check_images(images, labels, bounds)
    if restarts < 1 or not losses:
        raise ValueError(f"there must be at least one restart and one loss, but restarts={restarts} and losses={losses!r} came.")
    eps, generator = per_sample(eps, images).flatten(), fresh_generator(generator)
    robust = ~fooled(model, images, labels, chunk=chunk)
    for _ in range(restarts):
        for loss in losses:
            left = robust.nonzero()[:, 0]
            if not len(left):
                break
            attacked = pgd(model, images[left], labels[left], eps=eps[left], norm=norm, steps=steps, decay=True, start=start, loss=loss,
                           bounds=bounds, keep="first", generator=generator, chunk=chunk)
            robust[left] = ~fooled(model, attacked, labels[left], chunk=chunk)
    return _share(robust), robust


def min_norm(model, images, labels, *, norm, eps_max, halvings=10, steps=20, targeted=False, loss="cross_entropy",
             bounds=(0, 1), chunk=None):
    """The smallest perturbation that bisection over eps with PGD finds: (adversarial images, their eps per sample).

    Bisects [0, eps_max] `halvings` times for each image at once, so eps is known to eps_max / 2**halvings. Where even eps_max fails,
    eps is infinite and the image returned is the clean one; where the clean image is already fooled, eps is 0.
    """
    check_images(images, labels, bounds)
    images = images.detach()
    low = torch.zeros(len(images), dtype=images.dtype, device=images.device)
    high, eps = torch.full_like(low, eps_max), torch.full_like(low, torch.inf)
    found = images.clone()

    def attempt(size):
        adversarial = pgd(model, images, labels, eps=size, norm=norm, steps=steps, targeted=targeted, loss=loss, bounds=bounds,
                          keep="first", chunk=chunk)
        hit = fooled(model, adversarial, labels, targeted=targeted, chunk=chunk)
        better = hit & (size < eps)
        found[better], eps[better] = adversarial[better], size[better]
        return hit

    attempt(low)
    attempt(high)
    high = torch.minimum(high, eps)
    for _ in range(halvings):
        middle = (low + high) / 2
        hit = attempt(middle)
        high, low = torch.where(hit, middle, high), torch.where(hit, low, middle)
    return found, eps


def minimize_in_box(objective, start, *, bounds=(0, 1), max_iterations=50):
    """The tensor at which SciPy's L-BFGS-B (Byrd et al. 1995) ends when it minimises `objective` from `start` inside bounds.

    objective: tensor like start -> scalar tensor, differentiable. bounds: (low, high), or None.
    """
    def value_and_gradient(point):
        x = torch.as_tensor(point.reshape(start.shape), dtype=start.dtype, device=start.device).requires_grad_()
        with torch.enable_grad():
            value = objective(x)
        gradient, = torch.autograd.grad(value, x)
        return value.item(), gradient.cpu().double().flatten().numpy()

    begin = start.detach().cpu().double().flatten().numpy()
    with threadpool_limits(1, user_api="blas"):  # SciPy's idle threads would keep PyTorch's waiting: ten times slower
        end = minimize(value_and_gradient, begin, jac=True, method="L-BFGS-B", bounds=None if bounds is None else [bounds] * begin.size,
                       options={"maxiter": max_iterations, "gtol": 1e-12}).x  # the default stops where cross-entropy is nearly flat
    return torch.as_tensor(end.reshape(start.shape), dtype=start.dtype, device=start.device)


def lbfgs(model, images, targets, *, c=0.1, halvings=8, max_iterations=50, bounds=(0, 1)):
    """Box-constrained L-BFGS (Szegedy et al. 2013, arXiv:1312.6199, section 4.1), one image at a time.

    Minimises c |r|^2 + cross-entropy of the target class at x + r inside bounds; the paper writes c |r|, the square is smooth at r = 0.
    Searches, from the given c, for the largest c that still succeeds: the larger c, the smaller r. Returns the smallest successful
    example of each image, or the clean image where none succeeds. targets: int64, N, the classes to be reached.
    """
    check_images(images, targets, bounds)
    if not c > 0:
        raise ValueError(f"c must be above 0, but came as {c}: without a penalty no change is too large.")
    check_classes(targets, scores(model, images[:1]))
    out = images.detach().clone()
    with evaluating(model):
        for i in range(len(images)):
            image, target = out[i:i + 1].clone(), targets[i:i + 1]
            smallest = torch.inf

            def succeeds(c):
                nonlocal smallest
                def objective(x):
                    return c * (x - image).square().sum() + cross_entropy(model(x), target).sum()
                found = minimize_in_box(objective, image, bounds=bounds, max_iterations=max_iterations)
                success = fooled(model, found, target, targeted=True).item()
                if success and (found - image).norm() < smallest:
                    out[i:i + 1], smallest = found, (found - image).norm()
                return success

            works, fails = 0.0, float(c)
            while succeeds(fails) and fails < 1e6:
                works, fails = fails, 4 * fails
            if not works and not succeeds(0.0):
                continue
            for _ in range(halvings):
                middle = (works * fails) ** 0.5 if works else fails / 8
                works, fails = (middle, fails) if succeeds(middle) else (works, middle)
    return out


def random_signs(images, *, eps, bounds=(0, 1), generator=None):
    """The control for FGSM: x + eps s with random signs s, clipped to bounds."""
    check_images(images, bounds=bounds)
    eps = per_sample(eps, images)
    generator = fresh_generator(generator)
    signs = torch.randint(0, 2, images.shape, generator=generator, device=generator.device).to(images) * 2 - 1
    return clip(images.detach() + eps * signs, bounds)


def scores(model, images, *, chunk=None):
    """The logits of `model` in eval mode without gradients, N x classes, in chunks."""
    chunk = chunk_size(images, chunk)
    with evaluating(model), torch.no_grad():
        return torch.cat([model(laid_out(images[at:at + chunk], model)) for at in range(0, max(len(images), 1), chunk)])


def fooled(model, images, labels, *, targeted=False, chunk=None):
    """Per sample: is the prediction not the label (targeted: the label)? A bool tensor of length N."""
    logits = scores(model, images, chunk=chunk)
    check_classes(labels, logits)
    return (logits.argmax(1) == labels) == targeted


def accuracy(model, images, labels, *, chunk=None):
    """The share of images whose prediction is their label, a float in [0, 1]."""
    return 1 - _share(fooled(model, images, labels, chunk=chunk))


def _share(verdicts):
    """The share that is True; NaN of none. (Not .double().mean(): Apple's devices have no float64.)"""
    return verdicts.sum().item() / len(verdicts) if len(verdicts) else math.nan
