"""What the instructions are: words, text and meaning, in plain Python and numpy."""

from . import (
    aiu,
    atomics,
    awbar,
    bits,
    calls,
    control,
    convert,
    copies,
    cross_lane,
    division,
    extended,
    floating,
    integer,
    matrix_loads,
    memory,
    mixed,
    moves,
    packed,
    packing,
    special,
    sync,
    tensor,
)
from .spec import ISA, DecodeError, Form, Instruction

ISA.check()

FAMILIES = (
    control,
    calls,
    sync,
    moves,
    integer,
    extended,
    division,
    bits,
    floating,
    special,
    packed,
    mixed,
    convert,
    packing,
    cross_lane,
    memory,
    atomics,
    copies,
    aiu,
    awbar,
    tensor,
    matrix_loads,
)
"""The modules that fill the table, in the manual's order."""

__all__ = ["FAMILIES", "ISA", "DecodeError", "Form", "Instruction"]
