"""How `m890` ends: exit codes that scripts can rely on, and which error gives which.

0 ok, 1 the guest failed (a fault, a check), 2 usage, 3 a bad input file or source, 4 reserved for checkers,
5 a hang or a limit, 70 a bug of m890. Besides these, as in any shell: 130 after Ctrl-C, 141 when the reader of a
pipe has gone.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Generator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import NoReturn

import click

from .output import complain


class Code(IntEnum):
    """Exit codes."""

    OK = 0
    FAILED = 1
    USAGE = 2
    BAD_INPUT = 3
    FINDINGS = 4
    LIMIT = 5
    BUG = 70
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class InputError(ValueError):
    """A file the user gave is not what it should be; the text names the file and says what to do."""


class Mistake(click.ClickException):
    """Flags that are well-formed but ask for what cannot be: the message alone, without the verb's usage."""

    exit_code = Code.USAGE

    def show(self, file: object = None) -> None:
        """Print the message."""
        complain(self.format_message())


@contextmanager
def translated() -> Generator[None, None, None]:
    """Turn whatever a verb raises into a message on stderr and an exit code."""
    try:
        yield
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] (it is where the shell closed it)
            sys.stdout.flush()
    except BrokenPipeError:
        _leave_pipe()
    except KeyboardInterrupt as error:
        complain(str(error) or "interrupted")
        raise SystemExit(Code.INTERRUPTED) from None
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        code = code_of(error)
        if code is Code.BUG or os.environ.get("M890_TRACEBACK"):
            _report(error, code)
        else:
            complain(message_of(error))
        raise SystemExit(code) from None


def code_of(error: Exception) -> Code:
    """The exit code for an error that a verb did not handle."""
    # An error of a module that was never imported cannot have been raised: nothing is imported for asking.
    for module, codes in _CODES.items():
        for name, code in codes.items():
            kind = getattr(sys.modules.get(f"{_ROOT}.{module}"), name, None)
            if kind is not None and isinstance(error, kind):
                return code
    if isinstance(error, InputError | OSError):
        return Code.BAD_INPUT
    return Code.LIMIT if isinstance(error, MemoryError) else Code.BUG


_ROOT = __name__.rsplit(".", 2)[0]
_CODES: dict[str, dict[str, Code]] = {
    "isa.diagnostics": {"AssemblyError": Code.BAD_INPUT},
    "isa.binary": {"ObjectError": Code.BAD_INPUT},
    "emulator.faults": {
        "Fault": Code.FAILED,
        "Timeout": Code.LIMIT,
        "Deadlock": Code.LIMIT,
        "MemoryLimit": Code.LIMIT,
        "LaunchError": Code.BAD_INPUT,
        "M890Error": Code.LIMIT,  # all that is left of them: the host refuses what a chip needs
    },
}
"""Error classes by module and name."""


def message_of(error: Exception) -> str:
    """What a user reads; several lines where there is more to say."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    if isinstance(error, MemoryError):
        return "this host has no memory left: use fewer or smaller buffers"
    if type(error).__name__ == "Timeout":
        return (
            f"{error}\n  hint: if it only needs longer, raise --limit or --time-limit; "
            "a loop that never ends is where the warps stand"
        )
    return str(error)


def _report(error: Exception, code: Code) -> None:
    """Show or keep the traceback; ask for a report if it is our bug."""
    text = "".join(traceback.format_exception(error))
    if os.environ.get("M890_TRACEBACK"):
        complain(text.rstrip(), label="")
        where = "the traceback above"
    else:
        where = f"the traceback in {_keep(text)}"
    if code is Code.BUG:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        complain(
            f"{what}\nThis is a bug in m890, not in your program. Please report it with {where}\n"
            "and the command line; M890_TRACEBACK=1 prints the traceback.",
            label="internal error",
        )


def _keep(text: str) -> str:
    """Write a traceback to a new file and return its name."""
    try:
        handle, name = tempfile.mkstemp(prefix="m890-traceback-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return "nowhere (no temporary file could be written)"
    return name


def _leave_pipe() -> NoReturn:
    """End quietly; nothing may be flushed to the closed pipe when the interpreter ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(Code.BROKEN_PIPE)
