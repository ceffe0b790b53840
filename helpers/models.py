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


def small_cnn(classes=10, mean=(0.1307,), std=(0.3081,)):
    """Two stride-2 convolutions and two linear layers for 28 x 28 grey images: 166,406 weights."""
    return nn.Sequential(
        Normalize(mean, std),
        nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * 7 * 7, 100), nn.ReLU(),
        nn.Linear(100, classes))


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


def resnet18(classes=10, width=64, blocks=(2, 2, 2, 2), mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)):
    """ResNet-18 for 32 x 32 colour images: no pooling before the blocks; `width` channels in the first stage, twice as many in each further one."""
    layers, channels = [Normalize(mean, std), ConvNorm(3, width), nn.ReLU()], width
    for stage, count in enumerate(blocks):
        for block in range(count):
            layers.append(ResidualBlock(channels, width * 2**stage, 2 if stage and not block else 1))
            channels = width * 2**stage
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    net.channels_last = True    # the layout in which its convolutions are fastest
    return net


NETWORKS = {"small_cnn": small_cnn, "resnet18": resnet18}


@functools.cache
def _manifest():
    return json.loads((CHECKPOINTS / "manifest.json").read_text())


def names():
    """The names of all committed checkpoints."""
    return tuple(_manifest())


def info(name):
    """The manifest's entry: recipe, command, measured figures, file and SHA-256. Raises ValueError for an unknown name."""
    if name not in _manifest():
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
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing. Restore it with `git checkout -- {path}`.")
    raw = path.read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    if sha256 != entry["sha256"]:
        raise ValueError(f"{path} is not the file this course was made with: its SHA-256 is {sha256[:12]}..., the manifest says "
                         f"{entry['sha256'][:12]}.... Restore it with `git checkout -- {path}`.")
    model = NETWORKS[entry["network"]]()
    model.load_state_dict({key: value.float() for key, value in parse(raw).items()})
    return model.eval().to(device)


def _torchvision(name):
    model = _architecture(name)
    file = _weights_file(name)
    if not file.exists():
        raise FileNotFoundError(
            f"the weights of imagenet/{name} are not in the data folder ({file}). Get them once with `python -m helpers.models {name}`. "
            f"Always there: {', '.join(names())}.")
    model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return nn.Sequential(Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), model.float()).eval()


def _weights_file(name):
    return data.folder() / "weights" / f"{name}_imagenet.pth"


def _architecture(name):
    from torchvision import models
    if name not in models.list_models(module=models):
        raise ValueError(f"torchvision has no classification network {name!r}. There is for instance resnet18 or squeezenet1_0.")
    return models.get_model(name, weights=None)


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
