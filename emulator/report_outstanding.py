"""Which operations a warp has issued that nothing has completed, for messages about launches that cannot go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..isa.spec import Decoded
from .machine.state import SENT
from .observe import lanes_in
from .plan import Plan


class Store(NamedTuple):
    """A store that is kept back: its record's number, its counter's name, and the address of its first lane."""

    record: int
    counter: str
    address: int


def stores(plan: Plan, slot: int, warp: int) -> Iterator[Store]:
    """Those of a warp that have neither acted nor left for another chip, which only late timing keeps back."""
    for _, entry in plan.outstanding(slot, warp):
        index = plan.program.index_of(int(entry["record"]))
        found = plan.program.decoded[index]
        access = found.form.instruction.access if isinstance(found, Decoded) else None
        lanes = lanes_in(int(entry["mask"]))
        if access and access.store and lanes and not entry["returned"] and entry["remote"] != SENT:
            yield Store(index, access.counter, int(entry["address"][lanes[0]]))
