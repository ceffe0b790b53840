import os
import tempfile

# Tests must not touch what a learner has done, and must not depend on it.
os.environ["WORKBOOK_PROGRESS"] = os.path.join(tempfile.mkdtemp(), "progress.json")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest  # noqa: E402
import torch  # noqa: E402

from helpers import data, models  # noqa: E402


def pytest_runtest_setup(item):
    for mark in item.iter_markers("data"):
        if not data.available(mark.args[0]):
            pytest.skip(f"no {mark.args[0]} in $WORKBOOK_DATA")


@pytest.fixture(scope="session")
def digits():
    return data.load("mnist5k")[:40]


@pytest.fixture(scope="session")
def cnn():
    return models.load("mnist5k/standard")


@pytest.fixture
def awkward():
    """A smooth network with batch norm and dropout, float64, in train mode but for one frozen module."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Softplus(), torch.nn.Dropout(0.5), torch.nn.Flatten(),
        torch.nn.Linear(4 * 26 * 26, 10)).double()
    net.train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    return net


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    """As on a fresh machine: an empty data folder."""
    monkeypatch.setenv("WORKBOOK_DATA", str(tmp_path / "data"))
    return tmp_path / "data"
