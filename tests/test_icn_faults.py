"""Links that are slow, lossy or dead."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from icn_model import HEADER, packets_of
from icn_traffic import LINE, MANY, TOPOLOGIES, Z810E, custom, key, row, send, traffic

from m890.emulator.faults import Fault
from m890.emulator.icn.faults import LinkFault
from m890.emulator.icn.icn import Icn
from m890.emulator.icn.topology import Topology
from m890.emulator.machine.wire import COPY, DATA
from m890.emulator.profiles import M890


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
