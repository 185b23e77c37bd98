"""What references need to say about binary32 in numpy: bits, the canonical NaN, results rounded once, sums in order."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

CANONICAL_NAN = np.uint32(0x7FFFFFFF)
LOG2_E = np.float32(1.4426950)
"""What kernels multiply by to make a power of e one of 2."""


def f32(values: npt.ArrayLike) -> F32:
    """`values` as binary32, without gaps."""
    return np.asarray(values, np.float32, order="C")


def bits(values: npt.ArrayLike) -> npt.NDArray[Any]:
    """The bits of elements of any size, in which NaNs and zeros of either sign can be compared."""
    values = np.ascontiguousarray(values)
    return values.view(f"u{values.itemsize}")


def canonical(values: Any) -> F32:
    """`values` with every NaN replaced by the one that arithmetic results have."""
    values = np.asarray(values, np.float32)
    return np.where(np.isnan(values), CANONICAL_NAN, values.view(np.uint32)).view(np.float32)


def fma(a: npt.ArrayLike, b: npt.ArrayLike, c: npt.ArrayLike) -> F32:
    """a * b + c, rounded once to binary32, by way of binary64.

    The product is exact there; the sum is not, and rounding it twice could go wrong on a tie. So it is rounded to
    odd: where inexact, of the two neighbours the one whose last bit is 1. That bit is far behind the last one of
    binary32 and keeps the second rounding from seeing a tie that is none.
    """
    with np.errstate(all="ignore"):
        product = np.asarray(a, np.float64) * np.asarray(b, np.float64)
        product, addend = np.broadcast_arrays(product, np.asarray(c, np.float64))
        total = np.array(product + addend)
        part = total - product  # Knuth's two-sum: total + error is exact
        error = (product - (total - part)) + (addend - part)
        even = (total.view(np.uint64) & 1) == 0
        inexact = np.isfinite(total) & (error != 0) & even
        odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
        return canonical(np.where(inexact, odd, total).astype(np.float32))


def exp2(x: npt.ArrayLike) -> F32:
    """2**x, rounded to binary32, by way of binary64."""
    return np.exp2(np.asarray(x, np.float64)).astype(np.float32)


def rsqrt(x: npt.ArrayLike) -> F32:
    """1 / sqrt(x), rounded once to binary32.

    Binary64 is exact enough unless it lands next to the middle of two binary32 numbers; then exact fractions decide on
    which side of the middle the true value lies.
    """
    with np.errstate(all="ignore"):
        wide = np.atleast_1d(1 / np.sqrt(np.asarray(x, np.float64)))
    near = np.abs((wide.view(np.int64) & 0x1FFFFFFF) - 0x10000000) < 16
    for place in zip(*np.nonzero(near & np.isfinite(wide)), strict=True):
        exact = Fraction(float(np.atleast_1d(x)[place]))
        halfway = (wide[place].view(np.int64) & ~0x1FFFFFFF | 0x10000000).view(np.float64)
        above = Fraction(float(halfway)) ** 2 * exact < 1
        wide[place] = np.nextafter(halfway, np.inf if above else 0)
    return canonical(wide.astype(np.float32)).reshape(np.shape(x))


def lane_sum(parts: F32) -> F32:
    """The sum of 32 lanes, the last axis, in the order of v.red.add.f32: 16 apart, then 8, 4, 2, 1."""
    for distance in (16, 8, 4, 2, 1):
        parts = parts[..., :distance] + parts[..., distance:]
    return canonical(parts[..., 0])


def block_sum(values: F32) -> F32:
    """The sum of a block's threads, the last axis, in the order of the macro block_reduce."""
    lanes = values[..., :32].copy()
    for first in range(32, values.shape[-1], 32):  # the first warp adds up what the others have left
        others = values[..., first : first + 32]
        lanes[..., : others.shape[-1]] += others
    while (count := lanes.shape[-1]) > 1:
        half = (count + 1) // 2
        lanes[..., : count - half] += lanes[..., half:]
        lanes = lanes[..., :half]
    return canonical(lanes[..., 0])
