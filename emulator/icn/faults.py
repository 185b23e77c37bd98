"""Faults of ICN links: slow, dead, lossy; from a time on, or after a number of packets, or drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..machine.links import DRAW_BITS, NEVER
from .topology import Link, Topology, picoseconds


@dataclass(frozen=True, kw_only=True)
class LinkFault:
    """The state of the link from node `tail` to node `head` (and, if `both`, back) from some point on.

    Nodes are numbers, first the chips and then the switches, which are "s0", "s1" and so on, too.
    `slow` divides its bandwidth. `dead` of its parallel links carry nothing; with -1, all: packets then take another
    way, for good. A transmission is lost with probability `loss`, and the next `drops` are in any case; a packet that
    is lost is sent again up to `icn_retries` times. The state holds from `at` seconds of modelled time on or, if
    `after` is not 0, once the link has carried so many packets, until another fault of the link sets it anew.
    """

    tail: int | str
    head: int | str
    slow: float = 1.0
    dead: int = 0
    loss: float = 0.0
    drops: int = 0
    at: float = 0.0
    after: int = 0
    both: bool = True

    def __post_init__(self) -> None:
        """Check the values; ValueError."""
        if not 1.0 <= self.slow <= 1000.0:
            raise ValueError(f"slow = {self.slow}: it divides the bandwidth, so it is 1 to 1000")
        if not 0.0 <= self.loss <= 1.0:
            raise ValueError(f"loss = {self.loss}: a probability, 0 to 1")
        counts = self.dead, self.drops, self.after
        if any(int(count) != count for count in counts):
            raise ValueError(f"dead, drops and after are whole numbers, not {', '.join(map(str, counts))}")
        if not (self.dead >= -1 and 0 <= self.drops < NEVER and 0 <= self.after < NEVER and 0 <= self.at <= 1e6):
            raise ValueError("dead is a number of links (-1: all), at 0 to 1e6 s, drops and after from 0 to 2 ** 62")

    def ways(self, topology: Topology) -> list[int]:
        """The numbers of the links that fail; ValueError if there is none, or not so many in parallel as are dead."""
        tail, head = (
            topology.node(end) if isinstance(end, str) or not 0 <= end < topology.nodes else end
            for end in (self.tail, self.head)
        )
        found = [topology.number(*ends) for ends in [(tail, head), (head, tail)][: 2 if self.both else 1]]
        for link in (topology.links[number] for number in found):
            if self.dead > link.count:
                way = f"{topology.node_name(link.tail)} to {topology.node_name(link.head)}"
                raise ValueError(f"dead = {self.dead}: from {way} parallel links number {link.count}")
        return found

    @classmethod
    def drawn(cls, topology: Topology, seed: int, number: int = 1, span: float = 1e-3) -> tuple[LinkFault, ...]:
        """Faults drawn from a seed: slow and lossy links of a topology, and dead ones, within `span` seconds."""
        chance = random.Random(seed)
        kinds: list[dict[str, Any]] = [{"slow": 4.0}, {"loss": 0.01}, {"drops": 3}, {"dead": -1}]
        found = list[LinkFault]()
        for _ in range(number if topology.links else 0):
            link, kind = chance.choice(topology.links), chance.choice(kinds)
            found.append(cls(tail=link.tail, head=link.head, at=chance.random() * span, **kind))
        return tuple(found)


class LinkStates:
    """The faults of all links that are still to come, and the state the links are in."""

    def __init__(self, topology: Topology, links: NDArray[Any], faults: Iterable[LinkFault]):
        self.topology = topology
        self.links = links
        self.dead: frozenset[int] = frozenset()
        self._coming: dict[int, list[LinkFault]] = {}
        for number, link in enumerate(topology.links):
            links[number]["tail"], links[number]["head"], links[number]["latency"] = link.tail, link.head, link.latency
            links[number]["rate"] = rate_of(link)
        links["fault_time"] = links["fault_packets"] = NEVER
        self.add(faults)

    def add(self, faults: Iterable[LinkFault]) -> None:
        """Add faults that are to come; ValueError for a link that does not exist."""
        for fault in faults:
            for number in fault.ways(self.topology):
                self._coming.setdefault(number, []).append(fault)
                self._next(number)

    def change(self, number: int, time: int) -> bool:
        """Bring a link up to date at a time; whether ways have changed."""
        packets = int(self.links[number]["packets"])
        due = [fault for fault in self._coming[number] if _is_due(fault, time, packets)]
        self._coming[number] = [fault for fault in self._coming[number] if fault not in due]
        for fault in sorted(due, key=lambda fault: (fault.at, fault.after)):
            self._set(number, fault)
        self._next(number)
        return number in self.dead

    def _set(self, number: int, fault: LinkFault) -> None:
        link, state = self.topology.links[number], self.links[number]
        if fault.dead in (-1, link.count):
            self.dead |= {number}
            return
        state["rate"] = rate_of(link, fault.slow * link.count / (link.count - fault.dead))
        state["loss"] = round(fault.loss * (1 << DRAW_BITS))
        state["drops"] += fault.drops

    def _next(self, number: int) -> None:
        """Tell the packet loop when it has to ask again."""
        coming = self._coming[number]
        times = [picoseconds(fault.at) for fault in coming if not fault.after]
        self.links[number]["fault_time"] = min(times, default=NEVER)
        self.links[number]["fault_packets"] = min((fault.after for fault in coming if fault.after), default=NEVER)


def _is_due(fault: LinkFault, time: int, packets: int) -> bool:
    return packets >= fault.after if fault.after else time >= picoseconds(fault.at)


def rate_of(link: Link, slow: float = 1.0) -> int:
    """Femtoseconds a byte takes."""
    return round(slow * 1e15 / link.bandwidth)
