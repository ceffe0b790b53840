"""Answers to unit 01."""
import copy

import torch
import torch.nn.functional as F

from . import right, wrong


def gradient(model, images, labels, of="loss"):
    x = images.clone().requires_grad_()
    values = model(x) if of == "logit" else model(x).log_softmax(1)
    g, = torch.autograd.grad(values.gather(1, labels[:, None]).sum(), x)
    return -g if of == "loss" else g


def biggest(batch):
    return batch.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)


# ---- 1.2 input_gradient ----

@right("1.2")
def gradient_with_backward(model, images, labels):
    x = images.detach().clone()
    x.requires_grad = True
    torch.nn.CrossEntropyLoss(reduction="sum")(model(x), labels).backward()
    return x.grad


@right("1.2")
def gradient_one_by_one(model, images, labels):
    parts = []
    for image, label in zip(images, labels):
        x = image[None].clone().requires_grad_()
        parts += torch.autograd.grad(F.cross_entropy(model(x), label[None]), x)
    return torch.cat(parts)


@wrong("1.2", "divided by the number of images")
def gradient_of_the_mean(model, images, labels):
    return gradient(model, images, labels) / len(images)


@wrong("1.2", "sign is flipped")
def gradient_flipped(model, images, labels):
    return -gradient(model, images, labels)


@wrong("1.2", "gradient that training uses")
def gradient_for_the_weights(model, images, labels):
    loss = F.cross_entropy(model(images), labels, reduction="sum")
    return torch.autograd.grad(loss, next(model.parameters()))[0]


@wrong("1.2", "with the comma")
def gradient_as_a_tuple(model, images, labels):
    x = images.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(x), labels, reduction="sum"), x)


@wrong("1.2", "label's logit")
def gradient_of_the_logit(model, images, labels):
    return gradient(model, images, labels, "logit")


@wrong("1.2", "predicted classes")
def gradient_of_the_prediction(model, images, labels):
    return gradient(model, images, model(images).argmax(1))


@wrong("1.2", "switches gradients on")
def gradient_leaves_a_mark(model, images, labels):
    images.requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(images), labels, reduction="sum"), images)[0]


@wrong("1.2", "signs are lost")
def gradient_absolute(model, images, labels):
    return gradient(model, images, labels).abs()


@wrong("1.2", "no softmax before it")
def gradient_after_softmax(model, images, labels):
    x = images.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(x).softmax(1), labels, reduction="sum"), x)[0]


# ---- 1.3 as_picture ----

@right("1.3")
def picture_with_flatten(t):
    flat = t.flatten(2)
    value = (flat - flat.mean(2, keepdim=True)) / (3 * flat.std(2, unbiased=False, keepdim=True) + 1e-9) + 0.5
    return value.clip(0, 1).view_as(t)


@right("1.3")
def picture_in_loops(t):
    out = torch.empty_like(t)
    for n in range(t.shape[0]):
        for c in range(t.shape[1]):
            std = t[n, c].std()
            out[n, c] = ((t[n, c] - t[n, c].mean()) / (3 * std if std > 0 else 1) + 0.5).clamp(0, 1)
    return out


@wrong("1.3", "leaves [0, 1]")
def picture_without_clip(t):
    return (t - t.mean((2, 3), keepdim=True)) / (3 * t.std((2, 3), keepdim=True).clamp_min(1e-12)) + 0.5


@wrong("1.3", "over the whole batch")
def picture_of_the_batch(t):
    return ((t - t.mean()) / (3 * t.std()) + 0.5).clamp(0, 1)


@wrong("1.3", "all channels of an image together")
def picture_of_the_image(t):
    return ((t - t.mean((1, 2, 3), keepdim=True)) / (3 * t.std((1, 2, 3), keepdim=True)) + 0.5).clamp(0, 1)


@wrong("1.3", "middle grey")
def picture_without_the_half(t):
    return ((t - t.mean((2, 3), keepdim=True)) / (3 * t.std((2, 3), keepdim=True))).clamp(0, 1)


@wrong("1.3", "a third of the pixels is clipped")
def picture_with_one_std(t):
    return ((t - t.mean((2, 3), keepdim=True)) / t.std((2, 3), keepdim=True) + 0.5).clamp(0, 1)


@wrong("1.3", "mind the brackets")
def picture_without_brackets(t):
    return ((t - t.mean((2, 3), keepdim=True)) / t.std((2, 3), keepdim=True) * 3 + 0.5).clamp(0, 1)


@wrong("1.3", "multiplies by the standard deviation")
def picture_without_the_brackets(t):
    return ((t - t.mean((2, 3), keepdim=True)) / 3 * t.std((2, 3), keepdim=True) + 0.5).clamp(0, 1)


@wrong("1.3", "gives NaN")
def picture_of_nothing(t):
    return ((t - t.mean((2, 3), keepdim=True)) / (3 * t.std((2, 3), keepdim=True)) + 0.5).clamp(0, 1)


@wrong("1.3", "changes the tensor")
def picture_in_place(t):
    t -= t.mean((2, 3), keepdim=True)
    return (t / (3 * t.std((2, 3), keepdim=True).clamp_min(1e-12)) + 0.5).clamp(0, 1)


# ---- 1.4 gradient_x_input ----

@right("1.4")
def gxi_with_backward(model, images, labels, absolute=False):
    x = images.detach().clone().requires_grad_(True)
    scores = model(x)
    sum(scores[i, label] for i, label in enumerate(labels)).backward()
    maps = (x.grad.abs() if absolute else x.grad) * images
    size = maps.flatten(1).abs().max(1).values.view(-1, 1, 1, 1)
    return torch.where(size > 0, maps / size, maps)


@wrong("1.4", "not scaled")
def gxi_raw(model, images, labels, absolute=False):
    g = gradient(model, images, labels, "logit")
    return (g.abs() if absolute else g) * images


@wrong("1.4", "largest *signed* entry")
def gxi_signed_maximum(model, images, labels, absolute=False):
    g = gradient(model, images, labels, "logit")
    maps = (g.abs() if absolute else g) * images
    return maps / maps.amax((1, 2, 3), keepdim=True)


@wrong("1.4", "whole batch")
def gxi_one_scale(model, images, labels, absolute=False):
    g = gradient(model, images, labels, "logit")
    maps = (g.abs() if absolute else g) * images
    return maps / maps.abs().max()


@wrong("1.4", "multiply it by the image")
def gxi_gradient_alone(model, images, labels, absolute=False):
    g = gradient(model, images, labels, "logit")
    return g / biggest(g)


@wrong("1.4", "the score before any softmax")
def gxi_of_the_loss(model, images, labels, absolute=False):
    maps = gradient(model, images, labels) * images
    return maps / biggest(maps)


@wrong("1.4", "sum of *all* logits")
def gxi_of_all(model, images, labels, absolute=False):
    x = images.clone().requires_grad_()
    maps = torch.autograd.grad(model(x).sum(), x)[0] * images
    return maps / biggest(maps)


@wrong("1.4", "`absolute=True` changes nothing")
def gxi_never_absolute(model, images, labels, absolute=False):
    maps = gradient(model, images, labels, "logit") * images
    return maps / biggest(maps)


@wrong("1.4", "signs are lost although")
def gxi_always_absolute(model, images, labels, absolute=False):
    maps = gradient(model, images, labels, "logit").abs() * images
    return maps / biggest(maps)


@wrong("1.4", "black image gives NaN")
def gxi_of_a_black_image(model, images, labels, absolute=False):
    g = gradient(model, images, labels, "logit")
    maps = (g.abs() if absolute else g) * images
    return maps / maps.abs().amax((1, 2, 3), keepdim=True)


@wrong("1.4", "each colour channel has a scale of its own")
def gxi_scaled_by_channel(model, images, labels, absolute=False):
    g = gradient(model, images, labels, "logit")
    maps = (g.abs() if absolute else g) * images
    return maps / maps.abs().amax((2, 3), keepdim=True).clamp_min(1e-12)


# ---- 1.5 explain ----

@right("1.5")
def explain_by_cross_entropy(model, images, labels, of):
    x = images.clone().requires_grad_()
    if of == "logit":
        value = model(x)[range(len(x)), labels].sum()
    else:
        value = F.cross_entropy(model(x), labels, reduction="sum") * (1 if of == "loss" else -1)
    return torch.autograd.grad(value, x)[0]


@wrong("1.5", "*minus* the log-probability")
def explain_loss_flipped(model, images, labels, of):
    return gradient(model, images, labels, "logit" if of == "logit" else "log_probability")


@wrong("1.5", "gradient of the probability")
def explain_probability(model, images, labels, of):
    x = images.clone().requires_grad_()
    values = model(x) if of == "logit" else model(x).softmax(1)
    g, = torch.autograd.grad(values.gather(1, labels[:, None]).sum(), x)
    return -g if of == "loss" else g


@wrong("1.5", "gradient of the log-probability")
def explain_never_the_logit(model, images, labels, of):
    return gradient(model, images, labels, "loss" if of == "loss" else "log_probability")


@wrong("1.5", "Sum over the batch")
def explain_mean(model, images, labels, of):
    return gradient(model, images, labels, of) / len(images)


@wrong("1.5", "gradient of the logit")
def explain_always_the_logit(model, images, labels, of):
    return gradient(model, images, labels, "logit")


# ---- 1.7 rank_correlation ----

def ranks(t):
    return t.flatten(1).argsort(1).argsort(1).double()


@right("1.7")
def correlation_by_scipy(a, b):
    from scipy.stats import spearmanr
    return torch.tensor([spearmanr(u.flatten(), v.flatten()).statistic for u, v in zip(a, b)])


@right("1.7")
def correlation_by_the_differences(a, b):
    d, n = ranks(a) - ranks(b), a[0].numel()
    return 1 - 6 * d.square().sum(1) / (n * (n * n - 1))


@wrong("1.7", "Pearson's correlation of the values")
def correlation_of_values(a, b):
    u, v = a.flatten(1), b.flatten(1)
    return F.cosine_similarity(u - u.mean(1, keepdim=True), v - v.mean(1, keepdim=True))


@wrong("1.7", "one `argsort`")
def correlation_of_positions(a, b):
    u, v = a.flatten(1).argsort(1).double(), b.flatten(1).argsort(1).double()
    return F.cosine_similarity(u - u.mean(1, keepdim=True), v - v.mean(1, keepdim=True))


@wrong("1.7", "subtract the mean of the ranks")
def correlation_uncentred(a, b):
    return F.cosine_similarity(ranks(a), ranks(b))


@wrong("1.7", "one number came for the whole batch")
def correlation_of_the_batch(a, b):
    return torch.corrcoef(torch.stack([a.flatten().argsort().argsort(), b.flatten().argsort().argsort()]).double())[0, 1]


# ---- 1.10 recorder ----

def gxi(model, images, labels):
    maps = gradient(model, images, labels, "logit") * images
    return maps / biggest(maps)


@right("1.10")
def recorder_with_a_lambda(images, labels):
    maps = []
    return maps, lambda model, step: maps.append(gxi(model, images, labels))


@wrong("1.10", "has training begun already")
def recorder_too_eager(images, labels):
    maps = [torch.zeros_like(images)]
    return maps, lambda model, step: maps.append(gxi(model, images, labels))


@wrong("1.10", "append one a call")
def recorder_keeps_the_last(images, labels):
    maps = []

    def look(model, step):
        maps[:] = [gxi(model, images, labels)]
    return maps, look


@wrong("1.10", "wanted `(maps, look)`")
def recorder_without_the_list(images, labels):
    maps = []
    return lambda model, step: maps.append(gxi(model, images, labels))


shared = []


@wrong("1.10", "make the list inside")
def recorder_with_one_list(images, labels):
    if len(shared) == 3:
        return shared, None
    shared.clear()
    return shared, lambda model, step: shared.append(gxi(model, images, labels))


@right("1.10")
def recorder_as_a_list(images, labels):
    return list(recorder_with_a_lambda(images, labels))


@wrong("1.10", "the other way round")
def recorder_reversed(images, labels):
    return recorder_with_a_lambda(images, labels)[::-1]


@wrong("1.10", "not scaled")
def recorder_unscaled(images, labels):
    maps = []
    return maps, lambda model, step: maps.append(gradient(model, images, labels, "logit") * images)


@wrong("1.10", "not gradient x input")
def recorder_of_gradients(images, labels):
    maps = []
    return maps, lambda model, step: maps.append(gradient(model, images, labels, "logit"))


# ---- 1.13 randomise_top ----

@right("1.13")
def randomise_from_the_top(model, k):
    model = copy.deepcopy(model)
    for layer in reversed([module for module in model.modules() if isinstance(module, torch.nn.Linear)]):
        if k > 0:
            layer.reset_parameters()
        k -= 1
    return model


@right("1.13")
def randomise_with_small_weights(model, k):
    model = copy.deepcopy(model)
    layers = [module for module in model.modules() if hasattr(module, "reset_parameters")]
    for layer in layers[len(layers) - k:]:
        torch.nn.init.normal_(layer.weight, std=0.01)
        torch.nn.init.zeros_(layer.bias)
    return model


@wrong("1.13", "starts at the bottom")
def randomise_bottom(model, k):
    model = copy.deepcopy(model)
    for layer in [module for module in model.modules() if hasattr(module, "reset_parameters")][:k]:
        layer.reset_parameters()
    return model


@wrong("1.13", "next experiment starts with a ruin")
def randomise_in_place(model, k):
    layers = [module for module in model.modules() if hasattr(module, "reset_parameters")]
    for layer in layers[len(layers) - k:]:
        layer.reset_parameters()
    return model


@wrong("1.13", "whole list")
def randomise_minus_zero(model, k):
    model = copy.deepcopy(model)
    for layer in [module for module in model.modules() if hasattr(module, "reset_parameters")][-k:]:
        layer.reset_parameters()
    return model


@wrong("1.13", "not only in the outermost")
def randomise_children(model, k):
    model = copy.deepcopy(model)
    layers = [module for module in model.children() if isinstance(module, torch.nn.Conv2d)]
    for layer in layers[len(layers) - k:]:
        layer.reset_parameters()
    return model


@wrong("1.13", "set to a constant")
def randomise_to_zero(model, k):
    model = copy.deepcopy(model)
    layers = [module for module in model.modules() if hasattr(module, "reset_parameters")]
    for layer in layers[len(layers) - k:]:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return model


@wrong("1.13", "biases are still the trained ones")
def randomise_weights_alone(model, k):
    model = copy.deepcopy(model)
    layers = [module for module in model.modules() if hasattr(module, "reset_parameters")]
    for layer in layers[len(layers) - k:]:
        torch.nn.init.kaiming_uniform_(layer.weight)
    return model
