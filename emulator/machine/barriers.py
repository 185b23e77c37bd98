"""Barriers of a block: 16 named ones, and the one of s.blksyn (docs/machine.md section 3).

A warp arrives when all its live lanes have; a barrier opens when as many warps have arrived as it expects, or, if
nobody named a number, all live warps of the block. Compiled together with `core`.
"""

from __future__ import annotations

from ...isa.effects import ARRIVE, BARRIER_BLOCK, HAS_COUNT, REDUCE_AND, REDUCE_OR, REDUCE_POPC
from ...isa.exceptions import INVALID_BARRIER
from ...isa.lanes import LANES
from ...isa.registers import SCC
from .paths import park, run_lowest, runnable, waits, waits_elsewhere, wake_all
from .primitives import block_at, launch_at, read32, record_at, warp_at, write_row
from .state import AT_BARRIER, BARRIERS, EMSK_ROW, READY, RECORD_SIZE, scalar_row

ARRIVED, WENT_ON, REFUSED = 0, 1, 2
"""What became of a path at a barrier: the warp waits, or goes on, or has made a mistake."""
BLOCK_BARRIER = BARRIERS - 1
SCC_ROW = scalar_row(SCC)


def clear(block_address: int, barrier: int) -> None:
    """Nobody has arrived."""
    block = block_at(block_address)
    block.arrived[barrier], block.expected[barrier] = 0, 0
    block.ones[barrier], block.zeros[barrier] = 0, 0


def reach_barrier(launch_address: int, block_address: int, base: int, pc: int) -> int:
    """The running path has come to the barrier instruction at pc."""
    launch, block, warp, record = launch_at(launch_address), block_at(block_address), warp_at(base), record_at(pc)
    kind = record.value
    barrier, count = BLOCK_BARRIER, 0
    if kind & BARRIER_BLOCK == 0:
        barrier = read32(base + record.operand[0])
        if barrier >= BLOCK_BARRIER:
            return refuse(base, pc)
    if kind & HAS_COUNT:
        threads = read32(base + record.operand[1])
        count = threads // LANES
        if threads % LANES or count == 0 or count > launch.block_warps:
            return refuse(base, pc)
    if block.arrived[barrier] > 0 and block.expected[barrier] != count:
        return refuse(base, pc)
    launch.event_barrier, launch.event_expected = barrier, count  # now: scc, which may name them, may get a result
    if kind & ARRIVE:
        if warp.lanes != warp.live:
            return refuse(base, pc)
        block.expected[barrier] = count
        block.arrived[barrier] += 1
        open_if_full(launch_address, block_address, barrier)
        return WENT_ON
    if not waits(base):
        warp.barrier, warp.expected, warp.ones, warp.zeros = barrier, count, 0, 0
    elif waits_elsewhere(base) or warp.barrier != barrier or warp.expected != count:
        return refuse(base, pc)
    if kind & (REDUCE_POPC | REDUCE_AND | REDUCE_OR):
        mask = read32(base + EMSK_ROW)
        given = read32(base + record.operand[2 if kind & HAS_COUNT else 1]) & mask
        warp.ones += ones_in(given)
        warp.zeros += ones_in(mask & ~given)
    park(base)
    warp.path_waits[warp.paths - 1] = 1
    if runnable(base):
        run_lowest(base)
        return WENT_ON
    return ARRIVED


def ones_in(mask: int) -> int:
    """How many bits are set."""
    count = 0
    while mask:
        mask &= mask - 1
        count += 1
    return count


def refuse(base: int, pc: int) -> int:
    """An invalid barrier parameter."""
    warp = warp_at(base)
    warp.fault, warp.fault_lanes, warp.fault_pc, warp.pc = INVALID_BARRIER, warp.lanes, pc, pc
    return REFUSED


def count_in(block_address: int, base: int) -> bool:
    """Count a warp all of whose paths wait at its barrier; False if the others there wait for another number."""
    block, warp = block_at(block_address), warp_at(base)
    barrier = warp.barrier
    if block.arrived[barrier] > 0 and block.expected[barrier] != warp.expected:
        warp.lanes = warp.live
        refuse(base, warp.path_pc[0] - RECORD_SIZE)
        return False
    block.expected[barrier] = warp.expected
    block.arrived[barrier] += 1
    block.ones[barrier] += warp.ones
    block.zeros[barrier] += warp.zeros
    return True


def open_if_full(launch_address: int, block_address: int, barrier: int) -> None:
    """Let the warps at a barrier go on if all that it expects have arrived."""
    launch, block = launch_at(launch_address), block_at(block_address)
    expected = block.expected[barrier] if block.expected[barrier] > 0 else block.live
    if block.arrived[barrier] == 0 or block.arrived[barrier] < expected:
        return
    for index in range(launch.block_warps):
        base = block.warps + index * launch.warp_stride
        warp = warp_at(base)
        if warp.state == AT_BARRIER and warp.barrier == barrier:
            give_result(block_address, base, barrier)
            wake_all(base)
            warp.state = READY
            block.waiting -= 1
    clear(block_address, barrier)


def give_result(block_address: int, base: int, barrier: int) -> None:
    """The result of a reducing barrier goes to scc."""
    block, warp = block_at(block_address), warp_at(base)
    kind = record_at(warp.path_pc[0] - RECORD_SIZE).value
    if kind & REDUCE_POPC:
        write_row(base + SCC_ROW, block.ones[barrier])
    elif kind & REDUCE_AND:
        write_row(base + SCC_ROW, 0xFFFFFFFF if block.zeros[barrier] == 0 else 0)
    elif kind & REDUCE_OR:
        write_row(base + SCC_ROW, 0xFFFFFFFF if block.ones[barrier] != 0 else 0)


def open_all(launch_address: int, block_address: int) -> None:
    """After a warp has ended: barriers that wait for all live warps may be full."""
    for barrier in range(BARRIERS):
        open_if_full(launch_address, block_address, barrier)
