"""HBM against a slow obvious model, and what the host sees of it: residency, lifetime of views, buffers."""

import gc
import mmap
from functools import partial
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from m890.emulator.buffers import Buffer
from m890.emulator.faults import M890Error, MemoryLimit
from m890.emulator.hbm import GUARD, RANGE, Allocation, FreeRanges, Hbm, window_base
from m890.emulator.host_memory import HostMemory, physical_memory
from m890.emulator.machine.state import POISON, READ, WRITE
from m890.emulator.pod.pod import Pod
from m890.emulator.profiles import PROFILES

SIZE = 1 << 16
STEPS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)))
"""How far on to the next free range, and how long it is."""


class AllocatorMachine(RuleBasedStateMachine):
    """Hbm beside a model: a list of (offset, size, pattern) that is searched byte range by byte range."""

    live = Bundle("live")

    @initialize(poison=st.booleans(), chip=st.sampled_from([0, 1, 127]))
    def start(self, poison: bool, chip: int) -> None:
        self.hbm = Hbm(SIZE, chip, poison=poison)
        self.model: dict[Allocation, tuple[int, int, int]] = {}  # offset, size, the byte it is filled with

    def fits(self, offset: int, size: int) -> bool:
        """The obvious rule: inside HBM, and a guard away from everything."""
        end = offset + max(size, 1)
        apart = (offset >= other_end + GUARD or end + GUARD <= other for other, other_end in self.spans())
        return end <= SIZE and all(apart)

    def spans(self) -> list[tuple[int, int]]:
        """Where the model's allocations lie; an empty one has an address of its own, so it counts as one byte."""
        return [(offset, offset + max(size, 1)) for offset, size, _ in self.model.values()]

    def enter(self, allocation: Allocation, offset: int, size: int, byte: int) -> Allocation:
        """Check a new allocation, its first content, and write a pattern into it."""
        assert (allocation.address, allocation.size) == (window_base(self.hbm.chip) + offset, size)
        content = self.hbm.view(allocation.address, size)
        expected = POISON.to_bytes(4, "little") * (size // 4 + 1) if self.hbm.poison else bytes(size)
        assert content.tobytes() == expected[:size]
        content[:] = byte
        self.model[allocation] = (offset, size, byte)
        return allocation

    @rule(
        target=live,
        size=st.integers(0, 9000),
        align=st.sampled_from([64, 256, 4096, 16384]),
        byte=st.integers(1, 255),
        writable=st.booleans(),
    )
    def allocate(self, size: int, align: int, byte: int, writable: bool) -> Allocation | None:
        expected = next((at for at in range(0, SIZE, align) if self.fits(at, size)), None)
        if expected is None:
            with pytest.raises(MemoryLimit, match="largest free range"):
                self.hbm.allocate(size, align=align, writable=writable)
            return None
        return self.enter(self.hbm.allocate(size, align=align, writable=writable), expected, size, byte)

    @rule(target=live, size=st.integers(0, 5000), at=st.integers(0, SIZE), byte=st.integers(1, 255))
    def allocate_at(self, size: int, at: int, byte: int) -> Allocation | None:
        if not self.fits(at, size):
            with pytest.raises(ValueError, match=r"overlap or touch|is not within"):
                self.hbm.allocate(size, at=at, align=1)
            return None
        return self.enter(self.hbm.allocate(size, at=at, align=1), at, size, byte)

    @rule(target=live, byte=st.integers(1, 255))
    def allocate_last_bytes(self, byte: int) -> Allocation | None:
        return self.allocate_at(4096, SIZE - 4096, byte)

    @rule(allocation=consumes(live))
    def free(self, allocation: Allocation | None) -> None:
        if allocation is not None:
            self.hbm.free(allocation)
            del self.model[allocation]
            with pytest.raises(ValueError, match="is freed already"):
                self.hbm.free(allocation)

    @invariant()
    def content_is_kept(self) -> None:
        for allocation, (_, size, byte) in self.model.items():
            assert self.hbm.view(allocation.address, size).tobytes() == bytes([byte]) * size

    @invariant()
    def table_is_the_model(self) -> None:
        version, table = self.hbm.version, self.hbm.table()
        rows = sorted((a.address, a.end, READ | WRITE * a.writable) for a in self.model if a.size)
        assert [(int(r["lo"]), int(r["hi"]), int(r["flags"])) for r in table] == rows
        assert table.dtype == RANGE
        assert self.hbm.table() is table
        assert self.hbm.version == version

    @invariant()
    def an_empty_hbm_is_whole_again(self) -> None:
        if not self.model:
            self.hbm.free(self.hbm.allocate(SIZE, align=1))

    @rule(offset=st.integers(-GUARD, SIZE + GUARD))
    def find(self, offset: int) -> None:
        expected = next((a for a, (at, size, _) in self.model.items() if at <= offset < at + size), None)
        assert self.hbm.find(self.hbm.base + offset) is expected
        assert ("into" in self.hbm.describe(self.hbm.base + offset)) == (expected is not None)


TestAllocator = AllocatorMachine.TestCase
TestAllocator.settings = settings(max_examples=60, stateful_step_count=25)


@pytest.fixture
def hbm() -> Hbm:
    return Hbm(1 << 30)


def test_free_ranges_coalesce_on_both_sides():
    free = FreeRanges([(0, 100)])
    assert [free.take(10, 1) for _ in range(3)] == [0, 10, 20]
    assert free.ranges == [(30, 100)]
    free.give(0, 10)
    free.give(20, 30)
    assert free.ranges == [(0, 10), (20, 100)]
    free.give(10, 20)
    assert free.ranges == [(0, 100)]
    assert not free.take_at(95, 6)
    assert free.take_at(94, 6)
    assert free.largest() == 94


def test_what_serves_nobody_is_not_searched():
    free = FreeRanges([(0, 100)], 4)
    assert [free.take(10, 12) for _ in range(3)] == [0, 12, 24]
    assert free.ranges == [(34, 100)]
    free.give(12, 22)
    assert free.ranges == [(10, 24), (34, 100)]
    free.give(0, 10)
    free.give(24, 34)
    assert free.ranges == [(0, 100)]
    assert [free.take_at(at, 40) for at in (2, 44, 85)] == [True, True, False]
    assert free.ranges == [(84, 100)]
    free.give(44, 84)
    assert free.ranges == [(42, 100)]
    free.give(2, 42)
    assert free.ranges == [(0, 100)]


def test_allocations_leave_no_scraps_to_search(hbm: Hbm):
    some = [hbm.allocate(size) for size in range(1000)]
    assert len(hbm.free_ranges.ranges) == 1
    for allocation in some[::2] + some[1::2]:
        hbm.free(allocation)
    assert hbm.free_ranges.ranges == [(0, hbm.size + GUARD)]


@given(STEPS, STEPS)
def test_what_is_free_in_both(mine: list[tuple[int, int]], theirs: list[tuple[int, int]]):
    def ranges(steps: list[tuple[int, int]]) -> FreeRanges:
        ends = np.cumsum(np.array(steps, np.int64).reshape(-1)).reshape(-1, 2).tolist()
        return FreeRanges([(start, end) for start, end in ends])

    def offsets(free: FreeRanges) -> set[int]:
        return {at for start, end in free.ranges for at in range(start, end)}

    one, other = ranges(mine), ranges(theirs)
    common = one.common(other)
    assert offsets(common) == offsets(one) & offsets(other)
    assert all(start < end for start, end in common.ranges)
    assert common.ranges == sorted(common.ranges)


def test_a_pod_of_128_costs_no_memory():
    memory = HostMemory()
    before = memory.in_use()
    pod = [Hbm(PROFILES["M890"].hbm_bytes, chip) for chip in range(128)]
    assert len({chip.base for chip in pod}) == 128
    assert memory.in_use() - before < 16 << 20


def test_freed_pages_go_back_to_the_host(hbm: Hbm):
    memory = HostMemory()
    allocation = hbm.allocate(64 << 20)
    before = memory.in_use()
    hbm.view(allocation.address, allocation.size)[:] = 1
    assert memory.in_use() - before > 60 << 20
    hbm.free(allocation)
    assert memory.in_use() - before < 4 << 20


@pytest.mark.parametrize("poison", [False, True])
@pytest.mark.parametrize("size", [1, 100, 4096, 4097, 8192, 12289, 20000])
@pytest.mark.parametrize("at", [0, 1, 4000, 4096, 5000])
def test_reused_bytes_are_like_new(at: int, size: int, poison: bool):
    hbm = Hbm(1 << 20, poison=poison)
    old = hbm.allocate(size, at=at, align=1)
    new = hbm.view(old.address, size).copy()
    hbm.view(old.address, size)[:] = 0xA5
    hbm.free(old)
    again = hbm.allocate(size, at=at, align=1)
    assert np.array_equal(hbm.view(again.address, size), new)


def test_host_address_is_where_the_view_lies(hbm: Hbm):
    allocation = hbm.allocate(100, at=12345, align=1)
    row = hbm.table()[0]
    host = (allocation.address + int(row["delta"])) % 2**64
    assert host == allocation.address - window_base(0) + hbm.host_address
    assert host == hbm.view(allocation.address, 1).ctypes.data


def test_the_last_gigabyte_can_be_taken():
    hbm = Hbm(PROFILES["M890"].hbm_bytes, chip=3)
    last = hbm.allocate(1 << 30, at=hbm.size - (1 << 30), name="last")
    view = hbm.view(last.address, last.size)
    view[-1] = 7
    assert last.end == window_base(3) + (147_456 << 20)
    assert hbm.view(last.end - 1, 1)[0] == 7


def test_an_old_table_stays_as_it_was(hbm: Hbm):
    hbm.allocate(16)
    old = hbm.table()
    kept = old.copy()
    hbm.allocate(16)
    assert len(hbm.table()) == 2
    assert np.array_equal(old, kept)


def test_views_outlive_close_and_collection(hbm: Hbm):
    allocation = hbm.allocate(1 << 20)
    view = hbm.view(allocation.address, allocation.size)
    view[:] = 5
    hbm.close()
    with pytest.raises(ValueError, match="closed"):
        hbm.allocate(1)
    del hbm
    gc.collect()
    assert int(view.sum()) == 5 << 20


def test_closing_releases_the_mapping():
    def mappings() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[0]) * mmap.PAGESIZE

    before = mappings()
    hbm = Hbm(1 << 36)
    view = hbm.view(hbm.allocate(16).address, 16)
    hbm.close()
    assert mappings() - before >= 1 << 36
    del view
    assert mappings() - before < 1 << 35


@pytest.mark.parametrize(
    ("offset", "size", "text"),
    [
        (0, 4, "0 bytes into 'x' (4000 bytes at 0x4000000000)"),
        (3998, 4, "the last 2 of 4 bytes past the end of 'x'"),
        (4000, 4, "right past the end of 'x'"),
        (4004, 4, "4 bytes past the end of 'x'"),
        (8192 - 8, 4, "8 bytes before 'y' (16 bytes at 0x4000002000)"),
        (16384 + 1, 4, "inside freed allocation 'z' (16 bytes at 0x4000004000)"),
        (1 << 29, 4, "in no allocation; nearest: 536862704 bytes past the end of 'y'"),
        (1 << 30, 4, "past the end of the HBM of chip 0 (1024 MiB)"),
        (window_base(5) - window_base(0), 4, "in the HBM window of chip 5"),
        (-window_base(0), 4, "0x0 looks like a null pointer"),
        (0x7FFF7FFF7FFF8003 - window_base(0), 4, "looks like poison (0x7fff7fff)"),
        ((1 << 32) - window_base(0), 8, "in the addresses of code"),
        ((1 << 33) + 64 - window_base(0), 8, "in the addresses of kernel-argument memory (KM)"),
        (1 << 60, 8, "belongs to no window"),
    ],
)
def test_describe(hbm: Hbm, offset: int, size: int, text: str):
    hbm.allocate(4000, name="x")
    hbm.allocate(16, name="y", at=8192)
    hbm.free(hbm.allocate(16, name="z", at=16384))
    assert text in hbm.describe(hbm.base + offset, size)


def test_describe_without_allocations(hbm: Hbm):
    assert hbm.describe(hbm.base) == "in no allocation; chip 0 has none"


def test_errors_of_hbm(hbm: Hbm):
    allocation = hbm.allocate(16, name="x")
    with pytest.raises(ValueError, match="is not one of chip 1"):
        Hbm(1 << 20, chip=1).free(allocation)
    with pytest.raises(ValueError, match="right past the end of 'x'"):
        hbm.view(allocation.end, 1)
    with pytest.raises(ValueError, match="-1 bytes"):
        hbm.allocate(-1)
    with pytest.raises(ValueError, match="power of two"):
        hbm.allocate(1, align=3)
    with pytest.raises(ValueError, match="multiple of the alignment"):
        hbm.allocate(1, at=1000)
    with pytest.raises(ValueError, match="is not within"):
        Hbm((1 << 38) + 1)
    with pytest.raises(MemoryLimit, match=r"HBM of chip 0: 2\.0 GiB more do not fit"):
        hbm.allocate(1 << 31)


def test_a_host_that_refuses_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(M890Error, match="overcommit_memory"):
        Hbm(1 << 30)


def test_host_memory_limit():
    used = HostMemory().in_use()
    assert 1 << 20 < used < physical_memory()
    assert HostMemory().limit == physical_memory() * 4 // 5
    HostMemory(used + (1 << 30)).check(1 << 20)
    with pytest.raises(
        MemoryLimit, match=r"host memory: 4\.0 GiB more do not fit: .* in use, limit .*; set OPTION"
    ) as caught:
        HostMemory(used + (1 << 30), hint="set OPTION").check(4 << 30)
    assert caught.value.requested == 4 << 30
    assert caught.value.limit == used + (1 << 30)


def test_poison_and_big_copies_respect_the_host_memory_limit():
    gc.collect()  # what others have left is not to make room
    memory = HostMemory(HostMemory().in_use() + (64 << 20))
    with pytest.raises(MemoryLimit):
        Hbm(1 << 40 >> 4, poison=True, memory=memory).allocate(1 << 32)
    hbm = Hbm(1 << 36, memory=memory)
    big = Buffer.allocate(hbm, 1 << 32, "u1")  # the allocation alone costs nothing
    with pytest.raises(MemoryLimit):
        big.fill(1)


# --- Buffer ---


def test_buffer_round_trip(hbm: Hbm):
    array = np.arange(60, dtype="f4").reshape(5, 4, 3)
    buffer = Buffer.allocate(hbm, array.shape, array.dtype, name="x")
    assert (buffer.shape, buffer.dtype, buffer.nbytes, buffer.name, buffer.chip) == (array.shape, "f4", 240, "x", 0)
    buffer.copy_from_host(array)
    assert np.array_equal(buffer.copy_to_host(), array)
    out = np.empty_like(array)
    assert buffer.copy_to_host(out) is out
    assert np.array_equal(out, array)
    assert not np.shares_memory(buffer.copy_to_host(), buffer.view())


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=">i4").reshape(3, 4),
        np.arange(24, dtype="<i4").reshape(3, 8)[:, ::2],
        np.arange(12, dtype="<i4").reshape(4, 3).T,
        np.asfortranarray(np.arange(12, dtype="<i4").reshape(3, 4))[::-1],
    ],
)
def test_copies_from_any_layout(hbm: Hbm, array: np.ndarray):
    buffer = Buffer.allocate(hbm, (3, 4), ">i4")
    assert buffer.dtype.isnative
    buffer.copy_from_host(array)
    assert np.array_equal(buffer.view(), array)


def test_copies_longer_than_a_step(hbm: Hbm, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("m890.emulator.buffers.STEP", 64)
    array = np.arange(7 * 50, dtype="i8").reshape(50, 7)
    buffer = Buffer.allocate(hbm, array.shape, "i8")
    buffer.copy_from_host(array)
    assert np.array_equal(buffer.view(), array)
    buffer.fill(9)
    assert (buffer.view() == 9).all()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), 5, np.int64(5), [2, np.uint8(3)], np.array([2, 3])])
def test_unusual_shapes(hbm: Hbm, shape: Any):
    buffer = Buffer.allocate(hbm, shape, "u2")
    buffer.fill(3)
    assert np.array_equal(buffer.view(), np.full(shape, 3, "u2"))
    buffer.free()


@pytest.mark.parametrize("shape", [(4, 1.5), 1.5, np.float64(2), "3", ("a",), None, (None, 2), (-2, -3), -1])
def test_what_is_no_shape_takes_no_memory(hbm: Hbm, shape: Any):
    pod = Pod("M890", chips=2)
    for allocate, memory in ((partial(Buffer.allocate, hbm), hbm), (pod.symmetric, pod.chips[1].hbm)):
        with pytest.raises((TypeError, ValueError), match="a shape"):
            allocate(shape, "u2")
        with pytest.raises(TypeError, match="no fixed bytes"):
            allocate(4, object)
        assert memory.allocations() == ()
        assert allocate(4, "u2").shape == (4,)


def test_views_dlpack_and_asarray_share_memory(hbm: Hbm):
    buffer = Buffer.allocate(hbm, (4, 2), "f4")
    shared = np.from_dlpack(buffer)
    buffer.view()[:] = 2.5
    assert shared.shape == (4, 2)
    assert (shared == 2.5).all()
    assert buffer.__dlpack_device__() == (1, 0)
    assert np.shares_memory(np.asarray(buffer), buffer.view())
    assert np.asarray(buffer, dtype="f8").dtype == "f8"
    assert not np.shares_memory(np.array(buffer), buffer.view())


def test_slices_are_buffers_without_ownership(hbm: Hbm):
    buffer = Buffer.allocate(hbm, (10, 3), "i4", name="x")
    buffer.copy_from_host(np.arange(30, dtype="i4").reshape(10, 3))
    part = buffer[2:5][1:]
    assert (part.address, part.shape, part.name) == (buffer.address + 36, (2, 3), "x[2:5][1:3]")
    part.fill(-1)
    expected = np.arange(30).reshape(10, 3)
    expected[3:5] = -1
    assert np.array_equal(buffer.view(), expected)
    assert buffer[8:3].shape == (0, 3)
    assert len(buffer[-3:]) == 3
    with pytest.raises(ValueError, match="owns no memory"):
        part.free()
    with pytest.raises(ValueError, match="step 2"):
        buffer[::2]
    with pytest.raises(TypeError, match="view"):
        buffer[0]  # type: ignore[index]
    buffer.free()
    with pytest.raises(ValueError, match="after its memory was freed"):
        part.view()


def test_a_with_block_frees(hbm: Hbm):
    with Buffer.allocate(hbm, 10, "u1") as buffer:
        assert not buffer.freed
    assert buffer.freed
    with Buffer.allocate(hbm, 10, "u1") as buffer:
        buffer.free()
    assert hbm.allocations() == ()
    for use in (buffer.view, buffer.free, buffer.copy_to_host, lambda: buffer.fill(0), lambda: np.asarray(buffer)):
        with pytest.raises(ValueError, match="after its memory was freed"):
            use()


def test_a_buffer_of_a_closed_hbm_is_freed(hbm: Hbm):
    buffer = Buffer.allocate(hbm, 10, "u1")
    view = buffer.view()
    view[:] = 1
    hbm.close()
    with pytest.raises(ValueError, match="after its memory was freed"):
        buffer.view()
    assert view.sum() == 10


def test_errors_of_buffers(hbm: Hbm):
    buffer = Buffer.allocate(hbm, (2, 3), "f4")
    with pytest.raises(TypeError, match=r"int64.*astype"):
        buffer.copy_from_host([[1, 2, 3], [4, 5, 6]])
    with pytest.raises(ValueError, match=r"shape \(3, 2\).*reshape"):
        buffer.copy_from_host(np.zeros((3, 2), "f4"))
    with pytest.raises(ValueError, match="shape"):
        buffer.copy_to_host(np.zeros((1, 3), "f4"))
    with pytest.raises(TypeError, match="object"):
        Buffer.allocate(hbm, 1, object)
    with pytest.raises(ValueError, match="does not fit"):
        Buffer(hbm, hbm.allocate(10), 3, "f4")
