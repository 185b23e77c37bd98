"""docs/adding-an-instruction.md, carried out in a copy of the package: its code, its messages, its one handler."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "adding-an-instruction.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- (\w+)(?:: (\S+))? -->\n```\w+\n(.*?)```", re.DOTALL)

WARM = """
import numpy as np
import m890
from one import check

chip = m890.Chip("M890")
x, y = chip.to_device(np.ones(64, np.float32)), chip.to_device(np.ones(64, np.float32))
chip.assemble(open(SAXPY).read())["saxpy"][2, 32](64, 2.0, x, y)
assert (y.copy_to_host() == 3).all()
check("v.add.i32 vreg3, vreg1, vreg2", vreg1=7, vreg2=4, vreg3=11)
"""
CHECK_WRONG = """
import sys

source, marker = open(FILE).read(), "\\n\\n\\n@insn(\\n    \\"v.avg.u32"
for old, new in CHANGES:
    begin = source.index(marker)
    assert old in source[begin:], old
    open(FILE, "w").write(source[:begin] + source[begin:].replace(old, new, 1))
    for name in [name for name in sys.modules if name.startswith("m890")]:
        del sys.modules[name]
    try:
        import m890.isa
        print("accepted")
    except Exception as error:
        print(type(error).__name__, error)
open(FILE, "w").write(source)
"""


class Copy(NamedTuple):
    """A copy of the package with its own cache of machine code."""

    root: Path

    @property
    def handlers(self) -> set[Path]:
        return set((self.root / "cache").glob("*.o"))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Python in the copy; no bytecode, for files change within a second."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self.root), str(self.root / "tests")]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "M890_CACHE_DIR": str(self.root / "cache"),
        }
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    def test(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """pytest in the copy."""
        options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir", str(self.root)]
        return self.run("-m", "pytest", *options, *arguments)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    root = tmp_path_factory.mktemp("copy")
    for folder in ("isa", "emulator", "programs", "tools"):
        shutil.copytree(ROOT / folder, root / "m890" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "__init__.pyi"):
        shutil.copy(ROOT / "m890" / name, root / "m890")
    (root / "tests").mkdir()
    for name in ("one.py", "test_examples.py"):
        shutil.copy(ROOT / "tests" / name, root / "tests")
    made = Copy(root)
    warm = made.run("-c", WARM.replace("SAXPY", repr(str(ROOT / "programs" / "saxpy.s"))))
    assert warm.returncode == 0, warm.stderr
    return made


def blocks(kind: str) -> list[tuple[str, str]]:
    """The page's blocks of one kind: argument and content."""
    return [(argument, content) for found, argument, content in BLOCK.findall(PAGE) if found == kind]


def wrong_changes() -> list[tuple[str, str, str]]:
    """The rows of the table of mistakes: old text, new text, message."""
    table = PAGE[PAGE.index("<!-- wrong -->") :].split("\n\n")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:4] for line in table.splitlines()[3:]]
    return [tuple(cell.strip().strip("`").replace("\\|", "|") for cell in row) for row in rows]


@pytest.mark.slow
def test_the_walk_through(copy: Copy) -> None:
    """A failing test, one file changed, a passing test, one handler compiled; all messages as the page says."""
    [(name, test)] = blocks("file")
    [(changed, instruction)] = blocks("append")
    said = blocks("says")
    (copy.root / name).write_text(test)
    before = copy.handlers
    assert before

    failing = copy.test(name)
    assert failing.returncode == 1
    assert said[0][1].strip() in failing.stdout

    runs = blocks("run")
    assert copy.run("-c", runs[0][1]).stdout == said[1][1]

    source = copy.root / "m890" / changed
    source.write_text(source.read_text().rstrip() + "\n\n\n" + instruction)
    wrong = copy.run("-c", CHECK_WRONG.replace("FILE", repr(str(source))).replace("CHANGES", repr(changes())))
    assert wrong.returncode == 0, wrong.stderr
    for line, (old, new, message) in zip(wrong.stdout.splitlines(), wrong_changes(), strict=True):
        assert line.endswith(message), f"{old} -> {new} gives {line}"
    assert copy.handlers == before

    passing = copy.test(name, "tests/test_examples.py", "-k", "avg")
    assert passing.returncode == 0, passing.stdout
    assert len(copy.handlers - before) == 1
    assert before <= copy.handlers

    assert copy.run("-c", runs[1][1]).stdout == said[2][1]
    once = ("-c", 'from one import check; check("v.avg.u32 vreg3, vreg1, vreg2", vreg1=7, vreg2=4, vreg3=5)')
    text = source.read_text()
    for edited, compiled in (
        (text.replace("rounded down;", "rounded down:"), 1),
        (text.replace("(a & b) +", "(b & a) +"), 2),
    ):
        source.write_text(edited)
        found = copy.run(*once)
        assert found.returncode == 0, found.stderr
        assert len(copy.handlers - before) == compiled
    source.write_text(text)

    page = copy.run("-c", "from m890.tools.manual import pages_for; print(*pages_for('v.avg.u32'))").stdout
    assert "d = (a + b) / 2, rounded down" in page


def changes() -> list[tuple[str, str]]:
    """The mistakes of the page, as replacements."""
    return [(old, new) for old, new, _ in wrong_changes()]


def test_every_block_of_the_page_is_used() -> None:
    assert PAGE.count("```python") + PAGE.count("```text") == len(BLOCK.findall(PAGE))
    assert len(wrong_changes()) >= 8
