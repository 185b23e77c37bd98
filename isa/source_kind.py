"""The usual source operand: a register of either bank with its modifiers, or the immediate."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from .fields import ABSOLUTE, IMMEDIATE, NEGATE, OTHER_KIND, REUSE, SOURCES, Field, OperandError, Words
from .operands import Kind, Value, check_register, describe
from .registers import BANK_NAMES, IVREG, LAST_SREG, ZERO, Register, numbers_of, pick, register_text


@dataclass(frozen=True, slots=True)
class SourceFlags:
    """What a source may be, derived from the pattern and the body's annotation."""

    either: bool
    """Both banks (vector instructions)."""
    last: bool
    """It is the immediate in the immediate layout."""
    signed: bool
    """Takes the float modifiers ! and |x|."""
    float: bool
    sources: int
    """How many sources the instruction has."""
    lowest_immediate: int
    reuse: bool = True


class Source(Kind):
    """A source at position 0 to 2: its usual bank, and for vector instructions the other one too.

    In the immediate layout the last source is the 32-bit immediate. Float sources take `!` and `|...|`.
    """

    def __init__(self, name: str, position: int, usual: str, words: int, *, flags: SourceFlags):
        self.name, self.position, self.usual, self.words, self.flags = name, position, usual, words, flags
        self.field = SOURCES[position]
        self.tables = {bank: numbers_of(bank, words, written=False) for bank in "vs"}

    def _is_immediate(self, immediate: bool) -> bool:
        return immediate and self.flags.last

    def _extra(self, immediate: bool) -> list[Field]:
        fields: list[Field] = [REUSE[self.position]] if self.position < 2 and self.flags.reuse else []
        if not immediate:
            fields += [OTHER_KIND[self.position]] if self.flags.either else []
            fields += [NEGATE[self.position], ABSOLUTE[self.position]] if self.flags.signed else []
        return fields

    def bits(self, immediate: bool) -> int:
        if self._is_immediate(immediate):
            return IMMEDIATE.mask
        return self.field.mask | sum(field.mask for field in self._extra(immediate))

    def _other(self) -> str:
        return "s" if self.usual == "v" else "v"

    def encode(self, value: Value, immediate: bool) -> int:
        if isinstance(value, int):
            return self._encode_number(value, immediate)
        if self._is_immediate(immediate):
            raise OperandError(f"expected a number, found {describe(value)}")
        if not isinstance(value, Register):
            raise OperandError(f"expected {self.summary()}, found {describe(value)}")
        if value == IVREG:
            raise OperandError("ivreg cannot stand here", "only v.mov.b32 reads it: v.mov.b32 vreg4, ivreg")
        bank = value.bank if self.flags.either else self.usual
        check_register(value, bank, self.words, self.tables[bank])
        bits = self.field.put(value.number)
        available = self._extra(immediate)
        wanted = {
            OTHER_KIND[self.position]: bank != self.usual,
            NEGATE[self.position]: value.negate,
            ABSOLUTE[self.position]: value.absolute,
        }
        if self.position < 2:
            wanted[REUSE[self.position]] = value.reuse
        for field, on in wanted.items():
            if on and field not in available:
                raise OperandError(f"{register_text(value)} cannot stand here", self._why_not(immediate))
            bits |= field.mask if on else 0
        return bits

    def _why_not(self, immediate: bool) -> str:
        if immediate:
            return (
                f"beside an immediate only a plain {BANK_NAMES[self.usual]} fits: move one of them to a register first"
            )
        return "this source takes no such modifier"

    def _encode_number(self, value: int, immediate: bool) -> int:
        if self._is_immediate(immediate):
            low = self.flags.lowest_immediate
            if not low <= value < 1 << (32 if low >= 0 or self.words == 1 else 31):
                raise OperandError(
                    f"the immediate {value:#x} does not fit in 32 bits",
                    "load it into a register pair: s.mov.b32 of lo(x) and hi(x)",
                )
            return IMMEDIATE.put(value & 0xFFFFFFFF)
        if value in (0, 1) and not self.flags.float and not immediate:
            return self.encode(Register("s", ZERO + value), immediate)
        if self.flags.sources == 3:
            hint = "three-source instructions take no immediate: s.mov.b32 it to an sreg (c0x0 and c0x1 are free)"
        else:
            hint = "only the last source can be an immediate: swap the operands or use s.mov.b32"
        raise OperandError(f"the number {value:#x} cannot stand here", hint)

    def decode(self, word: int, immediate: bool) -> Value:
        if self._is_immediate(immediate):
            value = IMMEDIATE.get(word)
            return value - (1 << 32) if self.flags.lowest_immediate < 0 and self.words == 2 and value >> 31 else value
        extra = self._extra(immediate)

        def on(field: Field) -> bool:
            return field in extra and bool(field.get(word))

        bank = self._other() if on(OTHER_KIND[self.position]) else self.usual
        number = self.field.get(word)
        count = 1 if bank == "s" and number > LAST_SREG else self.words
        reuse = self.position < 2 and on(REUSE[self.position])
        return Register(bank, number, count, on(NEGATE[self.position]), on(ABSOLUTE[self.position]), reuse)

    def valid(self, words: Words, immediate: bool) -> Any:
        if self._is_immediate(immediate):
            return np.ones(np.shape(words), bool)
        number = self.field.get(words)
        usual = self.tables[self.usual][number]
        if not self.flags.either or immediate:
            return usual
        other = self.tables[self._other()][number]
        return np.where(OTHER_KIND[self.position].get(words) == 1, other, usual)

    def format(self, value: Value) -> str:
        if isinstance(value, int):
            return f"-{-value:#x}" if value < 0 else f"{value:#x}"
        assert isinstance(value, Register)
        return register_text(value)

    def sample(self, random: Random, immediate: bool) -> Value:
        if self._is_immediate(immediate):
            bits = random.choice([0, 1, 31, 32, 0x3F800000, 0x7FC00000, 0xFFFFFFFF, random.getrandbits(32)])
            return self.decode(IMMEDIATE.put(bits), immediate)
        extra = self._extra(immediate)
        bank = random.choice("vs") if OTHER_KIND[self.position] in extra else self.usual
        number = pick(random, self.tables[bank])
        count = 1 if bank == "s" and number > LAST_SREG else self.words
        signed = NEGATE[self.position] in extra
        chance = [random.random() < 0.2 for _ in range(3)]
        reuse = self.position < 2 and REUSE[self.position] in extra
        return Register(bank, number, count, signed and chance[0], signed and chance[1], reuse and chance[2])

    def summary(self) -> str:
        banks = "vs" if self.flags.either else self.usual
        what = " or ".join(BANK_NAMES[bank] for bank in banks)
        what = what if self.words == 1 else f"{what} pair"
        constant = ", immediate" if self.flags.last else ""
        return f"{what}{constant}{', with ! and |x|' if self.flags.signed else ''}"
