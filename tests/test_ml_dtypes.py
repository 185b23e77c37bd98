"""Conversions as numpy and ml_dtypes do them, bit by bit, but for a list of what they define differently.

The list is exact: beside it nothing differs, and every entry differs somewhere. All inputs of 16 and fewer bits; of
binary32 a million, spread evenly, and those around every decision; `sweep` tries all 2^32.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from columns import run
from small_floats import EVERY_HALF, f32_points, numbers, pack, value_of

import m890
from m890.isa.formats import FORMATS

TYPES: dict[str, Any] = {
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e8m0": ml_dtypes.float8_e8m0fnu,
}
HALVES, SMALL = ("f16", "bf16"), ("e4m3", "e5m2", "e2m1")


def beyond(name: str, values: np.ndarray) -> np.ndarray:
    """Where a number rounds beyond the largest: from halfway to the next one on, or from there if that is even."""
    last, largest = len(numbers(name)) - 1, numbers(name)[-1]
    halfway = largest + (largest - numbers(name)[-2]) / 2
    return np.abs(values) >= halfway if last % 2 else np.abs(values) > halfway


class Difference(NamedTuple):
    """Inputs on which results may differ, and for which types."""

    what: str
    types: tuple[str, ...]
    inputs: Callable[[np.ndarray], np.ndarray]
    why: str


DIFFERENCES = (
    Difference("a NaN", (*HALVES, *SMALL), np.isnan, "theirs has the source's sign, ours is the canonical NaN or +6"),
    Difference("beyond 448", ("e4m3",), lambda x: beyond("e4m3", x), "theirs is NaN, ours 448 (published)"),
    Difference("beyond 57344", ("e5m2",), lambda x: beyond("e5m2", x), "theirs is infinity, ours 57344 (published)"),
    Difference("zero", ("e8m0",), lambda x: x == 0, "theirs is NaN, ours 2^-127, the scale of a block of zeros"),
    Difference("from 1.5 * 2^127 on", ("e8m0",), lambda x: x >= 1.5 * 2.0**127, "theirs is NaN, ours 2^127"),
    Difference(
        "no power of two",
        ("e8m0",),
        lambda x: (x > 2.0**-127) & (np.frexp(np.where(np.isfinite(x), x, 0))[0] != 0.5),
        "theirs is rounded to nearest, a scale toward zero (OCP MX) or up",
    ),
)


def compare(name: str, values: np.ndarray, ours: np.ndarray, theirs: np.ndarray, *, entries: bool = True) -> None:
    """Results differ only where the list says, and, if so asked, for each of its entries somewhere."""
    differ = ours.astype(np.uint32) != theirs.view(f"u{theirs.dtype.itemsize}").astype(np.uint32)
    listed = np.zeros(len(values), bool)
    for entry in DIFFERENCES:
        if name in entry.types:
            inputs = entry.inputs(values)
            listed |= inputs
            assert not entries or differ[inputs].any(), f"{name}: {entry.what} differs no more"
    wrong = np.flatnonzero(differ & ~listed)
    assert not len(wrong), f"{name}: {values[wrong[0]]!r} gives {ours[wrong[0]]:#x}, there {theirs[wrong[0]]!r}"


def converted(values: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        return values.astype(TYPES[name])


# ---- from binary32 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*HALVES, *SMALL])
def test_from_f32_around_every_decision(name: str) -> None:
    bits = f32_points(name)
    ours = run(f"v.cnvt.{name}.f32.rtte vreg4, vreg0", bits)[0]
    compare(name, value_of(bits), ours, converted(bits.view(np.float32), name))


@pytest.mark.parametrize("rounding", ["rtz", "rtp"])
def test_to_scales(rounding: str) -> None:
    """Theirs, to nearest, is always one of the two that we have toward zero and up."""
    bits = np.append(f32_points("bf16"), np.uint32([0x7F3FFFFF, 0x7F400000])).astype(np.uint32)
    theirs = converted(bits.view(np.float32), "e8m0")
    compare("e8m0", value_of(bits), run(f"v.cnvt.e8m0.f32.{rounding} vreg4, vreg0", bits)[0], theirs)
    down, up = (run(f"v.cnvt.e8m0.f32.{each} vreg4, vreg0", bits)[0] for each in ("rtz", "rtp"))
    inside = (value_of(bits) > 0) & (value_of(bits) < 1.5 * 2.0**127)
    assert ((down == theirs.view(np.uint8)) | (up == theirs.view(np.uint8)))[inside].all()


KERNEL = """
        .arch   ppu0015
        .include "index.inc"
        .kernel convert
        .param  u32 first
        .param  u32 step
        .param  ptr y
        global_x        vreg0
        v.mull.i32      vreg1, vreg0, step
        v.add.i32       vreg1, vreg1, first
        v.cnvt.{name}.f32.{rounding} vreg2, vreg1
        vmem.st.b{width} vreg2, [vreg0 * {size}] @y
        simt.exit
"""
COUNT = 1 << 20


def compare_all(name: str, first: int, step: int, *, entries: bool) -> None:
    """`COUNT` numbers in one launch: bits first, first + step, ..."""
    size = np.dtype(TYPES[name]).itemsize
    chip = m890.Chip("M890")
    rounding = "rtz" if name == "e8m0" else "rtte"
    kernel = chip.assemble(KERNEL.format(name=name, width=8 * size, size=size, rounding=rounding))["convert"]
    with chip.empty(COUNT, f"u{size}") as y:
        kernel[COUNT // 256, 256](first, step, y)
        ours = y.copy_to_host()
    bits = (first + step * np.arange(COUNT, dtype=np.uint64)).astype(np.uint32)
    compare(name, value_of(bits), ours, converted(bits.view(np.float32), name), entries=entries)


@pytest.mark.parametrize("name", [*HALVES, *SMALL])
def test_from_f32_far_and_wide(name: str) -> None:
    compare_all(name, 17, (1 << 32) // COUNT + 1, entries=True)


@pytest.mark.sweep
@pytest.mark.parametrize("name", [*HALVES, *SMALL, "e8m0"])
def test_from_every_f32(name: str) -> None:
    for first in range(0, 1 << 32, COUNT):
        compare_all(name, first, 1, entries=False)


# ---- from 16 and fewer bits: every input -----------------------------------------------------------------------------


@pytest.mark.parametrize("source", HALVES)
def test_from_every_half(source: str) -> None:
    values = EVERY_HALF.astype(np.uint16).view(TYPES[source])
    with np.errstate(invalid="ignore"):
        wide = values.astype(float)
    other = HALVES[source == "f16"]
    compare(other, wide, run(f"v.cnvt.{other}.{source}.rtte vreg4, vreg0", EVERY_HALF)[0], converted(values, other))
    for name in SMALL:
        width = FORMATS[name].width
        both = run(f"v.pcnvt.{name}x2.{source}x2 vreg4, vreg0", pack(EVERY_HALF, EVERY_HALF[::-1]))[0]
        compare(name, wide, both & (1 << width) - 1, converted(values, name))
        compare(name, wide[::-1], both >> width, converted(values[::-1], name))


@pytest.mark.parametrize("name", TYPES)
def test_widening_every_code(name: str) -> None:
    """Exact, and NaN where theirs is."""
    codes = EVERY_HALF[: 16 if name == "e2m1" else 256 ** np.dtype(TYPES[name]).itemsize]
    values = codes.astype(f"u{np.dtype(TYPES[name]).itemsize}").view(TYPES[name])
    with np.errstate(invalid="ignore"):
        theirs = values.astype(np.float32)
    ours = run(f"v.cnvt.f32.{name} vreg4, vreg0", codes)[0]
    assert (ours == np.where(np.isnan(theirs), np.uint32(0x7FFFFFFF), theirs.view(np.uint32))).all()
