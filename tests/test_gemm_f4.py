"""The matrix product in MX blocks: bit for bit on every kind of chip, within its bound, and what it may touch."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program_samples import MODES, examples, floats, same_bits, seeds

from m890 import Chip, mx_dequantise, mx_quantise, pack_e2m1, programs
from m890.programs import gemm_f4

ACTIVATIONS = ("none", "gelu", "silu")


@pytest.fixture(scope="module", params=MODES)
def chip(request):
    return Chip("M890", **MODES[request.param])


def factor(random, rows, k, kind):
    """A quantised matrix: of `normal` numbers, of `wide` ones whose blocks differ in size, or `any` bytes."""
    if kind == "normal":
        return mx_quantise(floats(random, (rows, k), "normal"))
    if kind == "wide":
        x = floats(random, (rows, -(-k // 32), 32), "normal") * 2.0 ** random.integers(-60, 60, (rows, -(-k // 32), 1))
        return mx_quantise(x.reshape(rows, -1)[:, :k])
    blocks = -(-k // 32)
    return random.integers(0, 256, (rows, 16 * blocks), np.uint8), random.integers(0, 256, (rows, blocks), np.uint8)


@examples(4)
@given(
    m=st.integers(1, 100),
    n=st.integers(1, 140),
    k=st.integers(1, 400),
    kind=st.sampled_from(["normal", "wide", "any"]),
    biased=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS),
    narrow=st.booleans(),
    splits=st.integers(1, 3),
    seed=seeds,
)
@example(m=1, n=1, k=1, kind="normal", biased=False, activation="none", narrow=False, splits=1, seed=0)
@example(m=128, n=128, k=256, kind="any", biased=False, activation="none", narrow=False, splits=1, seed=1)
@example(m=17, n=130, k=1030, kind="wide", biased=True, activation="silu", narrow=True, splits=2, seed=2)
@example(m=130, n=9, k=33, kind="normal", biased=True, activation="gelu", narrow=False, splits=1, seed=3)
def test_gemm_f4(chip, m, n, k, kind, biased, activation, narrow, splits, seed):
    random = np.random.default_rng(seed)
    a, b = factor(random, m, k, kind), factor(random, n, k, kind)
    bias = floats(random, n, "normal") if biased else None
    options = {"bias": bias, "activation": activation, "narrow": narrow, "splits": splits}
    same_bits(gemm_f4.launch(chip, a, b, **options), gemm_f4.reference(a, b, **options))


def test_every_row_block_and_column_has_its_own_scale():
    """One number in a row of A and one in a column of B, each alone, each with a scale of its own."""
    m, n, blocks = 130, 131, 10
    a, b = np.zeros((m, 32 * blocks), np.uint8), np.zeros((n, 32 * blocks), np.uint8)
    rows, columns = np.arange(m), np.arange(n)
    for place in range(blocks):
        a[rows, 32 * place + (rows * 7 + place) % 32] = 2  # 1.0
        b[columns, 32 * place : 32 * place + 32] = 2
    scales_a = 127 + (rows[:, None] * 3 + np.arange(blocks) * 5) % 11
    scales_b = 127 + (columns[:, None] * 5 + np.arange(blocks) * 3) % 13
    found = gemm_f4.launch(
        Chip(timing="late"), (pack_e2m1(a), scales_a.astype(np.uint8)), (pack_e2m1(b), scales_b.astype(np.uint8))
    )
    same_bits(found, (2.0 ** (scales_a - 127) @ 2.0 ** (scales_b - 127).T).astype(np.float32))


@pytest.mark.parametrize("splits", [1, 3])
def test_gemm_f4_is_within_its_bound(splits):
    """Of the exact product, by fractions, of what was quantised."""
    random = np.random.default_rng(0)
    a, b = factor(random, 5, 900, "wide"), factor(random, 3, 900, "wide")
    exact_a, exact_b = (np.vectorize(Fraction, otypes=[object])(mx_dequantise(*each).astype(float)) for each in (a, b))
    found = gemm_f4.launch(Chip(), a, b, splits=splits)
    error = np.abs(np.vectorize(Fraction, otypes=[object])(found.astype(float)) - exact_a @ exact_b.T)
    assert (error <= gemm_f4.bound(a, b, splits=splits)).all()
    assert (error > 0).any()


def test_scales_behind_a_row_do_not_count():
    """A caller's rows of scales may be longer than k, whatever stands there."""
    chip, (m, n, k) = Chip(timing="late"), (20, 40, 96)
    random = np.random.default_rng(0)
    a, b = factor(random, m, k, "normal"), factor(random, n, k, "normal")
    wide = [np.full((len(each[1]), 16), 0xFF, np.uint8) for each in (a, b)]
    codes = [np.full((len(each[0]), 64), 0x77, np.uint8) for each in (a, b)]
    for (pairs, scales), powers, longer in zip((a, b), wide, codes, strict=True):
        powers[:, :3], longer[:, :48] = scales.view(np.uint8), pairs
    devices = [chip.to_device(each) for each in (*codes, *wide)]
    around = chip.to_device(np.full((m + 2, n), 7, np.float32))
    kernel = programs.load(chip, "gemm_f4")["gemm_f4"]
    kernel[1, 128](m, n, 48, 64, 64, n, *devices[:2], around[1 : m + 1], 0, 0, 128, *devices[2:], 16, 16)
    expected = np.full((m + 2, n), 7, np.float32)
    expected[1:-1] = gemm_f4.reference(a, b)
    same_bits(around.copy_to_host(), expected)


def test_gemm_f4_refuses_what_does_not_fit():
    chip, a = Chip(), mx_quantise(np.ones((4, 64)))
    with pytest.raises(ValueError, match=r"M x K and N x K, none of them 0, not \(4, 64\) and \(4, 96\)"):
        gemm_f4.launch(chip, a, mx_quantise(np.ones((4, 96))))
    with pytest.raises(ValueError, match=r"what m890\.mx_quantise gives of a matrix, not float64 \(4, 64\)"):
        gemm_f4.launch(chip, (np.ones((4, 64)), a[1]), a)
    with pytest.raises(ValueError, match="32 elements of a row have a scale"):
        gemm_f4.launch(chip, (a[0], a[1][:, :1]), a)
    with pytest.raises(ValueError, match="the bias has N = 4 values"):
        gemm_f4.launch(chip, a, a, bias=np.zeros(5))
    for function in (gemm_f4.reference, partial(gemm_f4.launch, chip)):
        with pytest.raises(TypeError, match=r"a pair, elements and scales: m890\.mx_quantise\(matrix\), not ndarray"):
            function(a, np.ones((4, 64), np.float32))
        with pytest.raises(TypeError, match="a pair, elements and scales"):
            function((a[0], a[1], a[1]), a)
