"""Atomics: read, compute and write in one, in HBM (vmem) and in TSM (tsm); `.atom` gives back what was there.

The active lanes act one after the other, lane 0 first, so lanes with the same address see each other's work. An
`.atom` counts as a load (vldcnt), acts when it is issued and gives its result at the wait; a `.red`, which gives
nothing back, counts and completes as a store, or acts when it is issued if it has an order (a wait counts it all the
same). `.release` and `.acq_rel` complete what the warp has outstanding first. An address has no offset; its index
counts elements.

inc gives 0 where memory holds a or more, else one more than it holds; dec gives a where memory holds 0 or more than a,
else one less. Floats are rounded to nearest even; add.f32 takes subnormals, sources and result, as zero of their sign
in global memory and keeps them in TSM.

Opcodes 0x380 to 0x38b, four for each space: .atom, .red, .atom.cas; bits 4:0 hold the operation and its type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .fields import Field
from .formats import BF16, F16, Format
from .formats import F32 as BINARY32
from .lanes import B32, F32, S32, S64, U32, U64, LaneKind
from .numerics import canonical, flush, reinterpret, where
from .packed import floats, halves
from .reductions import both_bits, differing_bits, either_bits, greater, lesser, plus
from .reference import atomic, compare_exchange
from .spec import Access, Item, insn
from .tags import TIX


def plus_f32(old: U32, a: U32) -> U32:
    """old + a in binary32, rounded to nearest even."""
    return canonical(reinterpret(reinterpret(old, F32) + reinterpret(a, F32), U32), BINARY32)


def plus_f32_flushed(old: U32, a: U32) -> U32:
    """old + a in binary32, subnormal sources and results flushed to zero (published for global memory)."""
    return flush(plus_f32(flush(old, BINARY32), flush(a, BINARY32)), BINARY32)


def plus_halves(old: U32, a: U32, format: Format) -> U32:
    """old + a in each half, rounded to nearest even; subnormals stay."""
    (x, p), (y, q) = floats(old, format), floats(a, format)
    return reinterpret(canonical(halves(x + y, p + q, format), format), U32)


def plus_f16x2(old: U32, a: U32) -> U32:
    """old + a in each binary16 half."""
    return plus_halves(old, a, F16)


def plus_bf16x2(old: U32, a: U32) -> U32:
    """old + a in each bfloat16 half."""
    return plus_halves(old, a, BF16)


def count_up(old: U32, a: U32) -> U32:
    """old + 1, or 0 if old has reached a (published)."""
    return where(old >= a, old & 0, old + 1)


def count_down(old: U32, a: U32) -> U32:
    """old - 1, or a if old is 0 or above a (published)."""
    return where((old == 0) | (old > a), a, old - 1)


def replace(old: Any, a: Any) -> Any:
    """Only a."""
    return a


class Operation(NamedTuple):
    """One atomic operation on one type: its name, number, lane kind and update, and an example.

    The example is what the address holds, the operand, and what it holds after one lane and after two.
    """

    name: str
    number: int
    kind: LaneKind
    update: Callable[[Any, Any], Any]
    example: tuple[str, str, str, str]
    tsm_update: Callable[[Any, Any], Any] | None = None
    """What TSM does where it differs from global memory."""


OPERATIONS = (
    Operation("add.i32", 0, U32, plus, ("7", "5", "12", "17")),
    Operation("add.i64", 1, U64, plus, ("0xffffffff", "2", "0x100000001", "0x100000003")),
    Operation("add.f32", 2, U32, plus_f32_flushed, ("0x3f800000", "0x40000000", "0x40400000", "0x40a00000"), plus_f32),
    Operation("min.u32", 3, U32, lesser, ("7", "-1", "7", "7")),
    Operation("min.i32", 4, S32, lesser, ("7", "-1", "-1", "-1")),
    Operation("min.u64", 5, U64, lesser, ("7", "5", "5", "5")),
    Operation("min.i64", 6, S64, lesser, ("7", "-1", "-1", "-1")),
    Operation("max.u32", 7, U32, greater, ("7", "-1", "-1", "-1")),
    Operation("max.i32", 8, S32, greater, ("7", "-1", "7", "7")),
    Operation("max.u64", 9, U64, greater, ("7", "5", "7", "7")),
    Operation("max.i64", 10, S64, greater, ("7", "-1", "7", "7")),
    Operation("inc.u32", 11, U32, count_up, ("7", "7", "0", "1")),
    Operation("dec.u32", 12, U32, count_down, ("0", "7", "7", "6")),
    Operation("add.f16x2", 13, U32, plus_f16x2, ("0x3c004000", "0x3c003c00", "0x40004200", "0x42004400")),
    Operation("add.bf16x2", 14, U32, plus_bf16x2, ("0x3f804000", "0x3f803f80", "0x40004040", "0x40404080")),
    Operation("and.b32", 16, U32, both_bits, ("0xf0", "0x3c", "0x30", "0x30")),
    Operation("and.b64", 17, U64, both_bits, ("0xf0", "0x3c", "0x30", "0x30")),
    Operation("or.b32", 18, U32, either_bits, ("0xf0", "0x3c", "0xfc", "0xfc")),
    Operation("or.b64", 19, U64, either_bits, ("0xf0", "0x3c", "0xfc", "0xfc")),
    Operation("xor.b32", 20, U32, differing_bits, ("0xf0", "0x3c", "0xcc", "0xf0")),
    Operation("xor.b64", 21, U64, differing_bits, ("0xf0", "0x3c", "0xcc", "0xf0")),
    Operation("exch.b32", 22, B32, replace, ("7", "5", "5", "5")),
    Operation("exch.b64", 23, U64, replace, ("7", "5", "5", "5")),
)
_OPERATION = Field(4, 0)


class Unit(NamedTuple):
    """A memory with an address form: its mnemonic unit, space, counters of .atom and .red, opcodes, address kind."""

    name: str
    space: str
    counters: tuple[str, str]
    opcode: int
    at: str


UNITS = (
    Unit("vmem", "global", ("vldcnt", "vstcnt"), 0x380, "vmem_element"),
    Unit("vmem", "global", ("vldcnt", "vstcnt"), 0x384, "vmem64_element"),
    Unit("tsm", "tsm", ("tsmcnt", "tsmcnt"), 0x388, "tsm_element"),
)


def _bytes(number: str, size: int) -> str:
    """An example's number as the hexadecimal bytes of memory."""
    return (int(number, 0) & ((1 << 8 * size) - 1)).to_bytes(size, "little").hex()


def _register(unit: Unit, operation: Operation) -> None:
    kind, size = operation.kind, 4 * operation.kind.words
    old, a, new, newer = operation.example
    update = operation.tsm_update if unit.space == "tsm" and operation.tsm_update else operation.update
    common: dict[str, Any] = {
        "fixed": {_OPERATION: operation.number},
        "Item": kind,
        "item": kind,
        "update": update,
        **TIX,
    }
    memory = f"memory={_bytes(old, size)}"
    after = f"memory={_bytes(newer, size)}"

    @insn(f"{unit.name}.atom.{operation.name}{{atomic_order}} {{d:vreg}}, {{at:{unit.at}@{size}}}, {{a:vreg@s1}}",
          opcode=unit.opcode, access=Access(unit.space, unit.counters[0], size, True, True),
          ex=f"a={a} emsk=3 {memory} | d={old},{new} {after}", **common)
    def atom(at: Any, a: Item, item: Any, update: Any) -> Item:
        """d = what the address holds; memory = that and a combined; lane after lane."""
        return atomic(at, item, update, a)

    if operation.name.startswith("exch"):
        return

    @insn(f"{unit.name}.red.{operation.name}{{atomic_order}} {{at:{unit.at}@{size}}}, {{a:vreg@s1}}",
          opcode=unit.opcode + 1, access=Access(unit.space, unit.counters[1], size, True, True),
          ex=f"a={a} emsk=3 {memory} | {after}", **common)
    def red(at: Any, a: Item, item: Any, update: Any) -> None:
        """Memory at the address = what it holds and a combined; lane after lane.

        a is read when the operation completes, and must stay as it is until an s.wait covers it.
        """
        atomic(at, item, update, a)


def _register_cas(unit: Unit, bits: int, kind: LaneKind) -> None:
    size, seven = bits // 8, _bytes("7", bits // 8)

    operands = f"{{d:vreg}}, {{at:{unit.at}@{size}}}, {{a:vreg@s1}}, {{b:vreg@s2}}"

    @insn(f"{unit.name}.atom.cas.b{bits}{{atomic_order}} {operands}", opcode=unit.opcode + 2,
          fixed={_OPERATION: 16 + (bits == 64)}, Item=kind, item=kind,
          access=Access(unit.space, unit.counters[0], size, True, True),
          ex=(f"a=7 b=9 emsk=3 memory={seven} | d=7,9 memory={_bytes('9', size)}",
              f"a=8 b=9 emsk=3 memory={seven} | d=7,7 memory={seven}"), **TIX)
    def cas(at: Any, a: Item, b: Item, item: Any) -> Item:
        """d = what the address holds; if that is a, memory = b; lane after lane."""
        return compare_exchange(at, item, a, b)


for _unit in UNITS:
    for _operation in OPERATIONS:
        _register(_unit, _operation)
    for _bits, _kind in ((32, B32), (64, U64)):
        _register_cas(_unit, _bits, _kind)
