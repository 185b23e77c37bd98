"""What watching costs: the observed build against the fast one, on saxpy of 2**14 elements.

`cost` is seconds with / seconds without. Both handle the same launch, in turn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...emulator.chip import Chip
from ...emulator.observe import Batch
from ...programs import load
from .measure import Result, medians

ELEMENTS, BLOCK = 1 << 14, 256


class Idle:
    """An observer that looks at nothing: what is left is the cost of recording every instruction."""

    def executed(self, batch: Batch) -> None:
        """Take a batch."""


def observe_off(name: str, repeat: int | None) -> Result:
    """An attached observer that does nothing. Unit: warp instruction."""
    return _cost(name, repeat, Chip(observers=[Idle()]))


def late(name: str, repeat: int | None) -> Result:
    """`timing="late"`, with its poison: operations complete at their wait. Unit: warp instruction."""
    return _cost(name, repeat, Chip(timing="late"))


def _cost(name: str, repeat: int | None, watched: Chip) -> Result:
    with_, without = _saxpy(watched), _saxpy(Chip())
    executed = with_()
    if executed != without():
        raise ArithmeticError(f"{name}: the two builds execute different numbers of instructions")
    seconds, plain = medians(repeat, with_, without)
    return Result(name, seconds, unit_ns=seconds / executed * 1e9, threads=1, cost=seconds / plain)


def _saxpy(chip: Chip) -> Callable[[], int]:
    x, y = (chip.to_device(np.ones(ELEMENTS, np.float32)) for _ in range(2))
    configured = load(chip, "saxpy")["saxpy"][ELEMENTS // BLOCK, BLOCK]
    return lambda: configured(ELEMENTS, 2.0, x, y)


ENTRIES: dict[str, Callable[[str, int | None], Result]] = {"observe_off": observe_off, "late": late}
