"""Every input of a special function on the compiled core, against a reference that shares nothing with isa/.

What is compared is not only the binary32 result. A second instruction, made here and gone afterwards, gives the
binary64 that the result is narrowed from. Its key, 25 significant bits and whether anything follows, says on which
side of every binary32 number and every midpoint of two it lies: with the key, every rounding is right.

The reference is numpy's binary64 function with an error bound far above what is known of it: it brackets the true
value, and where the two ends have different keys mpmath decides, with 400 bits. Where a function is so flat that no
bracket could tell (tanh near 1), an inequality says where its value lies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np
from sweeping import CHUNK, SLICE, Line, kernel, proved

from m890.emulator.chip import Chip
from m890.isa import ISA, elementary
from m890.isa.elementary import quotient_odd
from m890.isa.lanes import F32, F64, U64
from m890.isa.numerics import constant, reinterpret
from m890.isa.spec import insn

CANONICAL = 0x7FFFFFFF
ROUNDINGS = ("", ".rtz", ".rtn", ".rtp", ".rtta")
Array = Any


def no_known(x: Array) -> tuple[Any, Any]:
    """No input is special."""
    return np.zeros(len(x), bool), x


class Function(NamedTuple):
    """A unary function: its binary64 form in isa/, numpy's, mpmath's, and how exact numpy's is."""

    odd: Callable[..., Any]
    numpy: Callable[[Array], Array]
    exact: Callable[[Any], Any]
    bound: float
    known: Callable[[Array], tuple[Array, Array]] = no_known
    """Inputs where a binary64 with the key of the true value is known, and that value."""
    suffixes: tuple[str, ...] = ("",)
    mirror: Callable[[Array], Array] | None = None
    """The values at -x from those at x, where that follows."""


def reciprocal_odd(x: F32) -> Any:
    """Of v.rcp: the quotient 1 / x."""
    return quotient_odd(constant(1.0, F32), x)


def _sqrt_known(x: Array) -> tuple[Array, Array]:
    """Exact roots."""
    root = np.sqrt(x)
    return root * root == x, root


def _exp2_known(x: Array) -> tuple[Array, Array]:
    """Near 0, 2**x is above 1 if and only if x is above 0. Beyond 200 the function stops."""
    near, far = (np.abs(x) < 2.0**-40) & (x != 0), (np.abs(x) > 200) & np.isfinite(x)
    return near | far, np.where(near, np.nextafter(1.0, np.where(x > 0, 2.0, 0.0)), 2.0 ** (200 * np.sign(x)))


def _sin_known(x: Array) -> tuple[Array, Array]:
    """Near 0, |sin(x)| and |tanh(x)| are below |x|, by less than a binary32 could tell."""
    return (np.abs(x) < 2.0**-20) & (x != 0), np.nextafter(x, 0.0)


def _cos_known(x: Array) -> tuple[Array, Array]:
    """Near 0, cos(x) is below 1."""
    return (np.abs(x) < 2.0**-20) & (x != 0), np.full_like(x, 1 - 2.0**-53)


def _tanh_known(x: Array) -> tuple[Array, Array]:
    """Near 0 as sin; far away |tanh(x)| is below 1."""
    (near, value), far = _sin_known(x), (np.abs(x) > 13) & np.isfinite(x)
    return near | far, np.where(far, np.copysign(1 - 2.0**-53, x), value)


FUNCTIONS = {
    "rcp": Function(reciprocal_odd, lambda x: 1 / x, lambda x: 1 / x, 2.0**-52, suffixes=ROUNDINGS),
    "sqrt": Function(elementary.sqrt_odd, np.sqrt, mpmath.sqrt, 2.0**-52, _sqrt_known, ROUNDINGS),
    "rsqrt": Function(elementary.rsqrt_odd, lambda x: 1 / np.sqrt(x), lambda x: 1 / mpmath.sqrt(x), 2.0**-51),
    "exp2": Function(elementary.exp2_odd, np.exp2, lambda x: mpmath.mpf(2) ** x, 2.0**-48, _exp2_known),
    "log2": Function(elementary.log2_odd, np.log2, lambda x: mpmath.log(x, 2), 2.0**-48),
    "sin": Function(elementary.sin_odd, np.sin, mpmath.sin, 2.0**-48, _sin_known, mirror=np.negative),
    "cos": Function(elementary.cos_odd, np.cos, mpmath.cos, 2.0**-48, _cos_known, mirror=np.positive),
    "tanh": Function(elementary.tanh_odd, np.tanh, mpmath.tanh, 2.0**-48, _tanh_known, mirror=np.negative),
}


RECORD = Path(__file__).parent / "data" / "special_sweep.json"


def records() -> dict[str, dict[str, Any]]:
    """What the last exhaustive run of each function found."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


# The compiled side.


def odd_name(function: Function) -> str:
    """The mnemonic of a function's binary64 form: each has its own, and its own opcode, for both are remembered."""
    return next(f"v.odd.{name}" for name, each in FUNCTIONS.items() if each is function)


@contextmanager
def odd_instruction(function: Function) -> Iterator[None]:
    """Let the table have the binary64 form of a function for a while."""

    def body(a: F32, odd: Callable[[F32], F64]) -> U64:
        """d = the binary64 result before it is narrowed."""
        return reinterpret(odd(a), U64)

    kept = list(ISA.instructions), dict(ISA.by_opcode), dict(ISA.by_mnemonic)
    free = [number for number in range(0x3FF, 0, -1) if number not in ISA.by_opcode]
    insn(
        f"{odd_name(function)} {{d:vreg}}, {{a:vsrc}}",
        opcode=free[list(FUNCTIONS.values()).index(function)],
        tag="defined",
        ex="a=1.0 | d=0",
        immediate=False,
        odd=function.odd,
    )(body)
    try:
        yield
    finally:
        ISA.instructions, ISA.by_opcode, ISA.by_mnemonic = kept


# The reference.


def key(values: Array) -> Array:
    """25 significant bits of binary64 values, and in the lowest bit whether more follow."""
    bits = values.view(np.uint64)
    return bits >> np.uint64(28) << np.uint64(1) | ((bits & np.uint64((1 << 28) - 1)) != 0).astype(np.uint64)


def _plainly_same(y: Array, found: Array, bound: float) -> Array:
    """Whether the two have one key, which no change of y by a relative bound would alter: quick, for nearly all."""
    margin = np.uint64(bound * 2**53 + 1)
    bits, own = y.view(np.uint64), found.view(np.uint64)
    rest = np.uint64((1 << 28) - 1)
    safe = (bits & rest) - margin < rest - margin - margin
    return safe & ((bits ^ own) <= rest) & ((own & rest) != 0)


def exact_key(function: Function, x: float) -> tuple[int, float]:
    """The key of the true value, and how far that is from where the key changes, in units of the 25th bit."""
    with mpmath.workprec(400):
        true = function.exact(mpmath.mpf(x))
        if true == 0:
            return int(key(np.array([0.0]))[0]), 0.5
        size = abs(true)
        unit = mpmath.mpf(2) ** (int(mpmath.floor(mpmath.log(size, 2))) - 24)
        if size >= unit * (1 << 25):
            unit *= 2
        whole = int(mpmath.floor(size / unit))
        rest = size / unit - whole
        near = float(min(rest, 1 - rest))
        value = float(whole * unit)
    found = int(key(np.array([-value if true < 0 else value]))[0]) | int(rest != 0)
    return found, near


def roundings(values: Array) -> dict[str, Array]:
    """Binary64 values as binary32 bits in each rounding; NaN canonical."""
    nearest = values.astype(np.float32)
    bits, size, found = nearest.view(np.uint32), np.abs(values), np.abs(nearest).astype(np.float64)
    inside = bits - (found > size)
    outside = inside + (found != size)
    negative = np.signbit(values)
    outer = (bits + np.uint32(1)).view(np.float32).astype(np.float64)
    tie = (found < size) & (size - found == np.abs(outer) - size)
    ways = {
        "": bits,
        ".rtz": inside,
        ".rtn": np.where(negative, outside, inside),
        ".rtp": np.where(negative, inside, outside),
        ".rtta": bits + tie,
    }
    nan = np.isnan(values)
    return {suffix: np.where(nan, np.uint32(CANONICAL), way) for suffix, way in ways.items()}


def nearest_even(values: Array) -> dict[str, Array]:
    """The first of the roundings alone."""
    nearest = values.astype(np.float32)
    return {"": np.where(np.isnan(nearest), np.uint32(CANONICAL), nearest.view(np.uint32))}


@dataclass
class Record:
    """What a sweep found."""

    name: str
    inputs: int = 0
    decided_by_mpmath: int = 0
    wrong: list[str] = field(default_factory=list[str])
    hardest: tuple[float, str] = (1.0, "")

    def check(self, bits: Array, found: Array, results: list[Array], y: Array | None = None) -> Array:
        """Compare what the core made of inputs: the binary64 values, and the results of every rounding.

        y is the reference, if it is known already; it is returned.
        """
        function = FUNCTIONS[self.name]
        self.inputs += len(bits)
        with np.errstate(all="ignore"):
            ways = (roundings if len(results) > 1 else nearest_even)(found)
            for suffix, result in zip(function.suffixes, results, strict=True):
                self._wrong(bits[result != ways[suffix]], suffix)
            y = function.numpy(bits.view(np.float32).astype(np.float64)) if y is None else y
            numbers = ~np.isnan(y)
            self._wrong(bits[np.isnan(found) == numbers], "NaN")
            unsure = np.flatnonzero(numbers & ~_plainly_same(y, found, function.bound))
            if len(unsure):
                self._compare(function, bits[unsure], y[unsure], found[unsure])
        return y

    def _compare(self, function: Function, bits: Array, y: Array, found: Array) -> None:
        """Compare keys with those of both ends of the bracket, and where they do not decide with mpmath's."""
        x, own = bits.view(np.float32).astype(np.float64), key(found)
        certain, value = function.known(x)
        unsure = np.flatnonzero(~certain | (key(value) != own))
        y, own, known = y[unsure], own[unsure], certain[unsure]
        low, high = key(y * (1 - function.bound)), key(y * (1 + function.bound))
        for number in np.flatnonzero(known | (low != high) | (low != own)):
            place = unsure[number]
            self._decide(function, int(bits[place]), float(x[place]), int(own[number]))

    def _decide(self, function: Function, bits: int, x: float, found: int) -> None:
        self.decided_by_mpmath += 1
        expected, near = exact_key(function, x)
        if expected != found:
            self._wrong(np.array([bits]), "key")
        if 0 < near < self.hardest[0]:
            self.hardest = (near, f"{bits:#010x}")

    def _wrong(self, bits: Array, what: str) -> None:
        self.wrong += [f"{int(number):#010x} {what}".strip() for number in bits[:20]]

    def summary(self) -> dict[str, Any]:
        """As it is kept."""
        hardest = {
            "hardest input": self.hardest[1],
            "its distance in ulp": f"2**{np.log2(self.hardest[0]) - 1:.2f}",
        }
        return {
            "proves": MEANINGS[self.name],
            "inputs": self.inputs,
            "wrong": len(self.wrong),
            "decided by mpmath": self.decided_by_mpmath,
            **(hardest if self.hardest[1] else {}),
            "numpy": np.__version__,
            "mpmath": mpmath.__version__,
        }


def sweep(name: str, start: int = 0, stride: int = 1) -> Record:
    """Run a function on the inputs start, start + stride, ... below 2**32."""
    function = FUNCTIONS[name]
    lines = [Line(f"v.{name}.f32{suffix}") for suffix in function.suffixes]
    record = Record(name)
    chip = Chip()
    results = [chip.empty(CHUNK, np.uint32) for _ in lines]
    odd = chip.empty(CHUNK, np.float64)
    with odd_instruction(function):
        compiled = chip.assemble(kernel([*lines, Line(odd_name(function), 2)]))["sweep"]
        for first in range(start, 1 << 31, CHUNK * stride):
            references: list[Array | None] = [None] * (CHUNK // SLICE)
            for half in (first, first + (1 << 31)):
                compiled[CHUNK // 1024, 1024](half, stride, *results, odd)
                bits = (np.arange(CHUNK, dtype=np.uint64) * np.uint64(stride) + np.uint64(half)).astype(np.uint32)
                arrays = [bits, np.asarray(odd), *[np.asarray(result) for result in results]]
                for n in range(CHUNK // SLICE):
                    part, found, *parts = [array[n * SLICE : (n + 1) * SLICE] for array in arrays]
                    y = record.check(part, found, parts, references[n])
                    references[n] = function.mirror(y) if function.mirror else None
    return record


# What a record is a proof of.


def meaning(name: str) -> str:
    """A hash of a function's source and of all it names in the package."""
    odd = FUNCTIONS[name].odd
    return proved([quotient_odd if odd is reciprocal_odd else odd])  # type: ignore[list-item]


MEANINGS = {name: meaning(name) for name in FUNCTIONS}
"""Of the functions as they were imported, whatever happens to the files while a sweep runs."""
