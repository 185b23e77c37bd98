"""One outstanding operation of a warp: kept in a PENDING when it is issued, moved or handed out later.

Compiled together with `observed`, which has the queues.
"""

from __future__ import annotations

from ...isa.lanes import LANES
from .arithmetic import greatest, least
from .primitives import (
    call,
    info_at,
    launch_at,
    pending_at,
    queue_at,
    read32,
    read64,
    record_at,
    warp_at,
    write32,
    write64,
    write_row,
)
from .resolve import ADDRESS, HOST
from .state import (
    COUNTER_COUNT,
    EMSK_ROW,
    FIRST_PENDING,
    INFO,
    OUTSTANDING,
    PENDING,
    POISON,
    QUEUE_SIZE,
    RECORD_SIZE,
    ROW,
    SPARE,
    WARP,
)
from .structs import offset_of

INFO_SIZE, PENDING_SIZE = INFO.itemsize, PENDING.itemsize
KEPT_HOST, KEPT_ADDRESS = offset_of(PENDING, "host"), offset_of(PENDING, "address")
KEPT_TO, KEPT_COUNTS = offset_of(PENDING, "to"), offset_of(PENDING, "counts")
TO, COUNTS = offset_of(WARP, "to"), offset_of(WARP, "counts")


def info_of(base: int, record_address: int) -> int:
    """The INFO of a record."""
    launch = launch_at(warp_at(base).launch)
    return launch.infos + (record_address - launch.program) // RECORD_SIZE * INFO_SIZE


def queue_of(base: int, counter: int) -> int:
    """The QUEUE of a counter."""
    return warp_at(base).queues + counter * QUEUE_SIZE


def place_in_queue(base: int, counter: int, turn: int) -> int:
    """The PENDING that is `turn` behind the oldest in a counter's queue."""
    number = (queue_at(queue_of(base, counter)).head + turn) % OUTSTANDING
    return warp_at(base).queues + FIRST_PENDING + (number * COUNTER_COUNT + counter) * PENDING_SIZE


def place_of_spare(base: int) -> int:
    """A PENDING beside the queues, for an access that waits while another completes."""
    return warp_at(base).queues + SPARE


def enqueue(base: int, counter: int) -> None:
    """What stands behind a counter's queue is part of it."""
    queue_at(queue_of(base, counter)).count += 1
    warp_at(base).outstanding += 1


def dequeue(base: int, counter: int) -> None:
    """The oldest operation of a counter is outstanding no more."""
    queue = queue_at(queue_of(base, counter))
    queue.count -= 1
    queue.head = (queue.head + 1) % OUTSTANDING if queue.count > 0 else 0  # a short queue stays in few pages
    warp_at(base).outstanding -= 1


def keep(base: int, place: int, record_address: int, mask: int) -> None:
    """Put the access the warp has just issued for the lanes of a mask into a PENDING."""
    entry = pending_at(place)
    info = info_at(info_of(base, record_address))
    entry.record, entry.returned, entry.cube = record_address, 0, 0
    entry.mask, entry.remote, entry.parts = mask, 0, 0
    low, high = 1 << 62, 0
    for lane in range(LANES):
        address = read64(base + ADDRESS + 8 * lane)
        write64(place + KEPT_HOST + 8 * lane, read64(base + HOST + 8 * lane))
        write64(place + KEPT_ADDRESS + 8 * lane, address)
        if entry.mask >> lane & 1:
            end = address + info.size
            low, high = least(low, address), greatest(end, high)
    entry.low, entry.high = low, high
    if info.copies:
        keep_target(base, place, info.size)


def keep_target(base: int, place: int, size: int) -> None:
    """Put where a copy goes, and how much its lanes read, into a PENDING."""
    entry = pending_at(place)
    low, high = 1 << 62, 0
    for lane in range(LANES):
        offset = read64(base + TO + 8 * lane)
        write64(place + KEPT_TO + 8 * lane, offset)
        write32(place + KEPT_COUNTS + 4 * lane, read32(base + COUNTS + 4 * lane))
        if entry.mask >> lane & 1:
            low, high = least(low, offset), greatest(offset + size, high)
    entry.to_low, entry.to_high = low, high


def restore(base: int, place: int) -> None:
    """Put the addresses of a PENDING back into the warp."""
    for lane in range(LANES):
        write64(base + HOST + 8 * lane, read64(place + KEPT_HOST + 8 * lane))
        write64(base + ADDRESS + 8 * lane, read64(place + KEPT_ADDRESS + 8 * lane))
    if info_at(info_of(base, pending_at(place).record)).copies:
        for lane in range(LANES):
            write64(base + TO + 8 * lane, read64(place + KEPT_TO + 8 * lane))
            write32(base + COUNTS + 4 * lane, read32(place + KEPT_COUNTS + 4 * lane))


def move(base: int, record_address: int, mask: int) -> None:
    """Move the data of an access, for the lanes that were active when it was issued."""
    info = info_at(info_of(base, record_address))
    if info.scalar:
        call(info.complete, base, record_address)
        return
    emsk = read32(base + EMSK_ROW)
    write_row(base + EMSK_ROW, mask)
    call(info.complete, base, record_address)
    write_row(base + EMSK_ROW, emsk)


def act(base: int, place: int, record_address: int) -> None:
    """An acquire load, or an atomic that gives back what was there: now; the result is kept until it completes."""
    entry, info = pending_at(place), info_at(info_of(base, record_address))
    move(base, record_address, entry.mask)
    row = base + record_at(record_address).operand[info.row]
    for item in range(LANES * info.words):
        write32(place + KEPT_HOST + 4 * item, read32(row + 4 * item))
    done(place)


def done(place: int) -> None:
    """A PENDING touches memory no more; completing it only hands out what it has kept."""
    entry = pending_at(place)
    entry.returned = 1
    entry.low, entry.high = 1 << 62, 0


def poison(base: int, record_address: int, mask: int) -> None:
    """Until a load completes, the lanes it will write hold poison."""
    info = info_at(info_of(base, record_address))
    for word in range(info.words):
        row = base + record_at(record_address).operand[info.row] + ROW * word
        if info.scalar:
            write_row(row, POISON & warp_at(base).lanes if row == base + EMSK_ROW else POISON)
        else:
            for lane in range(LANES):
                if mask >> lane & 1:
                    write32(row + 4 * lane, POISON)


def poison_target(base: int, place: int, size: int) -> None:
    """Until a copy completes, the bytes it goes to hold poison."""
    mask, start = pending_at(place).mask, warp_at(base).tsm
    for lane in range(LANES):
        if mask >> lane & 1:
            offset = read64(place + KEPT_TO + 8 * lane)
            word, shift = start + offset - offset % 4, 8 * (offset % 4)
            if size < 4:
                bits = (1 << 8 * size) - 1 << shift
                write32(word, read32(word) & ~bits | POISON & bits)
            else:
                for byte in range(0, size, 4):
                    write32(word + byte, POISON)
