"""A typed array in a chip's HBM, as the host sees it."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator
from types import EllipsisType, TracebackType
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..isa.host_arrays import NARROW_NAMES, narrow
from .hbm import Allocation, Hbm

Array = npt.NDArray[Any]
Shape = int | tuple[int, ...]

STEP = 1 << 28
"""Bytes the host writes into a buffer between two checks of its memory limit."""


def layout(shape: Shape, dtype: npt.DTypeLike) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape as a tuple and the type in the host's byte order.

    Raises TypeError for lengths that are no whole numbers and for types without fixed bytes, ValueError for lengths
    below 0.
    """
    given: Any = shape
    try:
        lengths = tuple(operator.index(each) for each in (given if isinstance(given, Iterable) else (given,)))
    except TypeError:
        raise TypeError(f"a shape is a whole number or a tuple of them, not {shape!r}") from None
    if any(length < 0 for length in lengths):
        raise ValueError(f"a shape has no negative lengths: {shape!r}")
    kind = np.dtype(dtype)
    if kind.hasobject or kind.itemsize == 0:
        raise TypeError(f"{kind} has no fixed bytes, so no buffer can hold it")
    return lengths, kind if kind.isnative else kind.newbyteorder("=")


class Buffer:
    """An array of `shape` and `dtype` over an allocation, or over a part of one.

    The buffer that covers the allocation owns it: `free()`, or leaving a `with` block, frees it. A slice
    `buffer[a:b]` along the first axis is a buffer over the same bytes that owns nothing. Nothing is freed on garbage
    collection, since launches in flight know only addresses. Every use after the allocation is freed (through
    whichever buffer) or its HBM closed is a ValueError.
    """

    def __init__(self, hbm: Hbm, allocation: Allocation, shape: Shape, dtype: npt.DTypeLike = np.uint8) -> None:
        """Cover `allocation` of `hbm`; raises ValueError unless `shape` and `dtype` need at most its size."""
        self.shape, self.dtype = layout(shape, dtype)
        self.address = allocation.address
        self.name = allocation.name
        self.owner = True
        self._hbm = hbm
        self._allocation = allocation
        if self.nbytes > allocation.size:
            raise ValueError(f"shape {self.shape} of {self.dtype} does not fit into {allocation}")

    def given_as(self, argument: str) -> None:
        """Remember for messages as which argument it was given to a kernel, unless it has a name."""
        if not self._allocation.named:
            self._allocation.argument = argument

    @classmethod
    def allocate(
        cls,
        hbm: Hbm,
        shape: Shape,
        dtype: npt.DTypeLike,
        *,
        name: str | None = None,
        at: int | None = None,
    ) -> Buffer:
        """Allocate an array of `shape` and `dtype` in `hbm`, at offset `at` if one is given.

        Raises MemoryLimit if it does not fit, ValueError if bytes at `at` are taken, and what `layout` raises.
        """
        lengths, kind = layout(shape, dtype)
        return cls(hbm, hbm.allocate(math.prod(lengths) * kind.itemsize, name=name, at=at), lengths, kind)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def chip(self) -> int:
        """The chip whose HBM holds the buffer."""
        return self._hbm.chip

    @property
    def hbm(self) -> Hbm:
        """The HBM its bytes are in."""
        return self._hbm

    @property
    def freed(self) -> bool:
        """Say whether the bytes are gone."""
        return not self._hbm.owns(self._allocation)

    def view(self) -> Array:
        """The buffer's bytes as a zero-copy numpy array of its shape and dtype.

        The array keeps the host memory alive, but after `free()` it no longer shows this buffer.
        """
        self._check_alive()
        return self._hbm.view(self.address, self.nbytes).view(self.dtype).reshape(self.shape)

    def copy_from_host(self, array: npt.ArrayLike) -> None:
        """Copy `array`, of the same shape and dtype, into the buffer; any strides and byte order will do.

        Where the chip belongs to another rank of the pod, that one does it.
        """
        source = np.asarray(array)
        self._check_like(source, "from")
        self._note("copies an array to")
        if self._hbm.away:
            return
        view = self.view()
        for part in self._parts():
            view[part] = source[part]

    def copy_to_host(self, out: Array | None = None) -> Array:
        """Copy the buffer into `out`, which must have its shape and dtype, or into a new array, and return that.

        Where several ranks run the pod, all of them do so together.
        """
        content = self._content()
        if out is None:
            return content.copy()
        self._check_like(out, "to")
        out[...] = content
        return out

    def fill(self, value: object) -> None:
        """Set every element to `value`, which the dtype must be able to hold; of another rank's chip, that one does.

        Narrow floats are rounded as the chip does it: 500 is 448 in e4m3.
        """
        self._note("fills")
        if self._hbm.away:
            return
        view: Any = self.view()
        if self.dtype.name in NARROW_NAMES:
            value = narrow(cast("npt.ArrayLike", value), NARROW_NAMES[self.dtype.name])
        for part in self._parts():
            view[part] = value

    def free(self) -> None:
        """Free the allocation; raises ValueError if it is freed already or belongs to another buffer."""
        if not self.owner:
            raise ValueError(f"{self!r} is a slice and owns no memory: free the buffer it was taken from")
        self._check_alive()
        self._hbm.free(self._allocation)

    def __enter__(self) -> Buffer:
        """Use as `with Buffer.allocate(...) as x:`, which frees it at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Free the allocation unless that has happened already."""
        if self.owner and not self.freed:
            self.free()

    def __len__(self) -> int:
        """Length of the first axis."""
        if not self.shape:
            raise TypeError(f"{self!r} has no first axis")
        return self.shape[0]

    def __getitem__(self, index: slice) -> Buffer:
        """`buffer[a:b]`: the same bytes as a buffer of its own that owns nothing."""
        if not isinstance(index, slice):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a buffer is sliced along its first axis, [a:b]; use view()[...] for index {index!r}")
        self._check_alive()
        start, stop, step = index.indices(len(self))
        if step != 1:
            raise ValueError(f"a slice with step {step} is not contiguous; use view()[::{step}]")
        stop = max(start, stop)
        part = Buffer.__new__(Buffer)
        part.__dict__.update(self.__dict__)
        part.owner = False
        part.shape = (stop - start, *self.shape[1:])
        part.address = self.address + start * math.prod(self.shape[1:]) * self.dtype.itemsize
        part.name = f"{self.name}[{start}:{stop}]"
        return part

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        """The zero-copy view, for np.asarray(buffer)."""
        view = self.view()
        kind = view.dtype if dtype is None else np.dtype(dtype)
        if copy is False and kind != view.dtype:
            raise ValueError(f"{self!r} cannot become {kind} without a copy")
        return view.astype(kind, copy=bool(copy))

    def __dlpack__(self, **options: Any) -> Any:
        """DLPack capsule of the zero-copy view, a CPU tensor to whoever imports it."""
        return self.view().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """The CPU: (1, 0)."""
        device, number = self.view().__dlpack_device__()
        return int(device), int(number)

    def __repr__(self) -> str:
        """`Buffer('x', float32, (1000,), 0x4000000000, chip 0)`, with `freed` where that is so."""
        state = ", freed" if self.freed else ""
        return f"Buffer('{self.name}', {self.dtype}, {self.shape}, {self.address:#x}, chip {self.chip}{state})"

    def _content(self) -> Array:
        """What is in the buffer, wherever its chip is: a view, or a copy that all ranks of the pod come to together."""
        self._check_alive()
        if self._hbm.copy_out is None:
            return self.view()
        return self._hbm.copy_out(self.name, self.address, self.nbytes).view(self.dtype).reshape(self.shape)

    def _parts(self) -> Iterator[slice | EllipsisType]:
        """Cut the first axis into parts of about `STEP` bytes, checking the host memory limit before each."""
        rows = max(1, STEP * self.shape[0] // max(1, self.nbytes)) if self.shape else 1
        for start in range(0, self.shape[0] if self.shape else 1, rows):
            self._hbm.check_host(min(STEP, self.nbytes))
            yield slice(start, start + rows) if self.shape else ...

    def _note(self, does: str) -> None:
        if self._hbm.note:
            self._hbm.note(f"{does} '{self.name}' of chip {self.chip}")

    def _check_alive(self) -> None:
        if self.freed:
            raise ValueError(f"{self!r} is used after its memory was freed")

    def _check_like(self, array: Array, way: str) -> None:
        """Raise unless `array` has this buffer's shape and, byte order aside, its dtype."""
        kind = array.dtype if array.dtype.isnative else array.dtype.newbyteorder("=")
        if kind != self.dtype:
            how = "m890.narrow" if way == "from" and self.dtype.name in NARROW_NAMES else ".astype"
            raise TypeError(f"cannot copy {way} an array of {array.dtype}: {self!r}; convert it with {how} first")
        if array.shape != self.shape:
            raise ValueError(f"cannot copy {way} an array of shape {array.shape}: {self!r}; .reshape it first")
