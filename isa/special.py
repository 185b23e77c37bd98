"""Division, roots and elementary functions in binary32; exp2 and tanh of packed halves.

Opcodes 0x300 to 0x30f. Every result is the true value correctly rounded, over the whole input range: in
nearest even, and for reciprocal, square root and quotient also in the directed roundings. The vendor's
approximations have error bounds, which these results meet.
"""

from __future__ import annotations

from typing import Any

from .elementary import (
    cos_odd,
    exp2_odd,
    log2_odd,
    quotient_odd,
    rsqrt_odd,
    sin_odd,
    sqrt_odd,
    tanh_odd,
)
from .fields import ROUNDING
from .formats import Format
from .lanes import F32, BF16x2, F16x2
from .numerics import ROUNDINGS, RTTE, constant, narrow, square_root, where
from .packed import floats, halves
from .rounding import to_odd
from .spec import Item, insn
from .tags import LISTED, TIX

_UNARY = "{d:vreg}, {a:vsrc}"


def _rounded(suffix: str, rounding: int) -> None:
    name = "" if rounding == RTTE else f".{suffix}"
    common: dict[str, Any] = {"fixed": {ROUNDING: rounding}, "rounding": rounding, **TIX}

    @insn(f"v.rcp.f32{name}{{ftz}} {_UNARY}", opcode=0x300, immediate=False,
          ex=("a=-4.0 | d=-0.25", "a=-0.0 | d=-inf"), **common)
    def v_rcp_f32(a: F32, rounding: int) -> F32:
        """d = 1 / a, rounded once; of a zero the infinity of its sign."""
        if rounding == RTTE:
            return constant(1.0, F32) / a
        return narrow(quotient_odd(constant(1.0, F32), a), rounding)

    @insn(f"v.sqrt.f32{name}{{ftz}} {_UNARY}", opcode=0x301, immediate=False,
          ex=("a=6.25 | d=2.5", "a=-0.0 | d=-0.0", "a=-1.0 | d=nan"), **common)
    def v_sqrt_f32(a: F32, rounding: int) -> F32:
        """d = the square root of a, rounded once; -0 stays, of other negative numbers NaN."""
        if rounding == RTTE:
            return square_root(a)
        return narrow(sqrt_odd(a), rounding)

    @insn(f"v.div.f32{name}{{ftz}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=0x302,
          ex=("a=1.0 b=-4.0 | d=-0.25", "a=1.0 b=0.0 | d=inf", "a=0.0 b=0.0 | d=nan"), **common)
    def v_div_f32(a: F32, b: F32, rounding: int) -> F32:
        """d = a / b, rounded once."""
        if rounding == RTTE:
            return a / b
        return narrow(quotient_odd(a, b), rounding)


for _suffix, _code in ROUNDINGS.items():
    _rounded(_suffix, _code)


@insn(f"v.rsqrt.f32{{ftz}} {_UNARY}", opcode=0x303, immediate=False, **TIX,
      ex=("a=0.25 | d=2.0", "a=-0.0 | d=-inf", "a=inf | d=0.0", "a=-1.0 | d=nan"))
def v_rsqrt_f32(a: F32) -> F32:
    """d = 1 / (square root of a), rounded once; of a zero the infinity of its sign, of other negative numbers NaN."""
    return narrow(rsqrt_odd(a), RTTE)


@insn(f"v.exp2.f32{{ftz}} {_UNARY}", opcode=0x304, immediate=False, **LISTED,
      ex=("a=-3.0 | d=0.125", "a=-inf | d=0.0", "a=128.0 | d=inf"))
def v_exp2_f32(a: F32) -> F32:
    """d = 2 to the power a, rounded once."""
    return narrow(exp2_odd(a), RTTE)


@insn(f"v.log2.f32{{ftz}} {_UNARY}", opcode=0x305, immediate=False, **TIX,
      ex=("a=8.0 | d=3.0", "a=-0.0 | d=-inf", "a=-1.0 | d=nan"))
def v_log2_f32(a: F32) -> F32:
    """d = the binary logarithm of a, rounded once; of zeros -infinity, of other negative numbers NaN."""
    return narrow(log2_odd(a), RTTE)


@insn(f"v.sin.f32{{ftz}} {_UNARY}", opcode=0x306, immediate=False, **TIX,
      ex=("a=1.0 | d=0x3f576aa4", "a=-0.0 | d=-0.0", "a=inf | d=nan"))
def v_sin_f32(a: F32) -> F32:
    """d = the sine of a radians, rounded once, however large a is; -0 stays, of infinities NaN."""
    return narrow(sin_odd(a), RTTE)


@insn(f"v.cos.f32{{ftz}} {_UNARY}", opcode=0x307, immediate=False, **TIX,
      ex=("a=1.0 | d=0x3f0a5140", "a=-0.0 | d=1.0", "a=inf | d=nan"))
def v_cos_f32(a: F32) -> F32:
    """d = the cosine of a radians, rounded once, however large a is; of infinities NaN."""
    return narrow(cos_odd(a), RTTE)


@insn(f"v.tanh.f32 {_UNARY}", opcode=0x308, immediate=False, **TIX,
      ex=("a=0.5 | d=0x3eec9a9f", "a=-inf | d=-1.0", "a=-0.0 | d=-0.0"))
def v_tanh_f32(a: F32) -> F32:
    """d = the hyperbolic tangent of a, rounded once; -0 stays."""
    return narrow(tanh_odd(a), RTTE)


def _halves(name: str, item: type[Any], opcode: int) -> None:
    format = item.format
    one, infinity = format.one, format.top
    common: dict[str, Any] = {"immediate": False, "Item": item, "format": format, **TIX}

    @insn(f"v.exp2.{name} {_UNARY}", opcode=opcode, ex=f"a={infinity << 16:#x} | d={infinity << 16 | one:#x}", **common)
    def exp2(a: Item, format: Format) -> Item:
        """d = 2 to the power a in each half, rounded once."""
        low, high = floats(a, format)
        return halves(to_odd(exp2_odd(low)), to_odd(exp2_odd(high)), format)

    @insn(f"v.tanh.{name} {_UNARY}", opcode=opcode + 1, ex=f"a={infinity << 16 | 1:#x} | d={one << 16 | 1:#x}",
          **common)
    def tanh(a: Item, format: Format) -> Item:
        """d = the hyperbolic tangent of a in each half, rounded once; -0 stays."""
        low, high = floats(a, format)
        return halves(to_odd(tanh_odd(low)), to_odd(tanh_odd(high)), format)


_halves("f16x2", F16x2, 0x309)
_halves("bf16x2", BF16x2, 0x30B)


@insn(f"v.exp2.bf16x2.ftz {_UNARY}", opcode=0x30D, immediate=False, ex="a=0xc2fe0001 | d=0x3f80", Item=BF16x2,
      format=BF16x2.format, **TIX)
def v_exp2_bf16x2_ftz(a: Item, format: Format) -> Item:
    """d = 2 to the power a in each half, rounded once; a subnormal result becomes 0, and a subnormal a would give 1."""
    low, high = floats(a, format)
    result = halves(to_odd(exp2_odd(low)), to_odd(exp2_odd(high)), format)
    return where((result & format.exponents) == 0, result & 0, result)
