"""`m890 run --trace`: where the trace goes, and what of a run is in it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import click

from ..emulator.trace import Tracer


@contextmanager
def traced(
    target: str | None, block: tuple[int, ...] | None, warp: int | None, chip: int | None, chips: int
) -> Generator[tuple[Tracer, ...], None, None]:
    """The observers of a run: one that writes to the file `target` (`-`: stdout), or none.

    What was written stays, however the run ends: a fault is what a trace is for.
    """
    if target is None:
        yield ()
        return
    with click.open_file(target, "w", encoding="utf-8") as file:
        trace = Tracer(file, block, warp, chip, chips)
        yield (trace,)
        file.flush()
