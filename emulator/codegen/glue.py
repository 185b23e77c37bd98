"""The LLVM code around an instruction's body: rows in, results out. Memory is in `glue_addresses`."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from ...isa import numerics
from ...isa.addresses import AddressKind, TsmTarget
from ...isa.effects import Emsk, Fault, Jump, Next, Split, Stop
from ...isa.exceptions import INVALID_VREG
from ...isa.formats import Format
from ...isa.lanes import LANES, LaneKind, Mask
from ...isa.number_kinds import CodeTarget, Target
from ...isa.operands import IndexedKind, RegisterKind
from ...isa.registers import INDEX_REGISTER
from ...isa.spec import Binding
from ..machine.state import EMSK_ROW, LAUNCH, RECORD, STOP, WARP, scalar_row
from ..machine.structs import offset_of
from .compiler import Unit, type_of_static
from .glue_addresses import Addresses
from .glue_copies import target_place
from .glue_frame import LANE_BITS
from .lowering import I8, I32, I64, ROW_TYPE, LaneVector, Value, splat, spread
from .lowering_memory import Place
from .recipes import COMPLETE, FAST, ISSUE, PEER, Recipe, lanes_of, matrix_work, stop_of


def compile_handler(key: str, recipe: Recipe) -> bytes:
    """The object file of a recipe's handler."""
    return _Glue(key, recipe).compile()


def compile_function(key: str, function: FunctionType) -> bytes:
    """The object file of a function of the core: i64 arguments and result."""
    count = function.__code__.co_argcount
    unit = Unit(key, I64, [I64] * count)
    _, value = unit.call(function, [types.int64] * count, list(unit.entry.args))
    unit.builder.ret(value)
    return unit.emit()


class _Glue(Addresses):
    """A handler of a recipe."""

    def compile(self) -> bytes:
        if self.recipe.build == ISSUE and self.instruction.access:
            self.issue(self.instruction.access)
        else:
            self._run()
        return self.unit.emit()

    # Operands in.

    def source(self, binding: Binding) -> tuple[types.Type, Value]:
        """The type and value of a body's operand."""
        kind = self.instruction.kinds[binding.operand or 0]
        if isinstance(kind, AddressKind):
            return self.place(kind)
        if isinstance(kind, TsmTarget):
            return Place(LANES), target_place(self, kind)
        if isinstance(kind, Target | CodeTarget):
            return LaneVector("uint64", 1), self.builder.load(
                self.field(RECORD, "value", ir.VectorType(I64, 1)), align=8
            )
        access = self.instruction.access
        if access and access.counted == kind.name and self.recipe.build == COMPLETE:  # as it was at issue
            return LaneVector("uint32", LANES), self.builder.load(self.field(WARP, "counts", ROW_TYPE), align=4)
        lanes, hint = lanes_of(kind), binding.kind
        if hint is Mask:
            bits = self.builder.load(self.row(self.slots[kind.name], 0, I32), align=4)
            return LaneVector("bool", LANES), self.builder.bitcast(bits, LANE_BITS)
        words = self.words(self.slots[kind.name], hint.words, lanes)
        if kind.name in self.recipe.negate and hint.sign:
            sign = ir.Constant(words[0].type, [hint.sign] * lanes)
            words = [self.builder.xor(word, sign) for word in words]
        if hint.words > 1 and hint.dtype.itemsize == 4:
            return types.UniTuple(LaneVector("uint32", lanes), hint.words), cgutils.pack_array(self.builder, words)
        ty = LaneVector(hint.dtype, lanes * hint.per_word)
        value = self.pair(words) if hint.words == 2 else words[0]
        if hint.format is not None:
            value = self.modified(kind.name, hint, self.builder.bitcast(value, ty.bits.llvm))
        return ty, self.builder.bitcast(value, ty.llvm)

    def modified(self, name: str, kind: LaneKind, bits: Value) -> Value:
        """|x| and !x on a float source's bits, then flushing."""
        builder, float_format, vector = self.builder, kind.format, bits.type
        assert float_format is not None
        if name in self.recipe.absolute:
            bits = builder.and_(bits, ir.Constant(vector, [~float_format.sign] * vector.count))
        if name in self.recipe.negate:
            bits = builder.xor(bits, ir.Constant(vector, [float_format.sign] * vector.count))
        return self.with_format(numerics.flush, bits, float_format) if "ftz" in self.suffixes_of(kind) else bits

    def suffixes_of(self, kind: LaneKind) -> list[str]:
        """The word's suffixes that change floats of a kind, in the order in which they do."""
        return [name for name in numerics.RESULT_SUFFIXES if name in self.recipe.suffixes and kind.takes(name)]

    def with_format(self, function: Any, bits: Value, float_format: Format) -> Value:
        """Call `function(bits, format)` of the vocabulary on unsigned elements."""
        ty = LaneVector(f"uint{bits.type.element.width}", bits.type.count)
        static = type_of_static(float_format)
        return self.unit.call(function, [ty, static], [bits, ir.Constant(I8.as_pointer(), None)])[1]

    def implicit(self, name: str) -> tuple[types.Type, Value]:
        """The type and value of an implicit register."""
        builder = self.builder
        if name == "laneid":
            return LaneVector("uint32", LANES), ir.Constant(ROW_TYPE, list(range(LANES)))
        if name in ("following", "here"):
            value = self.following() if name == "following" else self.record
            return LaneVector("uint64", 1), splat(builder, value, 1)
        if name == "after":
            return LaneVector("uint64", 1), builder.load(self.field(RECORD, "lo", ir.VectorType(I64, 1)), align=8)
        value = self.emsk() if name == "emsk" else builder.load(self.field(WARP, "lanes", I32), align=4)
        return LaneVector("uint32", 1), splat(builder, value, 1)

    # The body.

    def check_index(self) -> None:
        """Return with a fault if x0 names a register that the kernel has not got."""
        number = self.builder.load(self.pointer(self.warp, scalar_row(INDEX_REGISTER), I32), align=4)
        count = self.builder.load(self.field(RECORD, "value", I64), align=8)
        missing = self.builder.icmp_unsigned(">=", self.builder.zext(number, I64), count)
        self.fault(self.builder.select(missing, self.emsk(), ir.Constant(I32, 0)), INVALID_VREG, missing)

    def _run(self) -> None:
        if self.indexed:
            self.check_index()
        code = stop_of(self.instruction)
        if code is not None:
            stop = ir.Constant(I64, STOP + int(code))
            if code is Stop.WAIT and self.recipe.build == FAST:  # every operation is complete already
                stop = self.following()
            elif code is Stop.WAIT and self.recipe.build == PEER:
                outstanding = self.builder.load(self.field(WARP, "outstanding", I64), align=8)
                none = self.builder.icmp_unsigned("==", outstanding, ir.Constant(I64, 0))
                stop = self.builder.select(none, self.following(), stop)
            self.builder.ret(stop)
            return
        kinds: list[types.Type] = []
        values: list[Value] = []
        for binding in self.instruction.bindings:
            if binding.static is not None:
                kind, value = type_of_static(binding.static), ir.Constant(I8.as_pointer(), None)
            elif binding.operand is None:
                kind, value = self.implicit(binding.name)
            else:
                kind, value = self.source(binding)
            kinds.append(kind)
            values.append(value)
        ty, value = self.unit.call(self.instruction.body, kinds, values)
        self._finish(ty, value)

    def _finish(self, ty: Any, value: Value) -> None:
        results = self.instruction.results
        if not results:
            self.builder.ret(self.following())
            return
        several = len(results) > 1
        types_: list[Any] = list(ty) if several else [ty]
        values = cgutils.unpack_tuple(self.builder, value, len(results)) if several else [value]
        for kind, part in zip(results, values, strict=True):
            if kind is Fault:
                lanes = self.builder.extract_element(part, ir.Constant(I32, 0))
                wrong = self.builder.icmp_unsigned("!=", lanes, ir.Constant(I32, 0))
                self.fault(lanes, self.instruction.fault, wrong)
        self.count_work()
        destinations = iter(kind for kind in self.instruction.kinds if kind.role == "destination")
        mask = self.emsk()  # as it was: emsk may be the first of two destinations
        go_on: Value | None = None
        if Jump in results:  # first of all, for it may fault
            go_on = self.jump(values[results.index(Jump)])
        for kind, part_type, part in zip(results, types_, values, strict=True):
            if isinstance(kind, LaneKind):
                self.write(next(destinations), kind, part_type, part, mask)
            elif kind is Emsk:
                self.write_scalar(ir.Constant(I64, EMSK_ROW), self.builder.extract_element(part, ir.Constant(I32, 0)))
            elif kind is Next:
                go_on = self.builder.extract_element(part, ir.Constant(I32, 0))
            elif kind is Split:
                go_on = self.split(self.builder.extract_element(part, ir.Constant(I32, 0)))
        self.builder.ret(self.following() if go_on is None else go_on)

    def count_work(self) -> None:
        """Add what a matrix instruction does to the launch's count."""
        rate, work = matrix_work(self.instruction)
        if work:
            launch = self.builder.load(self.field(WARP, "launch", I64), align=8)
            place = self.pointer(launch, offset_of(LAUNCH, "matrix") + 8 * rate, I64)
            total = self.builder.add(self.builder.load(place, align=8), ir.Constant(I64, work))
            self.builder.store(total, place, align=8)

    def split(self, wanted: Value) -> Value:
        """Where to go on after a divergent branch: straight on, to the target, or to the scheduler."""
        builder = self.builder
        target = builder.load(self.field(RECORD, "value", I64), align=8)
        taken = builder.and_(wanted, self.emsk())
        lanes = builder.load(self.field(WARP, "lanes", I32), align=4)
        builder.store(builder.zext(taken, I64), self.field(WARP, "taken", I64), align=8)
        builder.store(target, self.field(WARP, "target", I64), align=8)
        none = builder.icmp_unsigned("==", taken, ir.Constant(I32, 0))
        all_of_them = builder.icmp_unsigned("==", taken, lanes)
        stop = ir.Constant(I64, STOP + int(Stop.SPLIT))
        return builder.select(none, self.following(), builder.select(all_of_them, target, stop))

    def jump(self, addresses: Value) -> Value:
        """The record at a code address, one for all or one per active lane; returns from the handler on a fault."""
        builder, count = self.builder, addresses.type.count
        builder.store(addresses, self.field(WARP, "address", addresses.type), align=8)
        mask = ir.Constant(I64, 1) if count == 1 else builder.zext(self.emsk(), I64)
        launch = builder.load(self.field(WARP, "launch", I64), align=8)
        function = ir.FunctionType(I64, [I64, I64, I64])
        place = self.pointer(launch, offset_of(LAUNCH, "jump"), I64)
        callee = builder.inttoptr(builder.load(place, align=8), function.as_pointer())
        answer = builder.call(callee, [self.warp, self.record, mask])
        with builder.if_then(builder.icmp_signed(">=", answer, ir.Constant(I64, STOP)), likely=False):
            builder.ret(answer)
        return answer

    # Results out.

    def write(self, operand: Any, kind: LaneKind, ty: Any, value: Value, mask: Value) -> None:
        """Write a result to its destination operand, in the lanes of `mask`."""
        builder, slot = self.builder, self.slots[operand.name]
        assert isinstance(operand, RegisterKind | IndexedKind)
        parts = cgutils.unpack_tuple(builder, value, len(ty)) if isinstance(ty, types.BaseTuple) else [value]
        for word, row in enumerate(self.rows(kind, ty, parts)):
            if operand.bank == "v":
                self.write_vector(slot, word, row, mask)
            else:
                place = builder.sub(builder.ptrtoint(self.row(slot, word, I8), I64), self.warp)
                bits = self.scalar_bits(kind, row, mask)
                if operand.name in self.recipe.emsk_written:
                    bits = builder.and_(bits, builder.load(self.field(WARP, "lanes", I32), align=4))
                self.write_scalar(place, bits)

    def rows(self, kind: LaneKind, ty: Any, parts: list[Value]) -> list[Value]:
        """A result as rows of 32-bit words: NaNs canonical, pairs split."""
        builder, value = self.builder, parts[0]
        if len(parts) > 1 or kind is Mask:
            return parts
        count = value.type.count // kind.per_word
        row = ir.VectorType(I32, count)
        if kind.dtype.itemsize == 8:
            bits = builder.bitcast(value, ir.VectorType(I64, count))
            high = builder.lshr(bits, ir.Constant(bits.type, [32] * count))
            return [builder.trunc(bits, row), builder.trunc(high, row)]
        if kind.format is not None:
            value = self.finished(kind, kind.format, builder.bitcast(value, ty.bits.llvm))
        return [builder.bitcast(value, row)]

    def finished(self, kind: LaneKind, float_format: Format, bits: Value) -> Value:
        """A float result's bits after the word's suffixes, NaNs canonical as `numerics.canonical` says."""
        builder, vector = self.builder, bits.type
        for name in self.suffixes_of(kind):
            bits = self.with_format(numerics.RESULT_SUFFIXES[name], bits, float_format)

        def every(number: int) -> Any:
            return ir.Constant(vector, [number] * vector.count)

        magnitude = builder.and_(bits, every(float_format.sign - 1))
        nan = builder.icmp_unsigned(">", magnitude, every(float_format.top))
        return builder.select(nan, every(float_format.nan), bits)

    def write_vector(self, slot: int, word: int, row: Value, mask: Value) -> None:
        """Write a row to the active lanes."""
        builder = self.builder
        row = row if row.type.count == LANES else spread(builder, row, LANES)
        place = self.row(slot, word, ROW_TYPE)
        if self.instruction.all_lanes:
            builder.store(row, place, align=64)
            return
        everything = builder.icmp_unsigned("==", mask, ir.Constant(I32, 0xFFFFFFFF))
        with builder.if_else(everything, likely=True) as (whole, some):
            with whole:
                builder.store(row, place, align=64)
            with some:
                old = builder.load(place, align=64)
                builder.store(builder.select(builder.bitcast(mask, LANE_BITS), row, old), place, align=64)

    def scalar_bits(self, kind: LaneKind, row: Value, mask: Value) -> Value:
        """A result as the one word of a scalar register; a mask of lanes only has bits of active lanes."""
        builder = self.builder
        if kind is Mask and row.type.count == LANES:
            return builder.and_(builder.bitcast(row, I32), mask)
        first = builder.extract_element(row, ir.Constant(I32, 0))
        return builder.sext(first, I32) if kind is Mask else first

    def write_scalar(self, offset: Value, bits: Value) -> None:
        """Put one word in all lanes of the row at an offset in the warp."""
        self.builder.store(splat(self.builder, bits, LANES), self.pointer(self.warp, offset, ROW_TYPE), align=64)
