"""The launch files of programs/: each runs as it stands, and what it expects is what the numpy reference says.

`python tests/test_programs_files.py` writes programs/data/ anew.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from program_trials import FILES

from m890 import programs
from m890.programs.binary32 import bits
from m890.tools.cli import cli
from m890.tools.initial import content
from m890.tools.launchfile import Job, read

MOST_BYTES = 50_000
SIGNAL = programs.path("saxpy").parent / "data" / "signal.npy"


def signal() -> np.ndarray:
    """A decaying chirp; multiplied and rounded by IEEE operations alone, so that every host makes the same bits."""
    time = np.arange(10_000) / 10_000
    wave = 4 * np.abs((time * time * 60) % 1 - 0.5) - 1  # a triangle of rising frequency
    return (wave * (1 - time)).astype(np.float32)


def inputs(job: Job) -> dict[str, np.ndarray]:
    found = {}
    for name, spec in job.buffers.items():
        array, kind, shape = content(spec.init, spec.type, spec.shape)
        found[name] = np.zeros(shape, kind.dtype) if array is None else array
    return found


def expected(name: str, job: Job) -> dict[str, np.ndarray]:
    """What the reference makes of a launch file's inputs and arguments, by buffer."""
    return FILES[name](job.launches[0].args, inputs(job), job.launches[0])


def checked(job: Job) -> dict[str, Path]:
    """The committed file of every buffer that is checked, to the bit."""
    found = {}
    for check in job.checks:
        assert check.rtol == check.atol == 0
        assert check.expect.path is not None
        found[check.buffer] = check.expect.path
    return found


def write() -> None:
    np.save(SIGNAL, signal())
    for name in programs.NAMES:
        job = read(programs.path(name, ".toml"))
        arrays = expected(name, job)
        for buffer, path in checked(job).items():
            np.save(path, arrays[buffer])


def test_the_signal_is_what_it_says():
    np.testing.assert_array_equal(bits(np.load(SIGNAL)), bits(signal()))


@pytest.mark.parametrize("name", programs.NAMES)
def test_expected_file_is_what_the_reference_says(name):
    job = read(programs.path(name, ".toml"))
    arrays, paths = expected(name, job), checked(job)
    assert arrays.keys() == paths.keys()
    for buffer, path in paths.items():
        np.testing.assert_array_equal(bits(np.load(path)), bits(arrays[buffer]))
        assert path.stat().st_size < MOST_BYTES


@pytest.mark.parametrize("timing", ["eager", "late"])
@pytest.mark.parametrize("name", programs.NAMES)
def test_launch_file_runs_and_passes_its_check(name, timing):
    result = CliRunner().invoke(cli, ["run", str(programs.path(name, ".toml")), "--timing", timing, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["checks"]
    assert all(check["passed"] for check in report["checks"])


def test_data_holds_nothing_else():
    used = {SIGNAL.name} | {
        path.name for name in programs.NAMES for path in checked(read(programs.path(name, ".toml"))).values()
    }
    assert {path.name for path in SIGNAL.parent.iterdir()} == used


if __name__ == "__main__":
    write()
