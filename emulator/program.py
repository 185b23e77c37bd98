"""A decoded kernel: the records the core runs, what each stands for, and where its handler comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..isa.effects import Jump
from ..isa.program import CODE_BASE, TEXT_BASE, Kernel
from ..isa.spec import Decoded, DecodeError
from .codegen.recipes import COMPLETE, FAST, ISSUE, PEER, Recipe
from .engine import Engine
from .host_memory import aligned_bytes
from .machine import core
from .machine.state import HEADER, RECORD, RECORD_SIZE, ROW, SCALAR_ROWS
from .pieces import Piece, Spot, spot_of


@dataclass(frozen=True, eq=False, slots=True)
class Cover:
    """Records that begin with something else than their own handlers, for as long as it is in `Program.covers`."""

    indices: Sequence[int]
    address: int


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
    handlers: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """The address of each record's own handler, whatever covers it."""
    covers: list[Cover] = field(default_factory=list[Cover])

    def copy(self) -> Program:
        """The same for another chip: records remember where a chip's memory is, so each has its own."""
        records = aligned_records(len(self.records))
        records[:] = self.records
        records["handler"] = self.handlers
        records["value"][list(self.branches)] += records.ctypes.data - self.records.ctypes.data
        return replace(self, records=records, handlers=self.handlers.copy(), covers=[])

    @property
    def warp_bytes(self) -> int:
        """Bytes of one warp's state: its header, its rows, and room for one row more."""
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
        return (address - self.records.ctypes.data) // RECORD_SIZE

    def record_at(self, address: int) -> int | None:
        """The host address of the record at a code address; None if no code is there."""
        first = self.kernel_piece.first
        for base, start, count in ((TEXT_BASE, 0, first - 1), (CODE_BASE, first, self.kernel.words.size)):
            if base <= address < base + 8 * count:
                return self.records.ctypes.data + RECORD_SIZE * (start + (address - base) // 8)
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
        if self.covers:
            self._begin()
        return True

    def cover(self, indices: Sequence[int], address: int) -> Cover:
        """Let records begin with the handler at an address, until `uncover`; of several covers the last one counts."""
        cover = Cover(indices, address)
        self.covers.append(cover)
        self._begin()
        return cover

    def uncover(self, cover: Cover) -> None:
        """Let the records of a cover begin with their own handlers, or what else covers them."""
        self.covers.remove(cover)
        self._begin()

    def _begin(self) -> None:
        """Put into every record what it begins with."""
        self.records["handler"] = self.handlers
        for cover in self.covers:
            self.records["handler"][cover.indices] = cover.address

    def _is_filled(self, recipe: Recipe, engine: Engine) -> bool:
        return int(self.handlers[self.sharing[recipe][0]]) != engine.not_compiled

    def _set(self, index: int, address: int, engine: Engine) -> None:
        if index in self.clocks:
            self.records["value"][index], address = address, engine.address(core.clock_stop)
        self.handlers[index] = self.records["handler"][index] = address


def aligned_records(count: int) -> np.ndarray:
    """So many empty RECORDs, none of which lies in two cache lines."""
    return aligned_bytes(count * RECORD_SIZE, RECORD_SIZE).view(RECORD)
