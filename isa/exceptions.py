"""What an instruction can do wrong: the vendor's exception codes with its words for them, and ours behind these.

0 to 35 are PPU_EXCEPTION_0 to PPU_EXCEPTION_35, `published` (GDB, appendix A; KI: kernel instruction). Those from 256
on are `defined`: they end a kernel on purpose.
"""

from __future__ import annotations

CODES: dict[int, str] = {}
"""The published codes: what each is called."""
DEFINED_CODES: dict[int, str] = {}
"""The same of ours."""


def _published(code: int, meaning: str) -> int:
    CODES[code] = meaning
    return code


def _defined(code: int, meaning: str) -> int:
    DEFINED_CODES[code] = meaning
    return code


INVALID_INSTRUCTION = _published(0, "Invalid instruction")
INVALID_CANDIDATE_MASK = _published(1, "Invalid SIMT candidate mask")
INVALID_BARRIER = _published(2, "Invalid barrier parameter")
INVALID_WARP_SYNC = _published(3, "Invalid warp sync")
HARDWARE_HANG = _published(4, "Hardware hang")
INVALID_VREG = _published(5, "Invalid vreg")
INVALID_SREG = _published(6, "Invalid sreg")
MISALIGNED_VREG = _published(7, "Invalid vreg alignment")
MISALIGNED_SREG = _published(8, "Invalid sreg alignment")
TSM_OUT_OF_RANGE = _published(9, "TSM out of range")
TSM_MISALIGNED = _published(10, "Invalid TSM access alignment")
OUT_OF_RANGE = _published(11, "Global mem out of range")
MISALIGNED = _published(12, "Invalid global mem access alignment")
SYSTEM_ATOMIC = _published(13, "Invalid atomic op on system mem")
AIU_TSM_SIZE = _published(14, "AIU_ld TSM size out of range")
AIU_CUBE = _published(15, "AIU_ld cube out of range")
KI_OUT_OF_RANGE = _published(16, "KI out of range")
INVALID_PA = _published(17, "Invalid PA (including c2c request)")
PAGE_WALK_INVALID_PA = _published(18, "Invalid PA on page-walk")
INVALID_PAGE = _published(19, "Invalid page")
READ_DENIED = _published(20, "Read permission violation")
WRITE_DENIED = _published(21, "Write permission violation")
EXECUTE_DENIED = _published(22, "Exec permission violation")
INVALID_VA = _published(23, "Invalid VA")
KI_INVALID_PA = _published(24, "KI invalid PA")
KI_PAGE_WALK_INVALID_PA = _published(25, "KI invalid PA on page-walk")
KI_INVALID_PAGE = _published(26, "KI invalid page")
KI_READ_DENIED = _published(27, "KI read permission violation")
KI_EXECUTE_DENIED = _published(28, "KI exec permission violation")
KI_INVALID_VA = _published(29, "KI invalid VA")
PAGE_WALK_HBM_ECC = _published(30, "Hbm ECC error on page-walk")
KI_PAGE_WALK_HBM_ECC = _published(31, "KI hbm ECC error on page-walk")
HBM_ECC = _published(32, "Hbm ECC error on data")
KI_HBM_ECC = _published(33, "KI hbm ECC error on data")
PREFETCH_ERROR = _published(34, "Prefetch_error")
INVALID_RLSU_ADDRESS = _published(35, "Invalid RLSU ld/st address")
TRAP = _defined(256, "trap")
ASSERTION = _defined(257, "assertion failed")
BREAKPOINT = _defined(258, "breakpoint")
