"""Private memory: a memory for each thread, its bounds, its timing, and what a launch may ask for."""

import gc
from functools import cache

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from kernel_runs import run
from one import ALL, FAST, ISSUE, One, assert_rows, bench, stop

from m890.emulator import plan
from m890.emulator.chip import Chip
from m890.emulator.faults import Fault, LaunchError, MemoryLimit
from m890.emulator.host_memory import HostMemory
from m890.emulator.machine.state import POISON
from m890.isa.effects import Stop
from m890.isa.lanes import LANES
from m890.isa.widths import WIDTHS

WIDTH = {width.name: width for width in WIDTHS}
WAYS = [(way, width.name) for width in WIDTHS for way in ("ld", "st") if way == "ld" or not width.signed]


@cache
def instance(way: str, name: str, build: str) -> One:
    words = WIDTH[name].kind.words
    data = "vreg8" if words == 1 else f"vreg[8:{7 + words}]"
    return bench().one(f"vmem.ga.p.{way}.{name} {data}, [sreg6 + 0x10 + vreg3 * 0x1]", build)


def compare(way: str, name: str, build: str, size: int, offsets: list[int], emsk: int) -> int:
    """Run it on `size` bytes a lane against a list of bytearrays; the code of its fault, or 0."""
    b, width, one = bench(), WIDTH[name], instance(way, name, build)
    memory = b.private(bytes(size))
    memory[:] = np.arange(LANES * size, dtype=np.uint64).reshape(LANES, size) * 37 % 251
    lanes = [bytearray(lane.tobytes()) for lane in memory]
    b.path(ALL, emsk)
    b.rows[6], b.rows[259] = 0xFFFFFFF0, [offset & ALL for offset in offsets]
    rows = b.rows.copy()
    active = [lane for lane in range(LANES) if emsk >> lane & 1]
    codes = {
        lane: 11 if not 0 <= offsets[lane] <= size - width.size else 12 if offsets[lane] % width.size else 0
        for lane in active
    }
    code = next((code for code in codes.values() if code), 0)
    for lane in active if not code else ():
        for word in range(width.kind.words):
            here = slice(offsets[lane] + word * width.item, offsets[lane] + (word + 1) * width.item)
            if way == "st":
                lanes[lane][here] = int(rows[264 + word, lane]).to_bytes(4, "little")[: width.item]
            else:
                rows[264 + word, lane] = int.from_bytes(lanes[lane][here], "little", signed=width.signed) & ALL
    assert one.run() == (stop(Stop.FAULT) if code else 1), one.text
    if code:
        at_fault = sum(1 << lane for lane, found in codes.items() if found == code)
        assert (int(b.warp["fault"]), int(b.warp["fault_lanes"])) == (code, at_fault)
    rows[one.places] = b.rows[one.places]
    assert_rows(b.rows, rows, one.text)
    assert [lane.tobytes() for lane in memory] == [bytes(lane) for lane in lanes]
    assert b.guards_whole()
    return code


@pytest.mark.parametrize("build", [FAST, ISSUE])
@pytest.mark.parametrize(("way", "name"), WAYS)
def test_every_width(way: str, name: str, build: str) -> None:
    """Every lane has its own bytes; the last place works, one byte beyond faults, whatever the size."""
    size, random = WIDTH[name].size, np.random.default_rng(1)
    for count in (size, 5 * size, 3 * size + 1 if size > 1 else 7):
        places = count // size
        bench().scramble(random)
        for offsets in ([0] * LANES, [size * (n % places) for n in range(LANES)], [size * (places - 1)] * LANES):
            assert compare(way, name, build, count, offsets, ALL) == 0
        assert compare(way, name, build, count, [0] * 30 + [size * places, 0], ALL) == 11
        assert compare(way, name, build, count, [0] * 30 + [size * places, 0], ALL & ~(1 << 30)) == 0
        assert compare(way, name, build, count, [-size] * LANES, 0xF0) == 11
        assert compare(way, name, build, count, [-size] * LANES, 0) == 0
    if size > 1:
        assert compare(way, name, build, 4 * size, [size // 2] * LANES, 0xFF) == 12


@given(
    way=st.sampled_from(WAYS),
    build=st.sampled_from([FAST, ISSUE]),
    size=st.integers(0, 40),
    offsets=st.lists(st.integers(-4, 44), min_size=LANES, max_size=LANES)
    | st.lists(st.sampled_from([0, 16, 32]), min_size=LANES, max_size=LANES),
    emsk=st.integers(0, ALL),
)
@settings(max_examples=200)
def test_anywhere(way: tuple[str, str], build: str, size: int, offsets: list[int], emsk: int) -> None:
    bench().scramble(np.random.default_rng(2))
    compare(*way, build, size, offsets, emsk)


# Launches.

MINE = """
        .kernel k
        .private {bytes}
        .param  ptr out
        v.mov.b32       vreg0, %tid.x
        s.mull.i32      sreg20, %blkid.x, %ntid.x
        v.add.i32       vreg0, vreg0, sreg20
"""


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_every_thread_has_its_own(timing: str) -> None:
    """All blocks write before any reads, at equal offsets; more blocks than are resident at once reuse the memory."""
    source = f"""{MINE.format(bytes=6)}
        v.mov.b32       vreg5, 0x2
        vmem.ga.p.st.b16 vreg0, [0x4]
        vmem.ga.p.st.b16 vreg5, [0x0]
        s.blksyn
        s.sleep         1
        vmem.ga.p.ld.b16 vreg1, [vreg5 * 0x2]
        vmem.ga.p.ld.b16 vreg2, [0x0]
        s.wait          vldcnt(0)
        v.mull.i32      vreg1, vreg1, vreg2
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @out
        simt.exit
    """
    found = run(source, 200 * 80, grid=200, block=80, timing=timing)
    assert (found == np.arange(200 * 80) * 2).all()


def test_contents_at_entry() -> None:
    """Undefined: what an earlier block left, or poison where a chip poisons."""
    source = f"""{MINE.format(bytes=12)}
        vmem.ga.p.ld.b32 vreg1, [0x8]
        s.wait          vldcnt(0)
        vmem.ga.p.st.b32 vreg0, [0x8]
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @out
        simt.exit
    """
    for how in ({"poison": True}, {"timing": "late"}):
        assert (run(source, 4096 * 40, grid=4096, block=40, **how) == POISON).all()


def test_late_timing_knows_whose_bytes_they_are() -> None:
    """A store waits; a load of the same lane's bytes completes it, one of another lane's does not."""
    source = f"""{MINE.format(bytes=64)}
        v.mov.b32       vreg1, 0x1
        v.mov.b32       vreg3, 0x3
        vmem.ga.p.st.b32 vreg1, [0x10]
        vmem.ga.p.st.b32 vreg1, [0x20]
        s.wait          vstcnt(0)
        s.mov.b32       emsk, 0xffff
        vmem.ga.p.st.b32 vreg3, [0x10]
        vmem.ga.p.st.b32 vreg3, [0x20]
        {{emsk}}
        vmem.ga.p.ld.b8 vreg2, [0x13]
        vmem.ga.p.ld.b32 vreg4, [0x10]
        s.mov.b32       emsk, 0xffff
        v.mov.b32       vreg3, 0x7
        s.mov.b32       emsk, 0xffffffff
        s.wait          vldcnt(0), vstcnt(0)
        vmem.ga.p.ld.b32 vreg5, [0x20]
        vmem.ga.p.ld.b32 vreg6, [0x10]
        s.wait          vldcnt(0)
        vmem.st.b32     vreg4, [0x0 + vreg0 * 0x4] @out
        vmem.st.b32     vreg5, [0x80 + vreg0 * 0x4] @out
        vmem.st.b32     vreg6, [0x100 + vreg0 * 0x4] @out
        simt.exit
    """
    low = np.arange(32) < 16
    same = run(source.format(emsk=""), 96, block=32, timing="late").reshape(3, 32)
    assert (same[0][:16] == 3).all()
    assert (same[1] == np.where(low, 7, 1)).all()
    assert (same[2] == np.where(low, 3, 1)).all()
    other = run(source.format(emsk="s.mov.b32 emsk, 0xffff0000"), 96, block=32, timing="late").reshape(3, 32)
    assert (other[0][16:] == 1).all()
    assert (other[1] == np.where(low, 7, 1)).all()
    assert (other[2] == np.where(low, 7, 1)).all()


def test_a_fault_says_what_a_thread_has() -> None:
    for size in (0, 20):
        with pytest.raises(Fault) as caught:
            run(f"{MINE.format(bytes=size)}vmem.ga.p.st.b32 vreg0, [sreg2 + vreg0 * 0x4]\nsimt.exit\n", 32, block=32)
        assert (caught.value.code, caught.value.lanes) == (11, tuple(range(32)))
        assert f".private gives a thread {size} bytes" in caught.value.detail


def test_sreg2_holds_how_many_bytes() -> None:
    source = f"{MINE.format(bytes=52)}v.mov.b32 vreg1, sreg2\nvmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @out\nsimt.exit\n"
    assert (run(source, 32, block=32) == 52).all()


EMPTY = ".kernel k\n.private {0}\nsimt.exit\n"


def test_limits() -> None:
    """512 KiB a thread; what the host cannot hold is refused before it is touched."""
    assert Chip().assemble(EMPTY.format(512 * 1024))["k"][1, 32]() == 1
    with pytest.raises(LaunchError, match="524289 bytes of private memory a thread, at most 524288"):
        Chip().assemble(EMPTY.format(512 * 1024 + 1))["k"][1, 32]()
    gc.collect()  # what others have left is not to make room
    memory = HostMemory(HostMemory().in_use() + (64 << 20))
    with pytest.raises(MemoryLimit):
        Chip(poison=True, host_memory=memory).assemble(EMPTY.format(512 * 1024))["k"][8, 32]()


def test_no_room_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(size: int, align: int = 64) -> np.ndarray:
        if size > 1 << 28:
            raise MemoryError
        return aligned(size, align)

    aligned = plan.aligned_bytes
    monkeypatch.setattr(plan, "aligned_bytes", refuse)
    with pytest.raises(LaunchError, match=r"65536 bytes of private memory a thread are 1\.0 GiB for the 16 blocks"):
        Chip().assemble(EMPTY.format(65536))["k"][16, 1024]()
