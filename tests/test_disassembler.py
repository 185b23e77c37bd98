"""The disassembler: its text assembles back to the same module, and its options show what they say."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from object_samples import plain

from m890.isa import ISA
from m890.isa.assembler import assemble
from m890.isa.disassembler import disassemble
from m890.isa.program import SCALAR_TYPES, Kernel, Line, MacroCall, Module, lay_out

SOURCE = """
        .kernel scale
        .param  u32 n
        .param  ptr x
        .param  f32 table[4]
        .tsm    64
        .private 16
        .maxntid 256
        .reqntid 128, 2
        v.mov.b32 vreg0, n
loop:   vmem.ld.b32 vreg1, [bytes(0x1000) + vreg0 * 0x4] @x
        s.mov.b32 sreg20, lo(data)
        v.mul.f32 vreg1, vreg1, 1.5
        s.cbr.nz scc, loop
        s.cbr 1f
        s.nop
1:      .quad 0x1234
        simt.exit
        .kernel other
other:  s.cbr other
        .data
data:   .word 1, 2, 3
        .zero 100
more:
"""

DEFAULT_TEXT = """\
        .arch   ppu0015
        .file   "dir/scale.s"

        .kernel scale
        .param  u32 n
        .param  ptr x
        .param  f32 table[4]
        .tsm    64
        .private 16
        .maxntid 256, 1, 1
        .reqntid 128, 2, 1
        .vregs  2
        .sregs  48
        .loc    10
        v.mov.b32 vreg0, sreg6
        .loc    11
loop:
        vmem.ld.b32 vreg1, [0x820 + vreg0 * 0x4] @sreg[8:9]
        .loc    12
        s.mov.b32 sreg20, lo(data)
        .loc    13
        v.mul.f32 vreg1, vreg1, 0x3fc00000
        .loc    14
        s.cbr.nz scc, loop
        .loc    15
        s.cbr .L38
        .loc    16
        s.nop
        .loc    17
.L38:
        .quad   0x0000000000001234                                // 0x0000000000001234 is no instruction: \
opcode 0x000 is not assigned
        .loc    18
        simt.exit

        .kernel other
        .vregs  1
        .sregs  48
        .loc    20
other:
        s.cbr other

        .data
data:
        .byte   0x01, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00
        .zero   96
more:
"""


def comes_back(module: Module) -> None:
    """The default text and the listing both assemble to the module."""
    assert plain(assemble(disassemble(module))) == plain(module)
    listing = disassemble(module, addresses=True, words=True, annotate=True)
    assert plain(assemble(listing)) == plain(module)
    assert plain(assemble(disassemble(module, addresses=True, annotate=True))) == plain(module)


def test_default_text() -> None:
    module = assemble(SOURCE, "dir/scale.s")
    assert disassemble(module) == DEFAULT_TEXT
    comes_back(module)


def test_published_listing_with_annotations() -> None:
    text = disassemble(assemble(SOURCE), addresses=True, words=True, lines=False, annotate=True, kernel="scale")
    assert text.splitlines()[12:17] == [
        "       0: 00 08 00 00 80 01 00 50  v.mov.b32 vreg0, sreg6         // sreg6 = n",
        "loop:",
        "       8: 04 01 02 82 20 40 00 c9  vmem.ld.b32 vreg1, [0x820 + vreg0 * 0x4] @sreg[8:9]"
        "  // 0x820 is 4096 bytes, sreg[8:9] = x",
        "      10: 00 00 00 80 20 00 05 2e  s.mov.b32 sreg20, 0x80000000 <lo(data)>",
        "      18: 00 00 c0 3f 60 40 80 80  v.mul.f32 vreg1, vreg1, 0x3fc00000",
    ]
    assert "      20: fc ff 0f 30 a0 3c 80 09  s.cbr.nz scc, 0xffffc <loop>   // to 0x8" in text
    assert "s.cbr 0x1 <scale+0x38>" in text
    assert ".data" not in text
    assert "other" not in text


def test_options() -> None:
    module = assemble(SOURCE)
    assert "/*     10 */ s.mov.b32 sreg20" in disassemble(module, addresses=True)
    assert "/* 00 00 00 80 20 00 05 2e */ s.mov.b32 sreg20" in disassemble(module, words=True)
    assert ".loc" not in disassemble(module, lines=False)
    with pytest.raises(ValueError, match="there is no kernel nothing; the module has scale, other"):
        disassemble(module, kernel="nothing")


def test_a_parameter_is_named_only_while_its_register_holds_it() -> None:
    body = ".kernel k\n.param u32 n\n.param u32 m\ns.mov.b32 sreg6, m\ns.mov.b32 sreg20, n\nsimt.exit"
    text = disassemble(assemble(body), annotate=True)
    assert "sreg7 = m" in text
    assert "= n" not in text


def test_words_that_are_no_instructions_of_the_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    for form, _ in ISA.by_mnemonic["s.trap"]:
        monkeypatch.setattr(form.instruction, "architectures", ("ppu001",))
    word = ISA.by_mnemonic["s.trap"][0][0].value
    text = disassemble(Module("ppu0015", {"k": Kernel("k", np.array([word], np.uint64))}))
    assert f".quad   {word:#018x}" in text
    assert "s.trap is an instruction of ppu001" in text


def test_names_that_cannot_be_written_become_comments() -> None:
    labels = {"odd name": 0, "vreg1": 0, ".Lx": 0, "n": 0, "k": 8, "far": 800, "fine": 8}
    words = np.full(2, 0x0800000000000000, np.uint64)
    kernel = Kernel("k", words, params=lay_out([("n", "u32", 1)]), labels=labels)
    module = Module("ppu0015", {"k": kernel}, b"", {"a\nb": 0, "x": 7})
    text = disassemble(module)
    assert "// label odd name at 0x0\n" in text
    assert "// symbol a\\012b at 0x0\n" in text
    assert assemble(text).kernels["k"].labels == {"fine": 8}


NAMES = st.from_regex(r"[A-Za-z_$][A-Za-z0-9_.$]{0,8}", fullmatch=True).map(lambda name: f"n_{name}")
TEXTS = st.text(max_size=5) | st.just('a"\\b')
CALLS = st.lists(st.builds(MacroCall, TEXTS, TEXTS, st.integers(0, 2**31 - 1)), max_size=3)
LINES = st.lists(st.tuples(st.integers(0, 40), TEXTS, st.integers(0, 2**31 - 1), CALLS))


@st.composite
def kernels(draw: st.DrawFn, name: str) -> Kernel:
    """A kernel of random instructions, raw words and everything else a kernel has."""
    random = Random(draw(st.integers(0, 1 << 32)))
    forms = [form for form in ISA.forms() if "ppu0015" in form.instruction.architectures]
    raw = draw(st.lists(st.none() | st.integers(0, 2**64 - 1), max_size=30))
    words = [random.choice(forms).sample(random) if word is None else word for word in raw]
    declared = draw(st.lists(st.tuples(NAMES, st.sampled_from(list(SCALAR_TYPES)), st.integers(1, 3)), max_size=6))
    named = {entry[0]: entry for entry in declared}
    places = st.integers(0, len(words)).map(lambda place: 8 * place)
    labels = {f"l_{label}": offset for label, offset in draw(st.dictionaries(NAMES, places, max_size=5)).items()}
    lines = sorted(
        (8 * place, file, line, tuple(calls)) for place, file, line, calls in draw(LINES) if place <= len(words)
    )
    return Kernel(
        name=name,
        words=np.array(words, np.uint64),
        vregs=draw(st.integers(0, 256)),
        sregs=draw(st.integers(0, 192)),
        tsm=draw(st.integers(0, 262144)),
        private=draw(st.integers(0, 2**32 - 1)),
        maxntid=draw(st.none() | st.tuples(st.integers(1, 1024), st.integers(1, 1024), st.integers(1, 128))),
        reqntid=draw(st.none() | st.tuples(st.integers(1, 1024), st.integers(1, 1024), st.integers(1, 128))),
        params=lay_out(list(named.values())),
        labels=labels,
        lines=tuple(Line(*line) for line in lines),
    )


@st.composite
def modules(draw: st.DrawFn) -> Module:
    """A module of such kernels, with data."""
    found = {name: draw(kernels(name)) for name in draw(st.lists(NAMES, max_size=3, unique=True))}
    data = draw(st.lists(st.binary(max_size=40) | st.integers(0, 40).map(bytes), max_size=5).map(b"".join))
    symbols = draw(st.dictionaries(NAMES, st.integers(0, len(data)), max_size=5))
    return Module("ppu0015", found, data, symbols)


@given(modules())
def test_every_module_comes_back(module: Module) -> None:
    comes_back(module)
