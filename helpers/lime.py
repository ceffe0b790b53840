"""LIME for images: superpixels, switched on and off, and a sparse linear fit (Ribeiro et al. 2016, arXiv:1602.04938)."""
import math

import numpy as np
import torch

from ._core import choose, chunk_size, evaluating, fresh_generator, laid_out
from ._inputs import check_classes, check_images
from .attribution import OF


def superpixels(image, n_segments=50, compactness=10.0):
    """SLIC superpixels (Achanta et al. 2012) of one image C x H x W: int64 H x W, numbered from 0."""
    from skimage.segmentation import slic
    pixels = image.detach().cpu().double().permute(1, 2, 0).numpy()
    if pixels.shape[2] == 1:
        labels = slic(pixels[:, :, 0], n_segments=n_segments, compactness=compactness / 100, start_label=0, channel_axis=None)
    else:
        labels = slic(pixels, n_segments=n_segments, compactness=compactness, start_label=0)
    return torch.from_numpy(np.unique(labels, return_inverse=True)[1].reshape(labels.shape)).to(image.device)


def lime_image(model, images, labels, *, segments=None, n_segments=50, n_samples=1000, n_features=None, baseline=None, kernel_width=0.25,
               ridge=1.0, of="logit", generator=None, bounds=(0, 1), chunk=None):
    """How much each superpixel adds to the output, as a map in which each of its pixels holds that number; of images' shape.

    segments: int64 N x H x W; by default SLIC's, about n_segments of them. Draws n_samples - 1 random halves of the superpixels (and the
    whole image); what is off shows `baseline` (a number, or None: the superpixel's mean colour). Weights exp(-d^2 / kernel_width^2) by the
    cosine distance to the whole image. n_features: keep only so many superpixels, chosen by the lasso path; None keeps all. ridge: the
    penalty of the final fit, 0 for plain least squares. Noise, of, chunk and errors are as in helpers.attribution.
    """
    check_images(images, labels, bounds)
    images = images.detach()
    if n_samples < 1:
        raise ValueError(f"n_samples must be at least 1, but came as {n_samples}.")
    if segments is None:
        segments = torch.stack([superpixels(image, n_segments) for image in images]) if len(images) else labels.new_empty(0, *images.shape[2:])
    if segments.shape != images[:, 0].shape or segments.dtype != torch.int64:
        raise ValueError(f"segments must be int64 of shape {tuple(images[:, 0].shape)}, but came as {segments.dtype} {tuple(segments.shape)}.")
    of, chunk, generator = choose(of, "of", OF), chunk_size(images, chunk), fresh_generator(generator)
    out = torch.empty_like(images)
    for i in range(len(images)):
        count = segments[i].max().item() + 1
        on = torch.randint(0, 2, (n_samples, count), generator=generator, device=generator.device).to(images.device).bool()
        on[0] = True
        covered = _covered(images[i], segments[i], count, baseline)
        with evaluating(model), torch.no_grad():
            values = []
            for part in on.split(chunk):
                logits = model(laid_out(torch.where(part[:, segments[i]][:, None], images[i], covered), model))
                check_classes(labels, logits)
                values.append(of(logits, labels[i].expand(len(part))))
        weights = _sparse_fit(on.cpu().double().numpy(), torch.cat(values).cpu().double().numpy(), kernel_width, n_features, ridge)
        out[i] = torch.as_tensor(weights, dtype=images.dtype, device=images.device)[segments[i]]
    return out


def coalitions(players):
    """Who is in, for all 2^players coalitions: bool, 2^players x players; row number r holds the binary digits of r, the lowest first."""
    return (torch.arange(2**players)[:, None] >> torch.arange(players) & 1).bool()


def shapley_values(values):
    """Shapley's shares (1953), exactly, of a game with K players from its value for each of the 2^K rows of `coalitions(K)`: K numbers of values' dtype."""
    players = len(values).bit_length() - 1
    if values.ndim != 1 or len(values) != 2**players:
        raise ValueError(f"wanted the value of each of 2^K coalitions, but came as {tuple(values.shape)}.")
    on = coalitions(players).to(values.device)
    size = on.sum(1)
    share = torch.tensor([1 / (players * math.comb(players - 1, s)) if s < players else 0.0 for s in range(players + 1)], dtype=values.dtype, device=values.device)[size]
    out = torch.empty(players, dtype=values.dtype, device=values.device)
    for i in range(players):
        without = (~on[:, i]).nonzero()[:, 0]
        out[i] = (share[without] * (values[without + 2**i] - values[without])).sum()
    return out


def shapley_weights(on, ends=1e6):
    """The weights with which a linear fit to all coalitions gives Shapley's values (Lundberg & Lee 2017, arXiv:1705.07874); `ends` stands for infinity, at
    none and all."""
    players = on.shape[1]
    weight = [ends if s in (0, players) else (players - 1) / (math.comb(players, s) * s * (players - s)) for s in range(players + 1)]
    return torch.tensor(weight, dtype=torch.float64)[on.long().sum(1).cpu()]


def lime_weights(on, kernel_width=0.25):
    """LIME's weights: exp(-d^2 / kernel_width^2), d the cosine distance of a row to the row of ones."""
    return torch.exp(-((1 - on.double().mean(1).sqrt()) / kernel_width) ** 2)


def switched(image, segments, on, baseline=None):
    """`image` (C x H x W) once for each row of `on` (M x K, bool), with the superpixels off where it is false: M x C x H x W. baseline: as in lime_image."""
    return torch.where(on[:, segments][:, None], image, _covered(image, segments, on.shape[1], baseline))


def _covered(image, segments, count, baseline):
    """The image with every superpixel switched off."""
    if baseline is not None:
        return torch.as_tensor(baseline, dtype=image.dtype, device=image.device).expand_as(image)
    flat, size = segments.flatten(), segments.flatten().bincount(minlength=count)
    sums = image.new_zeros(image.shape[0], count).index_add_(1, flat, image.flatten(1))
    return (sums / size.clamp_min(1))[:, segments]


def _sparse_fit(on, values, kernel_width, n_features, ridge):
    """The weight of each column of `on` in a weighted linear model of `values`; 0 for those that were not chosen."""
    from sklearn.linear_model import Ridge, lars_path
    distance = 1 - (on.mean(1)) ** 0.5      # cosine distance of a row of zeros and ones to the row of ones
    weight = np.exp(-(distance / kernel_width) ** 2)
    chosen = np.arange(on.shape[1])
    if n_features is not None and n_features < on.shape[1]:
        root = np.sqrt(weight)[:, None]
        x = (on - np.average(on, axis=0, weights=weight)) * root
        y = (values - np.average(values, weights=weight)) * root[:, 0]
        _, _, path = lars_path(x, y, method="lasso")
        at = max(step for step in range(path.shape[1]) if np.count_nonzero(path[:, step]) <= n_features)
        chosen = np.flatnonzero(path[:, at])
    out = np.zeros(on.shape[1])
    if len(chosen):
        out[chosen] = Ridge(alpha=ridge).fit(on[:, chosen], values, sample_weight=weight).coef_
    return out
