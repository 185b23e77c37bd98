"""A slow twin of the ICN: every packet and every link an object, events in plain order of time."""

import heapq
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from m890.emulator.machine.links import draw
from m890.emulator.machine.wire import ATOMIC, COPY, LOAD, PACKET, STORE

HEADER = np.dtype([(name, "i8") for name in PACKET.names if name not in ("address", "data")])
"""A packet without its payload."""


def packets_of(rows):
    """Rows of dicts as packets, numbered by source in the order of time."""
    made = np.zeros(len(rows), HEADER)
    sent = {}
    for packet, row in zip(made, sorted(rows, key=lambda row: row["time"]), strict=True):
        packet["kind"] = STORE
        for name, value in row.items():
            packet[name] = value
        packet["seq"] = sent[row["src"]] = sent.get(row["src"], -1) + 1
    return made


def user_bytes(packet):
    """Bytes of data: a copy's burst, or what the sender says."""
    return int(packet["burst"] or packet["user"])


def on_the_wire(packet, profile):
    """Bytes and packets of the link."""
    kind, user = int(packet["kind"]), user_bytes(packet)
    most = profile.icn_packet_bytes if packet["burst"] else profile.icn_line_bytes
    count = max(1, -(-user // most))
    asks = kind in (LOAD, STORE, ATOMIC) or (kind == COPY and not packet["returns"])
    head = profile.icn_header_bytes + (profile.icn_address_bytes if asks else 0)
    flit = profile.icn_flit_bytes
    return -(-(user + count * head) // flit) * flit, count


def ways(topology, source, target):
    """All ways with the fewest hops, as lists of nodes, by trying all that are longer and longer."""
    ahead = {}
    for link in topology.links:
        ahead.setdefault(link.tail, []).append(link.head)
    found = [[source]]
    while not any(way[-1] == target for way in found):
        found = [[*way, node] for way in found for node in ahead.get(way[-1], []) if node not in way]
        if not found:
            return []
    return [way for way in found if way[-1] == target]


def widest(topology, way):
    speed = {(link.tail, link.head): link.bandwidth for link in topology.links}
    return min((speed[pair] for pair in pairwise(way)), default=float("inf"))


@cache
def hops(topology):
    """The next node from each node to each chip it can reach."""
    return {
        (node, chip): next_node(topology, node, chip)
        for node, chip in product(range(topology.nodes), range(topology.chips))
        if node != chip and ways(topology, node, chip)
    }


def next_node(topology, node, target):
    """Where a node sends a packet: fewest hops, then the widest way, then the lowest number."""
    candidates = ways(topology, node, target)
    return min(candidates, key=lambda way: (-widest(topology, way), way[1]))[1]


class Graph(NamedTuple):
    """What is left of a topology."""

    nodes: int
    chips: int
    links: tuple


@dataclass
class Port:
    """One directed link: its state, the faults to come, and what has passed."""

    number: int
    link: object
    rate: int
    faults: list = field(default_factory=list)
    free: int = 0
    loss: float = 0.0
    drops: int = 0
    draws: int = 0
    dead: bool = False
    count: dict = field(default_factory=lambda: dict.fromkeys(("packets", "user", "overhead", "retries"), 0))

    def update(self, time):
        """Take up the faults that are due."""
        for fault in sorted(self.faults, key=lambda fault: (fault.at, fault.after)):
            if self.count["packets"] >= fault.after if fault.after else time >= round(fault.at * 1e12):
                self.faults.remove(fault)
                left = self.link.count - fault.dead
                self.dead = self.dead or fault.dead in (-1, self.link.count)
                if not self.dead:
                    self.rate = round(fault.slow * self.link.count / left * 1e15 / self.link.bandwidth)
                    self.loss, self.drops = fault.loss, self.drops + fault.drops

    def fails(self, seed):
        """Whether the next transmission is lost."""
        if self.drops:
            self.drops -= 1
            return True
        self.draws += 1
        return draw(seed, self.number, self.draws) < round(self.loss * 2**31)

    def carry(self, head, tail, wire, user, packets, seed, retries):
        """When the first and the last byte come out; None if a packet is lost too often."""
        span = -(-wire * self.rate // 1000)
        start = max(head, self.free, tail - span)
        one = -(-wire // packets)
        lost = 0
        for _ in range(packets if self.loss or self.drops else 0):
            tries = 0
            while self.fails(seed):
                tries += 1
                if tries > retries:
                    return None
            lost += tries
        delay = lost * (-(-one * self.rate // 1000) + 2 * self.link.latency)
        self.free = start + span + delay
        for name, value in (("packets", packets), ("user", user), ("overhead", wire - user + lost * one)):
            self.count[name] += value
        self.count["retries"] += lost
        return start + delay + self.link.latency, self.free + self.link.latency


def simulate(topology, profile, packets, seed=0, faults=()):
    """Arrivals in the order of the packets (or the error one met, and its source), and the ports by (tail, head)."""
    ports = {
        (link.tail, link.head): Port(number, link, round(1e15 / link.bandwidth))
        for number, link in enumerate(topology.links)
    }
    for fault in faults:
        for ends in [(fault.tail, fault.head), (fault.head, fault.tail)][: 2 if fault.both else 1]:
            ports[ends].faults.append(fault)
    graph = Graph(topology.nodes, topology.chips, topology.links)
    events = [
        (int(p["time"]), int(p["src"]), int(p["seq"]), int(p["time"]), int(p["src"]), index)
        for index, p in enumerate(packets)
    ]
    heapq.heapify(events)
    ends = [0] * len(packets)
    while events:
        head, source, sequence, tail, node, index = heapq.heappop(events)
        target = int(packets["dst"][index])
        if node == target:
            ends[index] = tail + (topology.lookahead_ps if source == target else 0)
            continue
        while True:
            if (node, target) not in hops(graph):
                return (4224, source), ports
            port = ports[node, hops(graph)[node, target]]
            port.update(head)
            if not port.dead:
                break
            graph = graph._replace(links=tuple(link for link in graph.links if link != port.link))
        wire, count = on_the_wire(packets[index], profile)
        out = port.carry(head, tail, wire, user_bytes(packets[index]), count, seed, profile.icn_retries)
        if out is None:
            return (4480, source), ports
        heapq.heappush(events, (out[0], source, sequence, out[1], port.link.head, index))
    return in_order(topology, profile, packets, ends, seed), ports


def in_order(topology, profile, packets, ends, seed):
    """Arrivals: each a little late if there is a seed, none before one that was sent earlier."""
    arrivals, last = list(ends), {}
    most = round(4 * profile.icn_latency * 1e12)
    for index in np.lexsort((packets["seq"], packets["time"])):
        source, target, sequence = (int(packets[name][index]) for name in ("src", "dst", "seq"))
        drawn = draw(seed, source * topology.chips + target, (source << 44) + sequence) % (most + 1)
        late = drawn * drawn // most * drawn // most if seed else 0
        last[source, target] = arrivals[index] = max(ends[index] + late, last.get((source, target), 0))
    return arrivals
