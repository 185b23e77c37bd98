"""Help texts: a command whose help ends with sections printed as they stand, the last of them its examples."""

from __future__ import annotations

import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import click


class Verb(click.Command):
    """A command with verbatim sections behind its options; `examples` is the last one."""

    def __init__(self, *args: Any, examples: str, sections: dict[str, str] | None = None, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.sections = {**(sections or {}), "Examples": examples}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the flags; with --json an error is an object on stdout as well."""
        as_json = "--json" in args
        with _as_json(as_json):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; with --json a mistake in its flags is an object on stdout as well."""
        with _as_json(bool(ctx.params.get("as_json"))):
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        write_sections(formatter, self.sections)


@contextmanager
def _as_json(wanted: bool) -> Generator[None, None, None]:
    try:
        yield
    except click.ClickException as error:
        if wanted:
            from .output import say_json

            text = error.format_message()
            say_json({"error": {"kind": "Usage", "exit_code": int(error.exit_code), "text": text}})
        raise


def write_sections(formatter: click.HelpFormatter, sections: dict[str, str]) -> None:
    """Write each section under its title, its lines as they are."""
    for title, text in sections.items():
        formatter.write(f"\n{title}:\n{textwrap.indent(textwrap.dedent(text).strip(), '  ')}\n")
