"""Loads and stores on plain bytes: a slow twin of memory, and the bench beside it.

The model knows ranges of bytes and works lane by lane; a faulting access names the published code and exactly
the lanes at fault, and changes nothing.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from one import ALL, FAST, ISSUE, READ, WRITE, One, assert_rows, bench, stop

from m890.isa.effects import Stop
from m890.isa.lanes import LANES
from m890.isa.registers import Register
from m890.isa.widths import WIDTHS

OUT_OF_RANGE, MISALIGNED, READ_DENIED, WRITE_DENIED, TSM_RANGE, TSM_MISALIGNED = 11, 12, 20, 21, 9, 10
ONE_BASE, TWO_BASE, CONSTANT_BASE = (1 << 38) + 0x1000, (1 << 38) + 0x3000, (2 << 38) - 0x800
SIZE = 4096
FAULT = stop(Stop.FAULT)
BUILDS = (FAST, ISSUE)
WIDTH = {width.name: width for width in WIDTHS}
STORED = [width.name for width in WIDTHS if not width.signed]


@dataclass
class Model:
    """Memory as ranges of bytes with rights."""

    ranges: dict[int, bytearray] = field(default_factory=dict)
    read_only: set[int] = field(default_factory=set)
    tsm: bool = False

    def fault(self, address: int, size: int, store: bool) -> int:
        """The code of an access, or 0."""
        base = next((base for base, data in self.ranges.items() if base <= address <= base + len(data) - size), None)
        if self.tsm:
            return TSM_RANGE if base is None else TSM_MISALIGNED if address % size else 0
        if address % size:
            return MISALIGNED
        if base is None:
            return OUT_OF_RANGE
        return WRITE_DENIED if store and base in self.read_only else 0

    def place(self, address: int) -> tuple[bytearray, int]:
        """The bytes an address lies in, and where."""
        base = next(base for base, data in self.ranges.items() if base <= address < base + len(data))
        return self.ranges[base], address - base

    def access(self, width: Any, store: bool, addresses: dict[int, int], registers: np.ndarray) -> tuple[int, int]:
        """Do it for lanes with addresses: (code, lanes at fault), or (0, 0) and the change is made.

        The first lane at fault decides the code (docs/machine.md leaves it open; this is what the core does).
        """
        codes = {lane: self.fault(address, width.size, store) for lane, address in addresses.items()}
        first = next((code for code in codes.values() if code), 0)
        if first:
            return first, sum(1 << lane for lane, code in codes.items() if code == first)
        for lane, address in addresses.items():
            data, start = self.place(address)
            for word in range(width.kind.words):
                here = slice(start + word * width.item, start + (word + 1) * width.item)
                if store:
                    data[here] = int(registers[word, lane]).to_bytes(4, "little")[: width.item]
                else:
                    registers[word, lane] = int.from_bytes(data[here], "little", signed=width.signed) & ALL
        return 0, 0


@cache
def instance(text: str, build: str) -> One:
    return bench().one(text, build)


def random_bytes(count: int, seed: int) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, count, np.uint8).tobytes()


def fresh(tsm: int | None = None) -> tuple[Model, list[np.ndarray]]:
    """Two buffers and a read-only one (or TSM alone), as the bench and the model see them."""
    b = bench()
    b.memory()
    if tsm is not None:
        content = random_bytes(tsm, 1)
        return Model({0: bytearray(content)}, tsm=True), [b.tsm(content)]
    contents = {base: random_bytes(SIZE, base & 0xFF) for base in (ONE_BASE, TWO_BASE, CONSTANT_BASE)}
    arrays = b.memory(
        *[(base, data, READ if base == CONSTANT_BASE else READ | WRITE) for base, data in contents.items()]
    )
    return Model({base: bytearray(data) for base, data in contents.items()}, {CONSTANT_BASE}), arrays


def put_pair(row: int, value: int) -> None:
    b = bench()
    b.rows[row], b.rows[row + 1] = value & ALL, value >> 32 & ALL


def compare(one: One, model: Model, arrays: list[np.ndarray], addresses: list[int], emsk: int, path: int = ALL) -> int:
    """Run it on registers and memory as they are; the model's code."""
    b = bench()
    access, width = one.instruction.access, WIDTH[one.instruction.mnemonic.split(".")[2]]
    assert access
    b.path(path, emsk)
    scalar = one.instruction.lanes == 1
    rows, data = b.rows.copy(), one.decoded.values[0]
    assert isinstance(data, Register)
    first = data.number + (256 if data.bank == "v" else 0)
    registers = rows[first : first + width.kind.words].copy()
    active = {0: addresses[0]} if scalar else {lane: addresses[lane] for lane in range(LANES) if emsk >> lane & 1}
    code, lanes = model.access(width, access.store, active, registers)
    if not access.store and not code:
        rows[first : first + width.kind.words] = registers[:, :1] if scalar else registers
    found = one.run()
    assert found == (FAULT if code else 1), f"{one.text} emsk={emsk:#x}: goes on at {found}, the model says code {code}"
    if code:
        assert (int(b.warp["fault"]), int(b.warp["fault_lanes"])) == (code, lanes), one.text
        assert int(b.warp["fault_pc"]) == one.record
        told = [int(b.warp["address"][lane]) & (1 << 64) - 1 for lane in active if lanes >> lane & 1]
        assert told == [address for lane, address in active.items() if lanes >> lane & 1]
    rows[one.places] = b.rows[one.places]
    assert_rows(b.rows, rows, one.text)
    for array, wanted in zip(arrays, model.ranges.values(), strict=True):
        assert array.tobytes() == bytes(wanted), one.text
    assert b.guards_whole(), one.text
    return code


def registers_for(name: str, start: int, bank: str = "v") -> str:
    words = WIDTH[name].kind.words
    return f"{bank}reg{start}" if words == 1 else f"{bank}reg[{start}:{start + words - 1}]"
