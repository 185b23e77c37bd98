"""Programs of language models, against numpy, bit for bit, on every kind of chip, and against the formula."""

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program_samples import (
    MODES,
    attention_in_binary64,
    examples,
    flat_blocks,
    floats,
    heads,
    kinds,
    same_bits,
    seeds,
    warps,
)

from m890 import Chip, mx_dequantise, mx_quantise
from m890.programs import (
    attention,
    flash_attention,
    grouped_gemm,
    matmul_f32,
    quantise,
    rms_norm,
    rotary,
    swiglu,
    topk_router,
)
from m890.programs.narrow import bf16

FEW = 20
grids = st.integers(1, 3)
NARROW = pytest.mark.parametrize("kind_of", [np.float32, bf16], ids=["f32", "bf16"])


@pytest.fixture(scope="module", params=MODES)
def chip(request):
    return Chip("M890", **MODES[request.param])


@NARROW
@examples(FEW)
@given(rows=st.integers(0, 6), columns=st.integers(0, 200), kind=kinds, seed=seeds, block=warps, grid=grids)
@example(rows=1, columns=1, kind="normal", seed=0, block=32, grid=1)
@example(rows=3, columns=64, kind="special", seed=0, block=64, grid=1)
def test_rms_norm(chip, kind_of, rows, columns, kind, seed, block, grid):
    random = np.random.default_rng(seed)
    x, gain = kind_of(floats(random, (rows, columns), kind)), kind_of(floats(random, columns, "normal"))
    same_bits(rms_norm.launch(chip, x, gain, 1e-5, block=block, grid=grid), rms_norm.reference(x, gain, 1e-5))


def test_rms_norm_normalises():
    x, gain = 7 * floats(np.random.default_rng(0), (10, 300), "normal"), np.arange(300)
    exact = gain * x.astype(np.float64) / np.sqrt((x.astype(np.float64) ** 2).mean(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(rms_norm.launch(Chip(), x, gain, 1e-5), exact, rtol=1e-6)
    short = rms_norm.launch(Chip(), bf16(x), gain, 1e-5).astype(np.float64)
    np.testing.assert_allclose(short, exact, rtol=3 * 2**-8)  # x, gain and y are rounded


@examples(FEW)
@given(
    tokens=st.integers(0, 6),
    heads=st.integers(0, 3),
    half=st.integers(0, 80),
    most=st.sampled_from([10, 10_000, 2**32]),
    kind=kinds,
    seed=seeds,
    block=warps,
    grid=grids,
)
@example(tokens=1, heads=1, half=1, most=10, kind="normal", seed=0, block=32, grid=1)
@example(tokens=3, heads=2, half=64, most=10_000, kind="special", seed=0, block=64, grid=1)
def test_rotary(chip, tokens, heads, half, most, kind, seed, block, grid):
    random = np.random.default_rng(seed)
    x, positions = floats(random, (tokens, heads, 2 * half), kind), random.integers(0, most, tokens)
    same_bits(rotary.launch(chip, x, positions, block=block, grid=grid), rotary.reference(x, positions))


def test_rotary_turns():
    """Of (1, 0) it makes sine and cosine: those of exact angles where the frequency is 1, else close to them."""
    x = np.zeros((500, 1, 16))
    x[..., :8] = 1
    y = rotary.launch(Chip(), x, np.arange(500)).reshape(500, 2, 8)
    exact = [[float(f(position)) for f in (mpmath.cos, mpmath.sin)] for position in range(500)]
    same_bits(y[:, :, 0], np.float32(exact))
    angles = np.arange(500)[:, None] * 10_000.0 ** (-np.arange(8) / 8)
    np.testing.assert_allclose(y, np.stack([np.cos(angles), np.sin(angles)], 1), atol=5e-5)


@examples(FEW)
@given(n=st.integers(0, 1500), kind=kinds, seed=seeds, block=flat_blocks, grid=grids)
@example(n=1, kind="normal", seed=0, block=1, grid=1)
@example(n=64, kind="special", seed=0, block=64, grid=1)
def test_swiglu(chip, n, kind, seed, block, grid):
    gate, up = floats(np.random.default_rng(seed), (2, n), kind)
    same_bits(swiglu.launch(chip, gate, up, block=block, grid=grid), swiglu.reference(gate, up))


def test_swiglu_is_the_formula():
    gate, up = 5 * floats(np.random.default_rng(0), (2, 3000), "normal").astype(np.float64)
    exact = gate / (1 + np.exp(-gate)) * up
    np.testing.assert_allclose(swiglu.launch(Chip(), gate, up), exact, rtol=1e-5)


@st.composite
def choices(draw):
    """A number of experts and of choices."""
    experts = draw(st.one_of(st.integers(1, 256), st.sampled_from([1, 31, 32, 33, 64, 256])))
    return experts, draw(st.integers(1, min(32, experts)))


@examples(FEW)
@given(
    tokens=st.integers(0, 6),
    of=choices(),
    kind=st.one_of(kinds, st.just("few")),
    seed=seeds,
    block=warps,
    grid=grids,
)
@example(tokens=2, of=(1, 1), kind="normal", seed=0, block=32, grid=1)
@example(tokens=5, of=(256, 32), kind="special", seed=0, block=64, grid=1)
@example(tokens=5, of=(100, 32), kind="few", seed=0, block=64, grid=1)
def test_topk_router(chip, tokens, of, kind, seed, block, grid):
    """Of `few` values, most logits tie."""
    (experts, k), random = of, np.random.default_rng(seed)
    shape = tokens, experts
    few = np.float32([0.0, -0.0, 1.0, np.nan])
    logits = random.choice(few, shape) if kind == "few" else floats(random, shape, kind)
    found = topk_router.launch(chip, logits, k, block=block, grid=grid)
    for one, other in zip(found, topk_router.reference(logits, k), strict=True):
        same_bits(one, other)


def test_topk_router_chooses_the_largest():
    logits = floats(np.random.default_rng(0), (50, 100), "normal")
    chosen, weights, loads = topk_router.launch(Chip(), logits, 6)
    np.testing.assert_array_equal(np.take_along_axis(logits, chosen, 1), np.sort(logits)[:, :-7:-1])
    np.testing.assert_allclose(weights.sum(1, np.float64), 1, rtol=1e-6)
    powers = np.exp(np.take_along_axis(logits, chosen, 1).astype(np.float64))
    np.testing.assert_allclose(weights, powers / powers.sum(1, keepdims=True), rtol=1e-5)
    assert loads.sum() == 300


@examples(FEW)
@given(n=st.integers(0, 1500), kind=kinds, seed=seeds, block=warps, grid=grids)
@example(n=1, kind="normal", seed=0, block=32, grid=1)
@example(n=64, kind="special", seed=0, block=32, grid=1)
def test_quantise(chip, n, kind, seed, block, grid):
    x, shape = floats(np.random.default_rng(seed), n, kind), {"block": block, "grid": grid}
    found, expected = quantise.launch(chip, x, **shape), quantise.reference(x)
    for one, other in zip(found, expected, strict=True):
        same_bits(one, other)
    same_bits(quantise.dequantise(chip, *found, **shape), quantise.dequantise_reference(*expected))


@examples(FEW)
@given(
    rows=st.integers(0, 4),
    columns=st.integers(0, 400),
    kind=kinds,
    spread=st.integers(0, 300),
    seed=seeds,
    block=warps,
    grid=grids,
)
@example(rows=1, columns=1, kind="normal", spread=0, seed=0, block=32, grid=1)
@example(rows=3, columns=96, kind="special", spread=0, seed=0, block=32, grid=1)
def test_quantise_mxf4(chip, rows, columns, kind, spread, seed, block, grid):
    """Blocks of all sizes of numbers, the last one of a row not always full."""
    random, shape = np.random.default_rng(seed), {"block": block, "grid": grid}
    with np.errstate(all="ignore"):
        factor = (2.0 ** random.integers(-spread, spread + 1, (rows, -(-columns // 32)))).astype(np.float32)
        x = floats(random, (rows, columns), kind) * factor.repeat(32, 1)[:, :columns]
    found, expected = quantise.launch_mxf4(chip, x, **shape), mx_quantise(x)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        same_bits(one, other)
    same_bits(quantise.dequantise_mxf4(chip, *found, **shape), mx_dequantise(*expected))


def test_quantise_mxf4_rounds_binary64_once():
    """Beside the ties of e2m1, with a largest number just below a power of two."""
    ties = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])
    x = np.concatenate([np.nextafter(ties, 0), ties, np.nextafter(ties, 9), [8 - 2.0**-40, 1e-300, -1e-300]])
    x = np.stack([x, x * 2.0**100, np.minimum(x, 4 - 2.0**-50)])
    for one, other in zip(quantise.launch_mxf4(Chip(), x), mx_quantise(x), strict=True):
        same_bits(one, other)


def test_quantise_comes_close():
    x = floats(np.random.default_rng(0), 3200, "normal")
    back = quantise.dequantise(Chip(), *quantise.launch(Chip(), x))
    np.testing.assert_allclose(back, x, rtol=2**-4 + 1e-6, atol=np.abs(x).max() / 448 * 2**-10)
    scale = 2.0 ** (np.floor(np.log2(np.abs(x).reshape(-1, 32).max(1, keepdims=True))) - 2)
    back = quantise.dequantise_mxf4(Chip(), *quantise.launch_mxf4(Chip(), x.reshape(-1, 32)))
    assert (np.abs(back - x.reshape(-1, 32)) <= 2 * scale).all()  # 7.99 becomes 6
    assert (np.abs(back / scale) <= 6).all()


@examples(10)
@given(
    queries=st.integers(0, 20),
    more=st.integers(0, 80),
    groups=st.integers(1, 2),
    group=st.integers(1, 3),
    size=st.sampled_from(attention.SIZES),
    causal=st.booleans(),
    kind=kinds,
    seed=seeds,
)
@example(queries=1, more=0, groups=1, group=1, size=64, causal=True, kind="normal", seed=0)
@example(queries=5, more=60, groups=2, group=2, size=128, causal=True, kind="normal", seed=0)
@example(queries=16, more=17, groups=1, group=1, size=64, causal=True, kind="normal", seed=0)  # one meets one of a tile
def test_attention(chip, queries, more, groups, group, size, causal, kind, seed):
    arrays = heads(np.random.default_rng(seed), queries, max(queries + more, 1), groups, group, size, kind)
    same_bits(attention.launch(chip, *arrays, causal=causal), attention.reference(*arrays, causal=causal))


def test_attention_with_fewer_keys_than_queries(chip):
    arrays = heads(np.random.default_rng(0), 9, 5, 1, 2, 64)
    same_bits(attention.launch(chip, *arrays, causal=False), attention.reference(*arrays, causal=False))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("size", attention.SIZES)
def test_attention_is_the_formula(size, causal):
    arrays = heads(np.random.default_rng(0), 50, 70, 2, 2, size)
    found = attention.launch(Chip(), *arrays, causal=causal)
    np.testing.assert_allclose(found, attention_in_binary64(*arrays, causal=causal), rtol=0, atol=1e-5)


def test_attention_leaves_out_keys_that_come_later(chip):
    """Even infinities and NaNs among them; the query that meets these becomes NaN."""
    query, key, value = heads(np.random.default_rng(0), 10, 70, 1, 1, 64)
    clean = attention.launch(chip, query, key, value)
    key[66:], value[66:] = np.nan, np.inf
    found = attention.launch(chip, query, key, value)
    same_bits(found[:6], clean[:6])
    assert np.isnan(found[6:]).all()


def layer_on_chip(chip, x, gain, w):
    """A decoder layer of a model: attention, then a feed-forward network, each behind a norm and added to its input."""
    tokens, places = len(x), np.arange(len(x))
    h = rms_norm.launch(chip, x, gain, 1e-5)
    q, k, v = (matmul_f32.launch(chip, h, w[name]).reshape(tokens, -1, 64) for name in "qkv")
    turned = (rotary.launch(chip, each, places) for each in (q, k))
    mixed = attention.launch(chip, *turned, v).reshape(tokens, -1)
    y = x + matmul_f32.launch(chip, mixed, w["o"])
    h = rms_norm.launch(chip, y, gain, 1e-5)
    gate, up = (matmul_f32.launch(chip, h, w[name]) for name in ("gate", "up"))
    return y + matmul_f32.launch(chip, swiglu.launch(chip, gate, up), w["down"])


def layer_in_binary64(x, gain, w):
    """The same by the formulas."""
    tokens = len(x)

    def norm(x):
        return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-5) * gain

    def turn(x):
        angle = np.arange(tokens)[:, None, None] * 10_000.0 ** (-np.arange(32) / 32)
        z = (x[..., :32] + 1j * x[..., 32:]) * np.exp(1j * angle)
        return np.concatenate([z.real, z.imag], 2)

    q, k, v = ((norm(x) @ w[name]).reshape(tokens, -1, 64) for name in "qkv")
    scores = np.einsum("ihd,jgd->hij", turn(q), turn(k)) / 8
    powers = np.exp(np.where(np.tri(tokens, dtype=bool), scores, -np.inf))
    mixed = np.einsum("hij,jgd->ihd", powers / powers.sum(2, keepdims=True), v)
    y = x + mixed.reshape(tokens, -1) @ w["o"]
    gate = norm(y) @ w["gate"]
    return y + (gate / (1 + np.exp(-gate)) * (norm(y) @ w["up"])) @ w["down"]


def test_a_layer_of_a_model():
    random, width = np.random.default_rng(0), 128
    x, gain = floats(random, (20, width), "normal"), floats(random, width, "normal")
    shapes = {"q": (width, 128), "k": (width, 64), "v": (width, 64), "o": (128, width)}
    shapes |= {"gate": (width, 96), "up": (width, 96), "down": (96, width)}
    w = {name: floats(random, shape, "normal") / np.float32(shape[0] ** 0.5) for name, shape in shapes.items()}
    wide = {name: array.astype(np.float64) for name, array in w.items()}
    exact = layer_in_binary64(x.astype(np.float64), gain, wide)
    np.testing.assert_allclose(layer_on_chip(Chip(), x, gain, w), exact, atol=2e-5)


@pytest.mark.parametrize(
    ("launch", "arguments"),
    [
        (rms_norm.launch, (np.zeros((2, 3)), np.zeros(2), 1e-5)),
        (rotary.launch, (np.zeros((2, 1, 3)), [0, 0])),
        (rotary.launch, (np.zeros((2, 1, 4)), np.array([0, -1]))),
        (rotary.launch, (np.zeros((2, 1, 4)), [0, 1 << 32])),
        (rotary.launch, (np.zeros((2, 1, 4)), [0, 0], -1.0)),
        (swiglu.launch, (np.zeros(2), np.zeros(3))),
        (quantise.dequantise_mxf4, (np.zeros(32, np.uint8), np.zeros(1))),
        (quantise.launch_mxf4, (1.0,)),
        (topk_router.launch, (np.zeros((2, 3)), 4)),
        (attention.launch, (np.zeros((2, 1, 32)), np.zeros((2, 1, 32)), np.zeros((2, 1, 32)))),
        (attention.launch, (np.zeros((2, 3, 64)), np.zeros((2, 2, 64)), np.zeros((2, 2, 64)))),
        (attention.launch, (np.zeros((3, 1, 64)), np.zeros((2, 1, 64)), np.zeros((2, 1, 64)))),
    ],
)
def test_helpers_refuse_wrong_shapes(launch, arguments):
    with pytest.raises(ValueError, match="not "):
        launch(Chip(), *arguments)


@pytest.mark.parametrize(
    ("launch", "arguments"),
    [
        (rotary.launch, (np.zeros((2, 1, 4)), [0, 0.5])),
        (quantise.dequantise_mxf4, (np.zeros(32), np.zeros(1))),
        (grouped_gemm.launch, (np.zeros((4, 8)), np.zeros((2, 8, 5)), [0, 1.5, 4])),
        (flash_attention.launch_paged, (*np.zeros((3, 1, 16, 1, 64)), ([0, 1], [[0.5]], [1]))),
    ],
)
def test_helpers_refuse_numbers_that_are_no_integers(launch, arguments):
    with pytest.raises(TypeError, match="integers belong here, not float64"):
        launch(Chip(), *arguments)
