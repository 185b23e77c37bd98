"""What the state of a stopped launch means to a person: faults with their place, and where warps stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..isa.effects import ARRIVE, BARRIER_BLOCK, HAS_COUNT
from ..isa.lanes import LANES
from ..isa.operands import EMSK, INDEX_REGISTER, Address, Register, register_text
from ..isa.program import CODE_BASE, Line
from ..isa.spec import Access, Decoded
from . import barriers, resolve
from .barriers import BLOCK_BARRIER
from .decode import FALLS_OFF
from .faults import ASSERTION, TRAP, Fault, Source, WarpPlace
from .observe import Batch, lanes_in
from .plan import Plan
from .state import AT_BARRIER, ENDED, POISON, SCALAR_ROWS

_HINTS = {
    3: "let all lanes it names reach it together: restore emsk before it, or name fewer lanes",
    9: "declare more with .tsm or the launch's tsm, or correct the offset",
    2: "let all lanes of a warp meet before the barrier, and all warps name the same barrier and threads",
    10: "a lane's TSM offset must be a multiple of the bytes it moves",
    11: "compare the index with the array's length before the access (v.cmp, s.lop.emsk)",
    12: "a lane's address must be a multiple of the bytes it moves",
    16: "a kernel ends with simt.exit or s.exit on every path",
    17: "peer access is not enabled between these chips",
    21: "this memory is read-only for the kernel",
    5: "raise .vregs or let the assembler count",
    6: "raise .sregs or let the assembler count",
}


def source_of(plan: Plan, offset: int) -> Source | None:
    """The source line of a byte offset in the kernel, with its text where the file is at hand."""
    line = plan.program.kernel.line_at(offset)
    return None if line is None else Source(line.file, line.line, _text(plan, line))


def _text(plan: Plan, line: Line) -> str:
    lines = plan.sources.get(line.file)
    if lines is not None:
        return lines[line.line - 1] if line.line <= len(lines) else ""
    try:
        with open(line.file, encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                if number == line.line:
                    return text.rstrip("\n")
    except (OSError, UnicodeDecodeError):
        pass
    return ""


def fault(plan: Plan, slot: int, index: int, *, trap: bool) -> Fault:
    """The exception for a warp that stopped with a fault."""
    warp, rows, block = plan.warp(slot, index), plan.rows(slot, index), plan.blocks[slot]
    offset = plan.program.offset_of(int(warp["pc"] if trap else warp["fault_pc"]))
    mask = int(rows[EMSK, 0] if trap else warp["fault_lanes"])
    ran_on = mask == 0  # with no lane active, the path's lanes are the ones at fault
    mask = int(warp["lanes"]) if ran_on else mask
    code = TRAP if trap else int(warp["fault"])
    lanes = lanes_in(mask)
    found = plan.program.decoded[offset // 8] if offset // 8 < len(plan.program.decoded) else None
    access = found.form.instruction.access if isinstance(found, Decoded) else None
    addresses = (
        {lane: int(warp["address"][lane]) & (1 << 64) - 1 for lane in lanes} if access and code in range(9, 24) else {}
    )
    x, y, _ = plan.shape.block
    threads = [index * LANES + lane for lane in lanes]
    return Fault(
        code=code,
        kernel=plan.program.kernel.name,
        chip=plan.chip,
        cu=int(block["cu"]),
        block=(int(block["x"]), int(block["y"]), int(block["z"])),
        warp=index,
        lanes=lanes,
        threads=tuple((t % x, t // x % y, t // (x * y)) for t in threads),
        pc=offset,
        source=source_of(plan, offset),
        instruction=_instruction(plan, offset),
        operands=_operands(found, rows) if isinstance(found, Decoded) else {},
        addresses=addresses,
        detail=_detail(plan, slot, index, offset, code, addresses),
        hint=_RAN_ON if ran_on and code == FALLS_OFF else _hint(plan, code, found, rows, lanes),
    )


_RAN_ON = "these lanes were off at simt.exit and ran on: restore emsk before it (s.or.b32 emsk, emsk, saved)"


def _hint(plan: Plan, code: int, found: object, rows: np.ndarray, lanes: tuple[int, ...]) -> str:
    """What to do about a fault; poison in an address says that the address was not there yet."""
    if isinstance(found, Decoded) and found.form.instruction.access:
        for address in (value for value in found.values if isinstance(value, Address)):
            number = _number_for_pointer(plan, address, rows)
            if number:
                return number
            for name, value in _values([address.index, address.base], rows).items():
                words = value if isinstance(value, int) else value[lanes[0]] if lanes else 0
                if POISON in (words & 0xFFFFFFFF, words >> 32):
                    return f"{name} holds poison: nothing has written it yet, or an s.wait for its load is missing"
    return _HINTS.get(code, "")


def _number_for_pointer(plan: Plan, address: Address, rows: np.ndarray) -> str:
    """What to say if the base is an argument that cannot be an address."""
    for parameter in plan.program.kernel.params:
        if parameter.type == "ptr" and address.base and address.base[:2] == ("s", parameter.sreg):
            value = int(rows[parameter.sreg or 0, 0]) | int(rows[(parameter.sreg or 0) + 1, 0]) << 32
            if value < CODE_BASE:
                return f"argument '{parameter.name}' is the number {value}: pass a buffer"
    return ""


def _instruction(plan: Plan, offset: int) -> str:
    index = offset // 8
    if index >= len(plan.program.decoded):
        return "(past the last instruction)"
    found = plan.program.decoded[index]
    word = int(plan.program.kernel.words[index])
    return found.form.text(word) if isinstance(found, Decoded) else f"{word:#018x}"


def _address_detail(plan: Plan, code: int, addresses: dict[int, int], access: Access) -> str:
    """What is wrong with the first of some faulting addresses."""
    size = access.size
    lane, address = next(iter(addresses.items()))
    if access.space == "private":
        has = plan.program.kernel.private
        return f"lane {lane}: {size} bytes at {address:#x} of its private memory; .private gives a thread {has} bytes"
    if code in (resolve.TSM_OUT_OF_RANGE, resolve.TSM_MISALIGNED):
        return f"lane {lane}: {size} bytes at TSM offset {address:#x}; the block has {plan.tsm} bytes"
    if code == resolve.MISALIGNED:
        return f"lane {lane}: {address:#x} is not a multiple of {size}"
    return f"lane {lane}: {size} bytes at {address:#x}: {plan.hbm.describe(address, size)}"


def _detail(plan: Plan, slot: int, index: int, offset: int, code: int, addresses: dict[int, int]) -> str:
    """What exactly is wrong, where more can be said than the code's meaning."""
    found = plan.program.decoded[offset // 8] if offset // 8 < len(plan.program.decoded) else None
    if not isinstance(found, Decoded):
        return str(found) if found and code == 0 else ""
    access = found.form.instruction.access
    if access and addresses:
        return _address_detail(plan, code, addresses, access)
    if code == barriers.BARRIER_PARAMETER:
        return _barrier_mistake(plan, plan.blocks[slot], plan.warp(slot, index), found, plan.rows(slot, index))
    if code == ASSERTION and len(found.values) > 1:
        return plan.text(next(value for value in found.values if isinstance(value, int)))
    return ""


def _operands(found: Decoded, rows: np.ndarray) -> dict[str, int | list[int]]:
    registers: list[Register] = []
    for kind, value in zip(found.form.instruction.kinds, found.values, strict=True):
        if isinstance(value, Register) and (kind.role == "source" or value.bank == "i"):
            registers.append(value)
        elif isinstance(value, Address):
            registers += [register for register in (value.index, value.base) if register]
    return _values(registers, rows)


def _values(registers: Sequence[Register | None], rows: np.ndarray) -> dict[str, int | list[int]]:
    """The bits of registers by their text: one number for a scalar, one per lane for a vector register."""
    values: dict[str, int | list[int]] = {}
    for register in registers:
        if register is None:
            continue
        if register.bank == "i":  # what selects it says more than what it holds
            register = Register("s", INDEX_REGISTER)
        name = register_text(Register(register.bank, register.number, register.count))
        first = register.number + (SCALAR_ROWS if register.bank == "v" else 0)
        words = rows[first : first + min(register.count, 2)].astype(np.uint64)
        total = words[0] if len(words) == 1 else words[0] | words[1] << np.uint64(32)
        values[name] = [int(item) for item in total] if register.bank == "v" else int(total[0])
    return values


def places(plan: Plan, *, looping: bool = False) -> tuple[WarpPlace, ...]:
    """Where every warp of the resident blocks stands and what it waits for; `looping` if it will run for ever."""
    found: list[WarpPlace] = []
    launch = plan.launch[0]
    for turn in range(int(launch["ring_count"])):
        slot = int(plan.ring[(int(launch["ring_head"]) + turn) % plan.slots])
        block = plan.blocks[slot]
        for index in range(plan.shape.warps):
            warp = plan.warp(slot, index)
            if int(warp["state"]) == ENDED:
                continue
            where = (int(block["x"]), int(block["y"]), int(block["z"]))
            runs = "a change that cannot come (it loops)" if looping else ""
            found += _paths(plan, where, index, warp, block, runs)
    return tuple(found)


def _paths(
    plan: Plan, where: tuple[int, int, int], index: int, warp: np.void, block: np.void, runs: str
) -> list[WarpPlace]:
    found: list[WarpPlace] = []
    if int(warp["state"]) != AT_BARRIER:
        found.append(_place(plan, where, index, int(warp["lanes"]), int(warp["pc"]), runs))
    for place in range(int(warp["paths"])):
        waits = int(warp["path_waits"][place])
        pc = int(warp["path_pc"][place]) - (plan.program.records.itemsize if waits else 0)
        text = _barrier(block, warp) if waits else "its turn among the warp's paths"
        found.append(_place(plan, where, index, int(warp["path_lanes"][place]), pc, text))
    return found


def _barrier(block: np.void, warp: np.void) -> str:
    """What a warp waits for at its barrier."""
    barrier = int(warp["barrier"])
    expected = int(warp["expected"]) or int(block["live"])
    return f"{_barrier_name(barrier)} ({int(block['arrived'][barrier])} of {expected} warps are there)"


def _barrier_name(barrier: int) -> str:
    return "the block barrier" if barrier == BLOCK_BARRIER else f"named barrier {barrier}"


def _barrier_mistake(plan: Plan, block: np.void, warp: np.void, found: Decoded, rows: np.ndarray) -> str:
    """What is wrong with the barrier instruction a warp has come to."""
    kind = next(int(binding.static) for binding in found.form.instruction.bindings if binding.name == "barrier")
    numbers = [_number(value, rows) for value in found.values]
    barrier = BLOCK_BARRIER if kind & BARRIER_BLOCK else numbers[0]
    if barrier > BLOCK_BARRIER or (barrier == BLOCK_BARRIER and not kind & BARRIER_BLOCK):
        return f"there is no named barrier {barrier}: they are 0 to {BLOCK_BARRIER - 1}"
    threads = numbers[1] if kind & HAS_COUNT else 0
    most = LANES * plan.shape.warps
    if kind & HAS_COUNT and (threads % LANES or not 0 < threads <= most):
        return f"{threads} threads: it must be a multiple of {LANES}, and at most {most} in this block"
    expected = int(block["expected"][barrier])
    if int(block["arrived"][barrier]) and expected != threads // LANES:
        others = f"others at {_barrier_name(barrier)} for {_threads(expected * LANES)}"
        return f"this warp waits for {_threads(threads)}, {others}"
    if kind & ARRIVE:
        return "the warp's other lanes are elsewhere: s.bar.arrive counts whole warps"
    return f"other lanes of the warp wait at another instruction, for {_barrier(block, warp)}"


def _number(value: object, rows: np.ndarray) -> int:
    """A scalar operand's value."""
    return int(rows[value.number, 0]) if isinstance(value, Register) else value if isinstance(value, int) else 0


def _threads(count: int) -> str:
    return f"{count} threads" if count else "all live warps of the block"


def _place(plan: Plan, block: tuple[int, int, int], index: int, mask: int, pc: int, waits_for: str) -> WarpPlace:
    offset = plan.program.offset_of(pc)
    return WarpPlace(
        block, index, lanes_in(mask), offset, source_of(plan, offset), waits_for, plan.program.kernel.name, plan.chip
    )


def deliver(plan: Plan) -> None:
    """Hand the events gathered so far to the observers."""
    count = int(plan.launch["event_count"][0])
    plan.launch["event_count"] = 0
    if count:
        batch = Batch(plan.program.kernel, plan.program.decoded, plan.shape.grid, plan.chip, plan.events[:count].copy())
        for observer in plan.observers:
            observer.executed(batch)
