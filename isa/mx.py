"""MX blocks on the host: arrays of binary32 as narrow elements with a power of two for every 32 of them, and back.

The rule for the scale is that of the OCP MX specification; what it leaves open is `defined` here, the same for every
element type, and `programs/quantise.s` follows it on the chip:

    scale = 2 ^ (floor(log2(largest magnitude of the block)) - exponent of the element type's largest number)

but at least 2^-127, which is also the scale of a block of zeros. An element is x / scale, rounded once to nearest even;
what is then too large becomes the largest number, since the scale looks at the exponent alone (in e2m1 7.9 becomes 6).
An infinity counts as 2^127 in the scale and becomes the largest number as well. A NaN makes the block's scale NaN,
0xff, and its elements too, in e2m1 +6.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .formats import F32, FORMATS
from .host_arrays import Array, binary32, host_dtype, narrow, pack_e2m1, unpack_e2m1
from .matrix import BLOCK
from .numerics import RTZ, canonical
from .rounding import power_of, scale_of

ELEMENT_TYPES = ("e2m1", "e4m3", "e5m2")
"""What the elements of a block can be."""
NAN = 0xFF


def scale_bytes(largest: Any, element: str) -> Any:
    """The E8M0 bytes (uint32) of blocks with these largest magnitudes (float32, NaN where a block has one)."""
    format = FORMATS[element]
    emax = (format.largest >> format.low) - format.bias
    powers: Any = scale_of(largest, RTZ)
    powers = powers.astype(np.int64)
    return np.where(powers == NAN, NAN, np.maximum(powers - emax, 0)).astype(np.uint32)


def mx_quantise(x: npt.ArrayLike, element: str = "e2m1", axis: int = -1) -> tuple[Array, Array]:
    """Elements and scales of an array of any shape, in blocks of 32 along `axis`; the last one is filled with zeros.

    With n elements along the axis, that is ceil(n / 32) blocks: so long is the axis of the scales, which are of type
    `ml_dtypes.float8_e8m0fnu`. Elements are as a chip's memory holds them: "e4m3" and "e5m2" as arrays of their
    ml_dtypes type, 32 * blocks along the axis; "e2m1" as uint8, two numbers in a byte, the first in the low half, and
    16 * blocks along the axis. Raises ValueError for another element type, IndexError if there is no such axis, and
    TypeError for complex numbers.
    """
    if element not in ELEMENT_TYPES:
        raise ValueError(f"MX elements are {', '.join(ELEMENT_TYPES)}, not '{element}'")
    rows = np.moveaxis(binary32(x), axis, -1)
    count = -(-rows.shape[-1] // BLOCK)
    missing = count * BLOCK - rows.shape[-1]
    rows = np.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, missing)]) if missing else rows
    blocks = rows.reshape(*rows.shape[:-1], count, BLOCK)
    scales = scale_bytes(np.abs(blocks).max(-1), element)
    with np.errstate(all="ignore"):
        scaled = blocks / cast("Any", power_of(scales))[..., None]
    elements = narrow(scaled, element).reshape(rows.shape)
    stored = pack_e2m1(elements) if element == "e2m1" else elements
    back = [np.ascontiguousarray(np.moveaxis(each, -1, axis)) for each in (stored, scales.astype(np.uint8))]
    return back[0], back[1].view(host_dtype("e8m0"))


def mx_dequantise(elements: npt.ArrayLike, scales: npt.ArrayLike, axis: int = -1) -> npt.NDArray[np.float32]:
    """The numbers that elements and scales, as `mx_quantise` gives them, stand for: float32, whole blocks.

    The type of the elements is that of their array; uint8 are pairs of e2m1. A product is exact unless its scale is so
    large that it is infinite; where the scale or an element is NaN it is the canonical NaN. Scales may be uint8, too.
    Raises TypeError for other types and ValueError if the shapes do not fit together.
    """
    stored, bytes_ = np.asarray(elements), np.asarray(scales)
    if stored.dtype == np.uint8:
        stored = unpack_e2m1(stored, axis)
    if stored.dtype not in [host_dtype(each) for each in ELEMENT_TYPES]:
        raise TypeError(f"MX elements are uint8 (pairs of e2m1) or of a type of ml_dtypes, not {stored.dtype}")
    if bytes_.dtype not in (np.uint8, host_dtype("e8m0")):
        raise TypeError(f"MX scales are E8M0 numbers or their bytes, not {bytes_.dtype}")
    rows, powers = np.moveaxis(stored, axis, -1), np.moveaxis(bytes_.view(np.uint8), axis, -1)
    if rows.shape != (*powers.shape[:-1], powers.shape[-1] * BLOCK):
        raise ValueError(f"{BLOCK} elements along axis {axis} have a scale, not {stored.shape} and {bytes_.shape}")
    factors = cast("Any", power_of(cast("Any", powers.astype(np.uint32)))).repeat(BLOCK, -1)
    with np.errstate(all="ignore"):
        product: Any = rows.astype(np.float32) * factors
    bits: Any = canonical(product.view(np.uint32), F32)
    return np.ascontiguousarray(np.moveaxis(bits.view(np.float32), -1, axis))
