"""Division, roots and elementary functions against exact rationals, integer roots and mpmath.

`special_sweep` runs every input of the unary functions; these are the directed ones, the suffixes, what has two
sources, and the forms for shorter formats.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from math import isqrt
from random import Random
from typing import Any

import hypothesis.strategies as st
import mpmath
import numpy as np
import pytest
import special_sweep
from columns import agrees, run
from exact_f32 import (
    CANONICAL,
    INFINITY,
    ROUNDINGS,
    SPECIAL,
    flushed,
    is_infinite,
    is_nan,
    negative,
    order,
    pairs,
    power,
    rounded,
    triples,
    value_of,
)
from hypothesis import example, given, settings
from one import check

from m890.isa import constants, elementary
from m890.isa.numerics import narrow

ANY = st.one_of(st.sampled_from(SPECIAL), st.integers(0, 0xFFFFFFFF))


def suffix_of(rounding: str) -> str:
    return "" if rounding == "rtte" else f".{rounding}"


# Division, by rationals.


def exact_div(a: int, b: int, rounding: str) -> int:
    sign = (a ^ b) >> 31
    if is_nan(a) or is_nan(b) or (is_infinite(a) and is_infinite(b)):
        return CANONICAL
    if is_infinite(a) or is_infinite(b):
        return sign << 31 | (INFINITY if is_infinite(a) else 0)
    if value_of(b) == 0:
        return CANONICAL if value_of(a) == 0 else sign << 31 | INFINITY
    return rounded(value_of(a) / value_of(b), rounding, sign)


def exact_rcp(a: int, rounding: str) -> int:
    return exact_div(0x3F800000, a, rounding)


@cache
def quotients() -> list[tuple[int, int]]:
    """Pairs, and dividends at and next to the product of the divisor and a midpoint of two results."""
    random = np.random.default_rng(11)
    found = pairs()[::2]
    for _ in range(300):
        divisor = value_of(int(random.integers(1 << 23, 1 << 24)) & ~0xFFF | 0x3F800000)
        middle = Fraction(2 * int(random.integers(1 << 23, 1 << 24)) + 1, 1 << 24)
        b = rounded(divisor, "rtte", 0)
        near = rounded(divisor * middle, "rtte", 0)
        found += [(near + delta, b) for delta in (-1, 0, 1)]
        found.append((near - (120 << 23) if near >> 23 > 120 else near, b + (120 << 23) & 0x7F7FFFFF))
    return found


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_div(rounding: str) -> None:
    columns = list(zip(*quotients(), strict=True))
    name = f"v.div.f32{suffix_of(rounding)}"
    agrees(f"{name} vreg12, vreg0, vreg4", columns, lambda a, b: exact_div(a, b, rounding))
    some = [column[::5] for column in columns]
    agrees(
        f"{name}.ftz vreg12, vreg0, vreg4",
        some,
        lambda a, b: flushed(exact_div(flushed(a), flushed(b), rounding)),
    )


@given(a=ANY, b=ANY, rounding=st.sampled_from(ROUNDINGS))
@settings(max_examples=300)
def test_div_of_anything(a: int, b: int, rounding: str) -> None:
    agrees(f"v.div.f32{suffix_of(rounding)} vreg12, vreg0, vreg4", [[a], [b]], lambda a, b: exact_div(a, b, rounding))


# Roots, by integers.


def root_of(value: Fraction) -> Fraction:
    """A rational on the same side of every number of 150 bits as the square root."""
    scaled = value * power(600)
    root = isqrt(scaled.numerator // scaled.denominator)
    return (root + (Fraction(1, 2) if root * root != scaled else 0)) / power(300)


def exact_sqrt(a: int, rounding: str) -> int:
    if is_nan(a) or (negative(a) and a != 0x80000000):
        return CANONICAL
    return a if is_infinite(a) else rounded(root_of(value_of(a)), rounding, a >> 31)


def exact_rsqrt(a: int, rounding: str) -> int:
    if is_nan(a) or (negative(a) and a != 0x80000000):
        return CANONICAL
    if is_infinite(a) or value_of(a) == 0:
        return 0 if is_infinite(a) else a | INFINITY
    return rounded(root_of(1 / value_of(a)), rounding, 0)


@cache
def singles() -> list[int]:
    random = np.random.default_rng(12)
    squares = [rounded(Fraction(n * n, 1 << 20), "rtte", 0) for n in (1, 2, 3, 4093, 4095, 5, 7, 1 << 12)]
    near = [bits + delta for bits in squares for delta in (-1, 0, 1)]
    return [*SPECIAL, *near, *random.integers(0, 1 << 32, 500).tolist(), *random.integers(0, 1 << 23, 40).tolist()]


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_rcp_and_sqrt(rounding: str) -> None:
    for name, exact in (("rcp", exact_rcp), ("sqrt", exact_sqrt)):
        text = f"v.{name}.f32{suffix_of(rounding)}"
        agrees(f"{text} vreg12, vreg0", [singles()], lambda a, e=exact: e(a, rounding))
        agrees(f"{text}.ftz vreg12, vreg0", [singles()], lambda a, e=exact: flushed(e(flushed(a), rounding)))


def test_rsqrt() -> None:
    agrees("v.rsqrt.f32 vreg12, vreg0", [singles()], lambda a: exact_rsqrt(a, "rtte"))
    agrees("v.rsqrt.f32.ftz vreg12, vreg0", [singles()], lambda a: exact_rsqrt(flushed(a), "rtte"))


# Elementary functions, by mpmath.


def rational(number: Any) -> Fraction:
    """An mpmath number of hundreds of bits, exactly."""
    sign, mantissa, exponent, _ = number._mpf_
    return (-1 if sign else 1) * int(mantissa) * power(exponent)


def exact_exp2(a: int, rounding: str) -> int:
    if is_nan(a):
        return CANONICAL
    if is_infinite(a):
        return 0 if negative(a) else INFINITY
    x = max(min(value_of(a), Fraction(1000)), Fraction(-1000))
    return rounded(true_value(mpmath.exp2, x), rounding, 0)


def exact_log2(a: int, rounding: str) -> int:
    if is_nan(a) or (negative(a) and a != 0x80000000):
        return CANONICAL
    if is_infinite(a) or value_of(a) == 0:
        return INFINITY if is_infinite(a) else INFINITY | 0x80000000
    x = value_of(a)
    if x.numerator & x.numerator - 1 == 0 and x.denominator & x.denominator - 1 == 0:
        return rounded(Fraction(x.numerator.bit_length() - x.denominator.bit_length()), rounding, 0)
    return rounded(true_value(lambda x: mpmath.log(x, 2), x), rounding, 0)


def exact_odd(function: Callable[[Any], Any], infinite: int | None) -> Callable[[int, str], int]:
    """sin, tanh: zeros stay; at infinity a value of the same sign or NaN."""

    def exact(a: int, rounding: str) -> int:
        if is_nan(a) or (is_infinite(a) and infinite is None):
            return CANONICAL
        if is_infinite(a):
            return (infinite or 0) | a & 0x80000000
        return a if value_of(a) == 0 else rounded(true_value(function, value_of(a)), rounding, 0)

    return exact


def exact_cos(a: int, rounding: str) -> int:
    if is_nan(a) or is_infinite(a):
        return CANONICAL
    return rounded(true_value(mpmath.cos, value_of(a)), rounding, 0)


def true_value(function: Callable[[Any], Any], x: Fraction) -> Fraction:
    """A function's value with 700 bits: enough for cos and exp2 next to 1, and for tanh of 20."""
    if x == 0:
        return Fraction(function(0).__int__())
    with mpmath.workprec(700):
        return rational(function(mpmath.mpf(x.numerator) / x.denominator))


EXACT: dict[str, Callable[[int, str], int]] = {
    "exp2": exact_exp2,
    "log2": exact_log2,
    "sin": exact_odd(mpmath.sin, None),
    "cos": exact_cos,
    "tanh": exact_odd(lambda x: mpmath.tanh(max(min(x, 100), -100)), 0x3F800000),
    "rsqrt": exact_rsqrt,
}
HARD = {
    name: [int(entry["hardest input"], 16)]
    for name, entry in special_sweep.records().items()
    if "hardest input" in entry
}
"""Inputs whose results lie nearest to where the rounding changes."""


@cache
def directed() -> list[int]:
    """Around integers, powers of two and multiples of pi / 2, and at the limits of exp2 and tanh."""
    points = [Fraction(n) for n in (1, 2, 3, 127, 128, 126, 149, 150, 9, 10, 20, 200, 32767, 32768, 1 << 100)]
    points += [Fraction(1, 1 << n) for n in (1, 5, 12, 13, 14, 24, 25, 26, 40)]
    with mpmath.workprec(200):
        points += [rational(mpmath.pi * n / 2) for n in (1, 2, 3, 4, 100, 20861, 20862, 1 << 60)]
    bits = [rounded(point, "rtte", 0) + delta for point in points for delta in (-1, 0, 1)]
    return bits + [value | 0x80000000 for value in bits]


@pytest.mark.parametrize("name", EXACT)
def test_elementary(name: str) -> None:
    values = [*singles()[::2], *directed(), *HARD.get(name, [])]
    agrees(f"v.{name}.f32 vreg12, vreg0", [values], lambda a: EXACT[name](a, "rtte"))
    if name != "tanh":
        agrees(f"v.{name}.f32.ftz vreg12, vreg0", [values], lambda a: flushed(EXACT[name](flushed(a), "rtte")))


@given(a=ANY)
@example(0x3F800001)
@settings(max_examples=80)
def test_elementary_of_anything(a: int) -> None:
    for name, exact in EXACT.items():
        agrees(f"v.{name}.f32 vreg12, vreg0", [[a]], lambda a, e=exact: e(a, "rtte"))


ODD: dict[str, Callable[[Any], Any]] = {
    "exp2": elementary.exp2_odd,
    "log2": elementary.log2_odd,
    "sin": elementary.sin_odd,
    "cos": elementary.cos_odd,
    "tanh": elementary.tanh_odd,
    "rsqrt": elementary.rsqrt_odd,
}


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", ODD)
def test_odd_forms_round_every_way(name: str, rounding: str) -> None:
    """One binary64 serves every rounding, though the instructions have only one."""
    values = np.array([*singles()[::6], *directed()], np.uint32)
    with np.errstate(all="ignore"):
        found = narrow(ODD[name](values.view(np.float32)), ROUNDINGS.index(rounding))
    found = np.where(np.isnan(found), np.uint32(CANONICAL), np.asarray(found).view(np.uint32))
    for bits, result in zip(values.tolist(), found.tolist(), strict=True):
        assert result == EXACT[name](bits, rounding), f"{name} {rounding} of {bits:#x}"


def half_of(values: Any, digits: int, smallest: int, code: Callable[[Any], Any]) -> Any:
    """Binary64 values rounded once to `digits` bits, the last one 2**smallest or more, and their code."""
    exponent = np.maximum(np.frexp(values)[1] - digits, smallest)
    return code(np.ldexp(np.rint(np.ldexp(values, -exponent)), exponent))


def f16_code(values: Any) -> Any:
    return values.astype(np.float16).view(np.uint16)


def bf16_code(values: Any) -> Any:
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


@pytest.mark.parametrize("name", ["exp2", "tanh"])
@pytest.mark.parametrize("kind", ["f16x2", "bf16x2", "bf16x2.ftz"])
def test_every_half(kind: str, name: str) -> None:
    """All halves, rounded from numpy's binary64: none lies so near a midpoint that its errors could count."""
    if name == "tanh" and "ftz" in kind:
        return
    halves = np.arange(1 << 16, dtype=np.uint16)
    wide = halves.view(np.float16) if kind == "f16x2" else (halves.astype(np.uint32) << 16).view(np.float32)
    place = (11, -24, f16_code) if kind == "f16x2" else (8, -133, bf16_code)
    with np.errstate(all="ignore"):
        expected = half_of(getattr(np, name)(wide.astype(np.float64)), *place)
    expected = np.where(np.isnan(wide), np.uint16(0x7FFF), expected)
    if "ftz" in kind:
        expected = np.where(expected & 0x7F80 == 0, 0, expected)
    words = halves.astype(np.uint32)[::2] | halves.astype(np.uint32)[1::2] << 16
    found = run(f"v.{name}.{kind} vreg12, vreg0", words)[0].tolist()
    assert found == (expected.astype(np.uint32)[::2] | expected.astype(np.uint32)[1::2] << 16).tolist()


BOUNDS = {"exp2": -64, "log2": -64, "sin": -61.5, "cos": -61.5, "tanh": -64, "rsqrt": -100}
"""log2 of the relative error that the sum of two may have before it is rounded to odd (docs/numerics.md)."""


@pytest.mark.parametrize("name", BOUNDS)
def test_error_of_the_sum(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum of two binary64 is within its bound, where it is what the function returns."""
    sums: list[Any] = []
    monkeypatch.setattr(elementary, "sum_odd", lambda high, low: sums.append((high, low)) or high + low)
    random = np.random.default_rng(14)
    top = {"exp2": 7, "tanh": 4.3}.get(name, 127.9)
    values = np.exp2(random.uniform(-13, top, 400)).astype(np.float32)
    near = (1 + np.exp2(random.uniform(-23, -1, 200))).astype(np.float32)
    values = np.concatenate([values, near, (1 / near).astype(np.float32)])
    ODD[name](values)
    function = {"log2": lambda x: mpmath.log(x, 2), "rsqrt": lambda x: 1 / mpmath.sqrt(x)}.get(name)
    with mpmath.workprec(300):
        for x, high, low in zip(values.tolist(), *np.broadcast_arrays(*sums[0]), strict=True):
            true = (function or getattr(mpmath, name))(mpmath.mpf(x))
            if true == 0:
                continue
            ratio = true / (mpmath.mpf(float(high)) + mpmath.mpf(float(low)))
            ratio /= mpmath.mpf(2) ** mpmath.nint(mpmath.log(ratio, 2))  # of exp2 the power of two comes later
            assert abs(ratio - 1) < mpmath.mpf(2) ** BOUNDS[name], x


def bits_of(value: float) -> int:
    """Significant bits of a binary64."""
    numerator = abs(Fraction(value).numerator)
    return numerator.bit_length() - (numerator & -numerator).bit_length() + 1 if numerator else 0


def test_pieces_have_exact_products() -> None:
    """Every product that is taken to be exact fits in 53 bits."""
    assert all(bits_of(c) + 24 <= 53 for c in constants.RECIPROCAL.values.tolist())
    for table in (constants.FAR_FIRST, constants.FAR_SECOND, constants.FAR_THIRD):
        assert all(bits_of(piece) + 24 <= 53 for piece in table.values.tolist())
    assert bits_of(constants.STEP_FIRST) + 12 <= 53
    assert max(bits_of(constants.ARC_FIRST), bits_of(constants.ARC_SECOND)) + 20 <= 53
    assert 40 * constants.STEPS_PER_UNIT < 1 << 12
    assert 32768 * constants.STEPS_PER_RADIAN < 1 << 20


def test_tables_are_larger_than_what_is_added() -> None:
    """A fast sum needs the larger number first, or 0."""
    starts = 1 + np.arange(constants.LOG_STEPS) / constants.LOG_STEPS
    for edge in (starts, starts + 1 / constants.LOG_STEPS):
        product = np.abs(edge * constants.RECIPROCAL.values - 1) * 1.45
        for exponent in range(-150, 128):
            logarithm = np.abs(exponent + constants.LOG_HIGH.values)
            assert ((logarithm == 0) | (logarithm > product)).all()
    sines = np.abs(constants.SINE_HIGH.values)
    assert ((sines == 0) | (sines > 3.15 / constants.TURN)).all()


# Integer division.


def whole_division(a: int, b: int) -> tuple[int, int]:
    """Quotient toward zero and remainder."""
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return quotient, a - b * quotient


@cache
def integer_pairs(width: int) -> list[tuple[int, int]]:
    """Limits and small numbers, and dividends at and next to multiples of the divisor."""
    random, top = Random(13), (1 << width) - 1
    some = [0, 1, 2, 3, 7, 10, 0x7FFF, 0x10000, top >> 1, (top >> 1) + 1, (top >> 1) + 2, top - 1, top]
    found = [(a, b) for a in some for b in some]
    for _ in range(400):
        b = random.randint(1, top) >> random.randrange(width) or 1
        times = random.randint(0, top // b)
        found += [(b * times + delta & top, b) for delta in (-1, 0, 1)]
    return found


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("unit", ["v", "s"])
def test_integer_division(unit: str, width: int) -> None:
    """Toward zero, the remainder with the sign of the dividend; all ones where the divisor is 0."""
    top = (1 << width) - 1
    count = "" if width == 32 else "[{0}:{1}]"
    names = [f"{unit}reg" + (count.format(n, n + 1) if count else str(n)) for n in (12, 0, 4)]
    pairs = integer_pairs(width)[:: 1 if unit == "v" else 4]
    for place, name in enumerate(("div", "rem")):

        def expected(a: int, b: int, sign: int, place: int = place) -> int:
            a, b = (n - (n >> width - 1 << width) if sign else n for n in (a, b))
            return top if b == 0 else whole_division(a, b)[place] & top

        for kind, sign in (("u", 0), ("i", 1)):
            text = f"{unit}.{name}.{kind}{width} {', '.join(names)}"
            if unit == "v":
                agrees(text, list(zip(*pairs, strict=True)), lambda a, b, s=sign, e=expected: e(a, b, s))
                continue
            for a, b in pairs:
                check(text, sreg0=a, sreg4=b, sreg12=expected(a, b, sign))


# Min and max of three, xorsign, copysign, testp.


@pytest.mark.parametrize("suffix", ["", ".ftz"])
@pytest.mark.parametrize("name", ["min", "max"])
def test_min_max_of_three_and_xorsign(name: str, suffix: str) -> None:
    pick = min if name == "min" else max
    sources: Callable[[int], int] = flushed if suffix else lambda bits: bits

    def number_wins(*values: int) -> int:
        numbers = [sources(bits) for bits in values if not is_nan(bits)]
        return pick(numbers, key=order) if numbers else CANONICAL

    def nan_wins(*values: int) -> int:
        return CANONICAL if any(is_nan(bits) for bits in values) else number_wins(*values)

    def xorsign(of: Callable[..., int], a: int, b: int) -> int:
        size = of(a & 0x7FFFFFFF, b & 0x7FFFFFFF)
        return size if is_nan(size) else size | (a ^ b) & 0x80000000

    three, two = list(zip(*triples(), strict=True)), list(zip(*pairs(), strict=True))
    for nan, function in (("", number_wins), (".nan", nan_wins)):
        agrees(f"v.{name}3.f32{nan}{suffix} vreg12, vreg0, vreg4, vreg8", three, function)
        agrees(
            f"v.{name}.f32{nan}.xorsign.abs{suffix} vreg12, vreg0, vreg4",
            two,
            lambda a, b, f=function: xorsign(f, a, b),
        )


def test_copysign() -> None:
    agrees(
        "v.copysign.f32 vreg12, vreg0, vreg4",
        list(zip(*pairs(), strict=True)),
        lambda a, b: a & 0x80000000 | b & 0x7FFFFFFF,
    )


def test_testp() -> None:
    def class_of(bits: int) -> set[str]:
        if is_nan(bits):
            return {"notanumber"}
        if is_infinite(bits):
            return {"infinite", "number"}
        size = abs(value_of(bits))
        return {"finite", "number", "normal" if size == 0 or size >= power(-126) else "subnormal"}

    for name in ("finite", "infinite", "number", "notanumber", "normal", "subnormal"):
        agrees(f"v.testp.{name}.f32 sreg20, vreg0", [singles()], lambda a, n=name: int(n in class_of(a)))
