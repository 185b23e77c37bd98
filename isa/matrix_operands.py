"""Operands of matrix instructions: ranges that can be negated, and addresses of swizzled tiles."""

from __future__ import annotations

from random import Random
from typing import Any

from .addresses import BASE, INDEX, AddressKind
from .fields import REUSE, SOURCES, Field, OperandError, Words
from .operands import Address, RegisterKind, Value, check_register, describe
from .registers import Register, register_text
from .swizzle import Rows


class MatrixKind(RegisterKind):
    """A matrix operand: vector registers at source position 0 to 2, with `.reuse`, and `!` if `negate` has a place."""

    def __init__(self, name: str, position: int, words: int, align: int | None, negate: Field | None):
        super().__init__(name, "v", words, SOURCES[position], written=False, align=align)
        self.reuse = REUSE[position] if position < 2 else None
        self.negate = negate

    def bits(self, immediate: bool) -> int:
        """Its own, and those of its modifiers."""
        return self.field.mask | sum(field.mask for field in (self.reuse, self.negate) if field)

    def encode(self, value: Value, immediate: bool) -> int:
        """The range and its modifiers as bits in place; raises OperandError."""
        register = check_register(value, "v", self.words, self.allowed, self.align)
        if register.absolute or (register.negate and not self.negate) or (register.reuse and not self.reuse):
            raise OperandError(f"{register_text(register)} cannot stand here", "this operand takes no such modifier")
        bits = self.field.put(register.number)
        bits |= self.negate.mask if self.negate and register.negate else 0
        return bits | (self.reuse.mask if self.reuse and register.reuse else 0)

    def decode(self, word: int, immediate: bool) -> Register:
        """The range in a word, with its modifiers."""
        negate, reuse = (bool(field and field.get(word)) for field in (self.negate, self.reuse))
        return Register("v", self.field.get(word), self.words, negate=negate, reuse=reuse)

    def sample(self, random: Random, immediate: bool) -> Register:
        """A random range, modifiers now and then."""
        negate, reuse = (field is not None and random.random() < 0.2 for field in (self.negate, self.reuse))
        return super().sample(random, immediate)._replace(negate=negate, reuse=reuse)

    def summary(self) -> str:
        """What may stand here."""
        return super().summary() + (", with !" if self.negate else "")


class SwizzledAddress(AddressKind):
    """`[sregP] @sregS` of swizzled tiles: from these two registers come the addresses of all rows."""

    def __init__(self, name: str, rows: Rows):
        super().__init__(name, index_bank="s", base_bank="s", base_words=1)
        self.rows = rows

    def bits(self, immediate: bool) -> int:
        """Two register fields."""
        return INDEX.mask | BASE.mask

    def encode(self, value: Value, immediate: bool) -> int:
        """The two registers as bits in place; raises OperandError."""
        if not isinstance(value, Address) or value.offset or value.scale or not value.index or not value.base:
            raise OperandError(f"expected two registers, found {describe(value)}", f"for example {self.example()}")
        index = check_register(value.index, "s", 1, self.index_numbers)
        base = check_register(value.base, "s", 1, self.base_numbers)
        return INDEX.put(index.number) | BASE.put(base.number)

    def decode(self, word: int, immediate: bool) -> Address:
        """The two registers of a word."""
        return Address(0, Register("s", INDEX.get(word)), 0, Register("s", BASE.get(word)))

    def valid(self, words: Words, immediate: bool) -> Any:
        """Whether both are scalar registers."""
        return self.index_numbers[INDEX.get(words)] & self.base_numbers[BASE.get(words)]

    def format(self, value: Value) -> str:
        """As listings have it."""
        assert isinstance(value, Address)
        assert value.index
        assert value.base
        return f"[{register_text(value.index)}] @{register_text(value.base)}"

    def sample(self, random: Random, immediate: bool) -> Address:
        """Two random registers."""
        numbers = (self.index_numbers, self.base_numbers)
        index, base = (Register("s", int(random.choice(table.nonzero()[0].tolist()))) for table in numbers)
        return Address(0, index, 0, base)

    def example(self) -> str:
        """A valid address, for hints."""
        return "[sreg21] @sreg41"
