"""A module from a file the user names: an object is read, anything else is assembled."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..emulator.profiles import PROFILES, Profile, profile
from ..isa.assembler import assemble
from ..isa.diagnostics import Diagnostic
from ..isa.objectfile import read
from ..isa.program import Kernel, Module
from .exits import InputError, Mistake
from .output import complain, diagnostic_text

ELF = b"\x7fELF"


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """A file's bytes; `-` is stdin."""
    if str(path) == "-":
        return sys.stdin.buffer.read()
    if Path(path).exists() and not Path(path).is_file():
        raise InputError(f"{path}: not a regular file")
    return Path(path).read_bytes()


def load_module(
    path: str | os.PathLike[str],
    include: Sequence[str] = (),
    defines: Mapping[str, str | int] | None = None,
    warn: Callable[[Diagnostic], None] | None = None,
    arch: str = "ppu0015",
) -> Module:
    """The module of an object file or a source text, which is for `arch` unless it says `.arch`.

    Raises AssemblyError, ObjectError, InputError, OSError.
    """
    data = read_bytes(path)
    return read(data, str(path)) if data.startswith(ELF) else assemble_bytes(data, path, include, defines, warn, arch)


def assemble_bytes(
    data: bytes,
    path: str | os.PathLike[str],
    include: Sequence[str] = (),
    defines: Mapping[str, str | int] | None = None,
    warn: Callable[[Diagnostic], None] | None = None,
    arch: str = "ppu0015",
) -> Module:
    """Assemble the source text in `data`; warnings go to stderr unless `warn` takes them."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: neither an object file nor UTF-8 text: byte {error.start} is {data[error.start]:#04x}"
        ) from None
    name = "<stdin>" if str(path) == "-" else str(path)
    folders = [Path(folder) for folder in include]
    return assemble(text, name, include=folders, defines=defines, warn=warn or print_warning, arch=arch)


def print_warning(diagnostic: Diagnostic) -> None:
    """Print a warning of the assembler to stderr."""
    complain(diagnostic_text(diagnostic), label="")


def parse_define(text: str) -> tuple[str, str | int]:
    """`NAME=VALUE`, or `NAME` for 1, of `-D`; ValueError."""
    name, equals, value = text.partition("=")
    if not name.strip():
        raise ValueError(f"'{text}' names no symbol: write NAME=VALUE")
    return name.strip(), value if equals else 1


def find_profile(name: str, folder: Path = Path()) -> Profile:
    """A built-in profile by name, or a user's by its .toml file. Raises ValueError, InputError, OSError."""
    if not name.endswith(".toml"):
        return profile(name)
    try:
        return Profile.from_toml(folder / name)
    except ValueError as error:
        raise InputError(str(error)) from None


def architecture(chip: str) -> str:
    """The architecture of the chip that the flag --chip names. Raises Mistake, InputError, OSError."""
    try:
        return find_profile(chip).arch
    except ValueError as error:
        raise error if isinstance(error, InputError) else Mistake(f"--chip: {error}") from None


def check_architecture(module: Module, path: str | os.PathLike[str], chip: Profile) -> None:
    """Refuse a module made for another kind of chip; InputError."""
    if module.arch != chip.arch:
        fitting = [name for name, one in PROFILES.items() if one.arch == module.arch]
        hint = f"run it with --chip {fitting[0]}, or write" if fitting else "write"
        raise InputError(f"{path}: is for {module.arch}, but {chip.name} is {chip.arch}: {hint} .arch {chip.arch}")


def pick_kernel(module: Module, name: str | None, path: str | os.PathLike[str]) -> Kernel:
    """The kernel called `name`, or the only one; ValueError."""
    kernels = module.kernels
    if name is None and len(kernels) == 1:
        return next(iter(kernels.values()))
    if not kernels:
        raise ValueError(f"{path} has no kernels: begin one with .kernel NAME")
    if name is None:
        raise ValueError(f"{path} has several kernels: say which, {', '.join(kernels)}")
    if name not in kernels:
        raise ValueError(f"{path} has no kernel '{name}': {nearest_of(name, kernels)}")
    return kernels[name]


def nearest_of(name: str, names: Mapping[str, Any]) -> str:
    """`did you mean 'x'?`, or all there are."""
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=1)
    return f"did you mean '{near[0]}'?" if near else f"there is {', '.join(names) or 'none'}"
