"""Between lanes: shuffles, votes, matches, reductions. Lanes that are off give nothing."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

from m890.isa.registers import Register

from .floating import CHOICE, add, extreme
from .formats import F32
from .integer import ALL, signed
from .machine import EMSK, LANES, Warp, lanes_of
from .meaning import warp, write_vector

Readers = Mapping[str, Callable[[Warp], list[int]]]
WAYS: dict[str, Callable[[int, int, int, int], tuple[int, bool]]] = {
    "idx": lambda lane, b, s, end: (lane & s | b & ~s, (lane & s | b & ~s) <= end),
    "up": lambda lane, b, s, end: (lane - b, lane - b >= lane & s),
    "down": lambda lane, b, s, end: (lane + b, lane + b <= end),
    "bfly": lambda lane, b, s, end: (lane ^ b, lane ^ b <= end),
}
"""From a lane, a distance, the segment mask and the segment's end: the lane to read, and whether it is inside."""


@warp("v.shuffle.{way}.b32", way=WAYS)
def shuffle(
    warp: Warp,
    read: Readers,
    d: Register,
    p: Register | None = None,
    c: object = None,
    *,
    way: Callable[[int, int, int, int], tuple[int, bool]],
) -> None:
    emsk = warp.s[EMSK]
    values, distances = read["a"](warp), read["b"](warp)
    segments = [31] * LANES if c is None else read["c"](warp)
    results, inside = [], 0
    for lane in lanes_of(emsk):
        s = segments[lane] >> 8 & 31
        source, good = way(lane, distances[lane] & 31, s, lane & s | segments[lane] & 31 & ~s)
        good = good and bool(emsk >> source & 1)
        results.append(values[source] if good else values[lane])
        inside |= good << lane
    write_vector(warp, d.number, 1, emsk, results)
    if p is not None:
        warp.set_scalar(p.number, inside)


VOTES: dict[str, Callable[[int, int], bool]] = {
    "all": lambda bits, emsk: bits == emsk,
    "any": lambda bits, emsk: bits != 0,
    "uni": lambda bits, emsk: bits in (0, emsk),
}


@warp("v.vote.{holds}", holds=VOTES)
def vote(warp: Warp, d: Register, p: Register, *, holds: Callable[[int, int], bool]) -> None:
    emsk = warp.s[EMSK]
    warp.set_scalar(d.number, ALL if holds(mask(warp, p) & emsk, emsk) else 0)


@warp("v.vote.ballot.b32")
def ballot(warp: Warp, d: Register, p: Register) -> None:
    warp.set_scalar(d.number, mask(warp, p) & warp.s[EMSK])


def mask(warp: Warp, register: Register) -> int:
    return warp.s[register.number]


@warp("v.activemask.b32")
def active_lanes(warp: Warp, d: Register) -> None:
    warp.set_scalar(d.number, warp.s[EMSK])


@warp("v.match.any.{width}", width={"b32": 1, "b64": 2})
def match_any(warp: Warp, d: Register, read: Readers) -> None:
    values, active = read["a"](warp), lanes_of(warp.s[EMSK])
    same = [sum(1 << other for other in active if values[other] == values[lane]) for lane in active]
    write_vector(warp, d.number, 1, warp.s[EMSK], same)


@warp("v.match.all.{width}", width={"b32": 1, "b64": 2})
def match_all(warp: Warp, d: Register, read: Readers, p: Register | None = None) -> None:
    values, emsk = read["a"](warp), warp.s[EMSK]
    same = len({values[lane] for lane in lanes_of(emsk)}) <= 1
    warp.set_scalar(d.number, emsk if same else 0)
    if p is not None:
        warp.set_scalar(p.number, ALL if same else 0)


Fold = Callable[[Sequence[int]], int]


def folded(function: Callable[[int, int], int], identity: int) -> Fold:
    return lambda values: reduce(function, values, identity)


def extreme_of(choose: str, nan: bool) -> Fold:
    """The lesser or greater of floats; the identity is NaN, or with `nan` the infinity at the other end."""
    start = F32.infinite(choose == "max") if nan else F32.nan
    return lambda values: reduce(lambda a, b: extreme(F32, CHOICE[choose], nan, a, b), values, start)


FOLDS: dict[str, Fold] = {
    "max.u32": folded(max, 0),
    "min.u32": folded(min, ALL),
    "max.i32": lambda values: max(map(signed, values), default=-(1 << 31)),
    "min.i32": lambda values: min(map(signed, values), default=(1 << 31) - 1),
    "add.i32": sum,
    "and.b32": folded(lambda a, b: a & b, ALL),
    "or.b32": folded(lambda a, b: a | b, 0),
    "xor.b32": folded(lambda a, b: a ^ b, 0),
}
FLOAT_FOLDS: dict[str, Fold] = {
    "max.f32": extreme_of("max", False),
    "max.f32.nan": extreme_of("max", True),
    "min.f32": extreme_of("min", False),
    "min.f32.nan": extreme_of("min", True),
}


def put(warp: Warp, d: Register, value: int) -> None:
    """One number to a scalar register, or to the active lanes of a vector one."""
    if d.bank == "s":
        warp.set_scalar(d.number, value)
    else:
        write_vector(warp, d.number, 1, warp.s[EMSK], [value] * warp.s[EMSK].bit_count())


@warp("v.red.{fold}", fold=FOLDS)
def reduce_lanes(warp: Warp, d: Register, read: Readers, *, fold: Fold) -> None:
    values = read["a"](warp)
    put(warp, d, fold([values[lane] for lane in lanes_of(warp.s[EMSK])]))


@warp("v.red.{fold}", sources={"a": F32}, fold=FLOAT_FOLDS)
def reduce_floats(warp: Warp, d: Register, read: Readers, *, fold: Fold) -> None:
    reduce_lanes(warp, d, read, fold=fold)


@warp("v.red.add.f32", sources={"a": F32})
def add_floats(warp: Warp, d: Register, read: Readers) -> None:
    """Lanes L and L + 16, then the sums at a distance of 8, 4, 2 and 1; lanes that are off count as -0."""
    values, emsk = read["a"](warp), warp.s[EMSK]
    sums = [value if emsk >> lane & 1 else F32.sign for lane, value in enumerate(values)]
    while len(sums) > 1:
        half = len(sums) // 2
        sums = [add(F32, sums[n], sums[n + half], "rtte") for n in range(half)]
    put(warp, d, sums[0])
