"""A chip of a pod between two meetings with the others: quanta, and at each border what has arrived. Compiled.

Plain functions over raw structs, compiled as one object by `compiler`.
"""

from __future__ import annotations

WINDOW, UNKNOWN_WORD = 110, 111
"""Why `run` returns, beside the codes of Stop and those of core: `until` is reached; a word of an ATOMIC is new."""


def run(chip_address: int) -> int:
    """Run the CHIP at an address to `until`: WINDOW, or before that why Python is needed; call it again to go on.

    At every border before `until` the chip takes in what has arrived by then: requests act on its memory and are
    answered by packets of the time at which they arrived, answers wake warps. Then it runs `quantum` instructions. A
    chip without a launch, or all of whose warps wait, goes on at the next border at which something has arrived.

    Beside WINDOW it returns: the codes of Stop that need Python (COMPILE, PRINT, FAULT, TRAP, EVENTS), with the quantum
    interrupted; core.DONE, the launch has ended and all it sent is answered (`time` is the border behind it; set
    `launch` to 0 or to the next one); core.DEADLOCK, no warp can ever go on; UNKNOWN_WORD, `unknown` must be learned.

    What the chip sends stands in the outbox, in the order of `seq`; empty it (`outbox_count` = 0) before the next
    window. What was not taken in (`inbox_next` on) for want of room there must stand first in the next inbox.
    """
    raise NotImplementedError("in the works")
