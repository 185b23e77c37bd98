"""A job: the buffers, launches, checks and what to save that a run is asked for, by a launch file or by flags."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .arrays import Element, Shape
from .initial import Init

TIMINGS = ("eager", "late")
Scalar = int | float
ArgumentValue = Scalar | str | list[Scalar]
"""A number, the name of a buffer, or the numbers of an array parameter."""


@dataclass(frozen=True, slots=True)
class BufferSpec:
    """`[buffers.NAME]`. Type and shape are None where a file says them."""

    name: str
    init: Init
    type: Element | None = None
    shape: Shape | None = None
    where: str = ""
    """The place of `init` in the launch file."""
    chip: int | None = 0
    """The chip it is on; None for all, each with a part of its own."""
    chip_where: str = ""


@dataclass(slots=True)
class LaunchSpec:
    """One `[[launch]]`; `where` is its place in the file. `kernel` is None for the only one of the object."""

    object: Path
    kernel: str | None
    grid: tuple[int, ...]
    block: tuple[int, ...]
    tsm: int
    args: dict[str, ArgumentValue]
    where: str
    object_where: str = ""
    cooperative: bool = False
    chips: tuple[int, ...] | None = None
    """The chips that run it; None for all."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One `[[check]]`: `buffer` must be within atol + rtol * |expected| of what `expect` gives."""

    buffer: str
    expect: Init
    rtol: float = 0.0
    atol: float = 0.0
    nan_equal: bool = True
    where: str = ""
    """The place of `expect` in the launch file."""
    chip: int | None = None
    """Of a buffer on all chips, the one to look at; None for all."""
    chip_where: str = ""


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One `[[fault]]`: the link's ends (a chip, or a switch "s0"), and the fields of a LinkFault."""

    link: tuple[object, object]
    state: dict[str, Any]
    where: str


@dataclass(slots=True)
class Job:
    """All that a run is asked for, by a launch file or by flags."""

    profile: str = "M890"
    chips: int = 1
    quantum: int = 4096
    timing: str = "eager"
    seed: int = 0
    threads: int = 1
    changed: tuple[str, ...] = ()
    """Flags that changed a launch of the file or its arguments."""
    topology: dict[str, Any] | None = None
    """`[topology]`; None for the profile's usual one."""
    topology_where: str = ""
    """The file that says it."""
    faults: list[FaultSpec] = field(default_factory=list[FaultSpec])
    folder: Path = Path()
    """Where a profile named by a relative path lies."""
    buffers: dict[str, BufferSpec] = field(default_factory=dict[str, BufferSpec])
    launches: list[LaunchSpec] = field(default_factory=list[LaunchSpec])
    checks: list[CheckSpec] = field(default_factory=list[CheckSpec])
    saves: dict[str, str] = field(default_factory=dict[str, str])


class JobError(ValueError):
    """A job that does not fit its kernels or its chips. `where` is which launch, buffer or check."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}" if where else problem)
