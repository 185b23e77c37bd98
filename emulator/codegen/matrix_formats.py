"""Elements of matrices as vectors of binary32, and back: every format, on whole vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils

from ...isa.formats import F32, FORMATS
from ...isa.matrix import Element
from ...isa.rounding import widen_from
from .lowering import FLOAT, I8, I16, I32, Builder, Value

HALF = ir.HalfType()
HALF_NAN = FORMATS["f16"].nan
HAS_HALF = bool(llvm.get_host_cpu_features().get("f16c")) or not llvm.get_default_triple().startswith(("x86", "i"))
"""Whether the host converts binary16; LLVM would call a function that is not there."""
HAS_AVX512 = bool(llvm.get_host_cpu_features().get("avx512f"))
"""Whether the host looks up 16 numbers at once."""
HAS_TABLES = HAS_AVX512 and bool(llvm.get_host_cpu_features().get("avx512vbmi"))
"""Whether the host looks up 64 bytes at once in a table of 128."""
HAS_DOT = all(llvm.get_host_cpu_features().get(name) for name in ("avx512vnni", "avx512vl", "avx512bw"))
"""Whether the host multiplies unsigned by signed bytes and adds four such products to an integer."""


def factor_of(element: Element) -> float:
    """What `widen` leaves numbers too small by: sums of products are multiplied once, far from over- and underflow."""
    return 256.0 if element.name == "e4m3" and not HAS_TABLES else 1.0


def widen(builder: Builder, words: Value, element: Element, position: int) -> Value:
    """The elements at one position of <n x i32> registers, as <n x float>, smaller by the format's factor."""
    match element.name:
        case "e4m3" | "e5m2" if HAS_TABLES:
            return _from_table(builder, words, element, position)
        case "f32":
            return _float(builder, words)
        case "tf32":
            return _float(builder, _and(builder, words, 0xFFFFE000))
        case "bf16":
            return _float(builder, _and(builder, words, 0xFFFF0000) if position else _shl(builder, words, 16))
        case "f16":
            return half_to_float(builder, _lshr(builder, words, 16 * position))
        case "e4m3":
            return _e4m3(builder, words, position)
        case "e5m2":
            moved = _lshr(builder, words, 8 * position - 8) if position else _shl(builder, words, 8)
            return half_to_float(builder, _and(builder, moved, 0xFF00))
        case "f4":
            return _f4(builder, _lshr(builder, words, 4 * position))
        case "i8":
            top = _shl(builder, words, 24 - 8 * position)
            return builder.sitofp(builder.ashr(top, _every(words, 24)), _floats(words))
        case _:
            return builder.sitofp(_and(builder, _lshr(builder, words, 8 * position), 0xFF), _floats(words))


def _e4m3(builder: Builder, words: Value, position: int) -> Value:
    """As binary16, two at a time, whose exponent's bias is 8 too large (see factor_of); 0x7f and 0xff are NaN."""
    bytes_ = _lshr(builder, words, 8 * (position % 2))  # of which only the even ones count
    size = _and(builder, bytes_, 0x007F007F)
    halves = builder.or_(_shl(builder, _and(builder, bytes_, 0x00800080), 8), _shl(builder, size, 7))
    pairs = ir.VectorType(I16, 2 * words.type.count)
    size, halves = builder.bitcast(size, pairs), builder.bitcast(halves, pairs)
    nan = builder.icmp_unsigned("==", size, ir.Constant(pairs, [0x7F] * pairs.count))
    halves = builder.select(nan, ir.Constant(pairs, [0x7FFF] * pairs.count), halves)
    return half_to_float(builder, _lshr(builder, builder.bitcast(halves, words.type), 16 * (position // 2)))


def _from_table(builder: Builder, words: Value, element: Element, position: int) -> Value:
    """The upper halves of binary32 numbers, which hold all their bits, looked up bytewise; those of a word at once."""
    sizes = cast(Any, widen_from)(np.arange(128, dtype=np.uint32), element.format).view(np.uint32)
    low, high = (_bytes_looked_up(builder, words, (sizes >> shift & 0xFF).tolist()) for shift in (16, 24))
    high = builder.or_(high, _and(builder, words, 0x80808080))
    if position % 2:
        low = _lshr(builder, low, 8)
    else:
        high = _shl(builder, high, 8)
    pairs = builder.or_(_and(builder, low, 0x00FF00FF), _and(builder, high, 0xFF00FF00))
    return _float(builder, _shl(builder, pairs, 16) if position < 2 else _and(builder, pairs, 0xFFFF0000))


def _bytes_looked_up(builder: Builder, words: Value, table: list[int]) -> Value:
    """For each byte of <n x i32> the entry of the table that its low 7 bits name."""
    row = ir.VectorType(I8, 64)
    kind = ir.FunctionType(row, [row] * 3)
    permute = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpermi2var.qi.512")
    halves = [ir.Constant(row, table[:64]), ir.Constant(row, table[64:])]

    def find(part: Value) -> Value:
        found = builder.call(permute, [halves[0], builder.bitcast(part, row), halves[1]])
        return builder.bitcast(found, part.type)

    return _by_sixteen(builder, words, find)


def _by_sixteen(builder: Builder, words: Value, function: Callable[[Value], Value]) -> Value:
    """A function of <16 x i32> on the words of <8, 16 or 32 x i32>."""
    count = words.type.count
    parts: list[Value] = []
    for first in range(0, count, 16):
        lanes = [first + lane if first + lane < count else 0 for lane in range(16)]
        parts.append(function(_picked(builder, words, lanes)))
    if len(parts) == 1:
        return _picked(builder, parts[0], range(count))
    return builder.shuffle_vector(*parts, ir.Constant(ir.VectorType(I32, 32), list(range(32))))


def _f4(builder: Builder, words: Value) -> Value:
    """Looked up where the host has a table of 16, else as binary16 with the exponent's bias 14 too large."""
    if HAS_AVX512:
        return _looked_up(builder, words)
    half = builder.or_(_shl(builder, _and(builder, words, 8), 12), _shl(builder, _and(builder, words, 7), 9))
    return builder.fmul(half_to_float(builder, half), _number(words, 16384.0))


def _looked_up(builder: Builder, words: Value) -> Value:
    """Entry number (low 4 bits) of the table of all 16 numbers."""
    row = ir.VectorType(FLOAT, 16)
    kind = ir.FunctionType(row, [row, ir.VectorType(I32, 16)])
    permute = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.permvar.sf.512")
    sizes = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    table = ir.Constant(row, [*sizes, *[-size for size in sizes]])
    return _by_sixteen(builder, words, lambda part: builder.call(permute, [table, part]))


def _picked(builder: Builder, vector: Value, lanes: Iterable[int]) -> Value:
    numbers = list(lanes)
    mask = ir.Constant(ir.VectorType(I32, len(numbers)), numbers)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def nibbles_looked_up(builder: Builder, words: Value, position: int, table: list[int]) -> Value:
    """The bytes of a table that every second nibble of <n x i32> names, from the one at `position` (0 or 1) on."""
    row = ir.VectorType(I8, 64)
    kind = ir.FunctionType(row, [row, row])
    shuffle = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.pshuf.b.512")
    entries = ir.Constant(row, [entry & 0xFF for entry in table] * 4)
    nibbles = _and(builder, _lshr(builder, words, 4 * position), 0x0F0F0F0F)

    def find(part: Value) -> Value:
        return builder.bitcast(builder.call(shuffle, [entries, builder.bitcast(part, row)]), part.type)

    return _by_sixteen(builder, nibbles, find)


def dot(builder: Builder, unsigned: Value, signed: Value, total: Value) -> Value:
    """<8 or 16 x i32> total + the products of the four bytes of `unsigned` with those of `signed`, modulo 2**32."""
    kind = ir.FunctionType(total.type, [total.type] * 3)
    name = f"llvm.x86.avx512.vpdpbusd.{32 * total.type.count}"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [total, unsigned, signed])


def half_to_float(builder: Builder, words: Value) -> Value:
    """binary16 in the low halves of <n x i32> as binary32; the high halves do not count."""
    if HAS_HALF:
        short = ir.VectorType(I16, words.type.count)
        half = builder.bitcast(builder.trunc(words, short), ir.VectorType(HALF, words.type.count))
        return builder.fpext(half, _floats(words))
    size = _shl(builder, _and(builder, words, 0x7FFF), 13)
    number = builder.bitcast(builder.fmul(_float(builder, size), _number(words, 2.0**112)), words.type)
    special = builder.icmp_unsigned(">=", size, _every(words, 0x7C00 << 13))
    size = builder.select(special, builder.or_(size, _every(words, 0x7F800000)), number)
    return _float(builder, builder.or_(size, _shl(builder, _and(builder, words, 0x8000), 16)))


def result_bits(builder: Builder, totals: list[Value], element: Element) -> list[Value]:
    """<32 x float> vectors as bits of binary32, or rounded to binary16 in the low halves; NaNs canonical.

    NaNs are rare, and the sum of all vectors has one wherever a vector has (and where infinities cancel): only then
    are they replaced, one vector after the other.
    """
    sums = totals
    while len(sums) > 1:
        sums = [builder.fadd(*pair) for pair in zip(sums[::2], sums[1::2], strict=True)]
    lanes = builder.fcmp_unordered("uno", sums[0], sums[0])
    some = builder.icmp_unsigned("!=", builder.bitcast(lanes, I32), ir.Constant(I32, 0))
    narrow, nan = (_half_bits, HALF_NAN) if element.name == "f16" else (_float_bits, F32.nan)
    bits = [narrow(builder, total) for total in totals]
    before = builder.block
    with builder.if_then(some, likely=False):
        replaced = [
            builder.select(builder.fcmp_unordered("uno", total, total), _every(plain, nan), plain)
            for total, plain in zip(totals, bits, strict=True)
        ]
        within = builder.block
    found: list[Value] = []
    for plain, other in zip(bits, replaced, strict=True):
        phi = builder.phi(plain.type)
        phi.add_incoming(plain, before)
        phi.add_incoming(other, within)
        found.append(phi)
    return found


def _float_bits(builder: Builder, numbers: Value) -> Value:
    return builder.bitcast(numbers, ir.VectorType(I32, numbers.type.count))


def _half_bits(builder: Builder, numbers: Value) -> Value:
    """binary32 rounded to binary16, to nearest even, in the low halves of <n x i32>; NaN is anything."""
    row = ir.VectorType(I32, numbers.type.count)
    if not HAS_HALF:
        return _rounded_half(builder, builder.bitcast(numbers, row))
    half = builder.fptrunc(numbers, ir.VectorType(HALF, row.count))
    return builder.zext(builder.bitcast(half, ir.VectorType(I16, row.count)), row)


def _rounded_half(builder: Builder, bits: Value) -> Value:
    """The same in integers: a tiny number by adding 0.5, whose last bit is that of the smallest binary16."""
    size = _and(builder, bits, 0x7FFFFFFF)
    tiny = builder.bitcast(builder.fadd(_float(builder, size), _number(bits, 0.5)), bits.type)
    tiny = builder.sub(tiny, _every(bits, 0x3F000000))
    even = _and(builder, _lshr(builder, size, 13), 1)
    moved = builder.sub(size, _every(bits, (112 << 23) - 0xFFF))
    usual = _lshr(builder, builder.add(moved, even), 13)
    large = builder.icmp_unsigned(">", size, _every(bits, 0x477FEFFF))
    usual = builder.select(large, _every(bits, 0x7C00), usual)
    small = builder.icmp_unsigned("<", size, _every(bits, 113 << 23))
    sign = _and(builder, _lshr(builder, bits, 16), 0x8000)
    return builder.or_(builder.select(small, tiny, usual), sign)


def scale_of(builder: Builder, words: Value, position: int) -> Value:
    """E8M0 at one byte of <n x i32> as binary32: 0 is 2**-127, a subnormal, and 0xff is NaN."""
    bits = _and(builder, _lshr(builder, words, 8 * position), 0xFF)
    least = builder.icmp_unsigned("==", bits, _every(bits, 0))
    number = builder.select(least, _every(bits, 0x00400000), _shl(builder, bits, 23))
    nan = builder.icmp_unsigned("==", bits, _every(bits, 0xFF))
    return _float(builder, builder.select(nan, _every(bits, 0x7FFFFFFF), number))


def _floats(words: Value) -> ir.VectorType:
    return ir.VectorType(FLOAT, words.type.count)


def _float(builder: Builder, words: Value) -> Value:
    return builder.bitcast(words, _floats(words))


def _every(words: Value, number: int) -> ir.Constant:
    return ir.Constant(words.type, [number] * words.type.count)


def _number(words: Value, number: float) -> ir.Constant:
    return ir.Constant(_floats(words), [number] * words.type.count)


def _and(builder: Builder, words: Value, bits: int) -> Value:
    return builder.and_(words, _every(words, bits))


def _shl(builder: Builder, words: Value, count: int) -> Value:
    return builder.shl(words, _every(words, count)) if count else words


def _lshr(builder: Builder, words: Value, count: int) -> Any:
    return builder.lshr(words, _every(words, count)) if count else words
