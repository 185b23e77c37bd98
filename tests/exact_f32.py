"""An oracle for binary32: exact rationals rounded once, and values that are hard to round.

It is written from IEEE-754 and the published numeric rules alone and shares nothing with isa/numerics.
"""

from fractions import Fraction
from functools import cache

import numpy as np

CANONICAL, INFINITY = 0x7FFFFFFF, 0x7F800000
ROUNDINGS = ("rtte", "rtz", "rtn", "rtp", "rtta")
LARGEST = Fraction((1 << 24) - 1) * (1 << 104)


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
