"""Examples of the table as assembly: registers put in, and what holds before and after."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..isa import Form, addresses, number_kinds, operands, registers
from ..isa.fields import OperandError
from ..isa.matrix_operands import SwizzledAddress
from ..isa.operands import Address, Kind, RegisterKind, Value
from ..isa.registers import Register
from ..isa.source_kind import Source

PLACE = re.compile(r"\{(\w+):[^}]+\}")
PAGE_WIDTH = 104
"""Columns of an example, or of a word's layout, before it is broken."""
TEXT_WIDTH = 46
"""Columns of an example's instruction."""

ENDS = {
    "EXIT_LANES": "the active lanes end",
    "EXIT_WARP": "the warp ends",
    "BARRIER": "the warp waits for its block",
    "PRINT": "the text is printed",
    "WAIT": "the warp goes on when that is done",
    "AWBAR": "what it does to the awbar, or a fault",
    "COPY": "the copy is outstanding, or a fault",
    "FAULT": "fault",
    "YIELD": "other warps go on first",
    "TRAP": "fault, the launch ends",
}


class Sample(NamedTuple):
    """An example as assembly text, and what holds before and after it."""

    text: str
    before: str
    after: str

    def __str__(self) -> str:
        says = f"{self.before} -> {self.after}".strip() if self.after else self.before
        if not says:
            return self.text
        apart = "\n" + 16 * " " if len(self.text) > TEXT_WIDTH or len(says) > PAGE_WIDTH - TEXT_WIDTH else ""
        return f"{self.text}{apart}// {says}" if apart else f"{self.text:{TEXT_WIDTH}}// {says}"


def sample(form: Form, example: str) -> Sample | None:
    """An example of the table for one layout; None where its values do not fit that layout."""
    sides = [
        [pair.partition("=")[::2] for pair in re.split(r"(?<!,)\s+", side.strip()) if pair]
        for side in example.split("|")
    ]
    before, after = (dict(side) for side in sides)
    texts: dict[str, str] = {}
    free = {"v": 1, "s": 40}
    values: dict[str, Value] = {}
    for kind in sorted(form.instruction.kinds, key=lambda kind: kind.role == "destination" and kind.name not in before):
        value, written = _example_operand(kind, before.get(kind.name, ""), form, free)
        values[kind.name] = value
        texts[kind.name] = written or kind.format(value)
    try:
        form.encode(tuple(values[kind.name] for kind in form.instruction.kinds), (False,) * len(form.room))
    except OperandError:
        return None
    _, _, rest = form.instruction.pattern.partition(" ")
    text = f"{form.instruction.mnemonic:15} {PLACE.sub(lambda found: texts[found[1]], rest)}".rstrip()
    held = {
        name: texts[name]
        for name, value in values.items()
        if isinstance(value, Register) and name not in texts.values()
    }
    return Sample(text, _state(before, held, form), _state(after, held, form))


def _example_operand(kind: Kind, text: str, form: Form, free: dict[str, int]) -> tuple[Value, str]:
    """A value for an operand, and its text where it is not the usual one."""

    def register(bank: str, count: int) -> Register:
        first = -(-free[bank] // count) * count
        free[bank] = first + count
        return Register(bank, first, count)

    if isinstance(kind, operands.IndexedKind):
        return registers.IVREG, "ivreg"
    if isinstance(kind, operands.NamedKind):
        return Register("s", *kind.names[text]), text
    if isinstance(kind, Source) and form.immediate and kind.flags.last:
        number = _number(text)
        return (-1 if number is None else number), text if number is not None else "?"
    if isinstance(kind, RegisterKind | Source):
        return register(kind.bank if isinstance(kind, RegisterKind) else kind.usual, kind.words), ""
    if isinstance(kind, number_kinds.Target):
        return int(text, 0) - 1, ""
    if isinstance(kind, addresses.AddressKind):
        access = form.instruction.access
        index = register(kind.index_bank, 1) if kind.index_bank else None
        shifted = index and access and not isinstance(kind, SwizzledAddress)
        scale = access.size.bit_length() - 1 if access and shifted else 0
        return Address(0, index, scale, register(kind.base_bank, kind.base_words)), ""
    if isinstance(kind, addresses.Waits):
        return tuple((name, int(count)) for name, count in re.findall(r"(\w+)\((\d+)\)", text)), ""
    return int(text, 0), ""


def _number(text: str) -> int | None:
    """An immediate's value for the check that it fits; floats always do, lists of lanes never."""
    try:
        return int(text, 0)
    except ValueError:
        return None if re.search("[,:]", text) else 0


def _state(side: dict[str, str], held: dict[str, str], form: Form) -> str:
    said = [f"{held[name]} = {value}" for name, value in side.items() if name in held and held[name] != value]
    for name, value in side.items():
        if name == "memory":
            content, times, count = value.partition("*")
            said.append(f"memory {bytes.fromhex(content).hex(' ')}{f' {count} times' if times else ''}")
        elif name == "emsk" and "emsk" not in {kind.name for kind in form.instruction.kinds}:
            said.append(f"emsk = {value}")
        elif name == "next":
            target = int(value, 0)
            said.append(f"jump: skips the next {target - 1} words" if target else "no jump")
        elif name == "split":
            said.append(f"lanes {value} go to the target")
        elif name == "stop":
            said.append(ENDS.get(value, value))
    return ", ".join(said)
