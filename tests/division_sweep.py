"""v.div.f32 in all roundings on 10^8 pairs, directed and random, against exact quotients in numpy's integers.

A quotient of two significands of 24 bits is computed with 27 bits more than it could need and its remainder: these say
exactly where it lies, and so what every rounding makes of it, in the range of subnormal numbers as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sweeping import proved

from m890.emulator.chip import Chip
from m890.isa.elementary import quotient_odd

Array = Any
ROUNDINGS = ("rtte", "rtz", "rtn", "rtp", "rtta")
BLOCK, BLOCKS = 1 << 20, 96
"""Pairs of a launch; launches: more than 10^8 pairs in all."""
CANONICAL, INFINITY, LARGEST = 0x7FFFFFFF, 0x7F800000, 0x7F7FFFFF
EXTRA = 27
"""Bits of a quotient beyond those of the dividend's significand."""


# Pairs.


def _signed(random: np.random.Generator, significand: Array, exponent: Array) -> Array:
    """Numbers from 24-bit significands and the exponent field they would have, subnormal ones below 1, of any sign."""
    missing = np.clip(1 - exponent, 0, 24)
    bits = np.where(missing > 0, significand >> missing, (np.clip(exponent, 1, 254) - 1 << 23) + significand)
    return (bits | random.integers(0, 2, len(bits)) << 31).astype(np.uint32)


def _significands(random: np.random.Generator, bits: int = 24) -> Array:
    """Significands of 24 bits, the last of them 0 if they have fewer."""
    return random.integers(1 << bits - 1, 1 << bits, BLOCK) << 24 - bits


def anything(random: np.random.Generator) -> tuple[Array, Array]:
    """Any two patterns of 32 bits."""
    found = random.integers(0, 1 << 32, (2, BLOCK), np.uint32)
    return found[0], found[1]


def _around(random: np.random.Generator, quotient: Array, divisor: Array, exponents: Array) -> tuple[Array, Array]:
    """Dividends at and next to the product of a quotient and a divisor; `exponents` are those of the quotients."""
    product = quotient * divisor
    size = np.frexp(product.astype(np.float64))[1]
    dividend = (product >> size - 24) + random.integers(-1, 2, BLOCK)
    middle = random.integers(1, 255, BLOCK)
    up = np.clip(exponents + middle - 127, -22, 254)
    return _signed(random, np.clip(dividend, 1 << 23, (1 << 24) - 1), up), _signed(random, divisor, middle)


def middles(random: np.random.Generator) -> tuple[Array, Array]:
    """Quotients as near to the middle of two normal numbers as there are, none of which is one.

    For a below b that is a * 2**25 = (odd number) * b + s with a small s: a = (b + s) / 2 / 2**24 modulo b, b odd.
    """
    divisor = _significands(random) | 1
    dividend = (divisor + 2 * random.integers(-8, 8, BLOCK) + 1 >> 1) % divisor
    for _ in range(24):
        dividend = np.where(dividend & 1, dividend + divisor, dividend) >> 1
    exponents = random.integers(1, 255, (2, BLOCK))
    return _signed(random, dividend | 1 << 23, exponents[0]), _signed(random, divisor, exponents[1])


def exact(random: np.random.Generator) -> tuple[Array, Array]:
    """Quotients that are numbers of 12 bits, and next to them."""
    return _around(random, _significands(random, 12), _significands(random, 12), random.integers(1, 254, BLOCK))


def subnormal(random: np.random.Generator) -> tuple[Array, Array]:
    """Subnormal quotients and the smallest normal ones, next to middles with as many bits as they have."""
    bits = random.integers(1, 25, BLOCK)
    quotient = 2 * random.integers(1 << 23, 1 << 24, BLOCK) | 1
    quotient = (quotient >> 24 - bits | 1) << 24 - bits
    return _around(random, quotient, _significands(random, 20), bits - 24 + random.integers(0, 2, BLOCK))


def ends(random: np.random.Generator) -> tuple[Array, Array]:
    """Subnormal operands, largest and smallest numbers, quotients that overflow and vanish, what is no number."""
    edges = np.array([0, 1, 2, 3, 0x7FFFFF, 0x800000, 0x800001, 0x7F7FFFFE, LARGEST, INFINITY, 0x7FC00000, 0x3F800000])
    some = np.where(
        random.integers(0, 2, (2, BLOCK)) > 0, random.choice(edges, (2, BLOCK)), random.integers(0, 1 << 24, (2, BLOCK))
    )
    found = (some | random.integers(0, 2, (2, BLOCK)) << 31).astype(np.uint32)
    return found[0], found[1]


KINDS: tuple[Callable[[np.random.Generator], tuple[Array, Array]], ...] = (
    anything,
    middles,
    exact,
    subnormal,
    middles,
    ends,
)
"""What the blocks hold, in turn."""


# The exact quotients.


@dataclass
class Quotients:
    """Of numbers that are neither zero nor infinite: kept * 2**unit, and what has been dropped."""

    negative: Array
    kept: Array
    unit: Array
    tie: Array
    above: Array
    inexact: Array
    near: Array
    """How far from the middle of two results, in units of the last place; 1 where it is none or exact."""

    def rounded(self, rounding: str) -> Array:
        """As binary32 bits."""
        grows = {
            "rtte": self.above | self.tie & (self.kept & 1 == 1),
            "rtta": self.above | self.tie,
            "rtz": np.zeros_like(self.tie),
            "rtn": self.negative & self.inexact,
            "rtp": ~self.negative & self.inexact,
        }[rounding]
        bits = (self.unit + 149 << 23) + self.kept + grows
        stays = {"rtz": True, "rtn": ~self.negative, "rtp": self.negative}.get(rounding, False)
        bits = np.where(bits >= INFINITY, np.where(stays, LARGEST, INFINITY), bits)
        return bits | self.negative.astype(np.int64) << 31


def _parts(bits: Array) -> tuple[Array, Array]:
    """Significand of 24 bits and exponent of the last of them; of zeros, infinities and NaN something."""
    with np.errstate(invalid="ignore"):  # some NaNs
        fraction, exponent = np.frexp((bits & 0x7FFFFFFF).astype(np.uint32).view(np.float32).astype(np.float64))
    odd = ~np.isfinite(fraction) | (fraction == 0)
    return np.where(odd, 1 << 23, np.where(odd, 0.5, fraction) * (1 << 24)).astype(np.int64), np.where(odd, 0, exponent)


def quotients(a: Array, b: Array) -> Quotients:
    """a / b in integers."""
    (dividend, up), (divisor, down) = _parts(a), _parts(b)
    whole, rest = np.divmod(dividend << EXTRA, divisor)
    last = up.astype(np.int64) - down - EXTRA
    unit = np.maximum(last + np.where(whole >> EXTRA > 0, EXTRA + 1, EXTRA) - 24, -149)
    drop = np.minimum(unit - last, EXTRA + 3)  # more of them would leave 0 as well
    part, half = whole & (1 << drop) - 1, np.int64(1) << drop - 1
    distance = np.abs((part - half) * divisor + rest)
    return Quotients(
        negative=(a ^ b) >> 31 == 1,
        kept=whole >> drop,
        unit=unit,
        tie=(part == half) & (rest == 0),
        above=(part > half) | (part == half) & (rest > 0),
        inexact=(part | rest) != 0,
        near=np.where(distance > 0, distance / (divisor * 2.0**drop), 1.0),
    )


def special(a: Array, b: Array, bits: Array) -> Array:
    """The quotients of zeros, infinities and NaN in the place of the others'."""
    sizes = a & 0x7FFFFFFF, b & 0x7FFFFFFF
    (zero_a, zero_b), (endless_a, endless_b) = ([size == value for size in sizes] for value in (0, INFINITY))
    sign = (a ^ b) & 0x80000000
    bits = np.where(zero_a | endless_b, sign, bits)
    bits = np.where(endless_a | zero_b, sign | INFINITY, bits)
    none = (sizes[0] > INFINITY) | (sizes[1] > INFINITY) | zero_a & zero_b | endless_a & endless_b
    return np.where(none, CANONICAL, bits)


# The sweep.


def kernel() -> str:
    """A kernel that stores a / b in each rounding."""
    suffixes = ["" if rounding == "rtte" else f".{rounding}" for rounding in ROUNDINGS]
    outs = "\n".join(f".param ptr out{n}" for n in range(len(ROUNDINGS)))
    lines = "\n".join(
        f"v.div.f32{suffix} vreg{3 + n}, vreg1, vreg2\nvmem.st.b32 vreg{3 + n}, [vreg0 * 4] @out{n}"
        for n, suffix in enumerate(suffixes)
    )
    return f"""
        .kernel divide
        .param ptr a
        .param ptr b
        {outs}
        v.mov.b32 vreg0, %tid.x
        s.mull.i32 sreg60, %blkid.x, %ntid.x
        v.add.i32 vreg0, vreg0, sreg60
        vmem.ld.b32 vreg1, [vreg0 * 4] @a
        vmem.ld.b32 vreg2, [vreg0 * 4] @b
        s.wait vldcnt(0)
        {lines}
        simt.exit
"""


@dataclass
class Record:
    """What a sweep found."""

    pairs: int = 0
    ties: int = 0
    wrong: list[str] = field(default_factory=list[str])
    hardest: tuple[float, str] = (1.0, "")

    def check(self, a: Array, b: Array, results: list[Array]) -> None:
        """Compare the results of all roundings."""
        wide = a.astype(np.int64), b.astype(np.int64)
        found = quotients(*wide)
        ordinary = special(*wide, np.full(len(a), -1)) == -1
        self.pairs += len(a)
        self.ties += int((found.tie & ordinary).sum())
        for rounding, result in zip(ROUNDINGS, results, strict=True):
            for n in np.flatnonzero(result != special(*wide, found.rounded(rounding)))[:20]:
                self.wrong.append(f"{a[n]:#010x} / {b[n]:#010x} {rounding}: {result[n]:#010x}")
        near = np.where(ordinary, found.near, 1.0)
        n = int(near.argmin())
        if near[n] < self.hardest[0]:
            self.hardest = float(near[n]), f"{a[n]:#010x} / {b[n]:#010x}"

    def summary(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "proves": MEANING, "pairs": self.pairs, "roundings": len(ROUNDINGS), "wrong": len(self.wrong),
            "middles of two results": self.ties, "hardest pair": self.hardest[1],
            "its distance in ulp": f"2**{np.log2(self.hardest[0]):.2f}", "numpy": np.__version__,
        }  # fmt: skip


def sweep(blocks: range = range(BLOCKS)) -> Record:
    """Divide the pairs of some blocks."""
    chip, record = Chip(), Record()
    divide = chip.assemble(kernel())["divide"]
    given = [chip.empty(BLOCK, np.uint32) for _ in range(2)]
    results = [chip.empty(BLOCK, np.uint32) for _ in ROUNDINGS]
    for number in blocks:
        a, b = KINDS[number % len(KINDS)](np.random.default_rng(number))
        given[0].copy_from_host(a)
        given[1].copy_from_host(b)
        divide[BLOCK // 1024, 1024](*given, *results)
        record.check(a, b, [np.asarray(result) for result in results])
    return record


MEANING = proved([quotient_odd])  # type: ignore[list-item]
"""A hash of the function that gives a quotient before it is narrowed, as it was imported."""
