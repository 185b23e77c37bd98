"""Schedules that a seed chooses: the same every time, fair, and apt to show what a missing barrier does."""

import numpy as np
import pytest

from m890 import Chip, Deadlock, Limits, Schedule

SEEDS = range(1, 10)
TIMINGS = ("eager", "late")

HEAD = """
        .kernel race
        .param  ptr y
        .tsm    4096 table
        v.mov.b32       vreg0, %tid.x
        s.wait          tsmcnt(0)
"""
TAIL = """
        s.wait          tsmcnt(0)
        vmem.st.b32     vreg3, [0x0 + vreg0 * 0x4] @y
        simt.exit
"""
FIRST_WRITES = """
        v.and.b32       vreg1, vreg0, 31
        s.cmp.ne.u32    scc, %warpid, 0
        s.cbr.nz        scc, read
        v.add.i32       vreg2, vreg0, 100
        tsm.st.b32      vreg2, [table + vreg0 * 0x4]
        s.wait          tsmcnt(0)
read:   s.blksyn
        tsm.ld.b32      vreg3, [table + vreg1 * 0x4]
"""
FIRST_WRITES_LATE = FIRST_WRITES.replace("v.add.i32", 60 * "        s.nop\n" + "        v.add.i32", 1)
LEFT_NEIGHBOUR = """
        tsm.st.b32      vreg0, [table + vreg0 * 0x4]
        s.wait          tsmcnt(0)
        s.blksyn
        v.add.i32       vreg1, vreg0, -32
        s.sub.i32       sreg40, %ntid.x, 1
        v.and.b32       vreg1, vreg1, sreg40
        tsm.ld.b32      vreg3, [table + vreg1 * 0x4]
"""
RIGHT_NEIGHBOUR = LEFT_NEIGHBOUR.replace("-32", "32")
WRITE_AFTER_READ = """
        v.mov.b32       vreg1, 7
        tsm.st.b32      vreg1, [table + vreg0 * 0x4]
        s.wait          tsmcnt(0)
        s.bar.sync      0
        v.xor.b32       vreg1, vreg0, 32
        tsm.ld.b32      vreg3, [table + vreg1 * 0x4]
        s.wait          tsmcnt(0)
        s.blksyn
        tsm.st.b32      vreg0, [table + vreg0 * 0x4]
"""
KERNELS = {
    "first writes": FIRST_WRITES,
    "first writes late": FIRST_WRITES_LATE,
    "left neighbour": LEFT_NEIGHBOUR,
    "right neighbour": RIGHT_NEIGHBOUR,
    "write after read": WRITE_AFTER_READ,
}


def result(body, schedule, *, block=128, grid=3, timing="eager"):
    """What every thread has read (in all blocks the same, if it is right)."""
    chip = Chip(timing=timing, schedule=schedule, poison=True)
    y = chip.to_device(np.zeros(block, np.uint32))
    chip.assemble(HEAD + body + TAIL)["race"][grid, block](y)
    return y.copy_to_host().tolist()


@pytest.mark.parametrize("block", [64, 128, 1024])
@pytest.mark.parametrize("name", KERNELS)
def test_a_missing_barrier_shows_under_some_seed_below_10(name, block):
    body = KERNELS[name]
    right = result(body, Schedule(), block=block)
    for timing in TIMINGS:
        broken = body.replace("s.blksyn", "")
        assert any(result(broken, Schedule.seeded(seed), block=block, timing=timing) != right for seed in SEEDS)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("timing", TIMINGS)
def test_with_its_barrier_a_kernel_gives_the_same_under_every_seed(name, timing):
    right = result(KERNELS[name], Schedule())
    for seed in range(20):
        for block in (32, 128):
            wanted = right if block == 128 else result(KERNELS[name], Schedule(), block=block)
            assert result(KERNELS[name], Schedule.seeded(seed), block=block, timing=timing) == wanted


def order(schedule, block):
    """The warps in the order in which they take a number."""
    chip = Chip(schedule=schedule)
    y = chip.to_device(np.zeros(1, np.uint32))
    out = chip.to_device(np.zeros(block // 32, np.uint32))
    chip.assemble("""
        .kernel order
        .param  ptr y
        .param  ptr out
        s.mov.b32       emsk, 1
        v.mov.b32       vreg2, 1
        v.mov.b32       vreg0, 0
        vmem.atom.add.i32 vreg1, [vreg0 * 0x4] @y, vreg2
        s.wait          vldcnt(0)
        s.mov.b32       sreg40, %warpid
        v.mov.b32       vreg2, sreg40
        vmem.st.b32     vreg2, [vreg1 * 0x4] @out
        s.exit
""")["order"][1, block](y, out)
    return out.copy_to_host().tolist()


@pytest.mark.parametrize("warps", [1, 2, 3, 6, 32])
def test_every_warp_has_its_turn_whatever_the_step(warps):
    for first in (0, 1, 7):
        for step in (1, -1, 3, 5, 6):
            found = order(Schedule(first_warp=first, warp_step=step), 32 * warps)
            assert sorted(found) == list(range(warps))
            assert found[0] == first % warps
    assert order(Schedule(), 32 * warps) == list(range(warps))
    assert order(Schedule(first_warp=1, warp_step=-1), 32 * 4) == [1, 0, 3, 2]


def test_a_seed_always_chooses_the_same():
    assert Schedule.seeded(0) == Schedule()
    assert Schedule.seeded(1) == Schedule(8, 24, first_warp=1, warp_step=-1, first_block=1, block_step=3)
    assert Schedule.seeded(5) == Schedule(2, 6, first_warp=5, warp_step=1, first_block=5, block_step=3)
    chosen = [Schedule.seeded(seed) for seed in range(1, 200)]
    assert {schedule.warp_slice for schedule in chosen} == {1, 2, 3, 5, 8, 13, 21, 34, 50}
    assert all(schedule.block_slice >= schedule.warp_slice for schedule in chosen)


def test_a_seed_is_no_negative_number():
    with pytest.raises(ValueError, match="a seed is a whole number from 0, not -1"):
        Schedule.seeded(-1)


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_an_endless_loop_is_still_found(seed):
    chip = Chip(schedule=Schedule.seeded(seed), limits=Limits(seconds=60))
    module = chip.assemble(".kernel k\nv.mov.b32 vreg0, %tid.x\n1: v.add.i32 vreg1, vreg0, 1\ns.cbr 1b\nsimt.exit\n")
    with pytest.raises(Deadlock):
        module["k"][2, 96]()


@pytest.mark.parametrize("slices", [{"warp_slice": 0}, {"block_slice": -1}, {"spin_limit": 0}, {"warp_slice": 1 << 70}])
def test_slices_that_cannot_be_are_refused(slices: dict[str, int]):
    with pytest.raises(ValueError, match=f"{next(iter(slices))} is a number of instructions from 1 to"):
        Schedule(**slices)


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"instructions": 0}, ValueError),
        ({"instructions": -1}, ValueError),
        ({"instructions": 1.5}, TypeError),
        ({"seconds": 0}, ValueError),
        ({"seconds": float("nan")}, ValueError),
    ],
)
def test_limits_that_cannot_be_are_refused(limits: dict[str, float], error: type[Exception]):
    with pytest.raises(error):
        Limits(**limits)
