"""Figures quoted in the lessons' prose and the README that no committed output shows, because they need the full data."""
import pytest
import torch

from helpers import attacks, data, models, training


@pytest.mark.skipif(not data.available("fashion_mnist"), reason="no full Fashion-MNIST in $WORKBOOK_DATA")
@pytest.mark.parametrize("epochs, quoted", [(5, (91, 73, 24)), (30, (87, 58, 13))])
def test_how_many_clothes_keep_their_class(epochs, quoted):
    """Unit 03, 3.16."""
    clothes, some = data.load("fashion_mnist")[:1000], data.load("fashion_mnist", "train")[:6000]
    torch.manual_seed(0)
    network = models.small_cnn()
    training.train(network, some.images, some.labels, epochs=epochs, progress=False)
    before = attacks.scores(network, clothes.images).argmax(1)
    for eps, share in zip((0.01, 0.03, 0.1), quoted):
        attacked = attacks.fgsm(network, clothes.images, clothes.labels, eps=eps)
        assert 100 * (1 - attacks.fooled(network, attacked, before).float().mean().item()) == pytest.approx(share, abs=4)


@pytest.mark.skipif(not data.available("mnist"), reason="no full MNIST in $WORKBOOK_DATA")
def test_the_usual_pgd_flatters():
    """README: plain PGD-100 leaves `mnist/robust-l2` 76 % at 2.0, the stronger attack much less. Here on every 50th image."""
    some, model = data.load("mnist")[torch.arange(0, 10_000, 50)], models.load("mnist/robust-l2")
    usual = attacks.accuracy(model, attacks.pgd(model, some.images, some.labels, eps=2.0, norm="l2", steps=100), some.labels)
    _, robust = attacks.robust_accuracy(model, some.images, some.labels, 2.0, norm="l2")
    assert usual == pytest.approx(0.763, abs=0.1) and robust.float().mean() < usual - 0.05
