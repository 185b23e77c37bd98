"""sieve: which numbers are composite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load

if TYPE_CHECKING:
    from ..emulator.chip import Chip

Flags = npt.NDArray[np.uint8]


def reference(n: int) -> Flags:
    """1 for every composite number below n, else 0, by trial division of each number."""
    numbers = np.arange(n, dtype=np.int64)
    composite = np.zeros(n, np.uint8)
    for divisor in range(2, int(n**0.5) + 1):
        composite |= (numbers > divisor) & (numbers % divisor == 0)
    return composite


def launch(chip: Chip, n: int, *, block: int = 256, grid: int = 2) -> Flags:
    """The same on the chip."""
    if block % 32:
        raise ValueError(f"a block is a multiple of 32 threads, not {block}")
    with chip.to_device(np.zeros(n, np.uint8)) as composite:
        load(chip, "sieve")["sieve"][grid, block](n, composite)
        return composite.copy_to_host()
