"""scan: inclusive scans of u32 or f32, of the whole array or of segments that begin at heads."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..isa.lanes import LANES
from . import load
from .binary32 import bits, canonical

if TYPE_CHECKING:
    from ..emulator.buffers import Buffer
    from ..emulator.chip import Chip, LoadedModule

Words = npt.NDArray[Any]
"""An array of u32 or f32."""


def _plus(a: Words, b: Words) -> Words:
    with np.errstate(all="ignore"):
        return canonical(a + b) if a.dtype == np.float32 else a + b


def _where(mask: npt.NDArray[np.bool_], a: Words, b: Words) -> Words:
    """`a` where the mask holds, else `b`, by their bits: a NaN keeps its own."""
    return np.where(mask, bits(a), bits(b)).view(a.dtype)


def _warp(values: Words, heads: npt.NDArray[np.bool_]) -> tuple[Words, npt.NDArray[np.bool_]]:
    """Scans along the last axis of up to 32 lanes, and which lanes lie before the first head."""
    lanes = np.arange(values.shape[-1])
    start = np.maximum.accumulate(np.where(heads, lanes, 0), axis=-1)
    for step in (1, 2, 4, 8, 16):
        below = np.concatenate([values[..., :step], values[..., :-step]], axis=-1)[..., : len(lanes)]
        values = _where(lanes >= start + step, _plus(below, values), values)
    return values, ~np.logical_or.accumulate(heads, axis=-1)


def _block(values: Words, heads: npt.NDArray[np.bool_]) -> Words:
    """The scan of one block, of whole warps."""
    values, before_head = _warp(values.reshape(-1, LANES), heads.reshape(-1, LANES))
    carries, _ = _warp(values[:-1, -1], ~before_head[:-1, -1])
    values[1:] = _where(before_head[1:], _plus(carries[:, None], values[1:]), values[1:])
    return values.reshape(-1)


def _scan(x: Words, heads: npt.NDArray[np.bool_], block: int) -> Words:
    blocks = max(1, -(-len(x) // block))
    warps = -(-block // LANES) * LANES
    y, closed, totals = np.zeros_like(x), np.zeros(blocks, bool), np.zeros(blocks, x.dtype)
    for number in range(blocks):
        part = slice(number * block, number * block + block)
        values, flags = np.zeros(warps, x.dtype), np.zeros(warps, bool)
        values[: len(x[part])], flags[: len(x[part])] = x[part], heads[part]
        scanned = _block(values, flags)
        y[part], closed[number], totals[number] = scanned[: len(x[part])], flags.any(), scanned[block - 1]
    if blocks > 1:
        carries = _scan(totals, closed, block)
        for number in range(1, blocks):
            part = slice(number * block, number * block + block)
            open_ = ~np.logical_or.accumulate(heads[part])
            y[part] = _where(open_, _plus(carries[number - 1 : number], y[part]), y[part])
    return y


def _arrays(x: npt.ArrayLike, heads: npt.ArrayLike | None) -> tuple[Words, npt.NDArray[np.uint32] | None]:
    x = np.ascontiguousarray(x)
    flags = None if heads is None else np.ascontiguousarray(heads).astype(np.uint32)
    if x.dtype not in (np.uint32, np.float32) or x.ndim != 1:
        raise ValueError(f"x is one-dimensional and of uint32 or float32, not {x.dtype} {x.shape}")
    if flags is not None and flags.shape != x.shape:
        raise ValueError(f"heads has the shape of x, {x.shape}, not {flags.shape}")
    return x, flags


def _check(block: int) -> None:
    if not 2 <= block <= 1024:
        raise ValueError(f"a block has 2 to 1024 threads, not {block}")


def reference(x: npt.ArrayLike, heads: npt.ArrayLike | None = None, *, block: int = 256) -> Words:
    """The scan of x, added up in the kernels' order."""
    _check(block)
    x, flags = _arrays(x, heads)
    return _scan(x, np.zeros(len(x), bool) if flags is None else flags != 0, block)


def launch(chip: Chip, x: npt.ArrayLike, heads: npt.ArrayLike | None = None, *, block: int = 256) -> Words:
    """y[i] = x[0] + ... + x[i]; with heads, not 0 where a segment begins, the sum within the segment of i."""
    _check(block)
    x, flags = _arrays(x, heads)
    kernels = load(chip, "scan")
    with chip.to_device(x) as y, ExitStack() as stack:
        device_heads = None if flags is None else stack.enter_context(chip.to_device(flags))
        _launch(chip, kernels, y, device_heads, len(x), block)
        return y.copy_to_host()


def _launch(chip: Chip, kernels: LoadedModule, y: Buffer, heads: Buffer | None, n: int, block: int) -> None:
    """Scan y in place: its blocks, their totals, and what is carried over."""
    kind = "f32" if y.dtype == np.float32 else "u32"
    blocks = max(1, -(-n // block))
    with (
        chip.empty(blocks, y.dtype) as totals,
        chip.empty(blocks, np.uint32) as front,
        chip.empty(blocks, np.uint32) as closed,
    ):
        if heads is None:
            kernels[f"scan_{kind}"][blocks, block](n, y, y, totals, front)
        else:
            kernels[f"segmented_{kind}"][blocks, block](n, y, heads, closed, y, totals, front)
        if blocks > 1:
            _launch(chip, kernels, totals, None if heads is None else closed, blocks, block)
            kernels[f"carry_{kind}"][blocks, block](n, y, totals, front)
