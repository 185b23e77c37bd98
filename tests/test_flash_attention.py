"""Attention on the matrix unit, keys in order and in pages, against numpy, bit for bit, and against the formula."""

import pydoc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program_samples import MODES, attention_in_binary64, examples, floats, heads, kinds, same_bits, seeds

from m890 import Chip
from m890.programs import flash_attention, path, source
from m890.programs.attention import scale_of
from m890.programs.narrow import bf16
from m890.tools.launchfile import read

SIZES = tuple(flash_attention.ROWS)
sizes = st.sampled_from(SIZES)


@pytest.fixture(scope="module", params=MODES)
def chip(request):
    return Chip("M890", **MODES[request.param])


def short_heads(random, *shape):
    """A query, key and value in bfloat16."""
    return [bf16(each) for each in heads(random, *shape)]


@examples(8)
@given(
    queries=st.integers(0, 20),
    more=st.integers(0, 150),
    groups=st.integers(1, 2),
    group=st.integers(1, 3),
    size=sizes,
    causal=st.booleans(),
    kind=kinds,
    seed=seeds,
)
@example(queries=1, more=0, groups=1, group=1, size=64, causal=True, kind="normal", seed=0)
@example(queries=35, more=30, groups=1, group=2, size=64, causal=True, kind="mixture", seed=0)
@example(queries=70, more=0, groups=1, group=2, size=64, causal=True, kind="normal", seed=0)  # two blocks
@example(queries=24, more=0, groups=2, group=3, size=256, causal=True, kind="normal", seed=0)
@example(queries=16, more=17, groups=1, group=1, size=128, causal=True, kind="normal", seed=0)  # one of a step
@example(queries=9, more=120, groups=1, group=1, size=128, causal=False, kind="special", seed=0)
def test_arrays(chip, queries, more, groups, group, size, causal, kind, seed):
    arrays = short_heads(np.random.default_rng(seed), queries, max(queries + more, 1), groups, group, size, kind)
    found = flash_attention.launch(chip, *arrays, causal=causal)
    same_bits(found, flash_attention.reference(*arrays, causal=causal))


def test_fewer_keys_than_queries(chip):
    arrays = short_heads(np.random.default_rng(0), 9, 5, 1, 2, 64)
    found = flash_attention.launch(chip, *arrays, causal=False)
    same_bits(found, flash_attention.reference(*arrays, causal=False))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_it_is_the_formula(size, causal):
    """To within the bound, of which something is reached; of scores far apart, too, so that `most` has to follow."""
    for factor in (1, 8):
        query, key, value = heads(np.random.default_rng(0), 50, 170, 2, 2, size)
        arrays = bf16(query * np.float32(factor)), bf16(key), bf16(value)
        found = flash_attention.launch(Chip(), *arrays, causal=causal).astype(np.float64)
        error = np.abs(found - attention_in_binary64(*arrays, causal=causal))
        share = error / flash_attention.bound(*arrays, causal=causal)
        assert 0.2 < share.max() < 1


def test_most_follows_scores_that_grow_and_no_others(chip):
    """Keys of growing and falling scores in one head each, in steps above and below what is left alone."""
    for slope in (0.05, 0.5, 4.0, -4.0):
        query = bf16(np.full((3, 1, 64), 8**0.5))
        key = bf16(np.repeat(slope * np.arange(200)[:, None, None] / 64, 64, axis=2) * 8**0.5)
        value = bf16(floats(np.random.default_rng(0), (200, 1, 64), "normal"))
        found = flash_attention.launch(chip, query, key, value, causal=False)
        same_bits(found, flash_attention.reference(query, key, value, causal=False))
        exact = attention_in_binary64(query, key, value, causal=False)
        np.testing.assert_allclose(found.astype(np.float64), exact, rtol=0, atol=0.03)


def test_keys_that_come_later_count_for_nothing(chip):
    """Even infinities and NaNs, of which the values must be finite; the query that meets these becomes NaN."""
    query, key, value = short_heads(np.random.default_rng(0), 10, 70, 1, 1, 64)
    clean = flash_attention.launch(chip, query, key, value)
    key[66:68], key[68:] = np.nan, np.inf
    found = flash_attention.launch(chip, query, key, value)
    same_bits(found[:6], clean[:6])
    assert np.isnan(found[6:]).all()


@st.composite
def sequences(draw):
    """For each sequence how many queries and how many more keys, and a size of pages."""
    count = draw(st.integers(1, 4))
    return draw(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 90)), min_size=count, max_size=count)), draw(
        st.sampled_from([16, 32, 48, 128])
    )


def paged(random, of, page, groups, group, size, kind):
    """Queries, keys and values in pages, of which those that are nobody's and the ends behind the last key hold NaN."""
    starts = np.concatenate([[0], np.cumsum([queries for queries, _ in of])])
    lengths = [max(queries + more, queries > 0) for queries, more in of]
    counts = [-(-length // page) for length in lengths]
    order, table = random.permutation(sum(counts) + 2), np.zeros((len(of), max(counts) + 1), np.uint32)
    key, value = np.full((2, len(order), page, groups, size), np.nan, np.float32)
    for number, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        table[number, :count], order = order[:count], order[count:]
        for pool in (key, value):
            part = np.full((count * page, groups, size), np.nan, np.float32)
            part[:length] = floats(random, (length, groups, size), kind)
            pool[table[number, :count]] = part.reshape(count, page, groups, size)
    query = floats(random, (starts[-1], groups * group, size), kind)
    return bf16(query), bf16(key), bf16(value), flash_attention.Sequences.of(starts, table, lengths)


@examples(8)
@given(
    of=sequences(),
    groups=st.integers(1, 2),
    group=st.integers(1, 4),
    size=sizes,
    causal=st.booleans(),
    kind=kinds,
    seed=seeds,
)
@example(of=([(1, 0)], 16), groups=1, group=1, size=64, causal=True, kind="normal", seed=0)
@example(of=([(1, 70), (1, 3), (0, 9), (1, 129)], 16), groups=2, group=4, size=128, causal=True, kind="normal", seed=0)
@example(of=([(12, 0), (40, 25), (0, 0)], 48), groups=1, group=4, size=64, causal=True, kind="normal", seed=0)
@example(of=([(3, 100)], 128), groups=1, group=2, size=256, causal=False, kind="normal", seed=0)
def test_pages(chip, of, groups, group, size, causal, kind, seed):
    """Decoding and prefilling; what is behind the last key of a page is NaN and must not count."""
    arrays = paged(np.random.default_rng(seed), *of, groups, group, size, kind)
    found = flash_attention.launch_paged(chip, *arrays, causal=causal)
    same_bits(found, flash_attention.paged_reference(*arrays, causal=causal))


@pytest.mark.parametrize("size", SIZES)
def test_pages_are_the_same_as_arrays(size):
    """A sequence in pages, bit for bit what its keys in a row give."""
    query, key, value, of = paged(np.random.default_rng(0), [(20, 100), (7, 0)], 16, 2, 2, size, "normal")
    found = flash_attention.launch_paged(Chip(), query, key, value, of)
    for number, length in enumerate(of.lengths):
        own = slice(of.starts[number], of.starts[number + 1])
        rows = (pool[of.table[number]].reshape(-1, 2, size)[:length] for pool in (key, value))
        same_bits(found[own], flash_attention.launch(Chip(), query[own], *rows))
    same_bits(flash_attention.launch_paged(Chip(), query, key, value, tuple(each.tolist() for each in of)), found)
    with pytest.raises(ValueError, match="sequences are starts, table and lengths, not 2 arrays"):
        flash_attention.launch_paged(Chip(), query, key, value, of[:2])


GOOD = {
    "query": np.zeros((3, 2, 64)), "key": np.zeros((4, 16, 1, 64)), "value": np.zeros((4, 16, 1, 64)),
    "starts": [0, 1, 3], "table": [[0], [3]], "lengths": [16, 2],
}  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"key": np.zeros((4, 8, 1, 64)), "value": np.zeros((4, 8, 1, 64))},
        {"query": np.zeros((3, 2, 32))},
        {"key": np.zeros((4, 16, 64))},
        {"starts": [0, 3]},
        {"starts": [0, 1, 2]},
        {"starts": [0, 4, 3]},
        {"table": [[0], [4]]},
        {"table": [[0], [-1]]},
        {"lengths": [17, 2]},
        {"lengths": [16, 1]},
    ],
)
def test_what_does_not_belong_together_is_refused(changed):
    def launch(starts, table, lengths, **arrays):
        of = flash_attention.Sequences.of(starts, table, lengths)
        return flash_attention.launch_paged(Chip(), **arrays, sequences=of)

    assert launch(**GOOD).shape == (3, 2, 64)
    with pytest.raises(ValueError, match="not "):
        launch(**GOOD | changed)


@pytest.mark.parametrize("shapes", [((2, 1, 32), (2, 1, 32)), ((2, 3, 64), (2, 2, 64)), ((3, 1, 64), (2, 1, 64))])
def test_wrong_shapes_are_refused(shapes):
    query, key = map(np.zeros, shapes)
    with pytest.raises(ValueError, match="not "):
        flash_attention.launch(Chip(), query, key, key)


def test_help_says_what_sequences_are():
    text = pydoc.plain(pydoc.render_doc(flash_attention))
    for word in ("starts: n + 1 numbers", "table: n x pages", "lengths: n numbers", "`sequences` are `Sequences`"):
        assert word in text


def test_the_kernels_name_the_scale():
    """The numbers of the text are log2(e) / sqrt(size), as the launches and the launch file have them."""
    text = " ".join(source("flash_attention").replace("//", "").split())
    numbers = ", ".join(f"{scale_of(size):.8f}" for size in SIZES[:-1])
    assert f"scale is log2(e) / sqrt(size), {numbers} or {scale_of(SIZES[-1]):.8f} for 64, 128 or 256" in text
    job = read(path("flash_attention", ".toml"))
    scales = [launch.args["scale"] for launch in job.launches]
    assert scales == [float(f"{scale_of(size):.8f}") for size in (64, 64, 256)]
