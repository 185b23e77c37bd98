"""The rows of a TILE, one after the other: each is checked, moved, or poisoned where it will go. Compiled.

Rows that follow each other along w, all inside the tensor and in one allocation, are checked and moved at once.
"""

from __future__ import annotations

from ...isa.exceptions import INVALID_PA, INVALID_WARP_SYNC, OUT_OF_RANGE, READ_DENIED, WRITE_DENIED
from ...isa.swizzle import LINE, PIECE, SLICE, slice_offset, swizzle
from .arithmetic import greatest, least
from .primitives import (
    clear,
    copy,
    copy_lines,
    range_at,
    read32,
    tile_at,
    warp_at,
    write32,
    write64,
)
from .resolve import ADDRESS, find_range
from .state import COPIED, EMSK_ROW, PEER, POISON, READ, RECORD_SIZE, UNREACHABLE, WRITE

FARTHEST = 1 << 30
"""Bytes between rows that are moved at once; farther ones, one by one. (So many of them do not overflow.)"""
PACKED_ROWS, LINES, SLICES = 0, 1, 2
"""How rows lie in TSM: packed, swizzled as on ppu0015, swizzled as on ppu001."""
CHECK, MOVE, POISONED = 0, 1, 2
"""What a walk does to each row."""
EVERY_LANE = 0xFFFFFFFF


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
    if stride < 0 or stride > FARTHEST or size != tile.bytes or tile.out:  # a row may not fill its slices
        return 0
    length = (count - 1) * stride + size
    found = range_of(base, tile_address, first, length)
    if found == 0 or range_at(found).flags & (READ | PEER | UNREACHABLE) != READ:
        return 0
    if what == CHECK:
        tile.low = least(tile.low, first)
        tile.high = greatest(tile.high, first + length)
        return 1
    if tile.layout == SLICES:
        move_slices(base, tile_address, row, count, first + range_at(found).delta, stride)
    else:
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
    first, last = greatest(tile.c, 0), least(tile.c + tile.cube_c, tile.dim[0])
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
    return greatest(0, least(position, count - 1))


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
    tile.high = greatest(tile.high, address + size)
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
        low, high = greatest(first, start), least(last, end)
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


def move_slices(base: int, tile_address: int, row: int, count: int, host: int, stride: int) -> None:
    """The same for rows of whole slices, as on ppu001: the halves of a slice lie side by side."""
    tile = tile_at(tile_address)
    tsm, size, padded = warp_at(base).tsm + tile.tsm, tile.bytes, tile.padded
    for index in range(row, row + count):
        for byte in range(0, size, SLICE):
            offset = slice_offset(index, byte, padded)
            copy(tsm + offset, host + byte, PIECE)
            copy(tsm + (offset ^ PIECE), host + byte + PIECE, PIECE)
        host += stride


def poison_row(base: int, tile_address: int, row: int) -> None:
    """Put poison where a row will go, into whole words."""
    tile = tile_at(tile_address)
    for start in range(0, tile.bytes - 3, 4):
        place = place_of(tile_address, row, start)
        write32(warp_at(base).tsm + place - place % 4, POISON)


def refuse(base: int, record_address: int, code: int, what: int, number: int) -> int:
    """Record a fault of the warp; `what` and `number` tell the message a place and a size, or a word and its value."""
    warp = warp_at(base)
    emsk = read32(base + EMSK_ROW)
    warp.fault, warp.fault_pc = code, record_address
    warp.fault_lanes = EVERY_LANE & ~emsk if code == INVALID_WARP_SYNC else emsk
    write64(base + ADDRESS, what)
    write64(base + ADDRESS + 8, number)
    return code
