"""Operations on memory and when they complete: at once (eager), or when a wait or something else is due (late)."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .machine import COUNTERS, Memory, Warp

MOST = 63
"""Operations that a counter can have outstanding."""
POISON = 0x7FFF7FFF


@dataclass
class Operation:
    """One access: what it touches was fixed when it was issued."""

    counter: str
    memory: Memory
    places: list[int]
    """Addresses of the active lanes, ascending by lane."""
    size: int
    store: bool
    complete: Callable[[], None]
    touched: set[int] = field(default_factory=set)

    def conflicts(self, other: "Operation") -> bool:
        """Whether both touch a byte, and one of them stores."""
        return (
            (self.store or other.store) and self.memory is other.memory and not self.touched.isdisjoint(other.touched)
        )


def issue(warp: Warp, operation: Operation, poison: Callable[[], None]) -> None:
    """Check all lanes; then complete the operation, or put it into its queue."""
    for place in operation.places:
        operation.memory.check(place, operation.size)
    if not warp.block.launch.late:
        operation.complete()
        return
    operation.touched = {place + n for place in operation.places for n in range(operation.size)}
    queue = warp.queues[operation.counter]
    if len(queue) == MOST:
        warp.drain(operation.counter, MOST - 1)
    for counter in COUNTERS:
        older = warp.queues[counter]
        conflicting = [n for n, other in enumerate(older) if other.conflicts(operation)]
        if conflicting:
            warp.drain(counter, len(older) - conflicting[-1] - 1)
    queue.append(operation)
    if not operation.store:
        poison()
