"""stencil9: a weighted sum of every inner point of an image and its eight neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, canonical, f32, fma

if TYPE_CHECKING:
    from ..emulator.chip import Chip

Weights = tuple[float, float, float]
EDGES = ((-1, 0), (0, -1), (0, 1), (1, 0))
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def reference(source: npt.ArrayLike, weights: Weights) -> F32:
    """The stencil with weights (centre, edge, corner), summed in the kernel's order; the boundary is copied."""
    source = f32(source)
    target = source.copy()
    height, width = source.shape
    if height < 3 or width < 3:
        return target
    centre, edge, corner = f32(weights)
    with np.errstate(all="ignore"):
        total = canonical(source[1:-1, 1:-1] * centre)
    for weight, places in ((edge, EDGES), (corner, CORNERS)):
        for down, right in places:
            total = fma(source[1 + down : height - 1 + down, 1 + right : width - 1 + right], weight, total)
    target[1:-1, 1:-1] = total
    return target


def launch(chip: Chip, source: npt.ArrayLike, weights: Weights, *, block: tuple[int, int] = (32, 8)) -> F32:
    """The stencil on the chip, for a two-dimensional array and a two-dimensional block of any shape."""
    source = f32(source)
    if source.ndim != 2:
        raise ValueError(f"the source is two-dimensional, not {source.shape}")
    height, width = source.shape
    grid = (-(-width // block[0]), -(-height // block[1]))
    with chip.to_device(source) as device_source, chip.empty(source.shape) as target:
        kernel = load(chip, "stencil9")["stencil9"]
        kernel[grid, block](width, height, *(float(weight) for weight in f32(weights)), device_source, target)
        return target.copy_to_host()
