"""Programs of language models, against numpy, bit for bit, on every kind of chip, and against the formula."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program_samples import MODES, examples, floats, kinds, same_bits, seeds, warps

from m890 import Chip
from m890.programs import rms_norm
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


@pytest.mark.parametrize(
    ("launch", "arguments"),
    [
        (rms_norm.launch, (np.zeros((2, 3)), np.zeros(2), 1e-5)),
    ],
)
def test_helpers_refuse_wrong_shapes(launch, arguments):
    with pytest.raises(ValueError, match="not "):
        launch(Chip(), *arguments)
