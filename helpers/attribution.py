"""Attributions as plain functions: `attribution(model, images, labels, ...) -> a tensor of the images' shape`.

Common to all: images are a float tensor N x C x H x W inside `bounds` ((0, 1); None means no box); labels are int64 of length N, the
class of each image that is to be explained. of: what of it, the "logit", the "log_probability", the "loss" (cross-entropy), or
f(logits, labels) -> one value per sample. chunk: samples in one pass (default: what suits their size). Noise comes from `generator`
(default: a fresh one with seed 0). The model runs in eval mode and is left as it was found, and so is the global random state.
All raise TypeError or ValueError for input that is not so.
"""
import numpy as np
import torch
from scipy.stats import rankdata

from ._core import broadcast, choose, chunk_size, cross_entropy, evaluating, fresh_generator, laid_out, log_probability, logit, loss_and_gradient
from ._inputs import check_classes, check_images, check_labels

OF = {"logit": logit, "log_probability": log_probability, "loss": cross_entropy}


def input_gradient(model, images, labels, *, of="loss", bounds=(0, 1), chunk=None):
    """The gradient with respect to each image (Simonyan et al. 2014, arXiv:1312.6034)."""
    check_images(images, labels, bounds)
    of, chunk = choose(of, "of", OF), chunk_size(images, chunk)
    out = torch.empty_like(images)
    with evaluating(model):
        for at in range(0, len(images), chunk):
            part = slice(at, at + chunk)
            _, _, out[part] = loss_and_gradient(model, images[part], labels[part], of)
    return out


def gradient_x_input(model, images, labels, *, of="logit", bounds=(0, 1), chunk=None):
    """Gradient times image (Shrikumar et al. 2016, arXiv:1605.01713): of a ReLU network without biases it sums to the logit."""
    gradient = input_gradient(model, images, labels, of=of, bounds=bounds, chunk=chunk)
    return gradient * images.detach()


def smooth_grad(model, images, labels, *, n_samples=100, sigma=0.15, of="logit", generator=None, bounds=(0, 1), chunk=None):
    """The mean gradient at x + sigma N(0, 1), `n_samples` draws (Smilkov et al. 2017, arXiv:1706.03825). The noise is not clipped.

    sigma: in units of the images; the paper takes 0.1 to 0.2 of their range.
    """
    check_images(images, labels, bounds)
    _at_least_one(n_samples=n_samples)
    images = images.detach()
    noise = _Noise(images, generator)
    return _mean_gradient(model, images, labels, n_samples, lambda i, s: images[i] + sigma * noise.take(len(i)), None, of, chunk)


def integrated_gradients(model, images, labels, *, baseline=0.0, steps=50, of="logit", bounds=(0, 1), chunk=None):
    """(x - baseline) times the mean gradient on the straight line between them (Sundararajan et al. 2017, arXiv:1703.01365).

    The mean is Gauss-Legendre's with `steps` points, so that the sum over an image is f(x) - f(baseline) almost exactly where the
    network is smooth. baseline: a number, or a tensor that broadcasts over images.
    """
    check_images(images, labels, bounds)
    _at_least_one(steps=steps)
    images = images.detach()
    baseline = _baseline(baseline, images)
    points, weights = (torch.as_tensor(values, dtype=images.dtype, device=images.device) for values in np.polynomial.legendre.leggauss(steps))
    points, weights = (points + 1) / 2, weights / 2 * steps
    share = broadcast(points, images)
    mean = _mean_gradient(model, images, labels, steps, lambda i, s: torch.lerp(baseline[i], images[i], share[s]), weights, of, chunk)
    return (images - baseline) * mean


def _mean_gradient(model, images, labels, n, point, weights, of, chunk):
    """For each image the mean of the gradient at n points, times weights[s] if given. point(i, s): the points of images i, of their number s."""
    of, chunk = choose(of, "of", OF), chunk_size(images, chunk)
    out = torch.zeros_like(images)
    if not len(images):
        return out
    pairs = torch.arange(len(images) * n, device=images.device)
    with evaluating(model):
        for rows in pairs.split(chunk):
            i, s = rows // n, rows % n
            _, _, gradient = loss_and_gradient(model, point(i, s), labels[i], of)
            if weights is not None:
                gradient = gradient * broadcast(weights[s], images)
            first, last = i[0].item(), i[-1].item()
            if first == last:
                out[first] += gradient.sum(0)
            else:
                out.index_add_(0, i, gradient)
    return out / n


class _Noise:
    """A stream of standard normal samples of the images' shape: the same stream, whatever the portions it is taken in."""
    BLOCK = 32

    def __init__(self, images, generator):
        self.generator, self.like = fresh_generator(generator), images
        self.block = images.new_empty(0, *images.shape[1:])

    def take(self, n):
        blocks = [self.block]
        while sum(map(len, blocks)) < n:
            blocks.append(torch.randn(self.BLOCK, *self.like.shape[1:], generator=self.generator, dtype=self.like.dtype,
                                      device=self.generator.device).to(self.like.device))
        whole = torch.cat(blocks) if len(blocks) > 1 else blocks[0]
        self.block = whole[n:]
        return whole[:n]


def occlusion(model, images, labels, *, size, stride=None, baseline=0.0, of="logit", bounds=(0, 1), chunk=None):
    """How much the output falls when a window is covered (Zeiler & Fergus 2014, arXiv:1311.2901), spread over the window's pixels.

    size, stride: pixels, a number or (rows, columns); stride defaults to size. The last window of a row ends at the border. Where windows
    overlap a pixel gets their mean. baseline: what a window is covered with, a number or a tensor that broadcasts over images.
    """
    check_images(images, labels, bounds)
    (high, wide), (down, right) = _pair(size, "size"), _pair(size if stride is None else stride, "stride")
    images = images.detach()
    of, chunk = choose(of, "of", OF), chunk_size(images, chunk)
    baseline, (height, width) = _baseline(baseline, images), images.shape[2:]
    if high > height or wide > width:
        raise ValueError(f"a window of {high} x {wide} does not fit into images of {height} x {width} pixels.")
    tops = torch.arange(1 + -(-(height - high) // down), device=images.device) * down
    lefts = torch.arange(1 + -(-(width - wide) // right), device=images.device) * right
    y, x = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    in_row = (y >= tops[:, None]) & (y < tops[:, None] + high)
    in_column = (x >= lefts[:, None]) & (x < lefts[:, None] + wide)
    windows = len(tops) * len(lefts)
    falls = images.new_empty(len(images), windows)
    with evaluating(model), torch.no_grad():
        logits = torch.cat([model(laid_out(part, model)) for part in images.split(chunk)])
        check_classes(labels, logits)
        whole = of(logits, labels)
        for rows in torch.arange(len(images) * windows, device=images.device).split(chunk):
            i, k = rows // windows, rows % windows
            covered = in_row[k // len(lefts)][:, None, :, None] & in_column[k % len(lefts)][:, None, None, :]
            falls.view(-1)[rows] = whole[i] - of(model(laid_out(torch.where(covered, baseline[i], images[i]), model)), labels[i])
    rows, columns = in_row.to(images.dtype), in_column.to(images.dtype)
    summed = torch.einsum("nab,ay,bx->nyx", falls.view(-1, len(tops), len(lefts)), rows, columns)
    return (summed / torch.outer(rows.sum(0), columns.sum(0)).clamp_min(1))[:, None].expand_as(images).contiguous()


def occlusion_x_gradient(model, images, labels, *, size, stride=None, baseline=0.0, of="logit", bounds=(0, 1), chunk=None):
    """Occlusion times |gradient x input|: the region from the one (it is really covered), the detail from the other (each pixel its own)."""
    fine = gradient_x_input(model, images, labels, of=of, bounds=bounds, chunk=chunk).abs()
    return fine * occlusion(model, images, labels, size=size, stride=stride, baseline=baseline, of=of, bounds=bounds, chunk=chunk)


def gradients_over_training(models, images, labels, *, weights=None, of="loss", bounds=(0, 1), chunk=None):
    """The mean input gradient over the states of a network while it is trained: an integral over training instead of over a path of images.

    models: an iterable of networks; a generator may train one network and yield it after each step, only a running sum is kept.
    weights: one number a state (the learning rate, say); by default all count the same.
    """
    check_images(images, labels, bounds)
    out, total = torch.zeros_like(images), 0.0
    for step, model in enumerate(models):
        if weights is not None and step >= len(weights):
            raise ValueError(f"there are {len(weights)} weights but more models than that.")
        weight = 1.0 if weights is None else float(weights[step])
        out += weight * input_gradient(model, images, labels, of=of, bounds=bounds, chunk=chunk)
        total += weight
    if not total:
        raise ValueError("there must be at least one model, and weights that do not sum to 0.")
    return out / total


def expected_gradients(model, images, labels, background, *, n_samples=200, of="logit", generator=None, bounds=(0, 1), chunk=None):
    """Integrated gradients averaged over baselines drawn from `background` (Erion et al. 2021, arXiv:1906.10670): what SHAP's
    GradientExplainer estimates. Summed over an image it is f(x) minus the mean of f over the background, within the Monte-Carlo error.

    background: images M x C x H x W. labels: N, or N x K for K classes of each image from one forward pass: then the result is
    N x K x C x H x W. Each of the n_samples points takes the next background image in a random order and a point of its own part of the
    line (stratified), which lowers the error against independent draws.
    """
    check_images(images, bounds=bounds)
    check_images(background, bounds=bounds)
    _at_least_one(n_samples=n_samples)
    several = isinstance(labels, torch.Tensor) and labels.ndim == 2
    check_labels(labels.flatten() if several else labels, len(images) * (labels.shape[1] if several else 1))
    if not len(background):
        raise ValueError("the background holds no images; it takes at least one.")
    images, background = images.detach(), background.detach()
    targets = labels if several else labels[:, None]
    of, chunk, generator = choose(of, "of", OF), chunk_size(images, chunk), fresh_generator(generator)
    n, k = targets.shape
    out = images.new_zeros(n, k, *images.shape[1:])
    with evaluating(model):
        for i in range(n):
            random = dict(generator=generator, device=generator.device)
            order = torch.cat([torch.randperm(len(background), **random) for _ in range(-(-n_samples // len(background)))])[:n_samples]
            part = torch.randperm(n_samples, **random) + torch.rand(n_samples, dtype=images.dtype, **random)
            order, share = order.to(images.device), broadcast((part / n_samples).to(images), images)
            for rows in torch.arange(n_samples, device=images.device).split(chunk):
                base = background[order[rows]]
                points = laid_out(torch.lerp(base, images[i], share[rows]), model).requires_grad_()
                logits = model(points)
                check_classes(targets.flatten(), logits)
                for c in range(k):
                    value = of(logits, targets[i, c].expand(len(rows))).sum()
                    gradient, = torch.autograd.grad(value, points, retain_graph=c + 1 < k)
                    out[i, c] += torch.einsum("s...,s...->...", gradient, images[i] - base)
    return (out if several else out[:, 0]) / n_samples


def rank_correlation(a, b, *, where=None):
    """Spearman's rank correlation between the maps a and b, N x C x H x W, of each image: float64 of length N, 0 where a map is constant.

    where: a bool tensor that broadcasts over the maps; only there they are compared. Maps that are 0 off the ink of a digit agree there by
    construction, whatever the networks do. Equal values share their mean rank.
    """
    if a.shape != b.shape:
        raise ValueError(f"the maps must have the same shape, but came with {tuple(a.shape)} and {tuple(b.shape)}.")
    where = torch.ones_like(a, dtype=torch.bool) if where is None else where.expand_as(a)
    out = torch.zeros(len(a), dtype=torch.float64)
    for i, chosen in enumerate(where):
        u, v = (rankdata(maps[i][chosen].detach().cpu().numpy()) for maps in (a, b))
        u, v = u - u.mean(), v - v.mean()
        length = np.sqrt((u @ u) * (v @ v))
        out[i] = u @ v / length if length > 0 else 0.0
    return out


def _baseline(baseline, images):
    return torch.as_tensor(baseline, dtype=images.dtype, device=images.device).expand_as(images)


def _pair(value, name):
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"{name} must be a positive number of pixels or (rows, columns), but came as {value!r}.")
    return pair


def _at_least_one(**counts):
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, but came as {value}.")
