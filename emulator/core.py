"""The compiled schedule: which block, warp and path runs next, and the loop that runs it.

Plain functions over raw structs (`state`), compiled as one object by `compiler`. Python is entered only
when `run` returns: at the end of the quota, when all is done, and for what a stop code names.
"""

from __future__ import annotations

from ..isa.effects import Stop
from ..isa.lanes import LANES
from ..isa.operands import CLOCKS, LAST_SREG, UNIFORM_SPECIALS
from ..isa.program import CODE_BASE, TEXT_BASE
from .paths import drop_lanes, park, reach, rotate, run_lowest, runnable, waits_elsewhere, wake_all
from .primitives import (
    block_at,
    call,
    copy,
    launch_at,
    queue_at,
    range_at,
    read32,
    read64,
    record_at,
    warp_at,
    write32,
    write64,
    write_row,
)
from .state import (
    AT_BARRIER,
    BLOCK,
    COUNTER_COUNT,
    EMSK_ROW,
    ENDED,
    HEADER,
    POISON,
    QUEUE_BYTES,
    QUEUES_BYTES,
    RANGE,
    READ,
    READY,
    RECORD,
    ROW,
    SCALAR_ROWS,
    STOP,
    WARP,
    WRITE,
    offset_of,
    scalar_row,
)

DONE, QUOTA, DEADLOCK = 100, 101, 102
"""Why `run` returns, beside the codes of Stop."""
GO_ON, EXPIRED, BLOCKED, FINISHED = 200, 201, 202, 203
"""What became of a warp or block."""

RECORD_SIZE, BLOCK_SIZE, RANGE_SIZE = RECORD.itemsize, BLOCK.itemsize, RANGE.itemsize
QUANTUM = 4096
"""Instructions of a chip between two ticks of %globaltimer."""
ADDRESS, HOST, SCRATCH = offset_of(WARP, "address"), offset_of(WARP, "host"), offset_of(WARP, "scratch")
CLOCK_ROW, TIME_ROW = scalar_row(CLOCKS["%clock64"][0]), scalar_row(CLOCKS["%globaltimer"][0])
BLKID_ROW, CUID_ROW = scalar_row(UNIFORM_SPECIALS["%blkid.x"][0]), scalar_row(UNIFORM_SPECIALS["%cuid"][0])
STOP_COMPILE, STOP_FAULT, STOP_BREAK = STOP + int(Stop.COMPILE), STOP + int(Stop.FAULT), STOP + int(Stop.BREAK)
EXIT_LANES, EXIT_WARP, BARRIER = STOP + int(Stop.EXIT_LANES), STOP + int(Stop.EXIT_WARP), STOP + int(Stop.BARRIER)
SPLIT, WAIT, CLOCK = STOP + int(Stop.SPLIT), STOP + int(Stop.WAIT), STOP + int(Stop.CLOCK)
ACCESS, STOP_EVENTS = STOP + int(Stop.ACCESS), STOP + int(Stop.EVENTS)
OUT_OF_RANGE, MISALIGNED, READ_DENIED, WRITE_DENIED = 11, 12, 20, 21
TSM_OUT_OF_RANGE, TSM_MISALIGNED = 9, 10
INVALID, CANDIDATE_MASK, BARRIER_PARAMETER, NO_CODE = 0, 1, 2, 16
"""Published exception codes."""


def run(launch_address: int) -> int:
    """Run resident blocks in turn until the quota is used up, all is done, or a warp needs Python."""
    launch = launch_at(launch_address)
    while launch.quota > 0:
        slot = next_slot(launch_address)
        if slot < 0:
            return DONE
        outcome = run_block(launch_address, launch.slots + slot * BLOCK_SIZE)
        if outcome == FINISHED:
            retire(launch_address, slot)
        elif outcome == EXPIRED or outcome == BLOCKED:
            push_back(launch_address, slot)
            launch.idle = launch.idle + 1 if outcome == BLOCKED else 0
            if launch.idle > launch.ring_count and not can_admit(launch_address):
                return DEADLOCK
        else:
            push_front(launch_address, slot)
            launch.stop_slot = slot
            return outcome
    return DONE if launch.finished == launch.blocks else QUOTA


# Blocks.


def can_admit(launch_address: int) -> bool:
    """Whether the next block's compute unit has room for it."""
    launch = launch_at(launch_address)
    if launch.next_block >= launch.blocks or launch.free_count == 0:
        return False
    return read32(launch.resident + 4 * (launch.next_block % launch.cus)) < launch.per_cu


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
    block.left = launch.block_slice
    block.warp_left = launch.warp_slice
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
    number, launch.next_block, launch.idle = launch.next_block, launch.next_block + 1, 0
    launch.free_count -= 1
    slot = read32(launch.free + 4 * launch.free_count)
    block = block_at(launch.slots + slot * BLOCK_SIZE)
    block.number, block.cu = number, number % launch.cus
    resident = launch.resident + 4 * block.cu
    write32(resident, read32(resident) + 1)
    block.x = number % launch.grid_x
    block.y = number // launch.grid_x % launch.grid_y
    block.z = number // (launch.grid_x * launch.grid_y)
    for offset in range(0, launch.tsm_size if launch.poison else 0, 4):
        write32(block.tsm + offset, POISON)
    block.live, block.arrived, block.cursor, block.resumed = launch.block_warps, 0, 0, 0
    block.left, block.warp_left = launch.block_slice, launch.warp_slice
    for index in range(launch.block_warps):
        enter(launch_address, launch.slots + slot * BLOCK_SIZE, index)
    block.ready = 1
    return slot


def enter(launch_address: int, block_address: int, index: int) -> None:
    """Set up one warp of a new block."""
    launch, block = launch_at(launch_address), block_at(block_address)
    base = block.warps + index * launch.warp_stride
    warp = warp_at(base)
    warp.pc, warp.limit, warp.launch, warp.index = launch.start, STOP, launch_address, index
    warp.tsm, warp.tsm_size = block.tsm, launch.tsm_size
    warp.resolve, warp.resolve_tsm = launch.resolve, launch.resolve_tsm
    warp.state, warp.paths, warp.spin, warp.rotated = READY, 0, 0, 0
    threads = least(launch.block_threads - LANES * index, LANES)
    lanes = (1 << threads) - 1
    warp.lanes = lanes
    warp.live = lanes
    warp.queues = 0
    if launch.queues != 0:
        warp.queues = launch.queues + (base - block_at(launch.slots).warps) // launch.warp_stride * QUEUES_BYTES
        for counter in range(COUNTER_COUNT):
            queue = queue_at(warp.queues + counter * QUEUE_BYTES)
            queue.head, queue.count = 0, 0
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
    launch.idle = 0


def run_block(launch_address: int, block_address: int) -> int:
    """Run a block's warps in turn until its slice is used up or none can go on."""
    launch, block = launch_at(launch_address), block_at(block_address)
    block.resumed = 0
    while True:
        index = next_warp(launch_address, block_address)
        if index < 0:
            return FINISHED if block.live == 0 else BLOCKED
        if block.left <= 0:
            return EXPIRED
        if launch.quota <= 0:
            return QUOTA
        if index != block.cursor:
            block.cursor, block.warp_left = index, launch.warp_slice
        outcome = run_warp(launch_address, block_address, block.warps + index * launch.warp_stride)
        if outcome == GO_ON:
            if block.warp_left <= 0:
                block.cursor = (index + 1) % launch.block_warps
                block.warp_left = launch.warp_slice
        elif outcome == FINISHED or outcome == BLOCKED:
            block.cursor = (index + 1) % launch.block_warps
            block.warp_left = launch.warp_slice
            if outcome == FINISHED:
                block.live -= 1
            if block.arrived == block.live and block.live > 0:
                release(launch_address, block_address)
        else:
            launch.stop_warp = index
            return outcome


def next_warp(launch_address: int, block_address: int) -> int:
    """The first warp from the cursor on that can run, or -1."""
    launch, block = launch_at(launch_address), block_at(block_address)
    if block.arrived == block.live:
        return -1
    for step in range(launch.block_warps):
        index = (block.cursor + step) % launch.block_warps
        if warp_at(block.warps + index * launch.warp_stride).state == READY:
            return index
    return -1


def release(launch_address: int, block_address: int) -> None:
    """All live warps have reached the barrier: they go on."""
    launch, block = launch_at(launch_address), block_at(block_address)
    block.arrived = 0
    for index in range(launch.block_warps):
        base = block.warps + index * launch.warp_stride
        if warp_at(base).state == AT_BARRIER:
            wake_all(base)
            warp_at(base).state = READY


# One warp.


def run_warp(launch_address: int, block_address: int, base: int) -> int:
    """Run a warp until its slice ends, it cannot go on, or Python is needed."""
    launch, block, warp = launch_at(launch_address), block_at(block_address), warp_at(base)
    clock = launch.clocks + 8 * block.cu
    while True:
        budget = least(least(block.warp_left, block.left), launch.quota)
        if budget <= 0:
            return GO_ON
        contended = warp.limit != STOP or warp.rotated != 0  # another path could run
        spinning = contended and warp.spin >= launch.spin_limit
        if contended:
            budget = 1 if spinning or warp.rotated else least(budget, launch.spin_limit - warp.spin)
        pc, limit, count = warp.pc, warp.limit, 0
        if launch.events != 0:
            if launch.event_count >= launch.event_capacity:
                launch.stop_pc = pc
                return STOP_EVENTS - STOP
            budget, launch.event_emsk = 1, read32(base + EMSK_ROW)
        first = reached = pc
        while count < budget:
            count += 1
            reached = call(record_at(pc).handler, base, pc)
            if reached >= limit:
                break
            pc = reached
        if reached >= STOP:
            outcome = stopped(launch_address, base, pc, reached, clock, count)
            if outcome == STOP_COMPILE or outcome == STOP_BREAK:
                count -= 1
        else:
            warp.pc = reached
            outcome = GO_ON
        if launch.events != 0 and reached != STOP_COMPILE and reached != STOP_BREAK:
            launch.event_block, launch.event_cu = block.number, block.cu
            launch.event_stop = reached - STOP if reached >= STOP else 0
            call(launch.emit, base, first)
        write_clock(clock, count)
        block.warp_left -= count
        block.left -= count
        launch.quota -= count
        launch.executed += count
        if outcome >= STOP:
            warp.spin = warp.spin + count if contended else 0
            launch.stop_pc = warp.pc
            return outcome - STOP
        if outcome == BLOCKED:
            block.arrived += 1
        if outcome != GO_ON:
            return outcome
        if warp.paths > 0:
            warp.spin = warp.spin + count if contended else 0
            jumped = warp.pc != first + RECORD_SIZE
            reach(base)
            if spinning and warp.paths > 0 and jumped:
                rotate(base)  # only after a jump: a compare and the branch that reads its mask stay together


def least(a: int, b: int) -> int:
    """The smaller number."""
    return a if a < b else b


def write_clock(clock: int, count: int) -> None:
    """Count instructions of a compute unit."""
    write64(clock, read64(clock) + count)


def stopped(launch_address: int, base: int, pc: int, code: int, clock: int, count: int) -> int:
    """Act on a stop code of the instruction at pc: GO_ON, BLOCKED, FINISHED, or the code for Python."""
    warp = warp_at(base)
    warp.pc = pc + RECORD_SIZE
    launch = launch_at(launch_address)
    if code == EXIT_LANES:
        if drop_lanes(base):
            return finished(launch_address, base)
        if warp.lanes == 0:
            warp.state = AT_BARRIER
            return BLOCKED
        return GO_ON
    if code == EXIT_WARP:
        warp.live = 0
        warp.paths = 0
        return finished(launch_address, base)
    if code == BARRIER:
        if waits_elsewhere(base):
            warp.fault, warp.fault_lanes, warp.fault_pc, warp.pc = BARRIER_PARAMETER, warp.lanes, pc, pc
            return STOP_FAULT
        park(base)
        warp.path_waits[warp.paths - 1] = 1
        if runnable(base):
            run_lowest(base)
            return GO_ON
        warp.state = AT_BARRIER
        return BLOCKED
    if code == SPLIT:
        split(base)
        return GO_ON
    if code == WAIT or code == ACCESS:
        call(launch.wait if code == WAIT else launch.access, base, pc)
        return GO_ON
    if code == CLOCK:
        now = read64(clock) + count - 1
        time = (launch.globaltime + launch.executed + count - 1) // QUANTUM * QUANTUM
        write_row(base + CLOCK_ROW, now & 0xFFFFFFFF)
        write_row(base + CLOCK_ROW + ROW, now >> 32)
        write_row(base + TIME_ROW, time & 0xFFFFFFFF)
        write_row(base + TIME_ROW + ROW, time >> 32)
        call(record_at(pc).value, base, pc)
        return GO_ON
    warp.pc = pc
    return code


def finished(launch_address: int, base: int) -> int:
    """The warp has ended; what it has outstanding completes."""
    launch = launch_at(launch_address)
    if launch.finish != 0:
        call(launch.finish, base, 0)
    warp_at(base).state = ENDED
    return FINISHED


def split(base: int) -> None:
    """A divergent branch: the taken lanes wait at the target or go on, whichever address is lower runs first."""
    warp = warp_at(base)
    emsk, taken, stay = read32(base + EMSK_ROW), warp.taken, warp.pc
    lanes = warp.lanes
    warp.lanes = taken
    write_row(base + EMSK_ROW, taken)
    warp.pc = warp.target
    park(base)
    warp.lanes = lanes & ~taken
    write_row(base + EMSK_ROW, emsk & ~taken)
    warp.pc = stay
    park(base)
    run_lowest(base)


def jump(base: int, record_address: int, mask: int) -> int:
    """The record at the code address that the lanes of mask have in the warp's addresses; or STOP + FAULT."""
    warp = warp_at(base)
    launch = launch_at(warp.launch)
    address, apart = read64(base + ADDRESS), 0
    if mask == 0:
        return record_address + RECORD_SIZE
    if mask != 1:  # not one for the warp: one per lane
        for lane in range(LANES - 1, -1, -1):
            if mask >> lane & 1:
                address = read64(base + ADDRESS + 8 * lane)
        for lane in range(LANES):
            if mask >> lane & 1 and read64(base + ADDRESS + 8 * lane) != address:
                apart |= 1 << lane
    code, record = 0, launch.start + ((address - CODE_BASE) >> 3) * RECORD_SIZE
    if address >= TEXT_BASE and address < TEXT_BASE + 8 * launch.text_words:
        record = launch.program + ((address - TEXT_BASE) >> 3) * RECORD_SIZE
    elif address < CODE_BASE or address >= CODE_BASE + 8 * launch.kernel_words:
        code = NO_CODE
    if apart == 0 and code == 0 and address & 7 == 0:
        return record
    warp.fault, warp.fault_pc = CANDIDATE_MASK if apart != 0 else code, record_address
    warp.fault_lanes = apart if apart != 0 else read32(base + EMSK_ROW)
    return STOP_FAULT


# Addresses: the slow path behind the bounds each record remembers.


def resolve(base: int, record_address: int, request: int, mask: int) -> int:
    """Look up the active lanes' HBM addresses; 0 and host pointers in the warp, or STOP + FAULT.

    request is the bytes of an access, plus 0x100 for a store. Lanes that are off get a scratch pointer.
    """
    size, store = request & 0xFF, request >> 8
    first = True
    for lane in range(LANES):
        if mask >> lane & 1 == 0:
            write64(base + HOST + 8 * lane, base + SCRATCH)
            continue
        address = read64(base + ADDRESS + 8 * lane)
        found = find_range(base, address, size)
        code = check_access(found, address, size, store)
        if code != 0:
            return fault(base, record_address, code, request, mask)
        place = range_at(found)
        write64(base + HOST + 8 * lane, address + place.delta)
        if first:
            record = record_at(record_address)
            record.lo, record.count, record.delta = place.lo, place.hi - place.lo - size + 1, place.delta
            first = False
    return 0


def find_range(base: int, address: int, size: int) -> int:
    """The RANGE that holds the whole access, or 0."""
    launch = launch_at(warp_at(base).launch)
    low, high = 0, launch.range_count
    while low < high:
        middle = (low + high) // 2
        if range_at(launch.ranges + middle * RANGE_SIZE).hi <= address:
            low = middle + 1
        else:
            high = middle
    if low == launch.range_count:
        return 0
    found = launch.ranges + low * RANGE_SIZE
    place = range_at(found)
    return found if address >= place.lo and address <= place.hi - size else 0


def check_access(found: int, address: int, size: int, store: int) -> int:
    """The published exception code of one access, or 0 if it is allowed."""
    if address & (size - 1):
        return MISALIGNED
    if found == 0:
        return OUT_OF_RANGE
    flags = range_at(found).flags
    if store and flags & WRITE == 0:
        return WRITE_DENIED
    if not store and flags & READ == 0:
        return READ_DENIED
    return 0


def fault(base: int, record_address: int, code: int, request: int, mask: int) -> int:
    """Record a fault of the lanes that have this code, nothing having changed."""
    size, store, lanes = request & 0xFF, request >> 8, 0
    for lane in range(LANES):
        if mask >> lane & 1:
            address = read64(base + ADDRESS + 8 * lane)
            if check_access(find_range(base, address, size), address, size, store) == code:
                lanes |= 1 << lane
    warp = warp_at(base)
    warp.fault, warp.fault_lanes, warp.fault_pc = code, lanes, record_address
    return STOP_FAULT


def resolve_tsm(base: int, record_address: int, request: int, mask: int) -> int:
    """Check the active lanes' TSM offsets; 0 and host pointers in the warp, or STOP + FAULT."""
    size = request & 0xFF
    warp = warp_at(base)
    code, lanes = 0, 0
    for lane in range(LANES):
        if mask >> lane & 1 == 0:
            write64(base + HOST + 8 * lane, base + SCRATCH)
            continue
        offset = read64(base + ADDRESS + 8 * lane)
        bad = TSM_MISALIGNED if offset & (size - 1) else 0
        bad = bad if offset >= 0 and offset <= warp.tsm_size - size else TSM_OUT_OF_RANGE
        if bad != 0 and code == 0:
            code = bad
        if bad == code and bad != 0:
            lanes |= 1 << lane
        write64(base + HOST + 8 * lane, warp.tsm + offset)
    if code != 0:
        warp.fault, warp.fault_lanes, warp.fault_pc = code, lanes, record_address
        return STOP_FAULT
    return 0


def fail(base: int, record_address: int) -> int:
    """The handler of a word that cannot run: its record's value is the exception code."""
    warp = warp_at(base)
    warp.fault = record_at(record_address).value
    warp.fault_lanes = read32(base + EMSK_ROW)
    warp.fault_pc = record_address
    return STOP_FAULT


def not_compiled(base: int, record_address: int) -> int:
    """The handler of a record whose real one must be compiled first."""
    return STOP_COMPILE


def break_here(base: int, record_address: int) -> int:
    """The handler of a record with a breakpoint."""
    return STOP_BREAK
