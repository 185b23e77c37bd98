"""The pod as its chips and their streams see it: pods are made of chips, so this is all that leads back to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .buffers import Buffer


class Clock(Protocol):
    """Where the chips of a pod meet."""

    now: int
    """The border at which all stand, in picoseconds."""
    busy: dict[int, Any]
    """Streams with something to do, by number."""

    def run(self, done: Callable[[], bool]) -> None:
        """Go on until `done`, or until nothing is left to do. Raises what launches raise."""
        ...


class Journal(Protocol):
    """What ranks compare to see that they do the same."""

    def note(self, what: object) -> None:
        """Remember as text what the host program has asked for."""
        ...


class Home(Protocol):
    """What a chip belongs to, if it is not alone."""

    @property
    def meeting(self) -> Clock:
        """Where its chips meet."""
        ...

    @property
    def exchange(self) -> Journal:
        """What is asked of its chips, for other ranks to compare."""
        ...

    def owns(self, buffer: Buffer) -> bool:
        """Whether a buffer is on one of its chips."""
        ...

    def memory_table(self, chip: int) -> np.ndarray:
        """The RANGEs of a launch on a chip: its own allocations, those of its peers, and the windows out of reach."""
        ...

    def number_stream(self) -> int:
        """A number for a new stream."""
        ...


class Member(Protocol):
    """A chip as its streams see it."""

    @property
    def index(self) -> int:
        """Its number in the pod."""
        ...

    @property
    def pod(self) -> Home | None:
        """The pod it belongs to, if it is not alone."""
        ...
