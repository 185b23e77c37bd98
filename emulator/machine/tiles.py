"""From a copy's descriptor and position to its TILE, whatever the form: a walk over rows of the tensor. Compiled."""

from __future__ import annotations

from ...isa.aiu import FORM as FORM_FIELD
from ...isa.aiu import (
    FORMS,
    IM2COL,
    IM2COL_AT,
    MODE,
    NEIGHBOUR,
    OUT,
    PACKED,
    PACKED_AT,
    SIZE,
    SWIZZLED,
    TILE,
    TILE_AT,
    Layout,
)
from ...isa.exceptions import AIU_CUBE, AIU_TSM_SIZE, INVALID_WARP_SYNC, MISALIGNED, TSM_MISALIGNED
from ...isa.swizzle import SLICE
from .arithmetic import least
from .primitives import read32, record_at, tile_at, warp_at
from .state import EMSK_ROW, ROW
from .tile_rows import EVERY_LANE, FARTHEST, LINES, PACKED_ROWS, SLICES, refuse

BASE_ALIGNMENT, SWIZZLED_ALIGNMENT, PACKED_ALIGNMENT = 32, 128, 4
MOST = 1 << 16
"""Elements of a cube along an axis, and rows of a column."""
TILE_FORM, IM2COL_FORM, PACKED_FORM = (form.number for form in FORMS)
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


def make_tile(base: int, record_address: int, tile_address: int) -> int:
    """Make the TILE of a copy and check it, but for what its rows touch: 0, or a published exception code."""
    record, tile = record_at(record_address), tile_at(tile_address)
    if read32(base + EMSK_ROW) != EVERY_LANE:
        return refuse(base, record_address, INVALID_WARP_SYNC, 0, 0)
    kind, d, p = record.value, base + record.operand[0], base + record.operand[1]
    form = (kind & FORM_MASK) >> FORM_LOW
    tile.size, tile.out, tile.neighbour = kind & SIZE_MASK, kind & OUT_BIT, kind & NEIGHBOUR_BIT
    tile.base, tile.tsm, tile.range, tile.low, tile.high = wide(d), read32(p), 0, 1 << 62, 0
    used, words = TILE_USED, TILE_WORDS
    if form == TILE_FORM:
        read_tile(d, p, tile_address)
    elif form == IM2COL_FORM:
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
    return check_places(base, record_address, tile_address)


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
    if form == IM2COL_FORM:
        dim, cube, step, counts = IM2COL_DIM, IM2COL_CUBE, IM2COL_STEP, 1
    elif form == PACKED_FORM:
        dim, cube, counts = PACKED_DIM, PACKED_CUBE, 3
    for axis in range(5 if form == IM2COL_FORM else 3):
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
        if form == PACKED_FORM:
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


def signed(address: int) -> int:
    """The signed 32-bit word in lane 0 of a row."""
    value = read32(address)
    return value - (value >> 31 << 32)


def wide(address: int) -> int:
    """The 64-bit number in lane 0 of two rows."""
    return read32(address) | signed(address + ROW) << 32
