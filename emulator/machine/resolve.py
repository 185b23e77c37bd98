"""Addresses: the slow path behind the bounds that each record remembers, one function per memory space.

A handler calls these by address when some lane is not where its record expects it. They check every active lane
before anything happens, leave host pointers in the warp, and fill in the fault. Private memory has the exceptions of
global memory, where the chip keeps it. Compiled apart from the core.
"""

from __future__ import annotations

from ...isa.effects import Stop
from ...isa.exceptions import (
    INVALID_PA,
    MISALIGNED,
    OUT_OF_RANGE,
    READ_DENIED,
    TSM_MISALIGNED,
    TSM_OUT_OF_RANGE,
    WRITE_DENIED,
)
from ...isa.lanes import LANES
from .arithmetic import least
from .primitives import launch_at, range_at, read32, read64, record_at, warp_at, write64
from .state import COUNTED, PEER, RANGE, READ, SIZE_BITS, STOP, STOP_FAULT, STORES, UNREACHABLE, WARP, WRITE
from .structs import offset_of

STOP_REMOTE = STOP + int(Stop.REMOTE)
RANGE_SIZE = RANGE.itemsize
ADDRESS, HOST, SCRATCH = offset_of(WARP, "address"), offset_of(WARP, "host"), offset_of(WARP, "scratch")


def resolve(base: int, record_address: int, request: int, mask: int) -> int:
    """Look up the active lanes' HBM addresses; 0 and host pointers in the warp, STOP + REMOTE or STOP + FAULT.

    Lanes that are off get a scratch pointer, and those that access another chip's memory 0. What `request` is, `state`
    says beside STORES.
    """
    size, store = request & SIZE_BITS, request & STORES
    first, answer = True, 0
    for lane in range(LANES):
        if mask >> lane & 1 == 0:
            write64(base + HOST + 8 * lane, base + SCRATCH)
            continue
        address = read64(base + ADDRESS + 8 * lane)
        found = find_range(base, address, bytes_of(base, record_address, request, lane))
        code = check_access(found, address, size, store)
        if code != 0:
            return fault(base, record_address, code, request, mask)
        place = range_at(found)
        if place.flags & PEER:
            write64(base + HOST + 8 * lane, 0)
            answer = STOP_REMOTE
            continue
        write64(base + HOST + 8 * lane, address + place.delta)
        if first:
            record = record_at(record_address)
            record.lo, record.count, record.delta = place.lo, place.hi - place.lo - size + 1, place.delta
            first = False
    return answer


def bytes_of(base: int, record_address: int, request: int, lane: int) -> int:
    """How many bytes a lane accesses."""
    size, place = request & SIZE_BITS, request // COUNTED
    if place == 0:
        return size
    count = read32(base + record_at(record_address).operand[place - 1] + 4 * lane)
    return least(count, size)


def find_range(base: int, address: int, size: int) -> int:
    """The RANGE that holds the whole access, or 0."""
    launch = launch_at(warp_at(base).launch)
    return range_among(launch.ranges, launch.range_count, address, size)


def range_among(ranges: int, count: int, address: int, size: int) -> int:
    """The one of so many RANGEs, sorted by address, that holds `size` bytes at an address, or 0."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if range_at(ranges + middle * RANGE_SIZE).hi <= address:
            low = middle + 1
        else:
            high = middle
    if low == count:
        return 0
    found = ranges + low * RANGE_SIZE
    place = range_at(found)
    return found if address >= place.lo and address <= place.hi - size else 0


def check_access(found: int, address: int, size: int, store: int) -> int:
    """The published exception code of one access, or 0 if it is allowed."""
    if address & (size - 1):
        return MISALIGNED
    if found == 0:
        return OUT_OF_RANGE
    flags = range_at(found).flags
    if flags & UNREACHABLE:
        return INVALID_PA
    if store and flags & WRITE == 0:
        return WRITE_DENIED
    if not store and flags & READ == 0:
        return READ_DENIED
    return 0


def fault(base: int, record_address: int, code: int, request: int, mask: int) -> int:
    """Record a fault of the lanes that have this code, nothing having changed."""
    size, store, lanes = request & SIZE_BITS, request & STORES, 0
    for lane in range(LANES):
        if mask >> lane & 1:
            address = read64(base + ADDRESS + 8 * lane)
            found = find_range(base, address, bytes_of(base, record_address, request, lane))
            if check_access(found, address, size, store) == code:
                lanes |= 1 << lane
    warp = warp_at(base)
    warp.fault, warp.fault_lanes, warp.fault_pc = code, lanes, record_address
    return STOP_FAULT


def resolve_tsm(base: int, record_address: int, request: int, mask: int) -> int:
    """Check the active lanes' TSM offsets; 0 and host pointers in the warp, or STOP + FAULT."""
    warp = warp_at(base)
    return resolve_own(base, record_address, request, mask, warp.tsm, warp.tsm_size, -1)


def resolve_private(base: int, record_address: int, request: int, mask: int) -> int:
    """Check the active lanes' offsets in their private memory; 0 and host pointers in the warp, or STOP + FAULT."""
    warp = warp_at(base)
    return resolve_own(base, record_address, request, mask, warp.private, warp.private_size, warp.private_size)


def resolve_own(base: int, record_address: int, request: int, mask: int, start: int, bytes_: int, stride: int) -> int:
    """Check offsets in a memory of `bytes_` bytes that lies at `start`, `stride` further for each lane; -1 is TSM."""
    size, code, lanes = request & SIZE_BITS, 0, 0
    misaligned, outside = MISALIGNED, OUT_OF_RANGE
    if stride < 0:
        misaligned, outside, stride = TSM_MISALIGNED, TSM_OUT_OF_RANGE, 0
    for lane in range(LANES):
        if mask >> lane & 1 == 0:
            write64(base + HOST + 8 * lane, base + SCRATCH)
            continue
        offset = read64(base + ADDRESS + 8 * lane)
        bad = misaligned if offset & (size - 1) else 0
        bad = bad if offset >= 0 and offset <= bytes_ - size else outside
        if bad != 0 and code == 0:
            code = bad
        if bad == code and bad != 0:
            lanes |= 1 << lane
        write64(base + HOST + 8 * lane, start + stride * lane + offset)
    if code != 0:
        warp = warp_at(base)
        warp.fault, warp.fault_lanes, warp.fault_pc = code, lanes, record_address
        return STOP_FAULT
    return 0
