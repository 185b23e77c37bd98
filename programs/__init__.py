"""Kernels shipped with the emulator: each an assembly text, a numpy reference, a launch helper and a launch file.

    from m890 import Chip
    from m890.programs import saxpy
    saxpy.launch(Chip(), 2.0, x, y)

`programs/NAME.s` is the kernel and `programs/NAME.toml` the launch file for `m890 run`; module `programs.NAME` has

    launch(chip, ...)      run the kernel on numpy arrays; returns numpy arrays
    reference(...)         the same result computed by numpy, to the bit

and the like for every further kernel of the text. `programs/include/` holds macros for kernels of your own; `.include`
finds them by name.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ..isa.assembler import assemble
from ..isa.program import Module

if TYPE_CHECKING:
    from ..emulator.chip import Chip, LoadedModule

FOLDER = Path(str(files(__name__)))
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.s")))
"""The programs."""


def path(name: str, suffix: str = ".s") -> Path:
    """The file of a program: its text, or with another suffix what lies beside it. Raises KeyError."""
    if name not in NAMES:
        raise KeyError(f"no program is called {name!r}; there are {', '.join(NAMES)}")
    return FOLDER / f"{name}{suffix}"


def source(name: str) -> str:
    """The assembly text of a program."""
    return path(name).read_text(encoding="utf-8")


@cache
def module(name: str, arch: str = "ppu0015") -> Module:
    """A program, assembled, for `arch` unless its text says for which; its kernels are named in the text."""
    return assemble(source(name), str(path(name)), arch=arch)


def load(chip: Chip, name: str) -> LoadedModule:
    """A program on a chip, ready for `load(chip, "saxpy")["saxpy_x4"][grid, block](...)`."""
    return chip.load(module(name, chip.profile.arch))


__all__ = ["FOLDER", "NAMES", "load", "module", "path", "source"]
