"""The ICN of a pod: packets in, the same packets out with the time at which they arrive; counters and faults.

The model and its parameters are explained in docs/icn.md. Times are integer picoseconds of modelled time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engine import engine
from .faults import Fault
from .flights import FLIGHT, ICN, LINK, PAIR
from .icn_counters import IcnCounters, count
from .icn_faults import LinkFault, LinkStates
from .links import CHANGE, ENTRY, NEVER, NO_PATH
from .profiles import Profile
from .topology import Topology, picoseconds
from .wire import ACK, ATOMIC, COPY, DATA, LOAD, PACKET, STORE

SEQUENCE_BITS = 44
ICN_NO_PATH, ICN_RETRIES = 4224, 4480
"""Published errors (XID)."""


class Icn:
    """The links of one pod. `seed` decides which packets a lossy link loses and, unless it is 0, delays each packet.

    Every packet then arrives up to `jitter` times the profile's latency later, in order still. `dtype` is that of the
    packets: PACKET, or any struct with the fields of its header, such as one whose data is elsewhere.
    """

    def __init__(
        self,
        topology: Topology,
        profile: Profile,
        *,
        seed: int = 0,
        jitter: float = 1.0,
        faults: Iterable[LinkFault] = (),
        dtype: np.dtype[Any] = PACKET,
    ):
        self.topology, self.profile = topology, profile
        chips = topology.chips
        self._links = np.zeros(max(1, len(topology.links)), LINK)
        self._pairs = np.zeros(chips * chips, PAIR)
        self._before = np.array(topology.before, np.int64)
        self._packets = np.zeros(0, dtype)
        self._flights = np.zeros(0, FLIGHT)
        self._free = np.zeros(0, np.int64)
        self._icn = np.zeros(1, ICN)
        state = self._icn[0]
        state["chips"], state["retries"], state["flight"] = chips, profile.icn_retries, -1
        state["local"] = topology.lookahead_ps
        state["seed"] = seed & (1 << 40) - 1
        state["jitter"] = picoseconds(jitter * profile.icn_latency) if seed else 0
        state["before"], state["pairs"] = self._before.ctypes.data, self._pairs.ctypes.data
        state["links"] = self._links.ctypes.data
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
        return len(self._flights) - len(self._free)

    @property
    def earliest(self) -> int | None:
        """No packet that is in flight arrives before this time; None if there is none."""
        state = self._icn[0]
        waiting = [int(self._flights["head"][self._fresh[state["fresh_next"]]])] if self._unbegun() else []
        waiting += [int(self._heap[0, 0])] if state["heap_count"] else []
        return min(waiting) + self.lookahead_ps if waiting else None

    def inject(self, packets: NDArray[Any], until: int | None = None) -> NDArray[Any]:
        """Send packets, in any order; those are given back whose arrival is now certain, with `arrival` filled in.

        `until` promises that whatever is injected later was sent at that time or after (what claims to be older counts
        as sent then); without it, that nothing later competes with these packets. All that arrives before `until`
        plus `lookahead_ps` is among those given back, by destination and then in the order (arrival, source,
        sequence). How packets are split over several calls changes nothing.

        Raises Fault: XID 4224 if a packet finds no way, 4480 if one is lost more often than it may be sent again;
        then call `clear`. ValueError for a chip that does not exist.
        """
        self._accept(packets)
        state = self._icn[0]
        state["until"] = NEVER if until is None else until
        while reason := engine().links(self._icn.ctypes.data):
            self._stop(reason)
        self._sent = self._sent if until is None else max(self._sent, until)
        return self._arrivals()

    def clear(self) -> None:
        """Forget all that is in flight, as when a launch has failed; counters and the links' state remain."""
        state = self._icn[0]
        state["flight"], state["heap_count"], state["arrived_count"] = -1, 0, 0
        state["fresh_count"], state["fresh_next"] = 0, 0
        self._fresh = np.zeros(0, np.int64)
        self._free = np.arange(len(self._flights), dtype=np.int64)
        self._pairs["sent"], self._pairs["expected"], self._pairs["held"] = 0, 0, -1
        self._sent = 0

    def fail(self, *faults: LinkFault) -> None:
        """Add faults of links; those of the past act on the next packet."""
        self._states.add(faults)

    def counters(self) -> IcnCounters:
        """What has passed each link and each chip's ports so far."""
        return count(self.topology, self._links)

    # What is under way.

    def _unbegun(self) -> bool:
        return self._icn["fresh_next"][0] < self._icn["fresh_count"][0]

    def _accept(self, packets: NDArray[Any]) -> None:
        """Make a flight of each packet."""
        for field in ("src", "dst"):
            if len(packets) and not 0 <= packets[field].min() <= packets[field].max() < self.topology.chips:
                raise ValueError(f"a packet's {field} is none of the {self.topology.chips} chips")
        self._reserve(len(packets))
        slots, self._free = self._free[: len(packets)], self._free[len(packets) :]
        _words(self._packets)[slots] = _words(packets)
        user = user_bytes(packets)
        wire, number = self.wire_bytes(packets, user)
        self._packets["user"][slots], self._packets["overhead"][slots] = user, wire - user
        flights = np.zeros(len(packets), FLIGHT)
        flights["head"] = flights["tail"] = np.maximum(packets["time"], self._sent)
        flights["src"], flights["dst"], flights["node"] = packets["src"], packets["dst"], packets["src"]
        flights["rank"] = (packets["src"] << SEQUENCE_BITS) + packets["seq"]
        flights["wire"], flights["user"], flights["packets"] = wire, user, number
        flights["next"] = -1
        _words(self._flights)[slots] = _words(flights)
        begin = self._icn["fresh_next"][0]
        waiting = np.concatenate([self._fresh[begin:], slots])
        self._fresh = waiting[_order(self._flights["rank"][waiting], self._flights["head"][waiting])]
        state = self._icn[0]
        state["fresh"], state["fresh_next"], state["fresh_count"] = self._fresh.ctypes.data, 0, len(self._fresh)

    def _reserve(self, more: int) -> None:
        """Make room for so many more flights."""
        if more <= len(self._free) and len(self._flights):
            return
        size = max(1024, 2 * len(self._flights), self.in_flight + more)
        self._free = np.concatenate([self._free, np.arange(len(self._flights), size)])
        self._packets = _grown(self._packets, size)
        self._flights = _grown(self._flights, size)
        self._heap = _grown(getattr(self, "_heap", np.zeros((0, ENTRY // 8), np.int64)), size)
        self._arrived = np.zeros(size, np.int64)
        state = self._icn[0]
        for name, array in (("flights", self._flights), ("heap", self._heap), ("arrived", self._arrived)):
            state[name] = array.ctypes.data

    def _arrivals(self) -> NDArray[Any]:
        """The packets that have ended, and their flights free again."""
        numbers = self._arrived[: self._icn["arrived_count"][0]].copy()
        self._icn["arrived_count"] = 0
        ranks, times, targets = (self._flights[name][numbers] for name in ("rank", "arrival", "dst"))
        order = np.lexsort((ranks, times, targets))
        found = np.empty(len(numbers), self._packets.dtype)
        np.take(_words(self._packets), numbers[order], axis=0, out=_words(found))
        found["arrival"] = times[order]
        self._free = np.concatenate([self._free, numbers])
        return found

    def wire_bytes(self, packets: NDArray[Any], user: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Bytes that packets with so much data take on a link, and how many packets they are there."""
        profile = self.profile
        most = np.where(packets["burst"] > 0, profile.icn_packet_bytes, profile.icn_line_bytes)
        number = np.maximum(1, -(-user // most))
        asks = np.isin(packets["kind"], (LOAD, STORE, ATOMIC, COPY))
        whole = user + number * (profile.icn_header_bytes + asks * profile.icn_address_bytes)
        return -(-whole // profile.icn_flit_bytes) * profile.icn_flit_bytes, number

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
            detail=f"no way from chip {source} to chip {target}{at}; dead links: {names}",
            hint="topologies other than a switch have more than one way; leave out the chip, or the fault",
        )

    def _lost(self, source: int, target: int) -> Fault:
        link = self.topology.links[self._icn["link"][0]]
        way = f"{self._name(link.tail)} to {self._name(link.head)}"
        return Fault(
            code=ICN_RETRIES,
            chip=source,
            detail=f"the link from {way} has lost a packet from chip {source} to chip {target} "
            f"{self.profile.icn_retries + 1} times",
            hint="lower the loss of that link, or raise icn_retries in a profile of your own",
        )

    def _name(self, node: int) -> str:
        return self.topology.node_name(node)


def user_bytes(packets: NDArray[Any]) -> NDArray[np.int64]:
    """Bytes of data in each packet: of its active lanes, or of a copy's burst."""
    kind = packets["kind"]
    lanes = np.bitwise_count(packets["mask"] & 0xFFFFFFFF).astype(np.int64)
    size = np.where((kind == DATA) & (packets["returns"] > 0), 4 * packets["returns"], packets["size"])
    return np.where((kind == LOAD) | (kind == ACK), 0, np.where(packets["burst"] > 0, packets["burst"], lanes * size))


def _words(array: NDArray[Any]) -> NDArray[np.int64]:
    """Structs as rows of words, which numpy copies much faster."""
    return np.ascontiguousarray(array).view(np.int64).reshape(len(array), array.itemsize // 8)


def _order(minor: NDArray[np.int64], major: NDArray[np.int64]) -> NDArray[np.intp]:
    """The order that sorts by `major`, then by `minor`; quick where that is the given one."""
    later, same = np.diff(major), np.diff(minor)
    if np.all((later > 0) | ((later == 0) & (same >= 0))):
        return np.arange(len(major))
    return np.lexsort((minor, major))


def _grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """A larger copy of an array, zero behind what it holds."""
    larger = np.zeros((size, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
