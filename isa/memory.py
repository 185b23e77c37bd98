"""Loads and stores: HBM (vmem), thread-block shared memory (tsm), scalar loads (smem).

Opcode 0x324 and 0x334 with their type codes are published; bits 4:1 hold the type, bit 0 the cache policy
`.kp1`. vmem and tsm access an address in each active lane, smem one for the warp, whatever emsk is. An
address must be a multiple of the bytes moved there. An access is outstanding until s.wait.
"""

from __future__ import annotations

from typing import Any

from .operands import Field
from .reference import load, store
from .spec import Access, Item, insn
from .widths import WIDTHS, Width

_TYPE = Field(4, 1)
_PUBLISHED = {
    "vmem.ld": ("b8", "b16", "b32", "b32x2", "b32x4"),
    "vmem.st": ("b16", "b32", "b32x2", "b32x4"),
    "tsm.ld": ("b16", "b32", "b32x2", "b32x4"),
    "tsm.st": ("b16", "b32", "b32x4"),
    "smem.ld": ("b32",),
    "smem.st": ("b32",),
}


def _known(name: str, at: str, width: Width) -> dict[str, Any]:
    if at != "vmem64" and width.name in _PUBLISHED[name]:
        return {"tag": "published", "source": "listings"}
    return {"tag": "defined", "source": "slots of the published forms"}


def _register(
    unit: str, bank: str, space: str, counters: tuple[str, str], opcodes: tuple[int, int], at: str, suffixes: str
) -> None:
    for width in WIDTHS:
        common: dict[str, Any] = {"fixed": {_TYPE: width.code}, "width": width, "Item": width.kind}

        @insn(f"{unit}.ld.{width.name}{suffixes} {{d:{bank}reg}}, {{at:{at}}}", opcode=opcodes[0],
              ex=f"memory={width.example_bytes} | d={width.example}",
              access=Access(space, counters[0], width.size, False), **common, **_known(f"{unit}.ld", at, width))
        def ld(at: Any, width: Any) -> Item:
            """d = what the address holds; b8 and b16 are zero-extended, s8 and s16 sign-extended."""
            return load(at, width)

        if not width.signed:

            @insn(f"{unit}.st.{width.name}{suffixes} {{a:{bank}reg}}, {{at:{at}}}", opcode=opcodes[1],
                  ex=f"a={width.example} | memory={width.example_bytes}",
                  access=Access(space, counters[1], width.size, True), **common, **_known(f"{unit}.st", at, width))
            def st(at: Any, a: Item, width: Any) -> None:
                """Memory at the address = a; b8 and b16 store the low bits. The highest lane at an address wins."""
                store(at, a, width)


_register("vmem", "v", "global", ("vldcnt", "vstcnt"), (0x324, 0x334), "vmem", "{sign}{kp1}")
_register("vmem", "v", "global", ("vldcnt", "vstcnt"), (0x325, 0x335), "vmem64", "{kp1}")
_register("tsm", "v", "tsm", ("tsmcnt", "tsmcnt"), (0x344, 0x354), "tsm", "")
_register("smem", "s", "global", ("sldcnt", "sstcnt"), (0x364, 0x374), "smem", "{kp1}")
