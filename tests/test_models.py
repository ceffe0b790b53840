import json
import shutil

import pytest
import torch

from helpers import attacks, data, measure, models, training
from helpers.recipes import RECIPES


@pytest.mark.parametrize("name", models.names())
def test_a_checkpoint_is_complete(name):
    entry, model = models.info(name), models.load(name)
    assert not any(module.training for module in model.modules())
    assert entry["command"] == f"python -m helpers.train {name.removesuffix('-untrained')}"
    assert entry["recipe"] == RECIPES[name.removesuffix("-untrained")]
    measured = entry["measured"]
    for figure in measured.values():
        assert figure["interval"][0] <= figure["share"] <= figure["interval"][1]
    if entry["recipe"].get("eps") and "untrained" not in name:
        attacked = [measured[measure._name(attack, entry["recipe"]["norm"], entry["recipe"]["eps"])] for attack in ("pgd50", "autoattack")]
        assert attacked[0]["n"] == min(2000, measured["clean"]["n"]) and attacked[1]["n"] == min(1000, measured["clean"]["n"])


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.data(models.info(name)["data"])) for name in models.names()])
def test_a_checkpoint_is_as_accurate_as_the_manifest_says(name):
    model, measured, test = models.load(name), models.info(name)["measured"], data.load(models.info(name)["data"])
    assert measured["clean"]["n"] == len(test), "measured on the whole test set"
    some = test[:1000]
    low, high = measure.interval(round(1000 * attacks.accuracy(model, some.images, some.labels)), 1000, z=3.9)
    assert low <= measured["clean"]["share"] <= high
    if len(test) == 1000:
        assert abs(attacks.accuracy(model, test.images, test.labels) - measured["clean"]["share"]) <= 0.002


LEAST = {     # what the course's networks must reach: clean, and AutoAttack (or PGD) at the size they were trained for
    "mnist/standard": {"clean": 0.992},
    "mnist/robust-linf": {"clean": 0.98, "autoattack linf 0.3": 0.88},
    "mnist/robust-l2": {"clean": 0.98, "pgd50 l2 2.0": 0.5},        # plain PGD-100 on all images leaves 76 %: test_claims.py
    "fashion/deep-cnn": {"clean": 0.92},
    "fashion/robust-l2": {"clean": 0.87, "autoattack l2 1.0": 0.31},
    "cifar10/standard": {"clean": 0.905},       # 91 % is the aim
    "cifar10/robust-l2": {"clean": 0.82, "autoattack l2 0.5": 0.58},
}


@pytest.mark.parametrize("name", sorted(LEAST.keys() & set(models.names())))
def test_the_networks_are_as_good_as_wanted(name):
    for key, least in LEAST[name].items():
        assert models.info(name)["measured"][key]["share"] >= least, key


def test_the_networks_of_digits_are_good_enough():
    standard, robust = (models.info(f"mnist5k/{kind}")["measured"] for kind in ("standard", "robust-l2"))
    assert standard["clean"]["share"] >= 0.97
    assert robust["clean"]["share"] >= 0.96 and robust["pgd50 l2 1.5"]["share"] >= 0.75
    assert 0.7 < robust["autoattack l2 1.5"]["share"] <= robust["pgd50 l2 1.5"]["share"]


def test_robust_accuracy_falls_with_eps_and_autoattack_finds_as_much():
    for name in models.names(all=True):
        measured = models.info(name)["measured"]
        for norm in ("l2", "linf"):
            figures = [(float(key.split()[-1]), value["share"]) for key, value in measured.items() if key.startswith(f"pgd50 {norm} ")]
            shares = [measured["clean"]["share"] + 0.03] + [share for _, share in sorted(figures)]      # not of the same images
            assert shares == sorted(shares, reverse=True), (name, norm)


@pytest.mark.parametrize("name", [name for name in models.names() if name.startswith(("cifar10/", "fashion/"))])
def test_networks_for_full_sets_read_the_samples_that_are_always_there(name):
    samples = data.load(name.split("/")[0] + "-samples")
    assert attacks.accuracy(models.load(name), samples.images, samples.labels) >= 0.6


def test_robust_accuracy_is_what_the_manifest_says():
    test = data.load("mnist5k")
    model = models.load("mnist5k/robust-l2")
    share, _ = attacks.robust_accuracy(model, test.images, test.labels, 1.5, norm="l2")
    assert abs(share - models.info("mnist5k/robust-l2")["measured"]["pgd50 l2 1.5"]["share"]) < 0.005


def test_the_untrained_twins_are_where_training_started():
    torch.manual_seed(RECIPES["mnist5k/standard"]["seed"])
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


def test_inception_normalises_as_its_weights_expect(no_data):
    import torchvision
    (no_data / "weights").mkdir(parents=True)
    theirs = torchvision.models.inception_v3(weights=None, init_weights=False).eval()
    torch.save(theirs.state_dict(), no_data / "weights" / "inception_v3_imagenet.pth")
    ours, photo = models.load("imagenet/inception_v3"), torch.rand(1, 3, 299, 299)
    assert torch.allclose(ours(photo), theirs(2 * photo - 1), atol=1e-3), "from [0, 1] to [-1, 1], as where it was trained"


@pytest.mark.data("imagenet200")
@pytest.mark.skipif(not (data.folder() / "weights" / "squeezenet1_0_imagenet.pth").exists(), reason="no ImageNet weights in $WORKBOOK_DATA")
@pytest.mark.parametrize("name, share", [("squeezenet1_0", 0.58), ("mobilenet_v2", 0.86)])
def test_real_imagenet_weights_read_real_pictures(name, share):
    pictures = data.load("imagenet200")
    assert attacks.accuracy(models.load(f"imagenet/{name}"), pictures.images, pictures.labels) == pytest.approx(share, abs=0.02)


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
    net = models.resnet(width=8).eval()
    assert net(torch.rand(2, 3, 32, 32)).shape == (2, 10) and sum(isinstance(module, models.ConvNorm) for module in net.modules()) == 20
    assert sum(parameter.numel() for parameter in models.resnet().parameters()) == 11_173_962, "the ResNet-18 of the literature"


@pytest.mark.parametrize("name, weights", [("small_cnn", 166_406), ("deep_cnn", 184_378), ("alexnet", 10_463_082), ("mlp", 89_610), ("rbf", 159_010)])
def test_networks_for_digits(name, weights):
    torch.manual_seed(0)
    net = models.build(name)
    assert sum(parameter.numel() for parameter in net.parameters()) == weights
    assert net.eval()(torch.rand(3, 1, 28, 28)).shape == (3, 10) and models.build(name, classes=4)(torch.rand(2, 1, 28, 28)).shape == (2, 4)


def test_an_mlp_of_any_widths():
    net = models.mlp(widths=(12, 7, 5, 3), classes=2)
    assert [(layer.in_features, layer.out_features) for layer in net if isinstance(layer, torch.nn.Linear)] == [(12, 7), (7, 5), (5, 3), (3, 2)]
    assert net(torch.rand(4, 3, 2, 2)).shape == (4, 2)


def test_an_rbf_network_by_its_formula_and_far_away_it_does_not_know():
    torch.manual_seed(0)
    net, x = models.RBF(6, 4, 3).double(), torch.rand(5, 6).double()
    bumps = torch.stack([torch.exp(-(x - c).square().sum(1) / (2 * w ** 2)) for c, w in zip(net.centres, net.log_width.exp())], 1)
    assert torch.allclose(net(x), bumps @ net.linear.weight.T + net.linear.bias)
    assert torch.allclose(net(1000 * x), net.linear.bias.expand(5, 3)), "only its biases are left"


def test_an_rbf_network_learns_digits():
    torch.manual_seed(0)
    net, train, test = models.rbf(), data.load("mnist5k", "train"), data.load("mnist5k")
    training.train(net, train.images, train.labels, epochs=6, lr=0.01, shift=0, progress=False)
    assert attacks.accuracy(net, test.images, test.labels) > 0.85


def test_a_grey_network_sees_luminance_alone():
    torch.manual_seed(0)
    net, picture = models.resnet(width=4, blocks=(1, 1), classes=5, stride=2, grey=True).eval(), torch.rand(2, 3, 40, 40)
    grey = (picture * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    assert torch.allclose(net(picture), net(grey), atol=1e-5) and net(picture).shape == (2, 5)
    colour = models.resnet(width=4, blocks=(1, 1), classes=5).eval()
    assert not torch.allclose(colour(picture), colour(grey), atol=1e-3)


def test_an_unknown_network_lists_what_there_is():
    with pytest.raises(ValueError, match="no network 'vgg'. There is: small_cnn, mlp"):
        models.build("vgg")
