"""conv2d: convolution of images in bfloat16 with binary32 sums, on the matrix unit, by im2col copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import load
from .gemm import SIDE, THREADS
from .gemm_bf16 import PRODUCT

if TYPE_CHECKING:
    from ..emulator.chip import Chip

Array = npt.NDArray[Any]
Pair = int | tuple[int, int]
"""Of height and width; a number is both."""
CHANNELS = 16
"""The kernel takes multiples of so many channels: an AIU copy wants strides of 32 bytes."""


def _pair(values: Pair) -> tuple[int, int]:
    return (values, values) if isinstance(values, int) else values


@dataclass(frozen=True)
class Window:
    """How a filter moves over an image: its steps, how far apart its taps are, and the zeros around the image."""

    stride: Pair = 1
    dilation: Pair = 1
    padding: Pair = 0

    def numbers(self) -> tuple[int, ...]:
        """The kernel's parameters."""
        return *_pair(self.stride), *_pair(self.dilation), *_pair(self.padding)

    def extents(self, size: tuple[int, ...], taps: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of the result. Raises ValueError where the filter does not fit into the image."""
        if min(_pair(self.stride) + _pair(self.dilation)) < 1 or min(_pair(self.padding)) < 0:
            raise ValueError(f"strides and dilations are at least 1 and paddings at least 0, not {self}")
        pairs = zip(size, taps, _pair(self.stride), _pair(self.dilation), _pair(self.padding), strict=True)
        found = [(n + 2 * zeros - apart * (count - 1) - 1) // step + 1 for n, count, step, apart, zeros in pairs]
        if min(found) < 1:
            raise ValueError(f"the filter fits into the padded image, not {taps} into {size} with {self}")
        return found[0], found[1]

    def patches(self, x: Array, taps: tuple[int, ...]) -> Array:
        """What each pixel of the result sees: images x P x Q x R x S x channels."""
        extents = self.extents(x.shape[1:3], taps)
        zeros = [(0, 0), *((each, each) for each in _pair(self.padding)), (0, 0)]
        h, w = (
            step * np.arange(extent)[:, None] + apart * np.arange(count)
            for extent, count, step, apart in zip(extents, taps, _pair(self.stride), _pair(self.dilation), strict=True)
        )
        return np.pad(x, zeros)[:, h[:, None, :, None], w[None, :, None, :]]


PLAIN = Window()


def padded(array: Array) -> Array:
    """With zeros for channels, up to a multiple of 16."""
    return np.pad(array, [(0, 0)] * 3 + [(0, -array.shape[3] % CHANNELS)])


def operands(x: npt.ArrayLike, filters: npt.ArrayLike) -> tuple[Array, Array]:
    """Both in bfloat16, with whole blocks of channels. Raises ValueError unless they have four dimensions that fit."""
    x, filters = PRODUCT.elements(x), PRODUCT.elements(filters)
    shapes = f"{x.shape} and {filters.shape}"
    if x.ndim != 4 or filters.ndim != 4 or x.shape[3] != filters.shape[3]:
        raise ValueError(f"images are N x H x W x C and filters K x R x S x C, not {shapes}")
    if 0 in (*x.shape, *filters.shape):
        raise ValueError(f"no extent of images and filters is 0, as in {shapes}, which are not convolved")
    return padded(x), padded(filters)


def factors(x: npt.ArrayLike, filters: npt.ArrayLike, window: Window) -> tuple[Array, Array, tuple[int, ...]]:
    """What pixels see and the filters, both as rows of a matrix, and the shape of the result."""
    x, filters = operands(x, filters)
    seen = window.patches(x, filters.shape[1:3])
    count = len(filters)
    return seen.reshape(-1, filters[0].size), filters.reshape(count, -1), (*seen.shape[:3], count)


def reference(x: npt.ArrayLike, filters: npt.ArrayLike, window: Window = PLAIN, **options: Any) -> Array:
    """What `launch` gives, to the bit: the product of what pixels see with the filters, in blocks of 16 channels."""
    rows, columns, shape = factors(x, filters, window)
    return PRODUCT.reference(rows, columns, layout="nt", **options).reshape(shape)


def bound(x: npt.ArrayLike, filters: npt.ArrayLike, window: Window = PLAIN) -> Array:
    """How far an element, without bias and activation, can be from the exact one: `Gemm.bound` of that product."""
    rows, columns, shape = factors(x, filters, window)
    return PRODUCT.bound(rows, columns, layout="nt").reshape(shape)


def launch(
    chip: Chip,
    x: npt.ArrayLike,
    filters: npt.ArrayLike,
    window: Window = PLAIN,
    *,
    bias: npt.ArrayLike | None = None,
    activation: str = "none",
    narrow: bool = False,
) -> Array:
    """Images N x H x W x C with filters K x R x S x C, as N x P x Q x K, on the chip.

    `bias` has K values; `activation` and `narrow` are those of `Gemm.launch`. Raises ValueError for shapes that do not
    fit. Channels that are no multiple of 16 are filled up with zeros on the host.
    """
    x, filters = operands(x, filters)
    (images, height, width, channels), (count, *taps, _) = x.shape, filters.shape
    extents, epilogue = window.extents((height, width), (taps[0], taps[1])), PRODUCT.epilogue(activation, narrow)
    if bias is not None and np.shape(bias) != (count,):
        raise ValueError(f"the bias has {count} values, not the shape {np.shape(bias)}")
    pixels, ldc = images * extents[0] * extents[1], count + count % 2
    with (
        chip.to_device(x) as device_x,
        chip.to_device(filters) as device_filters,
        chip.to_device(np.asarray(0 if bias is None else bias, np.float32).reshape(-1)) as device_bias,
        chip.empty((pixels, ldc), PRODUCT.narrow if narrow else np.float32) as out,
    ):
        kernel = load(chip, "conv2d")["conv2d_bf16"][(-(-count // SIDE), -(-pixels // SIDE)), THREADS]
        numbers = images, height, width, channels, count, ldc, *taps, *window.numbers(), epilogue
        kernel(*numbers, device_x, device_filters, out, 0 if bias is None else device_bias)
        return np.ascontiguousarray(out.copy_to_host()[:, :count]).reshape(images, *extents, count)
