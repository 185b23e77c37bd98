"""Finding out that nothing can change any more: warps that run for ever in the same states.

A chip is deterministic, so if all that its resident blocks hold is the same at two moments and no memory has changed
between them, by it or by anybody else, it will be the same for ever. Once a launch has run long without ending a block,
its stores begin with a stop, and its atomics note whether they change what they point to: a `cas` that fails does not.
Until one stores or changes something, moments are compared by digest, the older one moving on at powers of two (Brent's
cycle search); two that agree are the proof. A loop that stores, even the same value each time, or reads a clock, is
left to the limits.

In a pod this holds for all chips together: a chip is stuck only as long as no memory has changed anywhere since the
older of its moments, and the pod if all its chips are found so twice. What a chip has found holds until a change is
heard of, and a store that late timing has kept back since before the search is none: whoever saw it goes on, and is
not found again.
"""

from __future__ import annotations

import hashlib

from ..isa.awbar import OPERATION, TEST, TEST_PARITY
from ..isa.effects import Stop
from ..isa.spec import Decoded
from .codegen.recipes import stop_of
from .machine import core
from .machine.state import ASKED, CHANGED
from .plan import Plan
from .program import Cover, Program

PATIENCE = 1 << 26
"""Instructions without a finished block before the search starts,"""
PATIENCE_WINDOWS = 1 << 11
"""or windows of a pod, whose chips may do next to nothing while they wait for each other."""
STEP = 1 << 20
"""Instructions between two digests on a chip that is alone."""
GENERATIONS = 3
"""Generations of packets that must pass between two moments: requests, their answers, and those that were half way."""
BYTES_A_WINDOW = 1 << 20
"""Bytes of state that are digested for each window of a pod: with more, not every window is looked at."""
_COMPARED = ("ring_head", "ring_count", "admitted")


class Watch:
    """Looks at a plan between runs of the core; `stuck` says that it will never change again."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.finished = self.since = 0
        self.windows = 0
        self.age, self.power, self.saved, self.found = 0, 1, b"", False
        self.saved_at = 0
        self.pause, self.pause_windows = PATIENCE, PATIENCE_WINDOWS
        self._stores: list[int] = []
        self._cover: Cover | None = None

    @property
    def active(self) -> bool:
        """Whether the search is on: runs of the core should be STEP instructions each."""
        return int(self.plan.launch["executed"][0]) - self.since > self.pause or self.windows > self.pause_windows

    @property
    def armed(self) -> bool:
        """Whether its stores stop, and its atomics note what they do."""
        return self._cover is not None

    def stuck(self, generation: int | None = None, *, compare: bool = True) -> bool:
        """Compare the present with the saved moment; call after each run of the core, though not always to compare.

        In a pod `generation` counts how often all that was under way has arrived: a warp that waits for one and the
        same answer all the time is not stuck.
        """
        finished = int(self.plan.launch["finished"][0])
        if finished != self.finished:
            self.finished = finished
            self._start_again()
        if self.armed and self.plan.launch["changed"][0] == CHANGED:
            self.hit()
        if self.found or not compare or not self.active:
            return self.found
        if not self.armed:
            self._arm()
        now = self.digest()
        self.found = now == self.saved and (generation is None or generation >= self.saved_at + GENERATIONS)
        self.age += 1
        if self.age >= self.power or not self.saved:
            self.saved, self.saved_at, self.age, self.power = now, generation or 0, 0, 2 * self.power
        return self.found

    def stuck_in_pod(self, generation: int) -> bool:
        """The same, called after each window of a pod, most of which are passed over where there is much to digest."""
        self.windows += 1
        launch = self.plan.launch[0]
        size = int(launch["ring_count"]) * self.plan.shape.warps * self.plan.stride
        return self.stuck(generation, compare=self.windows % (1 + size // BYTES_A_WINDOW) == 0)

    def forget(self) -> None:
        """Something was stored elsewhere: what was found before says nothing any more."""
        self.age, self.power, self.saved, self.found = 0, 1, b"", False

    def hit(self) -> None:
        """A store was reached, or an atomic has changed memory: look again after four times as long."""
        self.disarm()
        self.pause, self.pause_windows = 4 * self.pause, 4 * self.pause_windows
        self._start_again()

    def disarm(self) -> None:
        """Let stores be done again."""
        if self._cover is not None:
            self.plan.program.uncover(self._cover)
            self._cover, self.plan.launch["changed"] = None, 0

    def digest(self) -> bytes:
        """All that the resident blocks hold, as a hash."""
        plan, found = self.plan, hashlib.blake2b(digest_size=16)
        launch = plan.launch[0]
        for name in _COMPARED:
            found.update(int(launch[name]).to_bytes(8, "little"))
        for turn in range(int(launch["ring_count"])):
            slot = int(plan.ring[(int(launch["ring_head"]) + turn) % plan.slots])
            found.update(plan.blocks[slot].tobytes())
            first = slot * plan.shape.warps
            found.update(plan.warps[first * plan.stride : (first + plan.shape.warps) * plan.stride].data)
            found.update(plan.tsm_of(slot).data)
            for index in range(plan.shape.warps):
                for counter, entry in plan.outstanding(slot, index):
                    found.update(bytes([counter]) + entry.tobytes())
        return found.digest()

    def _start_again(self) -> None:
        self.since, self.windows = int(self.plan.launch["executed"][0]), 0
        self.disarm()
        self.forget()

    def _arm(self) -> None:
        """Make stores stop, and atomics note what they do."""
        program = self.plan.program
        if not self._stores:
            self._stores = [
                index for index, found in enumerate(program.decoded) if isinstance(found, Decoded) and _shows(found)
            ]
        program.records["count"][reads_of(program)] = 0  # what they remember afterwards is what the loop reads
        self._cover = program.cover(self._stores, self.plan.engine.address(core.break_here))
        self.plan.launch["changed"] = ASKED
        self.forget()


def reads_of(program: Program) -> list[int]:
    """The records of loads from global memory, and of atomics there."""
    accesses = [
        (index, found.form.instruction.access)
        for index, found in enumerate(program.decoded)
        if isinstance(found, Decoded)
    ]
    reads = [(index, access) for index, access in accesses if access and (access.atomic or not access.store)]
    return [index for index, access in reads if access.space == "global"]


def _shows(found: Decoded) -> bool:
    """Whether somebody else can see what it does: it stores, or stops for Python. Atomics say so themselves."""
    instruction = found.form.instruction
    if instruction.awbar is not None:
        return OPERATION.get(instruction.awbar) not in (TEST, TEST_PARITY)
    code = stop_of(instruction)
    if code is not None:
        return code in (Stop.PRINT, Stop.COPY)
    access = instruction.access
    return access is not None and not access.atomic and (access.store or access.to != "")
