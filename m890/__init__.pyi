from .emulator.buffers import Buffer as Buffer
from .emulator.chip import Chip as Chip
from .emulator.chip import LoadedKernel as LoadedKernel
from .emulator.chip import LoadedModule as LoadedModule
from .emulator.faults import Deadlock as Deadlock
from .emulator.faults import Fault as Fault
from .emulator.faults import LaunchError as LaunchError
from .emulator.faults import M890Error as M890Error
from .emulator.faults import MemoryLimit as MemoryLimit
from .emulator.faults import Timeout as Timeout
from .emulator.hbm import HostMemory as HostMemory
from .emulator.launch import Limits as Limits
from .emulator.observe import InstructionCount as InstructionCount
from .emulator.observe import Tracer as Tracer
from .emulator.plan import Schedule as Schedule
from .emulator.printing import Console as Console
from .emulator.profiles import PROFILES as PROFILES
from .emulator.profiles import Profile as Profile
from .emulator.profiles import profile as profile
from .isa import ISA as ISA
from .isa.assembler import AssemblyError as AssemblyError
from .isa.assembler import assemble as assemble
from .isa.objectfile import ObjectError as ObjectError
from .isa.program import Kernel as Kernel
from .isa.program import Module as Module

__version__: str
