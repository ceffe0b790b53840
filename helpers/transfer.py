"""Szegedy et al. 2013 (arXiv:1312.6199) on many images at once: their attack, and what it needs to compare networks."""
import torch

from ._core import cross_entropy, evaluating, l2_norm
from ._inputs import check_classes, check_images
from .attacks import fooled, minimize_in_box, scores


def runner_up(model, images, labels):
    """The class that comes second: of all classes but the label the one with the highest score, int64 N."""
    return scores(model, images).scatter(1, labels[:, None], -torch.inf).argmax(1)


def lbfgs_together(model, images, targets, *, c=0.1, rounds=6, max_iterations=25, bounds=(0, 1)):
    """As `attacks.lbfgs`, all images in one minimisation, each with its own c: faster where the network is small, and nearly as near.

    Minimises the sum of c |r|^2 + cross-entropy of the target at x + r inside bounds, `rounds` times; after each, c grows for the images that
    succeeded and falls for the others. Returns the smallest successful example of each image, or the clean image where none succeeds.
    """
    check_images(images, targets, bounds)
    if not c > 0 or rounds < 1:
        raise ValueError(f"c must be above 0 and rounds at least 1, but c={c}, rounds={rounds} came.")
    check_classes(targets, scores(model, images[:1]))
    images = images.detach()
    found, best = images.clone(), torch.full((len(images),), torch.inf, dtype=images.dtype)
    works, fails, now = torch.zeros_like(best), torch.full_like(best, torch.inf), torch.full_like(best, c)
    with evaluating(model):
        for _ in range(rounds):
            def objective(x):
                return (now * (x - images).square().flatten(1).sum(1) + cross_entropy(model(x), targets)).sum()
            new = minimize_in_box(objective, images, bounds=bounds, max_iterations=max_iterations)
            hit = fooled(model, new, targets, targeted=True)
            size = l2_norm(new - images).flatten()
            better = hit & (size < best)
            found[better], best[better] = new[better], size[better]
            works, fails = torch.where(hit, now, works), torch.where(hit, fails, now)
            now = torch.where(fails.isinf(), 4 * now, torch.where(works == 0, now / 4, (works * fails).sqrt()))
    return found
