"""`m890 bench`: the benchmarks."""

from __future__ import annotations

import click

from ..help import Verb

EXAMPLES = r"""
m890 bench
m890 bench --only saxpy_2e20 --only launches
m890 bench --only gemm_bf16_1024 --shares
m890 bench --json bench.json
"""


@click.command("bench", cls=Verb, examples=EXAMPLES)
@click.option("--only", multiple=True, metavar="NAME", help="Run this benchmark; may be given several times.")
@click.option("--json", "json_file", metavar="FILE", help="Write the results as JSON, to stdout for -.")
@click.option("--shares", is_flag=True, help="Show which instructions the emulator's time goes to.")
def command(only: tuple[str, ...], json_file: str | None, shares: bool) -> None:
    """Measure the emulator beside numpy on this host."""
    from ..bench import main

    main(only, json_file, shares=shares)
