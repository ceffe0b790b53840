"""Unit 08: a targeted attack over a grid of eps, pieces of a digit switched on and off, and a detector's threshold."""
import base64
import functools
import io
import uuid

import ipywidgets as w
import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from torch.nn.functional import interpolate
from torchvision.transforms.functional import to_pil_image

from .. import attacks, data, lime, measure
from ..plots import ATTACKED, CLEAN, SIGNED, show_image, verdict
from .digits import NETWORKS, digit, digits, model_of
from .explorer import Explorer, Picture
from .picker import ImagePicker

EPS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


def eps_picture(image=0, network="standard", target="3", steps=10):
    """One digit moved towards a target, for each eps of a grid: what it looks like, and how sure the network is."""
    model, (x, _, name) = model_of(network), digit(image)
    goal = torch.full((len(EPS),), int(target))
    sizes = torch.tensor(EPS)
    moved = attacks.pgd(model, x.expand(len(EPS), -1, -1, -1), goal, eps=sizes, norm="linf", steps=steps, step_size=2.5 / steps * sizes, targeted=True, keep="last")
    logits = attacks.scores(model, torch.cat([x, moved]))
    figure = Figure(figsize=(10, 3.6))
    axes = figure.subplots(1, 7)
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.5, top=0.97, wspace=0.08)
    for ax, one, title, row in zip(axes, torch.cat([x, moved]), ("as it is", *(f"eps {eps:g}" for eps in EPS)), logits):
        show_image(ax, one, title)
        ax.text(0.5, -0.06, verdict(row, digits().classes), transform=ax.transAxes, ha="center", va="top", fontsize=9)
    sure, length = logits.softmax(1)[:, int(target)], (moved - x).flatten(1).norm(dim=1)
    seen = length / (x.norm() or length.max())      # a black picture has no length to compare with
    ax = figure.add_axes([0.06, 0.13, 0.92, 0.26])
    ax.plot([0, *EPS], sure.tolist(), "o-", color=ATTACKED, markersize=4, label=f"probability of {target}")
    ax.plot([0, *EPS], [0, *seen.tolist()], "s--", color="0.4", markersize=4, label="length of the change, as a share of the image's" if x.any() else "length of the change, as a share of the largest")
    ax.set(ylim=(-0.05, max(1.05, seen.max().item() + 0.05)), xlabel="eps (largest pixel change)")
    ax.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.97), ncols=2, frameon=False)
    first = next((f"from eps {eps:g} on" if eps else "as it is" for eps, row in zip((0, *EPS), logits) if row.argmax() == int(target)), "at no eps of the grid")
    return Picture(figure, f"The {network} network reads {name} as {verdict(logits[0], digits().classes)}. After {steps} step{'s' * (steps > 1)} towards {target} it says {target} {first}; "
                           f"at eps 0.2 it says {verdict(logits[4], digits().classes)}, and the change is "
                           + (f"{seen[3]:.2f} times as long as the image." if x.any() else f"{length[3]:.2f} long (the image is black)."))


def eps_explorer():
    return Explorer(eps_picture, {
        "image": ImagePicker(digits(), light_on_dark=True),
        "network": w.Dropdown(options=list(NETWORKS), description="network"),
        "target": w.Dropdown(options=list("0123456789"), value="3", description="target class"),
        "steps": w.IntSlider(value=10, min=1, max=40, description="steps"),
    }, [{"image": 2}, {"image": 2, "network": "robust (L2)"}], "Grid explorer: a digit on its way to a class, for growing eps, with confidence and size of the change")


# ---- the switchboard ----

SIDE, EDGES = 3, (0, 9, 19, 28)     # nine pieces: all 512 coalitions take no time


@functools.cache
def pieces():
    """Which of the nine pieces each pixel belongs to, 28 x 28."""
    band = torch.bucketize(torch.arange(28), torch.tensor(EDGES[1:-1]), right=True)
    return band[:, None] * SIDE + band


class Switchboard(w.VBox):
    """Nine buttons that show the pieces of a digit. value: for each whether it is on."""
    value = traitlets.Tuple()
    description = "pieces of the image (click: on or off)"
    options = (("none", (False,) * 9), ("corners and middle", tuple(i % 2 == 0 for i in range(9))))     # for tests: two of the 512

    def __init__(self):
        self.name = f"workbook-pieces-{uuid.uuid4().hex}"
        self.style_sheet, self.tile = w.HTML(), 48
        self.pieces = [w.ToggleButton(True, description=str(i + 1), tooltip=f"piece {i + 1} on or off", layout=w.Layout(width="48px", height="48px", margin="1px", padding="0"))
                       for i in range(9)]
        for i, button in enumerate(self.pieces):
            button.add_class(self.name)
            button.add_class(f"{self.name}-{i}")
            button.observe(lambda change: self._read(), "value")
        every, none = (w.Button(description=what, layout=w.Layout(width="70px")) for what in ("all on", "all off"))
        every.on_click(lambda button: self._set((True,) * 9))
        none.on_click(lambda button: self._set((False,) * 9))
        self.quiet = False
        rows = [w.HBox(self.pieces[3 * r:3 * r + 3]) for r in range(3)]
        super().__init__([w.HTML(f"<span>{self.description}</span>"), w.HBox([w.VBox(rows), w.VBox([every, none])]), self.style_sheet], value=(True,) * 9)
        self.observe(lambda change: self._set(change.new), "value")

    def _read(self):
        if not self.quiet:
            self.value = tuple(button.value for button in self.pieces)

    def _set(self, value):
        self.quiet = True
        for button, on in zip(self.pieces, value):
            button.value = on
        self.quiet = False
        self._read()

    def paint(self, x):
        """Show the digit x, 1 x 1 x 28 x 28, on the buttons."""
        rules = [f".{self.name}.{self.name} {{color:#ffd166;text-shadow:0 0 3px #000;font-size:11px;border:1px solid #888;opacity:0.25}}", f".{self.name}.{self.name}.mod-active {{opacity:1;outline:2px solid #d55e00}}"]
        for i in range(9):
            rows, columns = (slice(EDGES[at], EDGES[at + 1]) for at in divmod(i, SIDE))
            file = io.BytesIO()
            to_pil_image(interpolate(x[:, :, rows, columns], (self.tile, self.tile))[0].clamp(0, 1)).save(file, "png", compress_level=3)
            rules.append(f".{self.name}.{self.name}-{i}.{self.name} {{background:url(data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}) no-repeat}}")
        self.style_sheet.value = f"<style>{' '.join(rules)}</style>"


def switchboard_picture(image=0, on=(True,) * 9, network="standard", target="the prediction"):
    """A digit with some of its pieces switched off: the probability and logit of a class, and what every piece is worth by three reckonings."""
    model, (x, _, name) = model_of(network), digit(image)
    now = torch.tensor(on)
    shown = lime.switched(x[0], pieces(), now[None], 0.0)
    logits = attacks.scores(model, torch.cat([x, shown]))
    label = logits[0].argmax().item() if target == "the prediction" else int(target)
    values, exact, fitted = _game(image, network, label) if isinstance(image, int) else _worth(x, model, label)
    shares = {"Shapley's share": exact, "LIME's weight": fitted, "if switched now": torch.stack([values[_row(now, i, True)] - values[_row(now, i, False)] for i in range(9)])}
    figure = Figure(figsize=(10, 2.9))
    axes = figure.subplots(1, 4, width_ratios=[1, 1, 1, 2.2])
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.2, top=0.86, wspace=0.14)
    probability = logits.softmax(1)[:, label]
    show_image(axes[0], shown[0], f"{sum(on)} of 9 pieces on")
    axes[0].text(0.5, -0.05, f"{label}: {100 * probability[1]:.0f} %, logit {logits[1, label]:.1f}\nread as {verdict(logits[1], digits().classes)}", transform=axes[0].transAxes, ha="center", va="top", fontsize=9)
    limit = max(share.abs().max().item() for share in shares.values()) or 1.0
    for ax, (title, share) in zip(axes[1:3], shares.items()):
        ax.imshow(share[pieces()].numpy(), cmap=SIGNED, vmin=-limit, vmax=limit)
        for i in range(9):
            top, left = divmod(i, SIDE)
            ax.text((EDGES[left] + EDGES[left + 1]) / 2 - 0.5, (EDGES[top] + EDGES[top + 1]) / 2 - 0.5, _short(share[i]), ha="center", va="center", fontsize=8,
                    color="white" if abs(share[i]) > 0.6 * limit else "black")
        ax.set_title(title, fontsize=9)
        ax.axis("off")
    for k, ((title, share), colour, hatch) in enumerate(zip(shares.items(), (CLEAN, ATTACKED, "#999999"), ("", "//", ".."))):
        axes[3].bar(np.arange(9) + 0.27 * (k - 1), share.numpy(), 0.27, color=colour, hatch=hatch, label=title)
    axes[3].axhline(0, color="k", linewidth=0.6)
    axes[3].set_xticks(range(9), [f"{i + 1}" + ("" if there else "\noff") for i, there in enumerate(on)], fontsize=8)
    axes[3].set_title(f"what each piece adds to the logit of {label}", fontsize=9)
    axes[3].set_ylim(min(0, *(share.min().item() for share in shares.values())) * 1.1, limit * 1.5)
    axes[3].legend(fontsize=8, loc="upper left", ncols=3, columnspacing=1, handlelength=1.2)
    off = ", ".join(str(i + 1) for i, there in enumerate(on) if not there) or "none"
    return Picture(figure, f"The {network} network on {name} with pieces off: {off}. The probability of {label} is {100 * probability[1]:.0f} % (whole image: {100 * probability[0]:.0f} %); exact shares of pieces 1 to 9: "
                           + ", ".join(map(_short, exact)) + ".")


@functools.lru_cache(500)
def _game(image, network, label):
    return _worth(digit(image)[0], model_of(network), label)


def _worth(x, model, label):
    """The logit of `label` for all 512 coalitions, and what every piece is worth: exactly, and by LIME."""
    every = lime.coalitions(9)
    values = attacks.scores(model, lime.switched(x[0], pieces(), every, 0.0))[:, label]
    return values, lime.shapley_values(values), _lime(every, values)


def _short(value):
    """One digit after the point, and no minus before 0.0."""
    return f"{round(value.item(), 1) + 0.0:.1f}"


def _row(now, i, there):
    """The row, in `lime.coalitions`, of the pieces that are on now, with piece i on or off."""
    now = now.clone()
    now[i] = there
    return (now.long() << torch.arange(9)).sum()


def _lime(every, values):
    """LIME's linear fit to all coalitions, with its weights and without a penalty."""
    root = lime.lime_weights(every).sqrt()[:, None]
    rows = torch.cat([torch.ones(len(every), 1), every], 1).double()
    return torch.linalg.lstsq(root * rows, root * values.double()[:, None]).solution[1:, 0].float()


def switchboard_explorer():
    picker, board = ImagePicker(digits(), light_on_dark=True), Switchboard()
    picker.observe(lambda change: board.paint(digit(picker.value)[0]), "value")
    board.paint(digit(picker.value)[0])
    return Explorer(switchboard_picture, {
        "image": picker, "on": board,
        "network": w.Dropdown(options=list(NETWORKS), description="network"),
        "target": w.Dropdown(options=["the prediction", *"0123456789"], description="class"),
    }, [{"image": 4}, {"image": 4, "on": (True, True, True, True, False, True, True, True, True)}],
        "Switchboard explorer: pieces of a digit switched on and off, the probability, and what each piece is worth")


# ---- the detector ----

WAYS = ("a random target", "the second choice", "stops at once", "knows the detector")
N, PART = 160, 40


@functools.cache
def _case(network):
    """Digits read correctly, their logits, the resting logits of 100 training digits, and the evidence of each."""
    model, some = model_of(network), digits()[:300]
    logits = attacks.scores(model, some.images)
    right = (logits.argmax(1) == some.labels).nonzero()[:N, 0]
    resting = attacks.scores(model, data.load("mnist5k", "train").images[:100]).mean(0)
    return some[right], logits[right], resting, _evidence(logits[right], resting)


def _evidence(logits, resting):
    top = logits.argmax(1)
    return logits.gather(1, top[:, None])[:, 0] - resting[top]


@functools.cache
def _attacked(network, way, eps, first):
    """The evidence of those of the digits first to first + PART that reached their target."""
    some, logits, resting, clean = _case(network)
    rows = slice(first, first + PART)
    drawn = torch.randint(1, 10, some.labels.shape, generator=torch.Generator().manual_seed(0))
    goal = (logits.argsort(1, descending=True)[:, 1] if way == "the second choice" else (some.labels + drawn) % 10)[rows]

    def steered(z, t):
        return attacks.log_odds(z, t) + (z.gather(1, t[:, None])[:, 0] - resting[t] - clean.quantile(0.75)).square()
    moved = attacks.pgd(model_of(network), some.images[rows], goal, eps=eps, norm="linf", steps=20, step_size=eps / 10, targeted=True,
                        keep="first" if way == "stops at once" else "last", loss=steered if way == "knows the detector" else "cross_entropy")
    z = attacks.scores(model_of(network), moved)
    return _evidence(z, resting)[z.argmax(1) == goal]


def detector_picture(threshold=10.0, way="a random target", eps=0.2, network="standard"):
    """Histograms of the evidence of clean and attacked digits, the ROC curve, and both error rates at a threshold. A generator: attacks take a while, once."""
    *_, clean = _case(network)
    count = len(clean)
    parts = []
    for first in range(0, count, PART):
        parts.append(_attacked(network, way, eps, first))
        done = min(1.0, (first + PART) / count)
        seen = torch.cat(parts)
        if done == 1 or len(parts) == 2:
            yield _drawn(clean, seen, threshold, way, eps, network, min(count, first + PART), done)


def _drawn(clean, attacked, threshold, way, eps, network, tried, done):
    figure = Figure(figsize=(9.6, 3.3))
    left, right = figure.subplots(1, 2, width_ratios=[2.4, 1])
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.25, top=0.91, wspace=0.15)
    bins = np.linspace(-5, max(30.0, *clean.tolist(), *attacked.tolist()), 36)
    left.hist(clean.numpy(), bins, color=CLEAN, alpha=0.65, label=f"clean ({len(clean)})")
    left.hist(attacked.numpy(), bins, color=ATTACKED, alpha=0.65, hatch="//", label=f"attacked, target reached ({len(attacked)} of {tried})")
    left.axvline(threshold, color="k", label=f"threshold {threshold:.1f}")
    left.set(xlabel="evidence for the prediction (logits)", ylabel="digits")
    left.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, frameon=False)
    stopped = (clean < threshold).float().mean().item()
    words = f"Threshold {threshold:.1f}, {way}, eps {eps:g}, {network} network: {100 * stopped:.0f} % of {len(clean)} clean digits are stopped"
    if len(attacked):
        rates = measure.errors(clean, attacked, threshold)
        passed = rates["misses"]["share"]
        levels = torch.cat([clean, attacked]).unique()
        false, true = ([(s < level).float().mean().item() for level in levels] + [1.0] for s in (clean, attacked))
        right.plot(false, true, color="k")
        right.plot([stopped], [1 - passed], "o", color=ATTACKED)
        right.set_title(f"AUC {measure.auc(clean, attacked):.2f}", fontsize=9)
        words += f", {100 * passed:.0f} % of {len(attacked)} attacked ones pass. AUC {measure.auc(clean, attacked):.2f}."
        left.set_title(f"{100 * stopped:.0f} % of clean stopped, {100 * passed:.0f} % of attacked pass", fontsize=9)
    else:
        words += "; no attack has reached its target."
        left.set_title(f"{100 * stopped:.0f} % of clean stopped; no attack has reached its target", fontsize=9)
    right.plot([0, 1], [0, 1], ":", color="0.5")
    right.set(xlabel="clean stopped", ylabel="attacked stopped", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    return Picture(figure, words, done)


def detector_explorer():
    return Explorer(detector_picture, {
        "threshold": w.FloatSlider(value=10, min=-5, max=25, step=0.5, description="threshold (evidence, logits)"),
        "way": w.Dropdown(options=WAYS, description="attacker"),
        "eps": w.Dropdown(options=[0.1, 0.15, 0.2, 0.3], value=0.2, description="eps"),
        "network": w.Dropdown(options=["standard", "robust (L2)"], description="network"),
    }, [{"way": "stops at once"}, {}, {"way": "knows the detector", "eps": 0.3}],
        "Detector explorer: evidence of clean and attacked digits, a threshold, and both error rates")
