"""Outstanding operations of a warp (docs/machine.md section 4) and events, compiled apart from the core.

Under `late` timing an operation keeps its addresses and lanes from issue in a queue of its counter and moves
its data when a wait, a fence, a conflicting access or the warp's end completes it; until then a load's
destination holds poison. Under `eager` it completes at once, unless it is one of another chip's memory (`remote`).
The core calls these functions by address. HELD: the warp must try again when another chip has answered.
"""

from __future__ import annotations

from ...isa.addresses import COUNTERS
from ...isa.effects import Stop
from ...isa.lanes import LANES
from .core import HELD
from .pending import (
    COUNTS,
    KEPT_ADDRESS,
    KEPT_HOST,
    KEPT_TO,
    TO,
    act,
    dequeue,
    done,
    enqueue,
    info_of,
    keep,
    move,
    place_in_queue,
    place_of_spare,
    poison,
    poison_target,
    queue_of,
    restore,
)
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
)
from .resolve import ADDRESS
from .sending import point_at_answers, send
from .state import (
    ACQUIRE,
    COMMITS,
    COUNTER_COUNT,
    EMSK_ROW,
    EVENT,
    OUTSTANDING,
    RECORD_SIZE,
    RELEASE,
    SPACES,
    TO_TSM,
    UNSENT,
)
from .structs import offset_of

BITS = tuple(bit for bit, _ in COUNTERS.values())
PLACES = tuple(place.low for _, place in COUNTERS.values())
"""Bit and count field of each counter in a wait's value; a warp's queues are in the same order."""
STORES_FIRST = tuple(sorted(range(COUNTER_COUNT), key=lambda n: "ld" in list(COUNTERS)[n]))
"""The counters' numbers, those of loads last."""
EVENT_SIZE = EVENT.itemsize
EVENT_ADDRESS, EVENT_TO, EVENT_COUNTS = (offset_of(EVENT, name) for name in ("address", "to", "counts"))
PRIVATE, TSM = SPACES["private"], SPACES["tsm"]
COPY = int(Stop.COPY)
COPIES = list(COUNTERS).index("commit_group")
"""The counter of asynchronous copies, which counts groups of them."""


def access(base: int, record_address: int) -> int:
    """An access of the chip's own memory has been issued: addresses and host pointers are in the warp. 0 or HELD."""
    launch = launch_at(warp_at(base).launch)
    info = info_at(info_of(base, record_address))
    if launch.late == 0 and warp_at(base).outstanding == 0:
        call(info.complete, base, record_address)
        return 0
    place = make_room(base, record_address)
    if place == 0:
        return HELD
    if launch.late == 0:
        call(info.complete, base, record_address)
        return 0
    entry = pending_at(place)
    if info.words == 0 and info.order != 0:  # others may wait for it, so it is not left to a wait of this warp
        move(base, record_address, entry.mask)
        done(place)
        enqueue(base, info.counter)  # a wait counts it with the others
        return 0
    if info.words > 0 and (info.store != 0 or info.order & ACQUIRE):
        act(base, place, record_address)
    issued(base, place)
    return 0


def make_room(base: int, record_address: int) -> int:
    """Complete what must come before the access that the warp is issuing, and keep that.

    Where it is kept, behind its counter's queue, but not yet part of it; 0 if the warp is held.
    """
    info = info_at(info_of(base, record_address))
    queue, spare = queue_at(queue_of(base, info.counter)), place_of_spare(base)
    mask = 1 if info.scalar else read32(base + EMSK_ROW)  # now: what completes may be a load of emsk
    keep(base, spare, record_address, mask)
    if info.order & RELEASE:
        if finish(base, record_address) == HELD:
            return 0
    elif queue.count == OUTSTANDING and complete_oldest(base, info.counter) == HELD:
        return 0
    if settle_conflicts(base, spare) == HELD:
        return 0
    restore(base, spare)
    place = place_in_queue(base, info.counter, queue.count)
    keep(base, place, record_address, mask)
    return place


def issued(base: int, place: int) -> None:
    """An access kept behind its counter's queue is outstanding from now on."""
    entry = pending_at(place)
    info = info_at(info_of(base, entry.record))
    enqueue(base, info.counter)
    if info.words > 0:
        poison(base, entry.record, entry.mask)
    if info.copies:
        entry.group = queue_at(queue_of(base, info.counter)).groups
        poison_target(base, place, info.size)


def complete_oldest(base: int, counter: int) -> int:
    """Move the data of a counter's oldest operation: 0, or HELD if another chip has not answered it."""
    place = place_in_queue(base, counter, 0)
    entry = pending_at(place)
    if (entry.remote == UNSENT and send(base, place) == HELD) or entry.parts > 0:
        return HELD
    dequeue(base, counter)
    if entry.cube:
        call(launch_at(warp_at(base).launch).move_cube, base, place + KEPT_HOST)
        return 0
    info = info_at(info_of(base, entry.record))
    if entry.returned:
        row = base + record_at(entry.record).operand[info.row]
        for item in range(LANES * info.words):
            if entry.mask >> item % LANES & 1:
                write32(row + 4 * item, read32(place + KEPT_HOST + 4 * item))
        return 0
    restore(base, place)
    if entry.remote:
        point_at_answers(base, place)
    move(base, entry.record, entry.mask)
    return 0


def complete(base: int, counter: int, count: int) -> int:
    """Complete so many of a counter's oldest operations: 0, or HELD."""
    for _ in range(count):
        if complete_oldest(base, counter) == HELD:
            return HELD
    return 0


def send_oldest(base: int, counter: int, count: int) -> int:
    """Let so many of a counter's oldest operations leave for other chips, if they have not: 0, or HELD."""
    for turn in range(count):
        place = place_in_queue(base, counter, turn)
        if pending_at(place).remote == UNSENT and send(base, place) == HELD:
            return HELD
    return 0


def settle_conflicts(base: int, place: int) -> int:
    """Complete older operations that touch bytes of this one, where either of them stores: 0, or HELD."""
    for counter in range(COUNTER_COUNT):
        last = -1
        for turn in range(queue_at(queue_of(base, counter)).count):
            if conflict(base, place_in_queue(base, counter, turn), place):
                last = turn
        if send_oldest(base, counter, last + 1) == HELD or complete(base, counter, last + 1) == HELD:
            return HELD
    return 0


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
    """Complete operations until each named counter has at most its number outstanding: 0, or HELD."""
    if warp_at(base).queues == 0:
        return 0
    value = record_at(record_address).value
    if value == COMMITS:
        queue_at(queue_of(base, COPIES)).groups += 1
        return 0
    for counter in range(COUNTER_COUNT):  # all leave before the first answer is waited for
        if value >> 46 & BITS[counter]:
            most = value >> PLACES[counter] & 63
            if send_oldest(base, counter, surplus(base, counter, most)) == HELD:
                return HELD
    for counter in range(COUNTER_COUNT):
        if value >> 46 & BITS[counter]:
            most = value >> PLACES[counter] & 63
            if complete(base, counter, surplus(base, counter, most)) == HELD:
                return HELD
    return 0


def surplus(base: int, counter: int, most: int) -> int:
    """How many of a counter's operations must complete until at most so many are outstanding.

    Under eager timing the others that would count have completed before, so those that are left must complete, too.
    Copies are counted by the groups that have been committed.
    """
    queue = queue_at(queue_of(base, counter))
    if counter != COPIES:
        most = most if launch_at(warp_at(base).launch).late else 0
        return queue.count - most if queue.count > most else 0
    for turn in range(queue.count):
        if pending_at(place_in_queue(base, counter, turn)).group >= queue.groups - most:
            return turn
    return queue.count


def finish(base: int, record_address: int) -> int:
    """Complete all a warp has outstanding, stores first: one whose source is still being loaded stores poison.

    0, or HELD. Copies only at the warp's end, where no record is given: a release store does not wait for them.
    """
    if warp_at(base).queues == 0:
        return 0
    for counter in STORES_FIRST:
        if counter != COPIES or record_address == 0:
            if send_oldest(base, counter, queue_at(queue_of(base, counter)).count) == HELD:
                return HELD
    for counter in STORES_FIRST:
        if counter != COPIES or record_address == 0:
            if complete(base, counter, queue_at(queue_of(base, counter)).count) == HELD:
                return HELD
    return 0


def emit(base: int, record_address: int) -> int:
    """Append the instruction just executed to the launch's events."""
    warp = warp_at(base)
    launch = launch_at(warp.launch)
    place = launch.events + launch.event_count * EVENT_SIZE
    event = event_at(place)
    info = info_at(info_of(base, record_address))
    size = info.size
    event.pc = (record_address - launch.program) // RECORD_SIZE * 8
    event.block, event.cu, event.warp = launch.event_block, launch.event_cu, warp.index
    event.emsk, event.size, event.stop = launch.event_emsk, size, launch.event_stop
    event.barrier, event.expected = launch.event_barrier, launch.event_expected
    if size > 0 or event.stop == COPY:
        for lane in range(LANES):
            write64(place + EVENT_ADDRESS + 8 * lane, read64(base + ADDRESS + 8 * lane))
    if size > 0 and info.copies != 0:
        for lane in range(LANES):
            write32(place + EVENT_TO + 4 * lane, read64(base + TO + 8 * lane))
            write32(place + EVENT_COUNTS + 4 * lane, read32(base + COUNTS + 4 * lane))
    launch.event_count += 1
    return 0
