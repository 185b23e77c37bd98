"""AIU copies of every form, programs that do them, and what they leave, to be compared with `model.aiu`.

The rows of a cube are listed with itertools. TSM starts as poison, so that what is not written shows.
"""

from functools import cache
from itertools import islice, product
from typing import Any

import numpy as np
from model.aiu import SIZES, Copy

from m890.emulator.chip import Chip
from m890.emulator.machine.state import POISON
from m890.isa.aiu import IM2COL, IM2COL_AT, PACKED, PACKED_AT, TILE, TILE_AT, Layout

TSM = 8192
TIMINGS = ("eager", "late")


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


AXES = "whdn"


def column(
    type_: str, linear: int, padding: int, mode: int, dims: tuple[int, ...], lower: tuple[int, ...],
    upper: tuple[int, ...], step: tuple[int, ...], offset: tuple[int, ...], pixels: int, cube_c: int, start_c: int,
    skip: int,
) -> Copy:  # fmt: skip
    """A column of im2col of a tensor with 8 channels, from row `skip` of the box on; axes are w, h, d, n."""
    w, h, d, n = dims
    boxes = [range(low, dim + up, by) for low, dim, up, by in zip(lower, (w, h, d), upper, step, strict=False)]
    boxes = [box or range(low, low + 1) for box, low in zip(boxes, lower, strict=True)]
    walk = islice(product(range(0, 1000, step[3]), boxes[2], boxes[1], boxes[0]), skip, skip + pixels)
    bases, stride_w = list(walk), 32
    strides = (stride_w * w * h * d, stride_w * w * h, stride_w * w, stride_w)
    words = {"dim_c": 8, "dim_w": w, "dim_h": h, "dim_d": d, "dim_n": n, "cube_c": cube_c, "pixels": pixels}
    for axis, name in enumerate(AXES[:3]):
        words |= {f"lower_{name}": lower[axis], f"upper_{name}": upper[axis]}
    words |= {f"step_{name}": by for name, by in zip(AXES, step, strict=True)}
    words |= {f"stride_{name}": by for name, by in zip("ndhw", strides, strict=True)}
    at = {"tsm": 256, "start_c": start_c} | {f"start_{name}": x for name, x in zip("ndhw", bases[0], strict=True)}
    at |= {f"offset_{name}": x for name, x in zip(AXES[:3], offset, strict=True)}
    rows = [(b, z + offset[2], y + offset[1], x + offset[0]) for b, z, y, x in bases]
    return Copy(type_, linear, padding, mode, "5d.im2col", words, at, rows, (n, d, h, w), strides)


def packed(
    type_: str, linear: int, padding: int, dims: tuple[int, ...], cube: tuple[int, ...], start: tuple[int, ...]
) -> Copy:
    """A cube of ppu001; `dims` and `start` are c, w, h, `cube` has n as well."""
    (c, w, h), (cube_c, cube_w, cube_h, cube_n), size = dims, cube, SIZES[type_]
    words = {"dim_c": c, "dim_w": w, "dim_h": h, "cube_c": cube_c, "cube_w": cube_w, "cube_h": cube_h, "cube_n": cube_n}
    at = {"tsm": 128, "start_c": start[0], "start_w": start[1], "start_h": start[2]}
    ranges = [range(start[2], start[2] + cube_h), range(start[1], start[1] + cube_w)]
    rows = [(n, 0, y, x) for n, y, x in product(range(cube_n), *ranges)]
    strides = (c * w * h * size, 0, c * w * size, c * size)
    return Copy(type_, linear, padding, 0, "3d", words, at, rows, (cube_n, 1, h, w), strides)


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


def words_of(copy: Copy, base: int) -> np.ndarray:
    """The words of a descriptor of a tensor at `base`, and of a position, as `program` loads them."""
    descriptor, position = LAYOUTS[copy.form]
    words = np.zeros(64, np.uint32)
    words[: descriptor.words] = descriptor.pack(**{**copy.words, "base": base})
    words[32 : 32 + position.words] = position.pack(**copy.at)
    return words.view(np.uint8)


class Run:
    """One launch of a copy's program, and what it leaves."""

    def __init__(self, copy: Copy, size: int, timing: Any, **choices: Any):
        arch = "ppu001" if copy.form == "3d" else "ppu0015"
        self.data = np.random.default_rng(1).integers(0, 256, size, np.uint8)
        self.tensor, given_words, self.out = buffers(arch, timing, size)
        self.tensor.copy_from_host(self.data)
        given_words.copy_from_host(words_of(copy, copy.words.get("base", self.tensor.address)))
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


def check_store(copy: Copy, size: int) -> None:
    """Both timings put into the tensor what the model says, and nothing beside it; TSM holds numbers of its lanes."""
    number = "v.mull.i32 vreg4, vreg0, 0x1010101\nv.add.i32 vreg4, vreg4, 0x5060708"
    fill = "\n".join(f"{number}\ntsm.st.b32 vreg4, [bytes({n}) + vreg0 * 0x4]" for n in range(0, 4096, 128))
    words = np.arange(32, dtype=np.uint32) * np.uint32(0x1010101) + np.uint32(0x5060708)
    for timing in TIMINGS:
        run = Run(copy, size, timing, way="st", before=fill + "\ns.wait tsmcnt(0)", dump=False)
        tensor = bytearray(run.data.tobytes())
        copy.store(tensor, np.tile(words, 64).tobytes())
        assert run.tensor.view().tobytes() == bytes(tensor), timing
