"""Pods: memory and launches on several chips, and what they see of each other's memory."""

import subprocess
import sys

import numpy as np
import pytest
from pod_kernels import LOAD, SIGNAL, STORE, expected

import m890
from m890 import Fault, PerChip, Pod
from m890.emulator.machine.state import WINDOW_BITS


def test_a_launch_on_all_chips_gives_each_its_own():
    pod = Pod(chips=3)
    x = pod.symmetric(64, np.uint32, name="x")
    executed = pod.assemble(STORE)["store"][1, 64](x, PerChip([0, 7, 9]))
    np.testing.assert_array_equal(x.copy_to_host(), expected(3, np.array([[0], [7], [9]])))
    assert list(executed) == [14, 14, 14]
    assert pod.time > 0


@pytest.mark.parametrize("missing", [3, -1])
def test_a_launch_on_chips_that_are_not_there_is_refused(missing):
    pod = Pod(chips=3)
    x = pod.symmetric(64, np.uint32)
    with pytest.raises(m890.LaunchError, match=f"there is no chip {missing}: this pod has 3, from 0"):
        pod.assemble(STORE)["store"].launch(1, 64, (x, 1), chips=[0, missing])
    with pytest.raises(m890.LaunchError, match="name each once"):
        pod.assemble(STORE)["store"].launch(1, 64, (x, 1), chips=[2, 1, 2])
    assert pod.time == 0


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


def test_a_pod_of_128_chips_costs_next_to_no_memory():
    """And each chip reaches the last gigabyte of its memory."""
    source = """
import resource
import numpy as np
from m890 import Buffer, PerChip, Pod
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
Pod(chips=2).assemble(".kernel k\\nsimt.exit\\n")["k"][1, 32]()  # what is loaded once
pod = Pod(chips=128)
used = resident()
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
print(used)
"""
    found = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 300_000_000


def test_streams_meet_at_a_barrier():
    """What each chip is told behind it begins when the slowest has done what it was told before."""
    pod = Pod(chips=3)
    sizes = (1 << 10, 1 << 22, 1 << 14)
    arrays = [np.arange(size, dtype=np.uint8) for size in sizes]
    buffers = [chip.empty(size, np.uint8) for chip, size in zip(pod.chips, sizes, strict=True)]
    streams = pod.stream()
    before = []
    for stream, buffer, array in zip(streams, buffers, arrays, strict=True):
        stream.copy(buffer, array)
        before.append(stream.record())
    pod.barrier(streams)
    after = [stream.record() for stream in streams]
    pod.synchronize()
    assert len({event.picoseconds for event in before}) == 3
    assert {event.picoseconds for event in after} == {max(event.picoseconds for event in before)}
