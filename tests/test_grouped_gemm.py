"""Matrix products of a mixture of experts: bit for bit on every kind of chip, and what they may touch."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program_samples import MODES, examples, floats, same_bits, seeds

from m890 import Chip, Fault, programs
from m890.programs import grouped_gemm, swiglu, topk_router
from m890.programs.narrow import bf16

ACTIVATIONS = ("none", "gelu", "silu")


@pytest.fixture(scope="module", params=[*(f"M890 {mode}" for mode in MODES), "810E eager", "810E late"])
def chip(request):
    kind, mode = request.param.split()
    return Chip(kind, **MODES[mode])


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


def on_chip(offsets, tokens=300, experts=2):
    """A launch whose offsets nobody has checked."""
    chip, (n, k) = Chip(), (24, 40)
    factors = chip.to_device(bf16(np.ones((tokens, 48)))), chip.to_device(bf16(np.ones((experts, k, 32))))
    c, bounds = chip.to_device(np.full((tokens, n), 7, np.float32)), chip.to_device(np.array(offsets, np.uint32))
    kernel = programs.load(chip, "grouped_gemm")["grouped_gemm_nn"]
    kernel[(1, 9), 128](tokens, n, k, 48, 32, n, *factors, c, 0, 0, k, bounds, experts)
    return c.copy_to_host()


def test_grouped_gemm_does_not_touch_what_is_not_its_own():
    """Rows before the first offset and behind the last one stay, and so does what lies behind C."""
    expected = np.full((300, 24), 7, np.float32)
    expected[3:290] = 40
    np.testing.assert_array_equal(on_chip([3, 140, 290]), expected)


def test_wrong_offsets_do_no_harm():
    """Tokens that do not exist are a fault; offsets that descend leave an expert without rows."""
    with pytest.raises(Fault, match="exception 11"):
        on_chip([0, 140, 500])
    with pytest.raises(Fault, match="exception 11"):
        on_chip([0, 140])
    found = on_chip([0, 200, 100])
    assert (found[:200] == 40).all()
    assert (found[200:] == 7).all()


def test_a_mixture_of_experts():
    """The feed-forward layer of such a model, each token by two of its six experts, and the same by the formula."""
    chip, random, tokens, width, hidden, k = Chip(timing="late"), np.random.default_rng(0), 70, 48, 80, 2
    x = bf16(floats(random, (tokens, width), "normal"))
    router = floats(random, (width, 6), "normal")
    gate, up = (bf16(floats(random, (6, width, hidden), "normal") / width**0.5) for _ in range(2))
    down = bf16(floats(random, (6, hidden, width), "normal") / hidden**0.5)
    wide = [each.astype(np.float64) for each in (x, gate, up, down)]

    chosen, weights, loads = topk_router.launch(chip, x.astype(np.float32) @ router, k)
    order, offsets = np.argsort(chosen.ravel(), kind="stable"), offsets_of(loads)
    rows = x[order // k]
    g, u = (grouped_gemm.launch(chip, rows, each, offsets) for each in (gate, up))
    y = grouped_gemm.launch(chip, bf16(swiglu.launch(chip, g, u)), down, offsets)
    found = np.zeros((tokens, width))
    np.add.at(found, order // k, y * weights.ravel()[order, None])

    exact = np.zeros((tokens, width))
    for token, (experts, parts) in enumerate(zip(chosen, weights, strict=True)):
        for expert, part in zip(experts, parts, strict=True):
            g, u = (wide[0][token] @ each[expert] for each in wide[1:3])
            exact[token] += part * ((g / (1 + np.exp(-g)) * u) @ wide[3][expert])
    np.testing.assert_allclose(found, exact, atol=2e-2)  # the hidden values are rounded to bfloat16
    assert np.abs(found).max() > 1


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
