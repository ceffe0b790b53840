"""Answers to unit 04."""
import torch
import torch.nn.functional as F

from . import right, wrong

# ---- 4.1 effects ----


@right("4.1")
def effects_in_a_loop(w, eps, signs):
    changes = [float(eps * (row * w).sum()) for row in signs]
    return float(w @ (eps * w.sign())), (sum(c * c for c in changes) / len(changes)) ** 0.5


@right("4.1")
def effects_as_tensors(w, eps, signs):
    return torch.linalg.vector_norm(w, 1) * eps, torch.linalg.vector_norm(signs @ w) * eps / len(signs) ** 0.5


@right("4.1")
def effects_in_numpy(w, eps, signs):
    w, signs = w.numpy(), signs.numpy()
    return eps * abs(w).sum(), ((eps * signs @ w) ** 2).mean() ** 0.5


def both(w, eps, signs):
    return (eps * w.abs().sum()).item(), (eps * signs @ w).square().mean().sqrt().item()


@wrong("4.1", "negative weights take away")
def effects_plain_sum(w, eps, signs):
    return (eps * w.sum()).item(), both(w, eps, signs)[1]


@wrong("4.1", "multiply by `eps`")
def effects_without_eps(w, eps, signs):
    return w.abs().sum().item(), both(w, eps, signs)[1]


@wrong("4.1", "L2 length of w. Add up")
def effects_length(w, eps, signs):
    return (eps * w.norm()).item(), both(w, eps, signs)[1]


@wrong("4.1", "largest single contribution")
def effects_largest(w, eps, signs):
    return (eps * w.abs().max()).item(), both(w, eps, signs)[1]


@wrong("4.1", "up and down cancel")
def effects_mean(w, eps, signs):
    return both(w, eps, signs)[0], (eps * signs @ w).mean().item()


@wrong("4.1", "mean of the absolute changes")
def effects_mean_absolute(w, eps, signs):
    return both(w, eps, signs)[0], (eps * signs @ w).abs().mean().item()


@wrong("4.1", "the root is missing")
def effects_mean_square(w, eps, signs):
    return both(w, eps, signs)[0], (eps * signs @ w).square().mean().item()


@wrong("4.1", "takes the mean away")
def effects_deviation(w, eps, signs):
    return both(w, eps, signs)[0], (eps * signs @ w).std().item()


@wrong("4.1", "root of the *sum*")
def effects_of_the_sum(w, eps, signs):
    return both(w, eps, signs)[0], (eps * signs @ w).norm().item()


@wrong("4.1", "on average over *all* signs")
def effects_expected(w, eps, signs):
    return both(w, eps, signs)[0], (eps * w.norm()).item()


@wrong("4.1", "first add them up")
def effects_not_added_up(w, eps, signs):
    return both(w, eps, signs)[0], (eps * signs * w).square().mean().sqrt().item()


@wrong("4.1", "The second forgets `eps`".lower())
def effects_noise_without_eps(w, eps, signs):
    return both(w, eps, signs)[0], (signs @ w).square().mean().sqrt().item()


@wrong("4.1", "wrong order")
def effects_swapped(w, eps, signs):
    return both(w, eps, signs)[::-1]


@wrong("4.1", "one change for each row")
def effects_all(w, eps, signs):
    return (eps * w.abs().sum()).item(), (eps * signs @ w).abs()


@wrong("4.1", "two numbers are wanted")
def effects_only_one(w, eps, signs):
    return (eps * w.abs().sum()).item()


# ---- 4.3 worst_margins ----

@right("4.3")
def margins_at_the_attacked_images(w, b, images, labels, eps):
    attacked = images - eps * labels[:, None] * w.sign()
    return ((attacked * w).sum(1) + b) * labels


@wrong("4.3", "*better* than the clean ones")
def margins_of_a_friend(w, b, images, labels, eps):
    return labels * (images @ w + b) + eps * w.abs().sum()


@wrong("4.3", "is `eps` used?")
def margins_clean(w, b, images, labels, eps):
    return labels * (images @ w + b)


@wrong("4.3", "L2 *length* eps")
def margins_l2(w, b, images, labels, eps):
    return labels * (images @ w + b) - eps * w.norm()


@wrong("4.3", "for one class the margin falls")
def margins_fall_inside(w, b, images, labels, eps):
    return labels * (images @ w + b - eps * w.abs().sum())


@wrong("4.3", "Multiply by the label first")
def margins_are_scores(w, b, images, labels, eps):
    return images @ w + b - eps * w.abs().sum()


@wrong("4.3", "scores w.x + b under attack")
def margins_are_attacked_scores(w, b, images, labels, eps):
    return (images - eps * labels[:, None] * w.sign()) @ w + b


@wrong("4.3", "eps times the sum of w")
def margins_sum(w, b, images, labels, eps):
    return labels * (images @ w + b) - eps * w.sum()


@wrong("4.3", "heaviest pixel alone")
def margins_one_pixel(w, b, images, labels, eps):
    return labels * (images @ w + b) - eps * w.abs().max()


@wrong("4.3", "clipped to [0, 1]")
def margins_in_the_box(w, b, images, labels, eps):
    return labels * ((images - eps * labels[:, None] * w.sign()).clamp(0, 1) @ w + b)


@wrong("4.3", "bias `b` is missing")
def margins_without_bias(w, b, images, labels, eps):
    return labels * (images @ w) - eps * w.abs().sum()


@wrong("4.3", "added after the label")
def margins_with_a_loose_bias(w, b, images, labels, eps):
    return labels * (images @ w) + b - eps * w.abs().sum()


@wrong("4.3", "should have shape")
def margins_mean(w, b, images, labels, eps):
    return (labels * (images @ w + b) - eps * w.abs().sum()).mean()


# ---- 4.4 adversarial_loss ----

@right("4.4")
def loss_by_logsigmoid(w, b, images, labels, eps):
    return -F.logsigmoid(labels * (images @ w + b) - eps * w.norm(p=1)).mean()


@right("4.4")
def loss_of_attacked_images(w, b, images, labels, eps):
    attacked = images - eps * labels[:, None] * w.detach().sign()
    return F.binary_cross_entropy_with_logits(attacked @ w + b, (labels + 1) / 2)


@wrong("4.4", "sum over the images")
def loss_summed(w, b, images, labels, eps):
    return F.softplus(eps * w.abs().sum() - labels * (images @ w + b)).sum()


@wrong("4.4", "One loss for each image".lower())
def loss_of_each(w, b, images, labels, eps):
    return F.softplus(eps * w.abs().sum() - labels * (images @ w + b))


@wrong("4.4", "clean loss")
def loss_clean(w, b, images, labels, eps):
    return F.softplus(-labels * (images @ w + b)).mean()


@wrong("4.4", "makes the loss smaller")
def loss_of_a_friend(w, b, images, labels, eps):
    return F.softplus(-eps * w.abs().sum() - labels * (images @ w + b)).mean()


@wrong("4.4", "that is weight decay")
def loss_with_decay(w, b, images, labels, eps):
    return F.softplus(-labels * (images @ w + b)).mean() + eps * w.abs().sum()


@wrong("4.4", "inside the softplus: take it")
def loss_of_the_mean(w, b, images, labels, eps):
    return F.softplus((eps * w.abs().sum() - labels * (images @ w + b)).mean())


@wrong("4.4", "L2 length of w")
def loss_l2(w, b, images, labels, eps):
    return F.softplus(eps * w.norm() - labels * (images @ w + b)).mean()


@wrong("4.4", "rewards mistakes")
def loss_turned(w, b, images, labels, eps):
    return F.softplus(labels * (images @ w + b) - eps * w.abs().sum()).mean()


@wrong("4.4", "hinge")
def loss_hinge(w, b, images, labels, eps):
    return (eps * w.abs().sum() - labels * (images @ w + b)).clamp_min(0).mean()


@wrong("4.4", "as if eps were 1")
def loss_without_eps(w, b, images, labels, eps):
    return F.softplus(w.abs().sum() - labels * (images @ w + b)).mean()


@wrong("4.4", "bias `b` is missing")
def loss_without_bias(w, b, images, labels, eps):
    return F.softplus(eps * w.abs().sum() - labels * (images @ w)).mean()


@wrong("4.4", "no gradient can flow")
def loss_as_a_number(w, b, images, labels, eps):
    return F.softplus(eps * w.abs().sum() - labels * (images @ w + b)).mean().item()


@wrong("4.4", "not its gradient")
def loss_with_a_detached_norm(w, b, images, labels, eps):
    return F.softplus(eps * w.detach().abs().sum() - labels * (images @ w + b)).mean()


@wrong("4.4", "exp overflows")
def loss_overflows(w, b, images, labels, eps):
    return (1 + (eps * w.abs().sum() - labels * (images @ w + b)).exp()).log().mean()


# ---- 4.6 logits_along ----

@right("4.6")
def along_in_a_loop(model, image, direction, ts):
    return torch.cat([model(image + t * direction) for t in ts]).detach()


def line(image, direction, ts):
    return image + ts.view(-1, 1, 1, 1) * direction


@wrong("4.6", "clipped to [0, 1]")
def along_clipped(model, image, direction, ts):
    return model(line(image, direction, ts).clamp(0, 1)).detach()


@wrong("4.6", "these are probabilities")
def along_probabilities(model, image, direction, ts):
    return model(line(image, direction, ts)).softmax(1).detach()


@wrong("4.6", "scaled to length 1")
def along_unit(model, image, direction, ts):
    return model(line(image, direction / direction.norm(), ts)).detach()


@wrong("4.6", "sign of the direction")
def along_sign(model, image, direction, ts):
    return model(line(image, direction.sign(), ts)).detach()


@wrong("4.6", "wrong way")
def along_backwards(model, image, direction, ts):
    return model(line(image, direction, -ts)).detach()


@wrong("4.6", "where the one before it ended")
def along_walking(model, image, direction, ts):
    rows = []
    for t in ts:
        image = image + t * direction
        rows.append(model(image))
    return torch.cat(rows).detach()


@wrong("4.6", "still hangs on the graph")
def along_attached(model, image, direction, ts):
    return model(line(image, direction, ts))


@wrong("4.6", "should have shape")
def along_stacked(model, image, direction, ts):
    return torch.stack([model(image + t * direction) for t in ts]).detach()


# ---- 4.9 bumps ----

@right("4.9")
def bumps_expanded(images, centres, betas):
    x = images.flatten(1)
    return (-(x.square() @ betas.T - 2 * x @ (betas * centres).T + (betas * centres.square()).sum(1))).exp()


@right("4.9")
def bumps_one_by_one(images, centres, betas):
    return torch.stack([torch.exp(-((images.flatten(1) - c) ** 2 @ beta)) for c, beta in zip(centres, betas)], 1)


def differences(images, centres):
    return images.flatten(1)[:, None] - centres


@wrong("4.9", "minus is missing")
def bumps_growing(images, centres, betas):
    return torch.exp((betas * differences(images, centres).square()).sum(2))


@wrong("4.9", "`betas` is not used")
def bumps_all_alike(images, centres, betas):
    return torch.exp(-torch.cdist(images.flatten(1), centres).square())


@wrong("4.9", "not squared")
def bumps_pointed(images, centres, betas):
    return torch.exp(-(betas * differences(images, centres).abs()).sum(2))


@wrong("4.9", "add up to 1")
def bumps_normalised(images, centres, betas):
    return (-(betas * differences(images, centres).square()).sum(2)).softmax(1)


@wrong("4.9", "betas divide")
def bumps_divided(images, centres, betas):
    return torch.exp(-(differences(images, centres).square() / betas).sum(2))


@wrong("4.9", "the sum is wanted")
def bumps_mean(images, centres, betas):
    return torch.exp(-(betas * differences(images, centres).square()).mean(2))


@wrong("4.9", "no gradient can flow")
def bumps_detached(images, centres, betas):
    return torch.exp(-(betas * differences(images, centres).square()).sum(2)).detach()


@wrong("4.9", "should have shape")
def bumps_transposed(images, centres, betas):
    return bumps_one_by_one(images, centres, betas).T


# ---- 4.10 error_table ----

@right("4.10")
def table_filled_in(networks, examples, labels):
    table = torch.zeros(len(examples), len(networks))
    for r, images in enumerate(examples.values()):
        for c, network in enumerate(networks.values()):
            table[r, c] = (network(images).argmax(dim=1) != labels).sum().item() * 100 / len(labels)
    return table


def share(network, images, labels):
    return (network(images).argmax(1) != labels).float().mean().item()


def table(networks, examples, labels, entry):
    return torch.tensor([[entry(network, images, labels) for network in networks.values()] for images in examples.values()])


@wrong("4.10", "per cent are wanted")
def table_shares(networks, examples, labels):
    return table(networks, examples, labels, share)


@wrong("4.10", "read *correctly*")
def table_of_accuracies(networks, examples, labels):
    return 100 - table(networks, examples, labels, lambda *one: 100 * share(*one))


@wrong("4.10", "swapped")
def table_transposed(networks, examples, labels):
    return table(networks, examples, labels, lambda *one: 100 * share(*one)).T


@wrong("4.10", "these are counts")
def table_counts(networks, examples, labels):
    return table(networks, examples, labels, lambda network, images, y: (network(images).argmax(1) != y).sum().item())


@wrong("4.10", "make it a tensor")
def table_as_lists(networks, examples, labels):
    return [[100 * share(network, images, labels) for network in networks.values()] for images in examples.values()]


@wrong("4.10", "all rows are alike")
def table_of_the_first_examples(networks, examples, labels):
    first = next(iter(examples.values()))
    return table(networks, {name: first for name in examples}, labels, lambda *one: 100 * share(*one))


@wrong("4.10", "all columns are alike")
def table_of_the_first_network(networks, examples, labels):
    first = next(iter(networks.values()))
    return table({name: first for name in networks}, examples, labels, lambda *one: 100 * share(*one))


@wrong("4.10", "with `labels`")
def table_against_the_first_network(networks, examples, labels):
    first = next(iter(networks.values()))
    return table(networks, examples, labels, lambda network, images, y: 100 * share(network, images, first(images).argmax(1)))


# ---- 4.11 amplify ----

@right("4.11")
def amplify_by_length(images, adversarial, size):
    r = (adversarial - images).flatten(1)
    length = r.norm(dim=1, keepdim=True)
    unit = torch.where(length > 0, r / length, torch.zeros_like(r))
    return images + size * r.shape[1] ** 0.5 * unit.view_as(images)


def rms(r):
    return r.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)


@wrong("4.11", "formula as it is printed")
def amplify_as_printed(images, adversarial, size):
    r = adversarial - images
    return images + size * r / r.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


@wrong("4.11", "bring it *to* that size")
def amplify_multiplied(images, adversarial, size):
    return images + size * (adversarial - images)


@wrong("4.11", "the change on its own")
def amplify_change(images, adversarial, size):
    r = adversarial - images
    return size * r / rms(r)


@wrong("4.11", "add it to the clean one")
def amplify_on_top(images, adversarial, size):
    r = adversarial - images
    return adversarial + size * r / rms(r)


@wrong("4.11", "whole batch")
def amplify_batch(images, adversarial, size):
    r = adversarial - images
    return images + size * r / r.square().mean().sqrt()


@wrong("4.11", "takes the mean away")
def amplify_deviation(images, adversarial, size):
    r = adversarial - images
    return images + size * r / r.std((1, 2, 3), keepdim=True)


@wrong("4.11", "largest pixel")
def amplify_largest(images, adversarial, size):
    r = adversarial - images
    return images + size * r / r.abs().amax((1, 2, 3), keepdim=True)


@wrong("4.11", "root is missing")
def amplify_mean_square(images, adversarial, size):
    r = adversarial - images
    return images + size * r / rms(r).square()


@wrong("4.11", "clipped")
def amplify_clipped(images, adversarial, size):
    r = adversarial - images
    return (images + size * r / rms(r)).clamp(0, 1)


@wrong("4.11", "NaN")
def amplify_zero_over_zero(images, adversarial, size):
    r = adversarial - images
    return images + size * r / r.square().mean((1, 2, 3), keepdim=True).sqrt()


@wrong("4.11", "wrong way")
def amplify_backwards(images, adversarial, size):
    r = images - adversarial
    return images + size * r / rms(r)


# ---- 4.12 operator_norm ----

@right("4.12")
def norm_from_the_jacobian(layer, shape, steps=60):
    full = torch.autograd.functional.jacobian(layer, torch.zeros(1, *shape)).reshape(-1, torch.Size(shape).numel())
    v = torch.randn(full.shape[1], generator=torch.Generator().manual_seed(0))
    for _ in range(steps):
        v = full.T @ (full @ (v / v.norm()))
    return v.norm().item() ** 0.5


@right("4.12")
def norm_with_vjp_and_jvp(layer, shape, steps=60):
    v = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros_like(v)
    for _ in range(steps):
        v = v / v.norm()
        u = torch.func.jvp(layer, (zero,), (v,))[1].detach()
        v = torch.func.vjp(layer, zero)[1](u)[0].detach()
    return (u.norm() / 1).item()


def iterate(layer, shape, steps, offset=True, unit=True, fresh=True):
    v = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    zero = layer(torch.zeros_like(v)).detach() * offset
    begin = v
    for _ in range(steps):
        v = v if fresh else begin
        v = (v / v.norm() if unit else v).detach().requires_grad_()
        out = layer(v) - zero
        v, = torch.autograd.grad(out, v, out.detach())
    return v.norm()


@wrong("4.12", "square of the norm")
def norm_squared(layer, shape, steps=60):
    return iterate(layer, shape, steps).item()


@wrong("4.12", "Subtract `layer(0)`")
def norm_with_the_bias(layer, shape, steps=60):
    return iterate(layer, shape, steps, offset=False).sqrt().item()


@wrong("4.12", "beyond bounds")
def norm_that_explodes(layer, shape, steps=60):
    return iterate(layer, shape, steps, unit=False).sqrt().item()


@wrong("4.12", "the v before it")
def norm_that_never_moves_on(layer, shape, steps=60):
    return iterate(layer, shape, steps, fresh=False).sqrt().item()


@wrong("4.12", "needs all its steps")
def norm_after_one_step(layer, shape, steps=60):
    return iterate(layer, shape, 1).sqrt().item()


@wrong("4.12", "one root too many")
def norm_rooted_twice(layer, shape, steps=60):
    return iterate(layer, shape, steps).sqrt().sqrt().item()


@wrong("4.12", "once more at the end")
def norm_of_a_unit_vector(layer, shape, steps=60):
    v = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    zero = layer(torch.zeros_like(v)).detach()
    v = v / v.norm()
    for _ in range(steps):
        v.requires_grad_()
        out = layer(v) - zero
        v, = torch.autograd.grad(out, v, out.detach())
        v = v / v.norm()
    return v.norm().sqrt().item()


@wrong("4.12", "sum of the outputs")
def norm_of_the_gradient_of_the_sum(layer, shape, steps=60):
    v = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    zero = layer(torch.zeros_like(v)).detach()
    for _ in range(steps):
        v = (v / v.norm()).requires_grad_()
        v, = torch.autograd.grad((layer(v) - zero).sum(), v)
    return v.norm().sqrt().item()


@wrong("4.12", "Frobenius")
def norm_of_frobenius(layer, shape, steps=60):
    full = torch.autograd.functional.jacobian(layer, torch.zeros(1, *shape))
    return full.norm().item()


@wrong("4.12", "instead of looking for its weights")
def norm_of_the_weights(layer, shape, steps=60):
    return 3.0


@wrong("4.12", "windows overlap")
def norm_of_the_kernel(layer, shape, steps=60):
    if isinstance(layer, torch.nn.Conv2d):
        return torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
    return iterate(layer, shape, steps).sqrt().item()


@wrong("4.12", "`steps` changes nothing")
def norm_with_its_own_steps(layer, shape, steps=60):
    return iterate(layer, shape, 60).sqrt().item()


@wrong("4.12", "nothing but a function")
def norm_by_svd_of_the_weights(layer, shape, steps=60):
    return torch.linalg.svdvals(layer.weight.flatten(1))[0].item()


@wrong("4.12", "gradients are left")
def norm_by_backward(layer, shape, steps=60):
    v = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    zero = layer(torch.zeros_like(v)).detach()
    for _ in range(steps):
        v = (v / v.norm()).detach().requires_grad_()
        out = layer(v) - zero
        out.backward(out.detach())
        v = v.grad
    return v.norm().sqrt().item()
