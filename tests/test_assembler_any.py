"""No text makes the assembler crash or hang, and long ones take time in proportion."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from assembly import SAXPY
from hypothesis import given
from hypothesis import strategies as st

from m890.isa.assembler import AssemblyError, assemble
from m890.isa.program import Module


def growth(text_of: Callable[[int], str]) -> float:
    """How long a text takes beside four of a quarter of its lines: processor time, the least of three comparisons.

    What is compared takes as long and comes one behind the other, so a busy machine is slow at both.
    """

    def seconds(text: str, times: int) -> float:
        start = time.process_time()
        for _ in range(times):
            assemble(text)
        return time.process_time() - start

    few, many = text_of(2_500), text_of(10_000)
    return min(seconds(many, 1) / seconds(few, 4) for _ in range(3))


def test_time_grows_as_the_lines_do() -> None:
    head, body = SAXPY.splitlines()[:7], SAXPY.splitlines()[8:-1]

    def lines(count: int) -> str:
        some = [f"l{n}: {body[n % len(body)]}" if n % 10 == 0 else body[n % len(body)] for n in range(count)]
        return "\n".join([*head, *some, "s.cbr.nz scc, l10", "simt.exit"])

    assert growth(lines) < 1.6


def test_time_grows_as_forward_references_do() -> None:
    def lines(count: int) -> str:
        return "\n".join([".kernel k", *(f"label{n}: s.cbr label{n + 1}" for n in range(count)), f"label{count}:"])

    assert growth(lines) < 1.6


_PIECES = r"""
.kernel k|.macro m a,b=2|.endm|.rept 3|.rept 99999|.endr|.if 1|.else|.elseif x|.endif|.ifdef a|.data|.text|.byte |
.quad |.word 1,2|x:|1:|1b|1f|x|.tsm 16 b|.param u32 n|.param ptr p[3]|.reg a = vreg[1:4]|q = q+1|.include "a"|
.align 8|.zero 10|.asciz "a"|m 1|m|\a|\@|.loc 3|.file "x"|"|'|/*|*/|//|;|[|]|(|)|@p|+|-|*|<<|?|:|vreg4|sreg[4:5]|
a[1]|!|.reuse|bytes(3)|lo(|.|0x10|1.5|nan|1e3|070|,|#|s.cbr |v.add.f32 |s.wait |vldcnt(0)|.maxntid 1,2|.vregs 3|
.arch ppu001|%tid.x|%foo|<B>:|50: c9 00 04 00 e0 00 01 c9 |%|/|<|>|="""
PIECES = [*_PIECES.replace("\n", "").split("|"), "|", "||", "\0"]


def survives(text: str) -> Module | None:
    """Any text assembles or gives errors that can be printed."""
    try:
        return assemble(text)
    except AssemblyError as error:
        printed = str(error)
    assert ": error: " in printed
    return None


@given(st.text())
def test_any_text_assembles_or_has_errors(text: str) -> None:
    survives(text)


@given(st.lists(st.tuples(st.sampled_from(PIECES) | st.text(max_size=4), st.sampled_from(["", " ", "\n"]))))
def test_any_pieces_assemble_or_have_errors(pieces: list[tuple[str, str]]) -> None:
    survives(".kernel k\n" + "".join(piece + space for piece, space in pieces))


@pytest.mark.parametrize("piece", ["(", "-", "1+", "a?", "|", "vreg[", "1<<", "9", '"', "\\", "lo(", "1 && ", "[", "!"])
def test_long_expressions_end(piece: str) -> None:
    for place in ("v.add.f32 vreg1, vreg2, ", ".if ", ".equ a, ", ""):
        assert survives(f".kernel k\n{place}{piece * 3000}") is None


@pytest.mark.parametrize(
    "body",
    [
        ".macro m a\nm \\a\\a\n.endm\nm x",
        ".macro m\nm\nm\n.endm\nm",
        ".rept 100000\n.rept 100000\ns.nop\n.endr\n.endr",
        ".rept 1000000000\ns.nop\n.endr",
        ".data\n.zero 1 << 60",
        ".align 1 << 40",
    ],
)
def test_expansion_ends(body: str) -> None:
    assert survives(f".kernel k\n{body}") is None
