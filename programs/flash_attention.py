"""flash_attention: attention of bfloat16 heads on the matrix unit, causal or not, with keys in order or in pages."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import load
from .attention import check_heads, products, scale_of, weighted
from .binary32 import F32, canonical, exp2, f32, fma
from .narrow import bf16, to_bf16, whole

if TYPE_CHECKING:
    from ..emulator.chip import Chip

Heads = npt.NDArray[Any]
"""Rows x heads x size, bfloat16."""
Bools = npt.NDArray[np.bool_]

ROWS = {64: 32, 128: 32, 256: 16}
"""Rows of a warp, by elements of a head."""
WARPS, STEP, DEPTH = 4, 32, 16
"""Warps of a block; keys of a step; products that a matrix instruction adds up."""
PAGE_UNIT = 16
"""The tokens of a page are a multiple of this."""
OUTGROWN = np.float32(8)
"""Powers of two that a score may be above `most` before `most` follows."""
LEAST = np.finfo(np.float32).min
UNIT, BF16_UNIT = 2.0**-24, 2.0**-8
"""What a rounding to binary32 and to bfloat16 is wrong by, at most, as a part of its result."""


class Sequences(NamedTuple):
    """Many sequences, with their keys and values in pages.

    starts: n + 1 numbers; sequence i has the queries from starts[i] up to starts[i + 1].
    table: n x pages; the numbers of the pages that hold a sequence's keys and values, in order.
    lengths: n numbers; how many keys each sequence has.
    """

    starts: npt.NDArray[np.int64]
    table: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    @classmethod
    def of(cls, starts: npt.ArrayLike, table: npt.ArrayLike, lengths: npt.ArrayLike) -> Sequences:
        """From whatever makes arrays of whole numbers. Raises TypeError for others."""
        return cls(*(whole(each, np.int64) for each in (starts, table, lengths)))

    def check(self, queries: int, pages: int, page: int, *, causal: bool) -> None:
        """Raise ValueError unless they have so many queries, and keys for them in so many pages of so many tokens."""
        starts, table, lengths = self
        counts = np.diff(starts)
        if page % PAGE_UNIT:
            raise ValueError(f"a page has a multiple of {PAGE_UNIT} tokens, not {page}")
        if table.ndim != 2 or not len(table) == len(lengths) == len(counts):
            shapes = f"{table.shape}, {lengths.shape} and {starts.shape}"
            raise ValueError(f"a row of the table, a length and a start for each sequence and an end, not {shapes}")
        if starts[0] != 0 or starts[-1] != queries or (counts < 0).any():
            raise ValueError(f"starts ascend from 0 to {queries}, not {starts.tolist()}")
        if (lengths > table.shape[1] * page).any() or table.min(initial=0) < 0 or table.max(initial=0) >= pages:
            raise ValueError(f"a table of numbers below {pages}, enough for {lengths.max()} keys, not {table.tolist()}")
        if (lengths < (counts if causal else counts > 0)).any():
            raise ValueError(f"keys for all queries, not {lengths.tolist()} for {counts.tolist()}")


Paged = Sequences | tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]
"""Sequences, or what they are made of: starts, table, lengths."""


def _sequences(given: Paged) -> Sequences:
    if len(given) != 3:
        raise ValueError(f"sequences are starts, table and lengths, not {len(given)} arrays")
    return Sequences.of(*given)


# ---- reference -------------------------------------------------------------------------------------------------------


def reference(query: npt.ArrayLike, key: npt.ArrayLike, value: npt.ArrayLike, *, causal: bool = True) -> Heads:
    """Attention in the kernels' order, all queries and heads at once; powers of two by way of binary64."""
    query, key, value = f32(bf16(query)), f32(bf16(key)), f32(bf16(value))
    queries, keys, group = len(query), len(key), query.shape[1] // key.shape[1]
    latest = np.arange(queries) + keys - queries if causal else np.full(queries, keys - 1)
    rows = np.arange(queries)[:, None] * group + np.arange(query.shape[1]) % group
    of_warp = ROWS[query.shape[2]]
    last_rows = np.minimum(rows // of_warp * of_warp + of_warp, queries * group) - 1
    more = -keys % STEP
    key, value = (np.pad(np.repeat(each, group, axis=1), ((0, more), (0, 0), (0, 0))) for each in (key, value))
    with np.errstate(all="ignore"):
        return to_bf16(_steps(query, key, value, latest, latest[last_rows // group]))


def _steps(query: F32, key: F32, value: F32, latest: npt.NDArray[np.int64], of_warp: npt.NDArray[np.int64]) -> F32:
    """The sums, 32 keys at a time. latest: the last key of each query; of_warp: of its warp, for each head."""
    most = np.full(query.shape[:2], LEAST)
    totals, out = np.zeros((*query.shape[:2], 4), np.float32), np.zeros_like(query)
    for first in range(0, len(key), STEP):
        scores = _scores(query, key[first : first + STEP])
        met: Bools = np.arange(first, first + STEP) <= latest[:, None]
        scores = np.where(met[:, None], scores, np.float32(-np.inf))
        some: Bools = of_warp >= first
        candidate = np.fmax.reduce(scores, axis=2) * scale_of(query.shape[2])
        grown: Bools = some & (candidate - most > OUTGROWN)
        factor = np.where(grown, exp2(most - candidate), np.float32(1))
        most = np.where(grown, candidate, most)
        power = exp2(fma(scores, scale_of(query.shape[2]), -most[..., None]))
        new_totals, new_out = totals * factor[..., None], canonical(out * factor[..., None])
        for j in range(0, STEP, 8):
            for pair in range(2):
                new_totals = new_totals + power[..., j + pair : j + 8 : 2]
        for j in range(0, STEP, DEPTH):
            weights = f32(to_bf16(power[..., j : j + DEPTH]))
            new_out = canonical(weighted(weights, value[first + j : first + j + DEPTH]) + new_out)
        totals, out = np.where(some[..., None], new_totals, totals), np.where(some[..., None], new_out, out)
    total = (totals[..., 0] + totals[..., 1]) + (totals[..., 2] + totals[..., 3])
    return canonical(out / total[..., None])


def _scores(query: F32, key: F32) -> F32:
    """Of all queries with some keys, as the matrix unit adds them up."""
    scores = np.zeros((*query.shape[:2], len(key)), np.float32)
    for element in range(0, query.shape[2], DEPTH):
        scores = canonical(products(query, key, slice(element, element + DEPTH)) + scores)
    return scores


def paged_reference(
    query: npt.ArrayLike,
    key: npt.ArrayLike,
    value: npt.ArrayLike,
    sequences: Paged,
    *,
    causal: bool = True,
) -> Heads:
    """The same of each sequence, with its keys and values gathered from their pages; as `launch_paged`."""
    query, key, value = bf16(query), bf16(key), bf16(value)
    out, (starts, table, lengths) = np.zeros_like(query), _sequences(sequences)
    for first, end, pages, length in zip(starts, starts[1:], table, lengths, strict=False):
        if end > first:
            own = (pool[pages].reshape(-1, *pool.shape[2:])[:length] for pool in (key, value))
            out[first:end] = reference(query[first:end], *own, causal=causal)
    return out


# ---- error bound -----------------------------------------------------------------------------------------------------


def bound(query: npt.ArrayLike, key: npt.ArrayLike, value: npt.ArrayLike, *, causal: bool = True) -> npt.NDArray[Any]:
    """How far an element can be from exact attention, as binary64, if nothing overflows. It follows from the order.

    A score is off by its sums' roundings, its power's exponent by that, the roundings of `scale` and of fma, and by
    those of the changes of m; the power itself by its own and those of the factors. So all weights are off by a factor
    up to `weight`, the same above and below the line. Above it each is rounded to bfloat16 and the products are added
    up, below it the weights: `above` and `below`. The quotient is rounded twice.
    """
    query, key, value = (bf16(each).astype(np.float64) for each in (query, key, value))
    (queries, heads, size), keys = query.shape, len(key)
    key, value = (np.repeat(each, heads // key.shape[1], axis=1) for each in (key, value))
    latest = np.arange(queries) + keys - queries if causal else np.full(queries, keys - 1)
    met: Bools = (np.arange(keys) <= latest[:, None])[:, None]
    log2_e = np.log2(np.e) / size**0.5
    exponent = np.where(met, np.einsum("ihd,jhd->ihj", query, key) * log2_e, np.nan)
    sizes = np.einsum("ihd,jhd->ihj", np.abs(query), np.abs(key)) * log2_e
    reach = np.nanmax(exponent, 2, keepdims=True) - np.nanmin(exponent, 2, keepdims=True)
    steps = -(-keys // STEP)
    moves = np.minimum(reach // OUTGROWN + 1, steps)
    off = sizes * _grown(DEPTH - 1 + size // DEPTH - 1) + 2 * UNIT * np.abs(exponent) + UNIT * (reach + OUTGROWN + 1)
    weight = np.exp2(np.nanmax(np.where(met, off, np.nan), 2, keepdims=True) + UNIT * reach) * (1 + UNIT) ** (moves + 1)
    above = weight * (1 + BF16_UNIT) * (1 + UNIT) ** (DEPTH - 1 + 2 * steps + moves) - 1
    below = weight * (1 + UNIT) ** (8 * steps + 2 + moves)
    powers = np.where(met, np.exp2(exponent - np.nanmax(exponent, 2, keepdims=True)), 0)
    powers /= powers.sum(2, keepdims=True)
    exact, sizes = (np.abs(np.einsum("ihj,jhd->ihd", powers, each)) for each in (value, np.abs(value)))
    subnormal = keys * 2.0**-130 * np.abs(value).max()
    quotient = below * (above * sizes + exact * (below - 1)) + subnormal
    return quotient + (exact + quotient) * ((1 + UNIT) * (1 + BF16_UNIT) - 1) + 2.0**-134


def _grown(roundings: int) -> float:
    """How far so many roundings to binary32 can go, as a part of what is rounded."""
    return (1 + UNIT) ** roundings - 1


# ---- launch ----------------------------------------------------------------------------------------------------------


def grid_of(queries: int, heads: int, groups: int, size: int) -> tuple[int, int]:
    """Blocks for so many queries, heads of them and of the keys, and elements."""
    return -(-queries * (heads // groups) // (WARPS * ROWS[size])), groups


def launch(chip: Chip, query: npt.ArrayLike, key: npt.ArrayLike, value: npt.ArrayLike, *, causal: bool = True) -> Heads:
    """Attention on the chip, in bfloat16: queries x heads x size, keys x fewer heads x size.

    Raises ValueError unless size is 64, 128 or 256, the heads of query are a multiple of those of key, and there are
    keys, with `causal` at least as many as queries.
    """
    query, key, value = bf16(query), bf16(key), bf16(value)
    check_heads(query, key, value, ROWS, causal=causal)
    (queries, heads, size), (keys, groups, _) = query.shape, key.shape
    if not query.size:
        return query
    with (
        chip.to_device(query) as device_query,
        chip.to_device(key) as device_key,
        chip.to_device(value) as device_value,
        chip.empty(query.shape, query.dtype) as out,
    ):
        kernel = load(chip, "flash_attention")[f"flash_attention_{size}"]
        numbers = queries, keys, heads, heads // groups, int(causal), float(scale_of(size))
        grid = grid_of(queries, heads, groups, size)
        kernel[grid, 32 * WARPS](*numbers, device_query, device_key, device_value, out)
        return out.copy_to_host()


def launch_paged(
    chip: Chip,
    query: npt.ArrayLike,
    key: npt.ArrayLike,
    value: npt.ArrayLike,
    sequences: Paged,
    *,
    causal: bool = True,
) -> Heads:
    """Attention of many sequences, whose keys and values are in pages: pages x tokens x fewer heads x size.

    `sequences` are `Sequences`, or a tuple of what they hold: starts, table, lengths.
    Raises ValueError for shapes as `launch` does, and for sequences as `Sequences.check` does.
    """
    query, key, value, sequences = bf16(query), bf16(key), bf16(value), _sequences(sequences)
    if key.ndim != 4 or value.ndim != 4 or 0 in key.shape:
        raise ValueError(f"pages x tokens x heads x size, none of them 0, not {key.shape} and {value.shape}")
    check_heads(query, key[0], value[0], ROWS, causal=False)
    (_, heads, size), (pages, page, groups, _) = query.shape, key.shape
    sequences.check(len(query), pages, page, causal=causal)
    if not query.size:
        return query
    with ExitStack() as stack:
        arrays = query, key, value, *(each.astype(np.uint32) for each in sequences)
        q, k, v, starts, table, lengths = (stack.enter_context(chip.to_device(each)) for each in arrays)
        out = stack.enter_context(chip.empty(query.shape, query.dtype))
        kernel = load(chip, "flash_attention")[f"flash_attention_paged_{size}"]
        numbers = heads, heads // groups, int(causal), float(scale_of(size)), page, pages, sequences.table.shape[1]
        grid = *grid_of(int(np.diff(sequences.starts).max()), heads, groups, size), len(sequences.lengths)
        kernel[grid, 32 * WARPS](*numbers, q, k, v, out, starts, table, lengths)
        return out.copy_to_host()
