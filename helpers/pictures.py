"""Your own pictures: a file of any size, read safely into the images a network takes."""
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_BYTES = 20_000_000
MAX_PIXELS = 64_000_000


def read(source, size=224, channels=3, light_on_dark=False):
    """A picture as float32 1 x `channels` x `size` x `size` in [0, 1]: its middle square, scaled.

    source: a path, or the file's bytes. PNG, JPEG, WebP, GIF (its first frame) or BMP, up to 20 MB and 64 million pixels. Turned as its
    camera says (EXIF); what is transparent becomes white. channels: 3 for colour, 1 for grey.
    light_on_dark: for networks of digits: a picture with a bright border (ink on paper) is turned round and its contrast stretched.
    Raises ValueError, which says what came and what was wanted.
    """
    if isinstance(source, (str, Path)):
        name, content = Path(source).name, Path(source).read_bytes()
    else:
        name, content = "this file", bytes(source)
    picture = ImageOps.fit(decode(content, name), (size, size), Image.Resampling.BILINEAR).convert("RGB" if channels == 3 else "L")
    if light_on_dark:
        pixels = np.asarray(picture)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        picture = ImageOps.autocontrast(ImageOps.invert(picture) if np.median(border) > 127 else picture, cutoff=1)
    pixels = torch.from_numpy(np.array(picture)).float().div_(255)
    return (pixels[None] if channels == 1 else pixels.permute(2, 0, 1)).contiguous()[None]


def decode(content, name="this file"):
    """The bytes of a picture as an RGB Image, the right way up, on white."""
    wanted = f"wanted: a picture ({', '.join(FORMATS)}), up to {MAX_BYTES // 10**6} MB and {MAX_PIXELS // 10**6} million pixels."
    if len(content) > MAX_BYTES:
        raise ValueError(f"{name} has {len(content) / 1e6:.1f} MB; {wanted} Make it smaller first.")
    if content[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"):
        raise ValueError(f"{name} is in Apple's HEIC format; {wanted} Export it as JPEG first.")
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)   # reads the head only
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{name} has {width} x {height} pixels; {wanted} Make it smaller first.")
        picture.draft("RGB", (2048, 2048))   # a large JPEG is decoded at a smaller size at once
        turn = _turn(picture)
        picture.load()
    except UnidentifiedImageError:
        raise ValueError(f"{name} is not a picture that can be read here; {wanted}") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{name} has far too many pixels; {wanted} Make it smaller first.") from None
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError(f"{name} looks like a picture but is damaged or cut short ({error}); {wanted}") from None
    if picture.mode.startswith("I"):    # 16 bits of grey
        picture = Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    picture.thumbnail((2048, 2048))     # before the copies below
    if turn is not None:
        picture = picture.transpose(turn)
    if picture.has_transparency_data:
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    return picture.convert("RGB")


def _turn(picture):
    """How its camera was held (EXIF's orientation), or None; EXIF that is damaged says nothing."""
    turns = (None, None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSPOSE,
             Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90)
    try:
        return turns[picture.getexif().get(0x0112, 1)]
    except Exception:
        return None
