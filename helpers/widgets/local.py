"""Unit 02: SmoothGrad's noise, occlusion's window, and what lies on the way from a baseline to a digit."""
import ipywidgets as w
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from .. import attacks
from ..attribution import input_gradient, occlusion, smooth_grad
from ..plots import ATTACKED, CLEAN, SIGNED, show_image, verdict
from .digits import NETWORKS, digit, digits, model_of
from .explorer import Explorer, Picture
from .picker import ImagePicker

BASELINES = {"black": torch.zeros_like, "white": torch.ones_like, "grey": lambda x: torch.full_like(x, 0.5),
             "blurred": lambda x: F.avg_pool2d(F.pad(x, (4, 4, 4, 4)), 9, 1),
             "random": lambda x: torch.rand(x.shape, generator=torch.Generator().manual_seed(0)),
             "another digit": lambda x: digits()[1].images}


def _read(image, network):
    """(model, image, label, its name, logits): of a picture without a label what the network takes it for."""
    model = model_of(network)
    x, label, name = digit(image)
    logits = attacks.scores(model, x)
    return model, x, logits.argmax(1) if label is None else label, name, logits


def _map(ax, maps, title):
    limit = maps.abs().max().item() or 1.0
    ax.imshow(maps.numpy(), cmap=SIGNED, vmin=-limit, vmax=limit)
    ax.set_title(title, fontsize=9)
    ax.axis("off")


def smoothgrad_picture(image=0, network="standard", sigma=0.15, samples=30):
    """A digit, a noisy copy of it, its gradient and its SmoothGrad."""
    model, x, y, name, logits = _read(image, network)
    noise = torch.randn(50, *x.shape[1:], generator=torch.Generator().manual_seed(0))
    right = (attacks.scores(model, x + sigma * noise).argmax(1) == y).float().mean().item()
    smooth = smooth_grad(model, x, y, n_samples=samples, sigma=sigma)
    figure = Figure(figsize=(9.6, 2.6), layout="constrained")
    axes = figure.subplots(1, 4)
    show_image(axes[0], x[0], f"read as {verdict(logits[0], digits().classes)}")
    show_image(axes[1], (x + sigma * noise[:1])[0].clamp(0, 1), f"a noisy copy; {100 * right:.0f} % are read as {y.item()}")
    _map(axes[2], input_gradient(model, x, y, of="logit")[0, 0], f"gradient of the logit of {y.item()}")
    _map(axes[3], smooth[0, 0], f"SmoothGrad, N = {samples}, sigma = {sigma:.2f}")
    return Picture(figure, f"SmoothGrad of {name} with {samples} samples at sigma {sigma:.2f}, {network} network: {100 * right:.0f} % of noisy copies are still read as {y.item()}.")


def smoothgrad_explorer():
    return Explorer(smoothgrad_picture, {
        "image": ImagePicker(digits(), light_on_dark=True),
        "network": w.Dropdown(options=list(NETWORKS), description="network"),
        "sigma": w.FloatSlider(value=0.15, min=0, max=1, step=0.01, description="sigma (share of the range)"),
        "samples": w.IntSlider(value=30, min=1, max=200, description="samples N"),
    }, [{"image": 3, "sigma": 0.03}, {"image": 3}, {"image": 3, "sigma": 0.6}, {"image": 3, "network": "untrained"}],
        "SmoothGrad explorer: a digit, a noisy copy, the gradient and its mean over noisy copies")


def occlusion_picture(image=0, network="standard", window=6, stride=2, cover="black"):
    """A digit, the same with the window that matters most covered, and the map of all windows."""
    model, x, y, name, logits = _read(image, network)
    baseline = BASELINES[cover](x)
    falls = occlusion(model, x, y, size=window, stride=stride, baseline=baseline)[0, 0]
    single = F.unfold(torch.arange(784.0).view(1, 1, 28, 28), window, stride=stride)[0, 0].long()    # where each window begins
    rows, columns = single // 28, single % 28
    covered = x.repeat(len(single), 1, 1, 1)
    for i, (row, column) in enumerate(zip(rows, columns)):
        covered[i, :, row:row + window, column:column + window] = baseline[0, :, row:row + window, column:column + window]
    after = attacks.scores(model, covered)
    worst = after[:, y].argmin().item()
    figure = Figure(figsize=(7.6, 2.6), layout="constrained")
    axes = figure.subplots(1, 3)
    said = verdict(after[worst], digits().classes)
    show_image(axes[0], x[0], f"read as {verdict(logits[0], digits().classes)}")
    show_image(axes[1], covered[worst], f"the window that matters most\ncovered: read as {said}")
    _map(axes[2], falls, f"fall of the logit of {y.item()}\nwindow {window}, stride {stride}")
    fall = (logits[0, y] - after[worst, y]).item()
    return Picture(figure, f"Occlusion of {name} with {cover} windows of {window} x {window} pixels, {network} network: the window that matters most lowers the logit of "
                           f"{y.item()} by {fall:.1f}; the digit is then read as {said}.")


def occlusion_explorer():
    return Explorer(occlusion_picture, {
        "image": ImagePicker(digits(), light_on_dark=True),
        "network": w.Dropdown(options=list(NETWORKS), description="network"),
        "cover": w.Dropdown(options=list(BASELINES), description="covered with"),
        "window": w.IntSlider(value=6, min=1, max=20, description="window (pixels)"),
        "stride": w.IntSlider(value=2, min=1, max=8, description="stride (pixels)"),
    }, [{"image": 3, "window": 2}, {"image": 3}, {"image": 3, "window": 12}, {"image": 3, "cover": "grey"}],
        "Occlusion explorer: a digit, its most important window covered, and the map of all windows")


def path_picture(image=0, network="standard", baseline="black", share=0.5):
    """The image at one place on the way from the baseline, the gradient there, and the probabilities along the whole way."""
    model, x, y, name, _ = _read(image, network)
    start = BASELINES[baseline](x)
    ways = torch.linspace(0, 1, 41)
    along = attacks.scores(model, torch.lerp(start, x, ways.view(-1, 1, 1, 1)))
    point = torch.lerp(start, x, share)
    here = attacks.scores(model, point)[0]
    figure = Figure(figsize=(8.6, 2.6), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=[1, 1, 1.5])
    said = verdict(here, digits().classes)
    show_image(axes[0], point[0], f"{100 * share:.0f} % of the way: {said}")
    _map(axes[1], input_gradient(model, point, y, of="logit")[0, 0], f"gradient of the logit of {y.item()} there")
    probabilities = along.softmax(1)
    other = probabilities.scatter(1, y.expand(len(along), 1), 0).amax(1)
    axes[2].plot(ways.numpy(), probabilities[:, y].flatten().numpy(), color=CLEAN, label=f"class {y.item()}")
    axes[2].plot(ways.numpy(), other.numpy(), color=ATTACKED, linestyle="--", label="the likeliest other class")
    axes[2].axvline(share, color="k", linewidth=0.8)
    axes[2].set(xlabel="share of the way", ylabel="probability", ylim=(-0.05, 1.05))
    axes[2].legend(fontsize=7)
    begins = verdict(along[0], digits().classes)
    return Picture(figure, f"From the {baseline} baseline (read as {begins}) to {name}: after {100 * share:.0f} % of the way the {network} network reads {said}.")


def path_explorer():
    return Explorer(path_picture, {
        "image": ImagePicker(digits(), light_on_dark=True),
        "network": w.Dropdown(options=list(NETWORKS), description="network"),
        "baseline": w.Dropdown(options=list(BASELINES), description="baseline"),
        "share": w.FloatSlider(value=0.5, min=0, max=1, step=0.02, description="share of the way"),
    }, [{"image": 3, "share": 0.1}, {"image": 3, "baseline": "white"}, {"image": 3, "baseline": "random", "share": 0.8}, {"image": 3, "baseline": "another digit"}],
        "Path explorer: an image between a baseline and a digit, the gradient there, the probabilities on the way")
