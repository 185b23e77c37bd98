"""What references need to say about the activations of include/activation.inc: the same operations in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .binary32 import F32, LOG2_E, canonical, exp2, fma

GELU_LINEAR, GELU_CUBIC = np.float32(0.7978845608), np.float32(0.0356774081)
"""sqrt(2 / pi), and that times 0.044715."""


def gelu(x: F32) -> F32:
    """x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2, each operation rounded; tanh by way of binary64."""
    with np.errstate(all="ignore"):
        argument = (x * x * GELU_CUBIC + GELU_LINEAR) * x
        half = x * np.float32(0.5)
        return fma(half, np.tanh(argument.astype(np.float64)).astype(np.float32), half)


def silu(x: F32) -> F32:
    """x / (1 + e^-x), each operation rounded; powers of two by way of binary64."""
    with np.errstate(all="ignore"):
        power = exp2(x * -LOG2_E)
        return canonical(x * (1 / (1 + power)))


ACTIVATIONS: dict[str, tuple[int, Callable[[F32], F32]]] = {
    "none": (0, lambda x: x),
    "gelu": (1, gelu),
    "silu": (2, silu),
}
"""Their numbers in gemm_store.inc (GEMM_GELU, GEMM_SILU), and what they do."""
