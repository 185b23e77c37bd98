"""The slow model: one block in plain Python integers, written from the manual and not from the bodies.

`machine` holds the state and runs it, `meaning` turns a decoded word into a step, and one module per family says what
its instructions do: a function for each mnemonic, or for each family of mnemonics.
"""

from . import (
    aiu,
    atomics,
    awbar,
    bits,
    control,
    convert,
    copies,
    cross_lane,
    extended,
    floating,
    integer,
    matrix,
    matrix_loads,
    memory,
    moves,
    packed,
    special,
    sync,
)
from .machine import Block, Fault, Launch, Memory, Warp
from .meaning import MEANINGS, decode, step_of

__all__ = [
    "MEANINGS",
    "Block",
    "Fault",
    "Launch",
    "Memory",
    "Warp",
    "aiu",
    "atomics",
    "awbar",
    "bits",
    "control",
    "convert",
    "copies",
    "cross_lane",
    "decode",
    "extended",
    "floating",
    "integer",
    "matrix",
    "matrix_loads",
    "memory",
    "moves",
    "packed",
    "special",
    "step_of",
    "sync",
]
