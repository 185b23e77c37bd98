"""stencil3: a weighted sum of every element of a line and its two neighbours, any number of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, canonical, f32, fma

if TYPE_CHECKING:
    from ..emulator.chip import Chip

Weights = tuple[float, float, float]


def reference(x: npt.ArrayLike, weights: Weights, *, steps: int = 1) -> F32:
    """The stencil with weights (left, centre, right), `steps` times; the ends stay."""
    x = f32(x).copy()
    left, centre, right = f32(weights)
    for _ in range(steps if len(x) > 2 else 0):
        with np.errstate(all="ignore"):
            middle = canonical(x[1:-1] * centre)
        x[1:-1] = fma(x[2:], right, fma(x[:-2], left, middle))
    return x


def launch(chip: Chip, x: npt.ArrayLike, weights: Weights, *, steps: int = 1, block: int = 256) -> F32:
    """The same on the chip: a launch for each step, from one buffer to the other and back."""
    x = f32(x)
    if x.ndim != 1:
        raise ValueError(f"x is one-dimensional, not {x.shape}")
    grid = max(1, -(-len(x) // block))
    kernel = load(chip, "stencil3")["stencil3"]
    with chip.to_device(x) as source, chip.empty(x.shape) as target:
        for _ in range(steps):
            kernel[grid, block](len(x), *(float(weight) for weight in f32(weights)), source, target)
            source, target = target, source
        return source.copy_to_host()
