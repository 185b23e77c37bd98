"""gemm_tf32: the product of two tf32 matrices with binary32 sums, on the matrix unit."""

from __future__ import annotations

import numpy as np

from .gemm import Gemm

PRODUCT = Gemm("gemm_tf32", np.float32, 8)
launch, reference, bound = PRODUCT.launch, PRODUCT.reference, PRODUCT.bound
