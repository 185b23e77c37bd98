"""Narrow arrays on the host: conversion, packing, and MX blocks, against exact fractions and the compiled handlers."""

from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from columns import run
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_floats import decode, encode, f32_bits, f32_points, numbers

import m890
from m890.isa.host_arrays import HOST_NAMES, host_dtype
from m890.isa.mx import ELEMENT_TYPES

DTYPES = {"e2m1": ml_dtypes.float4_e2m1fn, "e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2}
E8M0 = ml_dtypes.float8_e8m0fnu
ANY = np.float32([0.0, -0.0, 1e-45, -1e-40, 1e-38, 1.0, -6.0, 7.99, 8.0, 3e38, -3.4e38, np.inf, -np.inf, np.nan])
elements = pytest.mark.parametrize("element", ELEMENT_TYPES)


# ---- narrow ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOST_NAMES)
def test_narrow_is_the_instruction(name: str) -> None:
    bits = f32_points("bf16" if name == "e8m0" else name)
    rounding = "rtz" if name == "e8m0" else "rtte"
    wanted = run(f"v.cnvt.{name}.f32.{rounding} vreg4, vreg0", bits)[0]
    found = m890.narrow(bits.view(np.float32).reshape(2, -1), name)
    assert (found.dtype, found.shape) == (host_dtype(name), (2, len(bits) // 2))
    assert (found.view(f"u{found.itemsize}").ravel() == wanted).all()


def beside_ties(name: str) -> np.ndarray:
    """binary64 numbers right beside each middle of two numbers, where rounding to binary32 first would tell no more."""
    table = numbers(name)
    middles = np.append((table[:-1] + table[1:]) / 2, [table[-1] * 1.25, 1e300, 1e-300])
    beside = [middles, np.nextafter(middles, 0), np.nextafter(middles, np.inf)]
    return np.concatenate([*beside, *(-each for each in beside)])


@pytest.mark.parametrize("name", [name for name in HOST_NAMES if name != "e8m0"])
def test_narrow_rounds_binary64_and_integers_once(name: str) -> None:
    x = beside_ties(name)
    found = m890.narrow(x, name)
    wanted = encode(name, x, finite=found.itemsize == 1)
    assert (found.view(f"u{found.itemsize}") == wanted).all()
    whole = np.int64(2) ** 30 + (np.int64(1) << np.arange(4, 31)) + np.arange(-1, 2)[:, None]
    assert (
        m890.narrow(whole, name).view(f"u{found.itemsize}") == encode(name, whole, finite=found.itemsize == 1)
    ).all()


def test_narrow_takes_what_numpy_takes() -> None:
    assert m890.narrow([1, 2.5], "bf16").tolist() == [1, 2.5]
    assert m890.narrow(1e300, "f16") == np.inf
    assert m890.narrow(np.arange(6.0).reshape(2, 3).T, "e4m3").tolist() == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(ValueError, match="unknown narrow type 'f8': one of f16, tf32, bf16, e4m3"):
        m890.narrow(1, "f8")
    for function in (m890.mx_quantise, lambda x: m890.narrow(x, "bf16")):
        with pytest.raises(TypeError, match="complex64"):
            function(np.ones(32, np.complex64))


# ---- two to a byte ---------------------------------------------------------------------------------------------------


@given(shape=st.lists(st.integers(0, 4).map(lambda n: 2 * n), min_size=1, max_size=3), data=st.data())
def test_pack_and_unpack(shape: list[int], data: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    codes = np.random.default_rng(0).integers(0, 16, shape, np.uint8)
    packed = m890.pack_e2m1(codes.view(DTYPES["e2m1"]), axis)
    low, high = (np.take(codes, range(first, shape[axis], 2), axis) for first in (0, 1))
    assert (packed == low + 16 * high).all()
    assert packed.flags.c_contiguous
    assert (m890.pack_e2m1(codes, axis) == packed).all()
    back = m890.unpack_e2m1(packed, axis)
    assert back.dtype == DTYPES["e2m1"]
    assert (back.view(np.uint8) == codes).all()


def test_pack_refuses() -> None:
    with pytest.raises(ValueError, match=r"an axis of 3 is odd; pad it with np\.pad"):
        m890.pack_e2m1(np.zeros((2, 3), np.uint8))
    with pytest.raises(TypeError, match=r"not float32: m890\.narrow"):
        m890.pack_e2m1(np.zeros(2, np.float32))
    with pytest.raises(TypeError, match="uint8, not int8"):
        m890.unpack_e2m1(np.zeros(2, np.int8))


# ---- MX: against fractions -------------------------------------------------------------------------------------------


def floor_log2(x: Fraction) -> int:
    """The largest power p with 2 ** p <= x."""
    power = x.numerator.bit_length() - x.denominator.bit_length()
    return power if Fraction(2) ** power <= x else power - 1


def block_by_fractions(block: np.ndarray, element: str) -> tuple[np.ndarray, int]:
    """The codes and the scale's byte of 32 numbers, as docs/numerics.md says."""
    if np.isnan(block).any():
        return np.full(32, 0x7 if element == "e2m1" else 0x7F), 255
    finite = [Fraction(2) ** 127 if np.isinf(x) else abs(Fraction(float(x))) for x in block]
    most = max(finite)
    power = max(floor_log2(most) - floor_log2(Fraction(numbers(element)[-1])), -127) if most else -127
    with np.errstate(all="ignore"):
        return encode(element, np.ldexp(block.astype(np.float64), -power), finite=True), power + 127


def codes_of(stored: np.ndarray) -> np.ndarray:
    """The codes of elements, one in a byte."""
    return (m890.unpack_e2m1(stored) if stored.dtype == np.uint8 else stored).view(np.uint8)


words = st.integers(0, (1 << 32) - 1) | st.sampled_from([int(bits) for bits in ANY.view(np.uint32)])


@elements
@settings(max_examples=150)
@given(block=st.lists(words, min_size=32, max_size=32), spread=st.integers(0, 254))
@example(block=[0] * 32, spread=0)
@example(block=[0x7F800000] + [0x7F7FFFFF] * 31, spread=254)
@example(block=[0x7FC00000] + [0x3F800000] * 31, spread=254)
@example(block=[1] * 32, spread=254)
def test_a_block_is_that_of_fractions(element: str, block: list[int], spread: int) -> None:
    """Numbers of any size, and those of a block within `spread` powers of two of each other."""
    x = np.array(block, np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        near = np.where(np.isfinite(x) & (x != 0), np.ldexp(np.frexp(x)[0], np.frexp(x)[1] % (spread + 1)), x)
    for each in (x, near.astype(np.float32)):
        stored, scales = m890.mx_quantise(each, element)
        codes, power = block_by_fractions(each, element)
        assert scales.view(np.uint8).tolist() == [power]
        assert codes_of(stored).tolist() == codes.tolist()


@elements
def test_a_block_of_binary64_is_rounded_once(element: str) -> None:
    """Elements beside their ties, and a largest number that binary32 takes for the next power of two."""
    ties = beside_ties(element)
    ties = ties[np.abs(ties) < numbers(element)[-1]]
    rows = np.pad(ties, (0, -len(ties) % 31)).reshape(-1, 31)
    for most in (numbers(element)[-1], 2.0 * (1 - 2.0**-40)):
        for row in rows:
            block = np.append(row if most > 2 else row / 16, most)
            codes, power = block_by_fractions(block, element)
            stored, scales = m890.mx_quantise(block, element)
            assert scales.view(np.uint8).tolist() == [power]
            assert codes_of(stored).tolist() == codes.tolist()


@elements
def test_every_exponent_has_its_scale(element: str) -> None:
    """For each exponent the smallest and the largest significand; zeros, infinity and NaN."""
    most = np.concatenate([f32_bits(2.0 ** np.arange(-149.0, 128)), (np.arange(1, 255) << 23) | 0x7FFFFF])
    most = np.concatenate([most, [0, 0x7F800000, 0x7FC00000]]).astype(np.uint32).view(np.float32)
    x = np.zeros((len(most), 32), np.float32)
    x[np.arange(len(most)), np.arange(len(most)) % 32] = most * np.where(np.arange(len(most)) % 3, 1, -1)
    stored, scales = m890.mx_quantise(x, element)
    codes = codes_of(stored)
    for row, scale, block in zip(codes, scales.view(np.uint8)[:, 0], x, strict=True):
        wanted, power = block_by_fractions(block, element)
        assert (int(scale), row.tolist()) == (power, wanted.tolist())


@elements
def test_elements_are_those_of_ml_dtypes(element: str) -> None:
    """Where nothing is too large: beyond the largest number ml_dtypes has NaN in e4m3 and infinity in e5m2."""
    x = np.random.default_rng(1).normal(0, 1, (400, 32)).astype(np.float32)
    stored, scales = m890.mx_quantise(x, element)
    scaled = x / scales.astype(np.float32).repeat(32).reshape(x.shape)
    fits = np.abs(scaled) <= numbers(element)[-1]
    assert 0.9 < fits.mean() < 1
    assert (codes_of(stored)[fits] == scaled.astype(DTYPES[element]).view(np.uint8)[fits]).all()
    assert (np.abs(decode(element, codes_of(stored)[~fits])) == numbers(element)[-1]).all()


@elements
def test_dequantise_every_element_with_every_scale(element: str) -> None:
    codes = np.arange(16 if element == "e2m1" else 256, dtype=np.uint8)
    stored = np.resize(codes, (256, 256))
    scales = np.tile(np.arange(256, dtype=np.uint8)[:, None], 8)
    packed = m890.pack_e2m1(stored) if element == "e2m1" else stored.view(DTYPES[element])
    found = m890.mx_dequantise(packed, scales)
    with np.errstate(all="ignore"):
        wanted = decode(element, stored) * np.where(scales == 255, np.nan, 2.0 ** (scales - 127.0))[:, :1]
    assert (found.view(np.uint32) == f32_bits(wanted)).all()
    assert (m890.mx_dequantise(packed, scales.view(E8M0)).view(np.uint32) == f32_bits(wanted)).all()


@elements
@given(blocks=st.integers(0, 3), spread=st.integers(0, 126), seed=st.integers(0, 1 << 32))
def test_quantised_numbers_stay(element: str, blocks: int, spread: int, seed: int) -> None:
    """A block that comes from elements and a scale gives the same ones again."""
    random = np.random.default_rng(seed)
    x = random.normal(0, 1, (blocks, 32)) * 2.0 ** random.integers(-spread, spread + 1, (blocks, 32))
    x[random.random((blocks, 32)) < 0.01] = np.nan
    stored, scales = m890.mx_quantise(x, element)
    again, scales_again = m890.mx_quantise(m890.mx_dequantise(stored, scales), element)
    assert (codes_of(stored) == codes_of(again)).all()
    assert (scales.view(np.uint8) == scales_again.view(np.uint8)).all()


# ---- MX: shapes ------------------------------------------------------------------------------------------------------


@elements
@given(shape=st.tuples(st.integers(0, 3), st.integers(0, 70), st.integers(0, 3)), axis=st.integers(-3, 2))
@example(shape=(2, 64, 2), axis=1)
def test_any_axis_and_a_filled_last_block(element: str, shape: tuple[int, ...], axis: int) -> None:
    x = np.random.default_rng(2).normal(0, 3, shape).astype(np.float32)
    blocks = -(-shape[axis] // 32)
    stored, scales = m890.mx_quantise(x, element, axis)
    assert scales.dtype == E8M0
    assert scales.shape[axis] == blocks
    assert stored.dtype == (np.uint8 if element == "e2m1" else DTYPES[element])
    assert stored.shape[axis] == blocks * (16 if element == "e2m1" else 32)
    assert stored.flags.c_contiguous
    assert scales.flags.c_contiguous
    back = m890.mx_dequantise(stored, scales, axis)
    whole = np.zeros_like(back)
    whole[tuple(slice(n) for n in shape)] = x
    rows = np.moveaxis(whole, axis, -1)
    for place in np.ndindex(rows.shape[:-1]):
        one = m890.mx_quantise(rows[place], element)
        assert np.moveaxis(stored, axis, -1)[place].tobytes() == one[0].tobytes()
        assert np.moveaxis(scales, axis, -1)[place].tobytes() == one[1].tobytes()
        assert np.moveaxis(back, axis, -1)[place].tobytes() == m890.mx_dequantise(*one).tobytes()


def test_mx_refuses() -> None:
    with pytest.raises(ValueError, match="MX elements are e2m1, e4m3, e5m2, not 'f4'"):
        m890.mx_quantise(np.zeros(32), "f4")
    with pytest.raises(IndexError):
        m890.mx_quantise(np.zeros(32), axis=1)
    for scales in (np.zeros(1, np.uint8), np.zeros((2, 1), np.uint8), np.zeros((1, 2), np.uint8)):
        with pytest.raises(ValueError, match="have a scale, not"):
            m890.mx_dequantise(np.zeros((2, 32), np.uint8), scales)
    with pytest.raises(TypeError, match="not float32"):
        m890.mx_dequantise(np.zeros(32, np.float32), np.zeros(1, np.uint8))
    with pytest.raises(TypeError, match="E8M0 numbers or their bytes, not float32"):
        m890.mx_dequantise(np.zeros(16, np.uint8), np.zeros(1, np.float32))
