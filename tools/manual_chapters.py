"""The manual's chapters before the instructions: what all of them share, from the tables of isa/ and emulator/."""

from __future__ import annotations

from collections.abc import Sequence

from ..emulator.faults import XIDS
from ..emulator.hbm import GUARD, window_base
from ..emulator.machine.core import TICK
from ..emulator.machine.state import OUTSTANDING, POISON, WINDOW_BITS
from ..isa import FAMILIES, ISA, fields
from ..isa.addresses import COARSE, COUNTERS, FUNCTIONS, UNIT, offset_bytes
from ..isa.callgraph import SREG_COUNTS
from ..isa.exceptions import CODES, DEFINED_CODES
from ..isa.fields import Field
from ..isa.lanes import LANES
from ..isa.numerics import ROUNDINGS
from ..isa.program import (
    CODE_BASE,
    DATA_BASE,
    KM_BASE,
    MAX_PARAMETER_BYTES,
    PRELOADED_SREGS,
    SCALAR_TYPES,
    TEXT_BASE,
    TEXT_HEAD,
)
from ..isa.registers import CLOCKS, LANE_SPECIALS, LAST_SREG, NAMED_SCALARS, UNIFORM_SPECIALS
from ..isa.suffixes import SUFFIXES, Suffix
from ..isa.tags import TAGS
from .manual_entries import chapter_of, heading_of
from .tables import table

MEANINGS = {
    "emsk": "execution mask: the lanes that execute now",
    "vcc": "a mask register, like any sreg",
    "scc": "where scalar compares usually write, like any sreg",
    "x0": "which vector register `ivreg` is",
    "c0x0": "the constant 0; read only",
    "c0x1": "the constant 1; read only",
    "%ntid": "extent of the block on this axis, in threads",
    "%blkid": "the block's coordinate in the grid",
    "%nblkid": "extent of the grid on this axis, in blocks",
    "%warpid": "number of the warp in its block",
    "%nwarpid": "warps of the block",
    "%cuid": "number of the compute unit",
    "%ncuid": "compute units of the chip",
    "%chip": "number of the chip in its pod",
    "%nchips": "chips of the pod",
    "%gridid": "number of the grid",
    "%tsmsize": "bytes of TSM the block has",
    "%clock64": "instructions the compute unit has executed",
    "%globaltimer": f"instructions the chip has executed, in steps of {TICK:,}",
    "%tid": "the thread's coordinate in its block",
    "%laneid": "number of the lane",
    "%lanemask_eq": "mask of this lane",
    "%lanemask_lt": "mask of the lanes below this one",
    "%lanemask_le": "mask of the lanes below this one, and this one",
    "%lanemask_gt": "mask of the lanes above this one",
    "%lanemask_ge": "mask of the lanes above this one, and this one",
}
"""What each named register holds; the axis of a coordinate is left out."""

SUFFIX_MEANINGS = {
    "ftz": "subnormal sources and results become zero of the same sign",
    "sat": "the result is clamped to [0, 1]; NaN becomes +0",
    "satfinite": "an infinite result becomes the largest finite number of its sign",
    "relu": "a negative result becomes +0",
    "sign": "the index is signed (inferred); without it, unsigned",
    "kp1": "cache policy; no effect on results",
    "load_order": "memory order and scope of a load",
    "store_order": "memory order and scope of a store",
    "atomic_order": "memory order and scope of an atomic; without it, relaxed",
}
TAG_MEANINGS = {
    "published": "the vendor says so, in a manual, a listing, a source file or a test",
    "measured": "someone ran it on the card and reported the result",
    "defined": "nobody has published it; this project decides",
}
FUNCTION_MEANINGS = {
    "pipe_flush": "the pipeline is empty; no effect on results",
    "vmem_wbinv": "all of `vldcnt` and `vstcnt` is complete, vector memory written back, its caches invalid",
    "smem_wbinv": "the same for scalar memory: `sldcnt` and `sstcnt`",
}
ROUNDING_MEANINGS = {
    "rtte": "to nearest, ties to even",
    "rtz": "toward zero",
    "rtn": "down, toward minus infinity",
    "rtp": "up, toward plus infinity",
    "rtta": "to nearest, ties away from zero",
}


def front() -> list[str]:
    """The chapters in order, each with its heading."""
    makers = (reading, tags, words, syntax, registers, modifiers, masks, calls, waits, memory, entry_state, exceptions)
    return [maker() for maker in makers]


def bits(field: Field) -> str:
    """`53:46`, or `37`."""
    return f"{field.high}:{field.low}" if field.width > 1 else str(field.high)


def reading() -> str:
    """How an entry is to be read."""
    return """## How to read an entry

An entry is one instruction, or several that do the same for other types, roundings or relations. Braces stand for
alternatives, as in a shell: `{s,v}.add.i32` is `s.add.i32` and `v.add.i32`. Brackets stand for what may be left out:
`v.add.f32[.ftz]`. `s.*`, `smem.*` and `simt.*` execute once a warp, all others once for every active lane.

- **Word** shows which bits hold what, bit 63 first, one pair of lines per layout. `0` or another number: the bits have
  this value. `*`: the value tells the members of the entry apart; find it in the table below. `.reuse`, `bank`, `!` and
  `abs` are single bits, one for each source named, highest first: `bank` is set where the source comes from the bank
  that is not the usual one, `!` negates and `abs` takes the absolute value.
- **word** and **with immediate** in the table are the word with all operands zero, in hexadecimal.
- **Examples** are executed by the tests, on the reference machine and on the compiled one. A value without commas is
  in every lane; commas separate the first lanes, colons the registers of a range. Registers that are not named do not
  change."""


def tags() -> str:
    """The tags, and how many instructions of each family have them."""
    counts: dict[tuple[str, str], int] = {}
    for instruction in ISA:
        key = chapter_of(instruction).__name__, instruction.tag
        counts[key] = counts.get(key, 0) + 1
    rows = [(heading_of(m)[0], *(counts.get((m.__name__, tag), 0) for tag in TAGS)) for m in FAMILIES]
    used = [(f"`{tag}`", TAG_MEANINGS[tag]) for tag in TAGS]
    return f"""## Tags

Every instruction says where it is known from.

{table(("tag", "meaning"), used)}

A published name need not have a published encoding: `tests/test_words.py` lists the words that are. `docs/sources.md`
says what the short names of sources stand for. How many instructions carry which tag:

{table(("family", *TAGS), rows)}"""


def words() -> str:
    """The fields all words share."""
    named = [
        ("opcode", fields.OPCODE),
        ("destination", fields.DESTINATION),
        ("source 0", fields.SOURCES[0]),
        ("1: the last source is the immediate", fields.IMMEDIATE_FLAG),
        ("rounding", fields.ROUNDING),
        ("`.reuse` of source 1", fields.REUSE[1]),
        ("`.reuse` of source 0", fields.REUSE[0]),
        ("saturate (`.sat`)", fields.SATURATE),
        ("source 1", fields.SOURCES[1]),
        ("flush (`.ftz`)", fields.FLUSH),
        ("source 2", fields.SOURCES[2]),
        ("sources 2, 1, 0 come from the bank that is not the usual one", _span(fields.OTHER_KIND)),
        ("negate sources 2, 1, 0", _span(fields.NEGATE)),
        ("absolute value of sources 2, 1, 0", _span(fields.ABSOLUTE)),
        ("second opcode", fields.SECOND_OPCODE),
    ]
    rows = [(f"`{bits(field)}`", name) for name, field in named]
    return f"""## Words

An instruction is one word of 64 bits, little-endian. In register form:

{table(("bits", "hold"), rows)}

In immediate form bit {fields.IMMEDIATE_FLAG.high} is 1 and bits {bits(fields.IMMEDIATE)} are the immediate, so that
only rounding and `.reuse` of source 0 remain beside it. Instructions with three sources take no immediate. Bits that an
entry does not name must be zero: any other word is no instruction, and running into it is exception 0."""


def _span(fields: Sequence[Field]) -> Field:
    return Field(max(field.high for field in fields), min(field.low for field in fields))


def syntax() -> str:
    """How operands are written."""
    rows = [
        ("`vreg7`", "vector register: 32 bits in each lane"),
        ("`sreg7`", "scalar register: 32 bits for the warp"),
        (
            "`vreg[4:5]`, `sreg[8:11]`",
            "registers, lowest first; the first number is a multiple of how many they are; in matrix instructions, "
            "loads and stores of 2",
        ),
        ("`vcc`, `%blkid.x`", "a named register, see below"),
        (
            "`!vreg7`, `|vreg7|`, `!|vreg7|`",
            "float source: negated, absolute value, both in this order (sign bit only)",
        ),
        ("`vreg7.reuse`", "a hint for the register cache; no effect on results"),
        (
            "`5`, `-1`, `0x1f`, `0b101`, `'a'`",
            "immediate of 32 bits, from -2^31 to 2^32 - 1; a signed operand of 64 bits extends its sign",
        ),
        ("`1.5`, `1e-3`, `inf`, `nan`", "immediate: the bits of the binary32 number"),
        (
            "`4 * n + 1`, `lo(x)`, `hi(x)`",
            "any expression of numbers and `.equ` names; `lo` and `hi` are the words of 64 bits",
        ),
        ("`loop`, `1f`, `1b`", "branch target: a label, or the next or last numeric label `1:`"),
        ("`# 0x8`", "a truth table, behind the operands it is for"),
        ("`[0x10 + vreg3 * 0x4] @sreg[6:7]`", "address in global memory: offset + index * scale + base"),
        ("`[sreg[6:7] + vreg3 * 0x4]`, `[x + vreg3 * 4]`", "the same with the base inside; `x` is a parameter"),
        ("`[0x10] @vreg[6:7]`", "address in global memory with a base in each lane"),
        ("`[sreg8 + 0x10 + vreg3 * 0x4]`", "offset in TSM"),
        ("`[bytes(0x1000) + vreg3 * 0x4] @x`", "an offset in bytes, see Memory; `x` is a parameter"),
        ("`vldcnt(0), tsmcnt(2)`", "counters of `s.wait`"),
    ]
    return f"""## Operands

{table(("text", "means"), rows)}

A number as a source other than the last must be 0 or 1 (`c0x0`, `c0x1`). Where a vector instruction takes a vector
register as a source, it takes a scalar one as well: every lane reads the same value. As a branch target a number is a
distance in words, which counts from the word behind the branch. [assembly.md](assembly.md) describes the rest of the
source language."""


def _either(numbers: Sequence[int]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} or {numbers[-1]}"


def _meaning(name: str) -> str:
    return MEANINGS[name] if name in MEANINGS else MEANINGS[name.rpartition(".")[0]]


def registers() -> str:
    """The register file and every named register."""
    plain = {name: place for name, place in NAMED_SCALARS.items() if not name.startswith("%")}
    rows = [(f"`{name}`", f"{number:#x}", _meaning(name)) for name, (number, _) in plain.items()]
    uniform = [
        (f"`{name}`", f"{number:#x}", 32 * count, _meaning(name)) for name, (number, count) in UNIFORM_SPECIALS.items()
    ]
    clocks = [(f"`{name}`", f"{number:#x}", 32 * count, _meaning(name)) for name, (number, count) in CLOCKS.items()]
    lanes = [(f"`{name}`", f"{number:#x}", _meaning(name)) for name, (number, _) in LANE_SPECIALS.items()]
    return f"""## Registers

A warp has {LANES} lanes. `vreg0` to `vreg255` hold 32 bits for each lane, `sreg0` to `sreg{LAST_SREG}` 32 bits for
the warp. A kernel has as many as its descriptor says (the assembler counts; it gives {_either(SREG_COUNTS)} sregs). A
register beyond is exception 5 or 6, a misaligned range exception 7 or 8. Values of 64 bits are in a pair, low word
first. A mask of lanes is in one sreg, bit L for lane L. Registers are not cleared at entry.

Named scalar registers, with their numbers in the word:

{table(("name", "number", "holds"), rows)}

The same for all lanes, readable wherever a scalar source may stand:

{table(("name", "number", "bits", "holds"), uniform)}

Clocks, read by `s.mov.b64` alone. What they show is not part of the promise of equal results:

{table(("name", "number", "bits", "holds"), clocks)}

One value a lane, read by `v.mov.b32` alone:

{table(("name", "number", "holds"), lanes)}"""


def suffix_meaning(suffix: Suffix) -> str:
    """What a suffix means, and what it may be where it has several values, with the field's value of each."""
    texts = ", ".join(f"`{text}` {value}" for value, text in suffix.texts.items())
    return SUFFIX_MEANINGS[suffix.name] + (f": {texts}" if len(suffix.texts) > 1 else "")


def modifiers() -> str:
    """Suffixes and roundings."""
    suffixes = [(f"`{suffix.usage}`", bits(suffix.place), suffix_meaning(suffix)) for suffix in SUFFIXES.values()]
    rounding = [(f"`.{name}`", code, ROUNDING_MEANINGS[name]) for name, code in ROUNDINGS.items()]
    return f"""## Suffixes and rounding

{table(("suffix", "bit", "meaning"), suffixes)}

A suffix of an instruction that takes an immediate has no bit in the immediate form: put the number in a register.

{table(("rounding", "code", "meaning"), rounding)}

Without a rounding suffix an instruction rounds as `.rtte`. `docs/numerics.md` says what every bit of a result is."""


def masks() -> str:
    """Masks, paths, barriers."""
    return """## Masks and paths

`emsk` is the set of lanes that execute. Vector instructions write active lanes only; compares give 0 for the others.
Two styles of divergence work together:

- **Masks.** `s.lop.emsk` combines a mask into `emsk` and returns the lanes it switched off, `s.cbr.az emsk, label`
  skips a region that no lane needs, `s.or.b32 emsk, emsk, saved` switches them on again. `s.cbr` moves all lanes.
- **Branches of lanes.** `simt.rcbr` splits the warp: lanes at one address are a path, with an `emsk` of its own. The
  path at the lowest address runs; paths that meet at an address join. A path that neither joins nor ends for 1,024
  instructions gives way to the next, so a lock between lanes of a warp makes progress.

Writing `emsk` can only set lanes of the running path. sregs, `vcc` and `scc` belong to the warp. `simt.exit` ends the
active lanes, `s.exit` the warp. A barrier counts a warp when all its live lanes have come."""


def calls() -> str:
    """Functions, code addresses, and the convention."""
    return f"""## Functions

Device functions (`.func`) are in `.text`, from {TEXT_BASE:#x} on: {TEXT_HEAD.size} s.nop, then one behind the other.
A kernel is at {CODE_BASE:#x}. A code address is such an address of 64 bits, in an aligned pair of registers. `s.call`
puts that of the next instruction into a pair and goes to a function, to a label, or to the address in a pair; `s.ret`
and `s.cbr.ind` go to the address in a pair, `simt.cbr.ind` to the one that all active lanes have. The whole path moves.
An address outside of the code is exception 16, one that is no multiple of 8 exception 0, lanes that differ exception
1; then nothing was written.

As functions lie below kernels, lanes in a function run before lanes that wait for them behind the call, and both go on
together. A kernel has the registers of all functions it may call.

{convention()}"""


def convention() -> str:
    """The calling convention."""
    rows = [
        ("`sreg[38:39]`", "return address", "anything"),
        ("`sreg40`", "stack pointer: the first free byte of each lane's private memory; it grows upward", "the same"),
        ("`sreg41` to `sreg47`", "scalar arguments in order, 64 bits in even pairs", "scalar results"),
        ("`sreg48` to `sreg55`, `sreg80` on, `vcc`, `scc`", "anything", "anything"),
        ("`sreg0` to `sreg37`, `sreg56` to `sreg79`", "the caller's", "the same"),
        ("`vreg0` to `vreg15`", "vector arguments in order, 64 bits in even pairs", "vector results"),
        ("`vreg16` to `vreg31`, `vreg64` on", "anything", "anything"),
        ("`vreg32` to `vreg63`", "the caller's", "the same, in the lanes that were active"),
        ("`emsk`", "the lanes that call", "the same, but for lanes that have ended"),
    ]
    text = "The convention, which nothing enforces; `docs/assembly.md` says more:"
    return f"{text}\n\n{table(('register', 'at the call', 'at the return'), rows)}"


def waits() -> str:
    """The counters of s.wait, and which instructions count in which."""
    counted: dict[str, dict[str, None]] = {}
    for instruction in ISA:
        if instruction.access or instruction.cube is not None:
            copies = instruction.cube is not None or bool(instruction.access and instruction.access.to)
            operation = ".".join(instruction.mnemonic.split(".")[: 3 if copies else 2])
            counter = instruction.access.counter if instruction.access else "commit_group"
            counted.setdefault(counter, {})[f"`{operation}`"] = None
    rows = [
        (f"`{name}`", f"{bit:#04x}", bits(field), ", ".join(counted.get(name, {})) or "nothing yet")
        for name, (bit, field) in COUNTERS.items()
    ]
    functions = [(f"`{name}`", f"{code:#04x}", FUNCTION_MEANINGS[name]) for name, code in FUNCTIONS.items()]
    return f"""## Waiting

Loads and stores are outstanding until `s.wait` covers them. Each counter is a queue of its own in each warp:
`s.wait vldcnt(2)` completes the oldest loads until at most 2 remain. An operation beyond {OUTSTANDING} completes the
oldest. Several counters may stand in one `s.wait`, which are waited for in the order of the table; the count of one
that is not named is zero in the word.

{table(("counter", "bit of the set", "count in bits", "counts"), rows)}

Instead of counters, one function:

{table(("function", "set", "waits until"), functions)}

Two timings are legal, and a correct program cannot tell them apart. `eager`: an operation completes when issued.
`late`: it completes at the wait that covers it; until then a load's destination holds poison, {POISON:#x}, and a store
has neither read its register nor changed memory. So **the register that is stored must stay as it is until a wait
covers the store**, which loops forget:

    loop:   s.wait vstcnt(0)                                    // without this, the store below writes
            vmem.ld.b32 vreg1, [0x0 + vreg0 * 0x4] @sreg[6:7]   // what the next round loads here
            s.wait vldcnt(0)
            v.add.f32 vreg1, vreg1, 1.0
            vmem.st.b32 vreg1, [0x0 + vreg0 * 0x4] @sreg[8:9]

The same goes for `.red`; registers of an address may change at once. Addresses, lanes and faults are fixed at issue in
both timings. A warp's own access to bytes of an older
operation of its own completes that one, and what is before it in its queue, first if one of the two stores; but a load
does not complete a copy to the bytes in TSM that it reads: it finds poison. `commit_group` counts groups of copies, and
what it waits for completes group by group. A fence
completes what it names; the end of a warp completes everything, stores before loads."""


def memory() -> str:
    """Spaces, the address map, and how addresses are formed."""
    rows = [
        (f"`{TEXT_BASE:#x}`", "`.text`: device functions"),
        (f"`{CODE_BASE:#x}`", "the kernel's words"),
        (f"`{DATA_BASE:#x}`", "the module's `.data`"),
        (f"`{KM_BASE:#x}`", "KM: kernel-argument memory, read only"),
        (f"`{window_base(0):#x}`", "HBM of chip 0"),
        (f"`{window_base(1):#x}`", f"HBM of chip 1, and so on: chip c at (c + 1) << {WINDOW_BITS}"),
    ]
    offsets = [
        (f"`{field:#x}`", offset_bytes(field)) for field in (0, 0x10, COARSE - 1, COARSE, COARSE | 0x10, 2 * COARSE - 1)
    ]
    return f"""## Memory

Global memory is one space of 64-bit addresses for all chips of a pod. TSM is the block's own, with offsets of 32 bits
from 0. An access must lie within one allocation to the byte, else it is exception 11; between two allocations lie at
least {GUARD} bytes that belong to neither. All lanes are checked before any has an effect.

{table(("address", "what begins there"), rows)}

The address of a lane is base + offset + index * scale. The scale is a power of two from 0x1 to 0x8000 (its logarithm
in the word). A lane's address must be a multiple of the bytes it moves, else it is exception 12 (TSM: 10).

The offset in the text is the field in the word. From {COARSE:#x} on its low 11 bits count units of {UNIT} bytes:

{table(("offset field", "bytes"), offsets)}

Write `bytes(N)` for N real bytes: 0 to {COARSE - 1}, or a multiple of {UNIT} up to {offset_bytes(2 * COARSE - 1)}."""


def entry_state() -> str:
    """What registers hold when a kernel begins."""
    first, last = PRELOADED_SREGS.start, PRELOADED_SREGS.stop - 1
    rows = [
        ("`sreg[0:1]`", "0 (base of the vendor's tools)"),
        ("`sreg2`", "bytes of private memory of each lane"),
        ("`sreg[4:5]`", "address of KM"),
        (f"`sreg{first}` to `sreg{last}`", "arguments that fit, in order"),
        ("`sreg36`", "packed id of the thread in lane 0: x in 11:0, y in 23:12, z in 31:24"),
        ("`sreg37`", "packed extents of the block, in the same places"),
        ("`emsk`", "the lanes that exist"),
        ("`vcc`, `scc`", "0"),
    ]
    types = [(f"`{name}`", kind.itemsize) for name, kind in SCALAR_TYPES.items()]
    return f"""## Kernel entry

{table(("register", "holds"), rows)}

`v.tid.init vregN, sreg[36:37]` gives every lane its packed thread id.

KM holds all arguments in order, each at its natural alignment, {MAX_PARAMETER_BYTES:,} bytes at most. Those that fit
entirely into sreg{first} to sreg{last} are there as well: 8-byte ones in even pairs, narrower ones extended to 32 bits;
arrays, and everything after the first that does not fit, are in KM only. In source a parameter's name stands for its
registers, or else for its offset in KM: `smem.ld.b32 sreg40, [name] @sreg[4:5]`.

{table((".param type", "bytes"), types)}"""


def exceptions() -> str:
    """Exception codes and XIDs."""
    rows = [*CODES.items(), *((code, f"{text} (defined here)") for code, text in DEFINED_CODES.items())]
    return f"""## Exceptions

A fault ends its launch before the instruction has had any effect. Published codes, in the vendor's words (KI: kernel
instruction):

{table(("code", "meaning"), rows)}

Errors of the links between chips, as the driver reports them:

{table(("XID", "meaning"), XIDS.items())}"""
