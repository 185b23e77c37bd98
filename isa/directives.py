"""The directives: each one a function of the unit and its arguments."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from .diagnostics import Failure
from .encoding import Encoded, register_mask
from .expressions import Undefined
from .operands import Register, Value
from .program import DATA_BASE, MAX_PARAMETER_BYTES, SCALAR_TYPES, Line
from .sections import MAX_DATA, TSM_ALIGNMENT, Code, Deferred, Unit, check_free
from .source import Statement
from .spec import ARCHITECTURES, ISA, DecodeError
from .syntax import constant, integer, operand, split

TSM_BYTES = 256 * 1024
"""Published: thread-block shared memory of a compute unit."""
MAX_THREADS = (1024, 1024, 128)
"""Published: largest block dimensions."""
NOP = 0x0800000000000000

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z_.$][\w.$]*+")
_ARRAY = re.compile(r"(\S+?)\s*+\[(.*)\]")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Argument(NamedTuple):
    """One argument of a directive and its column in the rest of the statement."""

    text: str
    start: int

    def __str__(self) -> str:
        return self.text


class Arguments:
    """A directive's arguments; what they raise has columns within the statement's rest."""

    def __init__(self, unit: Unit, statement: Statement):
        self.unit, self.statement = unit, statement
        self.all = [Argument(text, start) for text, start, _ in split(statement.rest)]

    def __len__(self) -> int:
        return len(self.all)

    def expect(self, low: int, high: int, usage: str) -> None:
        """Refuse another number of arguments."""
        if not low <= len(self.all) <= high:
            few = "too few" if len(self.all) < low else "too many"
            raise Failure(f"{few} arguments for {self.statement.operation}", f"usage: {usage}")

    def name(self, index: int) -> str:
        """An argument that must be a name."""
        argument = self.all[index]
        if not _NAME.fullmatch(argument.text):
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
        return unescape(text[1:-1])

    def _evaluate(self, index: int, evaluate: Callable[[str], T]) -> T:
        argument = self.all[index]
        try:
            return evaluate(argument.text)
        except Failure as failure:
            raise failure.within(argument.start, argument.start + len(argument.text)) from None


def unescape(text: str) -> bytes:
    """The bytes of a string: UTF-8, and C's escapes for single bytes."""
    content, end = bytearray(), 0
    for match in _ESCAPE.finditer(text):
        content += text[end : match.start()].encode("utf-8", "surrogatepass")
        content += _escaped(match[1])
        end = match.end()
    return bytes(content) + text[end:].encode("utf-8", "surrogatepass")


def _escaped(text: str) -> bytes:
    if text[0] == "x" and len(text) > 1:
        return bytes([int(text[1:], 16)])
    if text[0] in "01234567":
        return bytes([int(text, 8) & 0xFF])
    return _ESCAPED.get(text, text).encode("utf-8", "surrogatepass")


def escape(content: bytes) -> str:
    """Bytes as a string in quotes that `unescape` turns back."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in content)


def _kernel(arguments: Arguments) -> Code:
    """The kernel that a directive is about; raises Failure outside of one."""
    code = arguments.unit.code
    if code is None:
        raise Failure(f"{arguments.statement.operation} belongs to a kernel", "put it after .kernel NAME")
    return code


# ---- kernels ----------------------------------------------------------------------------------------------------


def arch(arguments: Arguments) -> None:
    """`.arch ppu0015`: which architecture's instructions may stand here."""
    arguments.expect(1, 1, ".arch ppu0015")
    name, unit = arguments.all[0].text, arguments.unit
    if name not in ARCHITECTURES:
        raise arguments.wrong(0, f"there is no architecture {name}", f"one of {', '.join(ARCHITECTURES)}")
    if unit.codes and name != unit.arch:
        raise Failure(f"the kernels above are for {unit.arch}", ".arch stands before the first .kernel")
    unit.arch = name


def kernel(arguments: Arguments) -> None:
    """`.kernel NAME`: what follows belongs to this kernel."""
    arguments.expect(1, 1, ".kernel NAME")
    name, unit = arguments.name(0), arguments.unit
    check_free(name)
    old = unit.codes.get(name)
    code = Code(name, arguments.statement.place)
    unit.code, unit.in_data = code, False
    if old is not None:
        where = f"the first is at {old.place.source.name}:{old.place.line}"
        raise arguments.wrong(0, f"there are two kernels {name}", where)
    unit.codes[name] = code


def param(arguments: Arguments) -> None:
    """`.param TYPE NAME` or `.param TYPE NAME[COUNT]`: the kernel's next argument."""
    code, usage = _kernel(arguments), ".param TYPE NAME or .param TYPE NAME[COUNT]"
    arguments.expect(1, 1, usage)
    text, start = arguments.all[0]
    kind, _, name = text.partition(" ")
    if kind not in SCALAR_TYPES:
        hint = f"one of {', '.join(SCALAR_TYPES)}"
        raise Failure(f"there is no parameter type {kind}", hint, start, start + len(kind))
    array = _ARRAY.fullmatch(name.strip())
    name = array[1] if array else name.strip()
    if not _NAME.fullmatch(name):
        raise Failure(f"{name or 'nothing'} is no name for a parameter", f"usage: {usage}", start, start + len(text))
    count = integer(array[2], arguments.unit, 1, MAX_PARAMETER_BYTES) if array else 1
    size = sum(parameter.size for parameter in code.parameters[-1:])
    end = code.parameters[-1].offset + size if code.parameters else 0
    if end + SCALAR_TYPES[kind].itemsize * count > MAX_PARAMETER_BYTES:
        raise Failure(f"the arguments have more than {MAX_PARAMETER_BYTES} bytes", "pass a pointer to a buffer")
    arguments.unit.define(name, 0, "a parameter", arguments.statement.place)
    code.add_parameter(kind, name, count, arguments.statement.place)


def tsm(arguments: Arguments) -> None:
    """`.tsm BYTES [NAME]`: thread-block shared memory; NAME is its offset. Several follow one another."""
    code = _kernel(arguments)
    arguments.expect(1, 2, ".tsm BYTES [NAME]")
    text, start = arguments.all[0]
    name = arguments.name(1) if len(arguments) == 2 else ""
    if not name and (match := re.fullmatch(r"(.*[\w)])\s++([A-Za-z_.$][\w.$]*+)", text)):
        text, name = match[1].strip(), match[2]
    arguments.all[0] = Argument(text, start)
    size = arguments.integer(0, 0, TSM_BYTES)
    offset = -(-code.tsm // TSM_ALIGNMENT) * TSM_ALIGNMENT
    if offset + size > TSM_BYTES:
        raise Failure(f"{offset + size:,} bytes of TSM are too many", f"a compute unit has {TSM_BYTES:,}")
    if name:
        arguments.unit.define(name, offset, "a place in TSM", arguments.statement.place)
    code.tsm = offset + size


def private(arguments: Arguments) -> None:
    """`.private BYTES`: private memory of each lane."""
    code = _kernel(arguments)
    arguments.expect(1, 1, ".private BYTES")
    code.private = arguments.integer(0, 0, (1 << 32) - 1)


def maxntid(arguments: Arguments) -> None:
    """`.maxntid X, Y, Z`: the largest block the kernel may be launched with."""
    code = _kernel(arguments)
    arguments.expect(1, 3, ".maxntid X, Y, Z")
    sizes = [arguments.integer(index, 1, MAX_THREADS[index]) for index in range(len(arguments))]
    x, y, z = [*sizes, 1, 1][:3]
    code.maxntid = (x, y, z)


def vregs(arguments: Arguments) -> None:
    """`.vregs N`: how many vector registers a lane gets, instead of what the words use."""
    code = _kernel(arguments)
    arguments.expect(1, 1, ".vregs N")
    code.vregs = arguments.integer(0, 0, 256)


def sregs(arguments: Arguments) -> None:
    """`.sregs N`: how many scalar registers a warp gets, instead of what the words use."""
    code = _kernel(arguments)
    arguments.expect(1, 1, ".sregs N")
    code.sregs = arguments.integer(0, 0, 192)


# ---- names ------------------------------------------------------------------------------------------------------


def reg(arguments: Arguments) -> None:
    """`.reg NAME = vreg4` or `vreg[a:b]`: another name for registers."""
    text = arguments.statement.rest
    name, equals, value = text.partition("=")
    if not equals:
        name, equals, value = text.partition(",")
    if not equals or not _NAME.fullmatch(name.strip()):
        raise Failure("expected a name and registers", "usage: .reg NAME = vreg4 or .reg NAME = vreg[4:7]")
    start = len(name) + 1
    arguments.all = [Argument(value.strip(), start + len(value) - len(value.lstrip()))]
    register = arguments.operand(0)
    if not isinstance(register, Register):
        raise arguments.wrong(0, f"{value.strip()} is no register", "a number gets a name with .equ NAME, VALUE")
    arguments.unit.define(name.strip(), register, "a register alias", arguments.statement.place)


def equ(arguments: Arguments) -> None:
    """`.equ NAME, EXPR`: a number's name. It may get another value further down."""
    arguments.expect(2, 2, ".equ NAME, VALUE")
    name, value = arguments.name(0), arguments.number(1)
    arguments.unit.define(name, value, "a symbol", arguments.statement.place, everywhere=True)


def assign(arguments: Arguments) -> None:
    """`NAME = EXPR`: the same as `.equ NAME, EXPR`."""
    text = arguments.statement.rest
    name, _, value = text.partition("=")
    start = len(name) + 1 + len(value) - len(value.lstrip())
    arguments.all = [Argument(name.strip(), 0), Argument(value.strip(), start)]
    equ(arguments)


# ---- sections and data ------------------------------------------------------------------------------------------


def data(arguments: Arguments) -> None:
    """`.data`: what follows are the module's initialised bytes."""
    arguments.expect(0, 0, ".data")
    arguments.unit.in_data = True


def text(arguments: Arguments) -> None:
    """`.text`: back to the kernel."""
    arguments.expect(0, 0, ".text")
    arguments.unit.in_data = False


def _append(arguments: Arguments, make: Callable[[int], bytes], size: int) -> None:
    """Append the bytes that `make` gives for each argument, at the end of the text if a name is not known yet."""
    unit = arguments.unit
    if not len(arguments):
        raise Failure(f"{arguments.statement.operation} needs a value")
    for index in range(len(arguments)):
        try:
            unit.add_data(make(index))
        except Undefined:
            _defer(arguments, make, index, len(unit.data))
            unit.add_data(bytes(size))


def _defer(arguments: Arguments, make: Callable[[int], bytes], index: int, offset: int) -> None:
    unit, statement = arguments.unit, arguments.statement

    def work() -> None:
        try:
            content = make(index)
        except Failure as failure:
            raise failure.within(statement.start, statement.start + len(statement.rest)) from None
        unit.data[offset : offset + len(content)] = content

    unit.deferred.append(Deferred(None, DATA_BASE + offset, statement.place, work))


def _whole(size: int) -> Callable[[Arguments], None]:
    def directive(arguments: Arguments) -> None:
        if not arguments.unit.in_data:
            _raw_words(arguments, size)
            return
        low, high = -(1 << (8 * size - 1)), (1 << 8 * size) - 1

        def make(index: int) -> bytes:
            value = arguments.integer(index, low, high)
            return (value & high).to_bytes(size, "little")

        _append(arguments, make, size)

    return directive


def _raw_words(arguments: Arguments, size: int) -> None:
    """`.quad` in a kernel: instruction words as numbers."""
    code, unit = _kernel(arguments), arguments.unit
    if size != 8:
        raise Failure(f"{arguments.statement.operation} cannot stand among instructions", "write .data before it")
    for index in range(len(arguments)):
        word = arguments.integer(index, -(1 << 63), (1 << 64) - 1) & (1 << 64) - 1
        if unit.file is None:
            code.add_line(arguments.statement.place)
        code.add(_registers_of(word), arguments.statement.place)


def _registers_of(word: int) -> Encoded:
    """A raw word with the registers it uses; as it is not known what it means to do, all count as written."""
    try:
        decoded = ISA.decode(word)
    except DecodeError:
        return Encoded(word, 0, 0)
    used = 0
    for value in decoded.values:
        used |= register_mask(value)
    return Encoded(word, 0, used)


def _floats(form: str) -> Callable[[Arguments], None]:
    def directive(arguments: Arguments) -> None:
        if not arguments.unit.in_data:
            raise Failure(f"{arguments.statement.operation} cannot stand among instructions", "write .data before it")

        def make(index: int) -> bytes:
            value = arguments.number(index)
            if value != value:
                return bytes.fromhex("ffffff7f") if form == "<f" else bytes.fromhex("ffffffffffffff7f")
            try:
                return struct.pack(form, value)
            except OverflowError:
                raise arguments.wrong(index, f"{value} is too large for {arguments.statement.operation}") from None

        _append(arguments, make, struct.calcsize(form))

    return directive


def _strings(end: bytes) -> Callable[[Arguments], None]:
    def directive(arguments: Arguments) -> None:
        _data_only(arguments)
        _append(arguments, lambda index: arguments.string(index) + end, 0)

    return directive


def _data_only(arguments: Arguments) -> None:
    if not arguments.unit.in_data:
        raise Failure(f"{arguments.statement.operation} belongs into .data", "write .data before it")


def zero(arguments: Arguments) -> None:
    """`.zero COUNT` or `.zero COUNT, BYTE`: that many bytes."""
    _data_only(arguments)
    arguments.expect(1, 2, f"{arguments.statement.operation} COUNT, VALUE")
    fill = arguments.integer(1, -128, 255) & 0xFF if len(arguments) == 2 else 0
    arguments.unit.add_data(bytes([fill]) * arguments.integer(0, 0, MAX_DATA))


def align(arguments: Arguments) -> None:
    """`.align N`: go on at a multiple of N bytes; kernels are padded with s.nop."""
    arguments.expect(1, 1, ".align BYTES")
    unit = arguments.unit
    size = arguments.integer(0, 1, 1 << 20)
    if size & (size - 1):
        raise arguments.wrong(0, f"{size} is not a power of two")
    if unit.in_data:
        unit.add_data(bytes(-len(unit.data) % size))
        return
    code = _kernel(arguments)
    while 8 * len(code.words) % size:
        code.add(Encoded(NOP, 0, 0), arguments.statement.place)


# ---- what else --------------------------------------------------------------------------------------------------


def file(arguments: Arguments) -> None:
    """`.file "NAME"`: from here on line entries come from `.loc` alone and are in this file."""
    arguments.expect(1, 1, '.file "NAME"')
    arguments.unit.file = arguments.string(0).decode("utf-8", "surrogateescape")


def loc(arguments: Arguments) -> None:
    """`.loc LINE`: the next words come from this line of `.file`."""
    code = _kernel(arguments)
    arguments.expect(1, 1, ".loc LINE")
    if arguments.unit.file is None:
        raise Failure(".loc needs a file", 'name it first: .file "kernel.s"')
    number = arguments.integer(0, 0, (1 << 31) - 1)
    code.lines.append(Line(8 * len(code.words), arguments.unit.file, number))


def accept(arguments: Arguments) -> None:
    """`.globl NAME`: accepted; every kernel is visible."""
    arguments.expect(1, 64, f"{arguments.statement.operation} NAME")


DIRECTIVES: dict[str, Callable[[Arguments], None]] = {
    ".arch": arch,
    ".kernel": kernel,
    ".param": param,
    ".tsm": tsm,
    ".private": private,
    ".maxntid": maxntid,
    ".vregs": vregs,
    ".sregs": sregs,
    ".reg": reg,
    ".equ": equ,
    ".set": equ,
    "=": assign,
    ".data": data,
    ".text": text,
    ".byte": _whole(1),
    ".half": _whole(2),
    ".word": _whole(4),
    ".quad": _whole(8),
    ".float": _floats("<f"),
    ".double": _floats("<d"),
    ".ascii": _strings(b""),
    ".asciz": _strings(b"\0"),
    ".zero": zero,
    ".space": zero,
    ".align": align,
    ".file": file,
    ".loc": loc,
    ".globl": accept,
    ".global": accept,
}
"""Directive to what it does. Those about lines of text are in source.py."""


def perform(unit: Unit, statement: Statement) -> None:
    """Do what a directive says; raises Failure with columns in the statement's rest."""
    DIRECTIVES[statement.operation](Arguments(unit, statement))


__all__ = ["DIRECTIVES", "perform"]
