"""The core by itself: a loop without memory, and launches that do next to nothing."""

from __future__ import annotations

from collections.abc import Callable

from ...emulator.chip import Chip
from .measure import Result, medians

ALU = """
        .arch   ppu0015
        .kernel alu
        .param  u32 turns
        .reg    turn = sreg38
alu:    v.tid.init      vreg0, sreg[36:37]
        v.mov.b32       vreg1, 1.0
        v.mov.b32       vreg2, 0.5
        v.mov.b32       vreg3, 0.25
        v.mov.b32       vreg7, 0
        s.mov.b32       turn, 0
loop:   v.fma.f32.rtte  vreg4, vreg1, vreg2, vreg3
        v.add.f32       vreg5, vreg4, vreg2
        v.mul.f32       vreg6, vreg5, vreg2
        v.add.i32       vreg7, vreg0, vreg7
        v.xor.b32       vreg8, vreg7, vreg0
        v.fma.f32.rtte  vreg1, vreg6, vreg2, vreg3
        v.add.i32       vreg9, vreg8, 0x7
        v.min.i32       vreg10, vreg9, vreg0
        v.shll.b32      vreg11, vreg10, 3
        v.and.b32       vreg12, vreg11, 0xff
        s.add.i32       turn, turn, 1
        s.cmp.lt.u32    scc, turn, turns
        s.cbr.nz        scc, loop
        simt.exit
"""
TURNS = 100_000
EMPTY = """
        .arch   ppu0015
        .kernel empty
        .param  u32 n
        .param  ptr x
        simt.exit
"""
LAUNCHES = 200


def alu_loop(name: str, repeat: int | None) -> Result:
    """A loop of ten vector and three scalar instructions, one warp. Unit: warp instruction."""
    configured = Chip().assemble(ALU, "alu.s")["alu"][1, 32]
    executed = configured(TURNS)
    (seconds,) = medians(repeat, lambda: configured(TURNS))
    return Result(name, seconds, unit_ns=seconds / executed * 1e9, threads=1)


def launches(name: str, repeat: int | None) -> Result:
    """200 launches of a kernel that only exits, one after the other from Python. Unit: launch."""
    chip = Chip()
    x = chip.empty(32)
    kernel = chip.assemble(EMPTY, "empty.s")["empty"]

    def several() -> None:
        for _ in range(LAUNCHES):
            kernel[1, 32](32, x)

    several()
    (seconds,) = medians(repeat, several)
    return Result(name, seconds, unit_ns=seconds / LAUNCHES * 1e9, threads=1)


ENTRIES: dict[str, Callable[[str, int | None], Result]] = {"alu_loop": alu_loop, "launches": launches}
