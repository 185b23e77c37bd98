"""What `m890 isa WORD` finds where no instruction is called WORD: registers, counters, suffixes, and what is said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..isa import ISA, Instruction
from ..isa.addresses import COUNTERS
from ..isa.habits import INSTRUCTIONS
from ..isa.numerics import ROUNDINGS
from ..isa.registers import CLOCKS, LANE_SPECIALS, NAMED_SCALARS
from ..isa.suffixes import SUFFIXES, Suffix
from . import manual_entries, pages
from .manual_chapters import MEANINGS, ROUNDING_MEANINGS, suffix_meaning

LEAST = 3
"""Letters that a part of a mnemonic has at least if it abbreviates a word, as `atom` does `atomic`."""
STEM = 6
"""Letters of a word that a chapter's heading begins with, as Conversions does for `convert`."""
UNRELATED = 6
SUBJECTS = {
    "reciprocal": r"v\.(rcp|rsqrt)\b",
    "exponential": r"v\.p?exp2\b",
    "logarithm": r"v\.log2\b",
    "swizzle": r"tsm\.ld\.swzl|vmem\.aiu\..*\.l0\b",
    "fp4": r"v\..*e2m1|v\.mma\..*e2m1",
    "fp8": r"v\..*(e4m3|e5m2)",
    "bfloat16": r"v\..*bf16",
    "fragment": r"tsm\.(ld|st)\.mat|tsm\.ld\.swzl|v\.mma",
    "transpose": r"tsm\.(ld|st)\.mat.*trans",
    "gather": r"(vmem|tsm)\.ld\.b",
    "scatter": r"(vmem|tsm)\.st\.b",
    "wgmma": r"v\.mma",
    "tensor": r"v\.mma|vmem\.aiu",
}
"""What a subject's instructions are called here, as a pattern, where neither names nor descriptions have the word."""


class Named(NamedTuple):
    """A register, counter or suffix: its name, what it holds or means, and how it is read or where it may stand."""

    name: str
    holds: str
    read: str


class Entry(NamedTuple):
    """An entry of the manual: its mnemonics, folded, or its usage; its first instruction, and what it does."""

    name: str
    first: Instruction
    says: str


def named(word: str) -> list[Named]:
    """The registers, counters and suffixes of this name; `%tid` has three."""
    known = {**NAMED_SCALARS, **CLOCKS, **LANE_SPECIALS}
    wanted = {word.lower(), f"%{word.lower()}"}
    found = [name for name in known if name in wanted or name.rpartition(".")[0] in wanted]
    found_suffixes = [suffix for suffix in SUFFIXES.values() if word in _names(suffix)]
    roundings = [_rounding(name) for name in ROUNDINGS if word == f".{name}"]
    counters = [_counter(name) for name in COUNTERS if name in wanted]
    return [*map(_register, found), *counters, *map(_suffix, found_suffixes), *roundings]


def _names(suffix: Suffix) -> set[str]:
    """How a suffix may be asked for: by name, as a whole, or by the first part, `.release` of `.release.sys`."""
    texts = {suffix.usage, suffix.usage.removeprefix("."), suffix.zero, *suffix.texts.values()} - {suffix.name, ""}
    return texts | {f".{text.split('.')[1]}" for text in suffix.texts.values()}


def _suffix(suffix: Suffix) -> Named:
    stems = _stems(instruction.mnemonic for instruction in ISA if suffix in instruction.suffixes)
    return Named(suffix.usage, suffix_meaning(suffix).replace("`", ""), f"of {stems}")


def _rounding(name: str) -> Named:
    stems = _stems(i.mnemonic for i in ISA if name in i.mnemonic.split("."))
    return Named(f".{name}", f"rounding {ROUNDING_MEANINGS[name]}", f"of {stems}")


def _stems(mnemonics: Iterable[str]) -> str:
    """The first two parts of mnemonics, each once."""
    return ", ".join(dict.fromkeys(".".join(mnemonic.split(".")[:2]) for mnemonic in mnemonics))


def _register(name: str) -> Named:
    base = name.rpartition(".")[0] or name
    axis = f", axis {name[-1]}" if base != name else ""
    holds = (MEANINGS.get(name) or MEANINGS[base]) + axis
    if name in LANE_SPECIALS:
        return Named(name, holds, f"one value a lane, read by v.mov.b32: v.mov.b32 vreg0, {name}")
    if name in CLOCKS:
        return Named(name, holds, f"64 bits, read by s.mov.b64: s.mov.b64 sreg[40:41], {name}")
    if name.startswith("%"):
        bits = f"{32 * NAMED_SCALARS[name][1]} bits, "
        return Named(name, holds, f"{bits}the same for all lanes, readable wherever a scalar source may stand")
    return Named(name, holds, "a scalar operand")


def _counter(name: str) -> Named:
    counted = _stems(i.mnemonic for i in ISA if i.access and i.access.counter == name)
    holds = f"counter of outstanding operations: {counted or 'nothing yet'}"
    return Named(name, holds, f"s.wait {name}(0) waits until all are complete, {name}(2) until 2 are left")


def search(word: str) -> list[Entry]:
    """The entries for a word, what fits best first.

    That is what the word is called here if it is a habit, what has it in a mnemonic, what a part of a mnemonic
    abbreviates, what speaks of it, what the chapter has that is called so, and what one that speaks of it has. What
    differs only in the kind of an operand is one entry.
    """
    entries = map(_entry, _found(word))
    return list({(entry.name, entry.says): entry for entry in entries}.values())


def instructions(word: str) -> list[Instruction]:
    """All instructions of those entries."""
    return [instruction for group in _found(word) for instruction in group]


def _found(word: str) -> list[list[Instruction]]:
    ranked = [(_rank(group, word.lower()), group) for group in manual_entries.entries(ISA)]
    return [group for rank in range(UNRELATED) for place, group in ranked if place == rank]


def _rank(group: Sequence[Instruction], word: str) -> int:
    """How far from the word an entry is, UNRELATED if it has nothing to do with it."""
    mnemonics = [instruction.mnemonic for instruction in group]
    subject = SUBJECTS.get(word, "")
    if subject and any(re.match(subject, name) for name in mnemonics):
        return 0
    here = INSTRUCTIONS.get(word, "")
    if here and any(name == here or name.startswith(f"{here}.") for name in mnemonics):
        return 0
    if any(word in name for name in mnemonics):
        return 1
    if any(_abbreviates(name, word) for name in mnemonics):
        return 2
    if re.search(rf"\b{re.escape(word)}", group[0].page, re.IGNORECASE):
        return 3
    heading, text = manual_entries.heading_of(manual_entries.chapter_of(group[0]))
    if re.search(rf"\b{re.escape(word[:STEM])}", heading, re.IGNORECASE):
        return 4
    return 5 if re.search(rf"\b{re.escape(word)}", text, re.IGNORECASE) else UNRELATED


def _entry(group: Sequence[Instruction]) -> Entry:
    name = pages.usage(group[0]) if len(group) == 1 else manual_entries.title(group)
    return Entry(name, group[0], group[0].page.splitlines()[0])


def _abbreviates(mnemonic: str, word: str) -> bool:
    return any(len(part) >= LEAST and word.startswith(part) for part in mnemonic.split("."))
