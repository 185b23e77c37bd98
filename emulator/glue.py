"""The LLVM code around an instruction's body: rows in, results out, addresses resolved."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from ..isa import numerics
from ..isa.addresses import AddressKind, TsmTarget
from ..isa.effects import Emsk, Fault, Jump, Next, Split, Stop
from ..isa.formats import Format
from ..isa.lanes import LANES, LaneKind, Mask
from ..isa.matrix_operands import SwizzledAddress
from ..isa.number_kinds import CodeTarget, Target
from ..isa.operands import IndexedKind, RegisterKind
from ..isa.registers import INDEX_REGISTER
from ..isa.spec import Access, Binding
from ..isa.sync import INVALID_WARP_SYNC
from .compiler import Unit, type_of_static
from .glue_copies import issue_target, reading, target_place
from .lowering import I1, I8, I32, I64, LaneVector, Value, splat, spread
from .lowering_memory import Place, place_type
from .lowering_rows import repeated_rows, swizzled_rows
from .recipes import COMPLETE, FAST, ISSUE, RECORD_SIZE, Recipe, lanes_of, operand_slots
from .resolve import COUNTED
from .state import EMSK_ROW, LAUNCH, RECORD, ROW, STOP, WARP, offset_of, scalar_row, vector_row

ROW_TYPE = ir.VectorType(I32, LANES)
LANE_BITS = ir.VectorType(I1, LANES)
WIDE = ir.VectorType(I64, LANES)
INVALID_VREG = 5
"""Published exception code."""


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


class _Glue:
    def __init__(self, key: str, recipe: Recipe):
        self.recipe, self.instruction = recipe, recipe.instruction
        self.unit = Unit(key, I64, [I64, I64])
        self.builder = self.unit.builder
        self.warp, self.record = self.unit.entry.args
        self.slots = operand_slots(self.instruction)
        self.lanes = self.instruction.lanes
        self.indexed = {self.slots[kind.name] for kind in self.instruction.kinds if isinstance(kind, IndexedKind)}

    def compile(self) -> bytes:
        if self.recipe.build == ISSUE and self.instruction.access:
            self._issue(self.instruction.access)
        else:
            self._run()
        return self.unit.emit()

    # Addresses within the warp and the record.

    def pointer(self, base: Value, offset: Any, pointee: ir.Type) -> Value:
        """base + offset as a pointer."""
        offset = offset if isinstance(offset, ir.Value) else ir.Constant(I64, offset)
        return self.builder.inttoptr(self.builder.add(base, offset), pointee.as_pointer())

    def field(self, struct: Any, name: str, pointee: ir.Type) -> Value:
        """A pointer to a field of the warp or the record."""
        return self.pointer(self.warp if struct is WARP else self.record, offset_of(struct, name), pointee)

    def row(self, slot: int, word: int, pointee: ir.Type) -> Value:
        """A pointer to the row that an operand slot names, `word` rows further."""
        if slot in self.indexed:
            number = self.builder.load(self.pointer(self.warp, scalar_row(INDEX_REGISTER), I32), align=4)
            offset = self.builder.mul(self.builder.zext(number, I64), ir.Constant(I64, ROW))
            offset = self.builder.add(offset, ir.Constant(I64, vector_row(0)))
        else:
            place = self.pointer(self.record, offset_of(RECORD, "operand") + 4 * slot, I32)
            offset = self.builder.zext(self.builder.load(place, align=4), I64)
        return self.pointer(self.warp, self.builder.add(offset, ir.Constant(I64, ROW * word)), pointee)

    def emsk(self) -> Value:
        """The execution mask as an i32."""
        return self.builder.load(self.pointer(self.warp, EMSK_ROW, I32), align=4)

    def following(self) -> Value:
        """The next record's address."""
        return self.builder.add(self.record, ir.Constant(I64, RECORD_SIZE))

    # Operands in.

    def words(self, slot: int, count: int, lanes: int) -> list[Value]:
        """`count` consecutive rows as <lanes x i32>."""
        vector = ir.VectorType(I32, lanes)
        return [
            self.builder.load(self.row(slot, word, vector), align=64 if lanes == LANES else 4) for word in range(count)
        ]

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
        lanes, hint = lanes_of(self.instruction, kind), binding.kind
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

    def pair(self, words: list[Value]) -> Value:
        """Two rows as one of 64-bit lanes, low word first."""
        wide = ir.VectorType(I64, words[0].type.count)
        low, high = (self.builder.zext(word, wide) for word in words)
        return self.builder.or_(low, self.builder.shl(high, ir.Constant(wide, [32] * wide.count)))

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
        if self.instruction.results == (Stop,):  # the schedule reads its operands
            code = self.instruction.body(*[binding.static for binding in self.instruction.bindings])
            if code is Stop.WAIT and self.recipe.build == FAST:  # every operation is complete already
                self.builder.ret(self.following())
                return
            self.builder.ret(ir.Constant(I64, STOP + int(code)))
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

    def fault(self, lanes: Value, code: int, wrong: Value) -> None:
        """Return from the handler with a fault of these lanes if something is wrong."""
        builder = self.builder
        with builder.if_then(wrong, likely=False):
            values = {"fault": ir.Constant(I64, code), "fault_pc": self.record}
            for name, value in {**values, "fault_lanes": builder.zext(lanes, I64)}.items():
                builder.store(value, self.field(WARP, name, I64), align=8)
            builder.ret(ir.Constant(I64, STOP + int(Stop.FAULT)))

    def whole_warp(self, access: Access) -> None:
        """A matrix access is a fault unless all lanes are on."""
        if access.rows:
            off = self.builder.not_(self.emsk())
            self.fault(off, INVALID_WARP_SYNC, self.builder.icmp_unsigned("!=", off, ir.Constant(I32, 0)))

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

    # Memory.

    def place(self, kind: AddressKind) -> tuple[types.Type, Value]:
        """Where the instruction's lanes point, checked; returns from the handler when some lane faults."""
        access = self.instruction.access
        assert access is not None
        lanes = self.lanes
        if self.recipe.build == COMPLETE:
            hosts = self.builder.load(self.field(WARP, "host", ir.VectorType(I64, lanes)), align=8)
            return Place(lanes), self.assemble(ir.Constant(I1, 0), ir.Constant(I64, 0), hosts)
        if lanes == 1:
            return Place(1), self.one_place(kind, access)
        self.whole_warp(access)
        return Place(lanes), self.vector_place(kind, access)

    def assemble(self, dense: Value, first: Value, hosts: Value) -> Value:
        """A Place value."""
        value = ir.Constant(place_type(hosts.type.count), ir.Undefined)
        mask = self.emsk() if hosts.type.count == LANES else ir.Constant(I32, 1)
        for index, part in enumerate((dense, first, hosts, mask)):
            value = self.builder.insert_value(value, part, index)
        return value

    def offset_and_scale(self) -> tuple[Value, Value]:
        """The address operand's byte offset and the log2 of its index scale, from the record."""
        builder = self.builder
        value = builder.load(self.field(RECORD, "value", I64), align=8)
        return builder.and_(value, ir.Constant(I64, 0xFFFFFFFF)), builder.lshr(value, ir.Constant(I64, 32))

    def bounds(self, access: Access) -> tuple[Value, Value, Value]:
        """(first address, how many starting addresses, host minus guest) of the space the lanes should be in."""
        builder = self.builder
        if access.space == "tsm":
            size = builder.load(self.field(WARP, "tsm_size", I64), align=8)
            count = builder.sub(size, ir.Constant(I64, access.size - 1))
            return ir.Constant(I64, 0), count, builder.load(self.field(WARP, "tsm", I64), align=8)
        if access.space == "private":
            size = builder.load(self.field(WARP, "private_size", I64), align=8)
            count = builder.sub(size, ir.Constant(I64, access.size - 1))
            return ir.Constant(I64, 0), count, builder.load(self.field(WARP, "private", I64), align=8)
        fields = [builder.load(self.field(RECORD, name, I64), align=8) for name in ("lo", "count", "delta")]
        return fields[0], fields[1], fields[2]

    def uniform_base(self, kind: AddressKind) -> Value:
        """The part of the address all lanes share, as i64."""
        offset, _ = self.offset_and_scale()
        slot = self.slots[f"{kind.name}.base"]
        if kind.base_bank == "v":
            return offset
        words = [
            self.builder.zext(self.builder.load(self.row(slot, word, I32), align=4), I64)
            for word in range(kind.base_words)
        ]
        base = (
            words[0]
            if kind.base_words == 1
            else self.builder.or_(words[0], self.builder.shl(words[1], ir.Constant(I64, 32)))
        )
        return self.builder.add(base, offset)

    def one_place(self, kind: AddressKind, access: Access) -> Value:
        """The place of a scalar access."""
        builder = self.builder
        _, scale = self.offset_and_scale()
        index = builder.zext(builder.load(self.row(self.slots[kind.name], 0, I32), align=4), I64)
        address = builder.add(self.uniform_base(kind), builder.shl(index, scale))
        lo, count, delta = self.bounds(access)
        good = self.inside(address, lo, count, access)
        host = cgutils.alloca_once_value(builder, builder.add(address, delta))
        with builder.if_then(builder.not_(good), likely=False):
            builder.store(address, self.field(WARP, "address", I64), align=8)
            self.resolve(access, ir.Constant(I32, 1))
            builder.store(builder.load(self.field(WARP, "host", I64), align=8), host)
        hosts = splat(builder, builder.load(host), 1)
        return self.assemble(ir.Constant(I1, 0), ir.Constant(I64, 0), hosts)

    def inside(self, address: Value, lo: Value, count: Value, access: Access) -> Value:
        """Whether aligned accesses may start at address(es): an i1 or a vector of them."""
        builder, vector = self.builder, address.type
        if isinstance(vector, ir.VectorType):
            lo, count = (splat(builder, value, vector.count) for value in (lo, count))
            low_bits, zero = (
                ir.Constant(vector, [access.alignment - 1] * vector.count),
                ir.Constant(vector, [0] * vector.count),
            )
        else:
            low_bits, zero = ir.Constant(I64, access.alignment - 1), ir.Constant(I64, 0)
        relative = builder.sub(address, lo)
        positive = builder.icmp_signed(">=", relative, zero)
        within = builder.and_(positive, builder.icmp_signed("<", relative, count))
        return builder.and_(within, builder.icmp_unsigned("==", builder.and_(address, low_bits), zero))

    def addresses(self, kind: AddressKind) -> Value:
        """The address of every lane, <32 x i64>; TSM offsets wrap at 32 bits."""
        builder, access = self.builder, self.instruction.access
        if isinstance(kind, SwizzledAddress):
            point, strides = (self.words(self.slots[name], 1, 1)[0] for name in (kind.name, f"{kind.name}.base"))
            return swizzled_rows(builder, point, strides, kind.mode)
        base, (_, scale) = self.uniform_base(kind), self.offset_and_scale()
        if kind.base_bank == "v":
            lanes = self.pair(self.words(self.slots[f"{kind.name}.base"], 2, LANES))
            return builder.add(lanes, splat(builder, base, LANES))
        index = self.words(self.slots[kind.name], 1, LANES)[0]
        wide = builder.sext(index, WIDE) if "sign" in self.recipe.suffixes else builder.zext(index, WIDE)
        total = builder.add(builder.shl(wide, splat(builder, scale, LANES)), splat(builder, base, LANES))
        if access and access.rows:
            total = repeated_rows(builder, total, access.rows, access.step)
        return builder.and_(total, ir.Constant(WIDE, [0xFFFFFFFF] * LANES)) if kind.base_words == 1 else total

    def vector_place(self, kind: AddressKind, access: Access) -> Value:
        """The place of a vector access: dense where all lanes are active and consecutive."""
        builder = self.builder
        hosts = cgutils.alloca_once(builder, WIDE)
        lo, count, delta = self.bounds(access)
        dense, first = (
            self.dense(kind, access, lo, count) if self.recipe.dense else (ir.Constant(I1, 0), ir.Constant(I64, 0))
        )
        with builder.if_then(builder.not_(dense), likely=False):
            mask = reading(self, access)
            addresses = self.addresses(kind)
            off = builder.not_(builder.bitcast(mask, LANE_BITS))
            good = builder.or_(self.inside(addresses, lo, count, access), off)
            scratch = splat(builder, builder.add(self.warp, ir.Constant(I64, offset_of(WARP, "scratch"))), LANES)
            deltas = splat(builder, delta, LANES)
            if access.space == "private":  # each lane's own, one behind the other
                size = builder.load(self.field(WARP, "private_size", I64), align=8)
                steps = builder.mul(splat(builder, size, LANES), ir.Constant(WIDE, list(range(LANES))))
                deltas = builder.add(deltas, steps)
            builder.store(builder.select(off, scratch, builder.add(addresses, deltas)), hosts)
            all_good = builder.icmp_unsigned("==", builder.bitcast(good, I32), ir.Constant(I32, 0xFFFFFFFF))
            with builder.if_then(builder.not_(all_good), likely=False):
                builder.store(addresses, self.field(WARP, "address", WIDE), align=8)
                self.resolve(access, mask)
                builder.store(builder.load(self.field(WARP, "host", WIDE), align=8), hosts)
        return self.assemble(dense, builder.add(first, delta), builder.load(hosts))

    def dense(self, kind: AddressKind, access: Access, lo: Value, count: Value) -> tuple[Value, Value]:
        """Whether all 32 lanes are active, consecutive and inside; and lane 0's address."""
        builder = self.builder
        index = self.words(self.slots[kind.name], 1, LANES)[0]
        start = builder.extract_element(index, ir.Constant(I32, 0))
        steps = builder.sub(index, spread(builder, index, LANES))
        even = builder.icmp_unsigned("==", steps, ir.Constant(ROW_TYPE, list(range(LANES))))
        flags = builder.icmp_unsigned(
            "==", builder.and_(builder.bitcast(even, I32), reading(self, access)), ir.Constant(I32, 0xFFFFFFFF)
        )
        signed = "sign" in self.recipe.suffixes
        ordered = builder.xor(start, ir.Constant(I32, 0x80000000)) if signed else start
        no_wrap = builder.icmp_unsigned("<=", ordered, ir.Constant(I32, 0xFFFFFFFF - LANES + 1))
        wide = builder.sext(start, I64) if signed else builder.zext(start, I64)
        shift = ir.Constant(I64, access.size.bit_length() - 1)
        address = builder.add(self.uniform_base(kind), builder.shl(wide, shift))
        if kind.base_words == 1:
            address = builder.and_(address, ir.Constant(I64, 0xFFFFFFFF))
        last = builder.sub(count, ir.Constant(I64, (LANES - 1) * access.size))
        fits = self.inside(address, lo, last, access)
        return builder.and_(builder.and_(flags, no_wrap), fits), address

    def resolve(self, access: Access, mask: Value) -> None:
        """Have the core look the addresses up; return from the handler if it says so."""
        builder = self.builder
        name = {"global": "resolve", "tsm": "resolve_tsm", "private": "resolve_private"}[access.space]
        function = ir.FunctionType(I64, [I64, I64, I64, I64])
        callee = builder.inttoptr(builder.load(self.field(WARP, name, I64), align=8), function.as_pointer())
        counted = COUNTED * (1 + self.slots[access.counted]) if access.counted else 0
        request = ir.Constant(I64, access.size | (0x100 if access.store else 0) | counted)
        answer = builder.call(callee, [self.warp, self.record, request, builder.zext(mask, I64)])
        with builder.if_then(builder.icmp_signed("!=", answer, ir.Constant(I64, 0)), likely=False):
            builder.ret(answer)

    def _issue(self, access: Access) -> None:
        """Observed build: every lane's address and host pointer in the warp, then the core queues the access."""
        builder = self.builder
        kind = next(kind for kind in self.instruction.kinds if isinstance(kind, AddressKind))
        if self.lanes == 1:
            _, scale = self.offset_and_scale()
            index = builder.zext(builder.load(self.row(self.slots[kind.name], 0, I32), align=4), I64)
            address = builder.add(self.uniform_base(kind), builder.shl(index, scale))
            builder.store(address, self.field(WARP, "address", I64), align=8)
            self.resolve(access, ir.Constant(I32, 1))
        else:
            self.whole_warp(access)
            if access.to:
                issue_target(self, access)
            builder.store(self.addresses(kind), self.field(WARP, "address", WIDE), align=8)
            self.resolve(access, reading(self, access))
        builder.ret(ir.Constant(I64, STOP + int(Stop.ACCESS)))
