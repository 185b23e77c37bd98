"""The launch files of programs/: each runs as it stands, and what it expects is what the numpy reference says.

`python tests/test_programs_files.py` writes programs/data/ anew.
"""

import json
from pathlib import Path

import numpy as np
import program_trials_gemm  # noqa: F401 - enters what it has
import program_trials_models  # noqa: F401
import program_trials_mx  # noqa: F401
import program_trials_pods  # noqa: F401
import pytest
from command_line import m890
from program_trials import FILES

from m890 import programs
from m890.tools.initial import Init, content, content_by_chip
from m890.tools.job import Job
from m890.tools.launchfile import read

MOST_BYTES = 50_000
DATA = programs.FOLDER / "data"


def signal() -> np.ndarray:
    """A decaying chirp; multiplied and rounded by IEEE operations alone, so that every host makes the same bits."""
    time = np.arange(10_000) / 10_000
    wave = 4 * np.abs((time * time * 60) % 1 - 0.5) - 1  # a triangle of rising frequency
    return (wave * (1 - time)).astype(np.float32)


INPUTS = {
    "signal": signal,
    "order": lambda: (np.arange(1000) * 617 % 1000).astype(np.uint32),
    "row_starts": lambda: np.cumsum([0, *(np.arange(200) % 10)]).astype(np.uint32),
    "hash_starts": lambda: np.cumsum([0, *(np.arange(200) % 10 * 4)]).astype(np.uint32),
    "bfs_targets": lambda: (np.arange(1000) * 617 % 200).astype(np.uint32),
    "bfs_start": lambda: np.where(np.arange(200) == 9, 0, 0xFFFFFFFF).astype(np.uint32),
    "lock_groups": lambda: (np.arange(1000) * 617 % 1000 % 10).astype(np.uint32),
    "lock_start": lambda: np.array([[0xFF800000, 0xFFFFFFFF]] * 10, np.uint32),
    "flash_attention_table": lambda: np.array([[4, 1, 3], [2, 5, 0]], np.uint32),
    "flash_attention_starts": lambda: np.array([0, 44, 45], np.uint32),
    "flash_attention_lengths": lambda: np.array([45, 20], np.uint32),
    "grouped_gemm_offsets": lambda: np.array([0, 20, 20, 55, 60], np.uint32),
    "send_recv_peers": lambda: np.array([[2, 1], [0, 2], [1, 0], [0xFFFFFFFF] * 2], np.uint32),
    "search_pattern": lambda: np.array([1, 0, 0, 0], np.uint8),
}
"""What launch files read beside the results they expect."""


def whole(job: Job, name: str, form: Init) -> np.ndarray:
    """All of a buffer as a form fills it: where each chip has one, chips come first."""
    spec = job.buffers[name]
    kind, part = spec.type or spec.init.type, spec.init.shape if spec.shape is None else spec.shape
    if spec.chip is None:
        array, kind, part = content_by_chip(form, kind, part, job.chips)
        part = (job.chips, *part)
    else:
        array, kind, part = content(form, kind, part)
    return np.zeros(part, kind.dtype) if array is None else array


def inputs(job: Job) -> dict[str, np.ndarray]:
    return {name: whole(job, name, spec.init) for name, spec in job.buffers.items()}


def expected(name: str, job: Job) -> dict[str, np.ndarray]:
    """What the reference makes of a launch file's inputs and arguments, by buffer."""
    return FILES[name](job.launches[0].args, inputs(job), job.launches[0])


def files_of(job: Job) -> dict[str, Path]:
    """The committed file of every buffer that has one to be checked against."""
    return {check.buffer: check.expect.path for check in job.checks if check.expect.path}


def write() -> None:
    for name, make in INPUTS.items():
        np.save(DATA / f"{name}.npy", make())
    for name in programs.NAMES:
        job = read(programs.path(name, ".toml"))
        arrays = expected(name, job)
        for buffer, path in files_of(job).items():
            np.save(path, arrays[buffer])


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_are_what_they_say(name):
    np.testing.assert_array_equal(np.load(DATA / f"{name}.npy"), INPUTS[name]())


@pytest.mark.parametrize("name", programs.NAMES)
def test_what_is_expected_is_what_the_reference_says(name):
    job = read(programs.path(name, ".toml"))
    arrays = expected(name, job)
    assert arrays.keys() == {check.buffer for check in job.checks}
    for check in job.checks:
        assert check.rtol == check.atol == 0
        committed = whole(job, check.buffer, check.expect)
        assert committed.tobytes() == arrays[check.buffer].tobytes()
    assert all(path.stat().st_size < MOST_BYTES for path in files_of(job).values())


@pytest.mark.parametrize("timing", ["eager", "late"])
@pytest.mark.parametrize("name", programs.NAMES)
def test_launch_file_runs_and_passes_its_check(name, timing):
    report = json.loads(m890("run", str(programs.path(name, ".toml")), "--timing", timing, "--json").stdout)
    assert report["checks"]
    assert all(check["passed"] for check in report["checks"])


def test_data_holds_nothing_else():
    used = {f"{name}.npy" for name in INPUTS}
    used |= {path.name for name in programs.NAMES for path in files_of(read(programs.path(name, ".toml"))).values()}
    assert {path.name for path in DATA.iterdir()} == used


if __name__ == "__main__":
    write()
