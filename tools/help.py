"""Help texts: a command whose help ends with sections printed as they stand, the last of them its examples."""

from __future__ import annotations

import textwrap
from typing import Any

import click


class Verb(click.Command):
    """A command with verbatim sections behind its options; `examples` is the last one."""

    def __init__(self, *args: Any, examples: str, sections: dict[str, str] | None = None, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.sections = {**(sections or {}), "Examples": examples}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        write_sections(formatter, self.sections)


def write_sections(formatter: click.HelpFormatter, sections: dict[str, str]) -> None:
    """Write each section under its title, its lines as they are."""
    for title, text in sections.items():
        formatter.write(f"\n{title}:\n{textwrap.indent(textwrap.dedent(text).strip(), '  ')}\n")
