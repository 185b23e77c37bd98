"""Loads and stores: global memory, TSM, scalar accesses."""

from m890.isa.operands import Address, Register

from .integer import signed
from .machine import ALL, EMSK, LANES, Memory, Warp, lanes_of
from .meaning import _reader, scalar_value, vector_values, warp

SIZES = {"b8": 1, "b16": 2, "b32": 4, "b32x2": 8, "b32x4": 16}
LOADS = SIZES | {"s8": -1, "s16": -2}
"""Bytes of a type; negative where the sign is extended."""


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
    index = _reader(None, at.index, LANES)(warp)
    index = [signed(i) for i in index] if sign else index
    return [base + first + (i << at.scale) for base, i in zip(bases, index, strict=True)]


def extended(value: int, size: int) -> int:
    """What a load gives: 8 and 16 bits with their sign if the size is negative."""
    if size < 0 and value >> -8 * size - 1:
        return value - (1 << -8 * size) & ALL
    return value


def load_lanes(warp: Warp, memory: Memory, d: Register, places: list[int], size: int) -> None:
    active = lanes_of(warp.s[EMSK])
    values = [extended(memory.load(places[lane], abs(size)), size) for lane in active]
    for word in range(d.count):
        row = warp.v[d.number + word][:]
        for lane, value in zip(active, values, strict=True):
            row[lane] = value >> 32 * word & ALL
        warp.v[d.number + word] = row


def store_lanes(warp: Warp, memory: Memory, a: Register, places: list[int], size: int) -> None:
    """In lane order, so that the highest lane at an address wins; all are checked before."""
    active = lanes_of(warp.s[EMSK])
    for lane in active:
        memory.load(places[lane], size)
    for lane in active:
        value = sum(warp.v[a.number + word][lane] << 32 * word for word in range(a.count))
        memory.store(places[lane], size, value & (1 << 8 * size) - 1)


@warp("vmem.ld.{size}", size=LOADS)
def vmem_load(warp: Warp, d: Register, at: Address, suffixes: set[str], *, size: int) -> None:
    load_lanes(warp, warp.hbm, d, addresses(warp, at, "sign" in suffixes), size)


@warp("vmem.st.{size}", size=SIZES)
def vmem_store(warp: Warp, a: Register, at: Address, suffixes: set[str], *, size: int) -> None:
    store_lanes(warp, warp.hbm, a, addresses(warp, at, "sign" in suffixes), size)


@warp("tsm.ld.{size}", size=LOADS)
def tsm_load(warp: Warp, d: Register, at: Address, *, size: int) -> None:
    load_lanes(warp, warp.tsm, d, addresses(warp, at, False), size)


@warp("tsm.st.{size}", size=SIZES)
def tsm_store(warp: Warp, a: Register, at: Address, *, size: int) -> None:
    store_lanes(warp, warp.tsm, a, addresses(warp, at, False), size)


def scalar_address(warp: Warp, at: Address) -> int:
    """The one address of a scalar access."""
    assert at.base is not None
    index = scalar_value(at.index.number, 1)(warp) if at.index else 0
    return scalar_value(at.base.number, 2)(warp) + offset_bytes(at.offset) + (index << at.scale)


@warp("smem.ld.{size}", size=LOADS)
def smem_load(warp: Warp, d: Register, at: Address, *, size: int) -> None:
    value = extended(warp.hbm.load(scalar_address(warp, at), abs(size)), size)
    for word in range(d.count):
        warp.set_scalar(d.number + word, value >> 32 * word)


@warp("smem.st.{size}", size=SIZES)
def smem_store(warp: Warp, a: Register, at: Address, *, size: int) -> None:
    value = sum(scalar_value(a.number + word, 1)(warp) << 32 * word for word in range(a.count))
    warp.hbm.store(scalar_address(warp, at), size, value & (1 << 8 * size) - 1)
