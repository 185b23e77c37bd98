"""Asynchronous barriers: what `isa/awbar.py` says of one object, done for the active lanes one after the other.

Compiled apart from the core, which calls these by address. A fault in some lane takes back what the lanes before it
have done.
"""

from __future__ import annotations

from ...isa.awbar import (
    ARRIVE,
    ARRIVES,
    BAD_BYTES,
    BAD_COUNT,
    COMPLETE,
    COMPLETES,
    COPIES,
    DROP,
    EXPECT,
    FINE,
    INCREMENT,
    INIT,
    INVAL,
    MOST,
    NO_COMPLETE,
    NONE_LEFT,
    NOT_VALID,
    OPERATION,
    RELAXED,
    SIZE,
    STATE,
    TEST,
    TEST_PARITY,
    TOO_MANY,
    YIELDS,
    after,
    bytes_of,
    expected_of,
    is_valid,
    packed,
    parity_of,
    pending_of,
)
from ...isa.exceptions import INVALID_BARRIER, TSM_MISALIGNED, TSM_OUT_OF_RANGE
from ...isa.lanes import LANES
from .core import AWBAR_REFUSED, HELD, LETS_OTHERS_RUN
from .observed import COPIES as COPY_QUEUE
from .observed import complete, finish
from .pending import queue_of
from .primitives import queue_at, read32, read64, record_at, warp_at, write32, write64, write_row
from .resolve import ADDRESS, HOST
from .state import EMSK_ROW, ROW

DONE, REFUSED = 0, AWBAR_REFUSED
OPERATIONS, RELAXED_BIT, NO_COMPLETE_BIT, DROP_BIT, STATE_BIT = (
    field.mask for field in (OPERATION, RELAXED, NO_COMPLETE, DROP, STATE)
)
YIELDS_BIT, INCREMENT_BIT, ARRIVES_BIT = (field.mask for field in (YIELDS, INCREMENT, ARRIVES))


def act_observed(base: int, record_address: int) -> int:
    """Where operations may be outstanding: what the instruction orders completes first. Or HELD."""
    kind = record_at(record_address).value
    operation, queues = kind & OPERATIONS, warp_at(base).queues
    arrives = operation == ARRIVE or kind & ARRIVES_BIT != 0
    if arrives and kind & RELAXED_BIT == 0 and finish(base, record_address) == HELD:
        return HELD
    count = queue_at(queue_of(base, COPY_QUEUE)).count if operation == COPIES and queues != 0 else 0
    if complete(base, COPY_QUEUE, count) == HELD:
        return HELD
    return act(base, record_address)


def act(base: int, record_address: int) -> int:
    """Do it for all active lanes, or for none and leave a fault."""
    warp, record = warp_at(base), record_at(record_address)
    kind, mask = record.value, read32(base + EMSK_ROW)
    operation = kind & OPERATIONS
    tests = operation in (TEST, TEST_PARITY)
    first = 1 if tests or kind & STATE_BIT else 0
    at, number = base + record.operand[first], base + record.operand[first + 1]
    if not check_places(base, record_address, at, mask):
        return REFUSED
    waited = 0
    for lane in range(LANES):
        if mask >> lane & 1:
            place = warp.tsm + read32(at + 4 * lane)
            word, count = read64(place), read32(number + 4 * lane)
            reason = wrong(word, kind, count)
            if reason != FINE:
                take_back(base, at, mask & (1 << lane) - 1)
                warp.taken = reason
                return refuse(base, record_address, INVALID_BARRIER, 1 << lane)
            write64(base + HOST + 8 * lane, word)
            if operation == TEST:  # an awbar's parity stands in the upper half
                count = parity_of(count | read32(number + ROW + 4 * lane) << 32)
            if tests:
                waited |= 1 << lane if parity_of(word) != count & 1 else 0
            else:
                write64(place, changed(word, kind, count))
    if tests:
        d = base + record.operand[0]
        write_row(d, waited & warp.lanes if d == base + EMSK_ROW else waited)
        return LETS_OTHERS_RUN if kind & YIELDS_BIT and waited != mask else DONE
    if kind & STATE_BIT:
        give_back(base, base + record.operand[0], mask)
    return DONE


def check_places(base: int, record_address: int, at: int, mask: int) -> bool:
    """Whether all active lanes have an awbar's place in TSM; leaves a fault if not."""
    code, lanes, size = 0, 0, warp_at(base).tsm_size
    for lane in range(LANES):
        if mask >> lane & 1:
            offset = read32(at + 4 * lane)
            write64(base + ADDRESS + 8 * lane, offset)
            bad = TSM_OUT_OF_RANGE if offset > size - SIZE else TSM_MISALIGNED if offset % SIZE else 0
            code = bad if code == 0 else code
            lanes |= 1 << lane if bad != 0 and bad == code else 0
    if code != 0:
        refuse(base, record_address, code, lanes)
    return code == 0


def refuse(base: int, record_address: int, code: int, lanes: int) -> int:
    """Record a fault."""
    warp = warp_at(base)
    warp.fault, warp.fault_lanes, warp.fault_pc = code, lanes, record_address
    return REFUSED


def take_back(base: int, at: int, mask: int) -> None:
    """Restore what the lanes of a mask have changed, the last one first."""
    for step in range(LANES):
        lane = LANES - 1 - step
        if mask >> lane & 1:
            write64(warp_at(base).tsm + read32(at + 4 * lane), read64(base + HOST + 8 * lane))


def give_back(base: int, d: int, mask: int) -> None:
    """Write what the awbars were to a pair of registers."""
    for lane in range(LANES):
        if mask >> lane & 1:
            word = read64(base + HOST + 8 * lane)
            write32(d + 4 * lane, word)
            write32(d + ROW + 4 * lane, word >> 32)


def wrong(word: int, kind: int, count: int) -> int:
    """Why the operation cannot be done on this awbar, or FINE."""
    operation = kind & OPERATIONS
    if operation == INIT:
        return FINE if count >= 1 and count <= MOST else BAD_COUNT
    if not is_valid(word):
        return NOT_VALID
    if operation == ARRIVE:
        return wrong_arrival(word, kind, count)
    if operation in (EXPECT, COMPLETE):
        left = bytes_of(word) + count if operation == EXPECT else bytes_of(word) - count
        if left > MOST or left < -MOST:
            return BAD_BYTES
        return TOO_MANY if kind & ARRIVES_BIT and pending_of(word) == 0 else FINE
    if operation == COPIES:
        if kind & INCREMENT_BIT:
            return FINE if pending_of(word) < MOST else BAD_COUNT
        return TOO_MANY if pending_of(word) == 0 else FINE
    return FINE


def wrong_arrival(word: int, kind: int, count: int) -> int:
    """Why so many cannot arrive, or FINE."""
    if count < 1 or count > MOST:
        return BAD_COUNT
    if count > pending_of(word):
        return TOO_MANY
    if kind & DROP_BIT and count >= expected_of(word):
        return NONE_LEFT
    return COMPLETES if kind & NO_COMPLETE_BIT and count == pending_of(word) and bytes_of(word) == 0 else FINE


def changed(word: int, kind: int, count: int) -> int:
    """The awbar after the operation."""
    operation = kind & OPERATIONS
    if operation == INIT:
        return packed(count, count, 0, 0)
    if operation == INVAL:
        return 0
    pending, expected, left = pending_of(word), expected_of(word), bytes_of(word)
    if operation == ARRIVE:
        expected -= count if kind & DROP_BIT else 0
        pending -= count
    elif operation == EXPECT:
        pending -= 1 if kind & ARRIVES_BIT else 0
        left += count
    elif operation == COMPLETE:
        left -= count
    elif kind & INCREMENT_BIT == 0:
        pending -= 1
    return after(pending, expected, parity_of(word), left)
