"""Moves between registers, between the two banks, and from special registers."""

from m890.isa.registers import Register

from .integer import BOTH_WIDTHS
from .machine import EMSK, LANES, Warp, lanes_of
from .meaning import lanes, scalar_value, warp


@lanes("v.mov.{width}", width=BOTH_WIDTHS)
def vector_move(a: int) -> int:
    return a


@lanes("v.mov.alllane.b32", everywhere=True)
def move_everywhere(a: int) -> int:
    return a


@lanes("s.mov.b32")
def scalar_move(a: int) -> int:
    return a


@warp("s.mov.b64")
def scalar_move_wide(warp: Warp, d: Register, a: Register | int) -> None:
    if isinstance(a, int):
        value = a
    elif a.number == 0xD2:
        value = warp.block.launch.clock + warp.block.executed
    else:
        value = scalar_value(a.number, 2)(warp)
    warp.set_scalar(d.number, value)
    warp.set_scalar(d.number + 1, value >> 32)


def chosen_lane(warp: Warp, lane: int) -> int:
    """0x20 means the first active lane, or 0 if none is active."""
    return lane if lane < LANES else next(iter(lanes_of(warp.s[EMSK])), 0)


@warp("v.mov.v2s")
def to_scalar(warp: Warp, d: Register, a: Register, lane: int) -> None:
    warp.set_scalar(d.number, warp.v[a.number][chosen_lane(warp, lane)])


@warp("v.mov.s2v")
def to_lane(warp: Warp, d: Register, a: Register, lane: int) -> None:
    if lane == LANES and not warp.s[EMSK]:
        return
    row = warp.v[d.number][:]
    row[chosen_lane(warp, lane)] = scalar_value(a.number, 1)(warp)
    warp.v[d.number] = row


@warp("v.tid.init")
def thread_ids(warp: Warp, d: Register, a: Register) -> None:
    """Lane 0 has the id that a holds; the next ones follow it in the block."""
    first, extents = warp.s[a.number], warp.s[a.number + 1]
    x, y = extents & 0xFFF, extents >> 12 & 0xFFF
    start = (first & 0xFFF) + x * ((first >> 12 & 0xFFF) + y * (first >> 24))
    row = warp.v[d.number][:]
    for lane in lanes_of(warp.s[EMSK]):
        thread = start + lane
        row[lane] = thread % x | thread // x % y << 12 | (thread // (x * y) & 0xFF) << 24
    warp.v[d.number] = row
