"""Fragments: how a matrix lies in the vector registers of a warp.

The place of an element has three numbers: register, lane, and position within the register. Each number is written in
mixed radix, and every digit moves the element along the rows or the columns by its stride. That is the whole lane map:
`places` lists it, `pack` and `unpack` follow it, the manual draws it and the compiled matrix instructions are made
from it.

    from m890.isa.matrix import matrix_form

    tile = matrix_form("v.mma.f32.bf16.m16n16k16").a
    registers = pack(matrix, tile)          # uint32 of shape (registers, 32), register r is what vreg[r] holds
    matrix = unpack(registers, tile, ml_dtypes.bfloat16)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .lanes import LANES

ROW, COLUMN = 0, 1


class Digit(NamedTuple):
    """A digit of a place's number: how many values it takes, and what one more moves the element by."""

    values: int
    axis: int
    stride: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """The lane map of one matrix operand; digits stand from the least significant on."""

    rows: int
    columns: int
    bits: int
    """Bits of an element."""
    registers: tuple[Digit, ...]
    lanes: tuple[Digit, ...]
    elements: tuple[Digit, ...]

    @property
    def words(self) -> int:
        """How many registers it takes."""
        return self.rows * self.columns * self.bits // (32 * LANES)

    @property
    def width(self) -> int:
        """Elements in one register of one lane."""
        return 32 // self.bits


def _moves(digits: tuple[Digit, ...]) -> np.ndarray:
    """The (row, column) that each number made of these digits adds, of shape (2, numbers)."""
    found = np.zeros((2, 1), np.int64)
    for digit in digits:
        step = np.zeros((2, digit.values, 1), np.int64)
        step[digit.axis, :, 0] = np.arange(digit.values) * digit.stride
        found = (step + found[:, None, :]).reshape(2, -1)
    return found


@cache
def places(fragment: Fragment) -> tuple[np.ndarray, np.ndarray]:
    """The row and the column of the element at [register, lane, position]."""
    register, lane, element = (_moves(d) for d in (fragment.registers, fragment.lanes, fragment.elements))
    row, column = register[:, :, None, None] + lane[:, None, :, None] + element[:, None, None, :]
    return row, column


def element_bits(matrix: Any, fragment: Fragment) -> np.ndarray:
    """The elements of a matrix as uint32 bits; raises ValueError if it is not the fragment's."""
    array = np.asarray(matrix)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.shape != (fragment.rows, fragment.columns):
        raise ValueError(f"the fragment holds {fragment.rows} x {fragment.columns} elements, not {array.shape}")
    if array.dtype.itemsize * 8 != max(8, fragment.bits):
        raise ValueError(f"an element has {fragment.bits} bits, which is not {array.dtype}")
    return array.view(f"u{array.dtype.itemsize}").astype(np.uint32) & np.uint32((1 << fragment.bits) - 1)


def pack(matrix: Any, fragment: Fragment) -> np.ndarray:
    """A matrix of any dtype with the fragment's element width as registers, uint32 of shape (registers, 32).

    4-bit elements stand in arrays of 8-bit ones, such as those of `ml_dtypes.float4_e2m1fn`. Raises ValueError if
    shape or dtype do not fit.
    """
    shifts = np.arange(fragment.width, dtype=np.uint32) * np.uint32(fragment.bits)
    found = element_bits(matrix, fragment)[places(fragment)] << shifts
    return np.bitwise_or.reduce(found, axis=-1)


def unpack(registers: Any, fragment: Fragment, dtype: Any = None) -> np.ndarray:
    """The matrix that registers hold, as `dtype` (by default unsigned integers of the element's width).

    `registers` is uint32 of shape (registers, 32), or a sequence of rows of 32. Raises ValueError if it is not, or if
    numbers of `dtype` have another width.
    """
    words = np.asarray(registers, np.uint32)
    if words.shape != (fragment.words, LANES):
        raise ValueError(f"the fragment takes {fragment.words} registers of {LANES} lanes, not {words.shape}")
    shifts = np.arange(fragment.width, dtype=np.uint32) * np.uint32(fragment.bits)
    plain = np.dtype(f"u{max(8, fragment.bits) // 8}")
    if dtype is not None and np.dtype(dtype).itemsize != plain.itemsize:
        raise ValueError(f"an element has {fragment.bits} bits, which is not {np.dtype(dtype)}")
    matrix = np.empty((fragment.rows, fragment.columns), plain)
    matrix[places(fragment)] = (words[..., None] >> shifts & np.uint32((1 << fragment.bits) - 1)).astype(plain)
    return matrix if dtype is None else matrix.view(dtype)


def _split(length: int, unit: int, axis: int) -> tuple[Digit, ...]:
    """The digit that counts units along an axis."""
    return (Digit(length // unit, axis, unit),)


def a_fragment(m: int, k: int, bits: int, *, rows_first: bool) -> Fragment:
    """A, m x k. Lane p*4 + q holds row p; its registers go down 8 rows first (ppu0015), or along k first (ppu001)."""
    w = 32 // bits
    down, along = _split(m, 8, ROW), _split(min(k, 8 * w), 4 * w, COLUMN)
    order = (down + along if rows_first else along + down) + _split(k, min(k, 8 * w), COLUMN)
    return Fragment(m, k, bits, order, (Digit(4, COLUMN, w), Digit(8, ROW, 1)), (Digit(w, COLUMN, 1),))


def b_fragment(k: int, n: int, bits: int) -> Fragment:
    """B, k x n. Lane p*4 + q holds column p; its registers go along k first, then 8 columns further."""
    w = 32 // bits
    order = _split(k, 4 * w, ROW) + _split(n, 8, COLUMN)
    return Fragment(k, n, bits, order, (Digit(4, ROW, w), Digit(8, COLUMN, 1)), (Digit(w, ROW, 1),))


def accumulator(m: int, n: int, bits: int, *, pairs: bool) -> Fragment:
    """C and D, m x n: pairs of columns in a lane (ppu0015), or one column of 4 in each slot (ppu001).

    Accumulators of 16 bits stand two in a register: slots 2*r and 2*r + 1.
    """
    if pairs:
        slots = (Digit(2, COLUMN, 1), *_split(m, 8, ROW), *_split(n, 8, COLUMN))
        lanes = (Digit(4, COLUMN, 2), Digit(8, ROW, 1))
    else:
        slots = (*_split(n, 4, COLUMN), *_split(m, 8, ROW))
        lanes = (Digit(4, COLUMN, 1), Digit(8, ROW, 1))
    if bits == 32:
        return Fragment(m, n, bits, slots, lanes, (Digit(1, COLUMN, 0),))
    first, *rest = slots
    low, high = Digit(2, first.axis, first.stride), Digit(first.values // 2, first.axis, 2 * first.stride)
    return Fragment(m, n, bits, (high, *rest), lanes, (low,))


__all__ = [
    "COLUMN", "ROW", "Digit", "Fragment", "a_fragment", "accumulator", "b_fragment", "element_bits", "pack", "places",
    "unpack",
]  # fmt: skip
