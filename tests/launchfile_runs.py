"""Launch files in a folder of their own: `folder` makes it the current one, `run` runs a text there.

A test module says in `COPY` what copy.s is.
"""

from pathlib import Path

import pytest
from click.testing import Result
from command_line import m890


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A current folder, and copy.s in `job` below it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "copy.s").write_text(request.module.COPY)
    return tmp_path


def run(text: str, *flags: str, code: int = 0) -> Result:
    """Run a launch file with this text."""
    Path("job/job.toml").write_text(text)
    return m890("run", "job/job.toml", *flags, code=code)
