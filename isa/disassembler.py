"""A module as assembly text that assembles back to the same module.

With both `addresses` and `words` the lines are those of the published listing, `50: c9 00 04 00 e0 00 01 c9  text`:
the address in hex, then the word's bytes as they lie in memory, lowest first. The assembler reads these lines too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .addresses import COARSE, offset_bytes
from .diagnostics import Failure
from .encoding import register_mask
from .fields import IMMEDIATE
from .number_kinds import CodeTarget, Target
from .operands import Address
from .program import DATA_ALIGNMENT, Function, Kernel, Line, MacroCall, Module, Relocation, lay_out
from .registers import Register, register_text
from .relocations import DATA, KINDS, missing
from .sections import check_free
from .spec import ISA, Decoded, DecodeError
from .strings import escape

_NAME = re.compile(r"[A-Za-z_.$][\w.$]*", re.ASCII)
_INDENT = " " * 8
_ROW = 16
"""Bytes of data on one line, and how many zeros in a row are worth a `.zero`."""


class Options(NamedTuple):
    """What `disassemble` was asked for."""

    addresses: bool
    words: bool
    lines: bool
    annotate: bool

    @property
    def listing(self) -> bool:
        """Whether lines look as published."""
        return self.addresses and self.words


def disassemble(
    module: Module,
    *,
    addresses: bool = False,
    words: bool = False,
    lines: bool = True,
    annotate: bool = False,
    kernel: str | None = None,
) -> str:
    """The module as text; the default text assembles back to an equal module.

    `addresses` and `words` print each word's byte offset and bytes, both together as in the published listing.
    `lines=False` leaves out where words come from. `annotate` adds what offsets mean in bytes, where branches
    go and which parameters registers hold. `kernel` picks one; raises ValueError if there is none of that name.
    """
    code = {**module.functions, **module.kernels}
    if kernel is not None and kernel not in code:
        raise ValueError(f"there is no kernel {kernel}; the module has {', '.join(code) or 'none'}")
    options = Options(addresses, words, lines, annotate)
    chosen = [found for name, found in code.items() if kernel in (None, name)]
    text = [f"{_INDENT}.arch   {module.arch}"]
    text += [f"{_INDENT}.extern {name}" for name in sorted(missing(module)) if kernel is None]
    file = next((line.file for found in chosen for line in found.lines), None)
    if lines:
        note = "" if file is not None else "  // no source lines are known"
        text.append(f"{_INDENT}.file   {_quoted(file or '')}{note}")
    if kernel is None:
        text += [f"{_INDENT}.globl  {name}" for name in sorted(module.exported)]
    calls: tuple[MacroCall, ...] = ()
    for found in chosen:
        printer = _Code(found, module, options, file, calls)
        text += ["", *printer.text()]
        file, calls = printer.file, printer.calls
    if kernel is None and (module.data or module.data_symbols or module.data_alignment > DATA_ALIGNMENT):
        text += ["", f"{_INDENT}.data", *_data(module)]
    return "\n".join(text) + "\n"


def instruction(word: int, arch: str) -> Decoded:
    """A word taken apart; raises DecodeError also if it is an instruction of another architecture."""
    decoded = ISA.decode(word)
    others = decoded.form.instruction.architectures
    if arch not in others:
        raise DecodeError(f"{decoded.form.text(word)} is an instruction of {' and '.join(others)}")
    return decoded


class _Code:
    """Prints one kernel or device function."""

    def __init__(
        self,
        kernel: Function,
        module: Module,
        options: Options,
        file: str | None,
        calls: tuple[MacroCall, ...],
    ):
        self.kernel, self.module, self.options, self.file = kernel, module, options, file
        self.calls = calls
        self.words = [int(word) for word in kernel.words]
        self.decoded = [_decoded(word, module.arch) for word in self.words]
        self.parameters = kernel.params if isinstance(kernel, Kernel) else ()
        self.symbols = {relocation.offset: relocation for relocation in kernel.relocations}
        self.labels: dict[int, list[str]] = {}
        self.unprintable: list[str] = []
        taken = {parameter.name for parameter in self.parameters} | module.functions.keys() - {kernel.name}
        for name, offset in sorted(kernel.labels.items(), key=lambda item: (item[1], item[0])):
            if self._printable(name, offset) and name not in taken:
                self.labels.setdefault(offset, []).append(name)
            else:
                self.unprintable.append(f"{_INDENT}// label {escape(name.encode('utf-8', 'replace'))} at {offset:#x}")
        self.targets = self._targets()
        self.written = self._written()

    def _printable(self, name: str, offset: int) -> bool:
        inside = 0 <= offset <= 8 * len(self.words) and offset % 8 == 0
        usable = is_name(name) and not name.startswith(".L")
        return inside and usable and (name != self.kernel.name or offset == 0)

    def _target(self, index: int) -> int | None:
        """Where the word of that index branches to, if it is a branch into or just behind this kernel."""
        decoded = self.decoded[index]
        if isinstance(decoded, Decoded) and decoded.values:
            kind, value = decoded.form.instruction.kinds[-1], decoded.values[-1]
            if isinstance(kind, Target) and isinstance(value, int):
                target = 8 * (index + 1 + kind.distance(value))
                return target if 0 <= target <= 8 * len(self.words) else None
            if isinstance(kind, CodeTarget) and isinstance(value, int) and isinstance(self.kernel, Kernel):
                target = kind.distance(value)
                return target if 0 <= target < 8 * len(self.words) and target % 8 == 0 else None
        return None

    def _targets(self) -> dict[int, str]:
        """A label for every place that is branched to; made up where the kernel has none."""
        found: dict[int, str] = {}
        for index in range(len(self.words)):
            target = self._target(index)
            if target is not None:
                found[target] = self.labels[target][0] if target in self.labels else f".L{target:x}"
        return found

    def text(self) -> Iterator[str]:
        """The kernel's lines."""
        yield from self._head()
        yield from self.unprintable
        places = iter(self.kernel.lines if self.options.lines else ())
        place = next(places, None)
        for index in range(len(self.words) + 1):
            offset = 8 * index
            while place is not None and place.offset <= offset:
                yield from self._origin(place)
                place = next(places, None)
            for name in self._labels_at(offset):
                yield f"{name}:"
            if index < len(self.words):
                yield self._line(index)

    def _origin(self, place: Line) -> Iterator[str]:
        """The directives of a line entry: of its file and macros only what is not as before."""
        if place.file != self.file:
            self.file = place.file
            yield f"{_INDENT}.file   {_quoted(place.file)}"
        if place.calls != self.calls:
            self.calls = place.calls
            parts = [f"{_quoted(call.macro)}, {_quoted(call.file)}, {call.line}" for call in place.calls]
            yield f"{_INDENT}.within {', '.join(parts)}".rstrip()
        yield f"{_INDENT}.loc    {place.line}"

    def _head(self) -> Iterator[str]:
        kernel = self.kernel
        yield f"{_INDENT}{'.kernel' if isinstance(kernel, Kernel) else '.func  '} {kernel.name}"
        if isinstance(kernel, Kernel):
            yield from _launch_needs(kernel)
        yield f"{_INDENT}.vregs  {kernel.vregs}"
        yield f"{_INDENT}.sregs  {kernel.sregs}"

    def _labels_at(self, offset: int) -> list[str]:
        named = self.labels.get(offset, [])
        made_up = offset in self.targets and not named and not self.options.listing
        return [self.targets[offset]] if made_up else named

    def _line(self, index: int) -> str:
        word, offset = self.words[index], 8 * index
        content = word.to_bytes(8, "little").hex(" ")
        text, comments = self._instruction(index)
        if self.options.listing:
            line = f"{offset:8x}: {content}  {text}"
        else:
            parts = [f"{offset:6x}"] if self.options.addresses else []
            parts += [content] if self.options.words else []
            line = f"/* {' '.join(parts)} */ {text}" if parts else f"{_INDENT}{text}"
        return f"{line:<64}  // {', '.join(comments)}" if comments else line

    def _instruction(self, index: int) -> tuple[str, list[str]]:
        """The word's text and comments."""
        word, decoded = self.words[index], self.decoded[index]
        if isinstance(decoded, str):
            return f".quad   {word:#018x}", [decoded]
        form, target = decoded.form, self._target(index)
        instead: dict[str, str] = {}
        notes: list[str] = []
        symbol = self.symbols.get(8 * index)
        if symbol is not None:
            shown = _symbol_text(symbol, self.module, spaced=not self.options.listing)
            filled = (kind for kind in form.instruction.kinds if not IMMEDIATE.mask & ~kind.bits(form.immediate))
            instead |= {kind.name: shown for kind in filled}
            notes.append(shown)
        if target is not None:
            label = self.targets[target]
            instead[form.instruction.kinds[-1].name] = label
            notes.append(label if target in self.labels else f"{self.kernel.name}+{target:#x}")
        listed = f"{form.text(word)}{''.join(f' <{note}>' for note in notes)}"
        text = listed if self.options.listing else form.text(word, instead)
        return text, self._comments(decoded, target) if self.options.annotate else []

    def _comments(self, decoded: Decoded, target: int | None) -> list[str]:
        comments = [] if target is None else [f"to {target:#x}"]
        for value in decoded.values:
            if isinstance(value, Address):
                if value.offset >= COARSE:
                    comments.append(f"{value.offset:#x} is {offset_bytes(value.offset)} bytes")
                parts = [part for part in (value.index, value.base) if part is not None]
            else:
                parts = [value] if isinstance(value, Register) else []
            comments += [text for part in parts if (text := self._parameter(part))]
        return comments

    def _parameter(self, register: Register) -> str:
        """`sreg6 = n`, if the register holds a parameter during the whole kernel."""
        if register.bank == "s" and not register_mask(register) & self.written:
            for parameter in self.parameters:
                if parameter.sreg == register.number:
                    plain = Register("s", register.number, register.count)
                    return f"{register_text(plain)} = {parameter.name}"
        return ""

    def _written(self) -> int:
        """The registers that some instruction of the kernel writes."""
        found = 0
        for decoded in self.decoded:
            if isinstance(decoded, Decoded):
                for kind, value in zip(decoded.form.instruction.kinds, decoded.values, strict=True):
                    found |= register_mask(value) if kind.role == "destination" else 0
        return found


def is_name(name: str) -> bool:
    """Whether the assembler takes it for a label."""
    try:
        check_free(name)
    except Failure:
        return False
    return bool(_NAME.fullmatch(name))


def _decoded(word: int, arch: str) -> Decoded | str:
    """The word taken apart, or why it cannot be."""
    try:
        return instruction(word, arch)
    except DecodeError as error:
        return str(error)


def _quoted(text: str) -> str:
    return f'"{escape(text.encode("utf-8", "surrogateescape"))}"'


def _launch_needs(kernel: Kernel) -> Iterator[str]:
    """The directives that say what a launch must know."""
    for parameter in kernel.params:
        count = f"[{parameter.count}]" if parameter.count > 1 else ""
        yield f"{_INDENT}.param  {parameter.type} {parameter.name}{count}"
    declared = [(parameter.name, parameter.type, parameter.count) for parameter in kernel.params]
    if lay_out(declared) != kernel.params:
        yield f"{_INDENT}// the object places these parameters otherwise than .param does"
    if kernel.tsm:
        yield f"{_INDENT}.tsm    {kernel.tsm}"
    if kernel.private:
        yield f"{_INDENT}.private {kernel.private}"
    for directive, block in ((".maxntid", kernel.maxntid), (".reqntid", kernel.reqntid)):
        if block:
            yield f"{_INDENT}{directive} {', '.join(str(size) for size in block)}"


def _symbol_text(relocation: Relocation, module: Module, *, spaced: bool) -> str:
    """`f`, `f + 0x8` or `lo(table)`: the address that a relocation stands for."""
    name, addend = relocation.symbol, relocation.addend
    if name == DATA:
        labels = sorted(label for label, offset in module.data_symbols.items() if offset == addend and is_name(label))
        name, addend = (labels[0], 0) if labels else (name, addend)
    sign, plus = ("-" if addend < 0 else "+"), " " if spaced else ""
    text = f"{name}{plus}{sign}{plus}{abs(addend):#x}" if addend else name
    part = {"LO32": "lo", "HI32": "hi"}.get(relocation.kind)
    return f"{part}({text})" if part else text


def _data(module: Module) -> Iterator[str]:
    names: dict[int, list[str]] = {}
    for name, offset in sorted(module.data_symbols.items(), key=lambda item: (item[1], item[0])):
        if is_name(name) and not name.startswith(".L") and 0 <= offset <= len(module.data):
            names.setdefault(offset, []).append(name)
        else:
            yield f"{_INDENT}// symbol {escape(name.encode('utf-8', 'replace'))} at {offset:#x}"
    if module.data_alignment > DATA_ALIGNMENT:
        yield f"{_INDENT}.align  {module.data_alignment}"
    fields = {relocation.offset: relocation for relocation in module.data_relocations}
    ends = {offset + KINDS[relocation.kind].size for offset, relocation in fields.items()}
    borders = sorted({0, len(module.data), *names, *fields, *ends})
    for start, end in zip(borders, [*borders[1:], len(module.data)], strict=True):
        yield from (f"{name}:" for name in names.get(start, []))
        if start in fields:
            directive = ".quad " if fields[start].kind == "ABS64" else ".word "
            yield f"{_INDENT}{directive}  {_symbol_text(fields[start], module, spaced=True)}"
        else:
            yield from _rows(module.data[start:end])


def _rows(content: bytes) -> Iterator[str]:
    """Bytes as `.byte` lines, long runs of zeros as `.zero`."""
    position = 0
    while position < len(content):
        row = content[position : position + _ROW]
        if len(row) == _ROW and not any(row):
            end = position + _ROW
            rest = content[end:]
            end += len(rest) - len(rest.lstrip(b"\0"))
            yield f"{_INDENT}.zero   {end - position}"
            position = end
        else:
            yield f"{_INDENT}.byte   {', '.join(f'{byte:#04x}' for byte in row)}"
            position += len(row)
