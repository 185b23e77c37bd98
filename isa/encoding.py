"""Which form of a mnemonic fits given operands, and the word it gives. Assembler and builder share it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from .addresses import Waits
from .expressions import CodeAddress
from .fields import OperandError
from .number_kinds import CodeTarget, Target
from .operands import Address, Kind, Value
from .program import CODE_BASE
from .registers import LAST_SREG, Register
from .spec import ISA, DecodeError, Form, Instruction

MAX_REMEMBERED = 4096
"""Encoded operands remembered per operand kind of a form."""
_PLACE = re.compile(r"\{(\w+):[^}]+\}")
_BETWEEN = re.compile(r"\{\w+:[^}]+\}([^{]*)")


class Encoded(NamedTuple):
    """Bits in place, and which registers they read and write (see `register_mask`)."""

    bits: int
    reads: int
    writes: int


class Mismatch(ValueError):
    """Operands fit no form; `operand` is the index of the one to blame, or None if their number is wrong."""

    def __init__(self, message: str, hint: str, operand: int | None):
        super().__init__(message)
        self.message, self.hint, self.operand = message, hint, operand


def register_mask(value: Value) -> int:
    """The registers of an operand as a set of bits: vregs at 0 to 255, sregs from 256 on; named ones are left out."""
    if isinstance(value, Register):
        if value.bank == "v":
            return ((1 << value.count) - 1) << value.number
        if value.bank == "i":
            return 0
        return ((1 << value.count) - 1) << (256 + value.number) if value.number <= LAST_SREG else 0
    if isinstance(value, Address):
        index, base = (0 if part is None else register_mask(part) for part in (value.index, value.base))
        return index | base
    return 0


class Candidate:
    """A form with its suffixes chosen: what one spelling of a mnemonic may stand for."""

    __slots__ = ("base", "count", "form", "kinds", "known", "separators", "suffixes", "waits")

    def __init__(self, form: Form, suffixes: tuple[int, ...]):
        instruction = form.instruction
        self.form, self.suffixes, self.kinds = form, suffixes, instruction.kinds
        self.base = form.value
        for suffix, value in zip(instruction.suffixes, suffixes, strict=True):
            self.base |= suffix.place.put(value)
        self.count = len(self.kinds)
        self.separators = tuple(text.strip() for text in _BETWEEN.findall(instruction.pattern))[:-1]
        self.known: tuple[dict[Register | Address, Encoded], ...] = tuple({} for _ in self.kinds)
        self.waits = self.count == 1 and isinstance(self.kinds[0], Waits)

    def encode(self, values: Sequence[Value], here: int) -> Encoded:
        """The word; raises OperandError with `.args[1]` the operand's index. `here` is the word's address."""
        word, reads, writes = self.base, 0, 0
        immediate = self.form.immediate
        for index, (kind, known, value) in enumerate(zip(self.kinds, self.known, values, strict=True)):
            try:
                if isinstance(value, (Register, Address)):
                    encoded = known.get(value)
                    if encoded is None:
                        encoded = _encode(kind, value, immediate)
                        if len(known) < MAX_REMEMBERED:
                            known[value] = encoded
                    word |= encoded.bits
                    reads |= encoded.reads
                    writes |= encoded.writes
                elif isinstance(value, CodeAddress) and isinstance(kind, Target):
                    word |= kind.encode(distance(value, here, kind), immediate)
                elif isinstance(value, CodeAddress) and isinstance(kind, CodeTarget):
                    word |= kind.encode(value - CODE_BASE & 0xFFFFFFFF, immediate)
                else:
                    word |= kind.encode(value, immediate)
            except OperandError as error:
                error.args = (error.args[0], index)
                raise
        return Encoded(word, reads, writes)


def encoded_word(word: int) -> Encoded:
    """A raw word with the registers it uses; as it is not known what it means to do, all count as written."""
    try:
        decoded = ISA.decode(word)
    except DecodeError:
        return Encoded(word, 0, 0)
    used = 0
    for value in decoded.values:
        used |= register_mask(value)
    return Encoded(word, 0, used)


def _encode(kind: Kind, value: Register | Address, immediate: bool) -> Encoded:
    bits, mask = kind.encode(value, immediate), register_mask(value)
    return Encoded(bits, 0, mask) if kind.role == "destination" else Encoded(bits, mask, 0)


def distance(target: int, here: int, kind: Target) -> int:
    """The target field of a branch at `here` to the address `target`; raises OperandError."""
    words, odd = divmod(target - (here + 8), 8)
    half = 1 << (kind.field.width - 1)
    if odd:
        raise OperandError(f"the target is not at an instruction but {odd} bytes behind one")
    if not -half <= words < half:
        raise OperandError(f"the target is {words} words away, too far for a branch", f"{-half} to {half - 1} words")
    return words & (2 * half - 1)


class Mnemonics(dict[str, tuple[Candidate, ...]]):
    """The candidates of each mnemonic of one architecture, made when first asked for."""

    def __init__(self, arch: str):
        super().__init__()
        self.arch = arch

    def __missing__(self, mnemonic: str) -> tuple[Candidate, ...]:
        forms = ISA.by_mnemonic.get(mnemonic, [])
        found = tuple(Candidate(*entry) for entry in forms if self.arch in entry[0].instruction.architectures)
        if mnemonic in ISA.by_mnemonic:
            self[mnemonic] = found
        return found

    def names(self) -> list[str]:
        """Every mnemonic of the architecture."""
        return [
            mnemonic
            for mnemonic, forms in ISA.by_mnemonic.items()
            if any(self.arch in form.instruction.architectures for form, _ in forms)
        ]


def mnemonics(arch: str) -> Mnemonics:
    """The mnemonics of an architecture; made anew when the table has grown."""
    return _mnemonics(arch, len(ISA.instructions))


@lru_cache(maxsize=8)
def _mnemonics(arch: str, size: int) -> Mnemonics:
    del size
    return Mnemonics(arch)


def encode(candidates: Sequence[Candidate], values: Sequence[Value], here: int) -> Encoded:
    """The word of the first candidate that fits; raises Mismatch about the one that fits furthest.

    A number as the last operand is an immediate wherever there is a form for it, be it 0 or 1 (published).
    """
    failures: list[tuple[bool, int, OperandError]] = []
    number = bool(values) and isinstance(values[-1], int)
    for usual in (True, False):
        for candidate in candidates:
            if candidate.count == len(values) and (candidate.form.immediate == number) == usual:
                try:
                    return candidate.encode(values, here)
                except OperandError as error:
                    failures.append((usual, error.args[1], error))
    usage = " or ".join(dict.fromkeys(usage_of(candidate.form.instruction) for candidate in candidates))
    if not failures:
        counts = sorted({candidate.count for candidate in candidates})
        wanted = " or ".join(str(count) for count in counts) + (" operand" if counts == [1] else " operands")
        raise Mismatch(f"expected {wanted}, found {len(values)}", f"usage: {usage}", None)
    _, index, error = max(failures, key=lambda failure: failure[:2])
    raise Mismatch(error.args[0], error.hint or f"usage: {usage}", index)


def usage_of(instruction: Instruction) -> str:
    """An instruction's operands in words: `v.add.f32 d, a, b; d: vector register; ...`."""
    plain = _PLACE.sub(r"\1", re.sub(r"\{(\w+)\}", "", instruction.pattern))
    described = "; ".join(f"{kind.name}: {kind.summary()}" for kind in instruction.kinds)
    return f"{plain}; {described}" if described else plain
