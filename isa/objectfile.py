"""Object files: a `Module` as ELF64, and back.

    .text                    16 s.nop (published), then the device functions, at TEXT_BASE
    .text.kernel.<name>      a kernel's words, from CODE_BASE on at multiples of 256
    .data                    the module's data, at DATA_BASE
    .hg_info                 what the module is; `.hg_info.<name>` what a launch of the kernel needs
    .note.m890               the same in canonical JSON, for other programs
    .debug_*                 where each word came from
    .hg_macros               the macros that those lines stand in (see `macrocalls`)
    .rela.*                  addresses in the section that a linker fills in (see `relocations`)
    .symtab                  kernels, functions, their labels, data symbols, what other objects define

Functions and data symbols that others may refer to are global, kernels always are. Equal modules give equal bytes, but
for the order of kernels and functions, which is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import numpy as np

from . import descriptor, dwarf, elf, macrocalls
from .binary import OTHER_VERSION, Cursor, ObjectError, Place, pack
from .descriptor import FORMAT_VERSION, MAX_SPACE, WORD_BYTES
from .elf import Image, Rela, Section, StringTable, Symbol
from .program import (
    ARCHITECTURES,
    CODE_BASE,
    DATA_ALIGNMENT,
    DATA_BASE,
    TEXT_BASE,
    TEXT_HEAD,
    Function,
    Kernel,
    Line,
    Module,
    Relocation,
)
from .relocations import DATA, KINDS, code_of, missing

CODE_PREFIX, INFO_PREFIX = ".text.kernel.", ".hg_info."
CODE_ALIGNMENT = 256
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
    kernels, functions = _place(module)
    strings = StringTable()
    sections = [
        _code(".text", module.text().astype("<u8").tobytes(), TEXT_BASE),
        *(_code(CODE_PREFIX + kernel.name, _words(kernel), address) for address, kernel in kernels.items()),
    ]
    refers = any(relocation.symbol == DATA for relocation in _all_relocations(module))
    if module.data or module.data_symbols or refers or module.data_alignment > DATA_ALIGNMENT:
        flags = elf.ALLOC | elf.WRITE
        sections.append(Section(".data", module.data, flags=flags, address=DATA_BASE, align=module.data_alignment))
    sections.append(Section(".hg_info", descriptor.pack_module(module, strings)))
    sections += [
        Section(INFO_PREFIX + kernel.name, descriptor.pack_kernel(kernel, address, strings))
        for address, kernel in kernels.items()
    ]
    sections.append(Section(".note.m890", _pack_note(module), elf.NOTE, align=4))
    placed: dict[int, Function] = {**functions, **kernels}
    sections += [Section(name, data, align=1) for name, data in dwarf.write(placed, PRODUCER).items()]
    calls = macrocalls.pack_calls(placed, strings)
    sections += [Section(".hg_macros", calls)] if calls else []
    symbols = list(_symbols(module, kernels, functions))
    flags = FORMAT_VERSION << 16 | ARCHITECTURES[module.arch]
    return elf.write(sections, symbols, strings, flags, _relocations(module, kernels, functions, symbols))


def _place(module: Module) -> tuple[dict[int, Kernel], dict[int, Function]]:
    """The kernels and the functions by address; even an empty kernel has its own."""
    placed: dict[int, Kernel] = {}
    address = CODE_BASE
    for kernel in module.kernels.values():
        placed[address] = kernel
        size = max(kernel.words.size * WORD_BYTES, 1)
        address += -(-size // CODE_ALIGNMENT) * CODE_ALIGNMENT
    if address > CODE_BASE + MAX_SPACE or module.text().nbytes > CODE_BASE - TEXT_BASE:
        raise ObjectError("<module>", f"its code takes more than {MAX_SPACE} bytes; split the module")
    offsets = module.function_offsets()
    return placed, {TEXT_BASE + offsets[name]: function for name, function in module.functions.items()}


def _code(name: str, data: bytes, address: int) -> Section:
    return Section(name, data, flags=elf.ALLOC | elf.EXECUTE, address=address, align=CODE_ALIGNMENT)


def _words(kernel: Kernel) -> bytes:
    return kernel.words.astype("<u8").tobytes()


def _symbols(module: Module, kernels: dict[int, Kernel], functions: dict[int, Function]) -> Iterator[Symbol]:
    """Every symbol, in an order that depends on names and offsets alone."""

    def binding(name: str) -> int:
        return elf.GLOBAL if name in module.exported else elf.LOCAL

    for address, kernel in kernels.items():
        section = CODE_PREFIX + kernel.name
        yield Symbol(kernel.name, section, address, kernel.words.nbytes, elf.FUNCTION, elf.GLOBAL)
        yield from _labels(kernel, section, address)
    for address, function in functions.items():
        yield Symbol(function.name, ".text", address, function.words.nbytes, elf.FUNCTION, binding(function.name))
        yield from _labels(function, ".text", address)
    borders = sorted({*module.data_symbols.values(), len(module.data)})
    ends = dict(pairwise([*borders, len(module.data)]))
    for name, offset in _by_offset(module.data_symbols):
        yield Symbol(name, ".data", DATA_BASE + offset, ends[offset] - offset, elf.OBJECT, binding(name))
    if any(r.symbol == DATA for r in _all_relocations(module)):
        yield Symbol(DATA, ".data", DATA_BASE, 0, elf.SECTION, elf.LOCAL)
    yield from (Symbol(name, "", 0, 0, elf.NOTYPE, elf.GLOBAL) for name in sorted(missing(module)))


def _labels(code: Function, section: str, address: int) -> Iterator[Symbol]:
    for name, offset in _by_offset(code.labels):
        yield Symbol(name, section, address + offset, 0, elf.NOTYPE, elf.LOCAL)


def _all_relocations(module: Module) -> list[Relocation]:
    return [r for code in code_of(module) for r in code.relocations] + list(module.data_relocations)


def _relocations(
    module: Module, kernels: dict[int, Kernel], functions: dict[int, Function], symbols: list[Symbol]
) -> dict[str, list[Rela]]:
    """The relocations by section."""
    named = {symbol.name: symbol for symbol in symbols if _is_referable(symbol)}

    def rows(address: int, relocations: Iterable[Relocation]) -> list[Rela]:
        return [Rela(address + r.offset, named[r.symbol], KINDS[r.kind].number, r.addend) for r in relocations]

    found = {".text": [row for address, code in functions.items() for row in rows(address, code.relocations)]}
    found |= {CODE_PREFIX + kernel.name: rows(address, kernel.relocations) for address, kernel in kernels.items()}
    return found | {".data": rows(DATA_BASE, module.data_relocations)}


def _is_referable(symbol: Symbol) -> bool:
    """Whether relocations may name it: functions, data symbols, the section of data, and what is undefined."""
    defined = symbol.section == ".text" and symbol.type == elf.FUNCTION
    return defined or symbol.type in (elf.OBJECT, elf.SECTION) or not symbol.section


def _by_offset(names: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(names.items(), key=lambda item: (item[1], item[0]))


def _note(module: Module) -> dict[str, Any]:
    files = dwarf.source_files([*module.functions.values(), *module.kernels.values()])
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
        module.data, module.data_alignment = _data(image)
    code = {section.name: section for section in _kernel_sections(image)}
    starts = _read_functions(image, module)
    labels = _read_symbols(image, module, code, starts)
    lines = _read_lines(
        image, code, {TEXT_BASE + at: module.functions[name].words.nbytes for name, at in starts.items()}
    )
    _fill_functions(image, module, labels, lines)
    for section in code.values():
        kernel = _read_kernel(image, section, labels[section.name], lines.get(section.address, ()))
        module.kernels[kernel.name] = kernel
    module.data_relocations = _read_relocations(image, ".data", DATA_BASE, len(module.data))
    descriptor.check_module(image.cursor(image.section(".hg_info")), module, image.strings)
    _check_note(image.cursor(image.section(".note.m890")), module)
    for problem in descriptor.module_problems(module):
        raise image.place("module").error(f"is not sound: {problem}")
    if {symbol.name for symbol in image.symbols if not symbol.section} != missing(module).keys():
        raise image.place("symbol table").error("has other undefined symbols than relocations need")
    return module


def _data(image: Image) -> tuple[bytes, int]:
    section = image.section(".data")
    if section.address != DATA_BASE or section.flags != elf.ALLOC | elf.WRITE:
        raise image.place("section '.data'").error(f"is no data at address {DATA_BASE:#x}")
    return section.data, section.align


def _read_functions(image: Image, module: Module) -> dict[str, int]:
    """The words of the device functions, which fill `.text` behind its head; their offsets in it."""
    section = image.section(".text")
    place, content = image.place("section '.text'"), section.data
    head = TEXT_HEAD.astype("<u8").tobytes()
    if section.address != TEXT_BASE or section.flags != elf.ALLOC | elf.EXECUTE:
        raise place.error(f"is no code at address {TEXT_BASE:#x}")
    if content[: len(head)] != head or len(content) % WORD_BYTES:
        raise place.error("does not begin with 16 s.nop, or has no whole words")
    starts: dict[str, int] = {}
    end = len(head)
    found = [symbol for symbol in image.symbols if symbol.section == ".text" and symbol.type == elf.FUNCTION]
    for symbol in sorted(found, key=lambda symbol: symbol.value):
        offset = symbol.value - TEXT_BASE
        if offset != end or symbol.size % WORD_BYTES or not 0 < symbol.size <= len(content) - end:
            raise place.error(f"has function {symbol.name!r} at {offset:#x} ({symbol.size} bytes), not at {end:#x}")
        if symbol.name in starts:
            raise place.error(f"has two functions {symbol.name!r}")
        starts[symbol.name], end = offset, end + symbol.size
        words = np.frombuffer(content[offset:end], "<u8").astype(np.uint64)
        module.functions[symbol.name] = Function(symbol.name, words)
    if end != len(content):
        raise place.error(f"has {len(content) - end} bytes behind its functions")
    return starts


def _fill_functions(
    image: Image, module: Module, labels: dict[str, dict[str, int]], lines: dict[int, tuple[Line, ...]]
) -> None:
    """Labels, lines and relocations of the functions."""
    relocations = _read_relocations(image, ".text", TEXT_BASE, len(image.section(".text").data))
    for name, start in module.function_offsets().items():
        function = module.functions[name]
        end = start + function.words.nbytes
        own = [r for r in relocations if start <= r.offset < end]
        function.labels, function.lines = labels.get(f".text:{name}", {}), lines.get(TEXT_BASE + start, ())
        function.relocations = tuple(replace(r, offset=r.offset - start) for r in own)


def _read_relocations(image: Image, section: str, address: int, size: int) -> tuple[Relocation, ...]:
    """The relocations of a section at an address; they must lie in it and name symbols that can be referred to."""
    place = image.place(f"section '.rela{section}'")
    names = {kind.number: name for name, kind in KINDS.items()}
    found: list[Relocation] = []
    for row in elf.read_relocations(image, section):
        offset = row.address - address
        if row.type not in names or not _is_referable(row.symbol):
            raise place.error(f"has a relocation of type {row.type} for symbol {row.symbol.name!r}")
        if not 0 <= offset <= size - KINDS[names[row.type]].size:
            raise place.error(f"has a relocation at {row.address:#x}, outside of its section")
        found.append(Relocation(offset, names[row.type], row.symbol.name, row.addend))
    return tuple(found)


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


def _read_symbols(
    image: Image, module: Module, code: dict[str, Section], starts: dict[str, int]
) -> dict[str, dict[str, int]]:
    """The labels by code section (`.text:NAME` for functions); data symbols go to the module.

    Each kernel must have its symbol.
    """
    labels: dict[str, dict[str, int]] = {name: {} for name in code}
    kernels: list[str] = []
    exported: set[str] = set()
    for symbol, place, offset in _defined_symbols(image):
        kind = (symbol.type, symbol.binding)
        if symbol.section in code and kind == (elf.FUNCTION, elf.GLOBAL):
            named_so = CODE_PREFIX + symbol.name == symbol.section
            if not named_so or symbol.size != len(code[symbol.section].data) or symbol.section in kernels:
                raise place.error(f"is not the one kernel symbol of section {symbol.section!r}")
            kernels.append(symbol.section)
            continue
        if symbol.section == ".data" and kind == (elf.SECTION, elf.LOCAL) and (symbol.name, offset) == (DATA, 0):
            continue
        if symbol.binding == elf.GLOBAL:
            exported.add(symbol.name)
        if symbol.section == ".text" and symbol.type == elf.FUNCTION:
            continue
        if symbol.section in code and kind == (elf.NOTYPE, elf.LOCAL):
            names = labels[symbol.section]
        elif symbol.section == ".text" and kind == (elf.NOTYPE, elf.LOCAL):
            function = max((at, name) for name, at in [("", -1), *starts.items()] if at <= offset)[1]
            names = labels.setdefault(f".text:{function}", {})
            offset -= starts.get(function, 0)
        elif symbol.section == ".data" and symbol.type == elf.OBJECT:
            names = module.data_symbols
        else:
            raise place.error("is neither a kernel, a function, a label of one, nor a data symbol")
        if symbol.name in names:
            raise place.error(f"defines {symbol.name!r} a second time in section {symbol.section!r}")
        names[symbol.name] = offset
    for name in code.keys() - set(kernels):
        raise image.place(f"section {name!r}").error("has no kernel symbol")
    if labels.get(".text:"):
        raise image.place("section '.text'").error("has a label that is in no function")
    module.exported = frozenset(exported)
    return labels


def _defined_symbols(image: Image) -> Iterator[tuple[Symbol, Place, int]]:
    """Each symbol that the file defines, where it stands there, and its offset in its section."""
    for number, symbol in enumerate(image.symbols, 1):
        place = image.place(f"symbol {number}")
        if not symbol.section:
            if (symbol.type, symbol.binding, symbol.value, symbol.size) != (elf.NOTYPE, elf.GLOBAL, 0, 0):
                raise place.error(f"is undefined and yet more than the name {symbol.name!r}")
            continue
        section = image.sections[symbol.section]
        offset = symbol.value - section.address
        if not 0 <= offset <= len(section.data) - symbol.size:
            raise place.error(f"points outside its section {symbol.section!r}")
        yield symbol, place, offset


def _read_lines(image: Image, code: dict[str, Section], functions: dict[int, int]) -> dict[int, tuple[Line, ...]]:
    """The line table by address of a kernel or function, empty if the object has none."""
    sizes = functions | {section.address: len(section.data) for section in code.values()}
    lines: dict[int, tuple[Line, ...]] = {}
    if ".debug_line" in image.sections:
        lines = dwarf.read(image.cursor(image.section(".debug_line")), sizes)
    if ".hg_macros" not in image.sections:
        return lines
    return macrocalls.unpack_calls(image.cursor(image.section(".hg_macros")), image.strings, lines)


def _read_kernel(image: Image, section: Section, labels: dict[str, int], lines: tuple[Line, ...]) -> Kernel:
    name = section.name.removeprefix(CODE_PREFIX)
    words = np.frombuffer(section.data, "<u8").astype(np.uint64)
    cursor = image.cursor(image.section(INFO_PREFIX + name))
    relocations = _read_relocations(image, section.name, section.address, len(section.data))
    kernel = descriptor.unpack_kernel(cursor, image.strings, (section.address, words, relocations), labels, lines)
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
