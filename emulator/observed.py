"""The observed build: outstanding operations (docs/machine.md section 4) and events, compiled apart from the core.

Under `late` timing an operation keeps its addresses and lanes from issue in a queue of its counter and moves
its data when a wait, a fence, a conflicting access or the warp's end completes it; until then a load's
destination holds poison. Under `eager` it completes at once. The core calls these functions by address.
"""

from __future__ import annotations

from ..isa.addresses import COUNTERS
from ..isa.lanes import LANES
from .core import RECORD_SIZE, least
from .primitives import (
    call,
    event_at,
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
    ACQUIRE,
    COMMITS,
    COUNTER_COUNT,
    EMSK_ROW,
    EVENT,
    INFO,
    OUTSTANDING,
    PENDING,
    POISON,
    QUEUE,
    QUEUE_BYTES,
    RELEASE,
    ROW,
    SPACES,
    TO_TSM,
    WARP,
    offset_of,
)

BITS = tuple(bit for bit, _ in COUNTERS.values())
PLACES = tuple(place.low for _, place in COUNTERS.values())
"""Bit and count field of each counter in a wait's value; a warp's queues are in the same order."""
STORES_FIRST = tuple(sorted(range(COUNTER_COUNT), key=lambda n: "ld" in list(COUNTERS)[n]))
"""The counters' numbers, those of loads last."""
INFO_SIZE, PENDING_SIZE, QUEUE_SIZE, EVENT_SIZE = INFO.itemsize, PENDING.itemsize, QUEUE.itemsize, EVENT.itemsize
KEPT_HOST, KEPT_ADDRESS = offset_of(PENDING, "host"), offset_of(PENDING, "address")
KEPT_TO, KEPT_COUNTS = offset_of(PENDING, "to"), offset_of(PENDING, "counts")
TO, COUNTS = offset_of(WARP, "to"), offset_of(WARP, "counts")
EVENT_ADDRESS = offset_of(EVENT, "address")
PRIVATE, TSM = SPACES["private"], SPACES["tsm"]
COPIES = list(COUNTERS).index("commit_group")
"""The counter of asynchronous copies, which counts groups of them."""


def info_of(base: int, record_address: int) -> int:
    """The INFO of a record."""
    launch = launch_at(warp_at(base).launch)
    return launch.infos + (record_address - launch.program) // RECORD_SIZE * INFO_SIZE


def access(base: int, record_address: int) -> int:
    """An access has been issued: its addresses and host pointers are in the warp."""
    warp = warp_at(base)
    launch = launch_at(warp.launch)
    info = info_at(info_of(base, record_address))
    if launch.late == 0:
        call(info.complete, base, record_address)
        return 0
    queue_address = warp.queues + info.counter * QUEUE_BYTES
    queue = queue_at(queue_address)
    mask = 1 if info.scalar else read32(base + EMSK_ROW)  # now: what completes may be a load of emsk
    keep(base, place_of_spare(base), record_address, mask)
    if info.order & RELEASE:
        finish(base, record_address)
    elif queue.count == OUTSTANDING:
        complete_oldest(base, info.counter)
    restore(base, place_of_spare(base))
    place = queue_address + QUEUE_SIZE + (queue.head + queue.count) % OUTSTANDING * PENDING_SIZE
    keep(base, place, record_address, mask)
    settle_conflicts(base, place)
    restore(base, place)
    if info.words == 0 and info.order != 0:  # others may wait for it, so it is not left to a wait of this warp
        move(base, record_address, mask)
        done(place)
        queue.count += 1  # a wait counts it with the others
        return 0
    if info.words > 0 and (info.store != 0 or info.order & ACQUIRE):
        act(base, place, record_address)
    queue.count += 1
    if info.words > 0:
        poison(base, record_address, mask)
    if info.copies:
        pending_at(place).group = queue.groups
        poison_target(base, place, info.size)
    return 0


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


def place_of_spare(base: int) -> int:
    """A PENDING beside the queues, for an access that waits while another completes."""
    return warp_at(base).queues + COUNTER_COUNT * QUEUE_BYTES


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


def keep(base: int, place: int, record_address: int, mask: int) -> None:
    """Put the access the warp has just issued for the lanes of a mask into a PENDING."""
    entry = pending_at(place)
    info = info_at(info_of(base, record_address))
    entry.record, entry.returned, entry.cube = record_address, 0, 0
    entry.mask = mask
    low, high = 1 << 62, 0
    for lane in range(LANES):
        address = read64(base + ADDRESS + 8 * lane)
        write64(place + KEPT_HOST + 8 * lane, read64(base + HOST + 8 * lane))
        write64(place + KEPT_ADDRESS + 8 * lane, address)
        if entry.mask >> lane & 1:
            end = address + info.size
            low, high = least(low, address), end if end > high else high
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
            low, high = least(low, offset), offset + size if offset + size > high else high
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


def complete_oldest(base: int, counter: int) -> None:
    """Move the data of a counter's oldest operation."""
    queue_address = warp_at(base).queues + counter * QUEUE_BYTES
    queue = queue_at(queue_address)
    place = queue_address + QUEUE_SIZE + queue.head * PENDING_SIZE
    entry = pending_at(place)
    queue.head = (queue.head + 1) % OUTSTANDING
    queue.count -= 1
    if entry.cube:
        call(launch_at(warp_at(base).launch).move_cube, base, place + KEPT_HOST)
        return
    info = info_at(info_of(base, entry.record))
    if entry.returned:
        row = base + record_at(entry.record).operand[info.row]
        for item in range(LANES * info.words):
            if entry.mask >> item % LANES & 1:
                write32(row + 4 * item, read32(place + KEPT_HOST + 4 * item))
        return
    restore(base, place)
    move(base, entry.record, entry.mask)


def settle_conflicts(base: int, place: int) -> None:
    """Complete older operations that touch bytes of this one, where either of them stores."""
    for counter in range(COUNTER_COUNT):
        queue_address = warp_at(base).queues + counter * QUEUE_BYTES
        queue = queue_at(queue_address)
        last = -1
        for turn in range(queue.count):
            old_place = queue_address + QUEUE_SIZE + (queue.head + turn) % OUTSTANDING * PENDING_SIZE
            if conflict(base, old_place, place):
                last = turn
        for _ in range(last + 1):
            complete_oldest(base, counter)


def conflict(base: int, old_place: int, new_place: int) -> bool:
    """Whether an older operation must complete before a newer one acts.

    A load from bytes that a copy is to write does not complete it: it finds poison, for only a wait orders the two.
    """
    old, new = pending_at(old_place), pending_at(new_place)
    a, b = info_at(info_of(base, old.record)), info_at(info_of(base, new.record))
    if a.space == b.space and (a.store != 0 or b.store != 0):
        if overlap(old_place, KEPT_ADDRESS, a.size, new_place, KEPT_ADDRESS, b.size, a.space == PRIVATE):
            return True
    if b.copies != 0 and a.space == TSM and (a.store != 0 or b.copies == TO_TSM):
        return overlap(old_place, KEPT_ADDRESS, a.size, new_place, KEPT_TO, b.size, False)
    if a.copies != 0 and b.space == TSM and b.store != 0:
        return overlap(old_place, KEPT_TO, a.size, new_place, KEPT_ADDRESS, b.size, False)
    if a.copies != 0 and b.copies == TO_TSM:
        return overlap(old_place, KEPT_TO, a.size, new_place, KEPT_TO, b.size, False)
    return False


def overlap(a_place: int, a_kept: int, a_size: int, b_place: int, b_kept: int, b_size: int, own: bool) -> bool:
    """Whether some active lane of one touches a byte of some (if `own`, the same) active lane of the other.

    `a_kept` and `b_kept` say which addresses of the PENDINGs to compare. AIU copies are told by their bounds alone.
    """
    a, b = pending_at(a_place), pending_at(b_place)
    a_low, a_high = (a.to_low, a.to_high) if a_kept == KEPT_TO else (a.low, a.high)
    b_low, b_high = (b.to_low, b.to_high) if b_kept == KEPT_TO else (b.low, b.high)
    if a_low >= b_high or b_low >= a_high:
        return False
    if a.cube or b.cube:
        return True
    for left in range(LANES):
        if a.mask >> left & 1:
            first = read64(a_place + a_kept + 8 * left)
            for right in range(LANES):
                second = read64(b_place + b_kept + 8 * right)
                meet = first < second + b_size and second < first + a_size
                if meet and b.mask >> right & 1 and (left == right or not own):
                    return True
    return False


def wait(base: int, record_address: int) -> int:
    """Complete operations until each named counter has at most its number outstanding."""
    if warp_at(base).queues == 0:
        return 0
    value = record_at(record_address).value
    if value == COMMITS:
        queue_at(warp_at(base).queues + COPIES * QUEUE_BYTES).groups += 1
        return 0
    for counter in range(COUNTER_COUNT):
        if value >> 46 & BITS[counter]:
            most = value >> PLACES[counter] & 63
            if counter == COPIES:
                complete_groups(base, most)
                continue
            while queue_at(warp_at(base).queues + counter * QUEUE_BYTES).count > most:
                complete_oldest(base, counter)
    return 0


def complete_groups(base: int, most: int) -> None:
    """Complete the copies of all groups that have been committed but the last `most`."""
    queue_address = warp_at(base).queues + COPIES * QUEUE_BYTES
    queue = queue_at(queue_address)
    while queue.count > 0:
        oldest = pending_at(queue_address + QUEUE_SIZE + queue.head * PENDING_SIZE)
        if oldest.group >= queue.groups - most:
            return
        complete_oldest(base, COPIES)


def finish(base: int, record_address: int) -> int:
    """Complete all a warp has outstanding, stores first: one whose source is still being loaded stores poison.

    Copies only at the warp's end, where no record is given: a release store does not wait for them.
    """
    queues = warp_at(base).queues
    if queues == 0:
        return 0
    for counter in STORES_FIRST:
        if counter == COPIES and record_address != 0:
            continue
        while queue_at(queues + counter * QUEUE_BYTES).count > 0:
            complete_oldest(base, counter)
    return 0


def emit(base: int, record_address: int) -> int:
    """Append the instruction just executed to the launch's events."""
    warp = warp_at(base)
    launch = launch_at(warp.launch)
    place = launch.events + launch.event_count * EVENT_SIZE
    event = event_at(place)
    size = info_at(info_of(base, record_address)).size
    event.pc = (record_address - launch.program) // RECORD_SIZE * 8
    event.block, event.cu, event.warp = launch.event_block, launch.event_cu, warp.index
    event.emsk, event.size, event.stop = launch.event_emsk, size, launch.event_stop
    if size > 0:
        for lane in range(LANES):
            write64(place + EVENT_ADDRESS + 8 * lane, read64(base + ADDRESS + 8 * lane))
    launch.event_count += 1
    return 0
