"""Atomics: the lanes act one after the other; `.atom` gives back what was there, `.red` does not."""

from collections.abc import Callable

from m890.isa.operands import Address
from m890.isa.registers import Register

from .floating import add
from .formats import BF16, F16, F32
from .integer import signed, signed_wide
from .machine import EMSK, Memory, Warp, lanes_of
from .meaning import warp
from .memory import addresses, poisoned, register_value, writer
from .outstanding import Operation, issue, nothing
from .packed import halves

Combine = Callable[..., int]


def lesser(read: Callable[[int], int]) -> Combine:
    return lambda old, a: min(old, a, key=read)


def greater(read: Callable[[int], int]) -> Combine:
    return lambda old, a: max(old, a, key=read)


def as_is(x: int) -> int:
    return x


OPERATIONS: dict[str, Combine] = {
    "add.i32": lambda old, a: old + a & 0xFFFFFFFF,
    "add.i64": lambda old, a: old + a & 0xFFFFFFFFFFFFFFFF,
    "add.f32": lambda old, a: add(F32, old, a, "rtte"),
    "add.f16x2": lambda old, a: halves(lambda x, y: add(F16, x, y, "rtte"), old, a),
    "add.bf16x2": lambda old, a: halves(lambda x, y: add(BF16, x, y, "rtte"), old, a),
    "min.u32": lesser(as_is),
    "min.u64": lesser(as_is),
    "min.i32": lesser(signed),
    "min.i64": lesser(signed_wide),
    "max.u32": greater(as_is),
    "max.u64": greater(as_is),
    "max.i32": greater(signed),
    "max.i64": greater(signed_wide),
    "inc.u32": lambda old, a: 0 if old >= a else old + 1,
    "dec.u32": lambda old, a: a if old == 0 or old > a else old - 1,
    **{f"and.b{width}": lambda old, a: old & a for width in (32, 64)},
    **{f"or.b{width}": lambda old, a: old | a for width in (32, 64)},
    **{f"xor.b{width}": lambda old, a: old ^ a for width in (32, 64)},
}


def add_flushed(old: int, a: int) -> int:
    """What add.f32 does in global memory: subnormals are zero."""
    return F32.flush(add(F32, F32.flush(old), F32.flush(a), "rtte"))


GIVING_BACK = OPERATIONS | {
    **{f"exch.b{width}": lambda old, a: a for width in (32, 64)},
    **{f"cas.b{width}": lambda old, a, b: b if old == a else old for width in (32, 64)},
}
UNITS = {"vmem": "vmem", "tsm": "tsm"}


def memory_of(warp: Warp, unit: str) -> Memory:
    return warp.tsm if unit == "tsm" else warp.hbm


def in_unit(combine: Combine, unit: str) -> Combine:
    return add_flushed if unit == "vmem" and combine is OPERATIONS["add.f32"] else combine


@warp("{unit}.atom.{combine}", unit=UNITS, combine=GIVING_BACK)
def atomic(
    warp: Warp,
    d: Register,
    at: Address,
    a: Register,
    suffixes: set[str],
    b: Register | None = None,
    *,
    unit: str,
    combine: Combine,
) -> None:
    """Memory changes at issue, the result is kept until the operation completes."""
    memory, size, active = memory_of(warp, unit), 4 * d.count, lanes_of(warp.s[EMSK])
    places, write = addresses(warp, at, False), writer(warp, d)
    sources, combine = ([a] if b is None else [a, b]), in_unit(combine, unit)
    before: list[int] = []

    def act() -> None:
        for lane in active:
            before.append(memory.load(places[lane], size))
            values = [register_value(warp, source, lane) for source in sources]
            memory.store(places[lane], size, combine(before[-1], *values))

    issue(
        warp,
        Operation(
            "tsmcnt" if unit == "tsm" else "vldcnt",
            memory,
            [places[lane] for lane in active],
            size,
            True,
            lambda: write(before),
            lambda: write([poisoned(d)] * len(active)),
            act,
        ),
        suffixes,
    )


@warp("{unit}.red.{combine}", unit=UNITS, combine=OPERATIONS)
def reduction(warp: Warp, at: Address, a: Register, suffixes: set[str], *, unit: str, combine: Combine) -> None:
    """Completes as a store does."""
    memory, size, active = memory_of(warp, unit), 4 * a.count, lanes_of(warp.s[EMSK])
    places, combine = addresses(warp, at, False), in_unit(combine, unit)

    def complete() -> None:
        for lane in active:
            old = memory.load(places[lane], size)
            memory.store(places[lane], size, combine(old, register_value(warp, a, lane)))

    counter = "tsmcnt" if unit == "tsm" else "vstcnt"
    operation = Operation(counter, memory, [places[lane] for lane in active], size, True, complete)
    if suffixes & {"acquire", "release", "acq_rel"}:
        operation.act, operation.complete = complete, nothing
    issue(warp, operation, suffixes)
