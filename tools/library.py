"""The macros of programs/include/ as docs/assembly.md and `m890 isa` show them: what their files say of them."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from ..isa.source import LIBRARY, included_by

_MACRO = re.compile(r"^((?://.*\n)+)\s+\.macro\s+(.*)$", re.MULTILINE)
_SECTION = re.compile(r"^//\s*\n", re.MULTILINE)


class Macro(NamedTuple):
    """A macro: the file to include for it, how it is called, and the comment above it, paragraph by paragraph."""

    file: str
    usage: str
    paragraphs: tuple[str, ...]

    @property
    def name(self) -> str:
        """What stands where an instruction would."""
        return self.usage.split()[0]


def macros_of(text: str, file: str = "") -> list[Macro]:
    """The macros of a file of the library."""
    found: list[Macro] = []
    for comment, head in _MACRO.findall(text):
        parts = [" ".join(line.lstrip("/ ") for line in part.splitlines()) for part in _SECTION.split(comment)]
        found.append(Macro(file, " ".join(head.split()), tuple(parts)))
    return found


def title(text: str) -> str:
    """What a file of the library is for: its first line."""
    return text.split("\n", 1)[0].lstrip("/ ")


@cache
def files() -> dict[str, str]:
    """The files of the library, by name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(LIBRARY.glob("*.inc"))}


@cache
def macros() -> dict[str, Macro]:
    """Every macro of the library, by name."""
    return {macro.name: macro for file, text in files().items() for macro in macros_of(text, included_by(file))}


__all__ = ["Macro", "files", "macros", "macros_of", "title"]
