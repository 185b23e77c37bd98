"""The order in which a chip runs what it holds, as users choose it; `machine.core` runs it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import index

import numpy as np

SLICES, TURNS, STEPS = (1, 2, 3, 5, 8, 13, 21, 34, 50), (1, 3, 10, 100, 1000), (1, -1, 3, 5)
"""What seeds choose from: instructions of a warp's turn, turns of a block, steps to the next warp or block."""
MOST_SLICE = 1 << 62
"""Instructions: so many that nothing gives way."""


@dataclass(frozen=True)
class Schedule:
    """The order in which a chip runs what it holds, in instructions (docs/machine.md section 7)."""

    warp_slice: int = 4096
    """A warp runs until it waits or for this many, then the next warp of the block."""
    block_slice: int = 65536
    """A block runs until none of its warps can go on or for this many, then the next resident block."""
    spin_limit: int = 1024
    """A path that neither joins nor exits gives way to the next one after this many."""
    first_warp: int = 0
    """The warp of a block that begins, modulo how many it has."""
    warp_step: int = 1
    """How far on the next warp is, modulo how many there are; a step that would leave warps out becomes 1."""
    first_block: int = 0
    """The block of a grid that becomes resident first, modulo how many it has. The one that is i-th in this order runs
    on compute unit i, modulo how many a chip has."""
    block_step: int = 1
    """How far on the next block is, as `warp_step`."""

    def __post_init__(self) -> None:
        """Refuse slices in which nothing can run, or that the core cannot count."""
        for name in ("warp_slice", "block_slice", "spin_limit"):
            if not 1 <= index(getattr(self, name)) <= MOST_SLICE:
                raise ValueError(
                    f"{name} is a number of instructions from 1 to {MOST_SLICE:,}, not {getattr(self, name)}"
                )

    @classmethod
    def seeded(cls, seed: int) -> Schedule:
        """The usual schedule for 0, else one in which warps interleave; which one follows from the seed alone.

        Block `seed` of a grid becomes resident first, and warp `seed` of a block begins, modulo how many there are.
        Slices are short, and the orders of blocks and of warps vary.
        """
        if seed < 0:
            raise ValueError(f"a seed is a whole number from 0, not {seed}")
        if seed == 0:
            return cls()
        warp_slice, turns, warp_step, block_step = (int(number) for number in np.random.PCG64(seed).random_raw(4))
        warp_slice = SLICES[warp_slice % len(SLICES)]
        block_slice = warp_slice * TURNS[turns % len(TURNS)]
        return cls(
            warp_slice,
            block_slice,
            first_warp=seed,
            warp_step=STEPS[warp_step % len(STEPS)],
            first_block=seed,
            block_step=STEPS[block_step % len(STEPS)],
        )


def step_among(step: int, count: int) -> int:
    """The step, modulo a number of warps or blocks, that comes to all of them."""
    step %= count
    return step if math.gcd(step, count) == 1 else 1
