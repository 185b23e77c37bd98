"""Packed arithmetic: each half against exact sums rounded once by search in the table of its format.

Binary forms run on special values with all 65,536 others (a few here, all of them under `slow`); both halves are
checked, on different operands.
"""

import itertools
import operator
from collections.abc import Callable
from typing import Any, cast

import hypothesis.strategies as st
import numpy as np
import pytest
from columns import run, same
from exact_f32 import exact_add, exact_fma, exact_sub
from hypothesis import given, settings
from one import check
from small_floats import EVERY_HALF, ROUNDINGS, STANDARDS, decode, encode, exact_sum, f32_bits, numbers, pack, rectified

from m890.isa import formats
from m890.isa.numerics import RESULT_SUFFIXES

Halves = Callable[..., np.ndarray]
FORMATS = ("f16", "bf16")


def specials(name: str) -> list[int]:
    """Zeros, ones, both ends of the subnormal, normal and finite numbers, infinities, NaNs, numbers near ties."""
    one, last = int(encode(name, 1.0)), len(numbers(name)) - 1
    subnormal = (1 << STANDARDS[name].mantissa) - 1
    half_ulp = int(encode(name, 2.0 ** -(STANDARDS[name].mantissa + 1)))
    found = [0, one, 1, last, last + 1, 0x7FFF, half_ulp, half_ulp + 1, subnormal, subnormal + 1, one + 1, one - 1,
             int(encode(name, 2.0)), int(encode(name, 1.5)), last - 1, last + 2, 2, half_ulp - 1]  # fmt: skip
    return [bits | sign for bits in found for sign in (0, 0x8000)]


FEW = {name: [*specials(name)[:14:3], 0x7FFF] for name in FORMATS}


def flushed(name: str, bits: np.ndarray) -> np.ndarray:
    exponents = STANDARDS[name].sign - (1 << STANDARDS[name].mantissa)
    return np.where(bits & exponents, bits, bits & 0x8000)


def both(text: str, columns: list[np.ndarray], wanted: Halves) -> None:
    """Low halves are the columns as they are, high halves another order of them; each must be `wanted`."""
    order = np.random.default_rng(1).permutation(len(columns[0]))
    high = [column[order] for column in columns]
    sources = ", ".join(f"vreg{4 * n}" for n in range(len(columns)))
    packed = [pack(low, other) for low, other in zip(columns, high, strict=True)]
    same(f"{text} vreg12, {sources}", packed, pack(wanted(*columns), wanted(*high)))


def with_all(values: list[int]) -> list[np.ndarray]:
    """Each value with all halves."""
    return [np.repeat(np.array(values, np.uint32), 1 << 16), np.tile(EVERY_HALF, len(values))]


# Float arithmetic.


def added(name: str) -> Halves:
    return lambda a, b: rounded(name, *exact_sum(decode(name, a), decode(name, b)))


def subtracted(name: str) -> Halves:
    return lambda a, b: rounded(name, *exact_sum(decode(name, a), -decode(name, b)))


def multiplied(name: str) -> Halves:
    return lambda a, b: rounded(name, decode(name, a) * decode(name, b))


def fused(name: str) -> Halves:
    return lambda a, b, c: rounded(name, *exact_sum(decode(name, a) * decode(name, b), decode(name, c)))


def rounded(name: str, hi: np.ndarray, lo: Any = 0.0) -> np.ndarray:
    return encode(name, hi, "rtte", lo)


ARITHMETIC = {"add": added, "sub": subtracted, "mul": multiplied}


@pytest.fixture(autouse=True)
def _infinities() -> Any:
    with np.errstate(invalid="ignore", over="ignore"):
        yield


@pytest.mark.parametrize("name", FORMATS)
def test_arithmetic(name: str) -> None:
    values = FEW[name]
    for operation, oracle in ARITHMETIC.items():
        both(f"v.{operation}.{name}x2", with_all(values), oracle(name))
    random = np.random.default_rng(4)
    columns = [random.integers(0, 1 << 16, 1 << 16, np.uint32) for _ in range(3)]
    for operation, oracle in ARITHMETIC.items():
        both(f"v.{operation}.{name}x2", columns[:2], oracle(name))
    both(f"v.fma.{name}x2", columns, fused(name))
    near = [column & 0x83FF | 0x3C00 if name == "f16" else column & 0x80FF | 0x3F00 for column in columns]
    both(f"v.fma.{name}x2", near, fused(name))
    some = np.array(list(itertools.product(specials(name)[::2], repeat=3)), np.uint32).T
    both(f"v.fma.{name}x2", list(some), fused(name))


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["add", "sub", "mul", "fma"])
@pytest.mark.parametrize("name", FORMATS)
def test_arithmetic_of_all_specials(name: str, operation: str) -> None:
    values = specials(name)
    if operation != "fma":
        both(f"v.{operation}.{name}x2", with_all(values), ARITHMETIC[operation](name))
        return
    for c in values[::3]:
        a, b = with_all(values[::2])
        both(f"v.fma.{name}x2", [a, b, np.full(len(a), c, np.uint32)], fused(name))
        both(f"v.fma.{name}x2", [a, np.full(len(a), c, np.uint32), b], fused(name))


@pytest.mark.sweep
@pytest.mark.parametrize("operation", ARITHMETIC)
@pytest.mark.parametrize("name", FORMATS)
def test_all_pairs(name: str, operation: str) -> None:
    for start in range(0, 1 << 16, 64):
        both(f"v.{operation}.{name}x2", with_all(list(range(start, start + 64))), ARITHMETIC[operation](name))


HALF = st.integers(0, 0xFFFF) | st.sampled_from(specials("f16") + specials("bf16"))


@given(name=st.sampled_from(FORMATS), values=st.lists(st.tuples(HALF, HALF, HALF), min_size=1, max_size=64))
@settings(max_examples=60)
def test_fma_of_anything(name: str, values: list[tuple[int, int, int]]) -> None:
    both(f"v.fma.{name}x2", [np.array(column, np.uint32) for column in zip(*values, strict=True)], fused(name))


def test_suffixes() -> None:
    """.ftz and .sat for f16x2, .relu for fma: on every half, with addends that make subnormal and large results."""
    for b in (0x0000, 0x8000, 0x03FF, 0x8400, 0x3C00, 0xBC00):
        columns = [EVERY_HALF, np.full(1 << 16, b, np.uint32)]

        def saturated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            total = decode("f16", a) + decode("f16", b)
            return encode("f16", np.where(np.isnan(total), 0.0, np.clip(total, 0, 1)) + 0.0)

        def flush(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return flushed("f16", added("f16")(flushed("f16", a), flushed("f16", b)))

        both("v.add.f16x2.sat", columns, saturated)
        both("v.add.f16x2.ftz", columns, flush)
        both("v.sub.f16x2.ftz", columns, lambda a, b: flush(a, b ^ 0x8000))
    one = np.full(1 << 16, 0x3C00, np.uint32)
    both(
        "v.fma.f16x2.ftz.relu",
        [EVERY_HALF, one, one],
        lambda a, b, c: rectified("f16", flushed("f16", fused("f16")(flushed("f16", a), b, c))),
    )
    for name in FORMATS:
        one = np.full(1 << 16, encode(name, 1.0), np.uint32)
        columns = [EVERY_HALF, EVERY_HALF[::-1].copy(), one]
        both(f"v.fma.{name}x2.relu", columns, lambda *abc, n=name: rectified(n, fused(n)(*abc)))


@pytest.mark.parametrize("name", FORMATS)
def test_suffixes_on_every_half(name: str) -> None:
    """What results go through, NaNs of both signs included, which no body returns."""
    floats, bits = formats.FORMATS[name], EVERY_HALF.astype(np.uint16)
    values = decode(name, bits)
    nan, negative = np.isnan(values), bits >= 0x8000
    found = {suffix: function(cast(Any, bits), floats) for suffix, function in RESULT_SUFFIXES.items()}
    assert (found["ftz"] == flushed(name, bits)).all()
    assert (found["sat"] == encode(name, np.where(nan | negative, 0.0, np.minimum(values, 1)))).all()
    assert (found["relu"] == np.where(negative & ~nan, 0, bits)).all()
    assert (found["satfinite"] == np.where(nan, bits, encode(name, values, finite=True))).all()


def test_modifiers_change_both_signs() -> None:
    packed = pack(EVERY_HALF, EVERY_HALF[::-1])
    one = np.full(1 << 16, 0x3C003C00, np.uint32)
    halves = packed & 0xFFFF, packed >> 16
    same("v.mul.f16x2 vreg12, !vreg0, vreg4", [packed, one], pack(*(fixed("f16", half ^ 0x8000) for half in halves)))
    same("v.mul.f16x2 vreg12, |vreg0|, vreg4", [packed, one], pack(*(fixed("f16", half & 0x7FFF) for half in halves)))
    one = np.full(1 << 16, 0x3F803F80, np.uint32)
    wanted = pack(*(fixed("bf16", half | 0x8000) for half in halves))
    same("v.mul.bf16x2 vreg12, vreg4, !|vreg0|", [one, packed], wanted)
    for name in FORMATS:
        same(f"v.abs.{name}x2 vreg12, vreg0", [packed], packed & 0x7FFF7FFF)
        same(f"v.neg.{name}x2 vreg12, vreg0", [packed], packed ^ 0x80008000)


def fixed(name: str, bits: np.ndarray) -> np.ndarray:
    """The same numbers, NaNs canonical."""
    return np.where(np.isnan(decode(name, bits)), 0x7FFF, bits)


# Min and max.


def picked(name: str, largest: bool, nan: bool, xorsign: bool) -> Halves:
    """By comparing (number, sign bit), as the published text says."""

    def oracle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        sign = (a ^ b) & 0x8000
        a, b = (a & 0x7FFF, b & 0x7FFF) if xorsign else (a, b)
        x, y = decode(name, a), decode(name, b)
        less = (x < y) | ((x == y) & np.signbit(x) & ~np.signbit(y))
        first = ~less if largest else less
        result = np.where(np.isnan(y), a, np.where(np.isnan(x), b, np.where(first, a, b)))
        result = np.where(nan & (np.isnan(x) | np.isnan(y)), 0x7FFF, result)
        return np.where(np.isnan(decode(name, result)), 0x7FFF, result | sign if xorsign else result)

    return oracle


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("operation", ["min", "max"])
def test_min_and_max(name: str, operation: str) -> None:
    try_min_and_max(name, operation, FEW[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("operation", ["min", "max"])
def test_min_and_max_of_all_specials(name: str, operation: str) -> None:
    try_min_and_max(name, operation, specials(name))


def try_min_and_max(name: str, operation: str, values: list[int]) -> None:
    for nan, xorsign in itertools.product((False, True), repeat=2):
        text = f"v.{operation}.{name}x2" + ".nan" * nan + ".xorsign.abs" * xorsign
        both(text, with_all(values), picked(name, operation == "max", nan, xorsign))


def test_min_flushes() -> None:
    oracle = picked("f16", False, False, False)
    columns = with_all([0x0001, 0x8002])
    both("v.min.f16x2.ftz", columns, lambda a, b: flushed("f16", oracle(flushed("f16", a), flushed("f16", b))))


# Compares.

ORDERED: dict[str, Callable[..., Any]] = {
    "lt": operator.lt, "eq": operator.eq, "le": operator.le, "gt": operator.gt, "ne": operator.ne, "ge": operator.ge,
}  # fmt: skip


def holds(relation: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The published rules: ordered relations are false with a NaN, unordered ones true."""
    unordered = np.isnan(x) | np.isnan(y)
    if relation in ("num", "nan"):
        return unordered if relation == "nan" else ~unordered
    return ORDERED[relation.removesuffix("u")](x, y) & ~unordered | (unordered & relation.endswith("u"))


def both_compares(text: str, masks: str, columns: list[np.ndarray], wanted: Callable[..., Any]) -> None:
    """One compare to masks and the same to halves."""
    high = [column[::-1].copy() for column in columns]
    packed = [pack(low, other) for low, other in zip(columns, high, strict=True)]
    low_holds, high_holds = wanted(*columns), wanted(*high)
    found = run(f"{masks} sreg20, sreg21, vreg0, vreg4", *packed)
    assert (found[0] == low_holds).all(), masks
    assert (found[1] == high_holds).all(), masks
    same(f"{text} vreg8, vreg0, vreg4", packed, pack(low_holds * 0xFFFF, high_holds * 0xFFFF))


@pytest.mark.parametrize("name", FORMATS)
def test_float_compares(name: str) -> None:
    values = [EVERY_HALF[::17], np.resize(np.array(specials(name), np.uint32), len(EVERY_HALF[::17]))]
    for relation in [*ORDERED, *(f"{r}u" for r in ORDERED), "num", "nan"]:
        both_compares(f"v.cmp.{relation}.b16x2.{name}x2", f"v.cmp.{relation}.{name}x2", values,
                      lambda a, b, r=relation: holds(r, decode(name, a), decode(name, b)))  # fmt: skip
    subnormal = [np.array([1, 0x8001, 0x3FF], np.uint32), np.zeros(3, np.uint32)]
    both_compares("v.cmp.eq.b16x2.f16x2.ftz", "v.cmp.eq.f16x2.ftz", subnormal, lambda a, b: np.ones(3, bool))


def test_a_mask_may_be_emsk() -> None:
    """Both masks are of the lanes that were active before."""
    values = {"vreg1": [0x3C000001, 0x00003C00], "vreg2": [0x3C000000, 0x3C003C00]}
    check("v.cmp.eq.f16x2 emsk, sreg5, vreg1, vreg2", before={"emsk": 3, **values}, after={"emsk": 2, "sreg5": 1})
    check("v.cmp.gt.u16x2 emsk, sreg5, vreg1, vreg2", before={"emsk": 3, **values}, after={"emsk": 1, "sreg5": 0})


def test_select_by_masks() -> None:
    p, q = 0xA5A50FF0, 0x12345678
    check(
        "v.csel.b16x2 vreg3, vreg1, vreg2, sreg5, sreg6",
        vreg1=0x1111AAAA,
        vreg2=0x2222BBBB,
        sreg5=p,
        sreg6=q,
        vreg3=[(0x11110000 if q >> n & 1 else 0x22220000) | (0xAAAA if p >> n & 1 else 0xBBBB) for n in range(32)],
    )


# Integers.


def view(signed: bool, bits: np.ndarray) -> np.ndarray:
    return bits.astype(np.uint16).astype(np.int16 if signed else np.uint16).astype(np.int64)


def integer(function: Callable[..., Any], signed: bool = False, clamp: bool = False) -> Halves:
    """A function of integers, modulo 2 ** 16 or at the nearest end."""

    def oracle(*columns: np.ndarray) -> np.ndarray:
        result = function(*(view(signed, column) for column in columns))
        low, high = (-0x8000, 0x7FFF) if signed else (0, 0xFFFF)
        return (np.clip(result, low, high) if clamp else result) & 0xFFFF

    return oracle


INTEGER: dict[str, Halves] = {
    "add.i16x2": integer(operator.add),
    "sub.i16x2": integer(operator.sub),
    "mull.i16x2": integer(operator.mul),
    "add.u16x2.sat": integer(operator.add, clamp=True),
    "add.i16x2.sat": integer(operator.add, signed=True, clamp=True),
    "sub.u16x2.sat": integer(operator.sub, clamp=True),
    "sub.i16x2.sat": integer(operator.sub, signed=True, clamp=True),
    "min.u16x2": integer(np.minimum),
    "min.i16x2": integer(np.minimum, signed=True),
    "max.u16x2": integer(np.maximum),
    "max.i16x2": integer(np.maximum, signed=True),
    "min.i16x2.relu": integer(lambda a, b: np.maximum(np.minimum(a, b), 0), signed=True),
    "max.i16x2.relu": integer(lambda a, b: np.maximum(np.maximum(a, b), 0), signed=True),
}
ENDS = [0, 1, 0x7FFF, 0x8000, 0xFFFF]


def test_integers() -> None:
    for name, oracle in INTEGER.items():
        both(f"v.{name}", with_all(ENDS[2:4]), oracle)
    ends = np.array(list(itertools.product([*ENDS, 2, 0x7FFE, 0x8001, 0x1234], repeat=2)), np.uint32).T
    for name, oracle in INTEGER.items():
        both(f"v.{name}", list(ends), oracle)
    both("v.abs.i16x2", [EVERY_HALF], integer(np.abs, signed=True))
    random = np.random.default_rng(9)
    columns = [random.integers(0, 1 << 16, 1 << 14, np.uint32) for _ in range(3)]
    both("v.madl.i16x2", columns, integer(lambda a, b, c: a * b + c))


@pytest.mark.parametrize("signed", [False, True])
def test_integer_compares(signed: bool) -> None:
    name = "i16x2" if signed else "u16x2"
    values = [EVERY_HALF[::31], np.resize(np.array([*ENDS, 31, 62, 0x7FFE], np.uint32), len(EVERY_HALF[::31]))]
    for relation, function in ORDERED.items():
        both_compares(f"v.cmp.{relation}.b16x2.{name}", f"v.cmp.{relation}.{name}", values,
                      lambda a, b, f=function: f(view(signed, a), view(signed, b)))  # fmt: skip


def test_immediates() -> None:
    """The last source of a binary form may be one: two halves, the low one first."""
    oracles: dict[str, Halves] = {f"v.{name}": oracle for name, oracle in INTEGER.items()}
    for name, (operation, oracle) in itertools.product(FORMATS, ARITHMETIC.items()):
        oracles[f"v.{operation}.{name}x2"] = oracle(name)
    for name, operation, nan, xorsign in itertools.product(FORMATS, ("min", "max"), (False, True), (False, True)):
        text = f"v.{operation}.{name}x2" + ".nan" * nan + ".xorsign.abs" * xorsign
        oracles[text] = picked(name, operation == "max", nan, xorsign)
    low, high = EVERY_HALF[::37], EVERY_HALF[::-37]
    for text, oracle in oracles.items():
        for number in (0xBC003F80, 0x80017FFF):
            parts = [oracle(half, np.full(len(half), part, np.uint32)) for half, part in
                     ((low, number & 0xFFFF), (high, number >> 16))]  # fmt: skip
            same(f"{text} vreg12, vreg0, {number:#x}", [pack(low, high)], pack(*parts))


# 16-bit sources in binary32 arithmetic.


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", FORMATS)
def test_mixed_with_f32(name: str, rounding: str) -> None:
    """Against rationals rounded once; the sources are the low halves of their registers."""
    random = np.random.default_rng(6)
    values = np.array(specials(name), np.uint32)
    a, b = (np.append(np.resize(values, 400), random.integers(0, 1 << 16, 200, np.uint32)) for _ in range(2))
    b = random.permutation(b)
    c = f32_bits(decode(name, random.permutation(a)) * (1 + 2.0 ** -random.integers(8, 24, len(a))))
    cancels = random.choice([0, 1, 2], len(a), p=[0.8, 0.1, 0.1])
    c = np.choose(cancels, [c, f32_bits(decode(name, a)), f32_bits(-decode(name, a))]).astype(np.uint32)
    x, y = (f32_bits(decode(name, column)).tolist() for column in (a, b))
    suffix = "" if rounding == "rtte" else f".{rounding}"
    added = [exact_add(p, r, rounding) for p, r in zip(x, c.tolist(), strict=True)]
    same(f"v.add.f32.{name}{suffix} vreg12, vreg0, vreg4", [a | 0xABCD0000, c], added)
    taken = [exact_sub(p, r, rounding) for p, r in zip(x, c.tolist(), strict=True)]
    same(f"v.sub.f32.{name}{suffix} vreg12, vreg0, vreg4", [a | 0xABCD0000, c], taken)
    r = int(c[0])
    added, taken = ([oracle(p, r, rounding) for p in x] for oracle in (exact_add, exact_sub))
    same(f"v.add.f32.{name}{suffix} vreg12, vreg0, {r:#x}", [a], added)
    same(f"v.sub.f32.{name}{suffix} vreg12, vreg0, {r:#x}", [a], taken)
    fused = [exact_fma(p, q, r, rounding) for p, q, r in zip(x, y, c.tolist(), strict=True)]
    same(f"v.fma.f32.{name}.{rounding} vreg12, vreg0, vreg4, vreg8", [a | 0xABCD0000, b, c], fused)
