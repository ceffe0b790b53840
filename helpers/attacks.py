"""Adversarial attacks as plain functions: `attack(model, images, labels, *, eps, norm, ...) -> adversarial images`.

Common to all: images are a float tensor N x C x H x W inside `bounds` ((0, 1); None means no box, and then any shape N x ...);
labels are int64 of length N: the true classes, or with targeted=True the classes to be reached; eps is one number or one per
image. The model runs in eval mode and is left as it was found, and so is the global random state. All raise TypeError or
ValueError for input that is not so.
"""
import contextlib

import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from ._inputs import check_classes, check_images, check_norm, per_sample


@contextlib.contextmanager
def evaluating(model):
    """Run `model` in eval mode with gradients on; afterwards every module has its own mode back."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        for module in training:
            module.training = True  # not .train(), which would reach the children too


def cross_entropy(logits, labels):
    """-log softmax(logits)[label], one per sample."""
    return F.cross_entropy(logits, labels, reduction="none")


def margin(logits, labels):
    """Best other logit minus the label's logit, one per sample: positive exactly where the label is not the prediction."""
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return others - logits.gather(1, labels[:, None])[:, 0]


LOSSES = {"cross_entropy": cross_entropy, "margin": margin}


def _broadcast(values, batch):
    """One value per sample, as N x 1 x ..., so that it broadcasts over the batch."""
    return values.view(-1, *[1] * (batch.ndim - 1))


def _scale(batch):
    """The largest absolute value of each sample, or 1 where all are 0: something safe to divide by, N x 1 x ...."""
    largest = batch.flatten(1).abs().amax(1)
    return _broadcast(torch.where(largest > 0, largest, 1), batch)


def l2_norm(batch):
    """The L2 norm of each sample, N x 1 x ... so that it broadcasts; safe where the squares would underflow."""
    scale = _scale(batch)
    return scale * _broadcast((batch / scale).flatten(1).norm(dim=1), batch)


def unit_step(gradient, norm):
    """The direction of steepest ascent of length 1 in `norm`: g / |g| for "l2", sign(g) for "linf"; 0 where the gradient is 0."""
    if norm == "linf":
        return gradient.sign()
    scaled = gradient / _scale(gradient)  # first by the maximum: tiny gradients have no float32 squares
    return scaled / l2_norm(scaled).clamp_min(1)


def project(delta, eps, norm):
    """The point of the ball of radius eps (broadcasting over delta) nearest to delta, in L2 distance."""
    if norm == "linf":
        return delta.clamp(-eps, eps)
    size = l2_norm(delta)
    return delta * torch.where(size > eps, eps / torch.where(size > 0, size, 1), 1)


def random_start(images, eps, norm, start, generator):
    """A random point for each image: start="ball" is uniform in the ball, "radius" has a random direction and uniform radius."""
    if start not in ("ball", "radius"):
        raise ValueError(f'start must be "ball", "radius" or None, but came as {start!r}.')
    def rand(*shape):
        return torch.rand(*shape, generator=generator, dtype=images.dtype, device=generator.device).to(images.device)
    n, rest = len(images), images.shape[1:].numel()
    if norm == "linf":
        direction = 2 * rand(n, rest) - 1
        if start == "radius":
            direction = direction / direction.abs().amax(1, keepdim=True) * rand(n, 1)
    else:
        direction = torch.randn(n, rest, generator=generator, dtype=images.dtype, device=generator.device).to(images.device)
        radius = rand(n, 1) ** (1 / rest if start == "ball" else 1)
        direction = direction / direction.norm(dim=1, keepdim=True) * radius
    return direction.view_as(images) * eps


def loss_and_gradient(model, images, labels, loss, sign=1):
    """sign * loss(logits, labels), one per sample; the logits; and its gradient for the images alone. The model runs in its present mode."""
    images = images.detach().requires_grad_()
    logits = model(images)
    check_classes(labels, logits)
    values = sign * loss(logits, labels)
    gradient, = torch.autograd.grad(values.sum(), images)
    return values.detach(), logits.detach(), gradient


def _clip(images, bounds):
    return images if bounds is None else images.clamp(*bounds)


def _loss(loss):
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(map(repr, LOSSES))} or a function (logits, labels) -> one value "
                         f"per sample, but came as {loss!r}.")
    return LOSSES[loss]


def _one_step(model, images, labels, eps, targeted, loss, bounds, chunk, direction):
    check_images(images, labels, bounds)
    eps = per_sample(eps, images)
    out = torch.empty_like(images)
    with evaluating(model):
        for at in range(0, len(images), chunk):
            part = slice(at, at + chunk)
            _, _, gradient = loss_and_gradient(model, images[part], labels[part], _loss(loss), -1 if targeted else 1)
            out[part] = _clip(images[part] + eps[part] * direction(gradient), bounds)
    return out


def fgsm(model, images, labels, *, eps, targeted=False, loss="cross_entropy", bounds=(0, 1), chunk=256):
    """Fast gradient sign method: x + eps sign(grad loss), clipped to bounds (Goodfellow et al. 2015, arXiv:1412.6572, section 4).

    eps: L-infinity size, >= 0. targeted: labels are the classes wanted, and the loss is lowered.
    """
    return _one_step(model, images, labels, eps, targeted, loss, bounds, chunk, torch.sign)


def normalized_gradient(model, images, labels, *, eps, norm="linf", targeted=False, loss="cross_entropy", bounds=(0, 1), chunk=256):
    """One step along the gradient itself, scaled so that its size in `norm` is eps: divided by max |g| ("linf") or |g|_2 ("l2")."""
    check_norm(norm)
    def direction(gradient):
        return unit_step(gradient, "l2") if norm == "l2" else gradient / _scale(gradient)
    return _one_step(model, images, labels, eps, targeted, loss, bounds, chunk, direction)


def pgd(model, images, labels, *, eps, norm, steps=20, step_size=None, targeted=False, start=None, loss="cross_entropy",
        bounds=(0, 1), keep="best", generator=None, callback=None, chunk=256):
    """Projected gradient descent (Madry et al. 2018, arXiv:1706.06083; without a start in L-infinity it is BIM, Kurakin et al. 2017).

    Each step: along the unit gradient of `norm` ("l2", "linf"), back into the ball of radius eps, then into bounds.
    step_size: default 2.5 eps / steps. start: None, "ball" or "radius" (see random_start), drawn from `generator`
    (default: a fresh one with seed 0). loss: "cross_entropy", "margin", or f(logits, labels) -> one value per sample.
    keep: "last" iterate, or "best": fooled before not fooled, then the highest loss; the last one is always tested too.
    callback(step, images, losses) sees every iterate of every chunk; the losses are those that the attack raises.
    """
    check_images(images, labels, bounds)
    check_norm(norm)
    if steps < 1:
        raise ValueError(f"steps must be at least 1, but came as {steps}.")
    if keep not in ("best", "last"):
        raise ValueError(f'keep must be "best" or "last", but came as {keep!r}.')
    eps = per_sample(eps, images)
    step_size = 2.5 * eps / steps if step_size is None else per_sample(step_size, images, "step_size")
    loss, sign = _loss(loss), -1 if targeted else 1
    begin = images.detach()
    if start is not None:
        begin = begin + random_start(images, eps, norm, start, generator or torch.Generator().manual_seed(0))
        begin = _clip(begin, bounds)
    out = begin.clone()
    with evaluating(model):
        for at in range(0, len(images), chunk):
            part = slice(at, at + chunk)
            clean, y = images[part].detach(), labels[part]
            best = _Best(clean) if keep == "best" else None
            x = begin[part]
            for step in range(steps):
                values, logits, gradient = loss_and_gradient(model, x, y, loss, sign)
                if best:
                    best.offer(x, values, (logits.argmax(1) == y) == targeted)
                if callback:
                    callback(step, x, values)
                x = x + step_size[part] * unit_step(gradient, norm)
                x = _clip(clean + project(x - clean, eps[part], norm), bounds)
            if best or callback:
                with torch.no_grad():
                    logits = model(x)
                    values = sign * loss(logits, y)
                if callback:
                    callback(steps, x, values)
                if best:
                    best.offer(x, values, (logits.argmax(1) == y) == targeted)
                    x = best.images
            out[part] = x
    return out


class _Best:
    """Per sample the best iterate seen: fooled before not fooled, then the highest loss."""

    def __init__(self, images):
        self.images = images.clone()
        self.values = torch.full((len(images),), -torch.inf, dtype=images.dtype, device=images.device)
        self.fooled = torch.zeros(len(images), dtype=torch.bool, device=images.device)

    def offer(self, images, values, fooled):
        better = (fooled & ~self.fooled) | ((fooled == self.fooled) & (values > self.values))
        self.images = torch.where(_broadcast(better, images), images, self.images)
        self.values = torch.where(better, values.to(self.values.dtype), self.values)
        self.fooled = self.fooled | fooled


def min_norm(model, images, labels, *, norm, eps_max, halvings=10, steps=20, targeted=False, loss="cross_entropy",
             bounds=(0, 1), chunk=256):
    """The smallest perturbation that bisection over eps with PGD finds: (adversarial images, their eps per sample).

    Bisects [0, eps_max] `halvings` times for each image at once, so eps is known to eps_max / 2**halvings. Where even eps_max fails,
    eps is infinite and the image returned is the clean one; where the clean image is already fooled, eps is 0.
    """
    check_images(images, labels, bounds)
    low = torch.zeros(len(images), dtype=images.dtype, device=images.device)
    high, eps = torch.full_like(low, eps_max), torch.full_like(low, torch.inf)
    found = images.clone()

    def attempt(size):
        adversarial = pgd(model, images, labels, eps=size, norm=norm, steps=steps, targeted=targeted, loss=loss, bounds=bounds, chunk=chunk)
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
    generator = generator or torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, images.shape, generator=generator, device=generator.device).to(images) * 2 - 1
    return _clip(images + eps * signs, bounds)


def scores(model, images, *, chunk=256):
    """The logits of `model` in eval mode without gradients, N x classes, in chunks."""
    with evaluating(model), torch.no_grad():
        return torch.cat([model(images[at:at + chunk]) for at in range(0, max(len(images), 1), chunk)])


def fooled(model, images, labels, *, targeted=False, chunk=256):
    """Per sample: is the prediction not the label (targeted: the label)? A bool tensor of length N."""
    logits = scores(model, images, chunk=chunk)
    check_classes(labels, logits)
    return (logits.argmax(1) == labels) == targeted


def accuracy(model, images, labels, *, chunk=256):
    """The share of images whose prediction is their label, a float in [0, 1]."""
    return 1 - fooled(model, images, labels, chunk=chunk).double().mean().item()
