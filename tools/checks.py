"""Comparing what a buffer holds with what it should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..emulator.machine.state import POISON
from .arrays import Array
from .job import CheckSpec


@dataclass(frozen=True, slots=True)
class Checked:
    """A comparison: how many elements differ, the largest error, the first difference as (index, found, expected).

    `poison` is how many of those that differ hold poison, where the chip poisons; `nan` how many are NaN.
    """

    buffer: str
    passed: bool
    elements: int
    differing: int
    max_abs_error: float
    poison: int
    nan: int
    first: tuple[tuple[int, ...], Any, Any] | None = None


def compare(found: Array, expected: Array, check: CheckSpec, *, poison: bool = False) -> Checked:
    """Compare element by element: equal, or within atol + rtol * |expected|; NaN equals NaN if `nan_equal`."""
    a, b = _comparable(found), _comparable(expected)
    with np.errstate(all="ignore"):
        wrong = a != b
        if check.rtol or check.atol:
            error = np.abs(a.astype(np.float64) - b)
            wrong &= ~(error <= check.atol + check.rtol * np.abs(b.astype(np.float64)))
        if check.nan_equal and a.dtype.kind == "f" and b.dtype.kind == "f":
            wrong &= ~(np.isnan(a) & np.isnan(b))
    differing = int(np.count_nonzero(wrong))
    first = None
    if differing:
        index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        first = (tuple(int(extent) for extent in index), a[index].item(), b[index].item())
    poisoned = int(np.count_nonzero(wrong & _poisoned(found))) if poison and differing else 0
    nan = int(np.count_nonzero(wrong & (a != a)))
    return Checked(check.buffer, not differing, a.size, differing, _largest_error(a, b), poisoned, nan, first)


def _poisoned(array: Array) -> Array:
    """Which elements hold poison; of a byte that cannot be said."""
    if array.dtype.itemsize == 1:
        return np.zeros(array.shape, bool)
    pattern = np.full(1, POISON, np.uint32).repeat(2).view(f"u{array.dtype.itemsize}")[0]
    return np.ascontiguousarray(array).view(pattern.dtype) == pattern


def _comparable(array: Array) -> Array:
    """The array in a type numpy computes with; every narrow float is exact in binary32."""
    return array if array.dtype.kind in "iuf" and array.dtype.isbuiltin == 1 else array.astype(np.float32)


def _largest_error(a: Array, b: Array) -> float:
    """The largest absolute error; NaN if one side alone is NaN somewhere."""
    different = a != b
    if not different.any():
        return 0.0
    a, b = a[different], b[different]
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        return float(np.max(np.where(a > b, a - b, b - a)))
    both = np.isnan(a) & np.isnan(b)
    with np.errstate(all="ignore"):
        error = np.abs(a.astype(np.float64) - b)[~both]
    return float(np.max(error)) if error.size else 0.0
