"""What attacks, attributions and feature visualisation share: eval mode, losses, gradients for inputs, norms, balls, chunks."""
import contextlib

import torch
import torch.nn.functional as F

from ._inputs import check_classes

CHUNK = 256             # samples in one pass through a network: larger ones fall out of the processor's cache
CHUNK_VALUES = 2**22    # and numbers in its input, for large images


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


def chunk_size(images, chunk):
    """`chunk`, or by default as many samples as make a good pass."""
    if chunk is None:
        return max(1, min(CHUNK, CHUNK_VALUES // max(images[:1].numel(), 1)))
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1, but came as {chunk}.")
    return chunk


def laid_out(images, model):
    """The same values with the channels last in memory, for networks that say they like it: their convolutions are a third faster so.

    Not for others: a `.view` in the forward pass of somebody's network would not take it.
    """
    return images.contiguous(memory_format=torch.channels_last) if getattr(model, "channels_last", False) else images


# ---- losses: logits N x K, labels N -> one value per sample ----

def cross_entropy(logits, labels):
    """-log softmax(logits)[label], one per sample."""
    return F.cross_entropy(logits, labels, reduction="none")


def log_odds(logits, labels):
    """log (1 - p) / p of the label's probability p, one per sample: cross-entropy is its softplus, log(1 + exp(log_odds)).

    So its gradient has the same direction, but never vanishes: in float32 cross-entropy is flat from a margin of 20 on, and 0 from 104.
    """
    others = logits.scatter(1, labels[:, None], -torch.inf).logsumexp(1)
    return others - logit(logits, labels)


def margin(logits, labels):
    """Best other logit minus the label's logit, one per sample: positive exactly where the label is not the prediction."""
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return others - logit(logits, labels)


def logit(logits, labels):
    """The label's logit, one per sample."""
    return logits.gather(1, labels[:, None])[:, 0]


def log_probability(logits, labels):
    """log softmax(logits)[label], one per sample."""
    return -cross_entropy(logits, labels)


def choose(name, what, choices):
    """choices[name], or `name` itself where it is a function of (logits, labels)."""
    if callable(name):
        return name
    if name not in choices:
        raise ValueError(f"{what} must be one of {', '.join(map(repr, choices))} or a function (logits, labels) -> one value "
                         f"per sample, but came as {name!r}.")
    return choices[name]


def loss_and_gradient(model, images, labels, loss, sign=1, wanted=True):
    """sign * loss(logits, labels), one per sample (None if not wanted); the logits; and its gradient for the images alone.

    The model runs in its present mode.
    """
    images = laid_out(images.detach(), model).requires_grad_()
    logits = model(images)
    check_classes(labels, logits)
    if loss is log_odds:    # its gradient for the logits is known: the softmax of the others, and -1 at the label
        at_logits = logits.detach().scatter(1, labels[:, None], -torch.inf).softmax(1).scatter_(1, labels[:, None], -1)
        gradient, = torch.autograd.grad(logits, images, at_logits if sign > 0 else -at_logits)
        values = sign * loss(logits.detach(), labels) if wanted else None
    else:
        values = sign * loss(logits, labels)
        gradient, = torch.autograd.grad(values.sum(), images)
        values = values.detach()
    return values, logits.detach(), gradient


# ---- norms, balls, boxes ----

def broadcast(values, batch):
    """One value per sample, as N x 1 x ..., so that it broadcasts over the batch."""
    return values.view(-1, *[1] * (batch.ndim - 1))


def largest(batch):
    """The largest absolute value of each sample, or 1 where all are 0: something safe to divide by, N x 1 x ...."""
    values = batch.flatten(1).abs().amax(1)
    return broadcast(torch.where(values > 0, values, 1), batch)


def l2_norm(batch):
    """The L2 norm of each sample, N x 1 x ... so that it broadcasts; safe where the squares would underflow."""
    scale = largest(batch)
    return scale * broadcast((batch / scale).flatten(1).norm(dim=1), batch)


def unit_step(gradient, norm):
    """The direction of steepest ascent of length 1 in `norm`: g / |g| for "l2", sign(g) for "linf"; 0 where the gradient is 0."""
    if norm == "linf":
        return gradient.sign()
    scaled = gradient / largest(gradient)  # first by the maximum: tiny gradients have no float32 squares
    return scaled / broadcast(scaled.flatten(1).norm(dim=1).clamp_min(1), scaled)


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
    return direction.view(images.shape) * eps


def clip(images, bounds):
    return images if bounds is None else images.clamp(*bounds)


def fresh_generator(generator):
    """The caller's generator, or one with seed 0: the global random state is nobody's."""
    return generator or torch.Generator().manual_seed(0)
