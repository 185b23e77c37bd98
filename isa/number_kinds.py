"""Operands that are numbers: truth tables, lanes, branch targets, addresses of code and data."""

from __future__ import annotations

from random import Random
from typing import Any

from .fields import IMMEDIATE, Field, OperandError, Words
from .operands import Kind, Value, describe
from .program import DATA_BASE, DATA_SIZE


class Number(Kind):
    """An unsigned number in a field of its own: a truth table, a lane number."""

    def __init__(self, name: str, field: Field):
        self.name, self.field = name, field

    def bits(self, immediate: bool) -> int:
        return self.field.mask

    def encode(self, value: Value, immediate: bool) -> int:
        if not isinstance(value, int):
            raise OperandError(f"expected a number, found {describe(value)}")
        if not 0 <= value < 1 << self.field.width:
            raise OperandError(f"{value:#x} is out of range", f"0 to {(1 << self.field.width) - 1:#x}")
        return self.field.put(value)

    def decode(self, word: int, immediate: bool) -> int:
        return self.field.get(word)

    def format(self, value: Value) -> str:
        return f"{value:#x}"

    def sample(self, random: Random, immediate: bool) -> int:
        return random.getrandbits(self.field.width)

    def summary(self) -> str:
        return f"{self.field.width}-bit number"


class Target(Number):
    """A branch target: a label in source, in the word the signed distance in words from the next one."""

    def encode(self, value: Value, immediate: bool) -> int:
        if not isinstance(value, int):
            raise OperandError(f"expected a label, found {describe(value)}", "for example s.cbr loop")
        return super().encode(value, immediate)

    def distance(self, value: int) -> int:
        """The signed number of words from the next instruction to the target."""
        return value - (1 << self.field.width) if value >> (self.field.width - 1) else value

    def sample(self, random: Random, immediate: bool) -> int:
        return random.choice([0, 1, 2, 0xFFFFE, 0xFFFFF, random.getrandbits(self.field.width)])

    def summary(self) -> str:
        return "label, or the signed distance in words"


class DataAddress(Number):
    """The address of something in `.data`: a label in source, in the word the low half as a distance from its start."""

    def __init__(self, name: str):
        super().__init__(name, IMMEDIATE)

    def encode(self, value: Value, immediate: bool) -> int:
        if not isinstance(value, int) or not DATA_BASE <= value < DATA_BASE + DATA_SIZE:
            raise OperandError(
                f"expected the address of something in .data, found {describe(value)}", "a label behind .data"
            )
        return self.field.put(value - DATA_BASE)

    def decode(self, word: int, immediate: bool) -> int:
        return DATA_BASE + self.field.get(word)

    def valid(self, words: Words, immediate: bool) -> Any:
        return self.field.get(words) < DATA_SIZE

    def sample(self, random: Random, immediate: bool) -> int:
        return DATA_BASE + random.getrandbits(16)

    def summary(self) -> str:
        return "label in .data"


class CodeTarget(Number):
    """A place in the code: a function or a label in source, in the word its distance in bytes from CODE_BASE."""

    def __init__(self, name: str):
        super().__init__(name, IMMEDIATE)

    def encode(self, value: Value, immediate: bool) -> int:
        if not isinstance(value, int):
            raise OperandError(f"expected a function or a label, found {describe(value)}", "for example f")
        return super().encode(value, immediate)

    def distance(self, value: int) -> int:
        """The signed number of bytes from CODE_BASE to the target."""
        return value - (1 << 32) if value >> 31 else value

    def sample(self, random: Random, immediate: bool) -> int:
        return random.choice([0, 8, 0xC0000080, 0xFFFFFFFF, random.getrandbits(32)])

    def summary(self) -> str:
        return "function, label, or the distance in bytes from the kernel's first word"


class Lane(Number):
    """A lane number, or 0x20 for the first active lane."""

    def __init__(self, name: str):
        super().__init__(name, Field(28, 23))

    def encode(self, value: Value, immediate: bool) -> int:
        if isinstance(value, int) and value > 0x20:
            raise OperandError(f"there is no lane {value:#x}", "0 to 0x1f, or 0x20 for the first active lane")
        return super().encode(value, immediate)

    def valid(self, words: Words, immediate: bool) -> Any:
        return self.field.get(words) <= 0x20

    def sample(self, random: Random, immediate: bool) -> int:
        return random.randint(0, 0x20)

    def summary(self) -> str:
        return "lane 0 to 31, or 0x20 for the first active one"
