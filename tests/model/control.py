"""Branches, masks, ends, barriers, waits and fences."""

from m890.isa.registers import Register

from .integer import signed
from .machine import ALL, COPIES, EMSK, OFF_THE_END, Fault, Wait, Warp, lanes_of
from .meaning import scalar_value, vector_values, warp

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


CODE = 1 << 32
"""The address of a kernel's first word."""


def go(warp: Warp, address: int) -> None:
    """Go on at a code address."""
    place = address - CODE
    if place % 8:
        raise Fault(0)
    if not 0 <= place < 8 * len(warp.block.words):
        raise Fault(OFF_THE_END)
    warp.pc = place // 8


@warp("s.call")
def call(warp: Warp, d: Register, target: int | None = None, a: Register | None = None) -> None:
    """The target in the word counts from the kernel's first word."""
    if a is not None:
        address = scalar_value(a.number, 2)(warp)
    else:
        address = CODE + signed(target or 0)
    back = CODE + 8 * warp.pc
    go(warp, address)
    warp.set_scalar(d.number, back)
    warp.set_scalar(d.number + 1, back >> 32)


@warp("{name}", name={"s.ret": None, "s.cbr.ind": None})
def go_to_address(warp: Warp, a: Register) -> None:
    go(warp, scalar_value(a.number, 2)(warp))


@warp("simt.cbr.ind")
def go_to_lanes_address(warp: Warp, a: Register) -> None:
    addresses = {vector_values(a.number, 2)(warp)[lane] for lane in lanes_of(warp.s[EMSK])}
    if len(addresses) > 1:
        raise Fault(1)
    for address in addresses:
        go(warp, address)


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
        elif name == COPIES:
            warp.drain_groups(left)
        else:
            warp.drain(name, left)


def complete(warp: Warp, counters: tuple[str, ...]) -> None:
    """All operations of these counters."""
    for counter in counters:
        warp.drain(counter, 0)


@warp("{counters}", counters=FENCES)
def fence(warp: Warp, *, counters: tuple[str, ...]) -> None:
    complete(warp, counters)
