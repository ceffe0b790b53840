import json
import math
import sys

import pytest
import torch

from helpers import data, measure, models, recipes, train, training


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A recipe that takes a second, few test images, and a folder of its own for checkpoints."""
    recipe = dict(data="mnist5k", network="small_cnn", epochs=1, seed=3, objective="pgd", norm="l2", eps=1.0, steps=1)
    monkeypatch.setitem(recipes.RECIPES, "mnist5k/test", recipe)
    monkeypatch.setattr(measure, "SIZES", {"mnist5k": {"l2": (1.0,)}})
    whole = data.load
    monkeypatch.setattr(data, "load", lambda name, split="test": whole(name, split)[: 4000 if split == "train" else 200])
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(models, "_manifest", lambda: json.loads((tmp_path / "manifest.json").read_text()))
    return tmp_path


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
    train.main()


def test_training_writes_weights_and_a_manifest(tiny, monkeypatch, capsys):
    command(monkeypatch, "mnist5k/test", "--out", tiny, "--device", "cpu")
    manifest = json.loads((tiny / "manifest.json").read_text())
    assert set(manifest) == {"mnist5k/test", "mnist5k/test-untrained"}
    measured = manifest["mnist5k/test"]["measured"]
    assert measured["clean"]["share"] > 0.7 > manifest["mnist5k/test-untrained"]["measured"]["clean"]["share"]
    assert set(measured) == {"clean", "pgd50 l2 1.0", "autoattack l2 1.0"} and measured["autoattack l2 1.0"]["n"] == 200
    assert sorted(path.suffix for path in tiny.iterdir() if not path.name.startswith(".")) == [".json", ".safetensors", ".safetensors"]
    models.load("mnist5k/test")
    assert measure.verify(["mnist5k/test"], everything=False) and measure.verify(["mnist5k/test"], everything=True)
    said = capsys.readouterr().out
    assert "mnist5k/test: clean" in said and "DISAGREES" not in said
    manifest["mnist5k/test"]["measured"]["pgd50 l2 1.0"]["share"] += 0.2
    (tiny / "manifest.json").write_text(json.dumps(manifest))
    assert not measure.verify(["mnist5k/test"], everything=False)
    assert "<-- DISAGREES" in capsys.readouterr().out
    manifest["mnist5k/test"]["measured"] = {}
    (tiny / "manifest.json").write_text(json.dumps(manifest))
    assert not measure.verify(["mnist5k/test"], everything=False), "nothing to compare with is no agreement"


def test_without_torchattacks_it_says_so_before_it_trains(tiny, monkeypatch):
    monkeypatch.setattr(train.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="mnist5k/test: robust networks are measured with AutoAttack.*pip install"):
        command(monkeypatch, "mnist5k/test", "--out", tiny, "--device", "cpu")


def test_a_second_training_into_the_same_folder_is_told_so(tiny, monkeypatch):
    from filelock import FileLock
    with FileLock(tiny / ".mnist5k-test.lock"), pytest.raises(SystemExit, match="another process is training it"):
        command(monkeypatch, "mnist5k/test", "--out", tiny, "--device", "cpu")


def test_an_interrupted_command_says_how_to_go_on_and_does(tiny, monkeypatch):
    def interrupted(*arguments, callback=None, **options):
        def stop(model, step):
            if step == 50:
                raise KeyboardInterrupt
        return training.train(*arguments, callback=stop, **options)
    recipes.RECIPES["mnist5k/test"]["epochs"] = 2
    monkeypatch.setattr(train, "train", interrupted)
    with pytest.raises(SystemExit, match="mnist5k/test: interrupted. The same command with --resume goes on"):
        command(monkeypatch, "mnist5k/test", "--out", tiny, "--device", "cpu")
    assert (tiny / "mnist5k-test.state").exists() and not (tiny / "mnist5k-test.safetensors").exists()
    steps = []
    monkeypatch.setattr(train, "train", lambda *a, **k: training.train(*a, callback=lambda model, step: steps.append(step), **k))
    command(monkeypatch, "mnist5k/test", "--out", tiny, "--device", "cpu", "--resume")
    assert steps == list(range(40, 80)) and not (tiny / "mnist5k-test.state").exists()
    assert "mnist5k/test" in json.loads((tiny / "manifest.json").read_text())


def test_the_command_lists_the_recipes(monkeypatch, capsys):
    command(monkeypatch, "--list")
    said = capsys.readouterr().out
    assert all(name in said for name in recipes.RECIPES)


def test_the_command_without_the_data(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBOOK_DATA", "before")
    with pytest.raises(SystemExit, match="cifar10/standard: the image set 'cifar10' is not in the data folder .*nothing"):
        command(monkeypatch, "cifar10/standard", "--data", tmp_path / "nothing")


@pytest.mark.filterwarnings("ignore:catastrophic")
@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_can_be_followed(name):
    """Two steps on noise of the right shape: names, options and settings fit together."""
    recipe = recipes.RECIPES[name]
    shape = {"mnist5k": (1, 28, 28), "mnist": (1, 28, 28), "fashion_mnist": (1, 28, 28), "cifar10": (3, 32, 32), "flowers": (3, 128, 128),
             "planted": (3, 32, 32)}[recipe["data"]]
    torch.manual_seed(0)
    model = models.build(recipe["network"], 10, **recipe.get("options", {}))
    settings = recipes.settings(recipe) | {"epochs": 2, "batch_size": 4}
    history = training.train(model, torch.rand(4, *shape), torch.randint(0, 10, (4,)), progress=False, **settings)
    assert len(history) == 2 and math.isfinite(history[-1]["loss"])
    assert sum(value.numel() for value in model.state_dict().values()) < 4e6 or name in recipes.TOO_LARGE


def test_a_share_and_its_interval():
    assert measure.share(50, 100) == {"share": 0.5, "interval": [0.4038, 0.5962], "n": 100}      # Wilson, as in statsmodels
    assert measure.share(0, 1000)["interval"] == [0.0, 0.0038]


def test_what_is_measured_follows_the_recipe():
    assert measure.sizes(recipes.RECIPES["cifar10/robust-linf"]) == {"linf": (8 / 255,)}
    assert measure.sizes(recipes.RECIPES["cifar10/standard"]) == {"l2": (0.5,), "linf": (8 / 255,)}
    assert measure.sizes(recipes.RECIPES["mnist/standard"]) == measure.DIGIT_SIZES
    assert measure.sizes(dict(data="mnist5k", norm="l2", eps=0.25)) == {"l2": (0.25, 0.5, 1.0, 1.5, 2.0), "linf": measure.DIGIT_SIZES["linf"]}


def test_data_that_is_not_there_is_skipped_aloud(no_data, monkeypatch, capsys):
    monkeypatch.setattr(models, "info", lambda name: {"data": "cifar10"})
    assert measure.verify(["cifar10/standard"], everything=False)
    assert capsys.readouterr().out == "cifar10/standard: skipped, cifar10 is not in the data folder\n"


def test_auc_is_the_share_of_pairs_with_ties():
    assert measure.auc(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([2.0, 0.0])).item() == 4.5 / 6
    values = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(0)).round(decimals=1)      # with ties
    from sklearn.metrics import roc_auc_score
    for column, area in zip(range(3), measure.auc(*values)):
        assert area.item() == pytest.approx(roc_auc_score([1] * 40 + [0] * 40, values[:, :, column].flatten()))


def test_a_detector_is_measured():
    from sklearn.metrics import roc_auc_score
    clean, attacked = torch.tensor([5.0, 3.0, 4.0, 1.0]), torch.tensor([3.0, 0.0, 2.0, 3.0, 6.0])
    truth = [1] * 4 + [0] * 5
    assert measure.auc(clean, attacked) == pytest.approx(roc_auc_score(truth, torch.cat([clean, attacked]).tolist())) == pytest.approx(0.6)
    found = measure.auc_with_interval(clean, attacked)
    assert found["auc"] == 0.6 and found["interval"][0] < 0.6 < found["interval"][1] and found["n"] == [4, 5]
    assert measure.auc_with_interval(clean, attacked) == found
    many, others = torch.randint(0, 9, (60,), generator=torch.Generator().manual_seed(0)), torch.randint(2, 12, (80,), generator=torch.Generator().manual_seed(1))
    pairs = many[:, None] - others
    assert measure.auc(many, others) == pytest.approx(((pairs > 0).double() + 0.5 * (pairs == 0)).mean().item())
    assert measure.auc(others, many) == pytest.approx(1 - measure.auc(many, others)) and math.isnan(measure.auc(many, others[:0])) and math.isnan(measure.auc(many[:0], others))
    assert measure.errors(clean, attacked, 3.5) == {"false alarms": measure.share(2, 4), "misses": measure.share(1, 5)}
    apart = measure.best_threshold(torch.tensor([4.0, 5.0, 9.0]), torch.tensor([1.0, 2.0]))
    assert apart == 3.0
    totals = [sum(rate["share"] for rate in measure.errors(clean, attacked, t).values()) for t in (-1, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 7)]
    assert sum(rate["share"] for rate in measure.errors(clean, attacked, measure.best_threshold(clean, attacked)).values()) == pytest.approx(min(totals))
