"""Constant expressions: what a parsed operand is made of and how its value comes out.

Arithmetic is C's on integers of any size (division truncates toward zero, comparisons give 1 or 0) and binary64
on floats. A label is the address it stands for; the difference of two is a plain number. Registers are values
as well, so that an alias or a parameter can stand wherever a register can.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from .addresses import MOST_SCALE, SCALES
from .arithmetic import LINKED, CodeAddress, OffsetField, Result, Symbolic, as_number, as_whole, call, compute
from .diagnostics import Failure
from .operands import Address
from .registers import IVREG, LAST_SREG, NAMED_SCALARS, Register, register_text


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
        value = as_number(value)
        if isinstance(value, Symbolic) and self.symbol != "+":
            raise Failure(f"{self.symbol} cannot be computed before the program is linked", LINKED)
        if self.symbol == "-":
            return -value
        if self.symbol == "!":
            return int(not value)
        if self.symbol == "~":
            return ~as_whole(value, "~")
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
            first = bool(as_number(self.left.evaluate(scope)))
            if first == (self.symbol == "||"):
                return int(first)
            return int(bool(as_number(self.right.evaluate(scope))))
        return compute(self.symbol, self.left.evaluate(scope), self.right.evaluate(scope))


@dataclass(frozen=True, slots=True)
class Choice:
    """`condition ? yes : no`."""

    condition: Node
    yes: Node
    no: Node

    def evaluate(self, scope: Scope) -> Result:
        """The chosen side; the other one is not evaluated."""
        chosen = self.yes if as_number(self.condition.evaluate(scope)) else self.no
        return chosen.evaluate(scope)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of numbers."""

    name: str
    arguments: tuple[Node, ...]

    def evaluate(self, scope: Scope) -> Result:
        """The function's value; `defined` looks whether its argument, a name, has one."""
        if self.name == "defined":
            return int(_is_defined(self.arguments, scope))
        values = [as_number(node.evaluate(scope)) for node in self.arguments]
        if self.name not in ("lo", "hi"):
            values = [as_whole(value, self.name) if isinstance(value, Symbolic) else value for value in values]
        return call(self.name, values)


def _is_defined(arguments: tuple[Node, ...], scope: Scope) -> bool:
    if len(arguments) != 1 or not isinstance(arguments[0], Name):
        raise Failure("defined takes one name")
    try:
        arguments[0].evaluate(scope)
    except Undefined:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Index:
    """`vreg[4:7]`, or `name[1]` and `name[2:3]` within an alias of several registers, or parts of such a part."""

    base: Name | Index
    first: Node
    last: Node | None

    def evaluate(self, scope: Scope) -> Result:
        """The register or range."""
        first = as_whole(as_number(self.first.evaluate(scope)), "a register number")
        last = first if self.last is None else as_whole(as_number(self.last.evaluate(scope)), "a register number")
        name = self.base.name if isinstance(self.base, Name) else ""
        if name in ("vreg", "sreg"):
            bank, low, high = name[0], 0, 255 if name == "vreg" else LAST_SREG
        else:
            whole = self.base.evaluate(scope)
            if not isinstance(whole, Register):
                raise Failure(f"{name} is no register and has no parts", "[...] picks registers of a range")
            bank, low, high = whole.bank, whole.number, whole.number + whole.count - 1
            name = name or register_text(whole)
        if not low <= low + first <= low + last <= high:
            part = f"{first}" if self.last is None else f"{first}:{last}"
            raise Failure(f"there is no {name}[{part}]", f"{name}[0:{high - low}] is all of it")
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
            return left, as_whole(as_number(right), "an index scale")
        value: Result = compute("*", left, right)
    else:
        value = term.evaluate(scope)
    if isinstance(value, Register):
        return value, None
    number = as_number(value, offset=True)
    return number if isinstance(number, OffsetField) else as_whole(number, "an offset")


def _offset(parts: list[int]) -> int:
    if len(parts) == 1:
        return parts[0]
    if any(isinstance(part, OffsetField) for part in parts):
        raise Failure("bytes(...) is the whole offset", "add inside the parentheses: bytes(A + B)")
    return sum(parts)


def _log2(factor: int) -> int:
    if factor <= 0 or factor & (factor - 1) or factor > MOST_SCALE:
        raise Failure(f"the index scale {factor:#x} cannot be encoded", SCALES)
    return factor.bit_length() - 1


__all__ = [
    "REGISTERS",
    "Binary",
    "Call",
    "Choice",
    "CodeAddress",
    "Here",
    "Index",
    "LocalLabel",
    "Memory",
    "Modified",
    "Name",
    "Node",
    "Number",
    "OffsetField",
    "Result",
    "Scope",
    "Symbolic",
    "Unary",
    "Undefined",
    "refuse_register",
]
