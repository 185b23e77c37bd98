"""gemm_f16: the product of two binary16 matrices with binary32 sums, on the matrix unit."""

from __future__ import annotations

import numpy as np

from .gemm import Gemm

PRODUCT = Gemm("gemm_f16", np.float16, 16, narrow=np.float16)
launch, reference, bound = PRODUCT.launch, PRODUCT.reference, PRODUCT.bound
