"""Reading a unit's source, lessons/NN_topic/workbook.py: exercises with their solutions, hints and checks in one place.

A markdown cell opens a part: `# %% [markdown] exercise="3.1" minutes=10 difficulty=1 core=true` (code to write, checked),
`predict="3.2" ...` (a guess before the picture) or `part="3.3" ...` (something to run and look at). Cells marked `setup`, `hints`,
`check` or `answer` serve the part named and never reach a notebook.
"""
import ast
import functools
import re
from dataclasses import dataclass, field
from pathlib import Path

LESSONS = Path(__file__).resolve().parent.parent / "lessons"
OPENERS = ("exercise", "predict", "part")
HIDDEN = ("setup", "hints", "check", "answer")
DETAILS = ("minutes", "difficulty", "core", "low", "high", "unit", "choices")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
SOLUTION = re.compile(rf"^([ \t]*){BEGIN}[ \t]*\n(.*?)^[ \t]*{END}[ \t]*$", re.DOTALL | re.MULTILINE)


class NoSuchPart(ValueError):
    """A learner asked for an exercise, a prediction or a unit that is not there; says which there are."""


class LessonError(ValueError):
    """A lesson that the builder refuses: the file, the part and what is missing."""


@dataclass
class Part:
    id: str
    kind: str                 # "exercise", "predict" or "part"
    title: str
    minutes: int
    core: bool
    difficulty: int = 0       # 1 to 3 for exercises
    cells: list = field(default_factory=list)
    hints: list = field(default_factory=list)
    check: str = ""           # source that defines check(obj) or answer(guess)
    choices: tuple = ()       # what a prediction may be, or () for a number
    low: float = 0
    high: float = 100
    unit: str = ""

    @property
    def solution(self):
        """What stands between the solution marks, with the lines around it, as one piece of code."""
        marked = [cell.source for cell in self.cells if BEGIN in cell.source]
        return "\n\n".join(re.sub(rf"^[ \t]*({BEGIN}|{END})[ \t]*\n?", "", source, flags=re.MULTILINE) for source in marked)

    def cut(self, source):
        """`source` as the learner finds it: NotImplementedError in place of each solution, ... in place of a guess."""
        source = SOLUTION.sub(lambda match: f'{match.group(1)}raise NotImplementedError("Exercise {self.id}: write {self.target}")', source)
        return re.sub(rf'^predict\("{re.escape(self.id)}", .*\)$', f'predict("{self.id}", ...)', source, flags=re.MULTILINE)

    @property
    def target(self):
        """The name handed to check() in the notebook."""
        found = re.search(rf'^check\("{re.escape(self.id)}", (\w+)\)', "\n".join(cell.source for cell in self.cells), re.MULTILINE)
        return found and found.group(1)


@dataclass
class Workbook:
    unit: str                 # "03"
    folder: str               # "03_adversarial_examples"
    title: str
    opening: list             # cells before the first part
    parts: list
    setup: str                # source that checks and answers share
    path: Path

    def minutes(self):
        return sum(part.minutes for part in self.parts if part.core)


def folders():
    """The folders of all units, in order."""
    if not LESSONS.is_dir():
        raise FileNotFoundError(f"the course's lessons are not in {LESSONS}. Install the course from its own checkout: pip install -e .")
    return sorted(path for path in LESSONS.iterdir() if (path / "workbook.py").exists())


@functools.lru_cache
def _read(path, stamp):
    return parse(path)


def workbook(unit):
    """The workbook of unit "03" (or of the folder's whole name); read again when the file has changed."""
    for path in folders():
        if path.name == unit or path.name[:2] == unit:
            return _read(path / "workbook.py", (path / "workbook.py").stat().st_mtime_ns)
    raise NoSuchPart(f"there is no unit {unit!r}. There is: {', '.join(path.name[:2] for path in folders())}.")


def unit_of(id):
    """The unit of an exercise: "03" for "3.2"."""
    return id.split(".")[0].zfill(2)


def part(id):
    """The part with this id: "3.2" is part 2 of unit 03. Raises ValueError for an unknown one, with those there are."""
    if not isinstance(id, str) or not re.fullmatch(r"\d+\.\d+", id):
        raise NoSuchPart(f'an exercise is named by its number as a string, like "3.2", but came as {id!r}.')
    book = workbook(unit_of(id))
    for found in book.parts:
        if found.id == id:
            return found
    raise NoSuchPart(f"unit {book.unit} has no {id!r}. It has: {', '.join(p.id for p in book.parts)}.")


def namespace(book):
    """What the unit's checks and answers see: its setup cell, run once."""
    space = {"__name__": f"unit_{book.unit}_checks"}
    exec(compile(book.setup, f"<checks of unit {book.unit}>", "exec"), space)
    return space


def function(id, name):
    """The function `name` ("check" or "answer") of the part `id`."""
    found = part(id)
    space = namespace(workbook(unit_of(id)))
    exec(compile(found.check, f"<{name} of {id}>", "exec"), space)
    return space[name]


def parse(path):
    """Read and vet a workbook. Raises LessonError for unbalanced marks and for what an exercise must have and has not."""
    import jupytext  # takes a second or two, which a notebook's first cell need not wait for
    path = Path(path)
    cells = jupytext.read(path, fmt="py:percent").cells
    unit = path.parent.name[:2]
    book = Workbook(unit, path.parent.name, "", [], [], "", path)
    refuse, by_id = functools.partial(_refuse, path), {}
    for cell in cells:
        meta = cell.metadata
        opener = next((key for key in OPENERS if key in meta), None)
        hidden = next((key for key in HIDDEN if key in meta), None)
        _vet_marks(cell.source, refuse)
        unknown = meta.keys() - {*OPENERS, *HIDDEN, *DETAILS, "budget", "tags", "lines_to_next_cell"}
        if unknown:
            refuse(f"unknown {', '.join(unknown)} at the cell that starts with {cell.source.splitlines()[0]!r}")
        if not opener and meta.keys() & set(DETAILS):
            refuse(f"no exercise=, predict= or part= with an id at the cell that starts with {cell.source.splitlines()[0]!r}")
        if BEGIN in cell.source and not book.parts:
            refuse("a solution before the first exercise")
        if opener:
            found = _open(meta, opener, cell, unit, refuse)
            if found.id in by_id:
                refuse(f"{found.id} is there twice")
            by_id[found.id] = found
            book.parts.append(found)
        elif hidden == "setup":
            book.setup += cell.source + "\n"
        elif hidden:
            if meta[hidden] not in by_id:
                refuse(f'{hidden}="{meta[hidden]}" belongs to no part before it')
            if hidden == "hints":
                by_id[meta[hidden]].hints = [hint.strip() for hint in re.split(r"^[-*] ", cell.source, flags=re.MULTILINE)[1:]]
            else:
                by_id[meta[hidden]].check = cell.source
        else:
            (book.parts[-1].cells if book.parts else book.opening).append(cell)
    heading = re.match(r"# (.+)", book.opening[0].source) if book.opening else None
    if not heading:
        refuse("the first cell must be markdown that starts with '# title'")
    book.title = heading.group(1)
    for promise in ("**You need:**", "**Afterwards you can:**"):
        if promise not in book.opening[0].source:
            refuse(f"the first cell must say {promise}")
    for found in book.parts:
        _vet(found, refuse)
    return book


def _refuse(path, why):
    raise LessonError(f"{path.parent.name}/{path.name}: {why}")


def _vet_marks(source, refuse):
    marks = re.findall(rf"^[ \t]*({BEGIN}|{END})[ \t]*$", source, re.MULTILINE)
    if marks != [BEGIN, END] * (len(marks) // 2) or source.count("BEGIN SOLUTION") + source.count("END SOLUTION") != len(marks):
        refuse(f"unbalanced solution marks in the cell that starts with {source.splitlines()[0]!r}")


def _open(meta, kind, cell, unit, refuse):
    id = meta[kind]
    if not isinstance(id, str) or not re.fullmatch(rf"{int(unit)}\.\d+", id):
        refuse(f'{kind}={id!r}: wanted an id like "{int(unit)}.1"')
    heading = re.match(r"## (.+)", cell.source)
    if not heading:
        refuse(f"{id} must start with '## title'")
    minutes = meta.get("minutes")
    if not isinstance(minutes, int) or not 1 <= minutes <= 15:
        refuse(f"{id} has no minutes (1 to 15)")
    if not isinstance(meta.get("core"), bool):
        refuse(f"{id} must say core=true or core=false")
    if kind == "exercise" and meta.get("difficulty") not in (1, 2, 3):
        refuse(f"{id} has no difficulty (1 to 3)")
    return Part(id, kind, heading.group(1), minutes, meta["core"], meta.get("difficulty", 0), [cell], choices=tuple(meta.get("choices", ())),
                low=meta.get("low", 0), high=meta.get("high", 100), unit=meta.get("unit", ""))


def _vet(part, refuse):
    source = "\n".join(cell.source for cell in part.cells)
    if part.kind == "exercise":
        if BEGIN not in source:
            refuse(f"{part.id} has no solution")
        if len(part.hints) < 2:
            refuse(f"{part.id} has {len(part.hints)} hints, and needs at least two")
        if "check" not in _defined(part.check):
            refuse(f"{part.id} has no check: a cell check=\"{part.id}\" that defines check(obj)")
        if not part.target:
            refuse(f'{part.id} never calls check("{part.id}", name)')
    elif BEGIN in source:
        refuse(f"{part.id} has a solution but is not an exercise")
    if part.kind == "predict":
        if "answer" not in _defined(part.check):
            refuse(f"{part.id} has no answer: a cell answer=\"{part.id}\" that defines answer(guess)")
        if f'predict("{part.id}", ' not in source:
            refuse(f'{part.id} never calls predict("{part.id}", ...)')


def _defined(source):
    return {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
