"""Chips joined by wires of a fixed delay, and nothing else of a pod: what runs accesses between chips in tests."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import m890
from m890.emulator import arguments, report
from m890.emulator.launch import Limits, Run
from m890.emulator.machine import core
from m890.emulator.machine.window import UNKNOWN_WORD, WINDOW
from m890.emulator.plan import memory_ranges
from m890.emulator.pod.port import Port, pod_ranges
from m890.emulator.schedule import Schedule
from m890.emulator.shape import Shape, dim3

QUANTUM_PS = 1000


class Idle(AssertionError):
    """Nothing is under way, and yet not all launches have ended."""


class Wired:
    """`count` chips, each of which can access all others unless `enabled` says which.

    `delay` is the time from chip to chip in picoseconds, or a function of both; a quantum takes QUANTUM_PS. The chips
    meet after as many quanta as the shortest delay has, or after `windows`.
    """

    def __init__(
        self,
        count: int = 2,
        *,
        delay: int | Callable[[int, int], int] = 5 * QUANTUM_PS,
        quantum: int = 64,
        timing: Any = "eager",
        poison: bool | None = None,
        capacity: int = 2048,
        seed: int = 0,
        observers: Any = (),
        enabled: Any = None,
        kind: Any = "M890",
        windows: int | None = None,
    ):
        self.delay = delay if callable(delay) else lambda a, b: delay
        self.chips = [
            m890.Chip(
                kind,
                index=index,
                chips=count,
                timing=timing,
                poison=poison,
                schedule=Schedule.seeded(seed),
                observers=observers,
            )
            for index in range(count)
        ]
        self.ports = [
            Port(index, chip.engine, quantum=quantum, quantum_ps=QUANTUM_PS, capacity=capacity)
            for index, chip in enumerate(self.chips)
        ]
        for chip, port in zip(self.chips, self.ports, strict=True):
            chip.mode = replace(chip.mode, peers=True, chip=port.address)
        delays = [self.delay(a, b) for a in range(count) for b in range(count) if a != b]
        self.window = (windows or max(1, min(delays, default=QUANTUM_PS) // QUANTUM_PS)) * QUANTUM_PS
        self.enabled = set(range(count)) if enabled is None else set(enabled)
        self.time = self.sent = 0
        self.ended: dict[int, int] = {}
        """When each chip's last launch ended,"""
        self.executed: dict[int, int] = {}
        """and how many instructions it has executed."""
        self.packets: list[np.ndarray] = []
        """Every window's packets, if `keep`."""
        self.keep = False

    def run(self, launches: dict[int, tuple[Any, Any, Any, tuple[Any, ...]]], *, most: int = 100_000) -> None:
        """Run kernels, {chip: (kernel, grid, block, arguments)}, at once and to their ends."""
        plans: dict[int, Any] = {}
        for index, (kernel, grid, block, values) in launches.items():
            plans[index] = self._start(index, kernel, grid, block, values)
        for index, chip in enumerate(self.chips):
            self.ports[index].serve(chip.hbm.table())
            self.ports[index].begin(plans[index].launch.ctypes.data if index in plans else 0)
        for _ in range(most):
            self._run_window(plans)
            moved = self._exchange()
            if not plans and not moved:
                return
            stuck = all(port.chip["idle"][0] for index, port in enumerate(self.ports) if index in plans)
            if plans and stuck and not moved and not any(len(port.waiting) for port in self.ports):
                raise Idle("nothing is under way")
        raise Idle(f"not at an end after {most} windows")

    def _start(self, index: int, kernel: Any, grid: Any, block: Any, values: Any) -> Any:
        chip = self.chips[index]
        addresses = [value.address if isinstance(value, m890.Buffer) else value for value in values]
        memory = arguments.pack(kernel.kernel, addresses, chip.hbm)
        plan = kernel.plan(Shape(dim3(grid, "grid"), dim3(block, "block"), 0))
        chip.hbm.others = [other.hbm for other in self.chips]
        own = pod_ranges(index, [other.hbm for other in self.chips], self.enabled)
        ranges = memory_ranges(own, memory, kernel.kernel.words, kernel.module.data, kernel.module.text)
        plan.program.records["count"] = 0
        plan.start(memory, ranges, chip.clocks, chip.mode)
        return plan

    def _run_window(self, plans: dict[int, Any]) -> None:
        self.time += self.window
        for index, port in enumerate(self.ports):
            port.chip["until"] = self.time
            while (reason := port.engine.window(port.address)) != WINDOW:
                if reason == UNKNOWN_WORD:
                    port.learn(int(port.chip["unknown"][0]))
                    continue
                plan = plans[index]
                if plan.observers:
                    report.deliver(plan)
                if reason == core.DONE:
                    self.ended[index] = int(port.chip["time"][0])
                    self.executed[index] = int(plans.pop(index).launch["executed"][0])
                    port.begin(0)
                elif reason == core.DEADLOCK:
                    raise m890.Deadlock(places=report.places(plan), hint="")
                else:
                    Run(plan, Limits(), self.chips[index].console).stopped(reason)
            assert int(port.chip["time"][0]) == self.time

    def _exchange(self) -> int:
        """Put what was sent on the wires: how many packets are under way."""
        sent = np.concatenate([port.outbox for port in self.ports])
        for port in self.ports:
            port.clear()
        self.sent += len(sent)
        for packet in sent:
            packet["arrival"] = packet["time"] + self.delay(int(packet["src"]), int(packet["dst"]))
        if self.keep:
            self.packets.append(sent)
        for index, port in enumerate(self.ports):
            port.deliver(sent[sent["dst"] == index])
        return sum(len(port.waiting) for port in self.ports)
