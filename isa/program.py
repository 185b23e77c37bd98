"""What an assembled program is: a module of kernels, its data, and where each word came from.

The assembler produces a `Module`, the object file stores one, the disassembler prints one and the
emulator loads one. Nothing here knows instructions; a kernel is words and the facts a launch needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

CODE_BASE = 1 << 32
"""Address of a kernel's first word in its chip's address space (docs/isa.md, Memory)."""
TEXT_BASE = CODE_BASE - (1 << 30)
"""Address of `.text`, where device functions are: below kernels, so that lanes in a function run before the others."""
DATA_BASE = CODE_BASE + (1 << 31)
"""Address of the module's `.data` bytes: absolute, hence known while assembling."""
DATA_SIZE = 1 << 31
"""Most bytes of `.data`."""
KM_BASE = 2 << 32
"""Address of the kernel-argument memory (KM), also the value of sreg[4:5] at entry."""

DATA_ALIGNMENT = 256
"""What the data of every module is aligned to at least."""
NOP = 0x0800_0000_0000_0000
TEXT_HEAD = np.full(16, NOP, np.uint64)
"""What `.text` begins with (published)."""

ARCHITECTURES = {"ppu0015": 150, "ppu001": 100}
"""Architectures, M890 and 810E, with the value of `__HGGC_ARCH__` (published)."""
LIMITS = {"vregs": 256, "sregs": 192, "tsm": 256 * 1024, "private": (1 << 32) - 1}
"""Largest values (published, but for sregs and private): registers a warp can name, TSM of a CU, field width."""
MAX_THREADS = (1024, 1024, 128)
"""Largest block along x, y and z (published)."""
PRELOADED_SREGS = range(6, 32)
"""The scalar registers that take arguments at entry (published)."""
RETURN_ADDRESS = 38
"""The first of the two scalar registers that hold a function's return address by convention."""
MAX_PARAMETER_BYTES = 32_764
"""Published limit on the size of all kernel arguments together."""

SCALAR_TYPES: dict[str, np.dtype] = {
    "u8": np.dtype("u1"),
    "u16": np.dtype("u2"),
    "u32": np.dtype("u4"),
    "u64": np.dtype("u8"),
    "s8": np.dtype("i1"),
    "s16": np.dtype("i2"),
    "s32": np.dtype("i4"),
    "s64": np.dtype("i8"),
    "f16": np.dtype("f2"),
    "bf16": np.dtype("u2"),
    "f32": np.dtype("f4"),
    "ptr": np.dtype("u8"),
}
"""Parameter type names and how their bytes lie in KM; numpy has no bf16, its bits travel as u2."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One kernel argument: `count` items of `type` at byte `offset` of KM.

    `sreg` is the first scalar register that holds it at entry, or None if it stays in KM only.
    """

    name: str
    type: str
    count: int
    offset: int
    sreg: int | None

    @property
    def size(self) -> int:
        """Bytes the argument takes in KM."""
        return SCALAR_TYPES[self.type].itemsize * self.count


@dataclass(slots=True)
class Layout:
    """Arguments one after the other, in KM and in the preloaded sregs.

    Each argument is at natural alignment. Scalars that fit entirely take sreg6 to sreg31 in order, 8-byte
    ones in even pairs; arrays, and everything after the first scalar that does not fit, stay in KM.
    """

    parameters: list[Parameter] = field(default_factory=list[Parameter])
    end: int = 0
    """The first byte of KM behind them."""
    sreg: int = PRELOADED_SREGS.start

    def add(self, name: str, kind: str, count: int) -> Parameter:
        """Place the next argument."""
        size = SCALAR_TYPES[kind].itemsize
        offset = -(-self.end // size) * size
        words = 2 if size == 8 else 1
        first = -(-self.sreg // words) * words
        fits = count == 1 and first + words <= PRELOADED_SREGS.stop
        if fits:
            self.sreg = first + words
        elif count == 1:
            self.sreg = PRELOADED_SREGS.stop
        self.end = offset + size * count
        self.parameters.append(Parameter(name, kind, count, offset, first if fits else None))
        return self.parameters[-1]


def lay_out(declared: Iterable[tuple[str, str, int]]) -> tuple[Parameter, ...]:
    """Place (name, type, count) declarations as a `Layout` does."""
    layout = Layout()
    return tuple(layout.add(*one) for one in declared)


class MacroCall(NamedTuple):
    """A line stands in the body of `macro`, which is called at `line` of `file`."""

    macro: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Line:
    """The words from byte `offset` of a kernel on come from `line` of `file`.

    `calls` are the macros that the line stands in, innermost first.
    """

    offset: int
    file: str
    line: int
    calls: tuple[MacroCall, ...] = ()

    @property
    def root(self) -> str:
        """The file that the outermost macro is called in, or the line's own."""
        return self.calls[-1].file if self.calls else self.file


@dataclass(frozen=True, slots=True)
class Relocation:
    """The bytes at `offset` of a section hold an address: that of `symbol` plus `addend`, in the way of `kind`.

    `symbol` is a function, a data symbol, or `.data`, which is the start of the module's own data.
    """

    offset: int
    kind: str
    symbol: str
    addend: int = 0


@dataclass(slots=True)
class Function:
    """Code with a name: a device function, or a kernel.

    `vregs` and `sregs` are how many registers of each kind it uses (a kernel: with the functions it may call),
    `labels` are byte offsets of its symbols, `lines` and `relocations` are sorted by offset.
    """

    name: str
    words: np.ndarray
    vregs: int = 1
    sregs: int = 48
    labels: dict[str, int] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()
    relocations: tuple[Relocation, ...] = ()

    def line_at(self, offset: int) -> Line | None:
        """The source line of the word at byte `offset`, if the object has line information."""
        found = None
        for line in self.lines:
            if line.offset > offset:
                break
            found = line
        return found


@dataclass(slots=True)
class Kernel(Function):
    """A function that can be launched.

    `tsm` and `private` are bytes. `maxntid` are extents whose product is the most threads a block of it may have
    (published: REF), `reqntid` those of the only block it may be launched with; (x, y, z).
    """

    tsm: int = 0
    private: int = 0
    maxntid: tuple[int, int, int] | None = None
    reqntid: tuple[int, int, int] | None = None
    params: tuple[Parameter, ...] = ()


@dataclass(eq=False, slots=True, weakref_slot=True)
class Module:
    """An assembled program: kernels and device functions by name, one block of initialised data, and its symbols.

    `exported` are the functions and data symbols that other objects may refer to, `data_alignment` is what the
    address of the data must be a multiple of.
    """

    arch: str
    kernels: dict[str, Kernel] = field(default_factory=dict)
    data: bytes = b""
    data_symbols: dict[str, int] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    exported: frozenset[str] = frozenset()
    data_relocations: tuple[Relocation, ...] = ()
    data_alignment: int = DATA_ALIGNMENT

    def text(self) -> np.ndarray:
        """The words of `.text`: 16 s.nop (published), then the functions in order."""
        return np.concatenate([TEXT_HEAD, *(function.words for function in self.functions.values())])

    def function_offsets(self) -> dict[str, int]:
        """The byte offset in `.text` of every function."""
        offsets: dict[str, int] = {}
        offset = TEXT_HEAD.nbytes
        for name, function in self.functions.items():
            offsets[name] = offset
            offset += function.words.nbytes
        return offsets
