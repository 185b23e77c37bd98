"""What matrix instructions become in machine code.

Every slot of D is a vector that takes one fused multiply-add for each k in turn: the product exact, the sum rounded
once. Where the elements lie comes from the fragments' lane maps alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from ...isa import matrix
from ...isa.fragments import places
from ...isa.lanes import LANES
from ...isa.matrix import MatrixForm
from . import matrix_formats
from .lowering import FLOAT, I32, Builder, LaneVector, Value, primitive, vector_intrinsic
from .matrix_formats import dot, factor_of, result_bits, scale_of, widen

FEATURES = llvm.get_host_cpu_features()
HALF = LANES // 2
HALVES = 2
"""Vectors of half a warp are what the widest hosts have registers for."""
TOGETHER = 16 if FEATURES.get("avx512f") else 4
"""Vectors of sums kept at once: as many as the host's registers hold."""
MIDDLE = 0x80808080
"""By how much signed and unsigned bytes differ."""
Words = list[Value]
"""The registers of an operand, as <32 x i32>."""


def registers_of(form: Any) -> Any:
    """The type of D, of a static form."""
    one, words = LaneVector("uint32", LANES), form.value.d.words
    return one if words == 1 else types.UniTuple(one, words)


@primitive(matrix.multiply, lambda a, b, c, form: registers_of(form))
def _multiply(builder: Builder, sig: Any, a: Value, b: Value, c: Value, form: Value) -> Value:
    a, b, c = (words_of(builder, ty, value) for ty, value in zip(sig.args, (a, b, c), strict=False))
    form = sig.args[-1].value
    kind = _ByteProduct if form.result.name == "i32" and matrix_formats.HAS_DOT else Product
    return kind(builder, form).emit(a, b, c)


@primitive(matrix.multiply_sparse, lambda a, b, c, e, select, form: registers_of(form))
def _multiply_sparse(builder: Builder, sig: Any, a: Value, b: Value, c: Value, e: Value, *rest: Value) -> Value:
    a, b, c = (words_of(builder, ty, value) for ty, value in zip(sig.args, (a, b, c), strict=False))
    if isinstance(sig.args[4], LaneVector):
        select = builder.extract_element(rest[0], ir.Constant(I32, 0))
    else:
        select = ir.Constant(I32, 0)
    return _SparseProduct(builder, sig.args[-1].value, e, select).emit(a, b, c)


def words_of(builder: Builder, ty: Any, value: Value) -> Words:
    """The registers of an operand of a body."""
    return cgutils.unpack_tuple(builder, value, len(ty)) if isinstance(ty, types.BaseTuple) else [value]


class Product:
    """One matrix product under construction.

    Four neighbouring lanes hold one row of A, and the same row of D; in every such four stand the same columns of D.
    So a step takes one element of A's row in all of its four lanes, and four columns of B in all fours of the warp.
    Elements are widened where they are first needed, or there would be more of them at a time than registers.
    """

    def __init__(self, builder: Builder, form: MatrixForm, scales: tuple[Value, Value] | None = None):
        self.builder, self.form, self.scales = builder, form, scales
        columns = places(form.d)[1][:, :4, :].transpose(0, 2, 1)
        self.order: list[int] = list(dict.fromkeys(columns.ravel().tolist()))
        """B's columns in the order in which D's slots have them."""
        row, column = places(form.a)
        self.places_of_a = {(r // 8, k): at for at, r, k in _elements(row, column) if r % 8 == 0}
        """For each [8 rows, k] the register, which of the four lanes of a row, and the position in it."""
        self.steps: Sequence[int] = range(form.b.rows)
        """The values of k, or the first one of those that are added at once."""
        self.widened: dict[Any, Value] = {}

    def emit(self, a: Words, b: Words, c: Words) -> Value:
        """D as a body returns it."""
        registers = self.registers(a, b, c)
        return registers[0] if len(registers) == 1 else cgutils.pack_array(self.builder, registers)

    def registers(self, a: Words, b: Words, c: Words) -> list[Value]:
        """The registers of D."""
        self.a, self.b = a, self._words_of_columns(b)
        slots = list(np.ndindex(self.form.d.words, self.form.d.width))
        parts = [(slot, half) for slot in slots for half in range(HALVES)]
        sums: dict[Any, Value] = {}
        for first in range(0, len(parts), TOGETHER):
            some = parts[first : first + TOGETHER]
            sums |= zip(some, self._sums(some), strict=True)
        whole = {slot: self._whole([sums[slot, half] for half in range(HALVES)]) for slot in slots}
        totals = [self._total(whole[number, position], c[number], position) for number, position in slots]
        return self._finished(totals)

    def _words_of_columns(self, words: Words) -> Words:
        """B's registers rearranged: for each word along k all columns, in `order`."""
        where = {(k, n): (at[0], at[1]) for at, k, n in _elements(*places(self.form.b))}
        starts = range(0, self.form.b.rows, self.form.b.width)
        return [gather(self.builder, words, [where[k, n] for n in self.order]) for k in starts]

    def _of_a(self, register: int, position: int) -> Value:
        """Elements of A as binary32, row p of eight in lanes 4*p to 4*p + 3."""
        if ("a", register, position) not in self.widened:
            value = widen(self.builder, self.a[register], self.form.left, position)
            if self.scales:
                row, column = (int(number[register, 0, 0]) for number in places(self.form.a))
                value = self.builder.fmul(value, self._scale(self.scales[0], row // 8, column // matrix.BLOCK))
            self.widened["a", register, position] = value
        return self.widened["a", register, position]

    def _of_b(self, k: int) -> Value:
        """Row k of B as binary32, in `order`."""
        if ("b", k) not in self.widened:
            word, position = divmod(k, self.form.b.width)
            value = widen(self.builder, self.b[word], self.form.right, position)
            if self.scales:
                value = self.builder.fmul(value, self._scales_of_columns(self.scales[1], k // matrix.BLOCK))
            self.widened["b", k] = value
        return self.widened["b", k]

    def _scales_of_columns(self, word: Value, block: int) -> Value:
        if ("scales", block) not in self.widened:
            eights = [self._scale(word, eight, block) for eight in range(self.form.n // 8)]
            found = gather(self.builder, eights, [(n // 8, n % 8 * 4) for n in self.order])
            self.widened["scales", block] = found
        return self.widened["scales", block]

    def _scale(self, word: Value, eight: int, block: int) -> Value:
        """The scales of one block and 8 rows or columns, each in the four lanes of its own."""
        return scale_of(self.builder, word, 2 * eight + block)

    def _sums(self, parts: list[Any]) -> list[Value]:
        """Some slots of A * B, half a warp each."""
        at = [self._place(part) for part in parts]
        first = self._start()
        sums = [self._four(first, four) for _, _, four in at]
        for k in self.steps:
            known: dict[Any, Value] = {}
            for number, (eight, half, four) in enumerate(at):
                left = self._left(known, k, eight, half, four)
                if four not in known:
                    known[four] = self._four(self._of_b(k), four)
                sums[number] = self._add(left, known[four], sums[number])
        return sums

    def _place(self, part: Any) -> tuple[int, int, int]:
        """Where a slot's half lies: which 8 rows and which half of them, and where in `order` its columns begin."""
        (register, position), half = part
        down, across = (int(number[register, 0, position]) for number in places(self.form.d))
        return down // 8, half, self.order.index(across)

    def _start(self) -> Value:
        """What the sums begin with, for all columns."""
        return ir.Constant(ir.VectorType(FLOAT, self.form.n), [0.0] * self.form.n)

    def _add(self, left: Value, right: Value, total: Value) -> Value:
        """total + left * right, for a step along k."""
        return vector_intrinsic(self.builder, "llvm.fma", left, right, total)

    def _left(self, known: dict[Any, Value], k: int, eight: int, half: int, four: int) -> Value:
        """Element k of the rows of A in half a warp; `known` are those of this k."""
        if (eight, half) not in known:
            known[eight, half] = self._row(k, eight, half)
        return known[eight, half]

    def _row(self, k: int, eight: int, half: int) -> Value:
        """Element k of each row, in the four lanes of its own."""
        register, at, position = self.places_of_a[eight, k]
        lanes = [HALF * half + lane // 4 * 4 + at for lane in range(HALF)]
        return picked(self.builder, self._of_a(register, position), lanes)

    def _four(self, vector: Value, first: int) -> Value:
        """Four columns of a vector over all columns, in every four lanes."""
        return picked(self.builder, vector, [first + lane % 4 for lane in range(HALF)])

    def _whole(self, halves: list[Value]) -> Value:
        return self.builder.shuffle_vector(*halves, _mask(range(LANES)))

    def _total(self, total: Value, c: Value, position: int) -> Value:
        """sum + C, as integers or as binary32."""
        builder, row = self.builder, ir.VectorType(I32, LANES)
        if self.form.result.name == "i32":
            number = builder.fptosi(total, row) if total.type != row else total
            return (
                vector_intrinsic(builder, "llvm.sadd.sat", number, c) if self.form.saturate else builder.add(number, c)
            )
        factor = factor_of(self.form.left) * factor_of(self.form.right)
        if factor != 1:
            total = builder.fmul(total, ir.Constant(total.type, [factor] * LANES))
        return builder.fadd(total, widen(builder, c, self.form.result, position))

    def _finished(self, totals: list[Value]) -> list[Value]:
        """D from the totals of its slots."""
        if self.form.result.name == "i32":
            return totals
        halves = result_bits(self.builder, totals, self.form.result)
        if self.form.d.width == 1:
            return halves
        upper = ir.Constant(halves[0].type, [16] * LANES)
        pairs = zip(halves[::2], halves[1::2], strict=True)
        return [self.builder.or_(low, self.builder.shl(high, upper)) for low, high in pairs]


class _ByteProduct(Product):
    """Integers of 8 bits where the host adds the four products of two words to a third: no element is taken out.

    The host multiplies unsigned by signed bytes. If both are of one kind, A's move by 128 to the other one, and the
    sums begin with what that adds: 128 times each column's sum, which is again such a product.
    """

    def __init__(self, builder: Builder, form: MatrixForm):
        super().__init__(builder, form)
        self.steps = range(0, form.k, 4)

    @property
    def _alike(self) -> bool:
        return self.form.left.name == self.form.right.name

    def _of_a(self, register: int, position: int) -> Value:
        word = self.a[register]
        return self.builder.xor(word, ir.Constant(word.type, [MIDDLE] * LANES)) if self._alike else word

    def _of_b(self, k: int) -> Value:
        return self.b[k // 4]

    def _start(self) -> Value:
        row = ir.VectorType(I32, self.form.n)
        total = ir.Constant(row, [0] * self.form.n)
        if not self._alike:
            return total
        for column in self.b:
            total = self._add(ir.Constant(row, [MIDDLE] * self.form.n), column, total)
        return self.builder.neg(total)

    def _add(self, left: Value, right: Value, total: Value) -> Value:
        unsigned, signed = (right, left) if self.form.right.name == "u8" else (left, right)
        return dot(self.builder, unsigned, signed, total)


class _SparseProduct(Product):
    """The same where each value of B picks one of four along A's row, in every column another one."""

    def __init__(self, builder: Builder, form: MatrixForm, places_of: Value, select: Value):
        super().__init__(builder, form)
        self.meta = [self._meta(places_of, select, part) for part in range(form.lanes_per_column)]

    def _meta(self, word: Value, select: Value, part: int) -> Value:
        """For 16 values of k the places of all columns, in `order`: 16 bits each."""
        builder, count = self.builder, self.form.lanes_per_column
        choices = [
            picked(builder, word, [n % 8 * 4 + chosen * count + part for n in self.order])
            for chosen in range(4 // count)
        ]
        found = choices[0]
        for number, other in enumerate(choices[1:], 1):
            found = builder.select(builder.icmp_unsigned("==", select, ir.Constant(I32, number)), other, found)
        return builder.lshr(found, ir.Constant(found.type, [n // 8 * 16 for n in self.order]))

    def _left(self, known: dict[Any, Value], k: int, eight: int, half: int, four: int) -> Value:
        builder = self.builder
        found = self._choice(known, k, eight, half, 0)
        if (four, "place") not in known:
            bits = builder.lshr(self.meta[k // 8], ir.Constant(self.meta[0].type, [2 * (k % 8)] * self.form.n))
            known[four, "place"] = self._four(builder.and_(bits, ir.Constant(bits.type, [3] * self.form.n)), four)
        place = known[four, "place"]
        for number in range(1, 4):
            here = builder.icmp_unsigned("==", place, ir.Constant(place.type, [number] * HALF))
            found = builder.select(here, self._choice(known, k, eight, half, number), found)
        return found

    def _choice(self, known: dict[Any, Value], k: int, eight: int, half: int, number: int) -> Value:
        """One of the four values of A that B's value k may belong to."""
        if (eight, half, number) not in known:
            known[eight, half, number] = self._row(k // 2 * 4 + number, eight, half)
        return known[eight, half, number]


def _elements(row: Any, column: Any) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """The place, row and column of every element of a fragment."""
    return zip(np.ndindex(row.shape), row.ravel().tolist(), column.ravel().tolist(), strict=True)


def picked(builder: Builder, vector: Value, lanes: list[int]) -> Value:
    """The vector of these elements of another one."""
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), _mask(lanes))


def gather(builder: Builder, sources: Sequence[Value], picks: Sequence[tuple[int, int]]) -> Value:
    """The vector whose elements are `sources[source][element]` for each pick; each half is made of few sources."""
    used = sorted({source for source, _ in picks})
    if len(used) > 2:
        middle = len(picks) // 2
        halves = [gather(builder, sources, part) for part in (picks[:middle], picks[middle:])]
        return builder.shuffle_vector(*halves, _mask(range(len(picks))))
    first, second = sources[used[0]], sources[used[-1]]
    lanes = [element + (first.type.count if source != used[0] else 0) for source, element in picks]
    return builder.shuffle_vector(first, second, _mask(lanes))


def _mask(lanes: Any) -> ir.Constant:
    numbers = list(lanes)
    return ir.Constant(ir.VectorType(I32, len(numbers)), numbers)
