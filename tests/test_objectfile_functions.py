"""Objects with functions and relocations: they come back, and damaged or lying ones are refused or sound."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from object_samples import linkable, plain
from test_objectfile_damage import check_survives, number_of, put, section_data

from m890.isa import elf, objectfile
from m890.isa.objectfile import ObjectError
from m890.isa.program import CODE_BASE, Function, Relocation

LINKED = objectfile.write(linkable())


def test_functions_and_relocations_come_back() -> None:
    assert plain(objectfile.read(LINKED)) == plain(linkable())
    assert objectfile.write(objectfile.read(LINKED)) == LINKED
    assert objectfile.write(linkable()) == LINKED


def test_every_truncation_is_refused() -> None:
    for size in range(len(LINKED)):
        with pytest.raises(ObjectError, match=r"^bad\.hgbin: .*assemble it again$"):
            objectfile.read(LINKED[:size], "bad.hgbin")


def test_every_byte_may_be_wrong() -> None:
    for position, byte in enumerate(LINKED):
        flip = (0x01, 0x80, 0xFF)[position % 3]
        check_survives(LINKED[:position] + bytes([byte ^ flip]) + LINKED[position + 1 :])


@given(st.lists(st.tuples(st.integers(0, len(LINKED) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=300)
def test_a_few_wrong_bytes(changes: list[tuple[int, int]]) -> None:
    data = bytearray(LINKED)
    for position, byte in changes:
        data[position] = byte
    check_survives(bytes(data))


def with_relocation(section: str, number: int, /, **fields: Any) -> bytes:
    """The object with functions, one relocation changed."""
    at = LINKED.index(section_data(LINKED, f".rela{section}")) + 24 * number
    return put(LINKED, elf.RELOCATION, at, **fields)


def with_function(name: str, /, **fields: Any) -> bytes:
    """The object with functions, one symbol changed."""
    index = next(i for i, symbol in enumerate(elf.read(LINKED, "x").symbols) if symbol.name == name)
    return put(LINKED, elf.SYMBOL, LINKED.index(section_data(LINKED, ".symtab")) + 24 * (index + 1), **fields)


def with_table(section: str, /, **fields: Any) -> bytes:
    """The object with functions, one section header changed."""
    start = int(np.frombuffer(LINKED, elf.HEADER, 1)[0]["shoff"])
    return put(LINKED, elf.SECTION_HEADER, start + number_of(LINKED, section) * 64, **fields)


def with_bytes(section: str, at: int, content: bytes) -> bytes:
    """The object with functions, other bytes in a section."""
    start = LINKED.index(section_data(LINKED, section)) + at
    return LINKED[:start] + content + LINKED[start + len(content) :]


FUNCTION_LIES: dict[str, tuple[Callable[[], bytes], str]] = {
    "kind": (lambda: with_relocation(".text", 0, type=9), "a relocation of type 9 for symbol 'sine'"),
    "label": (lambda: with_relocation(".text", 0, symbol=1), "a relocation of type 1 for symbol 'loop'"),
    "symbol": (lambda: with_relocation(".text", 0, symbol=99), "names symbol 99 of 8"),
    "outside": (lambda: with_relocation(".text", 0, offset=CODE_BASE), "at 0x100000000, outside of its section"),
    "order": (lambda: with_relocation(".data", 0, offset=0x180000208), "is no place behind 528, or too far"),
    "within a word": (lambda: with_relocation(".text", 0, offset=0xC000009C), "is no place behind 0, or too far"),
    "addend": (lambda: with_relocation(".text", 1, addend=1 << 40), "at offset 8 is no place behind 4, or too far"),
    "not applied": (lambda: with_relocation(".text", 1, addend=16), "its addresses are not those that its relocations"),
    "word": (lambda: with_bytes(".text.kernel.k", 0, b"\1"), "its addresses are not those that its relocations give"),
    "data": (lambda: with_bytes(".data", 512, b"\1"), "its addresses are not those that its relocations give"),
    "target": (lambda: with_table(".rela.data", info=1), "is not for '.data' with the symbols of '.symtab'"),
    "no table": (lambda: with_table(".rela.data", entry_size=16), "is no table of relocations"),
    "head": (lambda: with_bytes(".text", 8, b"\1"), "does not begin with 16 s.nop"),
    "start": (
        lambda: with_function("hidden", value=0xC0000090),
        "has function 'hidden' at 0x90 (16 bytes), not at 0x98",
    ),
    "size": (lambda: with_function("hidden", size=8), "section '.text' has 8 bytes behind its functions"),
    "no size": (lambda: with_function("twice", size=0), "has function 'twice' at 0x80 (0 bytes)"),
    "undefined": (lambda: with_function("sine", value=8), "is undefined and yet more than the name 'sine'"),
    "head label": (
        lambda: with_function("loop", value=0xC0000008),
        "has a label that is in no function",
    ),
    "odd label": (lambda: with_function("loop", value=0xC000008C), "label 'loop' is at offset 12, which is no word"),
    "end label": (
        lambda: with_function("loop", value=0xC00000A8),
        "says label_count 1, but the rest",
    ),
    "registers": (lambda: with_bytes(".hg_info", 68, b"\xff\xff"), "describes no legal function: vregs is 65535"),
    "section": (lambda: with_table(".text", address=0xC0000100), "is no code at address 0xc0000000"),
}


@pytest.mark.parametrize("name", FUNCTION_LIES)
def test_a_lie_about_functions_is_named(name: str) -> None:
    make, says = FUNCTION_LIES[name]
    with pytest.raises(ObjectError) as caught:
        objectfile.read(make(), "f.hgbin")
    assert says in str(caught.value)


ONE = np.ones(1, np.uint64)
UNSOUND: list[tuple[dict[str, Any], str]] = [
    ({"exported": frozenset({"nothing"})}, "'nothing' is exported and not defined"),
    ({"data_alignment": 100}, "aligned to 100, no power of two from 256 on"),
    ({"functions": {"f": Function("f", ONE[:0])}}, "function 'f': it has no words"),
    ({"functions": {"k": Function("k", ONE)}}, "the function 'k' has the name of something else"),
    ({"functions": {"f": Function("g", ONE)}}, "the function 'g' is listed as 'f'"),
    ({"data_relocations": (Relocation(0, "ABS32", ".data"),)}, "has the unknown kind 'ABS32'"),
    ({"data_relocations": (Relocation(600, "ABS64", ".data"),)}, "a relocation at offset 600 is past the end"),
]


@pytest.mark.parametrize(("change", "says"), UNSOUND)
def test_a_module_that_cannot_be_stored_is_refused(change: dict[str, Any], says: str) -> None:
    module = replace(linkable(), **({"exported": frozenset()} | change))
    with pytest.raises(ObjectError, match=re.escape(says)):
        objectfile.write(module)
