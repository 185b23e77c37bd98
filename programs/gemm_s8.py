"""gemm_s8: the product of two matrices of signed 8-bit integers, modulo 2^32, on the matrix unit."""

from __future__ import annotations

import numpy as np

from .gemm import Gemm

PRODUCT = Gemm("gemm_s8", np.int8, 32, integers=True)
launch, reference, bound = PRODUCT.launch, PRODUCT.reference, PRODUCT.bound
