"""What a piece of compiled code depends on, as one hash: the reason cached machine code is never stale.

The hash of a function covers its bytecode, constants, defaults, closure values and, recursively, every
function and value of this package it names, by value and not by file, so editing one instruction leaves the
others' machine code valid. The modules that turn functions into machine code are covered as whole files, with
the versions of Python, numpy, numba and llvmlite and the host's processor.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import llvmlite.binding as llvm
import numpy as np

PACKAGE = __name__.split(".")[0]
_ROOMS = Path(__file__).parents[2]
LOWERING = (
    *(f"emulator/codegen/{name}.py" for name in (
        "lowering", "lowering_copies", "lowering_elementary", "lowering_matrix", "matrix_formats", "lowering_memory",
        "lowering_raw", "lowering_rows", "lowering_scaled",
        "compiler", "glue", "glue_addresses", "glue_copies", "glue_frame", "recipes",
    )),
    *(f"emulator/machine/{name}.py" for name in ("primitives", "state", "structs", "wire", "flights")),
    *(f"isa/{name}.py" for name in ("lanes", "formats", "effects", "exceptions", "registers", "swizzle")),
)  # fmt: skip
"""Files that every compiled object depends on: what turns bodies into code, and the kinds and codes it builds in."""


@cache
def environment() -> str:
    """Everything outside a function's own source that its machine code depends on."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numba", "llvmlite", "numpy")]
    features = llvm.get_host_cpu_features().flatten()
    return "\n".join([sys.version, *versions, llvm.get_host_cpu_name(), features, _AT_IMPORT])


def sources() -> str:
    """A hash of the files that turn functions into machine code, as they are on disk now."""
    return hashlib.sha256(b"".join((_ROOMS / name).read_bytes() for name in LOWERING)).hexdigest()


_AT_IMPORT = sources()


def unchanged() -> bool:
    """Whether those files are what they were when this process started: what it compiles may be kept only then."""
    return sources() == _AT_IMPORT


def fingerprint(*parts: Any) -> str:
    """A hexadecimal key for functions and plain values together with the environment."""
    digest = hashlib.sha256(environment().encode())
    seen: set[int] = set()
    for part in parts:
        _add(digest, part, seen)
    return digest.hexdigest()[:40]


def _add(digest: Any, value: Any, seen: set[int]) -> None:
    value = getattr(value, "__wrapped__", value)  # a function that keeps its results
    if isinstance(value, FunctionType):
        _add_function(digest, value, seen)
    elif isinstance(value, tuple | list):
        digest.update(f"({len(value)}".encode())
        for item in value:
            _add(digest, item, seen)
    elif isinstance(value, np.dtype):
        digest.update(repr((value.descr, value.itemsize)).encode())
    elif isinstance(value, ModuleType):
        digest.update(value.__name__.encode())
    elif isinstance(value, type):
        digest.update(f"{value.__module__}.{value.__qualname__}{getattr(value, 'dtype', '')}".encode())
    else:
        text = repr(value)
        assert " at 0x" not in text, f"{text} has no value that is the same in every process"
        digest.update(f"{type(value).__name__}:{text};".encode())


def _add_function(digest: Any, function: FunctionType, seen: set[int]) -> None:
    digest.update(function.__qualname__.encode())
    if id(function) in seen:
        return
    seen.add(id(function))
    _add_code(digest, function.__code__, seen, function.__doc__)
    _add(digest, function.__defaults__ or (), seen)
    for cell in function.__closure__ or ():
        _add(digest, cell.cell_contents, seen)
    for name in sorted(_names(function.__code__)):
        value = function.__globals__.get(name, _MISSING)
        if isinstance(value, FunctionType) and not value.__module__.startswith(PACKAGE):
            value = value.__qualname__
        if value is not _MISSING:
            digest.update(name.encode())
            _add(digest, value, seen)


def _add_code(digest: Any, code: CodeType, seen: set[int], docstring: str | None = None) -> None:
    digest.update(code.co_code)
    digest.update(repr((code.co_names, code.co_varnames, code.co_argcount)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _add_code(digest, constant, seen)
        elif docstring is None or constant != docstring:
            digest.update(f"{constant!r};".encode())


def _names(code: CodeType) -> set[str]:
    nested = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*[_names(inner) for inner in nested])


_MISSING = object()
