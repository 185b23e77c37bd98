"""Branches, masks, ends, barriers; waits and fences have nothing to do where everything completes at once."""

from m890.isa.operands import Register

from .machine import ALL, BARRIER, EMSK, Fault, Warp
from .meaning import scalar_value, warp

DISTANCE = 1 << 20


def jump(warp: Warp, target: int) -> None:
    """Go on so many words behind the next one; the number is signed."""
    warp.pc += reach(target)


def reach(target: int) -> int:
    """A branch distance as a signed number."""
    return target - DISTANCE if target >= DISTANCE // 2 else target


@warp("s.nop")
def nothing(warp: Warp) -> None:
    pass


@warp("s.cbr")
def branch(warp: Warp, target: int) -> None:
    jump(warp, target)


@warp("s.cbr.az")
def branch_if_zero(warp: Warp, c: Register, target: int) -> None:
    if scalar_value(c.number, 1)(warp) == 0:
        jump(warp, target)


@warp("s.cbr.nz")
def branch_if_not_zero(warp: Warp, c: Register, target: int) -> None:
    if scalar_value(c.number, 1)(warp) != 0:
        jump(warp, target)


@warp("simt.rcbr.n")
def branch_of_lanes_not(warp: Warp, m: Register, target: int) -> None:
    warp.split(warp.s[EMSK] & ~scalar_value(m.number, 1)(warp), warp.pc + reach(target))


@warp("simt.rcbr")
def branch_of_lanes(warp: Warp, m: Register, target: int) -> None:
    warp.split(warp.s[EMSK] & scalar_value(m.number, 1)(warp), warp.pc + reach(target))


@warp("simt.exit")
def end_lanes(warp: Warp) -> None:
    warp.end_lanes()


@warp("s.exit")
def end_warp(warp: Warp) -> None:
    warp.end()


@warp("s.trap")
def trap(warp: Warp) -> None:
    raise Fault(256)


@warp("s.lop.emsk")
def combine_emsk(warp: Warp, d: Register, s: Register, lut: int) -> None:
    old, mask = warp.s[EMSK], scalar_value(s.number, 1)(warp)
    new = 0
    for entry in range(4):
        if lut >> entry & 1:
            new |= (old if entry & 2 else ~old) & (mask if entry & 1 else ~mask)
    warp.set_scalar(EMSK, new)
    warp.set_scalar(d.number, old & ~warp.s[EMSK] & ALL)


@warp("s.blksyn{defer}", defer={"": False, ".defer": True})
def barrier(warp: Warp) -> str:
    return BARRIER


FENCES = ("vmem.fence.blk", "vmem.fence.gpu", "vmem.fence.sys", "vmem.wbinv.kp0", "smem.fence.blk", "smem.fence.sys",
          "smem.wbinv.kp0", "tsm.fence.blk")  # fmt: skip


@warp("{name}", name=dict.fromkeys(("s.wait", *FENCES)))
def wait(warp: Warp) -> None:
    pass
