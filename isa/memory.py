"""Loads and stores: HBM (vmem), thread-block shared memory (tsm), private memory (vmem.ga.p), scalar (smem).

Opcodes 0x324 to 0x327, 0x334 to 0x336, 0x344, 0x354, 0x364 and 0x374. 0x324 and 0x334 with their type codes are
published. Bits 4:1 hold the type, bit 0 the cache policy `.kp1`. vmem and tsm access an address in each active lane,
smem one for the warp, whatever emsk is. An address must be a multiple of the bytes moved there. An access is
outstanding until s.wait: until then the register of a load does not have its value, and that of a store may not
change.

A release store completes what the warp has outstanding, then it stores at once; an acquire load reads memory when it
is issued, and its register has the value after the wait. Relaxed and volatile ones order nothing more than plain ones
do. The scope changes nothing.

An access to another chip's memory is outstanding until that chip has answered, whatever the timing; a store is answered
when it is there. An acquire load from there holds the warp until it is answered.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .reference import load, store
from .spec import Access, Item, insn
from .tags import LISTED, Known, defined, published
from .widths import TYPE, WIDTHS, Width


class Unit(NamedTuple):
    """One memory with one form of address: how its loads and stores are called, counted and encoded."""

    name: str
    bank: str
    space: str
    counters: tuple[str, str]
    opcodes: tuple[int, int]
    at: str
    load_suffixes: str
    store_suffixes: str
    published: tuple[str, str] = ("", "")
    """Types of the loads and of the stores that the vendor's listings show."""


VMEM, TSM = ("vldcnt", "vstcnt"), ("tsmcnt", "tsmcnt")
ORDERED = "{load_order}", "{store_order}"
UNITS = (
    Unit("vmem", "v", "global", VMEM, (0x324, 0x334), "vmem", "{sign}{kp1}{load_order}", "{sign}{kp1}{store_order}",
         ("b8 b16 b32 b32x2 b32x4", "b16 b32 b32x2 b32x4")),
    Unit("vmem", "v", "global", VMEM, (0x325, 0x335), "vmem64", "{kp1}{load_order}", "{kp1}{store_order}"),
    Unit("vmem.ga.p", "v", "private", VMEM, (0x326, 0x336), "tsm", "", ""),
    Unit("tsm", "v", "tsm", TSM, (0x344, 0x354), "tsm", *ORDERED, ("b16 b32 b32x2 b32x4", "b16 b32 b32x4")),
    Unit("smem", "s", "global", ("sldcnt", "sstcnt"), (0x364, 0x374), "smem", "{kp1}", "{kp1}", ("b32", "b32")),
)


def _known(width: Width, listed: str) -> Known:
    if width.name in listed.split():
        return LISTED
    return defined("slots of the published forms")


def _register(unit: Unit, width: Width) -> None:
    common: dict[str, Any] = {"fixed": {TYPE: width.code}, "width": width, "Item": width.kind}

    @insn(f"{unit.name}.ld.{width.name}{unit.load_suffixes} {{d:{unit.bank}reg}}, {{at:{unit.at}}}",
          opcode=unit.opcodes[0], ex=f"memory={width.example_bytes} | d={width.example}",
          access=Access(unit.space, unit.counters[0], width.size, False), **common, **_known(width, unit.published[0]))
    def ld(at: Any, width: Any) -> Item:
        """d = what the address holds; b8 and b16 are zero-extended, s8 and s16 sign-extended."""
        return load(at, width)

    if width.signed:
        return

    @insn(f"{unit.name}.st.{width.name}{unit.store_suffixes} {{a:{unit.bank}reg}}, {{at:{unit.at}}}",
          opcode=unit.opcodes[1], ex=f"a={width.example} | memory={width.example_bytes}",
          access=Access(unit.space, unit.counters[1], width.size, True), **common, **_known(width, unit.published[1]))
    def st(at: Any, a: Item, width: Any) -> None:
        """Memory at the address = a; b8 and b16 store the low bits. The highest lane at an address wins.

        a is read when the store completes, and must stay as it is until an s.wait covers that; the address need not.
        """
        store(at, a, width)


@insn("vmem.prefetch{sign}{kp1} {at:vmem_hint}", opcode=0x327, **published("listings; meaning defined"),
      ex="| ")
def vmem_prefetch() -> None:
    """Nothing happens, whatever the address: a hint that it will be read."""


for _unit in UNITS:
    for _width in WIDTHS:
        _register(_unit, _width)
