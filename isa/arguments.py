"""The arguments of a directive: names, numbers, registers and strings, each with its place for messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from .diagnostics import Failure
from .operands import Value
from .sections import Code, Unit
from .source import Statement
from .strings import ESCAPES, unescape
from .syntax import constant, integer, operand, split

T = TypeVar("T")

NAME = re.compile(r"[A-Za-z_.$][\w.$]*+")


class Argument(NamedTuple):
    """One argument of a directive and its column in the rest of the statement."""

    text: str
    start: int

    def __str__(self) -> str:
        return self.text


class Arguments:
    """A directive's arguments; what they raise has columns within the statement's rest. `usage` is for hints."""

    def __init__(self, unit: Unit, statement: Statement, usage: str):
        self.unit, self.statement, self.usage = unit, statement, usage
        self.all = [Argument(text, start) for text, start, _ in split(statement.rest)]

    def __len__(self) -> int:
        return len(self.all)

    def expect(self, low: int, high: int) -> None:
        """Refuse another number of arguments."""
        if not low <= len(self.all) <= high:
            few = "too few" if len(self.all) < low else "too many"
            raise Failure(f"{few} arguments for {self.statement.operation}", self.usage)

    def name(self, index: int) -> str:
        """An argument that must be a name."""
        argument = self.all[index]
        if not NAME.fullmatch(argument.text):
            raise self.wrong(index, f"{argument.text or 'nothing'} is no name")
        return argument.text

    def wrong(self, index: int, message: str, hint: str = "") -> Failure:
        """A failure about one argument."""
        argument = self.all[index]
        return Failure(message, hint, argument.start, argument.start + len(argument.text))

    def integer(self, index: int, low: int, high: int) -> int:
        """An argument that must be a whole number from low to high."""
        return self._evaluate(index, lambda text: integer(text, self.unit, low, high))

    def number(self, index: int) -> int | float:
        """An argument that must be a number."""
        return self._evaluate(index, lambda text: constant(text, self.unit))

    def operand(self, index: int) -> Value:
        """An argument that may be a register."""
        return self._evaluate(index, lambda text: operand(text, self.unit))

    def string(self, index: int) -> bytes:
        """An argument in double quotes."""
        text = self.all[index].text
        if len(text) < 2 or text[0] != '"' or text[-1] != '"':
            raise self.wrong(index, "expected a string in double quotes")
        try:
            return unescape(text[1:-1])
        except ValueError as error:
            raise self.wrong(index, str(error), f"there are {ESCAPES}") from None

    def _evaluate(self, index: int, evaluate: Callable[[str], T]) -> T:
        argument = self.all[index]
        try:
            return evaluate(argument.text)
        except Failure as failure:
            raise failure.within(argument.start, argument.start + len(argument.text)) from None


def code_of(arguments: Arguments) -> Code:
    """The kernel or function that a directive is about; raises Failure outside of one."""
    code = arguments.unit.code
    if code is None:
        raise arguments.unit.needs_kernel(f"{arguments.statement.operation} before the first kernel")
    return code


def kernel_of(arguments: Arguments) -> Code:
    """The kernel that a directive is about; raises Failure elsewhere."""
    code = code_of(arguments)
    if code.is_function:
        operation = arguments.statement.operation
        raise Failure(f"{operation} belongs to a kernel, not to function {code.name}", "a launch asks only kernels")
    return code
