"""What `m890 isa` prints of one instruction: the rules of the manual, for one instruction and in plain text."""

from __future__ import annotations

from difflib import get_close_matches
from typing import NamedTuple

from ..isa import ISA, Form, Instruction
from ..isa.aiu import Layout
from ..isa.habits import INSTRUCTIONS, instruction_hint
from . import manual, manual_chapters, manual_entries, manual_fragments
from .manual_examples import Sample


class Part(NamedTuple):
    """Bits `high` to `low` of a word, and what they hold."""

    high: int
    low: int
    meaning: str


_FLAGS = {"bank": "from the bank that is not the usual one", "!": "negated (!x)", "abs": "absolute value (|x|)"}
"""What the manual's short names of single bits mean."""


def layout(form: Form) -> list[Part]:
    """What each bit of the word holds in this form, from bit 63 down."""
    return [Part(high, low, _meaning(form, label)) for high, low, label in manual_entries.columns(form)]


def _meaning(form: Form, label: str) -> str:
    sort, _, names = label.partition(" ")
    if label == "opcode":
        return f"opcode {form.instruction.opcode:#05x}"
    if sort in _FLAGS and names:
        return f"{names}: {_FLAGS[sort]}"
    return f"= {label}" if label[0].isdigit() and label != "0" else label


def find(mnemonic: str) -> list[Instruction]:
    """The instructions with this mnemonic, suffixes such as `.ftz` allowed; ValueError with the nearest names."""
    found = ISA.by_mnemonic.get(mnemonic)
    if found is None:
        begins = sorted({i.mnemonic for i in ISA if i.mnemonic.startswith(mnemonic)})
        near = get_close_matches(mnemonic, ISA.by_mnemonic, n=3, cutoff=0.6)
        inside = [] if mnemonic in INSTRUCTIONS else sorted({i.mnemonic for i in ISA if f".{mnemonic}" in i.mnemonic})
        if begins or inside:
            many, how = (begins, "begin so") if begins else (inside, "have it within")
            hint = f"{len(many)} {how}: {', '.join(many[:8])}{', ...' if len(many) > 8 else ''}"
        else:
            hint = instruction_hint(mnemonic, ISA.by_mnemonic) or (f"did you mean {' or '.join(near)}?" if near else "")
        raise ValueError(f"no instruction is called '{mnemonic}': {hint or '`m890 isa --list` shows them all'}")
    return list(dict.fromkeys(form.instruction for form, _ in found))


def suffixes(instruction: Instruction) -> list[tuple[str, str]]:
    """The optional suffixes, as `usage` has them in brackets, with what each means and may be."""
    return [(suffix.usage, manual_chapters.suffix_meaning(suffix).replace("`", "")) for suffix in instruction.suffixes]


def usage(instruction: Instruction) -> str:
    """The text form with optional suffixes in brackets: `v.add.f32[.ftz][.sat] d, a, b`."""
    suffixes, operands = manual_entries.usage(instruction)
    return f"{instruction.mnemonic}{suffixes} {operands}".rstrip()


def examples(instruction: Instruction) -> list[Sample]:
    """The instruction's examples as assembly, with what holds before and after."""
    return manual_entries.samples([instruction])


def lane_maps(instruction: Instruction) -> list[tuple[str, list[str]]]:
    """Title and drawing of each operand of a matrix instruction."""
    form = manual_fragments.form_of(instruction)
    operands = manual_fragments.operands_of(form) if form else ()
    return [(manual_fragments.title(operand), manual_fragments.draw(operand, whole=True)) for operand in operands]


def legend() -> str:
    """How a drawing of `lane_maps` is read."""
    return manual_fragments.INTRO.replace("\n", " ").replace("`", "")


class Words(NamedTuple):
    """The scalar registers that an operand names: a title, and (word, value, what it is)."""

    title: str
    rows: list[tuple[str, str, str]]


def descriptors(instruction: Instruction) -> list[Words]:
    """What the descriptor operands of an instruction hold, word by word."""
    layouts = [binding.static for binding in instruction.bindings if isinstance(binding.static, Layout)]
    names = [kind.name for kind in instruction.kinds if kind.role == "source"]
    return [
        Words(f"{name}: {layout.name}, {layout.words} words", manual.rows_of(layout))
        for name, layout in zip(names, layouts, strict=False)
    ]


def chapter(instruction: Instruction) -> tuple[str, list[str]]:
    """Heading and paragraphs of what the manual says before the entries of the instruction's chapter."""
    heading, text = manual_entries.heading_of(manual_entries.chapter_of(instruction))
    return heading, [paragraph for paragraph in text.replace("\\*", "*").split("\n\n") if paragraph]


def operands_of(instruction: Instruction) -> list[tuple[str, str, str]]:
    """Name, role and what may stand there, of each operand."""
    return [(kind.name, kind.role, kind.summary()) for kind in instruction.kinds]
