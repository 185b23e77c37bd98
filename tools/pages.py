"""Pages of the ISA manual as data: word layouts, operands and examples, derived from the table alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from ..isa import ISA, Form, Instruction, addresses, operands
from ..isa.addresses import AddressKind, Waits
from ..isa.operands import Address, Field, Kind, NamedKind, Number, Register, RegisterKind, Source, Target, Value, register_text
from ..isa.syntax import counter


class Part(NamedTuple):
    """Bits `high` to `low` of a word, and what they hold."""

    high: int
    low: int
    meaning: str


_OF_ADDRESS = {
    addresses.INDEX: "index register",
    addresses.HAS_INDEX: "index is there",
    addresses.OFFSET: "offset",
    addresses.SCALE: "log2 of the index scale",
    addresses.HAS_BASE: "base is there",
    addresses.BASE: "base register",
}
_OF_WAITS = {operands.DESTINATION: "which counters", **{field: f"count of {name}" for name, (_, field) in addresses.COUNTERS.items()}}
_OF_SOURCE = {
    operands.IMMEDIATE: "immediate",
    **{field: "register" for field in operands.SOURCES},
    **{field: ".reuse" for field in operands.REUSE},
    **{field: "of the other bank" for field in operands.OTHER_KIND},
    **{field: "negated (!x)" for field in operands.NEGATE},
    **{field: "absolute (|x|)" for field in operands.ABSOLUTE},
}
_FIXED = {operands.IMMEDIATE_FLAG: "immediate flag", operands.ROUNDING: "rounding"}


def layout(form: Form) -> list[Part]:
    """What each bit of the word holds in this form, from bit 63 down."""
    parts = [Part(63, 54, f"opcode {form.instruction.opcode:#05x}")]
    taken = operands.OPCODE.mask
    for kind in form.instruction.kinds:
        owned = kind.bits(form.immediate)
        parts += _parts_of(kind, owned)
        taken |= owned
    for suffix, able in zip(form.instruction.suffixes, form.room, strict=True):
        if able:
            parts.append(Part(suffix.place.high, suffix.place.low, suffix.text))
            taken |= suffix.place.mask
    parts += _fixed(form, ~taken & ((1 << 64) - 1))
    return sorted(parts, key=lambda part: -part.high)


def _parts_of(kind: Kind, owned: int) -> Iterator[Part]:
    """The fields of an operand, by the names of their kind's fields; runs of bits where it has none."""
    known = _OF_ADDRESS if isinstance(kind, AddressKind) else _OF_WAITS if isinstance(kind, Waits) else {}
    known = _OF_SOURCE if isinstance(kind, Source) else known
    for field, what in known.items():
        if field.mask & owned == field.mask:
            owned &= ~field.mask
            yield Part(field.high, field.low, f"{kind.name}: {what}")
    for high, low in _runs(owned):
        yield Part(high, low, kind.name)


def _fixed(form: Form, left: int) -> Iterator[Part]:
    """Bits that no operand owns: reserved, or with a fixed value."""
    for field, what in _FIXED.items():
        if field.mask & left == field.mask and (field.mask & form.value or field == operands.IMMEDIATE_FLAG):
            left &= ~field.mask
            yield Part(field.high, field.low, f"{what} = {field.get(form.value)}")
    ones = form.value & left
    for high, low in _runs(left):
        for top, end in _split(high, low, ones):
            value = Field(top, end).get(form.value)
            yield Part(top, end, f"= {value:#x}" if value else "0")


def _split(high: int, low: int, ones: int) -> Iterator[tuple[int, int]]:
    """A run of fixed bits, cut where zeros and other values meet."""
    inside = [(top, end) for top, end in _runs(ones) if low <= end and top <= high]
    above = high
    for top, end in inside:
        if top < above:
            yield above, top + 1
        yield top, end
        above = end - 1
    if above >= low:
        yield above, low


def _runs(mask: int) -> Iterator[tuple[int, int]]:
    """The runs of set bits, highest first, as (high, low)."""
    bit = 63
    while bit >= 0:
        if mask >> bit & 1:
            high = bit
            while bit > 0 and mask >> (bit - 1) & 1:
                bit -= 1
            yield high, bit
        bit -= 1


# ---- examples --------------------------------------------------------------------------------------------------------


class Example(NamedTuple):
    """An example as a programmer meets it: registers before, the instruction, registers after."""

    before: dict[str, str]
    text: str
    after: dict[str, str]


def example(instruction: Instruction, text: str) -> Example:
    """One of an instruction's examples with registers chosen for its operands."""
    before, _, after = text.partition("|")
    given = dict(item.split("=", 1) for item in before.split())
    results = dict(item.split("=", 1) for item in after.split())
    form = instruction.forms[0]
    values = tuple(_chosen(kind, index, given) for index, kind in enumerate(instruction.kinds))
    word = form.encode(values, (False,) * len(instruction.suffixes))
    names = {kind.name: _name(value) for kind, value in zip(instruction.kinds, values, strict=True)}
    shown = {kind.name for kind in instruction.kinds if isinstance(kind, Number | Waits | NamedKind) or form.immediate and _is_number(kind)}
    return Example(
        {names.get(name, name): value for name, value in given.items() if name not in shown},
        form.text(word),
        {names.get(name, name): value for name, value in results.items()},
    )


def _is_number(kind: Kind) -> bool:
    return isinstance(kind, Source) and kind.flags.last


def _chosen(kind: Kind, index: int, given: dict[str, str]) -> Value:
    """A value for an operand: the example's where it is part of the text, else registers numbered by position."""
    text = given.get(kind.name, "0")
    match kind:
        case NamedKind():
            return Register("s", kind.names[text if text in kind.names else next(iter(kind.names))][0], kind.words)
        case Target():
            return int(text, 0) & 0xFFFFF
        case Number():
            return int(text, 0)
        case AddressKind():
            base = Register(kind.base_bank, 8, kind.base_words)
            return Address(0, Register(kind.index_bank, 4) if kind.index_bank else None, 2 if kind.index_bank else 0, base)
        case Waits():
            return tuple(counter(part, _Nothing()) for part in re.findall(r"\w+(?:\(\d+\))?", text))
        case RegisterKind():
            return _register(kind.bank, index, kind.words)
        case Source() if kind.flags.last and kind.field not in operands.SOURCES[:1] and kind.usual == "v" and _only_immediate(kind):
            return int(text, 0)
        case Source():
            return _register(kind.usual, index, kind.words)
        case _:
            raise TypeError(f"no example value for {type(kind).__name__}")


def _only_immediate(kind: Source) -> bool:
    return kind.flags.either is False


class _Nothing:
    """A context in which no name has a value."""

    def lookup(self, name: str) -> Value:
        raise ValueError(f"{name} has no value in an example")


def _register(bank: str, index: int, words: int) -> Register:
    number = index + 1 if words == 1 else 4 * (index + 1)
    return Register(bank, number + (20 if bank == "s" else 0) // words * words, words)


def _name(value: Value) -> str:
    return register_text(value) if isinstance(value, Register) else "memory" if isinstance(value, Address) else ""


# ---- finding ---------------------------------------------------------------------------------------------------------


def find(mnemonic: str) -> list[Instruction]:
    """The instructions with this mnemonic, suffixes such as `.ftz` allowed; ValueError with the nearest names."""
    found = ISA.by_mnemonic.get(mnemonic)
    if found is None:
        near = get_close_matches(mnemonic, ISA.by_mnemonic, n=3, cutoff=0.6)
        begins = sorted({i.mnemonic for i in ISA if i.mnemonic.startswith(mnemonic)})
        if begins:
            hint = f"{len(begins)} begin so: {', '.join(begins[:8])}{', ...' if len(begins) > 8 else ''}"
        else:
            hint = f"did you mean {' or '.join(near)}?" if near else "`m890 isa --list` shows them all"
        raise ValueError(f"no instruction is called '{mnemonic}': {hint}")
    return list(dict.fromkeys(form.instruction for form, _ in found))
