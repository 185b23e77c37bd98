"""The ICN: links, routes, arrivals, counters and faults, against a slow twin and plain counting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icn_model import HEADER, hops, next_node, on_the_wire, packets_of, simulate, user_bytes, ways, widest

from m890.emulator.faults import Fault
from m890.emulator.icn.faults import LinkFault
from m890.emulator.icn.icn import Icn
from m890.emulator.icn.topology import Topology
from m890.emulator.machine import links
from m890.emulator.machine.wire import ACK, ATOMIC, COPY, DATA, LOAD, PACKET, STORE
from m890.emulator.profiles import M890, PROFILES, Profile

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
            "user": st.integers(0, 512),
        }
    )
    burst = st.fixed_dictionaries(
        {
            "kind": st.sampled_from([COPY, DATA]),
            "returns": st.integers(0, 1),
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
    rest, back, settled = packets, [], 0
    for cut in [*sorted(cuts), None]:
        now = rest["time"] < cut if cut is not None else np.full(len(rest), True)
        arrived = icn.inject(rest[now], cut)
        rest = rest[~now]
        back.append(arrived)
        assert icn.in_flight == len(packets) - len(rest) - sum(map(len, back))
        assert np.all(arrived["arrival"] >= settled)  # what comes earlier was given back before
        places = [arrived[name].tolist() for name in ("dst", "arrival", "src", "seq")]
        assert sorted(zip(*places, strict=True)) == list(zip(*places, strict=True))
        settled = 0 if cut is None else cut + icn.lookahead_ps
        assert icn.earliest is None or icn.earliest >= settled
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


@st.composite
def link_faults(draw, topology):
    """Faults of some links; dead ones only where there is no switch, behind which the first to fail may be another."""
    fault = st.builds(
        lambda link, **values: LinkFault(tail=link.tail, head=link.head, **values),
        st.sampled_from(topology.links),
        slow=st.sampled_from([1.0, 3.0]),
        dead=st.sampled_from([0] if topology.switches else [0, 0, 1, -1]),
        loss=st.sampled_from([0.0, 0.0, 0.02]),
        drops=st.sampled_from([0, 0, 2]),
        at=st.floats(0, 3e-6),
        after=st.sampled_from([0, 1, 5, 40]),
        both=st.booleans(),
    )
    return draw(st.lists(fault, max_size=4)) if topology.links else []


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


def row(src, dst, time=0, user=512, kind=STORE, **more):
    return {"src": src, "dst": dst, "time": time, "user": user, "kind": kind, **more}


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


# Faults.

LINE = TOPOLOGIES["line"][1]


def test_a_slow_link_takes_longer():
    def seconds(**fault):
        faults = [LinkFault(tail=0, head=1, **fault)] if fault else []
        packets = packets_of([row(0, 1, kind=DATA, burst=65536) for _ in range(50)])
        back, _ = send(LINE, Z810E, packets, faults=faults)
        return back["arrival"].max() / 1e12 - Z810E.icn_latency

    assert seconds(slow=4.0) == pytest.approx(4 * seconds(), rel=0.001)
    assert seconds(dead=1) == pytest.approx(1.5 * seconds(), rel=0.001)  # one of three parallel links
    assert seconds(slow=4.0, at=1.0) == seconds()
    half = seconds() / 2
    assert seconds(slow=3.0, after=25 * 256) == pytest.approx(half + 3 * half, rel=0.01)


def test_a_fault_holds_until_the_next():
    packets = packets_of([row(0, 1, time=10_000_000 * n, kind=DATA, burst=65536) for n in range(3)])
    faults = [LinkFault(tail=0, head=1, slow=2.0, at=5e-6), LinkFault(tail=0, head=1, at=15e-6)]
    back, _ = send(LINE, Z810E, packets, faults=faults)
    took = (back["arrival"] - back["time"] - Z810E.icn_latency * 1e12).tolist()
    assert took[0] == took[2]
    assert took[1] == pytest.approx(2 * took[0], rel=0.001)


def test_a_dead_link_is_avoided():
    wired = Topology.wired(Z810E, 8)
    packets = packets_of([row(0, 1, time=1_000_000 * n) for n in range(10)])
    back, icn = send(wired, Z810E, packets, faults=[LinkFault(tail=0, head=1, dead=-1, at=4.5e-6, both=False)])
    took = back["arrival"] - back["time"]
    direct = Z810E.icn_latency * 1e12
    assert np.all(took[:5] < 1.1 * direct)
    assert np.all(took[5:] > 3 * direct)  # by way of 3 and 2, or 6 and 7
    assert np.all(np.diff(back["arrival"]) >= 0)
    used = {(link.tail, link.head): link.packets for link in icn.counters().links if link.packets}
    assert used["chip 0", "chip 1"] == 20
    dead = frozenset([wired.number(0, 1)])
    assert set(used) - {("chip 0", "chip 1")} == {
        (f"chip {link.tail}", f"chip {link.head}") for link in wired.path(0, 1, dead)
    }


def test_packets_keep_their_order_when_a_shorter_way_is_left():
    # Long packets queue on the way of two hops; that link dies; short ones overtake by way of the other two.
    topology = custom([(0, 1, 2), (1, 3, 2), (0, 2, 1), (2, 3, 1)], 4)
    rows = [row(1, 3, kind=DATA, burst=65536) for _ in range(40)]
    rows += [row(0, 3, time=1000 * n, kind=DATA, burst=1000) for n in range(20)]
    faults = [LinkFault(tail=0, head=1, dead=-1, at=10e-9)]
    for cuts in ([], range(1000, 40000, 1500)):
        back, icn = send(topology, Z810E, packets_of(rows), cuts, faults=faults)
        pair = back[back["src"] == 0]
        assert pair["seq"].tolist() == list(range(20))
        assert np.all(np.diff(pair["arrival"]) >= 0)
        assert sum(link.packets for link in icn.counters().links if link.tail == "chip 2") == 40
        alone = 2 * Z810E.icn_latency * 1e12 + 1e6
        assert pair["arrival"][-1] > 10 * alone  # it overtook, and had to wait for those sent before


def test_no_way_left():
    faults = [LinkFault(tail=1, head=2, dead=-1, after=4)]
    icn = Icn(LINE, Z810E, dtype=HEADER, faults=faults)
    assert len(icn.inject(packets_of([row(0, 3)]))) == 1
    with pytest.raises(Fault) as caught:
        icn.inject(packets_of([row(0, 3)]))
    fault = caught.value
    assert (fault.code, fault.chip, fault.peer) == (4224, 0, 3)
    assert str(fault).startswith("XID 4224, ICN switch: no path (rt_nopath): chip 0 to chip 3\n")
    assert "no way from chip 0 to chip 3, on its way at chip 1; dead links: chip 1 to chip 2" in fault.detail
    assert fault.hint
    icn.clear()
    assert icn.in_flight == 0
    assert len(icn.inject(packets_of([row(0, 1), row(3, 2)]))) == 2  # others still have a way
    with pytest.raises(Fault, match="no way from chip 0 to chip 2; dead links"):
        Icn(Topology.switch(M890, 3), M890, dtype=HEADER, faults=[LinkFault(tail=0, head=3, dead=-1)]).inject(
            packets_of([row(0, 2)])
        )


def test_lost_packets_are_sent_again():
    topology = Topology.ring(Z810E, 3)
    packets = packets_of([row(0, 1, time=10_000_000 * n, user=128) for n in range(4)])
    plain, _ = send(topology, Z810E, packets)
    back, icn = send(topology, Z810E, packets, faults=[LinkFault(tail=0, head=1, drops=3, at=5e-6, both=False)])
    late = back["arrival"] - plain["arrival"]
    assert late[0] == late[2] == late[3] == 0
    link = topology.links[topology.number(0, 1)]
    assert late[1] == 3 * (2 * link.latency + -(-146 * 1e12 // link.bandwidth))
    counters = icn.counters()
    (lossy,) = [one for one in counters.links if one.retries]
    assert (lossy.tail, lossy.head, lossy.retries, lossy.packet_errors) == ("chip 0", "chip 1", 3, 0)
    assert (lossy.packets, lossy.user_bytes, lossy.overhead_bytes) == (4, 512, 4 * 18 + 3 * 146)
    assert counters.chips[0].retries == 3
    assert counters.chips[1].received_user_bytes == 512


def test_a_packet_lost_too_often():
    faults = [LinkFault(tail=1, head=2, drops=Z810E.icn_retries + 1)]
    icn = Icn(LINE, Z810E, dtype=HEADER, faults=faults)
    with pytest.raises(Fault) as caught:
        icn.inject(packets_of([row(0, 3)]))
    fault = caught.value
    assert (fault.code, fault.chip, fault.peer) == (4480, 0, 3)
    assert "from chip 1 to chip 2 has lost a packet from chip 0 to chip 3 9 times" in fault.detail
    assert "icn_retries" in fault.hint
    assert icn.counters().chips[1].packet_errors == 1
    icn.clear()
    assert len(icn.inject(packets_of([row(0, 3)]))) == 1  # nothing is lost any more


@MANY
@given(data=st.data())
def test_splitting_changes_nothing_when_links_fail(data):
    profile, topology = TOPOLOGIES["wired"]
    packets = data.draw(traffic(8))
    faults = LinkFault.drawn(topology, data.draw(st.integers(0, 1000)), 4, 3e-6)
    assert faults == tuple(dict.fromkeys(faults))
    cuts = data.draw(st.lists(st.integers(0, 3_100_000), max_size=6))
    whole, one = send(topology, profile, packets, faults=faults)
    parts, other = send(topology, profile, packets, cuts, faults=faults)
    assert key(whole) == key(parts)
    assert one.counters() == other.counters()
    for a in range(8):
        for b in range(8):
            pair = whole[(whole["src"] == a) & (whole["dst"] == b)]
            assert np.all(np.diff(pair["arrival"]) >= 0)


def test_ends_of_a_fault_may_be_names():
    topology = Topology.switch(M890, 2)
    packets = packets_of([row(0, 1, kind=COPY, burst=1 << 16)])
    times = [
        send(topology, M890, packets, faults=[LinkFault(tail=0, head=head, slow=4.0)])[0]["arrival"][0]
        for head in ("s0", 2)
    ]
    assert times[0] == times[1] > send(topology, M890, packets)[0]["arrival"][0]
    with pytest.raises(ValueError, match=r'no link from chip 0 to chip 1: there is \[0, "s0"\]'):
        Icn(topology, M890, faults=[LinkFault(tail=0, head=1)])
    with pytest.raises(ValueError, match=r'no link from switch 0 to switch 1: there is \["s0", 0\]$'):
        Icn(custom([(0, 2, 1), (1, 2, 1), (1, 3, 1)], 2, 2), Z810E, faults=[LinkFault(tail="s0", head="s1")])


def test_drawn_faults_are_those_of_their_seed():
    topology = Topology.wired(Z810E, 8)
    assert LinkFault.drawn(topology, 7, 5) == LinkFault.drawn(topology, 7, 5)
    assert LinkFault.drawn(topology, 7, 5) != LinkFault.drawn(topology, 8, 5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"slow": 0.5}, "slow = 0.5"),
        ({"slow": float("nan")}, "slow = nan"),
        ({"loss": 1.5}, "loss = 1.5"),
        ({"dead": -2}, "dead is a number of links"),
        ({"slow": float("inf")}, "slow = inf"),
        ({"at": -1.0}, "at 0 to 1e6 s"),
        ({"at": float("nan")}, "at 0 to 1e6 s"),
        ({"at": 1e7}, "at 0 to 1e6 s"),
        ({"after": 1 << 63}, "drops and after from 0"),
        ({"dead": 0.5}, "whole numbers, not 0.5, 0, 0"),
        ({"drops": 1.5}, "whole numbers, not 0, 1.5, 0"),
        ({"dead": 4}, "dead = 4: from chip 0 to chip 1 parallel links number 3"),
        ({"head": 3}, r"topology custom has no link from chip 0 to chip 3: there is \[0, 1\]"),
        ({"head": 4}, "4 is no node; there are chips 0 to 3"),
        ({"tail": -1}, "-1 is no node; there are chips 0 to 3"),
        ({"head": "s0"}, "'s0' is no node; there are chips 0 to 3"),
    ],
)
def test_faults_that_cannot_be(values, message: str):
    with pytest.raises(ValueError, match=message):
        Icn(LINE, Z810E, faults=[LinkFault(**{"tail": 0, "head": 1, **values})])
