"""`m890 asm`: assembly text to an object file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..exits import Mistake
from ..help import Verb

if TYPE_CHECKING:
    from ...isa.diagnostics import Diagnostic
    from ...isa.program import Function, Module


EXAMPLES = r"""
m890 asm saxpy.s -o saxpy.hgbin
m890 asm gemm.s -I include -D TILE=32 -D UNROLL -o gemm32.hgbin
m890 asm gemm.s --chip 810E
m890 asm kernel.s -o - --json 2>/dev/null > kernel.hgbin
"""


@click.command("asm", cls=Verb, examples=EXAMPLES)
@click.argument("file", type=click.Path())
@click.option("-o", "--output", metavar="OUT", help="The object file; by default FILE's name with .hgbin, here.")
@click.option("-I", "include", multiple=True, metavar="DIR", help="Look for .include files here, too.")
@click.option(
    "-D", "defines", multiple=True, metavar="NAME[=VALUE]", help="Define a symbol, as .equ does; 1 without VALUE."
)
@click.option(
    "--chip", metavar="NAME|FILE.toml", default="M890", help="What a text is for that does not say .arch: M890 or 810E."
)
@click.option("--json", "as_json", is_flag=True, help="Print kernels, or errors and warnings, as JSON.")
def command(
    file: str, output: str | None, include: tuple[str, ...], defines: tuple[str, ...], chip: str, as_json: bool
) -> None:
    """Assemble FILE into an object file. `-` as FILE reads stdin, as OUT writes stdout.

    All errors are reported at once, with line, caret and hint; warnings do not keep the object from being written.
    """
    from ...isa.diagnostics import AssemblyError
    from ...isa.objectfile import write
    from ..exits import Code
    from ..loading import architecture, assemble_bytes, parse_define, print_warning, read_bytes
    from ..output import atomic, complain, counted, diagnostic_text, note, say, say_json

    try:
        symbols = dict(parse_define(text) for text in defines)
    except ValueError as error:
        raise Mistake(f"-D {error}") from None
    arch = architecture(chip)
    target = output or ("-" if file == "-" else f"{Path(file).stem}.hgbin")
    as_json = as_json and target != "-"
    warnings: list[Diagnostic] = []
    try:
        module = assemble_bytes(read_bytes(file), file, include, symbols, warnings.append, arch)
    except AssemblyError as error:
        for warning in warnings:
            complain(diagnostic_text(warning) + "\n", label="")
        for diagnostic in error.diagnostics:
            complain(diagnostic_text(diagnostic) + "\n", label="")
        stopped = "stopped after " if error.stopped else ""
        note(f"{stopped}{counted(len(error.diagnostics), 'error')}, no object written")
        if as_json:
            say_json({"errors": list(error.diagnostics), "warnings": warnings})
        raise SystemExit(Code.BAD_INPUT) from None
    for warning in warnings:
        print_warning(warning)
    data = write(module)
    with atomic(target) as out:
        out.write(data)
    if as_json:
        say_json({"object": target, "bytes": len(data), **describe(module), "errors": [], "warnings": warnings})
    elif target != "-":
        for kernel in module.kernels.values():
            tsm = f", {kernel.tsm:,} bytes of TSM" if kernel.tsm else ""
            say(f"{target}: {kernel.name}: {_counts(kernel)}{tsm}")
        for function in module.functions.values():
            say(f"{target}: function {function.name}: {_counts(function)}")
        needs = describe(module)["needs"]
        if needs:
            say(f"{target}: needs {', '.join(needs)} of other objects: m890 link {target} OTHER.hgbin -o all.hgbin")


def _counts(code: Function) -> str:
    """Its words and registers."""
    from ..output import counted

    return ", ".join((counted(len(code.words), "word"), counted(code.vregs, "vreg"), counted(code.sregs, "sreg")))


def describe(module: Module) -> dict[str, Any]:
    """What a launch must know of a module."""
    from ...isa.relocations import missing

    names = ("name", "vregs", "sregs", "tsm", "private", "maxntid", "reqntid", "params")
    kernels = [
        {"words": len(kernel.words), **{name: getattr(kernel, name) for name in names}}
        for kernel in module.kernels.values()
    ]
    functions = [
        {"name": name, "words": len(function.words), "vregs": function.vregs, "sregs": function.sregs}
        for name, function in module.functions.items()
    ]
    return {
        "arch": module.arch,
        "kernels": kernels,
        "functions": functions,
        "needs": sorted(missing(module)),
        "data_bytes": len(module.data),
    }
