"""From a source text to statements: comments, labels, macros, repetition, conditions and included files.

Nothing here knows instructions. `Reader.statements` yields what is left when its own directives are done, each
with the place it came from. Conditions ask the assembler for values through `Context`, as of that moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

from .diagnostics import Failure, Log, Place, SourceFile, nearest
from .listing import Listing, is_listing, word_of
from .program import ARCHITECTURES
from .syntax import split

MAX_NESTING = 64
"""How deep macros, repetitions and files may nest."""
MAX_EXPANDED_LINES = 400_000
"""How many lines macros, repetitions and included files may yield in all."""
MAX_LINE = 20_000
"""How long a line may become when arguments are put in."""
LIBRARY = Path(__file__).resolve().parent.parent / "programs" / "include"
"""Where `.include` looks last: macros that come with the package. Installed, too, the rooms lie side by side."""
LIBRARY_NAME = "<m890>/"
"""What line tables write for that folder, so that objects do not depend on where the package is installed."""

_COMMENT = re.compile(
    r""""(?:\\.|[^"\\\n])*+"|'(?:\\[^\n]|[^'\\\n])'|(?P<comment>//[^\n]*+|;[^\n]*+|/\*(?s:.*?)(?:\*/|\Z))"""
)
_LABEL = re.compile(r"\s*+(?:([A-Za-z_.$][\w.$]*+|[0-9]++)\s*+:|<([A-Za-z_.$][\w.$]*+)>:)")
_OPERATION = re.compile(r"\s*+([^\s(\"]++|\S)\s*+")
_SETTING = re.compile(r"\s*+([A-Za-z_.$][\w.$]*+)\s*+=(?!=)\s*+")
_LISTING = re.compile(r"\s*+[0-9A-Fa-f]++:\s++((?:[0-9A-Fa-f]{2}\s++){8})")
_NAME = re.compile(r"[A-Za-z_.$][\w.$]*+")
_MACRO = re.compile(r"([A-Za-z_.$][\w.$]*+)(?:\s*+,\s*+|\s++|$)(.*)")
_KEYWORD = re.compile(r"([A-Za-z_]\w*+)\s*+=(?!=)\s*+(.*)")
_ARGUMENT = re.compile(r"\\(@|\(\)|[A-Za-z_]\w*+)")
_FIRST_WORD = re.compile(r"\s*+(?:[\w.$]++\s*+:)?+\s*+(\.[a-z]++)(?![\w.$])")

CONDITIONS = frozenset((".if", ".ifdef", ".ifndef"))
OWN = CONDITIONS | {".macro", ".endm", ".rept", ".endr", ".elseif", ".else", ".endif", ".include"}
"""The directives that are done here."""


class Label(NamedTuple):
    """A label before a statement, and its column."""

    name: str
    column: int


class Statement(NamedTuple):
    """One line's work: labels, then an instruction or a directive and the text after it.

    `column` and `start` say where `operation` and `rest` begin in `place.text`. `words` is the word that a listing
    line says its text stands for, if its bytes are given lowest first, and if they are given highest first.
    """

    labels: tuple[Label, ...]
    operation: str
    column: int
    rest: str
    start: int
    place: Place
    words: tuple[int, int] | None = None


class Context(Protocol):
    """What the reader must ask the assembler."""

    def condition(self, text: str) -> int:
        """The value of a whole-number expression; raises Failure."""
        ...

    def defined(self, name: str) -> bool:
        """Whether the name has a value by now."""
        ...


class Lines(NamedTuple):
    """Lines of a file that follow one another, without their comments; `first` is the number of the first."""

    first: int
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Macro:
    """A `.macro` and what stands in it."""

    name: str
    parameters: tuple[tuple[str, str | None], ...]
    source: SourceFile
    body: Lines


@dataclass(slots=True)
class Condition:
    """An open `.if`: where it stands, whether a branch was taken, whether `.else` has come."""

    place: Place
    taken: bool
    last: bool = False


@dataclass(slots=True)
class Frame:
    """Lines being read: a file, the body of a macro, or of a repetition (`repeats` more times to go).

    `counter` is the name that stands for the number of the repetition, `number`, in `pattern`.
    """

    source: SourceFile
    lines: Lines
    parent: Place | None = None
    macro: str = ""
    repeats: int = 0
    counter: str = ""
    pattern: tuple[str, ...] = ()
    number: int = 0
    position: int = 0
    conditions: list[Condition] = field(default_factory=list[Condition])

    def count(self) -> None:
        """Put the number of the repetition into its lines."""
        values = {self.counter: str(self.number)}
        self.lines = Lines(self.lines.first, [_put_in(text, values) for text in self.pattern])

    def place(self, position: int) -> Place:
        """Where a line of this frame stands."""
        return Place(self.source, self.lines.first + position, self.lines.texts[position], self.parent, self.macro)


class Reader:
    """Yields the statements of a text."""

    def __init__(self, log: Log, context: Context, include: Sequence[Path]):
        self.log, self.context, self.include = log, context, include
        self.macros: dict[str, Macro] = {}
        self.frames: list[Frame] = []
        self.calls = 0
        self.budget = MAX_EXPANDED_LINES

    def statements(self, source: SourceFile) -> Iterator[Statement]:
        """The statements of the file and of all it includes, in order."""
        self.frames.append(Frame(source, self._lines(source)))
        while self.frames:
            frame = self.frames[-1]
            position = frame.position
            if position == len(frame.lines.texts):
                self._end(frame)
                continue
            frame.position += 1
            text = frame.lines.texts[position]
            if not text or text.isspace():
                continue
            try:
                statement = parse_line(text, frame.place(position))
                operation = statement.operation
                if operation in OWN or operation in self.macros:
                    if statement.labels:
                        yield statement._replace(operation="", rest="")
                    self._own(statement, frame)
                else:
                    yield statement
            except Failure as failure:
                self.log.error(frame.place(position), failure)

    def _own(self, statement: Statement, frame: Frame) -> None:
        try:
            match statement.operation:
                case ".macro":
                    self._define(statement, frame)
                case ".rept":
                    self._repeat(statement, frame)
                case ".include":
                    self._include(statement, frame)
                case ".if" | ".ifdef" | ".ifndef":
                    self._if(statement, frame)
                case ".elseif" | ".else" | ".endif":
                    self._next_branch(statement, frame)
                case ".endm" | ".endr":
                    opener = ".macro" if statement.operation == ".endm" else ".rept"
                    raise Failure(f"{statement.operation} without {opener}")
                case _:
                    self._call(self.macros[statement.operation], statement)
        except Failure as failure:
            raise _in_rest(failure, statement) from None

    def _lines(self, source: SourceFile) -> Lines:
        """The lines of a file, comments taken out and columns kept."""

        def blank(match: re.Match[str]) -> str:
            comment = match["comment"]
            if comment is None:
                return match[0]
            if not comment.startswith("/*"):
                return ""
            if len(comment) < 4 or not comment.endswith("*/"):
                number = match.string.count("\n", 0, match.start()) + 1
                place = Place(source, number, source.lines[number - 1])
                self.log.error(place, Failure("the comment /* is not closed", "close it with */"))
            return re.sub(r"[^\n]", " ", comment)

        lines: Sequence[str] = source.lines
        if is_listing(lines):
            listing = Listing(lines)
            lines = list(listing.lines())
            for number, words in listing.gaps:
                place = Place(source, number + 1, source.lines[number])
                what = f"leaves out {words} words" if words > 0 else "goes back"
                hint = "branches and lines are right only in a whole listing"
                self.log.warning(place, Failure(f"the listing {what} before this line", hint))
        text = _COMMENT.sub(blank, "\n".join(lines))
        return Lines(1, [line.rstrip() for line in text.split("\n")])

    def _push(self, frame: Frame) -> None:
        if len(self.frames) >= MAX_NESTING:
            raise Failure(
                f"macros, repetitions and files are nested more than {MAX_NESTING} deep",
                "something calls or includes itself without end: stop it with .if",
            )
        self.frames.append(frame)

    def _end(self, frame: Frame) -> None:
        """At the end of a frame: once more, or back to the one below."""
        for condition in frame.conditions:
            self.log.error(condition.place, Failure("the condition is not closed", "close it with .endif"))
        frame.conditions.clear()
        if frame.repeats:
            frame.repeats -= 1
            frame.position = 0
            if frame.counter:
                frame.number += 1
                frame.count()
        else:
            self.frames.pop()

    def _spend(self, lines: int) -> None:
        if lines > self.budget:
            raise Failure(f"macros, repetitions and files yield more than {MAX_EXPANDED_LINES:,} lines")
        self.budget -= lines

    def _body(self, frame: Frame, opener: str, closer: str) -> Lines:
        """The lines up to the closing directive, which is taken too."""
        depth, start, texts = 0, frame.position, frame.lines.texts
        for position in range(start, len(texts)):
            word = _first_word(texts[position])
            if word == opener:
                depth += 1
            elif word == closer:
                if depth == 0:
                    frame.position = position + 1
                    return Lines(frame.lines.first + start, texts[start:position])
                depth -= 1
        frame.position = len(texts)
        raise Failure(f"{opener} is not closed", f"close it with {closer}")

    # ---- macros -------------------------------------------------------------------------------------------------

    def _define(self, statement: Statement, frame: Frame) -> None:
        body = self._body(frame, ".macro", ".endm")
        head = _MACRO.fullmatch(statement.rest)
        if head is None:
            raise Failure("a macro needs a name", ".macro NAME a, b=default")
        name, rest = head[1], head[2]
        if name in OWN:
            raise Failure(f"{name} is a directive and cannot be a macro")
        parameters: list[tuple[str, str | None]] = []
        for text in [text for text, _, _ in split(rest)] if "," in rest or "=" in rest else rest.split():
            parameter, equals, default = text.partition("=")
            parameter = parameter.strip()
            if not re.fullmatch(r"[A-Za-z_]\w*", parameter):
                raise Failure(f"{parameter or 'nothing'} cannot be the name of a parameter", ".macro NAME a, b=default")
            if parameter in dict(parameters):
                raise Failure(f"the parameter {parameter} stands twice")
            parameters.append((parameter, default.strip() if equals else None))
        self.macros[name] = Macro(name, tuple(parameters), frame.source, body)

    def _call(self, macro: Macro, statement: Statement) -> None:
        values = _arguments(macro, statement.rest)
        self.calls += 1
        values["@"] = str(self.calls)
        values["()"] = ""
        self._spend(len(macro.body.texts))
        texts = [_put_in(text, values) for text in macro.body.texts]
        self._push(Frame(macro.source, Lines(macro.body.first, texts), statement.place, macro.name))

    def _repeat(self, statement: Statement, frame: Frame) -> None:
        lines = self._body(frame, ".rept", ".endr")
        times, *names = [text for text, _, _ in split(statement.rest)] or [""]
        counter = names[0] if names else ""
        if len(names) > 1 or (names and not re.fullmatch(r"[A-Za-z_]\w*", counter)):
            raise Failure(f"{', '.join(names)} cannot be the name of the number", ".rept COUNT, NAME")
        count = self.context.condition(times)
        if count < 0:
            raise Failure(f"cannot repeat {count} times")
        self._spend(max(1, len(lines.texts)) * count)
        if count and lines.texts:
            repeated = Frame(frame.source, lines, frame.parent, frame.macro, count - 1, counter, tuple(lines.texts))
            if counter:
                repeated.count()
            self._push(repeated)

    # ---- conditions ---------------------------------------------------------------------------------------------

    def _if(self, statement: Statement, frame: Frame) -> None:
        condition = Condition(statement.place, False)
        frame.conditions.append(condition)
        try:
            condition.taken = self._holds(statement.operation, statement.rest)
        finally:
            if not condition.taken:
                self._skip(frame)

    def _holds(self, operation: str, text: str) -> bool:
        if operation in (".if", ".elseif"):
            return self.context.condition(text) != 0
        if not _NAME.fullmatch(text):
            raise Failure(f"{operation} takes one name")
        return (self.context.defined(text) or text in self.macros) == (operation == ".ifdef")

    def _next_branch(self, statement: Statement, frame: Frame) -> None:
        """`.elseif`, `.else` or `.endif` where lines are read or, after _skip, where a branch may begin."""
        operation = statement.operation
        if not frame.conditions:
            raise Failure(f"{operation} without .if")
        condition = frame.conditions[-1]
        if operation == ".endif":
            frame.conditions.pop()
            return
        if condition.last:
            raise Failure(f"{operation} after .else")
        condition.last = operation == ".else"
        try:
            begin = not condition.taken and (operation == ".else" or self._holds(operation, statement.rest))
        except Failure:
            self._skip(frame)
            raise
        condition.taken = condition.taken or begin
        if not begin:
            self._skip(frame)

    def _skip(self, frame: Frame) -> None:
        """Pass over lines up to this condition's next branch or end."""
        depth, texts = 0, frame.lines.texts
        while frame.position < len(texts):
            word = _first_word(texts[frame.position])
            if word in CONDITIONS:
                depth += 1
            elif depth == 0 and word in (".elseif", ".else", ".endif"):
                return
            elif word == ".endif":
                depth -= 1
            frame.position += 1

    # ---- files --------------------------------------------------------------------------------------------------

    def _include(self, statement: Statement, frame: Frame) -> None:
        name = statement.rest
        if len(name) < 3 or name[0] != '"' or name[-1] != '"':
            raise Failure(".include takes a file name in quotes", '.include "common.inc"')
        name = name[1:-1]
        near = [frame.source.path.parent] if frame.source.path else []
        folders = [*near, *self.include, LIBRARY]
        for folder in folders:
            try:
                path = folder / name
                text = path.read_text(encoding="utf-8") if path.is_file() else None
            except (OSError, ValueError) as error:
                raise Failure(f"cannot read {name}: {error}", "a source file is UTF-8 text") from None
            if text is not None:
                recorded = LIBRARY_NAME + name if folder == LIBRARY else ""
                source = read_lines(text, str(path), path, recorded)
                self._spend(len(source.lines))
                self._push(Frame(source, self._lines(source), statement.place))
                return
        like = nearest(name, (path.name for path in LIBRARY.glob("*.inc")))
        searched = "searched " + ", ".join([*map(str, folders[:-1]), "the library"])
        raise Failure(f"there is no file {name}", f"{like} {searched}" if like else searched)


@cache
def library_macros() -> dict[str, str]:
    """Which file of the library to include for a macro."""
    found: dict[str, str] = {}
    for path in LIBRARY.glob("*.inc"):
        for name in re.findall(r"^\s*\.macro\s+(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            found[name] = included_by(path.name)
    return found


def included_by(file: str) -> str:
    """The file of the library that a text includes for this one: NAME.inc for what NAME_ppu001.inc has for ppu001."""
    name, _, arch = file.removesuffix(".inc").rpartition("_")
    return f"{name}.inc" if arch in ARCHITECTURES else file


def read_lines(text: str, name: str, path: Path | None = None, recorded: str = "") -> SourceFile:
    """A text as lines, whatever ends them."""
    return SourceFile(name, tuple(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")), path, recorded)


def open_recorded(file: str) -> Path:
    """Where the file is that line tables call so."""
    return LIBRARY / file.removeprefix(LIBRARY_NAME) if file.startswith(LIBRARY_NAME) else Path(file)


def parse_line(text: str, place: Place) -> Statement:
    """The labels, operation and rest of one line without comments; raises Failure."""
    labels: tuple[Label, ...] = ()
    words, position = None, 0
    if ":" in text:
        listing = _LISTING.match(text)
        if listing:
            words, position = word_of(listing[1]), listing.end()
        while match := _LABEL.match(text, position):
            labels += (Label(match[1] or match[2], match.start(1 if match[1] else 2)),)
            position = match.end()
    match = _OPERATION.match(text, position)
    if match is None:
        return Statement(labels, "", position, "", position, place, words)
    if "=" in text and match[1][0] not in "\"'":
        setting = _SETTING.match(text, position)
        if setting:
            return Statement(labels, "=", setting.start(1), text[setting.start(1) :], setting.start(1), place, words)
    return Statement(labels, match[1], match.start(1), text[match.end() :].rstrip(), match.end(), place, words)


def _first_word(text: str) -> str:
    """The directive a line begins with, if it is one, be it after a label."""
    if "." not in text:
        return ""
    match = _FIRST_WORD.match(text)
    return match[1] if match else ""


def _in_rest(failure: Failure, statement: Statement) -> Failure:
    if not statement.rest:
        return failure.within(statement.column, statement.column + len(statement.operation))
    return failure.within(statement.start, statement.start + len(statement.rest))


def _arguments(macro: Macro, text: str) -> dict[str, str]:
    """The values of a macro's parameters in a call; raises Failure."""
    values: dict[str, str] = {}
    names = [name for name, _ in macro.parameters]
    usage = ", ".join(name if default is None else f"{name}={default}" for name, default in macro.parameters)
    hint = f"usage: {macro.name} {usage}".rstrip()
    given = split(text)
    for position, (value, start, _) in enumerate(given):
        end = start + len(value)
        keyword = _KEYWORD.fullmatch(value)
        if keyword is None and position >= len(names):
            raise Failure(f"{macro.name} takes {len(names)} arguments, found {len(given)}", hint, start, end)
        name, value = (keyword[1], keyword[2]) if keyword else (names[position], value)
        if name not in names:
            raise Failure(f"{macro.name} has no parameter {name}", nearest(name, names) or hint, start, end)
        values[name] = value
    for name, default in macro.parameters:
        if name not in values:
            if default is None:
                raise Failure(f"{macro.name} needs a value for {name}", hint)
            values[name] = default
    return values


def _put_in(text: str, values: dict[str, str]) -> str:
    if "\\" not in text:
        return text
    text = _ARGUMENT.sub(lambda match: values.get(match[1], match[0]), text)
    if len(text) > MAX_LINE:
        raise Failure(f"a line of more than {MAX_LINE:,} characters comes out of a macro")
    return text
