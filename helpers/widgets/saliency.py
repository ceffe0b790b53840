"""Unit 01: choose image, network, method, class and output; see the map, alone or over the image."""
import functools

import ipywidgets as w
import torch
from matplotlib.figure import Figure

from .. import attacks, data, models
from ..attribution import gradient_x_input, input_gradient, integrated_gradients, occlusion, smooth_grad
from ..plots import SIGNED, show_image, verdict
from .digits import NETWORKS, digits
from .explorer import Explorer, Picture
from .picker import ImagePicker

COLOUR_NETWORKS = {"standard": "cifar10/standard", "robust (L2)": "cifar10/robust-l2"}
METHODS = {
    "gradient": input_gradient,
    "gradient x input": gradient_x_input,
    "|gradient| x input": lambda model, x, y, of: input_gradient(model, x, y, of=of).abs() * x,
    "SmoothGrad": lambda model, x, y, of: smooth_grad(model, x, y, of=of, n_samples=25),
    "integrated gradients": lambda model, x, y, of: integrated_gradients(model, x, y, of=of, steps=20),
    "occlusion": lambda model, x, y, of: occlusion(model, x, y, of=of, size=4, stride=2),
}
WHICH = ("its class", "the prediction")
OF = {"logit": "logit", "log-probability": "log_probability", "loss": "loss"}


@functools.cache
def samples():
    return data.load("cifar10-samples")


@functools.cache
def network_of(name):
    return models.load(name)


def saliency_picture(pictures, networks, image=0, network="standard", method="gradient", of="logit", target="its class", sign="signed", overlay=0.0):
    """An image and one map of it. Absolute values are drawn from white to red; a colour map is the sum of its three channels."""
    several, model = pictures(), network_of(networks[network])
    if isinstance(image, torch.Tensor):
        x, label, name = image, None, "your picture"
    else:
        one = several[image]
        x, label, name = one.images, one.labels, f"image {image} ({several.classes[one.labels]})"
    logits = attacks.scores(model, x)
    if target == "its class":
        y = logits.argmax(1) if label is None else label
    else:
        y = logits.argmax(1) if target == "the prediction" else torch.tensor([several.classes.index(target)])
    maps = METHODS[method](model, x, y, of=OF[of])[0].sum(0)
    maps = maps.abs() if sign == "absolute" else maps
    said, limit = verdict(logits[0], several.classes), maps.abs().max().item() or 1.0
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    axes = figure.subplots(1, 2, width_ratios=[1, 1.12])
    show_image(axes[0], x[0], f"read as {said}")
    drawn = axes[1].imshow(maps.numpy(), cmap=SIGNED, vmin=-limit, vmax=limit)
    if overlay:
        grey = x[0].mean(0)
        axes[1].imshow(grey.numpy(), cmap="gray", vmin=0, vmax=1, alpha=overlay)
    axes[1].axis("off")
    axes[1].set_title(f"{method} of the {of} of {several.classes[y]}" + (f" ({target})" if target in WHICH else ""), fontsize=9)
    figure.colorbar(drawn, ax=axes[1], shrink=0.85).ax.tick_params(labelsize=7)
    share = maps.flatten().abs().sort(descending=True).values
    half = int((share.cumsum(0) < share.sum() / 2).sum()) + 1
    return Picture(figure, f"The {network} network reads {name} as {said}. {method} of the {of} of {several.classes[y]}: half of the attribution lies on "
                           f"{half} of {len(share)} pixels; the largest value is {limit:.2g}.")


def _explorer(pictures, networks, sheet, describe, budget, **picker):
    return Explorer(functools.partial(saliency_picture, pictures, networks), {
        "image": ImagePicker(pictures(), **picker),
        "network": w.Dropdown(options=list(networks), description="network"),
        "method": w.Dropdown(options=list(METHODS), description="method"),
        "of": w.Dropdown(options=list(OF), description="of the"),
        "target": w.Dropdown(options=[*WHICH, *pictures().classes], description="class"),
        "sign": w.Dropdown(options=["signed", "absolute"], description="values"),
        "overlay": w.FloatSlider(value=0, min=0, max=0.9, step=0.1, description="image over the map (share)"),
    }, sheet, describe, budget)


def saliency_explorer():
    networks = NETWORKS | {"fully connected": "mnist5k/mlp"}
    return _explorer(digits, networks, [{"image": 3}, {"image": 3, "method": "gradient x input", "overlay": 0.3},
                                        {"image": 3, "network": "untrained", "method": "|gradient| x input"}, {"image": 3, "network": "robust (L2)"}],
                     "Saliency explorer: a digit and a map of what one network looks at", 0.2, light_on_dark=True)


def colour_saliency_explorer():
    return _explorer(samples, COLOUR_NETWORKS, [{"image": 1}, {"image": 1, "network": "robust (L2)"}, {"image": 1, "network": "robust (L2)", "overlay": 0.5},
                                                {"image": 4, "network": "robust (L2)", "method": "SmoothGrad"}],
                     "Saliency explorer: a colour picture and a map of what one network looks at", 1.0)
