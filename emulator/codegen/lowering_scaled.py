"""What matrix instructions with scales become in machine code: FP4 with a scale for each block of 32 along k (MX).

Elements times scales are binary32 numbers, and `Product` adds their products one by one. Most often that is not needed.
Twice an element is an integer of up to 12, so the products of a block are integers in units of a quarter of its two
scales, and their sums stay below 4608. Where the scales of the two blocks of each row and of each column are at most
2**5 apart, all sums on the way are integers below 9216 * 2**10 in units of the smaller block: binary32 holds them, and
nothing is ever rounded. Then four products are added by one host instruction, and each block is scaled once.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...isa import matrix
from ...isa.formats import F32
from ...isa.lanes import LANES
from ...isa.matrix import MatrixForm
from . import matrix_formats
from .lowering import FLOAT, I8, I32, Builder, Value, primitive, splat, vector_intrinsic
from .lowering_matrix import HALF, Product, Words, picked, registers_of, words_of
from .matrix_formats import dot, nibbles_looked_up

WIDEST, FARTHEST = 5, 50
"""How far apart the exponents of a row's two scales, or a column's, may be, and how far from 2**0 any of them."""
TWICE = [0, 1, 2, 3, 4, 6, 8, 12]
SIGNED = [*TWICE, *[-twice for twice in TWICE]]
"""Twice the number that each code of 4 bits stands for."""
MIDDLE = 12
"""What makes them unsigned."""


@primitive(matrix.multiply_scaled, lambda a, b, c, scales, select, form: registers_of(form))
def _multiply_scaled(builder: Builder, sig: Any, *values: Value) -> Value:
    a, b, c, scales = (words_of(builder, ty, value) for ty, value in zip(sig.args[:4], values[:4], strict=True))
    form = sig.args[-1].value
    select = builder.extract_element(values[4], ir.Constant(I32, 0))
    left, right = (_selected(builder, word, select, place) for word, place in zip(scales, (0, 2), strict=True))
    if form.n == 8:  # bit 4 of the selectors is by how many bits the second half stands higher
        right = builder.lshr(right, splat(builder, builder.and_(select, ir.Constant(I32, 16)), LANES))
        low = builder.and_(right, ir.Constant(right.type, [0xFFFF] * LANES))
        right = builder.or_(low, builder.shl(low, ir.Constant(right.type, [16] * LANES)))
    if not matrix_formats.HAS_DOT:
        return Product(builder, form, (left, right)).emit(a, b, c)
    return _exact_or_not(builder, form, (left, right), (a, b, c))


def _exact_or_not(
    builder: Builder, form: MatrixForm, scales: tuple[Value, Value], operands: tuple[Words, ...]
) -> Value:
    """D by integers where the scales allow it, else one product after the other."""
    near = builder.and_(*[_near(builder, word) for word in scales])
    with builder.if_else(near, likely=True) as (then, otherwise):
        with then:
            exact = _Blocks(builder, form, scales).emit(*operands)
            first = builder.block
        with otherwise:
            rounded = Product(builder, form, scales).emit(*operands)
            second = builder.block
    found = builder.phi(exact.type)
    found.add_incoming(exact, first)
    found.add_incoming(rounded, second)
    return found


def _near(builder: Builder, words: Value) -> Value:
    """Whether all scales are near 2**0, and the two of each row or column near each other."""
    row = ir.VectorType(I8, 4 * words.type.count)
    scales = builder.bitcast(words, row)
    neighbours = builder.shuffle_vector(scales, scales, ir.Constant(ir.VectorType(I32, row.count), [
        byte ^ 1 for byte in range(row.count)
    ]))  # fmt: skip

    def within(distance: Value, most: int) -> Value:
        moved = builder.add(distance, ir.Constant(row, [most] * row.count))
        return builder.icmp_unsigned("<=", moved, ir.Constant(row, [2 * most] * row.count))

    far = within(builder.sub(scales, ir.Constant(row, [F32.bias] * row.count)), FARTHEST)
    good = builder.and_(far, within(builder.sub(scales, neighbours), WIDEST))
    every = ir.IntType(row.count)
    return builder.icmp_unsigned("==", builder.bitcast(good, every), ir.Constant(every, (1 << row.count) - 1))


def _selected(builder: Builder, word: Value, select: Value, place: int) -> Value:
    """In each four lanes, the scale register's word in that of them which two bits of `select` name."""
    number = builder.and_(builder.lshr(select, ir.Constant(I32, place)), ir.Constant(I32, 3))
    found = picked(builder, word, [lane // 4 * 4 for lane in range(LANES)])
    for chosen in range(1, 4):
        other = picked(builder, word, [lane // 4 * 4 + chosen for lane in range(LANES)])
        found = builder.select(builder.icmp_unsigned("==", number, ir.Constant(I32, chosen)), other, found)
    return found


class _Blocks(Product):
    """The product by integers: a step adds the four products of every second element of a word."""

    def __init__(self, builder: Builder, form: MatrixForm, scales: tuple[Value, Value]):
        super().__init__(builder, form)
        self.of_rows, self.of_columns = scales

    def _of_a(self, register: int, position: int) -> Value:
        if ("a", register, position) not in self.widened:
            table = [twice + MIDDLE for twice in SIGNED]
            self.widened["a", register, position] = nibbles_looked_up(self.builder, self.a[register], position, table)
        return self.widened["a", register, position]

    def _of_b(self, k: int) -> Value:
        if ("b", k) not in self.widened:
            word, position = divmod(k, self.form.b.width)
            self.widened["b", k] = nibbles_looked_up(self.builder, self.b[word], position, SIGNED)
        return self.widened["b", k]

    def _start(self) -> Value:
        """What A's being unsigned adds, taken away."""
        row = ir.VectorType(I32, self.form.n)
        total = ir.Constant(row, [0] * self.form.n)
        for k in self.steps:
            total = self._add(ir.Constant(row, [MIDDLE * 0x01010101] * self.form.n), self._of_b(k), total)
        return self.builder.neg(total)

    def _add(self, left: Value, right: Value, total: Value) -> Value:
        return dot(self.builder, left, right, total)

    def _sums(self, parts: list[Any]) -> list[Value]:
        builder, width = self.builder, self.form.b.width
        totals: list[Value] = []
        for block in range(self.form.k // matrix.BLOCK):
            words = range(matrix.BLOCK * block, matrix.BLOCK * (block + 1), width)
            self.steps = [word + odd for word in words for odd in (0, 1)]
            scales = self._scales(parts, block)
            sums = [builder.sitofp(each, ir.VectorType(FLOAT, HALF)) for each in super()._sums(parts)]
            if totals:
                totals = [
                    vector_intrinsic(builder, "llvm.fma", *each) for each in zip(sums, scales, totals, strict=True)
                ]
            else:
                totals = [builder.fmul(*each) for each in zip(sums, scales, strict=True)]
        return totals

    def _scales(self, parts: list[Any], block: int) -> list[Value]:
        """What a quarter of the unit of a block is, for each of the slots."""
        builder = self.builder
        columns = self._scales_of_columns(self.of_columns, block)
        columns = builder.fmul(columns, ir.Constant(columns.type, [0.25] * columns.type.count))
        known: dict[Any, Value] = {}
        at = [self._place(part) for part in parts]
        for eight, half, four in at:
            if (eight, half) not in known:
                rows = self._scale(self.of_rows, eight, block)
                known[eight, half] = picked(builder, rows, [HALF * half + lane for lane in range(HALF)])
            if four not in known:
                known[four] = self._four(columns, four)
        return [builder.fmul(known[eight, half], known[four]) for eight, half, four in at]
