"""`m890 isa`: the manual page of an instruction."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from ..help import Verb

if TYPE_CHECKING:
    from ...isa import Form, Instruction

WIDTH = 100
TAG_COLOURS = {"published": "green", "measured": "cyan", "defined": "yellow"}


def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Mnemonics for the shell."""
    from ...isa import ISA

    return sorted(name for name in ISA.by_mnemonic if name.startswith(incomplete))


EXAMPLES = r"""
m890 isa v.fma.f32.rtte
m890 isa --list
m890 isa v.cnvt --list
"""


@click.command("isa", cls=Verb, examples=EXAMPLES)
@click.argument("mnemonic", required=False, shell_complete=complete)
@click.option(
    "--list", "as_list", is_flag=True, help="List all instructions, or those whose mnemonic contains MNEMONIC."
)
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
def command(mnemonic: str | None, as_list: bool, as_json: bool) -> None:
    """Print the manual page of MNEMONIC: text, word, meaning, operands, where it is known from, and examples."""
    from ...isa import ISA
    from .. import pages
    from ..output import say, say_json

    if as_list:
        chosen = [instruction for instruction in ISA if (mnemonic or "") in instruction.mnemonic]
        _list(chosen, as_json)
        return
    if mnemonic is None:
        raise click.UsageError("which instruction? Name one, or use --list")
    try:
        found = pages.find(mnemonic)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        say_json([_as_dict(instruction) for instruction in found])
        return
    for number, instruction in enumerate(found):
        if number:
            say("")
        _page(instruction)


def _list(chosen: list[Instruction], as_json: bool) -> None:
    from ..output import say, say_json, style

    if as_json:
        say_json([{"mnemonic": i.mnemonic, "tag": i.tag, "source": i.source, "page": i.page} for i in chosen])
        return
    width = max((len(instruction.mnemonic) for instruction in chosen), default=0)
    for instruction in chosen:
        tag = style(f"{instruction.tag:<9}", fg=TAG_COLOURS[instruction.tag])
        meaning = instruction.page.splitlines()[0]
        meaning = textwrap.shorten(meaning, max(40, WIDTH - width - 13), placeholder=" ...")
        say(f"{instruction.mnemonic:<{width}}  {tag}  {meaning}")


def _page(instruction: Instruction) -> None:
    from .. import pages
    from ..output import say, style

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
    for form in instruction.forms:
        say(style(f"Word{_form_name(instruction, form)}", bold=True))
        _word(form)
        say("")
    say(style("Examples" if len(instruction.examples) > 1 else "Example", bold=True))
    for example in instruction.examples:
        say(f"    {pages.example(instruction, example)}")


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
        "words": [
            {
                "immediate": form.immediate,
                "mask": f"{form.mask:#018x}",
                "value": f"{form.value:#018x}",
                "fields": [part._asdict() for part in pages.layout(form)],
            }
            for form in instruction.forms
        ],
        "examples": [pages.example(instruction, example)._asdict() for example in instruction.examples],
    }
