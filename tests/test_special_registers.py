"""Special registers: clocks count, launches and blocks have numbers, and a cold cache makes no difference."""

import numpy as np
import pytest

from m890 import Chip, Fault, Pod
from m890.emulator.codegen.cache import ObjectCache
from m890.emulator.engine import Engine

CLOCKS = """
        .kernel k
        .param  ptr out
        s.mov.b64       sreg[20:21], %clock64
        s.nop
        s.nop
        s.mov.b64       sreg[22:23], %clock64
        s.mov.b64       sreg[24:25], %globaltimer
        s.sub.i64       sreg[26:27], sreg[22:23], sreg[20:21]
        smem.st.b32x2   sreg[26:27], [0x0] @out
        s.mov.b64       sreg[28:29], %gridid
        smem.st.b32x2   sreg[28:29], [0x8] @out
        simt.exit
"""


def numbers(chip: Chip) -> list[int]:
    out = chip.empty(2, np.uint64)
    chip.assemble(CLOCKS)["k"][1, 32](out)
    return out.copy_to_host().tolist()


def test_the_clock_counts_instructions_and_launches_are_numbered():
    chip = Chip()
    assert numbers(chip) == [3, 1]
    assert numbers(chip) == [3, 2]


TIME = """
        .kernel k
        .param  ptr out
        s.mov.b32       sreg20, 0
again:  s.add.i32       sreg20, sreg20, 1
        s.cmp.lt.u32    scc, sreg20, 3000
        s.cbr.nz        scc, again
        s.mov.b64       sreg[22:23], %globaltimer
        v.mov.b32       vreg0, %blkid.x
        v.mov.b32       vreg1, sreg22
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @out
        simt.exit
"""


@pytest.mark.parametrize("chip", [Chip(), Chip(timing="late"), Pod(chips=1, quantum=1000).chips[0]])
def test_the_timer_counts_what_the_whole_chip_executes(chip: Chip):
    """In steps of 4,096, also where a quantum is another: three blocks of 9,006 instructions one after the other."""
    out = chip.empty(3, np.uint32)
    kernel = chip.assemble(TIME)["k"]
    before = [9_001 + 9_006 * block for block in range(6)]
    for launch in range(2):
        assert kernel[3, 1](out) == 3 * 9_006
        assert out.copy_to_host().tolist() == [count // 4096 * 4096 for count in before[3 * launch :][:3]]


def test_a_clock_read_is_compiled_when_reached(tmp_path):
    chip = Chip()
    chip.engine = Engine(ObjectCache(tmp_path / "cache"))
    assert numbers(chip) == [3, 1]


def test_condition_registers_are_clear_at_entry():
    source = """
        .kernel k
        .param  ptr out
        s.mov.b32       sreg20, %blkid.x
        s.shll.b32      sreg20, sreg20, 2
        smem.st.b32     scc, [0x0 + sreg20 * 0x1] @out
        s.mov.b32       scc, 0x7
        s.mov.b32       vcc, 0x7
        simt.exit
    """
    chip = Chip()
    out = chip.to_device(np.full(64, 9, np.uint32))
    chip.assemble(source)["k"][64, 32](out)
    assert not out.copy_to_host().any()


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_x0_selects_a_register_for_each_turn(timing):
    """A loop writes and reads vreg4 to vreg7 by number, in the active lanes."""
    source = """
        .kernel k
        .vregs  8
        .param  ptr out
        v.mov.b32       vreg0, %laneid
        s.mov.b32       sreg20, 4
        v.mov.b32       vreg1, 0
again:  s.mov.b32       x0, sreg20
        s.wait          pipe_flush
        v.mov.b32       ivreg, 1
        s.mov.b32       emsk, 0xff
        v.mov.b32       ivreg, sreg20
        s.mov.b32       emsk, 0xffffffff
        v.mov.b32       vreg2, ivreg
        v.mull.i32      vreg1, vreg1, 10
        v.add.i32       vreg1, vreg1, vreg2
        s.add.i32       sreg20, sreg20, 1
        s.cmp.lt.u32    scc, sreg20, 8
        s.cbr.nz        scc, again
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @out
        simt.exit
    """
    chip = Chip(timing=timing)
    out = chip.to_device(np.zeros(32, np.uint32))
    chip.assemble(source)["k"][1, 32](out)
    assert out.copy_to_host().tolist() == [4567] * 8 + [1111] * 24
    chip = Chip(timing=timing)
    with pytest.raises(Fault) as caught:
        chip.assemble(source.replace("sreg20, 8", "sreg20, 9"))["k"][1, 32](out.address)
    assert (caught.value.code, caught.value.operands["x0"]) == (5, 8)
    assert "x0" in caught.value.hint
