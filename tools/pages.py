"""Pages of the ISA manual as data: word layouts, operands and examples, derived from the table alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from ..isa import ISA, Form, Instruction, addresses, operands
from ..isa.addresses import AddressKind, Waits
from ..isa.operands import (
    Address,
    Field,
    Kind,
    NamedKind,
    Number,
    Register,
    RegisterKind,
    Source,
    Target,
    Value,
    register_text,
)
from ..isa.syntax import float_bits


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
_OF_WAITS = {
    operands.DESTINATION: "which counters",
    **{field: f"count of {name}" for name, (_, field) in addresses.COUNTERS.items()},
}
_OF_SOURCE = {
    operands.IMMEDIATE: "immediate",
    **{field: "register" for field in operands.SOURCES},
    **{field: ".reuse" for field in operands.REUSE},
    **{field: "of the other bank" for field in operands.OTHER_KIND},
    **{field: "negated (!x)" for field in operands.NEGATE},
    **{field: "absolute (|x|)" for field in operands.ABSOLUTE},
}


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
    known = (
        {operands.IMMEDIATE_FLAG: "immediate flag"}
        if any(_may_be_immediate(kind) for kind in form.instruction.kinds)
        else {}
    )
    if any(binding.name == "rounding" for binding in form.instruction.bindings):
        known[operands.ROUNDING] = "rounding"
    for field, what in known.items():
        if field.mask & left == field.mask:
            left &= ~field.mask
            yield Part(field.high, field.low, f"{what} = {field.get(form.value)}")
    for high, low in _runs(left):
        for top, end in _trimmed(high, low, form.value & left):
            value = Field(top, end).get(form.value)
            yield Part(top, end, f"= {value:#x}" if value else "0")


def _may_be_immediate(kind: Kind) -> bool:
    return isinstance(kind, Source) and kind.flags.last


def _trimmed(high: int, low: int, ones: int) -> Iterator[tuple[int, int]]:
    """A run of fixed bits; of a long one, the zeros around its value are parts of their own."""
    value = ones & Field(high, low).mask
    top, end = value.bit_length() - 1, (value & -value).bit_length() - 1
    if not value or high - low < SHORT:
        top, end = high, low
    if top < high:
        yield high, top + 1
    yield top, end
    if low < end:
        yield end - 1, low


SHORT = 8
"""Fixed bits up to so many in a row are one value."""


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

    def __str__(self) -> str:
        """`vreg2 = 1.5, vreg3 = 2.25:  v.add.f32 vreg1, vreg2, vreg3  gives vreg1 = 3.75`."""
        before, after = (
            ", ".join(f"{name} = {value}" for name, value in side.items()) for side in (self.before, self.after)
        )
        return f"{f'{before}:  ' if before else ''}{self.text}{f'  gives {after}' if after else ''}"


def example(instruction: Instruction, text: str) -> Example:
    """One of an instruction's examples with registers chosen for its operands."""
    before, _, after = text.partition("|")
    given, results = _pairs(before), _pairs(after)
    form = instruction.forms[0]
    values = tuple(_chosen(kind, index, form, given) for index, kind in enumerate(instruction.kinds))
    word = form.encode(values, (False,) * len(instruction.suffixes))
    names: dict[str, str] = {}
    for kind, value in zip(instruction.kinds, values, strict=True):
        if isinstance(value, Register) and not isinstance(kind, NamedKind):
            names[kind.name] = register_text(value)
    inside = {kind.name for kind in instruction.kinds} - set(names)
    return Example(
        {names.get(name, name): value for name, value in given.items() if name not in inside},
        form.text(word),
        {names.get(name, _RESULTS.get(name, name)): value for name, value in results.items()},
    )


_RESULTS = {"next": "words skipped", "split": "lanes that branch", "stop": "the warp's next step"}
"""What examples call results that are no registers."""


def _pairs(text: str) -> dict[str, str]:
    """`a=1 b=2` as a dictionary; a comma and a space do not part."""
    pairs = [pair.partition("=") for pair in re.split(r"(?<!,)\s+", text.strip()) if pair]
    return {name: value for name, _, value in pairs}


def _chosen(kind: Kind, index: int, form: Form, given: dict[str, str]) -> Value:
    """A value for an operand: the example's if it is part of the text, else registers numbered by position."""
    text = given.get(kind.name, "0")
    match kind:
        case NamedKind():
            number, words = kind.names.get(text) or next(iter(kind.names.values()))
            return Register("s", number, words)
        case Target():
            return int(text, 0) - 1 & 0xFFFFF
        case Number():
            return int(text, 0)
        case AddressKind():
            index_register = Register(kind.index_bank, 3 if kind.index_bank == "v" else 12) if kind.index_bank else None
            return Address(0, index_register, 2 if index_register else 0, Register(kind.base_bank, 8, kind.base_words))
        case Waits():
            return tuple((name, int(count or 0)) for name, count in re.findall(r"(\w+)(?:\((\d+)\))?", text))
        case Source() if form.immediate and kind.flags.last:
            return int(text, 0) & 0xFFFFFFFF if text.lstrip("-").isalnum() else float_bits(float(text))
        case Source() | RegisterKind():
            bank = kind.usual if isinstance(kind, Source) else kind.bank
            number = (index + 1) * (1 if kind.words == 1 else 4) + (16 if bank == "s" else 0)
            return Register(bank, number, kind.words)
        case _:
            raise TypeError(f"no example value for a {type(kind).__name__}")


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


def usage(instruction: Instruction) -> str:
    """The text form with optional suffixes in brackets: `v.add.f32[.ftz][.sat] d, a, b`."""
    name, _, rest = instruction.pattern.partition(" ")
    suffixes = {suffix.name: suffix.text for suffix in instruction.suffixes}
    name = re.sub(r"\{(\w+)\}", lambda match: f"[{suffixes[match[1]]}]", name)
    rest = re.sub(r"\{(\w+):[^}]+\}", lambda match: match[1], rest)
    return f"{name} {rest}".rstrip()


def operands_of(instruction: Instruction) -> list[tuple[str, str, str]]:
    """Name, role and what may stand there, of each operand."""
    return [(kind.name, kind.role, kind.summary()) for kind in instruction.kinds]
