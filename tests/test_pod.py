"""Pods: memory, launches, streams and copies on several chips, and what happens when one of them fails."""

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import m890
from m890 import Deadlock, Event, Fault, LaunchError, Limits, PerChip, Pod, Timeout
from m890.emulator import livelock
from m890.emulator.hbm import WINDOW_BITS

STORE = """
        .kernel store
        .param  ptr to
        .param  u32 more
        v.mov.b32       vreg0, %tid.x
        s.mov.b32       sreg20, %chip
        s.shll.b32      sreg20, sreg20, 8
        s.add.i32       sreg20, sreg20, more
        v.add.i32       vreg1, vreg0, sreg20
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @to
        simt.exit
"""
LOAD = """
        .kernel load
        .param  ptr from
        .param  ptr to
        v.mov.b32       vreg0, %tid.x
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @from
        s.wait          vldcnt(0)
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @to
        simt.exit
"""
SIGNAL = """
        .kernel signal                  // chip 0 waits for the flag that chip 1 sets
        .param  ptr flag
        s.mov.b32       sreg20, %chip
        s.cmp.eq.u32    scc, sreg20, 0
        s.cbr.nz        scc, again
        s.mov.b32       sreg21, 1
        smem.st.b32     sreg21, [0x0] @flag
        simt.exit
again:  smem.ld.b32     sreg22, [0x0] @flag
        s.wait          sldcnt(0)
        s.cbr.az        sreg22, again
        simt.exit
"""
LOOP = ".kernel loop\nagain: s.add.i32 sreg20, sreg20, 1\ns.cbr again\n"


def expected(chips, more=0, threads=64):
    return np.arange(threads) + 256 * np.arange(chips)[:, None] + more


def test_a_launch_on_all_chips_gives_each_its_own():
    pod = Pod(chips=3)
    x = pod.symmetric(64, np.uint32, name="x")
    executed = pod.assemble(STORE)["store"][1, 64](x, PerChip([0, 7, 9]))
    np.testing.assert_array_equal(x.copy_to_host(), expected(3, np.array([[0], [7], [9]])))
    assert list(executed) == [14, 14, 14]
    assert pod.time > 0


def test_symmetric_buffers_are_at_one_offset():
    pod = Pod(chips=4)
    pod.chips[2].empty(1000, np.uint8)  # the heaps are no longer alike
    x = pod.symmetric((3, 5), np.float32)
    assert {buffer.address - x[0].address - (chip << WINDOW_BITS) for chip, buffer in enumerate(x)} == {0}
    x.copy_from_host(np.arange(60).reshape(4, 3, 5).astype(np.float32))
    np.testing.assert_array_equal(x[3].copy_to_host(), np.arange(45, 60).reshape(3, 5))
    x.free()
    assert all(buffer.freed for buffer in x)
    with pytest.raises(m890.MemoryLimit, match="every chip"):
        pod.symmetric(1 << 40, np.uint8)


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_chips_store_to_and_load_from_their_neighbours(timing):
    pod = Pod(chips=4, timing=timing)
    pod.enable_peer_access()
    x, y = pod.symmetric(64, np.uint32, name="x"), pod.symmetric(64, np.uint32, name="y")
    right = PerChip([x[(chip + 1) % 4] for chip in range(4)])
    pod.assemble(STORE)["store"][1, 64](right, 5)
    np.testing.assert_array_equal(x.copy_to_host(), np.roll(expected(4, 5), 1, axis=0))
    pod.assemble(LOAD)["load"][1, 64](right, y)
    np.testing.assert_array_equal(y.copy_to_host(), expected(4, 5))
    user = [chip.transmitted_user_bytes for chip in pod.icn.counters().chips]
    assert user == [2 * 256] * 4  # stored to the right, given to the left


def test_without_peer_access_an_access_is_a_fault_that_names_both_chips():
    pod = Pod(chips=3)
    x = pod.symmetric(64, np.uint32, name="x")
    load = pod.assemble(LOAD)["load"]
    pod.enable_peer_access(0, 1)
    load.on(0)[1, 64](x[1], x[0])
    for chip, other in ((1, 0), (0, 2)):
        with pytest.raises(Fault, match=f"chip {other}") as caught:
            load.on(chip)[1, 64](x[other], x[chip])
        assert (caught.value.code, caught.value.chip) == (17, chip)
    pod.disable_peer_access()
    with pytest.raises(Fault):
        load.on(0)[1, 64](x[1], x[0])
    with pytest.raises(ValueError, match="no chip 3"):
        pod.enable_peer_access(3, 0)


def test_what_a_peer_has_allocated_and_freed_since_is_known():
    pod = Pod(chips=2)
    pod.enable_peer_access()
    store = pod.assemble(STORE)["store"].on(0)
    first = pod.chips[1].empty(64, np.uint32, name="first")
    store[1, 64](first, 1)
    second = pod.chips[1].empty(64, np.uint32, name="second")
    store[1, 64](second, 2)
    np.testing.assert_array_equal(second.copy_to_host(), np.arange(64) + 2)
    address = first.address
    first.free()
    with pytest.raises(Fault, match="inside freed allocation 'first'"):
        store[1, 64](address, 3)
    pod.disable_peer_access(0, 1)
    with pytest.raises(Fault, match="no peer access"):
        store[1, 64](second, 4)


def test_a_flag_stored_by_another_chip_is_seen():
    pod = Pod(chips=2)
    pod.enable_peer_access()
    flag = pod.symmetric(1, np.uint32)
    pod.assemble(SIGNAL)["signal"][1, 32](flag[0])
    assert flag[0].copy_to_host() == 1


def test_a_pod_of_128_chips_costs_next_to_nothing():
    """And each chip reaches the last gigabyte of its memory."""
    source = """
import resource, time
import numpy as np
from m890 import Buffer, PerChip, Pod
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
Pod(chips=2).assemble(".kernel k\\nsimt.exit\\n")["k"][1, 32]()  # what is loaded once
start = time.perf_counter()
pod = Pod(chips=128)
seconds, used = time.perf_counter() - start, resident()
at = pod.profile.hbm_bytes - (1 << 29)
x = PerChip([Buffer.allocate(chip.hbm, 1 << 14, np.uint32, name="x", at=at) for chip in pod.chips])
y = PerChip([Buffer.allocate(chip.hbm, 1 << 14, np.uint32, name="y", at=at + (1 << 20)) for chip in pod.chips])
kernels = pod.assemble('''
        .kernel fill
        .param  ptr x
        .param  ptr y
        v.mov.b32       vreg0, %tid.x
        s.mov.b32       sreg20, %blkid.x
        s.shll.b32      sreg20, sreg20, 10
        v.add.i32       vreg0, vreg0, sreg20
        s.mov.b32       sreg21, %chip
        v.add.i32       vreg1, vreg0, sreg21
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        s.wait          vstcnt(0)
        vmem.ld.b32     vreg2, [0x0 + vreg0 * 0x4] @x
        s.wait          vldcnt(0)
        vmem.st.b32     vreg2, [0x0 + vreg0 * 0x4] @y
        simt.exit
''')
kernels["fill"][16, 1024](x, y)
for chip in range(128):
    np.testing.assert_array_equal(y[chip].copy_to_host(), np.arange(1 << 14) + chip)
print(seconds, used)
"""
    found = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    seconds, resident = found.stdout.split()
    assert float(seconds) < 1
    assert int(resident) < 300_000_000


# Streams, events, copies.


def test_a_stream_does_one_thing_after_the_other_and_streams_wait_for_events():
    pod = Pod(chips=2)
    a, b = (chip.stream() for chip in pod.chips)
    x, y = (chip.empty(64, np.uint32) for chip in pod.chips)
    back = np.zeros(64, np.uint32)
    store = pod.assemble(STORE)["store"]
    begin = a.record()
    store.on(0)[1, 64, a](x, 11)
    done = a.record(Event("stored"))
    b.wait(done)
    b.copy(y, x)
    b.copy(back, y)
    end = b.record()
    assert not done.recorded
    assert not back.any()
    with pytest.raises(ValueError, match="synchronize first"):
        done.time  # noqa: B018
    end.synchronize()
    np.testing.assert_array_equal(back, np.arange(64) + 11)
    assert 0 < begin.elapsed(done) < begin.elapsed(end) <= pod.time
    assert begin.elapsed(done) > pod.profile.launch_overhead


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 1_000_000])
def test_copies_move_every_byte_each_way(size):
    pod = Pod(chips=3)
    source = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    target = np.zeros(size, np.uint8)
    first, second = (pod.chips[chip].empty(size, np.uint8) for chip in (0, 2))
    local = pod.chips[2].empty(size, np.uint8)
    stream = pod.chips[0].stream()
    for to, of in ((first, source), (second, first), (local, second), (target, local)):
        stream.copy(to, of)
    stream.synchronize()
    np.testing.assert_array_equal(target, source)
    counted = pod.icn.counters().chips
    assert (counted[0].transmitted_user_bytes, counted[2].received_user_bytes) == (size, size)


def test_copies_of_rows():
    pod = Pod(chips=2)
    image = np.arange(40 * 50, dtype=np.uint8).reshape(40, 50)
    here, there = pod.chips[0].to_device(image), pod.chips[1].to_device(np.zeros((20, 30), np.uint8))
    back = np.zeros((20, 30), np.uint8)
    stream = pod.chips[1].stream()
    stream.copy_2d(there, 30, here, 50, width=17, rows=20)
    stream.copy_2d(back, 30, there, 30, width=17, rows=20)
    stream.synchronize()
    np.testing.assert_array_equal(back[:, :17], image[:20, :17])
    assert not back[:, 17:].any()


@pytest.mark.parametrize(("kind", "peer"), [("M890", 1), ("810E", 3), ("810E", 1)])
@pytest.mark.parametrize("way", ["read", "write"])
def test_a_copy_takes_as_long_as_its_links(kind, peer, way):
    pod = Pod(kind, chips=4)
    links = pod.icn.topology.path(0, peer)[0].count
    size = 64 << 20
    a, b = (pod.chips[chip].empty(size, np.uint8) for chip in (0, peer))
    stream = pod.chips[0].stream()  # the chip whose engine it is: it writes to the other, or reads from there
    begin = stream.record()
    stream.copy(*((b, a) if way == "write" else (a, b)))
    end = stream.record()
    stream.synchronize()
    measured = dict(getattr(pod.profile, f"icn_{way}_by_links"))[links]
    assert size / begin.elapsed(end) == pytest.approx(measured, rel=0.04 if kind == "M890" else 0.01)


PLACES = st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 5))  # chip or host (3), offset, more pitch


@given(
    moves=st.lists(
        st.tuples(PLACES, PLACES, st.integers(0, 9), st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=12
    ),
    seed=st.integers(0, 3),
)
@settings(deadline=None, max_examples=30)
def test_copies_in_an_order_that_events_keep_do_what_numpy_does(moves, seed):
    """Rows between three chips and the host, by streams of any chip, each behind the one before it."""
    pod = Pod(chips=3, seed=seed)
    rng = np.random.default_rng(0)
    model = [rng.integers(0, 256, 96, np.uint8) for _ in range(4)]
    things = [*(chip.to_device(array) for chip, array in zip(pod.chips, model, strict=False)), model[3].copy()]
    streams = [chip.stream() for chip in pod.chips]
    before = None
    for (to, at, more), (of, start, gap), width, rows, chip in moves:
        if to == of:  # they may overlap; and from host to host is for numpy
            continue
        rows = min(rows, 1 + (96 - at - width) // max(1, width + more), 1 + (96 - start - width) // max(1, width + gap))
        target, source = things[to][at:], things[of][start:]
        stream = streams[chip]
        if before is not None:
            stream.wait(before)
        stream.copy_2d(target, width + more, source, width + gap, width, rows)
        before = stream.record()
        for row in range(rows):
            here, there = at + row * (width + more), start + row * (width + gap)
            model[to][here : here + width] = model[of][there : there + width]
    pod.synchronize()
    for thing, array in zip(things, model, strict=True):
        np.testing.assert_array_equal(np.asarray(thing), array)


def test_what_cannot_be_copied_is_refused():
    pod, other = Pod(chips=1), Pod(chips=1)
    stream = pod.chips[0].stream()
    x = pod.chips[0].empty(10, np.uint8)
    with pytest.raises(LaunchError, match="no chip of this pod"):
        stream.copy(other.chips[0].empty(10, np.uint8), x)
    with pytest.raises(LaunchError, match="target has 10 bytes, the source 9"):
        stream.copy(x, np.zeros(9, np.uint8))
    with pytest.raises(LaunchError, match="numpy array, not list"):
        stream.copy(x, [1, 2])
    with pytest.raises(LaunchError, match="contiguous"):
        stream.copy(np.zeros(20, np.uint8)[::2], x)
    with pytest.raises(LaunchError, match="both sides are on the host"):
        stream.copy(np.zeros(9, np.uint8), np.zeros(9, np.uint8))
    with pytest.raises(LaunchError, match="fit"):
        stream.copy_2d(x, 6, x, 6, 5, 2)
    with pytest.raises(LaunchError, match="cannot begin every"):
        stream.copy_2d(x, 2, x, 2, 5, 2)
    x.free()
    with pytest.raises(LaunchError, match="freed"):
        stream.copy(x, np.zeros(10, np.uint8))
    with pytest.raises(LaunchError, match="streams belong to"):
        m890.Chip().stream()


def test_kernels_of_two_streams_of_a_chip_run_one_at_a_time():
    pod = Pod(chips=1)
    chip = pod.chips[0]
    x, y = chip.empty(64, np.uint32), chip.empty(64, np.uint32)
    store = chip.assemble(STORE)["store"]
    first, second = chip.stream(), chip.stream()
    assert store[1, 64, first](x, 1) == 0
    store[1, 64, second](y, 2)
    store[1, 64, second](x, 3)
    pod.synchronize()
    np.testing.assert_array_equal(x.copy_to_host(), np.arange(64) + 3)
    np.testing.assert_array_equal(y.copy_to_host(), np.arange(64) + 2)
    with pytest.raises(LaunchError, match="no stream of it"):
        store[1, 64, Pod(chips=1).chips[0].stream()](x, 1)


# Failures.


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
    with pytest.raises(Deadlock, match=r"a change of 'flag' that cannot come") as caught:  # nobody is chip 1 here
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


def test_ctrl_c_ends_a_pod_that_goes_on_afterwards():
    pod = Pod(chips=2, threads=2)
    loop = pod.assemble(LOOP)["loop"]
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
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


def test_bad_pods_and_launches_are_refused():
    with pytest.raises(ValueError, match="chips is a whole number from 1"):
        Pod(chips=0)
    with pytest.raises(ValueError, match="1 to 128 chips"):
        Pod(chips=129)
    pod = Pod(chips=2)
    store = pod.assemble(STORE)["store"]
    with pytest.raises(LaunchError, match="has 3 values, the pod 2 chips"):
        store[1, 32](PerChip([1, 2, 3]), 0)
    with pytest.raises(LaunchError, match=r"pod.stream\(\)"):
        store[1, 32, pod.chips[0].stream()](pod.symmetric(32, np.uint32), 0)
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
