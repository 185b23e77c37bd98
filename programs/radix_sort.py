"""radix_sort: 32-bit keys with values, sorted by their bytes from the lowest to the highest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import load
from .narrow import whole

if TYPE_CHECKING:
    from ..emulator.buffers import Buffer
    from ..emulator.chip import Chip

DIGITS = 256
Array = npt.NDArray[Any]


def reference(keys: npt.ArrayLike, values: npt.ArrayLike) -> tuple[Array, Array]:
    """Keys ascending, and their values; where keys are equal the values keep their order."""
    keys, values = np.asarray(keys), np.asarray(values)
    order = np.argsort(keys, kind="stable")
    return keys[order], values[order]


def launch(
    chip: Chip, keys: npt.ArrayLike, values: npt.ArrayLike, *, block: int = 256, grid: int = 8
) -> tuple[Array, Array]:
    """The same on the chip, for unsigned keys and values of any 32-bit type."""
    keys, values = whole(keys, np.uint32), np.ascontiguousarray(values)
    if keys.ndim != 1 or keys.shape != values.shape or values.itemsize != 4 or block % 32:
        raise ValueError(f"a 32-bit value for each key, whole warps, not {values.shape} of {values.dtype}, {block}")
    warps = grid * block // 32
    with (
        chip.to_device(keys) as device_keys,
        chip.to_device(values) as device_values,
        chip.empty(keys.shape, np.uint32) as keys_to,
        chip.empty(keys.shape, values.dtype) as values_to,
        chip.empty(DIGITS * warps, np.uint32) as counts,
    ):
        sort(chip, len(keys), (device_keys, device_values), (keys_to, values_to), counts, block=block, grid=grid)
        return device_keys.copy_to_host(), device_values.copy_to_host()


def sort(
    chip: Chip,
    n: int,
    pairs: tuple[Buffer, Buffer],
    spare: tuple[Buffer, Buffer],
    counts: Buffer,
    *,
    block: int = 256,
    grid: int = 8,
) -> int:
    """Sort buffers of keys and values in place; how many instructions it took.

    `spare` are two more buffers of their size, `counts` has 256 numbers for each warp.
    """
    warps = grid * block // 32
    part = -(-n // (32 * warps)) * 32
    kernels = load(chip, "radix_sort")
    executed = 0
    for shift in (0, 8, 16, 24):
        executed += kernels["radix_count"][grid, block](n, part, shift, pairs[0], counts)
        executed += kernels["radix_scan"][1, 32](DIGITS * warps, counts)
        executed += kernels["radix_move"][grid, block](n, part, shift, *pairs, counts, *spare)
        pairs, spare = spare, pairs
    return executed
