"""all_to_all: every chip of a pod has something for every chip."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .pod_group import ROUND, Array, Group, checked, collected, size_name

if TYPE_CHECKING:
    from ..emulator.pod.pod import PerChip, Pod, SymmetricBuffer
    from ..emulator.streams import Stream


def reference(arrays: npt.ArrayLike) -> Array:
    """For each chip, what each has for it: of `arrays`, chips x chips x n, the first two axes exchanged."""
    return np.asarray(arrays).swapaxes(0, 1)


def launch(pod: Pod, arrays: npt.ArrayLike, *, grid: int | None = None, block: int = 256) -> Array:
    """The same on the chips of a pod, for elements of 4 or 2 bytes."""
    arrays = checked(arrays, len(pod.chips), parts=True)
    return collected(pod, arrays, arrays.shape[1:], partial(run, grid=grid, block=block))


def run(
    group: Group,
    source: SymmetricBuffer,
    target: SymmetricBuffer,
    *,
    grid: int | None = None,
    block: int = 256,
    stream: PerChip[Stream] | None = None,
) -> None:
    """The same for arrays that are on the chips already: chips x n each."""
    n, kernel = source.shape[1], f"all_to_all_{size_name(source.dtype)}"
    grid = grid or blocks(group, group.work(n, source.dtype, parts=True), block)
    group.launch("all_to_all", kernel, n, source, target, parts=True, grid=grid, block=block, stream=stream)


def ragged_reference(rows: list[Array], counts: npt.ArrayLike) -> list[Array]:
    """For each chip d, counts[c, d] rows from each chip c in turn; those of chip c lie in rows[c] in the order of d."""
    counts = np.asarray(counts)
    ends = np.cumsum(counts, axis=1)
    return [
        np.concatenate([rows[c][ends[c, d] - counts[c, d] : ends[c, d]] for c in range(len(rows))])
        for d in range(len(rows))
    ]


def ragged_launch(
    pod: Pod, rows: list[Array], counts: npt.ArrayLike, *, grid: int | None = None, block: int = 256
) -> list[Array]:
    """The same on the chips of a pod: rows of one width of elements of 4 or 2 bytes, counts.sum(1)[c] on chip c."""
    counts = np.asarray(counts, np.int64)
    chips = len(pod.chips)
    if counts.shape != (chips, chips) or (counts < 0).any() or [len(one) for one in rows] != counts.sum(1).tolist():
        raise ValueError(f"counts are {chips} x {chips}, and those of a chip add up to its rows")
    widths, kinds = {one.shape[1:] for one in rows}, {one.dtype for one in rows}
    if len(widths) != 1 or len(kinds) != 1 or len(next(iter(widths))) != 1:
        raise ValueError("rows are of one width and one type on all chips")
    (width,), kind = next(iter(widths)), next(iter(kinds))
    with Group(pod) as group:
        source = group.empty((max(1, int(counts.sum(1).max())), width), kind, "source")
        target = group.empty((max(1, int(counts.sum(0).max())), width), kind, "target")
        for buffer, one in zip(source, rows, strict=True):
            if len(one):
                buffer[: len(one)].copy_from_host(np.ascontiguousarray(one))
        ragged_run(group, source, target, counts, grid=grid, block=block)
        return [buffer.copy_to_host()[:count] for buffer, count in zip(target, counts.sum(0), strict=True)]


def ragged_run(
    group: Group,
    source: SymmetricBuffer,
    target: SymmetricBuffer,
    counts: npt.ArrayLike,
    start: npt.ArrayLike | None = None,
    into: npt.ArrayLike | None = None,
    *,
    grid: int | None = None,
    block: int = 256,
    stream: PerChip[Stream] | None = None,
) -> None:
    """The same for rows that are on the chips already: rows x width each, with room for as many as any chip has.

    Rows of chip c for chip d begin at row start[c, d] there and go to row into[c, d]; without these tables, one chip's
    behind the other's.
    """
    counts = np.asarray(counts, np.int64)
    start = np.cumsum(counts, 1) - counts if start is None else np.asarray(start)
    into = np.cumsum(counts, 0) - counts if into is None else np.asarray(into)
    width, kernel = source.shape[1], f"all_to_all_ragged_{size_name(source.dtype)}"
    tables: list[Any] = [
        group.array(table.astype(np.uint32), name)
        for name, table in (("count", counts), ("from", start), ("into", into))
    ]
    grid = grid or blocks(group, group.work(width, source.dtype, parts=True) * int(counts.max()), block)
    values = (source, target, *tables)
    group.launch("all_to_all", kernel, width, *values, parts=True, grid=grid, block=block, stream=stream)


def blocks(group: Group, work: int, block: int) -> int:
    """A grid for so many pieces or elements for each chip: as many blocks for each, where there are enough."""
    return group.blocks(work, each=ROUND, unit=min(group.chips, group.usual_blocks), block=block)
