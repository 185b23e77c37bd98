"""What the references need to say about binary32 in numpy: one-rounding fma, the canonical NaN, bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

CANONICAL_NAN = np.uint32(0x7FFFFFFF)


def f32(values: npt.ArrayLike) -> F32:
    """`values` as binary32, without gaps."""
    return np.asarray(values, np.float32, order="C")


def bits(values: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """The bits of 32-bit elements, in which NaNs and zeros of either sign can be compared."""
    return np.ascontiguousarray(values).view(np.uint32)


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
