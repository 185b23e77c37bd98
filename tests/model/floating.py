"""Floats: every result is an exact number of integers m * 2**e, rounded once."""

from collections.abc import Callable

from .formats import F32, MODES, Exact, Format, rounds_up
from .integer import Read, signed, unsigned
from .meaning import lanes

ROUNDING = {f".{mode}" if mode != "rtte" else "": mode for mode in MODES}
"""Suffixes of instructions that need none for to nearest even."""
ROUNDING_NAMED = {mode: mode for mode in MODES}


def total(fmt: Format, x: Exact, y: Exact, mode: str) -> int:
    """x + y, rounded once."""
    if x.m is None or y.m is None:
        if x.m is None and y.m is None and x.negative != y.negative:
            return fmt.nan
        return fmt.infinity | (fmt.sign if (x if x.m is None else y).negative else 0)
    e = min(x.e, y.e)
    left, right = x.m << x.e - e, y.m << y.e - e
    value = (-left if x.negative else left) + (-right if y.negative else right)
    if value:
        return fmt.round(1 if value < 0 else 0, abs(value), e, mode)
    negative = x.negative if x.negative == y.negative else mode == "rtn"
    return fmt.sign if negative else 0


def times(x: Exact, y: Exact) -> Exact | None:
    """x * y, exactly; None for infinity times zero."""
    negative = x.negative ^ y.negative
    if x.m is None or y.m is None:
        return None if x.m == 0 or y.m == 0 else Exact(negative, None, 0)
    return Exact(negative, x.m * y.m, x.e + y.e)


def add(fmt: Format, a: int, b: int, mode: str) -> int:
    if fmt.is_nan(a) or fmt.is_nan(b):
        return fmt.nan
    return total(fmt, fmt.exact(a), fmt.exact(b), mode)


def multiply(fmt: Format, a: int, b: int, mode: str) -> int:
    if fmt.is_nan(a) or fmt.is_nan(b):
        return fmt.nan
    product = times(fmt.exact(a), fmt.exact(b))
    if product is None:
        return fmt.nan
    if product.m is None:
        return fmt.infinity | (fmt.sign if product.negative else 0)
    return fmt.round(product.negative, product.m, product.e, mode)


def multiply_add(fmt: Format, a: int, b: int, c: int, mode: str) -> int:
    if fmt.is_nan(a) or fmt.is_nan(b) or fmt.is_nan(c):
        return fmt.nan
    product = times(fmt.exact(a), fmt.exact(b))
    return fmt.nan if product is None else total(fmt, product, fmt.exact(c), mode)


@lanes("v.add.f32{mode}", mode=ROUNDING, sources=F32, result=F32)
def add_f32(a: int, b: int, *, mode: str) -> int:
    return add(F32, a, b, mode)


@lanes("v.sub.f32{mode}", mode=ROUNDING, sources=F32, result=F32)
def sub_f32(a: int, b: int, *, mode: str) -> int:
    return add(F32, a, b ^ F32.sign, mode)


@lanes("v.mul.f32{mode}", mode=ROUNDING, sources=F32, result=F32)
def mul_f32(a: int, b: int, *, mode: str) -> int:
    return multiply(F32, a, b, mode)


@lanes("v.fma.f32.{mode}", mode=ROUNDING_NAMED, sources=F32, result=F32)
def fma_f32(a: int, b: int, c: int, *, mode: str) -> int:
    return multiply_add(F32, a, b, c, mode)


@lanes("v.cnvt.f32.{read}.{mode}", read={"i32": signed, "u32": unsigned}, mode=ROUNDING_NAMED, result=F32)
def from_integer(a: int, *, read: Read, mode: str) -> int:
    value = read(a)
    return F32.round(value < 0, abs(value), 0, mode)


def to_integer(fmt: Format, bits: int, mode: str, low: int, high: int) -> int:
    """Rounded to an integer, clamped to low and high; NaN gives 0."""
    if fmt.is_nan(bits):
        return 0
    x = fmt.exact(bits)
    if x.m is None:
        return low if x.negative else high
    if x.e >= 0:
        whole = x.m << min(x.e, 128)
    else:
        whole, rest = x.m >> -x.e, x.m & (1 << -x.e) - 1
        whole += rounds_up(x.negative, whole & 1, rest, 1 << -x.e - 1, mode)
    return max(low, min(high, -whole if x.negative else whole))


RANGES = {"i32": (-(1 << 31), (1 << 31) - 1), "u32": (0, (1 << 32) - 1)}


@lanes("v.cnvt.{ends}.f32.{mode}", ends=RANGES, mode=ROUNDING_NAMED, sources=F32)
def f32_to_integer(a: int, *, ends: tuple[int, int], mode: str) -> int:
    return to_integer(F32, a, mode, *ends)


def place(fmt: Format, bits: int) -> int:
    """A number that orders floats, with -0 below +0; not of a NaN."""
    return bits if bits < fmt.sign else ~(bits ^ fmt.sign)


def lesser(fmt: Format, a: int, b: int) -> int:
    return a if place(fmt, a) < place(fmt, b) else b


def greater(fmt: Format, a: int, b: int) -> int:
    return a if place(fmt, a) > place(fmt, b) else b


Choose = Callable[[Format, int, int], int]
CHOICE: dict[str, Choose] = {"min": lesser, "max": greater}


@lanes("v.{choose}.f32", choose=CHOICE, sources=F32, result=F32)
def extreme_number(a: int, b: int, *, choose: Choose) -> int:
    if F32.is_nan(a) or F32.is_nan(b):
        number = b if F32.is_nan(a) else a
        return F32.nan if F32.is_nan(number) else number
    return choose(F32, a, b)


@lanes("v.{choose}.f32.nan", choose=CHOICE, sources=F32, result=F32)
def extreme_nan(a: int, b: int, *, choose: Choose) -> int:
    return F32.nan if F32.is_nan(a) or F32.is_nan(b) else choose(F32, a, b)


OUTCOMES = {"lt": "<", "eq": "=", "le": "<=", "gt": ">", "ne": "<>", "ge": ">=", "num": "<=>"}
ACCEPTED = OUTCOMES | {"nan": "?"} | {f"{name}u": f"{OUTCOMES[name]}?" for name in ("lt", "eq", "le", "gt", "ne", "ge")}
"""Of less, equal, greater and unordered, the outcomes that a relation holds for."""


def outcome(fmt: Format, a: int, b: int) -> str:
    if fmt.is_nan(a) or fmt.is_nan(b):
        return "?"
    if (a | b) & (fmt.sign - 1) == 0 or a == b:
        return "="
    return "<" if place(fmt, a) < place(fmt, b) else ">"


@lanes("v.cmp.{accepted}.f32", accepted=ACCEPTED, sources=F32)
def compare(a: int, b: int, *, accepted: str) -> bool:
    return outcome(F32, a, b) in accepted


@lanes("v.abs.f32")
def absolute(a: int) -> int:
    return a & ~F32.sign


@lanes("v.neg.f32")
def negated(a: int) -> int:
    return a ^ F32.sign
