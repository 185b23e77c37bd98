"""Division, roots and elementary functions: the true value, rounded once.

Quotients and roots are integers of enough bits with one more that says whether something is left. The others come
from mpmath with more and more bits, until both ends of the interval that holds the true value round to the same.
"""

from collections.abc import Callable
from functools import lru_cache
from math import isqrt
from typing import Any

import mpmath

from .floating import ROUNDING
from .formats import F32
from .meaning import lanes

SPARE = 64
"""More bits than any rounding of binary32 looks at."""


def quotient(a: int, b: int, mode: str) -> int:
    if F32.is_nan(a) or F32.is_nan(b):
        return F32.nan
    x, y = F32.exact(a), F32.exact(b)
    negative = x.negative ^ y.negative
    if x.m is None or y.m == 0:
        return F32.nan if (y.m is None or x.m == 0) else F32.infinite(negative)
    if y.m is None:
        return F32.zero(negative)
    whole, rest = divmod(x.m << SPARE, y.m)
    return F32.round(negative, 2 * whole + (rest > 0), x.e - y.e - SPARE - 1, mode)


@lanes("v.div.f32{mode}", mode=ROUNDING, sources=F32, result=F32)
def divide(a: int, b: int, *, mode: str) -> int:
    return quotient(a, b, mode)


@lanes("v.rcp.f32{mode}", mode=ROUNDING, sources=F32, result=F32)
def reciprocal(a: int, *, mode: str) -> int:
    return quotient(F32.one, a, mode)


@lanes("v.sqrt.f32{mode}", mode=ROUNDING, sources=F32, result=F32)
def square_root(a: int, *, mode: str) -> int:
    if F32.is_nan(a):
        return F32.nan
    x = F32.exact(a)
    if x.m == 0:
        return a
    if x.negative:
        return F32.nan
    if x.m is None:
        return a
    spare = SPARE + (x.e & 1)
    root = isqrt(x.m << spare)
    return F32.round(0, 2 * root + (root * root != x.m << spare), (x.e - spare) // 2 - 1, mode)


@lanes("v.rsqrt.f32", sources=F32, result=F32)
def reciprocal_root(a: int) -> int:
    if F32.is_nan(a):
        return F32.nan
    x = F32.exact(a)
    if x.m == 0:
        return F32.infinite(x.negative)
    if x.negative:
        return F32.nan
    if x.m is None:
        return 0
    spare = 4 * SPARE + (x.e & 1)
    root = isqrt((1 << spare) // x.m)
    return F32.round(0, 2 * root + (root * root * x.m != 1 << spare), (-x.e - spare) // 2 - 1, "rtte")


def nearest(function: Callable[[Any], Any], m: int, e: int) -> int:
    """A function of m * 2**e, which is not a number that binary32 or its midpoints have."""
    bits = 80
    while True:
        with mpmath.workprec(bits):
            value = function(mpmath.ldexp(m, e))
            size, exponent = abs(int(value.man)), int(value.exp)
        shift = max(0, bits - size.bit_length())
        size, exponent = size << shift, exponent - shift
        below, above = (F32.round(value < 0, size + far, exponent, "rtte") for far in (-64, 64))
        if below == above:
            return below
        bits *= 2


def elementary(name: str, function: Callable[[Any], Any], special: Callable[[int], int | None]) -> None:
    """Register a function; `special` knows the result where it is exact or no number."""

    @lru_cache(maxsize=1 << 16)
    def whole(a: int) -> int:
        if F32.is_nan(a):
            return F32.nan
        known = special(a)
        if known is not None:
            return known
        x = F32.exact(a)
        assert x.m is not None
        return nearest(function, -x.m if x.negative else x.m, x.e)

    lanes(name, sources=F32, result=F32)(lambda a: whole(a))


MINUS_INFINITY = F32.infinite(1)


def exp2_known(a: int) -> int | None:
    x = F32.exact(a)
    if x.m is None:
        return 0 if x.negative else a
    value = x.m << x.e if x.e >= 0 else x.m >> -x.e
    if value > 200:
        return 0 if x.negative else F32.infinite(0)
    if x.e >= 0 or x.m == value << -x.e:
        return F32.round(0, 1, -value if x.negative else value, "rtte")
    return None


def log2_known(a: int) -> int | None:
    x = F32.exact(a)
    if x.m == 0:
        return MINUS_INFINITY
    if x.negative:
        return F32.nan
    if x.m is None:
        return a
    if x.m & (x.m - 1):
        return None
    exponent = x.m.bit_length() - 1 + x.e
    return F32.round(exponent < 0, abs(exponent), 0, "rtte")


def sin_known(a: int) -> int | None:
    if F32.is_infinite(a):
        return F32.nan
    return a if F32.magnitude(a) == 0 else None


def cos_known(a: int) -> int | None:
    if F32.is_infinite(a):
        return F32.nan
    return F32.one if F32.magnitude(a) == 0 else None


def tanh_known(a: int) -> int | None:
    if F32.is_infinite(a):
        return a & F32.sign | F32.one
    return a if F32.magnitude(a) == 0 else None


elementary("v.exp2.f32", lambda x: mpmath.power(2, x), exp2_known)
elementary("v.log2.f32", lambda x: mpmath.log(x, 2), log2_known)
elementary("v.sin.f32", mpmath.sin, sin_known)
elementary("v.cos.f32", mpmath.cos, cos_known)
elementary("v.tanh.f32", mpmath.tanh, tanh_known)
