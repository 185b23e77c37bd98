"""What goes out: messages to stderr, colour where a terminal shows it, files written whole or not at all."""

from __future__ import annotations

import json
import math
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, Any, cast

import click

TAG_COLOURS = {"published": "green", "measured": "cyan", "defined": "yellow"}
"""What each tag is shown in."""
SHOW_AFTER = 1.0
"""Seconds a run takes before progress is shown."""
SHOW_EVERY = 0.1


def wants_colour() -> bool | None:
    """False where the user declined colour; None leaves it to whether the stream is a terminal."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def style(text: str, **how: Any) -> str:
    """Mark up text; `click.echo` takes the marks out again where no terminal reads."""
    return click.style(text, **how)


def say(text: str) -> None:
    """Print a line of the result to stdout."""
    click.echo(text, color=wants_colour())


def show(text: str) -> None:
    """Print a text as it is to stdout, at once."""
    click.echo(text, nl=False, color=True)


def say_json(value: Any) -> None:
    """Print a result as JSON to stdout."""
    say(_json(_plain(value), ""))


def _json(value: Any, margin: str) -> str:
    """JSON with a line for each entry, but lists of plain values on one."""
    inside = margin + "  "
    if isinstance(value, dict) and value:
        entries = [
            f"{inside}{json.dumps(key)}: {_json(item, inside)}" for key, item in cast("dict[str, Any]", value).items()
        ]
        return "{\n" + ",\n".join(entries) + f"\n{margin}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in cast("list[Any]", value)):
        entries = [f"{inside}{_json(item, inside)}" for item in cast("list[Any]", value)]
        return "[\n" + ",\n".join(entries) + f"\n{margin}]"
    return json.dumps(value, allow_nan=False)


def counted(count: int, noun: str) -> str:
    """`1 word`, `2 words`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def duration(seconds: float | None) -> str:
    """A time in the unit that suits it, to three or four digits; nothing for None."""
    if not seconds:
        return "" if seconds is None else "0 s"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= 0.9995 * size:
            return f"{digits(seconds / size)} {unit}"
    return f"{digits(seconds / 1e-9)} ns"


def digits(value: float | None) -> str:
    """A number to three or four digits; nothing for None."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 1000 else f"{value:#.3g}".rstrip(".") if value >= 0.01 else f"{value:.4f}"


def complain(text: str, *, label: str = "error") -> None:
    """Print a message to stderr, `m890: error: ...`; no label, no prefix."""
    colour = {"warning": "yellow", "note": "cyan"}.get(label, "red")
    head = f"m890: {style(f'{label}:', fg=colour, bold=True)} " if label else ""
    click.echo(head + text, err=True, color=wants_colour())


def note(text: str) -> None:
    """Print a message of no weight to stderr."""
    click.echo(f"m890: {text}", err=True, color=wants_colour())


def diagnostic_text(diagnostic: Any) -> str:
    """A diagnostic of the assembler with its severity in colour."""
    colour = "red" if diagnostic.severity == "error" else "yellow"
    mark = f": {diagnostic.severity}: "
    return str(diagnostic).replace(mark, f": {style(diagnostic.severity, fg=colour, bold=True)}: ", 1)


def _plain(value: Any) -> Any:
    """`value` in terms of JSON: records as objects, numbers that are none as text, numpy's numbers as Python's."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    elif is_dataclass(value) and not isinstance(value, type):
        value = {entry.name: getattr(value, entry.name) for entry in fields(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[Any]", value)]
    return value


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Generator[IO[bytes], None, None]:
    """A file that appears under `path` complete, when the block ends well, or not at all.

    A pipe or device is written directly, `-` is stdout.
    """
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(os.path.realpath(path))
    mode = _mode(target)
    if mode is not None and not stat.S_ISREG(mode):
        with open(target, "wb") as file:
            yield file
        return
    try:
        handle, partial = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".partial")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            os.fchmod(file.fileno(), _default_mode() if mode is None else stat.S_IMODE(mode))
        os.replace(partial, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError:
        return None


def _default_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


class Compiling:
    """Says once on stderr that the time goes to compiling: a terminal at once, others if it takes long."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds, self.begun = seconds, seconds()
        self.said = False

    @property
    def taken(self) -> float:
        """Seconds that compiling has taken since this was made."""
        return self.seconds() - self.begun

    def __call__(self) -> None:
        """Something is about to be compiled."""
        if not self.said and (sys.stderr.isatty() or self.taken > SHOW_AFTER):
            self.said = True
            note("compiling instructions that have not run here before; later runs find them in a cache ...")


class Progress:
    """A line on stderr that counts blocks, from the first second of a launch on, if a terminal shows it."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.shown = False
        self.next = time.monotonic() + SHOW_AFTER
        self.active = sys.stderr.isatty()

    def __call__(self, finished: int, blocks: int) -> None:
        """Show how far the launch is."""
        now = time.monotonic()
        if self.active and now >= self.next:
            self.next, self.shown = now + SHOW_EVERY, True
            sys.stderr.write(f"\r{self.what}: {finished:,} of {blocks:,} blocks ({100 * finished // blocks} %)\x1b[K")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self.shown = False
