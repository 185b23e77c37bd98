"""Float formats: any finite number is m * 2**e with integers m and e, and is rounded once, in one function."""

from collections.abc import Callable
from typing import NamedTuple

EVEN, ZERO, DOWN, UP, AWAY = "rtte", "rtz", "rtn", "rtp", "rtta"
MODES = (EVEN, ZERO, DOWN, UP, AWAY)


class Exact(NamedTuple):
    """(-1)**negative * m * 2**e; m is None for infinity."""

    negative: int
    m: int | None
    e: int


class Format:
    """A format of sign, exponent bits and fraction bits; `nan` are the bits of its canonical NaN.

    `largest` are the bits of the largest number of a format that has no infinity: above it is only NaN, if anything.
    `above` bits of a register lie below the format's own.
    """

    def __init__(self, exponent: int, fraction: int, nan: int, *, largest: int | None = None, above: int = 0):
        self.fraction, self.nan, self.above = fraction, nan, above
        self.like_binary32 = exponent == 8
        """Whether `.ftz` means results in this format: alone, not in a pair."""
        self.hidden = 1 << fraction
        self.infinity = None if largest is not None else ((1 << exponent) - 1) << fraction
        self.largest = largest if self.infinity is None else self.infinity - 1
        self.lowest = 2 - (1 << exponent - 1) - fraction
        """The exponent of the last bit of the smallest numbers."""
        self._sign = 1 << exponent + fraction
        self.sign = self._sign << above
        """The bits that negation flips, as they are in a register."""
        self.mask = (2 * self._sign - 1) << above
        self.one = ((1 << exponent - 1) - 1) << fraction << above

    def magnitude(self, bits: int) -> int:
        return bits >> self.above & self._sign - 1

    def is_nan(self, bits: int) -> bool:
        """Whether the bits are any NaN."""
        return self.magnitude(bits) > (self.largest if self.infinity is None else self.infinity)

    def is_infinite(self, bits: int) -> bool:
        return self.magnitude(bits) == self.infinity

    def exact(self, bits: int) -> Exact:
        """The number; not of a NaN."""
        size = self.magnitude(bits)
        negative = 1 if bits & self.sign else 0
        if size < self.hidden:
            return Exact(negative, size, self.lowest)
        if size == self.infinity:
            return Exact(negative, None, 0)
        return Exact(negative, size & self.hidden - 1 | self.hidden, (size >> self.fraction) - 1 + self.lowest)

    def flush(self, bits: int) -> int:
        """A subnormal becomes zero of its sign."""
        return bits & self.sign if self.magnitude(bits) < self.hidden else bits

    def saturate(self, bits: int) -> int:
        """Clamped to [0, 1]; NaN and -0 become +0."""
        return 0 if bits & self.sign or self.is_nan(bits) else min(bits, self.one)

    def relu(self, bits: int) -> int:
        """A negative number becomes +0."""
        return 0 if bits & self.sign and not self.is_nan(bits) else bits

    def finite(self, bits: int) -> int:
        """Infinity becomes the largest number of its sign."""
        return bits & self.sign | self.largest << self.above if self.is_infinite(bits) else bits

    def infinite(self, negative: int) -> int:
        """Infinity, or the largest number where there is none."""
        size = self.largest if self.infinity is None else self.infinity
        return (self.sign if negative else 0) | size << self.above

    def zero(self, negative: int) -> int:
        return self.sign if negative else 0

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
        if bits > self.largest:
            finite = self.infinity is None or mode == ZERO or mode == (UP if negative else DOWN)
            bits = self.largest if finite else self.largest + 1
        return sign | bits << self.above


def rounds_up(negative: int, odd: int, rest: int, half: int, mode: str) -> bool:
    """Whether a magnitude grows: `rest` is what is cut off, `half` half a unit, `odd` the last bit that stays."""
    if mode == EVEN:
        return rest > half or (rest == half and odd == 1)
    if mode == AWAY:
        return rest >= half
    return rest > 0 and mode == (DOWN if negative else UP)


class Pair:
    """Two numbers of a 16-bit format in one register."""

    def __init__(self, fmt: Format):
        self.fmt, self.mask, self.sign = fmt, 0xFFFFFFFF, fmt.sign << 16 | fmt.sign

    def _both(self, change: Callable[[int], int], bits: int) -> int:
        return change(bits & 0xFFFF) | change(bits >> 16) << 16

    def flush(self, bits: int) -> int:
        return self._both(self.fmt.flush, bits)

    def saturate(self, bits: int) -> int:
        return self._both(self.fmt.saturate, bits)

    def relu(self, bits: int) -> int:
        return self._both(self.fmt.relu, bits)

    def finite(self, bits: int) -> int:
        return self._both(self.fmt.finite, bits)


F32 = Format(8, 23, 0x7FFFFFFF)
TF32 = Format(8, 10, 0x7FFFE000, above=13)
F16 = Format(5, 10, 0x7FFF)
BF16 = Format(8, 7, 0x7FFF)
E4M3 = Format(4, 3, 0x7F, largest=0x7E)
E5M2 = Format(5, 2, 0x7F)
E2M1 = Format(2, 1, 0x7, largest=0x7)
