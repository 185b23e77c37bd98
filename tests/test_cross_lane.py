"""Shuffles, votes, matches and reductions against a model in plain Python: lists of 32 numbers, one lane at a time."""

import math
import struct
from functools import cache
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings
from one import ALL, One, bench, check, float_bits

from m890.emulator.codegen import lowering
from m890.emulator.codegen.glue import compile_handler
from m890.emulator.codegen.recipes import key_of
from m890.isa.lanes import LANES
from m890.isa.reference import evaluate
from m890.isa.registers import EMSK

NAN = 0x7FFFFFFF
MODES = ("idx", "up", "down", "bfly")
masks = st.one_of(st.sampled_from([ALL, 0, 1, 0x80000000, 0xFFFF, 0x55555555]), st.integers(0, ALL))
words = st.integers(0, ALL)
few = st.lists(st.integers(0, 3), min_size=LANES, max_size=LANES)
rows = st.one_of(st.lists(words, min_size=LANES, max_size=LANES), few)
clamps = st.one_of(st.sampled_from([0, 31]), st.integers(0, 31))
segments = st.one_of(st.sampled_from([0, 0x10, 0x18, 0x1C, 0x1E, 0x1F]), st.integers(0, 31))
SPECIAL = [0x00000000, 0x80000000, 1, 0x80000001, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000,
           0xFF800001, 0x7F7FFFFF, 0xFF7FFFFF, 0x3F800001, 0x33800000]  # fmt: skip
floats = st.lists(st.one_of(st.sampled_from(SPECIAL), words), min_size=LANES, max_size=LANES)


def often(count: int = 100) -> Any:
    return settings(max_examples=count, derandomize=True)


def lanes(mask: int) -> list[int]:
    return [lane for lane in range(LANES) if mask >> lane & 1]


def run(text: str, mask: int, **registers: Any) -> np.ndarray:
    """All rows after one instruction; `registers` are lists of 32 for vregs, numbers for sregs."""
    b = bench()
    b.path(ALL, mask)
    for name, value in registers.items():
        b.rows[int(name[4:]) + (256 if name[0] == "v" else 0)] = value
    assert decoded(text).run() == 1
    return b.rows


@cache
def decoded(text: str) -> One:
    return bench().one(text)


# ---- shuffles -------------------------------------------------------------------------------------------------------


def shuffled(mode: str, mask: int, a: list[int], b: list[int], c: list[int]) -> tuple[list[int], int]:
    """d of every lane, and the lanes that read one inside their segment and on."""
    d, inside = list(a), 0
    for lane in lanes(mask):
        offset, clamp, segment = b[lane] % 32, c[lane] % 32, c[lane] // 256 % 32
        fixed = [bit for bit in range(5) if segment >> bit & 1]
        first = sum(1 << bit for bit in fixed if lane >> bit & 1)
        last = first + sum(1 << bit for bit in range(5) if bit not in fixed and clamp >> bit & 1)
        if mode == "idx":
            source = first + sum(1 << bit for bit in range(5) if bit not in fixed and offset >> bit & 1)
        else:
            source = {"up": lane - offset, "down": lane + offset, "bfly": lane ^ offset}[mode]
        fits = source >= first if mode == "up" else source <= last
        if fits and mask >> source & 1:
            d[lane] = a[source]
            inside |= 1 << lane
    return d, inside


def expect(found: np.ndarray, d: list[int], mask: int) -> None:
    for lane in range(LANES):
        assert int(found[lane]) == (d[lane] if mask >> lane & 1 else 0xABCD), f"lane {lane}"


@pytest.mark.parametrize("mode", MODES)
@often()
@given(mask=masks, a=rows, b=rows, clamp=rows, segment=rows)
def test_shuffle_of_each_lanes_own_choice(mode, mask, a, b, clamp, segment):
    c = [x & 31 | (y & 31) << 8 | (x ^ y) << 16 & ALL for x, y in zip(clamp, segment, strict=True)]
    d, inside = shuffled(mode, mask, a, b, c)
    before = {"vreg1": a, "vreg2": b, "vreg3": c, "vreg4": 0xABCD}
    expect(run(f"v.shuffle.{mode}.b32 vreg4, vreg1, vreg2, vreg3", mask, **before)[260], d, mask)
    found = run(f"v.shuffle.{mode}.b32 vreg4, sreg9, vreg1, vreg2, vreg3", mask, **before)
    expect(found[260], d, mask)
    assert int(found[9, 0]) == inside


@pytest.mark.parametrize("mode", MODES)
@often()
@given(mask=masks, a=rows, b=words, clamp=clamps, segment=segments)
@example(mask=ALL, a=list(range(32)), b=1, clamp=31, segment=0x18)
@example(mask=ALL, a=list(range(32)), b=1, clamp=0, segment=0)
def test_shuffle_with_the_same_for_all(mode, mask, a, b, clamp, segment):
    c = clamp | segment << 8
    d, inside = shuffled(mode, mask, a, [b] * LANES, [c] * LANES)
    before = {"vreg1": a, "sreg2": b, "sreg3": c, "vreg4": 0xABCD}
    found = run(f"v.shuffle.{mode}.b32 vreg4, sreg9, vreg1, sreg2, sreg3", mask, **before)
    expect(found[260], d, mask)
    assert int(found[9, 0]) == inside


@pytest.mark.parametrize("mode", MODES)
@often()
@given(mask=masks, a=rows, b=rows, number=st.one_of(clamps, st.sampled_from([32, 0x2F, ALL])))
def test_shuffle_of_the_whole_warp(mode, mask, a, b, number):
    whole = [0 if mode == "up" else 31] * LANES
    before = {"vreg1": a, "vreg2": b, "vreg4": 0xABCD}
    expect(run(f"v.shuffle.{mode}.b32 vreg4, vreg1, vreg2", mask, **before)[260],
           shuffled(mode, mask, a, b, whole)[0], mask)  # fmt: skip
    expect(run(f"v.shuffle.{mode}.b32 vreg4, vreg1, {number:#x}", mask, **before)[260],
           shuffled(mode, mask, a, [number] * LANES, whole)[0], mask)  # fmt: skip


def test_shuffles_of_cuda_habits():
    a = list(range(32))
    check("v.shuffle.bfly.b32 vreg3, vreg1, 16", vreg1=a, vreg3=[n ^ 16 for n in a])
    check("v.shuffle.down.b32 vreg3, vreg1, 1", vreg1=a, vreg3=[*a[1:], 31])
    check("v.shuffle.up.b32 vreg3, vreg1, 2", vreg1=a, vreg3=[0, 1, *a[:30]])
    check("v.shuffle.idx.b32 vreg3, vreg1, 7", vreg1=a, vreg3=[7] * 32)
    check("v.shuffle.idx.b32 vreg1, vreg1, vreg2", before={"vreg1": a, "vreg2": a[::-1]}, after={"vreg1": a[::-1]})
    width_8 = {"sreg2": 1, "sreg3": 0x181F}
    check("v.shuffle.down.b32 vreg3, vreg1, sreg2, sreg3", vreg1=a, **width_8,
          vreg3=[n if n % 8 == 7 else n + 1 for n in a])  # fmt: skip


def test_a_lane_that_is_off_gives_the_reader_its_own():
    a = list(range(100, 132))
    found = run("v.shuffle.idx.b32 vreg4, vreg1, 20", 0xFFFF, vreg1=a, vreg4=0xABCD)
    expect(found[260], a, 0xFFFF)


def test_shuffle_without_wide_permutes(monkeypatch):
    """A host without AVX-512 reads the lanes from memory, to the same bits."""
    b = bench()
    one = b.one("v.shuffle.idx.b32 vreg4, vreg1, vreg2, vreg3")
    recipe = one.program.recipes[0]
    monkeypatch.setattr(lowering, "PERMUTES", False)
    key = f"{key_of(recipe)}memory"
    address = b.engine.cache.save(key, compile_handler(key, recipe))
    one.program.records["handler"][0] = address
    random = np.random.default_rng(5)
    for mask in (ALL, 0x12345678, 0):
        a, number = (random.integers(0, 1 << 32, LANES, np.uint32) for _ in range(2))
        b.path(ALL, mask)
        b.rows[257], b.rows[258], b.rows[259], b.rows[260] = a, number, 31, 0xABCD
        assert one.run() == 1
        expect(b.rows[260], shuffled("idx", mask, a.tolist(), number.tolist(), [31] * LANES)[0], mask)


# ---- votes and matches ----------------------------------------------------------------------------------------------


@often()
@given(mask=masks, votes=masks)
@example(mask=0, votes=ALL)
@example(mask=0xF0, votes=0xF)
def test_votes(mask, votes):
    bits = [votes >> lane & 1 for lane in lanes(mask)]
    expected = {"all": all(bits), "any": any(bits), "uni": len(set(bits)) < 2}
    for name, holds in expected.items():
        assert int(run(f"v.vote.{name} sreg9, sreg8", mask, sreg8=votes)[9, 0]) == (ALL if holds else 0)
    ballot = sum(1 << lane for lane in lanes(mask) if votes >> lane & 1)
    assert int(run("v.vote.ballot.b32 sreg9, sreg8", mask, sreg8=votes)[9, 0]) == ballot
    assert int(run("v.activemask.b32 sreg9", mask)[9, 0]) == mask


@often()
@given(mask=masks, low=rows, high=few, same=st.booleans())
@example(mask=0, low=[1] * 32, high=[0] * 32, same=True)
@example(mask=0x10, low=list(range(32)), high=[0] * 32, same=False)
def test_matches(mask, low, high, same):
    if same:
        low, high = [low[0] if mask >> lane & 1 else x for lane, x in enumerate(low)], [high[0]] * LANES
    for bits, value in ((32, low), (64, list(zip(low, high, strict=True)))):
        source = "vreg2" if bits == 32 else "vreg[2:3]"
        before = {"vreg2": low, "vreg3": high, "vreg4": 0xABCD}
        found = run(f"v.match.any.b{bits} vreg4, {source}", mask, **before)
        alike = [sum(1 << other for other in lanes(mask) if value[other] == value[lane]) for lane in range(LANES)]
        expect(found[260], alike, mask)
        one = len({value[lane] for lane in lanes(mask)}) < 2
        assert int(run(f"v.match.all.b{bits} sreg9, {source}", mask, **before)[9, 0]) == (mask if one else 0)
        found = run(f"v.match.all.b{bits} sreg9, sreg10, {source}", mask, **before)
        assert (int(found[9, 0]), int(found[10, 0])) == (mask if one else 0, ALL if one else 0)


# ---- reductions -----------------------------------------------------------------------------------------------------


def both_ways(name: str, mask: int, a: list[int]) -> int:
    """The result in an sreg, which must be that in the active lanes of a vreg."""
    found = int(run(f"v.red.{name} sreg9, vreg1", mask, vreg1=a)[9, 0])
    expect(run(f"v.red.{name} vreg4, vreg1", mask, vreg1=a, vreg4=0xABCD)[260], [found] * LANES, mask)
    return found


def signed(word: int) -> int:
    return word - (word >> 31 << 32)


@often()
@given(mask=masks, a=rows)
@example(mask=0, a=[5] * 32)
def test_integer_reductions(mask, a):
    active = [a[lane] for lane in lanes(mask)]
    assert both_ways("add.i32", mask, a) == sum(active) & ALL
    assert both_ways("max.u32", mask, a) == max(active, default=0)
    assert both_ways("min.u32", mask, a) == min(active, default=ALL)
    assert both_ways("max.i32", mask, a) == max(map(signed, active), default=-(1 << 31)) & ALL
    assert both_ways("min.i32", mask, a) == min(map(signed, active), default=(1 << 31) - 1) & ALL
    for bit in range(0, 32, 5):
        ones = [word >> bit & 1 for word in active]
        assert both_ways("and.b32", mask, a) >> bit & 1 == all(ones)
        assert both_ways("or.b32", mask, a) >> bit & 1 == any(ones)
        assert both_ways("xor.b32", mask, a) >> bit & 1 == sum(ones) % 2


def number(word: int) -> float:
    return struct.unpack("<f", word.to_bytes(4, "little"))[0]


def order(word: int) -> tuple[float, float]:
    """The order of min and max: -0 below +0."""
    return number(word), math.copysign(1, number(word))


@often()
@given(mask=masks, a=floats)
@example(mask=ALL, a=[0x7FC00000] * 32)
@example(mask=ALL, a=[0, 0x80000000] * 16)
@example(mask=0, a=[0] * 32)
@example(mask=6, a=[0x7FC00000, 0x3F800000, 0xBF800000] + [0x7F800001] * 29)
def test_float_minimum_and_maximum(mask, a):
    active = [a[lane] for lane in lanes(mask)]
    numbers = [word for word in active if number(word) == number(word)]
    any_nan = len(numbers) < len(active)
    for name, best, least in (("max", max, 0xFF800000), ("min", min, 0x7F800000)):
        assert both_ways(f"{name}.f32", mask, a) == best(numbers, key=order, default=NAN)
        assert both_ways(f"{name}.f32.nan", mask, a) == (NAN if any_nan else best(numbers, key=order, default=least))


def test_absolute_and_negated_sources_of_reductions():
    a = [-3.0, 2.0, *[0.5] * 30]
    check("v.red.max.f32 sreg9, |vreg1|", vreg1=a, sreg9=3.0)
    check("v.red.max.f32 sreg9, !vreg1", vreg1=a, sreg9=3.0)
    check("v.red.min.f32.nan sreg9, |vreg1|", vreg1=a, sreg9=0.5)


def round_f32(x: float) -> float:
    """A double as the nearest binary32, as a double; sums of two binary32 do not round twice."""
    with np.errstate(over="ignore"):
        return float(np.float32(x))


@often()
@given(mask=masks, a=floats)
@example(mask=0, a=[0x3F800000] * 32)
@example(mask=ALL, a=[0x80000000] * 32)
@example(mask=1 << 20, a=[0x80000000] * 32)
def test_float_sum_in_its_order(mask, a):
    sums = [number(word) if mask >> lane & 1 else -0.0 for lane, word in enumerate(a)]
    while len(sums) > 1:
        half = len(sums) // 2
        sums = [round_f32(x + y) for x, y in zip(sums[:half], sums[half:], strict=True)]
    assert both_ways("add.f32", mask, a) == float_bits(sums[0])


def test_results_that_are_emsk():
    """A vote or a reduction may switch lanes off; only lanes of the path come on."""
    b = bench()
    b.path(0xFFFF, 0xFF)
    b.rows[8] = 0xF0F0F0F0
    assert b.one("v.vote.ballot.b32 emsk, sreg8").run() == 1
    assert int(b.rows[EMSK, 0]) == 0xF0
    assert b.one("v.vote.any emsk, sreg8").run() == 1
    assert int(b.rows[EMSK, 0]) == 0xFFFF


def test_the_reference_reads_lists_alike():
    """The numpy body alone, without the compiled core."""
    one = bench().one("v.shuffle.bfly.b32 vreg4, vreg1, vreg2, vreg3")
    a = np.arange(LANES, dtype=np.uint32)
    inputs = {"a": a, "b": np.full(LANES, 3, np.uint32), "c": np.full(LANES, 31, np.uint32)}
    assert evaluate(one.instruction, inputs)[0].tolist() == [n ^ 3 for n in range(LANES)]
