"""Listings in the shape of the vendor's tools are source text: whole ones, parts, in either order of the bytes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from m890.isa import ISA
from m890.isa.assembler import assemble
from m890.isa.diagnostics import AssemblyError, Diagnostic
from m890.isa.objectfile import read, write
from m890.isa.program import Function, Line, Module

NOP = 0x0800000000000000
SOURCE = """
        .globl  helper
        .func   helper
        v.add.i32 vreg4, vreg4, vreg4
        s.cbr.nz scc, BB0_2
        v.add.i32 vreg4, vreg4, 1
BB0_2:  s.ret   sreg[38:39]
        .func   other
        s.wait  vldcnt(0), vstcnt(0), sldcnt(0), sstcnt(0), tsmcnt(0)
        s.ret   sreg[38:39]
        .kernel _Z5saxpyPfi
        v.tid.init vreg3, sreg[36:37]
        v.and.b32 vreg3, vreg3, 0xfff
        v.cmp.gt.u32 sreg2, sreg10, vreg3.reuse
        s.lop.emsk sreg14, sreg2 # 0x8
        vmem.ld.b32x4.kp1 vreg[4:7], [0x810 + vreg3 * 0x10] @sreg[6:7]
        s.wait  vldcnt(0)
        s.call  sreg[38:39], helper
        vmem.st.b32x4 vreg[4:7], [0x0 + vreg3 * 0x10] @sreg[8:9]
        s.or.b32 emsk, emsk, sreg14
        simt.exit
BB0_1:  s.nop
        s.cbr   BB0_1
        .rept   5
        s.nop
        .endr
"""


def listed(function: Function, order: str, start: int = 0, names: dict[int, str] | None = None) -> list[str]:
    """A function's lines as hgobjdump writes them."""
    lines: list[str] = []
    marks = {offset: name for name, offset in function.labels.items() if name != function.name}
    for index, word in enumerate(function.words.tolist()):
        offset, content = 8 * index, word.to_bytes(8, order).hex(" ")
        if offset in marks:
            lines += ["", f"{start + offset:016x} <{marks[offset]}>:", f"; {marks[offset]}():"]
        if index % 3 == 0:
            lines.append(f"; /tmp/saxpy kernel.cu:{20 + index}")
        form = ISA.decode(word).form
        text = form.text(word).replace(" ", "\t", 1)
        if form.instruction.mnemonic.startswith("s.cbr"):
            text += " <BB0_1>"
        lines.append(f"{start + offset:8x}: {content}      \t{text}{(names or {}).get(index, '')}")
    return lines


def vendor(module: Module, order: str, *, arch: str = "1.5") -> str:
    """A module as hgobjdump lists it; calls are annotated as branches are."""
    lines = ["saxpy.out:\tfile format elf64-x86-64", "", f"ELF FILE 1 (PPU {arch}) (SIMT):", ""]
    lines += ["Disassembly of section .text:", "", "0000000000000000 <.text>:"]
    lines += [f"{8 * n:8x}: {NOP.to_bytes(8, order).hex(' ')}      \ts.nop" for n in range(16)]
    for name, start in module.function_offsets().items():
        lines += ["", f"{start:016x} <{name}>:", f"; {name}():"]
        lines += listed(module.functions[name], order, start)
    for name, kernel in module.kernels.items():
        lines += ["", f"Disassembly of section .text.kernel.{name}:", "", f"{0:016x} <{name}>:", f"; {name}():"]
        calls = {relocation.offset // 8: f" <{relocation.symbol}>" for relocation in kernel.relocations}
        lines += listed(kernel, order, 0, calls)
    lines += ["", ".debug_line contents:", "debug_line[0x00000000]", "Line table prologue:"]
    lines += ["    total_length: 0x00000066", "", "0x0000000000000010     28     31      1   0             0  is_stmt"]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_whole_listing_is_its_module(order: str) -> None:
    module = assemble(SOURCE)
    warnings: list[Diagnostic] = []
    found = assemble(vendor(module, order), "saxpy.isa", warn=warnings.append)
    assert not warnings
    assert (list(found.functions), list(found.kernels)) == (["helper", "other"], ["_Z5saxpyPfi"])
    for name, code in {**module.functions, **module.kernels}.items():
        other = {**found.functions, **found.kernels}[name]
        assert other.words.tolist() == code.words.tolist()
        assert other.labels == code.labels
        assert other.relocations == code.relocations
    assert found.kernels["_Z5saxpyPfi"].lines[1] == Line(24, "/tmp/saxpy kernel.cu", 23)
    assert read(write(found)).kernels["_Z5saxpyPfi"].labels == {"BB0_1": 80}


PUBLISHED = """
ELF FILE 1 (PPU 1.0) (SIMT):

Disassembly of section .text:

0000000000000110 _Z4MathPfS_:
     110: 00 00 00 00 00 00 f1 08          s.wait    pipe_flush
     118: 00 00 00 00 20 40 80 56          v.mov.alllane.b32    vreg1, 0x0
     120: ff 0f 00 00 20 09 00 26          s.and.b32    sreg0, sreg36, 0xfff
     128: 00 00 00 00 00 c9 c0 57          v.tid.init    vreg3, sreg[36:37]
     130: 00 00 00 00 00 00 80 7f          simt.exit
"""


def test_a_listing_without_sections_of_kernels_has_them_in_text() -> None:
    found = assemble(PUBLISHED)
    assert (found.arch, list(found.functions)) == ("ppu001", [])
    assert found.kernels["_Z4MathPfS_"].words.tolist() == [
        0x08F1000000000000,
        0x5680402000000000,
        0x2600092000000FFF,
        0x57C0C90000000000,
        0x7F80000000000000,
    ]


def test_what_a_listing_does_not_say_can_be_added() -> None:
    text = PUBLISHED.replace("MathPfS_:\n", "MathPfS_:\n.param ptr x\n.tsm 64\n")
    kernel = assemble(text).kernels["_Z4MathPfS_"]
    assert (kernel.params[0].name, kernel.tsm, kernel.words.size) == ("x", 64, 5)


def test_a_listing_that_leaves_words_out_is_warned_of() -> None:
    lines = PUBLISHED.splitlines()
    lines[8:9] = ["     ..."]
    warnings: list[Diagnostic] = []
    assert assemble("\n".join(lines), warn=warnings.append).kernels["_Z4MathPfS_"].words.size == 4
    assert [(warning.line, warning.message) for warning in warnings] == [
        (10, "the listing leaves out 1 words before this line")
    ]


@pytest.mark.parametrize("order", ["little", "big"])
def test_bytes_that_are_not_the_text_are_named_in_both_readings(order: str) -> None:
    text = vendor(assemble(SOURCE), order)
    content = (0x9A00C0E000000FFF).to_bytes(8, order).hex(" ")
    assert content in text
    wrong = text.replace(content, (0x9A00C0E0000000FF).to_bytes(8, order).hex(" "))
    with pytest.raises(AssemblyError) as caught:
        assemble(wrong, "a.isa")
    (error,) = caught.value.diagnostics
    assert "v.and.b32\tvreg3, vreg3, 0xfff" in wrong.splitlines()[error.line - 1]
    assert "but the text means 0x9a00c0e000000fff" in error.message
    there = "lowest byte first" if order == "little" else "highest first"
    assert f"{there}: v.and.b32 vreg3, vreg3, 0xff" in error.hint
    assert ": no instruction" in error.hint


@pytest.mark.parametrize("order", ["little", "big"])
def test_every_wrong_byte_is_found(order: str) -> None:
    """Of each word some byte is changed; words whose low half the linker fills in only have to agree above."""
    lines = vendor(assemble(SOURCE), order).splitlines()
    random = np.random.default_rng(5)
    for number, line in enumerate(lines):
        match = re.match(r"\s*[0-9a-f]+: ((?:[0-9a-f]{2} ){7}[0-9a-f]{2})", line)
        if match is None or "s.nop" in line:
            continue
        content = bytearray.fromhex(match[1])
        place = int(random.integers(4, 8)) if order == "little" else int(random.integers(0, 4))
        content[place] ^= int(random.integers(1, 256))
        changed = [*lines[:number], line.replace(match[1], content.hex(" ")), *lines[number + 1 :]]
        with pytest.raises(AssemblyError) as caught:
            assemble("\n".join(changed))
        assert [error.line for error in caught.value.diagnostics] == [number + 1]


ANALYSED = """
HGBAT-INFO: Func 1 (device): _Z5funcCi
HGBAT-INFO: Func 2 (kernel): _Z4funcPi

HGBAT-INFO: Binary Function "_Z5funcCi" after disassembly {
  Number      : 1
  Address     : 0x0
  BB Count    : 0

  _Z5funcCi:
      00000000:     s.wait    pipe_flush
      00000008:     s.wait    vldcnt(0), vstcnt(0), sldcnt(0), sstcnt(0), tsmcnt(0)
      0000001a:     s.ret     sreg[38:39]
}

HGBAT-INFO: "_Z4funcPi" Live Range Analysis {
                                                                    //   #  s:00000 |   #  v:000000000011111
  _Z4funcPi:
    s.wait  pipe_flush                                              //   1  s:----- |   6  v:0-2345--8------
    simt.rcbr.n  sreg15, 0x1                                        //   3  s:----- |   7  v:0---4567-9----4
  .LBB1:
    v.mov.b32  vreg7, vreg6                                         //   2  s:----- |   7  v:0---4567-9----4
    simt.exit
}
"""


def test_what_the_analyser_prints_is_source_too() -> None:
    found = assemble(ANALYSED)
    assert [ISA.text(word) for word in found.functions["_Z5funcCi"].words.tolist()] == [
        "s.wait pipe_flush",
        "s.wait vldcnt(0), vstcnt(0), sldcnt(0), sstcnt(0), tsmcnt(0)",
        "s.ret sreg[38:39]",
    ]
    assert [ISA.text(word) for word in found.kernels["_Z4funcPi"].words.tolist()] == [
        "s.wait pipe_flush",
        "simt.rcbr.n sreg15, 0x1",
        "v.mov.b32 vreg7, vreg6",
        "simt.exit",
    ]
