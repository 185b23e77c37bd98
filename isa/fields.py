"""The fields of an instruction word: which bits hold what.

Positions are inferred from published words (docs/sources.md) and fit every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .exceptions import INVALID_INSTRUCTION

Words = Any
"""One 64-bit word as an int, or a numpy uint64 array of them."""


class OperandError(ValueError):
    """An operand does not fit its kind; `code` is the published exception the machine would raise."""

    def __init__(self, message: str, hint: str = "", code: int = INVALID_INSTRUCTION):
        super().__init__(message)
        self.hint, self.code = hint, code


@dataclass(frozen=True, slots=True)
class Field:
    """Bits `high` to `low` of a word."""

    high: int
    low: int

    @property
    def width(self) -> int:
        """Number of bits."""
        return self.high - self.low + 1

    @property
    def mask(self) -> int:
        """The field's bits, set."""
        return ((1 << self.width) - 1) << self.low

    def get(self, word: Words) -> Any:
        """The field's value in `word`."""
        if isinstance(word, int):
            return (word >> self.low) & ((1 << self.width) - 1)
        return (word >> np.uint64(self.low)) & np.uint64((1 << self.width) - 1)

    def put(self, value: int) -> int:
        """`value` moved to the field's place."""
        if not 0 <= value < 1 << self.width:
            raise OperandError(f"{value:#x} does not fit in {self.width} bits")
        return value << self.low


OPCODE = Field(63, 54)
DESTINATION = Field(53, 46)
SOURCES = (Field(45, 38), Field(30, 23), Field(21, 14))
IMMEDIATE_FLAG = Field(37, 37)
ROUNDING = Field(36, 34)
REUSE = (Field(32, 32), Field(33, 33))
SATURATE = Field(31, 31)
FLUSH = Field(22, 22)
OTHER_KIND = (Field(11, 11), Field(12, 12), Field(13, 13))
NEGATE = (Field(8, 8), Field(9, 9), Field(10, 10))
ABSOLUTE = (Field(5, 5), Field(6, 6), Field(7, 7))
SECOND_OPCODE = Field(4, 0)
IMMEDIATE = Field(31, 0)
