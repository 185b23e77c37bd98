"""What the instructions are: words, text and meaning, in plain Python and numpy."""

from . import bits, control, division, floating, integer, memory, moves, special
from .spec import ISA, DecodeError, Form, Instruction

ISA.check()

FAMILIES = (control, moves, integer, division, bits, floating, special, memory)
"""The modules that fill the table, in the manual's order."""

__all__ = ["FAMILIES", "ISA", "DecodeError", "Form", "Instruction"]
