"""all_reduce: the sum of arrays of all chips of a pod, on every chip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from .binary32 import canonical, f32
from .pod_group import PIECE, ROUND, Array, Group, checked, collected, rounded, shares, total, type_name
from .ring_orders import ring_tables, rings

if TYPE_CHECKING:
    from ..emulator.pod.pod import PerChip, Pod, SymmetricBuffer
    from ..emulator.streams import Stream

Algorithm = Literal["one_shot", "two_shot", "ring"]
ONE_SHOT, TWO_SHOT, TWO_SHOT_WIRED = 16 << 10, 4 << 20, 1 << 20
"""Bytes of an array up to which each is usual. The published times of the vendor's library have their steps there: from
16 to 32 KiB, and from 4 MiB on they are those of rings. Without a switch rings are faster from 2 MiB on."""
LONG = 4
"""Rounds of a step from which on a ring has two blocks for each compute unit instead of one."""


def usual(nbytes: int, *, switched: bool = True) -> Algorithm:
    """The algorithm for an array of so many bytes: for few the one with the fewest steps, for many that of rings.

    On chips behind a switch two_shot is faster than a ring in this model, where all can send to all at once; the limit
    is that of the vendor's library. On chips joined by links of their own a ring goes over these, each used once.
    """
    if nbytes <= ONE_SHOT:
        return "one_shot"
    return "two_shot" if nbytes <= (TWO_SHOT if switched else TWO_SHOT_WIRED) else "ring"


def reference(
    arrays: npt.ArrayLike, *, algorithm: Algorithm = "two_shot", orders: Sequence[tuple[int, ...]] | None = None
) -> Array:
    """The sum of `arrays` over the first axis, the chips, to the bit; for the ring algorithm `orders` are its rings."""
    arrays = np.asarray(arrays)
    arrays = checked(arrays, len(arrays))
    if algorithm != "ring" or len(arrays) == 1:
        return total(arrays)
    n, each = arrays.shape[1], PIECE // arrays.dtype.itemsize
    found = np.empty(n, arrays.dtype)
    orders = [tuple(range(len(arrays)))] if orders is None else orders
    for first, unit, count in ((0, each, n // each), (n // each * each, 1, n % each)):
        for order, part in zip(orders, shares(count, len(orders)), strict=True):
            for position, chunk in enumerate(shares(part.stop - part.start, len(order))):
                begin = first + (part.start + chunk.start) * unit
                where = slice(begin, begin + (chunk.stop - chunk.start) * unit)
                found[where] = _around(arrays[:, where], order[position:] + order[:position])
    return found


def _around(arrays: Array, order: tuple[int, ...]) -> Array:
    """A chunk's way: every chip of the order adds its own numbers, and rounds."""
    with np.errstate(all="ignore"):
        partial = arrays[order[0]]
        for chip in order[1:]:
            if arrays.dtype == np.int32:
                partial = partial + arrays[chip]
            else:
                partial = rounded(canonical(f32(partial) + f32(arrays[chip])), arrays.dtype)
    return partial


def launch(
    pod: Pod,
    arrays: npt.ArrayLike,
    *,
    algorithm: Algorithm = "two_shot",
    orders: Sequence[tuple[int, ...]] | None = None,
    grid: int | None = None,
    block: int = 256,
) -> Array:
    """The sum of `arrays`, chips x n, on each chip of the pod: chips x n, in the type of the arrays.

    Types are f32, i32, f16 and bf16. The ring algorithm takes the rings that suit the pod's topology unless `orders`
    says which. `block` is a multiple of 32, a grid of the ring algorithm one of the number of rings.
    """
    arrays = checked(arrays, len(pod.chips))
    how = partial(run, algorithm=algorithm, orders=orders, grid=grid, block=block)
    return collected(pod, arrays, arrays.shape[1:], how)


def run(
    group: Group,
    source: SymmetricBuffer,
    target: SymmetricBuffer,
    *,
    algorithm: Algorithm = "two_shot",
    orders: Sequence[tuple[int, ...]] | None = None,
    grid: int | None = None,
    block: int = 256,
    stream: PerChip[Stream] | None = None,
) -> None:
    """The same for arrays that are on the chips already, n elements on each, which do not overlap."""
    if algorithm not in get_args(Algorithm):
        raise ValueError(f"the algorithm is {', '.join(get_args(Algorithm))}, not {algorithm!r}")
    n, chips = source.shape[0], group.chips
    work = group.work(n, source.dtype)
    if algorithm != "ring" or chips == 1:
        shot = "one_shot" if algorithm == "ring" else algorithm
        grid = grid or group.blocks(work if shot == "one_shot" else -(-work // chips), block=block)
        kernel = f"all_reduce_{shot}_{type_name(source.dtype)}"
        group.launch("all_reduce", kernel, n, source, target, grid=grid, block=block, stream=stream)
        return
    orders = rings(group.pod.icn.topology) if orders is None else orders
    tables = group.array(ring_tables(orders), "rings")
    grid = grid or ring_grid(group, -(-work // chips), len(orders), block)
    if grid % len(orders):
        raise ValueError(f"a grid for {len(orders)} rings is a multiple of that, not {grid}")
    kernel, arguments = f"all_reduce_ring_{type_name(source.dtype)}", (source, target, tables, len(orders))
    marks = 2 * chips - 1
    group.launch("all_reduce", kernel, n, *arguments, grid=grid, block=block, marks=marks, stream=stream)


def ring_grid(group: Group, work: int, count: int, block: int) -> int:
    """A grid for `count` rings with so many pieces a step all together: a block for each compute unit, or two."""
    grid = group.blocks(work, each=ROUND, unit=count, block=block)
    return 2 * grid if work >= LONG * ROUND * block * grid else grid
