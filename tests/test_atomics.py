"""Atomics against a plain model of memory, lane by lane: every operation, address form and build.

The model says for each lane what it found, for memory what is left, and for a fault its code and lanes.
"""

from functools import cache

import hypothesis.strategies as st
import numpy as np
import pytest
from atomic_model import BF16, F16, F32, OPERATIONS, Float, halves
from hypothesis import example, given, settings
from one import ALL, FAST, ISSUE, READ, WRITE, One, assert_rows, bench, stop

from m890.emulator.machine.state import ASKED, CHANGED
from m890.isa.effects import Stop
from m890.isa.lanes import LANES

BASE, CONSTANT = (1 << 38) + 0x1000, (2 << 38) - 0x800
SIZE = 1024
FAULT = stop(Stop.FAULT)
ASKS = (0, ASKED, CHANGED)

OF_TSM = {**OPERATIONS, "add.f32": F32.sum}
NAMES = [*OPERATIONS, "cas.b32", "cas.b64"]
WAYS = [(way, name) for name in NAMES for way in ("atom", "red") if way == "atom" or name[:3] not in ("exc", "cas")]
SPACES = ("indexed", "wide", "tsm")
"""HBM with an index and a base in sregs, HBM with a base in vregs, TSM."""
INTERESTING = (
    0, 1, 2, 7, 0x7FFFFFFF, 0x80000000, ALL, 0xFFFFFFFE, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000,
    0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x80800000, 0x7F7FFFFF, 0x34000000, 0x3C003C00, 0x7BFF0001,
    0x7C00FC00, 0x0001FFFF, 0x80008000, 0x03FF0400, 0x7F7F0080, 0x33000001,
)  # fmt: skip


def size_of(name: str) -> int:
    return 8 if name.endswith("64") else 4


@cache
def instance(space: str, way: str, name: str, build: str) -> One:
    """The instruction with its data in vreg8 (and for cas vreg10), its result in vreg12, its index in vreg3."""
    size = size_of(name)
    d, a, b = (f"vreg{n}" if size == 4 else f"vreg[{n}:{n + 1}]" for n in (12, 8, 10))
    at = {
        "indexed": f"[0x0 + vreg3 * {size:#x}] @sreg[6:7]",
        "wide": "[0x0] @vreg[4:5]",
        "tsm": f"[sreg6 + vreg3 * {size:#x}]",
    }[space]
    unit = "tsm" if space == "tsm" else "vmem"
    operands = [d] * (way == "atom") + [at, a] + [b] * name.startswith("cas")
    return bench().one(f"{unit}.{way}.{name} {', '.join(operands)}", build)


def get(row: int, lane: int, size: int) -> int:
    rows = bench().rows
    return int(rows[256 + row, lane]) | (int(rows[257 + row, lane]) << 32 if size == 8 else 0)


def put(rows: np.ndarray, row: int, lane: int, size: int, value: int) -> None:
    for word in range(size // 4):
        rows[256 + row + word, lane] = value >> 32 * word & ALL


def compare(
    space: str,
    way: str,
    name: str,
    build: str,
    indices: list[int],
    emsk: int,
    *,
    read_only: bool = False,
    asks: int = 0,
) -> int:
    """Run it on the bench's registers and fixed memory, against the model; the code of its fault, or 0.

    `asks` says whether somebody wants to know if it changes memory, which it must tell only if some lane does.
    """
    b, size = bench(), size_of(name)
    base = CONSTANT if read_only else BASE
    content = b"".join(INTERESTING[n % len(INTERESTING)].to_bytes(4, "little") for n in range(SIZE // 4))
    if space == "tsm":
        base, memory = 0, b.tsm(content)
        b.memory()
    else:
        (memory,) = b.memory((base, content, READ if read_only else READ | WRITE))
    offsets = [n * size for n in indices]
    one = instance(space, way, name, build)
    one.forget()
    b.path(ALL, emsk)
    b.rows[6], b.rows[7] = base & ALL, base >> 32
    for lane, offset in enumerate(offsets):
        b.rows[259, lane] = indices[lane] & ALL
        put(b.rows, 4, lane, 8, base + offset & (1 << 64) - 1)
    rows, model = b.rows.copy(), bytearray(content)
    outside = 9 if space == "tsm" else 11
    active = [lane for lane in range(LANES) if emsk >> lane & 1]
    bad = {lane for lane in active if not 0 <= offsets[lane] <= SIZE - size}
    code, changes = outside if bad else 21 if read_only and active else 0, False
    for lane in active if not code else ():
        here = slice(offsets[lane], offsets[lane] + size)
        old, a = int.from_bytes(model[here], "little"), get(8, lane, size)
        if name.startswith("cas"):
            new = get(10, lane, size) if old == a else old
        else:
            new = (OF_TSM if space == "tsm" else OPERATIONS)[name](old, a)
        model[here] = new.to_bytes(size, "little")
        changes |= new != old
        if way == "atom":
            put(rows, 12, lane, size, old)
    b.launch["changed"] = asks
    found = one.run()
    assert found == (FAULT if code else 1), one.text
    assert b.launch["changed"] == (CHANGED if asks == ASKED and changes else asks), one.text
    if code:
        lanes = sum(1 << lane for lane in (bad or active))
        assert (int(b.warp["fault"]), int(b.warp["fault_lanes"])) == (code, lanes), one.text
    rows[one.places] = b.rows[one.places]
    assert_rows(b.rows, rows, one.text)
    assert memory.tobytes() == bytes(model), one.text
    assert b.guards_whole()
    return code


def scramble(random: np.random.Generator) -> None:
    """Random registers, half of the data out of the interesting numbers."""
    b = bench()
    b.scramble(random)
    for row in (8, 9, 10, 11):
        b.rows[256 + row] = random.choice(INTERESTING, LANES)
    b.rows[256 + 10, ::2] = b.rows[256 + 8, ::2]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("way", "name"), WAYS)
def test_every_atomic(space: str, way: str, name: str) -> None:
    """Spread, colliding and equal addresses under several masks; one lane outside; read-only memory."""
    random = np.random.default_rng(len(name))
    count = SIZE // size_of(name)
    spread = [int(n) for n in random.permutation(count)[:LANES]]
    for indices in (spread, [n % 3 for n in range(LANES)], [5] * LANES, [count - 1 - n // 2 for n in range(LANES)]):
        for emsk in (ALL, int(random.integers(0, 1 << 32)), 1 << 31, 0):
            for asks in ASKS:
                scramble(random)
                assert compare(space, way, name, FAST, indices, emsk, asks=asks) == 0
    scramble(random)
    outside = [*spread[:9], count, *spread[10:]]
    assert compare(space, way, name, FAST, outside, ALL) in (9, 11)
    assert compare(space, way, name, FAST, outside, ALL & ~(1 << 9)) == 0
    if space != "tsm":
        assert compare(space, way, name, FAST, spread, 0xF0, read_only=True) == 21
        assert compare(space, way, name, FAST, spread, 0, read_only=True) == 0


@given(
    space=st.sampled_from(SPACES),
    way=st.sampled_from(WAYS),
    indices=st.lists(st.sampled_from([0, 1, 2, 3, 4, 17, 18, 127, -1, 300]), min_size=LANES, max_size=LANES)
    | st.lists(st.integers(0, 5), min_size=LANES, max_size=LANES),
    emsk=st.integers(0, ALL) | st.just(ALL),
    data=st.lists(st.sampled_from(INTERESTING) | st.integers(0, ALL), min_size=4, max_size=4 * LANES),
    asks=st.sampled_from(ASKS),
)
@settings(max_examples=300)
def test_any_atomic(
    space: str, way: tuple[str, str], indices: list[int], emsk: int, data: list[int], asks: int
) -> None:
    """Any operation with any data, few addresses, some of them outside."""
    b = bench()
    b.rows[264:268] = np.resize(np.array(data, np.uint32), (4, LANES))
    compare(space, *way, FAST, indices, emsk, asks=asks)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("way", [("atom", "add.i32"), ("red", "add.f32"), ("atom", "cas.b64"), ("atom", "exch.b64")])
def test_the_observed_build(space: str, way: tuple[str, str]) -> None:
    """The same on the handlers that issue and complete."""
    random = np.random.default_rng(1)
    for indices in ([n % 7 for n in range(LANES)], list(range(LANES)), [3] * 31 + [-1]):
        for emsk in (ALL, 0x0FF0F00F, 0):
            for asks in ASKS:
                scramble(random)
                compare(space, *way, ISSUE, indices, emsk, asks=asks)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", ["add.i32", "add.i64"])
def test_misaligned(space: str, name: str) -> None:
    """A base that is no multiple of the element: all lanes of it are at fault, and nothing changes."""
    b, size = bench(), size_of(name)
    one = instance(space, "atom", name, FAST)
    for shift in range(1, size):
        memory = b.tsm(bytes(SIZE)) if space == "tsm" else b.memory((BASE, bytes(SIZE)))[0]
        b.scramble(np.random.default_rng(2))
        b.path(ALL, 0x00FF0000)
        base = shift if space == "tsm" else BASE + shift
        b.rows[6], b.rows[7], b.rows[259] = base & ALL, base >> 32, np.arange(LANES)
        b.rows[260], b.rows[261] = base & ALL, base >> 32
        rows = b.rows.copy()
        one.forget()
        assert one.run() == FAULT
        assert (int(b.warp["fault"]), int(b.warp["fault_lanes"])) == (10 if space == "tsm" else 12, 0x00FF0000)
        rows[one.places] = b.rows[one.places]
        assert_rows(b.rows, rows, one.text)
        assert not memory.any()


@pytest.mark.parametrize(("format", "name"), [(F16, "f16x2"), (BF16, "bf16x2")])
@given(data=st.lists(st.integers(0, ALL), min_size=2 * LANES, max_size=2 * LANES))
@example(data=[0x7BFF0001, 0x7BFF0001] * LANES)
@settings(max_examples=100)
def test_packed_sums_are_exact(format: Float, name: str, data: list[int]) -> None:
    """Any two pairs of halves."""
    b = bench()
    (memory,) = b.memory((BASE, np.array(data[:LANES], np.uint32).tobytes()))
    b.path(ALL)
    b.rows[6], b.rows[7], b.rows[259] = BASE & ALL, BASE >> 32, np.arange(LANES)
    b.rows[264] = data[LANES:]
    one = instance("indexed", "red", f"add.{name}", FAST)
    one.forget()
    assert one.run() == 1
    sums = [halves(format)(old, a) for old, a in zip(data[:LANES], data[LANES:], strict=True)]
    assert [f"{n:08x}" for n in memory.view(np.uint32)] == [f"{n:08x}" for n in sums]


def test_the_model_adds_as_numpy_does() -> None:
    """The exact sums of this file against those of the host."""
    random = np.random.default_rng(3)
    a, b = random.integers(0, 1 << 32, (2, 2000), np.uint32)
    a[:28], b[:28] = INTERESTING, INTERESTING[::-1]
    with np.errstate(all="ignore"):
        total = a.view(np.float32) + b.view(np.float32)
    expected = np.where(np.isnan(total), 0x7FFFFFFF, total.view(np.uint32))
    assert [F32.sum(int(x), int(y)) for x, y in zip(a, b, strict=True)] == expected.tolist()
