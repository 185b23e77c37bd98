"""The command line as tests run it: in this process, or in one of its own."""

import subprocess
import sys
from typing import Any

from click.testing import CliRunner, Result

from m890.tools.cli import cli

COMMAND = (sys.executable, "-c", "from m890.tools.cli import main; main()")
"""What starts the command line in a process of its own."""


def m890(*arguments: str, code: int = 0, **rest: Any) -> Result:
    """Run the command in this process, to end with this exit code."""
    result = CliRunner().invoke(cli, arguments, **rest)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def process(*arguments: str, **rest: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=300, **rest)
