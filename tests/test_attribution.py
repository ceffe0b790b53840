"""Every attribution against a closed form, and against captum, shap and lime."""
import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers import attacks, attribution, models
from helpers.checking import images as random_images
from helpers.checking import linear
from helpers.lime import coalitions, lime_image, shapley_values, shapley_weights, superpixels, switched


@pytest.fixture
def smooth():
    """A smooth network for 3 x 8 x 8, float64."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.Softplus(), nn.Conv2d(6, 4, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(16, 5)).double()


@pytest.fixture
def colour():
    return random_images(6, (3, 8, 8), 0, 1).double()


LABELS = torch.arange(6) % 3


# ---- on a linear network everything is known ----

def test_of_a_linear_network_all_is_known():
    net, x, y = linear().double(), random_images(6).double(), LABELS
    w = net.weights[y].view_as(x)
    base, background = torch.full_like(x, 0.3), random_images(4).double().flip(3)
    exact = {
        "gradient_x_input": (attribution.gradient_x_input(net, x, y), w * x),
        "smooth_grad": (attribution.smooth_grad(net, x, y, n_samples=7), w),
        "integrated_gradients": (attribution.integrated_gradients(net, x, y, baseline=0.3, steps=1), w * (x - base)),
        "occlusion": (attribution.occlusion(net, x, y, size=1, baseline=base), w * (x - base)),
        "occlusion_x_gradient": (attribution.occlusion_x_gradient(net, x, y, size=1, baseline=base), w * (x - base) * (w * x).abs()),
        "gradients_over_training": (attribution.gradients_over_training([net, linear(seed=9).double()], x, y, weights=[1, 3], of="logit"),
                                    (w + 3 * linear(seed=9).double().weights[y].view_as(x)) / 4),
        "expected_gradients": (attribution.expected_gradients(net, x, y, background, n_samples=8), w * (x - background.mean(0))),
    }
    for name, (ours, wanted) in exact.items():
        assert torch.allclose(ours, wanted, atol=1e-12), name


def test_lime_of_a_linear_network_is_the_sum_over_each_superpixel():
    net, x, y = linear(shape=(1, 4, 4)).double(), random_images(3, (1, 4, 4)).double(), LABELS[:3]
    half = (torch.arange(4) >= 2).long()
    segments = (2 * half[:, None] + half).expand(3, -1, -1)
    map = lime_image(net, x, y, segments=segments, baseline=0.0, n_samples=60, ridge=1e-9)
    wanted = net.weights[y].view_as(x) * x
    for s in range(4):
        inside = segments[:, None] == s
        assert torch.allclose(map[inside].view(3, 4).mean(1), (wanted * inside).sum((1, 2, 3)), atol=1e-6)
    sparse = lime_image(net, x, y, segments=segments, baseline=0.0, n_samples=60, n_features=2, ridge=1e-9)
    largest = map.flatten(1).abs().argmax(1)
    assert all(len(one.unique()) <= 3 and one.flatten()[at] != 0 for one, at in zip(sparse, largest))
    means = lime_image(net, x, y, segments=segments, n_samples=60, ridge=1e-9)      # covered with each superpixel's mean
    centred = net.weights[y].view_as(x) * (x - torch.stack([torch.stack([x[i, 0][segments[i] == s].mean() for s in range(4)])[segments[i]] for i in range(3)])[:, None])
    assert torch.allclose(means[:, 0, 0, 0], (centred * (segments[:, None] == 0)).sum((1, 2, 3)), atol=1e-6)


def test_of_says_what_is_explained():
    net, x, y = linear().double(), random_images(6).double(), LABELS
    for of, value in (("loss", attacks.cross_entropy), ("log_probability", attribution.log_probability), (lambda logits, labels: logits.square().sum(1),) * 2):
        points = x.clone().requires_grad_()
        wanted, = torch.autograd.grad(value(net(points), y).sum(), points)
        assert torch.allclose(attribution.smooth_grad(net, x, y, sigma=0.0, n_samples=2, of=of), wanted, atol=1e-12)
        assert torch.allclose(attribution.integrated_gradients(net, x, y, steps=60, of=of).sum((1, 2, 3)), value(net(x), y) - value(net(0 * x), y), atol=1e-6)
        whole = attribution.occlusion(net, x, y, size=4, of=of)      # one window, as large as the image
        assert torch.allclose(whole.amax((1, 2, 3)), value(net(x), y) - value(net(0 * x), y), atol=1e-9)


# ---- sums ----

def test_integrated_gradients_are_complete_on_a_smooth_network(smooth, colour):
    for baseline in (0.0, colour.flip(0)):
        sums = attribution.integrated_gradients(smooth, colour, LABELS, baseline=baseline, steps=30).sum((1, 2, 3))
        base = baseline + torch.zeros_like(colour)
        assert torch.allclose(sums, attribution.logit(smooth(colour), LABELS) - attribution.logit(smooth(base), LABELS), atol=1e-6)


def test_gradient_x_input_of_a_relu_network_without_biases_sums_to_the_output(colour):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(216, 9, bias=False), nn.ReLU(), nn.Linear(9, 5, bias=False)).double()
    assert torch.allclose(attribution.gradient_x_input(net, colour, LABELS).sum((1, 2, 3)), attribution.logit(net(colour), LABELS), atol=1e-12)


def test_expected_gradients_sum_to_the_output_minus_the_backgrounds(smooth, colour):
    smooth[0].weight.data.mul_(8)       # far from linear
    background = random_images(20, (3, 8, 8), 0, 1).double().flip(2)
    wanted = attribution.logit(smooth(colour), LABELS) - smooth(background).mean(0)[LABELS]
    sums = [attribution.expected_gradients(smooth, colour, LABELS, background, n_samples=n).sum((1, 2, 3)) for n in (20, 200, 2000)]
    errors = [(one - wanted).abs().mean().item() for one in sums]
    assert errors[2] < 0.01 and errors[2] < errors[0] / 3, errors
    repeated = torch.stack([attribution.expected_gradients(smooth, colour, LABELS, background, n_samples=20, generator=torch.Generator().manual_seed(seed))
                            .sum((1, 2, 3)) for seed in range(30)])
    assert ((repeated.mean(0) - wanted).abs() < 4 * repeated.std(0) / 30 ** 0.5 + 1e-6).all(), "no bias beyond the Monte-Carlo error"


def test_many_classes_from_one_pass_are_those_one_by_one(smooth, colour):
    background, classes = colour.flip(0), torch.arange(5).expand(6, -1)
    together = attribution.expected_gradients(smooth, colour, classes, background, n_samples=12)
    assert together.shape == (6, 5, 3, 8, 8)
    for c in range(5):
        alone = attribution.expected_gradients(smooth, colour, classes[:, c].contiguous(), background, n_samples=12)
        # each image draws its own background, in the same order
        assert torch.allclose(together[:, c], alone, atol=1e-12)


def test_noise_has_the_size_that_was_asked_for(colour):
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x.detach())
            return x.flatten(1)[:, :5]
    attribution.smooth_grad(Spy(), colour, LABELS, n_samples=200, sigma=0.3)
    noise = torch.cat(seen) - colour.repeat_interleave(200, 0)
    assert abs(noise.std() - 0.3) < 0.003 and abs(noise.mean()) < 0.003
    assert (torch.cat(seen) < 0).any() and (torch.cat(seen) > 1).any(), "not clipped: a clamp would kill gradients"


def test_occlusion_spreads_over_windows_that_overlap(smooth, colour):
    """By hand, window by window."""
    map = attribution.occlusion(smooth, colour[:1], LABELS[:1], size=(3, 4), stride=(2, 3), baseline=0.5)
    total, count = torch.zeros(8, 8).double(), torch.zeros(8, 8).double()
    for top in (0, 2, 4, 6):
        for left in (0, 3, 6):
            covered = colour[:1].clone()
            covered[:, :, top:top + 3, left:left + 4] = 0.5
            fall = (smooth(colour[:1]) - smooth(covered))[0, LABELS[0]].item()
            total[top:top + 3, left:left + 4] += fall
            count[top:top + 3, left:left + 4] += 1
    assert torch.allclose(map[0], (total / count).expand(3, -1, -1), atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(0, 3), channels=st.sampled_from([1, 3]), height=st.integers(2, 6), width=st.integers(2, 6), double=st.booleans(), chunk=st.integers(1, 7))
def test_any_shape_and_chunk(n, channels, height, width, double, chunk):
    shape, dtype = (channels, height, width), torch.float64 if double else torch.float32
    net, x, y = linear(shape=shape).to(dtype), random_images(n, shape, 0, 1).to(dtype), torch.arange(n) % 3
    for kernel in (lambda **more: attribution.smooth_grad(net, x, y, n_samples=3, **more), lambda **more: attribution.integrated_gradients(net, x, y, steps=3, **more),
                   lambda **more: attribution.occlusion(net, x, y, size=2, stride=1, **more),
                   lambda **more: attribution.expected_gradients(net, x, y, torch.zeros(2, *shape, dtype=dtype), n_samples=3, **more)):
        out = kernel(chunk=chunk)
        assert out.shape == x.shape and out.dtype == dtype and torch.allclose(out, kernel(), atol=1e-5)


# ---- peers ----

def test_gradients_are_captums(digits, cnn):
    captum = pytest.importorskip("captum.attr")
    x, y = digits.images[:8], digits.labels[:8]
    assert torch.allclose(attribution.gradient_x_input(cnn, x, y), captum.InputXGradient(cnn).attribute(x.clone(), target=y), atol=1e-6)
    theirs = captum.IntegratedGradients(cnn).attribute(x, baselines=0.2, target=y, n_steps=50)
    assert torch.allclose(attribution.integrated_gradients(cnn, x, y, baseline=0.2, steps=50), theirs, atol=1e-5)


def test_smooth_grad_is_captums_with_the_same_noise(digits, cnn, monkeypatch):
    captum = pytest.importorskip("captum.attr")
    x, y = digits.images[:3], digits.labels[:3]
    noise = attribution._Noise(x, torch.Generator().manual_seed(5)).take(3 * 20)
    monkeypatch.setattr(torch, "normal", lambda mean, std: std * noise)
    theirs = captum.NoiseTunnel(captum.Saliency(cnn)).attribute(x.clone(), target=y, nt_samples=20, stdevs=0.2, abs=False, nt_type="smoothgrad")
    ours = attribution.smooth_grad(cnn, x, y, n_samples=20, sigma=0.2, generator=torch.Generator().manual_seed(5))
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("size, stride", [(4, 4), (5, 2), ((3, 7), (2, 5)), (28, 1)])
def test_occlusion_is_captums(digits, cnn, size, stride):
    captum = pytest.importorskip("captum.attr")
    x, y = digits.images[:3], digits.labels[:3]
    window, step = (attribution._pair(value, "") for value in (size, stride))
    theirs = captum.Occlusion(cnn).attribute(x, target=y, sliding_window_shapes=(1, *window), strides=(1, *step), baselines=0.1)
    assert torch.allclose(attribution.occlusion(cnn, x, y, size=size, stride=stride, baseline=0.1), theirs, atol=1e-5)


def test_expected_gradients_are_shaps_within_the_noise(digits, cnn):
    shap = pytest.importorskip("shap")
    x, background, classes = digits.images[:1], digits.images[10:], torch.arange(10)[None]
    explainer = shap.GradientExplainer(cnn, background)
    theirs = torch.as_tensor(explainer.shap_values(x, nsamples=4000, rseed=0))[0, 0].permute(2, 0, 1)       # H x W x classes there
    ours = attribution.expected_gradients(cnn, x, classes, background, n_samples=4000)[0, :, 0]
    few = attribution.expected_gradients(cnn, x, classes, background, n_samples=250)[0, :, 0]
    noise = (few - ours).norm() / 4         # of 4,000 samples: a quarter of the noise of 250
    assert (ours - theirs).norm() < 2 * noise + 0.05 * theirs.norm()
    assert F.cosine_similarity(ours.flatten(), theirs.flatten(), 0) > 0.98


def test_lime_finds_what_lime_finds(digits, cnn):
    lime = pytest.importorskip("lime.lime_image")
    import numpy as np
    x, y = digits.images[:1], digits.labels[:1]
    segments = superpixels(x[0], 30)

    def classify(pictures):     # lime hands over H x W x 3
        return attacks.scores(cnn, torch.as_tensor(pictures[..., :1]).permute(0, 3, 1, 2).float()).numpy()
    explained = lime.LimeImageExplainer(kernel_width=0.25, random_state=0).explain_instance(
        np.repeat(x[0].permute(1, 2, 0).numpy().astype(np.double), 3, 2), classify, labels=(y.item(),), hide_color=0.0, top_labels=None, num_features=1000,
        num_samples=3000, segmentation_fn=lambda picture: segments.numpy())
    theirs = torch.tensor([weight for _, weight in sorted(explained.local_exp[y.item()])])
    map = lime_image(cnn, x, y, segments=segments[None], n_samples=3000, baseline=0.0)[0, 0]
    ours = torch.stack([map[segments == s][0] for s in range(segments.max() + 1)])
    assert torch.corrcoef(torch.stack([ours.double(), theirs.double()]))[0, 1] > 0.97


def test_superpixels_cover_the_image(digits):
    for image in (digits.images[0], models.data.load("imagenet-samples").images[0]):
        segments = superpixels(image, 40)
        assert segments.shape == image.shape[1:] and 10 < len(segments.unique()) <= 80 and segments.max() + 1 == len(segments.unique())


def test_shapleys_values_are_the_mean_over_all_orders_of_arrival():
    values, share = torch.randn(16, generator=torch.Generator().manual_seed(0)).double(), torch.zeros(4).double()
    orders = list(itertools.permutations(range(4)))
    for order in orders:
        for k, i in enumerate(order):
            share[i] += (values[sum(2**j for j in order[:k + 1])] - values[sum(2**j for j in order[:k])]) / len(orders)
    assert torch.allclose(shapley_values(values), share, atol=1e-12)
    assert coalitions(4)[6].tolist() == [False, True, True, False]
    assert torch.equal(shapley_values(torch.tensor([1.0, 4.0])), torch.tensor([3.0]))


def test_a_linear_fit_with_shapleys_weights_gives_shapleys_values():
    values, on = torch.randn(32, generator=torch.Generator().manual_seed(1)).double(), coalitions(5)
    root, rows = shapley_weights(on, 1e10).sqrt()[:, None], torch.cat([torch.ones(32, 1), on], 1).double()
    assert torch.allclose(torch.linalg.lstsq(root * rows, root * values[:, None]).solution[1:, 0], shapley_values(values), atol=1e-5)


def test_switched_off_pieces_show_their_mean_or_the_baseline(digits):
    image = digits.images[0]
    segments = superpixels(image, 12)
    players = segments.max() + 1
    on = torch.ones(2, players, dtype=torch.bool)
    on[1, 2] = False
    black, mean = switched(image, segments, on, 0.0), switched(image, segments, on)
    assert torch.equal(black[0], image) and torch.equal(black[1][0, segments != 2], image[0, segments != 2]) and (black[1][0, segments == 2] == 0).all()
    assert torch.allclose(mean[1][0, segments == 2], image[0, segments == 2].mean())


# ---- bad input ----

@pytest.mark.parametrize("call, says", [
    (lambda net, x, y: attribution.smooth_grad(net, x, y, n_samples=0), "n_samples must be at least 1"),
    (lambda net, x, y: attribution.integrated_gradients(net, x, y, steps=0), "steps must be at least 1"),
    (lambda net, x, y: shapley_values(torch.zeros(6)), "the value of each of 2\\^K coalitions"),
    (lambda net, x, y: attribution.occlusion(net, x, y, size=0), "size must be a positive number of pixels"),
    (lambda net, x, y: attribution.occlusion(net, x, y, size=40), "a window of 40 x 40 does not fit into images of 28 x 28"),
    (lambda net, x, y: attribution.gradients_over_training([], x, y), "at least one model"),
    (lambda net, x, y: attribution.gradients_over_training([net, net], x, y, weights=[1]), "1 weights but more models"),
    (lambda net, x, y: attribution.expected_gradients(net, x, y, x + 2), "images must lie in"),
    (lambda net, x, y: attribution.expected_gradients(net, x, torch.full((2, 3), 12), x), "10 classes, 0 to 9, but a label is 12"),
    (lambda net, x, y: attribution.expected_gradients(net, x, torch.tensor([[1, -3], [2, 2]]), x), "must not be negative"),
    (lambda net, x, y: attribution.expected_gradients(net, x, torch.tensor([[1, 2]]), x), r"labels of shape \(2,\); wanted \(4,\)"),
    (lambda net, x, y: attribution.expected_gradients(net, x, y, x[:0]), "the background holds no images"),
    (lambda net, x, y: attribution.occlusion(net, x, y, size=4, stride=0), "stride must be a positive number"),
    (lambda net, x, y: lime_image(net, x, y, n_samples=0), "n_samples must be at least 1"),
    (lambda net, x, y: lime_image(net, x, y, segments=torch.zeros(2, 3, 3).long()), r"segments must be int64 of shape \(2, 28, 28\)"),
])
def test_bad_options_get_one_clear_error(call, says, digits, cnn):
    with pytest.raises(ValueError, match=says):
        call(cnn, digits.images[:2], digits.labels[:2])


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr
    a, b = torch.randn(4, 2, 5, 5, generator=torch.Generator().manual_seed(0)), torch.randn(4, 2, 5, 5, generator=torch.Generator().manual_seed(1))
    a[1] = b[1].exp()
    a[2] = a[2].round()         # ties
    wanted = torch.tensor([spearmanr(u.flatten(), v.flatten()).statistic for u, v in zip(a, b)])
    assert torch.allclose(attribution.rank_correlation(a, b), wanted) and attribution.rank_correlation(a, b)[1] == pytest.approx(1)
    where = torch.rand(4, 1, 5, 5, generator=torch.Generator().manual_seed(2)) < 0.5
    there = attribution.rank_correlation(a, b, where=where)
    for i in range(4):
        chosen = where[i].expand(2, 5, 5)
        assert there[i] == pytest.approx(spearmanr(a[i][chosen], b[i][chosen]).statistic)
    assert attribution.rank_correlation(torch.zeros_like(a), b).tolist() == [0] * 4
    with pytest.raises(ValueError, match="the same shape"):
        attribution.rank_correlation(a, b[:2])
