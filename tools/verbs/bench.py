"""`m890 bench`: the benchmarks."""

from __future__ import annotations

import click


@click.command("bench")
@click.option("--only", multiple=True, metavar="NAME", help="Run this benchmark; may be given several times.")
@click.option("--json", "json_file", metavar="FILE", help="Write the results as JSON, to stdout for -.")
def command(only: tuple[str, ...], json_file: str | None) -> None:
    """Measure the emulator beside numpy on this host.

    \b
    Examples:
      m890 bench
      m890 bench --only saxpy_2e20 --only launches
      m890 bench --json bench.json
    """
    arguments = [part for name in only for part in ("--only", name)]
    arguments += ["--json", json_file] if json_file else []
    from ..bench.main import main

    raise SystemExit(main(arguments))
