"""matmul_f32: the product of two matrices in binary32, on the lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, f32, fma

if TYPE_CHECKING:
    from ..emulator.chip import Chip

ROWS_PER_WARP, COLUMNS = 8, 64


def reference(a: npt.ArrayLike, b: npt.ArrayLike) -> F32:
    """a @ b with k ascending and each step rounded once."""
    a, b = f32(a), f32(b)
    c = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for column, row in zip(a.T, b, strict=True):
        c = fma(column[:, None], row[None, :], c)
    return c


def grid_of(m: int, n: int, block: int) -> tuple[int, int]:
    """Blocks that cover an m x n result."""
    rows = ROWS_PER_WARP * (block // 32)
    return -(-n // COLUMNS), -(-m // rows)


def launch(chip: Chip, a: npt.ArrayLike, b: npt.ArrayLike, *, block: int = 256) -> F32:
    """a @ b on the chip; `block` is a multiple of 32 threads, every warp of which adds 8 rows to the block's tile."""
    a, b = f32(a), f32(b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or 0 in (*a.shape, *b.shape):
        raise ValueError(f"the factors are M x K and K x N, none of them 0, not {a.shape} and {b.shape}")
    if block % 32:
        raise ValueError(f"a block is a multiple of 32 threads, not {block}")
    (m, k), n = a.shape, b.shape[1]
    with chip.to_device(a) as device_a, chip.to_device(b) as device_b, chip.empty((m, n)) as device_c:
        kernel = load(chip, "matmul_f32")["matmul_f32"]
        kernel[grid_of(m, n, block), block](m, n, k, device_a, device_b, device_c)
        return device_c.copy_to_host()
