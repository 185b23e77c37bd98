"""The ELF64 container: named sections, symbols and string tables, to bytes and back.

Knows nothing of kernels. Objects are little-endian, of type ET_EXEC (every section that is loaded has its final
address) and have no segments; relocations are data for a linker. Reading trusts nothing: sizes are compared with
the file before anything is taken, and no two sections may share bytes or addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from .binary import DAMAGED, FOREIGN, TRUNCATED, Cursor, Fields, ObjectError, Place, pack, unpack

MAGIC = b"\x7fELF"
MACHINE = 0x8890
"""defined: e_machine of a PPU object; the vendor's number is not published, this one is unassigned."""

NULL, PROGBITS, SYMTAB, STRTAB, RELA, NOTE, NOBITS = 0, 1, 2, 3, 4, 7, 8
WRITE, ALLOC, EXECUTE = 1, 2, 4
LOCAL, GLOBAL = 0, 1
NOTYPE, OBJECT, FUNCTION, SECTION = 0, 1, 2, 3
MAX_SECTIONS = 0xFEFF
"""Section numbers from 0xFF00 on are reserved by ELF."""
FILE_ALIGNMENT = 8

HEADER = np.dtype(
    [
        ("magic", "S4"),
        ("class", "u1"),
        ("data", "u1"),
        ("ident_version", "u1"),
        ("osabi", "u1"),
        ("padding", "<u8"),
        ("type", "<u2"),
        ("machine", "<u2"),
        ("version", "<u4"),
        ("entry", "<u8"),
        ("phoff", "<u8"),
        ("shoff", "<u8"),
        ("flags", "<u4"),
        ("ehsize", "<u2"),
        ("phentsize", "<u2"),
        ("phnum", "<u2"),
        ("shentsize", "<u2"),
        ("shnum", "<u2"),
        ("shstrndx", "<u2"),
    ]
)
SECTION_HEADER = np.dtype(
    [
        ("name", "<u4"),
        ("type", "<u4"),
        ("flags", "<u8"),
        ("address", "<u8"),
        ("offset", "<u8"),
        ("size", "<u8"),
        ("link", "<u4"),
        ("info", "<u4"),
        ("align", "<u8"),
        ("entry_size", "<u8"),
    ]
)
SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
RELOCATION = np.dtype([("offset", "<u8"), ("type", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])

FIXED_HEADER: dict[str, tuple[int, str, str]] = {
    "class": (2, "is not 64-bit ELF", FOREIGN),
    "data": (1, "is not little-endian ELF", FOREIGN),
    "machine": (MACHINE, "is for another machine", FOREIGN),
    "ident_version": (1, "has an unknown ELF version", DAMAGED),
    "version": (1, "has an unknown ELF version", DAMAGED),
    "osabi": (0, "is for an operating system", FOREIGN),
    "padding": (0, "has an identification that does not end in zeros", DAMAGED),
    "type": (2, "is not of type ET_EXEC", FOREIGN),
    "entry": (0, "has an entry address", DAMAGED),
    "phoff": (0, "has a program header table", DAMAGED),
    "phnum": (0, "has program headers", DAMAGED),
    "phentsize": (0, "has program headers", DAMAGED),
    "ehsize": (HEADER.itemsize, "has an unknown header size", DAMAGED),
    "shentsize": (SECTION_HEADER.itemsize, "has an unknown section header size", DAMAGED),
}
"""Header fields with one legal value, what is wrong with any other one, and the remedy."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its bytes and the header fields that matter; `link` and `info` are for tables alone."""

    name: str
    data: bytes
    type: int = PROGBITS
    flags: int = 0
    address: int = 0
    align: int = FILE_ALIGNMENT
    link: int = 0
    info: int = 0
    entry_size: int = 0


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol in the section of that name, "" if it is undefined; `value` is an address."""

    name: str
    section: str
    value: int
    size: int
    type: int
    binding: int


class Rela(NamedTuple):
    """A relocation: the address of the field, its symbol, a type, and what is added to the symbol."""

    address: int
    symbol: Symbol
    type: int
    addend: int


class StringTable:
    """Strings that end in NUL, each stored once; offset 0 is the empty string."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0")
        self._offsets: dict[str, int] = {"": 0}

    def add(self, text: str) -> int:
        """The offset of `text`, stored if it is new."""
        if text not in self._offsets:
            self._offsets[text] = len(self.data)
            self.data += text.encode("utf-8") + b"\0"
        return self._offsets[text]


class Strings:
    """A string table that was read. Strings cannot overlap, so that names never outgrow the file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._known: dict[int, str] = {}

    def text(self, offset: int, place: Place) -> str:
        """The name at `offset`, on behalf of `place`."""
        if offset not in self._known:
            if not 0 < offset < len(self._data) or self._data[offset - 1]:
                raise place.error(f"names offset {offset} of the string table, where no string begins")
            self._known[offset] = Cursor(self._data, place, offset).text()
        return self._known[offset]


@dataclass(slots=True)
class Image:
    """An ELF file that was read: flags, sections by name in file order, symbols, and the symbols' strings."""

    name: str
    flags: int
    sections: dict[str, Section]
    strings: Strings = field(default_factory=lambda: Strings(b""))
    symbols: list[Symbol] = field(default_factory=list[Symbol])

    def place(self, part: str) -> Place:
        """A part of this file, for messages."""
        return Place(self.name, part)

    def cursor(self, section: Section) -> Cursor:
        """A cursor at the start of a section."""
        return Cursor(section.data, self.place(f"section {section.name!r}"))

    def section(self, name: str) -> Section:
        """The PROGBITS or NOTE section of that name."""
        found = self.sections.get(name)
        if found is None or found.type not in (PROGBITS, NOTE):
            raise self.place(f"section {name!r}").error("is missing")
        return found


def write(
    sections: Iterable[Section],
    symbols: Iterable[Symbol],
    strings: StringTable,
    flags: int,
    relocations: Mapping[str, Sequence[Rela]] = MappingProxyType({}),
) -> bytes:
    """The file: header, sections in the order given, relocations by section, symbols, strings, section headers."""
    tables = [Section("", b"", NULL, align=0), *sections]
    ordered = sorted(symbols, key=lambda symbol: symbol.binding)
    tables += _relocation_tables(tables, ordered, relocations)
    tables += _symbol_tables(ordered, strings, {section.name: index for index, section in enumerate(tables)})
    names = StringTable()
    for name in (*(section.name for section in tables), ".shstrtab"):
        names.add(name)
    tables.append(Section(".shstrtab", bytes(names.data), STRTAB, align=1))
    if len(tables) > MAX_SECTIONS:
        raise ObjectError(
            "<module>", f"has {len(tables)} sections, more than the {MAX_SECTIONS} of ELF; split the module"
        )

    body, headers = bytearray(HEADER.itemsize), bytearray()
    for section in tables:
        body += bytes(-len(body) % FILE_ALIGNMENT)
        headers += _section_header(section, names.add(section.name), len(body) if section.name else 0)
        body += section.data
    body += bytes(-len(body) % FILE_ALIGNMENT)
    header = {key: value for key, (value, _, _) in FIXED_HEADER.items()}
    header |= {"flags": flags, "shoff": len(body), "shnum": len(tables), "shstrndx": len(tables) - 1}
    body[: HEADER.itemsize] = pack(HEADER, header | {"magic": MAGIC})
    return bytes(body + headers)


def _section_header(section: Section, name: int, offset: int) -> bytes:
    fields = {key: getattr(section, key) for key in ("type", "flags", "address", "link", "info", "align", "entry_size")}
    return pack(SECTION_HEADER, fields | {"name": name, "offset": offset, "size": len(section.data)})


def _relocation_tables(
    tables: list[Section], symbols: list[Symbol], relocations: Mapping[str, Sequence[Rela]]
) -> list[Section]:
    """A `.rela` section for each section that has relocations, to be placed behind the `tables`."""
    numbers = {id(symbol): number for number, symbol in enumerate(symbols, 1)}
    places = {section.name: index for index, section in enumerate(tables)}
    wanted = {name: rows for name, rows in relocations.items() if rows}
    link, found = len(tables) + len(wanted), list[Section]()
    for name, rows in wanted.items():
        content = b"".join(
            pack(RELOCATION, {"offset": address, "type": type, "symbol": numbers[id(symbol)], "addend": addend})
            for address, symbol, type, addend in rows
        )
        size = RELOCATION.itemsize
        found.append(Section(f".rela{name}", content, RELA, link=link, info=places[name], entry_size=size))
    return found


def read_relocations(image: Image, target: str) -> list[Rela]:
    """The relocations of a section, none if it has no table."""
    table = image.sections.get(f".rela{target}")
    if table is None:
        return []
    place, names = image.place(f"section '.rela{target}'"), ["", *image.sections]
    if table.type != RELA or table.entry_size != RELOCATION.itemsize or len(table.data) % RELOCATION.itemsize:
        raise place.error("is no table of relocations")
    if table.link != names.index(".symtab") or table.info != names.index(target):
        raise place.error(f"is not for {target!r} with the symbols of '.symtab'")
    found: list[Rela] = []
    for row in unpack(RELOCATION, table.data):
        if not 0 < row["symbol"] <= len(image.symbols):
            raise place.error(f"names symbol {row['symbol']} of {len(image.symbols)}")
        found.append(Rela(row["offset"], image.symbols[row["symbol"] - 1], row["type"], row["addend"]))
    return found


def _symbol_tables(ordered: list[Symbol], strings: StringTable, numbers: dict[str, int]) -> list[Section]:
    """`.symtab` and `.strtab`, to be placed behind the sections in `numbers`; ELF wants local symbols first."""
    rows = np.zeros(len(ordered) + 1, SYMBOL)
    for row, symbol in zip(rows[1:], ordered, strict=True):
        row["name"], row["section"] = strings.add(symbol.name), numbers[symbol.section]
        row["info"], row["value"], row["size"] = symbol.binding << 4 | symbol.type, symbol.value, symbol.size
    first_global = 1 + sum(symbol.binding == LOCAL for symbol in ordered)
    link = len(numbers) + 1
    return [
        Section(".symtab", rows.tobytes(), SYMTAB, link=link, info=first_global, entry_size=SYMBOL.itemsize),
        Section(".strtab", bytes(strings.data), STRTAB, align=1),
    ]


def read(data: bytes, name: str) -> Image:
    """Take a file apart; raises `ObjectError` for anything that is not sound."""
    header = _read_header(data, name)
    rows = _read_section_headers(data, name, header)
    _check_overlaps(data, name, header, rows)
    names = Strings(_contents(data, rows[int(header["shstrndx"])]))
    sections: dict[str, Section] = {}
    for number, row in enumerate(rows[1:], 1):
        place = Place(name, f"section header {number}")
        section = _section(names.text(row["name"], place), _contents(data, row), row)
        if section.name in sections:
            raise place.error(f"repeats the name {section.name!r} of an earlier section")
        sections[section.name] = section
    image = Image(name, header["flags"], sections)
    _check_addresses(image)
    _read_symbols(image)
    return image


def _read_header(data: bytes, name: str) -> Fields:
    place = Place(name, "ELF header")
    if not MAGIC.startswith(data[:4]):
        raise place.error(f"should begin with {MAGIC.hex(' ')}, not {data[:4].hex(' ')}: this is not ELF", FOREIGN)
    header = Cursor(data, place).record(HEADER)
    for key, (value, problem, remedy) in FIXED_HEADER.items():
        if header[key] != value:
            raise place.error(f"{problem}: {key} is {header[key]:#x}, not {value:#x}", remedy)
    return header


def _read_section_headers(data: bytes, name: str, header: Fields) -> list[Fields]:
    place, start, count = Place(name, "ELF header"), header["shoff"], header["shnum"]
    if not 0 < count <= MAX_SECTIONS or not 0 < header["shstrndx"] < count:
        raise place.error(f"counts {count} sections, their names in number {header['shstrndx']}")
    size = count * SECTION_HEADER.itemsize
    if start + size > len(data):
        problem = f"places {count} section headers at {start} to {start + size}, past the end of the file ({len(data)})"
        raise place.error(problem, TRUNCATED)
    rows = unpack(SECTION_HEADER, data[start : start + size])
    if any(rows[0].values()):
        raise Place(name, "section header 0").error("is not empty")
    for number, row in enumerate(rows[1:], 1):
        _check_section_header(Place(name, f"section header {number}"), row, len(data))
    if rows[header["shstrndx"]]["type"] != STRTAB:
        raise Place(name, f"section header {header['shstrndx']}").error("is not a string table, but holds the names")
    return rows


def _check_section_header(place: Place, row: Fields, file_size: int) -> None:
    end = row["offset"] + row["size"]
    if row["type"] == NULL:
        raise place.error("is empty")
    if row["type"] != NOBITS and end > file_size:
        raise place.error(f"points past the end of the file ({row['offset']} to {end} of {file_size})", TRUNCATED)
    if row["address"] + row["size"] >= 1 << 64:
        raise place.error(f"ends past the address space ({row['address']:#x} and {row['size']} bytes)")


def _contents(data: bytes, row: Fields) -> bytes:
    return b"" if row["type"] == NOBITS else data[row["offset"] : row["offset"] + row["size"]]


def _section(name: str, data: bytes, row: Fields) -> Section:
    kept = ("type", "flags", "address", "align", "link", "info", "entry_size")
    return Section(name, data, **{key: row[key] for key in kept})


def _check_overlaps(data: bytes, name: str, header: Fields, rows: Sequence[Fields]) -> None:
    """No byte of the file belongs to two sections, or to a section and a header."""
    table_end = header["shoff"] + len(rows) * SECTION_HEADER.itemsize
    parts = [(0, HEADER.itemsize, "the ELF header"), (header["shoff"], table_end, "the section headers")]
    for number, row in enumerate(rows):
        if row["size"] and row["type"] not in (NULL, NOBITS):
            parts.append((row["offset"], row["offset"] + row["size"], f"section {number}"))
    _refuse_overlap(Place(name, "file"), parts, f"of {len(data)} bytes of the file")


def _check_addresses(image: Image) -> None:
    """No two loaded sections share an address; an empty one still keeps its own."""
    parts = [
        (section.address, section.address + max(len(section.data), 1), f"section {section.name!r}")
        for section in image.sections.values()
        if section.flags & ALLOC
    ]
    _refuse_overlap(image.place("memory"), parts, "of the address space")


def _refuse_overlap(place: Place, parts: list[tuple[int, int, str]], whole: str) -> None:
    parts.sort()
    for (_, end, first), (start, _, second) in pairwise(parts):
        if start < end:
            raise place.error(
                f"has {second} at {start:#x} {whole}, inside {first}, which ends at {end:#x}: they overlap"
            )


def _read_symbols(image: Image) -> None:
    """Fill in the symbols and their string table."""
    table, strings = (image.sections.get(name) for name in (".symtab", ".strtab"))
    if table is None or strings is None or table.type != SYMTAB or strings.type != STRTAB:
        raise image.place("symbol table").error("or its string table is missing")
    names = ["", *image.sections]
    place = image.place("section '.symtab'")
    if table.entry_size != SYMBOL.itemsize or len(table.data) % SYMBOL.itemsize or not table.data:
        raise place.error(f"has {len(table.data)} bytes, not a number of symbols of {SYMBOL.itemsize}")
    if table.link != names.index(".strtab"):
        raise place.error(f"has its names in section {table.link}, not in '.strtab'")
    image.strings = Strings(strings.data)
    rows = unpack(SYMBOL, table.data)
    if any(rows[0].values()):
        raise image.place("symbol 0").error("is not empty")
    image.symbols = [_symbol(image, number, row, names) for number, row in enumerate(rows[1:], 1)]
    bindings: list[Any] = [symbol.binding for symbol in image.symbols]
    if bindings != sorted(bindings) or table.info != 1 + bindings.count(LOCAL):
        raise place.error("does not have its local symbols first")


def _symbol(image: Image, number: int, row: Fields, names: list[str]) -> Symbol:
    place = image.place(f"symbol {number}")
    section: int = row["section"]
    if not 0 <= section < len(names):
        raise place.error(f"lies in section {section} of {len(names)}")
    text = image.strings.text(row["name"], place)
    return Symbol(text, names[section], row["value"], row["size"], row["info"] & 15, row["info"] >> 4)
