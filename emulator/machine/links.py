"""The packet loop of the ICN: when each packet passes each link, compiled apart from the core.

A link takes what comes to it in the order in which it comes, one after the other. So packets are moved from node to
node in the order of time, with a heap of those under way. What has yet to be sent can reach a node no sooner than
`before[node]` after it is sent: events before `until + before[node]` are final, whatever is sent later. Hence the
heap is ordered by time less `before`, and the result does not depend on when packets are injected.
"""

from __future__ import annotations

from .arithmetic import greatest
from .flights import FLIGHT, LINK, PAIR
from .primitives import copy, flight_at, icn_at, link_at, packet_at, pair_at, read64, write64
from .wire import ATOMIC, COPY, LOAD, STORE

FLIGHT_SIZE, LINK_SIZE, PAIR_SIZE = FLIGHT.itemsize, LINK.itemsize, PAIR.itemsize
ENTRY = 24
"""Bytes of an entry of the heap: time less `before`, rank, number of the flight."""
NEVER = 1 << 62
SEQUENCE_BITS = 44
DRAW_BITS = 31
MASK = (1 << DRAW_BITS) - 1

DONE, CHANGE, NO_PATH, RETRIES_EXHAUSTED = 0, 1, 2, 3
"""Why `run` returns: nothing left to do, a change of `icn.link` is due, `icn.flight` cannot go on."""


def begin(address: int, packets: int, count: int) -> int:
    """Make flights of PACKETs, for which there is room; one that is older than `until` counts as sent then."""
    icn = icn_at(address)
    for turn in range(count):
        icn.free_count -= 1
        number = read64(icn.free + 8 * icn.free_count)
        place = icn.packets + number * icn.packet_size
        copy(place, packets + turn * icn.packet_size, icn.packet_size)
        packet, flight = packet_at(place), flight_at(icn.flights + number * FLIGHT_SIZE)
        flight.head = flight.tail = greatest(packet.time, icn.until)
        flight.node = flight.src = packet.src
        flight.dst, flight.order, flight.next = packet.dst, -1, -1
        flight.rank = (packet.src << SEQUENCE_BITS) + packet.seq
        dress(address, number)
        push(address, flight.head, flight.rank, number)
    return 0


def dress(address: int, number: int) -> None:
    """What a flight is on a link: packets of the link, bytes of data and others."""
    icn = icn_at(address)
    packet, flight = packet_at(icn.packets + number * icn.packet_size), flight_at(icn.flights + number * FLIGHT_SIZE)
    longest, head = icn.line_bytes, icn.header_bytes
    if packet.burst > 0:
        packet.user, longest = packet.burst, icn.packet_bytes
    pushed = packet.kind == COPY and packet.returns == 0
    if packet.kind == LOAD or packet.kind == STORE or packet.kind == ATOMIC or pushed:
        head += icn.address_bytes
    flight.user = packet.user
    flight.packets = greatest(1, (packet.user + longest - 1) // longest)
    flight.wire = (packet.user + flight.packets * head + icn.flit_bytes - 1) // icn.flit_bytes * icn.flit_bytes
    packet.overhead = flight.wire - packet.user


def finish(address: int, order: int, target: int, count: int) -> int:
    """Give back the packets of flights that have arrived, in an order of their numbers."""
    icn = icn_at(address)
    for turn in range(count):
        number = read64(order + 8 * turn)
        place = icn.packets + number * icn.packet_size
        packet_at(place).arrival = flight_at(icn.flights + number * FLIGHT_SIZE).arrival
        copy(target + turn * icn.packet_size, place, icn.packet_size)
        write64(icn.free + 8 * icn.free_count, number)
        icn.free_count += 1
    icn.arrived_count = 0
    return 0


def run(address: int) -> int:
    """Move flights on until all events before `until` are done, or one needs Python."""
    icn = icn_at(address)
    while True:
        if icn.flight < 0:
            if icn.heap_count == 0 or read64(icn.heap) >= icn.until:
                return DONE
            icn.flight = pop(address)
        reason = enter(address, icn.flight)
        if reason != DONE:
            return reason
        icn.flight = -1


def pair_of(address: int, number: int) -> int:
    """The PAIR of a flight."""
    icn = icn_at(address)
    flight = flight_at(icn.flights + number * FLIGHT_SIZE)
    return icn.pairs + (flight.src * icn.chips + flight.dst) * PAIR_SIZE


def enter(address: int, number: int) -> int:
    """Send a flight over the next link of its way: DONE, or why not."""
    icn = icn_at(address)
    flight = flight_at(icn.flights + number * FLIGHT_SIZE)
    if flight.order < 0:
        pair = pair_at(pair_of(address, number))
        flight.order = pair.sent
        pair.sent += 1
    if flight.src == flight.dst:
        arrive(address, number, flight.tail + icn.local)
        return DONE
    route = read64(icn.routes + 8 * (flight.node * icn.chips + flight.dst))
    if route < 0:
        return NO_PATH
    link = link_at(icn.links + route * LINK_SIZE)
    icn.link = route
    if flight.head >= link.fault_time or link.packets >= link.fault_packets:
        return CHANGE
    span = time_of(flight.wire, link.rate)
    start = greatest(flight.head, greatest(link.free, flight.tail - span))
    waited, delay = start - flight.head, 0
    if link.loss > 0 or link.drops > 0:
        delay = lost_time(address, number)
        if delay < 0:
            return RETRIES_EXHAUSTED
    link.free = start + span + delay
    link.packets += flight.packets
    link.user += flight.user
    link.overhead += flight.wire - flight.user
    link.busy += span
    link.waited += waited
    link.most_waited = greatest(link.most_waited, waited)
    flight.node = link.head
    flight.head = start + delay + link.latency
    flight.tail = link.free + link.latency
    if link.head == flight.dst:
        arrive(address, number, flight.tail)
    else:
        push(address, flight.head - read64(icn.before + 8 * flight.node), flight.rank, number)
    return DONE


def time_of(count: int, rate: int) -> int:
    """Picoseconds that `count` bytes take, rounded up; femtoseconds of all of them may need more than 64 bits."""
    return count // 1000 * rate + (count % 1000 * rate + 999) // 1000


def lost_time(address: int, number: int) -> int:
    """Picoseconds a flight loses by transmissions that fail on `icn.link`; -1 if a packet fails too often.

    A packet that is lost is missed after a round trip of the link, and sent again before those behind it.
    """
    icn = icn_at(address)
    link = link_at(icn.links + icn.link * LINK_SIZE)
    flight = flight_at(icn.flights + number * FLIGHT_SIZE)
    size = (flight.wire + flight.packets - 1) // flight.packets
    failures = 0
    for _ in range(flight.packets):
        tries = 0
        while fails(address, icn.link):
            if tries == icn.retries:
                link.errors += 1
                return -1
            tries += 1
        failures += tries
    link.retries += failures
    link.overhead += failures * size
    link.busy += failures * time_of(size, link.rate)
    return failures * (time_of(size, link.rate) + 2 * link.latency)


def fails(address: int, number: int) -> bool:
    """Whether the next transmission on a link is lost."""
    icn = icn_at(address)
    link = link_at(icn.links + number * LINK_SIZE)
    if link.drops > 0:
        link.drops -= 1
        return True
    link.draws += 1
    return draw(icn.seed, number, link.draws) < link.loss


def draw(seed: int, stream: int, count: int) -> int:
    """A number of 31 bits that looks random, the same for the same arguments."""
    mixed = stirred(stirred(seed & MASK) ^ (stream & MASK))
    return stirred(stirred(mixed ^ (count & MASK)) ^ count >> DRAW_BITS)


def stirred(bits: int) -> int:
    """31 bits, each of which depends on all of those given; no product overflows (compiled, that is undefined)."""
    for _ in range(2):
        bits = ((bits ^ bits >> 16) * 0x45D9F3B + 0x1F351F35) & MASK
    return bits ^ bits >> 16


def arrive(address: int, number: int, time: int) -> None:
    """A flight has come to its end; it counts as arrived when all that its source sent there before it has."""
    icn = icn_at(address)
    flight = flight_at(icn.flights + number * FLIGHT_SIZE)
    place = pair_of(address, number)
    pair = pair_at(place)
    if icn.jitter > 0:
        time += lateness(draw(icn.seed, flight.src * icn.chips + flight.dst, flight.rank), icn.jitter)
    flight.arrival = time
    if flight.order != pair.expected:
        flight.next = pair.held
        pair.held = number
        return
    settle(address, number)
    while release(address, place):
        pass


def lateness(drawn: int, most_late: int) -> int:
    """0 to `most_late`, by the cube of what was drawn: half of all an eighth of it at most, some nearly all.

    One that is late by several latencies is overtaken by news that goes round by other chips; were all so late, it
    would not be.
    """
    part = drawn % (most_late + 1)
    return part * part // most_late * part // most_late


def settle(address: int, number: int) -> None:
    """Fix the arrival of a flight, not before that of the one before it."""
    icn = icn_at(address)
    flight = flight_at(icn.flights + number * FLIGHT_SIZE)
    pair = pair_at(pair_of(address, number))
    pair.last = flight.arrival = greatest(flight.arrival, pair.last)
    pair.expected += 1
    write64(icn.arrived + 8 * icn.arrived_count, number)
    icn.arrived_count += 1


def release(address: int, place: int) -> bool:
    """Settle the flight that a pair expects if it is among those held back."""
    icn, pair = icn_at(address), pair_at(place)
    number, behind = pair.held, -1
    while number >= 0:
        flight = flight_at(icn.flights + number * FLIGHT_SIZE)
        if flight.order == pair.expected:
            if behind < 0:
                pair.held = flight.next
            else:
                flight_at(icn.flights + behind * FLIGHT_SIZE).next = flight.next
            settle(address, number)
            return True
        number, behind = flight.next, number
    return False


# The heap.


def push(address: int, time: int, rank: int, number: int) -> None:
    """Add a flight to the heap."""
    icn = icn_at(address)
    place = icn.heap_count
    icn.heap_count += 1
    while place > 0:
        parent = (place - 1) // 2
        above = icn.heap + ENTRY * parent
        if not first(time, rank, above):
            break
        move(icn.heap + ENTRY * place, above)
        place = parent
    put(icn.heap + ENTRY * place, time, rank, number)


def pop(address: int) -> int:
    """Take the first flight from the heap."""
    icn = icn_at(address)
    found = read64(icn.heap + 16)
    icn.heap_count -= 1
    last = icn.heap + ENTRY * icn.heap_count
    time, rank, number = read64(last), read64(last + 8), read64(last + 16)
    place, child = 0, 1
    while child < icn.heap_count:
        below = icn.heap + ENTRY * child
        if child + 1 < icn.heap_count and first(read64(below + ENTRY), read64(below + ENTRY + 8), below):
            child, below = child + 1, below + ENTRY
        if first(time, rank, below):
            break
        move(icn.heap + ENTRY * place, below)
        place, child = child, 2 * child + 1
    put(icn.heap + ENTRY * place, time, rank, number)
    return found


def first(time: int, rank: int, entry: int) -> bool:
    """Whether (time, rank) comes before an entry of the heap."""
    other = read64(entry)
    return time < other or (time == other and rank < read64(entry + 8))


def move(target: int, source: int) -> None:
    """Copy an entry of the heap."""
    put(target, read64(source), read64(source + 8), read64(source + 16))


def put(entry: int, time: int, rank: int, number: int) -> None:
    """Write an entry of the heap."""
    write64(entry, time)
    write64(entry + 8, rank)
    write64(entry + 16, number)
