"""`python -m m890.tools.bench`, the benchmarks without the command line around them."""

from __future__ import annotations

import click

from . import main


@click.command()
@click.option("--only", multiple=True, metavar="NAME", help="Run this benchmark; may be repeated.")
@click.option("--json", "json_path", metavar="FILE", help="Write the results as JSON; - is stdout.")
@click.option("--repeat", type=click.IntRange(min=1), help="Measured runs of each.")
@click.option("--shares", is_flag=True, help="Show which instructions the time goes to.")
def bench(only: tuple[str, ...], json_path: str | None, repeat: int | None, shares: bool) -> None:
    """Measure the emulator, beside numpy where numpy does the same."""
    main(only, json_path, repeat=repeat, shares=shares)


bench(prog_name=f"python -m {__package__}")
