"""What is wrong with a source text, and where: every message with its line, a caret and a hint."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from .program import MacroCall

MAX_ERRORS = 50
"""After so many errors the assembler stops reading."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceFile:
    """A text as it was given: its name for messages, its lines, and its name in line tables if that is another."""

    name: str
    lines: tuple[str, ...]
    path: Path | None = None
    recorded: str = ""

    @property
    def table_name(self) -> str:
        """What line tables call it."""
        return self.recorded or self.name


class Place(NamedTuple):
    """A line: of a file (`macro` is empty), or of a macro's body with its arguments put in.

    `text` is the line without comments. `parent` is where the macro was called or the file included.
    """

    source: SourceFile
    line: int
    text: str
    parent: Place | None = None
    macro: str = ""

    def calls(self) -> tuple[MacroCall, ...]:
        """The macros that the line stands in, innermost first, as line tables have them."""
        found: list[MacroCall] = []
        step = self
        while step.parent:
            if step.macro:
                found.append(MacroCall(step.macro, step.parent.source.table_name, step.parent.line))
            step = step.parent
        return tuple(found)

    def root(self) -> Place:
        """The line of the outermost file that led here."""
        place = self
        while place.parent:
            place = place.parent
        return place


class Failure(ValueError):
    """One thing that is wrong; `start` and `end` are columns in the text at hand, from 0, or None for all of it.

    `hint` may be a function that finds the hint when the failure is reported, as it may never be.
    """

    def __init__(
        self, message: str, hint: str | Callable[[], str] = "", start: int | None = None, end: int | None = None
    ):
        super().__init__(message)
        self.message, self._hint, self.start, self.end = message, hint, start, end

    @property
    def hint(self) -> str:
        """What to do about it."""
        return self._hint if isinstance(self._hint, str) else self._hint()

    def within(self, start: int, end: int) -> Failure:
        """The same failure, its columns now counted in a text that holds the failing part from `start` to `end`."""
        self.end = end if self.end is None else self.end + start
        self.start = start if self.start is None else self.start + start
        return self


class Repeated(Failure):
    """A failure that follows from one already reported: it is not reported again."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An error or a warning. `line` and `column` count from 1, `length` is how many characters are meant.

    `text` is the source line; `notes` say through which macros and files it was reached.
    """

    file: str
    line: int
    column: int
    length: int
    message: str
    hint: str = ""
    severity: str = "error"
    text: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}"]
        if self.text.strip():
            margin = "".join("\t" if letter == "\t" else " " for letter in self.text[: self.column - 1])
            lines += [self.text, f"{margin}^{'~' * (self.length - 1)}"]
        lines += [f"hint: {self.hint}"] if self.hint else []
        return "\n".join([*lines, *self.notes])


class AssemblyError(ValueError):
    """A source text does not assemble; `diagnostics` has every error found, in the order of the text.

    `stopped` says that there were so many that the rest was not read.
    """

    def __init__(self, diagnostics: tuple[Diagnostic, ...], *, stopped: bool = False):
        more = [f"stopped after {len(diagnostics)} errors: the rest was not read"] if stopped else []
        super().__init__("\n\n".join([*map(str, diagnostics), *more]))
        self.diagnostics, self.stopped = diagnostics, stopped


class TooManyErrors(Exception):
    """Raised by Log.error to stop reading."""


class Log:
    """Collects errors and warnings; `noticed` is called with every error, those not reported again included."""

    def __init__(self, noticed: Callable[[], None] = lambda: None) -> None:
        self._noticed = noticed
        self._errors: list[tuple[int, Diagnostic]] = []
        self._warnings: list[tuple[int, Diagnostic]] = []

    def error(self, place: Place, failure: Failure) -> None:
        """Note an error, unless it only follows from another; raises TooManyErrors when it is one too many."""
        self._noticed()
        if isinstance(failure, Repeated):
            return
        self._errors.append((place.root().line, _diagnostic(place, failure, "error")))
        if len(self._errors) >= MAX_ERRORS:
            raise TooManyErrors

    def warning(self, place: Place, failure: Failure) -> None:
        """Note a warning."""
        self._warnings.append((place.root().line, _diagnostic(place, failure, "warning")))

    def finish(self, warn: Callable[[Diagnostic], None] | None) -> None:
        """Report the warnings, then raise AssemblyError if there was an error."""
        if warn is not None:
            for warning in _in_order(self._warnings):
                warn(warning)
        if self._errors:
            raise AssemblyError(_in_order(self._errors), stopped=len(self._errors) >= MAX_ERRORS)


def _in_order(found: list[tuple[int, Diagnostic]]) -> tuple[Diagnostic, ...]:
    return tuple(diagnostic for _, diagnostic in sorted(found, key=lambda entry: entry[0]))


def _diagnostic(place: Place, failure: Failure, severity: str) -> Diagnostic:
    text = place.text
    start = len(text) - len(text.lstrip()) if failure.start is None else failure.start
    end = len(text.rstrip()) if failure.end is None else failure.end
    line = place.source.lines[place.line - 1]
    shown = line if line.startswith(text) and not place.macro else text
    notes: list[str] = []
    step: Place = place
    while step.parent and len(notes) < 10:
        what = f"in macro {step.macro}, called" if step.macro else "included"
        step = step.parent
        notes.append(f"note: {what} at {step.source.name}:{step.line}")
    length = max(1, end - start)
    return Diagnostic(
        place.source.name, place.line, start + 1, length, failure.message, failure.hint, severity, shown, tuple(notes)
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint "did you mean ...?" for a misspelt word, or nothing."""
    close = get_close_matches(word[:80], known, n=3, cutoff=0.7)
    return f"did you mean {' or '.join(close)}?" if close else ""
