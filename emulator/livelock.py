"""Finding out that nothing can change any more: warps that run for ever in the same states.

A chip is deterministic, so if all that its resident blocks hold is the same at two moments and nothing was
stored between them, it will be the same for ever. Moments a fixed number of instructions apart are compared
by digest, the older one moving on at powers of two (Brent's cycle search). When two agree, one more turn of
the cycle is run with every store replaced by a stop; only if none is reached is the launch given up.
A loop that stores, even the same value each time, or reads a clock, is left to the limits.
"""

from __future__ import annotations

import hashlib

from ..isa.awbar import OPERATION, TEST, TEST_PARITY
from ..isa.effects import Stop
from ..isa.spec import Decoded
from . import core, report
from .plan import Plan
from .recipes import stop_of

PATIENCE = 1 << 26
"""Instructions without a finished block before the search starts."""
MOST_STEPS = 256
"""Longest cycle that is run once more to prove it, in steps."""
STEP = 1 << 20
"""Instructions between two digests."""
_COMPARED = ("ring_head", "ring_count", "next_block")


class Watch:
    """Looks at a plan between runs of the core; `stuck` says that it will never change again."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.finished = self.since = 0
        self.saved, self.at = b"", 0
        self.age, self.power = 0, 1
        self.pause = PATIENCE

    @property
    def active(self) -> bool:
        """Whether runs of the core should be STEP instructions each."""
        return int(self.plan.launch["executed"][0]) - self.since > PATIENCE

    def stuck(self) -> bool:
        """Compare the present with the saved moment; call after each run of the core."""
        launch = self.plan.launch
        finished, executed = int(launch["finished"][0]), int(launch["executed"][0])
        if finished != self.finished:
            self.finished, self.since, self.saved, self.age, self.power = finished, executed, b"", 0, 1
            return False
        if not self.active:
            return False
        now = self.digest()
        self.age += 1
        if now == self.saved:
            if self.age <= MOST_STEPS and self._changes_nothing(executed - self.at):
                return True
            self.since = executed + self.pause
            self.pause *= 4
        if now == self.saved or self.age >= self.power:
            self.saved, self.at, self.age, self.power = now, executed, 0, 2 * self.power
        return False

    def digest(self) -> bytes:
        """All that the resident blocks hold, as a hash."""
        plan, found = self.plan, hashlib.blake2b(digest_size=16)
        launch = plan.launch[0]
        for name in _COMPARED:
            found.update(int(launch[name]).to_bytes(8, "little"))
        for turn in range(int(launch["ring_count"])):
            slot = int(plan.ring[(int(launch["ring_head"]) + turn) % plan.slots])
            found.update(plan.blocks[slot].tobytes())
            start, size = slot * plan.shape.warps * plan.stride, plan.shape.warps * plan.stride
            found.update(plan.warps[start : start + size].data)
            found.update(plan.tsm_of(slot).data)
        return found.digest()

    def _changes_nothing(self, instructions: int) -> bool:
        """Run one turn of the cycle with stores stopped; whether none was reached and the state came back."""
        plan = self.plan
        handlers = plan.program.records["handler"]
        stores = [
            index for index, found in enumerate(plan.program.decoded) if isinstance(found, Decoded) and _shows(found)
        ]
        kept = handlers[stores].copy()
        handlers[stores] = plan.engine.address(core.break_here)
        try:
            plan.launch["quota"] = instructions
            while (reason := plan.engine.run(plan.launch.ctypes.data)) == Stop.EVENTS:
                report.deliver(plan)
            return reason == core.QUOTA and self.digest() == self.saved
        finally:
            plan.launch["quota"] = 0
            handlers[stores] = kept


def _shows(found: Decoded) -> bool:
    """Whether somebody else can see what it does: it stores, or stops for Python."""
    instruction = found.form.instruction
    if instruction.awbar is not None:
        return OPERATION.get(instruction.awbar) not in (TEST, TEST_PARITY)
    code = stop_of(instruction)
    if code is not None:
        return code in (Stop.PRINT, Stop.COPY)
    return instruction.access is not None and (instruction.access.store or instruction.access.to != "")
