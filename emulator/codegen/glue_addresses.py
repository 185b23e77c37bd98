"""Where the lanes of a memory instruction point: addresses computed, checked and turned into host pointers."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types

from ...isa.addresses import AddressKind
from ...isa.effects import Stop
from ...isa.exceptions import INVALID_WARP_SYNC
from ...isa.lanes import LANES
from ...isa.matrix_operands import SwizzledAddress
from ...isa.spec import Access
from ..machine.state import COUNTED, RECORD, STOP, STORES, WARP
from ..machine.structs import offset_of
from .glue_copies import issue_target, reading
from .glue_frame import LANE_BITS, Frame
from .lowering import I1, I32, I64, ROW_TYPE, WIDE, Value, splat, spread
from .lowering_memory import Place, place_type
from .lowering_rows import repeated_rows, swizzled_rows
from .recipes import COMPLETE


class Addresses(Frame):
    """A handler that may access memory."""

    def whole_warp(self, access: Access) -> None:
        """A matrix access is a fault unless all lanes are on."""
        if access.rows:
            off = self.builder.not_(self.emsk())
            self.fault(off, INVALID_WARP_SYNC, self.builder.icmp_unsigned("!=", off, ir.Constant(I32, 0)))

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
            point, more = (self.words(self.slots[name], 1, 1)[0] for name in (kind.name, f"{kind.name}.base"))
            return swizzled_rows(builder, point, more, kind.rows)
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
        request = ir.Constant(I64, access.size | (STORES if access.store else 0) | counted)
        answer = builder.call(callee, [self.warp, self.record, request, builder.zext(mask, I64)])
        with builder.if_then(builder.icmp_signed("!=", answer, ir.Constant(I64, 0)), likely=False):
            builder.ret(answer)

    def issue(self, access: Access) -> None:
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
