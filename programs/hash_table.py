"""hash_table: sums by key in a table with open addressing, filled and read by all lanes at once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .narrow import whole

if TYPE_CHECKING:
    from ..emulator.chip import Chip

U32 = npt.NDArray[np.uint32]
EMPTY = 0xFFFFFFFF


def reference(keys: npt.ArrayLike, values: npt.ArrayLike, queries: npt.ArrayLike) -> tuple[U32, U32]:
    """The sum of values of every queried key, modulo 2**32, and 1 where it is among `keys`, else 0."""
    sums: defaultdict[int, int] = defaultdict(int)
    for key, value in zip(np.asarray(keys).tolist(), np.asarray(values).tolist(), strict=True):
        sums[key] += value
    asked = np.asarray(queries).tolist()
    found = np.array([key in sums for key in asked], np.uint32)
    return np.array([sums.get(key, 0) % 2**32 for key in asked], np.uint32), found


def launch(
    chip: Chip,
    keys: npt.ArrayLike,
    values: npt.ArrayLike,
    queries: npt.ArrayLike,
    *,
    capacity: int | None = None,
    block: int = 128,
    grid: int = 4,
) -> tuple[U32, U32]:
    """The same on the chip, with a table of `capacity` slots, by default twice as many as keys."""
    keys, queries = whole(keys, np.uint32), whole(queries, np.uint32)
    values = np.asarray(values, np.uint32, order="C")
    capacity = capacity or 1 << (2 * len(keys)).bit_length()
    if keys.shape != values.shape or (keys == EMPTY).any() or (queries == EMPTY).any():
        raise ValueError(f"a value for each key, and no key is {EMPTY:#x}; not {keys.shape} and {values.shape}")
    if capacity & (capacity - 1) or len(np.unique(keys)) >= capacity:
        raise ValueError(f"a power of two above the number of keys, not {capacity}")
    kernels = load(chip, "hash_table")
    with (
        chip.to_device(keys) as device_keys,
        chip.to_device(values) as device_values,
        chip.to_device(queries) as device_queries,
        chip.to_device(np.full(capacity, EMPTY, np.uint32)) as table_keys,
        chip.to_device(np.zeros(capacity, np.uint32)) as table_values,
        chip.empty(len(queries), np.uint32) as sums,
        chip.empty(len(queries), np.uint32) as found,
    ):
        kernels["table_add"][grid, block](len(keys), capacity, device_keys, device_values, table_keys, table_values)
        kernels["table_find"][grid, block](
            len(queries), capacity, device_queries, table_keys, table_values, sums, found
        )
        return sums.copy_to_host(), found.copy_to_host()
