"""Bytes that nobody vouches for: checked reading, and errors that say where and what to do.

A `Place` is a part of a file by the name a reader of the message would give it; a `Cursor` walks through
that part and raises `ObjectError` instead of running over its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

DAMAGED = "the file is damaged: assemble it again"
TRUNCATED = "the file is truncated: assemble it again"
OTHER_VERSION = "assemble it again with this version of m890"
FOREIGN = "give an object written by `m890 asm`"

Fields = dict[str, Any]
"""A record read from a file: integers, bytes and lists of integers by field name."""


class ObjectError(ValueError):
    """An object file cannot be read, or a module not be written: `name` is the file, `reason` the rest."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        """Say the file, then the place, the problem and the remedy."""
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a file, for messages: `part` reads like "section header 3"."""

    file: str
    part: str

    def error(self, problem: str, remedy: str = DAMAGED) -> ObjectError:
        """An `ObjectError` whose text is "file: part problem; remedy"."""
        return ObjectError(self.file, f"{self.part} {problem}; {remedy}")

    def text(self, raw: bytes) -> str:
        """A name: UTF-8 and not empty."""
        if not raw:
            raise self.error("has an empty name")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.error(f"has a name that is not UTF-8 ({error.reason} at byte {error.start})") from None


def unstorable(text: str) -> str | None:
    """Why `text` cannot be a name in an object file, or None if it can."""
    if not text:
        return "a name is empty"
    if "\0" in text:
        return f"the name {text!r} contains a NUL character"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return f"the name {text!r} has no UTF-8 form"
    return None


def pack(layout: np.dtype[Any], fields: Fields) -> bytes:
    """The bytes of one record; fields that are not given are zero."""
    record = np.zeros(1, layout)
    for name, value in fields.items():
        record[name] = value
    return record.tobytes()


def unpack(layout: np.dtype[Any], raw: bytes) -> list[Fields]:
    """The records in `raw`, whose length is a multiple of the record size."""
    rows = np.frombuffer(raw, layout)
    columns = [rows[name].tolist() for name in layout.names or ()]
    return [dict(zip(layout.names or (), row, strict=True)) for row in zip(*columns, strict=True)]


@dataclass(slots=True)
class Cursor:
    """A position in `data`, which is the part of a file called `place`."""

    data: bytes
    place: Place
    position: int = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.position

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size > self.left:
            raise self.place.error(f"needs {size} bytes at offset {self.position} but {self.left} are left", TRUNCATED)
        self.position += size
        return self.data[self.position - size : self.position]

    def integer(self, size: int) -> int:
        """An unsigned little-endian number of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def record(self, layout: np.dtype[Any]) -> Fields:
        """One record by field name."""
        return unpack(layout, self.take(layout.itemsize))[0]

    def text(self) -> str:
        """A name that ends in NUL."""
        end = self.data.find(b"\0", self.position)
        if end < 0:
            raise self.place.error(f"has a name at offset {self.position} that does not end")
        return self.place.text(self.take(end + 1 - self.position)[:-1])

    def uleb(self) -> int:
        """An unsigned LEB128 number of at most 64 bits."""
        value, _ = self._leb()
        return value

    def sleb(self) -> int:
        """A signed LEB128 number of at most 64 bits."""
        value, bits = self._leb()
        return value - (1 << bits) if value >> (bits - 1) else value

    def _leb(self) -> tuple[int, int]:
        """The number's low bits and how many there are."""
        value = 0
        for bits in range(0, 70, 7):
            byte = self.integer(1)
            value |= (byte & 0x7F) << bits
            if byte < 0x80:
                return value, bits + 7
        raise self.place.error(f"has a number longer than 64 bits before offset {self.position}")
