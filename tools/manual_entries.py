"""Entries of the manual, made from the table: text forms, word layout, meaning, operands, tag and source, examples.

Nothing here knows an instruction. Instructions that share a body (types, roundings, relations) share an entry.
`m890 isa` prints from the same rules, see pages.py.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from types import ModuleType
from typing import Any

from ..isa import FAMILIES, ISA, Form, Instruction, addresses, fields, number_kinds, operands
from ..isa.effects import Effect
from ..isa.fields import Field
from ..isa.lanes import LaneKind
from ..isa.matrix_operands import MatrixKind, SwizzledAddress
from ..isa.operands import Kind, RegisterKind
from ..isa.source_kind import Source
from ..isa.suffixes import SUFFIXES
from .manual_examples import PAGE_WIDTH, PLACE, Sample, sample

SUFFIX = re.compile(r"\{(\w+)\}")


# ---- Names: mnemonics folded as a shell would unfold them. ----------------------------------------------------


def fold(mnemonics: Iterable[str]) -> str:
    """Several mnemonics as one text: `v.min.u32`, `v.min.i32` give `v.min.{u32,i32}`."""
    words = [tuple(re.findall(r"^[^.]*|\.[^.]*", mnemonic)) for mnemonic in dict.fromkeys(mnemonics)]
    return _fold(words)


def _fold(words: list[tuple[str, ...]]) -> str:
    if len(words) == 1:
        return "".join(words[0])
    if all(words) and len({word[0] for word in words}) == 1:
        return words[0][0] + _fold([word[1:] for word in words])
    if all(words) and len({word[-1] for word in words}) == 1:
        return _fold([word[:-1] for word in words]) + words[0][-1]
    for cut in (lambda word: (word[:1], word[1:]), lambda word: (word[:-1], word[-1:])):
        heads, tails = (list(dict.fromkeys(side)) for side in zip(*map(cut, words), strict=True))
        if 1 < len(heads) < len(words) and len(heads) * len(tails) == len(words):
            return _fold(heads) + _fold(tails)
    texts = ["".join(word) for word in words]
    if all(text.startswith(".") for text in texts):
        return f".{{{','.join(text[1:] for text in texts)}}}"
    return f"{{{','.join(texts)}}}"


def folds(mnemonics: Iterable[str]) -> list[str]:
    """Several mnemonics as one folded text, or as one for each stem where a single one would be hard to read."""
    names = list(dict.fromkeys(mnemonics))
    whole = fold(names)
    if not re.fullmatch(r"\{[^{}]*\}", whole):
        return [whole]
    stems: dict[str, list[str]] = {}
    for name in names:
        stems.setdefault(name.rpartition(".")[0], []).append(name)
    return [fold(members) for members in stems.values()]


def told_apart(some: Sequence[str], every: Sequence[str]) -> str:
    """How to call some mnemonics of an entry: by first or last part where that says it, "" for all of them."""
    others = [name for name in every if name not in some]
    if not others:
        return ""
    for part, text in ((0, "{}.*"), (-1, "*.{}")):
        own = dict.fromkeys(name.split(".")[part] for name in some)
        if own.keys().isdisjoint(name.split(".")[part] for name in others):
            return text.format(fold(own))
    return ", ".join(folds(some))


def usage(instruction: Instruction) -> tuple[str, str]:
    """What follows the mnemonic in source: its optional suffixes, and its operands by name."""
    mnemonic, _, rest = instruction.pattern.partition(" ")
    suffixes = "".join(f"[{SUFFIXES[name].usage}]" for name in SUFFIX.findall(mnemonic))
    return suffixes, PLACE.sub(r"\1", rest)


# ---- Words: which bits mean what. -----------------------------------------------------------------------------

Column = tuple[int, int, str]
"""High bit, low bit, what they hold."""


def _parts(kind: Kind) -> list[tuple[Field, str]]:
    """All fields an operand may have, with their labels; which of them it has in a layout, its bits tell."""
    if isinstance(kind, Source):
        at = kind.position
        own = [(fields.IMMEDIATE, kind.name), (kind.field, kind.name)]
        own += [(fields.REUSE[at], f".reuse {kind.name}")] if at < 2 else []
        tables = ((fields.OTHER_KIND, "bank"), (fields.NEGATE, "!"), (fields.ABSOLUTE, "abs"))
        return own + [(table[at], f"{label} {kind.name}") for table, label in tables]
    if isinstance(kind, SwizzledAddress):
        return [(addresses.INDEX, "first register"), (addresses.BASE, "second register")]
    if isinstance(kind, addresses.AddressKind):
        named = ("OFFSET", "SCALE", "INDEX", "HAS_INDEX", "BASE", "HAS_BASE")
        labels = ("offset", "scale", "index", "indexed", "base", "based")
        return [(getattr(addresses, name), label) for name, label in zip(named, labels, strict=True)]
    if isinstance(kind, addresses.Waits):
        return [(fields.DESTINATION, "set"), *((field, name) for name, (_, field) in addresses.COUNTERS.items())]
    if isinstance(kind, operands.RegisterList):
        return [(kind.field, kind.name), (kind.count, f"count of {kind.name}")]
    if isinstance(kind, MatrixKind):
        found = ((kind.field, kind.name), (kind.reuse, f".reuse {kind.name}"), (kind.negate, f"! {kind.name}"))
        return [(field, label) for field, label in found if field]
    return [(kind.field, kind.name)] if isinstance(kind, RegisterKind | number_kinds.Number) else []


def columns(form: Form, varying: int = 0) -> list[Column]:
    """The layout of a form from bit 63 down, every bit in exactly one column; `varying` bits are marked `*`."""
    taken: list[Column] = [(fields.OPCODE.high, fields.OPCODE.low, "opcode")]
    for kind in form.instruction.kinds:
        left = kind.bits(form.immediate)
        for field, label in _parts(kind):
            if field.mask & left == field.mask:
                taken.append((field.high, field.low, label))
                left &= ~field.mask
        assert not left, f"{form}: bits {left:#x} of {kind.name} have no name"
    for suffix, able in zip(form.instruction.suffixes, form.room, strict=True):
        taken += [(suffix.place.high, suffix.place.low, suffix.usage)] if able else []
    named = sum(Field(high, low).mask for high, low, _ in taken)
    return _merge(sorted([*taken, *_fixed(form, ~named & (1 << 64) - 1, varying)], reverse=True))


def _fixed(form: Form, bits: int, varying: int) -> Iterator[Column]:
    """Runs of bits that no operand owns: flags, reserved zeros, and what tells members of a family apart."""

    def sort(bit: int) -> tuple[bool, bool]:
        return bool(varying >> bit & 1), bit == fields.IMMEDIATE_FLAG.low

    for kind, run in groupby([bit for bit in range(63, -1, -1) if bits >> bit & 1], sort):
        rest = list(run)
        while rest:
            size = next((n for n in range(1, len(rest)) if rest[n] != rest[0] - n), len(rest))
            high, low, rest = rest[0], rest[size - 1], rest[size:]
            value = Field(high, low).get(form.value)
            yield high, low, "*" if kind[0] else f"{value:#x}" if value > 9 else str(value)


def _merge(found: list[Column]) -> list[Column]:
    """Neighbouring flags of one sort as one column: `.reuse b` and `.reuse a` become `.reuse b,a`."""
    merged: list[Column] = []
    for high, low, label in found:
        before = merged[-1] if merged else None
        sort, _, name = label.partition(" ")
        if before and name and before[2].startswith(f"{sort} ") and before[1] == high + 1:
            merged[-1] = (before[0], low, f"{before[2]},{name}")
        else:
            merged.append((high, low, label))
    return merged


def layout_text(found: Sequence[Column]) -> list[str]:
    """The columns as two aligned lines, or as several pairs of them where they are long."""
    lines = ["", ""]
    for high, low, label in found:
        bits = str(high) if high == low else f"{high}:{low}"
        width = max(len(bits), len(label))
        if len(lines[-1]) + width > PAGE_WIDTH:
            lines += ["", ""]
        lines[-2] += f"{bits:{width + 2}}"
        lines[-1] += f"{label:{width + 2}}"
    return [line.rstrip() for line in lines]


# ---- Entries. ---------------------------------------------------------------------------------------------------


def entry_key(instruction: Instruction) -> tuple[Any, ...]:
    """What instructions of one entry have in common."""
    sorts = tuple(
        kind.summary() if isinstance(kind, addresses.AddressKind) else isinstance(kind, number_kinds.Number)
        for kind in instruction.kinds
    )
    where = chapter_of(instruction).__name__, instruction.architectures
    return *where, instruction.body.__code__, instruction.page, sorts


def chapter_of(instruction: Instruction) -> ModuleType:
    """The family an instruction stands with: where its body is, but with the floats if it reads a float."""
    homes = {module.__name__: module for module in FAMILIES}
    home = instruction.body.__module__
    if any(isinstance(b.kind, LaneKind) and b.kind.format is not None for b in instruction.bindings):
        home = home.replace(".integer", ".floating")  # the compares of both share one body
    return homes[home]


def entries(instructions: Iterable[Instruction]) -> list[list[Instruction]]:
    """Instructions in groups that share an entry, in the table's order."""
    found: dict[tuple[Any, ...], list[Instruction]] = {}
    for instruction in instructions:
        found.setdefault(entry_key(instruction), []).append(instruction)
    return list(found.values())


def title(group: Sequence[Instruction]) -> str:
    """The mnemonics of an entry."""
    return ", ".join(folds(instruction.mnemonic for instruction in group))


@lru_cache(maxsize=1)
def _by_title(size: int) -> dict[str, list[list[Instruction]]]:
    """The entries of the table by title; `size` is how many instructions it has, for it may grow."""
    del size
    found: dict[str, list[list[Instruction]]] = {}
    for group in entries(ISA):
        found.setdefault(title(group), []).append(group)
    return found


def heading(group: Sequence[Instruction]) -> str:
    """The heading of an entry, which no other one has."""
    name = title(group)
    others = _by_title(len(ISA.instructions))[name]
    if len(others) == 1:
        return f"`{name}`"
    sort = _sort(group[0])
    same = [other[0] for other in others if _sort(other[0]) == sort]
    if same[0] is not group[0]:
        names, usual = ([kind.name for kind in one.kinds] for one in (group[0], same[0]))
        sort += f" to a {group[0].kinds[0].summary()}" if names == usual else f" with {', '.join(names)}"
    return f"`{name}` {sort.strip()}".rstrip()


def _sort(instruction: Instruction) -> str:
    """What tells an instruction apart from others of the same mnemonic, by its operands."""
    for kind in instruction.kinds:
        if isinstance(kind, operands.NamedKind):
            return "from a special register of each lane" if kind.per_lane else "from a special register"
        if isinstance(kind, number_kinds.CodeTarget):
            return "of a place in the word"
        if isinstance(kind, addresses.AddressKind) and kind.base_bank == "v":
            return "with a base in each lane"
        if isinstance(kind, number_kinds.Number) and not isinstance(
            kind, number_kinds.Target | number_kinds.DataAddress
        ):
            return f"with {kind.name} in the word"
    return ""


def entry(group: Sequence[Instruction]) -> str:
    """An entry of the manual without its heading, as markdown."""
    parts = [group[0].page, _block(_usages(group)), _notes(group), _operands(group), "Word:", _block(_layouts(group))]
    parts += [_members(group), "Examples:", _block(_examples(group))]
    return "\n\n".join(part for part in parts if part)


def _block(lines: Iterable[str]) -> str:
    return "\n".join(["```", *lines, "```"])


def _usages(group: Sequence[Instruction]) -> list[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for instruction in group:
        found.setdefault(usage(instruction), []).append(instruction.mnemonic)
    return [f"{name}{more} {rest}".rstrip() for (more, rest), names in found.items() for name in folds(names)]


def _notes(group: Sequence[Instruction]) -> str:
    """What the table knows beside the operands: memory, implicit registers, lanes, architectures."""
    first = group[0]
    notes: list[str] = []
    if first.access:
        unit = {"tsm": "TSM", "global": "global memory", "private": "private memory"}[first.access.space]
        sizes = [str(size) for size in sorted({i.access.size for i in group if i.access})]
        count = " or ".join([", ".join(sizes[:-1]), sizes[-1]]) if sizes[1:] else sizes[0]
        notes.append(f"Bytes a lane: {count}, at an address that is a multiple of as many. Space: {unit}.")
        notes.append(f"Counter: `{first.access.counter}`.")
    reads = [b.name for b in first.bindings if b.operand is None and b.static is None and b.name in ("emsk", "lanes")]
    writes = [kind.__name__.lower() for kind in first.results if isinstance(kind, type) and issubclass(kind, Effect)]
    notes += (
        [f"Reads {' and '.join({'lanes': 'the lanes of the path'}.get(name, name) for name in reads)}."]
        if reads
        else []
    )
    notes += ["Writes emsk."] if "emsk" in writes else []
    notes += ["Lanes that are off are written, too."] if first.all_lanes and not first.fault else []
    only = [i for i in group if i.architectures != first.architectures]
    if not only and len(first.architectures) == 1:
        notes.append(f"Only on {first.architectures[0]}.")
    notes += [f"`{i.mnemonic}` only on {', '.join(i.architectures)}." for i in only]
    also = [spelling for i in group for spelling in i.also]
    notes += [f"Also spelt {', '.join(f'`{name}`' for name in folds(dict.fromkeys(also)))}."] if also else []
    return " ".join(notes)


def _operands(group: Sequence[Instruction]) -> str:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for instruction in group:
        for kind in instruction.kinds:
            summary = kind.summary()
            summary = f"address, for example `{summary}`" if isinstance(kind, addresses.AddressKind) else summary
            known = found.setdefault((kind.name, _role(instruction, kind)), {})
            known[instruction.mnemonic] = max(summary, known.get(instruction.mnemonic, ""), key=len)
    if not found:
        return ""
    lines = ["| operand | | what may stand there |", "| --- | --- | --- |"]
    for (name, role), summaries in found.items():
        alike: dict[str, list[str]] = {}
        for mnemonic, summary in summaries.items():
            alike.setdefault(summary, []).append(mnemonic)
        whose = {told_apart(names, list(summaries)): summary for summary, names in alike.items()}
        what = "; ".join(f"`{members}` {summary}" if members else summary for members, summary in whose.items())
        lines.append(f"| `{name}` | {role} | {cell(what)} |")
    return "\n".join(lines)


def _role(instruction: Instruction, kind: Kind) -> str:
    if kind.role == "source":
        return "read"
    return "read and written" if kind.name in {b.name for b in instruction.bindings} else "written"


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|")


def _layouts(group: Sequence[Instruction]) -> list[str]:
    """Each layout of the entry once, its members' differences marked."""
    forms = [form for instruction in group for form in instruction.forms]
    shapes: dict[tuple[Any, ...], list[Form]] = {}
    for form in forms:
        kinds = tuple((kind.bits(form.immediate), type(kind)) for kind in form.instruction.kinds)
        shapes.setdefault((form.mask, form.room, kinds), []).append(form)
    every = [instruction.mnemonic for instruction in group]
    lines: list[str] = []
    for alike in sorted(shapes.values(), key=lambda alike: alike[0].immediate):
        whose = told_apart([form.instruction.mnemonic for form in alike], every)
        label = " ".join(part for part in (whose, "with immediate" if alike[0].immediate else "registers") if part)
        lines += [""] if lines else []
        lines += [f"{label}:"] if len(shapes) > 1 else []
        lines += layout_text(columns(alike[0], _varying(alike)))
    return lines


def _varying(forms: Sequence[Form]) -> int:
    """The bits, opcode aside, between the first and the last in which forms of one layout differ."""
    bits = 0
    for form in forms:
        bits |= (form.value ^ forms[0].value) & ~fields.OPCODE.mask
    if bits & ~fields.DESTINATION.mask == 0 and bits:
        return fields.DESTINATION.mask  # the whole field that the members' numbers are in
    return (1 << bits.bit_length()) - (bits & -bits) if bits else 0


def _members(group: Sequence[Instruction]) -> str:
    """Every mnemonic with its words (operands zero), tag and source."""
    rows: dict[tuple[str, str, str], dict[bool, int]] = {}
    for instruction in group:
        row = rows.setdefault((instruction.mnemonic, instruction.tag, instruction.source), {})
        row.update({form.immediate: form.value for form in instruction.forms})
    both = {immediate for row in rows.values() for immediate in row}
    heads = [head for immediate, head in ((False, "word"), (True, "with immediate")) if immediate in both]
    lines = [f"| mnemonic | {' | '.join(heads)} | tag | source |", "| --- " * (len(heads) + 3) + "|"]
    for (mnemonic, tag, source), words in rows.items():
        shown = [f"`{words[i]:016x}`" if i in words else "" for i in sorted(both)]
        lines.append(f"| `{mnemonic}` | {' | '.join(shown)} | {tag} | {source or 'this project'} |")
    return "\n".join(lines)


def samples(group: Sequence[Instruction]) -> list[Sample]:
    """The examples of an entry: each different one once, and the first with an immediate where there is one."""
    found: dict[str, Sample] = {}
    for instruction in sorted(group, key=lambda instruction: instruction.forms[0].immediate):
        for example in instruction.examples:
            shown = next(filter(None, (sample(form, example) for form in instruction.forms)), None)
            if shown:
                found.setdefault(example, shown)
    with_number = [form for instruction in group for form in instruction.forms if form.immediate]
    extra = next(
        filter(None, (sample(form, example) for form in with_number for example in form.instruction.examples)), None
    )
    return [*found.values(), *([extra] if extra and extra not in found.values() else [])]


def _examples(group: Sequence[Instruction]) -> list[str]:
    return [str(shown) for shown in samples(group)]


# ---- Chapters. ---------------------------------------------------------------------------------------------------


def heading_of(family: ModuleType) -> tuple[str, str]:
    """A family's heading, the first words of its docstring, and the paragraphs behind it."""
    text = inspect.cleandoc(family.__doc__ or "")
    first, _, rest = text.partition("\n\n")
    heading = re.split(r"[.:]", first)[0]
    first = "" if first == f"{heading}." else first
    return heading, escaped(f"{first}\n\n{rest}".strip())


def escaped(text: str) -> str:
    """Markdown in which a star is a star, outside of code."""
    pieces = re.split(r"(```.*?```|`[^`]*`)", text, flags=re.DOTALL)
    return "".join(piece if n % 2 else piece.replace("*", "\\*") for n, piece in enumerate(pieces))
