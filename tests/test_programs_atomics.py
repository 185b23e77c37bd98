"""Programs in which lanes, warps and blocks meet in memory, against plain Python, on every kind of chip.

What they leave must not depend on the schedule, which the chips vary.
"""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program_samples import MODES, examples, flat_blocks, floats, kinds, same_bits, seeds
from program_trials import graph

from m890 import Chip, Schedule
from m890.programs import bfs, hash_table, histogram, lock, ring
from m890.programs import sum as total

FEW = 20
SCHEDULES = {f"slices {warp}, {block}": Schedule(warp, block, 5) for warp, block in ((1, 1), (2, 7), (13, 100))}
grids = st.integers(1, 5)


@pytest.fixture(scope="module", params=MODES)
def chip(request):
    return Chip("M890", **MODES[request.param])


@examples(FEW)
@given(n=st.integers(0, 6000), seed=seeds, bits=st.integers(0, 8), block=flat_blocks, grid=grids)
@example(n=0, seed=0, bits=8, block=1, grid=1)
@example(n=15, seed=0, bits=8, block=1, grid=1)
@example(n=4000, seed=0, bits=0, block=256, grid=2)
def test_histogram(chip, n, seed, bits, block, grid):
    x = np.random.default_rng(seed).integers(0, 1 << bits, n, np.uint8, endpoint=bits < 8) if bits else np.zeros(n)
    found = histogram.launch(chip, x, block=block, grid=grid)
    np.testing.assert_array_equal(found, histogram.reference(x))


@examples(FEW)
@given(n=st.integers(0, 6000), kind=kinds, seed=seeds, block=flat_blocks, grid=st.integers(1, 40))
@example(n=1, kind="normal", seed=0, block=1, grid=40)
@example(n=1, kind="normal", seed=0, block=33, grid=1)
def test_sum_once(chip, n, kind, seed, block, grid):
    x = floats(np.random.default_rng(seed), n, kind)
    found = total.launch(chip, x, block=block, grid=grid, once=True)
    same_bits(found, total.reference(x, block=block, grid=grid, once=True))


@examples(FEW)
@given(vertices=st.integers(1, 200), degree=st.floats(0, 4), seed=seeds, block=flat_blocks, grid=grids)
@example(vertices=1, degree=0, seed=0, block=1, grid=1)
def test_bfs(chip, vertices, degree, seed, block, grid):
    random = np.random.default_rng(seed)
    starts, targets = graph(random, vertices, int(vertices * degree))
    source = int(random.integers(vertices))
    found = bfs.launch(chip, starts, targets, source, block=block, grid=grid)
    np.testing.assert_array_equal(found, bfs.reference(starts, targets, source))


def test_bfs_of_a_long_chain():
    starts, targets = np.minimum(np.arange(101), 99), np.arange(1, 100)
    np.testing.assert_array_equal(bfs.launch(Chip(), starts, targets, 0, block=32), np.arange(100))


@examples(FEW)
@given(n=st.integers(0, 600), most=st.integers(1, 300), seed=seeds, block=flat_blocks, grid=grids, tight=st.booleans())
@example(n=600, most=1, seed=0, block=256, grid=2, tight=True)
def test_hash_table(chip, n, most, seed, block, grid, tight):
    random = np.random.default_rng(seed)
    keys, values = random.integers(0, most, n), random.integers(0, 1 << 32, n)
    queries = random.integers(0, 2 * most, 100)
    capacity = 1 << len(np.unique(keys)).bit_length() if tight else None
    found = hash_table.launch(chip, keys, values, queries, capacity=capacity, block=block, grid=grid)
    for one, other in zip(found, hash_table.reference(keys, values, queries), strict=True):
        np.testing.assert_array_equal(one, other)


@examples(FEW)
@given(n=st.integers(0, 500), count=st.integers(1, 40), kind=kinds, seed=seeds, block=flat_blocks, grid=grids)
@example(n=200, count=1, kind="close", seed=0, block=32, grid=1)
@example(n=200, count=1, kind="close", seed=0, block=100, grid=5)
def test_lock(chip, n, count, kind, seed, block, grid):
    random = np.random.default_rng(seed)
    groups, values = random.integers(0, count, n), floats(random, n, kind)
    best, place = lock.launch(chip, groups, values, count, block=block, grid=grid)
    expected, where = lock.reference(groups, values, count)
    same_bits(best, expected)
    np.testing.assert_array_equal(place, where)


@examples(FEW)
@given(n=st.integers(0, 500), seed=seeds, size=st.sampled_from([32, 64, 256]))
@example(n=0, seed=0, size=32)
@example(n=32, seed=0, size=32)
@example(n=97, seed=0, size=64)
def test_ring(chip, n, seed, size):
    source = np.random.default_rng(seed).integers(0, 1 << 32, n, np.uint32)
    np.testing.assert_array_equal(ring.launch(chip, source, size=size), ring.reference(source))


@pytest.mark.parametrize("timing", ["eager", "late"])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_no_schedule_changes_a_result(schedule, timing):
    chip, random = Chip(timing=timing, schedule=schedule), np.random.default_rng(0)
    groups, values = random.integers(0, 3, 200), floats(random, 200, "close")
    same_bits(lock.launch(chip, groups, values, 3, block=64, grid=3)[0], lock.reference(groups, values, 3)[0])
    source = random.integers(0, 1 << 32, 300, np.uint32)
    np.testing.assert_array_equal(ring.launch(chip, source, size=32), ring.reference(source))
    same_bits(
        total.launch(chip, values, block=32, grid=7, once=True), total.reference(values, block=32, grid=7, once=True)
    )
    starts, targets = graph(random, 100, 200)
    np.testing.assert_array_equal(bfs.launch(chip, starts, targets, 0), bfs.reference(starts, targets, 0))


@pytest.mark.parametrize(
    ("launch", "arguments"),
    [
        (histogram.launch, (np.zeros((2, 2)),)),
        (bfs.launch, (np.zeros(3), np.zeros(0), 2)),
        (hash_table.launch, ([1, 2], [1], [])),
        (hash_table.launch, ([0xFFFFFFFF], [1], [])),
        (lock.launch, ([5], [1.0], 5)),
        (ring.launch, (np.zeros(5),)),
        (histogram.launch, (np.array([0, 256]),)),
        (bfs.launch, (np.array([0, -1]), [0], 0)),
        (hash_table.launch, (np.array([1 << 32]), [1], [])),
        (lock.launch, (np.array([-1]), [1.0], 5)),
    ],
)
def test_helpers_refuse_wrong_arguments(launch, arguments):
    options = {"size": 48} if launch is ring.launch else {}
    with pytest.raises(ValueError, match="not "):
        launch(Chip(), *arguments, **options)


def test_a_full_table_is_refused():
    with pytest.raises(ValueError, match="not 4"):
        hash_table.launch(Chip(), np.arange(4), np.arange(4), [], capacity=4)


# ---- longer ----------------------------------------------------------------------------------------------------------

MANY = 40


@pytest.mark.slow
@examples(MANY)
@given(n=st.integers(0, 300_000), seed=seeds, block=flat_blocks, grid=st.integers(1, 40), kind=kinds)
def test_long_histogram_and_sum(chip, n, seed, block, grid, kind):
    random, block = np.random.default_rng(seed), max(block, 32)
    x = random.integers(0, 256, n, np.uint8)
    np.testing.assert_array_equal(histogram.launch(chip, x, block=block, grid=grid), histogram.reference(x))
    y = floats(random, n // 2, kind)
    found = total.launch(chip, y, block=block, grid=grid, once=True)
    same_bits(found, total.reference(y, block=block, grid=grid, once=True))


@pytest.mark.slow
@examples(MANY)
@given(vertices=st.integers(1, 4000), degree=st.floats(0, 6), seed=seeds, block=flat_blocks, grid=grids)
def test_large_graphs(chip, vertices, degree, seed, block, grid):
    random = np.random.default_rng(seed)
    starts, targets = graph(random, vertices, int(vertices * degree))
    source = int(random.integers(vertices))
    found = bfs.launch(chip, starts, targets, source, block=block, grid=grid)
    np.testing.assert_array_equal(found, bfs.reference(starts, targets, source))


@pytest.mark.slow
@examples(MANY)
@given(n=st.integers(0, 8000), most=st.integers(1, 8000), seed=seeds, block=flat_blocks, grid=grids)
def test_large_tables_and_many_locks(chip, n, most, seed, block, grid):
    random = np.random.default_rng(seed)
    keys, values, queries = random.integers(0, most, n), random.integers(0, 1 << 32, n), random.integers(0, 2 * most, n)
    found = hash_table.launch(chip, keys, values, queries, block=block, grid=grid)
    for one, other in zip(found, hash_table.reference(keys, values, queries), strict=True):
        np.testing.assert_array_equal(one, other)
    count, values = min(most, 100), floats(random, n, "close")
    best, place = lock.launch(chip, keys % count, values, count, block=block, grid=grid)
    expected, where = lock.reference(keys % count, values, count)
    same_bits(best, expected)
    np.testing.assert_array_equal(place, where)
    np.testing.assert_array_equal(ring.launch(chip, keys, size=32), ring.reference(keys))
