"""Matrix instructions: D = A * B + C on fragments, by lane maps that are data of the table."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from m890.isa.fragments import Fragment, places
from m890.isa.matrix import MATRIX_FORMS, matrix_form
from m890.isa.registers import Register

from .convert import low_bits
from .floating import times, total
from .formats import BF16, E2M1, E4M3, E5M2, F16, F32, TF32, Exact, Format
from .machine import ALL, EMSK, Fault, Warp
from .meaning import warp

FLOATS = {"f32": F32, "tf32": TF32, "f16": F16, "bf16": BF16, "e4m3": E4M3, "e5m2": E5M2, "f4": E2M1}
INTEGERS = {"i8": low_bits(8, True), "u8": low_bits(8, False), "i32": low_bits(32, True)}
Matrix = list[list[int]]
Number = Exact | None
"""A float, or NaN."""


class Types(NamedTuple):
    """What a mnemonic says of the elements."""

    result: str
    a: str
    b: str
    saturates: bool


def types_of(mnemonic: str) -> Types:
    parts = mnemonic.removeprefix("v.mma.").removeprefix("mx.").removeprefix("sp.").split(".")
    shape = next(n for n, part in enumerate(parts) if part[0] == "m" and part[1].isdigit())
    return Types(parts[0], parts[1], parts[shape - 1], parts[-1] == "sat")


@cache
def cells(fragment: Fragment) -> list[tuple[int, int, int, int, int]]:
    """Row, column, register, lane and lowest bit of every element."""
    rows, columns = places(fragment)
    return [
        (int(rows[r, lane, n]), int(columns[r, lane, n]), r, lane, n * fragment.bits)
        for r in range(rows.shape[0])
        for lane in range(32)
        for n in range(rows.shape[2])
    ]


def matrix_in(warp: Warp, fragment: Fragment, register: Register) -> Matrix:
    """The bits of a matrix that lies in registers from one on."""
    found = [[0] * fragment.columns for _ in range(fragment.rows)]
    mask = (1 << fragment.bits) - 1
    for row, column, r, lane, low in cells(fragment):
        found[row][column] = warp.v[register.number + r][lane] >> low & mask
    return found


def put_matrix(warp: Warp, fragment: Fragment, register: Register, matrix: Matrix) -> None:
    rows = [[0] * 32 for _ in range(fragment.words)]
    mask = (1 << fragment.bits) - 1
    for row, column, r, lane, low in cells(fragment):
        rows[r][lane] |= (matrix[row][column] & mask) << low
    for r, values in enumerate(rows):
        warp.v[register.number + r] = values


def number(fmt: Format, bits: int) -> Number:
    bits &= fmt.mask
    return None if fmt.is_nan(bits) else fmt.exact(bits)


def read_floats(fmt: Format, matrix: Matrix, negate: bool) -> list[list[Number]]:
    flip = fmt.sign if negate else 0
    return [[number(fmt, bits ^ flip) for bits in row] for row in matrix]


def plus(x: Number, y: Number) -> Number:
    """The sum, rounded to binary32."""
    return None if x is None or y is None else number(F32, total(F32, x, y, "rtte"))


def product(x: Number, y: Number) -> Number:
    return None if x is None or y is None else times(x, y)


def dot(row: list[Number], column: list[Number]) -> Number:
    """The products in the order of k, added one after the other from +0 on."""
    found: Number = Exact(0, 0, 0)
    for x, y in zip(row, column, strict=True):
        found = plus(found, product(x, y))
    return found


def written(fmt: Format, x: Number) -> int:
    """A sum as bits of the result's format."""
    if x is None:
        return fmt.nan
    return fmt.infinite(x.negative) if x.m is None else fmt.round(x.negative, x.m, x.e, "rtte")


def scaled(matrix: list[list[Number]], scale: Callable[[int, int], int]) -> list[list[Number]]:
    """Every element times its scale, as binary32; `scale` gives the E8M0 byte of a row and a k."""

    def one(x: Number, byte: int) -> Number:
        if x is None or byte == 0xFF:
            return None
        return number(F32, written(F32, x._replace(e=x.e + byte - 127)))

    return [[one(x, scale(row, k)) for k, x in enumerate(line)] for row, line in enumerate(matrix)]


def scales(warp: Warp, register: int, part: int, half: int) -> Callable[[int, int], int]:
    """In lane 4 * p + part: bytes 0 and 1 for row p, 2 and 3 for row p + 8; `half` shifts by two bytes."""

    def scale(row: int, k: int) -> int:
        byte = 2 * (row // 8 + half) + k // 32
        return warp.v[register][4 * (row % 8) + part] >> 8 * byte & 0xFF

    return scale


def kept(warp: Warp, e: Register, select: int, depth: int, column: int) -> list[int]:
    """The k of every value that a column of a sparse B has: two of every four, in the order they are stored."""
    lanes = depth // 16
    found = []
    for four in range(depth // 4):
        word = warp.v[e.number][4 * (column % 8) + select * lanes + four // 4]
        places = word >> 16 * (column // 8) + 4 * (four % 4)
        found += [4 * four + (places & 3), 4 * four + (places >> 2 & 3)]
    return found


def transposed(matrix: list[list[Number]]) -> list[list[Number]]:
    return [list(column) for column in zip(*matrix, strict=True)]


def floats(
    warp: Warp, mnemonic: str, arch: str, d: Register, a: Register, b: Register, c: Register,
    s: Register | None, e: Register | None, select: int,
) -> None:  # fmt: skip
    form, types = matrix_form(mnemonic, arch), types_of(mnemonic)
    rows = read_floats(FLOATS[types.a], matrix_in(warp, form.a, a), a.negate)
    columns = transposed(read_floats(FLOATS[types.b], matrix_in(warp, form.b, b), b.negate))
    result = FLOATS[types.result]
    keep = [e and kept(warp, e, select, form.k, column) for column in range(len(columns))]
    last = read_floats(result, matrix_in(warp, form.d, c), c.negate)
    if s is not None:
        rows = scaled(rows, scales(warp, s.number, select & 3, 0))
        columns = scaled(columns, scales(warp, s.number + 1, select >> 2 & 3, select >> 4))
    found = [
        [written(result, plus(dot(chosen(row, keep[j]), column), last[i][j])) for j, column in enumerate(columns)]
        for i, row in enumerate(rows)
    ]
    put_matrix(warp, form.d, d, found)


def chosen(row: list[Any], keep: list[int] | None) -> list[Any]:
    """What a row has for the values that a column has."""
    return row if keep is None else [row[k] for k in keep]


def integers(
    warp: Warp, mnemonic: str, arch: str, d: Register, a: Register, b: Register, c: Register,
    e: Register | None, select: int,
) -> None:  # fmt: skip
    form, types = matrix_form(mnemonic, arch), types_of(mnemonic)
    rows = [[INTEGERS[types.a](bits) for bits in row] for row in matrix_in(warp, form.a, a)]
    columns = [[INTEGERS[types.b](bits) for bits in row] for row in zip(*matrix_in(warp, form.b, b), strict=True)]
    last = matrix_in(warp, form.d, c)
    keep = [e and kept(warp, e, select, form.k, column) for column in range(len(columns))]
    found = []
    for i, row in enumerate(rows):
        sums = [
            sum(x * y for x, y in zip(chosen(row, keep[j]), column, strict=True)) + INTEGERS["i32"](last[i][j])
            for j, column in enumerate(columns)
        ]
        found.append([max(-(1 << 31), min((1 << 31) - 1, x)) for x in sums] if types.saturates else sums)
    put_matrix(warp, form.d, d, found)


@warp("{mnemonic}", mnemonic={form.mnemonic: form.mnemonic for form in MATRIX_FORMS})
def multiply(
    warp: Warp,
    d: Register,
    a: Register,
    b: Register,
    c: Register,
    arch: str,
    s: Register | None = None,
    e: Register | None = None,
    select: int = 0,
    *,
    mnemonic: str,
) -> None:
    if warp.s[EMSK] != ALL:
        raise Fault(3)
    if types_of(mnemonic).result == "i32":
        integers(warp, mnemonic, arch, d, a, b, c, e, select)
    else:
        floats(warp, mnemonic, arch, d, a, b, c, s, e, select)
