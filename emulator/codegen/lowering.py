"""What the vocabulary of instruction bodies becomes in machine code: lane values as LLVM vectors.

A lane value of N lanes is the LLVM vector <N x element>; one-lane values spread where they meet wider
ones, as numpy arrays do. The modules beside this one add to it: memory, raw memory of the schedule, matrices. They and
`compiler` import numba, and only when something must be compiled: a warm start loads machine code from the cache.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_cast, lower_constant, lower_getattr_generic
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature
from numba.extending import lower_builtin, models, register_model, type_callable, typeof_impl

from ...isa import numerics, rounding
from ...isa.formats import Format
from ...isa.lanes import LANES, LaneKind

Value: TypeAlias = Any
Builder: TypeAlias = Any
"""An llvmlite value and an IR builder: llvmlite has no types, and those inferred from its source are wrong."""
_infer_global: Any = infer_global  # its inferred result, None or a decorator, fits neither use

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
FLOAT = ir.FloatType()
ROW_TYPE, WIDE = ir.VectorType(I32, LANES), ir.VectorType(I64, LANES)
"""32 lanes of 32 bits, a row of a warp; and of 64, addresses."""
ELEMENTS: dict[str, ir.Type] = {
    "bool": I1,
    "uint8": I8,
    "int16": I16,
    "uint16": I16,
    "int32": I32,
    "uint32": I32,
    "int64": I64,
    "uint64": I64,
    "float32": FLOAT,
    "float64": ir.DoubleType(),
}


class LaneVector(types.Type):
    """A lane value: `lanes` elements of one numpy type."""

    def __init__(self, dtype: Any, lanes: int):
        self.dtype, self.lanes = np.dtype(dtype), lanes
        super().__init__(name=f"{self.dtype.name}x{lanes}")

    @property
    def llvm(self) -> ir.VectorType:
        """The LLVM type."""
        return ir.VectorType(ELEMENTS[self.dtype.name], self.lanes)

    def like(self, dtype: Any) -> LaneVector:
        """As many lanes of another element."""
        return LaneVector(dtype, self.lanes)

    @property
    def bits(self) -> LaneVector:
        """As many lanes of unsigned integers of the same width."""
        return self.like(f"u{self.dtype.itemsize}")


class Constant(types.Type):
    """The type of one value known while compiling, such as a lane kind or a memory width."""

    def __init__(self, value: Any):
        self.value = value
        super().__init__(name=f"Constant({value!r})")


@register_model(LaneVector)
class _LaneVectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: LaneVector):
        super().__init__(manager, fe_type, fe_type.llvm)


@register_model(Constant)
class _ConstantModel(models.OpaqueModel):
    pass


@typeof_impl.register(LaneKind)
@typeof_impl.register(Format)
def _typeof_constant(value: LaneKind | Format, c: Any) -> Constant:
    return Constant(value)


@lower_constant(Constant)
def _constant(context: Any, builder: Any, ty: Any, value: Any) -> Any:
    return context.get_dummy_value()


@infer_getattr
class _ConstantAttribute(AttributeTemplate):
    """An attribute of a constant is a number known while compiling."""

    key = Constant

    def generic_resolve(self, typ: Constant, attr: str) -> Any:
        return types.int64 if isinstance(getattr(typ.value, attr, None), int) else None


@lower_getattr_generic(Constant)
def _constant_attribute(context: Any, builder: Any, ty: Any, value: Any, attr: str) -> Any:
    return ir.Constant(I64, getattr(ty.value, attr))


def splat(builder: Builder, scalar: Value, lanes: int) -> Value:
    """The vector with `scalar` in every lane."""
    vector = ir.VectorType(scalar.type, lanes)
    if isinstance(scalar, ir.Constant):
        return ir.Constant(vector, [scalar.constant] * lanes)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(I32, 0))
    return spread(builder, first, lanes)


def spread(builder: Builder, vector: Value, lanes: int) -> Value:
    """Lane 0 of a vector in `lanes` lanes."""
    undefined = ir.Constant(vector.type, ir.Undefined)
    return builder.shuffle_vector(vector, undefined, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def concatenated(builder: Builder, parts: list[Value]) -> Value:
    """Vectors of one size, one behind the other; their number is a power of two."""
    while len(parts) > 1:
        size = 2 * parts[0].type.count
        mask = ir.Constant(ir.VectorType(I32, size), list(range(size)))
        parts = [builder.shuffle_vector(*pair, mask) for pair in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def pointer(builder: Builder, address: Value, pointee: ir.Type) -> Value:
    """A host address as a pointer."""
    return builder.inttoptr(address, pointee.as_pointer())


def widen(builder: Builder, value: Value, ty: Any, target: LaneVector) -> Value:
    """A lane value or Python scalar as a lane value with `target`'s lanes and element."""
    if isinstance(ty, LaneVector):
        return value if ty.lanes == target.lanes else spread(builder, value, target.lanes)
    element = target.llvm.element
    if isinstance(ty, types.Boolean):
        value = value if value.type == I1 else builder.trunc(value, I1)
    elif isinstance(ty, types.Integer) and isinstance(element, ir.IntType):
        value = builder.trunc(value, element) if value.type.width > element.width else value
        value = builder.sext(value, element) if value.type.width < element.width else value
    elif isinstance(ty, types.Integer):
        value = builder.sitofp(value, element)
    elif isinstance(ty, types.Float) and value.type != element:
        value = builder.fptrunc(value, element)
    return splat(builder, value, target.lanes)


def joined(a: Any, b: Any) -> LaneVector | None:
    """The lane type two operands of an operator meet in."""
    if isinstance(a, LaneVector) and isinstance(b, LaneVector):
        return LaneVector(a.dtype, max(a.lanes, b.lanes)) if a.dtype == b.dtype else None
    if isinstance(a, LaneVector) and isinstance(b, types.Number | types.Boolean):
        return a
    return b if isinstance(b, LaneVector) and isinstance(a, types.Number) else None


def _binary(python: Any, emit: Callable[..., Any], *, compares: bool = False) -> None:
    @_infer_global(python)
    class Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) != 2 or kws:
                return None
            lanes = joined(*args)
            if lanes is None:
                return None
            return signature(lanes.like("bool") if compares else lanes, *args)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes = joined(*sig.args)
        assert lanes is not None
        values = [widen(builder, value, ty, lanes) for value, ty in zip(args, sig.args, strict=True)]
        return emit(builder, lanes.dtype.kind, *values)

    for pair in (
        (LaneVector, LaneVector),
        (LaneVector, types.Number),
        (types.Number, LaneVector),
        (LaneVector, types.Boolean),
    ):
        lower_builtin(python, *pair)(lower)


def _arithmetic(integer: str, floating: str) -> Callable[..., Any]:
    return lambda b, kind, x, y: getattr(b, floating if kind == "f" else integer)(x, y)


def shift(builder: Builder, instruction: str, value: Value, count: Value) -> Value:
    """A shift that is defined for every count: past the width 0, or the sign for ashr."""
    width = value.type.element.width
    limit = ir.Constant(value.type, [width - 1] * value.type.count)
    small = builder.icmp_unsigned("<=", count, limit)
    if instruction == "ashr":
        return builder.ashr(value, builder.select(small, count, limit))
    zero = ir.Constant(value.type, [0] * value.type.count)
    return builder.select(small, getattr(builder, instruction)(value, builder.select(small, count, zero)), zero)


def _compare(op: str) -> Callable[..., Any]:
    def emit(builder: Any, kind: str, x: Any, y: Any) -> Any:
        if kind == "f":
            return builder.fcmp_unordered(op, x, y) if op == "!=" else builder.fcmp_ordered(op, x, y)
        return (builder.icmp_signed if kind == "i" else builder.icmp_unsigned)(op, x, y)

    return emit


_binary(operator.add, _arithmetic("add", "fadd"))
_binary(operator.sub, _arithmetic("sub", "fsub"))
_binary(operator.mul, _arithmetic("mul", "fmul"))
_binary(operator.truediv, _arithmetic("", "fdiv"))
_binary(operator.and_, lambda b, kind, x, y: b.and_(x, y))
_binary(operator.or_, lambda b, kind, x, y: b.or_(x, y))
_binary(operator.xor, lambda b, kind, x, y: b.xor(x, y))
_binary(operator.lshift, lambda b, kind, x, y: shift(b, "shl", x, y))
_binary(operator.rshift, lambda b, kind, x, y: shift(b, "ashr" if kind == "i" else "lshr", x, y))
for _python, _op in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
    (operator.ne, "!="),
):
    _binary(_python, _compare(_op), compares=True)


def _unary(python: Any, emit: Callable[..., Any]) -> None:
    @_infer_global(python)
    class Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            return signature(args[0], *args) if len(args) == 1 and isinstance(args[0], LaneVector) else None

    @lower_builtin(python, LaneVector)
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit(builder, sig.args[0], args[0])


_unary(operator.invert, lambda b, ty, x: b.not_(x))
_unary(operator.neg, lambda b, ty, x: b.fneg(x) if ty.dtype.kind == "f" else b.neg(x))


PRIMITIVES: set[Any] = set()
"""The functions that have a compiled meaning of their own."""


def primitive(function: Any, result: Callable[..., Any]) -> Callable[[Callable[..., Any]], None]:
    """Give a vocabulary function its compiled meaning: `result(*argument types)` and an emitter.

    The emitter is called with (builder, signature, *values).
    """

    def register(emit: Callable[..., Any]) -> None:
        PRIMITIVES.add(function)
        count = result.__code__.co_argcount

        @type_callable(function)
        def typer(context: Any) -> Any:
            return result

        @lower_builtin(function, *[types.Any] * count)
        def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return emit(builder, sig, *args)

    return register


def _where_type(c: Any, a: Any, b: Any) -> Any:
    lanes = joined(a, b)
    return lanes and LaneVector(lanes.dtype, max(lanes.lanes, c.lanes))


@primitive(numerics.where, _where_type)
def _where(builder: Any, sig: Any, c: Any, a: Any, b: Any) -> Any:
    target = sig.return_type
    condition = widen(builder, c, sig.args[0], target.like("bool"))
    return builder.select(condition, widen(builder, a, sig.args[1], target), widen(builder, b, sig.args[2], target))


@primitive(numerics.convert, lambda a, kind: a.like(kind.value.dtype))
def _convert(builder: Any, sig: Any, a: Any, kind: Any) -> Any:
    source, target = sig.args[0], sig.return_type
    old, new = source.llvm.element, target.llvm.element
    if old == new:
        return a
    if source.dtype.kind == "f" and target.dtype.kind == "f":
        return builder.fptrunc(a, target.llvm) if isinstance(old, ir.DoubleType) else builder.fpext(a, target.llvm)
    if source.dtype.kind == "f":
        return (builder.fptosi if target.dtype.kind == "i" else builder.fptoui)(a, target.llvm)
    if target.dtype.kind == "f":
        return (builder.sitofp if source.dtype.kind == "i" else builder.uitofp)(a, target.llvm)
    if old.width > new.width:
        return builder.trunc(a, target.llvm)
    return (builder.sext if source.dtype.kind == "i" else builder.zext)(a, target.llvm)


def _reinterpret_type(a: Any, kind: Any) -> Any:
    return LaneVector(kind.value.dtype, a.lanes * a.dtype.itemsize // kind.value.dtype.itemsize)


@primitive(numerics.reinterpret, _reinterpret_type)
def _reinterpret(builder: Any, sig: Any, a: Any, kind: Any) -> Any:
    return builder.bitcast(a, sig.return_type.llvm)


@primitive(numerics.constant, lambda value, kind: LaneVector(kind.value.dtype, 1))
def _constant_lane(builder: Any, sig: Any, value: Any, kind: Any) -> Any:
    return widen(builder, value, sig.args[0], sig.return_type)


@primitive(numerics.mask_bits, lambda a: LaneVector("uint32", 1))
def _mask_bits(builder: Any, sig: Any, a: Any) -> Any:
    return builder.bitcast(builder.bitcast(a, I32), ir.VectorType(I32, 1))


@primitive(numerics.broadcast, lambda a, lane: LaneVector(a.dtype, 1))
def _broadcast(builder: Any, sig: Any, a: Any, lane: Any) -> Any:
    number = builder.and_(builder.extract_element(lane, ir.Constant(I32, 0)), ir.Constant(I32, LANES - 1))
    return splat(builder, builder.extract_element(a, number), 1)


PERMUTES = bool(llvm.get_host_cpu_features().get("avx512f"))
"""Whether the host picks 16 words out of 32 in one instruction (AVX-512's vpermi2d)."""


@primitive(numerics.permute, lambda a, lanes: LaneVector(a.dtype, LANES))
def _permute(builder: Any, sig: Any, a: Any, lanes: Any) -> Any:
    a = widen(builder, a, sig.args[0], sig.return_type)
    lanes = builder.and_(lanes, ir.Constant(lanes.type, [LANES - 1] * LANES))
    return (_pick_in_registers if PERMUTES and a.type.element == I32 else _pick_from_memory)(builder, a, lanes)


def _pick_in_registers(builder: Builder, a: Value, lanes: Value) -> Value:
    half = ir.VectorType(I32, LANES // 2)
    callee = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(half, [half] * 3), "llvm.x86.avx512.vpermi2var.d.512"
    )
    low, high = _lanes_from(builder, a, 0), _lanes_from(builder, a, LANES // 2)
    picked = [builder.call(callee, [low, _lanes_from(builder, lanes, first), high]) for first in (0, LANES // 2)]
    return builder.shuffle_vector(*picked, ir.Constant(ir.VectorType(I32, LANES), list(range(LANES))))


def _pick_from_memory(builder: Builder, a: Value, lanes: Value) -> Value:
    values = builder.bitcast(cgutils.alloca_once_value(builder, a), a.type.element.as_pointer())
    result = ir.Constant(a.type, ir.Undefined)
    for lane in range(LANES):
        place = builder.gep(values, [builder.extract_element(lanes, ir.Constant(I32, lane))])
        result = builder.insert_element(result, builder.load(place), ir.Constant(I32, lane))
    return result


@primitive(numerics.mask_of, lambda bits: LaneVector("bool", LANES))
def _mask_of(builder: Any, sig: Any, bits: Any) -> Any:
    return builder.bitcast(builder.bitcast(bits, I32), ir.VectorType(I1, LANES))


def _lanes_from(builder: Builder, a: Value, first: int) -> Value:
    """Half as many lanes, from `first` on."""
    count = a.type.count // 2
    places = ir.Constant(ir.VectorType(I32, count), list(range(first, first + count)))
    return builder.shuffle_vector(a, ir.Constant(a.type, ir.Undefined), places)


def _half(upper: bool) -> Callable[..., Any]:
    return lambda builder, sig, a: _lanes_from(builder, a, a.type.count // 2 if upper else 0)


primitive(numerics.lower_half, lambda a: LaneVector(a.dtype, a.lanes // 2))(_half(upper=False))
primitive(numerics.upper_half, lambda a: LaneVector(a.dtype, a.lanes // 2))(_half(upper=True))


@primitive(numerics.trailing_zeros, lambda a: a)
def _trailing_zeros(builder: Any, sig: Any, a: Any) -> Any:
    return vector_intrinsic(builder, "llvm.cttz", a, extra=[ir.Constant(I1, 0)])


def _one_argument(name: str, extra: list[ir.Value]) -> Callable[..., Any]:
    return lambda builder, sig, a: vector_intrinsic(builder, name, a, extra=extra)


primitive(numerics.count_ones, lambda a: a)(_one_argument("llvm.ctpop", []))
primitive(numerics.leading_zeros, lambda a: a)(_one_argument("llvm.ctlz", [ir.Constant(I1, 0)]))
primitive(numerics.reverse_bits, lambda a: a)(_one_argument("llvm.bitreverse", []))


def _shift_type(a: Any, count: Any) -> Any:
    return LaneVector(a.dtype, max(a.lanes, getattr(count, "lanes", 1)))


def _shift_by(instruction: Callable[[Any], str]) -> Callable[..., Any]:
    def emit(builder: Any, sig: Any, a: Any, count: Any) -> Any:
        target = sig.return_type
        value = widen(builder, a, sig.args[0], target)
        counts = widen(builder, count, sig.args[1], target.like("uint32"))
        if target.llvm.element == I64:
            counts = builder.zext(counts, target.llvm)
        return shift(builder, instruction(target), value, counts)

    return emit


primitive(numerics.shift_left, _shift_type)(_shift_by(lambda ty: "shl"))
primitive(numerics.shift_right, _shift_type)(_shift_by(lambda ty: "ashr" if ty.dtype.kind == "i" else "lshr"))


def vector_intrinsic(builder: Builder, name: str, *values: Value, extra: list[Value] | None = None) -> Value:
    """Call the LLVM intrinsic `name` overloaded on the vector type of its operands."""
    vector = values[0].type
    suffix = {I32: "i32", I64: "i64", ir.FloatType(): "f32", ir.DoubleType(): "f64"}[vector.element]
    rest = extra or []
    function = ir.FunctionType(vector, [*[value.type for value in values], *[value.type for value in rest]])
    callee = cgutils.get_or_insert_function(builder.module, function, f"{name}.v{vector.count}{suffix}")
    return builder.call(callee, [*values, *rest])


def _fused_type(a: Any, b: Any, c: Any) -> Any:
    return LaneVector("float32", max(a.lanes, b.lanes, c.lanes))


@primitive(numerics.fused, _fused_type)
def _fused(builder: Any, sig: Any, *values: Any) -> Any:
    wide = [widen(builder, value, ty, sig.return_type) for value, ty in zip(values, sig.args, strict=True)]
    return vector_intrinsic(builder, "llvm.fma", *wide)


def _converts_halves() -> bool:
    """Whether the host converts binary16 by instructions, without a library that nobody links."""
    features = llvm.get_host_cpu_features()
    return bool(features.get("f16c") or features.get("fullfp16"))


def _half_conversions() -> None:
    @primitive(rounding.widen_f16, lambda bits, format: bits.like("float32"))
    def widen_f16(builder: Any, sig: Any, bits: Any, format: Any) -> Any:
        short, half = (ir.VectorType(element, bits.type.count) for element in (I16, ir.HalfType()))
        return builder.fpext(builder.bitcast(builder.trunc(bits, short), half), sig.return_type.llvm)

    @primitive(rounding.narrow_f16, lambda x, format: x.like("uint32"))
    def narrow_f16(builder: Any, sig: Any, x: Any, format: Any) -> Any:
        short, half = (ir.VectorType(element, x.type.count) for element in (I16, ir.HalfType()))
        return builder.zext(builder.bitcast(builder.fptrunc(x, half), short), sig.return_type.llvm)


if _converts_halves():
    _half_conversions()


@lower_cast(LaneVector, LaneVector)
def _cast(context: Any, builder: Any, fromty: Any, toty: Any, value: Any) -> Any:
    return widen(builder, value, fromty, toty)
