"""What atomics do to one element, in Python integers and exact rationals; it knows nothing of lane vectors."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

ALL = 0xFFFFFFFF


class Float(NamedTuple):
    """A binary format: bits of exponent and fraction, and its canonical NaN."""

    exponent: int
    fraction: int
    nan: int

    @property
    def bias(self) -> int:
        return (1 << self.exponent - 1) - 1

    def value(self, bits: int) -> Fraction | None:
        """The number, None for infinities and NaNs."""
        sign = -1 if bits >> self.exponent + self.fraction else 1
        exponent = bits >> self.fraction & (1 << self.exponent) - 1
        fraction = bits & (1 << self.fraction) - 1
        if exponent == (1 << self.exponent) - 1:
            return None
        if exponent == 0:
            return sign * Fraction(fraction) * Fraction(2) ** (1 - self.bias - self.fraction)
        whole = Fraction((1 << self.fraction) + fraction)
        return sign * whole * Fraction(2) ** (exponent - self.bias - self.fraction)

    @property
    def infinity(self) -> int:
        return (1 << self.exponent) - 1 << self.fraction

    @property
    def sign(self) -> int:
        return 1 << self.exponent + self.fraction

    def bits(self, value: Fraction) -> int:
        """The nearest number's bits, ties to even; of zero the positive one."""
        sign, value = (self.sign, -value) if value < 0 else (0, value)
        if value == 0:
            return 0
        power = 1 - self.bias
        while value >= Fraction(2) ** (power + 1):
            power += 1
        unit = Fraction(2) ** (power - self.fraction)
        count = round(value / unit)  # Fraction rounds ties to even
        if count >= 1 << self.fraction + 1:
            power, count = power + 1, count // 2
        if power > self.bias:
            return sign | self.infinity
        exponent = 0 if count < 1 << self.fraction else power + self.bias
        return sign | exponent << self.fraction | count & (1 << self.fraction) - 1

    def sum(self, a: int, b: int) -> int:
        x, y = self.value(a), self.value(b)
        if x is None or y is None:
            nan = any(n & ~self.sign > self.infinity for n in (a, b))
            opposite = x is None and y is None and a != b
            return self.nan if nan or opposite else (a if x is None else b)
        if x + y == 0:
            return a & b & self.sign if x == 0 else 0
        return self.bits(x + y)

    def flushed(self, a: int) -> int:
        return a & self.sign if a & self.infinity == 0 else a


F32, F16, BF16 = Float(8, 23, 0x7FFFFFFF), Float(5, 10, 0x7FFF), Float(8, 7, 0x7FFF)


def halves(format: Float) -> Callable[[int, int], int]:
    return lambda old, a: format.sum(old & 0xFFFF, a & 0xFFFF) | format.sum(old >> 16, a >> 16) << 16


def signed(value: int, bits: int) -> int:
    return value - (value >> bits - 1 << bits)


def by_value(choose: Any, bits: int, sign: bool) -> Callable[[int, int], int]:
    return lambda old, a: choose(old, a, key=lambda n: signed(n, bits) if sign else n)


OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "add.i32": lambda old, a: old + a & ALL,
    "add.i64": lambda old, a: old + a & (1 << 64) - 1,
    "add.f32": lambda old, a: F32.flushed(F32.sum(F32.flushed(old), F32.flushed(a))),
    "add.f16x2": halves(F16),
    "add.bf16x2": halves(BF16),
    "inc.u32": lambda old, a: 0 if old >= a else old + 1,
    "dec.u32": lambda old, a: a if old == 0 or old > a else old - 1,
    **{
        f"{name}.{sign}{bits}": by_value(choose, bits, sign == "i")
        for name, choose in (("min", min), ("max", max))
        for sign in "ui"
        for bits in (32, 64)
    },
    **{f"and.b{bits}": lambda old, a: old & a for bits in (32, 64)},
    **{f"or.b{bits}": lambda old, a: old | a for bits in (32, 64)},
    **{f"xor.b{bits}": lambda old, a: old ^ a for bits in (32, 64)},
    **{f"exch.b{bits}": lambda old, a: a for bits in (32, 64)},
}
