"""Bounds against closed forms and brute force, and against what they promise to leave alone."""
import itertools
import math

import pytest
import torch
from torch import nn

from helpers import attacks, bounds, models
from helpers.bounds import jacobian_norm, largest_stretch, lipschitz_bound, operator_norm
from helpers.checking import images as random_images
from helpers.checking import linear


def seeded(make):
    torch.manual_seed(0)
    return make()


def dense(layer, shape):
    """The matrix of an affine layer, column by column: what it makes of each unit vector."""
    with torch.no_grad():
        eye = torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)
        return (layer(eye) - layer(torch.zeros_like(eye))).flatten(1).T


def svd(layer, shape):
    return torch.linalg.matrix_norm(dense(layer.double().eval(), shape), 2).item()


# ---- one layer ----

@pytest.mark.parametrize("inputs, outputs", [(1, 1), (5, 3), (3, 7), (784, 100)])
def test_a_linear_layers_norm_is_its_matrixs(inputs, outputs):
    layer = seeded(lambda: nn.Linear(inputs, outputs))
    assert operator_norm(layer, (inputs,)) == pytest.approx(torch.linalg.matrix_norm(layer.weight.double(), 2).item(), rel=1e-6)


@pytest.mark.parametrize("make, shape", [
    (lambda: nn.Conv2d(1, 3, 3), (1, 7, 7)), (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 6, 5)), (lambda: nn.Conv2d(2, 3, 4, stride=2, padding=1), (2, 8, 8)),
    (lambda: nn.Conv2d(2, 4, 3, dilation=2, groups=2), (2, 7, 7)), (lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), (1, 6, 6)),
    (lambda: nn.ConvTranspose2d(2, 1, 3, stride=2), (2, 4, 4)), (lambda: nn.Conv1d(2, 3, 3), (2, 9)),
    (lambda: nn.AvgPool2d(3, stride=1, padding=1), (2, 6, 6)), (lambda: nn.AdaptiveAvgPool2d(2), (1, 5, 5)),
    (lambda: models.Normalize((0.1, 0.5), (0.3, 0.2)), (2, 3, 3)), (lambda: models.Grey(), (3, 4, 4))])
def test_an_affine_layers_norm_is_its_dense_matrixs(make, shape):
    layer = seeded(make)
    assert operator_norm(layer, shape) == pytest.approx(svd(seeded(make), shape), rel=1e-5)


def test_a_convolution_with_its_batch_norm():
    layer = seeded(lambda: models.ConvNorm(2, 3))
    layer.norm.running_var.copy_(torch.tensor([0.1, 1.0, 4.0]))
    layer.norm.running_mean.fill_(3.0)
    wanted = svd(seeded(lambda: layer), (2, 6, 6))
    assert operator_norm(layer.float(), (2, 6, 6)) == pytest.approx(wanted, rel=1e-5)


def test_a_circular_convolutions_norm_is_the_largest_over_all_frequencies():
    """Szegedy et al. 2013, equation 1: the Fourier transform makes a small matrix of each frequency."""
    layer = seeded(lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular", bias=False).double())
    kernels = torch.fft.fft2(layer.weight.detach(), s=(8, 8)).permute(2, 3, 0, 1)
    assert operator_norm(layer, (3, 8, 8)) == pytest.approx(torch.linalg.matrix_norm(kernels, 2).max().item(), rel=1e-6)


def test_known_by_hand():
    diagonal = nn.Linear(4, 4)
    with torch.no_grad():
        diagonal.weight.copy_(torch.diag(torch.tensor([1.0, -7.0, 3.0, 0.0])))
        diagonal.bias.fill_(100.0)
    assert operator_norm(diagonal, (4,)) == pytest.approx(7), "the bias is no part of it"
    assert operator_norm(nn.AvgPool2d(2), (1, 6, 6)) == pytest.approx(0.5), "windows of four pixels: 4 x 1/16 under the root"
    assert operator_norm(models.Normalize((0.5,), (0.25,)), (1, 3, 3)) == pytest.approx(4)
    with torch.no_grad():
        diagonal.weight.zero_()
    assert operator_norm(diagonal, (4,)) == 0


def test_two_equal_singular_values_and_a_narrow_gap():
    gap = nn.Linear(60, 60, bias=False).double()
    turn = torch.linalg.qr(torch.randn(60, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    for largest in ([2.0, 2.0], [2.0, 1.999, 1.998]):
        values = torch.cat([torch.tensor(largest), torch.linspace(1.9, 0, 60 - len(largest))]).double()
        with torch.no_grad():
            gap.weight.copy_(turn @ torch.diag(values) @ turn.T)
        assert operator_norm(gap, (60,)) == pytest.approx(2, rel=1e-5)


def test_the_norm_comes_from_below():
    layer = seeded(lambda: nn.Conv2d(1, 8, 5))
    few, more = (operator_norm(layer, (1, 12, 12), steps=steps) for steps in (1, 3))
    assert few < more <= svd(layer, (1, 12, 12)) * (1 + 1e-9)


def test_what_is_not_affine_has_no_norm():
    for layer in (nn.ReLU(), nn.MaxPool2d(2), models.small_cnn()):
        with pytest.raises(ValueError, match="is not affine"):
            operator_norm(layer, (1, 28, 28))
    with pytest.raises(ValueError, match=r"Linear does not take inputs of shape \(4,\)"):
        operator_norm(nn.Linear(3, 2), (4,))
    with pytest.raises(ValueError, match="steps must be at least 1"):
        operator_norm(nn.Linear(3, 2), (3,), steps=0)


# ---- a whole network ----

def test_the_bound_of_a_linear_network_is_its_norm_and_is_reached():
    net = nn.Sequential(nn.Flatten(), seeded(lambda: nn.Linear(16, 3)))
    bound, factors = lipschitz_bound(net, (1, 4, 4))
    wanted = torch.linalg.matrix_norm(net[1].weight, 2).item()
    assert factors == pytest.approx({"0 Flatten": 1, "1 Linear": wanted}) and bound == pytest.approx(wanted)
    stretch, found = largest_stretch(net, random_images(5, (1, 4, 4)), eps=0.3, bounds=None)
    assert torch.allclose(stretch, torch.tensor(wanted), rtol=1e-3)


def everything():
    net = nn.Sequential(models.Normalize((0.5,), (0.25,)), nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, stride=2),
                        nn.Sequential(nn.Conv2d(4, 4, 3), nn.LeakyReLU(0.1)), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(4, 3), nn.Sigmoid())
    net[2].running_var.copy_(torch.tensor([0.2, 1.0, 2.0, 0.5]))
    with torch.no_grad():
        net[2].weight.copy_(torch.tensor([0.5, -3.0, 1.0, 1.0]))
    return net


def test_each_kind_of_layer_has_its_factor():
    net = seeded(everything)
    bound, factors = lipschitz_bound(net, (1, 11, 11))
    assert list(factors) == ["0 Normalize", "1 Conv2d", "2 BatchNorm2d", "3 ReLU", "4 MaxPool2d", "5.0 Conv2d", "5.1 LeakyReLU", "6 AvgPool2d", "7 Flatten",
                             "8 Dropout", "9 Linear", "10 Sigmoid"]
    assert factors["0 Normalize"] == pytest.approx(4) and factors["2 BatchNorm2d"] == pytest.approx(3 / (1 + 1e-5) ** 0.5)
    assert factors["3 ReLU"] == factors["5.1 LeakyReLU"] == factors["7 Flatten"] == factors["8 Dropout"] == 1
    assert factors["4 MaxPool2d"] == 2, "windows of three pixels every two: a corner is in four"
    assert factors["6 AvgPool2d"] == pytest.approx(0.5) and factors["10 Sigmoid"] == 0.25
    assert factors["5.0 Conv2d"] == pytest.approx(svd(seeded(everything)[5][0], (4, 5, 5)), rel=1e-5)
    assert bound == pytest.approx(math.prod(factors.values()))


def test_no_two_points_are_carried_further_apart_than_the_bound_says():
    generator = torch.Generator().manual_seed(0)
    for make in (everything, lambda: nn.Sequential(nn.MaxPool2d(3, stride=1), nn.Flatten()), lambda: nn.Sequential(nn.Linear(11, 40), nn.Tanh())):
        net = seeded(make).eval().requires_grad_(False)
        bound, _ = lipschitz_bound(net, (1, 11, 11))
        x = torch.randn(50, 1, 11, 11, generator=generator)
        for size in (1e-2, 1.0, 30.0):
            there = x + size * torch.randn(x.shape, generator=generator)
            assert ((net(there) - net(x)).flatten(1).norm(dim=1) <= bound * (there - x).flatten(1).norm(dim=1) * (1 + 1e-4)).all()
        assert (largest_stretch(net, x[:10], eps=1.0, bounds=None)[0] <= bound * (1 + 1e-4)).all()


@pytest.mark.parametrize("kernel, stride, padding, dilation, side, windows", [
    (2, 2, 0, 1, 8, 1), (3, 1, 0, 1, 8, 9), (3, 2, 1, 1, 8, 4), (2, 3, 0, 1, 8, 1), (2, 1, 0, 2, 8, 4), (3, 1, 0, 1, 3, 1), (3, 2, 0, 2, 9, 9)])
def test_how_often_max_pooling_looks_at_a_pixel(kernel, stride, padding, dilation, side, windows):
    pool = nn.MaxPool2d(kernel, stride, padding, dilation)
    assert lipschitz_bound(pool, (1, side, side))[0] == pytest.approx(windows ** 0.5)
    reached = 0     # and that it cannot be less: one pixel alone is the largest of so many windows
    for row, column in itertools.product(range(side), repeat=2):
        x = torch.zeros(1, 1, side, side)
        x[0, 0, row, column] = 1
        reached = max(reached, int(pool(x).sum()))
    assert reached == windows


def test_the_bound_holds_on_the_courses_networks_and_is_far_away(digits):
    for name in ("mnist5k/mlp", "mnist5k/robust-l2"):
        model = models.load(name)
        bound, factors = lipschitz_bound(model, (1, 28, 28))
        stretch, found = largest_stretch(model, digits.images, eps=1.0)
        local = jacobian_norm(model, digits.images)
        assert factors["0 Normalize"] == pytest.approx(1 / 0.3081, rel=1e-4)
        assert (local <= bound).all() and (stretch <= bound).all() and bound > 2 * stretch.max(), name
        _, size = attacks.min_norm(model, digits.images, digits.labels, norm="l2", eps_max=6.0)
        gap = -attacks.margin(attacks.scores(model, digits.images), digits.labels)
        assert (size >= gap / (2 ** 0.5 * bound)).all(), "no change smaller than the margin over the bound is enough"


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


@pytest.mark.parametrize("model, says", [
    (nn.Sequential(nn.Conv2d(1, 4, 3), models.ResidualBlock(4, 4, 1)), "no factor is known for ResidualBlock.*branches"), (models.resnet(), "ResidualBlock"),
    (Doubled(), "no factor is known for Doubled"), (nn.GELU(), "no factor is known for GELU"), (models.rbf(), "no factor is known for RBF")])
def test_what_is_not_known_is_said(model, says):
    with pytest.raises(TypeError, match=says):
        lipschitz_bound(model, (3 if "ResidualBlock" == says else 1, 32, 32))


def test_batch_norm_without_statistics_has_no_bound():
    with pytest.raises(ValueError, match="without running statistics"):
        lipschitz_bound(nn.BatchNorm2d(2, track_running_stats=False), (2, 4, 4))
    with pytest.raises(ValueError, match=r"Conv2d does not take inputs of shape \(3, 8, 8\)"):
        lipschitz_bound(nn.Sequential(nn.ReLU(), nn.Conv2d(2, 2, 3)), (3, 8, 8))


# ---- near images ----

def jacobians(model, images):
    """Exactly, one row at a time."""
    x = images.clone().requires_grad_()
    y = model(x)
    rows = [torch.autograd.grad(y[:, k].sum(), x, retain_graph=True)[0].flatten(1) for k in range(y.shape[1])]
    return torch.stack(rows, 1)


def test_the_jacobians_norm_is_that_of_the_exact_jacobian(digits, cnn):
    net = seeded(everything).eval()
    wide = random_images(6, (1, 11, 11))
    for model, x in ((cnn, digits.images[:10]), (models.load("mnist5k/mlp"), digits.images[:10]), (net, wide)):
        exact = torch.linalg.matrix_norm(jacobians(model, x), 2)
        box = None if model is net else (0, 1)
        assert torch.allclose(jacobian_norm(model, x, steps=200, bounds=box), exact, rtol=1e-3)
        assert (jacobian_norm(model, x, steps=3, bounds=box) <= exact * (1 + 1e-4)).all(), "from below"


def test_the_stretch_is_what_it_says(digits, cnn):
    x = digits.images[:12]
    eps = torch.linspace(0.5, 2, 12)
    stretch, found = largest_stretch(cnn, x, eps=eps)
    delta = (found - x).flatten(1).norm(dim=1)
    again = (attacks.scores(cnn, found) - attacks.scores(cnn, x)).norm(dim=1) / delta
    assert torch.allclose(stretch, again, rtol=1e-3)
    assert (delta <= eps * (1 + 1e-5)).all() and (delta >= eps / 101).all() and found.min() >= 0 and found.max() <= 1


def test_ascent_finds_more_than_where_it_begins_and_than_noise(digits, cnn):
    x = digits.images[:12]
    begun, climbed = (largest_stretch(cnn, x, eps=2.0, steps=steps)[0] for steps in (1, 40))
    assert (climbed >= begun - 1e-4).all() and climbed.mean() > 1.1 * begun.mean()
    noise = attacks.random_start(x, 2.0, "l2", "ball", torch.Generator().manual_seed(0))
    random = (attacks.scores(cnn, x + noise) - attacks.scores(cnn, x)).norm(dim=1) / noise.flatten(1).norm(dim=1)
    assert (climbed > 3 * random).all()


KERNELS = {"operator_norm": lambda model, x: torch.tensor([operator_norm(model[0], x.shape[1:], steps=20)]),
           "lipschitz_bound": lambda model, x: torch.tensor([lipschitz_bound(model, x.shape[1:])[0]]),
           "jacobian_norm": lambda model, x, **more: jacobian_norm(model, x, steps=10, **more),
           "largest_stretch": lambda model, x, **more: largest_stretch(model, x, eps=1.0, steps=4, **more)[0]}


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_a_kernel_leaves_the_model_and_the_random_state_as_found(kernel, digits, awkward):
    modes = [module.training for module in awkward.modules()]
    state = {key: value.clone() for key, value in awkward.state_dict().items()}
    marker = torch.ones_like(awkward[5].weight)
    awkward[5].weight.grad = marker.clone()
    random, x = torch.get_rng_state(), digits.images[:4].double()
    before = x.clone()
    with torch.no_grad():
        out = kernel(awkward, x)
        assert torch.equal(out, kernel(awkward, x)) and (out > 0).all() and not out.requires_grad
    assert [module.training for module in awkward.modules()] == modes
    assert all(torch.equal(value, awkward.state_dict()[key]) for key, value in state.items())
    assert torch.equal(awkward[5].weight.grad, marker) and awkward[1].weight.grad is None
    assert awkward[0].weight.requires_grad is False and awkward[5].weight.requires_grad
    assert torch.equal(torch.get_rng_state(), random) and torch.equal(x, before) and not x.requires_grad
    assert not any(module._forward_hooks or module._backward_hooks for module in awkward.modules())


@pytest.mark.parametrize("name", ["jacobian_norm", "largest_stretch"])
def test_results_do_not_depend_on_batch_or_chunk(name, digits, awkward):
    x = digits.images[:7].double()
    whole = KERNELS[name](awkward, x)
    assert whole.shape == (7,) and whole.dtype == x.dtype
    assert torch.allclose(KERNELS[name](awkward, x, chunk=2), whole, atol=1e-9)
    assert KERNELS[name](awkward, x[:0]).shape == (0,)


@pytest.mark.parametrize("name", ["jacobian_norm", "largest_stretch"])
def test_bad_input_gets_one_clear_error(name, cnn, digits):
    for images, error, says in ((digits.images * 255, ValueError, r"must lie in \[0, 1\]"), (digits.images[0], ValueError, r"images\[None\]"),
                                (digits.images.numpy(), TypeError, "float tensor"), (digits.images * torch.nan, ValueError, "NaN")):
        with pytest.raises(error, match=says):
            KERNELS[name](cnn, images)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        jacobian_norm(cnn, digits.images[:1], steps=0)
    for options, says in ((dict(eps=0.0), "eps must be above 0"), (dict(eps=-1.0), "eps must not be negative"), (dict(eps=1.0, steps=0), "steps must be")):
        with pytest.raises(ValueError, match=says):
            largest_stretch(cnn, digits.images[:1], **options)


def test_the_best_start_counts_where_the_box_cuts(cnn):
    black = torch.zeros(1, 1, 28, 28)
    stretch, found = largest_stretch(cnn, black, eps=1.0)
    assert stretch > 0 and found.min() >= 0 and (found != black).any()


def test_an_empty_difference_is_no_stretch():
    net = linear(classes=3)
    with torch.no_grad():
        net.weights.zero_() if not isinstance(net.weights, nn.Parameter) else net.weights.data.zero_()
    stretch, found = largest_stretch(net, random_images(2), eps=1.0, bounds=None)
    assert (stretch == 0).all() and torch.isfinite(found).all()
    assert (jacobian_norm(net, random_images(2), bounds=None) == 0).all()


def test_vectors_that_outnumber_the_inputs_are_no_matter():
    assert bounds.VECTORS > 2 and operator_norm(nn.Linear(2, 5), (2,)) > 0
