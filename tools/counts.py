"""`m890 run --counts`: which lines of the source the warps executed most, and with how many lanes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..emulator.observe import Batch, Event
from ..emulator.trace import place_of
from ..isa.program import Kernel
from .output import counted

MOST = 20
"""Lines that are shown."""


@dataclass(slots=True)
class Line:
    """What was executed of one line of the source, in a macro of its body, by one kernel."""

    kernel: str
    place: str
    mnemonic: str
    """`...` behind it if the line has further ones."""
    instructions: int = 0
    lanes: int = 0
    """Active ones, of all these instructions together."""


class LineCounts:
    """An observer that counts instructions and active lanes by source line."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], Line] = {}
        self._kernel: Kernel | None = None
        self._known: dict[int, Line] = {}
        """Of that kernel the lines of its words, by the word's number."""

    def executed(self, batch: Batch) -> None:
        """Count a batch."""
        if batch.kernel is not self._kernel:
            self._kernel, self._known = batch.kernel, {}
        numbers = batch.events["pc"] // 8
        instructions = np.bincount(numbers)
        lanes = np.bincount(numbers, np.bitwise_count(batch.events["emsk"]))
        for number in np.flatnonzero(instructions).tolist():
            if number not in self._known:
                self._known[number] = self._line(Event(batch, batch.events[int(np.argmax(numbers == number))]))
            self._known[number].instructions += int(instructions[number])
            self._known[number].lanes += int(lanes[number])

    def _line(self, event: Event) -> Line:
        spot, mnemonic = event.spot, event.text.split(maxsplit=1)[0]
        kernel = event.batch.kernel.name
        place = place_of(spot.function, spot.offset) or f"{spot.function.name}+{spot.offset:#x}"
        line = self._lines.setdefault((kernel, place), Line(kernel, place, mnemonic))
        first = line.mnemonic.removesuffix(" ...")
        if first != mnemonic:
            line.mnemonic = f"{first} ..."
        return line

    def lines(self) -> list[Line]:
        """All lines, the most executed first."""
        return sorted(self._lines.values(), key=lambda line: -line.instructions)

    def table(self) -> Iterator[str]:
        """The most executed lines with their share of all instructions and the lanes active on average."""
        lines = self.lines()
        total = sum(line.instructions for line in lines)
        yield f"{'instructions':>14}  {'share':>6}  {'lanes':>5}  line"
        for line in lines[:MOST]:
            share, lanes = line.instructions / total, line.lanes / line.instructions
            what = f"{line.place}  {line.mnemonic}  in {line.kernel}"
            yield f"{line.instructions:>14,}  {share:>6.1%}  {lanes:>5.1f}  {what}"
        rest = lines[MOST:]
        if rest:
            share = sum(line.instructions for line in rest) / total
            yield f"{'':>14}  {share:>6.1%}         {counted(len(rest), 'line')} more"
