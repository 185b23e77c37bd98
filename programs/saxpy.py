"""saxpy: y = a * x + y, one element per thread or four per access."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy.typing as npt

from . import load
from .binary32 import F32, f32, fma

if TYPE_CHECKING:
    from ..emulator.chip import Chip

USUAL_GRID = 64
"""Blocks of the x4 kernel for a large n: its threads loop, and a block more than that only costs a start."""
ELEMENTS = 16
"""What a thread of the x4 kernel does at a time."""


def reference(a: float, x: npt.ArrayLike, y: npt.ArrayLike) -> F32:
    """a * x + y, each element rounded once."""
    return fma(f32(a), f32(x), f32(y))


def launch(
    chip: Chip,
    a: float,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    block: int = 256,
    grid: int | None = None,
    x4: bool = True,
) -> F32:
    """a * x + y on the chip, for one-dimensional x and y of the same length.

    The x4 kernel works with any `grid`, and a block of a multiple of 32 threads; the plain one needs a thread per
    element, so that its grid follows from the block.
    """
    x, y = f32(x), f32(y)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"x and y are one-dimensional and of one length, not {x.shape} and {y.shape}")
    if x4 and block % 32:
        raise ValueError(f"a block of the x4 kernel is a multiple of 32 threads, not {block}")
    blocks = max(1, -(-len(x) // ((ELEMENTS if x4 else 1) * block)))
    if x4:
        blocks = grid or min(blocks, USUAL_GRID)
    with chip.to_device(x) as device_x, chip.to_device(y) as device_y:
        kernel = load(chip, "saxpy")["saxpy_x4" if x4 else "saxpy"]
        kernel[blocks, block](len(x), float(f32(a)), device_x, device_y)
        return device_y.copy_to_host()
