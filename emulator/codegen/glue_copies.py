"""The LLVM code around asynchronous copies: a second place, in TSM, and lanes that read less than all."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...isa.addresses import TsmTarget
from ...isa.lanes import LANES
from ...isa.spec import Access
from ..machine.state import WARP
from ..machine.structs import offset_of
from .glue_frame import LANE_BITS
from .lowering import I32, I64, ROW_TYPE, WIDE, Value, splat
from .recipes import COMPLETE


def reading(glue: Any, access: Access) -> Value:
    """The lanes that access memory: the active ones, without those that read no byte."""
    if not access.counted:
        return glue.emsk()
    count = glue.words(glue.slots[access.counted], 1, LANES)[0]
    some = glue.builder.icmp_unsigned("!=", count, ir.Constant(ROW_TYPE, [0] * LANES))
    return glue.builder.and_(glue.emsk(), glue.builder.bitcast(some, I32))


def target_place(glue: Any, kind: TsmTarget) -> Value:
    """Where a copy goes, checked: a Place, dense where all lanes are active and consecutive."""
    builder, access = glue.builder, target_access(glue)
    _, count, delta = glue.bounds(access)
    off = builder.not_(builder.bitcast(glue.emsk(), LANE_BITS))
    if glue.recipe.build == COMPLETE:
        offsets = builder.load(glue.field(WARP, "to", WIDE), align=8)
    else:
        offsets = target_offsets(glue, kind.name)
        good = builder.or_(glue.inside(offsets, ir.Constant(I64, 0), count, access), off)
        all_good = builder.icmp_unsigned("==", builder.bitcast(good, I32), ir.Constant(I32, 0xFFFFFFFF))
        with builder.if_then(builder.not_(all_good), likely=False):
            builder.store(offsets, glue.field(WARP, "address", WIDE), align=8)
            glue.resolve(access, glue.emsk())
    scratch = splat(builder, builder.add(glue.warp, ir.Constant(I64, offset_of(WARP, "scratch"))), LANES)
    hosts = builder.select(off, scratch, builder.add(offsets, splat(builder, delta, LANES)))
    first = builder.extract_element(hosts, ir.Constant(I32, 0))
    steps = builder.sub(hosts, splat(builder, first, LANES))
    even = builder.icmp_unsigned("==", steps, ir.Constant(WIDE, [access.size * lane for lane in range(LANES)]))
    dense = builder.icmp_unsigned("==", builder.bitcast(even, I32), ir.Constant(I32, 0xFFFFFFFF))
    return glue.assemble(dense, first, hosts)


def issue_target(glue: Any, access: Access) -> None:
    """Observed build: check where the lanes copy to, and keep that and what they read."""
    builder, offsets = glue.builder, target_offsets(glue, access.to)
    builder.store(offsets, glue.field(WARP, "address", WIDE), align=8)
    glue.resolve(target_access(glue), glue.emsk())
    builder.store(offsets, glue.field(WARP, "to", WIDE), align=8)
    if access.counted:
        count = glue.words(glue.slots[access.counted], 1, LANES)[0]
        builder.store(count, glue.field(WARP, "counts", ROW_TYPE), align=4)


def target_offsets(glue: Any, name: str) -> Value:
    """The TSM offsets of an operand, <32 x i64>."""
    return glue.builder.zext(glue.words(glue.slots[name], 1, LANES)[0], WIDE)


def target_access(glue: Any) -> Access:
    """A copy as an access to TSM alone."""
    return glue.instruction.access._replace(space="tsm", store=True, to="", counted="")
