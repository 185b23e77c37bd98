"""Operations on memory and when they complete: at once (eager), or when a wait or something else is due (late)."""

from collections.abc import Callable, Set
from dataclasses import dataclass, field

from .machine import COUNTERS, Memory, Warp

MOST = 63
"""Operations that a counter can have outstanding."""
POISON = 0x7FFF7FFF


def nothing() -> None:
    """What a store does to registers."""


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
    poison: Callable[[], None] = nothing
    """Fill the registers that wait for a result."""
    act: Callable[[], None] | None = None
    """What an atomic, or an access with an order, does to memory when it is issued."""
    touched: set[int] = field(default_factory=set)

    def conflicts(self, other: "Operation") -> bool:
        """Whether both touch a byte, and one of them stores."""
        same = self.memory is other.memory and (self.store or other.store)
        return same and not self.touched.isdisjoint(other.touched)


def issue(warp: Warp, operation: Operation, order: Set[str]) -> None:
    """Check all lanes; then complete the operation, or put it into its queue."""
    for place in operation.places:
        operation.memory.check(place, operation.size)
    if not warp.block.launch.late:
        if operation.act:
            operation.act()
        operation.complete()
        return
    operation.touched = {place + n for place in operation.places for n in range(operation.size)}
    queue = warp.queues[operation.counter]
    if order & {"release", "acq_rel"}:
        warp.drain_all()
    elif len(queue) == MOST:
        warp.drain(operation.counter, MOST - 1)
    for counter in COUNTERS:
        older = warp.queues[counter]
        conflicting = [n for n, other in enumerate(older) if other.conflicts(operation)]
        if conflicting:
            warp.drain(counter, len(older) - conflicting[-1] - 1)
    if operation.act:
        operation.act()
        operation.touched = set()
    queue.append(operation)
    operation.poison()
