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


NETWORKS = {"small_cnn": small_cnn}


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
