"""Images of which we know what is to be seen in them: a shape, robust but right only nine times in ten, and a faint pattern, always right.

Each image is 32 x 32 in colour: a plain ground, a shape (disc, ring, plus, cross or bar) of another colour, and over all of it the pattern of
one class, two grey levels up or down at each value. The pattern's L2 norm is 0.43 and two patterns lie at least 0.6 apart, so a change of half
that length turns one into another; a shape takes several times as much. A network may use either, and `draw` makes images on which they disagree.
"""
import functools
from dataclasses import dataclass

import numpy as np
import torch

SHAPES = ("disc", "ring", "plus", "cross", "bar")
SIDE, LEVELS = 32, 2        # pixels; grey levels of 255 that a pattern adds or takes away


@dataclass(frozen=True)
class Planted:
    """images: float32 N x 3 x 32 x 32 in [0, 1]. labels, shapes, patterns: int64 N, the class, which shape is drawn, which pattern lies over it
    (-1: none). masks: bool N x 1 x 32 x 32, the pixels of the shape."""
    images: torch.Tensor
    labels: torch.Tensor
    shapes: torch.Tensor
    patterns: torch.Tensor
    masks: torch.Tensor

    def __len__(self):
        return len(self.labels)


@functools.cache
def pattern_of_each_class():
    """The five patterns, 5 x 3 x 32 x 32, to be added to an image: 2 / 255 up or down, at random, the same for every image of a class."""
    signs = np.random.RandomState(17).randint(0, 2, (len(SHAPES), 3, SIDE, SIDE)) * 2 - 1
    return torch.from_numpy(signs).float() * LEVELS / 255


def draw(n, seed=0, *, agree=0.9, disagree=False, pattern=True):
    """n images, all classes alike. agree: the share of images whose shape is that of the label; the pattern always is.

    disagree=True: the label's shape under the pattern of another class. pattern=False: the label's shape and no pattern.
    """
    random = np.random.RandomState(seed)
    labels = random.permutation(np.arange(n) % len(SHAPES))
    others = (labels + random.randint(1, len(SHAPES), n)) % len(SHAPES)
    right = np.ones(n, bool) if disagree or not pattern else random.rand(n) < agree
    shapes = np.where(right, labels, others)
    patterns = np.full(n, -1) if not pattern else others if disagree else labels
    masks = _masks(shapes, 12 + 8 * random.rand(n), 12 + 8 * random.rand(n), 7 + 5 * random.rand(n), 0.3 * random.rand(n) - 0.15)
    ground = 0.3 + 0.4 * random.rand(n, 3)
    colour = random.randn(n, 3)
    colour *= (0.3 + 0.3 * random.rand(n, 1)) / np.abs(colour).max(1, keepdims=True)
    images = np.clip(ground[:, :, None, None] + masks[:, None] * colour[:, :, None, None], LEVELS / 255, 1 - LEVELS / 255)
    levels = torch.from_numpy(np.round(images * 255)).float()
    if pattern:
        levels += (pattern_of_each_class()[patterns] * 255).round()
    images = levels / 255       # as a picture file would hold them
    return Planted(images, *(torch.from_numpy(values).long() for values in (labels, shapes, patterns)), torch.from_numpy(masks)[:, None])


def _masks(shapes, x, y, radius, turn):
    """The pixels of each shape, bool N x 32 x 32; `turn` in radians."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    dx, dy, r, t = columns - x[:, None, None], rows - y[:, None, None], radius[:, None, None], turn[:, None, None]
    u, v = np.abs(dx * np.cos(t) + dy * np.sin(t)), np.abs(dy * np.cos(t) - dx * np.sin(t))
    p, q = np.abs(dx * np.cos(t + np.pi / 4) + dy * np.sin(t + np.pi / 4)), np.abs(dy * np.cos(t + np.pi / 4) - dx * np.sin(t + np.pi / 4))
    distance, half = np.hypot(dx, dy), 0.3 * r
    every = np.stack([distance < 0.8 * r, (distance < r) & (distance > 0.55 * r), ((u < half) & (v < r)) | ((v < half) & (u < r)),
                      ((p < half) & (q < r)) | ((q < half) & (p < r)), (u < half) & (v < 1.1 * r)], 1)
    return every[np.arange(len(shapes)), shapes]
