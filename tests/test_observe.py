"""What an observer is told of each instruction, compared with what the kernel's text says it does."""

from __future__ import annotations

from io import StringIO
from itertools import product

import numpy as np
import pytest

from m890 import Chip, Fault, InstructionCount, Tracer
from m890.emulator.machine.barriers import BLOCK_BARRIER
from m890.emulator.observe import Batch, Event
from m890.isa.effects import Stop
from m890.isa.registers import register_text


class Seen:
    """Keeps every event."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def executed(self, batch: Batch) -> None:
        """Keep a batch."""
        self.batches.append(batch)

    def of(self, mnemonic: str) -> list[Event]:
        """The events of an instruction, in order."""
        return [event for batch in self.batches for event in batch if event.text.startswith(mnemonic)]


BARRIERS = """
        .kernel k
        s.mov.b32       sreg40, 5
        s.mov.b32       scc, 64
        s.bar.sync      3
        s.bar.sync      sreg40, 64
        s.bar.red.popc.u32 7, scc, emsk
        s.bar.arrive    sreg40, 64
        s.blksyn
        simt.exit
"""


def test_a_barrier_is_known_by_its_number_and_how_many_it_waits_for():
    """Also where a register says so, and where that register gets the result."""
    seen = Seen()
    Chip(observers=[seen]).assemble(BARRIERS)["k"][1, 64]()
    expected = {
        "s.bar.sync 0x3": (3, 0),
        "s.bar.sync sreg40": (5, 2),
        "s.bar.red": (7, 2),
        "s.bar.arrive": (5, 2),
        "s.blksyn": (BLOCK_BARRIER, 0),
    }
    for text, barrier in expected.items():
        assert [event.barrier for event in seen.of(text)] == [barrier] * 2, text
    assert all(event.barrier is None for text in ("s.mov", "simt.exit") for event in seen.of(text))


AWBARS = """
        .kernel k
        .tsm    256 place
        v.mov.b32       vreg0, %laneid
        v.shll.b32      vreg0, vreg0, 3
        v.cmp.lt.u32    sreg20, vreg0, 24
        s.lop.emsk      sreg21, sreg20 # 0x8
        v.mov.b32       vreg1, 1
        tsm.awbar.init.b64 vreg0, vreg1
        tsm.awbar.inval.b64 vreg0
        s.exit
"""


def test_where_asynchronous_barriers_are():
    seen = Seen()
    Chip(observers=[seen]).assemble(AWBARS)["k"][1, 32]()
    for event in (*seen.of("tsm.awbar.init"), *seen.of("tsm.awbar.inval")):
        assert event.addresses == {0: 0, 1: 8, 2: 16}
        assert int(event.raw["size"]) == 8


def test_which_threads_of_which_launch_execute_it():
    """Threads count along x first, and the last warp has fewer."""
    seen, block = Seen(), (5, 3, 3)
    kernel = Chip(observers=[seen]).assemble(".kernel k\ns.nop\nsimt.exit\n")["k"]
    for _ in range(2):
        kernel[(2, 2), block]()
    places = [(x, y, z) for z, y, x in product(range(3), range(3), range(5))]
    events = seen.of("s.nop")
    assert [event.batch.launch for event in events] == [1] * 8 + [2] * 8
    assert {event.block for event in events} == {(x, y, 0) for x in range(2) for y in range(2)}
    for event in events:
        assert event.threads == dict(enumerate(places[32 * event.warp :][:32]))


FAULTS = {
    "an address": "vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x4] @sreg[0:1]",
    "a barrier": "s.bar.sync 3, 96",
    "an awbar": "tsm.awbar.inval.b64 vreg0",
    "a copy": "vmem.aiu.ld.tsm.l1.t0.p0.s0.m0.2d.b16.kp1 sreg[48:63], sreg[40:43]",
    "a jump": "s.ret sreg[0:1]",
    "a register": "v.mov.b32 vreg200, 1",
    "an assertion": "v.assert sreg0",
}


@pytest.mark.parametrize("what", FAULTS)
def test_the_last_instruction_before_a_fault_has_faulted(what):
    """Whatever finds it, handler, schedule or what is compiled apart from both; and it has done nothing."""
    seen = Seen()
    source = f".kernel k\n.vregs 8\ns.mov.b64 sreg[0:1], 0\nv.mov.b32 vreg0, 0\n{FAULTS[what]}\ns.exit\n"
    with pytest.raises(Fault):
        Chip(observers=[seen]).assemble(source)["k"][1, 32]()
    *before, last = [event for batch in seen.batches for event in batch]
    assert [int(event.raw["stop"]) for event in before] == [0, 0]
    assert int(last.raw["stop"]) == Stop.FAULT
    assert last.pc == 16
    assert (last.barrier, last.copied) == (None, None)


COPIES = """
        .kernel k
        .param  ptr x
        .tsm    2048 room
        v.mov.b32       vreg0, %laneid
        v.shll.b32      vreg1, vreg0, 5
        vmem.ld.tsm.b32x2 vreg1, [0x0 + vreg0 * 0x8] @x
        vmem.ld.tsm.zfill.b32x2 vreg1, [0x0 + vreg0 * 0x8] @x, vreg0
        vmem.acp.commit.grp
        s.wait          commit_group(0)
        vmem.ld.b32     vreg2, [0x0 + vreg0 * 0x8] @x
        simt.exit
"""


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_a_copy_by_lanes_reads_here_and_writes_there(timing):
    seen = Seen()
    chip = Chip(observers=[seen], timing=timing)
    x = chip.empty(64, np.uint32)
    chip.assemble(COPIES)["k"][1, 32](x)
    (plain,), (filled,), (load,) = (seen.of(f"vmem.ld.{text}") for text in ("tsm.b32x2", "tsm.zfill", "b32 "))
    for event in (plain, filled, load):
        assert event.addresses == {lane: x.address + 8 * lane for lane in range(32)}
    for event in (plain, filled):
        assert event.targets == {lane: 32 * lane for lane in range(32)}
        assert event.accessed == f"{x.address:#x}..{x.address + 248:#x}, TSM 0x0..0x3e0"
    assert plain.counts == dict.fromkeys(range(32), 8)
    assert filled.counts == {lane: min(lane, 8) for lane in range(32)}
    assert (load.targets, load.counts) == ({}, dict.fromkeys(range(32), 4))


REGISTERS = {
    "v.add.i32 vreg2, vreg1, sreg40": ({"vreg1", "sreg40"}, {"vreg2"}),
    "vmem.ld.b32x2 vreg[2:3], [0x0 + vreg1 * 0x8] @sreg[6:7]": ({"vreg1", "sreg[6:7]"}, {"vreg[2:3]"}),
    "s.lop.emsk sreg40, sreg41 # 0x8": ({"sreg41", "emsk"}, {"sreg40", "emsk"}),
    "v.mov.b32 vreg2, ivreg": ({"ivreg", "x0"}, {"vreg2"}),
    "v.vote.ballot.b32 sreg40, sreg41": ({"sreg41", "emsk"}, {"sreg40"}),
    "s.bar.red.or.pred 1, sreg40": ({"sreg40"}, {"scc"}),
    "s.bar.sync 1": (set(), set()),
}


@pytest.mark.parametrize("text", REGISTERS)
def test_registers_with_and_without_a_name(text):
    seen = Seen()
    chip = Chip(observers=[seen])
    with chip.empty(64, np.uint32) as x:
        head = "v.mov.b32 vreg1, 0\ns.mov.b32 x0, 1\ns.mov.b32 sreg40, -1\ns.mov.b32 sreg41, -1"
        chip.assemble(f".kernel k\n.param ptr x\n{head}\n{text}\ns.exit\n")["k"][1, 32](x)
    event = next(event for batch in seen.batches for event in batch if event.pc == 32)
    reads, writes = ({register_text(register) for register in found()} for found in (event.reads, event.writes))
    assert (reads, writes) == REGISTERS[text]


COUNTED = """
        .kernel k
        .param  ptr x
        v.mov.b32       vreg0, %laneid
        v.cmp.lt.u32    sreg20, vreg0, 7
        s.lop.emsk      sreg21, sreg20 # 0x8
        vmem.st.b32     vreg0, [0x0 + vreg0 * 0x4] @x
        vmem.st.b32     vreg0, [0x0 + vreg0 * 0x4] @x
        s.exit
"""


def test_instructions_are_counted_by_mnemonic():
    count = InstructionCount()
    chip = Chip(observers=[count])
    chip.assemble(COUNTED)["k"][3, 32](chip.empty(32, np.uint32))
    assert count.executed_by["vmem.st.b32"] == 6
    assert count.lanes_by["vmem.st.b32"] == 6 * 7
    assert count.executed_by["v.mov.b32"] == 3
    assert count.lanes_by["v.mov.b32"] == 3 * 32
    assert sum(count.executed_by.values()) == 18


def test_a_trace_tells_kernels_apart_that_come_and_go():
    """Also where one lies in memory where another one was."""
    file = StringIO()
    tracer = Tracer(file)
    for number in range(50):
        Chip(observers=[tracer]).assemble(f".kernel k\ns.mov.b32 sreg40, {number}\ns.exit\n")["k"][1, 32]()
    texts = [line.split("s.mov.b32")[1] for line in file.getvalue().splitlines() if "s.mov.b32" in line]
    assert texts == [f" sreg40, {number:#x}" for number in range(50)]
    assert tracer.written == 100
