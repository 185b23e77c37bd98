"""Topologies, and packets sent over them, for the tests of the ICN."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from icn_model import HEADER, packets_of

from m890.emulator.icn.faults import LinkFault
from m890.emulator.icn.icn import Icn
from m890.emulator.icn.topology import Topology
from m890.emulator.machine.wire import ACK, ATOMIC, COPY, DATA, LOAD, STORE
from m890.emulator.profiles import M890, PROFILES

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
MANY = settings(max_examples=25)
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


def row(src, dst, time=0, user=512, kind=STORE, **more):
    return {"src": src, "dst": dst, "time": time, "user": user, "kind": kind, **more}


LINE = TOPOLOGIES["line"][1]
