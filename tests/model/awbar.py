"""Asynchronous barriers: 64-bit objects in TSM, which the active lanes change one after the other."""

from collections.abc import Callable
from dataclasses import dataclass

from m890.isa.awbar import BYTES, EXPECTED, PARITY, VALID
from m890.isa.registers import Register

from .machine import COPIES, EMSK, SLEEP, Fault, Wait, Warp, lanes_of
from .meaning import lanes, warp, write_vector

MOST = (1 << 20) - 1
TAG = 2
Read = dict[str, Callable[[Warp], list[int]]]


class Misuse(Exception):
    """What the machine calls fault 2."""


@dataclass
class Awbar:
    """One asynchronous barrier."""

    valid: bool = False
    phase: int = 0
    pending: int = 0
    expected: int = 0
    missing: int = 0

    @classmethod
    def of(cls, word: int) -> "Awbar":
        """What a word in TSM says; of the phase it has the parity alone."""
        if word >> VALID != TAG:
            return cls()
        missing = (word >> BYTES & (1 << 21) - 1) - MOST
        return cls(True, word >> PARITY & 1, word & MOST, word >> EXPECTED & MOST, missing)

    @property
    def word(self) -> int:
        if not self.valid:
            return 0
        high = TAG << VALID | self.missing + MOST << BYTES | self.phase % 2 << PARITY
        return high | self.expected << EXPECTED | self.pending

    def need(self, condition: bool) -> None:
        if not condition:
            raise Misuse

    def init(self, count: int) -> None:
        self.need(1 <= count <= MOST)
        self.valid, self.phase, self.pending, self.expected, self.missing = True, 0, count, count, 0

    def finish(self) -> None:
        if self.pending == 0 and self.missing == 0:
            self.phase, self.pending = self.phase + 1, self.expected

    def arrive(self, count: int, drop: bool = False, no_complete: bool = False) -> None:
        self.need(self.valid and 1 <= count <= MOST and count <= self.pending)
        self.need(not drop or count < self.expected)
        self.need(not no_complete or count < self.pending or self.missing != 0)
        self.expected -= count if drop else 0
        self.pending -= count
        self.finish()

    def transfer(self, count: int, arrives: bool = False) -> None:
        self.need(self.valid and abs(self.missing + count) <= MOST and (not arrives or self.pending > 0))
        self.missing += count
        self.pending -= arrives
        self.finish()

    def copied(self, counted: bool) -> None:
        """Copies have arrived: as one of those expected, or beside them."""
        if counted:
            self.arrive(1)
        self.need(self.valid and (counted or self.pending < MOST))

    def inval(self) -> None:
        self.need(self.valid)
        self.valid = False


Change = Callable[[Awbar, int], None]


def each(warp: Warp, read: Read, change: Change) -> list[int]:
    """Change the object of each active lane, lowest lane first; what the objects were, as words."""
    active, places = lanes_of(warp.s[EMSK]), read["at"](warp)
    counts = read["n"](warp) if "n" in read else [0] * 32
    for lane in active:
        warp.tsm.check(places[lane], 8)
    before: list[int] = []
    for lane in active:
        before.append(warp.tsm.load(places[lane], 8))
        one = Awbar.of(before[-1])
        try:
            change(one, counts[lane])
        except Misuse:
            raise Fault(2) from None
        warp.tsm.store(places[lane], 8, one.word)
    return before


@warp("tsm.awbar.init.b64")
def init(warp: Warp, read: Read) -> None:
    each(warp, read, Awbar.init)


@warp("tsm.awbar.inval.b64")
def inval(warp: Warp, read: Read) -> None:
    each(warp, read, lambda one, n: one.inval())


@warp("tsm.awbar.{sign}.b64", sign={"expect_tx": 1, "complete_tx": -1})
def transfer(warp: Warp, read: Read, *, sign: int) -> None:
    each(warp, read, lambda one, n: one.transfer(sign * n))


ARRIVALS: dict[str, Change] = {
    f"arrive{'_drop' * drop}{'.nocomplete' * part}": lambda one, n, drop=drop, part=part: one.arrive(n, drop, part)
    for drop in (False, True)
    for part in (False, True)
} | {"arrive.expect_tx": lambda one, n: one.transfer(n, arrives=True)}


@warp("tsm.awbar.{change}{relaxed}.b64", change=ARRIVALS, relaxed={"": False, ".relaxed": True})
def arrive(warp: Warp, read: Read, d: Register | None = None, *, change: Change, relaxed: bool) -> None:
    """What the warp has outstanding completes first, but for copies."""
    if not relaxed:
        warp.drain_all(copies=False)
    before = each(warp, read, change)
    if d is not None:
        write_vector(warp, d.number, 2, warp.s[EMSK], before)


def waited(warp: Warp, read: Read, d: Register, parities: list[int]) -> bool:
    """d = the lanes whose object has left the phase of this parity; whether that is all active ones."""
    found = 0
    now = iter(each(warp, {"at": read["at"]}, lambda one, n: one.need(one.valid)))
    for lane in lanes_of(warp.s[EMSK]):
        found |= (Awbar.of(next(now)).phase != parities[lane] & 1) << lane
    active = warp.s[EMSK]
    warp.set_scalar(d.number, found)
    return found == active


WAYS = {"test_wait": False, "try_wait": True}


@warp("tsm.awbar.{yields}.b64", yields=WAYS)
def test_state(warp: Warp, read: Read, d: Register, *, yields: bool) -> Wait | None:
    all_have = waited(warp, read, d, [state >> PARITY & 1 for state in read["state"](warp)])
    return SLEEP if yields and not all_have else None


@warp("tsm.awbar.{yields}.parity.b64", yields=WAYS)
def test_parity(warp: Warp, read: Read, d: Register, *, yields: bool) -> Wait | None:
    return SLEEP if not waited(warp, read, d, read["p"](warp)) and yields else None


@lanes("tsm.awbar.pending_count.b64")
def pending_count(state: int) -> int:
    return state & MOST


@warp("vmem.acp.awbar.arrive{counted}.b64", counted={"": False, ".noinc": True})
def copies_arrive(warp: Warp, read: Read, *, counted: bool) -> None:
    """All copies complete first, in groups or not."""
    warp.drain(COPIES, 0)
    each(warp, read, lambda one, n: one.copied(counted))
