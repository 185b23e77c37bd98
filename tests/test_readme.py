"""The README's examples run as they stand, from a copy of the checkout's root."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
SHELL = [text for language, text in BLOCKS if language == "sh"]
PYTHON = [text for language, text in BLOCKS if language == "python"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the programs in it, in which examples may write."""
    (tmp_path / "programs").symlink_to(ROOT / "programs")
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "m890"
    script.write_text(f"#!{sys.executable}\nfrom m890.tools.cli import main\nmain()\n")
    script.chmod(0o755)
    return tmp_path


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that finds m890 and python, failing where it fails."""
    path = os.pathsep.join((str(folder / "bin"), os.path.dirname(sys.executable), os.environ["PATH"]))
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_two_commands_come_first():
    language, text = BLOCKS[0]
    assert language == "console"
    assert [line.split("#")[0].strip() for line in text.splitlines()] == ["make run", "make test"]
    targets = (ROOT / "Makefile").read_text()
    assert "\nrun:" in targets
    assert "\ntest:" in targets


def test_there_are_examples_of_each_kind():
    assert SHELL
    assert PYTHON


@pytest.mark.parametrize("text", SHELL)
def test_shell_examples(text: str, checkout: Path):
    done = run(["bash", "-euo", "pipefail", "-c", text], checkout)
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"^#> (.*)$", text, re.MULTILINE)
    for line in shown:
        pattern = re.escape(line).replace(r"\.\.\.", ".*")
        assert re.search(f"^{pattern}$", done.stdout, re.MULTILINE), (line, done.stdout)


@pytest.mark.parametrize("text", PYTHON)
def test_python_examples(text: str, checkout: Path):
    done = run(["python", "-W", "error", "-c", text], checkout)
    assert done.returncode == 0, done.stderr


def test_links_lead_somewhere():
    prose = re.sub(r"^```.*?^```$", "", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\((?!http)([^)#]+)", prose)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
