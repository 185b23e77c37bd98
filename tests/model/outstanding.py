"""Operations on memory and when they complete: at once (eager), or when a wait or something else is due (late)."""

from collections.abc import Callable, Collection, Set
from dataclasses import dataclass

from .machine import COUNTERS, Memory, Tsm, Warp

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
    there: Collection[int] = ()
    """Where in TSM a copy puts the bytes it has read, or reads those it stores."""
    into: bool = True
    """Whether a copy goes to TSM."""
    cube: bool = False
    """A copy of the AIU, which stands for all bytes between its first and its last one."""
    group: int = 0
    """How many groups of copies had been closed when it was issued."""
    touched: Collection[int] = ()

    def conflicts(self, new: "Operation") -> bool:
        """Whether a newer operation must not overtake it: both touch a byte, and one of them stores.

        A load from bytes that a copy is to write does not wait for the copy: it finds poison.
        """
        pairs = []
        if self.memory is new.memory and (self.store or new.store):
            pairs.append((self.touched, new.touched))
        if isinstance(self.memory, Tsm) and (self.store or new.into):
            pairs.append((self.touched, new.there))
        if isinstance(new.memory, Tsm) and new.store:
            pairs.append((self.there, new.touched))
        if new.into:
            pairs.append((self.there, new.there))
        return any(meet(old, other, self.cube or new.cube) for old, other in pairs)


def meet(old: Collection[int], new: Collection[int], bounds: bool) -> bool:
    """Whether the bytes have one in common, or with `bounds` whether what lies between them has."""
    if not old or not new:
        return False
    if bounds:
        return min(old) <= max(new) and min(new) <= max(old)
    return not set(old).isdisjoint(new)


def issue(warp: Warp, operation: Operation, order: Set[str]) -> None:
    """Check all lanes; then complete the operation, or put it into its queue."""
    for place in operation.places:
        operation.memory.check(place, operation.size)
    operation.touched = {place + n for place in operation.places for n in range(operation.size)}
    start(warp, operation, order)


def start(warp: Warp, operation: Operation, order: Set[str] = frozenset()) -> None:
    """An operation that has been checked."""
    if not warp.block.launch.late:
        if operation.act:
            operation.act()
        operation.complete()
        return
    queue = warp.queues[operation.counter]
    if order & {"release", "acq_rel"}:
        warp.drain_all(copies=False)
    elif len(queue) == MOST:
        warp.drain(operation.counter, MOST - 1)
    for counter in COUNTERS:
        older = warp.queues[counter]
        conflicting = [n for n, other in enumerate(older) if other.conflicts(operation)]
        if conflicting:
            warp.drain(counter, len(older) - conflicting[-1] - 1)
    if operation.act:
        operation.act()
        operation.touched = ()
    operation.group = warp.groups
    queue.append(operation)
    operation.poison()


def poison_byte(place: int) -> int:
    """What a byte of poisoned memory holds."""
    return POISON >> 8 * (place % 4) & 0xFF
