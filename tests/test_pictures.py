"""Pictures that learners bring: turned, transparent, deep, huge, damaged, or none at all."""
import io

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import pictures


def as_bytes(picture, format="png", **options):
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def colours(tensor):
    """The mean colour of the left and the right half."""
    return [half.mean((0, 2, 3)).round(decimals=1).tolist() for half in tensor.chunk(2, 3)]


@pytest.fixture
def red_left():
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", (80, 40), "blue")
    picture.paste("red", (0, 0, 40, 40))
    return picture


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif", "bmp"])
def test_every_format(red_left, format, tmp_path):
    image = pictures.read(as_bytes(red_left, format), size=40)
    assert image.shape == (1, 3, 40, 40) and image.dtype == torch.float32 and 0 <= image.min() and image.max() <= 1
    assert colours(image) == [[1, 0, 0], [0, 0, 1]], "the middle, half red and half blue"
    path = tmp_path / f"picture.{format}"
    path.write_bytes(as_bytes(red_left, format))
    assert torch.equal(pictures.read(path, size=40), image) and torch.equal(pictures.read(str(path), size=40), image)


def test_as_the_camera_was_held(red_left):
    exif = Image.Exif()
    exif[0x0112] = 3    # upside down
    assert colours(pictures.read(as_bytes(red_left, "jpeg", exif=exif), size=40)) == [[0, 0, 1], [1, 0, 0]]


def test_damaged_exif_is_no_reason_to_refuse(red_left):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x829A] = 6, "a camera", 0.5
    good, random = as_bytes(red_left, "jpeg", exif=exif), np.random.RandomState(0)
    read = 0
    for _ in range(200):
        bad = bytearray(good)
        for at in random.randint(4, 120, 3):
            bad[at] = random.randint(256)
        try:
            read += pictures.read(bytes(bad), size=8).shape == (1, 3, 8, 8)
        except ValueError:
            pass        # one clear word, and nothing else
    assert read > 50


def test_what_is_transparent_is_white():
    assert pictures.read(as_bytes(Image.new("RGBA", (9, 9), (0, 0, 0, 0))), size=9).min() == 1
    assert pictures.read(as_bytes(Image.new("LA", (9, 9), (0, 128))), size=9).mean().item() == pytest.approx(0.5, abs=0.01)
    palette = Image.new("P", (9, 9), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert pictures.read(as_bytes(palette, transparency=0), size=9).min() == 1


def test_sixteen_bits_of_grey():
    deep = Image.fromarray(np.full((9, 9), 0x8000, np.uint16))
    assert pictures.read(as_bytes(deep), size=9).mean().item() == pytest.approx(0.5, abs=0.01)


def test_four_inks():
    assert pictures.read(as_bytes(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "jpeg"), size=9)[0].mean((1, 2)).round().tolist() == [1, 0, 0]


def test_ink_on_paper_becomes_light_on_dark():
    paper = Image.new("L", (100, 100), 200)
    paper.paste(80, (45, 20, 55, 80))
    digit = pictures.read(as_bytes(paper), size=28, channels=1, light_on_dark=True)
    assert digit.shape == (1, 1, 28, 28) and digit[0, 0, 14, 13] > 0.9 and digit[0, 0, 2, 2] == 0
    already = pictures.read(as_bytes(Image.eval(paper, lambda value: 255 - value)), size=28, channels=1, light_on_dark=True)
    assert torch.allclose(digit, already, atol=0.02)
    assert pictures.read(as_bytes(paper), size=28, channels=1)[0, 0, 2, 2] > 0.7, "only where it is asked for"


@pytest.mark.parametrize("content, words", [
    (b"", "not a picture that can be read"), (b"hello", "not a picture that can be read"), (b"%PDF-1.7 ...", "not a picture that can be read"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture that can be read"), (b"\0\0\0\x18ftypheic" + bytes(50), "HEIC format.*as JPEG first"),
    (bytes(20_000_001), "20.0 MB; wanted.*up to 20 MB.*Make it smaller"),
    (as_bytes(Image.new("L", (40, 40)))[:50], "damaged or cut short"), (as_bytes(Image.effect_noise((200, 200), 50), "jpeg")[:3000], "damaged or cut short"),
    (as_bytes(Image.new("RGB", (9, 9)), "tiff"), "not a picture that can be read"),
])
def test_what_is_no_picture_is_told_in_one_sentence(content, words):
    with pytest.raises(ValueError, match=words):
        pictures.read(content)


def test_a_bomb_is_not_decoded():
    """A small file of many pixels is refused from its head alone."""
    for side, words in ((8_100, "8100 x 8100 pixels"), (20_000, "far too many pixels")):
        bomb = as_bytes(Image.new("1", (side, side)))
        assert len(bomb) < 100_000
        with pytest.raises(ValueError, match=words):
            pictures.read(bomb)


def test_a_ribbon_does_not_grow(red_left):
    """Long and thin: only its middle square is scaled up."""
    assert pictures.read(as_bytes(Image.new("RGB", (60_000, 1), "red")), size=224).shape == (1, 3, 224, 224)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        pictures.read(tmp_path / "none.png")
