"""Addresses that the linker fills in: what kinds of fields there are, and how a module's are computed.

A module is always complete in itself: its relocations are applied, with 0 for symbols it does not define. They are
kept, so that `linker.link` can apply them again when functions and data have moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .program import CODE_BASE, DATA_BASE, TEXT_BASE, Function, Module, Relocation

DATA = ".data"
"""The symbol that is the start of a module's own data."""


class Kind(NamedTuple):
    """A kind of field: its number in the object file, its bytes, what is added to the address, and the shift right."""

    number: int
    size: int
    bias: int
    shift: int

    def value(self, address: int) -> int:
        """What an address becomes in the field."""
        return address + self.bias >> self.shift & (1 << 8 * self.size) - 1


KINDS: dict[str, Kind] = {
    "CALL32": Kind(1, 4, -CODE_BASE, 0),
    "LO32": Kind(2, 4, 0, 0),
    "HI32": Kind(3, 4, 0, 32),
    "ABS64": Kind(4, 8, 0, 0),
    "DATA32": Kind(5, 4, -DATA_BASE, 0),
}
"""The kinds by name. In a word the field is the immediate, which is the low half."""


def addresses(module: Module) -> dict[str, int]:
    """The address of every symbol that relocations may name."""
    found = {name: DATA_BASE + offset for name, offset in module.data_symbols.items()}
    found |= {name: TEXT_BASE + offset for name, offset in module.function_offsets().items()}
    return found | {DATA: DATA_BASE}


def code_of(module: Module) -> Iterator[Function]:
    """All kernels and functions of a module."""
    yield from module.kernels.values()
    yield from module.functions.values()


def missing(module: Module) -> dict[str, str]:
    """The symbols a module needs and does not define, each with a place that needs it."""
    known = addresses(module)
    found: dict[str, str] = {}
    for code in code_of(module):
        for relocation in code.relocations:
            if relocation.symbol not in known:
                found.setdefault(relocation.symbol, code.name)
    for relocation in module.data_relocations:
        if relocation.symbol not in known:
            found.setdefault(relocation.symbol, DATA)
    return found


def applied(content: bytes, relocations: tuple[Relocation, ...], known: dict[str, int]) -> bytes:
    """The bytes of a section with its addresses filled in; 0 where a symbol is not known."""
    found = bytearray(content)
    for offset, name, symbol, addend in ((r.offset, r.kind, r.symbol, r.addend) for r in relocations):
        kind = KINDS[name]
        value = kind.value(known[symbol] + addend) if symbol in known else 0
        found[offset : offset + kind.size] = value.to_bytes(kind.size, "little")
    return bytes(found)


def apply(module: Module) -> None:
    """Fill in all addresses of a module."""
    known = addresses(module)
    for code in code_of(module):
        if code.relocations:
            content = applied(code.words.astype("<u8").tobytes(), code.relocations, known)
            code.words = np.frombuffer(content, "<u8").astype(np.uint64)
    module.data = applied(module.data, module.data_relocations, known)


def settle(module: Module) -> None:
    """Refer to the module's own data by its place, whatever its symbols are called."""

    def own(relocations: tuple[Relocation, ...]) -> tuple[Relocation, ...]:
        return tuple(
            replace(r, symbol=DATA, addend=r.addend + module.data_symbols[r.symbol])
            if r.symbol in module.data_symbols
            else r
            for r in relocations
        )

    for code in code_of(module):
        code.relocations = own(code.relocations)
    module.data_relocations = own(module.data_relocations)


def is_applied(module: Module) -> bool:
    """Whether all addresses are filled in."""
    known = addresses(module)
    sections = [(code.words.astype("<u8").tobytes(), code.relocations) for code in code_of(module)]
    sections.append((module.data, module.data_relocations))
    return all(applied(content, relocations, known) == content for content, relocations in sections)


def moved(relocation: Relocation, by: int) -> Relocation:
    """The relocation with another addend, as its symbol now begins elsewhere."""
    return replace(relocation, addend=relocation.addend + by)
