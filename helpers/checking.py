"""What checks are made of: verdicts, and small networks on which everything is known exactly."""
import inspect

import torch
from torch import nn


class Wrong(Exception):
    """The answer is wrong; the message is the diagnosis."""


class WrongType(Wrong):
    """The answer has the wrong type or shape; the message says what came and what was wanted."""


def arguments(function, *names):
    """Raise WrongType unless `function` takes these arguments, in this order."""
    came = list(inspect.signature(function).parameters)
    if came[: len(names)] != list(names):
        raise WrongType(f"the function takes `({', '.join(came)})`, wanted `({', '.join(names)})`: keep the arguments as they were.")


def tensor(value, like, what="the result"):
    """`value` if it is a tensor of the shape and dtype of `like` without NaN, else WrongType (NaN: Wrong)."""
    if not isinstance(value, torch.Tensor):
        hint = " Is there a `return`?" if value is None else " Stay in torch." if type(value).__module__ == "numpy" else ""
        raise WrongType(f"{what} should be a tensor of shape {tuple(like.shape)}, but `{type(value).__name__}` came.{hint}")
    if value.shape != like.shape:
        raise WrongType(f"{what} should have shape {tuple(like.shape)}, but came with {tuple(value.shape)}.")
    if value.dtype != like.dtype:
        raise WrongType(f"{what} should be of {like.dtype}, but came as {value.dtype}.")
    if value.requires_grad:
        raise Wrong(f"{what} still hangs on the graph (`requires_grad` is true): compute with the gradient's value, or `.detach()` the result.")
    if torch.isnan(value).any():
        raise Wrong(f"{what} holds NaN. Where could 0 be divided by 0?")
    return value


def untouched(*given, what="images"):
    """Raise Wrong if a tensor handed to the learner's code is not as it was; given: (tensor, copy) pairs; what: they are, in the plural."""
    for now, before in given:
        if not torch.equal(now, before):
            raise Wrong(f"your code changes the {what} it was given. Work on a copy: `{what if what == 'images' else 'a'}.clone()`, and `a = a + b` instead of `a += b`.")
        if now.requires_grad:
            raise Wrong("your code switches gradients on in the tensor it was given, and whoever uses it next will stumble. "
                        "Work on a copy: `images.clone().requires_grad_()`.")


def close(value, wanted, tolerance=1e-4):
    return torch.allclose(value.double(), torch.as_tensor(wanted).double(), atol=tolerance, rtol=tolerance)


class Linear(nn.Module):
    """Logits W x + b of flattened images: the loss's gradient is W^T (softmax - onehot), everything has a closed form."""

    def __init__(self, weights, bias=0.0):
        super().__init__()
        self.weights = nn.Parameter(weights)
        self.bias = bias

    def forward(self, images):
        return images.flatten(1) @ self.weights.T + self.bias


def linear(classes=3, shape=(1, 4, 4), seed=0):
    """A linear network with random weights, float32."""
    size = torch.Size(shape).numel()
    return Linear(torch.randn(classes, size, generator=torch.Generator().manual_seed(seed)))


def images(n=5, shape=(1, 4, 4), low=0.3, high=0.7, seed=1):
    """n random images well inside [0, 1]."""
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)) * (high - low) + low


class Pixels(nn.Module):
    """A network whose scores are the pixels of a batch N x C x H x W: what it says can be read off its input."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, images):
        if images.ndim != 4:
            raise ValueError(f"the model takes a batch N x C x H x W, but got {tuple(images.shape)}: one image is `images[i:i + 1]`")
        return images.flatten(1) * self.scale
