"""What an expression may stand for, and how numbers and addresses are computed with."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction

from .addresses import offset_field
from .diagnostics import Failure
from .fields import OperandError
from .operands import Address
from .registers import Register, register_text

LARGEST = 1 << 256
"""Intermediate results stay below this: an expression cannot take the machine's memory."""


class CodeAddress(int):
    """The address of a word of the kernel: a label, or `.` in code. As a branch target it becomes a distance."""


class Symbolic(int):
    """An address that the linker may move: `symbol` plus `addend`, or the `part` "lo" or "hi" of that.

    `part` is "data" where an operand takes addresses in `.data` alone.
    As a number it is what is known of it so far; in a function it is right for distances within the function.
    """

    symbol: str
    addend: int
    part: str

    def __new__(cls, value: int, symbol: str, addend: int = 0, part: str = "") -> Symbolic:
        """The address, its value as far as it is known."""
        made = super().__new__(cls, value)
        made.symbol, made.addend, made.part = symbol, addend, part
        return made

    def plus(self, count: int) -> Symbolic:
        """The address so many bytes further."""
        return Symbolic(int(self) + count, self.symbol, self.addend + count)

    def half(self, part: str) -> Symbolic:
        """Its low or high 32 bits, or what an operand for `.data` takes of it."""
        return Symbolic(0, self.symbol, self.addend, part)

    def __reduce__(self) -> tuple[object, ...]:
        """Copies keep what it is an address of."""
        return Symbolic, (int(self), self.symbol, self.addend, self.part)


class OffsetField(int):
    """What bytes(N) gives: an address's offset field, not a number of bytes."""


Result = int | float | Register | Address
"""What an expression may stand for; numbers include CodeAddress and OffsetField."""


def as_number(value: Result, *, offset: bool = False) -> int | float:
    """The value if it is a number; `offset` allows what bytes(N) gives."""
    if isinstance(value, Register):
        raise Failure(
            f"the register {register_text(value)} cannot stand in an expression",
            "its value is known only when the kernel runs; !x and |x| are the modifiers of float sources",
        )
    if isinstance(value, Address):
        raise Failure("an address cannot stand in an expression")
    if isinstance(value, OffsetField) and not offset:
        raise Failure("bytes(...) stands alone, as the offset in brackets", "compute inside its parentheses")
    return value


def as_whole(value: int | float, what: str) -> int:
    """The value if it is a whole number that is known now; `what` is what takes it."""
    if isinstance(value, float):
        raise Failure(f"{what} takes whole numbers, not {value}")
    if isinstance(value, Symbolic):
        raise Failure(f"{what} takes numbers, and {value.symbol} is an address that is known when linked", LINKED)
    return value


def _divide(a: int | float, b: int | float) -> int | float:
    if isinstance(a, float) or isinstance(b, float):
        return a / b
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _remainder(a: int, b: int) -> int:
    return abs(a) % abs(b) * (-1 if a < 0 else 1)


def _shift(a: int, b: int, left: bool) -> int:
    if not 0 <= b <= 256:
        raise Failure(f"a shift by {b} makes no sense", "0 to 256")
    return a << b if left else a >> b


_ARITHMETIC: dict[str, Callable[..., int | float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
}
_COMPARISONS: dict[str, Callable[..., bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_INTEGRAL: dict[str, Callable[[int, int], int]] = {
    "%": _remainder,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: _shift(a, b, True),
    ">>": lambda a, b: _shift(a, b, False),
}


def compute(symbol: str, left: Result, right: Result) -> int | float:
    """`left symbol right`; raises Failure for registers, division by zero and results without bound."""
    a, b = as_number(left), as_number(right)
    if isinstance(a, Symbolic) or isinstance(b, Symbolic):
        return _compute_address(symbol, a, b)
    try:
        if symbol in _COMPARISONS:
            return int(_COMPARISONS[symbol](a, b))
        if symbol in _INTEGRAL:
            value: int | float = _INTEGRAL[symbol](as_whole(a, symbol), as_whole(b, symbol))
        else:
            value = _ARITHMETIC[symbol](a, b)
    except ZeroDivisionError:
        raise Failure("division by zero") from None
    except OverflowError:
        raise Failure("a number is too large for a float") from None
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise Failure("the result is too large", "numbers of at most 64 bits have a use")
        shifted = isinstance(a, CodeAddress) != isinstance(b, CodeAddress) and symbol in "+-"
        return CodeAddress(value) if shifted and not (symbol == "-" and isinstance(b, CodeAddress)) else int(value)
    return value


def _compute_address(symbol: str, a: int | float, b: int | float) -> int:
    """What can be done with an address that the linker may move: add, subtract, compare within one section."""
    if symbol == "+" and isinstance(b, Symbolic):
        a, b = b, a
    if not isinstance(a, Symbolic) or a.part or (isinstance(b, Symbolic) and b.part):
        raise Failure(f"{symbol} cannot be computed before the program is linked", LINKED)
    if not isinstance(b, Symbolic) and symbol in "+-":
        return a.plus(as_whole(b, symbol) * (1 if symbol == "+" else -1))
    if isinstance(b, Symbolic) and a.symbol == b.symbol and symbol == "-":
        return a.addend - b.addend
    if isinstance(b, Symbolic) and a.symbol == b.symbol and symbol in _COMPARISONS:
        return int(_COMPARISONS[symbol](a.addend, b.addend))
    raise Failure(f"{symbol} cannot be computed before the program is linked", LINKED)


LINKED = "an address can be added to, and has lo(x) and hi(x); two of one function or of .data have a difference"


def _low(value: int | float) -> int:
    if isinstance(value, Symbolic) and not value.part:
        return value.half("lo")
    return as_whole(value, "lo") & 0xFFFFFFFF


def _high(value: int | float) -> int:
    if isinstance(value, Symbolic) and not value.part:
        return value.half("hi")
    return as_whole(value, "hi") >> 32 & 0xFFFFFFFF


def _exponent(value: int | float) -> int:
    value = as_whole(value, "log2")
    if value <= 0 or value & (value - 1):
        raise Failure(f"log2({value}): not a power of two")
    return value.bit_length() - 1


def _absolute(value: int | float) -> int | float:
    return abs(value)


def _truncated(value: int | float) -> int:
    if isinstance(value, float) and not math.isfinite(value):
        raise Failure(f"int({value}): there is no such number")
    return int(value)


def _in_format(fraction: int, least: int, top: int) -> Callable[[int | float], int]:
    def bits(value: int | float) -> int:
        return float_bits(value, fraction, least, top)

    return bits


def float_bits(value: int | float, fraction: int, least: int, top: int) -> int:
    """The bits of a number, rounded once, in a format of so many fraction bits, multiples of 2**least, below 2**top."""
    width = fraction + 1 + (top.bit_length() if top > 16 else 5)
    exponents = ((1 << width - 1 - fraction) - 1) << fraction
    sign = (math.copysign(1.0, value) < 0) << width - 1
    if value != value:
        return (1 << width - 1) - 1
    if math.isinf(value):
        return sign | exponents
    magnitude = abs(Fraction(value))
    scale = max(least, _floor_log2(magnitude) - fraction) if magnitude else least
    rounded = round(magnitude / Fraction(2) ** scale)  # half to even
    if rounded * Fraction(2) ** scale >= Fraction(2) ** top:
        raise Failure(f"{value} is too large for a float of {width} bits", "infinity is inf")
    return sign | rounded + (scale - least << fraction)


def _floor_log2(value: Fraction) -> int:
    found = value.numerator.bit_length() - value.denominator.bit_length()
    return found - (value < Fraction(2) ** found)


def _bytes(count: int | float) -> int:
    try:
        return OffsetField(offset_field(as_whole(count, "bytes")))
    except OperandError as error:
        raise Failure(error.args[0], error.hint) from None


FUNCTIONS: dict[str, tuple[int | None, Callable[..., int | float]]] = {
    "lo": (1, _low),
    "hi": (1, _high),
    "bytes": (1, _bytes),
    "log2": (1, _exponent),
    "abs": (1, _absolute),
    "int": (1, _truncated),
    "f32": (1, _in_format(23, -149, 128)),
    "f16": (1, _in_format(10, -24, 16)),
    "bf16": (1, _in_format(7, -133, 128)),
    "min": (None, min),
    "max": (None, max),
}
"""Function name to (number of arguments or None for one and more, meaning)."""


def call(name: str, values: list[int | float]) -> int | float:
    """The value of a function; raises Failure when there is none of that name or its arguments do not fit."""
    if name not in FUNCTIONS:
        raise Failure(f"there is no function {name}", f"one of {', '.join([*FUNCTIONS, 'defined'])}")
    count, function = FUNCTIONS[name]
    if not values or (count is not None and len(values) != count):
        wanted = "one argument" if count == 1 else "at least one argument"
        raise Failure(f"{name} takes {wanted}, found {len(values)}")
    return function(*values)
