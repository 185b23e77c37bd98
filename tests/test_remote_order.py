"""What orders accesses to other chips' memory, and what happens at the edges: full queues, faults, ends, deadlocks."""

from typing import Any

import numpy as np
import pytest
from wired import QUANTUM_PS, Wired

from m890.emulator.machine.state import POISON
from m890.emulator.profiles import profile

TIMINGS = pytest.mark.parametrize("timing", ["eager", "late"])


def kernel_on(chips: Wired, chip: int, source: str, name: str) -> Any:
    """A kernel loaded on a chip."""
    return chips.chips[chip].assemble(source)[name]


SEND = """
        .kernel send
        .param  ptr data
        .param  ptr flag
        .param  u32 value
        v.mov.b32       vreg0, %tid.x
        v.mov.b32       vreg1, value
        {store}
        {fence}
        s.mov.b32       emsk, 1
        {flag}
        s.exit
"""
RECEIVE = """
        .kernel receive
        .param  ptr data
        .param  ptr flag
        .param  ptr out
        .param  u32 value
        v.mov.b32       vreg0, %tid.x
again:  vmem.ld.b32     vreg1, [0x0] @flag
        s.wait          vldcnt(0)
        v.cmp.ne.u32    vcc, vreg1, value
        s.cbr.nz        vcc, again
        vmem.ld.b32     vreg2, [0x0 + vreg0 * 0x4] @data
        s.wait          vldcnt(0)
        vmem.st.b32     vreg2, [0x0 + vreg0 * 0x4] @out
        simt.exit
"""
PLAIN = "vmem.st.b32"
STORE = "vmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @data"
EVERY_WORD = "\n".join(f"smem.st.b32 value, [bytes({4 * word})] @data" for word in range(32))
ORDERED = [
    (STORE, "vmem.fence.sys", PLAIN),
    (STORE, "s.wait vstcnt(0)", PLAIN),
    (STORE, "", "vmem.st.b32.release.sys"),
    (STORE, "", "vmem.red.add.i32.release.sys"),
    (EVERY_WORD, "smem.fence.sys", PLAIN),
    (EVERY_WORD, "", "vmem.st.b32.release.sys"),
]


def pass_message(store: str, fence: str, flag: str, far: int, timing: Any) -> bool:
    """Chip 0 puts data on chip 2 and a flag on chip 1, which then reads the data: whether it gets what was sent."""
    delays = {(0, 2): far}
    chips = Wired(3, timing=timing, delay=lambda a, b: delays.get((a, b), 3 * QUANTUM_PS))
    data = chips.chips[2].to_device(np.zeros(32, np.uint32))
    word = chips.chips[1].to_device(np.zeros(32, np.uint32))
    out = chips.chips[1].to_device(np.zeros(32, np.uint32))
    put = f"{flag} vreg1, [0x0] @flag" if ".red." not in flag else f"{flag} [0x0] @flag, vreg1"
    send = kernel_on(chips, 0, SEND.format(store=store, fence=fence, flag=put), "send")
    receive = kernel_on(chips, 1, RECEIVE, "receive")
    chips.run({0: (send, 1, 32, (data, word, 7)), 1: (receive, 1, 32, (data, word, out, 7))})
    found = out.copy_to_host()
    assert np.isin(found, (0, 7)).all()
    return bool((found == 7).all())


@TIMINGS
@pytest.mark.parametrize(("store", "fence", "flag"), ORDERED)
@pytest.mark.parametrize("far", [3, 300])
def test_a_fence_a_wait_or_a_release_orders_data_and_flag(
    store: str, fence: str, flag: str, far: int, timing: str
) -> None:
    """However long the data are under way."""
    assert pass_message(store, fence, flag, far * QUANTUM_PS, timing)


@TIMINGS
@pytest.mark.parametrize(
    ("store", "fence"), [(STORE, ""), (STORE, "smem.fence.sys"), (EVERY_WORD, ""), (EVERY_WORD, "vmem.fence.sys")]
)
def test_a_missing_fence_is_caught(store: str, fence: str, timing: str) -> None:
    """Or a wrong one, once the flag is faster than the data."""
    assert not pass_message(store, fence, PLAIN, 300 * QUANTUM_PS, timing)


TICKETS = """
        .kernel tickets
        .param  ptr counter
        .param  ptr out
        v.mov.b32       vreg0, %tid.x
        v.mov.b32       vreg1, %blkid.x
        v.shll.b32      vreg1, vreg1, 6
        v.add.i32       vreg0, vreg0, vreg1
        v.mov.b32       vreg2, 1
        v.mov.b32       vreg4, 0
        vmem.atom.add.i32 vreg3, [vreg4 * 0x4] @counter, vreg2
        v.mov.b32       vreg4, 1
        vmem.red.add.i32 [vreg4 * 0x4] @counter, vreg2
        s.wait          vldcnt(0)
        vmem.st.b32     vreg3, [0x0 + vreg0 * 0x4] @out
        simt.exit
"""


@TIMINGS
@pytest.mark.parametrize(("capacity", "seed"), [(2, 0), (2, 5), (2048, 0), (2048, 1), (2048, 2)])
def test_atomics_of_many_chips_count_every_one(timing: str, capacity: int, seed: int) -> None:
    """Tickets are 0 to n - 1, each once; on the chip that has the counter, too, and with hardly room to send."""
    chips = Wired(3, timing=timing, capacity=capacity, seed=seed)
    counter = chips.chips[1].to_device(np.zeros(2, np.uint32))
    outs = [chip.to_device(np.zeros(5 * 64, np.uint32)) for chip in chips.chips]
    kernels = [kernel_on(chips, index, TICKETS, "tickets") for index in range(3)]
    chips.run({index: (kernels[index], 5, 64, (counter, outs[index])) for index in range(3)})
    assert counter.copy_to_host().tolist() == [960, 960]
    assert np.array_equal(np.sort(np.concatenate([out.copy_to_host() for out in outs])), np.arange(960))


MANY = """
        .kernel many
        .param  ptr x
        .param  ptr y
        v.mov.b32       vreg0, %laneid
        v.mov.b32       vreg1, 0
        s.mov.b32       sreg40, 0
next:   v.mov.b32       vreg3, vreg0
        vmem.ld.b32     vreg2, [0x0 + vreg0 * 0x4] @x
        vmem.red.add.i32 [vreg0 * 0x4] @y, vreg0
        v.add.i32       vreg0, vreg0, 32
        s.add.i32       sreg40, sreg40, 1
        s.cmp.lt.u32    scc, sreg40, {count}
        s.cbr.nz        scc, next
        s.wait          vldcnt(0)
        vmem.st.b32     vreg2, [0x0 + vreg3 * 0x4] @y
        simt.exit
"""


@TIMINGS
@pytest.mark.parametrize("count", [63, 64, 100])
def test_more_than_63_operations_are_outstanding(count: int, timing: str) -> None:
    """The 64th waits for the oldest; all are done at the end, which waits for the rest."""
    chips = Wired(2, timing=timing)
    x = chips.chips[1].to_device(np.arange(32 * count, dtype=np.uint32) * 3)
    y = chips.chips[1].to_device(np.zeros(32 * count, np.uint32))
    chips.run({0: (kernel_on(chips, 0, MANY.format(count=count), "many"), 1, 32, (x, y))})
    # Under late timing a red reads its operand when it completes: what vreg0 holds by then is a mistake of the kernel.
    last = np.arange(32 * (count - 1), 32 * count) * 3
    assert np.array_equal(y.copy_to_host()[-32:], last)
    if timing == "eager":
        assert np.array_equal(y.copy_to_host()[:-32], np.arange(32 * (count - 1)))


EARLY = """
        .kernel early
        .param  ptr x
        .param  ptr out
        v.mov.b32       vreg0, %laneid
        v.mov.b32       vreg1, 5
        {instruction}
        v.mov.b32       vreg2, vreg1
        {late}
        s.wait          vldcnt(0), vstcnt(0)
        vmem.st.b32     vreg2, [0x0 + vreg0 * 0x4] @out
        simt.exit
"""


@TIMINGS
def test_a_load_that_is_not_waited_for_gives_poison(timing: str) -> None:
    """In both timings."""
    chips = Wired(2, timing=timing)
    x, out = chips.chips[1].to_device(np.arange(32, dtype=np.uint32)), chips.chips[0].empty(32, np.uint32)
    source = EARLY.format(instruction="vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x4] @x", late="")
    chips.run({0: (kernel_on(chips, 0, source, "early"), 1, 32, (x, out))})
    assert (out.copy_to_host() == POISON).all()


@TIMINGS
def test_a_wait_that_counts_operations_at_home_waits_for_the_one_far_away(timing: str) -> None:
    """The load from far is the oldest of three, and two may stay outstanding."""
    chips = Wired(2, timing=timing)
    x, out = chips.chips[1].to_device(np.arange(32, dtype=np.uint32)), chips.chips[0].empty(32, np.uint32)
    near = "vmem.ld.b32 vreg5, [0x0 + vreg0 * 0x4] @out\n" * 2
    load = f"vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x4] @x\n{near}\ns.wait vldcnt(2)"
    chips.run({0: (kernel_on(chips, 0, EARLY.format(instruction=load, late=""), "early"), 1, 32, (x, out))})
    assert np.array_equal(out.copy_to_host(), np.arange(32))


@TIMINGS
def test_a_store_reads_its_source_when_it_leaves(timing: str) -> None:
    """At once, or under late timing at the wait: a source that changes before is caught there."""
    chips = Wired(2, timing=timing)
    x, out = chips.chips[1].empty(32, np.uint32), chips.chips[0].empty(32, np.uint32)
    source = EARLY.format(instruction="vmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @x", late="v.mov.b32 vreg1, 6")
    chips.run({0: (kernel_on(chips, 0, source, "early"), 1, 32, (x, out))})
    assert (x.copy_to_host() == (5 if timing == "eager" else 6)).all()


POLL = """
        .kernel poll
        .param  ptr flag
        .param  ptr data
        .param  ptr out
        v.mov.b32       vreg0, %laneid
        {load}          vreg1, [0x0] @flag
        vmem.ld.b32     vreg2, [0x0] @data
        s.wait          vldcnt(0)
        v.cmp.eq.u32    vcc, vreg1, 7
        s.cbr.az        vcc, none
        v.mov.b32       vreg3, 1
        s.cbr           end
none:   v.mov.b32       vreg3, 0
end:    vmem.st.b32     vreg3, [0x0] @out
        v.mov.b32       vreg4, 1
        vmem.st.b32     vreg2, [0x4] @out
        simt.exit
"""


@pytest.mark.parametrize("load", ["vmem.ld.b32", "vmem.ld.b32.acquire.sys"])
def test_nothing_overtakes_an_acquire_from_another_chip(load: str) -> None:
    """Who sees the flag of chip 1 sees the data on chip 2 that were there before, if the load of the flag acquires."""
    overtaken = 0
    for far in range(10, 60, 5):
        delays = {(0, 1): far * QUANTUM_PS, (0, 2): 3 * QUANTUM_PS}
        chips = Wired(3, delay=lambda a, b, delays=delays: delays.get((a, b), 10 * QUANTUM_PS))
        flag = chips.chips[1].to_device(np.zeros(32, np.uint32))
        data = chips.chips[2].to_device(np.zeros(32, np.uint32))
        out = chips.chips[0].to_device(np.zeros(2, np.uint32))
        send = kernel_on(
            chips, 1, SEND.format(store=STORE, fence="vmem.fence.sys", flag=f"{PLAIN} vreg1, [0x0] @flag"), "send"
        )
        poll = kernel_on(chips, 0, POLL.format(load=load), "poll")
        chips.run({1: (send, 1, 32, (data, flag, 7)), 0: (poll, 1, 32, (flag, data, out))})
        seen, value = out.copy_to_host().tolist()
        overtaken += seen == 1 and value != 7
    assert (overtaken > 0) == (load == "vmem.ld.b32")


ENDS = """
        .kernel ends
        .param  ptr x
        v.mov.b32       vreg0, %tid.x
        v.mov.b32       vreg1, %blkid.x
        v.shll.b32      vreg2, vreg1, 9
        v.add.i32       vreg0, vreg0, vreg2
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        simt.exit
"""


@TIMINGS
def test_an_end_waits_for_what_is_outstanding_before_the_slot_is_used_again(timing: str) -> None:
    """Many more blocks than one compute unit holds, none of which waits for its store."""
    chips = Wired(2, timing=timing, kind=profile("M890").override("one", {"compute_units": 1}, "test"), capacity=5)
    x = chips.chips[1].to_device(np.zeros(64 * 512, np.uint32))
    chips.run({0: (kernel_on(chips, 0, ENDS, "ends"), 64, 512, (x,))})
    assert np.array_equal(x.copy_to_host(), np.repeat(np.arange(64), 512))


PATHS = """
        .kernel paths
        .param  ptr flag
        .param  ptr out
        v.mov.b32       vreg0, %laneid
        v.mov.b32       vreg1, 1
        v.cmp.eq.u32    sreg40, vreg0, 0
        simt.rcbr.n     sreg40, sets
spins:  vmem.ld.b32     vreg2, [0x0] @flag
        s.wait          vldcnt(0)
        v.cmp.ne.u32    sreg41, vreg2, 1
        s.cbr.nz        sreg41, spins
        vmem.st.b32     vreg2, [0x0 + vreg0 * 0x4] @out
        simt.exit
sets:   vmem.st.b32     vreg1, [0x0] @flag
        vmem.fence.sys
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @out
        simt.exit
"""


@TIMINGS
def test_a_path_that_spins_on_another_chip_lets_the_others_run(timing: str) -> None:
    """The lanes that set what lane 0 waits for are at a higher address, and each look at the flag holds the warp."""
    chips = Wired(2, timing=timing)
    flag = chips.chips[1].to_device(np.zeros(32, np.uint32))
    out = chips.chips[0].to_device(np.zeros(32, np.uint32))
    chips.run({0: (kernel_on(chips, 0, PATHS, "paths"), 1, 32, (flag, out))})
    assert (out.copy_to_host() == 1).all()
