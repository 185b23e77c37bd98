"""What an assembled program is: a module of kernels, its data, and where each word came from.

The assembler produces a `Module`, the object file stores one, the disassembler prints one and the
emulator loads one. Nothing here knows instructions; a kernel is words and the facts a launch needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

CODE_BASE = 1 << 32
"""Address of a kernel's first word in its chip's address space (docs/isa.md, Memory)."""
DATA_BASE = CODE_BASE + (1 << 31)
"""Address of the module's `.data` bytes: absolute, hence known while assembling."""
DATA_SIZE = 1 << 31
"""Most bytes of `.data`."""
KM_BASE = 2 << 32
"""Address of the kernel-argument memory (KM), also the value of sreg[4:5] at entry."""

PRELOADED_SREGS = range(6, 32)
"""The scalar registers that take arguments at entry (published)."""
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


def lay_out(declared: list[tuple[str, str, int]]) -> tuple[Parameter, ...]:
    """Place (name, type, count) declarations in KM and in the preloaded sregs.

    Each argument is at natural alignment. Scalars that fit entirely take sreg6 to sreg31 in order, 8-byte
    ones in even pairs; arrays, and everything after the first scalar that does not fit, stay in KM.
    """
    parameters: list[Parameter] = []
    offset, sreg = 0, PRELOADED_SREGS.start
    for name, kind, count in declared:
        size = SCALAR_TYPES[kind].itemsize
        offset = -(-offset // size) * size
        words = 2 if size == 8 else 1
        first = -(-sreg // words) * words
        fits = count == 1 and first + words <= PRELOADED_SREGS.stop
        parameters.append(Parameter(name, kind, count, offset, first if fits else None))
        if fits:
            sreg = first + words
        elif count == 1:
            sreg = PRELOADED_SREGS.stop
        offset += size * count
    return tuple(parameters)


@dataclass(frozen=True, slots=True)
class Line:
    """The words from byte `offset` of a kernel on come from `line` of `file`."""

    offset: int
    file: str
    line: int


@dataclass(slots=True)
class Kernel:
    """One kernel: its words and what a launch must know of it.

    `vregs` and `sregs` are how many registers of each kind it uses, `tsm` and `private` are bytes,
    `maxntid` is the largest block it may be launched with (x, y, z), `labels` are byte offsets of its
    symbols, and `lines` is sorted by offset.
    """

    name: str
    words: np.ndarray
    vregs: int = 1
    sregs: int = 48
    tsm: int = 0
    private: int = 0
    maxntid: tuple[int, int, int] | None = None
    params: tuple[Parameter, ...] = ()
    labels: dict[str, int] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()

    def line_at(self, offset: int) -> Line | None:
        """The source line of the word at byte `offset`, if the object has line information."""
        found = None
        for line in self.lines:
            if line.offset > offset:
                break
            found = line
        return found


@dataclass(slots=True)
class Module:
    """An assembled program: kernels by name, one block of initialised data, and data symbols by offset."""

    arch: str
    kernels: dict[str, Kernel] = field(default_factory=dict)
    data: bytes = b""
    data_symbols: dict[str, int] = field(default_factory=dict)
