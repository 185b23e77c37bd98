"""Paths of a warp: sets of lanes that wait at different addresses (docs/machine.md section 3).

The running path is in the warp's pc, lanes and emsk row; the others are parked in its path arrays. The path
at the lowest address runs; paths at one address join. Compiled together with `core`.
"""

from __future__ import annotations

from .primitives import read32, warp_at, write_row
from .state import EMSK_ROW, STOP


def park(base: int) -> None:
    """Put the running path aside, able to run again."""
    warp = warp_at(base)
    place = warp.paths
    warp.path_pc[place] = warp.pc
    warp.path_lanes[place] = warp.lanes
    warp.path_emsk[place] = read32(base + EMSK_ROW)
    warp.path_waits[place] = 0
    warp.paths = place + 1


def unpark(base: int, place: int) -> None:
    """Make a parked path the running one."""
    warp = warp_at(base)
    warp.pc = warp.path_pc[place]
    warp.lanes = warp.path_lanes[place]
    write_row(base + EMSK_ROW, warp.path_emsk[place])
    remove(base, place)


def remove(base: int, place: int) -> None:
    """Close the gap of a path that is no longer parked."""
    warp = warp_at(base)
    last = warp.paths - 1
    warp.path_pc[place] = warp.path_pc[last]
    warp.path_lanes[place] = warp.path_lanes[last]
    warp.path_emsk[place] = warp.path_emsk[last]
    warp.path_waits[place] = warp.path_waits[last]
    warp.paths = last


def runnable(base: int) -> bool:
    """Whether a parked path does not wait at a barrier."""
    warp = warp_at(base)
    for place in range(warp.paths):
        if warp.path_waits[place] == 0:
            return True
    return False


def lowest(base: int, above: int) -> int:
    """The parked path that can run at the lowest address from `above` on, or -1."""
    warp = warp_at(base)
    best = -1
    for place in range(warp.paths):
        if warp.path_waits[place] == 0 and warp.path_pc[place] >= above:
            if best < 0 or warp.path_pc[place] < warp.path_pc[best]:
                best = place
    return best


def run_lowest(base: int) -> None:
    """Let the lowest parked path run, joined by all others at its address."""
    warp = warp_at(base)
    unpark(base, lowest(base, 0))
    warp.rotated = 0
    join(base)
    set_limit(base)


def join(base: int) -> None:
    """Unite the running path with the parked ones at its address."""
    warp = warp_at(base)
    for place in range(warp.paths - 1, -1, -1):  # downwards, for remove fills the gap with the last one
        if warp.path_waits[place] == 0 and warp.path_pc[place] == warp.pc:
            warp.lanes |= warp.path_lanes[place]
            write_row(base + EMSK_ROW, read32(base + EMSK_ROW) | warp.path_emsk[place])
            remove(base, place)


def set_limit(base: int) -> None:
    """Where the inner loop must stop: at the next path's address."""
    warp = warp_at(base)
    place = lowest(base, 0)
    warp.limit = STOP if place < 0 or warp.rotated else warp.path_pc[place]


def reach(base: int) -> None:
    """After some instructions of the running path: join paths it has reached, let a lower one run."""
    warp = warp_at(base)
    before = warp.paths
    join(base)
    if warp.paths != before and warp.rotated:
        park(base)
        run_lowest(base)
    elif not warp.rotated:
        place = lowest(base, 0)
        if place >= 0 and warp.path_pc[place] < warp.pc:
            park(base)
            run_lowest(base)
    if warp.paths == 0:
        warp.spin = 0
    set_limit(base)


def rotate(base: int) -> None:
    """The running path made no progress for long: the next higher one runs for as many instructions."""
    warp = warp_at(base)
    here = warp.pc
    place = lowest(base, here + 1)
    if place < 0:
        place = lowest(base, 0)
    warp.spin = 0
    if place < 0:
        return
    park(base)
    unpark(base, place)
    warp.rotated = 1
    set_limit(base)


def drop_lanes(base: int) -> None:
    """The active lanes end, or all of the path if none is active, and leave others of the warp."""
    warp = warp_at(base)
    emsk = read32(base + EMSK_ROW)
    gone = emsk if emsk != 0 else warp.lanes
    warp.live = warp.live & ~gone
    warp.lanes = warp.lanes & ~gone
    warp.spin = 0
    write_row(base + EMSK_ROW, 0)
    if warp.lanes == 0 and runnable(base):
        run_lowest(base)


def waits(base: int) -> bool:
    """Whether lanes of the warp wait at a barrier."""
    warp = warp_at(base)
    for place in range(warp.paths):
        if warp.path_waits[place] != 0:
            return True
    return False


def waits_elsewhere(base: int) -> bool:
    """Whether lanes of the warp wait at another barrier instruction than the one that ends at the warp's pc."""
    warp = warp_at(base)
    for place in range(warp.paths):
        if warp.path_waits[place] != 0 and warp.path_pc[place] != warp.pc:
            return True
    return False


def wake_all(base: int) -> None:
    """The barrier is open: every path that waited can run again."""
    warp = warp_at(base)
    for place in range(warp.paths):
        warp.path_waits[place] = 0
    run_lowest(base)
