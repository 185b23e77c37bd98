"""docs/tutorial.md, carried out from its first line to its last: its files, its commands, what they print."""

import re
import runpy
import shlex
import subprocess
import sys
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from m890.tools.cli import cli

PAGE = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
STEP = re.compile(
    r"<!-- file: (?P<file>\S+) -->\n```\w+\n(?P<content>.*?)```"
    r"|<!-- edit: (?P<old>\S+) -> (?P<new>\S+): (?P<changes>.*?) -->"
    r"|```console\n(?P<console>.*?)```",
    re.DOTALL,
)


class Command(NamedTuple):
    """A line after `$ ` and the lines that it prints, `...` for any."""

    text: str
    printed: list[str]


def commands(console: str) -> list[Command]:
    found: list[Command] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:], []))
        else:
            found[-1].printed.append(line)
    return found


def edited(text: str, changes: str) -> str:
    """A file with replacements `old -> new`, or `without` the lines of some mnemonics."""
    if changes.startswith("without "):
        gone = changes.removeprefix("without ").split(", ")
        return "".join(line for line in text.splitlines(True) if not any(name in line for name in gone))
    for change in changes.split(", "):
        old, new = change.split(" -> ")
        assert old in text
        text = text.replace(old, new)
    return text


def without_compiling(output: str) -> str:
    """What is printed where all is in the cache already."""
    return "".join(line for line in output.splitlines(True) if not line.startswith("m890: compiling "))


def run(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints, without a shell."""
    program, *arguments = shlex.split(command)
    if program == "mpiexec":
        paths = [str(BIN / name) if name in ("mpiexec", "m890") else name for name in (program, *arguments)]
        done = subprocess.run(paths, capture_output=True, text=True, timeout=300, check=False)
        return without_compiling(done.stdout + done.stderr)
    if program == "m890":
        return without_compiling(CliRunner().invoke(cli, arguments).output)
    assert program == "python"
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(arguments[0], run_name="__main__")
    return capsys.readouterr().out


def fits(printed: list[str], wanted: list[str]) -> bool:
    """Whether lines are those wanted, where a line `...` stands for any number of lines and within one for any text."""
    if not wanted:
        return not printed
    first, *rest = wanted
    if first == "...":
        return any(fits(printed[skipped:], rest) for skipped in range(len(printed) + 1))
    pattern = re.sub(r"([][*?])", r"[\1]", first).replace("...", "*")
    return bool(printed) and fnmatchcase(printed[0].rstrip(), pattern) and fits(printed[1:], rest)


def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    done = 0
    for step in STEP.finditer(PAGE):
        if step["file"]:
            Path(step["file"]).write_text(step["content"])
        elif step["new"]:
            Path(step["new"]).write_text(edited(Path(step["old"]).read_text(), step["changes"]))
        for command in commands(step["console"] or ""):
            done += 1
            if command.text.startswith("mpiexec ") and not find_spec("mpi4py"):  # it comes with the extra m890[mpi]
                continue
            printed = run(command.text, monkeypatch, capsys)
            wanted = "\n".join(command.printed)
            assert fits(printed.splitlines(), command.printed), f"$ {command.text}\n{printed}\nis not\n{wanted}"
    assert done == PAGE.count("\n$ ") > 10
