"""ring: elements handed from one block to another through a ring of slots, with acquire and release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load
from .narrow import whole

if TYPE_CHECKING:
    from ..emulator.chip import Chip

U32 = npt.NDArray[np.uint32]


def reference(source: npt.ArrayLike) -> U32:
    """2 * source + 1, modulo 2**32."""
    return (np.asarray(source, np.uint64) * 2 + 1).astype(np.uint32)


def launch(chip: Chip, source: npt.ArrayLike, *, size: int = 64) -> U32:
    """The same on the chip, through a ring of `size` slots, a power of two of at least 32."""
    source = whole(source, np.uint32)
    if source.ndim != 1 or size < 32 or size & (size - 1):
        raise ValueError(f"one dimension and a ring of 32, 64, ... slots, not {source.shape} and {size}")
    with (
        chip.to_device(source) as device_source,
        chip.empty(source.shape, np.uint32) as out,
        chip.empty(size, np.uint32) as slots,
        chip.to_device(np.zeros(1, np.uint32)) as head,
        chip.to_device(np.zeros(1, np.uint32)) as tail,
    ):
        arguments = (len(source), size, device_source, out, slots, head, tail)
        load(chip, "ring")["ring"].launch(2, 32, arguments, cooperative=True)
        return out.copy_to_host()
