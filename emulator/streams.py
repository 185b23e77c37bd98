"""What the chips of a pod are told to do: streams of launches, copies and waits, and events between them.

A stream does its tasks one after the other, different streams of a chip side by side; one kernel runs at a time on a
chip, in the order in which its streams come to them. Enqueueing returns at once: nothing happens before somebody
synchronises. All times are modelled, in integer picoseconds of the pod's one clock.
"""

from __future__ import annotations

from collections import deque
from operator import index
from typing import Any, Protocol

from .copies import Copy, Side, check_sides, whole
from .faults import LaunchError
from .home import Member
from .icn.topology import PICOSECONDS
from .launch import Run


class Prepared(Protocol):
    """A launch that waits for its turn in a stream. Its text is what ranks compare to see that they launch the same."""

    def start(self, port: int) -> Run:
        """Put the chip at the kernel's entry; `port` is the address of its CHIP. Raises LaunchError."""
        ...

    def end(self) -> None:
        """Say that it runs no longer."""
        ...


class Task:
    """One thing a stream does. `began` and `ended` are None until it does."""

    def __init__(self, stream: Stream):
        self.stream = stream
        self.queued = stream.pod.meeting.now
        self.began: int | None = None
        self.ended: int | None = None
        self.dropped = False
        """It never will: something went wrong before it."""


class Kernel(Task):
    """A launch. `executed` is how many instructions its warps executed, once it has ended."""

    def __init__(self, stream: Stream, launch: Prepared):
        super().__init__(stream)
        self.launch = launch
        self.executed = 0

    def __str__(self) -> str:
        return str(self.launch)


class Mark(Task):
    """The point of a stream at which an event is recorded."""

    def __str__(self) -> str:
        return f"records an event in a stream of chip {self.stream.chip.index}"


class Wait(Task):
    """Wait for a mark, most often of another stream."""

    def __init__(self, stream: Stream, mark: Mark):
        super().__init__(stream)
        self.mark = mark

    def __str__(self) -> str:
        return f"waits for an event in a stream of chip {self.stream.chip.index}"


class Move(Task):
    """A copy by one of the chip's copy engines."""

    def __init__(self, stream: Stream, copy: Copy):
        super().__init__(stream)
        self.copy = copy
        self.number = 0

    def __str__(self) -> str:
        return f"copies {self.copy.nbytes} bytes from {self.copy.source} to {self.copy.target}"

    @property
    def pulls(self) -> bool:
        """Whether a chip reads from another one's memory; else it writes there."""
        return self.copy.peers and self.copy.target.chip == self.stream.chip.index


class Event:
    """A moment in the work of a stream, to be waited for and to measure modelled time with."""

    def __init__(self, name: str = ""):
        self.name = name
        self.mark: Mark | None = None

    def record(self, stream: Stream) -> Event:
        """Record it when `stream` has done all that it has been told until now; recorded again, it is that moment."""
        self.mark = Mark(stream)
        stream.add(self.mark)
        return self

    @property
    def recorded(self) -> bool:
        """Whether its moment has come."""
        return self.mark is not None and self.mark.ended is not None

    @property
    def time(self) -> float:
        """Its moment in modelled seconds since the pod began. ValueError if it has not come yet."""
        return self.picoseconds / PICOSECONDS

    @property
    def picoseconds(self) -> int:
        """The same, exactly."""
        if self.mark is None:
            raise ValueError(f"{self!r}: no stream has been told to record it")
        if self.mark.dropped:
            raise ValueError(f"{self!r}: an error ended all work before it; record it again")
        if self.mark.ended is None:
            raise ValueError(f"{self!r} is not recorded yet: synchronize first")
        return self.mark.ended

    def elapsed(self, later: Event) -> float:
        """Modelled seconds from this event to `later`. ValueError if one has not come yet, or is of another pod."""
        taken = later.picoseconds - self.picoseconds
        if self.mark and later.mark and self.mark.stream.pod is not later.mark.stream.pod:
            raise ValueError(f"{self!r} and {later!r} are of two pods, each of which has a clock of its own")
        return taken / PICOSECONDS

    def synchronize(self) -> None:
        """Run the pod until the event is recorded; nothing if nobody records it. Raises what launches raise."""
        if self.mark is not None:
            mark = self.mark
            mark.stream.pod.meeting.run(lambda: mark.ended is not None)

    def __repr__(self) -> str:
        state = f"at {self.time:.9f} s" if self.recorded else "not recorded"
        return f"<Event {self.name or hex(id(self))} {state}>"


class Stream:
    """A queue of work for one chip of a pod; `chip.stream()` makes one."""

    def __init__(self, chip: Member, name: str = ""):
        if chip.pod is None:
            raise LaunchError("streams belong to the chips of a pod: Pod(chips=1).chips[0].stream()")
        self.chip, self.pod = chip, chip.pod
        self.name = name
        self.tasks: deque[Task] = deque()
        self.number = self.pod.number_stream()
        self.time = 0
        """When the last task ended that has."""

    def add(self, task: Task) -> None:
        """Do a task after those it has been told before."""
        self.pod.exchange.note(task)
        self.tasks.append(task)
        self.pod.meeting.busy[self.number] = self

    def drop(self) -> None:
        """Forget what it has not done yet."""
        for task in self.tasks:
            task.dropped = True
        self.tasks.clear()

    def launch(self, launch: Prepared) -> Kernel:
        """Enqueue a launch."""
        task = Kernel(self, launch)
        self.add(task)
        return task

    def record(self, event: Event | None = None) -> Event:
        """Record an event, a new one unless one is given."""
        return (event or Event()).record(self)

    def wait(self, event: Event) -> None:
        """What follows waits until the event is recorded; nothing if nobody has been told to record it.

        LaunchError for an event of another pod: pods have a clock each.
        """
        if event.mark is None:
            return
        if event.mark.stream.pod is not self.pod:
            raise LaunchError(f"{event!r} is recorded by {event.mark.stream!r} of another pod: synchronize it instead")
        self.add(Wait(self, event.mark))

    def copy(self, target: Any, source: Any) -> None:
        """Copy all of `source` to `target`, buffers or numpy arrays of equal size in bytes.

        Host to device, device to host, from chip to chip through the ICN, or within a chip. The bytes are read and
        written while the copy runs, so host arrays must stay until it has ended. Raises LaunchError.
        """
        self._move(whole(target), whole(source))

    def copy_2d(self, target: Any, target_pitch: int, source: Any, source_pitch: int, width: int, rows: int) -> None:
        """Copy `rows` rows of `width` bytes that begin `pitch` bytes apart in each of two buffers or arrays."""
        # numpy's integers of few bits overflow where Python's do not: what has been checked must be what is moved
        target_pitch, source_pitch, width, rows = map(index, (target_pitch, source_pitch, width, rows))
        self._move(Side(target, target_pitch, width, rows), Side(source, source_pitch, width, rows))

    def _move(self, target: Side, source: Side) -> None:
        check_sides(self.pod, target, source)
        self.add(Move(self, Copy(target, source)))

    def synchronize(self) -> None:
        """Run the pod until the stream has done everything. Raises what launches raise."""
        self.pod.meeting.run(lambda: not self.tasks)

    def __repr__(self) -> str:
        return f"<Stream {self.name or hex(id(self))} of chip {self.chip.index}, {len(self.tasks)} tasks>"
