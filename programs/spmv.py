"""spmv: a sparse matrix in CSR form times a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, f32, fma

if TYPE_CHECKING:
    from ..emulator.chip import Chip

U32 = npt.NDArray[np.uint32]


class Csr(NamedTuple):
    """A sparse matrix: row r has the elements starts[r] to starts[r + 1] - 1 of columns and values."""

    starts: U32
    columns: U32
    values: F32


def csr(dense: npt.ArrayLike) -> Csr:
    """The elements of a dense matrix that are not 0, row by row."""
    dense = f32(dense)
    rows, columns = np.nonzero(dense)
    starts = np.searchsorted(rows, np.arange(len(dense) + 1)).astype(np.uint32)
    return Csr(starts, columns.astype(np.uint32), dense[rows, columns])


def reference(matrix: Csr, x: npt.ArrayLike) -> F32:
    """matrix @ x, each row added up from left to right with one rounding per element."""
    x, lengths = f32(x), np.diff(matrix.starts.astype(np.int64))
    y = np.zeros(len(lengths), np.float32)
    for place in range(int(lengths.max(initial=0))):  # the first element of every row, the second, ...
        rows = np.flatnonzero(lengths > place)
        elements = matrix.starts[rows] + place
        y[rows] = fma(matrix.values[elements], x[matrix.columns[elements]], y[rows])
    return y


def launch(chip: Chip, matrix: Csr, x: npt.ArrayLike, *, block: int = 128, grid: int = 4) -> F32:
    """The same on the chip. A column outside x is a fault."""
    rows = len(matrix.starts) - 1
    if matrix.columns.shape != matrix.values.shape or rows < 0:
        raise ValueError(f"a column for each value, not {matrix.columns.shape} and {matrix.values.shape}")
    with (
        chip.to_device(np.asarray(matrix.starts, np.uint32)) as starts,
        chip.to_device(np.asarray(matrix.columns, np.uint32)) as columns,
        chip.to_device(f32(matrix.values)) as values,
        chip.to_device(f32(x)) as device_x,
        chip.empty(rows) as y,
    ):
        load(chip, "spmv")["spmv"][grid, block](rows, starts, columns, values, device_x, y)
        return y.copy_to_host()
