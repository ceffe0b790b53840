import torch

from helpers import attacks, data, models, training


def test_a_shift_moves_the_picture_and_fills_with_black():
    images = torch.rand(50, 2, 6, 6)
    moved = training.random_shift(images, 2, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(images, [2] * 4)
    seen = set()
    for one, big in zip(moved, padded):
        found = [(top, left) for top in range(5) for left in range(5) if torch.equal(one, big[:, top:top + 6, left:left + 6])]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) > 15
    assert torch.equal(training.random_shift(images, 0, torch.Generator()), images)


def run(attack=None, seed=0, n=400, epochs=3):
    some = data.load("mnist5k", "train")[:n]
    torch.manual_seed(0)
    model = models.small_cnn()
    training.train(model, some.images, some.labels, epochs=epochs, attack=attack, seed=seed, progress=False)
    return model


def test_training_follows_from_the_seed_alone():
    attack = dict(norm="l2", eps=1.0, steps=2, start="ball")
    first = run(attack)
    torch.rand(7)
    again, other = run(attack), run(attack, seed=1)
    weights = [model[1].weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.allclose(weights[0], weights[2])


def test_training_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    model = models.small_cnn()
    before = torch.get_rng_state()
    some = data.load("mnist5k", "train")[:200]
    training.train(model, some.images, some.labels, epochs=1, progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training


def test_adversarial_training_buys_robustness():
    test = data.load("mnist5k")[:300]
    under_attack = []
    for model in (run(n=2000, epochs=8), run(dict(norm="l2", eps=1.5, steps=3), n=2000, epochs=8)):
        attacked = attacks.pgd(model, test.images, test.labels, eps=1.0, norm="l2")
        under_attack.append(attacks.accuracy(model, attacked, test.labels))
    assert under_attack[1] > under_attack[0] + 0.05
