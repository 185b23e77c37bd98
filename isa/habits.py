"""What a programmer may write out of habit, from PTX or another assembler, and what it is called here."""

from __future__ import annotations

from collections.abc import Collection

from .diagnostics import nearest

INSTRUCTIONS = {
    "bar.sync": "s.blksyn",
    "barrier.sync": "s.blksyn",
    "__syncthreads": "s.blksyn",
    "bra": "s.cbr",
    "@p": "s.cbr.nz",
    "jmp": "s.cbr",
    "ld.global": "vmem.ld",
    "st.global": "vmem.st",
    "ld.shared": "tsm.ld",
    "st.shared": "tsm.st",
    "ld.param": "smem.ld",
    "ld.const": "smem.ld",
    "membar": "vmem.fence",
    "fence": "vmem.fence",
    "ret": "simt.exit",
    "exit": "simt.exit",
    "endpgm": "s.exit",
    "nop": "s.nop",
    "trap": "s.trap",
    "shfl": "v.shuffle",
    "shfl.sync": "v.shuffle",
    "vote": "v.vote",
    "vote.sync": "v.vote",
    "match": "v.match",
    "redux": "v.red",
    "redux.sync": "v.red",
    "activemask": "v.activemask",
    "setp": "v.cmp",
    "selp": "v.csel",
    "cvt": "v.cnvt",
    "mov": "v.mov",
    "add": "v.add",
    "sub": "v.sub",
    "mul.lo": "v.mull",
    "mul.hi": "v.mulh",
    "mul.wide": "v.mulw",
    "mad.lo": "v.madl",
    "mad.wide": "v.madw",
    "mul": "v.mul",
    "fma": "v.fma",
    "min": "v.min",
    "max": "v.max",
    "shl": "v.shll",
    "and": "v.and",
    "or": "v.or",
    "xor": "v.xor",
    "not": "v.not",
    "v.mul.lo": "v.mull",
    "v.mul.i32": "v.mull.i32",
    "v.mul.u32": "v.mull.i32",
    "s.mul.i32": "s.mull.i32",
    "s.mul.u32": "s.mull.i32",
    "v.fma.f32": "v.fma.f32.rtte",
    "v.shl": "v.shll",
    "s.shl": "s.shll",
    "s.barrier": "s.blksyn",
    "s.branch": "s.cbr",
    "s.waitcnt": "s.wait",
}
"""The name out of habit, or what it begins with, to the mnemonic here, or what that begins with."""
DIRECTIVES = {
    ".shared": ".tsm",
    ".local": ".private",
    ".entry": ".kernel",
    ".visible": ".globl",
    ".target": ".arch",
    ".version": ".arch",
    ".cpu": ".arch",
    ".args": ".param",
    ".const": ".data",
    ".rodata": ".data",
    ".maxnreg": ".vregs",
    ".define": ".equ",
    ".int": ".word",
    ".long": ".word",
    ".short": ".half",
    ".hword": ".half",
    ".string": ".asciz",
    ".skip": ".space",
    ".balign": ".align",
    ".p2align": ".align",
    ".elif": ".elseif",
    ".endmacro": ".endm",
    ".rep": ".rept",
}
"""A directive of other assemblers to the one here."""
SIGNLESS = ("add", "sub", "mull", "madl")
"""Operations whose result has the same bits for signed and unsigned numbers; their names end in `i32` or `i64`."""


def instruction_hint(operation: str, mnemonics: Collection[str], macros: Collection[str] = ()) -> str:
    """What to write instead of an instruction that does not exist."""
    parts = operation.split(".")
    if parts[-1] in ("u32", "u64") and len(parts) > 2 and parts[1] in SIGNLESS:
        signed = ".".join([*parts[:-1], f"i{parts[-1][1:]}"])
        if signed in mnemonics:
            return f"write {signed}: the sign does not matter"
    for end in range(len(parts), 0, -1):
        here = INSTRUCTIONS.get(".".join(parts[:end]))
        if here is None or (here in mnemonics and end < len(parts) and parts[0] in ("s", "v")):
            continue
        exact = ".".join([here, *parts[end:]])
        if exact in mnemonics:
            return f"here it is {exact}"
        if here in mnemonics:
            return f"here it is {here}"
        begins = [name for name in mnemonics if name.startswith(f"{here}.")]
        alike = [name for name in begins if name.rpartition(".")[2][1:] == parts[-1][1:]]
        shown = (alike or begins)[:3]
        return f"here it is {here}: {', '.join(shown)}{', ...' if len(alike or begins) > 3 else ''}"
    return nearest(operation, [*mnemonics, *macros])


def directive_hint(operation: str, directives: Collection[str], macros: Collection[str] = ()) -> str:
    """What to write instead of a directive that does not exist."""
    here = DIRECTIVES.get(operation)
    return f"here it is {here}" if here else nearest(operation, [*directives, *macros])
