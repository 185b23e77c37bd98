"""Constants in source: functions of expressions, characters, strings, conditions, -I and -D."""

from __future__ import annotations

import math
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from command_line import m890
from hypothesis import example, given
from hypothesis import strategies as st

from m890.isa.arithmetic import FUNCTIONS
from m890.isa.assembler import assemble
from m890.isa.diagnostics import AssemblyError, Failure
from m890.isa.objectfile import read
from m890.isa.strings import ESCAPES, escape, unescape

FORMATS = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}


@pytest.mark.parametrize("name", FORMATS)
@given(bits=st.integers(0, (1 << 64) - 1), low=st.integers(0, (1 << 32) - 1))
@example(bits=0, low=0x7F81)
def test_floats_are_rounded_once(name: str, bits: int, low: int) -> None:
    """Bits of a narrow number widened, one bit around it, and any double."""
    kind = np.dtype(FORMATS[name])
    with np.errstate(invalid="ignore"):  # a signaling NaN becomes a quiet one
        near = np.array(low & (1 << 8 * kind.itemsize) - 1, f"u{kind.itemsize}").view(kind).astype(np.float64)
    exact = np.array(bits, np.uint64).view(np.float64)
    near = np.float64(0) if np.isnan(near) else near
    for value in (float(exact), float(near), *(float(np.nextafter(near, to)) for to in (-np.inf, np.inf))):
        if math.isnan(value):
            continue
        with np.errstate(all="ignore"):
            expected = np.float64(value).astype(kind)
        if name == "bf16":  # the library goes by way of binary32: a tie there may not be one
            with np.errstate(all="ignore"):
                if float(np.float32(value)) != value:
                    continue
        try:
            found = FUNCTIONS[name][1](value)
        except Failure:
            assert np.isinf(expected)
            assert math.isfinite(value)
        else:
            assert found == int(expected.view(f"u{kind.itemsize}")), value


def data(text: str) -> bytes:
    """What the lines put into .data."""
    return assemble(f".data\n{text}\n").data


def test_functions() -> None:
    assert data(".half f16(1.5), bf16(-2.0)\n.word f32(0.1)") == bytes.fromhex("003e00c0cdcccc3d")
    assert data(".half f16(1) | 1, f16(nan), bf16(inf)") == bytes.fromhex("013cff7f807f")
    assert data(".word abs(-3), int(2.9), int(-2.9) & 0xff, abs(-1.5) > 1") == np.uint32([3, 2, 0xFE, 1]).tobytes()
    assert data(f".half bf16({1 + 2**-8 + 2**-40})") == b"\x81\x3f"  # above the tie, which binary32 would hide


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (".half f16(65520)", "65520 is too large for a float of 16 bits"),
        (".half bf16(1e39)", "too large for a float of 16 bits"),
        (".word int(inf)", "int(inf): there is no such number"),
        (".if defined(1)", "defined takes one name"),
        (".if defined(a, b)", "defined takes one name"),
        ('.error "no such tile"', "no such tile"),
        (".word abs(x)\nx: .byte 1", "abs takes numbers, and .data is an address that is known when linked"),
        ("x: .align x", "expected a number, found the address of .data"),
        ("x: .word x * 2", "* cannot be computed before the program is linked"),
        ("x: .float x", "the address of .data is no float"),
        ("x: .word x", "the address of .data does not fit here"),
        ("x: .if x", "expected a number, found the address of .data"),
        ("x: .quad -x", "- cannot be computed before the program is linked"),
    ],
)
def test_what_is_no_constant_is_named(text: str, says: str) -> None:
    with pytest.raises(AssemblyError) as caught:
        data(text)
    assert says in caught.value.diagnostics[0].message


def test_addresses_have_differences() -> None:
    text = "a: .byte 1, 2\nb: .byte b - a, . - a, b > a, (b + 8 - a) * 2"
    assert data(text) == bytes([1, 2, 2, 3, 1, 20])


def test_conditions_on_what_is_defined() -> None:
    text = ".if defined(N) && N > 2\n.byte 1\n.elseif !defined(M)\n.byte 2\n.else\n.byte 3\n.endif"
    assert data(text) == b"\2"
    assert data(f"N = 3\n{text}") == b"\1"
    assert data(f"M = 3\n{text}") == b"\3"


def test_characters_and_strings_have_the_escapes_of_c() -> None:
    letters = {r"\n": 10, r"\t": 9, r"\0": 0, r"\101": 65, r"\x41": 65, r"\e": 27, r"\\": 92, r"\'": 39, "a": 97}
    for text, code in letters.items():
        assert data(f".byte '{text}'") == bytes([code]), text
        assert data(f'.ascii "{text}"') == bytes([code]), text
    assert data(r'.asciz "a\"b", "\377é"') == b'a"b\0\xff\xc3\xa9\0'


@pytest.mark.parametrize("escape", [r"\q", r"\u00e9", r"\8", r"\xg", r"\400", r"\777", r"\é"])
def test_other_escapes_are_refused(escape: str) -> None:
    with pytest.raises(AssemblyError, match=r"there is no escape|is no byte") as caught:
        data(f'.ascii "a", "b{escape}"')
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.column == 13
    if len(escape) == 2 or escape[1] in "47":
        with pytest.raises(AssemblyError, match=r"there is no escape|is no byte") as caught:
            data(f".byte 1 + '{escape}'")
        assert caught.value.diagnostics[0].column == 11
    for code in re.findall(r"\\\w+", ESCAPES):
        assert len(data(f'.ascii "{code}"')) == 1


@given(st.binary())
def test_strings_come_back(content: bytes) -> None:
    assert unescape(escape(content)) == content


def test_include_and_define_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("inc").mkdir()
    Path("inc/value.inc").write_text(".equ VALUE, 4 * SCALE\n")
    Path("k.s").write_text(
        '.include "value.inc"\n.ifndef UNROLL\n.error "UNROLL"\n.endif\n.kernel k\n.param ptr out\n'
        "v.mov.b32 vreg0, 0\nv.mov.b32 vreg1, VALUE\nvmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @out\nsimt.exit\n"
    )
    options = ["-I", "inc", "-D", "SCALE=3 + 2", "-DUNROLL"]
    m890("asm", "k.s", *options)
    assert read(Path("k.hgbin").read_bytes()).kernels["k"].words[1] & np.uint64(0xFFFFFFFF) == 20
    launch = ["--grid", "1", "--block", "1", "--arg", "out=zeros:u32:1", "--out", "out=o.npy"]
    for file, extra in (("k.s", options), ("k.hgbin", [])):
        m890("run", file, *launch, *extra)
        assert np.load("o.npy").tolist() == [20]
    assert "error: UNROLL" in m890("run", "k.s", *launch, "-I", "inc", "-D", "SCALE=1", code=3).stderr
    m890("link", "k.s", *options, "-o", "l.hgbin")
    assert Path("l.hgbin").read_bytes() == Path("k.hgbin").read_bytes()
