"""What a programmer may write out of habit, from PTX or another assembler, and what it is called here."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from .diagnostics import nearest

INSTRUCTIONS = {
    "bar.sync": "s.blksyn",
    "bar": "s.bar",
    "barrier.sync": "s.blksyn",
    "barrier": "s.blksyn",
    "__syncthreads": "s.blksyn",
    "__threadfence": "vmem.fence.gpu",
    "__threadfence_block": "vmem.fence.blk",
    "__threadfence_system": "vmem.fence.sys",
    "__shfl_sync": "v.shuffle.idx.b32",
    "__shfl_up_sync": "v.shuffle.up.b32",
    "__shfl_down_sync": "v.shuffle.down.b32",
    "__shfl_xor_sync": "v.shuffle.bfly.b32",
    "__ballot_sync": "v.vote.ballot.b32",
    "__any_sync": "v.vote.any",
    "__all_sync": "v.vote.all",
    "__match_any_sync": "v.match.any.b32",
    "__activemask": "v.activemask.b32",
    "__popc": "v.popc.b32",
    "__clz": "v.clz.b32",
    "__brev": "v.brev.b32",
    "__ldg": "vmem.ld.b32",
    "printf": "v.print",
    "assert": "v.assert",
    "return": "simt.exit",
    "atomicAdd": "vmem.atom.add",
    "atomicSub": "vmem.atom.add",
    "atomicMin": "vmem.atom.min",
    "atomicMax": "vmem.atom.max",
    "atomicInc": "vmem.atom.inc.u32",
    "atomicDec": "vmem.atom.dec.u32",
    "atomicAnd": "vmem.atom.and",
    "atomicOr": "vmem.atom.or",
    "atomicXor": "vmem.atom.xor",
    "atomicExch": "vmem.atom.exch",
    "atomicCAS": "vmem.atom.cas",
    "atom.shared": "tsm.atom",
    "atom.global": "vmem.atom",
    "atom": "vmem.atom",
    "red.shared": "tsm.red",
    "red.global": "vmem.red",
    "red": "vmem.red",
    "bra": "s.cbr",
    "brx": "simt.cbr.ind",
    "call": "s.call",
    "jmp": "s.cbr",
    "ld.global": "vmem.ld",
    "st.global": "vmem.st",
    "ld.shared": "tsm.ld",
    "st.shared": "tsm.st",
    "ld.local": "vmem.ga.p.ld",
    "st.local": "vmem.ga.p.st",
    "ld.const": "smem.ld",
    "ld": "vmem.ld",
    "st": "vmem.st",
    "prefetch": "vmem.prefetch",
    "cp.async": "vmem.ld.tsm",
    "cp.async.commit_group": "vmem.acp.commit.grp",
    "cp.async.wait_group": "s.wait",
    "cp.async.wait_all": "s.wait",
    "cp.async.bulk.tensor": "vmem.aiu.ld.tsm",
    "mbarrier": "tsm.awbar",
    "membar.gl": "vmem.fence.gpu",
    "membar.cta": "vmem.fence.blk",
    "membar.sys": "vmem.fence.sys",
    "membar": "vmem.fence",
    "fence": "vmem.fence",
    "ret": "simt.exit",
    "exit": "simt.exit",
    "endpgm": "s.exit",
    "nop": "s.nop",
    "trap": "s.trap",
    "brkpt": "s.brkpt",
    "nanosleep": "s.sleep",
    "shfl": "v.shuffle",
    "vote": "v.vote",
    "redux": "v.red",
    "activemask": "v.activemask",
    "setp": "v.cmp",
    "set": "v.cmp",
    "selp": "v.csel",
    "slct": "v.csel",
    "cvt": "v.cnvt",
    "mul.lo": "v.mull",
    "mul.hi": "v.mulh",
    "mul.wide": "v.mulw",
    "mad.lo": "v.madl",
    "mad.hi": "v.madh",
    "mad.wide": "v.madw",
    "mad": "v.fma",
    "mul.i32": "v.mull.i32",
    "mul.u32": "v.mull.i32",
    "shl": "v.shll",
    "shr.s32": "v.shra.i32",
    "shr": "v.shrl",
    "prmt": "v.byte.prmt",
    "ex2": "v.exp2",
    "lg2": "v.log2",
    "mma": "v.mma",
    "wmma": "v.mma",
    "ldmatrix": "tsm.ld.mat",
    "s.barrier": "s.blksyn",
    "s.branch": "s.cbr",
    "s.waitcnt": "s.wait",
}
"""The name out of habit, or what it begins with, to the mnemonic here, or what that begins with.

A unit (`v.`, `s.`) before the name is passed over, and what keeps its name (`add` is `v.add`) is not listed.
"""
ADVICE = {
    "@": "here no instruction has a predicate: s.cbr.nz mask, label takes the whole warp, simt.rcbr mask, label "
    "the lanes of a mask, and s.lop.emsk switches lanes off",
    "cvta": "leave it out: a pointer is an address of global memory as it is, TSM has offsets of its own",
    "ld.param": "leave it out: a parameter's name is its register; smem.ld reads one that has none",
    "__syncwarp": "leave it out: the lanes of a path go on together",
    "ssy": "leave it out: paths of lanes join by themselves where they meet",
    "bssy": "leave it out: paths of lanes join by themselves where they meet",
    "bsync": "leave it out: paths of lanes join by themselves where they meet",
}
"""What has no one instruction here: the name, or what it begins with, to what to do instead."""
NAMES = {
    "%ctaid": "%blkid",
    "%nctaid": "%nblkid",
    "%smid": "%cuid",
    "%nsmid": "%ncuid",
    "%lane": "%laneid",
    "%clock": "%clock64",
    "%dynamic_smem_size": "%tsmsize",
    "%total_smem_size": "%tsmsize",
    "threadIdx": "%tid",
    "blockIdx": "%blkid",
    "blockDim": "%ntid",
    "gridDim": "%nblkid",
}
"""A register out of habit, without its axis, to the one here."""
_TYPES = {"s8": "i8", "s16": "i16", "s32": "i32", "s64": "i64", "lo": "", "b1": ""}
_SIGNED = {"i": "isub", "u": "uibs", "f": "fb", "b": "b"}
"""Kinds of types that do instead of one, the best first."""
_ROUNDINGS = {
    "rn": "rtte", "rz": "rtz", "rm": "rtn", "rp": "rtp", "rna": "rtta",
    "rni": "rtte", "rzi": "rtz", "rmi": "rtn", "rpi": "rtp",
}  # fmt: skip
_DROPPED = frozenset(
    ("approx", "full", "sync", "aligned", "global", "shared", "cta", "uni", "wide", "nc", "ca", "cg", "weak", "relaxed")
)
_SHAPE = re.compile(r"m[0-9]+n[0-9]+k[0-9]+")
"""What stands behind the types here."""
_LAST = ("sat", "ftz", "volatile")
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
    goes_on = [name for name in mnemonics if name.startswith(f"{operation}.")]
    if goes_on:
        return f"did you mean {' or '.join(goes_on[:3])}?"
    if operation.startswith("@"):
        return ADVICE["@"]
    unit, bare = (parts[0], parts[1:]) if parts[0] in ("s", "v") and len(parts) > 1 else ("", parts)
    known = any(name.startswith(f"{unit}.{bare[0]}.") for name in mnemonics) if unit else False
    for end in range(len(bare), 0, -1):
        name = ".".join(bare[:end])
        if name in ADVICE:
            return ADVICE[name]
        here = INSTRUCTIONS.get(f"{unit}.{name}" if unit else name) or INSTRUCTIONS.get(name)
        if here is not None and not (known and end < len(bare) and end == 1):
            return _here(here, bare[end:], mnemonics, unit)
    if not unit and any(name.startswith(f"v.{bare[0]}.") for name in mnemonics):
        return _here(f"v.{bare[0]}", bare[1:], mnemonics, unit)
    return nearest(operation, [*mnemonics, *macros])


def _here(here: str, rest: Sequence[str], mnemonics: Collection[str], unit: str) -> str:
    """What `here` is with the rest of a name out of habit, as far as that exists."""
    if unit == "s" and any(name.startswith(f"s{here[1:]}") for name in mnemonics):
        here = f"s{here[1:]}"
    wanted = _translated(rest)
    if here.rpartition(".")[2] in SIGNLESS:
        wanted = [f"i{part[1:]}" if part in ("u32", "u64") else part for part in wanted]
    begins = [name for name in mnemonics if name == here or name.startswith(f"{here}.")]
    begins.sort(key=lambda name: name.count("."))
    places = {name: place for place, name in enumerate(begins)}
    scores = {name: _likeness(name[len(here) + 1 :].split("."), wanted) for name in begins}
    best = max(begins, key=lambda name: (scores[name], -name.count("."), -places[name]))
    if here in begins and scores[best] == scores[here]:
        best = here
    if scores[best] > 0 or best == here:
        return f"here it is {best}"
    return f"here it is {here}: {', '.join(begins[:3])}{', ...' if len(begins) > 3 else ''}"


def _translated(rest: Sequence[str]) -> list[str]:
    """The parts of a name out of habit as they are called and ordered here."""
    parts = [_TYPES.get(part, part) for part in rest if part not in _DROPPED]
    count = next((part[1:] for part in parts if part in ("v2", "v4")), "")
    if count:
        parts = [f"b{part[1:]}x{count}" if part[1:] in ("32",) else part for part in parts if part != f"v{count}"]
    rounding = [_ROUNDINGS[part] for part in parts if part in _ROUNDINGS]
    shape = [part for part in parts if _SHAPE.fullmatch(part)]
    last = [part for part in _LAST if part in parts]
    elsewhere = {"", *_ROUNDINGS, *_LAST, *shape}
    return [part for part in parts if part not in elsewhere] + shape + rounding + last


def _likeness(parts: Sequence[str], wanted: Sequence[str]) -> float:
    """How much of what is wanted stands in parts, in order; another type of the same width counts less."""
    best = [[0.0] * (len(wanted) + 1) for _ in range(len(parts) + 1)]
    for i, part in enumerate(parts):
        for j, other in enumerate(wanted):
            best[i + 1][j + 1] = max(best[i][j + 1], best[i + 1][j], best[i][j] + _alike(part, other))
    return best[-1][-1]


def _alike(part: str, wanted: str) -> float:
    """1 for the same part, less for a type that does instead, 0 for another."""
    if part == wanted:
        return 1.0
    if part[1:] == wanted[1:] and wanted[:1] in _SIGNED and wanted[1:].isdigit() and part[:1] in _SIGNED[wanted[0]]:
        return 0.9 - 0.1 * _SIGNED[wanted[0]].index(part[0])
    return 0.0


def name_hint(name: str) -> str:
    """What a register out of habit, `threadIdx.x` or `%ctaid.x`, is called here; nothing if it is none."""
    base, dot, axis = name.partition(".")
    if base in NAMES:
        return f"here it is {NAMES[base]}{dot}{axis}"
    if name in ("warpSize", "WARP_SZ", "%warpsize"):
        return "a warp has 32 lanes: write 32"
    if re.fullmatch("%(r|rd|f|fd|p|h)[0-9]+", name):
        return "registers are vreg0 to vreg255, one value a lane, and sreg0 to sreg191, one for the warp"
    return ""


def directive_hint(operation: str, directives: Collection[str], macros: Collection[str] = ()) -> str:
    """What to write instead of a directive that does not exist."""
    here = DIRECTIVES.get(operation)
    return f"here it is {here}" if here else nearest(operation, [*directives, *macros])
