"""Programs that move, find, sort and hash: against numpy or plain Python, bit for bit, on every kind of chip."""

import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program_samples import MODES, examples, flat_blocks, floats, kinds, same_bits, seeds, warps

from m890 import Chip, Fault
from m890.programs import bitonic, copy_strided, gather, hash, lfsr, radix_sort, search, sieve, spmv, stencil3

FEW = 25
grids = st.integers(1, 5)
types = st.sampled_from([np.float32, np.uint32, np.int32])


@pytest.fixture(scope="module", params=MODES)
def chip(request):
    return Chip("M890", **MODES[request.param])


def elements(seed, shape, dtype):
    """Any bits, as elements of a type."""
    return np.random.default_rng(seed).integers(0, 1 << 32, shape, np.uint32).view(dtype)


@examples(FEW)
@given(n=st.integers(0, 3000), to=st.integers(1, 70), by=st.integers(1, 70), block=flat_blocks, grid=grids, kind=types)
@example(n=0, to=1, by=1, block=32, grid=1, kind=np.float32)
@example(n=1, to=5, by=3, block=1, grid=1, kind=np.uint32)
@example(n=3000, to=1, by=1, block=64, grid=2, kind=np.uint32)
def test_copy_strided(chip, n, to, by, block, grid, kind):
    target, source = elements(n, n // 2, kind), elements(to, n, kind)
    found = copy_strided.launch(chip, target, source, to, by, block=block, grid=grid)
    same_bits(found, copy_strided.reference(target, source, to, by))


@examples(FEW)
@given(n=st.integers(0, 3000), size=st.integers(1, 500), seed=seeds, block=warps, grid=grids, kind=types)
@example(n=0, size=1, seed=0, block=32, grid=1, kind=np.float32)
@example(n=128, size=10, seed=0, block=32, grid=1, kind=np.float32)
@example(n=127, size=10, seed=0, block=32, grid=1, kind=np.float32)
def test_gather(chip, n, size, seed, block, grid, kind):
    source = elements(seed, size, kind)
    index = np.random.default_rng(seed).integers(0, size, n)
    found = gather.launch(chip, source, index, block=block, grid=grid)
    same_bits(found, gather.reference(source, index))


@examples(FEW)
@given(n=st.integers(0, 3000), more=st.integers(0, 100), seed=seeds, block=warps, grid=grids, kind=types)
def test_scatter(chip, n, more, seed, block, grid, kind):
    source, target = elements(seed, n, kind), elements(seed + 1, n + more, kind)
    index = np.random.default_rng(seed).permutation(n + more)[:n]
    found = gather.scatter(chip, target, index, source, block=block, grid=grid)
    same_bits(found, gather.scatter_reference(target, index, source))


def test_an_index_outside_is_a_fault():
    with pytest.raises(Fault, match="out of range") as caught:
        gather.launch(Chip(), np.zeros(10, np.float32), [0, 1, 10, 3], block=32)
    assert caught.value.lanes == (2,)


@examples(FEW)
@given(n=st.integers(0, 2000), kind=kinds, seed=seeds, block=flat_blocks, steps=st.integers(0, 3))
@example(n=2, kind="normal", seed=0, block=1, steps=1)
@example(n=3, kind="normal", seed=0, block=1, steps=2)
@example(n=1024, kind="bits", seed=0, block=1024, steps=1)
@example(n=97, kind="special", seed=0, block=32, steps=1)
def test_stencil3(chip, n, kind, seed, block, steps):
    random = np.random.default_rng(seed)
    x, weights = floats(random, n, kind), tuple(floats(random, 3, "normal" if seed % 2 else kind))
    found = stencil3.launch(chip, x, weights, steps=steps, block=block)
    same_bits(found, stencil3.reference(x, weights, steps=steps))


@examples(FEW)
@given(n=st.integers(0, 4000), block=warps, grid=grids)
@example(n=0, block=32, grid=1)
@example(n=4, block=32, grid=1)
@example(n=5, block=32, grid=1)
@example(n=3722, block=1024, grid=2)
def test_sieve(chip, n, block, grid):
    np.testing.assert_array_equal(sieve.launch(chip, n, block=block, grid=grid), sieve.reference(n))


texts = st.binary(max_size=700) | st.lists(st.sampled_from(b"ab"), max_size=700).map(bytes)
patterns = st.binary(min_size=1, max_size=5) | st.lists(st.sampled_from(b"ab"), min_size=1, max_size=6).map(bytes)


@examples(FEW)
@given(text=texts, pattern=patterns, block=warps, grid=grids)
@example(text=b"", pattern=b"a", block=32, grid=1)
@example(text=b"abc", pattern=b"abcd", block=32, grid=1)
@example(text=b"a" * 64, pattern=b"a" * 64, block=32, grid=1)
@example(text=b"a" * 100, pattern=b"aa", block=32, grid=1)
def test_search(chip, text, pattern, block, grid):
    found = search.launch(chip, text, pattern, block=block, grid=grid)
    np.testing.assert_array_equal(found, search.reference(text, pattern))


@examples(FEW)
@given(
    rows=st.integers(0, 300), columns=st.integers(1, 100), kind=kinds, seed=seeds, block=flat_blocks, grid=grids,
    share=st.sampled_from([0, 0.02, 0.3, 1]),
)  # fmt: skip
def test_spmv(chip, rows, columns, kind, seed, block, grid, share):
    random = np.random.default_rng(seed)
    dense = floats(random, (rows, columns), kind)
    dense[random.random((rows, columns)) >= share] = 0
    matrix, x = spmv.csr(dense), floats(random, columns, kind)
    same_bits(spmv.launch(chip, matrix, x, block=block, grid=grid), spmv.reference(matrix, x))


def test_spmv_is_a_matrix_product():
    random = np.random.default_rng(0)
    dense = random.integers(-4, 5, (120, 80)).astype(np.float32)  # small whole numbers: every order gives the same
    x = random.integers(-4, 5, 80).astype(np.float32)
    np.testing.assert_array_equal(spmv.launch(Chip(), spmv.csr(dense), x), dense @ x)


@examples(FEW)
@given(count=st.integers(0, 5), seed=seeds, block=flat_blocks, grid=grids)
@example(count=3, seed=0, block=32, grid=1)
def test_lfsr(chip, count, seed, block, grid):
    found = lfsr.launch(chip, count, seed, block=block, grid=grid)
    same_bits(found, lfsr.reference(count, seed, block * grid))


def test_lfsr_bits_are_balanced():
    numbers = lfsr.launch(Chip(), 100, 1, block=128, grid=1)
    ones = np.unpackbits(numbers.view(np.uint8)).mean()
    assert abs(ones - 0.5) < 0.002


@examples(FEW)
@given(rows=st.integers(0, 3), width=st.integers(0, 600), dtype=types, kind=kinds, seed=seeds, block=flat_blocks)
@example(rows=1, width=1, dtype=np.int32, kind="bits", seed=0, block=1)
@example(rows=2, width=512, dtype=np.float32, kind="special", seed=0, block=32)
@example(rows=1, width=513, dtype=np.uint32, kind="bits", seed=0, block=1024)
def test_bitonic(chip, rows, width, dtype, kind, seed, block):
    x = floats(np.random.default_rng(seed), (rows, width), kind).view(dtype)
    same_bits(bitonic.launch(chip, x, block=block), bitonic.reference(x))


def test_bitonic_of_the_greatest_width():
    x = np.random.default_rng(0).integers(-(2**31), 2**31, (2, 4096), np.int32)
    np.testing.assert_array_equal(bitonic.launch(Chip(), x, block=1024), np.sort(x, axis=1))


@examples(FEW)
@given(
    n=st.integers(0, 2000), mask=st.sampled_from([0, 1, 0xFF, 0xFF00FF00, 0xFFFFFFFF]), seed=seeds,
    block=st.integers(1, 4).map(lambda count: 32 * count), grid=st.integers(1, 3), dtype=types,
)  # fmt: skip
@example(n=0, mask=1, seed=0, block=32, grid=1, dtype=np.uint32)
@example(n=33, mask=1, seed=0, block=64, grid=2, dtype=np.uint32)
def test_radix_sort(chip, n, mask, seed, block, grid, dtype):
    keys, values = elements(seed, n, np.uint32) & np.uint32(mask), elements(n, n, dtype)
    found = radix_sort.launch(chip, keys, values, block=block, grid=grid)
    for one, other in zip(found, radix_sort.reference(keys, values), strict=True):
        same_bits(one, other)


@examples(FEW)
@given(
    strings=st.lists(st.binary(max_size=40), min_size=1, max_size=200), kernel=st.sampled_from(["crc32", "fnv1a"]),
    block=flat_blocks, grid=grids,
)  # fmt: skip
def test_hash(chip, strings, kernel, block, grid):
    found = hash.launch(chip, strings, kernel=kernel, block=block, grid=grid)
    reference = hash.reference if kernel == "crc32" else hash.fnv1a_reference
    np.testing.assert_array_equal(found, reference(strings))


def test_hash_of_known_strings():
    assert hash.launch(Chip(), [b"123456789"]).tolist() == [0xCBF43926] == [zlib.crc32(b"123456789")]
    assert hash.launch(Chip(), [b"", b"a"], kernel="fnv1a").tolist() == [0x811C9DC5, 0xE40C292C]


@pytest.mark.parametrize(
    ("launch", "arguments"),
    [
        (copy_strided.launch, (np.zeros(3), np.zeros(4), 1, 1)),
        (copy_strided.launch, (np.zeros(3, np.float32), np.zeros(3, np.float32), 0, 1)),
        (gather.launch, (np.zeros(3), [0])),
        (gather.launch, (np.zeros(3, np.float32), np.array([-1]))),
        (radix_sort.launch, (np.array([1, -1]), np.zeros(2, np.float32))),
        (gather.scatter, (np.zeros(3, np.float32), [0, 1], np.zeros(3, np.float32))),
        (stencil3.launch, (np.zeros((2, 2)), (1.0, 1.0, 1.0))),
        (search.launch, (b"abc", b"")),
        (spmv.launch, (spmv.Csr(np.zeros(2, np.uint32), np.zeros(1, np.uint32), np.zeros(2, np.float32)), np.zeros(1))),
        (bitonic.launch, (np.zeros((1, 5000), np.float32),)),
    ],
)
def test_helpers_refuse_wrong_shapes(launch, arguments):
    with pytest.raises(ValueError, match="not "):
        launch(Chip(), *arguments)


# ---- longer ----------------------------------------------------------------------------------------------------------

MANY = 40


@pytest.mark.slow
@examples(MANY)
@given(n=st.integers(0, 60_000), mask=st.integers(0, 2**32 - 1), seed=seeds, block=warps, grid=grids)
def test_long_radix_sort(chip, n, mask, seed, block, grid):
    keys, values = elements(seed, n, np.uint32) & np.uint32(mask), np.arange(n, dtype=np.uint32)
    found = radix_sort.launch(chip, keys, values, block=block, grid=grid)
    for one, other in zip(found, radix_sort.reference(keys, values), strict=True):
        same_bits(one, other)


@pytest.mark.slow
@examples(MANY)
@given(rows=st.integers(1, 4), width=st.integers(1, 4096), dtype=types, kind=kinds, seed=seeds, block=flat_blocks)
def test_long_bitonic(chip, rows, width, dtype, kind, seed, block):
    x = floats(np.random.default_rng(seed), (rows, width), kind).view(dtype)
    same_bits(bitonic.launch(chip, x, block=max(block, 64)), bitonic.reference(x))


@pytest.mark.slow
@examples(MANY)
@given(n=st.integers(0, 100_000), seed=seeds, block=warps, grid=st.integers(1, 40), by=st.integers(1, 200))
def test_long_copies(chip, n, seed, block, grid, by):
    source, order = elements(seed, n, np.uint32), np.random.default_rng(seed).permutation(n)
    gathered = gather.launch(chip, source, order, block=block, grid=grid)
    same_bits(gathered, source[order])
    same_bits(gather.scatter(chip, np.zeros_like(source), order, gathered, block=block, grid=grid), source)
    same_bits(
        copy_strided.launch(chip, source, gathered, by, 2, block=block, grid=grid),
        copy_strided.reference(source, gathered, by, 2),
    )


@pytest.mark.slow
@examples(MANY)
@given(n=st.integers(0, 40_000), seed=seeds, block=warps, grid=grids, length=st.integers(1, 40))
def test_long_texts_and_sieves(chip, n, seed, block, grid, length):
    np.testing.assert_array_equal(sieve.launch(chip, n, block=block, grid=grid), sieve.reference(n))
    text = np.random.default_rng(seed).integers(0, 2, n, np.uint8).tobytes()
    pattern = text[n // 2 :][:length] or b"a"
    found = search.launch(chip, text, pattern, block=block, grid=grid)
    np.testing.assert_array_equal(found, search.reference(text, pattern))


@pytest.mark.slow
@examples(MANY)
@given(rows=st.integers(0, 2000), columns=st.integers(1, 400), kind=kinds, seed=seeds, block=flat_blocks, grid=grids)
def test_large_spmv_and_long_stencil3(chip, rows, columns, kind, seed, block, grid):
    random = np.random.default_rng(seed)
    dense = floats(random, (rows, columns), kind)
    dense[random.random((rows, columns)) >= 0.05] = 0
    matrix, x = spmv.csr(dense), floats(random, columns, kind)
    same_bits(spmv.launch(chip, matrix, x, block=block, grid=grid), spmv.reference(matrix, x))
    line, weights = floats(random, 20 * rows, kind), tuple(floats(random, 3, "normal"))
    same_bits(
        stencil3.launch(chip, line, weights, steps=2, block=max(block, 32)),
        stencil3.reference(line, weights, steps=2),
    )
