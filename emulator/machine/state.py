"""The machine's state as plain data: structured arrays that handlers, schedule, debugger and checkers share.

A warp's state is one block of bytes: the `WARP` header, then rows of 32 words (128 bytes). Rows 0 to 255
are the scalar operand numbers of the ISA (every lane holds the same value, so vector handlers read them
like vector registers), then the vector registers, then the program's constants.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from ...isa.effects import Stop
from ...isa.lanes import LANES
from ...isa.matrix import RATES
from ...isa.registers import EMSK, SCALAR_ROWS
from .flights import FLIGHT, ICN, LINK, PAIR
from .structs import struct
from .wire import ATOMIC_ENTRY, CHIP, PACKET

ROW = 4 * LANES
"""Bytes of one row: 32 lanes of 32 bits."""
HEADER = 2304
"""Bytes before row 0."""
COPIED = 4
"""AIU copies of a warp whose places are kept."""


WARP = struct(
    HEADER,
    ("pc", "i8"),  # address of the record to run next
    ("limit", "i8"),  # leave the inner loop at this pc: where the next path waits
    ("launch", "i8"),
    ("tsm", "i8"),  # host address of the block's TSM
    ("tsm_size", "i8"),
    ("resolve", "i8"),  # the core's slow path for HBM addresses
    ("resolve_tsm", "i8"),
    ("resolve_private", "i8"),
    ("private", "i8"),  # host address of lane 0's private memory
    ("private_size", "i8"),  # bytes of it a lane
    ("queues", "i8"),  # this warp's outstanding operations, or 0,
    ("outstanding", "i8"),  # and how many there are
    ("target", "i8"),  # operands of a stop: where split lanes go, what a wait waits for
    ("taken", "i8"),
    ("lanes", "i8"),  # lanes of the running path; its emsk is row 0xf0
    ("live", "i8"),
    ("state", "i8"),
    ("barrier", "i8"),  # which one it, or a path of it, waits at,
    ("expected", "i8"),  # for how many warps (0: all live ones),
    ("ones", "i8"),  # and what its lanes brought there
    ("zeros", "i8"),
    ("index", "i8"),  # warp number in the block
    ("paths", "i8"),  # parked paths
    ("spin", "i8"),  # instructions since an exit or a rotation, while others are parked
    ("rotated", "i8"),
    ("acquires", "i8"),  # the PENDING of an acquire from another chip's memory: the warp goes on once it is answered
    ("fault", "i8"),
    ("fault_lanes", "i8"),
    ("fault_pc", "i8"),
    ("path_pc", "i8", LANES),
    ("path_lanes", "i8", LANES),
    ("path_emsk", "i8", LANES),
    ("path_waits", "i8", LANES),  # 1: at the warp's barrier
    ("address", "i8", LANES),  # addresses of the last access that took the slow path
    ("host", "i8", LANES),  # the same as host pointers; lanes that are off point to scratch
    ("scratch", "u1", 64),
    ("to", "i8", LANES),  # TSM offsets an asynchronous copy goes to (observed build),
    ("counts", "u4", LANES),  # and how many bytes it reads, if an operand says
    ("copied", "i8", COPIED),  # host addresses of its last AIU copies, by record
)

RECORD = struct(
    64,
    ("handler", "i8"),
    ("value", "i8"),  # branch target, address offset and scale, counters, or the handler behind a stop
    ("operand", "i4", 6),  # byte offsets of rows from the start of the warp
    ("lo", "i8"),  # the allocation hit last: first address (of a call: the code address behind it),
    ("count", "i8"),  # how many addresses an access may start at,
    ("delta", "i8"),  # host address minus guest address
)

SIZE_BITS, STORES, COUNTED = 0xFF, 0x100, 0x200
"""What a handler asks of `resolve`: the bytes of an access, plus STORES if it is a store, plus COUNTED times 1 + the
place in RECORD.operand of the operand that says how many of the bytes a lane reads."""

RANGE = np.dtype([("lo", "i8"), ("hi", "i8"), ("delta", "i8"), ("flags", "i8")])
"""Guest addresses [lo, hi) that may be accessed as `flags` say; host address = guest + delta."""
READ, WRITE, EXECUTE, PEER, UNREACHABLE = 1, 2, 4, 8, 16
"""Flags of a RANGE. PEER: an allocation of another chip, whose `delta` means nothing. UNREACHABLE: the window of a chip
that has not been enabled."""

WINDOW_BITS = 38
"""log2 of the size of one chip's window of guest addresses."""

BARRIERS = 17
"""Barriers of a block: 16 named ones, and the last one for s.blksyn."""

BLOCK = struct(
    1024,
    ("number", "i8"),
    ("warps", "i8"),  # address of warp 0
    ("left", "i8"),  # instructions left of the block's slice
    ("warp_left", "i8"),
    ("live", "i8"),  # warps not yet ended
    ("waiting", "i8"),  # warps that wait at a barrier
    ("spent", "i8"),  # instructions in this turn of the block, interrupted or not,
    ("yielded", "i8"),  # and times a warp let others run
    ("arrived", "i8", BARRIERS),  # warps that have arrived at each barrier,
    ("expected", "i8", BARRIERS),  # how many open it (0: all live ones),
    ("ones", "i8", BARRIERS),  # lanes that brought a 1 to it,
    ("zeros", "i8", BARRIERS),  # and a 0
    ("cursor", "i8"),
    ("cu", "i8"),
    ("x", "i8"),
    ("y", "i8"),
    ("z", "i8"),
    ("resumed", "i8"),
    ("ready", "i8"),  # the slot holds this launch's constants
    ("tsm", "i8"),
    ("private", "i8"),
)

MATRIX_RATES = len(RATES)
WORK_BITS = 24
"""A launch's matrix_ps are for 2 ** WORK_BITS multiplications and additions."""

LAUNCH = struct(
    744,
    ("program", "i8"),  # the first record
    ("start", "i8"),  # the record a kernel begins with
    ("kernel_words", "i8"),
    ("text_words", "i8"),  # words of `.text`, whose records stand before the kernel's; 0 if it is not loaded
    ("jump", "i8"),  # the core's way from a code address to its record
    ("cube", "i8"),  # the core's AIU copies,
    ("move_cube", "i8"),  # and those issued earlier
    ("awbar", "i8"),  # its asynchronous barriers
    ("slots", "i8"),  # BLOCK structs
    ("slot_count", "i8"),
    ("warp_stride", "i8"),
    ("block_warps", "i8"),
    ("block_threads", "i8"),
    ("grid_x", "i8"),
    ("grid_y", "i8"),
    ("blocks", "i8"),
    ("admitted", "i8"),  # blocks that have become resident,
    ("next_block", "i8"),  # the one that does next,
    ("block_step", "i8"),  # and how far on, modulo `blocks`, the one after it is: no factor in common
    ("finished", "i8"),
    ("cus", "i8"),
    ("per_cu", "i8"),
    ("resident", "i8"),  # int32 per CU: blocks it holds
    ("clocks", "i8"),  # int64 per CU: instructions it has run
    ("ring", "i8"),  # int32 slot numbers of resident blocks, in turn
    ("ring_head", "i8"),
    ("ring_count", "i8"),
    ("free", "i8"),  # int32 stack of free slots
    ("free_count", "i8"),
    ("idle", "i8"),  # blocks in a row that could not go on,
    ("asleep", "i8"),  # or did no more than look again
    ("warp_slice", "i8"),
    ("block_slice", "i8"),
    ("spin_limit", "i8"),
    ("first_warp", "i8"),  # the warp of a new block that runs first,
    ("warp_step", "i8"),  # and how far on, modulo block_warps, the next one is: no factor in common
    ("quota", "i8"),  # instructions until Python is asked again
    ("executed", "i8"),
    ("globaltime", "i8"),
    ("ranges", "i8"),
    ("range_count", "i8"),
    ("template_rows", "i8"),  # int32 byte offsets in the warp, of the rows below
    ("template", "i8"),  # rows fixed for a warp slot: constants, thread ids, special registers
    ("template_count", "i8"),
    ("entry_rows", "i8"),  # int32 byte offsets of the sregs set at entry
    ("entry", "i8"),  # uint32 values per warp
    ("entry_count", "i8"),
    ("tsm_size", "i8"),
    ("resolve", "i8"),
    ("resolve_tsm", "i8"),
    ("resolve_private", "i8"),
    ("private_size", "i8"),  # bytes of private memory a lane
    ("poison", "i8"),
    ("poison_rows", "i8"),
    ("late", "i8"),  # observed build: operations complete at their wait, not at issue
    ("infos", "i8"),  # observed build: an INFO per record
    ("access", "i8"),  # observed build: functions of `observed` the core calls
    ("wait", "i8"),
    ("finish", "i8"),
    ("emit", "i8"),
    ("queues", "i8"),  # where operations may be outstanding: the queues of the warps of every slot, or 0
    ("stop_slot", "i8"),
    ("stop_warp", "i8"),
    ("stop_pc", "i8"),
    ("events", "i8"),  # EVENT buffer of the observed build, or 0
    ("event_count", "i8"),
    ("event_emsk", "i8"),
    ("event_block", "i8"),
    ("event_cu", "i8"),
    ("event_stop", "i8"),
    ("event_barrier", "i8"),
    ("event_expected", "i8"),
    ("event_capacity", "i8"),
    ("notes", "i8"),  # while the launch is watched: the record that runs, and a NOTE per record (`sampler`)
    ("chip", "i8"),  # CHIP, or 0: the chip is alone
    ("remote", "i8"),  # the core's accesses to other chips
    ("waiting", "i8"),  # warps that wait for other chips,
    ("held", "i8"),  # and how often one found no room in the outbox
    ("matrix", "i8", MATRIX_RATES),  # what matrix instructions have done in this quantum, by rate,
    ("matrix_ps", "i8", MATRIX_RATES),  # and the modelled time of 2 ** WORK_BITS of that
)

INFO = np.dtype(
    [
        ("complete", "i8"),
        ("counter", "i8"),
        ("size", "i8"),
        ("store", "i8"),
        ("space", "i8"),
        ("scalar", "i8"),
        ("row", "i8"),  # the operand that is loaded, and how many registers it has
        ("words", "i8"),
        ("copies", "i8"),  # it moves what it accesses to TSM (TO_TSM) or from there (FROM_TSM)
        ("order", "i8"),  # RELEASE: completes what is older first; ACQUIRE: reads when it is issued
        ("word", "i8"),  # of an atomic: 1 + the number of its instruction in the table,
        ("first", "i8"),  # and its operands beside the address; -1: none
        ("second", "i8"),
    ]
)
"""What is known of a record that accesses memory, but in the fast build; `complete` is the handler that moves data."""

SPACES = {"global": 0, "tsm": 1, "private": 2}
"""Memory spaces by number."""
TO_TSM, FROM_TSM = 1, 2
RELEASE, ACQUIRE = 1, 2
"""Bits of an INFO's order."""

COMMITS = -1
"""The value of a record that closes a group of copies."""
OUTSTANDING = 63
"""Operations a counter can have outstanding, as many as its 6 bits count; one more completes the oldest."""
COUNTER_COUNT = 6

PENDING = struct(
    1024,
    ("record", "i8"),
    ("returned", "i8"),  # it has acted: from `host` on stands its result, 32 words a register, up to the end
    ("mask", "i8"),
    ("low", "i8"),  # bounds of the bytes the active lanes touch
    ("high", "i8"),
    ("host", "i8", LANES),
    ("address", "i8", LANES),
    ("group", "i8"),  # of a copy: how many groups had been committed before it,
    ("cube", "i8"),  # it is an AIU copy: from `host` on stands its TILE
    ("to_low", "i8"),  # bounds of the bytes in TSM it goes to,
    ("to_high", "i8"),
    ("to", "i8", LANES),  # where that is,
    ("counts", "u4", LANES),  # and how many bytes it reads
    ("remote", "i8"),  # it is one of another chip's memory, too: UNSENT or SENT
    ("parts", "i8"),  # answers that are still missing
    ("warp", "i8"),
)
"""An operation that is outstanding. Once it is SENT, what others give it stands from `host` on: the bytes of each lane
of a load, the rows of an atomic's result."""
UNSENT, SENT = 1, 2

QUEUE = np.dtype([("head", "i8"), ("count", "i8"), ("groups", "i8")])
"""One counter's queue, a ring of PENDING: the oldest, how many, and how many groups have been committed."""
SPARE = PENDING.itemsize
"""Where in a warp's queues, behind the QUEUEs, a PENDING stands that belongs to none of them."""
FIRST_PENDING = 2 * PENDING.itemsize
"""Where the rings begin: the first PENDING of every counter, then the second ones; so short queues share few pages."""
QUEUES_BYTES = FIRST_PENDING + OUTSTANDING * COUNTER_COUNT * PENDING.itemsize
"""A warp's queues."""

TILE = struct(
    512,
    ("base", "i8"),
    ("stride", "i8", 4),  # bytes along w, h, d, n
    ("dim", "i8", 5),  # elements along c, w, h, d, n
    ("c", "i8"),  # the first element of a row
    ("cube_c", "i8"),
    ("at", "i8", 4),  # the first row along w, h, d, n,
    ("step", "i8", 4),  # from one to the next,
    ("lower", "i8", 3),  # where w, h and d begin again,
    ("upper", "i8", 3),  # before what,
    ("offset", "i8", 3),  # and what is added to each
    ("count", "i8", 3),  # rows: a product of these
    ("rows", "i8"),
    ("size", "i8"),  # bytes of an element
    ("bytes", "i8"),  # of a row in TSM that are written
    ("tsm", "i8"),  # TSM offset of the cube,
    ("pitch", "i8"),  # bytes from row to row,
    ("padded", "i8"),  # rows it has room for,
    ("reserved", "i8"),  # bytes of all,
    ("layout", "i8"),  # and how they are arranged
    ("mode", "i8"),
    ("neighbour", "i8"),  # what lies beyond w, h and d repeats the last row
    ("out", "i8"),  # from TSM to global memory
    ("range", "i8"),  # the RANGE hit last
    ("low", "i8"),  # bounds of the addresses touched
    ("high", "i8"),
)
"""An AIU copy: rows of a tensor in the order in which they lie in TSM."""

EVENT = struct(
    576,
    ("pc", "i8"),  # 8 times the number of its record
    ("block", "i8"),
    ("warp", "i4"),
    ("cu", "i4"),
    ("emsk", "u4"),  # lanes that execute it
    ("size", "i4"),  # bytes a lane accesses, 0 if it does not
    ("stop", "i8"),  # 0, or the code of isa.effects.Stop it ended with
    ("barrier", "i4"),  # of one that ended with BARRIER: which barrier,
    ("expected", "i4"),  # and how many warps open it (0: all live ones)
    ("address", "i8", LANES),
    ("to", "u4", LANES),  # of an asynchronous copy by lanes: the TSM offsets it goes to,
    ("counts", "u4", LANES),  # and how many bytes each lane reads, if an operand says
)
"""What observers see of one executed instruction; what it reads and writes follows from the table."""

RECORD_SIZE, BLOCK_SIZE, QUEUE_SIZE = RECORD.itemsize, BLOCK.itemsize, QUEUE.itemsize
"""Bytes of structs that stand in rows."""

STRUCTS = {
    "icn_at": ICN,
    "link_at": LINK,
    "flight_at": FLIGHT,
    "pair_at": PAIR,
    "warp_at": WARP,
    "record_at": RECORD,
    "range_at": RANGE,
    "block_at": BLOCK,
    "launch_at": LAUNCH,
    "info_at": INFO,
    "pending_at": PENDING,
    "queue_at": QUEUE,
    "event_at": EVENT,
    "tile_at": TILE,
    "packet_at": PACKET,
    "chip_at": CHIP,
    "entry_at": ATOMIC_ENTRY,
}


def struct_types(stubs: ModuleType) -> dict[Any, np.dtype[Any]]:
    """The accessor functions of `primitives`, each with the struct it gives access to."""
    return {getattr(stubs, name): dtype for name, dtype in STRUCTS.items()}


def scalar_row(number: int) -> int:
    """Byte offset in a warp of the row of a scalar operand number."""
    return HEADER + ROW * number


def vector_row(number: int) -> int:
    """Byte offset in a warp of the row of a vector register."""
    return HEADER + ROW * (SCALAR_ROWS + number)


EMSK_ROW = scalar_row(EMSK)

READY, AT_BARRIER, ENDED, WAITING = 0, 1, 2, 3
"""States of a warp; WAITING is one that must try its instruction again when another chip has answered."""
STOP = 1 << 62
"""A handler returns the next record's address, or STOP plus a code of isa.effects.Stop."""
STOP_FAULT = STOP + int(Stop.FAULT)
POISON = 0x7FFF7FFF
"""What registers, TSM and HBM hold that nothing has written (docs/machine.md section 4)."""
