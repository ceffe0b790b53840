import functools
import gzip
import hashlib
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import data

ALWAYS = ("mnist5k", "planted", "digits-rand", "digits-det", "digits-robust", "digits-nonrobust", "cifar10-samples", "fashion-samples", "imagenet-samples")


@pytest.mark.parametrize("name", ALWAYS)
def test_always_there(name, no_data):
    for split in data.SETS[name].splits:
        images = data.load(name, split)
        assert images.images.dtype == torch.float32 and images.labels.dtype == torch.int64
        assert images.images.ndim == 4 and len(images.images) == len(images.labels) == len(images)
        assert images.images.min() >= 0 and images.images.max() <= 1 and images.images.max() > 0.9
        assert images.labels.max() < len(images.classes)
    assert not no_data.exists()


def test_mnist5k_is_split_by_class_with_a_fixed_seed():
    train, test = data.load("mnist5k", "train"), data.load("mnist5k")
    assert train.labels.bincount().tolist() == [400] * 10 and test.labels.bincount().tolist() == [100] * 10
    assert len({x.numpy().tobytes() for x in torch.cat([train.images, test.images])}) == 5000
    assert len(test.labels[:50].unique()) == 10, "shuffled: a half of it holds every class"
    digest = hashlib.sha256((test.images * 255).round().byte().numpy().tobytes()).hexdigest()
    assert digest.startswith("c117421ed112f73f"), digest


def test_samples_are_what_foolbox_says_they_are():
    foolbox = pytest.importorskip("foolbox")
    from foolbox.utils import _samples
    for name, theirs in (("cifar10-samples", "cifar10"), ("fashion-samples", "fashionMNIST")):
        images, labels = _samples(theirs, 0, 20, (224, 224), "channels_first", (0, 1))
        ours = data.load(name)
        assert np.allclose(ours.images.numpy(), images) and ours.labels.tolist() == labels.tolist()
    assert data.load("imagenet-samples").images.shape == (20, 3, 224, 224)
    assert foolbox


def test_a_set_can_be_cut():
    test = data.load("mnist5k")
    assert len(test[3]) == 1 and test[3].images.shape == (1, 1, 28, 28)
    assert len(test[10:20]) == 10 and len(test[test.labels == 4]) == 100 and len(test[[1, 5]]) == 2
    assert test.per_class(2).labels.tolist() == sorted([*range(10)] * 2)
    assert "1000 x 1 x 28 x 28" in repr(test)


def test_loading_twice_gives_fresh_tensors():
    data.load("mnist5k").images.zero_()
    assert data.load("mnist5k").images.max() == 1


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match="no image set 'mnist6k'.*mnist5k.*cifar10"):
        data.load("mnist6k")
    with pytest.raises(ValueError, match="split.*'test'.*'valid' was asked for"):
        data.load("cifar10-samples", "valid")


@pytest.mark.parametrize("name", [name for name in data.SETS if name not in ALWAYS])
def test_absent_data_says_what_how_and_what_instead(name, no_data):
    with pytest.raises(FileNotFoundError) as error:
        data.load(name, data.SETS[name].splits[0])
    said = str(error.value)
    assert repr(name) in said and str(no_data) in said
    assert f"python -m helpers.data {name}" in said or "Put your own pictures there" in said
    assert data.SETS[name].stand_in in said and data.SETS[name].stand_in in ALWAYS
    assert not data.available(name)


def idx(array):
    shape = np.array(array.shape, ">i4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize("packed", [True, False])
def test_what_lies_in_the_folder_is_read_and_never_written_to(no_data, packed):
    raw = no_data / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images, labels = np.random.RandomState(0).randint(0, 256, (7, 28, 28)), np.arange(7)
    for part in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = raw / f"{part}-{kind}-ubyte"
            path.with_name(path.name + ".gz" * packed).write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    before = sorted(no_data.rglob("*"))
    loaded = data.load("mnist", "train")
    assert torch.equal((loaded.images[:, 0] * 255).round().long(), torch.as_tensor(images)) and loaded.labels.tolist() == list(range(7))
    assert sorted(no_data.rglob("*")) == before


def test_folders_of_pictures(no_data):
    for split in ("train", "test"):
        for colour, name in enumerate(("daisy", "rose")):
            path = no_data / "flowers" / split / name
            path.mkdir(parents=True)
            Image.new("RGB", (150, 200), (255 * colour, 0, 0)).save(path / "1.jpg")
    flowers = data.load("flowers", "train")
    assert flowers.classes == ("daisy", "rose") and flowers.labels.tolist() == [0, 1] and flowers.images.shape == (2, 3, 128, 128)
    (no_data / "imagenet200").mkdir()
    Image.new("RGB", (300, 260)).save(no_data / "imagenet200" / "n02504458_African_elephant.jpg")
    elephants = data.load("imagenet200")
    assert elephants.images.shape == (1, 3, 224, 224) and elephants.labels.tolist() == [386] and elephants.classes[386] == "African elephant"
    Image.new("RGB", (300, 260)).save(no_data / "imagenet200" / "n00000000_unicorn.jpg")
    with pytest.raises(ValueError, match="unicorn.*not the name of an ImageNet class"):
        data.load("imagenet200")


@pytest.mark.parametrize("name, shape, classes", [pytest.param(*row, marks=pytest.mark.data(row[0])) for row in (
    ("mnist", (1, 28, 28), 10), ("fashion_mnist", (1, 28, 28), 10), ("cifar10", (3, 32, 32), 10), ("flowers", (3, 128, 128), 5))])
def test_full_sets(name, shape, classes):
    test = data.load(name)
    assert tuple(test.images.shape[1:]) == shape and len(test.classes) == classes and len(test.labels.unique()) == classes


@pytest.mark.data("imagenet200")
def test_imagenet200_labels_follow_the_names():
    import csv
    rows = {row["file"]: int(row["index"]) for row in csv.DictReader((data.folder() / "imagenet200" / "labels.csv").open())}
    assert data.load("imagenet200").labels.tolist() == [rows[file] for file in sorted(rows)]


@pytest.fixture
def mirror(monkeypatch):
    """A local server with the original MNIST files, in place of torchvision's mirrors."""
    import torchvision
    raw = data.folder() / "MNIST" / "raw"

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, code="-", size="-"):
            self.server.requests += 1

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=raw))
    server.requests, server.handle_error = 0, lambda *args: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    yield server
    server.shutdown()


THIRTY = """
import os, torchvision
from helpers import data
torchvision.datasets.MNIST.mirrors = [os.environ["MIRROR"]]
children = []
for _ in range(30):
    if not (child := os.fork()):
        status = 1
        try:
            data.download("mnist")
            status = 0 if len(data.load("mnist")) == 10000 else 2
        finally:
            os._exit(status)
    children.append(child)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.data("mnist")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_thirty_people_share_a_folder_and_it_is_fetched_once(mirror, tmp_path):
    environment = os.environ | {"WORKBOOK_DATA": str(tmp_path / "shared"), "MIRROR": f"http://127.0.0.1:{mirror.server_port}/"}
    done = subprocess.run([sys.executable, "-c", THIRTY], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.split("\n")[-2] == str([0] * 30), done.stderr
    assert [path.name for path in (tmp_path / "shared").iterdir() if not path.name.startswith(".")] == ["MNIST"]
    assert mirror.requests <= 8, "one process fetched four files (torchvision asks for each twice)"


@pytest.mark.data("mnist")
def test_a_broken_download_leaves_nothing_half_written(mirror, monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path / "mine"))
    import torchvision
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", [("train-images-idx3-ubyte.gz", "0" * 32)])
    with pytest.raises(RuntimeError):
        data.download("mnist")
    assert not [path for path in (tmp_path / "mine").iterdir() if not path.name.endswith(".lock")]


def test_only_full_sets_can_be_downloaded(no_data):
    with pytest.raises(ValueError, match="'flowers' cannot be downloaded. Can be: mnist, fashion_mnist, cifar10"):
        data.download("flowers")


def test_no_module_names_the_layout_of_shared():
    for path in Path(data.__file__).parent.glob("*.py"):
        assert "shared/data" not in path.read_text()
