"""search: where a pattern stands in a text, overlapping places too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load

if TYPE_CHECKING:
    from ..emulator.chip import Chip

Places = npt.NDArray[np.intp]


def reference(text: bytes, pattern: bytes) -> Places:
    """The places, ascending, by Python's own search."""
    found: list[int] = []
    place = text.find(pattern)
    while place >= 0:
        found.append(place)
        place = text.find(pattern, place + 1)
    return np.array(found, np.intp)


def launch(chip: Chip, text: bytes, pattern: bytes, *, block: int = 256, grid: int = 4) -> Places:
    """The same on the chip; the pattern is not empty."""
    if not pattern or block % 32:
        raise ValueError(f"a pattern of at least one byte, whole warps; not {len(pattern)} bytes, {block} threads")
    words = -(-len(text) // 32)
    with (
        chip.to_device(np.frombuffer(text, np.uint8)) as device_text,
        chip.to_device(np.frombuffer(pattern, np.uint8)) as device_pattern,
        chip.empty(words, np.uint32) as found,
    ):
        load(chip, "search")["search"][grid, block](len(text), len(pattern), device_text, device_pattern, found)
        return np.flatnonzero(np.unpackbits(found.copy_to_host().view(np.uint8), bitorder="little"))
