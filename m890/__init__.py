"""The Zhenwu M890 and 810E AI chips, emulated instruction by instruction, bit-exact and deterministic.

import m890
chip = m890.Chip("M890")
x = chip.to_device(array)
chip.load("saxpy.hgbin")["saxpy"][grid, block](n, 2.0, x, y)
x.copy_to_host()
"""

import lazy_loader

# The public names are in __init__.pyi; a module is imported when a name of it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
