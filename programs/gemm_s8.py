"""gemm_s8: the product of two matrices of signed 8-bit integers, modulo 2^32, on the matrix unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import load
from .gemm import Gemm

if TYPE_CHECKING:
    from ..emulator.chip import Chip

PRODUCT = Gemm("gemm_s8", np.int8, 32, integers=True)
reference, bound = PRODUCT.reference, PRODUCT.bound


def launch(chip: Chip, a: npt.ArrayLike, b: npt.ArrayLike, **options: Any) -> npt.NDArray[Any]:
    """a @ b on the chip; the options are those of `Gemm.launch`."""
    return PRODUCT.launch(chip, load(chip, "gemm_s8"), a, b, **options)
