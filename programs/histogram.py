"""histogram: how often every byte occurs, counted in TSM and then in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .narrow import whole

if TYPE_CHECKING:
    from ..emulator.chip import Chip

BINS = 256


def reference(x: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """The 256 counts."""
    return np.bincount(whole(x, np.uint8), minlength=BINS).astype(np.uint32)


def launch(chip: Chip, x: npt.ArrayLike, *, block: int = 256, grid: int = 4) -> npt.NDArray[np.uint32]:
    """The same on the chip, for bytes in one dimension."""
    x = whole(x, np.uint8)
    if x.ndim != 1:
        raise ValueError(f"x is one-dimensional, not {x.shape}")
    with chip.to_device(x) as device_x, chip.to_device(np.zeros(BINS, np.uint32)) as bins:
        load(chip, "histogram")["histogram"][grid, block](len(x), device_x, bins)
        return bins.copy_to_host()
