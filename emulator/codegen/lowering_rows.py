"""What matrix loads become in machine code: addresses of rows, 16 bytes at each, and tiles transposed."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from ...isa import matrix_loads
from ...isa.lanes import LANES
from ...isa.matrix_loads import ROW_BYTES
from ...isa.swizzle import Rows
from .lowering import I32, I64, ROW_TYPE, WIDE, Builder, LaneVector, Value, concatenated, primitive, splat

QUAD = ir.VectorType(I32, 4)


def _range(count: int) -> Any:
    one = LaneVector("uint32", LANES)
    return one if count == 1 else types.UniTuple(one, count)


@primitive(matrix_loads.load_rows, lambda at, tiles: _range(tiles.value.registers))
def _load_rows(builder: Builder, sig: Any, at: Value, tiles: Value) -> Value:
    dense, first, pointers = (builder.extract_value(at, n) for n in range(3))
    number = sig.args[1].value.registers
    results = [cgutils.alloca_once(builder, ROW_TYPE) for _ in range(number)]
    with builder.if_else(dense) as (then, otherwise):
        with then:
            for n, result in enumerate(results):
                start = builder.add(first, ir.Constant(I64, 8 * ROW_BYTES * n))
                builder.store(builder.load(builder.inttoptr(start, ROW_TYPE.as_pointer()), align=ROW_BYTES), result)
        with otherwise:
            for n, result in enumerate(results):
                rows: list[Value] = []
                for lane in range(8 * n, 8 * n + 8):
                    start = builder.inttoptr(
                        builder.extract_element(pointers, ir.Constant(I32, lane)), QUAD.as_pointer()
                    )
                    rows.append(builder.load(start, align=ROW_BYTES))
                builder.store(concatenated(builder, rows), result)
    values = [builder.load(result) for result in results]
    return values[0] if number == 1 else cgutils.pack_array(builder, values)


@primitive(matrix_loads.store_rows, lambda at, registers, tiles: types.none)
def _store_rows(builder: Builder, sig: Any, at: Value, registers: Value, tiles: Value) -> Value:
    dense, first, pointers = (builder.extract_value(at, n) for n in range(3))
    count = sig.args[2].value.registers
    words = cgutils.unpack_tuple(builder, registers, count) if count > 1 else [registers]
    undefined = ir.Constant(ROW_TYPE, ir.Undefined)
    with builder.if_else(dense) as (then, otherwise):
        with then:
            for n, word in enumerate(words):
                start = builder.add(first, ir.Constant(I64, 8 * ROW_BYTES * n))
                builder.store(word, builder.inttoptr(start, ROW_TYPE.as_pointer()), align=ROW_BYTES)
        with otherwise:
            for lane in range(8 * count):
                lanes = ir.Constant(QUAD, [lane % 8 * 4 + n for n in range(4)])
                row = builder.shuffle_vector(words[lane // 8], undefined, lanes)
                start = builder.extract_element(pointers, ir.Constant(I32, lane))
                builder.store(row, builder.inttoptr(start, QUAD.as_pointer()), align=ROW_BYTES)
    return ir.Constant(ir.IntType(8).as_pointer(), None)


class _Numbers:
    """32 numbers of 32 bits in machine code, for functions written for integers: those of `isa/swizzle.py`."""

    def __init__(self, builder: Builder, value: Value):
        self.builder, self.value = builder, value

    def _with(self, operation: str, other: _Numbers | int) -> _Numbers:
        right = other.value if isinstance(other, _Numbers) else ir.Constant(ROW_TYPE, [other] * LANES)
        return _Numbers(self.builder, getattr(self.builder, operation)(self.value, right))

    def __add__(self, other: _Numbers | int) -> _Numbers:
        return self._with("add", other)

    def __sub__(self, other: int) -> _Numbers:
        return self._with("sub", other)

    def __mul__(self, other: _Numbers | int) -> _Numbers:
        return self._with("mul", other)

    def __floordiv__(self, other: int) -> _Numbers:
        return self._with("udiv", other)

    def __mod__(self, other: int) -> _Numbers:
        return self._with("urem", other)

    def __and__(self, other: _Numbers | int) -> _Numbers:
        return self._with("and_", other)

    def __xor__(self, other: _Numbers | int) -> _Numbers:
        return self._with("xor", other)

    def __lshift__(self, other: int) -> _Numbers:
        return self._with("shl", other)

    def __rshift__(self, other: int) -> _Numbers:
        return self._with("lshr", other)

    __radd__, __rmul__ = __add__, __mul__


def swizzled_rows(builder: Builder, point: Value, more: Value, rows: Rows) -> Value:
    """The address of each row of four swizzled tiles, <32 x i64>: what `rows` says of each lane, in 32 bits."""

    def scalar(vector: Value) -> _Numbers:
        return _Numbers(builder, splat(builder, builder.extract_element(vector, ir.Constant(I32, 0)), LANES))

    lane = _Numbers(builder, ir.Constant(ROW_TYPE, list(range(LANES))))
    return builder.zext(rows(lane, scalar(point), scalar(more)).value, WIDE)


def repeated_rows(builder: Builder, addresses: Value, rows: int, step: int) -> Value:
    """The addresses of the first lanes in all lanes, `step` bytes further each time."""
    lanes = ir.Constant(ROW_TYPE, [lane % rows for lane in range(LANES)])
    found = builder.shuffle_vector(addresses, ir.Constant(WIDE, ir.Undefined), lanes)
    return builder.add(found, ir.Constant(WIDE, [lane // rows * step for lane in range(LANES)]))


@primitive(matrix_loads.transposed, lambda registers, tiles: registers)
def _transposed(builder: Builder, sig: Any, registers: Value, tiles: Value) -> Value:
    count, width = sig.args[1].value.registers, sig.args[1].value.transposed
    if width == 0:
        return registers
    words = cgutils.unpack_tuple(builder, registers, count) if count > 1 else [registers]
    side, together = 128 // width, 16 // width
    found: list[Value] = []
    for first in range(0, len(words), together):
        tile = concatenated(builder, words[first : first + together])
        elements = builder.bitcast(tile, ir.VectorType(ir.IntType(width), side * side))
        mask = ir.Constant(ir.VectorType(I32, side * side), [side * (n % side) + n // side for n in range(side * side)])
        turned = builder.shuffle_vector(elements, ir.Constant(elements.type, ir.Undefined), mask)
        turned = builder.bitcast(turned, tile.type)
        for part in range(together):
            lanes = ir.Constant(ROW_TYPE, list(range(LANES * part, LANES * part + LANES)))
            found.append(builder.shuffle_vector(turned, ir.Constant(turned.type, ir.Undefined), lanes))
    return cgutils.pack_array(builder, found) if count > 1 else found[0]
