"""Integer arithmetic against Python's own integers, written one by one from the published rules."""

from collections.abc import Callable, Iterable

import numpy as np
from columns import RELATIONS, agrees
from one import bench, check

from m890.isa.lanes import LANES

WORDS = [
    0,
    1,
    2,
    3,
    0x7FFF,
    0xFFFF,
    0x10000,
    0x7FFFFFFE,
    0x7FFFFFFF,
    0x80000000,
    0x80000001,
    0xDEADBEEF,
    0xFFFFFFFE,
    0xFFFFFFFF,
]
COUNTS = [0, 1, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 257, 0x1FF, 0x2020, 0x80000000, 0xFFFFFFFF]
M32, M64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def s32(a: int) -> int:
    return (a & M32) - ((a & M32) >> 31 << 32)


def s64(a: int) -> int:
    return (a & M64) - ((a & M64) >> 63 << 64)


def field(a: int, position: int, length: int, fill: int) -> int:
    """`length` bits of a word from a position, bits beyond 31 being `fill`, one by one."""
    position, length = position & 0xFF, length & 0xFF
    picked = [(a >> place & 1 if place < 32 else fill) for place in range(position, position + length)]
    return sum(bit << place for place, bit in enumerate(picked))


def bfe_i32(a: int, b: int, c: int) -> int:
    bits = field(a, b, c, a >> 31)
    length = c & 0xFF
    return (bits - (1 << length) if length and bits >> length - 1 else bits) & M32


def bfi(a: int, b: int, c: int) -> int:
    position, length = c & 0xFF, c >> 8 & 0xFF
    for place in range(position, min(position + length, 32)):
        b = b & ~(1 << place) | (a >> place - position & 1 if place - position < 32 else 0) << place
    return b & M32


def lop3(lut: int) -> Callable[..., int]:
    return lambda a, b, c: sum(
        (lut >> (4 * (a >> n & 1) + 2 * (b >> n & 1) + (c >> n & 1)) & 1) << n for n in range(32)
    )


TWO: dict[str, Callable[[int, int], int]] = {
    "add.i32": lambda a, b: a + b & M32,
    "sub.i32": lambda a, b: a - b & M32,
    "mull.i32": lambda a, b: a * b & M32,
    "mulh.u32": lambda a, b: a * b >> 32,
    "mulh.i32": lambda a, b: s32(a) * s32(b) >> 32 & M32,
    "min.u32": min,
    "max.u32": max,
    "min.i32": lambda a, b: min(s32(a), s32(b)) & M32,
    "max.i32": lambda a, b: max(s32(a), s32(b)) & M32,
    "and.b32": lambda a, b: a & b,
    "or.b32": lambda a, b: a | b,
    "xor.b32": lambda a, b: a ^ b,
    "xnor.b32": lambda a, b: ~(a ^ b) & M32,
    "shll.b32": lambda a, b: a << b & M32 if b < 32 else 0,
    "shrl.b32": lambda a, b: a >> b if b < 32 else 0,
    "shra.i32": lambda a, b: s32(a) >> min(b, 31) & M32,
}
WIDE: dict[str, Callable[[int, int], int]] = {
    "mulw.u64.u32": lambda a, b: a * b,
    "mulw.i64.i32": lambda a, b: s32(a) * s32(b) & M64,
}
TWO64: dict[str, Callable[[int, int], int]] = {
    "add.i64": lambda a, b: a + b & M64,
    "sub.i64": lambda a, b: a - b & M64,
    "mull.i64": lambda a, b: a * b & M64,
    "min.u64": min,
    "max.u64": max,
    "min.i64": lambda a, b: min(s64(a), s64(b)) & M64,
    "max.i64": lambda a, b: max(s64(a), s64(b)) & M64,
    "and.b64": lambda a, b: a & b,
    "or.b64": lambda a, b: a | b,
    "xor.b64": lambda a, b: a ^ b,
    "xnor.b64": lambda a, b: ~(a ^ b) & M64,
}
SHIFT64: dict[str, Callable[[int, int], int]] = {
    "shll.b64": lambda a, b: a << b & M64 if b < 64 else 0,
    "shrl.b64": lambda a, b: a >> b if b < 64 else 0,
    "shra.i64": lambda a, b: s64(a) >> min(b, 63) & M64,
}
THREE: dict[str, Callable[[int, int, int], int]] = {
    "bfe.u32": lambda a, b, c: field(a, b, c, 0) & M32,
    "bfe.i32": bfe_i32,
    "bfi.b32": bfi,
    "madl.i32": lambda a, b, c: a * b + c & M32,
}


def grid(*lists: Iterable[int]) -> list[list[int]]:
    """All combinations, as columns."""
    return [list(column) for column in zip(*[(a, b) for a in lists[0] for b in lists[1]], strict=True)]


def random_words(count: int, bits: int = 32, seed: int = 7) -> list[int]:
    random = np.random.default_rng(seed + bits)
    return [int(n) for n in random.integers(0, M64 if bits == 64 else 1 << bits, count, np.uint64)]


def test_two_sources() -> None:
    for name, function in TWO.items():
        second = COUNTS if name.startswith("sh") else WORDS
        first, other = grid(WORDS + random_words(6), second + random_words(3))
        agrees(f"v.{name} vreg12, vreg0, vreg4", [first, other], function)
    for name, function in WIDE.items():
        agrees(f"v.{name} vreg[12:13], vreg0, vreg4", grid(WORDS + random_words(6), WORDS), function)
    doubles = [a | b << 32 for a, b in zip(*grid(WORDS[::2], WORDS[1::2]), strict=True)] + random_words(9, 64)
    for name, function in TWO64.items():
        agrees(f"v.{name} vreg[12:13], vreg[0:1], vreg[4:5]", grid(doubles, doubles[::3]), function)
    for name, function in SHIFT64.items():
        agrees(f"v.{name} vreg[12:13], vreg[0:1], vreg4", grid(doubles, COUNTS), function)


def test_three_sources() -> None:
    for name, function in THREE.items():
        a, b = grid(WORDS, COUNTS)
        for c in [*COUNTS, 0x0808, 0x1F01, 0xFF04, 0x0420, 0x2000]:
            agrees(f"v.{name} vreg12, vreg0, vreg4, vreg8", [a, b, [c] * len(a)], function)
    a, b = grid(WORDS, random_words(12))
    c = random_words(len(a), 64)
    agrees("v.madw.u64.u32 vreg[12:13], vreg0, vreg4, vreg[8:9]", [a, b, c], lambda a, b, c: a * b + c & M64)
    agrees("v.madw.i64.i32 vreg[12:13], vreg0, vreg4, vreg[8:9]", [a, b, c], lambda a, b, c: s32(a) * s32(b) + c & M64)


def test_lop3_all_tables() -> None:
    columns = [random_words(LANES, seed=n) for n in (1, 2, 3)]
    for lut in range(256):
        agrees(f"v.lop3.b32 vreg12, vreg0, vreg4, vreg8 # {lut:#x}", columns, lop3(lut))


def test_extensions_and_not() -> None:
    agrees("v.cnvt.i64.i32 vreg[12:13], vreg0", [WORDS], lambda a: s32(a) & M64)
    agrees("v.cnvt.u64.u32 vreg[12:13], vreg0", [WORDS], lambda a: a)
    agrees("v.not.b32 vreg12, vreg0", [WORDS], lambda a: ~a & M32)
    agrees("v.not.b64 vreg[12:13], vreg[0:1]", [random_words(32, 64)], lambda a: ~a & M64)


def test_integer_compares() -> None:
    a, b = grid(WORDS, WORDS)
    wide = [low | high << 32 for low, high in zip(a, b, strict=True)]
    wide_a, wide_b = grid(wide[::5], wide[::7])
    for relation, function in RELATIONS.items():
        for name, first, second, view in (
            ("u32", a, b, int),
            ("i32", a, b, s32),
            ("u64", wide_a, wide_b, int),
            ("i64", wide_a, wide_b, s64),
        ):
            sources = "vreg0, vreg4" if name.endswith("32") else "vreg[0:1], vreg[4:5]"
            agrees(
                f"v.cmp.{relation}.{name} sreg20, {sources}",
                [first, second],
                lambda a, b, f=function, v=view: int(f(v(a), v(b))),
            )


def test_carries_make_long_sums() -> None:
    """A 96-bit sum and difference from 32-bit parts, through one mask register."""
    b = bench()
    random = np.random.default_rng(8)
    for turn in range(8):
        b.path(0xFFFFFFFF)
        b.specials()
        words = random.choice(np.array([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x12345678], np.uint32), (6, LANES))
        b.rows[256:262] = words if turn % 2 else random.integers(0, 1 << 32, (6, LANES), np.uint32)
        given = b.rows[256:262].astype(object)
        x = given[0] + (given[1] << 32) + (given[2] << 64)
        y = given[3] + (given[4] << 32) + (given[5] << 64)
        for text in (
            "v.add.co.u32 vreg8, sreg20, vreg0, vreg3",
            "v.add.ci.co.u32 vreg9, sreg20, vreg1, vreg4",
            "v.add.ci.u32 vreg10, vreg2, vreg5, sreg20",
        ):
            assert bench().one(text).run() == 1
        total = sum(b.rows[264 + n].astype(object) << 32 * n for n in range(3))
        assert (total == (x + y) % (1 << 96)).all()
        for text in ("v.sub.co.u32 vreg8, vcc, vreg0, vreg3", "v.sub.ci.u32 vreg9, vreg1, vreg4, vcc"):
            assert bench().one(text).run() == 1
        low = b.rows[264].astype(object) + (b.rows[265].astype(object) << 32)
        assert (low == (x - y) % (1 << 64)).all()


def test_select() -> None:
    mask = 0xA5A50FF0
    check(
        "v.csel.b32 vreg3, vreg1, vreg2, sreg5",
        vreg1=list(range(32)),
        vreg2=list(range(100, 132)),
        sreg5=mask,
        vreg3=[lane if mask >> lane & 1 else 100 + lane for lane in range(32)],
    )
    check(
        "v.csel.b64 vreg[6:7], vreg[2:3], vreg[4:5], vcc",
        vreg2=1 << 40,
        vreg4=5,
        before={"vcc": 0xF},
        vreg6=[1 << 40 if lane < 4 else 5 for lane in range(32)],
    )
    for number, chosen in ((0, 2), (1, 1), (0x80000000, 1)):
        check("s.csel.b32 sreg3, sreg4, sreg5, scc", sreg4=1, sreg5=2, scc=number, sreg3=chosen)


def test_scalar_unit_is_the_same_arithmetic() -> None:
    """A few values of each scalar instruction; test_bodies ties all of them to their bodies."""
    for name, function in (TWO | THREE).items():
        count = function.__code__.co_argcount if hasattr(function, "__code__") else 2
        sources = [0x80000001, 0x21, 0x1F05][:count]
        registers = {f"sreg{8 + 2 * n}": value for n, value in enumerate(sources)}
        text = f"s.{name} sreg4, {', '.join(registers)}"
        check(text, **registers, sreg4=function(*sources))
    check("s.madw.i64.i32 sreg[4:5], sreg8, sreg9, sreg[10:11]", sreg8=-2, sreg9=3, sreg10=1, sreg4=-5)
    check("s.cmp.eq.i32 scc, sreg8, 7", sreg8=7, scc=-1)
    check("s.or.b32 emsk, emsk, sreg14", before={"emsk": 0xF0}, sreg14=0xFF, after={"emsk": 0xF}, path=0xF)
