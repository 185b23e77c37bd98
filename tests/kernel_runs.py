"""Kernels `k` that write to `out`, under several schedules."""

from typing import Any

import numpy as np
import pytest

from m890.emulator.chip import Chip
from m890.emulator.faults import Fault
from m890.emulator.launch import Limits
from m890.emulator.schedule import Schedule

SCHEDULES = (Schedule(), Schedule(warp_slice=1, block_slice=3), Schedule(warp_slice=7, block_slice=20, spin_limit=5))
LIMIT = Limits(instructions=2_000_000)


def run(source: str, words: int, grid: int = 1, block: int = 64, **how: Any) -> np.ndarray:
    """Run a kernel `k` that writes to its parameter `out`; what stands there."""
    chip = Chip(**how)
    out = chip.to_device(np.zeros(words, np.uint32), name="out")
    chip.assemble(source, "k.s")["k"].launch((grid, 1, 1), (block, 1, 1), [out], limits=LIMIT)
    return out.copy_to_host()


def everywhere(source: str, words: int, **how: Any) -> np.ndarray:
    """The result under several schedules and both builds, which must be one."""
    first, *rest = [
        run(source, words, schedule=schedule, timing=timing, **how)
        for schedule in SCHEDULES
        for timing in ("eager", "late")
    ]
    assert all(np.array_equal(first, other) for other in rest)
    return first


def faulting(source: str, block: int = 64, **how: Any) -> Fault:
    with pytest.raises(Fault) as caught:
        run(source, 32, block=block, **how)
    return caught.value


HEAD = ".kernel k\n.param ptr out\nv.mov.b32 vreg0, %laneid\n"
STORE = "v.mov.b32 vreg1, {0}\nvmem.st.b32 vreg1, [{1:#x} + vreg0 * 0x4] @out\n"
