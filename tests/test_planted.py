"""The images whose features are known, and which feature the two networks trained on them follow."""
import hashlib

import pytest
import torch

from helpers import attacks, data, models, planted


def test_the_pattern_is_too_faint_to_see_and_small_against_the_eps_of_robust_training():
    patterns = planted.pattern_of_each_class()
    assert patterns.shape == (5, 3, 32, 32) and patterns.abs().eq(2 / 255).all()
    assert patterns.flatten(1).norm(dim=1).max() == pytest.approx(0.435, abs=0.001)
    assert torch.pdist(patterns.flatten(1)).min() / 2 < 0.31 < models.info("planted/robust-l2")["recipe"]["eps"] / 1.5


def test_an_image_is_ground_shape_and_pattern():
    some = planted.draw(200, seed=3)
    plain = some.images - planted.pattern_of_each_class()[some.patterns]
    for image, mask in zip(plain, some.masks[:, 0]):
        shape, ground = image[:, mask], image[:, ~mask]
        assert shape.std(1).max() < 1e-5 and ground.std(1).max() < 1e-5, "one colour each"
        assert (shape.mean(1) - ground.mean(1)).abs().max() > 0.2, "plain to see"
    assert some.images.min() >= 0 and some.images.max() <= 1
    assert torch.allclose(some.images * 255, (some.images * 255).round(), atol=1e-3), "levels of a picture file"
    assert 0.05 < some.masks.float().mean((1, 2, 3)).min() and some.masks.float().mean((1, 2, 3)).max() < 0.5


def test_the_shape_is_right_nine_times_in_ten_and_the_pattern_always():
    some = planted.draw(5000)
    assert torch.equal(some.patterns, some.labels) and (some.shapes == some.labels).float().mean().item() == pytest.approx(0.9, abs=0.015)
    assert some.labels.bincount().tolist() == [1000] * 5
    against = planted.draw(500, disagree=True)
    assert torch.equal(against.shapes, against.labels) and not (against.patterns == against.labels).any()
    bare = planted.draw(500, pattern=False)
    assert torch.equal(bare.shapes, bare.labels) and (bare.patterns == -1).all()


def test_every_shape_is_another():
    some = planted.draw(400, pattern=False)
    share = torch.stack([some.masks[some.shapes == shape].float().mean((0, 1)) for shape in range(5)])
    assert torch.pdist(share.flatten(1)).min() > 1


def test_a_seed_is_a_set():
    assert torch.equal(planted.draw(50, 7).images, planted.draw(50, 7).images) and not torch.equal(planted.draw(50, 7).images, planted.draw(50, 8).images)
    test = data.load("planted")
    assert torch.equal(test.images, planted.draw(1000, seed=1).images) and test.classes == planted.SHAPES
    digest = hashlib.sha256((test.images * 255).round().byte().numpy().tobytes()).hexdigest()
    assert digest.startswith("a629182c77c25b93"), digest


def test_the_standard_network_follows_the_pattern_and_the_robust_one_the_shape():
    against, bare = planted.draw(1000, seed=9, disagree=True), planted.draw(1000, seed=8, pattern=False)
    said = {name: attacks.scores(models.load(f"planted/{name}"), against.images).argmax(1) for name in ("standard", "robust-l2")}
    assert (said["standard"] == against.patterns).float().mean() > 0.97 and (said["robust-l2"] == against.shapes).float().mean() > 0.95
    assert attacks.accuracy(models.load("planted/robust-l2"), bare.images, bare.labels) > 0.95
    assert attacks.accuracy(models.load("planted/standard"), bare.images, bare.labels) < 0.7, "without the pattern it is lost"
