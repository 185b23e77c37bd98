"""REFERENCE: every directive, how it is written, what it means and what does it; `perform` does what one says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from . import code_directives, data_directives
from .addresses import COARSE, UNIT
from .arguments import Arguments
from .diagnostics import Failure
from .program import SCALAR_TYPES
from .sections import TSM_ALIGNMENT, Unit
from .source import Statement


class Directive(NamedTuple):
    """A directive: how it is written, what it means, an example. `work` is None where source.py does it."""

    name: str
    syntax: str
    meaning: str
    example: str
    work: Callable[[Arguments], None] | None = None


_ALL = (
    Directive(
        ".arch",
        ".arch NAME",
        "Whose instructions may stand here: ppu0015 (M890) or ppu001 (810E). Without it those of the chip that loads "
        "the text, or of `m890 asm --chip`. Before the first kernel. __HGGC_ARCH__ is its number, 150 or 100.",
        ".arch ppu0015",
        code_directives.arch,
    ),
    Directive(
        ".kernel",
        ".kernel NAME",
        "A kernel begins; what follows belongs to it.",
        ".kernel saxpy",
        code_directives.kernel,
    ),
    Directive(
        ".func",
        ".func NAME",
        "A device function begins, which kernels call; what follows belongs to it.",
        ".func f\n    s.ret sreg[38:39]",
        code_directives.func,
    ),
    Directive(
        ".param",
        ".param TYPE NAME or .param TYPE NAME[COUNT]",
        "The kernel's next argument. NAME then stands for its registers, or for its offset in KM if it has none. "
        f"TYPE is one of {', '.join(SCALAR_TYPES)}.",
        ".param f32 a",
        code_directives.param,
    ),
    Directive(
        ".tsm",
        ".tsm BYTES [NAME]",
        "Thread-block shared memory of the kernel; NAME stands for its offset. Several follow one another, each "
        f"aligned to {TSM_ALIGNMENT} bytes. From {COARSE} bytes on an address takes [bytes(NAME) + vreg0], which "
        f"must be a multiple of {UNIT}; any offset can be added to the register instead.",
        ".tsm 32 * 4 tile",
        code_directives.tsm,
    ),
    Directive(
        ".private",
        ".private BYTES",
        "Private memory of each lane; sreg2 holds it.",
        ".private 64",
        code_directives.private,
    ),
    Directive(
        ".maxntid",
        ".maxntid X, Y, Z",
        "The most threads, X * Y * Z, of a block the kernel may be launched with, whatever its extents.",
        ".maxntid 256",
        code_directives.maxntid,
    ),
    Directive(
        ".reqntid",
        ".reqntid X, Y, Z",
        "The only block the kernel may be launched with, for one that counts on it; what is left out is 1.",
        ".reqntid 128",
        code_directives.reqntid,
    ),
    Directive(
        ".vregs",
        ".vregs N",
        "Vector registers of a lane, instead of as many as are used.",
        ".vregs 64",
        code_directives.vregs,
    ),
    Directive(
        ".sregs",
        ".sregs N",
        "Scalar registers of a warp, instead of as many as are used.",
        ".sregs 80",
        code_directives.sregs,
    ),
    Directive(
        ".reg",
        ".reg NAME = vreg4 or .reg NAME = vreg[4:7]",
        "Another name for registers, in this kernel. NAME[1] and NAME[2:3] are parts of a range, NAME[4:7][0] is part "
        "of a part.",
        ".reg acc = vreg[4:7]",
        code_directives.reg,
    ),
    Directive(
        ".equ",
        ".equ NAME, VALUE",
        "A number's name, in all kernels. It may get another value below.",
        ".equ N, 4 * 8",
        code_directives.equ,
    ),
    Directive(".set", ".set NAME, VALUE", "The same as .equ.", ".set N, 32", code_directives.equ),
    Directive("=", "NAME = VALUE", "The same as .equ.", "N = 32", code_directives.assign),
    Directive(
        ".data",
        ".data",
        "What follows are bytes of the module, in memory from the start.",
        ".data",
        data_directives.data,
    ),
    Directive(".text", ".text", "Back to the kernel.", ".text", data_directives.text),
    Directive(".byte", ".byte VALUE, ...", "Data: numbers of 8 bits.", ".byte 1, -1, 'a'", data_directives.whole(1)),
    Directive(".half", ".half VALUE, ...", "Data: numbers of 16 bits.", ".half 0xffff", data_directives.whole(2)),
    Directive(".word", ".word VALUE, ...", "Data: numbers of 32 bits.", ".word 1, 2, 3", data_directives.whole(4)),
    Directive(
        ".quad",
        ".quad VALUE, ...",
        "Data: numbers of 64 bits. In a kernel: instruction words.",
        ".quad 1 << 40",
        data_directives.whole(8),
    ),
    Directive(
        ".float", ".float VALUE, ...", "Data: binary32 numbers.", ".float 1.5, inf", data_directives.floats("<f")
    ),
    Directive(".double", ".double VALUE, ...", "Data: binary64 numbers.", ".double 1e-3", data_directives.floats("<d")),
    Directive(".ascii", '.ascii "TEXT", ...', "Data: text in UTF-8.", '.ascii "abc\\n"', data_directives.strings(b"")),
    Directive(
        ".asciz",
        '.asciz "TEXT", ...',
        "Data: text, and a zero behind each.",
        '.asciz "abc"',
        data_directives.strings(b"\0"),
    ),
    Directive(
        ".zero", ".zero COUNT, VALUE", "Data: COUNT bytes VALUE; 0 if left out.", ".zero 64", data_directives.zero
    ),
    Directive(".space", ".space COUNT, VALUE", "The same as .zero.", ".space 64, 0xff", data_directives.zero),
    Directive(
        ".align",
        ".align BYTES",
        "Go on at a multiple of so many bytes; a kernel is filled with s.nop.",
        ".align 16",
        data_directives.align,
    ),
    Directive(
        ".error",
        '.error "MESSAGE"',
        "An error with this message, and the lines from which the macro was called.",
        'N = 8\n.if N > 32\n    .error "N is at most 32"\n.endif',
        code_directives.error,
    ),
    Directive(
        ".file",
        '.file "NAME"',
        "From here on lines come from .loc alone, and are of this file.",
        '.file "a.s"',
        code_directives.file,
    ),
    Directive(
        ".loc",
        '.loc LINE or .loc LINE, "NAME"',
        "The next words come from this line of .file, which NAME is from now on.",
        '.loc 12, "a.s"',
        code_directives.loc,
    ),
    Directive(
        ".within",
        '.within "MACRO", "FILE", LINE or .within',
        "The lines of the next .loc stand in this macro, called at LINE of FILE; so for more macros, innermost first, "
        "or in none.",
        '.within "copy", "a.s", 12',
        code_directives.within,
    ),
    Directive(
        ".globl",
        ".globl NAME",
        "Other objects may refer to the function or data label NAME. Every kernel is visible.",
        ".globl k",
        code_directives.globl,
    ),
    Directive(".global", ".global NAME", "The same as .globl.", ".global k", code_directives.globl),
    Directive(
        ".extern",
        ".extern NAME, ...",
        "Another object defines these functions or data labels: m890 link joins the objects.",
        ".extern f",
        code_directives.extern,
    ),
    Directive(
        ".macro",
        ".macro NAME A, B=DEFAULT",
        "Lines up to .endm get a name. Where it stands as an operation they are put in, \\A being its argument; \\@ is "
        "a number of its own in each call, \\() is nothing and ends a name.",
        ".macro inc r, by=1\n    v.add.i32 \\r, \\r, \\by\n.endm\n    inc vreg1, by=4",
    ),
    Directive(".endm", ".endm", "Ends .macro.", ".macro nothing\n.endm"),
    Directive(
        ".rept",
        ".rept COUNT or .rept COUNT, NAME",
        "Lines up to .endr, so many times. \\NAME in them is 0, 1, 2, ...",
        ".rept 4, N\n    v.mov.b32 vreg[4 + \\N], \\N\n.endr",
    ),
    Directive(".endr", ".endr", "Ends .rept.", ".rept 0\n.endr"),
    Directive(
        ".if",
        ".if VALUE",
        "Lines up to .elseif, .else or .endif, if VALUE is not zero as of this line.",
        "N = 3\n.if N > 2\n    s.nop\n.elseif N\n.else\n.endif",
    ),
    Directive(
        ".ifdef", ".ifdef NAME", "The same, if NAME is defined above, or with -D.", ".ifdef DEBUG\n    s.trap\n.endif"
    ),
    Directive(".ifndef", ".ifndef NAME", "The same, if it is not.", ".ifndef N\nN = 16\n.endif"),
    Directive(".elseif", ".elseif VALUE", "Else, if VALUE is not zero.", ".if 0\n.elseif 1\n    s.nop\n.endif"),
    Directive(".else", ".else", "Else.", ".if 0\n.else\n    s.nop\n.endif"),
    Directive(".endif", ".endif", "Ends .if, .ifdef and .ifndef.", ".if 1\n.endif"),
    Directive(
        ".include",
        '.include "FILE"',
        "The lines of another file, looked for beside this one, in the folders of -I, in the library (below).",
        '.include "common.inc"',
    ),
)
REFERENCE: dict[str, Directive] = {directive.name: directive for directive in _ALL}
"""Every directive by name. docs/assembly.md and `m890 isa .NAME` are made from it."""

_DEFINES = {
    ".param": re.compile(r"\S+\s+([A-Za-z_$][\w$]*)\s*(?:\[.*)?"),
    ".tsm": re.compile(r".+[,\s]\s*([A-Za-z_.$][\w.$]*)"),
    **dict.fromkeys((".reg", ".equ", ".set", "="), re.compile(r"([A-Za-z_.$][\w.$]*)\s*(?:[=,\s].*)?")),
}
"""Which name a directive defines, even if something else in it is wrong."""


def perform(unit: Unit, statement: Statement) -> None:
    """Do what a directive says; raises Failure with columns in the statement's rest."""
    work = REFERENCE[statement.operation].work
    assert work is not None, "the reader does these"
    try:
        work(Arguments(unit, statement, f"usage: {REFERENCE[statement.operation].syntax}"))
    except Failure:
        note_broken(unit, statement, statement.operation)
        raise


def note_broken(unit: Unit, statement: Statement, directive: str) -> None:
    """Define the name that a faulty statement was to define as a broken one, so that its uses are no errors."""
    names = _DEFINES.get(directive)
    match = names.fullmatch(statement.rest) if names else None
    if match:
        unit.define_broken(match[1], statement.place, everywhere=directive in (".equ", ".set", "="))


__all__ = ["REFERENCE", "Directive", "note_broken", "perform"]
