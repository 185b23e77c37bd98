"""Operand kinds: what an operand may be, how it is written, where its bits lie, and sample values.

Every kind owns its range, text form, encoding and samples; instructions only name kinds. A kind works on
one word (an int) and on numpy arrays of words alike, so the vectorised decoder uses the same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import numpy as np

from .program import DATA_BASE, DATA_SIZE

Words = Any
"""One 64-bit word as an int, or a numpy uint64 array of them."""


class OperandError(ValueError):
    """An operand does not fit its kind; `code` is the published exception the machine would raise."""

    def __init__(self, message: str, hint: str = "", code: int = 0):
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


class Register(NamedTuple):
    """`count` consecutive registers of bank "v" or "s"; named scalars such as emsk have numbers too.

    Bank "i" is ivreg alone: the vector register whose number is in x0.
    """

    bank: str
    number: int
    count: int = 1  # pyright: ignore[reportIncompatibleMethodOverride] (nobody counts in a register as in a tuple)
    negate: bool = False
    absolute: bool = False
    reuse: bool = False


class Address(NamedTuple):
    """`[offset + index * 2**scale] @base`; for TSM the base may be a single sreg inside the brackets."""

    offset: int = 0
    index: Register | None = None  # pyright: ignore[reportIncompatibleMethodOverride] (nor searches an address)
    scale: int = 0
    base: Register | None = None


Value = Register | Address | int | tuple[tuple[str, int], ...]
"""A parsed operand. The tuple is the counters (or the one function) of s.wait."""

LAST_SREG = 191
EMSK, VCC, SCC = 0xF0, 0xF1, 0xF2
INDEX_REGISTER = 0xFE
IVREG = Register("i", 0)
ZERO, ONE = 0xF8, 0xF9
UNIFORM_SPECIALS: dict[str, tuple[int, int]] = {
    "%ntid.x": (0xC0, 1),
    "%ntid.y": (0xC1, 1),
    "%ntid.z": (0xC2, 1),
    "%blkid.x": (0xC3, 1),
    "%blkid.y": (0xC4, 1),
    "%blkid.z": (0xC5, 1),
    "%nblkid.x": (0xC6, 1),
    "%nblkid.y": (0xC7, 1),
    "%nblkid.z": (0xC8, 1),
    "%warpid": (0xC9, 1),
    "%nwarpid": (0xCA, 1),
    "%cuid": (0xCB, 1),
    "%ncuid": (0xCC, 1),
    "%chip": (0xCD, 1),
    "%gridid": (0xCE, 2),
    "%nchips": (0xD0, 1),
    "%tsmsize": (0xD1, 1),
}
"""Name to (scalar number, words): the same for every lane of a warp, fixed while it runs."""
CLOCKS: dict[str, tuple[int, int]] = {"%clock64": (0xD2, 2), "%globaltimer": (0xD4, 2)}
"""Uniform but changing: read by `s.mov.b64` alone."""
LANE_SPECIALS: dict[str, tuple[int, int]] = {
    "%tid.x": (0xF3, 1),
    "%tid.y": (0xF4, 1),
    "%tid.z": (0xF5, 1),
    "%laneid": (0xF6, 1),
    "%lanemask_eq": (0xF7, 1),
    "%lanemask_lt": (0xFA, 1),
    "%lanemask_le": (0xFB, 1),
    "%lanemask_gt": (0xFC, 1),
    "%lanemask_ge": (0xFD, 1),
}
"""One value per lane: read by `v.mov.b32` alone."""
NAMED_SCALARS: dict[str, tuple[int, int]] = {
    "emsk": (EMSK, 1),
    "vcc": (VCC, 1),
    "scc": (SCC, 1),
    "x0": (INDEX_REGISTER, 1),
    "c0x0": (ZERO, 1),
    "c0x1": (ONE, 1),
    **UNIFORM_SPECIALS,
    **CLOCKS,
    **LANE_SPECIALS,
}
_SCALAR_NAMES = {number: name for name, (number, _) in NAMED_SCALARS.items()}


def register_text(register: Register) -> str:
    """A register as it is written, modifiers included."""
    bank, number, count = register[:3]
    if bank == "i":
        return "ivreg"
    if bank == "s" and number in _SCALAR_NAMES:
        text = _SCALAR_NAMES[number]
    elif count == 1:
        text = f"{bank}reg{number}"
    else:
        text = f"{bank}reg[{number}:{number + count - 1}]"
    text = f"|{text}|" if register.absolute else text
    return f"{'!' if register.negate else ''}{text}{'.reuse' if register.reuse else ''}"


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


def _allowed(numbers: set[int]) -> np.ndarray:
    table = np.zeros(256, bool)
    table[sorted(numbers)] = True
    return table


_SREGS = set(range(LAST_SREG + 1))
_CONSTANTS = {ZERO, ONE}
_UNIFORM = {number for number, words in UNIFORM_SPECIALS.values() if words == 1}
_UNIFORM_PAIRS = {number for number, words in UNIFORM_SPECIALS.values() if words == 2}


def numbers_of(bank: str, words: int, *, written: bool, align: int | None = None) -> np.ndarray:
    """Which 8-bit numbers name `words` registers of `bank`: a table of 256 truth values."""
    if bank == "v":
        return _allowed(set(range(0, 257 - words, align or words)))
    if words > 1:
        pairs = {n for n in range(0, LAST_SREG + 2 - words, words)}
        return _allowed(pairs if written else pairs | _CONSTANTS | (_UNIFORM_PAIRS if words == 2 else set()))
    named = {EMSK, VCC, SCC, INDEX_REGISTER}
    return _allowed(_SREGS | named if written else _SREGS | named | _CONSTANTS | _UNIFORM)


BANK_NAMES = {"v": "vector register", "s": "scalar register"}


def check_register(value: Value, bank: str, words: int, allowed: np.ndarray, align: int | None = None) -> Register:
    """`value` if it is a register of that bank and width, else an error that says what is."""
    wanted = f"a {BANK_NAMES[bank]}" if words == 1 else f"an aligned range of {words} {BANK_NAMES[bank]}s"
    example = f"{bank}reg4" if words == 1 else f"{bank}reg[4:{3 + words}]"
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
            code=5 if bank == "v" else 6,
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
            code=7 if bank == "v" else 8,
        )
    return value


def _reader(name: str) -> str:
    """A hint on which instruction reads a special register that only one can."""
    if name in LANE_SPECIALS:
        return f"it differs from lane to lane: read it with v.mov.b32 vreg4, {name}"
    return f"read it with s.mov.b64 sreg[4:5], {name}" if name in CLOCKS else ""


class Kind:
    """What stands at one place of an instruction. `name` is the operand's name in the pattern."""

    name = ""
    role = "source"

    def bits(self, immediate: bool) -> int:
        """The word's bits this operand owns, in the register or the immediate layout."""
        raise NotImplementedError

    def encode(self, value: Value, immediate: bool) -> int:
        """`value` as bits in place; raises OperandError."""
        raise NotImplementedError

    def decode(self, word: int, immediate: bool) -> Value:
        """The value in a word whose bits are valid."""
        raise NotImplementedError

    def valid(self, words: Words, immediate: bool) -> Any:
        """Whether the operand's bits mean something: a truth value or an array of them."""
        del immediate
        return np.ones(np.shape(words), bool)

    def format(self, value: Value) -> str:
        """The value as it is written."""
        raise NotImplementedError

    def sample(self, random: Random, immediate: bool) -> Value:
        """A random valid value."""
        raise NotImplementedError

    def summary(self) -> str:
        """What may stand here, for the manual and for hints."""
        raise NotImplementedError


def _pick(random: Random, allowed: np.ndarray) -> int:
    return int(random.choice(np.flatnonzero(allowed).tolist()))


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
        return Register(self.bank, _pick(random, self.allowed), self.words)

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
        self.allowed = _allowed({number for number, _ in names.values()})

    def encode(self, value: Value, immediate: bool) -> int:
        if not isinstance(value, Register) or value.bank != "s" or not self.allowed[value.number]:
            raise OperandError(f"expected a special register, found {describe(value)}", f"one of {self.summary()}")
        return super().encode(value, immediate)

    def summary(self) -> str:
        return ", ".join(self.names)


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
        number = _pick(random, self.tables[bank])
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
