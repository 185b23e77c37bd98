"""gemm_bf16: the product of two bfloat16 matrices with binary32 sums, on the matrix unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, canonical, fma
from .narrow import bf16

if TYPE_CHECKING:
    from ..emulator.chip import Chip

TILE, THREADS, BLOCK = 128, 128, 16
"""Rows and columns of C per block of threads; threads; values of k that a matrix instruction adds up."""


def reference(a: npt.ArrayLike, b: npt.ArrayLike) -> F32:
    """a @ b in blocks of 16 k: within a block from +0 on with k ascending, then the blocks in turn."""
    a, b = (bf16(each).astype(np.float32) for each in (a, b))
    c = np.zeros((a.shape[0], b.shape[1]), np.float32)
    with np.errstate(all="ignore"):
        for first in range(0, a.shape[1], BLOCK):
            block = np.zeros_like(c)
            for k in range(first, min(first + BLOCK, a.shape[1])):
                block = fma(a[:, k, None], b[k], block)
            c = canonical(block + c)
    return c


def grid_of(m: int, n: int) -> tuple[int, int]:
    """Blocks that cover an m x n result."""
    return -(-n // TILE), -(-m // TILE)


def launch(chip: Chip, a: npt.ArrayLike, b: npt.ArrayLike) -> F32:
    """a @ b on the chip. Raises ValueError unless a is M x K and b K x N, with N and K multiples of 8."""
    a, b = bf16(a), bf16(b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or 0 in (*a.shape, *b.shape):
        raise ValueError(f"the factors are M x K and K x N, none of them 0, not {a.shape} and {b.shape}")
    (m, k), n = a.shape, b.shape[1]
    if n % 8 or k % 8:
        raise ValueError(f"N and K are multiples of 8, not {n} and {k}")
    with chip.to_device(a) as device_a, chip.to_device(b) as device_b, chip.empty((m, n)) as device_c:
        load(chip, "gemm_bf16")["gemm_bf16"][grid_of(m, n), THREADS](m, n, k, device_a, device_b, device_c)
        return device_c.copy_to_host()
