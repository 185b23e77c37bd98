"""What references need to say about formats narrower than binary32 in numpy: rounded once, with the canonical NaN."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from ..isa.host_arrays import NARROW_NAMES, narrow


def bf16(values: npt.ArrayLike) -> npt.NDArray[Any]:
    """`values` as bfloat16, without gaps."""
    with np.errstate(invalid="ignore"):
        return np.asarray(values, ml_dtypes.bfloat16, order="C")


def narrowed(values: npt.ArrayLike, dtype: Any) -> npt.NDArray[Any]:
    """`values` rounded to a 16-bit format to nearest even, every NaN the one that arithmetic results have."""
    values = np.asarray(values, np.float32)
    with np.errstate(all="ignore"):
        rounded = values.astype(dtype).view(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FFF), rounded).view(dtype)


def to_bf16(values: npt.ArrayLike) -> npt.NDArray[Any]:
    """`values` rounded to bfloat16."""
    return narrowed(values, ml_dtypes.bfloat16)


def converted(values: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """`values` as elements of a type, without gaps: to a narrow float by `m890.narrow`, to an integer only if it fits.

    Raises TypeError for what is no integer where one belongs, and ValueError for one out of range.
    """
    given, kind = np.asarray(values), np.dtype(dtype)
    if kind.kind in "iu" and given.dtype != kind:
        if given.size and given.dtype.kind not in "iub":
            raise TypeError(f"{kind} integers belong here, not {given.dtype}: quantise or round them first")
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        wrong = given[(given < low) | (given > high)]
        if wrong.size:
            raise ValueError(f"{kind} integers are {low} to {high}, not {wrong.flat[0]}: clip or scale them first")
    if kind.name in NARROW_NAMES and given.dtype != kind:
        return narrow(given, NARROW_NAMES[kind.name])
    with np.errstate(all="ignore"):
        return np.asarray(given, kind, order="C")


def whole(values: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Places, counts and positions as integers of a type, if they are: as `converted`, but 3.0 is one, too.

    Numpy makes such numbers where signed and unsigned integers of 64 bits meet.
    """
    given = np.asarray(values)
    if given.dtype.kind == "f" and bool((np.abs(given) < 2.0**53).all()) and bool((given == np.trunc(given)).all()):
        given = given.astype(np.int64)
    return converted(given, dtype)
