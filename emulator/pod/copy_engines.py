"""The copy engines of a chip: when copies run, and how long they take (docs/machine.md section 8).

An engine does one copy after the other. A chip has one for each way to the host and one for other chips; the last sends
bursts through the ICN, a few of them under way at once, so that other packets get their turn in between. The engine of
the source writes; that of the target reads: its request takes a way of its own, and the data then needs no addresses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ..icn.topology import picoseconds
from ..profiles import Profile
from ..streams import Move

DEPTH = 8
"""Bursts an engine has under way at once."""


class HostEngine:
    """Copies between a chip and the host, or within the chip: how long one takes follows from its bytes alone."""

    def __init__(self) -> None:
        self.free = 0

    def begin(self, move: Move, ready: int, profile: Profile) -> int:
        """Take a copy that is ready then; when it ends."""
        move.began = max(ready, self.free)
        inside = move.copy.source.chip == move.copy.target.chip
        bandwidth = profile.hbm_bandwidth / 2 if inside else profile.host_bandwidth
        taken = (0 if inside else profile.host_latency) + move.copy.nbytes / bandwidth
        self.free = move.began + picoseconds(taken)
        return self.free


class PeerEngine:
    """Copies between chips, cut into bursts that the ICN carries."""

    def __init__(self) -> None:
        self.moves: deque[Move] = deque()
        self.sent = 0
        self.arrivals: list[int] = []
        """Of the copy at hand: when each burst arrives, as far as that is known."""

    def add(self, move: Move, ready: int) -> None:
        """Take a copy that is ready then."""
        move.began = ready
        self.moves.append(move)

    def due(self) -> int | None:
        """When the next burst leaves; None if there is none, or that depends on one under way."""
        if not self.moves or self.sent >= self.moves[0].copy.bursts:
            return None
        if self.sent < DEPTH:
            return self.moves[0].began
        return self.arrivals[self.sent - DEPTH] if self.sent - DEPTH < len(self.arrivals) else None

    def send(self, now: int, end: int) -> Iterator[tuple[int, Move, int]]:
        """The bursts that leave from `now` to before `end`: time, copy, number of the burst."""
        while (time := self.due()) is not None and time < end:
            self.sent += 1
            yield max(time, now), self.moves[0], self.sent - 1

    def arrived(self) -> int | None:
        """When the copy at hand is done, if all its bursts are known to arrive."""
        if self.moves and len(self.arrivals) == self.moves[0].copy.bursts:
            return max(self.arrivals)
        return None

    def next(self) -> Move:
        """The copy at hand is done: go on with the one behind it."""
        self.sent, self.arrivals = 0, []
        done = self.moves.popleft()
        if self.moves and done.ended is not None:
            self.moves[0].began = max(self.moves[0].began or 0, done.ended)
        return done
