"""The Zhenwu M890 and 810E AI chips, emulated instruction by instruction, bit-exact and deterministic.

import m890
chip = m890.Chip("M890")
x = chip.to_device(array)
chip.load("saxpy.hgbin")["saxpy"][grid, block](n, 2.0, x, y)
x.copy_to_host()
"""

from .emulator.buffers import Buffer
from .emulator.chip import Chip, LoadedKernel, LoadedModule
from .emulator.faults import Deadlock, Fault, LaunchError, M890Error, MemoryLimit, Timeout
from .emulator.launch import Limits, Schedule
from .emulator.profiles import PROFILES, Profile, profile
from .isa import ISA
from .isa.assembler import AssemblyError, assemble
from .isa.objectfile import ObjectError
from .isa.program import Kernel, Module

__version__ = "0.1.0"
__all__ = [
    "ISA",
    "PROFILES",
    "AssemblyError",
    "Buffer",
    "Chip",
    "Deadlock",
    "Fault",
    "Kernel",
    "LaunchError",
    "Limits",
    "LoadedKernel",
    "LoadedModule",
    "M890Error",
    "MemoryLimit",
    "Module",
    "ObjectError",
    "Profile",
    "Schedule",
    "Timeout",
    "assemble",
    "profile",
]
