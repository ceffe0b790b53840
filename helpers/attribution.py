"""Attributions as plain functions: `attribution(model, images, target, ...) -> a tensor of the images' shape`."""
import torch

from ._inputs import check_images
from .attacks import cross_entropy, evaluating, loss_and_gradient


def input_gradient(model, images, labels, *, of="loss", bounds=(0, 1), chunk=256):
    """The gradient with respect to each image (Simonyan et al. 2014, arXiv:1312.6034), of the same shape as images.

    of: "loss" (cross-entropy for the label), "logit" or "log_probability" of the label. Images N x C x H x W in bounds, labels int64
    of length N; raises TypeError or ValueError for others. The model runs in eval mode and is left as it was found.
    """
    scores = {"loss": cross_entropy,
              "logit": lambda logits, labels: logits.gather(1, labels[:, None])[:, 0],
              "log_probability": lambda logits, labels: -cross_entropy(logits, labels)}
    if of not in scores:
        raise ValueError(f"of must be one of {', '.join(map(repr, scores))}, but came as {of!r}.")
    check_images(images, labels, bounds)
    out = torch.empty_like(images)
    with evaluating(model):
        for at in range(0, len(images), chunk):
            part = slice(at, at + chunk)
            _, _, out[part] = loss_and_gradient(model, images[part], labels[part], scores[of])
    return out
