"""Divergence in random programs: every lane ends as it would alone."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from path_programs import NEVER, PROGRAMS, compare, random_program, shared_chip

from m890.emulator.chip import Chip
from m890.emulator.launch import Limits
from m890.emulator.schedule import Schedule


@given(program=PROGRAMS, threads=st.sampled_from([32, 1, 40, 64]), seed=st.integers(0, 99), opposite=st.booleans())
@settings(max_examples=100)
def test_programs(program: list[Any], threads: int, seed: int, opposite: bool) -> None:
    """if, else, loops, breaks and early exits, nested: every lane ends as it would alone."""
    compare(program, threads, seed, opposite, NEVER, shared_chip())


@pytest.mark.slow
@given(program=PROGRAMS, threads=st.sampled_from([32, 1, 40, 64]), seed=st.integers(0, 99), opposite=st.booleans())
@settings(max_examples=3000)
def test_many_programs(program: list[Any], threads: int, seed: int, opposite: bool) -> None:
    compare(program, threads, seed, opposite, NEVER, shared_chip())


@pytest.mark.parametrize("seed", range(25))
def test_large_programs(seed: int) -> None:
    """Deep nesting; and whichever way warps are sliced, the result is the same."""
    program = random_program(np.random.default_rng(seed))
    compare(program, 64, seed, bool(seed % 2), NEVER, shared_chip())
    compare(
        program, 64, seed, bool(seed % 2), Schedule(warp_slice=5, block_slice=17, spin_limit=1 << 30), shared_chip()
    )


@pytest.mark.parametrize(
    ("timing", "limit"),
    [("eager", limit) for limit in (1, 2, 3, 5, 8, 13, 50)]
    + [("late", limit) for limit in (1, 2, 3, 5, 8, 13)]
    + [("late", 50)],
)
def test_turns_do_not_change_results(timing: Any, limit: int) -> None:
    """Paths take turns after any number of instructions: lanes that do not talk to each other cannot tell."""
    chip = shared_chip() if timing == "eager" else Chip("M890", timing="late", limits=Limits(instructions=300_000))
    for seed in range(12):
        compare(
            random_program(np.random.default_rng(100 + seed)),
            32,
            seed,
            bool(seed % 2),
            Schedule(spin_limit=limit),
            chip,
        )
