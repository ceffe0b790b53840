"""Explorers without a browser: real ipywidgets, values set, outputs looked at."""
import base64
import io

import pytest
from matplotlib.figure import Figure
from PIL import Image

from helpers import widgets

EXPLORERS = {"noise": widgets.noise_explorer, "attack": widgets.attack_explorer}
each_explorer = pytest.mark.parametrize("make", EXPLORERS.values(), ids=EXPLORERS)


@each_explorer
def test_every_control_changes_the_picture_without_an_error(make):
    explorer = make()
    assert bytes(explorer.picture.value).startswith(b"\x89PNG") and explorer.state.value == ""
    for name, control in explorer.controls.items():
        assert control.description, name
        before, old = explorer.picture.value, control.value
        options = getattr(control, "options", None)
        if options:
            values = [option[1] if isinstance(option, tuple) else option for option in options]
            control.value = next(value for value in values if value != old)
        else:
            control.value = control.min if control.value != control.min else control.max
        assert explorer.state.value == "", (name, explorer.state.value)
        assert explorer.picture.value != before, name
        control.value = old


@each_explorer
def test_without_a_kernel_there_is_a_contact_sheet_and_a_text(make):
    bundle = make()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "explorer" in bundle["text/plain"]
    sheet = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert sheet.width > 500 and sheet.height > 300


def test_an_error_shows_in_words_and_the_last_picture_stays():
    explorer = widgets.noise_explorer()
    before = explorer.picture.value
    explorer.draw = lambda **settings: 1 / 0
    explorer.redraw()
    assert "ZeroDivisionError: division by zero" in explorer.state.value and explorer.picture.value == before


@pytest.mark.parametrize("settings", [
    dict(attack="fgsm"), dict(attack="random signs"), dict(attack="gradient", norm="l2", eps=2.0), dict(target="4", steps=3),
    dict(network="untrained"), dict(image=999, norm="l2", eps=0.0)])
def test_the_attack_figure_is_a_pure_function(settings):
    first, second = (widgets.png(widgets.attack_figure(**settings)) for _ in range(2))
    assert first == second
    assert isinstance(widgets.attack_figure(**settings), Figure)


def test_the_attack_of_the_explorer_is_that_of_the_library(digits, cnn):
    import torch
    from helpers import attacks
    x, y = digits.images[:1], digits.labels[:1]
    result, losses = widgets.attack_image(cnn, x, y, "pgd", "l2", 1.5, 10)
    assert torch.equal(result, attacks.pgd(cnn, x, y, eps=1.5, norm="l2", steps=10, keep="last"))
    assert len(losses) == 11 and losses[-1] > losses[0]
    _, towards = widgets.attack_image(cnn, x, y, "fgsm", "linf", 0.1, 1, target=3)
    assert towards[1] < towards[0], "the loss of the target falls"


def test_the_size_has_a_range_that_fits_its_norm():
    controls = widgets.attack_explorer().controls
    controls["norm"].value = "l2"
    assert controls["eps"].max == 5 and controls["eps"].value == 2 and "L2" in controls["eps"].description
    controls["norm"].value = "linf"
    assert controls["eps"].max == 0.5 and controls["eps"].value == 0.15
