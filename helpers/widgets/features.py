"""Unit 05: the made training sets, what frequencies carry, and a shape under another class's pattern."""
import functools

import ipywidgets as w
import numpy as np
import torch
from matplotlib.figure import Figure

from .. import attacks, data, planted
from ..plots import ATTACKED, CLEAN, show_image, verdict
from .digits import NETWORKS, bars, digit, digits, model_of
from .explorer import Explorer, Picture
from .picker import ImagePicker
from .saliency import network_of

SETS = {"moved towards a class drawn at random": "digits-rand", "moved towards the next class": "digits-det",
        "the robust network's features": "digits-robust", "the standard network's features, nearby": "digits-nonrobust"}


@functools.cache
def training(name):
    return data.load(name, "train")


@functools.cache
def _starts():
    """Which digits the sets that match features start from, as experiments/feature_sets.py draws them."""
    labels, generator = training("mnist5k").labels, torch.Generator().manual_seed(0)
    torch.randint(1, 10, labels.shape, generator=generator)
    return torch.randperm(len(labels), generator=generator)


def _says(x):
    """What the standard and the robust network call one digit."""
    return [f"{name}: {verdict(attacks.scores(model_of(network), x)[0], digits().classes)}" for name, network in (("standard", "standard"), ("robust", "robust (L2)"))]


def set_picture(example=0, kind="moved towards a class drawn at random"):
    """One entry of a made set: the digit it was made from, the change, the result with its label, and what two networks call both."""
    start = example if kind.startswith("moved") else _starts()[example].item()
    original, made = training("mnist5k")[start], training(SETS[kind])[example]
    label, was, change = made.labels.item(), original.labels.item(), made.images - original.images
    before, after = _says(original.images), _says(made.images)
    figure = Figure(figsize=(8.4, 3))
    axes = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.17, top=0.9, wspace=0.05)
    show_image(axes[0], original.images[0], f"training digit {start}, a {was}")
    show_image(axes[1], change[0], f"change, of length {change.norm():.1f}", signed=True, limit=1)
    show_image(axes[2], made.images[0], f'in the set, its label "{label}"')
    for ax, said in ((axes[0], before), (axes[2], after)):
        ax.text(0.5, -0.05, "\n".join(said), transform=ax.transAxes, ha="center", va="top", fontsize=9)
    return Picture(figure, f"Entry {example} ({kind}): made from training digit {start}, a {was}, by a change of length {change.norm():.1f}, and labelled {label}. "
                           f"Before, {', '.join(before)}; after, {', '.join(after)}.")


def set_explorer():
    return Explorer(set_picture, {
        "example": w.IntSlider(value=0, min=0, max=199, description="entry"),
        "kind": w.Dropdown(options=list(SETS), description="set"),
    }, [{"example": 2, "kind": kind} for kind in SETS], "Data set explorer: a training digit, the change, what came of it, and the label it got")


def cutoff_picture(image=0, network="standard", radius=4):
    """A digit's waves of at most `radius` periods, the rest, and what a network calls each."""
    x, _, name = digit(image)
    f = torch.fft.fftfreq(28, 1 / 28)
    low = torch.fft.ifft2(torch.fft.fft2(x) * ((f[:, None] ** 2 + f[None] ** 2).sqrt() <= radius)).real
    high = x - low
    shown = torch.cat([x, low.clamp(0, 1), (high + x.mean()).clamp(0, 1)])     # on a ground of the image's mean
    logits = attacks.scores(model_of(network), shown)
    said = [verdict(row, digits().classes) for row in logits]
    figure = Figure(figsize=(9.6, 2.7))
    axes = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.6])
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.22, top=0.86, wspace=0.12)
    for ax, one, title in zip(axes, shown, ("image", f"up to {radius} periods", f"above {radius} periods")):
        show_image(ax, one, title)
    for ax, words in zip(axes, said):
        ax.text(0.5, -0.08, words, transform=ax.transAxes, ha="center", va="top", fontsize=9)
    bars(axes[3], logits[1], logits[2], ("low frequencies", "high frequencies"))
    return Picture(figure, f"The {network} network reads {name} as {said[0]}; its waves of at most {radius} periods as {said[1]}, the others as {said[2]}.")


def cutoff_explorer():
    return Explorer(cutoff_picture, {
        "image": ImagePicker(digits(), light_on_dark=True),
        "network": w.Dropdown(options=list(NETWORKS), description="network"),
        "radius": w.IntSlider(value=4, min=0, max=19, description="cut-off (periods per image)"),
    }, [{"image": 5, "radius": 2}, {"image": 5, "radius": 4}, {"image": 5, "radius": 9}, {"image": 5, "radius": 9, "network": "robust (L2)"}],
        "Cut-off explorer: the low and the high frequencies of a digit, and what a network makes of each")


def mixer_picture(example=0, shape="disc", pattern="bar", size=1.0):
    """A planted image with the shape of one class under the pattern of another, and both networks' verdicts."""
    plain = _plain(shape)[example]
    faint = planted.pattern_of_each_class()[planted.SHAPES.index(pattern)]
    x = (plain + size * faint)[None].clamp(0, 1)
    figure = Figure(figsize=(9, 2.8))
    axes = figure.subplots(1, 3, width_ratios=[1, 1, 2])
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.12, top=0.88, wspace=0.16)
    show_image(axes[0], x[0], f"a {shape}, pattern of the {pattern}")
    show_image(axes[1], (0.5 + 60 * size * faint).clamp(0, 1), "the pattern, 60 times as strong")
    said = {}
    for at, (name, network, colour, hatch) in enumerate((("standard", "planted/standard", CLEAN, ""), ("robust", "planted/robust-l2", ATTACKED, "//"))):
        shares = attacks.scores(network_of(network), x)[0].softmax(0)
        axes[2].bar(np.arange(5) - 0.2 + 0.4 * at, shares.numpy(), 0.4, color=colour, hatch=hatch, label=name)
        said[name] = f"{planted.SHAPES[shares.argmax()]} ({100 * shares.max():.0f} %)"
    axes[2].set(xticks=range(5), xticklabels=planted.SHAPES, ylim=(0, 1.25), yticks=[0, 0.5, 1], title="probabilities")
    axes[2].title.set_fontsize(9)
    axes[2].legend(fontsize=8, ncols=2, loc="upper center")
    return Picture(figure, f"Picture {example}, a {shape} under the pattern of the {pattern} at {size:.1f} times its size: "
                           + ", ".join(f"the {name} network says {words}" for name, words in said.items()) + ".")


@functools.cache
def _plain(shape):
    """Twenty images of one shape without any pattern."""
    some = planted.draw(200, seed=21, pattern=False)
    return some.images[some.shapes == planted.SHAPES.index(shape)][:20]


def mixer_explorer():
    return Explorer(mixer_picture, {
        "example": w.IntSlider(value=0, min=0, max=19, description="picture"),
        "shape": w.Dropdown(options=list(planted.SHAPES), description="shape of a"),
        "pattern": w.Dropdown(options=list(planted.SHAPES), value="bar", description="pattern of a"),
        "size": w.FloatSlider(value=1, min=0, max=4, step=0.1, description="size of the pattern (1: as trained on)"),
    }, [{"size": 0.0}, {"size": 0.3}, {"size": 1.0}], "Mixer explorer: a shape under the pattern of another class, and what two networks go by", 1.0)
