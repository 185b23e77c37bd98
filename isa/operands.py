"""Operand kinds: what an operand may be, how it is written, where its bits lie, and sample values.

Every kind owns its range, text form, encoding and samples; instructions only name kinds. A kind works on
one word (an int) and on numpy arrays of words alike, so the vectorised decoder uses the same code. Here are what
all kinds answer and the kinds that are registers; `source_kind`, `number_kinds`, `addresses` and `matrix_operands`
have the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from random import Random
from typing import Any, NamedTuple

import numpy as np

from .exceptions import INVALID_SREG, INVALID_VREG, MISALIGNED_SREG, MISALIGNED_VREG
from .fields import DESTINATION, SOURCES, Field, OperandError, Words
from .registers import (
    BANK_NAMES,
    CLOCKS,
    IVREG,
    LANE_SPECIALS,
    LAST_SREG,
    Register,
    number_table,
    numbers_of,
    pick,
    register_text,
)


class Address(NamedTuple):
    """`[offset + index * 2**scale] @base`; for TSM the base may be a single sreg inside the brackets."""

    offset: int = 0
    index: Register | None = None  # pyright: ignore[reportIncompatibleMethodOverride] (nor searches an address)
    scale: int = 0
    base: Register | None = None


Value = Register | Address | int | tuple[tuple[str, int], ...]
"""A parsed operand. The tuple is the counters (or the one function) of s.wait."""


def describe(value: Value) -> str:
    """What a parsed operand is, for messages."""
    match value:
        case Register(bank="v", count=1):
            return f"the vector register {register_text(value)}"
        case Register(bank="i"):
            return "ivreg, the vector register that x0 selects"
        case Register(bank="s", count=1):
            return f"the scalar register {register_text(value)}"
        case Register():
            return f"the register range {register_text(value)}"
        case Address():
            return "an address"
        case int():
            return f"the number {value:#x}"
        case _:
            return "a set of counters"


def check_register(value: Value, bank: str, words: int, allowed: np.ndarray, align: int | None = None) -> Register:
    """`value` if it is a register of that bank and width, else an error that says what is."""
    wanted = f"a {BANK_NAMES[bank]}" if words == 1 else f"an aligned range of {words} {BANK_NAMES[bank]}s"
    low = max(4, words)
    example = f"{bank}reg4" if words == 1 else f"{bank}reg[{low}:{low + words - 1}]"
    if not isinstance(value, Register) or value.bank != bank:
        raise OperandError(f"expected {wanted}, found {describe(value)}", f"for example {example}")
    named = value.bank == "s" and value.number > LAST_SREG
    if value.count != words and not named:
        hint = f"{words} registers belong here, for example {example}" if words > 1 else f"one register, {example}"
        has = "one register" if value.count == 1 else f"{value.count} registers"
        belong = "one belongs" if words == 1 else f"{words} belong"
        raise OperandError(f"{register_text(value)} has {has} where {belong}", hint)
    last = 255 if bank == "v" else LAST_SREG
    if not named and value.number + words - 1 > last:
        raise OperandError(
            f"there is no {register_text(value)}",
            f"{bank}reg0 to {bank}reg{last} exist",
            code=INVALID_VREG if bank == "v" else INVALID_SREG,
        )
    if not allowed[value.number]:
        if named:
            name = register_text(value)
            raise OperandError(f"{name} cannot stand here", _reader(name) or f"expected {wanted}")
        align = align or words
        low = value.number - value.number % align
        raise OperandError(
            f"{register_text(value)} is not aligned",
            f"a range of {words} starts at a multiple of {align}: {bank}reg[{low}:{low + words - 1}]",
            code=MISALIGNED_VREG if bank == "v" else MISALIGNED_SREG,
        )
    return value


def _reader(name: str) -> str:
    """A hint on which instruction reads a special register that only one can."""
    if name in LANE_SPECIALS:
        return f"it differs from lane to lane: read it with v.mov.b32 vreg4, {name}"
    return f"read it with s.mov.b64 sreg[4:5], {name}" if name in CLOCKS else ""


class Kind(ABC):
    """What stands at one place of an instruction. `name` is the operand's name in the pattern."""

    name = ""
    role = "source"

    @abstractmethod
    def bits(self, immediate: bool) -> int:
        """The word's bits this operand owns, in the register or the immediate layout."""

    @abstractmethod
    def encode(self, value: Value, immediate: bool) -> int:
        """`value` as bits in place; raises OperandError."""

    @abstractmethod
    def decode(self, word: int, immediate: bool) -> Value:
        """The value in a word whose bits are valid."""

    def valid(self, words: Words, immediate: bool) -> Any:
        """Whether the operand's bits mean something: a truth value or an array of them."""
        del immediate
        return np.ones(np.shape(words), bool)

    @abstractmethod
    def format(self, value: Value) -> str:
        """The value as it is written."""

    @abstractmethod
    def sample(self, random: Random, immediate: bool) -> Value:
        """A random valid value."""

    @abstractmethod
    def summary(self) -> str:
        """What may stand here, for the manual and for hints."""


class RegisterKind(Kind):
    """Registers of one bank only: a destination, or a source that must be of that bank."""

    def __init__(self, name: str, bank: str, words: int, field: Field, *, written: bool, align: int | None = None):
        self.name, self.bank, self.words, self.field, self.align = name, bank, words, field, align
        self.role = "destination" if written else "source"
        self.per_lane = bank == "v"
        self.allowed = numbers_of(bank, words, written=written, align=align)

    def bits(self, immediate: bool) -> int:
        return self.field.mask

    def encode(self, value: Value, immediate: bool) -> int:
        register = check_register(value, self.bank, self.words, self.allowed, self.align)
        if register.negate or register.absolute or register.reuse:
            raise OperandError(f"{register_text(register)}: no modifier can stand here")
        return self.field.put(register.number)

    def decode(self, word: int, immediate: bool) -> Register:
        return Register(self.bank, self.field.get(word), self.words)

    def valid(self, words: Words, immediate: bool) -> Any:
        return self.allowed[self.field.get(words)]

    def format(self, value: Value) -> str:
        assert isinstance(value, Register)
        return register_text(value)

    def sample(self, random: Random, immediate: bool) -> Register:
        return Register(self.bank, pick(random, self.allowed), self.words)

    def summary(self) -> str:
        what = BANK_NAMES[self.bank]
        even = f", the first one a multiple of {self.align}" if self.align else ", aligned"
        return what if self.words == 1 else f"{self.words} {what}s{even}"


class RegisterList(RegisterKind):
    """Consecutive registers of a bank, aligned or not, or one named scalar: the first one's number, and how many."""

    count = SOURCES[0]

    def __init__(self, name: str, bank: str):
        super().__init__(name, bank, 1, DESTINATION, written=False)
        self.last = 255 if bank == "v" else LAST_SREG

    def bits(self, immediate: bool) -> int:
        return self.field.mask | self.count.mask

    def encode(self, value: Value, immediate: bool) -> int:
        if not isinstance(value, Register) or value.bank != self.bank or not self._there(value.number, value.count):
            raise OperandError(
                f"expected {self.summary()}, found {describe(value)}", f"for example {self.bank}reg[3:5]"
            )
        return super().encode(value._replace(count=1), immediate) | self.count.put(value.count)

    def decode(self, word: int, immediate: bool) -> Register:
        return Register(self.bank, self.field.get(word), self.count.get(word))

    def valid(self, words: Words, immediate: bool) -> Any:
        return self._there(self.field.get(words), self.count.get(words))

    def _there(self, first: Any, count: Any) -> Any:
        return (count > 0) & ((first + count - 1 <= self.last) | ((count == 1) & self.allowed[first]))

    def sample(self, random: Random, immediate: bool) -> Register:
        first = random.randint(0, self.last)
        return Register(self.bank, first, random.randint(1, min(8, self.last + 1 - first)))

    def summary(self) -> str:
        return f"consecutive {BANK_NAMES[self.bank]}s"


class IndexedKind(Kind):
    """`ivreg`: the vector register whose number is in x0 when the instruction runs."""

    words, per_lane, bank = 1, True, "v"

    def __init__(self, name: str, *, written: bool):
        self.name = name
        self.role = "destination" if written else "source"

    def bits(self, immediate: bool) -> int:
        return 0

    def encode(self, value: Value, immediate: bool) -> int:
        if value != IVREG:
            raise OperandError(f"expected ivreg, found {describe(value)}", "its number goes to x0: s.mov.b32 x0, 3")
        return 0

    def decode(self, word: int, immediate: bool) -> Register:
        return IVREG

    def format(self, value: Value) -> str:
        return register_text(IVREG)

    def sample(self, random: Random, immediate: bool) -> Register:
        return IVREG

    def summary(self) -> str:
        return "ivreg, the vector register that x0 selects"


class NamedKind(RegisterKind):
    """Only the special registers of one table: the clocks, or those with one value per lane."""

    def __init__(self, name: str, names: Mapping[str, tuple[int, int]], words: int, field: Field):
        super().__init__(name, "s", words, field, written=False)
        self.names = names
        self.per_lane = names is LANE_SPECIALS
        self.allowed = number_table({number for number, _ in names.values()})

    def encode(self, value: Value, immediate: bool) -> int:
        if not isinstance(value, Register) or value.bank != "s" or not self.allowed[value.number]:
            raise OperandError(f"expected a special register, found {describe(value)}", f"one of {self.summary()}")
        return super().encode(value, immediate)

    def summary(self) -> str:
        return ", ".join(self.names)
