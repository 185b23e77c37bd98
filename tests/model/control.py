"""Branches, masks, ends, barriers, waits and fences."""

from m890.isa.operands import Register

from .machine import ALL, EMSK, Fault, Wait, Warp
from .meaning import scalar_value, warp

DISTANCE = 1 << 20


def jump(warp: Warp, target: int) -> None:
    """Go on so many words behind the next one; the number is signed."""
    warp.pc += reach(target)


def reach(target: int) -> int:
    """A branch distance as a signed number."""
    return target - DISTANCE if target >= DISTANCE // 2 else target


@warp("{name}", name={"s.nop": None, "v.reg.dchk": None})
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
def barrier(warp: Warp) -> Wait:
    return Wait(None)


VMEM, SMEM, TSM = ("vldcnt", "vstcnt"), ("sldcnt", "sstcnt"), ("tsmcnt",)
FUNCTIONS = {"pipe_flush": (), "vmem_wbinv": VMEM, "smem_wbinv": SMEM}
"""What s.wait waits for instead of counters."""
FENCES = {
    "vmem.fence.blk": VMEM,
    "vmem.fence.gpu": VMEM,
    "vmem.fence.sys": VMEM,
    "vmem.wbinv.kp0": VMEM,
    "smem.fence.blk": SMEM,
    "smem.fence.sys": SMEM,
    "smem.wbinv.kp0": SMEM,
    "tsm.fence.blk": TSM,
}


@warp("s.wait")
def wait(warp: Warp, counters: tuple[tuple[str, int], ...]) -> None:
    for name, left in counters:
        if name in FUNCTIONS:
            complete(warp, FUNCTIONS[name])
        else:
            warp.drain(name, left)


def complete(warp: Warp, counters: tuple[str, ...]) -> None:
    """All operations of these counters."""
    for counter in counters:
        warp.drain(counter, 0)


@warp("{counters}", counters=FENCES)
def fence(warp: Warp, *, counters: tuple[str, ...]) -> None:
    complete(warp, counters)
