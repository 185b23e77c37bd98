"""Assembly text to a module.

One pass reads statements in order and evaluates operands at once, so that a symbol means what it means at that
line. What needs names defined further down is kept and done at the end. Errors are collected, not raised singly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .addresses import COARSE, UNIT, offset_bytes
from .diagnostics import AssemblyError, Diagnostic, Failure, Log, Place, SourceFile, TooManyErrors
from .directives import REFERENCE, note_broken, perform
from .encoding import Candidate, Encoded, Mismatch, mnemonics, register_mask, usage_of
from .expressions import REGISTERS, OffsetField, Symbolic, Undefined
from .habits import DIRECTIVES, directive_hint, instruction_hint
from .number_kinds import CodeTarget, DataAddress
from .operands import Address, Value
from .program import Module
from .references import encode_reference
from .registers import Register
from .sections import ENTRY_SREGS, Code, Deferred, Unit
from .source import Reader, Statement, library_macros, read_lines
from .spec import ISA, DecodeError
from .syntax import constant, counter, operand, split

LAST_INSTRUCTIONS = frozenset(("s.exit", "simt.exit", "s.cbr", "s.trap", "s.ret", "s.cbr.ind", "simt.cbr.ind"))
"""What code may end with: execution does not go on behind these."""
ENDINGS = {False: "end it with simt.exit or s.exit", True: "end it with s.ret sreg[38:39]"}
"""What to end a kernel (False) or a function (True) with."""
_ANNOTATION = re.compile(r"<[^<>\s]++>\s*$")
_ENTRY_STATE = ((1 << ENTRY_SREGS) - 1) << 256


def assemble(
    text: str,
    name: str = "<source>",
    *,
    include: Sequence[Path] = (),
    defines: Mapping[str, str | int] | None = None,
    warn: Callable[[Diagnostic], None] | None = None,
    arch: str = "ppu0015",
) -> Module:
    """Assemble a source text; raises AssemblyError with every error found.

    `name` is the file's name in messages and line tables; if it is a path, `.include` looks beside it, then in
    the folders of `include`, last in the library `programs/include`. `defines` are symbols as if set by `.equ`.
    `warn` is called with each warning. `arch` is whose instructions a text may have that does not say so with `.arch`.
    """
    unit = Unit(arch=arch)
    log = Log(unit.notice)
    try:
        assembler = Assembler(log, unit, include)
        assembler.define(defines or {})
        path = Path(name) if not name.startswith("<") and "\0" not in name else None
        assembler.read(read_lines(text, name, path))
    except TooManyErrors:
        pass
    log.finish(warn)
    return unit.finish()


class Assembler:
    """Turns statements into words and bytes; also the reader's `Context`."""

    def __init__(self, log: Log, unit: Unit, include: Sequence[Path]):
        self.log, self.unit = log, unit
        self.reader = Reader(log, self, include)
        self.known: dict[str, Value] = dict(REGISTERS)
        """Operand texts that mean the same everywhere."""

    # ---- what the reader asks -----------------------------------------------------------------------------------

    def condition(self, text: str) -> int:
        """The value of a condition or a count; raises Failure."""
        value = constant(text, self.unit)
        if isinstance(value, float):
            raise Failure(f"expected a whole number, found {value}")
        if isinstance(value, Symbolic):
            raise Failure(f"expected a number, found the address of {value.symbol}", "two addresses have a difference")
        return value

    def defined(self, name: str) -> bool:
        """Whether a name has a value by now."""
        try:
            self.unit.lookup(name)
        except Undefined:
            return name in REGISTERS
        return True

    # ---- statements ---------------------------------------------------------------------------------------------

    def define(self, defines: Mapping[str, str | int]) -> None:
        """Enter symbols given from outside."""
        for name, value in defines.items():
            source = SourceFile("<defines>", (f"{name} = {value}",))
            place = Place(source, 1, source.lines[0])
            try:
                number = value if isinstance(value, int) else constant(value.strip(), self.unit)
                self.unit.define(name, number, "a symbol", place, everywhere=True)
            except Failure as failure:
                self.log.error(place, Failure(failure.message, failure.hint))

    def read(self, source: SourceFile) -> None:
        """Assemble everything in the text; errors go to the log."""
        for statement in self.reader.statements(source):
            try:
                self._statement(statement)
            except Failure as failure:
                self.log.error(statement.place, failure)
        self._finish()

    def _statement(self, statement: Statement) -> None:
        for label in statement.labels:
            try:
                self.unit.label(label.name, statement.place)
            except Failure as failure:
                self.log.error(statement.place, failure.within(label.column, label.column + len(label.name)))
        operation = statement.operation
        if not operation:
            return
        candidates = mnemonics(self.unit.arch)[operation]
        if candidates:
            self._instruction(statement, candidates)
        elif operation in REFERENCE:
            try:
                perform(self.unit, statement)
            except Failure as failure:
                start, end = _extent(statement)
                raise failure.within(start, end) from None
        else:
            raise self._unknown(statement)

    def _unknown(self, statement: Statement) -> Failure:
        """The failure for an operation that nothing is called; it still takes a word's place."""
        operation, column = statement.operation, statement.column
        arch = self.unit.arch
        if operation in ISA.by_mnemonic:
            others = ISA.by_mnemonic[operation][0][0].instruction.architectures
            message = f"{operation} is an instruction of {' and '.join(others)}, not of {arch}"
            stem = ".".join(operation.split(".")[:2])
            hint = f"this text is for {arch}: see .arch; `m890 isa {stem} --list` says what {arch} has"
        elif operation.startswith("."):
            message = f"unknown directive {operation}"
            if operation == ".visible" and ".entry" in statement.rest.split():
                operation = ".entry"
            hint = directive_hint(operation, REFERENCE, self.reader.macros)
            self.unit.homeless |= self.unit.code is None and ".kernel" in hint
            note_broken(self.unit, statement, DIRECTIVES.get(operation, operation))
        else:
            message = f"unknown instruction {operation}"
            hint = instruction_hint(operation, mnemonics(arch).names(), self.reader.macros)
            if operation in library_macros():
                hint = f'a macro of the library: .include "{library_macros()[operation]}"'
        if self.unit.code is not None and not operation.startswith("."):
            self.unit.code.add(Encoded(0, 0, 0), statement.place)
        return Failure(message, hint, column, column + len(operation))

    # ---- instructions -------------------------------------------------------------------------------------------

    def _instruction(self, statement: Statement, candidates: tuple[Candidate, ...]) -> None:
        unit = self.unit
        code = unit.code
        if code is None or unit.in_data:
            self._no_kernel(statement)
            return
        if unit.file is None:
            code.add_line(statement.place)
        try:
            encoded = self._encode(statement, candidates, code, len(code.words))
        except Undefined:
            encoded = Encoded(0, 0, 0)
            self._defer(statement, candidates, code)
        except Failure as failure:
            encoded = Encoded(0, 0, 0)
            self.log.error(statement.place, failure)
        code.add(encoded, statement.place)

    def _defer(self, statement: Statement, candidates: tuple[Candidate, ...], code: Code) -> None:
        index = len(code.words)

        def work() -> None:
            code.patch(index, self._encode(statement, candidates, code, index))

        self.unit.deferred.append(Deferred(code, code.address, statement.place, work))

    def _no_kernel(self, statement: Statement) -> None:
        if self.unit.in_data:
            raise Failure("an instruction cannot stand in .data", "go back to the kernel with .text")
        raise self.unit.needs_kernel("an instruction before the first kernel")

    def _encode(self, statement: Statement, candidates: tuple[Candidate, ...], code: Code, index: int) -> Encoded:
        """The statement's word, which is that of number `index`; raises Failure with columns in the line."""
        rest = statement.rest
        if rest.endswith(">"):
            rest = self._without_annotation(rest, candidates)
        parts = None
        if "(" in rest or "#" in rest or "'" in rest or candidates[0].separators.count(",") != rest.count(","):
            parts = split(rest)
            self._check_separators(parts, candidates[0], statement)
            texts = [text for text, _, _ in parts]
        else:
            texts = [text.strip() for text in rest.split(",")] if rest else []
        values = self._values(texts, statement, waits=candidates[0].waits)
        if "[" in rest and statement.words is None:  # a listing's bytes say what is meant
            self._check_offsets(values, texts, statement)
        try:
            encoded, relocation = encode_reference(candidates, values, code.name, index)
        except Mismatch as mismatch:
            raise _at_operand(Failure(mismatch.message, mismatch.hint), statement, mismatch.operand) from None
        if relocation is not None:
            code.relocations.append(relocation)
        if statement.words is not None:
            self._compare(encoded.bits, statement, filled=relocation is not None)
        return encoded

    def _values(self, texts: list[str], statement: Statement, *, waits: bool) -> list[Value]:
        if waits:
            return [tuple(self._counters(texts, statement))] if texts else []
        unit, known = self.unit, self.known
        values: list[Value] = []
        for index, text in enumerate(texts):
            value = known.get(text)
            if value is None:
                unit.looked_up = False
                try:
                    value = operand(text, unit)
                except Failure as failure:
                    raise _at_operand(failure, statement, index) from None
                if not unit.looked_up:
                    known[text] = value
            values.append(value)
        return values

    def _compare(self, bits: int, statement: Statement, *, filled: bool) -> None:
        """Refuse a listing's bytes that are not what its text means, in either order; `filled`: the linker has half."""
        assert statement.words is not None
        relevant = ~0xFFFFFFFF if filled else ~0
        if any((word ^ bits) & relevant == 0 for word in statement.words):
            return
        start, end = _extent(statement)
        lowest, highest = statement.words
        hint = f"lowest byte first: {_reading(lowest)}; highest first: {_reading(highest)}"
        message = f"the listing gives the word {lowest:#018x}, but the text means {bits:#018x}"
        raise Failure(message, hint, start, end)

    def _without_annotation(self, rest: str, candidates: tuple[Candidate, ...]) -> str:
        """The operands without `<what one means>` behind the last; an address is what it means, not its number."""
        match = _ANNOTATION.search(rest)
        if match is None:
            return rest
        meaning, plain = match[0].strip()[1:-1], rest[: match.start()].rstrip()
        kinds = [(index, kind) for candidate in candidates for index, kind in enumerate(candidate.kinds)]
        data = next((index for index, kind in kinds if isinstance(kind, DataAddress)), None)
        if data is not None:
            parts = plain.split(",")
            return ",".join([*parts[:data], f" {meaning}", *parts[data + 1 :]])
        called = any(isinstance(kind, CodeTarget) for _, kind in kinds)
        if (called and "]" not in plain.rpartition(",")[2]) or meaning.startswith(("lo(", "hi(")):
            before, comma, _ = plain.rpartition(",")
            return f"{before}{comma} {meaning}"
        return plain

    def _counters(self, texts: list[str], statement: Statement) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for index, text in enumerate(texts):
            try:
                found.append(counter(text, self.unit))
            except Failure as failure:
                raise _at_operand(failure, statement, index) from None
        return found

    def _check_separators(self, parts: list[tuple[str, int, str]], candidate: Candidate, statement: Statement) -> None:
        """Refuse `,` where `#` belongs and the other way round; a wrong number of operands is not said here."""
        if candidate.waits or len(parts) != candidate.count:
            return
        for (text, start, found), wanted in zip(parts, candidate.separators, strict=False):
            if found != wanted:
                column = statement.start + start + len(text)
                usage = f"usage: {usage_of(candidate.form.instruction)}"
                raise Failure(f"expected {wanted} after this operand, found {found}", usage, column - len(text), column)

    def _check_offsets(self, values: list[Value], texts: list[str], statement: Statement) -> None:
        """Warn of a literal offset that does not count bytes."""
        for index, value in enumerate(values):
            if not isinstance(value, Address) or isinstance(value.offset, OffsetField):
                continue
            if not COARSE <= value.offset < 2 * COARSE:
                continue
            meant, literal = offset_bytes(value.offset), value.offset
            other = f"bytes({literal:#x}) is {literal}" if literal % UNIT == 0 else f"{literal} cannot be encoded"
            failure = Failure(
                f"the offset {literal:#x} means {meant:#x} bytes: from 0x800 on it counts units of 128",
                f"write bytes({meant:#x}) for {meant} bytes; {other}",
            )
            self.log.warning(statement.place, _at_operand(failure, statement, index))

    # ---- the end ------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        unit = self.unit
        for deferred in unit.deferred:
            unit.code, unit.in_data, unit.address = deferred.code, deferred.code is None, deferred.address
            try:
                deferred.work()
            except Failure as failure:
                self.log.error(deferred.place, failure)
        for code in unit.codes.values():
            if not code.faulty:  # what is missing may be what was reported
                self._check_end(code)
                self._check_reads(code)
            self._check_counts(code)
            self._check_labels(code)

    def _check_labels(self, code: Code) -> None:
        """Refuse names that are functions as well, empty functions, and labels behind a function's last word."""
        for name, definition in code.names.items():
            other = self.unit.codes.get(name)
            if other is not None and other.is_function and other is not code:
                where = f"{other.place.source.name}:{other.place.line}"
                self.log.error(definition.place, Failure(f"{name} is already a function", f"defined at {where}"))
            behind = code.is_function and code.labels.get(name) == 8 * len(code.words)
            if behind and code.words:
                message = f"the label {name} stands behind the last instruction of function {code.name}"
                self.log.error(definition.place, Failure(message, ENDINGS[True]))
        if code.is_function and not code.words and not code.faulty:
            self.log.error(code.place, Failure(f"function {code.name} has no instructions", ENDINGS[True]))

    def _check_end(self, code: Code) -> None:
        """Warn if execution can run past the last word."""
        words = zip(map(_mnemonic, reversed(code.words)), reversed(code.places), strict=True)
        last, place = next((pair for pair in words if pair[0] != "s.nop"), ("", code.place))
        if last in LAST_INSTRUCTIONS or (code.is_function and not code.words):  # the latter is an error
            return
        problem = "goes on behind its last instruction" if last or code.is_function else "has no instructions"
        self.log.warning(place, Failure(f"{_kind(code)} {code.name} {problem}", ENDINGS[code.is_function]))

    def _check_reads(self, code: Code) -> None:
        """Warn of registers that hold nothing; where there are calls, others may have written them."""
        if code.is_function or self._calls(code):
            return
        unwritten = code.read & ~code.written & ~_ENTRY_STATE
        for word, reads, place in zip(code.words, code.reads, code.places, strict=True):
            if not unwritten:
                return
            found = reads & unwritten
            unwritten &= ~found
            for bank, numbers in _by_operand(word, found) if found else ():
                names, one = _runs(bank, numbers), len(numbers) == 1
                match = re.search(rf"\b{bank}reg(?:{numbers[0]}\b|\[{numbers[0]}:[^\]]*\])", place.text)
                start, end = match.span() if match else (None, None)
                message = f"{names} {'is' if one else 'are'} read but never written in kernel {code.name}"
                self.log.warning(place, Failure(message, "registers hold nothing defined at entry", start, end))

    def _calls(self, code: Code) -> bool:
        """Whether it calls functions."""
        opcodes = {form.instruction.opcode for form, _ in ISA.by_mnemonic["s.call"]}
        return any(word >> 54 in opcodes for word in code.words)

    def _check_counts(self, code: Code) -> None:
        """Warn of `.vregs` and `.sregs` that are too small."""
        for bank, used, given in zip("vs", code.counts(), (code.vregs, code.sregs), strict=True):
            if given is not None and given < used:
                message = f"{_kind(code)} {code.name} uses {bank}reg{used - 1}, but .{bank}regs gives it {given}"
                self.log.warning(code.place, Failure(message, f"write .{bank}regs {used} or leave it out"))


def _by_operand(word: int, mask: int) -> list[tuple[str, list[int]]]:
    """The registers of a mask, lowest first: bank and numbers of those that one operand of the word reads."""
    groups: list[int] = []
    for value in ISA.decode(word).values:
        parts = (value.index, value.base) if isinstance(value, Address) else (value,)
        for part in parts:
            group = register_mask(part) & mask if isinstance(part, Register) else 0
            groups += [group] if group else []
            mask &= ~group
    groups += [1 << number for number in range(mask.bit_length()) if mask >> number & 1]
    found: list[tuple[str, list[int]]] = []
    for group in sorted(groups, key=lambda group: group & -group):
        numbers = [number for number in range(group.bit_length()) if group >> number & 1]
        bank = "v" if numbers[0] < 256 else "s"
        found.append((bank, [number % 256 for number in numbers]))
    return found


def _runs(bank: str, numbers: list[int]) -> str:
    """`vreg4`, or `vreg4 to vreg7, vreg9`."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return ", ".join(f"{bank}reg{a}" if a == b else f"{bank}reg{a} to {bank}reg{b}" for a, b in runs)


def _kind(code: Code) -> str:
    return "function" if code.is_function else "kernel"


def _mnemonic(word: int) -> str:
    try:
        return ISA.decode(word).form.instruction.mnemonic
    except ValueError:
        return ""


def _reading(word: int) -> str:
    """A word as text, or that it is none."""
    try:
        return ISA.text(word)
    except DecodeError:
        return "no instruction"


def _extent(statement: Statement) -> tuple[int, int]:
    """The columns of what follows the operation, or of the operation if nothing does."""
    if statement.rest:
        return statement.start, statement.start + len(statement.rest)
    return statement.column, statement.column + len(statement.operation)


def _at_operand(failure: Failure, statement: Statement, index: int | None) -> Failure:
    """The failure with its columns in the line, given the index of its operand."""
    parts = split(statement.rest)
    if index is None or index >= len(parts):
        return failure.within(*_extent(statement))
    text, start, _ = parts[index]
    text = _ANNOTATION.sub("", text).rstrip() if text.endswith(">") else text
    start += statement.start
    return failure.within(start, start + len(text))


__all__ = ["AssemblyError", "Diagnostic", "assemble"]
