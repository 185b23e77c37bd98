"""AIU copies: cubes of a tensor moved row by row, compiled apart from the core, which calls these by address.

A copy's descriptor and position become a TILE when it is issued (`tiles`): whatever the form, a walk over rows of the
tensor (`tile_rows`). It is walked once to check every row, once to move the data, and under late timing once more to
poison where that will go.
"""

from __future__ import annotations

from .core import HELD
from .observed import COPIES, complete_oldest, settle_conflicts
from .pending import KEPT_HOST, PENDING_SIZE, enqueue, place_in_queue, place_of_spare, queue_of
from .primitives import copy, launch_at, pending_at, queue_at, tile_at, warp_at, write64
from .resolve import ADDRESS
from .state import OUTSTANDING, TILE
from .tile_rows import CHECK, EVERY_LANE, MOVE, POISONED, walk
from .tiles import make_tile

TILE_SIZE = TILE.itemsize


def copy_cube(base: int, record_address: int) -> int:
    """The fast build: a copy is issued, checked and done. 0, or a published exception code."""
    code = prepare(base, record_address, base + ADDRESS)
    return walk(base, record_address, base + ADDRESS, MOVE) if code == 0 else code


def issue_cube(base: int, record_address: int) -> int:
    """Where others may be outstanding: under late timing the copy waits in the queue of its group. Or HELD.

    The warp's addresses are then, for observers: the bounds of what is copied in global memory, and those in TSM.
    """
    code = prepare(base, record_address, base + ADDRESS)
    if code != 0:
        return code
    tile = tile_at(base + ADDRESS)
    low, high, to_low, to_high = tile.low, tile.high, tile.tsm, tile.tsm + tile.reserved
    code = issue_prepared(base, record_address)
    if code == 0:
        write64(base + ADDRESS, low)
        write64(base + ADDRESS + 8, high)
        write64(base + ADDRESS + 16, to_low)
        write64(base + ADDRESS + 24, to_high)
    return code


def issue_prepared(base: int, record_address: int) -> int:
    """Do a copy whose TILE is in the warp, or put it in its queue. 0 or HELD."""
    launch = launch_at(warp_at(base).launch)
    if launch.late == 0 and warp_at(base).outstanding == 0:
        return walk(base, record_address, base + ADDRESS, MOVE)
    queue, spare = queue_at(queue_of(base, COPIES)), place_of_spare(base)
    keep_cube(base, record_address, spare)
    if queue.count == OUTSTANDING and complete_oldest(base, COPIES) == HELD:
        return HELD
    if settle_conflicts(base, spare) == HELD:
        return HELD
    if launch.late == 0:
        return walk(base, record_address, spare + KEPT_HOST, MOVE)
    place = place_in_queue(base, COPIES, queue.count)
    copy(place, spare, PENDING_SIZE)
    pending_at(place).group = queue.groups
    enqueue(base, COPIES)
    if tile_at(place + KEPT_HOST).out == 0:
        walk(base, record_address, place + KEPT_HOST, POISONED)
    return 0


def move_cube(base: int, tile_address: int) -> int:
    """A copy that was issued earlier."""
    return walk(base, 0, tile_address, MOVE)


def keep_cube(base: int, record_address: int, place: int) -> None:
    """Put the TILE in the warp into a PENDING."""
    entry, tile = pending_at(place), tile_at(base + ADDRESS)
    entry.record, entry.returned, entry.cube, entry.mask = record_address, 0, 1, EVERY_LANE
    entry.remote, entry.parts = 0, 0
    entry.low, entry.high = tile.low, tile.high
    entry.to_low, entry.to_high = tile.tsm, tile.tsm + tile.reserved
    copy(place + KEPT_HOST, base + ADDRESS, TILE_SIZE)


def prepare(base: int, record_address: int, tile_address: int) -> int:
    """Make the TILE of a copy and check it and all its rows: 0, or a published exception code."""
    code = make_tile(base, record_address, tile_address)
    return walk(base, record_address, tile_address, CHECK) if code == 0 else code
