"""AIU copies against a plain model: which element goes to which byte of TSM, in every form, padding and arrangement.

Programs run under both timings; `aiu_model` has the model.
"""

from itertools import product
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from aiu_model import (
    SIZES,
    TIMINGS,
    TSM,
    Copy,
    Run,
    check_load,
    check_store,
    chip,
    column,
    fresh,
    kernel,
    packed,
    program,
    tile,
)
from hypothesis import given, settings

from m890.emulator.faults import Fault
from m890.isa import ISA
from m890.isa.aiu import TILE
from m890.isa.swizzle import slice_offset, swizzle


def test_the_swizzle_is_what_is_published() -> None:
    """Modes 0 and 1 by their formulas, and slices element by element as the vendor's model says."""
    for address in range(0, 4096, 16):
        assert swizzle(address, 0) == address ^ ((address >> 7) & 7) << 4
        assert swizzle(address, 1) == address ^ ((address >> 7) & 3) << 4
    assert sorted(swizzle(np.arange(0, 4096), 0).tolist()) == list(range(4096))
    assert sorted(slice_offset(row, byte, 24) for row in range(24) for byte in range(128)) == list(range(24 * 128))
    assert [slice_offset(row, 0, 8) for row in range(8)] == [0, 32, 64, 96, 144, 176, 208, 240]
    assert [slice_offset(0, byte, 8) for byte in (0, 16, 32, 64, 96)] == [0, 16, 256 + 64, 512 + 32, 768 + 96]


MNEMONICS = [instruction.mnemonic for instruction in ISA if instruction.mnemonic.startswith("vmem.aiu.")]


def copies(form: str, type_: str, linear: int, padding: int, mode: int) -> tuple[list[Copy], int]:
    """Copies of a form that lie in the tensor, and around each of its corners; and the bytes of the tensor."""
    if form == "2d":
        values: dict[str, int] = {"dim_n": 2, "cube_c": (128 >> mode) // SIZES[type_] - 3, "cube_w": 7, "cube_n": 2}
        starts = [(0, 1, 0), (-5, -3, -1), (60, 17, 1), (-5, 17, 0)]
        named = [dict(zip(("start_c", "start_w", "start_n"), start, strict=True)) for start in starts]
        found = [tile(type_, linear, padding, mode, tsm=128, **values, **start) for start in named]
        return found, 64 * 4 * 20 * 2
    if form == "3d":
        dims, corners = (64 // SIZES[type_], 5, 4), ((0, 0, 0), (-3, -2, -1), (40 // SIZES[type_], 3, 3))
        return [packed(type_, linear, padding, dims, (9, 3, 3, 2), start) for start in corners], 64 * 5 * 4 * 2
    boxes = [((0, 0, 0), (0, 0, 0)), ((-1, -1, -1), (1, 1, 1)), ((1, -2, 0), (2, -1, 1))]
    steps = [((1, 1, 1, 1), (0, 0, 0)), ((1, 2, 1, 1), (2, 0, 1)), ((3, 1, 2, 1), (0, 1, 0))]
    common = (type_, linear, padding, mode, (4, 3, 2, 2))
    chosen = zip(boxes, steps, ((8, 0), (7, -2), (8, 3)), strict=True)
    return [column(*common, *box, *step, 30, cube_c, start_c, 1) for box, step, (cube_c, start_c) in chosen], 20_000


@pytest.mark.parametrize("mnemonic", MNEMONICS)
def test_every_form(mnemonic: str) -> None:
    """Inside of the tensor and around its corners: `linear` and the rest are what the mnemonic says."""
    _, _, way, _, layout, _, padding, mode, _, *form, type_ = mnemonic.split(".")
    found, size = copies(".".join(form), type_, int(layout[1]), int(padding[1]), int(mode[1]))
    for copy in found:
        assert mnemonic == f"vmem.aiu.{way}.tsm.{copy.name}"
        (check_store if way == "st" else check_load)(copy, size)


@given(
    type_=st.sampled_from(list(SIZES)),
    arrangement=st.sampled_from([(0, 0), (0, 1), (1, 0)]),
    padding=st.integers(0, 1),
    dims=st.tuples(st.integers(0, 70), st.integers(0, 20), st.integers(0, 3)),
    cube=st.tuples(st.integers(1, 128), st.integers(1, 12), st.integers(1, 3)),
    start=st.tuples(st.integers(-9, 70), st.integers(-5, 22), st.integers(-1, 3)),
    place=st.integers(0, 4),
)
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
    linear, mode = arrangement
    check_load(
        column(type_, linear, padding, mode, dims, lower, upper, step, offset, pixels, cube_c, start_c, skip), 20_000
    )


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
    given_dims = (dims[0] * 4 // SIZES[type_], dims[1], dims[2])
    check_load(packed(type_, linear, padding, given_dims, cube, start), 128 * 6 * 5 * 2)


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
    check_store(tile(type_, linear, 0, mode, dim_n=2, tsm=128, **values), 64 * 4 * 20 * 2)


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


@pytest.mark.parametrize("timing", TIMINGS)
def test_a_row_at_the_end_of_all_addresses_is_outside(timing: str) -> None:
    """Its end is beyond 2**63, behind a row that is inside."""
    buffers_there = Run(tile(), 128 * 20, timing)
    step = (1 << 63) - 64 - buffers_there.tensor.address
    with pytest.raises(Fault, match="a row of 128 bytes at 0x7fffffffffffffc0") as found:
        Run(tile(stride_w=step, stride_n=0, cube_c=64, cube_w=2), 128 * 20, timing)
    assert found.value.code == 11


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
