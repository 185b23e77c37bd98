"""How much a load or store moves per lane: the types b8 to b32x4 and their codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fields import Field
from .lanes import B32, LaneKind, Lanes

TYPE = Field(4, 1)
"""Where loads, stores and copies by lanes have the code of a Width."""


class B32x2(Lanes):
    """Two registers of 32 bits a lane, moved together; the value of a body is a tuple of two."""

    dtype = np.dtype(np.uint32)
    words = 2


class B32x4(Lanes):
    """Four registers of 32 bits a lane, moved together; the value of a body is a tuple of four."""

    dtype = np.dtype(np.uint32)
    words = 4


@dataclass(frozen=True, slots=True)
class Width:
    """One memory type: its name, its code in the word, and how many bytes in memory an `item` of a register has."""

    name: str
    code: int
    item: int
    signed: bool
    kind: LaneKind
    example: str
    example_bytes: str

    @property
    def size(self) -> int:
        """Bytes one lane moves."""
        return self.item * self.kind.words


WIDTHS = (
    Width("b8", 0, 1, False, B32, "0x85", "85"),
    Width("b16", 1, 2, False, B32, "0x8685", "8586"),
    Width("b32", 2, 4, False, B32, "0x04030201", "01020304"),
    Width("b32x2", 3, 4, False, B32x2, "0x04030201:0x08070605", "0102030405060708"),
    Width("b32x4", 4, 4, False, B32x4, "1:2:3:4", "01000000020000000300000004000000"),
    Width("s8", 5, 1, True, B32, "0xffffff85", "85"),
    Width("s16", 6, 2, True, B32, "0xffff8685", "8586"),
)
