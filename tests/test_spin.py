"""Warps that spin on atomics: a deadlock where these change nothing any more, and none where something still comes."""

import numpy as np
import pytest
from program_samples import floats, same_bits

from m890 import Chip, Deadlock, Limits, Schedule, Timeout
from m890.emulator import launch, livelock
from m890.programs import hash_table, lock, ring

TIMINGS = ("eager", "late")
SEEDS = (0, 1, 2, 5)
BOTH = """
        .kernel both                    // one lane of each warp takes the first lock, then the second, gives back none
        .param  ptr first
        .param  ptr second
        s.mov.b32       emsk, 1
        v.mov.b32       vreg0, 0
        v.mov.b32       vreg1, 1
one:    vmem.atom.cas.b32 vreg2, [vreg0 * 0x4] @first, vreg0, vreg1
        s.wait          vldcnt(0)
        v.cmp.ne.u32    vcc, vreg2, 0
        s.cbr.nz        vcc, one
two:    vmem.atom.cas.b32 vreg2, [vreg0 * 0x4] @second, vreg0, vreg1
        s.wait          vldcnt(0)
        v.cmp.ne.u32    vcc, vreg2, 0
        s.cbr.nz        vcc, two
        s.exit
"""
ONE, TWO = range(8, 12), range(12, 16)
"""The lines of the two loops."""


@pytest.fixture
def impatient(monkeypatch):
    """A search for deadlocks that begins soon and looks often."""
    for module in (livelock, launch):
        monkeypatch.setattr(module, "STEP", 1 << 12)
    monkeypatch.setattr(livelock, "PATIENCE", 1 << 12)
    monkeypatch.setattr(livelock, "PATIENCE_WINDOWS", 50)


def lines(error):
    """Where the warps of a Deadlock stand: chips, warps and lines."""
    return [(place.chip, place.warp, place.source.line) for place in error.places]


# A chip alone.


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_lock_that_nobody_frees_is_a_deadlock(timing, seed, impatient):
    chip = Chip(timing=timing, schedule=Schedule.seeded(seed), limits=Limits(seconds=60))
    with chip.to_device(np.array([1, 0], np.uint32), name="lock") as x:
        both = chip.assemble(BOTH, "lock.s")["both"]
        with pytest.raises(Deadlock) as caught:
            both[2, 64](x.address, x.address + 4)
        assert x.copy_to_host().tolist() == [1, 0]
        assert [line in ONE for _, _, line in lines(caught.value)] == [True] * 4
        for place in caught.value.places:
            assert place.waits_for == f"a change of 'lock' (8 bytes at {x.address:#x}) that cannot come (it loops)"
        x.copy_from_host(np.array([0, 1], np.uint32))  # one takes the first, and nobody gets the second
        with pytest.raises(Deadlock) as caught:
            both[2, 64](x.address, x.address + 4)
        assert sorted(line in ONE for _, _, line in lines(caught.value)) == [False, True, True, True]
        assert x.copy_to_host().tolist() == [1, 1]


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_locks_in_opposite_order_are_a_deadlock(timing, seed, impatient):
    source = """
        .kernel cross                   // each warp takes the lock of its number, then that of the other
        .tsm    128 locks
        v.mov.b32       vreg0, %laneid
        v.mov.b32       vreg1, 1
        v.mov.b32       vreg3, 0
        tsm.st.b32      vreg3, [locks + vreg0 * 0x4]
        s.mov.b32       emsk, 1
        s.wait          tsmcnt(0)
        s.blksyn
        v.mov.b32       vreg0, %warpid
        tsm.atom.exch.b32 vreg2, [locks + vreg0 * 0x4], vreg1
        s.wait          tsmcnt(0)
        s.blksyn
        v.xor.b32       vreg0, vreg0, 1
again:  tsm.atom.or.b32 vreg2, [locks + vreg0 * 0x4], vreg1
        s.wait          tsmcnt(0)
        v.cmp.ne.u32    vcc, vreg2, 0
        s.cbr.nz        vcc, again
        s.exit
    """
    chip = Chip(timing=timing, schedule=Schedule.seeded(seed), limits=Limits(seconds=60))
    with pytest.raises(Deadlock) as caught:
        chip.assemble(source)["cross"][1, 64]()
    assert [(warp, line in range(17, 21)) for _, warp, line in lines(caught.value)] == [(0, True), (1, True)]


CHANGES = ("add.i32", "inc.u32", "dec.u32", "xor.b32", "add.f32")


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("name", [*CHANGES, "max.u32", "or.b32", "exch.b32", "and.b32"])
def test_a_loop_is_endless_only_if_its_atomic_goes_on_to_change_something(name, timing, impatient):
    """From 0, with 1.0 or 1: what grows, wraps or toggles goes on; largest, union and exchange come to rest."""
    source = f"""
        .kernel k
        .param  ptr x
        .param  u32 a
        v.mov.b32       vreg0, 0
        v.mov.b32       vreg1, a
again:  vmem.atom.{name} vreg2, [vreg0 * 0x4] @x, vreg1
        s.wait          vldcnt(0)
        v.mov.b32       vreg2, 0
        s.cbr           again
    """
    chip = Chip(timing=timing, limits=Limits(instructions=1 << 22))
    with chip.to_device(np.zeros(1, np.uint32)) as x, pytest.raises(Timeout if name in CHANGES else Deadlock):
        chip.assemble(source)["k"][1, 1](x, 0x3F800000 if name == "add.f32" else 1)


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("by", ["vmem.st.b32 vreg0, [0x0 + vreg0 * 0x4]", "vmem.red.and.b32 [vreg0 * 0x4]"])
def test_a_lock_that_comes_free_late_is_no_deadlock(by, timing, seed, impatient):
    source = f"""
        .kernel k                       // warp 0 of block 0 has the lock, counts, and frees it; others count up
        .param  ptr lock
        .param  ptr sum
        .param  u32 turns
        s.mov.b32       emsk, 1
        v.mov.b32       vreg0, 0
        v.mov.b32       vreg1, 1
        v.mov.b32       vreg3, 0
        s.or.b32        sreg20, %blkid.x, %warpid
        s.cbr.nz        sreg20, again
        s.mov.b32       sreg21, turns
count:  s.sub.i32       sreg21, sreg21, 1
        s.cbr.nz        sreg21, count
        s.cbr           free
again:  vmem.atom.cas.b32 vreg2, [vreg0 * 0x4] @lock, vreg0, vreg1
        s.wait          vldcnt(0)
        v.cmp.ne.u32    vcc, vreg2, 0
        s.cbr.nz        vcc, again
        vmem.ld.b32     vreg3, [0x0 + vreg0 * 0x4] @sum
        s.wait          vldcnt(0)
free:   v.add.i32       vreg3, vreg3, 1
        vmem.st.b32     vreg3, [0x0 + vreg0 * 0x4] @sum
        s.wait          vstcnt(0)
        {by} @lock{", vreg0" if "red" in by else ""}
        s.exit
    """
    chip = Chip(timing=timing, schedule=Schedule.seeded(seed), limits=Limits(seconds=60))
    with chip.to_device(np.ones(1, np.uint32)) as x, chip.to_device(np.zeros(1, np.uint32)) as total:
        chip.assemble(source)["k"][3, 64](x, total, 100_000)
        assert (x.copy_to_host(), total.copy_to_host()) == (0, 6)


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_programs_with_locks_end(timing, seed, monkeypatch):
    """However soon and often somebody looks."""
    for module in (livelock, launch):
        monkeypatch.setattr(module, "STEP", 100)
    monkeypatch.setattr(livelock, "PATIENCE", 100)
    random = np.random.default_rng(seed)
    chip = Chip(timing=timing, schedule=Schedule.seeded(seed))
    groups, values = random.integers(0, 3, 200), floats(random, 200, "close")
    same_bits(lock.launch(chip, groups, values, 3, block=64, grid=3)[0], lock.reference(groups, values, 3)[0])
    source = random.integers(0, 1 << 32, 300, np.uint32)
    np.testing.assert_array_equal(ring.launch(chip, source, size=32), ring.reference(source))
    keys, values, queries = random.integers(0, 50, 300), random.integers(0, 1 << 32, 300), random.integers(0, 99, 100)
    found = hash_table.launch(chip, keys, values, queries, block=64, grid=3)
    for one, other in zip(found, hash_table.reference(keys, values, queries), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_chase_through_memory_is_no_deadlock(monkeypatch):
    """Each look finds the warp at the same place, with the same registers: only where its older load goes is new."""
    for module in (livelock, launch):
        monkeypatch.setattr(module, "STEP", 6)
    monkeypatch.setattr(livelock, "PATIENCE", 6)
    source = """
        .kernel k                       // follow a chain to its end, 0
        .param  ptr x
        s.mov.b32       sreg20, 0
        s.nop
again:  smem.ld.b32     sreg20, [sreg20 * 0x4] @x
        smem.ld.b32     sreg21, [0x0] @x
        s.nop
        s.nop
        s.wait          sldcnt(0)
        s.cbr.nz        sreg20, again
        simt.exit
    """
    for start in range(6):
        chip = Chip(timing="late", schedule=Schedule(6, 6), limits=Limits(seconds=60))
        chain = np.arange(1, 101, dtype=np.uint32)
        chain[-1] = 0
        with chip.to_device(chain) as x:
            text = source.replace("s.nop", "\n".join(start * ["s.nop"]), 1)
            assert chip.assemble(text)["k"][1, 32](x) == 2 + start + 6 * len(chain)
