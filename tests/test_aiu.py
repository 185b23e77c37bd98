"""AIU copies against a plain model: which element goes to which byte of TSM, in every form, padding and arrangement.

Programs run under both timings; `aiu_model` has the model.
"""

from itertools import product
from typing import Literal

import hypothesis.strategies as st
import numpy as np
import pytest
from aiu_model import (
    SIZES,
    TIMINGS,
    TSM,
    Copy,
    Run,
    buffers,
    check_load,
    check_store,
    column,
    fresh,
    packed,
    program,
    tile,
    words_of,
)
from hypothesis import example, given, settings

import m890
from m890.emulator.chip import Chip
from m890.emulator.faults import Fault
from m890.emulator.machine.state import POISON
from m890.emulator.observe import Batch, Copied
from m890.isa import ISA, aiu
from m890.isa.aiu import LAYOUTS, TILE

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
@settings(max_examples=80)
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
@settings(max_examples=80)
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
@example(type_="b16", linear=0, padding=0, dims=(32, 6, 5), cube=(32, 5, 2, 1), start=(16, 1, 2))  # whole slices
@example(type_="b8", linear=0, padding=1, dims=(32, 6, 5), cube=(96, 6, 3, 2), start=(32, 0, 1))
@settings(max_examples=60)
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
@settings(max_examples=40)
def test_stores(
    type_: str, arrangement: tuple[int, int], start: tuple[int, int, int], cube: tuple[int, int, int]
) -> None:
    """What is in TSM goes to the tensor, and nothing beside it; TSM holds numbers, put there by its own lanes."""
    linear, mode = arrangement
    values = dict(zip(("start_c", "start_w", "start_n", "cube_c", "cube_w", "cube_n"), (*start, *cube), strict=True))
    check_store(tile(type_, linear, 0, mode, dim_n=2, tsm=128, **values), 64 * 4 * 20 * 2)


@pytest.mark.parametrize("type_", SIZES)
@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize(("place", "rows"), [(0, 7), (0, 8), (1024, 19), (1152, 19), (2048, 32)])
def test_whole_lines(type_: str, mode: int, place: int, rows: int) -> None:
    """Rows as long as a line, which are moved several at once where the swizzle begins anew."""
    values = {
        "dim_c": 256 // SIZES[type_],
        "dim_w": 40,
        "start_c": 16 // SIZES[type_],
        "start_w": 3,
        "dim_n": 1,
        "cube_n": 1,
    }
    copy = tile(type_, 0, 0, mode, tsm=place, cube_c=(128 >> mode) // SIZES[type_], cube_w=rows, **values)
    check_load(copy, 64 * 4 * 41)


@pytest.mark.parametrize("start_c", [-17, -16, -4, -1, 0, 44, 47, 48, 60, 63])
@pytest.mark.parametrize("cube_c", [16, 17, 20, 32])
def test_rows_half_outside(start_c: int, cube_c: int) -> None:
    """Where the part inside is as long as a piece of 16 bytes, or begins or ends where one does."""
    for type_, linear in product(SIZES, (0, 1)):
        check_load(tile(type_, linear, start_c=start_c, cube_c=cube_c, cube_w=2), 70 * 4 * 21 * 4)


WAITS = {
    "vmem.acp.commit.grp\ns.wait commit_group(0)": True,
    "s.wait commit_group(0)": False,
    "vmem.acp.commit.grp\ns.wait commit_group(1)": False,
    "vmem.acp.commit.grp\ns.wait vldcnt(0), vstcnt(0), tsmcnt(0)": False,
}
"""What may follow a copy, and whether it has completed then."""
ARRANGED = {
    "linear": tile("b32", linear=1, cube_c=16),
    "lines of 128": tile("b16"),
    "lines of 64": tile("b8", mode=1, cube_c=61),
    "column": column("b16", 0, 0, 0, (4, 3, 2, 2), (0, 0, 0), (0, 0, 0), (1, 1, 1, 1), (0, 0, 0), 30, 8, 0, 1),
    "slices": packed("b16", 0, 0, (32, 5, 4), (9, 3, 3, 2), (0, 0, 0)),
}


@pytest.mark.parametrize("after", WAITS)
@pytest.mark.parametrize("arranged", ARRANGED)
def test_late_copies_are_poison_until_their_group_is_waited_for(after: str, arranged: str) -> None:
    """Registers and what the descriptor was read from may change in between."""
    copy = ARRANGED[arranged]
    run = Run(copy, 20_000, "late", after=f"s.mov.b32 sreg64, 0x0\ns.mov.b32 sreg96, 0x0\n{after}")
    tsm = fresh()
    if WAITS[after]:
        copy.load(run.data.tobytes(), tsm)
    assert run.out.view().tobytes() == bytes(tsm)


@pytest.mark.parametrize("arranged", ARRANGED)
def test_late_copies_poison_what_was_there(arranged: str) -> None:
    """Words that a copy will write lose what they held when it is issued; those beside them keep it."""
    fill = "\n".join(f"tsm.st.b32 vreg0, [bytes({n}) + vreg0 * 0x4]" for n in range(0, TSM, 128)) + "\ns.wait tsmcnt(0)"
    copy = ARRANGED[arranged]
    run = Run(copy, 20_000, "late", before=fill, after="s.nop")
    marked = bytearray(b"\1" * TSM)
    copy.load(bytes(20_000), marked)
    poisoned = (np.frombuffer(bytes(marked), np.uint8).reshape(-1, 4) == 0).all(axis=1)
    lanes = np.tile(np.arange(32, dtype=np.uint32), TSM // 128)
    assert np.array_equal(run.out.view().view(np.uint32), np.where(poisoned, POISON, lanes))


@pytest.mark.parametrize("wait", WAITS)
def test_late_stores_leave_the_tensor_alone_until_their_group_is_waited_for(wait: str) -> None:
    """A trap ends the launch there: what has not completed is never done."""
    fill = "v.mov.b32 vreg4, 0x11\ntsm.st.b32 vreg4, [vreg0 * 0x4]\ns.wait tsmcnt(0)"
    copy, size = tile("b32", linear=1, cube_c=32, cube_w=1), 256 * 20
    with pytest.raises(Fault, match="trap"):
        Run(copy, size, "late", way="st", before=fill, after=f"{wait}\ns.trap", dump=False)
    tensor = buffers("ppu0015", "late", size)[0].view()[:128].view(np.uint32)
    assert (tensor == 0x11).all() == WAITS[wait]


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


def test_the_manual_names_what_makes_descriptors() -> None:
    """Every layout is a public name, and the chapter says which."""
    for layout in LAYOUTS:
        assert getattr(m890, layout.name) is layout
    assert "`m890.TILE.pack(...)`" in (aiu.__doc__ or "")


def test_packing_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="TILE has no dim_x"):
        TILE.pack(dim_x=1)
    with pytest.raises(ValueError, match="does not fit in 32 bits"):
        TILE.pack(dim_c=1 << 32)
    for value in (1.5, None, "1"):
        with pytest.raises(TypeError, match="cube_w is a whole number, not"):
            TILE.pack(cube_w=value)  # type: ignore[arg-type]
    assert TILE.pack(dim_c=np.int64(7))[TILE.places["dim_c"]] == 7
    words = TILE.pack(base=0x4000000020, dim_c=-1, stride_n=5)
    assert words.tolist() == [0x20, 0x40, 0, 0, 5, 0, 0xFFFFFFFF, *[0] * 9]


OBSERVED = {
    "whole": tile(tsm=256, start_w=3),
    "over an edge": tile(cube_c=20, start_c=-5, start_w=17, linear=1, tsm=4),
    "nothing of the tensor": tile(start_w=50),
    "column": column("b16", 0, 0, 0, (4, 3, 2, 2), (0,) * 3, (0,) * 3, (1,) * 4, (0,) * 3, 30, 8, 0, 0),
    "slices": packed("b16", 0, 0, (32, 5, 4), (9, 3, 3, 2), (0, 0, 0)),
}


class Seen:
    """An observer that keeps what copies copy, and what the trace says of them."""

    def __init__(self) -> None:
        self.copied: list[Copied] = []
        self.texts: list[str] = []

    def executed(self, batch: Batch) -> None:
        for event in batch:
            if event.copied is not None:
                self.copied.append(event.copied)
                self.texts.append(event.accessed)
                assert event.text.startswith("vmem.aiu.")


@pytest.mark.parametrize("timing", ["eager", "late"])
@pytest.mark.parametrize("name", OBSERVED)
def test_observers_see_what_is_copied(name: str, timing: Literal["eager", "late"]) -> None:
    """From the first byte to the last that the model touches; twice, the second copy while the first is outstanding."""
    copy, seen = OBSERVED[name], Seen()
    arch = "ppu001" if copy.form == "3d" else "ppu0015"
    chip = Chip("810E" if copy.form == "3d" else "M890", timing=timing, observers=[seen])
    tensor, out = chip.to_device(np.zeros(1 << 15, np.uint8)), chip.to_device(np.zeros(TSM, np.uint8))
    text = program(copy, dump=False)
    issue = next(line for line in text.splitlines() if "vmem.aiu." in line)
    twice = text.replace(issue, f"{issue}\n{issue}")
    chip.assemble(f".arch {arch}\n{twice}")["k"][1, 32](chip.to_device(words_of(copy, tensor.address)), out)
    spans = [span for row in range(len(copy.rows)) if (span := copy.span(row))]
    first, end = min((low for low, _ in spans), default=0), max((high for _, high in spans), default=0)
    tsm = range(copy.at["tsm"], copy.at["tsm"] + copy.reserved)
    assert len(seen.copied) == 2
    for found, text in zip(seen.copied, seen.texts, strict=True):
        assert found.tsm == tsm
        assert len(found.memory) == end - first
        where = f"TSM {tsm[0]:#x}..{tsm[-1]:#x}"
        if spans:
            assert found.memory[0] == tensor.address + first
            where = f"{found.memory[0]:#x}..{found.memory[-1]:#x}, {where}"
        assert text == where


def test_a_copy_that_faults_has_copied_nothing() -> None:
    seen, copy = Seen(), tile(cube_c=0)
    chip = Chip(observers=[seen])
    tensor, out = chip.to_device(np.zeros(1 << 15, np.uint8)), chip.to_device(np.zeros(TSM, np.uint8))
    with pytest.raises(Fault):
        chip.assemble(program(copy, dump=False))["k"][1, 32](chip.to_device(words_of(copy, tensor.address)), out)
    assert seen.copied == []
