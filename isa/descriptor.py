"""The resource records: what `.hg_info` and `.hg_info.<kernel>` hold, and which modules can be stored at all.

The published fields of a kernel's record stand beside those this project defines; a record is followed by one
ARGUMENT row per parameter. A record is read by building the kernel it describes and comparing every field
with what writing that kernel would give, so that each field is checked against the rest of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .binary import OTHER_VERSION, TRUNCATED, Cursor, Fields, Place, pack, unpack, unstorable
from .elf import Strings, StringTable
from .program import (
    ARCHITECTURES,
    CODE_BASE,
    DATA_ALIGNMENT,
    DATA_BASE,
    LIMITS,
    MAX_PARAMETER_BYTES,
    MAX_THREADS,
    PRELOADED_SREGS,
    SCALAR_TYPES,
    TEXT_BASE,
    Function,
    Kernel,
    Line,
    Module,
    Parameter,
    Relocation,
)
from .relocations import DATA, KINDS, code_of, is_applied

FORMAT_VERSION = 3
"""defined: of the object file; it changes with any layout in this file."""
WORD_BYTES = 8
NO_SREG = 0xFFFF_FFFF
ALL_AXES = 0b111
ROUND_TO_NEAREST_EVEN = 0

MAX_LINE = (1 << 32) - 1
MAX_CALLS = 64
"""In how many macros a line can stand, as the assembler lets macros nest."""
MAX_SPACE = DATA_BASE - CODE_BASE
"""Bytes there are for all code, and as many for all data."""

MODULE_RECORD = np.dtype(
    [
        ("magic", "<u4"),
        ("record_size", "<u4"),
        ("format_version", "<u4"),
        ("architecture", "<u4"),
        ("kernel_count", "<u4"),
        ("function_count", "<u4"),
        ("data_relocation_count", "<u4"),
        ("data_symbol_count", "<u4"),
        ("code_base", "<u8"),
        ("text_base", "<u8"),
        ("data_base", "<u8"),
        ("data_size", "<u8"),
    ]
)
FUNCTION_RECORD = np.dtype(
    [
        ("name", "<u4"),
        ("vreg_number", "<u4"),
        ("sreg_number", "<u4"),
        ("label_count", "<u4"),
        ("line_count", "<u4"),
        ("relocation_count", "<u4"),
        ("code_address", "<u8"),
        ("code_size", "<u8"),
    ]
)
KERNEL_RECORD = np.dtype(
    [
        ("magic", "<u4"),
        ("record_size", "<u4"),
        ("name", "<u4"),
        ("argument_count", "<u4"),
        ("code_address", "<u8"),
        ("code_size", "<u8"),
        ("grid_dim_enable", "u1"),
        ("grid_index_enable", "u1"),
        ("block_dim_enable", "u1"),
        ("block_index_enable", "u1"),
        ("fp_rndmode", "u1"),
        ("fp_denorm_flush", "u1"),
        ("saturation", "u1"),
        ("exception_en", "u1"),
        ("user_sreg_num", "<u4"),
        ("vreg_number", "<u4"),
        ("sreg_number", "<u4"),
        ("shared_memory_size", "<u4"),
        ("stack_size", "<u4"),
        ("maxntid", "<u4", 3),
        ("reqntid", "<u4", 3),
        ("argument_size", "<u4"),
        ("label_count", "<u4"),
        ("line_count", "<u4"),
        ("relocation_count", "<u4"),
    ]
)
ARGUMENT = np.dtype(
    [
        ("index", "<u4"),
        ("name", "<u4"),
        ("type", "S8"),
        ("count", "<u4"),
        ("offset", "<u4"),
        ("register", "<u4"),
        ("reserved", "<u4"),
    ]
)
MODULE_MAGIC = int.from_bytes(b"HGMI", "little")
KERNEL_MAGIC = int.from_bytes(b"HGKI", "little")


def pack_module(module: Module, strings: StringTable) -> bytes:
    """The contents of `.hg_info`: the module's record, then one for each device function."""
    offsets = module.function_offsets()
    rows = (
        pack(FUNCTION_RECORD, _function_fields(function, TEXT_BASE + offsets[name], strings.add(name)))
        for name, function in module.functions.items()
    )
    return pack(MODULE_RECORD, _module_fields(module)) + b"".join(rows)


def check_module(cursor: Cursor, module: Module, strings: Strings) -> None:
    """Compare `.hg_info` with the module that the other sections gave; functions get their registers from it."""
    found = cursor.record(MODULE_RECORD)
    _compare(cursor.place, found, _module_fields(module))
    offsets = module.function_offsets()
    for name, function in module.functions.items():
        row = cursor.record(FUNCTION_RECORD)
        function.vregs, function.sregs = row["vreg_number"], row["sreg_number"]
        _compare(cursor.place, row, _function_fields(function, TEXT_BASE + offsets[name], row["name"]))
        if strings.text(row["name"], cursor.place) != name:
            raise cursor.place.error(f"describes another function than {name!r}")
        for problem in function_problems(function):
            raise cursor.place.error(f"describes no legal function: {problem}")
    if cursor.left:
        raise cursor.place.error(f"goes on for {cursor.left} bytes after its record", OTHER_VERSION)


def _module_fields(module: Module) -> Fields:
    return {
        "magic": MODULE_MAGIC,
        "record_size": MODULE_RECORD.itemsize,
        "format_version": FORMAT_VERSION,
        "architecture": ARCHITECTURES[module.arch],
        "kernel_count": len(module.kernels),
        "function_count": len(module.functions),
        "data_relocation_count": len(module.data_relocations),
        "data_symbol_count": len(module.data_symbols),
        "code_base": CODE_BASE,
        "text_base": TEXT_BASE,
        "data_base": DATA_BASE,
        "data_size": len(module.data),
    }


def _function_fields(function: Function, address: int, name: int) -> Fields:
    return {
        "name": name,
        "vreg_number": function.vregs,
        "sreg_number": function.sregs,
        "label_count": len(function.labels),
        "line_count": len(function.lines),
        "relocation_count": len(function.relocations),
        "code_address": address,
        "code_size": function.words.size * WORD_BYTES,
    }


def pack_kernel(kernel: Kernel, address: int, strings: StringTable) -> bytes:
    """The contents of `.hg_info.<kernel>`; names go to `strings`."""
    record = pack(KERNEL_RECORD, _kernel_fields(kernel, address, strings.add(kernel.name)))
    rows = (
        pack(ARGUMENT, _argument_fields(index, parameter, strings.add(parameter.name)))
        for index, parameter in enumerate(kernel.params)
    )
    return record + b"".join(rows)


def unpack_kernel(
    cursor: Cursor,
    strings: Strings,
    code: tuple[int, np.ndarray, tuple[Relocation, ...]],
    labels: dict[str, int],
    lines: tuple[Line, ...],
) -> Kernel:
    """The kernel of a `.hg_info.<kernel>`, given its address, words and relocations, labels and lines."""
    place, (address, words, relocations) = cursor.place, code
    record = cursor.record(KERNEL_RECORD)
    name = strings.text(record["name"], place)
    kernel = Kernel(
        name,
        words,
        vregs=record["vreg_number"],
        sregs=record["sreg_number"],
        tsm=record["shared_memory_size"],
        private=record["stack_size"],
        maxntid=_block_of(record["maxntid"]),
        reqntid=_block_of(record["reqntid"]),
        params=_unpack_arguments(cursor, record["argument_count"], strings),
        labels=labels,
        lines=lines,
        relocations=relocations,
    )
    _compare(place, record, _kernel_fields(kernel, address, record["name"]))
    for problem in kernel_problems(kernel):
        raise place.error(f"describes no legal kernel: {problem}")
    return kernel


def _block_of(sizes: list[int]) -> tuple[int, int, int] | None:
    """The extents of a block; None for none."""
    x, y, z = sizes
    return (x, y, z) if any(sizes) else None


def _unpack_arguments(cursor: Cursor, count: int, strings: Strings) -> tuple[Parameter, ...]:
    """The parameters of `count` ARGUMENT rows, which must fill the section."""
    place, size = cursor.place, count * ARGUMENT.itemsize
    if size != cursor.left:
        problem = f"counts {count} arguments of {ARGUMENT.itemsize} bytes, but {cursor.left} bytes follow its record"
        raise place.error(problem, TRUNCATED)
    parameters: list[Parameter] = []
    for index, row in enumerate(unpack(ARGUMENT, cursor.take(size))):
        kind = row["type"].decode("ascii", "replace")
        if kind not in SCALAR_TYPES:
            raise place.error(f"gives argument {index} the unknown type {kind!r}", OTHER_VERSION)
        name = strings.text(row["name"], place)
        sreg = None if row["register"] == NO_SREG else row["register"]
        parameters.append(Parameter(name, kind, row["count"], row["offset"], sreg))
        _compare(place, row, _argument_fields(index, parameters[-1], row["name"]))
    return tuple(parameters)


def _kernel_fields(kernel: Kernel, address: int, name: int) -> Fields:
    """The record; the fields with a constant are not ours to choose yet."""
    last = kernel.params[-1] if kernel.params else None
    return {
        "magic": KERNEL_MAGIC,
        "record_size": KERNEL_RECORD.itemsize,
        "name": name,
        "argument_count": len(kernel.params),
        "code_address": address,
        "code_size": kernel.words.size * WORD_BYTES,
        "grid_dim_enable": ALL_AXES,
        "grid_index_enable": ALL_AXES,
        "block_dim_enable": ALL_AXES,
        "block_index_enable": ALL_AXES,
        "fp_rndmode": ROUND_TO_NEAREST_EVEN,
        "fp_denorm_flush": 0,
        "saturation": 0,
        "exception_en": 1,
        "user_sreg_num": PRELOADED_SREGS.stop,
        "vreg_number": kernel.vregs,
        "sreg_number": kernel.sregs,
        "shared_memory_size": kernel.tsm,
        "stack_size": kernel.private,
        "maxntid": list(kernel.maxntid or (0, 0, 0)),
        "reqntid": list(kernel.reqntid or (0, 0, 0)),
        "argument_size": last.offset + last.size if last else 0,
        "label_count": len(kernel.labels),
        "line_count": len(kernel.lines),
        "relocation_count": len(kernel.relocations),
    }


def _argument_fields(index: int, parameter: Parameter, name: int) -> Fields:
    return {
        "index": index,
        "name": name,
        "type": parameter.type.encode("ascii"),
        "count": parameter.count,
        "offset": parameter.offset,
        "register": NO_SREG if parameter.sreg is None else parameter.sreg,
        "reserved": 0,
    }


def _compare(place: Place, found: Fields, expected: dict[str, Any]) -> None:
    """Refuse a record that differs from the one that writing would give."""
    for name, value in expected.items():
        if found[name] != value:
            raise place.error(f"says {name} {found[name]}, but the rest of the file gives {value}", OTHER_VERSION)


def module_problems(module: Module) -> Iterator[str]:
    """Why a module cannot be stored, one reason after another."""
    if module.arch not in ARCHITECTURES:
        yield f"architecture {module.arch!r} is none of {', '.join(ARCHITECTURES)}"
    if len(module.data) > MAX_SPACE:
        yield f".data has {len(module.data)} bytes, more than {MAX_SPACE}"
    for name in dict.fromkeys(_names(module)):
        problem = unstorable(name)
        if problem:
            yield problem
    for name, offset in module.data_symbols.items():
        if not 0 <= offset <= len(module.data):
            yield f"data symbol {name!r} is at offset {offset} of {len(module.data)} bytes"
    if module.data_alignment < DATA_ALIGNMENT or module.data_alignment & (module.data_alignment - 1):
        yield f".data is aligned to {module.data_alignment}, no power of two from {DATA_ALIGNMENT} on"
    yield from (f".data: {problem}" for problem in _relocation_problems(module.data_relocations, len(module.data), 1))
    symbols = {*module.functions, *module.data_symbols}
    yield from (f"{name!r} is exported and not defined" for name in sorted(module.exported - symbols))
    for name in module.functions.keys() & {*module.kernels, *module.data_symbols, DATA}:
        yield f"the function {name!r} has the name of something else"
    for name, function in module.functions.items():
        if name != function.name:
            yield f"the function {function.name!r} is listed as {name!r}"
        yield from (f"function {name!r}: {problem}" for problem in function_problems(function))
    if not is_applied(module):
        yield "its addresses are not those that its relocations give"
    for name, kernel in module.kernels.items():
        if name != kernel.name:
            yield f"the kernel {kernel.name!r} is listed as {name!r}"
        yield from (f"kernel {name!r}: {problem}" for problem in kernel_problems(kernel))


def _names(module: Module) -> Iterator[str]:
    """Every name that the object file has to hold."""
    yield from module.data_symbols
    yield from (relocation.symbol for relocation in module.data_relocations)
    for code in code_of(module):
        yield code.name
        yield from code.labels
        yield from (line.file for line in code.lines)
        yield from (text for line in code.lines for call in line.calls for text in (call.macro, call.file))
        yield from (relocation.symbol for relocation in code.relocations)
    for kernel in module.kernels.values():
        yield from (parameter.name for parameter in kernel.params)


def kernel_problems(kernel: Kernel) -> Iterator[str]:
    """Why a kernel cannot be stored, one reason after another; names are for `module_problems`."""
    yield from _code_problems(kernel)
    for name in ("tsm", "private"):
        if not 0 <= getattr(kernel, name) <= LIMITS[name]:
            yield f"{name} is {getattr(kernel, name)}, not 0 to {LIMITS[name]}"
    for name, block in (("maxntid", kernel.maxntid), ("reqntid", kernel.reqntid)):
        for axis, size, limit in zip("xyz", block or MAX_THREADS, MAX_THREADS, strict=True):
            if not 0 < size <= limit:
                yield f"{name}.{axis} is {size}, not 1 to {limit}"
    yield from _parameter_problems(kernel.params)


def function_problems(function: Function) -> Iterator[str]:
    """Why a device function cannot be stored, one reason after another."""
    yield from _code_problems(function)
    size = function.words.size * WORD_BYTES
    if not size:
        yield "it has no words"
    yield from (f"label {name!r} is behind its last word" for name, at in function.labels.items() if at == size)


def _code_problems(code: Function) -> Iterator[str]:
    """What is wrong with a kernel or function as code."""
    if code.words.ndim != 1 or code.words.dtype != np.uint64:
        yield f"its words are {code.words.ndim}-dimensional {code.words.dtype}, not a row of uint64"
    for name in ("vregs", "sregs"):
        if not 0 <= getattr(code, name) <= LIMITS[name]:
            yield f"{name} is {getattr(code, name)}, not 0 to {LIMITS[name]}"
    size = code.words.size * WORD_BYTES
    for name, offset in code.labels.items():
        if not 0 <= offset <= size or offset % WORD_BYTES:
            yield f"label {name!r} is at offset {offset}, which is no word of its {size} bytes"
    yield from _line_problems(code.lines, size)
    yield from _relocation_problems(code.relocations, size, WORD_BYTES)


def _relocation_problems(relocations: tuple[Relocation, ...], size: int, step: int) -> Iterator[str]:
    end = 0
    for relocation in relocations:
        if relocation.kind not in KINDS:
            yield f"a relocation at offset {relocation.offset} has the unknown kind {relocation.kind!r}"
            return
        if relocation.offset < end or relocation.offset % step or not -MAX_SPACE <= relocation.addend <= MAX_SPACE:
            yield f"a relocation at offset {relocation.offset} is no place behind {end}, or too far from its symbol"
        end = relocation.offset + KINDS[relocation.kind].size
        if end > size:
            yield f"a relocation at offset {relocation.offset} is past the end ({size})"


def _parameter_problems(parameters: tuple[Parameter, ...]) -> Iterator[str]:
    names, end, sreg = set[str](), 0, PRELOADED_SREGS.start
    for parameter in parameters:
        if parameter.name in names:
            yield f"two parameters are named {parameter.name!r}"
        names.add(parameter.name)
        if parameter.type not in SCALAR_TYPES or parameter.count < 1:
            yield f"parameter {parameter.name!r} is {parameter.count} of {parameter.type!r}"
            return
        item = SCALAR_TYPES[parameter.type].itemsize
        if parameter.offset < end or parameter.offset % item:
            where = f"at offset {parameter.offset}, before {end} or not at a multiple of {item}"
            yield f"parameter {parameter.name!r} lies {where}"
        end = parameter.offset + parameter.size
        if parameter.sreg is None:
            continue
        registers = 2 if item == 8 else 1
        if parameter.count != 1 or parameter.sreg < sreg or parameter.sreg % registers:
            yield f"parameter {parameter.name!r} cannot be preloaded to sreg{parameter.sreg}"
        sreg = parameter.sreg + registers
        if sreg > PRELOADED_SREGS.stop:
            yield f"parameter {parameter.name!r} is preloaded past sreg{PRELOADED_SREGS.stop - 1}"
    if end > MAX_PARAMETER_BYTES:
        yield f"its parameters take {end} bytes, more than {MAX_PARAMETER_BYTES}"


def _line_problems(lines: tuple[Line, ...], size: int) -> Iterator[str]:
    previous = 0
    for line in lines:
        if not previous <= line.offset < size or line.offset % WORD_BYTES:
            yield f"a line entry is at offset {line.offset}, after one at {previous}, in {size} bytes"
        if not 0 <= line.line <= MAX_LINE:
            yield f"a line entry has line number {line.line}, not 0 to {MAX_LINE}"
        if any(not 0 <= call.line <= MAX_LINE for call in line.calls) or len(line.calls) > MAX_CALLS:
            yield f"a line entry is in {len(line.calls)} macros, not 0 to {MAX_CALLS}, called at lines 0 to {MAX_LINE}"
        previous = line.offset
