"""The attack of Szegedy et al. on many images at once, against the one that takes them one by one."""
import pytest
import torch

from helpers import attacks, models, transfer


def lengths(a, b):
    return (a - b).flatten(1).norm(dim=1)


def test_together_is_nearly_as_near_as_one_by_one(digits):
    model, some = models.load("mnist5k/mlp"), digits[:4]
    goal = transfer.runner_up(model, some.images, some.labels)
    together, single = transfer.lbfgs_together(model, some.images, goal, rounds=10, max_iterations=50), attacks.lbfgs(model, some.images, goal)
    assert attacks.fooled(model, together, goal, targeted=True).all() and 0 <= together.min() and together.max() <= 1
    assert (lengths(together, some.images) < 1.1 * lengths(single, some.images)).all()


def test_the_runner_up_is_the_best_of_the_others(digits):
    model = models.load("mnist5k/mlp")
    second = transfer.runner_up(model, digits.images, digits.labels)
    logits = attacks.scores(model, digits.images)
    assert (second != digits.labels).all()
    for row, label, other in zip(logits, digits.labels, second):
        assert (row > row[other]).nonzero()[:, 0].tolist() in ([], [label])


def test_an_image_that_cannot_be_moved_comes_back_as_it_was():
    class Constant(torch.nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :2] * 0 + torch.tensor([1.0, 0.0])
    x = torch.rand(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(transfer.lbfgs_together(Constant(), x, torch.ones(3, dtype=torch.int64)), x)
    with pytest.raises(ValueError, match="c must be above 0"):
        transfer.lbfgs_together(Constant(), x, torch.ones(3, dtype=torch.int64), c=0)
