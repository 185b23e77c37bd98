"""all_gather: the arrays of all chips of a pod, one behind the other, on every chip."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .pod_group import ROUND, Array, Group, checked, collected, size_name

if TYPE_CHECKING:
    from ..emulator.pod.pod import PerChip, Pod, SymmetricBuffer
    from ..emulator.streams import Stream


def reference(arrays: npt.ArrayLike) -> Array:
    """All of `arrays`, chips x n, for each chip: chips x chips x n."""
    arrays = np.asarray(arrays)
    return np.broadcast_to(arrays, (len(arrays), *arrays.shape))


def launch(pod: Pod, arrays: npt.ArrayLike, *, grid: int | None = None, block: int = 256) -> Array:
    """The same on the chips of a pod, for elements of 4 or 2 bytes."""
    arrays = checked(arrays, len(pod.chips))
    return collected(pod, arrays, arrays.shape, partial(run, grid=grid, block=block))


def run(
    group: Group,
    source: SymmetricBuffer,
    target: SymmetricBuffer,
    *,
    grid: int | None = None,
    block: int = 256,
    stream: PerChip[Stream] | None = None,
) -> None:
    """The same for arrays that are on the chips already: n elements, and chips x n."""
    n, kernel = source.shape[0], f"all_gather_{size_name(source.dtype)}"
    grid = grid or group.blocks(group.work(n, source.dtype, parts=True), each=ROUND, block=block)
    group.launch("all_gather", kernel, n, source, target, parts=True, grid=grid, block=block, stream=stream)
