"""Where code is: the functions and the kernel of a program, by record and by code address."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from ..isa.program import CODE_BASE, TEXT_BASE, TEXT_HEAD, Function, Kernel, Line

HEAD = Function(".text", TEXT_HEAD)
"""What `.text` begins with, as a function."""


class Piece(NamedTuple):
    """A function or kernel whose words begin at record number `first` and at code address `address`."""

    function: Function
    first: int
    address: int


class Spot(NamedTuple):
    """A word: the function it is in (or the kernel), and its byte offset there."""

    function: Function
    offset: int

    @property
    def callee(self) -> str:
        """The name of the device function, or nothing if it is the kernel."""
        return "" if isinstance(self.function, Kernel) else self.function.name

    @property
    def line(self) -> Line | None:
        """The source line it comes from."""
        return self.function.line_at(self.offset)

    @property
    def word(self) -> int | None:
        """The word; None behind the last one."""
        return int(self.function.words[self.offset // 8]) if self.offset < self.function.words.nbytes else None


def lay_out(kernel: Kernel, functions: Sequence[Function]) -> list[Piece]:
    """The pieces of a program by record: `.text` if there are functions, a record that faults, then the kernel."""
    pieces: list[Piece] = []
    first = 0
    for function in [HEAD, *functions] if functions else []:
        pieces.append(Piece(function, first, TEXT_BASE + 8 * first))
        first += function.words.size
    pieces.append(Piece(kernel, first + 1 if functions else 0, CODE_BASE))
    return pieces


def spot_of(pieces: Sequence[Piece], index: int) -> Spot:
    """The word that a record stands for; the record behind the last one stands for the place behind it."""
    found = bisect_right(pieces, index, key=lambda piece: piece.first) - 1
    if found < len(pieces) - 1 and index == pieces[-1].first - 1:  # the record behind `.text`
        found = len(pieces) - 2
    piece = pieces[found]
    return Spot(piece.function, 8 * (index - piece.first))
