"""Instructions that bring tiles to the matrix unit, by themselves: one warp, the same places again and again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...emulator.chip import Chip
from .measure import Result, medians

TURNS = 1_000
UNROLLED = 16
SETUP = """
        .arch   ppu0015
        .kernel moves
        .tsm    16384
        .param  u32 turns
        .param  ptr x
        .reg    turn    = sreg38
        .reg    tile    = sreg[48:63]           // 32 rows of 128 bytes, in rows of 2048
        .reg    at      = sreg[64:67]
        .reg    lane    = vreg0
        .reg    dense   = vreg1                 // 16 bytes a lane, one behind the other
        .reg    rows    = vreg2                 // 16 bytes a lane, 128 apart
        .reg    corner  = vreg3                 // where lanes have rows and columns of a product, in rows of 2048
        .reg    to      = vreg[8:11]
moves:  v.mov.b32       lane, %laneid
        v.shll.b32      dense, lane, 4
        v.shll.b32      rows, lane, 7
        v.shrl.b32      corner, lane, 2
        v.shll.b32      corner, corner, 11
        v.and.b32       vreg4, lane, 3
        v.shll.b32      vreg4, vreg4, 3
        v.add.i32       corner, corner, vreg4
        s.mov.b64       tile[0:1], x
        s.mov.b64       tile[2:3], 2048
        s.mov.b64       tile[4:5], 0
        s.mov.b32       tile[6], 1024
        s.mov.b32       tile[7], 32
        s.mov.b32       tile[8], 1
        s.mov.b32       tile[9], 64
        s.mov.b32       tile[10], 32
        s.mov.b32       tile[11], 1
        s.mov.b64       tile[12:13], 0
        s.mov.b64       tile[14:15], 0
        s.mov.b64       at[0:1], 0
        s.mov.b64       at[2:3], 0
        .rept   4, R
        v.mov.b32       to[\\R], lane
        .endr
        s.mov.b32       sreg40, 0
        s.mov.b32       sreg41, 0x00400002
        s.mov.b32       turn, 0
again:
"""
END = """
        s.add.i32       turn, turn, 1
        s.cmp.lt.u32    scc, turn, turns
        s.cbr.nz        scc, again
        simt.exit
"""
MOVES = {
    "tsm.ld.b32x4": "to, [bytes(0) + lane * 0x10]",
    "tsm.st.b32x4": "to, [bytes(0) + lane * 0x10]",
    "tsm.ld.mat.b32x4": "to, [bytes(0) + rows * 0x1]",
    "tsm.ld.mat.trans.b32x4": "to, [bytes(0) + rows * 0x1]",
    "tsm.ld.mat.m16n16.trans.b32x4": "to, [bytes(0) + rows * 0x1]",
    "tsm.ld.swzl.b32x4.s0.t1.trans0": "to, [sreg40] @sreg41",
    "vmem.ld.b32x4": "to, [bytes(0) + lane * 0x10] @x",
    "vmem.st.b32x4": "to, [bytes(0) + lane * 0x10] @x",
    "vmem.st.b32x2": "to[0:1], [bytes(0) + corner * 0x1] @x",
    "vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b16": "tile, at",
}
"""Mnemonics with operands."""


def _measured(mnemonic: str, operands: str) -> Callable[[str, int | None], Result]:
    def measure(name: str, repeat: int | None) -> Result:
        """One instruction in a loop. Unit: instruction."""
        chip = Chip()
        source = "\n".join([SETUP, *[f"{mnemonic} {operands}"] * UNROLLED, END])
        configured = chip.assemble(source, "moves.s")["moves"][1, 32]
        x = chip.to_device(np.zeros((32, 2048), np.uint8))
        configured(1, x)
        (seconds,) = medians(repeat, lambda: configured(TURNS, x))
        return Result(name, seconds, unit_ns=seconds / (TURNS * UNROLLED) * 1e9, threads=1)

    return measure


ENTRIES: dict[str, Callable[[str, int | None], Result]] = {
    mnemonic.replace(".", "_"): _measured(mnemonic, operands) for mnemonic, operands in MOVES.items()
}
