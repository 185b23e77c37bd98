"""Runs a job: buffers are made, kernels launched in order, results checked and saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..emulator.buffers import Buffer
from ..emulator.chip import Chip, LoadedKernel, LoadedModule
from ..emulator.faults import LaunchError, Timeout
from ..emulator.launch import Limits
from ..emulator.observe import Observer
from ..emulator.plan import Schedule
from ..emulator.printing import Console
from ..emulator.shape import dim3
from ..emulator.state import POISON
from ..isa.program import Kernel, Parameter
from ..isa.spec import Decoded
from .arrays import Array, Element, Shape, check_target, device_layout, from_device, save, to_device
from .exits import InputError, message_of
from .initial import content
from .launchfile import ArgumentValue, BufferSpec, CheckSpec, Job, LaunchSpec
from .loading import check_architecture, find_profile, load_module, nearest_of, pick_kernel
from .output import Progress


class JobError(ValueError):
    """A launch that does not fit its kernel: arguments, extents or the kernel's name. `where` is which launch."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}" if where else problem)


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


@dataclass(frozen=True, slots=True)
class Launched:
    """One launch that ended; `tsm` is the kernel's own and what the launch adds."""

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    tsm: int
    instructions: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Checked:
    """A comparison: how many elements differ, the largest error, the first difference as (index, found, expected).

    `poison` is how many of those that differ hold poison, where the chip poisons; `nan` how many are NaN.
    """

    buffer: str
    passed: bool
    elements: int
    differing: int
    max_abs_error: float
    poison: int
    nan: int
    first: tuple[tuple[int, ...], Any, Any] | None = None


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
        return {
            "profile": self.profile,
            "passed": self.passed,
            "launches": launches,
            "checks": checks,
            "saved": self.saved,
            "printed": self.printed,
        }


@dataclass(frozen=True, slots=True)
class Held:
    """A buffer of the job in device memory, with the type and shape that the host gave it."""

    buffer: Buffer
    kind: Element
    shape: Shape

    def array(self) -> Array:
        """Its content on the host."""
        return from_device(self.buffer.copy_to_host(), self.kind).reshape(self.shape)


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
    """One run of a job. `outcome` says how far it came, also after an error."""

    def __init__(self, job: Job, options: Options, outcome: Outcome | None = None) -> None:
        """Make the chip and load every object. Raises JobError, InputError and what loading raises."""
        self.job, self.options = job, options
        self.outcome = Outcome() if outcome is None else outcome
        for path in job.saves.values():
            check_target(path)
        try:
            profile = find_profile(job.profile, job.folder)
        except ValueError as error:
            raise error if isinstance(error, InputError) else JobError("profile", str(error)) from None
        timing: dict[str, Any] = {} if job.timing == "eager" else {"timing": job.timing}
        console = Console(self._print)
        self.chip = Chip(
            profile,
            poison=options.poison or None,
            observers=options.observers,
            schedule=Schedule.seeded(job.seed),
            console=console,
            **timing,
        )
        self.outcome.profile = profile.name
        self.modules: dict[Path, LoadedModule] = {}
        self.held: dict[str, Held] = {}
        self.kernels: list[LoadedKernel] = []
        self.progress = Progress("")
        for launch in job.launches:
            self.kernels.append(self._kernel(launch))
            check_arguments(self.kernels[-1].kernel, launch, job.buffers)

    def _kernel(self, launch: LaunchSpec) -> LoadedKernel:
        path = launch.object
        if path not in self.modules:
            with _placed(launch.object_where):
                module = load_module(path, self.options.include, self.options.defines)
                check_architecture(module, path, self.chip.profile)
            self.modules[path] = LoadedModule(self.chip, module)
        try:
            return self.modules[path][pick_kernel(self.modules[path].module, launch.kernel, path).name]
        except ValueError as error:
            raise JobError(launch.where, str(error)) from None

    def run(self) -> Outcome:
        """Launch, check, save. Raises what a launch raises; nothing is saved then."""
        for spec in self.job.buffers.values():
            self.held[spec.name] = self._place(spec)
        for kernel, launch in zip(self.kernels, self.job.launches, strict=True):
            self._launch(kernel, launch)
        for check in self.job.checks:
            self.outcome.checks.append(self._check(check))
        save({name: (path, self.held[name].array(), self.held[name].kind) for name, path in self.job.saves.items()})
        self.outcome.saved = dict(self.job.saves)
        return self.outcome

    def _place(self, spec: BufferSpec) -> Held:
        with _placed(spec.where):
            array, kind, shape = content(spec.init, spec.type, spec.shape)
            try:
                stored, dtype = device_layout(kind, shape)
            except ValueError as error:
                raise InputError(f"buffer '{spec.name}': {error}") from None
        buffer = self.chip.empty(stored, dtype, name=spec.name)
        if array is not None:
            buffer.copy_from_host(to_device(array, kind))
        elif self.chip.mode.poison:
            buffer.view()[...] = np.zeros((), dtype)
        return Held(buffer, kind, shape)

    def _launch(self, kernel: LoadedKernel, launch: LaunchSpec) -> None:
        progress = self.progress = Progress(kernel.kernel.name)
        self.chip.progress = progress if progress.active else None
        started = time.perf_counter()
        try:
            values = [self._value(launch.args[parameter.name]) for parameter in kernel.kernel.params]
            grid, block = dim3(launch.grid, "grid"), dim3(launch.block, "block")
            count = kernel.launch(
                grid, block, values, tsm=launch.tsm, cooperative=launch.cooperative, limits=self._limits()
            )
        except LaunchError as error:
            raise JobError(launch.where, str(error)) from None
        except Timeout as error:
            if error.limit == "seconds" and self.options.seconds is not None:
                error.value = self.options.seconds
            raise
        finally:
            progress.clear()
        seconds, tsm = time.perf_counter() - started, kernel.kernel.tsm + launch.tsm
        self.outcome.launches.append(Launched(kernel.kernel.name, grid, block, tsm, count, seconds))

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
        left = self.options.seconds - sum(launch.seconds for launch in self.outcome.launches)
        if left <= 0:
            raise Timeout(limit="seconds", value=self.options.seconds)
        return Limits(self.options.instructions, left)

    def _value(self, value: ArgumentValue) -> Any:
        return self.held[value].buffer if isinstance(value, str) else value

    def _check(self, check: CheckSpec) -> Checked:
        held = self.held[check.buffer]
        kind = None if check.expect.path is not None or check.expect.type is not None else held.kind
        with _placed(check.where):
            expected, _, shape = content(check.expect, kind, held.shape)
        return compare(
            held.array(), np.zeros(shape) if expected is None else expected, check, poison=self.chip.mode.poison
        )

    def fidelity(self) -> list[Relied]:
        """Every instruction of the launched kernels that is this project's definition."""
        return [relied for kernel in dict.fromkeys(self.kernels) for relied in _relied(kernel)]


def _relied(kernel: LoadedKernel) -> Iterator[Relied]:
    found: dict[tuple[str, str], int] = {}
    for decoded in kernel.program.decoded:
        if isinstance(decoded, Decoded) and decoded.form.instruction.tag == "defined":
            instruction = decoded.form.instruction
            place = (instruction.mnemonic, instruction.source)
            found[place] = found.get(place, 0) + 1
    for (mnemonic, source), words in sorted(found.items()):
        yield Relied(kernel.kernel.name, mnemonic, words, source)


# ---- arguments -------------------------------------------------------------------------------------------------------


def check_arguments(kernel: Kernel, launch: LaunchSpec, buffers: Mapping[str, BufferSpec]) -> None:
    """Refuse arguments that are unknown, missing or of the wrong kind; JobError."""
    params = {parameter.name: parameter for parameter in kernel.params}
    for name in launch.args:
        if name not in params:
            raise JobError(
                launch.where, f"kernel '{kernel.name}' has no parameter '{name}': {nearest_of(name, params)}"
            )
    missing = [parameter for parameter in kernel.params if parameter.name not in launch.args]
    if missing:
        listed = ", ".join(f"{parameter.name} ({_takes(parameter)})" for parameter in missing)
        raise JobError(
            launch.where, f"kernel '{kernel.name}' lacks {len(missing)} of {len(params)} arguments: {listed}"
        )
    for name, value in launch.args.items():
        problem = _problem(params[name], value, buffers)
        if problem:
            raise JobError(launch.where, f"kernel '{kernel.name}', argument '{name}': {problem}")


def _takes(parameter: Parameter) -> str:
    if parameter.count > 1:
        return f"{parameter.count} numbers, {parameter.type}"
    return "a buffer" if parameter.type == "ptr" else f"a number, {parameter.type}"


def _problem(parameter: Parameter, value: ArgumentValue, buffers: Mapping[str, BufferSpec]) -> str:
    """What is wrong with an argument, or nothing."""
    if isinstance(value, str):
        if value not in buffers:
            return f"takes {_takes(parameter)}, not '{value}'"
        return "" if parameter.type == "ptr" and parameter.count == 1 else f"takes {_takes(parameter)}, not a buffer"
    if parameter.count > 1:
        given = len(value) if isinstance(value, list) else 1
        return "" if given == parameter.count else f"takes {_takes(parameter)}; {given} given"
    return f"takes {_takes(parameter)}, not a list" if isinstance(value, list) else ""


# ---- checks ----------------------------------------------------------------------------------------------------------


def compare(found: Array, expected: Array, check: CheckSpec, *, poison: bool = False) -> Checked:
    """Compare element by element: equal, or within atol + rtol * |expected|; NaN equals NaN if `nan_equal`."""
    a, b = _comparable(found), _comparable(expected)
    with np.errstate(all="ignore"):
        wrong = a != b
        if check.rtol or check.atol:
            error = np.abs(a.astype(np.float64) - b)
            wrong &= ~(error <= check.atol + check.rtol * np.abs(b.astype(np.float64)))
        if check.nan_equal and a.dtype.kind == "f" and b.dtype.kind == "f":
            wrong &= ~(np.isnan(a) & np.isnan(b))
    differing = int(np.count_nonzero(wrong))
    first = None
    if differing:
        index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        first = (tuple(int(extent) for extent in index), a[index].item(), b[index].item())
    poisoned = int(np.count_nonzero(wrong & _poisoned(found))) if poison and differing else 0
    nan = int(np.count_nonzero(wrong & (a != a)))
    return Checked(check.buffer, not differing, a.size, differing, _largest_error(a, b), poisoned, nan, first)


def _poisoned(array: Array) -> Array:
    """Which elements hold poison; of a byte that cannot be said."""
    if array.dtype.itemsize == 1:
        return np.zeros(array.shape, bool)
    pattern = np.full(1, POISON, np.uint32).repeat(2).view(f"u{array.dtype.itemsize}")[0]
    return np.ascontiguousarray(array).view(pattern.dtype) == pattern


def _comparable(array: Array) -> Array:
    """The array in a type numpy computes with; every narrow float is exact in binary32."""
    return array if array.dtype.kind in "iuf" and array.dtype.isbuiltin == 1 else array.astype(np.float32)


def _largest_error(a: Array, b: Array) -> float:
    """The largest absolute error; NaN if one side alone is NaN somewhere."""
    different = a != b
    if not different.any():
        return 0.0
    a, b = a[different], b[different]
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        return float(np.max(np.where(a > b, a - b, b - a)))
    both = np.isnan(a) & np.isnan(b)
    with np.errstate(all="ignore"):
        error = np.abs(a.astype(np.float64) - b)[~both]
    return float(np.max(error)) if error.size else 0.0
