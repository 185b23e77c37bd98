"""AIU copies: cubes of a tensor moved row by row, compiled apart from the core, which calls these by address.

A copy's descriptor and position become a TILE when it is issued: whatever the form, a walk over rows of the tensor. It
is walked once to check every row, once to move the data, and under late timing once more to poison where that will go.
"""

from __future__ import annotations

from ...isa.aiu import FORM as FORM_FIELD
from ...isa.aiu import IM2COL, IM2COL_AT, MODE, NEIGHBOUR, OUT, PACKED, PACKED_AT, SIZE, SWIZZLED, TILE, TILE_AT, Layout
from ...isa.exceptions import (
    AIU_CUBE,
    AIU_TSM_SIZE,
    INVALID_PA,
    INVALID_WARP_SYNC,
    MISALIGNED,
    OUT_OF_RANGE,
    READ_DENIED,
    TSM_MISALIGNED,
    WRITE_DENIED,
)
from ...isa.swizzle import LINE, PIECE, SLICE, slice_offset, swizzle
from .core import HELD, least
from .observed import COPIES, complete_oldest, settle_conflicts
from .pending import KEPT_HOST, PENDING_SIZE, enqueue, place_in_queue, place_of_spare, queue_of
from .primitives import (
    clear,
    copy,
    copy_lines,
    launch_at,
    pending_at,
    queue_at,
    range_at,
    read32,
    record_at,
    tile_at,
    warp_at,
    write32,
    write64,
)
from .resolve import ADDRESS, find_range
from .state import COPIED, EMSK_ROW, OUTSTANDING, PEER, POISON, READ, RECORD_SIZE, ROW, UNREACHABLE, WRITE
from .state import TILE as TILE_STRUCT

BASE_ALIGNMENT, SWIZZLED_ALIGNMENT, PACKED_ALIGNMENT = 32, 128, 4
MOST = 1 << 16
"""Elements of a cube along an axis, and rows of a column."""
FARTHEST = 1 << 30
"""Bytes between rows that are moved at once; farther ones, one by one. (So many of them do not overflow.)"""
PACKED_ROWS, LINES, SLICES = 0, 1, 2
"""How rows lie in TSM: packed, swizzled as on ppu0015, swizzled as on ppu001."""
CHECK, MOVE, POISONED = 0, 1, 2
"""What a walk does to each row."""
EVERY_LANE = 0xFFFFFFFF
TILE_SIZE = TILE_STRUCT.itemsize
SIZE_MASK, FORM_MASK, FORM_LOW = SIZE.mask, FORM_FIELD.mask, FORM_FIELD.low


def _place(layout: Layout, name: str) -> int:
    return layout.places[name]


TILE_USED, IM2COL_USED, PACKED_USED = TILE.used, IM2COL.used, PACKED.used
TILE_WORDS, IM2COL_WORDS, PACKED_WORDS = TILE.words, IM2COL.words, PACKED.words
TILE_STRIDE_W, TILE_STRIDE_N = _place(TILE, "stride_w"), _place(TILE, "stride_n")
TILE_DIM, TILE_CUBE = _place(TILE, "dim_c"), _place(TILE, "cube_c")
IM2COL_STRIDE, IM2COL_DIM, IM2COL_STEP = _place(IM2COL, "stride_w"), _place(IM2COL, "dim_c"), _place(IM2COL, "step_w")
IM2COL_LOWER, IM2COL_UPPER = _place(IM2COL, "lower_w"), _place(IM2COL, "upper_w")
IM2COL_CUBE, IM2COL_PIXELS = _place(IM2COL, "cube_c"), _place(IM2COL, "pixels")
PACKED_DIM, PACKED_CUBE = _place(PACKED, "dim_c"), _place(PACKED, "cube_c")
TILE_START, IM2COL_START, PACKED_START = (_place(at, "start_c") for at in (TILE_AT, IM2COL_AT, PACKED_AT))
IM2COL_OFFSET = _place(IM2COL_AT, "offset_w")
MODE_BIT, NEIGHBOUR_BIT, OUT_BIT, SWIZZLED_BIT = MODE.mask, NEIGHBOUR.mask, OUT.mask, SWIZZLED.mask


def copy_cube(base: int, record_address: int) -> int:
    """The fast build: a copy is issued, checked and done. 0, or a published exception code."""
    code = prepare(base, record_address, base + ADDRESS)
    return walk(base, record_address, base + ADDRESS, MOVE) if code == 0 else code


def issue_cube(base: int, record_address: int) -> int:
    """Where others may be outstanding: under late timing the copy waits in the queue of its group. Or HELD.

    The warp's addresses are then, for observers: the bounds of what is copied in global memory, and those in TSM.
    """
    code = prepare(base, record_address, base + ADDRESS)
    if code != 0:
        return code
    tile = tile_at(base + ADDRESS)
    low, high, to_low, to_high = tile.low, tile.high, tile.tsm, tile.tsm + tile.reserved
    code = issue_prepared(base, record_address)
    if code == 0:
        write64(base + ADDRESS, low)
        write64(base + ADDRESS + 8, high)
        write64(base + ADDRESS + 16, to_low)
        write64(base + ADDRESS + 24, to_high)
    return code


def issue_prepared(base: int, record_address: int) -> int:
    """Do a copy whose TILE is in the warp, or put it in its queue. 0 or HELD."""
    launch = launch_at(warp_at(base).launch)
    if launch.late == 0 and warp_at(base).outstanding == 0:
        return walk(base, record_address, base + ADDRESS, MOVE)
    queue, spare = queue_at(queue_of(base, COPIES)), place_of_spare(base)
    keep_cube(base, record_address, spare)
    if queue.count == OUTSTANDING and complete_oldest(base, COPIES) == HELD:
        return HELD
    if settle_conflicts(base, spare) == HELD:
        return HELD
    if launch.late == 0:
        return walk(base, record_address, spare + KEPT_HOST, MOVE)
    place = place_in_queue(base, COPIES, queue.count)
    copy(place, spare, PENDING_SIZE)
    pending_at(place).group = queue.groups
    enqueue(base, COPIES)
    if tile_at(place + KEPT_HOST).out == 0:
        walk(base, record_address, place + KEPT_HOST, POISONED)
    return 0


def move_cube(base: int, tile_address: int) -> int:
    """A copy that was issued earlier."""
    return walk(base, 0, tile_address, MOVE)


def keep_cube(base: int, record_address: int, place: int) -> None:
    """Put the TILE in the warp into a PENDING."""
    entry, tile = pending_at(place), tile_at(base + ADDRESS)
    entry.record, entry.returned, entry.cube, entry.mask = record_address, 0, 1, EVERY_LANE
    entry.remote, entry.parts = 0, 0
    entry.low, entry.high = tile.low, tile.high
    entry.to_low, entry.to_high = tile.tsm, tile.tsm + tile.reserved
    copy(place + KEPT_HOST, base + ADDRESS, TILE_SIZE)


# The descriptor.


def signed(address: int) -> int:
    """The signed 32-bit word in lane 0 of a row."""
    value = read32(address)
    return value - (value >> 31 << 32)


def wide(address: int) -> int:
    """The 64-bit number in lane 0 of two rows."""
    return read32(address) | signed(address + ROW) << 32


def prepare(base: int, record_address: int, tile_address: int) -> int:
    """Make the TILE of a copy and check it and all its rows: 0, or a published exception code."""
    record, tile = record_at(record_address), tile_at(tile_address)
    if read32(base + EMSK_ROW) != EVERY_LANE:
        return refuse(base, record_address, INVALID_WARP_SYNC, 0, 0)
    kind, d, p = record.value, base + record.operand[0], base + record.operand[1]
    form = (kind & FORM_MASK) >> FORM_LOW
    tile.size, tile.out, tile.neighbour = kind & SIZE_MASK, kind & OUT_BIT, kind & NEIGHBOUR_BIT
    tile.base, tile.tsm, tile.range, tile.low, tile.high = wide(d), read32(p), 0, 1 << 62, 0
    used, words = TILE_USED, TILE_WORDS
    if form == 0:
        read_tile(d, p, tile_address)
    elif form == 1:
        read_im2col(d, p, tile_address)
        used, words = IM2COL_USED, IM2COL_WORDS
    else:
        read_packed(d, p, tile_address)
        used, words = PACKED_USED, PACKED_WORDS
    for word in range(used, words):
        if read32(d + ROW * word) != 0:
            return refuse(base, record_address, AIU_CUBE, word, read32(d + ROW * word))
    code = check_cube(base, record_address, tile_address, d, form)
    if code != 0:
        return code
    place_rows(tile_address, kind, form)
    code = check_places(base, record_address, tile_address)
    return walk(base, record_address, tile_address, CHECK) if code == 0 else code


def read_tile(d: int, p: int, tile_address: int) -> None:
    """A cube of two or three axes: a box of w that repeats along n."""
    tile = tile_at(tile_address)
    plain_walk(tile_address)
    tile.stride[0], tile.stride[3] = wide(d + ROW * TILE_STRIDE_W), wide(d + ROW * TILE_STRIDE_N)
    for axis in range(2):
        tile.dim[axis] = signed(d + ROW * (TILE_DIM + axis))
    tile.dim[4] = signed(d + ROW * (TILE_DIM + 2))
    tile.cube_c, tile.c = signed(d + ROW * TILE_CUBE), signed(p + ROW * TILE_START)
    tile.at[0], tile.at[3] = signed(p + ROW * (TILE_START + 1)), signed(p + ROW * (TILE_START + 2))
    cube_w, cube_n = signed(d + ROW * (TILE_CUBE + 1)), signed(d + ROW * (TILE_CUBE + 2))
    tile.count[0], tile.count[1], tile.count[2] = cube_w, cube_n, 1
    tile.lower[0], tile.upper[0] = tile.at[0], tile.at[0] + cube_w


def read_im2col(d: int, p: int, tile_address: int) -> None:
    """A column of rows through a box of the tensor."""
    tile = tile_at(tile_address)
    for axis in range(5):
        tile.dim[axis] = signed(d + ROW * (IM2COL_DIM + axis))
    for axis in range(4):
        tile.stride[axis] = wide(d + ROW * (IM2COL_STRIDE + 2 * axis))
        tile.step[axis] = signed(d + ROW * (IM2COL_STEP + axis))
        tile.at[axis] = signed(p + ROW * (IM2COL_START + 1 + axis))
    for axis in range(3):
        tile.lower[axis] = signed(d + ROW * (IM2COL_LOWER + axis))
        tile.upper[axis] = tile.dim[1 + axis] + signed(d + ROW * (IM2COL_UPPER + axis))
        tile.offset[axis] = signed(p + ROW * (IM2COL_OFFSET + axis))
    tile.cube_c, tile.c = signed(d + ROW * IM2COL_CUBE), signed(p + ROW * IM2COL_START)
    tile.count[0], tile.count[1], tile.count[2] = signed(d + ROW * IM2COL_PIXELS), 1, 1


def read_packed(d: int, p: int, tile_address: int) -> None:
    """A cube of ppu001: a box of w and h that repeats along n, in a tensor without gaps."""
    tile = tile_at(tile_address)
    plain_walk(tile_address)
    for axis in range(3):
        tile.dim[axis] = signed(d + ROW * (PACKED_DIM + axis))
        tile.count[axis] = signed(d + ROW * (PACKED_CUBE + 1 + axis))
    tile.cube_c, tile.c = signed(d + ROW * PACKED_CUBE), signed(p + ROW * PACKED_START)
    for axis in range(2):
        tile.at[axis] = signed(p + ROW * (PACKED_START + 1 + axis))
        tile.lower[axis], tile.upper[axis] = tile.at[axis], tile.at[axis] + tile.count[axis]
    tile.dim[4] = tile.count[2]
    tile.stride[0] = tile.dim[0] * tile.size
    tile.stride[1] = tile.stride[0] * tile.dim[1]
    tile.stride[3] = tile.stride[1] * tile.dim[2]


def plain_walk(tile_address: int) -> None:
    """Every axis in steps of 1; h and d have one element."""
    tile = tile_at(tile_address)
    for axis in range(4):
        tile.stride[axis], tile.step[axis], tile.at[axis] = 0, 1, 0
    for axis in range(3):
        tile.lower[axis], tile.upper[axis], tile.offset[axis] = 0, 1, 0
    tile.dim[2], tile.dim[3] = 1, 1


def check_cube(base: int, record_address: int, tile_address: int, d: int, form: int) -> int:
    """Sizes, steps and alignment: 0, or a published exception code."""
    tile = tile_at(tile_address)
    dim, cube, step = TILE_DIM, TILE_CUBE, 0
    counts = 2
    if form == 1:
        dim, cube, step, counts = IM2COL_DIM, IM2COL_CUBE, IM2COL_STEP, 1
    elif form == 2:
        dim, cube, counts = PACKED_DIM, PACKED_CUBE, 3
    for axis in range(5 if form == 1 else 3):
        if signed(d + ROW * (dim + axis)) < 0:
            return refuse(base, record_address, AIU_CUBE, dim + axis, signed(d + ROW * (dim + axis)))
    if tile.cube_c < 1 or tile.cube_c > MOST:
        return refuse(base, record_address, AIU_CUBE, cube, tile.cube_c)
    for axis in range(counts):
        if tile.count[axis] < 1 or tile.count[axis] > MOST:
            return refuse(base, record_address, AIU_CUBE, cube + 1 + axis, tile.count[axis])
    for axis in range(4):
        if tile.step[axis] < 1:
            return refuse(base, record_address, AIU_CUBE, step + axis, tile.step[axis])
    row = (128 >> (1 if record_at(record_address).value & MODE_BIT else 0)) // tile.size
    if record_at(record_address).value & SWIZZLED_BIT and tile.cube_c > row:
        return refuse(base, record_address, AIU_CUBE, cube, tile.cube_c)
    if tile.base % BASE_ALIGNMENT != 0:
        return refuse(base, record_address, MISALIGNED, tile.base, -1)
    for axis in range(4):
        if tile.stride[axis] % BASE_ALIGNMENT != 0:
            return refuse(base, record_address, MISALIGNED, tile.stride[axis], -1)
    return 0


def place_rows(tile_address: int, kind: int, form: int) -> None:
    """How the rows lie in TSM, and how many bytes that takes."""
    tile = tile_at(tile_address)
    tile.rows, tile.bytes = tile.count[0] * tile.count[1] * tile.count[2], tile.cube_c * tile.size
    tile.layout, tile.pitch, tile.mode = PACKED_ROWS, tile.bytes, 1 if kind & MODE_BIT else 0
    tile.padded = tile.rows
    if kind & SWIZZLED_BIT:
        tile.layout, tile.pitch = LINES, 128 >> tile.mode
        if form == 2:
            tile.bytes = (tile.bytes + SLICE - 1) // SLICE * SLICE
            tile.layout, tile.pitch, tile.padded = SLICES, tile.bytes, (tile.rows + 7) // 8 * 8
    tile.reserved = least(tile.padded, FARTHEST) * tile.pitch  # which does not overflow; so many rows fit no TSM


def check_places(base: int, record_address: int, tile_address: int) -> int:
    """Where the cube lies in TSM: 0, or a published exception code."""
    tile = tile_at(tile_address)
    if tile.tsm % (PACKED_ALIGNMENT if tile.layout == PACKED_ROWS else SWIZZLED_ALIGNMENT) != 0:
        return refuse(base, record_address, TSM_MISALIGNED, tile.tsm, tile.layout)
    if tile.tsm + tile.reserved > warp_at(base).tsm_size:
        return refuse(base, record_address, AIU_TSM_SIZE, tile.tsm, tile.reserved)
    return 0


def refuse(base: int, record_address: int, code: int, what: int, number: int) -> int:
    """Record a fault of the warp; `what` and `number` tell the message a place and a size, or a word and its value."""
    warp = warp_at(base)
    emsk = read32(base + EMSK_ROW)
    warp.fault, warp.fault_pc = code, record_address
    warp.fault_lanes = EVERY_LANE & ~emsk if code == INVALID_WARP_SYNC else emsk
    write64(base + ADDRESS, what)
    write64(base + ADDRESS + 8, number)
    write64(base + ADDRESS + 16, 0)  # observers see a copy of nothing
    write64(base + ADDRESS + 24, 0)
    return code


# The walk.


def walk(base: int, record_address: int, tile_address: int, what: int) -> int:
    """Check, move or poison the rows of a copy one after the other: 0, or a published exception code."""
    tile = tile_at(tile_address)
    w, h, depth, n = tile.at[0], tile.at[1], tile.at[2], tile.at[3]
    row = 0
    while row < tile.rows:
        x, y, z, count = w + tile.offset[0], h + tile.offset[1], depth + tile.offset[2], 1
        if what == POISONED:
            poison_row(base, tile_address, row)
        else:
            count = rows_inside(tile_address, row, w, x, y, z, n)
            if count < 2 or not whole_rows(
                base, record_address, tile_address, row, count, place_in(tile_address, x, y, z, n), what
            ):
                count = 1
                code = one_row(base, record_address, tile_address, row, x, y, z, n, what)
                if code != 0:
                    return code
        row += count
        w += count * tile.step[0]
        if w >= tile.upper[0]:
            w, h = tile.lower[0], h + tile.step[1]
            if h >= tile.upper[1]:
                h, depth = tile.lower[1], depth + tile.step[2]
                if depth >= tile.upper[2]:
                    depth, n = tile.lower[2], n + tile.step[3]
    return 0


def place_in(tile_address: int, w: int, h: int, depth: int, n: int) -> int:
    """The address of the first element at a place of the tensor."""
    tile = tile_at(tile_address)
    return tile.base + w * tile.stride[0] + h * tile.stride[1] + depth * tile.stride[2] + n * tile.stride[3]


def rows_inside(tile_address: int, row: int, w: int, x: int, y: int, z: int, n: int) -> int:
    """How many rows from this one on follow each other along w and lie in the tensor with all their elements."""
    tile = tile_at(tile_address)
    inside = x >= 0 and y >= 0 and y < tile.dim[2] and z >= 0 and z < tile.dim[3] and n >= 0 and n < tile.dim[4]
    if not inside or tile.c < 0 or tile.c + tile.cube_c > tile.dim[0]:
        return 0
    length = least(tile.upper[0] - w, tile.dim[1] - x)
    return least(tile.rows - row, (length + tile.step[0] - 1) // tile.step[0])


def whole_rows(base: int, record_address: int, tile_address: int, row: int, count: int, address: int, what: int) -> int:
    """Check or move such rows at once, which is the common case; 0 if they have to be looked at one by one."""
    tile = tile_at(tile_address)
    stride, size = tile.step[0] * tile.stride[0], tile.cube_c * tile.size
    first = address + tile.c * tile.size
    if stride < 0 or stride > FARTHEST or tile.layout == SLICES or tile.out:
        return 0
    length = (count - 1) * stride + size
    found = range_of(base, tile_address, first, length)
    if found == 0 or range_at(found).flags & (READ | PEER | UNREACHABLE) != READ:
        return 0
    if what == CHECK:
        tile.low = least(tile.low, first)
        tile.high = first + length if first + length > tile.high else tile.high
        return 1
    move_whole_rows(base, record_address, tile_address, row, count, first + range_at(found).delta, stride)
    return 1


def one_row(
    base: int, record_address: int, tile_address: int, row: int, w: int, h: int, depth: int, n: int, what: int
) -> int:
    """Check or move one row, which is at (w, h, depth, n) of the tensor or outside of it."""
    tile = tile_at(tile_address)
    if tile.neighbour:
        w, h, depth = nearest(w, tile.dim[1]), nearest(h, tile.dim[2]), nearest(depth, tile.dim[3])
    inside = w >= 0 and w < tile.dim[1] and h >= 0 and h < tile.dim[2] and n >= 0 and n < tile.dim[4]
    inside = inside and depth >= 0 and depth < tile.dim[3]
    first, last = tile.c if tile.c > 0 else 0, least(tile.c + tile.cube_c, tile.dim[0])
    if not inside or first >= last:
        if what == MOVE and tile.out == 0:
            move_row(base, tile_address, row, 0, 0, 0)
        return 0
    address = place_in(tile_address, w, h, depth, n) + first * tile.size
    size = (last - first) * tile.size
    if what == CHECK:
        return check_row(base, record_address, tile_address, address, size)
    host = address + range_at(range_of(base, tile_address, address, size)).delta
    move_row(base, tile_address, row, host, (first - tile.c) * tile.size, (last - tile.c) * tile.size)
    return 0


def nearest(position: int, count: int) -> int:
    """The nearest position inside."""
    return 0 if position < 0 else position if position < count else count - 1


def range_of(base: int, tile_address: int, address: int, size: int) -> int:
    """The RANGE of a row, most often that of the row before; 0 if there is none."""
    tile = tile_at(tile_address)
    if tile.range == 0 or address < range_at(tile.range).lo or address > range_at(tile.range).hi - size:
        tile.range = find_range(base, address, size)
    return tile.range


def check_row(base: int, record_address: int, tile_address: int, address: int, size: int) -> int:
    """Whether a row may be read or written: 0, or a published exception code."""
    tile = tile_at(tile_address)
    found = range_of(base, tile_address, address, size)
    if found == 0:
        return refuse(base, record_address, OUT_OF_RANGE, address, size)
    if range_at(found).flags & (PEER | UNREACHABLE):  # the AIU copies from and to its own HBM
        return refuse(base, record_address, INVALID_PA, address, size)
    if range_at(found).flags & (WRITE if tile.out else READ) == 0:
        return refuse(base, record_address, WRITE_DENIED if tile.out else READ_DENIED, address, size)
    tile.low = least(tile.low, address)
    tile.high = address + size if address + size > tile.high else tile.high
    return 0


def place_of(tile_address: int, row: int, byte: int) -> int:
    """The TSM offset of a byte of a row; in swizzled rows the 16 bytes from a multiple of 16 on stay together."""
    tile = tile_at(tile_address)
    if tile.layout == SLICES:
        return tile.tsm + slice_offset(row, byte, tile.padded)
    place = tile.tsm + row * tile.pitch + byte
    return swizzle(place, tile.mode) if tile.layout == LINES else place


def move_row(base: int, tile_address: int, row: int, host: int, first: int, last: int) -> None:
    """Copy bytes [first, last) of a row, which are at `host`; the others of the row become zero in TSM."""
    tile = tile_at(tile_address)
    if tile.out == 0 and first == 0 and last == tile.bytes and tile.layout != SLICES:
        move_whole_rows(base, 0, tile_address, row, 1, host, 0)
        return
    piece = tile.bytes if tile.layout == PACKED_ROWS else PIECE
    for start in range(0, tile.bytes, piece):
        end = least(start + piece, tile.bytes)
        place = warp_at(base).tsm + place_of(tile_address, row, start)
        low, high = first if first > start else start, least(last, end)
        if low >= high:
            low, high = start, start
        if tile.out:
            copy(host + low - first, place + low - start, high - low)
        else:
            clear(place, low - start)
            copy(place + low - start, host + low - first, high - low)
            clear(place + high - start, end - high)


def move_whole_rows(
    base: int, record_address: int, tile_address: int, row: int, count: int, host: int, stride: int
) -> None:
    """The common case: rows that are all in the tensor, packed or swizzled as on ppu0015."""
    tile = tile_at(tile_address)
    size, pitch, layout, mode = tile.bytes, tile.pitch, tile.layout, tile.mode
    tsm, offset, whole = warp_at(base).tsm, tile.tsm + row * tile.pitch, tile.bytes // PIECE * PIECE
    lines = 0
    if layout == LINES and mode == 0 and size == LINE and offset % (8 * LINE) == 0:
        lines, last = count // 8, record_address // RECORD_SIZE % COPIED
        ahead = host - warp_at(base).copied[last]  # the next tile is most often as far from this one as the last one
        warp_at(base).copied[last] = host
        for _ in range(lines):
            copy_lines(tsm + offset, host, stride, ahead)
            offset += 8 * LINE
            host += 8 * stride
    for _ in range(count - 8 * lines):
        if layout == PACKED_ROWS:
            copy(tsm + offset, host, size)
        else:
            turn = swizzle(offset, mode) ^ offset
            if whole == LINE:  # a number of pieces that the compiler knows
                for byte in range(0, LINE, PIECE):
                    copy(tsm + offset + (byte ^ turn), host + byte, PIECE)
            else:
                for byte in range(0, whole, PIECE):
                    copy(tsm + offset + (byte ^ turn), host + byte, PIECE)
            if whole != size:
                copy(tsm + offset + (whole ^ turn), host + whole, size - whole)
        offset += pitch
        host += stride


def poison_row(base: int, tile_address: int, row: int) -> None:
    """Put poison where a row will go, into whole words."""
    tile = tile_at(tile_address)
    for start in range(0, tile.bytes - 3, 4):
        place = place_of(tile_address, row, start)
        write32(warp_at(base).tsm + place - place % 4, POISON)
