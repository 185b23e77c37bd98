"""The loop around the compiled core: run a plan to its end, its limits, or its fault."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, NoReturn

from ..isa.effects import Stop
from . import core, printing, report
from .faults import Deadlock, Interrupted, Timeout
from .livelock import STEP, Watch
from .plan import Plan

POLL_SECONDS = 0.02
"""How often, roughly, Python looks for Ctrl-C, limits and progress."""


@dataclass(frozen=True)
class Limits:
    """When a launch is given up: after so many instructions or so many seconds of host time; None is never."""

    instructions: int | None = None
    seconds: float | None = None
    endless: bool = False
    """Let a launch go on although nothing it does can change it any more: the host may write what it waits for."""


def check_host() -> None:
    """Refuse a host that flushes subnormals: some library has switched its floating point to an inexact mode."""
    tiny = math.ulp(0.0)
    if tiny * 1.0 == 0.0:
        raise RuntimeError(
            "this process flushes subnormal numbers to zero, so results would differ: a library built with -ffast-math"
        )


def run(
    plan: Plan, limits: Limits, console: printing.Console, progress: Callable[[int, int], None] | None = None
) -> int:
    """Run a started plan to its end: instructions executed. Raises Fault, Timeout, Deadlock, Interrupted."""
    console.start()
    try:
        sampler = plan.engine.sampler
        with sampler.watch(plan) if sampler else nullcontext():
            return _run(plan, limits, console, progress)
    except KeyboardInterrupt:
        raise Interrupted(report.places(plan)) from None
    finally:
        console.finish()


def _run(plan: Plan, limits: Limits, console: printing.Console, progress: Callable[[int, int], None] | None) -> int:
    check_host()
    started = time.monotonic()
    launch, step, watch = plan.launch, 1 << 20, Watch(plan)
    address = launch.ctypes.data
    left, before = 0, started
    while True:
        if launch["quota"][0] <= 0:  # what a stop has left of it is used up first
            left = STEP if watch.active else step
            if limits.instructions is not None:
                left = min(left, limits.instructions - int(launch["executed"][0]))
            if left <= 0:
                _give_up(plan, "instructions", limits.instructions or 0)
            launch["quota"], before = left, time.monotonic()
        reason = plan.engine.run(address)
        now = time.monotonic()
        if plan.observers:
            report.deliver(plan)
        if reason == core.DONE:
            return int(launch["executed"][0])
        if reason == core.DEADLOCK:
            raise Deadlock(places=report.places(plan), hint="every live lane of a block must reach its barrier")
        if reason != core.QUOTA:
            _stopped(plan, reason, console)
        if limits.seconds is not None and now - started > limits.seconds and reason != Stop.COMPILE:
            _give_up(plan, "seconds", limits.seconds)
        if reason != core.QUOTA:
            continue
        plan.hbm.check_host(0)
        if not limits.endless and watch.stuck():
            raise Deadlock(
                places=report.places(plan, looping=True),
                hint=report.hint_for_loop(plan),
            )
        if progress:
            progress(int(launch["finished"][0]), plan.shape.blocks)
        if watch.active:
            continue
        if now - before < POLL_SECONDS / 2 and left == step:
            step = min(step * 2, 1 << 30)
        elif now - before > POLL_SECONDS * 2:
            step = max(step // 2, 1 << 12)


def _stopped(plan: Plan, reason: int, console: printing.Console) -> None:
    """Do what the core needs Python for; raise what ends the launch."""
    launch = plan.launch
    pc = int(launch["stop_pc"][0])
    if reason == Stop.EVENTS:
        return
    if reason == Stop.COMPILE:
        program = plan.program
        program.fill(plan.engine, program.recipes[program.index_of(pc)], compile=True)
        return
    slot, index = int(launch["stop_slot"][0]), int(launch["stop_warp"][0])
    if reason == Stop.PRINT:
        printing.print_from(plan, slot, index, plan.program.index_of(pc), console)
        plan.warp(slot, index)["pc"] += plan.program.records.itemsize
        return
    if reason in (Stop.FAULT, Stop.TRAP):
        raise report.fault(plan, slot, index, trap=reason == Stop.TRAP)
    raise AssertionError(f"the core stopped for {reason}")


def _give_up(plan: Plan, limit: Literal["instructions", "seconds"], value: float) -> NoReturn:
    raise Timeout(limit=limit, value=value, places=report.places(plan))
