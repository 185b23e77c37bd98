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
from .formats import BF16, F16, F32, Format, Pair
from .integer import unsigned
from .meaning import lanes
from .packed import halves

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


def nearest(fmt: Format, function: Callable[[Any], Any], m: int, e: int) -> int:
    """A function of m * 2**e, which is no number that the format or its midpoints have."""
    bits = 80
    while True:
        with mpmath.workprec(bits):
            value = function(mpmath.ldexp(m, e))
            size, exponent = abs(int(value.man)), int(value.exp)
        shift = max(0, bits - size.bit_length())
        size, exponent = size << shift, exponent - shift
        below, above = (fmt.round(value < 0, size + far, exponent, "rtte") for far in (-64, 64))
        if below == above:
            return below
        bits *= 2


Known = Callable[[Format, int], int | None]
"""The result where it is exact or no number."""


def elementary(fmt: Format, function: Callable[[Any], Any], known: Known) -> Callable[[int], int]:
    """A function of one number of a format."""

    @lru_cache(maxsize=1 << 16)
    def whole(a: int) -> int:
        if fmt.is_nan(a):
            return fmt.nan
        special = known(fmt, a)
        if special is not None:
            return special
        x = fmt.exact(a)
        assert x.m is not None
        return nearest(fmt, function, -x.m if x.negative else x.m, x.e)

    return whole


def exp2_known(fmt: Format, a: int) -> int | None:
    x = fmt.exact(a)
    if x.m is None:
        return 0 if x.negative else a
    value = x.m << x.e if x.e >= 0 else x.m >> -x.e
    if value > 200:
        return 0 if x.negative else fmt.infinite(0)
    if x.e >= 0 or x.m == value << -x.e:
        return fmt.round(0, 1, -value if x.negative else value, "rtte")
    return None


def log2_known(fmt: Format, a: int) -> int | None:
    x = fmt.exact(a)
    if x.m == 0:
        return fmt.infinite(1)
    if x.negative:
        return fmt.nan
    if x.m is None:
        return a
    if x.m & (x.m - 1):
        return None
    exponent = x.m.bit_length() - 1 + x.e
    return fmt.round(exponent < 0, abs(exponent), 0, "rtte")


def sin_known(fmt: Format, a: int) -> int | None:
    if fmt.is_infinite(a):
        return fmt.nan
    return a if fmt.magnitude(a) == 0 else None


def cos_known(fmt: Format, a: int) -> int | None:
    if fmt.is_infinite(a):
        return fmt.nan
    return fmt.one if fmt.magnitude(a) == 0 else None


def tanh_known(fmt: Format, a: int) -> int | None:
    if fmt.is_infinite(a):
        return a & fmt.sign | fmt.one
    return a if fmt.magnitude(a) == 0 else None


def exp2(x: Any) -> Any:
    return mpmath.power(2, x)


def log2(x: Any) -> Any:
    return mpmath.log(x, 2)


def in_binary32(name: str, function: Callable[[Any], Any], known: Known) -> None:
    """Register a function of binary32."""
    whole = elementary(F32, function, known)
    lanes(f"v.{name}.f32", sources=F32, result=F32)(lambda a: whole(a))


def in_halves(name: str, fmt: Format, function: Callable[[Any], Any], known: Known, end: Callable[[int], int]) -> None:
    """Register a function of both halves of a register."""
    whole = elementary(fmt, function, known)
    lanes(f"v.{name}", sources=Pair(fmt))(lambda a: halves(lambda x: end(whole(x)), a))


in_binary32("exp2", exp2, exp2_known)
in_binary32("log2", log2, log2_known)
in_binary32("sin", mpmath.sin, sin_known)
in_binary32("cos", mpmath.cos, cos_known)
in_binary32("tanh", mpmath.tanh, tanh_known)
for _name, _fmt in {"f16x2": F16, "bf16x2": BF16}.items():
    in_halves(f"exp2.{_name}", _fmt, exp2, exp2_known, unsigned)
    in_halves(f"tanh.{_name}", _fmt, mpmath.tanh, tanh_known, unsigned)
in_halves("exp2.bf16x2.ftz", BF16, exp2, exp2_known, BF16.flush)
