"""What the committed networks were trained by: data, network and its options, and what `training.train` is told."""

_DIGITS = dict(data="mnist5k", network="small_cnn", seed=0)
_MNIST = dict(data="mnist", network="small_cnn", options=dict(width=32, hidden=256), epochs=12, lr=2e-3, batch_size=128, bfloat16=True, seed=0)
_FASHION = dict(data="fashion_mnist", network="deep_cnn", batch_size=128, shift=1, flip=True, bfloat16=True, seed=0)
_CIFAR10 = dict(data="cifar10", network="resnet", options=dict(width=32, blocks=[0, 1, 1, 1]), batch_size=128, shift=3, flip=True,
                edge="reflect", bfloat16=True, seed=0)
_FLOWERS = dict(data="flowers", network="resnet", options=dict(width=32, blocks=[0, 1, 1, 1], stride=2), epochs=40, batch_size=50, shift=12,
                flip=True, edge="reflect", bfloat16=True, seed=0)
_PLANTED = dict(data="planted", network="resnet", options=dict(width=16, blocks=[0, 1, 1]), shift=0, bfloat16=True, seed=0)

RECIPES = {
    "mnist5k/standard": _DIGITS | dict(epochs=20),
    "mnist5k/robust-l2": _DIGITS | dict(epochs=30, objective="pgd", norm="l2", eps=1.5, steps=7, step_size=0.5),
    "mnist5k/mlp": _DIGITS | dict(network="mlp", epochs=20),
    "mnist/standard": _MNIST,
    "mnist/robust-linf": _MNIST | dict(objective="pgd", norm="linf", eps=0.3, steps=7, step_size=0.1, ramp=0.3),
    "mnist/robust-l2": _MNIST | dict(objective="pgd", norm="l2", eps=2.0, steps=7, ramp=0.3),
    "fashion/deep-cnn": _FASHION | dict(epochs=7),
    "fashion/robust-l2": _FASHION | dict(epochs=5, objective="single-step", norm="l2", eps=1.0),
    "fashion/alexnet": _FASHION | dict(network="alexnet", epochs=4, lr=5e-4),
    "cifar10/standard": _CIFAR10 | dict(epochs=24, weight_decay=0.05),
    "cifar10/robust-l2": _CIFAR10 | dict(epochs=20, objective="single-step", norm="l2", eps=0.5),
    "cifar10/robust-l2-eps1": _CIFAR10 | dict(epochs=10, objective="single-step", norm="l2", eps=1.0),
    "cifar10/robust-linf": _CIFAR10 | dict(epochs=8, objective="single-step", norm="linf", eps=8 / 255),
    "planted/standard": _PLANTED | dict(epochs=6),
    "planted/robust-l2": _PLANTED | dict(epochs=12, objective="single-step", norm="l2", eps=0.6),
    "flowers/colour": _FLOWERS,
    "flowers/grey": _FLOWERS | dict(options=_FLOWERS["options"] | dict(grey=True)),
}
TOO_LARGE = ("fashion/alexnet",)        # 21 MB: its figures are committed, its weights are not (.gitignore)


def settings(recipe):
    """The part of a recipe that `training.train` is told."""
    return {key: value for key, value in recipe.items() if key not in ("data", "network", "options")}
