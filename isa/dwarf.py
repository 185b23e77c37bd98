"""The line table, as DWARF 4: which source line each word of a kernel or function comes from.

One compile unit holds one line program with one sequence for each of them. File names are stored whole, with no
directory table, so that they come back letter for letter. Reading accepts the operations that writing uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .binary import OTHER_VERSION, Cursor, pack
from .program import Function, Line

WORD_BYTES = 8
VERSION = 4
LINE_BASE, LINE_RANGE, OPCODE_BASE = -5, 14, 13
COPY, ADVANCE_PC, ADVANCE_LINE, SET_FILE = 1, 2, 3, 4
END_SEQUENCE, SET_ADDRESS = b"\x00\x01\x01", b"\x00\x09\x02"
OPERAND_COUNTS = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])

LINE_HEADER = np.dtype(
    [
        ("unit_length", "<u4"),
        ("version", "<u2"),
        ("header_length", "<u4"),
        ("minimum_instruction_length", "u1"),
        ("maximum_operations_per_instruction", "u1"),
        ("default_is_stmt", "u1"),
        ("line_base", "i1"),
        ("line_range", "u1"),
        ("opcode_base", "u1"),
        ("operand_counts", "u1", len(OPERAND_COUNTS)),
    ]
)
LENGTH_BYTES = 4
"""`unit_length` counts what follows it."""
HEADER_LENGTH_END = 10
"""`header_length` counts from here to the first operation."""
FIXED_HEADER: dict[str, Any] = {
    "version": VERSION,
    "minimum_instruction_length": WORD_BYTES,
    "maximum_operations_per_instruction": 1,
    "default_is_stmt": 1,
    "line_base": LINE_BASE,
    "line_range": LINE_RANGE,
    "opcode_base": OPCODE_BASE,
    "operand_counts": list(OPERAND_COUNTS),
}

UNIT_HEADER = np.dtype([("unit_length", "<u4"), ("version", "<u2"), ("abbreviations", "<u4"), ("address_size", "u1")])
COMPILE_UNIT, NO_CHILDREN = 0x11, 0
ASSEMBLER = 0x8001
"""DW_LANG_Mips_Assembler, which every assembler uses."""
FORM_ADDRESS, FORM_DATA2, FORM_DATA8, FORM_STRING, FORM_SECTION_OFFSET = 0x01, 0x05, 0x07, 0x08, 0x17
PRODUCER, LANGUAGE, NAME, STATEMENT_LIST, LOW_PC, HIGH_PC = 0x25, 0x13, 0x03, 0x10, 0x11, 0x12
ATTRIBUTES = (
    (PRODUCER, FORM_STRING),
    (LANGUAGE, FORM_DATA2),
    (NAME, FORM_STRING),
    (STATEMENT_LIST, FORM_SECTION_OFFSET),
    (LOW_PC, FORM_ADDRESS),
    (HIGH_PC, FORM_DATA8),
)


def source_files(kernels: Iterable[Function]) -> list[str]:
    """The files the kernels come from, in order of first appearance."""
    return list(dict.fromkeys(line.file for kernel in kernels for line in kernel.lines))


def write(placed: Mapping[int, Function], producer: str) -> dict[str, bytes]:
    """The debug sections by name, of kernels by ascending address; none if there is no line information."""
    files = source_files(placed.values())
    if not files:
        return {}
    end = max(address + kernel.words.size * WORD_BYTES for address, kernel in placed.items())
    return {
        ".debug_abbrev": _abbreviations(),
        ".debug_info": _unit(producer, _root(placed.values()), min(placed), end),
        ".debug_line": _line_table(placed, files),
    }


def _root(kernels: Iterable[Function]) -> str:
    """The file that gives the unit its name."""
    return next(kernel.lines[0].root for kernel in kernels if kernel.lines)


def _abbreviations() -> bytes:
    attributes = b"".join(_uleb(attribute) + _uleb(form) for attribute, form in ATTRIBUTES)
    return _uleb(1) + _uleb(COMPILE_UNIT) + bytes([NO_CHILDREN]) + attributes + bytes(3)


def _unit(producer: str, file: str, low: int, high: int) -> bytes:
    """A compile unit that points to the line table at offset 0; its values follow `ATTRIBUTES`."""
    values = [
        _uleb(1),
        _text(producer),
        ASSEMBLER.to_bytes(2, "little"),
        _text(file),
        bytes(4),
        low.to_bytes(8, "little"),
        (high - low).to_bytes(8, "little"),
    ]
    body = b"".join(values)
    length = UNIT_HEADER.itemsize - LENGTH_BYTES + len(body)
    return pack(UNIT_HEADER, {"unit_length": length, "version": VERSION, "address_size": 8}) + body


def _line_table(placed: Mapping[int, Function], files: list[str]) -> bytes:
    numbers = {file: number for number, file in enumerate(files, 1)}
    names = b"\0" + b"".join(_text(file) + bytes(3) for file in files) + b"\0"
    program = b"".join(_sequence(address, kernel, numbers) for address, kernel in placed.items() if kernel.lines)
    lengths = {
        "unit_length": LINE_HEADER.itemsize - LENGTH_BYTES + len(names) + len(program),
        "header_length": LINE_HEADER.itemsize - HEADER_LENGTH_END + len(names),
    }
    return pack(LINE_HEADER, FIXED_HEADER | lengths) + names + program


def _sequence(address: int, kernel: Function, numbers: dict[str, int]) -> bytes:
    """The operations that give a row for each of the kernel's lines."""
    program = bytearray(SET_ADDRESS + address.to_bytes(8, "little"))
    offset, file, line = 0, 1, 1
    for row in kernel.lines:
        if numbers[row.file] != file:
            file = numbers[row.file]
            program += bytes([SET_FILE]) + _uleb(file)
        program += _row((row.offset - offset) // WORD_BYTES, row.line - line)
        offset, line = row.offset, row.line
    rest = kernel.words.size - offset // WORD_BYTES
    return bytes(program) + bytes([ADVANCE_PC]) + _uleb(rest) + END_SEQUENCE


def _row(words: int, lines: int) -> bytes:
    """Advance by `words` and `lines`, and emit a row: one special opcode if that can say it."""
    special = OPCODE_BASE + LINE_RANGE * words + lines - LINE_BASE
    if 0 <= lines - LINE_BASE < LINE_RANGE and special < 256:
        return bytes([special])
    return bytes([ADVANCE_PC]) + _uleb(words) + bytes([ADVANCE_LINE]) + _sleb(lines) + bytes([COPY])


def _uleb(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _sleb(value: int) -> bytes:
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value & 0x7F])


def _text(text: str) -> bytes:
    return text.encode("utf-8") + b"\0"


def read(cursor: Cursor, sizes: Mapping[int, int]) -> dict[int, tuple[Line, ...]]:
    """The lines of each kernel by address, given the kernels' sizes in bytes by address."""
    header = cursor.record(LINE_HEADER)
    for name, value in FIXED_HEADER.items():
        if header[name] != value:
            raise cursor.place.error(f"has {name} {header[name]}, where m890 writes {value}", OTHER_VERSION)
    if header["unit_length"] != len(cursor.data) - LENGTH_BYTES:
        raise cursor.place.error(f"holds {len(cursor.data)} bytes, but its unit has length {header['unit_length']}")
    if cursor.integer(1):
        raise cursor.place.error("has a directory table", OTHER_VERSION)
    files = _read_files(cursor)
    if cursor.position - HEADER_LENGTH_END != header["header_length"]:
        raise cursor.place.error(
            f"has its program at {cursor.position}, but a header length of {header['header_length']}"
        )
    program = _Program(cursor, files, sizes)
    while cursor.left:
        program.sequence()
    return program.found


def _read_files(cursor: Cursor) -> list[str]:
    files: list[str] = []
    while cursor.data[cursor.position : cursor.position + 1] != b"\0":
        files.append(cursor.text())
        if cursor.take(3) != bytes(3):
            raise cursor.place.error(f"gives file {files[-1]!r} a directory, a time or a size", OTHER_VERSION)
    cursor.take(1)
    return files


@dataclass(slots=True)
class _Program:
    """A line program being run: its registers and the rows it has given."""

    cursor: Cursor
    files: list[str]
    sizes: Mapping[int, int]
    found: dict[int, tuple[Line, ...]] = field(default_factory=dict[int, tuple[Line, ...]])
    offset: int = 0
    file: int = 1
    line: int = 1
    rows: list[Line] = field(default_factory=list[Line])

    def sequence(self) -> None:
        """Run from a set_address to the next end_sequence."""
        place = self.cursor.place
        if self.cursor.take(len(SET_ADDRESS)) != SET_ADDRESS:
            raise place.error(
                f"has a sequence before offset {self.cursor.position} that does not begin with an address"
            )
        address = self.cursor.integer(8)
        if address not in self.sizes or address in self.found:
            raise place.error(f"has a sequence for address {address:#x}, where no kernel begins that still lacks one")
        self.offset, self.file, self.line, self.rows = 0, 1, 1, []
        while self._step():
            pass
        if self.offset != self.sizes[address]:
            raise place.error(f"has a sequence of {self.offset} bytes for a kernel of {self.sizes[address]}")
        self.found[address] = tuple(self.rows)

    def _step(self) -> bool:
        """Run one operation; False at the end of the sequence."""
        opcode = self.cursor.integer(1)
        if opcode >= OPCODE_BASE:
            words, lines = divmod(opcode - OPCODE_BASE, LINE_RANGE)
            self._advance(words, LINE_BASE + lines)
            self._emit()
        elif opcode == COPY:
            self._emit()
        elif opcode == ADVANCE_PC:
            self._advance(self.cursor.uleb(), 0)
        elif opcode == ADVANCE_LINE:
            self._advance(0, self.cursor.sleb())
        elif opcode == SET_FILE:
            self.file = self.cursor.uleb()
        elif opcode == END_SEQUENCE[0] and self.cursor.take(2) == END_SEQUENCE[1:]:
            return False
        else:
            problem = f"has operation {opcode} before offset {self.cursor.position}, which m890 does not write"
            raise self.cursor.place.error(problem, OTHER_VERSION)
        return True

    def _advance(self, words: int, lines: int) -> None:
        self.offset += words * WORD_BYTES
        self.line += lines

    def _emit(self) -> None:
        if not 0 < self.file <= len(self.files):
            raise self.cursor.place.error(f"names file {self.file} of {len(self.files)}")
        self.rows.append(Line(self.offset, self.files[self.file - 1], self.line))
