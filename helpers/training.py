"""Training, standard and adversarial (Madry et al. 2018, arXiv:1706.06083, equation 2.1)."""
import time

import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from .attacks import pgd


def train(model, images, labels, *, epochs, lr=4e-3, batch_size=100, shift=2, attack=None, seed=0, progress=True):
    """Train `model` in place on images N x C x H x W in [0, 1] and int64 labels N; returns the seconds it took.

    AdamW with a one-cycle schedule; each batch is shifted by up to `shift` pixels. attack: None for standard training, or the
    keyword arguments of `pgd` (eps, norm, steps, ...): then each batch is attacked, in eval mode, before the step in train mode.
    The order of batches, the shifts and the starts of the attack follow from `seed` alone.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * (len(images) // batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    began = time.perf_counter()
    bar = tqdm(total=steps, disable=not progress, unit="step")
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for rows in order[: len(images) // batch_size * batch_size].split(batch_size):
            x, y = random_shift(images[rows], shift, generator), labels[rows]
            if attack:
                x = pgd(model, x, y, keep="last", generator=generator, **attack)
            model.train()
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.update()
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    bar.close()
    model.eval()
    return time.perf_counter() - began


def random_shift(images, most, generator):
    """Each image moved by up to `most` pixels in both directions; what comes in at the edge is 0."""
    n, c, h, w = images.shape
    padded = F.pad(images, [most] * 4)
    top, left = torch.randint(0, 2 * most + 1, (2, n, 1, 1, 1), generator=generator).to(images.device)
    rows = top + torch.arange(h, device=images.device).view(1, 1, h, 1)
    columns = left + torch.arange(w, device=images.device).view(1, 1, 1, w)
    sample = torch.arange(n, device=images.device).view(n, 1, 1, 1)
    channel = torch.arange(c, device=images.device).view(1, c, 1, 1)
    return padded[sample, channel, rows, columns]
