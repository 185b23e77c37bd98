"""Programs made of special functions and sums in a fixed order, against numpy, bit for bit, on every kind of chip."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program_samples import KINDS, MODES, examples, flat_blocks, floats, kinds, same_bits, seeds, warps

from m890 import Chip
from m890.programs import layer_norm, nbody, softmax
from m890.programs.binary32 import rsqrt

FEW = 20


@pytest.fixture(scope="module", params=MODES)
def chip(request):
    return Chip("M890", **MODES[request.param])


@examples(FEW)
@given(
    rows=st.integers(0, 12), columns=st.integers(0, 200), kind=kinds, seed=seeds, block=warps, grid=st.integers(1, 3)
)
@example(rows=1, columns=1, kind="normal", seed=0, block=32, grid=1)
@example(rows=5, columns=64, kind="special", seed=0, block=64, grid=1)
def test_softmax(chip, rows, columns, kind, seed, block, grid):
    x = floats(np.random.default_rng(seed), (rows, columns), kind)
    same_bits(softmax.launch(chip, x, block=block, grid=grid), softmax.reference(x))


def test_softmax_gives_probabilities():
    x = 50 * floats(np.random.default_rng(0), (20, 300), "normal")
    y = softmax.launch(Chip(), x).astype(np.float64)
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)
    powers = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    np.testing.assert_allclose(y, powers / powers.sum(1, keepdims=True), rtol=1e-5, atol=1e-30)


@examples(FEW)
@given(rows=st.integers(0, 6), columns=st.integers(1, 400), kind=kinds, seed=seeds, block=flat_blocks)
@example(rows=1, columns=1, kind="normal", seed=0, block=1)
@example(rows=2, columns=1000, kind="normal", seed=0, block=96)
def test_layer_norm(chip, rows, columns, kind, seed, block):
    random = np.random.default_rng(seed)
    x, (gain, bias) = floats(random, (rows, columns), kind), floats(random, (2, columns), "normal")
    found = layer_norm.launch(chip, x, gain, bias, 1e-5, block=block)
    same_bits(found, layer_norm.reference(x, gain, bias, 1e-5, block=block))


def test_layer_norm_normalises():
    x = 3 + 5 * floats(np.random.default_rng(0), (10, 500), "normal")
    y = layer_norm.launch(Chip(), x, np.ones(500), np.zeros(500), 1e-5).astype(np.float64)
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(y.var(1), 1, rtol=1e-4)


@examples(FEW)
@given(n=st.integers(0, 60), kind=kinds, seed=seeds, block=flat_blocks, steps=st.integers(0, 2))
@example(n=1, kind="normal", seed=0, block=1, steps=1)
@example(n=65, kind="normal", seed=0, block=32, steps=1)
def test_nbody(chip, n, kind, seed, block, steps):
    bodies, velocities = floats(np.random.default_rng(seed), (2, n, 4), kind)
    found = nbody.launch(chip, bodies, velocities, 0.01, steps=steps, block=block)
    for one, other in zip(found, nbody.reference(bodies, velocities, 0.01, steps=steps), strict=True):
        same_bits(one, other)


def test_nbody_keeps_momentum():
    random = np.random.default_rng(0)
    bodies = np.concatenate([random.standard_normal((100, 3)), np.ones((100, 1))], 1).astype(np.float32)
    _, velocities = nbody.launch(Chip(), bodies, np.zeros_like(bodies), 0.01)
    np.testing.assert_allclose(velocities[:, :3].sum(0, np.float64), 0, atol=1e-3)
    assert np.abs(velocities[:, :3]).max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_rsqrt_rounds_once(kind):
    """The tool the references stand on: no binary32 number is nearer to the true value."""
    x = np.abs(floats(np.random.default_rng(0), 300, kind))
    x = x[np.isfinite(x) & (x > 0)]
    for value, found in zip(x, rsqrt(x), strict=True):
        for neighbour in np.nextafter(found, np.float32([0, np.inf])):
            middle = (Fraction(float(found)) + Fraction(float(neighbour))) / 2
            assert (middle**2 * Fraction(float(value)) < 1) == (neighbour < found)


@pytest.mark.parametrize(
    ("launch", "arguments"),
    [
        (softmax.launch, (np.zeros(3),)),
        (layer_norm.launch, (np.zeros((2, 3)), np.zeros(2), np.zeros(3), 1e-5)),
        (nbody.launch, (np.zeros((3, 3)), np.zeros((3, 3)), 0.1)),
    ],
)
def test_helpers_refuse_wrong_shapes(launch, arguments):
    with pytest.raises(ValueError, match="not "):
        launch(Chip(), *arguments)


# ---- longer ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@examples(30)
@given(rows=st.integers(1, 60), columns=st.integers(1, 1500), kind=kinds, seed=seeds, block=warps)
def test_large_rows(chip, rows, columns, kind, seed, block):
    random = np.random.default_rng(seed)
    x, (gain, bias) = floats(random, (rows, columns), kind), floats(random, (2, columns), "normal")
    same_bits(softmax.launch(chip, x, block=block), softmax.reference(x))
    found = layer_norm.launch(chip, x, gain, bias, 1e-5, block=block)
    same_bits(found, layer_norm.reference(x, gain, bias, 1e-5, block=block))


@pytest.mark.slow
@examples(15)
@given(n=st.integers(1, 400), kind=kinds, seed=seeds, block=warps)
def test_many_bodies(chip, n, kind, seed, block):
    bodies, velocities = floats(np.random.default_rng(seed), (2, n, 4), kind)
    found = nbody.launch(chip, bodies, velocities, 0.01, block=block)
    for one, other in zip(found, nbody.reference(bodies, velocities, 0.01), strict=True):
        same_bits(one, other)
