"""Unit 06: class traversal as a player and as a film, one attack on two networks, and adversarial training watched while it goes on."""
import functools
import queue
import threading
import warnings

import ipywidgets as w
import torch
from matplotlib.figure import Figure

from .. import attacks, data, models
from ..attribution import input_gradient
from ..plots import ATTACKED, CLEAN, SIGNED, show_image, verdict
from ..training import train
from ..visualisation import class_traversal
from .attack import norm_and_eps
from .digits import digit, digits, model_of
from .explorer import Explorer, Picture, in_words
from .film import Film, save_gif
from .picker import ImagePicker

TWO = ("standard", "robust (L2)")       # the same but for their training
STEPS = 50
FROM_TO = ((5, 0), (2, 0), (6, 0), (8, 0), (4, 0), (8, 3))
EVERY = 4           # the film shows every fourth step, in sixteen shades of grey: a committed one may have a megabyte


# ---- class traversal ----

@functools.cache
def _bank():
    return data.load("mnist5k", "train")


@functools.lru_cache(maxsize=40)
def _path(network, image, target, step_size):
    """The images on the way, STEPS + 1 x 1 x 28 x 28, and how far each is (L2) from the nearest real training digit of the target."""
    x, _, _ = digit(image)
    path = class_traversal(model_of(network), x, torch.tensor([target]), of="logit", step_size=step_size, steps=STEPS)[:, 0]
    real = _bank().images[_bank().labels == target].flatten(1)
    return path, torch.cdist(path.flatten(1), real).amin(1)


def traversal_picture(image=0, target="0", step_size=0.5, step=40):
    """A digit, what it has become after `step` steps uphill on the target's score on either network, and how near that is to real digits."""
    x, label, name = digit(image)
    figure = Figure(figsize=(9, 2.6))
    axes = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.7])
    figure.subplots_adjust(left=0.01, right=0.985, bottom=0.19, top=0.88, wspace=0.2)
    show_image(axes[0], x[0], f"the digit: {'yours' if label is None else label.item()}")
    said = []
    for ax, network, colour, line in zip(axes[1:], TWO, (ATTACKED, CLEAN), ("--", "-")):
        path, distance = _path(network, image, int(target), step_size)
        read = verdict(attacks.scores(model_of(network), path[step:step + 1])[0], digits().classes)
        show_image(ax, path[step], f"{network}: {read}")
        axes[3].plot(distance, line, color=colour, label=network)
        said.append(f"on the {network} network it is read as {read} and is {distance[step]:.1f} away from the nearest real {target}")
    axes[3].axvline(step, color="black", linestyle=":")
    axes[3].set_xlabel("step", fontsize=8)
    axes[3].set_title(f"distance to the nearest real {target} (L2)", fontsize=9)
    axes[3].tick_params(labelsize=7)
    axes[3].legend(fontsize=7, loc="upper left")
    return Picture(figure, f"From {name} {step} steps of {step_size:.1f} towards {target}: " + "; ".join(said) + ".")


class TraversalPlayer(Explorer):
    """The explorer whose steps play like a film, and are saved as one."""

    def __init__(self):
        step = w.IntSlider(value=40, min=0, max=STEPS, description="step")
        super().__init__(traversal_picture, {
            "image": ImagePicker(digits(), light_on_dark=True), "target": w.Dropdown(options=[str(c) for c in range(10)], description="target"),
            "step_size": w.FloatSlider(value=0.5, min=0.1, max=2, step=0.1, description="step size (L2)"), "step": step,
        }, [{"image": _first(5), "target": "0", "step": 0}, {"image": _first(5), "target": "0", "step": 20}, {"image": _first(5), "target": "0", "step": 50},
            {"image": _first(4), "target": "0"}, {"image": _first(8), "target": "3"}],
            "Traversal explorer: a digit on its way to another, on a standard and a robust network")
        self.player, self.saved = w.Play(min=0, max=STEPS, interval=250, description="play", show_repeat=True), w.HTML()
        w.jslink((self.player, "value"), (step, "value"))
        self.save = w.Button(description="save as GIF", tooltip="write the film into the folder of this notebook", icon="download")
        self.save.on_click(lambda button: self.work.put(self._save))
        self.children = (*self.children[:2], w.HBox([self.player, self.save]), *self.children[2:], self.saved)

    def _save(self, outdated):
        frames, settings = [], self.settings()
        try:
            for step in range(0, STEPS + 1, 2):
                frames.append(traversal_picture(**settings | {"step": step}).png())
                self.progress.show(step / STEPS)
                if outdated():
                    return
            self.saved.value = save_gif(frames, "traversal", fps=6)
        except (OSError, ValueError) as error:
            self.saved.value = in_words(error)


def _first(label, nth=0):
    """The place of the nth digit of this class among the test digits."""
    return (digits().labels == label).nonzero()[nth, 0].item()


def traversal_explorer():
    return TraversalPlayer()


def traversal_frames(pairs=FROM_TO, step_size=0.5, steps=STEPS, every=EVERY):
    """Pictures of several digits on their way, the standard network above, the robust one below."""
    start = digits()[[_first(source, nth=2) for source, _ in pairs]]
    targets = torch.tensor([target for _, target in pairs])
    paths = [class_traversal(model_of(network), start.images, targets, of="logit", step_size=step_size, steps=steps) for network in TWO]
    for step in range(0, steps + 1, every):
        figure = Figure(figsize=(0.875 * len(pairs) + 0.65, 2.2))
        axes = figure.subplots(2, len(pairs))
        figure.subplots_adjust(left=0.11, right=0.99, bottom=0.01, top=0.84, wspace=0.05, hspace=0.05)
        for row, path, network in zip(axes, paths, TWO):
            for ax, image, (source, target) in zip(row, path[step], pairs):
                show_image(ax, (15 * image).round() / 15, f"{source} to {target}" if network == TWO[0] else "")
            row[0].text(-0.1, 0.5, network.replace(" ", "\n"), transform=row[0].transAxes, ha="right", va="center", fontsize=8)
        figure.suptitle(f"after {step} steps of {step_size}", fontsize=9)
        yield Picture(figure, f"After {step} steps of length {step_size}.", (step + 1) / (steps + 1))


def traversal_film():
    return Film(traversal_frames(), total=STEPS // EVERY + 1, name="traversal", fps=4,
                describe="Film: six digits on their way to another class, above on the standard network, below on the robust one")


# ---- the attack duel ----

def duel_picture(image=0, norm="l2", target="any other", eps=2.0, steps=20, stride=2.5):
    """The same attack, PGD with the same budget, on the standard and the robust network: changes, results, losses. stride: steps x step size / eps."""
    x, label, name = digit(image)
    figure = Figure(figsize=(10.4, 2.3))
    axes = figure.subplots(1, 6, width_ratios=[1, 1, 1, 1, 1, 1.5])
    figure.subplots_adjust(left=0.005, right=0.99, bottom=0.19, top=0.8, wspace=0.16)
    show_image(axes[0], x[0], "image")
    words = []
    for i, (network, colour, line) in enumerate(zip(TWO, (ATTACKED, CLEAN), ("--", "-"))):
        model, losses = model_of(network), []
        towards = (attacks.scores(model, x).argmax(1) if label is None else label) if target == "any other" else torch.tensor([int(target)])
        result = attacks.pgd(model, x, towards, eps=eps, norm=norm, steps=steps, step_size=stride * eps / steps, targeted=target != "any other", keep="last",
                             callback=lambda step, at, values, losses=losses: losses.append(abs(values.item())))
        before, after = (verdict(logits, digits().classes) for logits in attacks.scores(model, torch.cat([x, result])))
        delta = result - x
        show_image(axes[1 + 2 * i], delta[0], f"change, L2 {delta.norm():.2f},\nlargest {delta.abs().max():.2f}", signed=True, limit=0.5)
        show_image(axes[2 + 2 * i], result[0], f"{network}:\n{before} to {after}")
        axes[5].plot(losses, line, marker="o", markersize=2, color=colour, label=network)
        words.append(f"the {network} network reads {name} as {before}, after the attack as {after}")
    axes[5].set_title("loss of " + ("the label" if target == "any other" else f"the target {target}"), fontsize=9)
    axes[5].set_xlabel("step", fontsize=8)
    axes[5].tick_params(labelsize=7)
    axes[5].legend(fontsize=7)
    return Picture(figure, f"PGD, {steps} steps of {stride * eps / steps:.2f}, eps {eps:.2f}: " + "; ".join(words) + ".")


def duel_explorer():
    norm, eps = norm_and_eps("l2", 8)
    return Explorer(duel_picture, {
        "image": ImagePicker(digits(), light_on_dark=True), "norm": norm, "target": w.Dropdown(options=["any other", *map(str, range(10))], description="target class"), "eps": eps,
        "steps": w.IntSlider(value=20, min=1, max=40, description="steps"),
        "stride": w.FloatSlider(value=2.5, min=0.25, max=10, step=0.25, description="steps x step size (in eps)"),
    }, [{"image": 3}, {"image": 3, "eps": 4.0}, {"image": 3, "target": "0", "eps": 8.0}, {"image": 3, "norm": "linf", "eps": 0.15}],
        "Duel explorer: one attack with one budget, on a standard and on a robust network")


# ---- the training dashboard ----

INNER = {"none": None, "one step": dict(objective="mixed", alpha=0.0), "one step, random start": dict(objective="single-step"), "seven steps": dict(objective="pgd")}
_finished = {}      # settings -> what was seen after each epoch


class _Stopped(Exception):
    pass


def _look(network, norm, eps):
    """On 200 test digits: accuracy clean, after one step, after ten; and the gradient for six of them, each on its own scale."""
    test, six = digits()[:200], digits().per_class(1)[[0, 2, 3, 4, 5, 8]]
    one = attacks.normalized_gradient(network, test.images, test.labels, eps=eps, norm="l2") if norm == "l2" else attacks.fgsm(network, test.images, test.labels, eps=eps)
    ten = attacks.pgd(network, test.images, test.labels, eps=eps, norm=norm, steps=10, keep="first")
    maps = input_gradient(network, six.images, six.labels, of="logit")
    return [attacks.accuracy(network, images, test.labels) for images in (test.images, one, ten)], maps / maps.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)


def epochs_of(inner, norm, eps, epochs):
    """Train the small network on 1,000 digits; yields what `_look` sees after each epoch. Training is a thread of its own, which ends when the generator does."""
    some, seen, stopped = data.load("mnist5k", "train")[:1000], queue.Queue(), threading.Event()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = models.small_cnn()

    def after_a_minibatch(network, step):
        if stopped.is_set():
            raise _Stopped
        if (step + 1) % 20 == 0:
            seen.put(_look(network, norm, eps))

    def work():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")     # of catastrophic overfitting, which the picture shows
                train(network, some.images, some.labels, epochs=epochs, batch_size=50, progress=False, callback=after_a_minibatch,
                      **(dict(norm=norm, eps=eps, **INNER[inner]) if INNER[inner] else {}))
            seen.put(None)
        except _Stopped:
            pass
        except Exception as error:
            seen.put(error)
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        while (found := seen.get()) is not None:
            if isinstance(found, Exception):
                raise found
            yield found
    finally:
        stopped.set()
        worker.join()


def dashboard_picture(epochs=8, inner="seven steps", norm="l2", eps=1.5):
    """A generator of pictures, one after each epoch: accuracies so far, and gradients now. What was trained once is kept."""
    settings, seen = (epochs, inner, norm, eps), []
    if settings in _finished:
        yield _dashboard(settings, _finished[settings])
        return
    for look in epochs_of(inner, norm, eps, epochs):
        seen.append(look)
        yield _dashboard(settings, seen)
    _finished[settings] = seen


def _dashboard(settings, seen):
    epochs, inner, norm, eps = settings
    figure = Figure(figsize=(8.4, 2.9))
    grid = figure.add_gridspec(2, 4, width_ratios=[3.2, 1, 1, 1], left=0.07, right=0.99, bottom=0.16, top=0.86, wspace=0.1, hspace=0.06)
    ax = figure.add_subplot(grid[:, 0])
    shares = 100 * torch.tensor([look[0] for look in seen])
    for values, label, line in zip(shares.T, ("clean", "after one step", "after ten steps"), ("o-", "s--", "^:")):
        ax.plot(range(1, len(seen) + 1), values, line, markersize=4, label=label)
    ax.set(xlim=(0.8, epochs + 0.2), ylim=(-3, 103), xlabel="epoch")
    ax.set_title(f"200 test digits, right (%), {'L2' if norm == 'l2' else 'L-infinity'} {eps:g}", fontsize=9)
    ax.legend(fontsize=7)
    for i, image in enumerate(seen[-1][1]):
        cell = figure.add_subplot(grid[i // 3, 1 + i % 3])
        cell.imshow(image[0].numpy(), cmap=SIGNED, vmin=-1, vmax=1)
        cell.axis("off")
        if i == 1:
            cell.set_title("gradients of the logits of 0, 2, 3, 4, 5, 8", fontsize=8)
    clean, one, ten = shares[-1]
    return Picture(figure, f"Trained with the inner attack: {inner}, {'L2' if norm == 'l2' else 'L-infinity'} {eps:.2f}. After epoch {len(seen)} of {epochs} {clean:.0f} % of 200 test digits are right, "
                           f"{one:.0f} % after one step, {ten:.0f} % after ten.", len(seen) / epochs)


def dashboard_explorer():
    eps = w.FloatSlider(value=1.5, min=0.5, max=3, step=0.5, description="eps (L2 length)", continuous_update=False)
    norm = w.Dropdown(options=[("L2", "l2"), ("L-infinity", "linf")], description="norm")

    def sensible_range(change):
        if norm.value == "linf":
            eps.min, eps.max, eps.step, eps.value, eps.description = 0.05, 0.4, 0.05, 0.2, "eps (largest pixel change)"
        else:
            eps.max, eps.value, eps.min, eps.step, eps.description = 3, 1.5, 0.5, 0.5, "eps (L2 length)"
    norm.observe(sensible_range, "value")
    return Explorer(dashboard_picture, {
        "epochs": w.IntSlider(value=8, min=4, max=20, step=4, description="epochs", continuous_update=False),
        "inner": w.Dropdown(options=list(INNER), value="seven steps", description="inner attack"), "norm": norm, "eps": eps,
    }, [{"inner": "none"}, {"inner": "seven steps"}],
        "Training explorer: accuracy clean and attacked, and what the network looks at, epoch by epoch", budget=10)
