"""attention: attention in one pass, causal or not, with query heads in groups, in binary32 on the lanes."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, canonical, exp2, f32, fma, lane_sum

if TYPE_CHECKING:
    from ..emulator.chip import Chip

Bools = npt.NDArray[np.bool_]
Heads = npt.NDArray[Any]
"""Rows x heads x size."""

SIZES = 64, 128
"""Elements of a head."""
KEYS, WARPS = 32, 4
"""Keys of a tile; warps, and so queries, of a block."""


def scale_of(size: int) -> np.float32:
    """What scores are multiplied by: log2(e) / sqrt(size), so that powers of two make the softmax."""
    return np.float32(np.log2(np.e) / np.sqrt(size))


# ---- references ------------------------------------------------------------------------------------------------------


def reference(query: npt.ArrayLike, key: npt.ArrayLike, value: npt.ArrayLike, *, causal: bool = True) -> F32:
    """Attention in the kernels' order, all queries and heads at once; powers of two by way of binary64."""
    query, key, value = f32(query), f32(key), f32(value)
    queries, keys, group = len(query), len(key), query.shape[1] // key.shape[1]
    latest = np.arange(queries) + keys - queries if causal else np.full(queries, keys - 1)
    key, value = (np.repeat(each, group, axis=1) for each in (key, value))
    with np.errstate(all="ignore"):
        return _tiles(query, key, value, latest)


def _tiles(query: F32, key: F32, value: F32, latest: npt.NDArray[np.int64]) -> F32:
    """The sums, tile by tile; latest: the last key of each query."""
    most, total = np.full(query.shape[:2], -np.inf, np.float32), np.zeros(query.shape[:2], np.float32)
    out = np.zeros_like(query)
    for first in range(0, len(key), KEYS):
        tile = slice(first, min(first + KEYS, len(key)))
        meets: Bools = np.arange(len(key))[tile] <= latest[:, None]  # queries x keys of the tile
        some: Bools = meets.any(1)[:, None]
        scores = products(query, key[tile]) * scale_of(query.shape[2])  # queries x heads x keys of the tile
        top = np.fmax.reduce(np.where(meets[:, None], scores, np.nan), axis=2)
        grown = np.where(some, np.fmax(most, top), most)
        factor, power = exp2(most - grown), exp2(scores - grown[..., None])
        lanes = np.full((*query.shape[:2], KEYS), -0.0, np.float32)
        lanes[..., : power.shape[2]] = np.where(meets[:, None], power, -0.0)
        total = np.where(some, fma(total, factor, lane_sum(lanes)), total)
        out = np.where(some[..., None], out * factor[..., None], out)
        for j, row in enumerate(value[tile]):
            out = np.where(meets[:, j, None, None], fma(power[..., j, None], row, out), out)
        most = grown
    return canonical(out / total[..., None])


def products(query: F32, key: F32, elements: slice = slice(None)) -> F32:
    """Of all queries with all keys of the same head, some of their elements in turn."""
    sums = np.zeros((*query.shape[:2], len(key)), np.float32)
    for element in range(query.shape[2])[elements]:
        sums = fma(query[..., element, None], key[..., element].T, sums)
    return sums


def weighted(weights: F32, value: F32) -> F32:
    """The sum of values, key by key."""
    total = np.zeros((*weights.shape[:2], value.shape[2]), np.float32)
    for j, row in enumerate(value):
        total = fma(weights[..., j, None], row, total)
    return total


# ---- launch ----------------------------------------------------------------------------------------------------------


def launch(chip: Chip, query: npt.ArrayLike, key: npt.ArrayLike, value: npt.ArrayLike, *, causal: bool = True) -> F32:
    """The same on the chip: queries x heads x size, keys x fewer heads x size.

    Raises ValueError unless size is 64 or 128, the heads of query are a multiple of those of key, and there are keys,
    with `causal` at least as many as queries.
    """
    query, key, value = f32(query), f32(key), f32(value)
    check_heads(query, key, value, SIZES, causal=causal)
    (queries, heads, size), (keys, groups, _) = query.shape, key.shape
    if not query.size:
        return query
    with (
        chip.to_device(query) as device_query,
        chip.to_device(key) as device_key,
        chip.to_device(value) as device_value,
        chip.empty(query.shape) as out,
    ):
        kernel = load(chip, "attention")[f"attention_f32_{size}"]
        numbers = queries, keys, heads, heads // groups, int(causal), float(scale_of(size))
        kernel[(-(-queries // WARPS), heads), 32 * WARPS](*numbers, device_query, device_key, device_value, out)
        return out.copy_to_host()


def check_heads(query: Heads, key: Heads, value: Heads, sizes: Collection[int], *, causal: bool) -> None:
    """Raise ValueError for shapes that do not belong together, or another size of a head than these."""
    shapes = f"{query.shape}, {key.shape} and {value.shape}"
    if query.ndim != 3 or key.ndim != 3 or key.shape != value.shape or 0 in key.shape:
        raise ValueError(f"query, key and value have three dimensions, the last two the same, not {shapes}")
    if query.shape[2] not in sizes or key.shape[2] != query.shape[2] or query.shape[1] % key.shape[1]:
        raise ValueError(f"heads have {' or '.join(map(str, sizes))} elements and whole groups, not {shapes}")
    if causal and len(key) < len(query):
        raise ValueError(f"causal attention has a key for each query, not {shapes}")
