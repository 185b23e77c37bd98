"""`m890 link`: several objects to one."""

from __future__ import annotations

import click

from ..exits import InputError, Mistake
from ..help import Verb

EXAMPLES = r"""
m890 link main.hgbin math.hgbin -o all.hgbin
m890 link main.s math.s -o all.hgbin && m890 dis all.hgbin
m890 link main.hgbin math.hgbin -o - | m890 dis -
"""


@click.command("link", cls=Verb, examples=EXAMPLES)
@click.argument("files", type=click.Path(), nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", required=True, help="The object to write; - is stdout.")
@click.option("-I", "include", multiple=True, metavar="DIR", help="Of sources: look for .include files here, too.")
@click.option("-D", "defines", multiple=True, metavar="NAME[=VALUE]", help="Of sources: define a symbol, as .equ does.")
@click.option("--chip", metavar="NAME|FILE.toml", default="M890", help="What sources are for that do not say .arch.")
@click.option("--json", "as_json", is_flag=True, help="Print what the object holds as JSON.")
def command(
    files: tuple[str, ...], output: str, include: tuple[str, ...], defines: tuple[str, ...], chip: str, as_json: bool
) -> None:
    """Join FILES, objects or sources, into one object.

    What a file declares with .extern, another one defines and makes visible with .globl. Functions and data follow
    one another in the order of the files; the same files in the same order give the same bytes.
    """
    from ...isa.linker import LinkError, link
    from ...isa.objectfile import write
    from ..loading import architecture, load_module, parse_define
    from ..output import atomic, say, say_json
    from .asm import describe

    try:
        symbols = dict(parse_define(text) for text in defines)
    except ValueError as error:
        raise Mistake(f"-D {error}") from None
    arch = architecture(chip)
    modules = [(file, load_module(file, include, symbols, arch=arch)) for file in files]
    try:
        module = link(modules)
    except LinkError as error:
        raise InputError(str(error)) from None
    data = write(module)
    with atomic(output) as out:
        out.write(data)
    if output == "-":
        return
    if as_json:
        say_json({"object": output, "bytes": len(data), **describe(module)})
    else:
        counts = f"{len(module.kernels)} kernels, {len(module.functions)} functions, {len(module.data):,} bytes of data"
        say(f"{output}: {counts}")
