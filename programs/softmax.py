"""softmax: every row of a matrix as probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, LOG2_E, canonical, exp2, f32, lane_sum

if TYPE_CHECKING:
    from ..emulator.chip import Chip


def reference(x: npt.ArrayLike) -> F32:
    """Softmax along the rows in the kernel's order; powers of two by way of binary64."""
    x = f32(x)
    rows, columns = x.shape
    with np.errstate(all="ignore"):
        most = np.fmax.reduce(x, axis=1, initial=-np.inf, keepdims=True)
        powers = exp2((x - most) * LOG2_E)
        padded = np.zeros((rows, -(-columns // 32) * 32), np.float32)
        padded[:, :columns] = powers
        part = np.zeros((rows, 32), np.float32)
        for piece in np.split(padded, padded.shape[1] // 32, axis=1) if columns else ():
            part = part + piece
        return canonical(powers / lane_sum(part)[:, None])


def launch(chip: Chip, x: npt.ArrayLike, *, block: int = 128, grid: int = 8) -> F32:
    """The same on the chip."""
    x = f32(x)
    if x.ndim != 2 or block % 32:
        raise ValueError(f"x is two-dimensional and a block whole warps, not {x.shape} and {block}")
    with chip.to_device(x) as source, chip.empty(x.shape) as target:
        load(chip, "softmax")["softmax"][grid, block](*x.shape, source, target)
        return target.copy_to_host()
