"""The command `m890`: its verbs, found when needed, and how every run of it ends."""

from __future__ import annotations

import importlib
from typing import Any

import click

from .exits import translated
from .help import write_sections
from .output import wants_colour

VERBS = ("asm", "link", "dis", "run", "info", "isa", "bench", "perf", "cache", "completion")


EXAMPLES = r"""
m890 run saxpy.s --grid 4 --block 256 --arg n=1000 --arg a=2.0 \
         --arg x=x.npy --arg y=zeros:f32:1000 --out y=y.npy
m890 run gemm.toml
m890 asm saxpy.s -o saxpy.hgbin && m890 dis saxpy.hgbin
m890 isa v.fma.f32.rtte
"""


class Verbs(click.Group):
    """Imports a verb's module when the verb is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of the help."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A verb's command."""
        if cmd_name not in VERBS:
            return None
        return importlib.import_module(f".verbs.{cmd_name}", __package__).command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A verb and its arguments; an unknown one is a usage error that names the nearest."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(VERBS)}"
            ctx.fail(f"no verb is called '{args[0]}': {hint}")
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples at the end of the help."""
        write_sections(formatter, {"Examples": EXAMPLES})

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the flags before the verb, --help among them; a reader of the help that leaves is no error."""
        with translated():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; its errors become messages and exit codes."""
        with translated():
            return super().invoke(ctx)


def print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Print the version and end."""
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"m890 {version('m890')}")
        ctx.exit()


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "color": wants_colour()})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Print the version and exit.",
)
def cli() -> None:
    """Emulate the Zhenwu M890 and 810E AI chips, instruction by instruction.

    Results go to stdout, messages to stderr. Exit codes: 0 ok, 1 the guest failed (a fault, a check), 2 usage,
    3 a bad input file or source, 4 reserved for checkers, 5 a hang or a limit, 70 a bug of m890; 130 after Ctrl-C.
    """


def main() -> None:
    """The console script."""
    cli(prog_name="m890")
