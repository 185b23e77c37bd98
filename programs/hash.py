"""hash: FNV-1a and CRC-32 of many byte strings."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load

if TYPE_CHECKING:
    from ..emulator.chip import Chip

U32 = npt.NDArray[np.uint32]


def reference(strings: Sequence[bytes]) -> U32:
    """The CRC-32 of each, by zlib."""
    return np.array([zlib.crc32(string) for string in strings], np.uint32)


def fnv1a_reference(strings: Sequence[bytes]) -> U32:
    """FNV-1a of each, in Python's whole numbers."""
    found: list[int] = []
    for string in strings:
        value = 0x811C9DC5
        for byte in string:
            value = (value ^ byte) * 0x01000193 % 2**32
        found.append(value)
    return np.array(found, np.uint32)


def launch(chip: Chip, strings: Sequence[bytes], *, kernel: str = "crc32", block: int = 128, grid: int = 2) -> U32:
    """The hash of each on the chip; `kernel` is crc32 or fnv1a."""
    starts = np.cumsum([0, *(len(string) for string in strings)]).astype(np.uint32)
    text = np.frombuffer(b"".join(strings), np.uint8)
    with (
        chip.to_device(starts) as device_starts,
        chip.to_device(text) as device_text,
        chip.empty(len(strings), np.uint32) as out,
    ):
        load(chip, "hash")[kernel][grid, block](len(strings), device_starts, device_text, out)
        return out.copy_to_host()
