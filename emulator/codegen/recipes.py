"""What a handler is made for: instruction bodies as `i64 handler(warp, record)`.

A handler loads the operands' rows, runs the body, writes the results to the active lanes and returns the
address of the record to run next, or STOP plus a code. One recipe is one handler: an instruction with what
the words that use it have in common. Memory instructions have three glues around one body: `fast` resolves
and moves at once; `issue` (observed build) resolves and leaves the moving to `complete`, later or at once.
"""

from __future__ import annotations

from typing import NamedTuple

from ...isa import numerics
from ...isa.addresses import AddressKind
from ...isa.effects import Stop
from ...isa.lanes import LANES
from ...isa.matrix import RATES, MatrixForm
from ...isa.number_kinds import CodeTarget, DataAddress, Number, Target
from ...isa.operands import IndexedKind, Kind, RegisterKind
from ...isa.source_kind import Source
from ...isa.spec import Decoded, Instruction
from ..machine.state import ACQUIRE, RELEASE
from .fingerprint import fingerprint

FAST, ISSUE, COMPLETE = "fast", "issue", "complete"
PEER = "peer"
"""The build of a whole program that can reach other chips: handlers as in FAST, but for what must see what is
outstanding (`handler_build`)."""
ORDERS = {"release": RELEASE, "acquire": ACQUIRE, "acq_rel": RELEASE | ACQUIRE}
"""Memory orders of accesses that order others, as an INFO has them."""


class Recipe(NamedTuple):
    """What one handler is made for. Words with equal recipes share it."""

    instruction: Instruction
    build: str = FAST
    negate: tuple[str, ...] = ()
    absolute: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    emsk_written: tuple[str, ...] = ()
    """Destinations that are emsk, where only lanes of the path can be set."""
    dense: bool = False
    """The index scale equals the bytes moved, so consecutive indices are consecutive bytes."""


def stop_of(instruction: Instruction) -> Stop | None:
    """What an instruction always hands its warp to the schedule for, which then reads its operands; None of others."""
    if instruction.results != (Stop,):
        return None
    return instruction.body(*[binding.static for binding in instruction.bindings])


def handler_build(found: Decoded, build: str, copies: bool) -> str:
    """The build of a word's handler in a program's build; `copies` if the program has asynchronous copies.

    In PEER the schedule must see waits while something is outstanding, accesses with a memory order, copies, and stores
    to TSM that may come behind a copy to the same bytes.
    """
    instruction = found.form.instruction
    access = instruction.access
    if access is None:
        return build if stop_of(instruction) is Stop.WAIT else FAST
    if build != PEER:
        return build
    behind = access.space == "tsm" and access.store and copies
    return ISSUE if found.order in ORDERS or access.to or behind else FAST


def operand_slots(instruction: Instruction) -> dict[str, int]:
    """Where in RECORD.operand each operand's row offset stands; an address takes two (index, base)."""
    slots: dict[str, int] = {}
    for kind in instruction.kinds:
        in_value = isinstance(kind, Target | CodeTarget | DataAddress)  # RECORD.value holds it
        if isinstance(kind, RegisterKind | IndexedKind | Source | Number) and not in_value:
            slots[kind.name] = len(slots)
        elif isinstance(kind, AddressKind):
            slots[kind.name] = len(slots)
            slots[f"{kind.name}.base"] = len(slots)
    return slots


def matrix_work(instruction: Instruction) -> tuple[int, int]:
    """Of a matrix instruction, which of a launch's rates it counts at, and how much; (0, 0) of others."""
    for binding in instruction.bindings:
        if isinstance(binding.static, MatrixForm) and instruction.access is None:
            return RATES.index(binding.static.rate), binding.static.work
    return 0, 0


def lanes_of(kind: Kind) -> int:
    """How many lanes an operand is read with: 1 where all lanes of its row are the same by its nature."""
    if isinstance(kind, Source):
        return LANES if kind.flags.either else 1
    if isinstance(kind, RegisterKind | IndexedKind):
        return LANES if kind.per_lane else 1
    return 1


def key_of(recipe: Recipe) -> str:
    """The cache key of a handler: its recipe, its body and all they depend on."""
    instruction = recipe.instruction
    shape = [
        (
            kind.name,
            type(kind).__name__,
            kind.role,
            getattr(kind, "bank", ""),
            getattr(kind, "words", 1),
            lanes_of(kind),
            (kind.index_bank, kind.base_bank, kind.base_words) if isinstance(kind, AddressKind) else (),
            getattr(kind, "rows", ()),
        )
        for kind in instruction.kinds
    ]
    bindings = [(binding.name, binding.kind, binding.operand, binding.static) for binding in instruction.bindings]
    vocabulary = [numerics.RESULT_SUFFIXES[name] for name in recipe.suffixes if name in numerics.RESULT_SUFFIXES]
    return fingerprint(
        "handler",
        instruction.body,
        bindings,
        instruction.results,
        shape,
        instruction.lanes,
        instruction.access or (),
        instruction.all_lanes,
        instruction.fault,
        recipe[1:],
        vocabulary,
        matrix_work(instruction),
    )
