"""The one place where what a caller hands in is looked at, so that bad input gets one clear error."""
import torch

NORMS = ("l2", "linf")


def check_images(images, labels=None, bounds=(0, 1)):
    """Raise TypeError or ValueError unless `images` (and `labels`) are what every kernel works on.

    images: float tensor, N x C x H x W in `bounds`; with bounds=None any N x ... without NaN.
    labels: int64 tensor of length N, none negative.
    """
    if not isinstance(images, torch.Tensor) or not images.is_floating_point():
        came = f"a tensor of {images.dtype}" if isinstance(images, torch.Tensor) else type(images).__name__
        raise TypeError(f"images must be a float tensor N x C x H x W, but came as {came}. "
                        "Use data.load(...).images, or torch.as_tensor(array, dtype=torch.float32).")
    if bounds is not None:
        if images.ndim != 4:
            hint = " For a single image write images[None] (or data[i:i + 1])." if images.ndim == 3 else ""
            raise ValueError(f"images must have shape N x C x H x W, but came as {tuple(images.shape)}.{hint}")
        low, high = bounds
        if not low < high:
            raise ValueError(f"bounds must be (low, high) with low < high, but came as {bounds}.")
    if not torch.isfinite(images).all():
        raise ValueError("images hold NaN or infinite values. Look at images.isfinite() to find them.")
    if bounds is not None and images.numel() and (images.min() < low or images.max() > high):
        raise ValueError(f"images must lie in [{low}, {high}], but reach from {images.min():.3g} to {images.max():.3g}. "
                         "Undo any normalisation (it is the model's first layer here) or divide bytes by 255; "
                         "bounds=None switches the box off.")
    if labels is not None:
        check_labels(labels, len(images))


def check_labels(labels, n):
    if not isinstance(labels, torch.Tensor) or labels.dtype != torch.int64:
        came = f"a tensor of {labels.dtype}" if isinstance(labels, torch.Tensor) else type(labels).__name__
        raise TypeError(f"labels must be an int64 tensor of length {n}, but came as {came}. Use torch.tensor([...]).")
    if labels.shape != (n,):
        raise ValueError(f"there are {n} images but labels of shape {tuple(labels.shape)}; wanted ({n},), one label an image.")
    if n and labels.min() < 0:
        raise ValueError(f"labels must not be negative, but one is {labels.min().item()}.")


def check_classes(labels, logits):
    """Raise ValueError if a label names a class the network does not have."""
    if len(labels) and labels.max() >= logits.shape[1]:
        raise ValueError(f"the network has {logits.shape[1]} classes, 0 to {logits.shape[1] - 1}, "
                         f"but a label is {labels.max().item()}.")


def check_norm(norm):
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(map(repr, NORMS))}, but came as {norm!r}.")


def per_sample(value, images, name="eps"):
    """`value` (a number or one per sample) as a tensor N x 1 x ..., so that it broadcasts over `images`."""
    value = torch.as_tensor(value, dtype=images.dtype, device=images.device)
    if value.ndim > 1 or (value.ndim == 1 and len(value) != len(images)):
        raise ValueError(f"{name} must be one number or one per image ({len(images)}), but came with shape {tuple(value.shape)}.")
    if torch.isnan(value).any() or (value < 0).any():
        raise ValueError(f"{name} must not be negative or NaN, but came as {value.min().item():.3g}.")
    return value.expand(len(images)).view(-1, *[1] * (images.ndim - 1))
