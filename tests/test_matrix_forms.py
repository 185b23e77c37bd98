"""Every matrix form there should be, and of each what a form alone can get wrong.

That is: where its elements, its sparse positions and its scales lie, one at a time; the signs it flips; where it stops
counting; and that it runs on its own architecture alone, with all lanes on.
"""

from functools import cache
from itertools import pairwise, product
from typing import Any

import matrix_model as model
import numpy as np
import pytest
from matrix_machine import (
    DENSE,
    INSTRUCTIONS,
    PARAMS,
    SPARSE,
    Machine,
    chosen_by,
    digits,
    form_of,
    operands,
    random_scales,
    word_of,
)
from one import ALL, bench, compiles_long, stop

import m890
from m890.isa import ISA
from m890.isa.effects import Stop
from m890.isa.matrix_operands import MatrixKind
from m890.isa.program import Kernel, Module
from m890.tools.manual import chapter
from m890.tools.manual_fragments import draw, operands_of, title

# Which forms there are.

PUBLISHED = {
    ("ppu0015", "f16 bf16"): "m16n8k8 m16n8k16 m16n16k8 m16n16k16",
    ("ppu0015", "tf32 f32"): "m16n8k4 m16n8k8 m16n16k4 m16n16k8",
    ("ppu0015", "i8 u8"): "m8n8k16 m16n8k16 m16n8k32 m16n16k16 m16n16k32",
    ("ppu0015", "e4m3 e5m2"): "m16n8k16 m16n8k32 m16n16k16 m16n16k32",
    ("ppu0015", "f4"): "m16n8k64 m16n16k64",
    ("ppu001", "f16 bf16"): "m16n16k16 m16n16k8 m8n16k16 m8n16k8",
    ("ppu001", "tf32 f32"): "m16n16k8 m16n16k4 m8n16k8 m8n16k4",
    ("ppu001", "i8 u8"): "m16n16k32 m16n16k16 m8n16k32 m8n16k16",
    ("ppu001 sparse", "f16 bf16"): "m16n16k32 m16n16k16 m8n16k32 m8n16k16",
    ("ppu001 sparse", "i8 u8"): "m16n16k64 m16n16k32 m8n16k64 m8n16k32",
}
"""The vendor's shapes, by architecture and element types; a sparse B doubles k."""


def published() -> set[tuple[str, str]]:
    """Architecture and mnemonic of every form."""
    found = set[tuple[str, str]]()
    for (where, names), shapes in PUBLISHED.items():
        arch, sparse = where.partition(" ")[::2]
        eights = names in ("i8 u8", "e4m3 e5m2")
        types = [f"{a}.{b}" for a, b in product(names.split(), repeat=2)] if eights else names.split()
        for name, shape in product(types, shapes.split()):
            results = {"i": ["i32"], "u": ["i32"], "e": ["f32", "f16"]}.get(name[0], ["f32"])
            results = [*results, "f16"] if name == "f16" else ["mx.f32"] if name == "f4" else results
            name = "f4.f4" if name == "f4" else name
            for result, sat in product(results, ("", ".sat") if results == ["i32"] else ("",)):
                found.add((arch, f"v.mma.{'sp.' if sparse else ''}{result}.{name}.{shape}{sat}"))
    return found


def test_every_published_form_is_there_and_no_other() -> None:
    assert {(i.architectures[0], i.mnemonic) for i in INSTRUCTIONS} == published()
    assert all(len(i.architectures) == 1 for i in INSTRUCTIONS)


def test_the_manual_draws_every_lane_map() -> None:
    """In the chapter of matrix instructions, under a line that names the operand, the chip and the shape."""
    tensor = next(family for family in m890.isa.FAMILIES if family.__name__.endswith(".tensor"))
    text = chapter(tensor)
    parts = text.split("\n\n")
    for instruction in INSTRUCTIONS:
        form = form_of(instruction)
        assert f"`{instruction.mnemonic}`" in text
        for operand in operands_of(form):
            drawing = "\n".join(["```", *draw(operand), "```"])
            heads = [before for before, after in pairwise(parts) if after == drawing]
            shape = f"m{form.m}n{form.n}k{form.k}"
            heads = [head for head in heads if head.startswith(title(operand)) and shape in head.split(": ")[1]]
            assert any(operand.by_columns or form.arch in head for head in heads), (instruction.mnemonic, operand.name)


# Where and how they run.

OTHER = {"ppu0015": ("ppu001", "810E"), "ppu001": ("ppu0015", "M890")}


@cache
def chip(kind: str) -> m890.Chip:
    return m890.Chip(kind)


@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=[param.id for param in PARAMS])
def test_a_form_of_the_other_chip_is_an_invalid_instruction(instruction: Any) -> None:
    arch, kind = OTHER[instruction.architectures[0]]
    word = word_of(instruction)
    with pytest.raises(m890.isa.DecodeError, match=f"no instruction of {arch}: {instruction.mnemonic} is one of"):
        ISA.decode(word, arch)
    kernel = Kernel("k", np.array([word, ISA.by_mnemonic["s.exit"][0][0].value], np.uint64), 64, 64)
    with pytest.raises(m890.Fault) as caught:
        chip(kind).load(Module(arch, {"k": kernel}))["k"][1, 32]()
    assert caught.value.code == 0


@pytest.mark.parametrize("instruction", PARAMS)
def test_partial_warps_fault_before_any_effect(instruction: Any) -> None:
    machine = Machine(instruction)
    for emsk in (0, 1, 0x7FFFFFFF, 0xFFFFFFFE):
        machine.bench.scramble(np.random.default_rng(emsk))
        machine.bench.path(ALL, emsk)
        before = machine.bench.rows.copy()
        assert machine.one.run() == stop(Stop.FAULT)
        before[machine.one.places] = machine.bench.rows[machine.one.places]
        np.testing.assert_array_equal(machine.bench.rows, before)
        assert int(machine.bench.warp["fault"]) == 3
        assert int(machine.bench.warp["fault_lanes"]) == ALL & ~emsk
    bench().path(ALL)


# Sparse positions and scales.


@pytest.mark.parametrize("instruction", SPARSE)
def test_every_sparse_element_is_where_it_should_be(instruction: Any) -> None:
    """One element of A is 1: what there is of its k in each column, told by one of three digits of base 4."""
    form, random = form_of(instruction), np.random.default_rng(7)
    stored, c = form.k // 2, np.zeros((form.m, form.n), np.uint32)
    digit = digits(stored)[:, np.arange(form.n) % 3]
    b = model.element(digit, form.right.name)
    for select in range(64 // form.k):
        machine, e = Machine(instruction, select=select), random.integers(0, 1 << 32, (1, 32), np.uint32)
        chosen = chosen_by(form, e[0], select)
        for m, k in np.ndindex(form.m, form.k):
            wanted = np.zeros((form.m, form.n))
            wanted[m] = ((chosen == k) * digit).sum(axis=0)
            a = np.zeros((form.m, form.k), np.uint32)
            a[m, k] = model.element(1, form.left.name)
            np.testing.assert_array_equal(model.numbers(machine.run(a, b, c, e), form.result.name), wanted)


@pytest.mark.parametrize("instruction", SPARSE)
def test_every_sparse_position_is_where_it_should_be(instruction: Any) -> None:
    """One element of B is 1: the two bits that say its k, in every selection, when all others say something else."""
    form = form_of(instruction)
    a, c, digit = np.zeros((form.m, form.k), np.uint32), np.zeros((form.m, form.n), np.uint32), digits(form.k)
    a[:3] = model.element(digit.T, form.left.name)
    for select in range(64 // form.k):
        machine = Machine(instruction, select=select)
        for place, n in np.ndindex(form.k // 2, form.n):
            b = np.zeros((form.k // 2, form.n), np.uint32)
            b[place, n] = model.element(1, form.right.name)
            lane, low = 4 * (n % 8) + select * form.k // 16 + place // 8, 16 * (n // 8) + 2 * (place % 8)
            for position in range(4):
                e = np.full((1, 32), 0 if position else ALL, np.uint32)
                e[0, lane] = int(e[0, lane]) & ~(3 << low) | position << low
                found = np.array(model.numbers(machine.run(a, b, c, e), form.result.name))
                assert found[:3, n].tolist() == digit[place // 2 * 4 + position].tolist()
                assert not np.delete(found, n, axis=1).any()


SCALED = [param for param in DENSE if ".mx." in param.id]


@pytest.mark.parametrize("instruction", SCALED)
def test_every_selection_of_scales(instruction: Any) -> None:
    """All elements are 1: each result is 32 times a sum over two blocks of a scale of its row times one of its column.

    Scales are powers of two near one another, so that every sum is exact. Row and column h*8 + p have bytes 2*h and
    2*h + 1 of lane 4*p + part, or of 8 columns the bytes of a section.
    """
    form, random = form_of(instruction), np.random.default_rng(8)
    a, b = (model.element(np.ones(shape), "f4") for shape in ((form.m, form.k), (form.k, form.n)))
    c = np.zeros((form.m, form.n), np.uint32)
    for select in range(16 if form.n == 16 else 32):
        scales = random_scales(random, 121, 130)
        bytes_ = scales.view(np.uint8).reshape(2, 8, 4, 2, 2)  # register, p, part, h, block
        rows, columns = (np.exp2(bytes_[n, :, select >> 2 * n & 3].astype(float) - 127) for n in (0, 1))
        columns = columns if form.n == 16 else columns[:, select >> 4 :][:, :1]
        rows, columns = (each.transpose(1, 0, 2).reshape(-1, 2) for each in (rows, columns))
        found = Machine(instruction, select=select).run(a, b, c, scales).view(np.float32)
        np.testing.assert_array_equal(found, 32 * rows @ columns.T)


# Signs and ends.

NEGATED = [
    pytest.param(i, id=f"{i.architectures[0]}-{i.mnemonic}", marks=[pytest.mark.slow] if n % 4 else [])
    for n, i in enumerate(
        i
        for i in INSTRUCTIONS
        if any(isinstance(kind, MatrixKind) and kind.negate for kind in i.kinds) and not compiles_long(i)
    )
]
"""The largest shape of each combination of types: every set of signs is a handler of its own."""


@pytest.mark.parametrize("instruction", NEGATED)
@pytest.mark.parametrize("negate", ["a", "b", "c", "abc"])
def test_negation_flips_signs(instruction: Any, negate: str) -> None:
    """Of all elements, NaN included, before anything else."""
    random, form = np.random.default_rng(3), form_of(instruction)
    more = random.integers(0, 1 << 32, (1, 32), np.uint32) if form.sparse else random_scales(random, 120, 135)
    for sort in ("near", "any"):
        given = dict(zip("abc", operands(random, form, sort), strict=True))
        bits = dict(zip("abc", (form.a.bits, form.b.bits, form.d.bits), strict=True))
        other = {name: x ^ (1 << bits[name] - 1 if name in negate else 0) for name, x in given.items()}
        found = Machine(instruction, negate=negate).run(**given, more=more)
        np.testing.assert_array_equal(found, Machine(instruction).run(**other, more=more))
        assert sort == "any" or (found != Machine(instruction).run(**given, more=more)).any()


@pytest.mark.parametrize("instruction", [p for p in DENSE if ".i32." in p.id])
def test_integers_stop_or_wrap_at_the_ends(instruction: Any) -> None:
    """Sums of the largest products around both ends, from C that is there already; partial sums do not count."""
    form = form_of(instruction)
    ends = {"i8": (-128, 127), "u8": (0, 255)}
    for x, y, c in product(ends[form.left.name], ends[form.right.name], (-(1 << 31), -1, 0, (1 << 31) - 1)):
        total = form.k * x * y + c
        wanted = max(-(1 << 31), min((1 << 31) - 1, total)) if form.saturate else total
        a, b = (np.full(shape, z & 0xFF, np.uint32) for shape, z in (((form.m, form.k), x), ((form.k, form.n), y)))
        found = Machine(instruction).run(a, b, np.full((form.m, form.n), c & ALL, np.uint32))
        assert (found == wanted & ALL).all(), (x, y, c)
