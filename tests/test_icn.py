"""The ICN: links, routes, arrivals and counters, against a slow twin and plain counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from icn_model import HEADER, hops, next_node, on_the_wire, packets_of, simulate, user_bytes, ways, widest
from icn_traffic import EACH, MANY, Z810E, custom, key, link_faults, row, send, traffic

from m890.emulator.faults import Fault
from m890.emulator.icn.faults import LinkFault
from m890.emulator.icn.icn import Icn
from m890.emulator.icn.topology import Topology
from m890.emulator.machine import links
from m890.emulator.machine.wire import ACK, COPY, DATA, PACKET, STORE
from m890.emulator.profiles import M890, Profile

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


@EACH
@MANY
@given(data=st.data())
def test_arrivals_and_counters_are_those_of_the_twin(data, profile: Profile, topology: Topology):
    packets = data.draw(traffic(topology.chips))
    options = {"seed": data.draw(st.integers(0, 2)), "faults": data.draw(link_faults(topology))}
    expected, ports = simulate(topology, profile, packets, **options)
    if isinstance(expected, tuple):
        with pytest.raises(Fault) as caught:
            send(topology, profile, packets, **options)
        assert (caught.value.code, caught.value.chip) == expected
        return
    back, icn = send(topology, profile, packets, data.draw(st.lists(st.integers(0, 3_100_000), max_size=4)), **options)
    assert key(back) == sorted(zip(packets["src"].tolist(), packets["seq"].tolist(), expected, strict=True))
    for link, sent in zip(topology.links, icn.counters().links, strict=True):
        port = ports[link.tail, link.head]
        assert (sent.packets, sent.user_bytes, sent.overhead_bytes, sent.retries) == tuple(port.count.values())


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


def test_two_flows_share_a_port_and_two_ports_do_not():
    def finish(*pairs):
        rows = [row(a, b, kind=DATA, burst=65536) for a, b in pairs for _ in range(64)]
        back, _ = send(Topology.switch(M890, 4), M890, packets_of(rows))
        return back["arrival"].max() - M890.icn_latency * 1e12

    alone = finish((0, 1))
    assert finish((0, 1), (2, 3)) == alone
    assert finish((0, 1), (1, 0)) == alone  # each way
    assert finish((0, 2), (1, 2)) == pytest.approx(2 * alone, rel=0.01)
    assert finish((0, 1), (0, 2)) == pytest.approx(2 * alone, rel=0.01)
    for flows in ([(0, 2), (1, 2)], [(0, 1), (0, 2), (0, 3)]):
        seconds = finish(*flows) / 1e12
        assert 64 * 65536 * len(flows) / seconds <= M890.icn_bandwidth


def test_a_late_packet_of_another_chip_does_not_wait_for_all_that_was_sent_before():
    rows = [row(0, 1, time=0, kind=DATA, burst=65536) for _ in range(100)]
    back, _ = send(Topology.switch(M890, 3), M890, packets_of([*rows, row(2, 1, time=1000)]))
    (flag,) = back[back["src"] == 2]
    assert flag["arrival"] < 1_500_000  # the last of the others arrives after 17 us
    assert back["arrival"].max() > 10_000_000


def test_what_comes_late_counts_as_sent_when_time_had_come_so_far():
    icn = Icn(Topology.switch(M890, 2), M890, dtype=HEADER)
    assert len(icn.inject(packets_of([row(0, 1)]), 5_000_000)) == 1
    assert len(icn.inject(packets_of([row(0, 1)]), 4_000_000)) == 0
    late = icn.inject(packets_of([row(0, 1, time=1)]))
    assert len(late) == 2
    assert np.all(late["arrival"] > 5_000_000 + icn.lookahead_ps)


def test_packets_of_one_time_are_given_back_in_the_order_of_their_sources():
    rows = [row(7, 4, time=0, kind=ACK, user=0), row(5, 4, time=100, kind=ACK, user=0)]  # over one link, over two
    back, _ = send(Topology.wired(Z810E, 8), Z810E, packets_of(rows))
    assert back["arrival"].tolist() == [750_200, 750_200]
    assert back["src"].tolist() == [5, 7]


def test_a_packet_keeps_its_payload():
    packets = np.zeros(3, PACKET)
    packets["kind"], packets["dst"], packets["seq"] = STORE, [1, 0, 1], range(3)
    packets["data"] = np.arange(3)[:, None]
    back = Icn(Topology.switch(M890, 2), M890).inject(packets)
    assert back["seq"].tolist() == [1, 0, 2]
    assert np.all(back["data"] == back["seq"][:, None])
    with pytest.raises(ValueError, match="not of the type"):
        Icn(Topology.switch(M890, 2), M890).inject(np.zeros(1, HEADER))
    with pytest.raises(ValueError, match="begin with the header of PACKET; kind"):
        Icn(Topology.switch(M890, 2), M890, dtype=np.dtype([("time", "i8")]))


@pytest.mark.parametrize("end", ["src", "dst"])
@pytest.mark.parametrize("chip", [-1, 2, 1 << 40])
def test_a_chip_that_does_not_exist(end: str, chip: int):
    packets = packets_of([row(0, 1)])
    packets[end] = chip
    with pytest.raises(ValueError, match=f"packet's {end} is none of the 2 chips"):
        Icn(Topology.switch(M890, 2), M890, dtype=HEADER).inject(packets)


@pytest.mark.parametrize(("name", "value"), [("user", -1), ("burst", -1), ("time", -1), ("time", 1 << 61)])
def test_numbers_that_a_packet_cannot_have(name: str, value: int):
    packets = packets_of([row(0, 1), row(1, 0)])
    packets[name][1] = value
    with pytest.raises(ValueError, match="user, burst and time are 0 to"):
        Icn(Topology.switch(M890, 2), M890, dtype=HEADER).inject(packets)


def test_the_longest_that_there_is():
    slow = Topology.joined("slow", M890, 2, [(0, 1, 1)], 1e6, 1.0)
    faults = [LinkFault(tail=0, head=1, slow=1000.0)]
    back, _ = send(slow, M890, packets_of([row(0, 1, kind=COPY, burst=1 << 16, time=10**18)]), faults=faults)
    assert back["arrival"][0] - 10**18 == 10**12 + (65536 + 256 * 18) * 10**9


def test_seeds_delay_packets_each_in_its_way():
    packets = packets_of([row(a, b, time=100 * n) for n in range(20) for a in range(3) for b in range(3)])
    arrivals = [key(send(Topology.switch(M890, 3), M890, packets, seed=seed)[0]) for seed in (0, 1, 1, 2)]
    assert arrivals[1] == arrivals[2]
    assert len({tuple(one) for one in arrivals}) == 3
    most = 4 * M890.icn_latency * 1e12
    for (_, _, plain), (_, _, late) in zip(arrivals[0], arrivals[1], strict=True):
        assert plain <= late <= plain + most + 100_000
    shares = np.array([links.lateness(links.draw(1, 5, n), 1 << 20) for n in range(1000)]) / (1 << 20)
    assert shares.min() >= 0
    assert shares.max() > 0.98
    np.testing.assert_allclose(
        [np.mean(shares < 1 / 8), np.mean(shares > 1 / 2)], [1 / 2, 1 - 0.5 ** (1 / 3)], atol=0.05
    )
    assert key(send(Topology.switch(M890, 3), M890, packets, seed=1, jitter=0)[0]) == arrivals[0]
