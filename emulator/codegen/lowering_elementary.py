"""The machine code of the primitives that division, roots and elementary functions are made of."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import typeof_impl

from ...isa import numerics
from ...isa.lanes import Table
from .lowering import I32, I64, PERMUTES, Constant, joined, primitive, vector_intrinsic, widen

EIGHT = 8
"""Binary64 numbers in a register of AVX-512."""


@typeof_impl.register(Table)
def _typeof_table(value: Table, c: Any) -> Constant:
    return Constant(value)


@primitive(numerics.square_root, lambda a: a)
def _square_root(builder: Any, sig: Any, a: Any) -> Any:
    return vector_intrinsic(builder, "llvm.sqrt", a)


@primitive(numerics.unsigned_quotient, joined)
def _unsigned_quotient(builder: Any, sig: Any, a: Any, b: Any) -> Any:
    return builder.udiv(
        widen(builder, a, sig.args[0], sig.return_type), widen(builder, b, sig.args[1], sig.return_type)
    )


@primitive(numerics.product_error, lambda a, b, product: product)
def _product_error(builder: Any, sig: Any, a: Any, b: Any, product: Any) -> Any:
    wide = [widen(builder, value, ty, sig.return_type) for value, ty in zip((a, b), sig.args, strict=False)]
    return vector_intrinsic(builder, "llvm.fma", *wide, builder.fneg(product))


IN_REGISTERS = 64
"""Entries of the longest table that is permuted, where the host can: from then on loads are no slower."""


@primitive(numerics.lookup, lambda table, index: index.like("float64"))
def _lookup(builder: Any, sig: Any, table: Any, index: Any) -> Any:
    values, lanes = sig.args[0].value.values, sig.return_type.lanes
    number = builder.and_(index, ir.Constant(index.type, [len(values) - 1] * lanes))
    if PERMUTES and lanes % EIGHT == 0 and 2 * EIGHT <= len(values) <= IN_REGISTERS:
        return _lookup_in_registers(builder, values.tolist(), number)
    return _lookup_in_memory(builder, repr(sig.args[0].value), values.tolist(), number)


def _lookup_in_registers(builder: Any, values: list[float], number: Any) -> Any:
    """Eight lanes pick from sixteen entries by an instruction; further bits of the number choose between these."""
    indices, entries = ir.VectorType(I64, EIGHT), ir.VectorType(ir.DoubleType(), EIGHT)
    kind = ir.FunctionType(entries, [entries, indices, entries])
    callee = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpermi2var.pd.512")
    eights = [ir.Constant(entries, values[first : first + EIGHT]) for first in range(0, len(values), EIGHT)]
    parts: list[Any] = []
    for first in range(0, number.type.count, EIGHT):
        index = builder.zext(_lanes(builder, number, first), indices)
        found = [builder.call(callee, [low, index, high]) for low, high in zip(eights[::2], eights[1::2], strict=True)]
        bit = 2 * EIGHT
        while len(found) > 1:
            masked = builder.and_(index, ir.Constant(indices, [bit] * EIGHT))
            upper = builder.icmp_unsigned("!=", masked, ir.Constant(indices, [0] * EIGHT))
            found = [builder.select(upper, two, one) for one, two in zip(found[::2], found[1::2], strict=True)]
            bit *= 2
        parts += found
    while len(parts) > 1:
        parts = [_joined(builder, *pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _lanes(builder: Any, vector: Any, first: int) -> Any:
    """Eight lanes, from `first` on."""
    places = ir.Constant(ir.VectorType(I32, EIGHT), list(range(first, first + EIGHT)))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), places)


def _joined(builder: Any, low: Any, high: Any) -> Any:
    """The lanes of one vector behind those of another."""
    count = 2 * low.type.count
    return builder.shuffle_vector(low, high, ir.Constant(ir.VectorType(I32, count), list(range(count))))


def _lookup_in_memory(builder: Any, name: str, values: list[float], number: Any) -> Any:
    """One load per lane: on today's processors no slower than their gather instructions."""
    kind = ir.ArrayType(ir.DoubleType(), len(values))
    if name not in builder.module.globals:
        constants: Any = ir.GlobalVariable(builder.module, kind, name)
        constants.global_constant, constants.linkage, constants.align = True, "internal", 64
        constants.initializer = ir.Constant(kind, values)
    start, zero = builder.module.globals[name], ir.Constant(I64, 0)
    result = ir.Constant(ir.VectorType(ir.DoubleType(), number.type.count), ir.Undefined)
    for lane in range(number.type.count):
        place = ir.Constant(I32, lane)
        offset = builder.zext(builder.extract_element(number, place), I64)
        entry = builder.gep(start, [zero, offset], inbounds=True)
        result = builder.insert_element(result, builder.load(entry, align=8), place)
    return result


@primitive(numerics.any_lane, lambda a: types.boolean)
def _any_lane(builder: Any, sig: Any, a: Any) -> Any:
    whole = ir.IntType(a.type.count)
    return builder.icmp_unsigned("!=", builder.bitcast(a, whole), ir.Constant(whole, 0))
