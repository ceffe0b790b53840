import json
import shutil

import pytest
import torch

from helpers import attacks, data, models, train


@pytest.mark.parametrize("name", models.names())
def test_a_checkpoint_does_what_the_manifest_says(name):
    entry, test = models.info(name), data.load("mnist5k")
    model = models.load(name)
    assert not any(module.training for module in model.modules())
    measured = entry["measured"]["clean"]
    assert measured["n"] == len(test)
    assert abs(attacks.accuracy(model, test.images, test.labels) - measured["share"]) <= 0.002
    assert measured["interval"][0] <= measured["share"] <= measured["interval"][1]
    assert entry["command"] == f"python -m helpers.train {name.removesuffix('-untrained')}"
    assert entry["recipe"] == train.RECIPES[name.removesuffix("-untrained")]


def test_the_networks_are_good_enough():
    standard, robust = (models.info(f"mnist5k/{kind}")["measured"] for kind in ("standard", "robust-l2"))
    assert standard["clean"]["share"] >= 0.97
    assert robust["clean"]["share"] >= 0.96 and robust["pgd50 l2 1.5"]["share"] >= 0.75
    assert 0.7 < robust["autoattack l2 1.5"]["share"] <= robust["pgd50 l2 1.5"]["share"]
    for figures in (standard, robust):
        for norm in ("l2", "linf"):
            shares = [value["share"] for key, value in figures.items() if key.startswith(f"pgd50 {norm} ")]
            assert shares == sorted(shares, reverse=True), "robust accuracy falls with eps"


def test_robust_accuracy_is_what_the_manifest_says():
    test = data.load("mnist5k")
    model = models.load("mnist5k/robust-l2")
    share, _ = attacks.robust_accuracy(model, test.images, test.labels, 1.5, norm="l2")
    assert abs(share - models.info("mnist5k/robust-l2")["measured"]["pgd50 l2 1.5"]["share"]) < 0.005


def test_the_untrained_twins_are_where_training_started():
    torch.manual_seed(train.RECIPES["mnist5k/standard"]["seed"])
    fresh = models.small_cnn()
    for name in ("mnist5k/standard-untrained", "mnist5k/robust-l2-untrained"):
        for ours, theirs in zip(models.load(name).parameters(), fresh.parameters()):
            assert torch.allclose(ours, theirs, atol=1e-3)


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match="no model 'mnist5k/magic'.*mnist5k/standard"):
        models.load("mnist5k/magic")
    with pytest.raises(ValueError, match="no classification network 'resnet17'"):
        models.load("imagenet/resnet17")


def test_a_checkpoint_whose_bytes_changed_is_refused(monkeypatch, tmp_path):
    shutil.copytree(models.CHECKPOINTS, tmp_path / "checkpoints")
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path / "checkpoints")
    path = tmp_path / "checkpoints" / models.info("mnist5k/standard")["file"]
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="SHA-256.*git checkout"):
        models.load("mnist5k/standard")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="is missing. Restore it"):
        models.load("mnist5k/standard")


def test_imagenet_weights_that_are_not_there(no_data):
    with pytest.raises(FileNotFoundError, match="python -m helpers.models resnet18"):
        models.load("imagenet/resnet18")
    assert not no_data.exists(), "asking creates nothing"


def test_imagenet_weights_from_the_data_folder(no_data):
    import torchvision
    (no_data / "weights").mkdir(parents=True)
    torch.manual_seed(0)
    theirs = torchvision.models.squeezenet1_0(weights=None).eval()
    torch.save(theirs.state_dict(), no_data / "weights" / "squeezenet1_0_imagenet.pth")
    ours = models.load("imagenet/squeezenet1_0")
    photos = data.load("imagenet-samples").images[:2]
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    assert torch.allclose(ours(photos), theirs((photos - mean) / std), atol=1e-4)


@pytest.mark.skipif(not (data.folder() / "weights" / "squeezenet1_0_imagenet.pth").exists(), reason="no ImageNet weights in $WORKBOOK_DATA")
def test_real_imagenet_weights_read_real_pictures():
    pictures = data.load("imagenet200")
    assert attacks.accuracy(models.load("imagenet/squeezenet1_0"), pictures.images, pictures.labels) == pytest.approx(0.58, abs=0.02)


def test_training_writes_weights_and_a_manifest(monkeypatch, tmp_path, capsys):
    recipe = dict(data="mnist5k", network="small_cnn", epochs=1, seed=3, attack=dict(norm="l2", eps=1.0, steps=1, start="ball"))
    monkeypatch.setitem(train.RECIPES, "mnist5k/test", recipe)
    monkeypatch.setattr(train, "EPS", {"l2": (1.0,)})
    whole = data.load
    monkeypatch.setattr(data, "load", lambda name, split="test": whole(name, split)[: 4000 if split == "train" else 200])
    monkeypatch.setattr("sys.argv", ["train", "mnist5k/test", "--out", str(tmp_path)])
    train.main()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert set(manifest) == {"mnist5k/test", "mnist5k/test-untrained"}
    assert manifest["mnist5k/test"]["measured"]["clean"]["share"] > 0.7 > manifest["mnist5k/test-untrained"]["measured"]["clean"]["share"]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors", ".safetensors"]
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(models, "_manifest", lambda: manifest)
    models.load("mnist5k/test")


def test_a_convolution_with_its_norm_is_one_convolution_in_eval_mode():
    torch.manual_seed(0)
    layer, x = models.ConvNorm(3, 5, stride=2).double(), torch.rand(4, 3, 9, 9).double()
    by_hand = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(5)).double()
    by_hand[0].weight.data = layer.weight.data
    for _ in range(3):
        assert torch.allclose(layer(x), by_hand(x)), "in train mode, batch statistics"
    layer.norm.weight.data = by_hand[1].weight.data = torch.rand(5).double()
    layer.norm.bias.data = by_hand[1].bias.data = torch.rand(5).double()
    assert torch.allclose(layer.eval()(x), by_hand.eval()(x), atol=1e-12) and torch.equal(layer.norm.running_var, by_hand[1].running_var)
    weights = [torch.autograd.grad(net(x).square().sum(), net[0].weight if net is by_hand else net.weight)[0] for net in (layer, by_hand)]
    assert torch.allclose(*weights), "and the weights learn the same"


def test_a_resnet_for_32_x_32():
    net = models.resnet18(width=8).eval()
    assert net(torch.rand(2, 3, 32, 32)).shape == (2, 10) and sum(isinstance(module, models.ConvNorm) for module in net.modules()) == 20
    assert sum(parameter.numel() for parameter in models.resnet18().parameters()) == 11_173_962, "the ResNet-18 of the literature"
