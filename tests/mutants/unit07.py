"""Answers to unit 07."""
import copy

import numpy as np
import torch
from torch import nn

from . import right, wrong

# ---- 7.2 representation ----


@right("7.2")
def representation_by_hook(model, images):
    seen = []
    handle = model[-1].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    model(images)
    handle.remove()
    return seen[0]


@right("7.2")
def representation_layer_by_layer(model, images):
    for layer in list(model)[:-1]:
        images = layer(images)
    return images


@wrong("7.2", "what comes *out* of the last layer")
def representation_scores(model, images):
    return model(images)


@wrong("7.2", "what goes into the last ReLU")
def representation_before_relu(model, images):
    return model[:-2](images)


@wrong("7.2", "no gradient flows")
def representation_detached(model, images):
    with torch.no_grad():
        return model[:-1](images)


@wrong("7.2", "the network is not as it was")
def representation_replaces(model, images):
    model[-1] = nn.Identity()
    return model(images)


@wrong("7.2", "the network is not as it was")
def representation_leaves_a_hook(model, images):
    seen = []
    model[-1].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    model(images)
    return seen[0]


@wrong("7.2", "an earlier layer's output")
def representation_too_early(model, images):
    return model[:-3](images)


@wrong("7.2", "not the numbers that the last layer is given")
def representation_normalised(model, images):
    out = model[:-1](images)
    return out / out.norm(dim=1, keepdim=True)


@wrong("7.2", "Is there a `return`?")
def representation_nothing(model, images):
    model[:-1](images)


@right("7.2")
def representation_of_a_copy(model, images):
    model = copy.deepcopy(model)
    model[-1] = nn.Identity()
    return model(images)


@wrong("7.2", "no gradient reaches the images")
def representation_of_detached_images(model, images):
    return model[:-1](images.detach())


@wrong("7.2", "in training mode")
def representation_trains(model, images):
    model.train()
    return model[:-1](images)


@wrong("7.2", "the weights no longer ask for gradients")
def representation_freezes(model, images):
    model.requires_grad_(False)
    return model[:-1](images)


# ---- 7.3 maximise ----

def climb(features, neuron, x, steps, step_size, way=1, objective=None, scale=None, clamp="each"):
    objective = objective or (lambda seen: seen[:, neuron].sum())
    scale = scale or (lambda g: g / g.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1))
    for _ in range(steps):
        x = x.detach().clone().requires_grad_()
        x = x.detach() + way * step_size * scale(torch.autograd.grad(objective(features(x)), x)[0])
        x = x.clamp(0, 1) if clamp == "each" else x
    return x.detach().clamp(0, 1) if clamp == "last" else x.detach()


@right("7.3")
def maximise_mean(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, objective=lambda seen: seen[:, neuron].mean())


@right("7.3")
def maximise_backward(features, neuron, start, steps, step_size):
    x = start.clone()
    for _ in range(steps):
        x = x.detach().requires_grad_()
        (-features(x)[:, neuron]).sum().backward()
        x = (x - step_size * x.grad / (x.grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-12)).clamp(0, 1)
    return x.detach()


@wrong("7.3", "the activation falls")
def maximise_down(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, way=-1)


@wrong("7.3", "the images you started from")
def maximise_nothing(features, neuron, start, steps, step_size):
    climb(features, neuron, start, steps, step_size)
    return start.clone()


@wrong("7.3", "two steps: one too many")
def maximise_one_more(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps + 1, step_size)


@wrong("7.3", "the whole batch shares one length")
def maximise_shared(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, scale=lambda g: g / g.norm())


@wrong("7.3", "as long as the gradient says")
def maximise_raw(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, scale=lambda g: g)


@wrong("7.3", "the sign of the gradient")
def maximise_sign(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, scale=torch.sign)


@wrong("7.3", "all neurons are made large together")
def maximise_all(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, objective=lambda seen: seen.sum())


@wrong("7.3", "one column and not one row")
def maximise_a_row(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, objective=lambda seen: seen[neuron].sum())


@wrong("7.3", "clamp after each step.")
def maximise_unclamped(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, clamp="never")


@wrong("7.3", "not only after the last")
def maximise_clamped_last(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, clamp="last")


@wrong("7.3", "the result is NaN")
def maximise_nan(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, scale=lambda g: g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1))


@wrong("7.3", "changes the images it was given")
def maximise_in_place(features, neuron, start, steps, step_size):
    start.copy_(climb(features, neuron, start, steps, step_size))
    return start


@wrong("7.3", "hangs on the graph")
def maximise_on_the_graph(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size).requires_grad_()


@wrong("7.3", "one step is right, four are not")
def maximise_from_the_start(features, neuron, start, steps, step_size):
    for _ in range(steps):
        x = climb(features, neuron, start, 1, step_size)
    return x


@right("7.3")
def maximise_one_by_one(features, neuron, start, steps, step_size):
    return torch.cat([climb(features, neuron, one[None], steps, step_size) for one in start])


@right("7.3")
def maximise_normalized(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, scale=lambda g: nn.functional.normalize(g.flatten(1), dim=1).view_as(g))


@wrong("7.3", "the gradients of all steps pile up")
def maximise_piled_up(features, neuron, start, steps, step_size):
    x = start.clone().requires_grad_()
    for _ in range(steps):
        features(x)[:, neuron].sum().backward()
        with torch.no_grad():
            x.copy_((x + step_size * x.grad / x.grad.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)).clamp(0, 1))
    return x.detach()


@wrong("7.3", "the gradient is that of the start in every step")
def maximise_first_gradient(features, neuron, start, steps, step_size):
    way = climb(features, neuron, start, 1, 1e-3) - start
    way = way / way.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)
    x = start.clone()
    for _ in range(steps):
        x = (x + step_size * way).clamp(0, 1)
    return x


@wrong("7.3", "one step too few")
def maximise_one_less(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps - 1, step_size)


@wrong("7.3", "each pixel's gradient is divided by its own length")
def maximise_by_pixel(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, scale=lambda g: g / g.norm(dim=1, keepdim=True).clamp_min(1e-12))


@wrong("7.3", "the direction is right, but an image moves by")
def maximise_largest_pixel(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, scale=lambda g: g / g.flatten(1).abs().amax(1).view(-1, 1, 1, 1))


@wrong("7.3", "the direction is right, but an image moves by")
def maximise_squared_length(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, scale=lambda g: g / g.flatten(1).square().sum(1).view(-1, 1, 1, 1))


@wrong("7.3", "neuron 0's")
def maximise_the_first(features, neuron, start, steps, step_size):
    return climb(features, 0, start, steps, step_size)


@wrong("7.3", "neuron 2's")
def maximise_the_next(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, objective=lambda seen: seen[:, (neuron + 1) % seen.shape[1]].sum())


@wrong("7.3", "its length over the batch")
def maximise_over_the_batch(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, scale=lambda g: g / g.norm(dim=0).clamp_min(1e-12))


@wrong("7.3", "each channel's gradient is divided by its own length")
def maximise_by_channel(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, scale=lambda g: g / g.norm(dim=(2, 3), keepdim=True).clamp_min(1e-12))


@wrong("7.3", "stand after the loop")
def maximise_returns_in_the_loop(features, neuron, start, steps, step_size):
    for _ in range(steps):
        return climb(features, neuron, start, 1, step_size)


@wrong("7.3", "must be tiny")
def maximise_coarse_guard(features, neuron, start, steps, step_size):
    return climb(features, neuron, start, steps, step_size, scale=lambda g: g / g.flatten(1).norm(dim=1).clamp_min(0.1).view(-1, 1, 1, 1))


@right("7.3")
def maximise_by_sgd(features, neuron, start, steps, step_size):
    x = start.clone().requires_grad_()
    sgd = torch.optim.SGD([x], lr=step_size)
    for _ in range(steps):
        sgd.zero_grad()
        (-features(x)[:, neuron].sum()).backward()
        x.grad /= x.grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-8
        sgd.step()
        x.data.clamp_(0, 1)
    return x.detach()


# ---- 7.5 open_relu ----

class Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.relu()

    @staticmethod
    def backward(ctx, slope):
        return slope


@right("7.5")
def open_relu_function(x):
    return Through.apply(x)


@right("7.5")
def open_relu_other_way(x):
    return x - x.clamp(max=0).detach()


@wrong("7.5", "this is the ordinary ReLU")
def open_relu_plain(x):
    return x.relu()


@wrong("7.5", "negative values come out as they are")
def open_relu_identity(x):
    return x + 0


@wrong("7.5", "no gradient flows at all")
def open_relu_detached(x):
    return x.relu().detach()


@wrong("7.5", "this is the ordinary ReLU")
def open_relu_wrong_part(x):
    return x.relu() + (x - x).detach()


@wrong("7.5", "somewhere the gradient is 2")
def open_relu_both(x):
    return x + x.relu() - x.detach()


@wrong("7.5", "the wrong way")
def open_relu_turned(x):
    return (x + x.relu()).detach() - x


@wrong("7.5", "negative values come out positive")
def open_relu_abs(x):
    return x.abs()


@wrong("7.5", "should be 1 everywhere, but is")
def open_relu_leaky(x):
    soft = nn.functional.leaky_relu(x, 0.1)
    return soft + (x.relu() - soft).detach()


@wrong("7.5", "no `relu_()`")
def open_relu_in_place(x):
    with torch.no_grad():
        x.relu_()
    return x + 0


@right("7.5")
def open_relu_where(x):
    return torch.where(x > 0, x, x - x.detach())


@wrong("7.5", "no gradient flows back to x")
def open_relu_a_new_leaf(x):
    return x.detach().relu().requires_grad_()


# ---- 7.6 top_images ----

@right("7.6")
def top_images_sorted(features, neuron, images, k):
    column = []
    for part in images.split(100):
        column += features(part)[:, neuron].tolist()
    return torch.tensor(column).argsort(descending=True)[:k]


@right("7.6")
def top_images_as_a_list(features, neuron, images, k):
    column = torch.cat([features(part)[:, neuron] for part in images.split(500)])
    return column.sort(descending=True).indices[:k].tolist()


@wrong("7.6", "wanted are the *places*")
def top_images_values(features, neuron, images, k):
    return torch.cat([features(part)[:, neuron] for part in images.split(500)]).topk(k).values


@wrong("7.6", "excite it least")
def top_images_lowest(features, neuron, images, k):
    return torch.cat([features(part)[:, neuron] for part in images.split(500)]).argsort()[:k]


@wrong("7.6", "the largest comes first")
def top_images_backwards(features, neuron, images, k):
    return torch.cat([features(part)[:, neuron] for part in images.split(500)]).argsort()[-k:]


@wrong("7.6", "at most 500")
def top_images_at_once(features, neuron, images, k):
    return features(images)[:, neuron].topk(k).indices


@wrong("7.6", "no `.abs()`")
def top_images_abs(features, neuron, images, k):
    return torch.cat([features(part)[:, neuron] for part in images.split(500)]).abs().topk(k).indices


@wrong("7.6", "a place within a piece")
def top_images_of_a_piece(features, neuron, images, k):
    found = [features(part)[:, neuron].topk(k) for part in images.split(500)]
    values, places = (torch.cat([getattr(one, what) for one in found]) for what in ("values", "indices"))
    return places[values.topk(k).indices]


@wrong("7.6", "other neurons have a say")
def top_images_any_neuron(features, neuron, images, k):
    return torch.cat([features(part).amax(1) for part in images.split(500)]).topk(k).indices


@wrong("7.6", "wanted the images 700, 30 and 1202")
def top_images_next_neuron(features, neuron, images, k):
    return torch.cat([features(part)[:, neuron - 1] for part in images.split(500)]).topk(k).indices


@right("7.6")
def top_images_in_numpy(features, neuron, images, k):
    return (-torch.cat([features(part)[:, neuron] for part in images.split(500)])).numpy().argsort()[:k]


@wrong("7.6", "k is given")
def top_images_always_three(features, neuron, images, k):
    return torch.cat([features(part)[:, neuron] for part in images.split(500)]).topk(3).indices


@wrong("7.6", "one row and not one column")
def top_images_a_row(features, neuron, images, k):
    return torch.cat([features(part)[neuron] for part in images.split(500)]).topk(k).indices


@wrong("7.6", "the last piece only")
def top_images_last_piece(features, neuron, images, k):
    for part in images.split(500):
        column = features(part)[:, neuron]
    return column.topk(k).indices


@wrong("7.6", "the images themselves")
def top_images_the_images(features, neuron, images, k):
    return images[torch.cat([features(part)[:, neuron] for part in images.split(500)]).topk(k).indices]


@wrong("7.6", "the places alone, `.indices`")
def top_images_both(features, neuron, images, k):
    return torch.cat([features(part)[:, neuron] for part in images.split(500)]).topk(k)


@wrong("7.6", "the best of the first piece")
def top_images_first_piece(features, neuron, images, k):
    return torch.cat([500 * i + features(part)[:, neuron].topk(k).indices for i, part in enumerate(images.split(500))])[:k]


@wrong("7.6", "the last is shorter")
def top_images_without_the_rest(features, neuron, images, k):
    return torch.cat([features(images[i:i + 500])[:, neuron] for i in range(0, len(images) // 500 * 500, 500)]).topk(k).indices


@right("7.6")
def top_images_as_a_list_of_tensors(features, neuron, images, k):
    return list(torch.cat([features(part)[:, neuron] for part in images.split(500)]).topk(k).indices)


@right("7.6")
def top_images_kept_on_the_way(features, neuron, images, k):
    values, places = torch.empty(0), torch.empty(0, dtype=torch.int64)
    for i, part in enumerate(images.split(500)):
        values = torch.cat([values, features(part)[:, neuron]])
        places = torch.cat([places, 500 * i + torch.arange(len(part))])
        best = values.topk(min(k, len(values)))
        values, places = best.values, places[best.indices]
    return places


# ---- 7.8 waves ----

def drawn(spectrum, size, length=None, norm="ortho", squash=torch.sigmoid):
    height, width = size
    fy, fx = torch.fft.fftfreq(height, 1 / height)[:, None], torch.fft.rfftfreq(width, 1 / width)
    slow = (fy ** 2 + fx ** 2).sqrt().clamp_min(1) if length is None else length(fy, fx, height, width)
    return squash(torch.fft.irfft2(spectrum / slow, s=size, norm=norm))


@right("7.8")
def waves_hypot(spectrum, size):
    return drawn(spectrum, size, lambda fy, fx, h, w: torch.hypot(fy.expand(h, len(fx)), fx.expand(h, len(fx))).clamp(min=1))


@right("7.8")
def waves_by_hand(spectrum, size):
    height, width = size
    rows = [min(i, height - i) for i in range(height)]
    table = torch.tensor([[max(1.0, (i * i + j * j) ** 0.5) for j in range(width // 2 + 1)] for i in rows])
    return 1 / (1 + (-torch.fft.irfft2(spectrum / table, s=(height, width), norm="ortho")).exp())


@wrong("7.8", "not divided by their frequency")
def waves_not_divided(spectrum, size):
    return drawn(spectrum, size, lambda *_: 1.0)


@wrong("7.8", "not divided by their frequency")
def waves_shares(spectrum, size):
    return drawn(spectrum, size, lambda fy, fx, h, w: ((fy / h) ** 2 + (fx / w) ** 2).sqrt().clamp_min(1))


@wrong("7.8", "*divide* by the frequency")
def waves_multiplied(spectrum, size):
    return drawn(spectrum, size, lambda fy, fx, h, w: 1 / (fy ** 2 + fx ** 2).sqrt().clamp_min(1))


@wrong("7.8", "take the root")
def waves_squared(spectrum, size):
    return drawn(spectrum, size, lambda fy, fx, h, w: (fy ** 2 + fx ** 2).clamp_min(1))


@wrong("7.8", "`.sigmoid()` at the end")
def waves_bare(spectrum, size):
    return drawn(spectrum, size, squash=lambda x: x)


@wrong("7.8", "clamping cuts that off")
def waves_clamped_black(spectrum, size):
    return drawn(spectrum, size, squash=lambda x: x.clamp(0, 1))


@wrong("7.8", "whose gradient never vanishes")
def waves_clamped_grey(spectrum, size):
    return drawn(spectrum, size, squash=lambda x: (0.5 + x).clamp(0, 1))


@wrong("7.8", "tell `irfft2` the size")
def waves_without_size(spectrum, size):
    height, width = size
    slow = (torch.fft.fftfreq(height, 1 / height)[:, None] ** 2 + torch.fft.rfftfreq(width, 1 / width) ** 2).sqrt().clamp_min(1)
    return torch.fft.irfft2(spectrum / slow, norm="ortho").sigmoid()


@wrong("7.8", 'norm="ortho"')
def waves_without_norm(spectrum, size):
    return drawn(spectrum, size, norm="backward")


@wrong("7.8", "the mean brightness")
def waves_mean_lost(spectrum, size):
    return drawn(spectrum, size, lambda fy, fx, h, w: torch.where((fy == 0) & (fx == 0), torch.inf, (fy ** 2 + fx ** 2).sqrt()))


@wrong("7.8", "NaN")
def waves_divided_by_zero(spectrum, size):
    return drawn(spectrum, size, lambda fy, fx, h, w: (fy ** 2 + fx ** 2).sqrt())


@wrong("7.8", "is the length of (f_y, f_x)")
def waves_diamond(spectrum, size):
    return drawn(spectrum, size, lambda fy, fx, h, w: (fy.abs() + fx.abs()).clamp_min(1))


@wrong("7.8", "negative frequencies")
def waves_positive_rows(spectrum, size):
    return drawn(spectrum, size, lambda fy, fx, h, w: (torch.arange(h)[:, None] ** 2 + fx ** 2).sqrt().clamp_min(1))


@wrong("7.8", "1 is added to the frequency")
def waves_one_more(spectrum, size):
    return drawn(spectrum, size, lambda fy, fx, h, w: (fy ** 2 + fx ** 2).sqrt() + 1)


@wrong("7.8", "the root is taken twice")
def waves_two_roots(spectrum, size):
    return drawn(spectrum, size, lambda fy, fx, h, w: (fy ** 2 + fx ** 2).sqrt().clamp_min(1).sqrt())


@wrong("7.8", "the columns' frequencies")
def waves_rows_only(spectrum, size):
    return drawn(spectrum, size, lambda fy, fx, h, w: fy.abs().clamp_min(1))


@wrong("7.8", "0.5 plus the wave")
def waves_half_more(spectrum, size):
    return drawn(spectrum, size, squash=lambda x: 0.5 + x)


@wrong("7.8", "a wave has a phase")
def waves_real_part(spectrum, size):
    return drawn(spectrum.real, size)


@wrong("7.8", "a wave has a phase")
def waves_lengths(spectrum, size):
    return drawn(spectrum.abs(), size)


@wrong("7.8", "no gradient flows back to the spectrum")
def waves_without_gradient(spectrum, size):
    with torch.no_grad():
        return drawn(spectrum, size)


@wrong("7.8", "no gradient flows back to the spectrum")
def waves_detached(spectrum, size):
    return drawn(spectrum.detach(), size)


# ---- 7.13 auc ----

@right("7.13")
def auc_by_ranks(values, positive):
    _, inverse, counts = values.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0).double() - (counts - 1) / 2)[inverse]
    n, m = positive.sum(), (~positive).sum()
    return (ranks[positive].sum() - n * (n + 1) / 2) / (n * m)


@right("7.13")
def auc_by_loops(values, positive):
    pairs = [(a, b) for a in values[positive].tolist() for b in values[~positive].tolist()]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


@wrong("7.13", "a tie counts as lost")
def auc_without_ties(values, positive):
    return (values[positive][:, None] > values[~positive]).float().mean()


@wrong("7.13", "a tie counts as won")
def auc_ties_won(values, positive):
    return (values[positive][:, None] >= values[~positive]).float().mean()


@wrong("7.13", "the *other* picture has the larger value")
def auc_turned(values, positive):
    return auc_by_loops(values, ~positive)


@wrong("7.13", "a number of pairs")
def auc_counted(values, positive):
    return auc_by_loops(values, positive) * positive.sum() * (~positive).sum()


@wrong("7.13", "a difference of means")
def auc_means(values, positive):
    return values[positive].mean() - values[~positive].mean()


@wrong("7.13", "only pairs of a positive and a negative count")
def auc_all_pairs(values, positive):
    return auc_counted(values, positive) / len(values) ** 2


@wrong("7.13", "wanted one number")
def auc_table(values, positive):
    return (values[positive][:, None] > values[~positive]).float()


@wrong("7.13", "of 6 pairs 4 are won")
def auc_accuracy(values, positive):
    return ((values > values.mean()) == positive).float().mean()


@right("7.13")
def auc_by_signs(values, positive):
    return ((values[positive][:, None] - values[~positive]).sign().mean() + 1) / 2


@right("7.13")
def auc_in_numpy(values, positive):
    values, positive = values.numpy(), positive.numpy()
    lead = values[positive][:, None] - values[~positive]
    return np.float32((lead > 0).mean() + (lead == 0).mean() / 2)


@wrong("7.13", "from -1 to 1")
def auc_from_minus_one(values, positive):
    return (values[positive][:, None] - values[~positive]).sign().mean()


@wrong("7.13", "broken by the order")
def auc_ties_by_order(values, positive):
    ranks = values.argsort(stable=True).argsort() + 1.0
    n, m = positive.sum(), (~positive).sum()
    return (ranks[positive].sum() - n * (n + 1) / 2) / (n * m)


@wrong("7.13", "count all pairs")
def auc_against_the_mean(values, positive):
    return (values[positive] > values[~positive].mean()).float().mean()


@wrong("7.13", "count all pairs")
def auc_side_by_side(values, positive):
    n = min(positive.sum(), (~positive).sum())
    return (values[positive][:n] > values[~positive][:n]).float().mean()


@wrong("7.13", "always wrong 0")
def auc_folded(values, positive):
    area = auc_by_loops(values, positive)
    return max(area, 1 - area)


@wrong("7.13", "how often it fires for the class")
def auc_fires(values, positive):
    return (values[positive] > 0).float().mean()


@wrong("7.13", "itself too")
def auc_against_all(values, positive):
    lead = values[positive][:, None] - values
    return ((lead > 0).float() + (lead == 0).float() / 2).mean()


@wrong("7.13", "the ties are left out")
def auc_ties_left_out(values, positive):
    lead = values[positive][:, None] - values[~positive]
    return (lead > 0).sum() / (lead != 0).sum()


@wrong("7.13", "in percent")
def auc_in_percent(values, positive):
    return 100 * auc_by_loops(values, positive)


@wrong("7.13", "only one positive")
def auc_of_the_median(values, positive):
    return (values[positive].median() > values[~positive]).float().mean()


@wrong("7.13", "a number of pairs")
def auc_counted_without_ties(values, positive):
    return (values[positive][:, None] > values[~positive]).sum().item()


@wrong("7.13", "broken by the order")
def auc_under_a_curve_of_single_pictures(values, positive):
    found = positive[values.argsort(descending=True)].float()
    return torch.trapezoid(found.cumsum(0) / found.sum(), (1 - found).cumsum(0) / (1 - found).sum())


@right("7.13")
def auc_under_the_curve(values, positive):
    heights = [-torch.inf, *values.unique().tolist()]
    caught, wrong_alarms = (torch.tensor([(some > height).double().mean() for height in heights[::-1]]) for some in (values[positive], values[~positive]))
    return torch.trapezoid(caught, wrong_alarms)


@right("7.13")
def auc_by_searching(values, positive):
    others = values[~positive].sort().values
    return (torch.searchsorted(others, values[positive]) + torch.searchsorted(others, values[positive], right=True)).double().mean() / 2 / len(others)
