"""A running launch: what Python does for it between two runs of the compiled core, for a chip alone and in a pod."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import index
from typing import Literal, NoReturn

from ..isa.effects import Stop
from . import printing, report
from .faults import Deadlock, Interrupted, Timeout
from .livelock import STEP, Watch
from .machine import core
from .plan import Plan
from .sampler import watched

POLL_SECONDS = 0.02
"""How often, roughly, Python looks for Ctrl-C, limits and progress."""
FIRST_RUN, SHORTEST_RUN, LONGEST_RUN = 1 << 20, 1 << 12, 1 << 30
"""Instructions until it does: the first time, and the bounds between which that adapts to the host."""


@dataclass(frozen=True)
class Limits:
    """When a launch is given up: after so many instructions or so many seconds of host time; None is never."""

    instructions: int | None = None
    seconds: float | None = None
    endless: bool = False
    """Let a launch go on although nothing it does can change it any more: the host may write what it waits for."""

    def __post_init__(self) -> None:
        """Refuse limits that no launch can keep, and NaN, which none would reach."""
        if self.instructions is not None and index(self.instructions) < 1:
            raise ValueError(f"a limit of instructions is a whole number from 1, not {self.instructions}")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"a limit of seconds is a number above 0, not {self.seconds}")


def check_host() -> None:
    """Refuse a host that flushes subnormals: some library has switched its floating point to an inexact mode."""
    tiny = math.ulp(0.0)
    if tiny * 1.0 == 0.0:
        raise RuntimeError(
            "this process flushes subnormal numbers to zero, so results would differ: a library built with -ffast-math"
        )


class Run:
    """One launch from its start to its end, fault or limit. The plan must have been started."""

    def __init__(
        self,
        plan: Plan,
        limits: Limits,
        console: printing.Console,
        progress: Callable[[int, int], None] | None = None,
    ):
        check_host()
        self.plan, self.limits, self.console, self.progress = plan, limits, console, progress
        self.watch = Watch(plan)
        self.started = time.monotonic()
        console.start()

    @property
    def executed(self) -> int:
        """Instructions its warps have executed."""
        return int(self.plan.launch["executed"][0])

    def stopped(self, reason: int) -> None:
        """Do what the core has stopped for; raises Fault, Deadlock."""
        plan, launch = self.plan, self.plan.launch
        if reason == core.DEADLOCK:
            raise Deadlock(places=report.places(plan), hint=report.hint_at_barriers(plan))
        if reason == Stop.EVENTS:  # `deliver` has been called
            return
        if reason == Stop.BREAK:
            self.watch.hit()
            return
        pc = int(launch["stop_pc"][0])
        if reason == Stop.COMPILE:
            program = plan.program
            program.fill(plan.engine, program.recipes[program.index_of(pc)], compile=True)
            return
        slot, index = int(launch["stop_slot"][0]), int(launch["stop_warp"][0])
        if reason == Stop.PRINT:
            printing.print_from(plan, slot, index, plan.program.index_of(pc), self.console)
            plan.warp(slot, index)["pc"] += plan.program.records.itemsize
            return
        if reason in (Stop.FAULT, Stop.TRAP):
            raise report.fault(plan, slot, index, trap=reason == Stop.TRAP)
        raise AssertionError(f"the core stopped for {reason}")

    def deliver(self) -> None:
        """Hand the observers what has been gathered for them."""
        if self.plan.observers:
            report.deliver(self.plan)

    def check_seconds(self) -> None:
        """Raise Timeout if its time is over."""
        seconds = self.limits.seconds
        if seconds is not None and time.monotonic() - self.started > seconds:
            self.give_up("seconds", seconds)

    def check_instructions(self) -> None:
        """Raise Timeout if it has executed more than it may."""
        most = self.limits.instructions
        if most is not None and self.executed > most:
            self.give_up("instructions", most)

    def check(self) -> None:
        """Look at the host's memory, and show how far it is; now and then. Raises MemoryLimit."""
        self.plan.hbm.check_host(0)
        if self.progress:
            self.progress(int(self.plan.launch["finished"][0]), self.plan.shape.blocks)

    def give_up(self, limit: Literal["instructions", "seconds"], value: float) -> NoReturn:
        """Raise the Timeout of a limit."""
        raise Timeout(limit=limit, value=value, places=report.places(self.plan))

    def alone(self) -> None:
        """Go on to its end on a chip alone. Raises Fault, Timeout, Deadlock, MemoryLimit, Interrupted."""
        try:
            with watched(self.plan):
                self._to_its_end()
        except KeyboardInterrupt:
            raise Interrupted(report.places(self.plan)) from None
        finally:
            self.watch.disarm()

    def _to_its_end(self) -> None:
        plan, limits, watch = self.plan, self.limits, self.watch
        launch, address = plan.launch, plan.launch.ctypes.data
        step, left, before = FIRST_RUN, 0, self.started
        while True:
            if launch["quota"][0] <= 0:  # what a stop has left of it is used up first
                left = STEP if watch.active else step
                if limits.instructions is not None:
                    left = min(left, limits.instructions - self.executed)
                    if left <= 0:
                        self.give_up("instructions", limits.instructions)
                launch["quota"], before = left, time.monotonic()
            reason = plan.engine.run(address)
            self.deliver()
            if reason == core.DONE:
                return
            if reason != core.QUOTA:
                self.stopped(reason)
            if reason != Stop.COMPILE:
                self.check_seconds()
            if reason != core.QUOTA:
                continue
            self.check()
            if not limits.endless and watch.stuck():
                raise Deadlock(places=report.places(plan, looping=True), hint=report.hint_for_loop(plan))
            if watch.active:
                continue
            now = time.monotonic()
            if now - before < POLL_SECONDS / 2 and left == step:
                step = min(step * 2, LONGEST_RUN)
            elif now - before > POLL_SECONDS * 2:
                step = max(step // 2, SHORTEST_RUN)
