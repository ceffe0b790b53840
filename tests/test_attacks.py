"""Every kernel against a closed form, against peers, and against what it promises to leave alone."""
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import attacks, data, models
from helpers import attribution, visualisation
from helpers.attribution import input_gradient
from helpers.lime import lime_image
from helpers.checking import images as random_images
from helpers.checking import linear

KERNELS = {
    "fgsm": lambda model, x, y, **more: attacks.fgsm(model, x, y, eps=0.1, **more),
    "normalized_gradient": lambda model, x, y, **more: attacks.normalized_gradient(model, x, y, eps=1.0, norm="l2", **more),
    "pgd l2": lambda model, x, y, **more: attacks.pgd(model, x, y, eps=1.0, norm="l2", steps=4, start="ball", **more),
    "pgd linf": lambda model, x, y, **more: attacks.pgd(model, x, y, eps=0.1, norm="linf", steps=4, start="radius", **more),
    "min_norm": lambda model, x, y, **more: attacks.min_norm(model, x, y, norm="l2", eps_max=3.0, halvings=3, steps=3, **more)[0],
    "pgd first": lambda model, x, y, **more: attacks.pgd(model, x, y, eps=0.1, norm="linf", steps=4, keep="first", decay=True, **more),
    "pgd restarts": lambda model, x, y, **more: attacks.pgd(model, x, y, eps=0.5, norm="l2", steps=2, start="ball", restarts=2, **more),
    "robust_accuracy": lambda model, x, y, **more: attacks.robust_accuracy(model, x, y, 0.1, norm="linf", steps=3, **more)[1].view(-1, 1, 1, 1) * x.detach(),
    "input_gradient": lambda model, x, y, **more: input_gradient(model, x, y, **more),
    "gradient_x_input": lambda model, x, y, **more: attribution.gradient_x_input(model, x, y, **more),
    "smooth_grad": lambda model, x, y, **more: attribution.smooth_grad(model, x, y, n_samples=5, **more),
    "integrated_gradients": lambda model, x, y, **more: attribution.integrated_gradients(model, x, y, steps=3, **more),
    "occlusion": lambda model, x, y, **more: attribution.occlusion(model, x, y, size=8, stride=5, **more),
    "occlusion_x_gradient": lambda model, x, y, **more: attribution.occlusion_x_gradient(model, x, y, size=14, **more),
    "gradients_over_training": lambda model, x, y, **more: attribution.gradients_over_training([model, model], x, y, **more),
    "expected_gradients": lambda model, x, y, **more: attribution.expected_gradients(model, x, y, grey(x), n_samples=5, **more),
    "lime_image": lambda model, x, y, **more: lime_image(model, x, y, segments=quarters(x), n_samples=9, **more),
    "class_traversal": lambda model, x, y, chunk=None: visualisation.class_traversal(model, x, y, eps=2.0, step_size=0.5, steps=3)[-1],
}


def grey(images):
    """Two grey images like these."""
    return torch.full_like(images[:2], 0.3) if isinstance(images, torch.Tensor) and len(images) else torch.full((2, 1, 28, 28), 0.3)


def quarters(images):
    """Four square segments for each image."""
    if not isinstance(images, torch.Tensor) or images.ndim != 4:
        return None
    half = (torch.arange(images.shape[2]) >= images.shape[2] // 2).long()
    return (2 * half[:, None] + half).expand(len(images), -1, -1)
each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
each_norm = pytest.mark.parametrize("norm", ["l2", "linf"])


def size(delta, norm):
    return delta.flatten(1).norm(dim=1) if norm == "l2" else delta.flatten(1).abs().amax(1)


# ---- closed forms ----

def test_input_gradient_of_a_linear_network():
    net, x = linear().double(), random_images().double()
    y = torch.arange(5) % 3
    p = net(x).softmax(1)
    onehot = F.one_hot(y, 3).double()
    exact = {"loss": (p - onehot) @ net.weights, "logit": net.weights[y], "log_probability": (onehot - p) @ net.weights}
    for of, wanted in exact.items():
        assert torch.allclose(input_gradient(net, x, y, of=of), wanted.view_as(x), atol=1e-12)


@each_norm
@pytest.mark.parametrize("targeted", [False, True])
def test_the_worst_point_of_the_ball_of_a_linear_network(norm, targeted):
    net, x = linear(classes=2).double(), random_images(6).double()
    y = torch.arange(6) % 2
    away = (1 - 2 * y)[:, None] * (net.weights[1] - net.weights[0])
    away = (-away if targeted else away).view_as(x)
    best = x + 0.2 * attacks.unit_step(away, norm)
    step = attacks.normalized_gradient(net, x, y, eps=0.2, norm="l2", targeted=targeted) if norm == "l2" else attacks.fgsm(net, x, y, eps=0.2, targeted=targeted)
    assert torch.allclose(step, best, atol=1e-9)
    for loss in ("cross_entropy", "margin"):
        for start in (None, "ball", "radius"):
            many = attacks.pgd(net, x, y, eps=0.2, norm=norm, targeted=targeted, loss=loss, start=start, steps=40, step_size=0.1)
            assert torch.allclose(many, best, atol=1e-6)


def test_the_smallest_perturbation_of_a_linear_network():
    net, x = linear(classes=2).double(), random_images(6).double()
    y = net(x).argmax(1)
    normal = net.weights[1] - net.weights[0]
    distance = (net(x)[:, 1] - net(x)[:, 0]).abs() / normal.norm()
    adversarial, eps = attacks.min_norm(net, x, y, norm="l2", eps_max=1.0, halvings=12, bounds=None)
    assert torch.allclose(eps, distance, atol=1.5 / 2 ** 12)
    assert attacks.fooled(net, adversarial, y).all()
    assert (size(adversarial - x, "l2") <= eps + 1e-9).all()


def test_min_norm_says_infinite_where_it_fails_and_zero_where_nothing_is_needed():
    net, x = linear(classes=2), random_images(4)
    y = net(x).argmax(1)
    adversarial, eps = attacks.min_norm(net, x, torch.where(torch.arange(4) < 2, y, 1 - y), norm="linf", eps_max=1e-6)
    assert eps[:2].isinf().all() and (eps[2:] == 0).all() and torch.equal(adversarial, x)


def test_lbfgs_reaches_its_target_with_the_smallest_change_of_a_linear_network():
    net, x = linear(classes=2), random_images(3)
    targets = 1 - net(x).argmax(1)
    normal = net.weights[1] - net.weights[0]
    distance = (net(x)[:, 1] - net(x)[:, 0]).abs() / normal.norm()
    found = attacks.lbfgs(net, x, targets)
    assert attacks.fooled(net, found, targets, targeted=True).all()
    assert found.min() >= 0 and found.max() <= 1
    assert torch.allclose(size(found - x, "l2"), distance, rtol=0.05)


def test_lbfgs_returns_the_image_where_it_fails():
    net, x = linear(classes=3), random_images(1)
    net.bias = torch.tensor([0.0, 0.0, -1000.0])
    assert torch.equal(attacks.lbfgs(net, x, torch.tensor([2])), x)


@each_norm
def test_projection_is_the_nearest_point(norm):
    delta = torch.randn(100, 1, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    inside = attacks.project(delta, torch.tensor(1.0).double(), norm)
    assert (size(inside, norm) <= 1 + 1e-12).all()
    keep = size(delta, norm) <= 1
    assert torch.equal(inside[keep], delta[keep])
    for seed in range(20):       # no other point of the ball is nearer
        other = attacks.random_start(delta, 1.0, norm, "ball", torch.Generator().manual_seed(seed))
        assert (size(other - delta, "l2") >= size(inside - delta, "l2") - 1e-9).all()


def test_margin_is_positive_exactly_where_the_label_is_not_predicted():
    logits = torch.tensor([[1.0, 3.0, 2.0], [5.0, 1.0, 1.0], [0.0, 0.5, 2.5]])
    assert attacks.margin(logits, torch.tensor([0, 0, 2])).tolist() == [2.0, -4.0, -2.0]


@each_norm
def test_random_starts_are_spread_as_they_say(norm):
    big = torch.zeros(4000, 1, 1, 3)
    generator = torch.Generator().manual_seed(0)
    ball = size(attacks.random_start(big, 2.0, norm, "ball", generator), norm) / 2
    radius = size(attacks.random_start(big, 2.0, norm, "radius", generator), norm) / 2
    assert ball.max() <= 1 + 1e-6 and radius.max() <= 1 + 1e-6
    assert abs((ball ** 3).mean() - 0.5) < 0.03, "uniform in a ball of three dimensions: the cube of the radius is uniform"
    assert abs(radius.mean() - 0.5) < 0.03 and abs(radius.var() - 1 / 12) < 0.01


def test_random_signs_are_the_control_of_fgsm():
    x = random_images(50)
    noisy = attacks.random_signs(x, eps=0.1)
    assert torch.allclose((noisy - x).abs(), torch.tensor(0.1)) and abs((noisy > x).float().mean() - 0.5) < 0.05
    assert torch.equal(noisy, attacks.random_signs(x, eps=0.1))


# ---- peers ----

@each_norm
@pytest.mark.parametrize("targeted", [False, True])
def test_pgd_is_that_of_torchattacks(digits, cnn, norm, targeted):
    torchattacks = pytest.importorskip("torchattacks")
    x, y = digits.images, digits.labels
    goal = (y + 1) % 10 if targeted else y
    eps, step = (0.1, 0.02) if norm == "linf" else (1.5, 0.3)
    attack = (torchattacks.PGD if norm == "linf" else torchattacks.PGDL2)(cnn, eps=eps, alpha=step, steps=10, random_start=False)
    if targeted:
        attack.set_mode_targeted_by_function(lambda images, labels: (labels + 1) % 10)
    theirs = attack(x, y)
    ours = attacks.pgd(cnn, x, goal, eps=eps, norm=norm, step_size=step, steps=10, targeted=targeted, keep="last")
    assert (ours - theirs).abs().amax((1, 2, 3)).median() < 1e-4
    same = attacks.scores(cnn, ours).argmax(1) == attacks.scores(cnn, theirs).argmax(1)
    assert same.float().mean() > 0.97


@each_norm
def test_pgd_is_that_of_foolbox(digits, cnn, norm):
    foolbox = pytest.importorskip("foolbox")
    x, y = digits.images, digits.labels
    eps, step = (0.1, 0.02) if norm == "linf" else (1.5, 0.3)
    attack = (foolbox.attacks.LinfPGD if norm == "linf" else foolbox.attacks.L2PGD)(abs_stepsize=step, steps=10, random_start=False)
    _, theirs, _ = attack(foolbox.PyTorchModel(cnn, (0, 1)), x, y, epsilons=eps)
    ours = attacks.pgd(cnn, x, y, eps=eps, norm=norm, step_size=step, steps=10, keep="last")
    assert (ours - theirs).abs().amax((1, 2, 3)).median() < 1e-4


def test_input_gradient_is_captums_saliency(digits, cnn):
    captum = pytest.importorskip("captum.attr")
    theirs = captum.Saliency(cnn).attribute(digits.images.clone(), target=digits.labels, abs=False)
    assert torch.allclose(input_gradient(cnn, digits.images, digits.labels, of="logit"), theirs, atol=1e-6)


# ---- what every kernel promises ----

@each_kernel
def test_results_do_not_depend_on_batch_or_chunk(kernel, digits, cnn):
    net = cnn.double()
    try:
        x, y = digits.images[:9].double(), digits.labels[:9]
        whole = kernel(net, x, y)
        assert torch.allclose(kernel(net, x, y, chunk=2), whole, atol=1e-9)
        assert whole.shape == x.shape and whole.dtype == x.dtype and not whole.requires_grad
    finally:
        cnn.float()


@pytest.mark.parametrize("name", ["fgsm", "normalized_gradient", "min_norm", "input_gradient", "gradient_x_input", "integrated_gradients", "occlusion",
                                  "class_traversal"])
def test_a_batch_is_a_loop_over_samples(name, digits, cnn):
    x, y = digits.images[:6], digits.labels[:6]
    whole = KERNELS[name](cnn, x, y)
    for i in range(6):
        assert torch.allclose(KERNELS[name](cnn, x[i:i + 1], y[i:i + 1]), whole[i:i + 1], atol=1e-4)


@each_norm
def test_eps_per_sample_is_a_loop_over_samples(norm, digits, cnn):
    x, y = digits.images[:5], digits.labels[:5]
    eps = torch.tensor([0.0, 0.02, 0.05, 0.1, 0.2]) * (10 if norm == "l2" else 1)
    whole = attacks.pgd(cnn, x, y, eps=eps, norm=norm, steps=5)
    for i in range(5):
        assert torch.allclose(attacks.pgd(cnn, x[i:i + 1], y[i:i + 1], eps=eps[i].item(), norm=norm, steps=5), whole[i:i + 1], atol=1e-4)
    assert torch.equal(whole[0], x[0]), "eps 0 is the identity"


@each_kernel
def test_a_kernel_leaves_the_model_and_the_random_state_as_found(kernel, digits, awkward):
    modes = [module.training for module in awkward.modules()]
    state = {key: value.clone() for key, value in awkward.state_dict().items()}
    marker = torch.ones_like(awkward[5].weight)
    awkward[5].weight.grad = marker.clone()
    random = torch.get_rng_state()
    x = digits.images[:4].double()
    before = x.clone()
    with torch.no_grad():
        kernel(awkward, x, digits.labels[:4])
    assert [module.training for module in awkward.modules()] == modes
    assert all(torch.equal(value, awkward.state_dict()[key]) for key, value in state.items())
    assert torch.equal(awkward[5].weight.grad, marker) and awkward[1].weight.grad is None
    assert [p.requires_grad for p in awkward.parameters()][0] is False and awkward[5].weight.requires_grad
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(x, before) and not x.requires_grad
    assert not any(module._forward_hooks or module._backward_hooks for module in awkward.modules())


@each_kernel
def test_the_mode_comes_back_after_an_error(kernel, digits, awkward):
    with pytest.raises(ValueError, match="has 10 classes, 0 to 9, but a label is 10"):
        kernel(awkward, digits.images[:2].double(), torch.tensor([3, 10]))
    assert awkward.training and not awkward[1].training


class View(torch.nn.Module):
    """The tutorials' way to flatten, which takes one memory layout only, and no empty batch."""

    def __init__(self, channels):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.linear = torch.nn.Conv2d(channels, 4, 3), torch.nn.Linear(4 * 26 * 26, 10)

    def forward(self, x):
        x = self.conv(x).relu()
        return self.linear(x.view(x.size(0), -1))


@each_kernel
@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_that_flattens_with_view(kernel, channels):
    x, net = random_images(4, (channels, 28, 28), 0, 1), View(channels)
    background = grey(x)
    assert background.shape[1:] == x.shape[1:]
    for y in (net(x).argmax(1), (net(x).argmax(1) + 1) % 10):       # all right; and all wrong, so that nothing is left to attack
        assert kernel(net, x, y).shape == x.shape


def test_a_gradient_that_autograd_returns_expanded():
    class Sums(torch.nn.Module):
        def forward(self, x):
            return torch.cat([x.sum((2, 3)), -x.sum((2, 3))], 1)
    out = attacks.pgd(Sums(), random_images(3), torch.tensor([0, 1, 0]), eps=0.1, norm="linf", keep="last")
    assert torch.isfinite(out).all()


@each_kernel
def test_images_that_require_a_gradient_give_plain_results(kernel, digits, cnn):
    x = digits.images[:3].clone().requires_grad_()
    out = kernel(cnn, x, digits.labels[:3])
    assert not out.requires_grad and x.grad is None and torch.allclose(out, kernel(cnn, x.detach(), digits.labels[:3]), atol=1e-5)


@each_kernel
def test_no_images_give_no_images(kernel, cnn):
    assert kernel(cnn, torch.zeros(0, 1, 28, 28), torch.zeros(0, dtype=torch.int64)).shape == (0, 1, 28, 28)


@each_norm
@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 4), side=st.integers(1, 5), channels=st.sampled_from([1, 3]), eps=st.floats(0, 2), double=st.booleans(),
       start=st.sampled_from([None, "ball", "radius"]), targeted=st.booleans(), keep=st.sampled_from(["best", "last", "first"]), decay=st.booleans(), restarts=st.integers(1, 2))
def test_pgd_stays_in_the_ball_and_in_the_box(norm, n, side, channels, eps, double, start, targeted, keep, decay, restarts):
    dtype = torch.float64 if double else torch.float32
    net, x = linear(shape=(channels, side, side)).to(dtype), random_images(n, (channels, side, side), 0, 1).to(dtype)
    out = attacks.pgd(net, x, torch.arange(n) % 3, eps=eps, norm=norm, steps=3, start=start, targeted=targeted, keep=keep, decay=decay,
                      restarts=restarts if start else 1)
    assert out.shape == x.shape and out.dtype == dtype
    assert out.min() >= 0 and out.max() <= 1
    assert (size(out - x, norm) <= eps * (1 + 1e-5) + 1e-6).all()


def test_without_bounds_any_shape_and_range_is_welcome():
    vectors = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    out = attacks.pgd(linear(), vectors, torch.tensor([0, 1, 2, 0]), eps=1.0, norm="l2", bounds=None)
    assert out.shape == vectors.shape and torch.allclose(size(out - vectors, "l2"), torch.tensor(1.0), atol=1e-3)


@each_norm
def test_zero_and_tiny_gradients_give_no_nan(norm):
    dead = torch.zeros(2, 1, 2, 2)
    assert torch.equal(attacks.unit_step(dead, norm), dead)
    tiny = torch.full((1, 1, 2, 2), 1e-30)
    assert torch.allclose(size(attacks.unit_step(tiny, norm), norm), torch.tensor(1.0)), "squares of 1e-30 are zero in float32"
    out = attacks.pgd(constant(), torch.rand(2, 1, 2, 2), torch.tensor([0, 1]), eps=0.5, norm=norm, start="ball")
    assert not out.isnan().any()


def constant():
    class Constant(torch.nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :3] * 0
    return Constant()


def test_the_best_iterate_is_kept_and_the_last_one_tested(digits, cnn):
    x, y = digits.images, digits.labels
    for norm, eps in (("l2", 1.2), ("linf", 0.08)):
        best, last = (attacks.pgd(cnn, x, y, eps=eps, norm=norm, steps=5, step_size=eps, keep=keep) for keep in ("best", "last"))
        seen = []
        attacks.pgd(cnn, x, y, eps=eps, norm=norm, steps=5, step_size=eps, callback=lambda step, z, losses: seen.append(attacks.fooled(cnn, z, y)))
        assert len(seen) == 6
        assert torch.equal(attacks.fooled(cnn, best, y), torch.stack(seen).any(0))
        assert (attacks.fooled(cnn, best, y) >= attacks.fooled(cnn, last, y)).all()


class Loud(torch.nn.Module):
    """A network whose logits are so far apart that cross-entropy in float32 is exactly 0."""

    def __init__(self, net, times):
        super().__init__()
        self.net, self.times = net, times

    def forward(self, x):
        return self.times * self.net(x)


@each_norm
@pytest.mark.parametrize("targeted", [False, True])
def test_saturated_cross_entropy_neither_stalls_nor_gives_nan(norm, targeted, digits, cnn):
    """Logits times 100: the verdicts stay the same, and so does the direction of the loss; only its size is gone."""
    x, y = digits.images, digits.labels
    goal = (y + 1) % 10 if targeted else y
    loud, options = Loud(cnn, 100.0), dict(eps=0.2 if norm == "linf" else 2.5, norm=norm, targeted=targeted)
    assert (attacks.cross_entropy(attacks.scores(loud, x), y) == 0).float().mean() > 0.9 and (input_gradient(loud, x, y) == 0).all((1, 2, 3)).any()
    quiet = attacks.fooled(cnn, attacks.pgd(cnn, x, goal, loss="margin", **options), goal, targeted=targeted)
    hit = attacks.fooled(cnn, attacks.pgd(loud, x, goal, **options), goal, targeted=targeted)
    assert quiet.float().mean() > 0.5 and (hit != quiet).float().mean() <= 0.1
    if not targeted:
        one_step = attacks.fooled(cnn, attacks.fgsm(loud, x, y, eps=0.2), y)
        assert one_step.float().mean() > 0.7


def test_log_odds_is_cross_entropy_without_its_end():
    logits = (10 * torch.randn(50, 7, generator=torch.Generator().manual_seed(0))).double().requires_grad_()
    labels = torch.arange(50) % 7
    odds = attacks.log_odds(logits, labels)
    assert torch.allclose(F.softplus(odds), attacks.cross_entropy(logits, labels))
    directions = [F.normalize(torch.autograd.grad(values.sum(), logits, retain_graph=True)[0], dim=1) for values in (odds, attacks.cross_entropy(logits, labels))]
    assert torch.allclose(*directions, atol=1e-9)
    net = linear(classes=7, shape=(1, 2, 2)).double()
    x = torch.rand(50, 1, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    _, _, known = attacks.loss_and_gradient(net, x, labels, attacks.log_odds, -1)
    _, _, derived = attacks.loss_and_gradient(net, x, labels, lambda *both: attacks.log_odds(*both), -1)
    assert torch.allclose(known, derived, atol=1e-12), "the gradient we write down is autograd's"


def test_restarts_keep_the_best_of_each_sample(digits, cnn):
    x, y = digits.images, digits.labels
    options = dict(eps=1.0, norm="l2", steps=3, start="ball")
    generator = torch.Generator().manual_seed(7)
    singles = [attacks.pgd(cnn, x, y, generator=generator, **options) for _ in range(3)]
    for keep in ("best", "last", "first"):
        joint = attacks.pgd(cnn, x, y, restarts=3, keep=keep, generator=torch.Generator().manual_seed(7), **options)
        hits = torch.stack([attacks.fooled(cnn, one, y) for one in singles]).any(0)
        assert (attacks.fooled(cnn, joint, y) == hits).float().mean() >= (1 if keep == "best" else 0.9)
    losses = torch.stack([attacks.cross_entropy(attacks.scores(cnn, one), y) for one in singles])
    best = attacks.cross_entropy(attacks.scores(cnn, attacks.pgd(cnn, x, y, restarts=3, generator=torch.Generator().manual_seed(7), **options)), y)
    assert torch.allclose(best[~hits], losses.amax(0)[~hits], rtol=1e-4)


@each_norm
def test_the_first_that_fools_is_kept_and_leaves_the_batch(norm, digits, cnn):
    x, y, sizes = digits.images, digits.labels, []
    eps = 0.15 if norm == "linf" else 1.5
    trail = []
    attacks.pgd(cnn, x, y, eps=eps, norm=norm, callback=lambda step, z, losses: trail.append(z))
    first = attacks.pgd(cnn, x, y, eps=eps, norm=norm, keep="first", callback=lambda step, z, losses: sizes.append(len(z)))
    hits = torch.stack([attacks.fooled(cnn, z, y) for z in trail])
    assert torch.equal(attacks.fooled(cnn, first, y), hits.any(0))
    for i in range(len(x)):
        at = hits[:, i].nonzero()[0, 0] if hits[:, i].any() else -1
        assert torch.allclose(first[i], trail[at][i], atol=1e-5)
    assert sizes[0] == len(x) and sizes == sorted(sizes, reverse=True) and sizes[-1] < len(x) / 2


def test_falling_steps_find_more(digits):
    """The figure behind robust_accuracy's choice: on the robust network at L2 1.5, against steps of one size."""
    robust = models.load("mnist5k/robust-l2")
    test = data.load("mnist5k")[:200]
    left = {decay: (~attacks.fooled(robust, attacks.pgd(robust, test.images, test.labels, eps=1.5, norm="l2", steps=50, decay=decay), test.labels)).sum()
            for decay in (False, True)}
    assert left[True] < left[False]


# ---- robust accuracy ----

@each_norm
def test_robust_accuracy_of_a_linear_network_is_known(norm):
    net, x = linear(classes=2).double(), random_images(200).double()
    y = net(x).argmax(1)
    normal, gap = net.weights[1] - net.weights[0], (net(x)[:, 1] - net(x)[:, 0]).abs()
    distance = gap / (normal.norm() if norm == "l2" else normal.abs().sum())
    for eps in distance.quantile(torch.tensor([0.2, 0.5, 0.8]).double()).tolist():
        share, robust = attacks.robust_accuracy(net, x, y, eps, norm=norm, bounds=None)
        clear = (distance - eps).abs() > 1e-3
        assert torch.equal(robust[clear], (distance > eps)[clear]) and share == robust.double().mean().item()
    each, _ = attacks.robust_accuracy(net, x, y, 0.99 * distance, norm=norm, bounds=None)
    none, _ = attacks.robust_accuracy(net, x, y, 1.02 * distance + 1e-6, norm=norm, bounds=None)
    assert each == 1 and none == 0, "one eps for each image"


def test_robust_accuracy_counts_what_is_wrong_already_and_never_rises(digits, cnn):
    x, y = digits.images, torch.where(torch.arange(40) < 10, (digits.labels + 1) % 10, digits.labels)
    verdicts = [attacks.robust_accuracy(cnn, x, y, eps, norm="linf", steps=10)[1] for eps in (0.0, 0.05, 0.3)]
    assert not verdicts[0][:10].any() and torch.equal(verdicts[0], ~attacks.fooled(cnn, x, y))
    assert (verdicts[1] <= verdicts[0]).all() and (verdicts[2] <= verdicts[1]).all() and verdicts[2].sum() <= 1
    weak = attacks.robust_accuracy(cnn, x, y, 0.08, norm="linf", steps=2, restarts=1, losses=("cross_entropy",))[0]
    assert attacks.robust_accuracy(cnn, x, y, 0.08, norm="linf")[0] <= weak


def test_channels_last_images_give_the_same(digits):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 10)).double()
    x, y = random_images(6, (3, 8, 8), 0, 1).double(), torch.arange(6)
    other = x.contiguous(memory_format=torch.channels_last)
    for kernel in (lambda z: attacks.pgd(net, z, y, eps=0.1, norm="l2", start="ball"), lambda z: attribution.smooth_grad(net, z, y, n_samples=3),
                   lambda z: attribution.occlusion(net, z, y, size=3, stride=2)):
        assert torch.allclose(kernel(x), kernel(other), atol=1e-12) and kernel(x).is_contiguous()


def test_the_callers_own_loss_and_generator(digits, cnn):
    x, y = digits.images[:5], digits.labels[:5]
    own = attacks.pgd(cnn, x, y, eps=1.0, norm="l2", loss=lambda logits, labels: F.cross_entropy(logits, labels, reduction="none"))
    assert torch.allclose(own, attacks.pgd(cnn, x, y, eps=1.0, norm="l2"), atol=1e-4)

    def started(seed):
        return attacks.pgd(cnn, x, y, eps=1.0, norm="l2", steps=1, start="ball", generator=seed and torch.Generator().manual_seed(seed))
    assert torch.equal(started(None), started(None)) and not torch.equal(started(None), started(1))


# ---- bad input ----

GOOD = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 2, 3])


@each_kernel
@pytest.mark.parametrize("images, labels, error, says", [
    (GOOD[0] * 2 - 0.5, GOOD[1], ValueError, r"must lie in \[0, 1\], but reach from -0"),
    (GOOD[0][0], GOOD[1][:1], ValueError, r"N x C x H x W, but came as \(1, 28, 28\).*images\[None\]"),
    (GOOD[0], GOOD[1][:2], ValueError, r"3 images but labels of shape \(2,\)"),
    (GOOD[0], torch.tensor([1, 2, -3]), ValueError, "must not be negative"),
    (GOOD[0], torch.tensor([1, 2, 17]), ValueError, "10 classes, 0 to 9, but a label is 17"),
    (GOOD[0], torch.tensor([1.0, 2.0, 3.0]), TypeError, "int64.*came as a tensor of torch.float32"),
    (GOOD[0], [1, 2, 3], TypeError, "int64.*came as list"),
    (GOOD[0] * torch.nan, GOOD[1], ValueError, "NaN"),
    ((GOOD[0] * 255).byte(), GOOD[1], TypeError, "float tensor.*torch.uint8"),
    (GOOD[0].numpy(), GOOD[1], TypeError, "float tensor.*ndarray"),
])
def test_bad_input_gets_one_clear_error(kernel, cnn, images, labels, error, says):
    with pytest.raises(error, match=says):
        kernel(cnn, images, labels)


def test_robust_accuracy_must_try_something(cnn):
    for options in (dict(restarts=0), dict(losses=())):
        with pytest.raises(ValueError, match="at least one restart and one loss"):
            attacks.robust_accuracy(cnn, *GOOD, 0.1, norm="linf", **options)


def test_lbfgs_wants_targets_that_the_network_has(cnn):
    for c in (0, -1.0):
        with pytest.raises(ValueError, match="c must be above 0"):
            attacks.lbfgs(cnn, *GOOD, c=c)
    with pytest.raises(ValueError, match="10 classes, 0 to 9, but a label is 17"):
        attacks.lbfgs(cnn, GOOD[0], torch.tensor([1, 2, 17]))
    with pytest.raises(ValueError, match="3 images but labels"):
        attacks.lbfgs(cnn, GOOD[0], torch.tensor([1]))


@pytest.mark.parametrize("options, says", [
    (dict(eps=-0.1), "eps must not be negative or NaN, but came as -0.1"),
    (dict(eps=float("nan")), "eps must not be negative or NaN"),
    (dict(eps=torch.tensor([0.1, 0.2])), r"eps must be one number or one per image \(3\)"),
    (dict(eps=0.1, norm="l1"), "norm must be one of 'l2', 'linf', but came as 'l1'"),
    (dict(eps=0.1, steps=0), "steps and restarts must be at least 1, but came as 0 and 1"),
    (dict(eps=0.1, restarts=3), "restarts without a random start would all be the same"),
    (dict(eps=0.1, chunk=0), "chunk must be at least 1"),
    (dict(eps=0.1, start="anywhere"), "start must be"),
    (dict(eps=0.1, keep="all"), "keep must be"),
    (dict(eps=0.1, loss="hinge"), "loss must be one of 'cross_entropy', 'margin' or a function"),
    (dict(eps=0.1, step_size=-1.0), "step_size must not be negative"),
    (dict(eps=0.1, bounds=(1, 0)), "bounds must be"),
])
def test_bad_options_get_one_clear_error(cnn, options, says):
    with pytest.raises(ValueError, match=says):
        attacks.pgd(cnn, *GOOD, **{"norm": "linf", **options})


def test_an_unknown_quantity_to_differentiate(cnn):
    with pytest.raises(ValueError, match="of must be one of 'logit', 'log_probability', 'loss' or a function.*but came as 'score'"):
        input_gradient(cnn, *GOOD, of="score")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_the_same_verdicts(digits, cnn):
    here = attacks.fooled(cnn, attacks.pgd(cnn, digits.images, digits.labels, eps=1.5, norm="l2"), digits.labels)
    try:
        there = cnn.cuda()
        x, y = digits.images.cuda(), digits.labels.cuda()
        assert torch.equal(attacks.fooled(there, attacks.pgd(there, x, y, eps=1.5, norm="l2"), y).cpu(), here)
    finally:
        cnn.cpu()


def test_pgd_begins_from_images_that_are_given(cnn, digits):
    begin = (digits.images + 0.05).clamp(0, 1)
    seen = []
    options = dict(eps=0.1, norm="linf", steps=3, keep="last")
    ours = attacks.pgd(cnn, digits.images, digits.labels, start=begin, callback=lambda step, images, losses: seen.append(images.clone()), **options)
    assert torch.equal(seen[0], begin) and (ours - digits.images).abs().max() <= 0.1 + 1e-6
    noise = attacks.random_start(digits.images, 0.1, "linf", "ball", torch.Generator().manual_seed(3))
    assert torch.equal(attacks.pgd(cnn, digits.images, digits.labels, start=(digits.images + noise).clamp(0, 1), **options),
                       attacks.pgd(cnn, digits.images, digits.labels, start="ball", generator=torch.Generator().manual_seed(3), **options))
    with pytest.raises(ValueError, match="the start must have the shape of the images"):
        attacks.pgd(cnn, digits.images, digits.labels, start=begin[:3], **options)
    with pytest.raises(ValueError, match="restarts without a random start"):
        attacks.pgd(cnn, digits.images, digits.labels, start=begin, restarts=2, **options)
