"""What has passed the ICN, in the terms of the vendor's tools (sources ACU, SMI).

User bytes are data, overhead bytes all others: headers, addresses, what fills a flit, what was sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from .topology import PICOSECONDS, Topology


@dataclass(frozen=True)
class LinkCounters:
    """One directed link, or all parallel ones between two nodes: what its tail transmits is what its head receives.

    Times are seconds: `busy` it was sending, `waited` packets stood before it all together, `most_waited` one of them.
    """

    tail: str
    head: str
    links: int
    packets: int
    user_bytes: int
    overhead_bytes: int
    retries: int
    packet_errors: int
    busy: float
    waited: float
    most_waited: float

    @property
    def bytes(self) -> int:
        """User and overhead bytes."""
        return self.user_bytes + self.overhead_bytes


@dataclass(frozen=True)
class ChipCounters:
    """The ports of one chip together, what it forwards for others included."""

    chip: int
    received_bytes: int
    received_user_bytes: int
    received_overhead_bytes: int
    received_packets: int
    transmitted_bytes: int
    transmitted_user_bytes: int
    transmitted_overhead_bytes: int
    transmitted_packets: int
    retries: int
    packet_errors: int


@dataclass(frozen=True)
class IcnCounters:
    """All links and all chips."""

    links: tuple[LinkCounters, ...]
    chips: tuple[ChipCounters, ...]


def count(topology: Topology, links: NDArray[Any]) -> IcnCounters:
    """The counters of a pod from its LINK structs."""
    rows = tuple(
        LinkCounters(
            topology.node_name(link.tail),
            topology.node_name(link.head),
            link.count,
            *(int(row[name]) for name in ("packets", "user", "overhead", "retries", "errors")),
            *(int(row[name]) / PICOSECONDS for name in ("busy", "waited", "most_waited")),
        )
        for link, row in zip(topology.links, links, strict=False)
    )
    return IcnCounters(rows, tuple(_chip(topology, rows, chip) for chip in range(topology.chips)))


def _chip(topology: Topology, rows: tuple[LinkCounters, ...], chip: int) -> ChipCounters:
    sent = [row for link, row in zip(topology.links, rows, strict=True) if link.tail == chip]
    got = [row for link, row in zip(topology.links, rows, strict=True) if link.head == chip]
    return ChipCounters(
        chip,
        *_sums(got),
        *_sums(sent),
        retries=sum(row.retries for row in sent),
        packet_errors=sum(row.packet_errors for row in sent),
    )


def _sums(rows: list[LinkCounters]) -> tuple[int, int, int, int]:
    user, overhead = sum(row.user_bytes for row in rows), sum(row.overhead_bytes for row in rows)
    return user + overhead, user, overhead, sum(row.packets for row in rows)
