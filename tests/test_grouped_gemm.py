"""Matrix products of a mixture of experts: bit for bit on every kind of chip, and what they may touch."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program_samples import MODES, examples, floats, same_bits, seeds

from m890 import Chip, programs
from m890.programs import grouped_gemm
from m890.programs.narrow import bf16

ACTIVATIONS = ("none", "gelu", "silu")


@pytest.fixture(scope="module", params=MODES)
def chip(request):
    return Chip("M890", **MODES[request.param])


def offsets_of(counts):
    return np.concatenate([[0], np.cumsum(counts)])


counts_of = st.lists(st.sampled_from([0, 0, 1, 5, 17, 127, 128, 129]), min_size=1, max_size=6)


@examples(6)
@given(
    counts=counts_of,
    n=st.integers(1, 140),
    k=st.integers(1, 140),
    layout=st.sampled_from(["nn", "nt"]),
    kind=st.sampled_from(["normal", "mixture"]),
    biased=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS),
    narrow=st.booleans(),
    seed=seeds,
)
@example([0], 5, 3, "nn", "normal", False, "none", False, 0)
@example([0, 0, 0, 0, 3], 130, 70, "nn", "normal", True, "none", False, 1)
@example([128, 0, 130, 1, 0], 60, 20, "nt", "mixture", True, "silu", True, 2)
def test_grouped_gemm(chip, counts, n, k, layout, kind, biased, activation, narrow, seed):
    random, experts = np.random.default_rng(seed), len(counts)
    a = bf16(floats(random, (sum(counts), k), kind))
    b = bf16(floats(random, (experts, k, n) if layout == "nn" else (experts, n, k), kind))
    options = {"layout": layout, "activation": activation, "narrow": narrow}
    options["bias"] = floats(random, (experts, n), "normal") if biased else None
    found = grouped_gemm.launch(chip, a, b, offsets_of(counts), **options)
    same_bits(found, grouped_gemm.reference(a, b, offsets_of(counts), **options))


def test_every_token_meets_its_own_expert():
    """Experts multiply by powers of two of their own; more tiles than experts, and many experts without tokens."""
    counts = np.where(np.arange(40) % 3 == 1, (np.arange(40) * 37) % 150, 0)
    a = np.arange(counts.sum())[:, None] % 100 * np.ones(16)
    b = 2.0 ** (np.arange(40) - 20)[:, None, None] * np.eye(16)
    found = grouped_gemm.launch(Chip(timing="late"), a, b, offsets_of(counts))
    expert = np.repeat(np.arange(40), counts)
    same_bits(found, (a * 2.0 ** (expert - 20)[:, None]).astype(np.float32))


def test_grouped_gemm_does_not_touch_what_is_not_its_own():
    """Rows before the first offset and behind the last one stay, and so do those of nobody."""
    chip, (n, k) = Chip(), (24, 40)
    a, b = bf16(np.ones((300, 48))), bf16(np.ones((2, k, 32)))
    c = chip.to_device(np.full((300, n), 7, np.float32))
    offsets = chip.to_device(np.array([3, 140, 290], np.uint32))
    kernel = programs.load(chip, "grouped_gemm")["grouped_gemm_nn"]
    factors = chip.to_device(a), chip.to_device(b)
    kernel[(1, 9), 128](300, n, k, 48, 32, n, *factors, c, 0, 0, k, offsets, 2)
    expected = np.full((300, n), 7, np.float32)
    expected[3:290] = k
    np.testing.assert_array_equal(c.copy_to_host(), expected)


def test_grouped_gemm_has_blocks_for_every_spread():
    for tokens in range(300):
        for experts in (1, 2, 3, 7):
            worst = [1] * (min(tokens, experts) - 1) + [tokens - (min(tokens, experts) - 1)] if tokens else []
            assert grouped_gemm.most_tiles(tokens, experts) >= sum(-(-count // 128) for count in worst)


def test_grouped_gemm_refuses_what_does_not_fit():
    chip, a, b = Chip(), np.ones((4, 8)), np.ones((2, 8, 5))
    for offsets in ([0, 4], [0, 3, 3], [1, 2, 4], [0, 5, 4]):
        with pytest.raises(ValueError, match="3 offsets ascend from 0 to 4 tokens"):
            grouped_gemm.launch(chip, a, b, offsets)
    with pytest.raises(ValueError, match=r"tokens x K and experts x K x N \(nt\)"):
        grouped_gemm.launch(chip, a, b, [0, 1, 4], layout="nt")
    with pytest.raises(ValueError, match="nn or nt, not 'tn'"):
        grouped_gemm.launch(chip, a, b, [0, 1, 4], layout="tn")
    with pytest.raises(ValueError, match="the bias has experts = 2, N = 5 values"):
        grouped_gemm.launch(chip, a, b, [0, 1, 4], bias=np.zeros(5))
