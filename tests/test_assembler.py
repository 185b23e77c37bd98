"""The assembler: every directive, expression and form of operand, and what it warns of."""

from __future__ import annotations

import struct

import pytest
from assembly import SAXPY, data, kernel, texts, value, warnings

from m890.isa import ISA
from m890.isa.addresses import offset_bytes
from m890.isa.assembler import AssemblyError, assemble
from m890.isa.directives import REFERENCE
from m890.isa.disassembler import disassemble
from m890.isa.operands import Address
from m890.isa.program import DATA_BASE, Line, Parameter, Relocation

NOP = 0x0800000000000000


def test_saxpy_of_the_design() -> None:
    module = assemble(SAXPY, "saxpy.s", warn=lambda warning: pytest.fail(str(warning)))
    saxpy = module.kernels["saxpy"]
    assert (module.arch, len(saxpy.words), saxpy.vregs, saxpy.sregs) == ("ppu0015", 14, 3, 48)
    assert saxpy.labels == {"saxpy": 0}
    assert saxpy.params == (
        Parameter("n", "u32", 1, 0, 6),
        Parameter("a", "f32", 1, 4, 7),
        Parameter("x", "ptr", 1, 8, 8),
        Parameter("y", "ptr", 1, 16, 10),
    )
    assert saxpy.lines[0] == Line(0, "saxpy.s", 8)
    assert saxpy.line_at(0x68) == Line(0x68, "saxpy.s", 21)
    assert [ISA.text(int(word)) for word in saxpy.words][5:8] == [
        "v.cmp.lt.u32 sreg21, vreg0, sreg6",
        "s.lop.emsk sreg22, sreg21 # 0x8",
        "vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x4] @sreg[8:9]",
    ]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("10 %3", 1),
        ("1 << 4 | 3", 19),
        ("0xff & ~0xf", 0xF0),
        ("6 ^ 3", 5),
        ("-16 >> 2", -4),
        ("1 < 2 == 1", 1),
        ("3 >= 4 || 2 != 2", 0),
        ("0 && 1 / 0", 0),
        ("1 || 1 / 0", 1),
        ("!5 + !0", 1),
        ("1 ? 2 : 1 / 0", 2),
        ("0 ? 1 : 0 ? 2 : 3", 3),
        ("0b101 + 0o17 + 1_000", 1020),
        ("'a' + '\\n' + '\\''", 97 + 10 + 39),
        ("'\\x41'", 0x41),
        ("lo(0x123456789) + hi(0x123456789)", 0x2345678A),
        ("log2(1 << 20)", 20),
        ("min(3, 1, 2) + max(3, 4)", 5),
        ("--1", 1),
        (". - .", 0),
    ],
)
def test_expressions(expression: str, expected: int) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("literal", "bits"),
    [
        ("1.5", 0x3FC00000),
        ("-1.5", 0xBFC00000),
        ("1e-3", 0x3A83126F),
        ("1.0 / 3", 0x3EAAAAAB),
        ("inf", 0x7F800000),
        ("-inf", 0xFF800000),
        ("nan", 0x7FFFFFFF),
        ("0x1.8p1", 0x40400000),
        ("1 / 2", 0),
        ("-1", 0xFFFFFFFF),
        ("-0x80000000", 0x80000000),
        ("0xffffffff", 0xFFFFFFFF),
    ],
)
def test_immediates(literal: str, bits: int) -> None:
    assert texts(f"v.add.f32 vreg1, vreg2, {literal}") == [f"v.add.f32 vreg1, vreg2, {bits:#x}"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("v.add.f32 vreg1, !vreg2, |sreg3|", None),
        ("v.add.f32 vreg1, !|vreg2|.reuse, vreg3", None),
        ("v.add.i32 vreg1, %blkid.x.reuse, vreg3", None),
        ("v.mov.b32 vreg1, %tid.x", None),
        ("v.mov.b64 vreg[2 : 1+2], vreg[ 4:5 ]", "v.mov.b64 vreg[2:3], vreg[4:5]"),
        ("v.mov.b32 vreg1, 1", "v.mov.b32 vreg1, 0x1"),
        ("v.mov.b32 vreg1, c0x1", None),
        ("vmem.ld.b32 vreg1, [vreg0 * 4] @sreg[4:5]", "vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x4] @sreg[4:5]"),
        ("vmem.ld.b32 vreg1, [4 * vreg0 + 8 - 4] @sreg[4:5]", "vmem.ld.b32 vreg1, [0x4 + vreg0 * 0x4] @sreg[4:5]"),
        ("vmem.ld.b32 vreg1, [vreg0] @sreg[4:5]", "vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x1] @sreg[4:5]"),
        ("vmem.ld.b32 vreg1, [0x10] @vreg[4:5]", None),
        ("vmem.ld.b32 vreg1, [bytes(0x1000)] @vreg[4:5]", "vmem.ld.b32 vreg1, [0x820] @vreg[4:5]"),
        ("vmem.ld.b32 vreg1, [bytes(0x7ff)] @vreg[4:5]", "vmem.ld.b32 vreg1, [0x7ff] @vreg[4:5]"),
        ("smem.ld.b32 sreg1, [sreg3] @sreg[4:5]", "smem.ld.b32 sreg1, [0x0 + sreg3 * 0x1] @sreg[4:5]"),
        ("tsm.ld.b32 vreg1, [sreg3 + vreg2 * 0x4]", None),
        ("tsm.ld.b32 vreg1, [0x10 + vreg2 * 0x4]", None),
        ("s.wait tsmcnt(1 + 1), vldcnt(0)", "s.wait vldcnt(0), tsmcnt(2)"),
        ("s.wait pipe_flush", None),
        ("s.cbr 0xffffe <BB0_1>", "s.cbr 0xffffe"),
    ],
)
def test_operands(written: str, meant: str | None) -> None:
    assert texts(written) == [meant or written]


def test_comments_and_lines() -> None:
    body = "s.nop // one\r\n s.nop ; two\n /* s.exit\n s.exit */ s.nop /* x */\n;\n;* not this one\n//\n"
    assert [line.line for line in kernel(body).lines] == [2, 3, 5]
    assert data('.ascii "a//b;c/*d*/" // e') == b"a//b;c/*d*/"
    assert data(".byte ';', '/', ',' ; x") == b";/,"


def test_labels() -> None:
    body = """
start:  s.cbr end
1:      s.cbr 1f
.Lx:    s.cbr 1b
1: end: s.cbr start
        s.cbr .Lx
        s.cbr . + 16
        s.cbr k
"""
    found = kernel(body)
    assert found.labels == {"start": 0, "end": 24}
    targets = ["0x2", "0x1", "0xffffe", "0xffffc", "0xffffd", "0x1", "0xffff9"]
    assert [ISA.text(int(word)) for word in found.words] == [f"s.cbr {target}" for target in targets]
    module = assemble(".kernel a\nx: s.cbr x\n.kernel b\ns.nop\nx: s.cbr x\n")
    assert [found.labels["x"] for found in module.kernels.values()] == [0, 8]


def test_parameters_stand_for_registers_or_offsets() -> None:
    body = ".param u32 n\n.param f32 t[4]\n.param ptr p\nv.mov.b32 vreg0, n\nsmem.ld.b32 sreg40, [t + 4] @sreg[4:5]\n"
    assert texts(f"{body}s.mov.b64 sreg[40:41], p\ns.mov.b32 sreg40, p[1]") == [
        "v.mov.b32 vreg0, sreg6",
        "smem.ld.b32 sreg40, [0x8] @sreg[4:5]",
        "s.mov.b64 sreg[40:41], sreg[8:9]",
        "s.mov.b32 sreg40, sreg9",
    ]


def test_aliases_and_symbols() -> None:
    body = """
        .reg    acc = vreg[8:11]
        .reg    one = acc[1]
        .reg    mask, sreg20
        .equ    N, 4
        M = N * 2
        v.mov.b64 acc[2:3], acc[0:1]
        v.mov.b64 acc[1:3][1:2], acc[2:3][0:1]
        v.add.i32 one, acc[0], M
        .equ    N, 5
        v.cmp.lt.u32 mask, one.reuse, N
"""
    assert texts(body) == [
        "v.mov.b64 vreg[10:11], vreg[8:9]",
        "v.mov.b64 vreg[10:11], vreg[10:11]",
        "v.add.i32 vreg9, vreg8, 0x8",
        "v.cmp.lt.u32 sreg20, vreg9.reuse, 0x5",
    ]


def test_a_text_is_for_the_architecture_it_says_or_else_that_asked_for() -> None:
    text = ".kernel k\nsimt.exit"
    assert [assemble(text).arch, assemble(text, arch="ppu001").arch] == ["ppu0015", "ppu001"]
    assert assemble(f".arch ppu0015\n{text}", arch="ppu001").arch == "ppu0015"


def test_a_text_knows_the_architecture_it_is_for() -> None:
    """The vendor's name for its number, as of the line, and before the first kernel."""
    text = "N = __HGGC_ARCH__ + 1\n.ifdef __HGGC_ARCH__\n.kernel k\n.endif\nv.mov.b32 vreg1, N\nsimt.exit"
    for arch, number in (("ppu0015", 150), ("ppu001", 100)):
        for module in (assemble(text, arch=arch), assemble(f".arch {arch}\n{text}")):
            assert ISA.text(int(module.kernels["k"].words[0])) == f"v.mov.b32 vreg1, {number + 1:#x}"
    with pytest.raises(AssemblyError, match="__HGGC_ARCH__ has a meaning in expressions"):
        assemble("__HGGC_ARCH__ = 100")
    with pytest.raises(AssemblyError, match="__HGGC_ARCH__ has a meaning in expressions"):
        assemble(text, defines={"__HGGC_ARCH__": 100})
    with pytest.raises(AssemblyError, match=r"ARCH__ has been that of ppu0015 above\n.*\n.*\n.*before what asks"):
        assemble('.include "fragments.inc"\n.arch ppu001\n')
    assert not assemble('.include "fragments.inc"\n.arch ppu0015\n').kernels


def test_resources() -> None:
    directives = ".tsm 100 a\n.tsm 4*8, b\n.private 64\n.maxntid 32, 2\n.reqntid 32\n"
    found = kernel(f"{directives}v.mov.b32 vreg1, b + a\nsimt.exit")
    assert (found.tsm, found.private, found.maxntid, found.reqntid) == (144, 64, (32, 2, 1), (32, 1, 1))
    assert ISA.text(int(found.words[0])) == "v.mov.b32 vreg1, 0x70"
    assert [kernel(f"s.mov.b32 sreg{n}, 2").sregs for n in (0, 47, 48, 79, 80, 191)] == [48, 48, 80, 80, 192, 192]
    assert kernel("vmem.ld.b32x4 vreg[12:15], [vreg200] @sreg[4:5]").vregs == 201
    assert kernel(".vregs 7\n.sregs 41\ns.nop").vregs == 7


def test_data() -> None:
    text = """
        .kernel k
        s.mov.b32 sreg20, lo(table)
        s.mov.b32 sreg21, hi(table)
        simt.exit
        .data
        .byte   1, -1, 255
        .align  4
table:  .half   0x1234
        .word   -2
        .quad   later, table + 1
        .float  1.5, 2, nan
        .double 0.1
        .ascii  "a\\x00\\377", "é"
        .asciz  "b\\n"
        .zero   3, 7
        .space  2
.Lq:
later:
        .text
"""
    module = assemble(text)
    later = DATA_BASE + len(module.data)
    expected = bytes([1, 255, 255, 0, 0x34, 0x12, 0xFE, 255, 255, 255]) + struct.pack("<QQ", later, DATA_BASE + 5)
    expected += struct.pack("<fffd", 1.5, 2, 0, 0.1).replace(bytes(4), bytes.fromhex("ffffff7f"), 1)
    assert module.data == expected + b"a\0\xff\xc3\xa9b\n\0\7\7\7\0\0"
    assert module.data_symbols == {"table": 4, "later": len(module.data)}
    words = [ISA.text(int(word)) for word in module.kernels["k"].words]
    assert words[:2] == ["s.mov.b32 sreg20, 0x80000004", "s.mov.b32 sreg21, 0x1"]


def test_given_lines_and_raw_words() -> None:
    body = '.file "gen.py"\ns.nop\n.loc 7\n.loc 8\n.quad 0x0800000000000000, 0x1234\n.align 32\n'
    found = kernel(body)
    assert found.lines == (Line(8, "gen.py", 7), Line(8, "gen.py", 8))
    assert [int(word) for word in found.words] == [NOP, NOP, 0x1234, NOP]


def test_the_published_listing_is_accepted() -> None:
    listing = """
<BB0_1>:
      50: c9 00 04 00 e0 00 01 c9  vmem.ld.b32x4.kp1 vreg[4:7], [0x0 + vreg3 * 0x10] @sreg[6:7]
      58: fe ff 0f 30 20 00 00 09  s.cbr 0xffffe <BB0_1>
"""
    found = kernel(listing)
    assert [int(word) for word in found.words] == [0xC90100E0000400C9, 0x09000020300FFFFE]
    assert found.labels == {"BB0_1": 0}


def test_a_listing_says_which_data_is_meant() -> None:
    """Whichever operand it is: the relocation comes back."""
    body = "s.print text + 1\nv.print text, vreg[4:6]\nv.assert sreg1, text + 2\n"
    module = assemble(f'.func f\n{body}.data\n.zero 8\ntext: .asciz "a"\n')
    listing = disassemble(module, addresses=True, words=True)
    assert "s.print 0x180000009 <.data+0x9>" in listing
    assert assemble(listing).functions["f"].relocations == module.functions["f"].relocations
    assert len(module.functions["f"].relocations) == 3


def test_a_listing_may_say_what_a_single_operand_means() -> None:
    text = "       0: 00 00 00 00 20 00 80 fd  vmem.acp.awbar.arrive.b64 0x0 <lo(far)>\n"
    found = assemble(f".extern far\n.kernel k\n{text}")
    assert found.kernels["k"].relocations == (Relocation(0, "LO32", "far"),)


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("v.mov.b32 vreg0, vreg7\nsimt.exit", "vreg7 is read but never written in kernel k", "registers hold nothing"),
        ("s.mov.b32 sreg0, sreg38\nsimt.exit", "sreg38 is read but never written in kernel k", "registers hold"),
        (
            "vmem.ld.b32 vreg0, [0x880] @sreg[4:5]\nsimt.exit",
            "the offset 0x880 means 0x4000 bytes: from 0x800 on it counts units of 128",
            "write bytes(0x4000) for 16384 bytes; bytes(0x880) is 2176",
        ),
        ("s.nop", "kernel k has no instructions", "end it with simt.exit"),
        ("v.mov.b32 vreg0, 1\ns.nop", "kernel k goes on behind its last instruction", "end it with simt.exit"),
        (".vregs 2\nv.mov.b32 vreg9, 1\nsimt.exit", "kernel k uses vreg9, but .vregs gives it 2", "write .vregs 10"),
    ],
)
def test_warnings(body: str, message: str, hint: str) -> None:
    found = warnings(f".kernel k\n{body}")
    assert [warning.message for warning in found] == [message]
    assert found[0].hint.startswith(hint)
    assert found[0].severity == "warning"


def test_places_in_tsm_from_2_kib_on() -> None:
    """As the page of .tsm says."""
    body = ".tsm 4096 t\n.tsm 4096 u\nv.mov.b32 vreg1, 0\ntsm.ld.b32 vreg0, [bytes(u) + vreg1]\nsimt.exit\n"
    found = assemble(f".kernel k\n{body}").kernels["k"]
    address = next(value for value in ISA.decode(int(found.words[1])).values if isinstance(value, Address))
    assert offset_bytes(address.offset) == 4096
    assert "[bytes(NAME) + vreg0]" in REFERENCE[".tsm"].meaning


def test_one_warning_for_each_operand() -> None:
    """All registers of a range are one warning; those of it that are written are not named."""
    body = """
.reg    words = sreg[64:79]
s.mov.b32 sreg68, 1
v.mov.b32 vreg14, 0
vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b16 words, sreg[96:99]
v.add.f32 vreg0, vreg1, vreg2
vmem.st.b32x4 vreg[12:15], [0x0 + vreg8 * 0x4] @sreg[40:41]
simt.exit
"""
    assert [(found.line, found.message, found.text[found.column - 1 :][: found.length]) for found in warnings(
        f".kernel k{body}"
    )] == [
        (line, f"{names} read but never written in kernel k", meant)
        for line, names, meant in [
            (5, "sreg64 to sreg67, sreg69 to sreg79 are", "vmem.aiu.ld.tsm.l0.t0.p0.s0.m0.2d.b16 words, sreg[96:99]"),
            (5, "sreg96 to sreg99 are", "sreg[96:99]"),
            (6, "vreg1 is", "vreg1"),
            (6, "vreg2 is", "vreg2"),
            (7, "vreg8 is", "vreg8"),
            (7, "vreg12 to vreg13, vreg15 are", "vreg[12:15]"),
            (7, "sreg40 to sreg41 are", "sreg[40:41]"),
        ]
    ]  # fmt: skip


def test_no_warnings_for_what_is_there_at_entry() -> None:
    body = "v.mov.b32 vreg0, sreg37\nv.add.i32 vreg0, vreg0, vcc\ns.cbr k\ns.nop\ns.nop\n"
    assert warnings(f".kernel k\n{body}vmem.ld.b32 vreg1, [bytes(0x1000)] @sreg[4:5]\nsimt.exit") == []


def test_an_address_may_use_one_register_twice():
    """sreg190 as index and within the base: counted once."""
    kernel = assemble(".kernel k\nsmem.ld.b32 sreg0, [0x0 + sreg190 * 0x1] @sreg[190:191]\nsimt.exit").kernels["k"]
    assert kernel.sregs == 192


def test_as_many_arguments_as_there_is_room_for() -> None:
    text = "".join([".kernel k\n", *(f".param u8 p{n}\n" for n in range(32_764)), "s.exit\n"])
    last = assemble(text).kernels["k"].params[-1]
    assert (last.offset, last.sreg) == (32_763, None)
    with pytest.raises(AssemblyError, match="more than 32764 bytes"):
        assemble(text.replace("s.exit", ".param u8 p\ns.exit"))
