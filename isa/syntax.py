"""From operand text to values: tokens, precedence, and the few forms that are no plain expression."""

from __future__ import annotations

import math
import re
import struct
from functools import lru_cache

from .addresses import COUNTERS, FUNCTIONS
from .diagnostics import Failure, nearest
from .expressions import (
    REGISTERS,
    Binary,
    Call,
    Choice,
    Here,
    Index,
    LocalLabel,
    Memory,
    Modified,
    Name,
    Node,
    Number,
    OffsetField,
    Result,
    Scope,
    Symbolic,
    Unary,
)
from .habits import name_hint
from .operands import Address, Value
from .registers import NAMED_SCALARS, Register
from .strings import ESCAPES, escaped

MAX_DEPTH = 40
"""How deep parentheses, operators before operands and `?:` may nest."""
MAX_OPERATORS = 240
MAX_DIGITS = 100
FLOATS = ("inf", "nan")
"""Names of numbers."""
CANONICAL_NAN = 0x7FFFFFFF

_SPECIALS = "|".join(re.escape(name) for name in sorted(NAMED_SCALARS, reverse=True) if name.startswith("%"))
_TOKEN = re.compile(
    rf"""\s*+(?:
    (?P<number>0[xX]\w*+(?:\.\w++)?+(?:(?<=[pP])[+-][0-9]++)?+|[0-9](?:[eE][+-][0-9]|\.[0-9]|\w)*+)
  | (?P<name>[$A-Za-z_.][\w.$]*+|(?:{_SPECIALS})(?!\w))
  | (?P<char>'(?:\\(?:x[0-9A-Fa-f]{{1,2}}|[0-7]{{1,3}}|.)|[^'\\])')
  | (?P<symbol><<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^~!<>?:()\[\],@])
  | (?P<wrong>\S)
    )""",
    re.VERBOSE,
)
_LEVELS = "|| ; && ; | ; ^ ; & ; == != ; < <= > >= ; << >> ; + - ; * / %"
_PRECEDENCE = {symbol: level for level, symbols in enumerate(_LEVELS.split(";")) for symbol in symbols.split()}
_LOCAL = re.compile(r"([0-9]+)([fb])")
Token = tuple[str, str, int]
"""(kind, text, column)."""


def tokens(text: str) -> list[Token]:
    """The tokens of an operand, ending with one of kind "end"; raises Failure."""
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind == "wrong":
            start = match.start("wrong")
            hint = 'a text stands in .data, with a label: name: .asciz "..."' if match["wrong"] == '"' else ""
            raise Failure(f"unexpected character {match['wrong']!r}", hint, start, start + 1)
        found.append((kind, match[kind], match.start(kind)))
    found.append(("end", "", len(text.rstrip())))
    return found


def number(text: str, start: int = 0) -> int | float:
    """A literal's value: decimal, 0x, 0b, 0o, or a float; raises Failure."""
    if len(text) > MAX_DIGITS:
        raise Failure("the number is too long", "", start, start + len(text))
    try:
        return int(text, 0)
    except ValueError:
        pass
    if text.isdecimal():
        hint = "write 0o17 for octal, 15 for decimal"
        raise Failure(f"{text} could be octal or decimal", hint, start, start + len(text))
    try:
        value = float.fromhex(text) if text[:2] in ("0x", "0X") and "p" in text.lower() else float(text)
    except (ValueError, OverflowError):
        suffixed = re.fullmatch(r"([0-9]*\.[0-9]+|[0-9]+\.?|[0-9]\w*?)([fFuUlL]+)", text)
        hint = f"write {suffixed[1]}" if suffixed and _is_number(suffixed[1]) else ""
        raise Failure(f"{text} is no number", hint, start, start + len(text)) from None
    if math.isinf(value):
        raise Failure(f"{text} is too large", "infinity is written inf", start, start + len(text))
    return value


def _is_number(text: str) -> bool:
    try:
        number(text)
    except Failure:
        return False
    return True


class Parser:
    """Precedence climbing over one text."""

    def __init__(self, text: str):
        self.tokens = tokens(text)
        self.position = 0
        self.depth = 0
        self.operators = 0

    def whole(self) -> Node:
        """The node of the complete text."""
        node = self.operand()
        if self.tokens[self.position][0] != "end":
            raise self.unexpected("the end")
        return node

    def unexpected(self, wanted: str) -> Failure:
        """The failure that the token at hand is not what is wanted."""
        kind, text, start = self.tokens[self.position]
        found = "the end of the operand" if kind == "end" else text
        return Failure(f"expected {wanted}, found {found}", "", start, start + max(1, len(text)))

    def accept(self, symbol: str) -> bool:
        """Take the symbol if it comes next."""
        kind, text, _ = self.tokens[self.position]
        if kind == "symbol" and text == symbol:
            self.position += 1
            return True
        return False

    def expect(self, symbol: str) -> None:
        """Take the symbol, or fail."""
        if not self.accept(symbol):
            raise self.unexpected(symbol)

    def operand(self) -> Node:
        """An address, or an expression."""
        if not self.accept("["):
            return self.expression()
        inside = self.expression()
        self.expect("]")
        return Memory(inside, self.primary() if self.accept("@") else None)

    def expression(self) -> Node:
        """`a ? b : c` and all that binds tighter."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Failure("the expression is nested too deep")
        node = self.binary(0)
        if self.accept("?"):
            yes = self.expression()
            self.expect(":")
            node = Choice(node, yes, self.expression())
        self.depth -= 1
        return node

    def binary(self, level: int) -> Node:
        """Operators of this precedence level and tighter ones, grouped to the left."""
        node = self.unary()
        while True:
            kind, symbol, _ = self.tokens[self.position]
            own = _PRECEDENCE.get(symbol, -1) if kind == "symbol" else -1
            if own < level:
                return node
            self.operators += 1
            if self.operators > MAX_OPERATORS:
                raise Failure("the expression is too long")
            self.position += 1
            node = Binary(symbol, node, self.binary(own + 1))

    def unary(self) -> Node:
        """Operators before their operand."""
        kind, symbol, _ = self.tokens[self.position]
        if kind != "symbol" or symbol not in "-+~!":
            return self.primary()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Failure("the expression is nested too deep")
        self.position += 1
        node = Unary(symbol, self.unary())
        self.depth -= 1
        return node

    def primary(self) -> Node:
        """A literal, a name, a register with its modifiers, a call, or something in parentheses."""
        kind, text, start = self.tokens[self.position]
        if kind == "number":
            self.position += 1
            local = _LOCAL.fullmatch(text)
            return LocalLabel(int(local[1]), local[2] == "f") if local else Number(number(text, start))
        if kind == "char":
            self.position += 1
            return Number(character(text, start))
        if kind == "name":
            self.position += 1
            return self.named(text, start)
        if self.accept("("):
            node = self.expression()
            self.expect(")")
            return node
        if self.accept("|"):
            return self.absolute()
        if kind == "symbol" and text == "%":
            raise self.no_special()
        raise self.unexpected("a register, a number or a name")

    def absolute(self) -> Node:
        """The rest of `|x|`."""
        kind, text, start = self.tokens[self.position]
        if kind != "name":
            raise self.unexpected("a register between | and |")
        self.position += 1
        node = Modified(self.named(text, start), absolute=True)
        self.expect("|")
        return self.reused(node)

    def no_special(self) -> Failure:
        """The failure for `%name` that no special register has."""
        _, _, start = self.tokens[self.position]
        _, name, after = self.tokens[self.position + 1]
        known = [special for special in NAMED_SCALARS if special.startswith("%")]
        hint = name_hint(f"%{name}") or nearest(f"%{name}", known) or f"one of {', '.join(known)}"
        return Failure(f"no special register is called %{name}", hint, start, after + len(name))

    def named(self, text: str, start: int) -> Node:
        """What a name begins: itself, a call, a range, all perhaps with `.reuse`."""
        if text == ".":
            return Here()
        if text in FLOATS:
            return Number(float(text))
        plain = text.removesuffix(".reuse")
        if plain != text and plain:
            return Modified(Name(plain, start), reuse=True)
        if self.accept("("):
            return self.call(text)
        node: Name | Index = Name(text, start)
        while self.accept("["):
            first = self.expression()
            last = self.expression() if self.accept(":") else None
            self.expect("]")
            node = Index(node, first, last)
        return self.reused(node)

    def call(self, name: str) -> Node:
        """The arguments of a function, the parenthesis being open."""
        arguments = [self.expression()]
        while self.accept(","):
            arguments.append(self.expression())
        self.expect(")")
        return Call(name, tuple(arguments))

    def reused(self, node: Node) -> Node:
        """`node`, with `.reuse` if that follows."""
        if self.tokens[self.position][1] == ".reuse":
            self.position += 1
            return Modified(node, reuse=True)
        return node


def character(text: str, start: int) -> int:
    """The code of a character in single quotes that stands at column `start`."""
    if text[1] != "\\":
        return ord(text[1])
    try:
        return escaped(text[2:-1])
    except ValueError as error:
        raise Failure(str(error), f"there are {ESCAPES}", start, start + len(text)) from None


@lru_cache(maxsize=8192)
def parse(text: str) -> Node:
    """The node of an operand's text; raises Failure with columns in it."""
    return Parser(text).whole()


def operand(text: str, scope: Scope) -> Value:
    """The value of an instruction's operand; raises Failure, Undefined among them.

    A float becomes its binary32 bits.
    """
    if not text:
        raise Failure("an operand is missing")
    plain = text.isidentifier() and text not in FLOATS
    value = (Name(text, 0) if plain else parse(text)).evaluate(scope)
    if isinstance(value, float):
        return float_bits(value)
    if isinstance(value, OffsetField):
        raise Failure("bytes(...) makes the offset of an address", "for example [bytes(0x1000) + vreg0 * 0x4] @x")
    return value


def float_bits(value: float) -> int:
    """The binary32 bits of a number; raises Failure if it is too large."""
    if value != value:
        return CANONICAL_NAN
    try:
        return int.from_bytes(struct.pack("<f", value), "little")
    except OverflowError:
        raise Failure(f"{value} is too large for f32", "3.4028235e38 is the largest; infinity is inf") from None


def constant(text: str, scope: Scope) -> int | float:
    """The value of a directive's argument, a number; raises Failure."""
    if not text:
        raise Failure("a number is missing")
    value = parse(text).evaluate(scope)
    if isinstance(value, Register | Address | OffsetField):
        raise Failure("expected a number")
    return value


def integer(text: str, scope: Scope, low: int, high: int) -> int:
    """The value of a directive's argument, a whole number from low to high; raises Failure."""
    value = constant(text, scope)
    if isinstance(value, float):
        raise Failure(f"expected a whole number, found {value}")
    if isinstance(value, Symbolic):
        raise Failure(
            f"expected a number, found the address of {value.symbol}", "it is known when the program is linked"
        )
    if not low <= value <= high:
        raise Failure(f"{value} is out of range", f"{low} to {high}")
    return value


_COUNTER = re.compile(r"\s*+(\w++)\s*+(?:\((.*)\)\s*+)?")


def counter(text: str, scope: Scope) -> tuple[str, int]:
    """One part of `s.wait`: a counter and its count, or a function; raises Failure."""
    match = _COUNTER.fullmatch(text)
    if match is None:
        raise Failure("expected a counter", "for example vldcnt(0), tsmcnt(2)")
    name, count = match[1], match[2]
    if name not in COUNTERS and name not in FUNCTIONS:
        hint = nearest(name, [*COUNTERS, *FUNCTIONS]) or f"one of {', '.join([*COUNTERS, *FUNCTIONS])}"
        raise Failure(f"no counter is called {name}", hint)
    if (count is None) != (name in FUNCTIONS):
        example = "for example vldcnt(0)" if count is None else f"write {name}"
        raise Failure(f"{name} takes {'a' if name in COUNTERS else 'no'} count", example)
    return name, 0 if count is None else integer(count, scope, 0, 63)


def split(text: str) -> list[tuple[str, int, str]]:
    """Operands at the commas and `#` outside all brackets and quotes: (text, column, separator after it)."""
    parts: list[tuple[str, int, str]] = []
    if not text or text.isspace():
        return parts
    depth, start, quote, escaped = 0, 0, "", False
    for column, letter in enumerate(text):
        if quote:
            if not escaped and letter == quote:
                quote = ""
            escaped = not escaped and letter == "\\"
        elif letter in "\"'":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter in ",#" and depth <= 0:
            parts.append(_part(text, start, column, letter))
            start = column + 1
    parts.append(_part(text, start, len(text), ""))
    return parts


def _part(text: str, start: int, end: int, separator: str) -> tuple[str, int, str]:
    piece = text[start:end]
    stripped = piece.strip()
    return stripped, start + (len(piece) - len(piece.lstrip()) if stripped else 0), separator


__all__ = ["REGISTERS", "Result", "constant", "counter", "float_bits", "integer", "operand", "parse", "split"]
