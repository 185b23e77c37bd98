"""Programs of structured statements: as assembly text, and by a plain interpreter that runs every lane by itself."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import numpy as np

from m890.emulator.chip import Chip
from m890.emulator.launch import Limits
from m890.emulator.schedule import Schedule

M32 = 0xFFFFFFFF
REGISTERS = 5
NEVER = Schedule(spin_limit=1 << 30)
"""Paths take turns only where they join or end."""
USUAL = Schedule()

# Programs: a statement is a tuple; registers 0 to 4 are data, loops count in registers of their own.

OPERATIONS = {
    "v.add.i32": lambda a, b: a + b & M32,
    "v.xor.b32": lambda a, b: a ^ b,
    "v.mull.i32": lambda a, b: a * b & M32,
    "v.sub.i32": lambda a, b: a - b & M32,
}
RELATIONS = {"lt": lambda a, b: a < b, "eq": lambda a, b: a == b, "ge": lambda a, b: a >= b, "ne": lambda a, b: a != b}


@dataclass
class Set:
    """register = operation(register, register or number)."""

    operation: str
    d: int
    a: int
    b: int
    number: int | None


@dataclass
class If:
    """Both sides may be empty."""

    relation: str
    a: int
    bits: int
    than: int
    yes: list[Any]
    no: list[Any]


@dataclass
class Loop:
    """One to four turns, by a lane's register."""

    a: int
    body: list[Any]


@dataclass
class Leave:
    """Leave the innermost loop where the relation holds (nothing outside of loops)."""

    relation: str
    a: int
    bits: int
    than: int


@dataclass
class End:
    """The lane ends where the relation holds."""

    relation: str
    a: int
    bits: int
    than: int


class Left(Exception):
    pass


class Ended(Exception):
    pass


def interpret(program: list[Any], registers: list[int], looping: bool = False) -> None:
    """One lane, alone."""
    for statement in program:
        match statement:
            case Set(operation, d, a, b, number):
                registers[d] = OPERATIONS[operation](registers[a], registers[b] if number is None else number)
            case If(relation, a, bits, than, yes, no):
                interpret(yes if RELATIONS[relation](registers[a] & bits, than) else no, registers, looping)
            case Loop(a, body):
                try:
                    for _ in range((registers[a] & 3) + 1):
                        interpret(body, registers, True)
                except Left:
                    pass
            case Leave(relation, a, bits, than):
                if looping and RELATIONS[relation](registers[a] & bits, than):
                    raise Left
            case End(relation, a, bits, than):
                if RELATIONS[relation](registers[a] & bits, than):
                    raise Ended


class Writer:
    """The program as assembly text."""

    def __init__(self, opposite: bool, blocks: int):
        self.lines: list[str] = []
        self.labels = self.masks = 0
        self.opposite = opposite
        self.stores = [
            f"vmem.st.b32 vreg{10 + n}, [bytes({128 * blocks * n}) + vreg0 * 0x4] @out" for n in range(REGISTERS)
        ]

    def label(self) -> str:
        self.labels += 1
        return f"l{self.labels}"

    def compare(self, relation: str, a: int, bits: int, than: int) -> str:
        """A mask register that no other compare writes."""
        self.masks += 1
        mask = f"sreg{40 + self.masks % 140}"
        self.lines += [f"v.and.b32 vreg9, vreg{10 + a}, {bits:#x}", f"v.cmp.{relation}.u32 {mask}, vreg9, {than}"]
        self.lines.append("tsm.st.b32 vreg9, [0x0 + vreg0 * 0x4]")  # a store stops the core in the observed build
        return mask

    def branch_if(self, holds: bool, relation: str, a: int, bits: int, than: int, target: str) -> None:
        """Lanes for which the relation is as wanted go to target: by either form of the branch."""
        if self.opposite:
            flipped = {"lt": "ge", "ge": "lt", "eq": "ne", "ne": "eq"}[relation]
            mask = self.compare(flipped, a, bits, than)
            self.lines.append(f"simt.rcbr{'.n' if holds else ''} {mask}, {target}")
        else:
            mask = self.compare(relation, a, bits, than)
            self.lines.append(f"simt.rcbr{'' if holds else '.n'} {mask}, {target}")

    def write(self, program: list[Any], leave: str | None = None, depth: int = 0) -> None:
        for statement in program:
            match statement:
                case Set(operation, d, a, b, number):
                    self.lines.append(
                        f"{operation} vreg{10 + d}, vreg{10 + a}, {f'vreg{10 + b}' if number is None else number}"
                    )
                case If(relation, a, bits, than, yes, no):
                    other, end = self.label(), self.label()
                    self.branch_if(False, relation, a, bits, than, other)
                    self.write(yes, leave, depth)
                    self.lines += [f"s.cbr {end}", f"{other}:"]
                    self.write(no, leave, depth)
                    self.lines.append(f"{end}:")
                case Loop(a, body):
                    counter, head, end = f"vreg{20 + depth}", self.label(), self.label()
                    self.lines += [f"v.and.b32 {counter}, vreg{10 + a}, 3", f"{head}:"]
                    self.write(body, end, depth + 1)
                    self.masks += 1
                    mask = f"sreg{40 + self.masks % 140}"
                    self.lines += [f"v.sub.i32 {counter}, {counter}, 1", f"v.cmp.ge.i32 {mask}, {counter}, 0"]
                    self.lines += [f"simt.rcbr {mask}, {head}", f"{end}:"]
                case Leave(relation, a, bits, than):
                    if leave:
                        self.branch_if(True, relation, a, bits, than, leave)
                case End(relation, a, bits, than):
                    over = self.label()
                    self.branch_if(False, relation, a, bits, than, over)
                    self.lines += [*self.stores, "simt.exit", f"{over}:"]

    def source(self, program: list[Any]) -> str:
        self.write(program)
        lines = [
            ".arch ppu0015",
            ".kernel paths",
            ".param ptr in",
            ".param ptr out",
            ".vregs 32",
            ".tsm 1024",
            ".sregs 192",
            "paths: v.mov.b32 vreg0, %tid.x",
        ]
        lines += [f"v.mull.i32 vreg1, vreg0, {REGISTERS}"]
        for n in range(REGISTERS):
            lines += [f"vmem.ld.b32 vreg{10 + n}, [{4 * n:#x} + vreg1 * 0x4] @in"]
        return "\n".join([*lines, "s.wait vldcnt(0)", *self.lines, *self.stores, "simt.exit"])


def expected(program: list[Any], values: np.ndarray) -> np.ndarray:
    """What every lane's registers end as, (registers, lanes)."""
    rows = []
    for row in values.tolist():
        registers = list(row)
        with suppress(Ended):
            interpret(program, registers)
        rows.append(registers)
    return np.array(rows, np.uint32).T


def compare(program: list[Any], threads: int, seed: int, opposite: bool, schedule: Schedule, chip: Chip) -> None:
    warps = -(-threads // 32)
    values = np.random.default_rng(seed).integers(0, 1 << 32, (threads, REGISTERS), np.uint32)
    source = Writer(opposite, warps).source(program)
    chip.schedule = schedule
    inputs, outputs = chip.to_device(values), chip.to_device(np.zeros((REGISTERS, 32 * warps), np.uint32))
    chip.assemble(source)["paths"][1, threads](inputs, outputs)
    found = outputs.copy_to_host()[:, :threads]
    wanted = expected(program, values)
    if not np.array_equal(found, wanted):
        lanes = sorted({int(lane) for lane in np.nonzero(found != wanted)[1]})
        raise AssertionError(f"lanes {lanes} differ: {found[:, lanes[0]]}, expected {wanted[:, lanes[0]]}\n{source}")


CONDITION = (
    st.sampled_from(list(RELATIONS)),
    st.integers(0, REGISTERS - 1),
    st.sampled_from([1, 3, 7, 0xF0]),
    st.integers(0, 5),
)
REGISTER = st.integers(0, REGISTERS - 1)
SIMPLE = st.one_of(
    st.builds(
        Set, st.sampled_from(list(OPERATIONS)), REGISTER, REGISTER, REGISTER, st.one_of(st.none(), st.integers(0, 1000))
    ),
    st.builds(Leave, *CONDITION),
    st.builds(End, *CONDITION),
)


def blocks(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    body = st.lists(inner, max_size=3)
    return st.one_of(st.builds(If, *CONDITION, body, body), st.builds(Loop, REGISTER, body))


PROGRAMS = st.lists(st.recursive(SIMPLE, blocks, max_leaves=10), min_size=1, max_size=5)
_chips: list[Chip] = []


def shared_chip() -> Chip:
    if not _chips:
        _chips.append(Chip("M890", limits=Limits(instructions=300_000)))
    return _chips[0]


def random_program(random: np.random.Generator, depth: int = 0) -> list[Any]:
    """A program with much in it, of at most some thousand steps."""

    def condition() -> tuple[str, int, int, int]:
        return (
            str(random.choice(list(RELATIONS))),
            int(random.integers(REGISTERS)),
            int(random.choice([1, 3, 7])),
            int(random.integers(5)),
        )

    found: list[Any] = []
    for _ in range(int(random.integers(1, 4))):
        match int(random.integers(0, 8 if depth < 3 else 4)):
            case 0 | 1 | 2:
                number = None if random.random() < 0.5 else int(random.integers(1000))
                registers = [int(n) for n in random.integers(0, REGISTERS, 3)]
                found.append(Set(str(random.choice(list(OPERATIONS))), *registers, number))
            case 3:
                found.append((Leave if random.random() < 0.8 else End)(*condition()))
            case 4 | 5:
                found.append(If(*condition(), random_program(random, depth + 1), random_program(random, depth + 1)))
            case _:
                found.append(Loop(int(random.integers(REGISTERS)), random_program(random, depth + 1)))
    return found
