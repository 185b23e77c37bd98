"""Functions in source and text: what goes wrong is named at its place, and every module comes back from its text."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from object_samples import linkable, plain
from test_disassembler import kernels, modules

from m890.isa import ISA
from m890.isa.assembler import assemble
from m890.isa.diagnostics import AssemblyError, Diagnostic
from m890.isa.disassembler import disassemble
from m890.isa.number_kinds import CodeTarget, DataAddress
from m890.isa.objectfile import read, write
from m890.isa.program import Function, Line, Module, Relocation
from m890.isa.relocations import KINDS, apply
from m890.isa.source_kind import Source

ERRORS = """\
.param u32 n
^~~~~~~~~~~~
error: .param belongs to a kernel, not to function f
hint: a launch asks only kernels

.kernel f
        ^
error: there are a kernel and a function f
hint: the first is at a.s:1

.func f
      ^
error: there are two functions f
hint: the first is at a.s:1

.func table
      ^~~~~
error: table is already a data label
hint: defined at a.s:2

f: s.nop
^
error: f is the function's name and stands for its first word
hint: choose another label

s.cbr g
      ^
error: a branch cannot leave its function for g
hint: call it: s.call

s.mov.b32 sreg41, g
                  ^
error: the address of g does not fit in 32 bits
hint: load it into a register pair: s.mov.b32 of lo(x) and hi(x)

v.madl.i32 vreg0, vreg1, vreg2, lo(g)
                                ^~~~~
error: the address of g cannot stand here
hint: three-source instructions take no immediate: s.mov.b32 it to an sreg (c0x0 and c0x1 are free)

vmem.ld.b32 vreg0, [lo(g) + vreg0 * 0x4] @sreg[6:7]
                   ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
error: an offset takes numbers, and g is an address that is known when linked
hint: an address can be added to, and has lo(x) and hi(x); two of one function or of .data have a difference

s.mov.b32 sreg41, lo(g - f)
                  ^~~~~~~~~
error: - cannot be computed before the program is linked
hint: an address can be added to, and has lo(x) and hi(x); two of one function or of .data have a difference

s.call sreg[38:39], h
                    ^
error: h is not defined
hint: define it: a label, .param, .reg, .equ, or .extern

s.call sreg38, g
       ^~~~~~
error: sreg38 has one register where 2 belong
hint: 2 registers belong here, for example sreg[4:5]

.extern sreg5
^~~~~~~~~~~~~
error: sreg5 is a register and cannot be defined
hint: choose another name

.quad f
      ^
error: expected a number, found the address of f
hint: it is known when the program is linked
"""
BEFORE = ".func f\n.data\ntable: .byte 1\n.text\ns.nop\n"
AFTER = "s.ret sreg[38:39]\n.func g\ns.ret sreg[38:39]\n"


def errors(text: str) -> tuple[Diagnostic, ...]:
    """What is wrong with a text."""
    with pytest.raises(AssemblyError) as caught:
        assemble(text, "a.s")
    return caught.value.diagnostics


@pytest.mark.parametrize("case", ERRORS.strip().split("\n\n"), ids=lambda case: case.splitlines()[0])
def test_golden(case: str) -> None:
    line, caret, message, hint = case.splitlines()
    found = errors(f"{BEFORE}{line}\n{AFTER}")[0]
    assert (f"error: {found.message}", f"hint: {found.hint}") == (message, hint.replace("a.s:2", "a.s:3"))
    assert found.line == 6
    if line.startswith(("s.", "v", ".f", ".k")):
        assert (found.column, found.length) == (caret.index("^") + 1, len(caret.strip()))


def test_what_only_the_end_of_the_text_shows() -> None:
    text = ".func f\n.kernel k\n.param u32 g\nh: s.exit\n.func g\ns.ret sreg[38:39]\nend:\n.func h\ns.ret sreg[38:39]\n"
    assert [(error.line, error.message) for error in errors(text)] == [
        (1, "function f has no instructions"),
        (3, "g is already a function"),
        (4, "h is already a function"),
        (7, "the label end stands behind the last instruction of function g"),
    ]


def test_warnings_speak_of_functions() -> None:
    found: list[Diagnostic] = []
    text = (
        ".func f\n.vregs 2\nv.mov.b32 vreg7, vreg6\n.kernel k\ns.call sreg[38:39], f\nv.mov.b32 vreg1, vreg0\ns.exit\n"
    )
    assemble(text, warn=found.append)
    assert [(warning.message, warning.hint) for warning in found] == [
        ("function f uses vreg7, but .vregs gives it 2", "write .vregs 8 or leave it out"),
        ("function f goes on behind its last instruction", "end it with s.ret sreg[38:39]"),
    ]


TEXT = """\
        .arch   ppu0015
        .extern numbers
        .extern sine
        .file   "f.s"
        .globl  table
        .globl  twice

        .func   twice
        .vregs  1
        .sregs  40
        .loc    5
        v.add.i32 vreg0, vreg0, vreg0
        .loc    6
loop:
        s.cbr loop
        .loc    7
        s.ret sreg[38:39]

        .func   hidden
        .vregs  0
        .sregs  40
        .loc    9
        s.call sreg[38:39], sine
        .loc    10
        s.call sreg[38:39], twice + 0x8

        .kernel k
        .param  ptr x
        .vregs  1
        .sregs  80
        .loc    13
        s.mov.b32 sreg50, lo(hidden)
        .loc    14
        s.mov.b32 sreg51, hi(hidden)
        .loc    15
        s.mov.b32 sreg52, lo(numbers - 0x8)
        .loc    16
        s.call sreg[38:39], sreg[50:51]
        .loc    17
        simt.exit

        .data
        .align  512
        .byte   0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00
        .zero   496
table:
        .quad   hidden
        .quad   sine + 0x8
        .quad   table
        .word   lo(.data + 0x204)
        .word   hi(twice)
"""


def test_the_text_of_a_module_with_functions() -> None:
    assert disassemble(linkable()) == TEXT
    listing = disassemble(linkable(), addresses=True, words=True, lines=False, kernel="hidden")
    assert listing.splitlines()[-2:] == [
        "       0: 00 00 00 00 20 80 49 1c  s.call sreg[38:39], 0x0 <sine>",
        "       8: 88 00 00 c0 20 80 49 1c  s.call sreg[38:39], 0xc0000088 <twice+0x8>",
    ]


@st.composite
def linked_modules(draw: st.DrawFn) -> Module:
    """A module of random kernels, functions and data, with relocations wherever an address can stand."""
    module = draw(modules())
    random = Random(draw(st.integers(0, 1 << 32)))
    names = draw(st.lists(st.sampled_from(["f", "g", "f.1", "_Z3foo"]), unique=True, max_size=4))
    for name in names:
        code = draw(kernels(name).filter(lambda kernel: len(kernel.words) > 0))
        size = 8 * len(code.words)
        labels = {label: offset for label, offset in code.labels.items() if offset < size}
        lines = tuple(line for line in code.lines if line.offset < size)
        module.functions[name] = Function(name, code.words, code.vregs, code.sregs, labels, lines)
    symbols = [*names, ".data", "elsewhere", "sin"]
    for code in [*module.kernels.values(), *module.functions.values()]:
        lines = [line for line in code.lines if line.offset < 8 * len(code.words)]
        code.lines = tuple(Line(line.offset, "a.s", line.line) for line in lines)
        code.relocations = tuple(relocations(code, symbols, random))
    fields: list[Relocation] = []
    position = 0
    while position + 8 <= len(module.data):
        kind = random.choice(["ABS64", "LO32", "HI32", ""])
        if kind:
            fields.append(Relocation(position, kind, random.choice(symbols), random.randint(-9, 99)))
        position += KINDS[kind].size if kind else random.randint(1, 9)
    inside = {byte for field in fields for byte in range(field.offset + 1, field.offset + KINDS[field.kind].size)}
    module.data_symbols = {name: offset for name, offset in module.data_symbols.items() if offset not in inside}
    exported = frozenset(name for name in (*names, *module.data_symbols) if random.random() < 0.5)
    alignment = 1 << random.randint(8, 12)
    module = replace(module, data_relocations=tuple(fields), exported=exported, data_alignment=alignment)
    apply(module)
    return module


def relocations(code: Function, symbols: list[str], random: Random) -> list[Relocation]:
    """Relocations for some of the words that have an immediate of 32 bits."""
    found: list[Relocation] = []
    for index, decoded in enumerate(map(decode, code.words.tolist())):
        kind = decoded.form.instruction.kinds[-1] if decoded and decoded.form.instruction.kinds else None
        if random.random() < 0.5 or decoded is None:
            continue
        if isinstance(kind, CodeTarget):
            found.append(Relocation(8 * index, "CALL32", random.choice(symbols), random.randint(-99, 99)))
        elif isinstance(kind, DataAddress):
            found.append(Relocation(8 * index, "DATA32", ".data", random.randrange(99)))
        elif isinstance(kind, Source) and decoded.form.immediate and kind.flags.last and kind.words == 1:
            part = random.choice(["LO32", "HI32"])
            found.append(Relocation(8 * index, part, random.choice(symbols), random.randint(-99, 99)))
    return found


def decode(word: int) -> object:
    """The word taken apart, or None."""
    try:
        return ISA.decode(word, "ppu0015")
    except ValueError:
        return None


@settings(max_examples=40)
@given(linked_modules())
def test_every_module_comes_back(module: Module) -> None:
    for text in (disassemble(module), disassemble(module, addresses=True, words=True, annotate=True)):
        assert plain(assemble(text)) == plain(module)
    data = write(module)
    assert plain(read(data)) == plain(module)
    assert write(read(data)) == data


def test_jump_tables_of_labels_and_functions() -> None:
    from m890.emulator.chip import Chip

    chip = Chip("M890")
    out = chip.to_device(np.zeros(64, np.uint32))
    source = """
        .func   seven
        s.mov.b32 sreg41, 7
        s.ret   sreg[38:39]
        .kernel k
        .param  ptr out
        .param  u32 which
        s.mov.b32 sreg50, lo(cases)
        s.mov.b32 sreg51, hi(cases)
        s.shll.b32 sreg52, which, 1
        smem.ld.b32x2 sreg[54:55], [0x0 + sreg52 * 0x4] @sreg[50:51]
        s.wait  sldcnt(0)
        s.cbr.ind sreg[54:55]
zero:   s.mov.b32 sreg41, 100
        s.cbr   done
one:    s.call  sreg[38:39], seven
done:   v.mov.b32 vreg0, 0
        v.mov.b32 vreg1, sreg41
        vmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @out
        simt.exit
        .data
        .align  8
cases:  .quad   zero, one
    """
    kernel = chip.assemble(source)["k"]
    for which, expected in enumerate((100, 7)):
        kernel[1, 1](out, which)
        assert out.copy_to_host()[0] == expected
