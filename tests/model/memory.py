"""Loads and stores: global memory, TSM, scalar accesses."""

from m890.isa.operands import Address, Register

from .integer import signed
from .machine import ALL, EMSK, LANES, Memory, Warp, lanes_of
from .meaning import lane_values, scalar_value, vector_values, warp
from .outstanding import POISON, Operation, issue

SIZES = {"b8": 1, "b16": 2, "b32": 4, "b32x2": 8, "b32x4": 16}
LOADS = SIZES | {"s8": -1, "s16": -2}
"""Bytes of a type; negative where the sign is extended."""
Unit = tuple[str, Memory]
"""A counter and the memory it counts accesses to."""


def offset_bytes(field: int) -> int:
    """From 0x800 on the low 11 bits count units of 128 bytes."""
    return field if field < 0x800 else (field - 0x800) * 128


def addresses(warp: Warp, at: Address, sign: bool) -> list[int]:
    """Every lane's address."""
    first = offset_bytes(at.offset)
    bases = [0] * LANES
    if at.base is not None and at.base.bank == "v":
        bases = vector_values(at.base.number, 2)(warp)
    elif at.base is not None:
        bases = [scalar_value(at.base.number, at.base.count)(warp)] * LANES
    if at.index is None:
        return [base + first for base in bases]
    index = lane_values(at.index)(warp)
    index = [signed(i) for i in index] if sign else index
    return [base + first + (i << at.scale) for base, i in zip(bases, index, strict=True)]


def extended(value: int, size: int) -> int:
    """What a load gives: 8 and 16 bits with their sign if the size is negative."""
    if size < 0 and value >> -8 * size - 1:
        return value - (1 << -8 * size) & ALL
    return value


def load_lanes(warp: Warp, unit: Unit, d: Register, places: list[int], size: int) -> None:
    active = lanes_of(warp.s[EMSK])
    counter, memory = unit
    chosen = [places[lane] for lane in active]

    def write(values: list[int]) -> None:
        for word in range(d.count):
            row = warp.v[d.number + word][:]
            for lane, value in zip(active, values, strict=True):
                row[lane] = value >> 32 * word & ALL
            warp.v[d.number + word] = row

    def complete() -> None:
        write([extended(memory.load(place, abs(size)), size) for place in chosen])

    poison = POISON * sum(1 << 32 * word for word in range(d.count))
    issue(warp, Operation(counter, memory, chosen, abs(size), False, complete), lambda: write([poison] * len(active)))


def store_lanes(warp: Warp, unit: Unit, a: Register, places: list[int], size: int) -> None:
    """In lane order, so that the highest lane at an address wins."""
    active = lanes_of(warp.s[EMSK])
    counter, memory = unit

    def complete() -> None:
        for lane in active:
            value = sum(warp.v[a.number + word][lane] << 32 * word for word in range(a.count))
            memory.store(places[lane], size, value & (1 << 8 * size) - 1)

    issue(warp, Operation(counter, memory, [places[lane] for lane in active], size, True, complete), nothing)


def nothing() -> None:
    """What a store does to registers."""


@warp("vmem.ld.{size}", size=LOADS)
def vmem_load(warp: Warp, d: Register, at: Address, suffixes: set[str], *, size: int) -> None:
    load_lanes(warp, ("vldcnt", warp.hbm), d, addresses(warp, at, "sign" in suffixes), size)


@warp("vmem.st.{size}", size=SIZES)
def vmem_store(warp: Warp, a: Register, at: Address, suffixes: set[str], *, size: int) -> None:
    store_lanes(warp, ("vstcnt", warp.hbm), a, addresses(warp, at, "sign" in suffixes), size)


@warp("tsm.ld.{size}", size=LOADS)
def tsm_load(warp: Warp, d: Register, at: Address, *, size: int) -> None:
    load_lanes(warp, ("tsmcnt", warp.tsm), d, addresses(warp, at, False), size)


@warp("tsm.st.{size}", size=SIZES)
def tsm_store(warp: Warp, a: Register, at: Address, *, size: int) -> None:
    store_lanes(warp, ("tsmcnt", warp.tsm), a, addresses(warp, at, False), size)


def scalar_address(warp: Warp, at: Address) -> int:
    """The one address of a scalar access."""
    assert at.base is not None
    index = scalar_value(at.index.number, 1)(warp) if at.index else 0
    return scalar_value(at.base.number, 2)(warp) + offset_bytes(at.offset) + (index << at.scale)


@warp("smem.ld.{size}", size=LOADS)
def smem_load(warp: Warp, d: Register, at: Address, *, size: int) -> None:
    place, memory = scalar_address(warp, at), warp.hbm

    def write(value: int) -> None:
        for word in range(d.count):
            warp.set_scalar(d.number + word, value >> 32 * word)

    def complete() -> None:
        write(extended(memory.load(place, abs(size)), size))

    poison = POISON * sum(1 << 32 * word for word in range(d.count))
    issue(warp, Operation("sldcnt", memory, [place], abs(size), False, complete), lambda: write(poison))


@warp("smem.st.{size}", size=SIZES)
def smem_store(warp: Warp, a: Register, at: Address, *, size: int) -> None:
    place, memory = scalar_address(warp, at), warp.hbm

    def complete() -> None:
        value = sum(scalar_value(a.number + word, 1)(warp) << 32 * word for word in range(a.count))
        memory.store(place, size, value & (1 << 8 * size) - 1)

    issue(warp, Operation("sstcnt", memory, [place], size, True, complete), nothing)
