"""One chip of a pod between two meetings: what it runs, what it has been sent and sends, and its copy engines."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from . import core, report, window
from .copies import HostEngine, PeerEngine
from .faults import Deadlock
from .hbm import Hbm
from .launch import Run
from .plan import aligned_bytes
from .serve import Server
from .state import CHIP
from .streams import Kernel, Move
from .wire import COPY, PACKET

if TYPE_CHECKING:
    from .chip import Chip

OUTBOX = 2048
"""Packets a chip can send between two meetings; a warp that finds no room tries again after the meeting."""
EPOCHS = 1 << 23
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
    ready: list[tuple[int, int, Kernel]] = field(default_factory=list[tuple[int, int, Kernel]])
    """Kernels by the time at which they were ready and their number."""
    into: HostEngine = field(default_factory=HostEngine)
    out: HostEngine = field(default_factory=HostEngine)
    peer: PeerEngine = field(default_factory=PeerEngine)

    def clear(self) -> None:
        """Forget all work."""
        self.task, self.status, self.ready = None, Status.FREE, []
        self.into, self.out, self.peer = HostEngine(), HostEngine(), PeerEngine()


class Node:
    """The machine of a chip, on the rank that owns it."""

    def __init__(self, chip: Chip, quantum: int, quantum_ps: int):
        self.chip = chip
        self.run: Run | None = None
        self.ended: int | None = None
        """When the launch ended, if it did in this window."""
        self.error: Exception | None = None
        self.texts: list[str] = []
        """What its kernels have printed in this window."""
        self.state = aligned_bytes(CHIP.itemsize).view(CHIP)
        self.outbox = aligned_bytes(OUTBOX * PACKET.itemsize).view(PACKET)
        self.inbox = np.zeros(0, PACKET)
        self.sent: list[tuple[np.ndarray, np.ndarray]] = []
        """Bursts of its copies that leave in this window, and their bytes."""
        self.bursts: list[tuple[int, np.ndarray]] = []
        """When bursts to this chip arrive, and their bytes, which must stay until then."""
        self.server = Server(chip)
        values = {
            "number": chip.index,
            "quantum": quantum,
            "quantum_ps": quantum_ps,
            "left": -1,
            "outbox": self.outbox.ctypes.data,
            "outbox_capacity": OUTBOX,
        }
        for name, value in values.items():
            self.state[name] = value
        self.server.attach(self.state)

    @property
    def time(self) -> int:
        """The border it stands at."""
        return int(self.state["time"][0])

    @property
    def busy(self) -> bool:
        """Whether there is anything for it to do in a window."""
        return self.run is not None or int(self.state["inbox_next"][0]) < int(self.state["inbox_count"][0])

    def start(self, task: Kernel, now: int) -> None:
        """Begin a launch at a border."""
        self.run = task.launch.start()
        plan = self.run.plan
        epoch = (int(self.state["epoch"][0]) + 1) % EPOCHS
        self.state["launch"], self.state["epoch"], self.state["time"] = plan.launch.ctypes.data, epoch, now
        plan.launch["chip"] = self.state.ctypes.data

    def advance(self, end: int) -> None:
        """Run to the window's end, or to an error, which is kept."""
        self.state["until"] = end
        if self.state["ranges"][0] != self.ranges.ctypes.data:
            self.state["ranges"], self.state["range_count"] = self.ranges.ctypes.data, len(self.ranges)
        try:
            while not self._stopped(self.chip.engine.window(self.state.ctypes.data)):
                pass
        except Exception as error:
            self.error = error

    @property
    def ranges(self) -> np.ndarray:
        """The RANGEs of its HBM, which requests of others may go to."""
        hbm: Hbm = self.chip.hbm
        return hbm.table()

    def _stopped(self, reason: int) -> bool:
        """Do what the window has stopped for; whether it has come to its end."""
        run = self.run
        if reason == window.WINDOW:
            if run is not None and run.plan.observers:
                with _python:
                    run.deliver()
            return True
        with _python:
            if reason == window.UNKNOWN_WORD:
                self.server.learn(self.state)
                return False
            assert run is not None
            run.deliver()
            if reason == core.DONE:
                self.ended, self.run = self.time, None
                self.state["launch"] = 0
                run.check_instructions()
            elif reason == core.DEADLOCK:
                hint = "every live lane of a block must reach its barrier"
                raise Deadlock(places=report.places(run.plan), hint=hint)
            else:
                run.stopped(reason)
        return False

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
            "word": payload.ctypes.data,
            "burst": payload.nbytes,
        }
        for name, value in values.items():
            packet[name] = value
        packet["address"][0, 0] = copy.target.thing.address + copy.target.pitch * rows.start + columns.start
        self.state["seq"] += 1
        self.sent.append((packet, payload))

    def take_outbox(self) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """What was sent in this window, bursts included, and the bytes of these by sequence number."""
        count = int(self.state["outbox_count"][0])
        self.state["outbox_count"] = 0
        sent = [self.outbox[:count].copy(), *(packet for packet, _ in self.sent)]
        payloads = {int(packet["seq"][0]): payload for packet, payload in self.sent}
        self.sent = []
        return np.concatenate(sent) if len(sent) > 1 else sent[0], payloads

    def deliver(self, packets: np.ndarray, payloads: list[tuple[int, np.ndarray]]) -> None:
        """Put what others have sent into the inbox; it stays in the order of arrival, equal ones as they come."""
        waiting = self.inbox[int(self.state["inbox_next"][0]) : int(self.state["inbox_count"][0])]
        if len(packets) or len(waiting) != len(self.inbox):
            inbox = np.concatenate([waiting, packets])
            self.inbox = inbox[np.argsort(inbox["arrival"], kind="stable")]
            self.state["inbox"], self.state["inbox_count"] = self.inbox.ctypes.data, len(self.inbox)
            self.state["inbox_next"] = 0
        since = self.time - 2 * int(self.state["quantum_ps"][0])
        self.bursts = [entry for entry in self.bursts if entry[0] > since] + payloads

    def clear(self) -> None:
        """Forget the launch and all packets; the chip stands at a border again."""
        self.run, self.ended, self.error = None, None, None
        self.sent, self.bursts, self.inbox = [], [], np.zeros(0, PACKET)
        for name in ("launch", "debt", "inbox_count", "inbox_next", "outbox_count", "idle"):
            self.state[name] = 0
        self.state["left"] = -1
