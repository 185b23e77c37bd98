"""Results as lines of a table: a line at a time, so that columns have fixed widths."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...emulator.sampler import Share
from ..output import digits, duration
from .measure import Result

COLUMNS: tuple[tuple[str, int, Callable[[Result], str]], ...] = (
    ("seconds", 11, lambda r: duration(r.seconds)),
    ("numpy", 11, lambda r: duration(r.numpy_seconds)),
    ("ratio", 8, lambda r: digits(r.ratio)),
    ("unit", 11, lambda r: duration(None if r.unit_ns is None else r.unit_ns / 1e9)),
    ("gflops", 8, lambda r: digits(r.gflops)),
    ("threads", 8, lambda r: "" if r.threads is None else str(r.threads)),
    ("cost", 8, lambda r: digits(r.cost)),
)
"""Title, width and text of every column behind the name."""

LEAST_SHARE = 0.01
"""Of the time, for a line of its own."""


def heading(width: int) -> str:
    """The table's first line; `width` is that of the longest name."""
    return "benchmark".ljust(width) + "".join(title.rjust(size) for title, size, _ in COLUMNS)


def line(result: Result, width: int) -> str:
    """One result."""
    return (result.name.ljust(width) + "".join(text(result).rjust(size) for _, size, text in COLUMNS)).rstrip()


def shares(found: list[Share], looks: int) -> Iterator[str]:
    """What the instructions of each mnemonic took, largest first, by so many looks; small ones in one line."""
    yield f"   share      executed       each  ({looks:,} looks)"
    large = [each for each in found if each.share >= LEAST_SHARE]
    for each in large:
        yield f"  {each.share:6.1%}  {each.executed:>12,}  {duration(each.nanoseconds / 1e9):>9}  {each.mnemonic}"
    if rest := found[len(large) :]:
        share, executed = sum(each.share for each in rest), sum(each.executed for each in rest)
        yield f"  {share:6.1%}  {executed:>12,}             others"
