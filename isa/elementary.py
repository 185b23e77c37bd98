"""Division, roots and elementary functions of binary32 values, so exact that one narrowing rounds correctly.

Every `..._odd` function returns a binary64 that lies on the same side of every binary32 number, and of every
midpoint of two, as the true value, and equals one only if the true value does: `narrow` makes of it the
correctly rounded result in each rounding and each shorter format (docs/numerics.md). It is found as a sum of two
binary64, high + low, with an error below 2**-60 of it, and rounded to odd.

All of it is plain binary64 arithmetic to nearest even in one fixed order over exact tables: the same bits
everywhere. The series are Taylor's, on arguments so small that their remainders do not matter.
"""

from __future__ import annotations

from .constants import (
    ARC_FIRST,
    ARC_HIGH,
    ARC_LOW,
    ARC_SECOND,
    ARC_THIRD,
    EXP2_SERIES,
    EXP_HIGH,
    EXP_LOW,
    FAR_EXPONENT,
    FAR_FIRST,
    FAR_FOURTH,
    FAR_SECOND,
    FAR_THIRD,
    INVERSE_LN2_HIGH,
    INVERSE_LN2_LOW,
    LN2_HIGH,
    LN2_LOW,
    LOG_HIGH,
    LOG_LOW,
    RECIPROCAL,
    SINE_HIGH,
    SINE_LOW,
    STEP_FIRST,
    STEP_SECOND,
    STEPS_PER_RADIAN,
    STEPS_PER_UNIT,
)
from .lanes import F32, F64, S32, S64, U32, U64, Mask
from .numerics import (
    absolute,
    any_lane,
    constant,
    convert,
    lookup,
    product_error,
    reinterpret,
    sign_bit,
    square_root,
    to_odd,
    where,
)

SHIFT = 6755399441055744.0
"""1.5 * 2**52: a sum with it is rounded to an integer, which then stands in its low bits."""
INFINITY, NAN = float("inf"), float("nan")
_E2, _E3, _E4, _E5, _E6, _E7, _E8 = EXP2_SERIES


# Sums of two binary64.


def fast_sum(a: F64, b: F64) -> tuple[F64, F64]:
    """a + b as the nearest binary64 and its error, for |a| >= |b| or a == 0."""
    total = a + b
    return total, b - (total - a)


def exact_sum(a: F64, b: F64) -> tuple[F64, F64]:
    """a + b as the nearest binary64 and its error."""
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def exact_product(a: F64, b: F64) -> tuple[F64, F64]:
    """a * b as the nearest binary64 and its error."""
    product = a * b
    return product, product_error(a, b, product)


def sum_odd(high: F64, low: F64) -> F64:
    """high + low rounded to odd, for |high| >= |low| or high == 0."""
    total, error = fast_sum(high, low)
    return to_odd(total, error)


def just_inside(a: F64) -> F64:
    """The next binary64 toward zero; zero stays."""
    return reinterpret(where(a == 0.0, reinterpret(a, U64), reinterpret(a, U64) - 1), F64)


def low_word(a: F64) -> U32:
    """The integer that was rounded by adding SHIFT, modulo 2**32."""
    return convert(reinterpret(a, U64), U32)


def is_finite(x: F32) -> Mask:
    """Neither infinite nor NaN."""
    return (x - x) == 0.0


# Division and roots: the error of the rounded result follows from an exact residual.


def quotient_odd(a: F32, b: F32) -> F64:
    """a / b."""
    dividend, divisor = convert(a, F64), convert(b, F64)
    quotient = dividend / divisor
    product, error = exact_product(quotient, divisor)
    rest = (dividend - product) - error
    return to_odd(quotient, where(divisor < 0.0, -rest, rest))


def sqrt_odd(x: F32) -> F64:
    """The square root of x."""
    wide = convert(x, F64)
    root = square_root(wide)
    square, error = exact_product(root, root)
    return to_odd(root, (wide - square) - error)


def rsqrt_odd(x: F32) -> F64:
    """The reciprocal of the square root of x: y + y * (1 - x * y * y) / 2 for a nearby y; of 0 and infinity, y."""
    wide = convert(x, F64)
    near = 1.0 / square_root(wide)
    square, square_error = exact_product(near, near)
    product, product_low = exact_product(wide, square)
    rest = ((1.0 - product) - product_low) - wide * square_error
    low = near * (0.5 * rest)
    return sum_odd(near, where(low == low, low, constant(0.0, F64)))


# exp2: 2**x = 2**e * 2**(j/32) * 2**r.


def exp2_odd(x: F32) -> F64:
    """2 to the power x; within 2**-200 and 2**200, which lie beyond every shorter format."""
    wide = convert(x, F64)
    wide = where(wide < -200.0, constant(-200.0, F64), where(wide > 200.0, constant(200.0, F64), wide))
    shifted = wide * 32.0 + SHIFT
    rest = wide - (shifted - SHIFT) * 0.03125
    step = low_word(shifted)
    product, error = exact_product(rest, constant(LN2_HIGH, F64))
    series = _E2 + rest * (_E3 + rest * (_E4 + rest * (_E5 + rest * (_E6 + rest * (_E7 + rest * _E8)))))
    power = times_power(step, product, error + (rest * LN2_LOW + rest * rest * series))
    scale = reinterpret((convert(reinterpret(step, S32) >> 5, S64) + 1023) << 52, F64)
    result = sum_odd(power[0], power[1]) * scale
    return where(x == INFINITY, constant(INFINITY, F64), where(x == -INFINITY, constant(0.0, F64), result))


def times_power(step: U32, high: F64, low: F64) -> tuple[F64, F64]:
    """2**(step/32 mod 1) * (1 + high + low)."""
    power, rest = lookup(EXP_HIGH, step), lookup(EXP_LOW, step)
    product, error = exact_product(power, high)
    total, lost = fast_sum(power, product)
    return total, lost + (error + (rest + (power * low + rest * high)))


# log2: log2(x) = e - log2(c) + log2(1 + r), where c is near 1 / m and 1 + r = m * c exactly.


def log2_odd(x: F32) -> F64:
    """The binary logarithm of x."""
    bits = reinterpret(convert(x, F64), U64)
    interval = convert(bits >> 46, U32)
    exponent = reinterpret((bits >> 52) | 0x4330000000000000, F64) - 4503599627371519.0
    significand = reinterpret((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000, F64)
    r = significand * lookup(RECIPROCAL, interval) - 1.0
    square, square_error = exact_product(r, 0.5 * r)
    series = (1 / 3) - r * (
        (1 / 4)
        - r * ((1 / 5) - r * ((1 / 6) - r * ((1 / 7) - r * ((1 / 8) - r * ((1 / 9) - r * ((1 / 10) - r * (1 / 11)))))))
    )
    natural, lost = fast_sum(r, -square)
    lost = lost + (r * (r * r) * series - square_error)
    product, error = exact_product(natural, constant(INVERSE_LN2_HIGH, F64))
    total, dropped = fast_sum(exponent + lookup(LOG_HIGH, interval), product)
    rest = error + (natural * INVERSE_LN2_LOW + lost * INVERSE_LN2_HIGH)
    result = sum_odd(total, dropped + (lookup(LOG_LOW, interval) + rest))
    special = where(x == 0.0, constant(-INFINITY, F64), where(x < 0.0, constant(NAN, F64), convert(x, F64)))
    return where((x > 0.0) & (x < INFINITY), result, special)


# sin and cos: the angle is a number of steps of pi/64 and a rest.


def sin_odd(x: F32) -> F64:
    """The sine of x radians; x alone, a little nearer to zero, where the next term is x * x / 6 < 2**-28 of it."""
    result = sine(angle(x), 0)
    small = (x < 0.0001220703125) & (x > -0.0001220703125)
    result = where(small, just_inside(convert(x, F64)), result)
    return where(is_finite(x), result, constant(NAN, F64))


def cos_odd(x: F32) -> F64:
    """The cosine of x radians."""
    return where(is_finite(x), sine(angle(x), 32), constant(NAN, F64))


def angle(x: F32) -> tuple[U32, F64, F64]:
    """The nearest number of steps, modulo the turn, and the rest of x in radians as a sum of two."""
    wide = convert(x, F64)
    step, high, low = near_angle(wide)
    far = (wide >= 32768.0) | (wide <= -32768.0)
    if any_lane(far):
        far_step, far_high, far_low = far_angle(x)
        step, high, low = where(far, far_step, step), where(far, far_high, high), where(far, far_low, low)
    return step, high, low


def near_angle(x: F64) -> tuple[U32, F64, F64]:
    """`angle` for |x| < 2**15: steps below 2**20 times pi/64 in three pieces, the first two exact."""
    shifted = x * STEPS_PER_RADIAN + SHIFT
    steps = shifted - SHIFT
    high, lost = exact_sum(x - steps * ARC_FIRST, -(steps * ARC_SECOND))
    high, low = fast_sum(high, lost - steps * ARC_THIRD)
    return low_word(shifted), high, low


def far_angle(x: F32) -> tuple[U32, F64, F64]:
    """`angle` for |x| >= 2**15: the significand times what its unit is in steps, modulo the turn."""
    bits = reinterpret(x, U32)
    m = convert(reinterpret((bits & 0x807FFFFF) | 0x4B000000, F32), F64)
    row = ((bits >> 23) & 0xFF) - FAR_EXPONENT
    product = m * lookup(FAR_FIRST, row)
    first = product + SHIFT
    rest = (product - (first - SHIFT)) + m * lookup(FAR_SECOND, row)
    second = rest + SHIFT
    high, lost = exact_sum(rest - (second - SHIFT), m * lookup(FAR_THIRD, row))
    high, low = fast_sum(high, lost + m * lookup(FAR_FOURTH, row))
    product, error = exact_product(high, constant(ARC_HIGH, F64))
    return low_word(first) + low_word(second), product, error + (high * ARC_LOW + low * ARC_HIGH)


def sine(place: tuple[U32, F64, F64], ahead: int) -> F64:
    """The sine `ahead` steps beyond a place: S + C * d + (the rest of S * cos(d) + C * sin(d)), rounded to odd."""
    step, d, low = place
    step = step + ahead
    sine_high, cosine_high = lookup(SINE_HIGH, step), lookup(SINE_HIGH, step + 32)
    square = d * d
    cosine = square * (-0.5 + square * ((1 / 24) + square * ((-1 / 720) + square * (1 / 40320))))
    cubic = d * square * ((-1 / 6) + square * ((1 / 120) + square * ((-1 / 5040) + square * (1 / 362880))))
    product, error = exact_product(cosine_high, d)
    total, lost = fast_sum(sine_high, product)
    exact = lookup(SINE_LOW, step) + (error + lookup(SINE_LOW, step + 32) * d)
    return sum_odd(total, lost + (exact + (sine_high * (cosine - d * low) + cosine_high * (low + cubic))))


# tanh: (E - 1) / (E + 1) with E = e**(2|x|) = 2**e * 2**(j/32) * e**r.


def tanh_odd(x: F32) -> F64:
    """The hyperbolic tangent of x; beyond 20 as there, and x alone, a little nearer to zero, below 2**-13."""
    size = convert(absolute(x), F64)
    twice = 2.0 * where(size > 20.0, constant(20.0, F64), size)
    high, low = exponential_less_one(twice)
    bottom, lost = fast_sum(where(high > 2.0, high, constant(2.0, F64)), where(high > 2.0, constant(2.0, F64), high))
    inverse = 1.0 / bottom
    quotient = high * inverse
    product, error = exact_product(quotient, bottom)
    rest = ((high - product) - error) + (low - quotient * (lost + low))
    result = sum_odd(quotient, rest * inverse)
    result = where(size < 0.0001220703125, just_inside(size), result)
    result = where(size == INFINITY, constant(1.0, F64), result)
    return where(sign_bit(x), -result, result)


def exponential_less_one(x: F64) -> tuple[F64, F64]:
    """e**x - 1 for 0 <= x <= 40 as a sum of two, exact relative to the result."""
    shifted = x * STEPS_PER_UNIT + SHIFT
    steps = shifted - SHIFT
    step = low_word(shifted)
    r, low = exact_sum(x - steps * STEP_FIRST, -(steps * STEP_SECOND))
    square, error = exact_product(r, 0.5 * r)
    series = (1 / 6) + r * ((1 / 24) + r * ((1 / 120) + r * ((1 / 720) + r * ((1 / 5040) + r * (1 / 40320)))))
    high, lost = fast_sum(r, square)
    power, rest = times_power(step, high, lost + (error + (r * r * r * series + low * (1.0 + r))))
    scale = reinterpret((convert(step >> 5, U64) + 1023) << 52, F64)
    total, dropped = exact_sum(power * scale, constant(-1.0, F64))
    return fast_sum(total, dropped + rest * scale)
