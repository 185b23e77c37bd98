"""One matrix instruction on the compiled core, from element bits to element bits, and operands for it.

Registers are filled and read by the formulas of `matrix_model`, not by the table's lane maps.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import matrix_model as model
import numpy as np
import pytest
from one import ALL, One, bench, compiles_long, row_of

from m890.isa import ISA
from m890.isa.matrix import MatrixForm
from m890.isa.matrix_operands import MatrixKind
from m890.isa.registers import Register


def form_of(instruction: Any) -> MatrixForm:
    return next(binding.static for binding in instruction.bindings if isinstance(binding.static, MatrixForm))


INSTRUCTIONS = [i for i in ISA if any(isinstance(kind, MatrixKind) for kind in i.kinds)]
PARAMS = [
    pytest.param(i, id=f"{i.architectures[0]}-{i.mnemonic}", marks=[pytest.mark.slow] if compiles_long(i) else [])
    for i in INSTRUCTIONS
]
FIRST = {"d": 0, "a": 8, "b": 16, "c": 24, "s": 32, "e": 32}
"""Where the tests put the operands; `s` are scales, `e` says where values of a sparse B belong."""
DENSE = [param for param in PARAMS if ".sp." not in param.id]
SPARSE = [param for param in PARAMS if ".sp." in param.id]


class Maps(NamedTuple):
    """The places of A, B and D by the published formulas."""

    a: Any
    b: Any
    d: Any


@cache
def maps(form: MatrixForm) -> Maps:
    return Maps(
        model.place_map(model.place_a, form, form.a.words, form.a.bits),
        model.place_map(model.place_b, form, form.b.words, form.b.bits),
        model.place_map(model.place_d, form, form.d.words, form.d.bits),
    )


def word_of(instruction: Any, negate: str = "", select: int = 0) -> int:
    """The instruction's word with operands at FIRST."""
    values: list[Any] = []
    for kind in instruction.kinds:
        number = FIRST.get(kind.name)
        values.append(select if number is None else Register("v", number, kind.words, negate=kind.name in negate))
    return instruction.forms[0].encode(tuple(values), ())


class Machine:
    """One matrix instruction on the compiled core, from element bits to element bits."""

    def __init__(self, instruction: Any, negate: str = "", select: int = 0):
        self.form, self.bench = form_of(instruction), bench()
        self.one: One = self.bench.one(word_of(instruction, negate, select))
        self.bench.path(ALL)
        self.bench.specials()

    def run(self, a: np.ndarray, b: np.ndarray, c: np.ndarray, more: np.ndarray | None = None) -> np.ndarray:
        """D; `more` is the registers of the fifth operand."""
        form, at = self.form, maps(self.form)
        self.put("a", model.to_registers(a, at.a, form.a.bits))
        self.put("b", model.to_registers(b, at.b, form.b.bits))
        self.put("c", model.to_registers(c, at.d, form.d.bits))
        if more is not None:
            self.put("s", more)
        assert self.one.run() == 1
        found = self.rows("d", form.d.words)
        return model.from_registers(found, at.d, form.d.bits, (form.m, form.n))

    def put(self, name: str, rows: np.ndarray) -> None:
        self.rows(name, len(rows))[:] = rows

    def rows(self, name: str, count: int) -> np.ndarray:
        start = row_of(Register("v", FIRST[name]))
        return self.bench.rows[start : start + count]


def by_name(mnemonic: str, arch: str = "ppu0015") -> Any:
    return next(i for i in INSTRUCTIONS if i.mnemonic == mnemonic and arch in i.architectures)


# Operands.


def digits(count: int) -> np.ndarray:
    """The numbers below `count` by three digits of base 4, which every format has: [number, digit]."""
    return np.arange(count)[:, None] // 4 ** np.arange(3) % 4


@np.errstate(invalid="ignore")  # signalling NaNs become quiet
def random_elements(random: np.random.Generator, name: str, shape: tuple[int, int], sort: str) -> np.ndarray:
    """Element bits: `near` numbers of like size, `finite` ones of any, or `any` bits with a few special ones."""
    dtype = np.dtype(model.DTYPES[name])
    bits = random.integers(0, 1 << (4 if name == "f4" else 8 * dtype.itemsize), shape, np.uint64).astype(np.uint32)
    if dtype.kind in "iu" or name == "f4":
        return bits
    if sort == "near":
        numbers = np.ldexp(random.uniform(-2, 2, shape), random.integers(-3, 4, shape))
        return numbers.astype(dtype).view(f"u{dtype.itemsize}").astype(np.uint32)
    finite = np.isfinite(bits.astype(f"u{dtype.itemsize}").view(dtype).astype(np.float64))
    bits = np.where(finite, bits, 0)
    if sort == "any":
        nan, inf = (np.array(x).astype(dtype).view(f"u{dtype.itemsize}") for x in (np.nan, np.inf))
        top = 1 << (8 * dtype.itemsize - 1)
        special = random.choice([nan, nan | top, inf, inf | top, 0, top, 1, top | 1], shape)
        bits = np.where(random.random(shape) < 0.02, special, bits)
    return bits


def operands(random: np.random.Generator, form: MatrixForm, sort: str) -> Iterator[np.ndarray]:
    """Element bits of A, B and C."""
    yield random_elements(random, form.left.name, (form.m, form.k), sort)
    yield random_elements(random, form.right.name, (form.k // 2 if form.sparse else form.k, form.n), sort)
    c = random_elements(random, form.result.name, (form.m, form.n), sort)
    if form.result.name == "i32" and sort != "near":  # around the ends of the range
        c = np.where(random.random(c.shape) < 0.5, 0x7FFFFFFF, 0x80000000).astype(np.uint32) ^ c & 0xFFFF
    yield c


def random_scales(random: np.random.Generator, low: int, high: int) -> np.ndarray:
    return random.integers(low, high, (2, 32, 4)).astype(np.uint8).view(np.uint32)[..., 0]


def scale_lists(form: MatrixForm, scales: np.ndarray, select: int) -> Any:
    """Exponents by [row, block] and [column, block], said once more."""
    found = []
    for side, count in enumerate((form.m, form.n)):
        lanes = [4 * (line % 8) + (select >> 2 * side & 3) for line in range(count)]
        half = [line // 8 if count == 16 else select >> 4 & 1 for line in range(count)]
        pairs = zip(lanes, half, strict=True)
        found.append([[int(scales[side, lane]) >> 8 * (2 * h + j) & 0xFF for j in (0, 1)] for lane, h in pairs])
    return found


def chosen_by(form: MatrixForm, e: np.ndarray, select: int) -> np.ndarray:
    """The k of each value of B, as the vendor's software model finds it: 16 bits tell it for 16 values of k."""
    found = np.zeros((form.k // 2, form.n), np.int64)
    for stored, n in np.ndindex(found.shape):
        group = stored // 2
        lane = 4 * (n % 8) + select * (form.k // 16) + group // 4
        half = int(e[lane]) >> 16 * (n // 8) & 0xFFFF
        found[stored, n] = 4 * group + (half >> 4 * (group % 4) + 2 * (stored % 2) & 3)
    return found
