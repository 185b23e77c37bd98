"""What kernels print: formats against the C library's, lanes and warps in order, the console's limit, the shell."""

import ctypes
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from click.testing import Result
from command_line import m890
from hypothesis import example, given, settings

from m890.emulator.chip import Chip
from m890.emulator.faults import Fault
from m890.emulator.printing import MOST_DIGITS, Console, format_words
from m890.emulator.schedule import Schedule
from m890.isa.diagnostics import AssemblyError

# Formats. The host's snprintf is the oracle: it takes binary64, to which binary32 converts without a change.

LIBC = ctypes.CDLL(None)


def in_c(template: str, *values: Any) -> str:
    buffer = ctypes.create_string_buffer(10_000)
    assert LIBC.snprintf(buffer, len(buffer), template.encode(), *values) < len(buffer)
    return buffer.value.decode("latin-1")


def words_of(value: int, count: int) -> list[int]:
    return [value >> 32 * n & 0xFFFFFFFF for n in range(count)]


FLAGS = st.text("-+ #0", max_size=3)
WIDTH = st.just("") | st.integers(1, 24).map(str)
PRECISION = st.just("") | st.integers(0, 24).map(lambda n: f".{n}") | st.just(".")
EDGES = st.sampled_from([0, 1, 7, 8, 255, 256, 0x7F, 0x80, 0x7FFF, 0x8000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])


@given(flags=FLAGS, width=WIDTH, precision=PRECISION, size=st.sampled_from(["", "h", "hh", "l", "ll", "z"]),
       kind=st.sampled_from("diuxXo"), value=EDGES | st.integers(0, (1 << 64) - 1))  # fmt: skip
@settings(max_examples=300)
@example(flags="#", width="", precision=".0", size="", kind="o", value=0)
@example(flags="0", width="5", precision=".3", size="", kind="d", value=5)
def test_integers(flags: str, width: str, precision: str, size: str, kind: str, value: int) -> None:
    wide = size in ("l", "ll", "z")
    value &= (1 << 64 if wide else 1 << 32) - 1
    template = f"<%{flags}{width}{precision}{size}{kind}>"
    given_to_c = (ctypes.c_uint64 if wide else ctypes.c_uint32)(value)
    assert format_words(template, words_of(value, 2 if wide else 1)) == in_c(template, given_to_c)


FLOATS = st.sampled_from([0, 1, 0x3F800000, 0x3FC00000, 0x40200000, 0x7F800000, 0x7F7FFFFF, 0x00800000, 0x47C35000])
SINGLES = (FLOATS | st.integers(0, 0x7F800000) | st.just(0x7FFFFFFF)).flatmap(
    lambda n: st.sampled_from([n, n | 1 << 31])
)
DOUBLES = SINGLES.map(lambda n: n << 32) | st.floats().map(lambda x: struct.unpack("<Q", struct.pack("<d", x))[0])


@given(flags=FLAGS, width=WIDTH, precision=PRECISION, kind=st.sampled_from("fFeEgGaA"), wide=st.booleans(),
       single=SINGLES, double=DOUBLES)  # fmt: skip
@settings(max_examples=400)
@example(flags="", width="", precision=".0", kind="a", wide=False, single=0x3FC00000, double=0)
@example(flags="0", width="9", precision="", kind="f", wide=False, single=0x7F800000, double=0)
def test_floats(flags: str, width: str, precision: str, kind: str, wide: bool, single: int, double: int) -> None:
    """binary32 from one register; with `l` binary64 from two."""
    template = f"<%{flags}{width}{precision}{'l' if wide else ''}{kind}>"
    bits, layout = (double, "<Qd") if wide else (single, "<If")
    value = struct.unpack("<" + layout[2], struct.pack(layout[:2], bits))[0]
    assert format_words(template, words_of(bits, 2 if wide else 1)) == in_c(template, ctypes.c_double(value))


@given(left=st.sampled_from(["", "-"]), width=WIDTH, precision=PRECISION, text=st.text("ab %\n", max_size=12))
def test_texts_and_characters(left: str, width: str, precision: str, text: str) -> None:
    found = format_words(
        f"%{left}{width}{precision}s|%{left}{width}c", [7, 1, ord("x")], {1 << 32 | 7: text}.__getitem__
    )
    assert found == in_c(f"%{left}{width}{precision}s|%{left}{width}c", text.encode(), ord("x"))


@given(value=st.integers(1, (1 << 64) - 1), width=WIDTH)
def test_pointers(value: int, width: str) -> None:
    assert format_words(f"%{width}p", words_of(value, 2)) == in_c(f"%{width}p", ctypes.c_void_p(value))


def test_what_c_leaves_open() -> None:
    """Values too few, conversions that do not exist, and widths beyond reason."""
    assert format_words("%d %d %ld.", [7, 1]) == "7 1 <no value>."
    assert format_words("%lf", [1]) == "<no value>"
    assert format_words("%k %*d %n 100% ", [7]) == "%k %*d %n 100% "
    assert format_words("%%d %5% %d%", [7]) == "%d % 7%"
    assert len(format_words("%999999999d", [7])) == MOST_DIGITS
    assert format_words("%d", [7, 8, 9]) == "7"
    assert format_words("%c", [0x141]) == "A"


@given(st.text(max_size=30), st.lists(st.integers(0, 0xFFFFFFFF), max_size=4))
@settings(max_examples=100)
def test_no_format_goes_wrong(template: str, words: list[int]) -> None:
    assert isinstance(format_words(template, words, hex), str)


# Kernels.


def printed(source: str, grid: int = 1, block: int = 32, **how: Any) -> str:
    """What a kernel `k` prints."""
    texts: list[str] = []
    Chip(console=Console(texts.append), **how).assemble(source)["k"][grid, block]()
    return "".join(texts)


TEXTS = """
        .data
line:   .asciz "%u:%d %s\\n"
one:    .asciz "one"
two:    .asciz "two"
plain:  .asciz "here\\n"
        .text
        .kernel k
        v.mov.b32 vreg3, %tid.x
        v.mull.i32 vreg4, vreg3, -2
        v.and.b32 vreg7, vreg3, 1
        v.mov.b32 vreg5, lo(one)
        v.mull.i32 vreg7, vreg7, 4
        v.add.i32 vreg5, vreg5, vreg7
        v.mov.b32 vreg6, hi(one)
"""


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_lanes_print_in_order(timing: str) -> None:
    """Active lanes only; three consecutive registers and a pair for the text, not aligned; warps in turn."""
    source = f"{TEXTS}v.print line, vreg[3:6]\ns.mov.b32 emsk, 0x80000021\nv.print line, vreg[3:6]\n"
    source += "s.mov.b32 emsk, 0\nv.print line, vreg3\nv.print plain\ns.print plain\ns.exit\n"
    lines = [f"{n}:{-2 * n} {'two' if n & 1 else 'one'}\n" for n in range(64)]
    expected = [part for w in (0, 32) for part in [*lines[w : w + 32], lines[w], lines[w + 5], lines[w + 31], "here\n"]]
    assert printed(source, block=64, timing=timing) == "".join(expected)


def test_scalars_print_once() -> None:
    """Named registers, too; a count of registers beyond the kernel's is what the assembler counts."""
    source = """
        .data
fmt:    .asciz "%x %llx|"
        .kernel k
        s.mov.b32 sreg41, 0x1234
        s.mov.b32 sreg42, 0x5
        s.mov.b32 sreg43, 0x6
        s.mov.b32 emsk, 0x7
        s.print fmt, sreg[41:43]
        s.print fmt, emsk
        s.exit
    """
    assert printed(source, block=64) == "1234 600000005|7 <no value>|" * 2


@pytest.mark.parametrize("operand", ["vreg[254:256]", "sreg3", "3", "emsk"])
def test_what_cannot_be_printed(operand: str) -> None:
    with pytest.raises(AssemblyError):
        Chip().assemble(f'.data\nx: .asciz "x"\n.kernel k\nv.print x, {operand}\nsimt.exit\n')


def test_registers_the_kernel_has_not_got() -> None:
    source = '.data\nx: .asciz "x"\n.kernel k\n.vregs 4\nv.print x, vreg[2:5]\nsimt.exit\n'
    with pytest.raises(Fault) as caught:
        printed(source)
    assert caught.value.code == 5


@pytest.mark.parametrize("place", ["k", "0x40", "vreg2", "here"])
def test_a_text_must_lie_in_data(place: str) -> None:
    """A label of code, a number or a register is refused when the source is read."""
    with pytest.raises(AssemblyError, match=r"\.data"):
        Chip().assemble(f".kernel k\nhere: v.print {place}, vreg1\nsimt.exit\n")


def test_paths_join_after_a_print() -> None:
    """The instruction behind a print, where other lanes wait, runs once."""
    source = """
        .data
fmt:    .asciz "%d "
        .kernel k
        v.mov.b32 vreg0, %laneid
        v.cmp.lt.u32 sreg20, vreg0, 4
        s.mov.b32 sreg21, 0
        simt.rcbr.n sreg20, skip
        v.print fmt, vreg0
skip:   s.add.i32 sreg21, sreg21, 1
        s.print fmt, sreg21
        simt.exit
    """
    for timing in ("eager", "late"):
        for schedule in (Schedule(), Schedule(1, 1, 1)):
            assert printed(source, timing=timing, schedule=schedule) == "0 1 2 3 1 "


def test_the_order_is_that_of_the_schedule() -> None:
    """Blocks and warps, the same whenever it is run."""
    source = """
        .data
fmt:    .asciz "%d.%d "
        .kernel k
        s.mov.b32 sreg20, %blkid.x
        s.mov.b32 sreg21, %warpid
        s.print fmt, sreg[20:21]
        s.blksyn
        s.print fmt, sreg[20:21]
        simt.exit
    """
    found = printed(source, grid=2, block=64)
    assert found == "0.0 0.1 0.1 0.0 1.0 1.1 1.1 1.0 "
    assert printed(source, grid=2, block=64, timing="late") == found
    other = [printed(source, grid=2, block=64, schedule=Schedule(1, 2)) for _ in range(2)]
    assert other[0] == other[1]
    assert sorted(other[0].split()) == sorted(found.split())


LOUD = '.data\nx: .asciz "{0}"\n.kernel k\nv.mov.b32 vreg0, %laneid\nv.print x, vreg0\nsimt.exit\n'


def test_the_limit_of_the_console() -> None:
    """Nothing more is printed once a text did not fit; the next launch begins anew."""
    texts: list[str] = []
    chip = Chip(console=Console(texts.append, limit=45))
    kernel = chip.assemble(LOUD.format("%04d\\n"))["k"]
    for launch in (1, 2):
        kernel[1, 32]()
        assert len(texts) == 10 * launch
        assert texts[-1] == "... 23 more prints, over the limit of 45 characters a launch\n"
    assert texts[:9] == [f"{n:04}\n" for n in range(9)]


def test_a_loop_that_prints_for_ever_ends_at_its_limit() -> None:
    from m890.emulator.faults import Timeout
    from m890.emulator.launch import Limits

    texts: list[str] = []
    chip = Chip(console=Console(texts.append, limit=100), limits=Limits(instructions=3_000))
    with pytest.raises(Timeout):
        chip.assemble('.data\nx: .asciz "abc"\n.kernel k\nb: s.print x\ns.cbr b\n')["k"][1, 32]()
    assert "".join(texts[:33]) == "abc" * 33
    assert "1,467 more prints" in texts[33]


def test_a_number_that_is_no_text() -> None:
    source = (
        '.data\nx: .asciz "%s|"\n.kernel k\nv.mov.b32 vreg0, 16\nv.mov.b32 vreg1, 0\nv.print x, vreg[0:1]\nsimt.exit\n'
    )
    assert printed(source, block=1) == "<no text at 0x10>|"


# From the shell.


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)

    def run(source: str, *flags: str, code: int = 0, grid: int = 1) -> Result:
        Path("k.s").write_text(source)
        return m890("run", "k.s", "--grid", str(grid), "--block", "3", *flags, code=code)

    return run


def test_from_the_shell(shell: Callable[..., Result]) -> None:
    """The text comes before the result, which begins a line."""
    lines = shell(LOUD.format("lane %d\\n")).stdout.splitlines()
    assert lines[:3] == ["lane 0", "lane 1", "lane 2"]
    assert lines[3].startswith("k  grid 1  block 3")
    lines = shell(LOUD.format("%d,")).stdout.splitlines()
    assert lines[0] == "0,1,2,"
    assert lines[1].startswith("k  grid 1")


def test_json_has_the_text_in_a_field(shell: Callable[..., Result]) -> None:
    result = json.loads(shell(LOUD.format("%d\\n"), "--json").stdout)
    assert result["printed"] == "0\n1\n2\n"
    assert result["passed"]


def test_a_trace_and_a_text(shell: Callable[..., Result]) -> None:
    """On stdout together they are in order; in a file the trace is alone."""
    lines = shell(LOUD.format("lane %d\\n"), "--trace", "-").stdout.splitlines()
    at = next(n for n, line in enumerate(lines) if "v.print" in line)
    assert lines[at + 1 : at + 4] == ["lane 0", "lane 1", "lane 2"]
    assert "simt.exit" in lines[at + 4]
    shell(LOUD.format("lane %d\\n"), "--trace", "trace.txt")
    assert len(Path("trace.txt").read_text().splitlines()) == 3


def test_a_text_before_a_fault_is_shown(shell: Callable[..., Result]) -> None:
    source = LOUD.format("last words %d\\n").replace("simt.exit", "s.trap")
    assert shell(source, code=1).stdout == "last words 0\nlast words 1\nlast words 2\n"
    result = json.loads(shell(source, "--json", code=1).stdout)
    assert result["printed"].endswith("last words 2\n")
    assert result["error"]["code"] == 256
