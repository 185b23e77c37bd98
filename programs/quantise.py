"""quantise: tensors in FP8 with one scale, or in MX blocks of four-bit floats, and back.

The reference of the latter is what users have on the host, `m890.mx_quantise` and `m890.mx_dequantise`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import numpy.typing as npt

from ..isa.host_arrays import Array, binary32, host_dtype, narrow
from ..isa.matrix import BLOCK
from . import load
from .binary32 import F32, canonical, f32
from .narrow import converted

if TYPE_CHECKING:
    from ..emulator.chip import Chip

E4M3 = ml_dtypes.float8_e4m3fn


# ---- FP8 -------------------------------------------------------------------------------------------------------------


def reference(x: npt.ArrayLike) -> tuple[Array, np.float32]:
    """The e4m3 numbers and their scale."""
    x = f32(x)
    with np.errstate(all="ignore"):
        scale = max(np.fmax.reduce(np.abs(x), axis=None, initial=0) / np.float32(448), np.float32(2**-126))
        return narrow(x / scale, "e4m3"), np.float32(scale)


def dequantise_reference(values: npt.ArrayLike, scale: float) -> F32:
    """The e4m3 numbers times their scale."""
    with np.errstate(all="ignore"):
        return canonical(np.asarray(values, E4M3).astype(np.float32) * np.float32(scale))


def launch(chip: Chip, x: npt.ArrayLike, *, block: int = 128, grid: int = 8) -> tuple[Array, np.float32]:
    """The e4m3 numbers and their scale on the chip."""
    x = f32(x)
    check(block)
    kernels = load(chip, "quantise")
    with (
        chip.to_device(x) as source,
        chip.to_device(np.zeros(1, np.float32)) as most,
        chip.empty(x.shape, E4M3) as target,
        chip.empty(1) as scale,
    ):
        kernels["largest"][grid, block](x.size, source, most)
        kernels["quantise_e4m3"][grid, block](x.size, source, most, target, scale)
        return target.copy_to_host(), scale.copy_to_host()[0]


def dequantise(chip: Chip, values: npt.ArrayLike, scale: float, *, block: int = 128, grid: int = 8) -> F32:
    """The e4m3 numbers times their scale on the chip."""
    values = np.asarray(values, E4M3, order="C")
    check(block)
    with (
        chip.to_device(values) as source,
        chip.to_device(f32([scale])) as device_scale,
        chip.empty(values.shape) as target,
    ):
        load(chip, "quantise")["dequantise_e4m3"][grid, block](values.size, source, device_scale, target)
        return target.copy_to_host()


# ---- MX --------------------------------------------------------------------------------------------------------------


def launch_mxf4(chip: Chip, x: npt.ArrayLike, *, block: int = 128, grid: int = 8) -> tuple[Array, Array]:
    """What `m890.mx_quantise(x)` gives, on the chip: elements two to a byte, and scales, along the last axis."""
    x = binary32(x)
    check(block)
    if not x.ndim:
        raise ValueError("numbers along an axis are quantised, not a single one")
    *rows, length = x.shape
    blocks = -(-length // BLOCK)
    x = np.pad(x, [(0, 0)] * len(rows) + [(0, blocks * BLOCK - length)])
    with (
        chip.to_device(x) as source,
        chip.empty((*rows, blocks * BLOCK // 2), np.uint8) as target,
        chip.empty((*rows, blocks), host_dtype("e8m0")) as scales,
    ):
        load(chip, "quantise")["quantise_mxf4"][grid, block](x.size, source, target, scales)
        return target.copy_to_host(), scales.copy_to_host()


def dequantise_mxf4(
    chip: Chip, packed: npt.ArrayLike, scales: npt.ArrayLike, *, block: int = 128, grid: int = 8
) -> F32:
    """What `m890.mx_dequantise(packed, scales)` gives, on the chip. Raises ValueError if they do not fit together."""
    packed, powers = converted(packed, np.uint8), np.asarray(scales).view(np.uint8)
    check(block)
    if packed.shape != (*powers.shape[:-1], powers.shape[-1] * BLOCK // 2):
        raise ValueError(f"16 bytes have a scale, not {packed.shape} bytes {powers.shape} scales")
    with (
        chip.to_device(packed) as source,
        chip.to_device(powers) as device_scales,
        chip.empty((*packed.shape[:-1], packed.shape[-1] * 2)) as target,
    ):
        load(chip, "quantise")["dequantise_mxf4"][grid, block](packed.size * 2, source, device_scales, target)
        return target.copy_to_host()


def check(block: int) -> None:
    """Raises ValueError unless a block is whole warps."""
    if block % 32:
        raise ValueError(f"a block is whole warps, not {block}")
