"""What chips of a pod send each other, and what joins one to the others, as plain data.

A warp's access to other chips becomes one request for each of them. Each request is answered by one packet: a LOAD, and
an ATOMIC that gives something back, by DATA; a STORE, an ATOMIC without result and a COPY by an ACK. Times are integer
picoseconds of the pod's modelled clock.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...isa.lanes import LANES
from .structs import offset_of, struct

LOAD, STORE, ATOMIC, DATA, ACK, COPY = 1, 2, 3, 4, 5, 6
"""Kinds of packets."""

PACKET = struct(
    896,
    ("kind", "i8"),
    ("src", "i8"),  # numbers of the chips it goes from
    ("dst", "i8"),  # and to
    ("time", "i8"),  # when it was sent,
    ("arrival", "i8"),  # and when it arrives: filled by the links
    ("seq", "i8"),  # how many packets its source has sent before
    ("tag", "i8"),  # the sender's own, given back in the answer; negative: no warp waits for it
    ("mask", "i8"),  # lanes that ask for something
    ("size", "i8"),  # bytes a lane accesses
    ("returns", "i8"),  # registers that an ATOMIC gives back; of a COPY, 1 if its target has asked for it
    ("word", "i8"),  # of an ATOMIC, 1 + its instruction's number in the table; of a COPY, the host address of its bytes
    ("user", "i8"),  # bytes of data on the wire,
    ("overhead", "i8"),  # and others: filled by the links
    ("burst", "i8"),  # bytes of a COPY
    ("unused", "i8", 2),  # no byte is without a field: numpy leaves such bytes out where it copies packets
    ("address", "i8", LANES),  # guest addresses; of a COPY, the first one
    ("data", "u1", 16 * LANES),  # `size` bytes a lane; of an ATOMIC, and its DATA, rows of 32 words as in registers
)
"""One packet. What stands before `address` is its header; `address` and `data` are its payload."""
HEADER_BYTES = offset_of(PACKET, "address")
assert np.result_type(PACKET, PACKET).itemsize == PACKET.itemsize

CHIP = struct(
    256,
    ("number", "i8"),
    ("time", "i8"),  # the border the chip stands at, or that begins the quantum it is in,
    ("until", "i8"),  # and the one at which it stops: multiples of quantum_ps
    ("quantum", "i8"),  # instructions between two borders,
    ("quantum_ps", "i8"),  # and the modelled time they take
    ("left", "i8"),  # instructions left of a quantum that was interrupted; -1: at a border
    ("debt", "i8"),  # modelled time its matrix instructions still owe
    ("launch", "i8"),  # LAUNCH of the kernel that runs, or 0,
    ("epoch", "i8"),  # and its number on this chip, below 2 ** 23: answers to an earlier one are dropped
    ("inbox", "i8"),  # PACKETs in the order of their arrival,
    ("inbox_count", "i8"),  # how many,
    ("inbox_next", "i8"),  # and the first not yet taken in
    ("outbox", "i8"),  # PACKETs sent in this window,
    ("outbox_count", "i8"),  # how many,
    ("outbox_capacity", "i8"),  # and with how many of them warps must wait for the next window
    ("seq", "i8"),  # packets sent so far
    ("ranges", "i8"),  # RANGEs of its own HBM
    ("range_count", "i8"),
    ("atomics", "i8"),  # ATOMIC_ENTRYs it has learned
    ("atomic_count", "i8"),
    ("unknown", "i8"),  # the ATOMIC word it has stopped for
    ("scratch", "i8"),  # the warp on which ATOMICs of others act
    ("idle", "i8"),  # all warps wait, and nothing has come for them
)
"""What joins a chip to its pod."""

ATOMIC_ENTRY = struct(32, ("word", "i8"), ("handler", "i8"), ("record", "i8"))
"""How an ATOMIC of others is done here: the handler to call for it, and with which record."""


def raw_bytes(packets: np.ndarray) -> npt.NDArray[np.uint8]:
    """The bytes of PACKETs, a row for each."""
    return packets.view(np.uint8).reshape(len(packets), PACKET.itemsize)
