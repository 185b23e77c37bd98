"""What the tests of object files share: a module with everything in it, and a way to compare modules."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from m890.isa import objectfile
from m890.isa.assembler import assemble
from m890.isa.program import Kernel, Line, MacroCall, Module, lay_out

CALLED = (MacroCall("wait", "inc/all.inc", 7), MacroCall("all", "src/saxpy.s", 4))


def sample() -> Module:
    """Two kernels that share label and file names, data, and lines from two files."""
    saxpy = Kernel(
        "saxpy",
        np.arange(40, dtype=np.uint64),
        vregs=3,
        tsm=1024,
        private=64,
        maxntid=(256, 1, 1),
        reqntid=(128, 2, 1),
        params=lay_out([("n", "u32", 1), ("a", "f32", 1), ("x", "ptr", 1), ("table", "u8", 7)]),
        labels={"saxpy": 0, "loop": 16, "end": 320},
        lines=(
            Line(0, "src/saxpy.s", 5),
            Line(8, "src/saxpy.s", 6),
            Line(16, "inc/wait.inc", 100_000),
            Line(16, "inc/wait.inc", 2, CALLED),
            Line(24, "inc/wait.inc", 3, CALLED[1:]),
            Line(304, "src/saxpy.s", 1),
        ),
    )
    other = Kernel(
        "other.1", np.array([2**64 - 1], np.uint64), labels={"loop": 0}, lines=(Line(0, "inc/wait.inc", 3, CALLED[1:]),)
    )
    return Module("ppu0015", {"saxpy": saxpy, "other.1": other}, b"hello", {"hi": 0, "l": 2, "l2": 2, "end": 5})


def plain(module: Module) -> Any:
    """The module with nothing in it that compares by element."""
    code = [
        [
            (name, value.dtype.str, value.tolist()) if isinstance(value, np.ndarray) else (name, value)
            for name in [field.name for field in fields(kernel)]
            for value in [getattr(kernel, name)]
        ]
        for kernel in [*module.kernels.values(), *module.functions.values()]
    ]
    data = module.data, module.data_symbols, module.data_relocations, module.data_alignment
    return module.arch, list(module.kernels), list(module.functions), code, data, module.exported


def linkable() -> Module:
    """A module with functions, relocations of every kind, and names that others define."""
    return assemble(LINKABLE, "f.s")


LINKABLE = """
        .extern sine, numbers
        .globl  twice, table
        .func   twice
        v.add.i32 vreg0, vreg0, vreg0
loop:   s.cbr   loop
        s.ret   sreg[38:39]
        .func   hidden
        s.call  sreg[38:39], sine
        s.call  sreg[38:39], twice + 8
        .kernel k
        .param  ptr x
        s.mov.b32 sreg50, lo(hidden)
        s.mov.b32 sreg51, hi(hidden)
        s.mov.b32 sreg52, lo(numbers - 8)
        s.call  sreg[38:39], sreg[50:51]
        simt.exit
        .data
        .byte   1
        .align  512
table:  .quad   hidden, sine + 8, table
        .word   lo(table + 4), hi(twice)
"""

GOOD = objectfile.write(sample())
