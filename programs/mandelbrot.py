"""mandelbrot: how many steps each pixel's orbit stays within a radius of 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import f32, fma

if TYPE_CHECKING:
    from ..emulator.chip import Chip


class View(NamedTuple):
    """The part of the plane in the image: its first column and row, and the distance from pixel to pixel."""

    left: float = -2.25
    top: float = -1.2
    pitch: float = 0.04


def reference(width: int, height: int, limit: int, view: View = View()) -> npt.NDArray[np.uint32]:  # noqa: B008 (frozen)
    """Steps of every pixel, (height, width): the plain loop, over all pixels at once."""
    left, top, pitch = f32(view)
    cr = fma(np.arange(width, dtype=np.float32), pitch, left)[None, :]
    ci = fma(np.arange(height, dtype=np.float32), pitch, top)[:, None]
    zr, zi = np.zeros((2, height, width), np.float32)
    steps, inside = np.zeros((height, width), np.uint32), np.ones((height, width), bool)
    with np.errstate(all="ignore"):
        for _ in range(limit):
            rr, ii, product = zr * zr, zi * zi, zr * zi
            inside &= rr + ii <= 4
            if not inside.any():
                break
            steps += inside
            zr, zi = (rr - ii) + cr, (product + product) + ci
    return steps


def launch(
    chip: Chip,
    width: int,
    height: int,
    limit: int,
    view: View = View(),  # noqa: B008 (frozen)
    *,
    block: tuple[int, int] = (32, 8),
) -> npt.NDArray[np.uint32]:
    """Steps of every pixel on the chip, (height, width), for a two-dimensional block of any shape."""
    grid = (-(-width // block[0]), -(-height // block[1]))
    with chip.empty((height, width), np.uint32) as steps:
        kernel = load(chip, "mandelbrot")["mandelbrot"]
        kernel[grid, block](width, height, limit, *(float(value) for value in f32(view)), steps)
        return steps.copy_to_host()
