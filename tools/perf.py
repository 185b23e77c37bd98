"""How long collectives take in modelled time: what `m890 perf` prints (docs/icn.md).

A size is moved: a pod runs the collective on real arrays, and the result is checked. Sizes above what is sensible to
move are modelled from others that are. For a ring behind a switch, where each chip only ever uses its own link, a step
takes as long with two chips as with many: two chips show what a step takes, up to 16 MiB, and beyond that it grows in
proportion. For all else the time of an array grows in proportion behind the largest one that was moved, and never by
less than what the bytes of the busiest link take: behind a small one it may hardly have begun to grow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..emulator.icn.topology import Topology
from ..emulator.pod.exchange import Exchange
from ..emulator.pod.pod import Pod, SymmetricBuffer
from ..emulator.profiles import Profile
from ..programs import all_gather, all_reduce, all_to_all, broadcast, reduce, reduce_scatter, send_recv
from ..programs.pod_group import TYPES, Array, Group

MOVED, MODELLED = "moved", "modelled"
STEPS = (8 << 20, 16 << 20)
"""Bytes of the two steps that say what a step of more takes."""


@dataclass(frozen=True)
class Collective:
    """One of the collectives: how it is run and checked, and what bus bandwidth is of it.

    Sizes are bytes of the larger of a chip's two arrays. `source` and `target` say how many parts of that each has, by
    the number of chips; `bus(n)` is busbw / algbw, as in the NCCL tests, whose terms the vendor's tests use.
    """

    run: Callable[..., None]
    reference: Callable[[Array], Array]
    bus: Callable[[int], float]
    parts: tuple[bool, bool] = (False, False)
    """Whether source and target have a part for each chip."""
    sums: bool = False
    root: int | None = None


def _total(x: Array) -> Array:
    """The sum over chips of small whole numbers, which every type has exactly, in whatever order."""
    return x.astype(np.float32).sum(0).astype(x.dtype)


def _ring_of_sends(group: Group, source: SymmetricBuffer, target: SymmetricBuffer, **options: Any) -> None:
    send_recv.run(group, source, target, [(chip + 1) % group.chips for chip in range(group.chips)], **options)


COLLECTIVES: dict[str, Collective] = {
    "all_reduce": Collective(
        all_reduce.run, lambda x: np.broadcast_to(_total(x), x.shape), lambda n: 2 * (n - 1) / n, sums=True
    ),
    "all_gather": Collective(all_gather.run, all_gather.reference, lambda n: (n - 1) / n, (False, True)),
    "broadcast": Collective(broadcast.run, broadcast.reference, lambda n: 1.0, root=0),
    "reduce": Collective(reduce.run, lambda x: _total(x)[None], lambda n: 1.0, sums=True, root=0),
    "reduce_scatter": Collective(reduce_scatter.run, _total, lambda n: (n - 1) / n, (True, False), sums=True),
    "all_to_all": Collective(all_to_all.run, all_to_all.reference, lambda n: (n - 1) / n, (True, True)),
    "send_recv": Collective(_ring_of_sends, lambda x: np.roll(x, 1, axis=0), lambda n: 1.0),
}


@dataclass(frozen=True)
class Row:
    """A line of the table; times in seconds, bandwidths in B/s, all modelled."""

    size: int
    count: int
    type: str
    redop: str
    root: int
    algorithm: str
    seconds: float
    algbw: float
    busbw: float
    wrong: int | None
    """Elements that were not what they should be; None where nothing was moved."""
    how: str


class Moved(NamedTuple):
    """What came of an array that was moved."""

    seconds: float
    wrong: int
    """Elements that are not what they should be."""
    busy: float
    """Seconds of the link that sent longest."""


@dataclass
class Measurement:
    """One collective on pods of one kind; `algorithm` is one of all_reduce's, or None for the usual one."""

    name: str
    profile: Profile
    chips: int
    type: str = "f32"
    topology: Topology | None = None
    """Of these chips; None is the usual one."""
    algorithm: all_reduce.Algorithm | None = None
    threads: int = 1
    most_moved: int = 16 << 20
    exchange: Exchange | None = None
    """Where several ranks share the chips: all of them measure, in step, and come to the same."""
    known: dict[tuple[int, int, str], Moved] = field(default_factory=dict)
    """What has been moved, by chips, bytes and algorithm."""

    def joined(self, chips: int) -> Topology:
        """How so many of them are joined. Raises ValueError if they cannot be."""
        if self.topology is None:
            return Topology.of(self.profile, chips)
        return self.topology if chips == self.chips else Topology.switch(self.profile, chips)

    def row(self, size: int) -> Row:
        """How long an array of so many bytes takes; a size that parts do not divide is rounded up."""
        kind, collective = np.dtype(TYPES[self.type]), COLLECTIVES[self.name]
        parts = self.chips if any(collective.parts) else 1
        count = max(1, -(-size // (kind.itemsize * parts)))
        size = count * parts * kind.itemsize
        algorithm = self.chosen(size)
        if size <= self.most_moved:
            (seconds, wrong, _), how = self.move(self.chips, size, algorithm), MOVED
        else:
            seconds, wrong, how = self.modelled(size, algorithm), None, MODELLED
        redop, root = "sum" if collective.sums else "none", -1 if collective.root is None else collective.root
        speed = size / seconds
        return Row(
            size,
            count,
            self.type,
            redop,
            root,
            algorithm,
            seconds,
            speed,
            speed * collective.bus(self.chips),
            wrong,
            how,
        )

    @property
    def switched(self) -> bool:
        """Whether each chip has one link, to a switch."""
        return self.joined(self.chips).name == "switch"

    def chosen(self, size: int) -> str:
        """The algorithm for a size; "" where there is only one."""
        if self.name != "all_reduce":
            return ""
        return "one_shot" if self.chips == 1 else self.algorithm or all_reduce.usual(size, switched=self.switched)

    def modelled(self, size: int, algorithm: str) -> float:
        """Seconds, from sizes that can be moved."""
        if algorithm == "ring" and self.switched:
            return self.start() + 2 * (self.chips - 1) * self.step(-(-size // self.chips))
        half, most = self.most_moved // 2, self.most_moved
        low, high = (self.move(self.chips, part, algorithm) for part in (half, most))
        return high.seconds + (size - most) * max((high.seconds - low.seconds) / (most - half), high.busy / most)

    def start(self) -> float:
        """Seconds of a ring's launch up to its first step: two chips have two of these, three have four."""
        return 2 * self.move(2, 64, "ring").seconds - self.move(3, 96, "ring").seconds

    def step(self, size: int) -> float:
        """Seconds of a step of so many bytes of a ring behind a switch."""
        if size <= STEPS[1]:
            return (self.move(2, 2 * size, "ring").seconds - self.start()) / 2
        low, high = (self.step(part) for part in STEPS)
        return high + (size - STEPS[1]) * (high - low) / (STEPS[1] - STEPS[0])

    def move(self, chips: int, size: int, algorithm: str) -> Moved:
        """Run it once on a pod: seconds from its enqueueing to the last chip's end, and how many elements are wrong."""
        key = chips, size, algorithm
        if key not in self.known:
            self.known[key] = self._move(*key)
        return self.known[key]

    def _move(self, chips: int, size: int, algorithm: str) -> Moved:
        collective, kind = COLLECTIVES[self.name], np.dtype(TYPES[self.type])
        pod = Pod(self.profile, chips, topology=self.joined(chips), threads=self.threads, exchange=self.exchange)
        options: dict[str, Any] = {"algorithm": algorithm} if algorithm else {}
        n = max(1, size // kind.itemsize // (chips if any(collective.parts) else 1))
        shapes = [(chips, n) if parts else (n,) for parts in collective.parts]
        with Group(pod) as group:
            most = 1 if collective.sums else 127
            content = np.random.default_rng(chips).integers(0, most, (chips, *shapes[0]), np.int8, True).astype(kind)
            source, target, streams = group.array(content), group.empty(shapes[1], kind), pod.stream()
            begin = [stream.record() for stream in streams]
            collective.run(group, source, target, stream=streams, **options)
            end = [stream.record() for stream in streams]
            pod.synchronize()
            found = target[0].copy_to_host()[None] if self.name == "reduce" else target.copy_to_host()
        wrong = int(np.count_nonzero(found != collective.reference(content)))
        busy = max((link.busy for link in pod.icn.counters().links), default=0.0)
        return Moved(max(event.time for event in end) - min(event.time for event in begin), wrong, busy)


def sizes(least: int, most: int, factor: int) -> list[int]:
    """From `least` bytes to `most`, each `factor` times the one before."""
    found = [least]
    while found[-1] * factor <= most:
        found.append(found[-1] * factor)
    return found
