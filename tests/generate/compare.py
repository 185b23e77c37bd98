"""One program on the core and on the model: every bit of registers, masks, HBM and TSM."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from random import Random

import numpy as np
from model import Block, Fault, Launch, Memory, decode, step_of
from model.machine import Stuck, TooLong

import m890
from m890.emulator.machine.state import SCALAR_ROWS
from m890.emulator.printing import Console
from m890.emulator.schedule import Schedule
from m890.emulator.shape import Shape
from m890.isa import ISA
from m890.isa.program import KM_BASE, Kernel, Module, lay_out
from m890.isa.registers import INDEX_REGISTER, SCC, VCC
from m890.isa.spec import Form

from .accesses import AWBARS, MOST_WARPS, PRIVATE, SLICE
from .items import makers
from .layout import words_of
from .pieces import Item
from .samples import AWBAR, COUNTERS, GIVEN, OWN, OWN_TSM, SREGS, TAKEN, VALUES, VREGS
from .together import TEXTS, printed

PARAMS = lay_out([("table", "ptr", 1)])
BLOCKS = [(32, 1, 1), (32, 1, 1), (32, 1, 1), (20, 1, 1), (8, 4, 1), (64, 1, 1), (5, 3, 3), (16, 2, 3)]
HBM_BYTES = SLICE * (1 + MOST_WARPS)
TSM_BYTES = AWBARS + 256 * MOST_WARPS
NEVER = Schedule(spin_limit=1 << 30)
"""Paths take turns only where they join or end, as in the model."""
LIMIT = 20_000
Piece = tuple[int, int]
"""An item as a number of `makers` (modulo how many there are) and a seed."""


@dataclass
class Program:
    """A random program: its pieces, and a seed for all else."""

    pieces: list[Piece]
    seed: int

    @property
    def synchronised(self) -> bool:
        """Whether it waits for what it uses, so that both timings give the same."""
        return self.seed % 4 != 0

    @property
    def block(self) -> tuple[int, int, int]:
        return BLOCKS[self.seed // 4 % len(BLOCKS)]

    @property
    def warps(self) -> int:
        x, y, z = self.block
        return -(-x * y * z // 32)

    def items(self) -> list[Item]:
        every = makers()
        items = [every[number % len(every)](Random(seed)) for number, seed in self.pieces]
        x, y, z = self.block
        full = x * y * z % 32 == 0 and not any(item.ends for item in items)
        return [item for item in items if self._takes(item, full)]

    def _takes(self, item: Item, full: bool) -> bool:
        timing = not (item.clock and self.synchronised)
        return timing and item.warps in (None, self.warps) and (full or not item.full)

    def words(self) -> list[int]:
        waits = Random(self.seed) if self.synchronised else None
        return words_of(self.items(), self.seed, waits)

    def listing(self) -> str:
        return "\n".join(f"{8 * n:#06x}  {ISA.text(word)}" for n, word in enumerate(self.words()))


@dataclass
class State:
    """What is compared: for each warp scalar and vector registers, then the two memories."""

    scalars: np.ndarray
    vectors: np.ndarray
    hbm: np.ndarray
    tsm: np.ndarray
    private: np.ndarray
    printed: str = ""


SCALARS = [*range(SREGS), VCC, SCC, INDEX_REGISTER]


def initial(program: Program) -> State:
    """Random bits and special values everywhere; a lane has few of them, so that operands meet their like."""
    random = np.random.default_rng(program.seed)
    scalars = mixed(random, (program.warps, len(SCALARS)), random.choice(SPECIAL, (program.warps, 1, 6)))
    vectors = mixed(random, (program.warps, VREGS, 32), random.choice(SPECIAL, (program.warps, 1, 32, 4)))
    hbm = mixed(random, (HBM_BYTES // 4,), random.choice(SPECIAL, (1, 16)))
    tsm = random.integers(0, 256, TSM_BYTES, np.uint8)
    private = random.integers(0, 256, program.warps * 32 * PRIVATE, np.uint8)
    return State(scalars, vectors, hbm.view(np.uint8), tsm, private)


SPECIAL = np.array(VALUES, np.uint32)


def mixed(random: np.random.Generator, shape: tuple[int, ...], themes: np.ndarray) -> np.ndarray:
    """Random bits, or one of the theme (its last axis), the next number up, or the same with another sign."""
    themes = np.broadcast_to(themes, (*shape, themes.shape[-1]))
    chosen = np.take_along_axis(themes, random.integers(0, themes.shape[-1], (*shape, 1)), -1)[..., 0]
    way = random.integers(0, 10, shape)
    changed = np.where(way < 6, chosen, np.where(way < 7, chosen + 1, chosen ^ 0x80000000))
    return np.where(way == 9, random.integers(0, 1 << 32, shape), changed).astype(np.uint32)


class Core:
    """The emulator in one timing."""

    def __init__(self, timing: str, kind: str = "M890"):
        self.printed: list[str] = []
        console = Console(self.printed.append)
        self.chip = m890.Chip(kind, timing=timing, poison=False, schedule=NEVER, console=console)
        self.buffer = self.chip.empty(HBM_BYTES, np.uint8)

    def run(self, program: Program, words: Sequence[int], start: State) -> State:
        """The state at the end; whatever the launch raises."""
        kernel = Kernel("k", np.array(words, np.uint64), VREGS, SREGS, tsm=TSM_BYTES, private=PRIVATE, params=PARAMS)
        loaded = self.chip.load(Module(self.chip.profile.arch, {"k": kernel}, data=TEXTS))["k"]
        plan = loaded.plan(Shape((1, 1, 1), program.block, 0))
        rows = [plan.rows(0, warp) for warp in range(program.warps)]
        for warp, row in enumerate(rows):
            row[SCALARS] = start.scalars[warp][:, None]
            row[SCALAR_ROWS : SCALAR_ROWS + VREGS] = start.vectors[warp]
        self.buffer.view()[:] = start.hbm
        plan.tsm_of(0)[:] = start.tsm
        private = plan.private_bytes[: len(start.private)]
        private[:] = start.private
        self.printed.clear()
        loaded.launch((1, 1, 1), program.block, (self.buffer,))
        return State(
            np.array([row[SCALARS, 0] for row in rows]),
            np.array([row[SCALAR_ROWS : SCALAR_ROWS + VREGS] for row in rows]),
            self.buffer.view().copy(),
            plan.tsm_of(0).copy(),
            private.copy(),
            "".join(self.printed),
        )


def core(timing: str, kind: str = "M890") -> Core:
    """The core of this process."""
    return _core(timing, kind)


@cache
def _core(timing: str, kind: str) -> Core:
    return Core(timing, kind)


def run_model(program: Program, words: Sequence[int], start: State, late: bool = False, kind: str = "M890") -> State:
    """The state at the end on the slow model."""
    machine = core("late" if late else "eager", kind)
    address, chip = machine.buffer.address, machine.chip
    hbm, tsm = bytearray(start.hbm), bytearray(start.tsm)
    memory = Memory({address: hbm, KM_BASE: bytearray(address.to_bytes(8, "little"))})
    launch = Launch(
        program.block,
        private=PRIVATE,
        preloaded={6: address & 0xFFFFFFFF, 7: address >> 32},
        cus=chip.profile.compute_units,
        clock=int(chip.clocks[0]),
        late=late,
        limit=LIMIT,
    )
    block = Block([step_of(word, chip.profile.arch) for word in words], launch, memory, tsm)
    block.start(VREGS)
    for warp, scalars, vectors in zip(block.warps, start.scalars.tolist(), start.vectors.tolist(), strict=True):
        for number, value in zip(SCALARS, scalars, strict=True):
            warp.s[number] = value
        warp.entry()
        warp.v = vectors
    size = 32 * PRIVATE
    for warp in block.warps:
        warp.private.areas[0][:] = start.private[size * warp.index : size * (warp.index + 1)].tobytes()
    block.run()
    return State(
        np.array([[warp.s[number] for number in SCALARS] for warp in block.warps], np.uint32),
        np.array([warp.v for warp in block.warps], np.uint32),
        np.frombuffer(hbm, np.uint8),
        np.frombuffer(tsm, np.uint8),
        np.frombuffer(b"".join(bytes(warp.private.areas[0]) for warp in block.warps), np.uint8),
        "".join(printed(*one) for one in block.printed),
    )


def prepare(program: Program) -> State:
    """The initial state, with the base registers of every warp."""
    start, address = initial(program), core("eager").buffer.address
    for warp, row in enumerate(start.scalars):
        own = address + SLICE * (1 + warp)
        row[OWN], row[OWN + 1], row[OWN_TSM] = own & 0xFFFFFFFF, own >> 32, SLICE * warp
        row[list(COUNTERS)] = warp
        row[AWBAR] = AWBARS + 256 * warp
        row[GIVEN] = SLICE * MOST_WARPS + 128 * warp
        row[TAKEN] = SLICE * MOST_WARPS + 128 * ((warp + 1) % program.warps)
    return start


def difference(found: State, wanted: State) -> str | None:
    """The first place where the core is not the model."""
    for name, mine in vars(found).items():
        theirs = getattr(wanted, name)
        if np.array_equal(mine, theirs):
            continue
        if name == "printed":
            at = next(n for n, pair in enumerate(zip_longest(mine, theirs)) if pair[0] != pair[1])
            return f"printed from {at} on: core {mine[at : at + 40]!r}, model {theirs[at : at + 40]!r}"
        place = tuple(int(n) for n in np.argwhere(mine != theirs)[0])
        if name == "scalars":
            number = SCALARS[place[1]]
            where = f"warp {place[0]}, scalar register {number if number < SREGS else hex(number)}"
        elif name == "vectors":
            where = f"warp {place[0]}, vreg{place[1]}, lane {place[2]}"
        else:
            where = f"{name} byte {place[0]:#x}"
        return f"{where}: core {mine[place]:#x}, model {theirs[place]:#x}"
    return None


def mismatch(program: Program) -> str | None:
    """Run a program everywhere: what differs, or None. A program that runs too long agrees with everything.

    One that waits for what it uses must give the same in both timings. Of one that does not the model knows what it
    gives in each. Warps that part may lock each other out, or come to one barrier with two numbers of threads: then
    the core must end so too.
    """
    words, start = program.words(), prepare(program)
    wanted = None
    for timing in ("eager", "late"):
        machine = core(timing)
        machine.chip.launches = 0
        try:
            if wanted is None or not program.synchronised:
                wanted = run_model(program, words, start, timing == "late")
            found = machine.run(program, words, start)
        except TooLong:
            return None
        except Stuck:
            return None if end(machine, program, words, start) == "deadlock" else f"{timing}: no deadlock"
        except Fault as fault:
            ended = end(machine, program, words, start)
            return None if ended == f"fault {fault.code}" else f"{timing}: core {ended}, model fault {fault.code}"
        except m890.M890Error as error:
            return f"{timing}: {type(error).__name__}: {error}"
        differs = difference(found, wanted)
        if differs:
            return f"{timing}: {differs}"
    return None


def end(machine: Core, program: Program, words: list[int], start: State) -> str:
    """How a program ends on the core."""
    try:
        machine.run(program, words, start)
    except m890.Deadlock:
        return "deadlock"
    except m890.Fault as fault:
        return f"fault {fault.code}"
    return "exit"


def program_of(seed: int) -> Program:
    """A program of 50 to 500 instructions, shorter ones more often."""
    random = Random(seed)
    count = int(35 * 10 ** (random.random() ** 5))
    return Program([(random.randrange(1, len(makers())), random.getrandbits(32)) for _ in range(count)], seed)


def name_of(form: Form) -> str:
    """A form as text: its pattern, and whether the last source is an immediate."""
    return form.instruction.pattern + (" (immediate)" if form.immediate and len(form.instruction.forms) > 1 else "")


def forms_of(program: Program) -> set[str]:
    """The forms that a program has."""
    return {name_of(decode(word).form) for word in program.words()}


def sweep(seeds: range) -> tuple[list[str], set[str]]:
    """Run the programs of some seeds: a report on each one that differs, and the forms they had."""
    reports, seen = [], set[str]()
    for seed in seeds:
        program = program_of(seed)
        seen |= forms_of(program) if seed % 4 == 0 else set()
        try:
            differs = mismatch(program)
        except Exception as error:
            error.add_note(f"in the program of seed {seed}")
            raise
        if differs:
            reports.append(f"seed {seed}: {explain(program)}")
    return reports, seen


def explain(program: Program) -> str:
    """What differs in the smallest part of the program that differs."""
    program = reduced(program)
    start = f"block {program.block}, initial state of seed {program.seed}"
    return f"{mismatch(program)}\n{start}\n{program.listing()}"


def reduced(program: Program) -> Program:
    """The program without every piece that the mismatch does not need."""
    size = max(1, len(program.pieces) // 2)
    while size:
        at = 0
        while at < len(program.pieces):
            shorter = Program(program.pieces[:at] + program.pieces[at + size :], program.seed)
            if mismatch(shorter):
                program = shorter
            else:
                at += size
        size //= 2
    return program
