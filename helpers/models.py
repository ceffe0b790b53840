"""Networks, and committed weights by name. Inputs are images in [0, 1]; normalisation is each network's first layer.

    load("mnist5k/robust-l2")       a network in eval mode, its weights checked against the manifest
    load("imagenet/resnet18")       torchvision's network, weights from the data folder
"""
import functools
import hashlib
import json
import sys
from pathlib import Path

import torch
from filelock import FileLock
from torch import nn

from . import data
from ._files import whole

CHECKPOINTS = Path(__file__).parent / "checkpoints"


class Normalize(nn.Module):
    """(x - mean) / std per channel, as a layer."""

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, x):
        return (x - self.mean) / self.std


class Grey(nn.Module):
    """Each colour picture as its luminance (ITU-R BT.601), three channels alike."""

    def forward(self, x):
        return (x * torch.tensor([0.299, 0.587, 0.114], device=x.device, dtype=x.dtype).view(3, 1, 1)).sum(1, keepdim=True).expand_as(x)


def small_cnn(classes=10, width=16, hidden=100, mean=(0.1307,), std=(0.3081,)):
    """Two stride-2 convolutions of `width` and 2 `width` channels and two linear layers for 28 x 28 grey images: 166,406 weights by default."""
    return nn.Sequential(
        Normalize(mean, std),
        nn.Conv2d(1, width, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(2 * width * 7 * 7, hidden), nn.ReLU(),
        nn.Linear(hidden, classes))


def mlp(classes=10, widths=(784, 100, 100), mean=(0.1307,), std=(0.3081,)):
    """Fully connected layers with ReLUs: widths[0] inputs, then as many units a layer as the others say. Default: FC100-100-10 of Szegedy et al."""
    layers = [Normalize(mean, std), nn.Flatten()]
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))


class RBF(nn.Module):
    """Gaussian bumps exp(-|x - c|^2 / (2 w^2)) around learned centres c with learned widths w, and a linear layer on them (Broomhead & Lowe 1988).

    Far from every centre all bumps are 0, and the network falls back to its biases: it does not know, and says so.
    """

    def __init__(self, inputs, centres, classes):
        super().__init__()
        self.centres = nn.Parameter(torch.rand(centres, inputs))
        self.log_width = nn.Parameter(torch.full((centres,), inputs ** 0.5 / 4).log())
        self.linear = nn.Linear(centres, classes)

    def forward(self, x):
        x = x.flatten(1)
        distance = x.square().sum(1, keepdim=True) - 2 * x @ self.centres.T + self.centres.square().sum(1)
        return self.linear(torch.exp(-distance.clamp_min(0) / (2 * (2 * self.log_width).exp())))


def rbf(classes=10, centres=200, inputs=784):
    """A shallow RBF network for images of `inputs` values."""
    return RBF(inputs, centres, classes)


class ConvNorm(nn.Conv2d):
    """A convolution without bias and its batch norm. In eval mode both are one convolution: the same function, half the time."""

    def __init__(self, channels_in, channels, size=3, stride=1):
        super().__init__(channels_in, channels, size, stride, size // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        if self.norm.training:
            return self.norm(super().forward(x))
        scale = self.norm.weight / (self.norm.running_var + self.norm.eps).sqrt()
        return self._conv_forward(x, self.weight * scale.view(-1, 1, 1, 1), self.norm.bias - self.norm.running_mean * scale)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm around a shortcut (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.body = nn.Sequential(ConvNorm(channels_in, channels, stride=stride), nn.ReLU(), ConvNorm(channels, channels))
        self.shortcut = nn.Identity() if channels_in == channels and stride == 1 else ConvNorm(channels_in, channels, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.body(x) + self.shortcut(x))


def resnet(classes=10, width=64, blocks=(2, 2, 2, 2), stride=1, grey=False, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)):
    """A residual network for 32 x 32 colour images (the default: ResNet-18): no pooling before the blocks; blocks[i] blocks in stage i.

    The first convolution and the first stage have `width` channels, each further stage twice as many at half the resolution. stride: of the
    first convolution, for larger images. grey: the network turns its input to grey before it looks.
    """
    layers, channels = [Grey() if grey else nn.Identity(), Normalize(mean, std), ConvNorm(3, width, stride=stride), nn.ReLU()], width
    for stage, count in enumerate(blocks):
        for block in range(count):
            layers.append(ResidualBlock(channels, width * 2**stage, 2 if stage and not block else 1))
            channels = width * 2**stage
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    net.channels_last = True    # the layout in which its convolutions are fastest
    return net


def deep_cnn(classes=10, mean=(0.2860,), std=(0.3530,)):
    """Ten narrow 3 x 3 convolutions with batch norm and one linear layer for 28 x 28 grey images: 184,378 weights."""
    channels, strides = (32, 32, 32, 48, 48, 48, 56, 56, 56, 56), (1, 1, 1, 2, 1, 1, 2, 1, 1, 1)
    layers = [Normalize(mean, std)]
    for inputs, outputs, stride in zip((1, *channels), channels, strides):
        layers += [ConvNorm(inputs, outputs, stride=stride), nn.ReLU()]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], classes))
    net.channels_last = True
    return net


def alexnet(classes=10, mean=(0.2860,), std=(0.3530,)):
    """Five convolutions and three wide linear layers with dropout for 28 x 28 grey images, the sizes of one half of AlexNet: 10,463,082 weights.

    After Krizhevsky et al. 2012, whose network was split over two processors.
    """
    return nn.Sequential(
        Normalize(mean, std),
        nn.Conv2d(1, 48, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(48, 128, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(128, 192, 3, padding=1), nn.ReLU(),
        nn.Conv2d(192, 192, 3, padding=1), nn.ReLU(),
        nn.Conv2d(192, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(), nn.Linear(128 * 3 * 3, 2560), nn.ReLU(),
        nn.Dropout(), nn.Linear(2560, 2560), nn.ReLU(),
        nn.Linear(2560, classes))


NETWORKS = {network.__name__: network for network in (small_cnn, mlp, rbf, deep_cnn, alexnet, resnet)}


def build(network, classes=10, **options):
    """A fresh network by the name of its function in this module, in its random first state (torch.manual_seed decides it)."""
    if network not in NETWORKS:
        raise ValueError(f"there is no network {network!r}. There is: {', '.join(NETWORKS)}.")
    return NETWORKS[network](classes, **options)


def _manifest():
    path = CHECKPOINTS / "manifest.json"
    return _read(path, path.stat().st_mtime_ns)     # read again when a training has added to it


@functools.lru_cache(maxsize=1)
def _read(path, stamp):
    return json.loads(path.read_text())


def names(all=False):
    """The names of the checkpoints that come with the course; all=True: also of those too large for that, whose figures `info` knows."""
    return tuple(name for name, entry in _manifest().items() if all or entry.get("committed", True))


def info(name):
    """The manifest's entry: recipe, command, measured figures, file and SHA-256. Raises ValueError for an unknown name."""
    if name not in names(all=True):
        raise ValueError(f"there is no model {name!r}. There is: {', '.join(names())}; and imagenet/<name of a torchvision network>.")
    return _manifest()[name]


def load(name, device="cpu"):
    """The network `name` in eval mode on `device`.

    Raises ValueError for an unknown name or a checkpoint whose bytes are not those of the manifest, FileNotFoundError for ImageNet
    weights that are not in the data folder.
    """
    if name.startswith("imagenet/"):
        return _torchvision(name.removeprefix("imagenet/")).to(device)
    from safetensors.torch import load as parse
    entry = info(name)
    path = CHECKPOINTS / entry["file"]
    if not path.exists() and not entry.get("committed", True):
        raise FileNotFoundError(f"the weights of {name} are too large to come with the course. Train it again: {entry['command']}")
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing. Restore it with `git checkout -- {path}`.")
    raw = path.read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    if sha256 != entry["sha256"]:
        raise ValueError(f"{path} is not the file this course was made with: its SHA-256 is {sha256[:12]}..., the manifest says "
                         f"{entry['sha256'][:12]}.... Restore it with `git checkout -- {path}`.")
    model = build(entry["network"], entry["classes"], **entry["recipe"].get("options", {}))
    model.load_state_dict({key: value.float() for key, value in parse(raw).items()})
    return model.eval().to(device)


def _torchvision(name):
    model = _architecture(name)
    file = _weights_file(name)
    if not file.exists():
        raise FileNotFoundError(
            f"the weights of imagenet/{name} are not in the data folder ({file}). Get them once with `python -m helpers.models {name}`. "
            f"Always there: {', '.join(names())}.")
    weights = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict(weights)
    if name == "mobilenet_v2" and all((value == 0).all() for key, value in weights.items() if key.endswith("running_mean")):
        _pad_as_tensorflow_does(model)
    return nn.Sequential(Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), model.float()).eval()


def _pad_as_tensorflow_does(model):
    """Batch norms without statistics were folded into their convolutions, so these weights were converted from TensorFlow.

    There, stride-2 convolutions are padded at the bottom and right alone; with PyTorch's padding the same weights lose nine points of accuracy.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.padding = (0, 0)
            module.register_forward_pre_hook(lambda _, inputs: (nn.functional.pad(inputs[0], (0, 1, 0, 1)),))


def _weights_file(name):
    return data.folder() / "weights" / f"{name}_imagenet.pth"


def _architecture(name):
    from torchvision import models
    if name not in models.list_models(module=models):
        raise ValueError(f"torchvision has no classification network {name!r}. There is for instance resnet18 or squeezenet1_0.")
    # These two were converted from TensorFlow with a normalisation of their own, which torchvision switches on with the weights only.
    theirs = {"transform_input": True, "init_weights": False} if name in ("inception_v3", "googlenet") else {}
    return models.get_model(name, weights=None, **theirs)


def download(name):
    """Fetch torchvision's ImageNet weights of the network `name` into the data folder (their hash is checked), whole or not at all."""
    from torchvision.models import get_model_weights
    _architecture(name)
    file = _weights_file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        if not file.exists():
            state = get_model_weights(name).DEFAULT.get_state_dict(progress=True, check_hash=True)
            with whole(file) as part:
                torch.save(state, part)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m helpers.models NAME   fetches the ImageNet weights of a torchvision network, say resnet18")
    try:
        download(sys.argv[1])
    except (OSError, ValueError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    print(f"imagenet/{sys.argv[1]}: ready in {_weights_file(sys.argv[1])}")
