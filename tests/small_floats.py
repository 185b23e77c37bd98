"""An oracle for small float formats.

Written from the standards alone: a format is the sorted table of its numbers, each exact in binary64, and rounding is
a search in it. A number to round is `hi + lo`, where `hi` is that sum rounded to nearest in binary64.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

ROUNDINGS = ("rtte", "rtz", "rtn", "rtp", "rtta")


class Standard(NamedTuple):
    """What the standards say of a format: widths of its fields, and what the largest exponent means."""

    exponent: int
    mantissa: int
    infinity: bool
    nan: int
    """The canonical NaN, or what a NaN becomes."""
    largest: float
    padding: int = 0

    @property
    def sign(self) -> int:
        return 1 << self.exponent + self.mantissa + self.padding


STANDARDS = {
    "f16": Standard(5, 10, True, 0x7FFF, 65504.0),  # IEEE-754
    "bf16": Standard(8, 7, True, 0x7FFF, (2 - 2.0**-7) * 2.0**127),
    "tf32": Standard(8, 10, True, 0x7FFFE000, (2 - 2.0**-10) * 2.0**127, 13),
    "e4m3": Standard(4, 3, False, 0x7F, 448.0),  # OCP FP8, "fn"
    "e5m2": Standard(5, 2, True, 0x7F, 57344.0),
    "e2m1": Standard(2, 1, False, 0x7, 6.0),  # OCP MX
}


RANGES = {
    f"{sign}{bits}": (-(1 << bits - 1) if sign == "i" else 0, (1 << bits - (sign == "i")) - 1)
    for bits in (8, 16, 32, 64)
    for sign in "iu"
}
"""The ends of the integer types."""


@cache
def numbers(name: str) -> np.ndarray:
    """The magnitudes of a format in the order of their codes, from 0 to the largest."""
    standard = STANDARDS[name]
    bias = (1 << (standard.exponent - 1)) - 1
    codes = np.arange(1 << (standard.exponent + standard.mantissa))
    exponent, fraction = codes >> standard.mantissa, codes & ((1 << standard.mantissa) - 1)
    units = fraction + np.where(exponent > 0, 1 << standard.mantissa, 0)
    values = np.ldexp(units.astype(float), np.maximum(exponent, 1) - bias - standard.mantissa)
    values = values[: int(np.flatnonzero(values == standard.largest)[0]) + 1]
    assert (np.diff(values) > 0).all()
    return values


def decode(name: str, bits: Any) -> np.ndarray:
    """The numbers that bits stand for, in binary64."""
    standard, table = STANDARDS[name], numbers(name)
    codes = (np.asarray(bits).astype(np.int64) & (standard.sign - 1)) >> standard.padding
    beyond = np.where((codes == len(table)) & standard.infinity, np.inf, np.nan)
    magnitude = np.where(codes < len(table), table[np.minimum(codes, len(table) - 1)], beyond)
    return np.where(np.asarray(bits).astype(np.int64) & standard.sign, -magnitude, magnitude)


def encode(name: str, hi: Any, rounding: str = "rtte", lo: Any = 0.0, *, finite: bool = False) -> np.ndarray:
    """hi + lo rounded once, as bits (uint32); `finite`: infinity becomes the largest number."""
    standard, table = STANDARDS[name], numbers(name)
    hi, lo = np.broadcast_arrays(np.asarray(hi, float), np.asarray(lo, float))
    negative = np.signbit(hi)
    size, rest = np.abs(hi), np.where(negative, -lo, lo)
    below = np.searchsorted(table, size, "right") - 1
    below = below - ((table[below] == size) & (rest < 0))
    lower = table[below]
    after_last = 2 * table[-1] - table[-2]
    upper = np.append(table, after_last)[below + 1]
    exact = (size == lower) & (rest == 0)
    middle = (lower + upper) / 2
    side = np.where(size == middle, np.sign(rest), np.sign(size - middle))
    grows = {
        "rtte": (side > 0) | ((side == 0) & (below % 2 == 1)),
        "rtta": side >= 0,
        "rtz": np.zeros(hi.shape, bool),
        "rtn": negative,
        "rtp": ~negative,
    }[rounding]
    code = np.where(np.isinf(hi), len(table), below + (grows & ~exact))
    if finite or not standard.infinity:
        code = np.minimum(code, len(table) - 1)
    bits = code << standard.padding | np.where(negative, standard.sign, 0)
    return np.where(np.isnan(hi), standard.nan, bits).astype(np.uint32)


def exact_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a + b as its nearest binary64 and the rest, from the larger number on (Dekker)."""
    swap = np.abs(a) < np.abs(b)
    large, small = np.where(swap, b, a), np.where(swap, a, b)
    total = large + small
    rest = small - (total - large)
    return total, np.where(np.isfinite(total), rest, 0.0)


def rectified(name: str, bits: np.ndarray) -> np.ndarray:
    """Negative numbers as 0; NaNs stay."""
    standard = STANDARDS[name]
    return np.where((bits & standard.sign != 0) & ~np.isnan(decode(name, bits)), 0, bits)


def pack(low: Any, high: Any) -> np.ndarray:
    """Two columns of halves as one of registers."""
    return np.asarray(low).astype(np.uint32) | np.asarray(high).astype(np.uint32) << np.uint32(16)


def f32_bits(values: Any) -> np.ndarray:
    """Numbers as binary32 bits; the NaN is the canonical one."""
    with np.errstate(over="ignore"):
        narrow = np.asarray(values).astype(np.float32)
    return np.where(np.isnan(narrow), np.uint32(0x7FFFFFFF), narrow.view(np.uint32))


EVERY_HALF = np.arange(1 << 16, dtype=np.uint32)
"""All 16-bit patterns."""


def f32_points(name: str) -> np.ndarray:
    """binary32 bits around every decision of a narrowing: numbers, midpoints, their neighbours, and random ones."""
    table = numbers(name)
    if len(table) > 1 << 12:  # all exponents, a few numbers of each, and all the smallest and largest
        random = np.random.default_rng(1)
        step = 1 << STANDARDS[name].mantissa
        edges = (np.arange(0, len(table), step)[:, None] + np.array([-1, 0, 1, step // 2])).ravel()
        chosen = np.concatenate([edges, random.integers(0, len(table), 4096), np.arange(64), -1 - np.arange(64)])
        chosen = np.unique(chosen % len(table))
    else:
        chosen = np.arange(len(table))
    after = np.append(table, 2 * table[-1] - table[-2])
    with np.errstate(over="ignore"):
        points = np.concatenate([after[chosen], (after[chosen] + after[chosen + 1]) / 2]).astype(np.float32)
    bits = points.view(np.uint32).astype(np.int64)
    bits = np.clip(np.concatenate([bits - 1, bits, bits + 1]), 0, 0x7F800000)
    special = [0, 1, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF]
    bits = np.unique(np.concatenate([bits, special]).astype(np.uint32))
    return np.concatenate([bits, bits | 0x80000000, np.random.default_rng(2).integers(0, 1 << 32, 4096, np.uint32)])


def value_of(bits: Any) -> np.ndarray:
    """binary32 bits as numbers in binary64."""
    with np.errstate(invalid="ignore"):  # signalling NaNs
        return np.asarray(bits, np.uint32).view(np.float32).astype(np.float64)


def flushed(bits: np.ndarray) -> np.ndarray:
    return np.where(bits & 0x7F800000, bits, bits & 0x80000000)


def whole(values: np.ndarray, rounding: str) -> np.ndarray:
    """Numbers rounded to integers; a zero keeps the sign."""
    match rounding:
        case "rtz":
            return np.trunc(values)
        case "rtn":
            return np.floor(values)
        case "rtp":
            return np.ceil(values)
        case "rtte":
            return np.rint(values)
    size = np.abs(values)
    return np.copysign(np.where(size < 2.0**52, np.floor(size + 0.5), size), values)


def clamped(values: np.ndarray, low: int, high: int, nan: int) -> np.ndarray:
    """Integral numbers, exact as Python's integers, at the nearest end; then two's complement."""
    width = 64 if high >= 1 << 32 else 32
    exact = [nan if v != v else low if v < low else high if v > high else int(v) for v in values.tolist()]
    return np.array([value & (1 << width) - 1 for value in exact], np.uint64)
