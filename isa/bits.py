"""Counting, finding, reversing, permuting bits and bytes, and small dot products.

Opcodes: scalar 0x0e0 to 0x0ff, vector 0x2a0 to 0x2bf.
"""

from __future__ import annotations

from typing import Any

from .families import BINARY, TERNARY, UNARY, both
from .lanes import S32, U32, U64
from .numerics import (
    convert,
    count_ones,
    leading_zeros,
    reinterpret,
    reverse_bits,
    shift_left,
    shift_right,
    where,
)
from .spec import Item
from .tags import LISTED, TIX


def _defined(scalar: int, vector: int) -> dict[str, Any]:
    return {"scalar": scalar, "vector": vector, "scalar_known": TIX, "vector_known": TIX}


for _bits, _item, _n in ((32, U32, 0), (64, U64, 1)):

    @both(f"popc.b{_bits}", UNARY, **_defined(0x0E0 + _n, 0x2A0 + _n), ex=("a=0xf0f | d=8", "a=0 | d=0"), Item=_item)
    def popc(a: Item) -> U32:
        """d = how many bits of a are set."""
        return convert(count_ones(a), U32)

    @both(f"clz.b{_bits}", UNARY, **_defined(0x0E2 + _n, 0x2A2 + _n),
          ex=(f"a=1 | d={_bits - 1}", f"a=0 | d={_bits}"), Item=_item)
    def clz(a: Item) -> U32:
        """d = how many zero bits stand above the highest set bit; the width for a = 0."""
        return convert(leading_zeros(a), U32)

    @both(f"brev.b{_bits}", UNARY, **_defined(0x0E4 + _n, 0x2A4 + _n), ex=f"a=1 | d={1 << (_bits - 1):#x}", Item=_item)
    def brev(a: Item) -> Item:
        """d = a with its bits in the opposite order."""
        return reverse_bits(a)


def highest_bit(a: U32) -> U32:
    """The number of the highest set bit, 0xffffffff if there is none."""
    return 31 - leading_zeros(a)


for _name, _item, _n in (("u32", U32, 0), ("i32", S32, 1)):

    @both(f"bfind.{_name}", UNARY, **_defined(0x0E6 + _n, 0x2A6 + _n),
          ex=("a=0x10 | d=4", "a=0 | d=0xffffffff"), Item=_item)
    def bfind(a: Item) -> U32:
        """d = the number of the highest bit that differs from the sign (0 for u32); 0xffffffff if none does."""
        return highest_bit(reinterpret(where(a < 0, ~a, a), U32))

    @both(f"bfind.shiftamt.{_name}", UNARY, **_defined(0x0E8 + _n, 0x2A8 + _n),
          ex=("a=0x10 | d=27", "a=0 | d=0xffffffff"), Item=_item)
    def bfind_shiftamt(a: Item) -> U32:
        """d = how far a must be shifted left to bring that bit to the top; 0xffffffff if there is none."""
        found = highest_bit(reinterpret(where(a < 0, ~a, a), U32))
        return where(found == 0xFFFFFFFF, found, 31 - found)

    @both(f"sad.{_name}", TERNARY, **_defined(0x0F2 + _n, 0x2B2 + _n), ex="a=3 b=10 c=1 | d=8", Item=_item)
    def sad(a: Item, b: Item, c: U32) -> U32:
        """d = c + |a - b| modulo 2**32."""
        return c + reinterpret(where(a < b, b - a, a - b), U32)


@both("bmsk.clamp.b32", BINARY, **_defined(0x0EA, 0x2AA),
      ex=("a=4 b=8 | d=0xff0", "a=40 b=8 | d=0", "a=4 b=99 | d=0xfffffff0"))
def bmsk_clamp(a: U32, b: U32) -> U32:
    """d = b ones from bit a on; what passes bit 31 is cut off."""
    return shift_left(shift_left(b & 0 | 1, b) - 1, a)


@both("bmsk.wrap.b32", BINARY, **_defined(0x0EB, 0x2AB), ex=("a=4 b=8 | d=0xff0", "a=36 b=40 | d=0xff0"))
def bmsk_wrap(a: U32, b: U32) -> U32:
    """d = b ones from bit a on, both modulo 32."""
    return shift_left(shift_left(b & 0 | 1, b & 31) - 1, a & 31)


@both("shf.l.wrap.b32", TERNARY, **_defined(0x0EC, 0x2AC), ex="a=0x80000000 b=1 c=33 | d=3")
def shf_l_wrap(a: U32, b: U32, c: U32) -> U32:
    """d = the high word of b:a shifted left by c modulo 32."""
    return shift_left(b, c & 31) | shift_right(a, 32 - (c & 31))


@both("shf.l.clamp.b32", TERNARY, **_defined(0x0ED, 0x2AD), ex=("a=0x80000000 b=1 c=1 | d=3", "a=7 b=1 c=33 | d=7"))
def shf_l_clamp(a: U32, b: U32, c: U32) -> U32:
    """d = the high word of b:a shifted left by c, at most 32."""
    count = where(c > 32, c & 0 | 32, c)
    return shift_left(b, count) | shift_right(a, 32 - count)


@both("shf.r.wrap.b32", TERNARY, **_defined(0x0EE, 0x2AE), ex="a=2 b=1 c=33 | d=0x80000001")
def shf_r_wrap(a: U32, b: U32, c: U32) -> U32:
    """d = the low word of b:a shifted right by c modulo 32."""
    return shift_right(a, c & 31) | shift_left(b, 32 - (c & 31))


@both("shf.r.clamp.b32", TERNARY, **_defined(0x0EF, 0x2AF), ex=("a=2 b=1 c=1 | d=0x80000001", "a=7 b=1 c=33 | d=1"))
def shf_r_clamp(a: U32, b: U32, c: U32) -> U32:
    """d = the low word of b:a shifted right by c, at most 32."""
    count = where(c > 32, c & 0 | 32, c)
    return shift_right(a, count) | shift_left(b, 32 - count)


@both("byte.prmt.b32", TERNARY, scalar=0x0F0, vector=0x2B0, scalar_known=TIX, vector_known=LISTED,
      ex=("a=0x33221100 b=0x77665544 c=0x7531 | d=0x77553311", "a=0x80 b=0 c=0x8888 | d=0xffffffff"))
def byte_prmt(a: U32, b: U32, c: U32) -> U32:
    """d = four bytes of b:a; nibble n of c names the byte that goes to byte n of d.

    Bits 2:0 of a nibble choose one of the eight bytes (0 is the lowest of a); bit 3 set replaces the byte by its sign.
    """
    result = a & 0
    for place in range(4):
        nibble = shift_right(c, a & 0 | (4 * place))
        source = where((nibble & 4) == 0, a, b)
        byte = shift_right(source, (nibble & 3) << 3) & 0xFF
        sign = where((byte & 0x80) == 0, a & 0, a & 0 | 0xFF)
        result = result | shift_left(where((nibble & 8) == 0, byte, sign), a & 0 | (8 * place))
    return result


@both("fns.b32", TERNARY, **_defined(0x0F1, 0x2B1),
      ex=("a=0xb0 b=0 c=2 | d=5", "a=0xb0 b=31 c=-1 | d=7", "a=0xb0 b=4 c=0 | d=4", "a=0xb0 b=0 c=9 | d=0xffffffff"))
def fns(a: U32, b: U32, c: S32) -> U32:
    """d = the number of the c-th set bit of a, counted up from bit b (down for a negative c); 0xffffffff if none.

    c = 0 asks for bit b itself.
    """
    found = a & 0 | 0xFFFFFFFF
    left = where(c < 0, 0 - c, where(c == 0, c | 1, c))
    for step in range(32):
        place = where(c < 0, a & 0 | (31 - step), a & 0 | step)
        reached = where(c < 0, place <= b, where(c == 0, place == b, place >= b))
        hit = reached & ((shift_right(a, place) & 1) == 1)
        left = where(hit, left - 1, left)
        found = where(hit & (left == 0), place, found)
    return found


def item(a: U32, bits: int, number: int, signed: int) -> U32:
    """Item `number` of `bits` bits, extended to 32 by its sign or with zeros."""
    high = shift_left(a, a & 0 | (32 - bits * (number + 1)))
    if signed:
        return reinterpret(shift_right(reinterpret(high, S32), a & 0 | (32 - bits)), U32)
    return shift_right(high, a & 0 | (32 - bits))


_SIGNS = (("u32", 0), ("i32", 1))

for _a, (_left, _left_signed) in enumerate(_SIGNS):
    for _b, (_right, _right_signed) in enumerate(_SIGNS):
        _number = 2 * _a + _b

        @both(f"dp4a.{_left}.{_right}", TERNARY, **_defined(0x0F4 + _number, 0x2B4 + _number),
              ex="a=0x01020304 b=0x01010101 c=1 | d=11", left=_left_signed, right=_right_signed)
        def dp4a(a: U32, b: U32, c: U32, left: int, right: int) -> U32:
            """d = c + the sum of the four products of bytes of a and b, each read as its type says."""
            total = c
            for place in range(4):
                number = a & 0 | (8 * place)
                total = total + item(shift_right(a, number), 8, 0, left) * item(shift_right(b, number), 8, 0, right)
            return total

        for _half, _name in enumerate(("lo", "hi")):

            @both(f"dp2a.{_name}.{_left}.{_right}", TERNARY,
                  **_defined(0x0F8 + 2 * _number + _half, 0x2B8 + 2 * _number + _half),
                  ex=f"a=0x00020003 b={0x0405 << (16 * _half):#x} c=1 | d=24",
                  left=_left_signed, right=_right_signed, half=_half)
            def dp2a(a: U32, b: U32, c: U32, left: int, right: int, half: int) -> U32:
                """d = c + the two products of 16-bit halves of a with bytes of b's low (lo) or high (hi) half."""
                bytes_ = shift_right(b, b & 0 | (16 * half))
                low = item(a, 16, 0, left) * item(bytes_, 8, 0, right)
                return c + low + item(a, 16, 1, left) * item(bytes_, 8, 1, right)


