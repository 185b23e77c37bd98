"""Float arithmetic in binary32: add, subtract, multiply, fused multiply-add, min, max, compare.

Every result NaN is the canonical one. `.ftz` flushes subnormal sources and results, `.sat` clamps the
result to [0, 1]; `!x` and `|x|` change a source's sign bit alone. Without a rounding suffix v.add, v.sub and
v.mul round to nearest even; v.fma always names its rounding (published forms).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .integer import compare_forms
from .lanes import F32, F64, U32
from .numerics import (
    ROUNDINGS,
    RTTE,
    add_odd,
    convert,
    fma_odd,
    fused,
    is_nan,
    larger,
    narrow,
    smaller,
    where,
)
from .operands import ROUNDING
from .spec import insn


def _known(published: bool) -> dict[str, Any]:
    return {"tag": "published", "source": "listings"} if published else {"tag": "defined", "source": "semantics TIX"}


def _arithmetic(suffix: str, rounding: int) -> None:
    name = "" if rounding == RTTE else f".{suffix}"
    common: dict[str, Any] = {"fixed": {ROUNDING: rounding}, "rounding": rounding, **_known(rounding == RTTE)}

    @insn(f"v.add.f32{name}{{ftz}}{{sat}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=0x200,
          ex="a=1.5 b=2.25 | d=3.75", **common)
    def v_add_f32(a: F32, b: F32, rounding: int) -> F32:
        """d = a + b, IEEE-754 binary32, rounded once."""
        if rounding == 0:
            return a + b
        return narrow(add_odd(convert(a, F64), convert(b, F64), rounding), rounding)

    @insn(f"v.sub.f32{name}{{ftz}}{{sat}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=0x201,
          ex="a=1.5 b=2.25 | d=-0.75", **{**common, **_known(False)})
    def v_sub_f32(a: F32, b: F32, rounding: int) -> F32:
        """d = a - b, IEEE-754 binary32, rounded once."""
        if rounding == 0:
            return a - b
        return narrow(add_odd(convert(a, F64), convert(-b, F64), rounding), rounding)

    @insn(f"v.mul.f32{name}{{ftz}}{{sat}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=0x202,
          ex="a=1.5 b=-2.0 | d=-3.0", **common)
    def v_mul_f32(a: F32, b: F32, rounding: int) -> F32:
        """d = a * b, IEEE-754 binary32, rounded once."""
        if rounding == 0:
            return a * b
        return narrow(convert(a, F64) * convert(b, F64), rounding)

    @insn(f"v.fma.f32.{suffix}{{ftz}}{{sat}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}", opcode=0x204,
          ex="a=1.5 b=2.0 c=0.25 | d=3.25", **common)
    def v_fma_f32(a: F32, b: F32, c: F32, rounding: int) -> F32:
        """d = a * b + c, rounded once."""
        if rounding == 0:
            return fused(a, b, c)
        return narrow(fma_odd(a, b, c, rounding), rounding)


for _suffix, _code in ROUNDINGS.items():
    _arithmetic(_suffix, _code)


for _name, _function, _opcode in (("min", smaller, 0x206), ("max", larger, 0x208)):

    @insn(f"v.{_name}.f32{{ftz}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=_opcode,
          ex="a=nan b=2.0 | d=2.0", pick=_function, **_known(False))
    def number_wins(a: F32, b: F32, pick: Callable[[F32, F32], F32]) -> F32:
        """d = the smaller (min) or larger (max) of a and b; -0 is below +0; a NaN loses against a number."""
        return pick(a, b)

    @insn(f"v.{_name}.f32.nan{{ftz}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}", opcode=_opcode + 1,
          ex="a=nan b=2.0 | d=nan", pick=_function, **_known(False))
    def nan_wins(a: F32, b: F32, pick: Callable[[F32, F32], F32]) -> F32:
        """d = the smaller (min) or larger (max) of a and b; -0 is below +0; NaN if either is."""
        return where(is_nan(a), a, where(is_nan(b), b, pick(a, b)))


FLOAT_RELATIONS = {
    "lt": 2, "eq": 4, "le": 6, "gt": 8, "ne": 10, "ge": 12, "num": 14,
    "nan": 1, "ltu": 3, "equ": 5, "leu": 7, "gtu": 9, "neu": 11, "geu": 13,
}
"""Ordered relations are false when a source is NaN, unordered ones (..u) true; num and nan ask only that."""

for _relation, _outcomes in FLOAT_RELATIONS.items():
    compare_forms(f"{_relation}.f32", _outcomes, 8, F32, f"a=nan b=1.0 | d={-1 if _outcomes & 1 else 0}", False)


@insn("v.abs.f32 {d:vreg}, {a:vsrc}", opcode=0x20A, **_known(False), ex="a=-1.5 | d=1.5", immediate=False)
def v_abs_f32(a: U32) -> U32:
    """d = a with its sign bit cleared, NaN payloads kept."""
    return a & 0x7FFFFFFF


@insn("v.neg.f32 {d:vreg}, {a:vsrc}", opcode=0x20B, **_known(False), ex="a=-1.5 | d=1.5", immediate=False)
def v_neg_f32(a: U32) -> U32:
    """d = a with its sign bit flipped, NaN payloads kept."""
    return a ^ 0x80000000
