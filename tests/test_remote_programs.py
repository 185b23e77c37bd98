"""Random programs of one warp on memory that is spread over chips, against plain bytes.

A program's accesses touch few bytes, so most of them overlap; each has registers of its own. Whatever the timing, the
delays and the room in the outbox, the warp must see its accesses in order, as the model does them one after the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wired import Wired

from m890.isa.lanes import LANES

CHIPS, BUFFER, TSM = 3, 64, 1024
EACH = 12
"""Registers of an access: its addresses, its data, what it gives."""
POINTER, DATA, GIVEN = 0, 4, 8
FIRST = 16
"""The first of them; scalar ones stand in sregs from SCALAR on, four for each access."""
SCALAR = 24
SIZES = {"b8": 1, "b16": 2, "b32": 4, "b32x2": 8, "b32x4": 16}
ORDERS = ["", ".acquire.sys", ".release.sys", ".acq_rel.sys"]


@dataclass(frozen=True)
class Op:
    """One access: what it is, the lanes, and where on which chips they point (as the other numbers say)."""

    kind: str
    size: int
    mask: int
    text: str
    """The instruction with {p}, {d1}, {g1}, {t}: registers of pointers, data, results and TSM offsets."""
    chip: int | None
    """The chip of all lanes; None: each has one of its own."""
    even: bool
    seed: int

    @cached_property
    def chips(self) -> list[int]:
        """The chip of each lane."""
        return (
            np.random.default_rng(self.seed).integers(0, CHIPS, LANES).tolist()
            if self.chip is None
            else [self.chip] * LANES
        )

    @cached_property
    def offsets(self) -> list[int]:
        """Where on that chip."""
        lanes = np.arange(LANES) if self.even else np.random.default_rng(self.seed + 1).integers(0, BUFFER, LANES)
        return (lanes * self.size % BUFFER).tolist()

    @cached_property
    def to(self) -> list[int]:
        """Where in TSM."""
        return (np.random.default_rng(self.seed + 2).integers(0, TSM, LANES) * self.size % TSM).tolist()


def registers(first: int, count: int) -> str:
    """Consecutive vector registers as an operand."""
    return f"vreg{first}" if count == 1 else f"vreg[{first}:{first + count - 1}]"


@st.composite
def ops(draw: Any) -> Op:
    """Any access of a few kinds."""
    width = draw(st.sampled_from(sorted(SIZES)))
    kinds = ["ld", "st", "copy", "tsm.st", "atom.add", "red.add", "atom.cas", "smem.ld", "smem.st", "wait"]
    kind = draw(st.sampled_from(kinds))
    order = draw(st.sampled_from(ORDERS))
    if kind in ("atom.add", "red.add", "atom.cas"):
        width = draw(st.sampled_from(["b32", "b32x2"]))
    size = SIZES[width]
    words = max(1, size // 4)
    data, given_ = ("{d" + str(words) + "}", "{g" + str(words) + "}")
    bits = 8 * size
    text = {
        "ld": f"vmem.ld.{width}{order if order == ORDERS[1] else ''} {given_}, [0x0] @{{p}}",
        "st": f"vmem.st.{width}{order if order == ORDERS[2] else ''} {data}, [0x0] @{{p}}",
        "copy": f"vmem.ld.tsm.{width} {{t}}, [0x0] @{{p}}\nvmem.acp.commit.grp",
        "tsm.st": f"tsm.st.{width} {data}, [0x0 + {{t}} * 0x1]",
        "atom.add": f"vmem.atom.add.i{bits}{order} {given_}, [0x0] @{{p}}, {data}",
        "red.add": f"vmem.red.add.i{bits}{order} [0x0] @{{p}}, {data}",
        "atom.cas": f"vmem.atom.cas.b{bits}{order} {given_}, [0x0] @{{p}}, {data}, {data}",
        "smem.ld": f"smem.ld.{width} {{sg}}, [0x0] @{{sp}}",
        "smem.st": f"smem.st.{width} {{sd}}, [0x0] @{{sp}}",
        "wait": f"s.wait {draw(st.sampled_from(['vldcnt', 'vstcnt', 'commit_group']))}({draw(st.integers(0, 3))})",
    }[kind]
    if kind.startswith("smem"):
        size, text = 4, text.replace(f".{width}", ".b32")
    seed = draw(st.integers(0, 1 << 16))
    mask = draw(st.sampled_from([0xFFFFFFFF, 0xFFFF, 0x80000001, 0, seed * 77777 & 0xFFFFFFFF]))
    chip = draw(st.sampled_from([None, *range(CHIPS)]))
    return Op(kind, size, mask, text, chip, draw(st.booleans()), seed)


class Model:
    """The memories as bytes, and what each access gives."""

    def __init__(self, rows: np.ndarray, buffers: list[np.ndarray]):
        self.rows, self.buffers = rows.copy(), [buffer.copy() for buffer in buffers]
        self.tsm = np.zeros(TSM, np.uint8)
        self.scalars: dict[int, int] = {}

    def run(self, number: int, op: Op) -> None:
        """Do one access, lane after lane."""
        if op.kind == "wait":
            return
        rows = self.rows[EACH * number : EACH * (number + 1)]
        if op.kind.startswith("smem"):
            place = self.buffers[op.chips[0]][op.offsets[0] :][:4].view(np.uint32)
            if op.kind == "smem.ld":
                self.scalars[number] = int(place[0])
            else:
                place[0] = rows[DATA, 0]
            return
        words = max(1, op.size // 4)
        for lane in range(LANES):
            if op.mask >> lane & 1:
                mine = rows[DATA : DATA + words, lane].copy().view(np.uint8)[: op.size]
                place = self.buffers[op.chips[lane]][op.offsets[lane] : op.offsets[lane] + op.size]
                self._lane(op, rows[GIVEN : GIVEN + words, lane], mine, place, self.tsm[op.to[lane] :][: op.size])

    def _lane(self, op: Op, given_: np.ndarray, mine: np.ndarray, place: np.ndarray, to: np.ndarray) -> None:
        held = place.copy()
        kind = np.dtype(f"u{min(op.size, 8)}")
        if op.kind in ("ld", "atom.add", "atom.cas"):
            given_[:] = np.frombuffer(held.tobytes().ljust(4, b"\0"), np.uint32)
        if op.kind == "st":
            place[:] = mine
        elif op.kind == "tsm.st":
            to[:] = mine
        elif op.kind == "copy":
            to[:] = held
        elif op.kind.endswith("add"):
            with np.errstate(over="ignore"):
                place[:] = (held.view(kind) + mine.view(kind)).view(np.uint8)


def lines_of(program: list[Op], starts: list[int]) -> Iterator[str]:
    """The kernel that runs a program."""
    yield f".kernel random\n.param ptr rows\n.param ptr out\n.tsm {TSM}\nv.mov.b32 vreg0, %laneid"
    rows = EACH * len(program)
    for row in range(rows):
        yield f"v.mov.b32 vreg1, {128 * row}"
        yield "v.shll.b32 vreg2, vreg0, 2\nv.add.i32 vreg1, vreg1, vreg2"
        yield f"vmem.ld.b32 vreg{FIRST + row}, [0x0 + vreg1 * 0x1] @rows\ns.wait vldcnt(0)"
    yield "v.shll.b32 vreg3, vreg0, 5\nv.mov.b32 vreg4, 0"
    for offset in range(0, TSM // LANES, 4):
        yield f"tsm.st.b32 vreg4, [bytes({offset}) + vreg3 * 0x1]"
    yield "s.wait tsmcnt(0)"
    for number, op in enumerate(program):
        first, scalar = FIRST + EACH * number, SCALAR + 4 * number
        address = starts[op.chips[0]] + op.offsets[0]
        if op.kind.startswith("smem"):
            yield f"s.mov.b32 sreg{scalar}, {address & 0xFFFFFFFF:#x}\ns.mov.b32 sreg{scalar + 1}, {address >> 32:#x}"
            yield f"s.mov.b32 emsk, -1\nv.mov.v2s sreg{scalar + 2}, vreg{first + DATA}, 0"
        names = {"p": registers(first + POINTER, 2), "t": f"vreg{first + GIVEN}"}
        names |= {f"d{n}": registers(first + DATA, n) for n in (1, 2, 4)}
        names |= {f"g{n}": registers(first + GIVEN, n) for n in (1, 2, 4)}
        names |= {"sp": f"sreg[{scalar}:{scalar + 1}]", "sd": f"sreg{scalar + 2}", "sg": f"sreg{scalar + 3}"}
        yield f"s.mov.b32 emsk, {op.mask:#x}"
        yield op.text.format(**names)
    yield "s.mov.b32 emsk, -1"
    yield "s.wait vldcnt(0), vstcnt(0), sldcnt(0), sstcnt(0), tsmcnt(0), commit_group(0)"
    for row in range(rows):
        number, place = divmod(row, EACH)
        source = f"vreg{FIRST + row}"
        if program[number].kind == "smem.ld" and place == POINTER:
            yield f"v.mov.b32 vreg5, sreg{SCALAR + 4 * number + 3}"
            source = "vreg5"
        yield f"v.mov.b32 vreg1, {128 * row}\nv.add.i32 vreg1, vreg1, vreg2"
        yield f"vmem.st.b32 {source}, [0x0 + vreg1 * 0x1] @out\ns.wait vstcnt(0)"
    for offset in range(0, TSM // LANES, 4):
        yield f"tsm.ld.b32 vreg4, [bytes({offset}) + vreg3 * 0x1]\ns.wait tsmcnt(0)"
        yield f"v.mov.b32 vreg1, {128 * rows + offset}\nv.add.i32 vreg1, vreg1, vreg3"
        yield "vmem.st.b32 vreg4, [0x0 + vreg1 * 0x1] @out\ns.wait vstcnt(0)"
    yield "simt.exit"


@cache
def wired(timing: str, capacity: int) -> Wired:
    """Chips that several programs run on."""
    return Wired(CHIPS, timing=timing, capacity=capacity, delay=lambda a, b: 2500 + 1700 * a + 700 * b, poison=False)


PROGRAMS = given(
    program=st.lists(ops(), min_size=1, max_size=12),
    timing=st.sampled_from(["eager", "late"]),
    capacity=st.sampled_from([CHIPS - 1, 2048]),
)


@settings(max_examples=60)
@PROGRAMS
def test_a_warp_sees_its_accesses_in_order(program: list[Op], timing: str, capacity: int) -> None:
    """Registers, the memories of all chips and TSM are those of the model."""
    check(program, timing, capacity)


@pytest.mark.slow
@settings(max_examples=1000)
@PROGRAMS
def test_a_warp_sees_its_accesses_in_order_in_many_programs(program: list[Op], timing: str, capacity: int) -> None:
    """The same, for more of them."""
    check(program, timing, capacity)


def check(program: list[Op], timing: str, capacity: int) -> None:
    """Run a program and the model of it."""
    chips = wired(timing, capacity)
    random = np.random.default_rng(len(program))
    content = [random.integers(0, 256, BUFFER, np.uint8) for _ in range(CHIPS)]
    rows = random.integers(0, 1 << 32, (EACH * len(program), LANES), np.uint32)
    buffers = [chip.to_device(data) for chip, data in zip(chips.chips, content, strict=True)]
    starts = [buffer.address for buffer in buffers]
    for number, op in enumerate(program):
        mine = rows[EACH * number :]
        pointers = np.array(
            [starts[chip] + offset for chip, offset in zip(op.chips, op.offsets, strict=True)], np.uint64
        )
        mine[POINTER], mine[POINTER + 1] = pointers & np.uint64(0xFFFFFFFF), pointers >> np.uint64(32)
        if op.kind in ("copy", "tsm.st"):
            mine[GIVEN] = op.to
    model = Model(rows, content)
    for number, op in enumerate(program):
        model.run(number, op)
    for number, value in model.scalars.items():
        model.rows[EACH * number + POINTER] = value
    here = chips.chips[0].to_device(rows), chips.chips[0].to_device(np.zeros(rows.size + TSM // 4, np.uint32))
    kernel = chips.chips[0].assemble("\n".join(lines_of(program, starts)))["random"]
    chips.run({0: (kernel, 1, 32, here)})
    out = here[1].copy_to_host()
    found = [
        out[: rows.size].reshape(rows.shape),
        out[rows.size :].view(np.uint8),
        *[b.copy_to_host() for b in buffers],
    ]
    for buffer in (*buffers, *here):
        buffer.free()
    names = ["registers", "TSM", *[f"memory of chip {chip}" for chip in range(CHIPS)]]
    for name, one, other in zip(names, found, [model.rows, model.tsm, *model.buffers], strict=True):
        assert np.array_equal(one, other), name
