"""Streams, events and copies of pods."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pod_kernels import STORE

import m890
from m890 import Event, Fault, LaunchError, Pod


def test_a_stream_does_one_thing_after_the_other_and_streams_wait_for_events():
    pod = Pod(chips=2)
    a, b = (chip.stream() for chip in pod.chips)
    x, y = (chip.empty(64, np.uint32) for chip in pod.chips)
    back = np.zeros(64, np.uint32)
    store = pod.assemble(STORE)["store"]
    begin = a.record()
    store.on(0)[1, 64, a](x, 11)
    done = a.record(Event("stored"))
    b.wait(done)
    b.copy(y, x)
    b.copy(back, y)
    end = b.record()
    assert not done.recorded
    assert not back.any()
    with pytest.raises(ValueError, match="synchronize first"):
        done.time  # noqa: B018
    end.synchronize()
    np.testing.assert_array_equal(back, np.arange(64) + 11)
    assert 0 < begin.elapsed(done) < begin.elapsed(end) <= pod.time
    assert begin.elapsed(done) > pod.profile.launch_overhead


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 1_000_000])
def test_copies_move_every_byte_each_way(size):
    pod = Pod(chips=3)
    source = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    target = np.zeros(size, np.uint8)
    first, second = (pod.chips[chip].empty(size, np.uint8) for chip in (0, 2))
    local = pod.chips[2].empty(size, np.uint8)
    stream = pod.chips[0].stream()
    for to, of in ((first, source), (second, first), (local, second), (target, local)):
        stream.copy(to, of)
    stream.synchronize()
    np.testing.assert_array_equal(target, source)
    counted = pod.icn.counters().chips
    assert (counted[0].transmitted_user_bytes, counted[2].received_user_bytes) == (size, size)


def test_copies_of_rows():
    pod = Pod(chips=2)
    image = np.arange(40 * 50, dtype=np.uint8).reshape(40, 50)
    here, there = pod.chips[0].to_device(image), pod.chips[1].to_device(np.zeros((20, 30), np.uint8))
    back = np.zeros((20, 30), np.uint8)
    stream = pod.chips[1].stream()
    stream.copy_2d(there, 30, here, 50, width=17, rows=20)
    stream.copy_2d(back, 30, there, 30, width=17, rows=20)
    stream.synchronize()
    np.testing.assert_array_equal(back[:, :17], image[:20, :17])
    assert not back[:, 17:].any()


@pytest.mark.parametrize(("kind", "peer"), [("M890", 1), ("810E", 3), ("810E", 1)])
@pytest.mark.parametrize("way", ["read", "write"])
def test_a_copy_takes_as_long_as_its_links(kind, peer, way):
    pod = Pod(kind, chips=4)
    links = pod.icn.topology.path(0, peer)[0].count
    size = 64 << 20
    a, b = (pod.chips[chip].empty(size, np.uint8) for chip in (0, peer))
    stream = pod.chips[0].stream()  # the chip whose engine it is: it writes to the other, or reads from there
    begin = stream.record()
    stream.copy(*((b, a) if way == "write" else (a, b)))
    end = stream.record()
    stream.synchronize()
    measured = dict(getattr(pod.profile, f"icn_{way}_by_links"))[links]
    assert size / begin.elapsed(end) == pytest.approx(measured, rel=0.04 if kind == "M890" else 0.01)


PLACES = st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 5))  # chip or host (3), offset, more pitch


@given(
    moves=st.lists(
        st.tuples(PLACES, PLACES, st.integers(0, 9), st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=12
    ),
    seed=st.integers(0, 3),
)
@settings(max_examples=30)
def test_copies_in_an_order_that_events_keep_do_what_numpy_does(moves, seed):
    """Rows between three chips and the host, by streams of any chip, each behind the one before it."""
    pod = Pod(chips=3, seed=seed)
    rng = np.random.default_rng(0)
    model = [rng.integers(0, 256, 96, np.uint8) for _ in range(4)]
    things = [*(chip.to_device(array) for chip, array in zip(pod.chips, model, strict=False)), model[3].copy()]
    streams = [chip.stream() for chip in pod.chips]
    before = None
    for (to, at, more), (of, start, gap), width, rows, chip in moves:
        if to == of:  # they may overlap; and from host to host is for numpy
            continue
        rows = min(rows, 1 + (96 - at - width) // max(1, width + more), 1 + (96 - start - width) // max(1, width + gap))
        target, source = things[to][at:], things[of][start:]
        stream = streams[chip]
        if before is not None:
            stream.wait(before)
        stream.copy_2d(target, width + more, source, width + gap, width, rows)
        before = stream.record()
        for row in range(rows):
            here, there = at + row * (width + more), start + row * (width + gap)
            model[to][here : here + width] = model[of][there : there + width]
    pod.synchronize()
    for thing, array in zip(things, model, strict=True):
        np.testing.assert_array_equal(np.asarray(thing), array)


def test_what_cannot_be_copied_is_refused():
    pod, other = Pod(chips=1), Pod(chips=1)
    stream = pod.chips[0].stream()
    x = pod.chips[0].empty(10, np.uint8)
    with pytest.raises(LaunchError, match="no chip of this pod"):
        stream.copy(other.chips[0].empty(10, np.uint8), x)
    with pytest.raises(LaunchError, match="target has 10 bytes, the source 9"):
        stream.copy(x, np.zeros(9, np.uint8))
    with pytest.raises(LaunchError, match="numpy array, not list"):
        stream.copy(x, [1, 2])
    with pytest.raises(LaunchError, match="contiguous"):
        stream.copy(np.zeros(20, np.uint8)[::2], x)
    with pytest.raises(LaunchError, match="both sides are on the host"):
        stream.copy(np.zeros(9, np.uint8), np.zeros(9, np.uint8))
    with pytest.raises(LaunchError, match="fit"):
        stream.copy_2d(x, 6, x, 6, 5, 2)
    with pytest.raises(LaunchError, match="cannot begin every"):
        stream.copy_2d(x, 2, x, 2, 5, 2)
    large, hundred = pod.chips[0].empty(300, np.uint8), np.int8(100)
    with pytest.raises(LaunchError, match="400 bytes do not fit"):  # 400 is no int8
        stream.copy_2d(large, hundred, large, hundred, hundred, np.int8(4))
    x.free()
    with pytest.raises(LaunchError, match="freed"):
        stream.copy(x, np.zeros(10, np.uint8))
    with pytest.raises(LaunchError, match="streams belong to"):
        m890.Chip().stream()


@pytest.mark.parametrize("peer", [0, 1])
@pytest.mark.parametrize("what", ["target", "source"])
def test_a_copy_of_what_has_been_freed_since_is_an_error(peer, what):
    """Even if something else is there by now."""
    pod = Pod(chips=2)
    here, there = (pod.chips[chip].to_device(np.zeros(10, np.uint8)) for chip in (0, peer))
    stream = pod.chips[0].stream()
    stream.copy(there, here)
    gone = {"target": there, "source": here}[what]
    gone.free()
    after = pod.chips[gone.chip].to_device(np.full(10, 3, np.uint8))
    assert after.address == gone.address
    with pytest.raises(LaunchError, match=f"the {what} .* was freed before the copy had ended"):
        pod.synchronize()
    assert (after.copy_to_host() == 3).all()
    stream.copy(after, np.ones(10, np.uint8))
    stream.synchronize()
    assert (after.copy_to_host() == 1).all()


def test_events_of_other_pods_are_refused_and_what_is_wrong_with_an_event_is_said():
    pod, other = Pod(chips=1), Pod(chips=1)
    stream = pod.chips[0].stream()
    with pytest.raises(LaunchError, match="of another pod: synchronize it instead"):
        stream.wait(other.chips[0].stream().record())
    with pytest.raises(ValueError, match="no stream has been told to record it"):
        Event().time  # noqa: B018
    begin = stream.record()
    pod.assemble(".kernel wrong\ns.trap\n")["wrong"].on(0)[1, 32, stream]()
    end = stream.record()
    with pytest.raises(Fault):
        pod.synchronize()
    with pytest.raises(ValueError, match="an error ended all work before it; record it again"):
        begin.elapsed(end)
    end.record(stream)
    elsewhere = other.chips[0].stream().record()
    pod.synchronize()
    other.synchronize()
    assert begin.elapsed(end) >= 0
    with pytest.raises(ValueError, match="are of two pods"):
        begin.elapsed(elsewhere)


def test_kernels_of_two_streams_of_a_chip_run_one_at_a_time():
    pod = Pod(chips=1)
    chip = pod.chips[0]
    x, y = chip.empty(64, np.uint32), chip.empty(64, np.uint32)
    store = chip.assemble(STORE)["store"]
    first, second = chip.stream(), chip.stream()
    assert store[1, 64, first](x, 1) == 0
    store[1, 64, second](y, 2)
    store[1, 64, second](x, 3)
    pod.synchronize()
    np.testing.assert_array_equal(x.copy_to_host(), np.arange(64) + 3)
    np.testing.assert_array_equal(y.copy_to_host(), np.arange(64) + 2)
    with pytest.raises(LaunchError, match="no stream of it"):
        store[1, 64, Pod(chips=1).chips[0].stream()](x, 1)
