"""Which functions a kernel may call, and how many registers that takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from .effects import Jump
from .fields import OPCODE
from .program import Function, Kernel
from .spec import ISA, DecodeError

SREG_COUNTS = (48, 80, 192)
"""The sreg_number values seen in published resource records."""


def usual_sregs(count: int) -> int:
    """The least of the usual numbers of sregs that is enough."""
    return next(usual for usual in SREG_COUNTS if usual >= count)


@cache
def _indirect_opcodes() -> frozenset[int]:
    return frozenset(instruction.opcode for instruction in ISA if Jump in instruction.results)


def calls_by_register(function: Function) -> bool:
    """Whether it goes to an address that is in a register, other than to return."""
    for word in function.words.tolist():
        if OPCODE.get(word) in _indirect_opcodes():
            try:
                if ISA.decode(word).form.instruction.mnemonic != "s.ret":
                    return True
            except DecodeError:
                continue
    return False


def callable_from(start: Function, functions: Mapping[str, Function]) -> list[Function]:
    """The functions that code may call: those it names, or all if it calls by register; and what these may call."""
    found: dict[str, Function] = {}
    waiting: list[Function] = [start]
    while waiting:
        here = waiting.pop()
        names: Iterable[str] = (relocation.symbol for relocation in here.relocations)
        if calls_by_register(here):
            names = functions
        for name in names:
            if name in functions and name not in found:
                found[name] = functions[name]
                waiting.append(functions[name])
    return list(found.values())


def give_registers(kernel: Kernel, functions: Mapping[str, Function]) -> None:
    """Give a kernel at least the registers of all it may call."""
    called = callable_from(kernel, functions)
    kernel.vregs = max([kernel.vregs, *(function.vregs for function in called)])
    sregs = max([0, *(function.sregs for function in called)])
    if sregs > kernel.sregs:
        kernel.sregs = usual_sregs(sregs)
