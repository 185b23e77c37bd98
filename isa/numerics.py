"""The vocabulary bodies are written in: primitives with a numpy meaning, and what is built from them.

The first part holds the primitives; the compiled core gives each a second meaning over LLVM vectors. The
second part is plain code over the primitives and operators, the same on both machines. Directed rounding
computes in binary64 rounded to odd and narrows once (docs/numerics.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from .formats import Format
from .lanes import F32, F64, LANES, S32, S64, U32, U64, Lanes, Mask, Table

T = TypeVar("T", bound=Lanes)
L = TypeVar("L", bound=Lanes)

RTTE, RTZ, RTN, RTP, RTTA = range(5)
"""Rounding codes of the word: to nearest even, to zero, down, up, to nearest with ties away."""
ROUNDINGS = {"rtte": RTTE, "rtz": RTZ, "rtn": RTN, "rtp": RTP, "rtta": RTTA}

_np: Any = np
"""numpy for lane values, which are arrays though their types do not say so."""


# Primitives.


def where(condition: Mask, a: T, b: T) -> T:
    """`a` in the lanes where `condition` holds, else `b`."""
    return _np.where(condition, a, b)


def convert(a: Lanes, kind: type[L]) -> L:
    """The same number as another kind: integers wrap or extend by their own sign, floats round to nearest even."""
    return cast(Any, np.asarray(a).astype(kind.dtype))


def reinterpret(a: Lanes, kind: type[L]) -> L:
    """The same bits read as another kind; two halves in a register are two elements, a register is one."""
    return cast(Any, np.asarray(a).view(kind.dtype))


def constant(value: float, kind: type[L]) -> L:
    """One value of a kind, the same in every lane."""
    return cast(Any, np.asarray([value]).astype(kind.dtype))


def mask_bits(a: Mask) -> U32:
    """A mask as one 32-bit number, bit L for lane L."""
    return cast(Any, np.packbits(np.broadcast_to(np.asarray(a), (LANES,)), bitorder="little").view(np.uint32))


def broadcast(a: T, lane: U32) -> T:
    """The value of one lane (number modulo 32), as a one-lane value."""
    return cast(Any, np.asarray(a)[np.asarray(lane) % LANES])


def permute(a: T, lanes: U32) -> T:
    """In every lane the value of another one: `lanes` has its number, modulo 32."""
    return cast(Any, np.broadcast_to(np.asarray(a), (LANES,))[np.asarray(lanes) % LANES])


def mask_of(bits: U32) -> Mask:
    """One 32-bit number as a mask, lane L by bit L: the opposite of `mask_bits`."""
    return cast(Any, np.unpackbits(np.asarray(bits, "<u4").view(np.uint8), bitorder="little").astype(bool))


def lower_half(a: T) -> T:
    """The lanes of the lower half: half as many."""
    return cast(Any, np.split(np.asarray(a), 2)[0])


def upper_half(a: T) -> T:
    """The lanes of the upper half: half as many."""
    return cast(Any, np.split(np.asarray(a), 2)[1])


def trailing_zeros(a: U32) -> U32:
    """How many zero bits lie below the lowest set bit; 32 for 0."""
    low = np.asarray(a) & (~np.asarray(a) + np.uint32(1))
    exponent = np.frexp(low.astype(np.float64))[1].astype(np.int64) - 1
    return cast(Any, np.where(low == 0, 32, exponent).astype(np.uint32))


def count_ones(a: T) -> T:
    """How many bits are set."""
    return cast(Any, np.bitwise_count(np.asarray(a)).astype(np.asarray(a).dtype))


def leading_zeros(a: T) -> T:
    """How many zero bits stand above the highest set bit; the width for 0."""
    bits = np.asarray(a)
    for step in (1, 2, 4, 8, 16, 32)[: bits.dtype.itemsize.bit_length() + 3]:
        bits = bits | bits >> np.array(step, bits.dtype)
    return count_ones(cast(Any, ~bits))


def reverse_bits(a: T) -> T:
    """The bits in the opposite order."""
    number = np.asarray(a)
    bits = np.unpackbits(number[:, None].view(np.uint8), axis=1, bitorder="little")
    return cast(Any, np.packbits(bits, axis=1, bitorder="big")[:, ::-1].copy().view(number.dtype)[:, 0])


def shift_left(a: T, count: U32) -> T:
    """a moved up by `count` bits; 0 where count is the width or more (published)."""
    kind = np.asarray(a).dtype
    width = kind.itemsize * 8
    return _np.where(count >= width, 0, a << _np.minimum(count, width - 1).astype(kind)).astype(kind)


def shift_right(a: T, count: U32) -> T:
    """a moved down by `count` bits, its sign moving in if it has one; past the width, all sign or 0 (published)."""
    kind = np.asarray(a).dtype
    width = kind.itemsize * 8
    moved = a >> _np.minimum(count, width - 1).astype(kind)
    return moved if kind.kind == "i" else _np.where(count >= width, 0, moved).astype(kind)


def fused(a: F32, b: F32, c: F32) -> F32:
    """a * b + c with one rounding, to nearest even."""
    return convert(fma_odd(a, b, c, RTTE), F32)


def square_root(a: T) -> T:
    """The square root, rounded once to nearest even."""
    return cast(Any, np.sqrt(np.asarray(a)))


def unsigned_quotient(a: T, b: T) -> T:
    """a / b rounded down, of unsigned integers; b is not 0."""
    return _np.floor_divide(a, b)


def product_error(a: F64, b: F64, product: F64) -> F64:
    """a * b - product, exact, where product is a * b rounded; for values whose products are far from the limits."""
    x, y, p = np.asarray(a), np.asarray(b), np.asarray(product)
    wide_x, wide_y = x * 134217729.0, y * 134217729.0
    x_high, y_high = wide_x - (wide_x - x), wide_y - (wide_y - y)
    x_low, y_low = x - x_high, y - y_high
    return cast(Any, x_low * y_low - (((p - x_high * y_high) - x_low * y_high) - x_high * y_low))


def lookup(table: Table, index: U32) -> F64:
    """The table's value with that number, modulo the table's length."""
    return cast(Any, table.values[np.asarray(index) & np.uint32(len(table.values) - 1)])


def any_lane(a: Mask) -> bool:
    """Whether the mask holds in some lane: to skip work whose result no lane would take."""
    return bool(np.any(np.asarray(a)))


# Integers.


def mul_high(a: Lanes, b: Lanes, wide: type[Lanes]) -> U32:
    """The upper half of the double-width product."""
    return convert((convert(a, wide) * convert(b, wide)) >> 32, U32)


def mul_high_u64(a: U64, b: U64) -> U64:
    """The upper 64 bits of the 128-bit product, from four products of halves."""
    low, cross = a & 0xFFFFFFFF, b & 0xFFFFFFFF
    first = (a >> 32) * cross + ((low * cross) >> 32)
    second = low * (b >> 32) + (first & 0xFFFFFFFF)
    return (a >> 32) * (b >> 32) + (first >> 32) + (second >> 32)


def mul_high_i64(a: S64, b: S64) -> U64:
    """The upper 64 bits of the signed 128-bit product: a negative factor counts 2**64 less than its bits say."""
    high = mul_high_u64(reinterpret(a, U64), reinterpret(b, U64))
    return high - reinterpret(where(a < 0, b, b & 0), U64) - reinterpret(where(b < 0, a, a & 0), U64)


def saturate_i32(a: S64) -> S32:
    """a, or the nearest number of 32 bits."""
    return convert(where(a < -(1 << 31), a & 0 | -(1 << 31), where(a > 0x7FFFFFFF, a & 0 | 0x7FFFFFFF, a)), S32)


def bit_field_mask(position: U32, length: U32) -> U32:
    """`length` ones from bit `position` on; both count by their low 8 bits and may pass the register's end."""
    return shift_left(shift_left(length & 0 | 1, length & 0xFF) - 1, position & 0xFF)


def signed_field(a: Any, position: U32, length: U32, width: int) -> Any:
    """`length` bits of a from bit `position` on, sign-extended: a is signed and has `width` bits; 0 for length 0.

    Both count by their low 8 bits; bits past the register's end are a's sign.
    """
    count = length & 0xFF
    spare = where(count > width, count & 0, width - count)
    field = shift_right(shift_left(shift_right(a, position & 0xFF), spare), spare)
    return where(count == 0, a & 0, field)


def lookup3(a: U32, b: U32, c: U32, table: U32) -> U32:
    """Bit by bit, entry 4*a + 2*b + c of the 8-entry truth table."""
    result = a & 0
    result = result | select_bit(table, 0, ~a & ~b & ~c)
    result = result | select_bit(table, 1, ~a & ~b & c)
    result = result | select_bit(table, 2, ~a & b & ~c)
    result = result | select_bit(table, 3, ~a & b & c)
    result = result | select_bit(table, 4, a & ~b & ~c)
    result = result | select_bit(table, 5, a & ~b & c)
    result = result | select_bit(table, 6, a & b & ~c)
    return result | select_bit(table, 7, a & b & c)


def select_bit(table: U32, bit: int, value: U32) -> U32:
    """`value` if that bit of the table is set, else 0."""
    return value & (constant(0, U32) - ((table >> bit) & 1))


# Floats as bits of a format: what sources and results go through, as far as the word says so.


def flush(bits: T, format: Format) -> T:
    """.ftz: subnormals become zero of the same sign (published)."""
    return where((bits & format.exponents) == 0, bits & format.sign, bits)


def saturate(bits: T, format: Format) -> T:
    """.sat: clamp to [0, 1]; NaN becomes +0 (published), and so does -0. As unsigned numbers they lie above top."""
    positive = where(bits > format.top, bits & 0, bits)
    return where(positive > format.one, bits & 0 | format.one, positive)


def keep_finite(bits: T, format: Format) -> T:
    """.satfinite: infinity becomes the largest finite number of its sign (published)."""
    magnitude = bits & (format.sign - 1)
    return where(magnitude == format.top, (bits & format.sign) | format.largest, bits)


def rectify(bits: T, format: Format) -> T:
    """.relu: negative numbers and -0 become +0, NaN stays (published, for -0 defined)."""
    return where((bits >= format.sign) & (bits <= (format.sign | format.top)), bits & 0, bits)


def canonical(bits: T, format: Format) -> T:
    """Every NaN becomes the canonical one."""
    return where((bits & (format.sign - 1)) > format.top, bits & 0 | format.nan, bits)


RESULT_SUFFIXES: dict[str, Callable[[Any, Format], Any]] = {
    "ftz": flush,
    "sat": saturate,
    "satfinite": keep_finite,
    "relu": rectify,
}
"""What each suffix does to a float result, in this order; `canonical` comes last, always."""


# Floats.


def is_nan(a: F32) -> Mask:
    """Whether a lane holds a NaN."""
    return a != a


def sign_bit(a: F32) -> Mask:
    """Whether the sign bit is set, NaN and -0 included."""
    return reinterpret(a, S32) < 0


def absolute(a: F32) -> F32:
    """The value with its sign bit cleared."""
    return reinterpret(reinterpret(a, U32) & 0x7FFFFFFF, F32)


def copy_sign(a: F32, sign: U32) -> F32:
    """The size of `a` with the highest bit of `sign` as its sign."""
    return reinterpret((reinterpret(a, U32) & 0x7FFFFFFF) | (sign & 0x80000000), F32)


def smaller(a: F32, b: F32) -> F32:
    """The smaller number; -0 is below +0; a NaN loses against a number."""
    first = where((a < b) | ((a == b) & sign_bit(a)), a, b)
    return where(is_nan(a), b, where(is_nan(b), a, first))


def larger(a: F32, b: F32) -> F32:
    """The larger number; +0 is above -0; a NaN loses against a number."""
    first = where((a > b) | ((a == b) & sign_bit(b)), a, b)
    return where(is_nan(a), b, where(is_nan(b), a, first))


def add_odd(x: F64, y: F64, rounding: int) -> F64:
    """x + y rounded to odd: exact, or the neighbour with an odd significand. For values of binary32 range."""
    total = x + y
    back = total - x
    odd = to_odd(total, (x - (total - back)) + (y - back))
    if rounding == RTN:
        signs = (reinterpret(x, U64) | reinterpret(y, U64)) & 0x8000000000000000
        return where(total == 0.0, reinterpret(signs, F64), odd)
    return odd


def to_odd(nearest: F64, error: F64) -> F64:
    """nearest + error rounded to odd, where `nearest` is that sum to nearest; a NaN as error counts as none."""
    bits = reinterpret(nearest, U64)
    outward = (error > 0.0) == (nearest > 0.0)
    odd = where(outward, bits, bits - 1) | 1
    return reinterpret(where((error < 0.0) | (error > 0.0), odd, bits), F64)


def fma_odd(a: F32, b: F32, c: F32, rounding: int) -> F64:
    """a * b + c in binary64 rounded to odd: the product is exact there."""
    return add_odd(convert(a, F64) * convert(b, F64), convert(c, F64), rounding)


def narrow(x: F64, rounding: int) -> F32:
    """x, exact or rounded to odd, as binary32 in one of the five roundings."""
    nearest = convert(x, F32)
    if rounding == RTTE:
        return nearest
    back = convert(nearest, F64)
    bits = reinterpret(nearest, U32)
    magnitude = where(x < 0.0, constant(0.0, F64) - x, x)
    found = where(back < 0.0, constant(0.0, F64) - back, back)
    if rounding == RTTA:
        outer = convert(reinterpret(bits + 1, F32), F64)
        beyond = where(outer < 0.0, constant(0.0, F64) - outer, outer)
        tie = (found < magnitude) & ((magnitude - found) == (beyond - magnitude))
        return reinterpret(where(tie, bits + 1, bits), F32)
    negative = (bits & 0x80000000) != 0
    inward = found > magnitude
    outward = found < magnitude
    if rounding == RTN:
        inward, outward = inward & ~negative, outward & negative
    if rounding == RTP:
        inward, outward = inward & negative, outward & ~negative
    if rounding == RTZ:
        outward = outward & False
    return reinterpret(where(inward, bits - 1, where(outward, bits + 1, bits)), F32)


def round_integral(x: F64, rounding: int) -> F64:
    """x rounded to an integer; for |x| below 2**51 (larger ones come back unharmed for saturation)."""
    small = where(x < 0.0, constant(0.0, F64) - x, x) < 2251799813685248.0
    even = (x + 6755399441055744.0) - 6755399441055744.0
    if rounding == RTTE:
        return where(small, even, x)
    down = where(even > x, even - 1.0, even)
    up = where(even < x, even + 1.0, even)
    if rounding == RTN:
        return where(small, down, x)
    if rounding == RTP:
        return where(small, up, x)
    if rounding == RTZ:
        return where(small, where(x < 0.0, up, down), x)
    away = where((x - down) == 0.5, where(x < 0.0, down, up), even)
    return where(small, away, x)


def clamp_to_integer(x: F64, low: float, high: float) -> U32:
    """An integral x as 32 bits: out of [low, high] goes to the nearest end, NaN to 0 (published)."""
    clamped = where(x < low, constant(low, F64), where(x > high, constant(high, F64), x))
    return convert(convert(where(x == x, clamped, constant(0.0, F64)), S64), U32)


def compare(a: Any, b: Any, relation: int) -> Mask:
    """Whether one of the outcomes in `relation` holds: 8 a > b, 4 a == b, 2 a < b, 1 unordered."""
    result = (a != a) & False
    if relation & 8:
        result = result | (a > b)
    if relation & 4:
        result = result | (a == b)
    if relation & 2:
        result = result | (a < b)
    if relation & 1:
        result = result | (a != a) | (b != b)
    return result
