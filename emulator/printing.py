"""What kernels print: C formats over register words, one text for each active lane, into a bounded console."""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..isa.operands import EMSK, Register
from ..isa.spec import Decoded
from .observe import lanes_in
from .plan import Plan
from .state import SCALAR_ROWS

_SPEC = re.compile(
    r"%(?P<flags>[-+ #0]*)(?P<width>\d*)(?P<precision>(?:\.\d*)?)(?P<size>hh|h|ll|l|z)?(?P<kind>.)", re.S
)
_INTEGERS, _FLOATS = "diuxXoc", "fFeEgGaA"


def _to_stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


@dataclass
class Console:
    """Where a chip's kernels print: a function that takes text, and how many characters a launch may print."""

    write: Callable[[str], object] = _to_stdout
    limit: int = 1 << 20
    printed: int = 0
    dropped: int = 0

    def start(self) -> None:
        """A launch begins."""
        self.printed = self.dropped = 0

    def put(self, text: str) -> None:
        """Write a text, or count it as dropped if the launch has printed too much."""
        if self.printed + len(text) > self.limit:
            self.dropped += 1
            return
        self.printed += len(text)
        self.write(text)

    def finish(self) -> None:
        """The launch is over: say what is missing."""
        if self.dropped:
            self.write(f"... {self.dropped:,} more prints, over the limit of {self.limit:,} characters a launch\n")


def print_from(plan: Plan, slot: int, index: int, record: int, console: Console) -> None:
    """Do the print instruction that a warp has stopped at, the record of that number."""
    found = plan.program.decoded[record]
    assert isinstance(found, Decoded)
    address, first, count = found.values
    assert isinstance(first, Register)
    assert isinstance(address, int)
    assert isinstance(count, int)
    rows = plan.rows(slot, index)
    start = first.number + (SCALAR_ROWS if first.bank == "v" else 0)
    lanes = lanes_in(int(rows[EMSK, 0])) if first.bank == "v" else (0,)
    template = plan.text(address)
    for lane in lanes:
        words = [int(word) for word in rows[start : start + count, lane]]
        console.put(format_words(template, words, plan.text))


def format_words(template: str, words: list[int], text: Callable[[int], str] = str) -> str:
    """A C format applied to 32-bit words; `text` gives the text at an address, for %s.

    A value that is not there prints as `<no value>`, a conversion that does not exist as it stands.
    """
    left = iter(words)

    def one(found: re.Match[str]) -> str:
        if found["kind"] == "%":
            return "%"
        try:
            return _convert(found, left, text)
        except StopIteration:
            return "<no value>"

    return _SPEC.sub(one, template)


def _convert(found: re.Match[str], left: Iterator[int], text: Callable[[int], str]) -> str:
    kind, size = found["kind"], found["size"] or ""
    layout = f"%{found['flags']}{found['width']}{found['precision']}"
    if kind in _INTEGERS:
        bits = {"hh": 8, "h": 16, "l": 64, "ll": 64, "z": 64}.get(size, 32)
        value = (_pair(left) if bits == 64 else next(left)) & (1 << bits) - 1
        if kind in "di":
            value -= (value >> bits - 1) << bits
        return (layout + kind) % (chr(value & 0xFF) if kind == "c" else value)
    if kind in _FLOATS:
        value = struct.unpack("<f", struct.pack("<I", next(left)))[0]
        return (layout + kind) % value if kind not in "aA" else f"%{found['width']}s" % value.hex()
    if kind == "p":
        return f"%{found['width']}s" % hex(_pair(left))
    if kind == "s":
        return (layout + "s") % text(_pair(left))
    return found[0]


def _pair(left: Iterator[int]) -> int:
    low = next(left)
    return low | next(left) << 32
