"""Control flow: branches, masks, ends, waits, barriers and fences.

They act on the warp as a whole, or on its paths. Opcodes 0x020 to 0x026, 0x030 to 0x031, 0x070, 0x1f8 to 0x1fe and
0x3c0 to 0x3cf.
"""

from __future__ import annotations

from .addresses import SMEM_COUNTERS, VMEM_COUNTERS, counter_bits
from .effects import BARRIER_BLOCK, Emsk, Next, Split, Stop
from .fields import IMMEDIATE_FLAG, Field
from .lanes import U32, U64
from .numerics import select_bit, where
from .spec import insn
from .tags import BIN, LISTED, defined, published

_BRANCH = {IMMEDIATE_FLAG: 1, Field(29, 28): 3}


@insn("s.nop", opcode=0x020, **BIN, ex="| ")
def s_nop() -> None:
    """Nothing happens."""


@insn("s.cbr {target:target}", opcode=0x024, **BIN, fixed=_BRANCH, ex="target=5 | next=5")
def s_cbr(target: U64) -> Next:
    """Go on at target. The whole path moves, active lanes or not."""
    return target


@insn("s.cbr.az {c:sreg?}, {target:target}", opcode=0x025, **BIN, fixed=_BRANCH,
      ex=("c=0 target=5 | next=5", "c=2 target=5 | next=0"))
def s_cbr_az(c: U32, target: U64, following: U64) -> Next:
    """Go on at target if the whole register c (emsk, scc, vcc or an sreg) is zero."""
    return where(c == 0, target, following)


@insn("s.cbr.nz {c:sreg?}, {target:target}", opcode=0x026, **BIN, fixed=_BRANCH,
      ex=("c=0 target=5 | next=0", "c=2 target=5 | next=5"))
def s_cbr_nz(c: U32, target: U64, following: U64) -> Next:
    """Go on at target if the whole register c (emsk, scc, vcc or an sreg) is not zero."""
    return where(c != 0, target, following)


@insn("simt.rcbr.n {m:sreg?}, {target:target}", opcode=0x1F8, **published("BIN; meaning defined"),
      fixed=_BRANCH, ex=("m=0 target=5 | next=5", "m=0xffffffff target=5 | next=0", "m=1 target=5 | split=0xfffffffe"))
def simt_rcbr_n(m: U32) -> Split:
    """Active lanes whose bit of m is 0 go to target, the others fall through; lanes that are off follow these.

    Lanes that reach the same address run together again; the path at the lowest address runs first.
    """
    return ~m


@insn("simt.rcbr {m:sreg?}, {target:target}", opcode=0x1F9, **defined("opposite of simt.rcbr.n"),
      fixed=_BRANCH, ex=("m=0 target=5 | next=0", "m=0xffffffff target=5 | next=5"))
def simt_rcbr(m: U32) -> Split:
    """Active lanes whose bit of m is 1 go to target, the others fall through; lanes that are off follow these."""
    return m


@insn("simt.exit", opcode=0x1FE, **BIN, ex="| stop=EXIT_LANES")
def simt_exit() -> Stop:
    """The active lanes end; with none active, all lanes of the path."""
    return Stop.EXIT_LANES


@insn("s.exit", opcode=0x021, **LISTED, ex="| stop=EXIT_WARP")
def s_exit() -> Stop:
    """The warp ends, whatever its lanes do."""
    return Stop.EXIT_WARP


@insn("s.trap", opcode=0x022, tag="defined", ex="| stop=TRAP")
def s_trap() -> Stop:
    """The kernel ends with a fault at this place: what an assertion or unreachable code uses."""
    return Stop.TRAP


@insn("s.lop.emsk {d:sreg}, {s:ssrc} # {lut:number@13:10}", opcode=0x070, **BIN, immediate=False,
      ex=("emsk=0xf s=0x5 lut=0x8 | d=0xa emsk=0x5", "emsk=0xf s=0xf0 lut=0xe | d=0x0 emsk=0xff"))
def s_lop_emsk(emsk: U32, s: U32, lut: U32, lanes: U32) -> tuple[U32, Emsk]:
    """emsk = a truth table of (emsk, s): bit 2*emsk + s of lut. d = the lanes this switched off.

    0x8 is and, 0xe or, 0x4 emsk and not s. s is read before d is written.
    """
    result = emsk & 0
    result = result | select_bit(lut, 0, ~emsk & ~s)
    result = result | select_bit(lut, 1, ~emsk & s)
    result = result | select_bit(lut, 2, emsk & ~s)
    result = result | select_bit(lut, 3, emsk & s)
    result = result & lanes
    return emsk & ~result, result


@insn("s.wait {counters:waits}", opcode=0x023, **BIN, ex="counters=vldcnt(0) | stop=WAIT")
def s_wait() -> Stop:
    """Wait until each named counter has at most that many operations outstanding, oldest completing first.

    pipe_flush waits for the pipeline, vmem_wbinv and smem_wbinv for write-back and invalidation.
    """
    return Stop.WAIT


@insn("s.blksyn", opcode=0x030, **LISTED, ex="| stop=BARRIER", barrier=BARRIER_BLOCK)
def s_blksyn(barrier: int) -> Stop:
    """Wait until every live lane of the block has come here. Outstanding operations stay outstanding."""
    return Stop.BARRIER


@insn("s.blksyn.defer", opcode=0x031, **published("listings; meaning defined"), ex="| stop=BARRIER",
      barrier=BARRIER_BLOCK)
def s_blksyn_defer(barrier: int) -> Stop:
    """The same as s.blksyn (what `defer` adds is not published)."""
    return Stop.BARRIER


_SHOWN = published("listings; completion defined")
_SLOT = defined("slots of the published forms; completion defined")
_FENCES = {
    "vmem.fence.blk": (0x3C0, _SHOWN, VMEM_COUNTERS),
    "vmem.fence.gpu": (0x3C1, _SLOT, VMEM_COUNTERS),
    "vmem.fence.sys": (0x3C2, _SLOT, VMEM_COUNTERS),
    "vmem.wbinv.kp0": (0x3C3, _SHOWN, VMEM_COUNTERS),
    "smem.fence.blk": (0x3C8, _SHOWN, SMEM_COUNTERS),
    "smem.fence.sys": (0x3C9, _SHOWN, SMEM_COUNTERS),
    "smem.wbinv.kp0": (0x3CA, _SHOWN, SMEM_COUNTERS),
    "tsm.fence.blk": (0x3CC, _SLOT, counter_bits("tsmcnt")),
}
"""By name: opcode, where it is known from, and the counters that it completes, as a set."""

for _name, (_opcode, _known, _completes) in _FENCES.items():

    @insn(_name, opcode=_opcode, ex="| stop=WAIT", completes=_completes, **_known)
    def fence(completes: int) -> Stop:
        """Before the warp goes on, its outstanding operations of this unit complete and are seen by the named scope."""
        return Stop.WAIT
