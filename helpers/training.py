"""Training: standard, adversarial, mixed or with noise; in one process or several; it can be stopped, and resumed to the same weights.

    train(model, images, labels, epochs=20)                                                   standard
    train(model, images, labels, epochs=30, objective="pgd", norm="l2", eps=1.5)              adversarial
"""
import math
import time
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import distributed
from tqdm.auto import tqdm

from ._core import clip, l2_norm, laid_out, random_start
from ._files import whole
from ._inputs import check_classes, check_images, check_norm
from .attacks import accuracy, fgsm, normalized_gradient, pgd, random_signs, scores

OBJECTIVES = ("standard", "pgd", "single-step", "mixed", "noise")
EDGES = {"black": "constant", "reflect": "reflect"}
WATCHED = 256       # so many training images are looked at after each epoch


def train(model, images, labels, *, epochs, objective="standard", norm="l2", eps=0.0, steps=None, step_size=None, start=None, alpha=0.5, ramp=0.0,
          lr=4e-3, weight_decay=1e-4, batch_size=100, shift=2, flip=False, edge="black", bfloat16=False, seed=0,
          state=None, resume=False, callback=None, progress=True):
    """Train `model` in place, on the device it is on; images N x C x H x W in [0, 1], labels int64 N. Returns one dict an epoch.

    objective: what the loss J (cross-entropy) is taken of; x' is always made in eval mode with gradients for the images alone, and in [0, 1].
      "standard"     J(x)
      "pgd"          J(x'), x' from `pgd` with `steps` (7) steps of `step_size` (2.5 eps / steps) from a random start in the ball
                     (Madry et al. 2018, arXiv:1706.06083)
      "single-step"  the same with one step of 1.25 eps from a random start: uniform in the box for "linf" (Wong et al. 2020,
                     arXiv:2001.03994), a random direction of uniform length for "l2"
      "mixed"        alpha J(x) + (1 - alpha) J(x + eps sign grad), for "l2" x + eps grad / |grad| (Goodfellow et al. 2015, section 6)
      "noise"        J(x + noise), a control: eps times random signs, for "l2" a random direction of length eps (before the box clips
                     both); with start="ball" uniform
    start: "ball" or "radius" instead of what the objective would choose. ramp: over this share of the training eps grows from 0 to its size,
    where the full size from the start would teach nothing (MNIST at 0.3 in L-infinity). AdamW with a one-cycle schedule up to `lr`. Each
    image is moved by up to `shift` pixels (edge="black" or "reflect": what comes in) and with flip=True mirrored at random; what does not fill
    a batch is left out of the epoch. bfloat16: networks run under autocast. Everything drawn follows from `seed`; the global random state stays
    as it was. The model ends in eval mode.

    The dicts: epoch, loss, seconds, and on 256 training images, in eval mode, `clean` accuracy, with eps > 0 also `robust` (PGD-10) and for
    one-step objectives `single_step` (their own attack). Where the last stays and `robust` is lost again, that is catastrophic overfitting
    (Wong et al. 2020): a warning says so.

    state: a file that is written whole after each epoch; resume=True goes on from it, to the weights an uninterrupted run gives.
    callback(model, step) is called after every minibatch. Where torch.distributed runs, each process takes its share of every batch through
    DistributedDataParallel (and calls the callback); process 0 alone reads and writes the state, shows the bar, and returns the dicts.
    Raises ValueError for settings that cannot be, for a state that another training left or that would be lost, and for a loss that is not finite.
    """
    given = {key: value.item() if hasattr(value, "item") else value for key, value in locals().items() if key not in NOT_SETTINGS}
    _check(images, labels, **given)
    device = next(model.parameters()).device
    images, labels = images.to(device), labels.to(device)
    check_classes(labels, scores(model, images[:1]))
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    if batch_size % world:
        raise ValueError(f"{world} processes cannot share batches of {batch_size} evenly: choose a batch_size that is a multiple of {world}.")
    per_epoch = len(images) // batch_size
    optimizer = torch.optim.AdamW(model.parameters(), lr=given["lr"], weight_decay=given["weight_decay"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, given["lr"], total_steps=epochs * per_epoch)
    generator = torch.Generator().manual_seed(seed)
    saved = _Saved(state, given | _fingerprint(images, labels, world), model, optimizer, schedule, generator)
    history = saved.load(resume)
    # Batch norm's running statistics are process 0's, which `_share` sends round before they are used: in the attack.
    learner = torch.nn.parallel.DistributedDataParallel(model, broadcast_buffers=False) if world > 1 else model
    perturb = _Perturbation(objective, norm, eps, steps, step_size, start)
    watched = torch.linspace(0, len(images) - 1, min(WATCHED, len(images))).long().to(device)     # sorted by class or not
    bar = tqdm(total=epochs * per_epoch, initial=len(history) * per_epoch, disable=not progress or rank > 0, unit="step")
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.backends.cudnn.flags(enabled=True, deterministic=True):
            for epoch in range(len(history), epochs):
                _seed(device, seed + 1000 * epoch + 1_000_000 * rank)       # what a network itself draws, such as dropout
                began, losses = time.perf_counter(), torch.zeros((), device=device)
                order = torch.randperm(len(images), generator=generator).to(device)
                for step, rows in enumerate(order[: per_epoch * batch_size].split(batch_size), epoch * per_epoch):
                    x, y = random_shift(images[rows], shift, generator, edge, flip), labels[rows]
                    perturb.share = min(1, (step + 1) / (ramp * epochs * per_epoch)) if ramp else 1
                    begin = perturb.begin(x, generator)
                    x, y, begin = (part[rank::world] for part in (x, y, begin))     # all draw for the whole batch: one result for any number
                    _share(model, world)
                    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                        inputs, targets, weights = perturb(model, laid_out(x, model), y, laid_out(begin, model), alpha)
                        model.train()
                        logits = learner(inputs)
                        logits = logits.float() if bfloat16 else logits
                        loss = (F.cross_entropy(logits, targets, reduction="none") * weights).sum() / len(x)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    schedule.step()
                    losses += loss.detach()
                    bar.update()
                    if callback:
                        callback(model, step)
                _share(model, world)
                if world > 1:
                    distributed.all_reduce(losses)
                record = {"epoch": epoch, "loss": losses.item() / per_epoch / world, "seconds": time.perf_counter() - began}
                if not math.isfinite(record["loss"]):
                    raise ValueError(f"the loss is {record['loss']} in epoch {epoch + 1}: training has come apart. Try a smaller lr than {lr:g}.")
                history.append(record)
                if rank == 0:
                    perturb.share = 1
                    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                        record |= _watch(model, images[watched], labels[watched], norm, eps, perturb)
                    saved.save(history)
                    _warn_of_catastrophe(history[math.ceil(ramp * epochs):])
                    bar.set_postfix({key: f"{record[key]:.3f}" for key in ("loss", "clean", "robust") if key in record})
    finally:
        bar.close()
        model.eval()
    return history if rank == 0 else []


NOT_SETTINGS = ("model", "images", "labels", "state", "resume", "callback", "progress")


def _check(images, labels, objective, norm, eps, steps, step_size, start, alpha, ramp, edge, epochs, batch_size, **rest):
    check_images(images, labels)
    check_norm(norm)
    if objective not in OBJECTIVES:
        raise ValueError(f"objective must be one of {', '.join(map(repr, OBJECTIVES))}, but came as {objective!r}.")
    if (objective == "standard") != (eps == 0) or eps < 0:
        raise ValueError(f'objective="standard" goes with eps=0 and every other one with eps > 0, but objective={objective!r}, eps={eps} came.')
    if objective != "pgd" and steps is not None or steps is not None and steps < 1:
        raise ValueError(f'steps are for objective="pgd" and at least 1, but steps={steps} came with objective={objective!r}.')
    if step_size is not None and (objective not in ("pgd", "single-step") or not step_size > 0):
        raise ValueError(f'a step_size is for "pgd" and "single-step" and above 0, but step_size={step_size} came with objective={objective!r}.')
    if start is not None and objective not in ("pgd", "single-step", "noise"):
        raise ValueError(f'a start is for "pgd", "single-step" and "noise", but start={start!r} came with objective={objective!r}.')
    if not 0 <= ramp <= 1 or not 0 <= alpha <= 1:
        raise ValueError(f"ramp and alpha are shares, from 0 to 1, but came as {ramp} and {alpha}.")
    if edge not in EDGES:
        raise ValueError(f"edge must be one of {', '.join(map(repr, EDGES))}, but came as {edge!r}.")
    if epochs < 1 or not 1 <= batch_size <= len(images):
        raise ValueError(f"wanted epochs >= 1 and a batch_size from 1 to the {len(images)} images, but epochs={epochs} and batch_size={batch_size} came.")


def _seed(device, seed):
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def _share(model, world):
    """Every process gets process 0's buffers."""
    if world > 1:
        for buffer in model.buffers():
            distributed.broadcast(buffer, 0)


def _fingerprint(images, labels, world):
    """What tells one set of images and labels from another, in the state of a training."""
    place = torch.arange(1, len(labels) + 1, device=labels.device)
    return {"images": list(images.shape), "pixels": round(images.sum().item(), 1), "labels": (labels * place).sum().item(), "processes": world}


class _Perturbation:
    """What an objective trains on: `begin` draws, for the whole batch, where it starts; a call makes the inputs, their labels and weights."""

    def __init__(self, objective, norm, eps, steps, step_size, start):
        one = objective == "single-step"
        self.objective, self.norm, self.full = objective, norm, eps
        self.start = start or {"pgd": "ball", "single-step": "radius" if norm == "l2" else "ball"}.get(objective)
        self.steps = steps or (1 if one else 7)
        self.step = step_size or (1.25 * eps if one else 2.5 * eps / self.steps)
        self.few = objective == "mixed" or objective in ("pgd", "single-step") and self.steps == 1
        self.share = 1      # of the full size

    @property
    def eps(self):
        return self.share * self.full

    def begin(self, x, generator):
        if self.objective == "noise" and not self.start:
            if self.norm == "linf":
                return random_signs(x, eps=self.eps, generator=generator)
            noise = torch.randn(x.shape, generator=generator).to(x.device)
            return clip(x + self.eps * noise / l2_norm(noise), (0, 1))
        return clip(x + random_start(x, self.eps, self.norm, self.start, generator), (0, 1)) if self.start else x

    def attacked(self, model, x, y, begin):
        if self.objective == "mixed":
            return (fgsm(model, x, y, eps=self.eps) if self.norm == "linf" else
                    normalized_gradient(model, x, y, eps=self.eps, norm="l2"))
        return pgd(model, x, y, eps=self.eps, norm=self.norm, steps=self.steps, step_size=self.share * self.step, start=begin, keep="last")

    def __call__(self, model, x, y, begin, alpha):
        one = torch.ones(len(x), device=x.device)
        if self.objective == "standard":
            return x, y, one
        if self.objective == "noise":
            return begin, y, one
        attacked = self.attacked(model, x, y, begin)
        if self.objective == "mixed":       # both in one pass
            return torch.cat([x, attacked]), torch.cat([y, y]), torch.cat([alpha * one, (1 - alpha) * one])
        return attacked, y, one


def _watch(model, x, y, norm, eps, perturb):
    """Accuracies on a few images: clean, under PGD-10, and under the one step that training itself takes."""
    record = {"clean": accuracy(model, x, y)}
    if eps:
        record["robust"] = accuracy(model, pgd(model, x, y, eps=eps, norm=norm, steps=10, keep="first"), y)
        if perturb.few:
            record["single_step"] = accuracy(model, perturb.attacked(model, x, y, perturb.begin(x, torch.Generator().manual_seed(0))), y)
    return record


def _lost(history):
    """Has robustness that was there gone, while the one step of training still seems to be withstood?"""
    now, best = history[-1], max(history, key=lambda record: record["robust"])
    return now["robust"] < best["robust"] / 2 and now["single_step"] >= max(best["single_step"], now["robust"] + 0.2)


def _warn_of_catastrophe(history):
    """Once, in the first epoch in which it shows. history: of the epochs at full eps."""
    if not history or "single_step" not in history[-1] or any(_lost(history[:n]) for n in range(1, len(history))) or not _lost(history):
        return
    now, best = history[-1], max(history, key=lambda record: record["robust"])
    warnings.warn(
        f"catastrophic overfitting in epoch {now['epoch'] + 1}: under the one step that training takes {now['single_step']:.0%} of the watched "
        f"images stay right, under PGD-10 {now['robust']:.0%} ({best['robust']:.0%} after epoch {best['epoch'] + 1}). "
        'The network learns to fool the attack. Take objective="pgd", or a smaller eps or step_size.', stacklevel=3)


class _Saved:
    """All that a training needs to go on, in one file that is whole or not there."""

    def __init__(self, path, settings, model, optimizer, schedule, generator):
        self.path, self.settings = path and Path(path), settings
        self.parts, self.generator = {"model": model, "optimizer": optimizer, "schedule": schedule}, generator

    def save(self, history):
        if self.path:
            with whole(self.path) as part:
                torch.save({name: part.state_dict() for name, part in self.parts.items()} |
                           {"generator": self.generator.get_state(), "history": history, "settings": self.settings}, part)

    def load(self, resume):
        """The history so far, with everything put back; [] where there is no file yet, or none is asked for. Process 0 reads it for all."""
        if resume and not self.path:
            raise ValueError("resume=True needs the file to resume from: say state=PATH.")
        read = [self._read(resume)] if not distributed.is_initialized() or distributed.get_rank() == 0 else [None]
        if distributed.is_initialized():
            distributed.broadcast_object_list(read, 0)
        if not read[0]:
            return []
        for name, part in self.parts.items():
            part.load_state_dict(read[0][name])
        self.generator.set_state(read[0]["generator"])
        return read[0]["history"]

    def _read(self, resume):
        if not self.path or not self.path.exists():
            return None
        saved = torch.load(self.path, map_location="cpu", weights_only=True)
        if not resume:
            raise ValueError(f"{self.path} holds {len(saved['history'])} epochs of a training, which would be lost: resume=True (--resume) goes on "
                             "with it; delete it to begin anew.")
        differing = [f"{key} was {saved['settings'].get(key)!r}, is {self.settings.get(key)!r}" for key in sorted(saved["settings"] | self.settings)
                     if saved["settings"].get(key) != self.settings.get(key)]
        if differing:
            raise ValueError(f"{self.path} is the state of another training ({'; '.join(differing)}). Go on with its settings and images, or delete it.")
        return saved


def random_shift(images, most, generator, edge="black", flip=False):
    """Each image moved by up to `most` pixels in both directions and, with flip=True, half of them mirrored.

    What comes in at the edge is 0 (edge="black") or the picture's own mirror image ("reflect").
    """
    n, c, h, w = images.shape
    padded = F.pad(images, [most] * 4, mode=EDGES[edge])
    top, left = torch.randint(0, 2 * most + 1, (2, n, 1, 1, 1), generator=generator).to(images.device)
    rows = top + torch.arange(h, device=images.device).view(1, 1, h, 1)
    columns = left + torch.arange(w, device=images.device).view(1, 1, 1, w)
    if flip:
        mirrored = (torch.rand(n, 1, 1, 1, generator=generator) < 0.5).to(images.device)
        columns = torch.where(mirrored, 2 * left + w - 1 - columns, columns)
    sample = torch.arange(n, device=images.device).view(n, 1, 1, 1)
    channel = torch.arange(c, device=images.device).view(1, c, 1, 1)
    return padded[sample, channel, rows, columns]
