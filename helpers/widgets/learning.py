"""Unit 01: what two attributions show while a network learns, as a film."""
import torch
from matplotlib.figure import Figure

from .. import attacks, data, models
from ..attribution import gradient_x_input, input_gradient
from ..plots import SIGNED
from ..training import train
from .explorer import Picture
from .film import Film


def recorded(images, labels, epochs=3, every=8):
    """Train a small network on `mnist5k`: (minibatches, accuracy, maps) before it, after each of the first ten minibatches, then after every `every`.

    maps: gradient x input of the logit and the gradient of the loss of `images`, 2 x N x C x H x W, each scaled to a largest value of 1.
    """
    digits, test = data.load("mnist5k", "train"), data.load("mnist5k")[:500]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = models.small_cnn()
    moments = []

    def look(network, step):
        if step < 10 or step % every == 0:
            maps = torch.stack([gradient_x_input(network, images, labels), input_gradient(network, images, labels)])
            moments.append((step + 1, attacks.accuracy(network, test.images, test.labels),
                            maps / maps.abs().amax((2, 3, 4), keepdim=True).clamp_min(1e-12)))
    look(network, -1)
    train(network, digits.images, digits.labels, epochs=epochs, progress=False, callback=look)
    return moments


def frames(which=range(6), epochs=3, every=8):
    """Pictures of the film: the digits, their gradient x input, their loss's gradient, after so many minibatches."""
    test = data.load("mnist5k").per_class(1)[list(which)]
    moments = recorded(test.images, test.labels, epochs, every)
    for number, (step, accuracy, maps) in enumerate(moments):
        figure = Figure(figsize=(5, 2.75))
        axes = figure.subplots(3, len(test))
        figure.subplots_adjust(left=0.15, right=0.99, bottom=0.01, top=0.89, wspace=0.05, hspace=0.05)
        for column, image in enumerate(test.images):
            axes[0, column].imshow(image[0].numpy(), cmap="gray", vmin=0, vmax=1)
            for row in (0, 1):
                axes[1 + row, column].imshow(maps[row, column, 0].numpy(), cmap=SIGNED, vmin=-1, vmax=1)
        for row, name in zip(axes, ("digit", "gradient\nx input", "gradient\nof the loss")):
            row[0].text(-0.1, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=8)
            for ax in row:
                ax.axis("off")
        figure.suptitle(f"after {step} minibatches: {100 * accuracy:.0f} % of 500 test digits right", fontsize=9)
        yield Picture(figure, f"After {step} minibatches the network reads {100 * accuracy:.0f} % of 500 test digits right.", (number + 1) / len(moments))


def training_film():
    return Film(frames(), total=24, describe="Film: gradient x input and the gradient of the loss of six digits while a network learns to read",
                name="training")
