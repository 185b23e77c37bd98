"""gemm_e4m3: the product of two e4m3 matrices with binary32 sums, on the matrix unit."""

from __future__ import annotations

import ml_dtypes

from .gemm import Gemm

PRODUCT = Gemm("gemm_e4m3", ml_dtypes.float8_e4m3fn, 32)
launch, reference, bound = PRODUCT.launch, PRODUCT.reference, PRODUCT.bound
