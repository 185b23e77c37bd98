"""The links of the ICN and what is under way on them, as plain data. All times are integer picoseconds."""

from __future__ import annotations

import numpy as np

from .structs import struct

LINK = struct(
    192,
    ("tail", "i8"),  # the node it leaves,
    ("head", "i8"),  # and the one it enters
    ("rate", "i8"),  # femtoseconds a byte
    ("latency", "i8"),  # from the first byte in to the first byte out
    ("free", "i8"),  # when it has sent all that has entered it
    ("loss", "i8"),  # a packet is lost if a draw of 31 bits is below this
    ("drops", "i8"),  # transmissions that will be lost whatever is drawn
    ("draws", "i8"),  # draws so far
    ("fault_time", "i8"),  # the next change of the link: from this time on,
    ("fault_packets", "i8"),  # or after so many packets
    ("packets", "i8"),  # counters: packets that have passed,
    ("user", "i8"),  # bytes of data in them,
    ("overhead", "i8"),  # and all other bytes, those sent again included
    ("retries", "i8"),
    ("errors", "i8"),  # packets given up
    ("busy", "i8"),  # time it has been sending
    ("waited", "i8"),  # time packets have waited for it,
    ("most_waited", "i8"),  # and the longest
)
"""A directed link, or all parallel links between two nodes together."""

FLIGHT = struct(
    128,
    ("head", "i8"),  # when its first byte is at the node,
    ("tail", "i8"),  # and its last
    ("node", "i8"),
    ("src", "i8"),
    ("dst", "i8"),
    ("rank", "i8"),  # decides between flights of one time: source and sequence number
    ("order", "i8"),  # its number among those from src to dst; -1: it has not begun
    ("wire", "i8"),  # bytes on the link,
    ("user", "i8"),  # and how many of them are data
    ("packets", "i8"),  # packets of the link, of which long data takes several
    ("arrival", "i8"),
    ("next", "i8"),  # the next flight that is held back; -1: none
)
"""A PACKET on its way."""

PAIR = np.dtype([("sent", "i8"), ("expected", "i8"), ("last", "i8"), ("held", "i8")])
"""From one chip to another: flights begun, the one to arrive next, the last arrival, flights held back until then."""

ICN = struct(
    256,
    ("chips", "i8"),
    ("links", "i8"),  # LINK structs
    ("routes", "i8"),  # int64 by node and destination: the link to take, or -1
    ("before", "i8"),  # int64 by node: nothing that a chip sends is there in less time
    ("pairs", "i8"),  # PAIR structs by source and destination
    ("flights", "i8"),  # FLIGHT structs,
    ("packets", "i8"),  # the PACKETs they are,
    ("packet_size", "i8"),  # bytes from one to the next,
    ("free", "i8"),  # and a stack of int64: the numbers of those not in use
    ("free_count", "i8"),
    ("heap", "i8"),  # time, rank and number of flights at a node, a binary heap
    ("heap_count", "i8"),
    ("arrived", "i8"),  # int64 numbers of flights that have ended
    ("arrived_count", "i8"),
    ("until", "i8"),  # all that is sent before has been injected
    ("local", "i8"),  # time from a chip to itself
    ("retries", "i8"),  # most retries of a packet
    ("seed", "i8"),
    ("jitter", "i8"),  # most time added to an arrival
    ("flight", "i8"),  # the one a stop is about, or -1,
    ("link", "i8"),  # and the link
    ("header_bytes", "i8"),  # how packets look on a link: see docs/icn.md
    ("address_bytes", "i8"),
    ("packet_bytes", "i8"),
    ("line_bytes", "i8"),
    ("flit_bytes", "i8"),
)
"""The links of a pod."""
