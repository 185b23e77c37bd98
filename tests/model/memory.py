"""Loads and stores: global memory, TSM, private memory, scalar accesses."""

from collections.abc import Callable, Set

from m890.isa.operands import Address
from m890.isa.registers import Register

from .integer import signed
from .machine import ALL, EMSK, LANES, Memory, Warp, lanes_of
from .meaning import lane_values, scalar_value, vector_values, warp, write_vector
from .outstanding import POISON, Operation, issue, nothing

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


def writer(warp: Warp, d: Register) -> Callable[[list[int]], None]:
    """Puts results into the lanes that are active now, whenever it is called."""
    active = warp.s[EMSK]
    return lambda values: write_vector(warp, d.number, d.count, active, values)


def poisoned(d: Register) -> int:
    """Poison in all registers of a range."""
    return POISON * sum(1 << 32 * word for word in range(d.count))


def load_lanes(
    warp: Warp, unit: Unit, d: Register, places: list[int], size: int, order: Set[str] = frozenset()
) -> None:
    counter, memory = unit
    chosen, write = [places[lane] for lane in lanes_of(warp.s[EMSK])], writer(warp, d)

    def read() -> list[int]:
        return [extended(memory.load(place, abs(size)), size) for place in chosen]

    def poison() -> None:
        write([poisoned(d)] * len(chosen))

    operation = Operation(counter, memory, chosen, abs(size), False, lambda: write(read()), poison)
    if "acquire" in order:
        values: list[int] = []
        operation.act, operation.complete = lambda: values.extend(read()), lambda: write(values)
    issue(warp, operation, order)


def store_lanes(
    warp: Warp, unit: Unit, a: Register, places: list[int], size: int, order: Set[str] = frozenset()
) -> None:
    """In lane order, so that the highest lane at an address wins."""
    active = lanes_of(warp.s[EMSK])
    counter, memory = unit

    def complete() -> None:
        for lane in active:
            memory.store(places[lane], size, register_value(warp, a, lane) & (1 << 8 * size) - 1)

    operation = Operation(counter, memory, [places[lane] for lane in active], size, True, complete)
    if "release" in order:
        operation.act, operation.complete = complete, nothing
    issue(warp, operation, order)


def register_value(warp: Warp, a: Register, lane: int) -> int:
    """What a lane has in a range of vector registers."""
    return sum(warp.v[a.number + word][lane] << 32 * word for word in range(a.count))


@warp("vmem.ld.{size}", size=LOADS)
def vmem_load(warp: Warp, d: Register, at: Address, suffixes: set[str], *, size: int) -> None:
    load_lanes(warp, ("vldcnt", warp.hbm), d, addresses(warp, at, "sign" in suffixes), size, suffixes)


@warp("vmem.st.{size}", size=SIZES)
def vmem_store(warp: Warp, a: Register, at: Address, suffixes: set[str], *, size: int) -> None:
    store_lanes(warp, ("vstcnt", warp.hbm), a, addresses(warp, at, "sign" in suffixes), size, suffixes)


@warp("tsm.ld.{size}", size=LOADS)
def tsm_load(warp: Warp, d: Register, at: Address, suffixes: set[str], *, size: int) -> None:
    load_lanes(warp, ("tsmcnt", warp.tsm), d, addresses(warp, at, False), size, suffixes)


@warp("tsm.st.{size}", size=SIZES)
def tsm_store(warp: Warp, a: Register, at: Address, suffixes: set[str], *, size: int) -> None:
    store_lanes(warp, ("tsmcnt", warp.tsm), a, addresses(warp, at, False), size, suffixes)


def private_addresses(warp: Warp, at: Address) -> list[int]:
    """Every lane has its own memory: in the model, one after the other."""
    stride = warp.private.stride
    return [place + stride * lane for lane, place in enumerate(addresses(warp, at, False))]


@warp("vmem.ga.p.ld.{size}", size=LOADS)
def private_load(warp: Warp, d: Register, at: Address, *, size: int) -> None:
    load_lanes(warp, ("vldcnt", warp.private), d, private_addresses(warp, at), size)


@warp("vmem.ga.p.st.{size}", size=SIZES)
def private_store(warp: Warp, a: Register, at: Address, *, size: int) -> None:
    store_lanes(warp, ("vstcnt", warp.private), a, private_addresses(warp, at), size)


@warp("vmem.prefetch")
def prefetch(warp: Warp) -> None:
    pass


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

    issue(
        warp, Operation("sldcnt", memory, [place], abs(size), False, complete, lambda: write(poisoned(d))), frozenset()
    )


@warp("smem.st.{size}", size=SIZES)
def smem_store(warp: Warp, a: Register, at: Address, *, size: int) -> None:
    place, memory = scalar_address(warp, at), warp.hbm

    def complete() -> None:
        value = sum(scalar_value(a.number + word, 1)(warp) << 32 * word for word in range(a.count))
        memory.store(place, size, value & (1 << 8 * size) - 1)

    issue(warp, Operation("sstcnt", memory, [place], size, True, complete), frozenset())
