"""`m890 run` of a kernel: results, their files, JSON, faults and limits."""

import json
import re
from pathlib import Path

import numpy as np
from command_line import m890
from saxpy_folder import ARGS, RUN, SAXPY, X
from saxpy_folder import folder as folder

from m890.isa import ISA

ONE_WARP = ["run", "k.s", "--grid", "1", "--block", "32"]


def test_a_run_saves_what_the_kernel_computed():
    result = m890(*RUN, "--out", "y.npy=y.npy", code=2)
    assert "no buffer is called 'y.npy'" in result.stderr
    result = m890(*RUN, "--out", "y=y.npy")
    assert re.fullmatch(r"saxpy  grid 4  block 256  448 instructions  \d+\.\d{3} s\n", result.stdout)
    assert result.stderr.endswith("m890: saved y to y.npy\n")
    assert np.array_equal(np.load("y.npy"), 2 * X + 1)


def test_a_buffer_of_binary64_is_doubted():
    """What np.save makes of numpy's usual floats."""
    np.save("wide.npy", X.astype(np.float64))
    wide = [part.replace("x.npy", "wide.npy") for part in RUN]
    assert wide != RUN
    assert "m890: buffer 'x' is of type f64, with which no instruction computes" in m890(*wide).stderr
    assert "f64" not in m890(*RUN).stderr


def test_an_object_runs_like_its_source():
    m890("asm", "saxpy.s", "-o", "saxpy.hgbin")
    m890("run", "saxpy.hgbin", *ARGS, "--arg", "y=zeros:f32:1000", "--out", "y=y.npy")
    assert np.array_equal(np.load("y.npy"), 2 * X)


def test_json_is_the_whole_of_stdout():
    result = json.loads(m890(*RUN, "--json", "--fidelity").stdout)
    assert result["passed"] is True
    assert result["profile"] == "M890"
    assert result["fidelity"] == []
    (launch,) = result["launches"]
    assert launch.pop("seconds") >= 0
    assert launch.pop("compile_seconds") >= 0
    assert launch == {"kernel": "saxpy", "grid": [4, 1, 1], "block": [256, 1, 1], "tsm": 0, "instructions": 448}


def test_fidelity_lists_the_defined_instructions():
    name = next(i.mnemonic for i in ISA if i.mnemonic.startswith("v.sub.f32") and i.tag == "defined")
    Path("saxpy.s").write_text(SAXPY.replace("v.fma.f32.rtte  vreg2, vreg1, a, vreg2", f"{name} vreg2, vreg1, vreg2"))
    shown = m890(*RUN, "--fidelity").stdout
    assert f"  {name}  1 in saxpy  " in shown
    assert "\n1 instruction in use whose meaning is defined by this project:\n" in shown
    assert "no source" not in shown
    (entry,) = json.loads(m890(*RUN, "--fidelity", "--json").stdout)["fidelity"]
    assert entry["mnemonic"] == name


def test_a_fault_is_exit_code_1_with_its_fields_as_json():
    result = m890(*RUN[:-1], "y=zeros:f32:990", "--json", "--out", "y=y.npy", code=1)
    error = json.loads(result.stdout)["error"]
    assert (error["kind"], error["code"], error["block"], error["warp"], error["lanes"]) == (
        "Fault",
        11,
        [3, 0, 0],
        6,
        [30, 31],
    )
    assert error["source"]["line"] == 15
    assert "right past the end of 'y'" in error["text"]
    assert "right past the end of 'y'" in result.stderr
    assert not Path("y.npy").exists()


def test_a_limit_is_exit_code_5():
    assert "raise --limit" in m890(*RUN, "--limit", "100", code=5).stderr
    Path("loop.s").write_text(".kernel k\ns.mov.b32 sreg20, 0x0\nagain: s.add.i32 sreg20, sreg20, 0x1\ns.cbr again\n")
    result = m890("run", "loop.s", "--grid", "1", "--block", "1", "--time-limit", "0.2", code=5)
    assert "limit of 0.2 seconds" in result.stderr


def test_tsm_of_a_result_is_the_kernels_own_and_the_launchs():
    Path("k.s").write_text(".kernel k\n.tsm 64\nsimt.exit\n")
    result = json.loads(m890("run", "k.s", "--grid", "1", "--block", "1", "--tsm", "32", "--json").stdout)
    assert result["launches"][0]["tsm"] == 96


def test_a_profile_of_ones_own():
    Path("mine.toml").write_text('base = "M890"\ncompute_units = 2\n')
    assert json.loads(m890(*RUN, "--chip", "mine.toml", "--json").stdout)["profile"] == "mine"
    Path("mine.toml").write_text('base = "M890"\ncompute_unit = 2\n')
    assert "did you mean 'compute_units'?" in m890(*RUN, "--chip", "mine.toml", code=3).stderr


def test_defines_and_includes_reach_the_assembler(folder: Path):
    (folder / "inc").mkdir()
    (folder / "inc" / "value.inc").write_text(".equ VALUE, BASE + 1\n")
    Path("k.s").write_text(
        '.include "value.inc"\n.kernel k\n.param ptr y\nv.mov.b32 vreg0, %laneid\nv.mov.b32 vreg1, VALUE\n'
        "vmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @y\nsimt.exit\n"
    )
    m890(*ONE_WARP, "-I", "inc", "-D", "BASE=41", "--arg", "y=zeros:u32:32", "--out", "y=y.npy")
    assert np.load("y.npy").tolist() == [42] * 32


def test_array_parameters_and_shared_buffers():
    Path("k.s").write_text(
        ".kernel k\n.param u32 w[3]\n.param ptr x\n.param ptr y\n"
        "smem.ld.b32 sreg20, [w + 8] @sreg[4:5]\ns.wait sldcnt(0)\n"
        "v.mov.b32 vreg0, %laneid\nv.mov.b32 vreg1, sreg20\nvmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @y\nsimt.exit\n"
    )
    arguments = [*ONE_WARP, "--arg", "x=zeros:u32:32", "--arg", "y=x", "--out", "x=x2.npy"]
    m890(*arguments, "--arg", "w=1,2,0x30")
    assert np.load("x2.npy").tolist() == [0x30] * 32
    assert "takes 3 numbers, u32; 2 given" in " ".join(m890(*arguments, "--arg", "w=1,2", code=2).stderr.split())
