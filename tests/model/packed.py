"""Arithmetic on two 16-bit numbers in a register, each half for itself."""

from collections.abc import Callable
from itertools import product

from .floating import ACCEPTED, CHOICE, UNORDERED, add, extreme, extreme_of_sizes, multiply, multiply_add, outcome
from .formats import BF16, F16, Format, Pair
from .integer import RELATIONS
from .meaning import lanes

FLOATS = {"f16x2": F16, "bf16x2": BF16}
HALF = 0xFFFF
ALL_RELATIONS = ACCEPTED | {f"{name}u": accepted for name, accepted in UNORDERED.items()}


def halves(change: Callable[..., int], *values: int) -> int:
    """A function applied to the low halves and to the high halves."""
    low = change(*[value & HALF for value in values])
    return low & HALF | (change(*[value >> 16 for value in values]) & HALF) << 16


def floats(mnemonic: str, fmt: Format, change: Callable[..., int], sources: int) -> None:
    """Register an instruction of so many float sources."""
    pair = Pair(fmt)
    functions: dict[int, Callable[..., int]] = {
        1: lambda a: halves(change, a),
        2: lambda a, b: halves(change, a, b),
        3: lambda a, b, c: halves(change, a, b, c),
    }
    lanes(mnemonic, sources=pair, result=pair)(functions[sources])


def bound(function: Callable[..., int], *first: object) -> Callable[..., int]:
    return lambda *values: function(*first, *values)


for _name, _fmt in FLOATS.items():
    floats(f"v.add.{_name}", _fmt, lambda a, b, f=_fmt: add(f, a, b, "rtte"), 2)
    floats(f"v.sub.{_name}", _fmt, lambda a, b, f=_fmt: add(f, a, b ^ f.sign, "rtte"), 2)
    floats(f"v.mul.{_name}", _fmt, lambda a, b, f=_fmt: multiply(f, a, b, "rtte"), 2)
    floats(f"v.fma.{_name}", _fmt, lambda a, b, c, f=_fmt: multiply_add(f, a, b, c, "rtte"), 3)
    floats(f"v.abs.{_name}", _fmt, lambda a, f=_fmt: a & ~f.sign, 1)
    floats(f"v.neg.{_name}", _fmt, lambda a, f=_fmt: a ^ f.sign, 1)
    for (_which, _choose), _nan in product(CHOICE.items(), ("", ".nan")):
        floats(f"v.{_which}.{_name}{_nan}", _fmt, bound(extreme, _fmt, _choose, bool(_nan)), 2)
        floats(f"v.{_which}.{_name}{_nan}.xorsign.abs", _fmt, bound(extreme_of_sizes, _fmt, _choose, bool(_nan)), 2)


def holds(fmt: Format, accepted: str, a: int, b: int) -> bool:
    return outcome(fmt, a, b) in accepted


def compares(name: str, relation: str, test: Callable[[int, int], bool], sources: Pair | None) -> None:
    """Register the compare to two masks and the one to halves."""
    lanes(f"v.cmp.{relation}.{name}", sources=sources)(lambda a, b: (test(a & HALF, b & HALF), test(a >> 16, b >> 16)))
    lanes(f"v.cmp.{relation}.b16x2.{name}", sources=sources)(
        lambda a, b: halves(lambda x, y: HALF if test(x, y) else 0, a, b)
    )


for (_name, _fmt), (_relation, _accepted) in product(FLOATS.items(), ALL_RELATIONS.items()):
    compares(_name, _relation, bound(holds, _fmt, _accepted), Pair(_fmt))


@lanes("v.csel.b16x2")
def csel(a: int, b: int, p: int, q: int) -> int:
    return (a if p else b) & HALF | (a if q else b) & ~HALF


# Integers.


def as_is(x: int) -> int:
    return x


def signed(x: int) -> int:
    return x - 0x10000 if x & 0x8000 else x


TYPES = {"u16x2": as_is, "i16x2": signed}
Read = Callable[[int], int]


def clamp(read: Read, x: int) -> int:
    """At the nearest end of the range."""
    return max(-0x8000, min(0x7FFF, x)) if read is signed else max(0, min(HALF, x))


@lanes("v.add.i16x2")
def add_halves(a: int, b: int) -> int:
    return halves(lambda x, y: x + y, a, b)


@lanes("v.sub.i16x2")
def sub_halves(a: int, b: int) -> int:
    return halves(lambda x, y: x - y, a, b)


@lanes("v.mull.i16x2")
def mull_halves(a: int, b: int) -> int:
    return halves(lambda x, y: x * y, a, b)


@lanes("v.madl.i16x2")
def madl_halves(a: int, b: int, c: int) -> int:
    return halves(lambda x, y, z: x * y + z, a, b, c)


@lanes("v.abs.i16x2")
def abs_halves(a: int) -> int:
    return halves(lambda x: abs(signed(x)), a)


@lanes("v.add.{read}.sat", read=TYPES)
def add_clamped(a: int, b: int, *, read: Read) -> int:
    return halves(lambda x, y: clamp(read, read(x) + read(y)), a, b)


@lanes("v.sub.{read}.sat", read=TYPES)
def sub_clamped(a: int, b: int, *, read: Read) -> int:
    return halves(lambda x, y: clamp(read, read(x) - read(y)), a, b)


@lanes("v.min.{read}", read=TYPES)
def least(a: int, b: int, *, read: Read) -> int:
    return halves(lambda x, y: min(read(x), read(y)), a, b)


@lanes("v.max.{read}", read=TYPES)
def greatest(a: int, b: int, *, read: Read) -> int:
    return halves(lambda x, y: max(read(x), read(y)), a, b)


@lanes("v.{choose}.i16x2.relu", choose={"min": min, "max": max})
def extreme_not_negative(a: int, b: int, *, choose: Callable[..., int]) -> int:
    return halves(lambda x, y: max(0, choose(signed(x), signed(y))), a, b)


for (_name, _read), (_relation, _test) in product(TYPES.items(), RELATIONS.items()):
    compares(_name, _relation, lambda a, b, r=_read, t=_test: t(r(a), r(b)), None)
