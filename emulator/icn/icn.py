"""The ICN of a pod: packets in, the same packets out with the time at which they arrive; counters and faults.

The model and its parameters are explained in docs/icn.md. Times are integer picoseconds of modelled time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import engine
from ..faults import ICN_NO_PATH, ICN_RETRIES, Fault
from ..machine.flights import FLIGHT, ICN, LINK, PAIR
from ..machine.links import CHANGE, NEVER, NO_PATH
from ..machine.structs import offset_of
from ..machine.wire import HEADER_BYTES, PACKET
from ..profiles import Profile
from .counters import IcnCounters, count
from .faults import LinkFault, LinkStates
from .topology import Topology, picoseconds

PACKET_SHAPE = ("header_bytes", "address_bytes", "packet_bytes", "line_bytes", "flit_bytes")
"""Entries of a profile, without "icn_", that say what a packet is on a link."""
HEADER = tuple(name for name in PACKET.names or () if offset_of(PACKET, name) < HEADER_BYTES)


class Icn:
    """The links of one pod. `seed` decides which packets a lossy link loses and, unless it is 0, delays each packet.

    Every packet then arrives up to `jitter` times the profile's latency later, most of them little, in order still.
    `dtype` is that of the packets: PACKET, or a struct that begins with the same header, such as one whose data is
    elsewhere.
    """

    def __init__(
        self,
        topology: Topology,
        profile: Profile,
        *,
        seed: int = 0,
        jitter: float = 4.0,
        faults: Iterable[LinkFault] = (),
        dtype: np.dtype[Any] = PACKET,
    ):
        for name in HEADER:
            if name not in (dtype.names or ()) or offset_of(dtype, name) != offset_of(PACKET, name):
                raise ValueError(f"packets of an ICN begin with the header of PACKET; {name} does not stand there")
        self.topology, self.profile = topology, profile
        self.note: Callable[[object], None] | None = None
        """Told what the host lets fail, for ranks to compare."""
        chips = topology.chips
        self._links = np.zeros(max(1, len(topology.links)), LINK)
        self._pairs = np.zeros(chips * chips, PAIR)
        self._before = np.array(topology.before, np.int64)
        self._icn = np.zeros(1, ICN)
        self._packets, self._flights = np.zeros(0, dtype), np.zeros(0, FLIGHT)
        self._heap, self._free, self._arrived = np.zeros((0, 3), np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._fill(
            chips=chips,
            retries=profile.icn_retries,
            local=topology.lookahead_ps,
            seed=seed & (1 << 31) - 1,
            jitter=picoseconds(jitter * profile.icn_latency) if seed else 0,
            packet_size=dtype.itemsize,
            **{name: getattr(profile, f"icn_{name}") for name in PACKET_SHAPE},
            links=self._links.ctypes.data,
            pairs=self._pairs.ctypes.data,
            before=self._before.ctypes.data,
        )
        self._states = LinkStates(topology, self._links, faults)
        self._route()
        self.clear()

    @property
    def lookahead_ps(self) -> int:
        """Picoseconds within which nothing that is sent can arrive: chips may run on for so long without meeting."""
        return self.topology.lookahead_ps

    @property
    def in_flight(self) -> int:
        """Packets that have been injected and have not been given back."""
        return len(self._flights) - int(self._icn["free_count"][0])

    @property
    def earliest(self) -> int | None:
        """No packet that is in flight arrives before this time; None if there is none."""
        return int(self._heap[0, 0]) + self.lookahead_ps if self._icn["heap_count"][0] else None

    def inject(self, packets: NDArray[Any], until: int | None = None) -> NDArray[Any]:
        """Send packets, in any order; those are given back whose arrival is now certain, with `arrival` filled in.

        Of each, `user` says how many bytes of data it has, of a copy `burst`; `overhead` is filled in, too.

        `until` promises that whatever is injected later was sent at that time or after (what claims to be older counts
        as sent then); without it, that nothing later competes with these packets. All that arrives before `until`
        plus `lookahead_ps` is among those given back, by destination and then in the order (arrival, source,
        sequence). How packets are split over several calls changes nothing.

        Raises Fault: XID 4224 if a packet finds no way, 4480 if one is lost more often than it may be sent again;
        then call `clear`. ValueError for a chip that does not exist.
        """
        if len(packets):
            self._accept(np.ascontiguousarray(packets))
        elif not self.in_flight:
            self._icn["until"] = max(int(self._icn["until"][0]), until or 0)
            return self._packets[:0]
        before = int(self._icn["until"][0])
        self._icn["until"] = NEVER if until is None else max(until, before)
        while reason := engine().links["run"](self._icn.ctypes.data):
            self._stop(reason)
        if until is None:
            self._icn["until"] = before
        return self._arrivals()

    def clear(self) -> None:
        """Forget all that is in flight, as when a launch has failed; counters and the links' state remain."""
        self._fill(flight=-1, heap_count=0, arrived_count=0, free_count=len(self._flights), until=0)
        self._free[:] = np.arange(len(self._flights))
        self._pairs["sent"], self._pairs["expected"], self._pairs["held"] = 0, 0, -1

    def fail(self, *faults: LinkFault) -> None:
        """Add faults of links; those of the past act on the next packet."""
        if self.note:
            self.note(f"lets links fail: {list(faults)}")
        self._states.add(faults)

    def counters(self) -> IcnCounters:
        """What has passed each link and each chip's ports so far."""
        return count(self.topology, self._links)

    # What is under way.

    def _fill(self, **values: int) -> None:
        for name, value in values.items():
            self._icn[name] = value

    def _accept(self, packets: NDArray[Any]) -> None:
        """Make a flight of each packet."""
        if packets.dtype != self._packets.dtype:
            raise ValueError("the packets are not of the type that this ICN was made for")
        for end in ("src", "dst"):
            if not 0 <= packets[end].min() <= packets[end].max() < self.topology.chips:
                raise ValueError(f"a packet's {end} is none of the {self.topology.chips} chips")
        if np.bitwise_or.reduce(packets["user"] | packets["burst"] | packets["time"]) >> 61:
            raise ValueError("a packet's user, burst and time are 0 to 2 ** 61")
        if len(packets) > self._icn["free_count"][0]:
            self._grow(max(1024, 2 * len(self._flights), self.in_flight + len(packets)))
        engine().links["begin"](self._icn.ctypes.data, packets.ctypes.data, len(packets))

    def _grow(self, size: int) -> None:
        """Make room for so many flights."""
        old, free = len(self._flights), int(self._icn["free_count"][0])
        for name in ("packets", "flights", "heap", "free", "arrived"):
            array: NDArray[Any] = getattr(self, f"_{name}")
            larger = np.zeros((size, *array.shape[1:]), array.dtype)
            larger[:old] = array
            setattr(self, f"_{name}", larger)
            self._icn[name] = larger.ctypes.data
        self._free[free : free + size - old] = np.arange(old, size)
        self._icn["free_count"] = free + size - old

    def _arrivals(self) -> NDArray[Any]:
        """The packets that have arrived."""
        numbers = self._arrived[: self._icn["arrived_count"][0]]
        ranks, times, targets = (self._flights[name][numbers] for name in ("rank", "arrival", "dst"))
        order = numbers[np.lexsort((ranks, times, targets))]
        found = np.empty(len(order), self._packets.dtype)
        engine().links["finish"](self._icn.ctypes.data, order.ctypes.data, found.ctypes.data, len(order))
        return found

    # What the packet loop asks for.

    def _route(self) -> None:
        self._routes = self.topology.routes(self._states.dead)
        self._icn["routes"] = self._routes.ctypes.data

    def _stop(self, reason: int) -> None:
        state = self._icn[0]
        flight = self._flights[state["flight"]]
        if reason == CHANGE:
            if self._states.change(int(state["link"]), int(flight["head"])):
                self._route()
            return
        source, target = int(flight["src"]), int(flight["dst"])
        raise self._no_path(source, target, int(flight["node"])) if reason == NO_PATH else self._lost(source, target)

    def _no_path(self, source: int, target: int, node: int) -> Fault:
        links = [self.topology.links[number] for number in sorted(self._states.dead)]
        names = ", ".join(f"{self._name(link.tail)} to {self._name(link.head)}" for link in links)
        at = "" if node == source else f", on its way at {self._name(node)}"
        return Fault(
            code=ICN_NO_PATH,
            chip=source,
            peer=target,
            detail=f"no way from chip {source} to chip {target}{at}; dead links: {names}",
            hint="topologies other than a switch have more than one way; leave out the chip, or the fault",
        )

    def _lost(self, source: int, target: int) -> Fault:
        link = self.topology.links[self._icn["link"][0]]
        way = f"{self._name(link.tail)} to {self._name(link.head)}"
        return Fault(
            code=ICN_RETRIES,
            chip=source,
            peer=target,
            detail=f"the link from {way} has lost a packet from chip {source} to chip {target} "
            f"{self.profile.icn_retries + 1} times",
            hint="lower the loss of that link, or raise icn_retries in a profile of your own",
        )

    def _name(self, node: int) -> str:
        return self.topology.node_name(node)
