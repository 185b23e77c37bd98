"""warp_sum: the sum of n floats by exchanging registers, in two launches; by shuffles or by one instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..isa.lanes import LANES
from . import load
from .binary32 import F32, canonical, f32

if TYPE_CHECKING:
    from ..emulator.chip import Chip

USUAL_GRID = 32


def _shape(n: int, block: int, grid: int | None) -> tuple[int, int]:
    """Blocks of the first launch and threads of either block."""
    return grid or min(max(1, -(-n // block)), USUAL_GRID), block


def _warps(values: F32) -> F32:
    """The sums of groups of 32 along the last axis; the last group may lack lanes, which count as -0."""
    groups = -(-values.shape[-1] // LANES)
    padded = np.full((*values.shape[:-1], groups * LANES), -0.0, np.float32)
    padded[..., : values.shape[-1]] = values
    lanes = padded.reshape(*values.shape[:-1], groups, LANES)
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    return lanes[..., 0]


def _pass(x: F32, grid: int, block: int) -> F32:
    """One launch: the partial sum of each block."""
    threads = grid * block
    padded = np.zeros(-(-len(x) // threads) * threads, np.float32)
    padded[: len(x)] = x  # a sum that begins at +0 is never -0: adding +0 changes nothing
    acc = np.zeros(threads, np.float32)
    for part in padded.reshape(-1, threads):
        acc = acc + part
    return canonical(_warps(_warps(acc.reshape(grid, block)))[:, 0])


def reference(x: npt.ArrayLike, *, block: int = 256, grid: int | None = None) -> np.float32:
    """The sum, added up in the kernels' order for this launch shape."""
    x = f32(x)
    grid, block = _shape(len(x), block, grid)
    with np.errstate(all="ignore"):
        return _pass(_pass(x, grid, block), 1, block)[0]


def launch(
    chip: Chip, x: npt.ArrayLike, *, block: int = 256, grid: int | None = None, kernel: str = "warp_sum"
) -> np.float32:
    """The sum on the chip: `grid` blocks leave a partial sum each, one more adds these. Or kernel `warp_sum_red`."""
    x = f32(x)
    if x.ndim != 1:
        raise ValueError(f"x is one-dimensional, not {x.shape}")
    grid, block = _shape(len(x), block, grid)
    add = load(chip, "warp_sum")[kernel]
    with chip.to_device(x) as device_x, chip.empty(grid) as partial, chip.empty(1) as total:
        add[grid, block](len(x), device_x, partial)
        add[1, block](grid, partial, total)
        return total.copy_to_host()[0]
