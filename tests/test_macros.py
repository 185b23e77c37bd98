"""Macros, repetitions, conditions and files of a text, and the lines that they give."""

from __future__ import annotations

from pathlib import Path

from assembly import kernel, texts

from m890.isa import ISA
from m890.isa.assembler import assemble
from m890.isa.program import Line, MacroCall
from m890.isa.source import LIBRARY, open_recorded


def test_macros() -> None:
    body = """
        .macro  shift d, n=2
        v.shll.b32 \\d, \\d, \\n
        .endm
        .macro  loop count
l\\@:   shift vreg\\count\\()0
        s.cbr l\\@
        .endm
        shift   vreg1
        shift   vreg2, 1 + 2
        shift   n=4, d=vreg3
        loop    1
        loop    2
"""
    assert texts(body) == [
        "v.shll.b32 vreg1, vreg1, 0x2",
        "v.shll.b32 vreg2, vreg2, 0x3",
        "v.shll.b32 vreg3, vreg3, 0x4",
        "v.shll.b32 vreg10, vreg10, 0x2",
        "s.cbr 0xffffe",
        "v.shll.b32 vreg20, vreg20, 0x2",
        "s.cbr 0xffffe",
    ]
    lines = kernel(body).lines
    assert [line.line for line in lines] == [4, 4, 4, 4, 8, 4, 8]
    assert [line.calls[-1].line for line in lines] == [10, 11, 12, 13, 13, 14, 14]


def test_lines_of_macros() -> None:
    """The line is the innermost; the macros around it are those whose bodies it stands in, as called."""
    text = """.macro  inner
s.nop
.endm
.kernel k
.macro  outer
.rept   2
inner
.endr
s.nop
.endm
s.nop
outer
inner
"""
    outer = MacroCall("outer", "a.s", 12)
    in_both = MacroCall("inner", "a.s", 7), outer
    assert assemble(text, "a.s").kernels["k"].lines == (
        Line(0, "a.s", 11),
        Line(8, "a.s", 2, in_both),  # and once more: the same line, called from the same one
        Line(24, "a.s", 9, (outer,)),
        Line(32, "a.s", 2, (MacroCall("inner", "a.s", 13),)),
    )


def test_lines_of_library_files_do_not_say_where_it_is_installed() -> None:
    found = assemble('.include "index.inc"\n.kernel k\nglobal_x vreg0\n', "/x/a.s").kernels["k"].lines
    assert {line.file for line in found} == {"<m890>/index.inc"}
    assert {line.root for line in found} == {"/x/a.s"}
    where = open_recorded(found[0].file)
    assert where == LIBRARY / "index.inc"
    assert where.is_file()
    assert open_recorded("/x/a.s") == Path("/x/a.s")


def test_given_macros() -> None:
    body = '.file "a.s"\n.within "m", "b.s", 3, "n n", "c.s", 4\n.loc 7\ns.nop\n.within\n.loc 8\ns.nop\n'
    calls = MacroCall("m", "b.s", 3), MacroCall("n n", "c.s", 4)
    assert kernel(body).lines == (Line(0, "a.s", 7, calls), Line(8, "a.s", 8))


def test_numbered_repetitions() -> None:
    body = """
        .reg    a = vreg[4:7]
        .macro  clear last
        .rept   \\last + 1, J
        .rept   2, I
        v.mov.b32 a[2*\\J+\\I], \\J
        .endr
        .endr
        .endm
        clear   last=1
        .rept   1, lo
        v.mov.b32 vreg\\lo, lo(7)
        .endr
"""
    assert texts(body) == [
        "v.mov.b32 vreg4, 0x0",
        "v.mov.b32 vreg5, 0x0",
        "v.mov.b32 vreg6, 0x1",
        "v.mov.b32 vreg7, 0x1",
        "v.mov.b32 vreg0, 0x7",
    ]


def test_repetitions_and_conditions() -> None:
    body = """
i = 0
        .rept   4
        .if     i == 1
        v.mov.b32 vreg0, 100
        .elseif i == 2
        v.mov.b32 vreg0, 200
        .else
        .if     0
        .else
        v.mov.b32 vreg0, i
        .endif
        .endif
i = i + 1
        .endr
        .rept   0
        s.nop
        .endr
        .ifdef  i
        s.nop
        .endif
        .ifndef i
        s.exit
        .endif
"""
    expected = [f"v.mov.b32 vreg0, {number:#x}" for number in (0, 100, 200, 3)]
    assert texts(body) == [*expected, "s.nop"]


def test_include_and_defines(tmp_path: Path) -> None:
    (tmp_path / "inc").mkdir()
    (tmp_path / "near.inc").write_text('.equ NEAR, 1\n.include "far.inc"\n')
    (tmp_path / "inc" / "far.inc").write_text("FAR = NEAR + X\ns.nop\n")
    text = '.kernel k\n.include "near.inc"\nv.mov.b32 vreg0, FAR\n'
    module = assemble(text, str(tmp_path / "a.s"), include=[tmp_path / "inc"], defines={"X": "2 * 3"})
    found = module.kernels["k"]
    assert ISA.text(int(found.words[1])) == "v.mov.b32 vreg0, 0x7"
    assert found.lines == (Line(0, str(tmp_path / "inc" / "far.inc"), 2), Line(8, str(tmp_path / "a.s"), 3))
