"""Ten usual mistakes of a kernel developer: each gives a message that names line and lane and says what to do.

A case is a source, how it is run, the exit code, and what the message must contain.
"""

from pathlib import Path
from typing import NamedTuple

import pytest
from command_line import m890


class Mistake(NamedTuple):
    """A mistake: source `k.s`, flags behind the usual ones, exit code, and texts of the message."""

    source: str
    flags: list[str]
    code: int
    message: list[str]


LOAD = """\
        .kernel k
        .param  ptr x
        .param  ptr y
        v.mov.b32       vreg0, %tid.x
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        s.wait          vldcnt(0)
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @y
        simt.exit
"""
BUFFERS = ["--arg", "x=arange:s32:64", "--arg", "y=zeros:s32:64"]
INDIRECT = LOAD.replace("        vmem.st", "        vmem.ld.b32     vreg2, [0x0 + vreg1 * 0x4] @x\n        vmem.st")

MISTAKES = {
    "unknown mnemonic": Mistake(
        LOAD.replace("v.mov.b32 ", "v.move.b32"),
        BUFFERS,
        3,
        ["k.s:4:9: error: unknown instruction v.move.b32", "^~~~~~~~~~", "hint: did you mean v.mov.b32"],
    ),
    "wrong register range": Mistake(
        LOAD.replace("vmem.ld.b32     vreg1", "vmem.ld.b32x4   vreg[1:4]"),
        BUFFERS,
        3,
        ["k.s:5:25: error: vreg[1:4] is not aligned", "hint: a range of 4 starts at a multiple of 4: vreg[0:3]"],
    ),
    "missing wait under late": Mistake(
        INDIRECT.replace("        s.wait          vldcnt(0)\n", ""),
        [*BUFFERS, "--timing", "late"],
        1,
        ["k.s:6  vmem.ld.b32", "lanes        0-31", "vreg1 = 0x7fff7fff"],
    ),
    "out-of-bounds load": Mistake(
        LOAD,
        [*BUFFERS, "--arg", "x=arange:s32:40"],
        1,
        [
            "Global mem out of range",
            "block (0,0,0), warp 1",
            "k.s:5  vmem.ld.b32",
            "lanes        8-31",
            "(40,0,0)-(63,0,0)",
            "right past the end of 'x' (160 bytes",
            "hint         compare the index with the array's length before the access",
        ],
    ),
    "null pointer": Mistake(
        LOAD.replace("        vmem.ld", "s.mov.b64 sreg[40:41], 0\nvmem.ld").replace("@x", "@sreg[40:41]"),
        BUFFERS,
        1,
        [
            "looks like a null pointer",
            "hint         a null pointer, or a pair of registers that was never loaded: what is in the base?",
        ],
    ),
    "wrong index scale": Mistake(
        LOAD.replace("vreg0 * 0x4] @x", "vreg0 * 0x20] @x"),
        BUFFERS,
        1,
        [
            "right past the end of 'x'",
            "hint         the index scale is 32, the access moves 4 bytes: is the scale right? Else compare the index",
        ],
    ),
    "negative index": Mistake(
        LOAD.replace("        vmem.ld", "        v.sub.i32       vreg0, vreg0, 4\n        vmem.ld"),
        BUFFERS,
        1,
        [
            "lanes        0-3",
            "past the end of 'y' (256 bytes",
            "; the base sreg[6:7] is 0 bytes into 'x' (256 bytes at 0x4000000000)",
            "hint         vreg0 is 0xfffffffc, which is -4 if it is meant to be signed: an index counts unsigned",
        ],
    ),
    "no return from a function": Mistake(
        ".func f\ns.nop\n.kernel k\ns.call sreg[38:39], f\nsimt.exit\n",
        [],
        1,
        [
            "k.s:1:1: warning: function f goes on behind its last instruction",
            "hint: end it with s.ret sreg[38:39]",
            "function f + 0x8",
            "hint         function f ends without going back: end it with s.ret on every path",
        ],
    ),
    "return address overwritten": Mistake(
        ".func f\ns.call sreg[38:39], g\ns.ret sreg[38:39]\n.func g\ns.ret sreg[38:39]\n"
        ".kernel k\ns.call sreg[38:39], f\nsimt.exit\n",
        [],
        5,
        [
            "deadlock: 2 warps waiting",
            "function f + 0x8 (k.s:3)",
            "hint: sreg[38:39] leads back into function f: a function that calls others saves it before",
        ],
    ),
    "misaligned access": Mistake(
        LOAD.replace("vreg0 * 0x4] @x", "vreg0 * 0x2] @x"),
        BUFFERS,
        1,
        [
            "Invalid global mem access alignment",
            "k.s:5  vmem.ld.b32",
            "lanes        1,3,5,7",
            "is not a multiple of 4",
            "hint         a lane's address must be a multiple of the bytes it moves",
        ],
    ),
    "infinite loop": Mistake(
        ".kernel k\n        s.mov.b32 sreg20, 0x0\nagain:  s.add.i32 sreg20, sreg20, 0x1\n        s.cbr again\n",
        ["--limit", "100000"],
        5,
        [
            "limit of 100,000 instructions",
            "k.s:",
            "block (0,0,0) warp 0-1",
            "hint: if it only needs longer, raise --limit",
            "a loop that never ends is where the warps stand",
        ],
    ),
    "infinite loop that changes nothing": Mistake(
        ".kernel k\nagain:  s.cbr again\n",
        [],
        5,
        [
            "deadlock: 2 warps waiting",
            "k.s:2",
            "it loops",
            "hint: states repeat and no memory changes",
        ],
    ),
    "barrier some warps never reach": Mistake(
        """\
        .kernel k
        s.cmp.eq.u32    scc, %warpid, 0x0
        s.cbr.nz        scc, alone
        s.blksyn
        simt.exit
alone:  s.cbr           alone
""",
        [],
        5,
        [
            "deadlock",
            "k.s:4) waiting for the block barrier (1 of 2 warps are there)",
            "warp 1",
            "k.s:6)",
            "warp 0 lanes 0-31",
            "hint:",
        ],
    ),
    "missing argument": Mistake(LOAD, BUFFERS[:2], 2, ["kernel 'k' lacks 1 of 2 arguments: y (a buffer)"]),
    "misspelt argument": Mistake(
        LOAD.replace("ptr y", "ptr result").replace("@y", "@result"),
        [*BUFFERS[:2], "--arg", "resutl=zeros:s32:64"],
        2,
        ["kernel 'k' has no parameter 'resutl': did you mean 'result'?"],
    ),
    "wrong argument type": Mistake(
        LOAD.replace("ptr x", "u32 n\n        .param  ptr x"),
        [*BUFFERS, "--arg", "n=2.5"],
        2,
        ["argument 'n' is of type u32; 2.5 is not a whole number"],
    ),
    "buffer for a number": Mistake(
        LOAD.replace("ptr x", "u32 n\n        .param  ptr x"),
        [*BUFFERS, "--arg", "n=zeros:u32:1"],
        2,
        ["argument 'n': takes a number, u32, not a buffer"],
    ),
    "TSM overflow": Mistake(
        ".kernel k\n        .tsm 64\n        v.mov.b32 vreg0, %tid.x\n"
        "        tsm.st.b32 vreg0, [0x0 + vreg0 * 0x4]\n        simt.exit\n",
        [],
        1,
        [
            "TSM out of range",
            "k.s:4  tsm.st.b32",
            "lanes        16-31",
            "lane 16: 4 bytes at TSM offset 0x40; the block has 64 bytes",
            "hint         declare more with .tsm",
        ],
    ),
    "TSM beyond the chip": Mistake(
        ".kernel k\n        simt.exit\n",
        ["--tsm", "300000"],
        2,
        ["300000 bytes of TSM a block", "has 262144: use a smaller tile"],
    ),
    "source for the wrong architecture": Mistake(
        "        .arch ppu001\n" + LOAD,
        BUFFERS,
        3,
        ["k.s: is for ppu001, but M890 is ppu0015: run it with --chip 810E, or write .arch ppu0015"],
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(file: str, flags: list[str], code: int) -> str:
    """The message of a run with two warps that ends with this exit code."""
    return m890("run", file, "--grid", "1", "--block", "64", *flags, code=code).stderr


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_explained(mistake: Mistake):
    Path("k.s").write_text(mistake.source)
    message = run("k.s", mistake.flags, mistake.code)
    for part in mistake.message:
        assert part in message
    assert "Traceback" not in message


def test_a_missing_wait_is_named():
    mistake = MISTAKES["missing wait under late"]
    Path("k.s").write_text(mistake.source)
    assert "s.wait" in run("k.s", mistake.flags, mistake.code).partition("hint")[2]


def test_a_missing_wait_is_named_by_a_check():
    Path("k.s").write_text(
        LOAD.replace("s.wait          vldcnt(0)", "v.mov.b32       vreg2, vreg1").replace(
            "vmem.st.b32     vreg1", "vmem.st.b32     vreg2"
        )
    )
    Path("k.toml").write_text(
        '[buffers]\nx = { init = "arange:s32:64" }\ny = { init = "zeros:s32:64" }\n[[launch]]\nobject = "k.s"\n'
        'grid = 1\nblock = 64\nargs = { x = "x", y = "y" }\n[[check]]\nbuffer = "y"\nexpect = "arange"\n'
    )
    m890("run", "k.toml")
    late = m890("run", "k.toml", "--timing", "late", code=1)
    assert "64 hold poison: memory nothing wrote, or a register or bytes of TSM read before the s.wait" in late.stdout


@pytest.mark.parametrize("mistake", ["unknown mnemonic", "wrong register range"])
def test_the_assembler_alone_says_the_same(mistake: str):
    Path("k.s").write_text(MISTAKES[mistake].source)
    result = m890("asm", "k.s", code=3)
    assert all(part in result.stderr for part in MISTAKES[mistake].message)


def test_an_object_for_the_wrong_architecture():
    Path("k.s").write_text("        .arch ppu001\n" + LOAD)
    m890("asm", "k.s", "-o", "k.hgbin")
    message = run("k.hgbin", BUFFERS, 3)
    assert "k.hgbin: is for ppu001, but M890 is ppu0015: run it with --chip 810E" in message
    run("k.hgbin", [*BUFFERS, "--chip", "810E"], 0)
