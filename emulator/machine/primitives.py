"""Names for what the compiled schedule does to raw memory; `lowering` says what they become.

Addresses are host addresses. These functions have no meaning in Python.
"""

from __future__ import annotations

from typing import Any


def call(handler: int, warp: int, record: int) -> int:
    """Run the handler at an address; the next record's address, or STOP plus a code."""
    raise TypeError("only compiled code runs handlers")


def read32(address: int) -> int:
    """The unsigned 32-bit word at an address."""
    raise TypeError("only compiled code reads raw memory")


def read64(address: int) -> int:
    """The signed 64-bit word at an address."""
    raise TypeError("only compiled code reads raw memory")


def write_row(address: int, value: int) -> None:
    """Put a 32-bit value in all lanes of the row at an address."""
    raise TypeError("only compiled code writes raw memory")


def write32(address: int, value: int) -> None:
    """Put a 32-bit value at an address."""
    raise TypeError("only compiled code writes raw memory")


def write64(address: int, value: int) -> None:
    """Put a 64-bit value at an address."""
    raise TypeError("only compiled code writes raw memory")


def copy(target: int, source: int, count: int) -> None:
    """Copy `count` bytes."""
    raise TypeError("only compiled code copies raw memory")


def copy_lines(target: int, source: int, stride: int, ahead: int) -> None:
    """Copy eight lines of LINE bytes, `stride` apart, to where swizzling (mode 0 of `swizzle`) begins anew.

    What lies `ahead` of them will be wanted soon, and need not exist.
    """
    raise TypeError("only compiled code copies raw memory")


def clear(target: int, count: int) -> None:
    """Set `count` bytes to zero."""
    raise TypeError("only compiled code writes raw memory")


def icn_at(address: int) -> Any:
    """The ICN struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def link_at(address: int) -> Any:
    """The LINK struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def flight_at(address: int) -> Any:
    """The FLIGHT struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def pair_at(address: int) -> Any:
    """The PAIR struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def warp_at(address: int) -> Any:
    """The WARP struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def record_at(address: int) -> Any:
    """The RECORD struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def range_at(address: int) -> Any:
    """The RANGE struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def block_at(address: int) -> Any:
    """The BLOCK struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def launch_at(address: int) -> Any:
    """The LAUNCH struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def info_at(address: int) -> Any:
    """The INFO struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def pending_at(address: int) -> Any:
    """The PENDING struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def queue_at(address: int) -> Any:
    """The QUEUE struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def event_at(address: int) -> Any:
    """The EVENT struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def tile_at(address: int) -> Any:
    """The TILE struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def packet_at(address: int) -> Any:
    """The PACKET struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def chip_at(address: int) -> Any:
    """The CHIP struct at an address."""
    raise TypeError("only compiled code reads raw memory")


def entry_at(address: int) -> Any:
    """The ATOMIC_ENTRY struct at an address."""
    raise TypeError("only compiled code reads raw memory")
