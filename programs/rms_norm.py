"""rms_norm: every row of a matrix divided by its root mean square and scaled by column, in binary32 or bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import canonical, f32, fma, lane_sum, rsqrt
from .narrow import to_bf16

if TYPE_CHECKING:
    from ..emulator.chip import Chip

Rows = npt.NDArray[Any]
"""bfloat16 or binary32."""


def of_one_type(x: npt.ArrayLike, gain: npt.ArrayLike) -> tuple[Rows, Rows]:
    """Both as bfloat16 if x is, else as binary32."""
    kind = ml_dtypes.bfloat16 if np.asarray(x).dtype == ml_dtypes.bfloat16 else np.float32
    return np.asarray(x, kind, order="C"), np.asarray(gain, kind, order="C")


def reference(x: npt.ArrayLike, gain: npt.ArrayLike, epsilon: float) -> Rows:
    """The normalised rows in the kernel's order."""
    x, gain = of_one_type(x, gain)
    rows, columns = x.shape
    padded = np.pad(f32(x), ((0, 0), (0, -columns % 32)))
    with np.errstate(all="ignore"):
        squares = np.zeros((rows, 32), np.float32)
        for first in range(0, columns, 32):
            piece = padded[:, first : first + 32]
            squares = fma(piece, piece, squares)
        scale = rsqrt(lane_sum(squares) / np.float32(columns) + f32(epsilon))
        y = canonical(f32(x) * scale[:, None] * f32(gain))
    return y if x.dtype == np.float32 else to_bf16(y)


def launch(
    chip: Chip, x: npt.ArrayLike, gain: npt.ArrayLike, epsilon: float, *, block: int = 128, grid: int = 8
) -> Rows:
    """The same on the chip; of bfloat16 if x is."""
    x, gain = of_one_type(x, gain)
    if x.ndim != 2 or gain.shape != x.shape[1:] or block % 32:
        raise ValueError(f"a matrix, a gain per column and whole warps, not {x.shape}, {gain.shape} and {block}")
    kernel = "rms_norm_f32" if x.dtype == np.float32 else "rms_norm_bf16"
    with chip.to_device(x) as source, chip.to_device(gain) as device_gain, chip.empty(x.shape, x.dtype) as target:
        load(chip, "rms_norm")[kernel][grid, block](*x.shape, float(f32(epsilon)), source, device_gain, target)
        return target.copy_to_host()
