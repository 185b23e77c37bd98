"""A line for every executed instruction, of all warps or of those asked for: what `m890 run --trace` writes.

    (0,0,0) w1 000000ff    38 saxpy.s:21       vmem.ld.b32 vreg1, ...  @ 0x4000000080..0x400000009c

are the block, the warp, the lanes that execute (emsk), the byte offset in the kernel (`f+8` in a
function it called), the source line (in a macro that of its body; where an object has no lines, the label it stands
behind), the instruction, and the first and the last address it accesses. In a pod `c2` before it all is the chip.
"""

from __future__ import annotations

from bisect import bisect_right
from pathlib import PurePath
from typing import IO

import numpy as np

from ..isa.program import Function, Kernel
from .observe import Batch, Event


class Tracer:
    """Writes a line for each instruction of one block, one warp and one chip, or of all (None), to a file.

    In a pod (of `chips`) each line says which chip it is of. `written` counts them.
    """

    def __init__(
        self,
        file: IO[str],
        block: tuple[int, ...] | None = None,
        warp: int | None = None,
        chip: int | None = None,
        chips: int = 1,
    ) -> None:
        self.file, self.warp, self.chip, self.in_pod = file, warp, chip, chips > 1
        self.block = (*block, 0, 0)[:3] if block else None
        self.written = 0
        self._kernel: Kernel | None = None
        self._fixed: dict[int, str] = {}
        """The part of a line that is the same whenever a word of that kernel is executed, by pc."""

    def executed(self, batch: Batch) -> None:
        """Write a batch's lines."""
        if self.chip not in (None, batch.chip):
            return
        if batch.kernel is not self._kernel:
            self._kernel, self._fixed = batch.kernel, {}
        events = batch.events
        wanted = np.ones(len(events), bool)
        if self.warp is not None:
            wanted &= events["warp"] == self.warp
        if self.block is not None:
            (x, y, z), (across, down, _) = self.block, batch.grid
            inside = all(at < extent for at, extent in zip(self.block, batch.grid, strict=True))
            wanted &= (events["block"] == x + across * (y + down * z)) & inside
        self.file.writelines(self._line(Event(batch, event)) for event in events[wanted])
        self.written += int(np.count_nonzero(wanted))

    def _line(self, event: Event) -> str:
        number = int(event.raw["pc"])
        if number not in self._fixed:
            spot = event.spot
            pc = f"{spot.callee}+{spot.offset:x}" if spot.callee else f"{spot.offset:x}"
            self._fixed[number] = f"{pc:>5} {place_of(spot.function, spot.offset):<16} {event.text}"
        accessed = f"  @ {event.accessed}" if event.accessed else ""
        x, y, z = event.block
        chip = f"c{event.batch.chip} " if self.in_pod else ""
        return f"{chip}({x},{y},{z}) w{event.warp} {int(event.raw['emsk']):08x} {self._fixed[number]}{accessed}\n"


def place_of(kernel: Function, pc: int) -> str:
    """`saxpy.s:21`; without lines `loop+0x8`, the label the word is at or behind; without labels nothing."""
    index = bisect_right([line.offset for line in kernel.lines], pc) - 1
    if index >= 0:
        line = kernel.lines[index]
        return f"{PurePath(line.file).name}:{line.line}"
    before = [(offset, name) for name, offset in kernel.labels.items() if offset <= pc]
    if not before:
        return ""
    offset, name = max(before)
    return f"{name}+{pc - offset:#x}" if pc > offset else name
