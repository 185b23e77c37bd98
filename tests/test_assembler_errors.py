"""Errors: each one with its file, line, column, caret and hint, all of a text at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from m890.isa import ISA, encoding, habits
from m890.isa.assembler import AssemblyError, Diagnostic, assemble
from m890.isa.directives import REFERENCE, Directive
from m890.isa.registers import LANE_SPECIALS, NAMED_SCALARS
from m890.isa.source import OWN


def errors(text: str, name: str = "a.s", **options: object) -> AssemblyError:
    """The errors of a text."""
    with pytest.raises(AssemblyError) as caught:
        assemble(text, name, **options)  # type: ignore[arg-type]
    return caught.value


FIRST_LINE = ".kernel k"
GOLDEN = r"""
vmem.ld.b32 vreg0, [vreg1 * 0x4] @vcc
                   ^~~~~~~~~~~~~~~~~~
error: vcc cannot stand here
hint: expected an aligned range of 2 scalar registers

v.tid.innit vreg0, sreg[36:37]
^~~~~~~~~~~
error: unknown instruction v.tid.innit
hint: did you mean v.tid.init?

v.tid.init vreg0
           ^~~~~
error: expected 2 operands, found 1
hint: usage: v.tid.init d, a; d: vector register; a: 2 scalar registers, aligned

s.cbr k, k
      ^~~~
error: expected 1 operand, found 2
hint: usage: s.cbr target; target: label, or the signed distance in words

v.add.f32 vreg0, vreg1, vreg256
                        ^~~~~~~
error: there is no vreg256
hint: vreg0 to vreg255 exist

v.add.f32 sreg0, vreg1, vreg2
          ^~~~~
error: expected a vector register, found the scalar register sreg0
hint: for example vreg4

v.add.f32 vreg0, 1.0, vreg2
                 ^~~
error: the number 0x3f800000 cannot stand here
hint: only the last source can be an immediate: swap the operands or use s.mov.b32

v.add.f32 vreg0, !vreg1, 2.0
                 ^~~~~~
error: !vreg1 cannot stand here
hint: beside an immediate only a plain vector register fits: move one of them to a register first

v.add.i32 vreg0, vreg1, 1 << 32
                        ^~~~~~~
error: the immediate 0x100000000 does not fit in 32 bits
hint: load it into a register pair: s.mov.b32 of lo(x) and hi(x)

v.add.i32 vreg0, vreg1, 1e39
                        ^~~~
error: 1e+39 is too large for f32
hint: 3.4028235e38 is the largest; infinity is inf

v.fma.f32.rtte vreg0, vreg1, vreg2, 3.0
                                    ^~~
error: the number 0x40400000 cannot stand here
hint: three-source instructions take no immediate: s.mov.b32 it to an sreg (c0x0 and c0x1 are free)

v.mov.b64 vreg[1:2], vreg[4:5]
          ^~~~~~~~~
error: vreg[1:2] is not aligned
hint: a range of 2 starts at a multiple of 2: vreg[0:1]

v.mov.b64 vreg[2:4], vreg[4:5]
          ^~~~~~~~~
error: vreg[2:4] has 3 registers where 2 belong
hint: 2 registers belong here, for example vreg[4:5]

v.mov.b32 vreg0, vreg[3
                       ^
error: expected ], found the end of the operand

v.mov.b32 vreg0, vreg1 + 1
                 ^~~~~~~~~
error: the register vreg1 cannot stand in an expression
hint: its value is known only when the kernel runs; !x and |x| are the modifiers of float sources

v.mov.b32 vreg0, 2 * (undefined_name)
                      ^~~~~~~~~~~~~~
error: undefined_name is not defined
hint: define it: a label, .param, .reg, .equ, or .extern

v.mov.b32 vreg0, %tid.w
                 ^~~~~~
error: no special register is called %tid.w
hint: did you mean %tid.z or %tid.y or %tid.x?

v.mov.b32 vreg0, 017
                 ^~~
error: 017 could be octal or decimal
hint: write 0o17 for octal, 15 for decimal

v.mov.b32 vreg0, x\
                  ^
error: unexpected character '\\'

v.mov.b32 vreg0, foo(1)
                 ^~~~~~
error: there is no function foo
hint: one of lo, hi, bytes, log2, abs, int, f32, f16, bf16, min, max, defined

v.mov.b32 vreg0, 3 / (2 - 2)
                 ^~~~~~~~~~~
error: division by zero

s.mov.b32 sreg0, %tid.x
                 ^~~~~~
error: %tid.x cannot stand here
hint: it differs from lane to lane: read it with v.mov.b32 vreg4, %tid.x

s.wait vldcnt(0), tsmcnt(64)
                  ^~~~~~~~~~
error: 64 is out of range
hint: 0 to 63

s.wait vldcmt(0)
       ^~~~~~~~~
error: no counter is called vldcmt
hint: did you mean vldcnt?

s.lop.emsk sreg0, sreg1, 0x8
                  ^~~~~
error: expected # after this operand, found ,
hint: usage: s.lop.emsk d, s # lut; d: scalar register; s: scalar register; lut: 4-bit number

s.lop.emsk sreg0, sreg1 # 0x10
                          ^~~~
error: 0x10 is out of range
hint: 0 to 0xf

vmem.ld.b32 vreg0, [0x0 + vreg1 * 3] @sreg[4:5]
                   ^~~~~~~~~~~~~~~~~~~~~~~~~~~~
error: the index scale 0x3 cannot be encoded
hint: a power of two from 0x1 to 0x8000

vmem.ld.b32 vreg0, [0x1000] @sreg[4:5]
                   ^~~~~~~~~~~~~~~~~~~
error: the offset 0x1000 does not fit in 12 bits
hint: write bytes(N) for real bytes: 0 to 2047, or a multiple of 128 up to 262016

vmem.ld.b32 vreg0, [bytes(2049)] @sreg[4:5]
                   ^~~~~~~~~~~~~~~~~~~~~~~~
error: an offset of 2049 bytes cannot be encoded
hint: 0 to 2047, or a multiple of 128 up to 262016; add the rest to the base or the index

vmem.ld.b32 vreg0, [vreg1 * 4]
                   ^~~~~~~~~~~
error: the address has no base
hint: for example [0x10 + vreg3 * 0x4] @sreg[6:7]

s.cbr nowhere
      ^~~~~~~
error: nowhere is not defined
hint: define it: a label, .param, .reg, .equ, or .extern

s.cbr.nz scc, 3b
              ^~
error: 3b is not defined
hint: there is no label 3: before this line

s.cbr k + 4
      ^~~~~
error: the target is not at an instruction but 4 bytes behind one
hint: usage: s.cbr target; target: label, or the signed distance in words

s.cbr k + (1 << 23)
      ^~~~~~~~~~~~~
error: the target is 1048575 words away, too far for a branch
hint: -524288 to 524287 words

vreg3: s.nop
^~~~~
error: vreg3 is a register and cannot be defined
hint: choose another name

.kernel k
        ^
error: there are two kernels k
hint: the first is at a.s:1

.param f33 x
       ^~~
error: there is no parameter type f33
hint: one of u8, u16, u32, u64, s8, s16, s32, s64, f16, bf16, f32, ptr

.tsm 300000
     ^~~~~~
error: 300000 is out of range
hint: 0 to 262144

.reg a = 5
         ^
error: 5 is no register
hint: a number gets a name with .equ NAME, VALUE

.equ a
     ^
error: too few arguments for .equ
hint: usage: .equ NAME, VALUE

.equ a, 1 + nowhere
            ^~~~~~~
error: nowhere is not defined
hint: define it: a label, .param, .reg, .equ, or .extern

.kernal x
^~~~~~~
error: unknown directive .kernal
hint: did you mean .kernel?

.if 1
^~~~~
error: the condition is not closed
hint: close it with .endif

.else
^~~~~
error: .else without .if

.macro m a
       ^~~
error: .macro is not closed
hint: close it with .endm

.include "nothing.inc"
         ^~~~~~~~~~~~~
error: there is no file nothing.inc
hint: searched ., the library

/* open
^~~~~~~
error: the comment /* is not closed
hint: close it with */

.arch ppu002
      ^~~~~~
error: there is no architecture ppu002
hint: one of ppu0015, ppu001

.word 5
      ^
error: .word cannot stand among instructions
hint: write .data before it

.loc 3
     ^
error: .loc needs a file
hint: name it first: .file "kernel.s"

50: c9 00 04 00 e0 00 01 c9  s.nop
                             ^~~~~
error: the listing gives the word 0xc90100e0000400c9, but the text means 0x0800000000000000
hint: lowest byte first: vmem.ld.b32x4.kp1 vreg[4:7], [0x0 + vreg3 * 0x10] @sreg[6:7]; highest first: no instruction
"""


@pytest.mark.parametrize("case", GOLDEN.strip().split("\n\n"), ids=lambda case: case.splitlines()[0])
def test_golden(case: str) -> None:
    line, caret, message, *hint = case.splitlines()
    column, length = caret.index("^") + 1, len(caret.strip())
    found = errors(f"{FIRST_LINE}\n{line}\n")
    assert str(found) == "\n".join([f"a.s:2:{column}: {message}", line, caret, *hint])
    diagnostic = found.diagnostics[0]
    assert (diagnostic.file, diagnostic.line, diagnostic.column, diagnostic.length) == ("a.s", 2, column, length)
    assert (diagnostic.severity, diagnostic.text) == ("error", line)


def test_all_errors_in_order() -> None:
    text = ".kernel k\n\ts.cbr fwd\n\ts.nop 1 // x\n\tv.bogus vreg1\nl:\ts.nop\nl:\ts.nop\n.endif\n"
    found = errors(text)
    assert [(error.line, error.message.split(" ")[0]) for error in found.diagnostics] == [
        (2, "fwd"), (3, "expected"), (4, "unknown"), (6, "l"), (7, ".endif"),
    ]  # fmt: skip
    assert found.diagnostics[3].hint == "defined at a.s:5"
    assert "\ts.cbr fwd\n\t      ^~~\n" in str(found)
    assert "\ts.nop 1 // x\n\t      ^\n" in str(found)


def test_not_more_than_fifty() -> None:
    found = errors(".kernel k\n" + "nonsense\n" * 1000)
    assert len(found.diagnostics) == 50
    assert found.stopped
    assert str(found).endswith("stopped after 50 errors: the rest was not read")
    assert not errors(".kernel k\nnonsense\n").stopped


@pytest.mark.parametrize("first", ["s.nop", ".param u32 n", "x: s.nop", ".tsm 64 tile", "1:"])
def test_outside_a_kernel_is_one_error(first: str) -> None:
    found = errors(f"{first}\ns.nop\n.param u32 n\nx: s.nop\nv.mov.b32 vreg0, n\n")
    assert [error.line for error in found.diagnostics] == [1]
    assert found.diagnostics[0].message.endswith("before the first kernel")
    assert found.diagnostics[0].hint == "begin with .kernel NAME"
    assert errors(".data\ns.nop").diagnostics[0].hint == "go back to the kernel with .text"


@pytest.mark.parametrize("line", [".kernal k", ".kernel 5x", ".kernel", ".entry k"])
def test_a_faulty_kernel_line_is_one_error(line: str) -> None:
    (error,) = errors(f"{line}\n.param u32 n\nx: v.mov.b32 vreg0, n\ns.cbr x\n").diagnostics
    assert error.line == 1


@pytest.mark.parametrize(
    "line",
    [".shared 64 name", ".define name, 5", ".param .u64 name", ".param f33 name", ".param u32 name[0]",
     ".tsm 300000 name", ".tsm 300000, name", ".reg name = 5", ".equ name, 1 +", "name = nowhere"],
)  # fmt: skip
def test_a_faulty_definition_defines_its_name(line: str) -> None:
    text = f".kernel k\n{line}\ns.mov.b32 sreg40, name\n.reg other = name\nv.mov.b32 vreg0, other\n.equ m, name\n"
    (error,) = errors(text).diagnostics
    assert error.line == 2


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("bar.sync 0", "here it is s.blksyn"),
        ("bra loop", "here it is s.cbr"),
        ("bra.uni loop", "here it is s.cbr"),
        ("@p1 bra loop", "here no instruction has a predicate: s.cbr.nz mask, label takes the whole warp, simt.rcbr"),
        ("@%p1 bra loop", "here no instruction has a predicate"),
        ("@!p1 bra loop", "here no instruction has a predicate"),
        ("ld.global.u32 r1, [x]", "here it is vmem.ld.b32"),
        ("ld.global.f32 r1, [x]", "here it is vmem.ld.b32"),
        ("ld.global.v4.f32 r1, [x]", "here it is vmem.ld.b32x4"),
        ("ld.global.u8 r1, [x]", "here it is vmem.ld.b8"),
        ("ld.global.s16 r1, [x]", "here it is vmem.ld.s16"),
        ("ld.volatile.global.u32 r1, [x]", "here it is vmem.ld.b32.volatile"),
        ("ld.param.u64 %rd1, [x]", "leave it out: a parameter's name is its register"),
        ("st.global.b32 [x], r1", "here it is vmem.st.b32"),
        ("ld.shared.b32 r1, [x]", "here it is tsm.ld.b32"),
        ("cp.async.ca.shared.global [a], [b], 16", "here it is vmem.ld.tsm: vmem.ld.tsm."),
        ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 d, a, b, c", "here it is v.mma.f32.f16.m16n8k16"),
        ("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 d, a, b, c", "here it is v.mma.i32.i8.i8.m16n8k32"),
        ("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e5m2.f32 d, a, b, c", "here it is v.mma.f32.e4m3.e5m2.m16n8k32"),
        ("s.wait", "usage: s.wait counters; counters: such as vldcnt(0), tsmcnt(0): any of vldcnt, "),
        ("cp.async.commit_group", "here it is vmem.acp.commit.grp"),
        ("cp.async.wait_group 0", "here it is s.wait"),
        ("mbarrier.init.shared.b64 [x], 4", "here it is tsm.awbar.init.b64"),
        ("cvta.to.global.u64 %rd1, %rd2", "leave it out"),
        ("red.global.add.f32 [x], r1", "here it is vmem.red.add.f32"),
        ("red.shared.max.s32 [x], r1", "here it is tsm.red.max.i32"),
        ("atom.shared.add.u32 r1, [x], 1", "here it is tsm.atom.add.i32"),
        ("atom.global.add.u32 r1, [x], 1", "here it is vmem.atom.add.i32"),
        ("atom.global.cas.b32 r1, [x], r2, r3", "here it is vmem.atom.cas.b32"),
        ("atom.global.min.u64 r1, [x], r2", "here it is vmem.atom.min.u64"),
        ("atomicAdd(x, 1);", "here it is vmem.atom.add: vmem.atom.add.i32, vmem.atom.add.i64, vmem.atom.add.f32, ..."),
        ("atomicCAS(x, 1, 2);", "here it is vmem.atom.cas: vmem.atom.cas.b32, vmem.atom.cas.b64"),
        ("__syncthreads();", "here it is s.blksyn"),
        ("membar.gl", "here it is vmem.fence.gpu"),
        ("cvt.rn.f32.u32 r1, r2", "here it is v.cnvt.f32.u32.rtte"),
        ("cvt.rzi.s32.f32 r1, r2", "here it is v.cnvt.i32.f32.rtz"),
        ("cvt.u64.u32 r1, r2", "here it is v.cnvt.u64.u32"),
        ("v.cvt.f32.u32 vreg1, vreg0", "here it is v.cnvt.f32.u32.rtte"),
        ("v.cnvt.f32.u32 vreg1, vreg0", "did you mean v.cnvt.f32.u32.rtte or "),
        ("v.fma.f32 vreg1, vreg0, vreg0, vreg0", "did you mean v.fma.f32.rtte or "),
        ("fma.rn.f32 r1, r2, r3, r4", "here it is v.fma.f32.rtte"),
        ("add.f32 r1, r2, r3", "here it is v.add.f32"),
        ("add.s32 r1, r2, r3", "here it is v.add.i32"),
        ("sub.u32 r1, r2, r3", "here it is v.sub.i32"),
        ("mul.lo.u32 r1, r2, r3", "here it is v.mull.i32"),
        ("mul.wide.s32 r1, r2, r3", "here it is v.mulw.i64.i32"),
        ("mad.lo.s32 r1, r2, r3, r4", "here it is v.madl.i32"),
        ("v.mad.lo.s32 vreg1, vreg0, vreg0, vreg0", "here it is v.madl.i32"),
        ("v.mul.i32 vreg1, vreg0, vreg0", "here it is v.mull.i32"),
        ("s.shl.b32 sreg40, sreg41, 2", "here it is s.shll.b32"),
        ("shr.s32 r1, r2, 1", "here it is v.shra.i32"),
        ("setp.lt.s32 p1, r1, r2", "here it is v.cmp.lt.i32"),
        ("v.setp.lt.u32 sreg40, vreg0, vreg1", "here it is v.cmp.lt.u32"),
        ("selp.f32 r1, r2, r3, p", "here it is v.csel.b32"),
        ("shfl.sync.bfly.b32 r1, r2, 1", "here it is v.shuffle.bfly.b32"),
        ("v.shfl.bfly.b32 vreg1, vreg0, 1", "here it is v.shuffle.bfly.b32"),
        ("__shfl_xor_sync(m, x, 1)", "here it is v.shuffle.bfly.b32"),
        ("vote.sync.ballot.b32 r1, p", "here it is v.vote.ballot.b32"),
        ("redux.sync.add.s32 r1, r2", "here it is v.red.add.i32"),
        ("ex2.approx.ftz.f32 r1, r2", "here it is v.exp2.f32.ftz"),
        ("v.ex2.approx.f32 vreg1, vreg0", "here it is v.exp2.f32"),
        ("lg2.approx.f32 r1, r2", "here it is v.log2.f32"),
        ("rsqrt.approx.f32 r1, r2", "here it is v.rsqrt.f32"),
        ("rcp.rn.f32 r1, r2", "here it is v.rcp.f32"),
        ("sin.approx.f32 r1, r2", "here it is v.sin.f32"),
        ("cos.approx.f32 r1, r2", "here it is v.cos.f32"),
        ("div.rn.f32 r1, r2, r3", "here it is v.div.f32"),
        ("printf x", "here it is v.print"),
        ('v.print "x = %d", vreg0', 'a text stands in .data, with a label: name: .asciz "..."'),
        ("v.mov.b32 vreg0, %ctaid.x", "here it is %blkid.x"),
        ("s.mov.b32 sreg40, %nctaid.y", "here it is %nblkid.y"),
        ("v.mov.b32 vreg0, threadIdx.x", "here it is %tid.x"),
        ("s.mov.b32 sreg40, blockIdx.z", "here it is %blkid.z"),
        ("s.mov.b32 sreg40, blockDim.x", "here it is %ntid.x"),
        ("s.mov.b32 sreg40, gridDim.x", "here it is %nblkid.x"),
        ("v.mov.b32 %r1, 1", "registers are vreg0 to vreg255"),
        (".visible .entry foo", "here it is .kernel"),
        (".visible .func foo", "here it is .globl"),
        ("v.add.u32 vreg0, vreg1, vreg2", "write v.add.i32: the sign does not matter"),
        ("s.sub.u64 sreg[0:1], sreg[2:3], sreg[4:5]", "write s.sub.i64: the sign does not matter"),
        (".shared 4", "here it is .tsm"),
        (".entry k", "here it is .kernel"),
        ("v.mul.f32 vreg0, vreg1, 1.0f", "write 1.0"),
        ("s.mov.b32 sreg40, 7u", "write 7"),
    ],
)
def test_habits_are_understood(line: str, hint: str) -> None:
    (error,) = errors(f".kernel k\n{line}\n").diagnostics
    assert error.hint.startswith(hint)


def test_habits_lead_to_what_exists() -> None:
    names = encoding.mnemonics("ppu0015").names()
    assert all(name.split(".")[0] not in ("v", "vmem", "tsm", "smem") for name in habits.INSTRUCTIONS)
    for here in habits.NAMES.values():
        assert any(name == here or name.startswith(f"{here}.") for name in (*NAMED_SCALARS, *LANE_SPECIALS))
    for here in habits.INSTRUCTIONS.values():
        assert any(name == here or name.startswith(f"{here}.") for name in names), here
    assert set(habits.DIRECTIVES.values()) <= set(REFERENCE)
    assert not set(habits.DIRECTIVES) & set(REFERENCE)


def test_what_globl_names_must_exist() -> None:
    found = errors(".globl k, kk, later\n.kernel k\nlater: s.exit\n").diagnostics
    assert [(error.message, error.column, error.hint) for error in found] == [
        ("kk is not defined", 11, "a function is defined with .func NAME")
    ]


def test_warnings_are_shown_beside_errors() -> None:
    seen: list[Diagnostic] = []
    text = ".kernel a\nv.mov.b32 vreg0, vreg9\nsimt.exit\n.kernel b\nv.mov.b32 vreg0, vreg9\ns.nope\n"
    with pytest.raises(AssemblyError) as caught:
        assemble(text, "a.s", warn=seen.append)
    assert [error.line for error in caught.value.diagnostics] == [6]
    assert [warning.line for warning in seen] == [2]  # what is missing in b may be what s.nope was to do


@pytest.mark.parametrize("entry", REFERENCE.values(), ids=REFERENCE)
def test_examples_of_directives_assemble(entry: Directive, tmp_path: Path) -> None:
    (tmp_path / "common.inc").write_text("")
    before = {".arch": "", ".kernel": ""}.get(entry.name, ".kernel k\n")
    data = ".data\n" if entry.meaning.startswith("Data") or entry.name in (".space", ".asciz") else ""
    assemble(f"{before}{data}{entry.example}\n", str(tmp_path / "a.s"))


def test_the_reference_has_every_directive_of_the_reader() -> None:
    assert {name for name, entry in REFERENCE.items() if entry.work is None} == OWN


def test_in_macros() -> None:
    text = ".kernel k\n.macro add a\n\tv.add.i32 \\a, vreg999\n.endm\n.macro outer a\n\tadd \\a\n.endm\n\touter vreg5\n"
    assert str(errors(text)) == "\n".join(
        [
            "a.s:3:19: error: there is no vreg999",
            "\tv.add.i32 vreg5, vreg999",
            "\t                 ^~~~~~~",
            "hint: vreg0 to vreg255 exist",
            "note: in macro add, called at a.s:6",
            "note: in macro outer, called at a.s:8",
        ]
    )


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        ("m", "m needs a value for a", "usage: m a, b=2"),
        ("m 1, 2, 3", "m takes 2 arguments, found 3", "usage: m a, b=2"),
        ("m 1, bb=3", "m has no parameter bb", "usage: m a, b=2"),
        ("m again", "macros, repetitions and files are nested more than 64 deep", "something calls or includes itself"),
    ],
)
def test_macro_calls(call: str, message: str, hint: str) -> None:
    found = errors(f".kernel k\n.macro m a, b=2\n.ifdef \\a\nm \\a\n.endif\n.endm\nagain = 1\n{call}\n").diagnostics[0]
    assert found.message == message
    assert found.hint.startswith(hint)


def test_in_included_files(tmp_path: Path) -> None:
    (tmp_path / "a.inc").write_text("s.nop\ns.nope\n")
    found = errors('.kernel k\n.include "a.inc"\n', str(tmp_path / "a.s")).diagnostics
    assert str(found[0]).startswith(f"{tmp_path / 'a.inc'}:2:1: error: unknown instruction s.nope")
    assert found[0].notes == (f"note: included at {tmp_path / 'a.s'}:2",)
    (tmp_path / "again.inc").write_text('.include "again.inc"\n')
    found = errors('.include "again.inc"', str(tmp_path / "a.s")).diagnostics
    assert [error.message for error in found] == ["macros, repetitions and files are nested more than 64 deep"]
    assert len(found[0].notes) == 10
    (tmp_path / "bytes.inc").write_bytes(b"\xff\xfe")
    assert "cannot read" in errors('.include "bytes.inc"', str(tmp_path / "a.s")).diagnostics[0].message


def test_defines() -> None:
    found = errors("", defines={"vreg1": 1, "n": "1 +", "m": 2}).diagnostics
    assert [(error.file, error.text) for error in found] == [("<defines>", "vreg1 = 1"), ("<defines>", "n = 1 +")]


def test_instruction_of_another_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    for form, _ in ISA.by_mnemonic["s.trap"]:
        monkeypatch.setattr(form.instruction, "architectures", ("ppu001",))
    monkeypatch.setattr(encoding, "_mnemonics", lambda arch, size: encoding.Mnemonics(arch))
    found = errors(".kernel k\ns.trap\n").diagnostics[0]
    assert found.message == "s.trap is an instruction of ppu001, not of ppu0015"
    assert found.hint == "this text is for ppu0015: see .arch; `m890 isa s.trap --list` says what ppu0015 has"
    assert len(assemble(".arch ppu001\n.kernel k\ns.trap\n").kernels["k"].words) == 1


def test_redefinitions() -> None:
    text = ".kernel k\n.param u32 n\nn: s.nope\n.reg x = vreg1\n.tsm 4 x\n.equ q, 1\n.equ q, 2\nk: s.nop\n"
    assert [(error.line, error.message) for error in errors(text).diagnostics] == [
        (3, "n is already a parameter"),
        (3, "unknown instruction s.nope"),
        (5, "x is already a register alias"),
        (8, "k is the kernel's name and stands for its first word"),
    ]
