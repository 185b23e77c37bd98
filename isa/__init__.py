"""What the instructions are: words, text and meaning, in plain Python and numpy."""

from . import bits, control, convert, floating, integer, memory, mixed, moves, packed, packing
from .spec import ISA, DecodeError, Form, Instruction

ISA.check()

FAMILIES = (control, moves, integer, bits, floating, mixed, packed, convert, packing, memory)
"""The modules that fill the table, in the manual's order."""

__all__ = ["FAMILIES", "ISA", "DecodeError", "Form", "Instruction"]
