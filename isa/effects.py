"""What a body can read and change beside its operands: the mask, the program counter, the schedule.

A body takes an implicit register by naming a parameter after it, and says by its result kinds what it
changes. Results that are lane kinds go to the destination operands; the kinds below go elsewhere.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .lanes import U32, U64


class Effect:
    """A result of a body that is not written to a destination operand."""


if TYPE_CHECKING:  # what bodies return for them
    Emsk = Split = Fault = U32
    Next = Jump = U64
else:

    class Emsk(Effect):
        """The new execution mask; only lanes of the running path can be set."""

    class Next(Effect):
        """The address of the instruction to go on with: `following` or a target."""

    class Fault(Effect):
        """A mask: these lanes break the instruction's rule `fault`, and nothing happens; 0 if none does."""

    class Jump(Effect):
        """A code address to go on at. If it is none, the instruction faults and changes nothing."""

    class Split(Effect):
        """A mask: these active lanes go to `target`, the path's others go on."""


class Stop(IntEnum):
    """Why the core loop hands a warp to the scheduler: what a control instruction's body returns."""

    EXIT_LANES = 1
    EXIT_WARP = 2
    BARRIER = 3
    SPLIT = 4
    WAIT = 5
    CLOCK = 6
    TRAP = 7
    FAULT = 8
    COMPILE = 9
    BREAK = 10
    ACCESS = 11
    EVENTS = 12
    YIELD = 14
    PRINT = 15
    COPY = 16
    AWBAR = 17
    REMOTE = 18


HAS_COUNT, ARRIVE, REDUCE_POPC, REDUCE_AND, REDUCE_OR, BARRIER_BLOCK = 1, 2, 4, 8, 16, 32
"""What a barrier instruction does, as bits of its static `barrier`: its operands are the barrier's number, then
(HAS_COUNT) how many threads it waits for, then what to reduce; BARRIER_BLOCK has none."""

IMPLICIT = {
    "emsk": "the lanes that execute now, as a mask in one lane value",
    "lanes": "all lanes of the running path, active or not, as a mask in one lane value",
    "laneid": "0 to 31",
    "following": "the address of the next instruction",
    "here": "the address of this instruction",
    "after": "the code address of the next instruction, as the program sees it",
}
"""Parameter names of bodies that are not operands."""
