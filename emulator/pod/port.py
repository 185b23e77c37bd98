"""A chip's end of the interchip links: what it sends, what has arrived for it, and how others act on its memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ...isa import ISA
from ..codegen.recipes import COMPLETE, Recipe, operand_slots
from ..decode import atomic_operands
from ..engine import Engine
from ..hbm import Hbm, window_base
from ..host_memory import aligned_bytes
from ..machine.remote import OPERANDS, RESULT, SCRATCH_BYTES
from ..machine.sending import EPOCH_BIT
from ..machine.state import (
    ASKED,
    ATOMIC_ENTRY,
    CHANGED,
    CHIP,
    LAUNCH,
    PACKET,
    PEER,
    RANGE,
    RECORD,
    RECORD_SIZE,
    ROW,
    UNREACHABLE,
    WARP,
    WINDOW_BITS,
)
from ..machine.window import AT_BORDER
from ..machine.wire import raw_bytes

OUTBOX = 2048
"""Packets a chip can send in a window before its warps must wait for the next one (`defined`)."""


class Port:
    """The CHIP of one chip with what it points to, for `window.run`.

    `capacity` is how many packets fill a window's outbox: at least as many as there are chips, for one access may ask
    all of them. Answers always find room, so that what has arrived acts at the next border, as its senders reckon.
    """

    def __init__(self, number: int, engine: Engine, *, quantum: int, quantum_ps: int, capacity: int = OUTBOX):
        self.engine = engine
        self.chip = np.zeros(1, CHIP)
        self._outbox = np.zeros(capacity, PACKET)
        self._inbox = np.zeros(0, PACKET)
        self._atomics = np.zeros(len(ISA.instructions), ATOMIC_ENTRY)
        self._records = np.zeros(len(ISA.instructions), RECORD)
        self._scratch = aligned_bytes(SCRATCH_BYTES)
        self._served = np.zeros(1, LAUNCH)  # all that atomics of others need of a launch
        self._served["changed"] = ASKED
        self._scratch[: WARP.itemsize].view(WARP)["launch"] = self._served.ctypes.data
        values = {
            "number": number,
            "quantum": quantum,
            "quantum_ps": quantum_ps,
            "left": AT_BORDER,
            "outbox": self._outbox.ctypes.data,
            "outbox_capacity": capacity,
            "atomics": self._atomics.ctypes.data,
            "scratch": self._scratch.ctypes.data,
        }
        for name, value in values.items():
            self.chip[name] = value

    @property
    def address(self) -> int:
        """The address of the CHIP."""
        return self.chip.ctypes.data

    def take_changed(self) -> bool:
        """Whether atomics of other chips have changed memory here since this was last asked."""
        if self._served["changed"][0] != CHANGED:
            return False
        self._served["changed"] = ASKED
        return True

    @property
    def outbox(self) -> np.ndarray:
        """The packets sent since `clear`, live."""
        return self._outbox[: int(self.chip["outbox_count"][0])]

    def clear(self) -> None:
        """Empty the outbox."""
        self.chip["outbox_count"] = 0

    def deliver(self, packets: np.ndarray) -> None:
        """Add packets whose `arrival` is known to those that were not taken in yet, in the order of their arrival."""
        raw = np.concatenate([raw_bytes(self.waiting), raw_bytes(packets)])  # numpy copies structs field by field
        keys = raw.reshape(-1).view(PACKET)
        order = np.lexsort((keys["seq"], keys["src"], keys["arrival"]))
        self._inbox = raw[order].reshape(-1).view(PACKET)
        self._make_room(int(self.chip["outbox_capacity"][0]) + len(self._inbox))
        self.chip["inbox"] = self._inbox.ctypes.data
        self.chip["inbox_count"], self.chip["inbox_next"] = len(self._inbox), 0

    def _make_room(self, size: int) -> None:
        """Let the outbox have room for so many packets: one for an answer to each that has arrived."""
        if size > len(self._outbox):
            larger = np.zeros(2 * size, PACKET)
            raw_bytes(larger)[: len(self.outbox)] = raw_bytes(self.outbox)
            self._outbox = larger
            self.chip["outbox"] = larger.ctypes.data

    @property
    def waiting(self) -> np.ndarray:
        """The packets that have been delivered but not taken in."""
        return self._inbox[int(self.chip["inbox_next"][0]) : int(self.chip["inbox_count"][0])]

    def serve(self, ranges: np.ndarray) -> None:
        """The chip's own allocations, as RANGE sorted by address: what others can access. Keep the array alive."""
        self._ranges = ranges
        self.chip["ranges"], self.chip["range_count"] = ranges.ctypes.data, len(ranges)

    def begin(self, launch: int) -> None:
        """The LAUNCH at an address runs from the next border on (0: none does); answers to an earlier one are lost."""
        self.chip["launch"], self.chip["idle"], self.chip["left"] = launch, 0, AT_BORDER
        self.chip["epoch"] = (int(self.chip["epoch"][0]) + 1) & (1 << 63 - EPOCH_BIT) - 1

    def learn(self, word: int) -> None:
        """Make ready an atomic that another chip asks for."""
        instruction = ISA.instructions[word - 1]
        slots, place = operand_slots(instruction), int(self.chip["atomic_count"][0])
        record, entry = self._records[place], self._atomics[place]
        access = instruction.access
        assert access is not None
        for number, name in enumerate(atomic_operands(instruction)):
            record["operand"][slots[name]] = OPERANDS + ROW * (access.size // 4) * number
        for kind in instruction.kinds:
            if kind.role == "destination":
                record["operand"][slots[kind.name]] = RESULT
        entry["word"], entry["handler"] = word, self.engine.handlers.get(Recipe(instruction, COMPLETE))
        entry["record"] = self._records.ctypes.data + place * RECORD_SIZE
        self.chip["atomic_count"] = place + 1


def pod_ranges(number: int, memories: Sequence[Hbm], enabled: Collection[int]) -> np.ndarray:
    """All that a chip of a pod finds in the windows of the pod's chips, as RANGE sorted by address.

    Its own allocations, those of the chips it can access, and the whole window of every other.
    """
    tables: list[np.ndarray] = []
    for chip, memory in enumerate(memories):
        if chip == number:
            tables.append(memory.table())
        elif chip in enabled:
            table = memory.table().copy()
            table["flags"] |= PEER
            tables.append(table)
        else:
            first = window_base(chip)
            tables.append(np.array([(first, first + (1 << WINDOW_BITS), 0, UNREACHABLE)], RANGE))
    return np.concatenate(tables)
