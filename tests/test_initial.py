"""What buffers hold at first, and the checks of what they hold in the end."""

from contextlib import suppress
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m890.tools import initial
from m890.tools.arrays import ELEMENTS, element, parse_shape
from m890.tools.checks import compare
from m890.tools.exits import InputError
from m890.tools.job import CheckSpec


def test_forms_fill_buffers():
    def made(text: str) -> list[float]:
        array, _, shape = initial.content(initial.parse(text, Path()), None, None)
        return [0] * int(np.prod(shape)) if array is None else array.astype(float).ravel().tolist()

    assert made("zeros:f32:2x2") == [0, 0, 0, 0]
    assert made("full:1.5:bf16:3") == [1.5, 1.5, 1.5]
    assert made("full:0xff:u8:2") == [255, 255]
    assert made("arange:s16:2x3") == [0, 1, 2, 3, 4, 5]
    assert made("full:-inf:f16:1") == [-np.inf]
    with pytest.raises(InputError, match="full:300:u8:1"):
        made("full:300:u8:1")


def test_random_numbers_never_change():
    assert initial.random(7, element("f32"), (3,)).view(np.uint32).tolist() == [1048582404, 1061904282, 1057826476]
    assert (
        initial.random(7, element("u8"), (4,)).tolist()
        == initial.random(7, element("u32"), (2, 2)).astype(np.uint8).ravel().tolist()
    )
    values = initial.random(1, element("f32"), (10000,))
    assert values.min() >= -1
    assert values.max() < 1
    assert abs(values.mean()) < 0.03


@given(st.sampled_from(list(ELEMENTS)), st.lists(st.integers(0, 9), min_size=1, max_size=3), st.integers(0, 2**64 - 1))
def test_forms_read_back_what_they_say(kind: str, shape: list[int], seed: int):
    extents = "x".join(map(str, shape))
    assert parse_shape(extents) == tuple(shape)
    array, found, made = initial.content(initial.parse(f"rand:{seed}:{kind}:{extents}", Path()), None, None)
    assert found.name == kind
    assert made == tuple(shape)
    assert array is not None
    assert array.dtype == found.dtype


@given(st.text(max_size=30))
def test_any_text_is_a_form_or_a_value_error(text: str):
    with suppress(ValueError):
        assert initial.parse(text, Path()).text == text


def checked(found: object, expected: object, **options: object):
    """Compare two lists."""
    spec = CheckSpec("b", initial.parse("zeros", Path()), **options)  # pyright: ignore[reportArgumentType]
    return compare(np.asarray(found), np.asarray(expected), spec)


def test_checks_compare_values():
    assert checked([1.0, -0.0, np.inf], [1.0, 0.0, np.inf]).passed
    result = checked([[1.0, 2.0], [3.0, 4.5]], [[1.0, 2.0], [3.0, 4.0]])
    assert (result.differing, result.max_abs_error, result.first) == (1, 0.5, ((1, 1), 4.5, 4.0))
    assert checked([1.01], [1.0], rtol=0.02).passed
    assert not checked([1.01], [1.0], rtol=0.001).passed
    assert checked([1.01], [1.0], atol=0.02).passed
    assert not checked([np.inf], [1e30], rtol=1.0, atol=1e30).passed
    assert checked([2**63 + 1], [2**63]).max_abs_error == 1
    assert not checked(np.array([2**63 + 1], np.uint64), np.array([2**63], np.uint64)).passed
    assert checked(np.array([0], np.uint8), np.array([255], np.uint8)).max_abs_error == 255


def test_checks_and_nan():
    assert checked([np.nan, 1.0], [np.nan, 1.0]).passed
    assert not checked([np.nan], [np.nan], nan_equal=False).passed
    result = checked([np.nan, 1.0], [0.0, 1.0], rtol=1.0, atol=1.0)
    assert not result.passed
    assert np.isnan(result.max_abs_error)
    bf16 = np.array([np.nan, 1, 2]).astype(ml_dtypes.bfloat16)
    assert checked(bf16, bf16).passed
    assert checked(bf16, [np.nan, 1.0, 3.0]).first == ((2,), 2.0, 3.0)
