"""Loads and stores of matrix fragments in TSM: rows of 16 bytes that lanes, or two scalar registers, point to."""

from m890.isa.operands import Address
from m890.isa.registers import Register

from .integer import signed
from .machine import ALL, EMSK, LANES, Fault, Warp
from .meaning import scalar_value, warp
from .memory import addresses, poisoned, writer
from .outstanding import Operation, issue

ROW, TILE = 16, 8
"""Bytes of a row, rows of a tile."""
RANGES = {"b32": 1, "b32x2": 2, "b32x4": 4}
Words = list[list[int]]
"""Registers, of 32 lanes each."""


def whole_warp(warp: Warp) -> None:
    if warp.s[EMSK] != ALL:
        raise Fault(3)


def rows_in(warp: Warp, places: list[int]) -> Words:
    """Lane 4 * r + j of register t has word j of row r of tile t."""
    words = [warp.tsm.load(place + 4 * j, 4) for place in places for j in range(4)]
    return [words[first : first + LANES] for first in range(0, len(words), LANES)]


def turned(registers: Words, bits: int) -> Words:
    """Tiles of 128 / `bits` rows and as many columns, a few registers each, with rows and columns exchanged."""
    side, each = 128 // bits, 32 // bits
    tiles: Words = []
    for first in range(0, len(registers), 128 // bits // TILE):
        lanes = [word for register in registers[first : first + side // TILE] for word in register]
        elements = [word >> bits * e & (1 << bits) - 1 for word in lanes for e in range(each)]
        other = [elements[side * (n % side) + n // side] for n in range(side * side)]
        joined = [sum(other[each * n + e] << bits * e for e in range(each)) for n in range(len(lanes))]
        tiles += [joined[at : at + LANES] for at in range(0, len(joined), LANES)]
    return tiles


def load(warp: Warp, d: Register, places: list[int], bits: int) -> None:
    """From these rows to all lanes; `bits` of an element if tiles are transposed."""
    write = writer(warp, d)

    def complete() -> None:
        words = rows_in(warp, places)
        words = turned(words, bits) if bits else words
        write([sum(word[lane] << 32 * n for n, word in enumerate(words)) for lane in range(LANES)])

    issue(
        warp,
        Operation("tsmcnt", warp.tsm, places, ROW, False, complete, lambda: write([poisoned(d)] * LANES)),
        frozenset(),
    )


def pointed(warp: Warp, at: Address, count: int) -> list[int]:
    """Where the first lanes point: TSM offsets have 32 bits."""
    return [address & ALL for address in addresses(warp, at, False)[:count]]


WIDER = {name: count for name, count in RANGES.items() if count > 1}


@warp("tsm.ld.mat.{trans}{count}", trans={"": 0, "trans.": 16}, count=RANGES)
@warp("tsm.ld.mat.{trans}{count}", trans={"m16n16.trans.": 8}, count=WIDER)
def load_tiles(warp: Warp, d: Register, at: Address, *, trans: int, count: int) -> None:
    whole_warp(warp)
    load(warp, d, pointed(warp, at, TILE * count), trans)


@warp("tsm.st.mat.{trans}{count}", trans={"": 0, "trans.": 16}, count=RANGES)
def store_tiles(warp: Warp, a: Register, at: Address, *, trans: int, count: int) -> None:
    whole_warp(warp)
    places = pointed(warp, at, TILE * count)

    def complete() -> None:
        words = [warp.v[a.number + n] for n in range(count)]
        flat = [word for register in (turned(words, trans) if trans else words) for word in register]
        for n, place in enumerate(places):
            for j in range(4):
                warp.tsm.store(place + 4 * j, 4, flat[4 * n + j])

    issue(warp, Operation("tsmcnt", warp.tsm, places, ROW, True, complete), frozenset())


@warp("tsm.ld.ncom.b32x4")
def load_plain(warp: Warp, d: Register, at: Address) -> None:
    whole_warp(warp)
    load(warp, d, pointed(warp, at, LANES), 0)


@warp("tsm.ld.ncom.mt1616.b32x4")
def load_transposed(warp: Warp, d: Register, at: Address) -> None:
    """16 rows of 32 bytes: first the left halves of all, then the right ones."""
    whole_warp(warp)
    rows = pointed(warp, at, 16)
    load(warp, d, rows + [row + ROW for row in rows], 16)


def half(word: int, low: int) -> int:
    """A signed number of 16 bits."""
    return signed((word >> low & 0xFFFF) << 16) >> 16


def rows_of_lines(point: int, strides: int, mode: int) -> list[int]:
    """Of ppu0015: rows of 128 or 64 bytes, whose pieces of 16 are exchanged by the number of their line."""
    found = []
    for n in range(LANES):
        tile, row = divmod(n, TILE)
        units = point + half(strides, 0) * (tile // 2) + half(strides, 16) * (tile % 2)
        plain = 16 * units + (64 if mode else 128) * row & ALL
        found.append(plain ^ (plain // 128 % (4 if mode else 8)) * 16)
    return found


def rows_of_slices(point: int, which: int, trans: int) -> list[int]:
    """Of ppu001: 16 rows of a slice, four in a line; the slice turns the line, and odd lines exchange halves."""
    turn = (0, 2, 1, 3)[which % 4]
    found = []
    for n in range(LANES):
        tile, row = divmod(n, TILE)
        down, right = divmod(tile, 2)
        if (which // 4 + trans) % 2:
            down, right = right, down
        row += TILE * down
        found.append(point + row // 4 * 128 + (row + turn) % 4 * 32 + (right ^ row // 4 % 2) * 16 & ALL)
    return found


@warp("tsm.ld.swzl.b32x4.s{mode}.t1.trans{trans}", mode={"0": 0, "1": 1}, trans={"0": 0, "1": 16})
def load_swizzled(warp: Warp, d: Register, at: Address, arch: str, *, mode: int, trans: int) -> None:
    whole_warp(warp)
    assert at.index
    assert at.base
    point, more = (scalar_value(register.number, 1)(warp) for register in (at.index, at.base))
    if arch == "ppu0015":
        load(warp, d, rows_of_lines(point, more, mode), trans)
    else:
        load(warp, d, rows_of_slices(point, more, trans // 16), trans)
