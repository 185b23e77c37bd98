"""Other chips' memory at the edges: faults, aborted launches, deadlocks, copies, time."""

from typing import Any

import numpy as np
import pytest
from aiu_model import program, tile
from test_remote_order import TICKETS, TIMINGS, kernel_on
from wired import QUANTUM_PS, Wired

import m890
from m890.emulator.machine.state import POISON
from m890.isa.aiu import TILE, TILE_AT
from m890.isa.matrix import matrix_form

SCATTER = """
        .kernel scatter
        .param  ptr pointers
        v.mov.b32       vreg0, %laneid
        vmem.ld.b32x2   vreg[2:3], [0x0 + vreg0 * 0x8] @pointers
        s.wait          vldcnt(0)
        {instruction}
        s.exit
"""
STORE = "vmem.st.b32 vreg0, [0x0] @vreg[2:3]"


def scatter(chips: Wired, pointers: list[int], instruction: str) -> None:
    """Run an instruction on these addresses on chip 0."""
    array = chips.chips[0].to_device(np.array(pointers, np.uint64))
    kernel = kernel_on(chips, 0, SCATTER.format(instruction=instruction), "scatter")
    chips.run({0: (kernel, 1, 32, (array,))})


@TIMINGS
@pytest.mark.parametrize("instruction", [STORE, "vmem.ld.b32 vreg4, [0x0] @vreg[2:3]"])
@pytest.mark.parametrize(
    ("code", "text"),
    [
        (17, "chip 2, to which chip 0 has no peer access (XID 1157)"),
        (11, "past the end of 'far'"),
        (12, "is not a multiple of 4"),
    ],
)
def test_a_fault_names_the_lane_and_nothing_has_been_sent(code: int, text: str, instruction: str, timing: str) -> None:
    """One lane of 32 is wrong, the others are on another chip."""
    chips = Wired(3, timing=timing, enabled=(0, 1))
    far = chips.chips[1].to_device(np.full(32, 99, np.uint32), name="far")
    closed = chips.chips[2].to_device(np.zeros(32, np.uint32))
    pointers = [far.address + 4 * lane for lane in range(32)]
    pointers[5] = {17: closed.address, 11: far.address + 128, 12: far.address + 2}[code]
    with pytest.raises(m890.Fault, match="exception") as caught:
        scatter(chips, pointers, instruction)
    assert (caught.value.code, caught.value.lanes) == (code, (5,))
    assert text in str(caught.value)
    assert chips.sent == 0
    assert not len(chips.ports[0].outbox)
    assert (far.copy_to_host() == 99).all()


def test_a_fault_of_two_kinds_is_that_of_the_first_lane() -> None:
    """A closed chip and a hole of an open one."""
    chips = Wired(3, enabled=(0, 1))
    far = chips.chips[1].to_device(np.zeros(32, np.uint32))
    closed = chips.chips[2].to_device(np.zeros(32, np.uint32))
    pointers = [closed.address if lane % 2 else far.address + 4096 for lane in range(32)]
    with pytest.raises(m890.Fault, match="exception 11") as caught:
        scatter(chips, pointers, STORE)
    assert caught.value.lanes == tuple(range(0, 32, 2))


@TIMINGS
@pytest.mark.parametrize("way", ["ld", "st"])
def test_the_aiu_copies_only_from_and_to_its_own_memory(way: str, timing: str) -> None:
    """A tensor of another chip is a fault 17, though its allocations can be accessed."""
    chips = Wired(2, timing=timing)
    tensor = chips.chips[1].to_device(np.zeros(4096, np.uint8))
    copy = tile()
    words = np.zeros(64, np.uint32)
    words[: TILE.words] = TILE.pack(**{**copy.words, "base": tensor.address})
    words[32 : 32 + TILE_AT.words] = TILE_AT.pack(**copy.at)
    here = [chips.chips[0].to_device(words), chips.chips[0].empty(8192, np.uint8)]
    source = f".arch ppu0015\n{program(copy, way, dump=False)}"
    with pytest.raises(m890.Fault, match="HBM of chip 1: the AIU copies from and to its own") as caught:
        chips.run({0: (kernel_on(chips, 0, source, "k"), 1, 32, tuple(here))})
    assert caught.value.code == 17


ABORTED = """
        .kernel aborted
        .param  ptr x
        v.mov.b32       vreg0, %tid.x
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        vmem.red.add.i32 [vreg0 * 0x4] @x, vreg0
        s.trap
"""


@TIMINGS
def test_answers_to_a_launch_that_has_faulted_are_lost(timing: str) -> None:
    """The next one is not touched by them, which arrive while its own are under way."""
    chips = Wired(3, timing=timing, windows=1)
    counter = chips.chips[1].to_device(np.zeros(64, np.uint32))
    out = chips.chips[0].to_device(np.zeros(64, np.uint32))
    with pytest.raises(m890.Fault):
        chips.run({0: (kernel_on(chips, 0, ABORTED, "aborted"), 1, 64, (counter,))})
    assert len(chips.ports[0].outbox)
    later = TICKETS.replace("vmem.atom", f"{'v.add.i32 vreg6, vreg6, 1' + chr(10)}" * 200 + "vmem.atom")
    chips.run({0: (kernel_on(chips, 0, later, "tickets"), 1, 64, (counter, out))})
    assert np.array_equal(np.sort(out.copy_to_host()), np.arange(64))


MEET = """
        .kernel meet
        .param  ptr x
        .param  ptr out
        v.mov.b32       vreg0, %laneid
        s.cbr.nz        %warpid, other
        s.blksyn
        s.exit
other:  vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        s.wait          vldcnt(0)
        {barrier}
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @out
        s.exit
"""


@TIMINGS
def test_a_warp_that_waits_for_another_chip_is_no_deadlock(timing: str) -> None:
    """While one is at the barrier and one waits for far away, the chip is idle."""
    chips = Wired(2, timing=timing, delay=50 * QUANTUM_PS)
    x, out = chips.chips[1].to_device(np.arange(32, dtype=np.uint32)), chips.chips[0].empty(32, np.uint32)
    chips.run({0: (kernel_on(chips, 0, MEET.format(barrier="s.blksyn"), "meet"), 1, 64, (x, out))})
    assert np.array_equal(out.copy_to_host(), np.arange(32))
    assert int(chips.ports[0].chip["time"][0]) >= 100 * QUANTUM_PS


def test_a_deadlock_is_found_once_the_answer_has_come() -> None:
    """The second warp goes to a barrier of its own."""
    chips = Wired(2)
    x, out = chips.chips[1].to_device(np.arange(32, dtype=np.uint32)), chips.chips[0].empty(32, np.uint32)
    with pytest.raises(m890.Deadlock, match="named barrier 3"):
        chips.run({0: (kernel_on(chips, 0, MEET.format(barrier="s.bar.sync 3, 64"), "meet"), 1, 64, (x, out))})


GROUPS = """
        .kernel groups
        .param  ptr x
        .param  ptr out
        .tsm    1024
        v.mov.b32       vreg0, %laneid
        v.shll.b32      vreg1, vreg0, 2
        v.mov.b32       vreg9, 77
        tsm.st.b32      vreg9, [0x0 + vreg0 * 0x4]
        tsm.st.b32      vreg9, [bytes(128) + vreg0 * 0x4]
        tsm.st.b32      vreg9, [bytes(256) + vreg0 * 0x4]
        s.wait          tsmcnt(0)
        vmem.ld.tsm.b32 vreg1, [0x0 + vreg0 * 0x4] @x
        vmem.acp.commit.grp
        v.add.i32       vreg2, vreg1, 128
        vmem.ld.tsm.b32 vreg2, [bytes(128) + vreg0 * 0x4] @x
        vmem.acp.commit.grp
        v.add.i32       vreg2, vreg1, 256
        vmem.ld.tsm.b32 vreg2, [bytes(256) + vreg0 * 0x4] @x
        vmem.acp.commit.grp
        {between}
        tsm.ld.b32      vreg3, [0x0 + vreg0 * 0x4]
        tsm.ld.b32      vreg4, [bytes(128) + vreg0 * 0x4]
        tsm.ld.b32      vreg5, [bytes(256) + vreg0 * 0x4]
        s.wait          tsmcnt(0)
        vmem.st.b32     vreg3, [0x0 + vreg0 * 0x4] @out
        vmem.st.b32     vreg4, [bytes(128) + vreg0 * 0x4] @out
        vmem.st.b32     vreg5, [bytes(256) + vreg0 * 0x4] @out
        s.wait          commit_group(0)
        s.exit
"""
AWBAR = """
        s.mov.b32       sreg40, 0x200
        s.mov.b32       emsk, 1
        tsm.awbar.init.b64 sreg40, 1
        vmem.acp.awbar.arrive.noinc.b64 sreg40
        tsm.awbar.test_wait.parity.b64 sreg41, sreg40, 0
        v.assert        sreg41
        s.mov.b32       emsk, -1
"""
STORED = "tsm.st.b32 vreg9, [bytes(256) + vreg0 * 0x4]\ns.wait tsmcnt(0), commit_group(0)"


@TIMINGS
@pytest.mark.parametrize(
    ("between", "groups", "last"),
    [
        ("", 0, None),
        ("s.wait commit_group(2)", 1, None),
        ("s.wait commit_group(1)", 2, None),
        ("s.wait commit_group(0)", 3, None),
        (AWBAR, 3, None),
        (STORED, 3, 77),
    ],
    ids=["none", "one", "two", "all", "awbar", "a store behind"],
)
def test_copies_from_another_chip_arrive_in_groups(between: str, groups: int, last: int | None, timing: str) -> None:
    """What is not waited for is poison in both timings; a store to where a copy goes comes behind it."""
    chips = Wired(2, timing=timing, poison=False)
    data = np.arange(96, dtype=np.uint32) + 1000
    x, out = chips.chips[1].to_device(data), chips.chips[0].empty(96, np.uint32)
    chips.run({0: (kernel_on(chips, 0, GROUPS.format(between=between), "groups"), 1, 32, (x, out))})
    expected = data.copy().reshape(3, 32)
    expected[groups:] = POISON
    if last is not None:
        expected[2] = last
    assert np.array_equal(out.copy_to_host().reshape(3, 32), expected)


ZFILL = """
        .kernel zfill
        .param  ptr x
        .param  ptr out
        .tsm    512
        v.mov.b32       vreg0, %laneid
        v.shll.b32      vreg1, vreg0, 4
        v.mov.b32       vreg2, 5
        v.mov.b32       vreg3, 6
        vmem.ld.tsm.zfill.b32x4 vreg1, [vreg3 * 0x10] @x, vreg2
        vmem.acp.commit.grp
        s.wait          commit_group(0)
        tsm.ld.b32x4    vreg[4:7], [0x0 + vreg0 * 0x10]
        s.wait          tsmcnt(0)
        vmem.st.b32x4   vreg[4:7], [0x0 + vreg0 * 0x10] @out
        s.exit
"""


@TIMINGS
def test_a_copy_of_the_last_bytes_of_an_allocation(timing: str) -> None:
    """Its 16 bytes are not all in the allocation, but those that it asks for are."""
    chips = Wired(2, timing=timing)
    data = np.arange(101, dtype=np.uint8)
    x, out = chips.chips[1].to_device(data), chips.chips[0].empty(512, np.uint8)
    chips.run({0: (kernel_on(chips, 0, ZFILL, "zfill"), 1, 32, (x, out))})
    assert np.array_equal(out.copy_to_host().reshape(32, 16), np.tile([*range(96, 101), *[0] * 11], (32, 1)))


@TIMINGS
def test_instructions_that_are_tried_again_count_once(timing: str) -> None:
    """As many as at home."""
    counts: list[int] = []
    for place in (0, 1):
        chips = Wired(2, timing=timing, capacity=1)
        counter = chips.chips[place].to_device(np.zeros(2, np.uint32))
        out = chips.chips[0].to_device(np.zeros(5 * 64, np.uint32))
        chips.run({0: (kernel_on(chips, 0, TICKETS, "tickets"), 5, 64, (counter, out))})
        counts.append(chips.executed[0])
    assert counts[0] == counts[1]


# Time.


def timed(windows: int | None, timing: Any) -> tuple[Any, ...]:
    """Tickets of three chips: results, ends, and all packets."""
    chips = Wired(3, timing=timing, windows=windows, delay=lambda a, b: 7_300 + 1_100 * a + 500 * b, quantum=50)
    chips.keep = True
    counter = chips.chips[1].to_device(np.zeros(2, np.uint32))
    outs = [chip.to_device(np.zeros(5 * 64, np.uint32)) for chip in chips.chips]
    kernels = [kernel_on(chips, index, TICKETS, "tickets") for index in range(3)]
    chips.run({index: (kernels[index], 5, 64, (counter, outs[index])) for index in range(3)})
    names = ["src", "seq", "dst", "kind", "time", "arrival", "mask", "size", "user", "returns"]
    packets = np.concatenate(chips.packets)
    packets = packets[np.lexsort((packets["seq"], packets["src"]))]
    return [out.copy_to_host().tolist() for out in outs], chips.ended, [packets[name].tolist() for name in names]


@TIMINGS
def test_windows_of_any_length_give_the_same_bits_and_times(timing: str) -> None:
    """One quantum, or as many as the shortest delay has."""
    assert timed(1, timing) == timed(None, timing)


def test_a_window_takes_the_time_of_its_quanta() -> None:
    """A chip that only counts runs `quantum` instructions in QUANTUM_PS."""
    chips = Wired(1, quantum=64)
    source = ".kernel k\ns.mov.b32 sreg40, 0\nnext: s.add.i32 sreg40, sreg40, 1\n"
    source += "s.cmp.lt.u32 scc, sreg40, 1000\ns.cbr.nz scc, next\ns.exit"
    chips.run({0: (kernel_on(chips, 0, source, "k"), 1, 32, ())})
    assert chips.ended[0] == -(-3002 // 64) * QUANTUM_PS


@pytest.mark.parametrize(("mnemonic", "count"), [("v.mma.f32.f16.m16n16k16", 100), ("v.mma.f32.f16.m16n16k16", 7)])
def test_matrix_instructions_take_the_time_of_their_rate(mnemonic: str, count: int) -> None:
    """Where that is longer than that of the instructions: here one costs many quanta."""
    chips = Wired(1, quantum=64)
    form = matrix_form(mnemonic)
    registers = ", ".join(
        f"vreg[{first}:{first + words - 1}]"
        for first, words in ((16, form.d.words), (0, form.a.words), (8, form.b.words), (16, form.d.words))
    )
    source = ".kernel k\n" + f"{mnemonic} {registers}\n" * count + "s.exit"
    chips.run({0: (kernel_on(chips, 0, source, "k"), 1, 32, ())})
    work = 2 * form.m * form.n * form.k * count
    exact = work / chips.chips[0].profile.matrix_peak("f16") * 1e12
    instructions = -(-(count + 1) // 64)
    assert chips.ended[0] == max(-(-int(exact) // QUANTUM_PS), instructions) * QUANTUM_PS


class Seen:
    """An observer that keeps what each instruction was and accessed."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[int, int]]] = []

    def executed(self, batch: Any) -> None:
        self.events += [(event.text, event.addresses) for event in batch]


@TIMINGS
def test_observers_see_each_access_once_and_where(timing: str) -> None:
    """However often a warp has tried it, and whatever completed before it."""
    seen = Seen()
    chips = Wired(2, timing=timing, observers=(seen,), capacity=1)
    x = chips.chips[1].to_device(np.zeros(32, np.uint32))
    source = SCATTER.replace("{instruction}", "\n".join([STORE, "vmem.ld.b32.acquire.sys vreg4, [0x0] @vreg[2:3]"]))
    pointers = [x.address + 4 * lane for lane in range(32)]
    array = chips.chips[0].to_device(np.array(pointers, np.uint64))
    chips.run({0: (kernel_on(chips, 0, source, "scatter"), 1, 32, (array,))})
    assert np.array_equal(x.copy_to_host(), np.arange(32))
    far = [(text.split()[0], addresses) for text, addresses in seen.events if "@vreg" in text]
    everywhere = dict(enumerate(pointers))
    assert far == [("vmem.st.b32", everywhere), ("vmem.ld.b32.acquire.sys", everywhere)]
    assert len(seen.events) == chips.executed[0]


def test_a_prefetch_from_a_closed_chip_is_nothing() -> None:
    """Nothing is sent, and it is no fault."""
    chips = Wired(2, enabled=(0,))
    closed = chips.chips[1].to_device(np.zeros(32, np.uint32))
    source = ".kernel k\n.param ptr x\nv.mov.b32 vreg0, %laneid\nvmem.prefetch [0x0 + vreg0 * 0x4] @x\ns.exit"
    chips.run({0: (kernel_on(chips, 0, source, "k"), 1, 32, (closed,))})
    assert chips.sent == 0
