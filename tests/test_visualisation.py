"""Feature visualisation: closed forms, what it leaves alone, and what a dead ReLU does not end."""
import pytest
import torch
from torch import nn

from helpers import attacks, models
from helpers import visualisation as vis


@pytest.fixture
def resnet():
    torch.manual_seed(0)
    return models.resnet(width=4)


def hooks(model):
    return [hook for module in model.modules() for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values(), *module._backward_hooks.values())]


def test_features_are_what_goes_into_the_last_linear_layer(digits, cnn, resnet):
    x = digits.images[:7]
    ours = vis.features(cnn, x, chunk=3)
    assert ours.shape == (7, 100) and torch.allclose(cnn[-1](ours), cnn(x), atol=1e-5) and not ours.requires_grad
    assert torch.allclose(ours, cnn[:-1](x), atol=1e-5) and not hooks(cnn)
    colour = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert vis.features(resnet, colour).shape == (3, 32) and resnet.training, "eval mode inside, its own mode afterwards"
    assert torch.allclose(vis.features(resnet, colour)[:1], vis.features(resnet, colour[:1]), atol=1e-6), "batch norm in eval mode"
    point = x.clone().requires_grad_()
    gradient, = torch.autograd.grad(vis.features(cnn, point)[:, 5].sum(), point)
    other, = torch.autograd.grad(cnn[:-1](point)[:, 5].sum(), point)
    assert torch.allclose(gradient, other, atol=1e-6)


def test_hooks_are_removed_after_an_error(cnn, digits):
    for options in ({}, {"straight_through": True}):
        with pytest.raises(RuntimeError):
            vis.features(cnn, torch.rand(2, 5, 28, 28).requires_grad_(), **options)
        assert not hooks(cnn)
    with pytest.raises(ValueError, match="no nn.Linear"):
        vis.features(nn.Conv2d(1, 2, 3), digits.images[:1])
    with pytest.raises(ValueError, match="no nn.ReLU"):
        vis.features(nn.Sequential(nn.Flatten(), nn.Linear(784, 3)), digits.images[:1].clone().requires_grad_(), straight_through=True)


@pytest.mark.parametrize("inplace", [False, True])
def test_straight_through_opens_only_the_last_relu(inplace):
    """One nn.ReLU object, called twice, as torchvision's blocks do."""
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.last, self.relu = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(inplace=inplace)
            self.first.weight.data, self.first.bias.data = torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([0.0, -9])
            self.second.weight.data, self.second.bias.data = torch.tensor([[-1.0, 0], [3, 5]]), torch.tensor([0.0, 0])

        def forward(self, x):
            return self.last(self.relu(self.second(self.relu(self.first(x.flatten(1))))))
    net, x = Twice(), torch.tensor([1.0, 1]).view(1, 1, 1, 2).requires_grad_()
    for open_, wanted in ((False, [[0.0, 0], [3, 0]]), (True, [[-1.0, 0], [3, 0]])):     # the second input is dead in the first ReLU: it stays so
        values = vis.features(net, x, straight_through=open_)
        assert values.tolist() == [[0, 3]], "the values are the same"
        rows = [torch.autograd.grad(values[0, k], x, retain_graph=True)[0].flatten().tolist() for k in range(2)]
        assert rows == wanted
    assert not hooks(net)


def test_maximize_reaches_the_best_point_of_the_ball():
    """The L2 optimum of a linear objective is known."""
    w = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    start = torch.full((3, 1, 4, 4), 0.5).double()
    eps = torch.tensor([0.1, 0.2, 0.3]).double()
    out = vis.maximize(lambda x: (w * x).sum((1, 2, 3)), start, steps=30, step_size=0.05, eps=eps)
    assert torch.allclose(out, start + eps.view(-1, 1, 1, 1) * w / w.norm(), atol=1e-9)
    corner = vis.maximize(lambda x: (w * x).sum((1, 2, 3)), start, steps=80, step_size=0.2)
    assert torch.equal(corner, (w > 0).double().expand_as(corner)), "without eps, the corner of the box"


def test_maximize_goes_on_from_a_dead_relu():
    target = torch.tensor([0.9, 0.1]).view(1, 1, 1, 2)

    def cup(x):     # 0, with gradient 0, unless x is within 0.3 of the target
        return (0.3 - (x - target).flatten(1).norm(dim=1)).clamp_min(0)
    start = torch.tensor([[0.2, 0.8], [0.8, 0.2]]).view(2, 1, 1, 2)
    values = []
    out = vis.maximize(cup, start, steps=300, step_size=0.02, callback=lambda step, x, value: values.append(value))
    assert len(values) == 301 and values[0][0] == 0
    assert torch.allclose(out[1:], target, atol=0.03)
    assert not torch.equal(out[:1], start[:1]) and torch.equal(out, vis.maximize(cup, start, steps=300, step_size=0.02)), "random, but the same each time"


def test_a_dead_unit_is_woken_by_the_straight_gradient(cnn, digits):
    x = digits.images[:40]
    values = vis.features(cnn, x)
    dead = ((values == 0).float().mean(0) - 0.5).abs().argmin().item()      # for about half of the digits
    start = x[values[:, dead] == 0][:5]
    awake = vis.maximize(lambda z: vis.features(cnn, z, straight_through=True)[:, dead], start, steps=20, step_size=0.5)
    assert (vis.features(cnn, awake)[:, dead] > 0).all()


def test_an_objective_must_give_one_value_a_sample():
    with pytest.raises(ValueError, match=r"one value per sample, shape \(2,\), but \(\) came"):
        vis.maximize(lambda x: x.sum(), torch.rand(2, 1, 2, 2))
    with pytest.raises(ValueError, match="steps must be at least 1"):
        vis.maximize(lambda x: x.sum((1, 2, 3)), torch.rand(2, 1, 2, 2), steps=0)


def test_class_traversal_of_a_logit_is_a_straight_line_on_a_linear_network():
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    path = vis.class_traversal(net, x, torch.tensor([2, 0]), of="logit", step_size=0.05, steps=4)
    way = net[1].weight.detach()[[2, 0]].view_as(x)
    way = way / way.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    assert torch.allclose(path, x + 0.05 * torch.arange(5).view(-1, 1, 1, 1, 1) * way, atol=1e-6)
    with pytest.raises(ValueError, match="of must be one of"):
        vis.class_traversal(net, x, torch.tensor([2, 0]), of="probability")


def test_class_traversal_returns_its_whole_path(digits):
    robust, x = models.load("mnist5k/robust-l2"), digits.images[:4]
    targets = (digits.labels[:4] + 1) % 10
    path = vis.class_traversal(robust, x, targets, eps=8.0, step_size=0.5, steps=20)
    assert path.shape == (21, 4, 1, 28, 28) and torch.equal(path[0], x)
    assert ((path[1:] - path[:-1]).flatten(2).norm(dim=2) <= 0.5 + 1e-5).all() and path.min() >= 0 and path.max() <= 1
    assert attacks.fooled(robust, path[-1], targets, targeted=True).all()
    assert torch.equal(path[-1], attacks.pgd(robust, x, targets, eps=8.0, norm="l2", step_size=0.5, steps=20, targeted=True, keep="last"))


def test_inversion_finds_the_features_again(digits):
    robust = models.load("mnist5k/robust-l2")
    wanted, start, seen = digits.images[:3], torch.full((3, 1, 28, 28), 0.1), []
    found = vis.invert(robust, wanted, start, steps=100, step_size=0.2, callback=lambda step, x, values: seen.append(values))
    away = [(vis.features(robust, z) - vis.features(robust, wanted)).norm(dim=1) / vis.features(robust, wanted).norm(dim=1) for z in (start, found)]
    assert (away[1] < 0.3 * away[0]).all()
    assert torch.allclose(-torch.stack(seen).amax(0), away[1], atol=1e-4), "the nearest one seen is returned"
    near = vis.invert(robust, wanted, start, steps=20, step_size=0.5, eps=torch.tensor([0.5, 1.0, 2.0]))
    assert torch.allclose((near - start).flatten(1).norm(dim=1), torch.tensor([0.5, 1.0, 2.0]), atol=0.05), "no farther than asked, and as far"


# ---- the Fourier parametrisation ----

def test_waves_span_all_images():
    """Grey images: the spectrum of any image gives it back, through the inverse of each step."""
    image = torch.rand(1, 1, 6, 7, generator=torch.Generator().manual_seed(0)).double() * 0.8 + 0.1
    frequency = (torch.fft.fftfreq(6)[:, None] ** 2 + torch.fft.rfftfreq(7) ** 2).sqrt()
    scale = 1 / frequency.clamp_min(1 / 7) * 42 ** 0.5
    spectrum = torch.view_as_real(torch.fft.rfft2(torch.logit(image) * 4) / scale)
    assert torch.allclose(vis.fourier_images(spectrum, (6, 7)), image, atol=1e-6)


def test_colours_are_correlated_as_in_photographs():
    spectrum = torch.randn(50, 3, 16, 9, 2, generator=torch.Generator().manual_seed(0))
    pixels = torch.logit(vis.fourier_images(spectrum, (16, 16)).double().clamp(1e-6, 1 - 1e-6)).transpose(0, 1).flatten(1)
    wanted = vis.COLOURS @ vis.COLOURS.T
    wanted = wanted / wanted.diag().sqrt() / wanted.diag().sqrt()[:, None]
    assert torch.allclose(torch.corrcoef(pixels).float(), wanted, atol=0.08)


def test_transforms_move_scale_and_turn():
    picture = torch.zeros(1, 1, 41, 41)
    picture[0, 0, 20, 30] = 1       # ten pixels to the right of the middle
    generator = torch.Generator().manual_seed(0)
    same = vis.jitter_scale_rotate(picture, generator, jitter=0, scale=0.0, degrees=0)
    assert torch.allclose(same, picture, atol=1e-5)
    for options, near in ((dict(jitter=5, scale=0.0, degrees=0), lambda y, x: abs(y) <= 5.5 and abs(x - 10) <= 5.5),
                          (dict(jitter=0, scale=0.3, degrees=0), lambda y, x: abs(y) < 0.6 and 6.5 <= x <= 14.5),
                          (dict(jitter=0, scale=0.0, degrees=90), lambda y, x: abs((y * y + x * x) ** 0.5 - 10) < 0.8)):
        places = set()
        for _ in range(20):
            moved = vis.jitter_scale_rotate(picture, generator, **options)[0, 0]
            y, x = divmod(moved.argmax().item(), 41)
            assert near(y - 20, x - 20), (options, y - 20, x - 20)
            places.add((y, x))
        assert len(places) > 3


def test_waves_maximise_an_objective_and_are_reproducible(digits, cnn):
    def score(x):
        return cnn(x)[:, 3]
    first, second = (vis.maximize_waves(score, (2, 1, 28, 28), steps=30, transform=lambda x, generator: vis.jitter_scale_rotate(x, generator, jitter=2)) for _ in range(2))
    assert torch.equal(first, second) and 0 < first.min() and first.max() < 1
    faint = vis.maximize_waves(score, (2, 1, 28, 28), steps=1, transform=None)
    assert (score(first) > score(faint) + 1).all()
    flat = vis.maximize_waves(lambda x: (x - 9).clamp_min(0).sum((1, 2, 3)), (1, 1, 8, 8), steps=5)
    assert flat.std() > 0.01, "a gradient of 0 is not the end"


def test_one_dead_step_does_not_stall_the_waves():
    w = 1e-3 * torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    calls = []

    def objective(x, dead_first):
        calls.append(1)
        return (0.0 if dead_first and len(calls) == 1 else 1.0) * (w * x).sum((1, 2, 3))
    ends = []
    for dead_first in (False, True):
        calls.clear()
        ends.append((w * vis.maximize_waves(lambda x: objective(x, dead_first), (1, 1, 8, 8), steps=100, transform=None)).sum().item())
    assert ends[1] > 0.8 * ends[0] > 0


def test_the_random_state_and_gradients_are_left_alone(cnn, digits):
    cnn.zero_grad()     # what a peer left there in another test
    before = torch.get_rng_state()
    x = digits.images[:2].clone()
    vis.maximize(lambda z: vis.features(cnn, z)[:, 0], x, steps=2)
    vis.invert(cnn, x, x.flip(0), steps=2)
    vis.maximize_waves(lambda z: vis.features(cnn, z)[:, 0], (1, 1, 28, 28), steps=2)
    assert torch.equal(before, torch.get_rng_state()) and torch.equal(x, digits.images[:2])
    assert all(parameter.grad is None for parameter in cnn.parameters()) and not hooks(cnn)
