"""A run of `m890` by several processes of mpiexec: the first one speaks, and none is left when one fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..emulator.pod.ranks import Ranks


@contextmanager
def together() -> Generator[Ranks | None, None, None]:
    """The exchange of a process that mpiexec has started with others, None for one that is alone.

    All ranks that come to the same end, good or bad, leave together, and only the first says anything. A rank that
    fails alone says so itself and ends the others.
    """
    from ..emulator.pod.ranks import Ranks, ranks_started

    if ranks_started() == 1:
        yield None
        return
    ranks = Ranks()
    with _quiet(ranks.rank > 0):
        try:
            yield ranks
        except BaseException as error:
            failure = error
        else:
            ranks.leave(failed=False)
            return
        if ranks.leave(failed=True):
            if ranks.rank == 0:
                raise failure
            raise SystemExit(_code_of(failure))
    _end_all(ranks, failure)


@contextmanager
def _quiet(silent: bool) -> Generator[None, None, None]:
    """Print nothing to stdout or stderr, if `silent`."""
    if not silent:
        yield
        return
    streams = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        sys.stdout = sys.stderr = nothing
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams


def _end_all(ranks: Ranks, failure: BaseException) -> None:
    """Say what has gone wrong on this rank alone, and end all."""
    from .exits import message_of
    from .output import complain

    text = message_of(failure) if isinstance(failure, Exception) else str(failure)
    complain(f"rank {ranks.rank} of {ranks.ranks}: {type(failure).__name__}" + (text and f": {text}"))
    sys.stderr.flush()
    ranks.abort(_code_of(failure))


def _code_of(failure: BaseException) -> int:
    """The exit code of a failure."""
    from .exits import code_of

    if isinstance(failure, SystemExit):
        return failure.code if isinstance(failure.code, int) else 1
    if isinstance(failure, click.exceptions.Exit | click.ClickException):
        return failure.exit_code
    return int(code_of(failure)) if isinstance(failure, Exception) else 130
