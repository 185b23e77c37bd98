"""Pods: what a second host thread is worth."""

from __future__ import annotations

from collections.abc import Callable

from ...emulator.pod.pod import Pod
from .core import ALU
from .measure import Result, every_core, medians

CHIPS, TURNS = 8, 400_000


def pod8_scaling(name: str, repeat: int | None) -> Result:
    """A pod of 8 chips in a loop of vector and scalar instructions: `ratio` is one thread's time by that of two."""
    with every_core():
        runs = [Pod(chips=CHIPS, threads=threads).assemble(ALU, "alu.s")["alu"][1, 32] for threads in (1, 2)]
        executed = sum(runs[0](TURNS))
        one, two = medians(repeat, *(lambda run=run: run(TURNS) for run in runs))
    return Result(name, two, ratio=one / two, unit_ns=two / executed * 1e9, threads=2)


ENTRIES: dict[str, Callable[[str, int | None], Result]] = {"pod8_scaling": pod8_scaling}
