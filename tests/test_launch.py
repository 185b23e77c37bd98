"""Launches: what is refused with a clear error, where limits bite, and that nothing outside the kernel shows."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

from m890 import Chip, Deadlock, HostMemory, LaunchError, Limits, MemoryLimit, Pod, Timeout, assemble, programs
from m890.emulator import launch, livelock
from m890.emulator.codegen.cache import ObjectCache
from m890.emulator.decode import decode
from m890.emulator.engine import Engine
from m890.emulator.machine.state import ROW, vector_row
from m890.emulator.printing import Console

THREE = ".kernel k\ns.nop\ns.nop\nsimt.exit\n"
STORE = """
        .kernel k
        .param  ptr out
        v.mov.b32       vreg0, %laneid
        vmem.st.b32     vreg0, [0x0 + vreg0 * 0x4] @out
        simt.exit
"""
WAIT_FOR_FLAG = """
        .kernel k
        .param  ptr flag
again:  smem.ld.b32     sreg20, [0x0] @flag
        s.wait          sldcnt(0)
        s.cbr.az        sreg20, again
        simt.exit
"""


def test_a_limit_of_exactly_the_instructions_is_enough():
    kernel = Chip().assemble(THREE)["k"]
    assert kernel.launch((1, 1, 1), (32, 1, 1), (), limits=Limits(instructions=3)) == 3
    with pytest.raises(Timeout):
        kernel.launch((1, 1, 1), (32, 1, 1), (), limits=Limits(instructions=2))


@pytest.mark.parametrize(
    "configuration", [(1, 32, None, -5), (1, 32, None, 1.5), (0, 32), (1, -1), (1, 2048), ((1, 1, 1, 1), 32), (1,)]
)
def test_a_shape_that_cannot_be_is_refused(configuration):
    with pytest.raises(LaunchError):
        Chip().assemble(THREE)["k"][configuration]()


def test_a_kernel_for_one_block_refuses_others():
    kernel = Chip().assemble(THREE.replace("s.nop", ".reqntid 64, 2\ns.nop", 1))["k"]
    assert kernel[1, (64, 2)]()
    for block in (128, 64, (64, 1), (64, 4), (64, 2, 2), (2, 64)):
        with pytest.raises(LaunchError, match=r"is not its \.reqntid \(64, 2, 1\), the only one it is for"):
            kernel[1, block]()


def test_a_kernel_for_so_many_threads_refuses_more_in_whatever_extents():
    kernel = Chip().assemble(THREE.replace("s.nop", ".maxntid 64, 2\ns.nop", 1))["k"]
    for block in (128, (2, 64), (1, 1, 128), (4, 8, 4), 1):
        assert kernel[1, block]()
    for block in (129, (64, 3), (2, 65), (64, 2, 2)):
        with pytest.raises(LaunchError, match=r"threads, more than the 128 of its \.maxntid \(64, 2, 1\)"):
            kernel[1, block]()


def test_a_grid_of_more_blocks_than_can_be_counted_is_refused():
    kernel, most = Chip(limits=Limits(instructions=100)).assemble(THREE)["k"], 2**31 - 1
    with pytest.raises(Timeout):
        kernel[(most, most), 32]()
    with pytest.raises(LaunchError, match="blocks, at most 4,611,686,018,427,387,904"):
        kernel[(most, most, 2), 32]()


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("gemm_bf16", "gemm_bf16_nn"),
        ("grouped_gemm", "grouped_gemm_nt"),
        ("gemm_f4", "gemm_f4"),
        ("conv2d", "conv2d_bf16"),
        ("flash_attention", "flash_attention_paged_256"),
        ("attention", "attention_f32_64"),
    ],
)
def test_programs_that_share_work_among_four_warps_say_so(program, name):
    assert programs.module(program).kernels[name].reqntid == (128, 1, 1)


def test_occupancy_of_nothing_is_refused():
    kernel = Chip().assemble(THREE)["k"]
    assert kernel.occupancy(256)["warps"] == 8
    for block, tsm in ((0, 0), (-5, 0), (32, -1)):
        with pytest.raises(LaunchError):
            kernel.occupancy(block, tsm=tsm)


@pytest.mark.parametrize("values", [[300, 0, 0, 0], [-1, 0, 0, 0], [2.5, 0, 0, 0], [float("nan"), 0, 0, 0], ["a"] * 4])
def test_array_arguments_are_checked_like_numbers(values):
    kernel = Chip().assemble(".kernel k\n.param u8 x[4]\nsimt.exit\n")["k"]
    assert kernel[1, 32]([1, 2, 3, 255])
    with pytest.raises(LaunchError, match="'x'"):
        kernel[1, 32](values)


def test_a_number_too_large_for_f32_is_refused():
    kernel = Chip().assemble(".kernel k\n.param f32 x\nsimt.exit\n")["k"]
    with pytest.raises(LaunchError, match="too large"):
        kernel[1, 32](10**400)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"limits": 5}, "limits is a Limits, for example Limits"),
        ({"schedule": 3}, r"schedule is a Schedule, for example Schedule.seeded\(1\), not 3"),
        ({"kind": None}, "kind is a Profile, for example 'M890', not None"),
        ({"observers": [1]}, "an observer is an object with a method"),
    ],
)
def test_a_chip_of_wrong_parts_is_refused(wrong, says):
    with pytest.raises(TypeError, match=says):
        Chip(**wrong)


def test_a_buffer_of_another_chip_is_refused():
    here, there = Chip(), Chip()
    kernel = here.assemble(STORE)["k"]
    with pytest.raises(LaunchError, match="another Chip"):
        kernel[1, 32](there.empty(32))


@pytest.mark.parametrize("grid", [1, 2])
def test_a_launch_within_itself_is_refused(grid):
    """Of another shape, too: both would run the same records, which remember where the arguments are."""
    chip = Chip(limits=Limits(instructions=10_000_000))
    kernel = chip.assemble(".kernel k\nagain: s.add.i32 sreg20, sreg20, 1\ns.cbr again\n")["k"]

    def once_more(done, blocks):
        chip.progress = None
        kernel[grid, 32]()

    chip.progress = once_more
    with pytest.raises(LaunchError, match="running already"):
        kernel[1, 32]()
    with pytest.raises(Timeout):
        kernel[1, 32]()


def test_the_host_may_write_what_an_endless_launch_waits_for():
    chip = Chip()
    flag = chip.to_device(np.zeros(1, np.uint32))
    kernel = chip.assemble(WAIT_FOR_FLAG)["k"]
    with pytest.raises(Deadlock):
        kernel[1, 32](flag)

    def release():
        time.sleep(0.5)
        flag.view()[0] = 1

    host = threading.Thread(target=release)
    host.start()
    assert kernel.launch((1, 1, 1), (32, 1, 1), (flag,), limits=Limits(endless=True, seconds=300))
    host.join()


def test_the_host_memory_limit_holds_while_a_kernel_runs():
    source = """
        .kernel k
        .param  ptr out
        s.mov.b64       sreg[20:21], out
        v.mov.b32       vreg0, %laneid
again:  vmem.st.b32     vreg0, [0x0 + vreg0 * 0x4] @sreg[20:21]
        s.add.i64       sreg[20:21], sreg[20:21], 0x1000
        s.cbr           again
    """
    size = 1 << 31
    gc.collect()  # what others have left is not to make room
    chip = Chip(host_memory=HostMemory(HostMemory(None).in_use() + (256 << 20)))
    with pytest.raises(MemoryLimit):
        chip.assemble(source)["k"][1, 32](chip.empty(size, np.uint8))


def test_a_write_back_completes_what_is_outstanding():
    source = """
        .kernel k
        .param  ptr x
        .param  ptr y
        v.mov.b32       vreg0, %laneid
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        s.wait          vmem_wbinv
        v.add.i32       vreg2, vreg1, 0x1
        vmem.st.b32     vreg2, [0x0 + vreg0 * 0x4] @y
        simt.exit
    """
    chip = Chip(timing="late")
    x, y = chip.to_device(np.arange(32, dtype=np.uint32)), chip.empty(32, np.uint32)
    chip.assemble(source)["k"][1, 32](x, y)
    np.testing.assert_array_equal(y.copy_to_host(), np.arange(32) + 1)


def test_a_cooperative_launch_is_resident_or_refused():
    kernel = Chip().assemble(".kernel k\n.tsm 131072\nsimt.exit\n")["k"]
    assert kernel.launch(78, (32, 1), (), cooperative=True) == 78  # two on each of 39 compute units
    with pytest.raises(LaunchError, match="78 of 79 fit"):
        kernel.launch((79, 1, 1), (32, 1, 1), (), cooperative=True)


HANDSHAKE = """
        .kernel k
        .param  ptr turn                        // the blocks take turns at it, 100 times each
        v.mov.b32       vreg0, 0
        s.mov.b32       sreg40, %blkid.x
wait:   vmem.ld.b32.acquire.gpu vreg1, [0x0] @turn
        s.wait          vldcnt(0)
        v.mov.v2s       sreg41, vreg1, 0
        s.cmp.eq.u32    scc, sreg41, sreg40
        s.cbr.nz        scc, mine
        s.sleep         100
        s.cbr           wait
mine:   v.add.i32       vreg1, vreg1, 1
        vmem.st.b32.release.gpu vreg1, [0x0] @turn
        s.add.i32       sreg40, sreg40, 2
        s.cmp.lt.u32    scc, sreg40, 200
        s.cbr.nz        scc, wait
        simt.exit
"""


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_who_sleeps_lets_other_blocks_run(timing):
    chip = Chip(timing=timing)
    turn = chip.to_device(np.zeros(1, np.uint32))
    executed = chip.assemble(HANDSHAKE)["k"].launch(2, 32, (turn,), cooperative=True)
    assert turn.copy_to_host()[0] == 200
    assert executed < 4_000


TURNS = """
        .kernel k
        .param  ptr out
        v.mov.b32       vreg0, %laneid
        s.mov.b32       sreg40, 0
        v.cmp.lt.u32    sreg41, vreg0, 16
        simt.rcbr.n     sreg41, other
again:  s.add.i32       sreg40, sreg40, 1
        s.xor.b32       sreg43, sreg40, 3
        s.cbr.az        sreg44, again
        simt.exit
other:  smem.st.b32     sreg40, [0x0] @out
        s.mov.b32       sreg44, 1
        simt.exit
"""


def test_compiling_on_the_way_changes_no_turn(tmp_path):
    """The turns of paths are counted in instructions, whether or not a handler had to be compiled."""
    found = []
    for name in ("a", "a", "b"):
        chip = Chip()
        chip.engine = Engine(ObjectCache(tmp_path / name))
        out = chip.empty(1, np.uint32)
        chip.assemble(TURNS)["k"][1, 32](out)
        found.append(int(out.copy_to_host()[0]))
    assert found[0] > 0
    assert len(set(found)) == 1


class Count:
    """An observer that counts."""

    def __init__(self) -> None:
        self.events = 0

    def executed(self, batch):
        self.events += len(batch.events)


ENDLESS = ".kernel k\nb: s.add.i32 sreg20, sreg20, 1\ns.cbr b\n"
PRINTING = '.data\nx: .asciz "x"\n.kernel k\nb: s.print x\ns.cbr b\n'


@pytest.mark.parametrize("source", [ENDLESS, PRINTING])
@pytest.mark.parametrize("watched", [False, True])
def test_seconds_end_whatever_runs_for_ever(source, watched):
    observers = [Count()] if watched else []
    chip = Chip(observers=observers, console=Console(lambda text: None), limits=Limits(seconds=0.1))
    with pytest.raises(Timeout, match="seconds"):
        chip.assemble(source)["k"][1, 32]()


@pytest.mark.parametrize("watched", [False, True])
def test_a_loop_that_changes_nothing_is_a_deadlock(watched, monkeypatch):
    monkeypatch.setattr(livelock, "PATIENCE", 1000)
    observers = [Count()] if watched else []
    with pytest.raises(Deadlock, match="it loops"):
        Chip(observers=observers, limits=Limits(seconds=60)).assemble(".kernel k\nb: s.nop\ns.cbr b\n")["k"][1, 32]()


def test_a_loop_that_prints_is_no_deadlock_and_the_search_for_one_leaves_no_trace(monkeypatch):
    for module in (livelock, launch):
        monkeypatch.setattr(module, "STEP", 100)
    monkeypatch.setattr(livelock, "PATIENCE", 100)
    texts: list[str] = []
    count = Count()
    chip = Chip(observers=[count], console=Console(texts.append), limits=Limits(instructions=3_000))
    with pytest.raises(Timeout, match="instructions"):
        chip.assemble(PRINTING)["k"][1, 32]()
    assert len(texts) == 1_500
    assert count.events == 3_000


def test_a_kernel_is_decoded_once(monkeypatch):
    """Whatever chip it is loaded on, and however often; again if it changes, and no longer than there is the module."""
    decodings = []

    def counted(kernel, *rest):
        decodings.append(kernel.name)
        return decode(kernel, *rest)

    monkeypatch.setattr("m890.emulator.chip.decode", counted)
    module = assemble(STORE)
    alone, pod = Chip(), Pod(chips=2)
    for chip in (alone, alone, Chip()):
        with chip.empty(32, np.uint32) as x:
            chip.load(module)["k"][1, 32](x)
            assert x.copy_to_host().tolist() == list(range(32))
    assert len(decodings) == 1
    x = pod.symmetric(32, np.uint32)
    for _ in range(2):
        pod.load(module)["k"][1, 32](x)
        assert [part.copy_to_host().tolist() for part in x] == [list(range(32))] * 2
    assert len(decodings) == 1
    words = module.kernels["k"].words
    words[:] = assemble(STORE.replace("%laneid", "7")).kernels["k"].words
    with alone.empty(32, np.uint32) as x:
        alone.load(module)["k"][1, 32](x)
        assert x.copy_to_host().tolist() == [0] * 7 + [7] + [0] * 24
    assert len(decodings) == 2
    gone = weakref.ref(module)
    del module, words, pod, x
    gc.collect()
    assert gone() is None


def test_a_constant_has_all_words_of_its_operand():
    """A descriptor of 16 registers may be `c0x1`: the words behind its first are 0, not what else the kernel has."""
    source = (
        ".kernel k\nvmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b8 c0x1, sreg[36:39]\ns.add.i32 sreg40, sreg40, 7\nsimt.exit\n"
    )
    kernel = assemble(source).kernels["k"]
    program = decode(kernel, "ppu0015", Engine())
    first = (int(program.records["operand"][0, 0]) - vector_row(kernel.vregs)) // ROW
    assert program.constants[first : first + 16, 0].tolist() == [1] + 15 * [0]
    assert 7 in program.constants
