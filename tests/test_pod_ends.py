"""How a pod's work ends and is watched: faults, limits, deadlocks, Ctrl-C, sleep, prints, observers."""

import signal
import threading

import numpy as np
import pytest
from pod_kernels import LOOP, SIGNAL, STORE, expected

import m890
from m890 import Deadlock, Fault, LaunchError, Limits, PerChip, Pod, Timeout
from m890.emulator import livelock
from m890.emulator.faults import Interrupted
from m890.tools.ranks import _end_all


def test_the_fault_of_the_lowest_chip_is_raised_and_the_pod_goes_on():
    pod = Pod(chips=4)
    pod.enable_peer_access()
    x = pod.symmetric(64, np.uint32, name="x")
    store = pod.assemble(STORE)["store"]
    with pytest.raises(Fault) as caught:
        store[1, 128](PerChip([x[1], x[2], x[3], x[0]]), 0)
    assert (caught.value.chip, caught.value.code) == (0, 11)
    store[1, 64](x, 4)
    np.testing.assert_array_equal(x.copy_to_host(), expected(4, 4))


@pytest.mark.parametrize(
    ("chip", "offset", "text"),
    [
        (1, 4 * 64, r"right past the end of 'x' on chip 1 \(256 bytes at"),
        (1, 4 * 64 + 8, r"8 bytes past the end of 'x' on chip 1 \(256 bytes at"),
        (0, 4 * 64, r"right past the end of 'x' \(256 bytes at"),
        (9, 0, "in the HBM window of chip 9, but there is no chip 9: the last one of this pod is chip 1"),
    ],
)
def test_a_fault_says_on_which_chip_its_buffer_is(chip, offset, text):
    pod = Pod(chips=2)
    pod.enable_peer_access()
    x = pod.symmetric(64, np.uint32, name="x")
    with pytest.raises(Fault, match=text) as caught:
        pod.assemble(STORE)["store"].on(0)[1, 1](x[0].address + (chip << 38) + offset, 0)
    assert caught.value.chip == 0
    pod.chips[1].to_device(x[1].copy_to_host(), name="y").free()
    with pytest.raises(Fault, match=r"inside freed allocation 'y' on chip 1 \(256 bytes at"):
        pod.assemble(STORE)["store"].on(0)[1, 1](x[1].address + 512, 0)


def test_a_topology_has_the_chips_of_its_pod():
    ring = m890.Topology.ring(m890.profile("M890"), 8)
    with pytest.raises(ValueError, match="topology ring joins 8 chips, this pod has 4"):
        Pod(chips=4, topology=ring)


def test_work_behind_a_fault_is_dropped():
    pod = Pod(chips=2)
    x = pod.symmetric(64, np.uint32)
    store, stream = pod.assemble(STORE)["store"], pod.stream()
    store[1, 128, stream](x, 0)
    store[1, 64, stream](x, 1)
    with pytest.raises(Fault):
        pod.synchronize()
    pod.synchronize()
    assert not x.copy_to_host()[:, 64:].any()
    store[1, 64, stream](x, 2)
    pod.synchronize()
    np.testing.assert_array_equal(x.copy_to_host(), expected(2, 2))


def test_an_event_that_was_dropped_is_waited_for_by_nobody():
    pod = Pod(chips=2)
    x = pod.symmetric(64, np.uint32)
    store, streams = pod.assemble(STORE)["store"], pod.stream()
    store.on(0)[1, 128, streams[0]](x[0], 0)
    never = streams[0].record()
    with pytest.raises(Fault):
        never.synchronize()
    assert not never.recorded
    never.synchronize()
    streams[1].wait(never)
    store.on(1)[1, 64, streams[1]](x[1], 7)
    pod.synchronize()
    np.testing.assert_array_equal(x[1].copy_to_host(), expected(2, 7)[1])


def test_limits_hold_in_a_pod():
    pod = Pod(chips=2)
    loop = pod.assemble(LOOP)["loop"]
    with pytest.raises(Timeout) as caught:
        loop.launch(1, 32, (), limits=Limits(instructions=100_000))
    assert caught.value.limit == "instructions"
    with pytest.raises(Timeout) as caught:
        loop.launch(1, 32, (), limits=Limits(seconds=0.2))
    assert caught.value.limit == "seconds"
    kernel = pod.assemble(".kernel k\ns.nop\ns.nop\nsimt.exit\n")["k"]
    assert list(kernel.launch(1, 32, (), limits=Limits(instructions=3))) == [3, 3]
    with pytest.raises(Timeout):
        kernel.launch(1, 32, (), limits=Limits(instructions=2))


def test_a_chip_that_waits_for_its_own_memory_is_a_deadlock(monkeypatch):
    monkeypatch.setattr(livelock, "PATIENCE", 1 << 16)
    pod = Pod(chips=2)
    pod.enable_peer_access()
    flags = pod.symmetric(1, np.uint32, name="flag")
    waits = pod.assemble(SIGNAL)["signal"]
    with pytest.raises(
        Deadlock, match=r"a change of 'flag' \(4 bytes at 0x4000000000\) that cannot"
    ) as caught:  # nobody is chip 1 here
        waits.launch(1, 32, (flags,), chips=[0])
    assert {place.chip for place in caught.value.places} == {0}
    assert waits[1, 32](flags[0])[1] == 6


@pytest.mark.parametrize("timing", ["eager", "late"])
@pytest.mark.parametrize("threads", [1, 2])
def test_chips_that_wait_for_each_others_memory_are_a_deadlock(timing, threads, monkeypatch):
    """Though loads are under way all the time."""
    monkeypatch.setattr(livelock, "PATIENCE_WINDOWS", 100)
    pod = Pod(chips=2, timing=timing, threads=threads)
    pod.enable_peer_access()
    flags = pod.symmetric(1, np.uint32, name="flag")
    flags.fill(0)
    poll = pod.assemble(SIGNAL.replace("s.cmp.eq.u32    scc, sreg20, 0", "s.cmp.eq.u32    scc, sreg20, sreg20"))[
        "signal"
    ]
    with pytest.raises(Deadlock) as caught:
        poll[1, 32](PerChip([flags[1], flags[0]]))
    assert [place.chip for place in caught.value.places] == [0, 1]
    for chip, place in enumerate(caught.value.places):
        assert f"'flag' of chip {1 - chip}" in place.waits_for


@pytest.mark.parametrize("patience", [1, 10, 100])
def test_the_search_for_a_deadlock_finds_none_where_a_store_is_still_to_come(patience, monkeypatch):
    """Chip 1 computes for long before it stores what chip 0 waits for, and somebody else what chip 1 waits for."""
    monkeypatch.setattr(livelock, "PATIENCE", patience)
    monkeypatch.setattr(livelock, "PATIENCE_WINDOWS", patience)
    pod = Pod(chips=3)
    pod.enable_peer_access()
    flags = pod.symmetric(1, np.uint32, name="flag")
    chain = pod.assemble("""
        .kernel chain                   // chip n counts, waits for its flag (0 does not), counts, sets that of the next
        .param  ptr flag
        .param  ptr next
        .param  u32 turns
        s.mov.b32       sreg20, %chip
        s.mov.b32       sreg21, 0
        s.cmp.eq.u32    scc, sreg20, 0
        s.cbr.nz        scc, count
again:  smem.ld.b32     sreg22, [0x0] @flag
        s.wait          sldcnt(0)
        s.cbr.az        sreg22, again
count:  s.add.i32       sreg21, sreg21, 1
        s.cmp.lt.u32    scc, sreg21, turns
        s.cbr.nz        scc, count
        s.mov.b32       sreg23, 1
        smem.st.b32     sreg23, [0x0] @next
        simt.exit
    """)["chain"]
    chain[1, 32](flags, PerChip([flags[1], flags[2], flags[0]]), 1_000_000)
    np.testing.assert_array_equal(flags.copy_to_host(), np.ones((3, 1)))


FAR = """
        .kernel far                     // chip 0 loads from far away and then sets the flag that all others poll
        .param  ptr flag
        .param  ptr far
        s.mov.b32       sreg20, %chip
        s.cmp.ne.u32    scc, sreg20, 0
        s.cbr.nz        scc, again
        smem.ld.b32     sreg21, [0x0] @far
        s.wait          sldcnt(0)
        s.add.i32       sreg21, sreg21, 1
        smem.st.b32     sreg21, [0x0] @flag
        simt.exit
again:  smem.ld.b32     sreg22, [0x0] @flag
        s.wait          sldcnt(0)
        s.cbr.az        sreg22, again
        simt.exit
"""


def test_a_wait_for_an_answer_that_takes_long_is_no_deadlock(monkeypatch):
    """Chip 0 waits for the far end of a chain, and stands still while all others go round in circles."""
    monkeypatch.setattr(livelock, "PATIENCE", 3)
    monkeypatch.setattr(livelock, "PATIENCE_WINDOWS", 1)
    rows = [(chip, chip + 1, 1) for chip in range(7)]
    pod = Pod(chips=8, topology=m890.Topology.joined("chain", m890.profile("M890"), 8, rows))
    pod.enable_peer_access()
    flags = pod.symmetric(1, np.uint32, name="flag")
    flags.fill(0)
    pod.assemble(FAR)["far"][1, 32](flags[0], flags[7])
    assert flags[0].copy_to_host() == 1


def test_a_chip_that_multiplies_for_long_is_no_deadlock(monkeypatch):
    """It stands still for thousands of windows after each of its instructions."""
    monkeypatch.setattr(livelock, "PATIENCE", 3)
    monkeypatch.setattr(livelock, "PATIENCE_WINDOWS", 1)
    slow = m890.profile("M890").override("slow", {"matrix_peak_f16": 1e9}, "test")
    pod = Pod(slow, chips=2, quantum=1)
    stream = pod.chips[0].stream()
    begin = stream.record()
    mma = pod.assemble(
        ".kernel k\n" + 4 * "v.mma.f32.f16.m16n16k16 vreg[16:23], vreg[0:3], vreg[4:7], vreg[16:23]\n" + "simt.exit\n"
    )
    mma["k"].on(0)[1, 32, stream]()
    end = stream.record()
    stream.synchronize()
    assert begin.elapsed(end) > 4 * 2 * 16**3 / 1e9


def test_ctrl_c_ends_a_pod_that_goes_on_afterwards():
    timer, begun = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]), []

    def printed(text):
        begun.append(text)
        if len(begun) == 2:
            timer.start()

    pod = Pod(chips=2, threads=2, console=m890.Console(printed))
    text = LOOP.replace("\n", "\n        s.print on\n", 1) + '.data\non: .asciz "on"\n'
    loop = pod.assemble(text)["loop"]
    with pytest.raises(KeyboardInterrupt) as caught:
        loop[1, 32]()
    timer.join()
    assert {place.chip for place in caught.value.places} == {0, 1}
    x = pod.symmetric(64, np.uint32)
    pod.assemble(STORE)["store"][1, 64](x, 0)
    np.testing.assert_array_equal(x.copy_to_host(), expected(2))


def test_a_link_that_is_dead_is_a_fault_and_the_pod_goes_on():
    fault = m890.LinkFault(tail=0, head=1, dead=-1)
    pod = Pod(chips=2, topology=m890.Topology.full(m890.profile("M890"), 2), faults=[fault])
    pod.enable_peer_access()
    x = pod.symmetric(64, np.uint32)
    store = pod.assemble(STORE)["store"]
    with pytest.raises(Fault) as caught:
        store[1, 64](PerChip([x[1], x[0]]), 0)
    assert caught.value.code == 4224
    store[1, 64](x, 0)
    np.testing.assert_array_equal(x.copy_to_host(), expected(2))


def test_observers_see_the_instructions_of_all_chips():
    class Seen:
        def __init__(self):
            self.chips = []

        def executed(self, batch):
            self.chips += [batch.chip] * len(batch.events)

    seen = Seen()
    pod = Pod(chips=2, threads=2, observers=[seen])
    executed = pod.assemble(STORE)["store"][1, 64](pod.symmetric(64, np.uint32), 0)
    assert seen.chips == [0] * executed[0] + [1] * executed[1]


def test_what_chips_print_stands_in_the_order_of_chips():
    texts = []
    pod = Pod(chips=3, threads=2, console=m890.Console(texts.append))
    pod.assemble("""
        .data
line:   .asciz  "chip %d\\n"
        .text
        .kernel hello
        s.mov.b32       sreg20, %chip
        s.print         line, sreg[20:20]
        simt.exit
    """)["hello"][1, 32]()
    assert "".join(texts) == "chip 0\nchip 1\nchip 2\n"


def test_a_pod_within_itself_is_refused():
    pod = Pod(chips=2, console=m890.Console(lambda text: store[1, 64](x, 0)))
    x = pod.symmetric(64, np.uint32)
    store = pod.assemble(STORE)["store"]
    source = '.data\nline: .asciz "%d"\n.text\n.kernel hello\ns.print line, sreg[2:2]\nsimt.exit\n'
    hello = pod.assemble(source)["hello"]
    with pytest.raises(LaunchError, match="runs already"):
        hello[1, 32]()
    store[1, 64](x, 5)
    np.testing.assert_array_equal(x.copy_to_host(), expected(2, 5))


def test_bad_pods_and_launches_are_refused():
    with pytest.raises(ValueError, match="a pod has 1 to 128 chips, not 0"):
        Pod(chips=0)
    with pytest.raises(ValueError, match="1 to 128 chips, not 129"):
        Pod(chips=129)
    with pytest.raises(ValueError, match="threads is a whole number from 1, not 0"):
        Pod(chips=1, threads=0)
    pod = Pod(chips=2)
    store = pod.assemble(STORE)["store"]
    with pytest.raises(LaunchError, match="has 3 values, the pod 2 chips"):
        store[1, 32](PerChip([1, 2, 3]), 0)
    for chip in (2, -1):
        with pytest.raises(LaunchError, match=f"there is no chip {chip}: this pod has 2"):
            store.on(chip)
    with pytest.raises(LaunchError, match=r"pod.stream\(\)"):
        store[1, 32, pod.chips[0].stream()](pod.symmetric(32, np.uint32), 0)
    x, (first, second) = pod.symmetric(32, np.uint32), pod.stream()
    for streams in (Pod(chips=2).stream(), PerChip([first, first]), PerChip([first, 1])):
        with pytest.raises(LaunchError, match="is no stream of it"):
            store[1, 32, streams](x, 0)
    assert not first.tasks
    store[1, 32, PerChip([first, second])](x, 0)
    with pytest.raises(LaunchError, match="another Chip"):
        store[1, 32](m890.Chip().empty(32, np.uint32), 0)


def waits_for_one_that_counts(look):
    """Two blocks of chip 0 look for what chip 1 stores when it has counted: modelled picoseconds, instructions."""
    pod = Pod(chips=2)
    pod.enable_peer_access()
    flags = pod.symmetric(1, np.uint32, name="flag")
    flags.fill(0)
    source = SIGNAL.replace("again:  smem", f"again:  {look}\n        smem").replace(
        "s.mov.b32       sreg21, 1",
        """s.mov.b32       sreg21, 0
count:  s.add.i32       sreg21, sreg21, 1
        s.cmp.lt.u32    scc, sreg21, 100000
        s.cbr.nz        scc, count""",
    )
    signal, streams = pod.assemble(source)["signal"], pod.stream()
    begin = streams[0].record()
    signal.on(0)[2, 64, streams[0]](flags[0])
    signal.on(1)[1, 32, streams[1]](flags[0])
    end = streams[0].record()
    pod.synchronize()
    return end.picoseconds - begin.picoseconds, int(pod.chips[0].clocks.sum()), pod.meeting.quantum_ps


def test_sleep_lets_the_rest_of_a_quantum_pass_and_changes_no_time():
    time, few, quantum = waits_for_one_that_counts("s.sleep 100")
    other, many, _ = waits_for_one_that_counts("s.nop")
    assert abs(time - other) <= quantum
    assert 10 * few < many


FORGOTTEN = """
        .kernel swap                    // each chip sets the other's flag, and waits for its own
        .param  ptr flag
        .param  ptr theirs
        s.cmp.eq.u32    scc, %chip, 2
        s.cbr.nz        scc, end
        s.mov.b32       sreg21, 1
        smem.st.b32     sreg21, [0x0] @theirs
        WAIT
again:  smem.ld.b32     sreg22, [0x0] @flag
        s.wait          sldcnt(0)
        s.cbr.az        sreg22, again
end:    simt.exit
"""


def test_a_store_that_nobody_has_completed_is_named(monkeypatch):
    monkeypatch.setattr(livelock, "PATIENCE_WINDOWS", 100)
    monkeypatch.setattr(livelock, "PATIENCE", 1 << 16)
    pod = Pod(chips=3, timing="late")
    pod.enable_peer_access()
    flag = pod.symmetric(1, np.uint32, name="flag")
    flag.fill(0)
    theirs = PerChip([flag[1], flag[0], flag[2]])
    with pytest.raises(Deadlock) as caught:
        pod.assemble(FORGOTTEN.replace("WAIT", ""), "put.s")["swap"][1, 32](flag, theirs)
    assert [place.waits_for for place in caught.value.places] == [
        f"a change of 'flag' (4 bytes at {flag[1 - other].address:#x}) that cannot come (it loops, with 1 store to "
        f"'flag' of chip {other} outstanding (put.s:8), finds 0x0 at byte 0 of 'flag')"
        for other in (1, 0)
    ]
    assert "before the loop, or store with .release" in caught.value.hint
    assert "s.wait sstcnt(0)" in caught.value.hint
    assert caught.value.hint.endswith("; on chip 2 the kernel has ended")
    flag.fill(0)
    pod.assemble(FORGOTTEN.replace("WAIT", "s.wait sstcnt(0)"))["swap"][1, 32](flag, theirs)
    flag.fill(0)
    waits = pod.assemble(FORGOTTEN.replace("WAIT", "s.wait sstcnt(0)"))["swap"]
    with pytest.raises(Deadlock) as caught:  # nobody sets that of chip 0, and nothing is outstanding
        waits[1, 32](flag, PerChip([flag[1]] * 3))
    assert "outstanding" not in str(caught.value)
    assert "a wait for what nobody writes" in caught.value.hint


@pytest.mark.parametrize(
    ("failure", "text", "code"),
    [
        (Interrupted(()), "rank 1 of 2: Interrupted: interrupted", 130),
        (KeyboardInterrupt(), "rank 1 of 2: KeyboardInterrupt", 130),
        (LaunchError("no"), "rank 1 of 2: LaunchError: no", 3),
    ],
)
def test_a_rank_that_ends_alone_says_once_why(failure, text, code, capsys):
    class Ranks:
        rank, ranks = 1, 2

        def abort(self, code):
            self.code = code

    ranks = Ranks()
    _end_all(ranks, failure)
    assert capsys.readouterr().err == f"m890: error: {text}\n"
    assert ranks.code == code
