"""Figures quoted in the lessons' prose that no committed output shows, because they need the full data."""
import pytest
import torch

from helpers import attacks, data, models, training


@pytest.mark.skipif(not data.available("fashion_mnist"), reason="no full Fashion-MNIST in $WORKBOOK_DATA")
@pytest.mark.parametrize("epochs, quoted", [(5, (91, 73, 24)), (30, (87, 58, 13))])
def test_how_many_clothes_keep_their_class(epochs, quoted):
    """Unit 03, 3.15."""
    clothes, some = data.load("fashion_mnist")[:1000], data.load("fashion_mnist", "train")[:6000]
    torch.manual_seed(0)
    network = models.small_cnn()
    training.train(network, some.images, some.labels, epochs=epochs, progress=False)
    before = attacks.scores(network, clothes.images).argmax(1)
    for eps, share in zip((0.01, 0.03, 0.1), quoted):
        attacked = attacks.fgsm(network, clothes.images, clothes.labels, eps=eps)
        assert 100 * (1 - attacks.fooled(network, attacked, before).float().mean().item()) == pytest.approx(share, abs=4)
