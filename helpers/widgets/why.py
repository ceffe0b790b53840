"""Unit 04: many small changes, the exact attack on a linear model, logits along a line, blind spots that transfer, and a blind test of neurons."""
import functools

import ipywidgets as w
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from .. import attacks, data, models, transfer
from ..attribution import input_gradient
from ..plots import ATTACKED, CLEAN, curves, name_ends, show_image, verdict
from ..training import train
from .digits import NETWORKS, digit, digits, model_of
from .explorer import Explorer, Picture
from .picker import ImagePicker

EXPONENTS = range(1, 15)


# ---- part 1: the dimension ----

@functools.cache
def _pushes(exponent):
    """For n = 2**exponent normal weights: what the sign does to w.x per unit of eps, and what 400 random sign vectors do."""
    generator = torch.Generator().manual_seed(exponent)
    weights = torch.randn(2 ** exponent, generator=generator)
    signs = torch.randint(0, 2, (400, 2 ** exponent), generator=generator) * 2.0 - 1
    return weights.abs().sum().item(), signs @ weights


def dimension_picture(exponent=10, eps=0.1):
    """The effect of the sign and of random signs on w.x, for all dimensions and for the chosen one."""
    sign, noise = _pushes(exponent)
    typical = eps * noise.square().mean().sqrt().item()
    figure = Figure(figsize=(9, 2.9))
    axes = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.17, top=0.96, wspace=0.2)
    counts = [2 ** k for k in EXPONENTS]
    curves(axes[0], counts, {"sign": [eps * _pushes(k)[0] for k in EXPONENTS],
                             "random signs, root mean square": [eps * _pushes(k)[1].square().mean().sqrt().item() for k in EXPONENTS],
                             "largest change of an entry": [eps] * len(counts)}, "dimension n", "change of w·x")
    axes[0].axvline(2 ** exponent, color="black", linestyle=":")
    axes[0].set(xscale="log", yscale="log", ylim=(0.005, 1e4))
    axes[0].minorticks_off()    # on two logarithmic axes they take two fifths of the time
    axes[1].hist((eps * noise).numpy(), bins=30, color=CLEAN, label="400 random signs")
    axes[1].axvline(eps * sign, color=ATTACKED, linewidth=2, linestyle="--", label="sign(w)")
    axes[1].set(xlabel=f"change of w·x, n = {2 ** exponent}", ylabel="count")
    axes[1].legend(fontsize=8)
    return Picture(figure, f"With 2^{exponent} = {2 ** exponent} weights and eps {eps:.2f}, the sign changes w·x by {eps * sign:.2f}, random signs typically by {typical:.2f}: "
                           f"{sign * eps / typical:.1f} times less.")


def dimension_explorer():
    return Explorer(dimension_picture, {
        "exponent": w.IntSlider(value=10, min=1, max=14, description="dimension n = 2 to the power"),
        "eps": w.FloatSlider(value=0.1, min=0.01, max=0.5, step=0.01, description="eps (largest change of an entry)"),
    }, [{"exponent": 4}, {"exponent": 10}, {"exponent": 14}], "Dimension explorer: what the sign and what random signs do to w·x")


# ---- part 2: logistic regression ----

@functools.cache
def _threes_and_sevens(split):
    some = data.load("mnist5k", split)
    some = some[(some.labels == 3) | (some.labels == 7)]
    return some.images.flatten(1), (some.labels == 7).float() * 2 - 1


@functools.cache
def _logistic(trained_at):
    """Weights and bias of logistic regression, 7 against 3, trained at this eps in closed form."""
    x, y = _threes_and_sevens("train")
    weights, bias = torch.zeros(784, requires_grad=True), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([weights, bias], 0.01)
    with torch.enable_grad():
        for _ in range(300):
            loss = F.softplus(trained_at * weights.abs().sum() - y * (x @ weights + bias)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return weights.detach(), bias.detach()


def linear_picture(image=0, eps=0.1, trained_at=0.0, box=False):
    """A test digit under FGSM on logistic regression, and the margins of all test digits before and after."""
    weights, bias = _logistic(trained_at)
    x, y = _threes_and_sevens("test")
    moved = x - eps * y[:, None] * weights.sign()
    moved = moved.clamp(0, 1) if box else moved
    before, after = y * (x @ weights + bias), y * (moved @ weights + bias)
    wrong = [100 * (margins <= 0).float().mean().item() for margins in (before, after)]

    def said(margin):
        score = y[image] * margin
        return f"{'7' if score > 0 else '3'} ({100 * score.abs().sigmoid():.0f} %)"
    figure = Figure(figsize=(9.6, 2.6))
    axes = figure.subplots(1, 4, width_ratios=[1, 1, 1, 2])
    figure.subplots_adjust(left=0.01, right=0.98, bottom=0.19, top=0.88, wspace=0.16)
    show_image(axes[0], x[image].view(1, 28, 28), f"digit: {said(before[image])}")
    show_image(axes[1], (moved - x)[image].view(1, 28, 28), "change", signed=True, limit=0.5)
    show_image(axes[2], moved[image].view(1, 28, 28), f"sum: {said(after[image])}")
    edges = torch.linspace(min(after.min(), before.min()).item(), max(before.max(), after.max()).item() + 1e-3, 40).numpy()
    axes[3].hist(before.numpy(), bins=edges, color=CLEAN, alpha=0.7, label=f"clean: {wrong[0]:.1f} % wrong")
    axes[3].hist(after.numpy(), bins=edges, color=ATTACKED, alpha=0.7, hatch="//", label=f"attacked: {wrong[1]:.1f} %")
    axes[3].axvline(0, color="black")
    axes[3].set(xlabel="margin of each test digit (wrong left of 0)", title=f"fall: {eps:.2f} × {weights.abs().sum():.0f}" if not box else "fall: less, the box is in the way")
    axes[3].title.set_fontsize(9)
    axes[3].legend(fontsize=7)
    return Picture(figure, f"Logistic regression trained at eps {trained_at:g}, test digit {image} of {len(x)}: {said(before[image])} becomes {said(after[image])} at eps {eps:.2f}"
                           f"{' within the box' if box else ''}. Of all test digits {wrong[0]:.1f} % are wrong before, {wrong[1]:.1f} % after.")


def linear_explorer():
    return Explorer(linear_picture, {
        "image": w.IntSlider(value=0, min=0, max=199, description="test digit (3s and 7s)"),
        "eps": w.FloatSlider(value=0.1, min=0, max=0.5, step=0.01, description="eps (largest pixel change)"),
        "trained_at": w.Dropdown(options=[("as usual", 0.0), ("at eps 0.1", 0.1), ("at eps 0.25", 0.25)], description="trained"),
        "box": w.Dropdown(options=[("may leave [0, 1]", False), ("stay in [0, 1]", True)], description="pixels"),
    }, [{"eps": 0.05}, {"eps": 0.25}, {"eps": 0.25, "trained_at": 0.25}], "Linear explorer: FGSM on logistic regression, 3 against 7, where it is exact")


# ---- part 4: along the line ----

def line_picture(image=0, network="standard", direction="sign of the gradient", eps=0.15):
    """The logits of a digit along a direction, and the digit at the chosen place of it."""
    model = model_of(network)
    x, label, name = digit(image)
    label = attacks.scores(model, x).argmax(1) if label is None else label
    if direction == "random signs":
        way = torch.randint(0, 2, x.shape, generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    else:
        way = input_gradient(model, x, label).sign()
    ts = torch.linspace(-0.5, 0.5, 81)
    logits = attacks.scores(model, torch.cat([x + ts.view(-1, 1, 1, 1) * way, x + eps * way]))
    logits, here = logits[:-1], logits[-1]
    figure = Figure(figsize=(9, 2.9))
    axes = figure.subplots(1, 3, width_ratios=[2.4, 1, 1])
    figure.subplots_adjust(left=0.07, right=0.99, bottom=0.17, top=0.9, wspace=0.1)
    true, wins = label.item(), logits.argmax(1) == label
    final = logits[-1].argmax().item()
    for c in range(10):
        axes[0].plot(ts, logits[:, c], color=CLEAN if c == true else ATTACKED if c == final else "#bbbbbb", linestyle="-" if c == true else "--", linewidth=2 if c == true else 1.2)
    axes[0].fill_between(ts, 0, 1, where=wins, color="0.9", transform=axes[0].get_xaxis_transform())
    axes[0].axvline(eps, color="black", linestyle=":")
    axes[0].set(xlim=(-0.5, 0.5), xlabel=f"t (grey: read as {true})" + (f"; orange: {final}, which wins at 0.5" if final != true else ""), ylabel="logits")
    name_ends(axes[0], logits[-1])
    there = verdict(here, digits().classes)
    show_image(axes[1], (eps * way)[0], f"change at t = {eps:.2f}", signed=True, limit=0.5)
    show_image(axes[2], (x + eps * way)[0].clamp(0, 1), f"there: {there}")
    return Picture(figure, f"Along the {direction} the {network} network reads {name} at t = {eps:.2f} as {there}; on {100 * wins.float().mean():.0f} % of the line from -0.5 to 0.5 it is read as {true}.")


def line_explorer():
    return Explorer(line_picture, {
        "image": ImagePicker(digits(), light_on_dark=True),
        "network": w.Dropdown(options=list(NETWORKS), description="network"),
        "direction": w.Dropdown(options=["sign of the gradient", "random signs"], description="direction"),
        "eps": w.FloatSlider(value=0.15, min=-0.5, max=0.5, step=0.01, description="t (eps, and its sign)"),
    }, [{"image": 3}, {"image": 3, "direction": "random signs", "eps": 0.3}, {"image": 3, "network": "robust (L2)", "eps": 0.3}],
        "Line explorer: the logits along the direction of an attack")


# ---- part 7: transfer ----

@functools.cache
def _halves():
    return torch.randperm(4000, generator=torch.Generator().manual_seed(0)).split(2000)


@functools.lru_cache(maxsize=12)
def _trained(width, half, seed):
    """A 784-width-width-10 network of one half of the digits."""
    some = data.load("mnist5k", "train")[_halves()[half]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = models.mlp(widths=(784, width, width))
    train(network, some.images, some.labels, epochs=6, shift=0, seed=seed, progress=False)
    return network


def transfer_picture(width=100, other=100, half="other digits", size=0.0, n=30):
    """M1 of one width and another network; the smallest changes found for each, tried on both. A generator: each step of the work is shown."""
    plan = {"M1": (width, 0, 0), "other": (other, int(half == "other digits"), 1)}
    networks, words = {}, f"M1 with {width} units a layer, the other network with {other}, trained on {half}"
    for name, settings in plan.items():
        yield _transfer_page(f"{words}: training {name} ...", None, None, len(networks) / 5)
        networks[name] = _trained(*settings)
    test = digits()
    read = torch.stack([~attacks.fooled(network, test.images, test.labels) for network in networks.values()]).all(0)
    some, examples = test[read][:n], {}
    for name, network in networks.items():
        yield _transfer_page(f"{words}: attacking {name} ...", None, None, (2 + len(examples)) / 5)
        found, _ = attacks.min_norm(network, some.images, some.labels, norm="l2", eps_max=5.0, halvings=8, steps=15)
        examples[name] = found
    distortion = {}
    for name, images in examples.items():
        change = images - some.images
        rms = change.square().mean((1, 2, 3), keepdim=True).sqrt()
        distortion[name] = rms.mean().item()
        examples[name] = some.images + size * change / rms.clamp_min(1e-12) if size else images
    noise = some.images + (size or distortion["M1"]) * torch.randn(some.images.shape, generator=torch.Generator().manual_seed(0))
    table = torch.tensor([[100 * attacks.fooled(network, images, some.labels).float().mean().item() for network in networks.values()] for images in [*examples.values(), noise]])
    shown = f"amplified to {size:.2f}" if size else f"as found (distortion {distortion['M1']:.3f} and {distortion['other']:.3f})"
    yield _transfer_page(f"{words}. Examples {shown}: of {n} made for M1 the other misreads {table[0, 1]:.0f} %, of those made for the other M1 misreads {table[1, 0]:.0f} %; of noise of "
                         f"that size {table[2, 0]:.0f} and {table[2, 1]:.0f} %.", table, [some.images[:3], examples["M1"][:3]], 1.0)


def _transfer_page(words, table, images, done):
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    grid = figure.add_gridspec(2, 5, width_ratios=[3, 0.3, 1, 1, 1])
    ax = figure.add_subplot(grid[:, 0])
    ax.set(xticks=(0, 1), xticklabels=("M1", "the other"), yticks=(0, 1, 2), yticklabels=("made for M1", "made for the other", "Gaussian noise"), xlabel="read by", title="misread (%)")
    ax.imshow(torch.zeros(3, 2) if table is None else table, cmap="viridis", vmin=0, vmax=100, aspect="auto")
    for row in range(3):
        for column in range(2):
            value = None if table is None else table[row, column].item()
            ax.text(column, row, "..." if value is None else f"{value:.0f}", ha="center", va="center", color="white" if value is None or value < 60 else "black")
    for row, batch in enumerate(images or ()):
        for column, image in enumerate(batch):
            show_image(figure.add_subplot(grid[row, 2 + column]), image.clamp(0, 1), ("digit" if row == 0 else "M1's example") if column == 0 else "")
    return Picture(figure, words, done)


def transfer_explorer():
    return Explorer(transfer_picture, {
        "width": w.IntSlider(value=100, min=5, max=200, step=5, description="M1: units a layer", continuous_update=False),
        "other": w.IntSlider(value=100, min=5, max=200, step=5, description="the other: units a layer", continuous_update=False),
        "half": w.Dropdown(options=["other digits", "the same digits"], description="the other learned from"),
        "size": w.Dropdown(options=[("as found", 0.0), ("amplified to 0.1", 0.1), ("amplified to 0.2", 0.2)], description="examples"),
    }, [{"size": 0.0}, {"size": 0.1}], "Transfer explorer: examples made for one network, tried on another", budget=10)


# ---- part 9: is a neuron special? ----

@functools.cache
def _hidden():
    """The last hidden layer of the standard network for the test digits, and the numbers of its units that are ever active on eight of them."""
    model = model_of("standard")
    with torch.no_grad():
        hidden = model[:-1](digits().images)
    return hidden, ((hidden > 0).sum(0) >= 8).nonzero()[:, 0]


def _question(number):
    """The images of row A and row B (their places in the test set), and which of the two is the neuron."""
    hidden, units = _hidden()
    generator = torch.Generator().manual_seed(number)
    unit = units[torch.randint(len(units), (1,), generator=generator)]
    direction = torch.randn(hidden.shape[1], generator=generator)
    rows = [hidden[:, unit].flatten().topk(8).indices, (hidden @ direction).topk(8).indices]
    neuron = "AB"[torch.randint(2, (1,), generator=generator).item()]
    return (rows if neuron == "A" else rows[::-1]), neuron


def blind_picture(question=1, answer="not yet"):
    """Two rows of images, one of a neuron, one of a random direction; which is which only after an answer."""
    rows, neuron = _question(question)
    figure = Figure(figsize=(8, 2.8))
    axes = figure.subplots(2, 8)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=0.92, wspace=0.05, hspace=0.2)
    for name, places, line in zip("AB", rows, axes):
        for ax, place in zip(line, places):
            show_image(ax, digits().images[place])
        shown = name if answer == "not yet" else f"{name}: {'the neuron' if name == neuron else 'a random direction'}{' (your answer)' if name == answer else ''}"
        line[0].set_title(shown, fontsize=10, loc="left")
    if answer == "not yet":
        words = f"Question {question}: which row shows what most excites a neuron, A or B? The other belongs to a random direction of the same layer."
    else:
        words = f"Question {question}: you said {answer}. {'Right' if answer == neuron else 'No'}: {neuron} is the neuron."
    return Picture(figure, words)


def blind_explorer():
    return BlindTest()


class BlindTest(Explorer):
    """The explorer that keeps score: the first answer to each question counts, and a new question hides its answer."""

    def __init__(self):
        self.given, self.score = {}, w.HTML()
        question = w.IntSlider(value=1, min=1, max=30, description="question")
        answer = w.Dropdown(options=["not yet", "A", "B"], description="the neuron is in row")
        question.observe(lambda change: setattr(answer, "value", "not yet"), "value")
        answer.observe(lambda change: self._count(question.value, answer.value), "value")
        super().__init__(blind_picture, {"question": question, "answer": answer}, [{"question": 1}, {"question": 2, "answer": "A"}],
                         "Blind test explorer: is it a neuron or a random direction that these images excite most?")
        self.children = (*self.children, self.score)
        self._count(1, "not yet")

    def _count(self, question, answer):
        if answer != "not yet":
            self.given.setdefault(question, answer == _question(question)[1])
        right, asked = sum(self.given.values()), len(self.given)
        self.score.value = f"Score: {right} right of {asked} answered. Guessing would get {asked / 2:g}." if asked else "Score: nothing answered yet. The first answer to a question counts."
