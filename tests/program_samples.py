"""What the tests of programs/ share: values, launch shapes and the chips they run on."""

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from m890 import Schedule
from m890.programs.binary32 import bits

EXAMPLES = 40
MANY = 400
"""Examples of a property that costs next to nothing."""
SPECIAL = np.array(
    [
        0x00000000, 0x80000000,  # zeros
        0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00400000,  # subnormal
        0x00800000, 0x80800000,  # smallest normal
        0x3F800000, 0xBF800000, 0x3F800001, 0x3F7FFFFF,  # around one
        0x7F7FFFFF, 0xFF7FFFFF,  # largest
        0x7F800000, 0xFF800000,  # infinities
        0x7FFFFFFF, 0x7FC00000, 0xFFC12345, 0x7F800001,  # NaNs, the last one signalling
    ],
    np.uint32,
).view(np.float32)  # fmt: skip


def same_bits(found, expected):
    np.testing.assert_array_equal(bits(found), bits(expected))


def floats(random: np.random.Generator, shape, kind: str) -> np.ndarray:
    """Values of one kind: `normal` ones, any `bits`, only `special` ones, a `mixture` of all, or `close` to one."""
    if kind == "normal":
        return random.standard_normal(shape).astype(np.float32)
    if kind == "bits":
        return random.integers(0, 1 << 32, shape, np.uint32).view(np.float32)
    if kind == "special":
        return random.choice(SPECIAL, shape)
    if kind == "close":
        return (0x3F800000 + random.integers(-3, 4, shape)).astype(np.uint32).view(np.float32)
    if kind == "tiny":
        return random.integers(0, 1 << 24, shape, np.uint32).view(np.float32)
    parts = np.stack([floats(random, shape, part) for part in ("normal", "normal", "bits", "special")])
    return np.take_along_axis(parts, random.integers(0, 4, (1, *parts.shape[1:])), 0)[0]


def heads(random, queries, keys, groups, group, size, kind="normal"):
    """A query, key and value."""
    key, value = floats(random, (2, keys, groups, size), kind)
    return floats(random, (queries, groups * group, size), kind), key, value


def attention_in_binary64(query, key, value, *, causal):
    """Attention by the formula."""
    query, key, value = (each.astype(np.float64) for each in (query, key, value))
    key, value = (np.repeat(each, query.shape[1] // key.shape[1], axis=1) for each in (key, value))
    scores = np.einsum("ihd,jhd->hij", query, key) / query.shape[2] ** 0.5
    if causal:
        scores = np.where(np.tri(len(query), len(key), len(key) - len(query), dtype=bool), scores, -np.inf)
    powers = np.exp(scores - scores.max(2, keepdims=True))
    return np.einsum("hij,jhd->ihd", powers / powers.sum(2, keepdims=True), value)


KINDS = ("normal", "bits", "special", "close", "tiny", "mixture")
kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**32 - 1)
warps = st.integers(1, 32).map(lambda count: 32 * count)
flat_blocks = st.one_of(st.integers(1, 1024), st.sampled_from([1, 31, 32, 33, 64, 256, 1024]))


@st.composite
def plane_blocks(draw):
    """Extents of a two-dimensional block of at most 1,024 threads."""
    x = draw(st.one_of(st.sampled_from([1, 8, 16, 32, 64]), st.integers(1, 128)))
    return x, draw(st.integers(1, min(16, 1024 // x)))


def examples(count=EXAMPLES):
    """Hypothesis settings; one chip serves all examples of a test."""
    slow_or_shared = [*settings().suppress_health_check, HealthCheck.function_scoped_fixture]
    return settings(max_examples=count, derandomize=True, suppress_health_check=slow_or_shared)


MODES = {
    "eager": {"timing": "eager"},
    "poison": {"timing": "eager", "poison": True},
    "late": {"timing": "late"},
    "slices": {"timing": "late", "schedule": Schedule(warp_slice=3, block_slice=50, spin_limit=7)},
}
"""Chips that all must give the same bits. `late` and `poison` find missing waits and registers never written."""
