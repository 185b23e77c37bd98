"""Programs of asynchronous copies: their groups under late timing, against a plain model.

The model knows which copies stand in which group, and what a warp finds in TSM: what was copied, poison, or what it
stored itself.
"""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from m890.emulator.chip import Chip
from m890.emulator.faults import Fault
from m890.emulator.machine.state import POISON
from m890.isa.lanes import LANES

ROWS, ROW = 6, 128
Step = tuple[str, int, int]
STEP = st.one_of(
    st.tuples(st.just("copy"), st.integers(0, ROWS - 1), st.integers(0, 31)),
    st.tuples(st.just("commit"), st.just(0), st.just(0)),
    st.tuples(st.just("wait"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("read"), st.integers(0, ROWS - 1), st.just(0)),
    st.tuples(st.just("write"), st.integers(0, ROWS - 1), st.just(0)),
)


def text_of(steps: list[Step]) -> str:
    """A warp's program: row n of the output is what its n-th read finds."""
    lines: list[str] = []
    reads = 0
    for what, row, number in steps:
        if what == "copy":
            lines += [
                f"v.add.i32 vreg2, vreg1, {ROW * row:#x}",
                f"v.add.i32 vreg3, vreg0, {LANES * number:#x}",
                "vmem.ld.tsm.b32.kp1 vreg2, [0x0 + vreg3 * 0x4] @x",
            ]
        elif what == "commit":
            lines.append("vmem.acp.commit.grp")
        elif what == "wait":
            lines.append(f"s.wait commit_group({row})")
        elif what == "read":
            lines += [
                f"tsm.ld.b32 vreg4, [{ROW * row:#x} + vreg0 * 0x4]",
                "s.wait tsmcnt(0)",
                f"v.add.i32 vreg3, vreg0, {LANES * reads:#x}",
                "vmem.st.b32 vreg4, [0x0 + vreg3 * 0x4] @out",
                "s.wait vstcnt(0)",
            ]
            reads += 1
        else:
            lines += [
                f"v.or.b32 vreg4, vreg0, {row << 8:#x}",
                f"tsm.st.b32 vreg4, [{ROW * row:#x} + vreg0 * 0x4]",
                "s.wait tsmcnt(0)",
            ]
    body = "\n".join(lines)
    return f"""
        .kernel k
        .param ptr x
        .param ptr out
        .tsm {ROWS * ROW}
        v.mov.b32 vreg0, %laneid
        v.mull.i32 vreg1, vreg0, 0x4
        {body}
        s.wait vstcnt(0)
        simt.exit
    """


def model_of(steps: list[Step], source: np.ndarray, late: bool) -> list[np.ndarray]:
    """What each read finds. Outstanding copies are (group, row, source row), oldest first."""
    tsm = [np.full(LANES, POISON, np.uint32) for _ in range(ROWS)]
    pending: list[tuple[int, int, int]] = []
    groups, found = 0, []

    def complete(count: int) -> None:
        for _, row, number in pending[:count]:
            tsm[row] = source[number].copy()
        del pending[:count]

    def settle(row: int) -> None:
        """Copies to the row, and those before them, complete."""
        touching = [place for place, (_, other, _) in enumerate(pending) if other == row]
        complete(touching[-1] + 1 if touching else 0)

    for what, row, number in steps:
        if what == "copy":
            settle(row)
            if len(pending) == 63:
                complete(1)
            pending.append((groups, row, number))
            if late:
                tsm[row] = np.full(LANES, POISON, np.uint32)
            else:
                complete(1)
        elif what == "commit":
            groups += 1
        elif what == "wait":
            complete(sum(group < groups - row for group, _, _ in pending))
        elif what == "read":
            found.append(tsm[row].copy())
        else:
            settle(row)
            tsm[row] = np.arange(LANES, dtype=np.uint32) | row << 8
    return found


def run(text: str, source: np.ndarray, size: int, timing: Any, block: int = 32) -> np.ndarray:
    chip = Chip(timing=timing, poison=True)
    x, out = chip.to_device(source), chip.to_device(np.zeros(size, np.uint32))
    chip.assemble(f".arch ppu0015\n{text}")["k"][1, block](x, out)
    return out.view().copy()


NUMBERS = np.arange(32 * LANES, dtype=np.uint32).reshape(32, LANES) * 3 + 7


@pytest.mark.parametrize("timing", ["eager", "late"])
@given(steps=st.lists(STEP, max_size=30))
@settings(max_examples=60)
def test_groups(timing: str, steps: list[Step]) -> None:
    """Whatever a warp copies, commits, waits for, reads and stores."""
    wanted = model_of(steps, NUMBERS, timing == "late")
    found = run(text_of(steps), NUMBERS, LANES * 32, timing).reshape(32, LANES)
    assert np.array_equal(found[: len(wanted)], np.array(wanted, np.uint32).reshape(-1, LANES))


def test_a_copy_over_a_copy() -> None:
    """The older one completes first, so that the younger one's wait is missed."""
    steps: list[Step] = [("copy", 0, 1), ("commit", 0, 0), ("copy", 0, 2), ("commit", 0, 0), ("wait", 1, 0)]
    steps += [("read", 0, 0), ("wait", 0, 0), ("read", 0, 0)]
    found = run(text_of(steps), NUMBERS, 2 * LANES, "late").reshape(2, LANES)
    assert (found[0] == POISON).all()
    assert (found[1] == NUMBERS[2]).all()


@pytest.mark.parametrize("count", [63, 64, 65])
def test_sixty_four_are_outstanding(count: int) -> None:
    """One more completes the oldest, committed or not: here its row is read, and that of the oldest that is left."""
    steps: list[Step] = [("copy", 0, 1), ("copy", 1, 2), *[("copy", 2 + n % 4, n % 32) for n in range(4)]]
    text = text_of([*steps, ("read", 0, 0), ("read", 1, 0)])
    more = "vmem.ld.tsm.b32 vreg6, [0x0 + vreg0 * 0x4] @x\nv.add.i32 vreg6, vreg6, 0x80\n" * (count - 6)
    text = text.replace(".tsm 768", ".tsm 16384").replace("tsm.ld.b32 vreg4, [0x0", more + "tsm.ld.b32 vreg4, [0x0", 1)
    text = text.replace("v.mull.i32", "v.mov.b32 vreg6, 0x1000\nv.mull.i32", 1)
    text = text.replace("v.mov.b32 vreg6, 0x1000", "v.shll.b32 vreg6, vreg0, 0x2\nv.add.i32 vreg6, vreg6, 0x400")
    found = run(text, NUMBERS, 2 * LANES, "late").reshape(2, LANES)
    assert (found[0] == (NUMBERS[1] if count > 63 else POISON)).all()
    assert (found[1] == (NUMBERS[2] if count > 64 else POISON)).all()


def program(body: str, tsm: int = 4096) -> str:
    return f"""
        .kernel k
        .param ptr x
        .param ptr out
        .tsm {tsm}
        v.mov.b32 vreg0, %laneid
        v.shll.b32 vreg1, vreg0, 0x2
        {body}
        simt.exit
    """


@pytest.mark.parametrize(
    ("finish", "there"),
    [
        ("vmem.acp.commit.grp\ns.wait commit_group(0)", True),
        ("vmem.acp.commit.grp\ns.wait commit_group(1)", False),
        ("vmem.acp.commit.grp\nvmem.acp.commit.grp\ns.wait commit_group(1)", True),
        ("s.wait commit_group(0)", False),
        ("s.wait vldcnt(0), tsmcnt(0)", False),
        ("vmem.fence.blk", False),
        ("vmem.st.b32.release.gpu vreg0, [0x80 + vreg0 * 0x4] @out", False),
    ],
)
def test_what_completes_a_copy(finish: str, there: bool) -> None:
    text = program(f"""
        vmem.ld.tsm.b32 vreg1, [0x0 + vreg0 * 0x4] @x
        {finish}
        tsm.ld.b32 vreg2, [0x0 + vreg0 * 0x4]
        s.wait tsmcnt(0)
        vmem.st.b32 vreg2, [0x0 + vreg0 * 0x4] @out
    """)
    assert (run(text, NUMBERS[0], 64, "late")[:32] == (NUMBERS[0] if there else POISON)).all()
    assert (run(text, NUMBERS[0], 64, "eager")[:32] == NUMBERS[0]).all()


def test_registers_may_change_before_it_completes() -> None:
    """Addresses, offsets and counts are those of the issue; the bytes read are those of the completion."""
    text = program("""
        v.mov.b32 vreg5, 0x3
        vmem.ld.tsm.zfill.b32 vreg1, [0x0 + vreg0 * 0x4] @x, vreg5
        v.mov.b32 vreg5, 0x0
        v.mov.b32 vreg3, vreg1
        v.mov.b32 vreg1, 0x0
        v.mov.b32 vreg2, vreg0
        v.mov.b32 vreg0, 0x0
        vmem.acp.commit.grp
        s.wait commit_group(0)
        tsm.ld.b32 vreg4, [0x0 + vreg2 * 0x4]
        s.wait tsmcnt(0)
        vmem.st.b32 vreg4, [0x0 + vreg2 * 0x4] @out
    """)
    source = np.arange(LANES, dtype=np.uint32) * 0x01010101 + 0x40302010
    for timing in ("eager", "late"):
        assert (run(text, source, 32, timing) == source & 0xFFFFFF).all()


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_own_stores_keep_their_order(timing: str) -> None:
    """A store to the source, one to the target, and a copy over bytes that a store has not reached yet."""
    text = program("""
        v.add.i32 vreg2, vreg0, 0x64
        vmem.st.b32 vreg2, [0x80 + vreg0 * 0x4] @out
        vmem.ld.tsm.b32 vreg1, [0x80 + vreg0 * 0x4] @out
        v.add.i32 vreg3, vreg0, 0xc8
        vmem.st.b32 vreg3, [0x80 + vreg0 * 0x4] @out
        vmem.acp.commit.grp
        s.wait commit_group(0)
        tsm.ld.b32 vreg4, [0x0 + vreg0 * 0x4]
        s.wait tsmcnt(0), vstcnt(0)
        vmem.st.b32 vreg4, [0x0 + vreg0 * 0x4] @out
    """)
    found = run(text, NUMBERS[0], 64, timing)
    assert (found[:32] == np.arange(LANES) + 100).all()
    assert (found[32:] == np.arange(LANES) + 200).all()


def test_an_outstanding_load_of_the_target_reads_what_was_there() -> None:
    text = program("""
        tsm.st.b32 vreg0, [0x0 + vreg0 * 0x4]
        tsm.ld.b32 vreg4, [0x0 + vreg0 * 0x4]
        vmem.ld.tsm.b32 vreg1, [0x0 + vreg0 * 0x4] @x
        s.wait tsmcnt(0)
        vmem.st.b32 vreg4, [0x0 + vreg0 * 0x4] @out
    """)
    for timing in ("eager", "late"):
        assert (run(text, NUMBERS[0], 32, timing) == np.arange(LANES)).all()


def test_two_stages_between_warps() -> None:
    """A pipeline: while a block works on one tile, the next is on its way."""
    turns = 8
    text = program(f"""
        s.mull.i32 sreg40, %warpid, 0x80
        v.add.i32 vreg5, vreg0, 0x0
        s.shll.b32 sreg41, %warpid, 0x5
        v.add.i32 vreg6, vreg0, sreg41
        v.add.i32 vreg1, vreg1, sreg40
        s.mov.b32 sreg42, 0x0
        v.mov.b32 vreg9, 0x0
        vmem.ld.tsm.b32 vreg1, [0x0 + vreg6 * 0x4] @x
        vmem.acp.commit.grp
next:   v.xor vreg1, vreg1, 0x100
        v.add.i32 vreg6, vreg6, 0x40
        s.cmp.ge.u32 scc, sreg42, {turns - 1}
        s.cbr.nz scc, last
        vmem.ld.tsm.b32 vreg1, [0x0 + vreg6 * 0x4] @x
last:   vmem.acp.commit.grp
        s.wait commit_group(1)
        s.blksyn
        v.xor vreg7, vreg1, 0x17c
        tsm.ld.b32 vreg8, [0x0 + vreg7 * 0x1]
        s.wait tsmcnt(0)
        v.mull.i32 vreg9, vreg9, 0x3
        v.add.i32 vreg9, vreg9, vreg8
        s.blksyn
        s.add.i32 sreg42, sreg42, 0x1
        s.cmp.lt.u32 scc, sreg42, {turns}
        s.cbr.nz scc, next
        v.add.i32 vreg6, vreg0, sreg41
        vmem.st.b32 vreg9, [0x0 + vreg6 * 0x4] @out
    """)
    # vreg7: the other buffer, the opposite word of the block's 64 (xor of the last 6 bits of the word number is 0x1f
    # within a warp: its own row backwards)
    source = np.random.default_rng(5).integers(0, 1 << 31, (turns, 64), np.uint32)
    wanted = np.zeros(64, np.uint32)
    for tile in source:
        wanted = wanted * np.uint32(3) + tile.reshape(2, 32)[:, ::-1].ravel()
    for timing in ("eager", "late"):
        assert (run(text, source, 64, timing, block=64) == wanted).all()


def test_a_fault_says_where() -> None:
    chip = Chip()
    x, out = chip.to_device(NUMBERS[0]), chip.to_device(NUMBERS[0])
    kernel = chip.assemble(".arch ppu0015\n" + program("vmem.ld.tsm.b32 vreg1, [0x0 + vreg0 * 0x4] @x", tsm=124))["k"]
    with pytest.raises(Fault) as found:
        kernel[1, 32](x, out)
    assert (found.value.code, found.value.lanes, dict(found.value.addresses)) == (9, (31,), {31: 124})
    assert "the block has 124 bytes" in str(found.value)


@pytest.mark.parametrize(("name", "size"), [("b8", 1), ("b16", 2)])
def test_small_copies_leave_their_neighbours_alone(name: str, size: int) -> None:
    """Every other item of a row is copied; under late timing only these hold poison until the wait."""
    text = program(f"""
        tsm.st.b32 vreg0, [0x0 + vreg0 * 0x4]
        s.wait tsmcnt(0)
        v.mull.i32 vreg2, vreg0, {2 * size:#x}
        vmem.ld.tsm.{name} vreg2, [0x0 + vreg0 * {size:#x}] @x
        tsm.ld.b32 vreg3, [0x0 + vreg0 * 0x4]
        s.wait tsmcnt(0)
        vmem.st.b32 vreg3, [0x0 + vreg0 * 0x4] @out
        vmem.acp.commit.grp
        s.wait commit_group(0)
        tsm.ld.b32 vreg4, [0x0 + vreg0 * 0x4]
        s.wait tsmcnt(0)
        vmem.st.b32 vreg4, [0x80 + vreg0 * 0x4] @out
    """)
    source = np.random.default_rng(6).integers(0, 256, 128, np.uint8)
    wanted = np.arange(LANES, dtype=np.uint32).view(np.uint8).copy()
    poisoned, kind = wanted.copy(), np.dtype(f"u{size}")
    wanted.view(kind)[0 : 2 * LANES : 2] = source.view(kind)[:LANES]
    poisoned.view(kind)[0 : 2 * LANES : 2] = np.full(LANES, POISON, np.uint32).view(kind)[: 2 * LANES : 2]
    for timing in ("eager", "late"):
        found = run(text, source, 64, timing).view(np.uint8)
        assert np.array_equal(found[128:], wanted)
        assert np.array_equal(found[:128], poisoned if timing == "late" else wanted)
