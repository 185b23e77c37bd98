"""bitonic: rows sorted in TSM by a bitonic network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import load

if TYPE_CHECKING:
    from ..emulator.chip import Chip

MAX_WIDTH = 4096
KERNELS = {"uint32": "bitonic_u32", "int32": "bitonic_i32", "float32": "bitonic_f32"}


def reference(x: npt.ArrayLike) -> npt.NDArray[Any]:
    """Every row sorted; floats by the total order of IEEE-754, from -NaN over -0 and +0 to NaN."""
    x = np.ascontiguousarray(x)
    if x.dtype != np.float32:
        return np.sort(x, axis=1)
    bits = x.view(np.uint32)
    keys = np.where(bits >> 31, ~bits, bits | 0x80000000)  # unsigned numbers in the same order
    return np.take_along_axis(x, np.argsort(keys, axis=1, kind="stable"), axis=1)


def launch(chip: Chip, x: npt.ArrayLike, *, block: int = 256) -> npt.NDArray[Any]:
    """The same on the chip, for u32, s32 or f32 and rows of up to 4096."""
    x = np.ascontiguousarray(x)
    if x.ndim != 2 or x.dtype.name not in KERNELS or x.shape[1] > MAX_WIDTH:
        raise ValueError(f"rows of up to {MAX_WIDTH} 32-bit numbers, not {x.shape} of {x.dtype}")
    rows, width = x.shape
    if not x.size:
        return x
    with chip.to_device(x) as device_x:
        size = max(2, 1 << (width - 1).bit_length())
        load(chip, "bitonic")[KERNELS[x.dtype.name]][rows, block](width, size, device_x)
        return device_x.copy_to_host()
