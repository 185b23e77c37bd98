"""Warp sync, sleep, assertions and breakpoints."""

from typing import Any

import numpy as np
import pytest
from command_line import m890
from kernel_runs import HEAD, STORE, everywhere, faulting, run
from one import check, stop

from m890.emulator.chip import Chip
from m890.emulator.launch import Limits
from m890.isa.effects import Stop

# Warp sync, sleep.


def test_warp_sync() -> None:
    """Lanes that are off or have ended; the others go on."""
    check("s.warp.sync 0xff", before={"emsk": 0xFF})
    check("s.warp.sync sreg8", before={"emsk": 0xFFFF, "sreg8": 0x8001})
    check("s.warp.sync 0", before={"emsk": 0})
    check("s.warp.sync 0x100", before={"emsk": 0xFF}, reached=stop(Stop.FAULT))
    fault = faulting(f"{HEAD}s.mov.b32 emsk, 0xf0\nsimt.exit\ns.mov.b32 emsk, 0xff0f\ns.warp.sync 0xff\nsimt.exit\n")
    assert (fault.code, fault.lanes) == (3, (4, 5, 6, 7))
    assert "s.warp.sync" in fault.instruction
    assert fault.hint


LOCK = """
        .kernel k
        .param  ptr out
        v.mov.b32       vreg0, 0
        v.mov.b32       vreg1, 0
        v.mov.b32       vreg2, 1
again:  vmem.atom.cas.b32 vreg3, [0x0 + vreg0 * 0x4] @out, vreg1, vreg2
        s.wait          vldcnt(0)
        v.cmp.eq.u32    sreg20, vreg3, 0
        simt.rcbr       sreg20, mine
        {pause}
        s.cbr           again
mine:   vmem.ld.b32     vreg4, [0x4 + vreg0 * 0x4] @out
        s.wait          vldcnt(0)
        v.add.i32       vreg4, vreg4, 1
        vmem.st.b32     vreg4, [0x4 + vreg0 * 0x4] @out
        s.wait          vstcnt(0)
        vmem.atom.exch.b32 vreg5, [0x0 + vreg0 * 0x4] @out, vreg1
        s.wait          vldcnt(0)
        simt.exit
"""


@pytest.mark.parametrize("grid", [1, 6])
def test_sleep_lets_a_lock_go_on(grid: int) -> None:
    """Every lane of every warp takes a spin lock whose waiting loop runs first: sleeping saves most of the waiting."""
    counts: list[int] = []
    for pause in ("s.nop", "s.sleep 100"):
        chip = Chip()
        out = chip.to_device(np.zeros(2, np.uint32))
        kernel = chip.assemble(LOCK.format(pause=pause))["k"]
        counts.append(kernel.launch((grid, 1, 1), (64, 1, 1), [out], limits=Limits(instructions=50_000_000)))
        assert out.copy_to_host().tolist() == [0, 64 * grid]
    patient, hasty = counts[1], counts[0]
    assert patient < 64 * grid * 100
    assert 10 * patient < hasty


def test_sleep_lets_other_blocks_run() -> None:
    """Blocks of one warp wait for one another in a chain: each look costs instructions, not slices."""
    source = """
        .kernel k
        .param  ptr out
        v.mov.b32       vreg0, 0
        v.mov.b32       vreg1, 1
        s.mov.b32       sreg20, 31
        s.sub.i32       sreg20, sreg20, %blkid.x
again:  vmem.ld.b32.acquire.gpu vreg3, [0x0 + vreg0 * 0x4] @out
        s.wait          vldcnt(0)
        v.mov.v2s       sreg21, vreg3, 0
        s.cmp.eq.u32    scc, sreg21, sreg20
        s.cbr.nz        scc, mine
        s.sleep         1
        s.cbr           again
mine:   s.mov.b32       emsk, 1
        vmem.red.add.i32.release.gpu [0x0 + vreg0 * 0x4] @out, vreg1
        s.mov.b32       emsk, 0xffffffff
        simt.exit
    """
    for timing in ("eager", "late"):
        chip = Chip(timing=timing)
        out = chip.to_device(np.zeros(1, np.uint32))
        count = chip.assemble(source)["k"][32, 32](out)
        assert out.copy_to_host()[0] == 32
        assert count < 32 * 32 * 10


def test_sleep_of_one_path_leaves_no_trace() -> None:
    """A warp that slept while it was whole takes turns of its paths as usual later: both sides of a branch join."""
    source = f"""{HEAD}
        s.sleep 1
        s.mov.b32 sreg30, 0
        s.mov.b32 sreg20, 0xff
        simt.rcbr.n sreg20, low
        s.nop
        s.cbr high
low:    s.nop
high:   s.add.i32 sreg30, sreg30, 1
        {STORE.format("sreg30", 0)}
        simt.exit
    """
    assert everywhere(source, 32, block=32).tolist() == [1] * 32


# Faults on purpose.


def test_assert_and_breakpoint() -> None:
    """Code, lanes, source line and text."""
    source = f"""
        .data
why:    .asciz "index %d must be even"
        .text
{HEAD}
        v.and.b32 vreg1, vreg0, 1
        v.cmp.eq.u32 sreg20, vreg1, 0
        s.mov.b32 emsk, 0xf0
        v.assert sreg20{{}}
        s.mov.b32 emsk, 0xffffffff
        simt.exit
    """
    for text, detail in (("", ""), (", why", "index %d must be even")):
        fault = faulting(source.replace("{}", text))
        assert (fault.code, fault.meaning, fault.lanes) == (257, "assertion failed", (5, 7))
        assert fault.detail == detail
        assert fault.source is not None
        assert (fault.source.line, "v.assert" in fault.source.text) == (12, True)
        assert fault.threads == ((5, 0, 0), (7, 0, 0))
    run(source.replace("{}", "").replace("0xf0", "0x50"), 32)
    fault = faulting(f"{HEAD}s.mov.b32 emsk, 0x6\ns.brkpt\nsimt.exit\n", timing="late")
    assert (fault.code, fault.meaning, fault.lanes) == (258, "breakpoint", (1, 2))


def test_from_the_shell(tmp_path: Any) -> None:
    """A failed assertion ends the command with 1 and the message."""
    path = tmp_path / "k.s"
    path.write_text(
        '.data\nwhy: .asciz "too many"\n.kernel k\nv.mov.b32 vreg0, %laneid\nv.cmp.lt.u32 sreg20, vreg0, 30\n'
        "v.assert sreg20, why\nsimt.exit\n"
    )
    result = m890("run", str(path), "--grid", "1", "--block", "32", code=1)
    for part in ("exception 257, assertion failed", "too many", "lanes        30-31", "k.s:6"):
        assert part in result.stderr
