"""Integer arithmetic of the rarer kinds: saturation, high halves, 24-bit factors, carries.

Opcodes: scalar 0x08d to 0x08f and 0x095 to 0x097, vector 0x22d to 0x22f, 0x283 to 0x285 and 0x299 to 0x29c. Bits
36:34 tell instructions of one or two sources apart, bits 4:0 those of three.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .bits import byte_prmt
from .families import BINARY, TERNARY, UNARY, both
from .fields import ROUNDING, SECOND_OPCODE, Field
from .lanes import B32, F32, S32, S64, U32, U64, Lanes, Mask
from .numerics import (
    constant,
    convert,
    leading_zeros,
    mul_high,
    mul_high_i64,
    mul_high_u64,
    reinterpret,
    saturate_i32,
    shift_left,
    shift_right,
    signed_field,
    where,
)
from .spec import Item, insn
from .tags import TIX

_THIRD = Field(2, 0)
"""What tells instructions apart whose mask stands in 10:3."""


def _numbered(scalar: int, vector: int, place: Field, number: int) -> dict[str, Any]:
    return {"scalar": scalar, "vector": vector, "scalar_known": TIX, "vector_known": TIX, "fixed": {place: number}}


def _binary(number: int) -> dict[str, Any]:
    return _numbered(0x08D, 0x22D, ROUNDING, number)


def _unary(number: int) -> dict[str, Any]:
    return _numbered(0x08F, 0x22F, ROUNDING, number)


def _ternary(number: int) -> dict[str, Any]:
    return _numbered(0x096, 0x284, SECOND_OPCODE, number)


# Saturation and sign.


@both("add.i32.sat", BINARY, **_binary(0), ex=("a=0x7fffffff b=1 | d=0x7fffffff", "a=-5 b=3 | d=-2"))
def add_sat(a: S32, b: S32) -> S32:
    """d = a + b, or the nearest number that 32 bits hold."""
    return saturate_i32(convert(a, S64) + convert(b, S64))


@both("sub.i32.sat", BINARY, **_binary(1), ex=("a=0x80000000 b=1 | d=0x80000000", "a=-5 b=3 | d=-8"))
def sub_sat(a: S32, b: S32) -> S32:
    """d = a - b, or the nearest number that 32 bits hold."""
    return saturate_i32(convert(a, S64) - convert(b, S64))


@both("min.i32.relu", BINARY, **_binary(2), ex=("a=-5 b=3 | d=0", "a=5 b=3 | d=3"))
def min_relu(a: S32, b: S32) -> S32:
    """d = the smaller of a and b, 0 if that is negative."""
    least = where(a < b, a, b)
    return where(least < 0, least & 0, least)


@both("max.i32.relu", BINARY, **_binary(3), ex=("a=-5 b=-3 | d=0", "a=-5 b=3 | d=3"))
def max_relu(a: S32, b: S32) -> S32:
    """d = the larger of a and b, 0 if that is negative."""
    most = where(a > b, a, b)
    return where(most < 0, most & 0, most)


for _n, (_name, _item) in enumerate((("i32", S32), ("i64", S64))):

    @both(f"abs.{_name}", UNARY, **_unary(_n), ex=("a=-5 | d=5", "a=5 | d=5"), Item=_item)
    def absolute(a: Item) -> Item:
        """d = |a|; the lowest number, which has no positive, stays as it is."""
        return where(a < 0, -a, a)

    @both(f"neg.{_name}", UNARY, **_unary(2 + _n), ex=("a=-5 | d=5", "a=5 | d=-5"), Item=_item)
    def negative(a: Item) -> Item:
        """d = -a, wrapping."""
        return -a


for _n, (_name, _item) in enumerate((("b32", U32), ("b64", U64))):

    @both(f"cnot.{_name}", UNARY, **_unary(4 + _n), ex=("a=0 | d=1", "a=5 | d=0"), Item=_item)
    def cnot(a: Item) -> Item:
        """d = 1 if a is zero, else 0."""
        return where(a == 0, a & 0 | 1, a & 0)


# Products.

for _n, (_name, _item, _high) in enumerate((("u64", U64, mul_high_u64), ("i64", S64, mul_high_i64))):

    @both(f"mulh.{_name}", BINARY, **_binary(4 + _n), Item=_item, high=_high,
          ex="a=0x80000000 b=0x600000000 | d=3" if _item is U64 else "a=-1 b=5 | d=-1")
    def mulh_wide(a: Item, b: Item, high: Callable[[Any, Any], U64]) -> U64:
        """d = the high 64 bits of the 128-bit product a * b, in register pairs."""
        return high(a, b)

    @both(f"madh.{_name}", TERNARY, **_ternary(3 + _n), Item=_item, high=_high,
          ex="a=0x80000000 b=0x600000000 c=4 | d=7" if _item is U64 else "a=-1 b=5 c=4 | d=3")
    def madh_wide(a: Item, b: Item, c: U64, high: Callable[[Any, Any], U64]) -> U64:
        """d = the high 64 bits of the 128-bit product a * b, plus c modulo 2**64; register pairs."""
        return high(a, b) + c


@both("madl.i64", TERNARY, **_ternary(0), ex="a=0x100000001 b=3 c=4 | d=0x300000007")
def madl_i64(a: U64, b: U64, c: U64) -> U64:
    """d = the low 64 bits of a * b + c; register pairs."""
    return a * b + c


for _n, (_name, _item, _wide) in enumerate((("u32", U32, U64), ("i32", S32, S64))):

    @both(f"madh.{_name}", TERNARY, **_ternary(1 + _n), Item=_item, wide=_wide,
          ex="a=0x80000000 b=4 c=5 | d=7" if _item is U32 else "a=-1 b=1 c=5 | d=4")
    def madh(a: Item, b: Item, c: U32, wide: type[Any]) -> U32:
        """d = the high 32 bits of the 64-bit product a * b, plus c modulo 2**32."""
        return mul_high(a, b, wide) + c


@both("madh.i32.sat", TERNARY, **_ternary(5), ex="a=0x40000000 b=16 c=0x7fffffff | d=0x7fffffff")
def madh_sat(a: S32, b: S32, c: S32) -> S32:
    """d = the high 32 bits of the 64-bit product a * b, plus c, or the nearest number that 32 bits hold."""
    return saturate_i32(((convert(a, S64) * convert(b, S64)) >> 32) + convert(c, S64))


def low_24(a: Lanes, item: type[Any], wide: type[Any]) -> Any:
    """The low 24 bits, extended to 64 bits by the sign of the kind."""
    return convert(shift_right(shift_left(reinterpret(a, item), constant(8, U32)), constant(8, U32)), wide)


for _n, (_name, _item, _wide) in enumerate((("u32", U32, U64), ("i32", S32, S64))):
    for _half, _shift, _result in (("l", 0, "10"), ("h", 16, "0")):
        _number = 2 * _n + (_shift > 0)

        @both(f"mul24{_half}.{_name}", BINARY, **_numbered(0x08E, 0x22E, ROUNDING, _number), kind=_item, wide=_wide,
              shift=_shift, ex=f"a=0x01000005 b=2 | d={_result}")
        def mul24(a: U32, b: U32, kind: type[Any], wide: type[Any], shift: int) -> U32:
            """d = bits 31:0 (mul24l) or 47:16 (mul24h) of the product of the low 24 bits of a and of b."""
            return convert((low_24(a, kind, wide) * low_24(b, kind, wide)) >> shift, U32)

        @both(f"mad24{_half}.{_name}", TERNARY, **_ternary(6 + _number), kind=_item, wide=_wide, shift=_shift,
              ex=f"a=0x01000005 b=2 c=1 | d={int(_result) + 1}")
        def mad24(a: U32, b: U32, c: U32, kind: type[Any], wide: type[Any], shift: int) -> U32:
            """d = c + bits 31:0 (mad24l) or 47:16 (mad24h) of the product of the low 24 bits of a and of b."""
            return convert((low_24(a, kind, wide) * low_24(b, kind, wide)) >> shift, U32) + c


@both("mad24h.i32.sat", TERNARY, **_ternary(10), ex="a=0x10000 b=0x10000 c=0x7fffffff | d=0x7fffffff")
def mad24_sat(a: S32, b: S32, c: S32) -> S32:
    """d = c + bits 47:16 of the product of the low 24 bits of a and of b, or the nearest number that 32 bits hold."""
    product = (low_24(a, S32, S64) * low_24(b, S32, S64)) >> 16
    return saturate_i32(product + convert(c, S64))


# Bits.

for _n, (_name, _item) in enumerate((("u64", U64), ("i64", S64))):

    @both(f"bfind.{_name}", UNARY, **_unary(6 + _n), Item=_item, ex=("a=0x1000000000 | d=36", "a=0 | d=0xffffffff"))
    def bfind64(a: Item) -> U32:
        """d = the number of the highest bit that differs from the sign (0 for u64); 0xffffffff if none does."""
        return 63 - convert(leading_zeros(reinterpret(where(a < 0, ~a, a), U64)), U32)

    @both(f"bfind.shiftamt.{_name}", UNARY, **_numbered(0x097, 0x285, ROUNDING, _n), Item=_item,
          ex=("a=0x1000000000 | d=27", "a=0 | d=0xffffffff"))
    def bfind_shiftamt64(a: Item) -> U32:
        """d = how far a must be shifted left to bring that bit to the top; 0xffffffff if there is none."""
        zeros = convert(leading_zeros(reinterpret(where(a < 0, ~a, a), U64)), U32)
        return where(zeros == 64, ~(zeros & 0), zeros)

    @both(f"sad.{_name}", TERNARY, **_ternary(11 + _n), ex="a=3 b=10 c=1 | d=8", Item=_item)
    def sad64(a: Item, b: Item, c: U64) -> U64:
        """d = c + |a - b| modulo 2**64; register pairs."""
        return c + reinterpret(where(a < b, b - a, a - b), U64)


for _number, (_mode, _name, _item) in enumerate(
    (mode, name, item) for mode in ("clamp", "wrap") for name, item in (("u32", U32), ("i32", S32))
):

    @both(f"szext.{_mode}.{_name}", BINARY, **_numbered(0x095, 0x283, ROUNDING, _number), clamp=_mode == "clamp",
          signed=_item is S32, ex=(f"a=0xf5 b=6 | d={-11 if _item is S32 else 0x35}", "a=0xf5 b=0 | d=0",
                                   f"a=0xf5 b=32 | d={0xf5 if _mode == 'clamp' else 0}"))
    def szext(a: U32, b: U32, clamp: bool, signed: bool) -> U32:
        """d = the low b bits of a, extended by their highest bit (i32) or with zeros (u32); 0 for b = 0.

        b = 32 and more: a itself with clamp; with wrap b counts modulo 32.
        """
        count = b & 31
        above = shift_left(~(b & 0), count)
        if clamp:
            above = where(b > 31, b & 0, above)
        negative = (shift_right(a, (count - 1) & 31) & 1) == 1
        if signed:
            return (a & ~above) | where(negative & (count != 0), above, above & 0)
        return a & ~above


def ones_u64(length: U32) -> U64:
    """As many low ones as the low 8 bits of the length say."""
    return shift_left(convert(length & 0 | 1, U64), length & 0xFF) - 1


@both("bfe.u64", TERNARY, **_ternary(13), ex=("a=0x123456789abcdef0 b=32 c=12 | d=0x678", "a=5 b=64 c=8 | d=0"))
def bfe_u64(a: U64, b: U32, c: U32) -> U64:
    """d = the c bits of a from bit b on, zero-extended; b and c count by their low 8 bits, bits past 63 read as 0."""
    return shift_right(a, b & 0xFF) & ones_u64(c)


@both("bfe.i64", TERNARY, **_ternary(14), ex=("a=0xf00000000 b=32 c=4 | d=-1", "a=0xf00000000 b=32 c=0 | d=0"))
def bfe_i64(a: S64, b: U32, c: U32) -> S64:
    """d = the c bits of a from bit b on, sign-extended; c = 0 gives 0.

    b and c count by their low 8 bits, bits past 63 read as a's sign.
    """
    return signed_field(a, b, c, 64)


@both("bfi.b64", TERNARY, **_ternary(15), ex="a=0xab b=0x1122334455667788 c=0x0820 | d=0x112233ab55667788")
def bfi_b64(a: U64, b: U64, c: U32) -> U64:
    """d = b with its bits from position c & 0xff on, (c >> 8) & 0xff of them, replaced by the low bits of a."""
    field = shift_left(ones_u64(c >> 8), c & 0xFF)
    return (b & ~field) | (shift_left(a, c & 0xFF) & field)


for _n, (_bits, _item) in enumerate(((32, B32), (64, U64))):

    @both(f"slct.b{_bits}.i32", TERNARY, **_ternary(16 + _n), ex=("a=1 b=2 c=0 | d=1", "a=1 b=2 c=-1 | d=2"),
          Item=_item)
    def slct(a: Item, b: Item, c: S32) -> Item:
        """d = a where c is not negative, else b."""
        return where(c >= 0, a, b)

    @insn(f"v.slct.b{_bits}.f32{{ftz}} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}", opcode=0x284, **TIX,
          fixed={SECOND_OPCODE: 18 + _n}, ex=("a=1 b=2 c=-0.0 | d=1", "a=1 b=2 c=nan | d=2"),
          Item=_item)
    def slct_f32(a: Item, b: Item, c: F32) -> Item:
        """d = a where c is zero of either sign or above, else b, also for a NaN."""
        return where(c >= 0.0, a, b)


_SELECTORS = {
    "f4e": (0x3210, 0x4321, 0x5432, 0x6543),
    "b4e": (0x5670, 0x6701, 0x7012, 0x0123),
    "rc8": (0x0000, 0x1111, 0x2222, 0x3333),
    "ecl": (0x3210, 0x3211, 0x3222, 0x3333),
    "ecr": (0x0000, 0x1110, 0x2210, 0x3210),
    "rc16": (0x1010, 0x3232, 0x1010, 0x3232),
}
"""The selectors of v.byte.prmt.b32 that the modes stand for, by the low two bits of c (published)."""

for _number, (_mode, _selectors) in enumerate(_SELECTORS.items()):

    @both(f"byte.prmt.{_mode}.b32", TERNARY, **_ternary(20 + _number),
          table=sum(selector << 16 * n for n, selector in enumerate(_selectors)),
          ex=f"a=0x33221100 b=0x77665544 c=1 | d=0x{''.join(2 * digit for digit in f'{_selectors[1]:04x}')}")
    def byte_prmt_mode(a: U32, b: U32, c: U32, table: int) -> U32:
        """d = four bytes of b:a in an order named by the mode and the low two bits of c.

        f4e: bytes c to c + 3. b4e: bytes c, c - 1, c - 2, c - 3 modulo 8. rc8: byte c four times. rc16: half c & 1
        twice. ecl: byte n of d is byte n of a, at least byte c; ecr: at most byte c.
        """
        selector = convert(shift_right(constant(table, U64), (c & 3) << 4), U32) & 0xFFFF
        return byte_prmt(a, b, selector)


# Carries of products and of differences, one bit a lane in a mask register.


@insn("v.sub.ci.co.u32 {d:vreg}, {c:sreg!@s2}, {a:vsrc}, {b:vsrc}", opcode=0x299, **TIX,
      immediate=False, ex=("a=0 b=0 c=0xffffffff | d=0xffffffff c=0xffffffff",))
def v_sub_ci_co(c: Mask, a: U32, b: U32) -> tuple[U32, Mask]:
    """d = a - b - the lane's bit of c, modulo 2**32; c = the lanes that borrowed. For differences of many words."""
    total = a - b
    less_in = total - where(c, a & 0 | 1, a & 0)
    return less_in, (a < b) | (less_in > total)


def low_product(a: U32, b: U32) -> U32:
    """The low half of the product."""
    return a * b


def high_product_u32(a: U32, b: U32) -> U32:
    """The high half of the product of unsigned numbers."""
    return mul_high(a, b, U64)


def high_product_i32(a: U32, b: U32) -> U32:
    """The high half of the product of signed numbers."""
    return mul_high(reinterpret(a, S32), reinterpret(b, S32), S64)


for _number, (_name, _of, _example) in enumerate((
    ("madl", low_product, "a=0xffffffff b=1 c=1 {} | d=0"),
    ("madh", high_product_u32, "a=0x80000000 b=4 c=0xfffffffe {} | d=0"),
    ("madh", high_product_i32, "a=-1 b=1 c=1 {} | d=0"),
)):
    _type = "i32" if _of is high_product_i32 else "u32"
    _known: dict[str, Any] = {**TIX, "fixed": {_THIRD: _number}, "product": _of}

    @insn(f"v.{_name}.co.{_type} {{d:vreg}}, {{co:sreg@10:3}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}", opcode=0x29A,
          ex=f"{_example.format('')} co=0xffffffff", **_known)
    def mad_co(a: U32, b: U32, c: U32, product: Callable[[Any, Any], U32]) -> tuple[U32, Mask]:
        """d = c + the low (madl) or high (madh) half of a * b, modulo 2**32; co = the lanes that carried."""
        half = product(a, b)
        return half + c, half + c < half

    @insn(f"v.{_name}.ci.{_type} {{d:vreg}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}, {{ci:sreg@10:3}}", opcode=0x29B,
          ex=f"{_example.format('ci=0xffffffff')[:-1]}1", **_known)
    def mad_ci(a: U32, b: U32, c: U32, ci: Mask, product: Callable[[Any, Any], U32]) -> U32:
        """d = c + the low (madl) or high (madh) half of a * b + the lane's bit of ci, modulo 2**32."""
        return product(a, b) + c + where(ci, a & 0 | 1, a & 0)

    @insn(f"v.{_name}.ci.co.{_type} {{d:vreg}}, {{carry:sreg!@10:3}}, {{a:vsrc}}, {{b:vsrc}}, {{c:vsrc}}",
          opcode=0x29C, ex=f"{_example.format('carry=0xffffffff')[:-1]}1 carry=0xffffffff", **_known)
    def mad_ci_co(carry: Mask, a: U32, b: U32, c: U32, product: Callable[[Any, Any], U32]) -> tuple[U32, Mask]:
        """d = c + the low (madl) or high (madh) half of a * b + the lane's bit of carry, modulo 2**32.

        carry = the lanes that carried. For products of many words.
        """
        half = product(a, b)
        total = half + c + where(carry, a & 0 | 1, a & 0)
        return total, (half + c < half) | (total < half + c)
