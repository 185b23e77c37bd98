"""What sweeps over all binary32 inputs have in common: the kernel that makes them, and what their record proves."""

from __future__ import annotations

import hashlib
import inspect
import io
import tokenize
from collections.abc import Iterable, Sequence
from types import FunctionType
from typing import Any, NamedTuple

from m890.emulator.codegen.compiler import is_primitive
from m890.isa import rounding
from m890.isa.lanes import Table

CHUNK, SLICE = 1 << 22, 1 << 15
"""Inputs of a launch, and of one step of numpy: what its arrays hold stays in the processor's cache."""


class Line(NamedTuple):
    """One instruction of a kernel: its mnemonic, and the registers of its result."""

    mnemonic: str
    words: int = 1


def kernel(lines: Sequence[Line]) -> str:
    """A kernel that stores what each line makes of the bits start + index * stride."""
    parameters = "\n".join(f".param ptr out{n}" for n in range(len(lines)))
    body: list[str] = []
    for n, line in enumerate(lines):
        register = f"vreg{4 + 2 * n}" if line.words == 1 else f"vreg[{4 + 2 * n}:{5 + 2 * n}]"
        width = "b32" if line.words == 1 else "b32x2"
        body.append(f"{line.mnemonic} {register}, vreg1")
        body.append(f"vmem.st.{width} {register}, [0x0 + vreg0 * {4 * line.words:#x}] @out{n}")
    text = "\n".join(body)
    return f"""
        .arch ppu0015
        .kernel sweep
        .param u32 start
        .param u32 stride
        {parameters}
sweep:  v.mov.b32 vreg0, %tid.x
        s.mull.i32 sreg60, %blkid.x, %ntid.x
        v.add.i32 vreg0, vreg0, sreg60
        v.mull.i32 vreg1, vreg0, stride
        v.add.i32 vreg1, vreg1, start
        {text}
        simt.exit
"""


# What a record is a proof of.


def proved(functions: Iterable[FunctionType], *more: Any) -> str:
    """A hash of the source of functions and of all they name in the package, comments and docstrings left out.

    Of a primitive only the name counts: what it is in machine code stands elsewhere, and other tests compare that
    with its Python. So does `narrow`, which other tests prove. Those of `rounding` are primitives on some hosts only.
    """
    found: dict[str, str] = {}
    for function in functions:
        _collect(function, found)
    lines = [f"{key} {found[key]}" for key in sorted(found)] + [repr(value) for value in more]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _collect(function: Any, found: dict[str, str]) -> None:
    name = f"{function.__module__}.{function.__qualname__}"
    if name in found:
        return
    everywhere = function.__module__ != rounding.__name__
    found[name] = "" if everywhere and is_primitive(function) else _tokens(function)
    for used in function.__code__.co_names if found[name] else ():
        value = function.__globals__.get(used)
        if isinstance(value, FunctionType) and value.__module__.startswith("m890."):
            _collect(value, found)
        elif isinstance(value, int | float | Table):
            found[f"{function.__module__}.{used}"] = repr(value)


def _tokens(function: FunctionType) -> str:
    tokens = tokenize.generate_tokens(io.StringIO(inspect.getsource(function)).readline)
    return " ".join(t.string for t in tokens if t.type in (tokenize.NAME, tokenize.NUMBER, tokenize.OP))
