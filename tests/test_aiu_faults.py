"""AIU copies that cannot be: each has its published code, says what is wrong, and has copied nothing."""

from typing import Any

import numpy as np
import pytest
from aiu_model import TIMINGS, TSM, Copy, Run, buffers, check_load, column, fresh, kernel, packed, program, tile

from m890.emulator.chip import Chip
from m890.emulator.faults import Fault
from m890.emulator.shape import Shape

SIZE = 20_000
CUBE, TSM_SIZE = 15, 14


def flat(**values: int) -> Copy:
    """A cube of ppu0015."""
    return tile(**values)


def through(**words: int) -> Copy:
    """A column of ppu0015, 30 rows of 16 bytes."""
    found = column(
        "b16", words.pop("linear", 0), 0, 0, (4, 3, 2, 2), (0,) * 3, (0,) * 3, (1,) * 4, (0,) * 3, 30, 8, 0, 0
    )
    found.at["tsm"] = words.pop("tsm", 0)
    found.words |= words
    return found


def older(type_: str = "b16", linear: int = 0, **words: int) -> Copy:
    """A cube of ppu001, 18 rows of 18 bytes, which take 24 times 32 in slices."""
    found = packed(type_, linear, 0, (32, 5, 4), (9, 3, 3, 2), (0, 0, 0))
    found.at["tsm"] = words.pop("tsm", 0)
    found.words |= words
    return found


FAULTS: dict[str, tuple[int, Copy, str]] = {
    "wide cube": (CUBE, flat(cube_c=65), "cube_c is 65: a swizzled row has at most 64 elements"),
    "wide cube in lines of 64": (
        CUBE,
        tile("b8", mode=1, cube_c=65),
        "cube_c is 65: a swizzled row has at most 64 elements",
    ),
    "no elements": (CUBE, flat(cube_c=0), "cube_c is 0: elements of the cube, 1 to 65536"),
    "no rows": (CUBE, flat(cube_w=0), "cube_w is 0"),
    "many rows": (CUBE, flat(cube_n=(1 << 16) + 1), "cube_n is 65537"),
    "negative dim": (CUBE, flat(dim_w=-1), "dim_w is -1: elements of the tensor, at least 0"),
    "negative last dim": (CUBE, flat(dim_n=-1), "dim_n is -1"),
    "odd stride": (12, flat(stride_w=144), "stride_w is 144 (0x90), which is not a multiple of 32"),
    "odd stride of planes": (12, flat(stride_n=16), "stride_n is 16 (0x10), which is not a multiple of 32"),
    "odd base": (12, flat(base=0x10), "base is 16 (0x10), which is not a multiple of 32"),
    "TSM alignment": (10, flat(tsm=64), "TSM offset 0x40 is not a multiple of 128"),
    "TSM alignment, packed": (10, flat(tsm=2, linear=1), "TSM offset 0x2 is not a multiple of 4"),
    "TSM size": (TSM_SIZE, flat(tsm=TSM - 896), f"1024 bytes at TSM offset 0x1c80; the block has {TSM} bytes"),
    "TSM size, packed": (TSM_SIZE, flat(tsm=TSM - 508, linear=1), f"512 bytes at TSM offset {TSM - 508:#x}"),
    "TSM offset far away": (TSM_SIZE, flat(tsm=0xFFFFFF80), "TSM offset 0xffffff80"),
    "too long a row": (11, flat(dim_w=1000, cube_w=8, start_w=155), "a row of 64 bytes at"),
    "column without rows": (CUBE, through(pixels=0), "pixels is 0"),
    "column of many rows": (CUBE, through(pixels=(1 << 16) + 1), "pixels is 65537"),
    "column of no elements": (CUBE, through(cube_c=0), "cube_c is 0"),
    "wide column": (CUBE, through(cube_c=65), "cube_c is 65"),
    "column that stands still": (CUBE, through(step_h=0), "step_h is 0"),
    "column that goes back": (CUBE, through(step_n=-1), "step_n is -1"),
    "column of a negative tensor": (CUBE, through(dim_d=-3), "dim_d is -3"),
    "column with an odd stride": (12, through(stride_d=48), "stride_d is 48 (0x30), which is not a multiple of 32"),
    "column at the end of TSM": (TSM_SIZE, through(tsm=TSM - 30 * 128 + 128), "3840 bytes at TSM offset"),
    "column, TSM alignment": (10, through(tsm=4), "TSM offset 0x4 is not a multiple of 128"),
    "slices without rows": (CUBE, older(cube_h=0), "cube_h is 0"),
    "slices of no elements": (CUBE, older(cube_c=0), "cube_c is 0"),
    "wide slices": (CUBE, older(cube_c=65), "cube_c is 65"),
    "many cubes of slices": (CUBE, older(cube_n=(1 << 16) + 1), "cube_n is 65537"),
    "slices of a negative tensor": (CUBE, older(dim_h=-1), "dim_h is -1"),
    "slices of an odd tensor": (
        12,
        older(dim_c=8),
        "a row of dim_c elements is 16 (0x10), which is not a multiple of 32",
    ),
    "slices at the end of TSM": (TSM_SIZE, older(tsm=TSM - 24 * 32 + 128), f"768 bytes at TSM offset {TSM - 640:#x}"),
    "a cube of 2 ** 66 bytes": (
        TSM_SIZE,
        older(linear=1, type_="b32", **dict.fromkeys(("dim_c", "cube_c", "cube_w", "cube_h", "cube_n"), 1 << 16)),
        "bytes at TSM offset",
    ),
    "slices, TSM alignment": (10, older(tsm=32), "TSM offset 0x20 is not a multiple of 128"),
}
"""What is wrong: the code, the copy, and what the message says."""


def refused(copy: Copy, timing: Any, **choices: Any) -> Fault:
    """The fault of a copy that has left both memories as they were."""
    with pytest.raises(Fault) as found:
        Run(copy, SIZE, timing, dump=False, **choices)
    arch = "ppu001" if copy.form == "3d" else "ppu0015"
    text = program(copy, dump=False, **choices)
    tsm = kernel(arch, timing, text).plan(Shape((1, 1, 1), (32, 1, 1), 0)).tsm_of(0)
    assert tsm[:TSM].tobytes() == bytes(fresh())
    data = np.random.default_rng(1).integers(0, 256, SIZE, np.uint8)
    assert np.array_equal(buffers(arch, timing, SIZE)[0].view(), data)
    return found.value


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str, timing: str) -> None:
    code, copy, text = FAULTS[name]
    for way in ("ld", "st") if copy.form == "2d" and not copy.padding else ("ld",):
        fault = refused(copy, timing, way=way)
        assert fault.code == code
        assert text in str(fault)
        assert fault.hint
        assert ("copy packed" in fault.hint) == (code == 10 and not copy.linear)
        given = {name: value for name, value in {**copy.words, **copy.at}.items() if name != "base"}
        shown = {name: int(fault.operands[name]) for name in given}  # type: ignore[call-overload]
        assert all((shown[name] - value) % (1 << 32) == 0 for name, value in given.items())
        assert all(f"{name} = " in str(fault) for name in given)


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize(("copy", "word"), [(flat(), 12), (flat(), 15), (through(), 27), (older(), 9)])
def test_words_without_a_meaning_must_be_zero(copy: Copy, word: int, timing: str) -> None:
    fault = refused(copy, timing, before=f"s.mov.b32 sreg{64 + word}, 0x5")
    assert fault.code == CUBE
    assert f"word {word} of the descriptor is 0x5: it must be zero" in str(fault)


@pytest.mark.parametrize(
    "copy",
    [flat(tsm=TSM - 1024), flat(tsm=TSM - 512, linear=1), through(tsm=TSM - 30 * 128), older(tsm=TSM - 24 * 32)],
    ids=lambda copy: copy.name,
)
def test_a_cube_at_the_very_end_of_tsm(copy: Copy) -> None:
    check_load(copy, SIZE)


@pytest.mark.parametrize("lanes", [0x7FFFFFFF, 0])
@pytest.mark.parametrize("copy", [flat(), through(), older()], ids=lambda copy: copy.name)
def test_all_lanes_must_be_on(copy: Copy, lanes: int) -> None:
    fault = refused(copy, "eager", before=f"s.mov.b32 emsk, {lanes:#x}")
    assert (fault.code, len(fault.lanes)) == (3, 32 - lanes.bit_count())


def test_a_descriptor_that_is_not_there_yet_is_told() -> None:
    """Under late timing the words are poison until the wait for their loads."""
    text = program(tile()).replace("s.wait sldcnt(0)", "s.nop", 1)
    chip = Chip(timing="late", poison=True)
    buffer = chip.to_device(np.zeros(256, np.uint8))
    with pytest.raises(Fault, match="holds poison: nothing has written it yet"):
        chip.assemble(f".arch ppu0015\n{text}")["k"][1, 32](buffer, buffer)


def test_a_store_to_what_is_read_only_faults() -> None:
    assert refused(tile(base=2 << 32, dim_w=1, cube_w=1, cube_c=4, dim_c=4), "eager", way="st").code == 21


@pytest.mark.parametrize("timing", TIMINGS)
def test_a_row_at_the_end_of_all_addresses_is_outside(timing: str) -> None:
    """Its end is beyond 2**63, behind a row that is inside."""
    buffers_there = Run(tile(), 128 * 20, timing)
    step = (1 << 63) - 64 - buffers_there.tensor.address
    with pytest.raises(Fault, match="a row of 128 bytes at 0x7fffffffffffffc0") as found:
        Run(tile(stride_w=step, stride_n=0, cube_c=64, cube_w=2), 128 * 20, timing)
    assert found.value.code == 11
