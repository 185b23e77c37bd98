"""Matrix products on the matrix unit: against numpy to the bit, on both chips in both timings, and within the bound."""

import pydoc
import re
from fractions import Fraction
from functools import partial

import mpmath
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from program_samples import SPECIAL, examples, floats, kinds, same_bits, seeds
from program_trials_gemm import ACTIVATIONS, PRODUCTS, bias_of, matrix

from m890 import Chip, LaunchError, profile, programs
from m890.isa.source import LIBRARY
from m890.programs import gemm_s8
from m890.programs.activation import ACTIVATIONS as TABLE
from m890.programs.activation import gelu, silu
from m890.programs.gemm import LAYOUTS, NARROW, grid_of
from m890.tools.cli import cli

FEW = 12
MOST_WORK = 200_000
"""Multiplications of an example; the reference does them one k at a time."""
sizes = st.one_of(st.integers(1, 40), st.sampled_from([1, 8, 15, 16, 17, 63, 64, 65, 127, 128, 129, 150]))


CHIPS = [(kind, timing) for kind in ("M890", "810E") for timing in ("eager", "late")]
every_chip = pytest.mark.parametrize("chip", CHIPS, ids="-".join, indirect=True)
every_product = pytest.mark.parametrize(
    ("chip", "name"),
    [
        pytest.param(chip, name, id="-".join((*chip, name)))
        for chip in CHIPS
        for name in PRODUCTS
        if name in profile(chip[0]).matrix_types
    ],
    indirect=["chip"],
)
"""On every chip what it has."""


@pytest.fixture(scope="module")
def chip(request):
    kind, timing = request.param
    return Chip(kind, timing=timing)


@pytest.fixture(scope="module")
def loaded(chip):
    """The programs on the chip, decoded once."""
    known = {name: product for name, product in PRODUCTS.items() if name in chip.profile.matrix_types}
    return {name: programs.load(chip, product.program) for name, product in known.items()}


@st.composite
def shapes(draw):
    """M, N and K, one after the other as large as the work allows."""
    m = draw(sizes)
    n = min(draw(sizes), max(1, MOST_WORK // m))
    k = min(draw(st.one_of(sizes, st.integers(1, 600))), max(1, MOST_WORK // (m * n)))
    return m, n, k


@st.composite
def endings(draw, product):
    """How a product ends: options of `launch` without the bias."""
    found = {"splits": draw(st.integers(1, 4))}
    if not product.integers:
        found["activation"] = draw(st.sampled_from(ACTIVATIONS))
    if product.narrow is not None:
        found["narrow"] = draw(st.booleans())
    return found


def factors(product, random, shape, layout, kind):
    """A and B as a layout has them."""
    m, n, k = shape
    sides = ((m, k) if layout[0] == "n" else (k, m), (k, n) if layout[1] == "n" else (n, k))
    if product.integers:
        return [matrix(product, random, side) for side in sides]
    return [product.elements(floats(random, side, kind)) for side in sides]


@every_product
@examples(FEW)
@given(data=st.data(), shape=shapes(), layout=st.sampled_from(LAYOUTS), kind=kinds, seed=seeds)
def test_every_shape(chip, loaded, name, data, shape, layout, kind, seed):
    product, random = PRODUCTS[name], np.random.default_rng(seed)
    a, b = factors(product, random, shape, layout, kind)
    options = data.draw(endings(product)) | {"layout": layout}
    if data.draw(st.booleans(), "bias"):
        options["bias"] = bias_of(product, random, shape[1])
    found = product.launch(chip, a, b, **options)
    expected = product.reference(a, b, **options)
    assert found.dtype == expected.dtype
    same_bits(found, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@every_product
def test_every_layout_at_the_edges_of_tiles(chip, loaded, name, layout):
    """Ragged in every direction, in more than one block and more than three tiles of K."""
    product, random = PRODUCTS[name], np.random.default_rng(0)
    shape = 131, 133, 3 * product.tile + 5
    a, b = factors(product, random, shape, layout, "normal")
    same_bits(product.launch(chip, a, b, layout=layout), product.reference(a, b, layout=layout))


@every_product
def test_what_lies_behind_the_edges(chip, loaded, name):
    """What stands behind a row of A and B does not count, not even NaN, and what stands behind a row of C stays."""
    product, random, (m, n, k) = PRODUCTS[name], np.random.default_rng(0), (70, 67, 45)
    a, b = matrix(product, random, (m + 2, 96)), matrix(product, random, (k + 2, 96))
    kind = product.sum_type
    if not product.integers:
        a[m:] = a[:, k:] = b[k:] = b[:, n:] = np.nan
    around = np.full((m + 2, 72), 7, kind)
    with chip.to_device(a) as device_a, chip.to_device(b) as device_b, chip.to_device(around) as device_c:
        kernel = loaded[name][f"{product.program}_nn"]
        kernel[grid_of(m, n), 128](m, n, k, 96, 96, 72, device_a, device_b, device_c[1 : m + 1], 0, 0, 256)
        found = device_c.copy_to_host()
    around[1:-1, :n] = product.reference(a[:m, :k], b[:k, :n])
    np.testing.assert_array_equal(found, around)


@every_chip
def test_a_block_behind_the_end_of_k_stores_zeros(chip, loaded):
    product, random, (m, n, k) = PRODUCTS["bf16"], np.random.default_rng(0), (5, 6, 100)
    a, b = matrix(product, random, (m, 112)), matrix(product, random, (k, 16))
    parts = np.full((4, m, n), 7, np.float32)
    with chip.to_device(a) as device_a, chip.to_device(b) as device_b, chip.to_device(parts) as device_c:
        kernel = loaded["bf16"]["gemm_bf16_nn"]
        kernel[(1, 1, 4), 128](m, n, k, 112, 16, n, device_a, device_b, device_c, 0, 0, 64)
        found = device_c.copy_to_host()
    same_bits(found[0], product.sums(a[:, :64], b[:64, :n]))
    same_bits(found[1], product.sums(a[:, 64:k], b[64:, :n]))
    assert not found[2:].any()


def test_numbers_of_epilogues():
    """Both languages have the same."""
    text = (LIBRARY / "gemm_store.inc").read_text()
    numbers = {name: int(value) for name, value in re.findall(r"\.equ\s+GEMM_(\w+), (\d+)", text)}
    assert numbers == {"GELU": TABLE["gelu"][0], "SILU": TABLE["silu"][0], "NARROW": NARROW}


@pytest.mark.parametrize(
    "name", [*(product.program for product in PRODUCTS.values()), "gemm_f4", "grouped_gemm", "conv2d"]
)
def test_each_text_says_what_its_epilogue_may_be(name):
    """At its top, with the numbers of the table."""
    top = " ".join(programs.source(name).partition("        .include")[0].replace("//", "").split())
    product = {each.program: each for each in PRODUCTS.values()}.get(name, PRODUCTS["bf16"])
    wanted = "epilogue is 0" if product.integers else "epilogue is 0, {} for GELU or {} for SiLU"
    assert wanted.format(TABLE["gelu"][0], TABLE["silu"][0]) in top
    assert (f"; + {NARROW} to store" in top) == (product.narrow is not None)


@pytest.mark.parametrize("name", PRODUCTS)
@examples(FEW)
@given(shape=shapes(), splits=st.integers(1, 3), seed=seeds)
@example(shape=(5, 5, 1), splits=1, seed=0)
def test_bound(name, shape, splits, seed):
    """Against exact fractions, one element of each row; of numbers of all sizes."""
    product, random = PRODUCTS[name], np.random.default_rng(seed)
    a, b = factors(product, random, shape, "nn", "normal")
    found = product.reference(a, b, splits=splits)
    bounds = product.bound(a, b, splits=splits)
    a, b = (each.astype(np.int64) if product.integers else product.numbers(each) for each in (a, b))
    for row, column in enumerate(random.integers(0, shape[1], shape[0])):
        pairs = zip(a[row].tolist(), b[:, column].tolist(), strict=True)
        exact = sum(Fraction(x) * Fraction(y) for x, y in pairs)
        assert abs(Fraction(found[row, column].item()) - exact) <= Fraction(bounds[row, column])


def test_the_bound_is_no_larger_than_it_must_be():
    """Sums that lose all they can: 1, and then halves of a unit in its last place."""
    product = PRODUCTS["f16"]
    a = np.full((1, 64), 2.0**-12, np.float16)
    b = np.full((64, 1), 2.0**-12, np.float16)
    a[0, 0] = b[0, 0] = 1
    (bound,), (found,) = product.bound(a, b)[0], product.reference(a, b)[0]
    lost = 63 * 2.0**-24 + 1 - float(found)
    assert 0.2 * bound < lost <= bound


def test_splits_are_even_and_never_empty():
    product = PRODUCTS["bf16"]
    for k in (1, 64, 65, 640, 641, 1000):
        for splits in (1, 2, 3, 7, 100):
            depth = product.depth(k, splits)
            assert depth % product.tile == 0
            assert 1 <= -(-k // depth) <= splits


@pytest.mark.parametrize(("function", "exact"), [
    (gelu, lambda x: x * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))) / 2),
    (silu, lambda x: x / (1 + mpmath.exp(-x))),
])  # fmt: skip
def test_activations_are_the_formulas(function, exact):
    x = np.linspace(-6, 20, 2000, dtype=np.float32)
    wanted = np.array([float(exact(mpmath.mpf(float(each)))) for each in x])
    np.testing.assert_allclose(function(x), wanted, rtol=2e-6, atol=2e-7)


@every_chip
@pytest.mark.parametrize("activation", ACTIVATIONS[1:])
@pytest.mark.parametrize("splits", [1, 2])
def test_activations_of_special_numbers(chip, loaded, activation, splits):
    """A product of zeros, with special numbers for the bias."""
    product = PRODUCTS["tf32"]
    a, b = np.zeros((2, 40), np.float32), np.zeros((40, SPECIAL.size), np.float32)
    options = {"bias": SPECIAL, "activation": activation, "splits": splits}
    found = product.launch(chip, a, b, **options)
    same_bits(found, product.reference(a, b, **options))
    assert np.isnan(found[:, np.isnan(SPECIAL)]).all()


@pytest.mark.parametrize(
    ("name", "arguments", "options", "message"),
    [
        ("bf16", ((2, 3), (4, 5)), {}, "M x K and K x N"),
        ("bf16", ((2, 0), (0, 5)), {}, "none of them 0"),
        ("bf16", ((2,), (2, 5)), {}, "are matrices, not 1-"),
        ("bf16", ((2, 3), (3, 5)), {"layout": "xx"}, "the layout is one of nn, nt, tn, tt, not 'xx'"),
        ("bf16", ((2, 3), (3, 5)), {"bias": np.zeros(4)}, "the bias has N = 5 values"),
        ("bf16", ((2, 3), (3, 5)), {"activation": "relu"}, "has the activations none, gelu, silu, not 'relu'"),
        ("s8", ((2, 3), (3, 5)), {"activation": "gelu"}, "has the activations none, not 'gelu'"),
        ("e4m3", ((2, 3), (3, 5)), {"narrow": True}, "stores C in float32"),
        ("bf16", ((2, 3), (3, 5)), {"splits": 0}, "at least one split"),
    ],
)
def test_what_is_refused(name, arguments, options, message):
    product = PRODUCTS[name]
    with pytest.raises(ValueError, match=message):
        product.launch(Chip(), *(np.zeros(shape, product.element) for shape in arguments), **options)


def test_numbers_of_another_type_are_converted_as_the_machine_does():
    """What is too large for e4m3 is the largest number, by the formula of its codes, and none of it NaN."""
    chip = Chip()
    x = np.float32([[200 * 2.5, -1e9, 3, 0.0625 * 1.0625]])
    found = PRODUCTS["e4m3"].launch(chip, x, np.eye(4))
    assert found.tolist() == [[448, -448, 3, 0.0625]]
    assert PRODUCTS["bf16"].launch(chip, [[1 + 2.0**-8 + 2.0**-20, 3]], [[1], [0]]).tolist() == [[1 + 2.0**-7]]
    assert PRODUCTS["s8"].launch(chip, [[-128, 127]], np.array([[1], [True]])).tolist() == [[-1]]


@pytest.mark.parametrize(
    ("a", "bias", "error", "message"),
    [
        ([[1.0]], None, TypeError, "int8 integers belong here, not float64: quantise"),
        ([[300]], None, ValueError, "int8 integers are -128 to 127, not 300: clip"),
        (np.uint8([[200]]), None, ValueError, "not 200"),
        ([[1]], [0.5], TypeError, "int32 integers belong here, not float64"),
        ([[1]], [2**31], ValueError, "-2147483648 to 2147483647, not 2147483648"),
    ],
)
def test_integers_are_not_rounded_or_cut(a, bias, error, message):
    for function in (PRODUCTS["s8"].reference, partial(PRODUCTS["s8"].launch, Chip())):
        with pytest.raises(error, match=message):
            function(a, [[1]], bias=bias)


@pytest.mark.parametrize("name", [name for name in PRODUCTS if name in profile("810E").matrix_types])
def test_launch_files_are_for_either_chip(name):
    """The same text and the same file; test_programs_files.py runs it on the M890."""
    result = CliRunner().invoke(cli, ["run", str(programs.path(PRODUCTS[name].program, ".toml")), "--chip", "810E"])
    assert result.exit_code == 0, result.output
    assert "PASS" in result.output


def test_what_a_chip_has_not_is_refused():
    with pytest.raises(LaunchError, match="the object is for ppu0015, 810E is ppu001"):
        PRODUCTS["e4m3"].launch(Chip("810E"), np.eye(2), np.eye(2))


def test_help_of_a_product_lists_its_options():
    text = pydoc.plain(pydoc.render_doc(gemm_s8.launch))
    for option in ("layout", "bias", "activation", "narrow", "splits", "TypeError"):
        assert option in text
