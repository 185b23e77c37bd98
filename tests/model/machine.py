"""State of a block and how it runs: memories, warps, paths, barriers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

LANES = 32
ALL = 0xFFFFFFFF
EMSK, VCC, SCC, ZERO, ONE, INDEX = 0xF0, 0xF1, 0xF2, 0xF8, 0xF9, 0xFE
OFF_THE_END = 16
COUNTERS = ("vldcnt", "vstcnt", "sldcnt", "sstcnt", "tsmcnt", "commit_group")
COPIES = "commit_group"


class Fault(Exception):
    """The launch ends here, with a published exception code."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


class Stuck(Exception):
    """Every warp waits for one that does not come."""


class TooLong(Exception):
    """More instructions than the caller allows."""


@lru_cache(maxsize=4096)
def lanes_of(mask: int) -> tuple[int, ...]:
    """The lanes of a mask, ascending."""
    return tuple(lane for lane in range(LANES) if mask >> lane & 1)


@dataclass
class Memory:
    """Bytes at addresses: areas by their first address, and which of them may be written."""

    areas: dict[int, bytearray] = field(default_factory=dict)
    readonly: set[int] = field(default_factory=set)

    def _find(self, address: int, size: int) -> tuple[bytearray, int]:
        if address % size:
            raise Fault(12)
        for first, content in self.areas.items():
            if first <= address and address + size <= first + len(content):
                return content, address - first
        raise Fault(11)

    def check(self, address: int, size: int) -> None:
        """Raise what an access there raises."""
        self._find(address, size)

    def check_bytes(self, address: int, count: int) -> None:
        """Raise what a copy of so many bytes from or to there raises, if they are not all in one area."""
        if not any(first <= address and address + count <= first + len(held) for first, held in self.areas.items()):
            raise Fault(11)

    def load(self, address: int, size: int) -> int:
        """The little-endian number at an address."""
        content, at = self._find(address, size)
        return int.from_bytes(content[at : at + size], "little")

    def store(self, address: int, size: int, value: int) -> None:
        """Replace the bytes there."""
        content, at = self._find(address, size)
        content[at : at + size] = value.to_bytes(size, "little")


class Tsm(Memory):
    """The block's own memory, from offset 0."""

    def _find(self, address: int, size: int) -> tuple[bytearray, int]:
        content = self.areas[0]
        if not 0 <= address <= len(content) - size:
            raise Fault(9)
        if address % size:
            raise Fault(10)
        return content, address


class Wait(NamedTuple):
    """What a step returns when its path waits at a barrier (None is to go on)."""

    barrier: int | None
    """A named barrier, or the block's."""
    threads: int | None = None
    """How many it waits for; all live warps without."""
    reduction: str | None = None
    """What scc becomes: popc, and, or."""
    brought: int = 0
    ones: int = 0
    """How many lanes bring a bit, and how many of these bits are 1."""


SLEEP = Wait(-1)
"""What a step returns that lets other warps run first. The model has no opinion on other paths."""


@dataclass
class Barrier:
    """Who has come to a barrier so far."""

    threads: int | None
    arrived: int = 0
    """Warps, waiting or not."""
    waiting: list["Warp"] = field(default_factory=list)
    brought: int = 0
    ones: int = 0


class Private(Memory):
    """The private memory of a warp's lanes, one after the other, each of `stride` bytes."""

    def __init__(self, content: bytearray):
        super().__init__({0: content})
        self.stride = len(content) // LANES


@dataclass
class Launch:
    """What a kernel is started with, beside its words."""

    threads: tuple[int, int, int]
    blocks: tuple[int, int, int] = (1, 1, 1)
    block: tuple[int, int, int] = (0, 0, 0)
    preloaded: dict[int, int] = field(default_factory=dict)
    """Scalar registers that hold arguments."""
    private: int = 0
    grid: int = 1
    cus: int = 1
    cu: int = 0
    clock: int = 0
    """Instructions the compute unit has executed before."""
    late: bool = False
    """Operations complete when something waits for them."""
    limit: int = 100_000
    """Instructions after which TooLong is raised."""

    def thread(self, number: int) -> tuple[int, int, int]:
        """The coordinates of a thread."""
        x, y, _ = self.threads
        return number % x, number // x % y, number // (x * y)


class Warp:
    """Registers and paths of one warp.

    `v` is a list of 32 lanes for each vector register: a list that is in it is never changed, only replaced.
    `s` is a value for each scalar operand number. The running path has `pc` (in words), `lanes` and, as a
    register, emsk; `parked` has the others by address, `waiting` those at a barrier.
    """

    def __init__(self, block: "Block", index: int, vregs: int):
        self.block, self.index = block, index
        self.hbm, self.tsm = block.hbm, block.tsm
        self.private = Private(bytearray(LANES * block.launch.private))
        launch = block.launch
        x, y, z = launch.threads
        first = LANES * index
        count = min(LANES, x * y * z - first)
        self.v = [[0] * LANES for _ in range(vregs)]
        self.s = [0] * 256
        self.pc, self.lanes, self.live = 0, (1 << count) - 1, (1 << count) - 1
        self.parked: dict[int, tuple[int, int]] = {}
        self.waiting: dict[int, tuple[int, int]] = {}
        self.wait = Wait(None)
        self.queues: dict[str, list[Any]] = {counter: [] for counter in COUNTERS}
        """Outstanding operations by counter, oldest first."""
        self.groups = 0
        """How many groups of asynchronous copies have been closed."""
        self.special = self._lane_specials(first)
        self._scalars(x, y, z, first)

    def _lane_specials(self, first: int) -> dict[int, list[int]]:
        threads = [self.block.launch.thread(first + lane) for lane in range(LANES)]
        below = [(1 << lane) - 1 for lane in range(LANES)]
        bit = [1 << lane for lane in range(LANES)]
        return {
            0xF3: [thread[0] for thread in threads],
            0xF4: [thread[1] for thread in threads],
            0xF5: [thread[2] for thread in threads],
            0xF6: list(range(LANES)),
            0xF7: bit,
            0xFA: below,
            0xFB: [low | one for low, one in zip(below, bit, strict=True)],
            0xFC: [ALL & ~(low | one) for low, one in zip(below, bit, strict=True)],
            0xFD: [ALL & ~low for low in below],
        }

    def _scalars(self, x: int, y: int, z: int, first: int) -> None:
        launch, s = self.block.launch, self.s
        s[0xC0:0xC3] = launch.threads
        s[0xC3:0xC6] = launch.block
        s[0xC6:0xC9] = launch.blocks
        s[0xC9], s[0xCA] = self.index, -(-x * y * z // LANES)
        s[0xCB], s[0xCC], s[0xCD] = launch.cu, launch.cus, 0
        s[0xCE], s[0xCF], s[0xD0] = launch.grid, 0, 1
        s[0xD1] = len(self.tsm.areas[0])
        s[EMSK], s[ONE] = self.lanes, 1

    def entry(self) -> None:
        """Set the registers that hold something when a kernel is entered."""
        launch, s = self.block.launch, self.s
        tx, ty, tz = launch.thread(LANES * self.index)
        x, y, z = launch.threads
        s[0] = s[1] = s[4] = s[VCC] = s[SCC] = 0
        s[2], s[5] = launch.private, 2
        s[36], s[37] = tx | ty << 12 | tz << 24, x | y << 12 | (z & 0xFF) << 24
        for number, value in launch.preloaded.items():
            s[number] = value

    def set_scalar(self, number: int, value: int) -> None:
        """Write a scalar register; emsk can only have lanes of the running path."""
        self.s[number] = value & (self.lanes if number == EMSK else ALL)

    def indexed(self) -> int:
        """The vector register that x0 selects."""
        number = self.s[INDEX]
        if number >= len(self.v):
            raise Fault(5)
        return number

    def run(self) -> Wait | None:
        """Run until the warp waits at a barrier, or has ended (None)."""
        block, words = self.block, self.block.words
        while self.live:
            pc = self.pc
            if not 0 <= pc < len(words):
                raise Fault(OFF_THE_END)
            self.pc = pc + 1
            stopped = words[pc](self)
            block.executed += 1
            if block.executed > block.launch.limit:
                raise TooLong
            if stopped is SLEEP:
                assert not self.parked
                return SLEEP
            if stopped or not self.lanes:
                if stopped:
                    self._wait(stopped)
                if not self.parked:
                    return self.wait if self.live else None
                self._next_path()
            elif self.parked:
                self._park()
                self._next_path()
        return None

    def _wait(self, wait: Wait) -> None:
        """The path waits; lanes of a warp that wait at several barriers are a fault."""
        if self.waiting:
            before = self.wait
            same = wait._replace(brought=0, ones=0) == before._replace(brought=0, ones=0)
            if self.pc not in self.waiting or not same:
                raise Fault(2)
            wait = wait._replace(brought=before.brought + wait.brought, ones=before.ones + wait.ones)
        self.wait = wait
        _join(self.waiting, self.pc, self.lanes, self.s[EMSK])
        self.lanes = self.s[EMSK] = 0

    def _park(self) -> None:
        _join(self.parked, self.pc, self.lanes, self.s[EMSK])

    def _next_path(self) -> None:
        self.pc = min(self.parked)
        self.lanes, self.s[EMSK] = self.parked.pop(self.pc)

    def split(self, taken: int, target: int) -> None:
        """These active lanes go on at the target, the path's others behind the branch."""
        emsk = self.s[EMSK]
        rest = self.lanes & ~taken
        if taken:
            _join(self.parked, target, taken, taken)
        if rest:
            _join(self.parked, self.pc, rest, emsk & ~taken)
        self._next_path()

    def drain(self, counter: str, left: int) -> None:
        """Complete a counter's oldest operations until at most so many are left."""
        queue = self.queues[counter]
        while len(queue) > left:
            queue.pop(0).complete()

    def drain_groups(self, left: int) -> None:
        """Complete the copies of all closed groups but the last `left`."""
        queue = self.queues[COPIES]
        while queue and queue[0].group < self.groups - left:
            queue.pop(0).complete()

    def drain_all(self, copies: bool = True) -> None:
        """The warp has ended: all its operations complete, stores first. Or what a release waits for, not copies."""
        for counter in sorted(COUNTERS, key=lambda name: "ld" in name):
            if copies or counter != COPIES:
                self.drain(counter, 0)

    def end_lanes(self) -> None:
        """The active lanes end; with none active, all lanes of the path."""
        gone = self.s[EMSK] or self.lanes
        self.live &= ~gone
        self.lanes &= ~gone
        self.s[EMSK] = 0

    def end(self) -> None:
        """The warp ends."""
        self.live = self.lanes = 0
        self.parked.clear()
        self.waiting.clear()

    def wake(self) -> None:
        """The barrier is open."""
        self.parked, self.waiting = self.waiting, {}
        self._next_path()


def _join(paths: dict[int, tuple[int, int]], pc: int, lanes: int, emsk: int) -> None:
    before = paths.get(pc, (0, 0))
    paths[pc] = before[0] | lanes, before[1] | emsk


class Block:
    """A block: its warps run in turn, each until it waits or ends."""

    def __init__(self, words: list[Callable[[Warp], Wait | None]], launch: Launch, hbm: Memory, tsm: bytearray):
        self.words, self.launch, self.hbm, self.tsm = words, launch, hbm, Tsm({0: tsm})
        self.executed = 0
        self.barriers: dict[int | None, Barrier] = {}
        self.printed: list[tuple[int, tuple[int, ...]]] = []
        """Texts by address, and the values printed with them."""

    def start(self, vregs: int) -> None:
        """Make the warps, with zero in all registers that nothing is known of."""
        x, y, z = self.launch.threads
        self.warps = [Warp(self, index, vregs) for index in range(-(-x * y * z // LANES))]

    def run(self) -> None:
        """Run all warps to their end. Raises Fault, Stuck, TooLong."""
        ready = {warp.index for warp in self.warps}
        live, cursor = set(ready), 0
        while live:
            if not ready:
                raise Stuck
            cursor = min(ready, key=lambda index: (index < cursor, index))
            warp = self.warps[cursor]
            ready.discard(cursor)
            wait = warp.run()
            if wait is SLEEP:
                ready.add(cursor)
            elif wait is None:
                warp.drain_all()
                live.discard(cursor)
            else:
                barrier = self.come(wait)
                barrier.waiting.append(warp)
            for number in list(self.barriers):
                ready |= self._open(number, len(live))
            if wait is SLEEP or cursor not in ready:  # the last one to come to a barrier just goes on
                cursor += 1

    def come(self, wait: Wait) -> Barrier:
        """Count a warp in."""
        self.check(wait)
        barrier = self.barriers.setdefault(wait.barrier, Barrier(wait.threads))
        if barrier.threads != wait.threads:
            raise Fault(2)
        barrier.arrived += 1
        barrier.brought += wait.brought
        barrier.ones += wait.ones
        return barrier

    def check(self, wait: Wait) -> None:
        """Refuse what no barrier can be."""
        threads = wait.threads
        whole = threads is None or (threads % LANES == 0 and LANES <= threads <= LANES * len(self.warps))
        if (wait.barrier or 0) > 15 or not whole:
            raise Fault(2)

    def _open(self, number: int | None, live: int) -> set[int]:
        """The warps that go on, if all that a barrier waits for have come."""
        barrier = self.barriers[number]
        needed = live if barrier.threads is None else barrier.threads // LANES
        if barrier.arrived < needed:
            return set()
        del self.barriers[number]
        for warp in barrier.waiting:
            results = {
                "popc": barrier.ones,
                "and": ALL if barrier.ones == barrier.brought else 0,
                "or": ALL if barrier.ones else 0,
            }
            if warp.wait.reduction:
                warp.s[SCC] = results[warp.wait.reduction]
            warp.wake()
        return {warp.index for warp in barrier.waiting}
