"""`m890 run --trace`: a line for each instruction, and its place in the source."""

import re
from pathlib import Path

from command_line import m890
from saxpy_folder import RUN
from saxpy_folder import folder as folder

from m890.emulator.trace import place_of
from m890.isa.assembler import assemble


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
        assert [line.split() for line in found[found.index("  source") :].splitlines()[:3]] == [
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
