"""Float formats: any finite number is m * 2**e with integers m and e, and is rounded once, in one function."""

from typing import NamedTuple

EVEN, ZERO, DOWN, UP, AWAY = "rtte", "rtz", "rtn", "rtp", "rtta"
MODES = (EVEN, ZERO, DOWN, UP, AWAY)


class Exact(NamedTuple):
    """(-1)**negative * m * 2**e; m is None for infinity."""

    negative: int
    m: int | None
    e: int


class Format:
    """An IEEE-754 format: sign, exponent bits, fraction bits; `nan` are the bits of its canonical NaN."""

    def __init__(self, exponent: int, fraction: int, nan: int):
        self.fraction, self.nan = fraction, nan
        self.sign = 1 << exponent + fraction
        self.infinity = ((1 << exponent) - 1) << fraction
        self.hidden = 1 << fraction
        self.lowest = 2 - (1 << exponent - 1) - fraction
        """The exponent of the last bit of the smallest numbers."""
        self.one = ((1 << exponent - 1) - 1) << fraction

    def is_nan(self, bits: int) -> bool:
        """Whether the bits are any NaN."""
        return bits & (self.sign - 1) > self.infinity

    def exact(self, bits: int) -> Exact:
        """The number; not of a NaN."""
        field = bits >> self.fraction & self.infinity >> self.fraction
        part = bits & self.hidden - 1
        negative = 1 if bits & self.sign else 0
        if field == 0:
            return Exact(negative, part, self.lowest)
        if field << self.fraction == self.infinity:
            return Exact(negative, None, 0)
        return Exact(negative, part | self.hidden, field - 1 + self.lowest)

    def flush(self, bits: int) -> int:
        """A subnormal becomes zero of its sign."""
        return bits & self.sign if bits & (self.sign - 1) < self.hidden else bits

    def saturate(self, bits: int) -> int:
        """Clamped to [0, 1]; NaN and -0 become +0."""
        return 0 if bits & self.sign or self.is_nan(bits) else min(bits, self.one)

    def round(self, negative: int, m: int, e: int, mode: str) -> int:
        """The bits of (-1)**negative * m * 2**e, rounded once; infinity above the largest, as the mode says."""
        sign = self.sign if negative else 0
        if m == 0:
            return sign
        unit = max(m.bit_length() - 1 + e - self.fraction, self.lowest)
        shift = unit - e
        if shift <= 0:
            kept = m << -shift
        else:
            kept = m >> shift
            if rounds_up(negative, kept & 1, m & (1 << shift) - 1, 1 << shift - 1, mode):
                kept += 1
        # The hidden bit of a normal number adds one to the exponent field; so does a carry out of the fraction.
        bits = (unit - self.lowest << self.fraction) + kept
        if bits >= self.infinity:
            finite = mode == ZERO or mode == (UP if negative else DOWN)
            bits = self.infinity - 1 if finite else self.infinity
        return sign | bits


def rounds_up(negative: int, odd: int, rest: int, half: int, mode: str) -> bool:
    """Whether a magnitude grows: `rest` is what is cut off, `half` half a unit, `odd` the last bit that stays."""
    if mode == EVEN:
        return rest > half or (rest == half and odd == 1)
    if mode == AWAY:
        return rest >= half
    return rest > 0 and mode == (DOWN if negative else UP)


F32 = Format(8, 23, 0x7FFFFFFF)
