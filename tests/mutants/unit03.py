"""Answers to unit 03."""
import torch
import torch.nn.functional as F

from helpers import attacks

from . import right, wrong


def gradient(model, images, labels):
    x = images.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(x), labels, reduction="sum"), x)[0]


def length(batch):
    return batch.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def biggest(batch):
    return batch.abs().amax((1, 2, 3), keepdim=True)


# ---- 3.1 fgsm ----

@right("3.1")
def fgsm_with_backward(model, images, labels, eps, targeted=False):
    x = images.detach().clone()
    x.requires_grad = True
    loss = torch.nn.CrossEntropyLoss()(model(x), labels)
    if targeted:
        loss = -loss
    loss.backward()
    return torch.clip(x.detach() + eps * x.grad.sign(), 0, 1)


@right("3.1")
def fgsm_through_log_probabilities(model, images, labels, eps, targeted=False):
    x = images.clone().requires_grad_()
    score = model(x).log_softmax(1)[range(len(x)), labels].sum()
    g, = torch.autograd.grad(score, x)
    return (images + (eps if targeted else -eps) * g.sign()).clamp(min=0, max=1)


@wrong("3.1", "sign is flipped")
def fgsm_flipped(model, images, labels, eps, targeted=False):
    return (images + (eps if targeted else -eps) * gradient(model, images, labels).sign()).clamp(0, 1)


@wrong("3.1", "leaves [0, 1]")
def fgsm_without_the_box(model, images, labels, eps, targeted=False):
    return images + (-eps if targeted else eps) * gradient(model, images, labels).sign()


@wrong("3.1", "steps along the gradient itself")
def fgsm_without_the_sign(model, images, labels, eps, targeted=False):
    return (images + eps * gradient(model, images, labels)).clamp(0, 1)


@wrong("3.1", "multiply the sign by `eps`")
def fgsm_without_eps(model, images, labels, eps, targeted=False):
    return (images + gradient(model, images, labels).sign()).clamp(0, 1)


@wrong("3.1", "perturbation on its own")
def fgsm_perturbation(model, images, labels, eps, targeted=False):
    return eps * gradient(model, images, labels).sign()


@wrong("3.1", "`targeted=True` changes nothing")
def fgsm_never_targeted(model, images, labels, eps, targeted=False):
    return (images + eps * gradient(model, images, labels).sign()).clamp(0, 1)


@wrong("3.1", "predicted classes")
def fgsm_of_predictions(model, images, labels, eps, targeted=False):
    return (images + eps * gradient(model, images, model(images).argmax(1)).sign()).clamp(0, 1)


@wrong("3.1", "changes the images it was given")
def fgsm_in_place(model, images, labels, eps, targeted=False):
    images += eps * gradient(model, images, labels).sign()
    return images.clamp_(0, 1)


@wrong("3.1", "still hangs on the graph")
def fgsm_attached(model, images, labels, eps, targeted=False):
    x = images.clone().requires_grad_()
    g, = torch.autograd.grad(F.cross_entropy(model(x), labels), x)
    return (x + eps * g.sign()).clamp(0, 1)


@wrong("3.1", "Is there a `return`?")
def fgsm_without_return(model, images, labels, eps, targeted=False):
    (images + eps * gradient(model, images, labels).sign()).clamp(0, 1)


@wrong("3.1", "should have shape")
def fgsm_flat(model, images, labels, eps, targeted=False):
    return (images + eps * gradient(model, images, labels).sign()).clamp(0, 1).flatten(1)


@wrong("3.1", "`RuntimeError")
def fgsm_without_requires_grad(model, images, labels, eps, targeted=False):
    g, = torch.autograd.grad(F.cross_entropy(model(images), labels), images)
    return (images + eps * g.sign()).clamp(0, 1)


# ---- 3.4 the gradient itself ----

@right("3.4")
def scaled_gradient_in_a_loop(model, images, labels, eps):
    return torch.stack([(x + eps * g / g.abs().max()).clamp(0, 1) for x, g in zip(images, gradient(model, images, labels))])


@wrong("3.4", "sign is flipped")
def scaled_gradient_downhill(model, images, labels, eps):
    g = gradient(model, images, labels)
    return (images - eps * g / biggest(g)).clamp(0, 1)


@wrong("3.4", "still the sign")
def scaled_gradient_sign(model, images, labels, eps):
    return (images + eps * gradient(model, images, labels).sign()).clamp(0, 1)


@wrong("3.4", "not by the largest *absolute* one")
def scaled_gradient_signed_maximum(model, images, labels, eps):
    g = gradient(model, images, labels)
    return (images + eps * g / g.amax((1, 2, 3), keepdim=True)).clamp(0, 1)


@wrong("3.4", "one maximum for the whole batch")
def scaled_gradient_batch_maximum(model, images, labels, eps):
    g = gradient(model, images, labels)
    return (images + eps * g / g.abs().max()).clamp(0, 1)


@wrong("3.4", "divides by the gradient's length")
def scaled_gradient_l2(model, images, labels, eps):
    g = gradient(model, images, labels)
    return (images + eps * g / length(g)).clamp(0, 1)


@wrong("3.4", "leaves [0, 1]")
def scaled_gradient_without_the_box(model, images, labels, eps):
    g = gradient(model, images, labels)
    return images + eps * g / biggest(g)


# ---- 3.6 a step in L2 ----

def finish(moved, clean, eps):
    delta = moved - clean
    return (clean + delta * (eps / length(delta).clamp_min(1e-20)).clamp(max=1)).clamp(0, 1)


@right("3.6")
def l2_step_with_where(current, clean, gradient, step_size, eps):
    size = gradient.flatten(1).pow(2).sum(1).sqrt().reshape(-1, 1, 1, 1)
    delta = current + torch.where(size > 0, step_size * gradient / size, torch.zeros_like(gradient)) - clean
    far = torch.linalg.vector_norm(delta, dim=(1, 2, 3), keepdim=True)
    return torch.clamp(clean + torch.where(far > eps, eps * delta / far, delta), 0, 1)


@right("3.6")
def l2_step_box_before_ball(current, clean, gradient, step_size, eps):
    moved = (current + step_size * gradient / length(gradient).clamp_min(1e-20)).clamp(0, 1)
    delta = moved - clean
    return clean + delta * (eps / length(delta).clamp_min(1e-20)).clamp(max=1)


@wrong("3.6", "downhill")
def l2_step_downhill(current, clean, gradient, step_size, eps):
    return finish(current - step_size * gradient / length(gradient).clamp_min(1e-20), clean, eps)


@wrong("3.6", "whole batch shares one norm")
def l2_step_batch_norm(current, clean, gradient, step_size, eps):
    return finish(current + step_size * gradient / gradient.norm().clamp_min(1e-20), clean, eps)


@wrong("3.6", "not normalised")
def l2_step_raw(current, clean, gradient, step_size, eps):
    return finish(current + step_size * gradient, clean, eps)


@wrong("3.6", "L-infinity step")
def l2_step_sign(current, clean, gradient, step_size, eps):
    return finish(current + step_size * gradient.sign(), clean, eps)


@wrong("3.6", "no projection")
def l2_step_without_ball(current, clean, gradient, step_size, eps):
    return (current + step_size * gradient / length(gradient).clamp_min(1e-20)).clamp(0, 1)


@wrong("3.6", "inside the ball nothing may be rescaled")
def l2_step_always_to_the_sphere(current, clean, gradient, step_size, eps):
    delta = current + step_size * gradient / length(gradient).clamp_min(1e-20) - clean
    return (clean + eps * delta / length(delta).clamp_min(1e-20)).clamp(0, 1)


@wrong("3.6", "clips every pixel")
def l2_step_cube(current, clean, gradient, step_size, eps):
    delta = current + step_size * gradient / length(gradient).clamp_min(1e-20) - clean
    return (clean + delta.clamp(-eps, eps)).clamp(0, 1)


@wrong("3.6", "shrinks the image instead of the change")
def l2_step_projects_the_image(current, clean, gradient, step_size, eps):
    moved = current + step_size * gradient / length(gradient).clamp_min(1e-20)
    return (moved * torch.where(length(moved - clean) > eps, eps / length(moved), torch.ones_like(length(moved)))).clamp(0, 1)


@wrong("3.6", "ball is around `clean`")
def l2_step_around_current(current, clean, gradient, step_size, eps):
    return finish(current + step_size * gradient / length(gradient).clamp_min(1e-20), current, eps)


@wrong("3.6", "zero gradient gives NaN")
def l2_step_zero_over_zero(current, clean, gradient, step_size, eps):
    return finish(current + step_size * gradient / length(gradient), clean, eps)


@wrong("3.6", "leaves [0, 1]")
def l2_step_without_box(current, clean, gradient, step_size, eps):
    delta = current + step_size * gradient / length(gradient).clamp_min(1e-20) - clean
    return clean + delta * (eps / length(delta).clamp_min(1e-20)).clamp(max=1)


# ---- 3.7 pgd ----

def one_step(current, clean, g, step_size, eps, norm):
    if norm == "l2":
        return finish(current + step_size * g / length(g).clamp_min(1e-20), clean, eps)
    return (clean + (current + step_size * g.sign() - clean).clamp(-eps, eps)).clamp(0, 1)


def begin(images, eps, norm):
    return (images + attacks.random_start(images, eps, norm, "ball", torch.Generator().manual_seed(0))).clamp(0, 1)


@right("3.7")
def pgd_on_the_change(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    delta = begin(images, eps, norm) - images
    for _ in range(steps):
        g = gradient(model, images + delta, labels) * (-1 if targeted else 1)
        delta = one_step(images + delta, images, g, step_size, eps, norm) - images
    return images + delta


@wrong("3.7", "lowers the loss of the true class")
def pgd_downhill(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    x = begin(images, eps, norm)
    for _ in range(steps):
        x = one_step(x, images, gradient(model, x, labels) * (1 if targeted else -1), step_size, eps, norm)
    return x


@wrong("3.7", "asked 1 time")
def pgd_one_step(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    x = begin(images, eps, norm)
    return one_step(x, images, gradient(model, x, labels) * (-1 if targeted else 1), step_size, eps, norm)


@wrong("3.7", "start is the clean image")
def pgd_from_the_image(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    x = images
    for _ in range(steps):
        x = one_step(x, images, gradient(model, x, labels) * (-1 if targeted else 1), step_size, eps, norm)
    return x


@wrong("3.7", "same point at every step")
def pgd_with_a_stale_gradient(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    start = x = begin(images, eps, norm)
    for _ in range(steps):
        x = one_step(x, images, gradient(model, start, labels) * (-1 if targeted else 1), step_size, eps, norm)
    return x


@wrong("3.7", "outside the ball")
def pgd_that_never_projects(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    x = begin(images, eps, norm)
    for _ in range(steps):
        g = gradient(model, x, labels) * (-1 if targeted else 1)
        x = (x + step_size * (g / length(g) if norm == "l2" else g.sign())).clamp(0, 1)
    return x


@wrong("3.7", "with `targeted=True` the loss of `labels` must fall")
def pgd_never_targeted(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    x = begin(images, eps, norm)
    for _ in range(steps):
        x = one_step(x, images, gradient(model, x, labels), step_size, eps, norm)
    return x


@wrong("3.7", "linf")
def pgd_always_l2(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    x = begin(images, eps, "l2")
    for _ in range(steps):
        x = one_step(x, images, gradient(model, x, labels) * (-1 if targeted else 1), step_size, eps, "l2")
    return x


@wrong("3.7", "must end at the worst point")
def pgd_on_predictions(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    x = begin(images, eps, norm)
    for _ in range(steps):
        g = gradient(model, x, model(x).argmax(1)) * (-1 if targeted else 1)
        x = one_step(x, images, g, step_size, eps, norm)
    return x


@wrong("3.7", "not written yet")
def pgd_on_an_unwritten_step(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    raise NotImplementedError("Exercise 3.6: write l2_step")


# ---- 3.9 bisection ----

@right("3.9")
def smallest_eps_with_masks(succeeds, n, eps_max, halvings=8):
    low, high = torch.zeros(n), torch.ones(n) * eps_max
    fails = ~succeeds(high.clone())
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        hit = succeeds(middle)
        high[hit] = middle[hit]
        low[~hit] = middle[~hit]
    high[fails] = float("inf")
    return high


@wrong("3.9", "an eps was returned that fails")
def smallest_eps_low_end(succeeds, n, eps_max, halvings=8):
    low, high = torch.zeros(n), torch.full((n,), float(eps_max))
    possible = succeeds(high)
    for _ in range(halvings):
        middle = (low + high) / 2
        works = succeeds(middle)
        high, low = torch.where(works, middle, high), torch.where(works, low, middle)
    return torch.where(possible, low, torch.inf)


@wrong("3.9", "return `inf` there")
def smallest_eps_without_inf(succeeds, n, eps_max, halvings=8):
    low, high = torch.zeros(n), torch.full((n,), float(eps_max))
    for _ in range(halvings):
        middle = (low + high) / 2
        works = succeeds(middle)
        high, low = torch.where(works, middle, high), torch.where(works, low, middle)
    return high


@wrong("3.9", "all images share one interval")
def smallest_eps_shared(succeeds, n, eps_max, halvings=8):
    low, high = 0.0, float(eps_max)
    possible = succeeds(torch.full((n,), high))
    for _ in range(halvings):
        middle = (low + high) / 2
        if succeeds(torch.full((n,), middle))[possible].all():
            high = middle
        else:
            low = middle
    return torch.where(possible, torch.full((n,), high), torch.inf)


@wrong("3.9", "one eps for each of the 6 images")
def smallest_eps_scalar(succeeds, n, eps_max, halvings=8):
    return succeeds(eps_max)


@wrong("3.9", "search goes astray")
def smallest_eps_swapped(succeeds, n, eps_max, halvings=8):
    low, high = torch.zeros(n), torch.full((n,), float(eps_max))
    possible = succeeds(high)
    for _ in range(halvings):
        middle = (low + high) / 2
        works = succeeds(middle)
        low, high = torch.where(works, middle, low), torch.where(works, high, middle)
    return torch.where(possible, high, torch.inf)


@wrong("3.9", "not precise enough")
def smallest_eps_too_coarse(succeeds, n, eps_max, halvings=8):
    return smallest_eps_with_masks(succeeds, n, eps_max, halvings // 2)


# ---- 3.11 unaffected ----

@right("3.11")
def unaffected_one_by_one(model, clean, attacked):
    same = [model(a[None]).argmax().item() == model(b[None]).argmax().item() for a, b in zip(clean, attacked)]
    return sum(same) / len(same)


@wrong("3.11", "share that *changed*")
def unaffected_changed(model, clean, attacked):
    return (model(clean).argmax(1) != model(attacked).argmax(1)).float().mean().item()


@wrong("3.11", "count or a percentage")
def unaffected_percentage(model, clean, attacked):
    return 100 * (model(clean).argmax(1) == model(attacked).argmax(1)).float().mean().item()


@wrong("3.11", "comparing scores or pixels instead of classes")
def unaffected_scores(model, clean, attacked):
    return (model(clean) == model(attacked)).all(1).float().mean().item() * 0


@wrong("3.11", "wanted a number")
def unaffected_each(model, clean, attacked):
    return model(clean).argmax(1) == model(attacked).argmax(1)


@wrong("3.11", "`argmax` runs over dim 1")
def unaffected_over_the_batch(model, clean, attacked):
    return (model(clean).argmax(0) == model(attacked).argmax(0)).float().mean().item()


# ---- 3.13 box-constrained L-BFGS ----

def solve(model, image, target, c, sign=1):
    return attacks.minimize_in_box(lambda x: c * (x - image).pow(2).sum() + sign * F.cross_entropy(model(x), target), image)


@right("3.13")
def box_lbfgs_keeping_the_nearest(model, image, target, cs):
    found = [solve(model, image, target, c) for c in cs]
    found = [x for x in found if model(x).argmax() == target]
    return min(found, key=lambda x: (x - image).norm(), default=image)


@wrong("3.13", "smaller c than needed")
def box_lbfgs_smallest_c(model, image, target, cs):
    for c in sorted(cs):
        x = solve(model, image, target, c)
        if model(x).argmax() == target:
            return x
    return image


@wrong("3.13", "not classified as the target")
def box_lbfgs_last_tried(model, image, target, cs):
    for c in sorted(cs):
        x = solve(model, image, target, c)
        if model(x).argmax() != target:
            return x
    return x


@wrong("3.13", "image itself came back")
def box_lbfgs_away_from_the_target(model, image, target, cs):
    for c in sorted(cs, reverse=True):
        x = solve(model, image, target, c, -1)
        if model(x).argmax() == target:
            return x
    return image


@wrong("3.13", "return the clean `image`")
def box_lbfgs_without_a_fallback(model, image, target, cs):
    for c in sorted(cs, reverse=True):
        x = solve(model, image, target, c)
        if model(x).argmax() == target:
            return x
    return torch.zeros_like(image)


# ---- what a first round of learners got past the checks, or got no useful word for ----

@wrong("3.1", "switches gradients on")
def fgsm_on_the_callers_tensor(model, images, labels, eps, targeted=False):
    images.requires_grad = True
    F.cross_entropy(model(images), labels).backward()
    return (images + eps * images.grad.sign()).clamp(0, 1).detach()


@wrong("3.1", "returns a tuple")
def fgsm_of_a_tuple(model, images, labels, eps, targeted=False):
    x = images.clone().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x), labels), x)
    return (images + eps * g.sign()).clamp(0, 1)


@wrong("3.1", "the right way round")
def fgsm_with_swapped_arguments(model, images, labels, eps, targeted=False):
    x = images.clone().requires_grad_()
    g, = torch.autograd.grad(F.cross_entropy(labels, model(x)), x)
    return (images + eps * g.sign()).clamp(0, 1)


@wrong("3.1", "only the perturbation is clamped")
def fgsm_clamped_perturbation(model, images, labels, eps, targeted=False):
    return images + (eps * gradient(model, images, labels).sign()).clamp(0, 1)


@wrong("3.1", "use the argument, not a number")
def fgsm_of_one_size(model, images, labels, eps, targeted=False):
    return (images + 0.15 * gradient(model, images, labels).sign()).clamp(0, 1)


@wrong("3.1", "Stay in torch")
def fgsm_numpy(model, images, labels, eps, targeted=False):
    return (images + eps * gradient(model, images, labels).sign()).clamp(0, 1).numpy()


@wrong("3.4", "runs over a part of the image only")
def scaled_gradient_per_channel(model, images, labels, eps):
    g = gradient(model, images, labels)
    return (images + eps * g / g.abs().amax((2, 3), keepdim=True)).clamp(0, 1)


@wrong("3.4", "changes the images it was given")
def scaled_gradient_in_place(model, images, labels, eps):
    g = gradient(model, images, labels)
    images += eps * g / biggest(g)
    return images.clamp(0, 1)


@wrong("3.4", "multiply by `eps`")
def scaled_gradient_without_eps(model, images, labels, eps):
    g = gradient(model, images, labels)
    return (images + g / biggest(g)).clamp(0, 1)


def own_step(current, gradient, step_size):
    return current + step_size * gradient / length(gradient).clamp_min(1e-20)


@wrong("3.6", "runs over a part of the image only")
def l2_step_per_channel(current, clean, gradient, step_size, eps):
    return finish(current + step_size * gradient / gradient.norm(dim=(2, 3), keepdim=True).clamp_min(1e-20), clean, eps)


@wrong("3.6", "Decide for each image")
def l2_step_one_if_for_all(current, clean, gradient, step_size, eps):
    delta = own_step(current, gradient, step_size) - clean
    if (length(delta) > eps).any():
        delta = delta * eps / length(delta)
    return (clean + delta).clamp(0, 1)


@wrong("3.6", "one length for the whole batch")
def l2_step_projects_the_batch(current, clean, gradient, step_size, eps):
    delta = own_step(current, gradient, step_size) - clean
    return (clean + delta * min(1, eps / delta.norm())).clamp(0, 1)


@wrong("3.6", "stops the others too")
def l2_step_stops_for_one(current, clean, gradient, step_size, eps):
    if length(gradient).min() == 0:
        return current
    return finish(own_step(current, gradient, step_size), clean, eps)


@wrong("3.6", "stay where it is, at `current`")
def l2_step_back_to_clean(current, clean, gradient, step_size, eps):
    return torch.where(length(gradient) > 0, finish(own_step(current, gradient, step_size), clean, eps), clean)


@wrong("3.6", "for each image: use `torch.where`")
def l2_step_if_on_a_tensor(current, clean, gradient, step_size, eps):
    delta = own_step(current, gradient, step_size) - clean
    if length(delta) > eps:
        delta = delta * eps / length(delta)
    return (clean + delta).clamp(0, 1)


@wrong("3.6", "One number for each image needs shape")
def l2_step_without_view(current, clean, gradient, step_size, eps):
    return finish(current + step_size * gradient / gradient.flatten(1).norm(dim=1)[:, None], clean, eps)


@wrong("3.7", "leaves [0, 1]")
def pgd_linf_without_the_box(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    x = begin(images, eps, norm)
    for _ in range(steps):
        g = gradient(model, x, labels) * (-1 if targeted else 1)
        x = one_step(x, images, g, step_size, eps, norm) if norm == "l2" else images + (x + step_size * g.sign() - images).clamp(-eps, eps)
    return x


def many_steps(model, images, labels, eps, step_size, steps, norm, targeted, x):
    for _ in range(steps):
        x = one_step(x, images, gradient(model, x, labels) * (-1 if targeted else 1), step_size, eps, norm)
    return x


@wrong("3.7", "one step too many")
def pgd_one_step_more(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    return many_steps(model, images, labels, eps, step_size, steps + 1, norm, targeted, begin(images, eps, norm))


@wrong("3.7", "`eps` long instead of `step_size`")
def pgd_with_eps_as_step(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    return many_steps(model, images, labels, eps, eps, steps, norm, targeted, begin(images, eps, norm))


@wrong("3.7", "the start (the images plus a random change)")
def pgd_from_the_change_alone(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    return many_steps(model, images, labels, eps, step_size, steps, norm, targeted, (begin(images, eps, norm) - images).clamp(0, 1))


@wrong("3.7", "the start (the images plus a random change)")
def pgd_from_the_cube(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    return many_steps(model, images, labels, eps, step_size, steps, norm, targeted, begin(images, eps, "linf"))


@wrong("3.7", "`.grad` adds up")
def pgd_that_never_zeroes(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    x = begin(images, eps, norm).requires_grad_()
    for _ in range(steps):
        loss = F.cross_entropy(model(x), labels, reduction="sum") * (-1 if targeted else 1)
        loss.backward()
        with torch.no_grad():
            x.copy_(one_step(x, images, x.grad, step_size, eps, norm))
    return x.detach()


@wrong("3.7", "same point at every step")
def pgd_gradient_at_the_image(model, images, labels, eps, step_size, steps, norm="l2", targeted=False):
    x = begin(images, eps, norm)
    for _ in range(steps):
        x = one_step(x, images, gradient(model, images, labels) * (-1 if targeted else 1), step_size, eps, norm)
    return x


@right("3.9")
def smallest_eps_in_float64(succeeds, n, eps_max, halvings=8):
    return smallest_eps_with_masks(lambda eps: succeeds(eps.double()), n, eps_max, halvings).double()


@wrong("3.9", "with `halvings=4`")
def smallest_eps_always_eight(succeeds, n, eps_max, halvings=8):
    return smallest_eps_with_masks(succeeds, n, eps_max, 8)


@wrong("3.9", "use the argument")
def smallest_eps_always_four(succeeds, n, eps_max, halvings=8):
    return smallest_eps_with_masks(succeeds, n, 4.0, halvings)


@wrong("3.9", "return `inf` where even eps_max fails")
def smallest_eps_nan(succeeds, n, eps_max, halvings=8):
    out = smallest_eps_with_masks(succeeds, n, eps_max, halvings)
    return torch.where(out.isinf(), torch.nan, out)


@right("3.11")
def unaffected_with_the_courses_own_helpers(model, clean, attacked):
    model.eval()
    return 1 - attacks.fooled(model, attacked, attacks.scores(model, clean).argmax(1)).float().mean().item()


@wrong("3.11", "Truth values have no mean")
def unaffected_mean_of_truth_values(model, clean, attacked):
    return (model(clean).argmax(1) == model(attacked).argmax(1)).mean()


@wrong("3.11", "count or a percentage")
def unaffected_count(model, clean, attacked):
    return (model(clean).argmax(1) == model(attacked).argmax(1)).sum().item()


@wrong("3.11", "round nothing")
def unaffected_nan(model, clean, attacked):
    return float("nan")


@wrong("3.13", "another class is not enough")
def box_lbfgs_any_other_class(model, image, target, cs):
    first = model(image).argmax()
    for c in sorted(cs, reverse=True):
        x = solve(model, image, target, c)
        if model(x).argmax() != first:
            return x
    return image


@wrong("3.13", "not the failed result")
def box_lbfgs_failed_result(model, image, target, cs):
    for c in sorted(cs, reverse=True):
        x = solve(model, image, target, c)
        if model(x).argmax() == target:
            return x
    return x


@wrong("3.13", "leaves [0, 1]")
def box_lbfgs_without_the_box(model, image, target, cs):
    for c in sorted(cs, reverse=True):
        x = attacks.minimize_in_box(lambda x: c * (x - image).pow(2).sum() + F.cross_entropy(model(x), target), image, bounds=None)
        if model(x).argmax() == target:
            return x
    return image
