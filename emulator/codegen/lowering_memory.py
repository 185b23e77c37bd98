"""What the memory accesses of instruction bodies become in machine code: load, store, atomics.

A `Place` is dense, rows from its first address on, or one host pointer per lane; the pointers of inactive lanes
go to the warp's scratch bytes. Atomics note in the launch whether they change what they point to (`livelock`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import lower_builtin, models, register_model, type_callable

from ...isa import reference
from ...isa.widths import Width
from ..machine.state import ASKED, CHANGED
from .lowering import (
    I1,
    I8,
    I32,
    I64,
    PRIMITIVES,
    Builder,
    LaneVector,
    Value,
    concatenated,
    pointer,
    primitive,
    splat,
)

FOUR = 4
"""Lanes that hold a row of a matrix result."""


class Place(types.Type):
    """Where a memory instruction points: dense rows at `first`, or one host pointer per lane."""

    def __init__(self, lanes: int):
        self.lanes = lanes
        super().__init__(name=f"Place{lanes}")


@register_model(Place)
class _PlaceModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Place):
        super().__init__(manager, fe_type, place_type(fe_type.lanes))


def place_type(lanes: int) -> ir.Type:
    """{dense, first host address, host address per lane, active lanes, where to note that atomics change something}."""
    return ir.LiteralStructType([I1, I64, ir.VectorType(I64, lanes), I32, I64])


def load_type(at: Any, width: Any) -> Any:
    """The type of a load's value."""
    one, words = LaneVector("uint32", at.lanes), width.value.kind.words
    return one if words == 1 else types.UniTuple(one, words)


def _item(width: Width) -> ir.IntType:
    return ir.IntType(8 * width.item)


def _every(words: int, word: int, lanes: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(I32, lanes), [lane * words + word for lane in range(lanes)])


@primitive(reference.load, load_type)
def _load(builder: Any, sig: Any, at: Any, width_value: Any) -> Any:
    values = load_rows(builder, at, sig.args[1].value, sig.args[0].lanes)
    return values[0] if len(values) == 1 else cgutils.pack_array(builder, values)


def load_rows(builder: Builder, at: Value, width: Width, lanes: int) -> list[Value]:
    """What a Place points to, as a vector for each register."""
    words, item = width.kind.words, _item(width)
    dense, first, pointers = (builder.extract_value(at, n) for n in range(3))
    row, items = ir.VectorType(I32, lanes), ir.VectorType(item, lanes * words)
    place = cgutils.alloca_once(builder, items)
    with builder.if_else(dense) as (then, otherwise):
        with then:
            builder.store(builder.load(pointer(builder, first, items), align=1), place)
        with otherwise:
            parts: list[Value] = []
            for lane in range(lanes):
                host = builder.extract_element(pointers, ir.Constant(I32, lane))
                parts.append(builder.load(pointer(builder, host, ir.VectorType(item, words)), align=1))
            builder.store(concatenated(builder, parts), place)
    block = builder.load(place)
    undefined = ir.Constant(items, ir.Undefined)
    columns = [builder.shuffle_vector(block, undefined, _every(words, word, lanes)) for word in range(words)]
    return [_extend(builder, column, row, width.signed) for column in columns]


def _extend(builder: Any, value: Any, target: Any, signed: bool) -> Any:
    if value.type == target:
        return value
    return (builder.sext if signed else builder.zext)(value, target)


@primitive(reference.store, lambda at, value, width: types.none)
def _store(builder: Any, sig: Any, at: Any, value: Any, width_value: Any) -> Any:
    width, lanes = sig.args[2].value, sig.args[0].lanes
    words, item = width.kind.words, _item(width)
    dense, first, pointers = (builder.extract_value(at, n) for n in range(3))
    rows = [value] if words == 1 else cgutils.unpack_tuple(builder, value, words)
    narrow = ir.VectorType(item, lanes)
    rows = [row if item == I32 else builder.trunc(row, narrow) for row in rows]
    with builder.if_else(dense) as (then, otherwise):
        with then:
            builder.store(
                _interleave(builder, rows), pointer(builder, first, ir.VectorType(item, lanes * words)), align=1
            )
        with otherwise:
            if lanes < FOUR:
                _store_lanes(builder, pointers, rows, 1)
            else:
                with builder.if_else(_fours(builder, pointers, width.item * words)) as (fours, single):
                    with fours:
                        _store_lanes(builder, pointers, rows, FOUR)
                    with single:
                        _store_lanes(builder, pointers, rows, 1)
    return ir.Constant(I8.as_pointer(), None)


def _fours(builder: Builder, pointers: Value, size: int) -> Value:
    """Whether lanes point to places one behind the other in every four, as results of matrix instructions lie."""
    row, lanes = pointers.type, range(pointers.type.count)
    firsts = ir.Constant(ir.VectorType(I32, row.count), [lane // FOUR * FOUR for lane in lanes])
    steps = builder.sub(pointers, builder.shuffle_vector(pointers, ir.Constant(row, ir.Undefined), firsts))
    even = builder.icmp_unsigned("==", steps, ir.Constant(row, [lane % FOUR * size for lane in lanes]))
    every = ir.IntType(row.count)
    return builder.icmp_unsigned("==", builder.bitcast(even, every), ir.Constant(every, (1 << row.count) - 1))


def _store_lanes(builder: Builder, pointers: Value, rows: list[Value], together: int) -> None:
    """Store some lanes at a time, in their order."""
    block, count = _interleave(builder, rows), together * len(rows)
    undefined = ir.Constant(block.type, ir.Undefined)
    for lane in range(0, pointers.type.count, together):
        host = builder.extract_element(pointers, ir.Constant(I32, lane))
        items = ir.Constant(ir.VectorType(I32, count), [lane * len(rows) + number for number in range(count)])
        part = builder.shuffle_vector(block, undefined, items)
        builder.store(part, pointer(builder, host, part.type), align=1)


def _interleave(builder: Builder, rows: list[Value]) -> Value:
    """Rows a, b, ... as a0 b0 ... a1 b1 ...; a power of two of them."""
    while len(rows) > 1:
        half, count = len(rows) // 2, rows[0].type.count
        zipped = ir.Constant(ir.VectorType(I32, 2 * count), [n // 2 + n % 2 * count for n in range(2 * count)])
        rows = [builder.shuffle_vector(a, b, zipped) for a, b in zip(rows[:half], rows[half:], strict=True)]
    return rows[0]


def _one_by_one(
    builder: Builder, at: Value, element: ir.IntType, operands: list[Value], new: Callable[..., Value]
) -> Value:
    """Read and replace what the active lanes point to, one lane after the other; what they held.

    Whether that changes anything is looked at only where the launch asks: it makes the loop slower by a fifth.
    """
    note = pointer(builder, builder.extract_value(at, 4), I64)
    held = cgutils.alloca_once_value(builder, ir.Constant(ir.VectorType(element, at.type.elements[2].count), None))
    asked = builder.icmp_unsigned("==", builder.load(note), ir.Constant(I64, ASKED))
    with builder.if_else(asked, likely=False) as (noting, plain):
        with noting:
            changes = _each_lane(builder, at, operands, new, held, noted=True)
            changed = builder.icmp_unsigned("!=", changes, ir.Constant(element, 0))
            builder.store(builder.select(changed, ir.Constant(I64, CHANGED), ir.Constant(I64, ASKED)), note)
        with plain:
            _each_lane(builder, at, operands, new, held, noted=False)
    return builder.load(held)


def _each_lane(
    builder: Builder, at: Value, operands: list[Value], new: Callable[..., Value], held: Value, *, noted: bool
) -> Value:
    """The loop over active lanes, which fills in `held`; if `noted`, the bits that it has changed in any lane."""
    pointers, mask = builder.extract_value(at, 2), builder.extract_value(at, 3)
    element = held.type.pointee.element
    columns = [cgutils.alloca_once_value(builder, operand) for operand in [pointers, *operands]]
    left = cgutils.alloca_once_value(builder, mask)
    changes = cgutils.alloca_once_value(builder, ir.Constant(element, 0))

    def item(column: Value, lane: Value) -> Value:
        first = builder.bitcast(column, column.type.pointee.element.as_pointer())
        return builder.gep(first, [lane])

    condition, body, done = (builder.append_basic_block(name) for name in ("lanes", "lane", "done"))
    builder.branch(condition)
    builder.position_at_end(condition)
    builder.cbranch(builder.icmp_unsigned("!=", builder.load(left), ir.Constant(I32, 0)), body, done)
    builder.position_at_end(body)
    lane = builder.cttz(builder.load(left), ir.Constant(I1, 1))
    builder.store(builder.and_(builder.load(left), builder.sub(builder.load(left), ir.Constant(I32, 1))), left)
    place = pointer(builder, builder.load(item(columns[0], lane)), element)
    old = builder.load(place)
    builder.store(old, item(held, lane))
    replaced = new(old, *[builder.load(item(column, lane)) for column in columns[1:]])
    builder.store(replaced, place)
    if noted:
        builder.store(builder.or_(builder.load(changes), builder.xor(old, replaced)), changes)
    builder.branch(condition)
    builder.position_at_end(done)
    return builder.load(changes)


@type_callable(reference.atomic)
def _type_atomic(context: Any) -> Any:
    def typer(at: Any, item: Any, update: Any, a: Any) -> Any:
        one = LaneVector(item.value.dtype, 1)
        update.get_call_type(context, (one, one), {})  # compiles the update for one lane
        return LaneVector(item.value.dtype, at.lanes)

    return typer


PRIMITIVES.add(reference.atomic)


@lower_builtin(reference.atomic, types.Any, types.Any, types.Any, types.Any)
def _atomic(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    at, _, _, a = args
    one = LaneVector(sig.return_type.dtype, 1)
    function = context.get_function(sig.args[2], signature(one, one, one))
    context.add_linking_libs(getattr(function, "libs", ()))

    def new(old: Value, mine: Value) -> Value:
        result = function(builder, [splat(builder, value, 1) for value in (old, mine)])
        return builder.extract_element(result, ir.Constant(I32, 0))

    return _one_by_one(builder, at, one.llvm.element, [a], new)


@primitive(reference.compare_exchange, lambda at, item, a, b: LaneVector(item.value.dtype, at.lanes))
def _compare_exchange(builder: Any, sig: Any, at: Any, item: Any, a: Any, b: Any) -> Any:
    def new(old: Value, wanted: Value, given: Value) -> Value:
        return builder.select(builder.icmp_unsigned("==", old, wanted), given, old)

    return _one_by_one(builder, at, sig.return_type.llvm.element, [a, b], new)
