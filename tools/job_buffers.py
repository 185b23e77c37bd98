"""The buffers of a job in device memory: filled before its launches, and read, checked and saved after them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..emulator.buffers import Buffer
from ..emulator.chip import Chip
from ..emulator.pod.pod import Pod, SymmetricBuffer
from .arrays import Array, Element, Shape, device_layout, from_device, save, to_device
from .checks import Checked, compare
from .exits import InputError, message_of
from .initial import content, content_by_chip
from .job import BufferSpec, CheckSpec, Job


@contextmanager
def placed(where: str) -> Generator[None, None, None]:
    """Say in which place of a launch file a file is named that is missing or does not fit."""
    try:
        yield
    except (InputError, OSError) as error:
        if not where:
            raise
        raise InputError(f"{where}: {message_of(error)}") from None


@dataclass(frozen=True, slots=True)
class Held:
    """A buffer with the type and shape that the host gave it: of what each chip has."""

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


class JobBuffers:
    """The buffers of a job on its chip, or on the chips of its pod."""

    def __init__(self, job: Job, chip: Chip, pod: Pod | None) -> None:
        """Allocate and fill them. Raises InputError for content that is missing or does not fit."""
        self.job, self.chip, self.pod = job, chip, pod
        self._held = {spec.name: self._place(spec) for spec in job.buffers.values()}

    def __getitem__(self, name: str) -> Buffer | SymmetricBuffer:
        return self._held[name].buffer

    def doubts(self) -> list[str]:
        """What a kernel can hardly be meant to get: no instruction computes with f64, of which numpy makes floats."""
        given = {value for launch in self.job.launches for value in launch.args.values() if isinstance(value, str)}
        wide = [name for name in self._held if name in given and self._held[name].kind.name == "f64"]
        return [f"buffer '{name}' is of type f64, with which no instruction computes: f32 is meant?" for name in wide]

    def contents(self, names: Iterable[str]) -> dict[str, Array]:
        """What buffers hold, by name, on the first rank; on others zeros."""
        fetch = Buffer.copy_to_host if self.pod is None else self.pod.fetch
        wanted = set(names)
        return {name: held.array(fetch) for name, held in self._held.items() if name in wanted}

    def save(self, arrays: dict[str, Array]) -> None:
        """Write what the job wants saved."""
        save({name: (path, arrays[name], self._held[name].kind) for name, path in self.job.saves.items()})

    # ---- before the launches -----------------------------------------------------------------------------------------

    def _place(self, spec: BufferSpec) -> Held:
        with placed(spec.where):
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

    # ---- checks ------------------------------------------------------------------------------------------------------

    def expected(self, check: CheckSpec) -> Array:
        """What a check expects, of all chips if its buffer is on all. Raises InputError."""
        held = self._held[check.buffer]
        kind = None if check.expect.path is not None or check.expect.type is not None else held.kind
        with placed(check.where):
            if self.job.buffers[check.buffer].chip is None:
                expected, _, shape = content_by_chip(check.expect, kind, held.shape, self.job.chips)
                shape = (self.job.chips, *shape)
            else:
                expected, _, shape = content(check.expect, kind, held.shape)
        return np.zeros(shape, held.kind.dtype) if expected is None else expected

    def checked(self, check: CheckSpec, found: Array, expected: Array) -> Checked:
        """What was found beside what is expected."""
        everywhere = self.job.buffers[check.buffer].chip is None
        if everywhere and not isinstance(self[check.buffer], SymmetricBuffer):
            expected = expected[0]
        elif everywhere and check.chip is not None:
            found, expected = found[check.chip], expected[check.chip]
        return compare(found, expected, check, poison=self.chip.mode.poison)
