"""The order in which blocks become resident: the one the schedule says, and the mistakes that seeds find by it."""

from itertools import count, islice
from math import gcd, prod

import numpy as np
import pytest

from m890 import Chip, Deadlock, Limits, Pod, Schedule, Timeout, profile
from m890.emulator import livelock

SEEDS = range(1, 17)
TIMINGS = ("eager", "late")
FEW = profile("M890").override("few blocks", {"compute_units": 2, "blocks_per_cu": 2}, "tests")
"""A chip that holds four blocks at once."""
BLOCKS = 10
FEW_INSTRUCTIONS = Limits(instructions=20_000)

ORDER = """
        .kernel order
        .param  ptr tickets
        .param  ptr blocks
        .param  ptr units
        s.mov.b32       emsk, 1
        v.mov.b32       vreg0, 0
        v.mov.b32       vreg2, 1
        vmem.atom.add.i32 vreg1, [vreg0 * 0x4] @tickets, vreg2
        s.mull.i32      sreg40, %blkid.z, %nblkid.y
        s.add.i32       sreg40, sreg40, %blkid.y
        s.mull.i32      sreg40, sreg40, %nblkid.x
        s.add.i32       sreg40, sreg40, %blkid.x
        v.mov.b32       vreg2, sreg40
        s.mov.b32       sreg40, %cuid
        v.mov.b32       vreg3, sreg40
        s.wait          vldcnt(0)
        vmem.st.b32     vreg2, [vreg1 * 0x4] @blocks
        vmem.st.b32     vreg3, [vreg1 * 0x4] @units
        s.exit
"""


class Idle:
    """An observer that does nothing."""

    def executed(self, batch):
        pass


def order(schedule, grid, **how):
    """The blocks and their compute units in the order in which they take a ticket."""
    chip = Chip(FEW, schedule=schedule, **how)
    tickets, blocks, units = (chip.to_device(np.zeros(size, np.uint32)) for size in (1, prod(grid), prod(grid)))
    chip.assemble(ORDER)["order"][grid, 32](tickets, blocks, units)
    return blocks.copy_to_host().tolist(), units.copy_to_host().tolist()


def permutation(first, step, blocks):
    """What it should be, block by block."""
    step = step if gcd(step, blocks) == 1 else 1
    return list(islice((place % blocks for place in count(first, step)), blocks))


@pytest.mark.parametrize("how", [{}, {"timing": "late"}, {"observers": [Idle()]}], ids=["fast", "late", "observed"])
def test_blocks_become_resident_in_the_order_of_the_schedule(how):
    for grid in ((1,), (2,), (3,), (5, 2), (2, 3, 4)):
        blocks = prod(grid)
        for first, step in ((0, 1), (1, -1), (3, 3), (7, 5), (29, 6)):
            found = order(Schedule(first_block=first, block_step=step), grid, **how)
            assert found == (permutation(first, step, blocks), [place % 2 for place in range(blocks)])


def test_without_a_seed_blocks_run_in_linear_order():
    assert order(Schedule(), (BLOCKS,))[0] == order(Schedule.seeded(0), (BLOCKS,))[0] == list(range(BLOCKS))


def test_every_block_begins_under_some_seed():
    for blocks in (2, 3, 16):
        assert {order(Schedule.seeded(seed), (blocks,))[0][0] for seed in range(1, blocks + 1)} == set(range(blocks))
    assert {Schedule.seeded(seed).block_step for seed in SEEDS} == {1, -1, 3, 5}


@pytest.mark.parametrize("threads", [1, 2])
def test_the_threads_of_a_pod_do_not_change_the_order(threads):
    pod = Pod(FEW, 2, seed=3, threads=threads, quantum=64)
    tickets, blocks, units = (pod.symmetric(size, np.uint32) for size in (1, BLOCKS, BLOCKS))
    for ticket in tickets:
        ticket.fill(0)
    pod.assemble(ORDER)["order"][BLOCKS, 32, pod.stream()](tickets, blocks, units)
    pod.synchronize()
    for found in blocks:
        assert found.copy_to_host().tolist() == permutation(3, Schedule.seeded(3).block_step, BLOCKS)


BY_ITSELF = """
        s.mov.b32       sreg40, %blkid.x
        v.mov.b32       vreg1, sreg40
"""
BY_TICKET = """
        vmem.atom.add.i32.acq_rel.gpu vreg1, [0x0] @taken, vreg9
        s.wait          vldcnt(0)
"""
LOOK_BACK = """
        .kernel race                            // sums[i] = 1 + ... + (i + 1), the one before and i + 1
        .param  ptr sums
        .param  ptr taken
        s.mov.b32       emsk, 1
        v.mov.b32       vreg9, 1
NUMBER
        v.sub.i32       vreg2, vreg1, 1
        v.mov.b32       vreg3, 0
        v.cmp.eq.u32    sreg41, vreg1, 0
        s.cbr.nz        sreg41, first
again:  vmem.ld.b32.acquire.gpu vreg3, [vreg2 * 0x4] @sums
        s.wait          vldcnt(0)
        v.cmp.eq.u32    sreg41, vreg3, 0
        s.cbr.nz        sreg41, again
first:  v.add.i32       vreg3, vreg3, vreg1
        v.add.i32       vreg3, vreg3, 1
        vmem.st.b32.release.gpu vreg3, [vreg1 * 0x4] @sums
        s.exit
"""
NEIGHBOUR = LOOK_BACK.replace("s.cbr.nz        sreg41, again", "")
LAST_BLOCK = """
        .kernel race                            // sums[i] = 1 for each block, but the last one adds up all of them
        .param  ptr sums
        .param  ptr taken
        s.mov.b32       emsk, 1
        v.mov.b32       vreg9, 1
        s.mov.b32       sreg40, %blkid.x
        v.mov.b32       vreg1, sreg40
        vmem.st.b32     vreg9, [vreg1 * 0x4] @sums
        s.wait          vstcnt(0)
        vmem.fence.gpu
NUMBER
        s.sub.i32       sreg42, %nblkid.x, 1
        v.cmp.ne.u32    sreg41, vreg1, sreg42
        s.cbr.nz        sreg41, end
        vmem.fence.gpu
        v.mov.b32       vreg3, 0
        v.mov.b32       vreg4, sreg42
next:   vmem.ld.b32     vreg5, [vreg4 * 0x4] @sums
        s.wait          vldcnt(0)
        v.add.i32       vreg3, vreg3, vreg5
        v.sub.i32       vreg4, vreg4, 1
        v.cmp.ge.i32    sreg41, vreg4, 0
        s.cbr.nz        sreg41, next
        v.mov.b32       vreg1, sreg42
        vmem.st.b32     vreg3, [vreg1 * 0x4] @sums
end:    s.exit
"""


def text(kernel, number):
    return kernel.replace("NUMBER", number)


RUNNING_SUMS = [(block + 1) * (block + 2) // 2 for block in range(BLOCKS)]
MISTAKES = {
    "look back": (text(LOOK_BACK, BY_ITSELF), RUNNING_SUMS),
    "neighbour": (text(NEIGHBOUR, BY_ITSELF), RUNNING_SUMS),
    "last block": (text(LAST_BLOCK, BY_ITSELF), [1] * (BLOCKS - 1) + [BLOCKS]),
}
RIGHT = {
    "look back": (text(LOOK_BACK, BY_TICKET), RUNNING_SUMS),
    "last block": (text(LAST_BLOCK, BY_TICKET), [1] * (BLOCKS - 1) + [BLOCKS]),
}


def gives(source, schedule, timing, limits=FEW_INSTRUCTIONS):
    """What a kernel leaves of BLOCKS sums."""
    chip = Chip(FEW, timing=timing, schedule=schedule, limits=limits, poison=True)
    sums, taken = chip.to_device(np.zeros(BLOCKS, np.uint32), name="sums"), chip.to_device(np.zeros(1, np.uint32))
    chip.assemble(source)["race"][BLOCKS, 32](sums, taken)
    return sums.copy_to_host().tolist()


def fails(source, wanted, schedule, timing):
    try:
        return gives(source, schedule, timing) != wanted
    except (Deadlock, Timeout):
        return True


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("name", MISTAKES)
def test_reliance_on_the_order_of_blocks_shows_under_some_seed(name, timing):
    source, wanted = MISTAKES[name]
    assert gives(source, Schedule(), timing) == wanted
    assert any(fails(source, wanted, Schedule.seeded(seed), timing) for seed in SEEDS)


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("name", RIGHT)
def test_with_tickets_a_kernel_gives_the_same_under_every_seed(name, timing):
    source, wanted = RIGHT[name]
    for seed in (0, *SEEDS):
        assert gives(source, Schedule.seeded(seed), timing) == wanted


@pytest.fixture
def impatient(monkeypatch):
    """The search for endless loops begins at once and looks often."""
    monkeypatch.setattr(livelock, "PATIENCE", 10)
    monkeypatch.setattr(livelock, "STEP", 10)


def test_a_wait_for_a_block_that_cannot_begin_is_a_deadlock(impatient):
    with pytest.raises(Deadlock, match="3 of 10 blocks have not begun"):
        gives(MISTAKES["look back"][0], Schedule(first_block=2, block_step=-1), "eager", Limits())


@pytest.mark.parametrize("timing", TIMINGS)
def test_a_wait_for_a_block_that_has_begun_is_none(impatient, timing):
    source, wanted = RIGHT["look back"]
    for schedule in (Schedule(1, 1), Schedule(2, 3, first_block=3, block_step=-1), *map(Schedule.seeded, SEEDS)):
        assert gives(source, schedule, timing, Limits()) == wanted
