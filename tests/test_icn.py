"""The ICN: links, routes, arrivals, counters and faults, against a slow twin and plain counting."""


import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icn_model import HEADER, hops, next_node, on_the_wire, packets_of, simulate, user_bytes, ways, widest

from m890.emulator.icn import Icn
from m890.emulator.icn_faults import LinkFault
from m890.emulator.profiles import M890, PROFILES, Profile
from m890.emulator.topology import Topology
from m890.emulator.wire import ACK, ATOMIC, COPY, DATA, LOAD, STORE

Z810E = PROFILES["810E"]
TWO_DOMAINS = M890.override("two domains", {"domain_chips": 2}, "a test")


def custom(rows, chips, switches=0, **entries):
    return Topology.joined("custom", Z810E, chips, rows, switches=switches, **entries)


TOPOLOGIES = {
    "switch": (M890, Topology.switch(M890, 5)),
    "two domains": (TWO_DOMAINS, Topology.switch(TWO_DOMAINS, 5)),
    "wired": (Z810E, Topology.wired(Z810E, 8)),
    "wired 3": (Z810E, Topology.wired(Z810E, 3)),
    "ring": (Z810E, Topology.ring(Z810E, 5)),
    "ring of ports": (M890, Topology.ring(M890, 4)),
    "full": (M890, Topology.full(M890, 4)),
    "line": (Z810E, custom([(0, 1, 3), (1, 2, 1), (2, 3, 2)], 4)),
    "two ways": (Z810E, custom([(0, 1, 1), (0, 2, 2), (1, 3, 2), (2, 3, 2), (0, 4, 2), (4, 3, 2)], 5)),
    "one": (M890, Topology.of(M890, 1)),
}
MANY = settings(deadline=None, max_examples=25)
EACH = pytest.mark.parametrize(("profile", "topology"), TOPOLOGIES.values(), ids=TOPOLOGIES)


@st.composite
def traffic(draw, chips):
    """Packets of all kinds, many of them close together."""
    row = st.fixed_dictionaries(
        {
            "kind": st.sampled_from([LOAD, STORE, ATOMIC, DATA, ACK]),
            "src": st.integers(0, chips - 1),
            "dst": st.integers(0, chips - 1),
            "time": st.integers(0, 40) | st.integers(0, 3_000_000),
            "mask": st.integers(0, 2**32 - 1),
            "size": st.sampled_from([1, 4, 16]),
        }
    )
    burst = st.fixed_dictionaries(
        {
            "kind": st.sampled_from([COPY, DATA]),
            "src": st.integers(0, chips - 1),
            "dst": st.integers(0, chips - 1),
            "time": st.integers(0, 3_000_000),
            "burst": st.integers(1, 65536),
        }
    )
    return packets_of(draw(st.lists(row | burst, max_size=40)))


def key(packets):
    return sorted(zip(*(packets[name].tolist() for name in ("src", "seq", "arrival")), strict=True))


def send(topology, profile, packets, cuts=(), **options):
    """All packets through an Icn, split at times; what comes back, in one array."""
    icn = Icn(topology, profile, dtype=HEADER, **options)
    rest, back = packets, []
    for cut in sorted(cuts):
        now = rest["time"] < cut
        arrived = icn.inject(rest[now], cut)
        rest = rest[~now]
        back.append(arrived)
        assert icn.in_flight == sum(map(len, [packets])) - len(rest) - sum(map(len, back))
        assert icn.earliest is None or icn.earliest >= cut + icn.lookahead_ps
    back.append(icn.inject(rest))
    assert icn.in_flight == 0
    assert icn.earliest is None
    return np.concatenate(back), icn


# Routes.


@EACH
def test_ways_are_shortest_then_widest_then_lowest(profile: Profile, topology: Topology):
    routes = topology.routes()
    for node in range(topology.nodes):
        for chip in range(topology.chips):
            if node != chip and ways(topology, node, chip):
                assert topology.links[routes[node, chip]].head == next_node(topology, node, chip)
            elif node != chip:
                assert routes[node, chip] == -1
    for a in range(topology.chips):
        for b in range(topology.chips):
            path = topology.path(a, b)
            nodes = [a, *(link.head for link in path)]
            best = ways(topology, a, b)
            assert len(nodes) == len(best[0])
            assert widest(topology, nodes) == max(widest(topology, way) for way in best)


@MANY
@given(st.data())
def test_ways_in_any_graph(data):
    chips = data.draw(st.integers(2, 6))
    tree = [(data.draw(st.integers(0, chip - 1)), chip, data.draw(st.integers(1, 3))) for chip in range(1, chips)]
    more = st.tuples(st.integers(0, chips - 1), st.integers(0, chips - 1), st.integers(1, 3))
    rows = {tuple(sorted(row[:2])): row for row in [*data.draw(st.lists(more, max_size=8)), *tree] if row[0] != row[1]}
    topology = custom(rows.values(), chips)
    routes = topology.routes()
    for node in range(chips):
        for chip in range(chips):
            if node != chip:
                assert topology.links[routes[node, chip]].head == next_node(topology, node, chip)


def test_ways_of_the_810e_wiring():
    wired = Topology.wired(Z810E, 8)
    nodes = {(a, b): [link.head for link in wired.path(a, b)] for a in range(8) for b in range(8)}
    assert nodes[0, 1] == [1]
    assert nodes[0, 7] == [1, 7]  # as wide as by way of 6, and the lower number
    assert nodes[0, 2] == [3, 2] or nodes[0, 2] == [1, 2]
    assert max(len(way) for way in nodes.values()) <= 3
    assert (wired.path(0, 6)[0].count, wired.path(0, 6)[0].bandwidth) == (2, 100e9)


@EACH
def test_nothing_arrives_before_the_lookahead(profile: Profile, topology: Topology):
    times = [
        sum(link.latency for link in topology.path(a, b))
        for a in range(topology.chips)
        for b in range(topology.chips)
        if a != b
    ]
    assert topology.lookahead_ps == min(times, default=1_000_000)


# Arrivals.


@EACH
@MANY
@given(data=st.data())
def test_arrivals_and_counters_are_those_of_the_twin(data, profile: Profile, topology: Topology):
    packets = data.draw(traffic(topology.chips))
    loss = data.draw(st.sampled_from([0.0, 0.0, 0.01]))
    seed = 0
    faults = [LinkFault(tail=x.tail, head=x.head, loss=loss, both=False) for x in topology.links if loss]
    expected, ports = simulate(topology, profile, packets, seed, loss)
    back, icn = send(topology, profile, packets, faults=faults)
    assert key(back) == sorted(zip(packets["src"].tolist(), packets["seq"].tolist(), expected, strict=True))
    for link, row in zip(topology.links, icn.counters().links, strict=True):
        port = ports[link.tail, link.head]
        assert (row.packets, row.user_bytes, row.overhead_bytes, row.retries) == tuple(port.count.values())


@EACH
@MANY
@given(data=st.data())
def test_splitting_changes_nothing(data, profile: Profile, topology: Topology):
    packets = data.draw(traffic(topology.chips))
    seed = data.draw(st.integers(0, 3))
    cuts = data.draw(st.lists(st.integers(0, 3_100_000), max_size=6))
    whole, one = send(topology, profile, packets, seed=seed)
    parts, other = send(topology, profile, packets, cuts, seed=seed)
    assert key(whole) == key(parts)
    assert one.counters() == other.counters()


@EACH
@MANY
@given(data=st.data())
def test_order_and_speed(data, profile: Profile, topology: Topology):
    packets = data.draw(traffic(topology.chips))
    back, _ = send(topology, profile, packets, seed=data.draw(st.integers(0, 3)))
    assert len(back) == len(packets)
    for a in range(topology.chips):
        for b in range(topology.chips):
            pair = back[(back["src"] == a) & (back["dst"] == b)]
            assert sorted(pair["seq"]) == pair["seq"].tolist()  # given back in order,
            assert np.all(np.diff(pair["arrival"]) >= 0)  # and arrived in order
            for packet in pair:
                took = packet["arrival"] - packet["time"]
                path = topology.path(a, b)
                least = sum(link.latency for link in path) or topology.lookahead_ps
                wire = packet["user"] + packet["overhead"]
                least += max((int(wire / link.bandwidth * 1e12) for link in path), default=0)
                assert took >= least


@EACH
@MANY
@given(data=st.data())
def test_bytes_and_packets_are_conserved_at_every_hop(data, profile: Profile, topology: Topology):
    packets = data.draw(traffic(topology.chips))
    back, icn = send(topology, profile, packets)
    passed = {(link.tail, link.head): [0, 0, 0] for link in topology.links}
    for packet in back:
        wire, count = on_the_wire(packet, profile)
        user = user_bytes(packet)
        assert (packet["user"], packet["overhead"]) == (user, wire - user)
        node = int(packet["src"])
        while node != packet["dst"]:
            following = hops(topology)[node, int(packet["dst"])]
            for place, value in enumerate((count, user, wire - user)):
                passed[node, following][place] += value
            node = following
    counters = icn.counters()
    rows = zip(topology.links, counters.links, strict=True)
    assert passed == {(x.tail, x.head): [row.packets, row.user_bytes, row.overhead_bytes] for x, row in rows}
    if topology.switches == 0:
        assert sum(chip.received_bytes for chip in counters.chips) == sum(c.transmitted_bytes for c in counters.chips)
    for chip in counters.chips:
        assert chip.received_bytes == chip.received_user_bytes + chip.received_overhead_bytes
