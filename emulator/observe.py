"""What tracers, checkers, coverage and the debugger hook into: batches of executed instructions.

An observer is any object with `executed(batch)`. A chip with observers runs the observed build, which records
one EVENT per executed instruction; without observers nothing of this costs anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from ..isa.effects import REDUCE_AND, REDUCE_OR, REDUCE_POPC, Emsk, Stop
from ..isa.lanes import LANES
from ..isa.operands import Address, IndexedKind, Value
from ..isa.program import Function, Kernel
from ..isa.registers import EMSK, INDEX_REGISTER, SCC, Register
from ..isa.spec import Access, Decoded, DecodeError, Instruction
from .pieces import Piece, Spot, spot_of
from .shape import Dim3, coordinates, threads_of


@dataclass(frozen=True, slots=True)
class Batch:
    """Instructions of one kernel in the order they ran: `events` is an array of EVENT.

    An event's raw `pc` divided by 8 is an index of `decoded`; `Event.pc` is where that is in its function.
    """

    kernel: Kernel
    decoded: list[Decoded | DecodeError]
    grid: Dim3
    block: Dim3
    chip: int
    launch: int
    """Which launch of the chip this is, %gridid: from 1 on."""
    events: np.ndarray
    pieces: Sequence[Piece]

    def __iter__(self) -> Iterator[Event]:
        return (Event(self, event) for event in self.events)

    def decoded_at(self, pc: int) -> Decoded | None:
        """The instruction and its operands at an event's raw `pc`; None for a word that is no instruction."""
        found = self.decoded[pc // 8] if pc // 8 < len(self.decoded) else None
        return found if isinstance(found, Decoded) else None


class Barrier(NamedTuple):
    """The barrier an instruction has come to, BLOCK_BARRIER for s.blksyn, and for how many warps; 0: all live ones."""

    number: int
    warps: int


class Copied(NamedTuple):
    """What an AIU copy touches: the bytes from the first to the last one.

    `memory` are addresses of global memory, empty if all of the cube is outside of the tensor; `tsm` offsets in TSM.
    """

    memory: range
    tsm: range


@dataclass(frozen=True, slots=True)
class Event:
    """One executed instruction. `raw` is its EVENT."""

    batch: Batch
    raw: np.void

    @property
    def pc(self) -> int:
        """Byte offset in `function`."""
        return self.spot.offset

    @property
    def function(self) -> Function:
        """The kernel, or the device function it has called."""
        return self.spot.function

    @property
    def spot(self) -> Spot:
        """Function and byte offset."""
        return spot_of(self.batch.pieces, int(self.raw["pc"]) // 8)

    @property
    def block(self) -> Dim3:
        """The block's coordinates."""
        return coordinates(int(self.raw["block"]), self.batch.grid)

    @property
    def warp(self) -> int:
        """The warp's number in its block."""
        return int(self.raw["warp"])

    @property
    def lanes(self) -> tuple[int, ...]:
        """The lanes that executed it."""
        return lanes_in(int(self.raw["emsk"]))

    @property
    def threads(self) -> dict[int, Dim3]:
        """Where in its block the thread of each of `lanes` is."""
        return threads_of(self.batch.block, self.warp, self.lanes)

    @property
    def decoded(self) -> Decoded | None:
        """The instruction and its operands; None for a word that is no instruction."""
        return self.batch.decoded_at(int(self.raw["pc"]))

    @property
    def text(self) -> str:
        """The instruction as assembly text."""
        found, word = self.decoded, self.spot.word
        return found.form.text(word) if found and word is not None else "(no instruction)"

    @property
    def addresses(self) -> dict[int, int]:
        """What each active lane accessed: lane to address; empty if the instruction accesses no memory.

        Addresses of TSM, where asynchronous barriers are, too, and of private memory are offsets.
        """
        if not self.raw["size"] or self.decoded is None:
            return {}
        lanes = self.lanes if self.decoded.form.instruction.lanes > 1 else (0,)
        return {lane: int(self.raw["address"][lane]) for lane in lanes}

    @property
    def access(self) -> Access | None:
        """How the instruction uses memory, from the table; None if it accesses none, or not by lanes."""
        return self.decoded.form.instruction.access if self.decoded else None

    @property
    def counts(self) -> dict[int, int]:
        """How many bytes each lane of `addresses` accesses there: all of its size, or fewer if an operand says so."""
        size, access = int(self.raw["size"]), self.access
        if access is None or not access.counted:
            return dict.fromkeys(self.addresses, size)
        return {lane: min(size, int(self.raw["counts"][lane])) for lane in self.addresses}

    @property
    def targets(self) -> dict[int, int]:
        """The TSM offset that each lane copies to, of an asynchronous copy by lanes that did not fault; else empty.

        All of a lane's size is written there.
        """
        if self.access is None or not self.access.to or int(self.raw["stop"]) == Stop.FAULT:
            return {}
        return {lane: int(self.raw["to"][lane]) for lane in self.lanes}

    @property
    def barrier(self) -> Barrier | None:
        """What an instruction at a barrier has come to; None of every other instruction, and if it faulted."""
        if int(self.raw["stop"]) != Stop.BARRIER:
            return None
        return Barrier(int(self.raw["barrier"]), int(self.raw["expected"]))

    @property
    def copied(self) -> Copied | None:
        """What an AIU copy copies; None for every other instruction, and if it faulted."""
        if int(self.raw["stop"]) != Stop.COPY:
            return None
        low, high, tsm_low, tsm_high = (int(number) for number in self.raw["address"][:4])
        return Copied(range(low, max(low, high)), range(tsm_low, tsm_high))

    @property
    def accessed(self) -> str:
        """`0x4000000000..0x400000007c`, the first and the last address of the lanes; of a copy both its ranges."""
        addresses, copied = self.addresses.values(), self.copied
        if copied:
            parts = [f"{where[0]:#x}..{where[-1]:#x}" for where in (copied.memory, copied.tsm) if where]
            return ", TSM ".join(parts) if copied.memory else f"TSM {parts[0]}"
        to = self.targets.values()
        beside = f", TSM {min(to):#x}..{max(to):#x}" if to else ""
        return f"{min(addresses):#x}..{max(addresses):#x}{beside}" if addresses else ""

    def reads(self) -> tuple[Register, ...]:
        """The registers it reads, from the table: of its operands, and without being told, such as x0 for ivreg."""
        return self._registers("source")

    def writes(self) -> tuple[Register, ...]:
        """The registers it writes, likewise, such as emsk by s.lop.emsk."""
        return self._registers("destination")

    def _registers(self, role: str) -> tuple[Register, ...]:
        return () if self.decoded is None else registers_of(self.decoded, role)


def lanes_in(mask: int) -> tuple[int, ...]:
    """The lanes of a mask."""
    return tuple(lane for lane in range(LANES) if mask >> lane & 1)


def registers_of(found: Decoded, role: str) -> tuple[Register, ...]:
    """The registers an instruction reads (role "source") or writes ("destination"), those included that are implied."""
    instruction = found.form.instruction
    return *operand_registers(instruction, found.values, role), *implied_registers(instruction, role)


def operand_registers(instruction: Instruction, values: tuple[Value, ...], role: str) -> Iterator[Register]:
    """The registers that operands of one role ("source" or "destination") name."""
    for kind, value in zip(instruction.kinds, values, strict=True):
        if isinstance(value, Address) and role == "source":
            yield from (register for register in (value.index, value.base) if register)
        elif isinstance(value, Register) and (kind.role == role):
            yield value


def implied_registers(instruction: Instruction, role: str) -> Iterator[Register]:
    """The registers an instruction reads ("source") or writes ("destination") that are none of its operands."""
    implied = {binding.name: binding.static for binding in instruction.bindings if binding.operand is None}
    if role == "source":
        if "emsk" in implied:
            yield Register("s", EMSK)
        if any(isinstance(kind, IndexedKind) for kind in instruction.kinds):
            yield Register("s", INDEX_REGISTER)
    else:
        if Emsk in instruction.results:
            yield Register("s", EMSK)
        if implied.get("barrier", 0) & (REDUCE_POPC | REDUCE_AND | REDUCE_OR):
            yield Register("s", SCC)


class Observer(Protocol):
    """Anything that wants to see what runs."""

    def executed(self, batch: Batch) -> None:
        """Look at the next instructions, in order."""
        ...


class InstructionCount:
    """Counts executed instructions and active lanes by mnemonic."""

    def __init__(self) -> None:
        self.executed_by: dict[str, int] = {}
        self.lanes_by: dict[str, int] = {}

    def executed(self, batch: Batch) -> None:
        """Count a batch."""
        for pc, mask in zip(batch.events["pc"], batch.events["emsk"], strict=True):
            found = batch.decoded_at(int(pc))
            name = found.form.mnemonic(found.suffixes) if found else "(none)"
            self.executed_by[name] = self.executed_by.get(name, 0) + 1
            self.lanes_by[name] = self.lanes_by.get(name, 0) + int(mask).bit_count()
