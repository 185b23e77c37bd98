"""The compiled schedule: which block, warp and path runs next, and the loop that runs it.

Plain functions over raw structs (`state`), compiled as one object by `compiler`. Python is entered only
when `run` returns: at the end of the quota, when all is done, and for what a stop code names.
"""

from __future__ import annotations

from ...isa.effects import Stop
from ...isa.registers import CLOCKS
from .arithmetic import least
from .barriers import ARRIVED, REFUSED, count_in, open_all, open_if_full, reach_barrier
from .blocks import can_admit, next_slot, push_back, push_front, retire
from .paths import drop_lanes, park, reach, rotate, run_lowest
from .primitives import (
    block_at,
    call,
    launch_at,
    read32,
    read64,
    record_at,
    warp_at,
    write64,
    write_row,
)
from .state import (
    AT_BARRIER,
    BLOCK_SIZE,
    EMSK_ROW,
    ENDED,
    READY,
    RECORD_SIZE,
    ROW,
    STOP,
    STOP_FAULT,
    WAITING,
    scalar_row,
)

DONE, QUOTA, DEADLOCK, IDLE, ASLEEP = 100, 101, 102, 103, 104
"""Why `run` returns, beside the codes of Stop. IDLE: no warp can go on before another chip answers. ASLEEP: in a pod,
those that can do no more than look whether what they wait for has come, and nothing comes within a quantum."""
LOOK = 32
"""Instructions between two sleeps of a warp that does nothing but look."""
GO_ON, EXPIRED, BLOCKED, FINISHED, HELD = 200, 201, 202, 203, 204
"""What became of a warp or block. HELD: the warp tries its instruction again later, as if it had not come to it yet."""

TICK = 4096
"""Instructions of a chip between two ticks of %globaltimer, whatever the quantum of a pod is."""
CLOCK_ROW, TIME_ROW = scalar_row(CLOCKS["%clock64"][0]), scalar_row(CLOCKS["%globaltimer"][0])
STOP_COMPILE, STOP_BREAK = STOP + int(Stop.COMPILE), STOP + int(Stop.BREAK)
EXIT_LANES, EXIT_WARP, BARRIER = STOP + int(Stop.EXIT_LANES), STOP + int(Stop.EXIT_WARP), STOP + int(Stop.BARRIER)
SPLIT, WAIT, CLOCK = STOP + int(Stop.SPLIT), STOP + int(Stop.WAIT), STOP + int(Stop.CLOCK)
ACCESS, STOP_EVENTS, YIELD = STOP + int(Stop.ACCESS), STOP + int(Stop.EVENTS), STOP + int(Stop.YIELD)
COPY, AWBAR, REMOTE = STOP + int(Stop.COPY), STOP + int(Stop.AWBAR), STOP + int(Stop.REMOTE)
LETS_OTHERS_RUN, AWBAR_REFUSED = 1, 2
"""What an operation on an asynchronous barrier has come to, if it is not just done."""


def run(launch_address: int) -> int:
    """Run resident blocks in turn until the quota is used up, all is done, or a warp needs Python."""
    launch = launch_at(launch_address)
    while launch.quota > 0:
        slot = next_slot(launch_address)
        if slot < 0:
            return DONE
        before = launch.quota
        outcome = run_block(launch_address, launch.slots + slot * BLOCK_SIZE)
        block = block_at(launch.slots + slot * BLOCK_SIZE)
        block.spent += before - launch.quota
        if outcome == FINISHED:
            retire(launch_address, slot)
        elif outcome == EXPIRED or outcome == BLOCKED:
            looks = block.spent <= LOOK * block.yielded
            push_back(launch_address, slot)
            launch.idle = launch.idle + 1 if outcome == BLOCKED else 0
            if launch.idle > launch.ring_count and not can_admit(launch_address):
                return IDLE if launch.waiting > 0 else DEADLOCK
            launch.asleep = launch.asleep + 1 if looks or outcome == BLOCKED else 0
            if launch.chip != 0 and launch.asleep > launch.ring_count and not can_admit(launch_address):
                launch.asleep = 0
                return ASLEEP
        else:
            push_front(launch_address, slot)
            launch.stop_slot = slot
            return outcome
    return DONE if launch.finished == launch.blocks else QUOTA


# One block.


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
                block.cursor = (index + launch.warp_step) % launch.block_warps
                block.warp_left = launch.warp_slice
        elif outcome == FINISHED or outcome == BLOCKED or outcome == HELD:
            block.cursor = (index + launch.warp_step) % launch.block_warps
            block.warp_left = launch.warp_slice
            if outcome == FINISHED:
                block.live -= 1
                if block.waiting > 0:
                    open_all(launch_address, block_address)
        else:
            launch.stop_warp = index
            return outcome


def next_warp(launch_address: int, block_address: int) -> int:
    """The first warp from the cursor on, in the order of the schedule, that can run; or -1."""
    launch, block = launch_at(launch_address), block_at(block_address)
    if block.waiting == block.live:
        return -1
    for step in range(launch.block_warps):
        index = (block.cursor + step * launch.warp_step) % launch.block_warps
        if warp_at(block.warps + index * launch.warp_stride).state == READY:
            return index
    return -1


# One warp.


def run_warp(launch_address: int, block_address: int, base: int) -> int:
    """Run a warp until its slice ends, it cannot go on, or Python is needed."""
    launch, block, warp = launch_at(launch_address), block_at(block_address), warp_at(base)
    clock = launch.clocks + 8 * block.cu
    while True:
        if warp.pc >= warp.limit:  # Python has moved it on, to where another path waits
            reach(base)
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
            launch.quota -= count - 1  # what is sent now bears the time
            outcome = stopped(launch_address, block_address, base, pc, reached, clock, count)
            launch.quota += count - 1
            if outcome == STOP_COMPILE or outcome == STOP_BREAK or outcome == HELD:
                count -= 1
        else:
            warp.pc = reached
            outcome = GO_ON
        if launch.events != 0 and outcome != STOP_COMPILE and outcome != STOP_BREAK and outcome != HELD:
            observe(launch_address, block_address, base, first, STOP_FAULT if outcome == STOP_FAULT else reached)
        spend(launch_address, block_address, clock, count)
        if outcome >= STOP or outcome == HELD:
            warp.spin = warp.spin + count if contended else 0
            launch.stop_pc = warp.pc
            return outcome - STOP if outcome >= STOP else HELD
        if outcome != GO_ON:
            return outcome
        if warp.paths > 0:
            warp.spin = warp.spin + count if contended else 0
            jumped = warp.pc != first + RECORD_SIZE
            reach(base)
            if spinning and warp.paths > 0 and jumped:
                rotate(base)  # only after a jump: a compare and the branch that reads its mask stay together


def observe(launch_address: int, block_address: int, base: int, pc: int, reached: int) -> None:
    """Write an event for the instruction at pc, which has been executed."""
    launch, block = launch_at(launch_address), block_at(block_address)
    launch.event_block, launch.event_cu = block.number, block.cu
    launch.event_stop = reached - STOP if reached >= STOP else 0
    call(launch.emit, base, pc)


def spend(launch_address: int, block_address: int, clock: int, count: int) -> None:
    """Take instructions that have been executed off the slices and the quota, and count them."""
    launch, block = launch_at(launch_address), block_at(block_address)
    write64(clock, read64(clock) + count)
    block.warp_left -= count
    block.left -= count
    launch.quota -= count
    launch.executed += count


def stopped(launch_address: int, block_address: int, base: int, pc: int, code: int, clock: int, count: int) -> int:
    """Act on a stop code of the instruction at pc: GO_ON, BLOCKED, FINISHED, HELD, or the code for Python."""
    warp = warp_at(base)
    warp.pc = pc + RECORD_SIZE
    if code == EXIT_LANES or code == EXIT_WARP:
        return leave(launch_address, block_address, base, pc, code)
    if code == BARRIER:
        outcome = reach_barrier(launch_address, block_address, base, pc)
        if outcome == ARRIVED:
            return arrived(launch_address, block_address, base)
        return STOP_FAULT if outcome == REFUSED else GO_ON
    if code == YIELD:
        yielded(launch_address, block_address, base, count)
        return GO_ON
    if code == SPLIT:
        split(base)
        return GO_ON
    if code == WAIT or code == ACCESS or code == REMOTE or code == COPY or code == AWBAR:
        return operate(launch_address, block_address, base, pc, code, count)
    if code == CLOCK:
        read_clock(launch_address, base, pc, read64(clock) + count - 1, count)
        return GO_ON
    warp.pc = pc
    return code


def leave(launch_address: int, block_address: int, base: int, pc: int, code: int) -> int:
    """Lanes of the warp, or all that is left of it, exit: GO_ON, BLOCKED, FINISHED, HELD, or the code for Python."""
    warp, launch = warp_at(base), launch_at(launch_address)
    if ends(base, code):
        if launch.finish != 0:
            emsk = read32(base + EMSK_ROW)
            held = call(launch.finish, base, 0) == HELD
            write_row(base + EMSK_ROW, emsk)  # a load into it that is completed does not change who ends
            if held:
                return hold(base, pc)
        warp.live, warp.paths, warp.state = 0, 0, ENDED
        return FINISHED
    drop_lanes(base)
    return GO_ON if warp.lanes != 0 else arrived(launch_address, block_address, base)


def operate(launch_address: int, block_address: int, base: int, pc: int, code: int, count: int) -> int:
    """Let what is compiled apart do the instruction at pc: GO_ON, HELD, or the code for Python."""
    launch = launch_at(launch_address)
    if code == WAIT:
        found = call(launch.wait, base, pc)
    elif code == ACCESS:
        found = call(launch.access, base, pc)
    elif code == REMOTE:
        found = call(launch.remote, base, pc)
    elif code == COPY:
        found = call(launch.cube, base, pc)
    else:
        found = call(launch.awbar, base, pc)
    if found == HELD:
        return hold(base, pc)
    if code == REMOTE and found == STOP_COMPILE:
        warp_at(base).pc = pc
        return STOP_COMPILE
    if (code == COPY and found != 0) or (code == AWBAR and found == AWBAR_REFUSED):
        warp_at(base).pc = pc
        return STOP_FAULT
    if code == AWBAR and found == LETS_OTHERS_RUN:
        yielded(launch_address, block_address, base, count)
    return GO_ON


def read_clock(launch_address: int, base: int, pc: int, now: int, count: int) -> None:
    """Run an instruction that reads a clock, which is put into its rows first."""
    launch = launch_at(launch_address)
    time = (launch.globaltime + launch.executed + count - 1) // TICK * TICK
    write_row(base + CLOCK_ROW, now & 0xFFFFFFFF)
    write_row(base + CLOCK_ROW + ROW, now >> 32)
    write_row(base + TIME_ROW, time & 0xFFFFFFFF)
    write_row(base + TIME_ROW + ROW, time >> 32)
    call(record_at(pc).value, base, pc)


def yielded(launch_address: int, block_address: int, base: int, count: int) -> None:
    """The warp lets others run first: its paths, the block's warps, and once these do the same, other blocks."""
    launch, block, warp = launch_at(launch_address), block_at(block_address), warp_at(base)
    block.warp_left = count  # the caller takes them off
    if warp.paths > 0:
        warp.spin = launch.spin_limit
    block.yielded += 1
    if block.yielded >= block.live - block.waiting:
        block.left = count


def arrived(launch_address: int, block_address: int, base: int) -> int:
    """No path of the warp can go on before its barrier opens: GO_ON if it just did."""
    warp = warp_at(base)
    if not count_in(block_address, base):
        return STOP_FAULT
    warp.state = AT_BARRIER
    block_at(block_address).waiting += 1
    open_if_full(launch_address, block_address, warp.barrier)
    return GO_ON if warp_at(base).state == READY else BLOCKED


def ends(base: int, code: int) -> bool:
    """Whether the warp ends with the exit that it has come to."""
    warp, emsk = warp_at(base), read32(base + EMSK_ROW)
    return code == EXIT_WARP or warp.live & ~(emsk if emsk != 0 else warp.lanes) == 0


def hold(base: int, pc: int) -> int:
    """The warp comes to the instruction at pc again when another chip has answered: HELD."""
    warp = warp_at(base)
    warp.pc, warp.state = pc, WAITING
    launch_at(warp.launch).waiting += 1
    return HELD


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


def clock_stop(base: int, record_address: int) -> int:
    """The handler of a record that reads a clock: the schedule puts it into its rows and calls the real handler."""
    return CLOCK
