"""Asynchronous copies by lanes: against a plain model of both memories, and their groups under late timing.

The model of one copy knows bytes and lanes. The model of a program knows which copies stand in which group, and what a
warp finds in TSM: what was copied, poison, or what it stored itself.
"""

from functools import cache
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from one import ALL, FAST, ISSUE, READ, One, assert_rows, bench, stop

from m890.emulator.chip import Chip
from m890.emulator.faults import Fault
from m890.emulator.machine.state import POISON
from m890.isa.effects import Stop
from m890.isa.lanes import LANES

BASE, CONSTANT = (1 << 38) + 0x1000, (2 << 38) - 0x800
SIZE, TSM = 1000, 520  # neither a multiple of 16: the last lane's bytes end in the middle of a copy
WIDTHS = {"b8": 1, "b16": 2, "b32": 4, "b32x2": 8, "b32x4": 16}
BUILDS = (FAST, ISSUE)
FAULT = stop(Stop.FAULT)
SOURCE = np.random.default_rng(1).integers(0, 256, SIZE, np.uint8).tobytes()
TARGET = np.random.default_rng(2).integers(0, 256, TSM, np.uint8).tobytes()


class Copy(NamedTuple):
    """One copy: bytes a lane, addresses, offsets, bytes to read (None: all), and the active lanes."""

    size: int
    addresses: list[int]
    offsets: list[int]
    counts: list[int] | None
    lanes: list[int]

    def read(self, lane: int) -> int:
        return self.size if self.counts is None else min(self.size, self.counts[lane])

    def target_code(self, lane: int) -> int:
        if not 0 <= self.offsets[lane] <= TSM - self.size:
            return 9
        return 10 if self.offsets[lane] % self.size else 0

    def source_code(self, lane: int) -> int:
        if self.read(lane) == 0:
            return 0
        if self.addresses[lane] % self.size:
            return 12
        return 0 if BASE <= self.addresses[lane] <= BASE + SIZE - self.read(lane) else 11

    def fault(self) -> tuple[int, list[int]]:
        """Code and lanes: where the bytes go is checked first; the first lane decides."""
        for code_of in (self.target_code, self.source_code):
            codes = {lane: code_of(lane) for lane in self.lanes}
            code = next((code for code in codes.values() if code), 0)
            if code:
                return code, [lane for lane, other in codes.items() if other == code]
        return 0, []

    def result(self) -> bytes:
        """TSM after it."""
        tsm = bytearray(TARGET)
        for lane in self.lanes:
            start, read = self.addresses[lane] - BASE, self.read(lane)
            data = SOURCE[start : start + read] if read else b""
            tsm[self.offsets[lane] : self.offsets[lane] + self.size] = data.ljust(self.size, b"\0")
        return bytes(tsm)


@cache
def instance(name: str, zfill: bool, wide: bool, scale: int, build: str) -> One:
    size = WIDTHS[name]
    if wide:
        at = "[0x0] @vreg[6:7]"
    else:
        at = f"[0x0 + vreg3 * {size if zfill else scale:#x}] @sreg[6:7]"
    return bench().one(f"vmem.ld.tsm.{'zfill.' if zfill else ''}{name} vreg9, {at}{', vreg5' if zfill else ''}", build)


def compare(one: One, copy: Copy) -> int:
    """Run it on registers as they are; the model's code."""
    b = bench()
    tsm, (memory,) = b.tsm(TARGET), b.memory((BASE, SOURCE, READ))
    b.rows[265] = np.array(copy.offsets, np.uint64).astype(np.uint32)
    b.rows[261] = copy.counts if copy.counts is not None else 0
    b.path(ALL, sum(1 << lane for lane in copy.lanes))
    one.forget()
    for _ in range(2):  # the second time the record knows the allocation
        rows = b.rows.copy()
        code, lanes = copy.fault()
        found = one.run()
        assert found == (FAULT if code else 1), (one.text, copy, code)
        if code:
            assert int(b.warp["fault"]) == code
            assert int(b.warp["fault_lanes"]) == sum(1 << lane for lane in lanes)
        rows[one.places] = b.rows[one.places]
        assert_rows(b.rows, rows, one.text)
        assert tsm.tobytes() == (TARGET if code else copy.result()), (one.text, copy)
        assert memory.tobytes() == SOURCE
        assert b.guards_whole()
    return code


LANES_ON = st.one_of(st.just(list(range(LANES))), st.lists(st.integers(0, 31), unique=True).map(sorted))
STEPS = st.sampled_from([1, 1, 1, 0, 2, -1])


@given(
    name=st.sampled_from(list(WIDTHS)),
    zfill=st.booleans(),
    wide=st.booleans(),
    build=st.sampled_from(BUILDS),
    first=st.integers(0, 31),
    step=STEPS,
    to_first=st.integers(0, 31),
    to_step=STEPS,
    odd=st.dictionaries(st.integers(0, 31), st.integers(-40, 1100), max_size=2),
    to_odd=st.dictionaries(st.integers(0, 31), st.integers(0, 560), max_size=2),
    counts=st.lists(st.sampled_from([0, 1, 3, 4, 5, 8, 13, 15, 16, 17, ALL]), min_size=1, max_size=4),
    lanes=LANES_ON,
)
@settings(max_examples=400)
def test_one_copy(
    name: str, zfill: bool, wide: bool, build: str, first: int, step: int, to_first: int, to_step: int,
    odd: dict[int, int], to_odd: dict[int, int], counts: list[int], lanes: list[int],
) -> None:  # fmt: skip
    """Rows of addresses and offsets with a few odd ones, anywhere near an allocation and the end of TSM."""
    b, size = bench(), WIDTHS[name]
    b.scramble(np.random.default_rng(3))
    zfill = zfill and size >= 4
    one = instance(name, zfill, wide, size, build)
    starts = [odd.get(lane, size * (first + step * lane)) for lane in range(LANES)]
    if wide:
        addresses = [BASE + start for start in starts]
        b.rows[262] = [address & ALL for address in addresses]
        b.rows[263] = [address >> 32 for address in addresses]
    else:
        index = [start // size for start in starts]
        base = BASE - 64 * size
        b.rows[6], b.rows[7], b.rows[259] = base & ALL, base >> 32, [n + 64 for n in index]
        addresses = [base + size * (n + 64) for n in index]
    offsets = [to_odd.get(lane, size * (to_first + to_step * lane)) & ALL for lane in range(LANES)]
    given_counts = [counts[lane % len(counts)] for lane in range(LANES)] if zfill else None
    compare(one, Copy(size, addresses, offsets, given_counts, lanes))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", WIDTHS)
def test_one_lane_at_fault(name: str, build: str) -> None:
    """Whichever it is, in TSM or at the source: no lane copies."""
    b, size = bench(), WIDTHS[name]
    one = instance(name, False, True, size, build)
    for lane in range(0, LANES, 5):
        for wrong, to_wrong, code in ((2048, 0, 11), (1, 0, 12), (0, 1024, 9), (0, 1, 10), (2048, 1024, 9), (0, 0, 0)):
            code = 0 if size == 1 and code in (10, 12) else code
            addresses = [BASE + size * n for n in range(LANES)]
            offsets = [size * n for n in range(LANES)]
            addresses[lane] += wrong
            offsets[lane] += to_wrong
            b.rows[262] = [address & ALL for address in addresses]
            b.rows[263] = [address >> 32 for address in addresses]
            assert compare(one, Copy(size, addresses, offsets, None, list(range(LANES)))) == code


@pytest.mark.parametrize("build", BUILDS)
def test_lanes_that_read_nothing_may_point_anywhere(build: str) -> None:
    """With a count of 0 there is no source; the bytes in TSM are zero."""
    b = bench()
    one = instance("b32x4", True, True, 16, build)
    addresses = [BASE + 16 * n if n % 2 else 0xDEAD0000BEEF for n in range(LANES)]
    b.rows[262] = [address & ALL for address in addresses]
    b.rows[263] = [address >> 32 for address in addresses]
    counts = [16 if n % 2 else 0 for n in range(LANES)]
    assert compare(one, Copy(16, addresses, [16 * n for n in range(LANES)], counts, list(range(LANES)))) == 0


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 20])
def test_the_end_of_an_allocation(count: int, build: str) -> None:
    """The last lane's 16 bytes are half outside: it may read 8 of them."""
    b = bench()
    one = instance("b32x4", True, True, 16, build)
    addresses = [BASE + 16 * (SIZE // 16 - n % 2) for n in range(LANES)]
    b.rows[262] = [address & ALL for address in addresses]
    b.rows[263] = [address >> 32 for address in addresses]
    counts = [16 if n % 2 else count for n in range(LANES)]
    copy = Copy(16, addresses, [16 * n for n in range(LANES)], counts, list(range(LANES)))
    assert compare(one, copy) == (11 if count > 8 else 0)


# Programs.

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
