"""Launch files of pods: buffers on one chip or on all, launches on some, checks of parts, traces."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import m890
from launchfile_runs import folder as folder
from launchfile_runs import run

COPY = """\
        .kernel copy
        .param  ptr x
        .param  ptr y
        v.mov.b32       vreg0, %tid.x
        vmem.ld.b8      vreg1, [0x0 + vreg0 * 0x1] @x
        s.wait          vldcnt(0)
        vmem.st.b8      vreg1, [0x0 + vreg0 * 0x1] @y
        simt.exit
"""
ELSEWHERE = """\
chips = 4
[buffers.x]
chip = 1
init = "arange:u8:100"
[buffers.y]
chip = 3
type = "u8"
shape = [100]
[[launch]]
object = "copy.s"
grid = 1
block = 100
chips = [2]
args = { x = "x", y = "y" }
[[check]]
buffer = "y"
expect = "arange:u8:100"
"""
RIGHT = """\
        .kernel right                   // to[i] = from[i] of the chip to the right, whose window follows
        .param  ptr from
        .param  ptr to
        v.mov.b32       vreg0, %tid.x
        s.mov.b32       sreg20, %chip
        s.add.i32       sreg20, sreg20, 1
        s.cmp.eq.u32    scc, sreg20, %nchips
        s.cbr.az        scc, near
        s.mov.b32       sreg22, 0
        s.mull.i32      sreg23, %nchips, 64     // back to the first window: (nchips << 38) below
        s.sub.i64       sreg[6:7], sreg[6:7], sreg[22:23]
near:   s.mov.b32       sreg22, 0
        s.mov.b32       sreg23, 64              // one window is 1 << 38
        s.add.i64       sreg[6:7], sreg[6:7], sreg[22:23]
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @sreg[6:7]
        s.wait          vldcnt(0)
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @to
        simt.exit
"""
POD = """\
chips = 4
threads = 2
[topology]
kind = "ring"
[buffers.x]
chip = "all"
init = "arange:f32:32"
[buffers.y]
chip = "all"
type = "f32"
shape = [32]
[[launch]]
object = "right.s"
grid = 1
block = 32
args = { from = "x", to = "y" }
[[check]]
buffer = "y"
expect = "right.npy"
[save]
y = "y.npy"
"""


@pytest.fixture
def right(folder: Path) -> np.ndarray:
    """What POD should give."""
    (folder / "job" / "right.s").write_text(RIGHT)
    expected = np.roll(np.arange(128, dtype=np.float32).reshape(4, 32), -1, axis=0)
    np.save("job/right.npy", expected)
    return expected


def test_a_launch_file_runs_a_pod(right: np.ndarray):
    assert "check y  PASS  128 elements" in run(POD).stdout
    np.testing.assert_array_equal(np.load("y.npy"), right)
    result = json.loads(run(POD, "--json").stdout)
    (launch,) = result["launches"]
    assert (launch["chips"], launch["instructions"]) == (4, 3 * 12 + 15)
    assert launch["modelled"] > 0
    assert [chip["received_user_bytes"] for chip in result["icn"]["chips"]] == [128] * 4


def test_buffers_of_flags_are_on_all_chips(right: np.ndarray):
    flags = ["--chips", "4", "--grid", "1", "--block", "32", "--arg", "from=arange:f32:32", "--arg", "to=zeros:f32:32"]
    result = m890("run", "job/right.s", *flags, "--out", "to=y.npy")
    assert "4 chips, modelled" in result.stdout
    np.testing.assert_array_equal(np.load("y.npy"), right)


def test_a_file_holds_the_parts_of_all_chips_or_what_is_the_same_for_all(right: np.ndarray):
    parts = np.arange(128, dtype=np.float32).reshape(4, 32)
    np.save("job/parts.npy", parts)
    np.save("job/same.npy", parts[0])
    shaped = POD.replace('init = "arange:f32:32"', 'shape = [32]\ninit = "same.npy"')
    run(POD.replace("arange:f32:32", "parts.npy"))
    assert "FAIL" in run(shaped, code=1).stdout
    run(shaped.replace("right.npy", "same.npy"))  # which is broadcast, too
    assert "has shape [32], not [4, ...]" in run(POD.replace("arange:f32:32", "same.npy"), code=3).stderr


def test_what_is_expected_is_looked_at_before_the_launches(right: np.ndarray):
    """A check made for 4 chips ends a run on 8, whose kernel would print, at once; shapes are said."""
    loud = RIGHT.replace("simt.exit", 's.print text\nsimt.exit\n.data\ntext: .asciz "ran"')
    Path("job/right.s").write_text(loud)
    assert "ran" in run(POD).stdout
    result = run(POD, "--chips", "8", code=3)
    assert (
        "has shape [4, 32], not [8, 32] or [32]: a buffer on 8 chips; it is made for 4 chips: --chips 4"
        in result.stderr
    )
    assert "ran" not in result.stdout
    result = run(POD.replace('"right.npy"', '"arange:f32:4x32"'), code=3)
    assert "shape given beside it: [4, 32], not [32], what each chip has" in result.stderr
    assert "ran" not in result.stdout


def test_a_check_may_look_at_one_chip(right: np.ndarray):
    np.save("job/one.npy", right)
    one = POD.replace('expect = "right.npy"', 'expect = "one.npy"\nchip = 2')
    assert "check y  PASS  32 elements" in run(one).stdout
    right[1] = 0
    np.save("job/one.npy", right)
    run(one)
    right[2] = 0
    np.save("job/one.npy", right)
    assert "FAIL" in run(one, code=1).stdout
    absent = run(one.replace("chip = 2", "chip = 4"), code=3).stderr
    assert re.search(r"job.toml:20: check\[0\].chip: chip 4: there is chip 0 to 3", absent)
    zeros = run(one.replace('"one.npy"', '"zeros"').replace("f32", "s32"), code=1)
    assert "expected 0\n" in zeros.stdout  # a whole number, as the buffer holds


def test_a_buffer_may_be_on_one_chip_and_a_launch_on_some():
    """Chip 2 copies from chip 1 to chip 3."""
    result = json.loads(run(ELSEWHERE, "--json").stdout)
    assert [chip["received_user_bytes"] for chip in result["icn"]["chips"]] == [0, 0, 100, 100]
    assert result["launches"][0]["chips"] == 1
    twice = run(ELSEWHERE.replace("chips = [2]", "chips = [2, 2]"), code=3)
    assert "launch[0]: chips [2, 2]: name each chip once" in twice.stderr


def test_a_trace_of_a_pod_says_which_chip(right: np.ndarray):
    lines = run(POD, "--trace", "-").stdout.splitlines()
    assert {line[:3] for line in lines if line.startswith("c")} == {"c0 ", "c1 ", "c2 ", "c3 ", "che"}
    lines = run(POD, "--trace", "-", "--trace-chip", "3").stdout.splitlines()
    assert len([line for line in lines if line.startswith("c3 (0,0,0) w0")]) == 15
    assert not [line for line in lines if line.startswith("c1 ")]
    assert "add --trace FILE" in run(POD, "--trace-chip", "3", code=2).stderr


def test_fidelity_of_a_pod_counts_a_kernel_once(right: np.ndarray):
    assert "  s.add.i64  1 in right" in run(POD, "--fidelity").stdout
