"""A table of a launch file as it is read: every value is checked, and what is wrong is said with file, line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, cast

from .exits import InputError
from .initial import Init, parse
from .job import ArgumentValue, BufferSpec
from .launchfile_keys import HABITS, KEYS, Key

_MISSING = object()


class Table:
    """A TOML table being read, with the keys that may stand in it."""

    def __init__(self, path: Path, text: str, keys: tuple[str | int, ...], values: dict[str, Any]) -> None:
        self.path, self.source, self.keys, self.values = path, text, keys, values
        self.allowed: dict[str, Key] = {}

    @property
    def key(self) -> str:
        """The last part of the table's name."""
        return str(self.keys[-1])

    @property
    def where(self) -> str:
        """`gemm.toml:12: launch[0]`."""
        return self._where(self.keys)

    def at(self, key: str) -> str:
        """`gemm.toml:13: launch[0].object`."""
        return self._where((*self.keys, key))

    def _where(self, keys: tuple[str | int, ...]) -> str:
        line = _line_of(self.source, keys)
        return f"{self.path}{f':{line}' if line else ''}: {_name(keys)}"

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self.values

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raise InputError for a key of this table."""
        raise InputError(f"{self.at(key)}: {problem}")

    def only(self, sort: str, *tables: str) -> None:
        """Refuse keys that KEYS does not have for this sort of table, except `tables`."""
        self.allowed = KEYS[sort]
        names = [*self.allowed, *tables]
        for key in self.values:
            if key not in names:
                meant = HABITS.get(key)
                near = [meant] if meant in names else get_close_matches(key, names, n=1, cutoff=0.5)
                hint = f"did you mean '{near[0]}'?" if near else f"allowed are {', '.join(names)}"
                self.fail(key, f"unknown key: {hint}")

    def take(self, key: str, default: Any = _MISSING) -> Any:
        """The value of a key, or its default."""
        if key in self.values:
            return self.values[key]
        if default is not _MISSING:
            return default
        if not self.allowed[key].default:
            self.fail(key, f"missing: {self.allowed[key].meaning}")
        return tomllib.loads(f"default = {self.allowed[key].default}")["default"]

    def known(
        self, name: str, names: Iterable[str], what: str, *, key: str | None = None, listed: bool = False
    ) -> None:
        """Refuse a name that is none of `names`."""
        choices = list(names)
        if name not in choices:
            near = [] if listed else get_close_matches(name, choices, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(choices) or '(there are none)'}"
            self.fail(key or name, f"there is no {what} '{name}': {hint}")

    def text(self, key: str, default: Any = _MISSING) -> str:
        """A string."""
        value = self.take(key, default)
        if not isinstance(value, str):
            self.fail(key, f"a text in quotes belongs here, not {value!r}")
        return value

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        """One of some words."""
        value = self.text(key)
        if value not in choices:
            self.fail(key, f"{' or '.join(repr(choice) for choice in choices)}, not {value!r}")
        return value

    def whole(self, key: str, *, least: int = 0) -> int:
        """A whole number."""
        value = self.take(key)
        if type(value) is not int or value < least:
            self.fail(key, f"a whole number from {least} belongs here, not {value!r}")
        return value

    def number(self, key: str) -> float:
        """A number that is not negative."""
        value = self.take(key)
        if type(value) not in (int, float) or not value >= 0:
            self.fail(key, f"a number from 0 belongs here, not {value!r}")
        return float(value)

    def truth(self, key: str) -> bool:
        """True or false."""
        value = self.take(key)
        if type(value) is not bool:
            self.fail(key, f"true or false belongs here, not {value!r}")
        return value

    def extents(self, key: str, *, least: int = 1, most: int | None = 3) -> tuple[int, ...]:
        """Extents: `[4]`, `[4, 2]`, or `4`."""
        value = self.take(key)
        parts = cast("list[object]", value) if isinstance(value, list) else [value]
        good = all(type(part) is int and part >= least for part in parts)
        if not good or (most is not None and not 1 <= len(parts) <= most):
            count = f"1 to {most} " if most else ""
            self.fail(key, f"{count}whole numbers from {least} in [...] belong here, not {value!r}")
        return cast("tuple[int, ...]", tuple(parts))

    def init(self, key: str, folder: Path) -> Init:
        """A form of `initial`."""
        text = self.text(key)
        try:
            return parse(text, folder)
        except ValueError as error:
            self.fail(key, str(error))

    def argument(self, key: str, buffers: dict[str, BufferSpec]) -> ArgumentValue:
        """A number, a list of numbers, or the name of a buffer."""
        value = self.take(key)
        if isinstance(value, str):
            self.known(value, buffers, "buffer", key=key)
            return value
        numbers = cast("list[object]", value) if isinstance(value, list) else [value]
        if any(type(part) not in (int, float) for part in numbers):
            self.fail(key, f"a number, a list of numbers or the name of a buffer belongs here, not {value!r}")
        return cast("ArgumentValue", value)

    def table(self, key: str) -> Table:
        """A table inside this one; empty if it is not there."""
        value = self.take(key, {})
        if not isinstance(value, dict):
            self.fail(key, f"a table [{_name((*self.keys, key))}] belongs here, not {value!r}")
        return Table(self.path, self.source, (*self.keys, key), cast("dict[str, Any]", value))

    def tables_by_name(self, key: str) -> list[Table]:
        """The tables `[key.NAME]`."""
        outer = self.table(key)
        return [outer.table(name) for name in outer.values]

    def tables(self, key: str) -> list[Table]:
        """The tables `[[key]]`."""
        value = self.take(key, [])
        if not isinstance(value, list) or not all(isinstance(part, dict) for part in cast("list[object]", value)):
            self.fail(key, f"[[{key}]], with double brackets, begins each of these")
        parts = cast("list[dict[str, Any]]", value)
        return [Table(self.path, self.source, (key, index), part) for index, part in enumerate(parts)]


def _name(keys: tuple[str | int, ...]) -> str:
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\s\"'-]+?)\s*\]\]?\s*(?:#.*)?$")
_ASSIGNED = re.compile(r"\s*([\w.\s\"'-]+?)\s*=")


def _line_of(text: str, keys: tuple[str | int, ...]) -> int | None:
    """The line of a key, or of the nearest table around it; good for usual layouts, for tomllib tells no places."""
    lines: dict[tuple[str | int, ...], int] = {}
    counts: dict[str, int] = {}
    inside: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            inside = _parts(header[2])
            if header[1] == "[[":
                counts[header[2]] = counts.get(header[2], -1) + 1
                inside = (*inside, counts[header[2]])
            elif inside[0] in counts:
                inside = (inside[0], counts[str(inside[0])], *inside[1:])
            for end in range(1, len(inside) + 1):  # a table begins where the first one inside it does
                lines.setdefault(inside[:end], number)
        elif assigned := _ASSIGNED.match(line):
            lines.setdefault((*inside, *_parts(assigned[1])), number)
    for end in range(len(keys), 0, -1):
        if keys[:end] in lines:
            return lines[keys[:end]]
    return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
