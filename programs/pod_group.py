"""What the collectives have in common on the host: symmetric arrays, the flags' marks, element types, grids."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from . import load
from .binary32 import canonical, f32
from .narrow import narrowed

if TYPE_CHECKING:
    from ..emulator.pod.pod import PerChip, Pod, SymmetricBuffer
    from ..emulator.streams import Stream

Array = npt.NDArray[Any]

TYPES = {"f32": np.float32, "i32": np.int32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
"""Element types by their names in kernels."""
PIECE = 16
"""Bytes that a lane moves at a time where it can."""
BLOCK = 256
"""Threads of a block."""
ROUND = 8
"""Pieces that a lane has under way at once."""
MOST_BLOCKS = 128
"""Blocks of a grid at most: there are flags for so many."""


def size_name(dtype: npt.DTypeLike) -> str:
    """What elements are called where only their size matters. Raises ValueError."""
    names = {4: "b32", 2: "b16"}
    if np.dtype(dtype).itemsize not in names:
        raise ValueError(f"elements have 4 or 2 bytes, not {np.dtype(dtype)}")
    return names[np.dtype(dtype).itemsize]


def type_name(dtype: npt.DTypeLike) -> str:
    """The name of an element type in kernels. Raises ValueError."""
    for name, kind in TYPES.items():
        if np.dtype(dtype) == kind:
            return name
    raise ValueError(f"elements are {', '.join(TYPES)}, not {np.dtype(dtype)}")


class Group:
    """All chips of a pod as they work together: arrays at the same place on each, and flags between them.

    Use it in a `with` statement, behind which its arrays are free again. Flags only ever grow: every launch gets marks
    that are larger than all before, so nothing is reset between launches.
    """

    def __init__(self, pod: Pod):
        self.pod, self.chips = pod, len(pod.chips)
        self.mark = 1
        self._stack = ExitStack()
        self.usual_blocks = min(pod.profile.compute_units, MOST_BLOCKS)
        self.flags = self.empty(MOST_BLOCKS * self.chips, np.uint32, "flags")
        self.flags.fill(0)
        pod.enable_peer_access()

    def __enter__(self) -> Group:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def empty(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike, name: str | None = None) -> SymmetricBuffer:
        """An array of this shape on each chip."""
        buffer = self.pod.symmetric(shape, dtype, name=name)
        self._stack.callback(buffer.free)
        return buffer

    def array(self, content: npt.ArrayLike, name: str | None = None) -> SymmetricBuffer:
        """An array on each chip, filled; chips along the first axis of `content`."""
        content = np.asarray(content)
        buffer = self.empty(content.shape[1:], content.dtype, name)
        buffer.copy_from_host(content)
        return buffer

    def pieces(self, n: int, dtype: npt.DTypeLike, *, parts: bool = False) -> int:
        """How many whole pieces n elements begin with: none if parts of n elements do not lie at multiples of 16."""
        size = np.dtype(dtype).itemsize
        return 0 if parts and n * size % PIECE else n * size // PIECE

    def work(self, n: int, dtype: npt.DTypeLike, *, parts: bool = False) -> int:
        """Pieces of an array of n elements, or the elements behind the last whole one if these are more."""
        pieces = self.pieces(n, dtype, parts=parts)
        return max(pieces, n - pieces * (PIECE // np.dtype(dtype).itemsize))

    def chip(self, number: int) -> int:
        """The number of a chip. Raises ValueError if there is none such."""
        if not 0 <= number < self.chips:
            raise ValueError(f"there is no chip {number}: this pod has {self.chips}, from 0")
        return number

    def marks(self, count: int) -> int:
        """The first of so many marks that no launch has had."""
        self.mark += count
        return self.mark - count

    def blocks(self, work: int, *, each: int = 1, unit: int = 1, block: int = BLOCK) -> int:
        """A grid for so many pieces or elements, `each` of them for a thread at a time; a multiple of `unit`."""
        wanted = -(-work // (block * each * unit))
        return max(1, min(wanted, self.usual_blocks // unit)) * unit

    def launch(
        self,
        program: str,
        kernel: str,
        n: int,
        source: SymmetricBuffer,
        target: SymmetricBuffer,
        *more: Any,
        parts: bool = False,
        grid: int,
        block: int = BLOCK,
        marks: int = 2,
        stream: PerChip[Stream] | None = None,
    ) -> None:
        """Run a collective on all chips, for n elements, or for parts of n each; `marks` is how many marks it uses.

        Raises ValueError if source and target overlap, and for a grid or block that no collective can have.
        """
        if source.offset < target.offset + target[0].nbytes and target.offset < source.offset + source[0].nbytes:
            raise ValueError(f"{source!r} and {target!r} overlap: chips still read the one while they write the other")
        if not 0 < grid <= MOST_BLOCKS or block % 32:
            raise ValueError(f"a grid of 1 to {MOST_BLOCKS} blocks of a multiple of 32 threads, not {grid} of {block}")
        pieces = self.pieces(n, source.dtype, parts=parts)
        values = (n, pieces, self.flags, self.marks(marks), source, target, *more)
        load(self.pod, program)[kernel].launch(grid, block, values, stream=stream)


def checked(arrays: npt.ArrayLike, chips: int, *, parts: bool = False) -> Array:
    """`arrays` without gaps: chips along the first axis, then n elements, or with `parts` as many for each chip.

    Raises ValueError for any other shape, and elements that have not 4 or 2 bytes.
    """
    arrays = np.ascontiguousarray(arrays)
    size_name(arrays.dtype)
    wanted = (chips, chips) if parts else (chips,)
    if arrays.ndim != len(wanted) + 1 or arrays.shape[:-1] != wanted:
        raise ValueError(f"the arrays have the shape {(*wanted, 'n')} on {chips} chips, not {arrays.shape}")
    return arrays


def collected(
    pod: Pod,
    source: Array,
    target: Array | tuple[int, ...],
    run: Callable[..., None],
) -> Array:
    """What the collective `run(group, source, target)` leaves in the targets of all chips, along the first axis.

    `source` is what their sources hold; `target` is what their targets hold before, or the shape of one.
    """
    with Group(pod) as group:
        sources = group.array(source, "source")
        if isinstance(target, tuple):
            targets = group.empty(target, source.dtype, "target")
        else:
            targets = group.array(target, "target")
        run(group, sources, targets)
        return targets.copy_to_host()


def total(arrays: Array) -> Array:
    """The sum over the first axis, in its order, as `sum_of_chips` of collective.inc computes it."""
    if arrays.dtype == np.int32:
        return np.add.reduce(arrays, axis=0, dtype=np.int32)
    with np.errstate(all="ignore"):
        found = np.full(arrays.shape[1:], -0.0, np.float32)
        for one in arrays:
            found = canonical(found + f32(one))
    return rounded(found, arrays.dtype)


def rounded(values: Array, dtype: npt.DTypeLike) -> Array:
    """binary32 numbers in an array's own type."""
    return values if np.dtype(dtype) == np.float32 else narrowed(values, np.dtype(dtype))


def shares(count: int, of: int) -> list[slice]:
    """The shares of `share_of` in collective.inc: so many pieces or elements over `of`."""
    size = -(-count // of)
    bounds = [min(number * size, count) for number in range(of + 1)]
    return [slice(first, end) for first, end in pairwise(bounds)]
