"""Feature visualisation at 224 x 224, with a pretrained network of torchvision (unit 07): MobileNetV2 (standard training) and 200 photographs of ImageNet.

    python -m experiments.neurons224        about two minutes on one core; writes results/neurons224.png and results/neurons224.json

For three neurons (200, 500 and 1444 of 2,048, at the same share of this network's 1,280): the photographs that excite it most; maximised from a photograph, from noise, from grey;
and as a sum of waves, without and with random transforms. Activations are those before the last ReLU6.
"""
import functools
import json
import time
from pathlib import Path

import torch
from matplotlib.figure import Figure

from helpers import data, models, plots
from helpers._files import whole
from helpers.visualisation import jitter_scale_rotate, maximize, maximize_waves
from .neurons import save

RESULTS = Path(__file__).parent.parent / "results"
NETWORK, NEURONS, STEPS, WAVES = "imagenet/mobilenet_v2", (125, 312, 902), 64, 128


def before_relu6(model, images):
    """The representation without the last layer's ReLU6, averaged over places: N x 1,280. With it, a neuron that is off (or full) leaves nothing to climb."""
    normalise, network = model
    convolution, norm, _ = network.features[-1]
    return norm(convolution(network.features[:-1](normalise(images)))).mean((2, 3))


def images_of(model, neuron, photograph, steps=STEPS, waves=WAVES):
    """Title -> (image, seconds)."""
    def objective(x):
        return before_relu6(model, x)[:, neuron]
    noise = (0.5 + torch.randn(photograph.shape, generator=torch.Generator().manual_seed(0)) / 20).clamp(0, 1)
    ways = {"from a photograph": lambda: maximize(objective, photograph, steps=steps, step_size=2.0),
            "from noise": lambda: maximize(objective, noise, steps=steps, step_size=2.0),
            "from grey": lambda: maximize(objective, torch.full_like(noise, 0.5), steps=steps, step_size=2.0),
            "waves": lambda: maximize_waves(objective, tuple(noise.shape), steps=waves, transform=None),
            "waves, moved": lambda: maximize_waves(objective, tuple(noise.shape), steps=waves, transform=functools.partial(jitter_scale_rotate, jitter=16))}
    made = {}
    for title, way in ways.items():
        began = time.perf_counter()
        made[title] = way(), round(time.perf_counter() - began, 1)
    return made


def main(folder=RESULTS, neurons=NEURONS, some=None, model=None, **options):
    model, some = models.load(NETWORK) if model is None else model, some or data.load("imagenet200")
    with torch.no_grad():
        seen = torch.cat([before_relu6(model, part) for part in some.images.split(20)])
    rows, figure = [], Figure(figsize=(13.6, 2.2 * len(neurons)), layout="constrained")
    axes = figure.subplots(len(neurons), 8, squeeze=False)
    photograph = some[[i for i, label in enumerate(some.labels.tolist()) if "elephant" in some.classes[label]][:1] or [0]]
    for line, neuron in zip(axes, neurons):
        best = seen[:, neuron].topk(min(3, len(some))).indices.tolist()
        for ax, i in zip(line, best):
            plots.show_image(ax, some.images[i], f"{some.classes[some.labels[i]]}: {seen[i, neuron]:.1f}")
        made = images_of(model, neuron, photograph.images, **options)
        row = {"neuron": neuron, "photographs": [some.classes[some.labels[i]] for i in best], "their values": [round(seen[i, neuron].item(), 2) for i in best]}
        for ax, (title, (image, seconds)) in zip(line[3:], made.items()):
            with torch.no_grad():
                value = before_relu6(model, image)[0, neuron].item()
            row[title] = {"value": round(value, 2), "seconds": seconds}
            plots.show_image(ax, image[0], f"{title}: {value:.1f}")
        rows.append(row)
        print(json.dumps(row), flush=True)
    for ax in axes.flat:
        ax.axis("off")
    save(figure, folder / "neurons224.png", dpi=100)
    with whole(folder / "neurons224.json") as part:
        part.write_text(json.dumps({"network": NETWORK, "photographs": len(some), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
