"""A word on the registers of a warp, in the readable machine; test_bodies.py compares it with the compiled one."""

import numpy as np
import pytest
from one import word_of

import m890
from m890.isa import DecodeError
from m890.isa.effects import Fault, Next, Stop
from m890.isa.registers import EMSK, INDEX_REGISTER, SCALAR_ROWS
from m890.isa.steps import entry_rows, step

READ = """
        .kernel k
        .param  ptr to
        v.mov.b32       vreg0, %tid.x
        .macro  keep name, row
        v.mov.b32       vreg1, \\name
        vmem.st.b32     vreg1, [bytes(128 * \\row) + vreg0 * 0x4] @to
        s.wait          vstcnt(0)
        .endm
"""
LANES = ["%tid.x", "%tid.y", "%tid.z", "%laneid", *(f"%lanemask_{name}" for name in ("eq", "lt", "le", "gt", "ge"))]
SAME = ["%ntid.x", "%ntid.y", "%ntid.z", "%blkid.x", "%nblkid.x", "%nblkid.y", "%warpid", "%nwarpid", "%chip",
        "%nchips", "emsk", "c0x1", "vcc", "scc"]  # fmt: skip


def test_special_registers_are_those_of_a_launch_of_one_warp() -> None:
    names = LANES + SAME
    source = READ + "".join(f"        keep {name}, {row}\n" for row, name in enumerate(names)) + "        simt.exit\n"
    chip = m890.Chip()
    found = chip.empty((len(names), 32), np.uint32)
    chip.assemble(source)["k"][1, 32](found)
    rows = entry_rows()
    for name, row in zip(names, found.copy_to_host(), strict=True):
        step(word_of(f"v.mov.b32 vreg9, {name}"), rows)
        assert rows[SCALAR_ROWS + 9].tolist() == row.tolist(), name


def test_masks_and_scalars() -> None:
    rows = entry_rows()
    assert step(word_of("v.cmp.lt.u32 sreg40, vreg1, 1"), rows) == {}
    assert rows[40].tolist() == [0xFFFFFFFF] * 32
    step(word_of("s.mov.b32 emsk, 0xff"), rows, 0xFFFF)
    step(word_of("v.mov.b32 vreg2, 7"), rows)
    assert rows[SCALAR_ROWS + 2].tolist() == [7] * 8 + [0] * 24
    step(word_of("s.mov.b32 emsk, -1"), rows, 0xFFFF)
    assert rows[EMSK, 0] == 0xFFFF


def test_effects() -> None:
    rows = entry_rows()
    assert step(word_of("s.exit"), rows) == {Stop: Stop.EXIT_WARP}
    assert step(word_of("s.cbr 4"), rows)[Next].tolist() == [5]
    rows[EMSK] = 1
    before = rows.copy()
    assert step(word_of("v.mma.f32.f16.m16n16k16 vreg[8:15], vreg[0:3], vreg[4:7], vreg[16:23]"), rows)[Fault].any()
    assert np.array_equal(rows, before)


def test_what_it_refuses() -> None:
    rows = entry_rows(4)
    with pytest.raises(DecodeError, match="is no instruction"):
        step(0xFFFF << 48, rows)
    with pytest.raises(ValueError, match="accesses memory"):
        step(word_of("vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x4] @sreg[8:9]"), rows)
    with pytest.raises(IndexError, match="row 260"):
        step(word_of("v.mov.b32 vreg1, vreg4"), rows)
    with pytest.raises(IndexError, match="row 260"):
        step(word_of("v.mov.b32 vreg4, 1"), rows)
    rows[INDEX_REGISTER] = 0xFFFFFFFF
    with pytest.raises(IndexError, match="no row"):
        step(word_of("v.mov.b32 vreg1, ivreg"), rows)
