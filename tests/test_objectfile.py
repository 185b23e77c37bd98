"""Object files: round trips, modules that have none, and what other tools read in them."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from object_samples import GOOD, plain, sample

from m890.isa import descriptor, elf, objectfile
from m890.isa.objectfile import ObjectError
from m890.isa.program import (
    CODE_BASE,
    DATA_BASE,
    SCALAR_TYPES,
    Kernel,
    Line,
    MacroCall,
    Module,
    Parameter,
    lay_out,
)

MAX_LINE = (1 << 32) - 1

# Round trips

NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12)
FILES = st.sampled_from(["a.s", "/abs/dir/b.s", "dir/", "x/../ü.s", " "]) | NAMES
DECLARED = st.tuples(NAMES, st.sampled_from(sorted(SCALAR_TYPES)), st.just(1) | st.integers(1, 20))
CALLS = st.lists(st.builds(MacroCall, NAMES | st.sampled_from("mn"), FILES, st.integers(1, 3)), max_size=3)
AXES = st.tuples(st.integers(1, 1024), st.integers(1, 1024), st.integers(1, 128))


@st.composite
def kernels(draw: st.DrawFn, name: str) -> Kernel:
    words = draw(st.lists(st.integers(0, 2**64 - 1), max_size=60))
    places = st.integers(0, max(len(words) - 1, 0))
    rows = st.tuples(places, FILES, st.integers(1, 40) | st.integers(0, MAX_LINE), CALLS)
    lines = sorted(draw(st.lists(rows, max_size=20 if words else 0)), key=lambda row: row[0])
    return Kernel(
        name,
        np.array(words, np.uint64),
        vregs=draw(st.integers(0, 256)),
        sregs=draw(st.integers(0, 192)),
        tsm=draw(st.integers(0, 262_144)),
        private=draw(st.integers(0, 2**32 - 1)),
        maxntid=draw(st.none() | AXES),
        reqntid=draw(st.none() | AXES),
        params=lay_out(draw(st.lists(DECLARED, max_size=20, unique_by=lambda declared: declared[0]))),
        labels={label: 8 * draw(st.integers(0, len(words))) for label in draw(st.lists(NAMES, max_size=5))},
        lines=tuple(Line(8 * place, file, line, tuple(calls)) for place, file, line, calls in lines),
    )


@st.composite
def modules(draw: st.DrawFn) -> Module:
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    data = draw(st.binary(max_size=30))
    symbols = {name: draw(st.integers(0, len(data))) for name in draw(st.lists(NAMES, max_size=4))}
    arch = draw(st.sampled_from(["ppu0015", "ppu001"]))
    return Module(arch, {name: draw(kernels(name)) for name in names}, data, symbols)


@given(modules())
def test_reading_inverts_writing(module: Module) -> None:
    data = objectfile.write(module)
    back = objectfile.read(data)
    assert plain(back) == plain(module)
    assert all(kernel.words.dtype == np.uint64 and kernel.words.flags.writeable for kernel in back.kernels.values())
    assert objectfile.write(back) == data


def test_same_module_same_bytes_whatever_the_order_of_its_names() -> None:
    shuffled = sample()
    shuffled.data_symbols = dict(reversed(shuffled.data_symbols.items()))
    shuffled.kernels["saxpy"].labels = dict(reversed(shuffled.kernels["saxpy"].labels.items()))
    assert objectfile.write(shuffled) == objectfile.write(sample()) == GOOD


def test_kernels_keep_their_order_and_empty_ones_their_address() -> None:
    names = ["z", "a", "m"]
    module = Module("ppu001", {name: Kernel(name, np.zeros(0, np.uint64), labels={"here": 0}) for name in names})
    data = objectfile.write(module)
    sections = elf.read(data, "x").sections
    assert [sections[f".text.kernel.{name}"].address - CODE_BASE for name in names] == [0, 256, 512]
    assert plain(objectfile.read(data)) == plain(module)


def test_kernels_of_exactly_256_bytes_do_not_share_line_addresses() -> None:
    words = np.zeros(32, np.uint64)
    module = Module("ppu0015", {name: Kernel(name, words, lines=(Line(0, name, 1),)) for name in "ab"})
    assert plain(objectfile.read(objectfile.write(module))) == plain(module)


def test_lines_far_apart_and_many_files() -> None:
    lines = tuple(Line(8 * 300 * number, f"{number}.s", 40_000 * (number % 3)) for number in range(200))
    module = Module("ppu0015", {"k": Kernel("k", np.zeros(100_000, np.uint64), lines=lines)})
    data = objectfile.write(module)
    assert plain(objectfile.read(data)) == plain(module)
    elffile = pytest.importorskip("elftools.elf.elffile")
    assert pyelftools_rows(elffile.ELFFile(io.BytesIO(data))) == expected_rows(module, {"k": CODE_BASE})


def test_an_empty_module_is_an_object_without_debug_sections() -> None:
    data = objectfile.write(Module("ppu0015"))
    assert not [name for name in elf.read(data, "x").sections if name.startswith((".debug", ".data", ".text."))]
    assert plain(objectfile.read(data)) == plain(Module("ppu0015"))


# Modules that have no object file


def changed(**fields: Any) -> Module:
    """The sample with other fields in its first kernel."""
    module = sample()
    for name, value in fields.items():
        setattr(module.kernels["saxpy"], name, value)
    return module


def line(offset: int, number: int = 1, file: str = "a.s") -> tuple[Line, ...]:
    return (Line(offset, file, number),)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (Module("ppu9"), "architecture 'ppu9' is none of ppu0015, ppu001"),
        (Module("ppu0015", {"a": Kernel("b", np.zeros(1, np.uint64))}), "the kernel 'b' is listed as 'a'"),
        (Module("ppu0015", {"": Kernel("", np.zeros(1, np.uint64))}), "a name is empty"),
        (Module("ppu0015", {}, b"ab", {"x": 3}), "data symbol 'x' is at offset 3 of 2 bytes"),
        (changed(words=np.zeros((2, 2), np.uint64)), "2-dimensional uint64"),
        (changed(words=np.zeros(40, np.int64)), "1-dimensional int64"),
        (changed(vregs=257), "vregs is 257, not 0 to 256"),
        (changed(sregs=193), "sregs is 193, not 0 to 192"),
        (changed(tsm=-1), "tsm is -1, not 0 to 262144"),
        (changed(private=1 << 32), "private is 4294967296"),
        (changed(maxntid=(1, 1, 129)), "maxntid.z is 129, not 1 to 128"),
        (changed(maxntid=(0, 1, 1)), "maxntid.x is 0"),
        (changed(reqntid=(1, 1025, 1)), "reqntid.y is 1025, not 1 to 1024"),
        (changed(labels={"a\0b": 0}), r"the name 'a\x00b' contains a NUL"),
        (changed(labels={"\udc80": 0}), "has no UTF-8 form"),
        (changed(labels={"a": 12}), "label 'a' is at offset 12"),
        (changed(labels={"a": 328}), "label 'a' is at offset 328"),
        (changed(lines=line(320)), "a line entry is at offset 320"),
        (changed(lines=line(8) + line(0)), "a line entry is at offset 0, after one at 8"),
        (changed(lines=line(0, MAX_LINE + 1)), "line number 4294967296"),
        (changed(lines=line(0, file="")), "a name is empty"),
        (
            changed(params=(Parameter("a", "u32", 1, 0, 6), Parameter("a", "u32", 1, 4, 7))),
            "two parameters are named 'a'",
        ),
        (changed(params=(Parameter("a", "u32", 0, 0, None),)), "parameter 'a' is 0 of 'u32'"),
        (changed(params=(Parameter("a", "int", 1, 0, None),)), "parameter 'a' is 1 of 'int'"),
        (changed(params=(Parameter("a", "u32", 1, 2, None),)), "parameter 'a' lies at offset 2"),
        (changed(params=(Parameter("a", "u64", 1, 0, 7),)), "cannot be preloaded to sreg7"),
        (changed(params=(Parameter("a", "u32", 2, 0, 6),)), "cannot be preloaded to sreg6"),
        (changed(params=(Parameter("a", "u32", 1, 0, 5),)), "cannot be preloaded to sreg5"),
        (changed(params=(Parameter("a", "u32", 1, 0, 32),)), "is preloaded past sreg31"),
        (changed(params=(Parameter("a", "u8", 32_765, 0, None),)), "take 32765 bytes, more than 32764"),
    ],
)
def test_a_module_without_an_object_file_is_refused(module: Module, text: str) -> None:
    with pytest.raises(ObjectError, match=re.escape(text)) as caught:
        objectfile.write(module)
    assert caught.value.name == "<module>"
    assert "correct it" in caught.value.reason


def test_more_sections_than_elf_can_number_are_refused() -> None:
    words = np.zeros(0, np.uint64)
    module = Module("ppu0015", {str(number): Kernel(str(number), words) for number in range(33_000)})
    with pytest.raises(ObjectError, match="split the module"):
        objectfile.write(module)


@pytest.mark.parametrize(
    ("room", "text"),
    [
        (descriptor, ".data has 5 bytes, more than 4; correct it before writing the object"),
        (objectfile, "its code takes more than 4 bytes; split the module"),
    ],
)
def test_a_module_that_fills_the_address_space_is_refused(
    room: ModuleType, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_SPACE", 4)
    with pytest.raises(ObjectError, match=re.escape(text)):
        objectfile.write(sample())


# What other tools see


def tool(name: str, *arguments: str, data: bytes, folder: Path) -> str:
    """What a binutils program prints about an object; it must not complain."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    path = folder / "sample.hgbin"
    path.write_bytes(data)
    done = subprocess.run([name, *arguments, str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def expected_rows(module: Module, starts: dict[str, int]) -> list[tuple[str, int, int]]:
    """(file, line, address) of every row of the line table."""
    return [
        (line.file, line.line, starts[kernel.name] + line.offset)
        for kernel in module.kernels.values()
        for line in kernel.lines
    ]


STARTS = {"saxpy": CODE_BASE, "other.1": CODE_BASE + 512}


@pytest.mark.parametrize(
    "command", [("objdump", "--dwarf=decodedline"), ("readelf", "--debug-dump=decodedline"), ("readelf", "-W", "-wL")]
)
def test_binutils_read_the_line_table(command: tuple[str, ...], tmp_path: Path) -> None:
    text = tool(*command, data=GOOD, folder=tmp_path)
    rows = [
        (found[1], int(found[2]), int(found[3], 16))
        for found in re.finditer(r"^(\S+) +(\d+) +(0x[0-9a-f]+)", text, re.MULTILINE)
    ]
    assert rows == expected_rows(sample(), STARTS)


def test_readelf_reads_header_sections_symbols_and_unit(tmp_path: Path) -> None:
    text = tool("readelf", "--headers", "--symbols", "--debug-dump=info", "--wide", data=GOOD, folder=tmp_path)
    assert re.search(r"Flags: +0x30096\n", text)
    assert re.search(r"\.text\.kernel\.other\.1 +PROGBITS +0000000100000200 \w+ 000008 00 +AX +0 +0 256\n", text)
    assert re.search(r"0000000100000000 +320 FUNC +GLOBAL DEFAULT +\d+ saxpy\n", text)
    assert re.search(r"0000000100000010 +0 NOTYPE +LOCAL +DEFAULT +\d+ loop\n", text)
    assert re.search(r"0000000180000002 +3 OBJECT +LOCAL + DEFAULT +\d+ l2\n", text)
    assert re.search(r"DW_AT_name +: \(string\) src/saxpy\.s\n", text)


def test_addr2line_finds_the_source_line(tmp_path: Path) -> None:
    addresses = [CODE_BASE, CODE_BASE + 16, CODE_BASE + 512]
    text = tool("addr2line", *map(hex, addresses), "-e", data=GOOD, folder=tmp_path)
    assert text.split() == ["src/saxpy.s:5", "inc/wait.inc:2", "inc/wait.inc:3"]


@given(modules())
@settings(max_examples=50)
def test_pyelftools_reads_the_same(module: Module) -> None:
    elffile = pytest.importorskip("elftools.elf.elffile")
    file = elffile.ELFFile(io.BytesIO(objectfile.write(module)))
    assert (file.elfclass, file.little_endian, file["e_machine"]) == (64, True, elf.MACHINE)
    assert file["e_flags"] == 3 << 16 | {"ppu0015": 150, "ppu001": 100}[module.arch]
    starts: dict[str, int] = {}
    symbols: list[tuple[Any, ...]] = []
    for name, kernel in module.kernels.items():
        section = file.get_section_by_name(f".text.kernel.{name}")
        starts[name] = section["sh_addr"]
        assert section.data() == kernel.words.tobytes()
        symbols.append((name, starts[name], kernel.words.nbytes, "STT_FUNC", "STB_GLOBAL"))
        symbols += [(label, starts[name] + at, 0, "STT_NOTYPE", "STB_LOCAL") for label, at in kernel.labels.items()]
    for name, offset in module.data_symbols.items():
        size = min([end for end in (*module.data_symbols.values(), len(module.data)) if end > offset], default=offset)
        symbols.append((name, DATA_BASE + offset, size - offset, "STT_OBJECT", "STB_LOCAL"))
    found = [
        (symbol.name, symbol["st_value"], symbol["st_size"], symbol["st_info"]["type"], symbol["st_info"]["bind"])
        for symbol in list(file.get_section_by_name(".symtab").iter_symbols())[1:]
    ]
    assert sorted(found) == sorted(symbols)
    (note,) = file.get_section_by_name(".note.m890").iter_notes()
    assert note["n_name"] == "m890"
    files = list(dict.fromkeys(line.file for kernel in module.kernels.values() for line in kernel.lines))
    assert json.loads(note["n_desc"]) == {"arch": module.arch, "files": files, "format": 3, "producer": "m890"}
    assert pyelftools_rows(file) == expected_rows(module, starts)


def pyelftools_rows(file: Any) -> list[tuple[str, int, int]]:
    """The rows of the line program as pyelftools decodes it."""
    if not file.has_dwarf_info():
        return []
    info = file.get_dwarf_info()
    (unit,) = info.iter_CUs()
    program = info.line_program_for_CU(unit)
    names = [entry.name.decode() for entry in program["file_entry"]]
    states = [entry.state for entry in program.get_entries() if entry.state and not entry.state.end_sequence]
    return [(names[state.file - 1], state.line, state.address) for state in states]
