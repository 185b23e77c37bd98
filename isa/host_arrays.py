"""Narrow floats in the host's arrays: their dtypes, conversion by the machine's rules, and two e2m1 to a byte.

Numpy has no narrow types but float16; ml_dtypes adds them. What its `astype` does with numbers that are too large, and
with NaN, is not what the machine does (docs/numerics.md), so `narrow` converts with the instructions' own rounding.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .formats import E2M1, F16, FORMATS, TF32
from .numerics import RTTE, RTZ, keep_finite
from .rounding import narrow_to, scale_of, to_odd

Array = npt.NDArray[Any]

HOST_NAMES = {
    "f16": "float16", "tf32": "float32", "bf16": "bfloat16", "e4m3": "float8_e4m3fn", "e5m2": "float8_e5m2",
    "e2m1": "float4_e2m1fn", "e8m0": "float8_e8m0fnu",
}  # fmt: skip
"""Narrow float types by their names here, and what arrays of them are called in numpy or ml_dtypes.

A tf32 number is a float32 one whose 13 low bits are zero, and an e2m1 number has a byte of its own.
"""
NARROW_NAMES = {host: name for name, host in HOST_NAMES.items() if name != "tf32"}
"""The names of the types that only narrow numbers have."""


def host_dtype(name: str) -> np.dtype[Any]:
    """The dtype of host arrays of a narrow type; raises ValueError if there is no such type."""
    if name not in HOST_NAMES:
        raise ValueError(f"unknown narrow type '{name}': one of {', '.join(HOST_NAMES)}")
    import ml_dtypes  # slow to import, and rarely needed

    return np.dtype(getattr(ml_dtypes, HOST_NAMES[name], HOST_NAMES[name]))


def binary32(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """`values` in binary32, rounded to odd if they are wider: rounding them once more is as good as rounding once.

    Wider are binary64 and integers of 32 bits or more; what is wider than binary64 is rounded to it first.
    Raises TypeError for complex numbers, and what numpy raises for what is no number.
    """
    given = np.asarray(values)
    if given.dtype.kind == "c":
        raise TypeError(f"a chip has no complex numbers: convert the real and the imaginary part of this {given.dtype}")
    if np.can_cast(given.dtype, np.float32):
        return given.astype(np.float32, order="C")
    with np.errstate(all="ignore"):
        return cast("npt.NDArray[np.float32]", to_odd(cast("Any", given.astype(np.float64, order="C"))))


def narrow(values: npt.ArrayLike, name: str) -> Array:
    """`values`, numbers of any shape, in a narrow type, rounded once as `v.cnvt.NAME.f32.rtte` does.

    To nearest even. Too large becomes infinity in f16, bf16 and tf32; in e4m3, e5m2 and e2m1 the largest number, and so
    does infinity. NaN becomes the canonical one, +6 in e2m1. e8m0 is rounded toward zero (`v.cnvt.e8m0.f32.rtz`). The
    way back is exact: `narrow(x, name).astype(numpy.float32)`. Raises ValueError for an unknown type, and TypeError for
    complex numbers.
    """
    dtype, x = host_dtype(name), cast("Any", binary32(values))
    with np.errstate(all="ignore"):
        if name == "e8m0":
            bits: Any = scale_of(x, RTZ)
        else:
            format = FORMATS[name]
            bits = narrow_to(x, format, RTTE)
            bits = bits if format.exponent == TF32.exponent or format is F16 else keep_finite(bits, format)
    return cast("Array", bits.astype(f"u{dtype.itemsize}").view(dtype))


def pack_e2m1(values: npt.ArrayLike, axis: int = -1) -> Array:
    """e2m1 numbers as bytes of two, the first in the low half, so that `axis` becomes half as long.

    `values` is an array of `ml_dtypes.float4_e2m1fn`, or of their codes as uint8. Raises TypeError for other types and
    ValueError if the axis has an odd length.
    """
    codes = np.asarray(values)
    if codes.dtype not in (np.uint8, host_dtype("e2m1")):
        raise TypeError(f'e2m1 numbers or their codes are packed, not {codes.dtype}: m890.narrow(x, "e2m1") makes them')
    codes = np.moveaxis(codes.view(np.uint8), axis, -1)
    if codes.shape[-1] % 2:
        raise ValueError(f"two e2m1 numbers lie in a byte: an axis of {codes.shape[-1]} is odd; pad it with np.pad")
    mask = np.uint8((1 << E2M1.width) - 1)
    pairs = codes[..., 0::2] & mask | codes[..., 1::2] << np.uint8(E2M1.width)
    return np.ascontiguousarray(np.moveaxis(pairs, -1, axis))


def unpack_e2m1(pairs: npt.ArrayLike, axis: int = -1) -> Array:
    """The inverse of `pack_e2m1`: an array of `ml_dtypes.float4_e2m1fn`, `axis` twice as long.

    Raises TypeError unless `pairs` are uint8.
    """
    packed = np.asarray(pairs)
    if packed.dtype != np.uint8:
        raise TypeError(f"bytes of two e2m1 numbers are uint8, not {packed.dtype}")
    packed = np.moveaxis(packed, axis, -1)
    mask = np.uint8((1 << E2M1.width) - 1)
    codes = np.stack((packed & mask, packed >> np.uint8(E2M1.width)), axis=-1)
    codes = codes.reshape(*packed.shape[:-1], 2 * packed.shape[-1])
    return np.ascontiguousarray(np.moveaxis(codes, -1, axis)).view(host_dtype("e2m1"))
