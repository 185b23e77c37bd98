"""`m890 dis`: an object file as assembly text."""

from __future__ import annotations

import click

from ..exits import Mistake
from ..help import Verb

EXAMPLES = r"""
m890 dis saxpy.hgbin
m890 dis saxpy.hgbin --addresses --bytes --annotate
m890 dis saxpy.hgbin --no-lines | m890 asm - -o copy.hgbin
"""


@click.command("dis", cls=Verb, examples=EXAMPLES)
@click.argument("file", type=click.Path())
@click.option("--addresses", is_flag=True, help="Print each word's address in its kernel.")
@click.option(
    "--bytes", "words", is_flag=True, help="Print each word's bytes; with --addresses as in the vendor's listings."
)
@click.option("--lines/--no-lines", default=True, help="Say which source lines words come from (default: yes).")
@click.option("--annotate", is_flag=True, help="Add offsets in bytes, branch targets and parameters as comments.")
@click.option("--kernel", metavar="NAME", help="Only this kernel or function.")
def command(file: str, addresses: bool, words: bool, lines: bool, annotate: bool, kernel: str | None) -> None:
    """Disassemble FILE, an object; a source is assembled first.

    The text assembles back to the same bytes. With --no-lines it has no line information, so that the object made
    of it has none either; its words are the same.
    """
    from ...isa.disassembler import disassemble
    from ..loading import load_module, nearest_of

    module = load_module(file)
    code = {**module.kernels, **module.functions}
    if kernel is not None and kernel not in code:
        raise Mistake(f"{file} has no kernel '{kernel}': {nearest_of(kernel, code)}")
    text = disassemble(module, addresses=addresses, words=words, lines=lines, annotate=annotate, kernel=kernel)
    click.echo(text, nl=not text.endswith("\n"))
