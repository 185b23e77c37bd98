"""Calls and device functions: what they do on the core, in both builds and timings, and how they fault."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from one import word_of

from m890.emulator import livelock
from m890.emulator.chip import Chip
from m890.emulator.faults import Deadlock, Fault, Timeout
from m890.emulator.launch import Limits
from m890.emulator.observe import Batch
from m890.emulator.schedule import Schedule
from m890.emulator.trace import Tracer
from m890.isa.exceptions import TRAP
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


# Recursion, with what must survive it on a stack.

FIBONACCI = """
        .func   fib                     // sreg41 = fib(sreg41); the stack is at sreg40 in the buffer of sreg[8:9]
        s.cmp.lt.u32    scc, sreg41, 2
        s.cbr.nz        scc, done
        smem.st.b32x2   sreg[38:39], [0x0 + sreg40 * 0x1] @sreg[8:9]
        smem.st.b32     sreg41, [0x8 + sreg40 * 0x1] @sreg[8:9]
        s.wait          sstcnt(0)
        s.add.i32       sreg40, sreg40, 16
        s.sub.i32       sreg41, sreg41, 1
        s.call          sreg[38:39], fib
        s.sub.i32       sreg40, sreg40, 16
        smem.ld.b32     sreg42, [0x8 + sreg40 * 0x1] @sreg[8:9]
        smem.st.b32     sreg41, [0xc + sreg40 * 0x1] @sreg[8:9]
        s.wait          sldcnt(0), sstcnt(0)
        s.add.i32       sreg40, sreg40, 16
        s.sub.i32       sreg41, sreg42, 2
        s.call          sreg[38:39], fib
        s.sub.i32       sreg40, sreg40, 16
        smem.ld.b32     sreg42, [0xc + sreg40 * 0x1] @sreg[8:9]
        smem.ld.b32x2   sreg[38:39], [0x0 + sreg40 * 0x1] @sreg[8:9]
        s.wait          sldcnt(0)
        s.add.i32       sreg41, sreg41, sreg42
done:   s.ret           sreg[38:39]

        .kernel k
        .param  ptr out
        .param  ptr stack
        s.mull.i32      sreg40, %warpid, 512
        s.add.i32       sreg41, %warpid, 9
        s.call          sreg[38:39], fib
        v.mov.b32       vreg4, %tid.x
        v.mov.b32       vreg0, sreg41
        vmem.st.b32     vreg0, [0x0 + vreg4 * 0x4] @out
        simt.exit
"""


def test_fibonacci_by_recursion(chip: Chip) -> None:
    stack = chip.to_device(np.zeros(1024, np.uint32))
    found = run(chip, FIBONACCI, 64, 64, stack)
    assert found.tolist() == [34] * 32 + [55] * 32


FACTORIAL = """
        .func   factorial                       // vreg1 = factorial(vreg0); each level has its own row of the buffer
        v.mov.b32       vreg1, 1
        v.cmp.gt.u32    sreg41, vreg0, 1
        s.lop.emsk      sreg42, sreg41 # 0x8    // lanes with n > 1 go on
        s.cbr.az        emsk, done
        vmem.st.b32     vreg0, [0x0 + vreg5 * 0x4] @stack
        smem.st.b32x2   sreg[38:39], [0x0 + sreg40 * 0x1] @links
        smem.st.b32     sreg42, [0x8 + sreg40 * 0x1] @links
        s.wait          vstcnt(0), sstcnt(0)
        s.add.i32       sreg40, sreg40, 16
        v.add.i32       vreg5, vreg5, 64
        v.sub.i32       vreg0, vreg0, 1
        s.call          sreg[38:39], factorial
        s.sub.i32       sreg40, sreg40, 16
        v.sub.i32       vreg5, vreg5, 64
        vmem.ld.b32     vreg0, [0x0 + vreg5 * 0x4] @stack
        smem.ld.b32x2   sreg[38:39], [0x0 + sreg40 * 0x1] @links
        smem.ld.b32     sreg42, [0x8 + sreg40 * 0x1] @links
        s.wait          vldcnt(0), sldcnt(0)
        v.mull.i32      vreg1, vreg1, vreg0
done:   s.or.b32        emsk, emsk, sreg42
        s.ret           sreg[38:39]
"""


def test_factorial_by_recursion_under_a_mask(chip: Chip) -> None:
    source = f"""
        {FACTORIAL.replace("@stack", "@sreg[8:9]").replace("@links", "@sreg[10:11]")}
        .kernel k
        .param  ptr out
        .param  ptr stack
        .param  ptr links
        v.mov.b32       vreg4, %tid.x
        v.mov.b32       vreg5, vreg4
        v.and.b32       vreg0, vreg4, 7
        s.mull.i32      sreg40, %warpid, 256
        v.cmp.lt.u32    sreg50, vreg4, 50
        s.lop.emsk      sreg51, sreg50 # 0x8
        s.call          sreg[38:39], factorial
        s.or.b32        emsk, emsk, sreg51
        vmem.st.b32     vreg1, [0x0 + vreg4 * 0x4] @out
        simt.exit
    """.replace("v.mov.b32       vreg5, vreg4", "v.mov.b32 vreg5, vreg4\nv.mov.b32 vreg1, 77")
    stack, links = chip.to_device(np.zeros(1024, np.uint32)), chip.to_device(np.zeros(128, np.uint32))
    found = run(chip, source, 64, 64, stack, links)
    assert found.tolist() == [math.factorial(n % 8) if n < 50 else 77 for n in range(64)]


def test_factorial_by_recursion_on_the_stack(chip: Chip) -> None:
    """The program of docs/assembly.md, which keeps the calling convention."""
    page = (Path(__file__).parent.parent / "docs" / "assembly.md").read_text(encoding="utf-8")
    source = next(block for block in page.split("```asm\n") if block.startswith("        .func   factorial"))
    out = chip.to_device(np.zeros(80, np.uint32))
    chip.assemble(source.partition("```")[0])["factorials"][1, 80](out)
    assert out.copy_to_host().tolist() == [math.factorial(n % 8) for n in range(80)]


# Divergence.


def test_lanes_that_call_apart_meet_again(chip: Chip) -> None:
    """Functions lie below kernels: lanes in one run first, so that all lanes reach the place behind together."""
    source = f"""
        .func   low
        v.add.i32 vreg0, vreg0, 1000
        s.ret   sreg[38:39]
        .func   high
        s.mov.b64 sreg[46:47], sreg[44:45]
        v.add.i32 vreg0, vreg0, 2000
        s.call  sreg[38:39], low
        s.ret   sreg[46:47]
        {HEAD}
        v.cmp.lt.u32 sreg41, vreg4, 10
        simt.rcbr sreg41, few
        s.call  sreg[44:45], high
        s.cbr   join
few:    s.call  sreg[38:39], low
join:   v.add.i32 vreg0, vreg0, 5
        {STORE}
    """
    assert run(chip, source).tolist() == [n + (1005 if n < 10 else 3005) for n in range(64)]


def test_lanes_meet_as_soon_as_they_can() -> None:
    lanes: list[tuple[int, ...]] = []

    class Joined:
        def executed(self, batch: Batch) -> None:
            lanes.extend(event.lanes for event in batch if event.text.endswith("vreg0, 0x5"))

    chip = Chip("M890", observers=[Joined()])
    test_lanes_that_call_apart_meet_again(chip)
    assert lanes == [tuple(range(32))] * 2


def test_every_lane_has_its_own_function(chip: Chip) -> None:
    """A table of functions: for each that some lane wants, the lanes that want it call it."""
    functions = "\n".join(
        f".func f{n}\nv.mull.i32 vreg0, vreg0, {n + 3}\nv.add.i32 vreg0, vreg0, {n}\ns.ret sreg[38:39]"
        for n in range(5)
    )
    source = f"""
        {functions}
        {HEAD}
        v.mull.i32 vreg1, vreg4, 7
        v.and.b32 vreg1, vreg1, 3
        s.mov.b32 sreg50, lo(table)
        s.mov.b32 sreg51, hi(table)
        v.shll.b32 vreg1, vreg1, 1
        vmem.ld.b32x2 vreg[2:3], [0x0 + vreg1 * 0x4] @sreg[50:51]
        s.wait  vldcnt(0)
        s.mov.b32 sreg60, emsk
again:  v.mov.v2s sreg52, vreg2, 0x20
        v.mov.v2s sreg53, vreg3, 0x20
        v.cmp.eq.u32 sreg61, vreg2, sreg52
        s.lop.emsk sreg62, sreg61 # 0x8
        s.call  sreg[38:39], sreg[52:53]
        s.mov.b32 emsk, sreg62
        s.cbr.nz emsk, again
        s.mov.b32 emsk, sreg60
        {STORE}
        .data
table:  .quad   f0, f1, f4, f2
    """
    chosen = [(0, 1, 4, 2)[7 * n & 3] for n in range(64)]
    assert run(chip, source).tolist() == [n * (f + 3) + f for n, f in enumerate(chosen)]


def test_branch_to_the_address_that_all_active_lanes_have(chip: Chip) -> None:
    source = f"""
        {HEAD}
        s.call  sreg[50:51], next
next:   v.cmp.ne.u32 sreg41, vreg4, 3
        v.mov.b32 vreg6, sreg50
        v.mov.b32 vreg7, sreg51
        v.add.i32 vreg6, vreg6, 8 * 7
        s.lop.emsk sreg42, sreg41 # 0x8
        s.mov.b32 sreg43, 1
        simt.cbr.ind vreg[6:7]
        s.trap
        s.or.b32 emsk, emsk, sreg42
        {STORE}
    """.replace("8 * 7", "8 * 8")
    assert run(chip, source).tolist() == list(range(64))


def test_lanes_end_in_a_function(chip: Chip) -> None:
    source = f"""
        .func   leave
        v.cmp.lt.u32 sreg41, vreg4, 20
        s.lop.emsk sreg42, sreg41 # 0x8
        s.cbr.az emsk, stay
        simt.exit
stay:   s.or.b32 emsk, emsk, sreg42
        v.add.i32 vreg0, vreg0, 1
        s.ret   sreg[38:39]
        {HEAD}
        s.call  sreg[38:39], leave
        {STORE}
    """
    assert run(chip, source).tolist() == [0] * 20 + [n + 1 for n in range(20, 64)]


# Places.

DEEP = """
        .func   outer
        s.mov.b64 sreg[42:43], sreg[38:39]
        s.call  sreg[38:39], inner
        s.ret   sreg[42:43]
        .func   inner
        s.nop
        {what}
        s.ret   sreg[38:39]
        .kernel k
        .param  ptr out
        v.mov.b32 vreg0, 1 << 20
        s.call  sreg[38:39], outer
        simt.exit
"""


@pytest.mark.parametrize(
    ("what", "code"), [("vmem.st.b32 vreg0, [0x0 + vreg0 * 0x4] @sreg[6:7]", 11), ("s.trap", TRAP), (".quad 0", 0)]
)
def test_a_fault_names_the_function_and_its_line(chip: Chip, what: str, code: int) -> None:
    with pytest.raises(Fault) as caught:
        chip.assemble(DEEP.format(what=what), "deep.s")["k"][1, 32](chip.to_device(np.zeros(4)))
    fault = caught.value
    assert (fault.code, fault.kernel, fault.function, fault.pc) == (code, "k", "inner", 8), str(fault)
    assert fault.source is not None
    assert (fault.source.line, fault.source.text.strip()) == (8, what)
    assert "warp 0, function inner + 0x8\n" in str(fault)


def test_running_out_of_the_functions_is_a_fault(chip: Chip) -> None:
    source = f".func f\ns.nop\n{HEAD}s.call sreg[38:39], f\nsimt.exit\n"
    with pytest.raises(Fault) as caught:
        run(chip, source, 32)
    assert (caught.value.code, caught.value.function, caught.value.pc) == (16, "f", 8)
    assert "(past the last instruction)" in str(caught.value)


def test_a_timeout_and_a_deadlock_name_the_function(chip: Chip) -> None:
    chip.limits = Limits(instructions=1000)
    with pytest.raises(Timeout, match=r"chip 0 kernel 'k' function inner \+ 0x8 \(deep\.s:8\)"):
        chip.assemble(DEEP.format(what="again: s.cbr again"), "deep.s")["k"][1, 32](0)
    text = """
        .func   meet
        s.blksyn
        s.ret   sreg[38:39]
        .kernel k
        .param  ptr out
        v.mov.b32 vreg0, %laneid
        v.cmp.lt.u32 sreg41, vreg0, 9
        simt.rcbr sreg41, here
        s.call  sreg[38:39], meet
here:   s.cbr   here
    """
    with pytest.raises(Timeout, match=r"function meet \+ 0x0 .*waiting for the block barrier"):
        chip.assemble(text)["k"][1, 32](0)


def test_an_endless_loop_in_a_function_is_a_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livelock, "PATIENCE", 1000)
    source = DEEP.format(what="again: s.cbr again").replace("s.nop", "s.mov.b32 sreg50, 0", 1)
    with pytest.raises(Deadlock, match=r"function inner \+ 0x8"):
        Chip("M890").assemble(source)["k"][1, 32](0)


def test_observers_see_functions() -> None:
    seen = Seen()
    chip = Chip("M890", observers=[seen])
    chip.assemble(DEEP.format(what="s.nop"))["k"][1, 32](0)
    assert [place[:2] for place in seen.places] == [
        *(("k", 0), ("k", 8), ("outer", 0), ("outer", 8)),
        *(("inner", 0), ("inner", 8), ("inner", 16), ("outer", 16), ("k", 16)),
    ]
    assert seen.places[3][2] == "s.call sreg[38:39], 0xc0000098"


def test_a_trace_names_functions(tmp_path: Path) -> None:
    with open(tmp_path / "trace", "w+") as file:
        chip = Chip("M890", observers=[Tracer(file)])
        chip.assemble(DEEP.format(what="s.nop"), "deep.s")["k"][1, 32](0)
        file.seek(0)
        lines = file.read().splitlines()
    assert lines[3] == "(0,0,0) w0 ffffffff outer+8 deep.s:4         s.call sreg[38:39], 0xc0000098"
    assert len(lines) == 9


def test_code_can_be_read_and_not_written(chip: Chip) -> None:
    source = f"""
        .func   f
        s.ret   sreg[38:39]
        {HEAD}
        s.mov.b32 sreg50, lo(f)
        s.mov.b32 sreg51, hi(f)
        smem.ld.b32x2 sreg[52:53], [0x0] @sreg[50:51]
        s.wait  sldcnt(0)
        s.call  sreg[38:39], f
        v.mov.b32 vreg0, sreg53
        {STORE}
    """
    assert run(chip, source).tolist() == [word_of("s.ret sreg[38:39]") >> 32] * 64
    with pytest.raises(Fault) as caught:
        run(chip, source.replace("smem.ld.b32x2 sreg[52:53]", "smem.st.b32x2 sreg[52:53]"))
    assert caught.value.code == 21


def test_a_kernel_without_calls_takes_no_room_for_functions() -> None:
    kernels = ".kernel k\ns.exit\n.kernel c\ns.call sreg[38:39], f\ns.exit\n"
    module = Chip("M890").assemble(f".func f\ns.ret sreg[38:39]\n{kernels}")
    assert len(module["k"].program.records) == 2
    assert len(module["c"].program.records) == 16 + 1 + 1 + 2 + 1


@pytest.mark.parametrize("schedule", [Schedule(warp_slice=1), Schedule(warp_slice=3, block_slice=7)])
def test_calls_may_be_interrupted_anywhere(schedule: Schedule) -> None:
    chip = Chip("M890", schedule=schedule)
    test_fibonacci_by_recursion(chip)
    test_lanes_that_call_apart_meet_again(chip)
