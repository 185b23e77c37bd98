"""broadcast: an array of one chip of a pod, on all of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .pod_group import ROUND, Array, Group, checked, collected, size_name

if TYPE_CHECKING:
    from ..emulator.pod.pod import PerChip, Pod, SymmetricBuffer
    from ..emulator.streams import Stream


def reference(arrays: npt.ArrayLike, root: int = 0) -> Array:
    """The array of the chip `root`, of `arrays`, chips x n, for each chip."""
    arrays = np.asarray(arrays)
    return np.broadcast_to(arrays[root], arrays.shape)


def launch(pod: Pod, arrays: npt.ArrayLike, root: int = 0, *, grid: int | None = None, block: int = 256) -> Array:
    """The same on the chips of a pod, for elements of 4 or 2 bytes."""
    arrays = checked(arrays, len(pod.chips))
    return collected(pod, arrays, arrays.shape[1:], partial(run, root=root, grid=grid, block=block))


def run(
    group: Group,
    source: SymmetricBuffer,
    target: SymmetricBuffer,
    root: int = 0,
    *,
    grid: int | None = None,
    block: int = 256,
    stream: PerChip[Stream] | None = None,
) -> None:
    """The same for arrays that are on the chips already."""
    n, kernel = source.shape[0], f"broadcast_{size_name(source.dtype)}"
    grid = grid or group.blocks(-(-group.work(n, source.dtype) // group.chips), each=ROUND, block=block)
    group.launch("broadcast", kernel, n, source, target, group.chip(root), grid=grid, block=block, stream=stream)
