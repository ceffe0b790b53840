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
