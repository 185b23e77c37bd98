"""Kernels written in Python: the same instructions and the same words as in assembly text.

    b = KernelBuilder("scale")
    x, a = b.param("ptr", "x"), b.param("f32", "a")
    b.v_tid_init(b.vreg[0], b.sreg[36:37])
    b.label("load")
    b.vmem_ld_b32(b.vreg[1], b.at(x, index=b.vreg[0], scale=4))
    b.s_wait(vldcnt=0)
    b.v_mul_f32(b.vreg[1], b.vreg[1], a)
    b.simt_exit()
    kernel = b.build()

There is a method for every mnemonic, dots written as underscores. Ranges include their end, as in text. A
string as an operand is a label, which may be placed later, or a function of the module.

    f = FunctionBuilder("twice")
    f.v_add_i32(f.vreg[0], f.vreg[0], f.vreg[0])
    f.s_ret(f.sreg[38:39])
    b.s_call(b.sreg[38:39], "twice")            # or the halves of its address: b.lo("twice"), b.hi("twice")
    module = build_module(b, f)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import NamedTuple

from .addresses import offset_field
from .diagnostics import Failure, Place, SourceFile
from .encoding import Encoded, Mismatch, encoded_word, mnemonics
from .expressions import REGISTERS, Symbolic
from .fields import OperandError
from .number_kinds import CodeTarget
from .operands import Address, Value
from .program import CODE_BASE, SCALAR_TYPES, Function, Kernel, Line, Module
from .references import encode_reference
from .registers import LAST_SREG, NAMED_SCALARS, Register
from .relocations import apply, missing
from .sections import TSM_ALIGNMENT, Code
from .spec import ISA
from .syntax import float_bits

Operand = Value | float | str
"""What a method takes: registers, addresses, numbers, floats (their binary32 bits), names of labels."""

_SPECIALS = {name.lstrip("%").replace(".", "_"): REGISTERS[name] for name in NAMED_SCALARS}
_NOWHERE = Place(SourceFile("<builder>", ("",)), 1, "")


class BuildError(ValueError):
    """An instruction or a kernel that cannot be built."""


class Bank:
    """`b.vreg` or `b.sreg`: registers by number, ranges as in text: `b.vreg[4:7]` are four."""

    def __init__(self, bank: str, last: int):
        self.bank, self.last = bank, last

    def __getitem__(self, index: int | slice) -> Register:
        first, last = (index, index) if isinstance(index, int) else (index.start, index.stop)
        if not isinstance(first, int) or not isinstance(last, int) or not 0 <= first <= last <= self.last:
            raise BuildError(f"there is no {self.bank}reg[{first}:{last}], only 0 to {self.last}")
        return Register(self.bank, first, last - first + 1)


class _Later(NamedTuple):
    """An instruction that waits for a label."""

    position: int
    mnemonic: str
    operands: tuple[Operand, ...]


class KernelBuilder:
    """A kernel that grows by one instruction per method call; see the module's text.

    Named registers are attributes: `b.emsk`, `b.vcc`, `b.scc`, and the special ones such as `b.blkid_x`.
    """

    vreg = Bank("v", 255)
    sreg = Bank("s", LAST_SREG)

    def __init__(self, name: str, arch: str = "ppu0015"):
        self.name, self.arch = name, arch
        self._code = Code(name, _NOWHERE, isinstance(self, FunctionBuilder))
        self._later: list[_Later] = []
        self._methods = {mnemonic.replace(".", "_"): mnemonic for mnemonic in mnemonics(arch).names()}

    # ---- what is not an instruction -----------------------------------------------------------------------------

    def param(self, kind: str, name: str, count: int = 1) -> Register | int:
        """Declare the next argument; returns the register that holds it, or its offset in KM if none does."""
        if kind not in SCALAR_TYPES:
            raise BuildError(f"there is no parameter type {kind}: one of {', '.join(SCALAR_TYPES)}")
        if name in self._code.names:
            raise BuildError(f"the parameter {name} stands twice")
        self._code.add_parameter(kind, name, count, _NOWHERE)
        value = self._code.names[name].value
        assert isinstance(value, Register | int)
        return value

    def tsm(self, size: int) -> int:
        """Reserve bytes of TSM; returns their offset."""
        offset = -(-self._code.tsm // TSM_ALIGNMENT) * TSM_ALIGNMENT
        self._code.tsm = offset + size
        return offset

    def private(self, size: int) -> None:
        """How many bytes of private memory each lane has."""
        self._code.private = size

    def maxntid(self, x: int, y: int = 1, z: int = 1) -> None:
        """The most threads, x * y * z, of a block the kernel may be launched with."""
        self._code.maxntid = (x, y, z)

    def reqntid(self, x: int, y: int = 1, z: int = 1) -> None:
        """The only block the kernel may be launched with."""
        self._code.reqntid = (x, y, z)

    def registers(self, vregs: int | None = None, sregs: int | None = None) -> None:
        """Give the numbers of registers instead of having them counted."""
        self._code.vregs, self._code.sregs = vregs, sregs

    def label(self, name: str) -> str:
        """Place a label here; returns its name."""
        if name in self._code.labels:
            raise BuildError(f"the label {name} stands twice")
        self._code.labels[name] = 8 * len(self._code.words)
        return name

    def at(
        self, base: Register | None = None, *, index: Register | None = None, scale: int = 1, offset: int = 0
    ) -> Address:
        """The address `[bytes(offset) + index * scale] @base`; for TSM the base is one sreg, or none."""
        if scale <= 0 or scale & (scale - 1):
            raise BuildError(f"the index scale {scale} is not a power of two")
        try:
            return Address(offset_field(offset), index, scale.bit_length() - 1 if index else 0, base)
        except OperandError as error:
            raise BuildError(f"{error.args[0]}: {error.hint}") from None

    @staticmethod
    def neg(register: Register) -> Register:
        """`!register`, the negated float source."""
        return register._replace(negate=not register.negate)

    @staticmethod
    def abs(register: Register) -> Register:
        """`|register|`, the absolute value of a float source."""
        return register._replace(absolute=True)

    @staticmethod
    def reuse(register: Register) -> Register:
        """`register.reuse`, a hint."""
        return register._replace(reuse=True)

    def special(self, name: str) -> Register:
        """A special register by its name in text, such as `%tid.x`."""
        if name not in REGISTERS:
            raise BuildError(f"there is no register {name}")
        return REGISTERS[name]

    # ---- instructions -------------------------------------------------------------------------------------------

    def s_wait(self, *functions: str, **counters: int) -> None:
        """`s.wait`: counters with how many operations may stay outstanding, or one function such as "pipe_flush"."""
        waits = (*((name, 0) for name in functions), *counters.items())
        self._add("s.wait", (waits,))

    def word(self, word: int) -> None:
        """A word as it stands, such as `Form.sample` gives; it need not be an instruction."""
        if not 0 <= word < 1 << 64:
            raise BuildError(f"{word} is no word of 64 bits")
        self._add_line()
        self._code.add(encoded_word(int(word)), _NOWHERE)

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in _SPECIALS:
            return _SPECIALS[name]  # pyright: ignore[reportReturnType]
        mnemonic = self._methods.get(name)
        if mnemonic is None:
            close = get_close_matches(name, [*self._methods, *_SPECIALS], n=3, cutoff=0.7)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise AttributeError(f"{self.arch} has no instruction {name.replace('_', '.')}{hint}")

        def method(*operands: Operand) -> None:
            self._add(mnemonic, operands)

        method.__name__ = name
        instructions = dict.fromkeys(form.instruction for form, _ in ISA.by_mnemonic[mnemonic])
        method.__doc__ = "\n\n".join(f"{found.pattern}\n{found.page}" for found in instructions)
        return method

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._methods, *_SPECIALS]

    def _add(self, mnemonic: str, operands: tuple[Operand, ...]) -> None:
        code = self._code
        self._add_line(3)
        if any(isinstance(operand, str) and operand not in code.labels for operand in operands):
            self._later.append(_Later(len(code.words), mnemonic, operands))
            code.add(Encoded(0, 0, 0), _NOWHERE)
        else:
            code.add(self._encode(mnemonic, operands, len(code.words)), _NOWHERE)

    def _add_line(self, depth: int = 2) -> None:
        """Note that the next word comes from the line of the caller's caller, or of one further out."""
        code, caller = self._code, sys._getframe(depth)
        line = Line(8 * len(code.words), caller.f_code.co_filename, caller.f_lineno)
        last = code.lines[-1] if code.lines else None
        if last is None or (last.file, last.line) != (line.file, line.line):
            code.lines.append(line)

    def _encode(self, mnemonic: str, operands: tuple[Operand, ...], index: int) -> Encoded:
        candidates = mnemonics(self.arch)[mnemonic]
        calls = any(isinstance(kind, CodeTarget) for candidate in candidates for kind in candidate.kinds)
        values = [self._value(operand, calls=calls) for operand in operands]
        try:
            encoded, relocation = encode_reference(candidates, values, self.name, index)
            self._code.relocations += [relocation] if relocation else []
            return encoded
        except Mismatch as mismatch:
            where = "" if mismatch.operand is None else f", operand {mismatch.operand + 1}"
            raise BuildError(f"{mnemonic}{where}: {mismatch.message}; {mismatch.hint}") from None

    def _value(self, operand: Operand, *, calls: bool) -> Value:
        if isinstance(operand, str):
            if operand in self._code.labels:
                return self._code.at(CODE_BASE + self._code.labels[operand])
            if calls:
                return Symbolic(CODE_BASE, operand)
            raise BuildError(f"the label {operand} is nowhere placed in kernel {self.name}")
        if isinstance(operand, float):
            try:
                return float_bits(operand)
            except Failure as failure:
                raise BuildError(f"{failure.message}: {failure.hint}") from None
        return operand

    @staticmethod
    def lo(function: str, offset: int = 0) -> Symbolic:
        """The low 32 bits of the address of a function of the module, or of a word of it."""
        return Symbolic(0, function, offset, "lo")

    @staticmethod
    def hi(function: str, offset: int = 0) -> Symbolic:
        """The high 32 bits of the address of a function of the module, or of a word of it."""
        return Symbolic(0, function, offset, "hi")

    def build(self, functions: Mapping[str, Function] = MappingProxyType({})) -> Kernel:
        """The kernel, which may call the functions; raises BuildError if a label is missing."""
        self._finish()
        return self._code.finish(functions)

    def _finish(self) -> None:
        """Encode what waited for labels."""
        for later in self._later:
            self._code.patch(later.position, self._encode(later.mnemonic, later.operands, later.position))
        self._later.clear()


class FunctionBuilder(KernelBuilder):
    """A device function that grows by one instruction per method call."""

    def function(self) -> Function:
        """The function; raises BuildError if a label is missing."""
        self._finish()
        return self._code.function()


def build_module(*builders: KernelBuilder) -> Module:
    """A module of kernels and functions; raises BuildError if they do not belong together."""
    arches = {builder.arch for builder in builders}
    if len(arches) != 1:
        raise BuildError(f"a module has one architecture, not {', '.join(sorted(arches)) or 'none'}")
    if len({builder.name for builder in builders}) != len(builders):
        raise BuildError("two kernels or functions have the same name")
    functions = {builder.name: builder.function() for builder in builders if isinstance(builder, FunctionBuilder)}
    kernels = {
        builder.name: builder.build(functions) for builder in builders if not isinstance(builder, FunctionBuilder)
    }
    module = Module(arches.pop(), kernels, functions=functions, exported=frozenset(functions))
    needed = missing(module)
    if needed:
        raise BuildError("; ".join(f"{place} calls {name}, which is nowhere" for name, place in needed.items()))
    apply(module)
    return module
