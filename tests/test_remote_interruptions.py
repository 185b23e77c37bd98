"""Python comes between the instructions of a window - to compile, to print, for observers - and changes nothing."""

from typing import Any

import numpy as np
import pytest
from test_remote_edges import TIMINGS
from test_remote_order import TICKETS, kernel_on
from wired import Wired

from m890.emulator import plan

LOOKS = """
        .kernel looks                   // chip 0 computes a little between two looks at the flag that chip 1 sets
        .param  ptr flag
        s.mov.b32       sreg21, 0
        s.cmp.eq.u32    scc, %chip, 0
        s.cbr.nz        scc, look
count:  s.add.i32       sreg21, sreg21, 1
        s.cmp.lt.u32    scc, sreg21, 300
        s.cbr.nz        scc, count
        smem.st.b32     sreg21, [0x0] @flag
        simt.exit
look:   s.mov.b32       sreg21, 0
work:   s.add.i32       sreg21, sreg21, 1
        s.cmp.lt.u32    scc, sreg21, 25
        s.cbr.nz        scc, work
        s.sleep         10
        smem.ld.b32     sreg22, [0x0] @flag
        s.wait          sldcnt(0)
        s.cbr.az        sreg22, look
        simt.exit
"""


class Seen:
    """An observer to whom nothing is of interest."""

    def executed(self, batch: Any) -> None:
        """Python has come between."""


def looks(observers: Any) -> Any:
    """When the chips end, and how many instructions they execute."""
    chips = Wired(2, quantum=200, observers=observers)
    flag = chips.chips[0].to_device(np.zeros(1, np.uint32))
    kernels = [kernel_on(chips, index, LOOKS, "looks") for index in range(2)]
    chips.run({0: (kernels[0], 2, 64, (flag,)), 1: (kernels[1], 1, 32, (flag,))})
    return chips.ended, chips.executed


def tickets(timing: Any, observers: Any) -> Any:
    """Ends, results and packets of three chips that have room for three packets a window."""
    chips = Wired(3, quantum=50, timing=timing, capacity=3, observers=observers)
    chips.keep = True
    counter = chips.chips[1].to_device(np.zeros(2, np.uint32))
    outs = [chip.to_device(np.zeros(5 * 64, np.uint32)) for chip in chips.chips]
    kernels = [kernel_on(chips, index, TICKETS, "tickets") for index in range(3)]
    chips.run({index: (kernels[index], 5, 64, (counter, outs[index])) for index in range(3)})
    packets = np.concatenate(chips.packets)
    return chips.ended, [out.copy_to_host().tolist() for out in outs], packets[["src", "seq", "time"]].tolist()


@pytest.mark.parametrize("often", [1, 7])
def test_a_chip_sleeps_as_long_when_it_is_interrupted(often: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = looks(())
    monkeypatch.setattr(plan, "EVENTS", often)
    assert looks((Seen(),)) == alone


@TIMINGS
@pytest.mark.parametrize("often", [1, 7])
def test_held_warps_try_again_once_a_window(timing: str, often: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption is no reason to: the order in which warps get what room there is would change."""
    alone = tickets(timing, ())
    monkeypatch.setattr(plan, "EVENTS", often)
    assert tickets(timing, (Seen(),)) == alone
