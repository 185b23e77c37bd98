"""What memory holds where a warp looks that loops for ever, for messages about launches that cannot go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..isa.addresses import offset_bytes
from ..isa.effects import Jump
from ..isa.encoding import register_mask
from ..isa.operands import Address
from ..isa.registers import EMSK
from ..isa.spec import Decoded
from .machine.state import RECORD_SIZE
from .observe import lanes_in, registers_of
from .plan import Plan, words_of

MOST = 4
"""Words of memory that are shown."""


def found_by(plan: Plan, slot: int, index: int, reads: Sequence[int]) -> str:
    """What a looping warp finds: ", finds 0x1 at byte 4 of 'flags'"; nothing if that is in doubt. `reads` are records.

    An address is known if nothing in the loop writes the registers that it is made of, or emsk.
    """
    warp = plan.warp(slot, index)
    loop = _loop(plan, plan.program.index_of(int(warp["pc"])))
    decoded = {number: found for number in loop if isinstance(found := plan.program.decoded[number], Decoded)}
    changed = [register for found in decoded.values() for register in registers_of(found, "destination")]
    if any(register[:2] == ("s", EMSK) for register in changed):
        return ""
    written = 0
    for register in changed:
        written |= register_mask(register)
    rows = plan.rows(slot, index)
    lanes = lanes_in(int(rows[EMSK, 0]) & int(warp["lanes"]))
    places = dict[int, str]()
    for number in sorted(decoded.keys() & set(reads)):
        address = next(value for value in decoded[number].values if isinstance(value, Address))
        access = decoded[number].form.instruction.access
        if access and not register_mask(address) & written:
            places |= dict(_words(plan, _addresses(address, rows, lanes), access.size))
    shown = list(places.values())
    more = [f"{len(shown) - MOST} words more"] if len(shown) > MOST else []
    return f", finds {', '.join(shown[:MOST] + more)}" if shown else ""


def _loop(plan: Plan, index: int) -> range:
    """The records of the shortest loop without calls around a record; none if there is no such loop."""
    program, loops = plan.program, list[range]()
    first = program.records.ctypes.data
    for branch in program.branches:
        target = (int(program.records["value"][branch]) - first) // RECORD_SIZE
        if target <= index <= branch:
            loops.append(range(target, branch + 1))
    loop = min(loops, key=len, default=range(0))
    calls = (found for number in loop if isinstance(found := program.decoded[number], Decoded))
    return range(0) if any(Jump in found.form.instruction.results for found in calls) else loop


def _addresses(address: Address, rows: np.ndarray, lanes: Sequence[int]) -> list[int]:
    """Where the lanes look."""
    parts = [(address.base, 0), (address.index, address.scale)]
    words = [(words_of(register, rows), scale) for register, scale in parts if register]
    values = [
        sum(int(word[lane]) << 32 * number + scale for found, scale in words for number, word in enumerate(found[:2]))
        for lane in lanes
    ]
    return [offset_bytes(address.offset) + value & (1 << 64) - 1 for value in values]


def _words(plan: Plan, addresses: Sequence[int], size: int) -> Iterator[tuple[int, str]]:
    """The words of this chip's buffers at some addresses: of each its address, and what it holds as text."""
    for address in addresses:
        allocation = plan.hbm.find(address)
        for at in range(address, address + size, 4):
            if allocation is not None and at + min(size, 4) <= allocation.end:
                value = int.from_bytes(plan.hbm.view(at, min(size, 4)).tobytes(), "little")
                yield at, f"{value:#x} at byte {at - allocation.address} of {allocation.label}"
