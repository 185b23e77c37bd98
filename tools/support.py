"""docs/support.md: every instruction, who says so, and how it is tested.

`python -m m890.tools.support RECORD docs/support.md` writes it. The record
says which test file has run which form; `make support` makes both anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..isa import FAMILIES, ISA, Instruction
from .manual_entries import chapter_of
from .tables import table

Record = Mapping[str, Sequence[str]]
"""Form to the test files (their names without ending) that have run it."""

EXAMPLES, TWINS, MODEL = "test_examples", "test_bodies", "test_model"
_GENERAL = {EXAMPLES, TWINS, MODEL}
_LOOPS = {"test_words", "test_cache", "test_fuzz", "test_disassembler", "test_bench", "test_builder"}
"""Files that run forms without saying what they should do."""


def untested(record: Record) -> list[str]:
    """Forms that nothing independent of their body has run: no model and no test of their family."""
    return [form.name for form in ISA.forms() if not set(record.get(form.name, ())) - {EXAMPLES, TWINS} - _LOOPS]


def page(record: Record) -> str:
    """The page as markdown."""
    parts = [_head(record)]
    for family in FAMILIES:
        members = [instruction for instruction in ISA if chapter_of(instruction) is family]
        title = (family.__doc__ or "").split("\n", maxsplit=1)[0].split(":")[0].rstrip(".")
        rows = [_row(instruction, record) for instruction in members]
        heads = ("mnemonic", "tag", "on", "forms", "examples", "twin", "model", "tests of its own", "programs")
        parts.append(f"## {title}\n\n{table(heads, rows)}")
    return "\n\n".join(parts) + "\n"


def _head(record: Record) -> str:
    forms = list(ISA.forms())
    tags = {tag: sum(i.tag == tag for i in ISA) for tag in ("published", "measured", "defined")}
    counted = ", ".join(f"{count:,} {tag}" for tag, count in tags.items())
    return f"""# What is supported, and how it is tested

Made by `make support` from the instruction table and from a run of the tests. There are
{len(ISA.instructions):,} instructions ({counted}) in {len(forms):,} forms.
Untested forms: {len(untested(record)):,}.

- **examples**: the examples of the manual, on the numpy body and on the compiled handler.
- **twin**: the compiled handler against the numpy body, on special and random values, masks and modifiers.
- **model**: random programs on the core against the slow model, which is written in plain integers from the manual.
- **tests of its own**: against something computed another way, in that file of `tests/`.
- **programs**: kernels of `programs/` that use it, against their references."""


def _row(instruction: Instruction, record: Record) -> tuple[object, ...]:
    files = [set(record.get(form.name, ())) for form in instruction.forms]
    some, every = set[str]().union(*files), files[0].intersection(*files)
    own = sorted(name.removeprefix("test_") for name in every - _GENERAL - _LOOPS if "programs" not in name)
    marks = ["yes" if name in every else "some forms" if name in some else "" for name in (EXAMPLES, TWINS, MODEL)]
    programs = "yes" if any("programs" in name for name in some) else ""
    architectures = "both" if len(instruction.architectures) > 1 else instruction.architectures[0]
    known = (f"`{instruction.mnemonic}`", instruction.tag, architectures, len(instruction.forms))
    return *known, *marks, ", ".join(own), programs


def main(arguments: Sequence[str]) -> int:
    """Write the page from a record; or with --check say whether it is up to date."""
    source, target = (Path(path) for path in arguments[-2:])
    text = page(json.loads(source.read_text(encoding="utf-8")))
    if arguments[0] == "--check":
        return int(target.read_text(encoding="utf-8") != text)
    target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
