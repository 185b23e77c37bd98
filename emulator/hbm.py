"""One chip's HBM: a lazily committed host mapping, its allocations, and the range table the core checks against.

HBM of chip c occupies the window of guest addresses from `window_base(c)` on (docs/machine.md section 5). A guest
address becomes a host address by adding `host_address - window_base`. Memory costs the host only what is touched.
"""

from __future__ import annotations

import mmap
import sys
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import numpy.typing as npt

from ..isa.program import CODE_BASE, DATA_BASE, KM_BASE
from .faults import MemoryLimit
from .host_memory import HostMemory, reserve
from .machine.state import POISON, RANGE, READ, WINDOW_BITS, WRITE

MOST_CHIPS = 128
"""Chips of a pod at most: a rack of M890 (source: survey)."""
GUARD = 256
"""Bytes between two allocations that belong to neither."""
NEAR = 1 << 16
"""Bytes within which an address outside every allocation is said to belong to the nearest one."""
REMEMBERED = 1024
"""How many freed allocations `describe` still knows."""


def window_base(chip: int) -> int:
    """First guest address of the HBM of `chip`."""
    return (chip + 1) << WINDOW_BITS


def chip_at(address: int) -> int:
    """The chip in whose window a guest address lies; -1 below all of them."""
    return (address >> WINDOW_BITS) - 1


@dataclass(slots=True, eq=False)
class Allocation:
    """`size` bytes of HBM from guest `address` on. Two allocations are equal only if they are the same one."""

    address: int
    size: int
    name: str
    writable: bool = True
    named: bool = True
    """Whether its name was given to it; one without is called "#N"."""
    argument: str = ""
    """As which argument it has been given to a kernel, if it has no name of its own."""

    @property
    def label(self) -> str:
        """`'x'`, or `'#2', argument 'x' of kernel 'scale'`."""
        return f"'{self.name}'{self.argument and f', {self.argument}'}"

    @property
    def end(self) -> int:
        """The first address past the allocation."""
        return self.address + self.size

    @property
    def extent(self) -> str:
        """`(4000 bytes at 0x4000000000)`."""
        return f"({self.size} bytes at {self.address:#x})"

    def __str__(self) -> str:
        """`'x' (4000 bytes at 0x4000000000)`."""
        return f"{self.label} {self.extent}"


@dataclass(slots=True)
class FreeRanges:
    """Free offsets as sorted half-open ranges that never touch; taking is first-fit, giving back coalesces.

    What is shorter than `least` serves nobody. It is kept apart until a neighbour is given back, so that taking does
    not pass by a scrap behind every allocation.
    """

    ranges: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    least: int = 1
    _scraps: dict[int, int] = field(default_factory=dict[int, int], init=False)
    """Where a scrap begins: where it ends."""
    _scrap_ends: dict[int, int] = field(default_factory=dict[int, int], init=False)

    def take(self, size: int, align: int) -> int | None:
        """Take `size` bytes, at least `least`, at the lowest multiple of `align` that fits and return it, or None."""
        for index, (start, end) in enumerate(self.ranges):
            at = -(-start // align) * align
            if at + size <= end:
                self._cut(index, at, at + size)
                return at
        return None

    def take_at(self, at: int, size: int) -> bool:
        """Take `size` bytes, at least `least`, at `at`; say whether they were free."""
        index = bisect_right(self.ranges, at, key=lambda pair: pair[0]) - 1
        if index < 0 or at + size > self.ranges[index][1]:
            return False
        self._cut(index, at, at + size)
        return True

    def give(self, start: int, end: int) -> None:
        """Make [start, end), which must not be free, free again."""
        if start in self._scrap_ends:
            self._scraps.pop(start := self._scrap_ends.pop(start))
        if end in self._scraps:
            self._scrap_ends.pop(end := self._scraps.pop(end))
        index = bisect_right(self.ranges, start, key=lambda pair: pair[0])
        first = last = index
        if index > 0 and self.ranges[index - 1][1] == start:
            first, start = index - 1, self.ranges[index - 1][0]
        if index < len(self.ranges) and self.ranges[index][0] == end:
            last, end = index + 1, self.ranges[index][1]
        self.ranges[first:last] = [(start, end)]

    def common(self, other: FreeRanges) -> FreeRanges:
        """What is free in both."""
        cuts, mine, theirs = list[tuple[int, int]](), 0, 0
        while mine < len(self.ranges) and theirs < len(other.ranges):
            (a, b), (c, d) = self.ranges[mine], other.ranges[theirs]
            if max(a, c) < min(b, d):
                cuts.append((max(a, c), min(b, d)))
            mine, theirs = mine + (b <= d), theirs + (d <= b)
        return FreeRanges(cuts, self.least)

    def largest(self) -> int:
        """Size of the largest range that serves."""
        return max((end - start for start, end in self.ranges), default=0)

    def _cut(self, index: int, start: int, end: int) -> None:
        """Remove [start, end) from the range at `index`, which holds it."""
        low, high = self.ranges[index]
        rest = [pair for pair in ((low, start), (end, high)) if pair[0] < pair[1]]
        self.ranges[index : index + 1] = [pair for pair in rest if pair[1] - pair[0] >= self.least]
        for first, last in rest:
            if last - first < self.least:
                self._scraps[first], self._scrap_ends[last] = last, first


class Hbm:
    """The HBM of one chip.

    `size` is in bytes. With `poison` each new allocation is filled with `POISON` words (which costs the host its
    whole size at once); otherwise it reads as zero. `memory` is the host memory limit, None for no limit.

    Arrays from `view` and addresses in `table()` refer to one mapping. It is released when the Hbm is closed or
    collected and the last array over it is gone, never under a live array.
    """

    def __init__(self, size: int, chip: int = 0, *, poison: bool = False, memory: HostMemory | None = None) -> None:
        if not 0 < size <= 1 << WINDOW_BITS or chip < 0:
            raise ValueError(f"HBM of chip {chip}: size {size} is not within 1 to {1 << WINDOW_BITS} bytes")
        self.size = size
        self.chip = chip
        self.base = window_base(chip)
        self.poison = poison
        self.version = 0
        """Grows with every change of the allocations."""
        self.memory = memory
        self.others: Sequence[Hbm] = ()
        """Those of all chips of its pod, if it is in one, for messages."""
        self.away = ""
        """Where its bytes are if not in this process: what is allocated is known here, too."""
        self.copy_out: Callable[[str, int, int], npt.NDArray[np.uint8]] | None = None
        """How the ranks of a pod, if there are several, come to bytes together: their name, guest address and size."""
        self.note: Callable[[str], None] | None = None
        """Told what the host does here, if there are several ranks, which must all do the same."""
        self._map: mmap.mmap | None = reserve(size, f"the HBM of chip {chip}", "use a profile with a smaller hbm_bytes")
        self._bytes: npt.NDArray[np.uint8] | None = np.frombuffer(self._map, dtype=np.uint8)
        self.host_address: int = self._bytes.ctypes.data
        """Host address of the first byte: host = guest - base + host_address."""
        self._free = FreeRanges([(0, size + GUARD)], _room(0))  # each allocation takes the guard behind it as well
        self._live: list[Allocation] = []  # sorted by address
        self._freed: deque[Allocation] = deque(maxlen=REMEMBERED)
        self._count = 0
        self._table = np.zeros(0, RANGE)
        self._table_version = 0

    def allocate(
        self, size: int, *, name: str | None = None, writable: bool = True, align: int = 256, at: int | None = None
    ) -> Allocation:
        """Allocate `size` bytes (0 is allowed) at a multiple of `align`, or at offset `at` of this HBM.

        Without a `name` it is called "#N". The guest may only read what is not `writable`. Raises MemoryLimit if
        nothing fits (or poisoning would pass the host's limit) and ValueError for a bad size or alignment or if bytes
        at `at` are taken.
        """
        if size < 0:
            raise ValueError(f"cannot allocate {size} bytes")
        if align <= 0 or align & (align - 1) or align > 1 << WINDOW_BITS:
            raise ValueError(f"alignment {align} is not a power of two up to {1 << WINDOW_BITS}")
        self._open()
        if self.poison and not self.away:
            self.check_host(size)
        offset = self._take(size, align) if at is None else self._take_at(size, align, at)
        self._count += 1
        allocation = Allocation(self.base + offset, size, name or f"#{self._count}", writable, bool(name))
        insort(self._live, allocation, key=_address_of)
        self.version += 1
        if self.note:
            self.note(f"allocates {size} bytes at offset {offset:#x} of chip {self.chip} as '{allocation.name}'")
        if self.poison and not self.away:
            _fill_poison(self.view(allocation.address, size))
        return allocation

    def free(self, allocation: Allocation) -> None:
        """Free `allocation`: whole pages go back to the host and its bytes read as zero from now on.

        Raises ValueError if it is freed already or belongs to another Hbm.
        """
        memory = self._open()
        if not self.owns(allocation):
            freed = any(allocation is old for old in self._freed)
            raise ValueError(f"{allocation} {'is freed already' if freed else f'is not one of chip {self.chip}'}")
        offset = allocation.address - self.base
        del self._live[self._index(allocation.address)]
        self._discard(memory, offset, offset + allocation.size)
        self._free.give(offset, offset + _room(allocation.size))
        self._freed.append(allocation)
        self.version += 1
        if self.note:
            self.note(f"frees '{allocation.name}' of chip {self.chip}")

    def owns(self, allocation: Allocation) -> bool:
        """Say whether `allocation` is a live one of this Hbm."""
        index = self._index(allocation.address)
        return index >= 0 and self._live[index] is allocation

    def check_host(self, extra: int) -> None:
        """Raise MemoryLimit if the host cannot commit `extra` more bytes; call before touching that many."""
        if self.memory is not None:
            self.memory.check(extra)

    def allocations(self) -> tuple[Allocation, ...]:
        """All live allocations by address."""
        return tuple(self._live)

    def find(self, address: int) -> Allocation | None:
        """The live allocation that holds guest `address`."""
        index = self._index(address)
        return self._live[index] if index >= 0 and address < self._live[index].end else None

    def view(self, address: int, size: int) -> npt.NDArray[np.uint8]:
        """Zero-copy array of the `size` bytes from guest `address` on; ValueError unless one allocation holds them.

        The host may write through it even where the guest may not.
        """
        memory = self._open()
        if self.away:
            raise ValueError(
                f"no view of the memory of chip {self.chip}, which is with {self.away}: copy it to the host"
            )
        index = self._index(address)
        if size < 0 or index < 0 or address + size > self._live[index].end:
            raise ValueError(f"no view of {size} bytes at {address:#x}: {self.describe(address, max(size, 1))}")
        return memory[address - self.base : address - self.base + size]

    def table(self) -> np.ndarray:
        """All allocations as an array of `RANGE`, sorted by address, empty ones left out.

        Built anew only if `version` changed; an array handed out earlier is never changed.
        """
        self._open()
        if self._table_version != self.version:
            delta = self.host_address - self.base
            rows = [(a.address, a.end, delta, READ | WRITE if a.writable else READ) for a in self._live if a.size]
            self._table = np.array(rows, RANGE)
            self._table_version = self.version
        return self._table

    def describe(self, address: int, size: int = 1) -> str:
        """Say for a message where an access of `size` bytes at guest `address` lies: which allocation, how far off.

        One of another chip of the pod is said to be there.
        """
        home = self.at(address)
        return home._describe(address, size, "" if home is self else f" on chip {home.chip}")

    def _describe(self, address: int, size: int, place: str) -> str:
        inside = self.find(address)
        if inside is not None:
            over, told = address + size - inside.end, _told(inside, place)
            into = f"{_counted_bytes(address - inside.address)} into {told}"
            return f"the last {over} of {size} bytes past the end of {told}" if over > 0 else into
        freed = next((old for old in reversed(self._freed) if old.address <= address < old.end), None)
        if freed is not None:
            return f"inside freed allocation {_told(freed, place)}"
        if not self.base <= address < self.base + self.size:
            return f"in no allocation; {self._elsewhere(address)}"
        return self._nearest(address, place)

    @property
    def free_ranges(self) -> FreeRanges:
        """Free offsets, which include a guard behind the last byte; not to be changed."""
        return self._free

    def at(self, address: int) -> Hbm:
        """The HBM of the pod in whose window guest `address` is; this one, if it is in none."""
        return next((one for one in self.others if one.chip == chip_at(address)), self)

    def name_at(self, address: int) -> str:
        """The allocation of the pod that holds guest `address`, for a message."""
        home = self.at(address)
        found = home.find(address)
        return f"{address:#x}" if found is None else f"{found.label} of chip {home.chip}"

    @property
    def in_use(self) -> int:
        """Bytes of all live allocations."""
        return sum(allocation.size for allocation in self._live)

    def close(self) -> None:
        """Give up the memory. Arrays over it stay valid; it is released with the last of them."""
        self._live.clear()
        self.version += 1
        self._bytes = None
        self._map = None

    def _open(self) -> npt.NDArray[np.uint8]:
        if self._bytes is None:
            raise ValueError(f"the HBM of chip {self.chip} is closed")
        return self._bytes

    def _index(self, address: int) -> int:
        """Index of the last live allocation that starts at or below `address`, or -1."""
        return bisect_right(self._live, address, key=_address_of) - 1

    def _take(self, size: int, align: int) -> int:
        offset = self._free.take(_room(size), align)
        if offset is None:
            space, most = f"HBM of chip {self.chip}", max(self._free.largest() - GUARD, 0)
            hint = f"the largest free range has {most} bytes"
            raise MemoryLimit(space=space, limit=self.size, in_use=self.in_use, requested=size, hint=hint)
        return offset

    def _take_at(self, size: int, align: int, at: int) -> int:
        if at % align:
            raise ValueError(f"offset {at:#x} is not a multiple of the alignment {align}")
        if at < 0 or at + max(size, 1) > self.size:
            raise ValueError(f"offset {at:#x} + {size} bytes is not within the {self.size} bytes of HBM")
        if not self._free.take_at(at, _room(size)):
            low, high = self.base + at, self.base + at + _room(size)
            taken = next(a for a in self._live if a.address < high and low < a.address + _room(a.size))
            raise ValueError(f"{size} bytes at offset {at:#x} would overlap or touch {taken} (guard {GUARD} bytes)")
        return at

    def _discard(self, memory: npt.NDArray[np.uint8], start: int, end: int) -> None:
        """Make offsets [start, end) read as zero; whole pages inside are given back to the host."""
        first, last = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
        if first >= last or self._map is None or sys.platform != "linux":  # elsewhere MADV_DONTNEED may keep the bytes
            memory[start:end] = 0
            return
        memory[start:first] = 0
        self._map.madvise(mmap.MADV_DONTNEED, first, last - first)
        memory[last:end] = 0

    def _nearest(self, address: int, place: str) -> str:
        index = self._index(address)
        near = [(address - a.end, f"past the end of {_told(a, place)}") for a in self._live[max(index, 0) : index + 1]]
        near += [(a.address - address, f"before {_told(a, place)}") for a in self._live[index + 1 : index + 2]]
        if not near:
            return f"in no allocation; chip {self.chip} has none"
        distance, text = min(near)
        text = f"{_counted_bytes(distance)} {text}" if distance else f"right {text}"
        return text if distance <= NEAR else f"in no allocation; nearest: {text}"

    def _elsewhere(self, address: int) -> str:
        """Say what lies at an address outside this HBM."""
        window = chip_at(address)
        if POISON in (address >> 32, address & 0xFFFFFFFF):
            return f"{address:#x} looks like poison ({POISON:#x}): a value used before it was written or waited for"
        if 0 <= address < mmap.PAGESIZE:
            return f"{address:#x} looks like a null pointer"
        if window == self.chip:
            return f"past the end of the HBM of chip {self.chip} ({self.size >> 20} MiB)"
        if 0 <= window < MOST_CHIPS:
            last = max((one.chip for one in self.others), default=window)
            none = f", but there is no chip {window}: the last one of this pod is chip {last}"
            return f"in the HBM window of chip {window}{none if window > last else ''}"
        regions = ((KM_BASE, "kernel-argument memory (KM)"), (DATA_BASE, "module data"), (CODE_BASE, "code"))
        region = next((name for base, name in regions if base <= address < window_base(0)), None)
        return f"in the addresses of {region}" if region else f"{address:#x} belongs to no window"


def common_offset(hbms: Sequence[Hbm], size: int, align: int = 256) -> int:
    """The lowest offset at which each of some HBMs has `size` bytes free; MemoryLimit if there is none."""
    common = reduce(FreeRanges.common, (one.free_ranges for one in hbms))
    found = FreeRanges(list(common.ranges), common.least).take(_room(size), align)
    if found is None:
        most = common.largest() - GUARD
        hint = f"the largest range that is free on all of them has {max(most, 0)} bytes"
        in_use = max(one.in_use for one in hbms)
        raise MemoryLimit(space="HBM of every chip", limit=hbms[0].size, in_use=in_use, requested=size, hint=hint)
    return found


def _room(size: int) -> int:
    """Bytes an allocation of `size` takes with the guard behind it; an empty one takes a byte, for its address."""
    return max(size, 1) + GUARD


def _address_of(allocation: Allocation) -> int:
    return allocation.address


def _fill_poison(memory: npt.NDArray[np.uint8]) -> None:
    """Fill with POISON words from the first byte on; a tail shorter than a word gets the word's first bytes."""
    whole = memory.size // 4 * 4
    memory[:whole].view("<u4")[:] = POISON
    memory[whole:] = np.frombuffer(POISON.to_bytes(4, "little"), np.uint8)[: memory.size - whole]


def _told(allocation: Allocation, place: str) -> str:
    """`'x' on chip 1 (4000 bytes at 0x8000000000)`."""
    return f"{allocation.label}{place} {allocation.extent}"


def _counted_bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"
