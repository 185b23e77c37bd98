"""The counters of the interchip links as a table."""

from __future__ import annotations

from collections.abc import Iterator

from ..emulator.icn.counters import IcnCounters
from .output import duration

HEADS = ("link", "packets", "user bytes", "overhead bytes", "retries", "errors", "busy", "longest wait")


def lines(counters: IcnCounters) -> Iterator[str]:
    """A line for each link that something has passed, in columns; times are modelled."""
    rows = [HEADS]
    for link in counters.links:
        if link.packets or link.packet_errors:
            numbers = (link.packets, link.user_bytes, link.overhead_bytes, link.retries, link.packet_errors)
            times = (link.busy, link.most_waited)
            ends = f"{link.tail} to {link.head}" + (f" ({link.links} links)" if link.links > 1 else "")
            rows.append((ends, *(f"{number:,}" for number in numbers), *(duration(time) for time in times)))
    if len(rows) == 1:
        yield "nothing has passed the links"
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    for first, *rest in rows:
        yield "  ".join(
            [f"{first:<{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))]
        )
