"""Named barriers, the lanes of a warp together, assertions, breakpoints, printing."""

from m890.isa.registers import Register

from .machine import EMSK, SLEEP, Fault, Wait, Warp, lanes_of
from .meaning import scalar_value, warp

Number = Register | int


def number(warp: Warp, value: Number | None) -> int | None:
    """The value of an operand that is a number in the word or in a scalar register."""
    return scalar_value(value.number, 1)(warp) if isinstance(value, Register) else value


@warp("s.bar.sync")
def sync(warp: Warp, b: Number, n: Number | None = None) -> Wait:
    return checked(warp, Wait(number(warp, b), number(warp, n)))


def checked(warp: Warp, wait: Wait) -> Wait:
    """Refuse a number of barrier or threads when the instruction runs, not when the last path has come."""
    warp.block.check(wait)
    return wait


@warp("s.bar.arrive")
def arrive(warp: Warp, b: Number, n: Number) -> None:
    if warp.lanes != warp.live:
        raise Fault(2)
    warp.block.come(Wait(number(warp, b), number(warp, n)))


@warp("s.bar.red.{reduction}", reduction={"popc.u32": "popc", "and.pred": "and", "or.pred": "or"})
def reduce_bits(warp: Warp, b: Number, m: Register, n: Number | None = None, *, reduction: str) -> Wait:
    emsk = warp.s[EMSK]
    bits = scalar_value(m.number, 1)(warp) & emsk
    return checked(warp, Wait(number(warp, b), number(warp, n), reduction, emsk.bit_count(), bits.bit_count()))


@warp("s.warp.sync")
def together(warp: Warp, m: Number) -> None:
    if (number(warp, m) or 0) & ~warp.s[EMSK] & 0xFFFFFFFF:
        raise Fault(3)


@warp("s.sleep")
def sleep(warp: Warp) -> Wait:
    return SLEEP


@warp("s.brkpt")
def breakpoint(warp: Warp) -> None:
    raise Fault(258)


@warp("v.assert")
def assertion(warp: Warp, c: Register) -> None:
    if warp.s[EMSK] & ~scalar_value(c.number, 1)(warp):
        raise Fault(257)


@warp("v.print")
def print_lanes(warp: Warp, text: int, a: Register | None = None) -> None:
    numbers = [a.number + n for n in range(a.count)] if a else []
    for lane in lanes_of(warp.s[EMSK]):
        warp.block.printed.append((text, tuple(warp.v[number][lane] for number in numbers)))


@warp("s.print")
def print_warp(warp: Warp, text: int, a: Register | None = None) -> None:
    numbers = [a.number + n for n in range(a.count)] if a else []
    warp.block.printed.append((text, tuple(warp.s[number] for number in numbers)))
