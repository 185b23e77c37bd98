"""A kernel's words as records the core runs: decoded once, handlers filled in when first reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..isa import ISA, DecodeError
from ..isa.addresses import COMPLETES, COUNTERS, AddressKind, offset_bytes
from ..isa.aiu import OUT
from ..isa.awbar import SIZE as AWBAR_SIZE
from ..isa.effects import Jump
from ..isa.exceptions import INVALID_INSTRUCTION, INVALID_SREG, INVALID_VREG, KI_OUT_OF_RANGE
from ..isa.lanes import LANES
from ..isa.number_kinds import CodeTarget, DataAddress, Target
from ..isa.operands import Address, Kind, NamedKind, RegisterKind, Value
from ..isa.program import CODE_BASE, Function, Kernel
from ..isa.registers import CLOCKS, EMSK, IVREG, LAST_SREG, ONE, ZERO, Register
from ..isa.spec import Decoded, Instruction
from .codegen.recipes import FAST, ORDERS, Recipe, handler_build, operand_slots
from .engine import Engine
from .machine.state import (
    COMMITS,
    FROM_TSM,
    INFO,
    RECORD_SIZE,
    SPACES,
    TO_TSM,
    scalar_row,
    vector_row,
)
from .pieces import lay_out
from .program import Program, aligned_records

_CLOCK_NUMBERS = {number for number, _ in CLOCKS.values()}


class Constants:
    """The constants of a program, in rows behind the vector registers of its warps: one row for each word."""

    def __init__(self, vregs: int):
        self._vregs = vregs
        self._words: list[int] = []
        self._places: dict[tuple[int, int], int] = {}

    def row(self, value: int, words: int) -> int:
        """The offset of the (first) row of a constant of so many words."""
        key = value & (1 << 32 * words) - 1, words
        if key not in self._places:
            self._places[key] = len(self._words)
            self._words += [value >> 32 * word & 0xFFFFFFFF for word in range(words)]
        return vector_row(self._vregs + self._places[key])

    def rows(self) -> np.ndarray:
        """All of them, (words, 32) uint32."""
        return np.array(self._words, np.uint32).reshape(-1, 1).repeat(LANES, axis=1)


def decode(kernel: Kernel, arch: str, engine: Engine, build: str = FAST, functions: Sequence[Function] = ()) -> Program:
    """Decode a kernel, and the functions if it leaves itself. Words that are no instruction fault when reached."""
    size = len(ISA.instructions)
    decoded = [_decode_word(int(word), arch, size) for word in kernel.words]
    functions = functions if any(_leaves(found) for found in decoded) else ()
    pieces = lay_out(kernel, functions)
    if functions:
        text = [_decode_word(int(word), arch, size) for piece in pieces[:-1] for word in piece.function.words]
        decoded = [*text, DecodeError("there is no code", KI_OUT_OF_RANGE), *decoded]
    records = aligned_records(len(decoded) + 1)
    infos = np.zeros(len(decoded) + 1, INFO)
    program = Program(kernel, pieces, records, np.empty(0), decoded, infos, build)
    constants = Constants(kernel.vregs)
    copies = any(_copies(found) for found in decoded)
    for index, found in enumerate(decoded):
        code = found.code if isinstance(found, DecodeError) else _certain_fault(program, found)
        if code is not None:
            records["handler"][index], records["value"][index] = engine.fail, code
            continue
        assert isinstance(found, Decoded)
        _fill_record(program, index, found, constants, handler_build(found, build, copies))
        records["handler"][index] = engine.not_compiled
    records["handler"][-1], records["value"][-1] = engine.fail, KI_OUT_OF_RANGE
    program.constants, program.handlers = constants.rows(), records["handler"].copy()
    for recipe in program.sharing:
        program.fill(engine, recipe, compile=False)  # what the cache has
    return program


def _leaves(found: Decoded | DecodeError) -> bool:
    """Whether it may go on outside of its kernel."""
    if isinstance(found, DecodeError):
        return False
    instruction = found.form.instruction
    return Jump in instruction.results or any(isinstance(kind, CodeTarget) for kind in instruction.kinds)


def _copies(found: Decoded | DecodeError) -> bool:
    """Whether it is an asynchronous copy by lanes."""
    access = found.form.instruction.access if isinstance(found, Decoded) else None
    return access is not None and access.to != ""


@lru_cache(maxsize=1 << 14)
def _decode_word(word: int, arch: str, size: int) -> Decoded | DecodeError:
    """A word taken apart; remembered, for the chips of a pod and the two builds decode the same kernels.

    `size` is how many instructions the table has, for it may grow.
    """
    del size
    try:
        return ISA.decode(word, arch)
    except DecodeError as error:
        return error


def _certain_fault(program: Program, found: Decoded) -> int | None:
    """The published code of what is wrong with an instruction whatever registers hold, or None."""
    for kind, value in zip(found.form.instruction.kinds, found.values, strict=True):
        if isinstance(kind, CodeTarget) and isinstance(value, int):
            address = CODE_BASE + kind.distance(value)
            if program.record_at(address) is None:
                return KI_OUT_OF_RANGE
            if address % 8:
                return INVALID_INSTRUCTION
    return _register_fault(found, program.kernel)


def _register_fault(found: Decoded, kernel: Kernel) -> int | None:
    """The published code for a register the kernel has not got, or None."""
    registers = [value for value in found.values if isinstance(value, Register)]
    for address in [value for value in found.values if isinstance(value, Address)]:
        registers += [register for register in (address.index, address.base) if register]
    for register in registers:
        if register.bank == "v" and register.number + register.count > kernel.vregs:
            return INVALID_VREG
        if register.bank == "s" and register.number <= LAST_SREG and register.number + register.count > kernel.sregs:
            return INVALID_SREG
    return None


def _fill_record(program: Program, index: int, found: Decoded, constants: Constants, build: str) -> None:
    """Write what a record says beside its handler, and note for which recipe that is."""
    instruction, record = found.form.instruction, program.records[index]
    slots = operand_slots(instruction)
    for kind, value in zip(instruction.kinds, found.values, strict=True):
        number = _number(program, index, kind, value)
        if number is not None:
            record["value"] = number
        for name, row in _rows(kind, value, constants):
            record["operand"][slots[name]] = row
        if isinstance(kind, Target | CodeTarget):
            program.branches.add(index)
    for binding in instruction.bindings:
        if binding.name in _STATICS:
            record["value"] = _STATICS[binding.name](binding.static)
        elif binding.name == "after":
            record["lo"] = program.address_of(index) + 8
    if _reads_clock(found):
        program.clocks.add(index)
    recipe = program.recipes[index] = _recipe(found, build)
    program.sharing.setdefault(recipe, []).append(index)
    if instruction.access and program.build != FAST:
        program.infos[index] = _info(found, slots)
    if instruction.cube is not None:
        out = OUT.get(instruction.cube)
        program.infos["counter"][index] = list(COUNTERS).index("commit_group")
        program.infos["store"][index], program.infos["copies"][index] = out, FROM_TSM if out else TO_TSM
    if instruction.awbar is not None:
        program.infos["size"][index] = AWBAR_SIZE  # for observers


_STATICS: dict[str, Callable[[Any], int]] = {
    "completes": lambda counters: counters << 46,
    "barrier": int,
    "cube": int,
    "awbar": int,
    "commits": lambda commits: COMMITS,
}
"""What a record's value is for an instruction with such a static parameter, which the schedule reads there."""


def _number(program: Program, index: int, kind: Kind, value: Value) -> int | None:
    """What an operand puts into the record's value; None if it does nothing there."""
    if isinstance(value, Address):
        return offset_bytes(value.offset) | value.scale << 32
    if value == IVREG:
        return program.kernel.vregs
    if isinstance(value, tuple) and not isinstance(value, Register):
        return _counters(value)
    if not isinstance(value, int):
        return None
    if isinstance(kind, DataAddress):
        return value
    if isinstance(kind, Target):
        return _target(program, index, kind.distance(value))
    if isinstance(kind, CodeTarget):
        return program.record_at(CODE_BASE + kind.distance(value)) or 0
    return None


def _rows(kind: Kind, value: Value, constants: Constants) -> list[tuple[str, int]]:
    """Which rows an operand is: offsets by the names they have among the record's operands."""
    if isinstance(value, Address):
        parts = (kind.name, value.index, 1), (f"{kind.name}.base", value.base, getattr(kind, "base_words", 1))
        return [(name, _row(register or Register("s", ZERO), words, constants)) for name, register, words in parts]
    words = getattr(kind, "words", 1)
    if isinstance(value, Register) and value != IVREG:
        return [(kind.name, _row(value, words, constants))]
    if isinstance(value, int) and not isinstance(kind, DataAddress | Target | CodeTarget):
        return [(kind.name, constants.row(value, words))]
    return []


def _row(register: Register, words: int, constants: Constants) -> int:
    """The offset of the first row of so many that begin with a register."""
    if register.bank == "v":
        return vector_row(register.number)
    if words > 1 and register.number in (ZERO, ONE):
        # As a pair too the constant is 0 or 1: the row behind its own is something else.
        return constants.row(register.number - ZERO, words)
    return scalar_row(register.number)


def _reads_clock(found: Decoded) -> bool:
    """Whether it reads a special register that the schedule knows."""
    return any(isinstance(kind, NamedKind) for kind in found.form.instruction.kinds) and any(
        isinstance(value, Register) and value.number in _CLOCK_NUMBERS for value in found.values
    )


def _dense(found: Decoded) -> bool:
    """Whether lanes with consecutive indices access consecutive bytes."""
    access = found.form.instruction.access
    if access is None or access.atomic or access.space == "private" or 0 < access.rows < LANES:
        return False
    return any(
        isinstance(kind, AddressKind)
        and isinstance(value, Address)
        and value.index is not None
        and kind.index_bank == "v"
        and 1 << value.scale == access.size
        for kind, value in zip(found.form.instruction.kinds, found.values, strict=True)
    )


def _info(found: Decoded, slots: dict[str, int]) -> tuple[int, ...]:
    """The INFO of a memory instruction; its complete handler is filled in with the record's."""
    instruction = found.form.instruction
    access = instruction.access
    assert access is not None
    loaded = next((kind for kind in instruction.kinds if kind.role == "destination"), None)
    row, words = (slots[loaded.name], getattr(loaded, "words", 1)) if loaded else (0, 0)
    counter, space = list(COUNTERS).index(access.counter), SPACES[access.space]
    scalar, order = instruction.lanes == 1, ORDERS.get(found.order, 0)
    known = 0, counter, access.size, access.store, space, scalar, row, words, TO_TSM if access.to else 0, order
    if not access.atomic:
        return *known, 0, -1, -1
    first, *more = (slots[name] for name in atomic_operands(instruction))
    return *known, atomic_word(instruction), first, more[0] if more else -1


def atomic_operands(instruction: Instruction) -> list[str]:
    """The names of the registers that an atomic combines with memory."""
    kinds = (kind for kind in instruction.kinds if isinstance(kind, RegisterKind) and kind.role == "source")
    return [kind.name for kind in kinds]


def atomic_word(instruction: Instruction) -> int:
    """How a packet names an atomic operation: 1 + the number of its instruction in the table."""
    return 1 + ISA.instructions.index(instruction)


def _target(program: Program, index: int, distance: int) -> int:
    """The record a branch goes to; outside the kernel or the functions, the one behind them, which faults."""
    reached, first = index + 1 + distance, program.kernel_piece.first
    low, last = (first, len(program.records) - 1) if index >= first else (0, first - 1)
    return program.records.ctypes.data + RECORD_SIZE * (reached if low <= reached <= last else last)


def _counters(value: Value) -> int:
    """s.wait's counters as the word has them: the set at bit 46, the counts in their fields."""
    assert isinstance(value, tuple)
    assert not isinstance(value, Register | Address)
    bits = 0
    for name, count in value:
        if name in COUNTERS:
            bit, place = COUNTERS[name]
            bits |= bit << 46 | place.put(count)
        else:
            bits |= COMPLETES[name] << 46
    return bits


def _recipe(found: Decoded, build: str) -> Recipe:
    instruction = found.form.instruction
    named = [
        (kind.name, value)
        for kind, value in zip(instruction.kinds, found.values, strict=True)
        if isinstance(value, Register)
    ]
    chosen = zip(instruction.suffixes, found.suffixes, strict=True)
    roles = {kind.name: kind.role for kind in instruction.kinds}
    return Recipe(
        instruction,
        build,
        tuple(name for name, value in named if value.negate),
        tuple(name for name, value in named if value.absolute),
        tuple(suffix.name for suffix, on in chosen if on and not suffix.hint),
        tuple(
            name for name, value in named if roles[name] == "destination" and value.number == EMSK and value.bank == "s"
        ),
        build == FAST and _dense(found),
    )
