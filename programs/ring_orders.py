"""Orders of the chips for ring algorithms: rings that use the links between chips best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from .pod_group import Array

if TYPE_CHECKING:
    from ..emulator.icn.topology import Topology

MOST_STEPS = 30_000
"""Of the search for rings: how often a way is made longer by a chip, at most; many times what the 810E's cards need."""

Free = dict[tuple[int, int], int]
"""Links that no ring uses yet, from one chip to another."""


@cache
def rings(topology: Topology) -> tuple[tuple[int, ...], ...]:
    """Orders of the chips for ring algorithms, which together use the links between chips best.

    Where chips are joined by links of their own, each ring passes over such links only, and all of them over as many
    different ones as a search finds; where they are not, or no ring exists, the chips go in the order of their numbers.
    """
    chips = topology.chips
    free = {(link.tail, link.head): link.count for link in topology.links if max(link.tail, link.head) < chips}
    most = min((sum(count for pair, count in free.items() if pair[0] == chip) for chip in range(chips)), default=0)
    found: list[tuple[int, ...]] = []
    steps = iter(range(MOST_STEPS))
    for first in _cycles(free, chips, steps):
        packing, left = [first], _without(free, first)
        while (more := next(_cycles(left, chips, islice(steps, MOST_STEPS // 50)), None)) is not None:
            packing.append(more)
            left = _without(left, more)
        found = max(found, packing, key=len)
        if len(found) == most:
            break
    return tuple(found) or (tuple(range(chips)),)


def _cycles(free: Free, chips: int, steps: Iterator[int], way: tuple[int, ...] = (0,)) -> Iterator[tuple[int, ...]]:
    """Rings through all chips over links that are free, which begin with `way`, until there are no more `steps`."""
    if len(way) == chips:
        if chips > 1 and free.get((way[-1], 0), 0):
            yield way
        return
    here = [chip for chip in range(chips) if chip not in way and free.get((way[-1], chip), 0)]
    for chip in sorted(here, key=lambda chip: (-free[way[-1], chip], chip)):
        if next(steps, None) is None:
            return
        yield from _cycles(free, chips, steps, (*way, chip))


def _without(free: Free, ring: tuple[int, ...]) -> Free:
    """What is left of the links."""
    return {pair: count - (pair in zip(ring, ring[1:] + ring[:1], strict=True)) for pair, count in free.items()}


def ring_tables(orders: Sequence[tuple[int, ...]]) -> Array:
    """For each chip and ring: the chip behind it, that before it, its position, 0. Raises ValueError for no order."""
    chips = len(orders[0])
    tables = np.zeros((chips, len(orders), 4), np.uint32)
    for number, order in enumerate(orders):
        if sorted(order) != list(range(chips)):
            raise ValueError(f"a ring has each of {chips} chips once, not {order}")
        for place, chip in enumerate(order):
            tables[chip, number, :3] = order[(place + 1) % chips], order[place - 1], place
    return tables
