"""The directives of kernels: what they are called, take and need, the names in them, and their lines."""

from __future__ import annotations

import re

from .arguments import NAME, Argument, Arguments, code_of, kernel_of
from .diagnostics import Failure, nearest
from .program import ARCHITECTURES, LIMITS, MAX_PARAMETER_BYTES, MAX_THREADS, SCALAR_TYPES, Line, MacroCall
from .registers import Register
from .sections import ARCH, TSM_ALIGNMENT, Code, Deferred, check_free
from .source import MAX_NESTING
from .syntax import integer

TSM_BYTES = LIMITS["tsm"]
"""Published: thread-block shared memory of a compute unit."""
"""Published: largest block dimensions."""

_ARRAY = re.compile(r"(\S+?)\s*+\[(.*)\]")


# ---- kernels ----------------------------------------------------------------------------------------------------


def arch(arguments: Arguments) -> None:
    """`.arch ppu0015`: which architecture's instructions may stand here."""
    arguments.expect(1, 1)
    name, unit = arguments.all[0].text, arguments.unit
    if name not in ARCHITECTURES:
        raise arguments.wrong(0, f"there is no architecture {name}", f"one of {', '.join(ARCHITECTURES)}")
    if unit.codes and name != unit.arch:
        raise Failure(f"the kernels above are for {unit.arch}", ".arch stands before the first .kernel")
    if unit.arch_used and name != unit.arch:
        hint = ".arch stands before what asks for it, such as .include"
        raise Failure(f"{ARCH} has been that of {unit.arch} above", hint)
    unit.arch = name


def kernel(arguments: Arguments) -> None:
    """`.kernel NAME`: what follows belongs to this kernel."""
    _begin(arguments, is_function=False)


def func(arguments: Arguments) -> None:
    """`.func NAME`: what follows belongs to this device function."""
    _begin(arguments, is_function=True)


def _begin(arguments: Arguments, *, is_function: bool) -> None:
    """A kernel or function begins, even if something is wrong with its name."""
    unit, place = arguments.unit, arguments.statement.place
    unit.code, unit.in_data = Code("", place, is_function), False
    arguments.expect(1, 1)
    name = arguments.name(0)
    check_free(name)
    old, symbol = unit.codes.get(name), unit.names.get(name)
    code = unit.code = Code(name, place, is_function)
    if old is not None:
        same = "functions" if old.is_function else "kernels"
        what = f"two {same} {name}" if old.is_function == is_function else f"a kernel and a function {name}"
        where = f"the first is at {old.place.source.name}:{old.place.line}"
        raise arguments.wrong(0, f"there are {what}", where)
    unit.codes[name] = code
    if symbol is not None and is_function:
        where = f"defined at {symbol.place.source.name}:{symbol.place.line}"
        raise arguments.wrong(0, f"{name} is already {symbol.what}", where)


def param(arguments: Arguments) -> None:
    """`.param TYPE NAME` or `.param TYPE NAME[COUNT]`: the kernel's next argument."""
    code = kernel_of(arguments)
    arguments.expect(1, 1)
    text, start = arguments.all[0]
    kind, _, name = text.partition(" ")
    if kind not in SCALAR_TYPES:
        plain = kind.removeprefix(".")
        hint = f"write {plain}" if plain in SCALAR_TYPES else f"one of {', '.join(SCALAR_TYPES)}"
        raise Failure(f"there is no parameter type {kind}", hint, start, start + len(kind))
    array = _ARRAY.fullmatch(name.strip())
    name = array[1] if array else name.strip()
    if not NAME.fullmatch(name):
        raise Failure(f"{name or 'nothing'} is no name for a parameter", arguments.usage, start, start + len(text))
    count = integer(array[2], arguments.unit, 1, MAX_PARAMETER_BYTES) if array else 1
    if code.layout.end + SCALAR_TYPES[kind].itemsize * count > MAX_PARAMETER_BYTES:
        raise Failure(f"the arguments have more than {MAX_PARAMETER_BYTES} bytes", "pass a pointer to a buffer")
    arguments.unit.define(name, 0, "a parameter", arguments.statement.place)
    code.add_parameter(kind, name, count, arguments.statement.place)


def tsm(arguments: Arguments) -> None:
    """`.tsm BYTES [NAME]`: thread-block shared memory; NAME is its offset. Several follow one another."""
    code = kernel_of(arguments)
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
    code = kernel_of(arguments)
    arguments.expect(1, 1)
    code.private = arguments.integer(0, 0, LIMITS["private"])


def maxntid(arguments: Arguments) -> None:
    """`.maxntid X, Y, Z`: the most threads, X * Y * Z, of a block it may be launched with."""
    kernel_of(arguments).maxntid = _block_of(arguments)


def reqntid(arguments: Arguments) -> None:
    """`.reqntid X, Y, Z`: the only block the kernel may be launched with."""
    kernel_of(arguments).reqntid = _block_of(arguments)


def _block_of(arguments: Arguments) -> tuple[int, int, int]:
    arguments.expect(1, 3)
    sizes = [arguments.integer(index, 1, MAX_THREADS[index]) for index in range(len(arguments))]
    x, y, z = [*sizes, 1, 1][:3]
    return x, y, z


def vregs(arguments: Arguments) -> None:
    """`.vregs N`: how many vector registers a lane gets, instead of what the words use."""
    code = code_of(arguments)
    arguments.expect(1, 1)
    code.vregs = arguments.integer(0, 0, LIMITS["vregs"])


def sregs(arguments: Arguments) -> None:
    """`.sregs N`: how many scalar registers a warp gets, instead of what the words use."""
    code = code_of(arguments)
    arguments.expect(1, 1)
    code.sregs = arguments.integer(0, 0, LIMITS["sregs"])


# ---- names ------------------------------------------------------------------------------------------------------


def reg(arguments: Arguments) -> None:
    """`.reg NAME = vreg4` or `vreg[a:b]`: another name for registers."""
    text = arguments.statement.rest
    name, equals, value = text.partition("=")
    if not equals:
        name, equals, value = text.partition(",")
    if not equals or not NAME.fullmatch(name.strip()):
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


# ---- lines and visibility -----------------------------------------------------------------------------------------


def error(arguments: Arguments) -> None:
    """`.error "MESSAGE"`: what a macro says about wrong arguments."""
    arguments.expect(1, 1)
    raise Failure(arguments.string(0).decode("utf-8", "surrogateescape"))


def file(arguments: Arguments) -> None:
    """`.file "NAME"`: from here on line entries come from `.loc` alone and are in this file."""
    arguments.expect(1, 1)
    arguments.unit.file = arguments.string(0).decode("utf-8", "surrogateescape")


def loc(arguments: Arguments) -> None:
    """`.loc LINE` or `.loc LINE, "NAME"`: the next words come from this line of `.file`, which NAME is from now on."""
    code = code_of(arguments)
    arguments.expect(1, 2)
    if len(arguments) == 2:
        arguments.unit.file = arguments.string(1).decode("utf-8", "surrogateescape")
    if arguments.unit.file is None:
        raise Failure(".loc needs a file", 'name it first: .file "kernel.s"')
    code.lines.append(Line(8 * len(code.words), arguments.unit.file, _line_number(arguments, 0), arguments.unit.within))


def within(arguments: Arguments) -> None:
    """`.within "MACRO", "FILE", LINE, ...`: the macros, innermost first, that the lines of the next `.loc` stand in."""
    arguments.expect(0, 3 * MAX_NESTING)
    if len(arguments) % 3:
        raise Failure("each macro needs its name, and the file and the line it is called at", arguments.usage)
    texts = [
        arguments.string(index).decode("utf-8", "surrogateescape") for index in range(len(arguments)) if index % 3 < 2
    ]
    lines = [_line_number(arguments, index) for index in range(2, len(arguments), 3)]
    arguments.unit.within = tuple(map(MacroCall, texts[::2], texts[1::2], lines))


def _line_number(arguments: Arguments, index: int) -> int:
    return arguments.integer(index, 0, (1 << 31) - 1)


def globl(arguments: Arguments) -> None:
    """`.globl NAME`: other objects may refer to it."""
    arguments.expect(1, 64)
    unit, statement = arguments.unit, arguments.statement
    unit.exported |= {argument.text for argument in arguments.all}

    def work() -> None:
        for argument in arguments.all:
            if not unit.knows(argument.text):
                start = statement.start + argument.start
                hint = nearest(argument.text, [*unit.codes, *unit.names]) or "a function is defined with .func NAME"
                raise Failure(f"{argument.text} is not defined", hint, start, start + len(argument.text))

    unit.deferred.append(Deferred(unit.code, 0, statement.place, work))


def extern(arguments: Arguments) -> None:
    """`.extern NAME`: another object defines it."""
    arguments.expect(1, 64)
    for index in range(len(arguments)):
        name = arguments.name(index)
        check_free(name)
        arguments.unit.externs.add(name)
