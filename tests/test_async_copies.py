"""One asynchronous copy by lanes, against a plain model of both memories that knows bytes and lanes."""

from functools import cache
from typing import NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from one import ALL, FAST, ISSUE, READ, One, assert_rows, bench, stop

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
