"""Accesses to other chips' memory: issued here, served there, answered back. Compiled apart from the core.

A warp's operation stays in the queue of its counter until all the chips it asks have answered (docs/machine.md section
4). It leaves when it is issued; under late timing one without result leaves when something completes it.
"""

from __future__ import annotations

from ...isa.lanes import LANES
from .core import HELD, STOP_COMPILE
from .observed import issued, make_room
from .pending import KEPT_HOST, info_of, restore
from .primitives import (
    call,
    chip_at,
    copy,
    entry_at,
    info_at,
    launch_at,
    packet_at,
    pending_at,
    range_at,
    read32,
    read64,
    warp_at,
    write32,
    write64,
    write_row,
)
from .resolve import HOST, range_among
from .sending import EPOCH_BIT, PACKET_ADDRESS, PACKET_DATA, PACKET_SIZE, send
from .state import (
    ACQUIRE,
    ATOMIC_ENTRY,
    EMSK_ROW,
    POISON,
    READ,
    READY,
    ROW,
    UNSENT,
    WAITING,
    WRITE,
    vector_row,
)
from .wire import ACK, ATOMIC, COPY, DATA, HEADER_BYTES, LOAD, STORE

ENTRY_SIZE = ATOMIC_ENTRY.itemsize
OPERANDS, MOST_OPERANDS = vector_row(0), 4
RESULT = vector_row(MOST_OPERANDS)
"""Where an ATOMIC of others finds its operands on the scratch warp, and leaves its result."""
SCRATCH_BYTES = RESULT + 2 * ROW
SERVED, UNKNOWN = 0, 1
"""What became of a packet that has arrived."""


def issue(base: int, record_address: int) -> int:
    """An access of which some lanes go to other chips' memory has been issued: 0, HELD, or STOP + COMPILE.

    `resolve` has left the addresses in the warp. An acquire holds the warp until it is answered, so that nothing that
    comes behind it happens before.
    """
    warp = warp_at(base)
    launch, info = launch_at(warp.launch), info_at(info_of(base, record_address))
    if info.complete == 0:
        return STOP_COMPILE
    place = warp.acquires
    if place == 0:
        place = make_room(base, record_address)
        if place == 0:
            return HELD
        pending_at(place).remote = UNSENT
        leaves = launch.late == 0 or info.words > 0 or info.order != 0 or info.copies != 0
        if leaves and send(base, place) == HELD:
            return HELD
        if info.words > 0 and info.order & ACQUIRE:
            warp.acquires = place
            return HELD
        if not leaves:
            restore(base, place)  # what observers are shown
    elif pending_at(place).parts > 0:
        return HELD
    warp.acquires = 0
    issued(base, place)
    return 0


# What arrives.


def take(chip_address: int, packet_address: int) -> int:
    """A packet has arrived: a request acts on this chip's memory and is answered, an answer goes to who waits for it.

    SERVED, or UNKNOWN: the chip must learn the ATOMIC first.
    """
    chip, packet = chip_at(chip_address), packet_at(packet_address)
    if packet.kind == DATA or packet.kind == ACK:
        if packet.tag >= 0 and chip.launch != 0 and packet.tag >> EPOCH_BIT == chip.epoch:
            take_answer(chip.launch, packet_address)
        return SERVED
    entry = 0
    if packet.kind == ATOMIC:
        entry = find_atomic(chip_address, packet.word)
        if entry == 0:
            chip.unknown = packet.word
            return UNKNOWN
    serve(chip_address, packet_address, chip.outbox + chip.outbox_count * PACKET_SIZE, entry)
    chip.outbox_count += 1
    return SERVED


def take_answer(launch_address: int, packet_address: int) -> None:
    """Keep what another chip has given; once nothing is missing, the warp may go on."""
    packet, launch = packet_at(packet_address), launch_at(launch_address)
    place = launch.queues + (packet.tag & (1 << EPOCH_BIT) - 1)
    data, kept = packet_address + PACKET_DATA, place + KEPT_HOST
    entry = pending_at(place)
    entry.parts -= 1
    if packet.kind == DATA:
        size, rows = packet.size, packet.returns
        for lane in range(LANES):
            if packet.mask >> lane & 1:
                if rows == 0:
                    copy(kept + size * lane, data + size * lane, size)
                for row in range(rows):
                    write32(kept + ROW * row + 4 * lane, read32(data + ROW * row + 4 * lane))
    if entry.parts == 0:
        wake(launch_address, entry.warp)


def wake(launch_address: int, base: int) -> None:
    """A warp that waits for other chips tries its instruction again."""
    launch, warp = launch_at(launch_address), warp_at(base)
    if warp.state == WAITING:
        warp.state = READY
        launch.waiting -= 1
        launch.idle = 0


def find_atomic(chip_address: int, word: int) -> int:
    """The ATOMIC_ENTRY of a word, or 0."""
    chip = chip_at(chip_address)
    for number in range(chip.atomic_count):
        if entry_at(chip.atomics + number * ENTRY_SIZE).word == word:
            return chip.atomics + number * ENTRY_SIZE
    return 0


def serve(chip_address: int, packet_address: int, answer_address: int, entry: int) -> None:
    """Do what a request asks for and make the answer to it, as of the time at which it arrived.

    What has been freed since the request was sent reads as poison and is not written.
    """
    chip, packet, answer = chip_at(chip_address), packet_at(packet_address), packet_at(answer_address)
    copy(answer_address, packet_address, HEADER_BYTES)
    answer.src, answer.dst, answer.time, answer.arrival = chip.number, packet.src, packet.arrival, 0
    answer.seq, chip.seq = chip.seq, chip.seq + 1
    answer.user, answer.overhead, answer.burst, answer.word = 0, 0, 0, 0
    answer.kind = DATA if packet.kind == LOAD or packet.returns > 0 else ACK
    source, target = packet_address + PACKET_DATA, answer_address + PACKET_DATA
    if packet.kind == COPY:
        host = find_host(chip_address, read64(packet_address + PACKET_ADDRESS), packet.burst, WRITE)
        if host != 0:
            copy(host, packet.word, packet.burst)
        return
    if packet.kind == ATOMIC:
        act(chip_address, packet_address, answer_address, entry)
        return
    size = packet.size
    write_row(chip.scratch + RESULT, POISON)
    for lane in range(LANES):
        if packet.mask >> lane & 1:
            address = read64(packet_address + PACKET_ADDRESS + 8 * lane)
            if packet.kind == STORE:
                host = find_host(chip_address, address, size, WRITE)
                if host != 0:
                    copy(host, source + size * lane, size)
            else:  # a lane may need less than `size` bytes, and all of an aligned access lies in one page of the host
                host = find_host(chip_address, address, 1, READ)
                answer.user += size
                copy(target + size * lane, host if host != 0 else chip.scratch + RESULT, size)


def act(chip_address: int, packet_address: int, answer_address: int, entry_address: int) -> None:
    """Do an ATOMIC on the scratch warp: its operands in, the instruction's own handler, its result out."""
    chip, packet, entry = chip_at(chip_address), packet_at(packet_address), entry_at(entry_address)
    scratch, mask = chip.scratch, 0
    for lane in range(LANES):
        if packet.mask >> lane & 1:
            address = read64(packet_address + PACKET_ADDRESS + 8 * lane)
            host = find_host(chip_address, address, packet.size, READ | WRITE)
            write64(scratch + HOST + 8 * lane, host)
            mask |= 1 << lane if host != 0 else 0
    write_row(scratch + EMSK_ROW, mask)
    for row in range(packet.returns):
        write_row(scratch + RESULT + ROW * row, POISON)
    copy(scratch + OPERANDS, packet_address + PACKET_DATA, MOST_OPERANDS * ROW)
    call(entry.handler, scratch, entry.record)
    if packet.returns > 0:
        copy(answer_address + PACKET_DATA, scratch + RESULT, packet.returns * ROW)
        for lane in range(LANES):
            packet_at(answer_address).user += packet.size if packet.mask >> lane & 1 else 0


def find_host(chip_address: int, address: int, size: int, rights: int) -> int:
    """The host address of some bytes of the chip's HBM, or 0 if they may not be accessed."""
    chip = chip_at(chip_address)
    found = range_among(chip.ranges, chip.range_count, address, size)
    if found == 0 or range_at(found).flags & rights != rights:
        return 0
    return address + range_at(found).delta
