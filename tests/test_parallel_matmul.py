"""Tensor- and expert-parallel matrix products over 2 to 8 chips of either kind, against numpy."""

import ml_dtypes
import numpy as np
import pytest
from collective_trials import few_cores
from hypothesis import given
from hypothesis import strategies as st
from program_samples import examples, same_bits

from m890.emulator.pod.pod import Pod
from m890.programs import gemm_bf16, parallel_matmul
from m890.programs.activation import ACTIVATIONS

BF16 = ml_dtypes.bfloat16
chips = st.sampled_from([2, 3, 4, 8])
seeds = st.integers(0, 1000)
TIMINGS = st.sampled_from(["eager", "late"])
KINDS = st.sampled_from(["810E", "M890"])


def pod_of(count, timing="eager", seed=0, kind="M890"):
    return Pod(few_cores(kind), count, timing=timing, seed=seed, quantum=256)


def matrix(random, *shape):
    return random.standard_normal(shape).astype(np.float32).astype(BF16)


@examples(6)
@given(chips, st.integers(1, 200), st.integers(1, 3), st.integers(1, 3), st.integers(1, 9), TIMINGS, seeds, KINDS)
def test_an_mlp_in_columns_and_rows(count, m, k, share, n, timing, seed, kind):
    random = np.random.default_rng(seed)
    x, w1 = matrix(random, m, 16 * k), matrix(random, 16 * k, 16 * share * count)
    w2 = matrix(random, 16 * share * count, 16 * n)
    found = parallel_matmul.mlp(pod_of(count, timing, seed, kind), x, w1, w2)
    expected = parallel_matmul.mlp_reference(x, w1, w2, count)
    same_bits(found, np.broadcast_to(expected, found.shape))


def test_an_mlp_is_near_the_exact_one():
    random, count = np.random.default_rng(1), 4
    x, w1, w2 = matrix(random, 50, 64), matrix(random, 64, 128), matrix(random, 128, 32)
    middle = ACTIVATIONS["silu"][1]((x.astype(np.float64) @ w1.astype(np.float64)).astype(np.float32))
    exact = middle.astype(np.float64) @ w2.astype(np.float64)
    found = parallel_matmul.mlp(pod_of(count), x, w1, w2, "silu")[2]
    assert np.abs(found - exact).max() < 0.01 * np.abs(exact).max()


@examples(6)
@given(
    chips, st.integers(1, 3), st.lists(st.integers(0, 60), min_size=8, max_size=8), TIMINGS, seeds, st.booleans(), KINDS
)
def test_experts(count, local, tokens, timing, seed, one_expert, kind):
    """Chips without tokens, experts without tokens, and all tokens at one expert."""
    random, experts = np.random.default_rng(seed), local * count
    w = matrix(random, experts, 32, 48)
    rows = [matrix(random, number, 32) for number in tokens[:count]]
    choices = [random.integers(0, 1 if one_expert else experts, len(each)) for each in rows]
    found = parallel_matmul.experts(pod_of(count, timing, seed, kind), rows, choices, w)
    for one, other in zip(found, parallel_matmul.experts_reference(rows, choices, w), strict=True):
        same_bits(one, other)


def test_the_references_are_those_of_one_chip():
    """An expert's rows are one product, and one chip's MLP two."""
    random = np.random.default_rng(5)
    rows, w = matrix(random, 20, 32), matrix(random, 2, 32, 16)
    same_bits(parallel_matmul.experts_reference([rows], [np.ones(20, np.int64)], w)[0], gemm_bf16.reference(rows, w[1]))
    middle = gemm_bf16.reference(rows, w[0], activation="gelu", narrow=True)
    same_bits(parallel_matmul.mlp_reference(rows, w[0], w[1][:16], 1), gemm_bf16.reference(middle, w[1][:16]))


def test_mistakes():
    pod, random = pod_of(2), np.random.default_rng(0)
    x, w = matrix(random, 4, 32), matrix(random, 2, 32, 32)
    for wrong, call in {
        "multiples of 16": lambda: parallel_matmul.mlp(pod, x[:, :20], w[0][:20], w[1]),
        "H of 32": lambda: parallel_matmul.mlp(pod, x, w[0][:, :16], w[1][:16]),
        "as many on each of 2 chips": lambda: parallel_matmul.experts(pod, [x, x], [[0] * 4] * 2, w[:1]),
        "for each of 2 chips": lambda: parallel_matmul.experts(pod, [x], [[0] * 4], w),
        "an expert, 0 to 1": lambda: parallel_matmul.experts(pod, [x, x], [[0] * 4, [2] * 4], w),
    }.items():
        with pytest.raises(ValueError, match=wrong):
            call()
