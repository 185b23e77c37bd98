"""Arithmetic on two 16-bit numbers in a register, each half for itself: f16x2, bf16x2, i16x2, u16x2.

Opcodes: floats 0x234 to 0x251, integers 0x2c8 to 0x2d9, compares to masks 0x2e9 to 0x2ec. Sums and products of
floats are computed in binary32: its 24 bits are at least 2 * 11 + 2, so rounding twice gives what rounding once does.
The sum of fma is rounded to odd in between (docs/numerics.md). All round to nearest even. In bodies x, y and z are the
low halves in binary32, and p, q and r the high ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import formats
from .fields import SECOND_OPCODE
from .floating import FLOAT_RELATIONS
from .formats import Format
from .integer import INTEGER_RELATIONS
from .lanes import F32, S32, U32, BF16x2, F16x2, Mask, S16x2, U16x2
from .numerics import RTTE, compare, convert, fma_odd, reinterpret, where
from .rounding import add_odd_f32, extend, narrow_f16, narrow_to, to_odd, widen_f16, widen_from
from .spec import Item, insn
from .tags import LISTED, TIX, defined

SLOT = defined("slot of v.add.f16x2")


def floats(packed: Any, format: Format) -> tuple[F32, F32]:
    """The low and the high halves in binary32, exactly."""
    bits = reinterpret(packed, U32)
    if format.exponent == 5:
        return widen_f16(bits & 0xFFFF, format), widen_f16(bits >> 16, format)
    return widen_from(bits, format), widen_from(bits >> 16, format)


def halves(low: F32, high: F32, format: Format) -> Any:
    """Two numbers a lane, exact or rounded to odd, rounded to halves."""
    if format.exponent == 5:
        return reinterpret(narrow_f16(low, format) | (narrow_f16(high, format) << 16), U16x2)
    return reinterpret(narrow_to(low, format, RTTE) | (narrow_to(high, format, RTTE) << 16), U16x2)


def product_sum(x: F32, y: F32, z: F32, format: Format) -> F32:
    """x * y + z rounded to odd: products of binary16 are exact in binary32, others in binary64."""
    return add_odd_f32(x * y, z) if format.exponent == 5 else to_odd(fma_odd(x, y, z, RTTE))


# Floats.


def is_nan(packed: Any, format: Format) -> Mask:
    """Which halves are NaNs."""
    return (packed & (format.sign - 1)) > format.top


def rank(packed: Any, format: Format) -> Any:
    """Halves as unsigned integers in the order of the numbers, -0 below +0."""
    return where((packed & format.sign) != 0, ~packed, packed | format.sign)


def smaller(a: Any, b: Any, format: Format) -> Any:
    """The smaller numbers; -0 is below +0."""
    return where(rank(a, format) < rank(b, format), a, b)


def larger(a: Any, b: Any, format: Format) -> Any:
    """The larger numbers; +0 is above -0."""
    return where(rank(a, format) < rank(b, format), b, a)


_BINARY = "{d:vreg}, {a:vsrc}, {b:vsrc}"


def _arithmetic(name: str, item: type[Any], first: int) -> None:
    format = item.format
    one, two = format.one, format.one + (1 << format.low)
    known = LISTED if name == "f16x2" else TIX
    common: dict[str, Any] = {"Item": item, "format": format}
    sat = "{ftz}{sat}" if item.flushes else ""

    @insn(f"v.add.{name}{sat} {_BINARY}", opcode=first, **common, **known,
          ex=f"a={one:#x} b={one << 16 | one:#x} | d={one << 16 | two:#x}")
    def add(a: Item, b: Item, format: Format) -> Item:
        """d = a + b in each half, rounded once."""
        (x, p), (y, q) = floats(a, format), floats(b, format)
        return halves(x + y, p + q, format)

    @insn(f"v.sub.{name}{sat} {_BINARY}", opcode=first + 1, **common, **TIX,
          ex=f"a={two << 16 | one:#x} b={one:#x} | d={two << 16:#x}")
    def sub(a: Item, b: Item, format: Format) -> Item:
        """d = a - b in each half, rounded once."""
        (x, p), (y, q) = floats(a, format), floats(b, format)
        return halves(x - y, p - q, format)

    @insn(f"v.mul.{name}{sat} {_BINARY}", opcode=first + 2, ex=f"a={two << 16 | one:#x} b={two << 16 | two:#x} | "
          f"d={two + (1 << format.low) << 16 | two:#x}", **common, **known)
    def mul(a: Item, b: Item, format: Format) -> Item:
        """d = a * b in each half, rounded once."""
        (x, p), (y, q) = floats(a, format), floats(b, format)
        return halves(x * y, p * q, format)

    @insn(f"v.fma.{name}{sat}{{relu}} {_BINARY}, {{c:vsrc}}", opcode=first + 3, **common, **known,
          ex=f"a={two << 16 | one:#x} b={one << 16 | one:#x} c={one:#x} | d={two << 16 | two:#x}")
    def fma(a: Item, b: Item, c: Item, format: Format) -> Item:
        """d = a * b + c in each half, rounded once; with .relu negative results are +0."""
        (x, p), (y, q), (z, r) = floats(a, format), floats(b, format), floats(c, format)
        return halves(product_sum(x, y, z, format), product_sum(p, q, r, format), format)


def _min_max(name: str, item: type[Any], first: int) -> None:
    format = item.format
    one, two = format.one, format.one + (1 << format.low)
    ftz = "{ftz}" if item.flushes else ""

    for number, (operation, pick) in enumerate((("min", smaller), ("max", larger))):
        for kind, (nan, xorsign) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
            variant = (".nan" if nan else "") + (".xorsign.abs" if xorsign else "")
            less, more = (one, two) if operation == "min" else (two, one)

            @insn(f"v.{operation}.{name}{variant}{ftz} {_BINARY}", opcode=first + 4 * number + kind, pick=pick,
                  nan=nan, xorsign=xorsign, ex=f"a={less << 16 | more:#x} b={more << 16 | less:#x} | "
                  f"d={less << 16 | less:#x}", Item=item, format=format, **TIX)
            def pick_one(
                a: Item, b: Item, format: Format, pick: Callable[..., Any], nan: int, xorsign: int
            ) -> Item:
                """d = the smaller (min) or larger (max) of a and b in each half; -0 is below +0.

                A NaN loses against a number; with .nan it wins. With .xorsign.abs of |a| and |b|, and the sign of a
                times b, unless it is a NaN.
                """
                magnitudes = format.sign - 1 if xorsign else 2 * format.sign - 1
                x, y = a & magnitudes, b & magnitudes
                number = where(is_nan(y, format), x, where(is_nan(x, format), y, pick(x, y, format)))
                if nan:
                    number = where(is_nan(x, format), x, where(is_nan(y, format), y, number))
                if xorsign:
                    number = number | ((a ^ b) & format.sign)
                return number


def _signs(name: str, first: int) -> None:
    @insn(f"v.abs.{name} {{d:vreg}}, {{a:vsrc}}", opcode=first, immediate=False, ex="a=0xbc007fff | d=0x3c007fff",
          **TIX)
    def absolute(a: U32) -> U32:
        """d = a with both sign bits cleared, NaN payloads kept."""
        return a & 0x7FFF7FFF

    @insn(f"v.neg.{name} {{d:vreg}}, {{a:vsrc}}", opcode=first + 1, immediate=False, ex="a=0xbc007fff | d=0x3c00ffff",
          **TIX)
    def negate(a: U32) -> U32:
        """d = a with both sign bits flipped, NaN payloads kept."""
        return a ^ 0x80008000


for _name, _item, _first in (("f16x2", F16x2, 0x234), ("bf16x2", BF16x2, 0x242)):
    _arithmetic(_name, _item, _first)
    _min_max(_name, _item, _first + 4)
    _signs(_name, _first + 12)


# Compares: to two masks, one of the low halves and one of the high ones, or to halves that are all ones or zero.

_MASKS = "{p:sreg}, {q:sreg@s2}, {a:vsrc}, {b:vsrc}"
_HALVES = "{d:vreg}, {a:vsrc}, {b:vsrc}"

for _number, (_name, _item) in enumerate((("f16x2", F16x2), ("bf16x2", BF16x2))):
    for _relation, _outcomes in FLOAT_RELATIONS.items():
        _common: dict[str, Any] = {"fixed": {SECOND_OPCODE: _outcomes}, "relation": _outcomes, "Item": _item,
                                   "format": _item.format, "immediate": False, **TIX}
        _values = f"a={formats.F16.one << 16 | 0x7FFF:#x} b={formats.F16.one << 16:#x}"
        _low, _high = _outcomes & 1 and 0xFFFFFFFF, _outcomes & 4 and 0xFFFFFFFF
        _ftz = "{ftz}" if _item.flushes else ""
        _also = [f"v.ucmp.{_relation[:-1]}."] if _relation.endswith("u") else []  # as v.ucmp.lt.f32 is listed

        @insn(f"v.cmp.{_relation}.{_name}{_ftz} {_MASKS}", opcode=0x2E9 + _number,
              also=tuple(begin + _name for begin in _also), ex=f"{_values} | p={_low:#x} q={_high:#x}", **_common)
        def cmp_masks(a: Item, b: Item, format: Format, relation: int) -> tuple[Mask, Mask]:
            """p = the lanes where the relation holds in the low half, q = those where it does in the high one.

            With a NaN, lt to ge are false and ltu to geu true; num and nan ask only whether there is one.
            """
            (x, p), (y, q) = floats(a, format), floats(b, format)
            return compare(x, y, relation), compare(p, q, relation)

        @insn(f"v.cmp.{_relation}.b16x2.{_name}{_ftz} {_HALVES}", opcode=0x250 + _number,
              also=tuple(f"{begin}b16x2.{_name}" for begin in _also),
              ex=f"{_values} | d={_high << 16 & 0xFFFF0000 | _low & 0xFFFF:#x}", **_common)
        def cmp_halves(a: Item, b: Item, format: Format, relation: int) -> U16x2:
            """d = 0xffff in each half where the relation holds, else 0; relations as in the compare to masks."""
            (x, p), (y, q) = floats(a, format), floats(b, format)
            bits = reinterpret(a, U32)
            low = where(compare(x, y, relation), bits & 0 | 0xFFFF, bits & 0)
            return reinterpret(where(compare(p, q, relation), low | 0xFFFF0000, low), U16x2)


for _number, (_name, _item, _signed) in enumerate((("u16x2", U16x2, 0), ("i16x2", S16x2, 1))):
    for _relation, _outcomes in INTEGER_RELATIONS.items():
        _integers: dict[str, Any] = {"fixed": {SECOND_OPCODE: _outcomes}, "relation": _outcomes, "immediate": False,
                                     **TIX}
        _equal, _values = _outcomes & 4 and 0xFFFFFFFF, "a=0x30003 b=0x30003"

        @insn(f"v.cmp.{_relation}.{_name} {_MASKS}", opcode=0x2EB + _number, signed=_signed,
              ex=f"{_values} | p={_equal:#x} q={_equal:#x}", **_integers)
        def cmp_integers(a: U32, b: U32, relation: int, signed: int) -> tuple[Mask, Mask]:
            """p = the lanes where the relation holds in the low half, q = those where it does in the high one."""
            low = compare(extend(a, 16, signed), extend(b, 16, signed), relation)
            return low, compare(extend(a >> 16, 16, signed), extend(b >> 16, 16, signed), relation)

        @insn(f"v.cmp.{_relation}.b16x2.{_name} {_HALVES}", opcode=0x2D8 + _number, Item=_item,
              ex=f"{_values} | d={_equal:#x}", **_integers)
        def cmp_integer_halves(a: Item, b: Item, relation: int) -> Item:
            """d = 0xffff in each half where the relation holds, else 0."""
            return where(compare(a, b, relation), ~(a & 0), a & 0)


@insn("v.csel.b16x2 {d:vreg}, {a:vreg?}, {b:vreg?}, {p:sreg?}, {q:sreg@13:6}", opcode=0x2D7, **SLOT,
      ex=("a=0x10002 b=0x30004 p=0 q=0xffffffff | d=0x10004", "a=0x10002 b=0x30004 p=0xffffffff q=0 | d=0x30002"))
def csel_halves(a: U32, b: U32, p: Mask, q: Mask) -> U32:
    """d = in the low half a where the lane's bit of p is set, else b; in the high half the same by q."""
    return where(p, a, b) & 0xFFFF | where(q, a, b) & 0xFFFF0000


# Integers. Results that wrap do not depend on the sign.


def clamped(x: S32, low: int, high: int, kind: type[Any]) -> Any:
    """x, or the nearest end of the range, as a half."""
    raised = where(x < low, x & 0 | low, x)
    return convert(where(raised > high, x & 0 | high, raised), kind)


@insn(f"v.add.i16x2 {_BINARY}", opcode=0x2C8, **TIX, ex="a=0xffff7fff b=0x00010001 | d=0x00008000")
def add_i16x2(a: U16x2, b: U16x2) -> U16x2:
    """d = a + b modulo 2**16 in each half."""
    return a + b


@insn(f"v.sub.i16x2 {_BINARY}", opcode=0x2C9, **SLOT, ex="a=0x00000005 b=0x00010003 | d=0xffff0002")
def sub_i16x2(a: U16x2, b: U16x2) -> U16x2:
    """d = a - b modulo 2**16 in each half."""
    return a - b


@insn(f"v.mull.i16x2 {_BINARY}", opcode=0x2CA, **SLOT, ex="a=0x01000005 b=0x01010003 | d=0x0100000f")
def mull_i16x2(a: U16x2, b: U16x2) -> U16x2:
    """d = the low 16 bits of a * b in each half."""
    return a * b


@insn("v.madl.i16x2 {d:vreg}, {a:vsrc}, {b:vsrc}, {c:vsrc}", opcode=0x2CB, **SLOT,
      ex="a=0x01000005 b=0x01010003 c=0x00010001 | d=0x01010010")
def madl_i16x2(a: U16x2, b: U16x2, c: U16x2) -> U16x2:
    """d = the low 16 bits of a * b + c in each half."""
    return a * b + c


@insn("v.abs.i16x2 {d:vreg}, {a:vsrc}", opcode=0x2CC, **SLOT, ex="a=0x8000fffb | d=0x80000005", immediate=False)
def abs_i16x2(a: S16x2) -> S16x2:
    """d = |a| modulo 2**16 in each half: of the lowest number itself."""
    return where(a < 0, 0 - a, a)


for _number, (_name, _item, _low, _high) in enumerate((("u16x2", U16x2, 0, 0xFFFF), ("i16x2", S16x2, -0x8000, 0x7FFF))):
    _halves: dict[str, Any] = {"Item": _item, **TIX}
    _ends: dict[str, Any] = {"Item": _item, "kind": _item, "low": _low, "high": _high, **SLOT}

    @insn(f"v.add.{_name}.sat {_BINARY}", opcode=0x2CD + _number, **_ends, ex=f"a={_high:#x} b=0x20001 | "
          f"d={0x20000 | _high:#x}")
    def add_sat(a: Item, b: Item, low: int, high: int, kind: type[Any]) -> Item:
        """d = a + b in each half, at the nearest end if out of range."""
        return clamped(convert(a, S32) + convert(b, S32), low, high, kind)

    @insn(f"v.sub.{_name}.sat {_BINARY}", opcode=0x2CF + _number, **_ends,
          ex=f"a={0x20000 | _low & 0xFFFF:#x} b=0x10001 | d={0x10000 | _low & 0xFFFF:#x}")
    def sub_sat(a: Item, b: Item, low: int, high: int, kind: type[Any]) -> Item:
        """d = a - b in each half, at the nearest end if out of range."""
        return clamped(convert(a, S32) - convert(b, S32), low, high, kind)

    @insn(f"v.min.{_name} {_BINARY}", opcode=0x2D1 + _number, **_halves,
          ex=f"a=0xffff0002 b=0x00010003 | d={0x10002 if _low == 0 else 0xFFFF0002:#x}")
    def minimum(a: Item, b: Item) -> Item:
        """d = the smaller of a and b in each half."""
        return where(a < b, a, b)

    @insn(f"v.max.{_name} {_BINARY}", opcode=0x2D3 + _number, **_halves,
          ex=f"a=0xffff0002 b=0x00010003 | d={0xFFFF0003 if _low == 0 else 0x10003:#x}")
    def maximum(a: Item, b: Item) -> Item:
        """d = the larger of a and b in each half."""
        return where(a > b, a, b)


for _number, _name in enumerate(("min", "max")):

    @insn(f"v.{_name}.i16x2.relu {_BINARY}", opcode=0x2D5 + _number, **TIX, larger=_number,
          ex=f"a=0xffff0002 b=0xfffe0003 | d={2 + _number}")
    def pick_relu(a: S16x2, b: S16x2, larger: int) -> S16x2:
        """d = the smaller (min) or larger (max) of a and b in each half, or 0 if that is negative."""
        number = where(a > b, a, b) if larger else where(a < b, a, b)
        return where(number < 0, a & 0, number)
