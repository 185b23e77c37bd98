"""attention: flash attention, causal or not, with query heads in groups, in binary32 or on bfloat16 matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import F32, canonical, f32, fma, lane_sum
from .narrow import to_bf16

if TYPE_CHECKING:
    from ..emulator.chip import Chip

Bools = npt.NDArray[np.bool_]
Heads = npt.NDArray[Any]
"""Rows x heads x size, bfloat16 or binary32."""

SIZES = 64, 128
"""Elements of a head."""
KEYS = 32
"""Keys of a tile."""
DEPTH = 16
"""Products that a matrix instruction adds up."""
WARPS = 4


def scale_of(size: int) -> np.float32:
    """What scores are multiplied by: log2(e) / sqrt(size), so that powers of two make the softmax."""
    return np.float32(np.log2(np.e) / np.sqrt(size))


def of_one_type(*arrays: npt.ArrayLike) -> list[Heads]:
    """All as bfloat16 if the first one is, else as binary32."""
    kind = ml_dtypes.bfloat16 if np.asarray(arrays[0]).dtype == ml_dtypes.bfloat16 else np.float32
    return [np.asarray(array, kind, order="C") for array in arrays]


# ---- references ------------------------------------------------------------------------------------------------------


def reference(query: npt.ArrayLike, key: npt.ArrayLike, value: npt.ArrayLike, *, causal: bool = True) -> Heads:
    """Attention in the kernels' order, all queries and heads at once; powers of two by way of binary64."""
    query, key, value = of_one_type(query, key, value)
    queries, keys, group = len(query), len(key), query.shape[1] // key.shape[1]
    latest = np.arange(queries) + keys - queries if causal else np.full(queries, keys - 1)
    wide = f32(query), *(f32(np.repeat(each, group, axis=1)) for each in (key, value))
    with np.errstate(all="ignore"):
        if query.dtype == np.float32:
            return in_binary32(*wide, latest)
        return to_bf16(in_bfloat16(*wide, latest))


def in_binary32(query: F32, key: F32, value: F32, latest: npt.NDArray[np.int64]) -> F32:
    """With sums of products fma by fma."""
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


def in_bfloat16(query: F32, key: F32, value: F32, latest: npt.NDArray[np.int64]) -> F32:
    """With sums of products in blocks of 16, and whole tiles, of zeros behind the last key."""
    more = -len(key) % KEYS
    key, value = (np.pad(each, ((0, more), (0, 0), (0, 0))) for each in (key, value))
    most, totals = np.full(query.shape[:2], -np.inf, np.float32), np.zeros((*query.shape[:2], 4), np.float32)
    out = np.zeros_like(query)
    warps = np.minimum(np.arange(len(query)) // 16 * 16 + 15, len(query) - 1)  # the last query of each one's warp
    for first in range(0, len(key), KEYS):
        scores = np.zeros((*query.shape[:2], KEYS), np.float32)
        for element in range(0, query.shape[2], DEPTH):
            block = products(query, key[first : first + KEYS], slice(element, element + DEPTH))
            scores = canonical(block + scores)
        met: Bools = np.arange(first, first + KEYS) <= latest[:, None]
        scores = np.where(met[:, None], scores * scale_of(query.shape[2]), np.float32(-np.inf))
        some: Bools = (latest[warps] >= first)[:, None]
        grown = np.where(some, np.fmax(most, np.fmax.reduce(scores, axis=2)), most)
        factor, power = exp2(most - grown), exp2(scores - grown[..., None])
        new_totals, new_out = totals * factor[..., None], canonical(out * factor[..., None])
        for j in range(0, KEYS, 8):
            for pair in range(2):
                new_totals = new_totals + power[..., j + pair : j + 8 : 2]
        for j in range(0, KEYS, DEPTH):
            weights = f32(to_bf16(power[..., j : j + DEPTH]))
            new_out = canonical(weighted(weights, value[first + j : first + j + DEPTH]) + new_out)
        totals, out = np.where(some[..., None], new_totals, totals), np.where(some[..., None], new_out, out)
        most = grown
    total = (totals[..., 0] + totals[..., 1]) + (totals[..., 2] + totals[..., 3])
    return canonical(out / total[..., None])


def weighted(weights: F32, value: F32) -> F32:
    """The sum of values, key by key."""
    total = np.zeros((*weights.shape[:2], value.shape[2]), np.float32)
    for j, row in enumerate(value):
        total = fma(weights[..., j, None], row, total)
    return total


def exp2(x: F32) -> F32:
    """2^x, rounded to binary32."""
    return np.exp2(x.astype(np.float64)).astype(np.float32)


# ---- launch ----------------------------------------------------------------------------------------------------------


def launch(chip: Chip, query: npt.ArrayLike, key: npt.ArrayLike, value: npt.ArrayLike, *, causal: bool = True) -> Heads:
    """The same on the chip, of bfloat16 if query is: queries x heads x size, keys x fewer heads x size.

    Raises ValueError unless size is 64 or 128, the heads of query are a multiple of those of key, and there are keys,
    with `causal` at least as many as queries.
    """
    query, key, value = of_one_type(query, key, value)
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
        chip.empty(query.shape, query.dtype) as out,
    ):
        kind, of_warp = ("f32", 1) if query.dtype == np.float32 else ("bf16", 16)
        kernel = load(chip, "attention")[f"attention_{kind}_{size}"]
        numbers = queries, keys, heads, heads // groups, int(causal), float(scale_of(size))
        grid = -(-queries // (WARPS * of_warp)), heads
        kernel[grid, 32 * WARPS](*numbers, device_query, device_key, device_value, out)
        return out.copy_to_host()
