"""Object files: a `Module` as ELF64, and back.

    .text                    16 s.nop; the place of device functions
    .text.kernel.<name>      a kernel's words, from CODE_BASE on at multiples of 256
    .data                    the module's data, at DATA_BASE
    .hg_info                 what the module is; `.hg_info.<name>` what a launch of the kernel needs
    .note.m890               the same in canonical JSON, for other programs
    .debug_*                 where each word came from
    .symtab                  kernels, their labels, data symbols

Equal modules give equal bytes, but for the order of kernels, which is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import numpy as np

from . import descriptor, dwarf, elf
from .binary import OTHER_VERSION, Cursor, ObjectError, pack
from .descriptor import ARCHITECTURES, FORMAT_VERSION, MAX_SPACE, WORD_BYTES
from .elf import Image, Section, StringTable, Symbol
from .program import CODE_BASE, DATA_BASE, Kernel, Line, Module

CODE_PREFIX, INFO_PREFIX = ".text.kernel.", ".hg_info."
CODE_ALIGNMENT = 256
NOP = 0x0800_0000_0000_0000
TEXT = np.full(16, NOP, "<u8").tobytes()
"""What `.text` begins with (published), and all it holds until there are device functions."""
PRODUCER = "m890"
NOTE_HEADER = np.dtype([("name_size", "<u4"), ("size", "<u4"), ("type", "<u4"), ("name", "S8")])
NOTE_NAME = b"m890\0"
NOTE_TYPE = 0x890


def write(module: Module) -> bytes:
    """The object file of a module.

    Raises `ObjectError` for a module that the format or the chip has no room for.
    """
    for problem in descriptor.module_problems(module):
        raise ObjectError("<module>", f"{problem}; correct it before writing the object")
    placed, end = _place(module)
    strings = StringTable()
    sections = [
        _code(".text", TEXT, end),
        *(_code(CODE_PREFIX + kernel.name, _words(kernel), address) for address, kernel in placed.items()),
    ]
    if module.data or module.data_symbols:
        sections.append(
            Section(".data", module.data, flags=elf.ALLOC | elf.WRITE, address=DATA_BASE, align=CODE_ALIGNMENT)
        )
    sections.append(Section(".hg_info", descriptor.pack_module(module)))
    sections += [
        Section(INFO_PREFIX + kernel.name, descriptor.pack_kernel(kernel, address, strings))
        for address, kernel in placed.items()
    ]
    sections.append(Section(".note.m890", _pack_note(module), elf.NOTE, align=4))
    sections += [Section(name, data, align=1) for name, data in dwarf.write(placed, PRODUCER).items()]
    return elf.write(sections, _symbols(module, placed), strings, FORMAT_VERSION << 16 | ARCHITECTURES[module.arch])


def _place(module: Module) -> tuple[dict[int, Kernel], int]:
    """The kernels by address, and the first address after them; even an empty kernel has its own."""
    placed: dict[int, Kernel] = {}
    address = CODE_BASE
    for kernel in module.kernels.values():
        placed[address] = kernel
        size = max(kernel.words.size * WORD_BYTES, 1)
        address += -(-size // CODE_ALIGNMENT) * CODE_ALIGNMENT
    if address + len(TEXT) > CODE_BASE + MAX_SPACE:
        raise ObjectError("<module>", f"its code takes more than {MAX_SPACE} bytes; split the module")
    return placed, address


def _code(name: str, data: bytes, address: int) -> Section:
    return Section(name, data, flags=elf.ALLOC | elf.EXECUTE, address=address, align=CODE_ALIGNMENT)


def _words(kernel: Kernel) -> bytes:
    return kernel.words.astype("<u8").tobytes()


def _symbols(module: Module, placed: dict[int, Kernel]) -> Iterator[Symbol]:
    """Every symbol, in an order that depends on names and offsets alone."""
    for address, kernel in placed.items():
        section = CODE_PREFIX + kernel.name
        yield Symbol(kernel.name, section, address, kernel.words.size * WORD_BYTES, elf.FUNCTION, elf.GLOBAL)
        for name, offset in _by_offset(kernel.labels):
            yield Symbol(name, section, address + offset, 0, elf.NOTYPE, elf.LOCAL)
    borders = sorted({*module.data_symbols.values(), len(module.data)})
    ends = dict(pairwise([*borders, len(module.data)]))
    for name, offset in _by_offset(module.data_symbols):
        yield Symbol(name, ".data", DATA_BASE + offset, ends[offset] - offset, elf.OBJECT, elf.GLOBAL)


def _by_offset(names: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(names.items(), key=lambda item: (item[1], item[0]))


def _note(module: Module) -> dict[str, Any]:
    files = dwarf.source_files(module.kernels.values())
    return {"arch": module.arch, "files": files, "format": FORMAT_VERSION, "producer": PRODUCER}


def _pack_note(module: Module) -> bytes:
    text = json.dumps(_note(module), sort_keys=True, separators=(",", ":")).encode("ascii")
    header = {"name_size": len(NOTE_NAME), "size": len(text), "type": NOTE_TYPE, "name": NOTE_NAME}
    return pack(NOTE_HEADER, header) + text + bytes(-len(text) % 4)


def read(data: bytes, name: str = "<object>") -> Module:
    """The module in an object file called `name`.

    Raises `ObjectError`, and nothing else, for bytes that are not a sound object file.
    """
    image = elf.read(data, name)
    module = Module(_architecture(image))
    if ".data" in image.sections:
        module.data = _data(image)
    if image.section(".text").data != TEXT:
        raise image.place("section '.text'").error("holds more than 16 s.nop: device functions", OTHER_VERSION)
    code = {section.name: section for section in _kernel_sections(image)}
    labels = _read_symbols(image, module, code)
    lines = _read_lines(image, code)
    for section in code.values():
        kernel = _read_kernel(image, section, labels[section.name], lines.get(section.address, ()))
        module.kernels[kernel.name] = kernel
    descriptor.check_module(image.cursor(image.section(".hg_info")), module)
    _check_note(image.cursor(image.section(".note.m890")), module)
    return module


def _data(image: Image) -> bytes:
    section = image.section(".data")
    if section.address != DATA_BASE or section.flags != elf.ALLOC | elf.WRITE:
        raise image.place("section '.data'").error(f"is no data at address {DATA_BASE:#x}")
    return section.data


def _architecture(image: Image) -> str:
    place, version = image.place("ELF header"), image.flags >> 16
    if version != FORMAT_VERSION:
        raise place.error(f"has object format {version}, where this m890 reads {FORMAT_VERSION}", OTHER_VERSION)
    for arch, number in ARCHITECTURES.items():
        if image.flags & 0xFFFF == number:
            return arch
    raise place.error(f"has the unknown ISA version {image.flags & 0xFFFF}", OTHER_VERSION)


def _kernel_sections(image: Image) -> Iterator[Section]:
    """The code sections, each of whole words in the code window; no descriptor may lack one."""
    for section in map(image.section, [name for name in image.sections if name.startswith(CODE_PREFIX)]):
        place = image.place(f"section {section.name!r}")
        if len(section.data) % WORD_BYTES:
            raise place.error(f"has {len(section.data)} bytes, which is no number of {WORD_BYTES}-byte words")
        inside = CODE_BASE <= section.address <= CODE_BASE + MAX_SPACE - len(section.data)
        if not inside or section.address % CODE_ALIGNMENT or section.flags != elf.ALLOC | elf.EXECUTE:
            raise place.error(f"is no code at address {section.address:#x}")
        yield section
    for name in image.sections:
        if name.startswith(INFO_PREFIX) and CODE_PREFIX + name.removeprefix(INFO_PREFIX) not in image.sections:
            raise image.place(f"section {name!r}").error("describes a kernel that has no code")


def _read_symbols(image: Image, module: Module, code: dict[str, Section]) -> dict[str, dict[str, int]]:
    """The labels by code section; data symbols go to the module. Each kernel must have its symbol."""
    labels: dict[str, dict[str, int]] = {name: {} for name in code}
    named: set[str] = set()
    for number, symbol in enumerate(image.symbols, 1):
        place = image.place(f"symbol {number}")
        section = image.sections[symbol.section]
        offset = symbol.value - section.address
        if not 0 <= offset <= len(section.data) - symbol.size:
            raise place.error(f"points outside its section {symbol.section!r}")
        kind = (symbol.type, symbol.binding)
        if symbol.section in code and kind == (elf.FUNCTION, elf.GLOBAL):
            if (
                CODE_PREFIX + symbol.name != symbol.section
                or symbol.size != len(section.data)
                or symbol.section in named
            ):
                raise place.error(f"is not the one kernel symbol of section {symbol.section!r}")
            named.add(symbol.section)
            continue
        if symbol.section in code and kind == (elf.NOTYPE, elf.LOCAL):
            names = labels[symbol.section]
        elif symbol.section == ".data" and kind == (elf.OBJECT, elf.GLOBAL):
            names = module.data_symbols
        else:
            raise place.error("is neither a kernel, a label of one, nor a data symbol")
        if symbol.name in names:
            raise place.error(f"defines {symbol.name!r} a second time in section {symbol.section!r}")
        names[symbol.name] = offset
    for name in code.keys() - named:
        raise image.place(f"section {name!r}").error("has no kernel symbol")
    return labels


def _read_lines(image: Image, code: dict[str, Section]) -> dict[int, tuple[Line, ...]]:
    """The line table by kernel address, empty if the object has none."""
    if ".debug_line" not in image.sections:
        return {}
    sizes = {section.address: len(section.data) for section in code.values()}
    return dwarf.read(image.cursor(image.section(".debug_line")), sizes)


def _read_kernel(image: Image, section: Section, labels: dict[str, int], lines: tuple[Line, ...]) -> Kernel:
    name = section.name.removeprefix(CODE_PREFIX)
    words = np.frombuffer(section.data, "<u8").astype(np.uint64)
    cursor = image.cursor(image.section(INFO_PREFIX + name))
    kernel = descriptor.unpack_kernel(cursor, image.strings, (section.address, words), labels, lines)
    if kernel.name != name:
        raise cursor.place.error(f"describes kernel {kernel.name!r}")
    return kernel


def _check_note(cursor: Cursor, module: Module) -> None:
    """The note must agree with the module, whoever produced it."""
    place = cursor.place
    header = cursor.record(NOTE_HEADER)
    if (header["name_size"], header["type"], header["name"]) != (len(NOTE_NAME), NOTE_TYPE, NOTE_NAME.rstrip(b"\0")):
        raise place.error("is not a note of m890")
    text = cursor.take(header["size"])
    if cursor.left != -len(text) % 4:
        raise place.error(f"goes on for {cursor.left} bytes after its text")
    try:
        note: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise place.error("does not hold JSON") from None
    if not isinstance(note, dict):
        raise place.error("does not hold a JSON object")
    found = cast("dict[str, Any]", note)
    for key, value in _note(module).items():
        if key != "producer" and found.get(key) != value:
            raise place.error(f"does not give {key} as {value!r}, as the rest of the file does")
