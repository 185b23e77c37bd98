"""Layers of neural networks over the chips of a pod, split as tensor and expert parallelism do.

They have no kernels of their own: gemm_bf16 and grouped_gemm run on every chip, with collectives between them.

Tensor parallel. A layer x @ w1 @ w2 of an MLP: the first matrix is split by columns, so that each chip has some of the
middle's columns, all of x and no need to talk; the second by the rows that belong to these columns, so that each chip
has a part of every sum: an all-reduce adds them up.

Expert parallel. Each chip has some tokens and some experts. Tokens go to the chip of their expert (all_to_all_ragged),
are multiplied there, and go back the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import numpy.typing as npt

from . import all_reduce, all_to_all, gemm_bf16, grouped_gemm, load
from .gemm import SIDE, THREADS, Gemm, grid_of
from .pod_group import Array, Group

if TYPE_CHECKING:
    from ..emulator.pod.pod import Pod, SymmetricBuffer

PRODUCT: Gemm = gemm_bf16.PRODUCT
UNIT = 16
"""Elements of bfloat16 in 32 bytes, of which rows of a factor are multiples."""


# ---- tensor parallel -------------------------------------------------------------------------------------------------


def column_parallel_reference(x: npt.ArrayLike, w: npt.ArrayLike, chips: int, activation: str = "none") -> list[Array]:
    """x times each chip's columns of w, in bfloat16."""
    return [gemm_bf16.reference(x, part, activation=activation, narrow=True) for part in _columns(w, chips)]


def row_parallel_reference(parts: list[Array], w: npt.ArrayLike, algorithm: all_reduce.Algorithm = "two_shot") -> Array:
    """The sum over the chips of each one's part times its rows of w, in binary32, in the order of the all-reduce."""
    rows = np.split(np.asarray(w), len(parts))
    sums = np.stack([gemm_bf16.reference(part, row) for part, row in zip(parts, rows, strict=True)])
    return all_reduce.reference(sums.reshape(len(parts), -1), algorithm=algorithm).reshape(sums.shape[1:])


def mlp_reference(
    x: npt.ArrayLike, w1: npt.ArrayLike, w2: npt.ArrayLike, chips: int, activation: str = "gelu"
) -> Array:
    """What `mlp` gives on each chip, to the bit."""
    return row_parallel_reference(column_parallel_reference(x, w1, chips, activation), w2)


def mlp(pod: Pod, x: npt.ArrayLike, w1: npt.ArrayLike, w2: npt.ArrayLike, activation: str = "gelu") -> Array:
    """activation(x @ w1) @ w2 with w1 split by columns and w2 by rows over the chips: chips x M x N, the same on each.

    x is M x K, w1 K x H, w2 H x N, in bfloat16. K and N are multiples of 16, H of 16 times the number of chips. Raises
    ValueError for other shapes.
    """
    x, w1, w2 = (PRODUCT.elements(each) for each in (x, w1, w2))
    chips = len(pod.chips)
    (m, k), (_, hidden), (_, n) = x.shape, w1.shape, w2.shape
    if w1.shape[0] != k or w2.shape[0] != hidden or k % UNIT or n % UNIT or hidden % (UNIT * chips):
        raise ValueError(
            f"M x K, K x H and H x N with K and N multiples of {UNIT}, H of {UNIT * chips}, "
            f"not {x.shape}, {w1.shape} and {w2.shape}"
        )
    share = hidden // chips
    with Group(pod) as group:
        inputs = group.array(np.broadcast_to(x, (chips, m, k)))
        first, second = group.array(np.stack(_columns(w1, chips))), group.array(np.stack(np.split(w2, chips)))
        middle = group.empty((m, share), ml_dtypes.bfloat16)
        parts, total = group.empty(m * n, np.float32), group.empty(m * n, np.float32)
        _product(pod, (m, share, k), inputs, first, middle, PRODUCT.epilogue(activation, narrow=True))
        _product(pod, (m, n, share), middle, second, parts, PRODUCT.epilogue("none", narrow=False))
        all_reduce.run(group, parts, total)
        return total.copy_to_host().reshape(chips, m, n)


def _columns(w: npt.ArrayLike, chips: int) -> list[Array]:
    return [np.ascontiguousarray(part) for part in np.split(np.asarray(w), chips, axis=1)]


def _product(
    pod: Pod, shape: tuple[int, int, int], a: SymmetricBuffer, b: SymmetricBuffer, c: SymmetricBuffer, epilogue: int
) -> None:
    """c = a @ b on every chip, of matrices that lie without gaps."""
    m, n, k = shape
    grid = (*grid_of(m, n), 1)
    kernel = load(pod, "gemm_bf16")["gemm_bf16_nn"]
    kernel.launch(grid, THREADS, (m, n, k, k, n, n, a, b, c, 0, epilogue, PRODUCT.depth(k, 1)))


# ---- expert parallel -------------------------------------------------------------------------------------------------


def experts_reference(tokens: Sequence[Array], choices: Sequence[Array], w: npt.ArrayLike) -> list[Array]:
    """What `experts` gives, to the bit: each token times the matrix of its expert."""
    found = []
    for rows, choice in zip(tokens, choices, strict=True):
        result = np.zeros((len(rows), np.shape(w)[2]), np.float32)
        for expert in np.unique(choice):
            mine = np.asarray(choice) == expert
            result[mine] = gemm_bf16.reference(np.asarray(rows)[mine], np.asarray(w)[expert])
        found.append(result)
    return found


@dataclass(frozen=True)
class Routes:
    """Where tokens lie when each chip has sorted its own by expert, and when each has got those of its experts.

    All tables are source chips x experts; expert e belongs to chip e // local.
    """

    local: int
    """Experts of a chip."""
    counts: Array
    start: Array
    """The first row of the sorted tokens of the source chip."""
    into: Array
    """The first row on the expert's chip, where tokens lie by expert, then by where they came from."""
    offsets: Array
    """For each chip, where its experts' rows begin and the last ones end."""

    @classmethod
    def of(cls, choices: Sequence[Array], experts: int) -> Routes:
        """From the experts of each chip's tokens."""
        chips = len(choices)
        counts = np.stack([np.bincount(choice, minlength=experts) for choice in choices])
        totals = counts.sum(0).reshape(chips, -1)
        offsets = np.concatenate([np.zeros((chips, 1), np.int64), np.cumsum(totals, 1)], axis=1)
        into = offsets[:, :-1].reshape(-1) + np.cumsum(counts, 0) - counts
        return cls(experts // chips, counts, np.cumsum(counts, 1) - counts, into, offsets)

    def move(self, group: Group, source: SymmetricBuffer, target: SymmetricBuffer, *, back: bool = False) -> None:
        """Bring sorted tokens to their experts' chips, or results back: one exchange for each expert of a chip."""
        for expert in range(self.local):
            count, start, into = (table[:, expert :: self.local] for table in (self.counts, self.start, self.into))
            if back:
                count, start, into = count.T, into.T, start.T
            all_to_all.ragged_run(group, source, target, count, start, into)


def experts(
    pod: Pod, tokens: Sequence[npt.ArrayLike], choices: Sequence[npt.ArrayLike], w: npt.ArrayLike
) -> list[Array]:
    """tokens[c][t] @ w[choices[c][t]] for the tokens of every chip c, with as many experts on each chip.

    tokens[c] is any number x K, w experts x K x N, in bfloat16, K and N multiples of 16. Gives any number x N in
    binary32 for each chip. Raises ValueError for what does not fit.
    """
    w, rows = PRODUCT.elements(w), [PRODUCT.elements(each) for each in tokens]
    chosen, chips = [np.asarray(choice, np.int64) for choice in choices], len(pod.chips)
    if w.ndim != 3 or len(w) % chips or w.shape[1] % UNIT or w.shape[2] % UNIT:
        raise ValueError(
            f"experts x K x N, as many on each of {chips} chips, K and N multiples of {UNIT}, not {w.shape}"
        )
    if len(rows) != chips or any(each.ndim != 2 or each.shape[1] != w.shape[1] for each in rows):
        raise ValueError(f"tokens x {w.shape[1]} for each of {chips} chips")
    if [each.shape for each in chosen] != [(len(each),) for each in rows] or any(
        len(each) and not 0 <= each.min() <= each.max() < len(w) for each in chosen
    ):
        raise ValueError(f"an expert, 0 to {len(w) - 1}, for each token")
    _, k, n = w.shape
    routes, orders = Routes.of(chosen, len(w)), [np.argsort(choice, kind="stable") for choice in chosen]
    most_own, most_there = max(map(len, rows)), int(routes.offsets[:, -1].max())
    if not most_own:
        return [np.zeros((0, n), np.float32) for _ in rows]
    with Group(pod) as group:
        own, results = group.empty((most_own, k), w.dtype), group.empty((most_own, n), np.float32)
        for buffer, each, order in zip(own, rows, orders, strict=True):
            if len(each):
                buffer[: len(each)].copy_from_host(each[order])
        there, products = group.empty((most_there, k), w.dtype), group.empty((most_there, n), np.float32)
        matrices = group.array(w.reshape(chips, routes.local * k, n))
        offsets = group.array(routes.offsets.astype(np.uint32))
        routes.move(group, own, there)
        grid = (-(-n // SIDE), grouped_gemm.most_tiles(most_there, routes.local), 1)
        factors = (there, matrices, products, 0, 0, PRODUCT.depth(k, 1), offsets, routes.local)
        load(pod, "grouped_gemm")["grouped_gemm_nn"].launch(grid, THREADS, (most_there, n, k, k, n, n, *factors))
        routes.move(group, products, results, back=True)
        found = [buffer.copy_to_host()[: len(each)] for buffer, each in zip(results, rows, strict=True)]
    return [each[np.argsort(order)] for each, order in zip(found, orders, strict=True)]
