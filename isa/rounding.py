"""Numbers to and from the bits of small float formats, and to integers: one rounding each, in every mode.

Written in the vocabulary of `numerics`, so it means the same under numpy and compiled. A number arrives in binary32,
exact or rounded to odd; rounding those bits once more gives what rounding the true number gives (docs/numerics.md).
"""

from __future__ import annotations

from typing import Any

from .formats import Format
from .lanes import F32, F64, S32, S64, U32, U64
from .numerics import (
    RTN,
    RTP,
    RTTA,
    RTTE,
    RTZ,
    add_odd,
    constant,
    convert,
    is_nan,
    reinterpret,
    round_integral,
    shift_left,
    shift_right,
    where,
)

# Floats to floats.


def to_odd(x: F64) -> F32:
    """x, exact or rounded to odd, in binary32 rounded to odd: the same number, or the neighbour whose last bit is 1."""
    nearest = convert(x, F32)
    back = convert(nearest, F64)
    bits = reinterpret(nearest, U32)
    even = (bits & 1) == 0
    inward = where(x < 0.0, back < x, back > x)
    outward = where(x < 0.0, back > x, back < x)
    return reinterpret(where(even & inward, bits - 1, where(even & outward, bits + 1, bits)), F32)


def add_odd_f32(x: F32, y: F32) -> F32:
    """x + y rounded to odd, where neither the sum nor its error leaves the range of binary32."""
    total = x + y
    back = total - x
    error = (x - (total - back)) + (y - back)
    bits = reinterpret(total, U32)
    stepped = where((error > 0.0) == (total > 0.0), bits, bits - 1) | 1
    inexact = (error < 0.0) | (error > 0.0)
    return reinterpret(where(inexact & ((bits & 1) == 0), stepped, bits), F32)


def narrow_to(x: F32, format: Format, rounding: int) -> Any:
    """x, exact or rounded to odd, as bits (U32) of a format narrower than binary32, in one of the five roundings.

    What is too large becomes infinity or the largest number, as the rounding says; without an infinity, the latter.
    """
    bits = reinterpret(x, U32)
    magnitude = bits & 0x7FFFFFFF
    negative = bits >= 0x80000000
    exponent = where(magnitude < 0x800000, bits & 0 | 1, magnitude >> 23)
    smallest = 128 - format.bias
    # Below the smallest normal number more bits are dropped, and the leading one is hidden no more.
    tiny = exponent < smallest
    significand = (magnitude & 0x7FFFFF) | where(magnitude < 0x800000, bits & 0, bits & 0 | 0x800000)
    units = where(tiny, significand, magnitude - ((smallest - 1) << 23))
    missing = where(tiny, smallest - exponent, bits & 0)
    missing = where(missing > format.mantissa + 2, bits & 0 | (format.mantissa + 2), missing)
    dropped = missing + (23 - format.mantissa)
    number = round_units(units, dropped, negative, rounding)
    number = where(number > (format.largest >> format.padding), overflow(magnitude, negative, format, rounding), number)
    signed = (number << format.padding) | where(negative, bits & 0 | format.sign, bits & 0)
    return where(magnitude > 0x7F800000, bits & 0 | format.nan, signed)


def round_units(units: U32, dropped: U32, negative: Any, rounding: int) -> U32:
    """units without its last `dropped` bits (at least one), rounded by them; `negative` is the number's sign."""
    half = shift_left(units & 0 | 1, dropped - 1)
    if rounding == RTZ:
        return shift_right(units, dropped)
    if rounding == RTTA:
        return shift_right(units + half, dropped)
    if rounding == RTTE:
        return shift_right(units + (half - 1) + (shift_right(units, dropped) & 1), dropped)
    grows = negative if rounding == RTN else ~negative
    return shift_right(units + where(grows, half + half - 1, units & 0), dropped)


def overflow(magnitude: U32, negative: Any, format: Format, rounding: int) -> U32:
    """What a number beyond the largest becomes: infinity stays infinity."""
    top, largest = magnitude & 0 | (format.top >> format.padding), magnitude & 0 | (format.largest >> format.padding)
    if rounding == RTZ:
        return where(magnitude == 0x7F800000, top, largest)
    if rounding == RTN:
        return where((magnitude == 0x7F800000) | negative, top, largest)
    if rounding == RTP:
        return where((magnitude == 0x7F800000) | ~negative, top, largest)
    return top


def widen_from(bits: Any, format: Format) -> F32:
    """The low bits of a register, read in a format, as binary32: exact. A NaN is some NaN."""
    magnitude = bits & (format.sign - (1 << format.padding))
    scale = reinterpret(constant((254 - format.bias) << 23, U32), F32)
    number = reinterpret(magnitude << (23 - format.mantissa - format.padding), F32) * scale
    special = where(magnitude > format.top, bits & 0 | 0x7FFFFFFF, bits & 0 | 0x7F800000)
    finite = magnitude <= format.largest
    sign = where((bits & format.sign) != 0, bits & 0 | 0x80000000, bits & 0)
    return reinterpret(where(finite, reinterpret(number, U32), special) | sign, F32)


def widen_f16(bits: U32, format: Format) -> F32:
    """binary16 (nothing above it) as binary32. Compiled, an instruction of the host if it has one: the same numbers."""
    return widen_from(bits, format)


def narrow_f16(x: F32, format: Format) -> U32:
    """x as binary16, rounded to nearest even; compiled in the same way. A NaN is some NaN."""
    return narrow_to(x, format, RTTE)


def scale_of(x: F32, rounding: int) -> U32:
    """x as E8M0, a power of two, rounded toward zero or up: too small and too large go to the end, negative is NaN."""
    bits = reinterpret(x, U32)
    exponent = bits >> 23
    up = where((bits & 0x7FFFFF) > where(exponent == 0, bits & 0 | 0x400000, bits & 0), bits & 0 | 1, bits & 0)
    power = exponent + up if rounding == RTP else exponent
    power = where(power > 254, bits & 0 | 254, power)
    return where(is_nan(x) | (x < 0.0), bits & 0 | 255, where(x == 0.0, bits & 0, power))


def power_of(scale: U32) -> F32:
    """The power of two that the low 8 bits mean in E8M0: 2 ** (n - 127); 255 is NaN."""
    number = scale & 0xFF
    bits = where(number == 0, number | 0x400000, number << 23)
    return reinterpret(where(number == 255, number | 0x7FFFFFFF, bits), F32)


# Integers.


def from_integer(a: Any, rounding: int) -> F64:
    """A 64-bit integer in binary64, rounded to odd."""
    high, low = convert(a >> 32, F64) * 4294967296.0, convert(a & 0xFFFFFFFF, F64)
    return add_odd(high, low, rounding)


def extend(a: U32, bits: int, signed: int) -> S32:
    """The low bits of a register as an integer, extended by its sign or with zeros."""
    high = shift_left(a, a & 0 | (32 - bits))
    if signed:
        return shift_right(reinterpret(high, S32), a & 0 | (32 - bits))
    return reinterpret(shift_right(high, a & 0 | (32 - bits)), S32)


def clamp_to_s64(x: F64) -> S64:
    """An integral x as 64 bits: out of range goes to the nearest end, NaN to 1 << 63 (published)."""
    above, below = x >= 9223372036854775808.0, x < -9223372036854775808.0
    number = convert(where(above | below | is_nan64(x), constant(0.0, F64), x), S64)
    lowest = shift_left(number & 0 | 1, constant(63, U32))
    return where(above, ~lowest, where(below | is_nan64(x), lowest, number))


def clamp_to_u64(x: F64) -> U64:
    """The same for unsigned 64 bits, NaN 1 << 63 too (published)."""
    middle = constant(9223372036854775808.0, F64)
    upper = x >= middle
    low = convert(where((x < 0.0) | upper | is_nan64(x), constant(0.0, F64), x), S64)
    rest = where(upper, x - middle, constant(0.0, F64))
    high = convert(where(rest >= middle, constant(0.0, F64), rest), S64)
    lowest = shift_left(reinterpret(low, U64) & 0 | 1, constant(63, U32))
    number = where(upper, reinterpret(high, U64) | lowest, reinterpret(low, U64))
    return where(is_nan64(x), lowest, where(rest >= middle, ~(lowest & 0), number))


def is_nan64(x: F64) -> Any:
    """Whether a lane holds a NaN."""
    return x != x


def integral(x: F32, rounding: int) -> F32:
    """x rounded to an integer, of the same sign even where it is zero."""
    rounded = reinterpret(convert(round_integral(convert(x, F64), rounding), F32), U32)
    return reinterpret(rounded | (reinterpret(x, U32) & 0x80000000), F32)
