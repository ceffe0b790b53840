"""Explorers: a pure function from settings to a figure, and a thin layer of ipywidgets around it.

Where no kernel runs, an explorer shows its contact sheet, drawn by the same function.
"""
import base64
import functools
import html
import io

import ipywidgets as w
import numpy as np
import torch
from matplotlib.figure import Figure   # not pyplot's, which would keep each one

from . import attacks, data, models
from .plots import ATTACKED, CLEAN, show_image, verdict

NETWORKS = {"standard": "mnist5k/standard", "robust (L2)": "mnist5k/robust-l2", "untrained": "mnist5k/standard-untrained"}


def png(figure, dpi=80):
    """A Figure as PNG bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


class Explorer(w.VBox):
    """Controls above the picture that `draw(**their values)` returns; redrawn whenever one changes.

    draw: settings -> Figure. controls: widgets by the name of their setting. sheet: settings whose pictures make the contact sheet.
    An error shows in words under the controls, with the last good picture kept.
    """

    def __init__(self, draw, controls, sheet, describe):
        self.draw, self.controls, self.sheet, self.describe = draw, controls, sheet, describe
        self.picture, self.state = w.Image(format="png"), w.HTML()
        for control in controls.values():
            control.style.description_width = "initial"
            control.observe(lambda change: self.redraw(), "value")
        super().__init__([w.HBox(list(controls.values()), layout=w.Layout(flex_flow="row wrap")), self.state, self.picture])
        self.redraw()

    def redraw(self):
        self.state.value = "<i>computing ...</i>"
        try:
            self.picture.value = png(self.draw(**{name: control.value for name, control in self.controls.items()}))
            self.state.value = ""
        except Exception as error:  # whatever it is, the learner sees it in words rather than a dead widget
            self.state.value = f"<b style='color:#d1495b'>{html.escape(f'{type(error).__name__}: {error}')}</b>"

    def contact_sheet(self):
        """The pictures of all settings in `sheet` under each other, as PNG bytes."""
        from PIL import Image
        pages = []
        for settings in self.sheet:
            figure = self.draw(**settings)
            figure.suptitle(", ".join(f"{name}: {value}" for name, value in settings.items()), x=0.01, ha="left", fontsize=10, weight="bold")
            pages.append(Image.open(io.BytesIO(png(figure))).convert("RGB"))
        whole = Image.new("RGB", (max(page.width for page in pages), sum(page.height for page in pages)), "white")
        top = 0
        for page in pages:
            whole.paste(page, (0, top))
            top += page.height
        file = io.BytesIO()
        whole.quantize(128).save(file, "png", optimize=True)
        return file.getvalue()

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options) or {}
        bundle["text/plain"] = f"{self.describe} (run this cell to move its controls)"
        bundle["image/png"] = base64.b64encode(self.contact_sheet()).decode()
        return bundle


@functools.cache
def _digits():
    return data.load("mnist5k")


@functools.cache
def _network(name):
    return models.load(name)


def _bars(ax, before, after, classes, labels):
    """The classes' probabilities, from logits before and after, as pairs of bars."""
    at = np.arange(len(classes))
    ax.bar(at - 0.2, before.softmax(0).numpy(), 0.4, color=CLEAN, label=labels[0])
    ax.bar(at + 0.2, after.softmax(0).numpy(), 0.4, color=ATTACKED, hatch="//", label=labels[1])
    ax.set_xticks(at, classes, fontsize=8)
    ax.set_yticks([0, 0.5, 1])
    ax.set_ylim(0, 1.05)
    ax.set_title("probabilities", fontsize=9)
    ax.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)


def noise_figure(image=0, network="standard", size=0.2):
    """A digit, the same with each pixel moved up or down by `size` at random, and what the network says of both."""
    one = _digits()[image]
    noisy = attacks.random_signs(one.images, eps=size)
    before, after = attacks.scores(_network(NETWORKS[network]), torch.cat([one.images, noisy]))
    figure = Figure(figsize=(8, 2.6))
    axes = figure.subplots(1, 3, width_ratios=[1, 1, 1.8])
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.22, top=0.8, wspace=0.15)
    show_image(axes[0], one.images[0], f"image: {verdict(before, one.classes)}")
    show_image(axes[1], noisy[0], f"with noise: {verdict(after, one.classes)}")
    _bars(axes[2], before, after, one.classes, ("image", "with noise"))
    return figure


def noise_explorer():
    """Unit 00: does random noise fool the network?"""
    return Explorer(noise_figure, {
        "image": w.BoundedIntText(value=0, min=0, max=999, description="image number (0 to 999)"),
        "network": w.Dropdown(options=list(NETWORKS), description="network"),
        "size": w.FloatSlider(value=0.2, min=0, max=0.5, step=0.02, description="noise size", continuous_update=True),
    }, [{"size": 0.1}, {"size": 0.4}], "Noise explorer: a digit with and without noise, and the network's probabilities for both")


ATTACKS = ("pgd", "fgsm", "gradient", "random signs")


def attack_image(model, image, label, attack="pgd", norm="linf", eps=0.15, steps=20, target=None):
    """One image 1 x C x H x W attacked: (result, loss after each step). The loss is that of the target if there is one, else of the label."""
    towards = label if target is None else torch.tensor([target])
    losses = []
    if attack == "pgd":
        result = attacks.pgd(model, image, towards, eps=eps, norm=norm, steps=steps, targeted=target is not None, keep="last",
                             callback=lambda step, x, values: losses.append(abs(values.item())))
        return result, losses
    if attack == "random signs":
        result = attacks.random_signs(image, eps=eps)
    elif attack == "fgsm":
        result = attacks.fgsm(model, image, towards, eps=eps, targeted=target is not None)
    else:
        result = attacks.normalized_gradient(model, image, towards, eps=eps, norm=norm, targeted=target is not None)
    both = attacks.scores(model, torch.cat([image, result]))
    return result, attacks.cross_entropy(both, towards.expand(2)).tolist()


def attack_figure(image=0, network="standard", attack="pgd", norm="linf", eps=0.15, steps=20, target="any other"):
    """Image, perturbation, result, probabilities and loss per step of one attack on one test digit."""
    one, model = _digits()[image], _network(NETWORKS[network])
    target = None if target == "any other" else int(target)
    if attack in ("fgsm", "random signs") and norm == "l2":
        eps = eps / one.images.numel() ** 0.5     # every pixel the same, together of L2 length eps
    result, losses = attack_image(model, one.images, one.labels, attack, norm, eps, steps, target)
    before, after = attacks.scores(model, torch.cat([one.images, result]))
    delta = result - one.images
    figure = Figure(figsize=(10, 2.5))
    axes = figure.subplots(1, 5, width_ratios=[1, 1, 1, 1.6, 1.3])
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.22, top=0.76, wspace=0.25)
    show_image(axes[0], one.images[0], f"image: {verdict(before, one.classes)}")
    show_image(axes[1], delta[0], f"change, amplified\nL2 {delta.norm():.2f}, largest {delta.abs().max():.2f}", signed=True)
    show_image(axes[2], result[0], f"result: {verdict(after, one.classes)}")
    _bars(axes[3], before, after, one.classes, ("image", "result"))
    axes[4].plot(losses, marker="o", markersize=3, color=ATTACKED)
    axes[4].set_title("loss of " + (f"the label {one.labels.item()}" if target is None else f"the target {target}"), fontsize=9)
    axes[4].set_xlabel("step", fontsize=8)
    axes[4].xaxis.get_major_locator().set_params(integer=True)
    axes[4].tick_params(labelsize=7)
    return figure


def attack_explorer():
    """Unit 03: choose image, network, attack, norm, eps, steps and target; see what happens."""
    eps = w.FloatSlider(value=0.15, min=0, max=0.5, step=0.01, description="eps (largest change of a pixel)")
    norm = w.Dropdown(options=[("L-infinity", "linf"), ("L2", "l2")], description="norm")

    def sensible_range(change):
        eps.max, eps.step, eps.description = (0.5, 0.01, "eps (largest change of a pixel)") if norm.value == "linf" else (5, 0.1, "eps (L2 length)")
        eps.value = 0.15 if norm.value == "linf" else 2.0
    norm.observe(sensible_range, "value")
    return Explorer(attack_figure, {
        "image": w.BoundedIntText(value=0, min=0, max=999, description="image number (0 to 999)"),
        "network": w.Dropdown(options=list(NETWORKS), description="network"),
        "attack": w.Dropdown(options=ATTACKS, description="attack"),
        "norm": norm,
        "eps": eps,
        "steps": w.IntSlider(value=20, min=1, max=50, description="steps (pgd)"),
        "target": w.Dropdown(options=["any other", *map(str, range(10))], description="target class"),
    }, [{"attack": "random signs"}, {"attack": "fgsm"}, {"target": "3"}, {"norm": "l2", "eps": 2.0}, {"network": "robust (L2)"}],
        "Attack explorer: image, perturbation, result, probabilities and loss per step of an attack on a digit")
