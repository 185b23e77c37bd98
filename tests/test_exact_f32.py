"""Arithmetic against exact numbers: rationals rounded once for floats, Python integers for integers.

The oracle is written from IEEE-754 and the published numeric rules alone and shares nothing with isa/numerics.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from one import One, bench, check

from m890.isa.lanes import LANES

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


# Instances: instructions on many values at once.


@cache
def instance(text: str) -> One:
    return bench().one(text)


def results(text: str, columns: Sequence[Sequence[int]]) -> list[int]:
    """The first destination's bits for columns of source bits, 32 cases a step; sources are vreg0, 4, 8 in turn."""
    b, one = bench(), instance(text)
    b.path(0xFFFFFFFF)
    b.specials()
    count = len(columns[0])
    padded = np.zeros((len(columns), -(-count // LANES) * LANES), np.uint64)
    for row, column in zip(padded, columns, strict=True):
        row[:count] = np.array([value & (1 << 64) - 1 for value in column], np.uint64)
    found: list[int] = []
    for start in range(0, padded.shape[1], LANES):
        for place, row in enumerate(padded):
            part = row[start : start + LANES]
            b.rows[256 + 4 * place] = part.astype(np.uint32)
            b.rows[257 + 4 * place] = (part >> np.uint64(32)).astype(np.uint32)
        assert one.run() == 1
        destination = one.decoded.values[0]
        if destination.bank == "s":
            mask = int(b.rows[destination.number, 0])
            found += [mask >> lane & 1 for lane in range(LANES)]
            continue
        low = b.rows[256 + destination.number].astype(np.uint64)
        high = b.rows[257 + destination.number].astype(np.uint64) if destination.count == 2 else np.uint64(0)
        found += (low | high << np.uint64(32)).tolist()
    return found[:count]


def same(text: str, columns: Sequence[Sequence[int]], expected: Callable[..., int]) -> None:
    """The instruction gives what the oracle says for every case."""
    for case, found in zip(zip(*columns, strict=True), results(text, columns), strict=True):
        wanted = expected(*case)
        assert found == wanted, f"{text}: {[hex(value) for value in case]} gives {found:#x}, not {wanted:#x}"


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
    same(
        f"v.{name}.f32{suffix} vreg12, vreg0, vreg4",
        list(zip(*pairs(), strict=True)),
        lambda a, b: BINARY[name](a, b, rounding),
    )


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_fma(rounding: str) -> None:
    same(
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
        same(f"v.{name}.f32{middle}{suffix} vreg12, vreg0, vreg4", columns, lambda a, b, f=function: around(f, a, b))
    same(
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
    same(
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
    same(f"v.{name}.f32{suffix} vreg12, vreg0, vreg4", columns, number_wins)
    same(f"v.{name}.f32.nan{suffix} vreg12, vreg0, vreg4", columns, nan_wins)


RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "eq": operator.eq,
    "le": operator.le,
    "gt": operator.gt,
    "ne": operator.ne,
    "ge": operator.ge,
}


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
        same(f"v.cmp.{relation}.f32 sreg20, vreg0, vreg4", columns, lambda a, b, r=relation: holds(r, a, b))
        immediate = f"v.cmp.{relation}.f32 sreg20, vreg0, 0x7fc00000"
        same(immediate, columns[:1], lambda a, r=relation: holds(r, a, 0x7FC00000))


def test_abs_neg_and_modifiers_change_the_sign_alone() -> None:
    same("v.abs.f32 vreg12, vreg0", [SPECIAL], lambda a: a & 0x7FFFFFFF)
    same("v.neg.f32 vreg12, vreg0", [SPECIAL], lambda a: a ^ 0x80000000)
    columns = list(zip(*pairs()[::4], strict=True))
    same("v.add.f32 vreg12, !vreg0, |vreg4|", columns, lambda a, b: exact_add(a ^ 0x80000000, b & 0x7FFFFFFF, "rtte"))
    same("v.mul.f32 vreg12, !|vreg0|, vreg4", columns, lambda a, b: exact_mul(a | 0x80000000, b, "rtte"))


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
    same(
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

    same(f"v.cnvt.{name}.f32.{rounding} vreg12, vreg0", [values], convert)
    same(f"v.cnvt.{name}.f32.{rounding}.ftz vreg12, vreg0", [values], lambda a: convert(flushed(a)))


# Integers, against Python's.

WORDS = [
    0,
    1,
    2,
    3,
    0x7FFF,
    0xFFFF,
    0x10000,
    0x7FFFFFFE,
    0x7FFFFFFF,
    0x80000000,
    0x80000001,
    0xDEADBEEF,
    0xFFFFFFFE,
    0xFFFFFFFF,
]
COUNTS = [0, 1, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 257, 0x1FF, 0x2020, 0x80000000, 0xFFFFFFFF]
M32, M64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def s32(a: int) -> int:
    return (a & M32) - ((a & M32) >> 31 << 32)


def s64(a: int) -> int:
    return (a & M64) - ((a & M64) >> 63 << 64)


def field(a: int, position: int, length: int, fill: int) -> int:
    """`length` bits of a word from a position, bits beyond 31 being `fill`, one by one."""
    position, length = position & 0xFF, length & 0xFF
    picked = [(a >> place & 1 if place < 32 else fill) for place in range(position, position + length)]
    return sum(bit << place for place, bit in enumerate(picked))


def bfe_i32(a: int, b: int, c: int) -> int:
    bits = field(a, b, c, a >> 31)
    length = c & 0xFF
    return (bits - (1 << length) if length and bits >> length - 1 else bits) & M32


def bfi(a: int, b: int, c: int) -> int:
    position, length = c & 0xFF, c >> 8 & 0xFF
    for place in range(position, min(position + length, 32)):
        b = b & ~(1 << place) | (a >> place - position & 1 if place - position < 32 else 0) << place
    return b & M32


def lop3(lut: int) -> Callable[..., int]:
    return lambda a, b, c: sum(
        (lut >> (4 * (a >> n & 1) + 2 * (b >> n & 1) + (c >> n & 1)) & 1) << n for n in range(32)
    )


TWO: dict[str, Callable[[int, int], int]] = {
    "add.i32": lambda a, b: a + b & M32,
    "sub.i32": lambda a, b: a - b & M32,
    "mull.i32": lambda a, b: a * b & M32,
    "mulh.u32": lambda a, b: a * b >> 32,
    "mulh.i32": lambda a, b: s32(a) * s32(b) >> 32 & M32,
    "min.u32": min,
    "max.u32": max,
    "min.i32": lambda a, b: min(s32(a), s32(b)) & M32,
    "max.i32": lambda a, b: max(s32(a), s32(b)) & M32,
    "and.b32": lambda a, b: a & b,
    "or.b32": lambda a, b: a | b,
    "xor.b32": lambda a, b: a ^ b,
    "xnor.b32": lambda a, b: ~(a ^ b) & M32,
    "shll.b32": lambda a, b: a << b & M32 if b < 32 else 0,
    "shrl.b32": lambda a, b: a >> b if b < 32 else 0,
    "shra.i32": lambda a, b: s32(a) >> min(b, 31) & M32,
}
WIDE: dict[str, Callable[[int, int], int]] = {
    "mulw.u64.u32": lambda a, b: a * b,
    "mulw.i64.i32": lambda a, b: s32(a) * s32(b) & M64,
}
TWO64: dict[str, Callable[[int, int], int]] = {
    "add.i64": lambda a, b: a + b & M64,
    "sub.i64": lambda a, b: a - b & M64,
    "mull.i64": lambda a, b: a * b & M64,
    "min.u64": min,
    "max.u64": max,
    "min.i64": lambda a, b: min(s64(a), s64(b)) & M64,
    "max.i64": lambda a, b: max(s64(a), s64(b)) & M64,
    "and.b64": lambda a, b: a & b,
    "or.b64": lambda a, b: a | b,
    "xor.b64": lambda a, b: a ^ b,
    "xnor.b64": lambda a, b: ~(a ^ b) & M64,
}
SHIFT64: dict[str, Callable[[int, int], int]] = {
    "shll.b64": lambda a, b: a << b & M64 if b < 64 else 0,
    "shrl.b64": lambda a, b: a >> b if b < 64 else 0,
    "shra.i64": lambda a, b: s64(a) >> min(b, 63) & M64,
}
THREE: dict[str, Callable[[int, int, int], int]] = {
    "bfe.u32": lambda a, b, c: field(a, b, c, 0) & M32,
    "bfe.i32": bfe_i32,
    "bfi.b32": bfi,
    "madl.i32": lambda a, b, c: a * b + c & M32,
}


def grid(*lists: Iterable[int]) -> list[list[int]]:
    """All combinations, as columns."""
    return [list(column) for column in zip(*[(a, b) for a in lists[0] for b in lists[1]], strict=True)]


def random_words(count: int, bits: int = 32, seed: int = 7) -> list[int]:
    random = np.random.default_rng(seed + bits)
    return [int(n) for n in random.integers(0, M64 if bits == 64 else 1 << bits, count, np.uint64)]


def test_two_sources() -> None:
    for name, function in TWO.items():
        second = COUNTS if name.startswith("sh") else WORDS
        first, other = grid(WORDS + random_words(6), second + random_words(3))
        same(f"v.{name} vreg12, vreg0, vreg4", [first, other], function)
    for name, function in WIDE.items():
        same(f"v.{name} vreg[12:13], vreg0, vreg4", grid(WORDS + random_words(6), WORDS), function)
    doubles = [a | b << 32 for a, b in zip(*grid(WORDS[::2], WORDS[1::2]), strict=True)] + random_words(9, 64)
    for name, function in TWO64.items():
        same(f"v.{name} vreg[12:13], vreg[0:1], vreg[4:5]", grid(doubles, doubles[::3]), function)
    for name, function in SHIFT64.items():
        same(f"v.{name} vreg[12:13], vreg[0:1], vreg4", grid(doubles, COUNTS), function)


def test_three_sources() -> None:
    for name, function in THREE.items():
        a, b = grid(WORDS, COUNTS)
        for c in [*COUNTS, 0x0808, 0x1F01, 0xFF04, 0x0420, 0x2000]:
            same(f"v.{name} vreg12, vreg0, vreg4, vreg8", [a, b, [c] * len(a)], function)
    a, b = grid(WORDS, random_words(12))
    c = random_words(len(a), 64)
    same("v.madw.u64.u32 vreg[12:13], vreg0, vreg4, vreg[8:9]", [a, b, c], lambda a, b, c: a * b + c & M64)
    same("v.madw.i64.i32 vreg[12:13], vreg0, vreg4, vreg[8:9]", [a, b, c], lambda a, b, c: s32(a) * s32(b) + c & M64)


def test_lop3_all_tables() -> None:
    columns = [random_words(LANES, seed=n) for n in (1, 2, 3)]
    for lut in range(256):
        same(f"v.lop3.b32 vreg12, vreg0, vreg4, vreg8 # {lut:#x}", columns, lop3(lut))


def test_extensions_and_not() -> None:
    same("v.cnvt.i64.i32 vreg[12:13], vreg0", [WORDS], lambda a: s32(a) & M64)
    same("v.cnvt.u64.u32 vreg[12:13], vreg0", [WORDS], lambda a: a)
    same("v.not.b32 vreg12, vreg0", [WORDS], lambda a: ~a & M32)
    same("v.not.b64 vreg[12:13], vreg[0:1]", [random_words(32, 64)], lambda a: ~a & M64)


def test_integer_compares() -> None:
    a, b = grid(WORDS, WORDS)
    wide = [low | high << 32 for low, high in zip(a, b, strict=True)]
    wide_a, wide_b = grid(wide[::5], wide[::7])
    for relation, function in RELATIONS.items():
        for name, first, second, view in (
            ("u32", a, b, int),
            ("i32", a, b, s32),
            ("u64", wide_a, wide_b, int),
            ("i64", wide_a, wide_b, s64),
        ):
            sources = "vreg0, vreg4" if name.endswith("32") else "vreg[0:1], vreg[4:5]"
            same(
                f"v.cmp.{relation}.{name} sreg20, {sources}",
                [first, second],
                lambda a, b, f=function, v=view: int(f(v(a), v(b))),
            )


def test_carries_make_long_sums() -> None:
    """A 96-bit sum and difference from 32-bit parts, through one mask register."""
    b = bench()
    random = np.random.default_rng(8)
    for turn in range(8):
        b.path(0xFFFFFFFF)
        b.specials()
        words = random.choice(np.array([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x12345678], np.uint32), (6, LANES))
        b.rows[256:262] = words if turn % 2 else random.integers(0, 1 << 32, (6, LANES), np.uint32)
        given = b.rows[256:262].astype(object)
        x = given[0] + (given[1] << 32) + (given[2] << 64)
        y = given[3] + (given[4] << 32) + (given[5] << 64)
        for text in (
            "v.add.co.u32 vreg8, sreg20, vreg0, vreg3",
            "v.add.ci.co.u32 vreg9, sreg20, vreg1, vreg4",
            "v.add.ci.u32 vreg10, vreg2, vreg5, sreg20",
        ):
            assert instance(text).run() == 1
        total = sum(b.rows[264 + n].astype(object) << 32 * n for n in range(3))
        assert (total == (x + y) % (1 << 96)).all()
        for text in ("v.sub.co.u32 vreg8, vcc, vreg0, vreg3", "v.sub.ci.u32 vreg9, vreg1, vreg4, vcc"):
            assert instance(text).run() == 1
        low = b.rows[264].astype(object) + (b.rows[265].astype(object) << 32)
        assert (low == (x - y) % (1 << 64)).all()


def test_select() -> None:
    mask = 0xA5A50FF0
    check(
        "v.csel.b32 vreg3, vreg1, vreg2, sreg5",
        vreg1=list(range(32)),
        vreg2=list(range(100, 132)),
        sreg5=mask,
        vreg3=[lane if mask >> lane & 1 else 100 + lane for lane in range(32)],
    )
    check(
        "v.csel.b64 vreg[6:7], vreg[2:3], vreg[4:5], vcc",
        vreg2=1 << 40,
        vreg4=5,
        before={"vcc": 0xF},
        vreg6=[1 << 40 if lane < 4 else 5 for lane in range(32)],
    )
    for number, chosen in ((0, 2), (1, 1), (0x80000000, 1)):
        check("s.csel.b32 sreg3, sreg4, sreg5, scc", sreg4=1, sreg5=2, scc=number, sreg3=chosen)


def test_scalar_unit_is_the_same_arithmetic() -> None:
    """A few values of each scalar instruction; test_bodies ties all of them to their bodies."""
    for name, function in (TWO | THREE).items():
        count = function.__code__.co_argcount if hasattr(function, "__code__") else 2
        sources = [0x80000001, 0x21, 0x1F05][:count]
        registers = {f"sreg{8 + 2 * n}": value for n, value in enumerate(sources)}
        text = f"s.{name} sreg4, {', '.join(registers)}"
        check(text, **registers, sreg4=function(*sources))
    check("s.madw.i64.i32 sreg[4:5], sreg8, sreg9, sreg[10:11]", sreg8=-2, sreg9=3, sreg10=1, sreg4=-5)
    check("s.cmp.eq.i32 scc, sreg8, 7", sreg8=7, scc=-1)
    check("s.or.b32 emsk, emsk, sreg14", before={"emsk": 0xF0}, sreg14=0xFF, after={"emsk": 0xF}, path=0xF)
