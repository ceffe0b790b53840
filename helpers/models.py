"""Networks, and committed weights by name. Inputs are images in [0, 1]; normalisation is each network's first layer.

    load("mnist5k/robust-l2")       a network in eval mode, its weights checked against the manifest
    load("imagenet/resnet18")       torchvision's network, weights from the data folder or torchvision's own cache
"""
import functools
import hashlib
import json
from pathlib import Path

import torch
from torch import nn

from . import data

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
    weights that can neither be found nor fetched.
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
    from torchvision import models
    if name not in models.list_models(models):
        raise ValueError(f"torchvision has no classification network {name!r}. There is for instance resnet18, squeezenet1_0.")
    weights = models.get_model_weights(name).DEFAULT
    file = data.folder() / "weights" / f"{name}_imagenet.pth"
    try:
        if file.exists():
            state = torch.load(file, weights_only=True)
        else:
            state = weights.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise FileNotFoundError(
            f"the weights of imagenet/{name} are neither in the data folder ({file}) nor to be had from torchvision ({error}). "
            "With a network connection, call this once; torchvision keeps them. The committed networks always work: "
            f"{', '.join(names())}.") from None
    model = models.get_model(name, weights=None)
    model.load_state_dict(state)
    return nn.Sequential(Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), model.float()).eval()
