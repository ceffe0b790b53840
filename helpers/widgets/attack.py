"""Unit 03: choose image, network, attack, norm, eps, steps and target; see what happens."""
import ipywidgets as w
import torch
from matplotlib.figure import Figure

from .. import attacks
from ..plots import ATTACKED, show_image, verdict
from .digits import NETWORKS, bars, digit, digits, model_of
from .explorer import Explorer, Picture
from .picker import ImagePicker

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


def attack_picture(image=0, network="standard", attack="pgd", norm="linf", eps=0.15, steps=20, target="any other"):
    """Image, perturbation, result, probabilities and loss per step of one attack on one digit. A picture without a label is attacked
    away from what the network takes it for."""
    model, classes = model_of(network), digits().classes
    x, label, name = digit(image)
    if label is None:
        label = attacks.scores(model, x).argmax(1)
    target = None if target == "any other" else int(target)
    size = eps / x.numel() ** 0.5 if attack in ("fgsm", "random signs") and norm == "l2" else eps  # every pixel the same, together of length eps
    result, losses = attack_image(model, x, label, attack, norm, size, steps, target)
    before, after = attacks.scores(model, torch.cat([x, result]))
    delta = result - x
    towards = "" if target is None else f" towards {target}"
    figure = Figure(figsize=(10, 2.3))
    axes = figure.subplots(1, 5, width_ratios=[1, 1, 1, 1.6, 1.3])
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.2, top=0.8, wspace=0.25)
    said = verdict(before, classes), verdict(after, classes)
    show_image(axes[0], x[0], f"image: {said[0]}")
    show_image(axes[1], delta[0], f"change, amplified\nL2 {delta.norm():.2f}, largest {delta.abs().max():.2f}", signed=True)
    show_image(axes[2], result[0], f"result: {said[1]}")
    bars(axes[3], before, after, ("image", "result"))
    axes[4].plot(losses, marker="o", markersize=3, color=ATTACKED)
    axes[4].set_title("loss of " + (f"the label {label.item()}" if target is None else f"the target {target}"), fontsize=9)
    axes[4].set_xlabel("step", fontsize=8)
    axes[4].xaxis.get_major_locator().set_params(integer=True)
    axes[4].tick_params(labelsize=7)
    return Picture(figure, f"The {network} network reads {name} as {said[0]}; after the attack{towards} as {said[1]}. "
                           f"The change has L2 length {delta.norm():.2f}, its largest pixel is {delta.abs().max():.2f}.")


def norm_and_eps(first, longest):
    """A menu of the two norms and a slider for eps, whose range fits the norm: up to 0.5 in L-infinity, up to `longest` in L2."""
    norms = [("L-infinity", "linf"), ("L2", "l2")]
    norm = w.Dropdown(options=norms if first == "linf" else norms[::-1], description="norm")
    eps = w.FloatSlider(min=0)

    def sensible_range(change=None):
        eps.max, eps.step, eps.description = (0.5, 0.01, "eps (largest pixel change)") if norm.value == "linf" else (longest, 0.1, "eps (L2 length)")
        eps.value = 0.15 if norm.value == "linf" else 2.0
    sensible_range()
    norm.observe(sensible_range, "value")
    return norm, eps


def attack_explorer():
    norm, eps = norm_and_eps("linf", 5)
    return Explorer(attack_picture, {
        "image": ImagePicker(digits(), light_on_dark=True),
        "network": w.Dropdown(options=list(NETWORKS), description="network"),
        "attack": w.Dropdown(options=ATTACKS, description="attack"),
        "norm": norm,
        "target": w.Dropdown(options=["any other", *map(str, range(10))], description="target class"),
        "eps": eps,
        "steps": w.IntSlider(value=20, min=1, max=50, description="steps (pgd)"),
    }, [{"attack": "random signs"}, {"attack": "fgsm"}, {"target": "3"}, {"norm": "l2", "eps": 2.0}, {"network": "robust (L2)"}],
        "Attack explorer: image, perturbation, result, probabilities and loss per step of an attack on a digit")
