"""AIU copies against a plain model: which element goes to which byte of TSM, in every form, padding and arrangement.

The model lists the rows of a cube with itertools and places their bytes one by one. Programs run under both timings;
TSM starts as poison, so that what is not written shows.
"""

from dataclasses import dataclass
from functools import cache
from itertools import islice, product
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from m890.emulator.chip import Chip
from m890.emulator.faults import Fault
from m890.emulator.state import POISON
from m890.isa.aiu import IM2COL, IM2COL_AT, PACKED, PACKED_AT, TILE, TILE_AT, Layout
from m890.isa.swizzle import slice_offset, swizzle

TSM = 8192
SIZES = {"b8": 1, "b16": 2, "b32": 4}
TIMINGS = ("eager", "late")


@dataclass
class Copy:
    """One copy: the mnemonic's choices, the words by name, and the rows in order as (n, d, h, w) with their dims."""

    type: str
    linear: int
    padding: int
    mode: int
    form: str
    words: dict[str, int]
    at: dict[str, int]
    rows: list[tuple[int, int, int, int]]
    dims: tuple[int, int, int, int]
    strides: tuple[int, int, int, int]

    @property
    def name(self) -> str:
        return f"l{self.linear}.t0.p{self.padding}.s{self.mode}.m0.{self.form}.{self.type}"

    @property
    def size(self) -> int:
        return SIZES[self.type]

    def offset(self, row: int, byte: int) -> int:
        """Where in TSM a byte of a row goes."""
        if self.linear:
            return self.at["tsm"] + row * self.words["cube_c"] * self.size + byte
        if self.form == "3d":  # four rows of a slice in a line, turned; halves exchanged in odd lines
            padded = -(-len(self.rows) // 8) * 8
            part, inside = divmod(byte, 32)
            turn = {0: 0, 1: 2, 2: 1, 3: 3}[part % 4]
            half = (inside // 16 + row // 4) % 2
            place = part * padded * 32 + row // 4 * 128 + (turn + row) % 4 * 32 + half * 16
            return self.at["tsm"] + place + inside % 16
        pitch = 64 if self.mode else 128
        plain = self.at["tsm"] + row * pitch + byte
        line, piece, rest = plain // 128, plain % 128 // 16, plain % 16
        piece ^= line % 4 if self.mode else line % 8
        return 128 * line + 16 * piece + rest

    def source(self, row: int, c: int) -> int | None:
        """The offset of an element from the base, None outside the tensor."""
        place = list(self.rows[row])
        if self.padding:
            place[1:] = [min(max(x, 0), dim - 1) for x, dim in zip(place[1:], self.dims[1:], strict=True)]
        c += self.at.get("start_c", 0)
        if any(not 0 <= x < dim for x, dim in zip(place, self.dims, strict=True)) or not 0 <= c < self.words["dim_c"]:
            return None
        return sum(x * stride for x, stride in zip(place, self.strides, strict=True)) + c * self.size

    def load(self, tensor: bytes, tsm: bytearray) -> None:
        """Put the cube into TSM."""
        row_bytes = self.words["cube_c"] * self.size
        for row in range(len(self.rows)):
            padded = -(-row_bytes // 32) * 32 if self.form == "3d" and not self.linear else row_bytes
            for byte in range(padded):
                source = self.source(row, byte // self.size) if byte < row_bytes else None
                tsm[self.offset(row, byte)] = 0 if source is None else tensor[source + byte % self.size]

    def store(self, tensor: bytearray, tsm: bytes) -> None:
        """Put TSM into the cube."""
        for row in range(len(self.rows)):
            for c in range(self.words["cube_c"]):
                source = self.source(row, c)
                for byte in range(self.size if source is not None else 0):
                    assert source is not None
                    tensor[source + byte] = tsm[self.offset(row, c * self.size + byte)]


LAYOUTS: dict[str, tuple[Layout, Layout]] = {
    "2d": (TILE, TILE_AT),
    "5d.im2col": (IM2COL, IM2COL_AT),
    "3d": (PACKED, PACKED_AT),
}


def tile(type_: str = "b16", linear: int = 0, padding: int = 0, mode: int = 0, **values: int) -> Copy:
    """A cube of two or three axes; defaults are a small tensor of one plane."""
    given_values = {"dim_c": 64, "dim_w": 20, "dim_n": 1, "cube_c": 32 >> mode, "cube_w": 8, "cube_n": 1, "start_c": 0,
                    "start_w": 0, "start_n": 0, "tsm": 0} | values  # fmt: skip
    at = {name: given_values.pop(name) for name in ("tsm", "start_c", "start_w", "start_n")}
    given_values.setdefault("stride_w", -(-given_values["dim_c"] * SIZES[type_] // 32) * 32)
    given_values.setdefault("stride_n", given_values["stride_w"] * given_values["dim_w"])
    n, w = (range(at[f"start_{axis}"], at[f"start_{axis}"] + given_values[f"cube_{axis}"]) for axis in "nw")
    rows = list(product(n, (0,), (0,), w))
    strides = (given_values["stride_n"], 0, 0, given_values["stride_w"])
    dims = (given_values["dim_n"], 1, 1, given_values["dim_w"])
    return Copy(type_, linear, padding, mode, "2d", given_values, at, rows, dims, strides)


def program(copy: Copy, way: str = "ld", before: str = "", after: str = "", tsm: int = TSM, dump: bool = True) -> str:
    """Load the words, copy, wait, and write all of TSM out."""
    layouts = LAYOUTS[copy.form]
    lines: list[str] = []
    for first, layout in zip((64, 96), layouts, strict=True):
        lines += [
            f"smem.ld.b32x4 sreg[{first + word}:{first + word + 3}], [bytes({4 * (word + 32 * (first == 96))})] @words"
            for word in range(0, layout.words, 4)
        ]
    d, p = (f"sreg[{first}:{first + at.words - 1}]" for first, at in zip((64, 96), layouts, strict=True))
    writes = [
        f"tsm.ld.b32x4 vreg[4:7], [bytes({start}) + vreg0 * 0x10]\ns.wait tsmcnt(0)\n"
        f"vmem.st.b32x4 vreg[4:7], [bytes({start}) + vreg0 * 0x10] @out\ns.wait vstcnt(0)"
        for start in range(0, tsm if dump else 0, 512)
    ]
    newline = "\n"
    return f"""
        .kernel k
        .param ptr words
        .param ptr out
        .tsm {tsm}
        v.mov.b32 vreg0, %laneid
        {newline.join(lines)}
        s.wait sldcnt(0)
        {before}
        vmem.aiu.{way}.tsm.{copy.name}.kp1 {d}, {p}
        {after or "vmem.acp.commit.grp" + newline + "s.wait commit_group(0)"}
        {newline.join(writes)}
        simt.exit
    """


@cache
def chip(arch: str, timing: Any) -> Chip:
    return Chip("810E" if arch == "ppu001" else "M890", timing=timing, poison=True)


@cache
def kernel(arch: str, timing: Any, text: str) -> Any:
    return chip(arch, timing).assemble(f".arch {arch}\n{text}")["k"]


@cache
def buffers(arch: str, timing: Any, size: int) -> tuple[Any, Any, Any]:
    """The tensor, the words, and what is written out."""
    return tuple(chip(arch, timing).to_device(np.zeros(count, np.uint8)) for count in (size, 256, TSM))


class Run:
    """One launch of a copy's program, and what it leaves."""

    def __init__(self, copy: Copy, size: int, timing: Any, **choices: Any):
        arch = "ppu001" if copy.form == "3d" else "ppu0015"
        self.data = np.random.default_rng(1).integers(0, 256, size, np.uint8)
        self.tensor, given_words, self.out = buffers(arch, timing, size)
        self.tensor.copy_from_host(self.data)
        base = copy.words.get("base", self.tensor.address)
        descriptor, position = LAYOUTS[copy.form]
        words = np.zeros(64, np.uint32)
        words[: descriptor.words] = descriptor.pack(**{**copy.words, "base": base})
        words[32 : 32 + position.words] = position.pack(**copy.at)
        given_words.copy_from_host(words.view(np.uint8))
        self.out.copy_from_host(np.zeros(TSM, np.uint8))
        kernel(arch, timing, program(copy, **choices))[1, 32](given_words, self.out)


def fresh() -> bytearray:
    return bytearray(np.full(TSM // 4, POISON, np.uint32).tobytes())


def check_load(copy: Copy, size: int) -> None:
    """Both timings put the same into TSM as the model."""
    for timing in TIMINGS:
        run = Run(copy, size, timing)
        tsm = fresh()
        copy.load(run.data.tobytes(), tsm)
        found = run.out.view().tobytes()
        assert found == bytes(tsm), (timing, copy, np.flatnonzero(np.array(list(found)) != np.array(list(tsm)))[:8])


def test_the_swizzle_is_what_is_published() -> None:
    """Modes 0 and 1 by their formulas, and slices element by element as the vendor's model says."""
    for address in range(0, 4096, 16):
        assert swizzle(address, 0) == address ^ ((address >> 7) & 7) << 4
        assert swizzle(address, 1) == address ^ ((address >> 7) & 3) << 4
    assert sorted(swizzle(np.arange(0, 4096), 0).tolist()) == list(range(4096))
    assert sorted(slice_offset(row, byte, 24) for row in range(24) for byte in range(128)) == list(range(24 * 128))
    assert [slice_offset(row, 0, 8) for row in range(8)] == [0, 32, 64, 96, 144, 176, 208, 240]
    assert [slice_offset(0, byte, 8) for byte in (0, 16, 32, 64, 96)] == [0, 16, 256 + 64, 512 + 32, 768 + 96]


@given(
    type_=st.sampled_from(list(SIZES)),
    arrangement=st.sampled_from([(0, 0), (0, 1), (1, 0)]),
    padding=st.integers(0, 1),
    dims=st.tuples(st.integers(0, 70), st.integers(0, 20), st.integers(0, 3)),
    cube=st.tuples(st.integers(1, 128), st.integers(1, 12), st.integers(1, 3)),
    start=st.tuples(st.integers(-9, 70), st.integers(-5, 22), st.integers(-1, 3)),
    place=st.integers(0, 4),
)
@example("b16", (0, 0), 0, (64, 20, 2), (64, 8, 1), (0, 12, 1), 1)  # to the tensor's end, all of it inside
@example("b16", (0, 0), 0, (64, 20, 2), (64, 8, 1), (0, 13, 0), 1)  # a row too far, where memory goes on
@example("b16", (0, 0), 0, (64, 20, 2), (64, 8, 1), (1, 12, 0), 1)  # an element too far
@example("b16", (0, 0), 0, (64, 20, 2), (64, 8, 1), (0, -1, 1), 1)
@example("b16", (0, 0), 0, (64, 20, 2), (64, 8, 1), (-1, 0, 1), 1)
@example("b16", (0, 0), 0, (64, 20, 2), (64, 8, 1), (0, 0, 2), 1)
@example("b32", (0, 0), 0, (64, 20, 2), (32, 8, 1), (16, 2, 1), 0)
@example("b8", (0, 1), 0, (64, 20, 2), (64, 8, 1), (0, 2, 1), 0)
@example("b8", (1, 0), 0, (64, 20, 2), (50, 8, 1), (3, 2, 1), 0)
@example("b16", (0, 0), 0, (64, 20, 2), (64, 4, 2), (0, 2, 0), 0)  # of two planes
@settings(max_examples=80, deadline=None)
def test_tiles(
    type_: str, arrangement: tuple[int, int], padding: int, dims: tuple[int, int, int], cube: tuple[int, int, int],
    start: tuple[int, int, int], place: int,
) -> None:  # fmt: skip
    """Cubes anywhere in and around a tensor."""
    linear, mode = arrangement
    most = (128 >> mode) // SIZES[type_]
    values = dict(zip(("dim_c", "dim_w", "dim_n"), dims, strict=True))
    values |= {"cube_c": min(cube[0], most), "cube_w": cube[1], "cube_n": cube[2]}
    values |= dict(zip(("start_c", "start_w", "start_n"), start, strict=True))
    check_load(tile(type_, linear, padding, mode, tsm=128 * place, **values), 70 * 4 * 21 * 4)


@given(
    type_=st.sampled_from(list(SIZES)),
    arrangement=st.sampled_from([(0, 0), (0, 1), (1, 0)]),
    padding=st.integers(0, 1),
    dims=st.tuples(*[st.integers(1, 5)] * 4),
    lower=st.tuples(*[st.integers(-2, 1)] * 3),
    upper=st.tuples(*[st.integers(-2, 2)] * 3),
    step=st.tuples(*[st.integers(1, 3)] * 4),
    offset=st.tuples(*[st.integers(0, 3)] * 3),
    pixels=st.integers(1, 40),
    cube_c=st.integers(1, 16),
    start_c=st.integers(-3, 8),
    skip=st.integers(0, 10),
)
@settings(max_examples=80, deadline=None)
def test_columns(
    type_: str, arrangement: tuple[int, int], padding: int, dims: tuple[int, ...], lower: tuple[int, ...],
    upper: tuple[int, ...], step: tuple[int, ...], offset: tuple[int, ...], pixels: int, cube_c: int, start_c: int,
    skip: int,
) -> None:  # fmt: skip
    """Columns of im2col from any row of the box on, into the next n."""
    w, h, d, n = dims
    boxes = [range(low, dim + up, by) for low, dim, up, by in zip(lower, (w, h, d), upper, step, strict=False)]
    boxes = [box or range(low, low + 1) for box, low in zip(boxes, lower, strict=True)]
    walk = islice(product(range(0, 1000, step[3]), boxes[2], boxes[1], boxes[0]), skip, skip + pixels)
    bases = list(walk)
    stride_w = 32
    strides = (stride_w * w * h * d, stride_w * w * h, stride_w * w, stride_w)
    words = {"dim_c": 8, "dim_w": w, "dim_h": h, "dim_d": d, "dim_n": n, "cube_c": cube_c, "pixels": pixels}
    for axis, name in enumerate("whd"):
        words |= {f"lower_{name}": lower[axis], f"upper_{name}": upper[axis]}
    words |= {f"step_{name}": by for name, by in zip("whdn", step, strict=True)}
    words |= {f"stride_{name}": by for name, by in zip("ndhw", strides, strict=True)}
    at = {"tsm": 256, "start_c": start_c} | {f"start_{name}": x for name, x in zip("ndhw", bases[0], strict=True)}
    at |= {f"offset_{name}": x for name, x in zip("whd", offset, strict=True)}
    rows = [(b, z + offset[2], y + offset[1], x + offset[0]) for b, z, y, x in bases]
    linear, mode = arrangement
    check_load(Copy(type_, linear, padding, mode, "5d.im2col", words, at, rows, (n, d, h, w), strides), 20_000)


@given(
    type_=st.sampled_from(list(SIZES)),
    linear=st.integers(0, 1),
    padding=st.integers(0, 1),
    dims=st.tuples(st.sampled_from([8, 16, 32]), st.integers(1, 6), st.integers(1, 5)),
    cube=st.tuples(st.integers(1, 32), st.integers(1, 5), st.integers(1, 4), st.integers(1, 2)),
    start=st.tuples(st.integers(-4, 20), st.integers(-3, 6), st.integers(-3, 5)),
)
@settings(max_examples=60, deadline=None)
def test_cubes_of_ppu001(
    type_: str, linear: int, padding: int, dims: tuple[int, int, int], cube: tuple[int, int, int, int],
    start: tuple[int, int, int],
) -> None:  # fmt: skip
    """Slices of 32 bytes, padded with zeros, in rows of a multiple of 8."""
    size = SIZES[type_]
    c, w, h = dims[0] * 4 // size, dims[1], dims[2]
    cube_c, cube_w, cube_h, cube_n = cube
    words = {"dim_c": c, "dim_w": w, "dim_h": h, "cube_c": cube_c, "cube_w": cube_w, "cube_h": cube_h, "cube_n": cube_n}
    at = {"tsm": 128, "start_c": start[0], "start_w": start[1], "start_h": start[2]}
    ranges = [range(start[2], start[2] + cube_h), range(start[1], start[1] + cube_w)]
    rows = [(n, 0, y, x) for n, y, x in product(range(cube_n), *ranges)]
    strides = (c * w * h * size, 0, c * w * size, c * size)
    check_load(Copy(type_, linear, padding, 0, "3d", words, at, rows, (cube_n, 1, h, w), strides), 128 * 6 * 5 * 2)


@given(
    type_=st.sampled_from(list(SIZES)),
    arrangement=st.sampled_from([(0, 0), (0, 1), (1, 0)]),
    start=st.tuples(st.integers(-9, 70), st.integers(-5, 22), st.integers(-1, 3)),
    cube=st.tuples(st.integers(1, 16), st.integers(1, 12), st.integers(1, 2)),
)
@settings(max_examples=40, deadline=None)
def test_stores(
    type_: str, arrangement: tuple[int, int], start: tuple[int, int, int], cube: tuple[int, int, int]
) -> None:
    """What is in TSM goes to the tensor, and nothing beside it; TSM holds numbers, put there by its own lanes."""
    linear, mode = arrangement
    values = dict(zip(("start_c", "start_w", "start_n", "cube_c", "cube_w", "cube_n"), (*start, *cube), strict=True))
    copy = tile(type_, linear, 0, mode, dim_n=2, tsm=128, **values)
    number = "v.mull.i32 vreg4, vreg0, 0x1010101\nv.add.i32 vreg4, vreg4, 0x5060708"
    fill = "\n".join(f"{number}\ntsm.st.b32 vreg4, [bytes({n}) + vreg0 * 0x4]" for n in range(0, 4096, 128))
    for timing in TIMINGS:
        run = Run(copy, 64 * 4 * 20 * 2, timing, way="st", before=fill + "\ns.wait tsmcnt(0)", dump=False)
        words = np.arange(32, dtype=np.uint32) * np.uint32(0x1010101) + np.uint32(0x5060708)
        tensor = bytearray(run.data.tobytes())
        copy.store(tensor, np.tile(words, 64).tobytes())
        assert run.tensor.view().tobytes() == bytes(tensor), timing


FAULTS: dict[str, tuple[int, dict[str, Any], str]] = {
    "reserved word": (15, {}, "word 12 of the descriptor is 0x5: it must be zero"),
    "wide cube": (15, {"cube_c": 65}, "cube_c is 65"),
    "no rows": (15, {"cube_w": 0}, "cube_w is 0"),
    "many rows": (15, {"cube_n": (1 << 16) + 1}, "cube_n is 65537"),
    "negative dim": (15, {"dim_w": -1}, "dim_w is -1"),
    "odd stride": (12, {"stride_w": 144}, "stride 0x90 is not a multiple of 32"),
    "TSM alignment": (10, {"tsm": 64}, "TSM offset 0x40 is not a multiple of 128"),
    "TSM alignment, packed": (10, {"tsm": 2, "linear": 1}, "TSM offset 0x2 is not a multiple of 4"),
    "TSM size": (14, {"tsm": TSM - 896}, f"1024 bytes at TSM offset 0x1c80; the block has {TSM} bytes"),
    "too long a row": (11, {"dim_w": 1000, "cube_w": 8, "start_w": 18}, "a row of 64 bytes at"),
}


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str, timing: str) -> None:
    """Each has its published code and says what is wrong; nothing has been copied."""
    code, values, text = FAULTS[name]
    copy = tile(**values)
    before = "s.mov.b32 sreg76, 0x5" if name == "reserved word" else ""
    with pytest.raises(Fault) as found:
        Run(copy, 128 * 20, timing, before=before)
    assert found.value.code == code
    assert text in str(found.value)


@pytest.mark.parametrize("start_c", [-17, -16, -4, -1, 0, 44, 47, 48, 60, 63])
@pytest.mark.parametrize("cube_c", [16, 17, 20, 32])
def test_rows_half_outside(start_c: int, cube_c: int) -> None:
    """Where the part inside is as long as a piece of 16 bytes, or begins or ends where one does."""
    for type_, linear in product(SIZES, (0, 1)):
        check_load(tile(type_, linear, start_c=start_c, cube_c=cube_c, cube_w=2), 70 * 4 * 21 * 4)


def test_a_cube_at_the_very_end_of_tsm() -> None:
    check_load(tile(tsm=TSM - 1024), 128 * 20)


@pytest.mark.parametrize("lanes", ["0x7fffffff", "0x0"])
def test_all_lanes_must_be_on(lanes: str) -> None:
    with pytest.raises(Fault) as found:
        Run(tile(), 128 * 20, "eager", before=f"s.mov.b32 emsk, {lanes}")
    assert found.value.code == 3


def test_a_descriptor_that_is_not_there_yet_is_told() -> None:
    """Under late timing the words are poison until the wait for their loads."""
    text = program(tile()).replace("s.wait sldcnt(0)", "s.nop", 1)
    buffer = chip("ppu0015", "late").to_device(np.zeros(256, np.uint8))
    with pytest.raises(Fault, match="holds poison: nothing has written it yet"):
        kernel("ppu0015", "late", text)[1, 32](buffer, buffer)


def test_a_store_to_what_is_read_only_faults() -> None:
    with pytest.raises(Fault) as found:
        Run(tile(base=2 << 32, dim_w=1, cube_w=1, cube_c=4, dim_c=4), 64, "eager", way="st")
    assert found.value.code == 21


@pytest.mark.parametrize(
    ("after", "there"),
    [
        ("vmem.acp.commit.grp\ns.wait commit_group(0)", True),
        ("s.wait commit_group(0)", False),
        ("vmem.acp.commit.grp\ns.wait commit_group(1)", False),
        ("vmem.acp.commit.grp\ns.wait vldcnt(0), tsmcnt(0)", False),
    ],
)
def test_late_copies_are_poison_until_their_group_is_waited_for(after: str, there: bool) -> None:
    """Registers and what the descriptor was read from may change in between."""
    copy = tile("b32", linear=1, cube_c=16)
    run = Run(copy, 256 * 20, "late", after=f"s.mov.b32 sreg64, 0x0\ns.mov.b32 sreg96, 0x0\n{after}")
    tsm = fresh()
    if there:
        copy.load(run.data.tobytes(), tsm)
    assert run.out.view().tobytes() == bytes(tsm)


def test_own_accesses_keep_their_order() -> None:
    """Stores outstanding to the tensor come before the copy reads it, and later ones after; so do stores to TSM."""
    store = "vmem.st.b32 vreg{0}, [0x0 + vreg0 * 0x4] @sreg[64:65]"
    before = f"v.mov.b32 vreg1, 0x11\nv.mov.b32 vreg2, 0x22\n{store.format(1)}\ntsm.st.b32 vreg2, [0x0 + vreg0 * 0x4]"
    after = f"{store.format(2)}\ns.wait vstcnt(0)\nvmem.acp.commit.grp\ns.wait commit_group(0)\ns.wait tsmcnt(0)"
    for timing in TIMINGS:
        run = Run(tile("b32", 1, cube_c=32, cube_w=4), 256 * 20, timing, before=before, after=after)
        assert (run.out.view().view(np.uint32)[:32] == 0x11).all(), timing
        assert (run.tensor.view().view(np.uint32)[:32] == 0x22).all(), timing


def test_more_copies_than_can_be_outstanding() -> None:
    """The 64th completes the oldest."""
    again = "vmem.aiu.ld.tsm.l1.t0.p0.s0.m0.2d.b32 sreg[64:79], sreg[96:99]"
    more = "\n".join(f"s.mov.b32 sreg96, {64 * n:#x}\n{again}" for n in range(1, 64))
    copy = tile("b32", 1, cube_c=16, cube_w=1)
    run = Run(copy, 256 * 20, "late", after=more)
    tsm = fresh()
    copy.load(run.data.tobytes(), tsm)
    assert run.out.view().tobytes() == bytes(tsm)


def test_an_aiu_cube_is_what_the_swizzled_matrix_load_reads() -> None:
    """A tile of 16 x 64 halves, loaded swizzled, comes back as fragments of the plain matrix."""
    copy = tile(cube_c=64, cube_w=16)
    load = """
        vmem.acp.commit.grp
        s.wait commit_group(0)
        s.mov.b32 sreg50, 0x0
        s.mov.b32 sreg51, 0x400001
        tsm.ld.swzl.b32x4.s0.t1.trans0 vreg[8:11], [sreg50] @sreg51
        s.wait tsmcnt(0)
        vmem.st.b32x4 vreg[8:11], [0x0 + vreg0 * 0x10] @out
        s.wait vstcnt(0)
    """
    run = Run(copy, 128 * 20, "late", after=load, dump=False)
    matrix = run.data.view(np.uint32)[: 16 * 32].reshape(16, 32)  # pairs of halves
    found = run.out.view()[:512].view(np.uint32).reshape(32, 4)
    lane = np.arange(32)
    blocks = [(0, 0), (0, 1), (1, 0), (1, 1)]
    columns = {(r, k): matrix[8 * r + lane // 4, 4 * k + lane % 4] for r, k in blocks}
    assert any(all((found[:, n] == columns[order[n]]).all() for n in range(4)) for order in ORDERS)


ORDERS = ([(0, 0), (0, 1), (1, 0), (1, 1)], [(0, 0), (1, 0), (0, 1), (1, 1)])
"""Which sub-matrix each register holds, by the strides given."""


def test_packing_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="TILE has no dim_x"):
        TILE.pack(dim_x=1)
    with pytest.raises(ValueError, match="does not fit in 32 bits"):
        TILE.pack(dim_c=1 << 32)
    words = TILE.pack(base=0x4000000020, dim_c=-1, stride_n=5)
    assert words.tolist() == [0x20, 0x40, 0, 0, 5, 0, 0xFFFFFFFF, *[0] * 9]
