"""Named barriers: against a plain model, under many schedules."""

from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from kernel_runs import HEAD, STORE, everywhere, faulting, run
from one import ALL

from m890.emulator.faults import Deadlock, Timeout
from m890.emulator.schedule import Schedule

# Named barriers against a model: phases in one order, each a barrier of some warps.


@dataclass
class Phase:
    """Some warps meet at a barrier: how each comes, and what the lanes bring if they reduce."""

    number: int
    warps: dict[int, str]
    counted: bool
    reduction: str
    masks: dict[int, int] = field(default_factory=dict)


@st.composite
def plans(draw: Any) -> tuple[int, list[int], list[Phase]]:
    """Warps, the lanes of each that end at once, and phases that cannot deadlock.

    A barrier is used again only by the same warps in the same way, and not after one of them only arrived there and
    went on: other warps could still be before it.
    """
    warps = draw(st.integers(1, 4))
    ended = [draw(st.sampled_from([0, 0, 1, 0xFFFF0000, 0x7FFFFFFE])) for _ in range(warps)]
    phases: list[Phase] = []
    numbers: dict[Any, int] = {}
    for _ in range(draw(st.integers(1, 6))):
        members = sorted(draw(st.sets(st.integers(0, warps - 1), min_size=1)))
        arriving = draw(st.sets(st.sampled_from(members), max_size=len(members) - 1)) if draw(st.booleans()) else set()
        reduction = draw(st.sampled_from(["", "popc.u32", "and.pred", "or.pred"]))
        counted = bool(arriving) or len(members) < warps or draw(st.booleans())
        number = numbers.setdefault((len(phases) if arriving else tuple(members), counted), 15 - len(numbers))
        come = {warp: "arrive" if warp in arriving else "wait" for warp in members}
        masks = {warp: draw(st.sampled_from([0, ALL, 1 << 31, 0x0FF00FF0])) for warp in members}
        phases.append(Phase(number, come, counted, reduction, masks))
    return warps, ended, phases


def kernel_of(warps: int, ended: list[int], phases: list[Phase], named: int) -> str:
    """Each warp notes in TSM which phase it has come to, and after a barrier checks what the others noted."""
    lines = [HEAD, f".tsm {16 * warps}", f"s.mull.i32 sreg30, %warpid, {4 * (len(phases) + 1)}"]
    lines += ["s.mov.b64 sreg[32:33], out", "s.add.i32 sreg32, sreg32, sreg30", "s.mov.b32 sreg31, 0x0"]
    lines += ["s.mull.i32 sreg34, %warpid, 0x10", "v.mov.b32 vreg2, sreg34", "v.mov.b32 vreg3, 0x0"]
    lines += [f"s.cmp.eq.u32 scc, %warpid, {warp}\ns.cbr.nz scc, warp{warp}" for warp in range(warps)]
    for warp in range(warps):
        lines.append(f"warp{warp}:")
        if ended[warp]:
            lines += [f"s.mov.b32 emsk, {ended[warp]:#x}", "simt.exit", f"s.mov.b32 emsk, {ALL & ~ended[warp]:#x}"]
        for index, phase in enumerate(phases):
            if warp in phase.warps:
                lines += visit(warp, index, phase, named)
        lines += ["s.wait sstcnt(0)", f"smem.st.b32 sreg31, [{4 * len(phases):#x}] @sreg[32:33]", "s.exit"]
    return "\n".join(lines)


def visit(warp: int, index: int, phase: Phase, named: int) -> list[str]:
    """One warp's instructions in a phase; `named` puts the numbers into registers."""
    threads = f", {32 * len(phase.warps)}" if phase.counted else ""
    number = f"{phase.number:#x}"
    lines = [f"v.mov.b32 vreg4, {index + 1}", "tsm.st.b32 vreg4, [vreg2 * 0x1]", "s.wait tsmcnt(0)"]
    if named:
        lines.append(f"s.mov.b32 sreg40, {number}")
        number = "sreg40"
    if threads and (phase.reduction or named):
        lines.append(f"s.mov.b32 sreg41{threads}")
        threads = ", sreg41"
    if phase.warps[warp] == "arrive":
        return [*lines, f"s.bar.arrive {number}{threads}"]
    if not phase.reduction:
        lines.append(f"s.bar.sync {number}{threads}")
    else:
        lines += [f"s.mov.b32 sreg42, {phase.masks[warp]:#x}"]
        lines += [f"s.bar.red.{phase.reduction} {number}{threads}, sreg42"]
        lines += [f"smem.st.b32 scc, [{4 * index:#x}] @sreg[32:33]", "s.wait sstcnt(0)"]
    for other in phase.warps:
        lines += [f"tsm.ld.b32 vreg5, [{16 * other:#x}]", "s.wait tsmcnt(0)"]
        lines += [f"v.cmp.lt.u32 sreg43, vreg5, {index + 1}", "s.or.b32 sreg31, sreg31, sreg43"]
    return lines


def expected_of(warps: int, lanes: list[int], phases: list[Phase]) -> np.ndarray:
    """What each warp stores: the results of its reductions, and 0 for nobody having come late."""
    found = np.zeros((warps, len(phases) + 1), np.uint32)
    for index, phase in enumerate(phases):
        bits = [
            phase.masks[warp] >> lane & 1
            for warp, how in phase.warps.items()
            for lane in range(32)
            if how == "wait" and lanes[warp] >> lane & 1
        ]
        results = {"": 0, "popc.u32": sum(bits), "and.pred": ALL * all(bits), "or.pred": ALL * any(bits)}
        for warp, how in phase.warps.items():
            found[warp, index] = results[phase.reduction] if how == "wait" else 0
    return found


@given(
    plan=plans(),
    schedule=st.builds(Schedule, st.integers(1, 40), st.integers(1, 100), st.integers(1, 20)),
    timing=st.sampled_from(["eager", "late"]),
    named=st.booleans(),
)
@settings(max_examples=60)
def test_named_barriers(plan: Any, schedule: Schedule, timing: str, named: bool) -> None:
    """Nobody passes before all have come, and reductions see every lane once, in any order of warps."""
    warps, ended, phases = plan
    source = kernel_of(warps, ended, phases, named)
    found = run(source, warps * (len(phases) + 1), block=32 * warps, schedule=schedule, timing=timing)
    expected = expected_of(warps, [ALL & ~gone for gone in ended], phases)
    assert found.reshape(warps, -1).tolist() == expected.tolist()


def test_a_barrier_is_used_again_in_a_loop() -> None:
    """A ring of warps: each adds to what its neighbour left in the turn before, between two barriers."""
    source = f"""{HEAD}.tsm 32
        s.mull.i32 sreg20, %warpid, 4
        v.mov.b32 vreg2, sreg20
        s.add.i32 sreg20, sreg20, 4
        s.and.b32 sreg20, sreg20, 0xf
        v.mov.b32 vreg3, sreg20
        s.add.i32 sreg21, %warpid, 1
        v.mov.b32 vreg4, sreg21
        s.mov.b32 sreg22, 0
        s.mov.b32 sreg23, 128
again:  tsm.st.b32 vreg4, [vreg2 * 0x1]
        s.wait tsmcnt(0)
        s.bar.sync 5
        tsm.ld.b32 vreg5, [vreg3 * 0x1]
        s.wait tsmcnt(0)
        s.bar.sync 5, 128
        v.add.i32 vreg4, vreg4, vreg5
        s.add.i32 sreg22, sreg22, 1
        s.cmp.lt.u32 scc, sreg22, 10
        s.cbr.nz scc, again
        s.mull.i32 sreg24, %warpid, 32
        v.add.i32 vreg0, vreg0, sreg24
        vmem.st.b32 vreg4, [0x0 + vreg0 * 0x4] @out
        simt.exit
    """
    values = [1, 2, 3, 4]
    for _ in range(10):
        values = [values[n] + values[(n + 1) % 4] for n in range(4)]
    assert everywhere(source, 128, block=128).reshape(4, 32).tolist() == [[value] * 32 for value in values]


def test_a_producer_arrives_and_a_consumer_waits() -> None:
    """Two buffers and four barriers, full and empty: the producer is at most two items ahead."""
    source = f"""{HEAD}.tsm 256
        s.mov.b32 sreg20, 0
        s.mov.b32 sreg25, 64
        v.mov.b32 vreg2, 0
        s.cbr.nz %warpid, consume
produce:
        s.and.b32 sreg21, sreg20, 1
        s.add.i32 sreg22, sreg21, 2
        s.cmp.lt.u32 scc, sreg20, 2
        s.cbr.nz scc, free
        s.bar.sync sreg22, 64
free:   s.shll.b32 sreg23, sreg21, 7
        v.mull.i32 vreg1, vreg0, sreg20
        tsm.st.b32 vreg1, [sreg23 + vreg0 * 0x4]
        s.wait tsmcnt(0)
        s.bar.arrive sreg21, 64
        s.add.i32 sreg20, sreg20, 1
        s.cmp.lt.u32 scc, sreg20, 9
        s.cbr.nz scc, produce
        simt.exit
consume:
        s.and.b32 sreg21, sreg20, 1
        s.add.i32 sreg22, sreg21, 2
        s.shll.b32 sreg23, sreg21, 7
        s.bar.sync sreg21, 64
        tsm.ld.b32 vreg1, [sreg23 + vreg0 * 0x4]
        s.wait tsmcnt(0)
        v.add.i32 vreg2, vreg2, vreg1
        s.cmp.ge.u32 scc, sreg20, 7
        s.cbr.nz scc, last
        s.bar.arrive sreg22, sreg25
last:   s.add.i32 sreg20, sreg20, 1
        s.cmp.lt.u32 scc, sreg20, 9
        s.cbr.nz scc, consume
        vmem.st.b32 vreg2, [0x0 + vreg0 * 0x4] @out
        simt.exit
    """
    assert everywhere(source, 32).tolist() == [36 * lane for lane in range(32)]


LATER = """
        v.cmp.lt.u32 sreg20, vreg0, 8
        s.cbr begin
bar:    {bar}
        v.mov.b32 vreg1, scc
        s.mull.i32 sreg24, %warpid, 32
        v.add.i32 vreg0, vreg0, sreg24
        vmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @out
        simt.exit
begin:  simt.rcbr.n sreg20, other
        s.cbr bar
other:  {other}
        s.cbr bar
"""


def test_lanes_come_to_a_barrier_at_different_times() -> None:
    """A warp has come when its last lanes have; what the first ones brought is not given to others before."""
    bar = "s.mov.b32 sreg41, 0xffffffff\ns.bar.red.popc.u32 1, sreg41\n"
    assert everywhere(HEAD + LATER.format(bar=bar, other="s.nop"), 64).tolist() == [64] * 64
    lonely = f"""{HEAD}
        s.mov.b32 sreg41, 0xffffffff
        s.mov.b32 sreg42, 32
        s.cbr.nz %warpid, bar
        {LATER.format(bar="s.bar.red.popc.u32 1, sreg42, sreg41", other="s.sleep 1")}
    """
    assert everywhere(lonely, 64).tolist() == [32] * 64


def test_lanes_and_warps_that_end_are_not_waited_for() -> None:
    """Half of warp 0 ends after the others wait; warp 2 ends without ever coming."""
    source = f"""{HEAD}
        s.cmp.eq.u32 scc, %warpid, 2
        s.cbr.nz scc, gone
        s.cbr.nz %warpid, meet
        v.cmp.lt.u32 sreg20, vreg0, 16
        simt.rcbr.n sreg20, late
meet:   s.mov.b32 sreg41, 0xffffffff
        s.bar.red.popc.u32 3, sreg41
        {STORE.format("scc", 0)}
        simt.exit
late:   s.sleep 0
gone:   s.sleep 0
        s.sleep 0
        simt.exit
    """
    found = everywhere(source, 32, block=96)
    assert found.tolist() == [48] * 32


def test_several_barriers_are_in_flight() -> None:
    """Pairs of warps at barriers of their own, the block barrier between."""
    source = f"""{HEAD}
        s.mov.b32 sreg20, %warpid
        s.shrl.b32 sreg21, sreg20, 1
        s.mov.b32 sreg41, %warpid
        s.and.b32 sreg41, sreg41, 1
        s.mov.b32 sreg42, 64
        s.bar.red.popc.u32 sreg21, sreg42, sreg41
        s.mov.b32 sreg30, scc
        s.blksyn
        s.add.i32 sreg21, sreg21, 8
        s.mov.b32 sreg41, %warpid
        s.bar.red.popc.u32 sreg21, sreg42, sreg41
        s.shll.b32 sreg31, scc, 8
        s.or.b32 sreg30, sreg30, sreg31
        s.blksyn
        s.mull.i32 sreg24, %warpid, 32
        v.add.i32 vreg0, vreg0, sreg24
        {STORE.format("sreg30", 0)}
        simt.exit
    """
    pairs = [[1 | (bin(2 * pair).count("1") + bin(2 * pair + 1).count("1")) << 8] * 64 for pair in range(3)]
    assert everywhere(source, 192, block=192).tolist() == [n for pair in pairs for n in pair]


SPLIT = "s.mov.b32 sreg20, 3\nsimt.rcbr.n sreg20, b\n"
SECOND = "s.cbr.nz %warpid, b\n"
MISUSES = (
    ("s.bar.sync 16", "no named barrier 16", 0),
    ("s.bar.sync 0xffffffff", "no named barrier 4294967295", 0),
    ("s.mov.b32 sreg20, 17\ns.bar.sync sreg20, 64", "no named barrier 17", 0),
    ("s.bar.sync 1, 0", "0 threads: it must be a multiple of 32, and at most 64", 0),
    ("s.bar.sync 1, 33", "33 threads: it must be a multiple of 32", 0),
    ("s.bar.sync 1, 96", "96 threads: it must be a multiple of 32, and at most 64", 0),
    ("s.bar.arrive 1, 128", "128 threads", 0),
    (SECOND + "s.bar.sync 1, 32\ns.bar.sync 1, 64\nb: s.bar.sync 1", "for all live warps of the block", 1),
    (SECOND + "s.bar.arrive 1, 64\nsimt.exit\nb: s.bar.sync 1", "others at named barrier 1 for 64 threads", 1),
    (SPLIT + "s.nop\nb: s.bar.sync 1", "", None),
    (SPLIT + "s.bar.arrive 1, 64\nb: s.nop", "other lanes are elsewhere", 0),
    (SPLIT + "s.bar.sync 1\nsimt.exit\nb: s.bar.sync 1\n", "another instruction", 0),
    (SPLIT + "s.bar.sync 1\nsimt.exit\nb: s.blksyn\n", "named barrier 1 (0 of 2", 0),
    (SPLIT + "s.bar.sync 1\nsimt.exit\nb: s.bar.arrive 1, 64", "elsewhere", 0),
)  # fmt: skip


@pytest.mark.parametrize("timing", ["eager", "late"])
@pytest.mark.parametrize(("source", "detail", "warp"), MISUSES)
def test_misuse_of_a_barrier(source: str, detail: str, warp: int | None, timing: str) -> None:
    """Fault 2 that says what is wrong, in the warp that is."""
    source = f"{HEAD}{source}\nsimt.exit\n"
    if warp is None:
        run(source, 32, timing=timing)
        return
    fault = faulting(source, timing=timing)
    assert (fault.code, fault.warp) == (2, warp)
    assert detail in fault.detail
    assert fault.hint


@pytest.mark.parametrize("before", ["s.mov.b32 sreg50, 2", "s.mov.b32 sreg51, 64"])
def test_lanes_of_a_warp_name_one_barrier(before: str) -> None:
    """Both halves of a warp come to one instruction, but its registers have changed between."""
    start = "s.mov.b32 sreg50, 1\ns.mov.b32 sreg51, 32\n"
    fault = faulting(HEAD + start + LATER.format(bar="s.bar.sync sreg50, sreg51", other=before))
    assert (fault.code, fault.lanes) == (2, tuple(range(8, 32)))
    assert "other lanes of the warp wait" in fault.detail


def test_a_warp_that_is_counted_late_names_the_number_of_the_others() -> None:
    """Half of warp 0 waits for 32 threads; meanwhile warp 1 comes and waits for 64; then the other half ends."""
    source = f"""{HEAD}
        s.cbr.nz %warpid, second
        v.cmp.lt.u32 sreg20, vreg0, 8
        simt.rcbr.n sreg20, late
        s.bar.sync 1, 32
        simt.exit
second: s.bar.sync 1, 64
        simt.exit
late:   s.sleep 1
        simt.exit
    """
    fault = faulting(source)
    assert (fault.code, fault.warp, fault.lanes) == (2, 0, tuple(range(8)))
    assert "this warp waits for 32 threads, others at named barrier 1 for 64 threads" in fault.detail


def test_a_deadlock_says_which_barrier() -> None:
    """How many warps it expects, and how many are there."""
    source = f"{HEAD}s.cbr.nz %warpid, end\ns.bar.sync 4, 96\nend: simt.exit\n"
    with pytest.raises(Deadlock) as caught:
        run(source, 32, block=96)
    (place,) = caught.value.places
    assert place.waits_for == "named barrier 4 (1 of 3 warps are there)"
    assert "k.s:5" in str(caught.value)
    hint = "named barrier 4 waits for 96 threads, but 2 of the block's 3 warps have ended: name fewer threads"
    assert caught.value.hint == hint
    divergent = f"{HEAD}{SPLIT}s.bar.sync 9, 64\nsimt.exit\nb: s.sleep 0\ns.cbr b\n"
    with pytest.raises(Timeout) as late:
        run(divergent, 32)
    assert "named barrier 9 (0 of 2 warps are there)" in str(late.value)


@pytest.mark.parametrize("other", ["s.bar.sync 1", "s.blksyn"])
def test_warps_that_wait_for_each_other_are_told_to_keep_one_order(other: str) -> None:
    """At barriers in another order, or at one with a name and at that of the block."""
    source = f"{HEAD}s.cbr.nz %warpid, b\ns.bar.sync 2\n{other}\nsimt.exit\nb: {other}\ns.bar.sync 2\nsimt.exit\n"
    with pytest.raises(Deadlock) as caught:
        run(source, 32, block=64)
    name = "the block barrier" if other == "s.blksyn" else "named barrier 1"
    assert {"named barrier 2", name} == {place.waits_for.partition(" (")[0] for place in caught.value.places}
    for part in ("named barrier 2", name, "to the same barriers in the same order"):
        assert part in caught.value.hint
