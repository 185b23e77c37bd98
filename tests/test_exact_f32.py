"""binary32 against exact numbers: rationals rounded once.

The oracle is written from IEEE-754 and the published numeric rules alone and shares nothing with isa/numerics.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from columns import RELATIONS, agrees
from hypothesis import given, settings
from one import check

CANONICAL, INFINITY = 0x7FFFFFFF, 0x7F800000
ROUNDINGS = ("rtte", "rtz", "rtn", "rtp", "rtta")
SMALLEST, LARGEST = Fraction(1, 1 << 149), Fraction((1 << 24) - 1) * (1 << 104)


# binary32 by the book.


def is_nan(bits: int) -> bool:
    return bits & 0x7FFFFFFF > INFINITY


def is_infinite(bits: int) -> bool:
    return bits & 0x7FFFFFFF == INFINITY


def negative(bits: int) -> bool:
    return bits >> 31 == 1


def value_of(bits: int) -> Fraction:
    """The number that finite bits stand for."""
    exponent, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
    scale = max(exponent, 1) - 150
    magnitude = (fraction | (1 << 23 if exponent else 0)) * (
        Fraction(1 << scale) if scale >= 0 else Fraction(1, 1 << -scale)
    )
    return -magnitude if negative(bits) else magnitude


def whole(value: Fraction, rounding: str) -> int:
    """`value` as an integer."""
    below = value.numerator // value.denominator
    rest = value - below
    if rest == 0:
        return below
    match rounding:
        case "rtn":
            return below
        case "rtp":
            return below + 1
        case "rtz":
            return below if value > 0 else below + 1
    if rest != Fraction(1, 2):
        return below + (rest > Fraction(1, 2))
    if rounding == "rtta":
        return below + (value > 0)
    return below + (below & 1)


def rounded(value: Fraction, rounding: str, zero_sign: int) -> int:
    """The bits of a rational rounded once; an exact zero has the given sign."""
    if value == 0:
        return zero_sign << 31
    sign = 1 if value < 0 else 0
    exponent = -149
    size = abs(value)
    while size >= Fraction(1 << 24) * power(exponent):
        exponent += max(1, bit_length(size / power(exponent)) - 24)
    units = abs(whole(value / power(exponent), rounding))
    if units == 1 << 24:
        units, exponent = units >> 1, exponent + 1
    if exponent > 104:
        grows = rounding in ("rtte", "rtta") or rounding == ("rtn" if sign else "rtp")
        return sign << 31 | (INFINITY if grows else INFINITY - 1)
    biased = exponent + 150 if units >= 1 << 23 else 0
    return sign << 31 | biased << 23 | units & 0x7FFFFF


def bit_length(value: Fraction) -> int:
    return (value.numerator // value.denominator).bit_length()


def power(exponent: int) -> Fraction:
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


def exact_fma(a: int, b: int, c: int, rounding: str) -> int:
    """a * b + c."""
    if is_nan(a) or is_nan(b) or is_nan(c):
        return CANONICAL
    sign = (a ^ b) >> 31
    if is_infinite(a) or is_infinite(b):
        if a << 1 & 0xFFFFFFFF == 0 or b << 1 & 0xFFFFFFFF == 0 or (is_infinite(c) and sign != c >> 31):
            return CANONICAL
        return sign << 31 | INFINITY
    if is_infinite(c):
        return c
    product, addend = value_of(a) * value_of(b), value_of(c)
    same = sign == c >> 31 and product == 0 == addend
    return rounded(product + addend, rounding, sign if same else int(rounding == "rtn"))


def exact_add(a: int, b: int, rounding: str) -> int:
    return exact_fma(a, 0x3F800000, b, rounding)


def exact_sub(a: int, b: int, rounding: str) -> int:
    return exact_fma(a, 0x3F800000, b ^ 0x80000000, rounding)


def exact_mul(a: int, b: int, rounding: str) -> int:
    if is_nan(a) or is_nan(b) or is_infinite(a) or is_infinite(b):
        return exact_fma(a, b, (a ^ b) & 0x80000000, rounding)
    return rounded(value_of(a) * value_of(b), rounding, (a ^ b) >> 31)


def flushed(bits: int) -> int:
    return bits & 0x80000000 if bits & 0x7F800000 == 0 else bits


def saturated(bits: int) -> int:
    if is_nan(bits) or negative(bits):
        return 0
    return min(bits, 0x3F800000)


def order(bits: int) -> int:
    """A key that sorts numbers as min and max see them: -0 below +0."""
    return -(bits & 0x7FFFFFFF) - 1 if negative(bits) else bits


# Values that are hard to round.

SPECIAL = [0, 1, 2, 0x7FFFFF, 0x800000, 0x800001, 0x33800000, 0x34000000, 0x3EFFFFFF, 0x3F000000, 0x3F000001,
           0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x3FC00000, 0x40200000, 0x4B7FFFFF, 0x4B800000, 0x7EFFFFFF, 0x7F000000,
           0x7F7FFFFE, 0x7F7FFFFF,
           INFINITY, 0x7F800001, 0x7FC00000, 0x7FFFFFFF]  # fmt: skip
SPECIAL = SPECIAL + [bits | 0x80000000 for bits in SPECIAL]


def hard_pairs(random: np.random.Generator, count: int) -> list[tuple[int, int]]:
    """Sums and products near ties, overflow, subnormal results and cancellation."""
    found: list[tuple[int, int]] = []
    for _ in range(count):
        a = float_of(random, 1, 254)
        ulp = max((a >> 23 & 0xFF) - 24, 0)
        half = (ulp << 23 | 0x400000 * int(random.integers(0, 2)) | int(random.integers(0, 2))) ^ int(
            random.integers(0, 2)
        ) << 31
        found.append((a, half))  # half an ulp, and next to it
        found.append((a, (a ^ 0x80000000) + int(random.integers(-3, 4)) & 0xFFFFFFFF))  # cancellation
        found.append((float_of(random, 250, 254), float_of(random, 250, 254)))  # overflow of a sum
        found.append((float_of(random, 180, 200), float_of(random, 180, 200)))  # and of a product
        found.append((float_of(random, 40, 80), float_of(random, 40, 80)))  # a subnormal product
        found.append((float_of(random, 0, 3), float_of(random, 0, 3)))  # subnormal sums
        few = int(random.integers(1, 24))
        short = a & ~((1 << few) - 1) | 1 << few & 0x7FFFFF
        found.append((short, float_of(random, 100, 150) & ~((1 << 24 - few) - 1)))  # products that are ties
        found.append((a, float_of(random, 0, 255)))
    return found


def float_of(random: np.random.Generator, low: int, high: int) -> int:
    sign, exponent, fraction = (int(random.integers(0, top)) for top in (2, high - low + 1, 1 << 23))
    return sign << 31 | low + exponent << 23 | fraction


@cache
def pairs() -> list[tuple[int, int]]:
    return [(a, b) for a in SPECIAL for b in SPECIAL] + hard_pairs(np.random.default_rng(3), 120)


@cache
def triples() -> list[tuple[int, int, int]]:
    """A product and an addend: anything, its negation rounded, a hair, half an ulp of it."""
    random = np.random.default_rng(4)
    found = [(SPECIAL[i], SPECIAL[j], SPECIAL[k]) for i, j, k in random.integers(0, len(SPECIAL), (800, 3))]
    for a, b in hard_pairs(random, 40):
        near = exact_mul(a, b, "rtte")
        hair = 1 | int(random.integers(0, 2)) << 31
        exponent = max((near >> 23 & 0xFF) - 24, 0) << 23
        for c in (near ^ 0x80000000, hair, exponent | int(random.integers(0, 2)) << 31, float_of(random, 0, 255)):
            found.append((a, b, c))
    return found


BINARY = {"add": exact_add, "sub": exact_sub, "mul": exact_mul}


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str, rounding: str) -> None:
    suffix = "" if rounding == "rtte" else f".{rounding}"
    agrees(
        f"v.{name}.f32{suffix} vreg12, vreg0, vreg4",
        list(zip(*pairs(), strict=True)),
        lambda a, b: BINARY[name](a, b, rounding),
    )


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_fma(rounding: str) -> None:
    agrees(
        f"v.fma.f32.{rounding} vreg12, vreg0, vreg4, vreg8",
        list(zip(*triples(), strict=True)),
        lambda a, b, c: exact_fma(a, b, c, rounding),
    )


@pytest.mark.parametrize("rounding", ["rtte", "rtz", "rtn"])
@pytest.mark.parametrize("suffix", [".ftz", ".sat", ".ftz.sat"])
def test_suffixes(suffix: str, rounding: str) -> None:
    """Sources are flushed before, the result after rounding; saturation comes last."""

    def around(function: Callable[..., int], *values: int) -> int:
        values = tuple(flushed(value) for value in values) if "ftz" in suffix else values
        result = function(*values, rounding)
        result = flushed(result) if "ftz" in suffix else result
        return saturated(result) if "sat" in suffix else result

    columns = list(zip(*pairs()[::3], strict=True))
    middle = "" if rounding == "rtte" else f".{rounding}"
    for name, function in BINARY.items():
        agrees(f"v.{name}.f32{middle}{suffix} vreg12, vreg0, vreg4", columns, lambda a, b, f=function: around(f, a, b))
    agrees(
        f"v.fma.f32.{rounding}{suffix} vreg12, vreg0, vreg4, vreg8",
        list(zip(*triples()[::3], strict=True)),
        lambda a, b, c: around(exact_fma, a, b, c),
    )


PATTERN = st.one_of(st.sampled_from(SPECIAL), st.integers(0, 0xFFFFFFFF))


@given(
    a=PATTERN, b=PATTERN, c=PATTERN, delta=st.integers(-2, 2), rounding=st.sampled_from(ROUNDINGS), near=st.booleans()
)
@settings(max_examples=300, deadline=None)
def test_fma_of_anything(a: int, b: int, c: int, delta: int, rounding: str, near: bool) -> None:
    """Free values; `near` makes c the negated product or next to it."""
    c = (exact_mul(a, b, "rtte") ^ 0x80000000) + delta & 0xFFFFFFFF if near else c
    agrees(
        f"v.fma.f32.{rounding} vreg12, vreg0, vreg4, vreg8",
        [[a], [b], [c]],
        lambda a, b, c: exact_fma(a, b, c, rounding),
    )


def test_signs_of_exact_zeros() -> None:
    """x - x is +0, but -0 when rounding down; equal signs stay."""
    for suffix, zero in (("", 0), (".rtz", 0), (".rtn", 0x80000000), (".rtp", 0), (".rtta", 0)):
        check(f"v.sub.f32{suffix} vreg12, vreg0, vreg4", vreg0=1.5, vreg4=1.5, vreg12=zero)
        check(f"v.add.f32{suffix} vreg12, vreg0, vreg4", vreg0=-0.0, vreg4=-0.0, vreg12=-0.0)
        check(f"v.add.f32{suffix} vreg12, vreg0, vreg4", vreg0=0.0, vreg4=-0.0, vreg12=zero)


@pytest.mark.parametrize("suffix", ["", ".ftz"])
@pytest.mark.parametrize("name", ["min", "max"])
def test_min_max(name: str, suffix: str) -> None:
    pick = min if name == "min" else max
    sources = flushed if suffix else lambda bits: bits

    def number_wins(a: int, b: int) -> int:
        numbers = [sources(bits) for bits in (a, b) if not is_nan(bits)]
        return pick(numbers, key=order) if numbers else CANONICAL

    def nan_wins(a: int, b: int) -> int:
        return CANONICAL if is_nan(a) or is_nan(b) else number_wins(a, b)

    columns = list(zip(*pairs(), strict=True))
    agrees(f"v.{name}.f32{suffix} vreg12, vreg0, vreg4", columns, number_wins)
    agrees(f"v.{name}.f32.nan{suffix} vreg12, vreg0, vreg4", columns, nan_wins)


def test_compares() -> None:
    columns = list(zip(*pairs(), strict=True))

    def number(bits: int) -> Any:
        return value_of(bits) if not is_infinite(bits) else (-1 if negative(bits) else 1) * LARGEST * 2

    def holds(relation: str, a: int, b: int) -> int:
        unordered = is_nan(a) or is_nan(b)
        if relation in ("num", "nan"):
            return int(unordered == (relation == "nan"))
        if unordered:
            return int(relation.endswith("u"))
        return int(RELATIONS[relation.removesuffix("u")](number(a), number(b)))

    for relation in [*RELATIONS, *[f"{name}u" for name in RELATIONS], "num", "nan"]:
        agrees(f"v.cmp.{relation}.f32 sreg20, vreg0, vreg4", columns, lambda a, b, r=relation: holds(r, a, b))
        immediate = f"v.cmp.{relation}.f32 sreg20, vreg0, 0x7fc00000"
        agrees(immediate, columns[:1], lambda a, r=relation: holds(r, a, 0x7FC00000))


def test_abs_neg_and_modifiers_change_the_sign_alone() -> None:
    agrees("v.abs.f32 vreg12, vreg0", [SPECIAL], lambda a: a & 0x7FFFFFFF)
    agrees("v.neg.f32 vreg12, vreg0", [SPECIAL], lambda a: a ^ 0x80000000)
    columns = list(zip(*pairs()[::4], strict=True))
    agrees("v.add.f32 vreg12, !vreg0, |vreg4|", columns, lambda a, b: exact_add(a ^ 0x80000000, b & 0x7FFFFFFF, "rtte"))
    agrees("v.mul.f32 vreg12, !|vreg0|, vreg4", columns, lambda a, b: exact_mul(a | 0x80000000, b, "rtte"))


# Conversions.


def integers(random: np.random.Generator) -> list[int]:
    """32-bit patterns whose binary32 neighbours are ties, and others."""
    found = [0, 1, 2, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF, 0xFFFFFF, 0x1000000, 0x1000001, 0x1000003]
    for shift in range(1, 9):
        for _ in range(12):
            base = int(random.integers(1 << 23, 1 << 24)) << shift
            found += [base + (1 << shift - 1) + delta & 0xFFFFFFFF for delta in (-1, 0, 1)]
    return found + [-n & 0xFFFFFFFF for n in found]


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", ["i32", "u32"])
def test_integer_to_float(name: str, rounding: str) -> None:
    signed = name == "i32"
    agrees(
        f"v.cnvt.f32.{name}.{rounding} vreg12, vreg0",
        [integers(np.random.default_rng(5))],
        lambda a: rounded(Fraction(a - (a >> 31 << 32) if signed else a), rounding, 0),
    )


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(("name", "low", "high"), [("i32", -(1 << 31), (1 << 31) - 1), ("u32", 0, (1 << 32) - 1)])
def test_float_to_integer(name: str, low: int, high: int, rounding: str) -> None:
    """Out of range saturates, NaN gives 0; ties are halves of odd and even numbers."""
    random = np.random.default_rng(6)
    values = [*SPECIAL, 0x4EFFFFFF, 0x4F000000, 0x4F000001, 0x4F7FFFFF, 0x4F800000, 0xCF000000, 0xCF000001]
    values += [float_of(random, 120, 160) for _ in range(200)]
    for half in [*range(1, 40, 2), (1 << 23) - 1, (1 << 24) - 1]:
        tie = rounded(Fraction(half, 2), "rtte", 0)
        values += [bits | sign for bits in (tie - 1, tie, tie + 1) for sign in (0, 0x80000000)]

    def convert(a: int) -> int:
        if is_nan(a):
            return 0
        if is_infinite(a):
            return (low if negative(a) else high) & 0xFFFFFFFF
        return min(max(whole(value_of(a), rounding), low), high) & 0xFFFFFFFF

    agrees(f"v.cnvt.{name}.f32.{rounding} vreg12, vreg0", [values], convert)
    agrees(f"v.cnvt.{name}.f32.{rounding}.ftz vreg12, vreg0", [values], lambda a: convert(flushed(a)))
