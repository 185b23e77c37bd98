"""The state of a kernel's warps for one launch shape, and how they are run."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..isa.lanes import LANES
from ..isa.matrix import RATES
from ..isa.program import CODE_BASE, DATA_BASE, KM_BASE, TEXT_BASE, Kernel
from ..isa.registers import LANE_SPECIALS, ONE, SCALAR_ROWS, SCC, UNIFORM_SPECIALS, VCC, ZERO, Register
from . import arguments
from .codegen.recipes import FAST, ISSUE, PEER
from .engine import Engine
from .faults import LaunchError
from .hbm import Hbm
from .host_memory import aligned_bytes, reserve
from .machine.state import (
    BLOCK,
    COUNTER_COUNT,
    EVENT,
    EXECUTE,
    FIRST_PENDING,
    LAUNCH,
    OUTSTANDING,
    PENDING,
    QUEUE,
    QUEUES_BYTES,
    RANGE,
    READ,
    RECORD_SIZE,
    ROW,
    UNREACHABLE,
    WARP,
    WORK_BITS,
    WRITE,
    scalar_row,
    vector_row,
)
from .machine.state import PEER as PEER_MEMORY
from .observe import Observer
from .profiles import Profile
from .program import Program
from .schedule import Schedule, step_among
from .shape import Shape, check_shape, coordinates

_GRIDID = (UNIFORM_SPECIALS["%gridid"][0], UNIFORM_SPECIALS["%gridid"][0] + 1)


@dataclass(frozen=True)
class Mode:
    """How a launch runs: which timing, with poison or not, and who watches (any of these: the observed build)."""

    late: bool = False
    poison: bool = False
    observers: tuple[Observer, ...] = ()
    grid: int = 0
    """The launch's number on its chip, %gridid."""
    peers: bool = False
    """Whether the chip can access other chips' memory."""
    chip: int = 0
    """The address of the CHIP that joins it to a pod; 0: it is alone."""

    @property
    def build(self) -> str:
        """The build of the handlers this needs."""
        return ISSUE if self.late or self.observers else PEER if self.peers else FAST


LONGEST_TEXT = 4096
"""Bytes of guest memory read for a text that has no end before."""
EVENTS = 4096
"""Events kept before observers are given them."""


class Plan:
    """The state of a kernel's warps for one shape: made once, run many times."""

    def __init__(
        self,
        program: Program,
        shape: Shape,
        profile: Profile,
        engine: Engine,
        schedule: Schedule,
        place: tuple[int, int],
        hbm: Hbm,
    ):
        self.program, self.shape, self.engine, self.profile = program, shape, engine, profile
        self.chip, self.chips = place
        self.hbm = hbm
        self.sources: dict[str, list[str]] = {}
        self.per_cu = check_shape(program.kernel, shape, profile)
        self.tsm = program.kernel.tsm + shape.tsm
        self.slots = min(shape.blocks, self.per_cu * profile.compute_units)
        self.stride = -(-program.warp_bytes // 4096) * 4096 + 64
        tsm_stride = -(-self.tsm // 128) * 128
        self.warps = aligned_bytes(self.slots * shape.warps * self.stride, 4096)
        self.tsm_bytes = aligned_bytes(max(1, self.slots * tsm_stride))
        private_stride = LANES * shape.warps * program.kernel.private
        self.private_bytes = self._private(self.slots * private_stride)
        self.unfilled = self.private_bytes.nbytes  # what poison will make the host commit
        self.blocks = aligned_bytes(self.slots * BLOCK.itemsize).view(BLOCK)
        self.blocks[:] = 0
        self.launch = aligned_bytes(LAUNCH.itemsize).view(LAUNCH)
        self.resident = np.zeros(profile.compute_units, np.int32)
        self.ring, self.free = np.zeros(self.slots, np.int32), np.arange(self.slots, dtype=np.int32)[::-1].copy()
        self.blocks["warps"] = self.warps.ctypes.data + np.arange(self.slots) * shape.warps * self.stride
        self.blocks["private"] = self.private_bytes.ctypes.data + np.arange(self.slots) * private_stride
        self.blocks["tsm"] = self.tsm_bytes.ctypes.data + np.arange(self.slots) * tsm_stride
        self.queues = self._queues() if program.build != FAST else np.empty(0, np.uint8)
        self._template(program)
        self._entry(program.kernel)
        self._launch_struct(schedule)

    def _queues(self) -> np.ndarray:
        """Room for the outstanding operations of all warps, of which few are used: not in numpy's large pages."""
        size = self.slots * self.shape.warps * QUEUES_BYTES
        purpose = f"what the warps of kernel '{self.program.kernel.name}' have outstanding"
        return np.frombuffer(reserve(size, purpose, "launch fewer blocks at once"), np.uint8)

    def _private(self, size: int) -> np.ndarray:
        """Private memory of all slots; LaunchError if the host has no room for so many addresses."""
        try:
            return aligned_bytes(max(1, size))
        except MemoryError:
            raise LaunchError(
                f"kernel '{self.program.kernel.name}': {self.program.kernel.private} bytes of private memory a thread "
                f"are {size / (1 << 30):,.1f} GiB for the {self.slots} blocks that run at once, "
                "more than the host has: use less, or smaller blocks"
            ) from None

    def _template(self, program: Program) -> None:
        """Rows that a warp slot keeps for all its blocks: special registers, thread ids, the program's constants."""
        shape = self.shape
        uniform = {
            "%ntid.x": shape.block[0],
            "%ntid.y": shape.block[1],
            "%ntid.z": shape.block[2],
            "%nblkid.x": shape.grid[0],
            "%nblkid.y": shape.grid[1],
            "%nblkid.z": shape.grid[2],
            "%warpid": np.arange(shape.warps, dtype=np.uint32)[:, None],
            "%nwarpid": shape.warps,
            "%ncuid": self.profile.compute_units,
            "%chip": self.chip,
            "%nchips": self.chips,
            "%tsmsize": self.tsm,
        }
        rows: dict[int, Any] = {scalar_row(UNIFORM_SPECIALS[name][0]): value for name, value in uniform.items()}
        rows |= {scalar_row(number): value for number, value in ((ZERO, 0), (ONE, 1))}
        numbers = (number for number, _ in LANE_SPECIALS.values())
        rows |= {scalar_row(number): values for number, values in zip(numbers, lane_specials(shape), strict=True)}
        first = vector_row(program.kernel.vregs)
        rows |= {first + ROW * n: constant for n, constant in enumerate(program.constants)}
        self.template_rows = np.array(list(rows), np.int32)
        self.template = np.zeros((shape.warps, len(rows), LANES), np.uint32)
        for place, value in enumerate(rows.values()):
            self.template[:, place] = value

    def _entry(self, kernel: Kernel) -> None:
        """Scalar registers set at every block's entry: what docs/machine.md section 2 names, and the arguments."""
        block, warps = self.shape.block, np.arange(self.shape.warps)
        values: dict[int, Any] = {
            0: 0,
            1: 0,
            2: kernel.private,
            4: KM_BASE & 0xFFFFFFFF,
            5: KM_BASE >> 32,
            36: _packed(coordinates(LANES * warps, block)),
            VCC: 0,
            SCC: 0,
            37: _packed(block),
        }
        values |= dict.fromkeys(_GRIDID, 0)
        for parameter in kernel.params:
            if parameter.sreg is not None:
                values |= dict.fromkeys(range(parameter.sreg, parameter.sreg + (2 if parameter.size == 8 else 1)), 0)
        self.entry_rows = np.array([scalar_row(number) for number in values], np.int32)
        self.entry = np.zeros((self.shape.warps, len(values)), np.uint32)
        for place, value in enumerate(values.values()):
            self.entry[:, place] = value
        self.entry_place = {number: place for place, number in enumerate(values)}

    def _launch_struct(self, schedule: Schedule) -> None:
        values: dict[str, int] = {
            "program": self.program.records.ctypes.data,
            "start": self.program.records.ctypes.data + RECORD_SIZE * self.program.kernel_piece.first,
            "kernel_words": self.program.kernel.words.size,
            "text_words": self.program.kernel_piece.first - 1 if self.program.kernel_piece.first else 0,
            "slots": self.blocks.ctypes.data,
            "slot_count": self.slots,
            "warp_stride": self.stride,
            "block_warps": self.shape.warps,
            "block_threads": self.shape.threads,
            "grid_x": self.shape.grid[0],
            "grid_y": self.shape.grid[1],
            "blocks": self.shape.blocks,
            "cus": self.profile.compute_units,
            "per_cu": self.per_cu,
            "resident": self.resident.ctypes.data,
            "ring": self.ring.ctypes.data,
            "free": self.free.ctypes.data,
            "free_count": self.slots,
            "warp_slice": schedule.warp_slice,
            "block_slice": schedule.block_slice,
            "spin_limit": schedule.spin_limit,
            "first_warp": schedule.first_warp % self.shape.warps,
            "warp_step": step_among(schedule.warp_step, self.shape.warps),
            "next_block": schedule.first_block % self.shape.blocks,
            "block_step": step_among(schedule.block_step, self.shape.blocks),
            "template_rows": self.template_rows.ctypes.data,
            "template": self.template.ctypes.data,
            "template_count": len(self.template_rows),
            "entry_rows": self.entry_rows.ctypes.data,
            "entry": self.entry.ctypes.data,
            "entry_count": len(self.entry_rows),
            "tsm_size": self.tsm,
            "private_size": self.program.kernel.private,
            "poison_rows": self.program.kernel.vregs,
            "infos": 0 if self.program.build == FAST else self.program.infos.ctypes.data,
            "queues": 0 if self.program.build == FAST else self.queues.ctypes.data,
            **self._functions(),
        }
        self.launch[:] = 0
        for name, value in values.items():
            self.launch[name] = value
        peaks = [self.profile.matrix_rate(rate) for rate in RATES]
        self.launch["matrix_ps"] = [round(1e12 * (1 << WORK_BITS) / peak) if peak else 0 for peak in peaks]
        self.fresh = self.launch.view(np.uint8).copy()

    def _functions(self) -> dict[str, int]:
        """Addresses of what the core calls, as far as the program comes to it: the others need not be compiled."""
        program, engine, fast = self.program, self.engine, self.program.build == FAST
        found = {} if fast else dict(engine.observed)
        if program.jumps:
            found["jump"] = engine.jump
        if program.cubes:
            found["cube"] = engine.cubes["copy_cube" if fast else "issue_cube"]
            found["move_cube"] = engine.cubes["move_cube"]
        if program.awbars:
            found["awbar"] = engine.awbars["act" if fast else "act_observed"]
        slow_paths = {"global": "resolve", "tsm": "resolve_tsm", "private": "resolve_private"}
        return found | {name: getattr(engine, name) for space, name in slow_paths.items() if space in program.spaces}

    def start(self, memory: np.ndarray, ranges: np.ndarray, clocks: np.ndarray, mode: Mode) -> None:
        """Reset to the start of a launch with these arguments, memory ranges and clocks."""
        for sreg, value in arguments.preloaded(self.program.kernel, memory):
            self.entry[:, self.entry_place[sreg]] = value
        for place, number in enumerate(_GRIDID):
            self.entry[:, self.entry_place[number]] = mode.grid >> 32 * place & 0xFFFFFFFF
        self.resident[:] = 0
        self.free[:] = np.arange(self.slots, dtype=np.int32)[::-1]
        self.launch.view(np.uint8)[:] = self.fresh  # all that a launch counts is 0 again
        self.launch["clocks"], self.launch["globaltime"] = clocks.ctypes.data, int(clocks.sum())
        self.launch["ranges"], self.launch["range_count"] = ranges.ctypes.data, len(ranges)
        self.launch["poison"], self.launch["late"] = mode.poison, mode.late
        self.launch["chip"] = mode.chip if mode.peers else 0
        self.launch["remote"] = self.engine.remote if mode.peers else 0
        self.observers = mode.observers
        if mode.observers:
            self.events = np.zeros(EVENTS, EVENT)
            self.launch["events"], self.launch["event_capacity"] = self.events.ctypes.data, EVENTS
        if mode.poison:
            self.hbm.check_host(self.unfilled)
            self.unfilled = 0
        self.ranges, self.clocks, self.memory, self.number = ranges, clocks, memory, mode.grid

    def warp(self, slot: int, index: int) -> np.void:
        """The WARP header of a resident warp."""
        start = (slot * self.shape.warps + index) * self.stride
        return self.warps[start : start + WARP.itemsize].view(WARP)[0]

    def outstanding(self, slot: int, index: int) -> Iterator[tuple[int, np.void]]:
        """The operations that a resident warp has outstanding, oldest first: their counter's number, and PENDINGs."""
        if not len(self.queues) or not self.warp(slot, index)["outstanding"]:
            return
        own = self.queues[(slot * self.shape.warps + index) * QUEUES_BYTES :][:QUEUES_BYTES]
        for counter, queue in enumerate(own[: COUNTER_COUNT * QUEUE.itemsize].view(QUEUE)):
            for turn in range(int(queue["count"])):
                place = (int(queue["head"]) + turn) % OUTSTANDING * COUNTER_COUNT + counter
                yield counter, own[FIRST_PENDING + place * PENDING.itemsize :][: PENDING.itemsize].view(PENDING)[0]

    def text(self, address: int) -> str:
        """The NUL-terminated text at a guest address, as far as it can be read."""
        own = self.ranges[self.ranges["flags"] & (PEER_MEMORY | UNREACHABLE) == 0]
        for place in own:
            if int(place["lo"]) <= address < int(place["hi"]):
                most = min(int(place["hi"]) - address, LONGEST_TEXT)
                data = ctypes.string_at(address + int(place["delta"]), most)
                return data.split(b"\0", 1)[0].decode("utf-8", "replace")
        return f"<no text at {address:#x}>"

    def tsm_of(self, slot: int) -> np.ndarray:
        """The TSM bytes of a resident block."""
        start = int(self.blocks["tsm"][slot]) - self.tsm_bytes.ctypes.data
        return self.tsm_bytes[start : start + self.tsm]

    def rows(self, slot: int, index: int) -> np.ndarray:
        """All rows of a resident warp, (rows, 32) uint32."""
        start = (slot * self.shape.warps + index) * self.stride + WARP.itemsize
        size = (self.stride - WARP.itemsize) // ROW * ROW
        return self.warps[start : start + size].view(np.uint32).reshape(-1, LANES)


def words_of(register: Register, rows: np.ndarray) -> np.ndarray:
    """What a register operand holds, (words, 32) uint32: c0x0 and c0x1 are these numbers in however many words."""
    if register.bank == "s" and register.number in (ZERO, ONE):
        words = np.zeros((register.count, rows.shape[1]), rows.dtype)
        words[0] = register.number - ZERO
        return words
    first = register.number + (SCALAR_ROWS if register.bank == "v" else 0)
    return rows[first : first + register.count]


def lane_specials(shape: Shape) -> np.ndarray:
    """The per-lane special registers in table order, (specials, warps, 32) uint32."""
    thread = np.arange(shape.warps * LANES, dtype=np.uint64).reshape(shape.warps, LANES)
    lane = np.broadcast_to(np.arange(LANES, dtype=np.uint64), thread.shape)
    bit = np.uint64(1) << lane
    everything = np.uint64(0xFFFFFFFF)
    parts = [
        *coordinates(thread, shape.block),
        lane,
        bit,
        bit - 1,
        2 * bit - 1,
        everything & ~(2 * bit - 1),
        everything & ~(bit - 1),
    ]
    return np.stack(parts).astype(np.uint32)


def _packed(place: tuple[Any, Any, Any]) -> Any:
    """Three extents or places in one word, as sreg36 and sreg37 have them."""
    x, y, z = place
    return x | y << 12 | (z & 0xFF) << 24


def memory_ranges(hbm: np.ndarray, km: np.ndarray, code: np.ndarray, data: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Functions, code, data and KM of a launch before the chip's HBM allocations, sorted by address, as RANGE."""
    rows: list[tuple[int, int, int, int]] = []
    for base, content, flags in (
        (TEXT_BASE, text, READ | EXECUTE),
        (CODE_BASE, code, READ | EXECUTE),
        (DATA_BASE, data, READ | WRITE),
        (KM_BASE, km, READ),
    ):
        if content.nbytes:
            rows.append((base, base + content.nbytes, content.ctypes.data - base, flags))
    return np.concatenate([np.array(rows, RANGE), hbm])
