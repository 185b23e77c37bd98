"""Calls and device functions: what they do on the core, in both builds and timings, and how they fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from m890.emulator.chip import Chip
from m890.emulator.faults import Fault
from m890.emulator.observe import Batch
from m890.isa.program import CODE_BASE, TEXT_BASE


class Seen:
    """An observer that keeps where every instruction was, and its text."""

    def __init__(self) -> None:
        self.places: list[tuple[str, int, str]] = []

    def executed(self, batch: Batch) -> None:
        """Keep a batch."""
        self.places += [(event.function.name, event.pc, event.text) for event in batch]


MACHINES: dict[str, dict[str, Any]] = {
    "eager": {"timing": "eager"},
    "late": {"timing": "late"},
    "observed": {"timing": "eager", "observers": [Seen()]},
}


@pytest.fixture(params=list(MACHINES))
def chip(request: pytest.FixtureRequest) -> Chip:
    """A chip of each timing and build."""
    return Chip("M890", **MACHINES[request.param])


def run(chip: Chip, source: str, threads: int = 64, words: int | None = None, *values: Any) -> np.ndarray:
    """What the kernel `k` stores to its first argument, a buffer of as many words as threads."""
    out = chip.to_device(np.zeros(words or threads, np.uint32))
    chip.assemble(source)["k"][1, threads](out, *values)
    return out.copy_to_host()


HEAD = """
        .kernel k
        .param  ptr out
        v.mov.b32 vreg4, %tid.x
        v.mov.b32 vreg0, vreg4
"""
STORE = """
        vmem.st.b32 vreg0, [0x0 + vreg4 * 0x4] @out
        simt.exit
"""


def test_direct_indirect_and_nested_calls(chip: Chip) -> None:
    source = f"""
        .func   twice
        v.add.i32 vreg0, vreg0, vreg0
        s.ret   sreg[38:39]
        .func   quad
        s.mov.b64 sreg[42:43], sreg[38:39]
        s.call  sreg[38:39], twice
        s.call  sreg[38:39], twice
        s.ret   sreg[42:43]
        {HEAD}
        s.call  sreg[38:39], quad
        s.mov.b32 sreg50, lo(quad)
        s.mov.b32 sreg51, hi(quad)
        s.call  sreg[38:39], sreg[50:51]
        s.call  sreg[38:39], local
        {STORE}
local:  v.add.i32 vreg0, vreg0, 1
        s.cbr.ind sreg[38:39]
    """
    assert run(chip, source).tolist() == [16 * n + 1 for n in range(64)]


def test_a_kernel_has_the_registers_of_all_it_may_call() -> None:
    chip = Chip("M890")
    functions = """
        .func   wide
        v.mov.b32 vreg99, 1
        s.mov.b32 sreg100, 1
        s.ret   sreg[38:39]
        .func   middle
        s.call  sreg[38:39], wide
        s.ret   sreg[42:43]
    """
    text = f"""{functions}
        .kernel calls
        s.call  sreg[38:39], middle
        s.exit
        .kernel pointer
        s.call  sreg[38:39], sreg[40:41]
        s.exit
        .kernel alone
        s.exit
        .kernel given
        .vregs  4
        s.call  sreg[38:39], middle
        s.exit
    """
    counts = {name: (kernel.vregs, kernel.sregs) for name, kernel in chip.assemble(text).module.kernels.items()}
    assert counts == {"calls": (100, 192), "pointer": (100, 192), "alone": (1, 48), "given": (4, 192)}


FAULTS = {
    "a number outside": ("s.call sreg[38:39], 0x7ffffff8", 16, f"no code at {CODE_BASE + 0x7FFFFFF8:#x}"),
    "a number within a word": ("s.call sreg[38:39], 0x4", 0, "is not a multiple of 8"),
    "null": ("s.mov.b64 sreg[40:41], 0\ns.call sreg[38:39], sreg[40:41]", 16, "no code at 0x0; there is kernel 'k'"),
    "odd": ("s.mov.b32 sreg40, lo(f + 4)\ns.mov.b32 sreg41, hi(f)\ns.cbr.ind sreg[40:41]", 0, "not a multiple of 8"),
    "behind the functions": (
        "s.mov.b32 sreg40, lo(f + 8)\ns.mov.b32 sreg41, hi(f)\ns.ret sreg[40:41]",
        16,
        f"functions {TEXT_BASE:#x} to {TEXT_BASE + 136:#x}",
    ),
    "lanes apart": (
        "v.mov.b32 vreg6, %tid.x\nv.mov.b32 vreg7, 0\nsimt.cbr.ind vreg[6:7]",
        1,
        "lane 1 would go to 0x1, lanes below it elsewhere",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_change_nothing_and_say_what_is_wrong(chip: Chip, name: str) -> None:
    text, code, says = FAULTS[name]
    source = f".func f\ns.ret sreg[38:39]\n{HEAD}s.mov.b64 sreg[38:39], 0x123\n{text}\n{STORE}"
    with pytest.raises(Fault) as caught:
        run(chip, source, 32)
    fault = caught.value
    assert (fault.code, fault.function, fault.pc) == (code, "", 8 * (3 + text.count("\n"))), str(fault)
    assert says in str(fault)
    if code == 1:
        assert fault.lanes == tuple(range(1, 32))
