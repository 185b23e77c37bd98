"""From items to words: jumps and loops get their targets, and a wait stands before everything that needs one."""

from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import NamedTuple

from model import decode

from m890.isa.addresses import COUNTERS as WAIT_COUNTERS
from m890.isa.aiu import OUT
from m890.isa.operands import Address
from m890.isa.registers import EMSK, Register

from .pieces import Item, encode, s, v
from .samples import COUNTERS, DATA, LANE_COUNTERS, LAST_EMSK, SAVED

MOST_DEPTH = len(COUNTERS)


@dataclass
class Line:
    """A word, and the number of the place it jumps to."""

    word: int
    target: int | None = None
    absolute: bool = False
    """The word has the target's code address, not its distance."""


@dataclass
class Open:
    """A loop whose end is still to come."""

    end: int
    head: int
    depth: int
    by_lane: bool


@dataclass
class Writer:
    """Lines, and places between them that can be jumped to: place n is before item n, others are loops' heads."""

    lines: list[Line] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)

    def here(self, place: int) -> None:
        self.places[place] = len(self.lines)

    def loop_head(self, item: Item, number: int, place: int, depth: int) -> None:
        assert item.loop
        if item.loop.by_lane:
            source = v(DATA["v"][number % len(DATA["v"])])
            self.lines.append(Line(encode("v.and.b32", v(LANE_COUNTERS[depth]), source, 7, immediate=True)))
        else:
            self.lines.append(Line(encode("s.mov.b32", s(COUNTERS[depth]), item.loop.turns, immediate=True)))
        self.here(place)

    def loop_end(self, loop: Open) -> None:
        """Counters only fall, from whatever they are, so that also a jump into a loop ends."""
        if loop.by_lane:
            counter = v(LANE_COUNTERS[loop.depth])
            words = [
                encode("v.shrl.b32", counter, counter, 1, immediate=True),
                encode("v.and.b32", counter, counter, 3, immediate=True),
                encode("v.cmp.gt.u32", s(SAVED), counter, 0, immediate=True),
            ]
            jump = encode("simt.rcbr", s(SAVED), 0)
        else:
            counter = s(COUNTERS[loop.depth])
            words = [
                encode("s.sub.i32", counter, counter, 1, immediate=True),
                encode("s.max.i32", counter, counter, 0, immediate=True),
            ]
            jump = encode("s.cbr.nz", counter, 0)
        self.lines += [*map(Line, words), Line(jump, loop.head)]


def write(items: list[Item], ending: int) -> Writer:
    """All items, then the end of the kernel, where emsk is kept: after the end it means nothing."""
    count = len(items)
    writer, loops, heads = Writer(), [], count + 1
    next_barrier = count
    reach = [count] * count
    for number in range(count - 1, -1, -1):
        reach[number] = next_barrier
        next_barrier = number if items[number].barrier else next_barrier
    for number, item in enumerate(items):
        while loops and loops[-1].end == number:
            writer.loop_end(loops.pop())
        writer.here(number)
        if item.loop and len(loops) < MOST_DEPTH:
            outer = loops[-1].end if loops else count
            end = min(number + 1 + item.loop.items, reach[number], outer)
            writer.loop_head(item, number, heads, len(loops))
            loops.append(Open(end, heads, len(loops), item.loop.by_lane))
            heads += 1
        writer.lines += map(Line, item.words)
        if item.skip is not None:
            line = writer.lines[-1 if item.address is None else item.address - len(item.words)]
            line.target, line.absolute = min(number + 1 + item.skip, reach[number]), item.address is not None
    while loops:
        writer.loop_end(loops.pop())
    writer.here(count)
    endings = [["simt.exit", "simt.exit"], ["s.exit"], ["s.nop", "s.exit"]]
    writer.lines.append(Line(encode("s.mov.b32", s(LAST_EMSK), s(EMSK))))
    writer.lines += [Line(encode(name)) for name in endings[ending % len(endings)]]
    return writer


def words_of(items: list[Item], ending: int, waits: Random | None) -> list[int]:
    """The program; with waits wherever a correct one has them, if `waits` says which kind to take."""
    writer = write(items, ending)
    lines, places = writer.lines, writer.places
    if waits is not None:
        lines, moved = with_waits(lines, set(places.values()), waits)
        places = {place: moved[at] for place, at in places.items()}
    words = []
    for at, line in enumerate(lines):
        if line.target is None:
            words.append(line.word)
        elif line.absolute:
            words.append(line.word | 8 * places[line.target])
        else:
            words.append(line.word | places[line.target] - at - 1 & 0xFFFFF)
    return words


# Waits.


class Uses(NamedTuple):
    """What a word does with registers (a bit each: vregs, then scalar operand numbers) and memory."""

    reads: int
    writes: int
    counter: str | None
    store: bool
    """Gives nothing back: its sources are read when it completes."""
    settles: bool
    """All operations must be complete before it: it jumps, lets other warps go on, or reads many registers."""


def _bits(register: Register, words: int) -> int:
    return ((1 << words) - 1) << register.number + (256 if register.bank == "s" else 0)


ALL_DATA = (1 << len(DATA["v"])) - 1
"""ivreg may be any of them."""
EMSK_BIT = 1 << 256 + EMSK
TSM_BIT = 1 << 512
"""Stands for all of TSM, which copies write when they complete; other accesses of the warp keep their order there."""
COPIES = "commit_group"


@lru_cache(maxsize=1 << 16)
def uses_of(word: int) -> Uses:
    """What a word reads and writes, from the table."""
    decoded = decode(word)
    instruction = decoded.form.instruction
    reads, writes = EMSK_BIT, 0
    for kind, value in zip(instruction.kinds, decoded.values, strict=True):
        if isinstance(value, Register):
            bits = ALL_DATA if value.bank == "i" else _bits(value, getattr(kind, "words", 1))
            writes |= bits if kind.role == "destination" else 0
            reads |= bits
        elif isinstance(value, Address):
            reads |= _bits(value.index, 1) if value.index else 0
            reads |= _bits(value.base, value.base.count) if value.base else 0
    access, cube = instruction.access, instruction.cube
    out = cube is not None and bool(OUT.get(cube))
    counter = access.counter if access else COPIES if cube is not None else None
    if out or (access and access.space == "tsm" and not access.store):
        reads |= TSM_BIT
    if counter == COPIES and not out:
        writes |= TSM_BIT
    jumps = instruction.mnemonic.startswith(("s.cbr", "simt.", "s.call", "s.ret"))
    returns = any(kind.role == "destination" for kind in instruction.kinds)
    return Uses(
        reads,
        writes | (EMSK_BIT if instruction.mnemonic == "s.lop.emsk" else 0),
        counter,
        not returns and counter != COPIES,
        jumps or instruction.mnemonic.startswith(("s.blksyn", "s.bar.", "v.print", "s.print")),
    )


class Pending(NamedTuple):
    """An operation not yet waited for: registers it writes when it completes, and those it reads."""

    writes: int
    reads: int


def with_waits(lines: list[Line], targets: set[int], random: Random) -> tuple[list[Line], list[int]]:
    """The lines with waits among them, and where each line went; at every place that is jumped to all is complete."""
    found: list[Line] = []
    moved: list[int] = []
    queues: dict[str, list[Pending]] = {counter: [] for counter in WAIT_COUNTERS}
    for at, line in enumerate(lines):
        uses = uses_of(line.word)
        if at in targets or uses.settles:
            needed = {counter: 0 for counter, queue in queues.items() if queue}
        else:
            needed = _needed(queues, uses)
        if needed:
            found += _wait(needed, random)
            for counter, left in needed.items():
                queue = queues[counter]
                del queue[: len(queue) - left]
        moved.append(len(found))
        found.append(line)
        if uses.counter is not None:
            changed = (0, uses.reads) if uses.store else (uses.writes, 0)
            queues[uses.counter].append(Pending(*changed))
    moved.append(len(found))
    return found, moved


def _needed(queues: dict[str, list[Pending]], uses: Uses) -> dict[str, int]:
    """How many operations of each counter may stay outstanding before a word with these uses."""
    needed = {}
    for counter, queue in queues.items():
        for place in range(len(queue) - 1, -1, -1):
            pending = queue[place]
            if pending.writes & (uses.reads | uses.writes) or pending.reads & uses.writes & ~EMSK_BIT:
                needed[counter] = len(queue) - place - 1 if counter != COPIES else 0
                break
    return needed


FENCES = {"vldcnt": "vmem.fence.blk", "sldcnt": "smem.fence.sys", "tsmcnt": "tsm.fence.blk"}


def _wait(needed: dict[str, int], random: Random) -> list[Line]:
    """All copies are in a group before it is waited for."""
    closed = [Line(encode("vmem.acp.commit.grp"))] if COPIES in needed else []
    if len(needed) == 1 and random.random() < 0.2:
        counter, left = next(iter(needed.items()))
        if left == 0 and counter in FENCES:
            return [Line(encode(FENCES[counter]))]
    return [*closed, Line(encode("s.wait", tuple(needed.items())))]
