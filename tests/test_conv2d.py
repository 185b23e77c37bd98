"""Convolution on the matrix unit against numpy, bit for bit, and against sums in binary64."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program_samples import MODES, examples, floats, kinds, same_bits, seeds

from m890 import Chip
from m890.programs import conv2d
from m890.programs.conv2d import Window
from m890.programs.narrow import bf16


@pytest.fixture(scope="module", params=MODES)
def chip(request):
    return Chip("M890", **MODES[request.param])


def pairs(least, most):
    return st.tuples(st.integers(least, most), st.integers(least, most))


@st.composite
def shapes(draw):
    """Images, filters and a window in which they fit."""
    window = Window(draw(pairs(1, 3)), draw(pairs(1, 3)), draw(pairs(0, 3)))
    taps, size, channels = draw(pairs(1, 4)), [], draw(st.sampled_from([1, 3, 16, 40, 64, 70, 130]))
    for axis in range(2):
        reach = window.dilation[axis] * (taps[axis] - 1) + 1
        size.append(max(reach - 2 * window.padding[axis], 1) + draw(st.integers(0, 8)))
    return (draw(st.integers(1, 3)), *size, channels), (draw(st.integers(1, 140)), *taps, channels), window


@examples(10)
@given(of=shapes(), kind=kinds, seed=seeds)
@example(of=((1, 1, 1, 1), (1, 1, 1, 1), Window()), kind="normal", seed=0)
@example(of=((2, 9, 11, 48), (70, 3, 2, 48), Window((2, 1), (1, 2), (2, 1))), kind="normal", seed=0)
@example(of=((1, 13, 12, 80), (130, 1, 1, 80), Window()), kind="mixture", seed=0)  # two blocks either way
@example(of=((3, 5, 4, 16), (9, 3, 3, 16), Window(2, 1, 1)), kind="special", seed=0)
def test_conv2d(chip, of, kind, seed):
    (image, taps, window), random = of, np.random.default_rng(seed)
    x, filters = floats(random, image, kind), floats(random, taps, kind)
    same_bits(conv2d.launch(chip, x, filters, window), conv2d.reference(x, filters, window))


@pytest.mark.parametrize("options", [{"activation": "silu"}, {"activation": "gelu", "narrow": True}, {"narrow": True}])
def test_epilogues(chip, options):
    random = np.random.default_rng(0)
    x, filters, bias = (floats(random, shape, "normal") for shape in ((1, 6, 5, 20), (11, 3, 3, 20), 11))
    found = conv2d.launch(chip, x, filters, Window(padding=1), bias=bias, **options)
    same_bits(found, conv2d.reference(x, filters, Window(padding=1), bias=bias, **options))


@pytest.mark.parametrize("window", [Window(), Window((2, 3), (3, 1), (1, 4)), Window(padding=2)])
def test_it_is_the_formula(window):
    """Tap by tap in binary64, with loops instead of an index; to within the bound, of which something is reached."""
    random = np.random.default_rng(0)
    x, filters = bf16(floats(random, (2, 10, 9, 24), "normal")), bf16(floats(random, (7, 3, 2, 24), "normal"))
    found = conv2d.launch(Chip(), x, filters, window)
    wide_x, wide_filters = x.astype(np.float64), filters.astype(np.float64)
    exact = np.zeros(found.shape)
    numbers = window.numbers()
    for image, p, q, r, s in np.ndindex(*found.shape[:3], 3, 2):
        row, column = p * numbers[0] + r * numbers[2] - numbers[4], q * numbers[1] + s * numbers[3] - numbers[5]
        if 0 <= row < 10 and 0 <= column < 9:
            exact[image, p, q] += wide_filters[:, r, s] @ wide_x[image, row, column]
    share = np.abs(found - exact) / np.maximum(conv2d.bound(x, filters, window), 2.0**-140)  # 0 where zeros are seen
    assert 0.02 < share.max() < 1


GOOD = {"x": np.zeros((1, 4, 4, 16)), "filters": np.zeros((2, 3, 3, 16))}


@pytest.mark.parametrize(
    "changed",
    [
        {"x": np.zeros((4, 4, 16))},
        {"x": np.zeros((1, 4, 4, 15))},
        {"x": np.zeros((0, 4, 4, 16))},
        {"x": np.zeros((1, 2, 4, 16))},
        {"window": Window(dilation=2)},
        {"window": Window(stride=0)},
        {"window": Window(padding=-1)},
        {"bias": np.zeros(3)},
        {"activation": "tanh"},
    ],
)
def test_what_does_not_fit_is_refused(changed):
    assert conv2d.launch(Chip(), **GOOD).shape == (1, 2, 2, 2)
    with pytest.raises(ValueError, match="not "):
        conv2d.launch(Chip(), **GOOD | changed)
