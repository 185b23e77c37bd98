"""gemm_bf16: the product of two bfloat16 matrices with binary32 sums, on the matrix unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy.typing as npt

from . import load
from .gemm import Gemm

if TYPE_CHECKING:
    from ..emulator.chip import Chip

PRODUCT = Gemm("gemm_bf16", ml_dtypes.bfloat16, 16, narrow=ml_dtypes.bfloat16)
reference, bound = PRODUCT.reference, PRODUCT.bound


def launch(chip: Chip, a: npt.ArrayLike, b: npt.ArrayLike, **options: Any) -> npt.NDArray[Any]:
    """a @ b on the chip; the options are those of `Gemm.launch`."""
    return PRODUCT.launch(chip, load(chip, "gemm_bf16"), a, b, **options)
