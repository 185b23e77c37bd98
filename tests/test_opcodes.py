"""Opcodes: each family keeps to the ranges that its docstring names, and no two families share one."""

import re
import sys
from collections import defaultdict

from m890.isa import ISA

_RANGE = re.compile(r"0x([0-9a-f]{3})(?:\s+to\s+0x([0-9a-f]{3}))?")


def ranges(module: str) -> list[range]:
    """The opcodes that the sentence of a family's docstring names which begins with "Opcode"."""
    _, found, sentence = (sys.modules[module].__doc__ or "").partition("Opcode")
    assert found, f"the docstring of {module} names no opcodes"
    sentence = re.split(r"[.;](?:\s|$)", sentence)[0]
    return [range(int(first, 16), int(last or first, 16) + 1) for first, last in _RANGE.findall(sentence)]


def test_families_keep_to_the_opcodes_they_name() -> None:
    owner: dict[int, str] = {}
    used: dict[str, set[int]] = defaultdict(set)
    for instruction in ISA:
        used[instruction.body.__module__].add(instruction.opcode)
    for module, opcodes in used.items():
        named = [opcode for part in ranges(module) for opcode in part]
        assert not opcodes - set(named), f"{module}: {[hex(opcode) for opcode in sorted(opcodes - set(named))]}"
        for opcode in named:
            assert owner.setdefault(opcode, module) == module, f"{opcode:#x} is of {owner[opcode]} and {module}"
