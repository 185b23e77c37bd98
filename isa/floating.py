"""Float arithmetic in binary32: add, subtract, multiply, fused multiply-add, min, max, compare, test.

Every result NaN is the canonical one. `.ftz` flushes subnormal sources and results, `.sat` clamps the result to [0,
1]; `!x` and `|x|` change a source's sign bit alone. Without a rounding suffix v.add, v.sub and v.mul round to nearest
even; v.fma always names its rounding (published forms). Opcodes 0x200 to 0x20f and 0x214 to 0x21f; compares are with
those of integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .fields import ROUNDING, SECOND_OPCODE
from .integer import compare_forms
from .lanes import F32, F64, U32, Mask
from .numerics import (
    ROUNDINGS,
    RTTE,
    absolute,
    add_odd,
    convert,
    copy_sign,
    fma_odd,
    fused,
    larger,
    narrow,
    reinterpret,
    smaller,
)
from .reductions import nan_or
from .spec import insn
from .tags import LISTED, TIX


def rounded_sum(a: F32, b: F32, rounding: int) -> F32:
    """a + b, rounded once."""
    if rounding == RTTE:
        return a + b
    return narrow(add_odd(convert(a, F64), convert(b, F64), rounding), rounding)


def rounded_fma(a: F32, b: F32, c: F32, rounding: int) -> F32:
    """a * b + c, rounded once."""
    if rounding == RTTE:
        return fused(a, b, c)
    return narrow(fma_odd(a, b, c, rounding), rounding)


def _arithmetic(suffix: str, rounding: int) -> None:
    name = "" if rounding == RTTE else f".{suffix}"
    known = LISTED if rounding == RTTE else TIX
    common: dict[str, Any] = {"fixed": {ROUNDING: rounding}, "rounding": rounding, **known}

    @insn(f"v.add.f32{name}{{ftz}}{{sat}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=0x200,
          ex="a=1.5 b=2.25 | d=3.75", **common)
    def v_add_f32(a: F32, b: F32, rounding: int) -> F32:
        """d = a + b, IEEE-754 binary32, rounded once."""
        return rounded_sum(a, b, rounding)

    @insn(f"v.sub.f32{name}{{ftz}}{{sat}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=0x201,
          ex="a=1.5 b=2.25 | d=-0.75", **{**common, **TIX})
    def v_sub_f32(a: F32, b: F32, rounding: int) -> F32:
        """d = a - b, IEEE-754 binary32, rounded once."""
        return rounded_sum(a, -b, rounding)

    @insn(f"v.mul.f32{name}{{ftz}}{{sat}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=0x202,
          ex="a=1.5 b=-2.0 | d=-3.0", **common)
    def v_mul_f32(a: F32, b: F32, rounding: int) -> F32:
        """d = a * b, IEEE-754 binary32, rounded once."""
        if rounding == RTTE:
            return a * b
        return narrow(convert(a, F64) * convert(b, F64), rounding)

    @insn(f"v.fma.f32.{suffix}{{ftz}}{{sat}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}", opcode=0x204,
          ex="a=1.5 b=2.0 c=0.25 | d=3.25", **common)
    def v_fma_f32(a: F32, b: F32, c: F32, rounding: int) -> F32:
        """d = a * b + c, rounded once."""
        return rounded_fma(a, b, c, rounding)


for _suffix, _code in ROUNDINGS.items():
    _arithmetic(_suffix, _code)



for _name, _function, _opcode in (("min", smaller, 0x206), ("max", larger, 0x208)):

    @insn(f"v.{_name}.f32{{ftz}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=_opcode,
          ex="a=nan b=2.0 | d=2.0", pick=_function, **TIX)
    def number_wins(a: F32, b: F32, pick: Callable[[F32, F32], F32]) -> F32:
        """d = the smaller (min) or larger (max) of a and b; -0 is below +0; a NaN loses against a number."""
        return pick(a, b)

    @insn(f"v.{_name}.f32.nan{{ftz}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=_opcode + 1,
          ex="a=nan b=2.0 | d=nan", pick=_function, **TIX)
    def nan_wins(a: F32, b: F32, pick: Callable[[F32, F32], F32]) -> F32:
        """d = the smaller (min) or larger (max) of a and b; -0 is below +0; NaN if either is."""
        return nan_or(pick, a, b)

    @insn(f"v.{_name}.f32.xorsign.abs{{ftz}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=_opcode + 0x12,
          ex="a=-3.0 b=2.0 | d=-2.0" if _name == "min" else "a=-3.0 b=2.0 | d=-3.0", pick=_function, **TIX)
    def xorsign_number_wins(a: F32, b: F32, pick: Callable[[F32, F32], F32]) -> F32:
        """d = the smaller (min) or larger (max) of |a| and |b|, negative if just one of a and b is.

        A NaN loses against a number.
        """
        return copy_sign(pick(absolute(a), absolute(b)), reinterpret(a, U32) ^ reinterpret(b, U32))

    @insn(f"v.{_name}.f32.nan.xorsign.abs{{ftz}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=_opcode + 0x13,
          ex="a=-3.0 b=nan | d=nan", pick=_function, **TIX)
    def xorsign_nan_wins(a: F32, b: F32, pick: Callable[[F32, F32], F32]) -> F32:
        """d = the smaller (min) or larger (max) of |a| and |b|, negative if just one of a and b is.

        NaN if either is.
        """
        return copy_sign(nan_or(pick, absolute(a), absolute(b)), reinterpret(a, U32) ^ reinterpret(b, U32))

    @insn(f"v.{_name}3.f32{{ftz}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}", opcode=_opcode + 0x0E,
          ex="a=nan b=2.0 c=2.0 | d=2.0", pick=_function, **TIX)
    def number_of_three_wins(a: F32, b: F32, c: F32, pick: Callable[[F32, F32], F32]) -> F32:
        """d = the smallest (min) or largest (max) of a, b and c; -0 is below +0; a NaN loses against a number."""
        return pick(pick(a, b), c)

    @insn(f"v.{_name}3.f32.nan{{ftz}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}", opcode=_opcode + 0x0F,
          ex="a=nan b=2.0 c=2.0 | d=nan", pick=_function, **TIX)
    def nan_of_three_wins(a: F32, b: F32, c: F32, pick: Callable[[F32, F32], F32]) -> F32:
        """d = the smallest (min) or largest (max) of a, b and c; -0 is below +0; NaN if one of them is."""
        return nan_or(pick, nan_or(pick, a, b), c)


FLOAT_RELATIONS = {
    "lt": 2, "eq": 4, "le": 6, "gt": 8, "ne": 10, "ge": 12, "num": 14,
    "nan": 1, "ltu": 3, "equ": 5, "leu": 7, "gtu": 9, "neu": 11, "geu": 13,
}
"""Ordered relations are false when a source is NaN, unordered ones (..u, v.ucmp) true; num and nan ask only that."""

for _relation, _outcomes in FLOAT_RELATIONS.items():
    compare_forms(f"{_relation}.f32", _outcomes, 8, F32, f"a=nan b=1.0 | d={-1 if _outcomes & 1 else 0}", False)


@insn("v.abs.f32 {d:vreg}, {a:vsrc}", opcode=0x20A, **TIX, ex="a=-1.5 | d=1.5", immediate=False)
def v_abs_f32(a: U32) -> U32:
    """d = a with its sign bit cleared, NaN payloads kept."""
    return a & 0x7FFFFFFF


@insn("v.neg.f32 {d:vreg}, {a:vsrc}", opcode=0x20B, **TIX, ex="a=-1.5 | d=1.5", immediate=False)
def v_neg_f32(a: U32) -> U32:
    """d = a with its sign bit flipped, NaN payloads kept."""
    return a ^ 0x80000000


@insn("v.copysign.f32 {d:vreg}, {a:vsrc}, {b:vsrc}", opcode=0x20C, **TIX,
      ex=("a=-1.0 b=2.5 | d=-2.5", "a=1.0 b=-2.5 | d=2.5"))
def v_copysign_f32(a: U32, b: U32) -> U32:
    """d = b with a's sign bit, NaN payloads kept."""
    return (a & 0x80000000) | (b & 0x7FFFFFFF)


FLOAT_CLASSES = {
    "finite": (0x00000000, 0x7F7FFFFF, "1.0"),
    "infinite": (0x7F800000, 0x7F800000, "inf"),
    "number": (0x00000000, 0x7F800000, "inf"),
    "notanumber": (0x7F800001, 0x7FFFFFFF, "nan"),
    "normal": (0x00800000, 0x7F7FFFFF, "0.0"),
    "subnormal": (0x00000001, 0x007FFFFF, "1e-40"),
}
"""What v.testp asks: the bits but for the sign lie from the first to the second number; zeros are normal, too."""

for _number, (_name, (_low, _high, _like)) in enumerate(FLOAT_CLASSES.items()):

    @insn(f"v.testp.{_name}.f32 {{d:sreg}}, {{a:vsrc}}", opcode=0x20D, fixed={SECOND_OPCODE: _number}, immediate=False,
          low=_low, high=_high, zeros=_name == "normal", ex=f"a={_like} | d=-1", **TIX)
    def v_testp_f32(a: U32, low: int, high: int, zeros: bool) -> Mask:
        """d = the lanes where a is of the class named, as a mask; lanes that are off give 0.

        finite and number are what is not infinite or NaN, and what is not NaN; zeros are normal, not subnormal.
        """
        size = a & 0x7FFFFFFF
        return ((size >= low) & (size <= high)) | ((size == 0) & zeros)
