"""A small player: watch a film while it is being made, stop, scrub, and save it as a GIF."""
import base64
import html
import io
from pathlib import Path

import ipywidgets as w
from PIL import Image

from .._files import whole
from .explorer import Latest, Progress, building, in_words, picture_and_words

MAX_COMMITTED = 1_000_000   # bytes of a film in a committed notebook


class Film(w.VBox):
    """Plays frames, which are shown as they come.

    frames: an iterable of Pictures, PIL Images or Figures' PNG bytes; a generator may take its time, in a thread of its own.
    total: how many there will be, for the bar. describe: one sentence for who does not see it. name: of the file that "save as GIF" writes.
    """

    def __init__(self, frames, total=None, describe="A film", name="film", fps=8):
        self.describe, self.name, self.fps = describe, name, fps
        self.frames, self.captions = [], []     # PNG bytes; words
        self.total = total or (len(frames) if hasattr(frames, "__len__") else None)
        self.picture, self.words = picture_and_words()
        self.saved = w.HTML()       # a line of its own: the captions of a playing film would take its place
        self.player = w.Play(min=0, max=0, interval=round(1000 / fps), description="play", show_repeat=True)
        self.slider = w.IntSlider(min=0, max=0, description="frame", layout=w.Layout(width="420px"))
        w.jslink((self.player, "value"), (self.slider, "value"))
        self.slider.observe(lambda change: self._show(), "value")
        self.progress = Progress(lambda: self.work.stop())
        self.work = Latest(self.progress.busy)
        self.save = w.Button(description="save as GIF", tooltip="write the film into the folder of this notebook", icon="download")
        self.save.on_click(lambda button: self._save())
        super().__init__([w.HBox([self.player, self.slider, self.save, self.progress], layout=w.Layout(flex_flow="row wrap")),
                          self.picture, self.words, self.saved])
        self.add_class("workbook-explorer")
        self.work.put(lambda outdated: self._make(frames, outdated))

    def _make(self, frames, outdated):
        try:
            for frame in frames:
                self.frames.append(_png(frame))
                self.captions.append(getattr(frame, "words", ""))
                self.player.max = self.slider.max = len(self.frames) - 1
                self.progress.show(len(self.frames) / self.total if self.total else 0.5)
                if len(self.frames) == 1:
                    self._show()
                if outdated():
                    break
        except Exception as error:  # whatever it is, in words; the frames so far stay
            self.words.value = in_words(error)

    def _show(self):
        if self.frames:
            at = min(self.slider.value, len(self.frames) - 1)
            self.picture.value = self.frames[at]
            self.words.value = html.escape(self.captions[at])

    def gif(self):
        """The film as the bytes of an animated GIF that plays for ever."""
        return animated(self.frames, self.fps)

    def still(self, n=6):
        """n frames from first to last, beside each other in rows of three, as PNG bytes."""
        n = min(n, len(self.frames))
        chosen = [Image.open(io.BytesIO(self.frames[round(i * (len(self.frames) - 1) / max(n - 1, 1))])).convert("RGB") for i in range(n)]
        width, height = chosen[0].size
        sheet = Image.new("RGB", (width * min(n, 3), height * -(-n // 3)), "white")
        for i, page in enumerate(chosen):
            sheet.paste(page, (width * (i % 3), height * (i // 3)))
        file = io.BytesIO()
        sheet.quantize(128).save(file, "png", optimize=True)
        return file.getvalue()

    def _save(self):
        try:
            self.saved.value = save_gif(self.frames, self.name, self.fps)
        except (OSError, ValueError) as error:
            self.saved.value = in_words(error)

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options) or {}
        bundle["text/plain"] = f"{self.describe} (run this cell to play it)"
        if building():      # an animation, and a still beside it for where nothing moves
            from IPython.display import display
            self.work.wait(600)
            film = self.gif()
            if len(film) > MAX_COMMITTED:
                raise ValueError(f"the film has {len(film) / 1e6:.1f} MB, a committed one may have {MAX_COMMITTED / 1e6:.0f}: "
                                 "make it smaller, or of fewer frames.")
            display({"text/plain": self.describe, "image/png": base64.b64encode(self.still()).decode()}, raw=True)
            bundle["text/html"] = f"<img alt='{html.escape(self.describe)}' src='data:image/gif;base64,{base64.b64encode(film).decode()}'>"
        return bundle


def animated(frames, fps):
    """PNG bytes as the bytes of an animated GIF that plays for ever."""
    if not frames:
        raise ValueError("the film has no frames yet; wait until the first one is there.")
    pages = [Image.open(io.BytesIO(frame)).convert("RGB").quantize(128, dither=Image.Dither.NONE) for frame in frames]
    file = io.BytesIO()
    pages[0].save(file, "gif", save_all=True, append_images=pages[1:], duration=round(1000 / fps), loop=0, optimize=True)
    return file.getvalue()


def save_gif(frames, name, fps):
    """Write NAME.gif, or NAME-2.gif and so on, never over an earlier one; returns what to tell the learner, as HTML."""
    path, number = Path(f"{name}.gif"), 1
    while path.exists():
        number += 1
        path = Path(f"{name}-{number}.gif")
    content = animated(frames, fps)
    with whole(path) as part:
        part.write_bytes(content)
    return f"<span role='status'>saved as {path}, {len(content) / 1000:.0f} kB, beside this notebook</span>"


def _png(frame):
    if isinstance(frame, bytes):
        return frame
    if hasattr(frame, "png"):
        return frame.png()
    file = io.BytesIO()
    frame.save(file, "png", compress_level=3)
    return file.getvalue()
