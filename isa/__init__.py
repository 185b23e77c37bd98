"""What the instructions are: words, text and meaning, in plain Python and numpy."""

from . import bits, calls, control, floating, integer, memory, moves
from .spec import ISA, DecodeError, Form, Instruction

ISA.check()

FAMILIES = (control, calls, moves, integer, bits, floating, memory)
"""The modules that fill the table, in the manual's order."""

__all__ = ["FAMILIES", "ISA", "DecodeError", "Form", "Instruction"]
