"""reduce: the sum of arrays of all chips of a pod, on one of them."""

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
    """The sum of `arrays`, chips x n, over the chips, to the bit: n."""
    arrays = np.asarray(arrays)
    return total(checked(arrays, len(arrays)))


def launch(pod: Pod, arrays: npt.ArrayLike, root: int = 0, *, grid: int | None = None, block: int = 256) -> Array:
    """The same on the chips of a pod, as it is on chip `root`, in f32, i32, f16 or bf16."""
    arrays = checked(arrays, len(pod.chips))
    return collected(pod, arrays, arrays.shape[1:], partial(run, root=root, grid=grid, block=block))[root]


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
    """The same for arrays that are on the chips already; only the root's target is written."""
    n, kernel = source.shape[0], f"reduce_{type_name(source.dtype)}"
    grid = grid or group.blocks(-(-group.work(n, source.dtype) // group.chips), block=block)
    group.launch("reduce", kernel, n, source, target, group.chip(root), grid=grid, block=block, stream=stream)
