"""Where a launch's time goes: which record runs is looked up many times a second.

While a launch is watched, its records begin with `noted`, which writes down the record and calls its own handler. A
thread reads what is written there at irregular moments, more of them if it has a host core of its own, and charges it
with the processor time since the last look. What it finds is what the host has come to, for writes become visible in
the order of the program: an instruction is charged until the next one begins, with dispatch, with what the schedule
does for it, and with its part of what the host does at once. Watching costs some 2 ns an instruction.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple
from weakref import WeakSet

import numpy as np

from .machine.primitives import call, launch_at, read64, warp_at, write64
from .machine.state import RECORD_SIZE
from .plan import Plan

INTERVAL = 1e-4
"""Seconds between two looks, on average; the host may make it more."""
NOTE = np.dtype([("handler", "i8"), ("executed", "i8")])
"""What is kept for a record while it is watched; the first one holds the record that runs instead."""
NOTE_SIZE = NOTE.itemsize


def noted(base: int, record_address: int) -> int:
    """A handler that writes down what runs and runs it."""
    launch = launch_at(warp_at(base).launch)
    note = launch.notes + NOTE_SIZE * (1 + (record_address - launch.program) // RECORD_SIZE)
    write64(launch.notes, record_address)
    write64(note + 8, read64(note + 8) + 1)
    return call(read64(note), base, record_address)


class Share(NamedTuple):
    """What the instructions of one mnemonic took."""

    mnemonic: str
    executed: int
    share: float
    """Of the processor time of all watched launches."""
    nanoseconds: float
    """Each, on average."""


class Sampler:
    """Watches the launches on chips alone inside its `with`; a plan's first one is left out, since it compiles."""

    def __init__(self) -> None:
        self.seen: defaultdict[str, float] = defaultdict(float)
        """Processor time between looks, by mnemonic."""
        self.executed: Counter[str] = Counter()
        self.looks, self.seconds = 0, 0.0
        self._met: WeakSet[Plan] = WeakSet()

    def __enter__(self) -> Sampler:
        _watching.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _watching.remove(self)

    @contextmanager
    def watch(self, plan: Plan) -> Generator[None]:
        """Watch one launch."""
        if plan not in self._met:
            self._met.add(plan)
            yield
            return
        program = plan.program
        notes = np.zeros(1 + len(program.records), NOTE)
        notes["handler"][1:] = program.handlers
        compiled = [index for index in program.recipes if program.handlers[index] != plan.engine.not_compiled]
        plan.launch["notes"] = notes.ctypes.data
        cover = program.cover(compiled, plan.engine.address(noted))
        seen: list[tuple[int, float]] = []
        done = threading.Event()
        arguments = notes["handler"], _processor_time(), done, seen
        thread = threading.Thread(target=_look, args=arguments, daemon=True)
        thread.start()
        start = time.thread_time()
        try:
            yield
        finally:
            notes["handler"][0] = 0
            self.seconds += time.thread_time() - start
            done.set()
            thread.join()
            program.uncover(cover)
            self._count(plan, notes, seen)

    def _count(self, plan: Plan, notes: np.ndarray, seen: list[tuple[int, float]]) -> None:
        mnemonics = {index: recipe.instruction.mnemonic for index, recipe in plan.program.recipes.items()}
        for address, seconds in seen:
            if address:
                self.looks += 1
                self.seen[mnemonics[(address - plan.program.records.ctypes.data) // RECORD_SIZE]] += seconds
        for index in np.flatnonzero(notes["executed"][1:]).tolist():
            self.executed[mnemonics[index]] += int(notes["executed"][1 + index])

    def shares(self) -> list[Share]:
        """By mnemonic, the largest first."""
        total = sum(self.seen.values())
        largest_first = sorted(self.seen.items(), key=lambda each: -each[1])
        shares = [(name, seconds / total) for name, seconds in largest_first if seconds]
        return [
            Share(name, self.executed[name], share, share * self.seconds * 1e9 / self.executed[name])
            for name, share in shares
        ]


_watching: list[Sampler] = []
"""Those inside their `with`: the innermost one watches."""


def watched(plan: Plan) -> AbstractContextManager[None]:
    """Watch a launch, if anything watches."""
    return _watching[-1].watch(plan) if _watching else nullcontext()


def _processor_time() -> Callable[[], float]:
    """A clock that stands still while the host runs something else than this thread, where there is one."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.perf_counter
    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime(clock)


def _look(running: np.ndarray, clock: Callable[[], float], done: threading.Event, seen: list[Any]) -> None:
    """Append the record that runs and the time since the last look, again and again, until told to stop."""
    before = clock()
    while not done.is_set():
        time.sleep(INTERVAL * (0.5 + random.random()))
        now = clock()
        seen.append((int(running[0]), now - before))
        before = now
