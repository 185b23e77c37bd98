"""Collectives of a pod against numpy: 1 to 16 chips, all sizes, types, topologies, seeds, both timings, slow links."""

import numpy as np
import pytest
from collective_trials import DTYPES, SOURCES, TRIALS, few_cores, numbers
from hypothesis import given
from hypothesis import strategies as st
from program_samples import examples, same_bits

from m890 import programs
from m890.emulator.icn.faults import LinkFault
from m890.emulator.icn.topology import Topology
from m890.emulator.pod.pod import Pod
from m890.emulator.profiles import profile
from m890.programs import all_gather, all_reduce, all_to_all, barrier, broadcast, reduce, reduce_scatter, send_recv
from m890.programs.pod_group import Group
from m890.programs.ring_orders import ring_tables, rings

TOPOLOGIES = {
    "M890": (Topology.switch, Topology.ring, Topology.full),
    "810E": (Topology.ring, Topology.wired, Topology.full),
}
SIZES = st.one_of(st.integers(1, 40), st.integers(1, 700), st.sampled_from([8, 64, 256, 2048, 2053]))
DTYPE = st.sampled_from(DTYPES)
KINDS = st.sampled_from(["normal", "normal", "bits"])
ALGORITHMS = st.sampled_from(["one_shot", "two_shot", "ring"])


@st.composite
def pods(draw, most=16):
    """A pod of 1 to 16 chips, with links of any kind, one of which may be slow."""
    kind = draw(st.sampled_from(["M890", "810E"]))
    make = draw(st.sampled_from(TOPOLOGIES[kind]))
    chips = draw(st.integers(1, min(most, 8) if kind == "810E" and make is not Topology.ring else most))
    chip, seed = few_cores(kind), draw(st.integers(0, 1000))
    topology = make(chip, chips)
    faults = []
    if topology.links and draw(st.booleans()):
        link = topology.links[draw(st.integers(0, len(topology.links) - 1))]
        faults = [LinkFault(tail=link.tail, head=link.head, slow=draw(st.sampled_from([2.0, 50.0])))]
    timing = draw(st.sampled_from(["eager", "late"]))
    return Pod(chip, chips, topology=topology, seed=seed, timing=timing, faults=faults, quantum=64)


SHAPES = st.sampled_from([{}, {"grid": 1, "block": 32}, {"grid": 4, "block": 64}, {"grid": 4, "block": 96}])


@examples(25)
@given(pods(), SIZES, DTYPE, KINDS, ALGORITHMS, SHAPES)
def test_all_reduce(pod, n, dtype, kind, algorithm, shape):
    x = numbers(np.random.default_rng(n), (len(pod.chips), n), dtype, kind)
    orders = rings(pod.icn.topology)
    if "grid" in shape:
        shape = shape | {"grid": shape["grid"] * (len(orders) if algorithm == "ring" else 1)}
    found = all_reduce.launch(pod, x, algorithm=algorithm, **shape)
    expected = all_reduce.reference(x, algorithm=algorithm, orders=orders)
    same_bits(found, np.broadcast_to(expected, x.shape))


@examples(12)
@given(pods(), SIZES, DTYPE, KINDS, SHAPES, st.integers(0, 15))
def test_reduce_and_broadcast(pod, n, dtype, kind, shape, root):
    x = numbers(np.random.default_rng(n), (len(pod.chips), n), dtype, kind)
    root %= len(pod.chips)
    same_bits(reduce.launch(pod, x, root, **shape), reduce.reference(x))
    same_bits(broadcast.launch(pod, x, root, **shape), broadcast.reference(x, root))


@examples(12)
@given(pods(), SIZES, DTYPE, KINDS, SHAPES)
def test_reduce_scatter_and_all_gather(pod, n, dtype, kind, shape):
    x = numbers(np.random.default_rng(n), (len(pod.chips), len(pod.chips), n), dtype, kind)
    same_bits(reduce_scatter.launch(pod, x, **shape), reduce_scatter.reference(x))
    same_bits(all_gather.launch(pod, x[0], **shape), all_gather.reference(x[0]))


@examples(12)
@given(pods(), SIZES, DTYPE, SHAPES, st.integers(0, 9))
def test_all_to_all(pod, n, dtype, shape, most):
    """Uniform, and ragged with chips that have nothing for others."""
    random, chips = np.random.default_rng(n), len(pod.chips)
    x = numbers(random, (chips, chips, n), dtype, "bits")
    same_bits(all_to_all.launch(pod, x, **shape), all_to_all.reference(x))
    counts = random.integers(0, most + 1, (chips, chips))
    rows = [numbers(random, (int(count), n % 70 + 1), dtype, "bits") for count in counts.sum(1)]
    found = all_to_all.ragged_launch(pod, rows, counts, **shape)
    for one, other in zip(found, all_to_all.ragged_reference(rows, counts), strict=True):
        same_bits(one, other)


@examples(12)
@given(pods(), SIZES, DTYPE, SHAPES, st.data())
def test_send_and_receive(pod, n, dtype, shape, data):
    """Any pairs of chips at once, a chip with itself among them."""
    chips = len(pod.chips)
    x, before = numbers(np.random.default_rng(n), (2, chips, n), dtype, "bits")
    sends = data.draw(st.lists(st.booleans(), min_size=chips, max_size=chips))
    order = data.draw(st.permutations(range(chips)))
    receivers = [receiver if does else None for receiver, does in zip(order, sends, strict=True)]
    found = send_recv.launch(pod, x, receivers, before, **shape)
    same_bits(found, send_recv.reference(x, receivers, before))


def test_chips_of_full_speed():
    """The same with all their compute units, which issue a thousand times as much while packets are under way."""
    for kind in ("M890", "810E"):
        pod, random = Pod(kind, 4), np.random.default_rng(4)
        x = numbers(random, (4, 4, 3001), DTYPES[3])
        for algorithm in ("one_shot", "two_shot", "ring"):
            expected = all_reduce.reference(x[0], algorithm=algorithm, orders=rings(pod.icn.topology))
            same_bits(all_reduce.launch(pod, x[0], algorithm=algorithm), np.broadcast_to(expected, x[0].shape))
        same_bits(all_to_all.launch(pod, x), all_to_all.reference(x))


@pytest.mark.parametrize("quantum", [16, 256, 4096])
def test_quanta_shorter_and_longer_than_a_way(quantum):
    """The same bits, though an answer may be there before the border behind which it was asked for."""
    pod, random = Pod(few_cores("M890"), 3, quantum=quantum), np.random.default_rng(2)
    x = numbers(random, (3, 300), DTYPES[2])
    for algorithm in ("two_shot", "ring"):
        expected = all_reduce.reference(x, algorithm=algorithm)
        same_bits(all_reduce.launch(pod, x, algorithm=algorithm), np.broadcast_to(expected, x.shape))


def test_who_waits_for_a_very_slow_link_is_not_stuck():
    """Milliseconds in which two chips look at flags and the third waits for acknowledgements that are on their way."""
    chip = few_cores("M890", launch_overhead=1e-9, icn_link_bandwidth=80e9)
    slow = LinkFault(tail=2, head=1, slow=1000.0, both=False)
    pod = Pod(chip, 3, topology=Topology.full(chip, 3), seed=5, faults=[slow], quantum=64)
    for found, expected in zip(*TRIALS["all_to_all"](pod, np.random.default_rng(1)), strict=True):
        same_bits(found, expected)


def test_threads_change_nothing():
    """Bits, counters of links and modelled time."""
    random, found = np.random.default_rng(6), []
    x = numbers(random, (5, 5, 700), DTYPES[0])
    for threads in (1, 2):
        pod = Pod(few_cores("M890"), 5, seed=3, threads=threads, quantum=64)
        arrays = all_reduce.launch(pod, x[0], algorithm="ring"), all_to_all.launch(pod, x)
        found.append((pod.time, pod.icn.counters(), *(array.tobytes() for array in arrays)))
    assert found[0] == found[1]


def test_one_group_many_launches():
    """Flags are never reset: what follows has larger marks."""
    pod, random = Pod(few_cores("M890"), 3, quantum=64), np.random.default_rng(3)
    with Group(pod) as group:
        x = numbers(random, (3, 500), DTYPES[0])
        source, target = group.array(x), group.empty(500, np.float32)
        for algorithm in ("ring", "one_shot", "ring", "two_shot"):
            all_reduce.run(group, source, target, algorithm=algorithm)
            same_bits(target.copy_to_host()[2], all_reduce.reference(x, algorithm=algorithm))
            barrier.run(group)


def test_sums_are_close_to_the_exact_ones():
    """The references themselves, against binary64."""
    random = np.random.default_rng(8)
    for dtype, most in zip(DTYPES, (1e-5, 0, 4e-3, 4e-2), strict=True):
        x = numbers(random, (7, 300), dtype)
        exact = x.astype(np.float64).sum(0)
        for algorithm in ("one_shot", "ring"):
            found = all_reduce.reference(x, algorithm=algorithm).astype(np.float64)
            assert np.abs(found - exact).max() <= most * np.abs(x.astype(np.float64)).sum(0).max()


@pytest.mark.slow
def test_a_rack():
    """128 chips, a mebibyte each."""
    pod = Pod("M890", 128)
    x = np.random.default_rng(128).standard_normal((128, 1 << 18)).astype(np.float32)
    same_bits(all_reduce.launch(pod, x), np.broadcast_to(all_reduce.reference(x), x.shape))


# ---- rings -----------------------------------------------------------------------------------------------------------


def test_rings_follow_the_links():
    """On the 8 cards of the 810E four rings, each over links of its own: 32 of the 40 there are."""
    topology = Topology.wired(profile("810E"), 8)
    free = {(link.tail, link.head): link.count for link in topology.links}
    found = rings(topology)
    assert len(found) == 4
    for order in found:
        assert sorted(order) == list(range(8))
        for tail, head in zip(order, order[1:] + order[:1], strict=True):
            free[tail, head] -= 1
    assert min(free.values()) == 0


@pytest.mark.parametrize(
    ("make", "kind", "chips", "count"),
    [
        (Topology.switch, "M890", 8, 1),
        (Topology.ring, "M890", 5, 2),
        (Topology.full, "M890", 5, 4),
        (Topology.wired, "810E", 2, 2),
        (Topology.switch, "M890", 1, 1),
    ],
)
def test_how_many_rings(make, kind, chips, count):
    found = rings(make(profile(kind), chips))
    assert len(found) == count
    assert all(sorted(order) == list(range(chips)) for order in found)


def test_rings_without_a_ring():
    """Chips in a row: their numbers' order, the long way back included."""
    topology = Topology.joined("row", profile("810E"), 4, [(0, 1, 1), (1, 2, 1), (2, 3, 1)])
    assert rings(topology) == ((0, 1, 2, 3),)


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_mistakes():
    pod = Pod(few_cores("M890"), 3, quantum=64)
    x = np.zeros((3, 8), np.float32)
    for wrong, call in {
        r"shape \(3, 'n'\)": lambda: all_reduce.launch(pod, x[:2]),
        r"shape \(3, 3, 'n'\)": lambda: all_to_all.launch(pod, x),
        "elements are f32": lambda: all_reduce.launch(pod, x.astype(np.uint32)),
        "4 or 2 bytes": lambda: all_gather.launch(pod, x.astype(np.float64)),
        "algorithm is one_shot": lambda: all_reduce.launch(pod, x, algorithm="tree"),
        "multiple of that": lambda: all_reduce.launch(pod, x, algorithm="ring", grid=3, orders=[(0, 1, 2), (0, 2, 1)]),
        "each of 3 chips once": lambda: ring_tables([(0, 1, 1)]),
        "no chip 3": lambda: reduce.launch(pod, x, 3),
        "at most once": lambda: send_recv.launch(pod, x, [1, 1, None], x),
        "add up to its rows": lambda: all_to_all.ragged_launch(pod, list(x), np.ones((3, 3))),
        "128 blocks": lambda: all_gather.launch(pod, x, grid=129),
        "multiple of 32 threads": lambda: all_gather.launch(pod, x, block=33),
    }.items():
        with pytest.raises(ValueError, match=wrong):
            call()
    with Group(pod) as group:
        source = group.array(x)
        with pytest.raises(ValueError, match="overlap"):
            all_reduce.run(group, source, source)


def test_trials_pass_as_they_are():
    """What test_collectives_waits.py takes waits out of."""
    assert set(TRIALS) - set(SOURCES) <= set(programs.NAMES)
    for seed, timing in enumerate(("eager", "late")):
        pod = Pod(few_cores("M890", launch_overhead=1e-9), 3, timing=timing, seed=seed, quantum=64)
        for trial in TRIALS.values():
            for found, expected in zip(*trial(pod, np.random.default_rng(seed)), strict=True):
                same_bits(found, expected)
