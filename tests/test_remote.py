"""Accesses to other chips' memory against the same accesses at home, instruction by instruction.

Every memory instruction of the table runs twice on random operands and lanes: with all buffers on chip 0, and with the
same buffers spread over three chips. Registers, memory and TSM must be the same.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
from wired import Wired

from m890.isa import ISA
from m890.isa.addresses import AddressKind, TsmTarget
from m890.isa.lanes import LANES
from m890.isa.operands import Address
from m890.isa.registers import Register

COPY = """
        .kernel copy
        .param  ptr x
        .param  ptr y
        v.mov.b32       vreg0, %tid.x
        vmem.ld.b32     vreg1, [0x0 + vreg0 * 0x4] @x
        s.wait          vldcnt(0)
        vmem.st.b32     vreg1, [0x0 + vreg0 * 0x4] @y
        simt.exit
"""
CHIPS, BUFFER, ROWS, TSM = 3, 256, 24, 512
"""Chips, bytes of each of the buffers accessed, rows of registers in and out, bytes of TSM."""
A, B, INDEX, POINTER, TO, COUNT, D = 0, 4, 8, 10, 12, 14, 16
"""The vector registers of the instruction's operands; those of scalar ones are 40 higher."""
PROLOGUE = """
        .kernel one
        .param  ptr x
        .param  ptr rows
        .param  ptr out
        .param  u32 mask
        .tsm    512
        v.mov.b32       vreg30, %laneid
        v.shll.b32      vreg31, vreg30, 4
"""
LOADS = [f"vmem.ld.b32 vreg{n}, [bytes({128 * n}) + vreg30 * 0x4] @rows" for n in range(ROWS)]
SCALARS = [f"smem.ld.b32 sreg{40 + n}, [bytes({128 * n})] @rows" for n in range(ROWS)]
TSM_IN = ["tsm.st.b32x4 vreg[0:3], [0x0 + vreg31 * 0x1]"]
WAIT = ["s.wait vldcnt(0), vstcnt(0), sldcnt(0), sstcnt(0), tsmcnt(0)"]
DONE = [
    "vmem.acp.commit.grp",
    "s.wait vldcnt(0), vstcnt(0), sldcnt(0), sstcnt(0), tsmcnt(0), commit_group(0)",
    "s.mov.b32 emsk, -1",
]
STORES = [f"vmem.st.b32 vreg{n}, [bytes({128 * n}) + vreg30 * 0x4] @out" for n in range(ROWS)]
SCALARS_OUT = [
    line
    for n in range(ROWS)
    for line in (
        f"v.mov.b32 vreg29, sreg{40 + n}",
        f"vmem.st.b32 vreg29, [bytes({128 * (ROWS + n)}) + vreg30 * 0x4] @out",
        "s.wait vstcnt(0)",
    )
]
TSM_OUT = [
    "tsm.ld.b32x4 vreg[24:27], [0x0 + vreg31 * 0x1]",
    "s.wait tsmcnt(0)",
    *[f"vmem.st.b32 vreg{24 + n}, [bytes({128 * (2 * ROWS + n)}) + vreg30 * 0x4] @out" for n in range(4)],
    "simt.exit",
]
FORMS = [
    form
    for instruction in ISA.instructions
    if instruction.access and instruction.access.space == "global" and "ppu0015" in instruction.architectures
    for form in instruction.forms
]


def operand(kind: Any, size: int) -> Any:
    """The value that an operand has here."""
    if isinstance(kind, TsmTarget):
        return Register("v", TO)
    if isinstance(kind, AddressKind):
        if kind.base_bank == "v":
            return Address(0, None, 0, Register("v", POINTER, 2))
        index = Register("v", INDEX) if kind.index_bank == "v" else Register("s", 40 + INDEX)
        return Address(0, index, size.bit_length() - 1, Register("s", 6, 2))
    place = D if kind.role == "destination" else {"a": A, "b": B, "n": COUNT}[kind.name]
    return Register(kind.bank, place if kind.bank == "v" else 40 + place, kind.words)


def source_of(form: Any, random: np.random.Generator) -> str:
    """A kernel that runs one instruction of a form, with random suffixes, on registers from `rows`."""
    choices = list(form.choices())
    values = tuple(operand(kind, form.instruction.access.size) for kind in form.instruction.kinds)
    word = form.encode(values, choices[random.integers(len(choices))])
    lines = [*LOADS, *SCALARS, *WAIT, *TSM_IN, *WAIT, "s.mov.b32 emsk, mask", form.text(word), *DONE]
    return PROLOGUE + "\n".join([*lines, *STORES, *SCALARS_OUT, *TSM_OUT])


class Case:
    """Random registers and buffers for one instruction; `spread`: each lane's address in one of several buffers."""

    def __init__(self, form: Any, random: np.random.Generator):
        size = form.instruction.access.size
        self.rows = random.integers(0, 1 << 32, (ROWS, LANES), np.uint32)
        self.rows[INDEX] = random.integers(0, BUFFER // size, LANES)
        self.rows[TO] = random.permutation(TSM // 16)[:LANES] * 16
        self.rows[COUNT] = random.integers(0, size + 2, LANES)
        if random.random() < 0.5:  # several lanes at one address
            self.rows[INDEX] %= 3
        self.buffers = [random.integers(0, 256, BUFFER, np.uint8) for _ in range(CHIPS)]
        if "cas" in form.instruction.mnemonic:
            self.buffers = [np.zeros(BUFFER, np.uint8) for _ in range(CHIPS)]
            self.rows[A : A + 2] = 0
        self.owner = random.integers(0, CHIPS, LANES)
        self.mask = int(random.choice([0xFFFFFFFF, 1, 0x80000000, 0, random.integers(1 << 32)]))


@cache
def wired(timing: str) -> Wired:
    """The chips all cases of a timing run on."""
    return Wired(CHIPS, timing=timing, delay=lambda a, b: 3000 + 1000 * a + 500 * b, poison=False)


def run_case(chips: Wired, kernel: Any, case: Case, places: tuple[int, ...], size: int) -> list[np.ndarray]:
    """Run a case with its buffers on these chips: registers and TSM, then the buffers."""
    buffers = [chips.chips[place].to_device(data) for place, data in zip(places, case.buffers, strict=True)]
    rows = case.rows.copy()
    starts = np.array([buffer.address for buffer in buffers], np.uint64)[case.owner]
    pointers = starts + rows[INDEX].astype(np.uint64) * np.uint64(size)
    rows[POINTER], rows[POINTER + 1] = pointers & np.uint64(0xFFFFFFFF), pointers >> np.uint64(32)
    here = [chips.chips[0].to_device(rows), chips.chips[0].to_device(np.zeros((2 * ROWS + 4, LANES), np.uint32))]
    chips.run({0: (kernel, 1, 32, (buffers[1], *here, case.mask))})
    out = here[1].copy_to_host()
    out[[POINTER, POINTER + 1, ROWS + POINTER, ROWS + POINTER + 1]] = 0  # where the buffers are
    found = [out, *(buffer.copy_to_host() for buffer in buffers)]
    for buffer in (*buffers, *here):
        buffer.free()
    return found


@pytest.mark.parametrize("timing", ["eager", "late"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_access_does_the_same_far_away(form: Any, timing: str) -> None:
    """On three chips as on one."""
    random = np.random.default_rng([len(form.name), form.instruction.opcode, form.value & 0xFFFFFFFF])
    kernel = wired(timing).chips[0].assemble(source_of(form, random))["one"]
    size = form.instruction.access.size
    for _ in range(3):
        case = Case(form, random)
        home = run_case(wired(timing), kernel, case, (0, 0, 0), size)
        away = run_case(wired(timing), kernel, case, (0, 1, 2), size)
        for what, one, other in zip(("registers and TSM", "buffer 0", "1", "2"), home, away, strict=True):
            assert np.array_equal(one, other), f"{form.name}: {what}, lanes {case.mask:#x}"


@pytest.mark.parametrize("timing", ["eager", "late"])
def test_loads_and_stores_reach_another_chip(timing: str) -> None:
    """Chip 0 copies from chip 1 to chip 2."""
    chips = Wired(3, timing=timing)
    data = np.arange(256, dtype=np.uint32) * 7
    x = chips.chips[1].to_device(data)
    y = chips.chips[2].to_device(np.zeros(256, np.uint32))
    kernel = chips.chips[0].assemble(COPY)["copy"]
    chips.run({0: (kernel, 1, 256, (x, y))})
    assert np.array_equal(y.copy_to_host(), data)
