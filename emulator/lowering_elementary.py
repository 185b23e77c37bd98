"""The machine code of the primitives that division, roots and elementary functions are made of."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import typeof_impl

from ..isa import numerics
from ..isa.lanes import Table
from .lowering import I32, I64, Constant, joined, primitive, vector_intrinsic, widen


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


@primitive(numerics.lookup, lambda table, index: index.like("float64"))
def _lookup(builder: Any, sig: Any, table: Any, index: Any) -> Any:
    """One load per lane: on today's processors no slower than their gather instructions."""
    values, lanes = sig.args[0].value.values, sig.return_type.lanes
    kind = ir.ArrayType(ir.DoubleType(), len(values))
    name = repr(sig.args[0].value)
    if name not in builder.module.globals:
        constants: Any = ir.GlobalVariable(builder.module, kind, name)
        constants.global_constant, constants.linkage, constants.align = True, "internal", 64
        constants.initializer = ir.Constant(kind, values.tolist())
    start, zero = builder.module.globals[name], ir.Constant(I64, 0)
    number = builder.and_(index, ir.Constant(index.type, [len(values) - 1] * lanes))
    result = ir.Constant(sig.return_type.llvm, ir.Undefined)
    for lane in range(lanes):
        place = ir.Constant(I32, lane)
        offset = builder.zext(builder.extract_element(number, place), I64)
        entry = builder.gep(start, [zero, offset], inbounds=True)
        result = builder.insert_element(result, builder.load(entry, align=8), place)
    return result


@primitive(numerics.any_lane, lambda a: types.boolean)
def _any_lane(builder: Any, sig: Any, a: Any) -> Any:
    whole = ir.IntType(a.type.count)
    return builder.icmp_unsigned("!=", builder.bitcast(a, whole), ir.Constant(whole, 0))
