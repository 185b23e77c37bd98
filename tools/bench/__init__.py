"""The benchmarks behind `m890 bench`: what the emulator costs, beside numpy where numpy does the same.

Each entry gives a `Result`. Names are stable, for results are compared over time. The process is held to one core
and numpy to one BLAS thread; the emulator and numpy are measured in turn, and medians of at least five runs count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

import click

from ...emulator.sampler import Sampler
from ..output import atomic, complain
from . import core, kernels, matrix, moves, observed, pods, start, table
from .measure import Result, one_core

ENTRIES = (
    kernels.ENTRIES | core.ENTRIES | matrix.ENTRIES | moves.ENTRIES | start.ENTRIES | observed.ENTRIES | pods.ENTRIES
)
"""Every benchmark by name, in the order they are run and printed."""
CORE_TYPE = "OPENBLAS_CORETYPE"
HARD = "SkylakeX"
"""OpenBLAS's kernels for AVX-512, which it does not choose by itself on every host that has it."""


def main(
    only: Sequence[str] = (), json_path: str | None = None, *, repeat: int | None = None, shares: bool = False
) -> None:
    """Run the benchmarks named in `only`, all if none is, and print a table as they finish.

    `json_path` is a file for the results as JSON, or "-" for stdout; the table then goes to stderr. `repeat` is the
    number of measured runs of each, by default seven or more. With `shares` each is run once more and watched: which
    instructions its time goes to. A benchmark that fails is reported and the others go on. Raises click.UsageError
    for an unknown name, SystemExit(1) if one failed.
    """
    names = [name for name in ENTRIES if name in only or not only]
    for name in only:
        if name not in ENTRIES:
            raise click.UsageError(_unknown(name))
    width, failed, results = max(map(len, ENTRIES)) + 2, 0, []
    to_stderr = json_path == "-"
    click.echo(table.heading(width), err=to_stderr)
    for name in names:
        try:
            with one_core():
                result = ENTRIES[name](name, repeat)
            click.echo(table.line(result, width), err=to_stderr)
            if shares:
                result = _watched(result, repeat, to_stderr)
            results.append(result)
            if name in kernels.USES_BLAS and (harder := _with_avx512(name, repeat)):
                click.echo(table.line(replace(harder, name=f"  {HARD}"), width), err=to_stderr)
        except Exception as error:
            failed += 1
            complain(f"{name}: {error or type(error).__name__}")
    if json_path is not None:
        with atomic(json_path) as file:
            file.write(json.dumps([result.as_json() for result in results], indent=2).encode() + b"\n")
    if failed:
        raise SystemExit(1)


def _shares(name: str, repeat: int | None) -> Sampler:
    """Where the time of a benchmark's launches goes: nowhere if it makes none in this process."""
    with Sampler() as sampler:
        ENTRIES[name](name, repeat)  # on all cores: who looks must not wait for who is looked at
    return sampler


def _watched(result: Result, repeat: int | None, to_stderr: bool) -> Result:
    """The result with shares, which are printed."""
    sampler = _shares(result.name, repeat)
    found = sampler.shares()
    for text in table.shares(found, sampler.looks):
        click.echo(text, err=to_stderr)
    return replace(result, shares={each.mnemonic: each.share for each in found})


def _unknown(name: str) -> str:
    near = get_close_matches(name, ENTRIES, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(ENTRIES)}"
    return f"no benchmark is called '{name}': {hint}"


def _with_avx512(name: str, repeat: int | None) -> Result | None:
    """The benchmark in a process in which OpenBLAS takes its AVX-512 kernels; None where that changes nothing."""
    import llvmlite.binding as llvm

    if CORE_TYPE in os.environ or not llvm.get_host_cpu_features().get("avx512f"):
        return None
    code = f"from {__package__} import main; main([{name!r}], '-', repeat={repeat!r})"
    environment = {**os.environ, CORE_TYPE: HARD}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"under {CORE_TYPE}={HARD}: {done.stderr.strip()}")
    return Result(**json.loads(done.stdout)[0])
