"""What a launch asks for and what a compute unit can hold: grid, block, TSM, occupancy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..isa.lanes import LANES
from ..isa.program import Kernel
from .faults import Dim3, LaunchError
from .profiles import Profile

Number = TypeVar("Number", int, np.ndarray)

MAX_PRIVATE = 512 * 1024
"""Most bytes of private memory a thread may have (defined)."""
MAX_BLOCKS = 1 << 62
"""Most blocks of a grid (defined): the number of one and a step to the next are together an int64."""


def dim3(value: int | tuple[int, ...], what: str) -> Dim3:
    """A grid or block extent with the missing ones filled in; LaunchError if it is none."""
    parts: tuple[Any, ...] = tuple(value) if isinstance(value, tuple | list) else (value,)
    if not 1 <= len(parts) <= 3 or not all(isinstance(part, int | np.integer) for part in parts):
        raise LaunchError(f"a {what} has one to three whole numbers, not {value!r}")
    x, y, z = (*(int(part) for part in parts), 1, 1)[:3]
    if min(x, y, z) < 1:
        raise LaunchError(f"a {what} has at least one in every direction, not {value!r}")
    return x, y, z


def coordinates(number: Number, extents: Dim3) -> tuple[Number, Number, Number]:
    """The (x, y, z) of a thread in its block or of a block in its grid, or of an array of them: x is the fastest."""
    x, y, _ = extents
    return number % x, number // x % y, number // (x * y)


def threads_of(block: Dim3, warp: int, lanes: Iterable[int]) -> dict[int, Dim3]:
    """Where in its block the thread of each lane of a warp is; without lanes that have none."""
    numbers = ((lane, LANES * warp + lane) for lane in lanes)
    return {lane: coordinates(number, block) for lane, number in numbers if number < math.prod(block)}


def tsm_bytes(value: Any) -> int:
    """Bytes of TSM asked for at launch; LaunchError if that is no whole number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise LaunchError(f"tsm is a whole number of bytes from 0 on, not {value!r}")
    return int(value)


@dataclass(frozen=True)
class Shape:
    """What a plan is made for: grid and block extents and bytes of TSM beyond the kernel's own."""

    grid: Dim3
    block: Dim3
    tsm: int

    @property
    def blocks(self) -> int:
        """Blocks of the grid."""
        return self.grid[0] * self.grid[1] * self.grid[2]

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.block[0] * self.block[1] * self.block[2]

    @property
    def warps(self) -> int:
        """Warps of a block."""
        return -(-self.threads // LANES)


def occupancy(program_vregs: int, tsm: int, shape: Shape, profile: Profile) -> dict[str, int]:
    """Blocks a compute unit can hold, by what limits them: registers, tsm, warps, blocks."""
    unit = profile.tsm_unit
    rounded = -(-tsm // unit) * unit
    return {
        "registers": profile.vregs_per_cu // (program_vregs * LANES * shape.warps),
        "tsm": profile.tsm_bytes // rounded if rounded else profile.blocks_per_cu,
        "warps": profile.warps_per_cu // shape.warps,
        "blocks": profile.blocks_per_cu,
    }


def check_shape(kernel: Kernel, shape: Shape, profile: Profile) -> int:
    """How many blocks a compute unit holds; LaunchError for what the chip cannot run."""
    for what, extents, most in (("grid", shape.grid, profile.max_grid), ("block", shape.block, profile.max_block)):
        for axis, extent, limit in zip("xyz", extents, most, strict=True):
            if not 1 <= extent <= limit:
                raise LaunchError(
                    f"kernel '{kernel.name}': {what} {axis} is {extent}, {profile.name} takes 1 to {limit}"
                )
    if shape.threads > profile.max_threads:
        raise LaunchError(
            f"kernel '{kernel.name}': a block of {shape.threads} threads, "
            f"{profile.name} takes at most {profile.max_threads}"
        )
    if shape.blocks > MAX_BLOCKS:
        raise LaunchError(
            f"kernel '{kernel.name}': grid {shape.grid} has {shape.blocks:,} blocks, at most {MAX_BLOCKS:,}"
        )
    if kernel.maxntid and shape.threads > math.prod(kernel.maxntid):
        most = math.prod(kernel.maxntid)
        raise LaunchError(
            f"kernel '{kernel.name}': block {shape.block} has {shape.threads} threads, more than the {most} of its "
            f".maxntid {kernel.maxntid}"
        )
    if kernel.reqntid and shape.block != kernel.reqntid:
        raise LaunchError(
            f"kernel '{kernel.name}': block {shape.block} is not its .reqntid {kernel.reqntid}, the only one it is for"
        )
    if kernel.private > MAX_PRIVATE:
        raise LaunchError(
            f"kernel '{kernel.name}': {kernel.private} bytes of private memory a thread, at most {MAX_PRIVATE}"
        )
    tsm = kernel.tsm + shape.tsm
    if tsm > profile.tsm_bytes:
        raise LaunchError(
            f"kernel '{kernel.name}': {tsm} bytes of TSM a block (.tsm {kernel.tsm} and {shape.tsm} at launch), "
            f"a compute unit of {profile.name} has {profile.tsm_bytes}: use a smaller tile"
        )
    limits = occupancy(kernel.vregs, tsm, shape, profile)
    name, most = min(limits.items(), key=lambda item: item[1])
    if most == 0:
        raise LaunchError(
            f"kernel '{kernel.name}': not even one block fits a compute unit ({name}): use a smaller block"
        )
    return most
