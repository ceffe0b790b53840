"""Answers to unit 05."""
import torch

from helpers import attacks

from . import right, wrong


def moved_by(model, images, targets, eps, **options):
    return attacks.pgd(model, images, targets, **{"eps": eps, "norm": "l2", "steps": 20, "targeted": True} | options)


def said(model, images):
    with torch.no_grad():
        return model(images).argmax(1)


# ---- 5.1 mislabelled ----

@right("5.1")
def mislabelled_with_fooled(model, images, targets, eps):
    moved = moved_by(model, images, targets, eps)
    kept = attacks.fooled(model, moved, targets, targeted=True)
    return moved[kept], targets[kept]


@right("5.1")
def mislabelled_by_index(model, images, targets, eps):
    moved = moved_by(model, images, targets, eps, steps=40)
    kept = (said(model, moved) == targets).nonzero()[:, 0]
    return moved[kept], targets[kept]


@wrong("5.1", "all six images came back")
def mislabelled_all(model, images, targets, eps):
    return moved_by(model, images, targets, eps), targets


@wrong("5.1", "is the class the image had")
def mislabelled_with_old_labels(model, images, targets, eps):
    moved = moved_by(model, images, targets, eps)
    kept = said(model, moved) == targets
    return moved[kept], said(model, images)[kept]


@wrong("5.1", "no image came back")
def mislabelled_untargeted(model, images, targets, eps):
    moved = moved_by(model, images, targets, eps, targeted=False)
    kept = said(model, moved) == targets
    return moved[kept], targets[kept]


@wrong("5.1", "images as they were")
def mislabelled_clean(model, images, targets, eps):
    kept = said(model, moved_by(model, images, targets, eps)) == targets
    return images[kept], targets[kept]


@wrong("5.1", "the wrong way round")
def mislabelled_failures(model, images, targets, eps):
    moved = moved_by(model, images, targets, eps)
    kept = said(model, moved) != targets
    return moved[kept], targets[kept]


@wrong("5.1", "eps is 0.2")
def mislabelled_linf(model, images, targets, eps):
    moved = moved_by(model, images, targets, eps, norm="linf")[:4]
    kept = said(model, moved) == targets[:4]
    return moved[kept], targets[:4][kept]


@wrong("5.1", "apply the same mask to both")
def mislabelled_half_masked(model, images, targets, eps):
    moved = moved_by(model, images, targets, eps)
    return moved[said(model, moved) == targets], targets


@right("5.1")
def mislabelled_as_a_list(model, images, targets, eps):
    moved = moved_by(model, images, targets, eps)
    now = said(model, moved)
    return [moved[now == targets], now[now == targets]]


@wrong("5.1", "but eps is 0.2")
def mislabelled_too_far(model, images, targets, eps):
    moved = moved_by(model, images, targets, 2 * eps)
    kept = said(model, moved) == targets
    return moved[kept], targets[kept]


@wrong("5.1", "*after the attack*")
def mislabelled_chosen_before(model, images, targets, eps):
    kept = said(model, images) == targets
    return moved_by(model, images, targets, eps)[kept], targets[kept]


@wrong("5.1", "wanted two things")
def mislabelled_images_only(model, images, targets, eps):
    moved = moved_by(model, images, targets, eps)
    return moved[said(model, moved) == targets]


# ---- 5.3 match ----

def descend(features, wanted, x, steps, step_size, towards=-1, unit=True, clamp=True):
    for _ in range(steps):
        x = x.detach().clone().requires_grad_()
        g = torch.autograd.grad((features(x) - wanted).norm(dim=1).sum(), x)[0]
        if unit:
            g = g / g.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
        x = x.detach() + towards * step_size * g
        x = x.clamp(0, 1) if clamp else x
    return x.detach()


@right("5.3")
def match_squared(features, images, start, steps, step_size):
    wanted, x = features(images).detach(), start.clone()
    for _ in range(steps):
        x = x.detach().requires_grad_()
        (features(x) - wanted).square().sum().backward()
        x = (x - step_size * x.grad / (x.grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-12)).clamp(0, 1)
    return x.detach()


@wrong("5.3", "descend, against the gradient")
def match_ascending(features, images, start, steps, step_size):
    return descend(features, features(images), start, steps, step_size, towards=1)


@wrong("5.3", "Begin with `start`")
def match_from_the_images(features, images, start, steps, step_size):
    return images.clone()


@wrong("5.3", "clamp after each step")
def match_unclamped(features, images, start, steps, step_size):
    return descend(features, features(images), start, steps, step_size, clamp=False)


@wrong("5.3", "not only after the last")
def match_clamped_at_the_end(features, images, start, steps, step_size):
    return descend(features, features(images), start, steps, step_size, clamp=False).clamp(0, 1)


@wrong("5.3", "by its own L2 length")
def match_without_unit_steps(features, images, start, steps, step_size):
    return descend(features, features(images), start, steps, step_size, unit=False)


@wrong("5.3", "not that of the images")
def match_the_images(features, images, start, steps, step_size):
    return descend(lambda x: x.flatten(1), images.flatten(1), start, steps, step_size)


@wrong("5.3", "not that of the images")
def match_the_other_way(features, images, start, steps, step_size):
    return descend(features, features(start), images, steps, step_size)


@wrong("5.3", "share")
def match_with_one_length(features, images, start, steps, step_size):
    wanted, x = features(images), start.clone()
    for _ in range(steps):
        x = x.detach().clone().requires_grad_()
        g = torch.autograd.grad((features(x) - wanted).square().sum(), x)[0]
        x = (x.detach() - step_size * g / g.norm().clamp_min(1e-12)).clamp(0, 1)
    return x


@wrong("5.3", "is the result of each step kept")
def match_that_forgets(features, images, start, steps, step_size):
    descend(features, features(images), start, steps, step_size)
    return start.clone()


@wrong("5.3", "still hangs on the graph")
def match_on_the_graph(features, images, start, steps, step_size):
    x = descend(features, features(images), start, steps, step_size).requires_grad_()
    return x * 1.0


@wrong("5.3", "gradient taken anew")
def match_with_one_gradient(features, images, start, steps, step_size):
    x = start.clone().requires_grad_()
    g = torch.autograd.grad((features(x) - features(images)).norm(dim=1).sum(), x)[0]
    return (start - steps * step_size * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(0, 1)


@wrong("5.3", "one too many")
def match_one_step_more(features, images, start, steps, step_size):
    return descend(features, features(images), start, steps + 1, step_size)


# ---- 5.5 follows ----

def share(hits):
    return hits.float().mean().item()


@right("5.5")
def follows_by_counting(model, some):
    now = said(model, some.images)
    n = len(some)
    return sum((now == some.shapes).tolist()) / n, sum((now == some.patterns).tolist()) / n


@right("5.5")
def follows_as_tensors(model, some):
    now = said(model, some.images)
    return (now == some.shapes).float().mean(), (now == some.patterns).float().mean()


@wrong("5.5", "exchanged")
def follows_exchanged(model, some):
    now = said(model, some.images)
    return share(now == some.patterns), share(now == some.shapes)


@wrong("5.5", "need not follow the pattern")
def follows_complement(model, some):
    shape = share(said(model, some.images) == some.shapes)
    return shape, 1 - shape


@wrong("5.5", "need not follow the shape")
def follows_complement_of_the_pattern(model, some):
    pattern = share(said(model, some.images) == some.patterns)
    return 1 - pattern, pattern


@wrong("5.5", "once with `some.patterns`")
def follows_labels_twice(model, some):
    now = said(model, some.images)
    return share(now == some.shapes), share(now == some.labels)


@wrong("5.5", "counts or percentages")
def follows_counts(model, some):
    now = said(model, some.images)
    return (now == some.shapes).sum().item(), (now == some.patterns).sum().item()


@wrong("5.5", "counts or percentages")
def follows_percent(model, some):
    now = said(model, some.images)
    return 100 * share(now == some.shapes), 100 * share(now == some.patterns)


@wrong("5.5", "shares of all images")
def follows_among_those_that_follow(model, some):
    now = said(model, some.images)
    shape, pattern = (now == some.shapes).sum().item(), (now == some.patterns).sum().item()
    return shape / (shape + pattern), pattern / (shape + pattern)


@wrong("5.5", "wanted two numbers")
def follows_one(model, some):
    return share(said(model, some.images) == some.shapes)


@wrong("5.5", "average over the images")
def follows_each(model, some):
    now = said(model, some.images)
    return now == some.shapes, now == some.patterns


# ---- 5.7 along ----

def projected(images, first):
    return (images.flatten(1) @ first.T @ first).view_as(images)


def right_vectors(gradients):
    return torch.linalg.svd(gradients.flatten(1), full_matrices=False).Vh


@right("5.7")
def along_by_eigenvectors(images, gradients, k):
    g = gradients.flatten(1)
    first = torch.linalg.eigh(g.T @ g).eigenvectors.flip(1)[:, :k]
    return (images.flatten(1) @ first @ first.T).view_as(images)


@wrong("5.7", "the weakest directions")
def along_last(images, gradients, k):
    return projected(images, right_vectors(gradients)[-k:])


@wrong("5.7", "this is the rest")
def along_rest(images, gradients, k):
    return images - projected(images, right_vectors(gradients)[:k])


@wrong("5.7", "one off")
def along_one_more(images, gradients, k):
    return projected(images, right_vectors(gradients)[:k + 1])


@wrong("5.7", "directions of the *images*")
def along_images(images, gradients, k):
    return projected(images, right_vectors(images)[:k])


@wrong("5.7", "multiplied by the singular values")
def along_scaled(images, gradients, k):
    _, s, v = torch.linalg.svd(gradients.flatten(1), full_matrices=False)
    return (images.flatten(1) @ v[:k].T * s[:k] @ v[:k]).view_as(images)


@wrong("5.7", "centred first")
def along_principal_components(images, gradients, k):
    return projected(images, right_vectors(gradients - gradients.mean(0)) [:k])


@wrong("5.7", "keeps all the directions")
def along_all(images, gradients, k):
    return projected(images, right_vectors(gradients)[:4])


@wrong("5.7", "should have shape")
def along_coordinates(images, gradients, k):
    return images.flatten(1) @ right_vectors(gradients)[:k].T


@right("5.7")
def along_by_left_vectors(images, gradients, k):
    first = torch.linalg.svd(gradients.flatten(1).T, full_matrices=False).U[:, :k]
    return (images.flatten(1) @ first @ first.T).view_as(images)


@wrong("5.7", "the directions are its *rows*")
def along_columns(images, gradients, k):
    return projected(images, right_vectors(gradients)[:, :k].T)


@wrong("5.7", "one direction alone")
def along_the_kth(images, gradients, k):
    return projected(images, right_vectors(gradients)[k - 1:k])


@wrong("5.7", "the images are centred first")
def along_centred_images(images, gradients, k):
    mean = images.mean(0)
    return projected(images - mean, right_vectors(gradients)[:k]) + mean


@wrong("5.7", "clipped to [0, 1]")
def along_clipped(images, gradients, k):
    return projected(images, right_vectors(gradients)[:k]).clamp(0, 1)


@wrong("5.7", "the first k gradients themselves")
def along_the_first_gradients(images, gradients, k):
    first = gradients.flatten(1)[:k]
    return projected(images, first / first.norm(dim=1, keepdim=True))


# ---- 5.8 low_pass ----

def filtered(images, keep):
    height, width = images.shape[-2:]
    fy, fx = torch.fft.fftfreq(height, 1 / height)[:, None], torch.fft.fftfreq(width, 1 / width)[None]
    return torch.fft.ifft2(torch.fft.fft2(images) * keep(fy, fx)).real


@right("5.8")
def low_pass_shifted(images, radius):
    height, width = images.shape[-2:]
    spectrum = torch.fft.fftshift(torch.fft.fft2(images), dim=(-2, -1))
    fy, fx = torch.arange(height) - height // 2, torch.arange(width) - width // 2
    kept = fy[:, None] ** 2 + fx[None] ** 2 <= radius ** 2
    return torch.fft.ifft2(torch.fft.ifftshift(spectrum * kept, dim=(-2, -1))).real


@right("5.8")
def low_pass_with_rfft(images, radius):
    height, width = images.shape[-2:]
    fy, fx = torch.fft.fftfreq(height, 1 / height)[:, None], torch.fft.rfftfreq(width, 1 / width)[None]
    return torch.fft.irfft2(torch.fft.rfft2(images) * (torch.hypot(*torch.broadcast_tensors(fy, fx)) <= radius), s=(height, width))


@wrong("5.8", "these are the high frequencies")
def low_pass_high(images, radius):
    return filtered(images, lambda fy, fx: (fy ** 2 + fx ** 2).sqrt() > radius)


@wrong("5.8", "the mask is a square")
def low_pass_square(images, radius):
    return filtered(images, lambda fy, fx: (fy.abs() <= radius) & (fx.abs() <= radius))


@wrong("5.8", "the mask is a diamond")
def low_pass_diamond(images, radius):
    return filtered(images, lambda fy, fx: fy.abs() + fx.abs() <= radius)


@wrong("5.8", "nothing was dropped")
def low_pass_in_cycles_per_pixel(images, radius):
    height, width = images.shape[-2:]
    kept = (torch.fft.fftfreq(height)[:, None] ** 2 + torch.fft.fftfreq(width)[None] ** 2).sqrt() <= radius
    return torch.fft.ifft2(torch.fft.fft2(images) * kept).real


@wrong("5.8", "take its `.real`")
def low_pass_complex(images, radius):
    height, width = images.shape[-2:]
    kept = (torch.fft.fftfreq(height, 1 / height)[:, None] ** 2 + torch.fft.fftfreq(width, 1 / width)[None] ** 2).sqrt() <= radius
    return torch.fft.ifft2(torch.fft.fft2(images) * kept)


@wrong("5.8", "(`<=`)")
def low_pass_strict(images, radius):
    return filtered(images, lambda fy, fx: (fy ** 2 + fx ** 2).sqrt() < radius)


@wrong("5.8", "the mean brightness is gone")
def low_pass_without_the_mean(images, radius):
    return filtered(images, lambda fy, fx: ((fy ** 2 + fx ** 2).sqrt() <= radius) & ((fy != 0) | (fx != 0)))


@wrong("5.8", "in the order of `fft2`")
def low_pass_half_shifted(images, radius):
    height, width = images.shape[-2:]
    fy, fx = torch.arange(height) - height // 2, torch.arange(width) - width // 2
    return torch.fft.ifft2(torch.fft.fft2(images) * (fy[:, None] ** 2 + fx[None] ** 2 <= radius ** 2)).real


@wrong("5.8", "take the root")
def low_pass_without_the_root(images, radius):
    return filtered(images, lambda fy, fx: fy ** 2 + fx ** 2 <= radius)


@wrong("5.8", "signs")
def low_pass_absolute(images, radius):
    return filtered(images, lambda fy, fx: (fy ** 2 + fx ** 2).sqrt() <= radius).abs()


@wrong("5.8", "signs")
def low_pass_one_sided(images, radius):
    return filtered(images, lambda fy, fx: (fy <= radius) & (fx <= radius))


@wrong("5.8", "clipped to [0, 1]")
def low_pass_clipped(images, radius):
    return filtered(images, lambda fy, fx: (fy ** 2 + fx ** 2).sqrt() <= radius).clamp(0, 1)
