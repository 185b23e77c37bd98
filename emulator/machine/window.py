"""A chip of a pod between two meetings with the others: quanta, and at each border what has arrived. Compiled.

Plain functions over raw structs, compiled as one object by `compiler`.
"""

from __future__ import annotations

from .arithmetic import greatest, least
from .core import ASLEEP, DONE, IDLE, QUOTA
from .core import run as run_core
from .primitives import block_at, chip_at, launch_at, packet_at, read32
from .remote import SERVED, UNKNOWN, take, wake
from .sending import PACKET_SIZE
from .state import BLOCK_SIZE, MATRIX_RATES, WORK_BITS

WINDOW, UNKNOWN_WORD = 110, 111
"""Why `run` returns, beside the codes of Stop and those of core: `until` is reached; a word of an ATOMIC is new."""
WORK_MASK = (1 << WORK_BITS) - 1
AT_BORDER = -1
"""`left` of a chip that is not within a quantum."""


def run(chip_address: int) -> int:
    """Run the CHIP at an address to `until`: WINDOW, or before that why Python is needed; call it again to go on.

    At every border before `until` the chip takes in what has arrived by then: requests act on its memory and are
    answered by packets of the time at which they arrived, answers wake warps. Then it runs `quantum` instructions. A
    chip without a launch, or all of whose warps wait, goes on at the next border at which something has arrived.

    Beside WINDOW it returns: the codes of Stop that need Python (COMPILE, PRINT, FAULT, TRAP, EVENTS), with the quantum
    interrupted; core.DONE, the launch has ended and all it sent is answered (`time` is the border behind it; set
    `launch` to 0 or to the next one); core.DEADLOCK, no warp can ever go on; UNKNOWN_WORD, `unknown` must be learned.

    What the chip sends stands in the outbox, in the order of `seq`; empty it (`outbox_count` = 0) before the next
    window. It has room for an answer to every packet of the inbox beside what warps may send. What has not arrived by
    the last border (`inbox_next` on) must stand first in the next inbox.
    """
    chip = chip_at(chip_address)
    if chip.launch != 0 and chip.outbox_count == 0 and launch_at(chip.launch).held > 0:  # not where Python came between
        retry_held(chip.launch)
    while chip.time < chip.until:
        if chip.left == AT_BORDER:
            if take_in(chip_address) == UNKNOWN:
                return UNKNOWN_WORD
            if chip.launch == 0 or chip.debt >= chip.quantum_ps or is_idle(chip_address):
                skip(chip_address)
                continue
            chip.left = chip.quantum
        reason = run_quantum(chip_address)
        if reason != QUOTA and reason != IDLE and reason != ASLEEP:
            return reason
    return WINDOW


def run_quantum(chip_address: int) -> int:
    """Run what is left of a quantum: QUOTA, IDLE or ASLEEP at the border behind it, or why core.run has stopped."""
    chip = chip_at(chip_address)
    launch, reason = launch_at(chip.launch), QUOTA
    if chip.left > 0:
        launch.quota = chip.left
        reason = run_core(chip.launch)
        chip.left = launch.quota
    if reason in (QUOTA, IDLE, ASLEEP, DONE):
        chip.left = AT_BORDER
        chip.time += chip.quantum_ps
        chip.idle = 1 if reason == IDLE else 0
        owe(chip_address)
    if reason == DONE and chip.debt > 0:  # it ends when that is done
        chip.debt = greatest(chip.debt - chip.quantum_ps, 0)
        return QUOTA
    return reason


def owe(chip_address: int) -> None:
    """Add up what the matrix instructions of a quantum take longer than that."""
    chip = chip_at(chip_address)
    launch, work = launch_at(chip.launch), 0
    for rate in range(MATRIX_RATES):
        done, ps = launch.matrix[rate], launch.matrix_ps[rate]
        work += (done >> WORK_BITS) * ps + ((done & WORK_MASK) * ps >> WORK_BITS)  # in two, lest it overflow
        launch.matrix[rate] = 0
    chip.debt += greatest(work - chip.quantum_ps, 0)


def take_in(chip_address: int) -> int:
    """Take in what has arrived by now: SERVED, or UNKNOWN for an ATOMIC to be learned."""
    chip = chip_at(chip_address)
    while chip.inbox_next < chip.inbox_count:
        packet_address = chip.inbox + chip.inbox_next * PACKET_SIZE
        if packet_at(packet_address).arrival > chip.time:
            return SERVED
        if take(chip_address, packet_address) == UNKNOWN:
            return UNKNOWN
        chip.inbox_next += 1
    return SERVED


def is_idle(chip_address: int) -> bool:
    """Whether all warps still wait after what has arrived."""
    chip = chip_at(chip_address)
    if chip.idle != 0 and launch_at(chip.launch).idle == 0:
        chip.idle = 0
    return chip.idle != 0


def skip(chip_address: int) -> None:
    """Go to the next border, or to that at which something has arrived if nothing but this can happen before."""
    chip = chip_at(chip_address)
    borders = 1
    if chip.launch == 0 or chip.idle != 0:
        first = chip.until
        if chip.inbox_next < chip.inbox_count:
            arrival = packet_at(chip.inbox + chip.inbox_next * PACKET_SIZE).arrival
            first = least(arrival, first)
        borders = (first - chip.time + chip.quantum_ps - 1) // chip.quantum_ps
        borders = greatest(borders, 1)
    chip.time += borders * chip.quantum_ps
    chip.debt = greatest(chip.debt - borders * chip.quantum_ps, 0)


def retry_held(launch_address: int) -> None:
    """The outbox is empty again: all warps that wait try their instructions."""
    launch = launch_at(launch_address)
    launch.held = 0
    for turn in range(launch.ring_count):
        slot = read32(launch.ring + 4 * ((launch.ring_head + turn) % launch.slot_count))
        block = block_at(launch.slots + slot * BLOCK_SIZE)
        for index in range(launch.block_warps):
            wake(launch_address, block.warps + index * launch.warp_stride)
