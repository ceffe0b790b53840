"""An epoch of our trainer beside the usual formulation, on the networks and settings of committed recipes.

    python -m benchmarks.training       writes benchmarks/training.md (part of make bench)

The usual formulation, as in the PGD training of Wong et al. 2020: an attack whose loss.backward() reaches the parameters too, in train mode, in
float32; and pictures that pass torchvision's transforms one by one. Same network, batch, attack steps.
"""
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from helpers import models, training
from helpers.recipes import RECIPES, settings

TURNS, BATCHES = 5, 6
CASES = [("mnist5k/robust-l2", 4_000, (1, 28, 28)), ("mnist/robust-linf", 60_000, (1, 28, 28)), ("cifar10/standard", 50_000, (3, 32, 32)),
         ("cifar10/robust-l2", 50_000, (3, 32, 32)), ("cifar10/robust-linf", 50_000, (3, 32, 32))]


class Pictures(Dataset):
    """Noise as PIL pictures, with the transforms of every tutorial."""

    def __init__(self, images, labels, shift, flip):
        arrays = (images * 255).byte().permute(0, 2, 3, 1).numpy()
        self.pictures = [Image.fromarray(np.squeeze(array)) for array in arrays]
        self.labels = labels.tolist()
        steps = [transforms.RandomCrop(images.shape[-1], padding=shift), *([transforms.RandomHorizontalFlip()] if flip else []), transforms.ToTensor()]
        self.transform = transforms.Compose(steps)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, at):
        return self.transform(self.pictures[at]), self.labels[at]


def usual(model, images, labels, recipe):
    """Seconds of each batch after the first."""
    loader = DataLoader(Pictures(images, labels, recipe.get("shift", 2), recipe.get("flip")), recipe.get("batch_size", 100), shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.get("lr", 4e-3))
    eps, norm = recipe.get("eps", 0), recipe.get("norm", "l2")
    steps = {"standard": 0, "single-step": 1}.get(recipe.get("objective", "standard"), recipe.get("steps", 7))
    size = 1.25 * eps if steps == 1 else 2.5 * eps / max(steps, 1)
    model.train()
    seconds, began = [], time.perf_counter()
    for x, y in loader:
        delta = torch.zeros_like(x)
        if steps:
            delta = (torch.rand_like(x) * 2 - 1) * eps / (1 if norm == "linf" else x[0].numel() ** 0.5)
        delta.requires_grad_()
        for _ in range(steps):
            nn.functional.cross_entropy(model(x + delta), y).backward()
            if norm == "linf":
                delta.data = (delta + size * delta.grad.sign()).clamp(-eps, eps)
            else:
                delta.data = delta + size * delta.grad / (delta.grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-10)
                delta.data = delta.data.renorm(2, 0, eps)
            delta.data = (x + delta.data).clamp(0, 1) - x
            delta.grad.zero_()
        loss = nn.functional.cross_entropy(model(x + delta.detach()), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
    return seconds[1:]


def ours(model, images, labels, recipe):
    times = []
    training.train(model, images, labels, progress=False, callback=lambda model, step: times.append(time.perf_counter()),
                   **settings(recipe) | {"epochs": 1})
    return [after - before for before, after in zip(times, times[1:])]


def main():
    lines = ["# An epoch of training, ours beside the usual formulation",
             f"By `python -m benchmarks.training` on two cores: {BATCHES} batches of each in turn, {TURNS} turns, medians, times the batches of an epoch. "
             "Usual: transforms picture by picture, an attack whose `loss.backward()` reaches the parameters, float32. Ours: what the recipe says.", "",
             "| recipe | attack steps | precision of ours | usual | ours | ratio |", "|---|---|---|---|---|---|"]
    for name, n, shape in CASES:
        for bfloat16 in sorted({False, RECIPES[name].get("bfloat16", False)}):
            recipe = RECIPES[name] | {"bfloat16": bfloat16}
            batch = recipe.get("batch_size", 100)
            torch.manual_seed(0)
            images, labels = torch.rand(BATCHES * batch, *shape), torch.randint(0, 10, (BATCHES * batch,))
            networks = [models.build(recipe["network"], 10, **recipe.get("options", {})) for _ in range(2)]
            times = [], []
            for turn in range(TURNS):
                for which in (0, 1) if turn % 2 else (1, 0):
                    times[which].extend((usual, ours)[which](networks[which], images, labels, recipe))
            theirs, mine = (statistics.median(seconds) * (n // batch) for seconds in times)
            steps = {"standard": 0, "single-step": 1}.get(recipe.get("objective", "standard"), recipe.get("steps", 7))
            lines.append(f"| `{name}` | {steps} | {'bfloat16' if bfloat16 else 'float32'} | {theirs:.1f} s | {mine:.1f} s | **{mine / theirs:.2f}** |")
            print(lines[-1], flush=True)
    (Path(__file__).parent / "training.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
