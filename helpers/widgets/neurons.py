"""Unit 07: what excites a neuron, and an image that is moved until its features are those of another one."""
import functools
import threading

import ipywidgets as w
import torch
from matplotlib.figure import Figure

from .. import data, models
from ..plots import ATTACKED, CLEAN, show_image
from ..visualisation import features, invert, maximize
from .digits import digits
from .explorer import Explorer, Picture
from .picker import ImagePicker
from .saliency import COLOUR_NETWORKS, samples

NETWORKS = {"robust (L2)": "cifar10/robust-l2", "standard": "cifar10/standard", "digits, robust (L2)": "mnist5k/robust-l2", "digits, standard": "mnist5k/standard"}
BOTH = {"grey": 0.5, "noise": 0, "another noise": 1}
STARTS = {True: BOTH | {"a 6 (digit 0)": "0", "a 3 (digit 1)": "1", "an 8 (digit 3)": "3"},      # by whether the network reads digits
          False: BOTH | {"red": (0.8, 0.2, 0.2), "blue": (0.2, 0.4, 0.8), "a ship (picture 1)": "1", "a frog (picture 4)": "4", "a car (picture 6)": "6"}}
LAST = {True: 99, False: 255}       # the last neuron
EVERY = 10      # steps between two pictures
READ = 500     # test pictures between two pictures


_asking = threading.RLock()      # features are read off by hooks, and those of two threads in one network would mix: one at a time, in networks of our own


@functools.cache
def network_of(name):
    return models.load(name)


def reads_digits(name):
    return name.startswith("mnist5k")


def start_image(start, of_digits=False):
    what, shape = STARTS[of_digits][start], (1, 1, 28, 28) if of_digits else (1, 3, 32, 32)
    if isinstance(what, str):
        return (digits() if of_digits else samples()).images[int(what)][None]
    if isinstance(what, int):
        return (0.5 + torch.randn(shape, generator=torch.Generator().manual_seed(what)) / 20).clamp(0, 1)
    return torch.as_tensor(what).view(1, -1, 1, 1).expand(shape).contiguous()


@functools.cache
def real(of_digits):
    """The images that a neuron may like best: the test digits; CIFAR-10's 10,000 test pictures where they are, else the twenty samples."""
    return digits() if of_digits else data.load("cifar10") if data.available("cifar10") else samples()


def _features(name, images):
    with _asking:
        return features(network_of(name), images)


_seen = {}      # network -> the features of its real images, as far as they have been read


def _reading(name):
    """Yields the features of all real images that have been read so far, each time there are more."""
    images = real(reads_digits(name)).images
    while True:
        with _asking:       # another explorer's thread may be reading, too
            read = _seen.get(name, torch.empty(0))
            if len(read) < len(images):
                _seen[name] = torch.cat([read, _features(name, images[len(read):len(read) + READ])])
        yield _seen[name]
        if len(_seen[name]) == len(images):
            return


def neuron_picture(neuron=249, network="robust (L2)", start="grey", steps=40, step_size=0.3):
    """The test images that excite a neuron most, beside an image that is moved, step by step, to excite it. Grows."""
    name = NETWORKS[network]
    x = start_image(start, reads_digits(name))
    drawn = functools.partial(_neuron, neuron, network, start, x, steps)
    reached, done = [_features(name, x)[0, neuron].item()], 0
    reading = _reading(name)
    seen = next(reading)
    yield drawn(x, seen[:, neuron], reached, done)
    while True:
        read = next(reading, None)
        if read is None and done == steps:
            return
        seen = seen if read is None else read
        if done < steps:
            several = min(EVERY, steps - done)
            with _asking:
                x = maximize(lambda x: features(network_of(name), x, straight_through=True)[:, neuron], x, steps=several, step_size=step_size)
            done += several
            reached.append(_features(name, x)[0, neuron].item())
        yield drawn(x, seen[:, neuron], reached, done)


def _neuron(neuron, network, start, begin, steps, x, seen, reached, done):
    some, best = real(reads_digits(NETWORKS[network])), seen.topk(6).indices.tolist()
    classes, what = [some.classes[some.labels[i]] for i in best], "digits" if reads_digits(NETWORKS[network]) else "pictures"
    figure = Figure(figsize=(9, 3.4))
    grid = figure.add_gridspec(2, 5, width_ratios=[1, 1, 1, 1.15, 2.2], left=0.01, right=0.99, bottom=0.02, top=0.85, wspace=0.1, hspace=0.25)
    for k, i in enumerate(best):
        show_image(figure.add_subplot(grid[k // 3, k % 3]), some.images[i], f"{classes[k]}: {seen[i]:.1f}")
    show_image(figure.add_subplot(grid[0, 3]), begin[0], f"start: {reached[0]:.1f}")
    curve = figure.add_subplot(grid[1, 3])
    curve.plot([min(EVERY * k, done) for k in range(len(reached))], reached, color=CLEAN)
    curve.set(xlim=(0, max(steps, 1)), xticks=[], yticks=[])
    curve.set_title("activation, by step", fontsize=9)
    show_image(figure.add_subplot(grid[:, 4]), x[0], f"after {done} of {steps} steps: {reached[-1]:.1f}")
    of = f"{len(seen):,} test {what}" + (f" (of {len(some):,}, still reading)" if len(seen) < len(some) else " (the samples; all 10,000 where CIFAR-10 is)" if len(some) == 20 else "")
    figure.text(0.01, 0.95, f"neuron {neuron}, {network} network: of {of} those that excite it most", fontsize=9)
    commonest = max(sorted(set(classes)), key=classes.count)
    said = f"{classes.count(commonest)} of the six of {len(seen):,} test {what} that excite it most show class {commonest} (activations {seen[best[-1]]:.1f} to {seen[best[0]]:.1f})." if seen[best[0]] > 0 \
        else f"It fires for none of {len(seen):,} test {what}."
    return Picture(figure, f"Neuron {neuron} of the {network} network. {said} From {start}, {done} of {steps} steps take the activation from {reached[0]:.1f} to {reached[-1]:.1f}.",
                   (len(seen) + done * READ / EVERY) / (len(some) + steps * READ / EVERY))


def neuron_explorer():
    neuron = w.IntSlider(value=249, min=0, max=255, description="neuron")
    network = w.Dropdown(options=list(NETWORKS), value="robust (L2)", description="network")
    start = w.Dropdown(options=list(STARTS[False]), description="start")

    def fit(change):
        of_digits, kept = reads_digits(NETWORKS[network.value]), start.value
        neuron.max = LAST[of_digits]
        if tuple(STARTS[of_digits]) != start.options:
            start.options = tuple(STARTS[of_digits])
            start.value = kept if kept in STARTS[of_digits] else "grey"
    network.observe(fit, "value")

    def drawn(neuron=249, network="robust (L2)", start="grey", **others):
        of_digits = reads_digits(NETWORKS[network])
        if neuron <= LAST[of_digits] and start in STARTS[of_digits]:        # else the controls are on their way to another network
            yield from neuron_picture(neuron, network, start, **others)
    return Explorer(drawn, {
        "neuron": neuron,
        "network": network,
        "start": start,
        "steps": w.IntSlider(value=40, min=0, max=100, step=5, description="steps"),
        "step_size": w.FloatSlider(value=0.3, min=0.1, max=1.0, step=0.1, description="length of a step (L2)"),
    }, [{"neuron": 249}, {"neuron": 180, "start": "noise"}, {"neuron": 9, "start": "a car (picture 6)"}, {"neuron": 3, "network": "digits, robust (L2)", "start": "noise"}, {"neuron": 43, "network": "standard"}],
        "Neuron explorer: the test images that excite a neuron, and an image that is moved to excite it", 1.0)


STEPS = 100
_paths = {}     # (wanted, start, network) -> the path so far, a list of (image, relative distance of its features)


def _path(wanted, begin, network, steps):
    """The path of an inversion, every EVERY steps, which get shorter; goes on from what is there. Yields each time it has grown."""
    name, key = COLOUR_NETWORKS[network], (wanted.numpy().tobytes(), begin.numpy().tobytes(), network)
    if len(_paths) > 40 and key not in _paths:
        _paths.clear()
    path, goal = _paths.setdefault(key, []), _features(name, wanted)

    def gap(x):
        return ((_features(name, x) - goal).norm() / goal.norm()).item()
    while len(path) <= steps // EVERY:
        with _asking:       # another explorer's thread may be at the same path
            if not path:
                path.append((begin, gap(begin)))
            x = invert(network_of(name), wanted, path[-1][0], steps=EVERY, step_size=0.5 * 0.8 ** (len(path) - 1))
            path.append((x, gap(x)))
        yield path
    yield path


FROM = ("noise", "grey", "the next picture")


def inversion_picture(image=1, start="noise", step=100):
    """An image that two networks cannot tell from a wanted one, or soon will not: at one step of the way there. Grows until that step is reached."""
    if isinstance(image, torch.Tensor):
        wanted, name = image, "your picture"
        after = samples().images[:1]
    else:
        wanted, name = samples().images[image:image + 1], f"picture {image} ({samples().classes[samples().labels[image]]})"
        after = samples().images[(image + 1) % len(samples())][None]
    begin = after if start == "the next picture" else start_image(start)
    ways = {network: _path(wanted, begin, network, step) for network in COLOUR_NETWORKS}
    paths = {network: next(way) for network, way in ways.items()}
    while True:
        done = min(len(path) - 1 for path in paths.values())
        enough = done >= step // EVERY
        yield _inversion(wanted, begin, name, start, paths, step // EVERY if enough else done, 1.0 if enough else done * EVERY / step)
        if enough:
            return
        for way in ways.values():
            next(way, None)


def _inversion(wanted, begin, name, start, paths, at, done):
    figure = Figure(figsize=(9.8, 2.3))
    axes = figure.subplots(1, 6, width_ratios=[1, 1, 1, 1, 0.1, 1.2])[[0, 1, 2, 3, 5, 4]]
    axes[5].axis("off")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.2, top=0.88, wspace=0.1)
    show_image(axes[0], wanted[0], "wanted")
    show_image(axes[1], begin[0], f"start: {start}")
    words = []
    for ax, (network, path), colour, line in zip(axes[2:4], paths.items(), (CLEAN, ATTACKED), ("-", "--")):
        x, gap = path[at]
        show_image(ax, x[0], f"{network}, step {EVERY * at}")
        axes[4].plot(range(0, EVERY * at + 1, EVERY), [gap for _, gap in path[:at + 1]], line, color=colour, label=network)
        words.append(f"{network}: features {path[0][1]:.2f} to {gap:.2f}, pixels {(begin - wanted).norm():.1f} to {(x - wanted).norm():.1f}")
    axes[4].set(xlim=(0, STEPS), ylim=(0, None), xticks=[0, 50, 100])
    axes[4].set_title("relative distance of features", fontsize=9)
    axes[4].set_xlabel("step", fontsize=8)
    axes[4].legend(fontsize=7)
    axes[4].tick_params(labelsize=7)
    return Picture(figure, f"Looking for the features of {name} from {start}, after {EVERY * at} steps. Distance to the wanted picture, at the start and now: " + "; ".join(words) + ".", done)


def inversion_explorer():
    return Explorer(inversion_picture, {
        "image": ImagePicker(samples(), value=1),
        "start": w.Dropdown(options=list(FROM), description="from"),
        "step": w.IntSlider(value=60, min=0, max=STEPS, step=EVERY, description="step"),
    }, [{"image": 1, "step": 10}, {"image": 1, "step": 100}, {"image": 9, "start": "the next picture", "step": 100}],
        "Inversion explorer: an image on its way to the features of another one, for two networks", 1.0)
