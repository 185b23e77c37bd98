"""transpose: rows become columns, by way of tiles in TSM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import load

if TYPE_CHECKING:
    from ..emulator.chip import Chip

TILE = 32


def reference(source: npt.ArrayLike) -> npt.NDArray[Any]:
    """The transpose, element by element: element j of row i goes to element i of row j."""
    source = np.asarray(source)
    rows, columns = source.shape
    i, j = np.divmod(np.arange(source.size), columns)
    target = np.empty(source.size, source.dtype)
    target[j * rows + i] = source.reshape(-1)
    return target.reshape(columns, rows)


def launch(chip: Chip, source: npt.ArrayLike, *, block: int = 256) -> npt.NDArray[Any]:
    """The transpose on the chip of a two-dimensional array of any 32-bit type; `block` is a multiple of 32."""
    source = np.ascontiguousarray(source)
    if source.ndim != 2 or source.dtype.itemsize != 4:
        raise ValueError(f"the source is two-dimensional with 32-bit elements, not {source.shape} of {source.dtype}")
    if block % 32:
        raise ValueError(f"a block is a multiple of 32 threads, not {block}")
    rows, columns = source.shape
    grid = (-(-columns // TILE), -(-rows // TILE))
    with chip.to_device(source) as device_source, chip.empty((columns, rows), source.dtype) as target:
        load(chip, "transpose")["transpose"][grid, block](rows, columns, device_source, target)
        return target.copy_to_host()
