"""What the state of a stopped launch means to a person: faults with their place, and where warps stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ..isa.awbar import REASONS
from ..isa.effects import ARRIVE, BARRIER_BLOCK, HAS_COUNT
from ..isa.exceptions import (
    ASSERTION,
    INVALID_BARRIER,
    INVALID_CANDIDATE_MASK,
    INVALID_INSTRUCTION,
    INVALID_PA,
    INVALID_SREG,
    INVALID_VA,
    INVALID_VREG,
    INVALID_WARP_SYNC,
    KI_OUT_OF_RANGE,
    MISALIGNED,
    OUT_OF_RANGE,
    TRAP,
    TSM_MISALIGNED,
    TSM_OUT_OF_RANGE,
    WRITE_DENIED,
)
from ..isa.lanes import LANES
from ..isa.number_kinds import CodeTarget
from ..isa.operands import Address, RegisterKind
from ..isa.program import CODE_BASE, RETURN_ADDRESS, TEXT_BASE, Line
from ..isa.registers import EMSK, INDEX_REGISTER, Register, register_text
from ..isa.source import open_recorded
from ..isa.spec import Access, Decoded, DecodeError
from . import livelock, report_copies, report_loops, report_outstanding
from .faults import ICN_UNREACHABLE, Fault, Source, WarpPlace, ranges
from .hbm import chip_at
from .machine.barriers import BLOCK_BARRIER
from .machine.state import AT_BARRIER, ENDED, POISON, WAITING
from .observe import Batch, lanes_in
from .pieces import Spot
from .plan import Plan, words_of
from .report_copies import NOT_THERE
from .shape import threads_of

MOST_STORES = 2
"""Of the places whose stores a warp has outstanding, so many are named."""
NEAR_NULL = 1 << 20
"""Below this address nothing is, and a program that asks for it has no address."""
ENDLESS = "states repeat and no memory changes: an endless loop, or a wait for what nobody writes or frees"
_ABOUT_ADDRESSES = range(TSM_OUT_OF_RANGE, INVALID_VA + 1)
_NOT_BEGUN = (
    "{} of {} blocks have not begun, for which others must end: if one of those is waited for, "
    "let blocks take a number in turn (vmem.atom.add) instead of %blkid"
)
_HINTS = {
    INVALID_WARP_SYNC: "let all lanes it names reach it together: restore emsk before it, or name fewer lanes",
    TSM_OUT_OF_RANGE: "declare more with .tsm or the launch's tsm, or correct the offset",
    INVALID_BARRIER: "let all lanes of a warp meet before the barrier, and all warps name the same barrier and threads",
    TSM_MISALIGNED: "a lane's TSM offset must be a multiple of the bytes it moves",
    OUT_OF_RANGE: "compare the index with the array's length before the access (v.cmp, s.lop.emsk)",
    MISALIGNED: "a lane's address must be a multiple of the bytes it moves",
    KI_OUT_OF_RANGE: "a kernel ends with simt.exit or s.exit on every path",
    INVALID_PA: "enable it before the launch: pod.enable_peer_access(a, b)",
    WRITE_DENIED: "this memory is read-only for the kernel",
    INVALID_VREG: "raise .vregs or let the assembler count; it does not know what x0 selects",
    INVALID_SREG: "raise .sregs or let the assembler count",
}


_ALL_LANES = (
    "this instruction needs all 32 lanes of its warp: make the block a multiple of 32 threads, "
    "and restore emsk before it (s.or.b32 emsk, emsk, saved)"
)


def source_of(plan: Plan, spot: Spot) -> Source | None:
    """The source line of a word, with its text where the file is at hand."""
    line = spot.line
    return None if line is None else Source(line.file, line.line, _text(plan, line), line.calls)


def _text(plan: Plan, line: Line) -> str:
    lines = plan.sources.get(line.file)
    if lines is not None:
        return lines[line.line - 1] if line.line <= len(lines) else ""
    try:
        with open_recorded(line.file).open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                if number == line.line:
                    return text.rstrip("\n")
    except (OSError, UnicodeDecodeError):
        pass
    return ""


def fault(plan: Plan, slot: int, number: int, *, trap: bool) -> Fault:
    """The exception for a warp that stopped with a fault."""
    warp, rows, block = plan.warp(slot, number), plan.rows(slot, number), plan.blocks[slot]
    index = plan.program.index_of(int(warp["pc"] if trap else warp["fault_pc"]))
    spot = plan.program.spot_of(index)
    mask = int(rows[EMSK, 0] if trap else warp["fault_lanes"])
    ran_on = mask == 0  # with no lane active, the path's lanes are the ones at fault
    mask = int(warp["lanes"]) if ran_on else mask
    code = TRAP if trap else int(warp["fault"])
    lanes = lanes_in(mask)
    found = plan.program.decoded[index] if index < len(plan.program.decoded) else None
    access = found.form.instruction.access if isinstance(found, Decoded) else None
    asked = lanes if access and code in _ABOUT_ADDRESSES else ()
    addresses = {lane: int(warp["address"][lane]) & (1 << 64) - 1 for lane in asked}
    ended = code == KI_OUT_OF_RANGE and spot.word is None
    hint = _hint_at_end(spot, ran_on) if ended else _hint(plan, code, found, rows, lanes, addresses)
    return Fault(
        code=code,
        kernel=plan.program.kernel.name,
        chip=plan.chip,
        cu=int(block["cu"]),
        block=(int(block["x"]), int(block["y"]), int(block["z"])),
        warp=number,
        lanes=lanes,
        threads=tuple(threads_of(plan.shape.block, number, lanes).values()),
        function=spot.callee,
        pc=spot.offset,
        source=source_of(plan, spot),
        instruction=_instruction(found, spot),
        operands=_operands(found, rows) if isinstance(found, Decoded) else {},
        addresses=addresses,
        detail=_detail(plan, slot, number, found, code, addresses),
        hint=hint,
    )


_RAN_ON = "these lanes were off at simt.exit and ran on: restore emsk before it (s.or.b32 emsk, emsk, saved)"


def _hint_at_end(spot: Spot, ran_on: bool) -> str:
    """What to do about a path that has run off the last word of its kernel or function."""
    if spot.callee:
        return f"function {spot.callee} ends without going back: end it with s.ret on every path"
    return _RAN_ON if ran_on else _HINTS[KI_OUT_OF_RANGE]


def hint_for_loop(plan: Plan) -> str:
    """What to do about warps that loop for ever; ENDLESS if there is nothing to be seen."""
    for slot, index, warp in _live_warps(plan):
        for store in report_outstanding.stores(plan, slot, index):
            return (
                "what is waited for may be a store that is outstanding still: complete it with "
                f"s.wait {store.counter}(0) before the loop, or store with .release"
            )
        rows, spot = plan.rows(slot, index), plan.program.spot_of(plan.program.index_of(int(warp["pc"])))
        back = plan.program.record_at(int(rows[RETURN_ADDRESS, 0]) | int(rows[RETURN_ADDRESS + 1, 0]) << 32)
        if spot.callee and back and plan.program.spot_of(plan.program.index_of(back)).function is spot.function:
            pair = register_text(Register("s", RETURN_ADDRESS, 2))
            return f"{pair} leads back into function {spot.callee}: a function that calls others saves it before"
    late = int(plan.launch["blocks"][0] - plan.launch["admitted"][0])
    return f"{ENDLESS}; {_NOT_BEGUN.format(late, plan.shape.blocks)}" if late else ENDLESS


def hint_at_barriers(plan: Plan) -> str:
    """What to do about warps of which none can go on, all of them at barriers."""
    for slot in dict.fromkeys(slot for slot, _, _ in _live_warps(plan)):
        warps = [warp for other, _, warp in _live_warps(plan) if other == slot and int(warp["state"]) == AT_BARRIER]
        names = sorted({_barrier_name(int(warp["barrier"])) for warp in warps})
        if len(names) > 1:
            return (
                f"warps of a block wait at {' and '.join(names)}: let all come to the same barriers in the same order"
            )
        live, most = int(plan.blocks[slot]["live"]), plan.shape.warps
        if warps and int(warps[0]["expected"]) > live:
            wanted = f"{names[0]} waits for {_threads(LANES * int(warps[0]['expected']))}"
            return f"{wanted}, but {most - live} of the block's {most} warps have ended: name fewer threads"
    return "every live lane of a block must reach its barrier"


def _hint(
    plan: Plan, code: int, found: object, rows: np.ndarray, lanes: tuple[int, ...], addresses: dict[int, int]
) -> str:
    """What to do about a fault; poison in an address says that the address was not there yet."""
    hint = ""
    if isinstance(found, Decoded) and found.form.instruction.access:
        for address in (value for value in found.values if isinstance(value, Address)):
            number = _number_for_pointer(plan, address, rows)
            if number:
                return number
            hint = hint or _address_hint(address, code, found.form.instruction.access, addresses, rows)
            for name, value in _values([address.index, address.base], rows).items():
                words = value if isinstance(value, int) else value[lanes[0]] if lanes else 0
                if POISON in (words & 0xFFFFFFFF, words >> 32):
                    return f"{name} holds {NOT_THERE}"
    if isinstance(found, Decoded):
        instruction = found.form.instruction
        if code == INVALID_WARP_SYNC and (instruction.all_lanes or instruction.access or instruction.cube is not None):
            return _ALL_LANES
        if instruction.cube is not None:
            return report_copies.hint(found, rows, code)
        if instruction.awbar is not None:  # the detail says it all
            return ""
    return hint or _HINTS.get(code, "")


def _address_hint(address: Address, code: int, access: Access, addresses: dict[int, int], rows: np.ndarray) -> str:
    """What else an address out of range may come from: a base that is nothing, or an index counted in other units."""
    if code != OUT_OF_RANGE or access.space != "global" or not addresses:
        return ""
    if 0 <= min(addresses.values()) < NEAR_NULL:
        return "a null pointer, or a pair of registers that was never loaded: what is in the base?"
    for name, value in _values([address.index], rows).items():
        index = value if isinstance(value, int) else value[next(iter(addresses))]
        if 1 << 31 <= index < 1 << 32:
            meant = f"{name} is {index:#x}, which is {index - (1 << 32):,} if it is meant to be signed"
            return f"{meant}: an index counts unsigned; compare it with 0 before the access"
    if address.index and address.scale and 1 << address.scale != access.size:
        scaled = f"the index scale is {1 << address.scale}, the access moves {access.size} bytes: is the scale right?"
        return f"{scaled} Else {_HINTS[code]}"
    return ""


def _number_for_pointer(plan: Plan, address: Address, rows: np.ndarray) -> str:
    """What to say if the base is an argument that cannot be an address."""
    for parameter in plan.program.kernel.params:
        if parameter.type == "ptr" and address.base and address.base[:2] == ("s", parameter.sreg):
            value = int(rows[parameter.sreg or 0, 0]) | int(rows[(parameter.sreg or 0) + 1, 0]) << 32
            if value < CODE_BASE:
                return f"argument '{parameter.name}' is the number {value}: pass a buffer"
    return ""


def _instruction(found: object, spot: Spot) -> str:
    if spot.word is None:
        return "(past the last instruction)"
    return found.form.text(spot.word) if isinstance(found, Decoded) else f"{spot.word:#018x}"


def _address_detail(plan: Plan, code: int, addresses: dict[int, int], access: Access) -> str:
    """What is wrong with the first of some faulting addresses."""
    size = access.size
    lane, address = next(iter(addresses.items()))
    if access.space == "private":
        has = plan.program.kernel.private
        return f"lane {lane}: {size} bytes at {address:#x} of its private memory; .private gives a thread {has} bytes"
    if code in (TSM_OUT_OF_RANGE, TSM_MISALIGNED):
        return f"lane {lane}: {size} bytes at TSM offset {address:#x}; the block has {plan.tsm} bytes"
    if code == MISALIGNED:
        return f"lane {lane}: {address:#x} is not a multiple of {size}"
    where = plan.hbm.describe(address, size)
    if code == INVALID_PA:
        where = f"HBM of chip {chip_at(address)}, to which chip {plan.chip} has no peer access (XID {ICN_UNREACHABLE})"
    return f"lane {lane}: {size} bytes at {address:#x}: {where}"


def _counted_from(plan: Plan, found: Decoded, rows: np.ndarray, lane: int, said: str) -> str:
    """Into which allocation an address's base points, unless that is said already: an index may lead far away."""
    for base in (value.base for value in found.values if isinstance(value, Address)):
        for name, value in _values([base], rows).items():
            start = value if isinstance(value, int) else value[lane]
            home = plan.hbm.at(start).find(start)
            if home is not None and home.extent not in said:
                return f"; the base {name} is {plan.hbm.describe(start)}"
    return ""


def _lanes_off(plan: Plan, number: int, lanes: tuple[int, ...]) -> str:
    """What is wrong where lanes are missing."""
    first = plan.shape.threads - number * LANES
    missing, off = [lane for lane in lanes if lane >= first], [lane for lane in lanes if lane < first]
    parts = [f"{_lanes_text(missing)} not exist: the block has {plan.shape.threads} threads"] if missing else []
    return "; ".join([*parts, *([f"{_lanes_text(off, 'is', 'are')} off"] if off else [])])


def _lanes_text(lanes: Sequence[int], one: str = "does", more: str = "do") -> str:
    return f"lane {lanes[0]} {one}" if len(lanes) == 1 else f"lanes {ranges(lanes)} {more}"


def _detail(plan: Plan, slot: int, number: int, found: object, code: int, addresses: dict[int, int]) -> str:
    """What exactly is wrong, where more can be said than the code's meaning."""
    if isinstance(found, DecodeError):
        return str(found) if code == INVALID_INSTRUCTION else ""
    if not isinstance(found, Decoded):
        return ""
    access, warp = found.form.instruction.access, plan.warp(slot, number)
    if code == INVALID_WARP_SYNC:
        return _lanes_off(plan, number, lanes_in(int(warp["fault_lanes"])))
    if found.form.instruction.cube is not None:
        return report_copies.detail(plan, found, plan.rows(slot, number), code, warp)
    if access and addresses:
        text = _address_detail(plan, code, addresses, access)
        lane = next(iter(addresses))
        return text + (
            _counted_from(plan, found, plan.rows(slot, number), lane, text) if access.space == "global" else ""
        )
    if found.form.instruction.awbar is not None:
        return _awbar_detail(plan, code, warp)
    if code == INVALID_BARRIER:
        return _barrier_mistake(plan, plan.blocks[slot], warp, found, plan.rows(slot, number))
    if code == ASSERTION and len(found.values) > 1:
        return plan.text(next(value for value in found.values if isinstance(value, int)))
    if code in (INVALID_INSTRUCTION, INVALID_CANDIDATE_MASK, KI_OUT_OF_RANGE):
        return _jump_detail(plan, found, code, warp)
    return ""


def _awbar_detail(plan: Plan, code: int, warp: np.void) -> str:
    """What is wrong with an operation on an asynchronous barrier."""
    lane = lanes_in(int(warp["fault_lanes"]))[0]
    where = f"lane {lane}: TSM offset {int(warp['address'][lane]):#x}"
    if code == INVALID_BARRIER:
        return f"{where}: {REASONS[int(warp['taken'])]}"
    if code == TSM_MISALIGNED:
        return f"{where} is not a multiple of 8"
    return f"{where} is outside of the block's {plan.tsm} bytes"


def _jump_detail(plan: Plan, found: Decoded, code: int, warp: np.void) -> str:
    """What is wrong with the address of a call or an indirect branch."""
    kinds = found.form.instruction.kinds
    per_lane = any(isinstance(kind, RegisterKind) and kind.per_lane for kind in kinds)
    address = int(warp["address"][lanes_in(int(warp["fault_lanes"]))[0] if per_lane else 0])
    for kind, value in zip(kinds, found.values, strict=True):
        if isinstance(kind, CodeTarget) and isinstance(value, int):
            address = CODE_BASE + kind.distance(value)
    address &= (1 << 64) - 1
    if code == INVALID_CANDIDATE_MASK:
        lane = lanes_in(int(warp["fault_lanes"]))[0]
        other = int(warp["address"][lane]) & (1 << 64) - 1
        return f"lane {lane} would go to {other:#x}, lanes below it elsewhere"
    if code == INVALID_INSTRUCTION:
        return f"the code address {address:#x} is not a multiple of 8"
    where = [f"kernel '{plan.program.kernel.name}' {CODE_BASE:#x} to {CODE_BASE + plan.program.kernel.words.nbytes:#x}"]
    if len(plan.program.pieces) > 1:
        end = plan.program.address_of(plan.program.kernel_piece.first - 1)
        where.append(f"functions {TEXT_BASE:#x} to {end:#x}")
    return f"there is no code at {address:#x}; there is {', '.join(where)}"


def _operands(found: Decoded, rows: np.ndarray) -> dict[str, int | list[int]]:
    if found.form.instruction.cube is not None:
        return {**report_copies.operands(found, rows)}
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
        words = words_of(register, rows)[:2].astype(np.uint64)
        total = words[0] if len(words) == 1 else words[0] | words[1] << np.uint64(32)
        values[name] = [int(item) for item in total] if register.bank == "v" else int(total[0])
    return values


def places(plan: Plan, *, looping: bool = False) -> tuple[WarpPlace, ...]:
    """Where every warp of the resident blocks stands and what it waits for; `looping` if it will run for ever."""
    found: list[WarpPlace] = []
    reads = livelock.reads_of(plan.program) if looping else []
    for slot, index, warp in _live_warps(plan):
        block = plan.blocks[slot]
        where = (int(block["x"]), int(block["y"]), int(block["z"]))
        kept = _kept_back(plan, slot, index)
        finds = report_loops.found_by(plan, slot, index, reads) if looping else ""
        runs = f"a change{_of_what(plan, warp, reads)} that cannot come (it loops{kept}{finds})" if looping else ""
        found += _paths(plan, where, index, warp, block, runs)
    return tuple(found)


def _kept_back(plan: Plan, slot: int, index: int) -> str:
    """The stores of a warp that nothing has completed: ", with 1 store to 'flag' of chip 1 outstanding (put.s:28)"."""
    found = Counter[str]()
    for store in report_outstanding.stores(plan, slot, index):
        source = source_of(plan, plan.program.spot_of(store.record))
        found[f"{plan.hbm.name_at(store.address)} outstanding{f' ({source.brief})' if source else ''}"] += 1
    texts = [f"{count} store{'s' if count > 1 else ''} to {text}" for text, count in found.items()]
    more = [f"{len(texts) - MOST_STORES} more"] if len(texts) > MOST_STORES else []
    return f", with {', '.join(texts[:MOST_STORES] + more)}" if texts else ""


def _of_what(plan: Plan, warp: np.void, reads: Sequence[int]) -> str:
    """What looping warps of a launch read, whose records `reads` were made to forget what they read before.

    As in " of 'flag' (4 bytes at 0x4000000000)".
    """
    records, names = plan.program.records, dict[str, None]()
    for index in reads:
        allocation = plan.hbm.find(int(records["lo"][index])) if records["count"][index] else None
        if allocation is not None:
            names[str(allocation)] = None
    if int(warp["state"]) == WAITING:
        lane = lanes_in(int(warp["lanes"]))[0]
        address = int(warp["address"][lane])
        names[f"{plan.hbm.name_at(address)} (at {address:#x})"] = None
    return f" of {', '.join(names)}" if names else ""


def _live_warps(plan: Plan) -> Iterator[tuple[int, int, np.void]]:
    """The warps of the resident blocks that have not ended: slot, number, header."""
    launch = plan.launch[0]
    for turn in range(int(launch["ring_count"])):
        slot = int(plan.ring[(int(launch["ring_head"]) + turn) % plan.slots])
        for index in range(plan.shape.warps):
            warp = plan.warp(slot, index)
            if int(warp["state"]) != ENDED:
                yield slot, index, warp


def _paths(
    plan: Plan, where: tuple[int, int, int], index: int, warp: np.void, block: np.void, runs: str
) -> list[WarpPlace]:
    found: list[WarpPlace] = []
    if int(warp["state"]) != AT_BARRIER:
        if int(warp["state"]) == WAITING and not runs:
            runs = "another chip's answer"
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
    spot = plan.program.spot_of(plan.program.index_of(pc))
    source, kernel = source_of(plan, spot), plan.program.kernel.name
    return WarpPlace(
        block, index, lanes_in(mask), spot.offset, source, waits_for, kernel, plan.chip, function=spot.callee
    )


def deliver(plan: Plan) -> None:
    """Hand the events gathered so far to the observers."""
    count = int(plan.launch["event_count"][0])
    plan.launch["event_count"] = 0
    if count:
        program = plan.program
        batch = Batch(
            program.kernel,
            program.decoded,
            plan.shape.grid,
            plan.shape.block,
            plan.chip,
            plan.number,
            plan.events[:count].copy(),
            program.pieces,
        )
        for observer in plan.observers:
            observer.executed(batch)
