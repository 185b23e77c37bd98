"""The published figures of the links, computed with packets alone (docs/icn.md), and topologies in TOML."""

import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from icn_model import HEADER

from m890 import Pod
from m890.emulator.icn.icn import Icn
from m890.emulator.icn.topology import Link, Topology
from m890.emulator.machine.wire import ACK, COPY, STORE
from m890.emulator.profiles import M890, PROFILES, Profile

Z810E = PROFILES["810E"]
PAIRS = {1: (0, 3), 2: (0, 1)}
"""Cards of the 810E wiring with so many links between them."""
TEXT = (Path(__file__).parents[1] / "docs" / "icn.md").read_text(encoding="utf-8")


def packets(kind, src, dst, time, **more):
    made = np.zeros(np.broadcast(src, dst, time).size, HEADER)
    values = {"kind": kind, "src": src, "dst": dst, "time": time, "seq": np.arange(len(made))} | more
    for name, value in values.items():
        made[name] = value
    return made


def copied(profile: Profile, reads: bool, source: int, target: int, size: int = 1 << 28) -> float:
    """B/s of a copy in bursts of 64 KiB that leave at once; it `reads` if the target has asked for it."""
    count = size >> 16
    icn = Icn(Topology.of(profile, 8), profile, dtype=HEADER)
    arrived = icn.inject(packets(COPY, [source] * count, target, 0, burst=1 << 16, returns=reads))
    return size / (int(arrived["arrival"].max()) / 1e12)


@pytest.mark.parametrize(("reads", "name"), [(True, "icn_read_by_links"), (False, "icn_write_by_links")])
@pytest.mark.parametrize("links", [1, 2])
def test_copies_between_810e(reads: bool, name: str, links: int):
    speed = copied(Z810E, reads, *PAIRS[links])
    assert speed == pytest.approx(dict(getattr(Z810E, name))[links], rel=0.01)
    assert f"{speed / 1e9:.1f}" in TEXT


def test_copies_between_every_pair_of_m890():
    read, write = copied(M890, True, 0, 1), copied(M890, False, 0, 1)
    assert read == pytest.approx(dict(M890.icn_read_by_links)[1], rel=0.01)
    assert write == pytest.approx(dict(M890.icn_write_by_links)[1], rel=0.03)
    assert f"{read / 1e9:.1f}, {write / 1e9:.1f} GB/s" in TEXT
    for target in range(1, 8):
        assert copied(M890, True, 0, target, 1 << 22) == copied(M890, True, 0, 1, 1 << 22)


def answered(icn: Icn, sent):
    """STOREs and what answers each when it arrives: all of these, in one array. Both share the links."""
    until, back, number = int(sent["time"].min()), [], len(sent)
    while sum(map(len, back)) < 2 * number:
        until += icn.lookahead_ps
        arrived = icn.inject(sent, until)
        back.append(arrived)
        stores = arrived[arrived["kind"] == STORE]
        sent = packets(ACK, stores["dst"], stores["src"], stores["arrival"])
    return np.concatenate(back)


def exchange(icn: Icn, time: int, sources, targets, flags) -> tuple[int, int]:
    """512-byte stores, their acknowledgements, then a flag for each pair: the last flag is there, the last one's is."""
    data = answered(icn, packets(STORE, sources, targets, time, user=512))
    acks = data[data["kind"] == ACK]
    begin = np.array([acks["arrival"][acks["dst"] == source].max() for source, _ in flags])
    ends = answered(icn, packets(STORE, *np.array(flags).T, begin, user=4))
    return tuple(int(ends["arrival"][ends["kind"] == kind].max()) for kind in (STORE, ACK))


def test_a_small_exchange_leaves_some_of_the_small_all_reduce_to_the_program():
    icn = Icn(Topology.of(M890, 8), M890, dtype=HEADER)
    flags = [(a, b) for a in range(8) for b in range(8) if a != b]
    _, end = exchange(icn, 0, *np.array(flags).T, flags)
    seconds = M890.launch_overhead + end / 1e12
    measured = dict(M890.all_reduce_small_by_chips)[8]
    assert 0.8 * measured < seconds < measured
    assert f"| {seconds * 1e6:.1f} us |" in TEXT


def ring_step(chips: int, chunk: int) -> float:
    """Seconds that a step of a ring takes in which every chip sends so many bytes to the next."""
    icn = Icn(Topology.of(M890, chips), M890, dtype=HEADER)
    sources = np.repeat(np.arange(chips), chunk // 512)
    end, _ = exchange(icn, 0, sources, (sources + 1) % chips, [(chip, (chip + 1) % chips) for chip in range(chips)])
    return end / 1e12


def ring_bus(chips: int, size: int) -> float:
    """Bus bandwidth of a ring all-reduce: steps of more than 2 MiB on a line through those of 1 and 2."""
    steps, chunk = 2 * (chips - 1), size // chips
    half, whole = ring_step(chips, 1 << 20), ring_step(chips, 2 << 20)
    step = half + (whole - half) * (chunk / (1 << 20) - 1)
    return size * steps / chips / (M890.launch_overhead + steps * step)


def test_rings():
    eight = {size: ring_bus(8, size) for size in dict(M890.all_reduce_bus_by_bytes)}
    for size, measured in M890.all_reduce_bus_by_bytes:
        assert eight[size] == pytest.approx(measured, rel=0.1)
    sixteen = ring_bus(16, 2 << 30)
    assert sixteen == pytest.approx(M890.all_reduce_bus_16, rel=0.1)
    figures = ", ".join(f"{bus / 1e9:.0f}" for bus in (*eight.values(), sixteen))
    assert f"| {figures} GB/s bus bandwidth |" in TEXT
    assert 2.7e-6 <= ring_step(8, 512) < 3e-6


def test_parameters_of_the_page_are_those_of_the_profiles():
    assert f"{M890.icn_latency * 1e9:.0f} ns | {Z810E.icn_latency * 1e9:.0f} ns" in TEXT
    assert f"{M890.launch_overhead * 1e6:.1f} us" in TEXT
    for one in (M890, Z810E):
        assert (one.icn_header_bytes, one.icn_packet_bytes, one.icn_line_bytes) == (10, 256, 128)
        assert (one.icn_address_bytes, one.icn_flit_bytes, one.issue_width) == (8, 2, 4)


# Topologies.


@pytest.mark.parametrize(
    ("make", "chips"),
    [
        (partial(Topology.switch, M890), 20_000),
        (partial(Topology.ring, M890), 50_000),
        (partial(Topology.full, M890), 1_500),
        (partial(Pod, M890), 50_000),
    ],
)
def test_too_many_chips_are_refused_before_anything_is_made_for_each(make: Callable[[int], object], chips: int):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"a pod has 1 to 128 chips, not {chips}"):
            make(chips)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_switch_for_any_number_of_chips():
    for chips in (1, 2, 8, 16, 63, 64):
        topology = Topology.switch(M890, chips)
        assert topology.switches == (1 if chips > 1 else 0)
        assert len(topology.links) == (2 * chips if chips > 1 else 0)
        assert all(link.bandwidth == 400e9 for link in topology.links)
    rack = Topology.switch(M890, 128)
    assert rack.switches == 2
    latency = {pair: sum(link.latency for link in rack.path(*pair)) for pair in ((0, 63), (0, 64), (127, 64))}
    assert latency == {(0, 63): 900_000, (0, 64): 1_050_000, (127, 64): 900_000}
    assert rack.lookahead_ps == 900_000
    with pytest.raises(ValueError, match="1 to 128 chips, not 129"):
        Topology.switch(M890, 129)
    with pytest.raises(ValueError, match="1 to 128 chips, not 0"):
        Topology.switch(M890, 0)
    slow = M890.override("slow", {"switch_latency": 1e-6}, "a test")
    with pytest.raises(ValueError, match="slow: icn_latency includes that of the switch"):
        Topology.switch(slow, 2)


def test_links_are_shared_among_neighbours():
    assert {link.bandwidth for link in Topology.ring(Z810E, 8).links} == {150e9}
    assert {link.bandwidth for link in Topology.ring(Z810E, 2).links} == {350e9}
    assert {link.bandwidth for link in Topology.ring(M890, 8).links} == {200e9}
    assert {link.bandwidth for link in Topology.full(Z810E, 8).links} == {50e9}
    assert {link.bandwidth for link in Topology.full(Z810E, 3).links} == {150e9}
    assert {link.bandwidth for link in Topology.full(M890, 5).links} == {100e9}
    assert len(Topology.full(M890, 128).links) == 128 * 127
    with pytest.raises(ValueError, match="810E: 7 links do not join a chip to 8 others"):
        Topology.full(Z810E, 9)


def test_chips_for_which_there_is_no_wiring():
    for chips in range(1, 9):
        assert Topology.of(Z810E, chips).chips == chips
    with pytest.raises(ValueError, match="M890 has no wiring: choose switch, ring, full, or a topology file"):
        Topology.wired(M890, 2)
    with pytest.raises(ValueError, match="810E: its wiring joins 8 chips, not 16; choose a ring, full, or a topology"):
        Topology.of(Z810E, 16)
    much = Z810E.override("much", {"icn_wiring": [[0, 1, 8]]}, "a test")
    with pytest.raises(ValueError, match="much: the wiring has 8 links at chip 0, which has 7"):
        Topology.of(much, 2)


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "links.toml"
        path.write_text(text)
        return path

    return write


def test_a_topology_of_ones_own(toml):
    (block,) = [text.split("```")[0] for text in TEXT.split("```toml\n")[1:]]
    topology = Topology.from_toml(toml(block), Z810E, 4)
    assert (topology.chips, topology.switches) == (4, 1)
    assert topology.links[:4] == tuple(
        Link(a, b, n, n * 50e9, 750_000) for a, b, n in ((0, 1, 2), (1, 0, 2), (1, 2, 1), (2, 1, 1))
    )
    assert [link.head for link in topology.path(0, 3)] == [1, 2, 4, 3]
    fast = Topology.from_toml(toml("links = [[0, 1, 3]]\nbandwidth = 1e9\nlatency = 1e-9"), M890, 2)
    assert fast.links == (Link(0, 1, 3, 3e9, 1000), Link(1, 0, 3, 3e9, 1000))
    for kind in ("switch", "wired", "ring", "full"):
        made = Topology.from_toml(toml(f'kind = "{kind}"'), Z810E, 6)
        assert made == getattr(Topology, kind)(Z810E, 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"give a kind \(switch, wired, ring, full\) or links"),
        ("bandwidth = 5e9", r"give a kind \(switch, wired, ring, full\) or links"),
        ('kind = ["ring"]', r"kind = \['ring'\]: there is"),
        ('kind = "star"', "kind = 'star': there is"),
        ('kind = "ring"\nlatency = 1e-6', "kind = 'ring' stands alone"),
        ('kind = "ring"\nlinks = [[0, 1]]', "exclude each other"),
        ('kinds = "ring"', "unknown key 'kinds': there is kind, links"),
        ("links = 3", "links is a list of"),
        ("links = []", "links is a list of"),
        ("links = [[0]]", r"links has \[0\], which should be"),
        ("links = [[0, 1, 0]]", "0 is no number of parallel links"),
        ("links = [[0, 1, true]]", "True is no number of parallel links"),
        ("links = [[0, 4]]", r"links has \[0, 4\]: 4 is no node; there are chips 0 to 3"),
        ('links = [[0, "s0"]]', "'s0' is no node"),
        ("links = [[0, 0]]", r"no link can be \(0, 0, 1\)"),
        ("links = [[0, 1], [1, 0], [1, 2], [2, 3]]", "two entries for one pair"),
        ("links = [[0, 1], [1, 2]]", "no way from chip 0 to chip 3; add a link"),
        ("links = [[0, 1], [1, 2], [2, 3]]\nswitches = 1.5", "switches = 1.5 should be a whole number from 0"),
        ("links = [[0, 1], [1, 2], [2, 3]]\nswitches = -1", "switches = -1 should be a whole number from 0"),
        ("links = [[0, 1], [1, 2], [2, 3]]\nswitches = 1000000000", "no link to switch 0; add one, or leave it out"),
        (
            'links = [[0, 1], [1, 2], [2, 3], ["s0", "s1"]]\nswitches = 2',
            "no way from switch 0 to chip 0; add a link",
        ),
        ("links = [[0, 1]]\nbandwidth = 0", "bandwidth and latency are above 0"),
        ("links = [[0, 1]]\nbandwidth = nan", "bandwidth = nan should be a finite number"),
        ("links = [[0, 1]]\nlatency = inf", "latency = inf should be a finite number"),
        ('links = [[0, 1]]\nlatency = "1"', "latency = '1' should be a finite number"),
        ("links = [[0, 1]]\nbandwidth = 10", "from chip 0 to chip 1 10 B/s and 7.5e-07 s: a link has 1e.06 to"),
        ("links = [[0, 1]]\nlatency = 2", "from chip 0 to chip 1 5e.10 B/s and 2 s: a link has"),
        ("links = ", "Invalid value"),
    ],
)
def test_errors_in_topologies_name_file_and_key(toml, text: str, message: str):
    with pytest.raises(ValueError, match=r"links\.toml: .*" + message):
        Topology.from_toml(toml(text), Z810E, 4)
