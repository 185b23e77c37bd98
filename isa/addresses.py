"""Operand kinds of memory and waiting: addresses in brackets, and the counters of s.wait."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from .fields import DESTINATION, Field, OperandError, Words
from .operands import Address, Kind, RegisterKind, Value, check_register, describe
from .registers import Register, numbers_of, register_text

INDEX = Field(45, 38)
HAS_INDEX = Field(37, 37)
OFFSET = Field(31, 20)
SCALE = Field(19, 16)
HAS_BASE = Field(13, 13)
BASE = Field(12, 5)
COARSE = 0x800
"""Offset bit that makes the low 11 bits count units of 128 bytes (published)."""
UNIT = 128
MOST_OFFSET = (COARSE - 1) * UNIT
MOST_SCALE = 1 << (1 << SCALE.width) - 1
SCALES = f"a power of two from 0x1 to {MOST_SCALE:#x}"
OFFSETS = f"0 to {COARSE - 1}, or a multiple of {UNIT} up to {MOST_OFFSET}"
"""What can be encoded, for hints."""


def offset_bytes(field: int) -> int:
    """The bytes an offset field stands for."""
    return (field & (COARSE - 1)) * UNIT if field & COARSE else field


def offset_field(count: int) -> int:
    """The offset field for `count` bytes; raises OperandError where none exists."""
    if 0 <= count < COARSE:
        return count
    if count % UNIT == 0 and 0 <= count < COARSE * UNIT:
        return COARSE | count // UNIT
    raise OperandError(
        f"an offset of {count} bytes cannot be encoded",
        f"{OFFSETS}; add the rest to the base or the index",
    )


class AddressKind(Kind):
    """`[offset + index * scale] @base`. The base is an sreg pair, a vreg pair, or (TSM) one sreg inside."""

    def __init__(self, name: str, *, index_bank: str | None, base_bank: str, base_words: int):
        self.name, self.index_bank, self.base_bank, self.base_words = name, index_bank, base_bank, base_words
        self.base_numbers = numbers_of(base_bank, base_words, written=False)
        self.index_numbers = numbers_of(index_bank or "s", 1, written=False)
        self.inside = base_words == 1

    def bits(self, immediate: bool) -> int:
        fields = [OFFSET, BASE]
        fields += [INDEX, HAS_INDEX, SCALE] if self.index_bank else []
        fields += [HAS_BASE] if self.inside else []
        return sum(field.mask for field in fields)

    def encode(self, value: Value, immediate: bool) -> int:
        if not isinstance(value, Address):
            raise OperandError(f"expected an address, found {describe(value)}", f"for example {self.example()}")
        bits = self._encode_offset(value.offset) | self._encode_base(value.base)
        if value.index is None:
            return bits
        if self.index_bank is None:
            raise OperandError("no index can stand in this address", f"for example {self.example()}")
        index = check_register(value.index, self.index_bank, 1, self.index_numbers)
        if not 0 <= value.scale < 1 << SCALE.width:
            raise OperandError(f"the index scale {1 << value.scale:#x} cannot be encoded", SCALES)
        return bits | HAS_INDEX.put(1) | INDEX.put(index.number) | SCALE.put(value.scale)

    def _encode_offset(self, offset: int) -> int:
        if not 0 <= offset < 1 << OFFSET.width:
            raise OperandError(
                f"the offset {offset:#x} does not fit in {OFFSET.width} bits",
                f"write bytes(N) for real bytes: {OFFSETS}",
            )
        return OFFSET.put(offset)

    def _encode_base(self, base: Register | None) -> int:
        if base is None:
            if self.inside:
                return 0
            raise OperandError("the address has no base", f"for example {self.example()}")
        number = check_register(base, self.base_bank, self.base_words, self.base_numbers).number
        return BASE.put(number) | (HAS_BASE.mask if self.inside else 0)

    def decode(self, word: int, immediate: bool) -> Address:
        index = None
        if self.index_bank and HAS_INDEX.get(word):
            index = Register(self.index_bank, INDEX.get(word))
        base = None
        if not self.inside or HAS_BASE.get(word):
            base = Register(self.base_bank, BASE.get(word), self.base_words)
        return Address(OFFSET.get(word), index, SCALE.get(word) if index else 0, base)

    def valid(self, words: Words, immediate: bool) -> Any:
        good = self.base_numbers[BASE.get(words)]
        if self.inside:
            good = np.where(HAS_BASE.get(words) == 1, good, BASE.get(words) == 0)
        if self.index_bank is None:
            return good
        absent = (INDEX.get(words) == 0) & (SCALE.get(words) == 0)
        return good & np.where(HAS_INDEX.get(words) == 1, self.index_numbers[INDEX.get(words)], absent)

    def format(self, value: Value) -> str:
        assert isinstance(value, Address)
        terms = [register_text(value.base)] if self.inside and value.base else []
        terms += [f"{value.offset:#x}"] if value.offset or not terms else []
        terms += [f"{register_text(value.index)} * {1 << value.scale:#x}"] if value.index else []
        text = f"[{' + '.join(terms)}]"
        return text if self.inside or value.base is None else f"{text} @{register_text(value.base)}"

    def sample(self, random: Random, immediate: bool) -> Address:
        index = None
        if self.index_bank and random.random() < 0.7:
            index = Register(self.index_bank, int(random.choice(np.flatnonzero(self.index_numbers).tolist())))
        base = None
        if not self.inside or random.random() < 0.5:
            number = int(random.choice(np.flatnonzero(self.base_numbers).tolist()))
            base = Register(self.base_bank, number, self.base_words)
        return Address(random.getrandbits(12), index, random.getrandbits(4) if index else 0, base)

    def example(self) -> str:
        """A valid address, for hints."""
        index = f" + {self.index_bank}reg3 * 0x4" if self.index_bank else ""
        if self.inside:
            return f"[sreg8{index}] or [0x10{index}]"
        return f"[0x10{index}] @{self.base_bank}reg[6:7]"

    def summary(self) -> str:
        return self.example()


class ElementAddress(AddressKind):
    """`[index * size] @base` of an atomic or of a copy of some bytes: no offset; the scale is an element's size."""

    def __init__(self, name: str, size: int, *, index_bank: str | None, base_bank: str, base_words: int):
        super().__init__(name, index_bank=index_bank, base_bank=base_bank, base_words=base_words)
        self.scale = size.bit_length() - 1

    def bits(self, immediate: bool) -> int:
        return super().bits(immediate) & ~(OFFSET.mask | SCALE.mask)

    def encode(self, value: Value, immediate: bool) -> int:
        if isinstance(value, Address) and value.offset:
            raise OperandError("no offset can stand in this address", "add it to the base or the index")
        if isinstance(value, Address) and value.index and value.scale != self.scale:
            raise OperandError(f"the index scale of this address is {1 << self.scale:#x}", "shift the index")
        return super().encode(value, immediate) & ~SCALE.mask

    def decode(self, word: int, immediate: bool) -> Address:
        found = super().decode(word & ~(OFFSET.mask | SCALE.mask), immediate)
        return found._replace(scale=self.scale) if found.index else found

    def valid(self, words: Words, immediate: bool) -> Any:
        kept = ~(OFFSET.mask | SCALE.mask) & (1 << 64) - 1
        return super().valid(words & (kept if isinstance(words, int) else np.uint64(kept)), immediate)

    def sample(self, random: Random, immediate: bool) -> Address:
        found = super().sample(random, immediate)
        return found._replace(offset=0, scale=self.scale if found.index else 0)

    def example(self) -> str:
        index = f" + {self.index_bank}reg3 * {1 << self.scale:#x}" if self.index_bank else ""
        return f"[sreg8{index}]" if self.inside else f"[0x0{index}] @{self.base_bank}reg[6:7]"


class TsmTarget(RegisterKind):
    """A vector register with the TSM offset, in each lane, that its bytes are copied to."""

    def __init__(self, name: str):
        super().__init__(name, "v", 1, DESTINATION, written=False)

    def summary(self) -> str:
        return "vector register with a TSM offset in each lane"


COUNTERS: dict[str, tuple[int, Field]] = {
    "vldcnt": (0x10, Field(27, 22)),
    "vstcnt": (0x20, Field(21, 16)),
    "sldcnt": (0x08, Field(33, 28)),
    "sstcnt": (0x04, Field(43, 38)),
    "tsmcnt": (0x02, Field(15, 10)),
    "commit_group": (0x01, Field(9, 4)),
}
"""Counter name to (its bit in the set, the field of its count), in printed order."""
FUNCTIONS: dict[str, int] = {"pipe_flush": 0xC4, "vmem_wbinv": 0xC5, "smem_wbinv": 0xC6}
"""Other things s.wait waits for: name to the value of the counter field."""


def counter_bits(*names: str) -> int:
    """Some counters as a set."""
    return sum(COUNTERS[name][0] for name in names)


VMEM_COUNTERS, SMEM_COUNTERS = counter_bits("vldcnt", "vstcnt"), counter_bits("sldcnt", "sstcnt")
COMPLETES = {"pipe_flush": 0, "vmem_wbinv": VMEM_COUNTERS, "smem_wbinv": SMEM_COUNTERS}
"""The counters whose operations such a wait completes: what is written back has arrived."""


class Waits(Kind):
    """`vldcnt(0), tsmcnt(2)`: counters and how many operations each may leave outstanding; or one function."""

    def __init__(self, name: str):
        self.name = name

    def bits(self, immediate: bool) -> int:
        return DESTINATION.mask | sum(field.mask for _, field in COUNTERS.values())

    def encode(self, value: Value, immediate: bool) -> int:
        if not isinstance(value, tuple) or isinstance(value, Register | Address):
            raise OperandError(f"expected counters, found {describe(value)}", "for example vldcnt(0), tsmcnt(2)")
        names = [name for name, _ in value]
        if len(names) == 1 and names[0] in FUNCTIONS:
            return DESTINATION.put(FUNCTIONS[names[0]])
        bits = 0
        for name, count in value:
            if name not in COUNTERS:
                raise OperandError(f"no counter is called {name}", f"one of {', '.join([*COUNTERS, *FUNCTIONS])}")
            bit, field = COUNTERS[name]
            if bits & DESTINATION.put(bit):
                raise OperandError(f"{name} stands twice")
            if not 0 <= count < 1 << field.width:
                raise OperandError(f"{name}({count}) is out of range", "0 to 63")
            bits |= DESTINATION.put(bit) | field.put(count)
        return bits

    def decode(self, word: int, immediate: bool) -> Value:
        chosen = DESTINATION.get(word)
        for name, code in FUNCTIONS.items():
            if chosen == code:
                return ((name, 0),)
        return tuple((name, field.get(word)) for name, (bit, field) in COUNTERS.items() if chosen & bit)

    def valid(self, words: Words, immediate: bool) -> Any:
        chosen = DESTINATION.get(words)
        function = np.isin(chosen, list(FUNCTIONS.values()))
        good = function | ((chosen > 0) & (chosen < 0x40))
        for bit, field in COUNTERS.values():
            named = ~function & (
                (chosen & type(chosen)(bit) if isinstance(chosen, int) else chosen & np.uint64(bit)) != 0
            )
            good = good & (named | (field.get(words) == 0))
        return good

    def format(self, value: Value) -> str:
        assert isinstance(value, tuple)
        assert not isinstance(value, Register | Address)
        return ", ".join(name if name in FUNCTIONS else f"{name}({count})" for name, count in value)

    def sample(self, random: Random, immediate: bool) -> Value:
        if random.random() < 0.1:
            return ((random.choice(list(FUNCTIONS)), 0),)
        chosen = [name for name in COUNTERS if random.random() < 0.4] or ["vldcnt"]
        return tuple((name, random.getrandbits(6)) for name in chosen)

    def summary(self) -> str:
        known = ", ".join(COUNTERS)
        return f"such as vldcnt(0), tsmcnt(0): any of {known}, each with 0 to 63; or one of {', '.join(FUNCTIONS)}"
