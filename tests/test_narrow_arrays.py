"""Arrays of ml_dtypes types go to a chip and come back as what they are, and kernels fill them."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import m890

TYPES = {
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e8m0": ml_dtypes.float8_e8m0fnu,
}


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", TYPES.values(), ids=TYPES)
def test_there_and_back(dtype: Any) -> None:
    """Whole, in parts, from any strides; another type is refused by name."""
    array = (np.arange(64, dtype=np.uint8) % 15 + 1).astype(np.float32).reshape(8, 8).astype(dtype)
    buffer = m890.Chip("M890").to_device(array)
    assert same_bits(buffer.copy_to_host(), array)
    assert same_bits(np.asarray(buffer), array)
    assert same_bits(buffer[2:4].copy_to_host(), array[2:4])
    buffer.copy_from_host(array[::-1])
    assert same_bits(buffer.copy_to_host(), array[::-1])
    out = np.zeros_like(array)
    assert same_bits(buffer.copy_to_host(out), array[::-1])
    buffer.fill(2.0)
    assert same_bits(buffer.copy_to_host(), np.full((8, 8), 2.0).astype(dtype))
    with pytest.raises(TypeError, match=r"convert it with \.astype"):
        buffer.copy_from_host(array.astype(np.float32))


KERNEL = """
.arch ppu0015
.kernel convert
.param ptr x
.param ptr y
        v.mov.b32       vreg1, %tid.x
        vmem.ld.b32     vreg2, [vreg1 * 4] @x
        s.wait          vldcnt(0)
        v.cnvt.{type}.f32.rtte vreg3, vreg2
        vmem.st.b{bits} vreg3, [vreg1 * {size}] @y
        simt.exit
"""


@pytest.mark.parametrize("name", ["f16", "bf16", "e4m3", "e5m2"])
def test_a_kernel_fills_one(name: str) -> None:
    dtype = np.dtype(TYPES[name])
    chip = m890.Chip("M890")
    values = np.random.default_rng(1).normal(0, 20, 256).astype(np.float32)
    x, y = chip.to_device(values), chip.empty(256, dtype)
    source = KERNEL.format(type=name, bits=8 * dtype.itemsize, size=dtype.itemsize)
    chip.assemble(source)["convert"][1, 256](x, y)
    assert same_bits(y.copy_to_host(), values.astype(dtype))
