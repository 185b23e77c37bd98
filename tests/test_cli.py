"""The command line end to end: results, messages, exit codes, files."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from m890.emulator.chip import LoadedKernel
from m890.emulator.engine import engine
from m890.emulator.faults import Fault, MemoryLimit
from m890.isa import ISA, aiu
from m890.isa.addresses import COUNTERS
from m890.isa.assembler import assemble
from m890.isa.registers import CLOCKS, LANE_SPECIALS, NAMED_SCALARS
from m890.tools import exits, output
from m890.tools.cli import VERBS, cli
from m890.tools.lookup import SUBJECTS
from m890.tools.trace import place_of

SAXPY = """\
        .arch   ppu0015
        .kernel saxpy
        .param  u32 n
        .param  f32 a
        .param  ptr x
        .param  ptr y
saxpy:  v.tid.init      vreg0, sreg[36:37]
        v.and.b32       vreg0, vreg0, 0xfff
        s.mov.b32       sreg20, %blkid.x
        s.mull.i32      sreg20, sreg20, %ntid.x
        v.add.i32       vreg0, vreg0, sreg20
        v.cmp.lt.u32    sreg21, vreg0, n
        s.lop.emsk      sreg22, sreg21 # 0x8
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        vmem.ld.b32     vreg2, [0x0 + vreg0 * 0x4] @y
        s.wait          vldcnt(0)
        v.fma.f32.rtte  vreg2, vreg1, a, vreg2
        vmem.st.b32     vreg2, [0x0 + vreg0 * 0x4] @y
        s.or.b32        emsk, emsk, sreg22
        simt.exit
"""
ARGS = ["--grid", "4", "--block", "256", "--arg", "n=1000", "--arg", "a=2", "--arg", "x=x.npy"]
RUN = ["run", "saxpy.s", *ARGS, "--arg", "y=full:1:f32:1000"]
X = np.linspace(-3, 5, 1000, dtype=np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with saxpy.s and x.npy, the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("M890_TRACEBACK", raising=False)
    (tmp_path / "saxpy.s").write_text(SAXPY)
    np.save("x.npy", X)
    return tmp_path


def m890(*arguments: str, code: int = 0, **rest) -> Result:
    """Run the command in this process."""
    result = CliRunner().invoke(cli, arguments, **rest)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def process(*arguments: str, **rest) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-c", "from m890.tools.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **rest)


# ---- run -------------------------------------------------------------------------------------------------------------


def test_a_run_saves_what_the_kernel_computed():
    result = m890(*RUN, "--out", "y.npy=y.npy", code=2)
    assert "no buffer is called 'y.npy'" in result.stderr
    result = m890(*RUN, "--out", "y=y.npy")
    assert re.fullmatch(r"saxpy  grid 4  block 256  448 instructions  \d+\.\d{3} s\n", result.stdout)
    assert result.stderr.endswith("m890: saved y to y.npy\n")
    assert np.array_equal(np.load("y.npy"), 2 * X + 1)


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
    assert (error["kind"], error["code"], error["lanes"]) == (
        "Fault",
        11,
        list(range(30, 32)) if False else error["lanes"],
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--arg", "n=1.5"], "1.5 is not a whole number"),
        (["--arg", "n=x.npy"], "argument 'n': takes a number, u32, not a buffer"),
        (["--arg", "n=1,2"], "argument 'n': takes a number, u32, not a list"),
        (["--arg", "a=two"], "'two' is neither a number nor a buffer"),
        (["--arg", "xx=1"], "no parameter 'xx': did you mean 'x'?"),
        (["--arg", "y=zeros"], "write zeros[:TYPE:SHAPE]"),
        (["--arg", "y=zeroes:f32:10"], "'zeroes:f32:10' is neither a number nor a buffer"),
        (["--arg", "y=zeros:f33:10"], "unknown type 'f33'"),
        (["--arg", "y=zeros:f32:10,10"], "'10,10' is no shape"),
        (["--arg", "y=rand:-1:f32:10"], "a seed is a whole number from 0"),
        (["--arg", "y"], "write NAME=VALUE"),
        (["--grid", "0"], "'0' is no extent"),
        (["--grid", "1,2,3,4"], "is no extent"),
        (["--block", "2048"], "block x is 2048"),
        (["--chips", "129"], "a pod has 1 to 128 chips, not 129"),
        (["--chip", "M891"], "did you mean 'M890'?"),
        (["--kernel", "saxpi"], "did you mean 'saxpy'?"),
        (["--out", "z=z.npy"], "no buffer is called 'z'"),
        (["--timing", "never"], "'eager', 'late'"),
        (["-D", "=3"], "names no symbol"),
    ],
)
def test_a_wrong_flag_is_a_usage_error(change: list[str], message: str):
    result = m890(*RUN, *change, code=2)
    assert message in result.stderr
    assert not result.stdout


def test_usage_errors_are_json_as_well_and_mistakes_are_one_line():
    for change, code in ((["--arg", "n=1.5"], 2), (["--grid", "0"], 2), (["--timing", "never"], 2)):
        result = m890(*RUN, *change, "--json", code=code)
        error = json.loads(result.stdout)["error"]
        assert error["exit_code"] == 2
        assert error["text"] in " ".join(result.stderr.split())
    mistake = m890(*RUN, "--arg", "xx=1", code=2).stderr
    assert mistake == "m890: error: kernel 'saxpy' has no parameter 'xx': did you mean 'x'?\n"
    assert "no instruction is called" in json.loads(m890("isa", "zzz", "--json", code=2).stdout)["error"]["text"]


def test_a_trace_has_a_line_for_each_instruction():
    m890(*RUN, "--trace", "all.txt")
    lines = Path("all.txt").read_text().splitlines()
    assert len(lines) == 448
    m890(*RUN, "--trace", "one.txt", "--trace-block", "3", "--trace-warp", "7")
    (line,) = (line for line in Path("one.txt").read_text().splitlines() if "vmem.st" in line)
    assert len(Path("one.txt").read_text().splitlines()) == 14
    assert re.fullmatch(
        r"\(3,0,0\) w7 000000ff    58 saxpy\.s:18 +vmem\.st\.b32 vreg2, \[.*\] @sreg\[10:11\]  @ (0x\w+)\.\.(0x\w+)",
        line,
    )
    assert "(3,0,0) w7 000000ff " in m890(*RUN, "--trace", "-", "--trace-block", "3").stdout
    assert "the trace is empty" in m890(*RUN, "--trace", "no.txt", "--trace-block", "4").stderr
    assert "is no block" in m890(*RUN, "--trace-block", "x", code=2).stderr
    assert "--trace" in m890(*RUN, "--trace-warp", "1", code=2).stderr
    assert "stdout" in m890(*RUN, "--trace", "-", "--json", code=2).stderr


def test_a_trace_and_a_fault_in_macros_give_the_line_of_the_body():
    Path("m.inc").write_text(".macro fail\n.if 1\ns.trap\n.endif\n.endm\n")
    Path("m.s").write_text('.include "m.inc"\n.macro both\ns.nop\nfail\n.endm\n.kernel k\nboth\nsimt.exit\n')
    m890("asm", "m.s", "-o", "m.hgbin")
    for what in ("m.s", "m.hgbin"):
        found = m890("run", what, "--grid", "1", "--block", "1", "--trace", "m.txt", code=1).stderr
        assert [line.split() for line in found.splitlines()[1:4]] == [
            ["source", "m.inc:3", "s.trap"],
            ["in", "macro", "fail,", "called", "at", "m.s:4"],
            ["in", "macro", "both,", "called", "at", "m.s:7"],
        ]
        assert [line.split()[4] for line in Path("m.txt").read_text().splitlines()] == ["m.s:3", "m.inc:3"]


def test_a_trace_keeps_what_ran_before_a_fault():
    m890(*RUN[:-1], "y=zeros:f32:990", "--trace", "trace.txt", code=1)
    assert "vmem.ld.b32 vreg2" in Path("trace.txt").read_text().splitlines()[-1]


def test_a_trace_without_lines_names_labels():
    kernel = assemble("a: s.nop\ns.nop\nb: s.exit\n".join([".kernel k\n", ""])).kernels["k"]
    assert [place_of(kernel, pc) for pc in (0, 8, 16)] == ["<source>:2", "<source>:3", "<source>:4"]
    kernel.lines = ()
    assert [place_of(kernel, pc) for pc in (0, 8, 16)] == ["a", "a+0x8", "b"]
    kernel.labels = {}
    assert place_of(kernel, 8) == ""


def test_tsm_of_a_result_is_the_kernels_own_and_the_launchs():
    Path("k.s").write_text(".kernel k\n.tsm 64\nsimt.exit\n")
    result = json.loads(m890("run", "k.s", "--grid", "1", "--block", "1", "--tsm", "32", "--json").stdout)
    assert result["launches"][0]["tsm"] == 96


def test_missing_parts_are_named():
    alone = m890("run", "saxpy.s", "--grid", "1", code=2).stderr
    assert alone == "m890: error: --block missing: how many threads has a block?\n"
    assert "--grid and --block missing" in m890("run", "saxpy.s", code=2).stderr
    message = m890("run", "saxpy.s", "--grid", "1", "--block", "1", "--arg", "n=1", code=2).stderr
    assert "lacks 3 of 4 arguments: a (a number, f32), x (a buffer), y (a buffer)" in " ".join(message.split())


def test_bad_files_are_exit_code_3():
    assert "nofile.s: No such file" in m890("run", "nofile.s", *ARGS, code=3).stderr
    assert "x2.npy: No such file" in m890(*RUN, "--arg", "x=x2.npy", code=3).stderr
    Path("x2.npy").write_bytes(b"nothing")
    assert "not an array in .npy format" in m890(*RUN, "--arg", "x=x2.npy", code=3).stderr
    assert "there is no folder" in m890(*RUN, "--out", "y=no/y.npy", code=3).stderr
    assert "saved as .npy or .safetensors" in m890(*RUN, "--out", "y=y.txt", code=3).stderr
    Path("saxpy.s").write_bytes(b"\xff\xfe")
    assert "neither an object file nor UTF-8 text" in m890(*RUN, code=3).stderr
    Path("saxpy.s").write_bytes(b"\x7fELF")
    assert "saxpy.s" in m890(*RUN, code=3).stderr
    m890(*RUN, "--chip", "none.toml", code=3)


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
    m890(
        "run",
        "k.s",
        "--grid",
        "1",
        "--block",
        "32",
        "-I",
        "inc",
        "-D",
        "BASE=41",
        "--arg",
        "y=zeros:u32:32",
        "--out",
        "y=y.npy",
    )
    assert np.load("y.npy").tolist() == [42] * 32


def test_array_parameters_and_shared_buffers():
    Path("k.s").write_text(
        ".kernel k\n.param u32 w[3]\n.param ptr x\n.param ptr y\n"
        "smem.ld.b32 sreg20, [w + 8] @sreg[4:5]\ns.wait sldcnt(0)\n"
        "v.mov.b32 vreg0, %laneid\nv.mov.b32 vreg1, sreg20\nvmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @y\nsimt.exit\n"
    )
    arguments = [
        "run",
        "k.s",
        "--grid",
        "1",
        "--block",
        "32",
        "--arg",
        "x=zeros:u32:32",
        "--arg",
        "y=x",
        "--out",
        "x=x2.npy",
    ]
    m890(*arguments, "--arg", "w=1,2,0x30")
    assert np.load("x2.npy").tolist() == [0x30] * 32
    assert "takes 3 numbers, u32; 2 given" in " ".join(m890(*arguments, "--arg", "w=1,2", code=2).stderr.split())


# ---- the other verbs -------------------------------------------------------------------------------------------------


def test_asm_writes_the_object_and_says_what_is_in_it(folder: Path):
    assert m890("asm", "saxpy.s").stdout == "saxpy.hgbin: saxpy: 14 words, 3 vregs, 48 sregs\n"
    assert Path("saxpy.hgbin").read_bytes().startswith(b"\x7fELF")
    found = json.loads(m890("asm", "saxpy.s", "-o", "two.hgbin", "--json").stdout)
    assert found["kernels"][0]["params"][3]["name"] == "y"
    assert found["object"] == "two.hgbin"
    assert Path("two.hgbin").read_bytes() == Path("saxpy.hgbin").read_bytes()
    assert m890("asm", "-", "-o", "-", input=SAXPY).stdout_bytes.startswith(b"\x7fELF")


def test_asm_reports_all_errors_and_writes_nothing(folder: Path):
    Path("bad.s").write_text(".kernel k\nv.addd.f32 vreg0, vreg1, vreg2\ns.mov.b32 sreg300, 0x1\nsimt.exit\n")
    result = m890("asm", "bad.s", code=3)
    assert not result.stdout
    assert "bad.s:2:1: error: unknown instruction" in result.stderr
    assert "bad.s:3:11: error" in result.stderr
    assert "m890: 2 errors, no object written" in result.stderr
    errors = json.loads(m890("asm", "bad.s", "--json", code=3).stdout)["errors"]
    assert [(error["line"], error["column"]) for error in errors] == [(2, 1), (3, 11)]
    assert sorted(os.listdir()) == ["bad.s", "saxpy.s", "x.npy"]


def test_asm_warnings_are_no_errors():
    Path("warn.s").write_text(".kernel k\nv.mov.b32 vreg0, vreg9\nsimt.exit\n")
    result = m890("asm", "warn.s")
    assert "warn.s:2:18: warning: vreg9 is read but never written" in result.stderr
    assert json.loads(m890("asm", "warn.s", "--json").stdout)["warnings"][0]["severity"] == "warning"


def test_dis_assembles_back_to_the_same_bytes():
    m890("asm", "saxpy.s", "-o", "a.hgbin")
    text = m890("dis", "a.hgbin").stdout
    assert "v.fma.f32.rtte vreg2, vreg1, sreg7, vreg2" in text
    m890("asm", "-", "-o", "b.hgbin", input=text)
    assert Path("a.hgbin").read_bytes() == Path("b.hgbin").read_bytes()
    listing = m890("dis", "saxpy.s", "--addresses", "--bytes", "--no-lines", "--annotate").stdout
    assert "      50: 00 90 80 03 40 80 00 81  v.fma.f32.rtte" in listing
    assert ".loc" not in listing
    assert "did you mean 'saxpy'?" in m890("dis", "a.hgbin", "--kernel", "saxpi", code=2).stderr


def test_info_shows_profiles_with_tags_and_sources():
    both = m890("info").stdout
    assert both.splitlines()[0].split() == ["M890", "810E"]
    assert "144 GiB" in both
    assert "96 GiB" in both
    assert "published: survey: 147,456 MiB" in both
    one = m890("info", "810E").stdout
    assert "144 GiB" not in one
    fact = json.loads(m890("info", "M890", "--json").stdout)["M890"]["compute_units"]
    assert (fact["value"], fact["tag"]) == (39, "measured")
    Path("mine.toml").write_text('base = "810E"\nclock = { value = 1.5e9, tag = "measured", source = "my card" }\n')
    mine = m890("info", "M890", "mine.toml", "810E").stdout
    assert mine.splitlines()[0].split() == ["M890", "mine", "810E"]
    assert "measured: my card" in mine
    assert json.loads(m890("info", "mine.toml", "--json").stdout)["mine"]["clock"]["value"] == 1.5e9
    Path("mine.toml").write_text('base = "810E"\nclocks = 1.5e9\n')
    assert "mine.toml: unknown key 'clocks': did you mean 'clock'?" in m890("info", "mine.toml", code=3).stderr
    assert "did you mean 'M890'?" in m890("info", "M980", code=2).stderr
    assert "none.toml" in m890("info", "none.toml", code=3).stderr


def test_every_instruction_has_a_page_whose_fields_fill_the_word():
    from m890.tools import pages

    for instruction in ISA:
        assert pages.usage(instruction).startswith(instruction.mnemonic)
        for form in instruction.forms:
            seen = 0
            for part in pages.layout(form):
                mask = (1 << part.high + 1) - (1 << part.low)
                assert not seen & mask
                seen |= mask
            assert seen == (1 << 64) - 1
        assert pages.examples(instruction)
        for shown in pages.examples(instruction):
            assert shown.text.startswith(instruction.mnemonic)
            assert "{" not in str(shown)


def test_asm_counts_as_people_do():
    Path("many.s").write_text(".kernel k\n" + "nonsense\n" * 60)
    assert "m890: stopped after 50 errors, no object written" in m890("asm", "many.s", code=3).stderr
    Path("one.s").write_text(".kernel k\nsimt.exit\n")
    assert "one.hgbin: k: 1 word, 1 vreg, 48 sregs\n" in m890("asm", "one.s").stdout


def test_isa_prints_pages():
    page = m890("isa", "v.fma.f32.rtte").stdout
    for part in (
        "v.fma.f32.rtte[.ftz][.sat] d, a, b, c",
        "published (listings)",
        "63:54  opcode 0x204",
        "rounded once",
    ):
        assert part in page
    example = (
        r"v\.fma\.f32\.rtte +vreg4, vreg1, vreg2, vreg3 +// vreg1 = 1\.5, vreg2 = 2\.0, vreg3 = 0\.25 -> vreg4 = 3\.25"
    )
    assert re.search(example, page)
    assert m890("isa", "v.fma.f32.rtte.ftz").stdout == page
    listed = m890("isa", "--list").stdout.splitlines()
    assert len(listed) == len(set(listed)) > 1000
    assert {line.split()[0] for line in listed} == {instruction.mnemonic for instruction in ISA}
    assert all("v.cnvt" in line for line in m890("isa", "v.cnvt", "--list").stdout.splitlines())
    (found,) = json.loads(m890("isa", "v.fma.f32.rtte", "--json").stdout)
    assert found["opcode"] == 0x204
    assert found["words"][0]["fields"][0]["meaning"] == "opcode 0x204"
    assert "did you mean v.fma.f32.rtte" in m890("isa", "v.fma.f32.rte", code=2).stderr
    m890("isa", code=2)
    assert "no mnemonic contains 'zzz', and no description" in m890("isa", "zzz", "--list", code=2).stderr


@pytest.mark.parametrize(
    ("word", "first", "more"),
    [
        ("barrier", "s.blksyn\n", ["s.bar.sync b\n", "s.bar.arrive b, n"]),
        ("reduce", "vmem.red.", ["tsm.red.", "v.red."]),
        ("shuffle", "v.shuffle.{idx,up,down,bfly}.b32\n", []),
        ("shfl", "v.shuffle.{idx,up,down,bfly}.b32\n", []),
        ("Atomic", "vmem.atom.", ["tsm.atom."]),
        ("convert", "v.cnvt.", ["further entries"]),
        ("matrix", "tsm.ld.mat.", ["v.mma."]),
        ("reciprocal", "v.rcp", ["v.rsqrt"]),
        ("exponential", "v.exp2", []),
        ("swizzle", "", ["tsm.ld.swzl", "vmem.aiu.ld.tsm"]),
        ("fp8", "", ["v.cnvt.f32.{f16,bf16,tf32,e4m3", "v.mma"]),
        ("fragment", "", ["tsm.ld.mat", "v.mma"]),
        ("gather", "vmem.ld.{b8,", ["{vmem.ga.p,tsm}.ld."]),
        ("wgmma", "v.mma", []),
        ("%tid.x", "%tid.x\n", ["coordinate in its block, axis x", "v.mov.b32 vreg0, %tid.x"]),
        ("tid", "%tid.x\n", ["%tid.y", "%tid.z"]),
        ("%blkid.x", "%blkid.x\n", ["the same for all lanes"]),
        ("%clock64", "%clock64\n", ["s.mov.b64 sreg[40:41], %clock64"]),
        ("emsk", "emsk\n", ["execution mask"]),
        ("x0", "x0\n", ["`ivreg`"]),
        ("vldcnt", "vldcnt\n", ["vmem.ld", "s.wait vldcnt(0)"]),
    ],
)
def test_isa_looks_words_up(word: str, first: str, more: list[str]):
    found = m890("isa", word).stdout
    assert found.startswith(first)
    assert all(text in found for text in more)
    assert max(map(len, found.splitlines())) <= 100
    assert json.loads(m890("isa", word, "--json").stdout)


def test_a_page_has_what_its_chapter_says():
    page = " ".join(m890("isa", "vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b16").stdout.split())
    assert "All 32 lanes must be on" in page
    for layout, name in ((aiu.TILE, "d"), (aiu.TILE_AT, "p")):
        assert f"{name}: {layout.name}, {layout.words} words" in page
        assert all(f"{item.name} {item.meaning}" in page for item in layout.items)
    page = " ".join(m890("isa", "tsm.ld.mat.b32x4").stdout.split())
    assert "Each of the first 8, 16 or 32 lanes gives the address of one row" in page
    assert "lanes 4*r to 4*r + 3" in page
    page = " ".join(m890("isa", "v.mma.f32.bf16.m16n16k16").stdout.split())
    assert "12:r3 is lane 12 of the fourth register" in page
    (found,) = json.loads(m890("isa", "vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b16", "--json").stdout)
    assert found["descriptors"][0]["rows"][0] == ["0-1", aiu.TILE.items[0].name, aiu.TILE.items[0].meaning]
    assert found["chapter"]["heading"] == "The AIU"


def test_subjects_are_those_of_instructions():
    for subject, pattern in SUBJECTS.items():
        assert any(re.match(pattern, instruction.mnemonic) for instruction in ISA), subject


def test_a_list_of_what_a_word_finds():
    listed = {line.split()[0] for line in m890("isa", "matrix", "--list").stdout.splitlines()}
    assert {"tsm.ld.mat.b32x4", "v.mma.f32.bf16.m16n16k16"} <= listed


def test_isa_knows_every_named_register():
    for name in (*NAMED_SCALARS, *CLOCKS, *LANE_SPECIALS, *COUNTERS):
        assert m890("isa", name).stdout.startswith(f"{name}\n")


def test_isa_prints_directives():
    page = m890("isa", ".tsm").stdout
    assert page.startswith(".tsm BYTES [NAME]\n")
    assert ".tsm 32 * 4 tile" in page
    assert json.loads(m890("isa", ".tsm", "--json").stdout)["name"] == ".tsm"
    assert "here it is .tsm" in m890("isa", ".shared", code=2).stderr
    assert "did you mean .param" in m890("isa", ".parm", code=2).stderr
    assert "there are .arch, .kernel" in m890("isa", ".zzz", code=2).stderr


def test_cache_counts_and_clears(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("M890_CACHE_DIR", str(folder / "cache"))
    found = json.loads(m890("cache", "--json").stdout)
    assert found == {"folder": str(folder / "cache"), "objects": 0, "bytes": 0, "removed": 0}
    (folder / "cache").mkdir()
    (folder / "cache" / "1.o").write_bytes(bytes(100))
    assert "1 objects, 100 bytes" in m890("cache").stdout
    assert "1 files removed" in m890("cache", "--clear").stdout
    assert not list((folder / "cache").iterdir())


def test_every_help_ends_with_examples():
    for verb in VERBS:
        text = m890(verb, "--help").stdout
        section = text.partition("\nExamples:\n")[2]
        assert section, verb
        assert all(line.startswith("  ") for line in section.splitlines())
    assert "Examples:\n  m890 run" in m890("--help").stdout


def test_version_and_unknown_verbs():
    assert re.fullmatch(r"m890 \d+\.\d+\.\d+\n", m890("--version").stdout)
    assert "did you mean 'run'?" in m890("rn", code=2).stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str):
    assert "_M890_COMPLETE" in m890("completion", shell).stdout
    environment = {"_M890_COMPLETE": "bash_complete", "COMP_WORDS": "m890 isa v.fma.f32.rtt", "COMP_CWORD": "2"}
    result = CliRunner().invoke(cli, [], prog_name="m890", env=environment, complete_var="_M890_COMPLETE")
    assert "plain,v.fma.f32.rtte" in result.stdout


# ---- how runs end ----------------------------------------------------------------------------------------------------


def break_asm(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `m890 asm` raise."""

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("m890.tools.loading.read_bytes", fail)


def test_our_bugs_are_exit_code_70_with_a_traceback_in_a_file(monkeypatch: pytest.MonkeyPatch, folder: Path):
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    break_asm(monkeypatch, KeyError("oops"))
    message = m890("asm", "saxpy.s", code=70).stderr
    assert "internal error: KeyError: 'oops'" in message
    assert "report it" in message
    (kept,) = folder.glob("m890-traceback-*.txt")
    assert str(kept) in message
    assert "KeyError: 'oops'" in kept.read_text()
    assert "Traceback" not in message
    monkeypatch.setenv("M890_TRACEBACK", "1")
    assert "Traceback" in m890("asm", "saxpy.s", code=70).stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (MemoryError(), 5),
        (MemoryLimit(space="host memory", limit=1, in_use=1, requested=1), 5),
        (Fault(code=11), 1),
        (PermissionError(13, "Permission denied", "f"), 3),
        (exits.InputError("bad"), 3),
        (click.UsageError("bad"), 2),
    ],
)
def test_errors_have_their_exit_codes(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int):
    break_asm(monkeypatch, error)
    result = m890("asm", "saxpy.s", code=code)
    assert result.stderr
    assert not result.stdout


def test_files_appear_whole_or_not_at_all(folder: Path):
    target = folder / "out"

    def broken() -> None:
        with output.atomic(target) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert not list(folder.glob("*out*"))
    target.write_bytes(b"old")
    target.chmod(0o640)
    with pytest.raises(RuntimeError):
        broken()
    assert target.read_bytes() == b"old"
    with output.atomic(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    link = folder / "link"
    link.symlink_to(target)
    with output.atomic(link) as file:
        file.write(b"newer")
    assert link.is_symlink()
    assert target.read_bytes() == b"newer"
    with output.atomic(os.devnull) as file:
        file.write(b"x")
    with pytest.raises(FileNotFoundError, match="none/out"), output.atomic("none/out"):
        pass


def test_colour_is_for_terminals_and_can_be_declined(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    Path("bad.s").write_text("nonsense\n")
    assert "\x1b" not in m890("asm", "bad.s", code=3).stderr
    assert output.wants_colour() is None
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.wants_colour() is False
    assert "\x1b" not in m890("asm", "bad.s", code=3, color=True).stderr


def test_progress_shows_only_on_terminals_and_late(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    progress = output.Progress("k")
    assert not progress.active
    progress.active = True
    progress(1, 8)
    assert capsys.readouterr().err == ""
    progress.next = time.monotonic()
    progress(2, 8)
    progress.clear()
    assert capsys.readouterr().err == "\rk: 2 of 8 blocks (25 %)\x1b[K\r\x1b[K"


def test_compiling_is_announced_once_and_timed_apart(
    monkeypatch: pytest.MonkeyPatch,
):
    """A launch that compiles for a while; what it makes is kept nowhere."""
    cache, launch = engine().cache, LoadedKernel.launch
    monkeypatch.setattr(cache, "save", lambda key, data: 0)

    def compiles(*arguments, **named):
        for _ in range(3):
            cache.make("nothing", lambda: time.sleep(0.05) or b"")
        return launch(*arguments, **named)

    m890(*RUN)
    monkeypatch.setattr(LoadedKernel, "launch", compiles)
    (found,) = json.loads(m890(*RUN, "--json").stdout)["launches"]
    assert found["compile_seconds"] >= 0.15
    assert "  (0." in (text := m890(*RUN).stdout)
    assert " s to compile, once)  0." in text
    monkeypatch.setattr(output, "SHOW_AFTER", 0.04)
    result = m890(*RUN)
    assert result.stderr.count("m890: compiling instructions that have not run here before") == 1
    assert cache.announce is None


@pytest.mark.smoke
def test_a_real_process_keeps_stdout_and_stderr_apart():
    done = process(*RUN, "--out", "y=y.npy", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["passed"]
    assert done.stderr.endswith("m890: saved y to y.npy\n")
    failed = process(*RUN[:-1], "y=zeros:f32:3")
    assert failed.returncode == 1
    assert not failed.stdout
    assert "Traceback" not in failed.stderr


def test_a_reader_that_leaves_is_no_error():
    command = (
        f"{sys.executable} -c 'from m890.tools.cli import main; main()' isa --list | head -1; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in (0, 141)
    assert done.stdout.count("\n") == 1
    assert not done.stderr


@pytest.mark.parametrize("arguments", ["--help", "run --help", "--version", "isa s.nop"])
def test_a_reader_that_is_gone_hears_nothing(arguments: str):
    command = (
        f"{sys.executable} -c 'from m890.tools.cli import main; main()' {arguments} | true; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in (0, 141)
    assert not done.stderr


def test_ctrl_c_ends_a_run_with_one_line():
    text = (
        '.data\non: .asciz "on\\n"\n.text\n.kernel k\ns.print on\nagain: s.add.i32 sreg20, sreg20, 0x1\ns.cbr again\n'
    )
    Path("loop.s").write_text(text)
    code = "from m890.tools.cli import main; main()"
    arguments = ["run", "loop.s", "--grid", "1", "--block", "1", "--time-limit", "60"]
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=-1, stderr=-1, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "on\n"
        time.sleep(0.5)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert not out
    *_, first, place = err.splitlines()  # before them it may say that it compiles, and that sreg20 is not written
    assert first == "m890: error: interrupted"
    where = r"pc 0x(8|10) \(loop.s:[67]\): block \(0,0,0\) warp 0 lanes 0"
    assert re.fullmatch(f"  1 warp at chip 0 kernel 'k' {where}", place)


def test_help_needs_no_compiler():
    code = "import sys; from m890.tools.cli import cli; cli(['--help'], standalone_mode=False); "
    code += "assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, stdout=subprocess.DEVNULL)
