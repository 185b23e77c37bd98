"""Exceptions: published codes, the text people read, and that fields survive pickling."""

import copy
import pickle
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from m890 import Chip
from m890.emulator.faults import (
    XIDS,
    Deadlock,
    Fault,
    Interrupted,
    LaunchError,
    M890Error,
    MemoryLimit,
    Source,
    Timeout,
    WarpPlace,
    ranges,
)
from m890.isa.exceptions import CODES
from m890.isa.program import MacroCall

LANES = (3, 4, 5, 6, 7, 12)
FAULT = Fault(
    code=11,
    kernel="saxpy",
    chip=2,
    cu=3,
    block=(4, 0, 0),
    warp=1,
    lanes=LANES,
    threads=tuple((32 + lane, 0, 0) for lane in LANES),
    pc=0x50,
    source=Source("saxpy.s", 14, "        vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x4] @x  "),
    instruction="vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x4] @sreg[8:9]",
    operands={"vreg0": list(range(1000, 1032)), "sreg[8:9]": 0x4000000000},
    addresses={lane: 0x4000000FA0 + 4 * lane for lane in LANES},
    detail="12 bytes past the end of 'x' (4000 bytes at 0x4000000000)",
    hint="is the tail masked off?",
)
FAULT_TEXT = """\
exception 11, Global mem out of range: kernel 'saxpy', chip 2, CU 3, block (4,0,0), warp 1, pc 0x50
  source       saxpy.s:14  vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x4] @x
  instruction  vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x4] @sreg[8:9]
  lanes        3-7,12
  threads      (35,0,0)-(39,0,0), (44,0,0)
  operands     vreg0 = 0x3eb, sreg[8:9] = 0x4000000000 (lane 3)
  addresses    lane 3 0x4000000fac, lane 4 0x4000000fb0, lane 5 0x4000000fb4, lane 6 0x4000000fb8, \
... 6 lanes, 0x4000000fac to 0x4000000fd0
  detail       12 bytes past the end of 'x' (4000 bytes at 0x4000000000)
  hint         is the tail masked off?"""

PLACES = tuple(
    WarpPlace((block, 0, 0), warp, tuple(range(32)), 0x80, Source("sum.s", 9), "block barrier 0", "sum")
    for block in range(6)
    for warp in (0, 1, 3)
)
ERRORS = [
    FAULT,
    Fault(code=0),
    Timeout(limit="seconds", value=2.5, places=PLACES),
    Deadlock(places=PLACES, hint="warp 2 has left"),
    LaunchError("block (2048,1,1) has more than 1024 threads"),
    MemoryLimit(space="host memory", limit=1 << 30, in_use=1 << 29, requested=1 << 31, hint="raise it"),
]


CALLS = (MacroCall("copy", "gemm.inc", 30), MacroCall("gemm", "gemm.s", 7))


def test_a_line_in_macros_says_who_called_them() -> None:
    source = Source("gemm.inc", 3, "  s.trap", CALLS)
    fault = Fault(code=256, kernel="k", source=source, instruction="s.trap")
    assert str(fault).splitlines()[1:4] == [
        "  source       gemm.inc:3  s.trap",
        "               in macro copy, called at gemm.inc:30",
        "               in macro gemm, called at gemm.s:7",
    ]
    place = WarpPlace((0, 0, 0), 0, (0,), 8, source, "", "k")
    for error in (Deadlock(places=(place,)), Interrupted((place,))):
        assert "pc 0x8 (gemm.inc:3 in macro copy, from gemm.s:7): block" in str(error)


def test_the_published_codes_are_all_there():
    assert list(CODES) == list(range(36))
    assert (CODES[0], CODES[9], CODES[11]) == ("Invalid instruction", "TSM out of range", "Global mem out of range")
    assert (CODES[16], CODES[23], CODES[24]) == ("KI out of range", "Invalid VA", "KI invalid PA")
    assert (CODES[29], CODES[30], CODES[35]) == (
        "KI invalid VA",
        "Hbm ECC error on page-walk",
        "Invalid RLSU ld/st address",
    )
    assert set(XIDS) == {1157, *range(3712, 3721), 4224, 4228, 4480}


def test_text_of_a_fault():
    assert str(FAULT) == FAULT_TEXT


def test_text_of_a_fault_without_a_place():
    assert str(Fault(code=4480, chip=3, detail="link 3-4 is dead")).splitlines() == [
        "XID 4480, ICN transmit retries exhausted (icn_c2c_tx): chip 3",
        "  detail       link 3-4 is dead",
    ]
    assert Fault(code=99).meaning == "unknown code"


def test_text_of_a_deadlock():
    assert str(ERRORS[3]).splitlines() == [
        "deadlock: 18 warps waiting, none of which can go on",
        "  18 warps at chip 0 kernel 'sum' pc 0x80 (sum.s:9) waiting for block barrier 0: block (0,0,0) warp 0-1,3; "
        "block (1,0,0) warp 0-1,3; block (2,0,0) warp 0-1,3; block (3,0,0) warp 0-1,3; ...",
        "  hint: warp 2 has left",
    ]


def test_text_of_a_timeout_stays_short():
    places = tuple(WarpPlace((0, 0, 0), n, (0, 2), 8 * n) for n in range(12))
    lines = str(Timeout(limit="instructions", value=10**6, places=places)).splitlines()
    assert lines[0] == "the run reached its limit of 1,000,000 instructions before the launch finished"
    assert lines[2] == "  1 warp at chip 0 pc 0x8: block (0,0,0) warp 1 lanes 0,2"
    assert lines[9:] == ["  ... and 4 further places"]


def test_text_of_a_memory_limit():
    assert str(ERRORS[5]) == "host memory: 2.0 GiB more do not fit: 512.0 MiB in use, limit 1.0 GiB; raise it"


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_fields_survive_pickling(error: M890Error, again):
    error.add_note("seen by a test")
    twin = again(error)
    assert type(twin) is type(error)
    assert twin is not error
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)
    assert twin.args == error.args


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_one_base_catches_all(error: M890Error):
    with pytest.raises(M890Error) as caught:
        raise error
    assert caught.value is error


def test_a_launch_error_is_a_value_error():
    assert isinstance(ERRORS[4], ValueError)


@given(st.sets(st.integers(0, 40)))
def test_ranges_name_each_number_once(numbers: set[int]):
    parts = [part.split("-") for part in ranges(numbers).split(",") if part]
    spans = [range(int(part[0]), int(part[-1]) + 1) for part in parts]
    assert [n for span in spans for n in span] == sorted(numbers)
    assert all(before.stop < after.start for before, after in pairwise(spans))


def test_a_buffer_without_a_name_is_called_by_its_argument() -> None:
    """A fault says which argument it is, of the launch that had it last; one with a name keeps it."""
    chip = Chip()
    load = chip.assemble("""
        .kernel load
        .param  ptr first
        .param  ptr second
        .param  u32 at
        vmem.ld.b32     vreg1, [0x0] @first
        v.mov.b32       vreg0, at
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @second
        simt.exit
    """)["load"]
    named, unnamed = chip.empty(64, name="x"), chip.empty(64)
    for buffers, text in (
        ((named, unnamed), "past the end of '#2', argument 'second' of kernel 'load' (256 bytes at"),
        ((unnamed, named), "past the end of 'x' (256 bytes at"),
        ((unnamed, unnamed[:8]), "past the end of '#2', argument 'second' of kernel 'load' (256 bytes at"),
    ):
        with pytest.raises(Fault) as caught:
            load[1, 32](*buffers, 64)
        assert text in caught.value.detail


@pytest.mark.parametrize(("base", "address"), [("c0x0", 0), ("c0x1", 1)])
def test_a_constant_is_a_number_as_a_base_too(base, address):
    """Not a pair of which the other half is whatever stands behind it."""
    with pytest.raises(Fault, match=rf"{base} = {address:#x} ") as info:
        Chip().assemble(f".kernel k\nsmem.ld.b8 sreg40, [0x0] @{base}\nsimt.exit\n")["k"][1, 32]()
    assert info.value.addresses == {0: address}


def test_a_descriptor_may_be_a_constant():
    """Its words are what the message shows, not the registers behind the constant's number."""
    copy = "vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b8 c0x1, sreg[36:39]"
    with pytest.raises(Fault, match=r"base = 0x1, stride_w = 0x0, stride_n = 0x0.* \(lane 0\)"):
        Chip().assemble(f".kernel k\n{copy}\nsimt.exit\n")["k"][1, 32]()
