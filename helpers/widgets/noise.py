"""Unit 00: does random noise fool the network?"""
import ipywidgets as w
import torch
from matplotlib.figure import Figure

from .. import attacks
from ..plots import show_image, verdict
from .digits import NETWORKS, bars, digit, digits, model_of
from .explorer import Explorer, Picture
from .picker import ImagePicker


def noise_picture(image=0, network="standard", size=0.2):
    """A digit, the same with each pixel moved up or down by `size` at random, and what the network says of both."""
    x, _, name = digit(image)
    noisy = attacks.random_signs(x, eps=size)
    before, after = attacks.scores(model_of(network), torch.cat([x, noisy]))
    figure = Figure(figsize=(8, 2.6))
    axes = figure.subplots(1, 3, width_ratios=[1, 1, 1.8])
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.22, top=0.88, wspace=0.15)
    said = verdict(before, digits().classes), verdict(after, digits().classes)
    show_image(axes[0], x[0], f"image: {said[0]}")
    show_image(axes[1], noisy[0], f"with noise: {said[1]}")
    bars(axes[2], before, after, ("image", "with noise"))
    return Picture(figure, f"The {network} network reads {name} as {said[0]}; with noise of size {size:.2f} as {said[1]}.")


def noise_explorer():
    return Explorer(noise_picture, {
        "image": ImagePicker(digits(), light_on_dark=True),
        "network": w.Dropdown(options=list(NETWORKS), description="network"),
        "size": w.FloatSlider(value=0.2, min=0, max=0.5, step=0.02, description="noise size (black 0, white 1)"),
    }, [{"size": 0.1}, {"size": 0.4}], "Noise explorer: a digit with and without noise, and the network's probabilities for both")
