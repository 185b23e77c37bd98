"""Matrix products computed with Python's integers, one element and one k at a time: the slow twin of `isa/matrix.py`.

Lane maps are written here as the published formulas; numbers come from ml_dtypes and are rounded by code of its own.
"""

import math
from typing import Any

import ml_dtypes
import numpy as np

DTYPES: dict[str, Any] = {
    "f32": np.float32, "tf32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16,
    "e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2, "f4": ml_dtypes.float4_e2m1fn,
    "i8": np.int8, "u8": np.uint8, "i32": np.int32,
}  # fmt: skip
POINT = 298
"""Sums are integers in units of 2**-298, the smallest product of two binary32 numbers."""


# Lane maps: L lane, q = L % 4, p = L / 4, r register, e element in the register, w elements of a register.


def place_a(form: Any, r: int, lane: int, e: int) -> tuple[int, int]:
    """Row and k of an element of A."""
    p, q, w = lane // 4, lane % 4, 32 // form.left.bits
    if form.arch == "ppu0015":
        down, along = (r & 1, r >> 1) if form.m == 16 else (0, r)
    else:  # the vendor's software model of the older chip: two steps along k, then down, then further along k
        steps = min(form.k // (4 * w), 2)
        down, along = r // steps % (form.m // 8), r % steps + r // (steps * form.m // 8) * steps
    return p + 8 * down, w * q + e + 4 * w * along


def place_b(form: Any, r: int, lane: int, e: int) -> tuple[int, int]:
    """k and column of an element of B."""
    p, q, w = lane // 4, lane % 4, 32 // form.left.bits
    blocks = (form.k // 2 if form.sparse else form.k) // (4 * w)
    return w * q + e + 4 * w * (r % blocks), p + 8 * (r // blocks)


def place_d(form: Any, r: int, lane: int, e: int) -> tuple[int, int]:
    """Row and column of an accumulator; those of 16 bits are slots 2*r and 2*r + 1."""
    p, q = lane // 4, lane % 4
    i = 2 * r + e if form.result.bits == 16 else r
    if form.arch == "ppu001":
        row, column = (i // 4, i % 4) if form.m == 16 else (0, i)
        return p + 8 * row, q + 4 * column
    if form.m == 8:
        return p, 2 * q + i
    return p + 8 * ((i >> 1) & 1), 2 * q + (i & 1) + 8 * (i >> 2)


def place_map(place: Any, form: Any, words: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays over [register, lane, element]: first and second index of the element there."""
    found = np.array([place(form, *at) for at in np.ndindex(words, 32, 32 // bits)])
    return tuple(found.T.reshape(2, words, 32, 32 // bits))


def to_registers(matrix: np.ndarray, where: tuple[np.ndarray, np.ndarray], bits: int) -> np.ndarray:
    """Element bits as registers."""
    rows = np.zeros(where[0].shape[:2], np.uint32)
    for e in range(32 // bits):
        rows |= matrix[where[0][..., e], where[1][..., e]].astype(np.uint32) << np.uint32(bits * e)
    return rows


def from_registers(rows: np.ndarray, where: tuple[np.ndarray, np.ndarray], bits: int, shape: Any) -> np.ndarray:
    """Registers as element bits."""
    matrix = np.zeros(shape, np.uint32)
    for e in range(32 // bits):
        part = rows >> np.uint32(bits * e) & np.uint32((1 << bits) - 1)
        matrix[where[0][..., e], where[1][..., e]] = part
    return matrix


# Numbers.


@np.errstate(invalid="ignore")  # signalling NaNs become quiet
def numbers(bits: np.ndarray, name: str) -> Any:
    """Element bits as Python floats or ints, nested lists."""
    dtype = np.dtype(DTYPES[name])
    bits = bits & np.uint32(0xFFFFE000) if name == "tf32" else bits
    array = bits.astype(f"u{dtype.itemsize}").view(dtype)
    return array.astype(np.int64 if name in ("i8", "u8", "i32") else np.float64).tolist()


def element(numbers: Any, name: str) -> np.ndarray:
    """Small numbers, which every format has, as element bits."""
    array = np.asarray(numbers).astype(DTYPES[name])
    return array.view(f"u{array.dtype.itemsize}").astype(np.uint32)


def units(x: float) -> int:
    """A binary32 number in units of 2**-149."""
    return int(math.ldexp(x, 149))


def rounded(total: int, digits: int, least: int, top: int) -> float:
    """`total` * 2**-298 to nearest even with `digits` bits, the last one 2**least or more; from 2**top on infinite."""
    size = abs(total)
    unit = max(size.bit_length() - digits, least + POINT)
    whole, rest = divmod(size, 1 << unit)
    half = 1 << (unit - 1)
    whole += rest > half or (rest == half and whole & 1)
    found = math.inf if whole << unit >= 1 << (top + POINT) else math.ldexp(whole, unit - POINT)
    return -found if total < 0 else found


def add_product(total: float, x: float, y: float) -> float:
    """total + x * y, rounded once to binary32."""
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(total)):
        return x * y + total
    exact = units(x) * units(y) + (units(total) << 149)
    if exact == 0:
        negative = math.copysign(1, x) * math.copysign(1, y) < 0 and math.copysign(1, total) < 0
        return -0.0 if negative and total == 0 and x * y == 0 else 0.0
    return rounded(exact, 24, -149, 128)


def accumulate(left: Any, right: Any, last: Any) -> list[list[float]]:
    """The product, k after k from +0 on, then C."""
    columns = list(zip(*right, strict=True))
    found: list[list[float]] = []
    for row, others in zip(left, last, strict=True):
        line: list[float] = []
        for column, c in zip(columns, others, strict=True):
            total = 0.0
            for x, y in zip(row, column, strict=True):
                total = add_product(total, x, y)
            line.append(add_product(total, 1.0, c))
        found.append(line)
    return found


def float_bits(x: float, name: str) -> int:
    """A result as f32 or f16 bits, NaN canonical; x has the precision of binary32."""
    if x != x:
        return 0x7FFFFFFF if name == "f32" else 0x7FFF
    if name == "f32":
        return int(np.float32(x).view(np.uint32))
    if x and math.isfinite(x):
        x = math.copysign(rounded(units(x) << 149, 11, -24, 16), x)
    return int(np.float16(x).view(np.uint16))


def product(
    form: Any, a: np.ndarray, b: np.ndarray, c: np.ndarray, scales: Any = None, chosen: Any = None
) -> np.ndarray:
    """D's element bits from those of A, B and C.

    `scales` are exponents by [row, block] and [column, block]; `chosen` the k of each value of a sparse B, by
    [stored k, column].
    """
    left, right, last = numbers(a, form.left.name), numbers(b, form.right.name), numbers(c, form.result.name)
    if chosen is not None:  # column by column, A's columns put together as B's values want them
        parts = [product(form, a[:, chosen[:, n]], b[:, n : n + 1], c[:, n : n + 1]) for n in range(form.n)]
        return np.concatenate(parts, axis=1)
    if form.result.name == "i32":
        return integers(form, left, right, last)
    if scales is not None:
        left = [[scaled(x, scales[0][m][k // 32]) for k, x in enumerate(row)] for m, row in enumerate(left)]
        right = [[scaled(x, scales[1][n][k // 32]) for n, x in enumerate(row)] for k, row in enumerate(right)]
    found = accumulate(left, right, last)
    return np.array([[float_bits(x, form.result.name) for x in row] for row in found], np.uint32)


def scaled(x: float, exponent: int) -> float:
    """x * 2**(exponent - 127), which binary32 holds exactly or not at all."""
    found = math.nan if exponent == 255 else math.ldexp(x, exponent - 127)
    return math.copysign(math.inf, x) if abs(found) >= 2.0**128 else found


def integers(form: Any, left: Any, right: Any, last: Any) -> np.ndarray:
    """The product of integers, wrapped or clamped once."""
    found = []
    for row, others in zip(left, last, strict=True):
        sums = [sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*right, strict=True)]
        found.append([total + c for total, c in zip(sums, others, strict=True)])
    if form.saturate:
        found = [[max(-(1 << 31), min((1 << 31) - 1, x)) for x in row] for row in found]
    return np.array([[x & 0xFFFFFFFF for x in row] for row in found], np.uint32)
