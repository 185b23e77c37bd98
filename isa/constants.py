"""Irrational numbers as binary64 pieces, and the tables of the elementary functions, all computed exactly here.

Everything is derived with integers in units of 2**-400 when the package is imported (a few milliseconds), so no
digit is copied from anywhere. A number is split into pieces, each the previous rest rounded.
"""

from __future__ import annotations

from fractions import Fraction
from math import factorial, isqrt

from .lanes import Table

BITS = 400
ONE = 1 << BITS


def _odd_series(x: int, alternating: bool) -> int:
    """x + x**3/3 + x**5/5 + ...: the area tangent; with alternating signs the arc tangent."""
    total, power, n = 0, x, 1
    while power:
        total += -(power // n) if alternating and n % 4 == 3 else power // n
        power, n = (power * x >> BITS) * x >> BITS, n + 2
    return total


def _log2(numerator: int, denominator: int) -> int:
    """The binary logarithm of a ratio in [1, 2]."""
    return 2 * _odd_series(ONE * (numerator - denominator) // (numerator + denominator), False) * ONE // LN2


def _sine(angle: int) -> int:
    """The sine of an angle in [0, pi/2]."""
    total, power, n = 0, angle, 1
    while power:
        total += -power if n % 4 == 3 else power
        power, n = ((power * angle >> BITS) * angle >> BITS) // ((n + 1) * (n + 2)), n + 2
    return total


PI = 4 * (4 * _odd_series(ONE // 5, True) - _odd_series(ONE // 239, True))
LN2 = 2 * _odd_series(ONE // 3, False)


def pieces(number: int, *steps: int) -> tuple[float, ...]:
    """A number as a sum: a multiple of 2**-step for each step, then the rest to nearest."""
    parts: list[float] = []
    for step in steps:
        units = (number + (1 << BITS - step - 1)) >> BITS - step
        parts.append(units / (1 << step))
        number -= units << BITS - step
    return (*parts, number / ONE)


def pair(number: int) -> tuple[float, float]:
    """A number as the nearest binary64 and the rest of it."""
    high = number / ONE
    return high, float(Fraction(number, ONE) - Fraction(high))


def columns(rows: list[tuple[float, ...]]) -> tuple[Table, ...]:
    """One table for each piece."""
    return tuple(Table(column) for column in zip(*rows, strict=True))


# exp2 and tanh: 2**(j/32), and steps of ln(2)/32.

EXP_STEPS = 32
_root = 2 * ONE
for _ in range(EXP_STEPS.bit_length() - 1):
    _root = isqrt(_root << BITS)
_powers = [ONE]
for _ in range(EXP_STEPS - 1):
    _powers.append(_powers[-1] * _root >> BITS)
EXP_HIGH, EXP_LOW = columns([pair(power) for power in _powers])
LN2_HIGH, LN2_LOW = pair(LN2)
STEPS_PER_UNIT = EXP_STEPS * ONE / LN2
STEP_FIRST, STEP_SECOND = pieces(LN2 // EXP_STEPS, 46)
"""ln(2)/32; the first piece has 41 bits, so that its product with a step number below 2**12 is exact."""

# log2: for 64 intervals of [1, 2) a 28-bit reciprocal c of the middle (of an end, at 1 and 2), and -log2(c).

LOG_STEPS = 64
_SCALE = 1 << 28
_reciprocals = [round(Fraction(2 * LOG_STEPS * _SCALE, 2 * (LOG_STEPS + j) + 1)) for j in range(LOG_STEPS)]
_reciprocals[0], _reciprocals[-1] = _SCALE, _SCALE // 2
RECIPROCAL = Table(tuple(n / _SCALE for n in _reciprocals))
LOG_HIGH, LOG_LOW = columns([pieces(_log2(_SCALE, n), 40) for n in _reciprocals])
INVERSE_LN2_HIGH, INVERSE_LN2_LOW = pair(ONE * ONE // LN2)

# sin and cos: steps of pi/64, 128 to the turn.

TURN = 128
_quarter = [*[_sine(PI * j // (TURN // 2)) for j in range(TURN // 4)], ONE]
_half = _quarter + _quarter[-2:0:-1]
SINE_HIGH, SINE_LOW = columns([pair(value) for value in _half] + [pair(-value) for value in _half])
STEPS_PER_RADIAN = (TURN // 2) * ONE / PI
ARC_FIRST, ARC_SECOND, ARC_THIRD = pieces(PI // (TURN // 2), 37, 70)
"""pi/64; products of the first two pieces (33 bits each) with a step number below 2**20 are exact."""
ARC_HIGH, ARC_LOW = pair(PI // (TURN // 2))

FAR_EXPONENT = 142
"""Angles from 2**15 on have at least this biased exponent E: they are m * 2**(E - 150), m a 24-bit integer."""


def _far(exponent: int) -> tuple[float, ...]:
    """How many steps, modulo the turn, 2**(exponent - 150) radians are; products of three pieces with m are exact."""
    steps = (TURN // 2 << exponent - 150 + 2 * BITS) // PI
    return pieces(steps % (TURN << BITS), 22, 50, 79)


FAR_FIRST, FAR_SECOND, FAR_THIRD, FAR_FOURTH = columns(
    [_far(exponent) if exponent < 255 else (0.0,) * 4 for exponent in range(FAR_EXPONENT, FAR_EXPONENT + 128)]
)

# exp2: Taylor coefficients of 2**r.

EXP2_SERIES = tuple(float(Fraction(LN2, ONE) ** n / factorial(n)) for n in range(2, 9))
"""Of r**2 to r**8."""
