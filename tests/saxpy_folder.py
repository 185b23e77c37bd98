"""A current folder with saxpy.s and x.npy in it, and the arguments that run it.

A test module that imports `folder` has such a folder for each of its tests.
"""

from pathlib import Path

import assembly
import numpy as np
import pytest

SAXPY = assembly.SAXPY.removeprefix("\n")
"""The same text from line 1 on."""
ARGS = ["--grid", "4", "--block", "256", "--arg", "n=1000", "--arg", "a=2", "--arg", "x=x.npy"]
RUN = ["run", "saxpy.s", *ARGS, "--arg", "y=full:1:f32:1000"]
X = np.linspace(-3, 5, 1000, dtype=np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with saxpy.s and x.npy, the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("M890_TRACEBACK", raising=False)
    (tmp_path / "saxpy.s").write_text(SAXPY)
    np.save("x.npy", X)
    return tmp_path
