"""Unit 06: robust models."""
import torch
import torch.nn.functional as F

from . import right, wrong


# ---- 6.1 adversarial_step ----

@right("6.1")
def step_cleared_first_and_with_nll(model, optimizer, images, labels, attack):
    model.train(False)
    attacked = attack(model, images, labels).detach()
    optimizer.zero_grad(set_to_none=True)
    model.train(True)
    loss = F.nll_loss(model(attacked).log_softmax(1), labels)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


@right("6.1")
def step_with_a_loss_module(model, optimizer, images, labels, attack):
    adversarial = attack(model.eval(), images, labels)
    model.train()
    optimizer.zero_grad()
    loss = torch.nn.CrossEntropyLoss()(model(adversarial), labels)
    loss.backward()
    optimizer.step()
    return loss.detach().item()


def update(model, optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("6.1", "train mode while it was attacked")
def step_attacked_in_train_mode(model, optimizer, images, labels, attack):
    model.train()
    return update(model, optimizer, F.cross_entropy(model(attack(model, images, labels)), labels))


@wrong("6.1", "step was taken in eval mode")
def step_in_eval_mode(model, optimizer, images, labels, attack):
    model.eval()
    return update(model, optimizer, F.cross_entropy(model(attack(model, images, labels)), labels))


@wrong("6.1", "gradients that the attack left")
def step_cleared_before_the_attack(model, optimizer, images, labels, attack):
    optimizer.zero_grad()
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    loss = F.cross_entropy(model(attacked), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("6.1", "*clean* images")
def step_on_clean_images(model, optimizer, images, labels, attack):
    model.eval()
    attack(model, images, labels)
    model.train()
    return update(model, optimizer, F.cross_entropy(model(images), labels))


@wrong("6.1", "never called")
def step_without_attack(model, optimizer, images, labels, attack):
    model.train()
    return update(model, optimizer, F.cross_entropy(model(images), labels))


@wrong("6.1", "clean and attacked images together")
def step_on_both(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    return update(model, optimizer, F.cross_entropy(model(torch.cat([images, attacked])), torch.cat([labels, labels])))


@wrong("6.1", "uphill")
def step_uphill(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    return update(model, optimizer, -F.cross_entropy(model(attacked), labels))


@wrong("6.1", "weights are as they were")
def step_that_is_not_taken(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    loss = F.cross_entropy(model(attacked), labels)
    optimizer.zero_grad()
    loss.backward()
    return loss.item()


@wrong("6.1", "summed over the batch")
def step_of_the_sum(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    return update(model, optimizer, F.cross_entropy(model(attacked), labels, reduction="sum"))


@wrong("6.1", "use `labels`")
def step_on_predictions(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    scores = model(attacked)
    return update(model, optimizer, F.cross_entropy(scores, scores.argmax(1)))


@wrong("6.1", "return `loss.item()`")
def step_that_returns_a_tensor(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    loss = F.cross_entropy(model(attacked), labels)
    update(model, optimizer, loss)
    return loss


@wrong("6.1", "Is there a `return`?")
def step_without_return(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    update(model, optimizer, F.cross_entropy(model(attacked), labels))


@wrong("6.1", "2 times for one minibatch")
def step_that_attacks_twice(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, attack(model, images, labels), labels)
    model.train()
    return update(model, optimizer, F.cross_entropy(model(attacked), labels))


@wrong("6.1", "under `torch.no_grad()`")
def step_attacked_without_gradients(model, optimizer, images, labels, attack):
    model.eval()
    with torch.no_grad():
        attacked = attack(model, images, labels)
    model.train()
    return update(model, optimizer, F.cross_entropy(model(attacked), labels))


@wrong("6.1", "softmax before the cross-entropy")
def step_with_a_softmax(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    return update(model, optimizer, F.cross_entropy(model(attacked).softmax(1), labels))


@right("6.1")
def step_that_looks_at_the_loss_again(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    before = update(model, optimizer, F.cross_entropy(model(attacked), labels, reduction="sum") / len(labels))
    model.eval()
    with torch.no_grad():
        model(attacked)
    return before


@wrong("6.1", "use `labels`")
def step_on_predictions_for_the_clean(model, optimizer, images, labels, attack):
    model.eval()
    said = model(images).argmax(1)
    attacked = attack(model, images, labels)
    model.train()
    return update(model, optimizer, F.cross_entropy(model(attacked), said))


@wrong("6.1", "`attack(model, images, labels)`")
def step_with_another_order(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(images, labels, model)
    model.train()
    return update(model, optimizer, F.cross_entropy(model(attacked), labels))


@wrong("6.1", "`attack(model, images, labels)`")
def step_with_labels_first(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, labels, images)
    model.train()
    return update(model, optimizer, F.cross_entropy(model(attacked), labels))


@wrong("6.1", "before the backward pass")
def step_before_the_backward_pass(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    loss = F.cross_entropy(model(attacked), labels)
    optimizer.step()
    loss.backward()
    optimizer.zero_grad()
    return loss.item()


@wrong("6.1", "two steps")
def step_taken_twice(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    loss = F.cross_entropy(model(attacked), labels)
    update(model, optimizer, loss)
    optimizer.step()
    return loss.item()


@wrong("6.1", "before the step")
def step_that_returns_the_loss_after_it(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    update(model, optimizer, F.cross_entropy(model(attacked), labels))
    model.eval()
    with torch.no_grad():
        return F.cross_entropy(model(attacked), labels).item()


@wrong("6.1", "`optimizer.step()`")
def step_by_hand(model, optimizer, images, labels, attack):
    model.eval()
    attacked = attack(model, images, labels)
    model.train()
    loss = F.cross_entropy(model(attacked), labels)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    with torch.no_grad():
        for weights, gradient in zip(model.parameters(), gradients):
            weights -= 0.1 * gradient
    return loss.item()


@wrong("6.1", "train mode while it was attacked")
def step_with_the_flag_of_the_outermost_module(model, optimizer, images, labels, attack):
    model.training = False
    attacked = attack(model, images, labels)
    model.training = True
    return update(model, optimizer, F.cross_entropy(model(attacked), labels))


# ---- 6.4 safe ----

@right("6.4")
def safe_attacking_only_what_is_left(model, images, labels, several):
    good = model(images).argmax(1) == labels
    for attack in several:
        left = good.nonzero()[:, 0]
        if len(left):
            attacked = attack(model, images[left], labels[left])
            good[left] = model(attacked).argmax(1) == labels[left]
    return good


@right("6.4")
def safe_by_stacking(model, images, labels, several):
    tried = [images, *(attack(model, images, labels) for attack in several)]
    return torch.stack([model(batch).argmax(1).eq(labels) for batch in tried]).all(0)


def verdicts(model, images, labels, several):
    return torch.stack([model(attack(model, images, labels)).argmax(1) == labels for attack in several])


@wrong("6.4", "one number came")
def safe_as_the_smallest_accuracy(model, images, labels, several):
    return min([(model(attack(model, images, labels)).argmax(1) == labels).float().mean().item() for attack in several] or [1.0])


@wrong("6.4", "that are *fooled*")
def safe_turned_round(model, images, labels, several):
    return ~safe_by_stacking(model, images, labels, several)


@wrong("6.4", "counts as safe")
def safe_without_the_clean(model, images, labels, several):
    return verdicts(model, images, labels, several).all(0) if several else torch.ones(len(images), dtype=torch.bool)


@wrong("6.4", "not with the clean prediction")
def safe_if_nothing_changes(model, images, labels, several):
    before = model(images).argmax(1)
    return verdicts(model, images, before, several).all(0) if several else before == before


@wrong("6.4", "withstands *one*")
def safe_from_one(model, images, labels, several):
    return (model(images).argmax(1) == labels) | verdicts(model, images, labels, several).any(0)


@wrong("6.4", "only the last attack")
def safe_from_the_last(model, images, labels, several):
    good = model(images).argmax(1) == labels
    for attack in several:
        good = (model(images).argmax(1) == labels) & (model(attack(model, images, labels)).argmax(1) == labels)
    return good


@wrong("6.4", "only the first attack")
def safe_from_the_first(model, images, labels, several):
    good = model(images).argmax(1) == labels
    for attack in several:
        return good & (model(attack(model, images, labels)).argmax(1) == labels)
    return good


@wrong("6.4", "that another attack had made")
def safe_in_a_chain(model, images, labels, several):
    good = model(images).argmax(1) == labels
    attacked = images
    for attack in several:
        attacked = attack(model, attacked, labels)
        good = good & (model(attacked).argmax(1) == labels)
    return good


@wrong("6.4", "wanted are truth values")
def safe_as_numbers(model, images, labels, several):
    return safe_by_stacking(model, images, labels, several).float()


@wrong("6.4", "under `torch.no_grad()`")
def safe_without_gradients(model, images, labels, several):
    with torch.no_grad():
        return safe_by_stacking(model, images, labels, several)


@wrong("6.4", "`attack(model, images, labels)`")
def safe_with_another_order(model, images, labels, several):
    good = model(images).argmax(1) == labels
    for attack in several:
        good = good & (model(attack(images, labels, model)).argmax(1) == labels)
    return good


@wrong("6.4", "for all images")
def safe_from_the_strongest_alone(model, images, labels, several):
    good = model(images).argmax(1) == labels
    return min([good, *(good & one for one in verdicts(model, images, labels, several))] if several else [good], key=lambda verdict: verdict.sum().item())


@wrong("6.4", "only the last attack")
def safe_from_the_last_without_the_clean(model, images, labels, several):
    good = model(images).argmax(1) == labels
    for attack in several:
        good = model(attack(model, images, labels)).argmax(1) == labels
    return good


@wrong("6.4", "withstands *one*")
def safe_from_one_without_the_clean(model, images, labels, several):
    return verdicts(model, images, labels, several).any(0) if several else model(images).argmax(1) == labels


# ---- 6.7 straight_through ----

@right("6.7")
def through_a_function_of_its_own(front, images):
    class Through(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return front(x.detach())

        @staticmethod
        def backward(context, gradient):
            return gradient
    return Through.apply(images)


@right("6.7")
def through_with_no_grad(front, images):
    with torch.no_grad():
        difference = front(images) - images
    return images + difference


@right("6.7")
def through_by_data(front, images):
    return front(images.detach()) - images.detach() + images


@wrong("6.7", "this is the front as it is")
def through_the_front(front, images):
    return front(images) + 0 * images


@wrong("6.7", "the images themselves")
def through_around_it(front, images):
    return images * 1


@wrong("6.7", "difference has the wrong sign")
def through_backwards(front, images):
    return images + (images - front(images)).detach()


@wrong("6.7", "no gradient comes through")
def through_all_detached(front, images):
    return (images + front(images) - images).detach()


@wrong("6.7", "the sum of both")
def through_the_sum(front, images):
    return images + front(images).detach()


@wrong("6.7", "half the front's")
def through_the_mean(front, images):
    return 0.5 * images + 0.5 * front(images).detach()


@wrong("6.7", "front's own gradient is still in it")
def through_with_its_own_gradient(front, images):
    return front(images) + images - images.detach()


@wrong("6.7", "Is there a `return`?")
def through_nothing(front, images):
    images + (front(images) - images).detach()


@wrong("6.7", "does not hang on `images`")
def through_a_new_leaf(front, images):
    return front(images.detach()).requires_grad_()


@wrong("6.7", "no gradient comes through")
def through_no_grad_at_all(front, images):
    with torch.no_grad():
        return images + (front(images) - images)


# ---- 6.11 traverse ----

@right("6.11")
def traverse_filled_in(model, image, target, step_size, steps):
    way = torch.empty(steps + 1, *image.shape[1:])
    way[0] = image[0]
    for k in range(steps):
        x = way[k:k + 1].detach().clone().requires_grad_(True)
        model(x)[:, target].sum().backward()
        way[k + 1] = torch.clamp(x.detach() + step_size * x.grad / torch.linalg.vector_norm(x.grad), 0, 1)[0]
    return way


def walk(model, image, target, step_size, steps, score=lambda z, t: z[0, t], direction=lambda g: g / g.norm(), clip=True, sign=1):
    way = [image.clone()]
    for _ in range(steps):
        x = way[-1].clone().requires_grad_()
        gradient, = torch.autograd.grad(score(model(x), target), x)
        x = x.detach() + sign * step_size * direction(gradient)
        way.append(x.clamp(0, 1) if clip else x)
    return torch.cat(way)


@wrong("6.11", "this goes *down*")
def traverse_down(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, sign=-1)


@wrong("6.11", "follows the probability")
def traverse_the_probability(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, score=lambda z, t: z.softmax(1)[0, t])


@wrong("6.11", "follows the probability")
def traverse_the_cross_entropy(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, score=lambda z, t: -F.cross_entropy(z, torch.tensor([t])))


@wrong("6.11", "not brought to length 1")
def traverse_the_bare_gradient(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, direction=lambda g: g)


@wrong("6.11", "sign of the gradient")
def traverse_the_sign(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, direction=torch.sign)


@wrong("6.11", "leaves [0, 1]")
def traverse_out_of_the_box(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, clip=False)


@wrong("6.11", "climbs the sum of all scores")
def traverse_all(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, score=lambda z, t: z.sum())


@wrong("6.11", "steps are 1 long")
def traverse_in_strides(model, image, target, step_size, steps):
    return walk(model, image, target, 1.0, steps)


@wrong("6.11", "the way begins with the image")
def traverse_without_the_start(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps)[1:]


@wrong("6.11", "only one image came")
def traverse_to_the_end(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps)[-1:]


@wrong("6.11", "a list came")
def traverse_as_a_list(model, image, target, step_size, steps):
    return list(walk(model, image, target, step_size, steps).split(1))


@wrong("6.11", "gradient anew at each point")
def traverse_straight_on(model, image, target, step_size, steps):
    x = image.clone().requires_grad_()
    gradient, = torch.autograd.grad(model(x)[0, target], x)
    way = [image.clone()]
    for _ in range(steps):
        way.append((way[-1] + step_size * gradient / gradient.norm()).clamp(0, 1))
    return torch.cat(way)


@wrong("6.11", "clip to [0, 1] after *each* step")
def traverse_clipped_at_the_end(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, clip=False).clamp(0, 1)


@wrong("6.11", "change what is already in the list")
def traverse_in_place(model, image, target, step_size, steps):
    way, x = [image.clone()], image.clone()
    for _ in range(steps):
        gradient, = torch.autograd.grad(model(x.requires_grad_())[0, target], x)
        x = x.detach_()
        x += step_size * gradient / gradient.norm()
        x.clamp_(0, 1)
        way.append(x)
    return torch.cat(way)


@wrong("6.11", "class that is ahead")
def traverse_to_whoever_is_ahead(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, score=lambda z, t: z.max())


@wrong("6.11", "the lead over the others")
def traverse_the_margin(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, score=lambda z, t: z[0, t] - torch.cat([z[0, :t], z[0, t + 1:]]).max())


@wrong("6.11", "the direction is right")
def traverse_by_the_sum_of_differences(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, direction=lambda g: g / g.abs().sum())


@wrong("6.11", "the direction is right")
def traverse_by_the_largest(model, image, target, step_size, steps):
    return walk(model, image, target, step_size, steps, direction=lambda g: g / g.abs().max())


@wrong("6.11", "the direction is right")
def traverse_in_all_by_step_size(model, image, target, step_size, steps):
    return walk(model, image, target, step_size / steps, steps)


@wrong("6.11", "add up")
def traverse_with_gradients_piled_up(model, image, target, step_size, steps):
    x, way = image.clone().requires_grad_(), [image.clone()]
    for _ in range(steps):
        model(x)[0, target].backward()
        with torch.no_grad():
            x += step_size * x.grad / x.grad.norm()
            x.clamp_(0, 1)
        way.append(x.detach().clone())
    return torch.cat(way)


# ---- 6.13 nearest ----

@right("6.13")
def nearest_by_broadcasting(images, bank, labels):
    distances = (images[:, None] - bank[None]).square().sum((2, 3, 4)).sqrt()
    which = distances.argsort(1)[:, 0]
    return labels[which], distances[torch.arange(len(images)), which]

@right("6.13")
def nearest_one_by_one(images, bank, labels):
    found = [(bank - one).flatten(1).norm(dim=1).min(0) for one in images]
    return torch.stack([labels[which] for _, which in found]), torch.stack([distance for distance, _ in found])


@right("6.13")
def nearest_by_topk(images, bank, labels):
    distance, which = torch.cdist(images.flatten(1), bank.flatten(1), p=2).topk(1, dim=1, largest=False)
    return labels[which[:, 0]], distance[:, 0]


def table(images, bank):
    return torch.cdist(images.flatten(1), bank.flatten(1))


@wrong("6.13", "places in the bank")
def nearest_places(images, bank, labels):
    distance, which = table(images, bank).min(1)
    return which, distance


@wrong("6.13", "wrong order")
def nearest_swapped(images, bank, labels):
    distance, which = table(images, bank).min(1)
    return distance, labels[which]


@wrong("6.13", "*farthest* images")
def nearest_farthest(images, bank, labels):
    distance, which = table(images, bank).max(1)
    return labels[which], distance


@wrong("6.13", "take the root")
def nearest_squared(images, bank, labels):
    distance, which = table(images, bank).square().min(1)
    return labels[which], distance


@wrong("6.13", "(L1)")
def nearest_l1(images, bank, labels):
    distance, which = torch.cdist(images.flatten(1), bank.flatten(1), p=1).min(1)
    return labels[which], distance


@wrong("6.13", "*mean* square")
def nearest_rms(images, bank, labels):
    distance, which = (table(images, bank) / images[0].numel() ** 0.5).min(1)
    return labels[which], distance


@wrong("6.13", "largest inner product")
def nearest_by_inner_product(images, bank, labels):
    which = (images.flatten(1) @ bank.flatten(1).T).argmax(1)
    return labels[which], (images - bank[which]).flatten(1).norm(dim=1)


@wrong("6.13", "should have shape")
def nearest_over_the_images(images, bank, labels):
    distance, which = table(images, bank).min(0)
    return which, distance


@wrong("6.13", "two tensors are wanted")
def nearest_classes_alone(images, bank, labels):
    return labels[table(images, bank).argmin(1)]


@wrong("6.13", "angle")
def nearest_by_angle(images, bank, labels):
    which = (F.normalize(images.flatten(1)) @ F.normalize(bank.flatten(1)).T).argmax(1)
    return labels[which], table(images, bank).gather(1, which[:, None])[:, 0]


@wrong("6.13", "*mean* square")
def nearest_mean_square(images, bank, labels):
    distance, which = (table(images, bank).square() / images[0].numel()).min(1)
    return labels[which], distance


@wrong("6.13", "largest difference of a single pixel")
def nearest_by_the_largest_difference(images, bank, labels):
    distance, which = torch.cdist(images.flatten(1), bank.flatten(1), p=float("inf")).min(1)
    return labels[which], distance


@wrong("6.13", "mean image of each class")
def nearest_class_mean(images, bank, labels):
    kinds = labels.unique()
    distance, which = table(images, torch.stack([bank[labels == kind].mean(0) for kind in kinds])).min(1)
    return kinds[which], distance
