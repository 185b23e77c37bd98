"""binary32 instructions against exact numbers: rationals rounded once (`exact_f32`)."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from columns import RELATIONS, agrees
from exact_f32 import (
    CANONICAL,
    LARGEST,
    ROUNDINGS,
    SPECIAL,
    exact_add,
    exact_fma,
    exact_mul,
    exact_sub,
    float_of,
    flushed,
    is_infinite,
    is_nan,
    negative,
    order,
    pairs,
    rounded,
    saturated,
    triples,
    value_of,
    whole,
)
from hypothesis import given, settings
from one import check

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
@settings(max_examples=300)
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
