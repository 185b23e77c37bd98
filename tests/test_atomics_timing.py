"""Atomics in kernels: what a warp sees of its own operations, and others of it, under late timing."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from one import lane_mask

from m890.emulator.chip import Chip
from m890.emulator.faults import Fault
from m890.emulator.launch import Limits
from m890.emulator.machine.state import POISON


def run(source: str, *arrays: np.ndarray, grid: int = 1, block: int = 32, **how: Any) -> list[np.ndarray]:
    """Run a kernel `k` on copies of these arrays; what they hold afterwards."""
    chip = Chip(**{"timing": "late", **how})
    buffers = [chip.to_device(array) for array in arrays]
    chip.assemble(source)["k"].launch((grid, 1, 1), (block, 1, 1), buffers, limits=Limits(instructions=3_000_000))
    return [buffer.copy_to_host() for buffer in buffers]


HEAD = ".kernel k\n.param ptr x\n.param ptr out\nv.mov.b32 vreg0, %laneid\n"
OUT = "vmem.st.b32 {0}, [0x0 + vreg0 * 0x4] @out\ns.wait vstcnt(0)\n"
STEPS = np.arange(32, dtype=np.uint32)
NOTHING = np.zeros(32, np.uint32)


def test_a_result_is_poison_until_the_wait() -> None:
    """The memory has changed by then: what the warp stores afterwards is not undone."""
    source = f"""{HEAD}
        v.mov.b32 vreg1, 0x64
        vmem.atom.add.i32 vreg1, [0x0 + vreg0 * 0x4] @x, vreg1
        {OUT.format("vreg1")}
        vmem.st.b32 vreg0, [0x0 + vreg0 * 0x4] @x
        s.wait vldcnt(0)
        vmem.st.b32 vreg1, [0x80 + vreg0 * 0x4] @out
        vmem.ld.b32 vreg2, [0x0 + vreg0 * 0x4] @x
        s.wait vldcnt(0)
        vmem.st.b32 vreg2, [0x100 + vreg0 * 0x4] @out
        simt.exit
    """
    memory, found = run(source, STEPS + 7, np.zeros(96, np.uint32))
    assert (found[:32] == POISON).all()
    assert (found[32:64] == STEPS + 7).all()
    assert (found[64:] == STEPS).all()
    assert (memory == STEPS).all()


@pytest.mark.parametrize("width", [32, 64])
def test_a_result_goes_to_the_lanes_that_were_active(width: int) -> None:
    """Between issue and wait emsk changes, and the register is overwritten: the result still comes at the wait."""
    d, a, b = ("vreg[2:3]", "vreg[4:5]", "vreg[6:7]") if width == 64 else ("vreg2", "vreg4", "vreg6")
    names = ("vreg2", "vreg3") if width == 64 else ("vreg2",)
    stores = "".join(f"vmem.st.b32 {n}, [{0x80 * k:#x} + vreg0 * 0x4] @out\n" for k, n in enumerate(names))
    source = f"""{HEAD}
        v.mov.b32 vreg2, 0x1
        v.mov.b32 vreg3, 0x2
        v.mov.b32 vreg4, vreg0
        v.mov.b32 vreg5, 0x0
        v.mov.b32 vreg6, 0x33
        v.mov.b32 vreg7, 0x44
        s.mov.b32 sreg40, emsk
        s.mov.b32 emsk, 0xff00
        vmem.atom.cas.b{width} {d}, [0x0 + vreg0 * {width // 8:#x}] @x, {a}, {b}
        s.mov.b32 emsk, 0xf000f
        v.mov.b32 vreg2, 0x5
        s.wait vldcnt(0)
        s.mov.b32 emsk, sreg40
        {stores}
        simt.exit
    """
    start = np.arange(32, dtype=f"u{width // 8}")
    memory, found = run(source, start, np.zeros(64, np.uint32))
    here, others = lane_mask(0xFF00), lane_mask(0xF000F)
    assert (found[:32] == np.where(here, STEPS, np.where(others, 5, 1))).all()
    if width == 64:
        assert (found[32:] == np.where(here, 0, 2)).all()
    assert (memory == np.where(here, 0x33 + (0x44 << 32) * (width == 64), start)).all()


def test_order_with_older_operations_on_the_same_bytes() -> None:
    """An older store and an older .red are there before an atomic acts; an older load reads before."""
    source = f"""{HEAD}
        v.mov.b32 vreg1, 0xa
        vmem.ld.b32 vreg5, [0x0 + vreg0 * 0x4] @x
        vmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @x
        vmem.red.add.i32 [0x0 + vreg0 * 0x4] @x, vreg0
        vmem.atom.or.b32 vreg2, [0x0 + vreg0 * 0x4] @x, vreg1
        vmem.ld.b32 vreg3, [0x0 + vreg0 * 0x4] @x
        vmem.red.xor.b32 [0x0 + vreg0 * 0x4] @x, vreg1
        s.wait vldcnt(0), vstcnt(0)
        {OUT.format("vreg5")}
        vmem.st.b32 vreg2, [0x80 + vreg0 * 0x4] @out
        vmem.st.b32 vreg3, [0x100 + vreg0 * 0x4] @out
        simt.exit
    """
    memory, found = run(source, STEPS + 50, np.zeros(96, np.uint32))
    assert (found[:32] == STEPS + 50).all()
    assert (found[32:64] == 10 + STEPS).all()
    assert (found[64:] == 10 + STEPS | 10).all()
    assert (memory == (10 + STEPS | 10) ^ 10).all()


@pytest.mark.parametrize(("wait", "expected"), [("s.wait vstcnt(0)", 1), ("s.wait vldcnt(0)", 9), ("", 9)])
def test_a_reduction_reads_its_register_when_it_completes(wait: str, expected: int) -> None:
    """At its wait, or at the warp's end: a register overwritten before it shows."""
    source = f"""{HEAD}
        v.mov.b32 vreg1, 0x1
        vmem.red.add.i32 [0x0 + vreg0 * 0x4] @x, vreg1
        {wait}
        v.mov.b32 vreg1, 0x9
        simt.exit
    """
    memory, _ = run(source, STEPS, NOTHING)
    assert (memory == STEPS + expected).all()


@pytest.mark.parametrize("order", ["release", "acquire", "acq_rel"])
def test_a_reduction_with_an_order_acts_at_once(order: str) -> None:
    source = f"""{HEAD}
        v.mov.b32 vreg1, 0x1
        vmem.red.add.i32.{order}.gpu [0x0 + vreg0 * 0x4] @x, vreg1
        v.mov.b32 vreg1, 0x9
        simt.exit
    """
    assert (run(source, STEPS, NOTHING)[0] == STEPS + 1).all()


@pytest.mark.parametrize("count", [63, 64, 130])
def test_sixty_three_are_outstanding(count: int) -> None:
    """One more completes the oldest: its result is there, the next one's is poison."""
    atoms = "\n".join(f"vmem.atom.add.i32 vreg{n + 10}, [0x0 + vreg0 * 0x4] @x, vreg1" for n in range(count))
    looked = (count - 64, count - 63) if count > 63 else (0, 62)
    source = f"""{HEAD}
        v.mov.b32 vreg1, 0x1
        {atoms}
        {OUT.format(f"vreg{looked[0] + 10}")}
        vmem.st.b32 vreg{looked[1] + 10}, [0x80 + vreg0 * 0x4] @out
        simt.exit
    """
    memory, found = run(source, STEPS, np.zeros(64, np.uint32))
    assert (memory == STEPS + count).all()
    assert (found[:32] == (STEPS + looked[0] if count > 63 else POISON)).all()
    assert (found[32:] == POISON).all()


ORDERS = (
    ("vmem.st.b32.release.gpu vreg9, [0x0 + vreg0 * 0x4] @x", True),
    ("vmem.st.b32.relaxed.gpu vreg9, [0x0 + vreg0 * 0x4] @x", False),
    ("vmem.st.b32.volatile vreg9, [0x0 + vreg0 * 0x4] @x", False),
    ("vmem.ld.b32.acquire.sys vreg8, [0x0 + vreg0 * 0x4] @x", False),
    ("vmem.atom.add.i32.release.blk vreg8, [0x0 + vreg0 * 0x4] @x, vreg9", True),
    ("vmem.atom.add.i32.acq_rel.sys vreg8, [0x0 + vreg0 * 0x4] @x, vreg9", True),
    ("vmem.atom.add.i32.acquire.gpu vreg8, [0x0 + vreg0 * 0x4] @x, vreg9", False),
    ("vmem.atom.add.i32 vreg8, [0x0 + vreg0 * 0x4] @x, vreg9", False),
    ("vmem.red.add.i32.release.gpu [0x0 + vreg0 * 0x4] @x, vreg9", True),
    ("tsm.st.b32.release.blk vreg9, [0x0 + vreg0 * 0x4]", True),
    ("tsm.atom.add.i32.release.blk vreg8, [0x0 + vreg0 * 0x4], vreg9", True),
)


@pytest.mark.parametrize(("access", "completes"), ORDERS)
def test_release_completes_what_is_older(access: str, completes: bool) -> None:
    """A load issued before it, of other bytes and another counter or not, has its result."""
    source = f""".kernel k\n.tsm 128\n{HEAD[len(".kernel k") :]}
        v.mov.b32 vreg9, 0x1
        vmem.ld.b32 vreg5, [0x80 + vreg0 * 0x4] @x
        {access}
        {OUT.format("vreg5")}
        simt.exit
    """
    _, found = run(source, np.arange(64, dtype=np.uint32), NOTHING)
    assert (found == (STEPS + 32 if completes else POISON)).all()


@pytest.mark.parametrize("width", ["b32", "b32x2", "b32x4"])
@pytest.mark.parametrize(
    ("order", "now"), [(".acquire.gpu", True), (".relaxed.gpu", False), (".volatile", False), ("", False)]
)
def test_an_acquire_load_reads_at_issue(order: str, now: bool, width: str) -> None:
    """What another warp stores before the wait is not seen, and the register is poison until the wait."""
    words = {"b32": 1, "b32x2": 2, "b32x4": 4}[width]
    d = "vreg4" if words == 1 else f"vreg[4:{3 + words}]"
    source = f"""{HEAD}
        s.cbr.nz %warpid, other
        vmem.ld.{width}{order} {d}, [0x0 + vreg0 * {4 * words:#x}] @x
        {OUT.format(f"vreg{3 + words}")}
        s.blksyn
        s.blksyn
        s.wait vldcnt(0)
        vmem.st.b32 vreg{3 + words}, [0x80 + vreg0 * 0x4] @out
        simt.exit
other:  s.blksyn
        v.mov.b32 vreg{3 + words}, 0x63
        vmem.st.{width} {d}, [0x0 + vreg0 * {4 * words:#x}] @x
        s.wait vstcnt(0)
        s.blksyn
        simt.exit
    """
    memory = np.arange(32 * words, dtype=np.uint32)
    _, found = run(source, memory, np.zeros(64, np.uint32), block=64)
    assert (found[:32] == POISON).all()
    assert (found[32:] == (memory[words - 1 :: words] if now else 0x63)).all()


def test_release_and_acquire_pass_a_message() -> None:
    """Two warps take turns with flags and never wait for their stores: each sees what the other wrote before."""
    turn = """
        v.add.i32 vreg5, vreg5, 0x1
        vmem.st.b32 vreg5, [0x0 + vreg0 * 0x4] @x
        s.add.i32 sreg50, sreg50, 0x1
        v.mov.b32 vreg6, sreg50
        s.mov.b32 emsk, 0x1
        vmem.st.b32.release.gpu vreg6, [{mine} + vreg0 * 0x4] @out
        s.mov.b32 emsk, sreg51
"""
    look = """
{name}: s.mov.b32 emsk, 0x1
        vmem.ld.b32.acquire.gpu vreg7, [{theirs} + vreg0 * 0x4] @out
        s.wait vldcnt(0)
        v.mov.v2s sreg52, vreg7, 0x0
        s.mov.b32 emsk, sreg51
        s.cmp.ne.u32 scc, sreg52, {wanted}
        s.cbr.nz scc, {name}
        vmem.ld.b32 vreg5, [0x0 + vreg0 * 0x4] @x
        s.wait vldcnt(0)
"""
    source = f"""{HEAD}
        s.mov.b32 sreg50, 0x0
        s.mov.b32 sreg51, emsk
        v.mov.b32 vreg5, 0x0
        s.cbr.nz %warpid, second
first:  {turn.format(mine="0x0")}
        {look.format(name="a", theirs="0x80", wanted="sreg50")}
        s.cmp.lt.u32 scc, sreg50, 0xa
        s.cbr.nz scc, first
        simt.exit
second: s.add.i32 sreg53, sreg50, 0x1
        {look.format(name="b", theirs="0x0", wanted="sreg53")}
        {turn.format(mine="0x80")}
        s.cmp.lt.u32 scc, sreg50, 0xa
        s.cbr.nz scc, second
        simt.exit
    """
    for timing in ("eager", "late"):
        memory, _ = run(source, NOTHING, np.zeros(64, np.uint32), block=64, timing=timing)
        assert (memory == 20).all()


@pytest.mark.parametrize("timing", ["eager", "late"])
@pytest.mark.parametrize("unit", ["vmem.red", "vmem.atom", "tsm.atom"])
def test_many_blocks_count_in_one_place(unit: str, timing: str) -> None:
    """Every thread adds its number in the grid plus one; .atom gives every value between once."""
    at = "[0x0 + vreg3 * 0x4]" + " @x" * unit.startswith("vmem")
    d = "" if unit.endswith("red") else "vreg4, "
    source = f""".kernel k\n.param ptr x\n.param ptr out\n.tsm 4
        v.mov.b32 vreg0, %tid.x
        s.mull.i32 sreg20, %blkid.x, %ntid.x
        v.add.i32 vreg0, vreg0, sreg20
        v.mov.b32 vreg3, 0x0
        v.add.i32 vreg1, vreg0, 0x1
        tsm.st.b32 vreg3, [0x0 + vreg3 * 0x4]
        s.wait tsmcnt(0)
        s.blksyn
        {unit}.add.i32 {d}{at}, vreg1
        s.wait vldcnt(0), vstcnt(0), tsmcnt(0)
        {"vmem.st.b32 vreg4, [0x0 + vreg0 * 0x4] @out" if d else ""}
        simt.exit
    """
    blocks, threads = 50, 100
    memory, found = run(
        source, NOTHING, np.zeros(blocks * threads, np.uint32), grid=blocks, block=threads, timing=timing
    )
    numbers = np.arange(1, blocks * threads + 1)
    if unit.startswith("vmem"):
        assert memory[0] == numbers.sum()
    for part in np.split(found, 1 if unit == "vmem.atom" else blocks) if d else ():
        mine = numbers if unit == "vmem.atom" else numbers.reshape(blocks, threads)[0]
        steps = np.diff(np.sort(part))
        assert part.min() == 0
        assert len(np.unique(part)) == len(part)
        assert steps.min() >= mine.min()


STEP = st.tuples(
    st.sampled_from(["ld", "st", "red", "atom", "wait"]), st.integers(0, 3), st.integers(0, 3), st.booleans()
)


@given(steps=st.lists(STEP, min_size=1, max_size=24))
@settings(max_examples=40)
def test_late_is_eager_with_waits(steps: list[tuple[str, int, int, bool]]) -> None:
    """Any operations on four rows of memory: waiting before a register is used gives the same bits in both timings."""
    lines, busy = [], set()
    for what, register, row, relaxed in steps:
        at, name = f"[{0x80 * row:#x} + vreg0 * 0x4] @x", f"vreg{register + 4}"
        if what == "wait" or register in busy:
            lines.append("s.wait vldcnt(0), vstcnt(0)")
            busy.clear()
        match what:
            case "ld":
                lines.append(f"vmem.ld.b32{'.relaxed.gpu' * relaxed} {name}, {at}")
            case "st":
                lines.append(f"vmem.st.b32{'.release.gpu' * relaxed} {name}, {at}")
            case "red" | "atom":
                sums = f"[0x0 + vreg{8 + row} * 0x4] @x, {name}"
                result = f"{name}, " * (what == "atom")
                lines.append(f"vmem.{what}.add.i32{'.acq_rel.gpu' * relaxed} {result}{sums}")
        busy.add(register)
    source = f"""{HEAD}
        v.xor.b32 vreg8, vreg0, 0x1
        v.shrl.b32 vreg9, vreg0, 0x2
        v.mov.b32 vreg10, 0x7
        v.mov.b32 vreg11, vreg0
        {"".join(f"v.mov.b32 vreg{n}, {n}{chr(10)}" for n in range(4, 8))}
        {chr(10).join(lines)}
        s.wait vldcnt(0), vstcnt(0)
        {"".join(f"vmem.st.b32 vreg{n}, [{0x80 * (n - 4):#x} + vreg0 * 0x4] @out{chr(10)}" for n in range(4, 8))}
        simt.exit
    """
    start = np.arange(128, dtype=np.uint32) * 77
    eager, late = (run(source, start, np.zeros(128, np.uint32), timing=timing) for timing in ("eager", "late"))
    for a, b in zip(eager, late, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_faults_name_the_lanes_and_change_nothing(timing: str) -> None:
    """A chip's fault: code, lanes, addresses and the buffer it missed."""
    chip = Chip(timing=timing)
    x = chip.to_device(STEPS, name="x")
    kernel = chip.assemble(f"{HEAD}vmem.atom.add.i32 vreg1, [0x0 + vreg0 * 0x4] @x, vreg0\nsimt.exit\n", "k.s")["k"]
    with pytest.raises(Fault) as caught:
        kernel[1, 32](x[4:], x)
    assert (caught.value.code, caught.value.lanes) == (11, (28, 29, 30, 31))
    assert "'x'" in caught.value.detail
    assert (x.copy_to_host() == STEPS).all()
