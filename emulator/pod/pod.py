"""Chips joined by ICN links: `Pod(chips=8)`, memory at the same place on all of them, launches on all of them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ...isa.assembler import assemble
from ...isa.program import Kernel, Module
from ..buffers import Buffer, layout
from ..chip import Chip, LoadedKernel, LoadedModule, Timing, configuration, read_module, refuse_names
from ..faults import LaunchError
from ..hbm import chip_at, common_offset
from ..host_memory import HostMemory
from ..icn.faults import LinkFault
from ..icn.icn import Icn
from ..icn.topology import PICOSECONDS, Topology, check_chips
from ..launch import Limits
from ..observe import Observer
from ..printing import Console
from ..profiles import Profile, profile
from ..schedule import Schedule
from ..streams import Stream
from .exchange import Alone, Exchange
from .meeting import Meeting
from .port import pod_ranges

T = TypeVar("T")
MOST_QUANTUM = 1 << 20
"""Instructions of a quantum at most: Ctrl-C and limits wait for its end, and times in it have 64 bits."""


class PerChip(Generic[T]):
    """A value for each chip, by number: an argument, a stream, or what a launch on all chips gives."""

    def __init__(self, values: Sequence[T]):
        self.values = tuple(values)

    def __getitem__(self, chip: int) -> T:
        """The value of a chip."""
        return self.values[chip]

    def __iter__(self) -> Iterator[T]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"PerChip({list(self.values)!r})"


class SymmetricBuffer(PerChip[Buffer]):
    """Buffers of one shape and type at the same offset in the HBM of each chip; `buffer[c]` is that of chip c.

    As an argument each chip gets its own. The address on chip p is that on chip c plus (p - c) << 38.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape on each chip."""
        return self[0].shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its elements."""
        return self[0].dtype

    @property
    def name(self) -> str:
        """Its name for messages."""
        return self[0].name

    @property
    def offset(self) -> int:
        """Where it begins in the HBM of every chip, in bytes."""
        return self[0].address - self[0].hbm.base

    def copy_from_host(self, arrays: npt.ArrayLike) -> None:
        """Fill all of them: `arrays` has one axis more, the chips, and goes first."""
        given = np.asarray(arrays)
        if given.shape != (len(self), *self.shape):
            raise ValueError(f"{self!r} takes an array of shape {(len(self), *self.shape)}, not {given.shape}")
        for buffer, array in zip(self, given, strict=True):
            buffer.copy_from_host(array)

    def copy_to_host(self) -> npt.NDArray[Any]:
        """All of them as one array, chips along the first axis."""
        return np.stack([buffer.copy_to_host() for buffer in self])

    def fill(self, value: object) -> None:
        """Set every element of all of them."""
        for buffer in self:
            buffer.fill(value)

    def free(self) -> None:
        """Free all of them."""
        for buffer in self:
            buffer.free()

    def __repr__(self) -> str:
        return f"SymmetricBuffer('{self.name}', {self.dtype}, {self.shape}, offset {self.offset:#x}, {len(self)} chips)"


class Pod:
    """Chips of one kind, joined by links, with one address space and one modelled clock.

    `topology` is a Topology, or None for the chip's usual one. Packets take effect every `quantum` instructions of a
    chip. `threads` host threads run the chips; neither these nor the ranks of `exchange` change any result. A `seed`
    other than 0 orders warps differently and delays packets at random; `faults` slow, cut or spoil links. `timing`,
    `poison`, `observers`, `limits` and `console` are as those of Chip. With observers, chips run on one thread.
    """

    def __init__(
        self,
        kind: str | Profile = "M890",
        chips: int = 8,
        *,
        topology: Topology | None = None,
        quantum: int = 4096,
        seed: int = 0,
        threads: int = 1,
        timing: Timing = "eager",
        poison: bool | None = None,
        observers: Sequence[Observer] = (),
        schedule: Schedule | None = None,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        host_memory: HostMemory | None = None,
        console: Console | None = None,
        faults: Iterable[LinkFault] = (),
        exchange: Exchange | None = None,
    ):
        self.profile = profile(kind) if isinstance(kind, str) else kind
        _check(chips, quantum, threads, topology)
        self.exchange: Exchange = exchange or Alone()
        topology, faults = topology or Topology.of(self.profile, chips), tuple(faults)
        self.exchange.note(
            f"makes a pod of {chips} {self.profile.name}, topology {topology.name}, with seed {seed}, "
            f"quantum {quantum}, timing {timing} and link faults {list(faults)}"
        )
        self.console = console or Console()
        memory, schedule = host_memory or HostMemory(), schedule or Schedule.seeded(seed)
        self.chips = [
            Chip(
                self.profile,
                index=index,
                chips=chips,
                timing=timing,
                poison=poison,
                observers=observers,
                schedule=schedule,
                limits=limits,
                host_memory=memory,
                pod=self,
            )
            for index in range(chips)
        ]
        self.icn = Icn(topology, self.profile, seed=seed, faults=faults)
        self.icn.note = self.exchange.note
        threads = 1 if observers else threads
        self.meeting = Meeting(self.chips, self.icn, self.exchange, quantum, threads, self.console.write)
        for index, node in self.meeting.nodes.items():
            self.chips[index].console = Console(node.texts.append, self.console.limit)
        self._join_memories()
        self._streams = 0
        self._tables: dict[int, tuple[tuple[int, frozenset[int]], np.ndarray]] = {}

    # ---- memory ------------------------------------------------------------------------------------------------------

    def _join_memories(self) -> None:
        """Tell each chip's HBM of the others, and of the ranks that share them."""
        for chip, owner in zip(self.chips, self.meeting.owners, strict=True):
            chip.hbm.others = [other.hbm for other in self.chips]
            if self.exchange.ranks > 1:
                chip.hbm.copy_out, chip.hbm.note = self._copy_out, self.exchange.note
            if owner != self.exchange.rank:
                chip.hbm.away = f"rank {owner}"

    def symmetric(
        self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = np.float32, *, name: str | None = None
    ) -> SymmetricBuffer:
        """Allocate a buffer at the same offset on all chips. Raises MemoryLimit if none has room on all."""
        lengths, kind = layout(shape, dtype)
        offset = common_offset([chip.hbm for chip in self.chips], math.prod(lengths) * kind.itemsize)
        return SymmetricBuffer([Buffer.allocate(chip.hbm, shape, dtype, name=name, at=offset) for chip in self.chips])

    def owns(self, buffer: Buffer) -> bool:
        """Whether a buffer is on one of the pod's chips."""
        return buffer.chip < len(self.chips) and self.chips[buffer.chip].hbm is buffer.hbm

    def enable_peer_access(self, chip: int | None = None, peer: int | None = None) -> None:
        """Let `chip` access the memory of `peer`; where None, all chips or those of all others."""
        for a, b in self._pairs(chip, peer):
            self._allow(self.chips[a], self.chips[a].peers | {b})

    def disable_peer_access(self, chip: int | None = None, peer: int | None = None) -> None:
        """The reverse: such an access is a fault again."""
        for a, b in self._pairs(chip, peer):
            self._allow(self.chips[a], self.chips[a].peers - {b})

    def _allow(self, chip: Chip, peers: frozenset[int]) -> None:
        self.exchange.note(f"lets chip {chip.index} access chips {sorted(peers)}")
        chip.peers, chip.mode = peers, replace(chip.mode, peers=bool(peers))

    def _pairs(self, chip: int | None, peer: int | None) -> Iterator[tuple[int, int]]:
        every = range(len(self.chips))
        for number in (chip, peer):
            if number is not None and number not in every:
                raise ValueError(f"there is no chip {number}: this pod has {len(self.chips)}, from 0")
        if chip is not None and chip == peer:
            raise ValueError(f"chip {chip} needs no peer access to itself")
        for a in every if chip is None else (chip,):
            yield from ((a, b) for b in (every if peer is None else (peer,)) if a != b)

    def memory_table(self, chip: int) -> np.ndarray:
        """The RANGEs of a launch on a chip: its own allocations, those of its peers, and the windows out of reach."""
        peers = self.chips[chip].peers
        key = sum(other.hbm.version for other in self.chips), peers  # versions only grow
        kept = self._tables.get(chip)
        if kept is None or kept[0] != key:
            table = pod_ranges(chip, [other.hbm for other in self.chips], peers)
            kept = self._tables[chip] = key, table
        return kept[1]

    def fetch(self, buffer: Buffer) -> npt.NDArray[Any]:
        """A buffer's content on the first rank, wherever its chip is; zeros on others. All ranks call it together.

        `copy_to_host` gives it to all ranks, which costs more.
        """
        exchange, owner = self.exchange, self.meeting.owners[buffer.chip]
        fetches = f"fetches '{buffer.name}' of chip {buffer.chip}"
        if owner == 0:
            exchange.note(fetches)
            return buffer.view().copy() if exchange.rank == 0 else np.zeros(buffer.shape, buffer.dtype)
        exchange.agree(fetches)
        content = buffer.view().tobytes() if exchange.rank == owner else None
        found = exchange.trade([content if rank == 0 else None for rank in range(exchange.ranks)])
        if exchange.rank == 0:
            return np.frombuffer(found[owner], buffer.dtype).reshape(buffer.shape)
        return np.zeros(buffer.shape, buffer.dtype)

    def _copy_out(self, name: str, address: int, size: int) -> npt.NDArray[np.uint8]:
        """Bytes of a chip's memory, on all ranks."""
        chip = chip_at(address)
        self.exchange.agree(f"copies '{name}' of chip {chip} to the host")
        owner = self.meeting.owners[chip]
        mine = self.chips[chip].hbm.view(address, size).tobytes() if self.exchange.rank == owner else b""
        return np.frombuffer(self.exchange.share(mine)[owner], np.uint8)

    # ---- work --------------------------------------------------------------------------------------------------------

    def load(self, module: str | os.PathLike[str] | bytes | Module) -> PodModule:
        """Load an object file (path or bytes), a source file or a Module on all chips, as `Chip.load` on one."""
        found, sources = read_module(module, self.profile.arch)
        return PodModule(self, found, sources)

    def assemble(self, source: str, name: str = "<source>") -> PodModule:
        """Assemble source text and load it on all chips. Raises AssemblyError."""
        return PodModule(self, assemble(source, name, arch=self.profile.arch), {name: source.splitlines()})

    def stream(self, name: str = "") -> PerChip[Stream]:
        """A new stream for each chip."""
        return PerChip([chip.stream(name) for chip in self.chips])

    def barrier(self, streams: PerChip[Stream]) -> None:
        """What follows in each of these streams waits for all that they have been told until now. Returns at once."""
        moments = [stream.record() for stream in streams]
        for stream in streams:
            for moment in moments:
                stream.wait(moment)

    def synchronize(self) -> None:
        """Run until every stream has done everything. Raises what launches raise; all other work is dropped then."""
        self.meeting.run(lambda: False)

    @property
    def time(self) -> float:
        """Modelled seconds since the pod began, to where its chips stand."""
        return self.meeting.now / PICOSECONDS

    @property
    def ended(self) -> float:
        """When the last of all tasks ended so far: modelled seconds since the pod began."""
        return self.meeting.latest / PICOSECONDS

    def number_stream(self) -> int:
        """A number for a new stream."""
        self._streams += 1
        return self._streams

    def __repr__(self) -> str:
        return f"<Pod of {len(self.chips)} {self.profile.name}>"


class PodModule:
    """A module on all chips of a pod; `module["saxpy"]` is a kernel on all of them, `module.on(3)["saxpy"]` on one."""

    def __init__(self, pod: Pod, module: Module, sources: dict[str, list[str]]):
        self.pod, self.module = pod, module
        self.modules = [LoadedModule(chip, module) for chip in pod.chips]
        for loaded in self.modules:
            loaded.sources = sources

    def on(self, chip: int) -> LoadedModule:
        """The module on one chip."""
        return self.modules[chip]

    def __getitem__(self, name: str) -> PodKernel:
        """The kernel called `name` on all chips."""
        return PodKernel(self.pod, [module[name] for module in self.modules])

    def __iter__(self) -> Iterator[str]:
        return iter(self.module.kernels)

    def __len__(self) -> int:
        return len(self.module.kernels)


class PodKernel:
    """A kernel on all chips. `kernel[grid, block](*arguments)` runs it on all of them, side by side, to the end.

    An argument that is a PerChip (a SymmetricBuffer is one) gives each chip its own, and any other is for all.
    """

    def __init__(self, pod: Pod, kernels: list[LoadedKernel]):
        self.pod, self.kernels = pod, kernels

    @property
    def kernel(self) -> Kernel:
        """What was loaded."""
        return self.kernels[0].kernel

    def on(self, chip: int) -> LoadedKernel:
        """The kernel on one chip; LaunchError if there is no such chip."""
        self._check_chips([chip])
        return self.kernels[chip]

    def _check_chips(self, chips: Iterable[int]) -> None:
        count = len(self.kernels)
        if missing := [chip for chip in chips if chip not in range(count)]:
            raise LaunchError(f"there is no chip {missing[0]}: this pod has {count}, from 0")

    def __getitem__(self, parts: Any) -> Callable[..., PerChip[int]]:
        """Configure a launch: `[grid, block]`, `[grid, block, stream]` or `[grid, block, stream, tsm]`."""
        grid, block, stream, tsm = configuration(parts)

        def launch(*values: Any, **named: Any) -> PerChip[int]:
            refuse_names(self.kernel, named)
            return self.launch(grid, block, values, tsm=tsm, stream=stream)

        return launch

    def launch(
        self,
        grid: int | tuple[int, ...],
        block: int | tuple[int, ...],
        values: Sequence[Any],
        *,
        tsm: int = 0,
        cooperative: bool = False,
        limits: Limits | None = None,
        stream: PerChip[Stream] | None = None,
        chips: Sequence[int] | None = None,
    ) -> PerChip[int]:
        """Run the kernel on all chips, or on some: the instructions of each (0 where it did not run).

        `stream` is what `pod.stream()` gives; with one the launch is only enqueued. Raises as `LoadedKernel.launch`.
        """
        pod = self.pod
        for value in (*values, *([] if stream is None else [stream])):
            if isinstance(value, PerChip) and len(value) != len(pod.chips):
                raise LaunchError(f"{value!r} has {len(value)} values, the pod {len(pod.chips)} chips")
        if stream is not None and not isinstance(stream, PerChip):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise LaunchError(f"a launch on all chips takes pod.stream(), a stream for each of them, not {stream!r}")
        chosen = range(len(pod.chips)) if chips is None else chips
        self._check_chips(chosen)
        if len(set(chosen)) < len(chosen):
            raise LaunchError(f"chips {list(chosen)}: a launch runs once on each of them; name each once")
        prepared = {
            chip: self.kernels[chip].prepare(
                grid, block, [_of(value, chip) for value in values], tsm=tsm, cooperative=cooperative, limits=limits
            )
            for chip in chosen
        }
        streams = {chip: self.kernels[chip].stream(_of(stream, chip)) for chip in chosen}
        tasks = {chip: streams[chip].launch(launch) for chip, launch in prepared.items()}
        if stream is None:
            pod.meeting.run(lambda: all(task.ended is not None for task in tasks.values()))
        return PerChip([tasks[chip].executed if chip in tasks else 0 for chip in range(len(pod.chips))])


def _check(chips: int, quantum: int, threads: int, topology: Topology | None) -> None:
    """Refuse what no pod can be made of; ValueError."""
    check_chips(chips)
    for what, number in (("quantum", quantum), ("threads", threads)):
        if number < 1:
            raise ValueError(f"{what} is a whole number from 1, not {number}")
    if topology is not None and topology.chips != chips:
        raise ValueError(f"topology {topology.name} joins {topology.chips} chips, this pod has {chips}")
    if quantum > MOST_QUANTUM:
        raise ValueError(f"quantum is at most {MOST_QUANTUM}, not {quantum}")


def _of(value: Any, chip: int) -> Any:
    return value[chip] if isinstance(value, PerChip) else value
