"""What the explorers of digits share."""
import functools

import numpy as np
import torch

from .. import attacks, data, models
from ..plots import ATTACKED, CLEAN

NETWORKS = {"standard": "mnist5k/standard", "robust (L2)": "mnist5k/robust-l2", "untrained": "mnist5k/standard-untrained"}


@functools.cache
def digits():
    return data.load("mnist5k")


@functools.cache
def model_of(network):
    return models.load(NETWORKS[network])


def digit(image):
    """What an ImagePicker chose, as (image 1 x 1 x 28 x 28, its label or None, its name in words)."""
    if isinstance(image, torch.Tensor):
        return image, None, "your picture"
    one = digits()[image]
    return one.images, one.labels, f"image {image}, a {one.labels.item()},"


def bars(ax, before, after, labels):
    """The classes' probabilities, from logits before and after, as pairs of bars."""
    at = np.arange(len(before))
    ax.bar(at - 0.2, before.softmax(0).numpy(), 0.4, color=CLEAN, label=labels[0])
    ax.bar(at + 0.2, after.softmax(0).numpy(), 0.4, color=ATTACKED, hatch="//", label=labels[1])
    ax.set_xticks(at, digits().classes, fontsize=8)
    ax.set_yticks([0, 0.5, 1])
    ax.set_ylim(0, 1.05)
    ax.set_title("probabilities", fontsize=9)
    ax.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
