"""Matrix loads and stores in TSM: 8x8 tiles of 16-bit elements, as the operands of matrix instructions have them.

A tile is 8 rows of 16 bytes. Row r of a tile goes to lanes 4*r to 4*r + 3, one word each, which is how A and
(transposed) B lie in registers; `.trans` transposes each tile of 16-bit elements on the way, `m16n16.trans` each 16x16
tile of 8-bit ones. Each of the first 8, 16 or 32 lanes gives the address of one row, a multiple of 16: lanes 8*t to
8*t + 7 those of tile t, which goes to register t of the range. A range starts at an even register, as those of matrix
instructions do. Stores are the opposite. Such an access is one of the whole warp: all 32 lanes must be on, else it is
fault 3, invalid warp sync. It counts in `tsmcnt`. Opcodes 0x345 to 0x348 and 0x355.

On ppu001 `ncom` loads four tiles from where the lanes point, not transposed. With `mt1616` each of the first 16 lanes
gives the address of a row of 32 bytes; the rows are a matrix of 16 x 16 elements of 16 bits, k x n, which the registers
then hold as B of a matrix instruction.

The swizzled forms compute the addresses of all rows from two scalar registers, for tiles that an AIU copy has laid out
in TSM: a load finds again what a copy has put there. They are not the same on both chips.

On ppu0015 the tiles stand in rows of 128 bytes (`s0`) or 64 bytes (`s1`). The first register is a TSM address in units
of 16 bytes, the second has two signed numbers of such units: bits 15:0 from tiles 0 and 1 to tiles 2 and 3, bits 31:16
from tiles 0 and 2 to tiles 1 and 3. Rows of a tile are 128 or 64 bytes apart; then bits 6:4 of each address are
combined by exclusive or with its bits 9:7 (`s0`), or bits 5:4 with bits 8:7 (`s1`).

On ppu001 they are 16 rows of a slice of 32 bytes. The first register is a TSM address in bytes: where the slice begins,
which is as many times 32 bytes behind the cube as there are rows in the slices before it, and 32 more for each row that
is skipped; rows are skipped by eights. Bits 1:0 of the second register are the number of the slice. Tiles 0 and 1 are
the halves of the upper 8 rows, 2 and 3 those of the lower ones; transposed, tiles 0 and 1 are the first half of the
upper and of the lower rows: so they are fragments of A and of B. Bit 2 of the second register exchanges tiles 1 and 2.

The vendor's virtual instruction set has swizzled loads of 32-bit elements and of fewer tiles as well; what they would
be called here, and how they place elements, is not published, and they are not modelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .fields import Field
from .lanes import LANES, register_range
from .reference import At
from .spec import Access, Item, insn
from .tags import Known, defined, published

ROW_BYTES = 16
_FORM = Field(4, 1)
ROW = bytes(range(ROW_BYTES))
_RANGES = {words: (name, register_range(words)) for words, name in ((1, "b32"), (2, "b32x2"), (4, "b32x4"))}


@dataclass(frozen=True, slots=True)
class Tiles:
    """What one matrix load loads: registers, and the bits of an element where tiles are transposed."""

    registers: int
    transposed: int = 0


def load_rows(at: At, tiles: Tiles) -> Any:
    """The rows that the lanes point to, 8 in each register: lane 4*r + j has word j of row r."""
    rows = [at.memory[int(start) : int(start) + ROW_BYTES].view(np.uint32) for start in at.offsets]
    found = np.concatenate(rows).reshape(-1, LANES)[: tiles.registers]
    return tuple(found) if tiles.registers > 1 else found[0]


def transposed(registers: Any, tiles: Tiles) -> Any:
    """Each 8x8 tile of 16-bit elements transposed, or each 16x16 one of 8-bit elements, which is in two registers."""
    if not tiles.transposed:
        return registers
    words, side = np.atleast_2d(registers), 128 // tiles.transposed
    elements = np.ascontiguousarray(words).view(f"u{tiles.transposed // 8}").reshape(-1, side, side)
    found = np.ascontiguousarray(elements.transpose(0, 2, 1)).view(np.uint32).reshape(words.shape)
    return tuple(found) if tiles.registers > 1 else found[0]


def store_rows(at: At, registers: Any, tiles: Tiles) -> None:
    """The opposite of `load_rows`: each row to where its lane points; the last one at an address wins."""
    rows = np.atleast_2d(registers).reshape(-1, ROW_BYTES // 4)
    for start, row in zip(at.offsets[: 8 * tiles.registers], rows, strict=True):
        at.memory[int(start) : int(start) + ROW_BYTES] = np.ascontiguousarray(row).view(np.uint8)


def _known(listed: bool) -> Known:
    if listed:
        return published("listings; meaning TIX, ACT")
    return defined("slots of the published forms; meaning TIX, ACT")


def _example(tiles: Tiles, size: int) -> str:
    """All rows are the bytes 0 to 15; what the first lanes get."""
    lanes: list[str] = []
    for lane in range(8):
        row, plain = lane // 4, int.from_bytes(ROW[lane % 4 * 4 :][:4], "little")
        word = {0: plain, 16: (2 * row + 1 << 8 | 2 * row) * 0x10001, 8: row * 0x01010101}[tiles.transposed]
        next_half = 0x08080808 if tiles.transposed == 8 else 0
        lanes.append(":".join(f"{word + next_half * (n % 2):#x}" for n in range(tiles.registers)))
    return f"memory={ROW.hex()}*{size // ROW_BYTES} | d={','.join(lanes)}"


def _register(
    name: str,
    opcode: int,
    form: int,
    tiles: Tiles,
    known: Known,
    *,
    rows: int,
    step: int = 0,
    at: str = "tsm",
    arch: tuple[str, ...],
    size: int = ROW_BYTES,
) -> None:
    @insn(
        f"{name} {{d:vreg}}, {{at:{at}}}",
        opcode=opcode,
        fixed={_FORM: form},
        Item=_RANGES[tiles.registers][1],
        ex=_example(tiles, size),
        access=Access("tsm", "tsmcnt", ROW_BYTES, False, rows=rows, step=step),
        architectures=arch,
        tiles=tiles,
        **known,
    )
    def load(at: Any, tiles: Tiles) -> Item:
        """d = the tiles whose rows are at `at`, transposed if the mnemonic says so."""
        return transposed(load_rows(at, tiles), tiles)


def _register_store(name: str, form: int, tiles: Tiles) -> None:
    words = ":".join(["0x70007"] * tiles.registers)

    @insn(f"{name} {{a:vreg}}, {{at:tsm}}", opcode=0x355, fixed={_FORM: form}, Item=_RANGES[tiles.registers][1],
          ex=f"a={words} | memory=07000700*4",
          access=Access("tsm", "tsmcnt", ROW_BYTES, True, rows=8 * tiles.registers), architectures=("ppu0015",),
          tiles=tiles, **_known(False))
    def store(at: Any, a: Item, tiles: Tiles) -> None:
        """The rows that the lanes point to = the tiles in a, transposed if the mnemonic says so."""
        store_rows(at, transposed(a, tiles), tiles)


_NEW, _OLD = ("ppu0015",), ("ppu001",)
for _number, (_count, (_range, _)) in enumerate(_RANGES.items()):
    _all: dict[str, Any] = {"rows": 8 * _count, "arch": _NEW}
    _register(f"tsm.ld.mat.{_range}", 0x345, _number, Tiles(_count), _known(_count == 4), **_all)
    _register(f"tsm.ld.mat.trans.{_range}", 0x345, 4 + _number, Tiles(_count, 16), _known(_count == 4), **_all)
    _register_store(f"tsm.st.mat.{_range}", _number, Tiles(_count))
    _register_store(f"tsm.st.mat.trans.{_range}", 4 + _number, Tiles(_count, 16))
    if _count > 1:
        _register(f"tsm.ld.mat.m16n16.trans.{_range}", 0x345, 8 + _number, Tiles(_count, 8), _known(False), **_all)
_register("tsm.ld.ncom.b32x4", 0x346, 0, Tiles(4), _known(True), rows=32, arch=_OLD)
_register("tsm.ld.ncom.mt1616.b32x4", 0x346, 1, Tiles(4, 16), _known(True), rows=16, step=16, arch=_OLD, size=32)
for _trans in (0, 1):
    for _mode in (0, 1):
        _register(
            f"tsm.ld.swzl.b32x4.s{_mode}.t1.trans{_trans}",
            0x347,
            2 * _mode + _trans,
            Tiles(4, 16 * _trans),
            _known(_mode == 0),
            rows=32,
            at=f"swizzled@{_mode}",
            arch=_NEW,
            size=1024 >> _mode,
        )
    _register(
        f"tsm.ld.swzl.b32x4.s0.t1.trans{_trans}",
        0x348,
        _trans,
        Tiles(4, 16 * _trans),
        published("listings; operands defined, layout ACT"),
        rows=32,
        at=f"sliced@{_trans}",
        arch=_OLD,
        size=512,
    )
