"""The pattern of every explorer: a pure function from settings to a picture, and a thin layer of ipywidgets around it."""
import atexit
import base64
import contextlib
import contextvars
import html
import io
import os
import threading
import types
from dataclasses import dataclass

import ipywidgets as w
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

MAX_SHEET = 300_000     # bytes of a contact sheet in full colour
_drawing = threading.Lock()     # matplotlib draws one figure at a time


@dataclass
class Picture:
    """What an explorer's function returns: a figure (matplotlib's Figure, not pyplot's, which would keep each one), the same result in words
    for who cannot see it, and the share of the work that is done (below 1: more is to come)."""
    figure: Figure
    words: str
    done: float = 1.0

    def png(self, dpi=96):
        file = io.BytesIO()
        with _drawing:
            self.figure.savefig(file, format="png", dpi=dpi, pil_kwargs={"compress_level": 3})
        return file.getvalue()


_working = set()


@atexit.register
def _finish():
    """Python may not end while a thread is inside PyTorch."""
    for work in list(_working):
        work.stop()
        with contextlib.suppress(TimeoutError):
            work.wait(10)


class Latest:
    """Does one piece of work at a time in a thread of its own. Of those that wait only the latest is done: whoever drags a slider wants the
    last position, not all of them. Work is a function of `outdated`, which it may ask whether it is still wanted.
    """

    def __init__(self, on_busy):
        self._next, self._thread, self._stopped = None, None, False
        self._changed = threading.Condition()
        self._on_busy = on_busy     # called with True and False

    def put(self, work):
        with self._changed:
            self._next, self._stopped = work, False
            if self._thread is None:
                _working.add(self)
                self._on_busy(True)
                # The context holds which cell or control asked: the kernel sends our messages as answers to it.
                self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._run,), daemon=True)
                self._thread.start()

    def stop(self):
        """Ask the work in hand to end, and forget what waits."""
        with self._changed:
            self._next, self._stopped = None, True

    def wait(self, seconds=60):
        """Until nothing is left to do. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._thread is None, seconds):
                raise TimeoutError(f"still computing after {seconds} s")

    def outdated(self):
        return self._next is not None or self._stopped

    def _run(self):
        while True:
            with self._changed:
                work, self._next = self._next, None
                if work is None:
                    return self._end()
            try:
                work(self.outdated)
            except BaseException:
                with self._changed:
                    self._end()
                raise

    def _end(self):
        self._thread = None
        _working.discard(self)
        self._on_busy(False)
        self._changed.notify_all()


def in_words(error):
    """An exception as a line of HTML. Those of bad input are sentences already; of others the name says more than the text."""
    text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return f"<b role='alert' style='color:#d1495b'>{html.escape(text)}</b>"


def picture_and_words():
    """Where the result goes: a picture in its own size (smaller if there is no room), and what it says in words."""
    picture, words = w.Image(format="png", layout=w.Layout(align_self="flex-start", max_width="100%", width="auto")), w.HTML()
    picture.add_class("workbook-picture")
    words.add_class("workbook-words")
    return picture, words


class Progress(w.HBox):
    """A mark that turns while something is computed; for what takes longer a bar and a button to stop. The mark keeps its room, so that
    nothing below it jumps."""
    MARK = ("<style>@keyframes workbook-turn {to {transform: rotate(1turn)}}</style><span aria-hidden='true' style='display:inline-block;width:.8em;"
            "height:.8em;border:2px solid var(--jp-border-color1,#999);border-top-color:#0072b2;border-radius:50%;"
            "animation:workbook-turn .8s linear infinite'></span> computing ...")

    def __init__(self, stop):
        self.mark = w.HTML(layout=w.Layout(width="110px", height="28px", flex="0 0 auto"))
        self.mark.add_class("workbook-busy")
        self.bar = w.FloatProgress(min=0, max=1, layout=w.Layout(width="160px"))
        self.stop = w.Button(description="stop", tooltip="stop computing; keep what is there", layout=w.Layout(width="60px"))
        self.stop.on_click(lambda button: stop())
        super().__init__([self.mark, self.bar, self.stop])
        self.show(1)

    def busy(self, busy):
        self.mark.value = self.MARK if busy else ""
        if not busy:
            self.show(1)

    def show(self, done):
        """The share of the work that is done; at 1 there is nothing to stop any more."""
        self.bar.value = done
        self.bar.layout.display = self.stop.layout.display = None if done < 1 else "none"


class Explorer(w.VBox):
    """Controls above the picture that `draw(**their values)` makes, made again whenever one of them changes.

    draw: settings -> Picture; or a generator of Pictures, each shown as it comes, with a bar and a button to stop.
    controls: widgets by the name of their setting, each with a `description`. A wide one (a Box) gets a row of its own.
    sheet: a list of settings; their pictures make the contact sheet that a committed notebook shows where no kernel runs.
    describe: one sentence for who sees neither. budget: seconds within which a change must be answered (`make bench` measures it).
    An error shows in words, with the last good picture kept.
    """

    def __init__(self, draw, controls, sheet, describe, budget=0.2):
        self.draw, self.controls, self.sheet, self.describe, self.budget = draw, controls, sheet, describe, budget
        self.picture, self.words = picture_and_words()
        self.progress = Progress(lambda: self.work.stop())
        self.work = Latest(self.progress.busy)
        for control in controls.values():
            if hasattr(control, "style"):
                control.style.description_width = "initial"
            if hasattr(control, "readout") and control.layout.width is None:    # a slider: room to slide beside its label
                control.layout.width = f"{260 + 7 * len(control.description)}px"
            control.observe(lambda change: self.redraw(), "value")
        wide = [control for control in controls.values() if isinstance(control, w.Box)]
        row = [control for control in controls.values() if control not in wide]
        super().__init__([*wide, w.HBox([*row, self.progress], layout=w.Layout(flex_flow="row wrap")), self.picture, self.words])
        self.add_class("workbook-explorer")
        self.redraw()

    def settings(self):
        return {name: control.value for name, control in self.controls.items()}

    def redraw(self):
        settings = self.settings()
        self.work.put(lambda outdated: self._show(settings, outdated))

    def _show(self, settings, outdated):
        try:
            for picture in _pictures(self.draw(**settings)):
                self.picture.value = picture.png()
                self.words.value = f"<span role='status'>{html.escape(picture.words)}</span>"
                self.progress.show(picture.done)
                if outdated():
                    return
        except Exception as error:  # whatever it is, the learner sees it in words rather than a dead widget
            self.words.value = in_words(error)

    def contact_sheet(self):
        """The pictures of all settings in `sheet` under each other, as PNG bytes."""
        pages = []
        for settings in self.sheet:
            *_, picture = _pictures(self.draw(**settings))
            pages.append((", ".join(f"{name}: {value}" for name, value in settings.items()), Image.open(io.BytesIO(picture.png()))))
        head, font = 22, ImageFont.load_default(14)
        whole = Image.new("RGB", (max(page.width for _, page in pages), sum(head + page.height for _, page in pages)), "white")
        top = 0
        for title, page in pages:
            ImageDraw.Draw(whole).text((8, top + 3), title, "black", font)
            whole.paste(page, (0, top + head))
            top += head + page.height
        file = io.BytesIO()
        whole.save(file, "png", optimize=True)
        if len(file.getvalue()) > MAX_SHEET:
            file = io.BytesIO()
            whole.quantize(256).save(file, "png", optimize=True)
        return file.getvalue()

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options) or {}
        bundle["text/plain"] = f"{self.describe} (run this cell to move its controls)"
        if building():
            bundle["image/png"] = base64.b64encode(self.contact_sheet()).decode()
        return bundle


def building():
    """True while `make build` makes a notebook that will be read where no kernel runs."""
    return bool(os.environ.get("WORKBOOK_STILLS"))


def _pictures(result):
    return result if isinstance(result, types.GeneratorType) else [result]
