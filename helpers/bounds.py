"""How far can a network carry two neighbouring inputs apart? An upper bound from its layers, and a lower one from an attack.

    bound, factors = lipschitz_bound(model, (1, 28, 28))     |f(x) - f(x')| <= bound |x - x'|, for all x, x'
    stretch, found = largest_stretch(model, images, eps=1)    and what an attack finds near real images

All norms are Euclidean. After Szegedy et al. 2013 (arXiv:1312.6199), section 4.3. Everything runs in eval mode; the model, its gradients, the mode of
its modules and the global random state are left as they were found.
"""
import copy
import math

import torch
from torch import nn

from ._core import broadcast, chunk_size, clip, evaluating, fresh_generator, l2_norm, laid_out, project, unit_step
from ._inputs import check_images, per_sample
from .models import Grey, Normalize, ResidualBlock

VECTORS = 8     # iterated together: what must die out is then not the second singular value but the ninth

AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
          nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, Normalize, Grey)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
STEEPEST = {nn.ReLU: 1.0, nn.ReLU6: 1.0, nn.Tanh: 1.0, nn.Sigmoid: 0.25, nn.Softplus: 1.0, nn.Identity: 1.0, nn.Flatten: 1.0, nn.Unflatten: 1.0,
            nn.Dropout: 1.0, nn.Dropout1d: 1.0, nn.Dropout2d: 1.0, nn.Dropout3d: 1.0}     # dropout: in eval mode, where it does nothing


def operator_norm(layer, shape, *, steps=500, tolerance=1e-7, generator=None):
    """The largest |A x| / |x| of an affine layer x -> A x + b, a float: its spectral norm, with its stride, padding, groups and dilation.

    shape: of one input, without the batch, such as (1, 28, 28). Power iteration with A^T A, through the layer itself and, for A^T, through
    autograd, on a copy in float64: of a few vectors together, until the norm grows by less than `tolerance` (a share) in a step, `steps` times at
    most. It comes from below, so before it has converged it is too small. Random vectors are drawn from `generator` (default: a fresh one with seed 0).
    Raises ValueError for a layer that is not affine or does not take `shape`, and for steps < 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, but came as {steps}.")
    layer, shape = _copied(layer), tuple(shape)
    generator = fresh_generator(generator)
    count = min(VECTORS, math.prod(shape))

    def orthonormal(vectors):
        return torch.linalg.qr(vectors.flatten(1).T)[0].T.reshape(-1, *shape)
    x = orthonormal(torch.randn(count, *shape, dtype=torch.float64, generator=generator, device=generator.device).cpu())
    zero = _through(layer, torch.zeros(1, *shape, dtype=torch.float64), shape)
    _check_affine(layer, x, zero)
    norm = 0.0
    with torch.enable_grad():
        for _ in range(steps):
            x.requires_grad_()
            y = layer(x) - zero
            before, norm = norm, torch.linalg.matrix_norm(y.detach().flatten(1), 2).item()
            if norm - before <= tolerance * norm:
                break
            back, = torch.autograd.grad(y, x, y.detach())
            x = orthonormal(back)
    return max(norm, before)


def lipschitz_bound(model, shape):
    """An upper bound L of |f(x) - f(x')| / |x - x'| over all inputs: (L, a float; the factor of each layer, a dict in order).

    model: a layer or nn.Sequential (nested, too) of linear and convolutional layers, average and max pooling, batch norm, dropout, flattening, and
    activations whose steepest slope is known; of the network in eval mode. shape: of one input, without the batch. L is the product of the factors:
    the operator norm of what is affine; the largest |gamma| / sigma of batch norm; the square root of the number of windows that share a pixel
    in max-pooling, so 1 where they do not overlap; 1 for ReLU, dropout, flattening. The keys are the layers' names, such as "1 Conv2d".
    Raises TypeError for a layer whose factor is not known (a residual block, a model with a forward of its own) and ValueError for a shape that does
    not fit and for batch norm without running statistics.
    """
    factors, shape = {}, tuple(shape)
    for name, layer in _layers(model):
        factors[f"{name} {type(layer).__name__}".strip()] = _factor(layer, shape)
        shape = tuple(_through(_copied(layer), torch.zeros(1, *shape, dtype=torch.float64), shape).shape[1:])
    return math.prod(factors.values()), factors


def jacobian_norm(model, images, *, steps=50, bounds=(0, 1), generator=None, chunk=None):
    """The spectral norm of the Jacobian of the logits at each image, N values: the largest stretch of a step so small that the network is linear.

    Power iteration on J J^T, both products by autograd; from below, like every power iteration. The step may lead out of bounds, so in a box
    `largest_stretch` can be smaller. images: N x C x H x W in bounds; bounds=None: any N x .... Raises ValueError for steps < 1.
    """
    return _steepest(model, images, steps, bounds, generator, chunk)[0]


def largest_stretch(model, images, *, eps, steps=40, step_size=None, bounds=(0, 1), generator=None, chunk=None):
    """The largest |f(x + d) - f(x)| / |d| found for each image x with |d| <= eps, x + d in bounds: (N values, the x + d).

    A lower bound of the Lipschitz constant. Gradient ascent on the quotient, from the direction in which the Jacobian at x stretches most, with steps
    that fall along a cosine from `step_size` (default eps / 4) to 0; the best of all iterates. eps > 0: one number or one per image. The quotient of
    a difference needs a d that is not tiny: shorter than eps / 100 none counts. images: N x C x H x W in bounds; bounds=None: any N x ....
    """
    check_images(images, bounds=bounds)
    if steps < 1:
        raise ValueError(f"steps must be at least 1, but came as {steps}.")
    eps = per_sample(eps, images)
    if not (eps > 0).all():
        raise ValueError("eps must be above 0: a quotient needs a step.")
    step_size = eps / 4 if step_size is None else per_sample(step_size, images, "step_size")
    images, chunk = images.detach(), chunk_size(images, chunk)
    _, directions = _steepest(model, images, 10, bounds, generator, chunk)
    best, found = torch.zeros(len(images), dtype=images.dtype, device=images.device), images.clone()
    with evaluating(model):
        for at in range(0, len(images), chunk):
            part = slice(at, at + chunk)
            clean = laid_out(images[part], model)
            with torch.no_grad():
                begin = model(clean)
                # Of the two ends of the direction the one that the box cuts less.
                ends = [clip(clean + sign * eps[part] * directions[part], bounds) for sign in (1, -1)]
                x = torch.where(l2_norm(ends[0] - clean) >= l2_norm(ends[1] - clean), *ends)
            for step in range(steps + 1):
                x = x.detach().requires_grad_()
                size = (x - clean).flatten(1).norm(dim=1)
                quotient = (model(x) - begin).flatten(1).norm(dim=1) / size.clamp_min(1e-12)
                better = (quotient.detach() > best[part]) & (size.detach() >= eps[part].flatten() / 100)
                best[part] = torch.where(better, quotient.detach(), best[part])
                found[part] = torch.where(broadcast(better, x), x.detach(), found[part])
                if step < steps:
                    gradient, = torch.autograd.grad(quotient.sum(), x)
                    share = (1 + math.cos(math.pi * step / steps)) / 2
                    x = clip(clean + project(x.detach() + share * step_size[part] * unit_step(gradient, "l2") - clean, eps[part], "l2"), bounds)
    return best, found


def _steepest(model, images, steps, bounds, generator, chunk):
    """The Jacobian's largest singular value and its direction among the inputs, for each image."""
    check_images(images, bounds=bounds)
    if steps < 1:
        raise ValueError(f"steps must be at least 1, but came as {steps}.")
    images, chunk = images.detach(), chunk_size(images, chunk)
    start = torch.randn(images.shape, dtype=images.dtype, generator=fresh_generator(generator)).to(images.device)
    norms, directions = torch.zeros(len(images), dtype=images.dtype, device=images.device), torch.zeros_like(images)
    with evaluating(model):
        for at in range(0, len(images), chunk):
            part = slice(at, at + chunk)
            x, v = laid_out(images[part], model).clone().requires_grad_(), start[part]
            y = model(x)
            dummy = torch.zeros_like(y).requires_grad_()
            back, = torch.autograd.grad(y, x, dummy, create_graph=True)      # J^T dummy: linear in dummy, so that its gradient there is J
            for _ in range(steps):
                v = unit_step(v, "l2")
                forward, = torch.autograd.grad(back, dummy, v, retain_graph=True)
                norms[part] = torch.maximum(norms[part], forward.flatten(1).norm(dim=1))
                v, = torch.autograd.grad(y, x, forward, retain_graph=True)
            directions[part] = unit_step(v, "l2")
    return norms, directions


def _layers(module, name=""):
    """The layers of nested nn.Sequential in order, with their names."""
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        for key, child in module.named_children():
            yield from _layers(child, f"{name}.{key}" if name else key)
    else:
        yield name, module


def _factor(layer, shape):
    kind = type(layer)
    if isinstance(layer, AFFINE):
        return operator_norm(layer, shape)
    if isinstance(layer, BATCH_NORMS):
        if layer.running_var is None:
            raise ValueError("batch norm without running statistics divides by what is in the batch: it has no bound. Use track_running_stats=True.")
        gamma = torch.ones_like(layer.running_var) if layer.weight is None else layer.weight.detach()
        return (gamma.double().abs() / (layer.running_var.double() + layer.eps).sqrt()).max().item()
    if isinstance(layer, (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)):
        return _overlap(layer, shape) ** 0.5
    if kind is nn.LeakyReLU:
        return max(1.0, abs(layer.negative_slope))
    if kind in STEEPEST:
        return STEEPEST[kind]
    hint = " The branches of a residual block add up: bound each, then |branch| + |shortcut|." if isinstance(layer, ResidualBlock) else ""
    raise TypeError(f"no factor is known for {kind.__name__}; the bound is for nn.Sequential of linear and convolutional layers, pooling, batch norm, "
                    f"dropout and activations.{hint}")


def _overlap(layer, shape):
    """In how many of a max-pooling's windows a pixel can be."""
    with torch.no_grad():
        out = layer(torch.zeros(1, *shape))
        out = out[0] if isinstance(out, tuple) else out
    sides, most = len(shape) - 1, 1
    def each(value):
        return value if isinstance(value, tuple) else (value,) * sides
    for size, windows, kernel, stride, padding, dilation in zip(shape[1:], out.shape[2:], each(layer.kernel_size), each(layer.stride),
                                                                each(layer.padding), each(layer.dilation)):
        seen = torch.arange(windows)[:, None] * stride - padding + torch.arange(kernel) * dilation
        most *= seen[(seen >= 0) & (seen < size)].bincount().max().item()
    return most


def _copied(layer):
    """In eval mode, in float64, without gradients of its own: the layer itself is not touched."""
    return copy.deepcopy(layer).cpu().double().eval().requires_grad_(False)


def _through(layer, x, shape):
    with torch.no_grad():
        try:
            y = layer(x)
        except (RuntimeError, IndexError) as error:
            raise ValueError(f"{type(layer).__name__} does not take inputs of shape {tuple(shape)}: {error}") from None
    return y[0] if isinstance(y, tuple) else y


def _check_affine(layer, x, zero):
    with torch.no_grad():
        once, twice = layer(x) - zero, layer(-2 * x) - zero
    if not torch.allclose(-2 * once, twice, rtol=1e-6, atol=1e-9):
        raise ValueError(f"{type(layer).__name__} is not affine, so it has no operator norm; lipschitz_bound knows what else has a factor.")
