"""Constant expressions: what a parsed operand is made of and how its value comes out.

Arithmetic is C's on integers of any size (division truncates toward zero, comparisons give 1 or 0) and binary64
on floats. A label is the address it stands for; the difference of two is a plain number. Registers are values
as well, so that an alias or a parameter can stand wherever a register can.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from .addresses import offset_field
from .diagnostics import Failure
from .operands import IVREG, LAST_SREG, NAMED_SCALARS, Address, OperandError, Register, register_text

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
        """Its low or high 32 bits."""
        return Symbolic(0, self.symbol, self.addend, part)

    def __reduce__(self) -> tuple[object, ...]:
        """Copies keep what it is an address of."""
        return Symbolic, (int(self), self.symbol, self.addend, self.part)


class OffsetField(int):
    """What bytes(N) gives: an address's offset field, not a number of bytes."""


Result = int | float | Register | Address
"""What an expression may stand for; numbers include CodeAddress and OffsetField."""


class Undefined(Failure):
    """A name has no value yet."""

    def __init__(self, name: str, hint: str | Callable[[], str]):
        super().__init__(f"{name} is not defined", hint)
        self.name = name


class Scope(Protocol):
    """Where names have their values."""

    def lookup(self, name: str) -> Result:
        """The value of a symbol, alias or parameter; raises Undefined."""
        ...

    def local_label(self, number: int, forward: bool) -> int:
        """The address of `1f` or `1b`; raises Undefined."""
        ...

    def here(self) -> int:
        """The value of `.`."""
        ...


REGISTERS: Mapping[str, Register] = {
    **{f"vreg{n}": Register("v", n) for n in range(256)},
    **{f"sreg{n}": Register("s", n) for n in range(192)},
    **{name: Register("s", number) for name, (number, _) in NAMED_SCALARS.items()},
    "ivreg": IVREG,
}
"""Every register that has a name of its own."""


_NUMBERED = re.compile(r"[vs]reg[0-9]+")


def refuse_register(name: str) -> None:
    """Refuse vreg256 and the like, which are registers that do not exist; raises Failure."""
    if _NUMBERED.fullmatch(name):
        raise Failure(f"there is no {name}", f"{name[:4]}0 to {name[:4]}{255 if name[0] == 'v' else LAST_SREG} exist")


class Node(Protocol):
    """A part of an expression."""

    def evaluate(self, scope: Scope) -> Result:
        """Its value; raises Failure."""
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """A literal."""

    value: int | float

    def evaluate(self, scope: Scope) -> Result:
        """The literal's value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Name:
    """A symbol, an alias, a parameter or a register, with its place for messages."""

    name: str
    start: int

    def evaluate(self, scope: Scope) -> Result:
        """The register of that name, or what the scope knows."""
        register = REGISTERS.get(self.name)
        if register is not None:
            return register
        try:
            refuse_register(self.name)
            return scope.lookup(self.name)
        except Failure as failure:
            raise failure.within(self.start, self.start + len(self.name)) from None


@dataclass(frozen=True, slots=True)
class Here:
    """`.`, the current address."""

    def evaluate(self, scope: Scope) -> Result:
        """The address of the statement."""
        return scope.here()


@dataclass(frozen=True, slots=True)
class LocalLabel:
    """`1f` or `1b`: the next or the last label `1:`."""

    number: int
    forward: bool

    def evaluate(self, scope: Scope) -> Result:
        """The label's address."""
        return scope.local_label(self.number, self.forward)


@dataclass(frozen=True, slots=True)
class Unary:
    """An operator before its operand. `!` before a register negates a float source."""

    symbol: str
    operand: Node

    def evaluate(self, scope: Scope) -> Result:
        """The operator applied."""
        value = self.operand.evaluate(scope)
        if isinstance(value, Register) and self.symbol == "!":
            return value._replace(negate=not value.negate)
        value = _number(value)
        if isinstance(value, Symbolic) and self.symbol != "+":
            raise Failure(f"{self.symbol} cannot be computed before the program is linked", _LINKED)
        if self.symbol == "-":
            return -value
        if self.symbol == "!":
            return int(not value)
        if self.symbol == "~":
            return ~_integer(value, "~")
        return value


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two operands."""

    symbol: str
    left: Node
    right: Node

    def evaluate(self, scope: Scope) -> Result:
        """The operator applied; `&&` and `||` evaluate the right side only if it matters."""
        if self.symbol in ("&&", "||"):
            first = bool(_number(self.left.evaluate(scope)))
            if first == (self.symbol == "||"):
                return int(first)
            return int(bool(_number(self.right.evaluate(scope))))
        return compute(self.symbol, self.left.evaluate(scope), self.right.evaluate(scope))


@dataclass(frozen=True, slots=True)
class Choice:
    """`condition ? yes : no`."""

    condition: Node
    yes: Node
    no: Node

    def evaluate(self, scope: Scope) -> Result:
        """The chosen side; the other one is not evaluated."""
        chosen = self.yes if _number(self.condition.evaluate(scope)) else self.no
        return chosen.evaluate(scope)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of numbers."""

    name: str
    arguments: tuple[Node, ...]

    def evaluate(self, scope: Scope) -> Result:
        """The function's value."""
        values = [_number(node.evaluate(scope)) for node in self.arguments]
        if self.name not in ("lo", "hi"):
            values = [_integer(value, self.name) if isinstance(value, Symbolic) else value for value in values]
        return call(self.name, values)


@dataclass(frozen=True, slots=True)
class Index:
    """`vreg[4:7]`, or `name[1]` and `name[2:3]` within an alias of several registers."""

    base: Name
    first: Node
    last: Node | None

    def evaluate(self, scope: Scope) -> Result:
        """The register or range."""
        first = _integer(_number(self.first.evaluate(scope)), "a register number")
        last = first if self.last is None else _integer(_number(self.last.evaluate(scope)), "a register number")
        if self.base.name in ("vreg", "sreg"):
            bank, low, high = self.base.name[0], 0, 255 if self.base.name == "vreg" else LAST_SREG
        else:
            whole = self.base.evaluate(scope)
            if not isinstance(whole, Register):
                raise Failure(f"{self.base.name} is no register and has no parts", "[...] picks registers of a range")
            bank, low, high = whole.bank, whole.number, whole.number + whole.count - 1
        if not low <= low + first <= low + last <= high:
            part = f"{first}" if self.last is None else f"{first}:{last}"
            raise Failure(f"there is no {self.base.name}[{part}]", f"{self.base.name}[0:{high - low}] is all of it")
        return Register(bank, low + first, last - first + 1)


@dataclass(frozen=True, slots=True)
class Modified:
    """A register as `|x|` or with `.reuse`."""

    operand: Node
    absolute: bool = False
    reuse: bool = False

    def evaluate(self, scope: Scope) -> Result:
        """The register with its modifier."""
        value = self.operand.evaluate(scope)
        if not isinstance(value, Register):
            raise Failure("only a register can be |x| or .reuse")
        if self.absolute and value.negate:
            raise Failure("! stands outside: write !|x|")
        return value._replace(absolute=value.absolute or self.absolute, reuse=value.reuse or self.reuse)


@dataclass(frozen=True, slots=True)
class Memory:
    """`[offset + index * scale] @base`, or with the base inside the brackets."""

    inside: Node
    base: Node | None

    def evaluate(self, scope: Scope) -> Result:
        """The address."""
        base = None
        if self.base is not None:
            base = self.base.evaluate(scope)
            if not isinstance(base, Register):
                raise Failure("after @ stands the register pair with the base address", "for example @sreg[6:7]")
        offsets: list[int] = []
        index: Register | None = None
        scale = 0
        for term in _terms(self.inside):
            part = _scaled(term, scope)
            if not isinstance(part, tuple):
                offsets.append(part)
                continue
            register, factor = part
            if factor is None and register.bank == "s" and base is None:
                base = register
                continue
            if index is not None:
                both = f"{register_text(index)} and {register_text(register)}"
                raise Failure(f"two index registers: {both}", "add them first; an address has one index")
            index, scale = register, _log2(1 if factor is None else factor)
        return Address(_offset(offsets), index, scale, base)


def _terms(node: Node) -> list[Node]:
    """The terms of a sum, as they stand."""
    terms: list[Node] = []
    while isinstance(node, Binary) and node.symbol in "+-":
        terms.append(node.right if node.symbol == "+" else Unary("-", node.right))
        node = node.left
    return [node, *reversed(terms)]


def _scaled(term: Node, scope: Scope) -> int | tuple[Register, int | None]:
    """A term of an address: a number, or a register and what it is multiplied with."""
    if isinstance(term, Binary) and term.symbol == "*":
        left, right = term.left.evaluate(scope), term.right.evaluate(scope)
        if isinstance(right, Register):
            left, right = right, left
        if isinstance(left, Register):
            return left, _integer(_number(right), "an index scale")
        value: Result = compute("*", left, right)
    else:
        value = term.evaluate(scope)
    if isinstance(value, Register):
        return value, None
    number = _number(value, offset=True)
    return number if isinstance(number, OffsetField) else _integer(number, "an offset")


def _offset(parts: list[int]) -> int:
    if len(parts) == 1:
        return parts[0]
    if any(isinstance(part, OffsetField) for part in parts):
        raise Failure("bytes(...) is the whole offset", "add inside the parentheses: bytes(A + B)")
    return sum(parts)


def _log2(factor: int) -> int:
    if factor <= 0 or factor & (factor - 1) or factor > 0x8000:
        raise Failure(f"the index scale {factor:#x} cannot be encoded", "a power of two from 0x1 to 0x8000")
    return factor.bit_length() - 1


def _number(value: Result, *, offset: bool = False) -> int | float:
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


def _integer(value: int | float, what: str) -> int:
    if isinstance(value, float):
        raise Failure(f"{what} takes whole numbers, not {value}")
    if isinstance(value, Symbolic):
        raise Failure(f"{what} takes numbers, and {value.symbol} is an address that is known when linked", _LINKED)
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
    a, b = _number(left), _number(right)
    if isinstance(a, Symbolic) or isinstance(b, Symbolic):
        return _compute_address(symbol, a, b)
    try:
        if symbol in _COMPARISONS:
            return int(_COMPARISONS[symbol](a, b))
        if symbol in _INTEGRAL:
            value: int | float = _INTEGRAL[symbol](_integer(a, symbol), _integer(b, symbol))
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
        raise Failure(f"{symbol} cannot be computed before the program is linked", _LINKED)
    if not isinstance(b, Symbolic) and symbol in "+-":
        return a.plus(_integer(b, symbol) * (1 if symbol == "+" else -1))
    if isinstance(b, Symbolic) and a.symbol == b.symbol and symbol == "-":
        return a.addend - b.addend
    if isinstance(b, Symbolic) and a.symbol == b.symbol and symbol in _COMPARISONS:
        return int(_COMPARISONS[symbol](a.addend, b.addend))
    raise Failure(f"{symbol} cannot be computed before the program is linked", _LINKED)


_LINKED = "an address can be added to, and has lo(x) and hi(x); two of one function or of .data have a difference"


def _low(value: int | float) -> int:
    if isinstance(value, Symbolic) and not value.part:
        return value.half("lo")
    return _integer(value, "lo") & 0xFFFFFFFF


def _high(value: int | float) -> int:
    if isinstance(value, Symbolic) and not value.part:
        return value.half("hi")
    return _integer(value, "hi") >> 32 & 0xFFFFFFFF


def _exponent(value: int | float) -> int:
    value = _integer(value, "log2")
    if value <= 0 or value & (value - 1):
        raise Failure(f"log2({value}): not a power of two")
    return value.bit_length() - 1


def _bytes(count: int | float) -> int:
    try:
        return OffsetField(offset_field(_integer(count, "bytes")))
    except OperandError as error:
        raise Failure(error.args[0], error.hint) from None


FUNCTIONS: dict[str, tuple[int | None, Callable[..., int | float]]] = {
    "lo": (1, _low),
    "hi": (1, _high),
    "bytes": (1, _bytes),
    "log2": (1, _exponent),
    "min": (None, min),
    "max": (None, max),
}
"""Function name to (number of arguments or None for one and more, meaning)."""


def call(name: str, values: list[int | float]) -> int | float:
    """The value of a function; raises Failure when there is none of that name or its arguments do not fit."""
    if name not in FUNCTIONS:
        raise Failure(f"there is no function {name}", f"one of {', '.join(FUNCTIONS)}")
    count, function = FUNCTIONS[name]
    if not values or (count is not None and len(values) != count):
        wanted = "one argument" if count == 1 else "at least one argument"
        raise Failure(f"{name} takes {wanted}, found {len(values)}")
    return function(*values)
