"""What a handler stands on: its warp and record, the rows that operands name, and the way out with a fault."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...isa.lanes import LANES
from ...isa.operands import IndexedKind
from ...isa.registers import INDEX_REGISTER
from ..machine.state import EMSK_ROW, RECORD, RECORD_SIZE, ROW, STOP_FAULT, WARP, scalar_row, vector_row
from ..machine.structs import offset_of
from .compiler import Unit
from .lowering import I1, I32, I64, Value
from .recipes import Recipe, operand_slots

LANE_BITS = ir.VectorType(I1, LANES)


class Frame:
    """A handler under construction."""

    def __init__(self, key: str, recipe: Recipe):
        self.recipe, self.instruction = recipe, recipe.instruction
        self.unit = Unit(key, I64, [I64, I64])
        self.builder = self.unit.builder
        self.warp, self.record = self.unit.entry.args
        self.slots = operand_slots(self.instruction)
        self.lanes = self.instruction.lanes
        self.indexed = {self.slots[kind.name] for kind in self.instruction.kinds if isinstance(kind, IndexedKind)}

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

    def words(self, slot: int, count: int, lanes: int) -> list[Value]:
        """`count` consecutive rows as <lanes x i32>."""
        vector = ir.VectorType(I32, lanes)
        return [
            self.builder.load(self.row(slot, word, vector), align=64 if lanes == LANES else 4) for word in range(count)
        ]

    def pair(self, words: list[Value]) -> Value:
        """Two rows as one of 64-bit lanes, low word first."""
        wide = ir.VectorType(I64, words[0].type.count)
        low, high = (self.builder.zext(word, wide) for word in words)
        return self.builder.or_(low, self.builder.shl(high, ir.Constant(wide, [32] * wide.count)))

    def fault(self, lanes: Value, code: int, wrong: Value) -> None:
        """Return from the handler with a fault of these lanes if something is wrong."""
        builder = self.builder
        with builder.if_then(wrong, likely=False):
            values = {"fault": ir.Constant(I64, code), "fault_pc": self.record}
            for name, value in {**values, "fault_lanes": builder.zext(lanes, I64)}.items():
                builder.store(value, self.field(WARP, name, I64), align=8)
            builder.ret(ir.Constant(I64, STOP_FAULT))
