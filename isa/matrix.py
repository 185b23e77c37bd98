"""Matrix forms and their arithmetic: which shapes and formats a matrix instruction has, and what it computes.

`multiply` is the meaning of all of them: products are exact, a sum starts at +0 and adds them in the order of k, each
addition rounded to binary32, and C comes last. Integers are exact, then wrap or saturate once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from .fragments import Fragment, a_fragment, accumulator, b_fragment, element_bits, pack, unpack
from .numerics import fused

BLOCK = 32
"""Values along k that share a scale (published)."""


@dataclass(frozen=True, slots=True)
class Format:
    """A number format of matrix elements: bits of an element, and those that negation flips."""

    name: str
    bits: int
    sign: int = 0

    @property
    def register_sign(self) -> int:
        """The bits of a register that negation flips."""
        return sum(self.sign << place for place in range(0, 32, self.bits))


FORMATS = {
    "f32": Format("f32", 32, 1 << 31),
    "tf32": Format("tf32", 32, 1 << 31),
    "f16": Format("f16", 16, 1 << 15),
    "bf16": Format("bf16", 16, 1 << 15),
    "e4m3": Format("e4m3", 8, 1 << 7),
    "e5m2": Format("e5m2", 8, 1 << 7),
    "f4": Format("f4", 4, 1 << 3),
    "i8": Format("i8", 8),
    "u8": Format("u8", 8),
    "i32": Format("i32", 32),
}


@dataclass(frozen=True, slots=True)
class MatrixForm:
    """One matrix instruction as data: architecture, shape, formats, and where each operand's elements lie."""

    arch: str
    m: int
    n: int
    k: int
    result: Format
    left: Format
    right: Format
    a: Fragment
    b: Fragment
    d: Fragment
    """C lies like D."""
    saturate: bool = False

    @property
    def scaled(self) -> bool:
        """Whether blocks of A and B have scales (MX)."""
        return self.left.name == "f4"

    @property
    def sparse(self) -> bool:
        """Whether B has two of every four values along k, and a register says which."""
        return self.b.rows < self.k

    @property
    def lanes_per_column(self) -> int:
        """Of a sparse form, how many lanes say where a column's values belong: 16 bits each, for 16 values of k."""
        return self.k // 16

    @property
    def mnemonic(self) -> str:
        """The mnemonic: result, source types (one for the formats that do not mix), shape."""
        types = [self.left.name] if self.left.bits > 8 else [self.left.name, self.right.name]
        parts = [
            "v.mma",
            *["mx"] * self.scaled,
            *["sp"] * self.sparse,
            self.result.name,
            *types,
            f"m{self.m}n{self.n}k{self.k}",
        ]
        return ".".join([*parts, *["sat"] * self.saturate])


# Values of elements.


def _e4m3(bits: np.ndarray) -> np.ndarray:
    return np.where(bits & 0x7F == 0x7F, np.nan, _minifloat(bits, exponent=4, mantissa=3))


def _e5m2(bits: np.ndarray) -> np.ndarray:
    special = np.where(bits & 3, np.nan, np.where(bits & 0x80, -np.inf, np.inf))
    return np.where(bits & 0x7C == 0x7C, special, _minifloat(bits, exponent=5, mantissa=2))


def _minifloat(bits: np.ndarray, exponent: int, mantissa: int) -> np.ndarray:
    """Sign, exponent, mantissa as IEEE-754 has them, subnormals included, without infinities and NaNs."""
    number = bits.astype(np.int64)
    fraction, power = number & (1 << mantissa) - 1, number >> mantissa & (1 << exponent) - 1
    significand = np.where(power > 0, fraction | 1 << mantissa, fraction)
    bias = (1 << exponent - 1) - 1
    size = np.ldexp(significand.astype(np.float64), np.maximum(power, 1) - bias - mantissa)
    return np.where(number >> exponent + mantissa, -size, size)


def values(bits: Any, form: Format) -> np.ndarray:
    """Elements, given as uint32 bits, as binary32 numbers (exact for every format); integers as int64."""
    match form.name:
        case "f32":
            return bits.view(np.float32)
        case "tf32":
            return (bits & np.uint32(0xFFFFE000)).view(np.float32)
        case "bf16":
            return (bits << np.uint32(16)).view(np.float32)
        case "f16":
            return bits.astype(np.uint16).view(np.float16).astype(np.float32)
        case "e4m3":
            return _e4m3(bits).astype(np.float32)
        case "e5m2":
            return _e5m2(bits).astype(np.float32)
        case "f4":
            return _minifloat(bits, exponent=2, mantissa=1).astype(np.float32)
        case "i8":
            return bits.astype(np.uint8).view(np.int8).astype(np.int64)
        case "i32":
            return bits.view(np.int32).astype(np.int64)
        case _:
            return bits.astype(np.int64)


def result_bits(total: np.ndarray, form: MatrixForm) -> np.ndarray:
    """A binary32 or int64 result as the accumulator's bits: rounded once, or wrapped or saturated once."""
    if form.result.name == "i32":
        total = np.clip(total, -(1 << 31), (1 << 31) - 1) if form.saturate else total
        return total.astype(np.uint32)
    if form.result.name == "f16":
        half = total.astype(np.float16)
        return np.where(np.isnan(total), np.uint16(0x7FFF), half.view(np.uint16))
    return np.where(np.isnan(total), np.uint32(0x7FFFFFFF), total.view(np.uint32))


# The meaning.


def multiply(a: Any, b: Any, c: Any, form: MatrixForm) -> Any:
    """D = A * B + C on registers: a, b and c as `pack` gives them, D likewise, as a tuple of registers."""
    left, right = matrix(a, form.a, form.left), matrix(b, form.b, form.right)
    return packed(sum_of_products(left, right) + matrix(c, form.d, form.result), form)


def multiply_scaled(a: Any, b: Any, c: Any, scales: Any, select: Any, form: MatrixForm) -> Any:
    """The same where each block of 32 along k has a scale in each row of A and each column of B (MX).

    `scales` are two registers, for A and for B; `select` says where in them: bits 1:0 and 3:2, and the section in 4.
    """
    number = int(np.ravel(select)[0])
    left, right = matrix(a, form.a, form.left), matrix(b, form.b, form.right)
    left = left * scale_matrix(scales[0], number, form.m, 0).repeat(BLOCK, axis=1)
    right = right * scale_matrix(scales[1], number >> 2, form.n, number >> 4).T.repeat(BLOCK, axis=0)
    return packed(sum_of_products(left, right) + matrix(c, form.d, form.result), form)


def multiply_sparse(a: Any, b: Any, c: Any, e: Any, select: Any, form: MatrixForm) -> Any:
    """The same where B is 2:4 sparse along k: of every 4 values of k it has 2, and `e` says which."""
    left, right = matrix(a, form.a, form.left), matrix(b, form.b, form.right)
    total = np.zeros((form.m, form.n), left.dtype)
    for values_of_a, values_of_b in zip(left[:, positions(e, select, form)].swapaxes(0, 1), right, strict=True):
        if form.result.name == "i32":
            total = total + values_of_a * values_of_b
        else:
            total = cast(Any, fused)(values_of_a, values_of_b, total)
    return packed(total + matrix(c, form.d, form.result), form)


def positions(register: Any, select: Any, form: MatrixForm) -> np.ndarray:
    """The k that each value of a sparse B, [stored k, column], belongs to.

    For column p + 8*h, bits 16*h to 16*h + 15 of lane 4*p + the selected lane say it for 16 values of k, and the
    following lanes for the next: 4 bits for every 4 of them, the places of the first and of the second value there.
    """
    count = form.lanes_per_column
    first = int(np.ravel(select)[0]) % (4 // count) * count
    words = np.asarray(register, np.uint32).reshape(8, 4)[:, first : first + count]
    stored, column = np.indices((form.k // 2, form.n))
    bits = words[column % 8, stored // 8] >> (16 * (column // 8) + 2 * (stored % 8)).astype(np.uint32)
    return stored // 2 * 4 + (bits & np.uint32(3)).astype(np.int64)


def matrix(registers: Any, fragment: Fragment, form: Format) -> np.ndarray:
    """The numbers that registers hold."""
    return values(element_bits(unpack(np.atleast_2d(registers), fragment), fragment), form)


def packed(total: np.ndarray, form: MatrixForm) -> Any:
    """Results as registers: a tuple, as bodies return several registers."""
    return tuple(pack(result_bits(total, form), form.d))


def sum_of_products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The matrix product, one k after the other, one rounding to binary32 each; integers are exact anyway."""
    if left.dtype.kind != "f":
        return left @ right
    total = np.zeros((left.shape[0], right.shape[1]), np.float32)
    for k in range(left.shape[1]):
        total = cast(Any, fused)(left[:, k : k + 1], right[k : k + 1, :], total)
    return total


def scale_matrix(register: Any, select: int, count: int, section: int) -> np.ndarray:
    """The scales of `count` rows (or columns) and two blocks, from the lanes with lane % 4 == `select`.

    Byte 2*h + j of lane 4*p + select belongs to row p + 8*h and block j; for 8 rows, `section` is their h.
    """
    words = np.asarray(register, np.uint32).reshape(8, 4)[:, select % 4]
    halves = range(count // 8) if count > 8 else [section % 2]
    found = [[words >> np.uint32(16 * half + 8 * block) & np.uint32(0xFF) for block in (0, 1)] for half in halves]
    return e8m0(np.array(found).transpose(0, 2, 1).reshape(count, 2))


def e8m0(bits: np.ndarray) -> np.ndarray:
    """Scales as binary32: 2 to the power of bits - 127, 0xff is NaN."""
    size = np.ldexp(np.float64(1), bits.astype(np.int64) - 127)
    return np.where(bits == 0xFF, np.nan, size).astype(np.float32)


# The forms.


def _form(arch: str, m: int, n: int, k: int, result: str, left: str, right: str, saturate: bool = False) -> MatrixForm:
    modern = arch == "ppu0015"
    bits, wide = FORMATS[left].bits, FORMATS[result].bits
    return MatrixForm(
        arch, m, n, k, FORMATS[result], FORMATS[left], FORMATS[right],
        a_fragment(m, k, bits, rows_first=modern), b_fragment(k, n, bits), accumulator(m, n, wide, pairs=modern),
        saturate,
    )  # fmt: skip


SHAPES = {
    ("ppu0015", 4): ((16, 8, 64), (16, 16, 64)),
    ("ppu0015", 8): ((16, 8, 16), (16, 8, 32), (16, 16, 16), (16, 16, 32)),
    ("ppu0015", 16): ((16, 8, 8), (16, 8, 16), (16, 16, 8), (16, 16, 16)),
    ("ppu0015", 32): ((16, 8, 4), (16, 8, 8), (16, 16, 4), (16, 16, 8)),
    ("ppu001", 8): ((16, 16, 32), (16, 16, 16), (8, 16, 32), (8, 16, 16)),
    ("ppu001", 16): ((16, 16, 16), (16, 16, 8), (8, 16, 16), (8, 16, 8)),
    ("ppu001", 32): ((16, 16, 8), (16, 16, 4), (8, 16, 8), (8, 16, 4)),
}
"""(m, n, k) by architecture and bits of an element (published)."""
SMALL = (8, 8, 16)
"""A shape that only integers have, on ppu0015 (published)."""
_INTEGERS = tuple(("i32", left, right) for left in ("i8", "u8") for right in ("i8", "u8"))
_SMALL_FLOATS = ("e4m3", "e5m2")
_EIGHTS = tuple((result, a, b) for result in ("f32", "f16") for a in _SMALL_FLOATS for b in _SMALL_FLOATS)
_COMMON = (
    *(("f32", each, each) for each in ("f16", "bf16", "tf32", "f32")), ("f16", "f16", "f16"), *_INTEGERS,
)  # fmt: skip
TYPES = {"ppu0015": (*_COMMON, *_EIGHTS, ("f32", "f4", "f4")), "ppu001": _COMMON}
"""Result and source types by architecture (published)."""


def forms(arch: str, result: str, left: str, right: str) -> Iterator[MatrixForm]:
    """All shapes of one architecture and one combination of types, the saturating ones included."""
    shapes = SHAPES[arch, FORMATS[left].bits]
    small = (SMALL,) if result == "i32" and arch == "ppu0015" else ()
    for saturate in (False, True) if result == "i32" else (False,):
        for m, n, k in (*small, *shapes):
            yield _form(arch, m, n, k, result, left, right, saturate)


SPARSE_SHAPES = {
    8: ((16, 16, 64), (16, 16, 32), (8, 16, 64), (8, 16, 32)),
    16: ((16, 16, 32), (16, 16, 16), (8, 16, 32), (8, 16, 16)),
}
"""(m, n, k) with a 2:4 sparse B, on ppu001, by bits of an element (published)."""
SPARSE_TYPES = (("f32", "f16", "f16"), ("f32", "bf16", "bf16"), ("f16", "f16", "f16"), *_INTEGERS)


def sparse_forms(result: str, left: str, right: str) -> Iterator[MatrixForm]:
    """All shapes of one combination of types with a sparse B, the saturating ones included."""
    bits = FORMATS[left].bits
    for saturate in (False, True) if result == "i32" else (False,):
        for m, n, k in SPARSE_SHAPES[bits]:
            yield replace(_form("ppu001", m, n, k, result, left, right, saturate), b=b_fragment(k // 2, n, bits))


MATRIX_FORMS = (
    *(form for arch, types in TYPES.items() for each in types for form in forms(arch, *each)),
    *(form for each in SPARSE_TYPES for form in sparse_forms(*each)),
)
"""Every matrix form of both architectures."""


def matrix_form(mnemonic: str, arch: str = "ppu0015") -> MatrixForm:
    """The form behind a mnemonic; raises KeyError if that architecture has no such matrix instruction."""
    for form in MATRIX_FORMS:
        if form.arch == arch and form.mnemonic == mnemonic:
            return form
    raise KeyError(f"{arch} has no matrix instruction {mnemonic}")
