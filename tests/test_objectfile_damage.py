"""Object files that are damaged or lie: each gives an `ObjectError` that says where, or a sound module."""

from __future__ import annotations

import pickle
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from object_samples import GOOD, plain

from m890.isa import binary, descriptor, dwarf, elf, macrocalls, objectfile
from m890.isa.objectfile import ObjectError
from m890.isa.program import CODE_BASE, Kernel, Line, MacroCall, Module, lay_out

# Damaged files


def small() -> bytes:
    """An object with something in every section, small enough to be damaged in every byte."""
    kernel = Kernel(
        "k",
        np.array([1, 2], np.uint64),
        params=lay_out([("n", "u32", 1)]),
        labels={"k": 0},
        lines=(Line(0, "a.s", 5), Line(8, "b.s", 200, (MacroCall("m", "a.s", 6), MacroCall("n", "c.s", 7)))),
    )
    return objectfile.write(Module("ppu0015", {"k": kernel}, b"d", {"d": 0}))


SMALL = small()


def check_survives(data: bytes) -> None:
    """Reading gives an `ObjectError` or a module that can be written and read again, at once."""
    start = time.process_time()
    try:
        module = objectfile.read(data, "bad.hgbin")
    except ObjectError as caught:
        text = str(caught)
    else:
        text = ""
        assert plain(objectfile.read(objectfile.write(module))) == plain(module)
    assert not text or re.fullmatch(r"bad\.hgbin: .+; .*(assemble it again|give an object).*", text, re.DOTALL)
    assert time.process_time() - start < 10  # a hundredth of a second is usual


def test_every_truncation_is_refused() -> None:
    for size in range(len(SMALL)):
        with pytest.raises(ObjectError, match=r"^bad\.hgbin: .*assemble it again$"):
            objectfile.read(SMALL[:size], "bad.hgbin")


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_byte_may_be_wrong(flip: int) -> None:
    for position, byte in enumerate(SMALL):
        check_survives(SMALL[:position] + bytes([byte ^ flip]) + SMALL[position + 1 :])


@pytest.mark.parametrize("value", [0, 1, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1])
def test_every_field_may_hold_an_extreme(value: int) -> None:
    size = 8 if value >= 1 << 32 else 4
    for position in range(0, len(SMALL) - size + 1, 4):
        check_survives(SMALL[:position] + value.to_bytes(size, "little") + SMALL[position + size :])


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=300)
def test_a_few_wrong_bytes(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for position, byte in changes:
        data[position] = byte
    check_survives(bytes(data))


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    check_survives(data)
    check_survives(GOOD[:64] + data)


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_any_line_program(program: bytes) -> None:
    lines = section_data(SMALL, ".debug_line")
    header_end = lines.index(dwarf.SET_ADDRESS + CODE_BASE.to_bytes(8, "little"))
    body = bytearray(lines[: header_end + 11] + program + dwarf.END_SEQUENCE)
    body[:4] = (len(body) - 4).to_bytes(4, "little")
    check_survives(with_sections(SMALL, {".debug_line": bytes(body)}))


# Files that lie


def number_of(data: bytes, section: str) -> int:
    return 1 + list(elf.read(data, "x").sections).index(section)


def section_data(data: bytes, section: str) -> bytes:
    return elf.read(data, "x").sections[section].data


def put(data: bytes, layout: np.dtype[Any], at: int, /, **fields: Any) -> bytes:
    """The file with other fields in the record at offset `at`."""
    record = np.frombuffer(data, layout, 1, at).copy()
    for name, value in fields.items():
        record[name] = value
    return data[:at] + record.tobytes() + data[at + layout.itemsize :]


def with_header(**fields: Any) -> bytes:
    return put(GOOD, elf.HEADER, 0, **fields)


def with_section(section: str, /, **fields: Any) -> bytes:
    start = int(np.frombuffer(GOOD, elf.HEADER, 1)[0]["shoff"])
    return put(GOOD, elf.SECTION_HEADER, start + number_of(GOOD, section) * 64, **fields)


def with_symbol(name: str, kind: int, /, **fields: Any) -> bytes:
    """The first symbol of that name and ELF type, changed."""
    symbols = elf.read(GOOD, "x").symbols
    index = next(i for i, symbol in enumerate(symbols) if (symbol.name, symbol.type) == (name, kind))
    return put(GOOD, elf.SYMBOL, GOOD.index(section_data(GOOD, ".symtab")) + 24 * (index + 1), **fields)


def with_record(section: str, layout: np.dtype[Any], at: int = 0, /, **fields: Any) -> bytes:
    return put(GOOD, layout, GOOD.index(section_data(GOOD, section)) + at, **fields)


def with_sections(data: bytes, changes: dict[str, bytes | None]) -> bytes:
    """The file rebuilt with other contents of some sections; None removes one and its symbols."""
    image = elf.read(data, "x")
    for name, contents in changes.items():
        if contents is None:
            del image.sections[name]
            image.symbols = [symbol for symbol in image.symbols if symbol.section != name]
        else:
            image.sections[name] = replace(image.sections[name], data=contents)
    return rebuilt(image)


def rebuilt(image: elf.Image) -> bytes:
    """An image as a file again; names keep their offsets."""
    strings = elf.StringTable()
    strings.data = bytearray(image.sections[".strtab"].data)
    tables = (".symtab", ".strtab", ".shstrtab")
    kept = [section for name, section in image.sections.items() if name not in tables]
    return elf.write(kept, image.symbols, strings, image.flags)


def with_text(old: bytes, new: bytes) -> bytes:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def with_note(text: bytes) -> bytes:
    header = binary.pack(objectfile.NOTE_HEADER, {"name_size": 5, "size": len(text), "type": 0x890, "name": b"m890"})
    return with_sections(GOOD, {".note.m890": header + text + bytes(-len(text) % 4)})


INFO = ".hg_info.saxpy"
KERNEL = descriptor.KERNEL_RECORD
FIRST_ARGUMENT = KERNEL.itemsize

MACROS, COUNT = ".hg_macros", np.dtype([("n", "<u4")])


def deep_macros(depth: int) -> bytes:
    """A section of calls each of which stands in the one before."""
    name = string_at("other.1")
    calls = [binary.pack(macrocalls.CALL, {"macro": name, "file": name, "outer": outer}) for outer in range(depth)]
    return depth.to_bytes(4, "little") + b"".join(calls)


LIES: dict[str, tuple[Callable[[], bytes], str]] = {
    "text": (
        lambda: b".arch ppu0015\n",
        "ELF header should begin with 7f 45 4c 46, not 2e 61 72 63: this is not ELF; give",
    ),
    "empty": (lambda: b"", "ELF header needs 64 bytes at offset 0 but 0 are left; the file is truncated"),
    "class": (
        lambda: with_header(**{"class": 1}),
        "is not 64-bit ELF: class is 0x1, not 0x2; give an object written by",
    ),
    "endianness": (lambda: with_header(data=2), "is not little-endian ELF"),
    "machine": (lambda: with_header(machine=62), "is for another machine: machine is 0x3e"),
    "relocatable": (lambda: with_header(type=1), "is not of type ET_EXEC"),
    "segments": (lambda: with_header(phnum=1), "has program headers"),
    "format": (lambda: with_header(flags=1 << 16 | 150), "has object format 1, where this m890 reads 3; assemble"),
    "architecture": (lambda: with_header(flags=3 << 16 | 151), "has the unknown ISA version 151"),
    "other arch": (lambda: with_header(flags=3 << 16 | 100), "section '.hg_info' says architecture 150, but"),
    "headers outside": (lambda: with_header(shoff=len(GOOD)), "section headers at 2"),
    "many headers": (lambda: with_header(shnum=0xFEFF), "places 65279 section headers at"),
    "no headers": (lambda: with_header(shnum=0), "counts 0 sections, their names in number 15"),
    "names elsewhere": (lambda: with_header(shstrndx=2), "section header 2 is not a string table"),
    "section outside": (
        lambda: with_section(".text.kernel.saxpy", size=1 << 40),
        f"section header 2 points past the end of the file (192 to 1099511627968 of {len(GOOD)}); the file is trunc",
    ),
    "section wraps": (
        lambda: with_section(".text", size=2**64 - 1),
        "section header 1 points past the end of the file",
    ),
    "address wraps": (lambda: with_section(".text", address=2**64 - 8), "section header 1 ends past the address space"),
    "section name": (
        lambda: with_section(".text", name=1 << 20),
        "section header 1 names offset 1048576 of the string",
    ),
    "inside a name": (
        lambda: with_section(".text", name=3),
        "section header 1 names offset 3 of the string table, where",
    ),
    "same kernel": (
        lambda: with_section(".text.kernel.other.1", name=elf_name(".text.kernel.saxpy")),
        "section header 3 repeats the name '.text.kernel.saxpy' of an earlier section",
    ),
    "file overlap": (lambda: with_section(".data", offset=72), "has section 4 at 0x48 of 2"),
    "header overlap": (lambda: with_section(".data", offset=0), "inside section 4, which ends at 0x5: they overlap"),
    "address overlap": (
        lambda: with_section(".text", address=CODE_BASE + 256),
        "memory has section '.text' at 0x100000100 of the address space, inside section '.text.kernel.saxpy'",
    ),
    "no bits": (lambda: with_section(".text.kernel.saxpy", type=elf.NOBITS), "section '.text.kernel.saxpy' is missing"),
    "odd code": (
        lambda: with_section(".text.kernel.saxpy", size=319),
        "has 319 bytes, which is no number of 8-byte words",
    ),
    "code elsewhere": (lambda: with_section(".text.kernel.saxpy", address=1 << 20), "is no code at address 0x100000;"),
    "code unaligned": (lambda: with_section(".text.kernel.other.1", address=CODE_BASE + 520), "is no code at address"),
    "data elsewhere": (lambda: with_section(".data", address=64), "section '.data' is no data at address 0x180000000"),
    "functions": (lambda: with_sections(GOOD, {".text": bytes(136)}), "section '.text' does not begin with 16 s.nop"),
    "no text": (lambda: with_sections(GOOD, {".text": None}), "section '.text' is missing"),
    "no info": (lambda: with_sections(GOOD, {".hg_info": None}), "section '.hg_info' is missing"),
    "no note": (lambda: with_sections(GOOD, {".note.m890": None}), "section '.note.m890' is missing"),
    "no descriptor": (lambda: with_sections(GOOD, {INFO: None}), "section '.hg_info.saxpy' is missing"),
    "no code": (
        lambda: with_sections(GOOD, {".text.kernel.other.1": None}),
        "section '.hg_info.other.1' describes a kernel that has no code",
    ),
    "no symbols": (lambda: with_section(".symtab", type=elf.PROGBITS), "symbol table or its string table is missing"),
    "odd symbols": (
        lambda: with_section(".symtab", size=30),
        "section '.symtab' has 30 bytes, not a number of symbols",
    ),
    "symbol names": (lambda: with_section(".symtab", link=1), "has its names in section 1, not in '.strtab'"),
    "symbol order": (lambda: with_section(".symtab", info=2), "does not have its local symbols first"),
    "symbol section": (lambda: with_symbol("loop", 0, section=99), "symbol 2 lies in section 99 of 16"),
    "symbol name": (lambda: with_symbol("loop", 0, name=0), "symbol 2 names offset 0 of the string table"),
    "symbol outside": (
        lambda: with_symbol("loop", 0, value=CODE_BASE + 328),
        "symbol 2 points outside its section '.text",
    ),
    "label unaligned": (
        lambda: with_symbol("loop", 0, value=CODE_BASE + 4),
        "label 'loop' is at offset 4, which is no word",
    ),
    "symbol kind": (
        lambda: with_symbol("hi", 1, info=0x02),
        "is neither a kernel, a function, a label of one, nor a data symbol",
    ),
    "kernel name": (
        lambda: with_symbol("saxpy", 2, name=string_at("other.1")),
        "is not the one kernel symbol of section",
    ),
    "kernel size": (lambda: with_symbol("saxpy", 2, size=312), "is not the one kernel symbol of section"),
    "same label": (lambda: with_symbol("loop", 0, name=string_at("end")), "defines 'end' a second time"),
    "lost symbol": (lambda: without_symbol("saxpy", 2), "section '.text.kernel.saxpy' has no kernel symbol"),
    "lost label": (lambda: without_symbol("loop", 0), "says label_count 3, but the rest of the file gives 2"),
    "lost data symbol": (lambda: without_symbol("hi", 1), "says data_symbol_count 4, but the rest of the file gives 3"),
    "bad name": (lambda: with_text(b"\0table\0", b"\0t\xffble\0"), "has a name that is not UTF-8 (invalid start byte"),
    "endless name": (lambda: with_section(".strtab", size=4), "has a name at offset 1 that does not end"),
    "argument count": (
        lambda: with_record(INFO, KERNEL, argument_count=2**32 - 1),
        "section '.hg_info.saxpy' counts 4294967295 arguments of 32 bytes, but 128 bytes follow its record",
    ),
    "code size": (
        lambda: with_record(INFO, KERNEL, code_size=8),
        "says code_size 8, but the rest of the file gives 320",
    ),
    "code address": (lambda: with_record(INFO, KERNEL, code_address=0), "says code_address 0, but"),
    "rounding": (
        lambda: with_record(INFO, KERNEL, fp_rndmode=3),
        "says fp_rndmode 3, but the rest of the file gives 0",
    ),
    "user sregs": (lambda: with_record(INFO, KERNEL, user_sreg_num=16), "says user_sreg_num 16, but"),
    "lines": (lambda: with_record(INFO, KERNEL, line_count=0), "says line_count 0, but the rest of the file gives 6"),
    "registers": (lambda: with_record(INFO, KERNEL, vreg_number=300), "describes no legal kernel: vregs is 300"),
    "block": (lambda: with_record(INFO, KERNEL, maxntid=[1, 0, 1]), "describes no legal kernel: maxntid.y is 0"),
    "descriptor name": (lambda: with_record(INFO, KERNEL, name=string_at("other.1")), "describes kernel 'other.1'"),
    "type": (
        lambda: with_record(INFO, descriptor.ARGUMENT, FIRST_ARGUMENT, type=b"i32"),
        "argument 0 the unknown type 'i32'",
    ),
    "index": (lambda: with_record(INFO, descriptor.ARGUMENT, FIRST_ARGUMENT, index=1), "says index 1, but"),
    "register": (lambda: with_record(INFO, descriptor.ARGUMENT, FIRST_ARGUMENT, register=200), "preloaded past sreg31"),
    "count": (
        lambda: with_record(INFO, descriptor.ARGUMENT, FIRST_ARGUMENT + 96, count=2**31),
        "says argument_size 23, but",
    ),
    "short record": (lambda: with_sections(GOOD, {INFO: bytes(10)}), "needs 100 bytes at offset 0 but 10 are left"),
    "long record": (
        lambda: with_sections(GOOD, {".hg_info": section_data(GOOD, ".hg_info") + b"1"}),
        "goes on for 1 bytes",
    ),
    "kernel count": (
        lambda: with_record(".hg_info", descriptor.MODULE_RECORD, kernel_count=9),
        "says kernel_count 9, but",
    ),
    "macro count": (lambda: with_record(MACROS, COUNT, n=9), "needs 144 bytes at offset 4 but 72 are left; the file"),
    "macro order": (lambda: with_record(MACROS, macrocalls.CALL, 4, outer=1), "has call 1 in call 1, which does not"),
    "macro runs": (lambda: with_record(MACROS, macrocalls.RUN, 36, rows=9), "does not say for 7 lines in which of 2"),
    "macro number": (lambda: with_record(MACROS, macrocalls.RUN, 36, call=3), "does not say for 7 lines in which of 2"),
    "macro twice": (lambda: with_record(MACROS, macrocalls.RUN, 44, call=0), "does not have its calls in order"),
    "macro bytes": (
        lambda: with_sections(GOOD, {MACROS: section_data(GOOD, MACROS) + b"1"}),
        "section '.hg_macros' has 41 bytes behind its calls, which is no number of runs",
    ),
    "macro depth": (lambda: with_sections(GOOD, {MACROS: deep_macros(65)}), "has calls nested more than 64 deep"),
    "note owner": (lambda: with_text(b"m890\0\0\0\0{", b"m891\0\0\0\0{"), "section '.note.m890' is not a note of m890"),
    "note size": (lambda: with_record(".note.m890", objectfile.NOTE_HEADER, size=2**32 - 1), "needs 4294967295 bytes"),
    "note text": (lambda: with_note(b"[1, 2"), "section '.note.m890' does not hold JSON;"),
    "note depth": (lambda: with_note(b"[" * 200_000), "section '.note.m890' does not hold JSON;"),
    "note bytes": (lambda: with_note(b'"\xff"'), "section '.note.m890' does not hold JSON;"),
    "note number": (lambda: with_note(b"9" * 100_000), "section '.note.m890' does not hold JSON;"),
    "note list": (lambda: with_note(b"[]"), "section '.note.m890' does not hold a JSON object;"),
    "note arch": (
        lambda: with_text(b'"ppu0015"', b'"ppu0016"'),
        "does not give arch as 'ppu0015', as the rest of the file",
    ),
    "line version": (
        lambda: with_record(".debug_line", dwarf.LINE_HEADER, version=5),
        "has version 5, where m890 writes 4",
    ),
    "line length": (lambda: with_record(".debug_line", dwarf.LINE_HEADER, unit_length=9), "but its unit has length 9"),
    "line header": (lambda: with_record(".debug_line", dwarf.LINE_HEADER, header_length=9), "but a header length of 9"),
    "line directory": (
        lambda: with_text(b"\0src/saxpy.s\0\0", b"\0src/saxpy.s\0\1"),
        "gives file 'src/saxpy.s' a directory",
    ),
    "line address": (
        lambda: with_text(dwarf.SET_ADDRESS + CODE_BASE.to_bytes(8, "little"), dwarf.SET_ADDRESS + bytes(8)),
        "section '.debug_line' has a sequence for address 0x0, where no kernel begins",
    ),
}


def elf_name(section: str) -> int:
    """Where the section names hold a name."""
    return section_data(GOOD, ".shstrtab").index(b"\0" + section.encode() + b"\0") + 1


def string_at(text: str) -> int:
    """Where the symbols' strings hold a name."""
    return section_data(GOOD, ".strtab").index(b"\0" + text.encode() + b"\0") + 1


def without_symbol(name: str, kind: int) -> bytes:
    """The file rebuilt without one symbol."""
    image = elf.read(GOOD, "x")
    image.symbols = [symbol for symbol in image.symbols if (symbol.name, symbol.type) != (name, kind)]
    return rebuilt(image)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_named(lie: str) -> None:
    make, text = LIES[lie]
    with pytest.raises(ObjectError) as caught:
        objectfile.read(make(), "saxpy.hgbin")
    assert text in str(caught.value)
    assert re.match(r"saxpy\.hgbin: .+; .*(assemble it again|give an object written by)", str(caught.value))


def program_lie(program: bytes) -> bytes:
    """The small object with another program after the address of its one sequence."""
    lines = section_data(SMALL, ".debug_line")
    start = lines.index(dwarf.SET_ADDRESS)
    body = bytearray(lines[: start + 11] + program)
    body[:4] = (len(body) - 4).to_bytes(4, "little")
    return with_sections(SMALL, {".debug_line": bytes(body)})


END = dwarf.END_SEQUENCE


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (b"", "needs 1 bytes at offset"),
        (END, "has a sequence of 0 bytes for a kernel of 16"),
        (bytes([5, 0]) + END, "has operation 5 before offset"),
        (bytes([0, 1, 7]), "has operation 0 before offset"),
        (bytes([4, 9, 1]) + END, "names file 9 of 2"),
        (bytes([4, 0, 1]) + END, "names file 0 of 2"),
        (bytes([2]) + b"\xff" * 11, "has a number longer than 64 bits"),
        (bytes([1, 2, 2, 1]) + END, "a line entry is at offset 16, after one at 0, in 16 bytes"),
        (bytes([3, 0x7E, 1, 1, 2, 2]) + END, "a line entry has line number -1"),
        (bytes([1, 2, 2]) + END + b"\1\2", "needs 3 bytes at offset"),
        (bytes([1, 2, 2]) + END + bytes(3), "that does not begin with an address"),
        (
            bytes([1, 2, 2]) + END + dwarf.SET_ADDRESS + CODE_BASE.to_bytes(8, "little"),
            "no kernel begins that still lacks one",
        ),
    ],
)
def test_a_lie_in_the_line_program_is_named(program: bytes, text: str) -> None:
    with pytest.raises(ObjectError, match=re.escape(text)):
        objectfile.read(program_lie(program), "saxpy.hgbin")


def test_one_long_name_used_everywhere_is_read_once() -> None:
    """It takes about as long as a short one: processor time, the least of five comparisons."""

    def written(name: str) -> bytes:
        words = np.zeros(1, np.uint64)
        return objectfile.write(
            Module("ppu0015", {f"k{i}": Kernel(f"k{i}", words, labels={name: 0}) for i in range(1500)})
        )

    def seconds(data: bytes) -> float:
        start = time.process_time()
        assert len(objectfile.read(data).kernels) == 1500
        return time.process_time() - start

    long, short = written("n" * 1_000_000), written("n")
    assert min(seconds(long) / seconds(short) for _ in range(5)) < 4


def test_the_error_says_which_file_and_travels_between_processes() -> None:
    error = ObjectError("saxpy.hgbin", "ELF header is bad; assemble it again")
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, ValueError)
    assert (copy.name, copy.reason, str(copy)) == (error.name, error.reason, "saxpy.hgbin: " + error.reason)
