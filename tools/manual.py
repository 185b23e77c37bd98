"""The manual of the instruction set, made from the table: `python -m m890.tools.manual docs/isa.md`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from ..isa import FAMILIES, ISA, Instruction
from ..isa.aiu import Item, Layout
from .manual_chapters import front
from .manual_entries import cell, chapter_of, entries, entry, escaped, heading, heading_of, title
from .manual_fragments import section as lane_maps
from .tables import table


def page(instruction: Instruction) -> str:
    """The manual page of one instruction, as markdown that reads well as plain text."""
    return _page([instruction])


def _page(group: Sequence[Instruction]) -> str:
    return f"# {title(group)}\n\n{entry(group)}\n"


def pages_for(mnemonic: str) -> list[str]:
    """The pages of a mnemonic, with or without its optional suffixes; several if it has several meanings."""
    instructions = dict.fromkeys(form.instruction for form, _ in ISA.by_mnemonic.get(mnemonic, []))
    return [_page(group) for group in entries(instructions)]


def chapter(family: ModuleType) -> str:
    """The chapter of a family: its module's text, then its entries."""
    name, intro = heading_of(family)
    parts = [f"## {name}", intro, *map(words_of, vars(family).get("LAYOUTS", ()))]
    for group in entries(ISA):
        if chapter_of(group[0]) is family:
            parts += [f"### {heading(group)}", escaped(entry(group))]
    parts.append(lane_maps(i for i in ISA if chapter_of(i) is family))
    return "\n\n".join(part for part in parts if part)


def words_of(layout: Layout) -> str:
    """The words of a descriptor as a table."""
    rows = ((f"`{name}`", words, meaning) for words, name, meaning in rows_of(layout))
    heading = f"`{layout.name}`, {layout.words} words"
    return f"{heading}\n\n{table(('value', 'words', 'what it is'), rows)}"


def rows_of(layout: Layout) -> list[tuple[str, str, str]]:
    """The words of each value of a descriptor, its name, and what it is."""
    return [(_span(layout, item), item.name, item.meaning) for item in layout.items]


def _span(layout: Layout, item: Item) -> str:
    first = layout.places[item.name]
    return str(first) if item.words == 1 else f"{first}-{first + item.words - 1}"


def index() -> str:
    """All mnemonics of the table in alphabetical order, each with its entry."""
    rows: list[tuple[str, str]] = []
    for family in FAMILIES:
        for group in entries(ISA):
            if chapter_of(group[0]) is family:
                link = anchor(heading(group))
                says = re.split(r"[.;]( |$)", group[0].page.splitlines()[0])[0]
                rows += [(i.mnemonic, f"| [`{i.mnemonic}`](#{link}) | {escaped(cell(says))} |") for i in group]
    lines = ["## Index", "", "| mnemonic | |", "| --- | --- |"]
    return "\n".join([*lines, *dict.fromkeys(row for _, row in sorted(rows))])


def anchor(text: str) -> str:
    """The fragment by which a heading is linked to."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def manual() -> str:
    """The whole manual."""
    headings = [heading_of(family)[0] for family in FAMILIES]
    chapters = front()
    contents = [text.splitlines()[0].removeprefix("## ") for text in chapters] + headings + ["Index"]
    links = [f"- [{name}](#{anchor(name)})" for name in contents]
    count = f"{len(list(ISA))} instructions in {len(entries(ISA))} entries"
    opening = (
        "# The instruction set\n\n<!-- Made from the table by `make docs`. Do not edit. -->\n\n"
        f"{count}, made from the instruction table in `isa/`. What it says is what the\n"
        "assembler, the disassembler and the emulator do."
    )
    return "\n\n".join([opening, "\n".join(links), *chapters, *map(chapter, FAMILIES), index()]) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the manual to the file named, or with --check say whether it is up to date."""
    check = "--check" in arguments
    files = [argument for argument in arguments if argument != "--check"]
    if len(files) != 1 or files[0].startswith("-"):
        sys.stderr.write("usage: python -m m890.tools.manual [--check] docs/isa.md\n")
        return 2
    path, text = Path(files[0]), manual()
    if not check:
        path.write_text(text, encoding="utf-8")
        return 0
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{path} is not what the table says: run `make docs` and commit it\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

__all__ = ["anchor", "chapter", "index", "main", "manual", "page", "pages_for", "rows_of"]
