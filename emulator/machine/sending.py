"""A warp's operation on other chips' memory leaves: one request for each chip, and what is its own at once.

`resolve` leaves a host pointer for the lanes that stay at home, and 0 for those that do not. The data of a store comes
from its own handler, given places in the packet for host pointers. Compiled together with `observed` and `remote`.
"""

from __future__ import annotations

from ...isa.lanes import LANES
from .core import HELD
from .pending import KEPT_HOST, done, info_of, move, restore
from .primitives import chip_at, copy, info_at, launch_at, packet_at, pending_at, read64, record_at, warp_at, write64
from .resolve import ADDRESS, HOST
from .state import PACKET, ROW, SENT, WINDOW_BITS
from .structs import offset_of
from .wire import ATOMIC, LOAD, STORE

PACKET_SIZE = PACKET.itemsize
PACKET_ADDRESS, PACKET_DATA = offset_of(PACKET, "address"), offset_of(PACKET, "data")
EPOCH_BIT = 40
"""A tag is the launch's epoch above this bit, and below it where in the launch's queues the PENDING stands."""


def send(base: int, place: int) -> int:
    """Put what an operation asks of other chips into the outbox: 0, or HELD if there is no room for all of it."""
    entry, launch = pending_at(place), launch_at(warp_at(base).launch)
    chip, info = chip_at(launch.chip), info_at(info_of(base, entry.record))
    restore(base, place)
    away, parts = 0, 0
    for lane in range(LANES):
        if entry.mask >> lane & 1 and read64(base + HOST + 8 * lane) == 0:
            away |= 1 << lane
    left = away
    while left:
        left &= ~same_chip(base, left)
        parts += 1
    if chip.outbox_count + parts > chip.outbox_capacity:
        launch.held += 1
        return HELD
    entry.remote, entry.parts, entry.warp = SENT, parts, base
    loads = info.store == 0
    done(place)
    if loads:
        entry.returned = 0
    act_at_home(base, place, entry.mask & ~away)
    while away:
        part = same_chip(base, away)
        away &= ~part
        pack(base, place, chip.outbox + chip.outbox_count * PACKET_SIZE, part)
        chip.outbox_count += 1
    return 0


def same_chip(base: int, lanes: int) -> int:
    """Those of some lanes whose addresses are on the chip that the first of them asks."""
    first, found = -1, 0
    for lane in range(LANES):
        if lanes >> lane & 1:
            chip = read64(base + ADDRESS + 8 * lane) >> WINDOW_BITS
            first = chip if first < 0 else first
            found |= 1 << lane if chip == first else 0
    return found


def act_at_home(base: int, place: int, lanes: int) -> None:
    """The lanes of an operation that access their own chip: what they find is kept like what the others will give."""
    record_address = pending_at(place).record
    info = info_at(info_of(base, record_address))
    if lanes == 0:
        return
    if info.store == 0:
        for lane in range(LANES):
            if lanes >> lane & 1:
                copy(place + KEPT_HOST + info.size * lane, read64(base + HOST + 8 * lane), info.size)
        return
    for lane in range(LANES):
        if lanes >> lane & 1 == 0:
            write64(base + HOST + 8 * lane, place + KEPT_HOST)  # lanes that are off write there
    move(base, record_address, lanes)
    if info.words > 0:
        copy(place + KEPT_HOST, base + record_at(record_address).operand[info.row], ROW * info.words)


def pack(base: int, place: int, packet_address: int, lanes: int) -> None:
    """Make the request of some lanes, all for one chip."""
    entry, launch = pending_at(place), launch_at(warp_at(base).launch)
    chip, packet = chip_at(launch.chip), packet_at(packet_address)
    record, info = record_at(entry.record), info_at(info_of(base, entry.record))
    packet.src, packet.time, packet.arrival = chip.number, now(launch.chip), 0
    packet.seq, chip.seq = chip.seq, chip.seq + 1
    packet.tag = chip.epoch << EPOCH_BIT | place - launch.queues
    packet.mask, packet.size, packet.returns, packet.word = lanes, info.size, 0, 0
    packet.user, packet.overhead, packet.burst = 0, 0, 0
    asked = 0
    for lane in range(LANES):
        address = 0
        if lanes >> lane & 1:
            address = read64(base + ADDRESS + 8 * lane)
            packet.dst = (address >> WINDOW_BITS) - 1
            asked += 1
        write64(packet_address + PACKET_ADDRESS + 8 * lane, address)
    data = packet_address + PACKET_DATA
    if info.word != 0:
        packet.kind, packet.word, packet.returns = ATOMIC, info.word, info.words
        words = info.size // 4
        copy(data, base + record.operand[info.first], ROW * words)
        packet.user = asked * info.size
        if info.second >= 0:
            copy(data + ROW * words, base + record.operand[info.second], ROW * words)
            packet.user += asked * info.size
    elif info.store == 0:
        packet.kind = LOAD
    else:
        packet.kind, packet.user = STORE, asked * info.size
        for lane in range(LANES):
            write64(base + HOST + 8 * lane, data + info.size * lane)
        move(base, entry.record, lanes)


def now(chip_address: int) -> int:
    """The modelled time of what a chip sends: that of the border before, and of the instructions since."""
    chip = chip_at(chip_address)
    done_since = chip.quantum - launch_at(chip.launch).quota
    return chip.time + done_since * chip.quantum_ps // chip.quantum


def point_at_answers(base: int, place: int) -> None:
    """Let the handler of a load find what has been given to each lane, where it would look for it in memory."""
    info = info_at(info_of(base, pending_at(place).record))
    for lane in range(LANES):
        write64(base + HOST + 8 * lane, place + KEPT_HOST + info.size * lane)
