"""The linker: what it joins runs as if it had been one file, in any order; what does not go together is named."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from command_line import m890
from hypothesis import given, settings
from hypothesis import strategies as st
from object_samples import plain

from m890.emulator.chip import Chip
from m890.emulator.faults import Fault, LaunchError
from m890.isa import objectfile
from m890.isa.assembler import assemble
from m890.isa.disassembler import disassemble
from m890.isa.linker import LinkError, link
from m890.isa.program import Module
from m890.isa.relocations import missing

MAIN = """
        .extern scale, table
        .kernel k
        .param  ptr out
        v.mov.b32 vreg4, %tid.x
        v.mov.b32 vreg0, vreg4
        s.mov.b32 sreg50, lo(table + 8)
        s.mov.b32 sreg51, hi(table + 8)
        smem.ld.b32x2 sreg[52:53], [0x0] @sreg[50:51]
        s.wait  sldcnt(0)
        s.call  sreg[38:39], sreg[52:53]
        s.call  sreg[38:39], scale
        s.call  sreg[38:39], step
        vmem.st.b32 vreg0, [0x0 + vreg4 * 0x4] @out
        simt.exit
        .func   step
        v.add.i32 vreg0, vreg0, 1
        s.ret   sreg[38:39]
        .data
        .word   7
"""
MATH = """
        .globl  scale
        .func   step
        v.add.i32 vreg0, vreg0, 100
        s.ret   sreg[38:39]
        .func   scale
        s.mov.b64 sreg[42:43], sreg[38:39]
        s.call  sreg[38:39], step
        v.mull.i32 vreg0, vreg0, 3
        s.ret   sreg[42:43]
"""
TABLES = """
        .extern scale
        .globl  table
        .func   negate
        v.sub.i32 vreg0, 0, vreg0
        s.ret   sreg[38:39]
        .data
        .byte   1
        .align  1024
table:  .quad   scale, negate, table
        .word   lo(table), hi(negate)
"""
FILES = {"main.s": MAIN, "math.s": MATH, "tables.s": TABLES}


def modules() -> dict[str, Module]:
    """The files above, assembled."""
    return {name: assemble(text, name) for name, text in FILES.items()}


def run(module: Module, threads: int = 64, timing: Any = "eager") -> list[int]:
    """What its kernel k stores."""
    chip = Chip("M890", timing=timing)
    out = chip.to_device(np.zeros(threads, np.uint32))
    chip.load(module)["k"][1, threads](out)
    return out.copy_to_host().tolist()


EXPECTED = [(((-n & 0xFFFFFFFF) + 100) * 3 + 1) & 0xFFFFFFFF for n in range(64)]


@pytest.mark.parametrize("order", list(itertools.permutations(FILES)))
def test_files_run_together_in_any_order(order: tuple[str, ...]) -> None:
    found = modules()
    before = [plain(module) for module in found.values()]
    linked = link([(name, found[name]) for name in order])
    assert [plain(module) for module in found.values()] == before
    assert run(linked) == EXPECTED
    assert run(linked, timing="late") == EXPECTED
    assert not missing(linked)
    written = objectfile.write(linked)
    assert plain(objectfile.read(written)) == plain(linked)
    assert objectfile.write(link([(name, found[name]) for name in order])) == written
    for text in (disassemble(linked), disassemble(linked, addresses=True, words=True, annotate=True)):
        assert plain(assemble(text)) == plain(linked)
        assert objectfile.write(assemble(text)) == written


@pytest.mark.parametrize("order", list(itertools.permutations(FILES)))
def test_linking_in_two_steps_is_linking_in_one(order: tuple[str, ...]) -> None:
    found = modules()
    whole = link([(name, found[name]) for name in order])
    rest = order[2]
    defined = {name: found[name] for name in order[:2]}
    if missing(found[order[0]]).keys() | missing(found[order[1]]).keys() <= set().union(
        *(module.exported for module in defined.values())
    ):
        first = objectfile.read(objectfile.write(link(list(defined.items()))))
        assert plain(link([("first", first), (rest, found[rest])])) == plain(whole)
    assert plain(link([("all", whole)])) == plain(whole)


def test_lines_and_labels_stay_with_their_code() -> None:
    found = modules()
    linked = link(list(found.items()))
    assert [(name, code.lines[0].file) for name, code in linked.functions.items()] == [
        ("step", "main.s"),
        ("step.1", "math.s"),
        ("scale", "math.s"),
        ("negate", "tables.s"),
    ]
    assert linked.functions["scale"].lines == found["math.s"].functions["scale"].lines
    assert linked.data_alignment == 1024
    assert linked.data_symbols == {"table": 2048}
    assert linked.data[:4] == b"\7\0\0\0"


PROBLEMS = {
    "two functions": (
        [".globl f\n.func f\ns.ret sreg[38:39]", ".globl f\n.data\nf: .byte 1"],
        "f is defined twice: a function in 0.s, a data symbol in 1.s",
    ),
    "two kernels": ([".kernel k\ns.exit", ".kernel k\ns.exit"], "k is defined twice: a kernel in 0.s, a kernel in 1.s"),
    "missing": (
        [".extern sine\n.kernel k\ns.call sreg[38:39], sine\ns.exit", ".globl sines\n.func sines\ns.ret sreg[38:39]"],
        "sine is not defined, 0.s needs it; did you mean sines?",
    ),
    "missing in data": (
        [".extern f\n.data\n.quad f", ".kernel k\ns.exit"],
        "f is not defined, 0.s needs it; give the object that has it, too",
    ),
    "not visible": (
        [".extern f\n.kernel k\ns.call sreg[38:39], f\ns.exit", ".func f\ns.ret sreg[38:39]"],
        "f is not defined, 0.s needs it; 1.s has one of its own: write .globl f there",
    ),
    "architectures": (
        [".arch ppu0015\n.kernel a\ns.exit", ".arch ppu001\n.kernel b\ns.exit"],
        "0.s is for ppu0015; 1.s",
    ),
    "nothing": ([], "there is nothing to link"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_does_not_go_together_is_named(name: str) -> None:
    texts, says = PROBLEMS[name]
    with pytest.raises(LinkError, match=re.escape(says)):
        link([(f"{n}.s", assemble(text + "\n")) for n, text in enumerate(texts)])


def test_an_incomplete_module_is_not_loaded() -> None:
    with pytest.raises(LaunchError, match=re.escape("needs scale (in k), table (in k) of another object: m890 link")):
        Chip("M890").load(modules()["main.s"])


def test_a_label_that_is_a_function_elsewhere_gets_another_name() -> None:
    one = assemble(".kernel k\nloop: s.cbr.nz scc, loop\ns.exit\n")
    other = assemble(".globl loop\n.func loop\ns.ret sreg[38:39]\n")
    linked = link([("a", one), ("b", other)])
    assert linked.kernels["k"].labels == {"loop.1": 0}
    assert plain(assemble(disassemble(linked))) == plain(linked)


# A program as one file and as several.


def program(random: Random) -> tuple[list[tuple[str, str]], list[int]]:
    """Parts of a program, (what, text), and what its kernel computes from 0, ..., 31."""
    count = random.randint(1, 7)
    constants = [random.getrandbits(16) for _ in range(count)]
    calls = [[random.randrange(n) for _ in range(random.randint(0, 2))] if n else [] for n in range(count)]
    parts: list[tuple[str, str]] = []
    for n in range(count):
        save = f"sreg[{60 + 2 * n}:{61 + 2 * n}]"
        body = [f".func f{n}", f"s.mov.b64 {save}, sreg[38:39]", f"v.add.i32 vreg0, vreg0, {constants[n]}"]
        body += [call(f"f{m}", f"t{m}", random) for m in calls[n]]
        parts.append((f"f{n}", "\n".join([*body, f"s.ret {save}"])))
        align = f".align {1 << random.randint(3, 10)}\n" if random.random() < 0.5 else ".align 8\n"
        parts.append((f"t{n}", f".data\n.byte {n}\n{align}t{n}: .quad f{n}\n.text"))
    top = random.randrange(count)
    kernel = ".kernel k\n.param ptr out\nv.mov.b32 vreg4, %tid.x\nv.mov.b32 vreg0, vreg4"
    parts.append(
        ("k", f"{kernel}\n{call(f'f{top}', f't{top}', random)}\nvmem.st.b32 vreg0, [0x0 + vreg4 * 0x4] @out\nsimt.exit")
    )

    def total(n: int) -> int:
        return constants[n] + sum(total(m) for m in calls[n])

    return parts, [lane + total(top) & 0xFFFFFFFF for lane in range(32)]


def call(function: str, table: str, random: Random) -> str:
    """A call: by name, by the halves of the address, or through a table in memory."""
    way = random.randrange(3)
    if way == 0:
        return f"s.call sreg[38:39], {function}"
    if way == 1:
        return f"s.mov.b32 sreg50, lo({function})\ns.mov.b32 sreg51, hi({function})\ns.call sreg[38:39], sreg[50:51]"
    load = (
        f"s.mov.b32 sreg52, lo({table})\ns.mov.b32 sreg53, hi({table})\nsmem.ld.b32x2 sreg[50:51], [0x0] @sreg[52:53]"
    )
    return f"{load}\ns.wait sldcnt(0)\ns.call sreg[38:39], sreg[50:51]"


@settings(max_examples=25)
@given(st.integers(0, 1 << 32))
def test_a_program_in_several_files_is_the_program(seed: int) -> None:
    random = Random(seed)
    parts, expected = program(random)
    names = [name for name, _ in parts if name != "k"]
    files: list[list[str]] = [[] for _ in range(random.randint(1, 4))]
    for name, text in parts:
        random.choice(files).append((f".globl {name}\n" if name != "k" else "") + text)
    texts = [f".extern {', '.join(names)}\n" + "\n".join(file) + "\n" for file in files]
    linked = link([(f"{n}.s", assemble(text)) for n, text in enumerate(texts)])
    whole = assemble("\n".join(text for _, text in parts) + "\n")
    assert run(whole, 32) == run(linked, 32) == expected
    assert plain(assemble(disassemble(linked, addresses=True, words=True))) == plain(linked)
    assert plain(objectfile.read(objectfile.write(linked))) == plain(linked)


# The command.


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
        m890("asm", name)
    done = m890("link", "main.hgbin", "math.hgbin", "tables.s", "-o", "all.hgbin")
    assert done.output == "all.hgbin: 1 kernels, 4 functions, 2,080 bytes of data\n"
    m890("link", "main.s", "math.s", "tables.hgbin", "-o", "again.hgbin")
    assert Path("all.hgbin").read_bytes() == Path("again.hgbin").read_bytes()
    m890("run", "all.hgbin", "--grid", "1", "--block", "64", "--arg", "out=zeros:u32:64", "--out", "out=o.npy")
    assert np.load("o.npy").tolist() == EXPECTED


def test_the_command_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("main.s").write_text(MAIN)
    done = m890("asm", "main.s")
    assert "main.hgbin: needs scale, table of other objects: m890 link main.hgbin" in done.output
    done = m890("link", "main.s", "-o", "all.hgbin", code=3)
    assert "scale is not defined, main.s needs it" in done.stderr
    assert not Path("all.hgbin").exists()
    done = m890("run", "main.s", "--grid", "1", "--block", "64", "--arg", "out=zeros:u32:64", code=3)
    assert "needs scale (in k), table (in k) of another object" in done.stderr


def test_texts_of_several_files_stay_apart() -> None:
    """Operands that are places in .data move with it."""
    texts = [
        f'.kernel k{n}\ns.mov.b32 sreg40, 0\nv.assert sreg40, text\ns.exit\n.data\n.byte {n}\ntext: .asciz "file {n}"\n'
        for n in range(3)
    ]
    linked = link([(f"{n}.s", assemble(text)) for n, text in enumerate(texts)])
    assert plain(assemble(disassemble(linked))) == plain(linked)
    chip = Chip("M890")
    for n in range(3):
        with pytest.raises(Fault, match=f"file {n}"):
            chip.load(linked)[f"k{n}"][1, 32]()
