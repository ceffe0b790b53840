"""Answers to unit 02."""
import torch
import torch.nn.functional as F

from . import right, wrong


def gradient(model, x, labels):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(model(x).gather(1, labels[:, None]).sum(), x)[0]


def logits(model, x, labels):
    with torch.no_grad():
        return model(x).gather(1, labels[:, None])[:, 0]


# ---- 2.1 smooth_grad ----

@right("2.1")
def smooth_in_one_batch(model, images, labels, n_samples=50, sigma=0.15):
    many = images.repeat_interleave(n_samples, 0)
    g = gradient(model, many + sigma * torch.randn(many.shape), labels.repeat_interleave(n_samples))
    return g.view(len(images), n_samples, *images.shape[1:]).mean(1)


@right("2.1")
def smooth_with_torch_normal(model, images, labels, n_samples=50, sigma=0.15):
    return torch.stack([gradient(model, torch.normal(images, sigma), labels) for _ in range(n_samples)]).mean(0)


@wrong("2.1", "draw fresh noise inside the loop")
def smooth_with_one_noise(model, images, labels, n_samples=50, sigma=0.15):
    noise = sigma * torch.randn_like(images)
    return sum(gradient(model, images + noise, labels) for _ in range(n_samples)) / n_samples


@wrong("2.1", "clipped to [0, 1]")
def smooth_clamped(model, images, labels, n_samples=50, sigma=0.15):
    return sum(gradient(model, (images + sigma * torch.randn_like(images)).clamp(0, 1), labels) for _ in range(n_samples)) / n_samples


@wrong("2.1", "divide by `n_samples`")
def smooth_sum(model, images, labels, n_samples=50, sigma=0.15):
    return sum(gradient(model, images + sigma * torch.randn_like(images), labels) for _ in range(n_samples))


@wrong("2.1", "used squared")
def smooth_variance(model, images, labels, n_samples=50, sigma=0.15):
    return sum(gradient(model, images + sigma ** 2 * torch.randn_like(images), labels) for _ in range(n_samples)) / n_samples


@wrong("2.1", "it should be 0")
def smooth_uniform(model, images, labels, n_samples=50, sigma=0.15):
    return sum(gradient(model, images + sigma * 12 ** 0.5 * torch.rand_like(images), labels) for _ in range(n_samples)) / n_samples


@wrong("2.1", "adds up instead of cancelling")
def smooth_absolute(model, images, labels, n_samples=50, sigma=0.15):
    return sum(gradient(model, images + sigma * torch.randn_like(images), labels).abs() for _ in range(n_samples)) / n_samples


@wrong("2.1", "all images of the batch get the same noise")
def smooth_shared_noise(model, images, labels, n_samples=50, sigma=0.15):
    return sum(gradient(model, images + sigma * torch.randn_like(images[:1]), labels) for _ in range(n_samples)) / n_samples


@wrong("2.1", "share their noise")
def smooth_batched_with_one_noise(model, images, labels, n_samples=50, sigma=0.15):
    noisy = (images + sigma * torch.randn_like(images)).repeat(n_samples, 1, 1, 1)
    return gradient(model, noisy, labels.repeat(n_samples)).view(n_samples, *images.shape).mean(0)


@wrong("2.1", "share their noise")
def smooth_batched_with_shared_noise(model, images, labels, n_samples=50, sigma=0.15):
    noise = sigma * torch.randn(n_samples, 1, *images.shape[1:])
    return gradient(model, (images + noise).flatten(0, 1), labels.repeat(n_samples)).view(n_samples, *images.shape).mean(0)


@wrong("2.1", "noise grows from turn to turn")
def smooth_walking_away(model, images, labels, n_samples=50, sigma=0.15):
    total, x = torch.zeros_like(images), images
    for _ in range(n_samples):
        x = x + sigma * torch.randn_like(images)
        total += gradient(model, x, labels)
    return total / n_samples


@wrong("2.1", "at every noisy copy")
def smooth_mean_image(model, images, labels, n_samples=50, sigma=0.15):
    noisy = sum(images + sigma * torch.randn_like(images) for _ in range(n_samples)) / n_samples
    return gradient(model, noisy, labels)


# ---- 2.4 deletion_curve ----

def deleted(image, order, k, baseline, keep=False):
    pixels = image.clone().flatten(2)
    pixels[:, :, order[k:] if keep else order[:k]] = baseline
    return pixels.view_as(image)


@right("2.4")
def deletion_one_by_one(model, image, label, order, fractions, baseline=0.0):
    result = []
    for fraction in fractions:
        with torch.no_grad():
            result.append(model(deleted(image, order, round(fraction * len(order)), baseline)).softmax(1)[0, label[0]])
    return torch.stack(result)


@right("2.4")
def deletion_with_masks(model, image, label, order, fractions, baseline=0.0):
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    rank = rank.view(1, 1, *image.shape[2:])
    images = torch.cat([torch.where(rank < round(fraction * len(order)), baseline, image) for fraction in fractions])
    return F.softmax(model(images).detach(), dim=1)[:, label].flatten()


@wrong("2.4", "*least* important pixels go first")
def deletion_from_the_end(model, image, label, order, fractions, baseline=0.0):
    return deletion_one_by_one(model, image, label, order.flip(0), fractions, baseline)


@wrong("2.4", "insertion curve")
def deletion_keeps(model, image, label, order, fractions, baseline=0.0):
    with torch.no_grad():
        return torch.stack([model(deleted(image, order, round(f * len(order)), baseline, True)).softmax(1)[0, label[0]] for f in fractions])


@wrong("2.4", "only the first channel")
def deletion_of_one_channel(model, image, label, order, fractions, baseline=0.0):
    images = image.repeat(len(fractions), 1, 1, 1)
    for row, fraction in enumerate(fractions):
        images[row, 0].view(-1)[order[: round(fraction * len(order))]] = baseline
    return model(images).softmax(1)[:, label.item()].detach()


@wrong("2.4", "put `baseline` there")
def deletion_to_black(model, image, label, order, fractions, baseline=0.0):
    return deletion_one_by_one(model, image, label, order, fractions)


@wrong("2.4", "the probability is wanted")
def deletion_of_logits(model, image, label, order, fractions, baseline=0.0):
    with torch.no_grad():
        return torch.stack([model(deleted(image, order, round(f * len(order)), baseline))[0, label[0]] for f in fractions])


@wrong("2.4", "these are not the probabilities")
def deletion_rounded_down(model, image, label, order, fractions, baseline=0.0):
    with torch.no_grad():
        return torch.stack([model(deleted(image, order, int(f * len(order)), baseline)).softmax(1)[0, label[0]] for f in fractions])


@wrong("2.4", "a 1-D tensor is wanted")
def deletion_as_a_list(model, image, label, order, fractions, baseline=0.0):
    return deletion_one_by_one(model, image, label, order, fractions, baseline).tolist()


@wrong("2.4", "each pixel's rank")
def deletion_by_rank(model, image, label, order, fractions, baseline=0.0):
    return deletion_one_by_one(model, image, label, order.argsort(), fractions, baseline)


@wrong("2.4", "changes the image")
def deletion_in_place(model, image, label, order, fractions, baseline=0.0):
    result = []
    for fraction in fractions:
        image.view(*image.shape[:2], -1)[:, :, order[: round(fraction * len(order))]] = baseline
        result.append(model(image).softmax(1)[0, label[0]].detach())
    return torch.stack(result)


# ---- 2.5 occlusion ----

def windows(images, size):
    for top in range(0, images.shape[2], size):
        for left in range(0, images.shape[3], size):
            yield slice(top, top + size), slice(left, left + size)


def occlude(model, images, labels, size, baseline, score=logits, sign=1, fresh=True, divide=1):
    maps, covered = torch.zeros_like(images), images.clone()
    for rows, columns in windows(images, size):
        covered = images.clone() if fresh else covered
        covered[:, :, rows, columns] = baseline
        maps[:, :, rows, columns] = (sign * (score(model, images, labels) - score(model, covered, labels)) / divide).view(-1, 1, 1, 1)
    return maps


@right("2.5")
def occlusion_with_masks(model, images, labels, size, baseline=0.0):
    maps = torch.zeros_like(images)
    for rows, columns in windows(images, size):
        mask = torch.zeros_like(images[:1])
        mask[:, :, rows, columns] = 1
        fall = logits(model, images, labels) - logits(model, images * (1 - mask) + baseline * mask, labels)
        maps += mask * fall.view(-1, 1, 1, 1)
    return maps


@wrong("2.5", "stay covered")
def occlusion_accumulates(model, images, labels, size, baseline=0.0):
    return occlude(model, images, labels, size, baseline, fresh=False)


@wrong("2.5", "sign is turned round")
def occlusion_rises(model, images, labels, size, baseline=0.0):
    return occlude(model, images, labels, size, baseline, sign=-1)


@wrong("2.5", "although `baseline=0.5`")
def occlusion_black(model, images, labels, size, baseline=0.0):
    return occlude(model, images, labels, size, 0.0)


@wrong("2.5", "fall of a probability")
def occlusion_of_probability(model, images, labels, size, baseline=0.0):
    return occlude(model, images, labels, size, baseline, lambda m, x, y: m(x).softmax(1).gather(1, y[:, None])[:, 0].detach())


@wrong("2.5", "divided among the window's pixels")
def occlusion_shared_out(model, images, labels, size, baseline=0.0):
    return occlude(model, images, labels, size, baseline, divide=size * size)


@wrong("2.5", "changes the images")
def occlusion_in_place(model, images, labels, size, baseline=0.0):
    whole, maps = logits(model, images, labels), torch.zeros_like(images)
    for rows, columns in windows(images, size):
        images[:, :, rows, columns] = baseline
        maps[:, :, rows, columns] = (whole - logits(model, images, labels)).view(-1, 1, 1, 1)
    return maps


@wrong("2.5", "the others are not")
def occlusion_first_window(model, images, labels, size, baseline=0.0):
    maps, (rows, columns) = torch.zeros_like(images), next(windows(images, size))
    covered = images.clone()
    covered[:, :, rows, columns] = baseline
    maps[:, :, rows, columns] = (logits(model, images, labels) - logits(model, covered, labels)).view(-1, 1, 1, 1)
    return maps


# ---- 2.7 integrated_gradients ----

def along(model, images, labels, baseline, points):
    return sum(gradient(model, baseline + t * (images - baseline), labels) for t in points) / len(points)


def middles(steps):
    return [(k + 0.5) / steps for k in range(steps)]


@right("2.7")
def integrated_in_one_batch(model, images, labels, baseline, steps=50):
    baseline = torch.as_tensor(baseline).expand_as(images)
    ts = torch.tensor(middles(steps)).view(steps, 1, 1, 1, 1)
    points = (baseline + ts * (images - baseline)).flatten(0, 1)
    g = gradient(model, points, labels.repeat(steps)).view(steps, *images.shape)
    return g.mean(0) * (images - baseline)


@wrong("2.7", "gradients are taken at the image itself")
def integrated_at_the_end(model, images, labels, baseline, steps=50):
    return (images - baseline) * along(model, images, labels, baseline, [1.0] * steps)


@wrong("2.7", "multiply it by `images - baseline`")
def integrated_mean_gradient(model, images, labels, baseline, steps=50):
    return along(model, images, labels, baseline, middles(steps))


@wrong("2.7", "instead of by `images - baseline`")
def integrated_times_image(model, images, labels, baseline, steps=50):
    return images * along(model, images, labels, baseline, middles(steps))


@wrong("2.7", "divide by `steps`")
def integrated_sum(model, images, labels, baseline, steps=50):
    return steps * (images - baseline) * along(model, images, labels, baseline, middles(steps))


@wrong("2.7", "sign is turned round")
def integrated_backwards(model, images, labels, baseline, steps=50):
    return (baseline - images) * along(model, images, labels, baseline, middles(steps))


@wrong("2.7", "one of its ends")
def integrated_left(model, images, labels, baseline, steps=50):
    return (images - baseline) * along(model, images, labels, baseline, [k / steps for k in range(steps)])


@wrong("2.7", "one of its ends")
def integrated_right(model, images, labels, baseline, steps=50):
    return (images - baseline) * along(model, images, labels, baseline, [(k + 1) / steps for k in range(steps)])


@wrong("2.7", "full weight on both ends")
def integrated_linspace(model, images, labels, baseline, steps=50):
    return (images - baseline) * along(model, images, labels, baseline, torch.linspace(0, 1, steps).tolist())


# ---- 2.9 share_on ----

@right("2.9")
def share_with_where(maps, masks):
    strength = maps.abs()
    return torch.where(masks, strength, 0.0).sum((1, 2, 3)) / strength.sum((1, 2, 3))


@right("2.9")
def share_in_a_loop(maps, masks):
    return torch.stack([one.abs()[:, mask[0]].sum() / one.abs().sum() for one, mask in zip(maps, masks)])


@wrong("2.9", "cancel: take absolute values first")
def share_signed(maps, masks):
    return (maps * masks).sum((1, 2, 3)) / maps.sum((1, 2, 3))


@wrong("2.9", "`abs()` first")
def share_channels_cancel(maps, masks):
    strength = maps.sum(1, keepdim=True).abs()
    return (strength * masks).sum((1, 2, 3)) / strength.sum((1, 2, 3))


@wrong("2.9", "*off* the mask")
def share_off(maps, masks):
    return 1 - share_with_where(maps, masks)


@wrong("2.9", "one for each is wanted")
def share_of_all(maps, masks):
    return share_with_where(maps, masks).mean()


@wrong("2.9", "does not look at the map")
def share_area(maps, masks):
    return masks.float().mean((1, 2, 3))


@wrong("2.9", "divide by its own")
def share_of_the_batch(maps, masks):
    strength = maps.abs()
    return (strength * masks).sum((1, 2, 3)) / strength.sum()
