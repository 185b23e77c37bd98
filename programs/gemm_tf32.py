"""gemm_tf32: the product of two tf32 matrices with binary32 sums, on the matrix unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import load
from .gemm import Gemm

if TYPE_CHECKING:
    from ..emulator.chip import Chip

PRODUCT = Gemm("gemm_tf32", np.float32, 8)
reference, bound = PRODUCT.reference, PRODUCT.bound


def launch(chip: Chip, a: npt.ArrayLike, b: npt.ArrayLike, **options: Any) -> npt.NDArray[Any]:
    """a @ b on the chip; the options are those of `Gemm.launch`."""
    return PRODUCT.launch(chip, load(chip, "gemm_tf32"), a, b, **options)
