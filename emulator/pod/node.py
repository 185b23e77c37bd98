"""One chip of a pod between two meetings: what it runs, what it has been sent and sends, and its copy engines."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import IntEnum
from threading import Lock

import numpy as np

from ...isa.effects import Stop
from ..chip import Chip
from ..launch import Run
from ..machine import core, window
from ..machine.wire import COPY, PACKET
from ..streams import Kernel, Move, Prepared
from .copy_engines import HostEngine, PeerEngine
from .port import OUTBOX, Port

_python = Lock()
"""Held by a thread that does for its chip what only Python can: compiling, printing, observers."""


class Status(IntEnum):
    """What a chip does, as all ranks know it."""

    FREE = 0
    RUNS = 1
    IDLE = 2
    """All its warps wait for what has not come."""
    STUCK = 3
    """Its warps go round and round, and will for ever unless something comes."""


@dataclass
class Place:
    """What every rank knows of a chip: the kernel it runs, those that are ready to, and its copy engines."""

    chip: Chip
    task: Kernel | None = None
    status: Status = Status.FREE
    ran: bool = False
    """Whether a kernel has ended on it since the host made the pod run."""
    ready: list[tuple[int, int, Kernel]] = field(default_factory=list[tuple[int, int, Kernel]])
    """Kernels by the time at which they were ready and their number."""
    into: HostEngine = field(default_factory=HostEngine)
    out: HostEngine = field(default_factory=HostEngine)
    peer: PeerEngine = field(default_factory=PeerEngine)

    @property
    def waits(self) -> bool:
        """Whether there is something to be done yet beside the kernel: copies from other chips, or the next kernel."""
        return bool(self.peer.moves or (self.ready and not self.task))

    def clear(self) -> None:
        """Forget all work."""
        self.task, self.status, self.ready = None, Status.FREE, []
        self.into, self.out, self.peer = HostEngine(), HostEngine(), PeerEngine()


class Node:
    """The machine of a chip, on the rank that owns it."""

    def __init__(self, chip: Chip, quantum: int, quantum_ps: int):
        self.chip = chip
        self.run: Run | None = None
        self.launch: Prepared | None = None
        self.ended: tuple[int, int] | None = None
        """When the launch ended, if it did in this window, and how many instructions it executed."""
        self.error: Exception | None = None
        self.stuck = False
        """Whether the search for a livelock has found one,"""
        self.changed = False
        """and whether in this window it began, or met a store or an atomic that has changed memory."""
        self.texts: list[str] = []
        """What its kernels have printed in this window."""
        self.sent: list[tuple[np.ndarray, np.ndarray]] = []
        """Bursts of its copies that leave in this window, and their bytes."""
        self.bursts: list[tuple[int, np.ndarray]] = []
        """When bursts to this chip arrive, and their bytes, which must stay until then."""
        self.port = Port(chip.index, chip.engine, quantum=quantum, quantum_ps=quantum_ps, capacity=OUTBOX)
        self.state = self.port.chip

    @property
    def time(self) -> int:
        """The border it stands at."""
        return int(self.state["time"][0])

    @property
    def busy(self) -> bool:
        """Whether there is anything for it to do in a window."""
        return self.run is not None or len(self.port.waiting) > 0

    def start(self, task: Kernel, now: int) -> None:
        """Begin a launch at a border."""
        self.launch, self.run = task.launch, task.launch.start(self.port.address)
        self.state["time"] = now
        self.port.begin(self.run.plan.launch.ctypes.data)

    def advance(self, now: int, end: int, generation: int) -> None:
        """Run to the window's end, or to an error, which is kept."""
        self.state["time"], self.state["until"] = max(self.time, now), end
        self.port.serve(self.chip.hbm.table())
        try:
            while not self._stopped(self.chip.engine.window(self.port.address)):
                pass
            self._look(generation)
        except Exception as error:
            self.error = error

    def _look(self, generation: int) -> None:
        """Whether the launch has executed too much, or goes round and round."""
        if self.run is not None:
            self.run.check_instructions()
            watch = self.run.watch
            armed = watch.armed
            if self.state["debt"][0] >= self.state["quantum_ps"][0]:  # it stands still because its matrices take long
                watch.forget()
            self.stuck = not self.run.limits.endless and watch.stuck_in_pod(generation)
            self.changed = self.changed or watch.armed != armed

    def _stopped(self, reason: int) -> bool:
        """Do what the window has stopped for; whether it has come to its end."""
        run = self.run
        with _python if reason != window.WINDOW or self.chip.mode.observers else nullcontext():
            if run is not None:
                run.deliver()
            if reason == window.WINDOW:
                return True
            if reason == window.UNKNOWN_WORD:
                self.port.learn(int(self.state["unknown"][0]))
                return False
            assert run is not None
            if reason == core.DONE:
                self.ended = self.time, run.executed
                self._end()
                run.check_instructions()
            else:
                self.changed = self.changed or reason == Stop.BREAK
                run.stopped(reason)
        return False

    def take_changed(self) -> bool:
        """Whether memory has changed in this window, by this chip or by atomics of others, or the search has begun."""
        changed, self.changed = self.port.take_changed() or self.changed, False
        return changed

    def send(self, move: Move, index: int, time: int) -> None:
        """Put a burst of a copy into the outbox."""
        copy = move.copy
        rows, columns = copy.part(index)
        payload = np.ascontiguousarray(copy.source.view()[rows, columns]).reshape(-1)
        packet = np.zeros(1, PACKET)
        values = {
            "kind": COPY,
            "src": self.chip.index,
            "dst": copy.target.chip,
            "time": time,
            "seq": int(self.state["seq"][0]),
            "tag": -1 - move.number,
            "mask": index,
            "returns": move.pulls,
            "word": payload.ctypes.data,
            "burst": payload.nbytes,
        }
        for name, value in values.items():
            packet[name] = value
        packet["address"][0, 0] = copy.target.thing.address + copy.target.pitch * rows.start + columns.start
        self.state["seq"] += 1
        self.sent.append((packet, payload))

    @property
    def has_sent(self) -> bool:
        """Whether anything was sent in this window."""
        return bool(self.sent) or int(self.state["outbox_count"][0]) > 0

    def take_outbox(self) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """What was sent in this window, bursts included, and the bytes of these by sequence number."""
        sent = [self.port.outbox.copy(), *(packet for packet, _ in self.sent)]
        payloads = {int(packet["seq"][0]): payload for packet, payload in self.sent}
        self.port.clear()
        self.sent = []
        return np.concatenate(sent) if len(sent) > 1 else sent[0], payloads

    def deliver(self, packets: np.ndarray, bursts: list[tuple[int, np.ndarray]]) -> None:
        """Put what arrives before the next meeting into the inbox, in order."""
        if len(packets):
            self.port.deliver(packets)
        since = self.time - 2 * int(self.state["quantum_ps"][0])
        self.bursts = [entry for entry in self.bursts if entry[0] > since] + bursts

    def _end(self) -> None:
        """The launch runs no longer."""
        if self.run is not None:
            self.run.watch.disarm()
        self.run = None
        self.port.begin(0)
        if self.launch is not None:
            self.launch.end()

    def clear(self) -> None:
        """Forget the launch and all packets; the chip stands at a border again."""
        self._end()
        self.ended, self.error = None, None
        self.sent, self.bursts = [], []
        self.port.clear()
        self.state["inbox_count"] = self.state["inbox_next"] = self.state["debt"] = 0
