"""Feature visualisation: representations, images that maximise something, class traversal, inversion, and a Fourier parametrisation.

Images are float tensors N x C x H x W in [0, 1]; an objective is a function images -> one value per sample. Networks run in eval mode
and are left as they were found; no hook outlives a call. Noise comes from `generator` (default: a fresh one with seed 0).
"""
import contextlib

import torch
import torch.nn.functional as F
from torch import nn

from ._core import broadcast, choose, chunk_size, clip, evaluating, fresh_generator, logit, project, unit_step
from ._inputs import check_images, per_sample
from .attacks import pgd


def features(model, images, *, straight_through=False, chunk=None):
    """The representation: what goes into the last linear layer, N x D. Differentiable where `images` require a gradient.

    straight_through: the gradient passes the last ReLU as if it were the identity (Engstrom et al. 2019, arXiv:1906.00945), so that a
    dead unit can be woken. Raises ValueError for a network without a linear layer (straight_through: without an nn.ReLU).
    """
    with evaluating(model):
        if images.requires_grad:
            return _last_input(model, images, straight_through)
        with torch.no_grad():
            return torch.cat([_last_input(model, part, False) for part in images.split(chunk_size(images, chunk))])


def _last_input(model, images, straight_through):
    seen = []
    with contextlib.ExitStack() as hooks:
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                hooks.callback(layer.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0])).remove)
        if straight_through:
            hooks.enter_context(_open_last_relu(model, images))
        model(images)
    if not seen:
        raise ValueError(f"{type(model).__name__} has no nn.Linear layer, so it is not clear which representation is meant.")
    return seen[-1].flatten(1)


@contextlib.contextmanager
def _open_last_relu(model, images):
    """Within it, the last call of an nn.ReLU passes gradients on unchanged."""
    relus, calls = [layer for layer in model.modules() if isinstance(layer, nn.ReLU)], []
    with contextlib.ExitStack() as hooks, torch.no_grad():
        for relu in relus:
            hooks.callback(relu.register_forward_hook(lambda layer, inputs, output: calls.append(layer)).remove)
        model(images[:1])
    if not calls:
        raise ValueError(f"{type(model).__name__} calls no nn.ReLU whose gradient could be passed on.")
    last, number, count = calls[-1], sum(call is calls[-1] for call in calls), 0

    def copy(layer, inputs):    # an in-place ReLU would overwrite what we need
        return (inputs[0].clone(),) if layer.inplace else None

    def passed_on(layer, inputs, output):
        nonlocal count
        count += 1
        if count == number:
            return kept[-1] + (output - kept[-1]).detach()

    kept = []
    hooks = [last.register_forward_pre_hook(lambda layer, inputs: kept.append(inputs[0])), last.register_forward_pre_hook(copy),
             last.register_forward_hook(passed_on)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def maximize(objective, start, *, steps=200, step_size=1.0, eps=None, bounds=(0, 1), generator=None, callback=None):
    """Ascend `objective` from `start` by steps of L2 length step_size, inside bounds and, if given, within eps (L2) of the start.

    Where the gradient of a sample is 0 (a dead ReLU) its step is random, so that it goes on. Engstrom et al. 2019 take eps 1000 and
    step_size 1. callback(step, images, values) sees every iterate, the start first. Returns the last one.
    """
    check_images(start, bounds=bounds)
    if steps < 1:
        raise ValueError(f"steps must be at least 1, but came as {steps}.")
    generator, start = fresh_generator(generator), start.detach()
    eps, x = None if eps is None else per_sample(eps, start), start
    step_size = per_sample(step_size, start, "step_size")
    for step in range(steps):
        values, gradient = _value_and_gradient(objective, x)
        if callback:
            callback(step, x, values)
        x = x + step_size * unit_step(_revived(gradient, generator), "l2")
        x = clip(x if eps is None else start + project(x - start, eps, "l2"), bounds)
    if callback:
        callback(steps, x, _value_and_gradient(objective, x)[0])
    return x


def _revived(gradient, generator):
    """Random where a sample's gradient is 0."""
    dead = gradient.flatten(1).abs().amax(1) == 0
    if not dead.any():
        return gradient
    noise = torch.randn(gradient.shape, generator=generator, dtype=gradient.dtype, device=generator.device).to(gradient.device)
    return torch.where(broadcast(dead, gradient), noise, gradient)


def _value_and_gradient(objective, x):
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        values = objective(x)
        if values.shape != (len(x),):
            raise ValueError(f"an objective returns one value per sample, shape ({len(x)},), but {tuple(values.shape)} came.")
        gradient, = torch.autograd.grad(values.sum(), x)
    return values.detach(), gradient


FOLLOWED = {"cross_entropy": "cross_entropy", "logit": lambda logits, labels: -logit(logits, labels)}


def class_traversal(model, images, targets, *, of="cross_entropy", eps=40.0, step_size=1.0, steps=60, bounds=(0, 1)):
    """The whole path of a targeted L2 attack with a large eps: steps + 1 times N x C x H x W, the images themselves first.

    of: what is followed, the target's "cross_entropy" (downhill) or its "logit", the score before the softmax (uphill). step_size: the L2 length
    of a step, one number or one per image. On a robust network the way leads through images of the target class (Santurkar et al. 2019,
    arXiv:1906.09453). Raises ValueError for another `of`, and for bad input as attacks do.
    """
    path = []
    pgd(model, images, targets, eps=eps, norm="l2", step_size=step_size, steps=steps, targeted=True, keep="last", bounds=bounds, loss=choose(of, "of", FOLLOWED),
        chunk=max(len(images), 1), callback=lambda step, x, losses: path.append(x.clone()))
    return torch.stack(path) if path else images.detach().expand(steps + 1, *images.shape).clone()


def invert(model, images, start, *, steps=200, step_size=1.0, eps=None, bounds=(0, 1), generator=None, callback=None):
    """Images that begin as `start` and end with nearly the representation of `images` (Engstrom et al. 2019, section 4.1).

    Minimises |features(x) - features(images)| / |features(images)|, which the callback sees with its sign turned; the nearest iterate
    is returned. eps: the largest L2 distance from the start, one number or one per sample; None for no limit.
    """
    wanted = features(model, images)

    def closeness(x):
        return -((features(model, x) - wanted).norm(dim=1) / wanted.norm(dim=1).clamp_min(1e-12))
    best, nearest = start.detach().clone(), torch.full((len(start),), -torch.inf, dtype=start.dtype, device=start.device)

    def keep(step, x, values):
        nonlocal best, nearest
        best, nearest = torch.where(broadcast(values > nearest, x), x, best), torch.maximum(values, nearest)
        if callback:
            callback(step, x, values)
    maximize(closeness, start, steps=steps, step_size=step_size, eps=eps, bounds=bounds, generator=generator, callback=keep)
    return best


# ---- for standard networks: an image as a sum of waves (Olah et al. 2017, "Feature visualization", Distill; there in lucid) ----

COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])     # square root of ImageNet's colour covariance


def fourier_images(spectrum, size):
    """Images in (0, 1) from their spectrum N x C x H x (W // 2 + 1) x 2: each wave scaled by 1 / frequency, colours decorrelated, sigmoid."""
    height, width = size
    frequency = (torch.fft.fftfreq(height)[:, None] ** 2 + torch.fft.rfftfreq(width) ** 2).sqrt()
    scale = (1 / frequency.clamp_min(1 / max(height, width)) * (height * width) ** 0.5).to(spectrum)
    waves = torch.fft.irfft2(torch.view_as_complex(spectrum) * scale, s=(height, width)) / 4
    if waves.shape[1] == 3:
        colours = (COLOURS / COLOURS.norm(dim=0).max()).to(waves)
        waves = torch.einsum("nchw,dc->ndhw", waves, colours)
    return torch.sigmoid(waves)


def jitter_scale_rotate(images, generator, *, jitter=8, scale=0.1, degrees=10):
    """Each image moved by up to `jitter` pixels, scaled by up to `scale`, turned by up to `degrees`, at random; edges are mirrored."""
    n, _, height, width = images.shape
    random = (2 * torch.rand(4, n, generator=generator, device=generator.device) - 1).to(images)
    angle, zoom = random[0] * torch.pi * degrees / 180, 1 + random[1] * scale
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    moved = torch.stack([random[2] * 2 * jitter / width, random[3] * 2 * jitter / height], 1)
    turn = torch.stack([torch.stack([cos, -sin * height / width], 1), torch.stack([sin * width / height, cos], 1)], 1)
    grid = F.affine_grid(torch.cat([turn, moved[:, :, None]], 2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def maximize_waves(objective, shape, *, steps=256, lr=0.05, transform=jitter_scale_rotate, generator=None, callback=None,
                   device="cpu"):
    """Images of `shape` N x C x H x W that maximise `objective` under random transforms, by Adam over their spectrum.

    Starts from faint noise. transform(images, generator) is what the objective sees; None for the images as they are.
    callback(step, images, values) sees every iterate. Returns the last one, untransformed.
    """
    generator, (n, channels, height, width) = fresh_generator(generator), shape
    spectrum = 0.01 * torch.randn(n, channels, height, width // 2 + 1, 2, generator=generator, device=generator.device)
    spectrum = spectrum.to(device).requires_grad_()
    adam = torch.optim.Adam([spectrum], lr=lr)
    with torch.enable_grad():
        for step in range(steps):
            images = fourier_images(spectrum, (height, width))
            values = objective(transform(images, generator) if transform else images)
            if callback:
                callback(step, images.detach(), values.detach())
            spectrum.grad, = torch.autograd.grad(-values.sum(), spectrum)
            adam.step()
            revived = _revived(spectrum.grad, generator)
            if revived is not spectrum.grad:    # past Adam, which would remember the size of the noise for a thousand steps
                with torch.no_grad():
                    spectrum += lr * torch.where(spectrum.grad == 0, revived, 0).sign()
    return fourier_images(spectrum.detach(), (height, width))
