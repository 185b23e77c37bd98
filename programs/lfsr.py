"""lfsr: random numbers from linear-feedback shift registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import load

if TYPE_CHECKING:
    from ..emulator.chip import Chip

U32 = npt.NDArray[np.uint32]
TAPS = 0xA3000000
STEPS = 32


def start(seed: int, threads: int) -> U32:
    """The first state of each thread."""
    x = np.arange(threads, dtype=np.uint32) + np.uint32(seed % 2**32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return np.maximum(x ^ (x >> np.uint32(16)), 1)


def step(state: int) -> int:
    """One step of the register."""
    return (state >> 1) ^ (TAPS if state & 1 else 0)


def reference(count: int, seed: int, threads: int) -> U32:
    """The numbers, (count, threads), by linear algebra.

    A step is linear over the field of two elements, so 32 steps of any state are the exclusive or of 32 steps of each
    of its bits.
    """
    images = [1 << bit for bit in range(32)]
    for _ in range(STEPS):
        images = [step(image) for image in images]
    numbers, state = np.zeros((count, threads), np.uint32), start(seed, threads)
    for k in range(count):
        bits = (state[:, None] >> np.arange(32, dtype=np.uint32)) & 1
        state = np.bitwise_xor.reduce(bits * np.array(images, np.uint32), axis=1)
        numbers[k] = state
    return numbers


def launch(chip: Chip, count: int, seed: int, *, block: int = 128, grid: int = 2) -> U32:
    """`count` numbers of each of grid * block threads on the chip, (count, threads)."""
    with chip.empty((count, grid * block), np.uint32) as out:
        load(chip, "lfsr")["lfsr"][grid, block](count, seed % 2**32, out)
        return out.copy_to_host()
