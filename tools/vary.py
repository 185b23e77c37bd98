"""One job under other timings and orders of blocks and warps: a result that changes shows a missing wait or barrier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..emulator.faults import M890Error
from .arrays import Array
from .job import TIMINGS, Job
from .output import counted
from .runner import Options, Runner


@dataclass(frozen=True, slots=True)
class Varied:
    """A run with another timing or seed: the error it ended with, or what differs, by buffer."""

    timing: str
    seed: int
    error: str = ""
    differs: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def same(self) -> bool:
        """Whether it gave what the first run did."""
        return not self.error and not self.differs


def variations(job: Job, seeds: int) -> list[tuple[str, int]]:
    """Timings and seeds to try beside the job's own: every other timing, then the seeds from 1 on."""
    others = [(timing, job.seed) for timing in TIMINGS if timing != job.timing]
    return others + [(job.timing, seed) for seed in range(1, seeds + 1) if seed != job.seed]


def vary(job: Job, options: Options, found: Mapping[str, Array], seeds: int) -> list[Varied]:
    """Run the job in every variation, without checks and saving; all buffers are compared with those found."""
    quiet = replace(options, show=None, observers=())
    return [_varied(replace(job, timing=timing, seed=seed), quiet, found) for timing, seed in variations(job, seeds)]


def _varied(job: Job, options: Options, found: Mapping[str, Array]) -> Varied:
    runner = Runner(replace(job, checks=[], saves={}), options)
    try:
        runner.run()
    except M890Error as error:
        return Varied(job.timing, job.seed, str(error))
    arrays = runner.contents(found)
    differs = {name: text for name, first in found.items() if (text := difference(arrays[name], first))}
    return Varied(job.timing, job.seed, differs=differs)


def difference(found: Array, first: Array) -> str:
    """How an array differs from that of the first run, bit by bit; nothing if it does not."""
    bits = [np.ascontiguousarray(array).view(np.uint8).reshape(-1, array.itemsize) for array in (found, first)]
    wrong = (bits[0] != bits[1]).any(axis=1).reshape(first.shape)
    if not wrong.any():
        return ""
    index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    place = ", ".join(str(int(extent)) for extent in index)
    many = f"{int(np.count_nonzero(wrong)):,} of {counted(wrong.size, 'element')}"
    return f"{many} differ, first [{place}]: {found[index]!s}, not {first[index]!s}"
