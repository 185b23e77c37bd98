"""A kernel's words as records the core runs: decoded once, handlers filled in when first reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from ..isa import ISA, DecodeError
from ..isa.addresses import COMPLETES, COUNTERS, AddressKind, offset_bytes
from ..isa.aiu import OUT
from ..isa.effects import Jump, Stop
from ..isa.lanes import LANES
from ..isa.number_kinds import CodeTarget, DataAddress, Target
from ..isa.operands import Address, NamedKind, RegisterKind, Value
from ..isa.program import CODE_BASE, TEXT_BASE, Function, Kernel
from ..isa.registers import CLOCKS, EMSK, IVREG, LAST_SREG, ONE, ZERO, Register
from ..isa.spec import Decoded, Instruction
from .codegen.recipes import COMPLETE, FAST, ISSUE, ORDERS, PEER, Recipe, handler_build, operand_slots
from .engine import Engine
from .machine.state import (
    COMMITS,
    FROM_TSM,
    HEADER,
    INFO,
    RECORD,
    ROW,
    SCALAR_ROWS,
    SPACES,
    STOP,
    TO_TSM,
    scalar_row,
    vector_row,
)
from .pieces import Piece, Spot, lay_out, spot_of

FALLS_OFF = 16
"""Published code: the program counter left the kernel's instructions."""
CLOCK_STOP = STOP + int(Stop.CLOCK)
_CLOCK_NUMBERS = {number for number, _ in CLOCKS.values()}


@dataclass(slots=True)
class Program:
    """A kernel and the functions it may call, ready to run on warps with the kernel's registers.

    `records` has one entry per word and one more that faults behind the functions and behind the kernel; `decoded` has
    what each stands for, `pieces` where each function is. `constants` are rows behind the registers.
    """

    kernel: Kernel
    pieces: list[Piece]
    records: np.ndarray
    constants: np.ndarray
    decoded: list[Decoded | DecodeError]
    infos: np.ndarray
    """An INFO per record: what the observed build knows of accesses."""
    build: str = FAST
    recipes: dict[int, Recipe] = field(default_factory=dict)
    """What the handler of a record is made for; a word that cannot run has none."""
    sharing: dict[Recipe, list[int]] = field(default_factory=dict)
    """The records that share a handler."""
    clocks: set[int] = field(default_factory=set)
    branches: set[int] = field(default_factory=set)
    """Records whose value is the address of a record."""

    def copy(self) -> Program:
        """The same for another chip: records remember where a chip's memory is, so each has its own."""
        records = _aligned(len(self.records))
        records[:] = self.records
        records["value"][list(self.branches)] += records.ctypes.data - self.records.ctypes.data
        return replace(self, records=records)

    @property
    def warp_bytes(self) -> int:
        """Bytes of one warp's state, a multiple of 64 that keeps warps apart in the cache."""
        rows = SCALAR_ROWS + self.kernel.vregs + len(self.constants)
        return HEADER + ROW * rows + ROW

    @property
    def spaces(self) -> set[str]:
        """The memory spaces its instructions access: the slow path of others need not be compiled."""
        accesses = [recipe.instruction.access for recipe in self.sharing]
        spaces = {access.space for access in accesses if access}
        return spaces | {"tsm" for access in accesses if access and access.to}

    @property
    def kernel_piece(self) -> Piece:
        """Where the kernel is."""
        return self.pieces[-1]

    @property
    def cubes(self) -> bool:
        """Whether it has AIU copies."""
        return any(recipe.instruction.cube is not None for recipe in self.sharing)

    @property
    def awbars(self) -> bool:
        """Whether it has asynchronous barriers."""
        return any(recipe.instruction.awbar is not None for recipe in self.sharing)

    @property
    def jumps(self) -> bool:
        """Whether it goes to addresses that are in registers."""
        return any(Jump in recipe.instruction.results for recipe in self.sharing)

    def index_of(self, address: int) -> int:
        """The number of the record at a host address."""
        return (address - self.records.ctypes.data) // RECORD.itemsize

    def record_at(self, address: int) -> int | None:
        """The host address of the record at a code address; None if no code is there."""
        first = self.kernel_piece.first
        for base, start, count in ((TEXT_BASE, 0, first - 1), (CODE_BASE, first, self.kernel.words.size)):
            if base <= address < base + 8 * count:
                return self.records.ctypes.data + RECORD.itemsize * (start + (address - base) // 8)
        return None

    def address_of(self, index: int) -> int:
        """The code address of a record."""
        first = self.kernel_piece.first
        return CODE_BASE + 8 * (index - first) if index >= first else TEXT_BASE + 8 * index

    def spot_of(self, index: int) -> Spot:
        """The function a record belongs to, and its byte offset there."""
        return spot_of(self.pieces, index)

    def fill(self, engine: Engine, recipe: Recipe, *, compile: bool) -> bool:
        """Put a recipe's handler into all records that share it; whether it was there."""
        find = engine.handlers.get if compile else engine.handlers.cached
        address, complete = find(recipe), 0
        if recipe.instruction.access and (recipe.build == ISSUE or self.build == PEER):
            if recipe.build != ISSUE and not self._is_filled(recipe, engine):
                find = engine.handlers.cached  # compiled only if it ever meets another chip's memory
            complete = find(recipe._replace(build=COMPLETE, dense=False))
        if address is None or (complete is None and recipe.build == ISSUE):
            return False
        for index in self.sharing[recipe]:
            self._set(index, address, engine)
            self.infos["complete"][index] = complete or 0
        return True

    def _is_filled(self, recipe: Recipe, engine: Engine) -> bool:
        return int(self.records["handler"][self.sharing[recipe][0]]) != engine.not_compiled

    def _set(self, index: int, address: int, engine: Engine) -> None:
        if index in self.clocks:
            self.records["value"][index], address = address, engine.address(_clock_stop)
        self.records["handler"][index] = address


def decode(kernel: Kernel, arch: str, engine: Engine, build: str = FAST, functions: Sequence[Function] = ()) -> Program:
    """Decode a kernel, and the functions if it leaves itself. Words that are no instruction fault when reached."""
    size = len(ISA.instructions)
    decoded = [_decode_word(int(word), arch, size) for word in kernel.words]
    functions = functions if any(_leaves(found) for found in decoded) else ()
    pieces = lay_out(kernel, functions)
    if functions:
        text = [_decode_word(int(word), arch, size) for piece in pieces[:-1] for word in piece.function.words]
        decoded = [*text, DecodeError("there is no code", FALLS_OFF), *decoded]
    records = _aligned(len(decoded) + 1)
    infos = np.zeros(len(decoded) + 1, INFO)
    program = Program(kernel, pieces, records, np.empty(0), decoded, infos, build)
    constants: dict[int, int] = {}
    copies = any(_copies(found) for found in decoded)
    for index, found in enumerate(decoded):
        code = found.code if isinstance(found, DecodeError) else _certain_fault(program, found)
        if code is not None:
            records["handler"][index], records["value"][index] = engine.fail, code
            continue
        assert isinstance(found, Decoded)
        _fill_record(program, index, found, constants, handler_build(found, build, copies))
        records["handler"][index] = engine.not_compiled
    records["handler"][-1], records["value"][-1] = engine.fail, FALLS_OFF
    pool = sorted(constants, key=constants.__getitem__)
    program.constants = np.array([value & 0xFFFFFFFF for value in pool], np.uint32).reshape(-1, 1).repeat(LANES, axis=1)
    _use_cached(program, engine)
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


def _aligned(count: int) -> np.ndarray:
    raw = np.zeros((count + 1) * RECORD.itemsize, np.uint8)
    start = -raw.ctypes.data % RECORD.itemsize
    return raw[start : start + count * RECORD.itemsize].view(RECORD)


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
                return FALLS_OFF
            if address % 8:
                return 0
    return _register_fault(found, program.kernel)


def _register_fault(found: Decoded, kernel: Kernel) -> int | None:
    """The published code for a register the kernel has not got, or None."""
    registers = [value for value in found.values if isinstance(value, Register)]
    for address in [value for value in found.values if isinstance(value, Address)]:
        registers += [register for register in (address.index, address.base) if register]
    for register in registers:
        if register.bank == "v" and register.number + register.count > kernel.vregs:
            return 5
        if register.bank == "s" and register.number <= LAST_SREG and register.number + register.count > kernel.sregs:
            return 6
    return None


def _fill_record(program: Program, index: int, found: Decoded, constants: dict[int, int], build: str) -> None:
    instruction, record = found.form.instruction, program.records[index]
    slots = operand_slots(instruction)

    def constant(value: int) -> int:
        place = constants.setdefault(value & 0xFFFFFFFF, len(constants))
        return vector_row(program.kernel.vregs + place)

    def pair(value: int) -> int:
        return _fresh_pair(constants, value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF, program.kernel.vregs)

    dense = False
    for kind, value in zip(instruction.kinds, found.values, strict=True):
        if isinstance(value, Address) and isinstance(kind, AddressKind):
            record["operand"][slots[kind.name]] = _row(value.index) if value.index else scalar_row(ZERO)
            record["operand"][slots[f"{kind.name}.base"]] = _row(value.base) if value.base else scalar_row(ZERO)
            record["value"] = offset_bytes(value.offset) | value.scale << 32
            dense = _dense(instruction, kind, value)
        elif isinstance(kind, DataAddress):
            assert isinstance(value, int)
            record["value"] = value
        elif isinstance(kind, Target):
            assert isinstance(value, int)
            record["value"] = _target(program, index, kind.distance(value))
            program.branches.add(index)
        elif value == IVREG:
            record["value"] = program.kernel.vregs
        elif isinstance(kind, CodeTarget):
            assert isinstance(value, int)
            record["value"] = program.record_at(CODE_BASE + kind.distance(value)) or 0
            program.branches.add(index)
        elif isinstance(value, Register) and value.bank == "s" and value.number in (ZERO, ONE):
            # As a pair too the constant is 0 or 1: the row behind its own is something else.
            wide = getattr(kind, "words", 1) > 1
            record["operand"][slots[kind.name]] = pair(value.number - ZERO) if wide else _row(value)
        elif isinstance(value, Register):
            record["operand"][slots[kind.name]] = _row(value)
        elif isinstance(value, int):
            words = getattr(kind, "words", 1)
            record["operand"][slots[kind.name]] = constant(value) if words == 1 else pair(value)
        else:
            record["value"] = _counters(value)
    for binding in instruction.bindings:
        if binding.name == "completes":
            record["value"] = binding.static << 46
        elif binding.name in ("barrier", "cube", "awbar"):
            record["value"] = binding.static
        elif binding.name == "commits":
            record["value"] = COMMITS
    if any(isinstance(kind, NamedKind) for kind in instruction.kinds) and any(
        isinstance(value, Register) and value.number in _CLOCK_NUMBERS for value in found.values
    ):
        program.clocks.add(index)
    if any(binding.name == "after" for binding in instruction.bindings):
        record["lo"] = program.address_of(index) + 8
    recipe = program.recipes[index] = _recipe(found, build, dense)
    program.sharing.setdefault(recipe, []).append(index)
    if instruction.access and program.build != FAST:
        program.infos[index] = _info(found, slots)
    if instruction.cube is not None:
        out = OUT.get(instruction.cube)
        program.infos["counter"][index] = list(COUNTERS).index("commit_group")
        program.infos["store"][index], program.infos["copies"][index] = out, FROM_TSM if out else TO_TSM


def _dense(instruction: Instruction, kind: AddressKind, address: Address) -> bool:
    """Whether lanes with consecutive indices access consecutive bytes."""
    access = instruction.access
    if access is None or access.atomic or access.space == "private" or 0 < access.rows < LANES:
        return False
    return address.index is not None and kind.index_bank == "v" and 1 << address.scale == access.size


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


def _fresh_pair(constants: dict[int, int], low: int, high: int, vregs: int) -> int:
    # Equal words may stand twice: the key of the second one is made unique above 32 bits.
    place = len(constants)
    constants[low | place << 64] = place
    constants[high | place + 1 << 64] = place + 1
    return vector_row(vregs + place)


def _row(register: Register) -> int:
    return vector_row(register.number) if register.bank == "v" else scalar_row(register.number)


def _target(program: Program, index: int, distance: int) -> int:
    """The record a branch goes to; outside the kernel or the functions, the one behind them, which faults."""
    reached, first = index + 1 + distance, program.kernel_piece.first
    low, last = (first, len(program.records) - 1) if index >= first else (0, first - 1)
    return program.records.ctypes.data + RECORD.itemsize * (reached if low <= reached <= last else last)


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


def _recipe(found: Decoded, build: str, dense: bool) -> Recipe:
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
        dense and build == FAST,
    )


def _use_cached(program: Program, engine: Engine) -> None:
    """Fill in the handlers that need no compilation."""
    for recipe in program.sharing:
        program.fill(engine, recipe, compile=False)


def _clock_stop(base: int, record_address: int) -> int:
    """The handler of a clock read: the schedule knows the clock and calls the real handler."""
    return CLOCK_STOP
