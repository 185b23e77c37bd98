"""rotary: positions embedded into heads by turning pairs of elements, as points of a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, canonical, exp2, f32, fma
from .narrow import whole

if TYPE_CHECKING:
    from ..emulator.chip import Chip


def step_of(size: int, base: float) -> np.float32:
    """What the exponent of a pair's frequency grows by from pair to pair, for heads of a size."""
    if not 0 < base < np.inf:
        raise ValueError(f"a base is a number above 0, not {base}")
    return np.float32(-np.log2(base) / (size // 2))


def reference(x: npt.ArrayLike, positions: npt.ArrayLike, base: float = 10_000) -> F32:
    """The turned heads, each operation rounded to binary32; powers, sines and cosines by way of binary64."""
    x, half = f32(x), np.shape(x)[2] // 2
    with np.errstate(all="ignore"):
        powers = np.arange(half, dtype=np.float32) * step_of(2 * half, base) if half else f32([])
        frequency = exp2(powers)
        angle = whole(positions, np.uint32).astype(np.float32)[:, None, None] * frequency
        sine, cosine = (function(angle.astype(np.float64)).astype(np.float32) for function in (np.sin, np.cos))
        first, second = x[..., :half], x[..., half:]
        left = fma(first, cosine, -(second * sine))
        right = fma(second, cosine, first * sine)
    return canonical(np.concatenate([left, right], 2))


def launch(
    chip: Chip,
    x: npt.ArrayLike,
    positions: npt.ArrayLike,
    base: float = 10_000,
    *,
    block: int = 128,
    grid: int = 8,
) -> F32:
    """The same on the chip: x is tokens x heads x size, and there is a position for each token.

    Raises ValueError for shapes that do not fit, a position below 0 and a base that has no logarithm, TypeError for
    positions that are no whole numbers.
    """
    x, positions = f32(x), whole(positions, np.uint32)
    if x.ndim != 3 or x.shape[2] % 2 or positions.shape != x.shape[:1] or block % 32:
        raise ValueError(
            f"tokens x heads x an even size, a position per token and whole warps, "
            f"not {x.shape}, {positions.shape} and {block}"
        )
    tokens, heads, size = x.shape
    if not x.size:
        return x
    with chip.to_device(positions) as places, chip.to_device(x) as source, chip.empty(x.shape) as target:
        step = float(step_of(size, base))
        load(chip, "rotary")["rotary"][grid, block](tokens, heads, size // 2, step, places, source, target)
        return target.copy_to_host()
