"""Copies between buffers and numpy arrays: what is copied, and in which bursts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .buffers import Buffer
from .faults import LaunchError
from .home import Home

BURST = 64 << 10
"""Most bytes of one burst."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Side:
    """One end of a copy: `rows` rows of `width` bytes in a buffer or a numpy array, `pitch` bytes apart."""

    thing: Any
    pitch: int
    width: int
    rows: int

    @property
    def chip(self) -> int | None:
        """The chip it is on; None for the host."""
        return self.thing.chip if isinstance(self.thing, Buffer) else None

    def __str__(self) -> str:
        return "the host" if self.chip is None else f"'{self.thing.name}' of chip {self.chip}"

    @property
    def extent(self) -> int:
        """Bytes from the first to the last one."""
        return (self.rows - 1) * self.pitch + self.width if self.rows and self.width else 0

    def view(self) -> Bytes:
        """Its bytes, (rows, width), for reading and writing."""
        flat: Bytes = self.thing.view() if isinstance(self.thing, Buffer) else self.thing
        flat = flat.reshape(-1).view(np.uint8)
        return np.lib.stride_tricks.as_strided(flat, (self.rows, self.width), (self.pitch, 1))


def whole(thing: Any) -> Side:
    """All bytes of a buffer or array as one row."""
    return Side(thing, getattr(thing, "nbytes", 0), getattr(thing, "nbytes", 0), 1)


def check_sides(pod: Home, target: Side, source: Side) -> None:
    """Refuse a copy that cannot be; LaunchError."""
    for side, what in ((target, "target"), (source, "source")):
        thing = side.thing
        if isinstance(thing, Buffer):
            if thing.freed:
                raise LaunchError(f"copy: the {what} {thing.name} is freed already")
            if not pod.owns(thing):
                raise LaunchError(f"copy: the {what} {thing.name} is on no chip of this pod")
        elif not isinstance(thing, np.ndarray):
            raise LaunchError(f"copy: the {what} is a buffer or a numpy array, not {type(thing).__name__}")
        elif not thing.flags.c_contiguous or (what == "target" and not thing.flags.writeable):
            raise LaunchError(f"copy: the {what} array must be contiguous, and a target writable: np.ascontiguousarray")
        if min(side.pitch, side.width, side.rows) < 0 or (side.rows > 1 and side.pitch < side.width):
            raise LaunchError(f"copy: rows of {side.width} bytes cannot begin every {side.pitch} bytes in the {what}")
        if side.extent > thing.nbytes:
            raise LaunchError(f"copy: {side.extent} bytes do not fit the {what}, which has {thing.nbytes}")
    if (target.width, target.rows) != (source.width, source.rows):
        raise LaunchError(f"copy: the target has {target.width} bytes, the source {source.width}")
    if target.chip is None and source.chip is None:
        raise LaunchError("copy: both sides are on the host: use numpy")


@dataclass(frozen=True, eq=False)
class Copy:
    """From `source` to `target`, which have equal widths and rows."""

    target: Side
    source: Side

    @property
    def nbytes(self) -> int:
        """Bytes copied."""
        return self.target.width * self.target.rows

    @property
    def peers(self) -> bool:
        """Whether it goes from one chip to another."""
        here, there = self.source.chip, self.target.chip
        return here is not None and there is not None and here != there

    @property
    def bursts(self) -> int:
        """How many bursts it takes."""
        width, rows = self.target.width, self.target.rows
        return rows * -(-width // BURST) if width > BURST else -(-rows // self._rows)

    @property
    def _rows(self) -> int:
        """Rows of one burst: the bytes of a burst lie together at its target."""
        width = self.target.width
        return max(1, BURST // max(1, width)) if self.target.pitch == width else 1

    def part(self, index: int) -> tuple[slice, slice]:
        """Rows and columns of one burst."""
        width = self.target.width
        if width > BURST:
            row, place = divmod(index, -(-width // BURST))
            return slice(row, row + 1), slice(place * BURST, min(width, (place + 1) * BURST))
        rows = self._rows
        return slice(index * rows, min(self.target.rows, (index + 1) * rows)), slice(0, width)

    def size(self, index: int) -> int:
        """Bytes of one burst."""
        rows, columns = self.part(index)
        return (rows.stop - rows.start) * (columns.stop - columns.start)

    def check(self) -> None:
        """Refuse to go on if the host has freed one of its sides since it was told to copy; LaunchError."""
        for side, what in ((self.target, "target"), (self.source, "source")):
            if isinstance(side.thing, Buffer) and side.thing.freed:
                raise LaunchError(f"copy: the {what} {side.thing.name} was freed before the copy had ended")

    def do(self) -> None:
        """Move all bytes."""
        self.target.view()[...] = self.source.view()
