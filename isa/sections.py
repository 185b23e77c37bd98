"""What is being assembled: kernels and data as they grow, and the names that are known where."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .callgraph import callable_from, usual_sregs
from .diagnostics import Failure, Place, Repeated, nearest
from .encoding import Encoded
from .expressions import REGISTERS, CodeAddress, Result, Symbolic, Undefined, refuse_register
from .habits import name_hint
from .program import (
    ARCHITECTURES,
    CODE_BASE,
    DATA_ALIGNMENT,
    DATA_BASE,
    Function,
    Kernel,
    Layout,
    Line,
    MacroCall,
    Module,
    Relocation,
)
from .registers import Register
from .relocations import DATA, apply, settle

ENTRY_SREGS = 38
"""sreg0 to sreg37 hold something when a kernel begins (docs/isa.md, Kernel entry)."""
MAX_DATA = 1 << 28
"""Bytes of `.data` one module may have."""
TSM_ALIGNMENT = 16
ARCH = "__HGGC_ARCH__"
"""The name whose value is the number of the architecture that a text is for (published)."""
BROKEN = "a name whose definition is faulty"
"""What a name is whose definition was reported as an error: to use it is no error of its own."""


class Definition(NamedTuple):
    """A name's value, what it is, and where it got it."""

    value: Result
    what: str
    place: Place


@dataclass(slots=True)
class Code:
    """A kernel or a device function that is being assembled."""

    name: str
    place: Place
    is_function: bool = False
    words: list[int] = field(default_factory=list[int])
    reads: list[int] = field(default_factory=list[int])
    """The registers that each word reads (see `encoding.register_mask`)."""
    places: list[Place] = field(default_factory=list[Place])
    """The line that each word comes from."""
    read: int = 0
    written: int = 0
    names: dict[str, Definition] = field(default_factory=dict[str, Definition])
    labels: dict[str, int] = field(default_factory=dict[str, int])
    numeric: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    layout: Layout = field(default_factory=Layout)
    lines: list[Line] = field(default_factory=list[Line])
    parent: Place | None = None
    calls: tuple[MacroCall, ...] = ()
    """The macros that a line with that parent stands in."""
    tsm: int = 0
    private: int | None = None
    maxntid: tuple[int, int, int] | None = None
    reqntid: tuple[int, int, int] | None = None
    vregs: int | None = None
    sregs: int | None = None
    relocations: list[Relocation] = field(default_factory=list[Relocation])
    faulty: bool = False
    """Whether something in it was reported as an error."""

    @property
    def address(self) -> int:
        """Where the next word goes; for a function, if it were a kernel."""
        return CODE_BASE + 8 * len(self.words)

    def at(self, address: int) -> CodeAddress | Symbolic:
        """The address of a word as the value of an expression."""
        return Symbolic(address, self.name, address - CODE_BASE) if self.is_function else CodeAddress(address)

    def add(self, encoded: Encoded, place: Place) -> None:
        """Append a word."""
        self.words.append(encoded.bits)
        self.reads.append(encoded.reads)
        self.places.append(place)
        self.read |= encoded.reads
        self.written |= encoded.writes

    def patch(self, index: int, encoded: Encoded) -> None:
        """Put in a word that could not be encoded when its place was reached."""
        self.words[index] = encoded.bits
        self.reads[index] = encoded.reads
        self.read |= encoded.reads
        self.written |= encoded.writes

    def add_line(self, place: Place) -> None:
        """Note that the next word comes from `place`."""
        if place.parent is not self.parent:
            self.parent, self.calls = place.parent, place.calls()
        last, file = self.lines[-1] if self.lines else None, place.source.table_name
        if last is None or (last.line, last.file, last.calls) != (place.line, file, self.calls):
            self.lines.append(Line(8 * len(self.words), file, place.line, self.calls))

    def add_parameter(self, kind: str, name: str, count: int, place: Place) -> None:
        """Declare the next argument; its name then stands for its registers, or for its offset in KM."""
        parameter = self.layout.add(name, kind, count)
        value: Result = parameter.offset
        if parameter.sreg is not None:
            value = Register("s", parameter.sreg, 2 if parameter.size == 8 else 1)
        self.names[name] = Definition(value, "a parameter", place)

    def counts(self) -> tuple[int, int]:
        """How many vregs and sregs the words use."""
        used = self.read | self.written
        return (used & (1 << 256) - 1).bit_length(), (used >> 256).bit_length()

    def function(self) -> Function:
        """The device function."""
        vregs, sregs = self.counts()
        return Function(
            name=self.name,
            words=np.array(self.words, np.uint64),
            vregs=vregs if self.vregs is None else self.vregs,
            sregs=sregs if self.sregs is None else self.sregs,
            labels=self.labels,
            lines=tuple(self.lines),
            relocations=tuple(sorted(self.relocations, key=lambda relocation: relocation.offset)),
        )

    def finish(self, functions: Mapping[str, Function] = MappingProxyType({})) -> Kernel:
        """The kernel, with as many registers as it and those of the functions use that it may call."""
        plain = self.function()
        called = callable_from(plain, functions)
        vregs, sregs = (
            max([used, *(getattr(function, bank) for function in called)])
            for bank, used in zip(("vregs", "sregs"), self.counts(), strict=True)
        )
        return Kernel(
            name=self.name,
            words=plain.words,
            vregs=max(1, vregs) if self.vregs is None else self.vregs,
            sregs=usual_sregs(max(sregs, ENTRY_SREGS)) if self.sregs is None else self.sregs,
            labels=self.labels,
            lines=plain.lines,
            relocations=plain.relocations,
            tsm=self.tsm,
            private=self.private or 0,
            maxntid=self.maxntid,
            reqntid=self.reqntid,
            params=tuple(self.layout.parameters),
        )


class Deferred(NamedTuple):
    """Work that needs names defined further down: done at the end of the text, as if at `address`."""

    code: Code | None
    address: int
    place: Place
    work: Callable[[], None]


class Unit:
    """The state of one assembly, and the scope of its expressions (`expressions.Scope`)."""

    def __init__(self, arch: str) -> None:
        self.arch = arch
        self.arch_used = False
        """Whether the text has asked which one that is."""
        self.codes: dict[str, Code] = {}
        self.code: Code | None = None
        self.in_data = False
        self.data = bytearray()
        self.data_symbols: dict[str, int] = {}
        self.data_numeric: dict[int, list[int]] = {}
        self.names: dict[str, Definition] = {}
        self.deferred: list[Deferred] = []
        self.externs: set[str] = set()
        """Names that another object defines."""
        self.exported: set[str] = set()
        """Names that other objects may refer to."""
        self.data_relocations: list[Relocation] = []
        self.data_alignment = DATA_ALIGNMENT
        self.file: str | None = None
        """The name given by `.file`: from then on only `.loc` makes line entries."""
        self.within: tuple[MacroCall, ...] = ()
        """The macros given by `.within`, in which the lines of `.loc` stand."""
        self.address: int | None = None
        """Where an expression is evaluated, if not at the end of the current section."""
        self.looked_up = False
        """Whether a name or `.` was asked for since this was last reset."""
        self.homeless = False
        """Whether it was reported that the text has something outside of all kernels."""

    def notice(self) -> None:
        """Note that the current kernel has an error."""
        if self.code is not None:
            self.code.faulty = True

    def needs_kernel(self, message: str) -> Failure:
        """The failure that something stands outside of all kernels; only the first is reported."""
        kind = Repeated if self.homeless else Failure
        self.homeless = True
        return kind(message, "begin with .kernel NAME")

    # ---- the scope of expressions -------------------------------------------------------------------------------

    def lookup(self, name: str) -> Result:
        """The value of a name: the kernel's own first, then the module's; raises Undefined."""
        self.looked_up = True
        found = self.code.names.get(name) if self.code is not None else None
        found = found or self.names.get(name)
        if found is not None:
            if found.what == BROKEN:
                raise Repeated(f"the definition of {name} is faulty")
            return found.value
        if self.code is not None and name == self.code.name:
            return self.code.at(CODE_BASE)
        if name == DATA:
            return Symbolic(DATA_BASE, DATA)
        if name == ARCH:
            self.arch_used = True
            return ARCHITECTURES[self.arch]
        if name in self.externs or (name in self.codes and self.codes[name].is_function):
            return Symbolic(CODE_BASE, name)
        raise Undefined(name, lambda: self._nearest(name))

    def local_label(self, number: int, forward: bool) -> int:
        """The next or the last label of that number, as seen from here; raises Undefined."""
        self.looked_up = True
        in_code = self.code is not None and not self.in_data
        numeric = self.code.numeric if self.code is not None and in_code else self.data_numeric
        places = numeric.get(number, [])
        index = bisect_right(places, self.here()) - (not forward)
        if not 0 <= index < len(places):
            where = "after" if forward else "before"
            raise Undefined(f"{number}{'f' if forward else 'b'}", f"there is no label {number}: {where} this line")
        return self._place(places[index])

    def here(self) -> int:
        """`.`: the address at which a word or byte would go now."""
        self.looked_up = True
        if self.in_data or self.code is None:
            return self._place(DATA_BASE + len(self.data) if self.address is None else self.address)
        return self._place(self.code.address if self.address is None else self.address)

    def _place(self, address: int) -> int:
        """An address in the current section as the value of an expression."""
        if self.in_data or self.code is None:
            return Symbolic(address, DATA, address - DATA_BASE)
        return self.code.at(address)

    def _nearest(self, name: str) -> str:
        habit = name_hint(name)
        if habit:
            return habit
        known = [*(self.code.names if self.code else ()), *self.names, *REGISTERS]
        functions = [code.name for code in self.codes.values() if code.is_function]
        return nearest(name, [*known, *functions]) or "define it: a label, .param, .reg, .equ, or .extern"

    # ---- definitions --------------------------------------------------------------------------------------------

    def define(self, name: str, value: Result, what: str, place: Place, *, everywhere: bool = False) -> None:
        """Give a name a value in the current kernel, or in the module; raises Failure if it has one already."""
        check_free(name)
        names = self.names if everywhere or self.code is None else self.code.names
        function = self.codes.get(name)
        if function is not None and function.is_function and function is not self.code:
            where = f"{function.place.source.name}:{function.place.line}"
            raise Failure(f"{name} is already a function", f"defined at {where}")
        old = names.get(name)
        if old is not None and old.what != BROKEN and not (what == old.what == "a symbol"):
            raise Failure(f"{name} is already {old.what}", f"defined at {old.place.source.name}:{old.place.line}")
        names[name] = Definition(value, what, place)

    def define_broken(self, name: str, place: Place, *, everywhere: bool) -> None:
        """Note that a name was to be defined here, by something that was reported as an error."""
        names = self.names if everywhere or self.code is None else self.code.names
        if name not in names and name not in self.names and name not in REGISTERS:
            names[name] = Definition(0, BROKEN, place)

    def knows(self, name: str) -> bool:
        """Whether anything in the module is called that."""
        return (
            name in self.codes
            or name in self.names
            or name in self.externs
            or any(name in code.names for code in self.codes.values())
        )

    def label(self, name: str, place: Place) -> None:
        """Define a label at the current place; numbers may be labels many times; raises Failure."""
        code = None if self.in_data else self.code
        if code is None and not self.in_data:
            raise self.needs_kernel("a label before the first kernel")
        if name.isdecimal():
            numeric = self.data_numeric if code is None else code.numeric
            numeric.setdefault(int(name[:9]), []).append(int(self.here()))
            return
        if code is None:
            self.define(
                name, Symbolic(DATA_BASE + len(self.data), DATA, len(self.data)), "a data label", place, everywhere=True
            )
            if not name.startswith(".L"):
                self.data_symbols[name] = len(self.data)
            return
        if name == code.name and code.words:
            kind = "function" if code.is_function else "kernel"
            raise Failure(f"{name} is the {kind}'s name and stands for its first word", "choose another label")
        self.define(name, code.at(code.address), "a label", place)
        if not name.startswith(".L"):
            code.labels[name] = 8 * len(code.words)

    def add_data(self, content: bytes) -> None:
        """Append to `.data`; raises Failure when it grows too large."""
        if len(self.data) + len(content) > MAX_DATA:
            raise Failure(f".data has more than {MAX_DATA:,} bytes", "allocate large buffers at run time")
        self.data += content

    def finish(self) -> Module:
        """The module, with the addresses filled in that are known."""
        functions = {name: code.function() for name, code in self.codes.items() if code.is_function}
        module = Module(
            self.arch,
            {name: code.finish(functions) for name, code in self.codes.items() if not code.is_function},
            bytes(self.data),
            self.data_symbols,
            functions,
            frozenset(self.exported & {*functions, *self.data_symbols}),
            tuple(sorted(self.data_relocations, key=lambda relocation: relocation.offset)),
            self.data_alignment,
        )
        settle(module)
        apply(module)
        return module


def check_free(name: str) -> None:
    """Refuse a name that already means something; raises Failure."""
    if name in REGISTERS or name in ("vreg", "sreg"):
        raise Failure(f"{name} is a register and cannot be defined", "choose another name")
    refuse_register(name)
    if name in (".", "inf", "nan", ARCH):
        raise Failure(f"{name} has a meaning in expressions and cannot be defined", "choose another name")
