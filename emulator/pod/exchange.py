"""What the ranks of a pod tell each other when its chips meet. A process that has all chips is one rank: `Alone`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


@dataclass
class News:
    """What happened on the chips of one rank in a window."""

    packets: np.ndarray
    """The PACKETs they sent; elsewhere than on their own rank only the headers are there."""
    payloads: dict[tuple[int, int], np.ndarray] = field(default_factory=dict[tuple[int, int], np.ndarray])
    """The bytes of bursts by source and sequence number; on their own rank only."""
    states: list[tuple[int, int, int, int]] = field(default_factory=list[tuple[int, int, int, int]])
    """For each chip with a launch: its number, its Status, when the launch ended, instructions executed."""
    texts: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    errors: list[tuple[int, Exception]] = field(default_factory=list[tuple[int, Exception]])
    changed: bool = False
    """Whether anything was stored, as far as those know that look for a livelock."""


class Exchange(Protocol):
    """How ranks talk. Each of them runs the same host program and calls the same methods in the same order."""

    rank: int
    ranks: int

    def note(self, what: object) -> None:
        """Remember as text what the host program has asked for: `launches k[1, 64] on chip 0`."""
        ...

    def agree(self, what: object) -> None:
        """Note it, and see that all ranks have noted the same so far. LaunchError says who does something else."""
        ...

    def owner(self, chip: int, chips: int) -> int:
        """The rank that has a chip."""
        ...

    def share(self, value: T) -> list[T]:
        """Everybody's values, by rank."""
        ...

    def share_news(self, news: News) -> list[News]:
        """Everybody's news, by rank; of packets the headers."""
        ...

    def trade(self, parcels: list[Any]) -> list[Any]:
        """Give parcel n to rank n: what the others gave this one, by rank."""
        ...


class Alone:
    """One process with all chips."""

    rank, ranks = 0, 1

    def note(self, what: object) -> None:
        """Nobody else has to know."""

    def agree(self, what: object) -> None:
        """Nobody else has to agree."""

    def owner(self, chip: int, chips: int) -> int:
        """This one."""
        return 0

    def share(self, value: T) -> list[T]:
        """The only value."""
        return [value]

    def share_news(self, news: News) -> list[News]:
        """The only news."""
        return [news]

    def trade(self, parcels: list[Any]) -> list[Any]:
        """Keep it."""
        return parcels
