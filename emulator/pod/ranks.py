"""The ranks of a pod as processes of MPI: `mpiexec -n N m890 run ...`, with the extra m890[mpi].

Each rank runs the same host program and owns a part of the chips, a range of neighbours. There may be more ranks than
processors, so a rank that waits sleeps. What ranks exchange is pickled, for they are one program on hosts of one user.
"""

from __future__ import annotations

import atexit
import os
import pickle
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from ..faults import LaunchError
from ..machine.wire import HEADER_BYTES, PACKET, raw_bytes
from .exchange import News

T = TypeVar("T")
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
"""What mpiexec of MPICH and of Open MPI tells its processes."""
NAPS = (0.0, 0.0, 0.0, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3)
"""Seconds to sleep, one after the other, while the others have not come; the last one from then on."""
MOST_ENTRIES = 1000
"""Of what a rank has asked for since the ranks last agreed, so much is kept word by word."""
PATIENCE = 2.0
"""Seconds a rank that has failed waits for the others to fail in the same way before it ends them."""


def ranks_started() -> int:
    """How many processes mpiexec has started, this one among them; 1 if it has not."""
    return max(int(os.environ.get(name, "1")) for name in SIZES)


class Ranks:
    """The exchange of a pod whose chips are divided among the processes of mpiexec: number `rank` of `ranks`."""

    def __init__(self) -> None:
        try:
            from mpi4py import MPI
        except ImportError:
            raise LaunchError("a run with several ranks needs mpi4py: pip install 'm890[mpi]'") from None
        self._mpi: Any = MPI
        self._world: Any = MPI.COMM_WORLD.Dup()
        self._farewell: Any = MPI.COMM_WORLD.Dup()
        self.rank, self.ranks = int(self._world.rank), int(self._world.size)
        self._journal = Journal()
        self._parted = ""
        """Who did what when the ranks did different things,"""
        self._left = False
        """or whether all have come to their ends."""
        sys.excepthook = self._failed
        atexit.register(self._end)

    def note(self, what: object) -> None:
        """Remember what the host program has asked for."""
        self._journal.note(str(what))

    def agree(self, what: object) -> None:
        """See that all ranks have done the same so far, and are about to do this together. Raises LaunchError."""
        if not self._parted:
            self.note(what)
            mine, everybody = self._journal.state(), np.zeros((self.ranks, 2), np.int64)
            _wait(self._world.Iallgather(mine, everybody))
            if (everybody == mine).all():
                self._journal.entries.clear()
                return
            self._parted = difference(self.share(self._journal))
        raise LaunchError(f"{self._parted}: all ranks run the same host program, in step with each other")

    def owner(self, chip: int, chips: int) -> int:
        """The rank that has a chip: neighbours are together."""
        return chip * self.ranks // chips

    def share(self, value: T) -> list[T]:
        """Everybody's values, by rank."""
        data = pickle.dumps(value)
        sizes = np.zeros(self.ranks, np.int64)
        _wait(self._world.Iallgather(np.array([len(data)], np.int64), sizes))
        found = np.zeros(int(sizes.sum()), np.uint8)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        byte = self._mpi.BYTE
        _wait(self._world.Iallgatherv([data, byte], [found, (sizes, starts[:-1]), byte]))
        return [pickle.loads(found[a:b].tobytes()) for a, b in pairwise(starts)]

    def share_news(self, news: News) -> list[News]:
        """Everybody's news, by rank; of packets of other ranks the headers."""
        headers = np.ascontiguousarray(raw_bytes(news.packets)[:, :HEADER_BYTES])
        found = [
            replace(one, packets=_with_headers(one.packets))
            for one in self.share(replace(news, packets=headers, payloads={}))
        ]
        found[self.rank] = news
        return found

    def trade(self, parcels: list[Any]) -> list[Any]:
        """Give parcel n to rank n: what the others gave this one, by rank."""
        packed = [pickle.dumps(parcel) for parcel in parcels]
        sizes, byte = np.array([len(data) for data in packed], np.int64), self._mpi.BYTE
        coming = np.zeros(self.ranks, np.int64)
        _wait(self._world.Ialltoall(sizes, coming))
        here, there = np.concatenate([[0], np.cumsum(coming)]), np.concatenate([[0], np.cumsum(sizes)])
        found = np.zeros(int(coming.sum()), np.uint8)
        _wait(self._world.Ialltoallv([b"".join(packed), (sizes, there[:-1]), byte], [found, (coming, here[:-1]), byte]))
        return [pickle.loads(found[a:b].tobytes()) for a, b in pairwise(here)]

    def leave(self, *, failed: bool) -> bool:
        """Say that this rank has done its part, well or not; whether all others have, too.

        A rank that has failed waits a while only: the others may wait for what it will never send.
        """
        request = self._farewell.Ibarrier()
        self._left = _wait(request, PATIENCE if failed else None)
        return self._left

    def _end(self) -> None:
        """Tell the others that the program ends here: they may be about to do something that needs this rank."""
        if self._left or self._parted or self._mpi.Is_finalized():
            return
        try:
            self.agree("ends")
        except LaunchError as error:
            if self.rank == 0:
                print(f"m890: {error}", file=sys.stderr, flush=True)

    def _failed(self, *error: Any) -> None:
        """Show an error that nobody has caught, and end the others if they have not come to it."""
        sys.__excepthook__(*error)
        sys.stderr.flush()
        if not self.leave(failed=True):
            self.abort(1)

    def abort(self, code: int) -> None:
        """End all ranks with an exit code."""
        self._mpi.COMM_WORLD.Abort(code)


@dataclass
class Journal:
    """What the host program of a rank has asked for since the ranks last agreed: the last entries, and a digest of all.

    `count` is how many there were from the beginning.
    """

    entries: deque[str] = field(default_factory=lambda: deque[str](maxlen=MOST_ENTRIES))
    count: int = 0
    digest: int = 0

    def note(self, what: str) -> None:
        """Add an entry."""
        self.entries.append(what)
        self.count += 1
        self.digest = int.from_bytes(blake2b(f"{self.digest} {what}".encode(), digest_size=7).digest(), "little")

    def state(self) -> np.ndarray:
        """What ranks that have done the same have in common."""
        return np.array([self.count, self.digest], np.int64)

    def entry(self, number: int) -> str:
        """The entry of a number, or that there is none."""
        place = number - (self.count - len(self.entries))
        return self.entries[place] if 0 <= place < len(self.entries) else "does no more"


def difference(journals: Sequence[Journal]) -> str:
    """The first entry of another rank that is not what the first one has there: `rank 1 ends where rank 0 ...`."""
    first, start = journals[0], max(one.count - len(one.entries) for one in journals)
    for number in range(start, max(one.count for one in journals)):
        for rank, other in enumerate(journals):
            if other.entry(number) != first.entry(number):
                return f"rank {rank} {other.entry(number)} where rank 0 {first.entry(number)}"
    return "the ranks have not done the same"


def _wait(request: Any, seconds: float | None = None) -> bool:
    """Sleep until a request is done, or for so long; whether it is."""
    end = None if seconds is None else time.monotonic() + seconds
    test: Callable[[], bool] = request.Test
    turn = 0
    while not test():
        if end is not None and time.monotonic() > end:
            return False
        time.sleep(NAPS[min(turn, len(NAPS) - 1)])
        turn += 1
    return True


def _with_headers(headers: np.ndarray) -> np.ndarray:
    """Packets that have their headers only."""
    packets = np.zeros(len(headers), PACKET)
    raw_bytes(packets)[:, :HEADER_BYTES] = headers
    return packets
