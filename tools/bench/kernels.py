"""The programs against numpy, on data that is already where it is needed.

Every result is compared with numpy's before anything is measured. Sizes are powers of two: 2e20 is 2**20 elements.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ...emulator.chip import Chip
from ...isa.matrix import BLOCK as MX_BLOCK
from ...isa.mx import mx_dequantise, mx_quantise
from ...programs import (
    flash_attention,
    gemm_bf16,
    gemm_e4m3,
    gemm_f16,
    gemm_s8,
    grouped_gemm,
    load,
    matmul_f32,
    radix_sort,
)
from ...programs.attention import scale_of
from ...programs.gemm import SIDE, THREADS, Gemm, grid_of
from ...programs.gemm_f4 import PAIR
from ...programs.narrow import bf16
from ...programs.sum import USUAL_GRID
from .measure import Result, medians

BLOCK = 256
GRID = 64
"""Blocks of kernels whose threads loop."""
HISTOGRAM_GRID = 16
"""The same where every block adds 256 counters to memory at its end."""

GEMMS = {each.PRODUCT.program: each for each in (gemm_bf16, gemm_f16, gemm_e4m3, gemm_s8)}


def saxpy(n: int, kernel: str, name: str, repeat: int | None) -> Result:
    """y = 2 x + y; numpy: `y += a * x`. The factor makes both exact to the bit; unit: warp instruction."""
    chip, random, a = Chip(), np.random.default_rng(0), np.float32(2)
    x, y = (random.standard_normal(n, np.float32) for _ in range(2))
    device_x, device_y = chip.to_device(x), chip.to_device(y)
    configured = load(chip, "saxpy")[kernel][GRID if kernel == "saxpy_x4" else n // BLOCK, BLOCK]

    def numpy() -> None:
        nonlocal y
        y += a * x

    executed = configured(n, a, device_x, device_y)
    numpy()
    _agree(name, bool((device_y.copy_to_host() == y).all()))
    times = medians(repeat, lambda: configured(n, a, device_x, device_y), numpy)
    return _result(name, times, executed, 2 * n)


def total(name: str, repeat: int | None) -> Result:
    """The sum of 2**20 floats in two launches; numpy: `x.sum()`. Unit: warp instruction."""
    n = 1 << 20
    chip, x = Chip(), np.random.default_rng(0).random(n, np.float32)
    device_x, sums, answer = chip.to_device(x), chip.empty(USUAL_GRID), chip.empty(1)
    kernel = load(chip, "sum")["sum"]

    def emulated() -> int:
        return kernel[USUAL_GRID, BLOCK](n, device_x, sums) + kernel[1, BLOCK](USUAL_GRID, sums, answer)

    executed = emulated()
    _agree(name, bool(np.isclose(answer.copy_to_host()[0], x.sum(), rtol=1e-5)))
    return _result(name, medians(repeat, emulated, x.sum), executed, n)


def matmul(name: str, repeat: int | None) -> Result:
    """A float32 matrix product of 256 x 256 x 256 on the lanes; numpy: `a @ b`. Unit: warp instruction."""
    m = 256
    chip, random = Chip(), np.random.default_rng(0)
    a, b = (random.standard_normal((m, m), np.float32) for _ in range(2))
    device_a, device_b, device_c = chip.to_device(a), chip.to_device(b), chip.empty((m, m))
    configured = load(chip, "matmul_f32")["matmul_f32"][matmul_f32.grid_of(m, m, BLOCK), BLOCK]

    def emulated() -> int:
        return configured(m, m, m, device_a, device_b, device_c)

    executed = emulated()
    _agree(name, np.allclose(device_c.copy_to_host(), a @ b, rtol=1e-4, atol=1e-3))
    return _result(name, medians(repeat, emulated, lambda: a @ b), executed, 2 * m**3)


def gemm(program: str, size: int, name: str, repeat: int | None) -> Result:
    """A square product on the matrix unit; numpy: float32 `a @ b` of that shape. Unit: warp instruction."""
    product: Gemm = GEMMS[program].PRODUCT
    chip, random = Chip(), np.random.default_rng(0)
    small = [random.integers(-128, 128, (size, size)) for _ in range(2)]
    a, b = (product.elements(each if product.integers else each / np.float32(64)) for each in small)
    device_a, device_b, device_c = chip.to_device(a), chip.to_device(b), chip.empty((size, size), product.sum_type)
    configured = load(chip, product.program)[f"{product.program}_nn"][grid_of(size, size), THREADS]
    wide_a, wide_b = a.astype(np.float32), b.astype(np.float32)

    def emulated() -> int:
        return configured(*[size] * 6, device_a, device_b, device_c, 0, 0, size)

    executed = emulated()
    _agree(name, np.allclose(device_c.copy_to_host(), wide_a @ wide_b, rtol=1e-4, atol=1e-2))
    return _result(name, medians(repeat, emulated, lambda: wide_a @ wide_b), executed, 2 * size**3)


def mx(size: int, name: str, repeat: int | None) -> Result:
    """A square product of MX blocks; numpy: float32 `a @ b` of that shape. Unit: warp instruction."""
    chip, random = Chip(), np.random.default_rng(0)
    factors = [mx_quantise(random.standard_normal((size, size), np.float32)) for _ in range(2)]
    (a, a_scales), (b, b_scales) = (tuple(map(chip.to_device, factor)) for factor in factors)
    c, configured = chip.empty((size, size)), load(chip, "gemm_f4")["gemm_f4"][grid_of(size, size), THREADS]
    row, scales = size // PAIR, size // MX_BLOCK
    wide_a, wide_b = (mx_dequantise(*factor) for factor in factors)
    wide_b = np.ascontiguousarray(wide_b.T)

    def emulated() -> int:
        return configured(size, size, row, row, row, size, a, b, c, 0, 0, row, a_scales, b_scales, scales, scales)

    executed = emulated()
    _agree(name, np.allclose(c.copy_to_host(), wide_a @ wide_b, rtol=1e-4, atol=1e-2))
    return _result(name, medians(repeat, emulated, lambda: wide_a @ wide_b), executed, 2 * size**3)


def experts(name: str, repeat: int | None) -> Result:
    """1,024 tokens over 8 experts, ragged, one idle, 1024 x 1024 each; numpy: float32 `@` for each expert in turn."""
    size, counts = 1024, np.array([0, 300, 17, 128, 255, 1, 200, 123])
    chip, random, offsets = Chip(), np.random.default_rng(0), np.concatenate([[0], np.cumsum(counts)])
    a = gemm_bf16.PRODUCT.elements(random.standard_normal((size, size), np.float32))
    b = gemm_bf16.PRODUCT.elements(random.standard_normal((len(counts), size, size), np.float32))
    devices = [chip.to_device(each) for each in (a, b, offsets.astype(np.uint32))]
    c, grid = chip.empty((size, size)), (size // SIDE, grouped_gemm.most_tiles(size, len(counts)))
    configured = load(chip, "grouped_gemm")["grouped_gemm_nn"][grid, THREADS]
    wide_a, wide_b = a.astype(np.float32), b.astype(np.float32)
    parts = [slice(first, first + count) for first, count in zip(offsets, counts, strict=False)]

    def emulated() -> int:
        return configured(*[size] * 6, devices[0], devices[1], c, 0, 0, size, devices[2], len(counts))

    def numpy() -> np.ndarray:
        return np.concatenate([wide_a[part] @ of for part, of in zip(parts, wide_b, strict=True)])

    executed = emulated()
    _agree(name, np.allclose(c.copy_to_host(), numpy(), rtol=1e-4, atol=1e-2))
    return _result(name, medians(repeat, emulated, numpy), executed, 2 * size**3)


def attention(size: int, name: str, repeat: int | None) -> Result:
    """Attention of 1024 queries to 1024 keys in 4 heads, bfloat16 on the matrix unit; numpy: softmax(q k') v, float32.

    numpy does it head by head, with one array of all scores. Unit: warp instruction.
    """
    n, heads = 1024, 4
    chip, random = Chip(), np.random.default_rng(0)
    arrays = [bf16(random.standard_normal((n, heads, size))) for _ in range(3)]
    q, k, v = (np.ascontiguousarray(each.astype(np.float32).swapaxes(0, 1)) for each in arrays)
    buffers = [*map(chip.to_device, arrays), chip.empty(arrays[0].shape, arrays[0].dtype)]
    grid = flash_attention.grid_of(n, heads, heads, size)
    configured = load(chip, "flash_attention")[f"flash_attention_{size}"][grid, 32 * flash_attention.WARPS]

    def emulated() -> int:
        return configured(n, n, heads, 1, 0, float(scale_of(size)), *buffers)

    def numpy() -> list[np.ndarray]:
        return [_softmax(one_q @ one_k.T, size) @ one_v for one_q, one_k, one_v in zip(q, k, v, strict=True)]

    executed = emulated()
    found = buffers[-1].copy_to_host().astype(np.float32).swapaxes(0, 1)
    _agree(name, np.allclose(found, numpy(), rtol=0, atol=5e-3))
    return _result(name, medians(repeat, emulated, numpy), executed, 4 * heads * n * n * size)


def _softmax(scores: np.ndarray, size: int) -> np.ndarray:
    """In place, of scores of heads of so many elements."""
    scores *= np.float32(size**-0.5)
    scores -= scores.max(1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(1, keepdims=True)
    return scores


def count(name: str, repeat: int | None) -> Result:
    """A histogram of 2**20 bytes, 256 bins; numpy: `np.bincount`. Unit: warp instruction."""
    n = 1 << 20
    chip, x = Chip(), np.random.default_rng(0).integers(0, 256, n, np.uint8)
    device_x, bins = chip.to_device(x), chip.to_device(np.zeros(256, np.uint32))
    configured = load(chip, "histogram")["histogram"][HISTOGRAM_GRID, BLOCK]
    executed = configured(n, device_x, bins)
    _agree(name, bool((bins.copy_to_host() == np.bincount(x, minlength=256)).all()))
    times = medians(repeat, lambda: configured(n, device_x, bins), lambda: np.bincount(x, minlength=256))
    return _result(name, times, executed, n)


def sort(name: str, repeat: int | None) -> Result:
    """2**20 random keys and their values, by radix; numpy: `np.sort(keys)`, no values. Unit: warp instruction."""
    n = 1 << 20
    chip, keys = Chip(), np.random.default_rng(0).integers(0, 1 << 32, n, np.uint32)
    places = np.arange(n, dtype=np.uint32)
    pairs, spare = [(chip.empty(n, np.uint32), chip.empty(n, np.uint32)) for _ in range(2)]
    counts = chip.empty(radix_sort.DIGITS * 8 * BLOCK // 32, np.uint32)

    def emulated() -> int:
        pairs[0].copy_from_host(keys)
        pairs[1].copy_from_host(places)
        return radix_sort.sort(chip, n, pairs, spare, counts, block=BLOCK, grid=8)

    executed = emulated()
    order = pairs[1].copy_to_host()
    _agree(name, bool((keys[order] == np.sort(keys)).all()))
    return _result(name, medians(repeat, emulated, lambda: np.sort(keys)), executed, n)


def _agree(name: str, good: bool) -> None:
    if not good:
        raise ArithmeticError(f"{name}: the emulator and numpy disagree, so there is nothing to measure")


def _result(name: str, times: list[float], executed: int, operations: int) -> Result:
    seconds, numpy_seconds = times
    return Result(
        name,
        seconds,
        numpy_seconds,
        ratio=numpy_seconds / seconds,
        unit_ns=seconds / executed * 1e9,
        gflops=operations / seconds / 1e9,
        threads=1,
    )


ENTRIES: dict[str, Callable[[str, int | None], Result]] = {
    "saxpy_2e20": partial(saxpy, 1 << 20, "saxpy_x4"),
    "saxpy_2e20_plain": partial(saxpy, 1 << 20, "saxpy"),
    "saxpy_2e24": partial(saxpy, 1 << 24, "saxpy_x4"),
    "saxpy_2e24_plain": partial(saxpy, 1 << 24, "saxpy"),
    "sum_2e20": total,
    "histogram_2e20": count,
    "radix_sort_2e20": sort,
    "matmul_f32_256": matmul,
    **{f"gemm_f4_{size}": partial(mx, size) for size in (256, 512, 1024, 2048)},
    "grouped_gemm_1024": experts,
    **{f"{program}_{size}": partial(gemm, program, size) for program in GEMMS for size in (256, 512, 1024, 2048)},
    "attention_1024": partial(attention, 128),
}
USES_BLAS = frozenset(name for name in ENTRIES if name.startswith(("matmul_", "gemm_", "grouped_", "attention_")))
"""Those that numpy does with BLAS, whose speed depends on the kernels it chooses."""
