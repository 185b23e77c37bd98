"""How benchmarks measure: in turn, on one core, with one BLAS thread, medians."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

LEAST_ROUNDS = 7
LEAST_SECONDS = 1.0
"""Unless told how many rounds, a benchmark makes at least as many and goes on for as long."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one benchmark found; times are medians in seconds, fields that make no sense are None."""

    name: str
    seconds: float
    numpy_seconds: float | None = None
    ratio: float | None = None
    """numpy_seconds / seconds: above 1, the emulator is faster than numpy on this host."""
    unit_ns: float | None = None
    """ns per warp instruction, launch, or whatever the benchmark counts."""
    gflops: float | None = None
    threads: int | None = None
    """Host threads the emulator used."""
    cost: float | None = None
    """Seconds with an observer or check / without."""
    shares: dict[str, float] | None = None
    """Of the emulator's time, by mnemonic, the largest first; see `emulator/sampler.py`."""

    def as_json(self) -> dict[str, Any]:
        """The fields that are present."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def seconds_of(run: Callable[[], object]) -> float:
    """How long one call takes."""
    start = perf_counter()
    run()
    return perf_counter() - start


def rounds(repeat: int | None) -> Iterator[int]:
    """0, 1, 2, ...: `repeat` numbers, or as many as LEAST_ROUNDS and LEAST_SECONDS ask for."""
    start, count = perf_counter(), 0
    while count < repeat if repeat else count < LEAST_ROUNDS or perf_counter() - start < LEAST_SECONDS:
        yield count
        count += 1


def medians(repeat: int | None, *runs: Callable[[], object]) -> list[float]:
    """The median seconds of each of several calls, measured in turn so that all meet the same noise."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in rounds(repeat):
        for run, kept in zip(runs, times, strict=True):
            kept.append(seconds_of(run))
    return [median(kept) for kept in times]


@contextmanager
def one_core() -> Iterator[None]:
    """Hold this process to one core, where the host can, and numpy to one BLAS thread."""
    from threadpoolctl import threadpool_limits

    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    if allowed:
        os.sched_setaffinity(0, {max(allowed)})
    try:
        with threadpool_limits(1, "blas"):
            yield
    finally:
        if allowed:
            os.sched_setaffinity(0, allowed)


@contextmanager
def every_core() -> Iterator[None]:
    """Let this process use all cores that it may, within `one_core`."""
    held = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    if held:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        if held:
            os.sched_setaffinity(0, held)
