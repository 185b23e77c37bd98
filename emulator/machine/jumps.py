"""Code addresses: from where a call or an indirect branch wants to go to the record there; compiled by itself."""

from __future__ import annotations

from ...isa.exceptions import INVALID_CANDIDATE_MASK, INVALID_INSTRUCTION, KI_OUT_OF_RANGE
from ...isa.lanes import LANES
from ...isa.program import CODE_BASE, TEXT_BASE
from .primitives import launch_at, read32, read64, warp_at
from .resolve import ADDRESS
from .state import EMSK_ROW, RECORD_SIZE, STOP_FAULT


def jump(base: int, record_address: int, mask: int) -> int:
    """The record at the code address that the lanes of mask have in the warp's addresses; or STOP + FAULT."""
    warp = warp_at(base)
    launch = launch_at(warp.launch)
    address, apart = read64(base + ADDRESS), 0
    if mask == 0:
        return record_address + RECORD_SIZE
    if mask != 1:  # not one for the warp: one per lane
        for lane in range(LANES - 1, -1, -1):
            if mask >> lane & 1:
                address = read64(base + ADDRESS + 8 * lane)
        for lane in range(LANES):
            if mask >> lane & 1 and read64(base + ADDRESS + 8 * lane) != address:
                apart |= 1 << lane
    code, record = INVALID_INSTRUCTION, launch.start + ((address - CODE_BASE) >> 3) * RECORD_SIZE
    if address >= TEXT_BASE and address < TEXT_BASE + 8 * launch.text_words:
        record = launch.program + ((address - TEXT_BASE) >> 3) * RECORD_SIZE
    elif address < CODE_BASE or address >= CODE_BASE + 8 * launch.kernel_words:
        code = KI_OUT_OF_RANGE
    if apart == 0 and code != KI_OUT_OF_RANGE and address & 7 == 0:
        return record
    warp.fault, warp.fault_pc = INVALID_CANDIDATE_MASK if apart != 0 else code, record_address
    warp.fault_lanes = apart if apart != 0 else read32(base + EMSK_ROW)
    return STOP_FAULT
