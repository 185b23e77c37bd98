"""Moves: between registers, between the two banks, and from special registers.

Opcodes 0x0b8 to 0x0ba and 0x140 to 0x15f.
"""

from __future__ import annotations

from .lanes import B32, F32, U32, U64
from .numerics import broadcast, convert, reinterpret, trailing_zeros, where
from .spec import insn
from .tags import BIN, LISTED, defined, published


@insn("v.mov.b32 {d:vreg}, {a:vsrc}", opcode=0x140, **BIN, ex="a=0x7f812345 | d=0x7f812345")
def v_mov(a: B32) -> B32:
    """d = a in the active lanes."""
    return a


@insn("v.mov.b32 {d:vreg}, {a:lanespecial}", opcode=0x141, tag="defined", ex="a=%laneid | d=0x0,0x1,0x2")
def v_mov_special(a: B32) -> B32:
    """d = a special register with one value per lane: %tid.x, %laneid, %lanemask_lt and so on."""
    return a


@insn("v.mov.b64 {d:vreg}, {a:vsrc}", opcode=0x142, **defined("slot of v.mov.b32"),
      ex="a=0x123456789 | d=0x123456789")
def v_mov64(a: U64) -> U64:
    """d = a in the active lanes; register pairs, an immediate is zero-extended."""
    return a


@insn("v.mov.b32 {d:vreg}, {a:ivreg}", opcode=0x143, **published("REF; word defined"),
      ex="a=0x7f812345 | d=0x7f812345")
def v_mov_from_ivreg(a: B32) -> B32:
    """d = the vector register whose number is in x0; write x0 before with s.mov.b32 and s.wait pipe_flush.

    A number the kernel has no register for is fault 5, invalid vreg.
    """
    return a


@insn("v.mov.b32 {d:ivreg}, {a:vsrc}", opcode=0x144, **published("REF; word defined"),
      ex="a=0x7f812345 | d=0x7f812345")
def v_mov_to_ivreg(a: B32) -> B32:
    """The vector register whose number is in x0 = a; write x0 before with s.mov.b32 and s.wait pipe_flush.

    A number the kernel has no register for is fault 5, invalid vreg.
    """
    return a


@insn("v.mov.alllane.b32 {d:vreg}, {a:vsrc}", opcode=0x15A, **BIN, ex="a=7 emsk=1 | d=7,7,7", all_lanes=True)
def v_mov_alllane(a: B32) -> B32:
    """d = a in all 32 lanes: emsk does not matter."""
    return a


@insn("s.mov.b32 {d:sreg}, {a:ssrc}", opcode=0x0B8, **LISTED,
      ex="a=0xffffffff | d=0xffffffff")
def s_mov(a: B32) -> B32:
    """d = a; a may be an immediate or a uniform special register such as %blkid.x."""
    return a


@insn("s.mov.b64 {d:sreg}, {a:ssrc}", opcode=0x0B9, **defined("slot of s.mov.b32"),
      ex="a=0x123456789 | d=0x123456789")
def s_mov64(a: U64) -> U64:
    """d = a; register pairs, an immediate is zero-extended."""
    return a


@insn("s.mov.b64 {d:sreg}, {a:clock}", opcode=0x0BA, tag="defined", ex="a=%clock64 | d=0")
def s_mov_clock(a: U64) -> U64:
    """d = %clock64 or %globaltimer, how many instructions this compute unit or this chip has executed."""
    return a


@insn("v.mov.v2s {d:sreg}, {a:vreg?}, {lane:lane}", opcode=0x150, **LISTED,
      ex="a=7 lane=3 | d=7")
def v_mov_v2s(a: B32, lane: U32, emsk: U32) -> B32:
    """d = lane `lane` of a; 0x20 means the first active lane (lane 0 if none is active)."""
    first = trailing_zeros(emsk)
    return broadcast(a, where(lane == 0x20, first, lane))


@insn("v.mov.s2v {d:vreg!}, {a:ssrc}, {lane:lane}", opcode=0x151, **published("listings; operands defined"),
      immediate=False, ex=("a=7 lane=1 d=0,0,0 | d=0,7,0",), all_lanes=True)
def v_mov_s2v(d: B32, a: B32, lane: U32, emsk: U32, laneid: U32) -> B32:
    """Lane `lane` of d = a, active or not; 0x20 means the first active lane, if there is one. Other lanes stay."""
    first = trailing_zeros(emsk)
    return where(laneid == where(lane == 0x20, first, lane), a, d)


@insn("v.reg.dchk", opcode=0x15E, **published("listings; meaning defined"), ex="| ")
def v_reg_dchk() -> None:
    """Nothing happens. Compiled code has it among waits; what it checks, and its operands, are not published."""


@insn("v.tid.init {d:vreg}, {a:sreg?}", opcode=0x15F, **BIN, ex="a=0x0010010000000000 | d=0x0,0x1,0x2")
def v_tid_init(a: U64, laneid: U32) -> U32:
    """d = each lane's packed thread id, x in bits 11:0 (published), y in 23:12, z in 31:24.

    a is sreg[36:37] at entry: the packed id of the warp's lane 0 and the packed block dimensions.
    """
    start, dims = convert(a, U32), convert(a >> 32, U32)
    width, height = dims & 0xFFF, (dims >> 12) & 0xFFF
    x = (start & 0xFFF) + laneid
    rows = quotient(x, width)
    y = ((start >> 12) & 0xFFF) + rows
    slices = quotient(y, height)
    z = (start >> 24) + slices
    return (x - rows * width) | ((y - slices * height) << 12) | (z << 24)


def quotient(a: U32, b: U32) -> U32:
    """a // b for numbers below 2**12, where the binary32 quotient is exact enough; a for b = 0."""
    divisor = where(b == 0, b | 1, b)
    return convert(reinterpret(convert(a, F32) / convert(divisor, F32), F32), U32)
