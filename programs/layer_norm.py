"""layer_norm: every row of a matrix with a mean of 0 and a variance of 1, scaled and shifted by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, block_sum, canonical, f32, fma, rsqrt

if TYPE_CHECKING:
    from ..emulator.chip import Chip


def reference(x: npt.ArrayLike, gain: npt.ArrayLike, bias: npt.ArrayLike, epsilon: float, *, block: int = 128) -> F32:
    """The normalised rows in the kernel's order for this block."""
    x, count = f32(x), np.float32(np.shape(x)[1])
    pieces = range(0, x.shape[1], block)
    with np.errstate(all="ignore"):
        total = np.zeros((len(x), block), np.float32)
        for first in pieces:
            piece = x[:, first : first + block]
            total[:, : piece.shape[1]] += piece
        middle = canonical(x - canonical(block_sum(total) / count)[:, None])
        squares = np.zeros((len(x), block), np.float32)
        for first in pieces:
            piece = middle[:, first : first + block]
            squares[:, : piece.shape[1]] = fma(piece, piece, squares[:, : piece.shape[1]])
        scale = rsqrt(block_sum(squares) / count + f32(epsilon))
        return fma(canonical(middle * scale[:, None]), f32(gain), f32(bias))


def launch(
    chip: Chip, x: npt.ArrayLike, gain: npt.ArrayLike, bias: npt.ArrayLike, epsilon: float, *, block: int = 128
) -> F32:
    """The same on the chip."""
    x, gain, bias = f32(x), f32(gain), f32(bias)
    if x.ndim != 2 or gain.shape != x.shape[1:] or bias.shape != x.shape[1:]:
        raise ValueError(f"a matrix, a gain and a bias per column, not {x.shape}, {gain.shape} and {bias.shape}")
    rows, columns = x.shape
    if not rows:
        return x
    with (
        chip.to_device(x) as source,
        chip.to_device(gain) as device_gain,
        chip.to_device(bias) as device_bias,
        chip.empty(x.shape) as target,
    ):
        kernel = load(chip, "layer_norm")["layer_norm"]
        kernel[rows, block](columns, float(f32(epsilon)), source, device_gain, device_bias, target)
        return target.copy_to_host()
