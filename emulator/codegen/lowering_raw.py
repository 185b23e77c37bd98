"""What the primitives of the compiled schedule become in machine code: raw memory and calls by address."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from ...isa.lanes import LANES
from ...isa.swizzle import LINE, swizzle
from ..machine import primitives
from ..machine.state import struct_types
from .lowering import I8, I32, I64, pointer, primitive, splat

CACHE_LINE = 64
LINES_TOGETHER = 8
"""Lines of `copy_lines`: after as many, the swizzle repeats."""


@primitive(primitives.call, lambda handler, warp, record: types.int64)
def _call(builder: Any, sig: Any, handler: Any, warp: Any, record: Any) -> Any:
    function = ir.FunctionType(I64, [I64, I64])
    return builder.call(builder.inttoptr(handler, function.as_pointer()), [warp, record])


@primitive(primitives.read32, lambda address: types.int64)
def _read32(builder: Any, sig: Any, address: Any) -> Any:
    return builder.zext(builder.load(pointer(builder, address, I32), align=4), I64)


@primitive(primitives.read64, lambda address: types.int64)
def _read64(builder: Any, sig: Any, address: Any) -> Any:
    return builder.load(pointer(builder, address, I64), align=8)


@primitive(primitives.write_row, lambda address, value: types.none)
def _write_row(builder: Any, sig: Any, address: Any, value: Any) -> Any:
    value = value if value.type == I32 else builder.trunc(value, I32)
    row = splat(builder, value, LANES)
    builder.store(row, pointer(builder, address, row.type), align=64)
    return ir.Constant(I8.as_pointer(), None)


@primitive(primitives.write32, lambda address, value: types.none)
def _write32(builder: Any, sig: Any, address: Any, value: Any) -> Any:
    value = value if value.type == I32 else builder.trunc(value, I32)
    builder.store(value, pointer(builder, address, I32), align=4)
    return ir.Constant(I8.as_pointer(), None)


@primitive(primitives.write64, lambda address, value: types.none)
def _write64(builder: Any, sig: Any, address: Any, value: Any) -> Any:
    builder.store(value, pointer(builder, address, I64), align=8)
    return ir.Constant(I8.as_pointer(), None)


@primitive(primitives.copy, lambda target, source, count: types.none)
def _copy(builder: Any, sig: Any, target: Any, source: Any, count: Any) -> Any:
    cgutils.raw_memcpy(builder, pointer(builder, target, I8), pointer(builder, source, I8), count, 1)
    return ir.Constant(I8.as_pointer(), None)


@primitive(primitives.copy_lines, lambda target, source, stride, ahead: types.none)
def _copy_lines(builder: Any, sig: Any, target: Any, source: Any, stride: Any, ahead: Any) -> Any:
    line = ir.VectorType(I32, LINE // 4)
    undefined = ir.Constant(line, ir.Undefined)
    for number in range(LINES_TOGETHER):
        start = builder.add(source, builder.mul(stride, ir.Constant(I64, number)))
        pieces = builder.load(pointer(builder, start, line), align=1)
        for part in range(0, LINE, CACHE_LINE):
            _prefetch(builder, builder.add(builder.add(start, ahead), ir.Constant(I64, part)))
        turned = [swizzle(LINE * number + 4 * word, 0) % LINE // 4 for word in range(line.count)]
        pieces = builder.shuffle_vector(pieces, undefined, ir.Constant(ir.VectorType(I32, line.count), turned))
        place = builder.add(target, ir.Constant(I64, LINE * number))
        builder.store(pieces, pointer(builder, place, line), align=16)
    return ir.Constant(I8.as_pointer(), None)


def _prefetch(builder: Any, address: Any) -> None:
    """Have a cache line brought near, to be read; an address where nothing is does no harm."""
    kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(), I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    arguments = [ir.Constant(I32, number) for number in (0, 3, 1)]  # to read, to keep, data
    builder.call(function, [builder.inttoptr(address, ir.PointerType()), *arguments])


@primitive(primitives.clear, lambda target, count: types.none)
def _clear(builder: Any, sig: Any, target: Any, count: Any) -> Any:
    cgutils.memset(builder, pointer(builder, target, I8), count, 0)
    return ir.Constant(I8.as_pointer(), None)


def _struct(function: Any, dtype: np.dtype[Any]) -> None:
    record = numba.from_dtype(dtype)

    @primitive(function, lambda address: record)
    def lower(builder: Any, sig: Any, address: Any) -> Any:
        return pointer(builder, address, ir.ArrayType(I8, dtype.itemsize))


for _function, _dtype in struct_types(primitives).items():
    _struct(_function, _dtype)
