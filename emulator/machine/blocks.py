"""Which blocks are resident and whose turn it is, and what a warp of a new one begins with.

Functions of the compiled core. A launch has a slot for each block that can be resident at once; those that hold one
stand in a ring.
"""

from __future__ import annotations

from ...isa.lanes import LANES
from ...isa.registers import LAST_SREG, UNIFORM_SPECIALS
from .arithmetic import least
from .barriers import clear
from .primitives import block_at, copy, launch_at, queue_at, read32, warp_at, write32, write_row
from .state import (
    BARRIERS,
    BLOCK_SIZE,
    COUNTER_COUNT,
    EMSK_ROW,
    HEADER,
    POISON,
    QUEUE_SIZE,
    QUEUES_BYTES,
    READY,
    ROW,
    SCALAR_ROWS,
    STOP,
    scalar_row,
)

BLKID_ROW, CUID_ROW = scalar_row(UNIFORM_SPECIALS["%blkid.x"][0]), scalar_row(UNIFORM_SPECIALS["%cuid"][0])


def can_admit(launch_address: int) -> bool:
    """Whether the next block's compute unit has room for it."""
    launch = launch_at(launch_address)
    if launch.admitted >= launch.blocks or launch.free_count == 0:
        return False
    return read32(launch.resident + 4 * (launch.admitted % launch.cus)) < launch.per_cu


def next_slot(launch_address: int) -> int:
    """The slot of the block whose turn it is; a new block goes first. -1 when none is left."""
    launch = launch_at(launch_address)
    resuming = launch.ring_count > 0 and block_at(launch.slots + front(launch_address) * BLOCK_SIZE).resumed != 0
    if not resuming and can_admit(launch_address):
        return admit(launch_address)
    if launch.ring_count == 0:
        return -1
    slot = front(launch_address)
    launch.ring_head = (launch.ring_head + 1) % launch.slot_count
    launch.ring_count -= 1
    return slot


def front(launch_address: int) -> int:
    """The slot at the head of the ring."""
    launch = launch_at(launch_address)
    return read32(launch.ring + 4 * launch.ring_head)


def push_back(launch_address: int, slot: int) -> None:
    """The block goes to the end of the ring, with full slices."""
    launch = launch_at(launch_address)
    block = block_at(launch.slots + slot * BLOCK_SIZE)
    block.left, block.warp_left, block.spent, block.yielded = launch.block_slice, launch.warp_slice, 0, 0
    write32(launch.ring + 4 * ((launch.ring_head + launch.ring_count) % launch.slot_count), slot)
    launch.ring_count += 1


def push_front(launch_address: int, slot: int) -> None:
    """The block is interrupted and goes on first, with what is left of its slices."""
    launch = launch_at(launch_address)
    block_at(launch.slots + slot * BLOCK_SIZE).resumed = 1
    launch.ring_head = (launch.ring_head + launch.slot_count - 1) % launch.slot_count
    write32(launch.ring + 4 * launch.ring_head, slot)
    launch.ring_count += 1


def admit(launch_address: int) -> int:
    """Make the next block resident: registers and paths of its warps as at kernel entry."""
    launch = launch_at(launch_address)
    number, cu, launch.idle = launch.next_block, launch.admitted % launch.cus, 0
    launch.next_block, launch.admitted = (number + launch.block_step) % launch.blocks, launch.admitted + 1
    launch.free_count -= 1
    slot = read32(launch.free + 4 * launch.free_count)
    block = block_at(launch.slots + slot * BLOCK_SIZE)
    block.number, block.cu = number, cu
    resident = launch.resident + 4 * block.cu
    write32(resident, read32(resident) + 1)
    block.x = number % launch.grid_x
    block.y = number // launch.grid_x % launch.grid_y
    block.z = number // (launch.grid_x * launch.grid_y)
    if launch.poison:
        fill(block.tsm, launch.tsm_size)
        fill(block.private, launch.block_warps * LANES * launch.private_size)
    block.live, block.waiting, block.spent, block.yielded = launch.block_warps, 0, 0, 0
    block.cursor, block.resumed = launch.first_warp, 0
    for barrier in range(BARRIERS):
        clear(launch.slots + slot * BLOCK_SIZE, barrier)
    block.left, block.warp_left = launch.block_slice, launch.warp_slice
    for index in range(launch.block_warps):
        enter(launch_address, launch.slots + slot * BLOCK_SIZE, index)
    block.ready = 1
    return slot


def fill(start: int, size: int) -> None:
    """Put poison into memory."""
    for offset in range(0, size, 4):
        write32(start + offset, POISON)


def enter(launch_address: int, block_address: int, index: int) -> None:
    """Set up one warp of a new block."""
    launch, block = launch_at(launch_address), block_at(block_address)
    base = block.warps + index * launch.warp_stride
    warp = warp_at(base)
    warp.pc, warp.limit, warp.launch, warp.index = launch.start, STOP, launch_address, index
    warp.tsm, warp.tsm_size = block.tsm, launch.tsm_size
    warp.private, warp.private_size = block.private + index * LANES * launch.private_size, launch.private_size
    warp.resolve, warp.resolve_tsm, warp.resolve_private = launch.resolve, launch.resolve_tsm, launch.resolve_private
    warp.state, warp.paths, warp.spin, warp.rotated, warp.acquires = READY, 0, 0, 0, 0
    threads = least(launch.block_threads - LANES * index, LANES)
    lanes = (1 << threads) - 1
    warp.lanes = lanes
    warp.live = lanes
    warp.queues, warp.outstanding = 0, 0
    if launch.queues != 0:
        warp.queues = launch.queues + (base - block_at(launch.slots).warps) // launch.warp_stride * QUEUES_BYTES
        for counter in range(COUNTER_COUNT):
            queue = queue_at(warp.queues + counter * QUEUE_SIZE)
            queue.head, queue.count, queue.groups = 0, 0, 0
    if launch.poison:
        for row in range(launch.poison_rows):
            write_row(base + HEADER + ROW * (SCALAR_ROWS + row), POISON)
        for row in range(LAST_SREG + 1):
            write_row(base + HEADER + ROW * row, POISON)
    if block.ready == 0:
        for row in range(launch.template_count):
            source = launch.template + (index * launch.template_count + row) * ROW
            copy(base + read32(launch.template_rows + 4 * row), source, ROW)
    for row in range(launch.entry_count):
        value = read32(launch.entry + 4 * (index * launch.entry_count + row))
        write_row(base + read32(launch.entry_rows + 4 * row), value)
    write_row(base + BLKID_ROW, block.x)
    write_row(base + BLKID_ROW + ROW, block.y)
    write_row(base + BLKID_ROW + 2 * ROW, block.z)
    write_row(base + CUID_ROW, block.cu)
    write_row(base + EMSK_ROW, lanes)


def retire(launch_address: int, slot: int) -> None:
    """Free the slot of a block whose warps have all ended."""
    launch = launch_at(launch_address)
    block = block_at(launch.slots + slot * BLOCK_SIZE)
    resident = launch.resident + 4 * block.cu
    write32(resident, read32(resident) - 1)
    write32(launch.free + 4 * launch.free_count, slot)
    launch.free_count += 1
    launch.finished += 1
    launch.idle = launch.asleep = 0
