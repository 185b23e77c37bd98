"""Float formats as data: where their bits lie, which are numbers, and the one NaN that arithmetic returns.

A format with a sign has it above the exponent, and the mantissa below. As unsigned numbers its magnitudes are in
order: zero, subnormals, normal numbers up to `largest`, infinity (`top`) if there is one, NaNs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """A binary float format of up to 32 bits."""

    name: str
    exponent: int
    """Bits of the exponent."""
    mantissa: int
    """Bits of the mantissa, the leading one not counted."""
    bias: int
    """What is subtracted from the exponent's bits."""
    largest: int
    """The bits of the largest finite number."""
    top: int
    """The largest magnitude that is no NaN: infinity, or `largest` where there is none."""
    nan: int
    """The canonical NaN; where there is no NaN, the bits a NaN becomes."""
    padding: int = 0
    """Bits of zero below the mantissa, as a register holds it."""

    @property
    def low(self) -> int:
        """How many bits lie below the exponent."""
        return self.mantissa + self.padding

    @property
    def width(self) -> int:
        """All bits, padding included."""
        return self.exponent + self.low + 1

    @property
    def sign(self) -> int:
        """The sign bit."""
        return 1 << (self.width - 1)

    @property
    def exponents(self) -> int:
        """All bits of the exponent."""
        return self.sign - (1 << self.low)

    @property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.low


F32 = Format("f32", 8, 23, 127, largest=0x7F7FFFFF, top=0x7F800000, nan=0x7FFFFFFF)
TF32 = Format("tf32", 8, 10, 127, largest=0x7F7FE000, top=0x7F800000, nan=0x7FFFE000, padding=13)
BF16 = Format("bf16", 8, 7, 127, largest=0x7F7F, top=0x7F80, nan=0x7FFF)
F16 = Format("f16", 5, 10, 15, largest=0x7BFF, top=0x7C00, nan=0x7FFF)
E5M2 = Format("e5m2", 5, 2, 15, largest=0x7B, top=0x7C, nan=0x7F)
E4M3 = Format("e4m3", 4, 3, 7, largest=0x7E, top=0x7E, nan=0x7F)
E2M1 = Format("e2m1", 2, 1, 1, largest=0x7, top=0x7, nan=0x7)

FORMATS = {each.name: each for each in (F32, TF32, BF16, F16, E5M2, E4M3, E2M1)}
"""Every signed format by name. E8M0, a power of two without a sign, is apart (`rounding.scale_of`)."""
