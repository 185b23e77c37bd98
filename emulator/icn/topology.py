"""How chips are joined: nodes, directed links, and the shortest way from each node to each chip.

Nodes 0 to `chips` - 1 are chips, the others switches. Parallel links between two nodes are one `Link` with the
bandwidth of all: a packet is striped over them (`defined`), so that packets between two chips keep their order.

A node sends a packet to the neighbour with the fewest hops left; among several, where the narrowest link of the rest
of the way is widest; among these, to the one with the lowest number (`defined`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..hbm import MOST_CHIPS
from ..profiles import Profile

PICOSECONDS = 10**12
"""In a second: the unit of all modelled times."""
SLOWEST, FASTEST = 1e6, 1e15
"""B/s of a link: what whole femtoseconds a byte can express."""
FAR = 1 << 20
"""Seconds to a node to which nothing leads; as picoseconds they have 64 bits."""
KEYS = ("kind", "links", "bandwidth", "latency", "switches")
"""Keys of a topology in TOML."""


def check_chips(chips: int) -> None:
    """Raise ValueError unless a pod may have so many chips; before anything is made for each of them."""
    if not 1 <= chips <= MOST_CHIPS:
        raise ValueError(f"a pod has 1 to {MOST_CHIPS} chips, not {chips}")


@dataclass(frozen=True)
class Link:
    """`count` parallel links from node `tail` to node `head`: B/s of all together, latency in picoseconds."""

    tail: int
    head: int
    count: int
    bandwidth: float
    latency: int


@dataclass(frozen=True)
class Topology:
    """Chips and switches with their directed links; a value. Raises ValueError if a chip cannot reach another."""

    name: str
    chips: int
    switches: int
    links: tuple[Link, ...]

    def __post_init__(self) -> None:
        """Check that chips, links and ways are there, and no link twice."""
        check_chips(self.chips)
        for link in self.links:
            if not (SLOWEST <= link.bandwidth <= FASTEST and 0 < link.latency <= PICOSECONDS):
                raise ValueError(
                    f"topology {self.name}: from {self.node_name(link.tail)} to {self.node_name(link.head)} "
                    f"{link.bandwidth:g} B/s and {link.latency / PICOSECONDS:g} s: a link has {SLOWEST:g} to "
                    f"{FASTEST:g} B/s, and takes up to a second"
                )
        if len({(link.tail, link.head) for link in self.links}) != len(self.links):
            raise ValueError(f"topology {self.name}: two entries for one pair; give the number of parallel links")
        joined = {link.head for link in self.links}
        if (idle := next((node for node in range(self.chips, self.nodes) if node not in joined), None)) is not None:
            raise ValueError(f"topology {self.name}: no link to {self.node_name(idle)}; add one, or leave it out")
        alone = np.argwhere(self._ways < 0)
        if len(alone):
            a, b = (int(number) for number in alone[0])
            raise ValueError(f"topology {self.name}: no way from {self.node_name(a)} to chip {b}; add a link")

    @property
    def nodes(self) -> int:
        """Chips and switches together."""
        return self.chips + self.switches

    def node_name(self, node: int) -> str:
        """`chip 3` or `switch 0`."""
        return f"chip {node}" if node < self.chips else f"switch {node - self.chips}"

    def node(self, name: object) -> int:
        """The number of a node: chips are numbers, switches "s0", "s1", ...; ValueError if there is none."""
        return node_number(name, self.chips, self.switches)

    def number(self, tail: int, head: int) -> int:
        """The number of the link from one node to another; ValueError if there is none."""
        try:
            return self._numbers[tail, head]
        except KeyError:
            ends = f"topology {self.name} has no link from {self.node_name(tail)} to {self.node_name(head)}"
            heads = sorted(link.head for link in self.links if link.tail == tail)
            names = [f"{node}" if node < self.chips else f'"s{node - self.chips}"' for node in (tail, *heads)]
            raise ValueError(f"{ends}: there is [{names[0]}, {names[1]}]" if heads else ends) from None

    @cached_property
    def _numbers(self) -> dict[tuple[int, int], int]:
        return {(link.tail, link.head): number for number, link in enumerate(self.links)}

    def routes(self, dead: frozenset[int] = frozenset()) -> NDArray[np.int64]:
        """The link to take from each node to each chip without links in `dead`; -1 if there is no way, or no need."""
        routes = np.full((self.nodes, self.chips), -1, np.int64)
        into: list[list[tuple[int, int]]] = [[] for _ in range(self.nodes)]
        for number, link in enumerate(self.links):
            if number not in dead:
                into[link.head].append((link.tail, number))
        for chip in range(self.chips):
            self._toward(chip, into, routes)
        for chip in range(self.chips):
            routes[chip, chip] = 0  # there already
        return routes

    def _toward(self, chip: int, into: list[list[tuple[int, int]]], routes: NDArray[np.int64]) -> None:
        """Fill in the links to take from each node to a chip, hop by hop away from it."""
        width = {chip: float("inf")}
        ring = [chip]
        while ring:
            best: dict[int, tuple[float, int, int]] = {}
            for near in sorted(ring):
                for node, number in into[near]:
                    if node not in width:
                        offer = (-min(self.links[number].bandwidth, width[near]), near, number)
                        best[node] = min(best.get(node, offer), offer)
            for node, (narrowest, _, number) in best.items():
                width[node], routes[node, chip] = -narrowest, number
            ring = list(best)

    def path(self, source: int, target: int, dead: frozenset[int] = frozenset()) -> tuple[Link, ...]:
        """The links from one chip to another; ValueError if there is no way."""
        routes, found, node = self.routes(dead) if dead else self._ways, list[Link](), source
        while node != target:
            if routes[node, target] < 0:
                raise ValueError(f"no way from {self.node_name(source)} to {self.node_name(target)}")
            found.append(self.links[routes[node, target]])
            node = found[-1].head
        return tuple(found)

    @cached_property
    def _ways(self) -> NDArray[np.int64]:
        return self.routes()

    def latency_ps(self, source: int, target: int) -> int:
        """Picoseconds from one chip to another, without what the bytes take."""
        return sum(link.latency for link in self.path(source, target))

    @cached_property
    def before(self) -> tuple[int, ...]:
        """For each node, picoseconds within which nothing that a chip sends can be there: 0 for chips."""
        times = [0 if node < self.chips else FAR * PICOSECONDS for node in range(self.nodes)]
        sooner = True
        while sooner:
            sooner = False
            for link in self.links:
                if times[link.tail] + link.latency < times[link.head]:
                    times[link.head], sooner = times[link.tail] + link.latency, True
        return tuple(times)

    @cached_property
    def lookahead_ps(self) -> int:
        """Picoseconds within which nothing that is sent can arrive at another chip; of one chip, a microsecond."""
        ends = [self.before[link.tail] + link.latency for link in self.links if link.head < self.chips]
        return min(ends, default=PICOSECONDS // 10**6)

    @classmethod
    def of(cls, profile: Profile, chips: int) -> Topology:
        """The usual one: a switch if the profile has one, its wiring otherwise."""
        if profile.icn_kind == "switch":
            return cls.switch(profile, chips)
        return cls.wired(profile, chips)

    @classmethod
    def switch(cls, profile: Profile, chips: int) -> Topology:
        """All chips at one switch; beyond an ICN domain one switch each, joined without loss of bandwidth (defined).

        A link from a chip to its switch has the profile's latency less that of a switch, which every link out of a
        switch has.
        """
        check_chips(chips)
        latency, through = picoseconds(profile.icn_latency), picoseconds(profile.switch_latency or 0.0)
        if through >= latency:
            raise ValueError(f"{profile.name}: icn_latency includes that of the switch, so it is above switch_latency")
        domain = profile.domain_chips
        count = -(-chips // domain)
        links = list[Link]()
        for chip in range(chips):
            hub = chips + chip // domain
            links.append(Link(chip, hub, profile.icn_links, profile.icn_bandwidth, latency - through))
            links.append(Link(hub, chip, profile.icn_links, profile.icn_bandwidth, max(1, through)))
        for a in range(count):
            for b in range(count):
                if a != b:
                    ports, speed = domain * profile.icn_links, domain * profile.icn_bandwidth
                    links.append(Link(chips + a, chips + b, ports, speed, max(1, through)))
        return cls("switch", chips, count if chips > 1 else 0, tuple(links) if chips > 1 else ())

    @classmethod
    def wired(cls, profile: Profile, chips: int) -> Topology:
        """Card to card as in the profile's wiring, of which fewer chips use the first ones."""
        if chips > 1 and not profile.icn_wiring:
            raise ValueError(f"{profile.name} has no wiring: choose switch, ring, full, or a topology file")
        cards = 1 + max((max(a, b) for a, b, _ in profile.icn_wiring), default=0)
        if chips > cards:
            raise ValueError(
                f"{profile.name}: its wiring joins {cards} chips, not {chips}; choose a ring, full, or a topology file"
            )
        for chip in range(cards):
            links = sum(count for a, b, count in profile.icn_wiring if chip in (a, b))
            if links > profile.icn_links:
                raise ValueError(
                    f"{profile.name}: the wiring has {links} links at chip {chip}, which has {profile.icn_links}"
                )
        rows = [row for row in profile.icn_wiring if row[0] < chips and row[1] < chips]
        return cls.joined("wired", profile, chips, rows)

    @classmethod
    def ring(cls, profile: Profile, chips: int) -> Topology:
        """Each chip joined to the next, the last to the first, with an equal share of its links to each neighbour."""
        check_chips(chips)
        pairs = {tuple(sorted((chip, (chip + 1) % chips))) for chip in range(chips if chips > 1 else 0)}
        return cls._shared("ring", profile, chips, pairs, 2 if chips > 2 else 1)

    @classmethod
    def full(cls, profile: Profile, chips: int) -> Topology:
        """Each chip joined to each other with an equal share of its links."""
        check_chips(chips)
        pairs = {(a, b) for b in range(chips) for a in range(b)}
        return cls._shared("full", profile, chips, pairs, max(1, chips - 1))

    @classmethod
    def _shared(
        cls, name: str, profile: Profile, chips: int, pairs: Iterable[tuple[int, ...]], neighbours: int
    ) -> Topology:
        """Pairs joined by a share of a chip's links; a chip with one port divides its bandwidth."""
        if profile.icn_links == 1:
            speed = profile.icn_link_bandwidth / neighbours
            return cls.joined(name, profile, chips, [(a, b, 1) for a, b in sorted(pairs)], speed)
        count = profile.icn_links // neighbours
        if count == 0:
            raise ValueError(f"{profile.name}: {profile.icn_links} links do not join a chip to {neighbours} others")
        return cls.joined(name, profile, chips, [(a, b, count) for a, b in sorted(pairs)])

    @classmethod
    def joined(
        cls,
        name: str,
        profile: Profile,
        chips: int,
        rows: Iterable[tuple[int, int, int]],
        bandwidth: float | None = None,
        latency: float | None = None,
        switches: int = 0,
    ) -> Topology:
        """Nodes joined both ways by rows of (node, node, parallel links), of the profile's bandwidth and latency."""
        speed = bandwidth or profile.icn_link_bandwidth
        time = picoseconds(profile.icn_latency if latency is None else latency)
        links = list[Link]()
        for a, b, count in rows:
            if not (0 <= a < chips + switches and 0 <= b < chips + switches and a != b and count > 0):
                raise ValueError(f"topology {name}: no link can be ({a}, {b}, {count}) among {chips} chips")
            links += [Link(x, y, count, count * speed, max(1, time)) for x, y in ((a, b), (b, a))]
        return cls(name, chips, switches, tuple(links))

    @classmethod
    def from_table(cls, table: Mapping[str, Any], profile: Profile, chips: int) -> Topology:
        """From `[topology]` of a launch file: see docs/icn.md. Raises ValueError naming the key."""
        unknown = set(table) - set(KEYS)
        if unknown:
            raise ValueError(f"topology: unknown key {min(unknown)!r}: there is {', '.join(KEYS)}")
        if "links" not in table:
            kind = table.get("kind")
            kinds = {"switch": cls.switch, "wired": cls.wired, "ring": cls.ring, "full": cls.full}
            if "kind" not in table:
                raise ValueError(f"topology: give a kind ({', '.join(kinds)}) or links")
            if not isinstance(kind, str) or kind not in kinds:
                raise ValueError(f"topology: kind = {kind!r}: there is {', '.join(kinds)}, or give links")
            if set(table) != {"kind"}:
                raise ValueError(f"topology: kind = {kind!r} stands alone; bandwidth and the rest belong to links")
            return kinds[kind](profile, chips)
        if "kind" in table:
            raise ValueError("topology: kind and links exclude each other")
        switches = table.get("switches", 0)
        if type(switches) is not int or switches < 0:
            raise ValueError(f"topology: switches = {switches!r} should be a whole number from 0")
        rows = [_row(row, chips, switches) for row in _rows(table["links"])]
        speed = _number(table, "bandwidth", profile.icn_link_bandwidth)
        latency = _number(table, "latency", profile.icn_latency)
        if not (speed > 0 and latency > 0):
            raise ValueError("topology: bandwidth and latency are above 0")
        return cls.joined("custom", profile, chips, rows, speed, latency, switches)

    @classmethod
    def from_toml(cls, path: str | PathLike[str], profile: Profile, chips: int) -> Topology:
        """From a file with the keys of `[topology]`; ValueError naming file and key."""
        try:
            return cls.from_table(tomllib.loads(Path(path).read_text(encoding="utf-8")), profile, chips)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def picoseconds(seconds: float) -> int:
    """Seconds as whole picoseconds."""
    return round(seconds * PICOSECONDS)


def _number(table: Mapping[str, Any], key: str, default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"topology: {key} = {value!r} should be a finite number")
    return float(value)


def _rows(value: object) -> list[object]:
    if not isinstance(value, list) or not value:
        raise ValueError("topology: links is a list of [node, node, parallel links]")
    return cast("list[object]", value)


def _row(row: object, chips: int, switches: int) -> tuple[int, int, int]:
    """A row of `links`: chips are numbers, switches "s0", "s1", ...; one link if no number is given."""
    parts = cast("list[object]", row) if isinstance(row, list) else []
    if len(parts) not in (2, 3):
        raise ValueError(f"topology: links has {row!r}, which should be [node, node, parallel links]")
    count = parts[2] if len(parts) == 3 else 1
    if type(count) is not int or count < 1:
        raise ValueError(f"topology: links has {row!r}: {count!r} is no number of parallel links")
    try:
        a, b = (node_number(part, chips, switches) for part in parts[:2])
    except ValueError as error:
        raise ValueError(f"topology: links has {row!r}: {error}") from None
    return a, b, count


def node_number(name: object, chips: int, switches: int) -> int:
    """The number of a node among so many: a chip's own, or that of switch "s0", "s1", ...; ValueError."""
    if type(name) is int and 0 <= name < chips:
        return name
    if isinstance(name, str) and name[:1] == "s" and name[1:].isdecimal() and int(name[1:]) < switches:
        return chips + int(name[1:])
    known = f"chips 0 to {chips - 1}" + (f' and switches "s0" to "s{switches - 1}"' if switches else "")
    raise ValueError(f"{name!r} is no node; there are {known}")
