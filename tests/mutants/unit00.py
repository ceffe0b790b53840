"""Answers to unit 00."""
import torch

from . import right, wrong


@right("0.2")
def counts_one_by_one(model, images, labels):
    return sum(model(x[None]).argmax().item() == y.item() for x, y in zip(images, labels)) / len(labels)


@right("0.2")
def leaves_a_tensor(model, images, labels):
    return (model(images).max(dim=1).indices == labels).double().mean()


@wrong("0.2", "share of *wrong*")
def share_of_errors(model, images, labels):
    return (model(images).argmax(1) != labels).float().mean().item()


@wrong("0.2", "counts the right answers")
def count(model, images, labels):
    return (model(images).argmax(1) == labels).sum().item()


@wrong("0.2", "percentage")
def percentage(model, images, labels):
    return 100 * (model(images).argmax(1) == labels).float().mean().item()


@wrong("0.2", "Average over the images")
def forgets_the_mean(model, images, labels):
    return model(images).argmax(1) == labels


@wrong("0.2", "Is there a `return`?")
def forgets_to_return(model, images, labels):
    (model(images).argmax(1) == labels).float().mean().item()


@wrong("0.2", "RuntimeError")
def argmax_over_images(model, images, labels):
    return (model(images).argmax(0) == labels).float().mean().item()


@wrong("0.2", "keep the arguments")
def other_arguments(images, labels, model):
    return (model(images).argmax(1) == labels).float().mean().item()


@right("0.2")
def with_the_courses_own_helper(model, images, labels):
    from helpers import attacks
    model.eval()
    return attacks.accuracy(model, images, labels)


@wrong("0.2", "Truth values have no mean")
def mean_of_truth_values(model, images, labels):
    return (model(images).argmax(1) == labels).mean()


@wrong("0.2", "Do you use the arguments")
def a_number(model, images, labels):
    return 0.985


@wrong("0.2", "came. Does `argmax`")
def not_a_number(model, images, labels):
    return float("nan")


@wrong("0.2", "round nothing")
def rounded(model, images, labels):
    return round((model(images).argmax(1) == labels).float().mean().item(), 2)


@wrong("0.2", "one image is `images[i:i + 1]`")
def without_a_batch(model, images, labels):
    return sum(model(x).argmax() == y for x, y in zip(images, labels)) / len(labels)


@wrong("0.2", "RuntimeError")
def numpy_without_detach(model, images, labels):
    return float((model(images).numpy().argmax(1) == labels.numpy()).mean())
