"""gemm_bf16: the product of two bfloat16 matrices with binary32 sums, on the matrix unit."""

from __future__ import annotations

import ml_dtypes

from .gemm import Gemm

PRODUCT = Gemm("gemm_bf16", ml_dtypes.bfloat16, 16, narrow=ml_dtypes.bfloat16)
launch, reference, bound = PRODUCT.launch, PRODUCT.reference, PRODUCT.bound
