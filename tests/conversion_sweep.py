"""Every binary32 input of every conversion on the compiled core, against numpy's integers.

A number is narrowed by shifting its significand and looking at what falls off; that shares nothing with isa/, nor with
the sorted tables of `small_floats`, with which it is compared. To integers numpy rounds binary64, which holds every
binary32 number and every integer that comes near one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from small_floats import RANGES, ROUNDINGS, STANDARDS, numbers, whole
from sweeping import CHUNK, SLICE, Line, kernel, proved

from m890.emulator.chip import Chip
from m890.isa import ISA

Array = Any
SIGN, SIZE, INFINITE, CANONICAL = (np.uint32(n) for n in (0x80000000, 0x7FFFFFFF, 0x7F800000, 0x7FFFFFFF))
ONE, ZERO = np.uint32(1), np.uint32(0)


class Inputs:
    """Some binary32 bits, and what several references want to know of them.

    Neighbours share sign and exponent: such arrays are then of one element, which numpy spreads.
    """

    def __init__(self, bits: Array):
        self.bits, self.size = bits, bits & SIZE
        alike = (bits[0] ^ bits[-1]) >> np.uint32(23) == ZERO and len(bits) <= SLICE
        first = bits[:1] if alike else bits
        self.negative, self.exponent = first > SIZE, first >> np.uint32(23) & np.uint32(0xFF)
        self.finite = not (self.exponent == np.uint32(255)).any()
        self.nan = self.size > INFINITE
        self.narrowed: dict[str, Narrowed] = {}
        self.integral: dict[str, Array] = {}

    @cached_property
    def values(self) -> Array:
        """As binary64."""
        with np.errstate(invalid="ignore"):  # signalling NaNs become quiet
            return self.bits.view(np.float32).astype(np.float64)

    @cached_property
    def flushed(self) -> Inputs:
        """Without subnormals."""
        if self.exponent.all():
            return self
        return Inputs(np.where(self.bits & INFINITE, self.bits, self.bits & SIGN))

    def narrow(self, name: str) -> Narrowed:
        """In a narrower format."""
        if name not in self.narrowed:
            self.narrowed[name] = Narrowed(self, name)
        return self.narrowed[name]

    def whole(self, rounding: str) -> Array:
        """As integers in binary64."""
        if rounding not in self.integral:
            self.integral[rounding] = whole(self.values, rounding)
        return self.integral[rounding]

    def but_nan(self, found: Array, nan: Any) -> Array:
        """What was found, but for NaNs."""
        return found if self.finite else np.where(self.nan, nan, found)


class Narrowed:
    """Magnitudes of another format next below those of numbers, and what has fallen off."""

    def __init__(self, inputs: Inputs, name: str):
        self.inputs, self.standard = inputs, STANDARDS[name]
        self.top = np.uint32(len(numbers(name)))
        bias, drop = (1 << self.standard.exponent - 1) - 1, 23 - self.standard.mantissa
        exponent = inputs.exponent
        below = np.maximum(128 - bias - np.maximum(exponent, ONE).astype(np.int32), 0)
        shift = np.minimum(drop + below, 31).astype(np.uint32)
        significand = (inputs.size & np.uint32(0x7FFFFF)) | np.minimum(exponent, ONE) << np.uint32(23)
        normal = inputs.size - np.uint32(127 - bias << 23)
        scaled = np.where(below > 0, significand, normal) if below.any() else normal
        self.code = scaled >> shift
        self.rest, self.half = scaled & (ONE << shift) - ONE, ONE << shift - ONE
        self.large = bool((self.code >= self.top - ONE).any())
        self.found: dict[tuple[str, bool], Array] = {}

    def bits(self, rounding: str, finite: bool = False) -> Array:
        """Rounded once; `finite`: infinity becomes the largest number."""
        if (rounding, finite) not in self.found:
            self.found[rounding, finite] = self.computed(rounding, finite)
        return self.found[rounding, finite]

    def computed(self, rounding: str, finite: bool) -> Array:
        """The same, when it is asked for first."""
        found, negative = self.rounded(rounding), self.inputs.negative
        finite = finite or not self.standard.infinity
        if self.large:
            infinite = {"rtte": True, "rtta": True, "rtz": False, "rtn": negative, "rtp": ~negative}[rounding]
            most = self.top - ONE if finite else np.where(infinite, self.top, self.top - ONE)
            found = np.minimum(found, most)
        if not finite and not self.inputs.finite:
            found = np.where(self.inputs.size == INFINITE, self.top, found)
        found = found << np.uint32(self.standard.padding) if self.standard.padding else found
        found = found | negative * np.uint32(self.standard.sign) if negative.any() else found
        return self.inputs.but_nan(found, np.uint32(self.standard.nan))

    def rounded(self, rounding: str) -> Array:
        """The magnitudes next below, or next above where what falls off says so."""
        negative = self.inputs.negative
        if rounding == "rtte":  # a tie goes to the even one of the two: for an odd one it is as good as more
            return self.code + (self.rest + (self.code & ONE) > self.half)
        if rounding == "rtta":
            return self.code + (self.rest >= self.half)
        away = {"rtz": np.zeros(1, bool), "rtn": negative, "rtp": ~negative}[rounding]
        return self.code + (away & (self.rest != ZERO)) if away.any() else self.code


# What each instruction gives.

Reference = Callable[[Inputs], Array]


def narrow(name: str, rounding: str, inputs: Inputs) -> Array:
    """A float format; the small ones have no infinity here."""
    return inputs.narrow(name).bits(rounding, name in SMALL)


def flush(name: str, rounding: str, inputs: Inputs) -> Array:
    """.ftz"""
    return inputs.flushed.narrow(name).bits(rounding)


def relu(name: str, rounding: str, inputs: Inputs) -> Array:
    """.relu"""
    found = narrow(name, rounding, inputs)
    return np.where(inputs.negative & ~inputs.nan, ZERO, found) if inputs.negative.any() else found


def satfinite(name: str, rounding: str, inputs: Inputs) -> Array:
    """.satfinite"""
    return inputs.narrow(name).bits(rounding, finite=True)


def power(rounding: str, inputs: Inputs) -> Array:
    """An E8M0 scale."""
    exponent, low = inputs.exponent, inputs.size & np.uint32(0x7FFFFF)
    if rounding == "rtp":  # the smallest power is half of the smallest normal number
        exponent = exponent + (low > np.where(exponent == ZERO, np.uint32(0x400000), ZERO))
    nothing = inputs.nan | (inputs.negative & (inputs.size != ZERO))
    return np.where(nothing, np.uint32(255), np.minimum(exponent, np.uint32(254)))


def integral(rounding: str, inputs: Inputs) -> Array:
    """An integer as binary32."""
    return inputs.but_nan(inputs.whole(rounding).astype(np.float32).view(np.uint32), CANONICAL)


def integer(name: str, rounding: str, inputs: Inputs) -> Array:
    """An integer of a type, at the nearest end if out of range."""
    (low, high), values = RANGES[name], inputs.whole(rounding)
    if not name.endswith("64"):
        return inputs.but_nan(np.clip(values, low, high), 0.0).astype(np.int64).astype(np.uint32)
    outside = (values >= np.float64(high)) | (values < low)  # high is 2**63 or 2**64 here
    if inputs.finite and not outside.any():
        return values.astype(np.int64 if low else np.uint64).view(np.uint64)
    safe = np.where(outside | inputs.nan, 0.0, values)
    found = safe.astype(np.int64 if low else np.uint64).view(np.uint64)
    end = np.where(values < 0, np.uint64(low & (1 << 64) - 1), np.uint64(high))
    return inputs.but_nan(np.where(outside, end, found), np.uint64(1 << 63))


SMALL = ("e4m3", "e5m2", "e2m1")
HALVES = ("f16", "bf16", "tf32")
MODIFIED = {
    "rtte.ftz": flush,
    "rtte.relu": relu,
    "rtte.satfinite": satfinite,
    "rtz.relu": relu,
    "rtz.satfinite": satfinite,
}


class Case(NamedTuple):
    """An instruction and what it should give."""

    line: Line
    reference: Reference


def _case(mnemonic: str, reference: Callable[..., Array], *choices: str, words: int = 1) -> Case:
    return Case(Line(mnemonic, words), partial(reference, *choices))


def _half(name: str) -> list[Case]:
    ways = {way: narrow for way in ROUNDINGS} | MODIFIED
    return [_case(f"v.cnvt.{name}.f32.{way}", what, name, way.partition(".")[0]) for way, what in ways.items()]


CASES: dict[str, list[Case]] = {
    **{name: _half(name) for name in HALVES},
    "small": [
        *[_case(f"v.cnvt.{name}.f32.rtte", narrow, name, "rtte") for name in SMALL],
        *[_case(f"v.cnvt.e8m0.f32.{way}", power, way) for way in ("rtz", "rtp")],
    ],
    **{
        way: [
            _case(f"v.rnd.f32.{way}", integral, way),
            *[_case(f"v.cnvt.{name}.f32.{way}", integer, name, way, words=1 + (name[1:] == "64")) for name in RANGES],
        ]
        for way in ROUNDINGS
    },
}
"""What is swept together, by name."""


def plain_mnemonics() -> set[str]:
    """The swept instructions, without suffixes that they may have."""
    every = {case.line.mnemonic for cases in CASES.values() for case in cases}
    return {name for name in every if not any(name.endswith(way) for way in (".ftz", ".relu", ".satfinite"))}


# The sweep, and its record.

RECORD = Path(__file__).parent / "data" / "conversion_sweep.json"


def records() -> dict[str, dict[str, Any]]:
    """What the last exhaustive run of each found."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def meaning(name: str) -> str:
    """A hash of the bodies of the instructions and of all they name, and of the formats and ends they are made with."""
    found = [ISA.by_mnemonic[case.line.mnemonic][0][0].instruction for case in CASES[name]]
    statics = [binding.static for each in found for binding in each.bindings if binding.static is not None]
    functions = [static for static in statics if isinstance(static, FunctionType)]
    return proved([each.body for each in found] + functions, *(s for s in statics if s not in functions))  # type: ignore[list-item]


MEANINGS = {name: meaning(name) for name in CASES}
"""Of the table as it was imported, whatever happens to the files while a sweep runs."""


def compare(name: str, bits: Array, results: list[Array]) -> list[str]:
    """What is wrong, for the first inputs."""
    inputs, wrong = Inputs(bits), list[str]()
    for case, found in zip(CASES[name], results, strict=True):
        differs = found != case.reference(inputs)
        if differs.any():
            wrong += [
                f"{case.line.mnemonic} {int(x):#010x}: {int(y):#x}"
                for x, y in zip(bits[differs], found[differs], strict=True)
            ][:20]
    return wrong


def sweep(name: str, start: int = 0, stride: int = 1) -> dict[str, Any]:
    """Run what is swept together on the inputs start, start + stride, ... below 2**32: the record."""
    chip, wrong, inputs = Chip(), list[str](), 0
    cases = CASES[name]
    outs = [chip.empty(CHUNK, np.uint64 if case.line.words == 2 else np.uint32) for case in cases]
    compiled = chip.assemble(kernel([case.line for case in cases]))["sweep"]
    for first in range(start, 1 << 32, CHUNK * stride):
        compiled[CHUNK // 1024, 1024](first, stride, *outs)
        bits = (np.arange(CHUNK, dtype=np.uint64) * np.uint64(stride) + np.uint64(first)).astype(np.uint32)
        arrays = [out.view() for out in outs]
        for n in range(0, CHUNK, SLICE):
            wrong += compare(name, bits[n : n + SLICE], [array[n : n + SLICE] for array in arrays])
        inputs += CHUNK
    counted = {"instructions": len(cases), "inputs": inputs, "wrong": len(wrong), "first wrong": wrong[:20]}
    return {"proves": MEANINGS[name], **counted, "numpy": np.__version__}
