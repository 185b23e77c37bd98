"""What references need to say about formats narrower than binary32 in numpy: rounded once, with the canonical NaN."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt


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
