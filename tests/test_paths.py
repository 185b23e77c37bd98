"""Divergence by hand: masks, branches, locks between lanes, barriers."""

from typing import Any

import numpy as np
import pytest
from one import ALL, bench, check, stop
from path_programs import M32, USUAL, shared_chip

from m890.emulator.chip import Chip
from m890.emulator.faults import Deadlock, Fault, Timeout
from m890.emulator.launch import Limits
from m890.emulator.schedule import Schedule
from m890.isa.effects import Stop

# Masks.


@pytest.mark.parametrize("lut", range(16))
def test_lop_emsk_truth_table(lut: int) -> None:
    """New emsk is bit 2*emsk + s of the table, within the path; d is what was switched off."""
    emsk, s = 0x00FF0F0C, 0x0F0F00FA
    for path in (ALL, 0x00FFFFFE, 0x00FF0F0C):
        new = sum((lut >> (2 * (emsk >> n & 1) + (s >> n & 1)) & 1) << n for n in range(32)) & path
        check(
            f"s.lop.emsk sreg14, sreg2 # {lut:#x}",
            path=path,
            before={"emsk": emsk, "sreg2": s},
            after={"emsk": new, "sreg14": emsk & ~new},
        )
        check(
            f"s.lop.emsk sreg2, sreg2 # {lut:#x}",
            path=path,
            before={"emsk": emsk, "sreg2": s},
            after={"emsk": new, "sreg2": emsk & ~new},
        )


def test_emsk_as_a_destination_stays_within_the_path() -> None:
    check("s.mov.b32 emsk, 0xffffffff", path=0xF0F0, before={"emsk": 0x10}, after={"emsk": 0xF0F0})
    check("s.not.b32 emsk, emsk", path=0xFF, before={"emsk": 0x0F}, after={"emsk": 0xF0})
    check(
        "v.cmp.lt.u32 emsk, vreg1, 5", path=0xFF, before={"emsk": 0xFC, "vreg1": list(range(32))}, after={"emsk": 0x1C}
    )


@pytest.mark.parametrize("register", ["emsk", "scc", "vcc", "sreg9"])
def test_cbr_tests_the_whole_register(register: str) -> None:
    for value in (0, 1, 0x80000000, ALL):
        check(f"s.cbr.az {register}, 5", before={register: value}, reached=1 if value else 6)
        check(f"s.cbr.nz {register}, 5", before={register: value}, reached=6 if value else 1)
    check("s.cbr 5", reached=6)
    check("s.cbr 5", before={"emsk": 0}, reached=6)


def test_rcbr_counts_active_lanes_only() -> None:
    """A bit of a lane that is off does not matter; all of the path gone is a plain jump, some of it a split."""
    for text, mask in (("simt.rcbr sreg9, 5", 0xF), ("simt.rcbr.n sreg9, 5", ALL ^ 0xF)):
        for path, emsk, reached, taken in (
            (ALL, 0xF, stop(Stop.SPLIT), 0xF),
            (0xF, 0xF, 6, 0xF),
            (ALL, 0xF0, 1, 0),
            (ALL, 0, 1, 0),
            (0xFF, 0xFF, stop(Stop.SPLIT), 0xF),
            (0xFF, 0x81, stop(Stop.SPLIT), 1),
        ):
            check(text, path=path, before={"emsk": emsk, "sreg9": mask}, reached=reached)
            assert int(bench().warp["taken"]) == taken


# Whole kernels.


def run(text: str, *arguments: Any, threads: int = 32, chip: Chip | None = None, schedule: Schedule = USUAL) -> None:
    chip = chip or shared_chip()
    chip.schedule = schedule
    chip.assemble(".arch ppu0015\n" + text)["k"][1, threads](*arguments)


def test_lanes_that_are_off_follow_the_fall_through() -> None:
    """They are in the path that did not jump, and can be switched on there alone."""
    out = shared_chip().to_device(np.zeros(32, np.uint32))
    run(
        """
        .kernel k
        .param ptr out
k:      v.mov.b32 vreg0, %tid.x
        v.mov.b32 vreg1, 0
        s.mov.b32 emsk, 0xff
        v.cmp.lt.u32 sreg20, vreg0, 4
        simt.rcbr sreg20, away              // lanes 0 to 3; 8 to 31 are off
        s.mov.b32 emsk, 0xffffffff          // 4 to 31
        v.add.i32 vreg1, vreg1, 1
        s.cbr join
away:   s.mov.b32 emsk, 0xffffffff          // 0 to 3
        v.add.i32 vreg1, vreg1, 2
join:   v.add.i32 vreg1, vreg1, 16
        vmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @out
        simt.exit
        """,
        out,
    )
    assert out.copy_to_host().tolist() == [18] * 4 + [17] * 28


def test_exit_with_lanes_off() -> None:
    """simt.exit ends the active lanes; the path's others go on when they are switched on; with none it ends."""
    out = shared_chip().to_device(np.zeros(32, np.uint32))
    run(
        """
        .kernel k
        .param ptr out
k:      v.mov.b32 vreg0, %tid.x
        s.mov.b32 emsk, 0xffff
        simt.exit                           // lanes 0 to 15
        s.mov.b32 emsk, 0xffffffff          // 16 to 31: the others are gone
        vmem.st.b32 vreg0, [0x0 + vreg0 * 0x4] @out
        s.mov.b32 emsk, 0
        simt.exit
        s.trap
        """,
        out,
    )
    assert out.copy_to_host().tolist() == [0] * 16 + list(range(16, 32))


def test_s_exit_ends_all_paths() -> None:
    out = shared_chip().to_device(np.zeros(32, np.uint32))
    run(
        """
        .kernel k
        .param ptr out
k:      v.mov.b32 vreg0, %tid.x
        v.cmp.lt.u32 sreg20, vreg0, 4
        simt.rcbr sreg20, away
        s.exit
away:   vmem.st.b32 vreg0, [0x0 + vreg0 * 0x4] @out
        s.trap
        """,
        out,
    )
    assert not out.copy_to_host().any()


LOCK = """
        .kernel k
        .param ptr state                    // whose turn, the total, one word per lane: when it had its turn
k:      v.mov.b32 vreg0, %tid.x
        {nops}
again:  vmem.ld.b32 vreg1, [0x0] @state
        s.wait vldcnt(0)
        v.cmp.{relation}.u32 sreg20, vreg1, vreg0
        {branch} sreg20, again
        vmem.ld.b32 vreg2, [0x4] @state     // the critical section of one lane
        s.wait vldcnt(0)
        vmem.st.b32 vreg2, [0x8 + vreg0 * 0x4] @state
        v.add.i32 vreg2, vreg2, 1
        vmem.st.b32 vreg2, [0x4] @state
        v.add.i32 vreg1, vreg1, {step}
        vmem.st.b32 vreg1, [0x0] @state
        s.wait vstcnt(0)
        {back}
        simt.exit
"""


@pytest.mark.parametrize("limit", [1024, 64, 7, 1])
@pytest.mark.parametrize(("relation", "branch"), [("eq", "simt.rcbr.n"), ("ne", "simt.rcbr")])
@pytest.mark.parametrize("nops", range(4))
def test_spin_lock_between_lanes(nops: int, relation: str, branch: str, limit: int) -> None:
    """32 lanes wait for each other in turn, from the last to the first: those that wait run first, and give way."""
    values = np.zeros(34, np.uint32)
    values[0] = 31
    buffer = shared_chip().to_device(values)
    source = LOCK.format(nops="\n".join(["s.nop"] * nops), relation=relation, branch=branch, step=-1, back="")
    run(source, buffer, schedule=Schedule(spin_limit=limit))
    assert buffer.copy_to_host().tolist() == [M32, 32, *reversed(range(32))]


@pytest.mark.parametrize("nops", range(5))
@pytest.mark.parametrize("limit", [1024, 63])
def test_lock_taken_many_times(limit: int, nops: int) -> None:
    """Lanes come back to the lock while others wait in it: a mask register that two paths share stays right."""
    back = """v.add.i32 vreg0, vreg0, 32            // the lane's next turn
        v.cmp.lt.u32 sreg21, vreg0, 128
        simt.rcbr sreg21, again"""
    source = LOCK.format(nops="\n".join(["s.nop"] * nops), relation="ne", branch="simt.rcbr", step=1, back=back)
    buffer = shared_chip().to_device(np.zeros(130, np.uint32))
    run(source, buffer, schedule=Schedule(spin_limit=limit))
    assert buffer.copy_to_host().tolist() == [128, 128, *range(128)]


def test_a_waiting_path_that_diverges_within_gives_way() -> None:
    """The waiting loop has an if inside, so its paths join on every turn; the lane waited for must still run."""
    chip = Chip("M890", limits=Limits(instructions=300_000))
    flag = chip.to_device(np.zeros(1, np.uint32))
    run(
        """
        .kernel k
        .param ptr flag
k:      v.mov.b32 vreg0, %tid.x
        v.mov.b32 vreg3, 0
        v.cmp.eq.u32 sreg20, vreg0, 5
        simt.rcbr sreg20, setter
again:  v.cmp.lt.u32 sreg21, vreg0, 16
        simt.rcbr sreg21, over
        v.add.i32 vreg3, vreg3, 1
over:   vmem.ld.b32 vreg1, [0x0] @flag
        s.wait vldcnt(0)
        v.cmp.eq.u32 sreg22, vreg1, 0
        simt.rcbr sreg22, again
        simt.exit
setter: vmem.st.b32 vreg0, [0x0] @flag
        simt.exit
        """,
        flag,
        chip=chip,
    )
    assert flag.copy_to_host().tolist() == [5]


BARRIER = """
        .kernel k
        .param ptr out
        .tsm 1024
k:      v.mov.b32 vreg0, %tid.x
        v.and.b32 vreg1, vreg0, 3
again:  v.sub.i32 vreg1, vreg1, 1           // lanes come at different times
        v.cmp.ge.i32 sreg20, vreg1, 0
        simt.rcbr sreg20, again
        v.cmp.ge.u32 sreg21, vreg0, {ends}
        simt.rcbr.n sreg21, stays
        simt.exit
stays:  tsm.st.b32 vreg0, [0x0 + vreg0 * 0x4]
        v.and.b32 vreg4, vreg0, 1
        v.cmp.eq.u32 sreg22, vreg4, 0
        simt.rcbr sreg22, even
        v.mov.b32 vreg5, 1
        s.cbr sync
even:   v.mov.b32 vreg5, 2
sync:   s.blksyn
        v.sub.i32 vreg2, {last}, vreg0
        tsm.ld.b32 vreg3, [0x0 + vreg2 * 0x4]
        s.wait tsmcnt(0)
        v.add.i32 vreg3, vreg3, vreg5
        vmem.st.b32 vreg3, [0x0 + vreg0 * 0x4] @out
        simt.exit
"""


@pytest.mark.parametrize("ends", [96, 77, 33])
def test_barrier_with_divergent_paths(ends: int) -> None:
    """Paths of one warp arrive one by one, some lanes have ended: nobody passes before all are there."""
    out = shared_chip().to_device(np.zeros(96, np.uint32))
    source = BARRIER.format(ends=ends, last="sreg23").replace(
        "sync:   s.blksyn", f"sync:   s.mov.b32 sreg23, {ends - 1}\n        s.blksyn"
    )
    run(source, out, threads=96)
    assert out.copy_to_host().tolist() == [ends - 1 - n + (1 if n % 2 else 2) if n < ends else 0 for n in range(96)]


def test_barrier_that_one_lane_never_reaches() -> None:
    """A deadlock is reported, not waited out."""
    chip = Chip("M890", limits=Limits(instructions=20_000_000))
    source = """
        .kernel k
k:      v.mov.b32 vreg0, %tid.x
        v.cmp.eq.u32 sreg20, vreg0, 3
        simt.rcbr sreg20, loop
        s.blksyn
        simt.exit
loop:   s.cbr loop
        """
    with pytest.raises((Deadlock, Timeout)):
        run(source, chip=chip)


def test_lanes_at_different_barriers() -> None:
    """Fault 2 (docs/machine.md section 3)."""
    source = """
        .kernel k
k:      v.mov.b32 vreg0, %tid.x
        v.cmp.eq.u32 sreg20, vreg0, 3
        simt.rcbr sreg20, other
        s.blksyn
        simt.exit
other:  s.blksyn
        simt.exit
        """
    with pytest.raises(Fault) as caught:
        run(source)
    assert caught.value.code == 2
