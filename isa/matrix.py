"""Matrix forms and their arithmetic: which shapes and formats a matrix instruction has, and what it computes.

`multiply` is the meaning of all of them: products are exact, a sum starts at +0 and adds them in the order of k, each
addition rounded to binary32, and C comes last. Integers are exact, then wrap or saturate once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from .formats import E2M1, F16, F32, FORMATS, Format
from .fragments import Fragment, a_fragment, accumulator, b_fragment, element_bits, pack, unpack
from .numerics import RTTE, fused
from .rounding import narrow_to, power_of, widen_from

BLOCK = 32
"""Values along k that share a scale (published)."""


@dataclass(frozen=True, slots=True)
class Element:
    """What the elements of a matrix are: floats of a format, or integers (those of 8 bits signed or not)."""

    name: str
    bits: int
    format: Format | None = None

    @property
    def register_sign(self) -> int:
        """The bits of a register that negation flips."""
        return sum(self.format.sign << place for place in range(0, 32, self.bits)) if self.format else 0


_FLOATS = {**{name: FORMATS[name] for name in ("f32", "tf32", "f16", "bf16", "e4m3", "e5m2")}, "f4": E2M1}
ELEMENTS = {
    **{name: Element(name, format.width, format) for name, format in _FLOATS.items()},
    **{name: Element(name, bits) for name, bits in (("i8", 8), ("u8", 8), ("i32", 32))},
}
"""Element types by their names in mnemonics."""

RATES = ("f16", "bf16", "tf32", "f32", "f8", "s8", "f4")
"""What the elements of A are called where a chip's rates are told apart."""
_RATE = {"e4m3": "f8", "e5m2": "f8", "i8": "s8", "u8": "s8"}


@dataclass(frozen=True, slots=True)
class MatrixForm:
    """One matrix instruction as data: architecture, shape, formats, and where each operand's elements lie."""

    arch: str
    m: int
    n: int
    k: int
    result: Element
    left: Element
    right: Element
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
    def rate(self) -> str:
        """Which of RATES it is done at."""
        return _RATE.get(self.left.name, self.left.name)

    @property
    def work(self) -> int:
        """Multiplications and additions it does; a sparse form leaves half of them out."""
        return 2 * self.m * self.n * self.k // (2 if self.sparse else 1)

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


def values(bits: Any, element: Element) -> np.ndarray:
    """Elements, given as uint32 bits, as binary32 numbers (exact for every format), integers as int64."""
    if element.format:
        return cast(Any, widen_from(bits, element.format))
    if element.name == "u8":
        return bits.astype(np.int64)
    return bits.astype(f"u{element.bits // 8}").view(f"i{element.bits // 8}").astype(np.int64)


def result_bits(total: np.ndarray, form: MatrixForm) -> np.ndarray:
    """A binary32 or int64 result as the accumulator's bits: rounded once, or wrapped or saturated once."""
    if form.result.name == "i32":
        total = np.clip(total, -(1 << 31), (1 << 31) - 1) if form.saturate else total
        return total.astype(np.uint32)
    if form.result.name == "f16":
        return cast(Any, narrow_to)(total, F16, RTTE).astype(np.uint16)
    return np.where(np.isnan(total), np.uint32(F32.nan), total.view(np.uint32))


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


def matrix(registers: Any, fragment: Fragment, element: Element) -> np.ndarray:
    """The numbers that registers hold."""
    return values(element_bits(unpack(np.atleast_2d(registers), fragment), fragment), element)


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
    return cast(Any, power_of)(np.array(found).transpose(0, 2, 1).reshape(count, 2))


# The forms.


def _form(arch: str, m: int, n: int, k: int, result: str, left: str, right: str, saturate: bool = False) -> MatrixForm:
    modern = arch == "ppu0015"
    bits, wide = ELEMENTS[left].bits, ELEMENTS[result].bits
    return MatrixForm(
        arch, m, n, k, ELEMENTS[result], ELEMENTS[left], ELEMENTS[right],
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
    shapes = SHAPES[arch, ELEMENTS[left].bits]
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
    bits = ELEMENTS[left].bits
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
