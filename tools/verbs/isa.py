"""`m890 isa`: the manual page of an instruction, a directive, or a macro of the library."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from ..exits import Mistake
from ..help import Verb

if TYPE_CHECKING:
    from ...isa import Form, Instruction
    from ..library import Macro

WIDTH = 100
MOST = 24
"""Entries shown for a word."""


def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Mnemonics, directives and macros for the shell."""
    from ...isa import ISA
    from ...isa.directives import REFERENCE
    from ..library import macros

    return sorted(name for name in (*ISA.by_mnemonic, *REFERENCE, *macros()) if name.startswith(incomplete))


EXAMPLES = r"""
m890 isa v.fma.f32.rtte
m890 isa .tsm
m890 isa block_reduce
m890 isa barrier
m890 isa %tid.x
m890 isa --list
m890 isa v.cnvt --list
"""


@click.command("isa", cls=Verb, examples=EXAMPLES)
@click.argument("mnemonic", required=False, shell_complete=complete)
@click.option(
    "--list",
    "as_list",
    is_flag=True,
    help="List all instructions and where they are, on ppu0015 (M890), ppu001 (810E) or both; or those whose "
    "mnemonic or description has MNEMONIC.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
def command(mnemonic: str | None, as_list: bool, as_json: bool) -> None:
    """Print the manual page of MNEMONIC: text, word, meaning, operands, where it is known from, and examples.

    MNEMONIC may be a directive of the assembler, .tsm, or a macro of the library, global_x. It may be a named
    register, a counter or a suffix, %tid.x, vldcnt, .release. Any other word is looked up in the descriptions:
    barrier, shuffle.
    """
    from ...isa import ISA
    from ...isa.habits import instruction_hint
    from .. import lookup, pages
    from ..library import macros
    from ..output import say, say_json

    if as_list:
        chosen = [instruction for instruction in ISA if (mnemonic or "") in instruction.mnemonic]
        chosen = chosen or lookup.instructions(mnemonic or "")
        if not chosen:
            hint = instruction_hint(mnemonic or "", ISA.by_mnemonic)
            raise Mistake(f"no mnemonic contains '{mnemonic}', and no description" + (f": {hint}" if hint else ""))
        _list(chosen, as_json)
        return
    if mnemonic is None:
        raise Mistake("which instruction or directive? Name one, or use --list")
    if mnemonic.startswith(".") and not lookup.named(mnemonic):
        _directive(mnemonic, as_json)
        return
    if mnemonic in macros():
        _macro(macros()[mnemonic], as_json)
        return
    if mnemonic not in ISA.by_mnemonic and _looked_up(mnemonic, as_json):
        return
    try:
        found = pages.find(mnemonic)
    except ValueError as error:
        raise Mistake(str(error)) from None
    if as_json:
        say_json([_as_dict(instruction) for instruction in found])
        return
    for number, instruction in enumerate(found):
        if number:
            say("")
        _page(instruction)


def _looked_up(word: str, as_json: bool) -> bool:
    """Print the registers, counters and suffixes of this name, or the entries that speak of a word without a dot."""
    from .. import lookup
    from ..output import say, say_json, style

    named = lookup.named(word)
    entries = [] if named or "." in word else lookup.search(word)
    if as_json and (named or entries):
        say_json([entry._asdict() for entry in named] or [_summary(entry.first) for entry in entries])
        return True
    for number, (name, holds, read) in enumerate(named):
        say(("\n" if number else "") + style(name, bold=True))
        say(textwrap.indent(textwrap.fill(holds, WIDTH - 4), "    "))
        say(textwrap.indent(textwrap.fill(read, WIDTH - 4), "    "))
    for entry in entries[:MOST]:
        say(style(entry.name if len(entry.name) <= WIDTH else f"{entry.name[: WIDTH - 4]} ...", bold=True))
        say("    " + textwrap.shorten(entry.says, WIDTH - 4, placeholder=" ..."))
    if len(entries) > MOST:
        say(f"... and {len(entries) - MOST} further entries: --list shows them all")
    return bool(named or entries)


def _directive(name: str, as_json: bool) -> None:
    """The entry of a directive, as docs/assembly.md has it."""
    from ...isa.directives import REFERENCE
    from ...isa.habits import directive_hint
    from ..output import say, say_json, style

    entry = REFERENCE.get(name)
    if entry is None:
        hint = directive_hint(name, REFERENCE) or f"there are {', '.join(REFERENCE)}"
        raise Mistake(f"no directive is called '{name}': {hint}")
    if as_json:
        fields = ("name", "syntax", "meaning", "example")
        say_json({field: getattr(entry, field) for field in fields})
        return
    say(f"{style(entry.syntax, bold=True)}\n")
    say(textwrap.indent(textwrap.fill(entry.meaning, WIDTH - 4), "    ") + "\n")
    say(style("Example", bold=True))
    say(textwrap.indent(entry.example, "    "))


def _macro(macro: Macro, as_json: bool) -> None:
    """What the library says of a macro."""
    from ..output import say, say_json, style

    if as_json:
        say_json(macro._asdict() | {"name": macro.name})
        return
    say(f"{style(macro.usage, bold=True)}")
    say(f'    a macro of the library: .include "{macro.file}"')
    for paragraph in macro.paragraphs:
        say("\n" + textwrap.indent(textwrap.fill(paragraph, WIDTH - 4), "    "))


def _list(chosen: list[Instruction], as_json: bool) -> None:
    from ..output import TAG_COLOURS, say, say_json, style

    if as_json:
        say_json([_summary(instruction) for instruction in chosen])
        return
    width = max((len(instruction.mnemonic) for instruction in chosen), default=0)
    lines: dict[str, None] = {}
    for instruction in chosen:
        tag = style(f"{instruction.tag:<9}", fg=TAG_COLOURS[instruction.tag])
        meaning = instruction.page.splitlines()[0]
        meaning = textwrap.shorten(meaning, max(40, WIDTH - width - 22), placeholder=" ...")
        where = instruction.architectures[0] if len(instruction.architectures) == 1 else "both"
        lines[f"{instruction.mnemonic:<{width}}  {tag}  {where:<7}  {meaning}"] = (
            None  # once, if there are several patterns
        )
    for line in lines:
        say(line)


def _summary(instruction: Instruction) -> dict[str, Any]:
    return {
        "mnemonic": instruction.mnemonic,
        "tag": instruction.tag,
        "source": instruction.source,
        "architectures": list(instruction.architectures),
        "page": instruction.page,
    }


def _page(instruction: Instruction) -> None:
    from .. import pages
    from ..output import TAG_COLOURS, say, style

    tag = style(instruction.tag, fg=TAG_COLOURS[instruction.tag])
    source = f" ({instruction.source})" if instruction.source else ""
    say(f"{style(pages.usage(instruction), bold=True)}")
    say(f"    {tag}{source}; {', '.join(instruction.architectures)}\n")
    for paragraph in instruction.page.split("\n\n"):
        say(textwrap.indent(textwrap.fill(paragraph, WIDTH - 4), "    ") + "\n")
    if instruction.kinds:
        say(style("Operands", bold=True))
        for name, role, what in pages.operands_of(instruction):
            say(textwrap.fill(f"    {name:<9} {role:<12} {what}", WIDTH, subsequent_indent=" " * 27))
        say("")
    if instruction.access:
        access, plural = instruction.access, "s" if instruction.access.size > 1 else ""
        say(f"    {access.size} byte{plural} a lane, aligned to {access.alignment}, counted by {access.counter}\n")
    for number, (suffix, meaning) in enumerate(pages.suffixes(instruction)):
        say(("" if number else style("Suffixes", bold=True) + "\n") + _row(suffix, meaning))
    if instruction.suffixes:
        say("")
    for title, rows in pages.descriptors(instruction):
        say(style(title, bold=True))
        for words, name, meaning in rows:
            say(textwrap.fill(f"    {words:>5}  {name:<12} {meaning}", WIDTH, subsequent_indent=" " * 24))
        say("")
    maps = pages.lane_maps(instruction)
    for title, lines in maps:
        say(style(title, bold=True))
        say(textwrap.indent("\n".join(lines), "    ") + "\n")
    if maps:
        say(textwrap.indent(textwrap.fill(pages.legend(), WIDTH - 4), "    ") + "\n")
    for form in instruction.forms:
        say(style(f"Word{_form_name(instruction, form)}", bold=True))
        _word(form)
        say("")
    shown = pages.examples(instruction)
    say(style("Examples" if len(shown) > 1 else "Example", bold=True))
    for example in shown:
        say("\n".join(f"    {_cut(line)}" for line in str(example).splitlines()))
    heading, paragraphs = pages.chapter(instruction)
    if paragraphs:
        say("\n" + style(f"Of all in the chapter {heading}", bold=True))
        say("\n\n".join(textwrap.indent(_filled(paragraph), "    ") for paragraph in paragraphs))


def _row(name: str, meaning: str) -> str:
    """A line of a table with a wide first column."""
    return textwrap.fill(f"    {name:<14} {meaning}", WIDTH, subsequent_indent=" " * 19)


def _cut(line: str) -> str:
    """A line of an example, without the many values of a matrix load."""
    return line if len(line) <= 2 * WIDTH else f"{line[: 2 * WIDTH - 4]} ..."


def _filled(paragraph: str) -> str:
    """A paragraph of the manual within the width; a table or code as it is."""
    return paragraph if paragraph[0] in "|`-" else textwrap.fill(paragraph, WIDTH - 4)


def _form_name(instruction: Instruction, form: Form) -> str:
    if len(instruction.forms) == 1:
        return ""
    return ", with an immediate" if form.immediate else ", registers only"


def _word(form: Form) -> None:
    """The fields as a table, high bits first."""
    from .. import pages
    from ..output import say

    for part in pages.layout(form):
        bits = f"{part.high}:{part.low}" if part.high > part.low else str(part.high)
        say(f"    {bits:>5}  {part.meaning}")


def _as_dict(instruction: Instruction) -> dict[str, Any]:
    from .. import pages

    return {
        "mnemonic": instruction.mnemonic,
        "usage": pages.usage(instruction),
        "pattern": instruction.pattern,
        "opcode": instruction.opcode,
        "tag": instruction.tag,
        "source": instruction.source,
        "architectures": list(instruction.architectures),
        "page": instruction.page,
        "operands": [
            {"name": name, "role": role, "takes": what} for name, role, what in pages.operands_of(instruction)
        ],
        "suffixes": [{"name": name, "meaning": meaning} for name, meaning in pages.suffixes(instruction)],
        "words": [
            {
                "immediate": form.immediate,
                "mask": f"{form.mask:#018x}",
                "value": f"{form.value:#018x}",
                "fields": [part._asdict() for part in pages.layout(form)],
            }
            for form in instruction.forms
        ],
        "examples": [example._asdict() for example in pages.examples(instruction)],
        "descriptors": [words._asdict() for words in pages.descriptors(instruction)],
        "chapter": dict(zip(("heading", "paragraphs"), pages.chapter(instruction), strict=True)),
    }
