"""Saturating, high, 24-bit, 64-bit and carrying integer arithmetic against Python's own integers."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from one import ALL, One, bench, lane_mask

from m890.isa import ISA, extended
from m890.isa.lanes import LANES

LOW, HIGH = -(1 << 31), (1 << 31) - 1


def clamp(x: int) -> int:
    return max(LOW, min(HIGH, x))


def signed(x: int, width: int) -> int:
    x &= (1 << width) - 1
    return x - (x >> width - 1 << width)


def highest(a: int) -> int:
    return (a if a >= 0 else ~a).bit_length() - 1


def left_to_top(a: int) -> int:
    return 63 - highest(a) if highest(a) >= 0 else -1


def extended_bits(a: int, b: int, sign: bool, wrap: bool) -> int:
    count = b % 32 if wrap else min(b, 32)
    field = a & (1 << count) - 1
    return signed(field, count) if sign and count else field


def field(a: int, start: int, length: int, sign: bool) -> int:
    start, length = start & 255, length & 255
    if not length:
        return 0
    return signed(a >> start, length) if sign else (a & (1 << 64) - 1) >> start & (1 << length) - 1


def inserted(a: int, b: int, c: int) -> int:
    for step in range(c >> 8 & 255):
        place = (c & 255) + step
        if place < 64:
            b = b & ~(1 << place) | (a >> step & 1) << place
    return b


def bytes_of(a: int, b: int) -> list[int]:
    return [(b << 32 | a) >> 8 * n & 255 for n in range(8)]


def chosen(pick: Callable[[int, int], int]) -> Callable[[int, int, int], int]:
    return lambda a, b, c: sum(bytes_of(a, b)[pick(n, c & 3)] << 8 * n for n in range(4))


MODELS: dict[str, tuple[str, Callable[..., int]]] = {
    "add.i32.sat": ("i32 i32", lambda a, b: clamp(a + b)),
    "sub.i32.sat": ("i32 i32", lambda a, b: clamp(a - b)),
    "min.i32.relu": ("i32 i32", lambda a, b: max(0, min(a, b))),
    "max.i32.relu": ("i32 i32", lambda a, b: max(0, a, b)),
    "abs.i32": ("i32", abs),
    "abs.i64": ("i64", abs),
    "neg.i32": ("i32", lambda a: -a),
    "neg.i64": ("i64", lambda a: -a),
    "cnot.b32": ("u32", lambda a: int(a == 0)),
    "cnot.b64": ("u64", lambda a: int(a == 0)),
    "mulh.u64": ("u64 u64", lambda a, b: a * b >> 64),
    "mulh.i64": ("i64 i64", lambda a, b: a * b >> 64),
    "madh.u64": ("u64 u64 u64", lambda a, b, c: (a * b >> 64) + c),
    "madh.i64": ("i64 i64 i64", lambda a, b, c: (a * b >> 64) + c),
    "madl.i64": ("i64 i64 i64", lambda a, b, c: a * b + c),
    "madh.u32": ("u32 u32 u32", lambda a, b, c: (a * b >> 32) + c),
    "madh.i32": ("i32 i32 i32", lambda a, b, c: (a * b >> 32) + c),
    "madh.i32.sat": ("i32 i32 i32", lambda a, b, c: clamp((a * b >> 32) + c)),
    "mul24l.u32": ("u24 u24", lambda a, b: a * b),
    "mul24l.i32": ("i24 i24", lambda a, b: a * b),
    "mul24h.u32": ("u24 u24", lambda a, b: a * b >> 16),
    "mul24h.i32": ("i24 i24", lambda a, b: a * b >> 16),
    "mad24l.u32": ("u24 u24 u32", lambda a, b, c: a * b + c),
    "mad24l.i32": ("i24 i24 i32", lambda a, b, c: a * b + c),
    "mad24h.u32": ("u24 u24 u32", lambda a, b, c: (a * b >> 16) + c),
    "mad24h.i32": ("i24 i24 i32", lambda a, b, c: (a * b >> 16) + c),
    "mad24h.i32.sat": ("i24 i24 i32", lambda a, b, c: clamp((a * b >> 16) + c)),
    "bfind.u64": ("u64", highest),
    "bfind.i64": ("i64", highest),
    "bfind.shiftamt.u64": ("u64", left_to_top),
    "bfind.shiftamt.i64": ("i64", left_to_top),
    "sad.u64": ("u64 u64 u64", lambda a, b, c: c + abs(a - b)),
    "sad.i64": ("i64 i64 i64", lambda a, b, c: c + abs(a - b)),
    "szext.clamp.u32": ("u32 u32", lambda a, b: extended_bits(a, b, False, False)),
    "szext.clamp.i32": ("u32 u32", lambda a, b: extended_bits(a, b, True, False)),
    "szext.wrap.u32": ("u32 u32", lambda a, b: extended_bits(a, b, False, True)),
    "szext.wrap.i32": ("u32 u32", lambda a, b: extended_bits(a, b, True, True)),
    "bfe.u64": ("u64 u32 u32", lambda a, b, c: field(a, b, c, False)),
    "bfe.i64": ("i64 u32 u32", lambda a, b, c: field(a, b, c, True)),
    "bfi.b64": ("u64 u64 u32", inserted),
    "slct.b32.i32": ("u32 u32 i32", lambda a, b, c: a if c >= 0 else b),
    "slct.b64.i32": ("u64 u64 i32", lambda a, b, c: a if c >= 0 else b),
    "byte.prmt.f4e.b32": ("u32 u32 u32", chosen(lambda n, c: n + c)),
    "byte.prmt.b4e.b32": ("u32 u32 u32", chosen(lambda n, c: (c - n) % 8)),
    "byte.prmt.rc8.b32": ("u32 u32 u32", chosen(lambda n, c: c)),
    "byte.prmt.ecl.b32": ("u32 u32 u32", chosen(max)),
    "byte.prmt.ecr.b32": ("u32 u32 u32", chosen(min)),
    "byte.prmt.rc16.b32": ("u32 u32 u32", chosen(lambda n, c: n % 2 + c % 2 * 2)),
}
"""By name without the unit: how the sources are read, and the result as any integer, of which the low bits count."""
WIDE_RESULT = ("i64", "u64", "b64", "b64.i32")
EDGES = [0, 1, 2, 3, 5, 7, 8, 31, 32, 33, 63, 64, 65, 255, 256, 0x820, 0x4000, 0x7FFFFF, 0x800000, 0xFFFFFF, HIGH - 1,
         HIGH, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 2]  # fmt: skip


def is_wide(name: str) -> bool:
    return name.endswith(WIDE_RESULT) and not name.startswith("bfind")


def sources(kinds: str, turn: int) -> list[list[int]]:
    """Numbers of 64 bits for each source: pairs of edges in turn, and random ones of all lengths."""
    random = np.random.default_rng(turn)
    found = []
    for place, _ in enumerate(kinds.split()):
        lengths = random.integers(0, 65, LANES)
        values = [int.from_bytes(random.bytes(8), "little") >> 64 - int(n) if n else 0 for n in lengths]
        index = np.arange(LANES) + LANES * turn
        edges = [EDGES[int(n) // len(EDGES) ** min(place, 1) % len(EDGES)] for n in index]
        found.append(
            [
                edge if turn < 28 or lane % 3 == 0 else x
                for lane, (x, edge) in enumerate(zip(values, edges, strict=True))
            ]
        )
    return found  # fmt: skip


def read(value: int, kind: str) -> int:
    width = int(kind[1:])
    return signed(value, width) if kind[0] == "i" else value & (1 << width) - 1


def operand(bank: str, number: int, wide: bool) -> str:
    return f"{bank}reg[{number}:{number + 1}]" if wide else f"{bank}reg{number}"


def put(bank: str, number: int, values: list[int]) -> None:
    rows = bench().rows
    for word in range(2):
        row = np.array([value >> 32 * word & ALL for value in values], np.uint32)
        rows[number + word + (256 if bank == "v" else 0)] = row if bank == "v" else row[0]


@cache
def decoded(text: str) -> One:
    return bench().one(text)


def test_every_instruction_of_the_family_has_a_model() -> None:
    names = {i.mnemonic.partition(".")[2] for i in ISA if i.body.__module__ == extended.__name__}
    assert {name for name in names if ".c" not in name and "slct" not in name} <= set(MODELS)
    assert set(MODELS) <= names


@pytest.mark.parametrize("unit", ["s", "v"])
@pytest.mark.parametrize("name", MODELS)
def test_against_python_integers(name: str, unit: str) -> None:
    kinds, model = MODELS[name]
    wide = is_wide(name)
    places = [operand(unit, 4 * (n + 1), kind.endswith("64")) for n, kind in enumerate(kinds.split())]
    one = decoded(f"{unit}.{name} {operand(unit, 40, wide)}, {', '.join(places)}")
    bench().path(ALL)
    for turn in range(36):
        values = sources(kinds, turn)
        for place, column in enumerate(values):
            put(unit, 4 * (place + 1), column)
        assert one.run() == 1
        row = 40 + (256 if unit == "v" else 0)
        for lane in range(LANES if unit == "v" else 1):
            arguments = [read(column[lane], kind) for column, kind in zip(values, kinds.split(), strict=True)]
            found = int(bench().rows[row, lane]) | (int(bench().rows[row + 1, lane]) << 32 if wide else 0)
            expected = model(*arguments) & (1 << (64 if wide else 32)) - 1
            assert found == expected, f"{one.text}: {arguments} gives {found:#x}, not {expected:#x}"


@pytest.mark.parametrize("words", [1, 2])
@pytest.mark.parametrize("ftz", ["", ".ftz"])
def test_select_by_a_float(words: int, ftz: str) -> None:
    c = [0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), -float("inf"), 1e-40, -1e-40]
    first = [True, True, True, False, False, True, False, True, bool(ftz)]
    d, a, b = (operand("v", n, words == 2) for n in (8, 2, 4))
    bench().path(ALL)
    put("v", 2, [1 | 2 << 32] * LANES)
    put("v", 4, [3 | 4 << 32] * LANES)
    bench().rows[256 + 6, : len(c)] = np.array(c, np.float32).view(np.uint32)
    assert decoded(f"v.slct.b{32 * words}.f32{ftz} {d}, {a}, {b}, vreg6").run() == 1
    assert bench().rows[264, : len(c)].tolist() == [1 if yes else 3 for yes in first]
    if words == 2:
        assert bench().rows[265, : len(c)].tolist() == [2 if yes else 4 for yes in first]


# ---- carries --------------------------------------------------------------------------------------------------------


def columns(numbers: list[int], words: int, first: int) -> None:
    """Numbers of many words, one a lane, in vregs from `first` on."""
    for word in range(words):
        bench().rows[256 + first + word] = np.array([n >> 32 * word & ALL for n in numbers], np.uint32)


def taken(words: int, first: int) -> list[int]:
    rows = bench().rows[256 + first : 256 + first + words].astype(object)
    return [sum(int(rows[word, lane]) << 32 * word for word in range(words)) for lane in range(LANES)]


def long_numbers(words: int, seed: int) -> list[int]:
    """Random ones and ones with long runs of 0xffffffff and 0."""
    random = np.random.default_rng(seed)
    parts = np.where(random.random((LANES, words)) < 0.5, random.choice([0, 1, ALL, ALL - 1], (LANES, words)),
                     random.integers(0, 1 << 32, (LANES, words)))  # fmt: skip
    return [sum(int(part) << 32 * n for n, part in enumerate(row)) for row in parts]


def steps(*texts: str) -> None:
    for text in texts:
        assert decoded(text).run() == 1


@pytest.mark.parametrize("mask", [ALL, 0x0F0F1234])
def test_difference_of_long_numbers(mask: int) -> None:
    bench().path(ALL, mask)
    for seed in range(10):
        a, b = long_numbers(4, seed), long_numbers(4, seed + 100)
        columns(a, 4, 0)
        columns(b, 4, 4)
        steps(
            "v.sub.co.u32 vreg8, sreg8, vreg0, vreg4",
            "v.sub.ci.co.u32 vreg9, sreg8, vreg1, vreg5",
            "v.sub.ci.co.u32 vreg10, sreg8, vreg2, vreg6",
            "v.sub.ci.co.u32 vreg11, sreg8, vreg3, vreg7",
        )
        expected = [(x - y) % (1 << 128) for x, y in zip(a, b, strict=True)]
        active = lane_mask(mask)
        assert [x for x, on in zip(taken(4, 8), active, strict=True) if on] == [
            x for x, on in zip(expected, active, strict=True) if on
        ]
        borrows = sum(1 << lane for lane in range(LANES) if active[lane] and a[lane] < b[lane])
        assert int(bench().rows[8, 0]) == borrows


def test_product_of_pairs_by_the_vendors_sequence() -> None:
    """The multiplication of two numbers of 64 bits that the guide spells out: every carry form takes part."""
    bench().path(ALL)
    bench().rows[256 + 31] = 0
    for seed in range(20):
        a, b = long_numbers(2, seed), long_numbers(2, seed + 100)
        columns(a, 2, 4)
        columns(b, 2, 6)
        steps(
            "v.mull.i32 vreg0, vreg4, vreg6",
            "v.mulh.u32 vreg1, vreg4, vreg6",
            "v.madl.co.u32 vreg1, sreg8, vreg5, vreg6, vreg1",
            "v.madh.ci.u32 vreg2, vreg5, vreg6, c0x0, sreg8",
            "v.madl.co.u32 vreg1, sreg8, vreg4, vreg7, vreg1",
            "v.madh.ci.co.u32 vreg2, sreg8, vreg4, vreg7, vreg2",
            "v.add.ci.u32 vreg3, vreg31, 0, sreg8",
            "v.madl.co.u32 vreg2, sreg8, vreg5, vreg7, vreg2",
            "v.madh.ci.u32 vreg3, vreg5, vreg7, vreg3, sreg8",
        )
        assert taken(4, 0) == [x * y for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("name", ["madl.{}.u32", "madh.{}.u32", "madh.{}.i32"])
def test_carries_of_products(name: str) -> None:
    bench().path(ALL)
    half: Any = (lambda p: p & ALL) if name.startswith("madl") else (lambda p: p >> 32 & ALL)
    kind = "i32" if name.endswith("i32") else "u32"
    for seed in range(20):
        a, b, c = (long_numbers(1, seed + 50 * n) for n in range(3))
        carries = int(np.random.default_rng(seed).integers(0, 1 << 32))
        for first, numbers in enumerate((a, b, c)):
            columns(numbers, 1, first)
        sums = [half(read(x, kind) * read(y, kind)) + z for x, y, z in zip(a, b, c, strict=True)]
        out = sum(1 << lane for lane, x in enumerate(sums) if x > ALL)
        steps(f"v.{name.format('co')} vreg3, sreg9, vreg0, vreg1, vreg2")
        assert (taken(1, 3), int(bench().rows[9, 0])) == ([x & ALL for x in sums], out)
        bench().rows[10] = carries
        sums = [x + (carries >> lane & 1) for lane, x in enumerate(sums)]
        out = sum(1 << lane for lane, x in enumerate(sums) if x > ALL)
        steps(f"v.{name.format('ci')} vreg3, vreg0, vreg1, vreg2, sreg10")
        assert taken(1, 3) == [x & ALL for x in sums]
        steps(f"v.{name.format('ci.co')} vreg3, sreg10, vreg0, vreg1, vreg2")
        assert (taken(1, 3), int(bench().rows[10, 0])) == ([x & ALL for x in sums], out)
