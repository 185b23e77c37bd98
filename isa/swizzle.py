"""Where the pieces of 16 bytes of a row lie in TSM after a swizzled AIU copy, and where matrix loads find them again.

Plain arithmetic: for integers, arrays of them, and lanes of machine code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rows = Callable[[Any, Any, Any], Any]
"""From a lane's number and the two registers of a swizzled matrix load to the TSM address of the lane's row."""

PIECE = 16
"""Bytes that stay together."""
SLICE, LINE = 32, 128


def swizzle(address: Any, mode: int) -> Any:
    """A TSM address after the swizzle of ppu0015: mode 0 within rows of 128 bytes, mode 1 within rows of 64."""
    return address ^ ((address >> 7) & (7 >> mode)) << 4


def slice_offset(row: Any, byte: Any, rows: int) -> Any:
    """How far from the cube's start ppu001 puts a byte of a row, in a cube of so many rows.

    Slices of 32 bytes lie one behind the other. Four rows of a slice share a line of 128 bytes, turned by the slice's
    number; in odd lines the two halves of a slice are exchanged.
    """
    number, line = byte // SLICE, row // 4
    slot = (((number & 1) << 1) + ((number & 2) >> 1) + row) % 4
    within = (byte % SLICE) ^ (line % 2) * PIECE
    return number * rows * SLICE + line * LINE + slot * SLICE + within


def tile_rows(mode: int) -> Rows:
    """Of ppu0015: the rows of the tiles that two strides tell; `mode` is as in `swizzle`."""

    def rows(lane: Any, point: Any, strides: Any) -> Any:
        low, high = (((strides >> bits & 0xFFFF) ^ 0x8000) - 0x8000 for bits in (0, 16))
        units = point + low * (lane >> 4) + high * (lane >> 3 & 1)
        return swizzle(PIECE * units + (lane & 7) * (LINE >> mode), mode)

    return rows


def slice_rows(trans: int) -> Rows:
    """Of ppu001: the tiles of 16 rows of a slice, in the order of a fragment of A, or if transposed of B."""

    def rows(lane: Any, point: Any, which: Any) -> Any:
        high, low = lane >> 4, lane >> 3 & 1
        other = (which >> 2 & 1 ^ trans) & (high ^ low)
        down, right = high ^ other, low ^ other
        return point + slice_offset(8 * down + (lane & 7), SLICE * (which & 3) + PIECE * right, 0)

    return rows
