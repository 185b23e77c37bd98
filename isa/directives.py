"""The directives: each one a function of the unit and its arguments, and REFERENCE, which describes them all."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from .diagnostics import Failure, nearest
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

    @property
    def usage(self) -> str:
        """How the directive is written."""
        return f"usage: {REFERENCE[self.statement.operation].syntax}"

    def expect(self, low: int, high: int) -> None:
        """Refuse another number of arguments."""
        if not low <= len(self.all) <= high:
            few = "too few" if len(self.all) < low else "too many"
            raise Failure(f"{few} arguments for {self.statement.operation}", self.usage)

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
        raise arguments.unit.needs_kernel(f"{arguments.statement.operation} before the first kernel")
    return code


# ---- kernels ----------------------------------------------------------------------------------------------------


def arch(arguments: Arguments) -> None:
    """`.arch ppu0015`: which architecture's instructions may stand here."""
    arguments.expect(1, 1)
    name, unit = arguments.all[0].text, arguments.unit
    if name not in ARCHITECTURES:
        raise arguments.wrong(0, f"there is no architecture {name}", f"one of {', '.join(ARCHITECTURES)}")
    if unit.codes and name != unit.arch:
        raise Failure(f"the kernels above are for {unit.arch}", ".arch stands before the first .kernel")
    unit.arch = name


def kernel(arguments: Arguments) -> None:
    """`.kernel NAME`: what follows belongs to this kernel."""
    unit = arguments.unit
    unit.code, unit.in_data = Code("", arguments.statement.place), False  # whatever the name: a kernel begins
    arguments.expect(1, 1)
    name = arguments.name(0)
    check_free(name)
    old = unit.codes.get(name)
    code = unit.code = Code(name, arguments.statement.place)
    if old is not None:
        where = f"the first is at {old.place.source.name}:{old.place.line}"
        raise arguments.wrong(0, f"there are two kernels {name}", where)
    unit.codes[name] = code


def param(arguments: Arguments) -> None:
    """`.param TYPE NAME` or `.param TYPE NAME[COUNT]`: the kernel's next argument."""
    code = _kernel(arguments)
    arguments.expect(1, 1)
    text, start = arguments.all[0]
    kind, _, name = text.partition(" ")
    if kind not in SCALAR_TYPES:
        plain = kind.removeprefix(".")
        hint = f"write {plain}" if plain in SCALAR_TYPES else f"one of {', '.join(SCALAR_TYPES)}"
        raise Failure(f"there is no parameter type {kind}", hint, start, start + len(kind))
    array = _ARRAY.fullmatch(name.strip())
    name = array[1] if array else name.strip()
    if not _NAME.fullmatch(name):
        raise Failure(f"{name or 'nothing'} is no name for a parameter", arguments.usage, start, start + len(text))
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
    arguments.expect(1, 2)
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
    arguments.expect(1, 1)
    code.private = arguments.integer(0, 0, (1 << 32) - 1)


def maxntid(arguments: Arguments) -> None:
    """`.maxntid X, Y, Z`: the largest block the kernel may be launched with."""
    code = _kernel(arguments)
    arguments.expect(1, 3)
    sizes = [arguments.integer(index, 1, MAX_THREADS[index]) for index in range(len(arguments))]
    x, y, z = [*sizes, 1, 1][:3]
    code.maxntid = (x, y, z)


def vregs(arguments: Arguments) -> None:
    """`.vregs N`: how many vector registers a lane gets, instead of what the words use."""
    code = _kernel(arguments)
    arguments.expect(1, 1)
    code.vregs = arguments.integer(0, 0, 256)


def sregs(arguments: Arguments) -> None:
    """`.sregs N`: how many scalar registers a warp gets, instead of what the words use."""
    code = _kernel(arguments)
    arguments.expect(1, 1)
    code.sregs = arguments.integer(0, 0, 192)


# ---- names ------------------------------------------------------------------------------------------------------


def reg(arguments: Arguments) -> None:
    """`.reg NAME = vreg4` or `vreg[a:b]`: another name for registers."""
    text = arguments.statement.rest
    name, equals, value = text.partition("=")
    if not equals:
        name, equals, value = text.partition(",")
    if not equals or not _NAME.fullmatch(name.strip()):
        raise Failure("expected a name and registers", arguments.usage)
    start = len(name) + 1
    arguments.all = [Argument(value.strip(), start + len(value) - len(value.lstrip()))]
    register = arguments.operand(0)
    if not isinstance(register, Register):
        raise arguments.wrong(0, f"{value.strip()} is no register", "a number gets a name with .equ NAME, VALUE")
    arguments.unit.define(name.strip(), register, "a register alias", arguments.statement.place)


def equ(arguments: Arguments) -> None:
    """`.equ NAME, EXPR`: a number's name. It may get another value further down."""
    arguments.expect(2, 2)
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
    arguments.expect(0, 0)
    arguments.unit.in_data = True


def text(arguments: Arguments) -> None:
    """`.text`: back to the kernel."""
    arguments.expect(0, 0)
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
    arguments.expect(1, 2)
    fill = arguments.integer(1, -128, 255) & 0xFF if len(arguments) == 2 else 0
    arguments.unit.add_data(bytes([fill]) * arguments.integer(0, 0, MAX_DATA))


def align(arguments: Arguments) -> None:
    """`.align N`: go on at a multiple of N bytes; kernels are padded with s.nop."""
    arguments.expect(1, 1)
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
    arguments.expect(1, 1)
    arguments.unit.file = arguments.string(0).decode("utf-8", "surrogateescape")


def error(arguments: Arguments) -> None:
    """`.error "MESSAGE"`: what a macro says about wrong arguments."""
    arguments.expect(1, 1)
    raise Failure(arguments.string(0).decode("utf-8", "surrogateescape"))


def loc(arguments: Arguments) -> None:
    """`.loc LINE`: the next words come from this line of `.file`."""
    code = _kernel(arguments)
    arguments.expect(1, 1)
    if arguments.unit.file is None:
        raise Failure(".loc needs a file", 'name it first: .file "kernel.s"')
    number = arguments.integer(0, 0, (1 << 31) - 1)
    code.lines.append(Line(8 * len(code.words), arguments.unit.file, number))


def accept(arguments: Arguments) -> None:
    """`.globl NAME`: accepted; every kernel is visible."""
    arguments.expect(1, 64)
    unit, statement = arguments.unit, arguments.statement

    def work() -> None:
        for argument in arguments.all:
            if not unit.knows(argument.text):
                start = statement.start + argument.start
                hint = nearest(argument.text, [*unit.codes, *unit.names]) or "a kernel is defined with .kernel NAME"
                raise Failure(f"{argument.text} is not defined", hint, start, start + len(argument.text))

    unit.deferred.append(Deferred(unit.code, 0, statement.place, work))


class Directive(NamedTuple):
    """A directive: how it is written, what it means, an example. `work` is None where source.py does it."""

    name: str
    syntax: str
    meaning: str
    example: str
    work: Callable[[Arguments], None] | None = None


_ALL = (
    Directive(
        ".arch",
        ".arch NAME",
        "Whose instructions may stand here: ppu0015 (M890, the default) or ppu001 (810E). Before the first kernel.",
        ".arch ppu0015",
        arch,
    ),
    Directive(".kernel", ".kernel NAME", "A kernel begins; what follows belongs to it.", ".kernel saxpy", kernel),
    Directive(
        ".param",
        ".param TYPE NAME or .param TYPE NAME[COUNT]",
        "The kernel's next argument. NAME then stands for its registers, or for its offset in KM if it has none. "
        f"TYPE is one of {', '.join(SCALAR_TYPES)}.",
        ".param f32 a",
        param,
    ),
    Directive(
        ".tsm",
        ".tsm BYTES [NAME]",
        "Thread-block shared memory of the kernel; NAME stands for its offset. Several follow one another, each "
        f"aligned to {TSM_ALIGNMENT} bytes.",
        ".tsm 32 * 4 tile",
        tsm,
    ),
    Directive(".private", ".private BYTES", "Private memory of each lane; sreg2 holds it.", ".private 64", private),
    Directive(
        ".maxntid", ".maxntid X, Y, Z", "The largest block the kernel may be launched with.", ".maxntid 256", maxntid
    ),
    Directive(".vregs", ".vregs N", "Vector registers of a lane, instead of as many as are used.", ".vregs 64", vregs),
    Directive(".sregs", ".sregs N", "Scalar registers of a warp, instead of as many as are used.", ".sregs 80", sregs),
    Directive(
        ".reg",
        ".reg NAME = vreg4 or .reg NAME = vreg[4:7]",
        "Another name for registers, in this kernel. NAME[1] and NAME[2:3] are parts of a range.",
        ".reg acc = vreg[4:7]",
        reg,
    ),
    Directive(
        ".equ",
        ".equ NAME, VALUE",
        "A number's name, in all kernels. It may get another value below.",
        ".equ N, 4 * 8",
        equ,
    ),
    Directive(".set", ".set NAME, VALUE", "The same as .equ.", ".set N, 32", equ),
    Directive("=", "NAME = VALUE", "The same as .equ.", "N = 32", assign),
    Directive(".data", ".data", "What follows are bytes of the module, in memory from the start.", ".data", data),
    Directive(".text", ".text", "Back to the kernel.", ".text", text),
    Directive(".byte", ".byte VALUE, ...", "Data: numbers of 8 bits.", ".byte 1, -1, 'a'", _whole(1)),
    Directive(".half", ".half VALUE, ...", "Data: numbers of 16 bits.", ".half 0xffff", _whole(2)),
    Directive(".word", ".word VALUE, ...", "Data: numbers of 32 bits.", ".word 1, 2, 3", _whole(4)),
    Directive(
        ".quad",
        ".quad VALUE, ...",
        "Data: numbers of 64 bits. In a kernel: instruction words.",
        ".quad 1 << 40",
        _whole(8),
    ),
    Directive(".float", ".float VALUE, ...", "Data: binary32 numbers.", ".float 1.5, inf", _floats("<f")),
    Directive(".double", ".double VALUE, ...", "Data: binary64 numbers.", ".double 1e-3", _floats("<d")),
    Directive(".ascii", '.ascii "TEXT", ...', "Data: text in UTF-8.", '.ascii "abc\\n"', _strings(b"")),
    Directive(".asciz", '.asciz "TEXT", ...', "Data: text, and a zero behind each.", '.asciz "abc"', _strings(b"\0")),
    Directive(".zero", ".zero COUNT, VALUE", "Data: COUNT bytes VALUE; 0 if left out.", ".zero 64", zero),
    Directive(".space", ".space COUNT, VALUE", "The same as .zero.", ".space 64, 0xff", zero),
    Directive(
        ".align",
        ".align BYTES",
        "Go on at a multiple of so many bytes; a kernel is filled with s.nop.",
        ".align 16",
        align,
    ),
    Directive(
        ".error",
        '.error "MESSAGE"',
        "An error with this message, and the lines from which the macro was called.",
        'N = 8\n.if N > 32\n    .error "N is at most 32"\n.endif',
        error,
    ),
    Directive(
        ".file", '.file "NAME"', "From here on lines come from .loc alone, and are of this file.", '.file "a.s"', file
    ),
    Directive(".loc", ".loc LINE", "The next words come from this line of .file.", '.file "a.s"\n.loc 12', loc),
    Directive(".globl", ".globl NAME", "Accepted: every kernel is visible. NAME must exist.", ".globl k", accept),
    Directive(".global", ".global NAME", "The same as .globl.", ".global k", accept),
    Directive(
        ".macro",
        ".macro NAME A, B=DEFAULT",
        "Lines up to .endm get a name. Where it stands as an operation they are put in, \\A being its argument; \\@ is "
        "a number of its own in each call, \\() is nothing and ends a name.",
        ".macro inc r, by=1\n    v.add.i32 \\r, \\r, \\by\n.endm\n    inc vreg1, by=4",
    ),
    Directive(".endm", ".endm", "Ends .macro.", ".macro nothing\n.endm"),
    Directive(
        ".rept",
        ".rept COUNT or .rept COUNT, NAME",
        "Lines up to .endr, so many times. \\NAME in them is 0, 1, 2, ...",
        ".rept 4, N\n    v.mov.b32 vreg[4 + \\N], \\N\n.endr",
    ),
    Directive(".endr", ".endr", "Ends .rept.", ".rept 0\n.endr"),
    Directive(
        ".if",
        ".if VALUE",
        "Lines up to .elseif, .else or .endif, if VALUE is not zero as of this line.",
        "N = 3\n.if N > 2\n    s.nop\n.elseif N\n.else\n.endif",
    ),
    Directive(
        ".ifdef", ".ifdef NAME", "The same, if NAME is defined above, or with -D.", ".ifdef DEBUG\n    s.trap\n.endif"
    ),
    Directive(".ifndef", ".ifndef NAME", "The same, if it is not.", ".ifndef N\nN = 16\n.endif"),
    Directive(".elseif", ".elseif VALUE", "Else, if VALUE is not zero.", ".if 0\n.elseif 1\n    s.nop\n.endif"),
    Directive(".else", ".else", "Else.", ".if 0\n.else\n    s.nop\n.endif"),
    Directive(".endif", ".endif", "Ends .if, .ifdef and .ifndef.", ".if 1\n.endif"),
    Directive(
        ".include",
        '.include "FILE"',
        "The lines of another file, looked for beside this one, in the folders of -I, and in the library (see below).",
        '.include "common.inc"',
    ),
)
REFERENCE: dict[str, Directive] = {directive.name: directive for directive in _ALL}
"""Every directive by name. docs/assembly.md and `m890 isa .NAME` are made from it."""

_DEFINES = {
    ".param": re.compile(r"\S+\s+([A-Za-z_$][\w$]*)\s*(?:\[.*)?"),
    ".tsm": re.compile(r".+[,\s]\s*([A-Za-z_.$][\w.$]*)"),
    **dict.fromkeys((".reg", ".equ", ".set", "="), re.compile(r"([A-Za-z_.$][\w.$]*)\s*(?:[=,\s].*)?")),
}
"""Which name a directive defines, even if something else in it is wrong."""


def perform(unit: Unit, statement: Statement) -> None:
    """Do what a directive says; raises Failure with columns in the statement's rest."""
    work = REFERENCE[statement.operation].work
    assert work is not None, "the reader does these"
    try:
        work(Arguments(unit, statement))
    except Failure:
        note_broken(unit, statement, statement.operation)
        raise


def note_broken(unit: Unit, statement: Statement, directive: str) -> None:
    """Define the name that a faulty statement was to define as a broken one, so that its uses are no errors."""
    names = _DEFINES.get(directive)
    match = names.fullmatch(statement.rest) if names else None
    if match:
        unit.define_broken(match[1], statement.place, everywhere=directive in (".equ", ".set", "="))


__all__ = ["REFERENCE", "Directive", "note_broken", "perform"]
