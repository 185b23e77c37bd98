"""reduce_scatter: the sum of arrays of all chips of a pod, a part of it on each chip."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .pod_group import Array, Group, checked, collected, total, type_name

if TYPE_CHECKING:
    from ..emulator.pod.pod import PerChip, Pod, SymmetricBuffer
    from ..emulator.streams import Stream


def reference(arrays: npt.ArrayLike) -> Array:
    """Part c of the sum of `arrays`, chips x parts x n, for each chip c, to the bit: chips x n."""
    arrays = np.asarray(arrays)
    return total(checked(arrays, len(arrays), parts=True))


def launch(pod: Pod, arrays: npt.ArrayLike, *, grid: int | None = None, block: int = 256) -> Array:
    """The same on the chips of a pod, in f32, i32, f16 or bf16."""
    arrays = checked(arrays, len(pod.chips), parts=True)
    return collected(pod, arrays, arrays.shape[2:], partial(run, grid=grid, block=block))


def run(
    group: Group,
    source: SymmetricBuffer,
    target: SymmetricBuffer,
    *,
    grid: int | None = None,
    block: int = 256,
    stream: PerChip[Stream] | None = None,
) -> None:
    """The same for arrays that are on the chips already: parts x n, and n elements."""
    n, kernel = target.shape[0], f"reduce_scatter_{type_name(source.dtype)}"
    grid = grid or group.blocks(group.work(n, source.dtype, parts=True), block=block)
    group.launch("reduce_scatter", kernel, n, source, target, parts=True, grid=grid, block=block, stream=stream)
