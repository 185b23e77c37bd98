"""Where the pieces of 16 bytes of a row lie in TSM after a swizzled AIU copy; for integers and arrays of them."""

from __future__ import annotations

from typing import Any

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
