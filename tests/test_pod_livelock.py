"""The search for a livelock in a pod: waiting long for an answer is none."""

import numpy as np
import pytest

from m890 import Deadlock, Pod
from m890.emulator import livelock

CHASE = """
        .kernel chase                   // n loads, each from where the one before says
        .param  ptr from
        .param  ptr to
        .param  u32 n
        s.mov.b32       sreg20, n
        v.mov.b32       vreg1, %tid.x
again:  vmem.ld.b32     vreg1, [0x0 + vreg1 * 0x4] @from
        s.wait          vldcnt(0)
        s.sub.i32       sreg20, sreg20, 1
        s.cbr.nz        sreg20, again
        v.mov.b32       vreg0, %tid.x
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @to
        simt.exit
"""
FOR_EVER = CHASE.replace("s.sub.i32       sreg20, sreg20, 1", "s.mov.b32       sreg20, 1")


def chase(timing, source):
    """Chase pointers that go round all 64 elements of another chip's buffer: what 32 threads end with."""
    pod = Pod(chips=2, timing=timing)
    pod.enable_peer_access()
    ring, end = pod.symmetric(64, np.uint32), pod.symmetric(32, np.uint32)
    ring.copy_from_host(np.tile((np.arange(64, dtype=np.uint32) + 1) % 64, (2, 1)))
    pod.assemble(source)["chase"].on(0)[1, 32](ring[1], end[0], 50)
    return end[0].copy_to_host()


@pytest.mark.parametrize("patience", [1, 10])
@pytest.mark.parametrize("timing", ["eager", "late"])
def test_a_chip_that_waits_for_answers_makes_progress(timing, patience, monkeypatch):
    """Windows in which nothing of it changes, for a load is under way, are no proof."""
    monkeypatch.setattr(livelock, "PATIENCE_WINDOWS", patience)
    np.testing.assert_array_equal(chase(timing, CHASE), (np.arange(32) + 50) % 64)


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_a_chip_that_loads_the_same_for_ever_is_a_deadlock(timing, monkeypatch):
    monkeypatch.setattr(livelock, "PATIENCE_WINDOWS", 10)
    with pytest.raises(Deadlock):
        chase(timing, FOR_EVER)
