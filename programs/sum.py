"""sum: the sum of n floats, by blocks and then over the blocks, in two launches or in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, block_sum, f32

if TYPE_CHECKING:
    from ..emulator.chip import Chip

USUAL_GRID = 32


def _shape(n: int, block: int, grid: int | None) -> tuple[int, int]:
    """Blocks of the first launch and threads of either block."""
    return grid or min(max(1, -(-n // (4 * block))), USUAL_GRID), block


def _pass(x: F32, grid: int, block: int) -> F32:
    """One launch: the partial sum of each block.

    Group i of four elements belongs to thread i % threads, whose every fourth group goes into the same four sums. So
    with zeros behind its end x is an array of (rounds, 4, threads, 4). A sum that begins at +0 is never -0, so adding
    +0 changes nothing.
    """
    threads = grid * block
    padded = np.zeros(max(1, -(-len(x) // (16 * threads))) * 16 * threads, np.float32)
    padded[: len(x)] = x
    acc = np.zeros((4, threads, 4), np.float32)
    for groups in padded.reshape(-1, 4, threads, 4):
        acc = acc + groups
    acc = (acc[0] + acc[1]) + (acc[2] + acc[3])
    return block_sum(((acc[:, 0] + acc[:, 1]) + (acc[:, 2] + acc[:, 3])).reshape(grid, block))


def reference(x: npt.ArrayLike, *, block: int = 256, grid: int | None = None, once: bool = False) -> np.float32:
    """The sum, added up in the kernel's order for this launch shape."""
    x = f32(x)
    grid, block = _shape(len(x), block, grid)
    with np.errstate(all="ignore"):
        partial = _pass(x, grid, block)
        if not once:
            return _pass(partial, 1, block)[0]
        padded = np.zeros(-(-grid // block) * block, np.float32)
        padded[:grid] = partial
        total = np.zeros(block, np.float32)
        for row in padded.reshape(-1, block):
            total = total + row
        return np.float32(block_sum(total))


def launch(
    chip: Chip, x: npt.ArrayLike, *, block: int = 256, grid: int | None = None, once: bool = False
) -> np.float32:
    """The sum on the chip: `grid` blocks leave a partial sum each; one more block, or the last of them, adds these."""
    x = f32(x)
    if x.ndim != 1:
        raise ValueError(f"x is one-dimensional, not {x.shape}")
    grid, block = _shape(len(x), block, grid)
    kernels = load(chip, "sum")
    with chip.to_device(x) as device_x, chip.empty(grid) as partial, chip.empty(1) as total:
        if once:
            with chip.to_device(np.zeros(1, np.uint32)) as done:
                kernels["sum_once"][grid, block](len(x), device_x, partial, done, total)
        else:
            kernels["sum"][grid, block](len(x), device_x, partial)
            kernels["sum"][1, block](grid, partial, total)
        return total.copy_to_host()[0]
