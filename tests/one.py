"""One instruction on the compiled core: any registers, masks and memory before, all state after.

`bench().one(text or word)` decodes one instruction; its handler is called straight on the bench's warp, without
a launch, so thousands of cases a second are possible. `check` is the one-line form, and
`predict` the slow twin: the same step on the same rows through `steps.step`.
"""

import ctypes
import struct
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from m890.emulator.codegen.recipes import FAST, ISSUE
from m890.emulator.decode import decode
from m890.emulator.engine import engine
from m890.emulator.machine.state import HEADER, LAUNCH, RANGE, READ, RECORD, ROW, SCALAR_ROWS, STOP, WARP, WRITE
from m890.isa import ISA, steps
from m890.isa.assembler import assemble
from m890.isa.effects import Fault, Jump, Next, Split, Stop
from m890.isa.lanes import LANES
from m890.isa.matrix import MATRIX_FORMS, MatrixForm
from m890.isa.number_kinds import Target
from m890.isa.program import CODE_BASE, Kernel
from m890.isa.registers import EMSK, LANE_SPECIALS, NAMED_SCALARS, ONE, ZERO, Register
from m890.isa.steps import bits_of, lane_mask, words_of

ALL = 0xFFFFFFFF
VREGS, SREGS, CONSTANTS = 256, 192, 64
AFTER = 24
"""Words of s.nop behind the instruction, which branches may reach."""
GUARD = 64
"""Bytes on both sides of each memory that must never change."""


class Area(NamedTuple):
    """An allocation of the bench: `data` is what handlers see at `base` on."""

    base: int
    data: np.ndarray
    flags: int


class Bench:
    """A warp's state and the memories it sees."""

    def __init__(self) -> None:
        self.engine = engine()
        rows = SCALAR_ROWS + VREGS + CONSTANTS
        self._bytes = _aligned(HEADER + ROW * rows)
        self.warp = self._bytes[:HEADER].view(WARP)[0]
        self.rows: np.ndarray = self._bytes[HEADER:].view(np.uint32).reshape(rows, LANES)
        self.address: int = self._bytes.ctypes.data
        self._launch = np.zeros(1, LAUNCH)
        self._areas: list[Area] = []
        self._tsm = np.zeros(0, np.uint8)
        self._private = np.zeros(0, np.uint8)
        self.warp["launch"] = self._launch.ctypes.data
        for name in ("resolve", "resolve_tsm", "resolve_private"):
            self.warp[name] = getattr(self.engine, name)
        self._launch["jump"] = self.engine.jump
        self.path(ALL)
        self.specials()

    def path(self, lanes: int, emsk: int | None = None) -> None:
        """The running path's lanes, and which of them are active (all)."""
        self.warp["lanes"] = self.warp["live"] = lanes
        self.rows[EMSK] = lanes if emsk is None else emsk

    def specials(self) -> None:
        """The rows that every program relies on."""
        self.rows[ZERO], self.rows[ONE] = 0, 1
        for n, (number, _) in enumerate(LANE_SPECIALS.values()):
            self.rows[number] = np.arange(LANES) * (n + 1)
        self.rows[LANE_SPECIALS["%laneid"][0]] = np.arange(LANES)

    def scramble(self, random: np.random.Generator) -> None:
        """Random bits in every register; emsk, constants and special registers stay."""
        self.rows[:SREGS] = random.integers(0, 1 << 32, (SREGS, 1), np.uint32)
        self.rows[SCALAR_ROWS : SCALAR_ROWS + VREGS] = random.integers(0, 1 << 32, (VREGS, LANES), np.uint32)

    def memory(self, *areas: tuple[int, bytes] | tuple[int, bytes, int]) -> list[np.ndarray]:
        """Replace global memory by these (address, content, flags = read and write); their bytes, live."""
        self._areas = []
        for base, content, *flags in sorted(areas):
            whole = np.full(len(content) + 2 * GUARD, 0xA5, np.uint8)
            whole[GUARD : GUARD + len(content)] = np.frombuffer(content, np.uint8)
            self._areas.append(Area(base, whole, flags[0] if flags else READ | WRITE))
        table = np.zeros(len(self._areas), RANGE)
        for row, area in zip(table, self._areas, strict=True):
            row["lo"], row["hi"] = area.base, area.base + len(area.data) - 2 * GUARD
            row["delta"], row["flags"] = area.data.ctypes.data + GUARD - area.base, area.flags
        self._table = table
        self._launch["ranges"], self._launch["range_count"] = table.ctypes.data, len(table)
        return [area.data[GUARD:-GUARD] for area in self._areas]

    def tsm(self, content: bytes) -> np.ndarray:
        """Replace the block's TSM; its bytes, live."""
        self._tsm = np.full(len(content) + 2 * GUARD, 0x5A, np.uint8)
        self._tsm[GUARD:-GUARD] = np.frombuffer(content, np.uint8)
        self.warp["tsm"], self.warp["tsm_size"] = self._tsm.ctypes.data + GUARD, len(content)
        return self._tsm[GUARD:-GUARD]

    def tsm_bytes(self) -> np.ndarray:
        """The block's TSM, live."""
        return self._tsm[GUARD:-GUARD]

    def private(self, content: bytes) -> np.ndarray:
        """Give every lane private memory with this content; their bytes, live, as (lanes, bytes)."""
        size = len(content)
        self._private = np.full(LANES * size + 2 * GUARD, 0x3C, np.uint8)
        lanes = self._private[GUARD:-GUARD].reshape(LANES, size)
        lanes[:] = np.frombuffer(content, np.uint8)
        self.warp["private"], self.warp["private_size"] = self._private.ctypes.data + GUARD, size
        return lanes

    def guards_whole(self) -> bool:
        """Whether nothing was written beside the memories."""
        wholes = [(area.data, 0xA5) for area in self._areas]
        wholes += [(data, value) for data, value in ((self._tsm, 0x5A), (self._private, 0x3C)) if len(data)]
        return all((data[:GUARD] == value).all() and (data[-GUARD:] == value).all() for data, value in wholes)

    def one(self, text: "str | int", build: str = FAST) -> "One":
        """An instruction, from its text or its word, in the fast or the observed build."""
        return One(self, text, build)


class One:
    """One decoded instruction, ready to run on its bench."""

    def __init__(self, bench: Bench, text: "str | int", build: str = FAST):
        self.bench = bench
        word = text if isinstance(text, int) else word_of(text)
        self.decoded = ISA.decode(word)
        self.text = self.decoded.form.text(word)
        self.instruction = self.decoded.form.instruction
        words = np.array([word] + [0x0800000000000000] * AFTER, np.uint64)
        arch = self.instruction.architectures[0]
        self.program = decode(Kernel("one", words, VREGS, SREGS), arch, bench.engine, build)
        for recipe in self.program.sharing:
            self.program.fill(bench.engine, recipe, compile=True)
        self.record = self.program.records.ctypes.data
        clock = 0 in self.program.clocks
        self.handler = _callable(int(self.program.records["value" if clock else "handler"][0]))
        first = SCALAR_ROWS + VREGS
        self.places = slice(first, first + len(self.program.constants))

    def run(self) -> int:
        """Run it: how many words further to go on, or the Stop code plus 1000."""
        self.bench.rows[self.places] = self.program.constants
        launch = self.bench._launch
        launch["program"] = launch["start"] = self.record
        launch["kernel_words"] = self.program.kernel.words.size
        reached = self.handler(self.bench.address, self.record)
        if reached == STOP + Stop.ACCESS:  # the observed build leaves the moving to a second handler
            reached = _callable(int(self.program.infos["complete"][0]))(self.bench.address, self.record)
        return 1000 + (reached - STOP) if reached >= STOP else (reached - self.record) // RECORD.itemsize

    def forget(self) -> None:
        """Forget the allocation hit last, as a launch does."""
        self.program.records["count"] = 0

    def row(self, name: str) -> int:
        """The row of a register operand."""
        value = self.value(name)
        assert isinstance(value, Register)
        return row_of(value)

    def value(self, name: str) -> Any:
        """An operand of the word."""
        return next(v for k, v in zip(self.instruction.kinds, self.decoded.values, strict=True) if k.name == name)


@cache
def bench() -> Bench:
    """The process's bench; every test sets what it relies on."""
    return Bench()


def stop(code: Stop) -> int:
    """What One.run returns for a stop."""
    return 1000 + int(code)


def word_of(text: str) -> int:
    """The word of one line of assembly."""
    return int(assemble(f".arch ppu0015\n.kernel one\n{text}\n").kernels["one"].words[0])


def _aligned(size: int, align: int = 4096) -> np.ndarray:
    raw = np.zeros(size + align, np.uint8)
    start = -raw.ctypes.data % align
    return raw[start : start + size]


_prototype = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


@cache
def _callable(address: int) -> Any:
    return _prototype(address)


def row_of(register: Register) -> int:
    """The row of a register's first word; of ivreg the one that x0 selects on the bench."""
    return steps.row_of(register, bench().rows)


def compiles_long(instruction: Any) -> bool:
    """Whether it is one of the many matrix instructions that the slow tests alone compile.

    The others are the largest shape of each combination of types.
    """
    form = next((binding.static for binding in instruction.bindings if isinstance(binding.static, MatrixForm)), None)
    if form is None:
        return False
    alike = [other for other in MATRIX_FORMS if other.mnemonic.rpartition(".m")[0] == form.mnemonic.rpartition(".m")[0]]
    largest = max(other.m * other.n * other.k for other in alike)
    rare = form.sparse and (form.saturate or form.left != form.right or form.left.name not in ("f16", "i8"))
    return rare or form.m * form.n * form.k < largest or (form.saturate and form.left != form.right)


# The slow twin.


class Step(NamedTuple):
    """What an instruction does: the rows after it, and where it goes on (as One.run says it)."""

    rows: np.ndarray
    reached: int
    taken: int | None


def predict(one: One, path: int = ALL) -> Step:
    """The step that the instruction's body and the tables prescribe for the bench's rows as they are now."""
    before = one.bench.rows
    rows, emsk = before.copy(), int(before[EMSK, 0])
    effects = steps.step(one.decoded, rows, path)
    if Fault in effects and effects[Fault].any():
        return Step(rows, stop(Stop.FAULT), None)
    reached, taken = 1, None
    if Next in effects:
        reached = int(effects[Next].ravel()[0]) or 1
    elif Jump in effects:
        reached = _jump(one, effects[Jump], emsk)
        if reached == stop(Stop.FAULT):
            return Step(before.copy(), reached, None)
    elif Split in effects:
        taken = int(effects[Split].ravel()[0]) & emsk
        target = _target(one)
        reached = 1 if taken == 0 else target if taken == path else stop(Stop.SPLIT)
    elif Stop in effects:
        reached = stop(effects[Stop])
    return Step(rows, reached, taken)


def _jump(one: One, addresses: np.ndarray, emsk: int) -> int:
    """Where an indirect jump goes on: all that ask must ask for one word of the kernel."""
    wanted = {int(address) for lane, address in enumerate(addresses) if len(addresses) == 1 or emsk >> lane & 1}
    if not wanted:
        return 1
    (address, *others) = wanted
    index, odd = divmod(address - CODE_BASE, 8)
    return stop(Stop.FAULT) if others or odd or not 0 <= index <= AFTER else index


def _target(one: One) -> int:
    kind = next(kind for kind in one.instruction.kinds if isinstance(kind, Target))
    return 1 + kind.distance(one.value(kind.name))


# The one-line form.


def bits(value: Any, words: int = 1) -> int:
    """A Python number as register bits: floats as binary32, integers in two's complement."""
    if isinstance(value, float):
        return float_bits(value)
    return int(value) & ((1 << 32 * words) - 1)


def float_bits(value: float) -> int:
    """binary32 bits; the NaN is the canonical one."""
    return 0x7FFFFFFF if value != value else struct.unpack("<I", struct.pack("<f", value))[0]


def put(rows: np.ndarray, row: int, value: Any, words: int) -> None:
    """A value in all lanes of a register, or a list in the first lanes of one."""
    lanes = [bits(item, words) for item in value] if isinstance(value, (list, tuple)) else [bits(value, words)] * LANES
    for word in range(words):
        rows[row + word, : len(lanes)] = [item >> 32 * word & ALL for item in lanes]


def register_of(name: str, one: One) -> tuple[int, int]:
    """The row and the words of a register by its text, as wide as the instruction's operand."""
    if name in NAMED_SCALARS:
        return NAMED_SCALARS[name][0], 1
    bank, number = name[0], int(name[4:])
    for value in one.decoded.values:
        if isinstance(value, Register) and (value.bank, value.number) == (bank, number):
            return row_of(value), value.count
    return row_of(Register(bank, number)), 1


def check(
    text: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    path: int = ALL,
    reached: int = 1,
    **registers: Any,
) -> None:
    """Run one instruction: destination registers must hold the values given, all others are set before it.

    `before` and `after` say it outright, for registers that are both. A value is an int, a float, or a list of
    the first lanes; `reached` is where the instruction goes on, as One.run says it. Everything that is not
    mentioned must stay as it was.
    """
    b = bench()
    one = b.one(text)
    before, after = dict(before or {}), dict(after or {})
    written = {
        row_of(value)
        for kind, value in zip(one.instruction.kinds, one.decoded.values, strict=True)
        if kind.role == "destination" and isinstance(value, Register)
    }
    for name, value in registers.items():
        (after if register_of(name, one)[0] in written and name != "emsk" else before)[name] = value
    b.scramble(np.random.default_rng(0))
    b.path(path)
    b.specials()
    for name, value in before.items():
        put(b.rows, *_swap(register_of(name, one), value))
    expected = b.rows.copy()
    for name, value in after.items():
        put(expected, *_swap(register_of(name, one), value))
    found = one.run()
    expected[one.places] = b.rows[one.places]
    assert found == reached, f"{text}: goes on at {found}, not {reached}"
    assert_rows(b.rows, expected, one.text)


def _swap(place: tuple[int, int], value: Any) -> tuple[int, Any, int]:
    return place[0], value, place[1]


def assert_rows(found: np.ndarray, expected: np.ndarray, text: str, before: np.ndarray | None = None) -> None:
    """Compare all rows; the message names the registers and lanes that differ."""
    if np.array_equal(found, expected):
        return
    lines = [text]
    for row in np.flatnonzero((found != expected).any(axis=1))[:6]:
        lanes = np.flatnonzero(found[row] != expected[row])
        lane = int(lanes[0])
        name = f"vreg{row - SCALAR_ROWS}" if row >= SCALAR_ROWS else f"sreg{row} ({row:#x})"
        lines.append(
            f"  {name} lane {lane}: {found[row, lane]:#010x}, expected {expected[row, lane]:#010x} ({len(lanes)} lanes)"
        )
        if before is not None:
            near = [
                f"{n:#x}: {before[n, lane]:#x}"
                for n in np.flatnonzero(before[:, lane] != 0)
                if 256 <= n < 276 or n < 12
            ]
            lines.append("    rows before: " + ", ".join(near))
    raise AssertionError("\n".join(lines))


__all__ = [
    "AFTER",
    "ALL",
    "FAST",
    "ISSUE",
    "READ",
    "WRITE",
    "Bench",
    "One",
    "Step",
    "assert_rows",
    "bench",
    "bits",
    "bits_of",
    "check",
    "compiles_long",
    "float_bits",
    "lane_mask",
    "predict",
    "put",
    "row_of",
    "stop",
    "word_of",
    "words_of",
]
