"""lock: the largest value of every group and where it stands, under spin locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, f32
from .narrow import whole

if TYPE_CHECKING:
    from ..emulator.chip import Chip

U32 = npt.NDArray[np.uint32]
NOWHERE = 0xFFFFFFFF


def reference(groups: npt.ArrayLike, values: npt.ArrayLike, count: int) -> tuple[F32, U32]:
    """The largest value of each of `count` groups, -inf if there is none, and the first place that has it."""
    groups, values = np.asarray(groups), f32(values)
    best, place = np.full(count, -np.inf, np.float32), np.full(count, NOWHERE, np.uint32)
    for group in range(count):
        places = np.flatnonzero((groups == group) & ~np.isnan(values))
        if len(places):
            place[group] = places[np.argmax(values[places])]
            best[group] = values[place[group]]
    return best, place


def launch(
    chip: Chip, groups: npt.ArrayLike, values: npt.ArrayLike, count: int, *, block: int = 64, grid: int = 2
) -> tuple[F32, U32]:
    """The same on the chip."""
    groups, values = whole(groups, np.uint32), f32(values)
    if groups.shape != values.shape or (groups >= count).any():
        raise ValueError(f"a group below {count} for each value, not {groups.shape} and {values.shape}")
    pairs = np.empty((count, 2), np.uint32)
    pairs[:, 0], pairs[:, 1] = np.float32(-np.inf).view(np.uint32), NOWHERE
    with (
        chip.to_device(groups) as device_groups,
        chip.to_device(values) as device_values,
        chip.to_device(pairs) as best,
        chip.to_device(np.zeros(count, np.uint32)) as locks,
    ):
        load(chip, "lock")["lock"][grid, block](len(values), device_groups, device_values, best, locks)
        pairs = best.copy_to_host()
        assert not locks.copy_to_host().any()
    return pairs[:, 0].copy().view(np.float32), pairs[:, 1].copy()
