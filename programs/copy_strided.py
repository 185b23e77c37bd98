"""copy_strided: elements some distance apart, to elements some other distance apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import load

if TYPE_CHECKING:
    from ..emulator.chip import Chip


def reference(target: npt.ArrayLike, source: npt.ArrayLike, to_step: int, from_step: int) -> npt.NDArray[Any]:
    """`target` with every to_step-th element replaced by every from_step-th of `source`, as many as both have."""
    target = np.array(target)
    taken = np.asarray(source)[::from_step]
    places = target[::to_step]
    count = min(len(taken), len(places))
    places[:count] = taken[:count]
    return target


def launch(
    chip: Chip,
    target: npt.ArrayLike,
    source: npt.ArrayLike,
    to_step: int,
    from_step: int,
    *,
    block: int = 256,
    grid: int = 8,
) -> npt.NDArray[Any]:
    """The same on the chip, for one-dimensional arrays of one 32-bit type."""
    target, source = np.ascontiguousarray(target), np.ascontiguousarray(source)
    if target.ndim != 1 or source.ndim != 1 or target.dtype != source.dtype or target.itemsize != 4:
        raise ValueError(f"both are one-dimensional, of one 32-bit type, not {target.dtype} and {source.dtype}")
    if from_step < 1 or to_step < 1:
        raise ValueError(f"steps are at least 1, not {from_step} and {to_step}")
    n = min(-(-len(source) // from_step), -(-len(target) // to_step))
    with chip.to_device(source) as device_source, chip.to_device(target) as device_target:
        kernel = load(chip, "copy_strided")["copy_strided"]
        kernel[grid, block](n, from_step, to_step, device_source, device_target)
        return device_target.copy_to_host()
