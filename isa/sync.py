"""Synchronisation within a block and a warp, and what a kernel says to its developer: assert, print, breakpoint.

Opcodes 0x032 to 0x05f.
"""

from __future__ import annotations

from typing import Any

from .effects import ARRIVE, HAS_COUNT, REDUCE_AND, REDUCE_OR, REDUCE_POPC, Fault, Stop
from .exceptions import ASSERTION, BREAKPOINT, INVALID_WARP_SYNC
from .fields import IMMEDIATE_FLAG
from .lanes import U32
from .numerics import where
from .spec import insn
from .tags import TIX

_TEXT: dict[str, Any] = {"fixed": {IMMEDIATE_FLAG: 1}}


@insn("s.bar.sync {b:ssrc}", opcode=0x032, **TIX, ex="b=1 | stop=BARRIER", barrier=0)
def s_bar_sync(b: U32, barrier: int) -> Stop:
    """Wait at named barrier b, 0 to 15, until every live warp of the block has come there.

    Whatever the warp has outstanding stays so. Another number is fault 2, invalid barrier parameter.
    """
    return Stop.BARRIER


_REDUCTIONS = {
    "popc.u32": (0x038, REDUCE_POPC, "the number of lanes that brought a 1"),
    "and.pred": (0x03C, REDUCE_AND, "all ones if every lane brought a 1, else 0"),
    "or.pred": (0x050, REDUCE_OR, "all ones if some lane brought a 1, else 0"),
}

# The barrier's number is a number in the word or a scalar register.
for _b, _step in (("{b:number@49:46}", 0), ("{b:ssrc}", 1)):

    @insn(f"s.bar.sync {_b}, {{n:ssrc}}", opcode=0x034 + _step, **TIX, ex="b=1 n=64 | stop=BARRIER", barrier=HAS_COUNT)
    def s_bar_sync_n(b: U32, n: U32, barrier: int) -> Stop:
        """Wait at named barrier b until n threads have come, whole warps of 32: a warp comes when its live lanes have.

        All that come must name the same n, a multiple of 32 within the block: else fault 2.
        """
        return Stop.BARRIER

    @insn(f"s.bar.arrive {_b}, {{n:ssrc}}", opcode=0x036 + _step, **TIX, ex="b=1 n=64 | stop=BARRIER",
          barrier=HAS_COUNT | ARRIVE)
    def s_bar_arrive(b: U32, n: U32, barrier: int) -> Stop:
        """Count the warp as come to named barrier b, which waits for n threads, and go on: a producer's half.

        All live lanes of the warp must be on the path that arrives: else fault 2. The warp may use the barrier again
        once it knows that it has opened.
        """
        return Stop.BARRIER

    for _name, (_opcode, _kind, _result) in _REDUCTIONS.items():

        @insn(f"s.bar.red.{_name} {_b}, {{m:sreg?}}", opcode=_opcode + _step, **TIX, ex="b=1 m=0xf | stop=BARRIER",
              barrier=_kind, result=_result)
        def s_bar_red(b: U32, m: U32, barrier: int, result: str) -> Stop:
            """Wait as s.bar.sync does; then scc = {result}: each active lane of a warp brings its bit of m.

            A warp that comes to the same barrier with s.bar.sync brings nothing.
            """
            return Stop.BARRIER

        @insn(f"s.bar.red.{_name} {_b}, {{n:ssrc}}, {{m:sreg?}}", opcode=_opcode + 2 + _step, **TIX, immediate=False,
              ex="b=1 n=1 m=0xf | stop=BARRIER", barrier=_kind | HAS_COUNT, result=_result)
        def s_bar_red_n(b: U32, n: U32, m: U32, barrier: int, result: str) -> Stop:
            """Wait as s.bar.sync with n does; then scc = {result}: each active lane of a warp brings its bit of m."""
            return Stop.BARRIER


@insn("s.warp.sync {m:ssrc}", opcode=0x040, fault=INVALID_WARP_SYNC, **TIX,
      ex=("m=0xf emsk=0xff | ", "m=0xf0f emsk=0xff | stop=FAULT"))
def s_warp_sync(m: U32, emsk: U32) -> Fault:
    """The lanes of m run together here: a lane of m that is off or has ended is fault 3, invalid warp sync."""
    return m & ~emsk


@insn("s.sleep {n:ssrc}", opcode=0x041, **TIX, ex="n=100 | stop=YIELD")
def s_sleep(n: U32) -> Stop:
    """Let other paths, warps and blocks run first; n, nanoseconds, changes nothing. For loops that wait."""
    return Stop.YIELD


@insn("s.brkpt", opcode=0x042, fault=BREAKPOINT, tag="defined", ex="emsk=0x5 | stop=FAULT")
def s_brkpt(emsk: U32, lanes: U32) -> Fault:
    """A breakpoint: a debugger stops here; without one the kernel ends with a fault at this place."""
    return where(emsk == 0, lanes, emsk)


@insn("v.assert {c:sreg?}", opcode=0x043, fault=ASSERTION, tag="defined",
      ex=("c=0x7 emsk=0x5 | ", "c=0x7 emsk=0xf | stop=FAULT"))
def v_assert(c: U32, emsk: U32) -> Fault:
    """The kernel ends with a fault if an active lane's bit of c is 0."""
    return emsk & ~c


@insn("v.assert {c:sreg?}, {text:data}", opcode=0x044, fault=ASSERTION, tag="defined", **_TEXT,
      ex=("c=0x7 text=0x180000000 emsk=0x5 | ", "c=0x7 text=0x180000000 emsk=0xf | stop=FAULT"))
def v_assert_text(c: U32, emsk: U32) -> Fault:
    """The kernel ends with a fault if an active lane's bit of c is 0; the message shows the `.asciz` at text."""
    return emsk & ~c


@insn("v.print {text:data}, {a:vlist}", opcode=0x045, tag="defined", **_TEXT, ex="text=0x180000000 a=7 | stop=PRINT")
def v_print(a: U32) -> Stop:
    """Print the `.asciz` at text once for each active lane, lane 0 first, with values from consecutive registers.

    Formats are those of C: %d %i %u %x %X %o %c take one register, %f %e %g %a too (binary32); with the size `l`, `ll`
    or `z` two (64 bits, binary64), with `h` and `hh` the low 16 and 8 bits of one; %s (the address of a text) and %p
    two. Flags, width and precision are as in C; %% is a percent sign. A value too few prints as `<no value>`.
    """
    return Stop.PRINT


@insn("s.print {text:data}, {a:slist}", opcode=0x046, tag="defined", **_TEXT, ex="text=0x180000000 a=7 | stop=PRINT")
def s_print(a: U32) -> Stop:
    """Print the `.asciz` at text once for the warp, as v.print does, with values from scalar registers."""
    return Stop.PRINT


@insn("v.print {text:data}", opcode=0x047, tag="defined", **_TEXT, ex="text=0x180000000 | stop=PRINT")
def v_print_text() -> Stop:
    """Print the `.asciz` at text once for each active lane."""
    return Stop.PRINT


@insn("s.print {text:data}", opcode=0x048, tag="defined", **_TEXT, ex="text=0x180000000 | stop=PRINT")
def s_print_text() -> Stop:
    """Print the `.asciz` at text once for the warp, whatever lanes are active."""
    return Stop.PRINT
