"""Asynchronous copies by lanes, and the groups they are waited for in."""

from m890.isa.operands import Address
from m890.isa.registers import Register

from .machine import EMSK, Fault, Warp, lanes_of
from .meaning import warp
from .memory import SIZES, addresses
from .outstanding import Operation, poison_byte, start

WIDE = {name: size for name, size in SIZES.items() if size >= 4}


def copy(warp: Warp, to: Register, places: list[int], size: int, counts: list[int]) -> None:
    """Of each lane's bytes the first `counts` come from memory, the others are zero.

    For what they meet, all lanes read and write `size` bytes.
    """
    active, offsets = lanes_of(warp.s[EMSK]), warp.v[to.number]
    hbm, tsm, reads = warp.hbm, warp.tsm, [min(size, count) for count in counts]
    for lane in active:
        tsm.check(offsets[lane], size)
    for lane in active:
        if reads[lane]:
            if places[lane] % size:
                raise Fault(12)
            hbm.check_bytes(places[lane], reads[lane])

    def complete() -> None:
        for lane in active:
            for n in range(size):
                tsm.store(offsets[lane] + n, 1, hbm.load(places[lane] + n, 1) if n < reads[lane] else 0)

    def poison() -> None:
        for lane in active:
            for place in range(offsets[lane], offsets[lane] + size):
                tsm.store(place, 1, poison_byte(place))

    operation = Operation("commit_group", hbm, [], size, False, complete, poison)
    operation.touched, operation.there = (
        {first[lane] + n for lane in active for n in range(size)} for first in (places, offsets)
    )
    start(warp, operation)


@warp("vmem.ld.tsm.{size}", size=SIZES)
def load_to_tsm(warp: Warp, to: Register, at: Address, suffixes: set[str], *, size: int) -> None:
    copy(warp, to, addresses(warp, at, "sign" in suffixes), size, [size] * 32)


@warp("vmem.ld.tsm.zfill.{size}", size=WIDE)
def load_some_to_tsm(warp: Warp, to: Register, at: Address, n: Register, suffixes: set[str], *, size: int) -> None:
    copy(warp, to, addresses(warp, at, "sign" in suffixes), size, warp.v[n.number])


@warp("vmem.acp.commit.grp")
def close_group(warp: Warp) -> None:
    warp.groups += 1
