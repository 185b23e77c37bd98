"""attention: flash attention in binary32 on the lanes, causal or not, with query heads in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, canonical, f32, fma, lane_sum

if TYPE_CHECKING:
    from ..emulator.chip import Chip

SIZES = 64, 128
"""Elements of a head."""
QUERIES, KEYS = 4, 32
"""Queries of a block, keys of a tile."""


def scale_of(size: int) -> np.float32:
    """What scores are multiplied by: log2(e) / sqrt(size), so that powers of two make the softmax."""
    return np.float32(np.log2(np.e) / np.sqrt(size))


def reference(query: npt.ArrayLike, key: npt.ArrayLike, value: npt.ArrayLike, *, causal: bool = True) -> F32:
    """Attention in the kernel's order, all queries and heads at once; powers of two by way of binary64."""
    query = f32(query)
    queries, heads, size = query.shape
    keys = np.shape(key)[0]
    group = heads // np.shape(key)[1]
    key, value = (np.repeat(f32(each), group, axis=1) for each in (key, value))
    last = np.arange(queries) + keys - queries if causal else np.full(queries, keys - 1)
    most, total = np.full((queries, heads), -np.inf, np.float32), np.zeros((queries, heads), np.float32)
    out = np.zeros_like(query)
    with np.errstate(all="ignore"):
        for first in range(0, keys, KEYS):
            tile = slice(first, min(first + KEYS, keys))
            meets = np.arange(keys)[tile] <= last[:, None]  # queries x keys of the tile
            some = meets.any(1)[:, None]
            scores = dot(query, key[tile]) * scale_of(size)  # queries x heads x keys of the tile
            top = np.fmax.reduce(np.where(meets[:, None], scores, np.nan), axis=2)
            grown = np.where(some, np.fmax(most, top), most)
            factor, power = exp2(most - grown), exp2(scores - grown[..., None])
            lanes = np.full((queries, heads, KEYS), -0.0, np.float32)
            lanes[..., : power.shape[2]] = np.where(meets[:, None], power, -0.0)
            total = np.where(some, fma(total, factor, lane_sum(lanes)), total)
            out = np.where(some[..., None], out * factor[..., None], out)
            for j, row in enumerate(value[tile]):
                out = np.where(meets[:, j, None, None], fma(power[..., j, None], row, out), out)
            most = grown
        return canonical(out / total[..., None])


def dot(query: F32, key: F32) -> F32:
    """Products of all queries with all keys of the same head, their elements in turn."""
    products = np.zeros((query.shape[0], query.shape[1], key.shape[0]), np.float32)
    for element in range(query.shape[2]):
        products = fma(query[..., element, None], key[..., element].T, products)
    return products


def exp2(x: F32) -> F32:
    """2^x, rounded to binary32."""
    return np.exp2(x.astype(np.float64)).astype(np.float32)


def launch(chip: Chip, query: npt.ArrayLike, key: npt.ArrayLike, value: npt.ArrayLike, *, causal: bool = True) -> F32:
    """The same on the chip: query is queries x heads x size, key and value keys x fewer heads x size.

    Raises ValueError unless size is 64 or 128, the heads of query are a multiple of those of key, and there are keys,
    with `causal` at least as many as queries.
    """
    query, key, value = f32(query), f32(key), f32(value)
    shapes = f"{query.shape}, {key.shape} and {value.shape}"
    if query.ndim != 3 or key.ndim != 3 or key.shape != value.shape or 0 in key.shape:
        raise ValueError(f"query, key and value have three dimensions, the last two the same, not {shapes}")
    queries, heads, size = query.shape
    keys, groups, _ = key.shape
    if size not in SIZES or key.shape[2] != size or heads % groups or (causal and keys < queries):
        raise ValueError(f"heads of 64 or 128 in whole groups and a key for each query, not {shapes}")
    if not query.size:
        return query
    with (
        chip.to_device(query) as device_query,
        chip.to_device(key) as device_key,
        chip.to_device(value) as device_value,
        chip.empty(query.shape) as out,
    ):
        kernel = load(chip, "attention")[f"attention_{size}"]
        numbers = queries, keys, heads, heads // groups, int(causal), float(scale_of(size))
        kernel[grid_of(queries, heads), 32 * QUERIES](*numbers, device_query, device_key, device_value, out)
        return out.copy_to_host()


def grid_of(queries: int, heads: int) -> tuple[int, int]:
    """Blocks that cover all queries of all heads."""
    return -(-queries // QUERIES), heads
