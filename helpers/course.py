"""What a learner calls in a notebook: check, hint, reveal, predict, progress. Nothing here ever waits for input()."""
import functools
import html
import json
import os
import re
import traceback
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from markdown_it import MarkdownIt

from . import lesson
from ._files import whole
from .checking import Wrong, WrongType

COLOURS = {"correct": "#2a9d55", "wrong": "#d1495b", "wrong type or shape": "#d1495b", "not attempted": "#8a8a8a", "note": "#3a7ca5"}
MARKS = {"correct": "✓", "wrong": "✗", "wrong type or shape": "✗", "not attempted": "○", "note": "→"}

_hints_shown = {}
_asked_to_reveal = set()
_touched = None


@dataclass(frozen=True)
class Result:
    """A verdict: `status` is a key of COLOURS, `text` says more (markdown inline). Shows as one line of text and as a coloured box."""
    status: str
    text: str
    title: str = ""
    code: str = ""

    def __str__(self):
        pieces = re.split(r"`([^`]*)`", self.text)     # every second one is code, and stays as it is
        plain = "".join(piece if i % 2 else re.sub(r"\*+(\w[^*]*)\*+", r"\1", piece) for i, piece in enumerate(pieces))
        return f"{MARKS[self.status]} {self.title}: {plain}" + (f"\n\n{self.code}" if self.code else "")

    def _repr_html_(self):
        colour, body = COLOURS[self.status], MarkdownIt().render(self.text)
        code = f"<pre style='background:transparent;margin:.4em 0'>{html.escape(self.code)}</pre>" if self.code else ""
        return (f"<div role='status' style='border-left:4px solid {colour};background:{colour}1f;padding:.3em .9em;margin:.3em 0'>"
                f"<b style='color:{colour}'>{MARKS[self.status]}</b> <b>{html.escape(self.title)}</b>{body}{code}</div>")

    def show(self):
        try:
            from IPython.display import display
            display({"text/plain": str(self), "text/html": self._repr_html_()}, raw=True)
        except ImportError:
            print(self)


# ---- checks ----

def run_check(id, obj):
    """Check `obj` against exercise `id` and return the Result, without showing or keeping it."""
    part = lesson.part(id)
    if part.kind != "exercise":
        raise lesson.NoSuchPart(f"{id} is not an exercise with a check" + (f'; use predict("{id}", your_guess).' if part.kind == "predict" else "."))
    if not callable(obj):
        return Result("wrong type or shape", f'hand over the function itself, `check("{id}", {part.target})`, without calling it: '
                      f"a `{type(obj).__name__}` came.", f"{id} wrong type")
    check = lesson.function(id, "check")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            text = check(obj)
    except NotImplementedError as error:
        said = str(error)
        if said and not said.startswith("Exercise "):      # PyTorch's own
            return Result("wrong", _describe(error), f"{id} your code raised an error")
        if not said.startswith(f"Exercise {id}:"):
            return Result("not attempted", f"this uses something that is not written yet: {said}", f"{id} not attempted")
        return Result("not attempted", f'write `{part.target}`, run its cell, then this one. Stuck? `hint("{id}")`', f"{id} not attempted")
    except WrongType as error:
        return Result("wrong type or shape", str(error), f"{id} wrong type or shape")
    except Wrong as error:
        return Result("wrong", str(error), f"{id} not yet right")
    except Exception as error:
        return Result("wrong", _describe(error), f"{id} your code raised an error")
    return Result("correct", text or "well done.", f"{id} correct")


def _describe(error):
    """An exception in the learner's code: what, and the line of theirs it came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if not frame.filename.startswith("<check") and Path(__file__).parent not in Path(frame.filename).parents
              and "site-packages" not in frame.filename]
    where = f" In `{frames[-1].name}`, line {frames[-1].lineno}: `{frames[-1].line}`." if frames and frames[-1].line else ""
    advice = next((f" {words}" for pattern, words in ADVICE.items() if re.search(pattern, str(error))), "")
    return f"`{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}`.{where}{advice}"


ADVICE = {   # what the commonest errors of PyTorch want to say
    "does not require grad": "The tensor you differentiate for must record gradients *before* the model sees it: `images.clone().requires_grad_()`.",
    "'tuple' object has no attribute": "`torch.autograd.grad` returns a tuple: write `gradient, = torch.autograd.grad(...)`, with the comma.",
    "'NoneType' object has no attribute": "Something is `None`: a function without `return`, or the `.grad` of a tensor that is not a leaf (`.detach().requires_grad_()`).",
    "must match the size of tensor": "Two shapes do not fit. One number for each image needs shape N x 1 x 1 x 1: `keepdim=True`, or `.view(-1, 1, 1, 1)`.",
    "Boolean value of Tensor": "An `if` wants one truth value, but here is one for each image: use `torch.where`.",
    "could not infer output dtype|not implemented for 'Bool'": "Truth values have no mean: `.float()` first.",
    "not implemented for 'Long'": "Are the arguments of `F.cross_entropy` the right way round: scores first, then labels?",
    "leaf variable that requires grad|leaf Variable": "Work on a copy: `images.clone()` first.",
}


def _in_a_box(function):
    """What was asked for wrongly (a number that is not there, say) is told in a box, not in a traceback."""
    @functools.wraps(function)
    def boxed(*arguments):
        try:
            return function(*arguments)
        except lesson.NoSuchPart as error:
            Result("note", str(error), "Which exercise?").show()
    return boxed


@_in_a_box
def check(id, obj):
    """Check your answer to exercise `id`: check("3.1", fgsm). Says correct, not attempted, wrong type or shape, or wrong and why."""
    result = run_check(id, obj)
    if result.status == "correct":
        result = _keep(result, "done", id, True)
    _touch(id)
    result.show()


@_in_a_box
def hint(id):
    """Show a hint for exercise `id`; one more level with each call."""
    part = lesson.part(id)
    _touch(id)
    if not part.hints:
        return Result("note", "there are no hints for this one.", f"{id} hint").show()
    level = _hints_shown[id] = min(_hints_shown.get(id, 0) + 1, len(part.hints))
    text = part.hints[level - 1]
    if level == len(part.hints):
        text += f'\n\nThat was the last hint. `reveal("{id}")` shows a solution.'
    Result("note", text, f"{id} hint {level} of {len(part.hints)}").show()


@_in_a_box
def reveal(id):
    """Show the solution of exercise `id`: the first call asks whether you are sure, the second shows it."""
    part = lesson.part(id)
    _touch(id)
    if part.kind != "exercise":
        return Result("note", "there is nothing to reveal here.", id).show()
    if id not in _asked_to_reveal:
        _asked_to_reveal.add(id)
        left = len(part.hints) - _hints_shown.get(id, 0)
        more = f" There {'is one hint' if left == 1 else f'are {left} hints'} you have not seen: `hint(\"{id}\")`." if left else ""
        return Result("note", f"sure? Ten more minutes of your own are worth more than our lines.{more} Run `reveal(\"{id}\")` again to see it.",
                      f"{id} solution").show()
    if id not in _read().get("done", {}):
        _keep(None, "revealed", id, True)
    Result("note", "one way to write it; read it, close it, write it yourself.", f"{id} solution", part.solution).show()


@_in_a_box
def predict(id, guess):
    """Say what you expect; then the picture comes, with your guess beside it. Your first guess is the one that is kept."""
    part = lesson.part(id)
    _touch(id)
    if part.kind != "predict":
        raise lesson.NoSuchPart(f"{id} is not a prediction" + (f'; use check("{id}", {part.target}).' if part.kind == "exercise" else "."))
    wanted = f"one of {', '.join(map(repr, part.choices))}" if part.choices else f"a number from {part.low:g} to {part.high:g}{_unit(part)}"
    if guess is ...:
        return Result("not attempted", f"put your guess in place of `...`: {wanted}. The picture comes after it.", f"{id} your guess?").show()
    guess = guess.item() if hasattr(guess, "item") else guess
    valid = guess in part.choices if part.choices else (
        isinstance(guess, (int, float)) and not isinstance(guess, bool) and part.low <= guess <= part.high)
    if not valid:
        return Result("wrong type or shape", f"a guess is {wanted}, but `{guess!r}` came.", f"{id} your guess?").show()
    first = _read().get("guesses", {}).get(id, guess)
    answer = lesson.function(id, "answer")(first)
    shown = f"{first}{'' if part.choices else _unit(part)}"
    again = "" if first == guess else f" (this time {guess}; the first guess counts)"
    _keep(Result("note", f"you said {shown}{again}. {answer}", f"{id} guess and measurement"), "guesses", id, first).show()
    _show_figures()


def _unit(part):
    return f" {part.unit}" if part.unit else ""


def _show_figures():
    import matplotlib.pyplot as plt
    if plt.get_fignums():
        plt.show()


# ---- progress ----

def progress(unit=None):
    """What is done, in the course and in one unit: progress(), or progress("03")."""
    kept = _read()
    ticked = kept.get("done", {}).keys() | kept.get("guesses", {}).keys()
    rows, unit = [], str(unit).zfill(2) if unit is not None else _touched
    for folder in lesson.folders():
        book = lesson.workbook(folder.name)
        counted = [part for part in book.parts if part.kind != "part"]
        done = sum(part.id in ticked for part in counted)
        rows.append(f"{book.title}: {done} of {len(counted)}" + (" ✓" if done == len(counted) else ""))
        if unit in (book.unit, book.folder):
            for part in counted:
                mark = "✓" if part.id in ticked else "○"
                extra = "" if part.core else " (optional)"
                extra += " (solution seen)" if part.id in kept.get("revealed", {}) else ""
                rows.append(f"    {mark} {part.id} {part.title}{extra}")
    Result("note", "what is done so far.", "Progress", "\n".join(rows)).show()


def _touch(id):
    global _touched
    _touched = lesson.unit_of(id)


def _file():
    if os.environ.get("WORKBOOK_PROGRESS"):
        return Path(os.environ["WORKBOOK_PROGRESS"])
    return lesson.LESSONS.parent / "my-work" / "progress.json"


def _read():
    try:
        return json.loads(_file().read_text())
    except (OSError, ValueError):  # not there yet; or damaged, and then set aside when the next entry is written
        return {}


def _keep(result, kind, id, value):
    """Write one entry, safe against another notebook doing the same; a result that cannot be kept says so and counts all the same."""
    path = _file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=5):
            try:
                kept = json.loads(path.read_text()) if path.exists() else {}
            except ValueError:
                os.replace(path, f"{path}.damaged")
                kept = {}
            kept.setdefault(kind, {})[id] = value
            with whole(path) as part:
                part.write_text(json.dumps(kept, indent=1))
    except (OSError, TimeoutError) as error:
        if result:
            return Result(result.status, f"{result.text} (Your progress could not be saved: {type(error).__name__}.)", result.title, result.code)
    return result
