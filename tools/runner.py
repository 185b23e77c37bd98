"""Runs a job: buffers are made, kernels launched in order, results checked and saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..emulator.buffers import Buffer
from ..emulator.chip import Chip, LoadedKernel, LoadedModule
from ..emulator.faults import LaunchError, Timeout
from ..emulator.icn.counters import IcnCounters
from ..emulator.icn.faults import LinkFault
from ..emulator.icn.topology import Topology
from ..emulator.launch import Limits
from ..emulator.observe import Observer
from ..emulator.plan import Schedule
from ..emulator.pod.exchange import Exchange
from ..emulator.pod.pod import PerChip, Pod, PodKernel, PodModule, SymmetricBuffer
from ..emulator.printing import Console
from ..emulator.profiles import Profile
from ..emulator.shape import dim3
from ..isa.spec import Decoded
from .arrays import Array, Element, Shape, check_target, device_layout, from_device, save, to_device
from .checks import Checked, compare
from .exits import InputError, message_of
from .initial import content, content_by_chip
from .job_arguments import JobError, check_arguments
from .launchfile import ArgumentValue, BufferSpec, CheckSpec, FaultSpec, Job, LaunchSpec
from .loading import check_architecture, find_profile, load_module, pick_kernel
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


@dataclass(frozen=True, slots=True)
class Launched:
    """One launch that ended; `tsm` is the kernel's own and what the launch adds. `seconds` are the host's.

    Beside these, compiling what was in no cache took `compile_seconds`.
    Of a pod, `chips` says how many ran it, `instructions` counts all of them, and `modelled` are seconds of the pod.
    """

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    tsm: int
    instructions: int
    seconds: float
    compile_seconds: float = 0.0
    chips: int = 1
    modelled: float | None = None


@dataclass(frozen=True, slots=True)
class Relied:
    """An instruction tagged `defined` that a kernel contains."""

    kernel: str
    mnemonic: str
    words: int
    source: str


@dataclass(slots=True)
class Outcome:
    """What came out of a job, as far as it went."""

    profile: str = ""
    launches: list[Launched] = field(default_factory=list[Launched])
    checks: list[Checked] = field(default_factory=list[Checked])
    saved: dict[str, str] = field(default_factory=dict[str, str])
    texts: list[str] = field(default_factory=list[str])
    counters: IcnCounters | None = None
    """What has passed the links of a pod."""

    @property
    def printed(self) -> str:
        """What the kernels printed."""
        return "".join(self.texts)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        checks = [asdict(check) for check in self.checks]
        for check in checks:
            first = check.pop("first")
            check["first"] = first and dict(zip(("index", "found", "expected"), first, strict=True))
        launches = [asdict(launch) for launch in self.launches]
        for launch in launches:
            if launch["modelled"] is None:
                del launch["modelled"], launch["chips"]
        return {
            "profile": self.profile,
            "passed": self.passed,
            "launches": launches,
            "checks": checks,
            "saved": self.saved,
            "printed": self.printed,
            **({} if self.counters is None else {"icn": asdict(self.counters)}),
        }


@dataclass(frozen=True, slots=True)
class Held:
    """A buffer of the job in device memory, with the type and shape that the host gave it: of what each chip has."""

    buffer: Buffer | SymmetricBuffer
    kind: Element
    shape: Shape

    def array(self, fetch: Callable[[Buffer], Array]) -> Array:
        """Its content on the host; of one on all chips, these are the first axis."""
        if isinstance(self.buffer, Buffer):
            return self._of(fetch(self.buffer))
        return np.stack([self._of(fetch(buffer)) for buffer in self.buffer])

    def _of(self, stored: Array) -> Array:
        return from_device(stored, self.kind).reshape(self.shape)


@contextmanager
def _placed(where: str) -> Generator[None, None, None]:
    """Say in which place of a launch file a file is named that is missing or does not fit."""
    try:
        yield
    except (InputError, OSError) as error:
        if not where:
            raise
        raise InputError(f"{where}: {message_of(error)}") from None


class Runner:
    """One run of a job. `outcome` says how far it came, also after an error.

    Where several ranks run it, each runs all of it, and only the first checks, saves and has the outcome of checks.
    """

    def __init__(self, job: Job, options: Options, outcome: Outcome | None = None) -> None:
        """Make the chip or pod and load every object. Raises JobError, InputError and what loading raises."""
        self.job, self.options = job, options
        self.outcome = Outcome() if outcome is None else outcome
        for path in job.saves.values():
            check_target(path)
        try:
            profile = find_profile(job.profile, job.folder)
        except ValueError as error:
            raise error if isinstance(error, InputError) else JobError("profile", str(error)) from None
        check_chips(job)
        timing: dict[str, Any] = {} if job.timing == "eager" else {"timing": job.timing}
        settings: dict[str, Any] = {
            "poison": options.poison or None,
            "observers": options.observers,
            "schedule": Schedule.seeded(job.seed),
            "console": Console(self._print),
            **timing,
        }
        self.pod = self._make_pod(profile, settings) if needs_pod(job, options) else None
        self.chip = self.pod.chips[0] if self.pod else Chip(profile, **settings)
        self.outcome.profile = profile.name
        self.modules: dict[Path, LoadedModule | PodModule] = {}
        self.held: dict[str, Held] = {}
        self.kernels: list[LoadedKernel | PodKernel] = []
        self.progress = Progress("")
        for launch in job.launches:
            self.kernels.append(self._kernel(launch))
            check_arguments(self.kernels[-1].kernel, launch, job.buffers)

    def _make_pod(self, profile: Profile, settings: dict[str, Any]) -> Pod:
        job = self.job
        try:
            topology = _topology(job, profile)
            pod = Pod(
                profile,
                job.chips,
                topology=topology,
                faults=[_fault(spec, topology) for spec in job.faults],
                quantum=job.quantum,
                seed=job.seed,
                threads=job.threads,
                exchange=self.options.exchange,
                **settings,
            )
        except JobError:
            raise
        except ValueError as error:
            raise JobError("", str(error)) from None
        if job.chips > 1:
            pod.enable_peer_access()
        return pod

    def _kernel(self, launch: LaunchSpec) -> LoadedKernel | PodKernel:
        path = launch.object
        if path not in self.modules:
            with _placed(launch.object_where):
                module = load_module(path, self.options.include, self.options.defines, arch=self.chip.profile.arch)
                check_architecture(module, path, self.chip.profile)
            self.modules[path] = PodModule(self.pod, module, {}) if self.pod else LoadedModule(self.chip, module)
        try:
            return self.modules[path][pick_kernel(self.modules[path].module, launch.kernel, path).name]
        except ValueError as error:
            raise JobError(launch.where, str(error)) from None

    def run(self) -> Outcome:
        """Launch, check, save. Raises what a launch raises; nothing is saved then."""
        for spec in self.job.buffers.values():
            self.held[spec.name] = self._place(spec)
        expected = [self._expected(check) for check in self.job.checks]  # before the launches, which may take long
        for kernel, launch in zip(self.kernels, self.job.launches, strict=True):
            self._launch(kernel, launch)
        if self.pod:
            self.outcome.counters = self.pod.icn.counters()
        arrays = self.contents({check.buffer for check in self.job.checks} | set(self.job.saves))
        if self.pod and self.pod.exchange.rank:
            return self.outcome
        for check, wanted in zip(self.job.checks, expected, strict=True):
            self.outcome.checks.append(self._check(check, arrays[check.buffer], wanted))
        save({name: (path, arrays[name], self.held[name].kind) for name, path in self.job.saves.items()})
        self.outcome.saved = dict(self.job.saves)
        return self.outcome

    def contents(self, names: Iterable[str]) -> dict[str, Array]:
        """What buffers hold after the run, by name, on the first rank."""
        wanted = set(names)
        return {name: held.array(self._fetch) for name, held in self.held.items() if name in wanted}

    def _fetch(self, buffer: Buffer) -> Array:
        """A buffer's content; on other ranks than the first, zeros."""
        return buffer.copy_to_host() if self.pod is None else self.pod.fetch(buffer)

    def _place(self, spec: BufferSpec) -> Held:
        with _placed(spec.where):
            if spec.chip is None:
                array, kind, shape = content_by_chip(spec.init, spec.type, spec.shape, self.job.chips)
            else:
                array, kind, shape = content(spec.init, spec.type, spec.shape)
            try:
                stored, dtype = device_layout(kind, shape)
            except ValueError as error:
                raise InputError(f"buffer '{spec.name}': {error}") from None
        if spec.chip is None and self.pod:
            buffer = self.pod.symmetric(stored, dtype, name=spec.name)
            self._fill(list(buffer), None if array is None else list(array), kind)
        else:
            chip = self.pod.chips[spec.chip or 0] if self.pod else self.chip
            buffer = chip.empty(stored, dtype, name=spec.name)
            array = array[0] if array is not None and spec.chip is None else array
            self._fill([buffer], None if array is None else [array], kind)
        return Held(buffer, kind, shape)

    def _fill(self, buffers: list[Buffer], arrays: list[Array] | None, kind: Element) -> None:
        for index, buffer in enumerate(buffers):
            if arrays is not None:
                buffer.copy_from_host(to_device(arrays[index], kind))
            elif self.chip.mode.poison:
                buffer.fill(np.zeros((), buffer.dtype))

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
        return self.held[value].buffer if isinstance(value, str) else value

    def _expected(self, check: CheckSpec) -> Array:
        """What a check expects, of all chips if its buffer is on all."""
        held = self.held[check.buffer]
        kind = None if check.expect.path is not None or check.expect.type is not None else held.kind
        with _placed(check.where):
            if self.job.buffers[check.buffer].chip is None:
                expected, _, shape = content_by_chip(check.expect, kind, held.shape, self.job.chips)
                shape = (self.job.chips, *shape)
            else:
                expected, _, shape = content(check.expect, kind, held.shape)
        return np.zeros(shape, held.kind.dtype) if expected is None else expected

    def _check(self, check: CheckSpec, found: Array, expected: Array) -> Checked:
        held = self.held[check.buffer]
        everywhere = self.job.buffers[check.buffer].chip is None
        if everywhere and not isinstance(held.buffer, SymmetricBuffer):
            expected = expected[0]
        elif everywhere and check.chip is not None:
            found, expected = found[check.chip], expected[check.chip]
        return compare(found, expected, check, poison=self.chip.mode.poison)

    def fidelity(self) -> list[Relied]:
        """Every instruction of the launched kernels that is this project's definition."""
        return [relied for kernel in dict.fromkeys(self.kernels) for relied in _relied(kernel)]


def _topology(job: Job, profile: Profile) -> Topology:
    """How a job's chips are joined; JobError."""
    try:
        if job.topology is None:
            return Topology.of(profile, job.chips)
        return Topology.from_table(job.topology, profile, job.chips)
    except ValueError as error:
        raise JobError(job.topology_where, str(error)) from None


def _fault(spec: FaultSpec, topology: Topology) -> LinkFault:
    """A fault of one of the topology's links; JobError."""
    try:
        tail, head = (topology.node(name) for name in spec.link)
        fault = LinkFault(tail=tail, head=head, **spec.state)
        fault.ways(topology)
    except ValueError as error:
        raise JobError(spec.where, str(error)) from None
    return fault


def needs_pod(job: Job, options: Options) -> bool:
    """Whether a job asks for more than a chip alone."""
    return job.chips > 1 or job.topology is not None or bool(job.faults) or options.exchange is not None


def check_chips(job: Job) -> None:
    """Refuse chips that are not there; JobError."""
    there = f"there is chip 0 to {job.chips - 1}" if job.chips > 1 else "there is one chip, 0"
    for buffer in job.buffers.values():
        if buffer.chip is not None and buffer.chip >= job.chips:
            where = buffer.chip_where or f"buffer '{buffer.name}'"
            raise JobError(where, f"chip {buffer.chip}: {there}; raise chips, or --chips")
    for launch in job.launches:
        if launch.chips is not None and (not launch.chips or max(launch.chips) >= job.chips):
            raise JobError(launch.where, f"chips {list(launch.chips)}: {there}; raise chips, or --chips")
        if launch.chips is not None and len(set(launch.chips)) < len(launch.chips):
            raise JobError(launch.where, f"chips {list(launch.chips)}: name each chip once")
    for check in job.checks:
        if check.chip is None:
            continue
        if job.buffers[check.buffer].chip is not None:
            raise JobError(check.chip_where, f"chip {check.chip}: buffer '{check.buffer}' is not on all chips")
        if check.chip >= job.chips:
            raise JobError(check.chip_where, f"chip {check.chip}: {there}; raise chips, or --chips")


def _relied(kernel: LoadedKernel | PodKernel) -> Iterator[Relied]:
    found: dict[tuple[str, str], int] = {}
    for decoded in (kernel.on(0) if isinstance(kernel, PodKernel) else kernel).program.decoded:
        if isinstance(decoded, Decoded) and decoded.form.instruction.tag == "defined":
            instruction = decoded.form.instruction
            place = (instruction.mnemonic, instruction.source)
            found[place] = found.get(place, 0) + 1
    for (mnemonic, source), words in sorted(found.items()):
        yield Relied(kernel.kernel.name, mnemonic, words, source)
