"""Figures every unit draws. Images are shown in [0, 1] as they are; perturbations on a scale where 0 is white, red adds, blue takes away."""
import math

import numpy as np
import torch

SIGNED = "RdBu_r"      # for perturbations and signed attributions: readable to the colour-blind
POSITIVE = "viridis"   # for shares and sizes
CLEAN, ATTACKED = "#0072b2", "#d55e00"


def show_image(ax, image, title="", signed=False, limit=None):
    """Draw one image C x H x W (or H x W) into `ax`. signed: a perturbation, on a scale symmetric around 0 (`limit`: its end)."""
    image = image.detach().cpu().float().numpy()
    image = image[None] if image.ndim == 2 else image
    if signed:
        image = image.mean(0)
        limit = limit or np.abs(image).max() or 1
        ax.imshow(image, cmap=SIGNED, vmin=-limit, vmax=limit)
    elif len(image) == 1:
        ax.imshow(image[0], cmap="gray", vmin=0, vmax=1)
    else:
        ax.imshow(image.transpose(1, 2, 0).clip(0, 1))
    ax.set_title(title, fontsize=9, y=1.0)      # where it would be anyway; not looking for ticks above the image saves a fifth of the time
    ax.axis("off")


def show(images, titles=(), columns=10, signed=False, limit=None, size=1.2, label=""):
    """A grid of images N x C x H x W with a title each, and a label above all; the figure is shown by the notebook."""
    import matplotlib.pyplot as plt
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    extra = 0.2 * max([str(title).count("\n") + 1 for title in titles], default=0)
    height = (size + extra) * rows + 0.25 * bool(label)
    figure, axes = plt.subplots(rows, columns, figsize=(size * columns, height), squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for i, image in enumerate(images):
        show_image(axes.flat[i], image, titles[i] if i < len(titles) else "", signed, limit)
    if label:
        figure.suptitle(label, x=0.01, ha="left", fontsize=9)
    plt.show()


def verdict(logits, classes):
    """What a network says of one image: "3 (97 %)", from its logits."""
    confidence, label = logits.softmax(-1).max(-1)
    return f"{classes[label]} ({100 * confidence:.0f} %)"


def verdicts(model, images, classes):
    """What `model` says of each image, as titles for `show`."""
    from .attacks import scores
    return [verdict(logits, classes) for logits in scores(model, images)]


def three_panels(model, images, perturbations, classes, title=""):
    """For each image a row: image, perturbation on its own (as grey + perturbation), sum; with class and confidence of each."""
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(len(images), 3, figsize=(5.4, 1.9 * len(images)), squeeze=False, layout="constrained")
    alone = (0.5 + perturbations).clamp(0, 1)
    for row, (image, delta, grey) in enumerate(zip(images, perturbations, alone)):
        said = verdicts(model, torch.stack([image, grey, image + delta]), classes)
        show_image(axes[row, 0], image, f"image: {said[0]}")
        show_image(axes[row, 1], delta, f"perturbation alone: {said[1]}", signed=True)
        show_image(axes[row, 2], image + delta, f"sum: {said[2]}")
    figure.suptitle(title, fontsize=10)
    plt.show()


def name_ends(ax, ends, apart=0.045):
    """Write 0, 1, ... beside `ax`, each at the height ends[0], ends[1], ... where its line ends, moved up or down where they would overlap.

    Set the limits of `ax` first.
    apart: the least distance of two names, as a share of the height of `ax`.
    """
    low, high = ax.get_ylim()
    places, order = torch.tensor([(float(end) - low) / (high - low) for end in ends]).sort()
    for _ in range(100):
        for i in range(len(places) - 1):
            lack = apart - (places[i + 1] - places[i])
            if lack > 0:
                places[i:i + 2] += lack / 2 * torch.tensor([-1, 1])
    for k, place in zip(order.tolist(), places.tolist()):
        ax.text(1.01, place, str(k), transform=ax.transAxes, fontsize=7, va="center")


def curves(ax, x, series, xlabel, ylabel, title=""):
    """Lines into `ax`: series maps a label to values over x; labelled, with a grid and markers that do not rely on colour."""
    for (label, values), marker in zip(series.items(), "osD^vPX*"):
        ax.plot(x, values, marker=marker, markersize=4, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.grid(alpha=0.3)
    if len(series) > 1:
        ax.legend(fontsize=8)
