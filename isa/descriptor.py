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
    CODE_BASE,
    DATA_BASE,
    MAX_PARAMETER_BYTES,
    PRELOADED_SREGS,
    SCALAR_TYPES,
    Kernel,
    Line,
    Module,
    Parameter,
)

ARCHITECTURES = {"ppu0015": 150, "ppu001": 100}
"""ISA version numbers by architecture (published as `__HGGC_ARCH__`)."""
FORMAT_VERSION = 1
"""defined: of the object file; it changes with any layout in this file."""
WORD_BYTES = 8
NO_SREG = 0xFFFF_FFFF
ALL_AXES = 0b111
ROUND_TO_NEAREST_EVEN = 0

LIMITS = {"vregs": 256, "sregs": 192, "tsm": 256 * 1024, "private": (1 << 32) - 1}
"""Largest values (published, but for sregs and private): registers a warp can name, TSM of a CU, field width."""
MAXNTID_LIMITS = (1024, 1024, 128)
MAX_LINE = (1 << 32) - 1
MAX_SPACE = DATA_BASE - CODE_BASE
"""Bytes there are for all code, and as many for all data."""

MODULE_RECORD = np.dtype(
    [
        ("magic", "<u4"),
        ("record_size", "<u4"),
        ("format_version", "<u4"),
        ("architecture", "<u4"),
        ("kernel_count", "<u4"),
        ("data_symbol_count", "<u4"),
        ("code_base", "<u8"),
        ("data_base", "<u8"),
        ("data_size", "<u8"),
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
        ("argument_size", "<u4"),
        ("label_count", "<u4"),
        ("line_count", "<u4"),
        ("reserved", "<u4"),
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


def pack_module(module: Module) -> bytes:
    """The contents of `.hg_info`."""
    return pack(MODULE_RECORD, _module_fields(module))


def check_module(cursor: Cursor, module: Module) -> None:
    """Compare `.hg_info` with the module that the other sections gave."""
    found = cursor.record(MODULE_RECORD)
    _compare(cursor.place, found, _module_fields(module))
    if cursor.left:
        raise cursor.place.error(f"goes on for {cursor.left} bytes after its record", OTHER_VERSION)


def _module_fields(module: Module) -> Fields:
    return {
        "magic": MODULE_MAGIC,
        "record_size": MODULE_RECORD.itemsize,
        "format_version": FORMAT_VERSION,
        "architecture": ARCHITECTURES[module.arch],
        "kernel_count": len(module.kernels),
        "data_symbol_count": len(module.data_symbols),
        "code_base": CODE_BASE,
        "data_base": DATA_BASE,
        "data_size": len(module.data),
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
    cursor: Cursor, strings: Strings, code: tuple[int, np.ndarray], labels: dict[str, int], lines: tuple[Line, ...]
) -> Kernel:
    """The kernel of a `.hg_info.<kernel>`, given its address and words, labels and lines."""
    place, (address, words) = cursor.place, code
    record = cursor.record(KERNEL_RECORD)
    name = strings.text(record["name"], place)
    kernel = Kernel(
        name,
        words,
        vregs=record["vreg_number"],
        sregs=record["sreg_number"],
        tsm=record["shared_memory_size"],
        private=record["stack_size"],
        maxntid=tuple(record["maxntid"]) if any(record["maxntid"]) else None,
        params=_unpack_arguments(cursor, record["argument_count"], strings),
        labels=labels,
        lines=lines,
    )
    _compare(place, record, _kernel_fields(kernel, address, record["name"]))
    for problem in kernel_problems(kernel):
        raise place.error(f"describes no legal kernel: {problem}")
    return kernel


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
        "argument_size": last.offset + last.size if last else 0,
        "label_count": len(kernel.labels),
        "line_count": len(kernel.lines),
        "reserved": 0,
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
    for name, kernel in module.kernels.items():
        if name != kernel.name:
            yield f"the kernel {kernel.name!r} is listed as {name!r}"
        yield from (f"kernel {name!r}: {problem}" for problem in kernel_problems(kernel))


def _names(module: Module) -> Iterator[str]:
    """Every name that the object file has to hold."""
    yield from module.data_symbols
    for kernel in module.kernels.values():
        yield kernel.name
        yield from kernel.labels
        yield from (parameter.name for parameter in kernel.params)
        yield from (line.file for line in kernel.lines)


def kernel_problems(kernel: Kernel) -> Iterator[str]:
    """Why a kernel cannot be stored, one reason after another; names are for `module_problems`."""
    if kernel.words.ndim != 1 or kernel.words.dtype != np.uint64:
        yield f"its words are {kernel.words.ndim}-dimensional {kernel.words.dtype}, not a row of uint64"
    for name, limit in LIMITS.items():
        if not 0 <= getattr(kernel, name) <= limit:
            yield f"{name} is {getattr(kernel, name)}, not 0 to {limit}"
    for axis, size, limit in zip("xyz", kernel.maxntid or MAXNTID_LIMITS, MAXNTID_LIMITS, strict=True):
        if not 0 < size <= limit:
            yield f"maxntid.{axis} is {size}, not 1 to {limit}"
    yield from _parameter_problems(kernel.params)
    size = kernel.words.size * WORD_BYTES
    for name, offset in kernel.labels.items():
        if not 0 <= offset <= size or offset % WORD_BYTES:
            yield f"label {name!r} is at offset {offset}, which is no word of its {size} bytes"
    yield from _line_problems(kernel.lines, size)


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
        previous = line.offset
