"""grouped_gemm: in a mixture of experts, the tokens of each expert times its own matrix, in one launch."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from . import gemm_bf16, load
from .gemm import SIDE, Array, Factors, padded
from .narrow import whole

if TYPE_CHECKING:
    from ..emulator.chip import Chip

PRODUCT = gemm_bf16.PRODUCT
Layout = Literal["nn", "nt"]


def reference(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    offsets: npt.ArrayLike,
    *,
    layout: Layout = "nn",
    bias: npt.ArrayLike | None = None,
    activation: str = "none",
    narrow: bool = False,
) -> Array:
    """What `launch` gives, to the bit: `gemm_bf16` for one expert after the other."""
    a, b, bounds = checked(a, b, offsets, layout)
    n = b.shape[2 if layout == "nn" else 1]
    parts = [np.zeros((0, n), PRODUCT.narrow if narrow else PRODUCT.sum_type)]
    for expert, (first, end) in enumerate(pairwise(bounds)):
        if end > first:
            of = None if bias is None else np.asarray(bias)[expert]
            parts.append(
                PRODUCT.reference(a[first:end], b[expert], layout=layout, bias=of, activation=activation, narrow=narrow)
            )
    return np.concatenate(parts)


def launch(
    chip: Chip,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    offsets: npt.ArrayLike,
    *,
    layout: Layout = "nn",
    bias: npt.ArrayLike | None = None,
    activation: str = "none",
    narrow: bool = False,
) -> Array:
    """Row t of the result is a[t] @ b[e] where offsets[e] <= t < offsets[e + 1], tokens x N.

    a is tokens x K, sorted by expert; b is experts x K x N, with the layout "nt" experts x N x K; offsets ascend from 0
    to the number of tokens and are one more than there are experts; one may have no tokens. `bias` is experts x N; the
    other options are those of `Gemm.launch`. Raises ValueError for what does not fit.
    """
    a, b, bounds = checked(a, b, offsets, layout)
    (tokens, k), (experts, *sides) = a.shape, b.shape
    n = sides[1 if layout == "nn" else 0]
    epilogue = PRODUCT.epilogue(activation, narrow)
    PRODUCT.check_bias(bias, experts=experts, N=n)
    if not tokens:
        return np.zeros((0, n), PRODUCT.narrow if narrow else PRODUCT.sum_type)
    rows = padded(b.reshape(-1, sides[1]))
    with (
        chip.to_device(padded(a)) as device_a,
        chip.to_device(rows) as device_b,
        chip.to_device(bounds.astype(np.uint32)) as device_offsets,
    ):
        grid = -(-n // SIDE), most_tiles(tokens, experts)
        factors = Factors((tokens, n, k), (device_a, device_b), (device_offsets, experts), grid)
        name = f"grouped_gemm_{layout}"
        return PRODUCT.run(chip, load(chip, "grouped_gemm"), name, factors, k, bias, epilogue)


def most_tiles(tokens: int, experts: int) -> int:
    """Tiles of 128 rows that so many tokens have at most, however they are spread over the experts."""
    return tokens // SIDE + min(tokens, experts)


def checked(
    a: npt.ArrayLike, b: npt.ArrayLike, offsets: npt.ArrayLike, layout: str
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """The matrices in bfloat16, and the offsets. Raises ValueError unless they fit together."""
    a, b, bounds = PRODUCT.elements(a), PRODUCT.elements(b), whole(offsets, np.int64)
    if layout not in ("nn", "nt"):
        raise ValueError(f"the layout is nn or nt, not {layout!r}")
    if a.ndim != 2 or b.ndim != 3 or b.shape[1 if layout == "nn" else 2] != a.shape[1] or 0 in (a.shape[1], *b.shape):
        raise ValueError(f"the factors are tokens x K and experts x K x N ({layout}), not {a.shape} and {b.shape}")
    if bounds.shape != (len(b) + 1,) or bounds[0] != 0 or bounds[-1] != len(a) or (np.diff(bounds) < 0).any():
        raise ValueError(f"{len(b) + 1} offsets ascend from 0 to {len(a)} tokens, not {bounds.tolist()}")
    return a, b, bounds
