"""gather and scatter: copies by index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import load
from .narrow import whole

if TYPE_CHECKING:
    from ..emulator.chip import Chip

Array = npt.NDArray[Any]


def reference(source: npt.ArrayLike, index: npt.ArrayLike) -> Array:
    """source[index], element by element."""
    source = np.asarray(source)
    return np.array([source[i] for i in np.asarray(index).tolist()], source.dtype)


def scatter_reference(target: npt.ArrayLike, index: npt.ArrayLike, source: npt.ArrayLike) -> Array:
    """`target` after target[index[i]] = source[i] for every i in turn."""
    target, source = np.array(target), np.asarray(source)
    for i, place in enumerate(np.asarray(index).tolist()):
        target[place] = source[i]
    return target


def launch(chip: Chip, source: npt.ArrayLike, index: npt.ArrayLike, *, block: int = 256, grid: int = 4) -> Array:
    """source[index] on the chip, for one-dimensional arrays; 32-bit elements. An index outside is a fault."""
    index = _indices(index)
    source = np.ascontiguousarray(source)
    with chip.to_device(source) as device_source, chip.empty(len(index), source.dtype) as target:
        _run(chip, "gather", grid, block, index, device_source, target)
        return target.copy_to_host()


def scatter(
    chip: Chip,
    target: npt.ArrayLike,
    index: npt.ArrayLike,
    source: npt.ArrayLike,
    *,
    block: int = 256,
    grid: int = 4,
) -> Array:
    """`target` after target[index] = source on the chip; no index should repeat."""
    target, index, source = np.ascontiguousarray(target), _indices(index), np.ascontiguousarray(source)
    if source.shape != index.shape or source.dtype != target.dtype:
        raise ValueError(f"an element of the target's type for each index, not {source.shape} of {source.dtype}")
    with chip.to_device(source) as device_source, chip.to_device(target) as device_target:
        _run(chip, "scatter", grid, block, index, device_source, device_target)
        return device_target.copy_to_host()


def _indices(index: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    return whole(index, np.uint32)


def _run(chip: Chip, name: str, grid: int, block: int, index: npt.NDArray[np.uint32], source: Any, target: Any) -> None:
    if index.ndim != 1 or source.dtype.itemsize != 4 or block % 32:
        raise ValueError(
            f"one-dimensional indices, 32-bit elements, whole warps, not {index.shape}, {source.dtype}, {block}"
        )
    with chip.to_device(index) as device_index:
        load(chip, "gather")[name][grid, block](len(index), device_index, source, target)
