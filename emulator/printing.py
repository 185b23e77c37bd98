"""What kernels print: C formats over register words, one text for each active lane, into a bounded console."""

from __future__ import annotations

import math
import re
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..isa.registers import EMSK, Register
from ..isa.spec import Decoded
from .machine.state import SCALAR_ROWS
from .observe import lanes_in
from .plan import Plan

_SPEC = re.compile(
    r"%(?P<flags>[-+ #0]*)(?P<width>[0-9]*)(?:\.(?P<precision>[0-9]*))?(?P<size>hh|h|ll|l|z)?(?P<kind>.)", re.S
)
_INTEGERS, _FLOATS = "diuxXo", "fFeEgGaA"
MOST_DIGITS = 4096
"""The widest a conversion is made, and its highest precision."""


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
        """Write a text; once the launch has printed too much, count this and all that follow as dropped."""
        if self.dropped or self.printed + len(text) > self.limit:
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
    address = found.values[0]
    assert isinstance(address, int)
    rows, template = plan.rows(slot, index), plan.text(address)
    values = rows[:0]
    for value in found.values[1:]:
        assert isinstance(value, Register)
        first = value.number + (SCALAR_ROWS if value.bank == "v" else 0)
        values = rows[first : first + value.count]
    scalar = found.form.instruction.lanes == 1
    for lane in (0,) if scalar else lanes_in(int(rows[EMSK, 0])):
        console.put(format_words(template, [int(word) for word in values[:, lane]], plan.text))


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


class _Layout(NamedTuple):
    """The flags, width and precision of a conversion, and its letter."""

    flags: str
    width: int
    precision: int | None
    kind: str

    def padded(self, sign: str, digits: str, *, zeros: bool) -> str:
        """Digits behind a sign (and a prefix), as wide as asked for."""
        if zeros and "0" in self.flags and "-" not in self.flags:
            digits = digits.zfill(self.width - len(sign))
        text = sign + digits
        return text.ljust(self.width) if "-" in self.flags else text.rjust(self.width)

    def sign(self, negative: bool) -> str:
        """What stands before a signed number."""
        return "-" if negative else "+" if "+" in self.flags else " " if " " in self.flags else ""


def _convert(found: re.Match[str], left: Iterator[int], text: Callable[[int], str]) -> str:
    kind, size = found["kind"], found["size"] or ""
    precision = None if found["precision"] is None else min(int(found["precision"] or 0), MOST_DIGITS)
    layout = _Layout(found["flags"], min(int(found["width"] or 0), MOST_DIGITS), precision, kind)
    if kind == "c":
        return layout.padded("", chr(next(left) & 0xFF), zeros=False)
    if kind == "s":
        return layout.padded("", text(_pair(left))[:precision], zeros=False)
    if kind == "p":
        return layout.padded("", hex(_pair(left)), zeros=False)
    wide = size in ("l", "ll", "z")
    if kind in _INTEGERS:
        bits = {"hh": 8, "h": 16}.get(size, 64 if wide else 32)
        return _integer(layout, (_pair(left) if wide else next(left)) & (1 << bits) - 1, bits)
    if kind in _FLOATS:
        return (
            _float(layout, *struct.unpack("<d", struct.pack("<Q", _pair(left))))
            if wide
            else _float(layout, *struct.unpack("<f", struct.pack("<I", next(left))))
        )
    return found[0]


def _pair(left: Iterator[int]) -> int:
    low = next(left)
    return low | next(left) << 32


def _integer(layout: _Layout, value: int, bits: int) -> str:
    """An integer as C prints it: the precision is the least number of digits, and no digit at all for .0 of 0."""
    signed = layout.kind in "di"
    negative = signed and bool(value >> bits - 1)
    value = (1 << bits) - value if negative else value
    digits = (
        "" if layout.precision == 0 and value == 0 else format(value, layout.kind.replace("i", "d").replace("u", "d"))
    )
    digits = digits.zfill(layout.precision or 0)
    prefix = layout.sign(negative) if signed else ""
    if "#" in layout.flags and layout.kind == "o" and not digits.startswith("0"):
        digits = f"0{digits}"
    elif "#" in layout.flags and layout.kind in "xX" and value:
        prefix = f"0{layout.kind}"
    return layout.padded(prefix, digits, zeros=layout.precision is None)


def _float(layout: _Layout, value: float) -> str:
    """A floating-point number as C prints it."""
    sign, magnitude = layout.sign(math.copysign(1.0, value) < 0), abs(value)
    alternate = "#" if "#" in layout.flags else ""
    if not math.isfinite(value):
        text = "nan" if value != value else "inf"
        return layout.padded(sign, text.upper() if layout.kind.isupper() else text, zeros=False)
    if layout.kind in "aA":
        digits = _hexadecimal(magnitude, layout.precision, alternate)
        digits = digits.upper() if layout.kind == "A" else digits
        return layout.padded(sign + digits[:2], digits[2:], zeros=True)
    precision = 6 if layout.precision is None else layout.precision
    return layout.padded(sign, f"%{alternate}.{precision}{layout.kind}" % magnitude, zeros=True)


def _hexadecimal(value: float, precision: int | None, alternate: str) -> str:
    """%a of a number that is not negative: as many digits as it needs, or rounded to nearest even."""
    bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    exponent, fraction = bits >> 52, bits & (1 << 52) - 1
    whole = fraction | (1 << 52 if exponent else 0)
    power = exponent - 1023 if exponent else -1022 if fraction else 0
    dropped = 52 - 4 * precision if precision is not None and precision < 13 else 0
    kept, rest = divmod(whole, 1 << dropped)
    half = 1 << dropped >> 1
    kept += dropped > 0 and (rest > half or (rest == half and kept & 1))
    lead, fraction = divmod(kept, 1 << 52 - dropped)
    digits = f"{fraction:0{13 - dropped // 4}x}" if dropped < 52 else ""
    digits = digits.rstrip("0") if precision is None else digits.ljust(precision, "0")
    point = "." if digits or alternate else ""
    return f"0x{lead}{point}{digits}p{power:+d}"
