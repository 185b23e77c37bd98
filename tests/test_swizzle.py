"""The swizzles: as published, and AIU copies and matrix loads as inverses of each other.

What a copy has laid out in TSM comes back, by every swizzled load that can stand there, as the fragment that the
published lane maps make of the plain matrix.
"""

from typing import Any

import matrix_model as model
import numpy as np
import pytest
from aiu_model import SIZES, TIMINGS, Copy, Run, packed, tile

from m890.isa.matrix import matrix_form
from m890.isa.swizzle import slice_offset, slice_rows, swizzle, tile_rows

ROWS, DONE = 32, "vmem.acp.commit.grp\ns.wait commit_group(0)"


def test_the_swizzle_is_what_is_published() -> None:
    """Modes 0 and 1 by their formulas, and slices element by element as the vendor's model says."""
    for address in range(0, 4096, 16):
        assert swizzle(address, 0) == address ^ ((address >> 7) & 7) << 4
        assert swizzle(address, 1) == address ^ ((address >> 7) & 3) << 4
    assert sorted(swizzle(np.arange(0, 4096), 0).tolist()) == list(range(4096))
    assert sorted(slice_offset(row, byte, 24) for row in range(24) for byte in range(128)) == list(range(24 * 128))
    assert [slice_offset(row, 0, 8) for row in range(8)] == [0, 32, 64, 96, 144, 176, 208, 240]
    assert [slice_offset(0, byte, 8) for byte in (0, 16, 32, 64, 96)] == [0, 16, 256 + 64, 512 + 32, 768 + 96]


def test_a_swizzle_undoes_itself() -> None:
    """Of an address that does not change the bits that steer it, as the two uses of one function need."""
    addresses = np.arange(1 << 14)
    for mode in (0, 1):
        assert np.array_equal(swizzle(swizzle(addresses, mode), mode), addresses)


def test_rows_of_loads_are_distinct_and_whole() -> None:
    """Every lane of a load has 16 bytes of its own: those of 16 rows of 32 bytes."""
    lanes = np.arange(32)
    for rows, more in ((tile_rows(0), 0x400001), (tile_rows(1), 0x200001), (slice_rows(0), 2), (slice_rows(1), 5)):
        found = rows(lanes, 0, more)
        assert len(set(found.tolist())) == 32
        assert not (found % 16).any()


FRAGMENTS = {
    ("a", 0): "row after row of A",
    ("bt", 0): "column after column of B, which lie as rows",
    ("b", 1): "row after row of B, transposed on the way",
}
"""Which fragment a load gives, and whether it transposes."""


def loads(copy: Copy, which: str, trans: int) -> str:
    """Load all 16 x 16 tiles of a cube of halves, and store each as 512 bytes."""
    width = copy.words["cube_c"] * copy.size
    lines: list[str] = []
    for number, (down, right) in enumerate(np.ndindex(ROWS // 16, width // 32)):
        if copy.form == "3d":
            point, more = 32 * (right * ROWS + 16 * down) + copy.at["tsm"], right
        else:
            pitch = 4 if copy.mode else 8
            point, (right_strides, down_strides) = copy.at["tsm"] // 16 + 16 * down * pitch + 2 * right, (1, 8 * pitch)
            more = right_strides << 16 | down_strides if which == "bt" else down_strides << 16 | right_strides
        lines += [
            f"s.mov.b32 sreg50, {point:#x}\ns.mov.b32 sreg51, {more:#x}",
            f"tsm.ld.swzl.b32x4.s{copy.mode}.t1.trans{trans} vreg[8:11], [sreg50] @sreg51\ns.wait tsmcnt(0)",
            f"vmem.st.b32x4 vreg[8:11], [bytes({512 * number}) + vreg0 * 0x10] @out\ns.wait vstcnt(0)",
        ]
    return "\n".join(lines)


def check(copy: Copy, size: int, arch: str, which: str, trans: int, timing: Any) -> None:
    """Every tile that comes back is the fragment of that part of the plain matrix."""
    run = Run(copy, size, timing, after=f"{DONE}\n{loads(copy, which, trans)}", dump=False)
    form = matrix_form("v.mma.f32.bf16.m16n16k16", arch)
    width = copy.words["cube_c"] * copy.size // 2
    matrix = run.data.view(np.uint16)[: ROWS * width].reshape(ROWS, width)
    where = model.place_map(model.place_a if which == "a" else model.place_b, form, 4, 16)
    tiles = run.out.view().view(np.uint32).reshape(-1, 32, 4)
    for number, (down, right) in enumerate(np.ndindex(ROWS // 16, width // 16)):
        part = matrix[16 * down : 16 * down + 16, 16 * right : 16 * right + 16]
        fragment = model.to_registers(part.T if which == "bt" else part, where, 16)
        np.testing.assert_array_equal(tiles[number].T, fragment, err_msg=f"{copy.name} {which} {down} {right}")


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("type_", SIZES)
@pytest.mark.parametrize(("which", "trans"), FRAGMENTS)
@pytest.mark.parametrize("mode", [0, 1])
def test_loads_undo_copies(mode: int, which: str, trans: int, type_: str, timing: str) -> None:
    """Whatever the copy calls its elements: the swizzle moves bytes."""
    count = (128 >> mode) // SIZES[type_]
    copy = tile(type_, 0, 0, mode, dim_c=count, dim_w=ROWS, cube_c=count, cube_w=ROWS, tsm=512)
    check(copy, ROWS * 128, "ppu0015", which, trans, timing)


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("type_", SIZES)
@pytest.mark.parametrize(("which", "trans"), FRAGMENTS)
def test_loads_of_the_older_chip_undo_its_copies(which: str, trans: int, type_: str, timing: str) -> None:
    count = 128 // SIZES[type_]
    copy = packed(type_, 0, 0, (count, ROWS, 1), (count, ROWS, 1, 1), (0, 0, 0))
    check(copy, ROWS * 128, "ppu001", which, trans, timing)


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize(("linear", "mode"), [(0, 0), (0, 1), (1, 0)])
def test_stores_undo_loads(linear: int, mode: int, timing: str) -> None:
    """A cube that is copied in and out to another place of the tensor is there what it was."""
    count = (128 >> mode) // 2
    copy = tile("b16", linear, 0, mode, dim_c=count, dim_w=2 * ROWS, cube_c=count, cube_w=ROWS, tsm=512)
    again = f"s.mov.b32 sreg98, {ROWS:#x}\nvmem.aiu.st.tsm.{copy.name} sreg[64:79], sreg[96:99]\n{DONE}"
    run = Run(copy, 2 * ROWS * 128, timing, after=f"{DONE}\n{again}", dump=False)
    half = ROWS * count * 2
    found, data = run.tensor.view(), run.data
    assert np.array_equal(found[:half], data[:half])
    assert np.array_equal(found[half : 2 * half], data[:half])
    assert np.array_equal(found[2 * half :], data[2 * half :])
