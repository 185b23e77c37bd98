"""gemm_f4: the product of two matrices in MX blocks of four-bit floats, with binary32 sums, on the matrix unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import ml_dtypes
import numpy as np
import numpy.typing as npt

from ..isa.matrix import BLOCK
from ..isa.mx import mx_dequantise
from . import load
from .gemm import LINE, Array, Factors, Gemm, padded

if TYPE_CHECKING:
    from ..emulator.chip import Chip

Mx = tuple[npt.ArrayLike, npt.ArrayLike]
"""Elements, two to a byte, and scales of a matrix along its second axis: what `m890.mx_quantise(matrix)` gives."""
PAIR = 2
"""Numbers in a byte."""
EIGHT = 8
"""Scales that are copied together: a row's begin at a multiple of 8 bytes."""


class MxGemm(Gemm):
    """The family as one of binary32 numbers, which is what elements times scales are."""

    @property
    def tile(self) -> int:
        """Values of k in a tile."""
        return PAIR * LINE


PRODUCT = MxGemm("gemm_f4", np.float32, 64, narrow=ml_dtypes.bfloat16)


def reference(a: Mx, b: Mx, **options: Any) -> Array:
    """What `launch` gives, to the bit; the options are bias, activation, narrow and splits, as there."""
    checked(a)
    checked(b)
    return PRODUCT.reference(mx_dequantise(*a), mx_dequantise(*b), layout="nt", **options)


def bound(a: Mx, b: Mx, *, splits: int = 1) -> Array:
    """How far an element without an epilogue can be from the exact one: see `Gemm.bound`."""
    return PRODUCT.bound(mx_dequantise(*a), mx_dequantise(*b), layout="nt", splits=splits)


def launch(
    chip: Chip,
    a: Mx,
    b: Mx,
    *,
    bias: npt.ArrayLike | None = None,
    activation: str = "none",
    narrow: bool = False,
    splits: int = 1,
) -> Array:
    """A @ B.T on the chip, where A is M x K and B N x K, each quantised along K; options as `Gemm.launch`.

    A last block of 32 that K does not fill has been filled with zeros when it was quantised. Rows that are no multiple
    of 32 bytes, or whose scales are no multiple of 8, are filled up with zeros here; a caller of the kernel passes such
    row strides itself. Raises ValueError for shapes that do not fit, and TypeError for factors that are not quantised.
    """
    (elements_a, scales_a), (elements_b, scales_b) = (checked(each) for each in (a, b))
    (m, pairs), n = elements_a.shape, len(elements_b)
    if elements_b.shape[1] != pairs or 0 in (m, n, pairs):
        raise ValueError(f"the factors are M x K and N x K, none of them 0, not {shape_of(a)} and {shape_of(b)}")
    PRODUCT.check_bias(bias, N=n)
    epilogue = PRODUCT.epilogue(activation, narrow)
    with (
        chip.to_device(padded(elements_a)) as device_a,
        chip.to_device(padded(elements_b)) as device_b,
        chip.to_device(padded(scales_a, EIGHT)) as device_scales_a,
        chip.to_device(padded(scales_b, EIGHT)) as device_scales_b,
    ):
        pitches = (device_scales_a.shape[1], device_scales_b.shape[1])
        more = (device_scales_a, device_scales_b, *pitches)
        factors = Factors((m, n, pairs), (device_a, device_b), more)
        depth = PRODUCT.depth(PAIR * pairs, splits) // PAIR
        return PRODUCT.run(chip, load(chip, "gemm_f4"), "gemm_f4", factors, depth, bias, epilogue)


def checked(matrix: Mx) -> tuple[Array, Array]:
    """Elements and scales as bytes.

    Raises TypeError for what is no pair of arrays, and ValueError unless they are a matrix's, quantised along its rows.
    """
    given: Any = matrix
    if not isinstance(given, tuple | list) or len(cast("list[object]", given)) != 2:
        raise TypeError(
            f"a factor is a pair, elements and scales: m890.mx_quantise(matrix), not {type(given).__name__}"
        )
    pairs, powers = np.asarray(given[0]), np.asarray(given[1])
    if pairs.dtype != np.uint8 or pairs.ndim != 2 or powers.itemsize != 1:
        raise ValueError(f"a factor is what m890.mx_quantise gives of a matrix, not {pairs.dtype} {pairs.shape}")
    if powers.shape != (len(pairs), pairs.shape[1] * PAIR // BLOCK) or pairs.shape[1] * PAIR % BLOCK:
        raise ValueError(
            f"{BLOCK} elements of a row have a scale, not {pairs.shape} bytes of two {powers.shape} scales"
        )
    return pairs, powers.view(np.uint8)


def shape_of(matrix: Mx) -> tuple[int, int]:
    """Rows and values of k."""
    rows, pairs = np.shape(matrix[0])
    return rows, PAIR * pairs
