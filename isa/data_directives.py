"""The directives of data: sections, numbers, strings, room and alignment."""

from __future__ import annotations

import struct
from collections.abc import Callable

from .arguments import Arguments, code_of
from .diagnostics import Failure
from .encoding import Encoded, encoded_word
from .expressions import Symbolic, Undefined
from .program import DATA_BASE, NOP, Relocation
from .sections import MAX_DATA, Deferred


def data(arguments: Arguments) -> None:
    """`.data`: what follows are the module's initialised bytes."""
    arguments.expect(0, 0)
    arguments.unit.in_data = True


def text(arguments: Arguments) -> None:
    """`.text`: back to the kernel."""
    arguments.expect(0, 0)
    arguments.unit.in_data = False


Make = Callable[[int, int], bytes]
"""Gives the bytes of an argument, by its index and the offset in `.data` where they go."""


def _append(arguments: Arguments, make: Make, size: int) -> None:
    """Append the bytes that `make` gives for each argument, at the end of the text if a name is not known yet."""
    unit = arguments.unit
    if not len(arguments):
        raise Failure(f"{arguments.statement.operation} needs a value")
    for index in range(len(arguments)):
        try:
            unit.add_data(make(index, len(unit.data)))
        except Undefined:
            _defer(arguments, make, index, len(unit.data))
            unit.add_data(bytes(size))


def _defer(arguments: Arguments, make: Make, index: int, offset: int) -> None:
    unit, statement = arguments.unit, arguments.statement

    def work() -> None:
        try:
            content = make(index, offset)
        except Failure as failure:
            raise failure.within(statement.start, statement.start + len(statement.rest)) from None
        unit.data[offset : offset + len(content)] = content

    unit.deferred.append(Deferred(None, DATA_BASE + offset, statement.place, work))


def whole(size: int) -> Callable[[Arguments], None]:
    """A directive of whole numbers of `size` bytes."""

    def directive(arguments: Arguments) -> None:
        if not arguments.unit.in_data:
            _raw_words(arguments, size)
            return
        low, high = -(1 << (8 * size - 1)), (1 << 8 * size) - 1

        def make(index: int, offset: int) -> bytes:
            value = arguments.number(index)
            if isinstance(value, Symbolic):
                _relocate(arguments, index, value, size, offset)
                return bytes(size)
            value = arguments.integer(index, low, high)
            return (value & high).to_bytes(size, "little")

        _append(arguments, make, size)

    return directive


def _relocate(arguments: Arguments, index: int, value: Symbolic, size: int, offset: int) -> None:
    """Note that the linker fills in an address here."""
    kind = {("", 8): "ABS64", ("lo", 4): "LO32", ("hi", 4): "HI32"}.get((value.part, size))
    if kind is None:
        hint = "an address is a .quad; its halves, lo(x) and hi(x), are .word"
        raise arguments.wrong(index, f"the address of {value.symbol} does not fit here", hint)
    arguments.unit.data_relocations.append(Relocation(offset, kind, value.symbol, value.addend))


def _raw_words(arguments: Arguments, size: int) -> None:
    """`.quad` in a kernel: instruction words as numbers."""
    code, unit = code_of(arguments), arguments.unit
    if size != 8:
        raise Failure(f"{arguments.statement.operation} cannot stand among instructions", "write .data before it")
    for index in range(len(arguments)):
        word = arguments.integer(index, -(1 << 63), (1 << 64) - 1) & (1 << 64) - 1
        if unit.file is None:
            code.add_line(arguments.statement.place)
        code.add(encoded_word(word), arguments.statement.place)


def floats(form: str) -> Callable[[Arguments], None]:
    """A directive of floats in a form of `struct`."""

    def directive(arguments: Arguments) -> None:
        if not arguments.unit.in_data:
            raise Failure(f"{arguments.statement.operation} cannot stand among instructions", "write .data before it")

        def make(index: int, offset: int) -> bytes:
            del offset
            value = arguments.number(index)
            if isinstance(value, Symbolic):
                raise arguments.wrong(index, f"the address of {value.symbol} is no float")
            if value != value:
                return bytes.fromhex("ffffff7f") if form == "<f" else bytes.fromhex("ffffffffffffff7f")
            try:
                return struct.pack(form, value)
            except OverflowError:
                raise arguments.wrong(index, f"{value} is too large for {arguments.statement.operation}") from None

        _append(arguments, make, struct.calcsize(form))

    return directive


def strings(end: bytes) -> Callable[[Arguments], None]:
    """A directive of texts, `end` behind each."""

    def directive(arguments: Arguments) -> None:
        _data_only(arguments)
        _append(arguments, lambda index, offset: arguments.string(index) + end, 0)

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
        unit.data_alignment = max(unit.data_alignment, size)
        unit.add_data(bytes(-len(unit.data) % size))
        return
    code = code_of(arguments)
    while 8 * len(code.words) % size:
        code.add(Encoded(NOP, 0, 0), arguments.statement.place)
