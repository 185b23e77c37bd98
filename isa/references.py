"""Words that refer to what the linker places: the word with a placeholder, and the relocation that says what it is."""

from __future__ import annotations

from collections.abc import Sequence

from .encoding import Candidate, Encoded, Mismatch, encode
from .expressions import CodeAddress, Symbolic
from .fields import IMMEDIATE
from .number_kinds import CodeTarget, DataAddress, Target
from .operands import Value
from .program import CODE_BASE, DATA_BASE, Relocation

PLACEHOLDER = 0x7FFFFFFF
"""What stands in a word until the address is filled in: no number that has another form."""
KIND_OF_PART = {"": "CALL32", "lo": "LO32", "hi": "HI32", "data": "DATA32"}
"""The kind of a relocation in a word, by the part of the address."""


def encode_reference(
    candidates: Sequence[Candidate], values: list[Value], name: str, index: int
) -> tuple[Encoded, Relocation | None]:
    """The word of number `index` in code called `name`, and its relocation if it has one; raises Mismatch."""
    plain = list(values)
    place, symbol = None, None
    for number, value in enumerate(values):
        if not isinstance(value, Symbolic):
            continue
        kinds = {type(candidate.kinds[number]) for candidate in candidates if number < candidate.count}
        if Target in kinds and not value.part:
            if value.symbol != name:
                raise Mismatch(f"a branch cannot leave its function for {value.symbol}", "call it: s.call", number)
            plain[number] = CodeAddress(value)
            continue
        if DataAddress in kinds and not value.part:
            place, symbol = number, value.half("data")
            plain[number] = DATA_BASE + PLACEHOLDER
            continue
        if not value.part and CodeTarget not in kinds:
            hint = "load it into a register pair: s.mov.b32 of lo(x) and hi(x)"
            raise Mismatch(f"the address of {value.symbol} does not fit in 32 bits", hint, number)
        place, symbol, plain[number] = number, value, PLACEHOLDER
    try:
        encoded = encode(candidates, plain, CODE_BASE + 8 * index)
    except Mismatch as mismatch:
        if symbol is not None and mismatch.operand == place:
            mismatch.message = f"the address of {symbol.symbol} cannot stand here"
        raise
    if symbol is None:
        return encoded, None
    if IMMEDIATE.get(encoded.bits) != PLACEHOLDER:
        raise Mismatch(f"the address of {symbol.symbol} cannot stand here", "move it to a register first", place)
    return encoded, Relocation(8 * index, KIND_OF_PART[symbol.part], symbol.symbol, symbol.addend)
