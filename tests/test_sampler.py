"""Watched launches: what is counted is exact, what is charged adds up, and watching changes nothing."""

import numpy as np
import pytest

import m890
from m890.emulator import livelock
from m890.emulator.decode import decode
from m890.emulator.engine import engine
from m890.emulator.sampler import Sampler
from m890.isa.assembler import assemble

SOURCE = """
        .kernel steps
        .param  u32 turns
        .param  ptr x
        v.mov.b32       vreg0, %tid.x
        v.mov.b32       vreg1, 1.0
        s.mov.b32       sreg40, 0
loop:   v.fma.f32.rtte  vreg1, vreg1, vreg1, vreg1
        v.sub.f32       vreg1, vreg1, vreg1
        s.add.i32       sreg40, sreg40, 1
        s.cmp.lt.u32    scc, sreg40, turns
        s.cbr.nz        scc, loop
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        simt.exit
"""
TURNS = 1_000_000
WARPS = 2


def test_watched_launches():
    chip = m890.Chip("M890")
    x = chip.to_device(np.ones(32 * WARPS, np.float32))
    kernel = chip.assemble(SOURCE)["steps"]
    with Sampler() as sampler:
        executed = kernel[1, 32 * WARPS](TURNS, x)
        assert not sampler.executed, "the first launch compiles"
        handlers = kernel.program.records["handler"].copy()
        for _ in range(2):
            x.copy_from_host(np.ones(32 * WARPS, np.float32))
            assert kernel[1, 32 * WARPS](TURNS, x) == executed
            assert not x.copy_to_host().any()
            np.testing.assert_array_equal(kernel.program.records["handler"], handlers)
    kernel[1, 32 * WARPS](TURNS, x)  # which nothing watches

    assert sampler.executed.total() == 2 * executed
    assert sampler.executed["v.fma.f32.rtte"] == 2 * WARPS * TURNS
    assert sampler.executed["vmem.st.b32"] == 2 * WARPS
    shares = sampler.shares()
    assert sampler.looks
    assert {each.mnemonic for each in shares} <= set(sampler.executed)
    assert abs(sum(each.share for each in shares) - 1) < 1e-9
    spent = sum(each.nanoseconds * each.executed for each in shares) / 1e9
    assert abs(spent - sampler.seconds) <= 1e-9 * spent


def test_a_fault_ends_the_watch():
    chip = m890.Chip("M890")
    x = chip.to_device(np.ones(32 * WARPS, np.float32))
    kernel = chip.assemble(SOURCE)["steps"]
    kernel[1, 32 * WARPS](1, x)
    handlers = kernel.program.records["handler"].copy()
    with Sampler():
        for _ in range(2):
            with pytest.raises(m890.Fault, match=r"vmem\.st\.b32"):
                kernel[1, 64 * WARPS](1, x)
    np.testing.assert_array_equal(kernel.program.records["handler"], handlers)


ENDLESS = """
        .kernel endless
        .param  u32 for_ever
        .param  ptr x
        v.mov.b32       vreg0, %laneid
        s.cmp.ne.u32    scc, for_ever, 0
loop:   s.cbr.nz        scc, loop
        vmem.st.b32     vreg0, [0x0 + vreg0 * 0x4] @x
        simt.exit
"""


def test_a_search_for_a_livelock_in_a_watched_launch_leaves_no_trace(monkeypatch):
    """Both let records begin with something else; whichever ends first, what remains is the records' own handlers."""
    monkeypatch.setattr(livelock, "PATIENCE", 1000)
    chip = m890.Chip("M890")
    x = chip.empty(32, np.uint32)
    kernel = chip.assemble(ENDLESS)["endless"]
    kernel[1, 32](0, x)
    handlers = kernel.program.records["handler"].copy()
    with Sampler():
        for _ in range(2):
            with pytest.raises(m890.Deadlock):
                kernel[1, 32](1, x)
    np.testing.assert_array_equal(kernel.program.records["handler"], handlers)


def test_of_several_covers_the_last_one_counts():
    program = decode(assemble(ENDLESS).kernels["endless"], "ppu0015", engine())
    own = program.records["handler"].tolist()
    below = program.cover([1, 2], 100)
    above = program.cover([2, 3], 200)
    assert program.records["handler"].tolist() == [own[0], 100, 200, 200, *own[4:]]
    assert program.copy().records["handler"].tolist() == own
    program.uncover(below)
    assert program.records["handler"].tolist() == [*own[:2], 200, 200, *own[4:]]
    for recipe in program.sharing:  # compiled or found while covered
        program.fill(engine(), recipe, compile=True)
    assert program.records["handler"].tolist()[2:4] == [200, 200]
    program.uncover(above)
    assert engine().not_compiled not in program.records["handler"].tolist()
