"""Warps that spin on atomics: a deadlock where these change nothing any more, and none where something still comes."""

import numpy as np
import pytest
from program_samples import floats, same_bits

from m890 import Chip, Deadlock, Limits, PerChip, Pod, Schedule, Timeout, Topology
from m890.emulator import launch, livelock
from m890.emulator.icn.topology import Link
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


def look_often(monkeypatch, step):
    """Let the search for deadlocks begin after so many instructions, and look as often."""
    for module, name in ((livelock, "STEP"), (livelock, "PATIENCE"), (launch, "STEP"), (launch, "FIRST_RUN")):
        monkeypatch.setattr(module, name, step)


@pytest.fixture
def impatient(monkeypatch):
    """A search for deadlocks that begins soon."""
    look_often(monkeypatch, 1 << 12)
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
            assert place.waits_for == (
                f"a change of 'lock' (8 bytes at {x.address:#x}) that cannot come "
                "(it loops, finds 0x1 at byte 0 of 'lock')"
            )
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
@pytest.mark.parametrize("clock", ["%clock64", "%globaltimer"])
def test_who_gives_up_after_a_time_is_no_deadlock(clock, timing, impatient):
    source = f"""
        .kernel k
        .param  ptr lock
        s.mov.b32       emsk, 1
        v.mov.b32       vreg0, 0
        v.mov.b32       vreg1, 1
again:  vmem.atom.cas.b32 vreg2, [vreg0 * 0x4] @lock, vreg0, vreg1
        s.wait          vldcnt(0)
        v.cmp.eq.u32    vcc, vreg2, 0
        s.cbr.nz        vcc, end
        s.mov.b64       sreg[20:21], {clock}
        s.cmp.lt.u32    scc, sreg20, 500000
        s.mov.b64       sreg[20:21], 0
        s.cbr.nz        scc, again
end:    s.exit
    """
    chip = Chip(timing=timing, limits=Limits(seconds=60))
    with chip.to_device(np.ones(1, np.uint32)) as x:
        assert chip.assemble(source)["k"][1, 32](x) > 490_000


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_programs_with_locks_end(timing, seed, monkeypatch):
    """However soon and often somebody looks."""
    look_often(monkeypatch, 100)
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
    look_often(monkeypatch, 6)
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


# Chips of a pod.


def pod_of(chips, topology=None, **options):
    """A pod whose chips reach each other, and a lock on each, which is free."""
    pod = Pod(chips=chips, topology=topology, limits=Limits(seconds=60), **options)
    pod.enable_peer_access()
    locks = pod.symmetric(1, np.uint32, name="lock")
    locks.fill(0)
    return pod, locks


def crossed(pod, locks):
    """Chips 0 and 1 take their own lock and then the other's: a Deadlock."""
    pod.assemble(BOTH, "lock.s")["both"].launch(1, 32, (locks, PerChip([locks[1], locks[0], 0])), chips=[0, 1])


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize(("threads", "seed"), [(1, 0), (2, 0), (1, 1), (2, 5)])
def test_chips_that_take_locks_in_opposite_order_are_a_deadlock(timing, threads, seed, impatient):
    pod, locks = pod_of(3, timing=timing, threads=threads, schedule=Schedule.seeded(seed))
    with pytest.raises(Deadlock) as caught:
        crossed(pod, locks)
    assert [(chip, line in TWO) for chip, _, line in lines(caught.value)] == [(0, True), (1, True)]
    for place, other in zip(caught.value.places, (1, 0), strict=True):
        assert f"'lock' of chip {other} (at {locks[other].address:#x})" in place.waits_for
    assert locks.copy_to_host().tolist() == [[1], [1], [0]]


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_lock_of_another_chip_that_nobody_frees_is_a_deadlock(timing, threads, impatient):
    """It lies on a chip that runs nothing; several warps spin on it, with answers under way all the time."""
    pod, locks = pod_of(3, timing=timing, threads=threads)
    locks[2].fill(7)
    with pytest.raises(Deadlock) as caught:
        pod.assemble(BOTH, "lock.s")["both"].launch(2, 64, (locks[2], locks), chips=[0, 1])
    assert [(chip, line in ONE) for chip, _, line in lines(caught.value)] == 4 * [(0, True)] + 4 * [(1, True)]
    assert locks[2].copy_to_host() == 7


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("patience", [1, 10, 50])
def test_two_chips_that_change_a_third_one_for_ever_are_no_deadlock(timing, patience, monkeypatch):
    """All they hold is always the same; only the memory of the third goes from 0 to 1 and back."""
    monkeypatch.setattr(livelock, "PATIENCE_WINDOWS", patience)
    pod, locks = pod_of(3, timing=timing)
    source = """
        .kernel flip                    // replace one number by the other
        .param  ptr x
        .param  u32 this
        .param  u32 other
        s.mov.b32       emsk, 1
        v.mov.b32       vreg0, 0
        v.mov.b32       vreg1, this
        v.mov.b32       vreg2, other
again:  vmem.atom.cas.b32 vreg3, [vreg0 * 0x4] @x, vreg1, vreg2
        s.wait          vldcnt(0)
        v.mov.b32       vreg3, 0
        s.cbr           again
    """
    flip = pod.assemble(source)["flip"]
    arguments = (locks[2], PerChip([0, 1, 0]), PerChip([1, 0, 0]))
    with pytest.raises(Timeout):
        flip.launch(1, 32, arguments, chips=[0, 1], limits=Limits(instructions=4_000))


FREES = ("vmem.st.b32 vreg0, [0x0 + vreg0 * 0x4] @lock", "vmem.red.and.b32 [vreg0 * 0x4] @lock, vreg0")


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("free", FREES)
@pytest.mark.parametrize("patience", [1, 10, 50])
def test_a_lock_that_chips_share_is_no_deadlock(free, timing, patience, monkeypatch):
    """Whoever has it counts for long before it is given back, over a slow link."""
    monkeypatch.setattr(livelock, "PATIENCE", patience)
    monkeypatch.setattr(livelock, "PATIENCE_WINDOWS", patience)
    source = f"""
        .kernel shared
        .param  ptr lock
        .param  ptr sum
        s.mov.b32       emsk, 1
        v.mov.b32       vreg0, 0
        v.mov.b32       vreg1, 1
        s.mov.b32       sreg20, 3
again:  vmem.atom.cas.b32 vreg2, [vreg0 * 0x4] @lock, vreg0, vreg1
        s.wait          vldcnt(0)
        v.cmp.ne.u32    vcc, vreg2, 0
        s.cbr.nz        vcc, again
        s.mov.b32       sreg21, 30000
count:  s.sub.i32       sreg21, sreg21, 1
        s.cbr.nz        sreg21, count
        vmem.ld.b32     vreg3, [0x0 + vreg0 * 0x4] @sum
        s.wait          vldcnt(0)
        v.add.i32       vreg3, vreg3, 1
        vmem.st.b32     vreg3, [0x0 + vreg0 * 0x4] @sum
        s.wait          vstcnt(0)
        {free}
        s.sub.i32       sreg20, sreg20, 1
        s.cbr.nz        sreg20, again
        s.exit
    """
    slow = Topology("slow", 3, 0, tuple(Link(a, b, 1, 50e9, 10**6) for a in range(3) for b in range(3) if a != b))
    pod, locks = pod_of(3, slow, timing=timing, threads=2)
    sums = pod.symmetric(1, np.uint32)
    sums.fill(0)
    pod.assemble(source)["shared"][1, 32](locks[1], sums[2])
    assert (locks[1].copy_to_host(), sums[2].copy_to_host()) == (0, 9)


def test_a_store_that_was_kept_back_when_the_search_began_is_seen(monkeypatch):
    """Late timing does it at a wait, long after its instruction, which would have stopped the search."""
    monkeypatch.setattr(livelock, "PATIENCE", 1)
    monkeypatch.setattr(livelock, "PATIENCE_WINDOWS", 1)
    source = """
        .kernel turns                   // chip 0 sets its flag late; chip 1 sees it, and sets its own late
        .param  ptr mine
        .param  ptr theirs
        s.mov.b32       emsk, 1
        v.mov.b32       vreg0, 0
        v.mov.b32       vreg1, 1
        s.mov.b32       sreg21, 3000000
        s.mov.b32       sreg22, %chip
        s.cbr.nz        sreg22, wait
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @mine
count:  s.sub.i32       sreg21, sreg21, 1
        s.cbr.nz        sreg21, count
        s.wait          vstcnt(0)
wait:   vmem.atom.add.i32 vreg2, [vreg0 * 0x4] @theirs, vreg0
        s.wait          vldcnt(0)
        v.cmp.eq.u32    vcc, vreg2, 0
        s.cbr.nz        vcc, wait
        s.cbr.az        sreg22, end
more:   s.sub.i32       sreg21, sreg21, 1
        s.cbr.nz        sreg21, more
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @mine
end:    s.exit
    """
    pod, flags = pod_of(2, timing="late")
    pod.assemble(source)["turns"][1, 32](flags, PerChip([flags[1], flags[0]]))
    assert flags.copy_to_host().tolist() == [[1], [1]]
