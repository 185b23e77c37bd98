"""Runs a job: buffers are made, kernels launched in order, results checked and saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..emulator.chip import LoadedKernel, LoadedModule
from ..emulator.faults import LaunchError, Timeout
from ..emulator.launch import Limits
from ..emulator.observe import Observer
from ..emulator.pod.exchange import Exchange
from ..emulator.pod.pod import PerChip, PodKernel, PodModule
from ..emulator.printing import Console
from ..emulator.shape import dim3
from .arrays import Array, check_target
from .job import ArgumentValue, Job, JobError, LaunchSpec
from .job_arguments import check_arguments
from .job_buffers import JobBuffers, placed
from .job_chips import chips_of
from .loading import check_architecture, load_module, pick_kernel
from .outcome import Launched, Outcome, Relied, relied_on
from .output import Compiling, Progress


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is told beside its job."""

    instructions: int | None = None
    seconds: float | None = None
    """Of all launches together."""
    poison: bool = False
    include: tuple[str, ...] = ()
    defines: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
    observers: tuple[Observer, ...] = ()
    show: Callable[[str], object] | None = None
    """Where what kernels print goes at once; it is kept in the outcome, too."""
    exchange: Exchange | None = None
    """How the ranks of this run talk, if it has several."""


class Runner:
    """One run of a job. `outcome` says how far it came, also after an error.

    Where several ranks run it, each runs all of it, and only the first checks, saves and has the outcome of checks.
    """

    def __init__(self, job: Job, options: Options, outcome: Outcome | None = None) -> None:
        """Make the chip or pod, load every object, fill every buffer.

        Raises JobError, InputError and what loading raises.
        """
        self.job, self.options = job, options
        self.outcome = Outcome() if outcome is None else outcome
        for path in job.saves.values():
            check_target(path)
        self.chip, self.pod = chips_of(
            job,
            poison=options.poison,
            observers=options.observers,
            console=Console(self._print),
            exchange=options.exchange,
        )
        self.outcome.profile = self.chip.profile.name
        self.modules: dict[Path, LoadedModule | PodModule] = {}
        self.kernels: list[LoadedKernel | PodKernel] = []
        self.progress = Progress("")
        for launch in job.launches:
            self.kernels.append(self._kernel(launch))
            check_arguments(self.kernels[-1].kernel, launch, job.buffers)
        self.buffers = JobBuffers(job, self.chip, self.pod)

    def run(self) -> Outcome:
        """Launch, check, save. Raises what a launch raises; nothing is saved then."""
        expected = [self.buffers.expected(check) for check in self.job.checks]  # before the launches, which may be long
        for kernel, launch in zip(self.kernels, self.job.launches, strict=True):
            self._launch(kernel, launch)
        if self.pod:
            self.outcome.counters = self.pod.icn.counters()
        arrays = self.contents({check.buffer for check in self.job.checks} | set(self.job.saves))
        if self.pod and self.pod.exchange.rank:
            return self.outcome
        for check, wanted in zip(self.job.checks, expected, strict=True):
            self.outcome.checks.append(self.buffers.checked(check, arrays[check.buffer], wanted))
        self.buffers.save(arrays)
        self.outcome.saved = dict(self.job.saves)
        return self.outcome

    def contents(self, names: Iterable[str]) -> dict[str, Array]:
        """What buffers hold after the run, by name, on the first rank."""
        return self.buffers.contents(names)

    def fidelity(self) -> list[Relied]:
        """Every instruction of the launched kernels that is this project's definition."""
        return [relied for kernel in dict.fromkeys(self.kernels) for relied in relied_on(kernel)]

    def _kernel(self, launch: LaunchSpec) -> LoadedKernel | PodKernel:
        path = launch.object
        if path not in self.modules:
            with placed(launch.object_where):
                module = load_module(path, self.options.include, self.options.defines, arch=self.chip.profile.arch)
                check_architecture(module, path, self.chip.profile)
            self.modules[path] = PodModule(self.pod, module, {}) if self.pod else LoadedModule(self.chip, module)
        try:
            return self.modules[path][pick_kernel(self.modules[path].module, launch.kernel, path).name]
        except ValueError as error:
            raise JobError(launch.where, str(error)) from None

    def _launch(self, kernel: LoadedKernel | PodKernel, launch: LaunchSpec) -> None:
        progress = self.progress = Progress(kernel.kernel.name)
        self.chip.progress = progress if progress.active else None
        cache = self.chip.engine.cache
        compiling = cache.announce = Compiling(lambda: cache.seconds)
        started, begun = time.perf_counter(), self.pod.time if self.pod else 0.0
        try:
            values = [self._value(launch.args[parameter.name]) for parameter in kernel.kernel.params]
            grid, block = dim3(launch.grid, "grid"), dim3(launch.block, "block")
            some: dict[str, Any] = {"chips": launch.chips} if self.pod else {}
            count = kernel.launch(
                grid, block, values, tsm=launch.tsm, cooperative=launch.cooperative, limits=self._limits(), **some
            )
        except LaunchError as error:
            raise JobError(launch.where, str(error)) from None
        except Timeout as error:
            if error.limit == "seconds" and self.options.seconds is not None:
                error.value = self.options.seconds
            raise
        finally:
            progress.clear()
            cache.announce = None
        seconds, tsm = time.perf_counter() - started - compiling.taken, kernel.kernel.tsm + launch.tsm
        total = sum(count) if isinstance(count, PerChip) else count
        launched = Launched(kernel.kernel.name, grid, block, tsm, total, seconds, compiling.taken)
        if self.pod:
            chips = self.job.chips if launch.chips is None else len(launch.chips)
            launched = replace(launched, chips=chips, modelled=self.pod.ended - begun)
        self.outcome.launches.append(launched)

    def _print(self, text: str) -> None:
        """A kernel prints."""
        self.outcome.texts.append(text)
        if self.options.show:
            self.progress.clear()
            self.options.show(text)

    def _limits(self) -> Limits:
        """The limits of the next launch."""
        if self.options.seconds is None:
            return Limits(self.options.instructions)
        left = self.options.seconds - sum(one.seconds + one.compile_seconds for one in self.outcome.launches)
        if left <= 0:
            raise Timeout(limit="seconds", value=self.options.seconds)
        return Limits(self.options.instructions, left)

    def _value(self, value: ArgumentValue) -> Any:
        return self.buffers[value] if isinstance(value, str) else value
