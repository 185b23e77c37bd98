"""The published figures of the links, computed with packets alone (docs/icn.md), and topologies in TOML."""

from pathlib import Path

import numpy as np
import pytest
from icn_model import HEADER

from m890.emulator.icn import Icn
from m890.emulator.profiles import M890, PROFILES, Profile
from m890.emulator.topology import Link, Topology
from m890.emulator.wire import ACK, COPY, DATA, STORE

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


def copied(profile: Profile, kind: int, source: int, target: int, size: int = 1 << 28) -> float:
    """B/s of a copy in bursts of 64 KiB that leave at once."""
    count = size >> 16
    icn = Icn(Topology.of(profile, 8), profile, dtype=HEADER)
    arrived = icn.inject(packets(kind, [source] * count, target, 0, burst=1 << 16))
    return size / (int(arrived["arrival"].max()) / 1e12)


@pytest.mark.parametrize(("kind", "name"), [(DATA, "icn_read_by_links"), (COPY, "icn_write_by_links")])
@pytest.mark.parametrize("links", [1, 2])
def test_copies_between_810e(kind: int, name: str, links: int):
    speed = copied(Z810E, kind, *PAIRS[links])
    assert speed == pytest.approx(dict(getattr(Z810E, name))[links], rel=0.01)
    assert f"{speed / 1e9:.1f}" in TEXT


def test_copies_between_every_pair_of_m890():
    read, write = copied(M890, DATA, 0, 1), copied(M890, COPY, 0, 1)
    assert read == pytest.approx(dict(M890.icn_read_by_links)[1], rel=0.01)
    assert write == pytest.approx(dict(M890.icn_write_by_links)[1], rel=0.03)
    assert f"{read / 1e9:.1f}, {write / 1e9:.1f} GB/s" in TEXT
    for target in range(1, 8):
        assert copied(M890, DATA, 0, target, 1 << 22) == copied(M890, DATA, 0, 1, 1 << 22)


def exchange(icn: Icn, time: int, sources, targets, flags) -> tuple[int, int]:
    """512-byte stores, their acknowledgements, then a flag for each pair: the last flag is there, the last one's is."""
    stores = icn.inject(packets(STORE, sources, targets, time, user=512))
    acks = icn.inject(packets(ACK, stores["dst"], stores["src"], stores["arrival"]))
    begin = np.array([acks["arrival"][acks["dst"] == source].max() for source, _ in flags])
    there = icn.inject(packets(STORE, *np.array(flags).T, begin, user=4))
    back = icn.inject(packets(ACK, there["dst"], there["src"], there["arrival"]))
    return int(there["arrival"].max()), int(back["arrival"].max())


@pytest.mark.parametrize("chips", [8, 16])
def test_a_small_exchange_takes_about_as_long_as_the_small_all_reduces(chips: int):
    icn = Icn(Topology.of(M890, chips), M890, dtype=HEADER)
    flags = [(a, b) for a in range(chips) for b in range(chips) if a != b]
    _, end = exchange(icn, 0, *np.array(flags).T, flags)
    seconds = M890.launch_overhead + end / 1e12
    assert seconds == pytest.approx(dict(M890.all_reduce_small_by_chips)[chips], rel=0.25)
    assert f"{seconds * 1e6:.1f} us" in TEXT


def test_a_ring_of_eight():
    size, chips = 16 << 20, 8
    icn = Icn(Topology.of(M890, chips), M890, dtype=HEADER)
    sources = np.repeat(np.arange(chips), size // chips // 512)
    ring = [(chip, (chip + 1) % chips) for chip in range(chips)]
    time = round(M890.launch_overhead * 1e12)
    for _ in range(2 * (chips - 1)):
        time, _ = exchange(icn, time, sources, (sources + 1) % chips, ring)
    bus = size * 2 * (chips - 1) / chips / (time / 1e12)
    assert bus == pytest.approx(dict(M890.all_reduce_bus_by_bytes)[size], rel=0.1)
    assert f"| {bus / 1e9:.0f} GB/s bus bandwidth |" in TEXT
    step, _ = exchange(icn, time, *np.array(ring).T, ring)
    assert 2.7e-6 <= (step - time) / 1e12 < 3e-6


def test_parameters_of_the_page_are_those_of_the_profiles():
    assert f"{M890.icn_latency * 1e9:.0f} ns | {Z810E.icn_latency * 1e9:.0f} ns" in TEXT
    assert f"{M890.launch_overhead * 1e6:.1f} us" in TEXT
    for one in (M890, Z810E):
        assert (one.icn_header_bytes, one.icn_packet_bytes, one.icn_line_bytes) == (10, 256, 128)
        assert (one.icn_address_bytes, one.icn_flit_bytes, one.issue_width) == (8, 2, 4)


# Topologies.


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
    fast = Topology.from_toml(toml("links = [[0, 1, 3]]\nbandwidth = 10\nlatency = 1e-9"), M890, 2)
    assert fast.links == (Link(0, 1, 3, 30.0, 1000), Link(1, 0, 3, 30.0, 1000))
    for kind in ("switch", "wired", "ring", "full"):
        made = Topology.from_toml(toml(f'kind = "{kind}"'), Z810E, 6)
        assert made == getattr(Topology, kind)(Z810E, 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "kind = None: there is switch, wired, ring, full, or give links"),
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
        ("links = [[0, 1]]\nbandwidth = 0", "bandwidth and latency are above 0"),
        ("links = [[0, 1]]\nbandwidth = nan", "bandwidth = nan should be a finite number"),
        ("links = [[0, 1]]\nlatency = inf", "latency = inf should be a finite number"),
        ('links = [[0, 1]]\nlatency = "1"', "latency = '1' should be a finite number"),
        ("links = ", "Invalid value"),
    ],
)
def test_errors_in_topologies_name_file_and_key(toml, text: str, message: str):
    with pytest.raises(ValueError, match=r"links\.toml: .*" + message):
        Topology.from_toml(toml(text), Z810E, 4)
