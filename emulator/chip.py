"""A chip, what is loaded on it, and how a kernel is launched: `module["saxpy"][grid, block](n, a, x, y)`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary
from zlib import crc32

import numpy as np

from ..isa.assembler import assemble
from ..isa.linker import missing_text
from ..isa.objectfile import read
from ..isa.program import Kernel, Module
from . import arguments
from .buffers import Buffer
from .decode import decode
from .engine import Engine, engine
from .faults import Dim3, LaunchError
from .hbm import Hbm
from .home import Home
from .host_memory import HostMemory
from .launch import Limits, Run
from .observe import Observer
from .plan import Mode, Plan, memory_ranges
from .printing import Console
from .profiles import Profile, profile
from .program import Program
from .schedule import Schedule
from .shape import Shape, dim3, occupancy, tsm_bytes
from .streams import Stream

Timing = Literal["eager", "late"]
MOST_PLANS = 8
"""Shapes of a kernel whose state is kept for the next launch."""


EXAMPLES = {Profile: "'M890'", Schedule: "Schedule.seeded(1)", Limits: "Limits(instructions=1000)"}
"""What some arguments of a chip are, and how they are written."""


class Chip:
    """One emulated chip: HBM, compute units, and the modules loaded on it.

    `kind` is a name ("M890", "810E") or a Profile. `timing` is "eager" (loads and stores complete when issued) or
    "late" (when a wait covers them: finds missing waits). `poison` fills registers, TSM and new allocations with
    0x7fff7fff words; it is on under late timing unless switched off. `observers` are given every executed
    instruction. `limits` end a launch that runs too long with a Timeout. Kernels print to `console` (stdout).
    """

    def __init__(
        self,
        kind: str | Profile = "M890",
        *,
        index: int = 0,
        chips: int = 1,
        timing: Timing = "eager",
        poison: bool | None = None,
        observers: Sequence[Observer] = (),
        schedule: Schedule = Schedule(),  # noqa: B008 (frozen)
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        host_memory: HostMemory | None = None,
        console: Console | None = None,
        pod: Home | None = None,
    ):
        self.pod: Home | None = pod
        """The pod it belongs to, if it is not alone."""
        self.profile = profile(kind) if isinstance(kind, str) else kind
        if timing not in ("eager", "late"):
            raise ValueError(f"timing is 'eager' or 'late', not {timing!r}")
        given: dict[str, Any] = {"kind": self.profile, "schedule": schedule, "limits": limits}
        for (name, value), (of, example) in zip(given.items(), EXAMPLES.items(), strict=True):
            if not isinstance(value, of):
                raise TypeError(f"{name} is a {of.__name__}, for example {example}, not {value!r}")
        if not all(hasattr(observer, "executed") for observer in observers):
            raise TypeError("an observer is an object with a method executed(batch)")
        poison = timing == "late" if poison is None else poison
        self.index, self.chips, self.schedule, self.limits = index, chips, schedule, limits
        self.mode = Mode(timing == "late", poison, tuple(observers))
        self.engine: Engine = engine()
        self.hbm = Hbm(self.profile.hbm_bytes, index, poison=poison, memory=host_memory or HostMemory())
        self.clocks = np.zeros(self.profile.compute_units, np.int64)
        self.progress: Callable[[int, int], None] | None = None
        """Called now and then with (blocks finished, blocks) while a launch runs."""
        self.launches = 0
        self.console = console or Console()
        self.peers: frozenset[int] = frozenset()
        """Chips of the pod whose memory it may access: `Pod.enable_peer_access`."""
        self._stream: Stream | None = None

    def to_device(self, array: Any, *, name: str | None = None) -> Buffer:
        """Allocate a buffer of an array's shape and type and copy it in."""
        array = np.asarray(array)
        buffer = Buffer.allocate(self.hbm, array.shape, array.dtype, name=name)
        buffer.copy_from_host(array)
        return buffer

    def empty(self, shape: int | tuple[int, ...], dtype: Any = np.float32, *, name: str | None = None) -> Buffer:
        """Allocate a buffer; it reads as zero (or poison) until something is written."""
        return Buffer.allocate(self.hbm, shape, dtype, name=name)

    def load(self, module: str | os.PathLike[str] | bytes | Module) -> LoadedModule:
        """Load an object file (path or bytes), a source file (path ending in .s) or an assembled Module.

        Raises ObjectError, AssemblyError, LaunchError.
        """
        found, sources = read_module(module, self.profile.arch)
        loaded = LoadedModule(self, found)
        loaded.sources |= sources
        return loaded

    def assemble(self, source: str, name: str = "<source>") -> LoadedModule:
        """Assemble source text and load it; `name` stands for it in messages. Raises AssemblyError."""
        loaded = self.load(assemble(source, name, arch=self.profile.arch))
        loaded.sources[name] = source.splitlines()
        return loaded

    def stream(self, name: str = "") -> Stream:
        """A new stream of a pod's chip. Raises LaunchError on a chip that is alone."""
        return Stream(self, name)

    @property
    def default_stream(self) -> Stream:
        """The stream of launches that name none."""
        if self._stream is None:
            self._stream = Stream(self, "default")
        return self._stream

    def memory_table(self) -> np.ndarray:
        """The RANGEs of a launch: its HBM and, in a pod, what it can reach of other chips and what not."""
        return self.hbm.table() if self.pod is None else self.pod.memory_table(self.index)

    def __repr__(self) -> str:
        return f"<Chip {self.index} {self.profile.name}>"


def read_module(module: str | os.PathLike[str] | bytes | Module, arch: str) -> tuple[Module, dict[str, list[str]]]:
    """The module of an object file (path or bytes), a source file (path ending in .s) or itself; lines of its source.

    A source text without `.arch` is for `arch`. Raises ObjectError, AssemblyError, OSError.
    """
    if isinstance(module, Module):
        return module, {}
    if isinstance(module, bytes):
        return read(module), {}
    data = Path(module).read_bytes()
    if Path(module).suffix != ".s":
        return read(data, str(module)), {}
    text = data.decode()
    return assemble(text, str(module), arch=arch), {str(module): text.splitlines()}


class LoadedModule:
    """A module on a chip: its kernels by name, and its data."""

    def __init__(self, chip: Chip, module: Module):
        if module.arch != chip.profile.arch:
            raise LaunchError(
                f"the object is for {module.arch}, {chip.profile.name} is {chip.profile.arch}: "
                f"change .arch or choose another chip"
            )
        lacks = missing_text(module)
        if lacks:
            raise LaunchError(f"the module {lacks}")
        self.chip, self.module = chip, module
        self.data = np.frombuffer(bytearray(module.data), np.uint8)
        self.text = module.text() if module.functions else np.zeros(0, np.uint64)
        self.sources: dict[str, list[str]] = {}
        """Lines of source texts that are in no file, for messages."""
        self._kernels: dict[str, LoadedKernel] = {}

    def __getitem__(self, name: str) -> LoadedKernel:
        """The kernel called `name`."""
        if name not in self._kernels:
            if name not in self.module.kernels:
                raise LaunchError(
                    f"no kernel is called '{name}'; the module has {', '.join(self.module.kernels) or 'none'}"
                )
            self._kernels[name] = LoadedKernel(self, self.module.kernels[name])
        return self._kernels[name]

    def __iter__(self) -> Any:
        return iter(self.module.kernels)

    def __len__(self) -> int:
        return len(self.module.kernels)

    def __repr__(self) -> str:
        return f"<LoadedModule {', '.join(self.module.kernels)} on chip {self.chip.index}>"


class Configuration(NamedTuple):
    """What stands in the brackets of a launch."""

    grid: Dim3
    block: Dim3
    stream: Any = None
    tsm: int = 0


def configuration(parts: Any) -> Configuration:
    """`[grid, block]`, `[grid, block, stream]` or `[grid, block, stream, tsm]`; LaunchError if it is none."""
    given: list[Any] = list(parts) if isinstance(parts, tuple) else [parts]
    if not 2 <= len(given) <= 4:
        raise LaunchError("a launch is kernel[grid, block](...) or kernel[grid, block, stream, tsm](...)")
    stream = given[2] if len(given) > 2 else None
    return Configuration(
        dim3(given[0], "grid"), dim3(given[1], "block"), stream, tsm_bytes(given[3]) if len(given) == 4 else 0
    )


def refuse_names(kernel: Kernel, named: dict[str, Any]) -> None:
    """Refuse arguments by name."""
    if named:
        raise LaunchError(f"kernel '{kernel.name}' takes its arguments by position, not {', '.join(named)}=")


class LoadedKernel:
    """A kernel on a chip. `kernel[grid, block](*arguments)` runs it to its end."""

    def __init__(self, module: LoadedModule, kernel: Kernel):
        self.module, self.kernel = module, kernel
        self.running = False
        self._programs: dict[str, Program] = {}
        self._plans: dict[tuple[Shape, str], Plan] = {}

    def __repr__(self) -> str:
        parameters = ", ".join(f"{parameter.type} {parameter.name}" for parameter in self.kernel.params)
        return f"<LoadedKernel {self.kernel.name}({parameters})>"

    def __call__(self, *values: Any, **named: Any) -> int:
        """Refuse a launch without a shape."""
        raise LaunchError(f"a launch needs a grid and a block: kernel[grid, block]({', '.join('...' for _ in values)})")

    def __getitem__(self, parts: Any) -> Callable[..., int]:
        """Configure a launch: `[grid, block]`, `[grid, block, stream]` or `[grid, block, stream, tsm]`."""
        grid, block, stream, tsm = configuration(parts)

        def launch(*values: Any, **named: Any) -> int:
            refuse_names(self.kernel, named)
            return self.launch(grid, block, values, tsm=tsm, stream=stream)

        return launch

    def launch(
        self,
        grid: int | tuple[int, ...],
        block: int | tuple[int, ...],
        values: Any,
        *,
        tsm: int = 0,
        cooperative: bool = False,
        limits: Limits | None = None,
        stream: Stream | None = None,
    ) -> int:
        """Run the kernel; how many instructions its warps executed. Raises LaunchError, Fault, Timeout, Deadlock.

        A cooperative launch is refused unless all blocks can be resident at once. `limits` replaces the chip's.
        On a stream it is only enqueued: the answer is 0, and errors are raised when the stream is synchronized.
        """
        prepared = self.prepare(grid, block, values, tsm=tsm, cooperative=cooperative, limits=limits)
        chip = self.module.chip
        if chip.pod is None:
            if stream is not None:
                raise LaunchError("streams belong to the chips of a pod: leave the stream None")
            return prepared.alone()
        task = self.stream(stream).launch(prepared)
        if stream is None:
            chip.pod.meeting.run(lambda: task.ended is not None)
        return task.executed

    def stream(self, given: Stream | None) -> Stream:
        """Where a launch in a pod goes: to `given`, or the chip's default stream. LaunchError if it is of another."""
        chip = self.module.chip
        if given is None:
            return chip.default_stream
        if not isinstance(given, Stream) or given.chip is not chip:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise LaunchError(f"kernel '{self.kernel.name}' runs on chip {chip.index}, {given!r} is no stream of it")
        return given

    def prepare(
        self,
        grid: int | tuple[int, ...],
        block: int | tuple[int, ...],
        values: Any,
        *,
        tsm: int = 0,
        cooperative: bool = False,
        limits: Limits | None = None,
    ) -> Launch:
        """A launch with all that can be checked before checked. Raises LaunchError."""
        chip, kernel = self.module.chip, self.kernel
        memory = arguments.pack(kernel, values, chip.hbm, chip.pod)
        plan = self.plan(Shape(dim3(grid, "grid"), dim3(block, "block"), tsm))
        if cooperative and plan.slots < plan.shape.blocks:
            raise LaunchError(
                f"kernel '{kernel.name}': a cooperative launch keeps all blocks resident, and {plan.slots} of "
                f"{plan.shape.blocks} fit ({plan.per_cu} on each of {chip.profile.compute_units} compute units)"
            )
        return Launch(self, plan.shape, memory, limits or chip.limits)

    def plan(self, shape: Shape) -> Plan:
        """The state for one launch shape, kept for the next launch of the same shape."""
        chip = self.module.chip
        key = shape, chip.mode.build
        if key not in self._plans:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            plan = Plan(
                self.program, shape, chip.profile, chip.engine, chip.schedule, (chip.index, chip.chips), chip.hbm
            )
            plan.sources = self.module.sources
            self._plans[key] = plan
        return self._plans[key]

    @property
    def program(self) -> Program:
        """The decoded kernel, in the build the chip's mode needs."""
        chip = self.module.chip
        build = chip.mode.build
        if build not in self._programs:
            self._programs[build] = decoded(self.module.module, self.kernel, chip.engine, build).copy()
        return self._programs[build]

    def occupancy(self, block: int | tuple[int, ...], *, tsm: int = 0) -> dict[str, int]:
        """Blocks a compute unit can hold, by what limits them: registers, tsm, warps, blocks."""
        shape = Shape((1, 1, 1), dim3(block, "block"), tsm_bytes(tsm))
        return occupancy(self.kernel.vregs, self.kernel.tsm + tsm, shape, self.module.chip.profile)


@dataclass(frozen=True, eq=False)
class Launch:
    """A kernel with its shape and arguments, checked and ready to start."""

    kernel: LoadedKernel
    shape: Shape
    memory: np.ndarray
    """The bytes of its arguments."""
    limits: Limits

    def start(self, port: int = 0) -> Run:
        """Put the chip at the kernel's entry; `port` is the address of its CHIP, if it has one.

        Raises LaunchError if the kernel is running already.
        """
        kernel, module = self.kernel, self.kernel.module
        chip = module.chip
        if kernel.running:  # its records remember where the arguments of that launch are
            raise LaunchError(f"kernel '{kernel.kernel.name}' is running already")
        plan = kernel.plan(self.shape)
        ranges = memory_ranges(chip.memory_table(), self.memory, kernel.kernel.words, module.data, module.text)
        plan.program.records["count"] = 0  # records remember the allocation they hit last: no longer valid
        chip.launches += 1
        plan.start(self.memory, ranges, chip.clocks, replace(chip.mode, grid=chip.launches, chip=port))
        kernel.running = True
        return Run(plan, self.limits, chip.console, chip.progress)

    def end(self) -> None:
        """Say that it runs no longer."""
        if self.kernel.running:
            self.kernel.running = False
            self.kernel.module.chip.console.finish()

    def alone(self) -> int:
        """Run it to its end on a chip alone: instructions executed.

        Raises LaunchError, Fault, Timeout, Deadlock, MemoryLimit, Interrupted.
        """
        running = self.start()
        try:
            running.alone()
        finally:
            self.end()
        return running.executed

    def __str__(self) -> str:
        kernel, where = self.kernel.kernel, self.kernel.module.chip.index
        sizes = f"{_short(self.shape.grid)}, {_short(self.shape.block)}"
        code, values = crc32(kernel.words.tobytes()), crc32(self.memory.tobytes())
        more = f", {self.shape.tsm} bytes of TSM" if self.shape.tsm else ""
        return f"launches {kernel.name}[{sizes}] on chip {where} (code {code:08x}, arguments {values:08x}{more})"


def _short(dim3: Dim3) -> str:
    """As in a launch: `64`, or `(8, 2, 1)`."""
    return str(dim3[0]) if dim3[1:] == (1, 1) else str(dim3)


_DECODED: WeakKeyDictionary[Module, dict[tuple[object, ...], Program]] = WeakKeyDictionary()
"""What is decoded once for all chips and all times a module is loaded, and never runs itself."""


def decoded(module: Module, kernel: Kernel, engine: Engine, build: str) -> Program:
    """A kernel of a module, decoded for a build; each chip takes a copy."""
    functions = tuple(module.functions.values())
    words = b"".join(one.words.tobytes() for one in (kernel, *functions))
    programs, key = _DECODED.setdefault(module, {}), (id(kernel), engine, build, words)
    if key not in programs:
        programs[key] = decode(kernel, module.arch, engine, build, functions)
    return programs[key]
