"""Atomics against a plain model of memory, lane by lane: every operation, address form and build; orders and timing.

The model computes with Python integers and exact rationals, knows nothing of lane vectors, and says for each lane
what it found, for memory what is left, and for a fault its code and lanes.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings
from one import ALL, FAST, ISSUE, READ, WRITE, One, assert_rows, bench, lane_mask, stop

from m890.emulator.chip import Chip
from m890.emulator.faults import Fault
from m890.emulator.launch import Limits
from m890.emulator.state import POISON
from m890.isa.effects import Stop
from m890.isa.lanes import LANES

BASE, CONSTANT = (1 << 38) + 0x1000, (2 << 38) - 0x800
SIZE = 1024
FAULT = stop(Stop.FAULT)

# Numbers: a float format as exact rationals.


class Float(NamedTuple):
    """A binary format: bits of exponent and fraction, and its canonical NaN."""

    exponent: int
    fraction: int
    nan: int

    @property
    def bias(self) -> int:
        return (1 << self.exponent - 1) - 1

    def value(self, bits: int) -> Fraction | None:
        """The number, None for infinities and NaNs."""
        sign = -1 if bits >> self.exponent + self.fraction else 1
        exponent = bits >> self.fraction & (1 << self.exponent) - 1
        fraction = bits & (1 << self.fraction) - 1
        if exponent == (1 << self.exponent) - 1:
            return None
        if exponent == 0:
            return sign * Fraction(fraction) * Fraction(2) ** (1 - self.bias - self.fraction)
        whole = Fraction((1 << self.fraction) + fraction)
        return sign * whole * Fraction(2) ** (exponent - self.bias - self.fraction)

    @property
    def infinity(self) -> int:
        return (1 << self.exponent) - 1 << self.fraction

    @property
    def sign(self) -> int:
        return 1 << self.exponent + self.fraction

    def bits(self, value: Fraction) -> int:
        """The nearest number's bits, ties to even; of zero the positive one."""
        sign, value = (self.sign, -value) if value < 0 else (0, value)
        if value == 0:
            return 0
        power = 1 - self.bias
        while value >= Fraction(2) ** (power + 1):
            power += 1
        unit = Fraction(2) ** (power - self.fraction)
        count = round(value / unit)  # Fraction rounds ties to even
        if count >= 1 << self.fraction + 1:
            power, count = power + 1, count // 2
        if power > self.bias:
            return sign | self.infinity
        exponent = 0 if count < 1 << self.fraction else power + self.bias
        return sign | exponent << self.fraction | count & (1 << self.fraction) - 1

    def sum(self, a: int, b: int) -> int:
        x, y = self.value(a), self.value(b)
        if x is None or y is None:
            nan = any(n & ~self.sign > self.infinity for n in (a, b))
            opposite = x is None and y is None and a != b
            return self.nan if nan or opposite else (a if x is None else b)
        if x + y == 0:
            return a & b & self.sign if x == 0 else 0
        return self.bits(x + y)

    def flushed(self, a: int) -> int:
        return a & self.sign if a & self.infinity == 0 else a


F32, F16, BF16 = Float(8, 23, 0x7FFFFFFF), Float(5, 10, 0x7FFF), Float(8, 7, 0x7FFF)


def halves(format: Float) -> Callable[[int, int], int]:
    return lambda old, a: format.sum(old & 0xFFFF, a & 0xFFFF) | format.sum(old >> 16, a >> 16) << 16


def signed(value: int, bits: int) -> int:
    return value - (value >> bits - 1 << bits)


def by_value(choose: Any, bits: int, sign: bool) -> Callable[[int, int], int]:
    return lambda old, a: choose(old, a, key=lambda n: signed(n, bits) if sign else n)


OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "add.i32": lambda old, a: old + a & ALL,
    "add.i64": lambda old, a: old + a & (1 << 64) - 1,
    "add.f32": lambda old, a: F32.flushed(F32.sum(F32.flushed(old), F32.flushed(a))),
    "add.f16x2": halves(F16),
    "add.bf16x2": halves(BF16),
    "inc.u32": lambda old, a: 0 if old >= a else old + 1,
    "dec.u32": lambda old, a: a if old == 0 or old > a else old - 1,
    **{
        f"{name}.{sign}{bits}": by_value(choose, bits, sign == "i")
        for name, choose in (("min", min), ("max", max))
        for sign in "ui"
        for bits in (32, 64)
    },
    **{f"and.b{bits}": lambda old, a: old & a for bits in (32, 64)},
    **{f"or.b{bits}": lambda old, a: old | a for bits in (32, 64)},
    **{f"xor.b{bits}": lambda old, a: old ^ a for bits in (32, 64)},
    **{f"exch.b{bits}": lambda old, a: a for bits in (32, 64)},
}
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


def compare(space: str, way: str, name: str, build: str, indices: list[int], emsk: int, read_only: bool = False) -> int:
    """Run it on the bench's registers and fixed memory, against the model; the code of its fault, or 0."""
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
    code = outside if bad else 21 if read_only and active else 0
    for lane in active if not code else ():
        here = slice(offsets[lane], offsets[lane] + size)
        old, a = int.from_bytes(model[here], "little"), get(8, lane, size)
        if name.startswith("cas"):
            new = get(10, lane, size) if old == a else old
        else:
            new = (OF_TSM if space == "tsm" else OPERATIONS)[name](old, a)
        model[here] = new.to_bytes(size, "little")
        if way == "atom":
            put(rows, 12, lane, size, old)
    found = one.run()
    assert found == (FAULT if code else 1), one.text
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
            scramble(random)
            assert compare(space, way, name, FAST, indices, emsk) == 0
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
)
@settings(max_examples=300, deadline=None)
def test_any_atomic(space: str, way: tuple[str, str], indices: list[int], emsk: int, data: list[int]) -> None:
    """Any operation with any data, few addresses, some of them outside."""
    b = bench()
    b.rows[264:268] = np.resize(np.array(data, np.uint32), (4, LANES))
    compare(space, *way, FAST, indices, emsk)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("way", [("atom", "add.i32"), ("red", "add.f32"), ("atom", "cas.b64"), ("atom", "exch.b64")])
def test_the_observed_build(space: str, way: tuple[str, str]) -> None:
    """The same on the handlers that issue and complete."""
    random = np.random.default_rng(1)
    for indices in ([n % 7 for n in range(LANES)], list(range(LANES)), [3] * 31 + [-1]):
        for emsk in (ALL, 0x0FF0F00F, 0):
            scramble(random)
            compare(space, *way, ISSUE, indices, emsk)


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
@settings(max_examples=100, deadline=None)
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


# Timing: what a warp sees of its own operations, and others of it, under late timing.


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
@settings(max_examples=40, deadline=None)
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
