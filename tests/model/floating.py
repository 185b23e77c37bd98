"""Floats: every result is an exact number of integers m * 2**e, rounded once."""

from collections.abc import Callable

from .formats import BF16, F16, F32, MODES, Exact, Format
from .meaning import lanes

ROUNDING = {f".{mode}" if mode != "rtte" else "": mode for mode in MODES}
"""Suffixes of instructions that need none for to nearest even."""
ROUNDING_NAMED = {mode: mode for mode in MODES}


def total(fmt: Format, x: Exact, y: Exact, mode: str) -> int:
    """x + y, rounded once."""
    if x.m is None or y.m is None:
        if x.m is None and y.m is None and x.negative != y.negative:
            return fmt.nan
        return fmt.infinite((x if x.m is None else y).negative)
    e = min(x.e, y.e)
    left, right = x.m << x.e - e, y.m << y.e - e
    value = (-left if x.negative else left) + (-right if y.negative else right)
    if value:
        return fmt.round(1 if value < 0 else 0, abs(value), e, mode)
    negative = x.negative if x.negative == y.negative else mode == "rtn"
    return fmt.zero(negative)


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
        return fmt.infinite(product.negative)
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


def place(fmt: Format, bits: int) -> int:
    """A number that orders floats, with -0 below +0; not of a NaN."""
    return bits if bits < fmt.sign else ~(bits ^ fmt.sign)


def lesser(fmt: Format, a: int, b: int) -> int:
    return a if place(fmt, a) < place(fmt, b) else b


def greater(fmt: Format, a: int, b: int) -> int:
    return a if place(fmt, a) > place(fmt, b) else b


Choose = Callable[[Format, int, int], int]
CHOICE: dict[str, Choose] = {"min": lesser, "max": greater}


def extreme(fmt: Format, choose: Choose, nan: bool, a: int, b: int) -> int:
    """The lesser or greater; with `nan` a NaN wins, else it loses."""
    if fmt.is_nan(a) or fmt.is_nan(b):
        number = b if fmt.is_nan(a) else a
        return fmt.nan if nan or fmt.is_nan(number) else number
    return choose(fmt, a, b)


def extreme_of_sizes(fmt: Format, choose: Choose, nan: bool, a: int, b: int) -> int:
    """The same of absolute values, with the sign of the product."""
    size = extreme(fmt, choose, nan, a & ~fmt.sign, b & ~fmt.sign)
    return size if fmt.is_nan(size) else size | (a ^ b) & fmt.sign


@lanes("v.{choose}.f32{nan}", choose=CHOICE, nan={"": False, ".nan": True}, sources=F32, result=F32)
def extreme_f32(a: int, b: int, *, choose: Choose, nan: bool) -> int:
    return extreme(F32, choose, nan, a, b)


@lanes("v.{choose}.f32{nan}.xorsign.abs", choose=CHOICE, nan={"": False, ".nan": True}, sources=F32, result=F32)
def extreme_sizes_f32(a: int, b: int, *, choose: Choose, nan: bool) -> int:
    return extreme_of_sizes(F32, choose, nan, a, b)


@lanes("v.{choose}3.f32{nan}", choose=CHOICE, nan={"": False, ".nan": True}, sources=F32, result=F32)
def extreme_of_three(a: int, b: int, c: int, *, choose: Choose, nan: bool) -> int:
    return extreme(F32, choose, nan, extreme(F32, choose, nan, a, b), c)


ORDERED = {"lt": "<", "eq": "=", "le": "<=", "gt": ">", "ne": "<>", "ge": ">="}
ACCEPTED = ORDERED | {"num": "<=>", "nan": "?"}
UNORDERED = {name: f"{outcomes}?" for name, outcomes in ORDERED.items()}
"""Of less, equal, greater and unordered, the outcomes that a relation holds for."""


def outcome(fmt: Format, a: int, b: int) -> str:
    if fmt.is_nan(a) or fmt.is_nan(b):
        return "?"
    if (a | b) & (fmt.sign - 1) == 0 or a == b:
        return "="
    return "<" if place(fmt, a) < place(fmt, b) else ">"


@lanes("v.cmp.{accepted}.f32", accepted=ACCEPTED, sources=F32)
@lanes("v.ucmp.{accepted}.f32", accepted=UNORDERED, sources=F32)
def compare(a: int, b: int, *, accepted: str) -> bool:
    return outcome(F32, a, b) in accepted


@lanes("v.abs.f32")
def absolute(a: int) -> int:
    return a & ~F32.sign


@lanes("v.neg.f32")
def negated(a: int) -> int:
    return a ^ F32.sign


@lanes("v.copysign.f32")
def copy_sign(a: int, b: int) -> int:
    return b & ~F32.sign | a & F32.sign


CLASSES: dict[str, Callable[[int], bool]] = {
    "finite": lambda size: size < 0x7F800000,
    "infinite": lambda size: size == 0x7F800000,
    "number": lambda size: size <= 0x7F800000,
    "notanumber": lambda size: size > 0x7F800000,
    "normal": lambda size: size == 0 or 0x00800000 <= size < 0x7F800000,
    "subnormal": lambda size: 0 < size < 0x00800000,
}


@lanes("v.testp.{holds}.f32", holds=CLASSES)
def test_class(a: int, *, holds: Callable[[int], bool]) -> bool:
    return holds(F32.magnitude(a))


@lanes("v.slct.{width}.f32", width={"b32": 32, "b64": 64}, sources={"c": F32})
def select_by_sign(a: int, b: int, c: int) -> int:
    return a if outcome(F32, c, 0) in "=>" else b


# A 16-bit float widened as it is read.

SHORT = {"f16": F16, "bf16": BF16}


def widened(fmt: Format, bits: int) -> int:
    """The same number as binary32."""
    if fmt.is_nan(bits):
        return F32.nan
    x = fmt.exact(bits)
    return F32.infinite(x.negative) if x.m is None else F32.round(x.negative, x.m, x.e, "rtte")


def mixed(name: str, fmt: Format) -> None:
    """Register the sums and the fused multiply-add that take one 16-bit format."""
    left, factors = {"a": fmt, "b": F32}, {"a": fmt, "b": fmt, "c": F32}

    @lanes(f"v.add.f32.{name}{{mode}}", mode=ROUNDING, sources=left, result=F32)
    def add_mixed(a: int, b: int, *, mode: str) -> int:
        return add(F32, widened(fmt, a), b, mode)

    @lanes(f"v.sub.f32.{name}{{mode}}", mode=ROUNDING, sources=left, result=F32)
    def sub_mixed(a: int, b: int, *, mode: str) -> int:
        return add(F32, widened(fmt, a), b ^ F32.sign, mode)

    @lanes(f"v.fma.f32.{name}.{{mode}}", mode=ROUNDING_NAMED, sources=factors, result=F32)
    def fma_mixed(a: int, b: int, c: int, *, mode: str) -> int:
        return multiply_add(F32, widened(fmt, a), widened(fmt, b), c, mode)


for _name, _fmt in SHORT.items():
    mixed(_name, _fmt)
