"""Answers to unit 08."""
import math

import torch
import torch.nn.functional as F

from helpers import attacks, lime

from . import right, wrong


# ---- 8.1 iterated ----

def descend(model, images, targets, eps, step_size, steps, *, way=-1, sign=True, box=True, ball=True, centre=None):
    x = images.clone()
    for _ in range(steps):
        x = x.detach().requires_grad_()
        g = torch.autograd.grad(F.cross_entropy(model(x), targets, reduction="sum"), x)[0]
        moved = x.detach() + way * step_size * (g.sign() if sign else g)
        if ball:
            around = images if centre is None else x.detach()
            moved = around + (moved - around).clamp(-eps, eps)
        x = moved.clamp(0, 1) if box else moved
    return x.detach()


@right("8.1")
def iterated_with_the_library(model, images, targets, eps, step_size, steps):
    return attacks.pgd(model, images, targets, eps=eps, norm="linf", steps=steps, step_size=step_size, targeted=True, keep="last")


@right("8.1")
def iterated_with_min_and_max(model, images, targets, eps, step_size, steps):
    x = images.clone()
    for _ in range(steps):
        x = x.detach().requires_grad_()
        model(x).log_softmax(1).gather(1, targets[:, None]).sum().backward()
        x = torch.minimum(torch.maximum(x.detach() + step_size * x.grad.sign(), images - eps), images + eps).clamp(0, 1)
    return x.detach()


@wrong("8.1", "the article's code leaves out")
def iterated_without_a_box(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, step_size, steps, ball=False)


@wrong("8.1", "around the *original* images")
def iterated_around_the_last(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, step_size, steps, centre="last")


@wrong("8.1", "*away* from their target")
def iterated_away(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, step_size, steps, way=1)


@wrong("8.1", "leaves [0, 1]")
def iterated_out_of_range(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, step_size, steps, box=False)


@wrong("8.1", "take the sign")
def iterated_without_the_sign(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, step_size, steps, sign=False)


@wrong("8.1", "one step moves by eps")
def iterated_by_eps(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, eps, steps)


@wrong("8.1", "one too many")
def iterated_once_more(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, step_size, steps + 1)


@wrong("8.1", "is the result of each step kept")
def iterated_that_forgets(model, images, targets, eps, step_size, steps):
    descend(model, images, targets, eps, step_size, steps)
    return images.clone()


@wrong("8.1", "from the result of the one before")
def iterated_from_the_start(model, images, targets, eps, step_size, steps):
    for _ in range(steps):
        x = descend(model, images, targets, eps, step_size, 1)
    return x


@wrong("8.1", "the gradient is taken once")
def iterated_with_one_gradient(model, images, targets, eps, step_size, steps):
    x = images.clone().requires_grad_()
    g = torch.autograd.grad(F.cross_entropy(model(x), targets, reduction="sum"), x)[0].sign()
    x = images
    for _ in range(steps):
        x = (images + (x - step_size * g - images).clamp(-eps, eps)).clamp(0, 1)
    return x


@wrong("8.1", "only at the end")
def iterated_projected_at_the_end(model, images, targets, eps, step_size, steps):
    x = descend(model, images, targets, eps, step_size, steps, ball=False)
    return (images + (x - images).clamp(-eps, eps)).clamp(0, 1)


@wrong("8.1", "leaves [0, 1] on the way")
def iterated_in_range_only_at_the_end(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, step_size, steps, box=False).clamp(0, 1)


@wrong("8.1", "leaves [0, 1]")
def iterated_clamped_at_1_only(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, step_size, steps, box=False).clamp(max=1)


@wrong("8.1", "stops once the target is reached")
def iterated_that_stops_at_once(model, images, targets, eps, step_size, steps):
    x = images.clone()
    for _ in range(steps):
        if (model(x).argmax(1) == targets).all():
            break
        x = descend(model, x, targets, eps, step_size, 1)
    return x


@wrong("8.1", "stops once the target is reached")
def iterated_that_leaves_each_at_once(model, images, targets, eps, step_size, steps):
    return attacks.pgd(model, images, targets, eps=eps, norm="linf", steps=steps, step_size=step_size, targeted=True, keep="first")


@wrong("8.1", "in train mode")
def iterated_in_train_mode(model, images, targets, eps, step_size, steps):
    model.train()
    return descend(model, images, targets, eps, step_size, steps)


@wrong("8.1", "are there as many steps")
def iterated_once_less(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, step_size, steps - 1)


@wrong("8.1", "not the same twice")
def iterated_from_a_random_start(model, images, targets, eps, step_size, steps):
    return descend(model, images + eps * (2 * torch.rand_like(images) - 1), targets, eps, step_size, steps, ball=False)


@wrong("8.1", "add the change to `images`")
def iterated_change_alone(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, step_size, steps) - images


@wrong("8.1", "add the change to `images`")
def iterated_into_a_box_around_nothing(model, images, targets, eps, step_size, steps):
    x = images.clone()
    for _ in range(steps):
        x = descend(model, x, targets, eps, step_size, 1, ball=False).clamp(-eps, eps)
    return x


@wrong("8.1", "or by eps / steps")
def iterated_by_a_share_of_eps(model, images, targets, eps, step_size, steps):
    return descend(model, images, targets, eps, eps / steps, steps)


@wrong("8.1", "the cross-entropy of `targets`")
def iterated_by_the_logit(model, images, targets, eps, step_size, steps):
    x = images.clone()
    for _ in range(steps):
        x = x.detach().requires_grad_()
        g = torch.autograd.grad(model(x).gather(1, targets[:, None]).sum(), x)[0]
        x = (images + (x.detach() + step_size * g.sign() - images).clamp(-eps, eps)).clamp(0, 1)
    return x


# ---- 8.3 shapley ----

def weighed(value, players, weight, way=1):
    """The sum over all coalitions without i of weight(their size) times what i adds."""
    on = lime.coalitions(players)
    values, out = value(on), []
    for i in range(players):
        without = [r for r in range(2**players) if not on[r, i]]
        out.append(sum(weight(int(on[r].sum())) * way * (values[r + 2**i] - values[r]) for r in without))
    return torch.stack(out)


def fair(players):
    return lambda n: math.factorial(n) * math.factorial(players - n - 1) / math.factorial(players)


@right("8.3")
def shapley_by_binomials(value, players):
    return weighed(value, players, lambda n: 1 / (players * math.comb(players - 1, n)))


@right("8.3")
def shapley_over_orders(value, players):
    import itertools
    out, orders = torch.zeros(players), list(itertools.permutations(range(players)))
    for order in orders:
        there = torch.zeros(1, players, dtype=torch.bool)
        before = value(there)[0]
        for i in order:
            there = there.clone()
            there[0, i] = True
            after = value(there)[0]
            out[i] += (after - before) / len(orders)
            before = after
    return out


@right("8.3")
def shapley_of_the_library(value, players):
    return lime.shapley_values(value(lime.coalitions(players)))


@wrong("8.3", "leaves the whole image")
def shapley_leave_one_out(value, players):
    return weighed(value, players, lambda n: float(n == players - 1))


@wrong("8.3", "earns alone")
def shapley_alone(value, players):
    return weighed(value, players, lambda n: float(n == 0))


@wrong("8.3", "Banzhaf")
def shapley_banzhaf(value, players):
    return weighed(value, players, lambda n: 1 / 2 ** (players - 1))


@wrong("8.3", "every coalition counts fully")
def shapley_unweighted(value, players):
    return weighed(value, players, lambda n: 1.0)


@wrong("8.3", "divide by K!")
def shapley_not_normalised(value, players):
    return weighed(value, players, lambda n: float(math.factorial(n) * math.factorial(players - n - 1)))


@wrong("8.3", "one off")
def shapley_counted_with_the_piece(value, players):
    return weighed(value, players, lambda n: math.factorial(n + 1) * math.factorial(players - n - 1) / math.factorial(players))


@wrong("8.3", "wrong sign")
def shapley_turned(value, players):
    return weighed(value, players, fair(players), way=-1)


@wrong("8.3", "not the mean over all orders")
def shapley_of_the_values(value, players):
    on = lime.coalitions(players)
    values = value(on)
    return torch.stack([values[on[:, i]].mean() for i in range(players)])


@wrong("8.3", "should be a tensor")
def shapley_as_a_list(value, players):
    return weighed(value, players, fair(players)).tolist()


@right("8.3")
def shapley_in_double(value, players):
    return lime.shapley_values(value(lime.coalitions(players)).double())


@wrong("8.3", "(K - |S| - 1)!")
def shapley_without_the_minus_one(value, players):
    return weighed(value, players, lambda n: math.factorial(n) * math.factorial(players - n) / math.factorial(players))


@wrong("8.3", "the other way round")
def shapley_in_the_other_order(value, players):
    return lime.shapley_values(value(lime.coalitions(players))).flip(0)


@wrong("8.3", "piece 3 is missing")
def shapley_of_all_but_the_last(value, players):
    return torch.cat([lime.shapley_values(value(lime.coalitions(players)))[:-1], torch.zeros(1)])


@wrong("8.3", "no mean")
def shapley_weighed_and_averaged(value, players):
    return weighed(value, players, fair(players)) / 2 ** (players - 1)


@wrong("8.3", "without a sign")
def shapley_absolute(value, players):
    on = lime.coalitions(players)
    values = value(on)
    return torch.stack([sum(fair(players)(int(on[r].sum())) * (values[r + 2**i] - values[r]).abs() for r in range(2**players) if not on[r, i]) for i in range(players)])


@wrong("8.3", "no scaling")
def shapley_as_shares_of_one(value, players):
    shares = lime.shapley_values(value(lime.coalitions(players)))
    return shares / shares.sum()


@wrong("8.3", "the empty coalition")
def shapley_without_the_empty_one(value, players):
    return weighed(value, players, lambda n: fair(players)(n) if n else 0.0)


@wrong("8.3", "whole-number division")
def shapley_of_whole_numbers(value, players):
    return weighed(value, players, lambda n: math.factorial(n) * math.factorial(players - n - 1) // math.factorial(players))


@wrong("8.3", "an estimate")
def shapley_of_some_orders(value, players):
    out, generator = torch.zeros(players), torch.Generator().manual_seed(0)
    for _ in range(200):
        there = torch.zeros(1, players, dtype=torch.bool)
        before = value(there)[0]
        for i in torch.randperm(players, generator=generator):
            there[0, i] = True
            after = value(there)[0]
            out[i] += (after - before) / 200
            before = after
    return out


@wrong("8.3", "this game has 4 players")
def shapley_of_nine(value, players):
    return lime.shapley_values(value(lime.coalitions(9)))


# ---- 8.4 fit ----

def columns(on, dtype):
    return torch.cat([torch.ones(len(on), 1, dtype=dtype), on.to(dtype)], 1)


def normal(rows, values, weights):
    return torch.linalg.solve(rows.T @ (weights[:, None] * rows), rows.T @ (weights * values))


@right("8.4")
def fit_by_normal_equations(on, values, weights):
    return normal(columns(on, values.dtype), values, weights.to(values.dtype))[1:]


@right("8.4")
def fit_with_sklearn(on, values, weights):
    from sklearn.linear_model import LinearRegression
    found = LinearRegression().fit(on.numpy(), values.numpy(), sample_weight=weights.numpy())
    return torch.as_tensor(found.coef_, dtype=values.dtype)


@right("8.4")
def fit_centred(on, values, weights):
    share = (weights / weights.sum()).to(values.dtype)[:, None]
    x = on.to(values.dtype)
    x, y = x - (share * x).sum(0), values - (share[:, 0] * values).sum()
    return torch.linalg.lstsq(share.sqrt() * x, (share.sqrt()[:, 0] * y)[:, None]).solution[:, 0]


@wrong("8.4", "the weights are not used")
def fit_unweighted(on, values, weights):
    return normal(columns(on, values.dtype), values, torch.ones_like(values))[1:]


@wrong("8.4", "count twice")
def fit_weighted_twice(on, values, weights):
    rows = columns(on, values.dtype)
    return torch.linalg.lstsq(weights[:, None] * rows, (weights * values)[:, None]).solution[1:, 0]


@wrong("8.4", "the intercept is missing")
def fit_without_intercept(on, values, weights):
    return normal(on.to(values.dtype), values, weights)


@wrong("8.4", "leave out the intercept")
def fit_with_the_intercept(on, values, weights):
    return normal(columns(on, values.dtype), values, weights)


@wrong("8.4", "only one side is weighted")
def fit_with_weighted_values(on, values, weights):
    return torch.linalg.lstsq(columns(on, values.dtype), (weights.sqrt() * values)[:, None]).solution[1:, 0]


@wrong("8.4", "no ridge penalty")
def fit_with_ridge(on, values, weights):
    from sklearn.linear_model import Ridge
    return torch.as_tensor(Ridge(alpha=3.0).fit(on.numpy(), values.numpy(), sample_weight=weights.numpy()).coef_, dtype=values.dtype)


@wrong("8.4", "the intercept's column")
def fit_with_a_plain_intercept(on, values, weights):
    root = weights.sqrt()[:, None]
    rows = torch.cat([torch.ones(len(on), 1, dtype=values.dtype), root * on.to(values.dtype)], 1)
    return torch.linalg.lstsq(rows, root * values[:, None]).solution[1:, 0]


@wrong("8.4", "a column came")
def fit_as_a_column(on, values, weights):
    return normal(columns(on, values.dtype), values, weights)[1:, None]


@wrong("8.4", "the first of the K + 1")
def fit_with_the_last_cut_off(on, values, weights):
    return normal(columns(on, values.dtype), values, weights)[:-1]


@wrong("8.4", "the first of the K + 1")
def fit_with_the_intercept_for_a_piece(on, values, weights):
    found = normal(columns(on, values.dtype), values, weights)
    return torch.cat([found[2:], found[:1]])


@wrong("8.4", "the sign is turned")
def fit_turned(on, values, weights):
    return -normal(columns(on, values.dtype), values, weights)[1:]


@wrong("8.4", "no scaling")
def fit_scaled(on, values, weights):
    found = normal(columns(on, values.dtype), values, weights)[1:]
    return found / found.abs().max()


@wrong("8.4", "half of what they should be")
def fit_of_plus_and_minus_one(on, values, weights):
    return normal(columns(2 * on.to(values.dtype) - 1, values.dtype), values, weights)[1:]


@wrong("8.4", "divided by the weights")
def fit_with_inverse_weights(on, values, weights):
    return normal(columns(on, values.dtype), values, 1 / weights)[1:]


@wrong("8.4", "a row and a column")
def fit_broadcast(on, values, weights):
    root = weights.sqrt()
    return torch.linalg.lstsq(root[:, None] * columns(on, values.dtype), root * values[:, None]).solution[1:, 0]


@wrong("8.4", "least weighted square error")
def fit_by_correlation(on, values, weights):
    return torch.stack([torch.corrcoef(torch.stack([column.to(values.dtype), values]))[0, 1] for column in on.T])


@wrong("8.4", "no ridge penalty")
def fit_with_ridge_by_hand(on, values, weights):
    rows = columns(on, values.dtype)
    return torch.linalg.solve(rows.T @ (weights[:, None] * rows) + torch.eye(rows.shape[1], dtype=values.dtype), rows.T @ (weights * values))[1:]


@wrong("8.4", "changes the tensors")
def fit_that_changes_the_weights(on, values, weights):
    root = weights.sqrt_()[:, None]
    return torch.linalg.lstsq(root * columns(on, values.dtype), root * values[:, None]).solution[1:, 0]


# ---- 8.6 expected ----

def draws(model, images, labels, baselines, shares, at=None, of=None):
    """Gradients and differences of every draw: S x N x C x H x W each."""
    gradients = []
    for base, share in zip(baselines, shares):
        points = (images * 1.0 if at == "image" else base + share * (images - base)).detach().requires_grad_()
        z = model(points)
        value = of(z) if of else z.gather(1, labels[:, None])
        gradients.append(torch.autograd.grad(value.sum(), points)[0])
    return torch.stack(gradients), images[None] - baselines[:, None]


@right("8.6")
def expected_all_at_once(model, images, labels, baselines, shares):
    n, s = len(images), len(shares)
    points = (baselines + shares.view(1, s, 1, 1, 1) * (images[:, None] - baselines)).flatten(0, 1).requires_grad_()
    g = torch.autograd.grad(model(points).gather(1, labels.repeat_interleave(s)[:, None]).sum(), points)[0]
    return (g.view(n, s, *images.shape[1:]) * (images[:, None] - baselines)).mean(1)


@right("8.6")
def expected_image_by_image(model, images, labels, baselines, shares):
    out = []
    for image, label in zip(images, labels):
        points = (baselines + shares.view(-1, 1, 1, 1) * (image - baselines)).requires_grad_()
        out.append((torch.autograd.grad(model(points)[:, label].sum(), points)[0] * (image - baselines)).mean(0))
    return torch.stack(out)


@wrong("8.6", "the sum over the draws")
def expected_summed(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return (g * gap).sum(0)


@wrong("8.6", "how far the image is from its baseline")
def expected_gradient_alone(model, images, labels, baselines, shares):
    return draws(model, images, labels, baselines, shares)[0].mean(0)


@wrong("8.6", "multiplied by the image")
def expected_times_image(model, images, labels, baselines, shares):
    return draws(model, images, labels, baselines, shares)[0].mean(0) * images


@wrong("8.6", "image minus baseline")
def expected_turned(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return -(g * gap).mean(0)


@wrong("8.6", "Multiply before you average")
def expected_of_means(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return g.mean(0) * gap.mean(0)


@wrong("8.6", "at the image itself")
def expected_at_the_image(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares, at="image")
    return (g * gap).mean(0)


@wrong("8.6", "walked the other way")
def expected_backwards(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, 1 - shares)
    return (g * gap).mean(0)


@wrong("8.6", "of the probability")
def expected_of_the_probability(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares, of=lambda z: z.softmax(1).gather(1, labels[:, None]))
    return (g * gap).mean(0)


@wrong("8.6", "all classes' logits")
def expected_of_all_classes(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares, of=lambda z: z)
    return (g * gap).mean(0)


@wrong("8.6", "only the last draw")
def expected_of_the_last(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return g[-1] * gap[-1]


@wrong("8.6", "left in the network's weights")
def expected_with_backward(model, images, labels, baselines, shares):
    out = torch.zeros_like(images)
    for base, share in zip(baselines, shares):
        points = (base + share * (images - base)).requires_grad_()
        model(points).gather(1, labels[:, None]).sum().backward()
        out += points.grad * (images - base)
    return out / len(shares)


@wrong("8.6", "the mean baseline")
def expected_from_the_mean_baseline(model, images, labels, baselines, shares):
    return expected_all_at_once(model, images, labels, baselines.mean(0, keepdim=True).expand_as(baselines), shares).detach()


@wrong("8.6", "with respect to `images`")
def expected_by_the_images(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return (g * shares.view(-1, 1, 1, 1, 1) * gap).mean(0)


@wrong("8.6", "`[:, labels]`")
def expected_of_all_labels(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares, of=lambda z: z[:, labels])
    return (g * gap).mean(0)


@wrong("8.6", "summed over the images")
def expected_of_the_mean_logit(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares, of=lambda z: z.gather(1, labels[:, None]) / len(z))
    return (g * gap).mean(0)


@wrong("8.6", "the number of draws, not of images")
def expected_over_the_images(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return (g * gap).sum(0) / len(images)


@wrong("8.6", "without their signs")
def expected_absolute(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return (g * gap).abs().mean(0)


@wrong("8.6", "on the line from black")
def expected_from_black(model, images, labels, baselines, shares):
    g, _ = draws(model, images, labels, 0 * baselines, shares)
    return (g * images).mean(0)


@wrong("8.6", "on the line from black")
def expected_on_the_way_from_black(model, images, labels, baselines, shares):
    g, _ = draws(model, images, labels, 0 * baselines, shares)
    return (g * (images[None] - baselines[:, None])).mean(0)


@wrong("8.6", "`base + share * images`")
def expected_beside_the_line(model, images, labels, baselines, shares):
    return sum(draws(model, images + base, labels, base[None], share[None])[0][0] * (images - base) for base, share in zip(baselines, shares)) / len(shares)


@wrong("8.6", "only as far as the point")
def expected_to_the_point(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return (g * shares.view(-1, 1, 1, 1, 1) * gap).mean(0)


@wrong("8.6", "by the point on the line")
def expected_times_point(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return (g * (baselines[:, None] + shares.view(-1, 1, 1, 1, 1) * gap)).mean(0)


@wrong("8.6", "only the first draw")
def expected_that_returns_in_the_loop(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return g[0] * gap[0] / len(shares)


@wrong("8.6", "the last draw is missing")
def expected_one_short(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return (g * gap)[:-1].sum(0) / len(shares)


@wrong("8.6", "in train mode")
def expected_in_train_mode(model, images, labels, baselines, shares):
    model.train()
    return expected_image_by_image(model, images, labels, baselines, shares).detach()


@wrong("8.6", "still hangs on the graph")
def expected_on_the_graph(model, images, labels, baselines, shares):
    g, gap = draws(model, images, labels, baselines, shares)
    return (g * gap).mean(0).requires_grad_()


# ---- 8.8 evidence ----

def logits_of(model, images):
    with torch.no_grad():
        return model(images)


@right("8.8")
def evidence_one_by_one(model, images, background):
    z, rest = logits_of(model, images), logits_of(model, background)
    return torch.stack([row[row.argmax()] - rest[:, row.argmax()].mean() for row in z])


@right("8.8")
def evidence_with_the_library(model, images, background):
    z, rest = attacks.scores(model, images), attacks.scores(model, background).mean(0, keepdim=True)
    return (z - rest)[torch.arange(len(z)), z.argmax(1)]


@wrong("8.8", "nothing is subtracted")
def evidence_logit(model, images, background):
    return logits_of(model, images).amax(1)


@wrong("8.8", "the sign is turned")
def evidence_turned(model, images, background):
    return -evidence_one_by_one(model, images, background)


@wrong("8.8", "most *evidence*")
def evidence_largest(model, images, background):
    return (logits_of(model, images) - logits_of(model, background).mean(0)).amax(1)


@wrong("8.8", "predicted for the *image*")
def evidence_of_the_backgrounds_prediction(model, images, background):
    return logits_of(model, images).amax(1) - logits_of(model, background).amax(1).mean()


@wrong("8.8", "over all classes")
def evidence_minus_everything(model, images, background):
    return logits_of(model, images).amax(1) - logits_of(model, background).mean()


@wrong("8.8", "there is a softmax")
def evidence_of_probabilities(model, images, background):
    z, rest = logits_of(model, images).softmax(1), logits_of(model, background).softmax(1).mean(0)
    return z.amax(1) - rest[z.argmax(1)]


@wrong("8.8", "the mean over the pixels")
def evidence_per_pixel(model, images, background):
    return evidence_one_by_one(model, images, background) / images[0].numel()


@wrong("8.8", "the mean image")
def evidence_of_the_mean_background(model, images, background):
    z, rest = logits_of(model, images), logits_of(model, background.mean(0, keepdim=True))[0]
    return z.amax(1) - rest[z.argmax(1)]


@wrong("8.8", "in train mode")
def evidence_in_train_mode(model, images, background):
    return evidence_one_by_one(model.train(), images, background)


@wrong("8.8", "over the images of the background")
def evidence_averaged_along_the_classes(model, images, background):
    z, rest = logits_of(model, images), logits_of(model, background).mean(1)
    return z.amax(1) - rest[z.argmax(1)]


@wrong("8.8", "the sum over the background")
def evidence_minus_the_sum(model, images, background):
    z, rest = logits_of(model, images), logits_of(model, background).sum(0)
    return z.amax(1) - rest[z.argmax(1)]


@wrong("8.8", "there is a softmax")
def evidence_of_log_probabilities(model, images, background):
    z, rest = logits_of(model, images).log_softmax(1), logits_of(model, background).log_softmax(1).mean(0)
    return z.amax(1) - rest[z.argmax(1)]


@wrong("8.8", "another class's")
def evidence_minus_class_0(model, images, background):
    return logits_of(model, images).amax(1) - logits_of(model, background).mean(0)[0]


@wrong("8.8", "another class's")
def evidence_minus_the_largest(model, images, background):
    return logits_of(model, images).amax(1) - logits_of(model, background).mean(0).max()


@wrong("8.8", "still hangs on the graph")
def evidence_on_the_graph(model, images, background):
    z, rest = model(images), model(background).mean(0)
    return z.amax(1) - rest[z.argmax(1)]


# ---- 8.10 auc ----

@right("8.10")
def auc_by_ranks(clean, attacked):
    from scipy.stats import mannwhitneyu
    return float(mannwhitneyu(clean.numpy(), attacked.numpy()).statistic / (len(clean) * len(attacked)))


@right("8.10")
def auc_in_loops(clean, attacked):
    return sum(1.0 if c > a else 0.5 if c == a else 0.0 for c in clean.tolist() for a in attacked.tolist()) / (len(clean) * len(attacked))


@right("8.10")
def auc_with_sign(clean, attacked):
    return (torch.sign(clean[:, None] - attacked).mean() + 1) / 2


@wrong("8.10", "the wrong way round")
def auc_turned(clean, attacked):
    return 1 - auc_in_loops(clean, attacked)


@wrong("8.10", "are lost")
def auc_without_ties(clean, attacked):
    return (clean[:, None] > attacked).float().mean().item()


@wrong("8.10", "count fully")
def auc_with_whole_ties(clean, attacked):
    return (clean[:, None] >= attacked).float().mean().item()


@wrong("8.10", "a percentage or a count")
def auc_in_per_cent(clean, attacked):
    return 100 * auc_in_loops(clean, attacked)


@wrong("8.10", "every clean one with every attacked one")
def auc_in_pairs(clean, attacked):
    n = min(len(clean), len(attacked))
    return (clean[:n] > attacked[:n]).float().mean().item()


@wrong("8.10", "the other's mean")
def auc_against_the_mean(clean, attacked):
    return (clean > attacked.mean()).float().mean().item()


@wrong("8.10", "wanted a float")
def auc_of_each(clean, attacked):
    return (clean[:, None] > attacked).float().mean(1)


@right("8.10")
def auc_in_numpy(clean, attacked):
    import numpy as np
    apart = clean.numpy()[:, None] - attacked.numpy()
    return np.float32(((apart > 0) + (apart == 0) / 2).mean())


@wrong("8.10", "never below 0.5")
def auc_folded(clean, attacked):
    found = auc_in_loops(clean, attacked)
    return max(found, 1 - found)


@wrong("8.10", "changes the tensors")
def auc_that_sorts(clean, attacked):
    clean.copy_(clean.sort().values)
    return auc_in_loops(clean, attacked)


@wrong("8.10", "higher minus lower")
def auc_as_a_difference(clean, attacked):
    return torch.sign(clean[:, None] - attacked).mean().item()


@wrong("8.10", "one threshold")
def auc_of_one_threshold(clean, attacked):
    middle = (clean.mean() + attacked.mean()) / 2
    return ((clean > middle).float().mean() + (attacked < middle).float().mean()).item() / 2


@wrong("8.10", "the wrong way round, and")
def auc_turned_without_ties(clean, attacked):
    return (attacked[:, None] > clean).float().mean().item()


@wrong("8.10", "count fully")
def auc_of_those_not_lower(clean, attacked):
    return 1 - auc_turned_without_ties(clean, attacked)


@wrong("8.10", "the other's mean")
def auc_against_the_median(clean, attacked):
    return (clean.median() > attacked).float().mean().item()


@wrong("8.10", "a percentage or a count")
def auc_of_each_clean_one(clean, attacked):
    return len(attacked) * auc_in_loops(clean, attacked)


@wrong("8.10", "how far apart")
def auc_as_a_gap(clean, attacked):
    return (clean.mean() - attacked.mean()).item()


# ---- 8.12 steered ----

def parts(logits, targets, resting, wanted):
    """The cross-entropy, and how far the target's evidence is from what is wanted."""
    return F.cross_entropy(logits, targets, reduction="none"), logits.gather(1, targets[:, None])[:, 0] - resting[targets] - wanted


@right("8.12")
def steered_by_hand(logits, targets, resting, wanted, weight):
    rows = torch.arange(len(logits))
    return logits.logsumexp(1) - logits[rows, targets] + weight * (logits[rows, targets] - resting[targets] - wanted).square()


@right("8.12")
def steered_with_onehot(logits, targets, resting, wanted, weight):
    one = F.one_hot(targets, logits.shape[1]).to(logits)
    return -(one * logits.log_softmax(1)).sum(1) + weight * ((one * (logits - resting)).sum(1) - wanted) ** 2


@wrong("8.12", "the cross-entropy is missing")
def steered_alone(logits, targets, resting, wanted, weight):
    return weight * parts(logits, targets, resting, wanted)[1] ** 2


@wrong("8.12", "the evidence is missing")
def steered_not(logits, targets, resting, wanted, weight):
    return parts(logits, targets, resting, wanted)[0]


@wrong("8.12", "the two are subtracted")
def steered_away(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return loss - weight * gap ** 2


@wrong("8.12", "the wrong sign")
def steered_off_the_target(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return -loss + weight * gap ** 2


@wrong("8.12", "would be rewarded")
def steered_signed(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return loss + weight * gap


@wrong("8.12", "not squared")
def steered_absolute(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return loss + weight * gap.abs()


@wrong("8.12", "`resting` is not taken away")
def steered_by_the_logit(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, 0 * resting, wanted)
    return loss + weight * gap ** 2


@wrong("8.12", "predicted at the moment")
def steered_by_the_prediction(logits, targets, resting, wanted, weight):
    said = logits.argmax(1)
    return parts(logits, targets, resting, wanted)[0] + weight * parts(logits, said, resting, wanted)[1] ** 2


@wrong("8.12", "should have shape")
def steered_averaged(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return (loss + weight * gap ** 2).mean()


@wrong("8.12", "a part of the gradient is cut off")
def steered_detached(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return loss + weight * gap.detach() ** 2


@wrong("8.12", "does not hang on the graph")
def steered_without_gradient(logits, targets, resting, wanted, weight):
    with torch.no_grad():
        loss, gap = parts(logits, targets, resting, wanted)
        return loss + weight * gap ** 2


@wrong("8.12", "each image's own cross-entropy")
def steered_with_the_mean_loss(logits, targets, resting, wanted, weight):
    return F.cross_entropy(logits, targets) + weight * parts(logits, targets, resting, wanted)[1] ** 2


@wrong("8.12", "each image's own cross-entropy")
def steered_with_the_summed_loss(logits, targets, resting, wanted, weight):
    return F.cross_entropy(logits, targets, reduction="sum") + weight * parts(logits, targets, resting, wanted)[1] ** 2


@wrong("8.12", "each image's own distance")
def steered_by_the_mean_distance(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return loss + weight * (gap ** 2).mean()


@wrong("8.12", "`weight` belongs to the evidence")
def steered_with_the_weight_on_the_loss(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return weight * loss + gap ** 2


@wrong("8.12", "multiplied")
def steered_multiplied(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return loss * weight * gap ** 2


@wrong("8.12", "takes logits")
def steered_with_two_softmaxes(logits, targets, resting, wanted, weight):
    return F.cross_entropy(logits.softmax(1), targets, reduction="none") + weight * parts(logits, targets, resting, wanted)[1] ** 2


@wrong("8.12", "counted in logits")
def steered_by_the_probability(logits, targets, resting, wanted, weight):
    loss, _ = parts(logits, targets, resting, wanted)
    return loss + weight * (logits.softmax(1).gather(1, targets[:, None])[:, 0] - resting[targets] - wanted) ** 2


@wrong("8.12", "only too much")
def steered_from_above(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return loss + weight * gap.clamp(min=0) ** 2


@wrong("8.12", "only too little")
def steered_from_below(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return loss + weight * gap.clamp(max=0) ** 2


@wrong("8.12", "added instead of")
def steered_with_resting_added(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, -resting, wanted)
    return loss + weight * gap ** 2


@wrong("8.12", "over all classes")
def steered_from_the_mean_of_all(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting.mean().expand(logits.shape[1]), wanted)
    return loss + weight * gap ** 2


@wrong("8.12", "changes the tensors")
def steered_that_changes_the_logits(logits, targets, resting, wanted, weight):
    loss = F.cross_entropy(logits, targets, reduction="none")
    logits -= resting
    return loss + weight * (logits.gather(1, targets[:, None])[:, 0] - wanted) ** 2


@wrong("8.12", "of the plain logits")
def steered_with_the_loss_of_the_evidence(logits, targets, resting, wanted, weight):
    return F.cross_entropy(logits - resting, targets, reduction="none") + weight * parts(logits, targets, resting, wanted)[1] ** 2


@wrong("8.12", "the first image's target")
def steered_to_the_first_target(logits, targets, resting, wanted, weight):
    return F.cross_entropy(logits, targets, reduction="none") + weight * (logits[:, targets[0]] - resting[targets[0]] - wanted) ** 2


@wrong("8.12", "a half too many")
def steered_by_half_the_square(logits, targets, resting, wanted, weight):
    loss, gap = parts(logits, targets, resting, wanted)
    return loss + weight * gap ** 2 / 2


@wrong("8.12", "summed over all classes")
def steered_everywhere(logits, targets, resting, wanted, weight):
    return F.cross_entropy(logits, targets, reduction="none") + weight * (logits - resting - wanted).square().sum(1)


@wrong("8.12", "minus its *logarithm*")
def steered_by_minus_the_probability(logits, targets, resting, wanted, weight):
    return -logits.softmax(1).gather(1, targets[:, None])[:, 0] + weight * parts(logits, targets, resting, wanted)[1] ** 2
